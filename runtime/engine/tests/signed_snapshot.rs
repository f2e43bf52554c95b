//! Any byte of a signed snapshot, in every bit of a small one and at random in a large one: never good, never a panic.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use twinml_engine::provenance::conformance::Fake;
use twinml_engine::provenance::{
    Algorithm, PublicKey, Signer, Trust, Verdict, sign_snapshot, snapshot_subject, verify_snapshot,
};
use twinml_engine::snapshot::{Clock, File, Model, Origin, Scenario, Section, Snapshot, State, Tag};

fn snapshot(size: usize, parent: bool) -> Snapshot {
    let file = |path: &str, origin, bytes: &[u8]| File { path: path.into(), origin, bytes: bytes.into() };
    let clock = Clock {
        asked: 1_500_000_000,
        time: 1.25,
        micro: (f64::NAN, 0),
        restart: None,
        steps: 12,
        events: 0,
        samples: 3,
        actions: 0,
        changes: 0,
    };
    let section = |(k, tag): (usize, Tag)| {
        let bytes: Vec<u8> = (0..size).map(|i| (i * 31 + k) as u8).collect();
        Section { tag, version: 1, bytes: bytes.into() }
    };
    Snapshot {
        model: Arc::new(Model {
            compiler: "twinc 0.1.0".into(),
            hash: [1; 32],
            program: [2; 32],
            files: vec![
                file("tank.twinml", Origin::Source, b"twin Tank {}"),
                file("inflow.csv", Origin::Data, b"time,q\n0,1\n"),
            ],
        }),
        scenario: Arc::new(Scenario {
            name: "drain".into(),
            twin: "Tank".into(),
            branch: "leak".into(),
            request: "{}".into(),
            seed: 7,
            run: 0,
            solver: "bdf".into(),
            duration: 60.0,
            parameters: "{}".into(),
        }),
        state: State { clock, sections: Tag::STATE.into_iter().enumerate().map(section).collect() },
        parent: parent.then_some([9; 32]),
        envelope: Vec::new(),
    }
}

fn machine() -> BTreeMap<String, String> {
    [("architecture".to_owned(), "x86_64".to_owned())].into()
}

fn signed(size: usize, algorithm: Algorithm) -> (Vec<u8>, Trust) {
    let mut fake = Fake::new(algorithm, 1);
    let mut snapshot = snapshot(size, true);
    let id = snapshot.id();
    sign_snapshot(&mut snapshot, machine(), None, &mut fake).unwrap();
    assert_eq!(snapshot.id(), id, "a signature leaves the id");
    let mut trust = Trust::new();
    trust.add(PublicKey::from_der(fake.public_key()).unwrap());
    (snapshot.encode(), trust)
}

#[test]
fn a_signed_snapshot_says_what_it_is_of() {
    let (bytes, trust) = signed(10, Algorithm::EcdsaP256Sha256);
    let found = verify_snapshot(&bytes, &trust);
    assert_eq!(found.verdict, Verdict::Good);
    let s = found.manifest.unwrap().subject;
    assert_eq!((s.model.as_str(), s.scenario.as_str(), s.seed, s.time), ("Tank", "drain/leak", 7, 1.5));
    let inputs: Vec<_> = s.inputs.iter().map(|p| (p.role.as_str(), p.name.as_str())).collect();
    assert_eq!(inputs, [("source", "tank.twinml"), ("data", "inflow.csv")]);
    assert_eq!(s.parts.len(), 1 + 3 + 5 + 1);
    assert_eq!(verify_snapshot(&bytes, &Trust::new()).verdict, Verdict::UnknownKey);
    assert_eq!(verify_snapshot(&snapshot(10, false).encode(), &trust).verdict, Verdict::UnknownKey);
}

#[test]
fn every_bit_of_a_small_snapshot_counts() {
    for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
        let (bytes, trust) = signed(5, algorithm);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                for trust in [&trust, &Trust::new()] {
                    let verdict = verify_snapshot(&damaged, trust).verdict;
                    assert!(matches!(verdict, Verdict::Bad { .. }), "byte {at}, bit {bit}: {verdict:?}");
                }
            }
            assert!(matches!(verify_snapshot(&bytes[..at], &trust).verdict, Verdict::Bad { .. }));
        }
    }
}

#[test]
fn bytes_at_random_of_a_large_snapshot_count() {
    let (mut bytes, trust) = signed(400_000, Algorithm::EcdsaP256Sha256);
    let mut x: u64 = 88_172_645_463_325_252;
    for _ in 0..60 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let (at, bit) = ((x >> 8) as usize % bytes.len(), x % 8);
        bytes[at] ^= 1 << bit;
        let verdict = verify_snapshot(&bytes, &trust).verdict;
        assert!(matches!(verdict, Verdict::Bad { .. }), "byte {at}, bit {bit}: {verdict:?}");
        bytes[at] ^= 1 << bit;
    }
    assert_eq!(verify_snapshot(&bytes, &trust).verdict, Verdict::Good);
}

/// Who can write files mends the container's own hashes; the signature stays what it was.
#[test]
fn what_is_mended_is_bad_and_named() {
    let (bytes, trust) = signed(5, Algorithm::Ed25519);
    let good = Snapshot::decode(&bytes).unwrap();
    let bad = |change: &dyn Fn(&mut Snapshot), part: &str| {
        let mut altered = good.clone();
        change(&mut altered);
        match verify_snapshot(&altered.encode(), &trust).verdict {
            Verdict::Bad { part: named, .. } => assert_eq!(named, part),
            verdict => panic!("{part}: {verdict:?}"),
        }
    };
    // The table has the hashes of all sections, so it is the first that differs.
    bad(&|s| Arc::make_mut(&mut s.scenario).seed = 8, "table");
    bad(&|s| s.state.sections[0].bytes = vec![0; 5].into(), "table");
    bad(&|s| s.parent = None, "table");
    bad(&|s| s.envelope[10] ^= 1, "envelope");
    // An envelope of another snapshot by the same key.
    let other = Snapshot::decode(&signed(6, Algorithm::Ed25519).0).unwrap().envelope;
    bad(&|s| s.envelope = other.clone(), "table");
    // A manifest that lies about its sections, signed by the right key.
    let lie = |change: &dyn Fn(&mut twinml_engine::provenance::Subject), part: &str| {
        let mut subject = snapshot_subject(&good, machine());
        change(&mut subject);
        let mut fake = Fake::new(Algorithm::Ed25519, 1);
        let text = twinml_engine::provenance::seal(subject, None, &mut fake).unwrap();
        bad(&|s| s.envelope = text.clone().into_bytes(), part);
    };
    lie(&|s| s.seed = 8, "manifest");
    lie(&|s| s.time = 2.0, "manifest");
    lie(&|s| s.scenario = "fill".into(), "manifest");
    lie(&|s| drop(s.inputs.pop()), "manifest");
    lie(&|s| drop(s.parts.pop()), "SCEN");
}

#[test]
fn damage_without_mending_names_the_section() {
    let (bytes, trust) = signed(50, Algorithm::Ed25519);
    let good = Snapshot::decode(&bytes).unwrap().container();
    let mut at = good.head_length() as usize + 32;
    for section in good.sections() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        match verify_snapshot(&damaged, &trust).verdict {
            Verdict::Bad { part, .. } => assert_eq!(part, section.tag.to_string()),
            verdict => panic!("{verdict:?}"),
        }
        at += section.bytes.len();
    }
}
