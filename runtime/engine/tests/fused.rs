//! Runge–Kutta steps by kernels of many steps: nothing about the recording changes a bit of the states.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::{Case, Ran, case};
use twinml_engine::run::{Ended, FailureKind};
use twinml_model::ids::VarId;
use twinml_model::program::Record;

const PENDULUM: &str = "flat Pendulum
 var a : state fixed
   value @[0] = 1.0
 var w : state fixed
   value @[0] = 0.0
 eq : der(a) = w
 eq : der(w) = -10.0 * sin(a) - 0.1 * w + 0.2 * cos(3.0 * time)";

/// The same with a comparison that never changes, so that every step is watched.
const WATCHED: &str = "flat Pendulum
 var a : state fixed
   value @[0] = 1.0
 var w : state fixed
   value @[0] = 0.0
 eq : der(a) = w
 eq : der(w) = (if a > 100.0 then 0.0 else -10.0 * sin(a)) - 0.1 * w + 0.2 * cos(3.0 * time)";

fn rk4(text: &str, h: f64, every_ns: i128) -> Case {
    let mut case = case(text, "rk4", 5.0);
    case.experiment.solver.step = Some(h);
    let vars = (0..case.program.schema.vars.len()).map(|v| (VarId::new(v), Vec::new())).collect();
    case.experiment.records = vec![Record { vars, every_as: Some(every_ns * 1_000_000_000) }];
    case
}

fn run(case: &Case) -> Ran {
    let ran = case.run();
    assert!(matches!(ran.report.ended, Ended::Complete), "{:?}", ran.report.ended);
    ran
}

#[test]
fn recording_changes_no_bit() {
    let usual = run(&rk4(PENDULUM, 1e-3, 1_000_000_000));
    let last = usual.rows[0].last().unwrap();
    assert_eq!(last.len(), 4);
    assert_eq!(usual.report.stats.steps, 5000);
    // On every step, between steps, nearly never.
    for every in [1_000_000, 500_000, 2_500_000_000] {
        let other = run(&rk4(PENDULUM, 1e-3, every));
        assert_eq!(other.rows[0].last().unwrap()[2..], last[2..], "every {every} ns");
        assert_eq!(other.report.stats.steps, 5000);
        for row in &usual.rows[0] {
            if let Some(same) = other.rows[0].iter().find(|r| r[0] == row[0]) {
                assert_eq!(same[2..], row[2..], "at {}", row[0]);
            }
        }
    }
}

#[test]
fn it_is_runge_kutta() {
    let fused = run(&rk4(PENDULUM, 1e-3, 50_300_000));
    let watched = run(&rk4(WATCHED, 1e-3, 50_300_000));
    assert_eq!(fused.rows[0].len(), watched.rows[0].len());
    for (a, b) in fused.rows[0].iter().zip(&watched.rows[0]) {
        assert_eq!(a[0], b[0]);
        assert!((a[2] - b[2]).abs() < 1e-12 && (a[3] - b[3]).abs() < 1e-12, "{a:?} {b:?}");
    }
    // Two more evaluations for each row within a step.
    let rows = fused.rows[0].len() as u64;
    assert!(fused.report.stats.rhs <= watched.report.stats.rhs + 2 * rows);
    // Order 4: a step twice as long, sixteen times the error.
    let end = |h: f64| run(&rk4(PENDULUM, h, 5_000_000_000)).rows[0].last().unwrap()[2];
    let exact = end(1e-3);
    let ratio = (end(0.05) - exact) / (end(0.025) - exact);
    assert!((ratio - 16.0).abs() < 2.0, "{ratio}");
}

#[test]
fn a_last_step_is_cut() {
    let mut case = rk4(PENDULUM, 0.3, 1_000_000_000);
    case.experiment.duration = 4.0;
    let ran = run(&case);
    assert_eq!(ran.rows[0].last().unwrap()[0], 4.0);
    assert_eq!(ran.report.stats.steps, 14);
}

#[test]
fn the_step_that_fails_is_found() {
    let text = "flat Burst
     var x : state fixed
       value @[0] = 1.0
     eq : der(x) = x * x";
    let ran = rk4(text, 1e-3, 100_000_000).run();
    let Ended::Failed(failure) = &ran.report.ended else { panic!("{:?}", ran.report.ended) };
    assert!(matches!(failure.kind, FailureKind::Solver(_)), "{failure:?}");
    // The solution 1/(1 - t) has no value from t = 1 on.
    assert!(failure.time > 0.99 && failure.time < 1.1, "{failure:?}");
}
