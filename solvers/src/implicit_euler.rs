//! `implicit_euler`: the implicit Euler method, order 1, L-stable.
//!
//! **Equation.** `x₁ = x₀ + h f(t₁, x₁)`, by modified Newton from the linear extrapolation: Jacobian and
//! factors are kept while the iteration converges well, and renewed once before it counts as failed.
//!
//! **Steps.** With `options.h` the step is fixed and the points lie on its grid; the tolerances then only
//! stop the Newton iteration (at a hundredth of the root mean square norm). Without it, the step follows
//! the error `h/2·(x₁' − x₀')` in the same norm. The dense output is linear: as exact as the method.
//!
//! **Failure.** With a fixed step, one that does not converge is tried again from the last point with a new Jacobian in each
//! iteration, halving what overshoots; where that fails it is an error: the step was ordered. Otherwise the step shrinks until
//! time no longer moves. [`SolveError`] carries numbers.
//!
//! **Allocations.** `start` allocates; `step`, `interpolate` and `restart` do not (a sparse matrix that
//! needs new pivots is the exception). A clone goes on with the same bits.

use crate::control::{Clock, Controller, first_step, norm, not_finite, worst};
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::linalg::IterationMatrix;
use crate::rk::fixed::Grid;
use crate::state;
use crate::stats::Stats;
use crate::system::{EvalError, System};
use twinml_model::bytes::{Malformed, Reader, Writer};

/// Newton iterations before giving up.
const MAX_ITERATIONS: u32 = 12;
/// The same for the damped iteration, and the halvings of one correction.
const MAX_DAMPED: (u32, u32) = (50, 30);
/// The correction that ends the iteration, in units of the tolerance.
const NEWTON: f64 = 0.01;
/// Convergence slower than this renews the Jacobian.
const SLOW: f64 = 0.3;
/// A change of the step size above this renews the factors.
const STEP_CHANGE: f64 = 0.1;

/// The integrator; see the module's documentation.
#[derive(Clone, Debug)]
pub struct ImplicitEuler {
    options: Options,
    clock: Clock,
    grid: Option<Grid>,
    control: Controller,
    started: bool,
    h: f64,
    /// The step in the factors; NaN if there are none.
    h_factored: f64,
    /// False if the Jacobian must be evaluated before the next factorisation.
    fresh: bool,
    x: Vec<f64>,
    x_prev: Vec<f64>,
    /// The derivative at `x`: that of the method.
    slope: Vec<f64>,
    y: Vec<f64>,
    d: Vec<f64>,
    /// The residual of the damped iteration.
    residual: Vec<f64>,
    atol: Vec<f64>,
    jac: Vec<f64>,
    matrix: Option<IterationMatrix>,
    stats: Stats,
}

/// Why a trial was given up.
enum Trouble {
    Eval(EvalError),
    Singular(usize),
    Slow { iterations: u32 },
}

impl ImplicitEuler {
    /// Not started yet; the step is `options.h`, or adaptive without it.
    pub fn new(options: &Options) -> Self {
        ImplicitEuler {
            options: options.clone(),
            clock: Clock::new(options),
            grid: None,
            control: Controller::new(2.0, 1.0, 0.0, 0.9, 0.2, 4.0),
            started: false,
            h: 0.0,
            h_factored: f64::NAN,
            fresh: false,
            x: Vec::new(),
            x_prev: Vec::new(),
            slope: Vec::new(),
            y: Vec::new(),
            d: Vec::new(),
            residual: Vec::new(),
            atol: Vec::new(),
            jac: Vec::new(),
            matrix: None,
            stats: Stats::default(),
        }
    }

    fn begin(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        if x.len() != self.x.len() {
            return Err(SolveError::Dimension { expected: self.x.len(), got: x.len() });
        }
        self.started = false;
        self.clock.start(t, stop)?;
        self.x.copy_from_slice(x);
        self.x_prev.copy_from_slice(x);
        self.stats.rhs += 1;
        sys.rhs(t, x, &mut self.slope).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
        if let Some(state) = not_finite(x).or_else(|| not_finite(&self.slope)) {
            return Err(SolveError::NotFinite { t, state });
        }
        if self.grid.is_none() {
            let left = stop - t;
            let limit = self.options.h_max.min(if left > 0.0 { left } else { f64::INFINITY });
            let tolerances = (&self.atol[..], self.options.tolerances.rtol);
            let (y, d) = (&mut self.y, &mut self.d);
            self.h = first_step(sys, t, x, &self.slope, y, d, 1, tolerances, limit, &mut self.stats)?;
            self.control.reset();
        }
        self.fresh = false;
        self.h_factored = f64::NAN;
        self.started = true;
        Ok(())
    }

