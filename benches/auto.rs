//! `auto` beside every single solver, on the problems of `tests/accuracy` and some more (`auto/further.twinml`): at equal error it may
//! take at most 1.5 times as long as the best of them, where that takes a millisecond or more.
//!
//! `cargo bench -p twinc --bench auto [-- --verbose] [--alone] [--rtol=1e-6] [--file=PATH] [PROBLEM…]` prints, for each problem: what `auto` takes at rtol 1e-8 (or
//! the one given), its error, and of the single solvers the fastest whose error is not larger, at any tolerance from 1e-6 to 1e-12 (half decades).
//! CPU times, each the least of several runs of the solver alone, in one process, with nothing recorded but the end. `--alone`: `auto` only, and
//! what it counted; for that before and after a change. `--file=PATH`: the scenarios of that file instead.
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
use twinml_solvers::stats::Stats;

/// Solvers beside `auto`.
const SINGLE: [&str; 6] = ["tsit5", "dopri5", "adams", "taylor", "rosenbrock", "bdf"];
/// Runs of each, after one that is not timed: so many at least, and more while they take less than this, in seconds.
const ROUNDS: (usize, usize, f64) = (4, 40, 0.02);
/// A run that takes longer than this many times the best so far is not repeated, nor tried at tighter tolerances.
const HOPELESS: f64 = 20.0;

/// A pair of these that agrees best gives the reference where there is none. They differ in kind.
const TIGHT: [(&str, f64); 5] =
    [("tsit5", 1e-13), ("taylor", 1e-13), ("adams", 1e-13), ("rosenbrock", 1e-12), ("bdf", 1e-13)];
/// Seconds for each of them.
const REFERENCE: f64 = 8.0;

struct Problem {
    program: Program,
    experiment: Experiment,
    values: Vec<(String, f64)>,
    atol: f64,
}

/// What runs of a solver took.
struct Taken {
    seconds: f64,
    /// The end: names and values.
    end: Vec<(String, f64)>,
    stats: Stats,
    choice: String,
}

impl Problem {
    /// The largest relative error at the end.
    fn error(&self, end: &[(String, f64)]) -> f64 {
        let worst = self.values.iter().map(|(name, want)| {
            let have = end.iter().find(|(n, _)| n == name).map_or(f64::NAN, |x| x.1);
            let error = (have - want).abs() / want.abs().max(self.atol / 1e-8 * 1e-4);
            if error.is_nan() { f64::INFINITY } else { error }
        });
        worst.fold(0.0, f64::max)
    }

    /// Takes the end of that of two tight runs that agree best for the truth, and tells how well they do.
    fn refer(&mut self) -> f64 {
        let ends: Vec<_> = TIGHT
            .iter()
            .filter_map(|&(solver, rtol)| measure(self, solver, rtol, REFERENCE, 0))
            .map(|taken| taken.end)
            .collect();
        let mut best = f64::INFINITY;
        for (k, a) in ends.iter().enumerate() {
            for b in &ends[..k] {
                let before = std::mem::replace(&mut self.values, b.clone());
                let apart = self.error(a);
                if apart < best { best = apart } else { self.values = before }
            }
        }
        best
    }
}

/// `None` where the solver fails.
fn measure(p: &Problem, solver: &str, rtol: f64, patience: f64, rounds: usize) -> Option<Taken> {
    let mut experiment = p.experiment.clone();
    experiment.solver.method = solver.to_owned();
    experiment.solver.rtol = Some(rtol);
    experiment.solver.atol = Some(p.atol * rtol / 1e-8);
    experiment.records.clear();
    let mut machine = run::machine(&p.program, MachineKind::Jit(2));
    let plans = run::plans(&p.program, &experiment, false).ok()?;
    let mut taken =
        Taken { seconds: f64::INFINITY, end: Vec::new(), stats: Stats::default(), choice: String::new() };
    let mut total = 0.0;
    for round in 0..=rounds {
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
        let report = report.ok()?;
        if !matches!(report.ended, Ended::Complete) {
            return None;
        }
        if round == 0 {
            taken.end = names.into_iter().zip(rows.rows().last()?.clone()).collect();
            taken.stats = report.stats;
            taken.choice =
                format!("{} after {} changes", report.choice.method.name(), report.choice.switches);
        } else {
            taken.seconds = taken.seconds.min(took);
            total += took;
        }
        if (took > 0.3 && round > 0) || (round >= ROUNDS.0 && total > ROUNDS.2) {
            break;
        }
    }
    Some(taken)
}

