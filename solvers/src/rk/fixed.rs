//! Fixed-step explicit methods: Euler (order 1) and the classic Runge–Kutta method (order 4).
//!
//! Steps end on the grid `t₀ + k·h`, computed from `k` and so without drift; the stop time cuts a step
//! exactly, and the next one goes on to the grid. Dense output: linear for Euler, cubic Hermite for RK4
//! (both as exact as the method). A stage that cannot be evaluated is an error: the step was ordered.

use super::stage;
use crate::control::{Clock, not_finite};
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::lanes::seat::{Place, Seat, SeatCode, Shape};
use crate::lanes::stepped;
use crate::state;
use crate::stats::Stats;
use crate::system::{Rk4Grid, System};
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;
use twinml_model::passes::rk4::Stepped;

/// The grid of fixed-step methods.
#[derive(Clone, Debug)]
pub struct Grid {
    t0: f64,
    h: f64,
    k: f64,
}

impl Grid {
    /// Points `t0 + k·h`.
    pub fn new(t0: f64, h: f64) -> Self {
        Grid { t0, h, k: 0.0 }
    }

    /// The first grid point after `t`, not within rounding of it.
    pub fn next(&mut self, t: f64) -> f64 {
        let near = t + self.h * 1e-9;
        let mut k = self.k + 1.0;
        if !(self.t0 + (k - 1.0) * self.h <= near && self.t0 + k * self.h > near) {
            k = ((t - self.t0) / self.h).floor();
            while self.t0 + k * self.h <= near {
                k += 1.0;
            }
        }
        self.k = k;
        self.t0 + k * self.h
    }

    /// Appends where it is.
    pub(crate) fn save(&self, to: &mut Writer) {
        to.put(&self.t0).put(&self.k);
    }

    /// A grid of width `h` as [`Grid::save`] wrote it, for a time `t` reached.
    pub(crate) fn load(from: &mut Reader<'_>, h: f64, t: f64) -> Result<Grid, Malformed> {
        /// Whole numbers up to here differ from their neighbours.
        const MOST: f64 = 4_503_599_627_370_496.0;
        let at = from.at();
        let (t0, k) = from.get::<(f64, f64)>()?;
        // A grid that does not move time on would be searched for the next point without end.
        let moves = h > 0.0 && h.is_finite() && t0 + h > t0 && t + h > t && (t - t0) / h < MOST;
        if t0.is_finite()
            && t0 <= t
            && moves
            && (0.0..MOST).contains(&k)
            && k.fract() == 0.0
            && k.is_sign_positive()
        {
            Ok(Grid { t0, h, k })
        } else {
            let why = format!("at {t} s there is no grid of points {t0} s + {k}·{h} s");
            Err(Malformed { at, why })
        }
    }
}

/// Euler or RK4 at work.
#[derive(Clone, Debug)]
pub struct Fixed<const ORDER: u32> {
    options: Options,
    clock: Clock,
    grid: Grid,
    stats: Stats,
    started: bool,
    /// Nobody wants a state before this.
    skip: f64,
    /// Nobody wants any but these before the last of them; those that the last step has passed, as numbers of kept states.
    asked: Vec<f64>,
    passed: Vec<u32>,
    /// The system has code of its own for steps on the grid.
    own: bool,
    /// Whether `f1` is `f` at the end of the last step.
    f1_known: bool,
    x: Vec<f64>,
    x_prev: Vec<f64>,
    x_stage: Vec<f64>,
    /// `f` at the start of the step.
    f0: Vec<f64>,
    /// `f` at its end.
    f1: Vec<f64>,
    k2: Vec<f64>,
    k3: Vec<f64>,
    k4: Vec<f64>,
}

/// Explicit Euler.
pub type Euler = Fixed<1>;
/// The classic Runge–Kutta method.
pub type Rk4 = Fixed<4>;

impl<const ORDER: u32> Fixed<ORDER> {
    const METHOD: Method = if ORDER == 1 { Method::Euler } else { Method::Rk4 };

