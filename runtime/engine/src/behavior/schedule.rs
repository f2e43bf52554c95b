//! The order of things at an instant: what conditions set off, then timers, then events, in micro-steps until quiet.

mod act;
mod event;
mod machine;
mod message;
mod name;
mod wake;

use message::Opened;
pub use message::{Carried, Mail};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use twinml_model::behavior::{
    Behavior, CodeId, EventId, Heard, OwnerId, Pattern, Period, StateId, Trigger, Which,
};
use twinml_model::ir::Trap;

use super::fault::{Fault, FaultKind};
use super::index::{Few, Group, Index};
use super::pattern::{Causes, Matcher};
use super::post::Post;
use super::streams::{self, NOBODY};
use super::timers::{Due, Timers, nanoseconds, tick};
use super::value::Value;
use super::vm::{
    Args, Effects, Outcome, Slots, Store, Thread, Vm, bytes_armed, bytes_of, bytes_said, fault, path, truth,
};

/// Micro-steps of one instant.
pub const MICRO: u32 = 1000;

/// The last micro-steps whose handlers are named where an instant does not end.
const INVOLVED: u32 = 100;
/// Handlers that are named at most.
const MOST_NAMED: usize = 5;

/// A slot of `Disc` that took another value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Changed {
    /// The slot.
    pub slot: u32,
    /// Before.
    pub old: f64,
    /// Now.
    pub new: f64,
}

/// The engine's memory, which settles after handlers have written.
pub trait World: Slots {
    /// Solves everything anew; appends the slots of `Disc` that changed by it.
    ///
    /// # Errors
    ///
    /// The trap of a kernel.
    fn settle(&mut self, changed: &mut Vec<Changed>) -> Result<(), Trap>;
    /// Says whose code runs from here on: a handler, or code outside of handlers (`entry`, `after d { … }`).
    fn acts(&mut self, handler: Option<u32>, code: Option<u32>, instance: u32) {
        let _ = (handler, code, instance);
    }
    /// Says that an event was emitted.
    fn emitted(&mut self, event: EventId, instance: u32) {
        let _ = (event, instance);
    }
    /// Says what became of a message.
    fn mail(&mut self, what: Mail, of: Carried) {
        let _ = (what, of);
    }
}

/// What an instant led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Whether any handler ran.
    pub ran: bool,
    /// `stop`: the run ends, with the reason.
    pub stop: Option<Option<String>>,
}

#[derive(Debug)]
enum What {
    Plain { handler: u32, args: Args },
    Machine { machine: u32, handlers: Few, leaf: u32, args: Args },
    Resume { slot: usize },
    Code { code: u32, args: Vec<Value>, purpose: u32 },
}

#[derive(Debug)]
pub(super) struct Activation {
    /// Place in the order: of the instance, of the handler.
    order: (u32, u32),
    /// Place among those of equal order, given by [`in_order`].
    nth: u32,
    instance: u32,
    what: What,
    /// What it stems from.
    stems: Stems,
    /// The message that sets it off, among those of the step.
    mail: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) thread: Thread,
    pub(super) handler: u32,
    pub(super) bytes: usize,
    pub(super) stems: Stems,
}

/// What an activity stems from, as far as `causal` patterns ask; shared by all that comes of it.
type Stems = Option<Arc<Causes>>;

#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) waiting: Option<Waiting>,
}

