//! Encryption at rest: round trips, every altered byte, other keys, rotation; nothing secret is printed.
#![allow(clippy::unwrap_used, reason = "tests")]

use twinml_providers::crypt::{
    CryptError, DataKey, HexKey, KeyWrap, Wrapped, create_key_file, holds, is_sealed, open, rewrap, seal,
    wrapped,
};
use twinml_providers::keyfile::{KeyError, Source};

fn key(digit: &str) -> HexKey {
    HexKey::from_text(&digit.repeat(64), "a test").unwrap()
}

#[test]
fn keys_of_hexadecimal_digits_hold_the_seam() {
    holds(&mut key("1"), &mut key("2")).unwrap();
}

#[test]
fn what_is_sealed_opens_at_every_length() {
    let mut wrap = key("a");
    for length in [0, 1, 15, 16, 17, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let plain: Vec<u8> = (0..length).map(|k| (k * 31 % 251) as u8).collect();
        let sealed = seal(&plain, &mut wrap).unwrap();
        assert!(is_sealed(&sealed) && !is_sealed(&plain));
        assert_eq!(open(&sealed, &mut wrap).unwrap(), plain, "{length}");
        assert!(length < 32 || !sealed.windows(32).any(|w| w == &plain[..32]));
        // Another key each time.
        assert_ne!(seal(&plain, &mut wrap).unwrap(), sealed);
    }
}

#[test]
fn no_byte_can_be_altered_left_out_or_put_in() {
    let mut wrap = key("a");
    let sealed = seal(&[7; 300], &mut wrap).unwrap();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1 << bit;
            assert!(open(&damaged, &mut wrap).is_err(), "byte {at}, bit {bit}");
        }
        assert!(open(&sealed[..at], &mut wrap).is_err(), "cut at {at}");
        let mut more = sealed.clone();
        more.insert(at, 0);
        assert!(open(&more, &mut wrap).is_err(), "a byte at {at}");
    }
    // Whole pieces neither: exchanged, left out, repeated, of another file.
    let plain: Vec<u8> = (0..4 * 65_536).map(|k| (k / 65_536) as u8).collect();
    let sealed = seal(&plain, &mut wrap).unwrap();
    let at = wrapped(&sealed).unwrap().1;
    let piece = 65_536 + 16;
    let of = |k: usize| sealed[at + k * piece..at + (k + 1) * piece].to_vec();
    let (head, end) = (sealed[..at].to_vec(), sealed[at + 4 * piece..].to_vec());
    assert_eq!(
        open(&[head.clone(), of(0), of(1), of(2), of(3), end.clone()].concat(), &mut wrap).unwrap(),
        plain
    );
    for wrong in [
        vec![head.clone(), of(1), of(0), of(2), of(3), end.clone()],
        vec![head.clone(), of(0), of(1), of(2), end.clone()],
        vec![head.clone(), of(0), of(1), of(2), of(3), of(3), end.clone()],
        vec![head.clone(), of(0), of(1), of(2), of(3)],
        vec![head, end],
    ] {
        assert_eq!(open(&wrong.concat(), &mut wrap), Err(CryptError::Altered));
    }
}

#[test]
fn another_key_opens_nothing_and_is_named() {
    let (mut a, mut b) = (key("a"), key("b"));
    let sealed = seal(b"state", &mut a).unwrap();
    let e = open(&sealed, &mut b).unwrap_err();
    assert_eq!(e, CryptError::OtherKey { wanted: a.name().into(), given: b.name().into() });
    // Who knows the name only gets no further.
    let (mut forged, at) = wrapped(&sealed).unwrap();
    forged.by = b.name().into();
    let forged = [&sealed[..12], &forged.to_bytes(), &sealed[at..]].concat();
    assert_eq!(open(&forged, &mut b), Err(CryptError::Altered));
}