    /// Not started yet; the step is `options.h`.
    pub fn new(options: &Options) -> Self {
        Fixed {
            options: options.clone(),
            clock: Clock::new(options),
            grid: Grid::new(0.0, f64::NAN),
            stats: Stats::default(),
            started: false,
            skip: f64::NEG_INFINITY,
            asked: Vec::new(),
            passed: Vec::new(),
            own: false,
            f1_known: false,
            x: Vec::new(),
            x_prev: Vec::new(),
            x_stage: Vec::new(),
            f0: Vec::new(),
            f1: Vec::new(),
            k2: Vec::new(),
            k3: Vec::new(),
            k4: Vec::new(),
        }
    }

    fn begin(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let n = sys.dim();
        if x.len() != n {
            return Err(SolveError::Dimension { expected: n, got: x.len() });
        }
        for v in [
            &mut self.x,
            &mut self.x_prev,
            &mut self.x_stage,
            &mut self.f0,
            &mut self.f1,
            &mut self.k2,
            &mut self.k3,
            &mut self.k4,
        ] {
            v.resize(n, 0.0);
        }
        self.clock.start(t, stop)?;
        self.x.copy_from_slice(x);
        self.x_prev.copy_from_slice(x);
        if let Some(state) = not_finite(x) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.stats.rhs += 1;
        sys.rhs(t, x, &mut self.f1).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
        self.started = true;
        self.f1_known = true;
        match not_finite(&self.f1) {
            Some(state) => Err(SolveError::NotFinite { t, state }),
            None => Ok(()),
        }
    }
}

/// Most steps that one call takes: the caller wants to hear from us.
const FUSED: f64 = 4096.0;
/// Steps whose states a system is asked to keep, as many as there may be first.
pub const KEPT: [u64; 2] = [512, 32];

impl<const ORDER: u32> Fixed<ORDER> {
    /// Steps by the system's own code: as many as reach neither the stop time nor beyond what may be skipped,
    /// or one, with dense output. `None` where the system has no such code or the next step is cut.
    fn fused(&mut self, sys: &mut dyn System) -> Option<Result<(), SolveError>> {
        if self.asked.len() > 1 && KEPT.into_iter().any(|steps| self.kept(sys, steps)) {
            return Some(Ok(()));
        }
        let (t, stop, Grid { t0, h, k }) = (self.clock.t, self.clock.stop, self.grid.clone());
        let at = |m: f64| t0 + (k + m) * h;
        let m = self.in_a_row(self.skip)?;
        let dense = m < 1.0;
        let steps = m.max(1.0);
        let grid = Rk4Grid { t0, h, n: k as u64 };
        self.x_stage.copy_from_slice(&self.x);
        let bad = match sys.rk4(grid, steps as u64, &mut self.x_stage)? {
            Ok(()) => not_finite(&self.x_stage).is_some(),
            Err(_) => true,
        };
        if bad {
            return Some(self.find_failure(sys, steps));
        }
        std::mem::swap(&mut self.x, &mut self.x_prev);
        std::mem::swap(&mut self.x, &mut self.x_stage);
        self.grid.k = k + steps;
        let t1 = if stop - at(steps) <= 1e-9 * h { stop } else { at(steps) };
        self.stats.steps += steps as u64;
        self.stats.rhs += 4 * steps as u64;
        self.f1_known = dense;
        if dense {
            self.stats.rhs += 2;
            let slopes = sys
                .rhs(t, &self.x_prev, &mut self.f0)
                .and_then(|()| sys.rhs(t1, &self.x, &mut self.f1))
                .map_err(|error| SolveError::Eval { t: t1, h, error });
            if let Err(error) = slopes {
                return Some(Err(error));
            }
            if let Some(state) = not_finite(&self.f1) {
                return Some(Err(SolveError::NotFinite { t: t1, state }));
            }
        }
        self.clock.advance(t1);
        Some(Ok(()))
    }