/// Behaviour of a run.
pub struct Scheduler<'a> {
    pub(super) b: &'a Behavior,
    pub(super) index: Index,
    /// Cells, streams and limits.
    pub store: Store,
    pub(super) timers: Timers,
    pub(super) slots: Vec<Slot>,
    pub(super) free: Vec<usize>,
    pub(super) until: BTreeMap<(u32, u32), Vec<(usize, u32)>>,
    /// What began to wait for a condition in this step: watch, instance, slot, generation.
    pub(super) fresh: Vec<(u32, u32, usize, u32)>,
    pub(super) hearing: BTreeMap<(EventId, u32, u32), Vec<Hearing>>,
    /// Waiting handlers of a machine's instance: state, slot, generation.
    pub(super) held: BTreeMap<(u32, u32), Vec<Held>>,
    /// How often each state of each instance was left.
    pub(super) generations: Vec<Vec<u32>>,
    pub(super) queues: BTreeMap<(u32, u32), VecDeque<(Args, Stems)>>,
    /// Places of populations that were taken in this step.
    pub(super) births: Vec<(u32, u32)>,
    /// Messages on their way.
    pub(super) post: Post,
    /// Those that were delivered in the step at hand.
    opened: Vec<Opened>,
    /// Codes that send messages for the scenario when the instant begins.
    asked: Vec<CodeId>,
    pub(super) events: VecDeque<(EventId, u32, Args, Stems)>,
    /// What patterns of events remember, by handler and instance.
    pub(super) patterns: BTreeMap<(u32, u32), Matcher>,
    /// Windows of patterns that are constants, by handler.
    windows: BTreeMap<u32, Arc<[Option<i128>]>>,
    /// Absences whose time is over at this instant: judged when it is quiet otherwise.
    pub(super) silent: Vec<(u32, u32)>,
    /// What the activity at hand stems from.
    pub(super) stems: Stems,
    pub(super) whens: Vec<(u32, u32)>,
    /// Room for the activations of a step and of the one before, for what code did, for what changed: kept from instant
    /// to instant, and empty between them.
    batch: Vec<Activation>,
    work: Vec<Activation>,
    effects: Effects,
    changed: Vec<Changed>,
    pub(super) periods: BTreeMap<(u32, u32), (i128, i128)>,
    pub(super) now: i128,
    stop: Option<Option<String>>,
    /// The heads of handlers as the model writes them, for messages; where there are none, what code calls itself.
    pub titles: Vec<String>,
    /// Messages of `log`, oldest first; the first of very many.
    pub logs: Vec<Said>,
    /// How many they were at all.
    pub said: u64,
    /// Bytes of those that are kept.
    pub(super) said_bytes: usize,
}

/// Messages of `log` that are kept, and their bytes.
const MOST_SAID: (usize, usize) = (10_000, 4 << 20);

/// A message of `log`.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// When, in seconds.
    pub time: f64,
    /// Path of the twin; empty for the root.
    pub twin: String,
    /// What it said.
    pub text: String,
}

/// A waiting handler, its generation, and the one instance that it listens to.
type Hearing = (usize, u32, Option<u32>);
/// A waiting handler of a state, with its generation.
type Held = (StateId, usize, u32);
pub(super) type R<T> = Result<T, Box<Fault>>;

