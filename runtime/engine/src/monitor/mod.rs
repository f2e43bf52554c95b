//! Requirements of one run: signal temporal logic over continuous signals, its verdict and its robustness.
//!
//! The robustness is the signed distance to violation: a comparison's margin, the smaller of two for `and`, the
//! larger for `or`, the infimum over a window for `always`, the supremum for `eventually`. It is computed over
//! piecewise linear signals with jumps, exactly; how well those follow the quantities is [`follow`]'s matter.
//!
//! What lies behind the end of a run is unknown: a formula is evaluated twice, with the worst and with the best that
//! may still come. Where both have the same sign, the verdict stands. Windows without ends are those of the run.
//! In front of the start there is nothing: `historically` holds over nothing, `once` does not.

pub mod aggregate;
pub mod follow;
pub mod online;
pub mod recorded;
pub mod sampled;
pub mod signal;
pub mod trace;

use signal::{Beyond, Signal, extreme, sliding, until};
use twinml_model::requirement::{Atom, AtomKind, Formula};

/// What is said of a requirement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It is violated.
    Violated,
    /// The run ended inside a window that decides.
    Inconclusive,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Violated => "violated",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// A requirement's verdict.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Judgement {
    /// What is said.
    pub verdict: Verdict,
    /// Signed distance to violation, as far as the run tells; infinite where only truth values decide.
    pub robustness: f64,
    /// The instant that decides, in seconds; none where no instant does.
    pub closest: Option<f64>,
    /// The element of the worst of several twins.
    pub element: u32,
}

/// A margin of exactly 0 keeps its side through negations by this much.
pub const TOUCH: f64 = f64::MIN_POSITIVE;

/// The value of an atom from what its slot holds.
pub(crate) fn level(a: &Atom, v: f64) -> f64 {
    match a.kind {
        AtomKind::Truth if v.is_nan() => v,
        AtomKind::Truth if v != 0.0 => f64::INFINITY,
        AtomKind::Truth => f64::NEG_INFINITY,
        AtomKind::Margin { strict } => match v / a.scale {
            0.0 if strict => -TOUCH,
            0.0 => TOUCH,
            v => v,
        },
    }
}

/// What is taken of what is unknown.
#[derive(Clone, Copy)]
struct View {
    /// The value of what may still come.
    after: f64,
    /// Whether windows without ends may go on after the last instant.
    open: bool,
}

/// The verdict from the worst and the best that may still come, each with the instant that decides.
fn conclude(worst: (f64, Option<f64>), best: (f64, Option<f64>)) -> Judgement {
    let (verdict, (value, closest)) = if worst.0 >= 0.0 {
        (Verdict::Holds, worst)
    } else if best.0 < 0.0 {
        (Verdict::Violated, best)
    } else if worst.0.is_finite() {
        (Verdict::Inconclusive, worst)
    } else {
        (Verdict::Inconclusive, best)
    };
    let robustness = if value.abs() <= TOUCH { 0.0 } else { value };
    Judgement { verdict, robustness, closest: closest.filter(|_| value.is_finite()), element: 0 }
}

/// Judges a formula at the start of its atoms' signals, which share their span. `complete`: the run reached its end.
#[must_use]
pub fn judge(formula: &Formula, atoms: &[Signal], complete: bool) -> Judgement {
    let (from, to) = atoms.first().map_or((0.0, 0.0), Signal::span);
    let whole = |after: f64| {
        let s = evaluate(formula, atoms, (from, to), View { after, open: !complete });
        s.at(from).map_or(f64::NAN, |(a, _)| a)
    };
    let (worst, best) = (whole(f64::NEG_INFINITY), whole(f64::INFINITY));
    let found = conclude((worst, None), (best, None));
    let value = if found.verdict == Verdict::Holds { worst } else { best };
    let (value, after) = match found.verdict {
        Verdict::Inconclusive if worst.is_finite() => (worst, f64::NEG_INFINITY),
        Verdict::Holds => (value, f64::NEG_INFINITY),
        _ => (value, f64::INFINITY),
    };
    let view = View { after, open: !complete };
    let closest =
        if value.is_finite() { closest(formula, atoms, (from, to), view, from, value) } else { None };
    Judgement { closest, ..found }
}

/// The worst of several judgements of one requirement: the violated with the smallest robustness, then the
/// inconclusive, then those that hold.
#[must_use]
pub fn worst(all: impl IntoIterator<Item = Judgement>) -> Option<Judgement> {
    let rank = |j: &Judgement| match j.verdict {
        Verdict::Violated => 0,
        Verdict::Inconclusive => 1,
        Verdict::Holds => 2,
    };
    let mut found: Option<Judgement> = None;
    for (k, j) in all.into_iter().enumerate() {
        let j = Judgement { element: k as u32, ..j };
        let key = |j: &Judgement| (rank(j), j.robustness);
        if found.as_ref().is_none_or(|w| key(&j) < key(w)) {
            found = Some(j);
        }
    }
    found
}

