//! One element of an expression as a flat, scalar expression.

use super::consts::{Const, Mode};
use super::scope::{Local, R, Scope, Stop, add};
use super::walk::{Found, Sub};
use super::{Flattener, MAX_LEVELS, MAX_OPERATIONS};
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, BinOp, BoolOp, CmpOp, Expr, Fold, UnOp};
use crate::hir::{self, ExprKind, Reduction, Section};
use twinml_model::ids::Index;

pub(super) fn un(op: UnOp, a: Expr) -> Expr {
    Expr::Un(op, Box::new(a))
}

/// `a op b`; arithmetic on two numbers is done now, and a factor or divisor of one falls away (both give
/// the bits that the run would).
pub(super) fn bin(op: BinOp, a: Expr, b: Expr) -> Expr {
    match (op, &a, &b) {
        (BinOp::Add, Expr::Num(x), Expr::Num(y)) => Expr::Num(x + y),
        (BinOp::Sub, Expr::Num(x), Expr::Num(y)) => Expr::Num(x - y),
        (BinOp::Mul, Expr::Num(x), Expr::Num(y)) => Expr::Num(x * y),
        (BinOp::Div, Expr::Num(x), Expr::Num(y)) => Expr::Num(x / y),
        (BinOp::Mul | BinOp::Div, _, Expr::Num(1.0)) => a,
        (BinOp::Mul, Expr::Num(1.0), _) => b,
        _ => Expr::Bin(op, Box::new(a), Box::new(b)),
    }
}

pub(super) fn logic(op: BoolOp, a: Expr, b: Expr) -> Expr {
    Expr::BoolBin(op, Box::new(a), Box::new(b))
}

pub(super) fn not(a: Expr) -> Expr {
    Expr::Not(Box::new(a))
}

pub(super) fn choose(c: Expr, a: Expr, b: Expr) -> Expr {
    Expr::If(Box::new(c), Box::new(a), Box::new(b))
}

/// A loop index's affine function as a number.
pub(super) fn whole(a: Affine) -> Expr {
    if a.terms.is_empty() { Expr::Num(a.base as f64) } else { Expr::Index(a) }
}

impl<'a> Flattener<'a> {
    /// The element of `e` at the subscripts `idx` (none for a scalar).
    pub(super) fn element(&mut self, e: &'a hir::Expr, scope: &Scope<'a>, idx: &[Affine]) -> R<Expr> {
        if self.level >= MAX_LEVELS {
            return Err(self.too_deep(e.span));
        }
        self.level += 1;
        let out = self.element_inner(e, scope, idx);
        self.level -= 1;
        out
    }

    fn too_deep(&mut self, span: crate::source::Span) -> Stop {
        let d = Diagnostic::new(
            codes::SYSTEM_TOO_LARGE,
            span,
            format!(
                "this expression is nested more than {MAX_LEVELS} levels deep once functions are put in place"
            ),
        )
        .help("name parts of it as variables with equations of their own");
        self.fail(d)
    }

