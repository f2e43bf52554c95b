//! Keys in a TPM on the command line, against `swtpm`: made, signing, counting, attesting, and judged without the TPM.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "peers/swtpm.rs"]
mod swtpm;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use swtpm::Swtpm;

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
