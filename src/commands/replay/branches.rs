//! `twinc replay DIR` of results of `twinc branch`, one or a folder of them: what one call branched off is compiled once and
//! run again together, as it was.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use twinml_engine::snapshot::{Snapshot, hex};
use twinml_engine::timeline::{Id, Store as _, StoreError};

use super::result::{Causes, Results, compare, read_summary, results, summaries, whole};
use crate::args::Replay;
use crate::commands::asked::Asked;
use crate::commands::branch::{Again, Branched};
use crate::commands::{snapshot, timeline};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::numbers::counted;
use crate::world::{self, Interrupt, Stopwatch};

/// Branches that are run again before they are compared: their results take room until then.
const AT_ONCE: usize = 256;

/// Results of branches of one call.
#[derive(PartialEq)]
struct Group {
    /// What they have in common: the call, what was asked, the snapshot.
    common: Value,
    /// Each one's folder, or its summary, and its name.
    each: Vec<(PathBuf, Option<String>)>,
}

/// What a summary says of the branch that it is of; `None`: it is of none.
///
/// # Errors
///
/// What cannot be read was said.
fn branched(summary: &Value, ui: &Ui) -> Result<Option<Branched>, Exit> {
    match &summary["branched"] {
        Value::Null => Ok(None),
        value => serde_json::from_value(value.clone()).map(Some).map_err(|e| {
            ui.error(&format!("which branch it is cannot be read: {e}"), None);
            Exit::Usage
        }),
    }
}

impl Group {
    fn of(target: &Path, branched: Branched, summary: &Value) -> Group {
        let each = vec![(target.to_owned(), branched.name.clone())];
        let common = json!({
            "call": Branched { name: None, node: None, ..branched }.value(),
            "asked": summary["asked"],
            "from": summary["from"],
        });
        Group { common, each }
    }
}

/// Does results of a branch again; `None` where they are of none.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn one(
    target: &Path,
    was: &Results,
    args: &Replay,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Option<Exit>, Exit> {
    match branched(&was.summary, ui)? {
        Some(branched) => again(&Group::of(target, branched, &was.summary), args, interrupt, ui).map(Some),
        None => Ok(None),
    }
}

/// The folders in a folder that has no results itself, but whose folders have.
pub fn inner(target: &Path) -> Vec<PathBuf> {
    if !target.is_dir() || !summaries(target).is_empty() {
        return Vec::new();
    }
    let mut inner = world::folders(target).unwrap_or_default();
    inner.retain(|folder| !summaries(folder).is_empty());
    inner
}

/// Does all results in a folder's folders again: first those of runs, each with `run`, then those of branches.
///
/// # Errors
///
/// The exit code, after saying why; what is wrong with some of them does not keep the others.
pub fn many(
    folders: Vec<PathBuf>,
    args: &Replay,
    interrupt: &Interrupt,
    ui: &Ui,
    run: impl Fn(&Path) -> Result<Exit, Exit>,
) -> Result<Exit, Exit> {
    let mut exits = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    for folder in folders {
        let found = whole(&folder, ui).and_then(|from| {
            let summary = read_summary(&folder, &from).map_err(|why| {
                ui.error(&format!("could not read the summary of `{}`: {why}", world::shown(&folder)), None);
                Exit::Outside
            })?;
            match branched(&summary, ui)? {
                Some(branched) => Ok(Some(Group::of(&folder, branched, &summary))),
                None => run(&folder).map(|exit| {
                    exits.push(exit);
                    None
                }),
            }
        });
        match found {
            Err(Exit::Interrupted) => return Err(Exit::Interrupted),
            Err(exit) => exits.push(exit),
            Ok(None) => {}
            Ok(Some(group)) => match groups.iter_mut().find(|g| g.common == group.common) {
                Some(own) => own.each.extend(group.each),
                None => groups.push(group),
            },
        }
    }
    for group in &groups {
        match again(group, args, interrupt, ui) {
            Err(Exit::Interrupted) => return Err(Exit::Interrupted),
            Ok(exit) | Err(exit) => exits.push(exit),
        }
    }
    Ok(exits.into_iter().max_by_key(|e| e.weight()).unwrap_or(Exit::Ok))
}

