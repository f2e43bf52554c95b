//! Operators: how types, shapes and dimensions combine.

use std::rc::Rc;

use twinml_model::dimension::{Dimension, Ratio};

use super::expr::join_temp;
use super::items::bare_constant;
use super::ty::{Lit, Temp, Val, dimension, is_number, may_equal, show_shape};
use super::{Checker, Cx};
use crate::ast::{self, BinaryOp as B, ExprKind as A};
use crate::diag::{Diagnostic, codes};
use crate::hir::behavior::Op;
use crate::hir::{BinOp, CmpOp, Expr, ExprKind, Extent, Type};
use crate::source::Span;
use crate::units::Nature;

impl<'a> Checker<'a, '_> {
    /// A tree of infix operators. Chains that lean to the left (`a + b + c + …`) are walked without
    /// recursion, so a sum of a thousand terms needs no deep stack.
    pub(super) fn binary_chain(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        let mut spine = Vec::new();
        let mut first = e;
        while let A::Binary { op, left, right } = &first.kind {
            spine.push((*op, &**right, first.span));
            first = left;
        }
        let mut acc = self.expr(cx, first);
        let mut number = if let A::Number(n) = &first.kind { Some(&**n) } else { None };
        while let Some((op, right, span)) = spine.pop() {
            self.share =
                number.take().and_then(|n| meant_unit(n, op, right)).map(|help| (right.span.lo, help));
            let r = self.expr(cx, right);
            acc = match (acc, r) {
                (Some(a), Some(b)) => self.binary(cx, op, a, b, right, span),
                _ => None,
            };
        }
        acc
    }

    /// One operator of checked operands; `right` is the right one's text, for exponents.
    fn binary(
        &mut self,
        cx: &mut Cx<'a>,
        op: B,
        a: Val,
        b: Val,
        right: &'a ast::Expr,
        span: Span,
    ) -> Option<Val> {
        match op {
            B::And | B::Or | B::Xor | B::Implies => self.logic(op, a, b, span),
            _ if a.is_any() || b.is_any() => Some(dynamic(op, a, b, Type::Any, span)),
            B::Add if a.e.ty == Type::String && b.e.ty == Type::String => {
                Some(dynamic(op, a, b, Type::String, span))
            }
            B::Add | B::Sub if a.e.ty == Type::Timestamp => self.calendar(op, a, b, span),
            _ if !is_number(&a.e.ty) || !is_number(&b.e.ty) => {
                self.bad_operands(op.as_str(), &a, &b, span);
                None
            }
            B::Add | B::Sub => self.sum(op, a, b, span),
            B::Mul | B::Div => self.product(op, a, b, span),
            B::Pow => self.power(cx, a, b, Some(right), span),
        }
    }

    pub(super) fn bad_operands(&mut self, op: &str, a: &Val, b: &Val, span: Span) {
        let (x, y) = (self.describe_val(a), self.describe_val(b));
        let d = Diagnostic::new(codes::BAD_OPERANDS, span, format!("`{op}` does not take {x} and {y}"));
        self.say(d.label(a.span(), format!("this is {x}")).label(b.span(), format!("this is {y}")));
    }

    fn logic(&mut self, op: B, a: Val, b: Val, span: Span) -> Option<Val> {
        for v in [&a, &b] {
            if v.e.ty != Type::Bool && !v.is_any() {
                let what = self.describe_val(v);
                let message = format!("`{}` needs truth values", op.as_str());
                let d = Diagnostic::new(codes::BAD_OPERANDS, v.span(), message);
                self.say(d.here(format!("this is {} {what}", super::words::article(&what))));
                return None;
            }
        }
        let shape = self.broadcast(&a, &b, op.as_str(), span)?;
        let op = match op {
            B::And => BinOp::And,
            B::Or => BinOp::Or,
            B::Xor => BinOp::Xor,
            _ => BinOp::Implies,
        };
        Some(Val::of(Expr {
            kind: ExprKind::Binary(op, Box::new(a.e), Box::new(b.e)),
            ty: Type::Bool,
            shape,
            span,
        }))
    }

    fn calendar(&mut self, op: B, a: Val, b: Val, span: Span) -> Option<Val> {
        let time = Type::Real(Some(Dimension::TIME));
        match (op, &b.e.ty) {
            (B::Sub, Type::Timestamp) => Some(dynamic(op, a, b, time, span)),
            (_, t) if *t == time => Some(dynamic(op, a, b, Type::Timestamp, span)),
            _ => {
                self.bad_operands(op.as_str(), &a, &b, span);
                None
            }
        }
    }

    /// Makes two numbers agree in dimension: a literal zero takes the other's. Reports a mismatch.
    pub(super) fn unify_numbers(
        &mut self,
        op: &str,
        mut a: Val,
        mut b: Val,
        span: Span,
    ) -> Option<(Val, Val)> {
        let (x, y) = (dimension(&a.e.ty).cloned(), dimension(&b.e.ty).cloned());
        let (Some(x), Some(y)) = (x, y) else { return Some((a, b)) };
        if x == y {
            return Some((a, b));
        }
        if a.lit == Lit::Zero && b.temp != Temp::Point {
            a = adopt(a, &b);
            return Some((a, b));
        }
        if b.lit == Lit::Zero && a.temp != Temp::Point {
            b = adopt(b, &a);
            return Some((a, b));
        }
        self.unit_mismatch(op, &a, &b, span);
        None
    }

    fn unit_mismatch(&mut self, op: &str, a: &Val, b: &Val, span: Span) {
        let (x, y) = (self.describe_val(a), self.describe_val(b));
        // A bare number is mended where it stands.
        for (v, other) in [(a, b), (b, a)] {
            if matches!(v.lit, Lit::Number | Lit::Zero) {
                let unit = other.dimension().map_or(String::new(), |d| self.units.show(d));
                let unit = other.unit.as_deref().unwrap_or(&unit).to_owned();
                let what = self.describe_val(other);
                let message = format!("a bare number beside {} {what}", super::words::article(&what));
                let shown = match v.e.kind {
                    ExprKind::Int(n) => n.to_string(),
                    ExprKind::Real(x) => x.to_string(),
                    _ => "…".into(),
                };
                let d = Diagnostic::new(codes::BARE_NUMBER, v.span(), message)
                    .here("this has no unit")
                    .label(other.span(), format!("this is {} {what}", super::words::article(&what)))
                    .help(format!("write the unit: `{shown} {unit}`"));
                self.say(d);
                return;
            }
        }
        let message = match op {
            "+" => format!("{y} added to {x}"),
            "-" => format!("{y} subtracted from {x}"),
            "if" => format!("the branches of this `if` differ: {x} and {y}"),
            "<" | "<=" | ">" | ">=" | "==" | "!=" => format!("{x} compared with {y}"),
            "=" => format!("{x} equated with {y}"),
            _ => format!("{op}: {x} and {y} do not go together"),
        };
        let d = Diagnostic::new(codes::UNIT_MISMATCH, span, message)
            .label(a.span(), format!("this is {} {x}", super::words::article(&x)))
            .label(b.span(), format!("this is {} {y}", super::words::article(&y)));
        let d = match (a.dimension(), b.dimension()) {
            (Some(p), Some(q)) => match p.checked_div(q) {
                Some(r) => d.note(format!("the left side has the additional unit `{}`", self.units.show(&r))),
                None => d,
            },
            _ => d,
        };
        self.say(d);
    }

    fn sum(&mut self, op: B, a: Val, b: Val, span: Span) -> Option<Val> {
        let (a, b) = self.unify_numbers(op.as_str(), a, b, span)?;
        // Points on a temperature scale: the one that was written as a literal is the mistake.
        let temp = match (op, a.temp, b.temp) {
            (B::Add, Temp::Point, Temp::Point) => {
                if let Some(lit) = [&b, &a].into_iter().find(|v| v.lit == Lit::Scale) {
                    self.point_literal(lit, "added to a temperature");
                    return None;
                }
                Temp::Plain
            }
            (B::Add, Temp::Point, _) | (B::Add, _, Temp::Point) => Temp::Point,
            (B::Sub, Temp::Point, Temp::Point) => Temp::Difference,
            (B::Sub, Temp::Point, _) => Temp::Point,
            (B::Sub, Temp::Difference, Temp::Point) if b.lit == Lit::Scale => {
                self.point_literal(&b, "subtracted from a difference");
                return None;
            }
            (B::Sub, _, Temp::Point) => Temp::Plain,
            (_, x, y) => join_temp(x, y),
        };
        let shape = self.broadcast(&a, &b, op.as_str(), span)?;
        let nature = if b.lit == Lit::Zero || a.nature == b.nature {
            a.nature
        } else if a.lit == Lit::Zero {
            b.nature
        } else {
            self.nature_mismatch(&a, &b, span);
            Nature::Plain
        };
        let ty = wider(&a.e.ty, &b.e.ty);
        let hir_op = if op == B::Add { BinOp::Add } else { BinOp::Sub };
        let quantity = if a.quantity == b.quantity { a.quantity.clone() } else { None };
        let has_pi = a.has_pi || b.has_pi;
        let lit = if a.lit == Lit::Number && b.lit == Lit::Number { Lit::Number } else { Lit::No };
        let kind = ExprKind::Binary(hir_op, Box::new(a.e), Box::new(b.e));
        Some(Val { e: Expr { kind, ty, shape, span }, temp, nature, lit, quantity, unit: None, has_pi })
    }

    /// Warns where an angular velocity meets a frequency or a torque an energy.
    pub(super) fn nature_mismatch(&mut self, a: &Val, b: &Val, span: Span) {
        let pair = |x, y| (a.nature == x && b.nature == y) || (a.nature == y && b.nature == x);
        if a.has_pi || b.has_pi {
            return;
        }
        if !pair(Nature::Angular, Nature::Cyclic) && !pair(Nature::Torque, Nature::Energy) {
            return;
        }
        let (x, y) = (self.describe_val(a), self.describe_val(b));
        if pair(Nature::Angular, Nature::Cyclic) && !a.dimension().is_some_and(Dimension::is_one) {
            let d = Diagnostic::new(
                codes::ANGULAR_OR_CYCLIC,
                span,
                format!("{x} and {y} meet without a factor 2*pi"),
            )
            .label(a.span(), format!("this is {} {x}", super::words::article(&x)))
            .label(b.span(), format!("this is {} {y}", super::words::article(&y)))
            .help("one turn is 2*pi rad: write `2*pi*f`");
            self.say(d);
        } else if pair(Nature::Torque, Nature::Energy) {
            let d = Diagnostic::new(
                codes::TORQUE_OR_ENERGY,
                span,
                format!("{x} and {y} share a dimension and are different things"),
            )
            .label(a.span(), format!("this is {} {x}", super::words::article(&x)))
            .label(b.span(), format!("this is {} {y}", super::words::article(&y)))
            .help("a torque becomes an energy by an angle: `tau*phi`");
            self.say(d);
        }
    }

    fn product(&mut self, op: B, a: Val, b: Val, span: Span) -> Option<Val> {
        for v in [&a, &b] {
            if v.lit == Lit::Scale {
                self.point_literal(v, if op == B::Mul { "multiplied" } else { "divided" });
                return None;
            }
        }
        let d = match (dimension(&a.e.ty), dimension(&b.e.ty)) {
            (Some(x), Some(y)) => {
                let d = if op == B::Mul { x.checked_mul(y) } else { x.checked_div(y) };
                let Some(d) = d else {
                    self.exponent_too_large(span);
                    return None;
                };
                Some(d)
            }
            _ => None,
        };
        let (ra, rb) = (a.e.shape.len(), b.e.shape.len());
        let (hir_op, shape) = match (op, ra, rb) {
            (B::Mul, 1 | 2, 1 | 2) => (BinOp::MatMul, self.matmul_shape(&a, &b, span)?),
            (B::Mul, _, _) => (BinOp::Mul, self.broadcast(&a, &b, "*", span)?),
            _ => (BinOp::Div, self.broadcast(&a, &b, "/", span)?),
        };
        let both_int = a.e.ty == Type::Int && b.e.ty == Type::Int;
        let ty = if both_int && op == B::Mul {
            Type::Int
        } else if matches!(a.e.ty, Type::Complex(_)) || matches!(b.e.ty, Type::Complex(_)) {
            Type::Complex(d)
        } else {
            Type::Real(d)
        };
        let has_pi = a.has_pi || b.has_pi;
        // Scaling by a pure number keeps what a quantity is; everything else makes a new one.
        let pure = |v: &Val| dimension(&v.e.ty).is_some_and(Dimension::is_one) && v.nature == Nature::Plain;
        let (nature, temp) = if has_pi {
            (Nature::Plain, Temp::Plain)
        } else if pure(&b) {
            (a.nature, a.temp)
        } else if pure(&a) && op == B::Mul {
            (b.nature, b.temp)
        } else {
            (Nature::Plain, Temp::Plain)
        };
        // A scaled point is a plain number of kelvins; a mean of points is one too and fits both.
        let temp = if temp == Temp::Difference { temp } else { Temp::Plain };
        let lit = match (a.lit, b.lit) {
            (Lit::Number | Lit::Zero, Lit::Number | Lit::Zero) => Lit::Number,
            _ => Lit::No,
        };
        let kind = ExprKind::Binary(hir_op, Box::new(a.e), Box::new(b.e));
        Some(Val { e: Expr { kind, ty, shape, span }, temp, nature, lit, quantity: None, unit: None, has_pi })
    }

    fn exponent_too_large(&mut self, span: Span) {
        let d = Diagnostic::new(codes::BAD_EXPONENT, span, "the exponents of this unit are too large");
        self.say(d);
    }

    fn matmul_shape(&mut self, a: &Val, b: &Val, span: Span) -> Option<Vec<Extent>> {
        let (x, y) = (&a.e.shape, &b.e.shape);
        let inner = (x.last(), y.first());
        if let (Some(p), Some(q)) = inner
            && may_equal(p, q)
        {
            let mut shape = x[..x.len() - 1].to_vec();
            shape.extend_from_slice(&y[1..]);
            return Some(shape);
        }
        let (sx, sy) = (show_shape(x), show_shape(y));
        let d = Diagnostic::new(codes::SHAPE_MISMATCH, span, format!("shapes {sx} and {sy} have no product"))
            .label(a.span(), format!("shape {sx}"))
            .label(b.span(), format!("shape {sy}"))
            .note("`*` of two arrays is the matrix product: the inner lengths must agree");
        self.say(d);
        None
    }

    /// `a ^ b`, `pow(a, b)`
    pub(super) fn power(
        &mut self,
        cx: &mut Cx<'a>,
        a: Val,
        b: Val,
        right: Option<&'a ast::Expr>,
        span: Span,
    ) -> Option<Val> {
        if a.lit == Lit::Scale {
            self.point_literal(&a, "raised to a power");
            return None;
        }
        let one = |d: Option<&Dimension>| d.is_none_or(Dimension::is_one);
        if !one(b.dimension()) {
            let what = self.describe_val(&b);
            let d = Diagnostic::new(codes::BAD_EXPONENT, b.span(), "an exponent is a plain number");
            self.say(d.here(format!("this is {} {what}", super::words::article(&what))));
            return None;
        }
        let constant = right.and_then(bare_constant);
        let d = match a.dimension() {
            None => None,
            Some(d) if d.is_one() => Some(Dimension::ONE),
            Some(d) => {
                let Some(x) = constant else {
                    let what = self.describe_val(&a);
                    let d = Diagnostic::new(
                        codes::BAD_EXPONENT,
                        b.span(),
                        format!(
                            "the exponent of {} {what} must be a constant number",
                            super::words::article(&what)
                        ),
                    );
                    self.say(
                        d.here("the unit of the power depends on this")
                            .help("divide the base by a reference first: `(p/p_ref)^n`"),
                    );
                    return None;
                };
                let found = Ratio::from_f64(x).and_then(|r| d.pow(r));
                let Some(found) = found else {
                    let d =
                        Diagnostic::new(codes::BAD_EXPONENT, b.span(), "a unit cannot have this exponent");
                    self.say(d.help("exponents of units are small fractions: 2, 0.5, 1/3"));
                    return None;
                };
                Some(found)
            }
        };
        let _ = cx;
        let square = a.e.shape.len() == 2 && b.e.shape.is_empty();
        let shape = self.broadcast(&a, &b, "^", span)?;
        if square && !may_equal(&a.e.shape[0], &a.e.shape[1]) {
            let d = Diagnostic::new(codes::SHAPE_MISMATCH, a.span(), "only a square matrix has powers");
            self.say(d);
            return None;
        }
        let int = a.e.ty == Type::Int
            && constant.is_some_and(|x| x >= 0.0 && x == x.trunc())
            && b.e.ty == Type::Int;
        let ty = if int {
            Type::Int
        } else if matches!(a.e.ty, Type::Complex(_)) {
            Type::Complex(d)
        } else {
            Type::Real(d)
        };
        let has_pi = a.has_pi;
        let lit = if a.lit == Lit::Number && b.lit != Lit::No { Lit::Number } else { Lit::No };
        let kind = ExprKind::Binary(BinOp::Pow, Box::new(a.e), Box::new(b.e));
        let mut v = Val::of(Expr { kind, ty, shape, span });
        (v.has_pi, v.lit) = (has_pi, lit);
        Some(v)
    }

    /// `a < b`, `0 <= x <= 1`: the conjunction of neighbours.
    pub(super) fn compare(
        &mut self,
        cx: &mut Cx<'a>,
        first: &'a ast::Expr,
        rest: &'a [(ast::CompareOp, ast::Expr)],
        span: Span,
    ) -> Option<Val> {
        let mut texts = vec![first];
        texts.extend(rest.iter().map(|(_, e)| e));
        let vals: Vec<Option<Val>> = texts.iter().map(|e| self.expr(cx, e)).collect();
        let mut out: Option<Val> = None;
        let mut ok = true;
        for (i, (op, _)) in rest.iter().enumerate() {
            let (Some(a), Some(b)) = (vals[i].clone(), vals[i + 1].clone()) else {
                ok = false;
                continue;
            };
            let (a, b) = self.beside_self(cx, (texts[i], a), (texts[i + 1], b))?;
            let pair = a.span().to(b.span());
            let Some(one) = self.compare_two(cx, *op, a, b, pair) else {
                ok = false;
                continue;
            };
            out = match out {
                None => Some(one),
                Some(acc) => {
                    let shape = self.broadcast(&acc, &one, "and", span)?;
                    let kind = ExprKind::Binary(BinOp::And, Box::new(acc.e), Box::new(one.e));
                    Some(Val::of(Expr { kind, ty: Type::Bool, shape, span }))
                }
            };
        }
        if ok { out } else { None }
    }

    pub(super) fn compare_two(
        &mut self,
        cx: &Cx<'a>,
        op: ast::CompareOp,
        a: Val,
        b: Val,
        span: Span,
    ) -> Option<Val> {
        use ast::CompareOp as C;
        let cmp = match op {
            C::Eq => CmpOp::Eq,
            C::Ne => CmpOp::Ne,
            C::Lt => CmpOp::Lt,
            C::Le => CmpOp::Le,
            C::Gt => CmpOp::Gt,
            C::Ge => CmpOp::Ge,
        };
        if a.is_any() || b.is_any() {
            return Some(Val::behavior(Op::Compare(cmp, a.e, b.e), Type::Bool, span));
        }
        let equality = matches!(op, C::Eq | C::Ne);
        let numbers = is_number(&a.e.ty) && is_number(&b.e.ty);
        if !numbers {
            let same = a.e.ty == b.e.ty
                || super::expr::optional_fits(&a.e.ty, &b.e.ty)
                || super::expr::optional_fits(&b.e.ty, &a.e.ty);
            let ordered = matches!(a.e.ty, Type::Timestamp | Type::String);
            if !same || !(equality || ordered) {
                self.bad_operands(op.as_str(), &a, &b, span);
                return None;
            }
            let shape = self.broadcast(&a, &b, op.as_str(), span)?;
            let plain =
                matches!(a.e.ty, Type::Bool | Type::Enum(_)) && matches!(b.e.ty, Type::Bool | Type::Enum(_));
            let kind = if plain {
                ExprKind::Binary(BinOp::Cmp(cmp), Box::new(a.e), Box::new(b.e))
            } else {
                ExprKind::Behavior(Rc::new(Op::Compare(cmp, a.e, b.e)))
            };
            return Some(Val::of(Expr { kind, ty: Type::Bool, shape, span }));
        }
        // A formula of parameters makes no event; textbook equations may compare there.
        let real = |v: &Val| v.e.ty != Type::Int && v.lit != Lit::Number;
        if equality && (real(&a) || real(&b)) && !cx.exact && !cx.units_off {
            let d = Diagnostic::new(
                codes::REAL_EQUALITY,
                span,
                format!("`{}` between real numbers", op.as_str()),
            )
            .here("rounding decides this, not the model")
            .help("compare with a tolerance, `abs(a - b) < eps`, or wrap it in `noevent(…)`");
            self.say(d);
            return None;
        }
        let (a, b) = self.unify_numbers(op.as_str(), a, b, span)?;
        match (a.temp, b.temp) {
            (Temp::Point, Temp::Difference) | (Temp::Difference, Temp::Point) => {
                let d = Diagnostic::new(
                    codes::TEMPERATURE_POINT,
                    span,
                    "a temperature compared with a difference of temperatures",
                );
                let word =
                    |v: &Val| if v.temp == Temp::Point { "a point on the scale" } else { "a difference" };
                let (x, y) = (word(&a), word(&b));
                self.say(d.label(a.span(), x).label(b.span(), y).help("for a difference write `K`"));
                return None;
            }
            _ => {}
        }
        self.nature_mismatch(&a, &b, span);
        let shape = self.broadcast(&a, &b, op.as_str(), span)?;
        let kind = ExprKind::Binary(BinOp::Cmp(cmp), Box::new(a.e), Box::new(b.e));
        Some(Val::of(Expr { kind, ty: Type::Bool, shape, span }))
    }
}

