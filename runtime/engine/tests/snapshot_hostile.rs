//! Damaged snapshots: every flipped byte is found; and where somebody has made the hashes fit again, what is read is
//! refused with its place or is a state that can be run, never a panic.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/damaged.rs"]
mod target;

#[path = "support/random.rs"]
mod random;

use std::fs;
use std::path::Path;

use random::Random;
use twinml_engine::snapshot::Snapshot;

#[test]
fn every_byte_of_a_small_snapshot_counts() {
    let bytes = target::Fixture::all()[0].snapshot().encode();
    assert_eq!(Snapshot::decode(&bytes).unwrap().encode(), bytes);
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1 << (at % 8);
        assert!(Snapshot::decode(&other).is_err(), "byte {at}");
    }
}

#[test]
fn random_bytes_of_a_large_snapshot_count() {
    let mut snapshot = target::Fixture::all()[0].snapshot();
    let mut model = (*snapshot.model).clone();
    let mut r = Random(0x1a59_e5ad_0000_0001);
    model.files[0].bytes = (0..1 << 20).map(|_| r.below(256) as u8).collect();
    snapshot.model = model.into();
    let bytes = snapshot.encode();
    for _ in 0..60 {
        let at = r.below(bytes.len() as u64) as usize;
        let mut other = bytes.clone();
        other[at] ^= 1 << r.below(8);
        assert!(Snapshot::decode(&other).is_err(), "byte {at}");
    }
}

#[test]
fn sections_whose_hashes_fit_are_refused_or_run() {
    let mut r = Random(0xf1a9_0f0f_7777_0003);
    // The first solver's thoroughly, of the others what is theirs alone.
    for (k, fixture) in target::Fixture::all().iter().enumerate() {
        let (mut refused, mut ran) = (0, 0);
        let most = if k == 0 { 250 } else { 60 };
        for seed in fixture.seeds() {
            // Bytes all along, some lengths; then several at once.
            let stride = 1 + seed.len() / most;
            let single = (1..seed.len()).step_by(stride).map(|at| vec![(at, 1u8 << (at % 8))]);
            let several: Vec<Vec<(usize, u8)>> = (0..most / 4)
                .map(|_| {
                    (0..1 + r.below(4))
                        .map(|_| (1 + r.below(seed.len() as u64 - 1) as usize, r.below(256) as u8))
                        .collect()
                })
                .collect();
            for edits in single.chain(several) {
                let mut data = seed.clone();
                edits.iter().for_each(|(at, by)| data[*at] ^= by);
                if fixture.try_on(&data) { ran += 1 } else { refused += 1 }
            }
            for cut in [0, 1, seed.len() / 2, seed.len() - 1] {
                fixture.try_on(&seed[..cut]);
            }
        }
        assert!(refused > most && ran > most / 3, "{k}: {refused} refused, {ran} run");
    }
}

/// What the fuzz target `resume` begins with and what it has found: a solver's number, a section's, and its bytes. What is
/// written there is what this version writes; what an earlier one wrote is only damaged more.
#[test]
fn the_seeds_of_the_search_are_refused_or_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/resume");
    let all = target::Fixture::all();
    if std::env::var_os("TWINML_BLESS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        let mut known = std::collections::BTreeSet::new();
        for (k, fixture) in all.iter().enumerate() {
            // Sections that are the same for every solver are kept once, and none that holds the model.
            for seed in fixture.seeds().into_iter().skip(1).filter(|seed| known.insert(seed.clone())) {
                let name = format!("solver{k:02}_section{}", seed[0]);
                fs::write(folder.join(name), [&[k as u8][..], &seed].concat()).unwrap();
            }
        }
    }
    let mut seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() > all.len(), "{seeds:?}");
    for path in seeds {
        let bytes = fs::read(&path).unwrap();
        if let Some((which, rest)) = bytes.split_first() {
            all[usize::from(*which) % all.len()].try_on(rest);
        }
    }
}
