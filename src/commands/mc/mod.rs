//! `twinc mc FILE`: many runs of a scenario, each with its own draws, and what they say together; `twinc mc merge DIR`.

mod finish;
mod fold;
mod job;
mod layout;
mod merge;
mod picture;
mod place;
mod replay;
mod report;
mod worst;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use twinml_engine::ensemble::execute::{self, Flow as Go};
use twinml_engine::ensemble::outcome::{Outcome, Status};
use twinml_engine::ensemble::sampler::Sampler;
use twinml_engine::ensemble::sequential::Test;
use twinml_engine::ensemble::store::{PART, Parts};
use twinml_engine::lanes::LANES;
use twinml_engine::monitor::Verdict;
use twinml_engine::record::{RecordError, file::write_atomic};
use twinml_engine::run::{self, LaneShare, Prepared, RunError};
use twinml_model::program::{Experiment, Program};

use self::finish::{Writer, Written};
use self::fold::LOOK;
pub use self::fold::{Fold, Means};
pub use self::job::Identity;
use self::job::{Samples, Shard};
use self::layout::Layout;
use self::place::Place;
use super::job::{Flags, Job, Ready};
use super::verdict::Sampled;
use super::{compile, junit, summary};
use crate::args::{Compile, Mc, McCommand, SamplerName};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{count, counted, duration, short};
use crate::world::{self, Interrupt, Stopwatch};

pub use replay::run as replay;

/// Samples of a job that says nothing of their number.
const SAMPLES: u32 = 1000;
/// The most samples of a job that ends when its intervals are narrow.
const MOST_SEQUENTIAL: u32 = 1_000_000;
/// Seconds after which finished runs are put on disk.
const FLUSH: f64 = 5.0;

/// Does what the command line asks.
pub fn run(args: &Mc, ui: &Ui) -> Exit {
    let done = match &args.command {
        Some(McCommand::Merge(m)) => merge::run(m, ui),
        None => whole(args, ui),
    };
    match done {
        Ok(exit) | Err(exit) => exit,
    }
}

impl From<SamplerName> for Sampler {
    fn from(name: SamplerName) -> Sampler {
        match name {
            SamplerName::Random => Sampler::Random,
            SamplerName::Lhs => Sampler::Lhs,
            SamplerName::Sobol => Sampler::Sobol,
        }
    }
}

/// A usage error.
fn refuse(ui: &Ui, message: &str, help: Option<&str>) -> Exit {
    ui.error(message, help);
    Exit::Usage
}

/// A failure of the outside.
fn outside(ui: &Ui, e: &dyn std::fmt::Display) -> Exit {
    ui.error(&e.to_string(), None);
    Exit::Outside
}

/// The part of the job that this process does: as the flag says, else as the scheduler of a cluster says.
fn shard(args: &Mc, ui: &Ui) -> Result<Option<Shard>, Exit> {
    const FORM: &str = "as in `--shard 3/16`: the third of sixteen";
    if let Some(text) = &args.shard {
        let parts =
            text.split_once('/').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
        return match parts {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Some(Shard { index, of })),
            _ => Err(refuse(ui, &format!("`{text}` is no shard"), Some(FORM))),
        };
    }
    let number = |name: &str| world::variable(name).and_then(|v| v.trim().parse::<u32>().ok());
    if let (Some(id), Some(of)) = (number("SLURM_ARRAY_TASK_ID"), number("SLURM_ARRAY_TASK_COUNT")) {
        let first = number("SLURM_ARRAY_TASK_MIN").unwrap_or(0);
        return match id.checked_sub(first).map(|k| k + 1) {
            Some(index) if index <= of => Ok(Some(Shard { index, of })),
            _ => Err(refuse(
                ui,
                &format!("SLURM_ARRAY_TASK_ID is {id}, of {of} tasks from {first} on"),
                Some("number the tasks without gaps, as in `--array=0-15`, or give `--shard`"),
            )),
        };
    }
    if let Some(index) = number("JOB_COMPLETION_INDEX") {
        return match number("JOB_COMPLETIONS") {
            Some(of) if index < of => Ok(Some(Shard { index: index + 1, of })),
            _ => Err(refuse(
                ui,
                "JOB_COMPLETION_INDEX says which shard this is, and nothing says of how many",
                Some("set JOB_COMPLETIONS to the Job's `completions`, or give `--shard`"),
            )),
        };
    }
    Ok(None)
}

