//! `twinc timeline`: the nodes of a store as a tree, and what can be done with them; and what `twinc branch` needs of it.

mod tree;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use twinml_engine::provenance::{Checked, Digest, Signer};
use twinml_engine::record::file::write_atomic;
use twinml_engine::snapshot::{Snapshot, hex};
use twinml_engine::timeline::{Draft, Id, Node, Part, Store as _, StoreError};
use twinml_providers::crypt::KeyWrap;
use twinml_providers::crypt::store::{unlock, wrapped_by};
use twinml_providers::operations;
use twinml_providers::store::Embedded;

use super::{seal, sign, snapshot};
use crate::args::keys::{Encryption, Place};
use crate::args::timeline::{Store, Timeline, TimelineCommand};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{VERSION, Written};
use crate::ui::numbers::{count, counted, instant};
use crate::world;

/// The part of a node that is a `*.twinsnap`.
pub const SNAPSHOT: &str = "snapshot";
/// Letters of an id that people are shown.
const SHORT: usize = 10;

/// A node for programs.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    id: String,
    parent: Option<String>,
    name: &'a str,
    kind_of: &'a str,
    time: f64,
    set: Value,
    scenario: &'a str,
    model_hash: &'a str,
    results: Option<&'a str>,
    bytes: u64,
}

/// A store for programs.
#[derive(Serialize)]
struct Kept<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    store: &'a str,
    nodes: u64,
    whole_bytes: u64,
    kept_bytes: u64,
    disk_bytes: u64,
    removed: u64,
    checked: Option<u64>,
}

