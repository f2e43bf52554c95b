//! `twinc run FILE`

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use twinml_compiler::driver::Branch;
use twinml_engine::csvw;
use twinml_engine::data::Frame;
use twinml_engine::record::{self, ColumnSpec, Format, Thinned, Thinning};
use twinml_engine::run::{self, Ended, Keep, Onward, Outlet, Plan, Rate, Report};
use twinml_engine::snapshot::{Snapshot, hex};
use twinml_model::host::Machine;
use twinml_model::program::Experiment;
use twinml_solvers::integrator::Method;

use super::asked::Asked;
use super::job::{self, Course, Flags, Job, Ready, Watcher};
use super::snapshot::{self, Request, Shelf};
use super::trunk::Shared;
use super::vault::Vault;
use super::{compile, failure, plot, sign, summary, verdict};
use crate::args::Run;
use crate::exit::Exit;
use crate::model;
use crate::plot::Plot;
use crate::ui::Ui;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{count, counted, duration, instant, short};
use crate::world::{self, Interrupt, Stopwatch};

/// Compiles, simulates, writes.
pub fn run(args: &Run, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(args: &Run, ui: &Ui) -> Result<Exit, Exit> {
    let interrupt = Interrupt::listen();
    let watch = Stopwatch::start();
    let ask = Ask::of(args, ui)?;
    // A key that cannot sign must not be found out after an hour.
    let vault = Vault::open(&args.signing, &args.encryption, ui)?;
    let mut flags = Flags::read(&ask.request.simulation, ui)?;
    // What is signed stands by itself: with its model, a run can be done again anywhere.
    flags.keeps = ask.every.is_some() || vault.signs();
    if let Some(from) = &ask.from {
        let job = snapshot::load(from, &ask.request, &mut flags, ui)?;
        return rest(&ask, job, &flags, &vault, interrupt, watch, ui);
    }
    let session = compile::open(&ask.file, ui)?;
    let early = matches!(args.compile.emit, Some(crate::args::Emit::Tokens | crate::args::Emit::Ast));
    if (early || !session.diags.has_errors()) && compile::emit_early(&session, &args.compile, ui) {
        let said = ui.diagnostics(session.diags.iter(), &session.sources);
        return Ok(if said.errors > 0 { Exit::Usage } else { Exit::Ok });
    }
    let Some(job) = job::load(&ask.file, &args.compile, &flags, session, 0, ui)? else {
        return Ok(Exit::Ok);
    };
    rest(&ask, job, &flags, &vault, interrupt, watch, ui)
}

/// Does a run again into a folder, as it was asked for; its model is in `place`. What is said of it goes to `ui`.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn again(
    asked: &Asked,
    (file, place): (PathBuf, model::Place),
    from: Option<Snapshot>,
    folder: PathBuf,
    interrupt: Interrupt,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let unread = |why: String| {
        ui.error(&why, None);
        Exit::Usage
    };
    let own = asked.request().map_err(|why| unread(format!("what the run was asked with: {why}")))?;
    let request = match &from {
        Some(from) => snapshot::request(from, ui)?,
        None => own,
    };
    let args = Run::again(&request.compile, &request.simulation, request.si, folder);
    let every = match &asked.snapshot_every {
        Some(text) => Some(snapshot::nanoseconds("snapshot-every", text, ui)?.max(1)),
        None => None,
    };
    let until = match &asked.until {
        Some(text) if from.is_some() => {
            Some(model::duration(text).map_err(|why| unread(format!("`until`: {why}")))?)
        }
        _ => None,
    };
    let mut flags = Flags::read(&request.simulation, ui)?;
    flags.keeps = every.is_some();
    let job = match &from {
        Some(from) => snapshot::load(from, &request, &mut flags, ui)?,
        None => {
            flags.place = place;
            let session = compile::open_in(&flags.place, &file, ui)?;
            match job::load(&file, &request.compile, &flags, session, 0, ui)? {
                Some(job) => job,
                None => return Err(Exit::Usage),
            }
        }
    };
    let ask = Ask { args: &args, file, request, from, until, every, asked: asked.clone(), again: true };
    rest(&ask, job, &flags, &Vault::silent(), interrupt, Stopwatch::start(), ui)
}