/// How many samples, and by which sampler.
fn size(args: &Mc, ready: &Ready, ui: &Ui) -> Result<u32, Exit> {
    let asked = args.samples.or(ready.experiment.samples);
    let sequential = args.until_ci.is_some() || args.sprt.is_some();
    let most = if sequential { MOST_SEQUENTIAL } else { SAMPLES };
    let n = match (sequential, args.samples) {
        // The scenario's number is no limit for a job that ends by its intervals.
        (true, given) => given.unwrap_or(u64::from(most)),
        (false, _) => asked.unwrap_or(u64::from(most)),
    };
    match u32::try_from(n) {
        Ok(n) if n > 0 && n < u32::MAX => Ok(n),
        _ => Err(refuse(ui, &format!("{n} is no number of samples"), Some("1 to 4294967294"))),
    }
}

/// Everything that is ready to run samples.
struct Set {
    job: Job,
    identity: Identity,
}

fn whole(args: &Mc, ui: &Ui) -> Result<Exit, Exit> {
    let interrupt = Interrupt::listen();
    let Some(file) = &args.file else {
        return Err(refuse(ui, "which model?", Some("`twinc mc FILE`, or `twinc mc merge DIR`")));
    };
    let shard = shard(args, ui)?;
    let sampler = Sampler::from(args.sampler);
    if let Some(w) = args.until_ci
        && !(w > 0.0 && w < 1.0)
    {
        return Err(refuse(
            ui,
            &format!("{w} is no width of an interval of a probability"),
            Some("as in `--until-ci 0.01`"),
        ));
    }
    if let Some(z) = args.sprt
        && !(z > 0.0 && z < 0.5)
    {
        let help = "as in `--sprt 0.005`: a probability within 0.005 of the claimed one may be called either";
        return Err(refuse(ui, &format!("{z} is no distance of probabilities"), Some(help)));
    }
    if let Some(flag) = args.until_ci.map(|_| "--until-ci").or(args.sprt.map(|_| "--sprt")) {
        if shard.is_some() {
            return Err(refuse(
                ui,
                &format!("`{flag}` looks at all runs in their order, and a shard has only some of them"),
                Some("leave `--shard` away, or give a fixed number of samples"),
            ));
        }
        if sampler != Sampler::Random {
            return Err(refuse(
                ui,
                "what is decided while runs are still coming needs independent runs",
                Some(&format!("use `--sampler random` with `{flag}`")),
            ));
        }
    }
    let Some(set) = prepare(args, file, ui)? else { return Ok(Exit::Ok) };
    let folder = place(&folder(args, file, &set.identity), ui)?;
    let own = match shard {
        Some(s) => folder.join(&s.folder()),
        None => folder.clone(),
    };
    job_file(args, file, &set, shard, &own, ui)?;
    execute(args, set, shard, &own, interrupt, ui)
}

/// Where the results go.
fn folder(args: &Mc, file: &Path, identity: &Identity) -> PathBuf {
    args.out.clone().unwrap_or_else(|| world::default_out(file).join(&identity.scenario).join("mc"))
}

/// The place that a path names.
fn place(path: &Path, ui: &Ui) -> Result<Place, Exit> {
    Place::of(path).map_err(|message| {
        let help = "keys and the endpoint of an object store stand in the environment: AWS_ACCESS_KEY_ID, \
                    AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL";
        refuse(ui, &message, Some(help))
    })
}

