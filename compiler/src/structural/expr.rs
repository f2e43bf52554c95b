//! Walking and rewriting flat expressions.

use crate::flat::{Affine, BinOp, Expr, Loop, UnOp};
use twinml_model::ids::{Index, VarId};

/// One use of a family in an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// The family.
    pub var: VarId,
    /// Whether it is the derivative that is used.
    pub der: bool,
    /// The element; may use loops of reductions.
    pub at: Affine,
    /// Loops of the reductions that enclose the use, outermost first.
    pub inner: Vec<Loop>,
    /// Whether the element is chosen at run time: `at` is the first of `len` elements `stride` apart.
    pub dynamic: Option<(u32, i64)>,
}

/// Calls `f` for every use of a value or derivative in `e`, in reading order.
pub fn uses(e: &Expr, f: &mut impl FnMut(Use)) {
    let mut inner = Vec::new();
    walk(e, &mut inner, f);
}

fn walk(e: &Expr, inner: &mut Vec<Loop>, f: &mut impl FnMut(Use)) {
    match e {
        Expr::Var(var, at) => {
            f(Use { var: *var, der: false, at: at.clone(), inner: inner.clone(), dynamic: None })
        }
        Expr::Der(var, at) => {
            f(Use { var: *var, der: true, at: at.clone(), inner: inner.clone(), dynamic: None })
        }
        Expr::VarAt { var, base, at, len, stride, .. } => {
            walk(at, inner, f);
            f(Use {
                var: *var,
                der: false,
                at: base.clone(),
                inner: inner.clone(),
                dynamic: Some((*len, *stride)),
            });
        }
        Expr::Fold(_, l, body) => {
            inner.push(**l);
            walk(body, inner, f);
            inner.pop();
        }
        // What is delayed is read from history, not from this instant.
        Expr::Delay(_, tau) => walk(tau, inner, f),
        _ => children(e, &mut |c| walk(c, inner, f)),
    }
}

/// The number that a formula of numbers is, and of what else is `known` to be one.
pub fn number(e: &Expr, known: &impl Fn(&Expr) -> Option<f64>) -> Option<f64> {
    match e {
        Expr::Num(x) => Some(*x),
        Expr::Un(UnOp::Neg, a) => Some(-number(a, known)?),
        Expr::Bin(op, a, b) => {
            let (a, b) = (number(a, known)?, number(b, known)?);
            match op {
                BinOp::Add => Some(a + b),
                BinOp::Sub => Some(a - b),
                BinOp::Mul => Some(a * b),
                BinOp::Div => Some(a / b),
                _ => None,
            }
        }
        _ => known(e),
    }
}

/// Calls `f` on each direct subexpression.
pub fn children<'a>(e: &'a Expr, f: &mut impl FnMut(&'a Expr)) {
    match e {
        Expr::Num(_)
        | Expr::Bool(_)
        | Expr::Time
        | Expr::Index(_)
        | Expr::Var(..)
        | Expr::Der(..)
        | Expr::Start(..) => {}
        Expr::VarAt { at, .. } => f(at),
        Expr::Un(_, a)
        | Expr::Step(_, a, _)
        | Expr::Not(a)
        | Expr::Fold(_, _, a)
        | Expr::Table(_, a)
        | Expr::NoEvent(a)
        | Expr::BoolToNum(a) => f(a),
        Expr::Bin(_, a, b) | Expr::Cmp(_, a, b, _) | Expr::BoolBin(_, a, b) | Expr::Delay(a, b) => {
            f(a);
            f(b);
        }
        Expr::If(c, a, b) => {
            f(c);
            f(a);
            f(b);
        }
        Expr::Math(_, args) => args.iter().for_each(f),
    }
}

