//! `twinc branch` and `twinc timeline`, end to end: a branch off a snapshot is the run that a scenario with `at T` is.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;

use place::{Place, of};
use std::fs;

use serde_json::Value;

const MODEL: &str = "
twin Tank {
  parameters { area: Area = 2 m^2; gain: Real = 0.2; total: Real = gain + 1 }
  inputs { q: VolumeFlow = 1 L/s }
  states { h: Length = 1 m; on: Bool = true }
  outputs { shown: Real = total }
  equations { der(h) = (if on then q else 0 L/s - gain*h*1 L/(s*m))/area }
  behavior { on rising(h > 2 m) { on = false }; on rising(h < 1.8 m) { on = true } }
}
twin Plant {
  inputs { load: Real = 1 }
  twins { tanks: Tank[3] }
  states { x: Real = 0 }
  equations { der(x) = (load - x)/100 s }
  constraints { calm: always(x < 30) }
}
scenario day for Plant {
  duration: 60 min
  at 5 min { tanks.q = 2 L/s }
  at 45 min { tanks.q = 3 L/s }
  record all every 10 s
  expect calm
}
scenario loaded for Plant extends day { at 30 min { load = 5 } }
// What a branch assigns, the trunk's later actions leave alone.
scenario closed for Plant {
  duration: 60 min
  at 5 min { tanks.q = 2 L/s }
  at 30 min { tanks[1].q = 0 L/s }
  at 45 min { tanks[0].q = 3 L/s; tanks[2].q = 3 L/s }
  record all every 10 s
}
scenario lifted for Plant extends day { at 30 min { x = 2 } }
scenario twice for Plant extends day { at 30 min { load = 5 }; at 40 min { load = 2 } }
";

/// A folder with the model.
fn place() -> Place {
    Place::with(&[("m.twinml", MODEL)])
}

/// What `diff` says of two results.
fn diff(place: &Place, a: &str, b: &str) -> Value {
    place.objects(&["diff", a, b], 0).into_iter().find(|o| o["type"] == "diff").unwrap()
}

#[test]
fn a_branch_is_the_scenario_with_the_same_change() {
    for solver in ["tsit5", "bdf", "rosenbrock", "auto", "rk4"] {
        let place = place();
        let how: &[&str] =
            if solver == "rk4" { &["--solver", solver, "--step", "1s"] } else { &["--solver", solver] };
        place.output(
            &[&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], how].concat(),
            0,
        );
        for (scenario, set) in [("loaded", "load=5"), ("closed", "tanks[1].q=0 L/s"), ("lifted", "x=2")] {
            place.output(&[&["run", "m.twinml", "--scenario", scenario, "--out", scenario], how].concat(), 0);
            let args =
                ["branch", "s.twinsnap", "--at", "30min", "--inject", set, "--name", scenario, "--out", "b"];
            let objects = place.objects(&args, 0);
            let said = of(&objects, "branch")[0];
            assert_eq!(
                (said["ended"].as_str(), said["from_start"].as_bool()),
                (Some("complete"), Some(false)),
                "{said}"
            );
            let changed = said["changed"].as_array().unwrap();
            assert!(changed.iter().all(|c| c["first"]["time"].as_f64().unwrap() >= 1800.0), "{said}");
            assert!(!changed.is_empty(), "{said}");
            let (own, whole) =
                (format!("b/{scenario}/day.parquet"), format!("{scenario}/{scenario}.parquet"));
            let diff = diff(&place, &own, &whole);
            assert_eq!(diff["different"], 0, "{solver} {scenario}: {diff}");
            assert!(diff["instants"].as_u64().unwrap() > 180, "{diff}");
        }
        // A branch of a branch.
        let args =
            ["branch", "loaded", "--at", "40min", "--inject", "load=2", "--name", "twice", "--out", "b"];
        place.output(&args, 0);
        place.output(&[&["run", "m.twinml", "--scenario", "twice", "--out", "twice"], how].concat(), 0);
        assert_eq!(diff(&place, "b/twice/day.parquet", "twice/twice.parquet")["different"], 0, "{solver}");
    }
}

