//! The log of operations: what is noted in it, by whom it is signed, where its chain is broken, what a kill leaves of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

mod place;
use place::Place;

const MODEL: &str = "twin Decay {\n  parameters { k: Real[1/s] = 1 }\n  states { x: Real = 1 }\n  equations { der(x) = -k * x }\n}\nscenario short for Decay { duration: 1 s; seed: 7; record x every 500 ms }\n";
const LOG: &str = ".twinml/operations.log";

/// What is said of the log: its records, and the verdict.
#[track_caller]
fn log(place: &Place, code: i32) -> (Vec<Value>, Value) {
    let (out, _) = place.expect(code, &["verify", LOG, "--format", "json"]);
    let all: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |kind: &str| all.iter().filter(|v| v["type"] == kind).cloned().collect::<Vec<_>>();
    (of("operation"), of("verified").remove(0))
}

fn names(records: &[Value]) -> Vec<&str> {
    records.iter().map(|r| r["operation"].as_str().unwrap()).collect()
}

#[test]
fn every_operation_that_makes_or_changes_evidence_is_noted() {
    let place = Place::with(&[("decay.twinml", MODEL)]);
    // Without a key and a store there is nothing to vouch for, and no log is begun.
    place.expect(0, &["run", "decay.twinml", "--no-plot"]);
    place.expect(0, &["keys", "create", "plant", "--passphrase", "env:WORD"]);
    assert!(!place.path(LOG).exists());
    let sign = ["--sign", "plant", "--passphrase", "env:WORD"];
    let with = |args: &[&'static str]| [args, &sign[..]].concat();
    let noted: &[(&[&'static str], &str)] = &[
        (&["run", "decay.twinml", "--no-plot"], "run"),
        (&["snapshot", "take", "decay.twinml", "--at", "0.5 s", "--out", "s.twinsnap"], "snapshot take"),
        (&["snapshot", "sign", "s.twinsnap"], "snapshot sign"),
        (&["branch", "s.twinsnap", "--set", "k=2", "--name", "fast", "--no-run"], "branch"),
        (&["timeline", "add", "s.twinsnap"], "timeline add"),
        (&["timeline", "remove", "fast"], "timeline remove"),
        (&["timeline", "gc"], "timeline gc"),
    ];
    let mut wanted = Vec::new();
    for (args, name) in noted {
        place.expect(0, &with(args));
        wanted.push(*name);
    }
    let (records, verdict) = log(&place, 0);
    assert_eq!(names(&records), wanted);
    assert_eq!((&verdict["verdict"], &verdict["vouched"]), (&"good".into(), &7.into()));
    assert!(records.iter().all(|r| r["vouched"] == true && r["key"].is_string()), "{records:?}");
    // Records say with what.
    assert_eq!(records[0]["details"]["root"].as_str().unwrap().len(), 64);
    assert_eq!(
        records[3]["details"]["nodes"], records[5]["details"]["nodes"],
        "the branch is what was removed"
    );
    assert_eq!(records[4]["details"]["snapshot"], records[1]["details"]["snapshot"]);

    // Where there is a log, all is noted, also without a key; then it is not vouched for until somebody signs again.
    for (args, name) in [
        (&["run", "decay.twinml", "--no-plot", "--snapshot-every", "600ms"][..], "snapshot"),
        (&["keys", "create", "other"], "keys create"),
        (&["keys", "create", "vault", "--algorithm", "aes-256"], "keys create"),
        (
            &[
                "snapshot",
                "take",
                "decay.twinml",
                "--at",
                "0.5 s",
                "--encryption-key",
                "vault",
                "--out",
                "e.twinsnap",
            ],
            "snapshot take",
        ),
        (&["keys", "create", "vault2", "--algorithm", "aes-256"], "keys create"),
        (&["keys", "rotate", "e.twinsnap", "--from", "vault", "--to", "vault2"], "keys rotate"),
    ] {
        place.expect(0, args);
        wanted.push(name);
        if name == "snapshot" {
            wanted.push("run");
        }
    }
    // The key may stand behind the command that it belongs to.
    let locked = ["timeline", "add", "e.twinsnap", "--store", "locked.store", "--encryption-key", "vault2"];
    place.expect(0, &locked);
    wanted.push("timeline add");
    // Looking at something, and doing it again only to compare, changes nothing.
    for args in [
        &["verify", "out/decay"][..],
        &["replay", "out/decay"],
        &["timeline"],
        &["snapshot", "show", "s.twinsnap"],
    ] {
        place.command(args).output().unwrap();
    }
    let (records, verdict) = log(&place, 4);
    assert_eq!(names(&records), wanted);
    // A key that is made vouches for its own record, and so for those before it.
    let made = records.iter().position(|r| r["details"]["name"] == "other").unwrap() as u64 + 1;
    assert_eq!((&verdict["verdict"], &verdict["vouched"]), (&"unknown key".into(), &made.into()));
    place.expect(0, &["timeline", "gc", "--sign", "other"]);
    let (records, verdict) = log(&place, 0);
    assert_eq!(verdict["vouched"], records.len());
    let (out, _) = place.expect(0, &["timeline", "check"]);
    assert!(out.contains(&format!("{LOG}: {} records, each hung to the one before", records.len())), "{out}");
    let (_, err) = place.expect(2, &["timeline", "gc", "--passphrase", "env:WORD"]);
    assert!(err.contains("`--sign` names"), "{err}");
}

#[test]
fn the_first_broken_link_is_named_and_nothing_is_hung_to_a_broken_end() {
    let place = Place::with(&[("decay.twinml", MODEL)]);
    place.expect(0, &["keys", "create"]);
    place.expect(0, &["snapshot", "take", "decay.twinml", "--at", "0.5 s", "--out", "s.twinsnap"]);
    for _ in 0..4 {
        place.expect(0, &["timeline", "add", "s.twinsnap", "--sign"]);
    }
    let good = fs::read_to_string(place.path(LOG)).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let whole = |lines: &[&str]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();
    let changed = lines[1].replace("timeline add", "timeline odd");
    for (text, part) in [
        (whole(&[lines[0], &changed, lines[2], lines[3]]), "record 1"),
        (whole(&[lines[0], lines[2], lines[3]]), "record 1"),
        (whole(&[lines[0], lines[1], lines[3], lines[2]]), "record 2"),
        (whole(&[lines[0], lines[0], lines[1]]), "record 1"),
    ] {
        fs::write(place.path(LOG), text).unwrap();
        let (_, verdict) = log(&place, 6);
        assert_eq!((&verdict["verdict"], &verdict["part"]), (&"bad".into(), &part.into()), "{verdict}");
        let (_, err) = place.expect(6, &["timeline", "check"]);
        assert!(err.contains(part), "{err}");
    }
    // The last record is none: nothing is taken away that could not be noted.
    fs::write(place.path(LOG), whole(&lines[..3]) + "{}\n").unwrap();
    let nodes = |text: &str| text.lines().filter(|l| l.contains("timeline_node")).count();
    let before = nodes(&place.expect(0, &["timeline", "--format", "json"]).0);
    let (_, err) = place.expect(5, &["timeline", "remove", "short@0.5s"]);
    assert!(err.contains("last record") && err.contains("move it away"), "{err}");
    assert_eq!(nodes(&place.expect(0, &["timeline", "--format", "json"]).0), before);
}

/// Killed at random moments while it notes what it does: what was acknowledged stands in the log, and the chain holds.
#[test]
fn a_killed_operation_leaves_no_broken_chain() {
    let place = Place::with(&[("decay.twinml", MODEL)]);
    place.expect(0, &["keys", "create"]);
    place.expect(0, &["snapshot", "take", "decay.twinml", "--at", "0.5 s", "--out", "s.twinsnap", "--sign"]);
    let mut done = 0;
    for k in 0..40u64 {
        let mut child: Child = place
            .command(&["timeline", "add", "s.twinsnap", "--sign"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(k * 700 % 30_000));
        let _ = child.kill();
        done += u64::from(child.wait().unwrap().success());
    }
    place.expect(0, &["timeline", "add", "s.twinsnap", "--sign"]);
    let (records, verdict) = log(&place, 0);
    assert_eq!(verdict["verdict"], "good");
    let added = records.iter().filter(|r| r["operation"] == "timeline add").count() as u64;
    assert!(added > done, "{added} of {done}");
}
