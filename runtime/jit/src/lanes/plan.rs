//! What is computed when: which nodes live, which are computed once before the first repetition, which merge into one
//! instruction, and when slots are written.

use super::graph::{Bits2, Graph, Id, Node, Target};
use super::guard::{self, Fast};
use std::collections::BTreeMap;

/// What one entry of a schedule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The node as it stands.
    Node,
    /// Three operands bit by bit, by a table of truth (AVX-512).
    Ternary { table: u8, a: Id, b: Id, c: Id },
}

/// What the entries do: nearly all are their nodes as they stand.
#[derive(Debug)]
pub(super) struct Steps {
    /// By node, from 1 on the number in the list.
    number: Vec<u32>,
    list: Vec<Step>,
}

impl Steps {
    fn plain(n: usize) -> Self {
        Steps { number: vec![0; n], list: Vec::new() }
    }

    /// Of a node.
    pub fn of(&self, id: Id) -> Step {
        match self.number[id as usize] {
            0 => Step::Node,
            k => self.list[k as usize - 1],
        }
    }

    fn set(&mut self, id: usize, step: Step) {
        self.list.push(step);
        self.number[id] = self.list.len() as u32;
    }
}

/// Entries in order, with the stores that follow each.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub order: Vec<Id>,
    /// `(position, slot, value)`, sorted by position.
    pub stores: Vec<(u32, u32, Id)>,
    /// Values that must outlive the segment: used at its end.
    pub out: Vec<Id>,
}

/// The plan of a graph.
#[derive(Debug)]
pub(super) struct Plan {
    pub before: Segment,
    pub body: Segment,
    pub steps: Steps,
    /// At most so often each node is used, by entries and at the ends of segments.
    pub uses: Vec<u32>,
    /// Computed before the first repetition.
    pub invariant: Vec<bool>,
    /// Slots that one repetition hands to the next: `(slot, its node, what it becomes)`.
    pub carried: Vec<(u32, Id, Id)>,
    /// Most arguments of a slow path.
    pub args: usize,
    /// Where the guard stands in the body.
    pub guard: Option<u32>,
    /// What it reads.
    pub guarded: Vec<Id>,
}

impl Plan {
    /// The operands of an entry, each once.
    pub fn operands(&self, g: &Graph, id: Id, out: &mut Vec<Id>) {
        out.clear();
        if g.nodes[id as usize] == Node::Guard {
            out.extend(&self.guarded);
        }
        operands(g, self.steps.of(id), id, |a| {
            if !out.contains(&a) {
                out.push(a);
            }
        });
    }

    /// `carry`: how many slots may be carried in registers. A second plan, for the code without slow paths, carries the
    /// same.
    pub fn of(g: &mut Graph, slots: &BTreeMap<u32, Id>, carry: usize) -> (Plan, Option<(Fast, Plan)>) {
        let mut slots = slots.clone();
        // a slot that gets what another written slot held is read before that one is written
        for (&slot, id) in &mut slots.clone() {
            if let Node::Load(from) = g.nodes[*id as usize]
                && from != slot
                && slots.contains_key(&from)
            {
                let copy = g.copy(*id);
                slots.insert(slot, copy);
            }
        }
        let fast = if g.slow.is_empty() {
            None
        } else {
            let uses = uses(g, &slots, &[], &[]);
            let invariant = invariant(g, &slots, &Steps::plain(g.nodes.len()));
            guard::fast(g, &slots, &uses, &invariant)
        };
        let plan = Plan::make(g, &slots, &[], Vec::new(), carry);
        let fast = fast.and_then(|fast| {
            let second = Plan::make(&fast.graph, &fast.slots, &fast.extra, fast.guard.reads(), carry);
            let same = |p: &Plan| p.carried.iter().map(|c| (c.0, c.1)).collect::<Vec<_>>();
            let known = |id: Id| {
                let node = &fast.graph.nodes[id as usize];
                leaf(node) || plan.before.order.binary_search(&id).is_ok()
            };
            let all = same(&plan) == same(&second) && second.before.order.iter().all(|&id| known(id));
            all.then_some((fast, second))
        });
        (plan, fast)
    }

