//! What is computed when: which nodes live, which are computed once before the first repetition, which merge into one
//! instruction, and when slots are written.

use super::graph::{Bits2, Graph, Id, NOTHING, Node, Target};
use super::guard::{self, Fast};
use std::collections::BTreeMap;

/// What one entry of a schedule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The node as it stands.
    Node,
    /// Three operands bit by bit, by a table of truth (AVX-512).
    Ternary { table: u8, a: Id, b: Id, c: Id },
    /// `if c then −a else b` (AVX-512).
    Negated { c: Id, a: Id, b: Id },
}

/// What the entries do: nearly all are their nodes as they stand.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// By node, from 1 on the number in the list; empty where all are plain.
    number: Vec<u32>,
    list: Vec<Step>,
}

impl Steps {
    /// Of a node.
    pub fn of(&self, id: Id) -> Step {
        match self.number.get(id as usize) {
            None | Some(0) => Step::Node,
            Some(&k) => self.list[k as usize - 1],
        }
    }

    fn set(&mut self, n: usize, id: usize, step: Step) {
        self.number.resize(n, 0);
        self.list.push(step);
        self.number[id] = self.list.len() as u32;
    }
}

/// No position: never used again.
pub(super) const NEVER: u32 = u32::MAX;

/// Entries in order, with the stores that follow each. Entry `p` uses its operands at position `2p`, the stores behind it
/// at `2p + 1`.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub order: Vec<Id>,
    /// Where each operand is used next. An operand that stands there twice is asked for at its last place.
    pub links: Vec<[u32; 3]>,
    /// The operands of slow paths and guards, each once, with their next uses. Their entries' links say `[from, to, _]`.
    pub more: Vec<(Id, u32)>,
    /// `(position, slot, value)`, sorted by position.
    pub stores: Vec<(u32, u32, Id)>,
    /// Where the value of each store is used next; the store's own position where another one there has it too.
    pub store_links: Vec<u32>,
    /// Values that must outlive the segment: used at its end.
    pub out: Vec<Id>,
    /// Where each node is used first.
    pub first: Vec<u32>,
}

impl Segment {
    /// Finds all next uses, from the end backwards. `again`: values that position `2·guard + 1` uses besides; gives their
    /// next uses. `first`: room for the first uses.
    fn link(&mut self, plan: &Plan, g: &Graph, guard: u32, again: &[Id], mut first: Vec<u32>) -> Vec<u32> {
        let end = self.order.len();
        first.fill(NEVER);
        let mut use_at = |id: Id, position: u32| std::mem::replace(&mut first[id as usize], position);
        for &id in &self.out {
            use_at(id, 2 * end as u32);
        }
        self.links = vec![[NEVER; 3]; end];
        self.store_links = vec![NEVER; self.stores.len()];
        let mut again_links = vec![NEVER; again.len()];
        let mut store = self.stores.len();
        for p in (0..end.max(1)).rev() {
            let at = 2 * p as u32;
            while store > 0 && self.stores[store - 1].0 as usize == p {
                store -= 1;
                self.store_links[store] = use_at(self.stores[store].2, at + 1);
            }
            if p == guard as usize {
                for (link, &id) in again_links.iter_mut().zip(again).rev() {
                    *link = use_at(id, at + 1);
                }
            }
            let Some(&id) = self.order.get(p) else { continue };
            let [a, b, c] = plan.operands(g, id);
            if a != NOTHING {
                let c = use_at(c, at);
                let b = use_at(b, at);
                self.links[p] = [use_at(a, at), b, c];
            } else {
                let from = self.more.len() as u32;
                plan.others(g, id, |a| {
                    if self.more[from as usize..].iter().all(|m| m.0 != a) {
                        self.more.push((a, use_at(a, at)));
                    }
                });
                self.links[p] = [from, self.more.len() as u32, NEVER];
            }
        }
        self.first = first;
        again_links
    }
}

/// The plan of a graph.
#[derive(Debug)]
pub(super) struct Plan {
    pub before: Segment,
    pub body: Segment,
    pub steps: Steps,
    /// Computed before the first repetition; empty where there are no slow paths.
    pub invariant: Vec<bool>,
    /// Constants and loads that are used.
    pub leaves: Vec<Id>,
    /// Slots that one repetition hands to the next: `(slot, its node, what it becomes)`.
    pub carried: Vec<(u32, Id, Id)>,
    /// Where the nodes of these are used next after the guard, from which all may begin again.
    pub carried_links: Vec<u32>,
    /// Most arguments of a slow path.
    pub args: usize,
    /// Where the guard stands in the body.
    pub guard: Option<u32>,
    /// What it reads.
    pub guarded: Vec<Id>,
}

