//! Combinations of equations in which the unknowns of a loop cancel: equations that look as if they determined them
//! and only relate what is known. The currents into the two nodes of a capacitor, `… + C*(der(u) - der(v)) = 0` and
//! `… - C*(der(u) - der(v)) = 0`, add up to one that says nothing of derivatives; those of a ring of diodes to one without
//! any diode's current. Structure alone cannot see it, and the loop's matrix is singular whatever the values are.
//!
//! Method: coefficients are computed in the integers modulo a prime, with a number drawn for each name and for each
//! function of given arguments. What vanishes there vanishes identically but for a chance of 10⁻¹⁵ or so (J. T. Schwartz, "Fast
//! probabilistic algorithms for verification of polynomial identities", J. ACM 27 (1980)). A combination counts
//! where its factors are small fractions; then it is one of the formulas themselves.

use super::expr;
use super::isolate::{self, Target};
use super::order::{Block, Step};
use super::problem::{AtomId, Problem, expand};
use super::{Solved, sets};
use crate::flat::{Affine, BinOp, Equation, Expr, UnOp};
use crate::source::Span;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};
use twinml_model::ids::VarId;

/// Equations of a loop that is looked at.
const MOST: usize = 200;
/// The largest numerator and denominator of a factor.
const SMALL: u64 = 64;
/// A Mersenne prime.
const PRIME: u64 = (1 << 61) - 1;

/// What stands in the place of equations whose unknowns cancel.
#[derive(Debug)]
pub struct Cancelled {
    /// All equations of the problem.
    pub equations: Vec<Equation>,
    /// By replaced equation: its place, and those of the others in its combination.
    pub sums: Vec<Sum>,
}

/// The number that an element of a family is for good, where it is one.
pub type Known<'a> = &'a dyn Fn(VarId, i64) -> Option<f64>;

/// The place of an equation that was replaced by a combination, and of the others in it.
pub type Sum = (Span, Vec<Span>);

/// The problem's equations with those replaced that a combination shows to say nothing of what they seemed to determine; `None`
/// where there are none.
pub fn cancelled(solved: &Solved, known: Known<'_>) -> Option<Cancelled> {
    let blocks = solved.plan.steps.iter().filter_map(|s| match s {
        Step::Block(b) => Some(&**b),
        Step::Nest { .. } => None,
    });
    let found: Vec<_> = blocks.filter_map(|b| of_block(&solved.problem, b, known)).collect();
    if found.is_empty() {
        return None;
    }
    let mut out: Vec<Vec<Equation>> = solved.problem.equations.iter().map(|e| vec![e.clone()]).collect();
    let mut all = Vec::new();
    for (places, equations, sums) in found {
        all.extend(sums);
        for place in &places {
            out[*place].clear();
        }
        // Families of the loop stand written out where the first of them was.
        if let Some(first) = places.first() {
            out[*first] = equations;
        }
    }
    Some(Cancelled { equations: out.into_iter().flatten().collect(), sums: all })
}

