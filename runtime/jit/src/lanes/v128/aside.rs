//! What only those sides need that are seldom taken: it is computed in a cold block, where a lane takes one.

use crate::lanes::graph::{Graph, Id, Node};
use crate::lanes::plan::{Plan, condition};
use std::collections::BTreeMap;

/// One side that is seldom taken.
#[derive(Debug)]
pub(super) struct Side {
    /// The lanes that take it: a value, and whether those where it does *not* hold.
    pub cond: (Id, bool),
    /// The value of the others.
    pub usual: Id,
    /// What nobody else needs, in the order of the plan.
    pub nodes: Vec<Id>,
    /// Slots that these read.
    pub loads: Vec<Id>,
}

/// The sides of a plan's body, by the choices that they end in, and which nodes stand aside.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub sides: BTreeMap<Id, Side>,
    pub stands: Vec<bool>,
}

/// Who needs a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nowhere,
    /// On the seldom side of this choice only.
    By(Id),
    Everywhere,
}

impl Aside {
    pub fn of(g: &Graph, plan: &Plan) -> Aside {
        let mut all = Aside { sides: BTreeMap::new(), stands: vec![false; g.nodes.len()] };
        for &(id, cond, usual) in &g.seldom {
            let side = Side { cond: condition(g, cond), usual, nodes: Vec::new(), loads: Vec::new() };
            all.sides.insert(id, side);
        }
        if all.sides.is_empty() {
            return all;
        }
        let mut wanted = vec![Wanted::Nowhere; g.nodes.len()];
        let want = |wanted: &mut [Wanted], id: Id, by: Wanted| {
            let now = &mut wanted[id as usize];
            *now = if *now == Wanted::Nowhere || *now == by { by } else { Wanted::Everywhere };
        };
        let body = &plan.body;
        for id in body.stores.iter().map(|s| s.2).chain(body.out.iter().copied()) {
            want(&mut wanted, id, Wanted::Everywhere);
        }
        for &id in body.order.iter().rev() {
            let by = wanted[id as usize];
            let other = all.sides.get(&id).filter(|_| by == Wanted::Everywhere).map(|side| side.usual);
            for (k, a) in plan.operands(g, id).into_iter().enumerate() {
                // a choice's first operand says which
                let seldom = k > 0 && other.is_some_and(|usual| usual != a);
                want(&mut wanted, a, if seldom { Wanted::By(id) } else { by });
            }
            plan.others(g, id, |a| want(&mut wanted, a, by));
        }
        all.sides.retain(|&id, _| wanted[id as usize] == Wanted::Everywhere);
        for &id in &body.order {
            let Wanted::By(choice) = wanted[id as usize] else { continue };
            let Some(side) = all.sides.get_mut(&choice) else { continue };
            all.stands[id as usize] = true;
            side.nodes.push(id);
            let mut load = |a: Id| {
                if matches!(g.nodes[a as usize], Node::Load(_)) && !side.loads.contains(&a) {
                    side.loads.push(a);
                }
            };
            plan.operands(g, id).into_iter().for_each(&mut load);
            plan.others(g, id, load);
        }
        all.sides.retain(|_, side| !side.nodes.is_empty());
        all
    }
}
