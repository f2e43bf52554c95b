//! What is asserted of bytes that claim to be signed, or to be a snapshot: the fuzz targets `envelope` and `signed_snapshot`, and
//! the replay on every test run (`runtime/engine/tests/fuzz.rs`). Whoever takes this in has the engine's modules
//! `provenance` and `snapshot` at the root of its crate.

use crate::provenance::{
    Checked, Envelope, Findings, Kind, Manifest, PublicKey, Trust, Verdict, canonical, verify,
    verify_snapshot,
};
use crate::snapshot::{Container, Section, Snapshot, Tag};

/// Any bytes are refused, or are what would be written of what was read; nobody trusted, so never good.
pub fn envelope(data: &[u8]) {
    if let Ok(value) = canonical::read(data) {
        assert_eq!(canonical::write(&value).as_bytes(), data);
    }
    if let Ok(manifest) = Manifest::read(data) {
        assert_eq!(manifest.text().expect("what was read can be written").as_bytes(), data);
    }
    if let Ok(envelope) = Envelope::read(data) {
        assert_eq!(envelope.text().as_bytes(), data);
    }
    let nobody = Trust::new();
    for kind in [Kind::Bundle, Kind::Snapshot] {
        let Findings { verdict, .. } = verify(data, kind, &nobody, &mut |p| Ok((p.length, p.sha256)));
        assert_ne!(verdict, Verdict::Good);
    }
    assert_ne!(Checked::of(data, &nobody).verdict(), Verdict::Good);
    if let Ok(key) = PublicKey::from_der(data) {
        assert_eq!(key.der(), data);
        assert_eq!(PublicKey::from_pem(&key.pem()).expect("it reads back"), key);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = PublicKey::from_pem(text);
    }
}

/// Any bytes are refused, or are what would be written of what was read. Hashes keep damage out, so the same is asserted
/// of sections that are cut from the bytes and have the right ones: tag (by number), length (2), bytes.
pub fn snapshot(data: &[u8]) {
    let _ = Container::differing(data);
    if let Ok(snapshot) = Snapshot::decode(data) {
        assert_eq!(snapshot.encode(), data);
    }
    assert_ne!(verify_snapshot(data, &Trust::new()).verdict, Verdict::Good);
    let tags = [
        Tag::MODEL,
        Tag::SCENARIO,
        Tag::CLOCK,
        Tag::PARENT,
        Tag::MEMORY,
        Tag::BEHAVIOR,
        Tag::INTEGRATOR,
        Tag::MONITOR,
        Tag::RECORDER,
        Tag::MESSAGES,
    ];
    let (mut rest, mut sections) = (data, Vec::new());
    while let [tag, low, high, more @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let tag = tags[usize::from(*tag) % tags.len()];
        sections.push(Section { tag, version: 1, bytes: more[..length].into() });
        rest = &more[length..];
    }
    let container = Container::new(sections, rest.to_vec());
    let bytes = container.encode();
    assert_eq!(Container::decode(&bytes).as_ref(), Ok(&container));
    if let Ok(snapshot) = Snapshot::of(container) {
        assert_eq!(snapshot.encode(), bytes);
    }
    assert_ne!(verify_snapshot(&bytes, &Trust::new()).verdict, Verdict::Good);
}
