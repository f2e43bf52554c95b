//! Requirements against brute force: random formulas over random signals whose every value is known.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/random.rs"]
mod random;

use random::Random;
use twinml_engine::monitor::follow::{Follower, Item, inner};
use twinml_engine::monitor::signal::Signal;
use twinml_engine::monitor::trace::Trace;
use twinml_engine::monitor::{Verdict, judge};
use twinml_model::requirement::Formula;

fn formula(r: &mut Random, depth: u32) -> Formula {
    if depth == 0 {
        return Formula::Atom(r.below(2) as usize);
    }
    let window = (r.below(4) != 0).then(|| {
        let a = r.below(3) as f64;
        (a, a + r.below(4) as f64)
    });
    match r.below(7) {
        0 => Formula::Not(Box::new(formula(r, depth - 1))),
        1 => Formula::And(vec![formula(r, depth - 1), formula(r, depth - 1)]),
        2 => Formula::Or(vec![formula(r, depth - 1), formula(r, depth - 1)]),
        3 | 4 => Formula::Until {
            past: r.below(2) == 0,
            window,
            left: Box::new(formula(r, depth - 1)),
            right: Box::new(formula(r, depth - 1)),
        },
        _ => Formula::Windowed {
            every: r.below(2) == 0,
            past: r.below(2) == 0,
            window,
            formula: Box::new(formula(r, depth - 1)),
        },
    }
}

/// Values at `k·dt`, from the definition alone. Beyond the end, all is `after`.
fn brute(f: &Formula, atoms: &[Vec<f64>], dt: f64, after: f64) -> Vec<f64> {
    let n = atoms[0].len() as i64;
    let steps = |t: f64| (t / dt).round() as i64;
    match f {
        Formula::Const(b) => vec![if *b { f64::INFINITY } else { f64::NEG_INFINITY }; n as usize],
        Formula::Atom(k) => atoms[*k].clone(),
        Formula::Not(f) => brute(f, atoms, dt, -after).iter().map(|v| -v).collect(),
        Formula::And(l) | Formula::Or(l) => {
            let pick = if matches!(f, Formula::And(_)) { f64::min } else { f64::max };
            let all: Vec<Vec<f64>> = l.iter().map(|f| brute(f, atoms, dt, after)).collect();
            (0..n as usize).map(|k| all.iter().map(|v| v[k]).reduce(pick).unwrap()).collect()
        }
        Formula::Windowed { every, past, window, formula } => {
            let s = brute(formula, atoms, dt, after);
            let pick = if *every { f64::min } else { f64::max };
            let none = if *every { f64::INFINITY } else { f64::NEG_INFINITY };
            let (a, b) = window.map_or((0, n), |(a, b)| (steps(a), steps(b)));
            let unknown = if *past || window.is_none() { none } else { after };
            let at = |k: i64| if k < 0 { none } else { s.get(k as usize).copied().unwrap_or(unknown) };
            let go = if *past { -1 } else { 1 };
            (0..n).map(|k| (a..=b).map(|j| at(k + go * j)).fold(none, pick)).collect()
        }
        Formula::Until { past, window, left, right } => {
            let (p, q) = (brute(left, atoms, dt, after), brute(right, atoms, dt, after));
            let (a, b) = window.map_or((0, n), |(a, b)| (steps(a), steps(b)));
            let unknown = if *past || window.is_none() { f64::NEG_INFINITY } else { after };
            let go = if *past { -1 } else { 1 };
            let at = |s: &[f64], k: i64| {
                usize::try_from(k).ok().and_then(|k| s.get(k)).copied().unwrap_or(unknown)
            };
            let one = |k: i64| {
                let (mut all, mut best) = (f64::INFINITY, f64::NEG_INFINITY);
                for j in 0..=b {
                    if j >= a {
                        best = best.max(at(&q, k + go * j).min(all));
                    }
                    all = all.min(at(&p, k + go * j));
                }
                best
            };
            (0..n).map(one).collect()
        }
    }
}

const PARTS: usize = 32;

