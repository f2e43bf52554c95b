//! `twinc branch SNAPSHOT`: what if, from an instant on, something were otherwise.
//!
//! A branch is compiled as what a scenario would write, `branch NAME at T { … }`, so units, types, arrays and formulas of
//! parameters are what they are there; it goes on from the snapshot where that leads to the same program, and from the
//! start of the run where not. In the store it is a node without bytes of its own: what it grew from and what it changes
//! make it, bit for bit. Beside the branches the run goes on unchanged, once, so that what a branch changed can be told.

mod again;
mod call;
mod ensemble;
mod follow;
mod seal;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use twinml_engine::provenance::Signer;
use twinml_engine::snapshot::{Snapshot, hex};
use twinml_engine::timeline::{Draft, Id, Node, Store};

pub use self::again::Again;
pub use self::call::Branched;
use self::call::{Before, Call, Changes, Instant, Point};
use self::ensemble::{execute, refused};
use self::follow::{Change, Out, finish, follow, tell};
use self::seal::Seal;
use super::asked::Asked;
use super::snapshot;
use super::timeline::{self, SNAPSHOT, plain, short};
use super::vault::Vault;
use super::{sign, summary};
use crate::args::keys::Signing;
use crate::args::timeline::Branch as Args;
use crate::exit::Exit;
use crate::model;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::instant;
use crate::world::{self, Interrupt, Stopwatch};

/// Branches that people are told of one by one.
const SHOWN: usize = 20;
/// Branches that are compared with the run that goes on unchanged.
const FOLLOWED: usize = 64;

/// A branch for programs.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    name: &'a str,
    id: String,
    parent: String,
    at: f64,
    set: &'a [String],
    from_start: bool,
    results: Option<String>,
    lanes: Option<bool>,
    ended: Option<&'static str>,
    message: Option<&'a str>,
    verdicts: &'a [Value],
    changed: Option<&'a [Change]>,
    exit: Option<u8>,
}

/// What the branches grow from.
struct Trunk {
    snapshot: Snapshot,
    /// The node in the store.
    node: Node,
    /// The snapshot's own node.
    root: Id,
    /// What the nodes from the snapshot up to this one change.
    before: Vec<Before>,
}

impl Trunk {
    /// The scenario's own branch that the snapshot is of.
    fn of(&self) -> Option<&str> {
        Some(&*self.snapshot.scenario.branch).filter(|b| !b.is_empty())
    }
}

