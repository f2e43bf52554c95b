//! `twinc verify X`: which model, data, seed and machine, and `good`, `unknown key` or `bad`.
//!
//! Everything is looked at here, without a network and without the key's device: the public half is enough. Only
//! `--counter` asks the device.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use twinml_engine::provenance::{
    self, Checked, Digest, Entry, Findings, Kind, Manifest, Part, Trust, Verdict,
};
use twinml_engine::snapshot::format;
use twinml_providers::keyfile;

use super::sign::{self, backing, failed};
use super::{seal, tpm};
use crate::args::keys::Verify;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::{counted, duration};
use crate::world;

/// What was said about a signed thing.
#[derive(Serialize, Debug)]
struct Verified<'a> {
    /// `verified`
    #[serde(rename = "type")]
    kind: &'static str,
    /// Schema version.
    version: u32,
    /// The file.
    path: String,
    /// `bundle`, `snapshot` or `log`.
    what: &'static str,
    /// `good`, `unknown key` or `bad`.
    verdict: &'static str,
    /// What differs: `envelope`, `manifest`, `signature`, a part's name, or `record N`.
    part: Option<&'a str>,
    /// How it differs.
    why: Option<&'a str>,
    /// What the manifest says; `null` where it cannot be read, and of a log. To be believed where the verdict is good.
    manifest: Option<Value>,
    /// The hash of the signed payload.
    payload: Option<String>,
    /// `not checked`, `newest`, `older`, `ahead` of its counter, or `another counter` than its key's.
    freshness: Option<&'static str>,
    /// Of a log: its records before the first broken link.
    records: Option<u64>,
    /// Of a log: how many of them a trusted signature vouches for.
    vouched: Option<u64>,
}

/// Records of a log that people are shown: the last of it.
const LISTED: usize = 20;

/// A record of a log of operations.
#[derive(Serialize, Debug)]
struct Operation<'a> {
    /// `operation`
    #[serde(rename = "type")]
    kind: &'static str,
    /// Schema version.
    version: u32,
    /// Which record it is, from 0.
    sequence: u64,
    /// When, by the clock of the machine: seconds since 1970.
    at: u64,
    /// What was done.
    operation: &'a str,
    /// With what, by name.
    details: &'a std::collections::BTreeMap<String, String>,
    /// The id of the key that signed it; `null` where none did.
    key: Option<&'a str>,
    /// Whether a trusted signature, its own or a later one, vouches for it.
    vouched: bool,
}

