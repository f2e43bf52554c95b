//! What every [`Store`] does: run by each in its own tests.

use super::store::{Draft, Id, Part, Store, StoreError};

/// A node of one part.
pub fn draft(parent: Option<Id>, name: &str, time: f64, bytes: Vec<u8>) -> Draft {
    let facts = vec![("scenario".to_owned(), "day".to_owned())];
    Draft {
        parent,
        name: name.to_owned(),
        time,
        facts,
        parts: vec![Part { name: "state".to_owned(), bytes }],
    }
}

/// Bytes that look like a state of `n` numbers.
pub fn state(n: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(8 * n);
    for _ in 0..n {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out.extend_from_slice(&((x >> 11) as f64 / (1u64 << 53) as f64).to_le_bytes());
    }
    out
}

/// Holds a store to the seam; `make` gives an empty one each time.
///
/// # Panics
///
/// Where the store does something else, with what.
#[expect(clippy::unwrap_used, reason = "a suite for tests: what fails is to stop it")]
pub fn check(make: &mut dyn FnMut() -> Box<dyn Store>) {
    let mut store = make();
    assert!(store.nodes().unwrap().is_empty());

    // A trunk, a branch in which little is different, one of another length, and one of a branch; a chain in one go.
    let trunk = state(10_000, 1);
    let mut near = trunk.clone();
    near[800..808].copy_from_slice(&5.0f64.to_le_bytes());
    let mut longer = trunk.clone();
    longer.splice(100..100, [1, 2, 3]);
    let root = store.put(&[draft(None, "trunk", 60.0, trunk.clone())]).unwrap()[0];
    let a = draft(Some(root), "near", 60.0, near.clone());
    let mut nearer = near.clone();
    nearer[9000] ^= 1;
    let of_a = draft(Some(a.node().id), "nearer", 70.0, nearer.clone());
    let b = draft(Some(root), "longer", 60.0, longer.clone());
    let ids = store.put(&[a.clone(), of_a, b]).unwrap();
    let order: Vec<String> = store.nodes().unwrap().into_iter().map(|n| n.name).collect();
    assert_eq!(order, ["trunk", "near", "nearer", "longer"]);
    for (id, bytes) in [(root, &trunk), (ids[0], &near), (ids[1], &nearer), (ids[2], &longer)] {
        assert!(store.part(&id, "state").unwrap() == *bytes);
    }
    let node = &store.nodes().unwrap()[1];
    assert_eq!((node.parent, node.time, node.fact("scenario")), (Some(root), 60.0, Some("day")));
    assert_eq!((node.id, node.identity()), (ids[0], ids[0]));

    // The same again is the same node; an unknown parent, a name without letters, a part twice are refused whole.
    assert_eq!(store.put(std::slice::from_ref(&a)).unwrap(), [ids[0]]);
    let nobody = Id([7; 32]);
    let orphan = draft(Some(nobody), "orphan", 0.0, vec![1]);
    let good = draft(None, "good", 0.0, vec![2]);
    assert_eq!(store.put(&[good.clone(), orphan]), Err(StoreError::Unknown { id: nobody }));
    let mut twice = good.clone();
    twice.parts.push(twice.parts[0].clone());
    for bad in [draft(None, "", 0.0, vec![]), draft(None, "x", f64::NAN, vec![]), twice] {
        assert!(matches!(store.put(&[good.clone(), bad]), Err(StoreError::Bad { .. })));
    }
    assert_eq!(store.nodes().unwrap().len(), 4);
    assert_eq!(store.part(&nobody, "state"), Err(StoreError::Unknown { id: nobody }));
    let missing = StoreError::NoPart { id: root, name: "other".to_owned() };
    assert_eq!(store.part(&root, "other"), Err(missing));

    // No bytes, many parts, empty ones.
    let empty = Draft { parts: Vec::new(), ..draft(None, "empty", f64::INFINITY, vec![]) };
    let parts = ["p", "q", "r"].map(|name| Part { name: name.to_owned(), bytes: vec![] });
    let hollow = Draft { parts: parts.to_vec(), ..draft(None, "hollow", -0.0, vec![]) };
    let these = store.put(&[empty, hollow]).unwrap();
    assert!(store.part(&these[1], "q").unwrap().is_empty());
    assert!(store.nodes().unwrap()[5].time.is_sign_negative());

    // What others grew from stays; what goes is gone, and the rest is as it was.
    let refused = store.remove(&[ids[0]]);
    assert_eq!(refused, Err(StoreError::HasBranches { id: ids[0], branch: ids[1] }));
    assert_eq!(store.remove(&[ids[2], nobody]), Err(StoreError::Unknown { id: nobody }));
    store.remove(&[ids[0], ids[1]]).unwrap();
    let swept = store.sweep().unwrap();
    assert!(swept.after <= swept.before, "{swept:?}");
    assert_eq!(store.nodes().unwrap().len(), 4);
    assert!(store.part(&root, "state").unwrap() == trunk && store.part(&ids[2], "state").unwrap() == longer);
    assert_eq!(store.part(&ids[0], "state"), Err(StoreError::Unknown { id: ids[0] }));
    // What was removed can come again.
    store.put(&[a]).unwrap();
    assert!(store.part(&ids[0], "state").unwrap() == near);
    store.sweep().unwrap();
    assert!(store.part(&ids[0], "state").unwrap() == near);
    store.remove(&[ids[0], ids[2], root, these[0], these[1]]).unwrap();
    let swept = store.sweep().unwrap();
    assert!(swept.pieces > 0, "{swept:?}");
    let usage = store.usage().unwrap();
    assert_eq!((usage.nodes, usage.whole), (0, 0));

    // Notes.
    assert_eq!(store.note("key").unwrap(), None);
    store.set_note("key", Some(b"wrapped")).unwrap();
    store.set_note("other", Some(b"")).unwrap();
    assert_eq!(store.note("key").unwrap().as_deref(), Some(&b"wrapped"[..]));
    assert_eq!(store.note("other").unwrap().as_deref(), Some(&b""[..]));
    store.set_note("key", None).unwrap();
    assert_eq!(store.note("key").unwrap(), None);
}
