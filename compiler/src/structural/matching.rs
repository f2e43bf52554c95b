//! Which equation determines which unknown: a perfect matching of equation families and unknowns.
//!
//! A family is matched as a whole to one of its uses; boundaries that a model splits (`T[0] = …`,
//! `for i in 1..n { T[i] = … }`) are different families that own different elements of one unknown.
//! Augmenting paths (Kuhn 1955) run over families; where a use would displace more than one other
//! family, the path search gives up on it and the caller expands the loops. In a network, where a chain of
//! alike elements ends in others at both ends, all that would be displaced is tried elsewhere ([`Matching::displace`]).

use super::problem::{AtomId, Problem};
use super::sets::{Owners, Progression, points};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;

/// Most displacements that are tried where several families give way at once.
const BUDGET: u32 = 20_000;

/// A matching: each equation's unknown, as the number of a use in [`Problem::refs`].
#[derive(Debug, Clone)]
pub struct Matching {
    /// By equation: the use that it is solved for.
    pub chosen: Vec<Option<usize>>,
    /// By unknown: which equation determines which elements.
    pub owners: Vec<Owners>,
}

impl Matching {
    /// Finds a matching of as many equations as possible.
    pub fn find(p: &Problem) -> Matching {
        let mut m =
            Matching { chosen: vec![None; p.equations.len()], owners: vec![Owners::new(); p.atoms.len()] };
        // What is written as a definition is meant as one, and derivatives come first among the rest.
        let mut rest = Vec::new();
        for eq in 0..p.equations.len() {
            let explicit = p.explicit(eq).and_then(|(atom, at)| {
                let k = p.refs[eq].iter().position(|r| r.matchable && r.atom == atom && r.at == *at)?;
                let alone = p.refs[eq].iter().enumerate().all(|(j, r)| {
                    j == k
                        || r.atom != atom
                        || !r.cover.iter().any(|s| p.refs[eq][k].cover.iter().any(|q| q.meets(s)))
                });
                alone.then_some(k)
            });
            match explicit {
                Some(k) if m.free(p, eq, k) => m.assign(p, eq, k),
                _ => rest.push(eq),
            }
        }
        rest.sort_by_key(|&eq| (p.refs[eq].iter().filter(|r| r.matchable).count(), eq));
        let mut hard = Vec::new();
        for eq in rest {
            let candidates = || (0..p.refs[eq].len()).filter(|&k| p.refs[eq][k].matchable);
            let free = candidates()
                .find(|&k| p.atoms[p.refs[eq][k].atom.0 as usize].der && m.free(p, eq, k))
                .or_else(|| candidates().find(|&k| m.free(p, eq, k)));
            match free {
                Some(k) => m.assign(p, eq, k),
                None => hard.push(eq),
            }
        }
        // What displacing several families at once may cost in all.
        let mut budget =
            if p.network && p.equations.iter().any(|e| !e.loops.is_empty()) { BUDGET } else { 0 };
        for eq in hard {
            if !m.augment(p, eq) && budget > 0 {
                let mut placed = vec![false; p.equations.len()];
                m.displace(p, eq, &mut placed, &mut Vec::new(), &mut budget);
            }
        }
        m
    }

    /// Whether every equation has an unknown and every unknown an equation.
    pub fn is_perfect(&self, p: &Problem) -> bool {
        let have: i64 = p.equations.iter().map(|e| points(&e.loops)).sum();
        let want: i64 = p.atoms.iter().map(|a| i64::from(a.len)).sum();
        have == want && self.unmatched().next().is_none()
    }

    /// Equations without an unknown.
    pub fn unmatched(&self) -> impl Iterator<Item = usize> {
        self.chosen.iter().enumerate().filter(|(_, c)| c.is_none()).map(|(e, _)| e)
    }

