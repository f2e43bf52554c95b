//! `auto` beside every single solver, on the problems of `tests/accuracy`: at equal error it may take at most 1.5
//! times as long as the best of them, where that takes a millisecond or more.
//!
//! `cargo bench -p twinc --bench auto [-- --verbose] [PROBLEM…]` prints, for each problem: what `auto` takes at rtol 1e-8, its error,
//! and of the single solvers the fastest whose error is not larger, at any tolerance from 1e-6 to 1e-12 (half decades).
//! CPU times, each the least of several runs of the solver alone, in one process, with nothing recorded but the end.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench")]

use cpu_time::ThreadTime;
use serde_json::Value;
use std::path::Path;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::record::MemoryRecorder;
use twinml_engine::run::{self, Ended, Flow, MachineKind, Outlet};
use twinml_model::passes::{self, Level};
use twinml_model::program::{Experiment, Program};

/// Solvers beside `auto`.
const SINGLE: [&str; 6] = ["tsit5", "dopri5", "adams", "taylor", "rosenbrock", "bdf"];
/// Runs of each, after one that is not timed: so many at least, and more while they take less than this, in seconds.
const ROUNDS: (usize, usize, f64) = (4, 40, 0.02);
/// A run that takes longer than this many times the best so far is not repeated, nor tried at tighter tolerances.
const HOPELESS: f64 = 20.0;

struct Problem {
    program: Program,
    experiment: Experiment,
    values: Vec<(String, f64)>,
    atol: f64,
}

/// Seconds and relative error; `None` where the solver fails.
fn measure(p: &Problem, solver: &str, rtol: f64, patience: f64) -> Option<(f64, f64)> {
    let mut experiment = p.experiment.clone();
    experiment.solver.method = solver.to_owned();
    experiment.solver.rtol = Some(rtol);
    experiment.solver.atol = Some(p.atol * rtol / 1e-8);
    experiment.records.clear();
    let mut machine = run::machine(&p.program, MachineKind::Jit(2));
    let plans = run::plans(&p.program, &experiment, false).ok()?;
    let (mut best, mut error) = (f64::INFINITY, f64::NAN);
    let mut total = 0.0;
    for round in 0..=ROUNDS.1 {
        let plan = plans.first()?.clone();
        let names: Vec<String> = plan.columns().specs().iter().map(|c| c.name.clone()).collect();
        let (recorder, rows) = MemoryRecorder::new(plan.columns().clone());
        let outlets =
            if round == 0 { vec![Outlet { plan, recorder: Box::new(recorder) }] } else { Vec::new() };
        let begin = ThreadTime::now();
        let report = run::simulate(&p.program, &mut *machine, &experiment, outlets, &mut |_| match round {
            0 if begin.elapsed().as_secs_f64() > patience => Flow::Stop,
            _ => Flow::Continue,
        });
        let took = begin.elapsed().as_secs_f64();
        if !matches!(report.ok()?.ended, Ended::Complete) {
            return None;
        }
        if round == 0 {
            let last = rows.rows().last()?.clone();
            let worst = p.values.iter().map(|(name, want)| {
                let at = names.iter().position(|n| n == name);
                let have = at.and_then(|k| last.get(k)).copied().unwrap_or(f64::NAN);
                let scale = want.abs().max(p.atol / 1e-8 * 1e-4);
                (have - want).abs() / scale
            });
            error = worst.fold(0.0, f64::max);
        } else {
            best = best.min(took);
            total += took;
        }
        if (took > 0.3 && round > 0) || (round >= ROUNDS.0 && total > ROUNDS.2) {
            break;
        }
    }
    Some((best, error))
}

fn main() {
    let verbose = std::env::args().any(|a| a == "--verbose");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/accuracy");
    let references = std::fs::read_to_string(root.join("references.json")).unwrap();
    let references: Value = serde_json::from_str(&references).unwrap();
    println!(
        "{:16} {:>10} {:>9}   {:10} {:>8} {:>10} {:>9} {:>6}",
        "problem", "auto ms", "error", "best", "rtol", "ms", "error", "ratio"
    );
    for (name, spec) in references.as_object().unwrap() {
        if !wanted.is_empty() && !wanted.contains(name) {
            continue;
        }
        let Some(problem) = open(&root, name, spec) else {
            eprintln!("{name}: does not compile");
            continue;
        };
        let Some((auto, auto_error)) = measure(&problem, "auto", 1e-8, 60.0) else {
            println!("{name:16} fails");
            continue;
        };
        let mut best: Option<(&str, f64, f64, f64)> = None;
        for solver in SINGLE {
            for step in 0..13 {
                let rtol = 10f64.powf(-6.0 - 0.5 * f64::from(step));
                let patience = HOPELESS * best.map_or(auto, |b| b.2).max(2e-3);
                let Some((time, error)) = measure(&problem, solver, rtol, patience) else {
                    if step > 4 { break } else { continue }
                };
                if verbose {
                    eprintln!("  {name} {solver} {rtol:.0e}: {:.3} ms, {error:.1e}", time * 1e3);
                }
                if error <= auto_error && best.is_none_or(|b| time < b.2) {
                    best = Some((solver, rtol, time, error));
                }
                if error <= auto_error {
                    break;
                }
            }
        }
        let Some((solver, rtol, time, error)) = best else {
            println!("{name:16} {:10.3} {auto_error:9.1e}   nothing else reaches this", auto * 1e3);
            continue;
        };
        let ratio = auto / time;
        let over = if ratio > 1.5 && time >= 1e-3 { " <" } else { "" };
        println!(
            "{name:16} {:10.3} {auto_error:9.1e}   {solver:10} {rtol:8.0e} {:10.3} {error:9.1e} {ratio:6.2}{over}",
            auto * 1e3,
            time * 1e3
        );
    }
}

fn open(root: &Path, name: &str, spec: &Value) -> Option<Problem> {
    for file in [
        "detest.twinml",
        "celestial.twinml",
        "stiff.twinml",
        "further.twinml",
        "stiff_detest.twinml",
        "emep.twinml",
        "more_stiff.twinml",
    ] {
        let path = root.join(file);
        let text = std::fs::read_to_string(&path).ok()?;
        if !text.contains(&format!("scenario {name} ")) {
            continue;
        }
        let mut session = Session::check(file, &text, &MemoryLoader::default());
        let choice = Choice { scenario: Some(name), ..Choice::default() };
        let compiled = session.compile(choice, &mut NoData)?;
        let mut program = compiled.program;
        passes::prepare(&mut program, Level::O2, true);
        let values = spec["values"].as_object()?;
        let values = values.iter().map(|(n, v)| (n.clone(), v.as_f64().unwrap_or(f64::NAN))).collect();
        return Some(Problem {
            program,
            experiment: compiled.experiment,
            values,
            atol: spec["atol"].as_f64()?,
        });
    }
    None
}