/// The robustness of a formula at every instant of the span.
fn evaluate(f: &Formula, atoms: &[Signal], span: (f64, f64), view: View) -> Signal {
    let fold = |list: &[Formula], smaller: bool| {
        let neutral = if smaller { f64::INFINITY } else { f64::NEG_INFINITY };
        list.iter()
            .map(|f| evaluate(f, atoms, span, view))
            .reduce(|a, b| extreme(&a, &b, smaller))
            .unwrap_or_else(|| Signal::constant(span.0, span.1, neutral))
    };
    match f {
        Formula::Const(b) => {
            Signal::constant(span.0, span.1, if *b { f64::INFINITY } else { f64::NEG_INFINITY })
        }
        Formula::Atom(k) => match atoms.get(*k) {
            // What is no number anywhere is not known.
            Some(s) if s.0.iter().all(|p| p.1.is_nan()) => Signal::constant(span.0, span.1, view.after),
            Some(s) => s.clone(),
            None => Signal::constant(span.0, span.1, f64::NEG_INFINITY),
        },
        Formula::Not(f) => evaluate(f, atoms, span, View { after: -view.after, ..view }).map(|v| -v),
        Formula::And(list) => fold(list, true),
        Formula::Or(list) => fold(list, false),
        Formula::Windowed { every, past, window, formula } => {
            let s = evaluate(formula, atoms, span, view);
            over(&s, *past, *window, *every, view)
        }
        Formula::Until { past, window, left, right } => {
            let (p, q) = (evaluate(left, atoms, span, view), evaluate(right, atoms, span, view));
            // Nothing comes before the start; a window without end ends with the run.
            let after =
                if *past || (window.is_none() && !view.open) { f64::NEG_INFINITY } else { view.after };
            let all = if *past {
                until(&p.reversed(), &q.reversed(), after).reversed()
            } else {
                until(&p, &q, after)
            };
            let Some((a, b)) = *window else { return all };
            let reached = over(&q, *past, Some((a, b)), false, view);
            let mut out = extreme(&reached, &shifted(&all, *past, a, view), true);
            if a > 0.0 {
                out = extreme(&out, &over(&p, *past, Some((0.0, a)), true, view), true);
            }
            out
        }
    }
}

/// `t ↦ s(t + a)`, or `s(t − a)`.
fn shifted(s: &Signal, past: bool, a: f64, view: View) -> Signal {
    if a == 0.0 {
        return s.clone();
    }
    over(s, past, Some((a, a)), false, view)
}

/// The infimum (`every`) or supremum over a window ahead or behind.
fn over(s: &Signal, past: bool, window: Option<(f64, f64)>, every: bool, view: View) -> Signal {
    let none = if every { f64::INFINITY } else { f64::NEG_INFINITY };
    let (from, to) = s.span();
    let (a, b) = window.unwrap_or((0.0, to - from));
    if past {
        let beyond = Beyond { before: none, after: none };
        return sliding(&s.reversed(), a, b, every, beyond).reversed();
    }
    let after = if window.is_none() && !view.open { none } else { view.after };
    let b = if window.is_none() && view.open { b + 1.0 } else { b };
    sliding(s, a, b, every, Beyond { before: none, after })
}

/// The instant at which an atom makes the formula's value at `t` what it is.
fn closest(f: &Formula, atoms: &[Signal], span: (f64, f64), view: View, t: f64, value: f64) -> Option<f64> {
    let at = |f: &Formula, t: f64, v: f64, view: View| {
        let s = evaluate(f, atoms, span, view);
        let (a, b) = s.at(t)?;
        Some((a - v).abs().min((b - v).abs()))
    };
    match f {
        Formula::Const(_) => None,
        Formula::Atom(_) => Some(t),
        Formula::Not(f) => closest(f, atoms, span, View { after: -view.after, ..view }, t, -value),
        Formula::And(list) | Formula::Or(list) => {
            let near = list.iter().filter_map(|f| Some((f, at(f, t, value, view)?)));
            let (f, _) = near.min_by(|a, b| a.1.total_cmp(&b.1))?;
            closest(f, atoms, span, view, t, value)
        }
        Formula::Windowed { past, window, formula, .. } => {
            let s = evaluate(formula, atoms, span, view);
            let when = nearest(&s, *past, *window, t, value)?;
            closest(formula, atoms, span, view, when, value)
        }
        Formula::Until { past, window, left, right } => {
            let near = [(right, *window), (left, None)].into_iter().filter_map(|(f, w)| {
                let s = evaluate(f, atoms, span, view);
                let when = nearest(&s, *past, w, t, value)?;
                let (a, b) = s.at(when)?;
                Some((f, when, (a - value).abs().min((b - value).abs())))
            });
            let (f, when, _) = near.min_by(|a, b| a.2.total_cmp(&b.2))?;
            closest(f, atoms, span, view, when, value)
        }
    }
}

/// The first instant of the window at which the signal comes nearest to a value.
fn nearest(s: &Signal, past: bool, window: Option<(f64, f64)>, t: f64, value: f64) -> Option<f64> {
    let (from, to) = s.span();
    let (a, b) = window.unwrap_or((0.0, to - from));
    let (lo, hi) = if past { (t - b, t - a) } else { (t + a, t + b) };
    let (lo, hi) = (lo.max(from), hi.min(to));
    let mut best: Option<(f64, f64)> = None;
    let mut see = |when: f64, v: f64| {
        let d = (v - value).abs();
        if d.is_finite() && best.is_none_or(|(_, old)| d < old) {
            best = Some((when, d));
        }
    };
    for end in [lo, hi] {
        if let Some((x, y)) = s.at(end).filter(|_| lo <= hi) {
            see(end, x);
            see(end, y);
        }
    }
    let first = s.0.partition_point(|p| p.0 < lo);
    for p in s.0.iter().skip(first).take_while(|p| p.0 <= hi) {
        see(p.0, p.1);
    }
    best.map(|(when, _)| when)
}
