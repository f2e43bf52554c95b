//! The order of things at an instant: what conditions set off, then timers, then events, in micro-steps until quiet.

mod event;
mod machine;
mod name;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use twinml_model::behavior::{Behavior, EventId, Heard, Pattern, Period, StateId, Trigger, Which};
use twinml_model::ir::Trap;

use super::fault::{Fault, FaultKind};
use super::index::{Group, Index};
use super::pattern::{Causes, Matcher};
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
    /// Solves everything anew; the slots of `Disc` that changed by it.
    ///
    /// # Errors
    ///
    /// The trap of a kernel.
    fn settle(&mut self) -> Result<Vec<Changed>, Trap>;
    /// Says whose code runs from here on: a handler, or code outside of handlers (`entry`, `after d { … }`).
    fn acts(&mut self, handler: Option<u32>, code: Option<u32>, instance: u32) {
        let _ = (handler, code, instance);
    }
    /// Says that an event was emitted.
    fn emitted(&mut self, event: EventId, instance: u32) {
        let _ = (event, instance);
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
    Machine { machine: u32, handlers: Vec<u32>, leaf: u32, args: Args },
    Resume { slot: usize },
    Code { code: u32, args: Vec<Value>, purpose: u32 },
}

#[derive(Debug)]
pub(super) struct Activation {
    /// Place in the order: of the instance, of the handler.
    order: (u32, u32),
    instance: u32,
    what: What,
    /// What it stems from.
    stems: Stems,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) thread: Thread,
    handler: u32,
    pub(super) bytes: usize,
    stems: Stems,
}

/// What an activity stems from, as far as `causal` patterns ask; shared by all that comes of it.
type Stems = Option<Arc<Causes>>;

#[derive(Debug, Default)]
pub(super) struct Slot {
    generation: u32,
    pub(super) waiting: Option<Waiting>,
}

