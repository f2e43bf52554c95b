//! A requirement while its run goes on: what its outer windows have seen is folded into one number each, and what
//! no window will look at again is forgotten.
//!
//! A formula is a combination (`and`, `or`, `not`) of parts, each the infimum or supremum over a window from the
//! run's start of an inner formula. An inner formula whose own windows have ends is known some time after the
//! instant it speaks of; the part then needs no more than that time of the trace. One without such an end (`always`
//! of `eventually`) needs the whole trace.

use super::follow::Extreme;
use super::signal::Signal;
use super::{Judgement, View, closest, conclude, evaluate};
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::requirement::{Atom, AtomKind, Formula};

/// A combination of parts.
#[derive(Clone, Debug)]
enum Tree {
    Const(bool),
    /// An atom that is computed when the run has ended.
    Late(usize),
    Part(usize),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

/// The infimum (`every`) or supremum of `inner` over `[from, to]`.
#[derive(Clone, Debug)]
struct Part {
    every: bool,
    from: f64,
    /// Infinite: the end of the run.
    to: f64,
    inner: Formula,
    /// Said of the start alone, as the run finds it.
    start: bool,
    /// How far behind and ahead of an instant the inner formula looks.
    behind: f64,
    ahead: f64,
    /// All up to here is in `value`.
    done: f64,
    value: f64,
    at: Option<f64>,
}

/// One requirement of one element.
#[derive(Clone, Debug)]
pub struct Online {
    tree: Tree,
    parts: Vec<Part>,
}

/// Roundings of time that may lie between the end of a window and that of the run.
const SLACK: f64 = 1e-12;

impl Online {
    /// For a formula over these atoms.
    #[must_use]
    pub fn new(formula: &Formula, atoms: &[Atom]) -> Online {
        let late: Vec<bool> = atoms.iter().map(|a| a.late).collect();
        let mut parts = Vec::new();
        let tree = split(formula, &late, &mut parts);
        Online { tree, parts }
    }

    /// What is folded, as bytes.
    pub(crate) fn save(&self, to: &mut Writer) {
        to.put(&self.parts.len());
        for p in &self.parts {
            to.put(&p.done).put(&p.value).put(&p.at);
        }
    }

    /// Into the same requirement.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        if from.length(17)? != self.parts.len() {
            return Err(Malformed { at, why: "the requirement has other parts".into() });
        }
        for p in &mut self.parts {
            (p.done, p.value, p.at) = from.get()?;
        }
        Ok(())
    }

    /// The earliest instant that is still looked at; infinite where nothing is.
    #[must_use]
    pub fn needs(&self) -> f64 {
        let one = |p: &Part| if p.done >= p.to { f64::INFINITY } else { p.done.max(p.from) - p.behind };
        self.parts.iter().map(one).fold(f64::INFINITY, f64::min)
    }

    /// The first instant after `now` at which what is known may decide although no comparison has changed since `turned`:
    /// a window ends, or has ended behind that change. Infinite where there is none.
    #[must_use]
    pub fn next_end(&self, now: f64, turned: f64) -> f64 {
        let ends = self.parts.iter().flat_map(|p| [p.to + p.ahead, turned + p.ahead]);
        ends.filter(|t| *t > now).fold(f64::INFINITY, f64::min)
    }

    /// Folds what the signals say for good. They go on after their end.
    pub fn fold(&mut self, atoms: &[Signal]) {
        let Some((start, now)) = atoms.first().map(Signal::span) else { return };
        for p in &mut self.parts {
            // A little before the last instant: the window of `hi` ends within the trace.
            let hi = (now - p.ahead - SLACK * 1e3 * (1.0 + now.abs())).min(p.to);
            // An inner formula without an end is not known yet.
            if hi.is_nan() || hi <= p.done {
                continue;
            }
            let lo = p.done.max(p.from);
            if hi >= lo {
                let view = View { after: f64::NAN, open: false };
                p.see(atoms, (start, now), (lo, hi), view);
            }
            p.done = hi;
        }
    }

    /// The verdict, where the signals end with the run. `complete`: the run reached its end.
    #[must_use]
    pub fn judge(&self, atoms: &[Signal], complete: bool) -> Judgement {
        let whole = |after: f64| self.value(&self.tree, atoms, View { after, open: !complete });
        conclude(whole(f64::NEG_INFINITY), whole(f64::INFINITY))
    }

    /// A value, and the instant that makes it so.
    fn value(&self, tree: &Tree, atoms: &[Signal], view: View) -> (f64, Option<f64>) {
        let among = |list: &[Tree], smaller: bool| {
            let none = if smaller { f64::INFINITY } else { f64::NEG_INFINITY };
            list.iter().map(|t| self.value(t, atoms, view)).fold((none, None), |a, b| {
                let better = if smaller { b.0 < a.0 } else { b.0 > a.0 };
                if better || b.0.is_nan() { b } else { a }
            })
        };
        match tree {
            Tree::Const(b) => (if *b { f64::INFINITY } else { f64::NEG_INFINITY }, None),
            Tree::Late(k) => (atoms.get(*k).and_then(|s| s.0.last()).map_or(f64::NAN, |p| p.1), None),
            Tree::Not(t) => {
                let (v, at) = self.value(t, atoms, View { after: -view.after, ..view });
                (-v, at)
            }
            Tree::And(list) => among(list, true),
            Tree::Or(list) => among(list, false),
            Tree::Part(k) => self.parts[*k].finish(atoms, view),
        }
    }
}