/// What helps where a unit was meant to go on behind a number: `3/min`, `1000 kg / m^3`.
fn meant_unit(number: &ast::Number, op: B, right: &ast::Expr) -> Option<String> {
    let (name, power) = match &right.kind {
        A::Name(n) => (n, String::new()),
        A::Binary { op: B::Pow, left, right } => match (&left.kind, &right.kind) {
            (A::Name(n), A::Number(power)) => (n, format!("^{}", power.text)),
            _ => return None,
        },
        _ => return None,
    };
    let (text, name) = (&number.text, name.as_str());
    match (&number.unit, op) {
        (None, B::Div) if power.is_empty() => {
            Some(format!("for the unit write `{text} [1/{name}]` or `{text} {name}^-1`"))
        }
        (Some(unit), B::Div | B::Mul) => {
            let unit = crate::units::unit_text(unit);
            let run = format!("{text} {unit}{}{name}{power}", op.as_str().trim());
            Some(format!("`{name}` is a unit, and a unit run has no spaces: `{run}`"))
        }
        _ => None,
    }
}

/// An operator whose operands are judged at run time.
fn dynamic(op: B, a: Val, b: Val, ty: Type, span: Span) -> Val {
    let op = match op {
        B::Add => BinOp::Add,
        B::Sub => BinOp::Sub,
        B::Mul => BinOp::Mul,
        B::Div => BinOp::Div,
        B::Pow => BinOp::Pow,
        B::And => BinOp::And,
        B::Or => BinOp::Or,
        B::Xor => BinOp::Xor,
        B::Implies => BinOp::Implies,
    };
    Val::behavior(Op::Binary(op, a.e, b.e), ty, span)
}

/// A literal zero in another's dimension.
fn adopt(mut zero: Val, other: &Val) -> Val {
    zero.e.kind = ExprKind::Real(0.0);
    zero.e.ty = other.e.ty.clone();
    zero
}

/// The type of a sum: `Int` only of two whole numbers.
pub(super) fn wider(a: &Type, b: &Type) -> Type {
    match (a, b) {
        (Type::Complex(_), _) => a.clone(),
        (_, Type::Complex(_)) => b.clone(),
        (Type::Int, _) => b.clone(),
        // Without a dimension on one side the other's says more.
        (Type::Real(None), Type::Real(Some(_))) => b.clone(),
        _ => a.clone(),
    }
}
