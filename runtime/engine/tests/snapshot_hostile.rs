//! Damaged snapshots: every flipped byte is found; and where somebody has made the hashes fit again, what is read is
//! refused with its place or is a state that can be run, never a panic.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/damaged.rs"]
mod target;

#[path = "support/random.rs"]
mod random;

use random::Random;
use twinml_engine::snapshot::Snapshot;

#[test]
fn every_byte_of_a_small_snapshot_counts() {
    let bytes = target::Fixture::new().snapshot().encode();
    assert_eq!(Snapshot::decode(&bytes).unwrap().encode(), bytes);
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1 << (at % 8);
        assert!(Snapshot::decode(&other).is_err(), "byte {at}");
    }
}

#[test]
fn random_bytes_of_a_large_snapshot_count() {
    let mut snapshot = target::Fixture::new().snapshot();
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
    let fixture = target::Fixture::new();
    let mut r = Random(0xf1a9_0f0f_7777_0003);
    let (mut refused, mut ran) = (0, 0);
    for seed in fixture.seeds() {
        // Bytes all along, some lengths; then several at once.
        let stride = 1 + seed.len() / 250;
        let single = (1..seed.len()).step_by(stride).map(|at| vec![(at, 1u8 << (at % 8))]);
        let several: Vec<Vec<(usize, u8)>> = (0..60)
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
    assert!(refused > 300 && ran > 100, "{refused} refused, {ran} run");
}