impl Plan {
    /// The operands of an entry, filled up with [`NOTHING`]; none of slow paths and guards.
    #[inline(always)]
    pub fn operands(&self, g: &Graph, id: Id) -> [Id; 3] {
        match self.steps.of(id) {
            Step::Ternary { a, b, c, .. } | Step::Negated { c: a, a: b, b: c } => [a, b, c],
            Step::Node => g.operands[id as usize],
        }
    }

    /// The operands of a slow path or a guard.
    pub fn others(&self, g: &Graph, id: Id, mut f: impl FnMut(Id)) {
        match g.nodes[id as usize] {
            Node::Slow(k) => slow_operands(g, k, f),
            Node::Guard => self.guarded.iter().for_each(|&a| f(a)),
            _ => {}
        }
    }

    /// `carry`: how many slots may be carried in registers. A second plan, for the code without slow paths, carries the
    /// same.
    pub fn of(g: &Graph, slots: &BTreeMap<u32, Id>, carry: usize) -> (Plan, Option<(Fast, Plan)>) {
        let plan = Plan::make(g, slots, &[], Vec::new(), carry);
        let fast = if g.slow.is_empty() {
            None
        } else {
            let uses = uses(g, slots, &[], &[]);
            guard::fast(g, slots, &uses, &plan.invariant)
        };
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
        let mut steps = Steps::default();
        let mut uses = uses(g, slots, extra, &guarded);
        if g.target == Target::Avx512 {
            pairs(g, &mut uses, &mut steps);
        }
        let mut plan = Plan {
            before: Segment::default(),
            body: Segment::default(),
            steps,
            invariant: vec![false; n],
            leaves: Vec::new(),
            carried: Vec::new(),
            carried_links: Vec::new(),
            args: g.slow.iter().map(|s| s.args.len()).max().unwrap_or(0),
            guard: None,
            guarded,
        };
        plan.invariant[NOTHING as usize] = true;
        plan.body.order.reserve(n);
        // where values are made in the body, and last used
        let (mut made, mut last) = (vec![0u32; n], vec![0u32; n]);
        // the extra ones are the last by number, and stand right after others
        let mut extra: Vec<(Id, Id)> = extra.iter().map(|&(id, after)| (after, id)).collect();
        extra.sort_unstable();
        let mut extra = extra.into_iter().peekable();
        for id in 0..(n - extra.len()) as Id {
            plan.place(g, slots, id, &uses, (&mut made, &mut last));
            while let Some((_, more)) = extra.next_if(|e| e.0 == id) {
                plan.place(g, slots, more, &uses, (&mut made, &mut last));
            }
        }
        let loads: BTreeMap<u32, Id> = plan
            .leaves
            .iter()
            .filter_map(|&id| match g.nodes[id as usize] {
                Node::Load(slot) => Some((slot, id)),
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
        drop(uses);
        let mut segment = std::mem::take(&mut plan.before);
        if segment.order.is_empty() {
            drop(last);
        } else {
            segment.link(&plan, g, NEVER, &[], last);
        }
        plan.before = segment;
        if g.slow.is_empty() {
            // nobody asks any more
            plan.invariant = Vec::new();
        }
        let again: Vec<Id> = plan.carried.iter().map(|c| c.1).collect();
        let mut segment = std::mem::take(&mut plan.body);
        plan.carried_links = segment.link(&plan, g, plan.guard.unwrap_or(NEVER), &again, made);
        plan.body = segment;
        plan
    }

    /// Finds a node its place. `made`, `last`: where values of the body are made and last used so far.
    #[inline(always)]
    fn place(
        &mut self,
        g: &Graph,
        slots: &BTreeMap<u32, Id>,
        id: Id,
        uses: &[u8],
        (made, last): (&mut [u32], &mut [u32]),
    ) {
        if uses[id as usize] == 0 {
            return;
        }
        let operands = self.operands(g, id);
        let p = self.body.order.len() as u32;
        let all;
        if operands[0] != NOTHING {
            let of = |a: Id| self.invariant[a as usize];
            all = of(operands[0]) & of(operands[1]) & of(operands[2]);
            if !all {
                operands.iter().for_each(|&a| last[a as usize] = p);
            }
        } else {
            let node = g.nodes[id as usize];
            if leaf(&node) {
                self.invariant[id as usize] = match node {
                    Node::Load(slot) => !slots.contains_key(&slot),
                    _ => true,
                };
                self.leaves.push(id);
                return;
            }
            let mut every = node != Node::Guard;
            self.others(g, id, |a| every &= self.invariant[a as usize]);
            all = every;
            if !all {
                self.others(g, id, |a| last[a as usize] = p);
            }
            if node == Node::Guard {
                self.guard = Some(p);
            }
        }
        self.invariant[id as usize] = all;
        if all {
            self.before.order.push(id);
        } else {
            made[id as usize] = p;
            self.body.order.push(id);
        }
    }
}

/// How often each node is used (many times: at least twice), by what is live.
pub(super) fn uses(g: &Graph, slots: &BTreeMap<u32, Id>, extra: &[(Id, Id)], guarded: &[Id]) -> Vec<u8> {
    let n = g.nodes.len();
    let mut uses = vec![0u8; n];
    let add = |uses: &mut [u8], a: Id| uses[a as usize] = uses[a as usize].saturating_add(1);
    for &id in slots.values() {
        add(&mut uses, id);
    }
    // the last of the extra ones is the guard
    for &id in extra.last().iter().map(|e| &e.0).chain(guarded) {
        add(&mut uses, id);
    }
    // those that stand elsewhere than their number says come first
    let backwards = extra.iter().rev().map(|e| e.0).chain((0..(n - extra.len()) as Id).rev());
    for id in backwards {
        if uses[id as usize] > 0 {
            let operands = g.operands[id as usize];
            operands.iter().for_each(|&a| add(&mut uses, a));
            if !g.slow.is_empty()
                && let Node::Slow(k) = g.nodes[id as usize]
            {
                slow_operands(g, k, |a| add(&mut uses, a));
            }
        }
    }
    uses[NOTHING as usize] = 0;
    uses
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

fn slow_operands(g: &Graph, k: u32, mut f: impl FnMut(Id)) {
    let slow = &g.slow[k as usize];
    if let Some(c) = slow.cond {
        f(condition(g, c).0);
    }
    if let Some(u) = slow.usual {
        f(u);
    }
    slow.args.iter().for_each(|&a| f(a));
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

/// Two operations in one instruction, where nothing else needs the inner one: bitwise ones, and a change of sign in some lanes.
fn pairs(g: &Graph, uses: &mut [u8], steps: &mut Steps) {
    let mut shared: Vec<(Id, usize, Step)> = Vec::new();
    for id in (0..g.nodes.len()).rev() {
        if uses[id] == 0 {
            continue;
        }
        if let Node::Select(c, minus, b) = g.nodes[id]
            && uses[minus as usize] == 1
            && let Some(a) = g.negated(minus)
        {
            steps.set(g.nodes.len(), id, Step::Negated { c, a, b });
            uses[minus as usize] = 0;
        }
        let Some((op, x, y)) = bitwise(&g.nodes[id]) else { continue };
        let mut several = None;
        for (inner, other) in [(x, y), (y, x)] {
            let Some((first, a, b)) = bitwise(&g.nodes[inner as usize]) else { continue };
            if inner == other || a == other || b == other || a == b {
                continue;
            }
            let table = truth(op, truth(first, 0xf0, 0xcc), 0xaa);
            let step = Step::Ternary { table, a, b, c: other };
            if uses[inner as usize] == 1 {
                steps.set(g.nodes.len(), id, step);
                uses[inner as usize] = 0;
                several = None;
                break;
            }
            several = Some((inner, id, step));
        }
        shared.extend(several);
    }
    // one that several others have for their inner one goes into all of them
    shared.sort_unstable_by_key(|s| (s.0, s.1));
    for users in shared.chunk_by(|a, b| a.0 == b.0) {
        let inner = users[0].0;
        // counts end at 255
        let all = users.len() < 255 && users.len() == usize::from(uses[inner as usize]);
        if all && steps.of(inner) == Step::Node {
            users.iter().for_each(|&(_, id, step)| steps.set(g.nodes.len(), id, step));
            uses[inner as usize] = 0;
        }
    }
}
