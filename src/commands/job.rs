//! One scenario on its way from a file to a finished run: what `run` and `test` share.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use twinml_compiler::driver::{Branch, Choice, Compiled, DEFAULT_DURATION, Session, Wish};
use twinml_compiler::flat::System;
use twinml_compiler::schedule::Structure;
use twinml_engine::ensemble::plan;
use twinml_engine::provenance::Part;
use twinml_engine::run::{
    self, Ended, FailureKind, Flow, Keep, MachineKind, Onward, OpenLog, Outlet, Prepared, Report,
    ResumeError, RunError,
};
use twinml_engine::snapshot::{self, State};
use twinml_model::host::Machine;
use twinml_model::passes::{self, Level, later};
use twinml_model::program::{Experiment, Program, SolverSpec};
use twinml_solvers::integrator::{Method, Options};

use super::{compile, failure, summary};
use crate::args::{Compile, Engine, Simulation};
use crate::exit::Exit;
use crate::model::{self, Data, Place};
use crate::ui::numbers::{counted, duration};
use crate::ui::{Progress, Ui, json};
use crate::world::{self, Interrupt, Stopwatch};

/// A run that is ready to begin.
pub struct Ready {
    /// The checked model.
    pub session: Session,
    /// The program.
    pub program: Arc<Program>,
    /// The scenario with all flags applied.
    pub experiment: Experiment,
    /// The solver.
    pub method: Method,
    /// Its options.
    pub options: Options,
    /// The model's hash.
    pub hash: String,
    /// What the model was made of, by hash.
    pub inputs: Vec<Part>,
    /// What snapshots hold of the model, where there are to be any.
    pub bundle: Option<Arc<snapshot::Model>>,
    /// Parameter values as a JSON object, made when first asked for.
    parameters: OnceCell<serde_json::Value>,
}

impl Ready {
    /// Parameter values as a JSON object; those of a sample's parameters are what they are without draws.
    pub fn parameters(&self) -> &serde_json::Value {
        self.parameters.get_or_init(|| summary::parameters(&self.program))
    }
}

/// A scenario that is compiled, with everything its runs need.
pub struct Job {
    /// What the trunk and its branches share.
    pub ready: Ready,
    /// The branches.
    pub branches: Vec<Branch>,
    /// What was said of the program.
    pub facts: json::Compiled,
    /// Runs the kernels.
    pub machine: Box<dyn Machine>,
    /// What compiling left over: large trees, which a process that ends here need not take apart.
    pub rest: (Structure, Option<System>),
}

/// Compiles the scenario of a checked file that `args` name, prints its diagnostics from the `heard`th on, and makes it ready to run.
/// None where an intermediate form was all that was asked.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn load(
    file: &Path,
    args: &Compile,
    flags: &Flags,
    session: Session,
    heard: usize,
    ui: &Ui,
) -> Result<Option<Job>, Exit> {
    load_as(file, args, flags, session, heard, false, ui)
}

/// As [`load`], for runs whose parameters are drawn.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn load_drawn(
    file: &Path,
    args: &Compile,
    flags: &Flags,
    session: Session,
    heard: usize,
    ui: &Ui,
) -> Result<Option<Job>, Exit> {
    load_as(file, args, flags, session, heard, true, ui)
}

fn load_as(
    file: &Path,
    args: &Compile,
    flags: &Flags,
    mut session: Session,
    heard: usize,
    drawn: bool,
    ui: &Ui,
) -> Result<Option<Job>, Exit> {
    let mut data = Data::at(&session, &flags.place, flags.keeps);
    let choice = Choice {
        scenario: args.scenario.as_deref(),
        settings: &args.sets,
        keep_system: args.emit == Some(crate::args::Emit::Flat),
    };
    let compiled = session.compile_branched(choice, &flags.wishes, &mut data);
    let said = ui.diagnostics(session.diags.iter().skip(heard), &session.sources);
    let Some(compiled) = compiled.filter(|_| said.errors == 0) else {
        ui.error_line(&format!("{}: {}", world::shown(file), counted(said.errors as u64, "error")));
        return Err(Exit::Usage);
    };
    if args.deny_warnings() && said.warnings > 0 {
        ui.error(&format!("{}, denied by `--deny warnings`", counted(said.warnings as u64, "warning")), None);
        return Err(Exit::Usage);
    }
    if compile::emit_late(&compiled, args, ui) {
        return Ok(None);
    }
    let facts = json::Compiled::of(&world::shown(file), &compiled);
    let Compiled { mut program, mut experiment, mut branches, has_duration, structure, system } = compiled;
    for experiment in std::iter::once(&mut experiment).chain(branches.iter_mut().map(|b| &mut b.experiment)) {
        flags.apply(&program, experiment);
    }
    // What goes on from a snapshot has its end from there, or from the command line.
    if !has_duration && flags.until.is_none() && matches!(flags.place, Place::Disk) {
        usual_length(ui);
    }
    let (method, options) = run::solver(&program, &experiment).map_err(|e| {
        match e {
            RunError::Stochastic { method } => {
                ui.diagnostics([&failure::unfit(method, &program)], &session.sources);
            }
            e => ui.error(&e.to_string(), None),
        }
        Exit::Usage
    })?;
    let level = match flags.machine {
        MachineKind::Jit(n) => Level::from_number(n),
        MachineKind::Interpreter => Level::O2,
    };
    // The nominal values are told as they are without draws.
    let nominal = if drawn { summary::parameters(&program).into() } else { OnceCell::new() };
    if drawn {
        plan::keep_drawn(&mut program);
    }
    let text = flags.keeps.then(|| snapshot::program_hash(&program));
    let derivatives = later::begin(&mut program, level);
    let others = branches.iter_mut().flat_map(|b| &mut b.experiment.actions);
    for action in experiment.actions.iter_mut().chain(others) {
        action.kernel = passes::prepare_kernel(&program, &action.kernel, level);
    }
    if let Err(e) = twinml_model::verify::verify(&program) {
        ui.error(
            &format!("the compiler made a program that does not hold together: {e}"),
            Some("please report this"),
        );
        return Err(Exit::Usage);
    }
    let program = Arc::new(program);
    let machine = run::lazy_machine(&program, derivatives, flags.machine);
    let (hash, inputs) = (model::hash(&session, &data), model::inputs(&session, &data));
    let bundle = text.map(|text| Arc::new(model::bundle(&session, &data, text, summary::compiler())));
    let parameters = nominal;
    let ready = Ready { session, program, experiment, method, options, hash, inputs, bundle, parameters };
    Ok(Some(Job { ready, branches, facts, machine, rest: (structure, system) }))
}

