//! `twinc snapshot`, and what `twinc run` needs of snapshots: what they hold of the host's side, where they go, how one
//! becomes a run again.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use twinml_compiler::driver::Branch;
use twinml_engine::record::{self, NoRecorder, Recorder};
use twinml_engine::run::{self, Flow, Keep, OpenLog, Outlet, Prepared, RunError};
use twinml_engine::snapshot::{Origin, Scenario, Snapshot, SnapshotError, State, hex};
use twinml_model::program::{Experiment, Program};
use twinml_model::schema::{Kind, Role};

use super::job::{self, Flags, Job, Ready};
use super::vault::Vault;
use super::{compile, seal, summary};
use crate::args::keys::{self, Encryption};
use crate::args::{
    Compile, Simulation, SnapshotCommand, SnapshotExtract, SnapshotShow, SnapshotSign, SnapshotTake,
};
use crate::exit::Exit;
use crate::model::{self, Place};
use crate::ui::Ui;
use crate::ui::json::{VERSION, Written};
use crate::ui::numbers::{counted, duration};
use crate::world;

/// Does what is asked with snapshots.
pub fn run(args: &crate::args::Snapshot, ui: &Ui) -> Exit {
    let done = match &args.command {
        SnapshotCommand::Take(args) => take(args, ui),
        SnapshotCommand::Show(args) => show(args, ui),
        SnapshotCommand::Extract(args) => extract(args, ui),
        SnapshotCommand::Sign(args) => sign(args, ui),
    };
    match done {
        Ok(exit) | Err(exit) => exit,
    }
}

/// What the command line added to a scenario: with it the model of a snapshot compiles to the same run.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Request {
    /// How the model was compiled.
    pub compile: Compile,
    /// How it was simulated.
    pub simulation: Simulation,
    /// Whether results are in SI units.
    pub si: bool,
}

/// Who writes the snapshots of a run.
pub struct Shelf<'r> {
    /// The run.
    pub ready: &'r Ready,
    /// What was asked for.
    pub request: &'r Request,
    /// The snapshot that the run goes on from.
    pub parent: Option<[u8; 32]>,
    /// What signs and encrypts them.
    pub vault: &'r Vault,
    /// What the log of operations calls it.
    pub operation: &'static str,
    /// Files that were written.
    pub written: RefCell<Vec<PathBuf>>,
}

impl Shelf<'_> {
    /// A state as a snapshot.
    pub fn snapshot(
        &self,
        state: State,
        experiment: &Experiment,
        branch: Option<&Branch>,
    ) -> Option<Snapshot> {
        let request = serde_json::to_string(self.request).ok()?;
        let scenario = Scenario {
            name: self.ready.experiment.name.clone(),
            twin: self.ready.program.name.clone(),
            branch: branch.map_or_else(String::new, |b| b.name.clone()),
            request,
            seed: experiment.seed,
            run: 0,
            solver: self.ready.method.name().to_owned(),
            duration: experiment.duration,
            parameters: self.ready.parameters().to_string(),
        };
        let model = self.ready.bundle.clone()?;
        let (scenario, parent) = (Arc::new(scenario), self.parent);
        Some(Snapshot { model, scenario, state, parent, envelope: Vec::new() })
    }

    /// Writes one, whole or not at all.
    pub fn write(
        &self,
        path: PathBuf,
        state: State,
        experiment: &Experiment,
        branch: Option<&Branch>,
    ) -> Result<(), record::RecordError> {
        self.put(&path, state, experiment, branch)?;
        self.written.borrow_mut().push(path);
        Ok(())
    }

    /// The same of a run that is not this one: who asks knows what was written.
    pub fn put(
        &self,
        path: &Path,
        state: State,
        experiment: &Experiment,
        branch: Option<&Branch>,
    ) -> Result<(), record::RecordError> {
        // The model is at hand wherever snapshots are asked for.
        match self.snapshot(state, experiment, branch) {
            Some(snapshot) => self.vault.put(path, self.operation, snapshot),
            None => Ok(()),
        }
    }
}

