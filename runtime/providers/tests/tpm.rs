//! A TPM in software (`swtpm`) does what is asked of a TPM: keys, signatures, quotes, counters, sealed secrets.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "../../../tests/peers/swtpm.rs"]
mod swtpm;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;
use swtpm::Swtpm;
use twinml_engine::provenance::conformance::{self, Fake};
use twinml_engine::provenance::{Algorithm, Backing, PublicKey, Signer};
use twinml_providers::tpm::{
    Address, Blob, Chip, Error, Flaw, Hierarchy, Passwords, Patience, Pcrs, Properties, TpmSigner, Use,
    connect, index_of,
};

fn open(at: &str) -> Box<dyn Chip> {
    connect(&Address::parse(at).unwrap(), Patience::default(), Passwords::default()).unwrap()
}

/// Whether plain `p256` finds the signature good.
fn good(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = p256::ecdsa::VerifyingKey::from_public_key_der(public_key).unwrap();
    p256::ecdsa::Signature::from_der(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
}

/// Whether the `openssl` command finds it good; `None` where there is no such command.
fn good_for_openssl(public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        fs::write(dir.path().join(name), bytes).unwrap();
        name.to_owned()
    };
    let done = Command::new("openssl")
        .args(["dgst", "-sha256", "-keyform", "DER", "-verify", &file("key.der", public_key)])
        .args(["-signature", &file("signature", signature), &file("message", message)])
        .current_dir(dir.path())
        .output();
    match done {
        Ok(done) => Some(done.status.success()),
        Err(e) => {
            eprintln!("left out: there is no `openssl` here ({e})");
            None
        }
    }
}

#[test]
fn keys_sign_over_every_transport() {
    let starts: [fn() -> Option<Swtpm>; 3] =
        [Swtpm::start, || Swtpm::start_tcp(""), || Swtpm::start_tcp(",disconnect")];
    for start in starts {
        let Some(tpm) = start() else { return };
        let mut chip = open(&tpm.address);
        assert!(chip.properties().software, "{:?}", chip.properties());
        let long: Vec<u8> = (0..5000_u32).map(|k| k as u8).collect();
        for (under, of) in [
            (Hierarchy::Owner, Use::SignAndQuote),
            (Hierarchy::Endorsement, Use::SignAndQuote),
            (Hierarchy::Endorsement, Use::Sign),
        ] {
            let blob = chip.create_key(under, of).unwrap();
            assert_eq!(Blob::from_pem(&blob.to_pem()).unwrap(), blob);
            let public = blob.public_key().unwrap();
            // More often than there are slots: none is left behind.
            for _ in 0..5 {
                let key = chip.load(&blob).unwrap();
                for message in
                    [&b""[..], b"a state is evidence", &long[..1024], &long[..1025], &long[..2048], &long]
                {
                    let signature = chip.sign(&key, message).unwrap();
                    assert!(good(public.der(), message, &signature));
                    assert!(!good(public.der(), &[message, b"!"].concat(), &signature));
                }
                chip.unload(key).unwrap();
            }
            let key = chip.load(&blob).unwrap();
            let signature = chip.sign(&key, &long).unwrap();
            assert_ne!(good_for_openssl(public.der(), &long, &signature), Some(false));
            assert_ne!(good_for_openssl(public.der(), b"something else", &signature), Some(true));
            // What looks like a statement of the TPM's own is not signed, short or long.
            for forged in [b"\xffTCG\x80\x18 quoted".to_vec(), [&b"\xffTCG"[..], &long].concat()] {
                let signed = chip.sign(&key, &forged);
                match of {
                    Use::SignAndQuote => {
                        assert!(
                            matches!(signed, Err(Error::Refused { command: "TPM2_Sign", .. })),
                            "{signed:?}"
                        );
                        assert!(chip.quote(&key, &Pcrs::MACHINE, b"n").is_ok());
                    }
                    Use::Sign => {
                        assert!(good(public.der(), &forged, &signed.unwrap()));
                        assert!(matches!(chip.quote(&key, &Pcrs::MACHINE, b"n"), Err(Error::Request { .. })));
                    }
                }
            }
            chip.unload(key).unwrap();
        }
    }
}

