//! The two ways to a TPM, in pure Rust and through the system's TSS library, understand each other: what one made is good in
//! the other, for plain `p256` and for the `openssl` command. Built with the feature `tss-esapi`.
#![cfg(feature = "tss-esapi")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "../../../tests/peers/swtpm.rs"]
mod swtpm;

use std::fs;
use std::process::Command;

use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;
use swtpm::Swtpm;
use twinml_engine::provenance::conformance::{self, Fake};
use twinml_engine::provenance::{Algorithm, Signer};
use twinml_providers::tpm::{
    Address, Blob, Chip, Error, Flaw, Hierarchy, Passwords, Patience, Pcrs, TpmSigner, Use, connect,
};

/// Both ways to one TPM; it serves one connection at a time.
struct Ways {
    pure: Address,
    tss: Address,
    _tpm: Swtpm,
}

impl Ways {
    fn start() -> Option<Ways> {
        let tpm = Swtpm::start_tss()?;
        let pure = Address::parse(&tpm.address).unwrap();
        let Address::Tcp { host, port } = &pure else { unreachable!("it is on a port") };
        let tss = Address::parse(&format!("tss:swtpm:host={host},port={port}")).unwrap();
        Some(Ways { tss, pure, _tpm: tpm })
    }

    fn both(&self) -> [(&Address, &Address); 2] {
        [(&self.pure, &self.tss), (&self.tss, &self.pure)]
    }
}

fn open(at: &Address) -> Box<dyn Chip> {
    connect(at, Patience::default(), Passwords::default()).unwrap()
}

fn good(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = p256::ecdsa::VerifyingKey::from_public_key_der(public_key).unwrap();
    p256::ecdsa::Signature::from_der(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
}

fn openssl(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("key", public_key), ("message", message), ("signature", signature)] {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let args = ["dgst", "-sha256", "-keyform", "DER", "-verify", "key", "-signature", "signature", "message"];
    match Command::new("openssl").args(args).current_dir(dir.path()).output() {
        Ok(done) => done.status.success(),
        Err(e) => {
            eprintln!("left out: there is no `openssl` here ({e})");
            true
        }
    }
}

#[test]
fn what_it_is_reads_the_same_both_ways() {
    let Some(ways) = Ways::start() else { return };
    let pure = open(&ways.pure).properties().clone();
    assert_eq!(open(&ways.tss).properties(), &pure);
    assert!(pure.software);
}

#[test]
fn a_key_of_one_way_signs_the_other_way() {
    let Some(ways) = Ways::start() else { return };
    let long: Vec<u8> = (0..9000_u32).map(|k| k as u8).collect();
    for (one, other) in ways.both() {
        for (under, of) in [
            (Hierarchy::Owner, Use::SignAndQuote),
            (Hierarchy::Endorsement, Use::SignAndQuote),
            (Hierarchy::Owner, Use::Sign),
        ] {
            let pem = open(one).create_key(under, of).unwrap().to_pem();
            let blob = Blob::from_pem(&pem).unwrap();
            let public = blob.public_key().unwrap();
            let signatures: Vec<(Vec<u8>, Vec<u8>)> = [one, other]
                .into_iter()
                .flat_map(|way| {
                    let mut chip = open(way);
                    let key = chip.load(&blob).unwrap();
                    let most = if of == Use::Sign { long.len() } else { 1024 };
                    let messages = [&b""[..], b"a state is evidence", &long[..1024], &long[..most]];
                    let signed: Vec<_> =
                        messages.iter().map(|m| (m.to_vec(), chip.sign(&key, m).unwrap())).collect();
                    chip.unload(key).unwrap();
                    signed
                })
                .collect();
            for (message, signature) in &signatures {
                assert!(public.verifies(message, signature));
                assert!(good(public.der(), message, signature));
                assert!(openssl(public.der(), message, signature));
                assert!(!openssl(public.der(), &[message, &b"!"[..]].concat(), signature));
            }
        }
    }
    // What the library cannot do it says.
    let mut chip = open(&ways.tss);
    let blob = chip.create_key(Hierarchy::Owner, Use::SignAndQuote).unwrap();
    let key = chip.load(&blob).unwrap();
    let refused = chip.sign(&key, &long).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "through the TSS library a key that also quotes signs at most 1024 bytes, not 9000"
    );
    assert!(matches!(chip.sign(&key, b"\xffTCG!"), Err(Error::Refused { command: "TPM2_Sign", .. })));
}

