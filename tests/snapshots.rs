//! Snapshots through the command line: taken, shown, unpacked, gone on from; refused where they are damaged; whole or not
//! there when the process is killed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use place::Place;
use serde_json::Value;
use twinml_engine::snapshot::Snapshot;

const MODEL: &str = "
twin Tank {
  parameters { area: Area = 2 m^2 }
  inputs { inflow: VolumeFlow = 0 m^3/s }
  states { h: Length = 1 m; filled: Int = 0 }
  equations { der(h) = (inflow - 0.008 [m^2.5/s]*sqrt(h))/area }
  behavior {
    on rising(h > 1.1 m) { filled = filled + 1; wait 30 s; filled = filled + 10 }
    every 7 min { if draw(uniform(0, 1)) > 0.5 { filled = filled + 1 } }
  }
  constraints { safe: always(h < 9 m) ; kpi mean_level: mean(h over run) }
}
scenario fill for Tank {
  duration: 1 h
  drive inflow from \"inflow.csv\" column \"q\" in m^3/s linear
  record all every 10 s
  branch late at 40 min { area = 3 m^2 }
}
";

fn tank() -> Place {
    let inflow = "time,q\n0,0.02\n600,0.004\n1800,0.02\n3600,0.001\n";
    Place::with(&[("tank.twinml", MODEL), ("inflow.csv", inflow)])
}

fn text(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path(name)).unwrap()
}

/// A result from some row on, behind its head, is the tail of another.
fn tail_of(rest: &str, whole: &str) -> usize {
    let (rest, whole): (Vec<&str>, Vec<&str>) = (rest.lines().collect(), whole.lines().collect());
    assert_eq!(rest[0], whole[0]);
    let skipped = whole.len() - rest.len();
    assert!(whole[skipped + 1..] == rest[1..], "{} of {} rows", rest.len(), whole.len());
    skipped
}

#[test]
fn a_run_goes_on_from_the_file_alone() {
    let place = tank();
    place.output(&["run", "tank.twinml", "--out", "whole.csv"], 0);
    place.output(&["run", "tank.twinml", "--snapshot-every", "15min", "--out", "res"], 0);
    place.output(&["snapshot", "take", "tank.twinml", "--at", "30min", "--out", "one.twinsnap"], 0);
    let taken = fs::read(place.path("one.twinsnap")).unwrap();
    assert!(taken == fs::read(place.path("res/fill@1800s.twinsnap")).unwrap(), "whoever takes it");
    for name in ["fill@900s", "fill@2700s", "fill@3600s", "fill.late@2700s"] {
        assert!(place.path(&format!("res/{name}.twinsnap")).exists(), "{name}");
    }
    // Wherever it lies.
    fs::create_dir(place.path("plant")).unwrap();
    for name in ["tank.twinml", "inflow.csv"] {
        fs::copy(place.path(name), place.path(&format!("plant/{name}"))).unwrap();
    }
    place.output(&["snapshot", "take", "plant/tank.twinml", "--at", "30min", "--out", "far.twinsnap"], 0);
    assert!(fs::read(place.path("far.twinsnap")).unwrap() == taken);
    fs::remove_dir_all(place.path("plant")).unwrap();
    // Nothing else is needed.
    fs::remove_file(place.path("tank.twinml")).unwrap();
    fs::remove_file(place.path("inflow.csv")).unwrap();
    place.output(&["run", "--from", "one.twinsnap", "--out", "rest.csv"], 0);
    let (whole, rest) = (text(&place, "whole.csv"), text(&place, "rest.csv"));
    let skipped = tail_of(&rest, &whole);
    assert!((170..=195).contains(&skipped), "rows up to the half are left out: {skipped}");
    // A branch goes on as the branch.
    place.output(&["run", "--from", "res/fill.late@2700s.twinsnap", "--out", "late.csv"], 0);
    tail_of(&text(&place, "late.late.csv"), &text(&place, "whole.late.csv"));
    // Snapshots of a run that goes on are those of the whole run, but that they name the one it goes on from.
    place.output(&["run", "--from", "one.twinsnap", "--snapshot-every", "15min", "--out", "on"], 0);
    let read = |name: &str| Snapshot::decode(&fs::read(place.path(name)).unwrap()).unwrap();
    let (first, later) = (read("res/fill@2700s.twinsnap"), read("on/fill@2700s.twinsnap"));
    assert_eq!(later.parent, Some(read("one.twinsnap").id()));
    assert!(first.parent.is_none() && first.state == later.state && first.model == later.model);
    // The end can move.
    place.output(&["run", "--from", "one.twinsnap", "--until", "50min", "--out", "short.csv"], 0);
    let short = text(&place, "short.csv");
    assert!(short.lines().take(40).eq(rest.lines().take(40)));
    place.output(&["run", "--from", "one.twinsnap", "--until", "2h", "--out", "long.csv"], 0);
    assert!(text(&place, "long.csv").lines().count() > rest.lines().count() + 300);
}

