//! Keys in files: the seam, the file's form and mode, and that `openssl` and plain `p256` understand what they sign.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use twinml_engine::provenance::{Algorithm, Envelope, PublicKey, Signer, conformance, pae};
use twinml_providers::keyfile::{Folder, Kept, KeyError, KeyFile, Passphrase, Source, read_public};
use zeroize::Zeroizing;

const BOTH: [Algorithm; 2] = [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519];

fn none() -> impl FnMut() -> Result<Option<Zeroizing<String>>, KeyError> {
    || Ok(None)
}

fn word(word: &'static str) -> impl FnMut() -> Result<Option<Zeroizing<String>>, KeyError> {
    move || Ok(Some(Zeroizing::new(word.to_owned())))
}

/// Whether `openssl` is there; where it is not, that is said.
fn openssl() -> bool {
    let found = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("openssl is not here: what it would say is left out");
    }
    found
}

#[track_caller]
fn run(folder: &Path, args: &[&str]) -> String {
    let out = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    assert!(out.status.success(), "openssl {args:?}: {}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

/// Has `openssl` verify what an envelope's key signed.
fn openssl_verifies(folder: &Path, key: &PublicKey, envelope: &Envelope) {
    fs::write(folder.join("pub.pem"), key.pem()).unwrap();
    fs::write(folder.join("message"), pae(&envelope.payload_type, &envelope.payload)).unwrap();
    fs::write(folder.join("sig"), &envelope.signature).unwrap();
    let said = match key.algorithm() {
        Algorithm::EcdsaP256Sha256 => {
            run(folder, &["dgst", "-sha256", "-verify", "pub.pem", "-signature", "sig", "message"])
        }
        Algorithm::Ed25519 => run(
            folder,
            &[
                "pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin", "-in", "message", "-sigfile",
                "sig",
            ],
        ),
    };
    assert!(said.contains("Verified OK") || said.contains("Verified Successfully"), "{said}");
}

#[test]
fn key_files_hold_what_signers_must() {
    let place = tempfile::tempdir().unwrap();
    for algorithm in BOTH {
        let made = KeyFile::generate(algorithm).unwrap();
        let path = place.path().join(format!("{}.key", algorithm.name()));
        made.create(&path, None).unwrap();
        let mut read = KeyFile::read(&path, &mut none()).unwrap();
        assert_eq!(read.key_id(), made.key_id());
        let mut other = KeyFile::generate(algorithm).unwrap();
        conformance::holds(&mut read, &mut other).unwrap();
        conformance::holds(&mut read, &mut conformance::Fake::new(algorithm, 3)).unwrap();
    }
}

/// RFC 6979, A.2.5: the key, the message `sample`, SHA-256; with the smaller `s`.
#[test]
fn ecdsa_signatures_are_those_of_rfc_6979() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("k.key");
    let x = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
    let x: Vec<u8> = (0..32).map(|k| u8::from_str_radix(&x[2 * k..2 * k + 2], 16).unwrap()).collect();
    let key = p256::SecretKey::from_slice(&x).unwrap();
    let pem = pkcs8::EncodePrivateKey::to_pkcs8_pem(&key, pkcs8::LineEnding::LF).unwrap();
    twinml_providers::keyfile::create_private(&path, pem.as_bytes()).unwrap();
    let signature = KeyFile::read(&path, &mut none()).unwrap().sign(b"sample").unwrap();
    let signature = p256::ecdsa::Signature::from_der(&signature).unwrap();
    let hex: String = signature.to_bytes().iter().map(|b| format!("{b:02X}")).collect();
    // n − F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    let s = "0834E36AD29A83BF2BC9385E491D6099C8FDF9D1ED67AA7EA5F51F93782857A9";
    let r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716";
    assert_eq!(hex, format!("{r}{s}"));
}

#[test]
fn plain_p256_and_openssl_verify_what_we_sign() {
    use p256::ecdsa::signature::Verifier as _;
    use p256::pkcs8::DecodePublicKey as _;
    let place = tempfile::tempdir().unwrap();
    let openssl = openssl();
    for algorithm in BOTH {
        let mut key = KeyFile::generate(algorithm).unwrap();
        let public = key.public().clone();
        for k in 0..8 {
            let payload = format!("{{\"k\":{k}}}").into_bytes();
            let envelope = Envelope::sign("application/vnd.twinml.manifest+json", payload, &mut key).unwrap();
            if algorithm == Algorithm::EcdsaP256Sha256 {
                let plain = p256::ecdsa::VerifyingKey::from_public_key_pem(&public.pem()).unwrap();
                let signature = p256::ecdsa::Signature::from_der(&envelope.signature).unwrap();
                plain.verify(&pae(&envelope.payload_type, &envelope.payload), &signature).unwrap();
            }
            if openssl {
                openssl_verifies(place.path(), &public, &envelope);
            }
        }
    }
}

#[test]
fn openssl_reads_our_keys_and_we_read_its_own() {
    if !openssl() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    for algorithm in BOTH {
        let name = algorithm.name();
        let key = KeyFile::generate(algorithm).unwrap();
        key.create(&at(name), Some("correct horse")).unwrap();
        let public = run(place.path(), &["pkey", "-in", name, "-passin", "pass:correct horse", "-pubout"]);
        assert_eq!(public, key.public().pem());
    }
    let p256 = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "theirs_p256"];
    run(place.path(), &p256);
    run(place.path(), &["genpkey", "-algorithm", "ED25519", "-out", "theirs_ed"]);
    // As openssl encrypts them of its own accord: PBKDF2 and AES-256-CBC.
    for (from, to) in [("theirs_p256", "locked_p256"), ("theirs_ed", "locked_ed")] {
        run(place.path(), &["pkcs8", "-topk8", "-in", from, "-out", to, "-passout", "pass:battery"]);
        for (file, mut ask) in [(from, word("unused")), (to, word("battery"))] {
            chmod(&at(file), 0o600);
            let mut key = KeyFile::read(&at(file), &mut ask).unwrap();
            let public = run(place.path(), &["pkey", "-in", from, "-pubout"]);
            assert_eq!(public, key.public().pem());
            let envelope = Envelope::sign("t", b"p".to_vec(), &mut key).unwrap();
            openssl_verifies(place.path(), key.public(), &envelope);
        }
    }
    // A curve that we do not take.
    run(
        place.path(),
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "p384"],
    );
    chmod(&at("p384"), 0o600);
    let e = KeyFile::read(&at("p384"), &mut none()).unwrap_err();
    assert!(matches!(e, KeyError::NoKey { .. }), "{e}");
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("k.key");
    let key = KeyFile::generate(Algorithm::EcdsaP256Sha256).unwrap();
    key.create(&path, None).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o640, 0o604, 0o644, 0o610, 0o660, 0o601] {
        chmod(&path, mode);
        let e = KeyFile::read(&path, &mut none()).unwrap_err();
        assert!(matches!(e, KeyError::Open { .. }), "{mode:o}: {e}");
        assert!(e.to_string().contains(&format!("{mode:04o}")), "{e}");
        assert!(e.help().unwrap().contains("chmod 600"), "{e}");
    }
    for mode in [0o600, 0o400] {
        chmod(&path, mode);
        KeyFile::read(&path, &mut none()).unwrap();
    }
    // What is there is never written over.
    assert!(matches!(key.create(&path, None), Err(KeyError::Exists(_))));
}

