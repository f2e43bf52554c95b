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

/// A basin that fills to its rim, is emptied and runs dry: a saturating integrator.
const BASIN: &str = "
twin Basin {
  parameters { rim: Length = 2 m; half: Length = rim/2 }
  inputs  { net: Velocity = 1 mm/s; share: Real = 0.5 where 0 <= self <= 1 else clamp }
  states  { h: Length = half where 0 m <= h <= rim else clamp; level: Real = 0 where self < 3 else clamp; t: Time = 0 s }
  outputs { used: Real = share }
  equations { 1*der(h) = net; der(t) = 1 }
  behavior { at 10 min { level = 7 } at 20 min { level = -7 } }
}
scenario run for Basin {
  duration: 2 h
  at 1 h { net = -2 mm/s }
  at 1.5 h { share = 4 }
  at 110 min { net = 0.5 mm/s; share = -1 }
  record h, level, used every 1 min
}
";

#[test]
fn else_clamp_holds_a_state_at_its_limits() {
    for solver in
        ["tsit5", "dopri5", "bdf", "rosenbrock", "auto", "adams", "esdirk", "rk4", "euler", "trbdf2"]
    {
        let ran = run(BASIN, &["--solver", solver]);
        assert_eq!(ran.out.status.code(), Some(0), "{solver}: {}", ran.said());
        assert!(!ran.said().contains("000000"), "tolerances are told as they were asked for: {}", ran.said());
        // Full after 1000 s, until 3600 s; dry after another 1000 s, until 6600 s; 0.3 m in the end.
        let [level, h, share] = &ran.ranges()[..] else { panic!("{solver}: {}", ran.said()) };
        assert_eq!(
            (&h["path"], &h["times"], &h["clamped"]),
            (&"h".into(), &2.into(), &true.into()),
            "{solver}"
        );
        near(&h["time"], 1000.0, 1e-9);
        assert_eq!(h["value"], 2.0, "{solver}: exactly");
        assert_eq!(
            (&level["path"], &level["value"], &level["time"]),
            (&"level".into(), &3.0.into(), &600.0.into())
        );
        assert_eq!((&share["value"], &share["times"]), (&1.0.into(), &2.into()), "{solver}");
        near(&ran.summary["final"]["h"]["value"], 0.3, 1e-9);
        assert_eq!(ran.summary["final"]["level"]["value"], -7.0, "{solver}");
        assert_eq!(ran.summary["final"]["used"]["value"], 0.0, "{solver}");
        assert!(ran.said().contains("`else clamp` holds it at its limit"), "{}", ran.said());
    }
}

#[test]
fn else_clamp_keeps_rows_within_the_limits_exactly() {
    // Torricelli into an empty tank and a swing cut at 300.5 K: a limit that is no power of two.
    let model = "
twin Swing {
  states { T: Temperature = 300 K where 299.9 K <= self <= 300.7 K else clamp; h: Length = 1 m where self >= 0 m else clamp; E: Real = 0 }
  equations { der(T) = 1 K/s*cos(time*1 rad/s); der(h) = -0.1 [m^0.5/s]*sqrt(max(h, 0 m)) - 0.02 [m/s]; der(E) = (T - 300 K)/1 K/1 s }
}
scenario run for Swing { duration: 30 s; record T, h, E every 10 ms }
";
    for solver in SOLVERS {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("m.twinml"), model).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
        command.args([
            "run", "m.twinml", "--si", "--out", "r.csv", "--solver", solver, "--rtol", "1e-9", "--atol",
            "1e-11",
        ]);
        let out = command.current_dir(place.path()).output().unwrap();
        assert!(out.status.success(), "{solver}: {}", String::from_utf8_lossy(&out.stderr));
        let text = fs::read_to_string(place.path().join("r.csv")).unwrap();
        let rows: Vec<Vec<f64>> =
            text.lines().skip(1).map(|l| l.split(',').map(|x| x.parse().unwrap()).collect()).collect();
        let mut full = 0;
        for r in &rows {
            let (t, temperature, h) = (r[0], r[2], r[3]);
            // Exactly, but for the roundings of the left limit at the crossing.
            let slack = if r[1] == 0.0 { 1e-12 } else { 0.0 };
            assert!((299.9 - slack..=300.7 + slack).contains(&temperature), "{solver}: {temperature} at {t}");
            assert!(h >= -slack, "{solver}: {h} at {t}");
            full += usize::from(temperature == 300.7);
        }
        // Reached at asin(0.7), left at pi/2; then the swing goes down by 2 and stands at 299.9 K until 3pi/2.
        let at = |t: f64| rows.iter().rfind(|r| r[0] == t).unwrap()[2];
        let near =
            |got: f64, wanted: f64| assert!((got - wanted).abs() < 1e-6, "{solver}: {got}, not {wanted}");
        near(at(0.5), 300.0 + 0.5f64.sin());
        near(at(1.2), 300.7);
        near(at(2.0), 300.7 - (1.0 - 2.0f64.sin()));
        near(at(4.0), 299.9);
        near(at(5.0), 299.9 + (1.0 + 5.0f64.sin()));
        assert!(full > 100, "{solver}: {full} rows at the limit");
        assert_eq!(rows.last().unwrap()[3], 0.0, "{solver}: empty");
    }
}

