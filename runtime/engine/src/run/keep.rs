//! A run as a snapshot, and a snapshot as a run that goes on.
//!
//! What is kept is kept between two steps, where nothing is half done: at the last accepted step from which no trial step
//! has looked beyond the instant T that is asked for. Solvers look twice as far ahead as they step, so that no tiny rest
//! is left before a stop; from the first step on that would see T, a run with an event at T may go other ways than one
//! without. So what is kept is the state from which both go, and taking it changes neither: no stop is made for it.
//!
//! A library that hides its state (`esdirk`, `trbdf2`, `diffsol_bdf`) is kept as its last restart was, with all that the
//! run was then. Such a run first does again what it did from there on, and hands no row on that was handed on before.

use std::collections::BTreeMap;

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_solvers::stats::Stats;

use super::plan::seconds;
use super::trunk::Prelude;
use super::*;
use crate::snapshot::{Clock, Section, SnapshotError, State, Tag};

/// How many steps ahead a solver sees what is coming, and a rounding.
const SIGHT: f64 = 2.0 * (1.0 + 1e-6);
/// So many steps before an instant states are kept: the next step may be longer than what the solver says.
const EARLY: f64 = 8.0;

/// The spaces whose values decide what happens next; the others are written before they are read.
const SPACES: [Space; 10] = [
    Space::Time,
    Space::State,
    Space::Param,
    Space::Input,
    Space::Var,
    Space::Disc,
    Space::Der,
    Space::Root,
    Space::Next,
    Space::Hist,
];

/// Who takes the state at an instant; an error of it ends the run.
pub type Take<'k> = dyn FnMut(State) -> Result<(), RecordError> + 'k;

/// When states are taken, and who takes them.
pub struct Keep<'k> {
    /// The instants in nanoseconds, ascending: the next one that is later than the given.
    pub next: Box<dyn FnMut(i128) -> Option<i128> + 'k>,
    /// Takes them.
    pub take: Box<Take<'k>>,
}

impl<'k> Keep<'k> {
    /// At one instant.
    pub fn at(ns: i128, take: impl FnMut(State) -> Result<(), RecordError> + 'k) -> Keep<'k> {
        Keep { next: Box::new(move |after| (after < ns).then_some(ns)), take: Box::new(take) }
    }

    /// Every so many nanoseconds after the start.
    pub fn every(period: i128, take: impl FnMut(State) -> Result<(), RecordError> + 'k) -> Keep<'k> {
        let period = period.max(1);
        let next = move |after: i128| Some((after.max(0).div_euclid(period) + 1) * period);
        Keep { next: Box::new(next), take: Box::new(take) }
    }
}

/// A keeper at work.
pub(super) struct Keeper<'k> {
    keep: Keep<'k>,
    /// The instant that is waited for.
    due: Option<i128>,
    /// The last state that was kept, and the time of its step.
    candidate: Option<State>,
    /// Where the solver hides its state: the last restart, and the time of its step.
    base: Option<State>,
    /// How the run stood before the step at hand.
    before: Before,
}

/// How a run stands before a step.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    t: f64,
    stats: Stats,
    /// The step that is wanted.
    wanted: f64,
    /// What no step passes in any case.
    stop: f64,
    /// Changes of the method so far.
    switches: u32,
}

/// What goes on from a snapshot, and how.
#[derive(Clone, Debug, Default)]
pub struct Onward<'s> {
    /// The end of the run in seconds instead of the experiment's.
    pub until: Option<f64>,
    /// What is changed on the way.
    pub changes: &'s [Change],
    /// The rows that the run recorded up to the state, which are handed on again; none: only those that come after it.
    pub before: Option<&'s Prelude>,
}

/// Values that are set at an instant, as an action of a scenario sets them: `at T { pump.speed = 0 rpm }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When, in nanoseconds: later than the snapshot's step.
    pub at: i128,
    /// How the log of events calls it.
    pub text: String,
    /// What: space (`Param`, `Input`, `Disc`, `State`), slot, value in SI.
    pub set: Vec<(Space, u32, f64)>,
}

/// Why a run does not go on from a snapshot.
#[derive(Debug)]
pub enum ResumeError {
    /// The run itself cannot be begun, or a recorder failed.
    Run(RunError),
    /// The snapshot is not what it should be, or of another program or experiment.
    Snapshot(SnapshotError),
    /// Something is to happen before the snapshot's step.
    Past {
        /// What.
        what: String,
        /// When it is to happen.
        at: f64,
        /// The time of the snapshot's step.
        time: f64,
    },
    /// What was done again since the last restart came to another step than it had: not the same solver, or not the same
    /// machine.
    Elsewhere {
        /// Where it should have come to.
        time: f64,
        /// Where it came to.
        reached: f64,
    },
}

