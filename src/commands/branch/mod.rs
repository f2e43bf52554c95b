//! `twinc branch SNAPSHOT`: what if, from an instant on, something were otherwise.
//!
//! A branch is compiled as what a scenario would write, `branch NAME at T { … }`, so units, types, arrays and formulas of
//! parameters are what they are there; it goes on from the snapshot where that leads to the same program, and from the
//! start of the run where not. In the store it is a node without bytes of its own: what it grew from and what it changes
//! make it, bit for bit. Beside the branches the run goes on unchanged, once, so that what a branch changed can be told.

mod ensemble;
mod follow;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use twinml_compiler::driver::{Branch, Setting, Wish};
use twinml_engine::provenance::Signer;
use twinml_engine::run::{self, Prepared};
use twinml_engine::snapshot::Snapshot;
use twinml_engine::timeline::{Draft, Id, Node, Store};
use twinml_model::program::Program;

use self::ensemble::{Task, execute, refused};
use self::follow::{Change, Out, finish, follow, tell};
use super::job::{self, Flags, Job};
use super::snapshot::{self, Request};
use super::study::sweep;
use super::timeline::{self, SNAPSHOT, plain, short};
use super::{compile, sign, summary};
use crate::args::timeline::Branch as Args;
use crate::exit::Exit;
use crate::model::{self, Place};
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::instant;
use crate::world::{self, Interrupt, Stopwatch};

/// Branches of one call.
const MOST: usize = 100_000;
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
    /// What the nodes from the snapshot up to this one change: instants with assignments.
    before: Vec<(i128, Vec<Setting>)>,
}

impl Trunk {
    /// The scenario's own branch that the snapshot is of.
    fn of(&self) -> Option<&str> {
        Some(&*self.snapshot.scenario.branch).filter(|b| !b.is_empty())
    }

