//! Explicit embedded pairs of order 5(4) with seven stages, first same as last.
//!
//! Equation: `dx/dt = f(t, x)`. Error norm: root mean square of the difference of the two solutions over
//! `atol + rtol·max(|x₀|, |x₁|)`. PI control. Fails when the step no longer moves time. All memory is
//! taken by `start`.

use super::fused;
use crate::control::{Clock, Law, SquareController, first_step, inverse_weight, not_finite, worst};
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::lanes::adaptive::Control;
use crate::lanes::seat::{Place, Seat, SeatCode, Shape};
use crate::lanes::tsit5::dense;
use crate::lanes::writer::{Slot, status};
use crate::state;
use crate::stats::Stats;
use crate::system::{EvalError, System};
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;

/// The coefficients of a pair.
pub trait Tableau: Clone + 'static {
    /// The method's name.
    const METHOD: Method;
    /// Nodes.
    const C: [f64; 7];
    /// Stage 2.
    const A2: [f64; 1];
    /// Stage 3.
    const A3: [f64; 2];
    /// Stage 4.
    const A4: [f64; 3];
    /// Stage 5.
    const A5: [f64; 4];
    /// Stage 6, at the end of the step.
    const A6: [f64; 5];
    /// Stage 7: the solution of order 5.
    const A7: [f64; 6];
    /// The difference of the two solutions.
    const E: [f64; 7];
    /// Dense output: the weight of stage `i` at `θ` is `Σ R[i][j]·θ^(j+1)`.
    const R: [[f64; 4]; 7];
}

/// How steps are chosen.
pub(crate) fn law() -> Law {
    Law::new(5.0, 0.85, 0.2, 0.9, 0.2, 10.0)
}

/// `h·|λ|` on the negative real axis where these pairs become unstable.
pub const STABILITY: f64 = 3.3;

/// An embedded pair at work.
#[derive(Clone, Debug)]
pub struct Embedded<T: Tableau> {
    options: Options,
    atol: Vec<f64>,
    clock: Clock,
    control: SquareController,
    stats: Stats,
    h: f64,
    h_done: f64,
    x: Vec<f64>,
    x_prev: Vec<f64>,
    x_stage: Vec<f64>,
    k: [Vec<f64>; 7],
    /// True if `k[6]` belongs to `x`, so that the next step begins with it.
    first_same_as_last: bool,
    stiffness: f64,
    tableau: std::marker::PhantomData<T>,
}

impl<T: Tableau> Embedded<T> {
    /// Not started yet.
    pub fn new(options: &Options) -> Self {
        Embedded {
            options: options.clone(),
            atol: Vec::new(),
            clock: Clock::new(options),
            control: SquareController::new(law()),
            stats: Stats::default(),
            h: 0.0,
            h_done: 0.0,
            x: Vec::new(),
            x_prev: Vec::new(),
            x_stage: Vec::new(),
            k: Default::default(),
            first_same_as_last: false,
            stiffness: f64::NAN,
            tableau: std::marker::PhantomData,
        }
    }

