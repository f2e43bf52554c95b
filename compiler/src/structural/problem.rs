//! Equations and the unknowns that they determine, as families.

use super::expr::{self, Use};
use super::sets::{self, Progression};
use crate::flat::{Affine, BinOp, Equation, Expr, Fold, Loop};
use rustc_hash::{FxHashMap, FxHashSet};
use twinml_model::ids::{Index, VarId};

/// An unknown: the values or the derivatives of a family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct AtomId(pub u32);

/// What an [`AtomId`] stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Atom {
    /// The family.
    pub var: VarId,
    /// Its derivatives instead of its values.
    pub der: bool,
    /// Number of elements.
    pub len: u32,
    /// Whether the model gives a `guess`: Newton's method then begins well with it.
    pub guessed: bool,
}

/// A use of an unknown in an equation.
#[derive(Clone, Debug)]
pub struct Ref {
    /// Which unknown.
    pub atom: AtomId,
    /// The element, affine in the equation's loops (and in those of reductions).
    pub at: Affine,
    /// All elements touched over all loops; may contain more than are really touched.
    pub cover: Vec<Progression>,
    /// Whether the equation may be solved for this use: one element for each point of the loops, all
    /// different.
    pub matchable: bool,
}

/// Equations in unknowns.
#[derive(Debug)]
pub struct Problem {
    /// The unknowns.
    pub atoms: Vec<Atom>,
    atom_of: FxHashMap<(VarId, bool), AtomId>,
    /// The equations.
    pub equations: Vec<Equation>,
    /// Uses of unknowns by equation, each different use once, in reading order.
    pub refs: Vec<Vec<Ref>>,
    /// Whether acausal connections are among the equations.
    pub network: bool,
}

/// More progressions than this are not tracked; the reference then is no candidate for matching.
const SET_LIMIT: usize = 1 << 20;
/// An element of an unknown, affine in the loops.
type Place = (AtomId, i64, Vec<(Index, i64)>);
/// Up to so many uses of an equation are looked through one by one.
const FEW: usize = 32;

impl Problem {
    /// Collects the uses of `atoms` in `equations`.
    pub fn new(atoms: Vec<Atom>, equations: Vec<Equation>) -> Problem {
        let mut atom_of = FxHashMap::default();
        for (k, a) in (0u32..).zip(&atoms) {
            atom_of.insert((a.var, a.der), AtomId(k));
        }
        let mut problem = Problem {
            atoms,
            atom_of,
            refs: Vec::with_capacity(equations.len()),
            equations: Vec::new(),
            network: false,
        };
        problem.refs = equations.iter().map(|e| problem.collect(e)).collect();
        problem.equations = equations;
        problem
    }

    /// The unknown that a use names, if it is one.
    pub fn atom(&self, var: VarId, der: bool) -> Option<AtomId> {
        self.atom_of.get(&(var, der)).copied()
    }

    fn collect(&self, e: &Equation) -> Vec<Ref> {
        let mut refs: Vec<Ref> = Vec::new();
        // Of sums of many terms: what may be matched.
        let mut known: FxHashSet<Place> = FxHashSet::default();
        let key = |atom: AtomId, at: &Affine| (atom, at.base, at.terms.to_vec());
        let mut see = |u: Use| {
            let Some(atom) = self.atom(u.var, u.der) else { return };
            let plain = u.inner.is_empty() && u.dynamic.is_none();
            if plain {
                let few = refs.len() <= FEW;
                if !few && known.is_empty() {
                    known.extend(refs.iter().filter(|r| r.matchable).map(|r| key(r.atom, &r.at)));
                }
                let seen = match few {
                    true => refs.iter().any(|r| r.atom == atom && r.matchable && r.at == u.at),
                    false => known.contains(&key(atom, &u.at)),
                };
                if seen {
                    return;
                }
            }
            let image = if plain { sets::image(&u.at, &e.loops, SET_LIMIT) } else { None };
            let matchable = image.is_some();
            if matchable && refs.len() > FEW {
                known.insert(key(atom, &u.at));
            }
            let cover = image.unwrap_or_else(|| cover(&u, &e.loops));
            refs.push(Ref { atom, at: u.at, cover, matchable });
        };
        expr::uses(&e.left, &mut see);
        expr::uses(&e.right, &mut see);
        refs
    }

