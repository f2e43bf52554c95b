//! Small models of events, each with what it must come to: crossings close together and far apart, jumps over and onto
//! thresholds, timers and waits that must not drift, machines that are left and entered again in an instant, patterns
//! at the edges of their windows, states held at limits. `tests/hybrid/problems.txt` holds them, with the values at the
//! end behind `//=` (relative to 1 or to their size within 2e-9, or as said in parentheses); every adaptive solver of
//! order three and more runs each.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hybrid/harness.rs"]
mod harness;

use harness::{ADAPTIVE, Model, Ran};
use twinml_engine::run::{Ended, FailureKind};

/// Problems in which the argument of a root reaches 0.
const ROOTS: [&str; 2] = [
    "a basin that runs dry, whose outflow has no value below its floor",
    "dry, filled again, and dry for the second time",
];

/// A value at the end, and how far off it may be.
struct Want {
    name: String,
    value: f64,
    within: f64,
}

fn want(text: &str) -> Want {
    let (name, rest) = text.split_once(" = ").unwrap();
    let (value, within) = match rest.trim().split_once(" (") {
        Some((value, within)) => (value, within.trim_end_matches(')').parse().unwrap()),
        None => (rest.trim(), 2e-9),
    };
    let value: f64 = value.parse().unwrap();
    Want { name: name.trim().to_owned(), value, within: within * value.abs().max(1.0) }
}

/// What does not hold of a run.
fn wrong(ran: &Ran, wants: &[Want]) -> Vec<String> {
    if !matches!(ran.report.ended, Ended::Complete | Ended::Halted(_)) {
        return vec![format!("{:?}", ran.report.ended)];
    }
    let last = |w: &Want| *ran.column(&w.name).last().unwrap();
    let off = |w: &&Want| (last(w) - w.value).abs() > w.within || last(w).is_nan();
    wants.iter().filter(off).map(|w| format!("{} = {:?}, not {:?}", w.name, last(w), w.value)).collect()
}

#[test]
fn every_problem_comes_to_its_answer_with_every_solver() {
    let all = include_str!("hybrid/problems.txt");
    let (mut problems, mut failures) = (0, Vec::new());
    for problem in all.split("//# ").skip(1) {
        let (name, rest) = problem.split_once('\n').unwrap();
        let (wants, text) = rest.strip_prefix("//= ").unwrap().split_once('\n').unwrap();
        let wants: Vec<Want> = wants.split(", ").map(want).collect();
        let model = Model::text(text);
        problems += 1;
        // Where nothing is integrated, or very much happens, one solver stands for all.
        let solvers = if text.contains("der(") { &ADAPTIVE[..] } else { &ADAPTIVE[..1] };
        for solver in solvers {
            // Where a root vanishes a solution has no series, and a method that lives by it has to stop.
            if *solver == "taylor" && ROOTS.contains(&name) {
                let ran = model.with(solver, 1e-10, 1e-12);
                let failure = ran.failure();
                assert!(matches!(failure.kind, FailureKind::Solver(_)), "{name}: {failure}");
                continue;
            }
            let found = wrong(&model.with(solver, 1e-10, 1e-12), &wants);
            if !found.is_empty() {
                failures.push(format!("{name}, {solver}: {}", found.join("; ")));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(problems > 85, "{problems}");
}