/// Says that a run is as long as runs are of which nothing says how long.
pub fn usual_length(ui: &Ui) {
    ui.warn(&format!(
        "nothing says how long to run: {}; `--until`, or a scenario's `duration`, says otherwise",
        duration(DEFAULT_DURATION)
    ));
}

/// Where a run begins, and what is kept of it on the way.
#[derive(Default)]
pub struct Course<'c> {
    /// The state that it goes on from, and how.
    pub from: Option<(&'c State, Onward<'c>)>,
    /// Snapshots.
    pub keep: Option<Keep<'c>>,
}

/// Runs an experiment into outlets.
///
/// # Errors
///
/// The exit code, after saying why.
#[expect(clippy::too_many_arguments, reason = "what is run, on what, from where, and who watches")]
pub fn simulate(
    ready: &Ready,
    experiment: &Experiment,
    machine: &mut dyn Machine,
    outlets: Vec<Outlet>,
    log: Option<OpenLog<'_>>,
    course: Course<'_>,
    watcher: &mut Watcher,
    ui: &Ui,
) -> Result<(Report, bool), Exit> {
    let mut see = |p| watcher.see(p);
    let program = &*ready.program;
    let prepared = Prepared::new(program, machine, experiment);
    let Course { from, keep } = course;
    let report = prepared.map_err(ResumeError::from).and_then(|prepared| match from {
        Some(from) => prepared.resume(program, &*machine, experiment, 0, from, outlets, log, keep, &mut see),
        None => prepared
            .run_kept(program, &*machine, experiment, None, outlets, log, keep, &mut see)
            .map_err(ResumeError::from),
    });
    watcher.bar.done();
    let report = report.map_err(|e| {
        ui.error(&e.to_string(), None);
        match e {
            ResumeError::Run(RunError::Record(_)) => Exit::Outside,
            ResumeError::Run(_) | ResumeError::Past { .. } => Exit::Usage,
            ResumeError::Snapshot(_) | ResumeError::Elsewhere { .. } => Exit::Mismatch,
        }
    })?;
    watcher.ended = matches!(report.ended, Ended::Stopped);
    let over_time = watcher.ended && watcher.over_time;
    Ok((report, over_time))
}

/// How a run ended, whatever its requirements say.
pub fn outcome(report: &Report, over_time: bool) -> Exit {
    match &report.ended {
        // A model that ends itself has done what it says.
        Ended::Complete | Ended::Decided | Ended::Range | Ended::Halted(_) => Exit::Ok,
        Ended::Stopped if over_time => Exit::Simulation,
        Ended::Stopped => Exit::Interrupted,
        // The scenario's choice of a solver is wrong.
        Ended::Failed(f) if matches!(f.kind, FailureKind::NotCommuting { .. }) => Exit::Usage,
        Ended::Failed(_) => Exit::Simulation,
    }
}

/// Whether a branch begins at all; says so if not.
pub fn reached(branch: &Branch, trunk: &Report, ui: &Ui) -> bool {
    let begin = branch.time_ns as f64 / 1e9;
    let complete = matches!(trunk.ended, Ended::Complete);
    let reached = begin < if complete { branch.experiment.duration } else { trunk.time };
    if !reached {
        let name = &branch.name;
        ui.warn(&format!("the branch `{name}` begins at {}, which the run does not reach", duration(begin)));
    }
    reached
}

/// Flags that need reading.
pub struct Flags {
    solver: SolverSpec,
    seed: Option<u64>,
    until: Option<f64>,
    every_as: Option<i128>,
    /// Longest wall-clock time in seconds.
    pub time_limit: Option<f64>,
    machine: MachineKind,
    /// Branches beside those of the scenario.
    pub wishes: Vec<Wish>,
    /// Where the model's files are.
    pub place: Place,
    /// Whether snapshots are wanted, which hold the model.
    pub keeps: bool,
}