/// What is asked for, by the command line or by a snapshot.
struct Ask<'a> {
    args: &'a Run,
    /// The model's file.
    file: PathBuf,
    /// What shapes the run.
    request: Request,
    /// What it goes on from, and the end where that is another.
    from: Option<Snapshot>,
    until: Option<f64>,
    /// Nanoseconds between snapshots.
    every: Option<i128>,
    /// The same in the words of the command line.
    asked: Asked,
    /// Whether it was run before, and is only compared: it makes nothing that is kept.
    again: bool,
}

impl<'a> Ask<'a> {
    fn of(args: &'a Run, ui: &Ui) -> Result<Ask<'a>, Exit> {
        let every = match &args.snapshot_every {
            Some(text) => Some(snapshot::nanoseconds("snapshot-every", text, ui)?.max(1)),
            None => None,
        };
        let own = Request { compile: args.compile.clone(), simulation: args.simulation.clone(), si: args.si };
        let snapshot_every = args.snapshot_every.as_deref();
        let Some(path) = &args.from else {
            let file = args.file.clone().unwrap_or_default();
            let asked = Asked::of(&own, snapshot_every);
            return Ok(Ask { args, file, request: own, from: None, until: None, every, asked, again: false });
        };
        let from = snapshot::read(path, &args.encryption, &args.signing.place, ui)?;
        let mut request = snapshot::request(&from, ui)?;
        let (c, s) = (&own.compile, &own.simulation);
        let given = [
            ("set", !c.sets.is_empty()),
            ("scenario", c.scenario.is_some()),
            ("emit", c.emit.is_some()),
            ("seed", s.seed.is_some()),
            ("solver", s.solver.is_some()),
            ("rtol", s.rtol.is_some()),
            ("atol", s.atol.is_some()),
            ("step", s.step.is_some()),
            ("max-step", s.max_step.is_some()),
            ("max-steps", s.max_steps.is_some()),
            ("every", s.every.is_some()),
            ("si", own.si && !request.si),
        ];
        if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
            ui.error(
                &format!("`--{flag}` cannot be combined with `--from`: the run goes on as it was"),
                Some("`twinc branch` makes a run that differs from an instant on"),
            );
            return Err(Exit::Usage);
        }
        let until = match &s.until {
            Some(text) => Some(model::duration(text).map_err(|why| {
                ui.error(&format!("`--until`: {why}"), None);
                Exit::Usage
            })?),
            None => None,
        };
        // How it is computed is no part of what is computed.
        request.simulation.time_limit.clone_from(&s.time_limit);
        (request.simulation.engine, request.simulation.opt) = (s.engine, s.opt);
        let file = from.model.files.first().map(|f| PathBuf::from(&f.path)).unwrap_or_default();
        let asked = Asked::onward(s.until.as_deref(), request.si, snapshot_every);
        Ok(Ask { args, file, request, from: Some(from), until, every, asked, again: false })
    }
}

/// All that follows from a compiled scenario.
fn rest(
    ask: &Ask<'_>,
    job: Job,
    flags: &Flags,
    vault: &Vault,
    interrupt: Interrupt,
    watch: Stopwatch,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let Job { ready, mut branches, facts, mut machine, rest } = job;
    ui.step("Compiled", &facts.text(), Some(watch.elapsed()));
    ui.object(&facts);

    let place = Place::of(ask, &ready.experiment, ui)?;
    if let Some(from) = &ask.from {
        // It is one run that goes on: the trunk, or the branch that the snapshot is of.
        let only = snapshot::branch(from, &branches, ui)?.map(|b| b.name.clone());
        branches.retain(|b| Some(&b.name) == only.as_ref());
    }
    let of_branch = ask.from.is_some() && !branches.is_empty();
    let mut watcher = Watcher::new(interrupt, flags.time_limit);
    let mut runs: Vec<Ran<'_>> = Vec::new();
    let shared = match of_branch {
        true => Shared::default(),
        false => Shared::new(&ready.experiment, &branches),
    };
    let trunk = std::iter::once(None).filter(|_: &Option<&Branch>| !of_branch);
    for branch in trunk.chain(branches.iter().map(Some)) {
        if let (Some(trunk), Some(b)) = (runs.first(), branch)
            && !job::reached(b, &trunk.report, ui)
        {
            shared.discard(&b.name);
            continue;
        }
        if watcher.ended {
            break;
        }
        let of = (&ready, branch, &branches[..], &shared);
        runs.push(one(ask, ui, of, &place, &mut *machine, &mut watcher, vault)?);
    }
    write_all(ask, ui, &ready, &place, &mut runs, &watcher, vault)?;
    let exit = runs.iter().map(|r| r.exit).max_by_key(|e| e.weight()).unwrap_or(Exit::Ok);
    drop(runs);
    // The process ends here: to take a large model's trees apart, node by node, would only delay that.
    std::mem::forget((ready, machine, rest));
    Ok(exit)
}