    fn element_inner(&mut self, e: &'a hir::Expr, scope: &Scope<'a>, idx: &[Affine]) -> R<Expr> {
        self.operations += 1;
        if self.operations > MAX_OPERATIONS {
            return Err(self.too_large(e.span, self.operations, "operations in one equation"));
        }
        match &e.kind {
            ExprKind::Real(x) => Ok(Expr::Num(*x)),
            ExprKind::Int(i) => Ok(Expr::Num(*i as f64)),
            ExprKind::Bool(b) => Ok(Expr::Bool(*b)),
            ExprKind::EnumValue(_, k) => Ok(Expr::Num(f64::from(*k))),
            ExprKind::Time => Ok(Expr::Time),
            ExprKind::Str(_) => Err(self.refuse(codes::LATER_TYPE, e.span, "text in an equation")),
            ExprKind::Behavior(op) => self.kept(op, scope, e),
            ExprKind::BehaviorOnly => {
                Err(self.refuse(codes::LATER_BEHAVIOR, e.span, "behaviour in an equation"))
            }
            ExprKind::Temporal(_) => Err(self.internal(e.span, "temporal logic outside a requirement")),
            ExprKind::Aggregate(a) if a.of == hir::Whole::AtEnd => {
                // Where the run has ended, quantities are what they are at the end.
                self.element(&a.arg, scope, self.fit(&a.arg, idx))
            }
            ExprKind::Aggregate(a) => self.measured(a, scope, idx, e.span),
            ExprKind::SelfValue => match &self.this {
                Some(this) => Ok(this.clone()),
                None => Err(self.internal(e.span, "`self` outside a condition")),
            },
            ExprKind::TableFile(_) => Err(self.internal(e.span, "a table where a number is wanted")),
            ExprKind::Member(r) => self.member(r, scope, idx, e),
            ExprKind::Start(r) => {
                let (v, a) = self.target(r, scope, idx)?;
                Ok(Expr::Start(v, a))
            }
            ExprKind::Local(id) => match scope.locals.get(*id).cloned() {
                Some(Local::Index(a)) => Ok(whole(self.settle(&a))),
                Some(Local::Lazy(e, s)) => self.element(e, &s, self.fit(e, idx)),
                Some(Local::Elems(shape, elems)) => self.pick(idx, &shape, &elems, e.span),
                None => Err(self.internal(e.span, "a local name without a value")),
            },
            ExprKind::Der(a) => self.derivative(a, scope, idx),
            ExprKind::Unary(op, a) => {
                let x = self.element(a, scope, idx)?;
                Ok(match (op, x) {
                    (hir::UnOp::Neg, Expr::Num(x)) => Expr::Num(-x),
                    (hir::UnOp::Neg, x) => un(UnOp::Neg, x),
                    (hir::UnOp::Not, Expr::Bool(b)) => Expr::Bool(!b),
                    (hir::UnOp::Not, x) => not(x),
                })
            }
            ExprKind::Binary(op, a, b) => self.binary(*op, a, b, scope, idx, e),
            ExprKind::If(c, a, b) => self.if_element(c, a, b, scope, idx),
            ExprKind::Call(f, args) => self.call(*f, args, scope, idx, e),
            ExprKind::CallFunc(f, args) => self.inline(*f, args, scope, idx, e.span),
            ExprKind::CallTable(r, a) => {
                let at = self.element(a, scope, self.fit(a, idx))?;
                let table = self.table_member(r, scope, matches!(at, Expr::Time))?;
                Ok(Expr::Table(table, Box::new(at)))
            }
            ExprKind::Array(items) => {
                let Some((first, rest)) = idx.split_first() else {
                    return Err(self.internal(e.span, "an array where a number is wanted"));
                };
                let k = self.choice(first, e.span)?;
                match items.get(k) {
                    Some(item) => self.element(item, scope, rest),
                    None => Err(self.out_of_range(e.span, k as i64, items.len() as i64)),
                }
            }
            ExprKind::Comprehension(c) => self.comprehension_element(c, scope, idx, e),
            ExprKind::Index(a, subs) => self.index_element(a, subs, scope, idx, e),
            ExprKind::Reduce(r, a) => self.reduce(*r, a, scope),
            ExprKind::ReduceOver(r, c) => self.reduce_over(*r, c, scope),
        }
    }

    fn member(&mut self, r: &'a hir::Ref, scope: &Scope<'a>, idx: &[Affine], e: &'a hir::Expr) -> R<Expr> {
        match self.walk(r, scope, idx)? {
            Found::Port(var, subs) => self.place(var, &subs, r.span),
            Found::Machine(..) | Found::Twin | Found::Joint(..) => {
                Err(self.internal(r.span, "a twin where a quantity is wanted"))
            }
            Found::Var(slot, subs) => {
                if slot.decl.section == Section::ValueParam {
                    return match self.constant_of(e, scope, idx, Mode::Indices)? {
                        Const::Int(a) => Ok(whole(self.settle(&a))),
                        Const::Bool(b) => Ok(Expr::Bool(b)),
                        c => Ok(Expr::Num(c.number().unwrap_or(f64::NAN))),
                    };
                }
                let Some(&var) = slot.var.get() else {
                    return Err(self.refuse(codes::LATER_TYPE, r.span, "a quantity of this type"));
                };
                let subs = self.storage(slot.inst, subs);
                self.place(var, &subs, r.span)
            }
        }
    }

