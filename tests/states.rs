//! States of machines and values of enumerations in results: as text, in every format.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::process::Command;

const MODEL: &str = "
enum Valve { open, closed }
twin Cell {
  states { v: Valve = Valve.open }
  behavior {
    machine m {
      initial idle
      state idle { after 1 s -> run { v = Valve.closed } }
      state run {
        state fast { after 1 s -> slow }
        state slow { after 1 s -> idle }
      }
    }
  }
}
twin T { twins { cells: Cell[2] } }
scenario named for T { duration: 2.5 s; record cells[1].m, cells.v every 1 s }
scenario whole for T { duration: 2.5 s; record cells.m every 1 s }
scenario usual for T { duration: 2.5 s }
";

fn run(args: &[&str], out: &str) -> (String, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), MODEL).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
    command.args(["run", "m.twinml", "--out", out]).args(args).current_dir(place.path());
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (fs::read_to_string(place.path().join(out)).unwrap_or_default().replace('\r', ""), place)
}

#[test]
fn a_csv_names_states() {
    let (csv, _place) = run(&["--scenario", "named"], "r.csv");
    expect_test::expect![[r#"
        time,step,cells[1].m,cells[0].v,cells[1].v
        0,0,idle,open,open
        1,0,idle,open,open
        1,1,fast,closed,closed
        2,0,fast,closed,closed
        2,1,slow,closed,closed
    "#]]
    .assert_eq(&csv);
    let (csv, _place) = run(&["--scenario", "whole"], "r.csv");
    assert!(csv.starts_with("time,step,cells[0].m,cells[1].m\n"), "{csv}");
    assert!(csv.contains("2,1,slow,slow\n"), "{csv}");
}

#[test]
fn machines_are_recorded_where_nothing_is_said_and_plotted_by_name() {
    let (csv, place) = run(&["--scenario", "usual"], "r.csv");
    let head = csv.lines().next().unwrap();
    assert!(head.contains("cells[0].m") && head.contains("cells[1].v"), "{head}");
    let mut plot = Command::new(env!("CARGO_BIN_EXE_twinc"));
    let done = plot.args(["plot", "r.csv", "--out", "r.svg"]).current_dir(place.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let svg = fs::read_to_string(place.path().join("r.svg")).unwrap();
    for word in ["idle", "fast", "slow"] {
        assert!(svg.contains(&format!(">{word}<")), "{word}");
    }
}

#[test]
fn parquet_holds_text_and_the_summary_too() {
    let (_, place) = run(&["--scenario", "named"], "out");
    let summary = fs::read_to_string(place.path().join("out/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["final"]["cells[1].m"]["value"], "slow");
    assert_eq!(summary["final"]["cells[0].v"]["value"], "closed");
}