    /// So many steps by the system's own code that keeps the states after each of them, where several instants that are
    /// asked for lie on these, and all. False where they do not, and nothing is done: also where such steps fail, for then
    /// each is to be done by itself.
    fn kept(&mut self, sys: &mut dyn System, count: u64) -> bool {
        let Grid { t0, h, k } = self.grid;
        let (steps, stop) = (count as f64, self.clock.stop);
        let (at, t1) = (|m: f64| t0 + (k + m) * h, t0 + (k + steps) * h);
        let known = self.asked.last().is_some_and(|&t| t >= t1 || same(t, t1));
        if !known || self.in_a_row(t1).is_none_or(|most| most < steps) {
            return false;
        }
        // Where steps are long beside what `same` lets pass, an instant that is the same as a point is near no other.
        let apart_enough = h > 64.0 * f64::EPSILON * t0.abs().max(t1.abs());
        let (mut last, mut apart) = (0.0, f64::NAN);
        for &t in &self.asked {
            // They are mostly as far from each other as the two before.
            let mut m = last + apart;
            if !(apart_enough && same(t, at(m))) {
                m = ((t - t0) / h).round() - k;
                if m > steps {
                    break;
                }
                if !(m >= 1.0 && same(t, at(m))) {
                    self.passed.clear();
                    return false;
                }
            } else if m > steps {
                break;
            }
            (last, apart) = (m, m - last);
            self.passed.push(m as u32 - 1);
        }
        let grid = Rk4Grid { t0, h, n: k as u64 };
        self.x_stage.copy_from_slice(&self.x);
        let done = self.passed.len() > 1
            && matches!(sys.rk4_kept(grid, count, &mut self.x_stage), Some(Ok(())))
            && not_finite(&self.x_stage).is_none();
        if !done {
            self.passed.clear();
            return false;
        }
        self.asked.clear();
        std::mem::swap(&mut self.x, &mut self.x_prev);
        std::mem::swap(&mut self.x, &mut self.x_stage);
        self.grid.k = k + steps;
        self.stats.steps += count;
        self.stats.rhs += 4 * count;
        self.f1_known = false;
        self.clock.advance(if stop - t1 <= 1e-9 * h { stop } else { t1 });
        true
    }

    /// How many fused steps reach neither the stop time nor beyond `skip`; 0: one, which does. `None`: the next step is cut.
    fn in_a_row(&self, skip: f64) -> Option<f64> {
        let (t, stop, Grid { t0, h, k }) = (self.clock.t, self.clock.stop, self.grid.clone());
        let at = |m: f64| t0 + (k + m) * h;
        if t != at(0.0) {
            return None;
        }
        // A grid point within rounding of the stop time, or of an instant that is asked for, counts as it.
        let reached = |m: f64, limit: f64| {
            at(m) <= limit || same(at(m), limit) || (limit == stop && at(m) - 1e-9 * h <= stop)
        };
        if !reached(1.0, stop) {
            return None;
        }
        let limit = skip.min(stop);
        let most = (self.clock.max_steps() - self.stats.steps) as f64;
        let mut m = ((limit - t) / h).round().min(FUSED).min(most);
        while m > 0.0 && !reached(m, limit) {
            m -= 1.0;
        }
        Some(m.max(0.0))
    }

    /// The first of `steps` steps that fails, one after the other.
    fn find_failure(&mut self, sys: &mut dyn System, steps: f64) -> Result<(), SolveError> {
        let Grid { t0, h, k } = self.grid.clone();
        let mut m = 0.0;
        while m < steps {
            self.x_stage.copy_from_slice(&self.x);
            let (t, t1) = (t0 + (k + m) * h, t0 + (k + m + 1.0) * h);
            let grid = Rk4Grid { t0, h, n: (k + m) as u64 };
            if let Some(done) = sys.rk4(grid, 1, &mut self.x_stage) {
                done.map_err(|error| SolveError::Eval { t, h, error })?;
            }
            if let Some(state) = not_finite(&self.x_stage) {
                return Err(SolveError::NotFinite { t: t1, state });
            }
            std::mem::swap(&mut self.x, &mut self.x_stage);
            self.clock.advance(t1);
            self.stats.steps += 1;
            self.stats.rhs += 4;
            m += 1.0;
        }
        // A system that fails in a row of steps but in none of them is broken.
        Err(SolveError::StepSize { h })
    }
}

