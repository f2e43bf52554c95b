//! `twinc replay DIR` of results of `twinc branch`: run again from the snapshot that they grew from, and compared bit by bit.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;

use place::{Place, of};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

const MODEL: &str = "
twin Tank {
  parameters { area: Area = 2 m^2; gain: Real = 0.2; total: Real = gain + 1 }
  inputs { q: VolumeFlow = 1 L/s }
  states { h: Length = 1 m; on: Bool = true; drawn: Real = 0 }
  outputs { shown: Real = total }
  equations { der(h) = (if on then q else 0 L/s - gain*h*1 L/(s*m))/area }
  behavior {
    on rising(h > 2 m) { on = false }
    on rising(h < 1.8 m) { on = true; wait 20 s; drawn = draw(uniform(0, 1)) }
  }
}
twin Plant {
  inputs { load: Real = 1 }
  twins { tanks: Tank[3] }
  states { x: Real = 0 }
  equations { der(x) = (load - x)/100 s }
  constraints { calm: always(x < 30); kpi top: max(tanks[1].h over run) }
}
scenario day for Plant {
  duration: 60 min
  seed: 11
  at 5 min { tanks.q = 2 L/s }
  at 45 min { tanks.q = 3 L/s }
  record all every 10 s
  expect calm
}
scenario forked for Plant extends day {
  branch shut at 20 min { tanks[1].q = 0 L/s; at 40 min { load = 9; x = 1 }; expect x < 29 }
}
";

fn place() -> Place {
    Place::with(&[("m.twinml", MODEL)])
}

/// What replaying says of each file.
#[track_caller]
fn replay(place: &Place, args: &[&str], code: i32) -> Vec<Value> {
    let all = place.objects(&[&["replay"], args].concat(), code);
    of(&all, "replayed_result").into_iter().cloned().collect()
}

/// All of it is the same; how many files that were.
#[track_caller]
fn same(place: &Place, args: &[&str]) -> usize {
    let said = replay(place, args, 0);
    assert!(said.iter().all(|v| v["same"] == true && v["cause"].is_null()), "{said:?}");
    said.len()
}

/// How many files in a folder are compared: all that there are.
fn written(place: &Place, folder: &str) -> usize {
    fs::read_dir(place.path(folder)).unwrap().count()
}

fn of_path<'v>(said: &'v [Value], end: &str) -> &'v Value {
    said.iter()
        .find(|v| v["path"].as_str().unwrap().ends_with(end))
        .unwrap_or_else(|| panic!("{end}: {said:?}"))
}

fn words(place: &Place, args: &[&str], code: i32) -> String {
    String::from_utf8(place.output(args, code).stderr).unwrap()
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} has no {from}", path.display());
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn branches_that_are_run_again_have_every_bit() {
    for solver in ["tsit5", "bdf", "rk4", "esdirk", "auto"] {
        let place = place();
        let how: &[&str] =
            if solver == "rk4" { &["--solver", solver, "--step", "1s"] } else { &["--solver", solver] };
        place.output(
            &[&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], how].concat(),
            0,
        );
        // Many of one call, computed side by side; more of a range and of a list; one that ends earlier.
        place
            .output(&["branch", "s.twinsnap", "--inject", "load=1..5:12", "--name", "load", "--out", "b"], 0);
        let args =
            ["--set", "tanks.gain=0.1,0.3", "--inject", "tanks[2].q=0 L/s,4 L/s", "--list", "--out", "b"];
        place.output(&[&["branch", "s.twinsnap", "--at", "31 min"], &args[..]].concat(), 0);
        let args = ["--set", "tanks.area=4 m^2", "--name", "early", "--until", "2000.5 s", "--out", "b"];
        place.output(&[&["branch", "s.twinsnap"], &args[..]].concat(), 0);
        // Off a node that is a branch itself.
        let args = ["branch", "load-3", "--at", "40min", "--inject", "x=2", "--name", "deeper", "--out", "b"];
        place.output(&args, 0);
        // Rows, the log of events and what the summary says, of each alone.
        for one in [
            "load-0",
            "load-11",
            "deeper",
            "load-3@2400s",
            "tanks.gain=0.1_tanks_2_.q=0L_s",
            "early",
            "day@1800s",
        ] {
            let folder = format!("b/{one}");
            assert_eq!(same(&place, &[&folder]), written(&place, &folder), "{solver} {one}");
        }
        for one in ["b/load-7/summary.json", "b/load-7/day.parquet", "b/load-7/events.parquet"] {
            assert_eq!(same(&place, &[one]), 3, "{solver} {one}");
        }
        // And of all of them: 16 branches, and two that went on unchanged.
        let folders: Vec<_> =
            fs::read_dir(place.path("b")).unwrap().map(|e| e.unwrap().file_name()).collect();
        let all =
            folders.iter().map(|f| written(&place, &format!("b/{}", f.to_str().unwrap()))).sum::<usize>();
        assert_eq!((folders.len(), same(&place, &["b"])), (18, all), "{solver}");
    }
}