#[test]
fn else_clamp_of_an_array_and_what_it_cannot_hold() {
    let model = "
twin Cell { parameters { i: Int = 0 } states { q: Real = 0 where self <= 1 + 0.1*i else clamp } equations { der(q) = (1 + i)/1 s } }
twin Pack { twins { cells: Cell[5] { i = i for i } } outputs { total: Real = sum(cells.q) } }
scenario run for Pack { duration: 10 s; solver: tsit5 }
";
    let ran = run(model, &[]);
    assert_eq!(ran.out.status.code(), Some(0), "{}", ran.said());
    assert_eq!(ran.ranges().len(), 5);
    for (k, r) in ran.ranges().iter().enumerate() {
        let i = 4 - k;
        assert_eq!(r["path"], format!("cells[{i}].q"), "the fastest first");
        near(&r["time"], (1.0 + 0.1 * i as f64) / (1.0 + i as f64), 1e-9);
    }
    near(&ran.summary["final"]["total"]["value"], 6.0, 1e-12);
    for (member, word) in [
        ("parameters { y: Real = x.start where self < 9 else clamp }", "a parameter is not clamped"),
        ("variables { y: Real where self < 1 else clamp; z: Real }", "no equation gives `y` by itself"),
        ("states { y: Real = 0 where self^2 < 1 else clamp }", "no limits to hold"),
        ("states { y: Real = 0 where self < x else clamp }", "no limits to hold"),
    ] {
        let more = if member.contains("z:") { "; y + z = x; y - z = 1" } else { "" };
        let model = format!(
            "twin M {{ states {{ x: Real = 1 }} {member} equations {{ der(x) = 1/1 s {more} }} }}\nscenario run for M {{ duration: 1 s }}\n"
        );
        let ran = run(&model, &[]);
        assert_eq!(ran.out.status.code(), Some(2), "{}", ran.said());
        assert!(ran.said().contains("E0735") && ran.said().contains(word), "{}", ran.said());
    }
}

#[test]
fn else_clamp_that_begins_and_ends_hundreds_of_times_is_a_reflection() {
    // What a limit holds back is Skorokhod's reflection: x = f - max(0, largest f - 1 so far).
    let model = "
twin Osc {
  states { x: Real = 0 where self <= 1 else clamp }
  equations { der(x) = sin(50*time/1 s)/1 s + 0.2/1 s }
}
scenario run for Osc { duration: 20 s }
";
    let f = |t: f64| (1.0 - (50.0 * t).cos()) / 50.0 + 0.2 * t;
    // Its maxima are where sin(50 t) = -0.2 from above.
    let last =
        (0..).map(|k| (std::f64::consts::PI + 0.2f64.asin() + std::f64::consts::TAU * f64::from(k)) / 50.0);
    let last = last.take_while(|t| *t <= 20.0).last().unwrap();
    for solver in ["tsit5", "dopri5", "bdf", "rosenbrock", "auto", "adams"] {
        let ran = run(model, &["--solver", solver, "--rtol", "1e-9", "--atol", "1e-11"]);
        assert_eq!(ran.out.status.code(), Some(0), "{solver}: {}", ran.said());
        near(&ran.summary["final"]["x"]["value"], f(20.0) - (f(last) - 1.0), 1e-6);
        let [x] = &ran.ranges()[..] else { panic!("{solver}: {}", ran.said()) };
        // Each period from the first time on.
        let first = x["time"].as_f64().unwrap();
        assert!((f(first) - 1.0).abs() < 1e-7, "{solver}: {first}");
        let periods = ((20.0 - first) * 50.0 / std::f64::consts::TAU).round();
        assert!((x["times"].as_f64().unwrap() - periods).abs() <= 1.0, "{solver}: {x} {periods}");
    }
}

