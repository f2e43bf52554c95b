//! Loops of a network that one linear unknown closes: solved in closed form, the same way at every element.
//!
//! A cell's current and the voltage across it depend on one another; so do those of each of ten thousand cells, but
//! not of one cell on another's. Such a component is eliminated equation by equation (each solved for the unknown
//! that it is matched to, and put into the others) until one equation in one unknown is left; where that is linear,
//! the loop is a few assignments instead of Newton's method. Formulas are put into one another, so only small loops
//! qualify; the others stay blocks.

use super::expr;
use super::isolate::{self, Target};
use super::matching::Matching;
use super::order::{Assignment, Divisor};
use super::problem::{AtomId, Problem};
use crate::flat::{Equation, Expr, Loop};

/// Most equations of such a loop.
const MOST: usize = 12;
/// Most operations of what is put together.
const LONGEST: usize = 600;

/// An equation that is not used up.
struct Open {
    eq: usize,
    target: Target,
    left: Expr,
    right: Expr,
}

/// The assignments that solve component `c`, in their order, in one nest of loops.
pub fn solve(
    p: &Problem,
    m: &Matching,
    c: &[usize],
    divisor: Divisor<'_>,
) -> Option<(Vec<Loop>, Vec<Assignment>)> {
    if c.len() < 2 || c.len() > MOST || !each_round_alone(p, m, c) {
        return None;
    }
    let loops = p.equations[c[0]].loops.clone();
    let mut open: Vec<Open> = c
        .iter()
        .map(|&eq| {
            let Equation { left, right, .. } = p.equations[eq].clone();
            Some(Open { eq, target: target(p, m, eq)?, left, right })
        })
        .collect::<Option<_>>()?;
    let mut eliminated: Vec<Assignment> = Vec::new();
    while open.len() > 1 {
        // The shortest formula first: it is put into all others.
        let solved = open.iter().enumerate().filter_map(|(k, o)| {
            let value = isolate::isolate(&o.left, &o.right, &o.target, divisor)?;
            Some((size(&value), k, value))
        });
        let (_, k, value) = solved.min_by_key(|(size, k, _)| (*size, *k))?;
        let Open { eq, target, .. } = open.remove(k);
        for o in &mut open {
            put_in(&mut o.left, &target, &value);
            put_in(&mut o.right, &target, &value);
            if size(&o.left) + size(&o.right) > LONGEST {
                return None;
            }
        }
        eliminated.push(Assignment { target, value, equation: eq });
    }
    let Open { eq, target, left, right } = open.pop()?;
    // Alone, as outside of any loop: where the coefficient vanishes there is no solution.
    let value = isolate::isolate(&left, &right, &target, &|d| !vanishes(d))?;
    if target.count(&value) > 0 || size(&value) > LONGEST {
        return None;
    }
    let mut body = vec![Assignment { target, value, equation: eq }];
    body.extend(eliminated.into_iter().rev());
    Some((loops, body))
}

fn target(p: &Problem, m: &Matching, eq: usize) -> Option<Target> {
    let r = &p.refs[eq][m.chosen[eq]?];
    let a = p.atoms[r.atom.0 as usize];
    Some(Target { var: a.var, der: a.der, at: r.at.clone() })
}

/// Whether all equations stand in the same loops, and what one reads of another is of its own round.
fn each_round_alone(p: &Problem, m: &Matching, c: &[usize]) -> bool {
    let loops = &p.equations[c[0]].loops;
    let own = |eq: usize| m.chosen[eq].map(|k| &p.refs[eq][k]);
    c.iter().all(|&eq| {
        p.equations[eq].loops == *loops
            && p.refs[eq].iter().all(|r| {
                c.iter().all(|&other| {
                    let Some(o) = own(other) else { return false };
                    let apart = |a: AtomId| a != o.atom;
                    apart(r.atom)
                        || (r.matchable && r.at == o.at)
                        || !r.cover.iter().any(|s| o.cover.iter().any(|q| q.meets(s)))
                })
            })
    })
}

fn put_in(e: &mut Expr, target: &Target, value: &Expr) {
    if target.count(e) == 0 {
        return;
    }
    *e = expr::rewrite(e, &mut |x| match &x {
        Expr::Var(v, at) if !target.der && *v == target.var && *at == target.at => value.clone(),
        Expr::Der(v, at) if target.der && *v == target.var && *at == target.at => value.clone(),
        _ => x,
    });
}

fn size(e: &Expr) -> usize {
    let mut n = 1;
    expr::children(e, &mut |c| n += size(c));
    n
}

/// Whether a coefficient of numbers alone is zero: then nothing determines the unknown.
fn vanishes(e: &Expr) -> bool {
    expr::number(e, &|_| None) == Some(0.0)
}