/// An instant as a part of a file's name: exact, in seconds.
pub fn instant(ns: i128) -> String {
    let (whole, rest) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let rest = format!("{rest:09}");
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { format!("{whole}s") } else { format!("{whole}.{rest}s") }
}

/// An instant of the command line in nanoseconds; `0` is the start.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn nanoseconds(flag: &str, text: &str, ui: &Ui) -> Result<i128, Exit> {
    if text.trim() == "0" || text.trim() == "0 s" || text.trim() == "0s" {
        return Ok(0);
    }
    let seconds = model::duration(text).map_err(|why| {
        ui.error(&format!("`--{flag}`: {why}"), None);
        Exit::Usage
    })?;
    Ok((seconds * 1e9).round() as i128)
}

/// Reads a snapshot; an encrypted one with the key that is named, or that the environment names.
///
/// # Errors
///
/// The exit code, after saying why: [`Exit::Mismatch`] for what is no longer what was written.
pub fn read(path: &Path, encryption: &Encryption, place: &keys::Place, ui: &Ui) -> Result<Snapshot, Exit> {
    let name = world::shown(path);
    let bytes = world::read(path).map_err(|e| {
        let message = match e.kind() {
            ErrorKind::NotFound => format!("there is no file `{name}`"),
            _ => format!("could not read `{name}`: {e}"),
        };
        ui.error(&message, None);
        Exit::Outside
    })?;
    let bytes = seal::opened(bytes, path, encryption, place, ui)?;
    Snapshot::decode(&bytes).map_err(|e| {
        let (help, exit) = match &e {
            SnapshotError::Container(what) if what.at == 0 => (
                "a snapshot is what `twinc snapshot take` and `twinc run --snapshot-every` write",
                Exit::Usage,
            ),
            SnapshotError::Version { .. } | SnapshotError::Unknown { .. } => {
                ("a later version of twinc wrote it, which reads it, too", Exit::Usage)
            }
            _ => ("it is not what was written: take it from where it was kept unchanged", Exit::Mismatch),
        };
        ui.error(&format!("`{name}` cannot be used: {e}"), Some(help));
        exit
    })
}

/// What a snapshot was made by.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn request(snapshot: &Snapshot, ui: &Ui) -> Result<Request, Exit> {
    serde_json::from_str(&snapshot.scenario.request).map_err(|e| {
        ui.error(
            &format!("what the snapshot was asked with cannot be read: {e}"),
            Some("another program made it, or another version of this one"),
        );
        Exit::Usage
    })
}

/// Compiles the model of a snapshot to the run that it is of.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn load(snapshot: &Snapshot, request: &Request, flags: &mut Flags, ui: &Ui) -> Result<Job, Exit> {
    let Some(root) = snapshot.model.files.first() else {
        ui.error("the snapshot holds no model", None);
        return Err(Exit::Mismatch);
    };
    let file = PathBuf::from(&root.path);
    flags.place = Place::Snapshot(snapshot.model.clone());
    flags.keeps = true;
    let session = compile::open_in(&flags.place, &file, ui)?;
    let compile = Compile { emit: None, ..request.compile.clone() };
    let Some(job) = job::load(&file, &compile, flags, session, 0, ui)? else { return Err(Exit::Usage) };
    let made = job.ready.bundle.as_ref().map(|m| m.program);
    if made != Some(snapshot.model.program) {
        let by = if snapshot.model.compiler == summary::compiler() {
            "by another build of it".to_owned()
        } else {
            format!("by {}, this is {}", snapshot.model.compiler, summary::compiler())
        };
        ui.error(
            &format!("the snapshot's model compiles to another program here: it was made {by}"),
            Some("`twinc snapshot extract` unpacks the model, which runs from its start"),
        );
        return Err(Exit::Mismatch);
    }
    Ok(job)
}