    /// One of several values by subscripts that must be known.
    fn pick(&mut self, idx: &[Affine], shape: &[u32], elems: &[Expr], span: crate::source::Span) -> R<Expr> {
        let mut n = 0usize;
        for (a, &len) in idx.iter().zip(shape) {
            n = n * len as usize + self.choice(a, span)?;
        }
        match elems.get(n) {
            Some(x) => {
                // The copy costs what it is long, and may be too deep to go on with.
                let mut size = 0;
                if !measure(x, MAX_LEVELS, &mut size) {
                    return Err(self.too_deep(span));
                }
                self.operations += size;
                if self.operations > MAX_OPERATIONS {
                    return Err(self.too_large(span, self.operations, "operations in one equation"));
                }
                Ok(x.clone())
            }
            None => Err(self.out_of_range(span, n as i64, elems.len() as i64)),
        }
    }

    /// A condition: known for the whole range, or judged at run time.
    fn if_element(
        &mut self,
        c: &'a hir::Expr,
        a: &'a hir::Expr,
        b: &'a hir::Expr,
        scope: &Scope<'a>,
        idx: &[Affine],
    ) -> R<Expr> {
        match self.constant_of(c, scope, self.fit(c, idx), Mode::Indices) {
            Ok(Const::Bool(true)) => return self.element(a, scope, self.fit(a, idx)),
            Ok(Const::Bool(false)) => return self.element(b, scope, self.fit(b, idx)),
            Ok(_) => return Err(self.internal(c.span, "a condition that is no truth value")),
            Err(Stop::NotConst { .. }) => {}
            Err(e) => return Err(e),
        }
        let cond = self.element(c, scope, self.fit(c, idx))?;
        if let Expr::Bool(known) = cond {
            let e = if known { a } else { b };
            return self.element(e, scope, self.fit(e, idx));
        }
        self.guarded += 1;
        let then = self.element(a, scope, self.fit(a, idx));
        let otherwise = then.and_then(|x| Ok((x, self.element(b, scope, self.fit(b, idx))?)));
        self.guarded -= 1;
        let (x, y) = otherwise?;
        Ok(choose(cond, x, y))
    }

    fn binary(
        &mut self,
        op: hir::BinOp,
        a: &'a hir::Expr,
        b: &'a hir::Expr,
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        use hir::BinOp as B;
        if op == B::MatMul {
            return self.matmul(a, b, scope, idx, e);
        }
        // Arithmetic on indices stays one affine number.
        if matches!(e.ty, hir::Type::Int)
            && matches!(op, B::Add | B::Sub | B::Mul)
            && let Ok(Const::Int(x)) = self.constant_of(e, scope, idx, Mode::Indices)
        {
            return Ok(whole(self.settle(&x)));
        }
        if matches!(e.ty, hir::Type::Bool)
            && let Ok(Const::Bool(x)) = self.constant_of(e, scope, idx, Mode::Indices)
        {
            return Ok(Expr::Bool(x));
        }
        let x = self.element(a, scope, self.fit(a, idx))?;
        if op == B::Pow
            && let Some(n) = self.exponent(b, scope, self.fit(b, idx))?
        {
            return Ok(bin(BinOp::Pow, x, Expr::Num(n)));
        }
        let y = self.element(b, scope, self.fit(b, idx))?;
        let truth = matches!(a.ty, hir::Type::Bool);
        Ok(match op {
            B::Add => bin(BinOp::Add, x, y),
            B::Sub => bin(BinOp::Sub, x, y),
            B::Mul => bin(BinOp::Mul, x, y),
            B::Div => bin(BinOp::Div, x, y),
            B::Pow => bin(BinOp::Pow, x, y),
            B::And => logic(BoolOp::And, x, y),
            B::Or => logic(BoolOp::Or, x, y),
            B::Xor => logic(BoolOp::Xor, x, y),
            B::Implies => logic(BoolOp::Or, not(x), y),
            B::Cmp(CmpOp::Eq) if truth => not(logic(BoolOp::Xor, x, y)),
            B::Cmp(CmpOp::Ne) if truth => logic(BoolOp::Xor, x, y),
            B::Cmp(op) => Expr::Cmp(op, Box::new(x), Box::new(y), e.span),
            B::MatMul => return Err(self.internal(e.span, "a matrix product")),
        })
    }

