//! Constant evaluation: sizes, bounds, subscripts and conditions that choose structure.

use super::Flattener;
use super::scope::{Local, R, Scope, Stop, add, scale, sub};
use super::walk::{Found, Sub};
use crate::diag::{Diagnostic, codes};
use crate::flat::{Affine, CmpOp};
use crate::hir::{self, Builtin, ExprKind, Section};
use crate::source::Span;
use std::rc::Rc;
use twinml_model::math::eval;
use twinml_model::math::power::{Power, by_squaring, power};

/// Deepest chain of parameters that depend on parameters.
const MAX_CHAIN: u32 = 150;

/// Deepest nesting of expressions, those of a chain together: the parser lets 1000 levels pass.
const MAX_LEVELS: u32 = 1200;

/// Whose values count as constants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Indices, literals, value parameters and `final` formulas of these.
    Indices,
    /// Parameters too; they then choose structure.
    Structural,
}

/// A value known now.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Const {
    /// An integer, affine in the loops' indices.
    Int(Affine),
    Real(f64),
    Bool(bool),
    Enum(u32),
    Str(Rc<str>),
}

impl Const {
    /// As a number, where it is one and depends on no index.
    pub fn number(&self) -> Option<f64> {
        match self {
            Const::Int(a) if a.terms.is_empty() => Some(a.base as f64),
            Const::Real(x) => Some(*x),
            Const::Enum(k) => Some(f64::from(*k)),
            _ => None,
        }
    }
}

impl<'a> Flattener<'a> {
    /// An integer expression as an affine function of the loops' indices.
    pub(super) fn affine(&mut self, e: &'a hir::Expr, scope: &Scope<'a>, mode: Mode) -> R<Affine> {
        match self.constant_of(e, scope, &[], mode)? {
            Const::Int(a) => Ok(self.settle(&a)),
            Const::Real(x) if x.fract() == 0.0 && x.abs() < 9e15 => Ok(Affine::constant(x as i64)),
            Const::Enum(k) => Ok(Affine::constant(k.into())),
            _ => Err(Stop::NotConst { span: e.span, index: None }),
        }
    }

    /// The value of an element of `e`, if it is known now.
    pub(super) fn constant_of(
        &mut self,
        e: &'a hir::Expr,
        scope: &Scope<'a>,
        idx: &[Affine],
        mode: Mode,
    ) -> R<Const> {
        self.depth += 1;
        let out = if self.chain > MAX_CHAIN || (self.depth > MAX_LEVELS && self.chain > 1) {
            let d = Diagnostic::new(codes::STRUCTURE_CYCLE, e.span, "this value depends on itself")
                .note("a chain of formulas that chooses structure does not end");
            Err(self.fail(d))
        } else if self.depth > MAX_LEVELS {
            Err(Stop::NotConst { span: e.span, index: None })
        } else {
            self.constant_inner(e, scope, idx, mode)
        };
        self.depth -= 1;
        out
    }

