//! One simulation: a program from its start to its end.
//!
//! The order of things at one instant is that of the language: samples up to and at the instant are rows of the left
//! limit; then come scenario actions, then relations take their right limits and everything is solved again until
//! nothing changes; then the integrator begins anew and a row of the right limit is recorded.
//!
//! Rows are taken from the integrator's dense output, so recording never changes a step. The engine reads no clock:
//! the host's watcher is asked after every step whether to go on.

mod again;
mod behave;
mod block;
mod branch;
mod clamps;
mod decided;
mod failure;
mod fleet;
mod follow;
mod forward;
mod fused;
mod glance;
mod history;
mod host;
mod instant;
mod keep;
mod limits;
mod log;
mod lookup;
mod machine;
mod manifold;
mod numbers;
mod observe;
mod plan;
mod prepared;
mod ranges;
mod reads;
mod report;
mod sample;
mod sides;
mod sparse;
mod start;
mod still;
mod stops;
mod system;
mod table;
mod trunk;
mod walk;
mod whole;
mod work;
mod zeno;

pub use again::{Again, Difference, difference, same, was_logged};
pub use block::BlockFailure;
pub use fleet::{Apart, Fleet, Fork, LaneShare, Next, Port, Steps};
pub use forward::{Forward, ForwardError, NotSmooth, Observed, Traced};
pub use keep::{Change, Keep, Onward, ResumeError, Take, memory_of, remembered};
pub use log::OpenLog;
pub use machine::{MachineKind, lazy_machine, machine, machine_text, parameters};
pub use numbers::Blank;
pub use plan::{DEFAULT_PERIODS, Plan, Rate, plans, slots, slots_at, usual};
pub use prepared::{Prepared, Sample};
pub use report::{Broken, Ended, Failure, FailureKind, MOST_BROKEN, Report};
pub use trunk::{Prelude, shares};
pub use walk::{Done, Here, Walk, WalkError, Watched};

use sample::FEWEST;
use twinml_model::behavior::{Behavior, Trigger};
use twinml_model::host::{KernelId, Machine, Memory};
use twinml_model::ids::OriginId;
use twinml_model::ir::{Space, Trap};
use twinml_model::passes::taylor::Unfit;
use twinml_model::program::{Experiment, Program};
use twinml_solvers::error::SolveError;
use twinml_solvers::integrator::{self, Integrator, Method, Options, Tolerances};
use twinml_solvers::rk::fixed::KEPT;
use twinml_solvers::roots::RootFinder;
use twinml_solvers::system::{EvalError, System};

use crate::behavior::{Changed, Scheduler};
use crate::record::{RecordError, Recorder};
use follow::Way;
use fused::Fused;
use instant::{Cause, Effect};
use system::{KernelSystem, first_stored, origin_of};

/// Rounds in which relations may settle.
const ROUNDS: u32 = 20;
/// Relative distance of an instant and a point of a solver's grid that are the same but for roundings.
const ROUNDING: f64 = 4.0 * f64::EPSILON;
/// How often a crossing whose comparison has not changed is looked at a little later, each time twice as far.
const NUDGES: i32 = 16;

/// `t`, moved on by `2^(n − 1)` roundings.
fn nudged(t: f64, n: i32) -> f64 {
    if n == 0 { t } else { t + t.abs().max(f64::MIN_POSITIVE) * f64::EPSILON * f64::from(1 << (n - 1)) }
}

/// Steps of a run without states in which relations of time are looked for.
const STILL_STEPS: f64 = 128.0;

/// Default tolerances.
pub const RTOL: f64 = 1e-6;
/// Default absolute tolerance, in each state's SI unit times its nominal magnitude; where the relative one is given and
/// smaller than its default, smaller in proportion.
pub const ATOL: f64 = 1e-9;

/// Whether handlers listen to comparisons, or what is integrated depends on one: then the instants of events are results.
fn events_matter(program: &Program) -> bool {
    let blocks = program.blocks.iter().map(|b| &b.residual);
    let kernels = [&program.rhs, &program.history].into_iter().chain(blocks);
    let reads = reads::Reads::of(kernels, Space::Disc, program.sizes.disc as usize);
    let integrated =
        |r: &twinml_model::program::Relation| (r.disc..r.disc + r.len).any(|d| reads.has(d as usize));
    !program.relations.is_empty()
        && (!program.behavior.watches.is_empty() || program.relations.iter().any(integrated))
}

