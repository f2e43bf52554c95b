//! Stochastic differential equations `dx = a(t, x) dt + B(t, x) dW` in the sense of Itô, with fixed steps.
//!
//! A [`System`] with noise gives `a + B·n` for a given `n` ([`System::rhs_driven`]) and the values of its Brownian
//! paths at any time ([`System::brownian`]); the paths know nothing of steps, so a smaller step refines the same path.
//!
//! - `euler` is the Euler–Maruyama method, `x₁ = x + h·(a + B·ΔW/h)`: one evaluation a step, strong order 1/2 (1 where
//!   the intensities do not depend on the states), weak order 1.
//! - `milstein` adds ½ Σ Lʲbₖ·(ΔWⱼΔWₖ − δⱼₖh): strong order 1 for noises that commute. See [`milstein`].
//!
//! (P. E. Kloeden and E. Platen, "Numerical Solution of Stochastic Differential Equations", Springer 1992, sections
//! 10.2 and 10.3.)
//!
//! Steps end on the grid `t₀ + k·h`; a stop time cuts a step, at whose end the path has its exact value. Dense output is
//! the straight line between the ends of a step, so an event's instant is located to first order in `h`, and what
//! happens between two ends (a barrier touched and left) is not seen. Where an event restarts the method inside of a step, the
//! path is taken to run straight within that step: at its end it is the same path again.

pub mod milstein;

use crate::control::{Clock, not_finite};
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::lanes::seat::{Place, Seat, SeatCode, Shape};
use crate::lanes::stepped;
use crate::rk::fixed::Grid;
use crate::state;
use crate::stats::Stats;
use crate::system::System;
use milstein::Correction;
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;

/// Euler–Maruyama or Milstein at work.
#[derive(Clone, Debug)]
pub struct Stochastic {
    options: Options,
    clock: Clock,
    grid: Grid,
    h: f64,
    stats: Stats,
    started: bool,
    x: Vec<f64>,
    x_prev: Vec<f64>,
    /// The paths at the ends of the last step.
    w: Vec<f64>,
    w_prev: Vec<f64>,
    dw: Vec<f64>,
    /// `ΔW/h`.
    rate: Vec<f64>,
    /// The paths at the end of a step that is computed elsewhere.
    ahead: Vec<f64>,
    slope: Vec<f64>,
    correction: Option<Correction>,
}

impl Stochastic {
    /// Not started yet; the step is `options.h`. `method` is `Euler` or `Milstein`.
    pub fn new(method: Method, options: &Options) -> Self {
        Stochastic {
            options: options.clone(),
            clock: Clock::new(options),
            grid: Grid::new(0.0, f64::NAN),
            h: f64::NAN,
            stats: Stats::default(),
            started: false,
            x: Vec::new(),
            x_prev: Vec::new(),
            w: Vec::new(),
            w_prev: Vec::new(),
            dw: Vec::new(),
            rate: Vec::new(),
            ahead: Vec::new(),
            slope: Vec::new(),
            correction: (method == Method::Milstein).then(Correction::default),
        }
    }

    fn begin(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let n = sys.dim();
        if x.len() != n {
            return Err(SolveError::Dimension { expected: n, got: x.len() });
        }
        for v in [&mut self.x, &mut self.x_prev, &mut self.slope] {
            v.resize(n, 0.0);
        }
        self.clock.start(t, stop)?;
        self.x.copy_from_slice(x);
        self.x_prev.copy_from_slice(x);
        if let Some(state) = not_finite(x) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.w_prev.copy_from_slice(&self.w);
        if let Some(c) = &mut self.correction {
            c.examine(sys, t, x, self.h, &mut self.stats)?;
        }
        self.started = true;
        Ok(())
    }
}

impl Integrator for Stochastic {
    fn method(&self) -> Method {
        if self.correction.is_some() { Method::Milstein } else { Method::Euler }
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(self.method())?;
        let h = self.options.h.unwrap_or(f64::NAN).min(self.options.h_max);
        if !t.is_finite() || t + h <= t {
            return Err(SolveError::StepSize { h });
        }
        self.stats = Stats::default();
        self.grid = Grid::new(t, h);
        self.h = h;
        for v in [&mut self.w, &mut self.w_prev, &mut self.dw, &mut self.rate, &mut self.ahead] {
            v.resize(sys.n_noise(), 0.0);
        }
        sys.brownian(t, &mut self.w);
        self.begin(sys, t, x, stop)
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.stats.restarts += 1;
        let (t0, t1) = (self.clock.t_prev, self.clock.t);
        if t < t1 && t1 > t0 {
            let s = ((t - t0) / (t1 - t0)).clamp(0.0, 1.0);
            for (w, before) in self.w.iter_mut().zip(&self.w_prev) {
                *w = before + s * (*w - before);
            }
        }
        self.begin(sys, t, x, stop)
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if !self.started {
            return Err(SolveError::NotStarted);
        }
        let (t, stop) = (self.clock.t, self.clock.stop);
        if t >= stop {
            return Err(SolveError::StopTime { t, stop });
        }
        if self.stats.steps >= self.clock.max_steps() {
            return Err(SolveError::TooManySteps { t, h: self.h, steps: self.stats.steps });
        }
        let next = self.grid.next(t);
        let t1 = if next + 1e-9 * self.h >= stop { stop } else { next };
        let h = t1 - t;
        std::mem::swap(&mut self.x, &mut self.x_prev);
        std::mem::swap(&mut self.w, &mut self.w_prev);
        sys.brownian(t1, &mut self.w);
        for (k, dw) in self.dw.iter_mut().enumerate() {
            *dw = self.w[k] - self.w_prev[k];
            self.rate[k] = *dw / h;
        }
        let fail = |error| SolveError::Eval { t, h, error };
        self.stats.rhs += 1;
        sys.rhs_driven(t, &self.x_prev, &self.rate, &mut self.slope).map_err(fail)?;
        for ((x1, x), slope) in self.x.iter_mut().zip(&self.x_prev).zip(&self.slope) {
            *x1 = x + h * slope;
        }
        if let Some(c) = &mut self.correction {
            c.add(sys, t, &self.x_prev, h, &self.dw, &mut self.x, &mut self.stats).map_err(fail)?;
        }
        if let Some(state) = not_finite(&self.x) {
            return Err(SolveError::NotFinite { t: t1, state });
        }
        self.clock.advance(t1);
        self.stats.steps += 1;
        Ok(())
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.clock.set_stop(stop)
    }

