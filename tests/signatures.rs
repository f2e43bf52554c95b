//! Keys, signed results and `twinc verify`, end to end; what `openssl` says of a signed bundle; logs of operations.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;
use twinml_engine::provenance::{Envelope, pae};

mod place;
use place::Place;

const MODEL: &str = "twin Decay {\n  parameters { k: Real[1/s] = 1 }\n  states { x: Real = 1 }\n  equations { der(x) = -k * x }\n}\nscenario short for Decay { duration: 1 s; seed: 7; record x every 500 ms }\n";

/// What `verify` says, as JSON.
fn verify(place: &Place, args: &[&str]) -> (i32, Value) {
    let (code, out, err) = place.twinc(&[&["verify", "--format", "json"], args].concat());
    assert!(!err.contains("panicked"), "{err}");
    let mut found = out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let found = found.rfind(|v| v["type"] == "verified");
    (code, found.unwrap_or_else(|| panic!("{args:?}\n{out}{err}")))
}

#[test]
fn a_signed_run_is_good_and_says_what_it_was_made_of() {
    let place = Place::with(&[("decay.twinml", MODEL)]);
    let (out, _) = place.expect(0, &["keys", "create", "plant"]);
    assert!(out.contains("    Created plant  ecdsa-p256-sha256  file\n"), "{out}");
    let (out, _) = place.expect(0, &["run", "decay.twinml", "--sign", "plant", "--out", "r"]);
    assert!(out.contains("plot.html, model.twinmodel, bundle.sig\n"), "{out}");
    // Equal runs signed by one key are equal files: nothing of the clock is in them.
    let first = fs::read(place.path("r/bundle.sig")).unwrap();
    place.expect(0, &["run", "decay.twinml", "--sign", "--out", "again"]);
    assert_eq!(fs::read(place.path("again/bundle.sig")).unwrap(), first);

    let (out, _) = place.expect(0, &["verify", "r"]);
    assert!(out.starts_with("    Verdict good  r/bundle.sig\n"), "{out}");
    for line in [
        "      Model Decay  ",
        "   Scenario short, seed 7, to 1 s\n",
        "    Made of source decay.twinml  ",
        "   Computed by twinc ",
        "freshness not checked\n",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    let (_, v) = verify(&place, &["r/bundle.sig"]);
    assert_eq!((&v["verdict"], &v["freshness"]), (&"good".into(), &"not checked".into()));
    let m = &v["manifest"];
    assert_eq!((&m["scenario"], &m["seed"], &m["time"]), (&"short".into(), &"7".into(), &"1".into()));
    let summary: Value = serde_json::from_slice(&fs::read(place.path("r/summary.json")).unwrap()).unwrap();
    assert_eq!(m["model"]["hash"], summary["model_hash"]);
    let names: Vec<&str> =
        m["parts"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["short.parquet", "summary.json", "plot.html", "model.twinmodel"]);

    // Anybody with the public half can look, and with another one learns that it is not that one's.
    place.expect(0, &["keys", "export", "plant", "--out", "plant.pem"]);
    let (out, _) = place.expect(0, &["keys", "export", "plant"]);
    assert_eq!(out, fs::read_to_string(place.path("plant.pem")).unwrap());
    place.expect(0, &["keys", "create", "other", "--algorithm", "ed25519", "--dir", "elsewhere"]);
    assert_eq!(verify(&place, &["r", "--key", "plant.pem"]).0, 0);
    let (code, v) = verify(&place, &["r", "--key", "elsewhere/other.pub.pem"]);
    assert_eq!((code, &v["verdict"]), (4, &"unknown key".into()));
    assert_eq!(verify(&place, &["r", "--trust", "elsewhere"]).0, 4);
    assert_eq!(verify(&place, &["r", "--trust", "elsewhere", "--key", "plant.pem"]).0, 0);

    // The log of operations has both runs, which are vouched for, and the other key, of which nobody knows whose it is
    // until it is trusted.
    let (code, v) = verify(&place, &[".twinml/operations.log"]);
    assert_eq!((code, &v["records"], &v["vouched"]), (4, &3.into(), &2.into()));
    let both = [".twinml/operations.log", "--key", "plant.pem", "--trust", "elsewhere"];
    let (code, v) = verify(&place, &both);
    assert_eq!((code, &v["records"], &v["vouched"]), (0, &3.into(), &3.into()));
}

#[test]
fn an_unsigned_run_takes_the_signature_of_what_it_writes_over_away() {
    let place = Place::with(&[("decay.twinml", MODEL)]);
    place.expect(0, &["keys", "create", "plant"]);
    place.expect(0, &["run", "decay.twinml", "--sign", "--out", "r"]);
    let (_, err) = place.expect(0, &["run", "decay.twinml", "--out", "r"]);
    assert!(err.contains("r/bundle.sig was taken away"), "{err}");
    assert!(!place.path("r/bundle.sig").exists());
    // Once is enough, and what stands elsewhere keeps its own.
    let (_, err) = place.expect(0, &["run", "decay.twinml", "--out", "r"]);
    assert!(!err.contains("taken away"), "{err}");

    place.expect(0, &["snapshot", "take", "decay.twinml", "--at", "500ms", "--out", "s.twinsnap"]);
    place.expect(0, &["branch", "s.twinsnap", "--set", "k=2", "--name", "b", "--sign", "--out", "b"]);
    assert_eq!(verify(&place, &["b/b"]).0, 0);
    let (_, err) = place.expect(0, &["branch", "s.twinsnap", "--set", "k=2", "--name", "b", "--out", "b"]);
    assert!(err.contains("b/b/bundle.sig was taken away"), "{err}");
}

#[test]
fn whatever_is_altered_is_named() {
    let place = Place::with(&[("decay.twinml", MODEL)]);
    place.expect(0, &["keys", "create"]);
    place.expect(0, &["run", "decay.twinml", "--sign", "--out", "r", "--no-plot"]);
    let bad = |part: &str, why: &str| {
        let (code, v) = verify(&place, &["r"]);
        assert_eq!((code, &v["verdict"], &v["part"]), (6, &"bad".into(), &part.into()), "{v}");
        assert!(v["why"].as_str().unwrap().contains(why), "{v}");
    };
    let summary = fs::read(place.path("r/summary.json")).unwrap();
    fs::write(place.path("r/summary.json"), [&summary[..], b" "].concat()).unwrap();
    bad("summary.json", "bytes");
    fs::remove_file(place.path("r/summary.json")).unwrap();
    bad("summary.json", "missing");
    fs::write(place.path("r/summary.json"), &summary).unwrap();
    assert_eq!(verify(&place, &["r"]).0, 0);
    // Another run's results under the old envelope: it does not vouch for them.
    let envelope = fs::read(place.path("r/bundle.sig")).unwrap();
    place.expect(0, &["run", "decay.twinml", "--set", "x=2", "--out", "r", "--no-plot"]);
    fs::write(place.path("r/bundle.sig"), envelope).unwrap();
    bad("short.parquet", "");
    place.expect(0, &["run", "decay.twinml", "--sign", "--out", "r", "--no-plot"]);

    // Any byte of any file: never good, and the file that was hit is named.
    for name in ["bundle.sig", "summary.json", "short.parquet"] {
        let bytes = fs::read(place.path("r").join(name)).unwrap();
        for k in 0..24 {
            let at = (k * 7919 + 13) % bytes.len();
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (k % 8);
            fs::write(place.path("r").join(name), &damaged).unwrap();
            let (code, v) = verify(&place, &["r"]);
            assert_eq!(code, 6, "{name} at {at}: {v}");
            if name != "bundle.sig" {
                assert_eq!(v["part"], name);
            }
        }
        fs::write(place.path("r").join(name), &bytes).unwrap();
    }
    // A manifest does not lead out of its folder.
    let (code, v) = verify(&place, &["r"]);
    assert_eq!(code, 0, "{v}");
    place.expect(5, &["verify", "nothing"]);
    place.expect(2, &["verify", "decay.twinml"]);
}

#[test]
fn openssl_verifies_a_bundle() {
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        eprintln!("openssl is not here: what it would say is left out");
        return;
    }
    let place = Place::with(&[("decay.twinml", MODEL)]);
    for (name, algorithm) in [("a", "p256"), ("b", "ed25519")] {
        place.expect(0, &["keys", "create", name, "--algorithm", algorithm]);
        place.expect(0, &["run", "decay.twinml", "--sign", name, "--out", name, "--no-plot"]);
        let envelope = Envelope::read(&fs::read(place.path(name).join("bundle.sig")).unwrap()).unwrap();
        fs::write(place.path("message"), pae(&envelope.payload_type, &envelope.payload)).unwrap();
        fs::write(place.path("sig"), &envelope.signature).unwrap();
        let key = format!("keys/{name}.pub.pem");
        let args: Vec<&str> = match algorithm {
            "p256" => vec!["dgst", "-sha256", "-verify", &key, "-signature", "sig", "message"],
            _ => vec![
                "pkeyutl", "-verify", "-pubin", "-inkey", &key, "-rawin", "-in", "message", "-sigfile", "sig",
            ],
        };
        let out = Command::new("openssl").args(args).current_dir(place.path("")).output().unwrap();
        assert!(out.status.success(), "{algorithm}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn keys_are_made_listed_and_unlocked() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::with(&[("decay.twinml", MODEL)]);
    let (out, err) = place.expect(0, &["keys", "list"]);
    assert!(out.is_empty() && err.contains("twinc keys create"), "{err}");
    place.expect(0, &["keys", "create", "locked", "--passphrase", "env:WORD"]);
    place.expect(0, &["keys", "create", "open", "--algorithm", "ed25519"]);
    let mode = fs::metadata(place.path("keys/open.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (out, _) = place.expect(0, &["keys", "list"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("locked  ecdsa-p256-sha256  file, locked  "), "{out}");
    assert!(lines[1].starts_with("open    ed25519  file                    "), "{out}");
    // Which of two, and what unlocks it.
    let run = ["run", "decay.twinml", "--out", "r", "--no-plot", "--sign"];
    let (_, err) = place.expect(2, &run);
    assert!(err.contains("there are: locked, open"), "{err}");
    let (_, err) = place.expect(5, &[&run[..], &["locked"]].concat());
    assert!(err.contains("locked by a passphrase") && err.contains("env:NAME"), "{err}");
    place.expect(0, &[&run[..], &["locked", "--passphrase", "env:WORD"]].concat());
    place.expect(0, &[&run[..], &["keys/open.key"]].concat());
    // A passphrase on the command line is refused, and not repeated.
    let (_, err) = place.expect(2, &[&run[..], &["locked", "--passphrase", "hunter2"]].concat());
    assert!(!err.contains("hunter2") && err.contains("env:NAME"), "{err}");
    // Others may read it: refused, with what helps.
    fs::set_permissions(place.path("keys/open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (_, err) = place.expect(5, &[&run[..], &["open"]].concat());
    assert!(err.contains("chmod 600"), "{err}");
    assert!(!place.path("none").exists());
    let (_, err) = place.expect(2, &["keys", "create", "open"]);
    assert!(err.contains("never overwritten"), "{err}");
    let (_, err) = place.expect(2, &["keys", "export", "opne"]);
    assert!(err.contains("there are: locked, open"), "{err}");
    // Signing is looked at before anything is run.
    let (_, err) = place.expect(2, &[&run[..], &["opne"]].concat());
    assert!(!err.contains("Compiled"), "{err}");
}

#[test]
fn snapshots_are_signed_encrypted_and_gone_on_from() {
    let place = Place::with(&[("decay.twinml", MODEL)]);
    place.expect(0, &["keys", "create"]);
    place.expect(0, &["keys", "create", "vault", "--algorithm", "aes-256"]);
    let take = ["snapshot", "take", "decay.twinml", "--at", "500 ms", "--out"];
    place.expect(0, &[&take[..], &["plain.twinsnap"]].concat());
    place.expect(0, &[&take[..], &["signed.twinsnap", "--sign"]].concat());
    place.expect(0, &[&take[..], &["both.twinsnap", "--sign", "--encryption-key", "vault"]].concat());
    let (code, v) = verify(&place, &["plain.twinsnap"]);
    assert_eq!((code, &v["verdict"]), (4, &"unknown key".into()));
    let (code, v) = verify(&place, &["signed.twinsnap"]);
    assert_eq!((code, &v["verdict"], &v["what"]), (0, &"good".into(), &"snapshot".into()), "{v}");
    let m = &v["manifest"];
    assert_eq!((&m["time"], &m["seed"], &m["scenario"]), (&"0.5".into(), &"7".into(), &"short".into()));
    assert_eq!(
        (&m["inputs"][0]["role"], &m["inputs"][0]["name"]),
        (&"source".into(), &"decay.twinml".into())
    );
    assert!(m["machine"]["architecture"].is_string(), "{m}");
    place.expect(5, &["verify", "both.twinsnap"]);
    place.expect(0, &["verify", "both.twinsnap", "--encryption-key", "vault"]);
    assert!(fs::read(place.path("both.twinsnap")).unwrap().windows(8).all(|w| w != b"TWINSNAP"));

    // Whichever it is, the run goes on from it the same.
    let run = ["run", "--no-plot", "--from"];
    for (name, more) in [("plain", &[][..]), ("signed", &[]), ("both", &["--encryption-key", "vault"])] {
        let (file, out) = (format!("{name}.twinsnap"), format!("{name}.csv"));
        place.expect(0, &[&run[..], &[&file, "--out", &out], more].concat());
        assert_eq!(fs::read(place.path(&out)).unwrap(), fs::read(place.path("plain.csv")).unwrap());
    }
    // So do branches, in a store that is encrypted as well, and who does it again.
    let key = ["--encryption-key", "vault"];
    let branch = ["branch", "both.twinsnap", "--at", "750 ms", "--inject", "x=1", "--name", "low"];
    place.expect(5, &branch);
    place.expect(0, &[&branch[..], &key].concat());
    place.expect(5, &["timeline"]);
    let (out, _) = place.expect(0, &[&["timeline"], &key[..]].concat());
    assert!(out.contains("low"), "{out}");
    assert!(fs::read(place.path(".twinml/timeline.redb")).unwrap().windows(11).all(|w| w != b"twin Decay "));
    place.expect(0, &[&["replay", "both.twinsnap"], &key[..]].concat());
    place.expect(0, &[&["snapshot", "show", "both.twinsnap"], &key[..]].concat());
    place.expect(0, &[&["snapshot", "extract", "both.twinsnap", "--out", "of both"], &key[..]].concat());
    assert_eq!(fs::read_to_string(place.path("of both/model/decay.twinml")).unwrap(), MODEL);
    // A later signature, in place of none.
    place.expect(0, &["snapshot", "sign", "plain.twinsnap"]);
    let (code, v) = verify(&place, &["plain.twinsnap"]);
    assert_eq!((code, &v["manifest"]["machine"]), (0, &serde_json::json!({})));
    assert_eq!(v["manifest"]["root"], m["root"], "the state is the same");

    // Any byte, and which section it hit.
    let bytes = fs::read(place.path("signed.twinsnap")).unwrap();
    for k in 0..60 {
        let at = (k * 7919 + 3) % bytes.len();
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (k % 8);
        fs::write(place.path("damaged.twinsnap"), &damaged).unwrap();
        let (code, v) = verify(&place, &["damaged.twinsnap"]);
        assert_eq!((code, &v["verdict"]), (6, &"bad".into()), "byte {at}: {v}");
        assert!(v["part"].is_string());
    }
    // Every snapshot of a run is signed, and so is the bundle that lists them.
    place.expect(
        0,
        &["run", "decay.twinml", "--snapshot-every", "250 ms", "--sign", "--out", "r", "--no-plot"],
    );
    let (code, v) = verify(&place, &["r"]);
    assert_eq!(code, 0);
    let names = v["manifest"]["parts"].as_array().unwrap().iter();
    let names: Vec<&str> =
        names.filter(|p| p["role"] == "snapshot").map(|p| p["name"].as_str().unwrap()).collect();
    assert!(names.len() >= 3, "{v}");
    for name in names {
        place.expect(0, &["verify", &format!("r/{name}")]);
    }
    let (code, v) = verify(&place, &[".twinml/operations.log"]);
    assert_eq!(code, 0, "{v}");
}

#[test]
fn json_is_as_documented() {
    let place = Place::with(&[("decay.twinml", MODEL)]);
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    let documented = |kind: &str| -> Vec<String> {
        let section = text.split(&format!("## `{kind}`\n")).nth(1).unwrap().split("\n## ").next().unwrap();
        let mut names: Vec<String> = section
            .lines()
            .filter_map(|l| Some(l.strip_prefix("| `")?.split('`').next()?.to_owned()))
            .chain(["type".to_owned(), "version".to_owned()])
            .collect();
        names.sort();
        names
    };
    let fields = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (out, _) = place.expect(0, &["keys", "create", "--format", "json"]);
    let key: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!((&key["type"], fields(&key)), (&"key".into(), documented("key")));
    assert_eq!(key["id"].as_str().unwrap().len(), 64);
    let (out, _) = place.expect(0, &["keys", "export", "--format", "json"]);
    let exported: Value = serde_json::from_str(out.trim()).unwrap();
    assert!(exported["public"].as_str().unwrap().starts_with("-----BEGIN PUBLIC KEY-----\n"));
    place.expect(0, &["run", "decay.twinml", "--sign", "--out", "r", "--no-plot"]);
    let (_, v) = verify(&place, &["r"]);
    assert_eq!(fields(&v), documented("verified"));
    let (_, v) = verify(&place, &[".twinml/operations.log"]);
    assert_eq!(fields(&v), documented("verified"));
    let (out, _) = place.expect(0, &["verify", ".twinml/operations.log", "--format", "json"]);
    let record: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!((&record["type"], fields(&record)), (&"operation".into(), documented("operation")));
}
