//! The smallest sets of equations and unknowns that do not fit together (Dulmage and Mendelsohn 1958):
//! from an equation without an unknown, what its alternating paths reach is over-determined; from an
//! unknown without an equation, under-determined.

use super::Unbalanced;
use super::problem::AtomId;
use super::sets::Progression;
use std::collections::{BTreeSet, VecDeque};

/// A part of the system that does not balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Equations involved.
    pub equations: Vec<usize>,
    /// Unknown elements involved.
    pub unknowns: Vec<(AtomId, i64)>,
    /// Whether there are too many equations (otherwise too few).
    pub over: bool,
}

/// At most this many members of a set are followed.
const LIMIT: usize = 10_000;

/// The smallest misfits: disjoint, over-determined ones first.
pub fn misfits(u: &Unbalanced) -> Vec<Misfit> {
    let (p, m) = (&u.problem, &u.matching);
    let mut out: Vec<Misfit> = Vec::new();
    let mut covered: BTreeSet<usize> = BTreeSet::new();
    for start in m.unmatched() {
        if covered.contains(&start) {
            continue;
        }
        let mut equations = BTreeSet::from([start]);
        let mut unknowns = BTreeSet::new();
        let mut queue = VecDeque::from([start]);
        while let Some(eq) = queue.pop_front() {
            for r in &p.refs[eq] {
                for x in r.cover.iter().flat_map(Progression::iter).take(LIMIT) {
                    unknowns.insert((r.atom, x));
                }
                for owner in m.owners[r.atom.0 as usize].within(&r.cover) {
                    if equations.len() < LIMIT && equations.insert(owner as usize) {
                        queue.push_back(owner as usize);
                    }
                }
            }
        }
        covered.extend(&equations);
        out.push(Misfit {
            equations: equations.into_iter().collect(),
            unknowns: unknowns.into_iter().collect(),
            over: true,
        });
    }
    // Who mentions an unknown element?
    let mut free_seen: BTreeSet<(AtomId, i64)> = BTreeSet::new();
    for (k, atom) in (0u32..).zip(&p.atoms) {
        let id = AtomId(k);
        let Some(free) = m.owners[k as usize].first_free(atom.len) else { continue };
        if !free_seen.insert((id, free)) {
            continue;
        }
        let mut unknowns = BTreeSet::from([(id, free)]);
        let mut equations = BTreeSet::new();
        let mut queue = VecDeque::from([(id, free)]);
        while let Some((a, x)) = queue.pop_front() {
            for (eq, refs) in p.refs.iter().enumerate() {
                if unknowns.len() > LIMIT
                    || !refs.iter().any(|r| r.atom == a && r.cover.iter().any(|s| s.contains(x)))
                {
                    continue;
                }
                equations.insert(eq);
                if let Some((atom, set)) = m.image(p, eq) {
                    for y in set.iter().flat_map(Progression::iter).take(LIMIT) {
                        if unknowns.insert((atom, y)) {
                            queue.push_back((atom, y));
                        }
                    }
                }
            }
        }
        free_seen.extend(&unknowns);
        out.push(Misfit {
            equations: equations.into_iter().collect(),
            unknowns: unknowns.into_iter().collect(),
            over: false,
        });
    }
    out
}