#[test]
fn a_parameter_and_what_follows_from_it() {
    let place = place();
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], 0);
    let text = MODEL.to_owned()
        + "scenario base for Plant extends day { branch wide at 30 min { tanks.area = 4 m^2; tanks[2].gain = 0.3 } }\n";
    fs::write(place.path("with.twinml"), text).unwrap();
    place.output(&["run", "with.twinml", "--scenario", "base", "--out", "r"], 0);
    let args =
        ["branch", "s.twinsnap", "--set", "tanks.area=4 m^2", "--set", "tanks[2].gain=0.3", "--name", "wide"];
    let objects = place.objects(&args, 0);
    let said = of(&objects, "branch")[0];
    // The results are beside the model's own by default.
    assert_eq!(said["results"], "out/m/branches/wide");
    let changed = said["changed"].as_array().unwrap();
    assert!(
        changed.iter().any(|c| c["name"] == "tanks[2].shown" && c["first"]["time"] == 1800.0),
        "{changed:?}"
    );
    // The scenario's own branch is the same, and so is its trunk.
    assert_eq!(diff(&place, "out/m/branches/wide/day.parquet", "r/base.wide.parquet")["different"], 0);
    assert_eq!(diff(&place, "out/m/branches/day@1800s/day.parquet", "r/base.parquet")["different"], 0);
}

/// A scenario with a branch, and one whose branch does at 35 min what is asked for from outside.
const BRANCHED: &str = "
scenario forked for Plant extends day {
  branch shut at 20 min { tanks[1].q = 0 L/s; at 40 min { load = 9; x = 1 }; expect x < 29 }
}
scenario both for Plant extends day {
  branch shut at 20 min { tanks[1].q = 0 L/s; at 35 min { load = 5 }; at 40 min { x = 1 }; expect x < 29 }
}
scenario deeper for Plant extends day {
  branch shut at 20 min { tanks[1].q = 0 L/s; at 35 min { load = 5 }; at 38 min { tanks.q = 1 L/s }; at 40 min { x = 1 }
    expect x < 29 }
}
";