    fn matmul(
        &mut self,
        a: &'a hir::Expr,
        b: &'a hir::Expr,
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        let (left, right) = (self.shape(a, scope)?, self.shape(b, scope)?);
        self.product_shape(&left, &right, e.span)?;
        let rows = left.len() - 1;
        let (front, back) = idx.split_at(rows.min(idx.len()));
        let n = i64::from(right[0]);
        self.fold(Fold::Sum, (0, n), &mut |f, k| {
            let k = f.index_value(k);
            let mut at = front.to_vec();
            at.push(k.clone());
            let x = f.element(a, scope, &at)?;
            let mut at = vec![k];
            at.extend_from_slice(back);
            let y = f.element(b, scope, &at)?;
            Ok(bin(BinOp::Mul, x, y))
        })
    }

    /// A reduction over `range`; parts that must be apart are combined in order.
    pub(super) fn fold(
        &mut self,
        kind: Fold,
        range: (i64, i64),
        body: &mut dyn FnMut(&mut Self, Index) -> R<Expr>,
    ) -> R<Expr> {
        let index = Index::new(self.ranges.len());
        let mut work = vec![range];
        // Two or three terms read better, and match better, written out.
        if (2..=3).contains(&(range.1 - range.0)) {
            work = (range.0..range.1).rev().map(|k| (k, k + 1)).collect();
        }
        let mut total: Option<Expr> = None;
        while let Some((lo, hi)) = work.pop() {
            if lo >= hi {
                continue;
            }
            self.ranges.push((lo, hi));
            let mark = self.mark();
            let done = body(self, index);
            self.ranges.truncate(index.index());
            let part = match done {
                Ok(x) if hi - lo == 1 => x,
                Ok(x) => Expr::Fold(kind, Box::new(flat::Loop { index, lo, hi }), Box::new(x)),
                Err(Stop::Split { index: at, cuts, why, span }) if at == index => {
                    self.rollback(mark);
                    self.split((lo, hi), &cuts, &mut work, why, span)?;
                    continue;
                }
                Err(e) => return Err(e),
            };
            total = Some(match total {
                None => part,
                Some(t) => match kind {
                    Fold::Sum => bin(BinOp::Add, t, part),
                    Fold::Product => bin(BinOp::Mul, t, part),
                    Fold::Min => bin(BinOp::Min, t, part),
                    Fold::Max => bin(BinOp::Max, t, part),
                    Fold::All => logic(BoolOp::And, t, part),
                    Fold::Any => logic(BoolOp::Or, t, part),
                },
            });
        }
        Ok(total.unwrap_or(match kind {
            Fold::Sum => Expr::Num(0.0),
            Fold::Product => Expr::Num(1.0),
            Fold::Min => Expr::Num(f64::INFINITY),
            Fold::Max => Expr::Num(f64::NEG_INFINITY),
            Fold::All => Expr::Bool(true),
            Fold::Any => Expr::Bool(false),
        }))
    }

    /// A fold over all axes of `shape`.
    pub(super) fn fold_shape(
        &mut self,
        kind: Fold,
        shape: &[u32],
        at: &mut Vec<Affine>,
        body: &mut dyn FnMut(&mut Self, &[Affine]) -> R<Expr>,
    ) -> R<Expr> {
        let Some((&first, rest)) = shape.split_first() else { return body(self, at) };
        self.fold(kind, (0, i64::from(first)), &mut |f, k| {
            let k = f.index_value(k);
            at.push(k);
            let out = f.fold_shape(kind, rest, at, body);
            at.pop();
            out
        })
    }

