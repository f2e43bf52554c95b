//! Snapshots through the command line: taken, shown, unpacked, gone on from; refused where they are damaged; whole or not
//! there when the process is killed.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

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

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("tank.twinml"), MODEL).unwrap();
        fs::write(place.path("inflow.csv"), "time,q\n0,0.02\n600,0.004\n1800,0.02\n3600,0.001\n").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
        command.args(args).current_dir(self.0.path());
        command
    }

    fn run(&self, args: &[&str], code: i32) -> Output {
        let ran = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {said}{}", String::from_utf8_lossy(&ran.stdout));
        ran
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
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
    let place = Place::new();
    place.run(&["run", "tank.twinml", "--out", "whole.csv"], 0);
    place.run(&["run", "tank.twinml", "--snapshot-every", "15min", "--out", "res"], 0);
    place.run(&["snapshot", "take", "tank.twinml", "--at", "30min", "--out", "one.twinsnap"], 0);
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
    place.run(&["snapshot", "take", "plant/tank.twinml", "--at", "30min", "--out", "far.twinsnap"], 0);
    assert!(fs::read(place.path("far.twinsnap")).unwrap() == taken);
    fs::remove_dir_all(place.path("plant")).unwrap();
    // Nothing else is needed.
    fs::remove_file(place.path("tank.twinml")).unwrap();
    fs::remove_file(place.path("inflow.csv")).unwrap();
    place.run(&["run", "--from", "one.twinsnap", "--out", "rest.csv"], 0);
    let (whole, rest) = (place.read("whole.csv"), place.read("rest.csv"));
    let skipped = tail_of(&rest, &whole);
    assert!((170..=195).contains(&skipped), "rows up to the half are left out: {skipped}");
    // A branch goes on as the branch.
    place.run(&["run", "--from", "res/fill.late@2700s.twinsnap", "--out", "late.csv"], 0);
    tail_of(&place.read("late.late.csv"), &place.read("whole.late.csv"));
    // Snapshots of a run that goes on are those of the whole run, but that they name the one it goes on from.
    place.run(&["run", "--from", "one.twinsnap", "--snapshot-every", "15min", "--out", "on"], 0);
    let read = |name: &str| Snapshot::decode(&fs::read(place.path(name)).unwrap()).unwrap();
    let (first, later) = (read("res/fill@2700s.twinsnap"), read("on/fill@2700s.twinsnap"));
    assert_eq!(later.parent, Some(read("one.twinsnap").id()));
    assert!(first.parent.is_none() && first.state == later.state && first.model == later.model);
    // The end can move.
    place.run(&["run", "--from", "one.twinsnap", "--until", "50min", "--out", "short.csv"], 0);
    let short = place.read("short.csv");
    assert!(short.lines().take(40).eq(rest.lines().take(40)));
    place.run(&["run", "--from", "one.twinsnap", "--until", "2h", "--out", "long.csv"], 0);
    assert!(place.read("long.csv").lines().count() > rest.lines().count() + 300);
}

#[test]
fn what_it_is_can_be_seen_and_unpacked() {
    let place = Place::new();
    place.run(&["snapshot", "take", "tank.twinml", "--at", "30min", "--set", "area=2.5 m^2"], 0);
    let name = "out/tank/fill@1800s.twinsnap";
    let shown = String::from_utf8(place.run(&["snapshot", "show", name], 0).stdout).unwrap();
    for part in
        ["tank.twinml (2 files", "fill for Tank to 1 h", "30 min: the step at ", "MEMO", "Envelope none"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let out = place.run(&["snapshot", "show", name, "--format", "json"], 0).stdout;
    let told: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["asked"], 1800.0);
    assert_eq!(told["request"]["compile"]["sets"][0], "area=2.5 m^2");
    assert_eq!(told["sections"].as_array().unwrap().len(), 8);
    place.run(&["snapshot", "extract", name, "--out", "unpacked"], 0);
    assert_eq!(place.read("unpacked/model/tank.twinml"), MODEL);
    assert_eq!(place.read("unpacked/model/inflow.csv"), place.read("inflow.csv"));
    let state = place.read("unpacked/state.csv");
    assert!(state.contains("\narea,parameter,2.5,m^2\n") && state.contains("\nh,state,"), "{state}");
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let place = Place::new();
    place.run(&["snapshot", "take", "tank.twinml", "--at", "30min", "--out", "one.twinsnap"], 0);
    let said = |args: &[&str], code| String::from_utf8(place.run(args, code).stderr).unwrap();
    let refused = said(&["run", "--from", "one.twinsnap", "--set", "area=3 m^2"], 2);
    assert!(refused.contains("`--set`") && refused.contains("twinc branch"), "{refused}");
    said(&["run", "--from", "one.twinsnap", "--seed", "3"], 2);
    let past = said(&["run", "--from", "one.twinsnap", "--until", "10min"], 2);
    assert!(past.contains("the snapshot stands at"), "{past}");
    let beyond = said(&["snapshot", "take", "tank.twinml", "--at", "2h"], 2);
    assert!(beyond.contains("the run ends at 1 h"), "{beyond}");
    said(&["snapshot", "take", "tank.twinml", "--at", "soon"], 2);
    said(&["snapshot", "show", "none.twinsnap"], 2);
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
    let place = Place::new();
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
