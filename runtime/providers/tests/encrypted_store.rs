//! Stores of timelines under keys: encrypted from the first node, opened by their key alone, re-wrapped without a loss.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use twinml_engine::timeline::{Draft, Id, Part, Store as _, StoreError};
use twinml_providers::crypt::store::{StoreKeyError, rotate, unlock, wrapped_by};
use twinml_providers::crypt::{CryptError, HexKey, KeyWrap};
use twinml_providers::store::Embedded;

fn key(digit: &str) -> HexKey {
    HexKey::from_text(&digit.repeat(64), "a test").unwrap()
}

fn bytes(k: u64) -> Vec<u8> {
    format!("a secret state {k} ").repeat(500 + k as usize).into_bytes()
}

fn draft(parent: Option<Id>, k: u64) -> Draft {
    Draft {
        parent,
        name: format!("secret name {k}"),
        time: k as f64,
        facts: vec![("seed".into(), "7".into())],
        parts: vec![Part { name: "snapshot".into(), bytes: bytes(k) }],
    }
}

fn open(path: &Path, wrap: Option<&mut dyn KeyWrap>) -> Result<Embedded, StoreKeyError> {
    let mut store = Embedded::open(path)?;
    unlock(&mut store, wrap)?;
    Ok(store)
}

fn filled(path: &Path, wrap: &mut HexKey) -> Vec<Id> {
    let mut store = open(path, Some(wrap)).unwrap();
    let mut ids: Vec<Id> = Vec::new();
    for k in 0..20 {
        let parent = ids.last().copied();
        ids.extend(store.put(&[draft(parent, k)]).unwrap());
    }
    ids
}

#[test]
fn nothing_in_the_file_is_readable_and_only_its_key_opens_it() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("timeline.redb");
    let mut a = key("a");
    let ids = filled(&path, &mut a);
    let file = std::fs::read(&path).unwrap();
    assert!(!file.windows(6).any(|w| w == b"secret"));
    let store = open(&path, Some(&mut a)).unwrap();
    for (k, id) in ids.iter().enumerate() {
        assert_eq!(store.part(id, "snapshot").unwrap(), bytes(k as u64));
    }
    drop(store);
    assert!(matches!(open(&path, None), Err(StoreKeyError::Store(StoreError::Locked))));
    assert!(matches!(
        open(&path, Some(&mut key("b"))),
        Err(StoreKeyError::Crypt(CryptError::OtherKey { .. }))
    ));
}

#[test]
fn a_store_that_began_in_the_clear_is_not_called_encrypted() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("timeline.redb");
    open(&path, None).unwrap().put(&[draft(None, 0)]).unwrap();
    assert!(matches!(open(&path, Some(&mut key("a"))), Err(StoreKeyError::Plain)));
    let mut store = open(&path, None).unwrap();
    assert!(matches!(rotate(&mut store, &mut key("a"), &mut key("b")), Err(StoreKeyError::NotEncrypted)));
    assert_eq!(wrapped_by(&store).unwrap(), None);
}

#[test]
fn rotation_loses_nothing_and_shuts_the_old_key_out() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("timeline.redb");
    let mut keys: Vec<HexKey> = ["a", "b", "c", "d"].map(key).into();
    let ids = filled(&path, &mut keys[0]);
    for k in 1..keys.len() {
        let (before, rest) = keys.split_at_mut(k);
        let (old, new) = (&mut before[k - 1], &mut rest[0]);
        // By another key than the one that it is under, nothing happens.
        let mut store = Embedded::open(&path).unwrap();
        assert!(rotate(&mut store, &mut key("9"), new).is_err());
        assert_eq!(wrapped_by(&store).unwrap().as_deref(), Some(old.name()));
        rotate(&mut store, old, new).unwrap();
        assert_eq!(wrapped_by(&store).unwrap().as_deref(), Some(new.name()));
        drop(store);
        assert!(open(&path, Some(old)).is_err());
        let mut store = open(&path, Some(new)).unwrap();
        assert_eq!(store.check().unwrap() as usize, 19 + k);
        for (k, id) in ids.iter().enumerate() {
            assert_eq!(store.part(id, "snapshot").unwrap(), bytes(k as u64));
        }
        // And it goes on.
        store.put(&[draft(Some(ids[0]), 100 + k as u64)]).unwrap();
    }
}