    /// Solves for `y` at `t`, a step `h` away.
    fn solve(&mut self, sys: &mut dyn System, t: f64, h: f64) -> Result<(), Trouble> {
        let change = (h / self.h_factored - 1.0).abs();
        if change.is_nan() || change > STEP_CHANGE {
            self.set_up(sys, t, h)?;
        }
        match self.iterate(sys, t, h) {
            Err(Trouble::Slow { .. } | Trouble::Eval(EvalError::Recoverable { .. })) => {
                self.stats.newton_failures += 1;
                self.fresh = false;
                self.set_up(sys, t, h)?;
                self.iterate(sys, t, h)
            }
            result => result,
        }
    }

    /// Factorises `I − hJ`, with the Jacobian at the last point if it is not known.
    fn set_up(&mut self, sys: &mut dyn System, t: f64, h: f64) -> Result<(), Trouble> {
        self.h_factored = f64::NAN;
        if !self.fresh {
            self.stats.jac += 1;
            sys.jacobian(t, &self.x, &mut self.jac).map_err(Trouble::Eval)?;
            self.fresh = true;
        }
        self.stats.factorizations += 1;
        if let Some(matrix) = &mut self.matrix {
            matrix.factor(1.0, -h, &self.jac).map_err(|s| Trouble::Singular(s.column))?;
        }
        self.h_factored = h;
        Ok(())
    }

    fn iterate(&mut self, sys: &mut dyn System, t: f64, h: f64) -> Result<(), Trouble> {
        for ((y, x), s) in self.y.iter_mut().zip(&self.x).zip(&self.slope) {
            *y = x + h * s;
        }
        let rtol = self.options.tolerances.rtol;
        let mut last = f64::INFINITY;
        let mut rate: f64 = 0.9;
        for iterations in 1..=MAX_ITERATIONS {
            self.stats.newton_iters += 1;
            self.residual(sys, t, h)?;
            self.stats.solves += 1;
            if let Some(matrix) = &mut self.matrix {
                matrix.solve(&mut self.d);
            }
            for (y, d) in self.y.iter_mut().zip(&self.d) {
                *y += d;
            }
            let size = norm(&self.d, &self.x, &self.y, &self.atol, rtol);
            if iterations > 1 {
                rate = size / last;
            }
            if size == 0.0 || rate < 1.0 && size * rate / (1.0 - rate) <= NEWTON {
                if rate > SLOW && iterations > 2 {
                    // the next factorisation takes a new Jacobian
                    self.fresh = false;
                    self.h_factored = f64::NAN;
                }
                return Ok(());
            }
            if !size.is_finite() || size > 2.0 * last || iterations == MAX_ITERATIONS {
                return Err(Trouble::Slow { iterations });
            }
            last = size;
        }
        Err(Trouble::Slow { iterations: MAX_ITERATIONS })
    }

    /// Newton's iteration from the last point with a Jacobian of its own at every point, each correction halved until the
    /// residual has become less: for formulas that bend where the solution comes to rest (`-sqrt(h)` near 0).
    fn damped(&mut self, sys: &mut dyn System, t: f64, h: f64) -> Result<(), Trouble> {
        let rtol = self.options.tolerances.rtol;
        self.y.copy_from_slice(&self.x);
        self.residual(sys, t, h)?;
        std::mem::swap(&mut self.d, &mut self.residual);
        let mut size = norm(&self.residual, &self.x, &self.x, &self.atol, rtol);
        // the factors are of points between
        self.fresh = false;
        self.h_factored = f64::NAN;
        for iterations in 1..=MAX_DAMPED.0 {
            self.stats.newton_iters += 1;
            self.stats.jac += 1;
            sys.jacobian(t, &self.y, &mut self.jac).map_err(Trouble::Eval)?;
            self.stats.factorizations += 1;
            self.stats.solves += 1;
            if let Some(matrix) = &mut self.matrix {
                matrix.factor(1.0, -h, &self.jac).map_err(|s| Trouble::Singular(s.column))?;
                matrix.solve(&mut self.residual);
            }
            let whole = norm(&self.residual, &self.x, &self.y, &self.atol, rtol);
            let mut part = 1.0;
            let mut halvings = 0;
            loop {
                for (y, d) in self.y.iter_mut().zip(&self.residual) {
                    *y += part * d;
                }
                let found = self.residual(sys, t, h);
                let now = norm(&self.d, &self.x, &self.x, &self.atol, rtol);
                match found {
                    Err(fatal @ Trouble::Eval(EvalError::Fatal { .. })) => return Err(fatal),
                    Ok(()) if now <= (1.0 - 0.25 * part) * size => {
                        size = now;
                        break;
                    }
                    _ if halvings == MAX_DAMPED.1 => {
                        return Err(Trouble::Slow { iterations });
                    }
                    _ => {}
                }
                for (y, d) in self.y.iter_mut().zip(&self.residual) {
                    *y -= part * d;
                }
                part *= 0.5;
                halvings += 1;
            }
            std::mem::swap(&mut self.d, &mut self.residual);
            if size == 0.0 || part == 1.0 && whole <= NEWTON {
                return Ok(());
            }
        }
        Err(Trouble::Slow { iterations: MAX_DAMPED.0 })
    }