    fn make(
        g: &Graph,
        slots: &BTreeMap<u32, Id>,
        extra: &[(Id, Id)],
        guarded: Vec<Id>,
        carry: usize,
    ) -> Plan {
        let n = g.nodes.len();
        let mut steps = Steps::plain(n);
        let mut uses = uses(g, slots, extra, &guarded);
        if g.target == Target::Avx512 {
            ternaries(g, &mut uses, &mut steps);
        }
        let invariant = invariant(g, slots, &steps);
        let mut plan = Plan {
            before: Segment::default(),
            body: Segment::default(),
            steps,
            uses: Vec::new(),
            invariant,
            carried: Vec::new(),
            args: g.slow.iter().map(|s| s.args.len()).max().unwrap_or(0),
            guard: None,
            guarded,
        };
        let mut place = |id: Id| {
            if uses[id as usize] == 0 || leaf(&g.nodes[id as usize]) {
                return;
            }
            let segment = if plan.invariant[id as usize] { &mut plan.before } else { &mut plan.body };
            if g.nodes[id as usize] == Node::Guard {
                plan.guard = Some(segment.order.len() as u32);
            }
            segment.order.push(id);
        };
        // the extra ones are the last by number, and stand right after others
        let mut extra: Vec<(Id, Id)> = extra.iter().map(|&(id, after)| (after, id)).collect();
        extra.sort_unstable();
        let mut extra = extra.into_iter().peekable();
        for id in 0..(n - extra.len()) as Id {
            place(id);
            while let Some((_, more)) = extra.next_if(|e| e.0 == id) {
                place(more);
            }
        }
        // the last use of each slot's old value, and where values are made
        let mut made = vec![0u32; n];
        let mut last = vec![0u32; n];
        let mut list = Vec::new();
        for (p, &id) in plan.body.order.iter().enumerate() {
            made[id as usize] = p as u32;
            plan.operands(g, id, &mut list);
            for &a in &list {
                last[a as usize] = p as u32;
            }
        }
        let loads: BTreeMap<u32, Id> = (0..n as Id)
            .filter_map(|id| match g.nodes[id as usize] {
                Node::Load(slot) if uses[id as usize] > 0 => Some((slot, id)),
                _ => None,
            })
            .collect();
        for (&slot, &id) in slots {
            let load = loads.get(&slot).copied();
            if let Some(load) = load
                && plan.carried.len() < carry
            {
                plan.carried.push((slot, load, id));
                plan.body.out.push(id);
                continue;
            }
            // nothing is written before the guard
            let mut p = made[id as usize].max(plan.guard.unwrap_or(0));
            if let Some(load) = load {
                p = p.max(last[load as usize]);
            }
            plan.body.stores.push((p, slot, id));
        }
        plan.body.stores.sort_unstable();
        if plan.guard.is_some() {
            // all begins again with these where the guard fails
            plan.carried.iter().for_each(|c| uses[c.1 as usize] += 1);
        }
        plan.uses = uses;
        plan
    }
}

/// How often each node is used, by what is live.
fn uses(g: &Graph, slots: &BTreeMap<u32, Id>, extra: &[(Id, Id)], guarded: &[Id]) -> Vec<u32> {
    let n = g.nodes.len();
    let mut uses = vec![0u32; n];
    for &id in slots.values() {
        uses[id as usize] += 1;
    }
    // the last of the extra ones is the guard
    for &id in extra.last().iter().map(|e| &e.0).chain(guarded) {
        uses[id as usize] += 1;
    }
    // those that stand elsewhere than their number says come first
    let backwards = extra.iter().rev().map(|e| e.0).chain((0..(n - extra.len()) as Id).rev());
    for id in backwards {
        if uses[id as usize] > 0 {
            operands(g, Step::Node, id, |a| uses[a as usize] += 1);
        }
    }
    uses
}

fn invariant(g: &Graph, slots: &BTreeMap<u32, Id>, steps: &Steps) -> Vec<bool> {
    let n = g.nodes.len();
    let mut invariant = vec![false; n];
    for id in 0..n as Id {
        invariant[id as usize] = match g.nodes[id as usize] {
            Node::Const(_) | Node::ConstB(_) => true,
            Node::Guard => false,
            Node::Load(slot) => !slots.contains_key(&slot),
            _ => {
                let mut all = true;
                operands(g, steps.of(id), id, |a| all &= invariant[a as usize]);
                all
            }
        };
    }
    invariant
}

fn leaf(n: &Node) -> bool {
    matches!(n, Node::Const(_) | Node::ConstB(_) | Node::Load(_) | Node::Input(_))
}

/// The lanes that take a slow path: a value, and whether those where it does *not* hold.
pub(super) fn condition(g: &Graph, cond: Id) -> (Id, bool) {
    match g.nodes[cond as usize] {
        Node::Not(c) => (c, true),
        _ => (cond, false),
    }
}

#[inline(always)]
fn operands(g: &Graph, step: Step, id: Id, mut f: impl FnMut(Id)) {
    if let Step::Ternary { a, b, c, .. } = step {
        f(a);
        f(b);
        f(c);
        return;
    }
    match g.nodes[id as usize] {
        Node::Slow(k) => {
            let slow = &g.slow[k as usize];
            if let Some(c) = slow.cond {
                f(condition(g, c).0);
            }
            if let Some(u) = slow.usual {
                f(u);
            }
            slow.args.iter().for_each(|&a| f(a));
        }
        node => node.operands(f),
    }
}

fn bitwise(n: &Node) -> Option<(Bits2, Id, Id)> {
    match *n {
        Node::Bits(op @ (Bits2::And | Bits2::Or | Bits2::Xor), a, b) => Some((op, a, b)),
        _ => None,
    }
}

fn truth(op: Bits2, x: u8, y: u8) -> u8 {
    match op {
        Bits2::And => x & y,
        Bits2::Or => x | y,
        _ => x ^ y,
    }
}

/// Two bitwise operations in one instruction, where the inner one has no other use.
fn ternaries(g: &Graph, uses: &mut [u32], steps: &mut Steps) {
    for id in (0..g.nodes.len()).rev() {
        if uses[id] == 0 {
            continue;
        }
        let Some((op, x, y)) = bitwise(&g.nodes[id]) else { continue };
        for (inner, other) in [(x, y), (y, x)] {
            let Some((first, a, b)) = bitwise(&g.nodes[inner as usize]) else { continue };
            if uses[inner as usize] != 1 || inner == other || a == other || b == other || a == b {
                continue;
            }
            let table = truth(op, truth(first, 0xf0, 0xcc), 0xaa);
            steps.set(id, Step::Ternary { table, a, b, c: other });
            uses[inner as usize] = 0;
            break;
        }
    }
}
