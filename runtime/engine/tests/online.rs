//! Requirements judged while they are recorded, against the whole trace at once; measures against closed forms.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/random.rs"]
mod random;

use random::Random;
use twinml_engine::monitor::aggregate::{Number, Truth};
use twinml_engine::monitor::follow::{Follower, Item, inner};
use twinml_engine::monitor::judge;
use twinml_engine::monitor::online::Online;
use twinml_engine::monitor::signal::Signal;
use twinml_engine::monitor::trace::Trace;
use twinml_model::requirement::{Atom, AtomKind, Formula, Measure};

const ATOM: Atom =
    Atom { slot: 0, len: 1, kind: AtomKind::Margin { strict: false }, scale: 1.0, late: false, side: None };

fn formula(r: &mut Random, depth: u32) -> Formula {
    if depth == 0 {
        return Formula::Atom(r.below(2) as usize);
    }
    let window = (r.below(4) != 0).then(|| {
        let a = r.below(8) as f64 * 0.37;
        (a, a + r.below(5) as f64 * 0.81)
    });
    match r.below(8) {
        0 => Formula::Not(Box::new(formula(r, depth - 1))),
        1 => Formula::And(vec![formula(r, depth - 1), formula(r, depth - 1)]),
        2 => Formula::Or(vec![formula(r, depth - 1), formula(r, depth - 1)]),
        3 => Formula::Until {
            past: r.below(2) == 0,
            window,
            left: Box::new(formula(r, depth - 1)),
            right: Box::new(formula(r, depth - 1)),
        },
        _ => Formula::Windowed {
            every: r.below(2) == 0,
            past: r.below(3) == 0,
            window,
            formula: Box::new(formula(r, depth - 1)),
        },
    }
}

fn signals(trace: &Trace) -> [Signal; 2] {
    [trace.signal(0, false, |v| v), trace.signal(1, false, |v| v)]
}

#[test]
fn folding_changes_no_verdict() {
    let mut r = Random(0x5eed_0f0d_1234_5678);
    let mut counts = [0u32; 3];
    let mut forgot = 0;
    for case in 0..3000 {
        let f = formula(&mut r, 1 + (case % 3) as u32);
        let mut online = Online::new(&f, &[ATOM, ATOM]);
        let (mut whole, mut kept) = (Trace::new(2), Trace::new(2));
        let mut t = 0.0;
        // Some end inside their windows.
        for k in 0..if case % 3 == 0 { 5 } else { 40 } {
            // Jumps, pieces, and points that lie on window ends; a run begins at 0.
            match r.below(4) {
                _ if k == 0 => {}
                0 => {}
                1 => t += 0.37,
                2 => t += 0.01 + r.unit(),
                _ => t += 0.81,
            }
            let row = [2.0 * r.unit() - 1.0, 2.0 * r.unit() - 1.0];
            whole.push(t, &row);
            kept.push(t, &row);
            if r.below(3) == 0 {
                online.fold(&signals(&kept));
                kept.forget(online.needs().min(t));
            }
        }
        let complete = r.below(3) != 0;
        let (a, b) = (judge(&f, &signals(&whole), complete), online.judge(&signals(&kept), complete));
        let near = |x: f64, y: f64| x == y || (x - y).abs() < 1e-9;
        assert_eq!(a.verdict, b.verdict, "case {case}: {f:?}\n{a:?}\n{b:?}");
        assert!(near(a.robustness, b.robustness), "case {case}: {f:?}\n{a:?}\n{b:?}");
        counts[a.verdict as usize] += 1;
        forgot += whole.len() - kept.len();
    }
    assert!(counts.iter().all(|n| *n > 100), "all three verdicts occur: {counts:?}");
    assert!(forgot > 20_000, "most rows are forgotten: {forgot}");
}

