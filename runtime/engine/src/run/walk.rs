//! A run that can be walked through, event by event, forward and backward.
//!
//! The run itself goes forward only. What an instant did is taken down by a recorder and by the log of events, as a run's
//! results and its log are: so to be walked through changes no bit of it. States are kept in memory on the way; to go
//! back is to go on from one of them, and the same steps give the same bits. Of the past nothing is held but those states
//! and the times of the events, so memory does not grow with what a run has recorded.
//!
//! A place is between two events, or just after one ([`Here`]). Event 0 is the start with what its handlers did, the last
//! one the end with what was done there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use crate::record::{ColumnSpec, Columns, Element, Recorded};
use crate::snapshot::State;

/// States in memory at most; then every second goes, and they are taken half as often.
const KEPT: usize = 96;
/// Steps between two states at first.
const EVERY: u64 = 32;

/// A quantity of the program, element by element.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its path with subscripts.
    pub path: String,
    /// What it is, with its unit's scale.
    pub element: Element,
    /// Its unit; empty where it has none.
    pub unit: String,
}

/// What one row of the log of events says.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The quantity, or the instance of the handler.
    pub path: String,
    /// The comparison, the action, the handler or the name of what was emitted.
    pub event: String,
    /// `crossing`, `discrete`, `action`, `state`, `input`, `handler` or `event`; of messages `sent`, `message` or `lost`.
    pub kind: String,
    /// The twin at the other end of a message; empty: the scenario, or the model as a whole.
    pub peer: String,
    /// Values before and after, in SI; NaN where there is none.
    pub pre: f64,
    /// See `pre`.
    pub post: f64,
}

/// Where a walk is.
#[derive(Clone, Debug)]
pub struct Here {
    /// Time in seconds.
    pub time: f64,
    /// The micro-step: 0 between events.
    pub step: u64,
    /// The last event at or before here.
    pub event: usize,
    /// Whether that is here.
    pub at_event: bool,
    /// Whether this is the end of the run.
    pub end: bool,
    /// By quantity of [`Walk::watched`], in SI.
    pub values: Vec<f64>,
    /// The same before the event.
    pub before: Option<Vec<f64>>,
    /// What the event did, in order.
    pub done: Vec<Done>,
}

/// Why a walk does not go on.
#[derive(Debug)]
pub enum WalkError {
    /// The run cannot be begun.
    Run(RunError),
    /// A state that was kept is refused: a defect.
    Resume(ResumeError),
    /// The host asked to stop; the walk stands where it stood.
    Interrupted,
}

impl std::fmt::Display for WalkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WalkError::Run(e) => write!(f, "{e}"),
            WalkError::Resume(e) => write!(f, "the run does not go on from what was kept of it: {e}"),
            WalkError::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for WalkError {}

/// What recorder and log have taken down, in order.
#[derive(Debug, Default)]
struct Tape {
    items: VecDeque<Item>,
    /// Texts of the log's columns `path`, `event`, `kind`.
    words: [Arc<[String]>; 3],
}

#[derive(Debug)]
enum Item {
    /// Time, micro-step, values.
    Row(f64, u64, Vec<f64>),
    Log(Done),
}

type Shared = Arc<Mutex<Tape>>;

fn of(tape: &Shared) -> std::sync::MutexGuard<'_, Tape> {
    // Nobody panics while holding it; what is there is whole.
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes rows down.
struct Rows {
    columns: Columns,
    tape: Shared,
}