/// Does what is asked with a store.
pub fn run(args: &Timeline, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(args: &Timeline, ui: &Ui) -> Result<Exit, Exit> {
    let failed = |e: StoreError| refuse(&e, ui);
    if let Some(TimelineCommand::Add { snapshots }) = &args.command {
        let mut store = open(&args.store, ui)?;
        let read = |path| snapshot::read(path, &args.store.encryption, &args.store.place, ui);
        let taken: Vec<_> = snapshots.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        // Nothing is unsealed from here on: a signer may hold the only connection that its TPM takes.
        let mut voucher = sign::voucher(&args.vouching, &args.store.place, ui)?;
        for taken in taken {
            let node = root(&taken);
            let id = store.put(std::slice::from_ref(&node)).map_err(failed)?[0];
            let details = [("node", id.to_string()), ("snapshot", hex(&taken.id()))];
            noted("timeline add", args, &details, &mut voucher, ui)?;
            ui.result("Kept", &format!("{} ({})", node.name, short(&id)), None);
        }
        return said(args, &store, 0, None, ui);
    }
    if !args.store.store.exists() {
        ui.error(
            &format!("there is no store of timelines at `{}`", world::shown(&args.store.store)),
            Some("`twinc branch` and `twinc timeline add` make one"),
        );
        return Err(Exit::Outside);
    }
    let mut store = open(&args.store, ui)?;
    let nodes = store.nodes().map_err(failed)?;
    match &args.command {
        None | Some(TimelineCommand::Add { .. }) => {
            show(args, &nodes, ui)?;
            said(args, &store, 0, None, ui)
        }
        Some(TimelineCommand::Export { node, out }) => {
            let node = find(&nodes, node, "snapshot", ui)?;
            let bytes = store.part(&node.id, SNAPSHOT).map_err(|e| match e {
                StoreError::NoPart { .. } => {
                    ui.error(
                        &format!("`{}` is a branch, which is kept as what it changes", node.name),
                        Some("export what it grew from; `twinc branch` runs it again from there"),
                    );
                    Exit::Usage
                }
                e => failed(e),
            })?;
            let out = out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.twinsnap", plain(&node.name))));
            write_atomic(&out, &bytes).map_err(|e| {
                ui.error(&e.to_string(), None);
                Exit::Outside
            })?;
            ui.result("Written", &world::shown(&out), None);
            ui.object(&Written::file(&out, "snapshot"));
            Ok(Exit::Ok)
        }
        Some(TimelineCommand::Remove { nodes: names }) => {
            let mut gone: Vec<Id> = Vec::new();
            for name in names {
                gone.push(find(&nodes, name, "snapshot", ui)?.id);
            }
            // In the order of the store, what grew from a node stands behind it.
            for node in &nodes {
                if node.parent.is_some_and(|p| gone.contains(&p)) && !gone.contains(&node.id) {
                    gone.push(node.id);
                }
            }
            gone.sort_unstable();
            gone.dedup();
            // What is taken away is noted before it is.
            let mut voucher = sign::voucher(&args.vouching, &args.store.place, ui)?;
            noted("timeline remove", args, &[("nodes", list(&gone))], &mut voucher, ui)?;
            store.remove(&gone).map_err(failed)?;
            ui.result("Removed", &counted(gone.len() as u64, "node"), None);
            said(args, &store, gone.len() as u64, None, ui)
        }
        Some(TimelineCommand::Gc) => {
            let mut voucher = sign::voucher(&args.vouching, &args.store.place, ui)?;
            noted("timeline gc", args, &[], &mut voucher, ui)?;
            let swept = store.sweep().map_err(failed)?;
            let (before, after) = (count(swept.before), count(swept.after));
            let pieces = counted(swept.pieces, "piece");
            ui.result("Swept", &format!("{pieces} that no node needs; {before} → {after} bytes"), None);
            said(args, &store, swept.pieces, None, ui)
        }
        Some(TimelineCommand::Check) => {
            let parts = store.check().map_err(failed)?;
            ui.result("Good", &format!("{} read, each as it was kept", counted(parts, "part")), None);
            let log = log_is_whole(args, ui)?;
            let said = said(args, &store, 0, Some(parts), ui)?;
            Ok(if log { said } else { Exit::Mismatch })
        }
    }
}

/// Notes what is done to the store, which begins a log where there is none.
fn noted(
    operation: &str,
    args: &Timeline,
    details: &[(&str, String)],
    voucher: &mut Option<Box<dyn Signer>>,
    ui: &Ui,
) -> Result<(), Exit> {
    let store = [("store", world::shown(&args.store.store))];
    let details = [&store[..], details].concat();
    sign::logged(operation, &details, voucher.as_mut().map(|v| &mut **v as &mut dyn Signer), ui)
}

/// Whether no link of the log of operations is broken; who signed it, `twinc verify` says.
fn log_is_whole(args: &Timeline, ui: &Ui) -> Result<bool, Exit> {
    let path = Path::new(operations::FILE);
    if !path.exists() {
        return Ok(true);
    }
    let shown = world::shown(path);
    let bytes = world::read(path).map_err(|e| {
        ui.error(&format!("could not read {shown}: {e}"), None);
        Exit::Outside
    })?;
    let checked = Checked::of(&bytes, &sign::own(&args.store.place).unwrap_or_default());
    match &checked.broken {
        None => {
            let records = counted(checked.entries.len() as u64, "record");
            ui.result("Good", &format!("{shown}: {records}, each hung to the one before"), None);
            Ok(true)
        }
        Some(broken) => {
            ui.error(&format!("{shown} was altered: {broken}"), Some("`twinc verify` tells who signed what"));
            Ok(false)
        }
    }
}

/// Nodes as a record has them: each id; of many the first, how many, and the hash of all ids, a line each.
pub fn list(ids: &[Id]) -> String {
    const FEW: usize = 16;
    let all: Vec<String> = ids.iter().map(Id::to_string).collect();
    match all.split_first() {
        Some((first, _)) if all.len() > FEW => {
            let hash = Digest::of((all.join("\n") + "\n").as_bytes());
            format!("{first} and {} more, sha256 of all {hash}", all.len() - 1)
        }
        _ => all.join(" "),
    }
}

fn said(
    args: &Timeline,
    store: &Embedded,
    removed: u64,
    checked: Option<u64>,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let usage = store.usage().map_err(|e| refuse(&e, ui))?;
    let shown = world::shown(&args.store.store);
    let (kept, whole) = (count(usage.kept), count(usage.whole));
    ui.result("Store", &format!("{shown}: {}, {kept} bytes for {whole}", counted(usage.nodes, "node")), None);
    ui.object(&Kept {
        kind: "timeline",
        version: VERSION,
        store: &shown,
        nodes: usage.nodes,
        whole_bytes: usage.whole,
        kept_bytes: usage.kept,
        disk_bytes: usage.disk,
        removed,
        checked,
    });
    Ok(Exit::Ok)
}

fn show(args: &Timeline, nodes: &[Node], ui: &Ui) -> Result<(), Exit> {
    if nodes.is_empty() {
        ui.result("Timeline", "nothing is kept yet", None);
    }
    for node in nodes {
        ui.object(&Told {
            kind: "timeline_node",
            version: VERSION,
            id: node.id.to_string(),
            parent: node.parent.map(|p| p.to_string()),
            name: &node.name,
            kind_of: node.fact("kind").unwrap_or_default(),
            time: node.time,
            set: node.fact("set").and_then(|s| serde_json::from_str(s).ok()).unwrap_or(Value::Null),
            scenario: node.fact("scenario").unwrap_or_default(),
            model_hash: node.fact("model").unwrap_or_default(),
            results: node.fact("results"),
            bytes: node.parts.iter().map(|p| p.len).sum(),
        });
    }
    for line in tree::lines(nodes) {
        ui.result("", &line, None);
    }
    if let Some(out) = &args.out {
        if !out.extension().is_some_and(|e| e.eq_ignore_ascii_case("html") || e.eq_ignore_ascii_case("htm")) {
            ui.error(
                &format!("`{}` is no page that can be written", world::shown(out)),
                Some("a tree is drawn as .html"),
            );
            return Err(Exit::Usage);
        }
        write_atomic(out, tree::page(nodes).as_bytes()).map_err(|e| {
            ui.error(&e.to_string(), None);
            Exit::Outside
        })?;
        ui.result("Written", &world::shown(out), None);
        ui.object(&Written::file(out, "plot"));
    }
    Ok(())
}

/// Opens a store, or makes one.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn open(args: &Store, ui: &Ui) -> Result<Embedded, Exit> {
    let mut key = seal::named(&args.encryption, &args.place, ui)?;
    let mut store = Embedded::open(&args.store).map_err(|e| refuse(&e, ui))?;
    let wrap = key.as_mut().map(|k| &mut **k as &mut dyn KeyWrap);
    unlock(&mut store, wrap).map_err(|e| seal::store_failed(&e, ui))?;
    Ok(store)
}

