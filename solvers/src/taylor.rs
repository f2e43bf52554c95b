//! The Taylor method, of an order that the tolerance asks for, with variable steps.
//!
//! Equation: `x(t + h) = Σ x[k]·h^k`, `k = 0 … p`, with the coefficients `x[k]` from the system's own recurrences
//! ([`System::taylor`]). The step is such that the last two terms stay below the tolerance (Jorba and Zou, "A software
//! package for the numerical integration of ODEs by means of high-order Taylor methods", Experimental Mathematics 14, 2005,
//! §3.2). Their order, `⌈1 − ½·ln rtol⌉`, is the cheapest where all work grows with its square; elementary functions,
//! step control and sums that grow with the order itself make a higher one cheaper ([`order`]). What the polynomial leaves over in the equation at the end of the
//! step judges it, as for every method here; it costs little, since the coefficients there are those of the next
//! step. The polynomial is the dense output. All memory is taken by `start`.
//!
//! [`crate::lanes::taylor`] does the same operations on lanes.

use crate::control::{Clock, inverse_weight, not_finite, rough_exp2, rough_log2, weight};
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::lanes::seat::{Place, Seat, SeatCode, Shape};
use crate::lanes::taylor::seat;
use crate::lanes::writer::{Control, Slot, status};
use crate::state;
use crate::stats::Stats;
use crate::system::{EvalError, System};
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;

/// A step is so much shorter than what the last terms allow.
pub(crate) const SAFETY: f64 = 0.9;
/// No step is longer than so many times the one before: where the last terms vanish at a point they say nothing.
pub(crate) const GROWTH: f64 = 8.0;
/// No step is shorter than so many roundings of the time, unless the defect wants it.
pub(crate) const RESOLUTION: f64 = 32.0 * f64::EPSILON;
/// By what a step that was refused is made shorter: of high order, the defect then is far smaller.
pub(crate) const SHORTER: f64 = 0.5;
/// The same where there was no defect.
pub(crate) const OUTSIDE: f64 = 0.25;
/// Parts of a step between which a kink is looked for.
const PARTS: u32 = 8;

/// With the sum of squares `q` of the weighted terms of order `k` of `n` states, the step that they allow is 2 to the
/// power of `a·log₂ q + b`: the root mean square is 1 at it, without the safety factor.
pub(crate) fn allowed(n: usize, k: u32) -> (f64, f64) {
    let a = -0.5 / f64::from(k);
    (a, rough_log2(SAFETY) - a * rough_log2(n.max(1) as f64))
}

/// Tolerances at each of which the order rises by one, from 8.
const DIGITS: [f64; 16] =
    [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16];

/// The order for a relative tolerance: 8 and one for each digit, at most 24. Measured on lanes at equal errors, with two,
/// three and six states: one or two orders away from it work grows by a few percent.
#[must_use]
pub fn order(rtol: f64) -> u32 {
    8 + DIGITS.iter().filter(|&&d| rtol < d || rtol.is_nan()).count() as u32
}

/// The method at work.
#[derive(Clone, Debug)]
pub struct Taylor {
    options: Options,
    order: u32,
    atol: Vec<f64>,
    clock: Clock,
    stats: Stats,
    h: f64,
    h_done: f64,
    x: Vec<f64>,
    x_prev: Vec<f64>,
    /// Coefficients at `x`, of order 1 first.
    c: Vec<f64>,
    /// Those at `x_prev`.
    c_prev: Vec<f64>,
    /// Slopes of the polynomial at the end of a step.
    slope: Vec<f64>,
    /// One over the tolerance of each state at `x`, and at `x_prev`.
    inverse: Vec<f64>,
    inverse_prev: Vec<f64>,
    /// Scratch: a state inside of a step, and what the equations say there.
    inside: [Vec<f64>; 2],
    ready: bool,
}