/// Rebuilds `e` bottom-up: `f` sees every node with its children already rebuilt.
pub fn rewrite(e: &Expr, f: &mut impl FnMut(Expr) -> Expr) -> Expr {
    let mut go = |x: &Expr| Box::new(rewrite(x, f));
    let new = match e {
        Expr::Num(_)
        | Expr::Bool(_)
        | Expr::Time
        | Expr::Index(_)
        | Expr::Var(..)
        | Expr::Der(..)
        | Expr::Start(..) => e.clone(),
        Expr::VarAt { var, base, at, len, stride, span } => {
            Expr::VarAt { var: *var, base: base.clone(), at: go(at), len: *len, stride: *stride, span: *span }
        }
        Expr::Un(op, a) => Expr::Un(*op, go(a)),
        Expr::Step(op, a, s) => Expr::Step(*op, go(a), *s),
        Expr::Not(a) => Expr::Not(go(a)),
        Expr::Fold(op, l, a) => Expr::Fold(*op, l.clone(), go(a)),
        Expr::Table(t, a) => Expr::Table(*t, go(a)),
        Expr::NoEvent(a) => Expr::NoEvent(go(a)),
        Expr::BoolToNum(a) => Expr::BoolToNum(go(a)),
        Expr::Bin(op, a, b) => Expr::Bin(*op, go(a), go(b)),
        Expr::Cmp(op, a, b, s) => Expr::Cmp(*op, go(a), go(b), *s),
        Expr::BoolBin(op, a, b) => Expr::BoolBin(*op, go(a), go(b)),
        Expr::Delay(a, b) => Expr::Delay(go(a), go(b)),
        Expr::If(c, a, b) => Expr::If(go(c), go(a), go(b)),
        Expr::Math(m, args) => Expr::Math(*m, args.iter().map(|a| rewrite(a, f)).collect()),
    };
    f(new)
}

/// Replaces loop index `index` by the affine `by` in an affine function.
pub fn substitute(at: &Affine, index: Index, by: &Affine) -> Affine {
    let Some(k) = at.terms.iter().position(|t| t.0 == index) else { return at.clone() };
    let stride = at.terms[k].1;
    let mut new = at.clone();
    new.terms.remove(k);
    new.base += stride * by.base;
    by.terms.iter().fold(new, |a, &(i, s)| a.plus(i, stride * s))
}

/// Replaces loop index `index` by `by` everywhere in an expression.
pub fn substitute_index(e: &Expr, index: Index, by: &Affine) -> Expr {
    rewrite(e, &mut |x| match x {
        Expr::Var(v, at) => Expr::Var(v, substitute(&at, index, by)),
        Expr::Der(v, at) => Expr::Der(v, substitute(&at, index, by)),
        Expr::Start(v, at) => Expr::Start(v, substitute(&at, index, by)),
        Expr::Index(at) => Expr::Index(substitute(&at, index, by)),
        Expr::VarAt { var, base, at, len, stride, span } => {
            Expr::VarAt { var, base: substitute(&base, index, by), at, len, stride, span }
        }
        other => other,
    })
}

/// The largest loop index used in `e` (as enclosing or reduction loop), plus one.
pub fn index_bound(e: &Expr, mut bound: u32) -> u32 {
    let of = |at: &Affine, b: u32| at.terms.iter().fold(b, |b, t| b.max(t.0.0 + 1));
    match e {
        Expr::Var(_, at) | Expr::Der(_, at) | Expr::Start(_, at) | Expr::Index(at) => bound = of(at, bound),
        Expr::VarAt { base, .. } => bound = of(base, bound),
        Expr::Fold(_, l, _) => bound = bound.max(l.index.0 + 1),
        _ => {}
    }
    children(e, &mut |c| bound = index_bound(c, bound));
    bound
}

/// Whether the element `at` of `var` (or of its derivative) may occur in `e`. Exact for equal affine
/// functions; anything else of the same family counts as an occurrence.
pub fn mentions(e: &Expr, var: VarId, der: bool) -> bool {
    let mut found = false;
    uses(e, &mut |u| found |= u.var == var && u.der == der);
    found
}