#[test]
fn a_locked_key_opens_with_its_passphrase_only() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("k.key");
    let key = KeyFile::generate(Algorithm::Ed25519).unwrap();
    key.create(&path, Some("correct horse")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{text}");
    assert_eq!(KeyFile::read(&path, &mut word("correct horse")).unwrap().key_id(), key.key_id());
    let e = KeyFile::read(&path, &mut word("correct house")).unwrap_err();
    assert!(matches!(e, KeyError::Passphrase(_)), "{e}");
    assert!(!format!("{e}{e:?}{:?}", e.help()).contains("house"), "{e:?}");
    let e = KeyFile::read(&path, &mut none()).unwrap_err();
    assert!(matches!(e, KeyError::Locked(_)), "{e}");
    let mut refused = || -> Result<Option<Zeroizing<String>>, KeyError> { panic!("nothing to ask for") };
    let open = place.path().join("open.key");
    key.create(&open, None).unwrap();
    KeyFile::read(&open, &mut refused as &mut Passphrase<'_>).unwrap();
    // No secret in what is printed of it.
    assert!(!format!("{:?}", KeyFile::read(&open, &mut none()).unwrap()).contains("secret"));
}

#[test]
fn what_is_no_key_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("k.key");
    let key = KeyFile::generate(Algorithm::EcdsaP256Sha256).unwrap();
    key.create(&path, None).unwrap();
    let text = fs::read(&path).unwrap();
    let damaged = place.path().join("damaged.key");
    twinml_providers::keyfile::create_private(&damaged, b"").unwrap();
    for k in 0..text.len() {
        let mut bytes = text.clone();
        bytes[k] ^= 1;
        fs::write(&damaged, &bytes).unwrap();
        // Refused, or (a bit of the public half or of the encoding that nothing depends on) the same key; no panic.
        if let Ok(read) = KeyFile::read(&damaged, &mut none()) {
            assert!(bytes != text && !read.key_id().is_empty());
        }
        fs::write(&damaged, &text[..k]).unwrap();
        assert!(KeyFile::read(&damaged, &mut none()).is_err() || k + 1 >= text.len(), "{k}");
    }
    fs::write(&damaged, vec![b'a'; 70_000]).unwrap();
    assert!(matches!(KeyFile::read(&damaged, &mut none()), Err(KeyError::NoKey { .. })));
    assert!(matches!(KeyFile::read(place.path(), &mut none()), Err(KeyError::NoKey { .. })));
    assert!(matches!(KeyFile::read(&place.path().join("no"), &mut none()), Err(KeyError::Io { .. })));
}