/// Compiles, and says what the job is.
fn prepare(args: &Mc, file: &Path, ui: &Ui) -> Result<Option<Set>, Exit> {
    let watch = Stopwatch::start();
    let flags = Flags::read(&args.simulation, ui)?;
    let session = compile::open(file, ui)?;
    let early = matches!(args.compile.emit, Some(crate::args::Emit::Tokens | crate::args::Emit::Ast));
    if (early || !session.diags.has_errors()) && compile::emit_early(&session, &args.compile, ui) {
        let said = ui.diagnostics(session.diags.iter(), &session.sources);
        return if said.errors > 0 { Err(Exit::Usage) } else { Ok(None) };
    }
    let Some(job) = super::job::load_drawn(file, &args.compile, &flags, session, 0, ui)? else {
        return Ok(None);
    };
    ui.step("Compiled", &job.facts.text(), Some(watch.elapsed()));
    ui.object(&job.facts);
    if !job.branches.is_empty() {
        ui.warn("a Monte Carlo job runs the trunk of a scenario; its branches are left out");
    }
    let samples = size(args, &job.ready, ui)?;
    let identity = identity(args, &job.ready, samples, ui)?;
    if let Some(zone) = args.sprt {
        testable(&identity, zone, ui)?;
    }
    if identity.layout.draws.is_empty()
        && job.ready.program.noise.is_empty()
        && job.ready.program.behavior == twinml_model::behavior::Behavior::default()
    {
        ui.warn("nothing is drawn in this model: every run is the nominal one");
    }
    Ok(Some(Set { job, identity }))
}

/// Whether Wald's test can decide what is claimed.
fn testable(identity: &Identity, zone: f64, ui: &Ui) -> Result<(), Exit> {
    let claims = identity.layout.demands.iter().filter(|d| d.judged);
    let claims: Vec<_> = claims.filter_map(|d| Some((d, d.claim?))).collect();
    if claims.is_empty() {
        let help = "`--sprt` decides requirements that say `with probability >= 0.99`";
        return Err(refuse(ui, "nothing is claimed with a probability here", Some(help)));
    }
    for (d, c) in claims {
        if Test::new(c.probability, zone, c.confidence).is_none() {
            let room = c.probability.min(1.0 - c.probability);
            let message = if c.confidence > 0.5 {
                format!(
                    "`{}` claims a probability of {}, which has no room for {zone} on both sides",
                    d.name, c.probability
                )
            } else {
                format!("`{}` asks for a confidence of {}, which no test needs", d.name, c.confidence)
            };
            return Err(refuse(
                ui,
                &message,
                Some(&format!("a zone below {}, as in `--sprt {}`", short(room, 6), short(0.2 * room, 2))),
            ));
        }
    }
    if u64::from(identity.samples) < LOOK {
        let message =
            format!("a sequential test looks after every {LOOK} runs, and there are {}", identity.samples);
        return Err(refuse(ui, &message, Some("`-n` is the most runs that the test may take")));
    }
    Ok(())
}

/// What is traced over time.
fn traced(args: &Mc, program: &Program, experiment: &Experiment, ui: &Ui) -> Result<Option<run::Plan>, Exit> {
    job::traced(program, experiment, &args.record).map_err(|path| {
        let help = "a path as it stands in results, as in `--record tanks.h,pump.power`";
        refuse(ui, &format!("`--record`: there is nothing called `{path}`"), Some(help))
    })
}

/// What tells the job from others.
fn identity(args: &Mc, ready: &Ready, samples: u32, ui: &Ui) -> Result<Identity, Exit> {
    let sampler: Sampler = args.sampler.into();
    let plans =
        job::last_rows(&ready.program, &ready.experiment).map_err(|e| refuse(ui, &e.to_string(), None))?;
    let Some(plan) = job::draws(&ready.program, sampler, ready.experiment.seed, samples) else {
        return Err(refuse(ui, "no random numbers are correlated like this", None));
    };
    let traced = traced(args, &ready.program, &ready.experiment, ui)?;
    let layout = Layout::of(&ready.experiment, &ready.program.schema, &plans, traced.as_ref(), &plan);
    if args.verdicts_only && !layout.demands.iter().any(|d| d.judged) {
        let help = "it ends each sample once its requirements are decided: `constraints { safe: always(T < 90 degC) }`";
        return Err(refuse(ui, "`--verdicts-only`, and nothing is required here", Some(help)));
    }
    Ok(Identity {
        version: VERSION,
        compiler: summary::compiler(),
        twin: ready.program.name.clone(),
        scenario: ready.experiment.name.clone(),
        model_hash: ready.hash.clone(),
        settings: args.compile.sets.clone(),
        seed: ready.experiment.seed,
        samples,
        sampler: sampler.name().to_owned(),
        until_ci: args.until_ci.map(|w| format!("{w}")),
        sprt: args.sprt.map(|z| format!("{z}")),
        solver: summary::solver(ready),
        until: format!("{}", ready.experiment.duration),
        parameters: ready.parameters().clone(),
        record: args.record.clone(),
        layout: if args.verdicts_only { layout.verdicts_only() } else { layout },
    })
}