    fn nudge(&mut self, _: &mut dyn System, x: &[f64], stop: f64) -> Result<(), SolveError> {
        if let Some(state) = not_finite(x) {
            return Err(SolveError::NotFinite { t: self.clock.t, state });
        }
        self.x.copy_from_slice(x);
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
        let (t0, t1) = (self.clock.t_prev, self.clock.t);
        if t == t1 || t0 == t1 {
            out.copy_from_slice(&self.x);
            return;
        }
        let s = (t - t0) / (t1 - t0);
        for ((o, a), b) in out.iter_mut().zip(&self.x_prev).zip(&self.x) {
            *o = a + s * (b - a);
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
        state::begin(to, self.method(), self.started);
        if !self.started {
            return;
        }
        self.clock.save(to);
        self.grid.save(to);
        to.put(&self.stats);
        for v in [&self.x, &self.x_prev, &self.w, &self.w_prev] {
            to.slice(v);
        }
        if let Some(c) = &self.correction {
            to.put(&c.apart());
        }
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Self::new(self.method(), &self.options);
        if !state::begun(from, self.method())? {
            return Ok(());
        }
        let (n, paths) = (sys.dim(), sys.n_noise());
        self.h = self.options.h.unwrap_or(f64::NAN).min(self.options.h_max);
        self.clock.load(from)?;
        self.grid = Grid::load(from, self.h, self.clock.t)?;
        self.stats = from.get()?;
        for v in [&mut self.x, &mut self.x_prev] {
            state::vector(from, v, n)?;
        }
        for v in [&mut self.w, &mut self.w_prev] {
            state::vector(from, v, paths)?;
        }
        for v in [&mut self.dw, &mut self.rate, &mut self.ahead] {
            v.resize(paths, 0.0);
        }
        self.slope.resize(n, 0.0);
        if let Some(c) = &mut self.correction {
            *c = Correction::known(from.get()?, n, paths);
        }
        self.started = true;
        Ok(())
    }

    fn seat(&mut self) -> Option<&mut dyn Seat> {
        Some(self)
    }
}

impl Seat for Stochastic {
    fn shape(&self) -> Shape {
        match &self.correction {
            None => Shape::Maruyama,
            Some(c) => Shape::Milstein { apart: c.apart() },
        }
    }

    fn put(
        &mut self,
        sys: &mut dyn System,
        code: &SeatCode,
        memory: &mut LaneMemory,
        lane: usize,
        _: f64,
    ) -> Option<u64> {
        let (t, stop) = (self.clock.t, self.clock.stop);
        // How the noises act on one another is found out anew after each event.
        let other = *code.shape() != self.shape();
        if !self.started || t >= stop || self.stats.steps >= self.clock.max_steps() || other {
            return None;
        }
        if self.correction.is_some() && sys.on_limit(&self.x) {
            // There its derivatives are others.
            return None;
        }
        let next = self.grid.next(t);
        let t1 = if next + 1e-9 * self.h >= stop { stop } else { next };
        let h = t1 - t;
        sys.brownian(t1, &mut self.ahead);
        let mut place = Place::new(memory, lane);
        let moves = stepped::moves(self.x.len() as u32) as usize;
        for (k, (slot, (ahead, w))) in code.noise.iter().zip(self.ahead.iter().zip(&self.w)).enumerate() {
            let dw = ahead - w;
            place.set(Space::Input, *slot, dw / h);
            if self.correction.is_some() {
                place.set(Space::Jac, moves + k, dw);
            }
        }
        place.set(Space::Time, 0, t);
        place.set(Space::TTime, 0, t1);
        place.set_all(Space::State, &self.x);
        Some(1)
    }

    fn take(&mut self, _: &mut dyn System, _: &SeatCode, memory: &LaneMemory, lane: usize, _: u64) {
        std::mem::swap(&mut self.x, &mut self.x_prev);
        std::mem::swap(&mut self.w, &mut self.w_prev);
        std::mem::swap(&mut self.w, &mut self.ahead);
        for (i, x) in self.x.iter_mut().enumerate() {
            *x = memory.slot(Space::State, i)[lane];
        }
        self.clock.advance(memory.slot(Space::Time, 0)[lane]);
        self.stats.steps += 1;
        self.stats.rhs += 1;
        if let Some(c) = &self.correction {
            c.count(self.w.len(), &mut self.stats);
        }
    }
}
