//! Events: when, how many, and what they leave alone.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::{Case, case};
use twinml_engine::record::{Columns, MemoryRecorder, MemoryRows, RecordError, Recorder};
use twinml_engine::run::{self, Ended, FailureKind, Flow};
use twinml_model::interp::Interpreter;

/// The adaptive methods of order three and more.
const ADAPTIVE: [&str; 7] = ["tsit5", "dopri5", "adams", "rosenbrock", "bdf", "esdirk", "auto"];

/// The times of the events: those of rows after an event.
fn event_times(case: &Case) -> Vec<f64> {
    case.rows().iter().filter(|r| r[1] > 0.0).map(|r| r[0]).collect()
}

fn same(method: &str, times: &[f64], exact: &[f64], relative: f64) {
    assert_eq!(times.len(), exact.len(), "{method}: {times:?}");
    for (t, exact) in times.iter().zip(exact) {
        let error = (t - exact).abs() / exact;
        assert!(error <= relative, "{method}: {t} for {exact}, off by {error:e}");
    }
}

/// A relay that drives a mass to and fro: parabolas that meet zero every two seconds.
#[test]
fn a_relay_switches_at_the_exact_instants() {
    for method in ADAPTIVE {
        let relay = case(
            "flat Relay
             var x : state fixed
               value @[0] = 0.0
             var v : state fixed
               value @[0] = 1.0
             eq : der(x) = v
             eq : der(v) = if x > 0.0 then -1.0 else 1.0",
            method,
            19.0,
        )
        .tolerances(1e-10, 1e-12);
        let exact: Vec<f64> = (1..10).map(|k| 2.0 * f64::from(k)).collect();
        same(method, &event_times(&relay), &exact, 1e-9);
    }
}

/// A half-wave rectifier: the diode conducts where the source is positive, every half second.
#[test]
fn a_rectifier_commutates_at_the_zeros_of_its_source() {
    for method in ADAPTIVE {
        let rectifier = case(
            "flat Rectifier
             var s : state fixed
               value @[0] = 0.0
             var c : state fixed
               value @[0] = 1.0
             var q : state fixed
               value @[0] = 0.0
             eq : der(s) = 6.283185307179586 * c
             eq : der(c) = -6.283185307179586 * s
             eq : der(q) = if s > 0.0 then s else 0.0",
            method,
            2.2,
        )
        .tolerances(1e-10, 1e-12);
        same(method, &event_times(&rectifier), &[0.5, 1.0, 1.5, 2.0], 1e-9);
    }
}

/// Comparisons of a state and of time, three within one step of a slow state, none lost and in order.
#[test]
fn several_crossings_of_one_step_come_in_order() {
    for method in ADAPTIVE {
        let steps = case(
            "flat Steps
             var x : state fixed
               value @[0] = 0.0
             var y : state fixed
               value @[0] = 0.0
             eq : der(x) = 1.0
             eq : der(y) = (if x > 0.301 then 1.0 else 0.0) + (if x > 0.302 then 1.0 else 0.0) + (if time > 0.303 then 1.0 else 0.0)",
            method,
            1.0,
        )
        .tolerances(1e-10, 1e-12);
        same(method, &event_times(&steps), &[0.301, 0.302, 0.303], 1e-9);
        let y = steps.rows().last().unwrap()[3];
        assert!((y - (0.699 + 0.698 + 0.697)).abs() < 1e-8, "{method}: {y}");
    }
}

/// Exactly on the surface at the start: where the state is heading decides, and no event follows.
#[test]
fn a_start_on_the_surface_takes_its_right_limit() {
    for method in ADAPTIVE {
        for (comparison, slope, end) in
            [("x > 0.0", 1.0, 2.0), ("x >= 0.0", -1.0, -1.0), ("x < 0.0", -1.0, -2.0)]
        {
            let text = format!(
                "flat Edge
                 var x : state fixed
                   value @[0] = 0.0
                 eq : der(x) = {slope:?} * (if {comparison} then 2.0 else 1.0)"
            );
            let ran = case(&text, method, 1.0).tolerances(1e-10, 1e-12).run();
            assert_eq!(ran.report.events, 0, "{method} {comparison}");
            let x = ran.rows[0].last().unwrap()[2];
            assert!((x - end).abs() < 1e-9, "{method} {comparison}: {x}");
        }
    }
}