/// One run that is over: the trunk, or a branch.
pub struct Ran<'a> {
    /// The branch; `None` for the trunk.
    pub branch: Option<&'a Branch>,
    /// What was run.
    pub experiment: &'a Experiment,
    /// What was recorded.
    pub plans: Vec<Plan>,
    /// Where to, in the order of the plans.
    pub files: Vec<PathBuf>,
    /// The first of them in few points, where it is drawn and was long.
    pub thinned: Option<Thinned>,
    /// The log of events, where there were any.
    pub events: Option<PathBuf>,
    /// Snapshots.
    pub snapshots: Vec<PathBuf>,
    /// How it went.
    pub report: Report,
    /// Whether the wall-time limit ended it.
    pub over_time: bool,
    /// What the run ends with.
    pub exit: Exit,
}

/// Runs the trunk or a branch and says how it went.
fn one<'a>(
    ask: &Ask<'_>,
    ui: &Ui,
    (ready, branch, branches, shared): (&'a Ready, Option<&'a Branch>, &'a [Branch], &Shared),
    place: &Place,
    machine: &mut dyn Machine,
    watcher: &mut Watcher,
    vault: &Vault,
) -> Result<Ran<'a>, Exit> {
    let experiment = branch.map_or(&ready.experiment, |b| &b.experiment);
    let plans = run::plans(&ready.program, experiment, ask.request.si).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Usage
    })?;
    let files = place.files(&plans, branch);
    let metadata = summary::metadata(ready, experiment);
    let end = ask.until.unwrap_or(experiment.duration);
    let mut outlets = Vec::with_capacity(plans.len());
    let mut thinning = None;
    for (plan, path) in plans.iter().zip(&files) {
        let columns = plan.columns().clone();
        let drawn = !ask.args.no_plot && !place.is_file && branch.is_none() && outlets.is_empty();
        let recorder = if drawn {
            record::open_thinned(path, columns, &metadata, end).map(|(recorder, few)| {
                thinning = Some(few);
                recorder
            })
        } else {
            record::open(path, columns, &metadata)
        };
        let recorder = recorder.map_err(|e| {
            ui.error(&e.to_string(), None);
            Exit::Outside
        })?;
        outlets.push(Outlet { plan: plan.clone(), recorder });
    }
    let from = match &ask.from {
        Some(s) => Some(s.state.clock.asked),
        None => branch.map(|b| b.time_ns),
    };
    let from = from.map_or(String::new(), |ns| format!(" from {}", duration(ns as f64 / 1e9)));
    let solver = solver_text(ready);
    ui.doing("Running", &format!("{}{from} to {} with {solver}", experiment.name, duration(end)));
    ui.object(&json::Running::of(ready, experiment, branch));

    let watch = Stopwatch::start();
    watcher.bar = ui.progress(end);
    let events = place.events(branch);
    let mut open: Option<run::OpenLog<'_>> = events.as_deref().map(|path| {
        let metadata = &metadata;
        Box::new(move |columns| record::open(path, columns, metadata)) as run::OpenLog<'_>
    });
    let parent = ask.from.as_ref().map(Snapshot::id);
    let shelf = Shelf {
        ready,
        request: &ask.request,
        parent,
        vault,
        operation: "snapshot",
        written: RefCell::default(),
    };
    let state = branch.and_then(|b| shared.state(b));
    let mut snapshots = Vec::new();
    match (branch, &state) {
        (Some(b), Some(_)) => snapshots = shared.written(&b.name),
        (Some(b), None) => shared.discard(&b.name),
        (None, _) => {}
    }
    let keep = ask.every.map(|every| {
        let (shelf, place) = (&shelf, &place);
        Keep::every(every, move |state| {
            let at = state.clock.asked;
            // Up to where they begin, branches are what the trunk is.
            for b in branches.iter().filter(|b| branch.is_none() && shared.has(&b.name, at)) {
                let path = place.snapshot(Some(b), at, &ready.experiment.name);
                shelf.put(&path, state.clone(), &b.experiment, Some(b))?;
                shared.wrote(&b.name, path);
            }
            shelf.write(place.snapshot(branch, at, &ready.experiment.name), state, experiment, branch)
        })
    });
    let onward = |s| (s, Onward { until: ask.until, ..Onward::default() });
    let own = state.as_ref().map(|s| (s, shared.onward()));
    let from_trunk = state.as_ref().map_or(0, |s| s.clock.steps);
    let course = match branch.filter(|_| ask.from.is_none()) {
        Some(_) => Course { from: own, keep },
        None if ask.from.is_some() => Course { from: ask.from.as_ref().map(|s| onward(&s.state)), keep },
        None => {
            (outlets, open) = shared.keep_rows(outlets, open);
            Course { from: None, keep: shared.keep_states(keep) }
        }
    };
    let (report, over_time) = job::simulate(ready, experiment, machine, outlets, open, course, watcher, ui)?;
    snapshots.extend(shelf.written.into_inner());
    let took = watch.elapsed();
    let exit = job::outcome(&report, over_time);
    let mut line = format!(
        "{}, {}, {}",
        counted(report.samples, "sample"),
        counted(report.stats.steps, "step"),
        counted(report.events, "event")
    );
    if from_trunk > 0 {
        line.push_str(&format!(", {} of the steps the trunk's", count(from_trunk)));
    }
    if ready.method == Method::Auto && report.stats.steps > 0 {
        line.push_str(&format!(" ({})", report.choice.method.name()));
    } else if report.choice.switches > 0 {
        line.push_str(&format!(" ({} from {} s on)", report.choice.method.name(), report.choice.t));
    }
    for l in &report.logs {
        let said = json::Said { kind: "log", version: VERSION, time: l.time, twin: &l.twin, text: &l.text };
        ui.object(&said);
    }
    for (k, line) in said_lines(&report).iter().enumerate() {
        ui.result(if k == 0 { "Log" } else { "" }, line, None);
    }
    match &report.ended {
        Ended::Complete | Ended::Decided => ui.result("Finished", &line, Some(took)),
        Ended::Stopped => {
            let why = if over_time { "time limit" } else { "interrupted" };
            ui.result("Stopped", &format!("at {} ({why}): {line}", instant(report.time)), Some(took));
        }
        Ended::Halted(reason) => {
            let why = reason.as_ref().map_or_else(|| "`stop`".to_owned(), |r| format!("`stop`: {r}"));
            ui.result("Ended", &format!("at {} ({why}): {line}", instant(report.time)), Some(took));
        }
        Ended::Range => {
            ui.result("Ended", &format!("at {} (a range was left): {line}", instant(report.time)), Some(took))
        }
        Ended::Failed(failed) => {
            ui.result("Failed", &format!("at {}: {line}", instant(failed.time)), Some(took));
            let said = failure::diagnostic(failed, &ready.program);
            ui.diagnostics([&said], &ready.session.sources);
        }
    }
    let left: Vec<_> = report.broken.iter().map(|b| failure::left_range(b, &ready.program)).collect();
    ui.diagnostics(&left, &ready.session.sources);
    if report.broken_total > left.len() as u64 {
        let more = counted(report.broken_total - left.len() as u64, "further range");
        ui.warn(&format!("{more} {} left", if more.starts_with("1 ") { "was" } else { "were" }));
    }
    ui.object(&json::Finished::of(&report, ready, branch, from_trunk, took));
    let said = verdict::of(experiment, &report);
    for (k, line) in verdict::lines(&said).iter().enumerate() {
        ui.result(if k == 0 { "Verdict" } else { "" }, line, None);
    }
    for v in &said {
        ui.object(v);
    }
    let figures = verdict::figures(experiment, &report);
    for (k, line) in verdict::figure_lines(&figures).iter().enumerate() {
        ui.result(if k == 0 { "KPI" } else { "" }, line, None);
    }
    for f in &figures {
        ui.object(f);
    }
    let exit = [exit, verdict::exit(&said)].into_iter().max_by_key(|e| e.weight()).unwrap_or(exit);
    let events = events.filter(|_| report.log.is_some());
    let thinned = thinning.and_then(Thinning::take);
    Ok(Ran { branch, experiment, plans, files, thinned, events, snapshots, report, over_time, exit })
}