/// Writes `job.json`, or, where a job is to go on, sees that it is this one.
fn job_file(
    args: &Mc,
    file: &Path,
    set: &Set,
    shard: Option<Shard>,
    folder: &Place,
    ui: &Ui,
) -> Result<(), Exit> {
    let own = job::File {
        identity: set.identity.clone(),
        shard,
        model: world::absolute(file),
        compile: args.compile.clone(),
        simulation: args.simulation.clone(),
    };
    let path = || world::shown(&folder.path(job::FILE));
    let before = match folder.read(job::FILE) {
        _ if !args.resume => None,
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(outside(ui, &format!("could not read `{}`: {e}", path()))),
    };
    if let Some(bytes) = before {
        let old: Option<job::File> = serde_json::from_slice(&bytes).ok();
        if old.is_none_or(|old| old.identity != own.identity || old.shard != shard) {
            return Err(refuse(
                ui,
                &format!("`{}` is of another job", path()),
                Some("the model, the scenario or a flag has changed; without `--resume` the job begins anew"),
            ));
        }
        return Ok(());
    }
    let parts = parts(folder, &set.identity);
    parts
        .remove()
        .map_err(|e| outside(ui, &format!("could not clear `{}`: {e}", folder.join("parts").shown())))?;
    // Strings and numbers always serialise.
    let text = serde_json::to_string_pretty(&own).unwrap_or_default() + "\n";
    folder.write(job::FILE, text.as_bytes()).map_err(|e| outside(ui, &e))
}

fn parts(folder: &Place, identity: &Identity) -> Parts {
    Parts::new(folder.files("parts"), &identity.text())
}

/// Of each requirement that is a claim: what many runs say of it, the least robustness, and in numbers.
type Claims = Vec<Option<(Verdict, Option<f64>, Sampled)>>;