    /// `h f(t, y) − (y − x)`, in `d`.
    fn residual(&mut self, sys: &mut dyn System, t: f64, h: f64) -> Result<(), Trouble> {
        self.stats.rhs += 1;
        sys.rhs(t, &self.y, &mut self.d).map_err(Trouble::Eval)?;
        for ((d, y), x) in self.d.iter_mut().zip(&self.y).zip(&self.x) {
            *d = h * *d - (y - x);
        }
        Ok(())
    }

    fn error(&self, trouble: &Trouble, h: f64) -> SolveError {
        let t = self.clock.t;
        match *trouble {
            Trouble::Eval(error) => SolveError::Eval { t, h, error },
            Trouble::Singular(column) => SolveError::Singular { t, h, column },
            Trouble::Slow { iterations } => {
                let rtol = self.options.tolerances.rtol;
                let (state, residual) = worst(&self.d, &self.x, &self.y, &self.atol, rtol);
                SolveError::Newton { t, h, iterations, state, residual }
            }
        }
    }

    fn accept(&mut self, t: f64, h: f64) {
        std::mem::swap(&mut self.x_prev, &mut self.x);
        std::mem::swap(&mut self.x, &mut self.y);
        for ((s, x), x_prev) in self.slope.iter_mut().zip(&self.x).zip(&self.x_prev) {
            *s = (x - x_prev) / h;
        }
        self.clock.advance(t);
        self.stats.steps += 1;
    }

    fn fixed_step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        let trial = self.clock.trial(f64::INFINITY, &self.stats)?;
        let Some(grid) = &mut self.grid else { return Err(SolveError::NotStarted) };
        let next = grid.next(self.clock.t);
        let t = if next + 1e-9 * self.h >= trial.t { trial.t } else { next };
        let h = t - self.clock.t;
        match self.solve(sys, t, h) {
            Err(Trouble::Slow { .. } | Trouble::Eval(EvalError::Recoverable { .. })) => {
                self.stats.newton_failures += 1;
                self.damped(sys, t, h)
            }
            outcome => outcome,
        }
        .map_err(|trouble| self.error(&trouble, h))?;
        if let Some(state) = not_finite(&self.y) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.accept(t, h);
        Ok(())
    }

    fn adaptive_step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        loop {
            let trial = self.clock.trial(self.h, &self.stats)?;
            let h = trial.h;
            if self.clock.stuck(self.h) {
                // accepted steps that no longer move time: the solution runs to infinity
                return Err(SolveError::StepTooSmall {
                    t: self.clock.t,
                    h: self.h,
                    state: 0,
                    error: f64::NAN,
                });
            }
            let failure = match self.solve(sys, trial.t, h) {
                Ok(()) => {
                    // half of h·(x₁' − x₀') = y − x − h·slope
                    for (((d, y), x), s) in self.d.iter_mut().zip(&self.y).zip(&self.x).zip(&self.slope) {
                        *d = 0.5 * (y - x - h * s);
                    }
                    let rtol = self.options.tolerances.rtol;
                    let error = norm(&self.d, &self.x, &self.y, &self.atol, rtol);
                    if error <= 1.0 {
                        let factor = self.control.accept(error);
                        // small changes do not pay for a factorisation
                        let wanted = if (1.0..1.2).contains(&factor) { h } else { h * factor };
                        self.h = if trial.cut { self.h.min(wanted.max(h)) } else { wanted };
                        self.accept(trial.t, h);
                        return Ok(());
                    }
                    self.stats.error_test_failures += 1;
                    self.h = if error.is_finite() { h * self.control.reject(error) } else { 0.25 * h };
                    let (state, error) = worst(&self.d, &self.x, &self.y, &self.atol, rtol);
                    SolveError::StepTooSmall { t: self.clock.t, h: self.h, state, error }
                }
                Err(trouble @ Trouble::Eval(EvalError::Fatal { .. })) => return Err(self.error(&trouble, h)),
                Err(trouble) => {
                    self.stats.newton_failures += 1;
                    self.h = h * self.control.fail();
                    self.error(&trouble, self.h)
                }
            };
            self.stats.rejected += 1;
            if self.clock.stuck(self.h) {
                return Err(failure);
            }
        }
    }
}