/// Opens a store that is there, to read what is in it; its key is asked for where it is encrypted.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn existing(path: &Path, encryption: &Encryption, place: &Place, ui: &Ui) -> Result<Embedded, Exit> {
    let mut store = Embedded::existing(path).map_err(|e| refuse(&e, ui))?;
    if wrapped_by(&store).map_err(|e| seal::store_failed(&e, ui))?.is_some() {
        let mut key = seal::named(encryption, place, ui)?;
        let wrap = key.as_mut().map(|k| &mut **k as &mut dyn KeyWrap);
        unlock(&mut store, wrap).map_err(|e| seal::store_failed(&e, ui))?;
    }
    Ok(store)
}

/// Says what a store refused.
pub fn refuse(error: &StoreError, ui: &Ui) -> Exit {
    let help = match error {
        StoreError::Busy => Some("try again when it is done"),
        StoreError::Corrupt { .. } => Some("put back a copy of it, or move it away and begin a new one"),
        StoreError::Version { .. } => Some("a later version of twinc wrote it, which reads it, too"),
        StoreError::HasBranches { .. } => Some("`twinc timeline remove` takes what grew from a node with it"),
        _ => None,
    };
    ui.error(&error.to_string(), help);
    match error {
        StoreError::Unknown { .. } | StoreError::NoPart { .. } | StoreError::Bad { .. } => Exit::Usage,
        _ => Exit::Outside,
    }
}

/// The node of a snapshot.
pub fn root(taken: &Snapshot) -> Draft {
    let (m, s, c) = (&taken.model, &taken.scenario, &taken.state.clock);
    let own = Some(&s.branch).filter(|b| !b.is_empty());
    let facts = [
        ("kind", "snapshot".to_owned()),
        ("scenario", s.name.clone()),
        ("twin", s.twin.clone()),
        ("model", hex(&m.hash)),
        ("solver", s.solver.clone()),
        ("seed", s.seed.to_string()),
    ];
    let branch = own.map(|b| ("branch", b.clone()));
    let of = own.map_or(String::new(), |b| format!("/{b}"));
    Draft {
        parent: None,
        name: format!("{}{of}@{}", s.name, snapshot::instant(c.asked)),
        time: c.asked as f64 / 1e9,
        facts: facts.into_iter().chain(branch).map(|(k, v)| (k.to_owned(), v)).collect(),
        parts: vec![Part { name: SNAPSHOT.to_owned(), bytes: taken.encode() }],
    }
}

/// The node that a name, or the first letters of an id, means; the latest of a name. `also` is what else the name could
/// have been, told where there is no such node.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn find<'n>(nodes: &'n [Node], name: &str, also: &str, ui: &Ui) -> Result<&'n Node, Exit> {
    if let Some(node) = nodes.iter().rev().find(|n| n.name == name) {
        return Ok(node);
    }
    let of: Vec<&Node> =
        nodes.iter().filter(|n| name.len() >= 4 && n.id.to_string().starts_with(name)).collect();
    match of[..] {
        [one] => Ok(one),
        [] => {
            let known = nodes.iter().map(|n| n.name.as_str());
            let near = twinml_compiler::diag::did_you_mean(name, known);
            let help = near.unwrap_or_else(|| "`twinc timeline` lists what is kept".to_owned());
            ui.error(&format!("there is no {also} or node `{name}`"), Some(&help));
            Err(Exit::Usage)
        }
        _ => {
            ui.error(&format!("`{name}` begins {} ids", of.len()), Some("give more letters"));
            Err(Exit::Usage)
        }
    }
}

/// The first letters of an id.
pub fn short(id: &Id) -> String {
    id.to_string().chars().take(SHORT).collect()
}

/// A name as a file's: letters, digits and a few signs.
pub fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._=-@+".contains(c);
    let text: String = name.chars().map(|c| if fits(c) { c } else { '_' }).take(120).collect();
    if text.trim_matches('.').is_empty() { "branch".to_owned() } else { text }
}

/// `at 10 min: load=5`.
pub fn changes(node: &Node) -> String {
    let sets = node.fact("set").and_then(|s| serde_json::from_str::<Vec<String>>(s).ok()).unwrap_or_default();
    match sets.is_empty() {
        true => format!("at {}", instant(node.time)),
        false => format!("at {}: {}", instant(node.time), sets.join(", ")),
    }
}
