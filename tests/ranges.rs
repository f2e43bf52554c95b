//! Ranges (`where`) while a run goes on: where they are left, what is said, what follows.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::fs;
use std::process::{Command, Output};

struct Ran {
    out: Output,
    summary: Value,
}

impl Ran {
    fn said(&self) -> String {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        text(&self.out.stderr) + &text(&self.out.stdout)
    }

    #[track_caller]
    fn ranges(&self) -> &Vec<Value> {
        self.summary["ranges"].as_array().unwrap_or_else(|| panic!("{}", self.said()))
    }
}

fn run(model: &str, args: &[&str]) -> Ran {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), model).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
    command.args(["run", "m.twinml", "--out", "out", "--no-plot"]).args(args).current_dir(place.path());
    let out = command.output().unwrap();
    let summary = fs::read_to_string(place.path().join("out/summary.json")).unwrap_or_default();
    Ran { out, summary: serde_json::from_str(&summary).unwrap_or(Value::Null) }
}

#[track_caller]
fn near(value: &Value, wanted: f64, rel: f64) {
    let x = value.as_f64().unwrap();
    assert!((x - wanted).abs() <= rel * wanted.abs(), "{x} instead of {wanted}");
}

const SOLVERS: [&str; 4] = ["tsit5", "dopri5", "bdf", "rosenbrock"];

/// `h` falls linearly and leaves its range at 1000 s; an output leaves its own at 500 s.
const TANK: &str = "
twin Tank {
  outputs { level: Length in cm = h where level >= 50 cm }
  states { h: Length = 1 m where h >= 0 m }
  equations { der(h) = -1 [mm/s] }
}
scenario run for Tank { duration: 30 min }
";

#[test]
fn a_range_is_left_at_the_crossing_and_the_run_goes_on() {
    for solver in SOLVERS {
        let ran = run(TANK, &["--solver", solver]);
        assert_eq!(ran.out.status.code(), Some(0), "{}", ran.said());
        assert_eq!(ran.summary["ended"], "complete");
        assert_eq!(ran.summary["events"], 0, "watching is no event of the integration");
        let [level, h] = &ran.ranges()[..] else { panic!("{}", ran.said()) };
        assert_eq!(level["path"], "level");
        assert_eq!(level["unit"], "cm");
        assert_eq!(level["times"], 1);
        near(&level["time"], 500.0, 1e-9);
        near(&level["value"], 50.0, 1e-9);
        assert_eq!(h["path"], "h");
        assert_eq!(h["stopped"], false);
        assert_eq!(h["condition"], "h >= 0 m");
        near(&h["time"], 1000.0, 1e-9);
        let said = ran.said();
        assert!(said.contains("[W0801] Warning: `h` leaves its range at "), "{said}");
        assert!(said.contains("m.twinml:4:"), "{said}");
    }
}

#[test]
fn the_same_rows_come_with_and_without_a_range() {
    let rows = |model: &str| {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("m.twinml"), model).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
        command.args(["run", "m.twinml", "--out", "r.csv", "--solver", "bdf"]).current_dir(place.path());
        assert!(command.output().unwrap().status.success());
        fs::read_to_string(place.path().join("r.csv")).unwrap()
    };
    let without = TANK.replace("where level >= 50 cm", "").replace("where h >= 0 m", "");
    assert_eq!(rows(TANK), rows(&without));
}

#[test]
fn else_stop_ends_the_run_at_the_crossing() {
    let ran = run(&TANK.replace("h >= 0 m", "h >= 0 m else stop"), &["--solver", "tsit5"]);
    assert_eq!(ran.out.status.code(), Some(0), "{}", ran.said());
    assert_eq!(ran.summary["ended"], "range");
    near(&ran.summary["time"], 1000.0, 1e-9);
    assert_eq!(ran.ranges()[1]["stopped"], true);
    let last = ran.summary["final"]["h"]["value"].as_f64().unwrap();
    assert!(last.abs() < 1e-9, "the last row is that of the end: {last}");
}

#[test]
fn a_graze_within_a_step_is_found() {
    // sin is above 0.9999 for 0.028 s only.
    let model = "
twin Swing {
  states { x: Real = 0 where x <= 0.9999; v: Real = 1 }
  equations { der(x) = v/1 [s]; der(v) = -x/1 [s] }
}
scenario run for Swing { duration: 3 s; solver: dopri5(rtol: 1e-10, atol: 1e-12) }
";
    let ran = run(model, &[]);
    let [x] = &ran.ranges()[..] else { panic!("{}", ran.said()) };
    near(&x["time"], 0.9999f64.asin(), 1e-7);
    assert_eq!(x["times"], 1);
}