impl Taylor {
    /// Not started yet.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Taylor {
            options: options.clone(),
            order: order(options.tolerances.rtol),
            atol: Vec::new(),
            clock: Clock::new(options),
            stats: Stats::default(),
            h: 0.0,
            h_done: 0.0,
            x: Vec::new(),
            x_prev: Vec::new(),
            c: Vec::new(),
            c_prev: Vec::new(),
            slope: Vec::new(),
            inverse: Vec::new(),
            inverse_prev: Vec::new(),
            inside: Default::default(),
            ready: false,
        }
    }

    fn begin(
        &mut self,
        sys: &mut dyn System,
        t: f64,
        x: &[f64],
        stop: f64,
        h: Option<f64>,
    ) -> Result<(), SolveError> {
        let n = sys.dim();
        if x.len() != n {
            return Err(SolveError::Dimension { expected: n, got: x.len() });
        }
        if self.x.len() != n || self.atol.len() != n {
            self.atol = self.options.tolerances.expand(n)?;
            let all = n * self.order as usize;
            for (v, len) in [
                (&mut self.x, n),
                (&mut self.x_prev, n),
                (&mut self.c, all),
                (&mut self.c_prev, all),
                (&mut self.slope, n),
                (&mut self.inverse, n),
                (&mut self.inverse_prev, n),
            ] {
                v.clear();
                v.resize(len, 0.0);
            }
        }
        for v in &mut self.inside {
            v.resize(n, 0.0);
        }
        self.clock.start(t, stop)?;
        self.h_done = 0.0;
        self.x.copy_from_slice(x);
        self.x_prev.copy_from_slice(x);
        if let Some(state) = not_finite(x) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.expand(sys)?;
        self.weigh();
        self.h = match h {
            Some(h) => h,
            None => self.radius(t, f64::INFINITY).0,
        };
        self.ready = true;
        Ok(())
    }

    /// The coefficients at the point reached.
    fn expand(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        let t = self.clock.t;
        self.stats.rhs += 1;
        let done = sys.taylor(t, &self.x, self.order, &mut self.c).ok_or(SolveError::NoTaylor)?;
        done.map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
        match not_finite(&self.c) {
            Some(state) if state < self.x.len() => Err(SolveError::NotFinite { t, state }),
            Some(k) => Err(SolveError::NoSeries { t, state: k % self.x.len().max(1) }),
            None => Ok(()),
        }
    }

    /// What the errors of the states at `x` are measured by.
    fn weigh(&mut self) {
        for (i, w) in self.inverse.iter_mut().enumerate() {
            *w = inverse_weight(self.atol[i], self.options.tolerances.rtol, self.x[i].abs());
        }
    }

    /// The step from `t` that the last two terms allow, not beyond `most`, and whether they are finite.
    fn radius(&self, t: f64, most: f64) -> (f64, bool) {
        let n = self.x.len();
        let (mut y, mut finite) = (f64::INFINITY, true);
        for k in [self.order - 1, self.order] {
            let terms = &self.c[(k as usize - 1) * n..k as usize * n];
            let sum = squares(n, |i| terms[i] * self.inverse[i]);
            finite &= sum < f64::INFINITY;
            let (a, b) = allowed(n, k);
            let log = rough_log2(sum).mul_add(a, b);
            y = if log < y { log } else { y };
        }
        // Both terms may vanish; towards a point where the series ends (a root's zero) they ask for ever shorter steps:
        // time moves on all the same, and the defect judges.
        let h = rough_exp2(y);
        let least = RESOLUTION * t.abs();
        let h = if h < most { h } else { most };
        (if h > least { h } else { least }, finite)
    }

    /// The mean square of what the polynomial of the last step leaves over at `x`, weighted.
    fn judge(&self, h: f64) -> f64 {
        let n = self.x.len();
        let sum = squares(n, |i| {
            let (a, b) = (self.inverse[i], self.inverse_prev[i]);
            (self.slope[i] - self.c[i]) * if a < b { a } else { b }
        });
        let scale = h * (1.0 / f64::from(self.order + 1));
        sum * (scale * scale) * (1.0 / n.max(1) as f64)
    }
}

