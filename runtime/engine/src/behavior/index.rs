//! Who hears what, so that an event costs no look at those it does not concern.

use std::collections::BTreeMap;

use twinml_model::behavior::{
    Behavior, EventId, Handler, Heard, Instr, Machine, MessageId, OwnerId, Pattern, StateId, Trigger,
};
use twinml_model::ids::VarId;
use twinml_model::ir::Space;

use super::pattern::Member;

/// Handlers of one trigger that belong together: one outside machines, or all of a machine.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The machine, if any.
    pub machine: Option<u32>,
    /// The handlers, in order of declaration.
    pub handlers: Vec<u32>,
}

/// Handlers that are set off together: mostly one.
#[derive(Clone, Debug)]
pub(super) enum Few {
    One(u32),
    Many(Vec<u32>),
}

impl Few {
    /// `None` where there are none.
    pub(super) fn of(mut handlers: impl Iterator<Item = u32>) -> Option<Few> {
        let first = handlers.next()?;
        Some(match handlers.next() {
            None => Few::One(first),
            Some(second) => Few::Many([first, second].into_iter().chain(handlers).collect()),
        })
    }

    pub(super) fn list(&self) -> &[u32] {
        match self {
            Few::One(h) => std::slice::from_ref(h),
            Few::Many(list) => list,
        }
    }
}

/// Lists by what sets handlers off.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub by_watch: Vec<Vec<Group>>,
    pub by_event: Vec<Vec<Group>>,
    /// `when` transitions by machine.
    pub whens: Vec<Vec<u32>>,
    /// `after` of machines, by machine and state.
    pub afters: Vec<Vec<Vec<u32>>>,
    /// Absences of machines, by machine and state.
    pub silences: Vec<Vec<Vec<u32>>>,
    /// Members of patterns by event.
    pub members: Vec<Vec<Member>>,
    /// Machines and mirrors by owner.
    pub machines: Vec<Vec<u32>>,
    pub mirrors: Vec<Vec<usize>>,
    /// By owner: where it is written whether instances are there.
    pub presence: Vec<Option<(VarId, u32)>>,
    /// How many instances of an event's family code waits for at once.
    pub waits: Vec<Vec<u32>>,
    /// Handlers of messages by event: places in the program's list.
    pub hearers: Vec<Vec<u32>>,
    /// The event that a message is for a family.
    addressed: BTreeMap<(MessageId, OwnerId), EventId>,
    /// First slot, length, watch: sorted.
    slots: Vec<(u32, u32, u32)>,
}

impl Index {
    pub(super) fn new(b: &Behavior) -> Index {
        let mut out = Index {
            by_watch: vec![Vec::new(); b.watches.len()],
            by_event: vec![Vec::new(); b.events.len()],
            whens: vec![Vec::new(); b.machines.len()],
            afters: b.machines.iter().map(|m| vec![Vec::new(); m.states.len()]).collect(),
            silences: b.machines.iter().map(|m| vec![Vec::new(); m.states.len()]).collect(),
            members: super::pattern::by_event(b),
            machines: vec![Vec::new(); b.owners.len()],
            mirrors: vec![Vec::new(); b.owners.len()],
            presence: super::population::presence(b),
            waits: vec![Vec::new(); b.events.len()],
            hearers: Vec::new(),
            addressed: BTreeMap::new(),
            slots: Vec::new(),
        };
        for (k, m) in (0u32..).zip(&b.machines) {
            out.machines[m.owner as usize].push(k);
        }
        for (k, m) in b.mirrors.iter().enumerate() {
            out.mirrors[m.owner as usize].push(k);
        }
        for (k, w) in (0u32..).zip(&b.watches) {
            if let Some(home) = b.vars.get(w.var.index()).filter(|h| h.space == Space::Disc) {
                out.slots.push((home.base, home.len, k));
            }
        }
        out.slots.sort_unstable();
        for code in &b.codes {
            for i in &code.instrs {
                if let Instr::WaitFor(Heard { event, per, .. }) = i {
                    let list = &mut out.waits[*event as usize];
                    if !list.contains(per) {
                        list.push(*per);
                    }
                }
            }
        }
        if !b.messages.is_empty() {
            let numbers: BTreeMap<&str, MessageId> =
                (0u32..).zip(&b.messages).map(|(k, m)| (m.name.as_str(), k)).collect();
            for (k, e) in (0u32..).zip(&b.events) {
                if let Some(m) = numbers.get(e.name.as_str()) {
                    out.addressed.insert((*m, e.owner), k);
                }
            }
            out.hearers = vec![Vec::new(); b.events.len()];
            for (k, h) in (0u32..).zip(&b.hearers) {
                if let Some(Trigger::Event(heard)) = b.handlers.get(h.handler as usize).map(|h| &h.trigger) {
                    out.hearers[heard.event as usize].push(k);
                }
            }
        }
        for (k, h) in (0u32..).zip(&b.handlers) {
            let machine = h.scope.map(|(m, _)| m);
            match &h.trigger {
                Trigger::Rising(w) | Trigger::Falling(w) | Trigger::Change(w) => {
                    add(&mut out.by_watch[*w as usize], machine, k);
                }
                Trigger::When(w) => {
                    add(&mut out.by_watch[*w as usize], machine, k);
                    if let Some(m) = machine {
                        out.whens[m as usize].push(k);
                    }
                }
                Trigger::Event(heard) => add(&mut out.by_event[heard.event as usize], machine, k),
                Trigger::After(_) => begun(b, &mut out.afters, h, k),
                Trigger::Pattern(Pattern::Absence(..)) => begun(b, &mut out.silences, h, k),
                _ => {}
            }
        }
        out
    }

