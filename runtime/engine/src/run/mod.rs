//! One simulation: a program from its start to its end.
//!
//! The order of things at one instant is that of the language: samples up to and at the instant are rows of the left
//! limit; then come scenario actions, then relations take their right limits and everything is solved again until
//! nothing changes; then the integrator begins anew and a row of the right limit is recorded.
//!
//! Rows are taken from the integrator's dense output, so recording never changes a step. The engine reads no clock:
//! the host's watcher is asked after every step whether to go on.

mod block;
mod failure;
mod history;
mod host;
mod machine;
mod manifold;
mod plan;
mod report;
mod sparse;
mod system;
mod table;

pub use block::BlockFailure;
pub use machine::{MachineKind, lazy_machine, machine, machine_text, parameters};
pub use plan::{DEFAULT_PERIODS, Plan, Rate, plans, usual};
pub use report::{Ended, Failure, FailureKind, Report};

use twinml_model::host::{KernelId, Machine, Memory};
use twinml_model::ids::OriginId;
use twinml_model::ir::{Space, Trap};
use twinml_model::program::{Experiment, Program};
use twinml_solvers::error::SolveError;
use twinml_solvers::integrator::{self, Integrator, Method, Options, Tolerances};
use twinml_solvers::roots::RootFinder;
use twinml_solvers::system::{EvalError, System};

use crate::record::{RecordError, Recorder};
use system::{Fused, KernelSystem, origin_of};

/// Rounds in which relations may settle.
const ROUNDS: u32 = 20;
/// Firings of one relation without time going on that are a Zeno error.
const ZENO: u32 = 1000;
/// How often a crossing whose comparison has not changed is looked at a little later, each time twice as far.
const NUDGES: i32 = 16;

/// `t`, moved on by `2^(n − 1)` roundings.
fn nudged(t: f64, n: i32) -> f64 {
    if n == 0 { t } else { t + t.abs().max(f64::MIN_POSITIVE) * f64::EPSILON * f64::from(1 << (n - 1)) }
}

/// Default tolerances.
pub const RTOL: f64 = 1e-6;
/// Default absolute tolerance, in each state's SI unit times its nominal magnitude.
pub const ATOL: f64 = 1e-9;

/// What the host says to a running simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Finish what is recorded and end.
    Stop,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Simulated time in seconds.
    pub time: f64,
    /// Accepted steps.
    pub steps: u64,
}

/// A plan with the recorder that takes its rows.
pub struct Outlet {
    /// What and when.
    pub plan: Plan,
    /// Where to.
    pub recorder: Box<dyn Recorder>,
}

/// What keeps a simulation from being begun, or its rows from being kept.
#[derive(Debug)]
pub enum RunError {
    /// There is no solver of this name.
    Method {
        /// The name.
        name: String,
    },
    /// The solver refuses its options.
    Options(SolveError),
    /// A recorder failed.
    Record(RecordError),
    /// The program has handlers or machines, which this engine does not run.
    Behavior,
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RunError::Method { name } => {
                let names: Vec<&str> = Method::ALL.iter().map(|m| m.name()).collect();
                write!(f, "there is no solver `{name}`; there are {}", names.join(", "))
            }
            RunError::Options(error) => write!(f, "{error}"),
            RunError::Record(error) => write!(f, "{error}"),
            RunError::Behavior => write!(f, "this engine does not run behaviour yet"),
        }
    }
}

impl std::error::Error for RunError {}

impl From<RecordError> for RunError {
    fn from(error: RecordError) -> RunError {
        RunError::Record(error)
    }
}

/// The solver and options of an experiment.
///
/// # Errors
///
/// [`RunError::Method`], [`RunError::Options`].
pub fn solver(program: &Program, experiment: &Experiment) -> Result<(Method, Options), RunError> {
    let spec = &experiment.solver;
    let name = if spec.method.is_empty() { "auto" } else { &spec.method };
    let Some(method) = Method::from_name(name) else {
        return Err(RunError::Method { name: name.to_owned() });
    };
    let atol = match spec.atol {
        Some(atol) => vec![atol],
        // Where nothing is said, a state's typical magnitude scales its tolerance.
        None => {
            let nominal = host::nominals(program);
            let states = nominal.into_iter().find(|(space, _)| *space == Space::State);
            let scale =
                |(_, values): (Space, Vec<f64>)| values.iter().map(|v| ATOL * v).collect::<Vec<f64>>();
            states.map(scale).filter(|a| !a.is_empty()).unwrap_or_else(|| vec![ATOL])
        }
    };
    let mut options = Options {
        tolerances: Tolerances { rtol: spec.rtol.unwrap_or(RTOL), atol },
        h: spec.step,
        ..Options::default()
    };
    if let Some(h_max) = spec.max_step {
        options.h_max = h_max;
    }
    if let Some(max_steps) = spec.max_steps {
        options.max_steps = max_steps;
    }
    if method.fixed_step() && options.h.is_none() && experiment.duration > 0.0 {
        options.h = Some(experiment.duration / DEFAULT_PERIODS as f64);
    }
    options.check(method).map_err(RunError::Options)?;
    Ok((method, options))
}