impl<'a> Scheduler<'a> {
    /// Behaviour before the start.
    #[must_use]
    pub fn new(b: &'a Behavior, seed: u64) -> Scheduler<'a> {
        let count = |owner: u32| b.owners.get(owner as usize).map_or(0, |o| o.count as usize);
        Scheduler {
            b,
            index: Index::new(b),
            store: Store::new(b, seed),
            timers: Timers::default(),
            slots: Vec::new(),
            free: Vec::new(),
            until: BTreeMap::new(),
            fresh: Vec::new(),
            hearing: BTreeMap::new(),
            held: BTreeMap::new(),
            generations: b.machines.iter().map(|m| vec![0; m.states.len() * count(m.owner)]).collect(),
            queues: BTreeMap::new(),
            births: Vec::new(),
            post: Post::default(),
            opened: Vec::new(),
            asked: Vec::new(),
            events: VecDeque::new(),
            patterns: BTreeMap::new(),
            windows: event::constants(b),
            silent: Vec::new(),
            stems: None,
            whens: Vec::new(),
            batch: Vec::new(),
            work: Vec::new(),
            effects: Effects::default(),
            changed: Vec::new(),
            periods: BTreeMap::new(),
            now: 0,
            stop: None,
            titles: Vec::new(),
            logs: Vec::new(),
            said: 0,
            said_bytes: 0,
        }
    }

    /// The instant of the next timer, or of the next message, in nanoseconds.
    #[must_use]
    pub fn next(&self) -> Option<i128> {
        let (timer, message) = (self.timers.next(), self.post.next());
        timer.into_iter().chain(message).min()
    }

    /// The handlers that listen to a slot of `Disc`, with their instances.
    #[must_use]
    pub fn listeners(&self, slot: u32) -> Vec<(u32, u32)> {
        let watched = self.index.watch(slot);
        let of = |w: u32| self.index.by_watch[w as usize].iter().flat_map(|g| g.handlers.iter().copied());
        watched.flat_map(|(w, i)| of(w).map(move |h| (h, i))).collect()
    }

    /// Start values of cells, initial states, `on start`, and everything due at time 0.
    ///
    /// # Errors
    ///
    /// The fault of a handler.
    pub fn start(&mut self, world: &mut dyn World) -> R<Verdict> {
        let b = self.b;
        self.keep_anew(world)?;
        for (k, cell) in b.cells.iter().enumerate() {
            let Some(code) = cell.start else { continue };
            let len = cell.len as usize;
            for i in 0..self.count(cell.owner) {
                let v = self.eval(world, code, i, Vec::new(), (NOBODY, i))?;
                let cells = &mut self.store.cells[k][i as usize * len..(i as usize + 1) * len];
                match v {
                    Value::List(items) if len > 1 && items.len() == len => {
                        cells.clone_from_slice(&items.iter().cloned().collect::<Vec<_>>())
                    }
                    v => cells.fill(v),
                }
            }
        }
        for (owner, list) in self.index.mirrors.clone().into_iter().enumerate() {
            if !list.is_empty() {
                for i in 0..self.count(owner as u32) {
                    self.mirror(world, owner as u32, i)?;
                }
            }
        }
        for (k, h) in (0u32..).zip(&b.handlers) {
            for i in 0..self.count(h.owner) {
                match &h.trigger {
                    Trigger::Every { period, offset } => {
                        let p = self.atto(world, *period, i, k)?;
                        let o = self.atto(world, *offset, i, k)?;
                        if p <= 0 {
                            return Err(self.named(k, i, FaultKind::Time { seconds: p as f64 * 1e-18 }));
                        }
                        self.periods.insert((k, i), (o, p));
                        if let Some(ns) = tick(o, p, 0) {
                            self.timers.arm(ns, Due::Tick { handler: k, instance: i, k: 0 });
                        }
                    }
                    Trigger::At(t) => {
                        let t = self.atto(world, *t, i, k)?;
                        if let Some(ns) = tick(t, 0, 0) {
                            self.timers.arm(ns, Due::At { handler: k, instance: i });
                        }
                    }
                    _ => {}
                }
            }
        }
        let mut machines: Vec<((u32, u32), u32, u32)> = Vec::new();
        for (k, m) in (0u32..).zip(&b.machines) {
            machines.extend((0..self.count(m.owner)).map(|i| ((self.order(m.owner, i), k), k, i)));
        }
        machines.sort_unstable();
        for &(_, m, i) in &machines {
            let machine = &b.machines[m as usize];
            let leaf = super::index::leaf(machine, machine.initial);
            self.write(world, machine.var.index(), i, f64::from(leaf))?;
        }
        for &(_, m, i) in &machines {
            if !self.here(world, b.machines[m as usize].owner, i)? {
                continue;
            }
            self.enter(world, m, i, None, b.machines[m as usize].initial)?;
        }
        for (k, h) in (0u32..).zip(&b.handlers) {
            if matches!(h.trigger, Trigger::Pattern(Pattern::Absence(..))) && h.scope.is_none() {
                for i in 0..self.count(h.owner) {
                    self.listen(world, k, i)?;
                }
            }
        }
        let mut first = Vec::new();
        for (k, h) in (0u32..).zip(&b.handlers) {
            let whens = matches!(h.trigger, Trigger::When(_)) && h.scope.is_none();
            if h.trigger == Trigger::Start || whens {
                for i in 0..self.count(h.owner) {
                    if let Trigger::When(w) = h.trigger
                        && self.watch(world, w, i)? == 0.0
                    {
                        continue;
                    }
                    first.push(self.plain(k, i, Args::new()));
                }
            }
        }
        if let Some(end) = self.commands(world, 0)? {
            return Ok(end);
        }
        self.steps(world, first, 0)
    }

    /// An instant: `now` in nanoseconds (a crossing's rounded up), and the slots of `Disc` that changed before it.
    ///
    /// # Errors
    ///
    /// The fault of a handler, or [`FaultKind::Zeno`].
    pub fn instant(&mut self, world: &mut dyn World, now: i128, changed: &[Changed]) -> R<Verdict> {
        if let Some(end) = self.commands(world, now)? {
            return Ok(end);
        }
        let mut first = std::mem::take(&mut self.batch);
        self.rising(world, changed, &mut first)?;
        self.steps(world, first, now)
    }

    /// Queues an event from outside behaviour; it is heard at the next instant.
    pub fn send(&mut self, event: EventId, instance: u32, args: Args) {
        self.events.push_back((event, instance, args, None));
    }

    /// `on stop`.
    ///
    /// # Errors
    ///
    /// The fault of a handler.
    pub fn finish(&mut self, world: &mut dyn World) -> R<()> {
        let mut batch = Vec::new();
        for (k, h) in (0u32..).zip(&self.b.handlers) {
            if h.trigger == Trigger::Stop {
                batch.extend((0..self.count(h.owner)).map(|i| self.plain(k, i, Args::new())));
            }
        }
        in_order(&mut batch);
        batch.into_iter().try_for_each(|a| self.perform(world, a))
    }

    fn steps(&mut self, world: &mut dyn World, first: Vec<Activation>, now: i128) -> R<Verdict> {
        self.now = now;
        let mut verdict = Verdict::default();
        let mut batch = first;
        let mut work = std::mem::take(&mut self.work);
        let mut involved: BTreeSet<(u32, u32)> = BTreeSet::new();
        self.opened.clear();
        for step in 0.. {
            if !self.births.is_empty() {
                self.begin_lives(world, &mut batch)?;
                self.settle(world, &mut batch)?;
            }
            if step == 0 && !self.fresh.is_empty() {
                self.settle(world, &mut batch)?;
            }
            for k in 0..self.fresh.len() {
                let (w, i, slot, generation) = self.fresh[k];
                if self.watch(world, w, i)? != 0.0 {
                    batch.extend(self.wake(slot, generation));
                } else {
                    self.until.entry((w, i)).or_default().push((slot, generation));
                }
            }
            self.fresh.clear();
            for k in 0..self.whens.len() {
                let (m, i) = self.whens[k];
                batch.extend(self.held_whens(world, m, i)?);
            }
            self.whens.clear();
            if batch.is_empty() {
                while let Some(due) = self.timers.pop(now) {
                    batch.extend(self.due(world, due)?);
                }
            }
            if batch.is_empty() {
                while let Some((event, i, args, stems)) = self.events.pop_front() {
                    self.store.give(bytes_of(&args));
                    self.deliver(world, event, i, &args, stems, &mut batch)?;
                }
                // Messages come when nobody hears an event any more: none is delivered in between.
                if batch.is_empty() && self.delivers(world, &mut batch)? && batch.is_empty() {
                    self.untaken(world)?;
                }
                if batch.is_empty() && self.next().is_none_or(|t| t > now) {
                    self.silences(world, &mut batch)?;
                }
                // Events and messages keep the order in which they were sent.
            } else {
                in_order(&mut batch);
            }
            if batch.is_empty() {
                if self.next().is_some_and(|t| t <= now) {
                    continue;
                }
                self.batch = batch;
                self.work = work;
                return Ok(verdict);
            }
            if step + INVOLVED > MICRO {
                involved.extend(batch.iter().map(|a| (self.handler(a), a.instance)));
            }
            if step >= MICRO {
                return Err(self.zeno(&involved));
            }
            verdict.ran = true;
            std::mem::swap(&mut batch, &mut work);
            for a in work.drain(..) {
                self.perform(world, a)?;
                if self.stop.is_some() {
                    verdict.stop = self.stop.take();
                    return Ok(verdict);
                }
            }
            if !self.opened.is_empty() {
                self.untaken(world)?;
            }
            self.settle(world, &mut batch)?;
        }
        Ok(verdict)
    }

    /// Everything follows from what was written; what that sets off is added to `batch`.
    fn settle(&mut self, world: &mut dyn World, batch: &mut Vec<Activation>) -> R<()> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.clear();
        world.settle(&mut changed).map_err(|t| self.trap(t))?;
        self.rising(world, &changed, batch)?;
        self.changed = changed;
        Ok(())
    }

