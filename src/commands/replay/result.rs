//! `twinc replay DIR`: the run of a folder of results done again, with what its `summary.json` says that was asked, and compared
//! with them bit by bit. Those of branches of timelines are run again by `branches`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use twinml_engine::provenance::{self, Digest, Findings, Kind, Manifest, Part, Verdict};
use twinml_engine::snapshot::{Model, Snapshot, hex};
use twinml_solvers::integrator::Method;

use super::branches;
use super::rows::{self, First};
use super::states::Names;
use crate::args::Replay;
use crate::commands::run::again;
use crate::commands::{plot, seal, sign, snapshot, summary, verify};
use crate::exit::Exit;
use crate::model::Place;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::{counted, instant};
use crate::world::{self, Interrupt, Stopwatch};

/// A summary that is larger is none of ours.
const LONGEST_SUMMARY: u64 = 256 << 20;

/// The model of a signed run, beside its results.
const MODEL: &str = "model.twinmodel";

/// What became of one file of results.
#[derive(Serialize, Debug)]
struct Said<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    path: String,
    same: bool,
    rows: Option<u64>,
    what: Option<&'a str>,
    quantity: Option<&'a str>,
    row: Option<u64>,
    at: Option<f64>,
    recorded: Value,
    replayed: Value,
    unit: Option<&'a str>,
    quantities: usize,
    cause: Option<&'a str>,
}

/// Results that are to be done again.
pub struct Results {
    /// Where they are.
    pub folder: PathBuf,
    /// `@600s` where they are of a run that went on from a snapshot.
    from: String,
    /// What their summary says.
    pub summary: Value,
    /// What `bundle.sig` says, where there is one.
    signed: Option<Findings>,
}