/// The sum of squares, each fused with those before.
fn squares(n: usize, of: impl Fn(usize) -> f64) -> f64 {
    let mut sum = 0.0;
    for i in 0..n {
        let e = of(i);
        sum = if i == 0 { e * e } else { f64::mul_add(e, e, sum) };
    }
    sum
}

/// `x + Σ c[k]·h^k`, and the slope there.
fn horner(x: &[f64], c: &[f64], h: f64, out: &mut [f64], slope: &mut [f64]) {
    pulp::Arch::new().dispatch(Horner { x, c, h, out, slope });
}

struct Horner<'a> {
    x: &'a [f64],
    c: &'a [f64],
    h: f64,
    out: &'a mut [f64],
    slope: &'a mut [f64],
}

impl pulp::WithSimd for Horner<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: pulp::Simd>(self, _: I) {
        let Horner { x, c, h, out, slope } = self;
        let n = x.len();
        let (out, slope) = (&mut out[..n], &mut slope[..n]);
        let mut terms = c.chunks_exact(n.max(1)).rev();
        let Some(last) = terms.next() else { return };
        let Some(before) = terms.next() else { return };
        for i in 0..n {
            out[i] = last[i].mul_add(h, before[i]);
            slope[i] = last[i];
        }
        for terms in terms.chain([x]) {
            for i in 0..n {
                slope[i] = slope[i].mul_add(h, out[i]);
                out[i] = out[i].mul_add(h, terms[i]);
            }
        }
    }
}

/// `x + Σ c[k]·h^k`
fn value(x: &[f64], c: &[f64], h: f64, out: &mut [f64]) {
    pulp::Arch::new().dispatch(Polynomial { x, c, h, out });
}

struct Polynomial<'a> {
    x: &'a [f64],
    c: &'a [f64],
    h: f64,
    out: &'a mut [f64],
}

impl pulp::WithSimd for Polynomial<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: pulp::Simd>(self, _: I) {
        let Polynomial { x, c, h, out } = self;
        let out = &mut out[..x.len()];
        out.fill(0.0);
        for terms in c.chunks_exact(x.len().max(1)).rev().chain([x]) {
            for (o, &c) in out.iter_mut().zip(terms) {
                *o = o.mul_add(h, c);
            }
        }
    }
}

impl Integrator for Taylor {
    fn method(&self) -> Method {
        Method::Taylor
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(Method::Taylor)?;
        self.stats = Stats::default();
        self.ready = false;
        self.begin(sys, t, x, stop, self.options.h)
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.stats.restarts += 1;
        self.begin(sys, t, x, stop, None)
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if !self.ready {
            return Err(SolveError::NotStarted);
        }
        let start = self.clock.t;
        let mut fresh = true;
        loop {
            let trial = self.clock.trial(self.h, &self.stats)?;
            if fresh {
                // only now is the last step's dense output given up
                std::mem::swap(&mut self.x, &mut self.x_prev);
                std::mem::swap(&mut self.c, &mut self.c_prev);
                std::mem::swap(&mut self.inverse, &mut self.inverse_prev);
                fresh = false;
            }
            horner(&self.x_prev, &self.c_prev, trial.h, &mut self.x, &mut self.slope);
            self.stats.rhs += 1;
            let done = sys.taylor(trial.t, &self.x, self.order, &mut self.c).ok_or(SolveError::NoTaylor)?;
            self.weigh();
            // What was wanted before the stop time made the step shorter was allowed as well.
            let wanted = if trial.cut { self.h.max(trial.h) } else { trial.h };
            let (next, finite) = self.radius(trial.t, GROWTH * wanted);
            let error = match done {
                Ok(()) if finite => self.judge(trial.h),
                Ok(()) | Err(EvalError::Recoverable { .. }) => f64::NAN,
                Err(error) => {
                    self.undo();
                    return Err(SolveError::Eval { t: start, h: trial.h, error });
                }
            };
            if error <= 1.0 {
                self.h_done = trial.h;
                self.clock.advance(trial.t);
                self.stats.steps += 1;
                self.h = next;
                return Ok(());
            }
            self.stats.rejected += 1;
            if error.is_finite() {
                self.stats.error_test_failures += 1;
                self.h = SHORTER * trial.h;
            } else {
                self.h = OUTSIDE * trial.h;
            }
            if self.clock.stuck(self.h) {
                let failure = match done {
                    Err(error) => SolveError::Eval { t: start, h: trial.h, error },
                    Ok(()) => SolveError::StepTooSmall {
                        t: start,
                        h: trial.h,
                        state: self.worst(trial.h),
                        error: error.sqrt(),
                    },
                };
                self.undo();
                return Err(failure);
            }
        }
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.clock.set_stop(stop)
    }