#[test]
fn a_branch_of_a_scenario_goes_on_and_is_branched_off() {
    for solver in ["tsit5", "bdf", "rosenbrock", "auto", "rk4", "adams", "esdirk"] {
        let place = Place::with(&[("m.twinml", &(MODEL.to_owned() + BRANCHED))]);
        let how: &[&str] =
            if solver == "rk4" { &["--solver", solver, "--step", "1s"] } else { &["--solver", solver] };
        let run = |scenario: &str, more: &[&str]| {
            let args = ["run", "m.twinml", "--scenario", scenario, "--out", scenario, "--no-plot"];
            place.output(&[&args, how, more].concat(), 0);
        };
        run("forked", &["--snapshot-every", "10min"]);
        // It goes on as it was, from before it begins, too.
        for at in [1200, 1800, 3000] {
            let from = format!("forked/forked.shut@{at}s.twinsnap");
            place.output(&["run", "--from", &from, "--out", "rest", "--no-plot"], 0);
            let rest = format!("rest/forked@{at}s.shut.parquet");
            let diff = diff(&place, &rest, "forked/forked.shut.parquet");
            assert_eq!(
                (&diff["different"], &diff["decisions"]),
                (&0.into(), &0.into()),
                "{solver} {at}: {diff}"
            );
        }
        // What is asked for takes over what the branch does later; what it expects is expected still.
        run("both", &[]);
        let from = "forked/forked.shut@1800s.twinsnap";
        let args = ["branch", from, "--at", "35min", "--inject", "load=5", "--name", "both", "--out", "b"];
        let objects = place.objects(&args, 0);
        let said = of(&objects, "branch")[0];
        assert_eq!((&said["ended"], &said["from_start"]), (&"complete".into(), &false.into()), "{said}");
        let verdicts: Vec<&str> =
            said["verdicts"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
        assert_eq!(verdicts, ["both/calm", "both/x < 29"]);
        let first = said["changed"][0]["first"]["time"].as_f64().unwrap();
        assert!((2100.0..2200.0).contains(&first), "{said}");
        let own = diff(&place, "b/both/forked.parquet", "both/both.shut.parquet");
        assert_eq!(own["different"], 0, "{solver}: {own}");
        // And a branch of that, followed against what it branches off.
        run("deeper", &[]);
        let args = [
            "branch",
            "both",
            "--at",
            "38min",
            "--inject",
            "tanks.q=1 L/s",
            "--name",
            "deeper",
            "--out",
            "b",
        ];
        let objects = place.objects(&args, 0);
        let changed = of(&objects, "branch")[0]["changed"].as_array().unwrap();
        assert!(changed.iter().all(|c| c["first"]["time"].as_f64().unwrap() >= 2280.0), "{changed:?}");
        assert!(
            changed.iter().any(|c| c["name"] == "tanks[0].q" && c["first"]["time"] == 2280.0),
            "{changed:?}"
        );
        let own = diff(&place, "b/deeper/forked.parquet", "deeper/deeper.shut.parquet");
        assert_eq!(own["different"], 0, "{solver}: {own}");
    }
}

#[test]
fn what_a_branch_of_a_scenario_cannot_do_is_said() {
    let place = Place::with(&[("m.twinml", &(MODEL.to_owned() + BRANCHED))]);
    place.output(&["run", "m.twinml", "--scenario", "forked", "--out", "r", "--snapshot-every", "15min"], 0);
    let said = |args: &[&str], code| String::from_utf8(place.output(args, code).stderr).unwrap();
    let text = said(&["branch", "r/forked.shut@900s.twinsnap", "--at", "16min", "--inject", "x=1"], 2);
    assert!(text.contains("before the branch") && text.contains("the branch begins here"), "{text}");
    let args = ["branch", "r/forked.shut@1800s.twinsnap", "--inject", "x=1", "--name", "shut"];
    let text = said(&args, 2);
    assert!(text.contains("is called `shut` already"), "{text}");
}

#[test]
fn what_is_said_of_an_argument_names_it() {
    let place = place();
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], 0);
    let said = |args: &[&str]| String::from_utf8(place.output(args, 2).stderr).unwrap();
    let branch = |args: &[&str]| said(&[&["branch", "s.twinsnap"], args].concat());
    for (text, words) in [
        (branch(&["--inject", "load=5", "--inject", "x=1 m"]), ["[ --inject:1:5 ]", "x = 1 m"]),
        (branch(&["--set", "tanks.aera=5 m^2"]), ["[ --set:1:7 ]", "tanks.aera = 5 m^2"]),
        (branch(&["--set", "tanks.area=5 +"]), ["[ --set:1:17 ]", "tanks.area = 5 +"]),
        (branch(&["--inject", "load=5", "--at", "2h"]), ["[ --at:1:1 ]", "begins when the run is over"]),
        (
            said(&["run", "m.twinml", "--set", "tanks.gain=1", "--set", "tanks.gain=1}"]),
            ["[ --set:1:14 ]", "tanks.gain=1}"],
        ),
    ] {
        assert!(words.iter().all(|w| text.contains(w)), "{text}");
    }
}

