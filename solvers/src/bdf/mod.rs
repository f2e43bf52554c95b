//! `bdf`: variable-order, variable-step backward differentiation with plain-data state.
//!
//! **Equation.** `dx/dt = f(t, x)`, stiff or not. The formulas are those of order 1 to 5 on an uneven
//! grid with a fixed leading coefficient (Jackson and Sacks-Davis 1980; Brenan, Campbell and Petzold
//! 1996, as in DASSL), with the numerical differentiation terms of Shampine and Reichelt (1997) at the
//! orders where they lower the error constant. The history is a table of modified divided differences:
//! changing the step size costs nothing but a factorisation.
//!
//! **Nonlinear equation.** Modified Newton. Jacobian and factors are kept over steps; a changed `c = h/λ`
//! is corrected by a factor until it has moved by 10 % (Hindmarsh et al. 2005, CVODE). The iteration
//! stops when the error left is a third of the error allowed. How many steps a Jacobian lasts, 51 at most, follows from the rate
//! at which iterations with it converge.
//!
//! **Error norm and order.** The root mean square over states of `error/(atol + rtol·|x|)`, with the
//! larger `|x|` of the last two accepted points, must be at most 1. After a start the order rises by one each step; after a
//! restart a one-step method goes ahead ([`leap`]).
//! The dense output is the polynomial through the last `k + 1` points: of order `k`, continuous.
//!
//! **Failure.** A trial that does not converge shrinks the step to a quarter; a failed error test uses the
//! estimate, the third one begins anew at order 1. [`SolveError`] says what failed last when the step is
//! too small to move time.
//!
//! **Allocations.** `start` allocates; `step`, `interpolate` and `restart` do not (a sparse matrix that
//! needs new pivots is the exception). A clone goes on with the same bits.

mod coeffs;
mod leap;
mod newton;
mod select;
#[cfg(test)]
mod tests;
mod vector;

use crate::control::Clock;
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::linalg::IterationMatrix;
use crate::state;
use crate::stats::Stats;
use crate::system::{EvalError, System};
use crate::vector::{LANES, padded, sum_squares, weights, worst};
use coeffs::Coeffs;
use leap::{Leap, Phase};
use newton::Iteration;
use select::TUNING;
use twinml_model::bytes::{Malformed, Reader, Writer};
use vector::Block;

/// The highest order. Order 6 is not stable enough to be worth having.
pub const MAX_ORDER: usize = 5;
/// The layout of the state that is written; the first one did not tell how long a Jacobian lasts.
const LAYOUT: u32 = 2;
/// The first step of a system at rest, as part of what it would be.
const REST: f64 = 1e-2;

/// The integrator; see the module's documentation.
#[derive(Clone, Debug)]
pub struct Bdf {
    options: Options,
    max_order: usize,
    clock: Clock,
    started: bool,
    n: usize,
    /// The next trial: step size and order.
    h: f64,
    order: usize,
    /// The order of the last step: the degree of the dense output.
    order_used: usize,
    /// Steps taken at this order.
    steps_at_order: u32,
    /// True while the order rises after a start.
    ramp: bool,
    /// True if the last step had failed before: the next one does not grow.
    hold: bool,
    /// Distances from the last point to those before it.
    past: [f64; MAX_ORDER + 2],
    coeffs: Coeffs,
    /// `φ_1 … φ_6` at the last point.
    hist: Vec<Block>,
    x: Vec<f64>,
    /// What rounding took from `x`: the sum of the two is the state. Linear invariants (mass, charge) then
    /// drift with the rounding of changes, not of values.
    low: Vec<f64>,
    x_prev: Vec<f64>,
    /// The new point, prediction and then solution.
    y: Vec<f64>,
    /// `c` times the predicted derivative.
    psi: Vec<f64>,
    /// Solution minus prediction.
    e: Vec<f64>,
    /// Derivative, residual, correction.
    d: Vec<f64>,
    /// `1/(atol + rtol·max(|x|, |x_prev|))`: a state that passes zero keeps its scale.
    w: Vec<f64>,
    atol: Vec<f64>,
    jac: Vec<f64>,
    matrix: Option<IterationMatrix>,
    iteration: Iteration,
    leap: Leap,
    stats: Stats,
}

/// Why a trial step was given up.
#[derive(Clone, Copy)]
enum Trouble {
    Eval(EvalError),
    Newton { iterations: u32, state: usize, residual: f64 },
    Singular { column: usize },
    Error { state: usize, error: f64 },
}