#[test]
fn what_was_run_from_the_start_and_off_a_scenarios_own_branch_is_run_so_again() {
    let place = place();
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap", "--si"], 0);
    // A parameter that has a formula, beside one that has none: all of the call are another program.
    let args =
        ["--set", "tanks[1].total=9,10", "--set", "tanks[0].gain=0.3,0.4", "--name", "nine", "--out", "b"];
    let objects = place.objects(&[&["branch", "s.twinsnap"], &args[..]].concat(), 0);
    assert!(of(&objects, "branch").iter().all(|b| b["from_start"] == true), "{objects:?}");
    assert_eq!(same(&place, &["b/nine-2"]), 3);
    assert_eq!(same(&place, &["b/day@1800s"]), 3);
    assert_eq!(same(&place, &["b"]), 5 * 3);
    let args = ["--scenario", "forked", "--out", "r", "--no-plot", "--snapshot-every", "30min"];
    place.output(&[&["run", "m.twinml"], &args[..]].concat(), 0);
    let args = ["--at", "35min", "--inject", "load=5", "--name", "both", "--out", "c"];
    place.output(&[&["branch", "r/forked.shut@1800s.twinsnap"], &args[..]].concat(), 0);
    let args = ["--at", "38min", "--inject", "tanks.q=1 L/s", "--name", "deeper", "--out", "c"];
    place.output(&[&["branch", "both"], &args[..]].concat(), 0);
    let folders = fs::read_dir(place.path("c")).unwrap().count();
    assert_eq!(folders, 4, "two branches, and what each left");
    assert_eq!(same(&place, &["c"]), 12);
    // What goes on from a snapshot and a branch in one folder: each is done again as it was made.
    place.output(&["run", "--from", "s.twinsnap", "--out", "c/on", "--no-plot"], 0);
    fs::copy(place.path("s.twinsnap"), place.path("c/on/s.twinsnap")).unwrap();
    assert_eq!(same(&place, &["c"]), 15);
}

/// What is signed stands by itself: the snapshot is beside it, and the signature is over both.
#[test]
fn signed_branches_are_run_again_from_their_folder_alone() {
    let place = place();
    let keys = ["--keys", "keys"];
    let with = |args: &[&'static str]| [args, &keys[..]].concat();
    place.output(&with(&["keys", "create", "plant"]), 0);
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], 0);
    let args = ["branch", "s.twinsnap", "--inject", "load=2,5", "--name", "load", "--out", "b", "--sign"];
    let objects = place.objects(&with(&args), 0);
    let signed: Vec<&Value> = of(&objects, "written");
    assert_eq!(signed.len(), 3, "{signed:?}");
    let log = place.objects(&with(&["verify", ".twinml/operations.log"]), 0);
    let records = of(&log, "operation");
    let names: Vec<&str> = records.iter().map(|r| r["operation"].as_str().unwrap()).collect();
    assert_eq!(names, ["branch", "branch results"], "{records:?}");
    fs::remove_dir_all(place.path(".twinml")).unwrap();
    fs::remove_file(place.path("s.twinsnap")).unwrap();
    fs::create_dir(place.path("far")).unwrap();
    fs::rename(place.path("b/load-1"), place.path("far/moved")).unwrap();
    for folder in ["far/moved", "b/day@1800s", "b/load-0"] {
        place.output(&with(&["verify", folder]), 0);
        let text = String::from_utf8(place.output(&with(&["replay", folder]), 0).stdout).unwrap();
        assert!(text.contains(&format!("Signed good  {folder}/bundle.sig")), "{text}");
    }
    // Any byte of the snapshot, of the summary, of the results.
    for name in ["from@1800s.twinsnap", "summary.json", "day.parquet"] {
        let path = place.path("far/moved").join(name);
        let good = fs::read(&path).unwrap();
        for k in 0..8 {
            let mut bad = good.clone();
            let at = (k * 7919 + 13) % bad.len();
            bad[at] ^= 1 << (k % 8);
            // What is linked to the others' is not altered with them.
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bad).unwrap();
            place.output(&with(&["verify", "far/moved"]), 6);
            let out = std::process::Command::new(env!("CARGO_BIN_EXE_twinc"))
                .args(with(&["replay", "far/moved"]))
                .current_dir(place.path(""))
                .output()
                .unwrap();
            let said =
                String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
            // A snapshot that is not what was signed is not the one that the summary names; a summary may not be read.
            assert!([2, 5, 6].contains(&out.status.code().unwrap()), "{name} {at}: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        fs::write(&path, &good).unwrap();
        same(&place, &with(&["far/moved"]));
    }
    fs::copy(place.path("b/load-0/day.parquet"), place.path("far/moved/day.parquet")).unwrap();
    let said = replay(&place, &with(&["far/moved"]), 6);
    assert_eq!(of_path(&said, "day.parquet")["cause"], "altered since it was signed: `day.parquet`");
}