    /// `h·|λ|` over the limit of stability, from the last two stages of the last step; NaN before.
    pub fn stiffness(&self) -> f64 {
        self.stiffness
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
            for v in [&mut self.x, &mut self.x_prev, &mut self.x_stage].into_iter().chain(&mut self.k) {
                v.clear();
                v.resize(n, 0.0);
            }
        }
        self.clock.start(t, stop)?;
        self.control.reset();
        self.h_done = 0.0;
        self.stiffness = f64::NAN;
        self.x.copy_from_slice(x);
        self.x_prev.copy_from_slice(x);
        if let Some(state) = not_finite(x) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.stats.rhs += 1;
        sys.rhs(t, x, &mut self.k[6]).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
        if let Some(state) = not_finite(&self.k[6]) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.first_same_as_last = true;
        self.h = match h {
            Some(h) => h,
            None if stop == t => 0.0,
            None => {
                let limit = self.clock.h_max().min(stop - t);
                let tol = (&self.atol[..], self.options.tolerances.rtol);
                let [f1, .., f0] = &mut self.k;
                first_step(sys, t, x, f0, &mut self.x_stage, f1, 5, tol, limit, &mut self.stats)?
            }
        };
        Ok(())
    }

    /// Tries one step; the mean square of the weighted error, or NaN if a stage could not be evaluated.
    fn attempt(&mut self, sys: &mut dyn System, h: f64, t1: f64) -> Result<f64, EvalError> {
        let t = self.clock.t;
        let x = &self.x_prev;
        let xs = &mut self.x_stage;
        let [k1, k2, k3, k4, k5, k6, k7] = &mut self.k;
        let rhs = &mut self.stats.rhs;
        fused(xs, x, h, T::A2, [k1]);
        *rhs += 1;
        sys.rhs(t + T::C[1] * h, xs, k2)?;
        fused(xs, x, h, T::A3, [k1, k2]);
        *rhs += 1;
        sys.rhs(t + T::C[2] * h, xs, k3)?;
        fused(xs, x, h, T::A4, [k1, k2, k3]);
        *rhs += 1;
        sys.rhs(t + T::C[3] * h, xs, k4)?;
        fused(xs, x, h, T::A5, [k1, k2, k3, k4]);
        *rhs += 1;
        sys.rhs(t + T::C[4] * h, xs, k5)?;
        fused(xs, x, h, T::A6, [k1, k2, k3, k4, k5]);
        *rhs += 1;
        sys.rhs(t1, xs, k6)?;
        let x1 = &mut self.x;
        fused(x1, x, h, T::A7, [k1, k2, k3, k4, k5, k6]);
        *rhs += 1;
        sys.rhs(t1, x1, k7)?;

        let n = x.len();
        let (df, dx, sum) = pulp::Arch::new().dispatch(Errors::<T> {
            x,
            x1: &x1[..n],
            before: &xs[..n],
            atol: &self.atol[..n],
            rtol: self.options.tolerances.rtol,
            k: [k1, k2, k3, k4, k5, k6, k7].map(|k| &k[..n]),
            tableau: std::marker::PhantomData,
        });
        if dx > 0.0 && df < f64::INFINITY {
            self.stiffness = h * (df / dx).sqrt() / STABILITY;
        }
        Ok(sum * (h * h) * (1.0 / n.max(1) as f64))
    }
}

/// Sums of squares over the states, each weighted: changes of slopes and of states between the last two stages, and the
/// difference of the two solutions over the step.
struct Errors<'a, T> {
    x: &'a [f64],
    x1: &'a [f64],
    before: &'a [f64],
    atol: &'a [f64],
    rtol: f64,
    k: [&'a [f64]; 7],
    tableau: std::marker::PhantomData<T>,
}

impl<T: Tableau> pulp::WithSimd for Errors<'_, T> {
    type Output = (f64, f64, f64);

    #[inline(always)]
    fn with_simd<I: pulp::Simd>(self, _: I) -> (f64, f64, f64) {
        let Errors { x, x1, before, atol, rtol, k, .. } = self;
        let (mut sum, mut df, mut dx) = (0.0, 0.0, 0.0);
        for i in 0..x.len() {
            let mut e = T::E[0] * k[0][i];
            for (a, k) in T::E.iter().zip(&k).skip(1) {
                e = a.mul_add(k[i], e);
            }
            let (a, b) = (x[i].abs(), x1[i].abs());
            let w = inverse_weight(atol[i], rtol, if a > b { a } else { b });
            let e = e * w;
            sum = f64::mul_add(e, e, sum);
            let a = (k[6][i] - k[5][i]) * w;
            let b = (x1[i] - before[i]) * w;
            df = f64::mul_add(a, a, df);
            dx = f64::mul_add(b, b, dx);
        }
        (df, dx, sum)
    }
}