    /// Whether it is a branch itself, kept as what it changes.
    fn is_branch(&self) -> bool {
        !self.before.is_empty()
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
    let mut voucher = sign::voucher(&args.vouching, &args.store.place, ui)?;
    let clock = &trunk.snapshot.state.clock;
    let at = match &args.at {
        Some(text) => snapshot::nanoseconds("at", text, ui)?,
        None => (trunk.node.time * 1e9).round() as i128,
    };
    if let Some((last, _)) = trunk.before.last().filter(|(last, _)| *last >= at) {
        return Err(usage(
            ui,
            &format!("`{}` changes something at {} already", trunk.node.name, shown(*last)),
            Some("a branch of a branch begins later: `--at`"),
        ));
    }
    if at < clock.asked || (at as f64 / 1e9) <= clock.time {
        return Err(usage(
            ui,
            &format!("the snapshot is of {}, {} is past", shown(clock.asked), shown(at)),
            Some("a branch begins at the snapshot's instant or later"),
        ));
    }
    let points = points(args, ui)?;
    let own = |name: &String| trunk.of() == Some(name) || trunk.is_branch() && trunk.node.name == *name;
    if let Some((name, _)) = points.iter().find(|(name, _)| own(name)) {
        return Err(usage(
            ui,
            &format!("what this branches off is called `{name}` already"),
            Some("give `--name`"),
        ));
    }
    let wish = |name: &String, own: Option<(i128, Vec<Setting>)>| {
        let changes = trunk.before.iter().cloned().chain(own).collect();
        Wish { name: name.clone(), of: trunk.of().map(str::to_owned), changes }
    };
    let each = points
        .iter()
        .map(|(name, sets)| wish(name, Some((at, sets.iter().map(|s| given(args, s)).collect()))));
    // What is branched off goes on unchanged beside the branches.
    let wishes: Vec<Wish> = each.chain(trunk.is_branch().then(|| wish(&trunk.node.name, None))).collect();

    let request = snapshot::request(&trunk.snapshot, ui)?;
    let mut flags = Flags::read(&request.simulation, ui)?;
    flags.wishes = wishes.clone();
    let (job, from_start) = load(&trunk.snapshot, &request, &mut flags, ui)?;
    let Job { ready, branches: all, mut machine, rest, .. } = job;
    let found = |w: &Wish| all.iter().rev().find(|b| w.is(&b.name));
    let branches: Vec<&Branch> = wishes[..points.len()].iter().filter_map(found).collect();
    let unchanged = match wishes.get(points.len()).and_then(found) {
        None => snapshot::branch(&trunk.snapshot, &all, ui)?,
        parent => parent,
    };
    let unchanged = match unchanged {
        Some(parent) => {
            let mut unchanged = parent.experiment.clone();
            unchanged.stops.push(at);
            unchanged
        }
        None => ready.experiment.clone(),
    };
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
    sign::logged("branch", &details, voucher.as_mut().map(|v| &mut **v as &mut dyn Signer), ui)?;
    let made = format!("{} at {}, off {}", names(&points), shown(at), trunk.node.name);
    ui.result("Branched", &made, Some(making.elapsed()));
    drop(store);
    if args.no_run {
        for ((name, sets), id) in points.iter().zip(&ids) {
            ui.object(&told((name, sets, id), &trunk.node, at, from_start, None));
        }
        std::mem::forget((ready, machine, rest));
        return Ok(Exit::Ok);
    }

    let until = match &args.until {
        Some(text) => {
            Some(model::duration(text).map_err(|why| usage(ui, &format!("`--until`: {why}"), None))?)
        }
        None => None,
    };
    // All that needs the machine for itself comes first; then it is shared. First of all the run that goes on unchanged:
    // it stops where the branches begin, as a scenario's trunk does, so up to there it is what they are.
    let followed = branches.len() <= FOLLOWED;
    let base = folder.join(plain(&match trunk.is_branch() {
        // Its own results stay as they are.
        true => format!("{}@{}", trunk.node.name, snapshot::instant(at)),
        false => trunk.node.name.clone(),
    }));
    let mut tasks: Vec<Task<'_>> = Vec::with_capacity(branches.len() + 1);
    let each = points.iter().zip(&branches).map(|((name, _), b)| (&b.experiment, folder.join(plain(name))));
    for (experiment, place) in std::iter::once((&unchanged, base.clone())).filter(|_| followed).chain(each) {
        let mut experiment = experiment.clone();
        if let Some(end) = until.filter(|_| from_start) {
            experiment.duration = end;
        }
        let prepared = match tasks.first() {
            Some(first) if run::shares(&first.experiment, &experiment) => {
                Ok(first.prepared.with_actions(&mut *machine, &first.experiment, &experiment))
            }
            _ => Prepared::new(&ready.program, &mut *machine, &experiment),
        };
        let prepared = prepared.map_err(|e| refused(&e.into(), ui))?;
        let plans = run::plans(&ready.program, &experiment, request.si).map_err(|e| {
            ui.error(&e.to_string(), None);
            Exit::Usage
        })?;
        let metadata = summary::metadata(&ready, &experiment);
        let from = (!from_start).then_some(&trunk.snapshot.state);
        tasks.push(Task { experiment, prepared, plans, metadata, place, from });
    }
    let on = (&*ready.program, &*machine);
    let Some(done) = execute(&tasks, on, until, args.jobs, &interrupt, ui)? else {
        ui.error("interrupted; the branches are kept, not all of them were run", None);
        return Ok(Exit::Interrupted);
    };
    let mut outs = Vec::with_capacity(done.len());
    for (task, done) in tasks.iter().zip(done) {
        let done = done.map_err(|e| refused(&e, ui))?;
        outs.push(finish(task, done, &ready, request.si, ui)?);
    }
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
    std::mem::forget((ready, rest));
    Ok(exit)
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

fn names(points: &[(String, Vec<String>)]) -> String {
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
            return Ok(Trunk { snapshot, node: root.node(), before: Vec::new() });
        }
        let nodes = store.nodes().map_err(refuse)?;
        let node = timeline::find(&nodes, &args.from, "snapshot", ui)?.clone();
        let (mut at, mut before) = (node.clone(), Vec::new());
        while !at.parts.iter().any(|p| p.name == SNAPSHOT) {
            let sets: Vec<String> =
                at.fact("set").and_then(|s| serde_json::from_str(s).ok()).unwrap_or_default();
            let given = format!("node `{}`", at.name);
            let sets = sets.into_iter().map(|text| Setting { given: given.clone(), text }).collect();
            before.push(((at.time * 1e9).round() as i128, sets));
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
        Ok(Trunk { snapshot, node, before })
    }
}

/// An assignment with the flag that it was given by.
fn given(args: &Args, set: &str) -> Setting {
    let path = |text: &str| text.split('=').next().unwrap_or_default().trim().to_owned();
    let injected = args.injects.iter().any(|i| path(i) == path(set));
    let given = if injected { "--inject" } else { "--set" };
    Setting { given: given.to_owned(), text: set.to_owned() }
}

/// Names and assignments of all branches that are asked for.
fn points(args: &Args, ui: &Ui) -> Result<Vec<(String, Vec<String>)>, Exit> {
    let sets: Vec<String> = args.sets.iter().chain(&args.injects).cloned().collect();
    if let Some(bad) = sets.iter().find(|s| !s.contains('=')) {
        return Err(usage(
            ui,
            &format!("`{bad}` sets nothing"),
            Some("write `path=value`, with a unit where there is one"),
        ));
    }
    let (fixed, axes) = sweep::axes(&sets, ui)?;
    if fixed.is_empty() && axes.is_empty() {
        return Err(usage(
            ui,
            "a branch changes something",
            Some("give `--set path=value` or `--inject path=value`"),
        ));
    }
    let assign = |text: &str| match text.split_once('=') {
        Some((path, value)) => format!("{} = {}", path.trim(), value.trim()),
        None => text.to_owned(),
    };
    let all = sweep::points(&axes, args.list, ui)?;
    if all.len() > MOST {
        return Err(usage(ui, &format!("more than {MOST} branches"), None));
    }
    let name = |own: &[String], k: usize| match (&args.name, all.len()) {
        (Some(name), 1) => name.clone(),
        (Some(name), _) => format!("{name}-{k}"),
        (None, _) => own.iter().map(|s| s.replace(" = ", "=").replace(' ', "")).collect::<Vec<_>>().join(","),
    };
    let point = |(k, at): (usize, &Vec<usize>)| {
        let moving: Vec<String> =
            axes.iter().zip(at).map(|(a, v)| format!("{} = {}", a.path, a.values[*v])).collect();
        let mut sets: Vec<String> = fixed.iter().map(|s| assign(s)).collect();
        sets.extend(moving.iter().cloned());
        let own = if moving.is_empty() { &sets } else { &moving };
        let name: String = name(own, k).chars().filter(|c| !c.is_control() && *c != '`').take(200).collect();
        (name, sets)
    };
    let points: Vec<(String, Vec<String>)> = all.iter().enumerate().map(point).collect();
    match points.iter().find(|(name, _)| name.trim().is_empty()) {
        Some(_) => Err(usage(ui, "a branch has a name", Some("give `--name`"))),
        None => Ok(points),
    }
}

/// Compiles the model of a snapshot with the branches; whether they have to begin at the start, because with them it is
/// another program.
fn load(of: &Snapshot, request: &Request, flags: &mut Flags, ui: &Ui) -> Result<(Job, bool), Exit> {
    let Some(root) = of.model.files.first() else {
        ui.error("the snapshot holds no model", None);
        return Err(Exit::Mismatch);
    };
    let file = PathBuf::from(&root.path);
    flags.place = Place::Snapshot(of.model.clone());
    flags.keeps = true;
    let session = compile::open_in(&flags.place, &file, ui)?;
    let how = crate::args::Compile { emit: None, ..request.compile.clone() };
    let Some(job) = job::load(&file, &how, flags, session, 0, ui)? else { return Err(Exit::Usage) };
    let mut same = job.ready.bundle.as_ref().is_some_and(|m| m.program == of.model.program);
    if !same {
        // Without the branches it has to be the snapshot's program; with them more places in the source are told of.
        let wishes = std::mem::take(&mut flags.wishes);
        let plain = snapshot::load(of, request, flags, ui)?;
        flags.wishes = wishes;
        same = layout(&plain.ready.program) == layout(&job.ready.program);
    }
    if !same {
        ui.warn("what the branch changes is built into the program: the run is done again from its start");
    }
    Ok((job, !same))
}

/// A program's text without the places in the source that it tells of.
fn layout(program: &Program) -> String {
    let text = twinml_model::text::program_text(program);
    let mut out = String::with_capacity(text.len());
    for line in text.lines().filter(|l| !l.starts_with("origin ") && !l.starts_with("file ")) {
        // Places are numbered behind `@` and, in behaviour, behind `origin: `.
        let line = line.replace("origin: ", "@");
        let mut rest = line.as_str();
        while let Some((before, after)) = rest.split_once('@') {
            out.push_str(before);
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
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