/// The branch of a compiled scenario that a snapshot was taken of.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn branch<'b>(snapshot: &Snapshot, branches: &'b [Branch], ui: &Ui) -> Result<Option<&'b Branch>, Exit> {
    let name = &snapshot.scenario.branch;
    if name.is_empty() {
        return Ok(None);
    }
    branches.iter().find(|b| b.name == *name).map(Some).ok_or_else(|| {
        ui.error(&format!("the snapshot is of the branch `{name}`, which its model does not have"), None);
        Exit::Mismatch
    })
}

/// Signs a snapshot that is there. What computed it is not known here, and the manifest does not say it.
fn sign(args: &SnapshotSign, ui: &Ui) -> Result<Exit, Exit> {
    let mut signing = args.signing.clone();
    signing.sign.get_or_insert_default();
    // First what may have to be unsealed: a signer may hold the only connection that its TPM takes.
    let snapshot = read(&args.snapshot, &args.encryption, &signing.place, ui)?;
    let vault = Vault::open(&signing, &args.encryption, ui)?.unknown_machine();
    let path = args.out.as_deref().unwrap_or(&args.snapshot);
    vault.put(path, "snapshot sign", snapshot).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })?;
    ui.result("Signed", &world::shown(path), None);
    ui.object(&Written::file(path, "snapshot"));
    Ok(Exit::Ok)
}

fn take(args: &SnapshotTake, ui: &Ui) -> Result<Exit, Exit> {
    let mut flags = Flags::read(&args.simulation, ui)?;
    flags.keeps = true;
    let vault = Vault::open(&args.signing, &args.encryption, ui)?;
    let at = nanoseconds("at", &args.at, ui)?;
    let session = compile::open(&args.file, ui)?;
    let Some(job) = job::load(&args.file, &args.compile, &flags, session, 0, ui)? else {
        return Ok(Exit::Ok);
    };
    let Job { ready, mut machine, .. } = job;
    let experiment = &ready.experiment;
    if at as f64 / 1e9 > experiment.duration {
        ui.error(
            &format!("the run ends at {}, before {}", duration(experiment.duration), args.at),
            Some("a later `--until` makes it longer"),
        );
        return Err(Exit::Usage);
    }
    let path = args.out.clone().unwrap_or_else(|| {
        let name = format!("{}@{}.twinsnap", experiment.name, instant(at));
        world::default_out(&args.file).join(name)
    });
    let request = Request { compile: args.compile.clone(), simulation: args.simulation.clone(), si: args.si };
    let shelf = Shelf {
        ready: &ready,
        request: &request,
        parent: None,
        vault: &vault,
        operation: "snapshot take",
        written: RefCell::default(),
    };
    let taken: Cell<Option<f64>> = Cell::new(None);
    let keep = Keep::at(at, |state| {
        taken.set(Some(state.clock.time));
        shelf.write(path.clone(), state, experiment, None)
    });
    let failed = |e: RunError| {
        ui.error(&e.to_string(), None);
        if matches!(e, RunError::Record(_)) { Exit::Outside } else { Exit::Usage }
    };
    let plans = run::plans(&ready.program, experiment, args.si).map_err(|e| failed(RunError::Record(e)))?;
    let outlet = |plan: run::Plan| {
        let recorder = Box::new(NoRecorder::new(plan.columns().clone()));
        Outlet { plan, recorder }
    };
    let outlets = plans.into_iter().map(outlet).collect();
    let log: OpenLog<'_> = Box::new(|columns| Ok(Box::new(NoRecorder::new(columns)) as Box<dyn Recorder>));
    let prepared = Prepared::new(&ready.program, &mut *machine, experiment).map_err(failed)?;
    let watch = &mut |_| if taken.get().is_some() { Flow::Stop } else { Flow::Continue };
    let (program, log) = (&*ready.program, Some(log));
    let report = prepared.run_kept(program, &*machine, experiment, None, outlets, log, Some(keep), watch);
    let report = report.map_err(failed)?;
    let Some(time) = taken.get() else {
        ui.error(
            &format!("the run ended at {}, before {}", duration(report.time), args.at),
            Some("`twinc run` says why it ended"),
        );
        return Err(Exit::Simulation);
    };
    ui.result("Snapshot", &format!("at {}, of the step at {time} s", duration(at as f64 / 1e9)), None);
    ui.result("Written", &world::shown(&path), None);
    ui.object(&Written::file(&path, "snapshot"));
    Ok(Exit::Ok)
}

