//! What is made of a quantity, or of a truth value, over a window of a run, while the run goes on.
//!
//! Numbers are integrated by Simpson's rule over pieces on which they are smooth. Extrema are those of the rows,
//! which contain the extrema between steps. All but quantiles need constant memory; those keep a few numbers a piece.

use super::{View, evaluate};
use crate::monitor::signal::{Point, Signal};
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::requirement::{Formula, Measure};

/// A measure of a number.
#[derive(Clone, Debug)]
pub struct Number {
    measure: Measure,
    window: (f64, f64),
    /// The first value, from which all others are taken for accuracy.
    shift: f64,
    area: f64,
    square: f64,
    span: f64,
    least: f64,
    most: f64,
    first: Option<(f64, f64)>,
    last: f64,
    /// For quantiles: duration and the values at both ends.
    parts: Vec<(f64, f64, f64)>,
}

impl Number {
    /// Over a window of the run.
    #[must_use]
    pub fn new(measure: Measure, window: Option<(f64, f64)>) -> Number {
        Number {
            measure,
            window: window.unwrap_or((0.0, f64::INFINITY)),
            shift: 0.0,
            area: 0.0,
            square: 0.0,
            span: 0.0,
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
            first: None,
            last: f64::NAN,
            parts: Vec::new(),
        }
    }

    /// What it has measured, as bytes.
    pub(crate) fn save(&self, to: &mut Writer) {
        to.put(&self.shift).put(&self.area).put(&self.square).put(&self.span);
        to.put(&self.least).put(&self.most).put(&self.first).put(&self.last).put(&self.parts);
    }

    /// Into the same measure.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        (self.shift, self.area, self.square, self.span) = from.get()?;
        (self.least, self.most, self.first, self.last) = from.get()?;
        self.parts = from.get()?;
        Ok(())
    }

    /// The value at an instant.
    pub fn row(&mut self, t: f64, v: f64) {
        if !(self.window.0 <= t && t <= self.window.1) {
            return;
        }
        if self.first.is_none_or(|(at, _)| at == t) {
            // The right limit of the window's start counts.
            (self.first, self.shift) = (Some((t, v)), if v.is_finite() { v } else { 0.0 });
        }
        (self.least, self.most, self.last) = (self.least.min(v), self.most.max(v), v);
    }

    /// A smooth piece, with the values at its ends and in its middle.
    pub fn piece(&mut self, from: f64, to: f64, [a, m, b]: [f64; 3]) {
        if !(self.window.0 <= from && to <= self.window.1) {
            return;
        }
        for v in [Some(m), super::follow::vertex([a, m, b]).map(|v| v.1)].into_iter().flatten() {
            (self.least, self.most) = (self.least.min(v), self.most.max(v));
        }
        let dt = to - from;
        let (x, y, z) = (a - self.shift, m - self.shift, b - self.shift);
        self.area += dt / 6.0 * (x + 4.0 * y + z);
        self.square += dt / 6.0 * (x * x + 4.0 * y * y + z * z);
        self.span += dt;
        if matches!(self.measure, Measure::Quantile(_)) {
            self.parts.extend([(dt / 2.0, a, m), (dt / 2.0, m, b)]);
        }
    }

    /// The measure; not a number where the window holds no instant.
    #[must_use]
    pub fn value(&self) -> f64 {
        let Some((_, first)) = self.first else { return f64::NAN };
        let mean = if self.span > 0.0 { self.shift + self.area / self.span } else { self.last };
        match self.measure {
            Measure::Mean | Measure::Fraction => mean,
            Measure::Min => self.least,
            Measure::Max => self.most,
            Measure::Integral => self.area + self.shift * self.span,
            Measure::Sd if self.span > 0.0 => {
                let off = self.area / self.span;
                (self.square / self.span - off * off).max(0.0).sqrt()
            }
            Measure::Sd => 0.0,
            Measure::First => first,
            Measure::Last => self.last,
            Measure::Quantile(p) => self.quantile(p),
            Measure::Count | Measure::FirstTime => f64::NAN,
        }
    }

    /// By halving: the share of time below a value grows with the value.
    fn quantile(&self, p: f64) -> f64 {
        let below = |q: f64| -> f64 {
            let part = |&(dt, a, b): &(f64, f64, f64)| {
                let (lo, hi) = if a < b { (a, b) } else { (b, a) };
                if hi <= q {
                    dt
                } else if lo >= q {
                    0.0
                } else {
                    dt * ((q - lo) / (hi - lo))
                }
            };
            self.parts.iter().map(part).sum()
        };
        let (mut lo, mut hi) = (self.least, self.most);
        if p <= 0.0 || self.span <= 0.0 {
            return lo;
        }
        if p >= 1.0 {
            return hi;
        }
        // Each round takes a bit of the value.
        for _ in 0..80 {
            let mid = lo + (hi - lo) / 2.0;
            if mid <= lo || mid >= hi {
                break;
            }
            if below(mid) >= p * self.span { hi = mid } else { lo = mid }
        }
        hi
    }
}