#[test]
fn rotation_wraps_the_key_anew_and_leaves_the_rest() {
    let (mut old, mut new) = (key("a"), key("b"));
    let sealed = seal(&[9; 100_000], &mut old).unwrap();
    let rotated = rewrap(&sealed, &mut old, &mut new).unwrap();
    assert_eq!(open(&rotated, &mut new).unwrap(), [9; 100_000]);
    assert!(open(&rotated, &mut old).is_err());
    assert_eq!(open(&sealed, &mut old).unwrap(), [9; 100_000]);
    let (a, b) = (wrapped(&sealed).unwrap().1, wrapped(&rotated).unwrap().1);
    assert_eq!(sealed[a..], rotated[b..]);
    assert!(rewrap(&sealed, &mut new, &mut old).is_err());
}

#[test]
fn pieces_of_a_store_are_sealed_about_what_they_are() {
    let key = DataKey::generate().unwrap();
    let sealed = key.seal(b"block", b"block 7").unwrap();
    assert_eq!(sealed.len(), 5 + 28);
    assert_eq!(key.open(&sealed, b"block 7").unwrap(), b"block");
    assert_eq!(key.open(&sealed, b"block 8"), Err(CryptError::Altered));
    assert_eq!(DataKey::generate().unwrap().open(&sealed, b"block 7"), Err(CryptError::Altered));
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 0x80;
        assert_eq!(key.open(&damaged, b"block 7"), Err(CryptError::Altered));
        assert_eq!(key.open(&sealed[..at], b"block 7"), Err(CryptError::Altered));
    }
}

/// NIST's test vector for AES-256-GCM (McGrew and Viega, test case 16).
#[test]
fn the_cipher_is_aes_256_gcm() {
    let hex = |t: &str| -> Vec<u8> {
        (0..t.len() / 2).map(|k| u8::from_str_radix(&t[2 * k..2 * k + 2], 16).unwrap()).collect()
    };
    let key = DataKey::from_bytes(&hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"))
        .unwrap();
    let plain = hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let sealed = hex(
        "cafebabefacedbaddecaf888522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
    );
    let about = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    assert_eq!(key.open(&sealed, &about).unwrap(), plain);
}

#[test]
fn hostile_heads_are_refused_before_anything_is_made() {
    let mut wrap = key("a");
    let sealed = seal(b"x", &mut wrap).unwrap();
    // A length of 2⁶⁴ − 1 for the name of the wrapping key.
    let mut long = sealed.clone();
    long[13..21].fill(0xff);
    assert!(matches!(open(&long, &mut wrap), Err(CryptError::Form(_))));
    let mut later = sealed.clone();
    later[8] = 2;
    assert!(open(&later, &mut wrap).unwrap_err().to_string().contains("version 2"));
    let named = Wrapped { by: "a\u{1b}[31m".into(), ..wrapped(&sealed).unwrap().0 };
    assert!(Wrapped::from_bytes(&named.to_bytes()).is_err());
}

#[test]
fn keys_come_from_files_and_the_environment_and_stand_in_no_message() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("k");
    let name = create_key_file(&path).unwrap();
    let none = |_: &str| None;
    let read = HexKey::read(&Source::File(path.clone()), &none).unwrap();
    assert_eq!(read.name(), name);
    assert!(matches!(create_key_file(&path), Err(KeyError::Exists(_))));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.len(), 65);
    let env = |name: &str| (name == "K").then(|| text.clone());
    assert_eq!(HexKey::read(&Source::Env("K".into()), &env).unwrap().name(), name);
    assert!(!format!("{read:?}{:?}", DataKey::generate().unwrap()).contains(&text[..8]));
    for wrong in ["", "12", &"g".repeat(64), &"1".repeat(65), &format!("{}é", "1".repeat(62))] {
        let e = HexKey::from_text(wrong, "`K`").unwrap_err();
        assert!(!format!("{e}{e:?}").contains(&"1".repeat(8)), "{e}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let e = HexKey::read(&Source::File(path), &none).unwrap_err();
    assert!(e.help().unwrap().contains("chmod 600"), "{e}");
}