#[test]
fn many_branches_are_computed_side_by_side() {
    let place = place();
    let lanes = |objects: &[Value]| {
        let said = of(objects, "branch_lanes")[0].clone();
        (said["side_by_side"].as_u64().unwrap(), said["alone"].as_u64().unwrap(), said["why"].clone())
    };
    for (solver, side_by_side) in [("tsit5", true), ("rk4", true), ("esdirk", false)] {
        let how = ["--solver", solver, "--step", "2s"];
        let how = if solver == "rk4" { &how[..] } else { &how[..2] };
        place.output(
            &[&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], how].concat(),
            0,
        );
        let _ = fs::remove_file(place.path(".twinml/timeline.redb"));
        let args = [
            "branch",
            "s.twinsnap",
            "--inject",
            "load=1..5:80",
            "--name",
            "load",
            "--out",
            "b",
            "--jobs",
            "2",
        ];
        let objects = place.objects(&args, 0);
        let (on, alone, why) = lanes(&objects);
        if side_by_side {
            assert_eq!((on, alone, why), (80, 0, Value::Null), "{solver}");
        } else {
            assert_eq!((on, alone, why), (0, 80, "its solver goes alone".into()), "{solver}");
        }
        assert!(
            of(&objects, "branch").iter().all(|b| b["lanes"] == side_by_side && b["ended"] == "complete")
        );
        // Each is the run that it is by itself.
        for k in [0, 33, 79] {
            let set = of(&objects, "branch")[k]["set"][0].as_str().unwrap().to_owned();
            let text = format!("{MODEL}scenario alone for Plant extends day {{ at 30 min {{ {set} }} }}\n");
            fs::write(place.path("alone.twinml"), text).unwrap();
            let args = ["run", "alone.twinml", "--scenario", "alone", "--out", "alone", "--no-plot"];
            place.output(&[&args, how].concat(), 0);
            let own = format!("b/load-{k}/day.parquet");
            let objects = place.objects(&["diff", &own, "alone/alone.parquet"], 0);
            assert_eq!(of(&objects, "diff")[0]["different"], 0, "{solver} {k}");
            // The action has another text in the other model.
            let foreign = of(&objects, "diff_event").into_iter().find(|e| e["event_kind"] != "action");
            assert_eq!(foreign, None, "{solver} {k}");
        }
    }
}

#[test]
fn what_is_built_into_the_program_is_run_from_the_start_and_followed() {
    let place = place();
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], 0);
    // A parameter that has a formula: with the branch it is another program.
    let args = ["branch", "s.twinsnap", "--set", "tanks[1].total=9", "--name", "nine", "--out", "b"];
    let objects = place.objects(&args, 0);
    let said = of(&objects, "branch")[0];
    assert_eq!((&said["ended"], &said["from_start"]), (&"complete".into(), &true.into()), "{said}");
    let changed = said["changed"].as_array().unwrap();
    assert!(changed.iter().all(|c| c["first"]["time"].as_f64().unwrap() >= 1800.0), "{changed:?}");
    assert!(changed.iter().any(|c| c["name"] == "tanks[1].shown" && c["first"]["b"] == 9.0), "{changed:?}");
    let text = MODEL.to_owned()
        + "scenario base for Plant extends day { branch nine at 30 min { tanks[1].total = 9 } }\n";
    fs::write(place.path("with.twinml"), text).unwrap();
    place.output(&["run", "with.twinml", "--scenario", "base", "--out", "r"], 0);
    let diff = diff(&place, "b/nine/day.parquet", "r/base.nine.parquet");
    assert_eq!((&diff["different"], diff["instants"].as_u64().unwrap() > 360), (&0.into(), true), "{diff}");
}

