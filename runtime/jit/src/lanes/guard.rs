//! The same step without slow paths, for as long as no lane needs one.
//!
//! What elementary functions hold to be rare is asked once a repetition, before anything of the repetition is written:
//! the lanes that would leave the straight line make all groups do this repetition again by the careful code, from the
//! slots as they were. Limits on squares are summed up, one operation each: where the sum is below the limit,
//! each is (and a NaN is below nothing).

use super::graph::{Arith2, Graph, Id, Mask2, Node};
use super::plan::{self, condition};
use std::collections::BTreeMap;
use twinml_model::ir::CmpOp;

/// What must hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Guard {
    /// `(value, limit)`: the value is below the limit, given as bits.
    pub below: Vec<(Id, u64)>,
    /// `(truth value, what it must not be)`.
    pub masks: Vec<(Id, bool)>,
}

impl Guard {
    /// What it reads, each once.
    pub fn reads(&self) -> Vec<Id> {
        let mut all: Vec<Id> = self.below.iter().map(|b| b.0).chain(self.masks.iter().map(|m| m.0)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// A graph without slow paths in what is repeated.
#[derive(Debug)]
pub(super) struct Fast {
    pub graph: Graph,
    pub slots: BTreeMap<u32, Id>,
    /// Nodes that come right after others: `(node, after which)`. The last one is the guard.
    pub extra: Vec<(Id, Id)>,
    pub guard: Guard,
}

/// Most nodes of a graph that is written twice.
const LIMIT: usize = 20_000;

/// Other operands for all nodes and slow paths.
fn remap(graph: &mut Graph, alias: &[Id]) {
    let to = |id: Id| alias[id as usize];
    graph.remap(to);
    for slow in &mut graph.slow {
        slow.cond = slow.cond.map(to);
        slow.usual = slow.usual.map(to);
        slow.args.iter_mut().for_each(|a| *a = to(*a));
    }
}

/// Conditions as truth values that must not hold (`false`) or must (`true`): what must hold together, one by one.
fn parts(g: &Graph, conditions: &[Id]) -> Vec<(Id, bool)> {
    let mut parts: Vec<(Id, bool)> = Vec::new();
    let mut open: Vec<(Id, bool)> = conditions.iter().map(|&c| condition(g, c)).collect();
    while let Some((c, inverted)) = open.pop() {
        match g.nodes[c as usize] {
            Node::Mask(Mask2::And, a, b) if inverted => open.extend([(a, true), (b, true)]),
            _ => parts.push((c, inverted)),
        }
    }
    parts
}

/// `None` where there is nothing to win. `invariant`: nodes that are computed once before the repetitions.
pub(super) fn fast(g: &Graph, slots: &BTreeMap<u32, Id>, uses: &[u8], invariant: &[bool]) -> Option<Fast> {
    if g.nodes.len() > LIMIT {
        return None;
    }
    let n = g.nodes.len() as Id;
    let mut alias: Vec<Id> = (0..n).collect();
    let mut conditions = Vec::new();
    for &(id, cond, usual) in &g.seldom {
        if uses[id as usize] > 0 && !invariant[id as usize] {
            alias[id as usize] = alias[usual as usize];
            conditions.push(cond);
        }
    }
    let rest = (!conditions.is_empty()).then(|| {
        // slow paths on the sides that are not taken need not be asked about
        let mut graph = g.frozen();
        remap(&mut graph, &alias);
        let slots = slots.iter().map(|(&slot, &id)| (slot, alias[id as usize])).collect();
        plan::uses(&graph, &slots, &[], &[])
    });
    let uses = rest.as_deref().unwrap_or(uses);
    for id in 0..n {
        let usual = alias[id as usize];
        if usual != id {
            alias[id as usize] = alias[usual as usize];
        }
        if uses[id as usize] == 0 || invariant[id as usize] {
            continue;
        }
        let Node::Slow(k) = g.nodes[id as usize] else { continue };
        let slow = &g.slow[k as usize];
        if let (Some(cond), Some(usual)) = (slow.cond, slow.usual) {
            alias[id as usize] = alias[usual as usize];
            conditions.push(cond);
        }
    }
    if conditions.is_empty() {
        return None;
    }
    let mut graph = g.frozen();
    remap(&mut graph, &alias);
    let to = |id: Id| alias[id as usize];
    let slots = slots.iter().map(|(&slot, &id)| (slot, to(id))).collect();
    let mut conditions = parts(&graph, &conditions);
    conditions.sort_unstable();
    conditions.dedup();
    let mut extra = Vec::new();
    let mut guard = Guard::default();
    // sums of squares by limit: the sum so far, and the node after which it is known
    let mut sums: Vec<(u64, Id, Id)> = Vec::new();
    let mut last = 0;
    for (c, inverted) in conditions {
        let square = match graph.nodes[c as usize] {
            Node::Cmp(CmpOp::Lt, s, l) if inverted => match (graph.nodes[s as usize], graph.constant(l)) {
                (Node::Arith(Arith2::Mul, a, b), Some(limit)) if a == b => Some((s, a, limit)),
                _ => None,
            },
            _ => None,
        };
        let Some((s, a, limit)) = square else {
            guard.masks.push((c, !inverted));
            last = last.max(c);
            continue;
        };
        match sums.iter_mut().find(|sum| sum.0 == limit) {
            Some((_, sum, after)) => {
                let node = Node::Fma { a, b: a, c: *sum, minus_product: false, minus_c: false };
                *sum = graph.append(node);
                *after = (*after).max(s);
                extra.push((*sum, *after));
            }
            None => sums.push((limit, s, s)),
        }
    }
    for (limit, sum, after) in sums {
        guard.below.push((sum, limit));
        last = last.max(after);
    }
    let guarding = graph.append(Node::Guard);
    extra.push((guarding, last));
    Some(Fast { graph, slots, extra, guard })
}
