//! Rosenbrock methods: linearly implicit, L-stable, one Jacobian and one factorisation a step.
//!
//! Equation: `dx/dt = f(t, x)` with the exact `∂f/∂x` and `∂f/∂t`. Methods: see [`tableau`]. Error norm:
//! root mean square of the embedded difference over `atol + rtol·max(|x₀|, |x₁|)`, times a factor that
//! says how much better the solution carried on is than the embedded one ([`tableau::Tableau::estimate`]). A trial that cannot be evaluated, or whose matrix is singular, shrinks the step; fails when
//! the step no longer moves time. All memory is taken by `start`.
//!
//! Where the system has code for a whole trial step ([`System::rosenbrock`]: small systems that are compiled), that does the
//! arithmetic, with pivots from the diagonal in an order chosen once. Where these do not serve ([`fused::GROWTH`]) the
//! rest of the run is left to BDF, which [`Integrator::choice`] tells. A step for which that code says that it is none for it
//! (an algebraic loop that takes many corrections) is our own, from matrices made for it alone: so a run that is saved and goes
//! on needs none.

pub mod fused;
mod saved;
mod seat;
pub mod tableau;

use crate::bdf::Bdf;
use crate::control::{Clock, Controller, Law, SquareController, Trial, first_step, not_finite, weight};
use crate::error::SolveError;
use crate::integrator::{Choice, Integrator, Method, Options};
use crate::lanes::seat::Seat;
use crate::linalg::IterationMatrix;
use crate::stats::Stats;
use crate::system::{EvalError, Pattern, System};
use tableau::{MAX, RODAS4, RODAS5P, Tableau};
use twinml_model::bytes::{Malformed, Reader, Writer};

/// Steps of our own before the system is asked for code that is not ready: see [`Rosenbrock::by_kernel_later`].
const OWN_STEPS: u32 = 2_000;
/// Steps that are to be left for it, and more steps of our own where fewer are.
const LEFT: (f64, u32) = (5_000.0, 250);

/// Why a trial step gave nothing.
enum Trouble {
    Eval(EvalError),
    Singular(usize),
}

impl From<EvalError> for Trouble {
    fn from(e: EvalError) -> Self {
        Trouble::Eval(e)
    }
}

/// What came of asking for the system's code.
enum Asked {
    /// A step, or none at all.
    Done(Result<(), SolveError>),
    /// This step is none for it.
    NotHere,
    /// There is none, or none that serves.
    Never,
}

/// A Rosenbrock method at work.
#[derive(Clone, Debug)]
pub struct Rosenbrock {
    options: Options,
    tableau: &'static Tableau,
    atol: Vec<f64>,
    clock: Clock,
    control: Controller,
    stats: Stats,
    h: f64,
    h_done: f64,
    started: bool,
    x: Vec<f64>,
    x_prev: Vec<f64>,
    x_stage: Vec<f64>,
    f0: Vec<f64>,
    /// True if `f0` belongs to `x`.
    f0_valid: bool,
    ft: Vec<f64>,
    k: [Vec<f64>; MAX],
    jac: Vec<f64>,
    matrix: IterationMatrix,
    /// Whether to ask the system for code of its own.
    by_kernel: bool,
    /// Whether steps begin without that code, and go on without it where it does not serve.
    late: bool,
    /// Steps, of all starts, before it is asked for; none: not any more, or never.
    wait: Option<u32>,
    /// When the run will end, where that is known; no part of what is kept.
    end: f64,
    /// Chooses steps then.
    square: SquareController,
    /// What that code gives: see [`fused`].
    trial: Vec<f64>,
    /// What goes on where the diagonal does not serve, since when, and the work before.
    instead: Option<Box<Instead>>,
}

#[derive(Clone, Debug)]
struct Instead {
    bdf: Bdf,
    since: f64,
    before: Stats,
}