#[test]
fn many_branches_at_once_stand_in_a_tree() {
    let place = place();
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], 0);
    let objects = place
        .objects(&["branch", "s.twinsnap", "--inject", "load=1..5:40", "--name", "load", "--jobs", "3"], 0);
    let branches = of(&objects, "branch");
    assert_eq!(branches.len(), 40);
    // Where the load stays as it is, nothing changes but the solver's steps.
    assert!(branches.iter().all(|b| b["ended"] == "complete"));
    let before = fs::read(place.path("out/m/branches/load-7/day.parquet")).unwrap();
    // The same again is the same, node by node, byte by byte, for any number of threads.
    let again = place
        .objects(&["branch", "s.twinsnap", "--inject", "load=1..5:40", "--name", "load", "--jobs", "1"], 0);
    let ids = |objects: &[Value]| of(objects, "branch").iter().map(|b| b["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&objects), ids(&again));
    assert!(before == fs::read(place.path("out/m/branches/load-7/day.parquet")).unwrap());

    let objects = place.objects(&["timeline", "--out", "tree.html"], 0);
    let nodes = of(&objects, "timeline_node");
    assert_eq!(nodes.len(), 41);
    assert_eq!(
        (&nodes[0]["name"], &nodes[0]["kind_of"]),
        (&Value::from("day@1800s"), &Value::from("snapshot"))
    );
    assert!(nodes[1..].iter().all(|n| n["parent"] == nodes[0]["id"] && n["bytes"] == 0));
    let html = fs::read_to_string(place.path("tree.html")).unwrap();
    assert!(html.contains("load-39") && html.contains("<svg") && !html.contains("src="));
    let kept = of(&objects, "timeline")[0];
    assert_eq!(kept["nodes"], 41);

    // One goes, with what grew from it; the room comes back; the snapshot is what it was.
    let one = ["branch", "load-3", "--at", "50min", "--inject", "x=0", "--name", "deeper"];
    place.output(&one, 0);
    let removed = place.objects(&["timeline", "remove", "load-3"], 0);
    assert_eq!(of(&removed, "timeline")[0]["removed"], 2);
    place.output(&["timeline", "gc"], 0);
    let checked = place.objects(&["timeline", "check"], 0);
    assert_eq!(of(&checked, "timeline")[0]["checked"], 1);
    place.output(&["timeline", "export", "day@1800s", "--out", "back.twinsnap"], 0);
    assert!(fs::read(place.path("back.twinsnap")).unwrap() == fs::read(place.path("s.twinsnap")).unwrap());
    let text = String::from_utf8(place.output(&["timeline"], 0).stdout).unwrap();
    assert!(
        text.contains("day@1800s  at 30 min") && text.contains("├─ load-0  at 30 min: load = 1"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let place = place();
    place.output(&["timeline"], 5);
    place.output(&["snapshot", "take", "m.twinml", "--at", "30min", "--out", "s.twinsnap"], 0);
    let said = |args: &[&str], code| String::from_utf8(place.output(args, code).stderr).unwrap();
    let text = said(&["branch", "s.twinsnap"], 2);
    assert!(text.contains("a branch changes something"), "{text}");
    let text = said(&["branch", "s.twinsnap", "--at", "10min", "--inject", "load=5"], 2);
    assert!(text.contains("is past"), "{text}");
    let text = said(&["branch", "s.twinsnap", "--inject", "lod=5"], 2);
    assert!(text.contains("lod"), "{text}");
    place.output(&["branch", "s.twinsnap", "--inject", "load=5 m"], 2);
    place.output(&["branch", "none", "--inject", "load=5"], 2);
    place.output(&["branch", "s.twinsnap", "--inject", "load=5", "--name", "a", "--no-run"], 0);
    let text = said(&["branch", "s.twinsnap", "--inject", "load=6", "--name", "a", "--no-run"], 2);
    assert!(text.contains("another node `a`"), "{text}");
    // Names that are alike as far as a folder's name goes, and values that are given twice.
    let long = format!("load=2.{0}1,2.{0}2", "0".repeat(130));
    let text = said(&["branch", "s.twinsnap", "--inject", &long, "--no-run"], 2);
    assert!(text.contains("would be in one folder, `load=2.000"), "{text}");
    place.output(&["branch", "s.twinsnap", "--inject", &long, "--name", "long", "--no-run"], 0);
    let text = said(&["branch", "s.twinsnap", "--inject", "load=2,2", "--no-run"], 2);
    assert!(text.contains("would be in one folder, `load=2`") && text.contains("`--name`"), "{text}");
    // A byte that is not what it was.
    let mut bytes = fs::read(place.path("s.twinsnap")).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(place.path("bad.twinsnap"), bytes).unwrap();
    place.output(&["branch", "bad.twinsnap", "--inject", "load=5"], 6);
    fs::write(place.path(".twinml/timeline.redb"), b"no store").unwrap();
    place.output(&["timeline"], 5);
}
