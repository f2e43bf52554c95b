//! `adams`: variable-order, variable-step Adams–Bashforth–Moulton, for smooth problems that are not stiff.
//!
//! **Equation.** `dx/dt = f(t, x)`. Predictor of order `k`, corrector of order `k + 1`, both on the uneven
//! grid of the steps taken, `k = 1 … 12`, in the mode predict, evaluate, correct, evaluate: two
//! evaluations a step. Shampine and Gordon, *Computer Solution of Ordinary Differential Equations*,
//! Freeman 1975, with modified divided differences of `f` as the history.
//!
//! **Error norm and order.** The root mean square over states of `error/(atol + rtol·|x|)`, with the larger
//! `|x|` of the last two accepted points, must be at most 1 for the formula of order `k`; the result is
//! that of order `k + 1`. After a start the order rises by one each step. The dense output is the integral
//! of the interpolated derivative, of order `k + 1`, brought to meet the last point exactly.
//!
//! **Failure.** A trial that cannot be evaluated shrinks the step to a quarter, a failed error test by the
//! estimate; after the third one the order is 1. On stiff problems the steps become short: stability
//! limits them. [`SolveError`] says what failed last when the step is too small to move time.
//!
//! **Allocations.** `start` allocates; `step`, `interpolate` and `restart` do not. A clone goes on with the
//! same bits.

mod coeffs;
#[cfg(test)]
mod tests;
mod vector;

use crate::control::{Clock, first_step, power};
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::state;
use crate::stats::Stats;
use crate::system::{EvalError, System};
use crate::vector::{LANES, padded, weights, worst};
use coeffs::{Coeffs, GAMMA};
use twinml_model::bytes::{Malformed, Reader, Writer};
use vector::{Block, Norms};

/// The highest order of the predictor.
pub const MAX_ORDER: usize = 12;
/// Differences kept.
const ROWS: usize = MAX_ORDER + 2;
/// A step grows by at least and at most this factor.
const GROW: f64 = 1.5;
const GROW_MAX: f64 = 2.0;

/// The integrator; see the module's documentation.
#[derive(Clone, Debug)]
pub struct Adams {
    options: Options,
    clock: Clock,
    started: bool,
    n: usize,
    h: f64,
    order: usize,
    /// Rows of the last step's dense output.
    rows: usize,
    steps_at_order: u32,
    ramp: bool,
    past: [f64; ROWS],
    coeffs: Coeffs,
    hist: Vec<Block>,
    x: Vec<f64>,
    x_prev: Vec<f64>,
    y: Vec<f64>,
    f: Vec<f64>,
    w: Vec<f64>,
    atol: Vec<f64>,
    stats: Stats,
}

/// Error estimates, in units of the tolerance.
struct Errors {
    at: f64,
    down: f64,
    down2: f64,
}

impl Adams {
    /// With these options; `options.h`, if given, is the first step.
    pub fn new(options: &Options) -> Self {
        Adams {
            options: options.clone(),
            clock: Clock::new(options),
            started: false,
            n: 0,
            h: 0.0,
            order: 1,
            rows: 1,
            steps_at_order: 0,
            ramp: true,
            past: [1.0; ROWS],
            coeffs: Coeffs::new(),
            hist: Vec::new(),
            x: Vec::new(),
            x_prev: Vec::new(),
            y: Vec::new(),
            f: Vec::new(),
            w: Vec::new(),
            atol: Vec::new(),
            stats: Stats::default(),
        }
    }

    fn rms(&self, sum: f64) -> f64 {
        (sum / self.n.max(1) as f64).sqrt()
    }

    fn begin(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let n = self.n;
        if x.len() != n {
            return Err(SolveError::Dimension { expected: n, got: x.len() });
        }
        self.started = false;
        self.clock.start(t, stop)?;
        self.x[..n].copy_from_slice(x);
        self.x_prev[..n].copy_from_slice(x);
        self.stats.rhs += 1;
        sys.rhs(t, x, &mut self.f[..n]).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
        let finite = |(x, f): (&f64, &f64)| x.is_finite() && f.is_finite();
        if let Some(state) = x.iter().zip(&self.f).position(|pair| !finite(pair)) {
            return Err(SolveError::NotFinite { t, state });
        }
        let rtol = self.options.tolerances.rtol;
        vector::begin(&mut self.hist, &self.f);
        self.h = match self.options.h {
            Some(h) => h,
            None => {
                let left = stop - t;
                let limit = self.options.h_max.min(if left > 0.0 { left } else { f64::INFINITY });
                // the weights are scratch until they are set below
                let (f, y, w) = (&self.f[..n], &mut self.y[..n], &mut self.w[..n]);
                let tolerances = (&self.atol[..n], rtol);
                first_step(sys, t, x, f, y, w, 1, tolerances, limit, &mut self.stats)?
            }
        };
        weights(rtol, &self.atol, &self.x, &mut self.w);
        self.order = 1;
        self.rows = 1;
        self.steps_at_order = 0;
        self.ramp = true;
        for (i, past) in self.past.iter_mut().enumerate() {
            *past = self.h * (i as f64 + 1.0);
        }
        self.started = true;
        Ok(())
    }