impl<T: Tableau> Integrator for Embedded<T> {
    fn method(&self) -> Method {
        T::METHOD
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(T::METHOD)?;
        self.stats = Stats::default();
        self.atol.clear();
        self.begin(sys, t, x, stop, self.options.h)
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.stats.restarts += 1;
        self.begin(sys, t, x, stop, None)
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if !self.first_same_as_last {
            return Err(SolveError::NotStarted);
        }
        let mut fresh = true;
        loop {
            let trial = self.clock.trial(self.h, &self.stats)?;
            if fresh {
                // only now is the last step's dense output given up
                std::mem::swap(&mut self.x, &mut self.x_prev);
                self.k.swap(0, 6);
                fresh = false;
            }
            let result = self.attempt(sys, trial.h, trial.t);
            let failure = match result {
                Ok(err) if err <= 1.0 => {
                    let mut h = trial.h * self.control.accept(err);
                    if trial.cut {
                        h = h.max(self.h);
                    }
                    self.h = h;
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
                Err(error @ EvalError::Recoverable { .. }) => {
                    self.h = trial.h * self.control.fail();
                    Some(error)
                }
                Err(error) => {
                    self.undo();
                    return Err(SolveError::Eval { t: self.clock.t, h: trial.h, error });
                }
            };
            self.stats.rejected += 1;
            if self.clock.stuck(self.h) {
                let error = match failure {
                    Some(error) => SolveError::Eval { t: self.clock.t, h: trial.h, error },
                    None => {
                        for i in 0..self.x.len() {
                            let e: f64 = (0..7).map(|j| T::E[j] * self.k[j][i]).sum();
                            self.x_stage[i] = trial.h * e;
                        }
                        let rtol = self.options.tolerances.rtol;
                        let (state, error) = worst(&self.x_stage, &self.x_prev, &self.x, &self.atol, rtol);
                        SolveError::StepTooSmall { t: self.clock.t, h: trial.h, state, error }
                    }
                };
                self.undo();
                return Err(error);
            }
        }
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        let was = self.clock.stop;
        self.clock.set_stop(stop)?;
        if self.h == 0.0 && stop > was {
            // started with nothing to do, so without a first step
            self.h = (stop - self.clock.t) * 1e-6;
        }
        Ok(())
    }

    fn nudge(&mut self, sys: &mut dyn System, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let t = self.clock.t;
        self.x.copy_from_slice(x);
        self.stats.rhs += 1;
        sys.rhs(t, &self.x, &mut self.k[6]).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
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
            let theta = (t - self.clock.t_prev) / self.h_done;
            let b = T::R.map(|r| theta * (r[0] + theta * (r[1] + theta * (r[2] + theta * r[3]))));
            let [k1, k2, k3, k4, k5, k6, k7] = &self.k;
            fused(out, &self.x_prev, self.h_done, b, [k1, k2, k3, k4, k5, k6, k7]);
        }
    }

    fn h(&self) -> f64 {
        self.h
    }

    fn suggest(&mut self, h: f64) {
        self.h = h;
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn clone_box(&self) -> Box<dyn Integrator> {
        Box::new(self.clone())
    }

    fn save(&self, to: &mut Writer) {
        state::begin(to, T::METHOD, self.first_same_as_last);
        if !self.first_same_as_last {
            return;
        }
        self.clock.save(to);
        to.put(&self.control.past()).put(&self.stats);
        to.put(&self.h).put(&self.h_done).put(&self.stiffness);
        for v in [&self.x, &self.x_prev].into_iter().chain(&self.k) {
            to.slice(v);
        }
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Self::new(&self.options);
        if !state::begun(from, T::METHOD)? {
            return Ok(());
        }
        let n = sys.dim();
        self.atol = self.options.tolerances.expand(n).map_err(|e| from.malformed(e.to_string()))?;
        self.clock.load(from)?;
        self.control.load(from)?;
        self.stats = from.get()?;
        (self.h, self.h_done) = (state::length(from)?, state::length(from)?);
        self.stiffness = from.get()?;
        for v in [&mut self.x, &mut self.x_prev].into_iter().chain(&mut self.k) {
            state::vector(from, v, n)?;
        }
        self.x_stage.resize(n, 0.0);
        self.first_same_as_last = true;
        Ok(())
    }

    fn seat(&mut self) -> Option<&mut dyn Seat> {
        Some(self)
    }
}

impl<T: Tableau> Seat for Embedded<T> {
    fn shape(&self) -> Shape {
        let control = Control::of(&self.options, &self.atol);
        if T::METHOD == Method::Dopri5 { Shape::Dopri5(control) } else { Shape::Tsit5(control) }
    }