/// What a snapshot is, for programs.
fn told(snapshot: &Snapshot) -> Value {
    let (m, s, c) = (&snapshot.model, &snapshot.scenario, &snapshot.state.clock);
    let files: Vec<Value> = m
        .files
        .iter()
        .map(|f| json!({ "path": f.path, "origin": f.origin.name(), "bytes": f.bytes.len() }))
        .collect();
    let sections: Vec<Value> = snapshot
        .sections()
        .iter()
        .map(|e| {
            json!({
                "tag": e.tag.to_string(),
                "what": e.tag.what(),
                "version": e.version,
                "bytes": e.length,
                "sha256": hex(&e.sha256),
            })
        })
        .collect();
    json!({
        "type": "snapshot",
        "version": VERSION,
        "id": hex(&snapshot.id()),
        "parent": snapshot.parent.map(|p| hex(&p)),
        "model_hash": hex(&m.hash),
        "program_hash": hex(&m.program),
        "compiler": m.compiler,
        "files": files,
        "twin": s.twin,
        "scenario": s.name,
        "branch": Some(&s.branch).filter(|b| !b.is_empty()),
        "seed": s.seed,
        "run": s.run,
        "solver": s.solver,
        "duration": s.duration,
        "request": serde_json::from_str(&s.request).unwrap_or(Value::Null),
        "parameters": serde_json::from_str(&s.parameters).unwrap_or(Value::Null),
        "asked": c.asked as f64 / 1e9,
        "time": c.time,
        "restart": c.restart,
        "steps": c.steps,
        "events": c.events,
        "samples": c.samples,
        "envelope_bytes": snapshot.envelope.len(),
        "sections": sections,
    })
}

/// `12 kB`
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn show(args: &SnapshotShow, ui: &Ui) -> Result<Exit, Exit> {
    let snapshot = read(&args.snapshot, &args.encryption, &args.place, ui)?;
    ui.object(&told(&snapshot));
    let (m, s, c) = (&snapshot.model, &snapshot.scenario, &snapshot.state.clock);
    ui.result("Snapshot", &hex(&snapshot.id()), None);
    let bytes = m.files.iter().map(|f| f.bytes.len() as u64).sum();
    let root = m.files.first().map_or("", |f| &f.path);
    let files = counted(m.files.len() as u64, "file");
    ui.result("Model", &format!("{root} ({files}, {}), made by {}", size(bytes), m.compiler), None);
    ui.result("", &hex(&m.hash), None);
    let branch = if s.branch.is_empty() { String::new() } else { format!(", branch {}", s.branch) };
    let end = duration(s.duration);
    ui.result(
        "Scenario",
        &format!("{}{branch} for {} to {end} with {}, seed {}", s.name, s.twin, s.solver, s.seed),
        None,
    );
    let asked = duration(c.asked as f64 / 1e9);
    let (steps, events) = (counted(c.steps, "step"), counted(c.events, "event"));
    ui.result("Time", &format!("{asked}: the step at {} s, after {steps} and {events}", c.time), None);
    if let Some(restart) = c.restart {
        ui.result("", &format!("as the solver began anew at {restart} s, and goes on from there"), None);
    }
    ui.result("Parent", &snapshot.parent.map_or("none".to_owned(), |p| hex(&p)), None);
    let envelope = match snapshot.envelope.len() as u64 {
        0 => "none".to_owned(),
        n => size(n),
    };
    ui.result("Envelope", &envelope, None);
    let sections = snapshot.sections();
    let wide = sections.iter().map(|e| e.tag.what().len()).max().unwrap_or(0);
    for (k, e) in sections.iter().enumerate() {
        let line =
            format!("{}  {:wide$}  {:>8}  {}", e.tag, e.tag.what(), size(e.length), hex(&e.sha256[..8]));
        ui.result(if k == 0 { "Sections" } else { "" }, &line, None);
    }
    Ok(Exit::Ok)
}

