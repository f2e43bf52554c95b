//! Algebraic blocks, torn where that leaves fewer unknowns for Newton's method.
//!
//! Greedy tearing after Cellier and Kofman (Continuous System Simulation, 2006, §7.4): an equation with a
//! single open unknown that it can be solved for is assigned; where none is left, the unknown that occurs
//! most often is torn. Families with loops are not torn: their residuals stay loops over one sparse block.

use super::isolate::{self, Target};
use super::matching::Matching;
use super::order::{self, Assignment, Block, Divisor};
use super::problem::{AtomId, Problem};
use super::sets::Progression;
use crate::flat::{Equation, Loop};
use std::collections::{BTreeMap, BTreeSet};

/// Larger scalar components are not torn: the sparse factorisation does as well.
const TEARING_LIMIT: usize = 400;

/// The block of a strongly connected component.
pub fn block(p: &Problem, m: &Matching, c: &[usize], divisor: Divisor<'_>) -> Block {
    let scalar = c.iter().all(|&eq| p.equations[eq].loops.is_empty());
    let mut block = if scalar && c.len() > 1 && c.len() <= TEARING_LIMIT {
        torn(p, m, c, divisor)
    } else if c.len() > 1 && c.len() <= TEARING_LIMIT {
        torn_families(p, m, c, divisor)
    } else {
        whole(p, m, c)
    };
    let unknown_vars: BTreeSet<(u32, bool)> = unknown_set(p, m, c);
    let is_unknown = |v: twinml_model::ids::VarId, der: bool| unknown_vars.contains(&(v.0, der));
    // With inner assignments, the residuals are affine where everything in the component is.
    block.linear = c.iter().all(|&eq| {
        let e = &p.equations[eq];
        isolate::degree(&e.left, &is_unknown) <= 1 && isolate::degree(&e.right, &is_unknown) <= 1
    });
    block
}

fn unknown_set(p: &Problem, m: &Matching, c: &[usize]) -> BTreeSet<(u32, bool)> {
    c.iter()
        .filter_map(|&eq| m.image(p, eq))
        .map(|(atom, _)| {
            let a = p.atoms[atom.0 as usize];
            (a.var.0, a.der)
        })
        .collect()
}

fn whole(p: &Problem, m: &Matching, c: &[usize]) -> Block {
    let mut unknowns = Vec::new();
    let mut residuals = Vec::new();
    for &eq in c {
        if let Some((atom, set)) = m.image(p, eq) {
            unknowns.extend(set.iter().map(|&s| (atom, s)));
        }
        residuals.push((eq, p.equations[eq].clone()));
    }
    Block { unknowns, inner: Vec::new(), residuals, linear: false, equations: c.to_vec() }
}

fn torn(p: &Problem, m: &Matching, c: &[usize], divisor: Divisor<'_>) -> Block {
    // Unknown elements of the component, and which equations mention them.
    let elements: BTreeSet<(AtomId, i64)> = c
        .iter()
        .filter_map(|&eq| m.image(p, eq))
        .flat_map(|(atom, set)| set.iter().flat_map(Progression::iter).map(move |x| (atom, x)))
        .collect();
    let mut open: BTreeMap<usize, BTreeSet<(AtomId, i64)>> = BTreeMap::new();
    for &eq in c {
        let mut mentioned = BTreeSet::new();
        for r in &p.refs[eq] {
            for x in r.cover.iter().flat_map(Progression::iter) {
                if elements.contains(&(r.atom, x)) {
                    mentioned.insert((r.atom, x));
                }
            }
        }
        open.insert(eq, mentioned);
    }
    let mut remaining: BTreeSet<usize> = c.iter().copied().collect();
    let mut undecided = elements;
    let mut tears: Vec<(AtomId, i64)> = Vec::new();
    let mut inner: Vec<(Vec<Loop>, Assignment)> = Vec::new();
    let guessed = |x: &(AtomId, i64)| p.atoms[x.0.0 as usize].guessed;
    while !undecided.is_empty() {
        let solved = remaining.iter().find_map(|&eq| {
            let mut rest = open[&eq].iter().filter(|x| undecided.contains(x));
            let (&(atom, x), None) = (rest.next()?, rest.next()) else { return None };
            let info = p.atoms[atom.0 as usize];
            let t = Target { var: info.var, der: info.der, at: twinml_model::ir::Affine::constant(x) };
            let Equation { left, right, .. } = &p.equations[eq];
            let value = isolate::isolate(left, right, &t, divisor)?;
            Some((eq, (atom, x), Assignment { target: t, value, equation: eq }))
        });
        if let Some((eq, element, assignment)) = solved {
            remaining.remove(&eq);
            undecided.remove(&element);
            inner.push((Vec::new(), assignment));
            continue;
        }
        // Tear an unknown with a guess, else the one in most remaining equations; the first of equals.
        let mut count: BTreeMap<(AtomId, i64), usize> = BTreeMap::new();
        for eq in &remaining {
            for x in open[eq].iter().filter(|x| undecided.contains(x)) {
                *count.entry(*x).or_default() += 1;
            }
        }
        let best =
            count.iter().max_by_key(|&(x, n)| (guessed(x), *n, std::cmp::Reverse(*x))).map(|(x, _)| *x);
        let Some(best) = best.or_else(|| undecided.iter().next().copied()) else { break };
        undecided.remove(&best);
        tears.push(best);
    }
    let residuals: Vec<(usize, Equation)> =
        remaining.iter().map(|&eq| (eq, p.equations[eq].clone())).collect();
    debug_assert_eq!(residuals.len(), tears.len());
    Block {
        unknowns: tears.into_iter().map(|(a, x)| (a, Progression::one(x))).collect(),
        inner,
        residuals,
        linear: false,
        equations: c.to_vec(),
    }
}