#[test]
fn the_seam_of_signers_is_kept() {
    let Some(tpm) = Swtpm::start() else { return };
    let mut chip = open(&tpm.address);
    let blob = chip.create_key(Hierarchy::Endorsement, Use::SignAndQuote).unwrap();
    let mut signer = TpmSigner::new(chip, &blob).unwrap();
    assert_eq!(signer.algorithm(), Algorithm::EcdsaP256Sha256);
    assert_eq!(signer.backing(), Backing::Tpm { maker: "IBM".to_owned(), software: true });
    assert_eq!(signer.key_id(), blob.public_key().unwrap().id());
    assert_eq!(signer.public_key(), blob.public_key().unwrap().der());
    let (a, b) = (signer.sign(b"m").unwrap(), signer.sign(b"m").unwrap());
    for s in [&a, &b] {
        assert!(good(signer.public_key(), b"m", s));
        let parsed = p256::ecdsa::Signature::from_der(s).unwrap();
        assert_eq!(parsed.normalize_s(), parsed);
        assert_eq!(parsed.to_der().as_bytes(), s.as_slice());
    }
    conformance::holds(&mut signer, &mut Fake::new(Algorithm::EcdsaP256Sha256, 1)).unwrap();
    conformance::holds(&mut Fake::new(Algorithm::Ed25519, 1), &mut signer).unwrap();
    drop(signer);
    // The slot is free again: three more fit.
    let mut chip = open(&tpm.address);
    let keys: Vec<_> = (0..2).map(|_| chip.load(&blob).unwrap()).collect();
    for key in keys {
        chip.unload(key).unwrap();
    }
}

#[test]
fn a_key_is_of_no_use_to_another_tpm() {
    let (Some(one), Some(other)) = (Swtpm::start(), Swtpm::start()) else { return };
    let blob = open(&one.address).create_key(Hierarchy::Owner, Use::SignAndQuote).unwrap();
    let refused = open(&other.address).load(&blob).unwrap_err();
    assert!(refused.to_string().contains("TPM_RC_INTEGRITY"), "{refused}");
    assert!(refused.to_string().contains("made by another TPM"), "{refused}");
    assert!(refused.help().unwrap().contains("the TPM that made the key"));
}

#[test]
fn no_flipped_byte_of_a_key_file_makes_a_key() {
    let Some(tpm) = Swtpm::start() else { return };
    let mut chip = open(&tpm.address);
    let blob = chip.create_key(Hierarchy::Owner, Use::SignAndQuote).unwrap();
    let pem = blob.to_pem();
    let commented = format!("Key-Id: {}\n\n{pem}\nafter\n", blob.public_key().unwrap().id());
    assert_eq!(Blob::from_pem(&commented).unwrap(), blob);
    let mut read = 0;
    for k in 0..pem.trim_end().len() {
        for flip in [1, 0x20] {
            let mut bytes = pem.clone().into_bytes();
            bytes[k] ^= flip;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            if let Ok(other) = Blob::from_pem(&text) {
                read += 1;
                assert_ne!(other, blob, "{k}");
                assert!(chip.load(&other).is_err(), "{k}");
            }
        }
    }
    // Of the encrypted part only the TPM can tell.
    assert!(read > 100, "{read}");
    for text in ["", "-----BEGIN TSS2 PRIVATE KEY-----", &pem[..pem.len() - 3], &"x".repeat(100_000)] {
        assert!(matches!(Blob::from_pem(text), Err(Error::Blob { .. })));
    }
}

#[test]
fn a_quote_is_checked_without_the_tpm() {
    let Some(tpm) = Swtpm::start() else { return };
    let mut chip = open(&tpm.address);
    let blob = chip.create_key(Hierarchy::Endorsement, Use::SignAndQuote).unwrap();
    let public = blob.public_key().unwrap();
    let key = chip.load(&blob).unwrap();
    // More registers than one command reads.
    let all = Pcrs::new(0..24).unwrap();
    assert_eq!(chip.read_pcrs(&all).unwrap().len(), 24);
    let before = chip.quote(&key, &all, b"who is there").unwrap();
    assert_eq!(before.check(&public, b"who is there"), Ok(()));
    assert_eq!(before.check(&public, b"somebody else"), Err(Flaw::Nonce));
    assert_eq!(before.check(&chip_key(&mut *chip), b"who is there"), Err(Flaw::Signature));
    assert_eq!(before.clock().unwrap().resets, 1);
    // A manifest's hash goes into the application's register.
    chip.extend_pcr(Pcrs::APPLICATION, &[7; 32]).unwrap();
    let after = chip.quote(&key, &all, b"").unwrap();
    assert_eq!(after.check(&public, b""), Ok(()));
    let differ: Vec<u8> =
        before.values.iter().zip(&after.values).filter(|(a, b)| a != b).map(|(a, _)| a.pcr).collect();
    assert_eq!(differ, [Pcrs::APPLICATION]);
    let mut mixed = after.clone();
    mixed.values = before.values.clone();
    assert_eq!(mixed.check(&public, b""), Err(Flaw::Registers));
    let mut fewer = after.clone();
    fewer.values.pop();
    assert_eq!(fewer.check(&public, b""), Err(Flaw::Registers));
    for k in 0..after.statement.len() {
        let mut flipped = after.clone();
        flipped.statement[k] ^= 1 << (k % 8);
        assert_eq!(flipped.check(&public, b""), Err(Flaw::Signature), "{k}");
    }
    for k in 0..after.signature.len() {
        let mut flipped = after.clone();
        flipped.signature[k] ^= 1 << (k % 8);
        assert_eq!(flipped.check(&public, b""), Err(Flaw::Signature), "{k}");
    }
    // A signed message is no quote.
    let mut message = after.clone();
    message.statement = b"a message".to_vec();
    message.signature = chip.sign(&key, b"a message").unwrap();
    assert_eq!(message.check(&public, b""), Err(Flaw::Statement));
    assert!(matches!(chip.quote(&key, &all, &[0; 65]), Err(Error::Request { .. })));
    chip.unload(key).unwrap();
}