    fn t(&self) -> f64 {
        self.clock.t
    }

    fn t_prev(&self) -> f64 {
        self.clock.t_prev
    }

    fn x(&self) -> &[f64] {
        &self.x
    }

    fn interpolate(&self, t: f64, out: &mut [f64]) {
        if t == self.clock.t || self.h_done == 0.0 {
            out.copy_from_slice(&self.x);
        } else if t == self.clock.t_prev {
            out.copy_from_slice(&self.x_prev);
        } else {
            value(&self.x_prev, &self.c_prev, t - self.clock.t_prev, out);
        }
    }

    fn seat(&mut self) -> Option<&mut dyn Seat> {
        Some(self)
    }

    fn h(&self) -> f64 {
        self.h
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn clone_box(&self) -> Box<dyn Integrator> {
        Box::new(self.clone())
    }

    fn save(&self, to: &mut Writer) {
        state::begin(to, Method::Taylor, self.ready);
        if !self.ready {
            return;
        }
        self.clock.save(to);
        to.put(&self.stats).put(&self.h).put(&self.h_done);
        for v in [&self.x, &self.x_prev, &self.c, &self.c_prev] {
            to.slice(v);
        }
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Self::new(&self.options);
        if !state::begun(from, Method::Taylor)? {
            return Ok(());
        }
        let n = sys.dim();
        let all = n * self.order as usize;
        self.atol = self.options.tolerances.expand(n).map_err(|e| from.malformed(e.to_string()))?;
        self.clock.load(from)?;
        self.stats = from.get()?;
        (self.h, self.h_done) = (state::length(from)?, state::length(from)?);
        for (v, len) in [(&mut self.x, n), (&mut self.x_prev, n), (&mut self.c, all), (&mut self.c_prev, all)]
        {
            state::vector(from, v, len)?;
        }
        let [a, b] = &mut self.inside;
        for v in [&mut self.slope, &mut self.inverse, &mut self.inverse_prev, a, b] {
            v.resize(n, 0.0);
        }
        self.weigh();
        self.ready = true;
        Ok(())
    }
}

impl Seat for Taylor {
    fn shape(&self) -> Shape {
        Shape::Taylor(Control::of(&self.options, &self.atol))
    }

    fn put(
        &mut self,
        _: &mut dyn System,
        _: &SeatCode,
        memory: &mut LaneMemory,
        lane: usize,
        _: f64,
    ) -> Option<u64> {
        let (t, stop) = (self.clock.t, self.clock.stop);
        if !(self.ready && self.clock.has_room(&self.stats)) {
            return None;
        }
        let mut place = Place::new(memory, lane);
        place.set(Space::Time, 0, t);
        place.set_all(Space::State, &self.x);
        for (slot, value) in [
            (Slot::H, self.h),
            (Slot::Stop, stop),
            (Slot::LogOld, 0.0),
            (Slot::Rejected, 0.0),
            (Slot::Status, status::RUNNING),
            (Slot::Steps, self.stats.steps as f64),
            (Slot::Trials, self.stats.rejected as f64),
        ] {
            place.set(Space::Jac, slot as usize, value);
        }
        let first = seat::next(self.x.len() as u32, self.order);
        for (k, &c) in self.c.iter().enumerate() {
            place.set(Space::Jac, first + k, c);
        }
        Some(1)
    }