/// Runs the samples that a scenario names for its claims, without any files; `verdicts_only`: each ends once its verdicts
/// are decided. `None`: the user, or the clock, ended it.
///
/// # Errors
///
/// The exit code.
pub fn sampled(
    file: &Path,
    asks: &Compile,
    flags: &Flags,
    (threads, verdicts_only): (usize, bool),
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Option<Claims>, Exit> {
    let session = compile::open(file, ui)?;
    let Some(job) = super::job::load_drawn(file, asks, flags, session, usize::MAX, ui)? else {
        return Ok(None);
    };
    let Job { ready, mut machine, .. } = job;
    let (program, experiment) = (&*ready.program, &ready.experiment);
    let n = experiment.samples.and_then(|n| u32::try_from(n).ok()).unwrap_or(SAMPLES).min(u32::MAX - 1);
    let prepared =
        Prepared::new(program, &mut *machine, experiment).map_err(|e| refuse(ui, &e.to_string(), None))?;
    let Some(plan) = job::draws(program, Sampler::Random, experiment.seed, n) else {
        return Err(Exit::Usage);
    };
    let layout = Layout::of(experiment, &program.schema, &[], None, &plan);
    let cells = (0, layout.kpis.iter().map(|c| c.list.unwrap_or(1)).sum());
    let samples = Samples {
        program,
        machine: &*machine,
        experiment,
        prepared,
        plan,
        plans: Vec::new(),
        traced: None,
        cells,
        verdicts_only,
    };
    let mut fold = Fold::new(&layout, Sampler::Random, experiment.duration);
    let complaint: Mutex<Option<RunError>> = Mutex::new(None);
    let say = |e: RunError| *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
    let clock = Stopwatch::start();
    let watch = || {
        let interrupt = interrupt.clone();
        Box::new(move |_: run::Progress| {
            let late = flags.time_limit.is_some_and(|l| clock.elapsed().as_secs_f64() > l);
            if interrupt.requested() || late { run::Flow::Stop } else { run::Flow::Continue }
        })
    };
    let share = share(program, n, threads.max(1), ui)?;
    let workers = (0..threads.max(1)).map(|_| samples.worker(&share, watch(), &say)).collect();
    let reached = execute::execute(0..n, 8, workers, &mut |o| {
        fold.take(&o);
        Go::Continue
    });
    if let Some(e) = complaint.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(refuse(ui, &e.to_string(), None));
    }
    if reached < n {
        return Ok(None);
    }
    let one = |v: &fold::Verdicts| {
        let c = v.demand.claim?;
        let i = v.interval(Means::Exact);
        let samples = Sampled {
            runs: fold.runs,
            probability: v.share(),
            lo: i.lo,
            hi: i.hi,
            confidence: c.confidence,
            op: if c.at_least { ">=" } else { "<=" },
            wanted: c.probability,
            failed: v.counts.failed,
        };
        Some((v.verdict(Means::Exact)?, v.worst.map(|w| w.1).filter(|r| r.is_finite()), samples))
    };
    Ok(Some(fold.verdicts.iter().map(one).collect()))
}

/// How samples are computed side by side: as `TWINC_ISA` says, else by the widest vectors there are. The share of each
/// thread fits into its lanes where there are few.
fn share(program: &Program, runs: u32, threads: usize, ui: &Ui) -> Result<LaneShare, Exit> {
    let isa = super::doctor::isa(ui)?;
    let each = (runs as usize).div_ceil(threads.max(1));
    Ok(LaneShare::new(program, isa, each.clamp(1, LANES)))
}

/// How the runs were computed.
fn say_lanes(share: &LaneShare, ui: &Ui) {
    let (level, why) = (share.level(), share.why().map(|w| w.to_string()));
    match (level, &why) {
        (Some(level), _) => ui.step("Computed", &format!("many runs at a time ({level})"), None),
        (None, Some(why)) => ui.step("Computed", &format!("each run by itself: {why}"), None),
        (None, None) => {}
    }
    ui.object(&Lanes { kind: "mc_lanes", version: VERSION, level, why });
}

/// What the collecting side does with outcomes.
struct Collector<'a> {
    parts: &'a Parts,
    /// Results, where this process has the whole job.
    writer: Option<Writer<'a>>,
    /// Those that are not on disk yet.
    open: Vec<Outcome>,
    flushed: f64,
    clock: Stopwatch,
    /// Failed so far.
    failed: u64,
    until_ci: Option<f64>,
    sprt: bool,
    /// Whether enough is known: all intervals are narrow, or all claims decided.
    narrow: bool,
    /// The run with the least robustness of each requirement.
    worst: Vec<Option<(u32, f64)>>,
    error: Option<RecordError>,
}

impl Collector<'_> {
    fn flush(&mut self) -> Result<(), RecordError> {
        self.parts.write(&self.open)?;
        self.open.clear();
        self.flushed = self.clock.elapsed().as_secs_f64();
        Ok(())
    }

    fn seen(&mut self, o: &Outcome) -> Result<(), RecordError> {
        self.failed += u64::from(o.status == Status::Failed);
        for (w, j) in self.worst.iter_mut().zip(&o.judged) {
            if fold::worse(*w, j) {
                *w = Some((o.run, j.robustness));
            }
        }
        if let Some(w) = &mut self.writer {
            w.take(o)?;
            if w.fold.runs.is_multiple_of(LOOK) {
                let narrow = |v: &fold::Verdicts, width: f64| {
                    v.demand.claim.is_none() || v.interval(Means::AlwaysValid).width() <= width
                };
                self.narrow = match self.until_ci {
                    Some(width) => w.fold.verdicts.iter().all(|v| narrow(v, width)),
                    None => self.sprt && w.fold.decided(),
                };
            }
        }
        Ok(())
    }

    fn take(&mut self, o: Outcome) -> Result<(), RecordError> {
        self.seen(&o)?;
        self.open.push(o);
        let due =
            self.open.len() >= PART as usize || self.clock.elapsed().as_secs_f64() - self.flushed > FLUSH;
        if due { self.flush() } else { Ok(()) }
    }
}