/// The results that a target names: a folder, or one of the files in it.
///
/// # Errors
///
/// What is wrong was said.
pub fn results(target: &Path, args: &Replay, ui: &Ui) -> Result<Results, Exit> {
    let refuse = |message: String, help: &str| {
        ui.error(&message, Some(help));
        Exit::Usage
    };
    let shown = world::shown(target);
    if !target.exists() {
        let help = "a folder with the results of `twinc run`, a snapshot, or a job's folder and a sample";
        ui.error(&format!("there is no `{shown}`"), Some(help));
        return Err(Exit::Outside);
    }
    let parent = || match target.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let suffix = |stem: &str, end: &str| name.strip_prefix(stem)?.strip_suffix(end).map(str::to_owned);
    let (folder, from) = if target.is_dir() {
        (target.to_owned(), whole(target, ui)?)
    } else if let Some(from) = suffix("summary", ".json").or_else(|| suffix("bundle", ".sig")) {
        (parent(), from)
    } else {
        // A file of results: the summary beside it lists it.
        let folder = parent();
        let of = summaries(&folder)
            .into_iter()
            .find(|from| read_summary(&folder, from).is_ok_and(|s| files(&s).any(|f| f == name)));
        let Some(from) = of else {
            let help = "`twinc run --out DIR` writes results with the summary that says what was asked";
            return Err(refuse(format!("no `summary.json` beside `{shown}` tells of it"), help));
        };
        (folder, from)
    };
    let path = folder.join(format!("summary{from}.json"));
    let summary = read_summary(&folder, &from).map_err(|why| {
        ui.error(&format!("could not read `{}`: {why}", world::shown(&path)), None);
        Exit::Outside
    })?;
    if summary["type"] != "summary" {
        let help = "of a Monte Carlo job one sample is replayed: `twinc replay DIR#711`";
        return Err(refuse(format!("`{}` is not of `twinc run`", world::shown(&path)), help));
    }
    let path = folder.join(sign::BUNDLE.replace('.', &format!("{from}.")));
    let signed = match world::read(&path) {
        Ok(bytes) => {
            // Whose signature it is, is `verify`'s question: here a folder that cannot be read trusts nobody.
            let trust = sign::own(&args.place).unwrap_or_default();
            let look = &mut |part: &Part| verify::beside(&folder, part);
            Some(provenance::verify(&bytes, Kind::Bundle, &trust, look))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => {
            ui.error(&format!("could not read `{}`: {e}", world::shown(&path)), None);
            return Err(Exit::Outside);
        }
    };
    Ok(Results { folder, from, summary, signed })
}

/// The summary of a folder that is meant: that of a run from its start, or the only one.
///
/// # Errors
///
/// That there is none, or none of the several is meant, was said.
pub fn whole(folder: &Path, ui: &Ui) -> Result<String, Exit> {
    let mut all = summaries(folder);
    if all.iter().any(String::is_empty) {
        return Ok(String::new());
    }
    match all.len() {
        1 => Ok(all.remove(0)),
        0 => {
            let message = format!("`{}` has no `summary.json`: it holds no results", world::shown(folder));
            ui.error(&message, Some("of a Monte Carlo job one sample is replayed: `twinc replay DIR#711`"));
            Err(Exit::Usage)
        }
        _ => {
            let names: Vec<String> = all.iter().map(|from| format!("summary{from}.json")).collect();
            let message = format!("`{}` holds the results of several runs", world::shown(folder));
            ui.error(&message, Some(&format!("name one: {}", names.join(", "))));
            Err(Exit::Usage)
        }
    }
}

/// What stands between `summary` and `.json` in the names of a folder's summaries.
pub fn summaries(folder: &Path) -> Vec<String> {
    let files = world::files(folder, "json").unwrap_or_default();
    let names = files.iter().filter_map(|p| p.file_name()?.to_str());
    names.filter_map(|n| n.strip_prefix("summary")?.strip_suffix(".json").map(str::to_owned)).collect()
}

/// Reads one of a folder's summaries.
///
/// # Errors
///
/// What is wrong with it.
pub fn read_summary(folder: &Path, from: &str) -> Result<Value, String> {
    let bytes = world::read_up_to(&folder.join(format!("summary{from}.json")), LONGEST_SUMMARY);
    serde_json::from_slice(&bytes.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

/// The run and its branches, each with its name.
fn sections(summary: &Value) -> impl Iterator<Item = (Option<&str>, &Value)> {
    let branches = summary["branches"].as_array().map_or(&[][..], Vec::as_slice);
    // A run that goes on in a branch has no trunk.
    let trunk = summary.get("files").is_some().then_some((None, summary));
    trunk.into_iter().chain(branches.iter().map(|b| (b["name"].as_str(), b)))
}

/// Files of results and logs of events.
fn files(summary: &Value) -> impl Iterator<Item = &str> {
    sections(summary).flat_map(|(_, s)| files_of(s))
}

fn files_of(section: &Value) -> impl Iterator<Item = &str> {
    let files = section["files"].as_array().map_or(&[][..], Vec::as_slice);
    let files = files.iter().filter_map(|f| f["path"].as_str());
    files.chain(section["event_log"]["path"].as_str())
}

/// Where the model is.
struct Found {
    file: PathBuf,
    place: Place,
    /// The snapshot that the run went on from.
    from: Option<Snapshot>,
    shown: String,
}

/// The model of results: as named, beside them, or where it was.
fn model(results: &Results, args: &Replay, ui: &Ui) -> Result<Found, Exit> {
    let hash = results.summary["model_hash"].as_str().unwrap_or_default();
    let disk = |file: PathBuf| {
        let shown = world::shown(&file);
        Found { file, place: Place::Disk, from: None, shown }
    };
    if let Some(id) = results.summary["from"].as_str() {
        return before(results, id, args, ui);
    }
    if let Some(file) = &args.model {
        return Ok(disk(file.clone()));
    }
    let path = results.folder.join(MODEL);
    if path.exists() {
        let shown = world::shown(&path);
        let bytes = world::read(&path).map_err(|e| {
            ui.error(&format!("could not read `{shown}`: {e}"), None);
            Exit::Outside
        })?;
        let bytes = seal::opened(bytes, &path, &args.encryption, &args.place, ui)?;
        let model = Model::decode(&bytes).map_err(|e| {
            ui.error(
                &format!("`{shown}` cannot be used: {e}"),
                Some("it is not what was written; `--model FILE` names the model's source instead"),
            );
            Exit::Mismatch
        })?;
        // Of an earlier run in the same place it says nothing.
        if let Some(root) = model.files.first().filter(|_| hex(&model.hash) == hash) {
            let file = PathBuf::from(&root.path);
            return Ok(Found { file, place: Place::Snapshot(Arc::new(model)), from: None, shown });
        }
    }
    let name = results.summary["file"].as_str().unwrap_or_default();
    let sha = results.summary["inputs"][0]["sha256"].as_str().unwrap_or_default();
    let folder = world::absolute(&results.folder);
    let bases = std::iter::once(Path::new("")).chain(folder.ancestors());
    let there: Vec<PathBuf> = bases.map(|base| base.join(name)).filter(|p| p.is_file()).collect();
    let is_it = |p: &&PathBuf| world::read(p).is_ok_and(|bytes| Digest::of(&bytes).to_string() == sha);
    match there.iter().find(is_it).or(there.first()).filter(|_| !name.is_empty()) {
        Some(file) => Ok(disk(file.clone())),
        None => {
            let help = "`--model FILE` names it; `twinc run --sign` keeps it beside the results";
            ui.error(&format!("the model `{name}` is neither here nor above the results"), Some(help));
            Err(Exit::Usage)
        }
    }
}

/// The snapshot that a run went on from: it lies beside the results.
fn before(results: &Results, id: &str, args: &Replay, ui: &Ui) -> Result<Found, Exit> {
    let files = world::files(&results.folder, "twinsnap").unwrap_or_default();
    let quiet = ui.keeping();
    for path in files {
        // What cannot be read is not it.
        let Ok(snap) = snapshot::read(&path, &args.encryption, &args.place, &quiet) else { continue };
        if hex(&snap.id()) == id {
            let file = snap.model.files.first().map(|f| PathBuf::from(&f.path)).unwrap_or_default();
            let (place, shown) = (Place::Disk, world::shown(&path));
            return Ok(Found { file, place, from: Some(snap), shown });
        }
    }
    let help = "put it there; `twinc run --from X.twinsnap --sign` keeps it beside the results";
    ui.error(
        &format!("the snapshot {id}, from which the run went on, is not beside its results"),
        Some(help),
    );
    Err(Exit::Usage)
}

/// Does what the command line asks: results, or all those in a folder's folders.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn run(target: &str, args: &Replay, ui: &Ui) -> Result<Exit, Exit> {
    let interrupt = Interrupt::listen();
    let target = Path::new(target);
    let inner = branches::inner(target);
    if !inner.is_empty() {
        let run = |folder: &Path| one(results(folder, args, ui)?, args, &interrupt, ui);
        return branches::many(inner, args, &interrupt, ui, run);
    }
    let was = results(target, args, ui)?;
    match branches::one(target, &was, args, &interrupt, ui)? {
        Some(exit) => Ok(exit),
        None => one(was, args, &interrupt, ui),
    }
}

/// Does the run of results again.
fn one(was: Results, args: &Replay, interrupt: &Interrupt, ui: &Ui) -> Result<Exit, Exit> {
    let asked = branches::asked(&was, ui)?;
    let found = model(&was, args, ui)?;
    let place = tempfile::Builder::new().prefix("twinc-replay-").tempdir().map_err(|e| {
        ui.error(&format!("there is no place for the results of the run that is done again: {e}"), None);
        Exit::Outside
    })?;
    let text = |key: &str| was.summary[key].as_str().unwrap_or_default();
    let method = was.summary["solver"]["method"].as_str().unwrap_or_default();
    ui.doing("Replaying", &format!("{} of {} with {method}", text("scenario"), found.shown));
    let watch = Stopwatch::start();
    let quiet = ui.keeping();
    let Found { file, place: files, from, .. } = found;
    let done = again(&asked, (file, files), from, place.path().to_owned(), interrupt.clone(), &quiet);
    let ran = match done {
        Ok(_) if interrupt.requested() => return Err(Exit::Interrupted),
        Ok(_) => read_summary(place.path(), &was.from).map_err(|why| {
            ui.error(&format!("the run that was done again left no summary: {why}"), None);
            Exit::Outside
        })?,
        Err(exit) => {
            ui.replay(quiet.kept());
            if exit == Exit::Outside {
                return Err(exit);
            }
            let cause = Causes::of(&was, None, ui)?.cause();
            ui.error(&format!("the run cannot be done again as it was asked for: {cause}"), None);
            return Err(Exit::Mismatch);
        }
    };
    let steps = ran["work"]["steps"].as_u64().unwrap_or(0);
    ui.step("Replayed", &counted(steps, "step"), Some(watch.elapsed()));
    compare(&was, &ran, place.path(), args, ui)
}

/// Compares all that was written.
///
/// # Errors
///
/// The exit code, after saying why nothing can be compared.
pub fn compare(was: &Results, ran: &Value, place: &Path, args: &Replay, ui: &Ui) -> Result<Exit, Exit> {
    let causes = Causes::of(was, Some(ran), ui)?;
    let mut told = Told { causes: &causes, names: Names::default(), exit: Exit::Ok, ui };
    let mut cut = false;
    for (name, section) in sections(&was.summary) {
        let stopped = matches!(section["ended"].as_str(), Some("interrupted" | "time_limit"));
        cut |= stopped;
        for file in files_of(section) {
            let path = was.folder.join(file);
            // A name that leads elsewhere is none that a run writes.
            let plain = Path::new(file).file_name().is_some_and(|n| n == file);
            let replayed = plain.then(|| place.join(file)).filter(|p| p.exists());
            let found = match (path.exists(), replayed) {
                (false, _) => Err(First::other("the file", json!("missing"), Value::Null)),
                (_, None) => Err(First::other("the file", json!("there"), json!("missing"))),
                (true, Some(replayed)) => {
                    let read = |p: &Path| plot::open(p).map_err(|why| (p.to_owned(), why));
                    read(&path)
                        .and_then(|a| {
                            let b = read(&replayed)?;
                            rows::compare(&a, &b, stopped).map_err(|e| (path.clone(), e.to_string()))
                        })
                        .map_err(|(_, why)| First::other("what can be read of it", json!(why), Value::Null))
                }
            };
            match found {
                Ok(found) => told.file(&path, Some((found.rows, found.columns)), found.first.as_ref()),
                Err(first) => told.file(&path, None, Some(&first)),
            }
        }
        if !stopped {
            let other = sections(ran).find(|(n, _)| *n == name).map(|(_, s)| s);
            told.outcome(&was.folder.join(format!("summary{}.json", was.from)), name, section, other);
        }
    }
    if cut {
        ui.warn("the run was stopped from outside: what it wrote until then was compared");
    }
    for path in world::files(place, "twinsnap").unwrap_or_default() {
        let Some(name) = path.file_name() else { continue };
        told.snapshot(&was.folder.join(name), &path, args)?;
    }
    // A signature that does not fit is no match either, whatever the bits are.
    if let Some(signed) = &was.signed {
        let path = was.folder.join(sign::BUNDLE.replace('.', &format!("{}.", was.from)));
        let exit = match &signed.verdict {
            Verdict::Bad { .. } => verify::verdict_line(&signed.verdict, &path, ui),
            verdict => {
                ui.result("Signed", &format!("{}  {}", verdict.word(), world::shown(&path)), None);
                Exit::Ok
            }
        };
        if exit.weight() > told.exit.weight() {
            told.exit = exit;
        }
    }
    Ok(told.exit)
}

/// Says what became of each file.
struct Told<'a> {
    causes: &'a Causes<'a>,
    names: Names,
    exit: Exit,
    ui: &'a Ui,
}

impl Told<'_> {
    fn file(&mut self, path: &Path, size: Option<(u64, usize)>, first: Option<&First>) {
        let shown = world::shown(path);
        let same = match size {
            Some((rows, columns)) => {
                let (rows, columns) = (counted(rows, "row"), counted(columns as u64, "column"));
                format!("{shown}: every bit of {rows} of {columns}")
            }
            None => shown.clone(),
        };
        self.say(&shown, size.map(|s| s.0), &same, first);
    }

    /// What the summary says of a run beside its files: verdicts, figures, last values, counts.
    fn outcome(&mut self, path: &Path, branch: Option<&str>, was: &Value, is: Option<&Value>) {
        /// Those of the model and the machine say why, not what.
        const NOT: [&str; 10] = [
            "files",
            "event_log",
            "branches",
            "compiler",
            "machine",
            "asked",
            "from",
            "branched",
            "file",
            "inputs",
        ];
        let bare = |v: &Value| {
            let mut v = v.clone();
            if let Value::Object(members) = &mut v {
                members.retain(|name, _| !NOT.contains(&name.as_str()));
            }
            v
        };
        let shown = world::shown(path);
        let of = branch.map_or(String::new(), |b| format!(" of the branch `{b}`"));
        let found = rows::first_in("", &bare(was), &is.map_or(Value::Null, bare));
        let first = found.map(|(path, a, b)| First::other(format!("`{path}`{of}"), a, b));
        let same = format!("{shown}: verdicts, figures, last values and counts{of}");
        self.say(&shown, None, &same, first.as_ref());
    }

    fn snapshot(&mut self, path: &Path, replayed: &Path, args: &Replay) -> Result<(), Exit> {
        let shown = world::shown(path);
        let again = snapshot::read(replayed, &args.encryption, &args.place, self.ui)?;
        if !path.exists() {
            let first = First::other("the snapshot", json!("missing"), json!("there"));
            self.say(&shown, None, &shown, Some(&first));
            return Ok(());
        }
        let was = snapshot::read(path, &args.encryption, &args.place, self.ui)?;
        let first = self.names.first(&was, &again, self.ui);
        let at = was.state.clock.time;
        let same = format!("{shown}: every bit of the state at {at} s");
        self.say(&shown, None, &same, first.as_ref());
        Ok(())
    }

    fn say(&mut self, path: &str, rows: Option<u64>, same: &str, first: Option<&First>) {
        let cause = first.map(|_| self.causes.cause());
        self.ui.object(&Said {
            kind: "replayed_result",
            version: VERSION,
            path: path.to_owned(),
            same: first.is_none(),
            rows,
            what: first.map(|f| &*f.what),
            quantity: first.and_then(|f| f.quantity.as_deref()),
            row: first.and_then(|f| f.row),
            at: first.and_then(|f| f.at),
            recorded: first.map_or(Value::Null, |f| f.recorded.clone()),
            replayed: first.map_or(Value::Null, |f| f.replayed.clone()),
            unit: first.map(|f| &*f.unit),
            quantities: first.map_or(0, |f| f.quantities),
            cause: cause.as_deref(),
        });
        let Some(f) = first else {
            self.ui.result("Same", same, None);
            return;
        };
        let when = f.at.map_or(String::new(), |t| format!("at {} ", instant(t)));
        let unit = if f.unit.is_empty() { String::new() } else { format!(" {}", f.unit) };
        let value = |v: &Value| match v {
            Value::Null => "nothing".to_owned(),
            Value::String(text) => verify::plain(text),
            v => format!("{v}{unit}"),
        };
        let differs = if f.recorded == f.replayed {
            "differs".to_owned()
        } else {
            format!("is {} here and {} in the results", value(&f.replayed), value(&f.recorded))
        };
        let more = match f.quantities {
            0 | 1 => String::new(),
            n => format!("; with it {}", counted(n as u64 - 1, &format!("other {}", f.counted))),
        };
        self.ui.result("Error", &format!("{path}: {when}{} {differs}{more}", f.what), None);
        self.ui.result("Cause", cause.as_deref().unwrap_or_default(), None);
        self.exit = Exit::Mismatch;
    }
}