    /// The unknown that the equation's left side is, where it is nothing else.
    pub fn explicit(&self, eq: usize) -> Option<(AtomId, &Affine)> {
        match &self.equations[eq].left {
            Expr::Var(v, at) => Some((self.atom(*v, false)?, at)),
            Expr::Der(v, at) => Some((self.atom(*v, true)?, at)),
            _ => None,
        }
    }

    /// Every loop of every equation written out: one scalar equation a point, in order.
    pub fn expanded(&self) -> Problem {
        let equations = self.equations.iter().flat_map(expand).collect();
        Problem { network: self.network, ..Problem::new(self.atoms.clone(), equations) }
    }

    /// With sums over unknowns written out, so that an equation may be solved for any of their terms: a row of a matrix
    /// times a vector. `None` where there are none, or more than `limit` terms.
    pub fn sums_written_out(&self, limit: i64) -> Option<Problem> {
        let mut terms = 0;
        let unknowns: FxHashSet<(u32, bool)> = self.atoms.iter().map(|a| (a.var.0, a.der)).collect();
        let equations: Vec<Equation> = self
            .equations
            .iter()
            .map(|e| Equation {
                left: without_sums(&e.left, &unknowns, &mut terms, limit),
                right: without_sums(&e.right, &unknowns, &mut terms, limit),
                ..e.clone()
            })
            .collect();
        (0 < terms && terms <= limit)
            .then(|| Problem { network: self.network, ..Problem::new(self.atoms.clone(), equations) })
    }
}

fn without_sums(e: &Expr, unknowns: &FxHashSet<(u32, bool)>, terms: &mut i64, limit: i64) -> Expr {
    expr::rewrite(e, &mut |x| match &x {
        Expr::Fold(Fold::Sum, l, body) => {
            let mut unknown = false;
            expr::uses(body, &mut |u| unknown |= unknowns.contains(&(u.var.0, u.der)));
            *terms += if unknown { (l.hi - l.lo).max(0) } else { 0 };
            if !unknown || *terms > limit {
                return x;
            }
            let all = (l.lo..l.hi).map(|k| expr::substitute_index(body, l.index, &Affine::constant(k)));
            let sum = |a, b| Expr::Bin(BinOp::Add, Box::new(a), Box::new(b));
            all.reduce(sum).unwrap_or(Expr::Num(0.0))
        }
        _ => x,
    })
}

/// All elements that a use may touch: exact where the reference is injective, otherwise the interval.
fn cover(u: &Use, loops: &[Loop]) -> Vec<Progression> {
    let mut all: Vec<Loop> = loops.iter().chain(&u.inner).copied().collect();
    all.retain(|l| u.at.terms.iter().any(|t| t.0 == l.index));
    if sets::points(&all) == 0 {
        return Vec::new();
    }
    let extra = u.dynamic.map_or(Progression::one(0), |(len, stride)| Progression {
        lo: if stride < 0 { stride * (i64::from(len) - 1) } else { 0 },
        step: stride.abs().max(1),
        count: i64::from(len).max(1),
    });
    if extra.count == 1
        && let Some(sets) = sets::image(&u.at, &all, 1 << 12)
    {
        return sets;
    }
    let (mut lo, mut hi) = (u.at.base + extra.lo, u.at.base + extra.last());
    for &(index, stride) in &u.at.terms {
        if let Some(l) = all.iter().find(|l| l.index == index) {
            let (a, b) = (stride * l.lo, stride * (l.hi - 1));
            lo += a.min(b);
            hi += a.max(b);
        }
    }
    let step =
        u.at.terms.iter().fold(if extra.count > 1 { extra.step } else { 0 }, |g, t| gcd(g, t.1.abs())).max(1);
    vec![Progression { lo, step, count: (hi - lo) / step + 1 }]
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The equations of a family, one a point of its loops.
pub fn expand(e: &Equation) -> Vec<Equation> {
    let Some((first, rest)) = e.loops.split_first() else { return vec![e.clone()] };
    (first.lo..first.hi)
        .flat_map(|k| {
            let by = Affine::constant(k);
            expand(&Equation {
                loops: rest.to_vec(),
                left: expr::substitute_index(&e.left, first.index, &by),
                right: expr::substitute_index(&e.right, first.index, &by),
                span: e.span,
                owner: e.owner.clone(),
            })
        })
        .collect()
}