fn execute(
    args: &Mc,
    set: Set,
    shard: Option<Shard>,
    folder: &Place,
    interrupt: Interrupt,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let Set { job, identity } = set;
    let Job { ready, mut machine, rest, .. } = job;
    let n = identity.samples;
    let runs = shard.map_or(0..n, |s| s.runs(n));
    let (program, experiment) = (&*ready.program, &ready.experiment);
    let prepared =
        Prepared::new(program, &mut *machine, experiment).map_err(|e| refuse(ui, &e.to_string(), None))?;
    let plans = if args.verdicts_only { Ok(Vec::new()) } else { job::last_rows(program, experiment) };
    let plans = plans.map_err(|e| outside(ui, &e))?;
    let Some(plan) = job::draws(program, identity.sampler(), identity.seed, n) else {
        return Err(refuse(ui, "no random numbers are correlated like this", None));
    };
    let traced = traced(args, program, experiment, ui)?;
    let cells = |list: &[layout::Column]| list.iter().map(|c| c.list.unwrap_or(1)).sum::<usize>();
    let samples = Samples {
        program,
        machine: &*machine,
        experiment,
        prepared,
        plan,
        plans,
        traced,
        cells: (cells(&identity.layout.last), cells(&identity.layout.kpis)),
        verdicts_only: args.verdicts_only,
    };
    let jobs = args.jobs.map_or_else(world::processors, usize::from).clamp(1, runs.len().max(1));
    let of = match shard {
        Some(s) => format!(" (shard {} of {})", s.index, s.of),
        None => String::new(),
    };
    ui.doing(
        "Running",
        &format!(
            "{}: {}{of} ({}) to {} with {}, {}",
            identity.scenario,
            counted(runs.len() as u64, "sample"),
            identity.sampler,
            duration(experiment.duration),
            ready.method.name(),
            counted(jobs as u64, "thread"),
        ),
    );
    ui.object(&Running {
        kind: "mc_running",
        version: VERSION,
        scenario: &identity.scenario,
        samples: n,
        first: runs.start,
        end: runs.end,
        sampler: &identity.sampler,
        seed: identity.seed,
    });

    let clock = Stopwatch::start();
    let parts = parts(folder, &identity);
    let writer = match shard {
        Some(_) => None,
        None => Some(Writer::open(&identity, folder).map_err(|e| outside(ui, &e))?),
    };
    let mut c = Collector {
        parts: &parts,
        writer,
        open: Vec::new(),
        flushed: 0.0,
        clock,
        failed: 0,
        until_ci: args.until_ci,
        sprt: args.sprt.is_some(),
        narrow: false,
        worst: vec![None; identity.layout.demands.len()],
        error: None,
    };
    // What was done before the job was interrupted.
    let mut start = runs.start;
    if args.resume {
        start = parts
            .replay(runs.clone(), &mut |part| {
                for o in &part {
                    if c.error.is_none() && !c.narrow {
                        c.error = c.seen(o).err();
                    }
                }
            })
            .map_err(|e| outside(ui, &format!("could not read the parts of `{}`: {e}", folder.shown())))?;
        if start > runs.start {
            ui.step("Resumed", &format!("{} are done", counted(u64::from(start - runs.start), "run")), None);
        }
    }
    let bar = ui.counter(runs.len() as u64);
    let limit = Flags::read(&args.simulation, ui)?.time_limit;
    let over = AtomicBool::new(false);
    let complaint: Mutex<Option<RunError>> = Mutex::new(None);
    let say = |e: RunError| *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
    let watcher = || {
        let (interrupt, over) = (interrupt.clone(), &over);
        let mut calls = 0u32;
        Box::new(move |_: run::Progress| {
            calls = calls.wrapping_add(1);
            if interrupt.requested() || over.load(Ordering::Relaxed) {
                return run::Flow::Stop;
            }
            if calls.is_multiple_of(64) && limit.is_some_and(|l| clock.elapsed().as_secs_f64() > l) {
                over.store(true, Ordering::Relaxed);
                return run::Flow::Stop;
            }
            run::Flow::Continue
        })
    };
    // Small enough to share a short job out, large enough that taking one costs nothing.
    let batch = (runs.len() as u32 / (8 * jobs as u32)).clamp(1, 64);
    let share = share(program, runs.len() as u32, jobs, ui)?;
    let mut reached = start;
    if c.error.is_none() && !c.narrow {
        let workers = (0..jobs).map(|_| samples.worker(&share, watcher(), &say)).collect();
        reached = execute::execute(start..runs.end, batch, workers, &mut |o| {
            let done = c.take(o);
            bar.at(c.failed);
            match done {
                Ok(()) if !c.narrow && !interrupt.requested() => Go::Continue,
                Ok(()) => Go::Stop,
                Err(e) => {
                    c.error = Some(e);
                    Go::Stop
                }
            }
        });
    }
    bar.done();
    say_lanes(&share, ui);
    if c.error.is_none() {
        c.error = c.flush().err();
    }
    if let Some(e) = c.error.take() {
        return Err(outside(ui, &e));
    }
    if let Some(e) = complaint.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(refuse(ui, &e.to_string(), None));
    }
    let complete = reached == runs.end || c.narrow;
    let took = clock.elapsed();
    let done = u64::from(reached - runs.start);
    let verb = if complete { "Finished" } else { "Stopped" };
    let line = format!("{} of {}, {} failed", count(done), count(runs.len() as u64), count(c.failed));
    ui.result(verb, &line, Some(took));
    // What the report shows of the worst runs. Who has stopped the job waits for nothing more.
    let mut traces = Vec::new();
    if complete {
        let demands = identity.layout.demands.iter().zip(&c.worst).enumerate();
        let worst: Vec<(usize, u32)> =
            demands.filter(|(_, (d, _))| d.judged).filter_map(|(k, (_, w))| Some((k, (*w)?.0))).collect();
        let again = worst::replay(&samples, &identity.layout, &worst, &mut watcher());
        traces = again.map_err(|e| outside(ui, &e))?;
    }
    // The process ends soon: to take a large model's trees apart, node by node, would only delay that.
    std::mem::forget(rest);
    let exit = match c.writer.take() {
        Some(w) => {
            let (fold, written) = w.finish(complete, &traces).map_err(|e| outside(ui, &e))?;
            let exit = tell(&identity, &fold, &written, args.junit.as_deref(), folder, complete, ui)?;
            if complete {
                parts.remove().map_err(|e| outside(ui, &e))?;
            }
            exit
        }
        None => {
            worst::write(folder, &traces).map_err(|e| outside(ui, &e))?;
            ui.object(&json::Written::file(&folder.path(""), "shard"));
            ui.result("Written", &format!("{} (merge with `twinc mc merge`)", folder.shown()), None);
            Exit::Ok
        }
    };
    if !complete {
        let why =
            if over.load(Ordering::Relaxed) { "the wall-time limit ended the job" } else { "interrupted" };
        ui.error(why, Some("what was finished is written; `--resume` goes on from there"));
        return Ok(if over.load(Ordering::Relaxed) { Exit::Simulation } else { Exit::Interrupted });
    }
    Ok(exit)
}

