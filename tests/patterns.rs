//! Patterns of events, as the binary runs them: the instants at which their handlers run are those of `log`.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::fs;
use std::process::Command;

/// Exit code, what was said, and `time twin text` of each message, times in milliseconds.
fn run(model: &str) -> (Option<i32>, String, Vec<String>) {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), model).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
    command.args(["run", "m.twinml", "--out", "out", "--no-plot"]).current_dir(place.path());
    let out = command.output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    let summary = fs::read_to_string(place.path().join("out/summary.json")).unwrap_or_default();
    let summary: Value = serde_json::from_str(&summary).unwrap_or(Value::Null);
    let line = |l: &Value| {
        let ms = (l["time"].as_f64().unwrap() * 1e6).round() / 1e3;
        format!("{ms} {}{}", l["twin"].as_str().unwrap(), l["text"].as_str().unwrap())
    };
    let log = summary["log"].as_array().map_or_else(Vec::new, |l| l.iter().map(line).collect());
    (out.status.code(), said, log)
}

/// A twin that emits `a`, `b`, `c` at these milliseconds, and listens.
fn twin(events: &[(u32, &str)], members: &str, behavior: &str) -> String {
    let emits: String = events.iter().map(|(t, e)| format!("    at {t} ms {{ emit {e} }}\n")).collect();
    format!(
        "twin T {{\n  {members}\n  behavior {{\n{emits}    {behavior}\n    on a {{ }}\n    on b {{ }}\n    on c {{ }}\n  }}\n}}\nscenario s for T {{ duration: 100 ms }}\n"
    )
}

#[track_caller]
fn fires(events: &[(u32, &str)], on: &str, wanted: &[u32]) {
    let (code, said, log) = run(&twin(events, "", &format!("on {on} {{ log \"\" }}")));
    assert_eq!(code, Some(0), "{said}");
    let wanted: Vec<String> = wanted.iter().map(|t| format!("{t} ")).collect();
    assert_eq!(log, wanted, "{on}");
}

#[test]
fn sequences_have_their_order_and_their_times() {
    let events =
        [(1, "a"), (4, "b"), (10, "b"), (20, "a"), (26, "b"), (30, "a"), (31, "a"), (36, "b"), (37, "c")];
    // 20 → 26 is too long; of 30 and 31 the last is near enough; ends count.
    fires(&events, "sequence(a, b within 5 ms)", &[4, 36]);
    fires(&events, "sequence(a, b)", &[4, 26, 36]);
    fires(&events, "sequence(b, a within 10 ms, b within 5 ms)", &[36]);
    fires(&events, "sequence(a, b within 5 ms, c within 1 ms)", &[37]);
    fires(&events, "sequence(a, a within 1 ms)", &[31]);
}

#[test]
fn all_any_and_count() {
    let events =
        [(1, "b"), (5, "a"), (6, "c"), (20, "c"), (21, "b"), (40, "a"), (41, "a"), (42, "b"), (43, "a")];
    fires(&events, "all(a, b, c within 5 ms)", &[6]);
    fires(&events, "all(a, b)", &[5, 40, 42]);
    fires(&events, "any(b, c)", &[1, 6, 20, 21, 42]);
    fires(&events, "count(a, 3 within 3 ms)", &[43]);
    fires(&events, "count(a, 2 within 1 ms)", &[41]);
    fires(&events, "count(a, 2)", &[40, 43]);
}

#[test]
fn an_absence_is_said_once_and_begins_with_the_next_event() {
    // 10 ms after the start; in time at 30; missing from 35 on, again after 70.
    let events = [(15, "a"), (25, "a"), (35, "a"), (70, "a"), (80, "a")];
    fires(&events, "absence(a within 10 ms)", &[10, 45, 90]);
    fires(&events, "absence(b within 1 s)", &[]);
}