/// A measure of a truth value, given by a formula without temporal operators.
#[derive(Clone, Debug)]
pub struct Truth {
    measure: Measure,
    window: (f64, f64),
    formula: Formula,
    /// The last point of each atom, and what the formula said there.
    last: Option<(f64, Vec<f64>)>,
    on: bool,
    begun: Option<f64>,
    end: f64,
    held: f64,
    edges: u64,
    first: f64,
    start: Option<(f64, bool)>,
    finish: bool,
}

impl Truth {
    /// Over a window of the run.
    #[must_use]
    pub fn new(measure: Measure, window: Option<(f64, f64)>, formula: Formula) -> Truth {
        Truth {
            measure,
            window: window.unwrap_or((0.0, f64::INFINITY)),
            formula,
            last: None,
            on: false,
            begun: None,
            end: 0.0,
            held: 0.0,
            edges: 0,
            first: f64::INFINITY,
            start: None,
            finish: false,
        }
    }

    /// What it has measured, as bytes.
    pub(crate) fn save(&self, to: &mut Writer) {
        to.put(&self.last).put(&self.on).put(&self.begun).put(&self.end).put(&self.held);
        to.put(&self.edges).put(&self.first).put(&self.start).put(&self.finish);
    }

    /// Into the same measure, of this many atoms.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(crate) fn load(&mut self, atoms: usize, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        (self.last, self.on, self.begun, self.end) = from.get()?;
        (self.held, self.edges, self.first, self.start) = from.get()?;
        self.finish = from.get()?;
        let fits = self.last.as_ref().is_none_or(|(_, row)| row.len() == atoms);
        if !fits || self.edges >= 1 << 60 {
            return Err(Malformed { at, why: "the measure is of other quantities".into() });
        }
        Ok(())
    }

    /// The atoms at an instant; `steps`: which of them hold up to the next.
    pub fn row(&mut self, t: f64, atoms: Vec<f64>, steps: &[bool]) {
        let signal = |(k, v): (usize, &f64)| {
            let before = self.last.as_ref().map(|(at, values)| (*at, values[k]));
            let step = steps.get(k).copied().unwrap_or(false);
            Signal::of_rows(before.into_iter().chain([(t, *v)]), step)
        };
        let signals: Vec<Signal> = atoms.iter().enumerate().map(signal).collect();
        let from = self.last.as_ref().map_or(t, |l| l.0);
        let view = View { after: f64::NAN, open: false };
        let said = evaluate(&self.formula, &signals, (from, t), view);
        let mut before: Option<Point> = None;
        for &(at, v) in &said.0 {
            match before {
                None if self.last.is_none() => self.turn(at, v >= 0.0, true),
                None => self.turn(at, v >= 0.0, false),
                Some((t0, v0)) => {
                    let cross = at > t0 && (v0 >= 0.0) != (v >= 0.0) && v0.is_finite() && v.is_finite();
                    let turns = if cross { t0 + (at - t0) * (v0 / (v0 - v)) } else { at };
                    self.hold(t0, turns);
                    self.turn(turns, v >= 0.0, false);
                    self.hold(turns, at);
                }
            }
            before = Some((at, v));
        }
        self.last = Some((t, atoms));
    }

    /// From `from` to `to` it is as it is now.
    fn hold(&mut self, from: f64, to: f64) {
        let (lo, hi) = (from.max(self.window.0), to.min(self.window.1));
        if lo > hi {
            return;
        }
        self.begun.get_or_insert(lo);
        self.end = hi;
        if self.on {
            self.held += hi - lo;
            self.first = self.first.min(lo);
        }
    }

    fn turn(&mut self, t: f64, on: bool, initial: bool) {
        let inside = self.window.0 <= t && t <= self.window.1;
        if inside && on && !self.on && !initial {
            self.edges += 1;
        }
        self.on = on;
        if inside && on {
            self.first = self.first.min(t);
        }
        if t <= self.window.0 || self.start.is_none_or(|(at, _)| at == t) {
            self.start = Some((t, on));
        }
        if t <= self.window.1 {
            self.finish = on;
            self.hold(t, t);
        }
    }

    /// The measure; not a number where the window holds no instant.
    #[must_use]
    pub fn value(&self) -> f64 {
        let Some(begun) = self.begun else { return f64::NAN };
        let span = self.end - begun;
        let number = |b: bool| if b { 1.0 } else { 0.0 };
        match self.measure {
            Measure::Mean | Measure::Fraction if span > 0.0 => self.held / span,
            Measure::Mean | Measure::Fraction => number(self.on),
            Measure::Integral => self.held,
            Measure::Count => self.edges as f64,
            Measure::First => number(self.start.is_some_and(|s| s.1)),
            Measure::Last => number(self.finish),
            Measure::FirstTime => self.first,
            Measure::Min | Measure::Max | Measure::Sd | Measure::Quantile(_) => f64::NAN,
        }
    }
}