/// The equations of a loop, and what stands in their place.
fn of_block(p: &Problem, b: &Block, known: Known<'_>) -> Option<(Vec<usize>, Vec<Equation>, Vec<Sum>)> {
    let points: i64 = b.equations.iter().map(|&e| sets::points(&p.equations[e].loops)).sum();
    if points > MOST as i64 {
        return None;
    }
    let unknowns = unknowns(p, b);
    let mut equations: Vec<Equation> = b.equations.iter().flat_map(|&e| expand(&p.equations[e])).collect();
    if equations.len() != unknowns.len() {
        return None;
    }
    let unknown: FxHashSet<(VarId, bool, i64)> = unknowns.iter().map(|t| (t.var, t.der, t.at.base)).collect();
    let split: Vec<Parts> = equations.iter().map(|e| Parts::of(e, &unknown, known)).collect::<Option<_>>()?;
    let mut columns: FxHashMap<&str, usize> = FxHashMap::default();
    for (kernel, _) in split.iter().flat_map(|s| &s.terms) {
        let next = columns.len();
        columns.entry(kernel).or_insert(next);
    }
    let candidates = candidates(&split, &columns);
    let row = |k: &usize| {
        let s = &split[*k];
        let mut row = vec![0; columns.len()];
        for (kernel, factor) in &s.terms {
            let place = &mut row[columns[kernel.as_str()]];
            *place = (*place + factor) % PRIME;
        }
        row
    };
    let mut sums = Vec::new();
    for factors in vanishing(candidates.iter().map(row).collect()) {
        let Some(factors) = factors.into_iter().map(fraction).collect::<Option<Vec<f64>>>() else { continue };
        // The last one says it: those before may be in other combinations.
        let last = candidates[factors.iter().rposition(|f| *f != 0.0)?];
        let terms = factors.iter().zip(&candidates).filter(|(f, _)| **f != 0.0);
        let sum = terms.fold(Expr::Num(0.0), |sum, (f, k)| {
            let product = isolate::mul(Expr::Num(f.abs()), split[*k].rest.clone());
            if *f < 0.0 { isolate::sub(sum, product) } else { isolate::add(sum, product) }
        });
        // Equations that say the same, or contradict one another, are told where they are solved.
        let mut says = false;
        expr::uses(&sum, &mut |u| says |= p.atom(u.var, false).is_some() || p.atom(u.var, true).is_some());
        if says {
            equations[last].left = sum;
            equations[last].right = Expr::Num(0.0);
            let others = factors.iter().zip(&candidates).filter(|(f, k)| **f != 0.0 && **k != last);
            sums.push((equations[last].span, others.map(|(_, k)| equations[*k].span).collect()));
        }
    }
    (!sums.is_empty()).then(|| (b.equations.clone(), equations, sums))
}

/// The equations that may be in a combination: what has unknowns in them stands in another such equation, too.
fn candidates(split: &[Parts], columns: &FxHashMap<&str, usize>) -> Vec<usize> {
    let of = |s: &Parts| {
        let mut list: Vec<usize> = s.terms.iter().map(|(kernel, _)| columns[kernel.as_str()]).collect();
        list.sort_unstable();
        list.dedup();
        list
    };
    let lists: Vec<Vec<usize>> = split.iter().map(of).collect();
    let mut counts = vec![0usize; columns.len()];
    lists.iter().flatten().for_each(|c| counts[*c] += 1);
    let mut left: Vec<usize> = (0..split.len()).collect();
    loop {
        let before = left.len();
        left.retain(|k| {
            let stays = lists[*k].iter().all(|c| counts[*c] > 1);
            if !stays {
                lists[*k].iter().for_each(|c| counts[*c] -= 1);
            }
            stays
        });
        if left.len() == before {
            return left;
        }
    }
}

/// `left - right` of an equation: factors times what has unknowns of the loop in it, and the rest.
struct Parts {
    /// What has unknowns in it, as text, and its factor.
    terms: Vec<(String, u64)>,
    rest: Expr,
}

impl Parts {
    fn of(e: &Equation, unknown: &FxHashSet<(VarId, bool, i64)>, known: Known<'_>) -> Option<Parts> {
        let mut parts = Parts { terms: Vec::new(), rest: Expr::Num(0.0) };
        parts.take(&e.left, &Expr::Num(1.0), unknown, known)?;
        parts.take(&e.right, &Expr::Num(-1.0), unknown, known)?;
        Some(parts)
    }