impl std::fmt::Display for ResumeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ResumeError::Run(e) => write!(f, "{e}"),
            ResumeError::Snapshot(e) => write!(f, "{e}"),
            ResumeError::Past { what, at, time } => {
                write!(f, "{what} is to be at {at} s, but the snapshot stands at {time} s already")
            }
            ResumeError::Elsewhere { time, reached } => write!(
                f,
                "the steps since the solver's last restart lead to {reached} s here, not to {time} s: another version of \
                 the solver, or another kind of machine"
            ),
        }
    }
}

impl std::error::Error for ResumeError {}

impl From<RunError> for ResumeError {
    fn from(error: RunError) -> ResumeError {
        ResumeError::Run(error)
    }
}

impl From<SnapshotError> for ResumeError {
    fn from(error: SnapshotError) -> ResumeError {
        ResumeError::Snapshot(error)
    }
}

/// Whether a library hides this method's state.
pub(super) fn hides(method: Method) -> bool {
    matches!(method, Method::Esdirk | Method::Trbdf2 | Method::DiffsolBdf)
}

/// The values of a snapshot of this program, for whoever shows them.
///
/// # Errors
///
/// [`SnapshotError`] where the snapshot is of another program.
pub fn memory_of(program: &Program, state: &State) -> Result<Memory, SnapshotError> {
    let tag = Tag::MEMORY;
    let section = state.section(tag).ok_or(SnapshotError::Missing { tag })?;
    let mut from = Reader::new(&section.bytes);
    let mut memory = Memory::new(program);
    for space in SPACES {
        let filled = from.fill(memory.space_mut(space));
        filled.map_err(|what| SnapshotError::Section { tag, what })?;
    }
    Ok(memory)
}

/// What behaviour remembers in a snapshot of this program, by what it is and its name, as texts: memories, timers, what
/// waits, queues, patterns, positions of random streams. `seed` and `run` are those of the snapshot.
///
/// # Errors
///
/// [`SnapshotError`] where the snapshot is of another program.
pub fn remembered(
    program: &Program,
    state: &State,
    seed: u64,
    run: u32,
) -> Result<BTreeMap<(&'static str, String), String>, SnapshotError> {
    let tag = Tag::BEHAVIOR;
    let section = state.section(tag).ok_or(SnapshotError::Missing { tag })?;
    let mut from = Reader::new(&section.bytes);
    let mut scheduler = Scheduler::new(&program.behavior, seed);
    scheduler.store.run = run;
    scheduler.titles =
        (0..program.behavior.handlers.len() as u32).map(|h| instant::heading(program, h)).collect();
    let read = from.get::<bool>().and_then(|any| if any { scheduler.load(&mut from) } else { Ok(()) });
    let read = read.and_then(|()| from.end());
    read.map_err(|what| SnapshotError::Section { tag, what })?;
    Ok(if program.behavior == Behavior::default() { BTreeMap::new() } else { scheduler.remembered() })
}

impl<'k> Keeper<'k> {
    pub(super) fn new(mut keep: Keep<'k>, from: i128) -> Keeper<'k> {
        let due = (keep.next)(from);
        Keeper { keep, due, candidate: None, base: None, before: Before::default() }
    }

    /// Before a step.
    pub(super) fn before(&mut self, run: &Run<'_>) {
        let Some(due) = self.due.map(seconds) else { return };
        let (t, h) = (run.integrator.t(), run.integrator.h());
        let (stats, stop) = (*run.integrator.stats(), run.next_stop());
        self.before = Before { t, stats, wanted: h, stop, switches: run.integrator.choice().switches };
        let hidden = hides(run.integrator.method());
        if hidden && run.integrator.t_prev() == t {
            self.base = Some(run.capture());
        }
        // One is always at hand, in case that a step comes out longer than the solver said.
        let late = self.candidate.as_ref().is_none_or(|c| 2.0 * (due - t) <= due - c.clock.time);
        // On a grid several steps may be taken at once, up to the next row.
        let at_once = run.integrator.method().fixed_step() && due <= run.next_sample();
        if late || due <= stop && (at_once || due - t <= EARLY * h) {
            self.candidate = match &self.base {
                Some(base) if hidden => Some(run.since(base)),
                _ => Some(run.capture()),
            };
        }
    }

    /// After it: hands on what the instants that it has seen ask for.
    pub(super) fn after(&mut self, run: &Run<'_>) -> Result<(), RecordError> {
        while let (Some(due), Some(state)) = (self.due, &self.candidate) {
            let at = seconds(due);
            let Before { t, stats, wanted, stop, switches } = self.before;
            let now = run.integrator.stats();
            // Several steps on a grid are one here.
            let done = if run.integrator.method().fixed_step() { 0.0 } else { run.integrator.t() - t };
            let turned = run.integrator.choice().switches != switches && now.rejected != stats.rejected;
            // Only what comes before all other stops can have been seen.
            let near = at - t <= SIGHT * wanted.max(done) || turned;
            let seen = at <= run.time || at <= stop && near;
            if !seen {
                return Ok(());
            }
            if at > run.end {
                self.due = None;
                return Ok(());
            }
            let mut state = state.clone();
            state.clock.asked = due;
            (self.keep.take)(state)?;
            self.due = (self.keep.next)(due);
        }
        Ok(())
    }
}

impl Run<'_> {
    fn section(tag: Tag, save: impl FnOnce(&mut Writer)) -> Section {
        let mut to = Writer::new();
        save(&mut to);
        Section { tag, version: 1, bytes: to.finish().into() }
    }