    fn reduce(&mut self, r: Reduction, a: &'a hir::Expr, scope: &Scope<'a>) -> R<Expr> {
        let shape = self.shape(a, scope)?;
        let count = shape.iter().map(|n| f64::from(*n)).product::<f64>();
        if count == 0.0 && matches!(r, Reduction::Min | Reduction::Max | Reduction::Mean) {
            let d = Diagnostic::new(
                codes::EMPTY_REDUCTION,
                a.span,
                "an array without elements has no min, max or mean",
            );
            return Err(self.fail(d));
        }
        let total = self.fold_shape(fold_of(r), &shape, &mut Vec::new(), &mut |f, at| {
            let x = f.element(a, scope, at)?;
            Ok(if r == Reduction::Count { truth(x) } else { x })
        })?;
        Ok(if r == Reduction::Mean { bin(BinOp::Div, total, Expr::Num(count)) } else { total })
    }

    /// `sum(body for i in lo..hi if cond)`: where the condition or a bound is not the same for a whole range,
    /// it is judged at run time and the neutral element stands in.
    fn reduce_over(&mut self, r: Reduction, c: &'a hir::Comprehension, scope: &Scope<'a>) -> R<Expr> {
        let kind = fold_of(r);
        let sum = self.reduce_loops(kind, r == Reduction::Count, c, 0, scope, None)?;
        if r != Reduction::Mean {
            return Ok(sum);
        }
        let number = self.count_loops(c, 0, scope)?;
        Ok(bin(BinOp::Div, sum, number))
    }

    fn reduce_loops(
        &mut self,
        kind: Fold,
        count: bool,
        c: &'a hir::Comprehension,
        depth: usize,
        scope: &Scope<'a>,
        guard: Option<Expr>,
    ) -> R<Expr> {
        let Some(range) = c.loops.get(depth) else {
            return self.reduce_body(kind, count, c, scope, guard);
        };
        let lo = self.affine_bound(&range.lo, scope)?;
        let hi = self.affine_bound(&range.hi, scope)?;
        let (first, end) = (self.bounds(&lo).0, self.bounds(&hi).1);
        let ragged = !lo.terms.is_empty() || !hi.terms.is_empty();
        self.fold(kind, (first, end), &mut |f, k| {
            let k = f.index_value(k);
            let inner = scope.with(range.local, Local::Index(k.clone()));
            let mut guard = guard.clone();
            if ragged {
                for (limit, op) in [(&lo, CmpOp::Ge), (&hi, CmpOp::Lt)] {
                    match f.decide(op, &k, limit, range.lo.span)? {
                        Some(true) => {}
                        Some(false) => return Ok(neutral(kind)),
                        None => {
                            let test = Expr::Cmp(
                                op,
                                Box::new(whole(k.clone())),
                                Box::new(whole(limit.clone())),
                                range.lo.span,
                            );
                            guard = Some(match guard {
                                None => test,
                                Some(g) => logic(BoolOp::And, g, test),
                            });
                        }
                    }
                }
            }
            f.reduce_loops(kind, count, c, depth + 1, &inner, guard)
        })
    }

    fn reduce_body(
        &mut self,
        kind: Fold,
        count: bool,
        c: &'a hir::Comprehension,
        scope: &Scope<'a>,
        mut guard: Option<Expr>,
    ) -> R<Expr> {
        if let Some(filter) = &c.filter {
            match self.constant_of(filter, scope, &[], Mode::Indices) {
                Ok(Const::Bool(true)) => {}
                Ok(_) => return Ok(neutral(kind)),
                Err(Stop::NotConst { .. }) => {
                    let test = self.element(filter, scope, &[])?;
                    guard = Some(match guard {
                        None => test,
                        Some(g) => logic(BoolOp::And, g, test),
                    });
                }
                Err(e) => return Err(e),
            }
        }
        self.guarded += u32::from(guard.is_some());
        let shape = self.shape(&c.body, scope);
        let x = shape.and_then(|s| {
            self.fold_shape(kind, &s, &mut Vec::new(), &mut |f, at| {
                let x = f.element(&c.body, scope, at)?;
                Ok(if count { truth(x) } else { x })
            })
        });
        self.guarded -= u32::from(guard.is_some());
        let x = x?;
        Ok(match guard {
            None => x,
            Some(g) => choose(g, x, neutral(kind)),
        })
    }