    /// The elements that an equation determines.
    pub fn image<'a>(&self, p: &'a Problem, eq: usize) -> Option<(AtomId, &'a [Progression])> {
        let r = &p.refs[eq][self.chosen[eq]?];
        Some((r.atom, &r.cover))
    }

    fn free(&self, p: &Problem, eq: usize, k: usize) -> bool {
        let r = &p.refs[eq][k];
        inside(&r.cover, p.atoms[r.atom.0 as usize].len)
            && self.owners[r.atom.0 as usize].within(&r.cover).is_empty()
    }

    fn assign(&mut self, p: &Problem, eq: usize, k: usize) {
        let r = &p.refs[eq][k];
        let atom = r.atom.0 as usize;
        self.owners[atom].give(&r.cover, eq as u32, p.atoms[atom].len);
        self.chosen[eq] = Some(k);
    }

    fn unassign(&mut self, p: &Problem, eq: usize) {
        if let Some(k) = self.chosen[eq].take() {
            let r = &p.refs[eq][k];
            self.owners[r.atom.0 as usize].take(&r.cover, eq as u32);
        }
    }

    /// Depth-first search that lets a family displace several others, each of which must find another place. `placed`
    /// is where equations stay that got theirs on the way here; `done` what changed, to be undone where it fails.
    fn displace(
        &mut self,
        p: &Problem,
        eq: usize,
        placed: &mut [bool],
        done: &mut Vec<(usize, Option<usize>)>,
        budget: &mut u32,
    ) -> bool {
        // What displaces nobody first, then those that displace fewest.
        let mut places: Vec<(usize, usize)> = Vec::new();
        for k in (0..p.refs[eq].len()).filter(|&k| p.refs[eq][k].matchable) {
            let r = &p.refs[eq][k];
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            if !inside(&r.cover, p.atoms[r.atom.0 as usize].len) {
                continue;
            }
            let owners = self.owners[r.atom.0 as usize].within(&r.cover);
            if !owners.iter().any(|&o| placed[o as usize] || o as usize == eq) {
                places.push((owners.len(), k));
            }
        }
        places.sort_unstable();
        for (_, k) in places {
            let r = &p.refs[eq][k];
            let mut owners = self.owners[r.atom.0 as usize].within(&r.cover);
            if owners.iter().any(|&o| placed[o as usize]) {
                continue;
            }
            // Those that have the least choice choose first.
            owners.sort_by_key(|&o| (p.refs[o as usize].iter().filter(|r| r.matchable).count(), o));
            let mark = done.len();
            for &o in &owners {
                done.push((o as usize, self.chosen[o as usize]));
                self.unassign(p, o as usize);
            }
            done.push((eq, self.chosen[eq]));
            self.assign(p, eq, k);
            placed[eq] = true;
            if owners.iter().all(|&o| self.displace(p, o as usize, placed, done, budget)) {
                return true;
            }
            // Back to what was: first everything gives up its place, then it gets its old one.
            let undone: Vec<(usize, Option<usize>)> = done.drain(mark..).collect();
            for &(e, _) in &undone {
                self.unassign(p, e);
                placed[e] = false;
            }
            let mut restored = FxHashSet::default();
            for (e, was) in undone {
                // The oldest entry of an equation is what it had.
                if restored.insert(e)
                    && let Some(k) = was
                {
                    self.assign(p, e, k);
                }
            }
        }
        false
    }

    /// Breadth-first search for a path of displacements that ends at free elements; false where there is none.
    fn augment(&mut self, p: &Problem, start: usize) -> bool {
        // By equation that was seen: its displacer, and the displacer's use.
        let mut from: FxHashMap<usize, Option<(usize, usize)>> = FxHashMap::default();
        from.insert(start, None);
        let mut queue = VecDeque::from([start]);
        while let Some(eq) = queue.pop_front() {
            for k in (0..p.refs[eq].len()).filter(|&k| p.refs[eq][k].matchable) {
                let r = &p.refs[eq][k];
                if !inside(&r.cover, p.atoms[r.atom.0 as usize].len) || self.chosen[eq] == Some(k) {
                    continue;
                }
                let mut owners = self.owners[r.atom.0 as usize].within(&r.cover);
                owners.retain(|&o| o as usize != eq);
                match owners[..] {
                    [] => {
                        self.shift(p, eq, k, &from);
                        return true;
                    }
                    [owner] if !from.contains_key(&(owner as usize)) => {
                        from.insert(owner as usize, Some((eq, k)));
                        queue.push_back(owner as usize);
                    }
                    _ => {}
                }
            }
        }
        false
    }

    fn shift(
        &mut self,
        p: &Problem,
        mut eq: usize,
        mut k: usize,
        from: &FxHashMap<usize, Option<(usize, usize)>>,
    ) {
        loop {
            self.unassign(p, eq);
            let displaced = from.get(&eq).copied().flatten();
            self.assign(p, eq, k);
            let Some((displacer, its)) = displaced else { return };
            (eq, k) = (displacer, its);
        }
    }
}

fn inside(set: &[Progression], len: u32) -> bool {
    set.iter().all(|s| s.lo >= 0 && s.last() < i64::from(len))
}