/// The public half of a key that signed nothing.
fn chip_key(chip: &mut dyn Chip) -> PublicKey {
    chip.create_key(Hierarchy::Owner, Use::SignAndQuote).unwrap().public_key().unwrap()
}

#[test]
fn a_counter_only_goes_up() {
    let Some(tpm) = Swtpm::start() else { return };
    let mut chip = open(&tpm.address);
    let index =
        index_of(chip.create_key(Hierarchy::Owner, Use::SignAndQuote).unwrap().public_key().unwrap().id())
            .unwrap();
    let missing = chip.counter(index).unwrap_err();
    assert!(missing.to_string().contains("TPM_RC_HANDLE"), "{missing}");
    chip.create_counter(index).unwrap();
    let begin = chip.counter(index).unwrap();
    for k in 1..=20 {
        assert_eq!(chip.increment(index).unwrap(), begin + k);
    }
    // Finding it there changes nothing.
    chip.create_counter(index).unwrap();
    assert_eq!(chip.counter(index).unwrap(), begin + 20);
    // Removed and made anew, it is above what it was; and so is another.
    chip.remove_counter(index).unwrap();
    assert!(chip.counter(index).is_err() && chip.remove_counter(index).is_err());
    chip.create_counter(index ^ 1).unwrap();
    assert!(chip.counter(index ^ 1).unwrap() > begin + 20);
    chip.create_counter(index).unwrap();
    let last = chip.counter(index).unwrap();
    assert!(last > begin + 20, "{last}");
    assert!(matches!(chip.create_counter(0x0100_0000), Err(Error::Request { .. })));
    // It outlives the TPM's restart.
    drop(chip);
    let (dir, mut tpm) = (tpm.dir.clone(), tpm);
    tpm.stop();
    let again = Swtpm::start_in(&dir).unwrap();
    assert_eq!(open(&again.address).counter(index).unwrap(), last);
}

#[test]
fn an_old_state_of_a_software_tpm_can_be_put_back() {
    // Not what anyone wants: what `Properties::SOFTWARE` warns of.
    let Some(mut tpm) = Swtpm::start() else { return };
    let index = 0x0180_0001;
    let mut chip = open(&tpm.address);
    chip.create_counter(index).unwrap();
    let begin = chip.counter(index).unwrap();
    drop(chip);
    tpm.stop();
    let old = fs::read(tpm.state()).unwrap();
    let mut again = Swtpm::start_in(&tpm.dir).unwrap();
    assert_eq!(open(&again.address).increment(index).unwrap(), begin + 1);
    again.stop();
    fs::write(tpm.state(), old).unwrap();
    let again = Swtpm::start_in(&tpm.dir).unwrap();
    assert_eq!(open(&again.address).counter(index).unwrap(), begin);
    assert!(Properties::SOFTWARE.contains("put back an old state"));
}