impl Recorder for Rows {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn row(&mut self, cells: &[f64]) -> Result<(), RecordError> {
        of(&self.tape).items.push_back(Item::Row(cells[0], cells[1] as u64, cells[2..].to_vec()));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Recorded, RecordError> {
        Ok(Recorded { rows: 0, bytes: 0 })
    }
}

/// Takes the log down.
struct Logged {
    columns: Columns,
    tape: Shared,
}

impl Recorder for Logged {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn row(&mut self, cells: &[f64]) -> Result<(), RecordError> {
        let mut tape = of(&self.tape);
        let word = |k: usize, cell: f64| tape.words[k].get(cell as usize).cloned().unwrap_or_default();
        let done = Done {
            path: word(0, cells[2]),
            event: word(1, cells[3]),
            kind: word(2, cells[4]),
            peer: cells.get(7).map_or_else(String::new, |cell| word(0, *cell)),
            pre: cells[5],
            post: cells[6],
        };
        tape.items.push_back(Item::Log(done));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Recorded, RecordError> {
        Ok(Recorded { rows: 0, bytes: 0 })
    }
}

/// A state between two steps, and how many events had been when it was taken.
struct Kept {
    state: State,
    time: f64,
    events: usize,
    last: Vec<f64>,
}

/// A walk through one run.
pub struct Walk<'a> {
    prepared: &'a Prepared,
    program: &'a Program,
    machine: &'a dyn Machine,
    experiment: &'a Experiment,
    watched: Vec<Watched>,
    plan: Plan,
    tape: Shared,
    run: Run<'a>,
    /// How the run ended, once it has.
    ended: Option<Ended>,
    /// Events that the run has come to and the walk has not.
    coming: VecDeque<Here>,
    /// The time of a place between events that is asked for.
    asked: Option<f64>,
    /// Events that the run has come to.
    events: usize,
    /// Values after the last of them, or the last row.
    last: Vec<f64>,
    /// Times of all events that were ever seen.
    times: Vec<f64>,
    kept: Vec<Kept>,
    every: u64,
    here: Here,
    stop: Box<dyn Fn() -> bool + 'a>,
}

impl<'a> Walk<'a> {
    /// At the start of a run. `prepared` is of the same program, machine and experiment; `stop` is asked after every
    /// step of the solver whether to give up.
    ///
    /// # Errors
    ///
    /// [`WalkError::Run`].
    pub fn new(
        prepared: &'a Prepared,
        program: &'a Program,
        machine: &'a dyn Machine,
        experiment: &'a Experiment,
        stop: impl Fn() -> bool + 'a,
    ) -> Result<Walk<'a>, WalkError> {
        let mut watched = Vec::new();
        let mut slots = Vec::new();
        for v in &program.schema.vars {
            for k in 0..v.len {
                watched.push(Watched {
                    path: v.element_path(k),
                    element: plan::element_of(program, v, false),
                    unit: plan::unit_of(v, false).unwrap_or_default(),
                });
                slots.push((v.space, v.base + k));
            }
        }
        // Rows of events and, where a place between them is asked for, of that: no others.
        let rate = Rate::Every { period: i128::MAX };
        let plan = plan::slots(program, rate, &slots).map_err(|e| WalkError::Run(e.into()))?;
        let tape = Shared::default();
        let (outlets, log) = Self::recorders(&plan, &tape);
        let run = prepared
            .launch(program, machine, experiment, None, outlets, Some(log))
            .map_err(WalkError::Run)?;
        let mut walk = Walk {
            prepared,
            program,
            machine,
            experiment,
            plan,
            tape,
            run,
            ended: None,
            coming: VecDeque::new(),
            asked: None,
            events: 0,
            last: vec![f64::NAN; watched.len()],
            times: Vec::new(),
            kept: Vec::new(),
            every: EVERY,
            here: Here {
                time: 0.0,
                step: 0,
                event: 0,
                at_event: true,
                end: false,
                values: Vec::new(),
                before: None,
                done: Vec::new(),
            },
            watched,
            stop: Box::new(stop),
        };
        walk.begin();
        walk.enter();
        Ok(walk)
    }

    fn recorders(plan: &Plan, tape: &Shared) -> (Vec<Outlet>, OpenLog<'a>) {
        let rows = Rows { columns: plan.columns().clone(), tape: tape.clone() };
        let outlets = vec![Outlet { plan: plan.clone(), recorder: Box::new(rows) }];
        let tape = tape.clone();
        let log = Box::new(move |columns: Columns| {
            let words = |k: usize| match columns.specs().get(k) {
                Some(ColumnSpec { element: Element::Text(words), .. }) => words.clone(),
                _ => Arc::default(),
            };
            of(&tape).words = [words(2), words(3), words(4)];
            Ok(Box::new(Logged { columns, tape: tape.clone() }) as Box<dyn Recorder>)
        });
        (outlets, log)
    }

    /// The quantities.
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// Where the walk is.
    pub fn here(&self) -> &Here {
        &self.here
    }

