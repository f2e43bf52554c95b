//! Solving one equation for one unknown, symbolically, where that is safe and exact in form.

use super::expr;
use crate::flat::{Affine, BinOp, Expr, Fold, UnOp};
use twinml_model::ids::VarId;

/// An unknown element: a family's value or derivative at an affine place.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The family.
    pub var: VarId,
    /// Derivative instead of value.
    pub der: bool,
    /// Which element.
    pub at: Affine,
}

impl Target {
    fn is(&self, e: &Expr) -> bool {
        match e {
            Expr::Var(v, at) => !self.der && *v == self.var && *at == self.at,
            Expr::Der(v, at) => self.der && *v == self.var && *at == self.at,
            _ => false,
        }
    }

    /// How often `e` mentions exactly this element.
    pub fn count(&self, e: &Expr) -> usize {
        let mut n = 0;
        expr::uses(e, &mut |u| {
            n +=
                usize::from(u.var == self.var && u.der == self.der && u.at == self.at && u.dynamic.is_none());
        });
        n
    }
}

/// The right side of `target = …`, equivalent to `left = right`; `None` where the target does not occur
/// linearly. `divisor` judges what may be divided by.
pub fn isolate(left: &Expr, right: &Expr, target: &Target, divisor: &dyn Fn(&Expr) -> bool) -> Option<Expr> {
    match (target.count(left), target.count(right)) {
        (1, 0) => peel(left, right.clone(), target, divisor),
        (0, 1) => peel(right, left.clone(), target, divisor),
        (0, 0) => None,
        _ => None,
    }
    .or_else(|| {
        // a·u + b = 0
        let (a, b) = linear(&sub(left.clone(), right.clone()), target)?;
        if is_zero(&a) || !divisor(&a) {
            return None;
        }
        Some(div(neg(b), a))
    })
}

/// Undoes one operation after the other until the target stands alone.
fn peel(side: &Expr, other: Expr, target: &Target, divisor: &dyn Fn(&Expr) -> bool) -> Option<Expr> {
    let (mut side, mut other) = (side, other);
    loop {
        if target.is(side) {
            return Some(other);
        }
        match side {
            Expr::Un(UnOp::Neg, a) => {
                other = neg(other);
                side = a;
            }
            Expr::NoEvent(a) => side = a,
            Expr::Bin(op, a, b) => {
                let in_a = target.count(a) > 0;
                let (inner, rest) = if in_a { (a, b) } else { (b, a) };
                other = match op {
                    BinOp::Add => sub(other, (**rest).clone()),
                    BinOp::Sub if in_a => add(other, (**rest).clone()),
                    BinOp::Sub => sub((**rest).clone(), other),
                    BinOp::Mul if divisor(rest) => div(other, (**rest).clone()),
                    BinOp::Div if in_a => mul(other, (**rest).clone()),
                    BinOp::Div if divisor(&other) => div((**rest).clone(), other),
                    _ => return None,
                };
                side = inner;
            }
            _ => return None,
        }
    }
}

/// `e = a·target + b` with `a`, `b` free of the target, or `None`.
pub fn linear(e: &Expr, target: &Target) -> Option<(Expr, Expr)> {
    if target.is(e) {
        return Some((Expr::Num(1.0), Expr::Num(0.0)));
    }
    if target.count(e) == 0 {
        return Some((Expr::Num(0.0), e.clone()));
    }
    match e {
        Expr::Un(UnOp::Neg, x) => {
            let (a, b) = linear(x, target)?;
            Some((neg(a), neg(b)))
        }
        Expr::NoEvent(x) => linear(x, target),
        Expr::Bin(op, x, y) => {
            let ((ax, bx), (ay, by)) = (linear(x, target)?, linear(y, target)?);
            match op {
                BinOp::Add => Some((add(ax, ay), add(bx, by))),
                BinOp::Sub => Some((sub(ax, ay), sub(bx, by))),
                BinOp::Mul if is_zero(&ay) => Some((mul(ax, by.clone()), mul(bx, by))),
                BinOp::Mul if is_zero(&ax) => Some((mul(bx.clone(), ay), mul(bx, by))),
                BinOp::Div if is_zero(&ay) => Some((div(ax, by.clone()), div(bx, by))),
                _ => None,
            }
        }
        Expr::If(c, x, y) if target.count(c) == 0 => {
            let ((ax, bx), (ay, by)) = (linear(x, target)?, linear(y, target)?);
            let pick = |p: Expr, q: Expr| {
                if p == q { p } else { Expr::If(c.clone(), Box::new(p), Box::new(q)) }
            };
            Some((pick(ax, ay), pick(bx, by)))
        }
        _ => None,
    }
}