impl<'a> Operation<'a> {
    fn of(e: &'a Entry, vouched: bool) -> Operation<'a> {
        Operation {
            kind: "operation",
            version: VERSION,
            sequence: e.sequence,
            at: e.at,
            operation: &e.operation,
            details: &e.details,
            key: e.key.as_ref().map(|k| &*k.id),
            vouched,
        }
    }
}

/// What kind of thing is to be verified.
enum Target {
    Quote(Vec<u8>),
    Bundle { envelope: Vec<u8>, folder: PathBuf },
    Snapshot(Vec<u8>),
    Log(Vec<u8>),
}

/// Says what is to be said.
pub fn run(args: &Verify, ui: &Ui) -> Exit {
    whole(args, ui).unwrap_or_else(|exit| exit)
}

fn whole(args: &Verify, ui: &Ui) -> Result<Exit, Exit> {
    let trust = trust(args, ui)?;
    let path = if args.target.is_dir() { args.target.join(sign::BUNDLE) } else { args.target.clone() };
    match target(&path, args, ui)? {
        Target::Bundle { envelope, folder } => {
            let found =
                provenance::verify(&envelope, Kind::Bundle, &trust, &mut |part| beside(&folder, part));
            Ok(say(&path, Kind::Bundle, &found, args, ui))
        }
        Target::Snapshot(bytes) => {
            let found = provenance::verify_snapshot(&bytes, &trust);
            Ok(say(&path, Kind::Snapshot, &found, args, ui))
        }
        Target::Quote(bytes) => tpm::judge(&path, &bytes, &trust, args.nonce.as_deref(), ui),
        Target::Log(bytes) => Ok(say_log(&path, &Checked::of(&bytes, &trust), ui)),
    }
}

/// The keys that count: those that are named, or one's own.
fn trust(args: &Verify, ui: &Ui) -> Result<Trust, Exit> {
    if args.key.is_empty() && args.trust.is_empty() {
        return sign::own(&args.place).map_err(|e| failed(&e, ui));
    }
    let mut trust = Trust::new();
    for path in &args.key {
        trust.add(keyfile::read_public(path).map_err(|e| failed(&e, ui))?);
    }
    for folder in &args.trust {
        keyfile::read_trust(folder, &mut trust).map_err(|e| failed(&e, ui))?;
    }
    Ok(trust)
}

/// What stands at a path, by its first bytes.
fn target(path: &Path, args: &Verify, ui: &Ui) -> Result<Target, Exit> {
    let bytes = world::read(path).map_err(|e| {
        ui.error(&format!("could not read {}: {e}", world::shown(path)), None);
        Exit::Outside
    })?;
    let bytes = seal::opened(bytes, path, &args.encryption, &args.place, ui)?;
    if path.extension().is_some_and(|e| e == "twinmodel") {
        ui.error(
            &format!("{} bears no signature of its own", world::shown(path)),
            Some("the `bundle.sig` beside it vouches for it: verify that"),
        );
        return Err(Exit::Usage);
    }
    if bytes.starts_with(&format::MAGIC) || path.extension().is_some_and(|e| e == "twinsnap") {
        return Ok(Target::Snapshot(bytes));
    }
    if bytes.starts_with(b"{\"bank\"") || path.extension().is_some_and(|e| e == "quote") {
        return Ok(Target::Quote(bytes));
    }
    if bytes.starts_with(b"{\"record\"") || path.extension().is_some_and(|e| e == "log") {
        return Ok(Target::Log(bytes));
    }
    if path.extension().is_some_and(|e| e == "sig") || bytes.starts_with(b"{\"payload\"") {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        return Ok(Target::Bundle { envelope: bytes, folder });
    }
    ui.error(
        &format!("{} is nothing that is signed", world::shown(path)),
        Some("a snapshot, a `bundle.sig` or the folder that it is in, a log of operations, or a quote"),
    );
    Err(Exit::Usage)
}

/// A file of a bundle as it is.
///
/// # Errors
///
/// Why there is none, in a sentence.
pub fn beside(folder: &Path, part: &Part) -> Result<(u64, Digest), String> {
    // A manifest that anybody may have written does not lead out of its folder.
    let mut components = Path::new(&part.name).components();
    let plain = matches!(components.next(), Some(std::path::Component::Normal(_)));
    if !plain || components.next().is_some() {
        return Err("it is no name of a file in the bundle's folder".to_owned());
    }
    match world::digest(&folder.join(&part.name)) {
        Ok((length, digest)) => Ok((length, Digest(digest))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err("it is missing".to_owned()),
        Err(e) => Err(format!("it cannot be read: {e}")),
    }
}

/// Whether a state is the newest: `not checked` unless somebody asks, and the manifest is to be believed.
fn freshness(found: &Findings, manifest: &Manifest, args: &Verify, ui: &Ui) -> Result<&'static str, Exit> {
    if !args.counter || found.verdict != Verdict::Good {
        return Ok("not checked");
    }
    tpm::freshness(manifest, args.tpm.as_deref(), &args.place, ui)
}

fn say(path: &Path, kind: Kind, found: &Findings, args: &Verify, ui: &Ui) -> Exit {
    let (part, why) = match &found.verdict {
        Verdict::Bad { part, why } => (Some(part.as_str()), Some(why.as_str())),
        _ => (None, None),
    };
    let mut exit = verdict_line(&found.verdict, path, ui);
    match &found.manifest {
        Some(m) => about(m, ui),
        None if found.verdict == Verdict::UnknownKey => ui.result("Note", "it bears no signature", None),
        None => {}
    }
    let fresh = found.manifest.as_ref().map(|m| freshness(found, m, args, ui));
    let fresh = match fresh {
        Some(Ok(fresh)) => {
            match fresh {
                "not checked" => ui.result("Note", "freshness not checked", None),
                _ => ui.result("Freshness", fresh, None),
            }
            if !matches!(fresh, "not checked" | "newest") && exit.weight() < Exit::Mismatch.weight() {
                exit = Exit::Mismatch;
            }
            Some(fresh)
        }
        Some(Err(e)) => {
            exit = if exit.weight() < e.weight() { e } else { exit };
            None
        }
        None => None,
    };
    ui.object(&Verified {
        kind: "verified",
        version: VERSION,
        path: world::shown(path),
        what: kind.name(),
        verdict: found.verdict.word(),
        part,
        why,
        // The canonical text is JSON.
        manifest: found
            .manifest
            .as_ref()
            .and_then(|m| m.text().ok())
            .and_then(|t| serde_json::from_str(&t).ok()),
        payload: found.payload.map(|p| p.to_string()),
        freshness: fresh,
        records: None,
        vouched: None,
    });
    exit
}

/// Says a verdict.
pub fn verdict_line(verdict: &Verdict, path: &Path, ui: &Ui) -> Exit {
    let path = world::shown(path);
    match verdict {
        Verdict::Good => {
            ui.result("Verdict", &format!("good  {path}"), None);
            Exit::Ok
        }
        Verdict::UnknownKey => {
            ui.result("Verdict", &format!("unknown key  {path}"), None);
            Exit::Inconclusive
        }
        Verdict::Bad { part, why } => {
            ui.result("Verdict", &format!("bad  {path}: {}: {}", plain(part), plain(why)), None);
            Exit::Mismatch
        }
    }
}

/// Text that others wrote, without commands to a terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a manifest says, for people.
fn about(m: &Manifest, ui: &Ui) {
    let s = &m.subject;
    ui.result("Model", &format!("{}  {}", plain(&s.model), s.model_hash), None);
    let when = if s.kind == Kind::Bundle { "to" } else { "at" };
    let line = format!("{}, seed {}, {when} {}", plain(&s.scenario), s.seed, duration(s.time));
    ui.result("Scenario", &line, None);
    for (k, input) in s.inputs.iter().enumerate() {
        let line = format!("{} {}  {}", plain(&input.role), plain(&input.name), input.sha256);
        ui.result(if k == 0 { "Made of" } else { "" }, &line, None);
    }
    let facts: Vec<String> = s.machine.iter().map(|(k, v)| format!("{} {}", plain(k), plain(v))).collect();
    ui.result("Computed", &format!("by {}, {}", plain(&s.compiler), facts.join(", ")), None);
    let bytes: u64 = s.parts.iter().map(|p| p.length).fold(0, u64::saturating_add);
    let parts = counted(s.parts.len() as u64, "part");
    ui.result("Holds", &format!("{parts}, {}, root {}", counted(bytes, "byte"), s.root()), None);
    if let Some(parent) = &s.parent {
        ui.result("Parent", &parent.to_string(), None);
    }
    if let Some(c) = &m.counter {
        ui.result("Counter", &format!("{} (index {:#010x})", c.value, c.index), None);
    }
    let line = format!("{}  {}, in {}", m.key.id, m.key.algorithm.name(), plain(&backing(&m.key.backing)));
    ui.result("Key", &line, None);
}

fn say_log(path: &Path, checked: &Checked, ui: &Ui) -> Exit {
    let verdict = checked.verdict();
    let exit = verdict_line(&verdict, path, ui);
    let records = checked.entries.len() as u64;
    let vouched = checked.vouched;
    ui.result("Holds", &format!("{}, {vouched} of them vouched for", counted(records, "record")), None);
    let skipped = checked.entries.len().saturating_sub(LISTED);
    if skipped > 0 {
        ui.result("", &format!("{} before these", counted(skipped as u64, "record")), None);
    }
    for (k, e) in checked.entries.iter().enumerate() {
        ui.object(&Operation::of(e, e.sequence < vouched));
        if k >= skipped {
            let details: Vec<String> = e.details.iter().map(|(k, v)| format!("{k} {}", plain(v))).collect();
            let by = e.key.as_ref().map_or("nobody", |key| &key.id[..key.id.len().min(12)]);
            let line = format!("{}  by {by}  {}", plain(&e.operation), details.join(", "));
            ui.result(&e.sequence.to_string(), &line, None);
        }
    }
    let (part, why) = match &verdict {
        Verdict::Bad { part, why } => (Some(part.as_str()), Some(why.as_str())),
        _ => (None, None),
    };
    ui.object(&Verified {
        kind: "verified",
        version: VERSION,
        path: world::shown(path),
        what: "log",
        verdict: verdict.word(),
        part,
        why,
        manifest: None,
        payload: None,
        freshness: None,
        records: Some(records),
        vouched: Some(vouched),
    });
    exit
}
