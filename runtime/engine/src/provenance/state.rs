//! Signed snapshots: the manifest that stands in the envelope of a `*.twinsnap`.

use std::collections::BTreeMap;

use super::digest::Digest;
use super::manifest::{Counter, Kind, Manifest, Part, Subject};
use super::signer::{SignError, Signer};
use super::verify::{Findings, Trust, Verdict, seal, verify};
use crate::snapshot::format::Container;
use crate::snapshot::{Origin, Snapshot, SnapshotError};

/// The part that holds the sections together: the container's head with its table, whose hash is the snapshot's id.
pub const TABLE: &str = "table";

/// What a signature of a snapshot vouches for: the table, and every section by its tag.
pub fn parts(container: &Container) -> Vec<Part> {
    let table = Part {
        name: TABLE.to_owned(),
        role: "container".to_owned(),
        length: container.head_length(),
        sha256: Digest(container.id()),
    };
    let section = |e: crate::snapshot::Entry| Part {
        name: e.tag.to_string(),
        role: "section".to_owned(),
        length: e.length,
        sha256: Digest(e.sha256),
    };
    std::iter::once(table).chain(container.entries().into_iter().map(section)).collect()
}

/// What the manifest of a snapshot says; `machine` is what computed the state.
pub fn subject(snapshot: &Snapshot, machine: BTreeMap<String, String>) -> Subject {
    let (model, scenario) = (&snapshot.model, &snapshot.scenario);
    let branch = if scenario.branch.is_empty() { String::new() } else { format!("/{}", scenario.branch) };
    let input = |f: &crate::snapshot::File| {
        let role = match f.origin {
            Origin::Source => "source",
            Origin::Data => "data",
            Origin::Library => "library",
        };
        Part::of(f.path.clone(), role, &f.bytes)
    };
    Subject {
        kind: Kind::Snapshot,
        compiler: model.compiler.clone(),
        model: scenario.twin.clone(),
        model_hash: Digest(model.hash),
        scenario: format!("{}{branch}", scenario.name),
        seed: scenario.seed,
        time: snapshot.state.clock.asked as f64 / 1e9,
        machine,
        inputs: model.files.iter().map(input).collect(),
        parts: parts(&snapshot.container()),
        parent: snapshot.parent.map(Digest),
    }
}

/// Puts a signature into a snapshot's envelope, in place of what was there.
///
/// # Errors
///
/// [`SignError`]; the snapshot then stays as it was.
pub fn sign_snapshot(
    snapshot: &mut Snapshot,
    machine: BTreeMap<String, String>,
    counter: Option<Counter>,
    signer: &mut (impl Signer + ?Sized),
) -> Result<(), SignError> {
    snapshot.envelope = seal(subject(snapshot, machine), counter, signer)?.into_bytes();
    Ok(())
}

/// Judges the bytes of a `*.twinsnap`. One without a signature is `unknown key`, if nothing else is wrong with it.
pub fn verify_snapshot(bytes: &[u8], trust: &Trust) -> Findings {
    let bad = |part: String, why: String| Findings {
        manifest: None,
        payload: None,
        verdict: Verdict::Bad { part, why },
    };
    let container = match Container::decode(bytes) {
        Ok(container) => container,
        Err(e) => {
            let part = Container::differing(bytes).map_or("container".to_owned(), |tag| tag.to_string());
            return bad(part, e.to_string());
        }
    };
    let snapshot = match Snapshot::of(container.clone()) {
        Ok(snapshot) => snapshot,
        Err(e) => {
            let part = match &e {
                SnapshotError::Section { tag, .. }
                | SnapshotError::Missing { tag }
                | SnapshotError::Version { tag, .. }
                | SnapshotError::Unknown { tag } => tag.to_string(),
                SnapshotError::Container(_) => "container".to_owned(),
            };
            return bad(part, e.to_string());
        }
    };
    if snapshot.envelope.is_empty() {
        return Findings { manifest: None, payload: None, verdict: Verdict::UnknownKey };
    }
    let there = parts(&container);
    let mut found = verify(&snapshot.envelope, Kind::Snapshot, trust, &mut |part| {
        let same = there.iter().find(|p| p.name == part.name && p.role == part.role);
        same.map(|p| (p.length, p.sha256)).ok_or_else(|| "it is missing".to_owned())
    });
    if let Some(manifest) = &found.manifest
        && !matches!(found.verdict, Verdict::Bad { .. })
        && let Some((part, why)) = differs(manifest, &snapshot, &there)
    {
        found.verdict = Verdict::Bad { part, why };
    }
    found
}

/// What a snapshot has beyond its manifest, or says otherwise.
fn differs(manifest: &Manifest, snapshot: &Snapshot, there: &[Part]) -> Option<(String, String)> {
    let said = &manifest.subject;
    if let Some(more) = there.iter().find(|p| !said.parts.contains(p)) {
        return Some((more.name.clone(), "the manifest does not list it".to_owned()));
    }
    let is = subject(snapshot, said.machine.clone());
    let field = [
        ("compiler", said.compiler != is.compiler),
        ("model", said.model != is.model || said.model_hash != is.model_hash),
        ("scenario", said.scenario != is.scenario),
        ("seed", said.seed != is.seed),
        ("time", said.time.to_bits() != is.time.to_bits()),
        ("inputs", said.inputs != is.inputs),
        ("parent", said.parent != is.parent),
    ];
    let (name, _) = field.into_iter().find(|(_, differs)| *differs)?;
    Some(("manifest".to_owned(), format!("`{name}` is not what the snapshot's sections say")))
}
