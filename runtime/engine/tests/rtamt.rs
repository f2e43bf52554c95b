//! Sampled semantics against the independent monitor rtamt: thousands of random formulas and traces.
//!
//! What rtamt says stands in `tests/peers/rtamt.txt`, made by `tests/peers/rtamt_reference.py`.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/random.rs"]
mod random;

use random::Random;
use twinml_engine::monitor::{Verdict, sampled};
use twinml_model::requirement::Formula;

fn samples(case: u64, n: usize) -> [Vec<f64>; 2] {
    let mut r = Random(0x9E37_79B9_7F4A_7C15 ^ (case + 1));
    for _ in 0..8 {
        r.next();
    }
    let mut out = [Vec::new(), Vec::new()];
    for _ in 0..n {
        out.iter_mut().for_each(|v| v.push(r.below(128) as f64 / 64.0 - 1.0));
    }
    out
}

/// Reads the prefix form.
fn formula(words: &mut std::iter::Peekable<std::str::SplitWhitespace<'_>>, dt: f64) -> Formula {
    let word = words.next().unwrap();
    let Some(op) = word.strip_prefix('(') else {
        return Formula::Atom(usize::from(word.starts_with('b')));
    };
    let mut window = || {
        let mut end = || words.next().unwrap().parse::<f64>().unwrap() * dt;
        Some((end(), end()))
    };
    match op {
        "not" => Formula::Not(Box::new(formula(words, dt))),
        "and" => Formula::And(vec![formula(words, dt), formula(words, dt)]),
        "or" => Formula::Or(vec![formula(words, dt), formula(words, dt)]),
        "implies" => Formula::Or(vec![Formula::Not(Box::new(formula(words, dt))), formula(words, dt)]),
        "always" | "eventually" | "historically" | "once" => {
            let window = window();
            Formula::Windowed {
                every: matches!(op, "always" | "historically"),
                past: matches!(op, "historically" | "once"),
                window,
                formula: Box::new(formula(words, dt)),
            }
        }
        "until" | "since" => {
            let window = window();
            let (left, right) = (Box::new(formula(words, dt)), Box::new(formula(words, dt)));
            Formula::Until { past: op == "since", window, left, right }
        }
        other => panic!("{other}"),
    }
}

#[test]
fn verdict_and_robustness_are_those_of_rtamt() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/rtamt.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let (mut cases, mut positive, mut timed) = (0, 0, 0);
    for (case, line) in text.lines().enumerate() {
        let mut parts = line.split('\t');
        let n: usize = parts.next().unwrap().parse().unwrap();
        let prefix = parts.next().unwrap();
        let said: f64 = parts.next().unwrap().parse().unwrap();
        // Periods that are no binary fractions: windows and samples meet but for rounding.
        let dt = [1.0, 0.1, 0.7, 1e-3, 3600.0][case % 5];
        let times: Vec<f64> = (0..n).map(|k| k as f64 * dt).collect();
        let f = formula(&mut prefix.split_whitespace().peekable(), dt);
        let found = sampled::judge(&f, &times, &samples(case as u64, n));
        assert_eq!(found.robustness, said, "case {case}: {prefix}");
        let verdict = if said >= 0.0 { Verdict::Holds } else { Verdict::Violated };
        assert_eq!(found.verdict, verdict, "case {case}: {prefix}");
        // The instant that decides is a sample with this margin.
        let at = found.closest.unwrap();
        let k = times.iter().position(|t| *t == at).unwrap();
        let margins = samples(case as u64, n);
        assert!(margins.iter().any(|m| m[k].abs() == said.abs()), "case {case}: {prefix} at {at}");
        cases += 1;
        positive += usize::from(said > 0.0);
        timed += usize::from(prefix.contains("until") || prefix.contains("since"));
    }
    assert!(
        cases >= 4000 && positive > 1000 && cases - positive > 1000 && timed > 800,
        "{cases} {positive} {timed}"
    );
}