    fn count(&self, owner: u32) -> u32 {
        self.b.owners.get(owner as usize).map_or(0, |o| o.count)
    }

    fn order(&self, owner: u32, i: u32) -> u32 {
        self.b.owners.get(owner as usize).and_then(|o| o.order.get(i as usize)).copied().unwrap_or(i)
    }

    pub(super) fn plain(&self, handler: u32, i: u32, args: Args) -> Activation {
        let owner = self.b.handlers[handler as usize].owner;
        Activation {
            order: (self.order(owner, i), handler),
            nth: 0,
            instance: i,
            what: What::Plain { handler, args },
            stems: None,
            mail: None,
        }
    }

    pub(super) fn read(&self, world: &mut dyn World, var: usize, i: u32) -> R<f64> {
        let home = self
            .b
            .vars
            .get(var)
            .ok_or_else(|| fault(self.b, u32::MAX, 0, FaultKind::Broken("a variable")))?;
        world.load(home, i, Which::Value).map_err(|t| self.trap(t))
    }

    pub(super) fn write(&self, world: &mut dyn World, var: usize, i: u32, x: f64) -> R<()> {
        let home = self
            .b
            .vars
            .get(var)
            .ok_or_else(|| fault(self.b, u32::MAX, 0, FaultKind::Broken("a variable")))?;
        world.store(home, i, x);
        Ok(())
    }