impl<const ORDER: u32> Integrator for Fixed<ORDER> {
    fn method(&self) -> Method {
        Self::METHOD
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(Self::METHOD)?;
        let h = self.options.h.unwrap_or(f64::NAN).min(self.options.h_max);
        if !t.is_finite() || t + h <= t {
            return Err(SolveError::StepSize { h });
        }
        self.stats = Stats::default();
        self.grid = Grid::new(t, h);
        self.skip = f64::NEG_INFINITY;
        self.begin(sys, t, x, stop)?;
        // To be asked for no steps changes nothing.
        let grid = Rk4Grid { t0: t, h, n: 0 };
        self.own = ORDER == 4 && sys.rk4(grid, 0, &mut self.x_stage).is_some();
        Ok(())
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.stats.restarts += 1;
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
            return Err(SolveError::TooManySteps { t, h: self.grid.h, steps: self.stats.steps });
        }
        self.passed.clear();
        if ORDER == 4
            && let Some(done) = self.fused(sys)
        {
            return done;
        }
        if !self.f1_known {
            self.stats.rhs += 1;
            sys.rhs(t, &self.x, &mut self.f1).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
            self.f1_known = true;
        }
        let next = self.grid.next(t);
        let t1 = if next + 1e-9 * self.grid.h >= stop { stop } else { next };
        let h = t1 - t;
        std::mem::swap(&mut self.x, &mut self.x_prev);
        std::mem::swap(&mut self.f0, &mut self.f1);
        let (x, x1, f0) = (&self.x_prev, &mut self.x, &self.f0);
        let fail = |error| SolveError::Eval { t, h, error };
        if ORDER == 1 {
            stage(x1, x, h, [1.0], [f0]);
        } else {
            let (xs, k2, k3, k4) = (&mut self.x_stage, &mut self.k2, &mut self.k3, &mut self.k4);
            let half = t + 0.5 * h;
            stage(xs, x, h, [0.5], [f0]);
            sys.rhs(half, xs, k2).map_err(fail)?;
            stage(xs, x, h, [0.5], [k2]);
            sys.rhs(half, xs, k3).map_err(fail)?;
            stage(xs, x, h, [1.0], [k3]);
            sys.rhs(t1, xs, k4).map_err(fail)?;
            let n = x.len();
            let (k2, k3, k4, f0, x1) = (&k2[..n], &k3[..n], &k4[..n], &f0[..n], &mut x1[..n]);
            let sixth = h / 6.0;
            for i in 0..n {
                x1[i] = x[i] + sixth * (f0[i] + 2.0 * (k2[i] + k3[i]) + k4[i]);
            }
        }
        self.stats.rhs += u64::from(ORDER);
        sys.rhs(t1, x1, &mut self.f1).map_err(|error| SolveError::Eval { t: t1, h, error })?;
        if let Some(state) = not_finite(&self.x).or_else(|| not_finite(&self.f1)) {
            return Err(SolveError::NotFinite { t: t1, state });
        }
        self.clock.advance(t1);
        self.stats.steps += 1;
        Ok(())
    }

    fn skip_to(&mut self, t: f64) {
        self.skip = t;
        self.asked.clear();
    }

    fn ask(&mut self, instants: &[f64]) {
        self.skip = instants.first().copied().unwrap_or(f64::INFINITY);
        self.asked.clear();
        self.asked.extend_from_slice(instants);
    }

    fn passed(&self) -> &[u32] {
        &self.passed
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
        let (t0, t1) = (self.clock.t_prev, self.clock.t);
        if same(t, t1) || t0 == t1 {
            out.copy_from_slice(&self.x);
        } else if t == t0 {
            out.copy_from_slice(&self.x_prev);
        } else if ORDER == 1 {
            stage(out, &self.x_prev, t - t0, [1.0], [&self.f0]);
        } else {
            hermite((t0, &self.x_prev, &self.f0), (t1, &self.x, &self.f1), t, out);
        }
    }

    fn h(&self) -> f64 {
        self.grid.h
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn clone_box(&self) -> Box<dyn Integrator> {
        Box::new(self.clone())
    }

    fn save(&self, to: &mut Writer) {
        state::begin(to, Self::METHOD, self.started);
        if !self.started {
            return;
        }
        self.clock.save(to);
        self.grid.save(to);
        to.put(&self.stats).put(&self.skip).put(&self.f1_known);
        for v in [&self.x, &self.x_prev, &self.f0, &self.f1] {
            to.slice(v);
        }
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Self::new(&self.options);
        if !state::begun(from, Self::METHOD)? {
            return Ok(());
        }
        let n = sys.dim();
        let h = self.options.h.unwrap_or(f64::NAN).min(self.options.h_max);
        self.clock.load(from)?;
        self.grid = Grid::load(from, h, self.clock.t)?;
        (self.stats, self.skip, self.f1_known) = from.get()?;
        for v in [&mut self.x, &mut self.x_prev, &mut self.f0, &mut self.f1] {
            state::vector(from, v, n)?;
        }
        for v in [&mut self.x_stage, &mut self.k2, &mut self.k3, &mut self.k4] {
            v.resize(n, 0.0);
        }
        let grid = Rk4Grid { t0: self.grid.t0, h, n: 0 };
        self.own = ORDER == 4 && sys.rk4(grid, 0, &mut self.x_stage).is_some();
        self.started = true;
        Ok(())
    }

    fn seat(&mut self) -> Option<&mut dyn Seat> {
        Some(self)
    }
}

