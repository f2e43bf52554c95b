//! Derivatives made when a solver asks for them, kernels simplified when they are compiled: no bit differs from a
//! program that is prepared whole before its run.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use support::{Case, case};
use twinml_engine::run::{self, MachineKind};
use twinml_jit::{Compiled, OptLevel, Tier};
use twinml_model::host::KernelId;
use twinml_model::passes::{self, Level, later};

/// A stiff oscillator with a comparison and with a loop that is solved for.
const MODEL: &str = "flat Stiff
 var x : state fixed
   value @[0] = 2.0
 var v : state fixed
   value @[0] = 0.0
 var z : unknown
   guess @[0] = 1.0
 eq : der(x) = v
 eq : der(v) = 50.0 * (1.0 - x * x) * v - x + 0.01 * z * sin(3.0 * time)
 eq : z * z * z + z = x + 2.0";

const PLAIN: &str = "flat Stiff
 var x : state fixed
   value @[0] = 2.0
 var v : state fixed
   value @[0] = 0.0
 eq : der(x) = v
 eq : der(v) = (if x > 0.5 then 60.0 else 50.0) * (1.0 - x ^ 2.0) * v - x + 0.01 * sin(3.0 * time)";

fn bits(rows: &[Vec<Vec<f64>>]) -> Vec<u64> {
    rows.iter().flatten().flatten().map(|v| v.to_bits()).collect()
}

/// As long as this `auto` goes on with code for whole steps of Rosenbrock; the other with a Taylor method.
const LONG: [(&str, f64); 2] = [
    (
        "flat Relaxation
 var x : state fixed
   value @[0] = 2.0
 var v : state fixed
   value @[0] = 0.0
 eq : der(x) = v
 eq : der(v) = 100.0 * (1.0 - x * x) * v - x",
        4000.0,
    ),
    (
        "flat Swing
 var x : state fixed
   value @[0] = 1.0
 var v : state fixed
   value @[0] = 0.0
 eq : der(x) = v
 eq : der(v) = 0.2 * cos(1.3 * time) - x * (1.0 + 0.1 * x * x)",
        600.0,
    ),
];

fn compare(text: &str, method: &str) {
    compare_for(text, method, 40.0);
}

fn compare_for(text: &str, method: &str, duration: f64) {
    let unprepared = case(text, method, duration);
    let mut whole = (*unprepared.program).clone();
    passes::prepare(&mut whole, Level::O2, true);
    let whole = Case { program: Arc::new(whole), experiment: unprepared.experiment.clone() };
    let expected = whole.run();
    assert!(expected.report.stats.steps > 10, "{:?}", expected.report.stats);
    for (kind, level) in [
        (MachineKind::Interpreter, Level::O2),
        (MachineKind::Jit(0), Level::O0),
        (MachineKind::Jit(2), Level::O2),
        (MachineKind::Jit(3), Level::O3),
    ] {
        let mut program = (*unprepared.program).clone();
        let later = later::begin(&mut program, level);
        assert!(program.jvp.is_none() && program.jacobian.is_none());
        let program = Arc::new(program);
        let lazy = Case { program: program.clone(), experiment: unprepared.experiment.clone() };
        let mut machine = run::lazy_machine(&program, later, kind);
        let first = lazy.run_on(&mut *machine);
        assert_eq!(bits(&first.rows), bits(&expected.rows), "{method} on {kind:?}");
        assert_eq!(first.report.stats.steps, expected.report.stats.steps);
        // The same machine again, with a memory that has no room for derivatives yet.
        let second = lazy.run_on(&mut *machine);
        assert_eq!(bits(&second.rows), bits(&expected.rows), "{method} on {kind:?}, again");
    }
}

#[test]
fn late_derivatives_change_no_bit() {
    for method in ["auto", "bdf", "rosenbrock", "tsit5"] {
        compare(PLAIN, method);
    }
}

#[test]
fn nor_where_blocks_are_solved() {
    for method in ["auto", "bdf", "rosenbrock"] {
        compare(MODEL, method);
    }
}

#[test]
fn nor_does_code_for_whole_steps_that_auto_asks_for_on_the_way() {
    for (text, duration) in LONG {
        compare_for(text, "auto", duration);
    }
}

/// `auto` keeps places for the code of a series and of a Rosenbrock step.
#[test]
fn what_auto_does_not_ask_for_is_not_made() {
    for (k, (text, duration)) in LONG.into_iter().enumerate() {
        let own = 1 - k as u32;
        for (duration, made) in [(duration, true), (0.01 * duration, false)] {
            let case = case(text, "auto", duration);
            let mut machine = Compiled::compile(case.program.clone(), OptLevel::O2).unwrap();
            case.run_on(&mut machine);
            let there = |n| machine.prepare(KernelId::Extra(n), Tier::Quick).is_ok();
            assert_eq!((there(own), there(1 - own)), (made, false), "{text} for {duration} s");
        }
    }
}