/// Runs the branches of a group again and compares each.
fn again(group: &Group, args: &Replay, interrupt: &Interrupt, ui: &Ui) -> Result<Exit, Exit> {
    // There is at least one: a group is made of it.
    let Some((first, _)) = group.each.first() else { return Ok(Exit::Ok) };
    let was = results(first, args, ui)?;
    let asked = asked(&was, ui)?;
    let Some(of) = branched(&was.summary, ui)? else { return Ok(Exit::Ok) };
    let (from, shown) = grown_from(&was, &of, args, ui)?;
    let names: Vec<Option<&str>> = group.each.iter().map(|(_, name)| name.as_deref()).collect();
    let what = match names[..] {
        [Some(name)] => format!("`{name}`"),
        [None] => format!("what `{}` is unchanged", of.call.of),
        _ => counted(names.len() as u64, "run"),
    };
    let method = was.summary["solver"]["method"].as_str().unwrap_or_default();
    ui.doing("Replaying", &format!("{what} from {shown} with {method}"));
    let impossible = |exit: Exit, quiet: Ui| {
        ui.replay(quiet.kept());
        if matches!(exit, Exit::Outside | Exit::Interrupted) {
            return Ok(exit);
        }
        let cause = Causes::of(&was, None, ui)?.cause();
        ui.error(&format!("the branch cannot be run again as it was asked for: {cause}"), None);
        Ok(Exit::Mismatch)
    };
    let watch = Stopwatch::start();
    let quiet = ui.keeping();
    let mut compiled = match Again::compile(&of, &names, &asked, &from, &quiet) {
        Ok(compiled) => compiled,
        Err(exit) => return Err(impossible(exit, quiet)?),
    };
    ui.step("Compiled", &what, Some(watch.elapsed()));
    let mut exit = Exit::Ok;
    let all: Vec<usize> = (0..group.each.len()).collect();
    for some in all.chunks(AT_ONCE) {
        let place = tempfile::Builder::new().prefix("twinc-replay-").tempdir().map_err(|e| {
            ui.error(&format!("there is no place for the results of what is run again: {e}"), None);
            Exit::Outside
        })?;
        let folder = |k: usize| place.path().join(k.to_string());
        let which: Vec<(usize, PathBuf)> = some.iter().map(|k| (*k, folder(*k))).collect();
        let watch = Stopwatch::start();
        let quiet = ui.keeping();
        if let Err(exit) = compiled.run(&which, interrupt, &quiet) {
            return Err(impossible(exit, quiet)?);
        }
        ui.step("Replayed", &counted(some.len() as u64, "run"), Some(watch.elapsed()));
        for k in some {
            let was = results(&group.each[*k].0, args, ui)?;
            let ran = read_summary(&folder(*k), "").map_err(|why| {
                ui.error(&format!("the run that was done again left no summary: {why}"), None);
                Exit::Outside
            })?;
            let own = compare(&was, &ran, &folder(*k), args, ui)?;
            exit = [exit, own].into_iter().max_by_key(|e| e.weight()).unwrap_or(exit);
        }
    }
    Ok(exit)
}

/// What a summary says that was asked.
///
/// # Errors
///
/// What cannot be read was said.
pub fn asked(was: &Results, ui: &Ui) -> Result<Asked, Exit> {
    match &was.summary["asked"] {
        Value::Null => {
            let help = "those of earlier versions do not; `twinc run` or `twinc branch` them anew";
            ui.error("the summary does not say what the run was asked with", Some(help));
            Err(Exit::Usage)
        }
        asked => serde_json::from_value(asked.clone()).map_err(|e| {
            ui.error(&format!("what the run was asked with cannot be read: {e}"), None);
            Exit::Usage
        }),
    }
}

/// The snapshot that a branch grew from: beside its results, above them, or in the store; and where that is.
fn grown_from(was: &Results, of: &Branched, args: &Replay, ui: &Ui) -> Result<(Snapshot, String), Exit> {
    let id = was.summary["from"].as_str().unwrap_or_default();
    let folder = world::absolute(&was.folder);
    let quiet = ui.keeping();
    for beside in folder.ancestors().take(2) {
        for path in world::files(beside, "twinsnap").unwrap_or_default() {
            // What cannot be read is not it.
            let Ok(snap) = snapshot::read(&path, &args.encryption, &args.place, &quiet) else { continue };
            if hex(&snap.id()) == id {
                let shown = was.folder.join(path.file_name().unwrap_or_default());
                return Ok((snap, world::shown(&shown)));
            }
        }
    }
    let bases = std::iter::once(Path::new("")).chain(folder.ancestors());
    let stores = bases.map(|base| base.join(&args.store)).filter(|path| path.is_file());
    for path in stores {
        let store = timeline::existing(&path, &args.encryption, &args.place, ui)?;
        let Ok(root) = of.call.root.parse::<Id>() else { break };
        let bytes = match store.part(&root, timeline::SNAPSHOT) {
            Ok(bytes) => bytes,
            Err(StoreError::Unknown { .. } | StoreError::NoPart { .. }) => continue,
            Err(e) => return Err(timeline::refuse(&e, ui)),
        };
        let shown = format!("{} in {}", timeline::short(&root), world::shown(&path));
        let snap = Snapshot::decode(&bytes).map_err(|e| {
            ui.error(&format!("the snapshot {shown} cannot be used: {e}"), None);
            Exit::Mismatch
        })?;
        if hex(&snap.id()) == id {
            return Ok((snap, shown));
        }
    }
    let (of, store) = (&of.call.of, world::shown(&args.store));
    ui.error(
        &format!(
            "the snapshot {id}, from which `{of}` grew, is neither beside the results of `{}` nor in the store `{store}`",
            world::shown(&was.folder)
        ),
        Some(
            "`twinc timeline add FILE` keeps it there again, `--store FILE` names another store; `twinc branch --sign` puts it beside the results",
        ),
    );
    Err(Exit::Usage)
}