/// Rodas5P for relative tolerances of 1e-5 and below, Rodas4 above.
#[must_use]
pub fn tableau_for(rtol: f64) -> &'static Tableau {
    if rtol > 1e-5 { &RODAS4 } else { &RODAS5P }
}

/// How steps of code that gives mean squares are chosen.
pub(crate) fn law(tableau: &Tableau) -> Law {
    Law::new(f64::from(tableau.order), 1.0, 0.0, 0.9, 0.2, 6.0)
}

impl Rosenbrock {
    /// With the method that [`tableau_for`] chooses.
    pub fn new(options: &Options) -> Self {
        Self::with_tableau(options, tableau_for(options.tolerances.rtol))
    }

    /// With a method of choice.
    pub fn with_tableau(options: &Options, tableau: &'static Tableau) -> Self {
        Rosenbrock {
            options: options.clone(),
            tableau,
            atol: Vec::new(),
            clock: Clock::new(options),
            control: Controller::new(f64::from(tableau.order), 1.0, 0.0, 0.9, 0.2, 6.0),
            stats: Stats::default(),
            h: 0.0,
            h_done: 0.0,
            started: false,
            x: Vec::new(),
            x_prev: Vec::new(),
            x_stage: Vec::new(),
            f0: Vec::new(),
            f0_valid: false,
            ft: Vec::new(),
            k: Default::default(),
            jac: Vec::new(),
            matrix: IterationMatrix::new(&Pattern::dense(0)),
            by_kernel: false,
            late: false,
            wait: None,
            end: f64::INFINITY,
            square: SquareController::new(law(tableau)),
            trial: Vec::new(),
            instead: None,
        }
    }

    /// Uses the system's code for whole steps where it has some.
    #[must_use]
    pub fn by_kernel(mut self) -> Self {
        self.by_kernel = true;
        self
    }