impl Trouble {
    fn at(self, t: f64, h: f64) -> SolveError {
        match self {
            Trouble::Eval(error) => SolveError::Eval { t, h, error },
            Trouble::Newton { iterations, state, residual } => {
                SolveError::Newton { t, h, iterations, state, residual }
            }
            Trouble::Singular { column } => SolveError::Singular { t, h, column },
            Trouble::Error { state, error } => SolveError::StepTooSmall { t, h, state, error },
        }
    }
}

impl Bdf {
    /// With these options; `options.h`, if given, is the first step.
    pub fn new(options: &Options) -> Self {
        Bdf {
            options: options.clone(),
            max_order: MAX_ORDER,
            clock: Clock::new(options),
            started: false,
            n: 0,
            h: 0.0,
            order: 1,
            order_used: 1,
            steps_at_order: 0,
            ramp: true,
            hold: false,
            past: [1.0; MAX_ORDER + 2],
            coeffs: Coeffs::new(),
            hist: Vec::new(),
            x: Vec::new(),
            low: Vec::new(),
            x_prev: Vec::new(),
            y: Vec::new(),
            psi: Vec::new(),
            e: Vec::new(),
            d: Vec::new(),
            w: Vec::new(),
            atol: Vec::new(),
            jac: Vec::new(),
            matrix: None,
            iteration: Iteration::new(),
            leap: Leap::new(),
            stats: Stats::default(),
        }
    }

    /// Never above this order, from 1 to [`MAX_ORDER`] (others are brought into that range). Orders 1 and
    /// 2 are A-stable: for systems with lightly damped fast oscillations.
    pub fn with_max_order(mut self, order: usize) -> Self {
        self.max_order = order.clamp(1, MAX_ORDER);
        self
    }

    /// The order of the last step.
    pub fn last_order(&self) -> usize {
        self.order_used
    }

    /// With what an earlier factorisation of the same pattern has found.
    pub(crate) fn with_matrix(mut self, matrix: IterationMatrix) -> Self {
        self.matrix = Some(matrix);
        self
    }

    /// Room for a system.
    fn make_room(&mut self, sys: &dyn System) -> Result<(), SolveError> {
        let n = sys.dim();
        let len = padded(n);
        self.n = n;
        self.stats = Stats::default();
        self.atol = self.options.tolerances.expand(n)?;
        self.atol.resize(len, f64::INFINITY);
        self.hist = vec![Block::ZERO; len / LANES];
        for v in [
            &mut self.x,
            &mut self.low,
            &mut self.x_prev,
            &mut self.y,
            &mut self.psi,
            &mut self.e,
            &mut self.d,
            &mut self.w,
        ] {
            v.clear();
            v.resize(len, 0.0);
        }
        self.jac = vec![0.0; sys.pattern().nnz()];
        self.matrix = Some(IterationMatrix::again(self.matrix.take(), sys.pattern()));
        Ok(())
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
        self.low.fill(0.0);
        self.stats.rhs += 1;
        sys.rhs(t, x, &mut self.d[..n]).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
        let finite = |(x, d): (&f64, &f64)| x.is_finite() && d.is_finite();
        if let Some(state) = x.iter().zip(&self.d).position(|pair| !finite(pair)) {
            return Err(SolveError::NotFinite { t, state });
        }
        weights(self.options.tolerances.rtol, &self.atol, &self.x, &mut self.w);
        self.leap.phase = Phase::None;
        self.h = self.options.h.unwrap_or_else(|| self.first_step(sys));
        self.order = 1;
        self.order_used = 1;
        self.steps_at_order = 0;
        self.ramp = true;
        self.hold = false;
        self.first_history();
        self.iteration = Iteration::new();
        self.started = true;
        Ok(())
    }

    /// A history of order 1 for the step `h`, from the derivative in `d`.
    fn first_history(&mut self) {
        for (j, past) in self.past.iter_mut().enumerate() {
            *past = self.h * (j as f64 + 1.0);
        }
        vector::begin(&mut self.hist, self.h, &self.d);
    }

