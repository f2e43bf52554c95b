//! `twinc replay X.twinsnap…`: the run of a snapshot done again from its start, and compared bit by bit; `result` does it with
//! results.

mod branches;
mod result;
mod rows;
mod states;

use std::path::{Path, PathBuf};

use serde::Serialize;
use twinml_engine::provenance::{self, Digest, Kind, Manifest, Trust};
use twinml_engine::record::{NoRecorder, Recorder};
use twinml_engine::run::{self, Difference, Flow, OpenLog, Outlet, Prepared, RunError};
use twinml_engine::snapshot::{Snapshot, State, hex};
use twinml_solvers::integrator::Method;

use super::job::{self, Flags, Job};
use super::{compile, mc, sign, snapshot, summary};
use crate::args::{Compile, Replay};
use crate::exit::Exit;
use crate::model::Place;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::{counted, short};
use crate::world::{self, Interrupt, Stopwatch};

/// Does what the command line asks: snapshots, results, or one sample of a job.
pub fn run(args: &Replay, ui: &Ui) -> Exit {
    let is_snapshot = |t: &String| Path::new(t).extension().is_some_and(|e| e == "twinsnap");
    if args.targets.iter().any(is_snapshot) {
        if let Some(other) = args.targets.iter().find(|t| !is_snapshot(t)) {
            ui.error(&format!("`{other}` is no snapshot"), Some("samples of a job are replayed one by one"));
            return Exit::Usage;
        }
        return match snapshots(args, ui) {
            Ok(exit) | Err(exit) => exit,
        };
    }
    match &args.targets[..] {
        [target] if !target.contains('#') => match result::run(target, args, ui) {
            Ok(exit) | Err(exit) => exit,
        },
        [target] => mc::replay(target, args.out.as_deref(), ui),
        _ => {
            ui.error("results, and samples of a job, are replayed one at a time", None);
            Exit::Usage
        }
    }
}

/// A snapshot and where it came from.
struct Kept {
    path: PathBuf,
    snapshot: Snapshot,
}

/// What became of one snapshot.
#[derive(Serialize, Debug)]
struct Replayed<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    path: String,
    id: String,
    time: f64,
    same: bool,
    what: Option<&'a str>,
    quantity: Option<&'a str>,
    at: Option<f64>,
    recorded: Option<f64>,
    replayed: Option<f64>,
    unit: Option<&'a str>,
    quantities: usize,
    cause: Option<&'a str>,
}

