//! `twinc test [PATH…]`: every scenario with its branches, and what became of what each expects.
//!
//! Scenarios run side by side; each is printed in its place, so that the output is the same for any `--jobs`. No
//! wall-clock time is in it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use serde::Serialize;
use serde_json::Value;
use twinml_compiler::diag::Severity;
use twinml_engine::run::Report;
use twinml_model::program::Experiment;

use super::job::{self, Course, Flags, Job, Watcher};
use super::trunk::Shared;
use super::verdict::{self, Figure, Verdict};
use super::{compile, failure, junit, mc, plot};
use crate::args::{Compile, Test};
use crate::exit::Exit;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{counted, instant};
use crate::ui::{Kept, Ui};
use crate::world::{self, Interrupt};

/// The stack of a thread that compiles and runs.
const STACK: usize = 64 << 20;

/// How a scenario, or a branch of it, came out.
#[derive(Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// What it expects is so.
    Passed,
    /// Something that it expects is not so.
    Violated,
    /// Something that it expects cannot be decided.
    Inconclusive,
    /// The simulation failed.
    Failed,
    /// It does not compile.
    Error,
    /// It was not run to its end: the user asked to stop.
    Interrupted,
}

impl Outcome {
    fn of(exit: Exit) -> Outcome {
        match exit {
            Exit::Ok => Outcome::Passed,
            Exit::Violated => Outcome::Violated,
            Exit::Inconclusive => Outcome::Inconclusive,
            Exit::Simulation => Outcome::Failed,
            Exit::Usage | Exit::Outside | Exit::Mismatch => Outcome::Error,
            Exit::Interrupted => Outcome::Interrupted,
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Outcome::Passed => "Passed",
            Outcome::Violated => "Violated",
            Outcome::Inconclusive => "Undecided",
            Outcome::Failed => "Failed",
            Outcome::Error => "Error",
            Outcome::Interrupted => "Interrupted",
        }
    }
}

/// A scenario or a branch of it, and how it came out.
pub struct Case {
    /// The model's file.
    pub file: String,
    /// The scenario; none where the file does not check.
    pub scenario: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// How it came out.
    pub outcome: Outcome,
    /// What the command ends with because of it.
    pub exit: Exit,
    /// Its requirements.
    pub verdicts: Vec<Verdict>,
    /// Its KPIs.
    pub figures: Vec<Figure>,
    /// Why it failed, where it did.
    pub message: Option<String>,
    /// Simulated time reached, in seconds.
    pub time: Option<f64>,
    /// Facts of the run: model hash, seed, solver.
    pub facts: Vec<(&'static str, String)>,
}

impl Case {
    fn failed(file: &Path, scenario: Option<&str>, exit: Exit, message: String) -> Case {
        Case {
            file: world::shown(file),
            scenario: scenario.map(str::to_owned),
            branch: None,
            outcome: Outcome::of(exit),
            exit,
            verdicts: Vec::new(),
            figures: Vec::new(),
            message: Some(message),
            time: None,
            facts: Vec::new(),
        }
    }

    /// `tank.twinml: day/no_repair`
    pub fn name(&self) -> String {
        let Some(scenario) = &self.scenario else { return self.file.clone() };
        let branch = self.branch.as_ref().map_or(String::new(), |b| format!("/{b}"));
        format!("{}: {scenario}{branch}", self.file)
    }

    fn tell(&self, ui: &Ui) {
        let mut line = self.name();
        match (&self.message, self.time) {
            (Some(message), _) => line.push_str(&format!(": {message}")),
            (None, Some(_)) if self.verdicts.is_empty() => line.push_str("  (it has no requirements)"),
            _ => {}
        }
        ui.result(self.outcome.verb(), &line, None);
        for (line, v) in verdict::lines(&self.verdicts).iter().zip(&self.verdicts) {
            ui.result("", &format!("  {line}{}", if v.asked { "" } else { "  not asked" }), None);
        }
        for line in verdict::figure_lines(&self.figures) {
            ui.result("", &format!("  {line}"), None);
        }
        ui.object(&Told {
            kind: "case",
            version: VERSION,
            file: &self.file,
            scenario: self.scenario.as_deref(),
            branch: self.branch.as_deref(),
            outcome: self.outcome,
            exit: self.exit.code(),
            message: self.message.as_deref(),
            time: self.time,
            requirements: self.verdicts.iter().map(Verdict::facts).collect(),
            kpis: self.figures.iter().map(Figure::facts).collect(),
        });
    }
}

/// A case as JSON.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    file: &'a str,
    scenario: Option<&'a str>,
    branch: Option<&'a str>,
    outcome: Outcome,
    exit: u8,
    message: Option<&'a str>,
    time: Option<f64>,
    requirements: Vec<Value>,
    kpis: Vec<Value>,
}