    fn take(&mut self, _: &mut dyn System, _: &SeatCode, memory: &LaneMemory, lane: usize, _: u64) {
        let at = |slot: usize| memory.slot(Space::Jac, slot)[lane];
        let (steps, rejected) = (at(Slot::Steps as usize) as u64, at(Slot::Trials as usize) as u64);
        let more = rejected - self.stats.rejected;
        self.stats.rhs += steps - self.stats.steps + more;
        self.stats.error_test_failures += more;
        (self.stats.steps, self.stats.rejected) = (steps, rejected);
        self.h = at(Slot::H as usize);
        self.h_done = at(seat::LENGTH as usize);
        // Steps of which nobody heard may lie between.
        self.clock.t = memory.slot(Space::Time, 0)[lane];
        self.clock.t_prev = at(seat::FROM as usize);
        for (i, x) in self.x.iter_mut().enumerate() {
            *x = memory.slot(Space::State, i)[lane];
        }
        let kept = self.x_prev.iter_mut().chain(&mut self.c_prev);
        for (k, v) in kept.enumerate() {
            *v = at(seat::STATES as usize + k);
        }
        let first = seat::next(self.x.len() as u32, self.order);
        for (k, c) in self.c.iter_mut().enumerate() {
            *c = at(first + k);
        }
        self.weigh();
    }
}

impl Taylor {
    /// Whether the polynomial of the last step leaves more than the tolerance over in the equations inside of it. Where a step
    /// enters the other side of a kink and comes back, the equations hold at its end, and the defect there tells nothing.
    pub(crate) fn strays(&mut self, sys: &mut dyn System) -> bool {
        let (n, h) = (self.x.len(), self.h_done);
        let [x, f] = &mut self.inside;
        (1..PARTS).any(|k| {
            let part = h * (f64::from(k) / f64::from(PARTS));
            horner(&self.x_prev, &self.c_prev, part, x, &mut self.slope);
            self.stats.rhs += 1;
            if sys.rhs(self.clock.t_prev + part, x, f).is_err() {
                return true;
            }
            let sum = squares(n, |i| {
                let (a, b) = (self.inverse[i], self.inverse_prev[i]);
                (self.slope[i] - f[i]) * h * if a < b { a } else { b }
            });
            sum > n as f64 || sum.is_nan()
        })
    }

    /// Takes the last step back, as if it had been refused.
    pub(crate) fn take_back(&mut self) {
        self.clock.t = self.clock.t_prev;
        self.stats.steps -= 1;
        self.stats.rejected += 1;
        self.stats.error_test_failures += 1;
        self.undo();
    }

    /// After a failure: the state before the step is the state again; the last step's dense output is gone.
    fn undo(&mut self) {
        self.x.copy_from_slice(&self.x_prev);
        self.c.copy_from_slice(&self.c_prev);
        self.inverse.copy_from_slice(&self.inverse_prev);
        self.clock.t_prev = self.clock.t;
        self.h_done = 0.0;
    }

    /// The state whose last terms are the largest for its tolerance.
    fn worst(&self, h: f64) -> usize {
        let n = self.x_prev.len();
        let last = &self.c_prev[(self.order as usize - 1) * n..];
        let size = |i: usize| {
            let w = weight(self.atol[i], self.options.tolerances.rtol, self.x_prev[i], self.x_prev[i]);
            (last[i] * h / w).abs()
        };
        (0..n).max_by(|&a, &b| size(a).total_cmp(&size(b))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_order_follows_the_tolerance() {
        for (rtol, want) in [(0.5, 8), (1e-1, 8), (1e-2, 9), (1e-4, 11), (1e-6, 13), (1e-12, 19), (1e-16, 23)]
        {
            assert_eq!(order(rtol), want, "{rtol}");
        }
        assert_eq!((order(0.0), order(f64::NAN)), (24, 24));
    }
}
