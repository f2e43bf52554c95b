//! What a Monte Carlo job draws, as plain data: a distribution for each parameter (and each element of an array of
//! parameters, for each instance) that has one, and the correlations between them.
//!
//! A draw is an instance of a [`Family`]; draws are numbered family by family, instance by instance. A host that draws
//! does, for each level from the lowest: run [`Draws::params`] (or [`Program::params`](crate::program::Program::params)
//! where there is none), so that the arguments of this level are known; draw; write the values to the families' slots
//! of `Param`. A run with drawn values then uses the same kernel in place of `Program::params`. A run that draws nothing
//! uses `Program::params` alone and has the nominal values.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{OriginId, VarId};
use crate::ir::Kernel;

/// All that is drawn.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Draws {
    /// Families of draws.
    pub families: Vec<Family>,
    /// Pairs of draws that are not independent.
    pub correlations: Vec<Correlation>,
    /// Formulas of parameters, without those that give nominal values of what is drawn: reads and writes `Param`.
    /// `None`: `Program::params` writes no slot that is drawn, and serves.
    pub params: Option<Kernel>,
}

/// Draws of one quantity that share a distribution, up to its arguments.
#[derive(Clone, PartialEq, Debug)]
pub struct Family {
    /// The quantity: a parameter, or a state or an input whose start is drawn.
    pub var: VarId,
    /// Its element that instance 0 is.
    pub first: u32,
    /// Rounds of each loop over the instances, outermost first, and by how much one round moves the element.
    pub nest: Vec<(u32, i64)>,
    /// Number of instances: the product of the rounds.
    pub len: u32,
    /// Where the value goes.
    pub slot: Slot,
    /// The distribution.
    pub law: Law,
    /// Arguments of a level depend on draws of lower levels only.
    pub level: u32,
    /// The distribution in the source.
    pub origin: OriginId,
}

/// A slot of `Param` for each instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slot {
    /// That of instance 0.
    pub base: u32,
    /// By how much one round of each loop moves it, outermost first.
    pub strides: Vec<i64>,
}

/// An argument of a distribution, in SI.
#[derive(Clone, PartialEq, Debug)]
pub enum Arg {
    /// A number.
    Number(f64),
    /// A parameter.
    Param(Slot),
}

/// A distribution over arguments.
#[derive(Clone, PartialEq, Debug)]
pub enum Law<A = Arg> {
    /// `normal`, `uniform`, `lognormal`, `triangular`, `beta`, `gamma`, `weibull`, `exponential`, `bernoulli`, with its
    /// arguments in the order of the language.
    Named(Arc<str>, Vec<A>),
    /// Values with their weights; no weights: all alike.
    Discrete(Vec<A>, Vec<A>),
    /// Measured values, in rising order, each as likely as the others.
    Samples(Arc<[f64]>),
    /// The part of a distribution between two ends.
    Truncated(Box<Law<A>>, A, A),
    /// One of several distributions, chosen by weight; no weights: all alike.
    Mixture(Vec<Law<A>>, Vec<A>),
}

/// Two draws whose underlying normal numbers are correlated (a Gaussian copula).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Correlation {
    /// A draw's number.
    pub a: u32,
    /// Another one's.
    pub b: u32,
    /// The correlation, between −1 and 1.
    pub value: f64,
}

impl<A> Law<A> {
    /// The same law over other arguments; `None` where one of them is refused.
    pub fn map<B>(&self, f: &mut dyn FnMut(&A) -> Option<B>) -> Option<Law<B>> {
        fn all<A, B>(list: &[A], f: &mut dyn FnMut(&A) -> Option<B>) -> Option<Vec<B>> {
            list.iter().map(f).collect()
        }
        Some(match self {
            Law::Named(name, args) => Law::Named(name.clone(), all(args, f)?),
            Law::Discrete(values, weights) => Law::Discrete(all(values, f)?, all(weights, f)?),
            Law::Samples(list) => Law::Samples(list.clone()),
            Law::Truncated(of, lo, hi) => Law::Truncated(Box::new(of.map(f)?), f(lo)?, f(hi)?),
            Law::Mixture(parts, weights) => {
                let parts = parts.iter().map(|p| p.map(f)).collect::<Option<Vec<_>>>()?;
                Law::Mixture(parts, all(weights, f)?)
            }
        })
    }

    /// Calls `f` for every argument, those of the laws inside too.
    pub fn each_arg<'a>(&'a self, f: &mut dyn FnMut(&'a A)) {
        match self {
            Law::Named(_, args) => args.iter().for_each(f),
            Law::Discrete(values, weights) => values.iter().chain(weights).for_each(f),
            Law::Samples(_) => {}
            Law::Truncated(of, lo, hi) => {
                of.each_arg(f);
                f(lo);
                f(hi);
            }
            Law::Mixture(parts, weights) => {
                parts.iter().for_each(|p| p.each_arg(f));
                weights.iter().for_each(f);
            }
        }
    }
}

/// The rounds of each loop that belong to instance `j` of a nest.
fn rounds(nest: &[(u32, i64)], j: u32) -> impl Iterator<Item = (usize, u32)> {
    let mut rest = j;
    nest.iter().enumerate().rev().map(move |(k, &(n, _))| {
        let round = rest % n.max(1);
        rest /= n.max(1);
        (k, round)
    })
}