    /// The event that a message is to the twins of a family; `None`: they hear nothing of it.
    pub(super) fn addressed(&self, message: MessageId, owner: OwnerId) -> Option<EventId> {
        self.addressed.get(&(message, owner)).copied()
    }

    /// Watches and instances of a slot of `Disc`.
    pub(super) fn watch(&self, slot: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.watched(slot).filter_map(move |k| self.watcher(k, slot))
    }

    /// Where the watches of a slot stand in the list, among others.
    pub(super) fn watched(&self, slot: u32) -> std::ops::Range<usize> {
        let end = self.slots.partition_point(|(first, ..)| *first <= slot);
        let first = self.slots[..end].last().map_or(0, |(f, ..)| *f);
        let begin = self.slots[..end].partition_point(|(f, ..)| *f < first);
        begin..end
    }

    /// The watch at a place of the list with its instance, if it is one of the slot's.
    pub(super) fn watcher(&self, k: usize, slot: u32) -> Option<(u32, u32)> {
        let (first, len, watch) = *self.slots.get(k)?;
        (slot - first < len).then_some((watch, slot - first))
    }
}

/// Notes a handler at the states with which it begins.
fn begun(b: &Behavior, lists: &mut [Vec<Vec<u32>>], h: &Handler, k: u32) {
    match h.scope {
        Some((m, Some(s))) => lists[m as usize][s as usize].push(k),
        Some((m, None)) => {
            let states = &b.machines[m as usize].states;
            for (s, list) in states.iter().zip(&mut lists[m as usize]) {
                if s.parent.is_none() {
                    list.push(k);
                }
            }
        }
        None => {}
    }
}

fn add(groups: &mut Vec<Group>, machine: Option<u32>, handler: u32) {
    if machine.is_some()
        && let Some(group) = groups.iter_mut().find(|g| g.machine == machine)
    {
        group.handlers.push(handler);
        return;
    }
    groups.push(Group { machine, handlers: vec![handler] });
}

/// The states that are active with a leaf, innermost first.
pub(super) fn chain(m: &Machine, leaf: u32) -> impl Iterator<Item = StateId> + Clone + '_ {
    let found = (0u32..).zip(&m.states).find(|(_, s)| s.initial.is_none() && s.first_leaf == leaf);
    std::iter::successors(found.map(|(k, _)| k), |s| m.states[*s as usize].parent)
}

/// The leaf that is entered with a state.
pub(super) fn leaf(m: &Machine, state: StateId) -> u32 {
    let mut at = state;
    while let Some(inner) = m.states[at as usize].initial {
        at = inner;
    }
    m.states[at as usize].first_leaf
}