/// The best of the single solvers whose error is at most `error`: its name, rtol, seconds, error.
fn best_single(
    name: &str,
    p: &Problem,
    (auto, error): (f64, f64),
    verbose: bool,
) -> Option<(&'static str, f64, f64, f64)> {
    let mut best: Option<(&str, f64, f64, f64)> = None;
    for solver in SINGLE {
        for step in 0..13 {
            let rtol = 10f64.powf(-6.0 - 0.5 * f64::from(step));
            let patience = HOPELESS * best.map_or(auto, |b| b.2).max(2e-3);
            let Some(taken) = measure(p, solver, rtol, patience, ROUNDS.1) else {
                if step > 4 { break } else { continue }
            };
            let (time, its_error) = (taken.seconds, p.error(&taken.end));
            if verbose {
                eprintln!(
                    "  {name} {solver} {rtol:.0e}: {:.3} ms, {its_error:.1e}, {}",
                    time * 1e3,
                    told(&taken)
                );
            }
            if its_error <= error && best.is_none_or(|b| time < b.2) {
                best = Some((solver, rtol, time, its_error));
            }
            if its_error <= error {
                break;
            }
        }
    }
    best
}

/// What was counted.
fn told(taken: &Taken) -> String {
    let s = &taken.stats;
    format!(
        "{}: {} steps, {} rejected, {} evaluations, {} Jacobians, {} factorizations, {} solves",
        taken.choice, s.steps, s.rejected, s.rhs, s.jac, s.factorizations, s.solves
    )
}

fn main() {
    let verbose = std::env::args().any(|a| a == "--verbose");
    let alone = std::env::args().any(|a| a == "--alone");
    let rtol = std::env::args().find_map(|a| a.strip_prefix("--rtol=").map(|r| r.parse::<f64>().unwrap()));
    let rtol = rtol.unwrap_or(1e-8);
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("tests/accuracy");
    let references = std::fs::read_to_string(root.join("references.json")).unwrap();
    let references: Value = serde_json::from_str(&references).unwrap();
    let other = std::env::args().find_map(|a| a.strip_prefix("--file=").map(str::to_owned));
    let further = other.as_ref().map_or_else(|| here.join("benches/auto/further.twinml"), Into::into);
    let further = std::fs::read_to_string(further).unwrap();
    let names = further.lines().filter_map(|l| l.strip_prefix("scenario ")?.split(' ').next());
    let all = references.as_object().unwrap().iter().map(|(name, spec)| (name.as_str(), Some(spec)));
    let all = all.filter(|_| other.is_none());
    println!(
        "{:18} {:>10} {:>9}   {:10} {:>8} {:>10} {:>9} {:>6}",
        "problem", "auto ms", "error", "best", "rtol", "ms", "error", "ratio"
    );
    for (name, spec) in all.chain(names.map(|n| (n, None))) {
        if !wanted.is_empty() && !wanted.iter().any(|w| w == name) {
            continue;
        }
        let opened = match spec {
            Some(spec) => open(&root, name, spec),
            None => compile("further.twinml", &further, name, Vec::new(), None),
        };
        let Some(mut problem) = opened else {
            eprintln!("{name}: does not compile");
            continue;
        };
        let sure = if spec.is_none() && !alone { problem.refer() } else { 0.0 };
        let Some(taken) = measure(&problem, "auto", rtol, 60.0, ROUNDS.1) else {
            println!("{name:18} fails");
            continue;
        };
        let (auto, error) = (taken.seconds, problem.error(&taken.end).max(2.0 * sure));
        if alone {
            println!("{name:18} {:10.3} {error:9.1e}   {}", auto * 1e3, told(&taken));
            continue;
        }
        if verbose {
            eprintln!("  {name} auto: {}, reference sure to {sure:.1e}", told(&taken));
        }
        let Some((solver, rtol, time, its_error)) = best_single(name, &problem, (auto, error), verbose)
        else {
            println!("{name:18} {:10.3} {error:9.1e}   nothing else reaches this", auto * 1e3);
            continue;
        };
        let ratio = auto / time;
        let over = if ratio > 1.5 && time >= 1e-3 { " <" } else { "" };
        println!(
            "{name:18} {:10.3} {error:9.1e}   {solver:10} {rtol:8.0e} {:10.3} {its_error:9.1e} {ratio:6.2}{over}",
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
        "stiff_swing.twinml",
        "stiff_detest.twinml",
        "emep.twinml",
        "more_stiff.twinml",
        "constrained.twinml",
    ] {
        let path = root.join(file);
        let text = std::fs::read_to_string(&path).ok()?;
        if !text.contains(&format!("scenario {name} ")) {
            continue;
        }
        let values = spec["values"].as_object()?;
        let values = values.iter().map(|(n, v)| (n.clone(), v.as_f64().unwrap_or(f64::NAN))).collect();
        return compile(file, &text, name, values, Some(spec["atol"].as_f64()?));
    }
    None
}

/// The scenario of a text; with its own absolute tolerance where none is given.
fn compile(
    file: &str,
    text: &str,
    name: &str,
    values: Vec<(String, f64)>,
    atol: Option<f64>,
) -> Option<Problem> {
    let mut session = Session::check(file, text, &MemoryLoader::default());
    let choice = Choice { scenario: Some(name), ..Choice::default() };
    let compiled = session.compile(choice, &mut NoData)?;
    let mut program = compiled.program;
    passes::prepare(&mut program, Level::O2, true);
    let atol = atol.or(compiled.experiment.solver.atol)?;
    Some(Problem { program, experiment: compiled.experiment, values, atol })
}