/// Where a file of a model goes below a folder: never outside of it.
fn below(folder: &Path, path: &str) -> PathBuf {
    let mut out = folder.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => out.push("_up"),
            Component::RootDir => out.push("_root"),
            Component::Prefix(_) | Component::CurDir => {}
        }
    }
    out
}

fn extract(args: &SnapshotExtract, ui: &Ui) -> Result<Exit, Exit> {
    let snapshot = read(&args.snapshot, &args.encryption, &args.place, ui)?;
    let write = |path: PathBuf, bytes: &[u8], what: &'static str| {
        record::file::write_atomic(&path, bytes).map_err(|e| {
            ui.error(&e.to_string(), None);
            Exit::Outside
        })?;
        ui.object(&Written::file(&path, what));
        Ok::<(), Exit>(())
    };
    for file in &snapshot.model.files {
        let folder = args.out.join(if file.origin == Origin::Library { "library" } else { "model" });
        write(below(&folder, &file.path), &file.bytes, file.origin.name())?;
    }
    let pretty = |v: &Value| format!("{v:#}\n");
    write(args.out.join("snapshot.json"), pretty(&told(&snapshot)).as_bytes(), "snapshot")?;
    let parameters = serde_json::from_str(&snapshot.scenario.parameters).unwrap_or(Value::Null);
    write(args.out.join("parameters.json"), pretty(&parameters).as_bytes(), "parameters")?;
    // Values have names where the model compiles to the program that they are of.
    let request = request(&snapshot, ui)?;
    let mut flags = Flags::read(&request.simulation, ui)?;
    let job = load(&snapshot, &request, &mut flags, ui)?;
    let table = state(&job.ready.program, &snapshot.state).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Mismatch
    })?;
    write(args.out.join("state.csv"), table.as_bytes(), "state")?;
    ui.result("Written", &format!("{} (model, parameters, state)", world::shown(&args.out)), None);
    Ok(Exit::Ok)
}

/// All values of a state by path: `path,role,value,unit`, in the units that people see.
fn state(program: &Program, state: &State) -> Result<String, SnapshotError> {
    let memory = run::memory_of(program, state)?;
    let mut table = String::from("path,role,value,unit\n");
    table.push_str(&format!("time,time,{},s\n", state.clock.time));
    for v in &program.schema.vars {
        let role = match v.role {
            Role::Parameter => "parameter",
            Role::Input => "input",
            Role::Output => "output",
            Role::State => "state",
            Role::Discrete => "discrete",
            Role::Variable => "variable",
        };
        for k in 0..v.len {
            let Some(&x) = memory.space(v.space).get((v.base + k) as usize) else { continue };
            let value = match v.kind {
                Kind::Real => ((x - v.unit.offset) / v.unit.scale).to_string(),
                Kind::Int => (x as i64).to_string(),
                Kind::Bool => (x != 0.0).to_string(),
                Kind::Enum(id) => {
                    let words = program.schema.enums.get(id.index()).map(|e| e.values.as_slice());
                    words.and_then(|w| w.get(x as usize)).cloned().unwrap_or_default()
                }
            };
            table.push_str(&format!(
                "{},{role},{value},{}\n",
                field(&v.element_path(k)),
                field(&v.unit.symbol)
            ));
        }
    }
    Ok(table)
}

/// A field of a CSV.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_name_files_exactly() {
        for (ns, name) in [(0, "0s"), (600_000_000_000, "600s"), (1, "0.000000001s"), (1_500_000_000, "1.5s")]
        {
            assert_eq!(instant(ns), name);
        }
    }

    #[test]
    fn nothing_is_unpacked_outside_of_its_folder() {
        assert_eq!(below(Path::new("x"), "../../etc/passwd"), Path::new("x/_up/_up/etc/passwd"));
        assert_eq!(below(Path::new("x"), "/etc/passwd"), Path::new("x/_root/etc/passwd"));
        assert_eq!(below(Path::new("x"), "a/b.csv"), Path::new("x/a/b.csv"));
    }
}