    /// The same once [`OWN_STEPS`] steps are done and as many are left: making that code takes as long as many steps, and who
    /// comes here on the way may soon go away. Where the diagonal does not serve, the steps are our own again.
    #[must_use]
    pub fn by_kernel_later(mut self) -> Self {
        self.late = true;
        self.wait = Some(OWN_STEPS);
        self
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
            for v in [&mut self.x, &mut self.x_prev, &mut self.x_stage, &mut self.f0, &mut self.ft]
                .into_iter()
                .chain(&mut self.k)
            {
                v.clear();
                v.resize(n, 0.0);
            }
            self.trial.clear();
            if self.by_kernel || self.wait.is_some() {
                self.trial.resize((1 + self.tableau.stages) * n + 2, 0.0);
            }
            self.jac.clear();
            if !self.by_kernel {
                self.make_matrix(sys);
            }
        }
        self.clock.start(t, stop)?;
        self.control.reset();
        self.square.reset();
        self.h_done = 0.0;
        self.x.copy_from_slice(x);
        self.x_prev.copy_from_slice(x);
        self.f0_valid = false;
        self.started = true;
        if let Some(state) = not_finite(x) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.h = match h {
            Some(h) => h,
            None if stop == t => 0.0,
            None => {
                self.evaluate(sys)?;
                let limit = self.clock.h_max().min(stop - t);
                let tol = (&self.atol[..], self.options.tolerances.rtol);
                let order = self.tableau.order;
                first_step(
                    sys,
                    t,
                    x,
                    &self.f0,
                    &mut self.x_stage,
                    &mut self.k[0],
                    order,
                    tol,
                    limit,
                    &mut self.stats,
                )?
            }
        };
        Ok(())
    }

    fn make_matrix(&mut self, sys: &mut dyn System) {
        self.jac = vec![0.0; sys.pattern().nnz()];
        let before = std::mem::replace(&mut self.matrix, IterationMatrix::new(&Pattern::dense(0)));
        self.matrix = IterationMatrix::again(Some(before), sys.pattern());
    }

    /// With what an earlier factorisation of the same pattern has found.
    pub(crate) fn with_matrix(mut self, matrix: IterationMatrix) -> Self {
        self.matrix = matrix;
        self
    }

    /// A step by the system's own code.
    fn fused(&mut self, sys: &mut dyn System, mut trial: Trial) -> Asked {
        let (t, n) = (self.clock.t, self.x.len());
        loop {
            let stages = self.tableau.stages as u64;
            let mut trouble = None;
            match sys.rosenbrock((t, trial.h, trial.t), &self.x, &mut self.trial) {
                None => return Asked::Never,
                Some(Ok(false)) => {
                    self.count(stages);
                    return Asked::NotHere;
                }
                Some(Ok(true)) => {
                    self.count(stages);
                    // no number serves as little as a large one
                    let serves = self.trial[1] <= fused::GROWTH;
                    if !serves && self.late {
                        return Asked::Never;
                    }
                    if !serves {
                        return Asked::Done(self.give_up(sys));
                    }
                    let q = self.trial[0];
                    if q <= 1.0 {
                        let h = trial.h * self.square.accept(q);
                        self.h = if trial.cut { h.max(self.h) } else { h };
                        self.h_done = trial.h;
                        self.clock.advance(trial.t);
                        self.stats.steps += 1;
                        self.x_prev.copy_from_slice(&self.x);
                        self.f0_valid = false;
                        let (x1, k) = self.trial[2..].split_at(n);
                        self.x.copy_from_slice(x1);
                        for (to, from) in self.k.iter_mut().zip(k.chunks_exact(n)) {
                            to.copy_from_slice(from);
                        }
                        return Asked::Done(Ok(()));
                    }
                    self.h = trial.h
                        * if q.is_finite() {
                            self.stats.error_test_failures += 1;
                            self.square.reject(q)
                        } else {
                            self.square.fail()
                        };
                }
                Some(Err(error @ EvalError::Fatal { .. })) => {
                    return Asked::Done(Err(SolveError::Eval { t, h: trial.h, error }));
                }
                Some(Err(error)) => {
                    self.count(stages);
                    self.h = trial.h * self.square.fail();
                    trouble = Some(error);
                }
            }
            self.stats.rejected += 1;
            if self.clock.stuck(self.h) {
                let h = trial.h;
                if let Some(error) = trouble {
                    return Asked::Done(Err(SolveError::Eval { t, h, error }));
                }
                let (x1, k) = self.trial[2..].split_at(n);
                let last = &k[(self.tableau.stages - 1) * n..];
                let rtol = self.options.tolerances.rtol;
                let (state, error) = crate::control::worst(last, &self.x, x1, &self.atol, rtol);
                return Asked::Done(Err(SolveError::StepTooSmall { t, h, state, error }));
            }
            match self.clock.trial(self.h, &self.stats) {
                Ok(next) => trial = next,
                Err(error) => return Asked::Done(Err(error)),
            }
        }
    }

    /// The work of a trial by the system's own code.
    fn count(&mut self, stages: u64) {
        self.stats.rhs += stages;
        self.stats.solves += stages;
        self.stats.jac += 1;
        self.stats.factorizations += 1;
    }

    /// Leaves the rest of the run to BDF.
    fn give_up(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        let t = self.clock.t;
        let mut bdf = Bdf::new(&Options { h: None, ..self.options.clone() });
        bdf.start(sys, t, &self.x, self.clock.ahead())?;
        bdf.set_stop(self.clock.stop)?;
        self.instead = Some(Box::new(Instead { bdf, since: t, before: self.stats }));
        self.step(sys)
    }

    /// `f` at the accepted state: here a value that is not finite is an error.
    fn evaluate(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        let t = self.clock.t;
        self.stats.rhs += 1;
        sys.rhs(t, &self.x, &mut self.f0).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
        if let Some(state) = not_finite(&self.f0) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.f0_valid = true;
        Ok(())
    }

    /// Stage `I` (from 0): argument and right side from the `k` before it, evaluation, solution.
    #[inline(always)]
    fn stage<const I: usize>(
        &mut self,
        sys: &mut dyn System,
        h: f64,
        t1: f64,
        autonomous: bool,
    ) -> Result<(), Trouble> {
        let node = self.tableau.node[I];
        let t = if node == 1.0 { t1 } else { self.clock.t + node * h };
        let inv_h = 1.0 / h;
        let (before, rest) = self.k.split_at_mut(I);
        let n = self.x_prev.len();
        let b = &mut rest[0][..n];
        {
            let (xs, x) = (&mut self.x_stage[..n], &self.x_prev[..n]);
            let k: [&[f64]; I] = std::array::from_fn(|j| &before[j][..n]);
            let a: [f64; I] = std::array::from_fn(|j| self.tableau.a[I][j]);
            let c: [f64; I] = std::array::from_fn(|j| self.tableau.c[I][j]);
            for i in 0..n {
                let (mut sa, mut sc) = (0.0, 0.0);
                for j in 0..I {
                    sa += a[j] * k[j][i];
                    sc += c[j] * k[j][i];
                }
                xs[i] = x[i] + sa;
                b[i] = inv_h * sc;
            }
        }
        self.stats.rhs += 1;
        // the trial derivative goes where the new state will be
        sys.rhs(t, &self.x_stage, &mut self.x)?;
        let d = if autonomous { 0.0 } else { h * self.tableau.d[I] };
        add(b, &self.x, d, &self.ft);
        self.stats.solves += 1;
        self.matrix.solve(b);
        Ok(())
    }

    /// Tries one step; the weighted error.
    fn attempt(&mut self, sys: &mut dyn System, h: f64, t1: f64, autonomous: bool) -> Result<f64, Trouble> {
        let n = self.x_prev.len();
        self.stats.factorizations += 1;
        let diagonal = 1.0 / (self.tableau.gamma * h);
        self.matrix.factor(diagonal, -1.0, &self.jac).map_err(|s| Trouble::Singular(s.column))?;
        // stage 1 needs no evaluation
        let d = if autonomous { 0.0 } else { h * self.tableau.d[0] };
        self.k[0].fill(0.0);
        add(&mut self.k[0], &self.f0, d, &self.ft);
        self.stats.solves += 1;
        self.matrix.solve(&mut self.k[0]);
        self.stage::<1>(sys, h, t1, autonomous)?;
        self.stage::<2>(sys, h, t1, autonomous)?;
        self.stage::<3>(sys, h, t1, autonomous)?;
        self.stage::<4>(sys, h, t1, autonomous)?;
        self.stage::<5>(sys, h, t1, autonomous)?;
        if self.tableau.stages == 8 {
            self.stage::<6>(sys, h, t1, autonomous)?;
            self.stage::<7>(sys, h, t1, autonomous)?;
        }
        let rtol = self.options.tolerances.rtol;
        let e = &self.k[self.tableau.stages - 1][..n];
        let (x1, x, xs, atol) = (&mut self.x[..n], &self.x_prev[..n], &self.x_stage[..n], &self.atol[..n]);
        let mut sum = 0.0;
        for i in 0..n {
            let v = xs[i] + e[i];
            x1[i] = v;
            let q = e[i] / weight(atol[i], rtol, x[i], v);
            sum += q * q;
        }
        Ok(self.tableau.estimate * (sum / n.max(1) as f64).sqrt())
    }

    /// After a failure: the state before the step is the state again; the last step's dense output is gone.
    fn undo(&mut self) {
        self.x.copy_from_slice(&self.x_prev);
        self.clock.t_prev = self.clock.t;
        self.h_done = 0.0;
        self.f0_valid = false;
    }
}