/// Tears whole families: each equation is solved for what it is matched to, or becomes a residual.
fn torn_families(p: &Problem, m: &Matching, c: &[usize], divisor: Divisor<'_>) -> Block {
    let number: BTreeMap<usize, usize> = c.iter().enumerate().map(|(k, &eq)| (eq, k)).collect();
    let needs: Vec<BTreeSet<usize>> = c
        .iter()
        .map(|&eq| {
            let refs = p.refs[eq].iter().enumerate().filter(|&(k, _)| m.chosen[eq] != Some(k));
            refs.flat_map(|(_, r)| m.owners[r.atom.0 as usize].within(&r.cover))
                .filter_map(|owner| number.get(&(owner as usize)).copied())
                .collect()
        })
        .collect();
    let solved: Vec<Option<Assignment>> = c
        .iter()
        .enumerate()
        .map(|(k, &eq)| {
            if needs[k].contains(&k) {
                return None;
            }
            let r = &p.refs[eq][m.chosen[eq]?];
            let info = p.atoms[r.atom.0 as usize];
            let target = Target { var: info.var, der: info.der, at: r.at.clone() };
            let Equation { left, right, .. } = &p.equations[eq];
            let value = isolate::isolate(left, right, &target, divisor)?;
            Some(Assignment { target, value, equation: eq })
        })
        .collect();
    let mut is_torn: Vec<bool> = solved.iter().map(Option::is_none).collect();
    let size = |k: usize| m.image(p, c[k]).map_or(0, |(_, set)| set.iter().map(|s| s.count).sum::<i64>());
    let guessed = |k: usize| m.image(p, c[k]).is_some_and(|(atom, _)| p.atoms[atom.0 as usize].guessed);
    let sequence = loop {
        let edges: Vec<Vec<u32>> = (0..c.len())
            .map(|k| {
                let open = |&&j: &&usize| !is_torn[k] && !is_torn[j];
                needs[k].iter().filter(open).map(|&j| j as u32).collect()
            })
            .collect();
        let parts = order::components(&edges);
        let mut acyclic = true;
        for part in parts.iter().filter(|part| part.len() > 1) {
            acyclic = false;
            let uses = |k: usize| part.iter().filter(|&&j| needs[j].contains(&k)).count();
            let best =
                part.iter().copied().min_by_key(|&k| (size(k), !guessed(k), std::cmp::Reverse(uses(k)), k));
            if let Some(k) = best {
                is_torn[k] = true;
            }
        }
        if acyclic {
            break parts.into_iter().flatten().filter(|&k| !is_torn[k]).collect::<Vec<usize>>();
        }
    };
    let mut block = whole(
        p,
        m,
        &c.iter().copied().enumerate().filter(|&(k, _)| is_torn[k]).map(|x| x.1).collect::<Vec<_>>(),
    );
    block.equations = c.to_vec();
    block.inner = sequence
        .into_iter()
        .filter_map(|k| solved[k].clone().map(|a| (p.equations[c[k]].loops.clone(), a)))
        .collect();
    block
}
