//! Guards that can be left: `if h > 0 then sqrt(h) else 0`.
//!
//! The comparison is frozen between events, so that steps see one smooth branch; but a trial step goes a little beyond the root
//! before that is found, and the branch may have no value there. Where the frozen branch is not finite, and the comparison as it
//! is says otherwise, the other branch is taken: the step ends with finite values on both sides, and the root lies inside it.
//!
//! A branch that divides by what is compared with zero, as `if s > 0 then exp(-1/s) else 0`, has a pole at the root: what it
//! yields beyond is finite and means nothing (`exp(-1/s)` is huge there), so that the comparison as it is rules at once.

use crate::flat::{BinOp, CmpOp, Expr, UnOp};
use crate::source::Span;
use crate::structural::expr;
use twinml_model::ids::VarId;
use twinml_model::ir::MathFn;

/// The condition of an `if` with these branches: the `frozen` one, but for what is said above. `live` is the same condition as it
/// is. `None` where the branches have values everywhere, or where the comparison would bring in unknowns that they do not have:
/// an equation is to depend on nothing new. `known` tells which families are no unknowns.
pub fn condition(
    frozen: &Expr,
    live: &Expr,
    branches: [&Expr; 2],
    varies: &dyn Fn(&Expr) -> bool,
    known: &dyn Fn(VarId) -> bool,
) -> Option<Expr> {
    let mut parts = [Vec::new(), Vec::new()];
    for (branch, parts) in branches.into_iter().zip(&mut parts) {
        partial(branch, varies, parts);
    }
    if parts.iter().all(Vec::is_empty) {
        return None;
    }
    let mut own = Vec::new();
    branches.iter().for_each(|b| expr::uses(b, &mut |u| own.push((u.var, u.der))));
    let mut new = false;
    expr::uses(live, &mut |u| new |= u.der || !(known(u.var) || own.contains(&(u.var, u.der))));
    if new {
        return None;
    }
    let mut zeros = Vec::new();
    compared(live, &mut zeros);
    let [then, otherwise] = parts.map(|parts| {
        // At the root itself the branch may have its limit, as `exp(-1/s)` does.
        let at_root =
            zeros.iter().filter(|z| parts.iter().any(|e| has_pole(e, z))).map(|z| size(z, CmpOp::Le, 0.0));
        let finite = parts.iter().map(|e| size(e, CmpOp::Lt, f64::INFINITY));
        all(finite.chain(at_root))
    });
    let live = || Box::new(Expr::NoEvent(Box::new(live.clone())));
    let stays = Expr::If(live(), Box::new(Expr::Bool(true)), Box::new(then));
    let leaves = Expr::If(live(), Box::new(Expr::Not(Box::new(otherwise))), Box::new(Expr::Bool(false)));
    Some(Expr::If(Box::new(frozen.clone()), Box::new(stays), Box::new(leaves)))
}

/// What vanishes where the comparisons of a condition change.
fn compared(condition: &Expr, out: &mut Vec<Expr>) {
    match condition {
        Expr::Cmp(_, a, b, _) => {
            let zero = |e: &Expr| *e == Expr::Num(0.0);
            let sub = |a: &Expr, b: &Expr| Expr::Bin(BinOp::Sub, Box::new(a.clone()), Box::new(b.clone()));
            match (zero(a), zero(b)) {
                (_, true) => out.push((**a).clone()),
                (true, _) => out.push((**b).clone()),
                _ => out.extend([sub(a, b), sub(b, a)]),
            }
        }
        Expr::BoolBin(..) | Expr::Not(_) => expr::children(condition, &mut |c| compared(c, out)),
        _ => {}
    }
}

/// Whether an expression divides by `zero`.
fn has_pole(e: &Expr, zero: &Expr) -> bool {
    let mut any = match e {
        Expr::Bin(BinOp::Div, _, b) => has_factor(b, zero),
        Expr::Bin(BinOp::Pow, a, b) => matches!(**b, Expr::Num(n) if n < 0.0) && has_factor(a, zero),
        _ => false,
    };
    if !matches!(e, Expr::Fold(..)) {
        expr::children(e, &mut |c| any = any || has_pole(c, zero));
    }
    any
}

fn has_factor(e: &Expr, zero: &Expr) -> bool {
    let inside = match e {
        Expr::Bin(BinOp::Mul, a, b) => has_factor(a, zero) || has_factor(b, zero),
        Expr::Bin(BinOp::Div | BinOp::Pow, a, _) | Expr::Un(UnOp::Neg | UnOp::Abs | UnOp::Sqrt, a) => {
            has_factor(a, zero)
        }
        _ => false,
    };
    inside || e == zero
}

/// How the magnitude of `e` compares with a bound; false for a NaN.
fn size(e: &Expr, op: CmpOp, bound: f64) -> Expr {
    let size = Expr::Un(UnOp::Abs, Box::new(e.clone()));
    Expr::NoEvent(Box::new(Expr::Cmp(op, Box::new(size), Box::new(Expr::Num(bound)), Span::default())))
}

/// Whether all of these hold.
fn all(conditions: impl Iterator<Item = Expr>) -> Expr {
    let conditions: Vec<Expr> = conditions.collect();
    conditions.into_iter().rev().fold(Expr::Bool(true), |rest, one| match rest {
        Expr::Bool(true) => one,
        rest => Expr::If(Box::new(one), Box::new(rest), Box::new(Expr::Bool(false))),
    })
}

/// The largest terms of an expression that need not have a value.
fn partial(e: &Expr, varies: &dyn Fn(&Expr) -> bool, out: &mut Vec<Expr>) {
    let term = matches!(
        e,
        Expr::Math(..) | Expr::Bin(BinOp::Div | BinOp::Mul | BinOp::Pow, ..) | Expr::Un(UnOp::Sqrt, _)
    );
    if term && has_partial(e, varies) {
        out.push(e.clone());
    } else if !matches!(e, Expr::Fold(..)) {
        expr::children(e, &mut |c| partial(c, varies, out));
    }
}

fn has_partial(e: &Expr, varies: &dyn Fn(&Expr) -> bool) -> bool {
    let here = match e {
        Expr::Un(UnOp::Sqrt, a) => varies(a),
        Expr::Bin(BinOp::Div, _, b) => varies(b),
        Expr::Bin(BinOp::Pow, a, b) => {
            let whole = matches!(&**b, Expr::Num(n) if *n >= 0.0 && n.trunc() == *n);
            !whole && (varies(a) || varies(b))
        }
        Expr::Math(f, args) => {
            let partial = matches!(
                f,
                MathFn::Log
                    | MathFn::Log1p
                    | MathFn::Log10
                    | MathFn::Log2
                    | MathFn::Asin
                    | MathFn::Acos
                    | MathFn::Acosh
                    | MathFn::Atanh
                    | MathFn::Pow
                    | MathFn::Gamma
            );
            partial && args.iter().any(varies)
        }
        _ => false,
    };
    let mut any = here;
    if !matches!(e, Expr::Fold(..)) {
        expr::children(e, &mut |c| any = any || has_partial(c, varies));
    }
    any
}