#[test]
fn else_clamp_prints_and_reads_back_and_follows_a_branch() {
    let place = tempfile::tempdir().unwrap();
    let model = BASIN.replace("record h", "branch low at 3000 s { rim = 1.5 m }\n  record h");
    fs::write(place.path().join("m.twinml"), &model).unwrap();
    let twinc = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
        let out = command.args(["run", "m.twinml"]).args(args).current_dir(place.path()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let text = twinc(&["--emit", "ir"]);
    assert!(text.contains("\nclamp "), "{text}");
    let program = twinml_model::text::read_program(&text).unwrap();
    assert_eq!(program.clamps.len(), 3);
    assert_eq!(twinml_model::text::program_text(&program), text);
    // The rim is lowered while the basin is full: 1.5 m at once, and 750 s later it is dry.
    twinc(&["--out", "r.csv", "--si"]);
    let rows = fs::read_to_string(place.path().join("r.low.csv")).unwrap();
    let at = |t: f64| -> f64 {
        let row = rows.lines().rfind(|l| l.split(',').next().unwrap().parse() == Ok(t)).unwrap();
        row.split(',').nth(2).unwrap().parse().unwrap()
    };
    assert_eq!((at(2940.0), at(3000.0), at(3600.0)), (2.0, 1.5, 1.5));
    assert!((at(4200.0) - 0.3).abs() < 1e-9 && at(4380.0) == 0.0);
}

#[test]
fn else_clamp_of_what_equations_give() {
    // An actuator whose input saturates, an array of them, and a definition.
    let model = "
twin Valve {
  parameters { most: Real = 1 }
  inputs { u: Real = 0 where -0.5 <= self <= most else clamp }
  states { x: Real = 0 }
  equations { der(x) = u/1 s }
}
twin M {
  outputs { w: Real = time/1 s where self <= 2 else clamp }
  twins { one: Valve; many: Valve[3] { most = 1 + i for i } }
  equations { one.u = 2*sin(time*1 rad/s); for i in 0..3 { many[i].u = time/1 s } }
}
scenario run for M { duration: 10 s; solver: dopri5(rtol: 1e-10, atol: 1e-12); record all every 10 ms }
";
    let ran = run(model, &[]);
    assert_eq!(ran.out.status.code(), Some(0), "{}", ran.said());
    let last = |name: &str| ran.summary["final"][name]["value"].as_f64().unwrap();
    let told = |name: &str| ran.ranges().iter().find(|r| r["path"] == name).unwrap();
    assert_eq!(last("w"), 2.0);
    near(&told("w")["time"], 2.0, 1e-9);
    // Above 1 between pi/6 and 5pi/6, below -0.5 where the sine is below -0.25.
    near(&told("one.u")["time"], std::f64::consts::FRAC_PI_6, 1e-9);
    near(&told("one.u")["value"], 1.0, 1e-9);
    let (n, h) = (2_000_000, 10.0 / 2_000_000.0);
    let area: f64 = (0..n).map(|k| (2.0 * ((f64::from(k) + 0.5) * h).sin()).clamp(-0.5, 1.0) * h).sum();
    assert!((last("one.x") - area).abs() < 1e-6, "{} {area}", last("one.x"));
    for i in 0..3 {
        let most = 1.0 + f64::from(i);
        near(&told(&format!("many[{i}].u"))["time"], most, 1e-9);
        assert!((last(&format!("many[{i}].x")) - (0.5 * most * most + most * (10.0 - most))).abs() < 1e-6);
    }
}