    /// Adds `by·e`.
    fn take(
        &mut self,
        e: &Expr,
        by: &Expr,
        unknown: &FxHashSet<(VarId, bool, i64)>,
        known: Known<'_>,
    ) -> Option<()> {
        let has = |e: &Expr| {
            let mut any = false;
            expr::uses(e, &mut |u| {
                // Of sums and of elements that are chosen during a run: any of them.
                let exact = u.dynamic.is_none() && u.at.terms.is_empty();
                any |= match exact {
                    true => unknown.contains(&(u.var, u.der, u.at.base)),
                    false => unknown.iter().any(|x| x.0 == u.var && x.1 == u.der),
                };
            });
            any
        };
        match e {
            Expr::Un(UnOp::Neg, a) => self.take(a, &isolate::neg(by.clone()), unknown, known),
            Expr::NoEvent(a) => self.take(a, by, unknown, known),
            Expr::Bin(BinOp::Add, a, b) => {
                self.take(a, by, unknown, known)?;
                self.take(b, by, unknown, known)
            }
            Expr::Bin(BinOp::Sub, a, b) => {
                self.take(a, by, unknown, known)?;
                self.take(b, &isolate::neg(by.clone()), unknown, known)
            }
            free if !has(free) => {
                let rest = std::mem::replace(&mut self.rest, Expr::Num(0.0));
                self.rest = match by {
                    Expr::Num(-1.0) => isolate::sub(rest, free.clone()),
                    by => isolate::add(rest, isolate::mul(by.clone(), free.clone())),
                };
                Some(())
            }
            Expr::Bin(BinOp::Mul, a, b) if !has(a) => {
                self.take(b, &isolate::mul(by.clone(), (**a).clone()), unknown, known)
            }
            Expr::Bin(BinOp::Mul, a, b) if !has(b) => {
                self.take(a, &isolate::mul(by.clone(), (**b).clone()), unknown, known)
            }
            Expr::Bin(BinOp::Div, a, b) if !has(b) => {
                self.take(a, &isolate::div(by.clone(), (**b).clone()), unknown, known)
            }
            kernel => {
                self.terms.push((format!("{kernel:?}"), value(by, known)?));
                Some(())
            }
        }
    }
}

/// What a loop determines.
fn unknowns(p: &Problem, b: &Block) -> Vec<Target> {
    let mut out = Vec::new();
    let of = |atom: AtomId, at: i64| {
        let a = p.atoms[atom.0 as usize];
        Target { var: a.var, der: a.der, at: Affine::constant(at) }
    };
    for (atom, set) in &b.unknowns {
        out.extend((0..set.count).map(|k| of(*atom, set.lo + k * set.step)));
    }
    for (loops, assignment) in &b.inner {
        let t = &assignment.target;
        for set in sets::image(&t.at, loops, MOST).into_iter().flatten() {
            let at = |k: i64| Affine::constant(set.lo + k * set.step);
            out.extend((0..set.count).map(|k| Target { at: at(k), ..t.clone() }));
        }
    }
    out
}

/// By each combination of rows that gives 0 in every column: its factors, the last one of those that are not 0 being 1.
fn vanishing(rows: Vec<Vec<u64>>) -> Vec<Vec<u64>> {
    let n = rows.len();
    let unit = |k: usize| (0..n).map(|j| u64::from(j == k)).collect::<Vec<u64>>();
    let mut done: Vec<(usize, Vec<u64>, Vec<u64>)> = Vec::new();
    let mut out = Vec::new();
    for (k, mut row) in rows.into_iter().enumerate() {
        let mut by = unit(k);
        for (column, pivot, of) in &done {
            let factor = row[*column];
            if factor != 0 {
                reduce(&mut row, pivot, factor);
                reduce(&mut by, of, factor);
            }
        }
        match row.iter().position(|x| *x != 0) {
            None => out.push(by),
            Some(column) => {
                let scale = inverse(row[column]);
                let scaled = |list: Vec<u64>| list.into_iter().map(|x| times(x, scale)).collect();
                done.push((column, scaled(row), scaled(by)));
            }
        }
    }
    out
}

/// `row -= factor·of`
fn reduce(row: &mut [u64], of: &[u64], factor: u64) {
    for (x, y) in row.iter_mut().zip(of).filter(|(_, y)| **y != 0) {
        *x = (*x + PRIME - times(*y, factor)) % PRIME;
    }
}

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    // 2⁶¹ is 1: the upper half counts as it stands.
    let folded = (product as u64 & PRIME) + (product >> 61) as u64;
    if folded >= PRIME { folded - PRIME } else { folded }
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut out = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            out = times(out, base);
        }
        base = times(base, base);
        exponent >>= 1;
    }
    out
}