/// Branches off.
pub fn run(args: &Args, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(args: &Args, ui: &Ui) -> Result<Exit, Exit> {
    let interrupt = Interrupt::listen();
    let watch = Stopwatch::start();
    let mut store = timeline::open(&args.store, ui)?;
    let trunk = Trunk::named(args, &mut store, ui)?;
    // Nothing is unsealed from here on: a signer may hold the only connection that its TPM takes.
    let place = args.store.place.clone();
    let signing = Signing { sign: args.sign.clone(), passphrase: args.passphrase.clone(), place };
    let vault = Vault::open(&signing, &args.store.encryption, ui)?;
    let call = call(args, &trunk, ui)?;
    let points = call.changes.points(ui)?;
    let own = |name: &String| trunk.of() == Some(name) || call.leaves_branch() && trunk.node.name == *name;
    if let Some((name, _)) = points.iter().find(|(name, _)| own(name)) {
        return Err(usage(
            ui,
            &format!("what this branches off is called `{name}` already"),
            Some("give `--name`"),
        ));
    }
    let at = call.at.0;
    let mut made = call.compile(&points, &trunk.snapshot, ui)?;
    let from_start = made.from_start;
    ui.step("Compiled", &format!("{} of {}", names(&points), trunk.node.name), Some(watch.elapsed()));

    // First they are made: whatever happens afterwards, what was asked is kept.
    let folder = folder(args, &trunk.snapshot);
    let drafts: Vec<Draft> =
        points.iter().map(|(name, sets)| draft(&trunk.node, name, at, sets, &folder)).collect();
    taken(&store.nodes().map_err(|e| timeline::refuse(&e, ui))?, &drafts, ui)?;
    let making = Stopwatch::start();
    let ids = store.put(&drafts).map_err(|e| timeline::refuse(&e, ui))?;
    let details = [
        ("store", world::shown(&args.store.store)),
        ("from", trunk.node.id.to_string()),
        ("at", shown(at)),
        ("nodes", timeline::list(&ids)),
    ];
    let mut signer = vault.signer.borrow_mut();
    sign::logged("branch", &details, signer.as_mut().map(|v| &mut **v as &mut dyn Signer), ui)?;
    drop(signer);
    let line = format!("{} at {}, off {}", names(&points), shown(at), trunk.node.name);
    ui.result("Branched", &line, Some(making.elapsed()));
    drop(store);
    if args.no_run {
        for ((name, sets), id) in points.iter().zip(&ids) {
            ui.object(&told((name, sets, id), &trunk.node, at, from_start, None));
        }
        std::mem::forget(made);
        return Ok(Exit::Ok);
    }

    let until = until(args.until.as_deref(), ui)?;
    // All that needs the machine for itself comes first; then it is shared. First of all the run that goes on unchanged:
    // it stops where the branches begin, as a scenario's trunk does, so up to there it is what they are.
    let branches = std::mem::take(&mut made.branches);
    let followed = branches.len() <= FOLLOWED;
    // Where a branch is left, its own results stay as they are.
    let base = folder.join(plain(&match call.leaves_branch() {
        true => format!("{}@{}", trunk.node.name, snapshot::instant(at)),
        false => trunk.node.name.clone(),
    }));
    let each = points.iter().zip(branches).map(|((name, _), b)| (b, folder.join(plain(name))));
    let unchanged = std::iter::once((made.unchanged.clone(), base.clone())).filter(|_| followed);
    let tasks = made.tasks(unchanged.chain(each).collect(), until, &trunk.snapshot, ui)?;
    let on = (&*made.job.ready.program, &*made.job.machine);
    let Some(done) = execute(&tasks, on, until, args.jobs, &interrupt, ui)? else {
        ui.error("interrupted; the branches are kept, not all of them were run", None);
        return Ok(Exit::Interrupted);
    };
    let asked = Asked::onward(args.until.as_deref(), made.si(), None);
    let from = hex(&trunk.snapshot.id());
    let mut seal = Seal::new(&vault, &trunk.snapshot);
    let which = points.iter().zip(&ids).map(|((name, _), id)| (Some(name.clone()), Some(id.to_string())));
    let which = std::iter::once((None, None)).filter(|_| followed).chain(which);
    let mut outs = Vec::with_capacity(done.len());
    for ((task, done), (name, node)) in tasks.iter().zip(done).zip(which) {
        let done = done.map_err(|e| refused(&e, ui))?;
        let branched = Branched { name, node, from_start, call: call.clone() }.value();
        let again = summary::Again { asked: &asked, from: Some(&from), branched };
        let (ran, out) = finish(task, done, &made, again, ui)?;
        seal.put(&made.job.ready, &ran, &task.place, ui)?;
        outs.push(out);
    }
    seal.log(&folder, ui)?;
    let outs = outs.split_off(usize::from(followed));
    let mut exit = Exit::Ok;
    for (k, ((name, sets), mut out)) in points.iter().zip(outs).enumerate() {
        if followed {
            out.changed = Some(follow(&base, &folder.join(plain(name)), ui)?);
        }
        if k < SHOWN {
            ui.result("Finished", &format!("{name}: {}", out.line), None);
            tell(out.changed.as_deref(), ui);
        }
        exit = [exit, out.exit].into_iter().max_by_key(|e| e.weight()).unwrap_or(exit);
        let results = world::shown(&folder.join(plain(name)));
        ui.object(&told((name, sets, &ids[k]), &trunk.node, at, from_start, Some((results, &out))));
    }
    if points.len() > SHOWN {
        ui.result("", &format!("and {} more", points.len() - SHOWN), None);
    }
    ui.result("Written", &format!("{} (a folder for each branch)", world::shown(&folder)), None);
    if let ([(name, _)], true) = (&points[..], followed) {
        let (base, own) = (world::shown(&base), world::shown(&folder.join(plain(name))));
        ui.step("Compare", &format!("`twinc diff {base} {own}` tells more"), None);
    }
    drop(tasks);
    std::mem::forget(made);
    Ok(exit)
}

/// What the command line asks.
fn call(args: &Args, trunk: &Trunk, ui: &Ui) -> Result<Call, Exit> {
    let at = match &args.at {
        Some(text) => snapshot::nanoseconds("at", text, ui)?,
        None => (trunk.node.time * 1e9).round() as i128,
    };
    Ok(Call {
        of: trunk.node.name.clone(),
        parent: trunk.node.id.to_string(),
        root: trunk.root.to_string(),
        before: trunk.before.clone(),
        at: Instant(at),
        changes: Changes {
            set: args.sets.clone(),
            inject: args.injects.clone(),
            list: args.list,
            name: args.name.clone(),
        },
    })
}

/// `--until` in seconds.
fn until(text: Option<&str>, ui: &Ui) -> Result<Option<f64>, Exit> {
    let read = |text| model::duration(text).map_err(|why| usage(ui, &format!("`--until`: {why}"), None));
    text.map(read).transpose()
}

/// A branch as an object: name, assignments and id; what it grew from; its results, where it was run.
fn told<'a>(
    (name, set, id): (&'a str, &'a [String], &Id),
    parent: &Node,
    at: i128,
    from_start: bool,
    out: Option<(String, &'a Out)>,
) -> Told<'a> {
    let (results, out) = out.unzip();
    Told {
        kind: "branch",
        version: VERSION,
        name,
        id: id.to_string(),
        parent: parent.id.to_string(),
        at: at as f64 / 1e9,
        set,
        from_start,
        results,
        lanes: out.map(|o| o.lanes),
        ended: out.map(|o| o.ended),
        message: out.and_then(|o| o.message.as_deref()),
        verdicts: out.map_or(&[], |o| &o.verdicts),
        changed: out.and_then(|o| o.changed.as_deref()),
        exit: out.map(|o| o.exit.code()),
    }
}