#[test]
fn what_it_is_can_be_seen_and_unpacked() {
    let place = tank();
    place.output(&["snapshot", "take", "tank.twinml", "--at", "30min", "--set", "area=2.5 m^2"], 0);
    let name = "out/tank/fill@1800s.twinsnap";
    let shown = String::from_utf8(place.output(&["snapshot", "show", name], 0).stdout).unwrap();
    for part in
        ["tank.twinml (2 files", "fill for Tank to 1 h", "30 min: the step at ", "MEMO", "Envelope none"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let out = place.output(&["snapshot", "show", name, "--format", "json"], 0).stdout;
    let told: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["asked"], 1800.0);
    assert_eq!(told["request"]["compile"]["sets"][0], "area=2.5 m^2");
    assert_eq!(told["sections"].as_array().unwrap().len(), 8);
    place.output(&["snapshot", "extract", name, "--out", "unpacked"], 0);
    assert_eq!(text(&place, "unpacked/model/tank.twinml"), MODEL);
    assert_eq!(text(&place, "unpacked/model/inflow.csv"), text(&place, "inflow.csv"));
    let state = text(&place, "unpacked/state.csv");
    assert!(state.contains("\narea,parameter,2.5,m^2\n") && state.contains("\nh,state,"), "{state}");
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let place = tank();
    place.output(&["snapshot", "take", "tank.twinml", "--at", "30min", "--out", "one.twinsnap"], 0);
    let said = |args: &[&str], code| String::from_utf8(place.output(args, code).stderr).unwrap();
    let refused = said(&["run", "--from", "one.twinsnap", "--set", "area=3 m^2"], 2);
    assert!(refused.contains("`--set`") && refused.contains("twinc branch"), "{refused}");
    said(&["run", "--from", "one.twinsnap", "--seed", "3"], 2);
    let past = said(&["run", "--from", "one.twinsnap", "--until", "10min"], 2);
    assert!(past.contains("the snapshot stands at"), "{past}");
    let beyond = said(&["snapshot", "take", "tank.twinml", "--at", "2h"], 2);
    assert!(beyond.contains("the run ends at 1 h"), "{beyond}");
    said(&["snapshot", "take", "tank.twinml", "--at", "soon"], 2);
    said(&["snapshot", "show", "none.twinsnap"], 5);
    said(&["snapshot", "show", "tank.twinml"], 2);
    said(&["run"], 2);
    let bytes = fs::read(place.path("one.twinsnap")).unwrap();
    for at in [20, 70, bytes.len() / 2, bytes.len() - 1] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        fs::write(place.path("other.twinsnap"), &other).unwrap();
        let refused = said(&["run", "--from", "other.twinsnap"], 6);
        assert!(refused.contains("at byte "), "{refused}");
        said(&["snapshot", "show", "other.twinsnap"], 6);
    }
}

#[test]
fn a_killed_run_leaves_whole_snapshots() {
    let place = tank();
    let snapshots = |folder: &Path| -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let paths = entries.map(|e| e.unwrap().path());
        paths.filter(|p| p.extension().is_some_and(|x| x == "twinsnap")).collect()
    };
    let mut found = 0;
    for k in 0..12u64 {
        let args = ["run", "tank.twinml", "--snapshot-every", "1 s", "--out", "res"];
        let mut child = place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(30 + 37 * k));
        child.kill().unwrap();
        child.wait().unwrap();
        for path in snapshots(&place.path("res")) {
            let read = Snapshot::decode(&fs::read(&path).unwrap());
            assert!(read.is_ok(), "{}: {:?}", path.display(), read.err());
            found += 1;
        }
    }
    assert!(found > 0, "no snapshot was written before the first kill");
}

/// `tests/snapshots` holds what an earlier build took of examples. A snapshot goes on where the compiler still makes the same
/// program of its model, and is refused by rule where it makes another one. Then files of the build before that change
/// belong here instead: what went on for users until then ends with it, and that should be worth it.
#[test]
fn snapshots_of_an_earlier_build_go_on() {
    for (name, scenario) in [
        ("drop@2s", "drop"),       // dopri5, events
        ("start@0.4s", "start"),   // auto from before its layout had a number
        ("bath@17280s", "bath"),   // a machine
        ("jitter@1.6s", "jitter"), // clocks and random streams
    ] {
        let place = Place::with(&[]);
        let bytes =
            fs::read(format!("{}/tests/snapshots/{name}.twinsnap", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let snapshot = Snapshot::decode(&bytes).unwrap();
        assert!(snapshot.encode() == bytes, "{name}: what was read is what is there");
        fs::write(place.path("old.twinsnap"), &bytes).unwrap();
        place.expect(0, &["run", "--from", "old.twinsnap", "--out", "on/"]);
        place.expect(0, &["snapshot", "extract", "old.twinsnap", "--out", "unpacked"]);
        let model = format!("unpacked/model/{}", snapshot.model.files[0].path);
        place.expect(0, &["run", &model, "--scenario", scenario, "--out", "whole/"]);
        // It ends where the run does that began anew; not to the bit, for a solver may be a better one by now.
        let last = |file: String| -> Value {
            let summary: Value = serde_json::from_str(&text(&place, &file)).unwrap();
            summary["final"].clone()
        };
        let at = name.strip_prefix(scenario).unwrap();
        let (on, whole) = (last(format!("on/summary{at}.json")), last("whole/summary.json".into()));
        let (on, whole) = (on.as_object().unwrap(), whole.as_object().unwrap());
        assert!(on.len() > 2 && on.keys().eq(whole.keys()), "{name}");
        for (of, value) in on {
            let [x, y] = [value, &whole[of]].map(|v| v["value"].as_f64());
            match (x, y) {
                (Some(x), Some(y)) => {
                    assert!((x - y).abs() <= 1e-4 * y.abs().max(1e-3), "{name} {of}: {x} {y}")
                }
                _ => assert_eq!(value, &whole[of], "{name} {of}"),
            }
        }
    }
}