#[test]
fn an_element_is_named_and_output_is_bounded() {
    let model = "
twin Cell {
  parameters { k: Real[1/s] = 0.1 [1/s] }
  states { x: Real = 1 where 0.5 <= self <= 2 }
  equations { der(x) = -k*x }
}
twin Pack { twins { cells: Cell[30] } }
scenario run for Pack { duration: 10 s; parameters { cells[3].k = 0.2 [1/s] } }
";
    let ran = run(model, &[]);
    assert_eq!(ran.ranges().len(), 20, "{}", ran.said());
    assert_eq!(ran.summary["ranges_left"], 30);
    assert_eq!(ran.ranges()[0]["path"], "cells[3].x");
    near(&ran.ranges()[0]["time"], std::f64::consts::LN_2 / 0.2, 1e-5);
    assert!(ran.said().contains("10 further ranges were left"), "{}", ran.said());
}

#[test]
fn what_flutters_is_counted() {
    let model = "
twin Wave {
  outputs { y: Real = sin(t) where self < 0.5 }
  states { t: Real = 0 }
  equations { der(t) = 1 [1/s] }
}
scenario run for Wave { duration: 100 s; solver: dopri5(max_step: 0.5 s) }
";
    let ran = run(model, &[]);
    let [y] = &ran.ranges()[..] else { panic!("{}", ran.said()) };
    assert_eq!(y["times"], 16);
    near(&y["time"], std::f64::consts::FRAC_PI_6, 1e-9);
}

#[test]
fn formulas_of_parameters_and_inputs_are_judged() {
    let model = "
twin Pump {
  parameters { a: Real = 2; b: Real = 3 - a where self > 0 }
  inputs { speed: Real = 1 where 0 <= self <= 1 }
  states { x: Real = 0 }
  equations { der(x) = b*speed/1 [s] }
}
scenario fine for Pump { duration: 10 s }
scenario wrong for Pump { duration: 10 s; parameters { a = 3 } }
scenario fast for Pump { duration: 10 s; at 4 s { speed = 1.5 } }
";
    assert_eq!(run(model, &["--scenario", "fine"]).summary["ranges_left"], 0);
    let ran = run(model, &["--scenario", "wrong"]);
    let [b] = &ran.ranges()[..] else { panic!("{}", ran.said()) };
    assert_eq!(
        (&b["path"], b["time"].as_f64(), b["value"].as_f64()),
        (&Value::from("b"), Some(0.0), Some(0.0))
    );
    let ran = run(model, &["--scenario", "fast"]);
    let [speed] = &ran.ranges()[..] else { panic!("{}", ran.said()) };
    assert_eq!((speed["time"].as_f64(), speed["value"].as_f64()), (Some(4.0), Some(1.5)));
}

#[test]
fn else_clamp_is_refused_where_it_stands() {
    let ran = run(&TANK.replace("h >= 0 m", "h >= 0 m else clamp"), &[]);
    assert_eq!(ran.out.status.code(), Some(2));
    assert!(ran.said().contains("[E0757]") && ran.said().contains("m.twinml:4:"), "{}", ran.said());
}

#[test]
fn a_limiter_at_its_limit_breaks_nothing() {
    let model = "
twin Valve {
  outputs { u: Real = if t > 3 then 1 else 1 - (3 - t)/7 where 0 <= self <= 1; v: Real = max(0, 1 - 0.3*t) where v >= 0 }
  states { t: Real = 0 }
  equations { der(t) = 1.7 [1/s] }
}
scenario run for Valve { duration: 10 s; solver: dopri5(rtol: 1e-9) }
";
    let ran = run(model, &[]);
    assert_eq!(ran.summary["ranges_left"], 0, "{}", ran.said());
}

#[test]
fn the_solvers_error_at_a_limit_breaks_nothing() {
    let model = "
twin Lag {
  states { u: Real = 0 where 0 <= self <= 1; d: Real = 1 where self >= 0 }
  equations { der(u) = (1 - u)/5 [s]; der(d) = -d*1 [1/s] }
}
scenario run for Lag { duration: 10 min; solver: bdf(rtol: 1e-6) }
";
    for solver in SOLVERS {
        let ran = run(model, &["--solver", solver]);
        assert_eq!(ran.summary["ranges_left"], 0, "{}", ran.said());
    }
}