impl Part {
    fn better(&self, v: f64) -> bool {
        if self.every { v < self.value } else { v > self.value }
    }

    /// Takes in the inner formula over `lo..=hi`.
    fn see(&mut self, atoms: &[Signal], span: (f64, f64), (lo, hi): (f64, f64), view: View) {
        let s = evaluate(&self.inner, atoms, span, view);
        let mut best: Option<(f64, f64)> = None;
        if self.start {
            if let Some((v, _)) = s.at(0.0) {
                self.value = v;
                self.at = if v.is_finite() { closest(&self.inner, atoms, span, view, 0.0, v) } else { None };
            }
            return;
        }
        let ends = [lo, hi].into_iter().filter_map(|t| s.at(t).map(|(a, b)| [(t, a), (t, b)])).flatten();
        let first = s.0.partition_point(|p| p.0 < lo);
        let inside = s.0.iter().skip(first).take_while(|p| p.0 <= hi).copied();
        for (t, v) in ends.take(2).chain(inside).chain(s.at(hi).map(|(_, b)| (hi, b))) {
            let than = best.map_or(self.value, |b| b.1);
            if if self.every { v < than } else { v > than } {
                best = Some((t, v));
            }
        }
        if let Some((t, v)) = best {
            self.value = v;
            self.at = if v.is_finite() { closest(&self.inner, atoms, span, view, t, v) } else { None };
        }
    }

    /// What there is up to the end of the signals, and what may come.
    fn finish(&self, atoms: &[Signal], view: View) -> (f64, Option<f64>) {
        let mut p = self.clone();
        if p.done >= p.to {
            return (p.value, p.at);
        }
        let Some((start, now)) = atoms.first().map(Signal::span) else { return (f64::NAN, None) };
        let slack = SLACK * (1.0 + now.abs());
        let (lo, hi) = (p.done.max(p.from), p.to.min(now));
        if lo <= hi + slack {
            p.see(atoms, (start, now), (lo.min(hi), hi), view);
        }
        let goes_on = if p.to.is_finite() { p.to > now + slack } else { view.open };
        if goes_on && p.better(view.after) {
            return (view.after, None);
        }
        (p.value, p.at)
    }
}

