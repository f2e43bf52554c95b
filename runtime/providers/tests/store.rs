//! The store in one file: what every store does, what it costs, and that neither a kill nor a hostile file does harm.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use twinml_engine::timeline::conformance::{self, draft, state};
use twinml_engine::timeline::{Cipher, Draft, Id, Store as _, StoreError, digest};
use twinml_providers::store::{Embedded, KEY};

/// States of the trunk.
const STATES: usize = 10_000;

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".twinml/timeline.redb");
    (folder, path)
}

#[test]
fn it_is_a_store() {
    let mut folders = Vec::new();
    conformance::check(&mut || {
        let (folder, path) = place();
        folders.push(folder);
        Box::new(Embedded::open(&path).unwrap())
    });
}

#[test]
fn what_is_kept_is_there_after_opening_again() {
    let (_folder, path) = place();
    let mut store = Embedded::open(&path).unwrap();
    let trunk = state(STATES, 3);
    let root = store.put(&[draft(None, "trunk", 1.0, trunk.clone())]).unwrap()[0];
    let mut at = root;
    let mut bytes = trunk;
    // Forty patches on patches: now and then one is kept whole.
    let mut all = Vec::new();
    for k in 0..40usize {
        bytes[k * 100] ^= 0xff;
        at = store.put(&[draft(Some(at), &format!("b{k}"), 2.0 + k as f64, bytes.clone())]).unwrap()[0];
        all.push((at, bytes.clone()));
    }
    let nodes = store.nodes().unwrap();
    assert_eq!(Embedded::existing(&path).err(), None::<StoreError>.or(Some(StoreError::Busy)));
    drop(store);
    let mut store = Embedded::existing(&path).unwrap();
    assert_eq!(store.nodes().unwrap(), nodes);
    let read = |store: &Embedded| all.iter().all(|(id, bytes)| store.part(id, "state").unwrap() == *bytes);
    assert!(read(&store));
    store.sweep().unwrap();
    assert!(read(&store));
    drop(store);
    let store = Embedded::existing(&path).unwrap();
    assert!(read(&store));
    assert_eq!(store.check().unwrap(), 41);
    assert_eq!(store.nodes().unwrap(), nodes);
}

/// Bytes of a trunk with a thousand branches, over those of the trunk, as (of the differences, in the store).
fn thousand(make: impl Fn(&[u8], u64) -> (Vec<u8>, usize), batch: usize) -> (usize, u64) {
    let (_folder, path) = place();
    let mut store = Embedded::open(&path).unwrap();
    let trunk = state(STATES, 5);
    let root = store.put(&[draft(None, "trunk", 60.0, trunk.clone())]).unwrap()[0];
    store.sweep().unwrap();
    let before = store.usage().unwrap();
    let mut differences = 0;
    for first in (0..1000).step_by(batch) {
        let drafts: Vec<Draft> = (first..first + batch)
            .map(|k| {
                let (bytes, different) = make(&trunk, 1 + k as u64);
                differences += different;
                draft(Some(root), &format!("branch {k}"), 60.0, bytes)
            })
            .collect();
        store.put(&drafts).unwrap();
    }
    let swept = store.sweep().unwrap();
    let after = store.usage().unwrap();
    assert_eq!(after.nodes, 1001);
    println!("differences {differences} B; kept {before:?} → {after:?}; {swept:?}");
    (differences, after.kept - before.kept)
}

#[test]
fn a_thousand_branches_cost_little_more_than_their_differences() {
    // All states are others at the branches' ends.
    let (different, kept) = thousand(|trunk, k| (state(STATES, 1000 + k), trunk.len()), 100);
    assert!(kept as f64 <= 1.1 * different as f64, "{kept} of {different}");
    // One in ten: the new values, and where each run of them is (two bytes at least).
    let (different, kept) = thousand(
        |trunk, k| {
            let mut bytes = trunk.to_vec();
            let fresh = state(STATES / 10, 5000 + k);
            for (j, value) in fresh.chunks_exact(8).enumerate() {
                bytes[80 * j..80 * j + 8].copy_from_slice(value);
            }
            (bytes, STATES / 10 * 10)
        },
        100,
    );
    assert!(kept as f64 <= 1.1 * different as f64, "{kept} of {different}");
    // One value: what is kept is the record, a few hundred bytes of what would be 80,000.
    let (_, kept) = thousand(
        |trunk, k| {
            let mut bytes = trunk.to_vec();
            bytes[4000..4008].copy_from_slice(&(k as f64).to_le_bytes());
            (bytes, 8)
        },
        1000,
    );
    assert!(kept <= 200 * 1000, "{kept}");
}