fn usage(ui: &Ui, message: &str, help: Option<&str>) -> Exit {
    ui.error(message, help);
    Exit::Usage
}

fn shown(ns: i128) -> String {
    instant(ns as f64 / 1e9)
}

fn names(points: &[Point]) -> String {
    match points {
        [(name, _)] => name.clone(),
        many => format!("{} branches", many.len()),
    }
}

impl Trunk {
    /// The snapshot or the node that is named; a snapshot becomes a node.
    fn named(args: &Args, store: &mut impl Store, ui: &Ui) -> Result<Trunk, Exit> {
        let refuse = |e| timeline::refuse(&e, ui);
        let path = Path::new(&args.from);
        if path.extension().is_some_and(|e| e == "twinsnap") || path.is_file() {
            let snapshot = snapshot::read(path, &args.store.encryption, &args.store.place, ui)?;
            let root = timeline::root(&snapshot);
            store.put(std::slice::from_ref(&root)).map_err(refuse)?;
            let node = root.node();
            return Ok(Trunk { snapshot, root: node.id, node, before: Vec::new() });
        }
        let nodes = store.nodes().map_err(refuse)?;
        let node = timeline::find(&nodes, &args.from, "snapshot", ui)?.clone();
        let (mut at, mut before) = (node.clone(), Vec::new());
        while !at.parts.iter().any(|p| p.name == SNAPSHOT) {
            let set = at.fact("set").and_then(|s| serde_json::from_str(s).ok()).unwrap_or_default();
            let instant = Instant((at.time * 1e9).round() as i128);
            before.push(Before { node: at.name.clone(), at: instant, set });
            // A store holds no node without what it grew from.
            let parent = at.parent.and_then(|p| nodes.iter().find(|n| n.id == p));
            let Some(parent) = parent else {
                return Err(usage(ui, &format!("`{}` grew from no snapshot", node.name), None));
            };
            at = parent.clone();
        }
        before.reverse();
        let bytes = store.part(&at.id, SNAPSHOT).map_err(refuse)?;
        let snapshot = Snapshot::decode(&bytes).map_err(|e| {
            ui.error(&format!("the snapshot of `{}` cannot be used: {e}", at.name), None);
            Exit::Mismatch
        })?;
        Ok(Trunk { snapshot, root: at.id, node, before })
    }
}

/// Where the branches' folders are.
fn folder(args: &Args, of: &Snapshot) -> PathBuf {
    let file = of.model.files.first().map_or("model", |f| &f.path);
    args.out.clone().unwrap_or_else(|| world::default_out(Path::new(file)).join("branches"))
}

fn draft(parent: &Node, name: &str, at: i128, sets: &[String], folder: &Path) -> Draft {
    let same = ["scenario", "twin", "model", "solver", "seed"];
    let mut facts = vec![("kind".to_owned(), "branch".to_owned())];
    facts.extend(same.iter().filter_map(|k| Some(((*k).to_owned(), parent.fact(k)?.to_owned()))));
    facts.push(("set".to_owned(), json!(sets).to_string()));
    facts.push(("results".to_owned(), world::shown(&folder.join(plain(name)))));
    Draft { parent: Some(parent.id), name: name.to_owned(), time: at as f64 / 1e9, facts, parts: Vec::new() }
}

/// Whether another branch has the name already.
fn taken(nodes: &[Node], drafts: &[Draft], ui: &Ui) -> Result<(), Exit> {
    for draft in drafts {
        let id = draft.node().id;
        if let Some(other) = nodes.iter().find(|n| n.name == draft.name && n.id != id) {
            return Err(usage(
                ui,
                &format!("there is another node `{}` ({})", other.name, short(&other.id)),
                Some("give `--name`, or remove that one: `twinc timeline remove`"),
            ));
        }
    }
    Ok(())
}
