//! Requirements over samples: only the instants of the samples count, whatever lies between them.
//!
//! A window that holds no sample, or goes on behind the last one, is not known in part. In front of the first sample
//! there is nothing. Several samples at one instant are the sides of an event; each is judged.

use std::collections::VecDeque;

use super::{Judgement, View, conclude};
use twinml_model::requirement::Formula;

/// Roundings, as a part of the times, that a window's end and a sample may be apart and still be one instant.
const SLACK: f64 = 1e-9;

/// Judges a formula at the first sample. `times` never decrease; each atom has a value at each.
#[must_use]
pub fn judge(formula: &Formula, times: &[f64], atoms: &[Vec<f64>]) -> Judgement {
    let at = |after: f64| {
        let view = View { after, open: false };
        let value = evaluate(formula, times, atoms, view).first().copied().unwrap_or(f64::NAN);
        let when = if value.is_finite() { closest(formula, times, atoms, view, 0, value) } else { None };
        (value, when.and_then(|k| times.get(k).copied()))
    };
    conclude(at(f64::NEG_INFINITY), at(f64::INFINITY))
}

fn evaluate(f: &Formula, times: &[f64], atoms: &[Vec<f64>], view: View) -> Vec<f64> {
    let n = times.len();
    let fold = |list: &[Formula], smaller: bool| {
        let mut out = vec![if smaller { f64::INFINITY } else { f64::NEG_INFINITY }; n];
        for f in list {
            for (o, v) in out.iter_mut().zip(evaluate(f, times, atoms, view)) {
                *o = if smaller { o.min(v) } else { o.max(v) };
            }
        }
        out
    };
    match f {
        Formula::Const(b) => vec![if *b { f64::INFINITY } else { f64::NEG_INFINITY }; n],
        Formula::Atom(k) => atoms.get(*k).cloned().unwrap_or_else(|| vec![view.after; n]),
        Formula::Not(f) => {
            let view = View { after: -view.after, ..view };
            evaluate(f, times, atoms, view).into_iter().map(|v| -v).collect()
        }
        Formula::And(list) => fold(list, true),
        Formula::Or(list) => fold(list, false),
        Formula::Windowed { every, past, window, formula } => {
            let v = evaluate(formula, times, atoms, view);
            either_way(*past, times, &[&v], &mut |times, v| over(times, v[0], *past, *window, *every, view))
        }
        Formula::Until { past, window, left, right } => {
            let (p, q) = (evaluate(left, times, atoms, view), evaluate(right, times, atoms, view));
            either_way(*past, times, &[&p, &q], &mut |times, v| {
                until(times, v[0], v[1], *past, *window, view)
            })
        }
    }
}

/// An operator that looks ahead: from times and values of its operands to its values.
type Forward<'f> = &'f mut dyn FnMut(&[f64], &[&[f64]]) -> Vec<f64>;

/// The past is the future of time running backwards.
fn either_way(past: bool, times: &[f64], values: &[&[f64]], body: Forward<'_>) -> Vec<f64> {
    if !past {
        return body(times, values);
    }
    let times: Vec<f64> = times.iter().rev().map(|t| -t).collect();
    let values: Vec<Vec<f64>> = values.iter().map(|v| v.iter().rev().copied().collect()).collect();
    let values: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
    let mut out = body(&times, &values);
    out.reverse();
    out
}

/// For each sample the first and one past the last sample of its window.
fn windows(times: &[f64], window: Option<(f64, f64)>) -> Vec<(usize, usize)> {
    let n = times.len();
    let (mut lo, mut hi) = (0, 0);
    let one = |k: usize| {
        // Samples of one instant are in each other's windows that begin at 0.
        let Some((a, b)) = window else { return (times.partition_point(|t| *t < times[k]), n) };
        let slack = SLACK * (times[k].abs() + b).max(f64::MIN_POSITIVE);
        while lo < n && times[lo] < times[k] + a - slack {
            lo += 1;
        }
        while hi < n && times[hi] <= times[k] + b + slack {
            hi += 1;
        }
        (lo, hi.max(lo))
    };
    (0..n).map(one).collect()
}

/// Whether part of the window of a sample is not known. `past`: time runs backwards.
fn unknown(times: &[f64], k: usize, window: Option<(f64, f64)>, past: bool, found: (usize, usize)) -> bool {
    let (Some((_, b)), Some(end)) = (window, times.last()) else { return false };
    let slack = SLACK * (times[k].abs() + b).max(f64::MIN_POSITIVE);
    let beyond = times[k] + b > end + slack;
    if past { !beyond && found.0 == found.1 } else { beyond || found.0 == found.1 }
}