fn inverse(x: u64) -> u64 {
    power(x, PRIME - 2)
}

/// The small fraction that a factor is.
fn fraction(x: u64) -> Option<f64> {
    (1..=SMALL).find_map(|den| {
        let num = times(x, den);
        let small = |n: u64| n as f64 / den as f64;
        if num <= SMALL {
            Some(small(num))
        } else if PRIME - num <= SMALL {
            Some(-small(PRIME - num))
        } else {
            None
        }
    })
}

/// A formula in the integers modulo the prime; `None` where it divides by 0.
fn value(e: &Expr, known: Known<'_>) -> Option<u64> {
    Some(match e {
        Expr::Num(x) => number(*x)?,
        Expr::Un(UnOp::Neg, a) => (PRIME - value(a, known)?) % PRIME,
        Expr::NoEvent(a) => value(a, known)?,
        Expr::Bin(BinOp::Add, a, b) => (value(a, known)? + value(b, known)?) % PRIME,
        Expr::Bin(BinOp::Sub, a, b) => (value(a, known)? + PRIME - value(b, known)?) % PRIME,
        Expr::Bin(BinOp::Mul, a, b) => times(value(a, known)?, value(b, known)?),
        Expr::Bin(BinOp::Div, a, b) => match value(b, known)? {
            0 => return None,
            b => times(value(a, known)?, inverse(b)),
        },
        Expr::Var(var, at) => match known(*var, at.base).filter(|_| at.terms.is_empty()) {
            Some(x) => number(x)?,
            None => name(0, *var, at),
        },
        Expr::Start(var, at) => name(1, *var, at),
        // A function of its arguments, whatever it is: the same text is the same number.
        other => drawn(&(2, format!("{other:?}"))),
    })
}

fn name(kind: u8, var: VarId, at: &Affine) -> u64 {
    drawn(&(kind, var.0, at.base, at.terms.to_vec()))
}

/// A number for what is like this, and no other.
fn drawn(what: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    what.hash(&mut hasher);
    // As SplitMix64 does it (Steele, Lea and Flood, OOPSLA 2014): neighbours must not be related.
    let mut z = hasher.finish().wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) % PRIME
}

/// A number of the machine is a whole one times a power of two.
fn number(x: f64) -> Option<u64> {
    if !x.is_finite() {
        return None;
    }
    let bits = x.abs().to_bits();
    let (exponent, fraction) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
    let (whole, exponent) =
        if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    let scale = power(2, exponent.unsigned_abs());
    let scaled = times(whole, if exponent < 0 { inverse(scale) } else { scale });
    Some(if x < 0.0 { (PRIME - scaled) % PRIME } else { scaled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_they_are() {
        let of = |x: f64| number(x).unwrap_or(PRIME);
        assert_eq!(of(3.0), 3);
        assert_eq!(of(-1.0), PRIME - 1);
        assert_eq!(times(of(0.25), 4), 1);
        assert_ne!(times(of(1e-6), of(1e6)), 1, "1e-6 is no sum of powers of two");
        assert_eq!((of(0.1) + of(-0.1)) % PRIME, 0);
        assert_eq!(number(f64::NAN), None);
        assert_eq!(fraction(inverse(3)), Some(1.0 / 3.0));
        assert_eq!(fraction(PRIME - 5), Some(-5.0));
        assert_eq!(fraction(of(0.1)), None);
    }

    #[test]
    fn rows_that_add_up_to_nothing_are_found() {
        let minus = |x: u64| PRIME - x;
        // A triangle of capacitors: the three rows together.
        let (a, b, c) = (11, 1_000_003, 77_777);
        let rows = vec![
            vec![a + c, minus(a), minus(c)],
            vec![minus(a), a + b, minus(b)],
            vec![minus(c), minus(b), b + c],
        ];
        assert_eq!(vanishing(rows), [vec![1, 1, 1]]);
        assert!(vanishing(vec![vec![1, 2], vec![2, 3]]).is_empty());
    }
}