/// What may be why bits differ.
pub struct Causes<'a> {
    was: &'a Results,
    ran: Option<&'a Value>,
    here: Vec<(String, String)>,
}

impl<'a> Causes<'a> {
    /// Of results, and of what the run that was done again says of itself.
    ///
    /// # Errors
    ///
    /// `TWINC_ISA` names nothing: that was said.
    pub fn of(was: &'a Results, ran: Option<&'a Value>, ui: &Ui) -> Result<Causes<'a>, Exit> {
        Ok(Causes { was, ran, here: sign::machine(ui)?.into_iter().collect() })
    }

    fn manifest(&self) -> Option<&Manifest> {
        self.was.signed.as_ref()?.manifest.as_ref()
    }

    /// Files of the results that are not what was signed.
    fn altered(&self) -> Vec<String> {
        let parts = self.manifest().map_or(&[][..], |m| &m.subject.parts);
        let other = parts.iter().filter(|part| {
            verify::beside(&self.was.folder, part)
                .is_ok_and(|(length, digest)| length != part.length || digest != part.sha256)
        });
        other.map(|part| format!("`{}`", part.name)).collect()
    }

    /// Files of the model that are not what the run was made of.
    fn inputs(&self) -> Vec<String> {
        let Some(ran) = self.ran else { return Vec::new() };
        let of = |summary: &Value| {
            let all = summary["inputs"].as_array().cloned().unwrap_or_default();
            let one = |i: Value| {
                let text = |k: &str| i[k].as_str().map(str::to_owned);
                Some(((text("role")?, text("name")?), text("sha256")?))
            };
            all.into_iter().filter_map(one).collect::<Vec<_>>()
        };
        let now = of(ran);
        let was = match self.manifest() {
            Some(m) => m
                .subject
                .inputs
                .iter()
                .map(|i| ((i.role.clone(), i.name.clone()), i.sha256.to_string()))
                .collect(),
            None => of(&self.was.summary),
        };
        let other = now
            .iter()
            .filter(|(name, sha)| was.iter().find(|(n, _)| n == name).is_none_or(|(_, s)| s != sha));
        other.map(|((_, name), _)| format!("`{name}`")).collect()
    }

    /// Why, as far as that can be known.
    pub fn cause(&self) -> String {
        let inputs = self.inputs();
        let altered = self.altered();
        if !altered.is_empty() {
            return format!("altered since it was signed: {}", altered.join(", "));
        }
        if !inputs.is_empty() {
            return format!("another input: {} changed since the run", inputs.join(", "));
        }
        let compiler = summary::compiler();
        let by = self.was.summary["compiler"].as_str().unwrap_or_default();
        let by = self.manifest().map_or(by, |m| &m.subject.compiler);
        if by != compiler {
            return format!("another version: the results were made by {by}, this is {compiler}");
        }
        for (name, here) in &self.here {
            let there = match self.manifest() {
                Some(m) => m.subject.machine.get(name).map(String::as_str),
                None => self.was.summary["machine"][name].as_str(),
            };
            if let Some(there) = there.filter(|there| there != here && name != "os") {
                return format!("another machine: {name} {there} there, {here} here");
            }
        }
        let method = self.was.summary["solver"]["method"].as_str().unwrap_or_default();
        if let Some(method @ (Method::Esdirk | Method::Trbdf2 | Method::DiffsolBdf)) =
            Method::from_name(method)
        {
            let name = method.name();
            return format!(
                "another kind of machine, or the results were altered: `{name}` has the same bits on machines of one kind only"
            );
        }
        "the results were altered, or they were made by another build of twinc or on a machine without fused multiplications"
            .to_owned()
    }
}
