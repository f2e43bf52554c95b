//! The robustness of a thousand random formulas over signals known in closed form, simulated by the binary.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../runtime/engine/tests/support/random.rs"]
mod random;

use random::Random;
use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;
use twinml_engine::monitor::signal::Signal;
use twinml_engine::monitor::{Verdict, judge};
use twinml_model::requirement::Formula;

const END: f64 = 10.0;
const NAMES: [&str; 5] = ["x", "y", "p", "q", "r"];

/// The solutions of the model below.
fn exact(t: f64) -> [f64; 5] {
    [t.sin(), t.cos(), 0.5 * (3.0 * t + 1.0).sin(), 0.5 * (3.0 * t + 1.0).cos(), t / 5.0 - 1.0]
}

/// What a comparison compares: `NAMES[signal] - other`, where `other` is a signal or a number.
struct Atom {
    signal: usize,
    other: Result<usize, f64>,
    less: bool,
}

/// A formula and its text.
fn formula(r: &mut Random, depth: u32, top: bool, atoms: &mut Vec<Atom>) -> (Formula, String) {
    if depth == 0 {
        let signal = r.below(5) as usize;
        let other = if r.below(4) == 0 {
            Ok((signal + 1 + r.below(4) as usize) % 5)
        } else {
            Err(r.below(240) as f64 / 100.0 - 1.2)
        };
        let less = r.below(2) == 0;
        let right = match other {
            Ok(k) => NAMES[k].to_owned(),
            Err(c) => format!("({c})"),
        };
        atoms.push(Atom { signal, other, less });
        let text = format!("{} {} {right}", NAMES[signal], if less { "<" } else { ">" });
        return (Formula::Atom(atoms.len() - 1), text);
    }
    let window = (r.below(4) != 0).then(|| {
        let a = r.below(8) as f64 * 0.25;
        (a, a + r.below(12) as f64 * if r.below(3) == 0 { 1.25 } else { 0.25 })
    });
    let brackets = window.map_or_else(String::new, |(a, b)| format!("[{a} s, {b} s]"));
    match r.below(9) {
        0 => {
            let (f, t) = formula(r, depth - 1, false, atoms);
            (Formula::Not(Box::new(f)), format!("not ({t})"))
        }
        1 | 2 => {
            let and = r.below(2) == 0;
            let ((f, t), (g, u)) = (formula(r, depth - 1, false, atoms), formula(r, depth - 1, false, atoms));
            let both = vec![f, g];
            let word = if and { "and" } else { "or" };
            (if and { Formula::And(both) } else { Formula::Or(both) }, format!("({t}) {word} ({u})"))
        }
        3 | 4 => {
            // In front of the start there is nothing.
            let past = r.below(2) == 0 && !top;
            let ((f, t), (g, u)) = (formula(r, depth - 1, false, atoms), formula(r, depth - 1, false, atoms));
            let word = if past { "since" } else { "until" };
            let text = format!("({t}) {word}{brackets} ({u})");
            (Formula::Until { past, window, left: Box::new(f), right: Box::new(g) }, text)
        }
        _ => {
            let (every, past) = (r.below(2) == 0, r.below(3) == 0 && !top);
            let (f, t) = formula(r, depth - 1, false, atoms);
            let word = match (every, past) {
                (true, false) => "always",
                (false, false) => "eventually",
                (true, true) => "historically",
                (false, true) => "once",
            };
            (
                Formula::Windowed { every, past, window, formula: Box::new(f) },
                format!("{word}{brackets}({t})"),
            )
        }
    }
}

/// Of the exact solutions: lines between points so close that they are off by less than 3e-6.
fn expected(f: &Formula, atoms: &[Atom]) -> (Verdict, f64) {
    let n = 5000;
    let signal = |a: &Atom| {
        let at = |k: i32| {
            let t = END * f64::from(k) / f64::from(n);
            let all = exact(t);
            let other = a.other.map_or_else(|c| c, |k| all[k]);
            (t, if a.less { other - all[a.signal] } else { all[a.signal] - other })
        };
        Signal((0..=n).map(at).collect())
    };
    let signals: Vec<Signal> = atoms.iter().map(signal).collect();
    let j = judge(f, &signals, true);
    (j.verdict, j.robustness)
}

/// Relative tolerance of the runs, whose states are about 1.
const RTOL: f64 = 1e-6;

/// A model with 200 random formulas, run by a solver: how many of each verdict were compared.
fn batch(solver: &str, seed: u64) -> [usize; 3] {
    let mut r = Random(seed);
    let place = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    let mut text = "twin M {
  states { x: Real = 0; y: Real = 1; p: Real = 0.5*sin(1); q: Real = 0.5*cos(1) }
  outputs { r: Real = time/5 s - 1 }
  equations { der(x) = y/1 s; der(y) = -x/1 s; der(p) = 3*q/1 s; der(q) = -3*p/1 s }
  constraints {
"
    .to_owned();
    for k in 0..200 {
        let mut atoms = Vec::new();
        let (f, t) = formula(&mut r, 1 + k % 3, true, &mut atoms);
        let _ = writeln!(text, "    r{k}: {t}");
        all.push((expected(&f, &atoms), t));
    }
    // The global error of a multistep solver is larger than its tolerance.
    let rtol = if solver == "bdf" { RTOL / 10.0 } else { RTOL };
    let _ = write!(
        text,
        "  }}\n}}\nscenario s for M {{ duration: {END} s; solver: {solver}(rtol: {rtol:e}, atol: {:e})
  record r every 1 s }}\n",
        rtol * 1e-3
    );
    std::fs::write(place.path().join("m.twinml"), text).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .current_dir(place.path())
        .args(["run", "m.twinml", "--no-plot", "--out", "r.csv", "--format", "json"])
        .output()
        .unwrap();
    let out = String::from_utf8(out.stdout).unwrap();
    let lines = out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let verdicts: Vec<Value> = lines.filter(|v| v["type"] == "verdict").collect();
    assert_eq!(verdicts.len(), all.len(), "{out}");
    let mut counts = [0; 3];
    for (((verdict, robustness), text), v) in all.iter().zip(&verdicts) {
        if *verdict == Verdict::Inconclusive || robustness.abs() > 10.0 * RTOL {
            assert_eq!(v["verdict"], verdict.as_str(), "{solver} {text}: {robustness} {v}");
        }
        match v["robustness"].as_f64() {
            Some(found) => {
                let off = (found - robustness).abs();
                assert!(off <= 10.0 * RTOL, "{solver} {text}: {robustness} {v}");
            }
            None => assert!(robustness.is_infinite(), "{solver} {text}: {robustness} {v}"),
        }
        counts[*verdict as usize] += 1;
    }
    counts
}

#[test]
fn robustness_is_within_ten_times_the_tolerance_and_the_verdict_never_wrong_outside_it() {
    let solvers = ["dopri5", "tsit5", "bdf", "rosenbrock", "auto"];
    let counts: Vec<[usize; 3]> = std::thread::scope(|scope| {
        let begin = |(k, s): (usize, &&'static str)| {
            let (s, seed) = (*s, 0x0123_4567_89AB_CDEF ^ ((k as u64) << 32));
            scope.spawn(move || batch(s, seed))
        };
        let all: Vec<_> = solvers.iter().enumerate().map(begin).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let sum = |k: usize| counts.iter().map(|c| c[k]).sum::<usize>();
    assert_eq!((0..3).map(sum).sum::<usize>(), 1000);
    assert!((0..3).all(|k| sum(k) > 20), "all three verdicts occur: {counts:?}");
}
