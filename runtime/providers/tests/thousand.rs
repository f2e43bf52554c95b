//! A thousand snapshots, signed by keys in files and in a TPM, and verified; how long that takes is printed.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures")]

#[path = "../../../tests/peers/swtpm.rs"]
mod swtpm;

use std::sync::Arc;
use std::time::{Duration, Instant};

use twinml_engine::provenance::{Algorithm, Trust, Verdict, sign_snapshot, verify_snapshot};
use twinml_engine::snapshot::{Clock, Model, Scenario, Section, Snapshot, State, Tag};
use twinml_providers::keyfile::KeyFile;
use twinml_providers::tpm::{Address, Hierarchy, Passwords, Patience, TpmSigner, Use, connect, index_of};

fn snapshot(k: u64) -> Snapshot {
    let clock = Clock {
        asked: i128::from(k) * 1_000_000_000,
        time: k as f64,
        micro: (f64::NAN, 0),
        restart: None,
        steps: k,
        events: 0,
        samples: k,
        actions: 0,
        changes: 0,
    };
    // As much as some hundred states take.
    let section = |tag| Section { tag, version: 1, bytes: vec![k as u8; 2000].into() };
    Snapshot {
        model: Arc::new(Model {
            compiler: "twinc".into(),
            hash: [1; 32],
            program: [2; 32],
            files: Vec::new(),
        }),
        scenario: Arc::new(Scenario {
            name: "drain".into(),
            twin: "Tank".into(),
            branch: String::new(),
            request: "{}".into(),
            seed: k,
            run: 0,
            solver: "bdf".into(),
            duration: 1000.0,
            parameters: "{}".into(),
        }),
        state: State { clock, sections: Tag::STATE.into_iter().map(section).collect() },
        parent: None,
        envelope: Vec::new(),
    }
}

fn told(what: &str, mut all: Vec<Duration>) {
    all.sort();
    let (median, p99) = (all[all.len() / 2], all[all.len() * 99 / 100]);
    println!("{what}: median {median:.0?}, p99 {p99:.0?} over {}", all.len());
}

#[test]
fn a_thousand_snapshots_are_signed_and_verified() {
    for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
        let mut key = KeyFile::generate(algorithm).unwrap();
        let mut trust = Trust::new();
        trust.add(key.public().clone());
        let (mut signing, mut verifying) = (Vec::new(), Vec::new());
        for k in 0..1000 {
            let mut snapshot = snapshot(k);
            let begun = Instant::now();
            sign_snapshot(&mut snapshot, Default::default(), None, &mut key).unwrap();
            let bytes = snapshot.encode();
            signing.push(begun.elapsed());
            let begun = Instant::now();
            let found = verify_snapshot(&bytes, &trust);
            verifying.push(begun.elapsed());
            assert_eq!(found.verdict, Verdict::Good);
            assert_eq!(found.manifest.unwrap().subject.seed, k);
        }
        told(&format!("{} sign", algorithm.name()), signing);
        told(&format!("{} verify", algorithm.name()), verifying);
    }
}

/// Whole snapshots through a TPM in software: signed, counted, the register extended by each manifest, verified without it.
#[test]
fn a_thousand_snapshots_are_signed_in_a_tpm_and_verified_without_it() {
    for of in [Use::SignAndQuote, Use::Sign] {
        let Some(tpm) = swtpm::Swtpm::start() else { return };
        let at = Address::parse(&tpm.address).unwrap();
        let mut chip = connect(&at, Patience::default(), Passwords::default()).unwrap();
        let blob = chip.create_key(Hierarchy::Endorsement, of).unwrap();
        let public = blob.public_key().unwrap();
        let index = index_of(public.id()).unwrap();
        chip.create_counter(index).unwrap();
        let mut key = TpmSigner::new(chip, &blob).unwrap().counting(index).extending(23);
        let mut trust = Trust::new();
        trust.add(public);
        let (mut signing, mut verifying, mut last) = (Vec::new(), Vec::new(), 0);
        for k in 0..1000 {
            let mut snapshot = snapshot(k);
            let begun = Instant::now();
            sign_snapshot(&mut snapshot, Default::default(), None, &mut key).unwrap();
            let mut bytes = snapshot.encode();
            signing.push(begun.elapsed());
            let begun = Instant::now();
            let found = verify_snapshot(&bytes, &trust);
            verifying.push(begun.elapsed());
            assert_eq!(found.verdict, Verdict::Good);
            let manifest = found.manifest.unwrap();
            assert_eq!(manifest.subject.seed, k);
            let counted = manifest.counter.unwrap().value;
            assert!(k == 0 || counted == last + 1, "{counted} after {last}");
            last = counted;
            // One byte of each is another.
            let at = (k as usize * 7919) % bytes.len();
            bytes[at] ^= 1;
            assert_ne!(verify_snapshot(&bytes, &trust).verdict, Verdict::Good, "byte {at}");
        }
        assert_eq!(key.chip().counter(index).unwrap(), last);
        told(&format!("swtpm, {of:?}: sign, count and extend"), signing);
        told(&format!("swtpm, {of:?}: verify"), verifying);
        for name in ["sign", "increment counter", "extend register"] {
            let h = key.chip().timings().of(name).unwrap();
            assert_eq!(h.count(), 1000);
            println!("  {name}: median {} µs, p99 {} µs", h.percentile(50), h.percentile(99));
        }
    }
}