#[test]
fn the_seam_of_signers_is_kept_through_the_library() {
    let Some(ways) = Ways::start() else { return };
    let mut chip = open(&ways.tss);
    let blob = chip.create_key(Hierarchy::Owner, Use::Sign).unwrap();
    let mut signer = TpmSigner::new(chip, &blob).unwrap();
    conformance::holds(&mut signer, &mut Fake::new(Algorithm::EcdsaP256Sha256, 1)).unwrap();
    for k in 0..1000_u32 {
        let message = k.to_le_bytes().repeat(400);
        let signature = signer.sign(&message).unwrap();
        assert!(good(signer.public_key(), &message, &signature));
    }
    let h = signer.chip().timings().of("sign").unwrap().clone();
    eprintln!(
        "1000 signatures of 1600 bytes through the TSS library: median {} µs, p99 {} µs, longest {} µs",
        h.percentile(50),
        h.percentile(99),
        h.max()
    );
    // And it goes on the other way, with room for its key.
    drop(signer);
    let mut signer = TpmSigner::new(open(&ways.pure), &blob).unwrap();
    conformance::holds(&mut signer, &mut Fake::new(Algorithm::EcdsaP256Sha256, 1)).unwrap();
}

#[test]
fn quotes_and_registers_are_the_same_both_ways() {
    let Some(ways) = Ways::start() else { return };
    let all = Pcrs::new(0..24).unwrap();
    for (one, other) in ways.both() {
        let mut chip = open(one);
        let blob = chip.create_key(Hierarchy::Endorsement, Use::SignAndQuote).unwrap();
        let public = blob.public_key().unwrap();
        chip.extend_pcr(Pcrs::APPLICATION, &[3; 32]).unwrap();
        let values = chip.read_pcrs(&all).unwrap();
        drop(chip);
        let mut chip = open(other);
        let key = chip.load(&blob).unwrap();
        let quote = chip.quote(&key, &all, b"nonce").unwrap();
        assert_eq!(quote.values, values);
        assert_eq!(quote.check(&public, b"nonce"), Ok(()));
        assert_eq!(quote.check(&public, b"ecnon"), Err(Flaw::Nonce));
        chip.unload(key).unwrap();
    }
}

#[test]
fn counters_go_up_both_ways() {
    let Some(ways) = Ways::start() else { return };
    let index = 0x0180_1234;
    let missing = open(&ways.tss).counter(index).unwrap_err();
    assert!(missing.to_string().contains("TPM_RC_HANDLE"), "{missing}");
    open(&ways.tss).create_counter(index).unwrap();
    let begin = open(&ways.pure).counter(index).unwrap();
    for k in 0..5 {
        assert_eq!(open(&ways.tss).increment(index).unwrap(), begin + 2 * k + 1);
        assert_eq!(open(&ways.pure).increment(index).unwrap(), begin + 2 * k + 2);
    }
    for (one, other) in ways.both() {
        open(one).create_counter(index).unwrap();
        assert_eq!(open(other).counter(index).unwrap(), begin + 10);
    }
    open(&ways.tss).remove_counter(index).unwrap();
    open(&ways.pure).create_counter(index).unwrap();
    assert!(open(&ways.tss).counter(index).unwrap() > begin + 10);
}

#[test]
fn secrets_sealed_one_way_open_the_other_way() {
    let Some(ways) = Ways::start() else { return };
    let pcrs = Pcrs::parse("7,16").unwrap();
    for (one, other) in ways.both() {
        let secret = open(one).random(32).unwrap();
        let sealed = Blob::from_pem(&open(one).seal(&secret, &pcrs).unwrap().to_pem()).unwrap();
        for way in [one, other] {
            let mut chip = open(way);
            for _ in 0..5 {
                assert_eq!(chip.unseal(&sealed).unwrap(), secret);
            }
        }
        open(other).extend_pcr(16, &[9; 32]).unwrap();
        for way in [one, other] {
            let mut chip = open(way);
            for _ in 0..5 {
                assert_eq!(
                    chip.unseal(&sealed).unwrap_err(),
                    Error::Changed { pcrs: "sha256:7,16".to_owned() }
                );
            }
        }
    }
}

#[test]
fn what_is_not_there_is_said() {
    for at in ["tss:nonsense", "tss:swtpm:host=127.0.0.1,port=1"] {
        let e =
            connect(&Address::parse(at).unwrap(), Patience::default(), Passwords::default()).err().unwrap();
        assert!(matches!(e, Error::Address { .. } | Error::Unreachable { .. }), "{e}");
    }
}