/// `b += f + d·ft`.
#[inline(always)]
fn add(b: &mut [f64], f: &[f64], d: f64, ft: &[f64]) {
    let n = b.len();
    let (f, ft) = (&f[..n], &ft[..n]);
    if d == 0.0 {
        for i in 0..n {
            b[i] += f[i];
        }
    } else {
        for i in 0..n {
            b[i] += f[i] + d * ft[i];
        }
    }
}

impl Integrator for Rosenbrock {
    fn method(&self) -> Method {
        Method::Rosenbrock
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(Method::Rosenbrock)?;
        self.stats = Stats::default();
        self.atol.clear();
        self.instead = None;
        self.begin(sys, t, x, stop, self.options.h)
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        if let Some(i) = &mut self.instead {
            return i.bdf.restart(sys, t, x, stop);
        }
        self.stats.restarts += 1;
        self.begin(sys, t, x, stop, None)
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if !self.started {
            return Err(SolveError::NotStarted);
        }
        if let Some(i) = &mut self.instead {
            let outcome = i.bdf.step(sys);
            self.stats = i.before;
            self.stats.add(i.bdf.stats());
            return outcome;
        }
        let mut trial = self.clock.trial(self.h, &self.stats)?;
        match self.wait {
            Some(0) if (self.end - self.clock.t) < LEFT.0 * self.h.max(self.h_done) => {
                self.wait = Some(LEFT.1);
            }
            Some(0) => (self.by_kernel, self.wait) = (true, None),
            Some(more) => self.wait = Some(more - 1),
            None => {}
        }
        if self.by_kernel {
            match self.fused(sys, trial) {
                Asked::Done(outcome) => return outcome,
                Asked::NotHere => self.square.reset(),
                Asked::Never => self.by_kernel = false,
            }
            self.make_matrix(sys);
            // after trials that failed
            trial = self.clock.trial(self.h, &self.stats)?;
        }
        if !self.f0_valid {
            self.evaluate(sys)?;
        }
        let t = self.clock.t;
        let autonomous = sys.autonomous();
        let at_start = |error| SolveError::Eval { t, h: 0.0, error };
        self.stats.jac += 1;
        sys.jacobian(t, &self.x, &mut self.jac).map_err(at_start)?;
        if !autonomous {
            sys.dfdt(t, &self.x, &mut self.ft).map_err(at_start)?;
        }
        std::mem::swap(&mut self.x, &mut self.x_prev);
        self.f0_valid = false;
        loop {
            let trouble = match self.attempt(sys, trial.h, trial.t, autonomous) {
                Ok(err) if err <= 1.0 => {
                    let h = trial.h * self.control.accept(err);
                    self.h = if trial.cut { h.max(self.h) } else { h };
                    self.h_done = trial.h;
                    self.clock.advance(trial.t);
                    self.stats.steps += 1;
                    return Ok(());
                }
                Ok(err) if err.is_finite() => {
                    self.stats.error_test_failures += 1;
                    self.h = trial.h * self.control.reject(err);
                    None
                }
                Ok(_) => {
                    self.h = trial.h * self.control.fail();
                    None
                }
                Err(Trouble::Eval(error @ EvalError::Fatal { .. })) => {
                    self.undo();
                    return Err(SolveError::Eval { t, h: trial.h, error });
                }
                Err(trouble) => {
                    self.h = trial.h * self.control.fail();
                    Some(trouble)
                }
            };
            self.stats.rejected += 1;
            let next = if self.clock.stuck(self.h) {
                let h = trial.h;
                Err(match trouble {
                    Some(Trouble::Eval(error)) => SolveError::Eval { t, h, error },
                    Some(Trouble::Singular(column)) => SolveError::Singular { t, h, column },
                    None => {
                        let rtol = self.options.tolerances.rtol;
                        let (state, error) = crate::control::worst(
                            &self.k[self.tableau.stages - 1],
                            &self.x_prev,
                            &self.x,
                            &self.atol,
                            rtol,
                        );
                        SolveError::StepTooSmall { t, h, state, error }
                    }
                })
            } else {
                self.clock.trial(self.h, &self.stats)
            };
            match next {
                Ok(next) => trial = next,
                Err(error) => {
                    self.undo();
                    return Err(error);
                }
            }
        }
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        if let Some(i) = &mut self.instead {
            return i.bdf.set_stop(stop);
        }
        let was = self.clock.stop;
        self.clock.set_stop(stop)?;
        if self.h == 0.0 && stop > was {
            // started with nothing to do, so without a first step
            self.h = (stop - self.clock.t) * 1e-6;
        }
        Ok(())
    }

