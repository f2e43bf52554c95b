//! The fuzz targets of signed things and snapshots without coverage, on every test run: the kept inputs and damaged
//! copies of them. The seeds are what this version writes, so they also tell when a format changes.
//! `cargo xtask fuzz` searches on from here.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use twinml_engine::provenance::conformance::Fake;
use twinml_engine::provenance::{
    Algorithm, Chain, Counter, Digest, Kind, Part, Signer, Subject, seal, sign_snapshot,
};
use twinml_engine::snapshot::{Clock, File, Model, Origin, Scenario, State};
// Where `signed` looks for them.
use twinml_engine::{provenance, snapshot};

#[path = "../../../tests/fuzz/signed.rs"]
mod signed;

fn seeds(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(target)
}

fn state() -> snapshot::Snapshot {
    let clock = Clock {
        asked: 90_000_000_000,
        time: 89.5,
        micro: (60.0, 2),
        restart: Some(61.0),
        steps: 12,
        events: 1,
        samples: 9,
        actions: 1,
        changes: 0,
    };
    let section = |tag| snapshot::Section { tag, version: 1, bytes: vec![1, 2, 3].into() };
    let files = [("tank.twinml", Origin::Source), ("q.csv", Origin::Data), ("std.units", Origin::Library)];
    let file = |(path, origin): (&str, Origin)| File { path: path.into(), origin, bytes: b"text".to_vec() };
    snapshot::Snapshot {
        model: Arc::new(Model {
            compiler: "twinc 0.1.0".into(),
            hash: [1; 32],
            program: [2; 32],
            files: files.into_iter().map(file).collect(),
        }),
        scenario: Arc::new(Scenario {
            name: "drain".into(),
            twin: "Tank".into(),
            branch: "leak".into(),
            request: "{}".into(),
            seed: 7,
            run: 0,
            solver: "bdf".into(),
            duration: 120.0,
            parameters: "{}".into(),
        }),
        state: State { clock, sections: snapshot::Tag::STATE.into_iter().map(section).collect() },
        parent: Some([9; 32]),
        envelope: Vec::new(),
    }
}

/// What this version writes, by target and name.
fn written() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut out = Vec::new();
    for (algorithm, envelope, snapshot, log, key) in [
        (Algorithm::EcdsaP256Sha256, "bundle_p256", "signed_p256", "log_p256", "key_p256"),
        (Algorithm::Ed25519, "bundle_ed25519", "signed_ed25519", "log_ed25519", "key_ed25519"),
    ] {
        let mut fake = Fake::new(algorithm, 1);
        let subject = Subject {
            kind: Kind::Bundle,
            compiler: "twinc 0.1.0".into(),
            model: "Tank \"é\"\n".into(),
            model_hash: Digest::of(b"model"),
            scenario: "drain".into(),
            seed: u64::MAX,
            time: 1200.1,
            machine: BTreeMap::from([("isa".to_owned(), "avx512".to_owned())]),
            inputs: vec![Part::of("tank.twinml", "source", b"twin Tank {}")],
            parts: vec![Part::of("drain.parquet", "result", b"PAR1")],
            parent: Some(Digest::of(b"parent")),
        };
        let counter = Some(Counter { index: 0x0180_0001, value: 17 });
        out.push(("envelope", envelope, seal(subject, counter, &mut fake).unwrap().into_bytes()));
        let mut chain = Chain::default();
        let mut lines = String::new();
        for k in 0..3 {
            let details = BTreeMap::from([("file".to_owned(), format!("{k}.twinsnap"))]);
            let signer: Option<&mut dyn Signer> = if k == 1 { None } else { Some(&mut fake) };
            lines += &chain.append(1_800_000_000, "snapshot take", details, signer).unwrap();
        }
        out.push(("envelope", log, lines.into_bytes()));
        let mut state = state();
        sign_snapshot(&mut state, BTreeMap::new(), counter, &mut fake).unwrap();
        out.push(("signed_snapshot", snapshot, state.encode()));
        out.push(("envelope", key, fake.public_key().to_vec()));
    }
    // Sections as the target cuts them from its input.
    let mut sections = Vec::new();
    let container = state().container();
    let order = [b"MODL", b"SCEN", b"CLCK", b"PRNT", b"MEMO", b"BEHV", b"INTG", b"MONI", b"RECD"];
    for (k, tag) in order.into_iter().enumerate() {
        let section = container.sections().iter().find(|s| s.tag.0 == *tag).unwrap();
        sections.push(k as u8);
        sections.extend((section.bytes.len() as u16).to_le_bytes());
        sections.extend_from_slice(&section.bytes);
    }
    out.push(("signed_snapshot", "sections", sections));
    out
}

/// A file of version 1 that was written once is written the same way for good.
#[test]
fn what_is_written_stays_what_it_was() {
    for (target, name, bytes) in written() {
        let path = seeds(target).join(name);
        if std::env::var_os("TWINML_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        } else {
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{target}/{name} is written otherwise now");
        }
    }
}

/// A generator of our own (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

fn replay(target: &str, check: fn(&[u8])) {
    let mut paths: Vec<_> = std::fs::read_dir(seeds(target)).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let inputs: Vec<Vec<u8>> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    assert!(inputs.len() >= 3, "{target}");
    inputs.iter().for_each(|i| check(i));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3000 {
        let mut bytes = inputs[random.below(inputs.len())].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, random.below(256) as u8),
                2 => {
                    let other = &inputs[random.below(inputs.len())];
                    let from = random.below(other.len());
                    let piece = &other[from..other.len().min(from + random.below(200))];
                    bytes.splice(at..at, piece.iter().copied());
                }
                _ if bytes.is_empty() => {}
                3 => drop(bytes.remove(at)),
                _ => bytes[at] ^= 1 << random.below(8),
            }
        }
        check(&bytes);
    }
}

#[test]
fn envelope() {
    replay("envelope", signed::envelope);
}

#[test]
fn snapshots() {
    replay("signed_snapshot", signed::snapshot);
}