    /// The first step of order 1, from the derivative (in `d`) and the exact curvature `J f + ∂f/∂t`:
    /// half the local error allowed, and no state moves by more than a tenth of its scale.
    fn first_step(&mut self, sys: &mut dyn System) -> f64 {
        let n = self.n;
        let t = self.clock.t;
        let left = self.clock.stop - t;
        let span = if left > 0.0 { left } else { f64::INFINITY };
        let mut h = 0.1 * span.min(self.options.h_max);
        let (x, f, curvature, ft) = (&self.x[..n], &self.d[..n], &mut self.y[..n], &mut self.e[..n]);
        // where the derivatives fail, the slope alone decides, and trial steps correct it
        let mut known = sys.jvp(t, x, f, curvature).is_ok();
        if known && !sys.autonomous() {
            known = sys.dfdt(t, x, ft).is_ok();
            for (c, ft) in curvature.iter_mut().zip(ft) {
                *c += *ft;
            }
        }
        let scale = self.rms(sum_squares(&self.x, &self.w)).max(1.0);
        let slope = self.rms(sum_squares(&self.d, &self.w));
        let curvature = self.rms(sum_squares(&self.y, &self.w));
        let by_slope = 0.1 * scale / slope;
        let by_curvature = (1.0 / curvature).sqrt();
        // At rest as far as slope and curvature tell: what depends on time may begin to move at any moment, and steps as long as
        // its periods would never see it.
        if known && !sys.autonomous() && by_slope >= span && by_curvature >= span {
            h *= REST;
        }
        for limit in [by_slope, by_curvature] {
            if limit > 0.0 && (known || limit == by_slope) {
                h = h.min(limit);
            }
        }
        if h.is_finite() { h } else { 1e-3 * t.abs().max(1.0) }
    }