/// A scenario that is there.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    file: String,
    scenario: &'a str,
}

/// The end of the command.
#[derive(Serialize)]
struct Tested {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    cases: usize,
    passed: usize,
    violated: usize,
    inconclusive: usize,
    failed: usize,
    errors: usize,
    interrupted: usize,
    exit: u8,
}

/// Runs every scenario of the files.
pub fn run(args: &Test, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(args: &Test, ui: &Ui) -> Result<Exit, Exit> {
    let interrupt = Interrupt::listen();
    let flags = Flags::read(&args.simulation, ui)?;
    let files = files(&args.paths, ui)?;
    let jobs = args.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);

    let mut broken: Vec<Case> = Vec::new();
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    side_by_side(
        jobs,
        &files,
        |file| listed(file, args, ui.keeping()),
        |k, (kept, names)| {
            ui.replay(kept);
            match names {
                Ok(names) => found.extend(names.into_iter().map(|n| (files[k].clone(), n))),
                Err(case) => broken.push(*case),
            }
        },
    );
    let all = found.len();
    let asked = |name: &str| args.scenario.is_empty() || args.scenario.iter().any(|p| plot::matches(p, name));
    found.retain(|(_, name)| asked(name));
    if found.is_empty() && broken.is_empty() {
        let help = match all {
            0 => "a scenario says what to run: `scenario day for Plant { duration: 1 day; expect safe }`"
                .to_owned(),
            _ => format!(
                "`--scenario` leaves none of {}; `--list` names them",
                counted(all as u64, "scenario")
            ),
        };
        ui.error("there is no scenario to run", Some(&help));
        return Err(Exit::Usage);
    }
    if args.list {
        for (file, scenario) in &found {
            ui.text(&format!("{}: {scenario}\n", world::shown(file)));
            ui.object(&Listed { kind: "listed", version: VERSION, file: world::shown(file), scenario });
        }
        return Ok(broken.iter().map(|c| c.exit).max_by_key(|e| e.weight()).unwrap_or(Exit::Ok));
    }
    ui.doing(
        "Testing",
        &format!("{} of {}", counted(found.len() as u64, "scenario"), counted(files.len() as u64, "file")),
    );
    broken.iter().for_each(|c| c.tell(ui));
    let mut cases = broken;
    // Threads that scenarios leave over are for the samples of each.
    let threads = (jobs / found.len().max(1)).max(1);
    side_by_side(
        jobs,
        &found,
        |(file, name)| {
            let own = ui.keeping();
            let cases = scenario(file, name, args, &flags, &interrupt, threads, &own);
            (own.kept(), cases)
        },
        |_, (kept, new)| {
            ui.replay(kept);
            new.iter().for_each(|c| c.tell(ui));
            cases.extend(new);
        },
    );
    if let Some(path) = &args.junit {
        let text = junit::document(&cases);
        twinml_engine::record::file::write_atomic(path, text.as_bytes()).map_err(|e| {
            ui.error(&e.to_string(), None);
            Exit::Outside
        })?;
        ui.object(&json::Written::file(path, "junit"));
    }
    let exit = cases.iter().map(|c| c.exit).max_by_key(|e| e.weight()).unwrap_or(Exit::Ok);
    sum_up(&cases, exit, ui);
    Ok(exit)
}