    /// How many elements a comprehension has, as a number.
    fn count_loops(&mut self, c: &'a hir::Comprehension, depth: usize, scope: &Scope<'a>) -> R<Expr> {
        let Some(range) = c.loops.get(depth) else {
            return match &c.filter {
                None => Ok(Expr::Num(1.0)),
                Some(f) => match self.constant_of(f, scope, &[], Mode::Indices) {
                    Ok(Const::Bool(b)) => Ok(Expr::Num(f64::from(u8::from(b)))),
                    Ok(_) | Err(Stop::NotConst { .. }) => Ok(truth(self.element(f, scope, &[])?)),
                    Err(e) => Err(e),
                },
            };
        };
        let (lo, hi) = (self.integer(&range.lo, scope)?, self.integer(&range.hi, scope)?);
        self.fold(Fold::Sum, (lo, hi), &mut |f, k| {
            let k = f.index_value(k);
            let inner = scope.with(range.local, Local::Index(k));
            f.count_loops(c, depth + 1, &inner)
        })
    }

    /// A loop bound: affine in outer indices.
    pub(super) fn affine_bound(&mut self, e: &'a hir::Expr, scope: &Scope<'a>) -> R<Affine> {
        match self.affine(e, scope, Mode::Structural) {
            Err(Stop::NotConst { index: Some(index), span }) => Err(Stop::Split {
                index,
                cuts: Vec::new(),
                why: "a loop bound that depends on the index",
                span,
            }),
            Err(Stop::NotConst { span, .. }) => Err(self.not_constant(span)),
            other => other,
        }
    }

    fn comprehension_element(
        &mut self,
        c: &'a hir::Comprehension,
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        let mut inner = scope.clone();
        if c.filter.is_some() {
            let (rows, _) = self.filtered(c, scope)?;
            let Some((first, rest)) = idx.split_first() else {
                return Err(self.internal(e.span, "an array where a number is wanted"));
            };
            let k = self.choice(first, e.span)?;
            let Some(row) = rows.get(k) else {
                return Err(self.out_of_range(e.span, k as i64, rows.len() as i64));
            };
            for (r, k) in c.loops.iter().zip(row) {
                inner = inner.with(r.local, Local::Index(Affine::constant(*k)));
            }
            return self.element(&c.body, &inner, rest);
        }
        if idx.len() < c.loops.len() {
            return Err(self.internal(e.span, "an array where a number is wanted"));
        }
        for (r, a) in c.loops.iter().zip(idx) {
            let lo = self.affine_bound(&r.lo, &inner)?;
            let k = add(a, &lo).unwrap_or_default();
            inner = inner.with(r.local, Local::Index(self.settle(&k)));
        }
        self.element(&c.body, &inner, &idx[c.loops.len()..])
    }

    fn index_element(
        &mut self,
        a: &'a hir::Expr,
        subs: &'a [hir::Subscript],
        scope: &Scope<'a>,
        idx: &[Affine],
        e: &'a hir::Expr,
    ) -> R<Expr> {
        let shape = self.shape(a, scope)?;
        let mut free = idx.iter();
        let mut at = Vec::with_capacity(shape.len());
        for (k, &len) in shape.iter().enumerate() {
            at.push(match subs.get(k) {
                Some(hir::Subscript::Index(i)) => match self.subscript(i, scope, len)? {
                    Sub::Fixed(x) => x,
                    Sub::Dynamic(choice, n) => {
                        // A choice among few values: written out as comparisons.
                        return self.choose_element(a, subs, k, choice, n, scope, idx);
                    }
                },
                Some(hir::Subscript::Slice(Some(lo), _)) => {
                    let lo = self.affine_bound(lo, scope)?;
                    let next = free.next().cloned().unwrap_or_default();
                    add(&next, &lo).unwrap_or_default()
                }
                _ => match free.next() {
                    Some(x) => x.clone(),
                    None => return Err(self.internal(e.span, "fewer subscripts than axes")),
                },
            });
        }
        self.element(a, scope, &at)
    }