    /// Everything that decides the rest of the run.
    pub(super) fn capture(&self) -> State {
        let memory = Self::section(Tag::MEMORY, |to| {
            for space in SPACES {
                to.slice(self.system.memory.space(space));
            }
            to.slice(&self.x);
            self.system.host.save(to);
        });
        let integrator = Self::section(Tag::INTEGRATOR, |to| {
            to.text(self.integrator.method().name());
            let mut own = Writer::new();
            self.integrator.save(&mut own);
            let own = own.finish();
            to.put(&own.len()).raw(&own);
            self.roots.save(to);
        });
        let behavior = Self::section(Tag::BEHAVIOR, |to| {
            to.put(&self.behavior.is_some());
            if let Some(scheduler) = &self.behavior {
                scheduler.save(to);
            }
        });
        let monitor = Self::section(Tag::MONITOR, |to| {
            to.put(&self.sliding).put(&self.journal.changes);
            to.put(&self.firing);
            self.ranges.save(to);
            self.clamps.save(to);
            to.put(&self.observer.is_some());
            if let Some(observer) = &self.observer {
                observer.save(to);
            }
        });
        let recorder = self.recorder(None);
        State {
            clock: Clock {
                asked: 0,
                time: self.integrator.t(),
                micro: self.micro,
                restart: None,
                steps: self.integrator.stats().steps,
                events: self.events,
                samples: self.samples,
                actions: self.next_action as u64,
                changes: self.next_change as u64,
            },
            sections: vec![memory, behavior, integrator, monitor, recorder],
        }
    }

    /// How far the recorders are; `at`: what they were at a restart.
    fn recorder(&self, at: Option<&Section>) -> Section {
        let rows: Vec<u64> = self.sinks.iter().map(|s| s.rows).collect();
        let logged = self.log.as_ref().map_or(0, log::Log::rows);
        Self::section(Tag::RECORDER, |to| {
            match at {
                // All but the rows, which come last.
                Some(section) => {
                    let end = section.bytes.len() - (8 + 8 * rows.len() + 8);
                    to.raw(&section.bytes[..end]);
                }
                None => {
                    to.put(&self.span).put(&self.sinks.len());
                    for s in &self.sinks {
                        match s.outlet.plan.rate {
                            Rate::Every { period } => to.put(&0_u8).put(&period),
                            Rate::Parts(n) => to.put(&1_u8).put(&i128::from(n)),
                            Rate::Listed => to.put(&2_u8).put(&0_i128),
                        };
                        to.put(&s.next).put(&s.next_time).put(&s.last).put(&s.row).put(&s.rows);
                    }
                    to.put(&logged);
                }
            }
            to.put(&rows).put(&logged);
        })
    }

    /// Where the run stands now, as what it was at its last restart.
    pub(super) fn since(&self, base: &State) -> State {
        let mut state = base.clone();
        let now = self.integrator.t();
        state.clock.restart = (base.clock.time != now).then_some(base.clock.time);
        state.clock.time = now;
        if let Some(recorder) = state.sections.iter_mut().find(|s| s.tag == Tag::RECORDER) {
            *recorder = self.recorder(Some(recorder));
        }
        state
    }

