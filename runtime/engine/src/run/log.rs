//! The log of events: one row for everything that an instant changed, written while the run goes on.
//!
//! Columns: `time` in seconds; `step`, the micro-step as in results; `path`, the quantity or the instance whose
//! comparison it is; `event`, the comparison, the action or the handler as the model writes it, or the name of what was
//! emitted; `kind`; `pre` and `post`, the values before and after in SI (truth values as 0 and 1; NaN where there is
//! none). Kinds: `crossing`, a comparison changed; `handler`, a handler ran in the instance `path`; `state`, `discrete`
//! and `input`, a value that it wrote (`event` names the handler); `event`, it emitted one; `action`, one of the
//! scenario's. Where a model sends messages there are three more kinds and two more columns: `sent`, the twin `path`
//! sent the message `event` to `peer`; `message`, `path` was delivered it from `peer`; `lost`, nobody took it; `peer`, the
//! twin at the other end (empty: the scenario, or the model as a whole); `conversation`, its number. Rows of an instant stand in the order in which things happened. Nothing is opened before the first event,
//! so a run without events leaves no log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::*;
use crate::behavior::{Carried, Mail};
use crate::record::{ColumnSpec, Columns, Element, Recorded};
use twinml_model::behavior::{EventId, OwnerId};
use twinml_model::ir::{Region, Stmt};

/// Opens the recorder of a log when the first event is at hand.
pub type OpenLog<'l> = Box<dyn FnMut(Columns) -> Result<Box<dyn Recorder>, RecordError> + 'l>;

/// Slots of one action that are logged at most.
const TARGETS: usize = 4096;
/// The kinds of rows, in the order of their numbers.
const KINDS: [&str; 7] = ["crossing", "discrete", "action", "state", "input", "handler", "event"];
/// Those of messages, behind them.
const MAIL: [(&str, Mail); 3] = [("sent", Mail::Sent), ("message", Mail::Received), ("lost", Mail::Lost)];
const STATE: usize = 3;
const INPUT: usize = 4;
/// Columns of texts.
pub(super) const PATH: usize = 2;
pub(super) const EVENTS: usize = 3;
const KIND: usize = 4;
/// Where there are messages: the other end's path.
const PEER: usize = 7;
const HANDLER: usize = 5;
const EVENT: usize = 6;
/// No kind: a row that is not written.
const HIDDEN: usize = usize::MAX;
/// So many rows back a second write of one handler is found.
const RECENT: usize = 64;

/// What the rows of an action or of a slot say.
#[derive(Clone, Copy, Debug)]
struct Labels {
    path: usize,
    event: usize,
    kind: usize,
}

/// The log of one run.
pub(super) struct Log<'l> {
    open: OpenLog<'l>,
    recorder: Option<Box<dyn Recorder>>,
    paths: Vec<String>,
    events: Vec<String>,
    /// Labels of each discrete slot.
    slots: Vec<Labels>,
    /// What each action of the experiment writes: slots of memory with their labels.
    actions: Vec<Vec<(usize, Labels)>>,
    /// Values from before the actions at hand.
    before: Vec<f64>,
    /// What behaviour did at the instant at hand: labels, before, after.
    acts: Vec<(Labels, f64, f64)>,
    /// The other ends of messages among them, in their order: path, conversation.
    peers: VecDeque<(usize, u64)>,
    /// What each change of a branch writes.
    changes: Vec<Vec<(usize, Labels)>>,
    /// Rows so far; of these the first so many were written by the run that this one goes on from.
    rows: u64,
    mute: u64,
    /// The handler at work.
    event: usize,
    /// Discrete slots that the rows written at this instant already tell of, with the value that they told.
    told: BTreeMap<usize, f64>,
    behavior: Option<Texts>,
}

/// Where the texts of behaviour begin in [`Log::paths`] and [`Log::events`].
#[derive(Clone, Debug, Default)]
struct Texts {
    /// First event text of handlers, codes, emitted events.
    handlers: usize,
    codes: usize,
    emitted: usize,
    /// First of the messages' names; none where nothing is sent.
    messages: Option<usize>,
    /// First path of each owner's instances; the owners of handlers, codes and events.
    owners: Vec<usize>,
    of_handlers: Vec<u32>,
    of_events: Vec<u32>,
    /// First path of the slots of states and of inputs.
    states: usize,
    inputs: usize,
}