    #[expect(clippy::too_many_arguments, reason = "one call site")]
    fn choose_element(
        &mut self,
        a: &'a hir::Expr,
        subs: &'a [hir::Subscript],
        axis: usize,
        choice: Expr,
        len: u32,
        scope: &Scope<'a>,
        idx: &[Affine],
    ) -> R<Expr> {
        if subs.len() != 1 || axis != 0 || len > 1000 || len == 0 {
            return Err(self.refuse(
                codes::LATER_DYNAMIC,
                a.span,
                "this subscript that changes during the run",
            ));
        }
        let mut out = None;
        for k in (0..len).rev() {
            let mut at = vec![Affine::constant(k.into())];
            at.extend_from_slice(idx);
            let x = self.element(a, scope, &at)?;
            out = Some(match out {
                None => x,
                Some(rest) => {
                    let test =
                        Expr::Cmp(CmpOp::Le, Box::new(choice.clone()), Box::new(Expr::Num(k.into())), a.span);
                    choose(Expr::NoEvent(Box::new(test)), x, rest)
                }
            });
        }
        match out {
            Some(x) => Ok(x),
            None => Err(self.internal(a.span, "an empty choice")),
        }
    }
}

/// Counts the operations of an expression; `false` where it is deeper than `levels`.
fn measure(e: &Expr, levels: u32, size: &mut u64) -> bool {
    *size += 1;
    if levels == 0 {
        return false;
    }
    let mut go = |e: &Expr| measure(e, levels - 1, size);
    match e {
        Expr::Num(_)
        | Expr::Bool(_)
        | Expr::Time
        | Expr::Index(_)
        | Expr::Var(..)
        | Expr::Der(..)
        | Expr::Start(..) => true,
        Expr::VarAt { at: a, .. }
        | Expr::Un(_, a)
        | Expr::Step(_, a, _)
        | Expr::Not(a)
        | Expr::Fold(_, _, a)
        | Expr::Table(_, a)
        | Expr::NoEvent(a)
        | Expr::BoolToNum(a) => go(a),
        Expr::Bin(_, a, b) | Expr::Cmp(_, a, b, _) | Expr::BoolBin(_, a, b) | Expr::Delay(a, b) => {
            go(a) && go(b)
        }
        Expr::Math(_, list) => list.iter().all(go),
        Expr::If(c, a, b) => go(c) && go(a) && go(b),
    }
}

fn fold_of(r: Reduction) -> Fold {
    match r {
        Reduction::Sum | Reduction::Mean | Reduction::Count => Fold::Sum,
        Reduction::Product => Fold::Product,
        Reduction::Min => Fold::Min,
        Reduction::Max => Fold::Max,
        Reduction::All => Fold::All,
        Reduction::Any => Fold::Any,
    }
}

fn neutral(kind: Fold) -> Expr {
    match kind {
        Fold::Sum => Expr::Num(0.0),
        Fold::Product => Expr::Num(1.0),
        Fold::Min => Expr::Num(f64::INFINITY),
        Fold::Max => Expr::Num(f64::NEG_INFINITY),
        Fold::All => Expr::Bool(true),
        Fold::Any => Expr::Bool(false),
    }
}

/// A truth value as a number.
pub(super) fn truth(x: Expr) -> Expr {
    match x {
        Expr::Bool(b) => Expr::Num(f64::from(u8::from(b))),
        x => Expr::BoolToNum(Box::new(x)),
    }
}