#[test]
fn random_formulas_over_continuous_signals_agree_with_their_definition() {
    let mut r = Random(0x9E37_79B9_7F4A_7C15);
    let (mut decided, mut open) = (0, 0);
    for case in 0..1000 {
        let depth = 1 + r.below(3) as u32;
        let f = formula(&mut r, depth);
        // Short traces end inside windows.
        let length = 2 + r.below(10) as usize;
        let corners: Vec<Vec<f64>> =
            (0..2).map(|_| (0..=length).map(|_| 2.0 * r.unit() - 1.0).collect()).collect();
        let signals: Vec<Signal> = corners
            .iter()
            .map(|c| Signal(c.iter().enumerate().map(|(k, v)| (k as f64, *v)).collect()))
            .collect();
        let dense: Vec<Vec<f64>> = corners
            .iter()
            .map(|c| {
                (0..=length * PARTS)
                    .map(|k| {
                        let (i, part) = (k / PARTS, (k % PARTS) as f64 / PARTS as f64);
                        let next = c[(i + 1).min(length)];
                        c[i] + (next - c[i]) * part
                    })
                    .collect()
            })
            .collect();
        let j = judge(&f, &signals, true);
        let dt = 1.0 / PARTS as f64;
        let lo = brute(&f, &dense, dt, f64::NEG_INFINITY)[0];
        let hi = brute(&f, &dense, dt, f64::INFINITY)[0];
        // Slopes are at most 2 a second; each level may shift an instant by a part.
        let tol = 2.0 * dt * f64::from(depth + 1);
        let verdict = if lo > tol {
            Some(Verdict::Holds)
        } else if hi < -tol {
            Some(Verdict::Violated)
        } else if lo < -tol && hi > tol {
            Some(Verdict::Inconclusive)
        } else {
            None
        };
        if let Some(v) = verdict {
            assert_eq!(j.verdict, v, "case {case}: {f:?}\n{corners:?}\n{j:?} {lo} {hi}");
            if v == Verdict::Inconclusive {
                open += 1
            } else {
                decided += 1
            }
            let known = if v == Verdict::Violated || lo.is_infinite() { hi } else { lo };
            let same = j.robustness == known || (j.robustness - known).abs() <= tol;
            assert!(same, "case {case}: {f:?}\n{corners:?}\n{j:?} {lo} {hi}");
        }
    }
    assert!(decided > 500 && open > 5, "{decided} decided, {open} open");
}

#[test]
fn both_sides_of_a_jump_are_judged() {
    // Falls from 3 to −1 at 5 s, is back at once.
    let s = Signal(vec![(0.0, 3.0), (5.0, 3.0), (5.0, -1.0), (5.0, 2.0), (10.0, 2.0)]);
    let windowed =
        |every, window| Formula::Windowed { every, past: false, window, formula: Box::new(Formula::Atom(0)) };
    let j = judge(&windowed(true, None), std::slice::from_ref(&s), true);
    assert_eq!((j.verdict, j.robustness, j.closest), (Verdict::Violated, -1.0, Some(5.0)));
    // Ends of windows belong to them.
    let j = judge(&windowed(false, Some((5.0, 10.0))), std::slice::from_ref(&s), true);
    assert_eq!((j.verdict, j.robustness), (Verdict::Holds, 3.0));
    let j = judge(&windowed(true, Some((0.0, 10.0))), &[s.map(|v| v + 2.0)], true);
    assert_eq!((j.verdict, j.robustness), (Verdict::Holds, 1.0));
    let j = judge(&windowed(true, Some((0.0, 10.1))), &[s.map(|v| v + 2.0)], true);
    assert_eq!(j.verdict, Verdict::Inconclusive);
    // A run that was ended early leaves windows without ends open.
    assert_eq!(judge(&windowed(true, None), &[s.map(|v| v + 2.0)], false).verdict, Verdict::Inconclusive);
    assert_eq!(judge(&windowed(true, None), &[s], false).verdict, Verdict::Violated);
}

#[test]
fn one_state_may_hand_over_to_the_next_at_the_instant_of_an_event() {
    let (p, q) = (
        Signal(vec![(0.0, 1.0), (4.0, 1.0), (4.0, -1.0), (9.0, -1.0)]),
        Signal(vec![(0.0, -1.0), (4.0, -1.0), (4.0, 1.0), (9.0, 1.0)]),
    );
    let until = Formula::Until {
        past: false,
        window: None,
        left: Box::new(Formula::Atom(0)),
        right: Box::new(Formula::Atom(1)),
    };
    assert_eq!(judge(&until, &[p, q], true).robustness, 1.0);
}

#[test]
fn extrema_between_samples_are_found() {
    for (omega, phase, rtol) in [(1.0, 0.3, 1e-6), (7.3, 1.1, 1e-8), (0.01, 0.0, 1e-6)] {
        let wave = |t: f64| (omega * t + phase).sin();
        let mut trace = Trace::new(1);
        let mut follower = Follower::new(1, rtol, Vec::new());
        follower.row(0.0, &[wave(0.0)]);
        let mut t = 0.0;
        // Steps that have nothing to do with the extrema.
        while t < 20.0 / omega {
            t += 0.83 / omega;
            follower
                .follow(t, &mut |t, row| {
                    row.push(wave(t));
                    Ok::<(), ()>(())
                })
                .unwrap();
        }
        follower.give(f64::INFINITY, &mut |item| match item {
            Item::Row(t, row) => trace.push(t, row),
            Item::Piece(from, to, rows) => {
                inner(from, to, &[rows.map(|r| r[0])], &mut |t, row| trace.push(t, row));
            }
        });
        let f =
            Formula::Windowed { every: true, past: false, window: None, formula: Box::new(Formula::Atom(0)) };
        let limit = 1.5;
        let j = judge(&f, &[trace.signal(0, false, |v| limit - v)], true);
        assert!((j.robustness - 0.5).abs() <= 10.0 * rtol, "{omega}: {j:?}");
        let at = omega * j.closest.unwrap() + phase;
        assert!(at.cos().abs() < 1e-2, "{omega}: {j:?}");
    }
}