impl<const ORDER: u32> Seat for Fixed<ORDER> {
    fn shape(&self) -> Shape {
        match ORDER {
            1 => Shape::Fixed(Stepped::Euler),
            _ if self.own => Shape::Grid { t0: self.grid.t0, h: self.grid.h },
            _ => Shape::Fixed(Stepped::Rk4),
        }
    }

    fn put(
        &mut self,
        _: &mut dyn System,
        _: &SeatCode,
        memory: &mut LaneMemory,
        lane: usize,
        quiet: f64,
    ) -> Option<u64> {
        let (t, stop) = (self.clock.t, self.clock.stop);
        if !self.started || t >= stop || self.stats.steps >= self.clock.max_steps() {
            return None;
        }
        if self.own {
            let m = self.in_a_row(quiet)?;
            let mut place = Place::new(memory, lane);
            place.set(Space::TTime, 0, self.grid.k);
            place.set(Space::Time, 0, t);
            place.set(Space::Jac, stepped::STOP as usize, stop);
            place.set_all(Space::State, &self.x);
            return Some(m.max(1.0) as u64);
        }
        if !self.f1_known {
            return None;
        }
        let next = self.grid.next(t);
        let t1 = if next + 1e-9 * self.grid.h >= stop { stop } else { next };
        let mut place = Place::new(memory, lane);
        place.set(Space::Time, 0, t);
        place.set(Space::TTime, 0, t1);
        place.set_all(Space::State, &self.x);
        place.set_all(Space::Der, &self.f1);
        Some(1)
    }

    fn take(&mut self, _: &mut dyn System, code: &SeatCode, memory: &LaneMemory, lane: usize, steps: u64) {
        let row = |space: Space, k: usize| memory.slot(space, k)[lane];
        self.x.iter_mut().enumerate().for_each(|(i, x)| *x = row(Space::State, i));
        self.stats.steps += steps;
        self.stats.rhs += u64::from(ORDER) * steps;
        if self.own {
            self.grid.k += steps as f64;
            let Grid { t0, h, k } = self.grid;
            let (stop, at) = (self.clock.stop, t0 + k * h);
            let t1 = if stop - at <= 1e-9 * h { stop } else { at };
            self.clock.t = t1;
            self.clock.t_prev = t0 + (k - 1.0) * h;
            self.f1_known = code.whole;
        } else {
            self.clock.advance(row(Space::Time, 0));
        }
        if !self.own || code.whole {
            let n = self.x.len();
            let first = stepped::STATES as usize;
            self.f1.iter_mut().enumerate().for_each(|(i, f)| *f = row(Space::Der, i));
            self.x_prev.iter_mut().enumerate().for_each(|(i, x)| *x = row(Space::Jac, first + i));
            self.f0.iter_mut().enumerate().for_each(|(i, f)| *f = row(Space::Jac, first + n + i));
        } else {
            // Nobody asks for anything within the step.
            self.clock.t_prev = self.clock.t;
            self.x_prev.copy_from_slice(&self.x);
        }
    }
}

/// Whether two instants differ by no more than the roundings of a grid.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 4.0 * f64::EPSILON * a.abs()
}

/// The cubic through two points `(t, x, dx/dt)`, at `t`.
pub fn hermite(
    (t0, x0, f0): (f64, &[f64], &[f64]),
    (t1, x1, f1): (f64, &[f64], &[f64]),
    t: f64,
    out: &mut [f64],
) {
    let h = t1 - t0;
    let s = (t - t0) / h;
    let r = 1.0 - s;
    for i in 0..out.len() {
        let d = x1[i] - x0[i];
        let c = (1.0 - 2.0 * s) * d + h * ((s - 1.0) * f0[i] + s * f1[i]);
        out[i] = r * x0[i] + s * x1[i] - s * r * c;
    }
}