/// 0 where no unknown occurs, 1 where `e` is affine in all unknowns together, 2 otherwise.
pub fn degree(e: &Expr, unknown: &impl Fn(VarId, bool) -> bool) -> u8 {
    let any = |e: &Expr| {
        let mut found = false;
        expr::uses(e, &mut |u| found |= unknown(u.var, u.der));
        if found { 2 } else { 0 }
    };
    match e {
        Expr::Var(v, _) => u8::from(unknown(*v, false)),
        Expr::Der(v, _) => u8::from(unknown(*v, true)),
        Expr::Un(UnOp::Neg, a) | Expr::NoEvent(a) | Expr::Fold(Fold::Sum, _, a) => degree(a, unknown),
        Expr::Bin(BinOp::Add | BinOp::Sub, a, b) => degree(a, unknown).max(degree(b, unknown)),
        Expr::Bin(BinOp::Mul, a, b) => (degree(a, unknown) + degree(b, unknown)).min(2),
        Expr::Bin(BinOp::Div, a, b) => {
            if degree(b, unknown) == 0 {
                degree(a, unknown)
            } else {
                2
            }
        }
        Expr::If(c, a, b) => {
            if degree(c, unknown) == 0 {
                degree(a, unknown).max(degree(b, unknown))
            } else {
                2
            }
        }
        _ => any(e),
    }
}

fn is_zero(e: &Expr) -> bool {
    matches!(e, Expr::Num(x) if *x == 0.0)
}

fn is_one(e: &Expr) -> bool {
    matches!(e, Expr::Num(x) if *x == 1.0)
}

/// `-a`
pub fn neg(a: Expr) -> Expr {
    match a {
        Expr::Num(x) => Expr::Num(if x == 0.0 { 0.0 } else { -x }),
        Expr::Un(UnOp::Neg, x) => *x,
        Expr::Bin(BinOp::Sub, x, y) => Expr::Bin(BinOp::Sub, y, x),
        a => Expr::Un(UnOp::Neg, Box::new(a)),
    }
}

/// `a + b`
pub fn add(a: Expr, b: Expr) -> Expr {
    match (a, b) {
        (a, b) if is_zero(&a) => b,
        (a, b) if is_zero(&b) => a,
        (a, Expr::Un(UnOp::Neg, b)) => sub(a, *b),
        (a, b) => Expr::Bin(BinOp::Add, Box::new(a), Box::new(b)),
    }
}

/// `a - b`
pub fn sub(a: Expr, b: Expr) -> Expr {
    match (a, b) {
        (a, b) if is_zero(&b) => a,
        (a, b) if is_zero(&a) => neg(b),
        (a, Expr::Un(UnOp::Neg, b)) => add(a, *b),
        (a, b) => Expr::Bin(BinOp::Sub, Box::new(a), Box::new(b)),
    }
}

/// `a * b`
pub fn mul(a: Expr, b: Expr) -> Expr {
    match (a, b) {
        (a, b) if is_zero(&a) || is_zero(&b) => Expr::Num(0.0),
        (a, b) if is_one(&a) => b,
        (a, b) if is_one(&b) => a,
        (a, b) => Expr::Bin(BinOp::Mul, Box::new(a), Box::new(b)),
    }
}

/// `a / b`
pub fn div(a: Expr, b: Expr) -> Expr {
    match (a, b) {
        (a, b) if is_one(&b) => a,
        (a, b) if is_zero(&a) && !is_zero(&b) => Expr::Num(0.0),
        (a, Expr::Num(-1.0)) => neg(a),
        (a, b) => Expr::Bin(BinOp::Div, Box::new(a), Box::new(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(k: u32) -> Expr {
        Expr::Var(VarId(k), Affine::constant(0))
    }
    fn t(k: u32) -> Target {
        Target { var: VarId(k), der: false, at: Affine::constant(0) }
    }
    fn any(_: &Expr) -> bool {
        true
    }

    #[test]
    fn either_side_and_any_depth() {
        // v1 - v2 = v3*v0 + v4  for v0
        let left = sub(v(1), v(2));
        let right = add(mul(v(3), v(0)), v(4));
        let got = isolate(&left, &right, &t(0), &any);
        assert_eq!(got, Some(div(sub(sub(v(1), v(2)), v(4)), v(3))));
    }

    #[test]
    fn an_unknown_on_both_sides_is_collected() {
        // v0 = v1 - v2*v0  →  v0 = v1/(1 + v2)
        let got = isolate(&v(0), &sub(v(1), mul(v(2), v(0))), &t(0), &any);
        assert_eq!(got, Some(div(v(1), add(Expr::Num(1.0), v(2)))));
    }

    #[test]
    fn what_is_not_linear_is_left_alone() {
        assert_eq!(isolate(&mul(v(0), v(0)), &v(1), &t(0), &any), None);
        assert_eq!(isolate(&Expr::Un(UnOp::Sqrt, Box::new(v(0))), &v(1), &t(0), &any), None);
        let refuse = |_: &Expr| false;
        assert_eq!(isolate(&mul(v(2), v(0)), &v(1), &t(0), &refuse), None);
    }
}