fn snapshots(args: &Replay, ui: &Ui) -> Result<Exit, Exit> {
    let mut kept = Vec::with_capacity(args.targets.len());
    for target in &args.targets {
        let path = PathBuf::from(target);
        let snapshot = snapshot::read(&path, &args.encryption, &args.place, ui)?;
        kept.push(Kept { path, snapshot });
    }
    kept.sort_by(|a, b| a.snapshot.state.clock.time.total_cmp(&b.snapshot.state.clock.time));
    // There is at least one: the command line has been read so.
    let Some(first) = kept.first() else { return Ok(Exit::Usage) };
    if let Some(other) = kept
        .iter()
        .find(|k| k.snapshot.model != first.snapshot.model || k.snapshot.scenario != first.snapshot.scenario)
    {
        let message =
            format!("`{}` and `{}` are not of one run", world::shown(&first.path), world::shown(&other.path));
        ui.error(&message, Some("replay snapshots of different runs one by one"));
        return Err(Exit::Usage);
    }
    let snap = &first.snapshot;
    let watch = Stopwatch::start();
    let request = snapshot::request(snap, ui)?;
    let mut flags = Flags::read(&request.simulation, ui)?;
    let Job { ready, branches, facts, mut machine, .. } = compiled(snap, &request.compile, &mut flags, ui)?;
    ui.step("Compiled", &facts.text(), Some(watch.elapsed()));
    let branch = snapshot::branch(snap, &branches, ui)?;
    let experiment = branch.map_or(&ready.experiment, |b| &b.experiment);
    for k in &kept {
        let clock = &k.snapshot.state.clock;
        let why = if clock.changes > 0 {
            "it was changed on the way, which its scenario does not say"
        } else if clock.time > experiment.duration {
            "it went on beyond the end of its scenario"
        } else {
            continue;
        };
        let message =
            format!("the run of `{}` cannot be done again from its start: {why}", world::shown(&k.path));
        ui.error(&message, Some("`twinc run --from` goes on from a snapshot"));
        return Err(Exit::Usage);
    }
    let altered = Altered {
        model: ready.hash != hex(&snap.model.hash),
        program: ready.bundle.as_ref().map(|m| m.program) != Some(snap.model.program),
        manifest: manifest(snap),
        here: sign::machine(ui)?.into_iter().collect(),
    };
    let failed = |e: RunError| {
        ui.error(&e.to_string(), None);
        Exit::Usage
    };
    let plans =
        run::plans(&ready.program, experiment, request.si).map_err(|e| failed(RunError::Record(e)))?;
    let outlets = plans.into_iter().map(|plan| {
        let recorder = Box::new(NoRecorder::new(plan.columns().clone()));
        Outlet { plan, recorder }
    });
    let states: Vec<&State> = kept.iter().map(|k| &k.snapshot.state).collect();
    let log: OpenLog<'_> = Box::new(|columns| Ok(Box::new(NoRecorder::new(columns)) as Box<dyn Recorder>));
    let log = states.iter().any(|s| run::was_logged(s)).then_some(log);
    let prepared = Prepared::new(&ready.program, &mut *machine, experiment).map_err(failed)?;
    let interrupt = Interrupt::listen();
    let see = &mut |_| if interrupt.requested() { Flow::Stop } else { Flow::Continue };
    let watch = Stopwatch::start();
    let again = prepared
        .again(&ready.program, &*machine, experiment, &states, outlets.collect(), log, see)
        .map_err(failed)?;
    let line = format!("{}, {}", counted(again.steps, "step"), counted(again.events, "event"));
    ui.step("Replayed", &line, Some(watch.elapsed()));
    let mut exit = Exit::Ok;
    for (k, found) in kept.iter().zip(&again.found) {
        let bad = found.is_some() || altered.model;
        let cause = bad.then(|| altered.cause(snap, ready.method));
        tell(k, found.as_ref(), cause.as_deref(), ui);
        if bad {
            exit = Exit::Mismatch;
        }
    }
    Ok(if again.found.len() < kept.len() && exit == Exit::Ok { Exit::Interrupted } else { exit })
}

/// Compiles the model that a snapshot holds, whatever it is.
fn compiled(snap: &Snapshot, asked: &Compile, flags: &mut Flags, ui: &Ui) -> Result<Job, Exit> {
    let Some(root) = snap.model.files.first() else {
        ui.error("the snapshot holds no model", None);
        return Err(Exit::Mismatch);
    };
    let file = PathBuf::from(&root.path);
    flags.place = Place::Snapshot(snap.model.clone());
    flags.keeps = true;
    let asked = Compile { emit: None, ..asked.clone() };
    let session = compile::open_in(&flags.place, &file, ui)?;
    match job::load(&file, &asked, flags, session, 0, ui) {
        Ok(Some(job)) => Ok(job),
        // What was run once compiles; this is not it.
        Ok(None) | Err(_) => {
            let by = if snap.model.compiler == summary::compiler() {
                "what it holds is not what was run".to_owned()
            } else {
                format!("it was made by {}, this is {}", snap.model.compiler, summary::compiler())
            };
            ui.error(&format!("the snapshot's model does not compile here: {by}"), None);
            Err(Exit::Mismatch)
        }
    }
}

/// What of the model is not as the snapshot says.
struct Altered {
    /// Sources or data do not have the model's hash.
    model: bool,
    /// They compile to another program.
    program: bool,
    /// What the snapshot's signature is of, where it has one; whose it is does not matter here.
    manifest: Option<Manifest>,
    /// What computes here.
    here: Vec<(String, String)>,
}