    fn watch(&self, world: &mut dyn World, watch: u32, i: u32) -> R<f64> {
        self.read(world, self.b.watches[watch as usize].var.index(), i)
    }

    fn leaf(&self, world: &mut dyn World, m: u32, i: u32) -> R<u32> {
        Ok(self.read(world, self.b.machines[m as usize].var.index(), i)? as u32)
    }

    fn active(&self, handler: u32, leaf: u32) -> bool {
        match self.b.handlers[handler as usize].scope {
            Some((m, Some(s))) => {
                let s = &self.b.machines[m as usize].states[s as usize];
                (s.first_leaf..s.end_leaf).contains(&leaf)
            }
            _ => true,
        }
    }

    fn atto(&mut self, world: &mut dyn World, p: Period, i: u32, handler: u32) -> R<i128> {
        match p {
            Period::Exact(a) => Ok(a),
            Period::Code(code) => {
                let v = self.eval(world, code, i, Vec::new(), (handler, i))?;
                let ns = super::vm::number(&v).and_then(nanoseconds);
                ns.map(|ns| ns * 1_000_000_000).map_err(|k| self.named(handler, i, k))
            }
        }
    }

    fn eval(
        &mut self,
        world: &mut dyn World,
        code: u32,
        i: u32,
        args: Vec<Value>,
        stream: (u32, u32),
    ) -> R<Value> {
        let mut effects = Effects::default();
        let mut vm = Vm {
            behavior: self.b,
            slots: world_slots(world),
            store: &mut self.store,
            effects: &mut effects,
            stream,
        };
        vm.value(code, i, args)
    }

    fn mirror(&mut self, world: &mut dyn World, owner: u32, i: u32) -> R<()> {
        for k in 0..self.index.mirrors[owner as usize].len() {
            let m = self.b.mirrors[self.index.mirrors[owner as usize][k]];
            let v = self.eval(world, m.code, i, Vec::new(), (NOBODY, i))?;
            let x = super::vm::number(&v).map_err(|kind| fault(self.b, m.code, 0, kind))?;
            self.write(world, m.var.index(), i, x)?;
        }
        Ok(())
    }
}

/// Sorts by order; those of equal order stay as they are. Allocates nothing.
fn in_order(list: &mut [Activation]) {
    for (k, a) in (0u32..).zip(list.iter_mut()) {
        a.nth = k;
    }
    list.sort_unstable_by_key(|a| (a.order, a.nth));
}

fn world_slots(world: &mut dyn World) -> &mut dyn Slots {
    world
}