    /// Puts a state in the place of a run's that has not begun.
    pub(super) fn restore(&mut self, state: &State) -> Result<(), SnapshotError> {
        let program = self.system.program;
        let read = |tag: Tag, go: &mut dyn FnMut(&mut Reader<'_>) -> Result<(), Malformed>| {
            let section = state.section(tag).ok_or(SnapshotError::Missing { tag })?;
            let mut from = Reader::new(&section.bytes);
            let outcome = go(&mut from).and_then(|()| from.end());
            outcome.map_err(|what| SnapshotError::Section { tag, what })
        };
        let c = &state.clock;
        let counts = [c.steps, c.events, c.samples, c.actions, c.changes, c.micro.1];
        let base = c.restart.unwrap_or(c.time);
        if counts.into_iter().any(|n| n >= 1 << 60) || !(0.0..=c.time).contains(&base) || !c.time.is_finite()
        {
            let what = Malformed { at: 0, why: "a count or a time is out of range".into() };
            return Err(SnapshotError::Section { tag: Tag::CLOCK, what });
        }
        (self.time, self.micro) = (base, c.micro);
        self.looked = base;
        (self.events, self.samples) = (c.events, c.samples);
        self.next_action = c.actions as usize;
        self.started = true;
        read(Tag::MEMORY, &mut |from| self.restore_memory(from))?;
        read(Tag::BEHAVIOR, &mut |from| {
            let at = from.at();
            if from.get::<bool>()? != self.behavior.is_some() {
                return Err(Malformed { at, why: "the program has another behaviour".into() });
            }
            self.behavior.as_mut().map_or(Ok(()), |s| s.load(from))
        })?;
        read(Tag::INTEGRATOR, &mut |from| {
            let at = from.at();
            let name = from.text()?;
            if name != self.integrator.method().name() {
                let own = self.integrator.method().name();
                return Err(Malformed { at, why: format!("the solver is `{name}`, not `{own}`") });
            }
            let len = from.length(1)?;
            let at = from.at();
            let mut own = Reader::new(from.raw(len)?);
            let outcome = self.integrator.load(&mut self.system, &mut own).and_then(|()| own.end());
            outcome.map_err(|e| Malformed { at: at + e.at, ..e })?;
            if self.integrator.t().to_bits() != base.to_bits() || self.integrator.x().len() != self.x.len() {
                return Err(Malformed { at, why: "the solver stands elsewhere than the clock".into() });
            }
            self.roots.load(from)
        })?;
        // Factors may have been computed: memory is as it was again.
        read(Tag::MEMORY, &mut |from| self.restore_memory(from))?;
        self.system.glance.clear();
        read(Tag::MONITOR, &mut |from| {
            self.sliding = from.get()?;
            let at = from.at();
            let changes: Vec<(usize, f64)> = from.get()?;
            if changes.iter().any(|(slot, _)| *slot >= program.sizes.disc as usize) {
                return Err(Malformed { at, why: "there is no such discrete value".into() });
            }
            self.journal.clear();
            changes.iter().for_each(|(slot, before)| self.journal.note(*slot, *before));
            let at = from.at();
            from.fill(&mut self.firing)?;
            if !self.firing.iter().all(zeno::Firing::sound) {
                return Err(Malformed { at, why: "a count of firings is out of range".into() });
            }
            self.ranges.load(program, from)?;
            self.clamps.load(from)?;
            let at = from.at();
            if from.get::<bool>()? != self.observer.is_some() {
                return Err(Malformed { at, why: "the experiment has other requirements".into() });
            }
            self.observer.as_mut().map_or(Ok(()), |o| o.load(from))
        })?;
        read(Tag::RECORDER, &mut |from| self.restore_recorders(from))
    }

    fn restore_memory(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        for space in SPACES {
            from.fill(self.system.memory.space_mut(space))?;
        }
        from.fill(&mut self.x)?;
        let t = self.integrator.t();
        self.system.host.load(from, t)?;
        self.system.host.aim = host::ONWARD;
        self.system.rest(t, &self.x);
        Ok(())
    }