/// What a snapshot's envelope says that it was.
fn manifest(snap: &Snapshot) -> Option<Manifest> {
    // The parts are compared one by one where something differs.
    let mut look = |_: &provenance::Part| Err(String::new());
    provenance::verify(&snap.envelope, Kind::Snapshot, &Trust::new(), &mut look).manifest
}

impl Altered {
    /// Why bits differ, as far as that can be known.
    fn cause(&self, snap: &Snapshot, method: Method) -> String {
        let compiler = summary::compiler();
        let subject = self.manifest.as_ref().map(|m| &m.subject);
        let signed = subject.map_or(&[][..], |s| &s.inputs);
        let other = snap.model.files.iter().filter(|f| {
            let of = signed.iter().find(|p| p.name == f.path);
            of.is_some_and(|p| p.sha256 != Digest::of(&f.bytes))
        });
        let names: Vec<String> = other.map(|f| format!("`{}`", f.path)).collect();
        if !names.is_empty() {
            return format!("altered since it was signed: {}", names.join(", "));
        }
        if self.model {
            let why = "together they do not have the model's hash";
            return format!("a source or a data file in the snapshot was altered: {why}");
        }
        if snap.model.compiler != compiler {
            return format!(
                "another version: the snapshot was made by {}, this is {compiler}",
                snap.model.compiler
            );
        }
        for (name, here) in &self.here {
            let there = subject.and_then(|s| s.machine.get(name));
            if let Some(there) = there.filter(|there| *there != here && name != "os") {
                return format!("another machine: {name} {there} there, {here} here");
            }
        }
        if self.program {
            return format!("another build of {compiler}: the model compiles to another program here");
        }
        if matches!(method, Method::Esdirk | Method::Trbdf2 | Method::DiffsolBdf) {
            let name = method.name();
            return format!(
                "another kind of machine, or the state was altered: `{name}` has the same bits on machines of one kind only"
            );
        }
        "the state in the snapshot was altered, or it was made by another build of twinc or on a machine without fused multiplications"
            .to_owned()
    }
}

/// A value as people read it.
fn number(x: f64, unit: &str) -> String {
    let number = format!("{x}");
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}

/// Says what became of a snapshot.
fn tell(kept: &Kept, found: Option<&Difference>, cause: Option<&str>, ui: &Ui) {
    let path = world::shown(&kept.path);
    let clock = &kept.snapshot.state.clock;
    let finite = |x: f64| Some(x).filter(|x| x.is_finite());
    ui.object(&Replayed {
        kind: "replayed",
        version: VERSION,
        path: path.clone(),
        id: hex(&kept.snapshot.id()),
        time: clock.time,
        same: cause.is_none(),
        what: found.map(|d| &*d.what),
        quantity: found.and_then(|d| d.path.as_deref()),
        at: found.map(|d| d.time),
        recorded: found.and_then(|d| finite(d.recorded)),
        replayed: found.and_then(|d| finite(d.replayed)),
        unit: found.map(|d| &*d.unit),
        quantities: found.map_or(0, |d| d.quantities),
        cause,
    });
    let Some(cause) = cause else {
        ui.result("Same", &format!("{path}: every bit of the state at {} s", clock.time), None);
        return;
    };
    let what = match found {
        None => format!(
            "{path}: the state at {} s has the same bits, but its model is not what it says",
            clock.time
        ),
        Some(d) if d.recorded.is_nan() && d.replayed.is_nan() => {
            format!("{path}: at {} s {} differs", d.time, d.what)
        }
        Some(d) => {
            let more = match d.quantities {
                0 | 1 => String::new(),
                n => format!("; with it {}", counted(n as u64 - 1, "other value")),
            };
            let by = d.replayed - d.recorded;
            let by = if d.path.is_some() && by != 0.0 && by.is_finite() {
                format!(" ({} off)", short(by, 3))
            } else {
                String::new()
            };
            format!(
                "{path}: at {} s {} is {} here and {} in the snapshot{by}{more}",
                d.time,
                d.what,
                number(d.replayed, &d.unit),
                number(d.recorded, &d.unit)
            )
        }
    };
    ui.result("Error", &what, None);
    ui.result("Cause", cause, None);
}
