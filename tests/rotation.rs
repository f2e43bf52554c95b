//! `twinc keys rotate`: a store and encrypted snapshots under another key, killed at any moment, without a loss.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use twinml_engine::timeline::{Draft, Id, Part, Store as _};
use twinml_providers::crypt::{self, HexKey, store};
use twinml_providers::keyfile::Source;
use twinml_providers::store::Embedded;

mod place;
use place::Place;

impl Place {
    fn key(&self, name: &str) -> HexKey {
        HexKey::read(&Source::File(self.path(&format!("keys/{name}.aes"))), &|_| None).unwrap()
    }
}

fn state(k: usize) -> Vec<u8> {
    format!("state {k} ").repeat(2000).into_bytes()
}

fn filled(path: &Path, key: &mut HexKey) -> Vec<Id> {
    let mut kept = Embedded::open(path).unwrap();
    store::unlock(&mut kept, Some(key)).unwrap();
    let draft = |k: usize| Draft {
        parent: None,
        name: format!("node {k}"),
        time: k as f64,
        facts: Vec::new(),
        parts: vec![Part { name: "snapshot".into(), bytes: state(k) }],
    };
    kept.put(&(0..10).map(draft).collect::<Vec<_>>()).unwrap()
}

/// Whether the key opens the store, with all that was put into it.
fn opens(path: &Path, key: &mut HexKey, ids: &[Id]) -> bool {
    let mut kept = Embedded::existing(path).unwrap();
    if store::unlock(&mut kept, Some(key)).is_err() {
        return false;
    }
    assert_eq!(kept.check().unwrap(), 10);
    ids.iter().enumerate().for_each(|(k, id)| assert_eq!(kept.part(id, "snapshot").unwrap(), state(k)));
    true
}

#[test]
fn a_store_and_snapshots_go_under_another_key() {
    let place = Place::with(&[]);
    let (out, _) = place.expect(0, &["keys", "create", "a", "--algorithm", "aes-256"]);
    assert!(out.contains("Created a  aes-256-gcm  file"), "{out}");
    place.expect(0, &["keys", "create", "b", "--algorithm", "aes-256"]);
    place.expect(0, &["keys", "create", "signs"]);
    let (mut a, mut b) = (place.key("a"), place.key("b"));
    let path = place.path(".twinml/timeline.redb");
    let ids = filled(&path, &mut a);
    fs::create_dir(place.path("s")).unwrap();
    for k in 0..3 {
        let sealed = crypt::seal(&state(k), &mut a).unwrap();
        fs::write(place.path(&format!("s/{k}.twinsnap")), sealed).unwrap();
    }
    place.write("s/plain.twinsnap", "TWINSNAP");
    // By a key that did not wrap it nothing happens; a key that signs is none.
    place.expect(2, &["keys", "rotate", "--from", "a", "--to", "a"]);
    place.expect(2, &["keys", "rotate", "--from", "signs", "--to", "b"]);
    place.expect(0, &["keys", "create", "c", "--algorithm", "aes-256"]);
    let (_, err) = place.expect(5, &["keys", "rotate", "--from", "c", "--to", "b"]);
    assert!(err.contains("encrypted under the key"), "{err}");
    assert!(opens(&path, &mut a, &ids));

    let (out, err) =
        place.expect(0, &["keys", "rotate", ".twinml/timeline.redb", "s", "--from", "a", "--to", "b"]);
    assert_eq!(out.matches("    Rotated ").count(), 4, "{out}");
    assert!(err.contains("plain.twinsnap is not encrypted"), "{err}");
    assert!(!opens(&path, &mut a, &ids) && opens(&path, &mut b, &ids));
    for k in 0..3 {
        let sealed = fs::read(place.path(&format!("s/{k}.twinsnap"))).unwrap();
        assert_eq!(crypt::open(&sealed, &mut b).unwrap(), state(k));
        assert!(crypt::open(&sealed, &mut a).is_err());
    }
    // Once more: what is done stays.
    let json = ["keys", "rotate", "s", "--from", "a", "--to", "b", "--format", "json"];
    let (out, _) = place.expect(0, &json);
    for line in out.lines() {
        let v: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&v["type"], &v["what"], &v["from"]), (&"rotated".into(), &"snapshot".into(), &v["to"]));
    }
    let (code, out, _) = place.twinc(&["verify", ".twinml/operations.log", "--format", "json"]);
    let v: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!((code, &v["verdict"], &v["records"]), (4, &"unknown key".into(), &4.into()));

    // An encrypted file tells nothing without its key, and is decrypted with it before anything is said of it.
    let (_, err) = place.expect(5, &["verify", "s/0.twinsnap"]);
    assert!(err.contains("is encrypted") && err.contains("--encryption-key"), "{err}");
    place.expect(5, &["verify", "s/0.twinsnap", "--encryption-key", "a"]);
    let (out, _) = place.expect(6, &["verify", "s/0.twinsnap", "--encryption-key", "b"]);
    assert!(out.contains("bad  s/0.twinsnap: container"), "{out}");
    let mut damaged = fs::read(place.path("s/0.twinsnap")).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(place.path("s/0.twinsnap"), damaged).unwrap();
    place.expect(6, &["verify", "s/0.twinsnap", "--encryption-key", "b"]);
}

#[test]
fn a_rotation_that_is_killed_leaves_everything_under_one_of_the_keys() {
    let place = Place::with(&[]);
    for name in ["a", "b"] {
        place.expect(0, &["keys", "create", name, "--algorithm", "aes-256"]);
    }
    let (mut a, mut b) = (place.key("a"), place.key("b"));
    let path = place.path("t.redb");
    let ids = filled(&path, &mut a);
    let file = place.path("s.twinsnap");
    fs::write(&file, crypt::seal(&state(0), &mut a).unwrap()).unwrap();
    let (mut old, mut new) = ("a", "b");
    let mut turned = 0;
    for k in 0..40_u64 {
        let args = ["keys", "rotate", "t.redb", "s.twinsnap", "--from", old, "--to", new];
        let mut child = place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(k * 1300 % 23_000));
        let _ = child.kill();
        let _ = child.wait();
        // One of the two opens each, and the same command finishes it.
        assert!(opens(&path, &mut a, &ids) || opens(&path, &mut b, &ids), "killed {k}");
        let sealed = fs::read(&file).unwrap();
        let opened = [&mut a, &mut b].into_iter().find_map(|key| crypt::open(&sealed, key).ok());
        assert_eq!(opened.unwrap(), state(0), "killed {k}");
        if k % 4 == 3 {
            let (_, err) = place.expect(0, &args);
            assert!(!err.contains("error"), "{err}");
            (old, new) = (new, old);
            turned += 1;
        }
    }
    assert_eq!(turned, 10);
    let (under, other) = if old == "a" { (&mut a, &mut b) } else { (&mut b, &mut a) };
    assert!(opens(&path, under, &ids) && !opens(&path, other, &ids));
}