fn sum_up(cases: &[Case], exit: Exit, ui: &Ui) {
    let count = |o: Outcome| cases.iter().filter(|c| c.outcome == o).count();
    let tested = Tested {
        kind: "tested",
        version: VERSION,
        cases: cases.len(),
        passed: count(Outcome::Passed),
        violated: count(Outcome::Violated),
        inconclusive: count(Outcome::Inconclusive),
        failed: count(Outcome::Failed),
        errors: count(Outcome::Error),
        interrupted: count(Outcome::Interrupted),
        exit: exit.code(),
    };
    let parts = [
        (tested.passed, "passed"),
        (tested.violated, "violated"),
        (tested.inconclusive, "inconclusive"),
        (tested.failed, "failed"),
        (tested.errors, "not compiled"),
        (tested.interrupted, "interrupted"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    ui.result("Tested", &format!("{}: {}", counted(cases.len() as u64, "case"), parts.join(", ")), None);
    ui.object(&tested);
    if cases.iter().any(|c| c.verdicts.iter().any(|v| v.asked && v.nominal)) {
        ui.warn("`nominal`: a claim about many runs, judged on one; give the scenario `samples: 1_000`");
    }
}

/// The models that the paths name, in order: files as they are given, folders with all that is below them.
fn files(paths: &[PathBuf], ui: &Ui) -> Result<Vec<PathBuf>, Exit> {
    let here = [PathBuf::from(".")];
    let mut all = Vec::new();
    for path in if paths.is_empty() { &here[..] } else { paths } {
        let found = world::models(path).map_err(|e| {
            let name = world::shown(path);
            ui.error(
                &match e.kind() {
                    ErrorKind::NotFound => format!("there is no file or folder `{name}`"),
                    _ => format!("could not read `{name}`: {e}"),
                },
                None,
            );
            Exit::Outside
        })?;
        if found.is_empty() {
            ui.error(&format!("there is no model (`*.twinml`) in `{}`", world::shown(path)), None);
            return Err(Exit::Usage);
        }
        for file in found {
            if !all.contains(&file) {
                all.push(file);
            }
        }
    }
    Ok(all)
}

/// The scenarios of a file, or why there are none to be had; with what there is to say about the file.
fn listed(file: &Path, args: &Test, ui: Ui) -> (Kept, Result<Vec<String>, Box<Case>>) {
    let fail = |exit, message: String| Err(Box::new(Case::failed(file, None, exit, message)));
    let session = match compile::open(file, &ui) {
        Ok(session) => session,
        Err(exit) => return (ui.kept(), fail(exit, "it cannot be read".to_owned())),
    };
    let said = ui.diagnostics(session.diags.iter(), &session.sources);
    let denied = said.warnings > 0 && !args.deny.is_empty();
    let found = match first_error(&session) {
        Some(message) => fail(Exit::Usage, message),
        None if denied => fail(Exit::Usage, format!("{}, denied", counted(said.warnings as u64, "warning"))),
        None => Ok(session.scenarios().map(str::to_owned).collect()),
    };
    (ui.kept(), found)
}

/// The first error of a session in a line.
fn first_error(session: &twinml_compiler::driver::Session) -> Option<String> {
    let errors = session.diags.iter().filter(|d| d.severity == Severity::Error);
    let d = errors.min_by_key(|d| (d.primary.span.file, d.primary.span.lo))?;
    Some(format!("{}: {}", d.code.0, d.message))
}

/// Compiles and runs a scenario with its branches.
fn scenario(
    file: &Path,
    name: &str,
    args: &Test,
    flags: &Flags,
    interrupt: &Interrupt,
    threads: usize,
    ui: &Ui,
) -> Vec<Case> {
    let fail = |exit, message: &str| vec![Case::failed(file, Some(name), exit, message.to_owned())];
    if interrupt.requested() {
        return fail(Exit::Interrupted, "not run");
    }
    // It was read a moment ago, and said what there is to say of the file.
    let session = match compile::open(file, ui) {
        Ok(session) => session,
        Err(exit) => return fail(exit, "it cannot be read"),
    };
    let heard = session.diags.len();
    let asks = Compile {
        scenario: Some(name.to_owned()),
        sets: args.sets.clone(),
        deny: args.deny.clone(),
        emit: None,
    };
    let mut job = match job::load(file, &asks, flags, session, heard, ui) {
        Ok(Some(job)) => job,
        Ok(None) => return Vec::new(),
        Err(exit) => return fail(exit, "it does not compile"),
    };
    let Job { ready, branches, machine, .. } = &mut job;
    let mut watcher = Watcher::new(interrupt.clone(), flags.time_limit);
    let mut cases = Vec::new();
    let mut trunk: Option<Report> = None;
    let shared = Shared::new(&ready.experiment, branches);
    for branch in std::iter::once(None).chain(branches.iter().map(Some)) {
        if let (Some(trunk), Some(b)) = (&trunk, branch)
            && !job::reached(b, trunk, ui)
        {
            continue;
        }
        let experiment = branch.map_or(&ready.experiment, |b| &b.experiment);
        let state = branch.and_then(|b| shared.state(b));
        let course = match branch {
            Some(_) => Course { from: state.as_ref().map(|s| (s, shared.onward())), keep: None },
            None => Course { from: None, keep: shared.keep_states(None) },
        };
        let branch = branch.map(|b| b.name.clone());
        let mut case = Case::failed(file, Some(name), Exit::Ok, String::new());
        case.branch = branch;
        case.facts = vec![
            ("model_hash", ready.hash.clone()),
            ("seed", experiment.seed.to_string()),
            ("solver", ready.method.name().to_owned()),
            ("duration_s", experiment.duration.to_string()),
        ];
        match job::simulate(ready, experiment, &mut **machine, Vec::new(), None, course, &mut watcher, ui) {
            Ok((report, over_time)) => {
                judge(&mut case, experiment, &report, over_time);
                if case.branch.is_none() && experiment.samples.is_some() {
                    let brief = args.verdicts_only;
                    sampled(&mut case, file, &asks, flags, (threads, brief), interrupt, ui);
                }
                if let twinml_engine::run::Ended::Failed(failed) = &report.ended {
                    ui.diagnostics([&failure::diagnostic(failed, &ready.program)], &ready.session.sources);
                }
                let left: Vec<_> =
                    report.broken.iter().map(|b| failure::left_range(b, &ready.program)).collect();
                ui.diagnostics(&left, &ready.session.sources);
                if trunk.is_none() {
                    trunk = Some(report);
                }
            }
            Err(exit) => {
                case.exit = exit;
                case.message = Some("it cannot be run".to_owned());
            }
        }
        case.outcome = Outcome::of(case.exit);
        cases.push(case);
        if watcher.ended {
            break;
        }
    }
    cases
}

/// Runs the samples of a scenario for what it claims about many runs.
fn sampled(
    case: &mut Case,
    file: &Path,
    asks: &Compile,
    flags: &Flags,
    (threads, verdicts_only): (usize, bool),
    interrupt: &Interrupt,
    ui: &Ui,
) {
    if !case.verdicts.iter().any(|v| v.asked && v.nominal) || case.exit == Exit::Simulation {
        return;
    }
    // What compiling says was said already.
    let found = mc::sampled(file, asks, flags, (threads, verdicts_only), interrupt, &ui.keeping());
    match found {
        Ok(Some(list)) => {
            for (v, found) in case.verdicts.iter_mut().zip(list) {
                if let Some((verdict, worst, samples)) = found {
                    v.decided_by(verdict, worst, samples);
                }
            }
            let open =
                |v: &Verdict| v.exit().unwrap_or(if v.nominal { Exit::Ok } else { Exit::Inconclusive });
            let said = case.verdicts.iter().filter(|v| v.asked).map(open);
            case.exit = said.chain([case.exit]).max_by_key(|e| e.weight()).unwrap_or(case.exit);
        }
        Ok(None) => {
            case.exit = Exit::Interrupted;
            case.message = Some("its samples were not run to their end".to_owned());
        }
        Err(exit) => {
            case.exit = exit;
            case.message = Some("its samples could not be run".to_owned());
        }
    }
    case.outcome = Outcome::of(case.exit);
}

/// What a run means for what its scenario expects.
fn judge(case: &mut Case, experiment: &Experiment, report: &Report, over_time: bool) {
    use twinml_engine::run::Ended;
    case.verdicts = verdict::of(experiment, report);
    case.figures = verdict::figures(experiment, report);
    // A requirement that is expected and not judged is not decided.
    let open = |v: &Verdict| v.exit().unwrap_or(if v.nominal { Exit::Ok } else { Exit::Inconclusive });
    let said = case.verdicts.iter().filter(|v| v.asked).map(open);
    let ended = job::outcome(report, over_time);
    case.exit = said.chain([ended]).max_by_key(|e| e.weight()).unwrap_or(ended);
    case.time = Some(report.time);
    case.message = match &report.ended {
        Ended::Failed(failed) => Some(failed.to_string()),
        Ended::Stopped if over_time => {
            Some(format!("the wall-time limit ended it at {}", instant(report.time)))
        }
        Ended::Stopped => Some(format!("interrupted at {}", instant(report.time))),
        Ended::Range => Some(format!("a range ended it at {}", instant(report.time))),
        Ended::Halted(reason) => {
            let why = reason.as_ref().map_or(String::new(), |r| format!(": {r}"));
            Some(format!("`stop` ended it at {}{why}", instant(report.time)))
        }
        Ended::Complete | Ended::Decided => None,
    };
}

/// Does the work on all items in some threads, and hands on the results in the order of the items.
fn side_by_side<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut then: impl FnMut(usize, R),
) {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel::<(usize, R)>();
    let (next, work) = (&next, &work);
    thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let send = send.clone();
            let worker = move || {
                loop {
                    let k = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(k) else { return };
                    // Nobody listens where the printing thread is gone.
                    if send.send((k, work(item))).is_err() {
                        return;
                    }
                }
            };
            // A system without threads left does it here, below.
            started +=
                usize::from(thread::Builder::new().stack_size(STACK).spawn_scoped(scope, worker).is_ok());
        }
        drop(send);
        if started == 0 {
            for (k, item) in items.iter().enumerate() {
                then(k, work(item));
            }
            return;
        }
        let mut waiting: BTreeMap<usize, R> = BTreeMap::new();
        let mut turn = 0;
        for (k, result) in receive {
            waiting.insert(k, result);
            while let Some(result) = waiting.remove(&turn) {
                then(turn, result);
                turn += 1;
            }
        }
    });
}