impl Integrator for ImplicitEuler {
    fn method(&self) -> Method {
        Method::ImplicitEuler
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(Method::ImplicitEuler)?;
        let n = sys.dim();
        self.grid = None;
        if let Some(h) = self.options.h {
            self.h = h.min(self.options.h_max);
            if !t.is_finite() || t + self.h <= t {
                return Err(SolveError::StepSize { h: self.h });
            }
            self.grid = Some(Grid::new(t, self.h));
        }
        self.stats = Stats::default();
        self.atol = self.options.tolerances.expand(n)?;
        for v in
            [&mut self.x, &mut self.x_prev, &mut self.slope, &mut self.y, &mut self.d, &mut self.residual]
        {
            v.clear();
            v.resize(n, 0.0);
        }
        self.jac = vec![0.0; sys.pattern().nnz()];
        self.matrix = Some(IterationMatrix::new(sys.pattern()));
        self.begin(sys, t, x, stop)
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        match (self.started, &self.grid) {
            (false, _) => Err(SolveError::NotStarted),
            (true, Some(_)) => self.fixed_step(sys),
            (true, None) => self.adaptive_step(sys),
        }
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.clock.set_stop(stop)
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        if self.matrix.is_none() {
            return Err(SolveError::NotStarted);
        }
        self.stats.restarts += 1;
        self.begin(sys, t, x, stop)
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
        if t == self.clock.t {
            out.copy_from_slice(&self.x);
        } else if t == self.clock.t_prev {
            out.copy_from_slice(&self.x_prev);
        } else {
            // before the first step the slope is that of the start, later that of the last step
            let delta = t - self.clock.t;
            for ((out, x), s) in out.iter_mut().zip(&self.x).zip(&self.slope) {
                *out = x + delta * s;
            }
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

    fn save(&self, to: &mut Writer) {
        let matrix = self.matrix.as_ref().filter(|_| self.started);
        state::begin(to, Method::ImplicitEuler, matrix.is_some());
        let Some(matrix) = matrix else { return };
        self.clock.save(to);
        if let Some(grid) = &self.grid {
            grid.save(to);
        }
        self.control.save(to);
        to.put(&self.stats).put(&self.h).put(&self.fresh);
        for v in [&self.x, &self.x_prev, &self.slope] {
            to.slice(v);
        }
        let factored = !self.h_factored.is_nan();
        to.put(&factored.then_some(self.h_factored));
        if factored || self.fresh {
            to.slice(&self.jac);
        }
        matrix.save(to);
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Self::new(&self.options);
        if !state::begun(from, Method::ImplicitEuler)? {
            return Ok(());
        }
        let n = sys.dim();
        self.atol = self.options.tolerances.expand(n).map_err(|e| from.malformed(e.to_string()))?;
        self.clock.load(from)?;
        if let Some(h) = self.options.h {
            self.grid = Some(Grid::load(from, h.min(self.options.h_max), self.clock.t)?);
        }
        self.control.load(from)?;
        self.stats = from.get()?;
        self.h = state::length(from)?;
        self.fresh = from.get()?;
        for v in [&mut self.x, &mut self.x_prev, &mut self.slope] {
            state::vector(from, v, n)?;
        }
        for v in [&mut self.y, &mut self.d, &mut self.residual] {
            v.resize(n, 0.0);
        }
        let at = from.at();
        let factored: Option<f64> = from.get()?;
        self.jac = vec![0.0; sys.pattern().nnz()];
        if factored.is_some() || self.fresh {
            from.fill(&mut self.jac)?;
        }
        let mut matrix = IterationMatrix::new(sys.pattern());
        matrix.load(from)?;
        if let Some(h) = factored {
            let made = !h.is_nan() && matrix.factor(1.0, -h, &self.jac).is_ok();
            self.h_factored = h;
            if !made {
                return Err(Malformed { at, why: "the matrix has no factors".into() });
            }
        }
        self.matrix = Some(matrix);
        self.started = true;
        Ok(())
    }
}