/// Behaviour of a run.
pub struct Scheduler<'a> {
    pub(super) b: &'a Behavior,
    pub(super) index: Index,
    /// Cells, streams and limits.
    pub store: Store,
    timers: Timers,
    pub(super) slots: Vec<Slot>,
    free: Vec<usize>,
    until: BTreeMap<(u32, u32), Vec<(usize, u32)>>,
    /// What began to wait for a condition in this step: watch, instance, slot, generation.
    fresh: Vec<(u32, u32, usize, u32)>,
    hearing: BTreeMap<(EventId, u32, u32), Vec<Hearing>>,
    /// Waiting handlers of a machine's instance: state, slot, generation.
    pub(super) held: BTreeMap<(u32, u32), Vec<Held>>,
    /// How often each state of each instance was left.
    pub(super) generations: Vec<Vec<u32>>,
    pub(super) queues: BTreeMap<(u32, u32), VecDeque<(Args, Stems)>>,
    /// Places of populations that were taken in this step.
    pub(super) births: Vec<(u32, u32)>,
    /// How often each instance of a population began or ended.
    pub(super) lives: BTreeMap<(u32, u32), u32>,
    events: VecDeque<(EventId, u32, Args, Stems)>,
    /// What patterns of events remember, by handler and instance.
    pub(super) patterns: BTreeMap<(u32, u32), Matcher>,
    /// Windows of patterns that are constants, by handler.
    windows: BTreeMap<u32, Arc<[Option<i128>]>>,
    /// Absences whose time is over at this instant: judged when it is quiet otherwise.
    silent: Vec<(u32, u32)>,
    /// What the activity at hand stems from.
    stems: Stems,
    whens: Vec<(u32, u32)>,
    periods: BTreeMap<(u32, u32), (i128, i128)>,
    now: i128,
    stop: Option<Option<String>>,
    /// The heads of handlers as the model writes them, for messages; where there are none, what code calls itself.
    pub titles: Vec<String>,
    /// Messages of `log`, oldest first; the first of very many.
    pub logs: Vec<Said>,
    /// How many they were at all.
    pub said: u64,
    /// Bytes of those that are kept.
    said_bytes: usize,
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
            lives: BTreeMap::new(),
            events: VecDeque::new(),
            patterns: BTreeMap::new(),
            windows: event::constants(b),
            silent: Vec::new(),
            stems: None,
            whens: Vec::new(),
            periods: BTreeMap::new(),
            now: 0,
            stop: None,
            titles: Vec::new(),
            logs: Vec::new(),
            said: 0,
            said_bytes: 0,
        }
    }

    /// The next timer's instant in nanoseconds.
    #[must_use]
    pub fn next(&self) -> Option<i128> {
        self.timers.next()
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
        self.steps(world, first, 0)
    }

    /// An instant: `now` in nanoseconds (a crossing's rounded up), and the slots of `Disc` that changed before it.
    ///
    /// # Errors
    ///
    /// The fault of a handler, or [`FaultKind::Zeno`].
    pub fn instant(&mut self, world: &mut dyn World, now: i128, changed: &[Changed]) -> R<Verdict> {
        let first = self.rising(world, changed)?;
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
        batch.sort_by_key(|a| a.order);
        batch.into_iter().try_for_each(|a| self.perform(world, a))
    }

    fn steps(&mut self, world: &mut dyn World, first: Vec<Activation>, now: i128) -> R<Verdict> {
        self.now = now;
        let mut verdict = Verdict::default();
        let mut batch = first;
        let mut involved: BTreeSet<(u32, u32)> = BTreeSet::new();
        for step in 0.. {
            if !self.births.is_empty() {
                self.begin_lives(world, &mut batch)?;
                let changed = world.settle().map_err(|t| self.trap(t))?;
                batch.extend(self.rising(world, &changed)?);
            }
            if step == 0 && !self.fresh.is_empty() {
                let changed = world.settle().map_err(|t| self.trap(t))?;
                batch.extend(self.rising(world, &changed)?);
            }
            for (w, i, slot, generation) in std::mem::take(&mut self.fresh) {
                if self.watch(world, w, i)? != 0.0 {
                    batch.extend(self.wake(slot, generation));
                } else {
                    self.until.entry((w, i)).or_default().push((slot, generation));
                }
            }
            for (m, i) in std::mem::take(&mut self.whens) {
                batch.extend(self.held_whens(world, m, i)?);
            }
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
                if batch.is_empty() && self.timers.next().is_none_or(|t| t > now) {
                    self.silences(world, &mut batch)?;
                }
                // Events keep the order in which they were sent.
            } else {
                batch.sort_by_key(|a| a.order);
            }
            if batch.is_empty() {
                if self.timers.next().is_some_and(|t| t <= now) {
                    continue;
                }
                return Ok(verdict);
            }
            if step + INVOLVED > MICRO {
                involved.extend(batch.iter().map(|a| (self.handler(a), a.instance)));
            }
            if step >= MICRO {
                return Err(self.zeno(&involved));
            }
            verdict.ran = true;
            for a in std::mem::take(&mut batch) {
                self.perform(world, a)?;
                if self.stop.is_some() {
                    verdict.stop = self.stop.take();
                    return Ok(verdict);
                }
            }
            let changed = world.settle().map_err(|t| self.trap(t))?;
            batch = self.rising(world, &changed)?;
        }
        Ok(verdict)
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
            instance: i,
            what: What::Plain { handler, args },
            stems: None,
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

    /// What changed conditions set off.
    fn rising(&mut self, world: &mut dyn World, changed: &[Changed]) -> R<Vec<Activation>> {
        let mut out = Vec::new();
        for c in changed {
            let watched: Vec<(u32, u32)> = self.index.watch(c.slot).collect();
            for (w, i) in watched {
                let fits = |h: u32| match self.b.handlers[h as usize].trigger {
                    Trigger::Rising(_) | Trigger::When(_) => c.old == 0.0 && c.new != 0.0,
                    Trigger::Falling(_) => c.old != 0.0 && c.new == 0.0,
                    _ => true,
                };
                if !self.births.is_empty() && self.newborn(self.b.watches[w as usize].owner, i) {
                    continue;
                }
                for g in &self.index.by_watch[w as usize] {
                    out.extend(self.react(world, g, i, fits, &Args::new())?);
                }
                if c.new != 0.0
                    && let Some(list) = self.until.remove(&(w, i))
                {
                    out.extend(list.into_iter().filter_map(|(slot, generation)| self.wake(slot, generation)));
                }
            }
        }
        Ok(out)
    }

    fn react(
        &self,
        world: &mut dyn World,
        g: &Group,
        i: u32,
        fits: impl Fn(u32) -> bool,
        args: &Args,
    ) -> R<Option<Activation>> {
        let Some(machine) = g.machine else {
            let h = g.handlers[0];
            return Ok(fits(h).then(|| self.plain(h, i, args.clone())));
        };
        let leaf = self.leaf(world, machine, i)?;
        let handlers: Vec<u32> =
            g.handlers.iter().copied().filter(|&h| fits(h) && self.active(h, leaf)).collect();
        let Some(&first) = handlers.first() else { return Ok(None) };
        let order = (self.order(self.b.machines[machine as usize].owner, i), first);
        let what = What::Machine { machine, handlers, leaf, args: args.clone() };
        Ok(Some(Activation { order, instance: i, what, stems: None }))
    }

    /// `when` transitions whose condition holds after a state was entered.
    fn held_whens(&self, world: &mut dyn World, m: u32, i: u32) -> R<Option<Activation>> {
        let mut handlers = Vec::new();
        for &h in &self.index.whens[m as usize] {
            if let Trigger::When(w) = self.b.handlers[h as usize].trigger
                && self.watch(world, w, i)? != 0.0
            {
                handlers.push(h);
            }
        }
        self.react(
            world,
            &Group { machine: Some(m), handlers: handlers.clone() },
            i,
            |_| !handlers.is_empty(),
            &Args::new(),
        )
    }

    fn wake(&self, slot: usize, generation: u32) -> Option<Activation> {
        let s = self.slots.get(slot).filter(|s| s.generation == generation)?;
        let w = s.waiting.as_ref()?;
        let owner = streams::owner(self.b, w.thread.purpose).unwrap_or_default();
        let order = (self.order(owner, w.thread.instance), w.handler);
        let stems = w.stems.clone();
        Some(Activation { order, instance: w.thread.instance, what: What::Resume { slot }, stems })
    }

    fn due(&mut self, world: &mut dyn World, due: Due) -> R<Option<Activation>> {
        let one = |s: &Self, world: &mut dyn World, h: u32, i: u32| {
            let machine = s.b.handlers[h as usize].scope.map(|(m, _)| m);
            s.react(world, &Group { machine, handlers: vec![h] }, i, |_| true, &Args::new())
        };
        match due {
            Due::Tick { handler, instance, k } => {
                let (o, p) = self.periods.get(&(handler, instance)).copied().unwrap_or((0, 1));
                if let Some(ns) = tick(o, p, k + 1) {
                    self.timers.arm(ns, Due::Tick { handler, instance, k: k + 1 });
                }
                one(self, world, handler, instance)
            }
            Due::At { handler, instance } => one(self, world, handler, instance),
            Due::After { handler, instance, generation, stems } => {
                if self.alive(handler, instance, generation) {
                    Ok(one(self, world, handler, instance)?.map(|a| Activation { stems, ..a }))
                } else {
                    Ok(None)
                }
            }
            Due::Code { code, instance, args, purpose, stems, life } => {
                let owner = streams::owner(self.b, purpose).unwrap_or_default();
                if life != self.life(owner, instance) {
                    self.store.give(bytes_armed(&args));
                    return Ok(None);
                }
                let order = (self.order(owner, instance), NOBODY);
                Ok(Some(Activation { order, instance, what: What::Code { code, args, purpose }, stems }))
            }
            Due::Silence { handler, instance } => {
                self.silence_due(handler, instance);
                Ok(None)
            }
            Due::Wake { slot, generation } => Ok(self.wake(slot, generation)),
        }
    }

    fn alive(&self, handler: u32, i: u32, generation: u32) -> bool {
        let Some((m, s)) = self.b.handlers[handler as usize].scope else { return true };
        let states = self.b.machines[m as usize].states.len();
        match s {
            Some(s) => self.generations[m as usize][i as usize * states + s as usize] == generation,
            None => generation == self.outermost(m, i),
        }
    }

    /// How often any outermost state was left.
    fn outermost(&self, m: u32, i: u32) -> u32 {
        let states = &self.b.machines[m as usize].states;
        let left = &self.generations[m as usize][i as usize * states.len()..][..states.len()];
        states.iter().zip(left).filter(|(s, _)| s.parent.is_none()).fold(0, |n, (_, g)| n.wrapping_add(*g))
    }

    /// Arguments in the order of a handler's parameters: by name, those without one by place.
    fn bind(&self, handler: u32, args: &Args) -> Vec<Value> {
        let params = self.b.handlers[handler as usize].params.iter().enumerate();
        let find = |(k, name): (usize, &String)| {
            let by_name = args.iter().find(|(n, _)| **n == **name);
            let by_place = || args.get(k).filter(|(n, _)| n.is_empty());
            by_name.or_else(by_place).map_or(Value::None, |(_, v)| v.clone())
        };
        params.map(find).collect()
    }

    fn guard(&mut self, world: &mut dyn World, handler: u32, i: u32, args: &Args) -> R<bool> {
        let Some(code) = self.b.handlers[handler as usize].guard else { return Ok(true) };
        let values = self.bind(handler, args);
        let v = self.eval(world, code, i, values, (handler, i))?;
        truth(&v).map_err(|kind| fault(self.b, code, 0, kind))
    }

    fn life(&self, owner: u32, i: u32) -> u32 {
        self.lives.get(&(owner, i)).copied().unwrap_or_default()
    }

    fn perform(&mut self, world: &mut dyn World, a: Activation) -> R<()> {
        let i = a.instance;
        let purpose = match &a.what {
            What::Plain { handler, .. } => *handler,
            What::Machine { handlers, .. } => handlers.first().copied().unwrap_or(NOBODY),
            What::Resume { slot } => self.slots[*slot].waiting.as_ref().map_or(NOBODY, |w| w.thread.purpose),
            What::Code { purpose, .. } => *purpose,
        };
        if !self.here_for(world, purpose, i)? {
            if let What::Code { args, .. } = &a.what {
                self.store.give(bytes_armed(args));
            }
            return Ok(());
        }
        self.announce(world, &a);
        self.stems = a.stems;
        match a.what {
            What::Plain { handler, args } => {
                if self.guard(world, handler, i, &args)? {
                    world.acts(Some(handler), None, i);
                    self.body(world, handler, i, args)?;
                }
                Ok(())
            }
            What::Machine { machine, handlers, leaf, args } => {
                let m = &self.b.machines[machine as usize];
                let now = self.leaf(world, machine, i)?;
                let mut levels: Vec<Option<StateId>> =
                    super::index::chain(m, now).into_iter().map(Some).collect();
                levels.push(None);
                for level in levels {
                    let mut heard = false;
                    for &h in &handlers {
                        let at = self.b.handlers[h as usize].scope.and_then(|(_, s)| s);
                        if at != level || !self.active(h, leaf) || !self.guard(world, h, i, &args)? {
                            continue;
                        }
                        heard = true;
                        world.acts(Some(h), None, i);
                        match self.b.handlers[h as usize].target {
                            Some(target) => return self.transition(world, h, i, target, args),
                            None => self.body(world, h, i, args.clone())?,
                        }
                    }
                    if heard {
                        return Ok(());
                    }
                }
                Ok(())
            }
            What::Resume { slot } => {
                let Some(w) = self.slots[slot].waiting.take() else { return Ok(()) };
                self.release(slot, w.bytes);
                self.go(world, w.thread, w.handler)
            }
            What::Code { code, args, purpose } => {
                self.store.give(bytes_armed(&args));
                self.go(world, Thread::new(self.b, code, i, args, purpose), NOBODY)
            }
        }
    }

    /// Says who runs. Handlers of a machine say so themselves, where it is clear which of them does.
    fn announce(&self, world: &mut dyn World, a: &Activation) {
        match &a.what {
            What::Plain { .. } | What::Machine { .. } => {}
            What::Resume { slot } => {
                let handler = self.slots[*slot].waiting.as_ref().map(|w| w.handler);
                world.acts(handler.filter(|h| *h != u32::MAX), None, a.instance);
            }
            What::Code { code, .. } => world.acts(None, Some(*code), a.instance),
        }
    }

    pub(super) fn release(&mut self, slot: usize, bytes: usize) {
        self.slots[slot].generation = self.slots[slot].generation.wrapping_add(1);
        self.store.give(bytes);
        self.free.push(slot);
    }

    fn body(&mut self, world: &mut dyn World, handler: u32, i: u32, args: Args) -> R<()> {
        let h = &self.b.handlers[handler as usize];
        let Some(code) = h.body else { return Ok(()) };
        if !self.here(world, h.owner, i)? {
            return Ok(());
        }
        if h.queued {
            if let Some(queue) = self.queues.get_mut(&(handler, i)) {
                let bytes = bytes_of(&args);
                queue.push_back((args, self.stems.clone()));
                return self.store.take(bytes).map_err(|kind| self.named(handler, i, kind));
            }
            self.queues.insert((handler, i), VecDeque::new());
        }
        let values = self.bind(handler, &args);
        self.go(world, Thread::new(self.b, code, i, values, handler), handler)
    }

    /// Runs a thread until it ends or waits.
    fn go(&mut self, world: &mut dyn World, mut thread: Thread, handler: u32) -> R<()> {
        let i = thread.instance;
        let mut effects = Effects::default();
        let mut vm = Vm {
            behavior: self.b,
            slots: world_slots(world),
            store: &mut self.store,
            effects: &mut effects,
            stream: (thread.purpose, i),
        };
        let outcome = vm.run(&mut thread).map_err(|mut f| {
            if let Some(owner) = streams::owner(self.b, thread.purpose) {
                f.twin = path(self.b, owner, i);
            }
            f
        })?;
        let born = self.here_for(world, thread.purpose, i)?;
        let life = streams::owner(self.b, thread.purpose).map(|o| (o, self.life(o, i)));
        self.apply(world, effects, thread.purpose)?;
        // A twin that retired itself does not go on.
        if !born || life.is_some_and(|(o, l)| l != self.life(o, i)) {
            return Ok(());
        }
        match outcome {
            Outcome::Done(_) => {}
            Outcome::Stop(reason) => {
                self.stop = Some(reason);
            }
            Outcome::Wait(d) => {
                let ns = self.now + nanoseconds(d).map_err(|k| self.named(handler, i, k))?;
                let (slot, generation) = self.suspend(thread, handler)?;
                self.timers.arm(ns, Due::Wake { slot, generation });
                return Ok(());
            }
            Outcome::Until(w) => {
                // Judged when what this step wrote has settled.
                let (slot, generation) = self.suspend(thread, handler)?;
                self.fresh.push((w, i, slot, generation));
                return Ok(());
            }
            Outcome::For(h) => {
                let (slot, generation) = self.suspend(thread, handler)?;
                let key = (h.event, h.per.max(1), i);
                self.hearing.entry(key).or_default().push((slot, generation, h.only));
                return Ok(());
            }
        }
        if self.queues.contains_key(&(handler, i)) {
            match self.queues.get_mut(&(handler, i)).and_then(VecDeque::pop_front) {
                Some((args, stems)) => {
                    self.store.give(bytes_of(&args));
                    self.stems = stems;
                    let values = self.bind(handler, &args);
                    if let Some(code) = self.b.handlers[handler as usize].body {
                        // The next one in turn runs as a timer of this instant, so that turns do not nest.
                        let (slot, generation) =
                            self.suspend(Thread::new(self.b, code, i, values, handler), handler)?;
                        self.timers.arm(self.now, Due::Wake { slot, generation });
                    }
                }
                None => {
                    self.queues.remove(&(handler, i));
                }
            }
        }
        Ok(())
    }

    fn suspend(&mut self, thread: Thread, handler: u32) -> R<(usize, u32)> {
        let i = thread.instance;
        let bytes = thread.bytes(self.store.memory);
        self.store.take(bytes).map_err(|kind| self.named(handler, i, kind))?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        self.slots[slot].waiting = Some(Waiting { thread, handler, bytes, stems: self.stems.clone() });
        let generation = self.slots[slot].generation;
        let scope = match self.b.handlers.get(handler as usize) {
            Some(h) => h.scope,
            // What waits in `entry` goes with the state, too.
            None => streams::state(self.b, handler).filter(|(.., exit)| !exit).map(|(m, s, _)| (m, Some(s))),
        };
        if let Some((m, Some(s))) = scope {
            let slots = &self.slots;
            let held = self.held.entry((m, i)).or_default();
            held.retain(|(_, slot, generation)| slots[*slot].generation == *generation);
            held.push((s, slot, generation));
        }
        Ok((slot, generation))
    }

    fn apply(&mut self, world: &mut dyn World, effects: Effects, purpose: u32) -> R<()> {
        for (event, instance, _) in &effects.emits {
            world.emitted(*event, *instance);
        }
        for (event, i, args) in effects.emits {
            self.events.push_back((event, i, args, self.stems.clone()));
        }
        for (d, code, instance, args, purpose) in effects.arms {
            let ns = self.now + nanoseconds(d).map_err(|k| fault(self.b, code, 0, k))?;
            let stems = self.stems.clone();
            let life = streams::owner(self.b, purpose).map_or(0, |o| self.life(o, instance));
            self.timers.arm(ns, Due::Code { code, instance, args, purpose, stems, life });
        }
        let time = world.time();
        for (population, element, taken) in effects.places {
            self.place(population, element, taken);
        }
        if !effects.logs.is_empty() {
            let owner = self.owner_of(purpose);
            for (i, text) in effects.logs {
                self.store.give(bytes_said(&text));
                self.said += 1;
                self.said_bytes += text.len();
                if self.logs.len() < MOST_SAID.0 && self.said_bytes < MOST_SAID.1 {
                    self.logs.push(Said { time, twin: path(self.b, owner, i), text });
                }
            }
        }
        for (owner, i) in effects.cells {
            self.mirror(world, owner, i)?;
        }
        Ok(())
    }
}

fn world_slots(world: &mut dyn World) -> &mut dyn Slots {
    world
}