/// Runs an experiment to its end, recording into `outlets`. The machine must be of the same program; the actions of
/// the experiment are added to it.
///
/// # Errors
///
/// [`RunError`] when the run cannot be begun or a recorder fails. A simulation that fails is no error of this
/// function: see [`Report::ended`]; what was recorded is then complete up to the failure.
pub fn simulate(
    program: &Program,
    machine: &mut dyn Machine,
    experiment: &Experiment,
    outlets: Vec<Outlet>,
    watch: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Report, RunError> {
    let (method, options) = solver(program, experiment)?;
    // Never a run that leaves handlers out in silence.
    if !program.behavior.handlers.is_empty() || !program.behavior.machines.is_empty() {
        return Err(RunError::Behavior);
    }
    // Without states there is nothing to integrate; the library's methods want at least one.
    let at_work = if program.sizes.state == 0 && !method.fixed_step() { Method::Tsit5 } else { method };
    let integrator = integrator::make(at_work, &options).map_err(RunError::Options)?;
    let actions: Vec<(f64, KernelId)> = experiment
        .actions
        .iter()
        .map(|action| (plan::seconds(action.time_ns), machine.add(action.kernel.clone())))
        .collect();
    let fused = match (method, options.h) {
        (Method::Rk4, Some(h)) if program.kept.is_none() => {
            Fused::new(program, machine, 0.0, h.min(options.h_max))
        }
        _ => None,
    };
    let manifold = manifold::Manifold::new(program, machine, &options);
    let mut run = Run::new(program, &*machine, experiment, integrator, actions, outlets);
    run.manifold = manifold;
    run.system.fused = fused;
    let ended = match run.whole(watch) {
        Ok(ended) => ended,
        Err(Stop::Failed(failure)) => Ended::Failed(failure),
        Err(Stop::Record(error)) => return Err(RunError::Record(error)),
    };
    run.finish(method, ended)
}

/// Why the loop was left.
enum Stop {
    Failed(Box<Failure>),
    Record(RecordError),
}

impl From<RecordError> for Stop {
    fn from(error: RecordError) -> Stop {
        Stop::Record(error)
    }
}

/// An outlet and how far it is.
struct Sink {
    outlet: Outlet,
    next: u64,
    next_time: f64,
    row: Vec<f64>,
    /// Time and step of the last row.
    last: Option<(f64, u64)>,
}

struct Run<'a> {
    system: KernelSystem<'a>,
    manifold: Option<manifold::Manifold<'a>>,
    integrator: Box<dyn Integrator>,
    roots: RootFinder,
    end: f64,
    actions: Vec<(f64, KernelId)>,
    next_action: usize,
    /// Instants that no step passes, in order.
    stops: Vec<f64>,
    sinks: Vec<Sink>,
    samples: u64,
    events: u64,
    time: f64,
    /// Time and micro-step of the last event.
    micro: (f64, u64),
    /// Since when each root function fires without time going on, and how often.
    firing: Vec<(f64, u32)>,
    x: Vec<f64>,
    started: bool,
    tables_of_time: Vec<usize>,
}