    fn restore_recorders(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        let wrong = |why: &str| Malformed { at, why: why.to_owned() };
        let span: f64 = from.get()?;
        if span.to_bits() != self.span.to_bits() {
            return Err(wrong("the run is of another length"));
        }
        if from.length(1)? != self.sinks.len() {
            return Err(wrong("other quantities are recorded, or at other rates"));
        }
        for s in &mut self.sinks {
            let rate: (u8, i128) = from.get()?;
            let own = match s.outlet.plan.rate {
                Rate::Every { period } => (0, period),
                Rate::Parts(n) => (1, i128::from(n)),
                Rate::Listed => (2, 0),
            };
            if rate != own {
                return Err(wrong("other quantities are recorded, or at other rates"));
            }
            (s.next, s.next_time, s.last) = from.get()?;
            from.fill(&mut s.row)?;
            s.rows = from.get()?;
            let due = s.outlet.plan.instant(s.next, self.span);
            let sound = s.next_time == due || s.next_time == f64::INFINITY;
            if s.next >= 1 << 60 || s.rows >= 1 << 60 || !sound {
                return Err(wrong("the recorder's position is out of range"));
            }
        }
        let logged: u64 = from.get()?;
        let reached: Vec<u64> = from.get()?;
        let log_reached: u64 = from.get()?;
        if reached.len() != self.sinks.len() || logged >= 1 << 60 {
            return Err(wrong("the recorder's position is out of range"));
        }
        for (s, n) in self.sinks.iter_mut().zip(reached) {
            s.mute = n;
        }
        if let Some(log) = &mut self.log {
            log.resume(logged, log_reached);
        }
        Ok(())
    }

    /// Makes a restored run ready for its next step.
    pub(super) fn go_on(&mut self, state: &State, onward: &Onward<'_>) -> Result<(), ResumeError> {
        let clock = &state.clock;
        let past = |what: String, at: f64| ResumeError::Past { what, at, time: clock.time };
        if let Some(until) = onward.until {
            if until <= clock.time {
                return Err(past("the end".to_owned(), until));
            }
            self.end = until;
        }
        if self.end <= clock.time {
            return Err(past("the end".to_owned(), self.end));
        }
        // What is done is what was due up to the step; anything else would have to happen in the past.
        let done = self.actions.partition_point(|(t, _)| *t <= self.time);
        if done != self.next_action {
            let at = self.actions.get(self.next_action.min(done)).map_or(f64::NAN, |a| a.0);
            return Err(past("an action of the scenario".to_owned(), at));
        }
        self.changes = onward.changes.to_vec();
        self.changes.sort_by_key(|c| c.at);
        if let Some(c) = self.changes.iter().find(|c| seconds(c.at) <= clock.time) {
            return Err(past(format!("`{}`", c.text), seconds(c.at)));
        }
        self.next_change = 0;
        if let Some(log) = &mut self.log {
            log.changed_by(self.system.program, &self.changes);
        }
        // A recording in parts of a run that goes on longer goes on as it was.
        for s in &mut self.sinks {
            if s.next_time == f64::INFINITY {
                s.next_time = s.outlet.plan.instant(s.next, self.span);
            }
        }
        if let Some(before) = onward.before {
            self.hand_on(before).map_err(RunError::Record)?;
        }
        let (stop, horizon) = (self.next_stop(), self.horizon());
        let outcome = self.integrator.set_stop(stop);
        self.integrator.set_horizon(horizon);
        self.integrator.set_end(self.end);
        outcome.map_err(|_| past("the next stop".to_owned(), stop))
    }

    /// Does again what was done since the last restart, where the solver's state is no other; how the run ended, where it
    /// ended there.
    pub(super) fn catch_up(
        &mut self,
        state: &State,
        watch: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Option<Result<Ended, Stop>>, ResumeError> {
        let time = state.clock.time;
        while self.integrator.t() < time {
            match self.advance(watch) {
                Ok(None) => {}
                Ok(Some(ended)) => return Ok(Some(Ok(ended))),
                Err(stop) => return Ok(Some(Err(stop))),
            }
        }
        let reached = self.integrator.t();
        if reached == time { Ok(None) } else { Err(ResumeError::Elsewhere { time, reached }) }
    }

    /// Sets what a branch changes at `t`; true if anything was due.
    pub(super) fn change(&mut self, t: f64, step: u64) -> Result<bool, Stop> {
        let mut any = false;
        while let Some(change) = self.changes.get(self.next_change).filter(|c| seconds(c.at) <= t) {
            let k = self.next_change;
            if let Some(log) = &mut self.log {
                log.before_change(k, self.system.memory.data());
            }
            for &(space, slot, value) in &change.set {
                if let Some(place) = self.system.memory.space_mut(space).get_mut(slot as usize) {
                    *place = value;
                }
            }
            self.next_change += 1;
            if let Some(log) = &mut self.log {
                log.after_change(k, step, self.system.memory.data())?;
            }
            any = true;
        }
        Ok(any)
    }

    /// The next change of a branch, in seconds.
    pub(super) fn next_changed(&self) -> Option<f64> {
        self.changes.get(self.next_change).map(|c| seconds(c.at))
    }
}