    fn constant_inner(
        &mut self,
        e: &'a hir::Expr,
        scope: &Scope<'a>,
        idx: &[Affine],
        mode: Mode,
    ) -> R<Const> {
        let no = Err(Stop::NotConst { span: e.span, index: None });
        match &e.kind {
            ExprKind::Real(x) => Ok(Const::Real(*x)),
            ExprKind::Int(i) => Ok(Const::Int(Affine::constant(*i))),
            ExprKind::Bool(b) => Ok(Const::Bool(*b)),
            ExprKind::Str(s) => Ok(Const::Str(s.clone())),
            ExprKind::EnumValue(_, k) => Ok(Const::Enum(*k)),
            ExprKind::Local(id) => match scope.locals.get(*id).cloned() {
                Some(Local::Index(a)) => Ok(Const::Int(self.settle(&a))),
                Some(Local::Lazy(e, s)) => self.constant_of(e, &s, idx, mode),
                Some(Local::Elems(shape, elems)) => {
                    let k = self.flat_constant(idx, &shape, e.span)?;
                    match elems.get(k) {
                        Some(crate::flat::Expr::Num(x)) if matches!(e.ty, hir::Type::Int) => {
                            Ok(Const::Int(Affine::constant(*x as i64)))
                        }
                        Some(crate::flat::Expr::Num(x)) => Ok(Const::Real(*x)),
                        Some(crate::flat::Expr::Bool(b)) => Ok(Const::Bool(*b)),
                        Some(crate::flat::Expr::Index(a)) => Ok(Const::Int(self.settle(a))),
                        _ => no,
                    }
                }
                None => Err(self.internal(e.span, "a local name without a value")),
            },
            ExprKind::Member(r) => self.constant_member(r, scope, idx, mode, e.span),
            ExprKind::Unary(op, a) => {
                let a = self.constant_of(a, scope, idx, mode)?;
                match (op, a) {
                    (hir::UnOp::Neg, Const::Int(a)) => {
                        scale(&a, -1).map(Const::Int).map_or_else(|| Err(self.overflow(e.span)), Ok)
                    }
                    (hir::UnOp::Neg, Const::Real(x)) => Ok(Const::Real(-x)),
                    (hir::UnOp::Not, Const::Bool(b)) => Ok(Const::Bool(!b)),
                    _ => no,
                }
            }
            ExprKind::Binary(op, a, b) => self.constant_binary(*op, a, b, scope, idx, mode, e),
            ExprKind::If(c, a, b) => match self.constant_of(c, scope, &[], mode)? {
                Const::Bool(true) => self.constant_of(a, scope, self.fit(a, idx), mode),
                Const::Bool(false) => self.constant_of(b, scope, self.fit(b, idx), mode),
                _ => no,
            },
            ExprKind::Call(f, args) => self.constant_call(*f, args, scope, idx, mode, e),
            ExprKind::Array(items) => match idx.split_first() {
                Some((first, rest)) if !items.is_empty() => {
                    let k = self.choice(first, e.span)?;
                    match items.get(k) {
                        Some(item) => self.constant_of(item, scope, rest, mode),
                        None => Err(self.out_of_range(e.span, k as i64, items.len() as i64)),
                    }
                }
                _ => no,
            },
            ExprKind::Reduce(r, a) => self.constant_reduce(*r, a, scope, mode, e),
            ExprKind::Index(a, subs) => {
                let Some(full) = self.constant_subscripts(a, subs, scope, idx, mode)? else { return no };
                self.constant_of(a, scope, &full, mode)
            }
            _ => no,
        }
    }

    /// Subscripts that are all known, with the open ones from `idx`.
    fn constant_subscripts(
        &mut self,
        a: &'a hir::Expr,
        subs: &'a [hir::Subscript],
        scope: &Scope<'a>,
        idx: &[Affine],
        mode: Mode,
    ) -> R<Option<Vec<Affine>>> {
        let shape = self.shape(a, scope)?;
        let mut free = idx.iter();
        let mut out = Vec::new();
        for (k, &len) in shape.iter().enumerate() {
            out.push(match subs.get(k) {
                Some(hir::Subscript::Index(i)) => {
                    let at = self.affine(i, scope, mode)?;
                    self.inside(&at, len, i.span)?;
                    at
                }
                Some(hir::Subscript::Slice(Some(lo), _)) => {
                    let lo = self.affine(lo, scope, mode)?;
                    let Some(f) = free.next() else { return Ok(None) };
                    add(f, &lo).unwrap_or_default()
                }
                _ => match free.next() {
                    Some(f) => f.clone(),
                    None => return Ok(None),
                },
            });
        }
        Ok(Some(out))
    }