impl<'a> Run<'a> {
    fn new(
        program: &'a Program,
        machine: &'a dyn Machine,
        experiment: &Experiment,
        integrator: Box<dyn Integrator>,
        actions: Vec<(f64, KernelId)>,
        outlets: Vec<Outlet>,
    ) -> Run<'a> {
        let system = KernelSystem::new(program, machine, Memory::new(program));
        let end = experiment.duration;
        let sink = |outlet: Outlet| Sink {
            next: 0,
            next_time: outlet.plan.rate.instant(0, end),
            row: vec![0.0; outlet.plan.columns().cells()],
            last: None,
            outlet,
        };
        let tables = program.tables.iter().enumerate();
        Run {
            roots: RootFinder::new(system.dim(), system.n_roots()),
            firing: vec![(f64::NEG_INFINITY, 0); system.n_roots()],
            x: vec![0.0; system.dim()],
            sinks: outlets.into_iter().map(sink).collect(),
            tables_of_time: tables.filter(|(_, t)| t.of_time).map(|(k, _)| k).collect(),
            manifold: None,
            system,
            integrator,
            end,
            actions,
            next_action: 0,
            stops: experiment.stops.iter().map(|t| plan::seconds(*t)).collect(),
            samples: 0,
            events: 0,
            time: 0.0,
            micro: (f64::NAN, 0),
            started: false,
        }
    }

    /// From the start to the end.
    fn whole(&mut self, watch: &mut dyn FnMut(Progress) -> Flow) -> Result<Ended, Stop> {
        self.initialize()?;
        self.samples_up_to(0.0)?;
        if self.time >= self.end {
            return Ok(Ended::Complete);
        }
        let stop = self.next_stop();
        let x = std::mem::take(&mut self.x);
        let started = self.integrator.start(&mut self.system, 0.0, &x, stop);
        self.x = x;
        started.map_err(|e| self.solver_failure(e))?;
        self.started = true;
        self.arm(0.0)?;
        loop {
            let next = self.sinks.iter().map(|s| s.next_time).fold(f64::INFINITY, f64::min);
            if self.manifold.is_none() {
                self.integrator.skip_to(next);
            }
            if let Err(error) = self.integrator.step(&mut self.system) {
                return Err(self.solver_failure(error));
            }
            self.after_step()?;
            if self.time >= self.end {
                return Ok(Ended::Complete);
            }
            let progress = Progress { time: self.time, steps: self.integrator.stats().steps };
            if watch(progress) == Flow::Stop {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Parameters, start values, relations.
    fn initialize(&mut self) -> Result<(), Stop> {
        self.system.memory.set_time(0.0);
        self.freeze_tables(0.0);
        self.kernel(KernelId::Params, true)?;
        // A parameter that the model itself gives as NaN may be one as long as nothing follows from it.
        let given = &self.system.program.defaults.param;
        let bad = |(k, v): (usize, &f64)| v.is_nan() && !given.get(k).is_some_and(|g| g.is_nan());
        let values = self.system.memory.space(Space::Param);
        if let Some(slot) = values.iter().enumerate().position(bad) {
            return Err(self.not_finite(Space::Param, slot));
        }
        self.kernel(KernelId::Initial, true)?;
        // Start values may follow from relations and relations from start values.
        for round in 0.. {
            self.kernel(KernelId::Update, true)?;
            let changed = self.take_next();
            if changed.is_empty() {
                break;
            }
            if round == ROUNDS {
                return Err(self.unsettled(0.0, &changed));
            }
            let disc = self.system.memory.space(Space::Disc).to_vec();
            self.kernel(KernelId::Initial, true)?;
            for relation in &self.system.program.relations {
                let slots = relation.disc as usize..(relation.disc + relation.len) as usize;
                self.system.memory.space_mut(Space::Disc)[slots.clone()].copy_from_slice(&disc[slots]);
            }
        }
        if let Some(slot) = self.system.memory.space(Space::State).iter().position(|v| !v.is_finite()) {
            return Err(self.not_finite(Space::State, slot));
        }
        self.x.copy_from_slice(self.system.memory.space(Space::State));
        self.system.host.accept(&self.system.memory);
        self.begin_on_manifold()?;
        self.kernel(KernelId::Outputs, true)?;
        self.system.host.accept(&self.system.memory);
        if !self.system.host.history.is_empty() {
            self.kernel(KernelId::History, true)?;
            self.system.host.history.start(self.system.memory.space(Space::Hist));
        }
        // Actions at the very start come before the first row.
        if self.act(0.0)? {
            self.settle(0.0)?;
            self.x.copy_from_slice(self.system.memory.space(Space::State));
        }
        Ok(())
    }

    /// Everything that follows from the step that the integrator has just done.
    fn after_step(&mut self) -> Result<(), Stop> {
        let (t0, t1) = (self.integrator.t_prev(), self.integrator.t());
        let mut from = t0;
        let due = self.actions.get(self.next_action).is_some_and(|(t, _)| *t <= t1);
        let timed = due || self.jump_due(t1);
        'crossings: loop {
            let crossing = if self.roots.sides().is_empty() {
                None
            } else {
                match self.roots.next(&mut self.system, &*self.integrator) {
                    Ok(crossing) => crossing,
                    Err(error) => return Err(self.solver_failure(error)),
                }
            };
            let at = match crossing {
                Some(at) => self.neat(at, from, t1)?,
                None => t1,
            };
            self.remember(from, at)?;
            // A crossing at the instant of an action or of a jump belongs to that event: it settles everything.
            if crossing.is_none() || (timed && at >= t1) {
                break;
            }
            self.samples_up_to(at)?;
            self.zeno(at)?;
            // The event function and the comparison itself may round differently: the side is then taken a few
            // roundings of time further on, where both agree.
            for nudge in 0..=NUDGES {
                let t = nudged(at, nudge).min(t1);
                if timed && t >= t1 {
                    break 'crossings;
                }
                self.integrator.interpolate(t, &mut self.x);
                if self.event(t, false)? {
                    return Ok(());
                }
                if t >= t1 {
                    break;
                }
            }
            from = at;
        }
        self.samples_up_to(t1)?;
        self.time = t1;
        self.x.copy_from_slice(self.integrator.x());
        self.system.host.accept(&self.system.memory);
        if timed {
            self.event(t1, true)?;
        } else if t1 < self.end {
            // The stop of a kink or of a delay is behind us; history is kept.
            self.freeze_tables(t1);
            self.stay(t1)?;
            let stop = self.next_stop();
            if let Err(error) = self.integrator.set_stop(stop) {
                return Err(self.solver_failure(error));
            }
        }
        Ok(())
    }

    /// An instant at which something may change: true if it did, and the integrator began anew. `timed` events are
    /// known to change something.
    fn event(&mut self, t: f64, timed: bool) -> Result<bool, Stop> {
        self.time = t;
        self.system.set(t, &self.x);
        let first = self.micro.0 != t;
        if timed {
            if first {
                self.row_everywhere(t, 0)?;
            }
            self.act(t)?;
            self.freeze_tables(t);
            self.settle(t)?;
        } else {
            let before = self.system.memory.clone();
            let mut changed = self.settle(t)?;
            if !changed {
                let x = std::mem::take(&mut self.x);
                let mut g = vec![0.0; self.roots.sides().len()];
                if self.system.roots(t, &x, &mut g).is_ok() && self.system.on_edge() {
                    changed = self.settle_ahead(t, &x)?;
                }
                self.x = x;
            }
            if !changed {
                return Ok(false);
            }
            if first {
                // The row of the left limit needs the values from before.
                let after = std::mem::replace(&mut self.system.memory, before);
                self.row_everywhere(t, 0)?;
                self.system.memory = after;
            }
        }
        self.events += 1;
        self.micro = (t, if first { 1 } else { self.micro.1 + 1 });
        self.x.copy_from_slice(self.system.memory.space(Space::State));
        self.project(t)?;
        self.row_everywhere(t, self.micro.1)?;
        if t < self.end {
            let stop = self.next_stop();
            let x = std::mem::take(&mut self.x);
            let outcome = self.integrator.restart(&mut self.system, t, &x, stop);
            self.x = x;
            outcome.map_err(|e| self.solver_failure(e))?;
            self.arm(t)?;
        }
        Ok(true)
    }

    /// Runs the scenario actions that are due; true if there were any.
    fn act(&mut self, t: f64) -> Result<bool, Stop> {
        let mut acted = false;
        while let Some(&(_, kernel)) = self.actions.get(self.next_action).filter(|(due, _)| *due <= t) {
            self.next_action += 1;
            self.kernel(kernel, false)?;
            acted = true;
        }
        if acted {
            self.kernel(KernelId::Params, false)?;
        }
        Ok(acted)
    }

    /// Brings relations and discrete values to their right limits; true if any changed.
    fn settle(&mut self, t: f64) -> Result<bool, Stop> {
        let mut any = false;
        if self.system.program.sizes.disc == 0 {
            return Ok(false);
        }
        for round in 0.. {
            self.system.host.new_point();
            self.kernel(KernelId::Update, false)?;
            let changed = self.take_next();
            if changed.is_empty() {
                break;
            }
            if round == ROUNDS {
                return Err(self.unsettled(t, &changed));
            }
            any = true;
        }
        Ok(any)
    }

    /// Copies `Next` over `Disc`; the slots that differ.
    fn take_next(&mut self) -> Vec<usize> {
        let memory = &mut self.system.memory;
        let next = memory.space(Space::Next).to_vec();
        let disc = memory.space_mut(Space::Disc);
        let differ = |(k, (new, old)): (usize, (&f64, &f64))| {
            (new.to_bits() != old.to_bits() && !(*new == 0.0 && *old == 0.0)).then_some(k)
        };
        let changed = next.iter().zip(disc.iter()).enumerate().filter_map(differ).collect();
        disc.copy_from_slice(&next);
        changed
    }

    /// Takes the sides of the root functions at `(t, x)`.
    fn arm(&mut self, t: f64) -> Result<(), Stop> {
        if self.roots.sides().is_empty() {
            return Ok(());
        }
        let x = std::mem::take(&mut self.x);
        let outcome = self.arm_at(t, &x);
        self.x = x;
        outcome
    }

    fn arm_at(&mut self, t: f64, x: &[f64]) -> Result<(), Stop> {
        self.roots.arm(&mut self.system, t, x, None).map_err(|e| self.solver_failure(e))?;
        if !self.system.on_edge() {
            return Ok(());
        }
        self.settle_ahead(t, x)?;
        self.roots.arm(&mut self.system, t, x, None).map_err(|e| self.solver_failure(e))?;
        Ok(())
    }

    /// On the edge of a cell of `floor`, where things are heading decides the cell: the right limit. True if that
    /// changed anything.
    fn settle_ahead(&mut self, t: f64, x: &[f64]) -> Result<bool, Stop> {
        let mut ahead = vec![0.0; x.len()];
        let dt = 1e-9 * self.integrator.h().min(self.end);
        if self.system.rhs(t, x, &mut ahead).is_err() {
            return Ok(false);
        }
        for (a, x) in ahead.iter_mut().zip(x) {
            *a = x + dt * *a;
        }
        self.system.set(t + dt, &ahead);
        let changed = self.settle(t)?;
        self.system.set(t, x);
        Ok(changed)
    }

    /// A crossing located to the last bits, moved to a whole nanosecond where one is within these bits and on the
    /// same sides: `time >= 30 min` switches at 30 min.
    fn neat(&mut self, at: f64, from: f64, to: f64) -> Result<f64, Stop> {
        let whole = (at * 1e9).round() / 1e9;
        let near = (whole - at).abs() <= 4.0 * f64::EPSILON * at.abs();
        if whole == at || !near || whole <= from || whole > to {
            return Ok(at);
        }
        let mut x = vec![0.0; self.x.len()];
        let mut g = vec![0.0; self.roots.sides().len()];
        self.integrator.interpolate(whole, &mut x);
        let same = self.system.roots(whole, &x, &mut g).is_ok()
            && g.iter().zip(self.roots.sides()).all(|(g, side)| (*g > 0.0) == *side);
        Ok(if same { whole } else { at })
    }

    /// Counts firings that come without time going on.
    fn zeno(&mut self, t: f64) -> Result<(), Stop> {
        let scale = 1e-9 * t.abs().max(1e-9 * self.end.abs().min(1e9));
        for crossing in self.roots.crossings() {
            let (since, count) = &mut self.firing[crossing.index];
            if t - *since <= scale {
                *count += 1;
                if *count >= ZENO {
                    let (firings, disc) = (*count, self.system.frozen(crossing.index));
                    let kind = FailureKind::Zeno { firings };
                    return Err(self.failure(t, kind, self.relations_of(&[disc])));
                }
            } else {
                (*since, *count) = (t, 1);
            }
        }
        Ok(())
    }

    /// The next instant that no step may pass.
    fn next_stop(&self) -> f64 {
        let now = self.time;
        let mut stop = self.end;
        if let Some((t, _)) = self.actions.get(self.next_action) {
            stop = stop.min(*t);
        }
        if let Some(t) = self.stops.get(self.stops.partition_point(|t| *t <= now)) {
            stop = stop.min(*t);
        }
        for &k in &self.tables_of_time {
            let table = &self.system.host.tables[k];
            if table.has_kinks() {
                stop = stop.min(table.next_kink(now));
            }
        }
        let history = &self.system.host.history;
        if !history.is_empty() {
            // Looking back into the step itself is avoided; delays that are next to nothing are not.
            let shortest = history.shortest();
            if shortest > 1e-6 * self.end {
                stop = stop.min(now + shortest);
            }
        }
        if stop > now { stop } else { self.end }
    }

    /// Whether the value of a table of time jumps at `t`.
    fn jump_due(&self, t: f64) -> bool {
        let tables = &self.system.host.tables;
        self.tables_of_time.iter().any(|&k| tables[k].jumps() && tables[k].leaves_piece(t))
    }

    /// Moves tables of time to the piece that begins at `t`.
    fn freeze_tables(&mut self, t: f64) {
        for &k in &self.tables_of_time {
            self.system.host.tables[k].freeze(t);
        }
    }

    /// Keeps the signals of `from..to` of the last step for `delay`.
    fn remember(&mut self, from: f64, to: f64) -> Result<(), Stop> {
        if self.system.host.history.is_empty() || to <= from {
            return Ok(());
        }
        let mut values =
            Vec::with_capacity(history::POINTS.len() * self.system.memory.space(Space::Hist).len());
        for part in history::POINTS {
            let t = if part == 1.0 { to } else { from + part * (to - from) };
            self.point(t);
            self.kernel(KernelId::History, false)?;
            values.extend_from_slice(self.system.memory.space(Space::Hist));
        }
        self.system.host.history.push(from, to, &values);
        Ok(())
    }

    /// Puts the dense output at `t` into memory.
    fn point(&mut self, t: f64) {
        self.system.memory.set_time(t);
        self.integrator.interpolate(t, self.system.memory.space_mut(Space::State));
        self.system.host.new_point();
    }

    /// Records the regular instants up to and at `limit`.
    fn samples_up_to(&mut self, limit: f64) -> Result<(), Stop> {
        loop {
            let next = self.sinks.iter().map(|s| s.next_time).fold(f64::INFINITY, f64::min);
            if !(next <= limit && next <= self.end) {
                return Ok(());
            }
            if self.started {
                self.point(next);
            }
            if self.sinks.iter().any(|s| s.next_time <= next && s.outlet.plan.needs_outputs()) {
                self.kernel(KernelId::Outputs, false)?;
            }
            for sink in &mut self.sinks {
                if sink.next_time > next {
                    continue;
                }
                // An instant whose events were just recorded has its rows already.
                if sink.last.is_none_or(|(t, _)| t != next) {
                    sink.write(self.system.memory.data(), next, 0)?;
                }
                self.samples += 1;
                sink.next += 1;
                sink.next_time = match sink.outlet.plan.rate {
                    Rate::Parts(n) if sink.next > n => f64::INFINITY,
                    rate => rate.instant(sink.next, self.end),
                };
            }
        }
    }

    /// A row in every file, of memory as it stands.
    fn row_everywhere(&mut self, t: f64, step: u64) -> Result<(), Stop> {
        if self.sinks.iter().any(|s| s.outlet.plan.needs_outputs()) {
            self.system.host.new_point();
            self.kernel(KernelId::Outputs, false)?;
        }
        for sink in &mut self.sinks {
            if sink.last != Some((t, step)) {
                sink.write(self.system.memory.data(), t, step)?;
            }
        }
        Ok(())
    }

    /// Runs a kernel at an accepted point, where a trap is the end.
    fn kernel(&mut self, kernel: KernelId, initial: bool) -> Result<(), Stop> {
        match self.system.run(kernel) {
            Ok(()) => Ok(()),
            Err(trap) => {
                let t = self.system.memory.time();
                Err(self.trapped(t, trap, initial))
            }
        }
    }

    fn finish(self, method: Method, ended: Ended) -> Result<Report, RunError> {
        let mut files = Vec::with_capacity(self.sinks.len());
        let mut last = Vec::with_capacity(self.sinks.len());
        for sink in self.sinks {
            last.push(if sink.last.is_some() { sink.row } else { Vec::new() });
            files.push(sink.outlet.recorder.finish()?);
        }
        Ok(Report {
            ended,
            time: self.time,
            samples: self.samples,
            events: self.events,
            method,
            choice: self.integrator.choice(),
            stats: *self.integrator.stats(),
            files,
            last,
        })
    }
}

impl Sink {
    fn write(&mut self, data: &[f64], t: f64, step: u64) -> Result<(), RecordError> {
        self.outlet.plan.fill(data, step, &mut self.row);
        self.last = Some((t, step));
        self.outlet.recorder.row(&self.row)
    }
}