    /// Makes the trial point at `t` the current one and chooses what comes next.
    fn accept(&mut self, t: f64, error: f64, cut: bool) {
        let k = self.order;
        let h = self.coeffs.psi[0];
        let rtol = self.options.tolerances.rtol;
        let sums = vector::advance(
            k,
            &mut self.hist,
            &self.coeffs.beta,
            &self.e,
            &self.x,
            &mut self.low,
            &mut self.y,
            rtol,
            &self.atol,
            &mut self.w,
        );
        let norms = sums.map(|s| self.rms(s));
        self.past = self.coeffs.psi;
        std::mem::swap(&mut self.x_prev, &mut self.x);
        std::mem::swap(&mut self.x, &mut self.y);
        self.clock.advance(t);
        self.order_used = k;
        self.steps_at_order += 1;
        self.stats.steps += 1;
        let may_rise = k < self.max_order && self.steps_at_order > k as u32;
        let choice = select::choose(k, &self.coeffs, error, &norms, may_rise);
        if self.ramp {
            if choice.order < k || choice.factor < 1.0 || k == self.max_order {
                self.ramp = false;
            } else {
                self.order = k + 1;
                self.steps_at_order = 0;
                self.h = if cut { self.h } else { h * choice.factor.min(TUNING.ramp) };
                return;
            }
        }
        let limit = if self.hold { 1.0 } else { TUNING.grow_max };
        self.hold = false;
        let factor = choice.factor.min(limit);
        let mut order = k;
        if cut {
            // back to the step that was meant, unless the error says otherwise
            self.h = self.h.min(h * factor.max(1.0));
        } else if !(TUNING.shrink..TUNING.grow).contains(&factor) {
            order = choice.order;
            self.h = h * factor;
        } else {
            order = order.min(choice.order);
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
    fn lower(&mut self, failures: u32, h: f64, error: f64) {
        let k = self.order;
        if failures >= 3 {
            self.set_order(1);
        }
        if failures >= 3 || !error.is_finite() {
            self.h = 0.25 * h;
            return;
        }
        let norms = vector::norms(k, &self.hist, &self.coeffs.beta, &self.e, &self.w).map(|s| self.rms(s));
        let choice = select::choose(k, &self.coeffs, error, &norms, false);
        let (least, most) = if failures == 1 { (0.2, 0.9) } else { (0.1, 0.25) };
        self.h = h * choice.factor.clamp(least, most);
        self.set_order(choice.order);
    }
}

impl Integrator for Bdf {
    fn method(&self) -> Method {
        Method::Bdf
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.make_room(sys)?;
        self.begin(sys, t, x, stop)
    }

    fn start_from(
        &mut self,
        sys: &mut dyn System,
        before: &dyn Integrator,
        stop: f64,
    ) -> Result<(), SolveError> {
        self.make_room(sys)?;
        if self.inherit(before, stop)? {
            return Ok(());
        }
        self.begin(sys, before.t(), before.x(), stop)
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if !self.started {
            return Err(SolveError::NotStarted);
        }
        if self.leap(sys)? {
            return Ok(());
        }
        let mut failures = 0;
        let mut again = false;
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
            self.coeffs.set(self.order, trial.h, &self.past);
            let trouble = match self.solve(sys, trial.t, again) {
                Ok(norm) => {
                    let error = self.coeffs.error * norm;
                    if error <= 1.0 {
                        self.accept(trial.t, error, trial.cut);
                        return Ok(());
                    }
                    failures += 1;
                    self.stats.error_test_failures += 1;
                    let (state, size) = worst(&self.e[..self.n], &self.w[..self.n]);
                    self.lower(failures, trial.h, error);
                    if failures == 3 {
                        // the history is of no use here: the slope at the last point is
                        let (t, h) = (self.clock.t, trial.h);
                        self.stats.rhs += 1;
                        sys.rhs(t, &self.x[..self.n], &mut self.d[..self.n])
                            .map_err(|error| SolveError::Eval { t, h, error })?;
                        self.first_history();
                    }
                    Trouble::Error { state, error: size * self.coeffs.error }
                }
                Err(trouble @ Trouble::Eval(EvalError::Fatal { .. })) => {
                    return Err(trouble.at(self.clock.t, trial.h));
                }
                Err(trouble) => {
                    self.stats.newton_failures += 1;
                    self.h = 0.25 * trial.h;
                    trouble
                }
            };
            self.ramp = false;
            self.hold = true;
            again = true;
            self.stats.rejected += 1;
            if self.clock.stuck(self.h) {
                return Err(trouble.at(self.clock.t, self.h));
            }
        }
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.clock.set_stop(stop)
    }

    fn set_horizon(&mut self, horizon: f64) {
        self.clock.horizon = horizon;
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        if self.matrix.is_none() {
            return Err(SolveError::NotStarted);
        }
        self.stats.restarts += 1;
        self.begin(sys, t, x, stop)?;
        if self.max_order >= MAX_ORDER {
            self.leap.phase = Phase::Begin;
        }
        Ok(())
    }

    fn suggest(&mut self, h: f64) {
        if self.leap.phase == Phase::Begin {
            self.leap.propose(h);
        }
    }

    /// The whole history moves with the state: its differences stay.
    fn nudge(&mut self, sys: &mut dyn System, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let n = self.n;
        self.x[..n].copy_from_slice(x);
        if let Some(starter) = self.leap.going() {
            starter.nudge(sys, x, stop)?;
        }
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
        if let Some(starter) = self.leap.last() {
            starter.interpolate(t, out);
            return;
        }
        let delta = t - self.clock.t;
        let mut c = [0.0; MAX_ORDER];
        let mut product = delta / self.past[0];
        for (j, c) in c.iter_mut().enumerate().take(self.order_used) {
            *c = product;
            product *= (delta + self.past[j]) / self.past[j + 1];
        }
        vector::combine(self.order_used, &self.hist, &self.x[..n], &c, out);
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
        let matrix = self.matrix.as_ref().filter(|_| self.started);
        state::begin_layout(to, Method::Bdf, LAYOUT, matrix.is_some());
        let Some(matrix) = matrix else { return };
        self.clock.save(to);
        to.put(&self.stats).put(&self.h).put(&self.order).put(&self.order_used);
        to.put(&self.steps_at_order).put(&self.ramp).put(&self.hold).put(&self.past);
        for v in [&self.x, &self.low, &self.x_prev, &self.w] {
            to.slice(&v[..self.n]);
        }
        for block in &self.hist {
            block.0.iter().flatten().for_each(|v| {
                to.put(v);
            });
        }
        self.leap.save(to);
        self.iteration.save(to);
        if self.iteration.have_jacobian {
            to.slice(&self.jac);
        }
        matrix.save(to);
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Bdf { max_order: self.max_order, ..Bdf::new(&self.options) };
        let (layout, started) = state::begun_layout(from, Method::Bdf, LAYOUT)?;
        if !started {
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
        self.order = state::within(from, (1, self.max_order), "order")?;
        self.order_used = state::within(from, (1, self.max_order), "order")?;
        self.steps_at_order = state::few(from)?;
        (self.ramp, self.hold, self.past) = from.get()?;
        for v in [&mut self.x, &mut self.low, &mut self.x_prev, &mut self.w] {
            state::vector_padded(from, v, n, len)?;
        }
        self.hist = vec![Block::ZERO; len / LANES];
        for block in &mut self.hist {
            for v in block.0.iter_mut().flatten() {
                *v = from.get()?;
            }
        }
        for v in [&mut self.y, &mut self.psi, &mut self.e, &mut self.d] {
            v.resize(len, 0.0);
        }
        self.leap = Leap::load(&self.options, sys, from)?;
        self.iteration = Iteration::load(from, self.stats.steps, layout)?;
        self.jac = vec![0.0; sys.pattern().nnz()];
        if self.iteration.have_jacobian {
            from.fill(&mut self.jac)?;
        }
        let mut matrix = IterationMatrix::new(sys.pattern());
        let at = from.at();
        matrix.load(from)?;
        // Factors that go with no Jacobian are made anew before they are used.
        let Iteration { c, have_jacobian, .. } = self.iteration;
        if c != 0.0 && have_jacobian && matrix.factor(1.0, -c, &self.jac).is_err() {
            return Err(Malformed { at, why: "the matrix has no factors".into() });
        }
        self.matrix = Some(matrix);
        self.started = true;
        Ok(())
    }
}