    /// The subscripts for an operand that may be a scalar beside arrays.
    pub(super) fn fit<'s>(&self, e: &hir::Expr, idx: &'s [Affine]) -> &'s [Affine] {
        if e.shape.is_empty() { &[] } else { idx }
    }

    fn flat_constant(&self, idx: &[Affine], shape: &[u32], span: Span) -> R<usize> {
        let mut n = 0usize;
        for (a, &len) in idx.iter().zip(shape) {
            n = n * len as usize + self.choice(a, span)?;
        }
        Ok(n)
    }

    pub(super) fn overflow(&mut self, span: Span) -> Stop {
        let d = Diagnostic::new(codes::INTEGER_OVERFLOW, span, "this integer is too large");
        self.fail(d)
    }

    fn constant_member(
        &mut self,
        r: &'a hir::Ref,
        scope: &Scope<'a>,
        idx: &[Affine],
        mode: Mode,
        span: Span,
    ) -> R<Const> {
        let (slot, subs) = match self.walk(r, scope, idx)? {
            Found::Var(slot, subs) => (slot, subs),
            _ => return Err(Stop::NotConst { span, index: None }),
        };
        let parameter = match slot.decl.section {
            Section::ValueParam => true,
            Section::Parameters => mode == Mode::Structural || slot.decl.is_final,
            _ => false,
        };
        if !parameter {
            return Err(Stop::NotConst { span, index: None });
        }
        let mut at = Vec::with_capacity(subs.len());
        for s in subs {
            match s {
                Sub::Fixed(a) => at.push(a),
                Sub::Dynamic(..) => return Err(Stop::NotConst { span, index: None }),
            }
        }
        let Some((e, inner, inner_idx)) = self.binding_at(&slot, &at, span)? else {
            return Err(self.no_value(&slot, &r.steps[r.steps.len() - 1].name));
        };
        self.chain += 1;
        let value = self.constant_of(e, &inner, &inner_idx, mode);
        self.chain -= 1;
        let value = value?;
        if slot.decl.section == Section::Parameters
            && let Some(last) = r.steps.last()
        {
            self.structural.insert((slot.inst, last.name.clone()));
        }
        // An integer written for a real is a real.
        Ok(match (value, &slot.decl.ty) {
            (Const::Int(a), hir::Type::Real(_)) if a.terms.is_empty() => Const::Real(a.base as f64),
            (v, _) => v,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one call site")]
    fn constant_binary(
        &mut self,
        op: hir::BinOp,
        a: &'a hir::Expr,
        b: &'a hir::Expr,
        scope: &Scope<'a>,
        idx: &[Affine],
        mode: Mode,
        e: &'a hir::Expr,
    ) -> R<Const> {
        use hir::BinOp as B;
        let no = || Err(Stop::NotConst { span: e.span, index: None });
        let left = match self.constant_of(a, scope, self.fit(a, idx), mode) {
            Err(Stop::NotConst { span, index }) if matches!(op, B::And | B::Or | B::Implies) => {
                // `x and false`, `x or true` need no x.
                return match (op, self.constant_of(b, scope, self.fit(b, idx), mode)?) {
                    (B::And, Const::Bool(false)) => Ok(Const::Bool(false)),
                    (B::Or | B::Implies, Const::Bool(true)) => Ok(Const::Bool(true)),
                    _ => Err(Stop::NotConst { span, index }),
                };
            }
            other => other?,
        };
        // `false and x`, `true or x` need no x.
        match (op, &left) {
            (B::And, Const::Bool(false)) => return Ok(Const::Bool(false)),
            (B::Or, Const::Bool(true)) | (B::Implies, Const::Bool(false)) => return Ok(Const::Bool(true)),
            _ => {}
        }
        let right = self.constant_of(b, scope, self.fit(b, idx), mode)?;
        match (op, left, right) {
            (B::And, Const::Bool(x), Const::Bool(y)) => Ok(Const::Bool(x && y)),
            (B::Or, Const::Bool(x), Const::Bool(y)) => Ok(Const::Bool(x || y)),
            (B::Xor, Const::Bool(x), Const::Bool(y)) => Ok(Const::Bool(x ^ y)),
            (B::Implies, Const::Bool(x), Const::Bool(y)) => Ok(Const::Bool(!x || y)),
            (B::Cmp(CmpOp::Eq), Const::Bool(x), Const::Bool(y)) => Ok(Const::Bool(x == y)),
            (B::Cmp(CmpOp::Ne), Const::Bool(x), Const::Bool(y)) => Ok(Const::Bool(x != y)),
            (B::Cmp(CmpOp::Eq), Const::Enum(x), Const::Enum(y)) => Ok(Const::Bool(x == y)),
            (B::Cmp(CmpOp::Ne), Const::Enum(x), Const::Enum(y)) => Ok(Const::Bool(x != y)),
            (B::Cmp(CmpOp::Eq), Const::Str(x), Const::Str(y)) => Ok(Const::Bool(x == y)),
            (B::Cmp(CmpOp::Ne), Const::Str(x), Const::Str(y)) => Ok(Const::Bool(x != y)),
            (B::Add, Const::Int(x), Const::Int(y)) => {
                add(&x, &y).map(Const::Int).map_or_else(|| Err(self.overflow(e.span)), Ok)
            }
            (B::Sub, Const::Int(x), Const::Int(y)) => {
                sub(&x, &y).map(Const::Int).map_or_else(|| Err(self.overflow(e.span)), Ok)
            }
            (B::Mul, Const::Int(x), Const::Int(y)) => {
                let (x, y) = (self.settle(&x), self.settle(&y));
                let product = if x.terms.is_empty() {
                    scale(&y, x.base)
                } else if y.terms.is_empty() {
                    scale(&x, y.base)
                } else {
                    return Err(Stop::NotConst { span: e.span, index: x.terms.first().map(|t| t.0) });
                };
                product.map(Const::Int).map_or_else(|| Err(self.overflow(e.span)), Ok)
            }
            (B::Pow, Const::Int(x), Const::Int(y)) => {
                let (x, y) = (self.plain(&x, e.span)?, self.plain(&y, e.span)?);
                match u32::try_from(y).ok().and_then(|n| x.checked_pow(n)) {
                    Some(p) => Ok(Const::Int(Affine::constant(p))),
                    None => no(),
                }
            }
            (B::Cmp(op), Const::Int(x), Const::Int(y)) => match self.decide(op, &x, &y, e.span)? {
                Some(holds) => Ok(Const::Bool(holds)),
                None => {
                    let difference = self.settle(&sub(&x, &y).unwrap_or_default());
                    Err(Stop::NotConst { span: e.span, index: difference.terms.first().map(|t| t.0) })
                }
            },
            (op, x, y) => {
                let (x, y) = (self.plain_number(&x, e.span)?, self.plain_number(&y, e.span)?);
                Ok(match op {
                    B::Add => Const::Real(x + y),
                    B::Sub => Const::Real(x - y),
                    B::Mul => Const::Real(x * y),
                    B::Div => Const::Real(x / y),
                    B::Pow => match power(y) {
                        Power::Whole(n) => Const::Real(whole(n, x)),
                        Power::Inverse(n) => Const::Real(1.0 / whole(n, x)),
                        Power::Root => Const::Real(x.sqrt()),
                        Power::Function => Const::Real(eval::pow(x, y)),
                    },
                    B::Cmp(op) => match x.partial_cmp(&y) {
                        Some(o) => Const::Bool(compares(op, o)),
                        None => Const::Bool(op == CmpOp::Ne),
                    },
                    _ => return no(),
                })
            }
        }
    }

    /// The exponent of a power where it is known now: equations and handlers then raise to it in the same way.
    pub(super) fn exponent(&mut self, e: &'a hir::Expr, scope: &Scope<'a>, idx: &[Affine]) -> R<Option<f64>> {
        match self.constant_of(e, scope, idx, Mode::Indices) {
            Ok(c) => Ok(c.number()),
            Err(Stop::NotConst { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A constant that depends on no index.
    fn plain(&self, a: &Affine, span: Span) -> R<i64> {
        let a = self.settle(a);
        match a.terms.first() {
            None => Ok(a.base),
            Some(t) => Err(Stop::NotConst { span, index: Some(t.0) }),
        }
    }

    fn plain_number(&self, c: &Const, span: Span) -> R<f64> {
        match c {
            Const::Int(a) => self.plain(a, span).map(|i| i as f64),
            _ => c.number().ok_or(Stop::NotConst { span, index: None }),
        }
    }

    fn constant_call(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        idx: &[Affine],
        mode: Mode,
        e: &'a hir::Expr,
    ) -> R<Const> {
        let no = Err(Stop::NotConst { span: e.span, index: None });
        if f == Builtin::Len {
            let shape = self.shape(&args[0], scope)?;
            return Ok(Const::Int(Affine::constant(shape.first().copied().unwrap_or(1).into())));
        }
        let mut values = Vec::with_capacity(args.len());
        for a in args {
            let at = self.fit(a, idx);
            // `norm`, `dot` and their like take arrays as wholes.
            if at.len() < a.shape.len() {
                return no;
            }
            values.push(self.constant_of(a, scope, at, mode)?);
        }
        match (f, &values[..]) {
            (Builtin::Mod | Builtin::Div, [Const::Int(x), Const::Int(n)]) => {
                let (x, n) = (self.settle(x), self.plain(n, e.span)?);
                if n <= 0 {
                    return no;
                }
                self.whole_quotient(f == Builtin::Div, &x, n, e.span)
            }
            (Builtin::ToInt | Builtin::NoEvent | Builtin::Smooth, [Const::Int(x)]) => {
                Ok(Const::Int(x.clone()))
            }
            (Builtin::NoEvent | Builtin::Smooth, [x]) => Ok(x.clone()),
            (Builtin::Floor | Builtin::Ceil | Builtin::Round | Builtin::Trunc, [Const::Int(x)]) => {
                Ok(Const::Int(x.clone()))
            }
            (Builtin::Min | Builtin::Max, [Const::Int(x), Const::Int(y)]) => {
                let Some(smaller) = self.decide(CmpOp::Le, x, y, e.span)? else {
                    return Err(Stop::NotConst { span: e.span, index: x.terms.first().map(|t| t.0) });
                };
                Ok(Const::Int(if smaller == (f == Builtin::Min) { x.clone() } else { y.clone() }))
            }
            (Builtin::Xor, [Const::Bool(x), Const::Bool(y)]) => Ok(Const::Bool(x ^ y)),
            _ => {
                let mut n = Vec::new();
                for v in &values {
                    n.push(self.plain_number(v, e.span)?);
                }
                let whole = matches!(e.ty, hir::Type::Int);
                let x = match (f, &n[..]) {
                    (Builtin::Floor, [x]) => x.floor(),
                    (Builtin::Ceil, [x]) => x.ceil(),
                    (Builtin::Round, [x]) => x.round(),
                    (Builtin::Trunc, [x]) => x.trunc(),
                    (Builtin::ToReal, [x]) => *x,
                    (Builtin::ToInt, [x]) => x.trunc(),
                    (Builtin::Abs, [x]) => x.abs(),
                    (Builtin::Sqrt, [x]) => x.sqrt(),
                    (Builtin::Min, [x, y]) => x.min(*y),
                    (Builtin::Max, [x, y]) => x.max(*y),
                    (Builtin::Mod, [x, y]) => x - y * (x / y).floor(),
                    (Builtin::Div, [x, y]) => (x / y).floor(),
                    _ => return no,
                };
                if whole && x.abs() < 9e15 {
                    Ok(Const::Int(Affine::constant(x as i64)))
                } else {
                    Ok(Const::Real(x))
                }
            }
        }
    }

    /// `div(x, n)` or `mod(x, n)` for an affine x: the range is split where the quotient changes.
    fn whole_quotient(&mut self, div: bool, x: &Affine, n: i64, span: Span) -> R<Const> {
        let (lo, hi) = self.bounds(x);
        let (first, last) = (lo.div_euclid(n), hi.div_euclid(n));
        if first == last {
            let q = Affine::constant(first);
            if div {
                return Ok(Const::Int(q));
            }
            let part = sub(x, &Affine::constant(first.saturating_mul(n))).unwrap_or_default();
            return Ok(Const::Int(part));
        }
        let [(index, s)] = x.terms[..] else {
            return Err(Stop::NotConst { span, index: x.terms.first().map(|t| t.0) });
        };
        if last - first > 8 {
            return Err(Stop::NotConst { span, index: Some(index) });
        }
        let mut cuts = Vec::new();
        for q in first + 1..=last {
            // Smallest i (s > 0) or largest i (s < 0) with s·i + b >= q·n.
            let need = q * n - x.base;
            cuts.push(if s > 0 {
                need.div_euclid(s) + i64::from(need.rem_euclid(s) != 0)
            } else {
                (-need).div_euclid(-s) + 1
            });
        }
        Err(Stop::Split { index, cuts, why: "", span })
    }

    fn constant_reduce(
        &mut self,
        r: hir::Reduction,
        a: &'a hir::Expr,
        scope: &Scope<'a>,
        mode: Mode,
        e: &'a hir::Expr,
    ) -> R<Const> {
        let no = Err(Stop::NotConst { span: e.span, index: None });
        let shape = self.shape(a, scope)?;
        let [len] = shape[..] else { return no };
        if len == 0 || len > 10_000 {
            return no;
        }
        let mut all = Vec::with_capacity(len as usize);
        for k in 0..len {
            all.push(self.constant_of(a, scope, &[Affine::constant(k.into())], mode)?);
        }
        let mut ints = Vec::new();
        for c in &all {
            match c {
                Const::Int(i) => ints.push(self.plain(i, e.span)?),
                _ => return no,
            }
        }
        let value = match r {
            hir::Reduction::Sum => ints.iter().try_fold(0i64, |s, i| s.checked_add(*i)),
            hir::Reduction::Product => ints.iter().try_fold(1i64, |s, i| s.checked_mul(*i)),
            hir::Reduction::Min => ints.iter().min().copied(),
            hir::Reduction::Max => ints.iter().max().copied(),
            _ => return no,
        };
        value.map(|v| Const::Int(Affine::constant(v))).map_or_else(|| Err(self.overflow(e.span)), Ok)
    }

    pub(super) fn no_value(&mut self, slot: &super::scope::VarSlot<'a>, name: &str) -> Stop {
        let owner = self.owner_text(slot.inst);
        let d = Diagnostic::new(codes::NO_VALUE, slot.span, format!("the parameter `{name}` has no value"))
            .note(format!("wanted by the instance `{owner}`"))
            .help(format!("give it one: `{name}: … = …`, or set it where the twin is used"));
        self.fail(d)
    }
}

/// Whether `left op right` where `left` compares to `right` like `o`.
pub(super) fn compares(op: CmpOp, o: std::cmp::Ordering) -> bool {
    match op {
        CmpOp::Eq => o.is_eq(),
        CmpOp::Ne => o.is_ne(),
        CmpOp::Lt => o.is_lt(),
        CmpOp::Le => o.is_le(),
        CmpOp::Gt => o.is_gt(),
        CmpOp::Ge => o.is_ge(),
    }
}

/// `x^n` by repeated products.
fn whole(n: u32, x: f64) -> f64 {
    by_squaring(n, x, |a, b| a * b).unwrap_or(1.0)
}