/// Follows waves over steps that have nothing to do with them.
fn follow(
    width: usize,
    rtol: f64,
    edges: &[f64],
    end: f64,
    f: impl Fn(f64) -> Vec<f64>,
    take: &mut dyn FnMut(Item<'_>),
) {
    let mut follower = Follower::new(width, rtol, edges.to_vec());
    follower.row(0.0, &f(0.0));
    let mut t = 0.0;
    while t < end {
        t = (t + 0.83f64).min(end);
        follower
            .follow(t, &mut |t, row| {
                row.extend(f(t));
                Ok::<(), ()>(())
            })
            .unwrap();
        follower.give(t - 0.5, take);
    }
    follower.give(f64::INFINITY, take);
}

#[test]
fn measures_of_numbers_have_their_closed_forms() {
    let end = 10.0f64;
    let (a, b) = (1.7f64, 6.2f64);
    let all = [
        (Measure::Mean, None, (1.0 - end.cos()) / end),
        (Measure::Integral, None, 1.0 - end.cos()),
        (Measure::Integral, Some((a, b)), a.cos() - b.cos()),
        (Measure::Max, None, 1.0),
        (Measure::Min, None, -1.0),
        (Measure::Max, Some((a, b)), a.sin()),
        (Measure::First, Some((a, b)), a.sin()),
        (Measure::Last, Some((a, b)), b.sin()),
        (Measure::Last, None, end.sin()),
        (Measure::Sd, None, {
            let mean = (1.0 - end.cos()) / end;
            (0.5 - (2.0 * end).sin() / 4.0 / end - mean * mean).sqrt()
        }),
        // Over three whole periods the sine is below sin(0.4) for 1/2 + 0.4/π of the time.
        (
            Measure::Quantile(0.5 + 0.4 / std::f64::consts::PI),
            Some((0.0, 2.0 * std::f64::consts::PI)),
            0.4f64.sin(),
        ),
        (Measure::Quantile(0.0), None, -1.0),
        (Measure::Quantile(1.0), None, 1.0),
    ];
    for (measure, window, expected) in all {
        let mut n = Number::new(measure, window);
        let edges: Vec<f64> = window.iter().flat_map(|w: &(f64, f64)| [w.0, w.1]).collect();
        follow(1, 1e-9, &edges, end, |t| vec![t.sin()], &mut |item| match item {
            Item::Row(t, row) => n.row(t, row[0]),
            Item::Piece(from, to, rows) => n.piece(from, to, rows.map(|r| r[0])),
        });
        let close = if matches!(measure, Measure::Quantile(_)) { 1e-5 } else { 1e-9 };
        assert!((n.value() - expected).abs() < close, "{measure:?} {window:?}: {} {expected}", n.value());
    }
}

#[test]
fn measures_of_truth_values_have_their_closed_forms() {
    let pi = std::f64::consts::PI;
    // sin t > 1/2
    let (on, off) = (pi / 6.0, 5.0 * pi / 6.0);
    for (measure, window, expected) in [
        (Measure::Integral, None, 2.0 * (off - on)),
        (Measure::Fraction, Some((0.0, 2.0 * pi)), (off - on) / (2.0 * pi)),
        (Measure::Mean, Some((0.0, 2.0 * pi)), (off - on) / (2.0 * pi)),
        (Measure::Count, None, 2.0),
        (Measure::Count, Some((0.0, 6.0)), 1.0),
        (Measure::Count, Some((1.0, 6.0)), 0.0),
        (Measure::FirstTime, None, on),
        (Measure::FirstTime, Some((1.0, 9.0)), 1.0),
        (Measure::FirstTime, Some((3.0, 9.0)), 2.0 * pi + on),
        (Measure::FirstTime, Some((3.0, 4.0)), f64::INFINITY),
        (Measure::First, Some((1.0, 9.0)), 1.0),
        (Measure::First, None, 0.0),
        (Measure::Last, Some((0.0, 8.0)), 1.0),
        (Measure::Last, None, 0.0),
    ] {
        let mut truth = Truth::new(measure, window, Formula::Atom(0));
        let edges: Vec<f64> = window.iter().flat_map(|w: &(f64, f64)| [w.0, w.1]).collect();
        follow(1, 1e-9, &edges, 10.0, |t| vec![t.sin() - 0.5], &mut |item| match item {
            Item::Row(t, row) => truth.row(t, row.to_vec(), &[false]),
            Item::Piece(from, to, rows) => {
                inner(from, to, &[rows.map(|r| r[0])], &mut |t, row| truth.row(t, row.to_vec(), &[false]));
            }
        });
        let value = truth.value();
        assert!(
            value == expected || (value - expected).abs() < 1e-5,
            "{measure:?} {window:?}: {value} {expected}"
        );
    }
}

#[test]
fn truth_values_that_jump_are_measured_exactly() {
    // Off, on from 1 to 3, a blink at 4, on from 5 on.
    let inf = f64::INFINITY;
    let rows = [
        (0.0, -inf),
        (1.0, -inf),
        (1.0, inf),
        (3.0, inf),
        (3.0, -inf),
        (4.0, -inf),
        (4.0, inf),
        (4.0, -inf),
        (5.0, -inf),
        (5.0, inf),
        (8.0, inf),
    ];
    let value = |measure, window| {
        let mut truth = Truth::new(measure, window, Formula::Atom(0));
        rows.iter().for_each(|(t, v)| truth.row(*t, vec![*v], &[true]));
        truth.value()
    };
    assert_eq!(value(Measure::Count, None), 3.0);
    assert_eq!(value(Measure::Count, Some((1.0, 4.0))), 2.0);
    assert_eq!(value(Measure::Integral, None), 5.0);
    assert_eq!(value(Measure::Fraction, None), 0.625);
    assert_eq!(value(Measure::Fraction, Some((2.0, 6.0))), 0.5);
    assert_eq!(value(Measure::FirstTime, None), 1.0);
    assert_eq!(value(Measure::FirstTime, Some((3.5, 9.0))), 4.0);
    assert_eq!(value(Measure::First, Some((1.0, 2.0))), 1.0);
    assert_eq!(value(Measure::Last, Some((0.0, 3.0))), 0.0);
}

#[test]
fn a_follower_goes_back_to_where_the_run_ended() {
    let wave = |t: f64| vec![t.sin()];
    for end in [0.2, 1.0, 1.3, 1.65, 1.66] {
        let (mut all, mut area) = (Vec::new(), Number::new(Measure::Integral, None));
        let mut follower = Follower::new(1, 1e-9, Vec::new());
        let mut sample = |t: f64, row: &mut Vec<f64>| {
            row.extend(wave(t));
            Ok::<(), ()>(())
        };
        follower.row(0.0, &wave(0.0));
        follower.follow(0.83, &mut sample).unwrap();
        follower.follow(1.66, &mut sample).unwrap();
        follower.back(end);
        follower.follow(end, &mut sample).unwrap();
        follower.give(f64::INFINITY, &mut |item| match item {
            Item::Row(t, row) => {
                all.push(t);
                area.row(t, row[0]);
            }
            Item::Piece(from, to, rows) => area.piece(from, to, rows.map(|r| r[0])),
        });
        assert!(all.is_sorted(), "{all:?}");
        assert_eq!(all.last(), Some(&end));
        assert!((area.value() - (1.0 - end.cos())).abs() < 1e-9, "{end}: {}", area.value());
    }
}