#[test]
fn causes_reach_over_events_waits_timers_and_connections() {
    let model = "
twin Valve { behavior { on open { wait 2 ms
      emit moved } } }
twin Control { behavior { on alarm { after 1 ms { emit shut } } } }
twin T {
  twins { v: Valve[2]; c: Control }
  connections { c.shut -> v[1].open }
  behavior {
    at 10 ms { emit fault }
    on fault { emit c_alarm }
    at 50 ms { emit other }
    on causal(fault -> v[1].moved within 5 ms) { log \"in time\" }
    on causal(fault -> v[1].moved within 2 ms) { log \"too late\" }
    on causal(other -> v.moved within 1 s) { log \"no cause\" }
    on other { }
    on v.moved { log \"moved\" }
  }
  connections { c_alarm -> c.alarm }
}
scenario s for T { duration: 100 ms }
";
    let (code, said, log) = run(model);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(log, ["13 in time", "13 moved"]);
}

#[test]
fn a_pattern_in_a_state_listens_while_the_state_is_active() {
    let on = "machine m {
      initial idle
      state idle { on c -> busy }
      state busy {
        on sequence(a, b within 20 ms) -> idle { log \"both\" }
        on absence(a within 30 ms) { log \"silence\" }
      }
    }";
    // The `a` at 1 came before the state; that at 12 is followed in time. Entered again at 40: silent until 70.
    let events = [(1, "a"), (5, "c"), (6, "b"), (12, "a"), (20, "b"), (40, "c"), (90, "c")];
    let (code, said, log) = run(&twin(&events, "", on));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(log, ["20 both", "70 silence"]);
}

#[test]
fn windows_may_be_formulas_and_children_are_heard_one_by_one() {
    let model = "
twin Pump {
  parameters { first: Time = 10 ms }
  behavior {
    at first { emit trip }
    after first { emit trip }
  }
}
twin T {
  parameters { patience: Time = 5 ms; n: Int = 3 }
  twins { pumps: Pump[3] { first = 10 ms * (i + 1) for i } }
  behavior {
    on count(pumps.trip, 2 within 3 * patience) { log \"two\" }
    on sequence(pumps[0].trip, pumps[2].trip within 4 * patience) { log \"first and last\" }
    on count(pumps.trip, n) { log \"three\" }
  }
}
scenario s for T { duration: 100 ms }
";
    let (code, said, log) = run(&model.replace("    after first { emit trip }\n", ""));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(log, ["20 two", "30 first and last", "30 three"]);
}

#[test]
fn ten_thousand_patterns_hold_no_more_than_they_need() {
    let model = "
twin Cell {
  states { n: Int = 0 }
  behavior {
    every 1 ms { emit beat }
    on count(beat, 3 within 10 ms) { n = n + 1 }
    on sequence(beat, beat within 1 ms) { n = n + 100 }
  }
}
twin T { twins { cells: Cell[1000] } outputs { all: Real = sum(cells.n) } }
scenario s for T { duration: 29 ms; record all every 29 ms }
";
    let (code, said, _) = run(model);
    assert_eq!(code, Some(0), "{said}");
}

/// A truck at `10 t` by 3 m, a turntable at the unit circle; distances and boxes have instants in closed form.
#[test]
fn places_come_near_and_inside() {
    let model = "twin Truck {
  states { position: Vector[2] of Length = [0 m, 3 m] }
  equations { der(position[0]) = 10 m/s; der(position[1]) = 0 m/s }
}
twin Yard {
  parameters { depot: Vector[2] of Length = [100 m, 0 m] }
  twins { truck: Truck; other: Truck }
  variables { hand: Vector[2] of Length }
  equations { hand[0] = cos(time*1 [rad/s])*1 m; hand[1] = sin(time*1 [rad/s])*1 m }
  behavior {
    on near(truck, depot, 5 m) { log \"near\" }
    on inside(truck, [20 m, 0 m], [40 m, 10 m]) { log \"box\" }
    on inside(truck.position, depot, 5 m) { log \"circle\" }
    on near(truck, other, 1 m) { log \"never: together from the start\" }
    on near(hand, [0 m, 1 m], 1 m) { log \"hand\" }
    on rising(norm(truck.position - depot) < 5 m) { log \"written out\" }
  }
}
scenario s for Yard { duration: 11 s; solver: tsit5(rtol: 1e-10, atol: 1e-12) }
";
    let (code, said, log) = run(model);
    assert_eq!(code, Some(0), "{said}");
    // The hand is 1 m from the top of its circle at pi/6, and again a turn later; the truck is at 96 m at 9.6 s.
    let turn = |k: f64| ((std::f64::consts::FRAC_PI_6 + k * std::f64::consts::TAU) * 1e6).round() / 1e3;
    let wanted = [
        format!("{} hand", turn(0.0)),
        "2000 box".to_owned(),
        format!("{} hand", turn(1.0)),
        "9600 near".to_owned(),
        "9600 circle".to_owned(),
        "9600 written out".to_owned(),
    ];
    assert_eq!(log, wanted);
}

#[test]
fn places_that_are_none_are_refused_with_their_line() {
    let model = "twin Truck { states { x: Length = 0 m } equations { der(x) = 1 m/s } }
twin Yard {
  parameters { depot: Vector[2] of Length = [100 m, 0 m] }
  twins { a: Truck }
  behavior {
    on near(a, depot, 5 m) { }
    on near(a.x, depot, 5 m) { }
    on near(depot, depot, 5 s) { }
    on inside(depot, depot) { }
  }
}
";
    let (code, said, _) = run(model);
    assert_eq!(code, Some(2), "{said}");
    for wanted in ["m.twinml:6:13", "m.twinml:7:13", "m.twinml:8:27", "m.twinml:9:15"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(
        said.contains("E0304") && said.contains("E0405") && said.contains("E0502") && said.contains("E0402")
    );
}
