//! Keys in a TPM on the command line, against `swtpm`: made, signing, counting, attesting, and judged without the TPM.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "peers/swtpm.rs"]
mod swtpm;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use swtpm::Swtpm;
use twinml_providers::tpm::{Address, Passwords, Patience, connect};

const MODEL: &str = "
twin Decay {
  parameters { k: Real[1/s] = 0.5 }
  states { x: Real = 1 }
  equations { der(x) = -k * x }
}
scenario s for Decay { duration: 1 s }
";

/// A project folder with its keys, and a TPM.
struct Desk<'a> {
    dir: &'a Path,
    tpm: &'a str,
}

impl Desk<'_> {
    fn twinc(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_twinc"))
            .args(args)
            .env("TWINML_KEYS", self.dir.join("keys"))
            .env("TWINML_TPM", self.tpm)
            .env_remove("TWINC_ISA")
            .current_dir(self.dir)
            .output()
            .unwrap()
    }

    /// Standard output where it ends with that code.
    fn says(&self, code: i32, args: &[&str]) -> String {
        let out = self.twinc(args);
        let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
        stdout + &stderr
    }

    /// The JSON objects of that type.
    fn objects(&self, code: i32, args: &[&str], kind: &str) -> Vec<Value> {
        let said = self.says(code, &[args, &["--format", "json"]].concat());
        let lines = said.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
        lines.filter(|v| v["type"] == kind).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn desk(f: impl FnOnce(&Desk<'_>)) {
    let Some(tpm) = Swtpm::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.twinml"), MODEL).unwrap();
    f(&Desk { dir: dir.path(), tpm: &tpm.address });
}

#[test]
fn a_run_signed_in_a_tpm_is_verified_without_it() {
    desk(|desk| {
        let made = desk.says(0, &["keys", "create", "mill", "--tpm", "--extend", "23"]);
        assert!(made.contains("ecdsa-p256-sha256  tpm"), "{made}");
        assert!(made.contains("a TPM in software: whoever runs it can copy its keys"), "{made}");
        let file = fs::read_to_string(desk.dir.join("keys/mill.tpm")).unwrap();
        assert!(file.contains("-----BEGIN TSS2 PRIVATE KEY-----"), "{file}");
        assert!(desk.says(0, &["keys", "list"]).contains("mill  ecdsa-p256-sha256  tpm"));
        let before = desk.objects(0, &["keys", "attest", "mill", "--nonce", "00"], "quote");
        desk.says(0, &["run", "m.twinml", "--out", "one", "--sign", "mill"]);
        let pem = desk.says(0, &["keys", "export", "mill"]);
        fs::write(desk.dir.join("mill.pem"), pem).unwrap();
        // The TPM is not asked: there is none at this address.
        let far = Desk { tpm: "unix:/nowhere", ..*desk };
        let said = far.says(0, &["verify", "one", "--key", "mill.pem"]);
        assert!(said.contains("good") && said.contains("freshness not checked"), "{said}");
        assert!(said.contains("a software TPM (IBM)"), "{said}");
        // The register tells of the manifest.
        let after = desk.objects(0, &["keys", "attest", "mill", "--nonce", "00"], "quote");
        assert_ne!(before[0]["registers"], after[0]["registers"]);
        // A byte of the results.
        let result = fs::read_dir(desk.dir.join("one")).unwrap().map(|e| e.unwrap().path());
        let result = result.into_iter().find(|p| p.extension().is_some_and(|e| e == "parquet")).unwrap();
        let mut bytes = fs::read(&result).unwrap();
        bytes[100] ^= 1;
        fs::write(&result, bytes).unwrap();
        assert!(desk.says(6, &["verify", "one"]).contains("bad"));
    });
}

#[test]
fn an_older_state_is_not_the_newest() {
    desk(|desk| {
        desk.says(0, &["keys", "create", "--tpm"]);
        desk.says(0, &["run", "m.twinml", "--out", "one", "--sign"]);
        let said = desk.says(0, &["verify", "one", "--counter"]);
        assert!(said.contains("newest") && said.contains("put back an old state"), "{said}");
        desk.says(0, &["run", "m.twinml", "--out", "two", "--sign"]);
        assert!(desk.says(0, &["verify", "two", "--counter"]).contains("newest"));
        // Validly signed, and older.
        let said = desk.says(6, &["verify", "one", "--counter"]);
        assert!(said.contains("good") && said.contains("older") && said.contains("signed since"), "{said}");
        let fresh = desk.objects(6, &["verify", "one", "--counter"], "verified");
        assert_eq!((&fresh[0]["verdict"], &fresh[0]["freshness"]), (&"good".into(), &"older".into()));
        assert!(desk.says(0, &["verify", "one"]).contains("freshness not checked"));
        // Presented as the newest, it is still the older one.
        fs::remove_dir_all(desk.dir.join("two")).unwrap();
        fs::rename(desk.dir.join("one"), desk.dir.join("two")).unwrap();
        desk.says(6, &["verify", "two", "--counter"]);
        // Another TPM has no such counter.
        let Some(other) = Swtpm::start() else { return };
        let said = desk.says(5, &["verify", "two", "--counter", "--tpm", &other.address]);
        assert!(said.contains("TPM_RC_HANDLE"), "{said}");
        // Of a key that does not count nobody can tell.
        desk.says(0, &["keys", "create", "blind", "--tpm", "--no-counter", "--signs-only"]);
        desk.says(0, &["run", "m.twinml", "--out", "three", "--sign", "blind"]);
        let said = desk.says(5, &["verify", "three", "--counter"]);
        assert!(said.contains("names no counter"), "{said}");
        let said = desk.says(2, &["keys", "attest", "blind", "--nonce", "00"]);
        assert!(said.contains("could be forged"), "{said}");
    });
}

#[test]
fn a_quote_is_good_for_the_nonce_it_was_asked_with() {
    desk(|desk| {
        desk.says(0, &["keys", "create", "--tpm", desk.tpm, "--hierarchy", "owner"]);
        let used = desk.objects(0, &["keys", "attest", "--nonce", "c0ffee", "-o", "m.quote"], "tpm");
        assert_eq!(used[0]["software"], true);
        let quote = used[0]["operations"].as_array().unwrap().iter().find(|o| o["name"] == "quote").unwrap();
        assert_eq!(quote["count"], 1);
        assert_eq!(quote["buckets"][0][1], 1);
        assert!(quote["median_us"].as_u64().unwrap() > 0 && quote["p99_us"].as_u64().unwrap() > 0);
        let far = Desk { tpm: "unix:/nowhere", ..*desk };
        assert!(far.says(0, &["verify", "m.quote", "--nonce", "C0FFEE"]).contains("good"));
        let bad = far.objects(6, &["verify", "m.quote", "--nonce", "c0ffef"], "quote");
        assert_eq!((&bad[0]["verdict"], &bad[0]["part"]), (&"bad".into(), &"nonce".into()));
        for args in [&["verify", "m.quote"][..], &["verify", "m.quote", "--nonce", "x"]] {
            far.says(2, args);
        }
        // No byte of it can be another.
        let bytes = fs::read(desk.dir.join("m.quote")).unwrap();
        for k in (0..bytes.len()).step_by(bytes.len() / 40) {
            let mut other = bytes.clone();
            other[k] ^= 1;
            fs::write(desk.dir.join("other.quote"), &other).unwrap();
            let out = far.twinc(&["verify", "other.quote", "--nonce", "c0ffee"]);
            assert!(matches!(out.status.code(), Some(4 | 6)), "{k}: {}", text(&out.stdout));
        }
        // A key that is not trusted.
        let empty = desk.dir.join("empty");
        fs::create_dir(&empty).unwrap();
        far.says(4, &["verify", "m.quote", "--nonce", "c0ffee", "--trust", "empty"]);
    });
}

#[test]
fn the_doctor_names_the_tpm() {
    desk(|desk| {
        let said = desk.says(0, &["doctor"]);
        assert!(said.contains("TPM        in software: IBM SW TPM, firmware"), "{said}");
        let machine = desk.objects(0, &["doctor"], "machine");
        assert_eq!(
            (&machine[0]["tpm"]["maker"], &machine[0]["tpm"]["software"]),
            (&"IBM".into(), &true.into())
        );
        let far = Desk { tpm: "unix:/nowhere", ..*desk };
        assert_eq!(far.objects(0, &["doctor"], "machine")[0]["tpm"], Value::Null);
        assert!(far.says(0, &["doctor"]).contains("no TPM reached at unix:/nowhere"));
        let wrong = Desk { tpm: "usb:1", ..*desk };
        assert!(wrong.says(0, &["doctor"]).contains("`usb:1` is no address of a TPM"));
        let said = far.says(5, &["keys", "create", "--tpm"]);
        assert!(said.contains("no TPM reached"), "{said}");
        assert!(!desk.dir.join("keys/default.tpm").exists());
        far.says(2, &["keys", "create", "--tpm", "--hierarchy", "platform"]);
        far.says(2, &["keys", "create", "--tpm", "--extend", "24"]);
    });
}

#[test]
fn a_key_that_encrypts_is_given_out_only_while_the_registers_stand() {
    desk(|desk| {
        let sealed = ["--algorithm", "aes-256", "--tpm", "--registers", "16,23"];
        let said = desk.says(0, &[&["keys", "create", "vault"], &sealed[..]].concat());
        assert!(said.contains("vault  aes-256-gcm  tpm"), "{said}");
        assert!(said.contains("while the registers sha256:16,23 hold what they hold now"), "{said}");
        assert!(said.contains("a TPM in software"), "{said}");
        let file = fs::read_to_string(desk.dir.join("keys/vault.sealed")).unwrap();
        assert!(
            file.contains("Seals: aes256-") && file.contains("-----BEGIN TSS2 PRIVATE KEY-----"),
            "{file}"
        );
        let listed = desk.objects(0, &["keys", "list"], "key");
        assert_eq!((&listed[0]["backing"], &listed[0]["algorithm"]), (&"tpm".into(), &"aes-256-gcm".into()));
        let id = listed[0]["id"].as_str().unwrap().to_owned();
        assert!(file.contains(&id), "{id}");
        // With snapshots, and with the store of timelines.
        let key = ["--encryption-key", "vault"];
        let with = |args: &[&'static str]| [args, &key[..]].concat();
        desk.says(0, &with(&["snapshot", "take", "m.twinml", "--at", "0.5 s", "--out", "a.twinsnap"]));
        let bytes = fs::read(desk.dir.join("a.twinsnap")).unwrap();
        assert!(bytes.starts_with(b"\x89TWINSL\n") && text(&bytes).contains(&id));
        desk.says(0, &with(&["run", "--from", "a.twinsnap", "--out", "on"]));
        desk.says(0, &with(&["replay", "a.twinsnap"]));
        desk.says(0, &with(&["branch", "a.twinsnap", "--set", "k=1", "--name", "fast", "--no-run"]));
        desk.says(5, &["timeline"]);
        // From the TPM to a file and back: rotation.
        desk.says(0, &["keys", "create", "copy", "--algorithm", "aes-256"]);
        let both = [".twinml/timeline.redb", "a.twinsnap"];
        desk.says(0, &[&["keys", "rotate"], &both[..], &["--from", "vault", "--to", "copy"]].concat());
        desk.says(0, &["timeline", "--encryption-key", "copy"]);
        desk.says(5, &with(&["timeline"]));
        desk.says(0, &[&["keys", "rotate"], &both[..], &["--from", "copy", "--to", "vault"]].concat());
        desk.says(0, &with(&["timeline"]));

        // A register that the policy does not name does not matter; one that it names does.
        let extend = |register| {
            let at = Address::parse(desk.tpm).unwrap();
            let mut chip = connect(&at, Patience::default(), Passwords::default()).unwrap();
            chip.extend_pcr(register, &[1; 32]).unwrap();
        };
        extend(8);
        desk.says(0, &with(&["snapshot", "show", "a.twinsnap"]));
        // A copy that is sealed is the same key: what the file holds opens what the TPM's does.
        let again = ["--seals", "copy", "--algorithm", "aes-256", "--tpm", "--registers", "16"];
        desk.says(0, &[&["keys", "create", "again"], &again[..]].concat());
        desk.says(0, &["keys", "rotate", "a.twinsnap", "--from", "vault", "--to", "again"]);
        desk.says(0, &["snapshot", "show", "a.twinsnap", "--encryption-key", "copy"]);
        extend(16);
        for (args, name) in [(&["timeline"][..], "vault"), (&["snapshot", "show", "a.twinsnap"], "again")] {
            let said = desk.says(5, &[args, &["--encryption-key", name]].concat());
            assert!(said.contains("sealed to values of the registers sha256:16"), "{said}");
            assert!(said.contains("kept elsewhere and seal it anew"), "{said}");
        }
        // So it is sealed anew from the copy.
        fs::remove_file(desk.dir.join("keys/again.sealed")).unwrap();
        desk.says(0, &[&["keys", "create", "again"], &again[..]].concat());
        desk.says(0, &["snapshot", "show", "a.twinsnap", "--encryption-key", "again"]);

        // Another TPM, an altered file, a key of another kind, no TPM at all.
        let file = fs::read_to_string(desk.dir.join("keys/again.sealed")).unwrap();
        let show = ["snapshot", "show", "a.twinsnap", "--encryption-key", "again"];
        let Some(other) = Swtpm::start() else { return };
        for (from, to, why) in [
            (desk.tpm, &*other.address, "TPM_RC_INTEGRITY"),
            (desk.tpm, "unix:/nowhere", "no TPM reached"),
            (&*id_of(&file), &*id, "another key is sealed than the file names"),
            ("Seals: ", "Sealed: ", "this version has no line `Sealed`"),
        ] {
            fs::write(desk.dir.join("keys/again.sealed"), file.replace(from, to)).unwrap();
            let said = desk.says(5, &show);
            assert!(said.contains(why), "{why}: {said}");
        }
        let said = desk.says(2, &["run", "m.twinml", "--sign", "vault"]);
        assert!(said.contains("encrypts, it does not sign"), "{said}");
        for wrong in [
            &["keys", "create", "x", "--tpm", "--registers", "7"][..],
            &["keys", "create", "x", "--algorithm", "aes-256", "--tpm", "--registers", "24"],
            &["keys", "create", "x", "--algorithm", "aes-256", "--tpm", "--extend", "23"],
            &["keys", "create", "x", "--algorithm", "aes-256", "--registers", "7"],
            &["keys", "export", "vault"],
        ] {
            desk.says(2, wrong);
        }
    });
}

/// The line of a file of keys that names the sealed one.
/// A TPM behind a socket takes one caller at a time: what is unsealed is so before the signer takes its place.
#[test]
fn one_tpm_signs_and_unseals_in_one_command() {
    desk(|desk| {
        desk.says(0, &["keys", "create", "mill", "--tpm"]);
        let sealed = ["--algorithm", "aes-256", "--tpm", "--registers", "16"];
        desk.says(0, &[&["keys", "create", "vault"], &sealed[..]].concat());
        let both = |args: &[&'static str]| [args, &["--sign", "mill", "--encryption-key", "vault"]].concat();
        let take = ["snapshot", "take", "m.twinml", "--at", "0.5 s", "--out", "a.twinsnap"];
        desk.says(0, &both(&take));
        desk.says(0, &both(&["run", "m.twinml", "--snapshot-every", "0.5 s", "--out", "one"]));
        desk.says(0, &both(&["run", "--from", "a.twinsnap", "--out", "on"]));
        desk.says(0, &both(&["branch", "a.twinsnap", "--set", "k=1", "--name", "fast", "--out", "b"]));
        let key = ["--encryption-key", "vault"];
        desk.says(0, &[&["snapshot", "sign", "a.twinsnap", "--sign", "mill"], &key[..]].concat());
        assert!(
            desk.says(0, &[&["verify", "a.twinsnap", "--counter"], &key[..]].concat()).contains("newest")
        );
        assert!(desk.says(0, &["verify", "one"]).contains("good"));
        assert!(desk.says(0, &[&["replay", "one"], &key[..]].concat()).contains("good"));
    });
}

fn id_of(file: &str) -> String {
    file.lines().find_map(|l| l.strip_prefix("Seals: ")).unwrap().to_owned()
}

/// Sets the password of a hierarchy (`TPM2_HierarchyChangeAuth`), which has none.
fn set_password(address: &str, hierarchy: u32, password: &[u8]) {
    use std::io::{Read as _, Write as _};
    let mut body = Vec::new();
    body.extend(hierarchy.to_be_bytes());
    // One session: the empty password.
    body.extend(9_u32.to_be_bytes());
    body.extend(0x4000_0009_u32.to_be_bytes());
    body.extend([0; 5]);
    body.extend((password.len() as u16).to_be_bytes());
    body.extend(password);
    let mut command = 0x8002_u16.to_be_bytes().to_vec();
    command.extend((10 + body.len() as u32).to_be_bytes());
    command.extend(0x129_u32.to_be_bytes());
    command.extend(body);
    let mut line = std::os::unix::net::UnixStream::connect(address.strip_prefix("unix:").unwrap()).unwrap();
    line.write_all(&command).unwrap();
    let mut answer = [0; 10];
    line.read_exact(&mut answer).unwrap();
    assert_eq!(answer[6..10], [0; 4], "{answer:02x?}");
}

#[test]
fn the_passwords_of_hierarchies_are_asked_for_and_never_told() {
    const SECRET: &str = "owner's-Secret-7";
    desk(|desk| {
        set_password(desk.tpm, 0x4000_0001, SECRET.as_bytes());
        set_password(desk.tpm, 0x4000_000b, b"endorsed");
        let file = desk.dir.join("endorsement.txt");
        fs::write(&file, "endorsed\n").unwrap();
        private(&file);
        let twinc = |code: i32, args: &[&str]| {
            let out = Command::new(env!("CARGO_BIN_EXE_twinc"))
                .args(args)
                .env("TWINML_KEYS", desk.dir.join("keys"))
                .env("TWINML_TPM", desk.tpm)
                .env("OWNER", SECRET)
                .env("WRONG", "not-it")
                .env_remove("TWINC_ISA")
                .current_dir(desk.dir)
                .output()
                .unwrap();
            let said = text(&out.stdout) + &text(&out.stderr);
            assert_eq!(out.status.code(), Some(code), "{args:?}\n{said}");
            assert!(!said.contains(SECRET) && !said.contains("not-it"), "{said}");
            said
        };
        let (owner, endorsement) =
            (["--owner-password", "env:OWNER"], ["--endorsement-password", "file:endorsement.txt"]);
        let create = ["keys", "create", "mill", "--tpm"];
        // Without them, with a wrong one, with one that is not there, with the password itself.
        let said = twinc(5, &create);
        assert!(said.contains("--endorsement-password"), "{said}");
        let said = twinc(5, &[&create[..], &["--owner-password", "env:WRONG"], &endorsement].concat());
        assert!(said.contains("password"), "{said}");
        twinc(5, &[&create[..], &["--owner-password", "env:NOWHERE"], &endorsement].concat());
        let said = twinc(2, &[&create[..], &["--owner-password", SECRET], &endorsement].concat());
        assert!(said.contains("never by what it is"), "{said}");
        assert!(!desk.dir.join("keys/mill.tpm").exists());
        // With both: the key is made, signs, counts and attests.
        twinc(0, &[&create[..], &owner, &endorsement].concat());
        let told = fs::read_to_string(desk.dir.join("keys/mill.tpm")).unwrap();
        assert!(
            told.contains("Owner-Password: env:OWNER\nEndorsement-Password: file:endorsement.txt\n"),
            "{told}"
        );
        assert!(!told.contains(SECRET) && !told.contains("endorsed"), "{told}");
        twinc(0, &["run", "m.twinml", "--out", "one", "--sign", "mill"]);
        assert!(twinc(0, &["verify", "one", "--counter"]).contains("newest"));
        twinc(0, &["keys", "attest", "mill", "--nonce", "00"]);
        // Under the owner alone, and a sealed key, which is under the owner too.
        twinc(0, &[&["keys", "create", "own", "--tpm", "--hierarchy", "owner"], &owner[..]].concat());
        twinc(0, &["run", "m.twinml", "--out", "two", "--sign", "own"]);
        let sealed = ["keys", "create", "vault", "--algorithm", "aes-256", "--tpm"];
        let said = twinc(5, &sealed);
        assert!(said.contains("--owner-password"), "{said}");
        twinc(0, &[&sealed[..], &owner].concat());
        let take = [
            "snapshot",
            "take",
            "m.twinml",
            "--at",
            "0.5 s",
            "--out",
            "a.twinsnap",
            "--encryption-key",
            "vault",
        ];
        twinc(0, &take);
        // Whoever does not have the password has not the key.
        let without = desk.twinc(&take);
        assert_eq!(without.status.code(), Some(5), "{}", text(&without.stderr));
        // A file that others may read is no place for a password.
        let mut open = fs::metadata(&file).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut open, 0o644);
        fs::set_permissions(&file, open).unwrap();
        let said = twinc(5, &["run", "m.twinml", "--out", "one", "--sign", "mill"]);
        assert!(said.contains("chmod 600"), "{said}");
    });
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