    fn put(
        &mut self,
        _: &mut dyn System,
        _: &SeatCode,
        memory: &mut LaneMemory,
        lane: usize,
        _: f64,
    ) -> Option<u64> {
        let done = self.stats;
        self.put_after(&done, memory, lane).then_some(1)
    }

    fn take(&mut self, _: &mut dyn System, code: &SeatCode, memory: &LaneMemory, lane: usize, _: u64) {
        let done = self.stats;
        self.take_after(&done, memory, lane, code.whole);
    }
}

impl<T: Tableau> Embedded<T> {
    /// [`Seat::put`], with the steps of a whole that this is a part of. False: the next step is none for lanes.
    pub(crate) fn put_after(&self, done: &Stats, memory: &mut LaneMemory, lane: usize) -> bool {
        let (t, stop) = (self.clock.t, self.clock.stop);
        if !(self.first_same_as_last && self.clock.has_room(done)) {
            return false;
        }
        let (past, rejected) = self.control.past();
        let mut place = Place::new(memory, lane);
        place.set(Space::Time, 0, t);
        for (i, (x, k)) in self.x.iter().zip(&self.k[6]).enumerate() {
            place.set(Space::State, i, *x);
            place.set(Space::Der, i, *k);
        }
        let rejected = if rejected { 1.0 } else { 0.0 };
        for (slot, value) in [
            (Slot::H, self.h),
            (Slot::Stop, stop),
            (Slot::LogOld, past),
            (Slot::Rejected, rejected),
            (Slot::Status, status::RUNNING),
            (Slot::Steps, done.steps as f64),
            (Slot::Trials, done.rejected as f64),
        ] {
            place.set(Space::Jac, slot as usize, value);
        }
        if place.slots(Space::Jac) > dense::STIFFNESS as usize {
            place.set(Space::Jac, dense::STIFFNESS as usize, self.stiffness);
        }
        true
    }

    /// [`Seat::take`], as [`Embedded::put_after`].
    pub(crate) fn take_after(&mut self, done: &Stats, memory: &LaneMemory, lane: usize, whole: bool) {
        let at = |slot: usize| memory.slot(Space::Jac, slot)[lane];
        let (steps, rejected) = (at(Slot::Steps as usize) as u64, at(Slot::Trials as usize) as u64);
        self.stats.steps += steps - done.steps;
        self.stats.rejected += rejected - done.rejected;
        self.stats.error_test_failures += rejected - done.rejected;
        self.stats.rhs += 6 * (steps + rejected - done.steps - done.rejected);
        self.h = at(Slot::H as usize);
        self.control.accepted(at(Slot::LogOld as usize));
        for (i, x) in self.x.iter_mut().enumerate() {
            *x = memory.slot(Space::State, i)[lane];
        }
        let t = memory.slot(Space::Time, 0)[lane];
        if whole {
            self.stiffness = at(dense::STIFFNESS as usize);
            self.h_done = at(dense::LENGTH as usize);
            // Steps of which nobody heard may lie between.
            (self.clock.t, self.clock.t_prev) = (t, at(dense::FROM as usize));
            let kept = std::iter::once(&mut self.x_prev).chain(&mut self.k).flatten();
            for (k, v) in kept.enumerate() {
                *v = at(dense::STATES as usize + k);
            }
        } else {
            // Nobody asks for anything within the step.
            self.h_done = 0.0;
            (self.clock.t, self.clock.t_prev) = (t, t);
            self.x_prev.copy_from_slice(&self.x);
            for (i, k) in self.k[6].iter_mut().enumerate() {
                *k = memory.slot(Space::Der, i)[lane];
            }
        }
    }
}

impl<T: Tableau> Embedded<T> {
    /// After a failure: the state before the step is the state again; the last step's dense output is gone.
    fn undo(&mut self) {
        self.x.copy_from_slice(&self.x_prev);
        self.k.swap(0, 6);
        self.clock.t_prev = self.clock.t;
        self.h_done = 0.0;
    }
}