    /// Predicts to `t`, evaluates, corrects into `y`.
    fn trial(&mut self, sys: &mut dyn System, t: f64, h: f64) -> Result<Errors, EvalError> {
        let (n, k) = (self.n, self.order);
        self.coeffs.set(k, h, &self.past);
        let Coeffs { beta, g, sigma, .. } = &self.coeffs;
        let mut c = [0.0; ROWS];
        for i in 0..k {
            c[i] = h * g[i] * beta[i];
        }
        vector::predict(&self.hist, &self.x, &c[..k], &mut self.y);
        self.stats.rhs += 1;
        sys.rhs(t, &self.y[..n], &mut self.f[..n])?;
        let norms = vector::correct(&self.hist, &beta[..k], &self.f, &self.w, h * g[k], &mut self.y);
        let Norms { at, down, down2 } = norms.map(|s| h * self.rms(s));
        Ok(Errors {
            // on this grid, and for the orders below on an even one
            at: (sigma[k] * GAMMA[k]).max((g[k - 1] - g[k]).abs()) * at,
            down: if k > 1 { sigma[k - 1] * GAMMA[k - 1] * down } else { f64::INFINITY },
            down2: if k > 2 { sigma[k - 2] * GAMMA[k - 2] * down2 } else { 0.0 },
        })
    }

    /// True if the order below would have made no larger an error.
    fn lower_is_better(&self, e: &Errors) -> bool {
        match self.order {
            1 => false,
            2 => e.down <= 0.5 * e.at,
            _ => e.down.max(e.down2) <= e.at,
        }
    }

    /// Makes the trial point at `t`, where `f` is the derivative, the current one.
    fn accept(&mut self, t: f64, errors: &Errors, cut: bool) {
        let k = self.order;
        let h = self.coeffs.psi[0];
        let rtol = self.options.tolerances.rtol;
        let (beta, ends) = (&self.coeffs.beta[..=k], (&self.x[..], &self.y[..]));
        let up = vector::advance(&mut self.hist, beta, &self.f, ends, (rtol, &self.atol), &mut self.w);
        let up = h * self.rms(up) * self.coeffs.sigma[k + 1] * GAMMA[k + 1];
        self.past = self.coeffs.psi;
        std::mem::swap(&mut self.x_prev, &mut self.x);
        std::mem::swap(&mut self.x, &mut self.y);
        self.clock.advance(t);
        self.rows = k + 1;
        self.stats.steps += 1;
        self.steps_at_order += 1;

        let lower = self.lower_is_better(errors);
        let mut order = k;
        let mut error = errors.at;
        if lower || k == MAX_ORDER || errors.at > 0.5 {
            self.ramp = false;
        }
        if lower {
            (order, error) = (k - 1, errors.down);
        } else if self.ramp {
            order = k + 1;
        } else if k < MAX_ORDER && self.steps_at_order > k as u32 {
            let better = if k == 1 { up < 0.5 * errors.at } else { up < errors.at };
            if k > 1 && errors.down <= errors.at.min(up) {
                (order, error) = (k - 1, errors.down);
            } else if better {
                (order, error) = (k + 1, up);
            }
        }
        let factor = power(0.5 / error, 1.0 / (order as f64 + 1.0));
        if cut {
            self.h = self.h.min(h * factor.max(1.0));
        } else if self.ramp {
            self.h = h * factor.clamp(1.0, GROW_MAX);
        } else if factor >= GROW {
            self.h = h * factor.min(GROW_MAX);
        } else if factor < 1.0 {
            self.h = h * factor.clamp(0.5, 0.9);
        } else {
            self.h = h;
        }
        self.set_order(order);
    }

    fn set_order(&mut self, order: usize) {
        if order != self.order {
            self.order = order;
            self.steps_at_order = 0;
        }
    }

    /// After a failed error test: the next trial.
    fn lower(&mut self, failures: u32, h: f64, errors: &Errors) {
        if failures >= 3 {
            self.set_order(1);
        } else if self.lower_is_better(errors) {
            self.set_order(self.order - 1);
        }
        let factor = power(0.5 / errors.at, 1.0 / (self.order as f64 + 1.0));
        let factor = if errors.at.is_finite() { factor } else { 0.1 };
        self.h = h * if failures == 1 { factor.clamp(0.25, 0.7) } else { factor.clamp(0.1, 0.5) };
    }
}

