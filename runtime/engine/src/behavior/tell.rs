//! What behaviour remembers, by name: for whoever shows a state or compares two.

use std::collections::BTreeMap;

use twinml_model::behavior::OwnerId;

use super::schedule::Scheduler;
use super::streams;
use super::timers::Due;
use super::value::Value;
use super::vm::{path, text};

/// A thing that behaviour remembers: what it is, and its name; several of one name are one entry with all values.
pub(crate) type Remembered = BTreeMap<(&'static str, String), String>;

impl Scheduler<'_> {
    /// Memory of agents and functions, timers, what waits, queues, patterns, messages on their way, positions of random
    /// streams, counts.
    /// Times are in seconds.
    pub(crate) fn remembered(&self) -> Remembered {
        let b = self.b;
        let mut all: BTreeMap<(&'static str, String), Vec<String>> = BTreeMap::new();
        let mut put = |what, name: String, value: String| all.entry((what, name)).or_default().push(value);
        let at = |ns: i128| format!("{} s", ns as f64 / 1e9);
        for (cell, values) in b.cells.iter().zip(&self.store.cells) {
            for (k, value) in values.iter().enumerate() {
                let (instance, element) = (k as u32 / cell.len.max(1), k as u32 % cell.len.max(1));
                let element = if cell.len > 1 { format!("[{element}]") } else { String::new() };
                let name = format!("{}{element}", within(&path(b, cell.owner, instance), &cell.name));
                put("memory", name, text(b, value));
            }
        }
        for (ns, _, due) in self.timers.sorted() {
            put("timer", self.awaited(due), at(ns));
        }
        for waiting in self.slots.iter().filter_map(|s| s.waiting.as_ref()) {
            let thread = &waiting.thread;
            let place: Vec<String> = thread
                .frames
                .iter()
                .map(|f| {
                    let code = b.codes.get(f.code as usize).map_or("", |c| &c.name);
                    format!("{code} at {}", f.pc)
                })
                .collect();
            put("waiting", self.told_as(waiting.handler, thread.instance), place.join(", "));
        }
        for ((handler, instance), queue) in &self.queues {
            put("queue", self.told_as(*handler, *instance), format!("{} waiting", queue.len()));
        }
        for ((handler, instance), m) in &self.patterns {
            let times: Vec<String> = m.times.iter().map(|t| t.map_or("none".to_owned(), at)).collect();
            let deadline = m.deadline.map_or(String::new(), |t| format!(", until {}", at(t)));
            let said = format!("events at [{}], {} more{deadline}", times.join(", "), m.seen);
            put("pattern", self.told_as(*handler, *instance), said);
        }
        for (event, instance, ..) in &self.events {
            let name = b.events.get(*event as usize).map_or("", |e| &e.name);
            let owner = b.events.get(*event as usize).map_or(0, |e| e.owner);
            put("event", within(&path(b, owner, *instance), name), "not heard yet".to_owned());
        }
        for ((due, ..), letter) in &self.post.way {
            let name = b.messages.get(letter.message as usize).map_or("", |m| &m.name);
            let to = path(b, letter.to.owner, letter.to.instance);
            let from = letter.from.map_or_else(|| "the scenario".to_owned(), |t| text(b, &Value::Twin(t)));
            let values: Vec<String> = letter.args.iter().map(|(_, v)| text(b, v)).collect();
            let said = format!("({}) from {from} at {}", values.join(", "), at(*due));
            put("message", within(&to, name), said);
        }
        for call in self.post.calls.values() {
            let waiting = self.slots.get(call.slot).filter(|s| s.generation == call.generation);
            let Some(w) = waiting.and_then(|s| s.waiting.as_ref()) else { continue };
            let said = format!("{} came, {} not answered", call.bids.len(), call.open.len());
            put("proposals", self.told_as(w.handler, w.thread.instance), said);
        }
        for ((purpose, instance), (_, next)) in &self.store.draws {
            put("random stream", self.told_as(*purpose, *instance), format!("{next} drawn"));
        }
        put("count", "messages of log".to_owned(), self.said.to_string());
        if !b.messages.is_empty() {
            put("count", "messages sent".to_owned(), self.post.sent.to_string());
        }
        all.into_iter().map(|(key, values)| (key, values.join("; "))).collect()
    }

    /// What a timer sets off.
    fn awaited(&self, due: &Due) -> String {
        match due {
            Due::Tick { handler, instance, .. }
            | Due::At { handler, instance }
            | Due::After { handler, instance, .. }
            | Due::Silence { handler, instance } => self.told_as(*handler, *instance),
            Due::Code { purpose, instance, .. } => self.told_as(*purpose, *instance),
            Due::Wake { slot, .. } => match self.slots.get(*slot).and_then(|s| s.waiting.as_ref()) {
                Some(waiting) => self.told_as(waiting.handler, waiting.thread.instance),
                None => "nothing any more".to_owned(),
            },
        }
    }

    /// A handler by its head, or what a state does when it is entered or left, with the instance that it is of.
    fn told_as(&self, purpose: u32, instance: u32) -> String {
        let b = self.b;
        let owner: Option<OwnerId> = streams::owner(b, purpose);
        let name = match (b.handlers.get(purpose as usize), streams::state(b, purpose)) {
            (Some(handler), _) => {
                let title = self.titles.get(purpose as usize).filter(|t| !t.is_empty());
                let code = handler.body.and_then(|c| b.codes.get(c as usize)).map(|c| &c.name);
                title.or(code).cloned().unwrap_or_else(|| format!("handler {purpose}"))
            }
            (None, Some((m, s, exit))) => {
                let machine = &b.machines[m as usize];
                let word = if exit { "exit" } else { "entry" };
                format!("{word} {}.{}", machine.name, machine.states[s as usize].name)
            }
            (None, None) => "code of no handler".to_owned(),
        };
        owner.map_or(name.clone(), |owner| {
            let path = path(b, owner, instance);
            if path.is_empty() { name } else { format!("{path}: {name}") }
        })
    }
}

/// A member by its path.
fn within(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