impl<'l> Log<'l> {
    pub(super) fn new(program: &Program, experiment: &Experiment, open: OpenLog<'l>) -> Log<'l> {
        let mut log = Log {
            open,
            recorder: None,
            paths: Vec::new(),
            events: vec![String::new()],
            slots: Vec::new(),
            actions: Vec::new(),
            before: Vec::new(),
            acts: Vec::new(),
            peers: VecDeque::new(),
            changes: Vec::new(),
            rows: 0,
            mute: 0,
            event: 0,
            told: BTreeMap::new(),
            behavior: None,
        };
        for slot in 0..program.sizes.disc as usize {
            let path = log.paths.len();
            let name = schema_path(program, Space::Disc, slot);
            // What no model declares, as the truth of a condition that a handler waits for, has no rows.
            let kind = if name.is_some() { 1 } else { HIDDEN };
            log.paths.push(name.unwrap_or_default());
            log.slots.push(Labels { path, event: 0, kind });
        }
        for relation in &program.relations {
            let text = program.origins.get(relation.origin.index()).map_or("", |o| &o.text);
            let (path, text) = match text.split_once(": ") {
                Some((path, text)) if !path.contains(' ') => (path, text),
                _ => ("", text),
            };
            log.events.push(text.to_owned());
            for j in 0..relation.len as usize {
                let labels = &mut log.slots[relation.disc as usize + j];
                (labels.event, labels.kind) = (log.events.len() - 1, 0);
                let one = path.matches("[*]").count() == 1;
                log.paths[labels.path] =
                    if one { path.replace("[*]", &format!("[{j}]")) } else { path.to_owned() };
            }
        }
        for action in &experiment.actions {
            let text = program.origins.get(action.origin.index()).map_or("", |o| &o.text);
            log.events.push(text.to_owned());
            let mut written = Vec::new();
            targets(&action.kernel.body, &mut Vec::new(), &mut written);
            let event = log.events.len() - 1;
            let mut slots = Vec::with_capacity(written.len());
            for (space, slot) in written {
                let path = log.paths.len();
                log.paths.push(path_of(program, space, slot));
                slots.push((program.sizes.offset(space) + slot, Labels { path, event, kind: 2 }));
            }
            log.actions.push(slots);
        }
        if program.behavior != Behavior::default() {
            log.texts(program);
        }
        log
    }

    /// Takes up the texts of behaviour.
    fn texts(&mut self, program: &Program) {
        let b = &program.behavior;
        let mut texts = Texts { handlers: self.events.len(), ..Texts::default() };
        self.events.extend((0u32..).zip(&b.handlers).map(|(k, _)| instant::heading(program, k)));
        texts.codes = self.events.len();
        self.events.extend(b.codes.iter().map(|c| c.name.clone()));
        texts.emitted = self.events.len();
        self.events.extend(b.events.iter().map(|e| e.name.clone()));
        if !b.messages.is_empty() {
            texts.messages = Some(self.events.len());
            self.events.extend(b.messages.iter().map(|m| m.name.clone()));
            // The model as a whole and the scenario have no path.
            self.paths.push(String::new());
        }
        for (k, owner) in (0u32..).zip(&b.owners) {
            texts.owners.push(self.paths.len());
            self.paths.extend((0..owner.count).map(|i| crate::behavior::path(b, k, i)));
        }
        texts.of_handlers = b.handlers.iter().map(|h| h.owner).collect();
        texts.of_events = b.events.iter().map(|e| e.owner).collect();
        texts.states = self.paths.len();
        self.paths.extend((0..program.sizes.state as usize).map(|s| path_of(program, Space::State, s)));
        texts.inputs = self.paths.len();
        self.paths.extend((0..program.sizes.input as usize).map(|s| path_of(program, Space::Input, s)));
        self.behavior = Some(texts);
    }

    /// A handler of an instance begins, or code outside of handlers.
    pub(super) fn acts(&mut self, handler: Option<u32>, code: Option<u32>, instance: u32) {
        let Some(texts) = &self.behavior else { return };
        let (first, at, owner) = match (handler, code) {
            (Some(h), _) => (texts.handlers, h as usize, texts.of_handlers.get(h as usize)),
            (None, Some(c)) => (texts.codes, c as usize, None),
            (None, None) => (0, 0, None),
        };
        self.event = first + at;
        if let Some(path) = owner.and_then(|o| texts.owners.get(*o as usize)) {
            let labels = Labels { path: path + instance as usize, event: self.event, kind: HANDLER };
            self.acts.push((labels, f64::NAN, f64::NAN));
        }
    }

    /// A handler emitted an event.
    pub(super) fn emitted(&mut self, event: EventId, instance: u32) {
        let Some(texts) = &self.behavior else { return };
        let owner = texts.of_events.get(event as usize).and_then(|o| texts.owners.get(*o as usize));
        if let Some(path) = owner {
            let (path, event) = (path + instance as usize, texts.emitted + event as usize);
            self.acts.push((Labels { path, event, kind: EVENT }, f64::NAN, f64::NAN));
        }
    }

    /// What became of a message.
    pub(super) fn mail(&mut self, what: Mail, Carried { message, from, to, conversation }: Carried) {
        let Some(Texts { messages: Some(messages), owners, .. }) = &self.behavior else { return };
        // The place before the first owner's is that of nobody's path.
        let nobody = owners.first().map_or(0, |first| first - 1);
        let path = |(owner, i): (OwnerId, u32)| owners.get(owner as usize).map_or(nobody, |o| o + i as usize);
        let (from, to) = (from.map_or(nobody, path), path(to));
        let (path, peer) = if what == Mail::Sent { (from, to) } else { (to, from) };
        let kind = KINDS.len() + MAIL.iter().position(|(_, m)| *m == what).unwrap_or(0);
        let labels = Labels { path, event: messages + message as usize, kind };
        self.acts.push((labels, f64::NAN, f64::NAN));
        self.peers.push_back((peer, conversation));
    }

    /// A handler wrote a slot.
    pub(super) fn wrote(&mut self, space: Space, slot: usize, before: f64, after: f64) {
        let Some(texts) = &self.behavior else { return };
        let (path, kind) = match space {
            Space::State => (texts.states + slot, STATE),
            Space::Input => (texts.inputs + slot, INPUT),
            Space::Disc => match self.slots.get(slot) {
                Some(labels) => (labels.path, labels.kind),
                None => return,
            },
            _ => return,
        };
        if space == Space::Disc {
            self.told.insert(slot, after);
        }
        let labels = Labels { path, event: self.event, kind };
        // A value that the same handler writes twice is one change.
        let recent = self.acts.iter_mut().rev().take(RECENT).take_while(|(l, ..)| l.kind != HANDLER);
        match recent.into_iter().find(|(l, ..)| (l.path, l.kind) == (path, kind)) {
            Some((_, _, post)) => *post = after,
            None => self.acts.push((labels, before, after)),
        }
    }

    /// Writes what behaviour did, and what followed from it: `changes` are those of the whole instant.
    pub(super) fn behaved(
        &mut self,
        time: f64,
        step: u64,
        changes: &[(usize, f64)],
        disc: &[f64],
    ) -> Result<(), RecordError> {
        for k in 0..self.acts.len() {
            let (labels, pre, post) = self.acts[k];
            if labels.kind >= KINDS.len() && labels.kind != HIDDEN {
                let (peer, conversation) = self.peers.pop_front().unwrap_or_default();
                self.mail_row(time, step, labels, peer, conversation)?;
            } else if pre.to_bits() != post.to_bits() || matches!(labels.kind, HANDLER | EVENT) {
                self.row(time, step, labels, pre, post)?;
            }
        }
        self.acts.clear();
        self.peers.clear();
        for &(slot, first) in changes {
            let before = self.told.get(&slot).copied().unwrap_or(first);
            if before != disc[slot] {
                self.row(time, step, self.slots[slot], before, disc[slot])?;
            }
        }
        self.told.clear();
        self.event = 0;
        Ok(())
    }

    /// One row.
    fn row(&mut self, time: f64, step: u64, labels: Labels, pre: f64, post: f64) -> Result<(), RecordError> {
        let Labels { path, event, kind } = labels;
        if kind == HIDDEN {
            return Ok(());
        }
        self.rows += 1;
        if self.rows <= self.mute {
            return Ok(());
        }
        let row = [time, step as f64, path as f64, event as f64, kind as f64, pre, post];
        match self.nobody() {
            Some(nobody) => self.recorder()?.row(&[&row[..], &[nobody as f64, f64::NAN]].concat()),
            None => self.recorder()?.row(&row),
        }
    }

    /// Nobody's path, where there are messages.
    fn nobody(&self) -> Option<usize> {
        let texts = self.behavior.as_ref().filter(|t| t.messages.is_some())?;
        Some(texts.owners.first().map_or(0, |first| first - 1))
    }

    /// One row of a message.
    fn mail_row(
        &mut self,
        time: f64,
        step: u64,
        Labels { path, event, kind }: Labels,
        peer: usize,
        conversation: u64,
    ) -> Result<(), RecordError> {
        self.rows += 1;
        if self.rows <= self.mute {
            return Ok(());
        }
        let (nan, conversation) = (f64::NAN, conversation as f64);
        let place = [time, step as f64, path as f64, event as f64, kind as f64];
        self.recorder()?.row(&[&place[..], &[nan, nan, peer as f64, conversation]].concat())
    }

    /// The recorder, opened where it was not.
    fn recorder(&mut self) -> Result<&mut Box<dyn Recorder>, RecordError> {
        Ok(match &mut self.recorder {
            Some(recorder) => recorder,
            none => {
                let words = |name: &str, words: &[String]| ColumnSpec::of(name, Element::Text(words.into()));
                let mail = self.behavior.as_ref().is_some_and(|t| t.messages.is_some());
                let mut kinds: Vec<String> = KINDS.map(str::to_owned).into();
                let mut columns = vec![
                    ColumnSpec::real("time").in_unit("s"),
                    ColumnSpec::of("step", Element::Int),
                    words("path", &self.paths),
                    words("event", &self.events),
                    words("kind", &kinds),
                    ColumnSpec::real("pre"),
                    ColumnSpec::real("post"),
                ];
                if mail {
                    kinds.extend(MAIL.map(|(word, _)| word.to_owned()));
                    columns[KIND] = words("kind", &kinds);
                    columns.extend([words("peer", &self.paths), ColumnSpec::real("conversation")]);
                }
                none.insert((self.open)(Columns::new(columns)?)?)
            }
        })
    }

    /// Writes the rows that were written by the run that this one goes on from, in whose log paths and events had other
    /// numbers: what the two do later differs.
    pub(super) fn hand_on<'r>(
        &mut self,
        theirs: &[Arc<[String]>; 2],
        rows: impl Iterator<Item = &'r [f64]>,
    ) -> Result<(), RecordError> {
        let places = [places(&theirs[0], &self.paths), places(&theirs[1], &self.events)];
        let mut own = Vec::new();
        for row in rows.take(self.mute as usize) {
            own.clear();
            own.extend_from_slice(row);
            let [paths, events] = &places;
            for (column, places) in [(PATH, paths), (EVENTS, events), (PEER, paths)] {
                if let Some(cell) = own.get_mut(column) {
                    *cell = places.get(*cell as usize).map_or(*cell, |k| *k as f64);
                }
            }
            self.recorder()?.row(&own)?;
        }
        Ok(())
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// So many rows there were; up to `mute` of them have been written elsewhere.
    pub(super) fn resume(&mut self, rows: u64, mute: u64) {
        (self.rows, self.mute) = (rows, mute);
    }

    /// Takes up what a branch changes; before the first row.
    pub(super) fn changed_by(&mut self, program: &Program, changes: &[Change]) {
        for change in changes {
            self.events.push(change.text.clone());
            let event = self.events.len() - 1;
            let mut slots = Vec::new();
            for &(space, slot, _) in &change.set {
                let path = self.paths.len();
                self.paths.push(path_of(program, space, slot as usize));
                let at = program.sizes.offset(space) + slot as usize;
                slots.push((at, Labels { path, event, kind: 2 }));
            }
            self.changes.push(slots);
        }
    }

    /// Keeps what change number `k` is about to overwrite.
    pub(super) fn before_change(&mut self, k: usize, data: &[f64]) {
        self.before.clear();
        self.before.extend(self.changes[k].iter().map(|(slot, _)| data[*slot]));
    }

    /// Writes what change number `k` did.
    pub(super) fn after_change(&mut self, k: usize, step: u64, data: &[f64]) -> Result<(), RecordError> {
        for n in 0..self.changes[k].len() {
            let (slot, labels) = self.changes[k][n];
            self.row(data[0], step, labels, self.before[n], data[slot])?;
        }
        Ok(())
    }

    /// Keeps what action number `k` is about to overwrite.
    pub(super) fn before_action(&mut self, k: usize, data: &[f64]) {
        self.before.clear();
        self.before.extend(self.actions[k].iter().map(|(slot, _)| data[*slot]));
    }

    /// Writes what action number `k` did.
    pub(super) fn after_action(&mut self, k: usize, step: u64, data: &[f64]) -> Result<(), RecordError> {
        for n in 0..self.actions[k].len() {
            let (slot, labels) = self.actions[k][n];
            self.row(data[0], step, labels, self.before[n], data[slot])?;
        }
        Ok(())
    }

    /// Writes what relations and discrete values did, with the values that they had before.
    pub(super) fn changes(
        &mut self,
        time: f64,
        step: u64,
        changes: &[(usize, f64)],
        disc: &[f64],
    ) -> Result<(), RecordError> {
        self.told.clear();
        for &(slot, before) in changes {
            if before != disc[slot] {
                self.row(time, step, self.slots[slot], before, disc[slot])?;
                if self.behavior.is_some() {
                    self.told.insert(slot, disc[slot]);
                }
            }
        }
        Ok(())
    }

    /// Completes the log; `None` where there was no event.
    pub(super) fn finish(self) -> Result<Option<Recorded>, RecordError> {
        self.recorder.map(|recorder| recorder.finish()).transpose()
    }
}

/// The places of `theirs` among `own`: the same ones from the front and from the back, between which what the two do
/// differs.
fn places(theirs: &[String], own: &[String]) -> Vec<usize> {
    let front = theirs.iter().zip(own.iter()).take_while(|(a, b)| a == b).count();
    let mut out = Vec::with_capacity(theirs.len());
    for (k, word) in theirs.iter().enumerate() {
        let from_back = own.len().checked_sub(theirs.len() - k).filter(|at| own.get(*at) == Some(word));
        out.push(match from_back {
            _ if k < front => k,
            Some(at) => at,
            // What the other does later is told of by none of the rows.
            None => own.iter().position(|w| w == word).unwrap_or(0),
        });
    }
    out
}

/// The path of a slot; the place in memory for what the schema does not name.
fn path_of(program: &Program, space: Space, slot: usize) -> String {
    schema_path(program, space, slot).unwrap_or_else(|| format!("{}[{slot}]", space.name()))
}

pub(super) fn schema_path(program: &Program, space: Space, slot: usize) -> Option<String> {
    let holds = |base: u32, len: u32| (base as usize..(base + len) as usize).contains(&slot);
    let var = program.schema.vars.iter().find(|v| v.space == space && holds(v.base, v.len));
    var.map(|v| v.element_path((slot - v.base as usize) as u32))
}

/// The slots that statements write, loops round by round, at most [`TARGETS`].
fn targets(region: &Region, at: &mut Vec<(u32, i64)>, out: &mut Vec<(Space, usize)>) {
    for stmt in region {
        match stmt {
            Stmt::Store { place, .. } => {
                let kept = matches!(place.space, Space::Input | Space::Param | Space::State | Space::Disc);
                let value = |index: u32| at.iter().rev().find(|(i, _)| *i == index).map_or(0, |(_, v)| *v);
                let slot = usize::try_from(place.at.eval(|i| value(i.0)));
                if let Ok(slot) = slot
                    && kept
                    && out.len() < TARGETS
                    && !out.contains(&(place.space, slot))
                {
                    out.push((place.space, slot));
                }
            }
            Stmt::For(f) => {
                for k in f.lo..f.hi {
                    if out.len() >= TARGETS {
                        return;
                    }
                    at.push((f.index.0, k));
                    targets(&f.body, at, out);
                    at.pop();
                }
            }
            Stmt::If(i) => {
                targets(&i.then, at, out);
                targets(&i.otherwise, at, out);
            }
            _ => {}
        }
    }
}