    fn set_horizon(&mut self, horizon: f64) {
        self.clock.horizon = horizon;
        if let Some(i) = &mut self.instead {
            i.bdf.set_horizon(horizon);
        }
    }

    fn set_end(&mut self, end: f64) {
        self.end = end;
    }

    fn nudge(&mut self, sys: &mut dyn System, x: &[f64], stop: f64) -> Result<(), SolveError> {
        if let Some(i) = &mut self.instead {
            return i.bdf.nudge(sys, x, stop);
        }
        self.x.copy_from_slice(x);
        self.f0_valid = false;
        self.clock.set_stop(stop)
    }

    fn t(&self) -> f64 {
        self.instead.as_ref().map_or(self.clock.t, |i| i.bdf.t())
    }

    fn t_prev(&self) -> f64 {
        self.instead.as_ref().map_or(self.clock.t_prev, |i| i.bdf.t_prev())
    }

    fn x(&self) -> &[f64] {
        self.instead.as_ref().map_or(&self.x, |i| i.bdf.x())
    }

    fn interpolate(&self, t: f64, out: &mut [f64]) {
        if let Some(i) = &self.instead {
            return i.bdf.interpolate(t, out);
        }
        if t == self.clock.t || self.h_done == 0.0 {
            out.copy_from_slice(&self.x);
        } else if t == self.clock.t_prev {
            out.copy_from_slice(&self.x_prev);
        } else {
            let s = (t - self.clock.t_prev) / self.h_done;
            let r = 1.0 - s;
            let [h0, h1, h2] = &self.tableau.dense;
            let mut w = [0.0; MAX];
            for j in 0..MAX {
                w[j] = s * r * (h0[j] + s * (h1[j] + s * h2[j]));
            }
            let n = out.len();
            let (x0, x1) = (&self.x_prev[..n], &self.x[..n]);
            // What does not change, does not by a rounding.
            for i in 0..n {
                out[i] = s * (x1[i] - x0[i]);
            }
            for (w, k) in w.iter().zip(&self.k).take(self.tableau.stages) {
                for (o, k) in out.iter_mut().zip(k) {
                    *o += w * k;
                }
            }
            for (o, x0) in out.iter_mut().zip(x0) {
                *o += x0;
            }
        }
    }

    fn h(&self) -> f64 {
        self.instead.as_ref().map_or(self.h, |i| i.bdf.h())
    }

    fn suggest(&mut self, h: f64) {
        match &mut self.instead {
            Some(i) => i.bdf.suggest(h),
            None => self.h = h,
        }
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn save(&self, to: &mut Writer) {
        self.write(to);
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        self.read(sys, from)
    }

    fn seat(&mut self) -> Option<&mut dyn Seat> {
        (self.by_kernel && self.instead.is_none()).then_some(self)
    }

    fn choice(&self) -> Choice {
        let (method, t) =
            self.instead.as_ref().map_or((Method::Rosenbrock, self.t_prev()), |i| (Method::Bdf, i.since));
        Choice { method, t, switches: u32::from(self.instead.is_some()), stiffness: f64::NAN }
    }

    fn clone_box(&self) -> Box<dyn Integrator> {
        Box::new(self.clone())
    }
}