#[test]
fn a_sealed_secret_is_given_out_only_while_the_registers_stand() {
    let Some(tpm) = Swtpm::start() else { return };
    let mut chip = open(&tpm.address);
    let secret: Vec<u8> = chip.random(32).unwrap();
    let pcrs = Pcrs::parse("7,16,23").unwrap();
    let sealed = chip.seal(&secret, &pcrs).unwrap();
    let read = Blob::from_pem(&sealed.to_pem()).unwrap();
    assert_eq!(read, sealed);
    let holds = |bytes: &[u8]| bytes.windows(32).any(|w| w == secret);
    assert!(!holds(sealed.to_pem().as_bytes()) && !holds(sealed.parts().0) && !holds(sealed.parts().1));
    for _ in 0..5 {
        assert_eq!(chip.unseal(&read).unwrap(), secret);
    }
    // A register that is not in the policy does not matter.
    chip.extend_pcr(8, &[1; 32]).unwrap();
    assert_eq!(chip.unseal(&read).unwrap(), secret);
    chip.extend_pcr(16, &[1; 32]).unwrap();
    for _ in 0..5 {
        let refused = chip.unseal(&read).unwrap_err();
        assert_eq!(refused, Error::Changed { pcrs: "sha256:7,16,23".to_owned() });
        assert_eq!(
            refused.to_string(),
            "the secret is sealed to values of the registers sha256:7,16,23 that the TPM does not have now"
        );
        assert!(refused.help().unwrap().contains("seal it anew"));
    }
    // The TPM starts anew, and the register with it.
    drop(chip);
    let (dir, mut tpm) = (tpm.dir.clone(), tpm);
    tpm.stop();
    let again = Swtpm::start_in(&dir).unwrap();
    let mut chip = open(&again.address);
    assert_eq!(chip.unseal(&read).unwrap(), secret);
    // A key is no sealed secret, and the other way round; what is too long or empty is not sealed.
    let key = chip.create_key(Hierarchy::Owner, Use::SignAndQuote).unwrap();
    assert!(matches!(chip.unseal(&key), Err(Error::Blob { .. })));
    assert!(matches!(chip.load(&sealed), Err(Error::Blob { .. })));
    for wrong in [&[][..], &[0; 129]] {
        assert!(matches!(chip.seal(wrong, &pcrs), Err(Error::Request { .. })));
    }
    // Another TPM has the same registers, and not the secret.
    let Some(other) = Swtpm::start() else { return };
    assert!(open(&other.address).unseal(&read).unwrap_err().to_string().contains("TPM_RC_INTEGRITY"));
}

#[test]
fn a_thousand_signatures_and_how_long_they_took() {
    let Some(tpm) = Swtpm::start() else { return };
    let mut chip = open(&tpm.address);
    let blob = chip.create_key(Hierarchy::Endorsement, Use::SignAndQuote).unwrap();
    let mut signer = TpmSigner::new(chip, &blob).unwrap();
    for k in 0..1000_u32 {
        // As long as a manifest is.
        let message: Vec<u8> = k.to_le_bytes().repeat(400);
        let signature = signer.sign(&message).unwrap();
        assert!(good(signer.public_key(), &message, &signature));
    }
    let timings = signer.chip().timings();
    let h = timings.of("sign").unwrap();
    assert_eq!(h.count(), 1000);
    assert!(0 < h.percentile(50) && h.percentile(50) <= h.percentile(99) && h.percentile(99) <= h.max());
    eprintln!(
        "1000 signatures of 1600 bytes by swtpm: median {} µs, p99 {} µs, longest {} µs",
        h.percentile(50),
        h.percentile(99),
        h.max()
    );
    assert!(timings.of("quote").is_none());
}

#[test]
fn what_goes_wrong_is_said() {
    let Some(mut tpm) = Swtpm::start() else { return };
    let patience = Patience { command: Duration::from_secs(2), ..Patience::default() };
    let address = Address::parse(&tpm.address).unwrap();
    let mut chip = connect(&address, patience, Passwords::default()).unwrap();
    let _ = chip.random(100).unwrap();
    assert!(matches!(chip.random(1 << 30), Err(Error::Request { .. })));
    tpm.stop();
    let begun = Instant::now();
    let broken = chip.random(8).unwrap_err();
    assert!(matches!(broken, Error::Broken { .. }), "{broken}");
    let gone = connect(&address, patience, Passwords::default()).err().unwrap();
    assert!(matches!(gone, Error::Unreachable { .. }), "{gone}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    // Not started up by a firmware, nor by its flags.
    let Some(tpm) = Swtpm::start_unstarted() else { return };
    let refused =
        connect(&Address::parse(&tpm.address).unwrap(), patience, Passwords::default()).err().unwrap();
    assert!(refused.to_string().contains("it was not started (TPM_RC_INITIALIZE)"), "{refused}");
    assert!(refused.help().unwrap().contains("startup-clear"));
}