fn over(
    times: &[f64],
    v: &[f64],
    past: bool,
    window: Option<(f64, f64)>,
    every: bool,
    view: View,
) -> Vec<f64> {
    let none = if every { f64::INFINITY } else { f64::NEG_INFINITY };
    let better = |a: f64, b: f64| if every { a <= b } else { a >= b };
    let mut best: VecDeque<usize> = VecDeque::new();
    let mut entered = 0;
    let all = windows(times, window);
    let one = |(k, &(lo, hi)): (usize, &(usize, usize))| {
        while entered < hi {
            while best.back().is_some_and(|b| better(v[entered], v[*b])) {
                best.pop_back();
            }
            best.push_back(entered);
            entered += 1;
        }
        while best.front().is_some_and(|b| *b < lo) {
            best.pop_front();
        }
        let found = best.front().map_or(none, |b| v[*b]);
        if !unknown(times, k, window, past, (lo, hi)) {
            found
        } else if every {
            found.min(view.after)
        } else {
            found.max(view.after)
        }
    };
    all.iter().enumerate().map(one).collect()
}

/// `left` holds at all samples before the one at which `right` does.
fn until(
    times: &[f64],
    p: &[f64],
    q: &[f64],
    past: bool,
    window: Option<(f64, f64)>,
    view: View,
) -> Vec<f64> {
    let n = times.len();
    let beyond = if past || window.is_none() { f64::NEG_INFINITY } else { view.after };
    // From sample k on, whatever the window.
    let mut free = vec![beyond; n + 1];
    for k in (0..n).rev() {
        free[k] = q[k].max(p[k].min(free[k + 1]));
    }
    if window.is_none() {
        free.truncate(n);
        return free;
    }
    let reached = over(times, q, past, window, false, view);
    // Indices of samples before the window: a running minimum from each sample to the window's first.
    let all = windows(times, window);
    let mut least: VecDeque<usize> = VecDeque::new();
    let mut entered = 0;
    let one = |(k, &(lo, _)): (usize, &(usize, usize))| {
        while entered < lo {
            while least.back().is_some_and(|b| p[entered] <= p[*b]) {
                least.pop_back();
            }
            least.push_back(entered);
            entered += 1;
        }
        while least.front().is_some_and(|b| *b < k) {
            least.pop_front();
        }
        let before = least.front().map_or(f64::INFINITY, |b| p[*b]);
        reached[k].min(free[lo]).min(before)
    };
    all.iter().enumerate().map(one).collect()
}

/// The sample at which an atom makes the formula's value at sample `k` what it is.
fn closest(
    f: &Formula,
    times: &[f64],
    atoms: &[Vec<f64>],
    view: View,
    k: usize,
    value: f64,
) -> Option<usize> {
    let near = |f: &Formula, range: (usize, usize)| {
        let v = evaluate(f, times, atoms, view);
        let distance = |k: usize| (v[k] - value).abs();
        let at = (range.0..range.1).filter(|k| v[*k].is_finite());
        at.min_by(|a, b| distance(*a).total_cmp(&distance(*b))).map(|k| (k, distance(k)))
    };
    let n = times.len();
    let window = |past: bool, window: Option<(f64, f64)>| match (past, window) {
        (false, w) => windows(times, w)[k],
        (true, None) => (0, k + 1),
        (true, w) => {
            let back: Vec<f64> = times.iter().rev().map(|t| -t).collect();
            let (lo, hi) = windows(&back, w)[n - 1 - k];
            (n - hi, n - lo)
        }
    };
    match f {
        Formula::Const(_) => None,
        Formula::Atom(_) => Some(k),
        Formula::Not(f) => closest(f, times, atoms, View { after: -view.after, ..view }, k, -value),
        Formula::And(list) | Formula::Or(list) => {
            let found = list.iter().filter_map(|f| Some((f, near(f, (k, k + 1))?.1)));
            let (f, _) = found.min_by(|a, b| a.1.total_cmp(&b.1))?;
            closest(f, times, atoms, view, k, value)
        }
        Formula::Windowed { past, window: w, formula, .. } => {
            let (at, _) = near(formula, window(*past, *w))?;
            closest(formula, times, atoms, view, at, value)
        }
        Formula::Until { past, window: w, left, right } => {
            let found = [(right, *w), (left, None)];
            let found = found.iter().filter_map(|(f, w)| Some((f, near(f, window(*past, *w))?)));
            let (f, (at, _)) = found.min_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
            closest(f, times, atoms, view, at, value)
        }
    }
}
