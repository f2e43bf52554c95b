//! `twinc mc FILE`: many runs of a scenario, each with its own draws, and what they say together; `twinc mc merge DIR`.

mod claims;
mod execute;
mod finish;
mod fold;
mod job;
mod layout;
mod merge;
mod picture;
mod place;
mod replay;
mod report;
mod tell;
mod worst;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use twinml_engine::ensemble::sampler::Sampler;
use twinml_engine::ensemble::sequential::Test;
use twinml_engine::ensemble::store::Parts;
use twinml_engine::lanes::LANES;
use twinml_engine::run::{self, LaneShare};
use twinml_model::program::{Experiment, Program};

use self::fold::LOOK;
pub use self::fold::{Fold, Means};
pub use self::job::Identity;
use self::job::Shard;
use self::layout::Layout;
use self::place::Place;
use super::job::{Flags, Job, Ready};
use super::{compile, summary};
use crate::args::{Mc, McCommand, SamplerName};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::short;
use crate::world::{self, Interrupt, Stopwatch};

pub use claims::sampled;
pub use replay::run as replay;

/// Samples of a job that says nothing of their number.
const SAMPLES: u32 = 1000;
/// The most samples of a job that ends when its intervals are narrow.
const MOST_SEQUENTIAL: u32 = 1_000_000;

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
    execute::execute(args, set, shard, &own, interrupt, ui)
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
        let why = match old {
            None => "another version wrote it".to_owned(),
            Some(old) if old.shard != shard => "it is another shard".to_owned(),
            Some(old) => match old.identity.apart(&own.identity) {
                Some(why) => format!("there {why}"),
                None => return Ok(()),
            },
        };
        return Err(refuse(
            ui,
            &format!("`{}` is of another job: {why}", path()),
            Some("without `--resume` the job begins anew"),
        ));
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

/// How samples are computed side by side: as `TWINC_ISA` says, else by the widest vectors there are. The share of each
/// thread fits into its lanes where there are few.
fn share(program: &Program, runs: u32, threads: usize, ui: &Ui) -> Result<LaneShare, Exit> {
    let isa = super::doctor::isa(ui)?;
    let each = (runs as usize).div_ceil(threads.max(1));
    Ok(LaneShare::new(program, isa, each.clamp(1, LANES)))
}