impl Integrator for Adams {
    fn method(&self) -> Method {
        Method::Adams
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let n = sys.dim();
        let len = padded(n);
        self.n = n;
        self.stats = Stats::default();
        self.atol = self.options.tolerances.expand(n)?;
        self.atol.resize(len, f64::INFINITY);
        self.hist = vec![Block::ZERO; len / LANES];
        for v in [&mut self.x, &mut self.x_prev, &mut self.y, &mut self.f, &mut self.w] {
            v.clear();
            v.resize(len, 0.0);
        }
        self.begin(sys, t, x, stop)
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if !self.started {
            return Err(SolveError::NotStarted);
        }
        let n = self.n;
        let mut failures = 0;
        loop {
            let trial = self.clock.trial(self.h, &self.stats)?;
            if self.clock.stuck(self.h) {
                // accepted steps that no longer move time: the solution runs to infinity
                return Err(SolveError::StepTooSmall {
                    t: self.clock.t,
                    h: self.h,
                    state: 0,
                    error: f64::NAN,
                });
            }
            let mut result = self.trial(sys, trial.t, trial.h);
            if let Ok(errors) = &result
                && errors.at <= 1.0
            {
                self.stats.rhs += 1;
                match sys.rhs(trial.t, &self.y[..n], &mut self.f[..n]) {
                    Ok(()) => {
                        if let Some(state) = self.f[..n].iter().position(|f| !f.is_finite()) {
                            result = Err(EvalError::Recoverable { index: state, residual: f64::NAN });
                        } else {
                            self.accept(trial.t, errors, trial.cut);
                            return Ok(());
                        }
                    }
                    Err(error) => result = Err(error),
                }
            }
            let (t, h) = (self.clock.t, trial.h);
            self.stats.rejected += 1;
            self.ramp = false;
            let failure = match result {
                Ok(errors) => {
                    failures += 1;
                    self.stats.error_test_failures += 1;
                    let (state, _) = worst(&self.f[..n], &self.w[..n]);
                    let error = errors.at;
                    self.lower(failures, h, &errors);
                    SolveError::StepTooSmall { t, h: self.h, state, error }
                }
                Err(error @ EvalError::Fatal { .. }) => return Err(SolveError::Eval { t, h, error }),
                Err(error) => {
                    self.h = 0.25 * h;
                    SolveError::Eval { t, h: self.h, error }
                }
            };
            if self.clock.stuck(self.h) {
                return Err(failure);
            }
        }
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.clock.set_stop(stop)
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        if self.hist.len() != padded(sys.dim()) / LANES || self.n != sys.dim() {
            return Err(SolveError::NotStarted);
        }
        self.stats.restarts += 1;
        self.begin(sys, t, x, stop)
    }

    /// The whole history moves with the state: its differences stay.
    fn nudge(&mut self, _: &mut dyn System, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let n = self.n;
        self.x[..n].copy_from_slice(x);
        self.clock.set_stop(stop)
    }

    fn t(&self) -> f64 {
        self.clock.t
    }

    fn t_prev(&self) -> f64 {
        self.clock.t_prev
    }

    fn x(&self) -> &[f64] {
        &self.x[..self.n]
    }

    fn interpolate(&self, t: f64, out: &mut [f64]) {
        let n = self.n;
        if t == self.clock.t {
            out.copy_from_slice(&self.x[..n]);
            return;
        }
        if t == self.clock.t_prev {
            out.copy_from_slice(&self.x_prev[..n]);
            return;
        }
        let h = self.past[0];
        let delta = t - self.clock.t;
        let g = coeffs::interpolation(self.rows, delta, &self.past);
        let mut c = g.map(|g| delta * g);
        let mut q = 0.0;
        if self.rows > 1 {
            // the corrector used the predicted derivative, so the integral misses the last point by a
            // little less than the error of the step
            let s = delta / h;
            q = s * s * (3.0 + 2.0 * s);
            let back = coeffs::interpolation(self.rows, -h, &self.past);
            for (c, back) in c.iter_mut().zip(back) {
                *c += q * h * back;
            }
        }
        vector::combine(&self.hist, (&self.x[..n], &self.x_prev[..n]), &c[..self.rows], q, out);
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
        state::begin(to, Method::Adams, self.started);
        if !self.started {
            return;
        }
        self.clock.save(to);
        to.put(&self.stats).put(&self.h).put(&self.order).put(&self.rows);
        to.put(&self.steps_at_order).put(&self.ramp).put(&self.past);
        for v in [&self.x, &self.x_prev, &self.w] {
            to.slice(&v[..self.n]);
        }
        for block in &self.hist {
            block.0.iter().flatten().for_each(|v| {
                to.put(v);
            });
        }
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Self::new(&self.options);
        if !state::begun(from, Method::Adams)? {
            return Ok(());
        }
        let n = sys.dim();
        let len = padded(n);
        self.n = n;
        self.atol = self.options.tolerances.expand(n).map_err(|e| from.malformed(e.to_string()))?;
        self.atol.resize(len, f64::INFINITY);
        self.clock.load(from)?;
        self.stats = from.get()?;
        self.h = state::length(from)?;
        self.order = state::within(from, (1, MAX_ORDER), "order")?;
        self.rows = state::within(from, (1, MAX_ORDER + 1), "degree")?;
        self.steps_at_order = state::few(from)?;
        (self.ramp, self.past) = from.get()?;
        for v in [&mut self.x, &mut self.x_prev, &mut self.w] {
            state::vector_padded(from, v, n, len)?;
        }
        self.hist = vec![Block::ZERO; len / LANES];
        for block in &mut self.hist {
            for v in block.0.iter_mut().flatten() {
                *v = from.get()?;
            }
        }
        for v in [&mut self.y, &mut self.f] {
            v.resize(len, 0.0);
        }
        self.started = true;
        Ok(())
    }
}