/// What was found, for people and as objects.
fn tell(
    identity: &Identity,
    fold: &Fold,
    written: &Written,
    junit: Option<&Path>,
    folder: &Place,
    complete: bool,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let means = fold.means(identity.sequential());
    let width = fold.verdicts.iter().map(|v| v.demand.name.chars().count()).max().unwrap_or(0);
    for (k, v) in fold.verdicts.iter().enumerate() {
        let word = v.verdict(means).map_or("not evaluated", |w| w.as_str());
        let line = format!("{:width$}  {word:12}  {}", v.demand.name, said(v, means));
        ui.result(if k == 0 { "Verdict" } else { "" }, line.trim_end(), None);
        let mut facts = v.facts(means);
        facts["type"] = serde_json::json!("mc_verdict");
        facts["version"] = serde_json::json!(VERSION);
        ui.object(&facts);
    }
    let failed = fold.statuses[Status::Failed as usize];
    if failed > 0 {
        let codes: Vec<String> = fold.codes.iter().map(|(c, n)| format!("{} {c}", count(*n))).collect();
        ui.result("Failed", &format!("{}: {}", counted(failed, "run"), codes.join(", ")), None);
        if let Some((run, _, message)) = fold.failed.first() {
            ui.result("", &format!("`twinc replay {}#{run}`: {message}", folder.shown()), None);
        }
    }
    let exit = fold.exit(means);
    ui.object(&Finished {
        kind: "mc_finished",
        version: VERSION,
        runs: fold.runs,
        failed,
        complete,
        exit: exit.code(),
    });
    let mut names = "runs.parquet, summary.json, report.html".to_owned();
    if !identity.record.is_empty() {
        names.push_str(", traces");
    }
    ui.result("Written", &format!("{}: {names}", folder.shown()), None);
    ui.object(&json::Written { rows: Some(written.rows), ..json::Written::file(&written.runs, "result") });
    ui.object(&json::Written::file(&written.summary, "summary"));
    ui.object(&json::Written::file(&written.report, "report"));
    if let Some(path) = junit {
        let text = junit::of_job(identity, fold, means);
        write_atomic(path, text.as_bytes()).map_err(|e| outside(ui, &e))?;
        ui.object(&json::Written::file(path, "junit"));
    }
    Ok(exit)
}