/// A file that would have unlocking take a tebibyte.
#[test]
fn a_file_that_asks_for_too_much_memory_is_refused() {
    use pkcs8::der::asn1::OctetStringRef;
    use pkcs8::pkcs5::pbes2;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("k.key");
    let params = pkcs8::pkcs5::scrypt::Params::new(30, 8, 1).unwrap();
    let scheme = pbes2::Parameters::generate_scrypt_aes256cbc(params, &[0; 16], [0; 16]).unwrap();
    let info = pkcs8::EncryptedPrivateKeyInfoRef {
        encryption_algorithm: scheme.into(),
        encrypted_data: OctetStringRef::new(&[0; 64]).unwrap(),
    };
    let document = pkcs8::SecretDocument::try_from(&info).unwrap();
    let pem = document.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF).unwrap();
    twinml_providers::keyfile::create_private(&path, pem.as_bytes()).unwrap();
    let e = KeyFile::read(&path, &mut word("x")).unwrap_err();
    assert!(e.to_string().contains("512 MiB"), "{e}");
}

#[test]
fn a_folder_lists_its_keys() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::at(&place.path().join("a/keys"));
    assert!(folder.list().unwrap().is_empty());
    let (a, b) = (KeyFile::generate(BOTH[0]).unwrap(), KeyFile::generate(BOTH[1]).unwrap());
    folder.create("plant", &a, None).unwrap();
    folder.create("ci", &b, Some("x")).unwrap();
    assert!(matches!(folder.create("ci", &a, None), Err(KeyError::Exists(_))));
    for name in ["", ".hidden", "a/b", "..", "-x", "ü", "a b", &"x".repeat(101)] {
        assert!(matches!(folder.create(name, &a, None), Err(KeyError::Name(_))), "{name}");
    }
    let all = folder.list().unwrap();
    let names: Vec<_> = all.iter().map(|l| (l.name.as_str(), l.locked)).collect();
    assert_eq!(names, [("ci", true), ("plant", false)]);
    assert_eq!(all[1].public.as_ref(), Some(a.public()));
    assert_eq!(all[1].kept, Kept::File(folder.key("plant")));
    assert_eq!(read_public(&folder.public("ci")).unwrap(), *b.public());
    let e = folder.find("plants").unwrap_err();
    assert!(e.help().unwrap().contains("ci, plant"), "{e}");
}

#[test]
fn passphrases_come_from_places_and_never_from_arguments() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("word");
    twinml_providers::keyfile::create_private(&path, b"correct horse\r\nmore\n").unwrap();
    let env = |name: &str| (name == "WORD").then(|| "battery".to_owned());
    let get = |text: &str| Source::read(text).unwrap().passphrase(&env, false);
    assert_eq!(*get("env:WORD").unwrap(), "battery");
    assert_eq!(*get(&format!("file:{}", path.display())).unwrap(), "correct horse");
    assert!(matches!(get("env:OTHER"), Err(KeyError::NoPassphrase { .. })));
    chmod(&path, 0o644);
    assert!(matches!(get(&format!("file:{}", path.display())), Err(KeyError::Open { .. })));
    for text in ["hunter2", "", "env:", "file:", "pass:hunter2", "Prompt"] {
        assert_eq!(Source::read(text), None, "{text}");
    }
}