/// Messages of `log` that people are shown.
const MOST_SAID: usize = 50;

/// `3 s  pump: full`: the messages of `log`, in columns.
fn said_lines(report: &Report) -> Vec<String> {
    let shown = &report.logs[..report.logs.len().min(MOST_SAID)];
    let times: Vec<String> = shown.iter().map(|l| instant(l.time)).collect();
    let wide = times.iter().map(|t| t.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::with_capacity(shown.len() + 1);
    for (l, t) in shown.iter().zip(times) {
        let twin = if l.twin.is_empty() { String::new() } else { format!("{}: ", l.twin) };
        // What a model says is text, not commands to a terminal.
        let text: String = l.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        lines.push(format!("{t:wide$}  {twin}{text}"));
    }
    if report.said > shown.len() as u64 {
        lines.push(format!("and {}", counted(report.said - shown.len() as u64, "further message")));
    }
    lines
}

/// Tells the results' files and writes what is beside them.
fn write_all(
    ask: &Ask<'_>,
    ui: &Ui,
    ready: &Ready,
    place: &Place,
    runs: &mut [Ran<'_>],
    watcher: &Watcher,
    vault: &Vault,
) -> Result<(), Exit> {
    let args = ask.args;
    let mut files: Vec<(PathBuf, &'static str)> = Vec::new();
    files.extend(runs.iter().flat_map(|r| &r.files).map(|p| (p.clone(), "result")));
    let logs = runs.iter().filter(|r| r.report.log.is_some()).filter_map(|r| r.events.as_ref());
    files.extend(logs.map(|p| (p.clone(), "events")));
    let mut written: Vec<String> = runs.iter().flat_map(|r| &r.files).map(|p| world::shown(p)).collect();
    for (path, recorded) in runs.iter().flat_map(|r| r.files.iter().zip(&r.report.files)) {
        ui.object(&json::Written {
            kind: "written",
            version: VERSION,
            path: world::shown(path),
            what: "result",
            rows: Some(recorded.rows),
        });
    }
    // The units of CSV files stand beside them.
    for path in runs.iter().flat_map(|r| &r.files).filter_map(|p| csvw::beside(p)) {
        written.push(path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default());
        ui.object(&json::Written::file(&path, "metadata"));
        files.push((path, "metadata"));
    }
    for (path, recorded) in runs.iter().filter_map(|r| r.events.as_ref().zip(r.report.log)) {
        written.push(world::shown(path));
        ui.object(&json::Written {
            kind: "written",
            version: VERSION,
            path: world::shown(path),
            what: "events",
            rows: Some(recorded.rows),
        });
    }
    let kept: Vec<&PathBuf> = runs.iter().flat_map(|r| &r.snapshots).collect();
    files.extend(kept.iter().map(|p| (p.to_path_buf(), "snapshot")));
    for path in &kept {
        ui.object(&json::Written::file(path, "snapshot"));
    }
    match kept.as_slice() {
        [] => {}
        [one] => written.push(world::shown(one)),
        [first, ..] => {
            written.push(format!("{} ({})", world::shown(first), counted(kept.len() as u64, "snapshot")));
        }
    }
    if !place.is_file {
        let name = format!("summary{}.json", place.from);
        let path = place.folder.join(&name);
        let from = ask.from.as_ref().map(|s| hex(&s.id()));
        let again =
            summary::Again { asked: &ask.asked, from: from.as_deref(), branched: serde_json::Value::Null };
        let text = summary::document(ready, runs, ask.request.si, again, ui)?;
        write(&path, text.as_bytes(), ui)?;
        written.push(name);
        files.push((path.clone(), "summary"));
        ui.object(&json::Written::file(&path, "summary"));
        if !args.no_plot {
            let name = format!("plot{}.html", place.from);
            let path = place.folder.join(&name);
            match picture(runs) {
                Ok(Some(html)) => {
                    write(&path, html.as_bytes(), ui)?;
                    written.push(name);
                    files.push((path.clone(), "plot"));
                    ui.object(&json::Written::file(&path, "plot"));
                }
                Ok(None) => {}
                Err(e) => ui.warn(&format!("no plot: {e}")),
            }
        }
    }
    if vault.signs() && !place.is_file {
        let (name, what, bytes) = made_of(ask, ready, place);
        let path = place.folder.join(&name);
        let bytes = vault.sealed(bytes).map_err(|e| {
            ui.error(&e.to_string(), e.help());
            Exit::Outside
        })?;
        write(&path, &bytes, ui)?;
        written.push(name);
        files.push((path.clone(), what));
        ui.object(&json::Written::file(&path, what));
    }
    // What goes on from a snapshot stands beside the whole run's.
    let name = sign::BUNDLE.replace('.', &format!("{}.", place.from));
    let path = place.folder.join(&name);
    if let Some(signer) = &mut *vault.signer.borrow_mut() {
        let time = runs.first().map_or(0.0, |r| r.report.time);
        sign::bundle(ready, time, &path, &files, &mut **signer, ui)?;
        written.push(name);
        ui.object(&json::Written::file(&path, "signature"));
    } else if !place.is_file {
        sign::outdated(&path, ui);
    }
    if !vault.signs() && !ask.again && sign::keeps_log() {
        // Nobody signs it; the next record that is signed vouches for this one, too.
        let time = runs.first().map_or(0.0, |r| r.report.time);
        let root = sign::subject(ready, time, &files, ui)?.root();
        let first = files.first().map_or(String::new(), |f| world::shown(&f.0));
        sign::logged("run", &[("file", first), ("root", root.to_string())], None, ui)?;
    }
    ui.result("Written", &written.join(", "), None);
    if watcher.over_time {
        ui.error("the wall-time limit ended the run", Some("what was recorded up to there is complete"));
    }
    Ok(())
}

/// What a signed run keeps of what it was made of: its name, its role, its bytes. The model; of a run that goes on from a
/// snapshot that snapshot, which has the model in it.
fn made_of(ask: &Ask<'_>, ready: &Ready, place: &Place) -> (String, &'static str, Vec<u8>) {
    match (&ask.from, &ready.bundle) {
        (Some(from), _) => (format!("from{}.twinsnap", place.from), "snapshot", from.encode()),
        // What is signed was compiled so that the model is at hand.
        (None, bundle) => {
            let bytes = bundle.as_ref().map(|m| m.encode()).unwrap_or_default();
            ("model.twinmodel".to_owned(), "model", bytes)
        }
    }
}

fn write(path: &Path, bytes: &[u8], ui: &Ui) -> Result<(), Exit> {
    record::file::write_atomic(path, bytes).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })
}

/// The plot of the first file.
fn picture(runs: &mut [Ran<'_>]) -> Result<Option<String>, String> {
    let Some(ran) = runs.first_mut() else { return Ok(None) };
    let (Some(path), thinned) = (ran.files.first(), ran.thinned.take()) else { return Ok(None) };
    let frame: Frame = plot::open(path)?;
    let plot =
        Plot::with(&frame, thinned, plot::caption_of(&frame, path), |_| true).map_err(|e| e.to_string())?;
    Ok(Some(plot.html()))
}

/// `bdf (rtol 1e-6)`, `rk4 (step 1 ms)`.
fn solver_text(ready: &Ready) -> String {
    let name = ready.method.name();
    match ready.options.h {
        Some(h) if ready.method.fixed_step() => format!("{name} (step {})", duration(h)),
        _ => format!("{name} (rtol {})", exponent(ready.options.tolerances.rtol)),
    }
}

/// Tolerances look like tolerances: `1e-6`.
fn exponent(x: f64) -> String {
    if x > 0.0 && x < 0.01 { format!("{x:e}") } else { short(x, 4) }
}

/// Where the files of a run go.
struct Place {
    /// The folder of all of them.
    folder: PathBuf,
    /// The result's name without its extension.
    stem: String,
    extension: String,
    /// Whether `--out` names a file: then there is nothing beside it.
    is_file: bool,
    /// `@600s` where the run goes on from a snapshot: what is written then stands beside the results of the whole run.
    from: String,
}

impl Place {
    fn of(ask: &Ask<'_>, experiment: &Experiment, ui: &Ui) -> Result<Place, Exit> {
        let named = ask.args.out.as_deref();
        let instant = |s: &Snapshot| format!("@{}", snapshot::instant(s.state.clock.asked));
        let from = ask.from.as_ref().map(instant).unwrap_or_default();
        let stem = || format!("{}{from}", experiment.name);
        let is_file = named.is_some_and(|p| p.extension().is_some() && !p.is_dir());
        let (folder, stem, extension) = match named {
            Some(path) if is_file => {
                if let Err(e) = Format::of(path) {
                    ui.error(
                        &e.to_string(),
                        Some("`--out` is a folder, or a file with one of these extensions"),
                    );
                    return Err(Exit::Usage);
                }
                let folder = path.parent().map(Path::to_owned).unwrap_or_default();
                let part = |p: Option<&std::ffi::OsStr>| p.map(|p| p.to_string_lossy().into_owned());
                (
                    folder,
                    part(path.file_stem()).unwrap_or_default(),
                    part(path.extension()).unwrap_or_default(),
                )
            }
            Some(path) => (path.to_owned(), stem(), "parquet".to_owned()),
            None => (world::default_out(&ask.file), stem(), "parquet".to_owned()),
        };
        Ok(Place { folder, stem, extension, is_file, from })
    }

    /// A snapshot: `drain@600s.twinsnap`; of a branch `drain.no_repair@600s.twinsnap`.
    fn snapshot(&self, branch: Option<&Branch>, ns: i128, scenario: &str) -> PathBuf {
        let branch = branch.map_or(String::new(), |b| format!(".{}", b.name));
        self.folder.join(format!("{scenario}{branch}@{}.twinsnap", snapshot::instant(ns)))
    }

    /// The log of events of one run: `events.parquet`, of a branch `events.no_repair.parquet`; none where `--out`
    /// names a file. What an earlier run left under this name goes.
    fn events(&self, branch: Option<&Branch>) -> Option<PathBuf> {
        if self.is_file {
            return None;
        }
        let branch = branch.map_or(String::new(), |b| format!(".{}", b.name));
        // The results of a scenario of this name stay.
        let stem = if self.stem.starts_with("events") { "event_log" } else { "events" };
        let path = self.folder.join(format!("{stem}{branch}{}.{}", self.from, self.extension));
        // A log of another run must not stand beside these results; where it cannot go, opening says why.
        let _ = std::fs::remove_file(&path);
        Some(path)
    }

    /// The files of one run: `drain.parquet`; of a branch `drain.no_repair.parquet`; of several rates one each,
    /// `drain-1s.parquet`.
    fn files(&self, plans: &[Plan], branch: Option<&Branch>) -> Vec<PathBuf> {
        let branch = branch.map_or(String::new(), |b| format!(".{}", b.name));
        let file = |plan: &Plan| {
            let rate = match plan.rate {
                _ if plans.len() == 1 => String::new(),
                Rate::Every { period } => format!("-{}", duration(period as f64 / 1e18).replace(' ', "")),
                Rate::Parts(_) | Rate::Listed => "-overview".to_owned(),
            };
            self.folder.join(format!("{}{branch}{rate}.{}", self.stem, self.extension))
        };
        plans.iter().map(file).collect()
    }
}

/// Lists a column's facts; used by the summary.
pub fn facts(spec: &ColumnSpec) -> serde_json::Value {
    serde_json::json!({
        "name": spec.name,
        "unit": spec.unit,
        "quantity": spec.quantity,
        "description": spec.description,
        "elements": spec.list,
    })
}