/// The part of the tolerance that a solver works with where events are located. An instant is as exact as the states are
/// there, over how fast they move: errors that add up over the steps to many times the tolerance, which nobody sees in
/// a state, show in it. The parts are measured on `tests/hybrid`: with them an event's time keeps the relative tolerance.
fn sharpness(method: Method, rtol: f64) -> f64 {
    let part: f64 = match method {
        Method::Euler | Method::Rk4 | Method::ImplicitEuler | Method::Trbdf2 | Method::Milstein => 1.0,
        Method::Tsit5 | Method::Dopri5 | Method::Taylor | Method::Adams | Method::Auto => 0.1,
        Method::Rosenbrock | Method::Bdf | Method::DiffsolBdf => 0.02,
        Method::Esdirk => 1e-3,
    };
    // Roundings are not made smaller by a smaller tolerance.
    part.max((SHARPEST / rtol).min(1.0))
}

/// No solver is asked for a smaller relative tolerance because of events.
const SHARPEST: f64 = 1e-13;

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
    /// The model is stochastic and the solver is for ordinary differential equations.
    Stochastic {
        /// The solver.
        method: Method,
    },
    /// The solver refuses its options.
    Options(SolveError),
    /// The model has no Taylor series.
    Taylor(Unfit),
    /// A recorder failed.
    Record(RecordError),
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RunError::Method { name } => {
                let names: Vec<&str> = Method::ALL.iter().map(|m| m.name()).collect();
                write!(f, "there is no solver `{name}`; there are {}", names.join(", "))
            }
            RunError::Stochastic { method } => {
                write!(f, "`{}` cannot solve a model with white noise", method.name())
            }
            RunError::Options(error) => write!(f, "{error}"),
            RunError::Taylor(why) => write!(
                f,
                "`taylor` needs equations whose Taylor series can be written down: of these, {why}; `tsit5` and `adams` take \
                 any"
            ),
            RunError::Record(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for RunError {}

impl From<RecordError> for RunError {
    fn from(error: RecordError) -> RunError {
        RunError::Record(error)
    }
}

/// The solver and options of an experiment. For a model with white noise `auto` is `euler`.
///
/// # Errors
///
/// [`RunError::Method`], [`RunError::Stochastic`], [`RunError::Options`].
pub fn solver(program: &Program, experiment: &Experiment) -> Result<(Method, Options), RunError> {
    let spec = &experiment.solver;
    let name = if spec.method.is_empty() { "auto" } else { &spec.method };
    let Some(method) = Method::from_name(name) else {
        return Err(RunError::Method { name: name.to_owned() });
    };
    let stochastic = !program.noise.is_empty();
    let method = if stochastic && method == Method::Auto { Method::Euler } else { method };
    if stochastic && !method.stochastic() {
        return Err(RunError::Stochastic { method });
    }
    let rtol = spec.rtol.unwrap_or(RTOL);
    let atol = match spec.atol {
        Some(atol) => vec![atol],
        // Where nothing is said, a state's typical magnitude scales its tolerance.
        None => {
            let least = ATOL.min(rtol * (ATOL / RTOL));
            let nominal = host::nominals(program);
            let states = nominal.into_iter().find(|(space, _)| *space == Space::State);
            let scale =
                |(_, values): (Space, Vec<f64>)| values.iter().map(|v| least * v).collect::<Vec<f64>>();
            states.map(scale).filter(|a| !a.is_empty()).unwrap_or_else(|| vec![least])
        }
    };
    let mut options = Options { tolerances: Tolerances { rtol, atol }, h: spec.step, ..Options::default() };
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
    simulate_logged(program, machine, experiment, outlets, None, watch)
}

/// [`simulate`] with a log of events: a row for everything that an instant changed, with the columns `time`, `step`,
/// `path`, `event`, `kind`, `pre` and `post`. `log` is called at the first event, if there is one.
///
/// # Errors
///
/// As [`simulate`]; [`RunError::Record`] also where the log fails.
pub fn simulate_logged(
    program: &Program,
    machine: &mut dyn Machine,
    experiment: &Experiment,
    outlets: Vec<Outlet>,
    log: Option<OpenLog<'_>>,
    watch: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Report, RunError> {
    let prepared = Prepared::new(program, machine, experiment)?;
    prepared.run(program, &*machine, experiment, None, outlets, log, watch)
}

/// Why the loop was left.
enum Stop {
    Failed(Box<Failure>),
    Record(RecordError),
    /// A range that says `else stop` was left at `Run::time`.
    Range,
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
    /// Rows so far; of these the first so many were handed on by the run that this one goes on from.
    rows: u64,
    mute: u64,
}

struct Run<'a> {
    system: KernelSystem<'a>,
    manifold: Option<manifold::Manifold<'a>>,
    behavior: Option<Scheduler<'a>>,
    /// `stop` was reached, with its reason.
    halted: Option<Option<String>>,
    observer: Option<observe::Observer>,
    /// It ends once all its verdicts are decided.
    until_decided: bool,
    integrator: Box<dyn Integrator>,
    roots: RootFinder,
    ranges: ranges::Ranges,
    clamps: clamps::Clamps,
    end: f64,
    actions: Vec<(f64, KernelId)>,
    /// What each of them sends: codes of behaviour.
    sends: Vec<Vec<twinml_model::behavior::CodeId>>,
    next_action: usize,
    /// What a branch changes, in the order of time.
    changes: Vec<Change>,
    next_change: usize,
    /// The length of the run that recordings in parts divide.
    span: f64,
    /// Where everything was looked at last, and rows that hold what is no number elsewhere.
    looked: f64,
    marked: bool,
    /// It is a sample of a job: rows only tell.
    of_job: bool,
    blank: Option<Blank>,
    /// Instants that no step passes, in order.
    stops: Vec<f64>,
    sinks: Vec<Sink>,
    samples: u64,
    /// Instants of rows that the step at hand may keep the states of, and how many steps they may be at most.
    asked: Vec<f64>,
    at_once: u64,
    /// The most that they may be.
    at_once_most: u64,
    events: u64,
    time: f64,
    /// Time and micro-step of the last event.
    micro: (f64, u64),
    /// Firings of each root function without time going on.
    firing: Vec<zeno::Firing>,
    /// What the instant at hand has changed.
    journal: instant::Journal,
    log: Option<log::Log<'a>>,
    scratch_journal: instant::Journal,
    /// Scratch: what behaviour is told of an instant.
    changed: Vec<Changed>,
    /// Discrete slots that integration depends on, and those that root functions do.
    rhs_reads: reads::Reads,
    root_reads: reads::Reads,
    /// The same for inputs.
    rhs_inputs: reads::Reads,
    root_inputs: reads::Reads,
    /// What values that handlers read depend on: of discrete values, inputs and states.
    outputs_read: [reads::Reads; 3],
    x: Vec<f64>,
    /// Scratch: a direction or a point ahead, root functions, signals for `delay`.
    heading: Vec<f64>,
    g: Vec<f64>,
    signals: Vec<f64>,
    started: bool,
    /// Whether the last instant found the state heading back to a surface from both of its sides.
    sliding: bool,
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
            next_time: outlet.plan.instant(0, end),
            row: vec![0.0; outlet.plan.columns().cells()],
            last: None,
            rows: 0,
            mute: 0,
            outlet,
        };
        let tables = program.tables.iter().enumerate();
        let blocks = program.blocks.iter().map(|b| &b.residual);
        let (discs, inputs) = (program.sizes.disc as usize, program.sizes.input as usize);
        let integrated = [&program.rhs, &program.history, &program.projection].into_iter();
        let integrated = || integrated.clone().chain(blocks.clone());
        let shown = || [&program.outputs].into_iter().chain(blocks.clone());
        let watched = || [&program.roots].into_iter().chain(blocks.clone());
        Run {
            journal: instant::Journal::new(discs),
            log: None,
            scratch_journal: instant::Journal::new(discs),
            changed: Vec::new(),
            rhs_reads: reads::Reads::of(integrated(), Space::Disc, discs),
            root_reads: reads::Reads::of(watched(), Space::Disc, discs),
            rhs_inputs: reads::Reads::of(integrated(), Space::Input, inputs),
            root_inputs: reads::Reads::of(watched(), Space::Input, inputs),
            outputs_read: [(Space::Disc, discs), (Space::Input, inputs), (Space::State, system.dim())]
                .map(|(space, slots)| reads::Reads::of(shown(), space, slots)),
            heading: vec![0.0; system.dim()],
            g: vec![0.0; system.n_roots()],
            signals: Vec::new(),
            roots: RootFinder::new(system.dim(), system.n_roots()).with_cells(|i| system.is_cell(i)),
            ranges: ranges::Ranges::new(program, system.n_roots()),
            clamps: clamps::Clamps::new(program),
            firing: vec![zeno::Firing::NONE; system.n_roots()],
            x: vec![0.0; system.dim()],
            sinks: outlets.into_iter().map(sink).collect(),
            tables_of_time: tables.filter(|(_, t)| t.of_time).map(|(k, _)| k).collect(),
            manifold: None,
            behavior: None,
            halted: None,
            observer: None,
            until_decided: false,
            system,
            integrator,
            end,
            actions,
            sends: experiment.actions.iter().map(|a| a.sends.clone()).collect(),
            next_action: 0,
            changes: Vec::new(),
            next_change: 0,
            span: end,
            looked: 0.0,
            marked: true,
            of_job: false,
            blank: None,
            stops: experiment.stops.iter().map(|t| plan::seconds(*t)).collect(),
            samples: 0,
            asked: Vec::new(),
            at_once: FEWEST,
            at_once_most: FEWEST,
            events: 0,
            time: 0.0,
            micro: (f64::NAN, 0),
            started: false,
            sliding: false,
        }
    }

    /// From the start to the end.
    fn whole(
        &mut self,
        keeper: Option<keep::Keeper<'_>>,
        watch: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Ended, Stop> {
        match self.begin()? {
            Some(ended) => Ok(ended),
            None => self.rest_of_it(keeper, watch),
        }
    }

    /// From a step to the end.
    fn rest_of_it(
        &mut self,
        mut keeper: Option<keep::Keeper<'_>>,
        watch: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Ended, Stop> {
        // A snapshot lies between calls of the solver: whoever takes any wants them near their instants.
        if keeper.is_none() {
            (self.at_once, self.at_once_most) = (KEPT[0], KEPT[0]);
        }
        loop {
            if let Some(k) = &mut keeper {
                k.before(self);
            }
            let ended = self.advance(watch)?;
            if let Some(k) = &mut keeper {
                k.after(self)?;
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// All before the first step; how the run ended, where that is all.
    fn begin(&mut self) -> Result<Option<Ended>, Stop> {
        self.initialize()?;
        self.all_numbers(0.0)?;
        self.samples_up_to(0.0, 0.0)?;
        if self.observer.is_some() {
            self.kernel(KernelId::Outputs, false)?;
            self.observe_now(0.0);
        }
        if self.time >= self.end || self.halted.is_some() {
            self.end_behavior()?;
            return Ok(Some(Ended::Complete));
        }
        self.find_loops(0.0)?;
        let (stop, horizon) = (self.next_stop(), self.horizon());
        self.integrator.set_end(self.end);
        let started = self.integrator.start(&mut self.system, 0.0, &self.x, horizon);
        let started = started.and_then(|()| self.integrator.set_stop(stop));
        started.map_err(|e| self.solver_failure(e))?;
        self.started = true;
        self.arm(0.0)?;
        Ok(None)
    }

    /// One step of the integrator and what follows from it; how the run ended, where it did.
    fn advance(&mut self, watch: &mut dyn FnMut(Progress) -> Flow) -> Result<Option<Ended>, Stop> {
        if self.manifold.is_none() && self.observer.is_none() {
            self.ask();
        }
        if let Err(error) = self.integrator.step(&mut self.system) {
            return Err(self.step_failure(error));
        }
        self.landed(watch)
    }

    /// What follows from the step that the integrator has done; how the run ended, where it did.
    fn landed(&mut self, watch: &mut dyn FnMut(Progress) -> Flow) -> Result<Option<Ended>, Stop> {
        self.hold_within()?;
        let outcome = self.after_step();
        self.system.glance.clear();
        outcome?;
        if self.time >= self.end || self.halted.is_some() {
            self.end_behavior()?;
            self.numbers_at_the_end()?;
            return Ok(Some(Ended::Complete));
        }
        if self.until_decided && self.observer.as_mut().is_some_and(observe::Observer::decided) {
            return Ok(Some(Ended::Decided));
        }
        let progress = Progress { time: self.time, steps: self.integrator.stats().steps };
        Ok((watch(progress) == Flow::Stop).then_some(Ended::Stopped))
    }

    /// The next regular instant of any file.
    fn next_sample(&self) -> f64 {
        self.sinks.iter().map(|s| s.next_time).fold(f64::INFINITY, f64::min)
    }

    /// Everything that follows from the step that the integrator has just done.
    fn after_step(&mut self) -> Result<(), Stop> {
        let (t0, t1) = (self.integrator.t_prev(), self.integrator.t());
        self.system.rest_before(&*self.integrator);
        let mut from = t0;
        let due = self.actions.get(self.next_action).is_some_and(|(t, _)| *t <= t1)
            || self.next_changed().is_some_and(|t| t <= t1);
        let timed = due || self.jump_due(t1) || self.timer_due(t1);
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
                Some(at) => self.neat(at, from, t1),
                None => t1,
            };
            self.observe(from, at)?;
            self.confirm(at)?;
            // A crossing at the instant of an action or of a jump belongs to that event: it settles everything.
            if crossing.is_none() || (timed && at >= t1) {
                break;
            }
            self.samples_up_to(at, self.roots.before().min(at))?;
            self.zeno(at)?;
            if self.ranges.only(self.roots.crossings()) {
                self.time = at;
                self.integrator.interpolate(at, &mut self.x);
                self.judge(at, false)?;
                from = at;
                continue;
            }
            // The event function and the comparison itself may round differently: the side is then taken a few
            // roundings of time further on, where both agree.
            let (mut to, mut none) = (at, false);
            for nudge in 0..=NUDGES {
                let t = nudged(at, nudge).min(t1);
                if timed && t >= t1 {
                    break 'crossings;
                }
                self.integrator.interpolate(t, &mut self.x);
                to = t;
                let effect = self.instant(t, Cause::Crossing)?;
                none = effect == Effect::Nothing;
                match effect {
                    Effect::Restart => return Ok(()),
                    Effect::Beside if !self.at_odds() => break,
                    Effect::Beside => {}
                    Effect::Nothing if t >= t1 => break,
                    Effect::Nothing => {}
                }
            }
            if none && !self.sliding {
                self.roots.retract(|i| self.system.watched(i));
            }
            from = to;
        }
        // An instant just behind a point of the solver's grid is that point, rounded otherwise.
        let reached = if timed { t1 } else { t1 + ROUNDING * t1.abs() };
        self.samples_up_to(reached, reached)?;
        self.time = t1;
        self.x.copy_from_slice(self.integrator.x());
        let outcome = self.system.step_on(t1, &self.x, &mut Way::Step(&*self.integrator));
        outcome.map_err(|trap| self.trapped(t1, trap, false))?;
        if timed {
            self.instant(t1, Cause::Due)?;
        } else if t1 < self.end {
            self.numbers_at_a_mark()?;
            // The stop of a kink or of a delay is behind us; history is kept.
            self.freeze_tables(t1);
            self.stay(t1)?;
            let (stop, horizon) = (self.next_stop(), self.horizon());
            if let Err(error) = self.integrator.set_stop(stop) {
                return Err(self.solver_failure(error));
            }
            self.integrator.set_horizon(horizon);
        }
        Ok(())
    }

    /// Runs a kernel at an accepted point, where a trap is the end.
    fn kernel(&mut self, kernel: KernelId, initial: bool) -> Result<(), Stop> {
        match self.run_within(kernel) {
            Ok(()) => Ok(()),
            Err(trap) => {
                let t = self.system.memory.time();
                Err(self.trapped(t, trap, initial))
            }
        }
    }

    /// The same; loops that have to be followed go the way of the last step.
    fn run_within(&mut self, kernel: KernelId) -> Result<(), Trap> {
        let sys = &mut self.system;
        if !sys.follows() {
            return sys.run(kernel);
        }
        let t = sys.memory.time();
        let within = t > self.integrator.t_prev() && t <= self.integrator.t();
        sys.run_along(kernel, &mut if within { Way::Step(&*self.integrator) } else { Way::Straight })
    }

    /// The micro-step of rows at the present time.
    fn step_now(&self) -> u64 {
        if self.micro.0 == self.time { self.micro.1 } else { 0 }
    }

    fn finish(mut self, method: Method, ended: Ended) -> Result<Report, RunError> {
        let failed = matches!(ended, Ended::Failed(_));
        // A model that says `stop` ends its run there: what is left open are windows with ends.
        let complete = matches!(ended, Ended::Complete | Ended::Halted(_));
        let concluded = self.conclude(complete, failed);
        let mut files = Vec::with_capacity(self.sinks.len());
        let mut last = Vec::with_capacity(self.sinks.len());
        for sink in self.sinks {
            last.push(if sink.last.is_some() { sink.row } else { Vec::new() });
            files.push(sink.outlet.recorder.finish()?);
        }
        let log = self.log.map_or(Ok(None), log::Log::finish)?;
        Ok(Report {
            log,
            ended,
            time: self.time,
            samples: self.samples,
            events: self.events,
            method,
            choice: self.integrator.choice(),
            stats: *self.integrator.stats(),
            files,
            broken: self.ranges.list,
            broken_total: self.ranges.total,
            blank: self.blank,
            last,
            said: self.behavior.as_ref().map_or(0, |s| s.said),
            logs: self.behavior.map_or_else(Vec::new, |s| s.logs),
            verdicts: concluded.verdicts,
            kpis: concluded.kpis,
            held_rows: concluded.peak as u64,
        })
    }
}