/// What no equation of a state reads does not disturb the integration.
#[test]
fn an_event_beside_the_states_leaves_the_steps_alone() {
    let with = |relation: &str| {
        let text = format!(
            "flat Beside
             var s : state fixed
               value @[0] = 0.0
             var c : state fixed
               value @[0] = 1.0
             var y : unknown declared outputs
             eq : der(s) = c
             eq : der(c) = -s
             eq : y = {relation}"
        );
        case(&text, "tsit5", 20.0).run()
    };
    let (plain, watched) = (with("1.0"), with("if s > 0.3 then 1.0 else 0.0"));
    assert_eq!(watched.report.events, 7, "sin t meets 0.3 seven times before t = 20");
    assert_eq!(plain.report.stats.steps, watched.report.stats.steps);
    assert_eq!(watched.report.stats.restarts, plain.report.stats.restarts);
    let (a, b) = (plain.rows[0].last().unwrap(), watched.rows[0].last().unwrap());
    assert_eq!((a[2].to_bits(), a[3].to_bits()), (b[2].to_bits(), b[3].to_bits()));
}

/// Chattering ends soon, at its instant, and leaves few rows.
#[test]
fn chattering_is_noticed_before_it_fills_the_result() {
    let chatter = case(
        "flat Chatter
         var x : state fixed
           value @[0] = 0.5
         eq : der(x) = if x > 0.0 then -1.0 else 1.0",
        "tsit5",
        2.0,
    );
    let ran = chatter.run();
    let Ended::Failed(failure) = ran.report.ended else { panic!() };
    assert!(matches!(failure.kind, FailureKind::Zeno { .. }), "{failure}");
    assert!((failure.time - 0.5).abs() < 1e-9, "{failure}");
    assert!(ran.report.events <= 1000, "{}", ran.report.events);
}

/// The log has a row for everything that changed, with what was before and after, and exists only with an event.
#[test]
fn the_log_tells_what_changed() {
    let logged = |text: &str| {
        let case = case(text, "tsit5", 4.0);
        let mut machine = Interpreter::new(&case.program);
        let mut opened: Option<(Columns, MemoryRows)> = None;
        let open = |columns: Columns| -> Result<Box<dyn Recorder>, RecordError> {
            let (recorder, rows) = MemoryRecorder::new(columns.clone());
            opened = Some((columns, rows));
            Ok(Box::new(recorder))
        };
        let mut watch = |_| Flow::Continue;
        let report = run::simulate_logged(
            &case.program,
            &mut machine,
            &case.experiment,
            Vec::new(),
            Some(Box::new(open)),
            &mut watch,
        )
        .unwrap();
        (report.log, opened)
    };
    let (log, opened) = logged(
        "flat Ramp
         var x : state fixed
           value @[0] = 0.0
         eq : der(x) = if time >= 1.0 and time < 2.5 then 2.0 else 0.0",
    );
    let (columns, rows) = opened.unwrap();
    let names: Vec<&str> = columns.specs().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["time", "step", "path", "event", "kind", "pre", "post"]);
    let rows = rows.rows();
    assert_eq!(log.unwrap().rows, 2);
    let facts: Vec<[f64; 5]> = rows.iter().map(|r| [r[0], r[1], r[4], r[5], r[6]]).collect();
    assert_eq!(facts, [[1.0, 1.0, 0.0, 0.0, 1.0], [2.5, 1.0, 0.0, 1.0, 0.0]]);
    assert_ne!(rows[0][3], rows[1][3], "two comparisons");
    let (none, never) = logged(
        "flat Quiet
         var x : state fixed
           value @[0] = 1.0
         eq : der(x) = -x",
    );
    assert!(none.is_none() && never.is_none());
}