fn split(f: &Formula, late: &[bool], parts: &mut Vec<Part>) -> Tree {
    let mut part = |every: bool, start: bool, (from, to): (f64, f64), inner: &Formula| {
        let (behind, ahead) = reach(inner, late);
        let value = if every { f64::INFINITY } else { f64::NEG_INFINITY };
        let done = f64::NEG_INFINITY;
        parts.push(Part {
            every,
            start,
            from,
            to,
            inner: inner.clone(),
            behind,
            ahead,
            done,
            value,
            at: None,
        });
        Tree::Part(parts.len() - 1)
    };
    match f {
        Formula::Const(b) => Tree::Const(*b),
        Formula::Atom(k) if late.get(*k).copied().unwrap_or(false) => Tree::Late(*k),
        Formula::Not(f) => Tree::Not(Box::new(split(f, late, parts))),
        Formula::And(list) => Tree::And(list.iter().map(|f| split(f, late, parts)).collect()),
        Formula::Or(list) => Tree::Or(list.iter().map(|f| split(f, late, parts)).collect()),
        Formula::Windowed { every, past: false, window, formula } => {
            part(*every, false, window.unwrap_or((0.0, f64::INFINITY)), formula)
        }
        // What is said of the start alone.
        _ => part(true, true, (0.0, 0.0), f),
    }
}

/// Whether a formula asks for nothing but extrema of margins over the whole run: `always` of comparisons that must all hold,
/// `eventually` of comparisons of which one must, and combinations of these. `wanted` then says which, for each atom.
pub fn extremes(f: &Formula, atoms: &[Atom], wanted: &mut [Option<Extreme>]) -> bool {
    fn all(f: &Formula, atoms: &[Atom], least: bool, every: bool, wanted: &mut [Option<Extreme>]) -> bool {
        match f {
            Formula::Const(_) => true,
            Formula::Atom(k) => {
                let (Some(a), Some(place)) = (atoms.get(*k), wanted.get_mut(*k)) else { return false };
                if a.late {
                    return true;
                }
                let extreme = if least == (a.scale > 0.0) { Extreme::Least } else { Extreme::Greatest };
                let fits = place.is_none_or(|p| p == extreme);
                *place = Some(extreme);
                fits && matches!(a.kind, AtomKind::Margin { .. }) && a.scale != 0.0
            }
            Formula::Not(f) => all(f, atoms, !least, !every, wanted),
            Formula::And(list) if every => list.iter().all(|f| all(f, atoms, least, every, wanted)),
            Formula::Or(list) if !every => list.iter().all(|f| all(f, atoms, least, every, wanted)),
            _ => false,
        }
    }
    match f {
        Formula::Const(_) => true,
        Formula::Atom(k) => atoms.get(*k).is_some_and(|a| a.late),
        Formula::Not(f) => matches!(**f, Formula::Atom(_) | Formula::Const(_)) && extremes(f, atoms, wanted),
        Formula::And(list) | Formula::Or(list) => list.iter().all(|f| extremes(f, atoms, wanted)),
        Formula::Windowed { every, past: false, window, formula }
            if window.is_none_or(|w| w.0 <= 0.0 && w.1 == f64::INFINITY) =>
        {
            all(formula, atoms, *every, *every, wanted)
        }
        _ => false,
    }
}

/// How far behind and ahead of an instant a formula looks.
fn reach(f: &Formula, late: &[bool]) -> (f64, f64) {
    let far = |list: &mut dyn Iterator<Item = &Formula>| {
        list.map(|f| reach(f, late)).fold((0.0f64, 0.0f64), |a, b| (a.0.max(b.0), a.1.max(b.1)))
    };
    let moved = |past: bool, window: Option<(f64, f64)>, (behind, ahead): (f64, f64)| {
        let by = window.map_or(f64::INFINITY, |w| w.1);
        if past { (behind + by, ahead) } else { (behind, ahead + by) }
    };
    match f {
        Formula::Const(_) => (0.0, 0.0),
        // It is known when the run has ended.
        Formula::Atom(k) if late.get(*k).copied().unwrap_or(false) => (0.0, f64::INFINITY),
        Formula::Atom(_) => (0.0, 0.0),
        Formula::Not(f) => reach(f, late),
        Formula::And(list) | Formula::Or(list) => far(&mut list.iter()),
        Formula::Windowed { past, window, formula, .. } => moved(*past, *window, reach(formula, late)),
        Formula::Until { past, window, left, right } => {
            moved(*past, *window, far(&mut [&**left, &**right].into_iter()))
        }
    }
}
