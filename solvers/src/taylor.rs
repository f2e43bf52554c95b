//! The Taylor method, of an order that the tolerance asks for, with variable steps.
//!
//! Equation: `x(t + h) = Σ x[k]·h^k`, `k = 0 … p`, with the coefficients `x[k]` from the system's own recurrences
//! ([`System::taylor`]). The order is `p = ⌈1 − ½·ln rtol⌉` (Jorba and Zou, "A software package for the numerical
//! integration of ODEs by means of high-order Taylor methods", Experimental Mathematics 14, 2005, §3.1), the step such
//! that the last two terms stay below the tolerance. What the polynomial leaves over in the equation at the end of the
//! step judges it, as for every method here; it costs nothing, since the coefficients there are those of the next
//! step. The polynomial is the dense output. All memory is taken by `start`.

use crate::control::{Clock, not_finite, power, weight};
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::stats::Stats;
use crate::system::{EvalError, System};

/// Lowest and highest order.
const ORDERS: std::ops::RangeInclusive<u32> = 4..=24;
/// A step is so much shorter than what the last terms allow.
const SAFETY: f64 = 0.9;
/// No step is longer than so many times the one before: where the last terms vanish at a point they say nothing.
const GROWTH: f64 = 8.0;

/// No step is shorter than so many roundings of the time, unless the defect wants it.
const RESOLUTION: f64 = 32.0;

/// The order for a relative tolerance.
#[must_use]
pub fn order(rtol: f64) -> u32 {
    // Without a logarithm, so that it is the same everywhere: order p serves down to e^(2 − 2p), the lowest to e^-6.
    let (mut p, mut bound) = (*ORDERS.start(), 2.478_752_176_666_358_5e-3);
    while p < *ORDERS.end() && (rtol < bound || rtol.is_nan()) {
        p += 1;
        // e^-2
        bound *= 0.135_335_283_236_612_7;
    }
    p
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
            for (v, len) in
                [(&mut self.x, n), (&mut self.x_prev, n), (&mut self.c, all), (&mut self.c_prev, all)]
            {
                v.clear();
                v.resize(len, 0.0);
            }
        }
        self.clock.start(t, stop)?;
        self.h_done = 0.0;
        self.x.copy_from_slice(x);
        self.x_prev.copy_from_slice(x);
        if let Some(state) = not_finite(x) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.expand(sys)?;
        self.h = match h {
            Some(h) => h,
            None => self.radius(f64::INFINITY),
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

    /// The step that the last two terms allow, not beyond `most`.
    fn radius(&self, most: f64) -> f64 {
        let n = self.x.len();
        let mut h = most;
        for k in [self.order - 1, self.order] {
            let terms = &self.c[(k as usize - 1) * n..k as usize * n];
            let mut sum = 0.0;
            for i in 0..n {
                let e = terms[i] / weight(self.atol[i], self.options.tolerances.rtol, self.x[i], self.x[i]);
                sum += e * e;
            }
            let norm = (sum / n.max(1) as f64).sqrt();
            if norm > 0.0 {
                h = h.min(SAFETY * power(norm, -1.0 / f64::from(k)));
            }
        }
        // Both terms may vanish; towards a point where the series ends (a root's zero) they ask for ever shorter steps:
        // time moves on all the same, and the defect judges.
        let least = RESOLUTION * f64::EPSILON * self.clock.t.abs();
        h.min(f64::MAX / 4.0).max(least)
    }

    /// `x` and what the polynomial of the last step leaves over there, weighted.
    fn judge(&self, h: f64) -> f64 {
        let n = self.x.len();
        let (mut sum, rtol) = (0.0, self.options.tolerances.rtol);
        for i in 0..n {
            let mut slope = 0.0;
            for k in (1..=self.order as usize).rev() {
                slope = slope * h + k as f64 * self.c_prev[(k - 1) * n + i];
            }
            let e = h * (slope - self.c[i]) / f64::from(self.order + 1);
            let e = e / weight(self.atol[i], rtol, self.x_prev[i], self.x[i]);
            sum += e * e;
        }
        (sum / n.max(1) as f64).sqrt()
    }
}

/// `x + Σ c[k]·h^k`
fn horner(x: &[f64], c: &[f64], h: f64, out: &mut [f64]) {
    let n = x.len();
    out[..n].fill(0.0);
    for terms in c.chunks_exact(n.max(1)).rev() {
        for (o, &c) in out.iter_mut().zip(terms) {
            *o = *o * h + c;
        }
    }
    for (o, &x) in out.iter_mut().zip(x) {
        *o = *o * h + x;
    }
}

impl Integrator for Taylor {
    fn method(&self) -> Method {
        Method::Taylor
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(Method::Taylor)?;
        self.stats = Stats::default();
        self.atol.clear();
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
                fresh = false;
            }
            horner(&self.x_prev, &self.c_prev, trial.h, &mut self.x);
            self.stats.rhs += 1;
            let done = sys.taylor(trial.t, &self.x, self.order, &mut self.c).ok_or(SolveError::NoTaylor)?;
            let finite = not_finite(&self.c).is_none() && not_finite(&self.x).is_none();
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
                // What was wanted before the stop time made the step shorter was allowed as well.
                let wanted = if trial.cut { self.h.max(trial.h) } else { trial.h };
                self.h = self.radius(GROWTH * wanted);
                return Ok(());
            }
            self.stats.rejected += 1;
            if error.is_finite() {
                self.stats.error_test_failures += 1;
                self.h = trial.h * (SAFETY * power(error, -1.0 / f64::from(self.order + 1))).clamp(0.1, 0.9);
            } else {
                self.h = 0.25 * trial.h;
            }
            if self.clock.stuck(self.h) {
                let failure = match done {
                    Err(error) => SolveError::Eval { t: start, h: trial.h, error },
                    Ok(()) => {
                        SolveError::StepTooSmall { t: start, h: trial.h, state: self.worst(trial.h), error }
                    }
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
            horner(&self.x_prev, &self.c_prev, t - self.clock.t_prev, out);
        }
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
}

impl Taylor {
    /// After a failure: the state before the step is the state again; the last step's dense output is gone.
    fn undo(&mut self) {
        self.x.copy_from_slice(&self.x_prev);
        self.c.copy_from_slice(&self.c_prev);
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
        for e in 2..=17 {
            let rtol = f64::powi(10.0, -e);
            let want = (1.0 - 0.5 * rtol.ln()).ceil().clamp(4.0, 24.0) as u32;
            assert_eq!(order(rtol), want, "{rtol}");
        }
        assert_eq!((order(0.0), order(f64::NAN)), (24, 24));
    }
}