impl Family {
    /// The element that instance `j` draws; `None` where a number leaves its type.
    #[must_use]
    pub fn element(&self, j: u32) -> Option<u32> {
        let mut at = i64::from(self.first);
        for (k, round) in rounds(&self.nest, j) {
            at = at.checked_add(i64::from(round).checked_mul(self.nest[k].1)?)?;
        }
        u32::try_from(at).ok()
    }

    /// The slot of `Param` that belongs to instance `j`.
    #[must_use]
    pub fn slot_of(&self, slot: &Slot, j: u32) -> Option<u32> {
        let mut at = i64::from(slot.base);
        for (k, round) in rounds(&self.nest, j) {
            at = at.checked_add(i64::from(round).checked_mul(*slot.strides.get(k)?)?)?;
        }
        u32::try_from(at).ok()
    }
}

impl Draws {
    /// How many draws there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.families.iter().map(|f| f.len as usize).sum()
    }

    /// Whether nothing is drawn.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }
}

/// Draws that are correlated with each other, directly or through others.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// Their numbers, rising.
    pub members: Vec<u32>,
    /// The lower Cholesky factor of their correlations, row by row: row `k` has `k + 1` numbers.
    pub factor: Vec<f64>,
}

/// Correlations that no random numbers can have.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NotPositive {
    /// A correlation between draws of the group concerned: its place in the list.
    pub correlation: usize,
}

/// The groups that correlations make. Of two correlations of one pair the later counts.
///
/// # Errors
///
/// [`NotPositive`] where the matrix of a group is not positive definite.
pub fn groups(correlations: &[Correlation]) -> Result<Vec<Group>, NotPositive> {
    // Union-find over the draws that are named.
    let mut parent: BTreeMap<u32, u32> = BTreeMap::new();
    fn root(parent: &mut BTreeMap<u32, u32>, mut x: u32) -> u32 {
        while let Some(&p) = parent.get(&x)
            && p != x
        {
            x = p;
        }
        x
    }
    for c in correlations {
        parent.entry(c.a).or_insert(c.a);
        parent.entry(c.b).or_insert(c.b);
        let (a, b) = (root(&mut parent, c.a), root(&mut parent, c.b));
        parent.insert(a.max(b), a.min(b));
    }
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for x in parent.keys().copied().collect::<Vec<_>>() {
        let r = root(&mut parent, x);
        members.entry(r).or_default().push(x);
    }
    let mut pairs: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (k, c) in correlations.iter().enumerate() {
        pairs.entry(root(&mut parent, c.a)).or_default().push(k);
    }
    let mut out = Vec::with_capacity(members.len());
    for (r, members) in members {
        let n = members.len();
        let own = pairs.remove(&r).unwrap_or_default();
        let at = |x: u32| members.binary_search(&x).unwrap_or(0);
        let mut matrix = vec![0.0; n * n];
        (0..n).for_each(|k| matrix[k * n + k] = 1.0);
        for &k in &own {
            let c = correlations[k];
            let (a, b) = (at(c.a), at(c.b));
            if a == b || c.value.is_nan() || c.value.abs() >= 1.0 {
                return Err(NotPositive { correlation: k });
            }
            matrix[a * n + b] = c.value;
            matrix[b * n + a] = c.value;
        }
        let Some(factor) = cholesky(&matrix, n) else {
            return Err(NotPositive { correlation: own.last().copied().unwrap_or(0) });
        };
        out.push(Group { members, factor });
    }
    Ok(out)
}

/// The lower factor of a symmetric matrix, row by row; `None` where it is not positive definite.
fn cholesky(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut l = Vec::with_capacity(n * (n + 1) / 2);
    let row = |k: usize| k * (k + 1) / 2;
    for i in 0..n {
        for j in 0..=i {
            let mut sum = matrix[i * n + j];
            for k in 0..j {
                sum -= l[row(i) + k] * l[row(j) + k];
            }
            if i == j {
                if sum.is_nan() || sum <= 1e-12 {
                    return None;
                }
                l.push(sum.sqrt());
            } else {
                l.push(sum / l[row(j) + j]);
            }
        }
    }
    Some(l)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_have_elements_and_slots() {
        let f = Family {
            var: VarId(0),
            first: 1,
            nest: vec![(2, 10), (3, 2)],
            len: 6,
            slot: Slot { base: 4, strides: vec![3, 1] },
            law: Law::Samples(Arc::from([1.0])),
            level: 0,
            origin: OriginId(0),
        };
        let elements: Vec<_> = (0..6).filter_map(|j| f.element(j)).collect();
        assert_eq!(elements, [1, 3, 5, 11, 13, 15]);
        let slots: Vec<_> = (0..6).filter_map(|j| f.slot_of(&f.slot, j)).collect();
        assert_eq!(slots, [4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn groups_are_factorised() {
        let c = |a, b, value| Correlation { a, b, value };
        let found = groups(&[c(4, 1, 0.5), c(9, 7, -0.25), c(4, 6, 0.5)]).expect("positive");
        assert_eq!(found[0].members, [1, 4, 6]);
        assert_eq!(found[1].members, [7, 9]);
        assert_eq!(found[1].factor[1], -0.25);
        // Three that all oppose each other strongly cannot be.
        let bad = groups(&[c(0, 1, -0.9), c(1, 2, -0.9), c(0, 2, -0.9)]);
        assert_eq!(bad, Err(NotPositive { correlation: 2 }));
        assert!(groups(&[c(0, 1, 1.0)]).is_err());
        assert!(groups(&[c(3, 3, 0.5)]).is_err());
    }
}
