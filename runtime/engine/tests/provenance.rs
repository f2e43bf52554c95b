//! Any byte of an envelope or of what it vouches for: never good, never a panic. And what a reader of hostile text says.
#![allow(clippy::unwrap_used, reason = "tests")]

use twinml_engine::provenance::conformance::Fake;
use twinml_engine::provenance::{
    Algorithm, Counter, Digest, Envelope, Kind, Manifest, Part, PublicKey, Signer, Subject, TYPE, Trust,
    Verdict, canonical, pae, seal, verify,
};

fn subject(parts: &[(&str, &[u8])]) -> Subject {
    Subject {
        kind: Kind::Bundle,
        compiler: "twinc 0.1.0".into(),
        model: "Tank \"é\"".into(),
        model_hash: Digest::of(b"model"),
        scenario: "drain".into(),
        seed: u64::MAX,
        time: 1200.1,
        machine: [("architecture", "x86_64"), ("isa", "avx512")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        inputs: vec![Part::of("tank.twinml", "source", b"twin Tank {}")],
        parts: parts.iter().map(|(name, bytes)| Part::of(*name, "result", bytes)).collect(),
        parent: Some(Digest::of(b"parent")),
    }
}

fn trust(signer: &dyn Signer) -> Trust {
    let mut trust = Trust::new();
    trust.add(PublicKey::from_der(signer.public_key()).unwrap());
    trust
}

fn say(envelope: &[u8], trust: &Trust, parts: &[(&str, Vec<u8>)]) -> Verdict {
    verify(envelope, Kind::Bundle, trust, &mut |part| {
        let found = parts.iter().find(|(name, _)| *name == part.name);
        found.map(|(_, bytes)| (bytes.len() as u64, Digest::of(bytes))).ok_or("it is missing".to_owned())
    })
    .verdict
}

/// Files by name.
type Files = Vec<(&'static str, Vec<u8>)>;

/// An envelope, its key, and the bytes of its parts.
fn bundle(algorithm: Algorithm) -> (Vec<u8>, Trust, Files) {
    let parts = vec![("a.parquet", b"PAR1 some rows PAR1".to_vec()), ("b", Vec::new())];
    let mut signer = Fake::new(algorithm, 1);
    let borrowed: Vec<(&str, &[u8])> = parts.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    let counter = Some(Counter { index: 0x0150_0001, value: u64::MAX });
    let text = seal(subject(&borrowed), counter, &mut signer).unwrap();
    (text.into_bytes(), trust(&signer), parts)
}

#[test]
fn every_bit_of_every_byte_counts() {
    for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
        let (envelope, trust, parts) = bundle(algorithm);
        assert_eq!(say(&envelope, &trust, &parts), Verdict::Good);
        assert_eq!(say(&envelope, &Trust::new(), &parts), Verdict::UnknownKey);
        for at in 0..envelope.len() {
            for bit in 0..8 {
                let mut damaged = envelope.clone();
                damaged[at] ^= 1 << bit;
                let known = say(&damaged, &trust, &parts);
                assert!(matches!(known, Verdict::Bad { .. }), "byte {at}, bit {bit}: {known:?}");
                assert_ne!(say(&damaged, &Trust::new(), &parts), Verdict::Good);
            }
            // A byte less, a byte more.
            let (mut less, mut more) = (envelope.clone(), envelope.clone());
            less.remove(at);
            more.insert(at, b' ');
            assert!(matches!(say(&less, &trust, &parts), Verdict::Bad { .. }), "without byte {at}");
            assert!(matches!(say(&more, &trust, &parts), Verdict::Bad { .. }), "a blank at {at}");
        }
        for at in 0..parts[0].1.len() {
            for bit in 0..8 {
                let mut damaged = parts.clone();
                damaged[0].1[at] ^= 1 << bit;
                for trust in [&trust, &Trust::new()] {
                    match say(&envelope, trust, &damaged) {
                        Verdict::Bad { part, .. } => assert_eq!(part, "a.parquet"),
                        verdict => panic!("byte {at}: {verdict:?}"),
                    }
                }
            }
        }
        let grown = vec![parts[0].clone(), ("b", vec![0])];
        assert!(matches!(say(&envelope, &trust, &grown), Verdict::Bad { part, .. } if part == "b"));
        assert!(matches!(say(&envelope, &trust, &parts[..1]), Verdict::Bad { part, .. } if part == "b"));
    }
}

/// The same manifest, told otherwise, is not what was signed: neither other base64 nor other JSON is taken.
#[test]
fn one_manifest_has_one_envelope() {
    let (envelope, trust, parts) = bundle(Algorithm::EcdsaP256Sha256);
    let text = String::from_utf8(envelope.clone()).unwrap();
    let read = Envelope::read(&envelope).unwrap();
    let bad = |text: &str| {
        let verdict = say(text.as_bytes(), &trust, &parts);
        assert!(matches!(verdict, Verdict::Bad { .. }), "{verdict:?}: {text}");
    };
    bad(&format!("{text}\n"));
    bad(&text.replace("\":\"", "\": \""));
    bad(&text.replace("\"payload\"", "\"p\\u0061yload\""));
    bad(&text.replace("\"signatures\":[{", "\"signatures\":[{},{"));
    bad(&text.replace("}]}", "}],\"unsigned\":\"x\"}"));
    bad(&text.replacen("\"payloadType\"", "\"payloadTypes\"", 1));
    let start = text.find("\"sig\":\"").unwrap() + 7;
    let sig = &text[start..text.len() - 4];
    for other in
        [sig.trim_end_matches('=').to_owned(), format!("{sig}="), sig.replace('/', "_").replace('+', "-")]
    {
        if other != sig {
            bad(&text.replace(sig, &other));
        }
    }
    // The other half of ECDSA's pair of signatures, which would verify too.
    let signature = p256::ecdsa::Signature::from_der(&read.signature).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    let key = p256::ecdsa::VerifyingKey::from(
        &p256::PublicKey::from_sec1_bytes(&trust.keys()[0].der()[26..]).unwrap(),
    );
    let message = pae(&read.payload_type, &read.payload);
    p256::ecdsa::signature::Verifier::verify(&key, &message, &other).unwrap();
    let twin = Envelope { signature: other.to_der().as_bytes().to_owned(), ..read.clone() };
    bad(&twin.text());
    // A payload of another type under the same signature.
    bad(&Envelope { payload_type: "text/plain".into(), ..read.clone() }.text());
    // A manifest in other words, signed by the right key: its text must be the canonical one.
    let mut signer = Fake::new(Algorithm::EcdsaP256Sha256, 1);
    let payload = [b" ", read.payload.as_slice()].concat();
    bad(&Envelope::sign(TYPE, payload, &mut signer).unwrap().text());
    // A manifest that names another key than the one that signed it.
    let mut other = Fake::new(Algorithm::EcdsaP256Sha256, 2);
    bad(&Envelope::sign(TYPE, read.payload.clone(), &mut other).unwrap().text());
    // A bundle's manifest is no snapshot's.
    let verdict = verify(&envelope, Kind::Snapshot, &trust, &mut |_| unreachable!()).verdict;
    assert!(matches!(verdict, Verdict::Bad { .. }), "{verdict:?}");
}

#[test]
fn a_manifest_reads_back_and_what_cannot_is_not_signed() {
    let (envelope, ..) = bundle(Algorithm::Ed25519);
    let payload = Envelope::read(&envelope).unwrap().payload;
    let manifest = Manifest::read(&payload).unwrap();
    assert_eq!(manifest.text().unwrap().as_bytes(), payload);
    assert_eq!(manifest.subject.seed, u64::MAX);
    assert_eq!(manifest.subject.time, 1200.1);
    let mut signer = Fake::new(Algorithm::Ed25519, 1);
    let mut refuse = |change: fn(&mut Subject)| {
        let mut subject = subject(&[("a", b"a")]);
        change(&mut subject);
        assert!(seal(subject, None, &mut signer).is_err());
    };
    refuse(|s| s.time = f64::NAN);
    refuse(|s| s.time = f64::INFINITY);
    refuse(|s| s.parts.push(s.parts[0].clone()));
    refuse(|s| s.parts[0].length = canonical::MOST + 1);
    refuse(|s| drop(s.machine.insert("a b".into(), String::new())));
}

#[test]
fn a_manifest_says_which_field_is_wrong() {
    let (envelope, ..) = bundle(Algorithm::Ed25519);
    let text = String::from_utf8(Envelope::read(&envelope).unwrap().payload).unwrap();
    for (from, to, field) in [
        ("\"version\":1", "\"version\":2", "version"),
        ("\"kind\":\"bundle\"", "\"kind\":\"parcel\"", "kind"),
        ("\"time\":\"1200.1\"", "\"time\":\"1200.10\"", "time"),
        ("\"time\":\"1200.1\"", "\"time\":\"nan\"", "time"),
        ("\"seed\":\"18446744073709551615\"", "\"seed\":\"18446744073709551616\"", "seed"),
        ("\"seed\":\"18446744073709551615\"", "\"seed\":\"007\"", "seed"),
        ("\"index\":22020097", "\"index\":4294967296", "counter"),
        ("\"role\":\"source\"", "\"role\":\"sauce\"", "root"),
        ("\"length\":19", "\"length\":18", "root"),
        ("\"algorithm\":\"ed25519\"", "\"algorithm\":\"ed448\"", "key"),
        ("\"backing\":\"file\"", "\"backing\":\"chip\"", "key"),
        ("\"compiler\":", "\"compilers\":", "manifest"),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        let wrong = Manifest::read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert_eq!(wrong.field, field, "{to}: {wrong}");
    }
}

#[test]
fn weak_and_foreign_keys_are_no_keys() {
    // Ed25519's neutral element accepts signatures of anything.
    let mut weak = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    weak.push(1);
    weak.extend([0; 31]);
    assert!(PublicKey::from_der(&weak).is_err());
    let key = PublicKey::from_der(Fake::new(Algorithm::EcdsaP256Sha256, 1).public_key()).unwrap();
    assert_eq!(PublicKey::from_pem(&key.pem()).unwrap(), key);
    assert!(PublicKey::from_pem(&key.pem().replace("PUBLIC KEY", "PRIVATE KEY")).is_err());
    for at in 0..key.der().len() {
        assert!(PublicKey::from_der(&key.der()[..at]).is_err());
        let mut damaged = key.der().to_owned();
        damaged[at] ^= 1;
        assert!(PublicKey::from_der(&damaged).map_or(true, |k| k.id() != key.id()), "{at}");
    }
    let long = [key.der(), &[0]].concat();
    assert!(PublicKey::from_der(&long).is_err());
}
