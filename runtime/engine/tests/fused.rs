//! Runge–Kutta steps by kernels of many steps: nothing about the recording changes a bit of the states.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::{Case, Ran, case};
use twinml_engine::record::{MemoryRecorder, MemoryRows};
use twinml_engine::run::{self, Ended, FailureKind, Flow, Outlet, Prepared};
use twinml_jit::{Compiled, OptLevel, Tier};
use twinml_model::host::KernelId;
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

/// The one file of a case, in memory.
fn outlets(case: &Case) -> (MemoryRows, Vec<Outlet>) {
    let mut plans = run::plans(&case.program, &case.experiment, false).unwrap();
    let plan = plans.remove(0);
    let (recorder, rows) = MemoryRecorder::new(plan.columns().clone());
    (rows, vec![Outlet { plan, recorder: Box::new(recorder) }])
}

/// The same run and how many calls of the solver it took.
fn calls(case: &Case) -> (Vec<Vec<f64>>, u64) {
    let mut machine = Compiled::compile(case.program.clone(), OptLevel::O2).unwrap();
    let (rows, outlets) = outlets(case);
    let mut calls = 0;
    let mut watch = |_| {
        calls += 1;
        Flow::Continue
    };
    let report = run::simulate(&case.program, &mut machine, &case.experiment, outlets, &mut watch).unwrap();
    assert_eq!(report.samples, rows.rows().len() as u64);
    let last = rows.rows().pop();
    assert_eq!(report.last, [last.unwrap()]);
    (rows.rows(), calls)
}

#[test]
fn rows_at_every_step_or_every_few_are_taken_many_at_a_time() {
    // A variable, so that formulas have to be evaluated at each row; without it rows are copies of states.
    let energy = format!(
        "{PENDULUM}\n var e : unknown declared outputs\n eq : e = 0.5 * w * w + 10.0 * (1.0 - cos(a))"
    );
    for text in [PENDULUM, &energy] {
        let each = rk4(text, 1e-3, 1_000_000);
        let (rows, took) = calls(&each);
        assert_eq!(rows.len(), 5001);
        // Nine times 512 steps, twelve times 32, then 8 by themselves; the last of these ends the run.
        assert_eq!(took, 28);
        // A row between two steps makes every step one by itself.
        let mut between = rk4(text, 1e-3, 500_000);
        between.experiment.duration = 5.0;
        let (twice, alone) = calls(&between);
        assert_eq!(alone, 4999);
        let bits = |rows: &[Vec<f64>]| -> Vec<u64> { rows.iter().flatten().map(|v| v.to_bits()).collect() };
        let halves: Vec<Vec<f64>> = twice.into_iter().step_by(2).collect();
        assert_eq!(bits(&rows), bits(&halves));
        for every in [2, 3, 8] {
            let few = rk4(text, 1e-3, every * 1_000_000);
            let (some, took) = calls(&few);
            let thinned: Vec<Vec<f64>> = rows.iter().step_by(every as usize).cloned().collect();
            assert_eq!(bits(&some), bits(&thinned), "every {every} steps");
            assert!(took < 200, "{took}");
        }
    }
}

#[test]
fn rows_before_a_failure_are_those_of_single_steps() {
    let text = "flat Burst
     var x : state fixed
       value @[0] = 1.0
     eq : der(x) = x * x";
    let each = rk4(text, 1e-3, 1_000_000).run();
    // With a second file every step is one by itself.
    let mut single = rk4(text, 1e-3, 1_000_000);
    let second = Record { every_as: Some(1_000_000_000_000_000_000), ..single.experiment.records[0].clone() };
    single.experiment.records.push(second);
    let single = single.run();
    let (Ended::Failed(a), Ended::Failed(b)) = (&each.report.ended, &single.report.ended) else {
        panic!("{:?} {:?}", each.report.ended, single.report.ended)
    };
    assert_eq!((a.time, format!("{:?}", a.kind)), (b.time, format!("{:?}", b.kind)));
    assert_eq!(each.report.stats.steps, single.report.stats.steps);
    assert!(each.rows[0].len() > 1000);
    assert_eq!(each.rows[0], single.rows[0]);
}

#[test]
fn whole_steps_of_solvers_are_machine_code() {
    for method in ["rk4", "taylor", "rosenbrock"] {
        let mut case = rk4(PENDULUM, 1e-3, 1_000_000);
        case.experiment.solver.method = method.into();
        if method != "rk4" {
            case.experiment.solver.step = None;
        }
        let mut machine = Compiled::compile(case.program.clone(), OptLevel::O2).unwrap();
        let prepared = Prepared::new(&case.program, &mut machine, &case.experiment).unwrap();
        // Kernels of many steps are made when they first run: some where every step is recorded, the others where none is.
        for recorded in [true, false] {
            let (_, outlets) = outlets(&case);
            let outlets = if recorded { outlets } else { Vec::new() };
            let mut watch = |_| Flow::Continue;
            let run =
                prepared.run(&case.program, &machine, &case.experiment, None, outlets, None, &mut watch);
            assert!(matches!(run.unwrap().ended, Ended::Complete));
        }
        let kernels = if method == "rk4" { 6 } else { 1 };
        for k in 0..kernels {
            for tier in [Tier::Quick, Tier::Full] {
                machine.prepare(KernelId::Extra(k), tier).unwrap_or_else(|e| panic!("{method} {k}: {e:?}"));
            }
        }
        assert!(machine.prepare(KernelId::Extra(kernels), Tier::Quick).is_err(), "{method}: another kernel");
    }
}