/// `probability 0.9991 (0.998 to 0.9997 with 95 %), wanted >= 0.99`
fn said(v: &fold::Verdicts, means: Means) -> String {
    let d = &v.demand;
    if !d.judged {
        return String::new();
    }
    let mut text = match d.claim {
        Some(c) => {
            let i = v.interval(means);
            format!(
                "probability {} ({} to {} with {} %), wanted {} {}",
                short(v.share(), 5),
                short(i.lo, 4),
                short(i.hi, 4),
                short(c.confidence * 100.0, 4),
                if c.at_least { ">=" } else { "<=" },
                short(c.probability, 6),
            ) + &v
                .decided
                .map_or(String::new(), |(_, runs)| format!(", decided after {}", counted(runs, "run")))
        }
        None => {
            let c = v.counts;
            let all = c.holds + c.violated + c.inconclusive + c.failed;
            format!("in {} of {}", count(c.holds), counted(all, "run"))
        }
    };
    if d.refuted {
        text.push_str(", expected not to hold");
    }
    if let Some((run, _)) = v.worst.filter(|w| w.1.is_nan()) {
        text.push_str(&format!("; violated first in run {run}"));
    }
    if let Some((run, r)) = v.worst.filter(|w| w.1.is_finite()) {
        let unit = if d.unit.is_empty() { String::new() } else { format!(" {}", d.unit) };
        text.push_str(&format!("; worst {}{unit} in run {run}", short(r, 3)));
    }
    text
}

/// A job begins.
#[derive(Serialize, Debug)]
struct Running<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    scenario: &'a str,
    samples: u32,
    first: u32,
    end: u32,
    sampler: &'a str,
    seed: u64,
}

/// How runs were computed side by side.
#[derive(Serialize, Debug)]
struct Lanes {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    level: Option<&'static str>,
    why: Option<String>,
}

/// A job has ended.
#[derive(Serialize, Debug)]
struct Finished {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    runs: u64,
    failed: u64,
    complete: bool,
    exit: u8,
}