impl Flags {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// The exit code, after saying what is wrong.
    pub fn read(args: &Simulation, ui: &Ui) -> Result<Flags, Exit> {
        let bad = |flag: &str, why: String| {
            ui.error(&format!("`--{flag}`: {why}"), None);
            Exit::Usage
        };
        let time = |flag: &str, text: &Option<String>| match text {
            Some(text) => model::duration(text).map(Some).map_err(|why| bad(flag, why)),
            None => Ok(None),
        };
        for (flag, value) in [("rtol", args.rtol), ("atol", args.atol)] {
            if value.is_some_and(|v| !(v > 0.0 && v.is_finite())) {
                return Err(bad(flag, "a tolerance is a positive number".to_owned()));
            }
            if flag == "rtol" && value.is_some_and(|v| v >= 1.0) {
                return Err(bad(flag, "a relative tolerance is less than 1, as in `--rtol 1e-6`".to_owned()));
            }
        }
        if let Some(name) = &args.solver
            && Method::from_name(name).is_none()
        {
            let e = RunError::Method { name: name.clone() };
            return Err(bad("solver", e.to_string()));
        }
        if !args.allow.is_empty() {
            ui.warn("this version has no capabilities to grant; `--allow` does nothing");
        }
        let every = time("every", &args.every)?;
        Ok(Flags {
            solver: SolverSpec {
                method: args.solver.clone().unwrap_or_default(),
                rtol: args.rtol,
                atol: args.atol,
                step: time("step", &args.step)?,
                max_step: time("max-step", &args.max_step)?,
                max_steps: args.max_steps,
            },
            seed: args.seed,
            until: time("until", &args.until)?,
            every_as: every.map(|s| ((s * 1e9).round() as i128).max(1) * 1_000_000_000),
            time_limit: time("time-limit", &args.time_limit)?,
            machine: match args.engine {
                Engine::Jit => MachineKind::Jit(args.opt.unwrap_or(2)),
                Engine::Interpreter => MachineKind::Interpreter,
            },
            wishes: Vec::new(),
            place: Place::Disk,
            keeps: false,
        })
    }

    /// Whether they say when a run ends.
    pub fn has_end(&self) -> bool {
        self.until.is_some()
    }

    /// What runs the kernels.
    pub fn machine(&self) -> MachineKind {
        self.machine
    }

    /// Flags win over the scenario.
    pub fn apply(&self, program: &Program, experiment: &mut Experiment) {
        let (own, asked) = (&mut experiment.solver, &self.solver);
        if !asked.method.is_empty() && asked.method != own.method {
            // Another solver does not inherit the step of the one that the scenario names.
            own.method.clone_from(&asked.method);
            own.step = None;
        }
        own.rtol = asked.rtol.or(own.rtol);
        own.atol = asked.atol.or(own.atol);
        own.step = asked.step.or(own.step);
        own.max_step = asked.max_step.or(own.max_step);
        own.max_steps = asked.max_steps.or(own.max_steps);
        experiment.seed = self.seed.unwrap_or(experiment.seed);
        experiment.duration = self.until.unwrap_or(experiment.duration);
        if let Some(every) = self.every_as {
            for record in &mut experiment.records {
                record.every_as = Some(every);
            }
            if experiment.records.is_empty() {
                experiment.records.push(run::usual(program, Some(every)));
            }
        }
    }
}

/// Watches over a run: the user, the clock, the bar. Looks at the clock only as often as pays.
pub struct Watcher {
    /// The bar.
    pub bar: Progress,
    interrupt: Interrupt,
    limit: Option<f64>,
    /// Whether the limit was reached.
    pub over_time: bool,
    /// Whether a run was stopped.
    pub ended: bool,
    start: Stopwatch,
    last: f64,
    calls: u32,
    every: u32,
}

impl Watcher {
    /// Looks at both from now on.
    pub fn new(interrupt: Interrupt, limit: Option<f64>) -> Watcher {
        let start = Stopwatch::start();
        let bar = Progress::none();
        Watcher {
            bar,
            interrupt,
            limit,
            over_time: false,
            ended: false,
            start,
            last: 0.0,
            calls: 0,
            every: 1,
        }
    }

    fn see(&mut self, progress: run::Progress) -> Flow {
        if self.interrupt.requested() {
            return Flow::Stop;
        }
        self.calls += 1;
        if self.calls < self.every {
            return Flow::Continue;
        }
        self.calls = 0;
        let now = self.start.elapsed().as_secs_f64();
        // About every ten milliseconds, however long a step takes.
        let since = now - self.last;
        self.last = now;
        self.every = if since < 0.01 { (self.every * 2).min(1 << 16) } else { (self.every / 2).max(1) };
        self.bar.at(progress.time);
        if self.limit.is_some_and(|limit| now > limit) {
            self.over_time = true;
            return Flow::Stop;
        }
        Flow::Continue
    }
}