    /// How the run ended, once the walk has seen it.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref().filter(|_| self.here.end)
    }

    /// The times of the events that were seen so far, the start first.
    pub fn seen(&self) -> &[f64] {
        &self.times
    }

    /// Goes on to the next event; false at the end.
    ///
    /// # Errors
    ///
    /// [`WalkError`].
    pub fn forward(&mut self) -> Result<bool, WalkError> {
        loop {
            if self.enter() {
                return Ok(true);
            }
            if self.ended.is_some() {
                return Ok(false);
            }
            self.advance()?;
        }
    }

    /// Goes back to the event before; false at the start.
    ///
    /// # Errors
    ///
    /// [`WalkError`].
    pub fn backward(&mut self) -> Result<bool, WalkError> {
        if !self.here.at_event {
            self.visit(self.here.event)?;
            return Ok(true);
        }
        match self.here.event.checked_sub(1) {
            Some(before) => self.visit(before).map(|()| true),
            None => Ok(false),
        }
    }

    /// Goes to an event by its number: forward as far as the end.
    ///
    /// # Errors
    ///
    /// [`WalkError`].
    pub fn visit(&mut self, event: usize) -> Result<(), WalkError> {
        if self.here.at_event && self.here.event == event {
            return Ok(());
        }
        if self.here.event >= event {
            self.back(|k| k.events <= event)?;
        }
        while !(self.here.at_event && self.here.event == event) {
            if !self.forward()? {
                break;
            }
        }
        Ok(())
    }

    /// Goes to a time in seconds: just after the events there, or between events. Not beyond the end.
    ///
    /// # Errors
    ///
    /// [`WalkError`].
    pub fn go_to(&mut self, time: f64) -> Result<(), WalkError> {
        let time = time.max(0.0);
        if time < self.here.time || self.run.started && time < self.run.integrator.t() {
            self.back(|k| k.time <= time)?;
        }
        if self.ended.is_none() {
            self.asked = Some(time);
            self.run.sinks.iter_mut().for_each(|s| s.next_time = time);
        }
        let walked = self.up_to(time);
        self.asked = None;
        self.run.sinks.iter_mut().for_each(|s| s.next_time = f64::INFINITY);
        let row = walked?;
        match row {
            _ if self.here.end || self.here.at_event && self.here.time == time => Ok(()),
            Some(values) => {
                let event = self.here.event;
                let (step, before, done) = (0, None, Vec::new());
                self.here = Here { time, step, event, at_event: false, end: false, values, before, done };
                Ok(())
            }
            // What is there was passed by the state that the walk went on from.
            None => self.visit(self.here.event),
        }
    }

    /// Passes what happens up to a time; the row there, where it is between events.
    fn up_to(&mut self, time: f64) -> Result<Option<Vec<f64>>, WalkError> {
        let mut row = None;
        loop {
            while self.coming.front().is_some_and(|h| h.time <= time) {
                self.enter();
            }
            let there = !self.run.started || self.run.integrator.t() > time;
            if self.ended.is_some() || !self.coming.is_empty() || there {
                return Ok(row);
            }
            row = self.advance()?.or(row);
        }
    }

    /// Makes the run one that has only come to where the last state that will do was taken, or to the start.
    fn back(&mut self, will_do: impl Fn(&Kept) -> bool) -> Result<(), WalkError> {
        let (outlets, log) = Self::recorders(&self.plan, &self.tape);
        *of(&self.tape) = Tape::default();
        self.coming.clear();
        self.ended = None;
        let (program, machine, experiment) = (self.program, self.machine, self.experiment);
        match self.kept.iter().rev().find(|k| will_do(k)) {
            Some(kept) => {
                let onward = (&kept.state, Onward::default());
                let run = self.prepared.board(program, machine, experiment, 0, onward, outlets, Some(log));
                self.run = run.map_err(WalkError::Resume)?;
                // The instants of rows are told one by one.
                self.run.sinks.iter_mut().for_each(|s| s.next_time = f64::INFINITY);
                self.events = kept.events;
                self.last.clone_from(&kept.last);
                self.here.event = kept.events.saturating_sub(1);
                self.here.time = self.times.get(self.here.event).copied().unwrap_or(0.0);
                self.here.at_event = false;
                self.here.end = false;
            }
            None => {
                let run = self.prepared.launch(program, machine, experiment, None, outlets, Some(log));
                self.run = run.map_err(WalkError::Run)?;
                self.events = 0;
                self.here.end = false;
                self.begin();
                self.enter();
            }
        }
        Ok(())
    }

    /// All before the first step.
    fn begin(&mut self) {
        let outcome = self.run.begin();
        self.take(outcome);
        self.run.sinks.iter_mut().for_each(|s| s.next_time = f64::INFINITY);
    }

    /// One step of the solver; the row that was asked for between events.
    fn advance(&mut self) -> Result<Option<Vec<f64>>, WalkError> {
        if (self.stop)() {
            return Err(WalkError::Interrupted);
        }
        self.keep();
        let outcome = self.run.advance(&mut |_| Flow::Continue);
        Ok(self.take(outcome))
    }

    /// Keeps the state between two steps, now and then.
    fn keep(&mut self) {
        let run = &self.run;
        let (t, steps) = (run.integrator.t(), run.integrator.stats().steps);
        // What a library hides can be kept only where it begins anew.
        let whole = !keep::hides(run.integrator.method()) || run.integrator.t_prev() == t;
        let due = match self.kept.last() {
            None => steps > 0,
            Some(k) => t > k.time && steps >= k.state.clock.steps.saturating_add(self.every),
        };
        if !(whole && due && self.coming.is_empty()) {
            return;
        }
        // A row that is asked for between events is no part of the state.
        self.run.sinks.iter_mut().for_each(|s| s.next_time = f64::INFINITY);
        let (state, events, last) = (self.run.capture(), self.events, self.last.clone());
        if let Some(time) = self.asked {
            self.run.sinks.iter_mut().for_each(|s| s.next_time = time);
        }
        self.kept.push(Kept { state, time: t, events, last });
        if self.kept.len() > KEPT {
            let mut n = 0;
            self.kept.retain(|_| {
                n += 1;
                n % 2 == 0
            });
            self.every *= 2;
        }
    }

    /// Takes up what was taken down, event by event; the last row between events.
    fn take(&mut self, outcome: Result<Option<Ended>, Stop>) -> Option<Vec<f64>> {
        let items = std::mem::take(&mut of(&self.tape).items);
        let (mut left, mut done, mut probe) = (None, Vec::new(), None);
        for item in items {
            match item {
                Item::Log(d) => done.push(d),
                Item::Row(time, step, values) => {
                    if step == 0 && self.events > 0 {
                        if self.asked == Some(time) {
                            probe = Some(values.clone());
                        }
                        left = Some(values);
                        continue;
                    }
                    let before = match (self.events, step) {
                        (0, _) => None,
                        (_, 1) => left.take(),
                        _ => Some(self.last.clone()),
                    };
                    self.came(time, step, values, before, std::mem::take(&mut done), false);
                }
            }
        }
        let ended = match outcome {
            Ok(None) => return probe,
            Ok(Some(ended)) => ended,
            Err(Stop::Failed(failure)) => Ended::Failed(failure),
            Err(Stop::Range) => Ended::Range,
            // The recorders here have nothing that could fail.
            Err(Stop::Record(_)) => Ended::Stopped,
        };
        let ended = match self.run.halted.take() {
            Some(reason) if matches!(ended, Ended::Complete) => Ended::Halted(reason),
            _ => ended,
        };
        self.ended = Some(ended);
        let values = self.final_values();
        let before = Some(self.last.clone());
        let (time, step) = (self.run.time, self.run.step_now());
        self.came(time, step, values, before, done, true);
        probe
    }

    /// The values at the end.
    fn final_values(&mut self) -> Vec<f64> {
        let (t, x) = (self.run.time, self.run.x.clone());
        self.run.system.set(t, &x);
        // Where a run failed, formulas may have no values: then they are what they were.
        let _ = self.run.system.run(KernelId::Outputs);
        let mut row = vec![0.0; self.plan.columns().cells()];
        self.plan.fill(self.run.system.memory.data(), 0, &mut row);
        row.split_off(2)
    }

    fn came(
        &mut self,
        time: f64,
        step: u64,
        values: Vec<f64>,
        before: Option<Vec<f64>>,
        done: Vec<Done>,
        end: bool,
    ) {
        let event = self.events;
        if self.times.len() == event {
            self.times.push(time);
        }
        self.events += 1;
        self.last.clone_from(&values);
        self.coming.push_back(Here { time, step, event, at_event: true, end, values, before, done });
    }

    /// Passes the next event that the run has come to; false if there is none.
    fn enter(&mut self) -> bool {
        match self.coming.pop_front() {
            Some(here) => {
                self.here = here;
                true
            }
            None => false,
        }
    }
}