#[test]
fn branches_in_an_encrypted_store_are_run_again_with_its_key() {
    let place = place();
    let keys = ["--keys", "keys"];
    let plain = |args: &[&'static str]| [args, &keys[..]].concat();
    let with = |args: &[&'static str]| [args, &keys[..], &["--encryption-key", "vault"]].concat();
    place.output(&plain(&["keys", "create", "vault", "--algorithm", "aes-256"]), 0);
    place.output(&plain(&["keys", "create", "plant"]), 0);
    place.output(&with(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"]), 0);
    place.output(&with(&["branch", "s.twinsnap", "--inject", "load=2", "--name", "a", "--out", "b"]), 0);
    let text = words(&place, &plain(&["replay", "b/a"]), 5);
    assert!(text.contains("encrypted") && text.contains("--encryption-key"), "{text}");
    same(&place, &with(&["b/a"]));
    // What is beside signed results is encrypted, too.
    place.output(
        &with(&[
            "branch",
            "s.twinsnap",
            "--inject",
            "load=3",
            "--name",
            "c",
            "--out",
            "c",
            "--sign",
            "plant",
        ]),
        0,
    );
    let bytes = fs::read(place.path("c/c/from@1800s.twinsnap")).unwrap();
    assert!(bytes.starts_with(b"\x89TWINSL\n"));
    fs::remove_dir_all(place.path(".twinml")).unwrap();
    same(&place, &with(&["c"]));
    // A store that is not encrypted stays so, whatever key is named.
    place.output(&plain(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "open.twinsnap"]), 0);
    place.output(&plain(&["branch", "open.twinsnap", "--inject", "load=2", "--name", "o", "--out", "o"]), 0);
    same(&place, &with(&["o"]));
    place.output(&plain(&["timeline"]), 0);
}

#[test]
fn what_differs_is_named_with_its_cause() {
    let place = place();
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], 0);
    place.output(&["branch", "s.twinsnap", "--inject", "load=2,5", "--name", "load", "--out", "b"], 0);
    let own = place.path("b/load-1/summary.json");
    let good = fs::read_to_string(&own).unwrap();
    // The rows of another branch: from the branch's instant on they differ.
    let rows = fs::read(place.path("b/load-1/day.parquet")).unwrap();
    fs::copy(place.path("b/load-0/day.parquet"), place.path("b/load-1/day.parquet")).unwrap();
    let said = replay(&place, &["b"], 6);
    let v = of_path(&said, "load-1/day.parquet");
    assert_eq!((&v["quantity"], &v["at"]), (&json!("load"), &json!(1800.0)), "{v}");
    assert_eq!((&v["recorded"], &v["replayed"]), (&json!(2.0), &json!(5.0)), "{v}");
    assert!(v["cause"].as_str().unwrap().starts_with("the results were altered"), "{v}");
    assert!(said.iter().filter(|v| v["same"] == false).count() == 1, "the others are the same: {said:?}");
    fs::write(place.path("b/load-1/day.parquet"), rows).unwrap();
    // A figure; what it was asked with; another version.
    let mut v: Value = serde_json::from_str(&good).unwrap();
    v["samples"] = json!(1);
    fs::write(&own, v.to_string()).unwrap();
    assert_eq!(of_path(&replay(&place, &["b/load-1"], 6), "summary.json")["what"], "`samples`");
    fs::write(&own, &good).unwrap();
    edit(&own, "\"load=2,5\"", "\"load=2,6\"");
    let said = replay(&place, &["b/load-1"], 6);
    assert_eq!(of_path(&said, "day.parquet")["replayed"], 6.0, "{said:?}");
    edit(&own, "\"compiler\": \"twinc ", "\"compiler\": \"twinc 0.0.");
    let said = replay(&place, &["b/load-1"], 6);
    let cause = of_path(&said, "day.parquet")["cause"].as_str().unwrap();
    assert!(cause.starts_with("another version: the results were made by twinc 0.0."), "{cause}");
    fs::write(&own, &good).unwrap();
    same(&place, &["b/load-1"]);
    // What can no longer be read, or says what cannot be.
    let value: Value = serde_json::from_str(&good).unwrap();
    for (path, to, code, what) in [
        ("/branched", json!(3), 2, "which branch it is cannot be read"),
        ("/branched/name", json!("other"), 6, "no branch `other` is among those"),
        ("/branched/call/at", json!("never"), 2, "is no instant"),
        ("/branched/call/at", json!("5s"), 6, "cannot be run again"),
        ("/branched/call/at", json!("170141183460469231731s"), 6, "is no instant of a run"),
        ("/branched/call/changes/inject", json!(["lod=5"]), 6, "`Plant` has no member `lod`"),
        ("/branched/call/changes/inject", json!(["load=2,5 m"]), 6, "cannot be run again"),
        ("/branched/call/changes/inject", json!([]), 6, "a branch changes something"),
        ("/branched/call/root", json!("ab"), 2, "nor in the store"),
        ("/branched/call/before", json!([{ "node": "n", "at": "2000s", "set": ["load = 1"] }]), 6, ""),
        ("/branched/call/before", json!([{ "node": "n", "at": "1s", "set": ["load = 1"] }]), 6, ""),
        ("/from", json!("ab"), 2, "neither beside the results of `b/load-1` nor in the store"),
        ("/from", Value::Null, 2, "nor in the store"),
        ("/asked/until", json!("soon"), 6, "`--until`"),
        ("/asked", Value::Null, 2, "does not say what the run was asked with"),
    ] {
        let mut v = value.clone();
        *v.pointer_mut(path).unwrap() = to;
        fs::write(&own, v.to_string()).unwrap();
        let said = words(&place, &["replay", "b/load-1"], code);
        assert!(said.contains(what) && !said.contains("panicked"), "{path}: {said}");
    }
    // One of many that cannot be done does not keep the others.
    let said = replay(&place, &["b"], 2);
    assert!(of_path(&said, "load-0/day.parquet")["same"] == true, "{said:?}");
    fs::write(&own, &good).unwrap();
}

#[test]
fn a_snapshot_that_is_gone_is_missed() {
    let place = place();
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], 0);
    place.output(&["branch", "s.twinsnap", "--inject", "load=2", "--name", "a", "--out", "b"], 0);
    place.output(&["branch", "a", "--at", "31min", "--inject", "load=3", "--name", "deep", "--out", "b"], 0);
    // The node between is not needed: what it changes is told by the results.
    place.output(&["timeline", "remove", "a"], 0);
    assert_eq!(same(&place, &["b"]), 12);
    // From another folder the store is found above the results; or it is named.
    fs::create_dir(place.path("else")).unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_twinc"))
        .args(["replay", "../b/deep"])
        .current_dir(place.path("else"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    fs::rename(place.path(".twinml"), place.path("kept")).unwrap();
    let said = words(&place, &["replay", "b/deep"], 2);
    for word in ["from which `a` grew", "nor in the store `.twinml/timeline.redb`", "twinc timeline add FILE"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    same(&place, &["b/deep", "--store", "kept/timeline.redb"]);
    // In a store without it, the same; what keeps it again brings it back.
    place.output(&["snapshot", "take", "m.twinml", "--at", "40min", "--out", "other.twinsnap"], 0);
    place.output(&["timeline", "add", "other.twinsnap"], 0);
    words(&place, &["replay", "b/deep"], 2);
    place.output(&["timeline", "add", "s.twinsnap"], 0);
    same(&place, &["b/deep"]);
    // Or it lies beside them, or above them.
    fs::remove_dir_all(place.path(".twinml")).unwrap();
    fs::copy(place.path("s.twinsnap"), place.path("b/any.twinsnap")).unwrap();
    assert_eq!(same(&place, &["b"]), 12);
    fs::write(place.path("b/any.twinsnap"), b"no snapshot").unwrap();
    fs::create_dir(place.path(".twinml")).unwrap();
    fs::write(place.path(".twinml/timeline.redb"), b"no store").unwrap();
    words(&place, &["replay", "b/deep"], 5);
}