#[test]
fn a_branch_is_made_at_once() {
    let (_folder, path) = place();
    let mut store = Embedded::open(&path).unwrap();
    let trunk = state(STATES, 5);
    let root = store.put(&[draft(None, "trunk", 60.0, trunk.clone())]).unwrap()[0];
    let mut took = Vec::new();
    for k in 0..50u64 {
        let mut bytes = trunk.clone();
        bytes[4000..4008].copy_from_slice(&(k as f64).to_le_bytes());
        let begin = Instant::now();
        store.put(&[draft(Some(root), &format!("b{k}"), 60.0, bytes)]).unwrap();
        took.push(begin.elapsed());
    }
    took.sort();
    println!("branch of {STATES} states: median {:?}, worst {:?}", took[25], took[49]);
    // What it writes is bounded, whatever the machine is doing: one record.
    let before = store.usage().unwrap().kept;
    let mut bytes = trunk;
    bytes[0] ^= 1;
    store.put(&[draft(Some(root), "one more", 60.0, bytes)]).unwrap();
    assert!(store.usage().unwrap().kept - before <= 3 * 4096);
}

/// Tells bytes apart by what they are about, and hides nothing: what a cipher must do, without one.
struct Toy(u8);

impl Cipher for Toy {
    fn seal(&self, plain: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut out: Vec<u8> = plain.iter().map(|b| b ^ self.0).collect();
        out.extend_from_slice(&digest(&[plain, about, &[self.0]].concat()).0);
        Ok(out)
    }

    fn open(&self, sealed: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError> {
        let no = || StoreError::Corrupt { why: "another key".to_owned() };
        let (bytes, mac) = sealed.split_at_checked(sealed.len().wrapping_sub(32)).ok_or_else(no)?;
        let plain: Vec<u8> = bytes.iter().map(|b| b ^ self.0).collect();
        (digest(&[&plain, about, &[self.0]].concat()).0 == mac).then_some(plain).ok_or_else(no)
    }
}

#[test]
fn an_encrypted_store_opens_with_its_key_only() {
    let (_folder, path) = place();
    let mut store = Embedded::open(&path).unwrap();
    store.set_note(KEY, Some(b"wrapped")).unwrap();
    store.unlock(Box::new(Toy(0x5a))).unwrap();
    let bytes = state(STATES, 9);
    let id = store.put(&[draft(None, "secret", 1.0, bytes.clone())]).unwrap()[0];
    drop(store);
    let file = std::fs::read(&path).unwrap();
    assert!(!file.windows(64).any(|w| w == &bytes[64..128]) && !file.windows(6).any(|w| w == b"secret"));
    let mut store = Embedded::existing(&path).unwrap();
    assert_eq!(store.note(KEY).unwrap().as_deref(), Some(&b"wrapped"[..]));
    assert_eq!(store.nodes(), Err(StoreError::Locked));
    assert!(matches!(store.unlock(Box::new(Toy(1))), Err(StoreError::Corrupt { .. })));
    assert_eq!(store.part(&id, "state"), Err(StoreError::Locked));
    // Wrapping the key anew changes nothing else.
    store.set_note(KEY, Some(b"wrapped by another")).unwrap();
    store.unlock(Box::new(Toy(0x5a))).unwrap();
    assert!(store.part(&id, "state").unwrap() == bytes);
    store.sweep().unwrap();
    assert!(store.part(&id, "state").unwrap() == bytes);
}

#[test]
fn no_file_does_harm() {
    let (folder, path) = place();
    let mut store = Embedded::open(&path).unwrap();
    let trunk = state(2000, 5);
    let mut wanted = BTreeMap::new();
    let root = store.put(&[draft(None, "trunk", 60.0, trunk.clone())]).unwrap()[0];
    wanted.insert(root, trunk.clone());
    for k in 0..20usize {
        let mut bytes = trunk.clone();
        bytes[k * 7] ^= 1;
        wanted.insert(
            store.put(&[draft(Some(root), &format!("b{k}"), 60.0, bytes.clone())]).unwrap()[0],
            bytes,
        );
    }
    drop(store);
    let good = std::fs::read(&path).unwrap();
    let other = folder.path().join("other.redb");
    let mut seen = BTreeMap::new();
    let mut open = |bytes: &[u8]| {
        std::fs::write(&other, bytes).unwrap();
        let result = Embedded::existing(&other).and_then(|store| {
            let nodes = store.nodes()?;
            for node in &nodes {
                assert_eq!(node.identity(), node.id);
                let bytes = store.part(&node.id, "state")?;
                // A node that reads is one that was kept, or says by its name that it is another.
                assert!(wanted.get(&node.id).is_none_or(|w| *w == bytes));
                assert_eq!(digest(&bytes), node.parts[0].digest);
            }
            Ok(())
        });
        let kind = match result {
            Ok(()) => "opens",
            Err(StoreError::Corrupt { .. }) => "corrupt",
            Err(StoreError::Version { .. }) => "version",
            Err(StoreError::Outside { .. }) => "outside",
            Err(StoreError::Locked) => "locked",
            Err(e) => panic!("{e}"),
        };
        *seen.entry(kind).or_insert(0) += 1;
    };
    open(b"");
    open(b"no database at all");
    for k in 0..12 {
        open(&good[..good.len() * k / 12]);
    }
    let mut x = 88172645463325252u64;
    let mut random = |below: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x % below as u64) as usize
    };
    // Where there is something, and anywhere.
    let full: Vec<usize> =
        good.chunks(512).enumerate().filter(|(_, c)| c.iter().any(|b| *b != 0)).map(|(k, _)| k).collect();
    for round in 0..150 {
        let mut bytes = good.clone();
        for _ in 0..=round % 4 {
            let at = 512 * full[random(full.len())] + random(512);
            let len = bytes.len();
            bytes[at.min(len - 1)] ^= 1 << random(8);
        }
        open(&bytes);
    }
    println!("{seen:?}");
    assert!(seen["corrupt"] > 20, "{seen:?}");
}

/// What a child process does: keeps nodes in the store that the environment names, telling each that is acknowledged.
#[test]
fn child() {
    let Some(path) = std::env::var_os("TWINML_TEST_STORE") else { return };
    let mut store = Embedded::open(Path::new(&path)).unwrap();
    let mut seed = store.nodes().unwrap().len() as u64;
    loop {
        let (root, branches) = family(seed);
        let all: Vec<Draft> = std::iter::once(root).chain(branches).collect();
        let ids = store.put(&all[..1]).unwrap();
        println!("kept {} {seed} 0", ids[0]);
        for (k, id) in store.put(&all[1..]).unwrap().iter().enumerate() {
            println!("kept {id} {seed} {}", k + 1);
        }
        // Now and then something goes, and the store is put in order.
        if seed % 8 == 7 {
            let nodes = store.nodes().unwrap();
            let parents: Vec<Id> = nodes.iter().filter_map(|n| n.parent).collect();
            let lone: Vec<Id> =
                nodes.iter().map(|n| n.id).filter(|id| !parents.contains(id)).take(2).collect();
            lone.iter().for_each(|id| println!("goes {id}"));
            store.remove(&lone).unwrap();
        }
        if seed % 16 == 15 {
            store.sweep().unwrap();
        }
        seed += 1;
    }
}

/// A snapshot and two branches of it, by number.
fn family(seed: u64) -> (Draft, Vec<Draft>) {
    let bytes = state(600 + (seed % 7) as usize * 100, seed);
    let root = draft(None, &format!("snapshot {seed}"), seed as f64, bytes.clone());
    let parent = Some(root.node().id);
    let branch = |k: usize| {
        let mut bytes = bytes.clone();
        bytes[k * 11] ^= 0xff;
        draft(parent, &format!("branch {seed} {k}"), seed as f64, bytes)
    };
    let branches = vec![branch(1), branch(2)];
    (root, branches)
}

fn spawn(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env("TWINML_TEST_STORE", path);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let (_folder, path) = place();
    let (mut acknowledged, mut gone): (BTreeMap<Id, (u64, usize)>, Vec<Id>) = Default::default();
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    let mut nodes = 0;
    for kill in 0..200 {
        let mut child = spawn(&path);
        let out = child.stdout.take().unwrap();
        let reader =
            std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).collect::<Vec<_>>());
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        std::thread::sleep(Duration::from_micros(x % 40_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "", "the store was not usable after kill {kill}");
        let lines = reader.join().unwrap();
        // The last line may be cut.
        for line in &lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["kept", id, seed, k] if id.len() == 64 => {
                    if let (Ok(id), Ok(seed), Ok(k)) = (id.parse(), seed.parse(), k.parse()) {
                        acknowledged.insert(id, (seed, k));
                    }
                }
                ["goes", id] => gone.extend(id.parse::<Id>()),
                _ => {}
            }
        }
        if !path.exists() {
            continue;
        }
        let store = Embedded::existing(&path).unwrap();
        let there = store.nodes().unwrap();
        nodes = there.len();
        // All that there is, is whole. Looking at everything each time would take too long: the newest, and all at the end.
        let newest = if kill == 199 { 0 } else { nodes.saturating_sub(12) };
        for node in &there[newest..] {
            store.part(&node.id, "state").unwrap();
        }
        let ids: std::collections::BTreeSet<Id> = there.iter().map(|n| n.id).collect();
        for (id, (seed, k)) in &acknowledged {
            assert!(ids.contains(id) || gone.contains(id), "kill {kill}: {id} ({seed}/{k}) is lost");
        }
        for (id, (seed, k)) in acknowledged.iter().filter(|(id, _)| ids.contains(id)).rev().take(3) {
            let (root, branches) = family(*seed);
            let draft = if *k == 0 { &root } else { &branches[k - 1] };
            assert!(store.part(id, "state").unwrap() == draft.parts[0].bytes);
        }
    }
    println!("200 kills, {} nodes acknowledged, {} removed, {nodes} there", acknowledged.len(), gone.len());
    assert!(acknowledged.len() > 100 && nodes > 50);
}
