//! `auto`: an explicit method (Tsit5 or Adams) and a stiff one (Rosenbrock or BDF), changed by an estimate of stiffness.
//!
//! **The explicit method** is Tsit5; Adams at the tightest tolerances, and for large coupled systems at tight ones.
//!
//! **To stiff.** Tsit5 estimates `h·|λ|` from its last two stages (Hairer & Wanner IV.2). When that stays
//! at the limit of stability, the stiff method goes on from there; beside Adams a power iteration with
//! `∂f/∂x·v` every few steps says the same. At the start, a fast decaying mode that
//! would take the explicit method tens of thousands of steps to the stop time begins with the stiff one.
//!
//! **To explicit.** While the stiff method runs, one power iteration with `∂f/∂x·v` every few steps follows
//! the spectral radius ρ. When its steps would all be stable for the explicit method, that goes on. After
//! each return the patience doubles. If the explicit steps prove so much shorter that they cost more than
//! the stiff ones did, the stiff method goes on at once.
//!
//! **The stiff method** is Rosenbrock for small systems and BDF for large ones; BDF too where most of a
//! Rosenbrock step would go into Jacobian and factors (full matrices), or where absolute tolerances lie below
//! the rounding of the largest state and only the corrected Newton iteration keeps sums that the equations
//! conserve. Where events come so often that BDF never reaches its order, it is Rosenbrock.
//!
//! Decisions depend on counts and values only, never on a clock: the same model gives the same bits.

use crate::adams::Adams;
use crate::bdf::Bdf;
use crate::control::{power, weight};
use crate::error::SolveError;
use crate::integrator::{Choice, Integrator, Method, Options};
use crate::lanes::seat::{Seat, SeatCode, Shape};
use crate::linalg::IterationMatrix;
use crate::rk::tsit5::Tsit5;
use crate::rosenbrock::Rosenbrock;
use crate::state;
use crate::stats::Stats;
use crate::system::System;
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::lanes::LaneMemory;

/// `h·|λ|` at which explicit steps count as limited by stability, over the limit.
const STIFF: f64 = 0.8;
/// From here on the stiff method, whose steps may be longer, is tried now and then: Rosenbrock early, a
/// multistep method, which has to work up its order, later.
const STIFFISH: [f64; 2] = [0.1, 0.4];
/// Explicit steps before the first such trial; each later one waits twice as long.
const PROBE: u32 = 60;
/// So many stiff ones, without as many others between, change to the stiff method.
const STIFF_STEPS: u32 = 12;
/// The limit of stability of the explicit method.
const LIMIT: f64 = 3.3;
/// So many steps of the stiff method that would have been stable change to the explicit one, at first.
const MILD_STEPS: u32 = 10;
/// Explicit steps after which their length is compared with the stiff ones before.
const TRIAL: u32 = 10;
/// From so many states on, the work within a step outweighs that around it, and the multistep method,
/// whose four or five steps do one solve each where a Rosenbrock step does eight, is ahead.
const LARGE: usize = 24;
/// Steps between restarts below which a multistep method never gets going.
const SHORT: u64 = 40;
/// Below these relative tolerances Adams is the explicit method: any system; those with much work in an
/// evaluation, of which Adams takes two a step.
const FINE: [f64; 2] = [3e-8, 2e-6];
/// Dependences of an equation that make much work.
const COUPLED: usize = 8;
/// Operations for each state that make much work.
const HEAVY: f64 = 60.0;
/// `h·ρ` at which Adams counts as limited by stability.
const ADAMS_LIMIT: f64 = 1.0;
/// Steps of Adams between two looks at the spectral radius.
const ADAMS_EVERY: u64 = 10;
/// As [`STIFFISH`], for Adams.
const ADAMS_STIFFISH: f64 = 0.6;
/// Explicit steps before a trial where the fastest mode oscillates.
const LATE: u32 = 500;
/// A Rosenbrock step of which more than this part goes into its Jacobian and its factors is too dear.
const MATRICES: f64 = 0.67;
/// Cosine above which the fastest mode counts as a decaying one.
const DECAYING: f64 = 0.5;
/// Part of the size of a complex pair that its damping must be for the same: backward differentiation is stable up to order
/// 4 there, whose cone is 73° wide (Hairer & Wanner V.2).
const DAMPED: f64 = 0.28;
/// Squared sine of the angle between two directions that count as one.
const ALIGNED: f64 = 1e-3;
/// Power iterations at the start.
const START_ITERATIONS: u32 = 10;
/// Power iterations before a trial of the stiff method.
const TRIAL_ITERATIONS: u32 = 4;
/// `ρ·(stop − t)` above which the stiff method begins.
const LONG: f64 = 3e4;

/// What steps cost, in operations guessed from the pattern: an evaluation from its dependences, a Jacobian
/// from the columns that cannot share a derivative.
#[derive(Clone, Copy, Debug)]
struct Work {
    explicit: f64,
    rosenbrock: f64,
    multistep: f64,
    /// The part of `rosenbrock` that a multistep method does not have in each step.
    matrices: f64,
}

impl Work {
    fn new(sys: &dyn System, solve: f64, factor: f64, multistep: bool) -> Self {
        let pattern = sys.pattern();
        let n = pattern.n() as f64;
        let mut row = vec![0u32; pattern.n()];
        for &i in pattern.rows() {
            row[i] += 1;
        }
        let colours = f64::from(row.into_iter().max().unwrap_or(0));
        let rhs = (1.0 + 3.0 * n + 2.0 * pattern.nnz() as f64).max(sys.work());
        let jacobian = 1.5 * colours * rhs;
        Work {
            explicit: if multistep { 2.0 * (rhs + 20.0 * n) } else { 6.0 * (rhs + 6.0 * n) },
            rosenbrock: 8.0 * (rhs + solve + 12.0 * n) + jacobian + factor,
            multistep: 1.1 * (rhs + solve) + 20.0 * n + 0.02 * jacobian + 0.1 * factor,
            matrices: jacobian + factor,
        }
    }
}

/// The explicit method.
#[derive(Clone, Debug)]
enum Explicit {
    OneStep(Box<Tsit5>),
    Multistep(Box<Adams>),
}

impl Explicit {
    fn one_step(options: &Options) -> Self {
        Explicit::OneStep(Box::new(Tsit5::new(&careful(options, 0.75, 0.03))))
    }

    fn multistep(options: &Options) -> Self {
        Explicit::Multistep(Box::new(Adams::new(&careful(options, 1.25, 0.003))))
    }

    fn is_multistep(&self) -> bool {
        matches!(self, Explicit::Multistep(_))
    }

    fn get(&self) -> &dyn Integrator {
        match self {
            Explicit::OneStep(e) => &**e,
            Explicit::Multistep(e) => &**e,
        }
    }

    fn get_mut(&mut self) -> &mut dyn Integrator {
        match self {
            Explicit::OneStep(e) => &mut **e,
            Explicit::Multistep(e) => &mut **e,
        }
    }
}

/// The automatic choice at work.
pub struct Auto {
    options: Options,
    explicit: Explicit,
    stiff: Box<dyn Integrator>,
    started: bool,
    /// True if the stiff method is at work.
    at_stiff: bool,
    /// True once `stiff` was chosen.
    stiff_known: bool,
    /// True if it is the multistep method.
    multistep: bool,
    /// Stiffness from which on the stiff method is tried.
    stiffish: f64,
    /// The method to change to before the next step.
    change: bool,
    stop: f64,
    /// The stop time for parts that begin on the way.
    horizon: f64,
    restarts: u64,
    /// Steps done at the last restart.
    restarted_at: u64,
    /// Restarts in a row that came soon after the one before.
    brief: u32,
    stats: Stats,
    /// Work of sub-integrations that were started anew.
    past: Stats,
    since: f64,
    switches: u32,
    stiff_count: u32,
    calm_count: u32,
    mild_count: u32,
    patience: u32,
    /// The stiff method's step when the explicit one took over.
    h_stiff: f64,
    /// Explicit steps since then.
    trial_steps: u32,
    /// Explicit steps after which the stiff method is tried if the system is not far from stiff.
    probe: u32,
    /// Stiffness, averaged over about ten explicit steps.
    average: f64,
    /// Work of a stiff step over that of an explicit one.
    work_ratio: f64,
    rho: f64,
    /// The last estimate of stiffness by the explicit method.
    stiffness: f64,
    /// Its last raw estimate.
    growth: f64,
    /// Cosine between `v` and `−∂f/∂x·v`: near 1 when the fastest mode decays, near 0 when it oscillates.
    decay: f64,
    v: Vec<f64>,
    w: Vec<f64>,
    /// Scratch: two directions.
    plane: [Vec<f64>; 2],
    atol: Vec<f64>,
}

impl Clone for Auto {
    fn clone(&self) -> Self {
        Auto {
            options: self.options.clone(),
            explicit: self.explicit.clone(),
            stiff: self.stiff.clone_box(),
            v: self.v.clone(),
            w: self.w.clone(),
            plane: self.plane.clone(),
            atol: self.atol.clone(),
            ..*self
        }
    }
}

/// Tolerances of a part. Orbits and other systems without damping multiply local errors over a run, and a
/// multistep method lets them add up: who asks for many digits gets steps with less error, by the factor
/// `(rtol/1e-6)^exponent`, at least `least`.
fn careful(options: &Options, exponent: f64, least: f64) -> Options {
    let mut o = options.clone();
    let factor = power(o.tolerances.rtol / 1e-6, exponent).clamp(least, 1.0);
    o.tolerances.rtol *= factor;
    for a in &mut o.tolerances.atol {
        *a *= factor;
    }
    o
}

/// The stiff method.
fn stiff(options: &Options, multistep: bool) -> Box<dyn Integrator> {
    if multistep {
        Box::new(Bdf::new(&careful(options, 0.65, 0.05)))
    } else {
        Box::new(Rosenbrock::new(options))
    }
}

impl Auto {
    /// Not started yet.
    pub fn new(options: &Options) -> Self {
        Auto {
            options: options.clone(),
            explicit: Explicit::one_step(options),
            stiff: stiff(options, false),
            started: false,
            at_stiff: false,
            stiff_known: false,
            multistep: false,
            stiffish: STIFFISH[0],
            change: false,
            stop: 0.0,
            horizon: 0.0,
            restarts: 0,
            restarted_at: 0,
            brief: 0,
            stats: Stats::default(),
            past: Stats::default(),
            since: 0.0,
            switches: 0,
            stiff_count: 0,
            calm_count: 0,
            mild_count: 0,
            patience: MILD_STEPS,
            h_stiff: 0.0,
            trial_steps: 0,
            probe: PROBE,
            average: 0.0,
            work_ratio: 2.0,
            rho: f64::NAN,
            decay: f64::NAN,
            stiffness: f64::NAN,
            growth: f64::NAN,
            v: Vec::new(),
            w: Vec::new(),
            plane: [Vec::new(), Vec::new()],
            atol: Vec::new(),
        }
    }

    fn now(&self) -> &dyn Integrator {
        if self.at_stiff { &*self.stiff } else { self.explicit.get() }
    }

    fn now_mut(&mut self) -> &mut dyn Integrator {
        if self.at_stiff { &mut *self.stiff } else { self.explicit.get_mut() }
    }

    /// One power iteration: follows the largest eigenvalue of `∂f/∂x`, in the norm of the tolerances.
    fn follow(&mut self, sys: &mut dyn System, t: f64) {
        let rtol = self.options.tolerances.rtol;
        let x = if self.at_stiff { self.stiff.x() } else { self.explicit.get().x() };
        self.past.rhs += 1;
        if sys.jvp(t, x, &self.v, &mut self.w).is_err() {
            self.rho = f64::INFINITY;
            return;
        }
        let (mut vv, mut vw, mut ww) = (0.0, 0.0, 0.0);
        for i in 0..self.v.len() {
            let scale = weight(self.atol[i], rtol, x[i], x[i]);
            let (a, b) = (self.v[i] / scale, self.w[i] / scale);
            vv += a * a;
            vw += a * b;
            ww += b * b;
        }
        let (a, b) = (f64::sqrt(vv), f64::sqrt(ww));
        let growth = b / a;
        self.decay = -vw / (a * b);
        let last = self.growth;
        self.growth = growth;
        if !(growth.is_finite() && a > 0.0) {
            self.rho = f64::INFINITY;
            self.seed(sys);
            return;
        }
        // Where states feed one another by turns (positions and speeds) one iteration grows by much and the next by
        // little; both together tell. Complex pairs make it swing all the same: an envelope that falls slowly.
        let both = if last.is_finite() { f64::sqrt(growth * last) } else { growth };
        self.rho = if self.rho.is_finite() { both.max(0.7 * self.rho) } else { both };
        if b > 1e-3 * f64::MIN_POSITIVE / f64::EPSILON && growth > 0.0 {
            for (v, w) in self.v.iter_mut().zip(&self.w) {
                *v = w / b;
            }
        } else {
            self.seed(sys);
        }
    }

    /// [`Auto::follow`]; the size of the fastest eigenvalue where its mode decays, else 0. Where one iteration says so a second one is asked: of the pair of
    /// eigenvalues that `∂f/∂x` has on the plane of both, how much of their size is damping. A single iteration points
    /// anywhere where positions and speeds of different size feed one another by turns.
    fn decays(&mut self, sys: &mut dyn System, t: f64) -> f64 {
        self.plane[0].copy_from_slice(&self.v);
        self.follow(sys, t);
        if self.decay.is_nan() || self.decay <= DECAYING {
            return 0.0;
        }
        let growth = self.growth;
        self.plane[1].copy_from_slice(&self.v);
        self.follow(sys, t);
        // least squares in the norm of the tolerances: J·v = a·v + c·u with v = J·u/growth, u and v of length 1
        let rtol = self.options.tolerances.rtol;
        let x = self.now().x();
        let [u, v] = &self.plane;
        let (mut uu, mut uv, mut vv, mut uy, mut vy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (i, &x) in x.iter().enumerate() {
            let scale = weight(self.atol[i], rtol, x, x);
            let (u, v, y) = (u[i] / scale, v[i] / scale, self.w[i] / scale);
            uu += u * u;
            uv += u * v;
            vv += v * v;
            uy += u * y;
            vy += v * y;
        }
        let (lu, lv) = (f64::sqrt(uu), f64::sqrt(vv));
        let (cosine, uy, vy) = (uv / (lu * lv), uy / lu, vy / lv);
        let apart = 1.0 - cosine * cosine;
        if apart < ALIGNED {
            return if self.decay > DECAYING { self.growth } else { 0.0 };
        }
        // the roots of λ² = a·λ + b
        let a = (vy - uy * cosine) / apart / lv;
        let b = (uy - vy * cosine) / apart * growth / lv;
        let root = 0.25 * a * a + b;
        // of two real ones the larger has the sign of their sum
        let (size, decays) = match root < 0.0 {
            true => (f64::sqrt(-b), -0.5 * a > DAMPED * f64::sqrt(-b)),
            false => (f64::sqrt(root) - 0.5 * a, a < 0.0),
        };
        if decays && size.is_finite() { size } else { 0.0 }
    }

    /// A start vector with no symmetry, of equal weight in every state.
    fn seed(&mut self, sys: &dyn System) {
        let rtol = self.options.tolerances.rtol;
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for i in 0..sys.dim() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let u = 0.5 + (state >> 11) as f64 / (1u64 << 54) as f64;
            let x = if self.at_stiff { self.stiff.x()[i] } else { self.explicit.get().x()[i] };
            let sign = if state & 1024 == 0 { 1.0 } else { -1.0 };
            self.v[i] = sign * u * weight(self.atol[i], rtol, x, x);
        }
    }

    /// Counts after a step, and decides.
    fn judge(&mut self, sys: &mut dyn System) {
        if self.at_stiff {
            if !self.stats.steps.is_multiple_of(self.every()) {
                return;
            }
            let h = self.stiff.t() - self.stiff.t_prev();
            self.follow(sys, self.stiff.t());
            // the longest stable explicit step must also be worth more than the stiff one
            let limit = match &self.explicit {
                Explicit::OneStep(_) => LIMIT,
                Explicit::Multistep(_) => ADAMS_LIMIT,
            };
            if h * self.rho < (0.6 * limit).min(0.75 * limit * self.work_ratio) {
                self.mild_count += 1;
                self.change = self.mild_count >= self.patience.div_ceil(self.every() as u32);
            } else {
                self.mild_count = 0;
            }
        } else {
            let s = match &self.explicit {
                Explicit::OneStep(e) => e.stiffness(),
                Explicit::Multistep(_) if self.stats.steps.is_multiple_of(ADAMS_EVERY) => {
                    let (t0, t1) = (self.now().t_prev(), self.now().t());
                    (t1 - t0) * self.decays(sys, t1) / ADAMS_LIMIT
                }
                Explicit::Multistep(_) => return,
            };
            self.stiffness = s;
            let (looked, enough, stiffish, trial) = match &self.explicit {
                Explicit::OneStep(_) => (1, STIFF_STEPS, self.stiffish, TRIAL),
                Explicit::Multistep(_) => {
                    let every = ADAMS_EVERY as u32;
                    (every, 4 * every, ADAMS_STIFFISH, 6 * every)
                }
            };
            self.trial_steps += looked;
            if s.is_finite() {
                self.average += 0.1 * (s - self.average);
            }
            if self.trial_steps == trial && self.explicit.get().h() * self.work_ratio < self.h_stiff {
                // stable, but not worth it: the stiff method's steps were so much longer
                self.change = true;
                self.patience = self.patience.saturating_mul(4).min(10_000);
            } else if self.average > stiffish && self.trial_steps >= self.probe {
                // see what steps the stiff method would take; it gives back if they are not worth it
                for _ in 0..TRIAL_ITERATIONS {
                    self.follow(sys, self.explicit.get().t());
                }
                self.change = self.decay > DECAYING || self.trial_steps >= LATE;
                if self.change {
                    self.trial_steps = 0;
                    self.probe = self.probe.saturating_mul(2);
                } else {
                    // an oscillation: only a long one is worth the trial
                    self.probe = LATE.max(self.probe);
                }
            } else if s > STIFF {
                self.calm_count = 0;
                self.stiff_count += looked;
                self.change = self.stiff_count >= enough;
            } else if s <= STIFF {
                self.calm_count += looked;
                if self.calm_count >= enough / 2 {
                    self.stiff_count = 0;
                }
            }
        }
    }

    /// Chooses the stiff method, once it is needed.
    fn choose(&mut self, sys: &dyn System) {
        self.stiff_known = true;
        let matrix = IterationMatrix::new(sys.pattern());
        let work = Work::new(sys, matrix.solve_cost(), matrix.factor_cost(), self.explicit.is_multistep());
        // below the rounding of the largest state only a method that corrects itself keeps what adds up
        let largest = self.explicit.get().x().iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let smallest = self.atol.iter().fold(f64::INFINITY, |m, &a| m.min(a));
        let deep = smallest > 0.0 && smallest < f64::EPSILON * self.options.tolerances.rtol * largest;
        let dear = sys.dim() > 8 && work.matrices > MATRICES * work.rosenbrock;
        self.multistep = deep || (dear || sys.dim() >= LARGE) && self.brief < 3;
        if self.multistep {
            self.stiff = stiff(&self.options, true);
            self.work_ratio = work.multistep / work.explicit;
        } else {
            self.work_ratio = work.rosenbrock / work.explicit;
        }
    }

    /// Stiff steps between two power iterations: their cost stays below a tenth.
    fn every(&self) -> u64 {
        if self.multistep { 10 } else { 3 }
    }

    /// Goes on with the other method from the state reached.
    fn turn(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        self.change = false;
        let (t, mut h) = (self.now().t(), self.now().h());
        let to_stiff = !self.at_stiff;
        if to_stiff && !self.stiff_known {
            self.choose(sys);
        }
        let mut x = std::mem::take(&mut self.w);
        x.copy_from_slice(self.now().x());
        if !to_stiff {
            self.h_stiff = h;
            self.trial_steps = 0;
            self.average = 0.0;
            if self.rho > 0.0 {
                h = h.min(1.0 / self.rho);
            }
        }
        self.at_stiff = to_stiff;
        let next = self.now_mut();
        let done = *next.stats();
        let (stop, ahead) = (self.stop, if self.horizon > t { self.horizon } else { self.stop });
        let result = self.now_mut().start(sys, t, &x, ahead).and_then(|()| self.now_mut().set_stop(stop));
        self.past.add(&done);
        self.w = x;
        result?;
        self.now_mut().suggest(h);
        if to_stiff {
            if self.switches > 0 {
                self.patience = self.patience.saturating_mul(2).min(10_000);
            }
            self.rho = f64::NAN;
            self.seed(sys);
        }
        self.switches += 1;
        self.since = t;
        (self.stiff_count, self.calm_count, self.mild_count) = (0, 0, 0);
        Ok(())
    }

    fn count(&mut self) {
        let mut sum = self.past;
        sum.add(self.explicit.get().stats());
        sum.add(self.stiff.stats());
        // starts of the parts are not restarts of the whole
        sum.restarts = self.restarts;
        self.stats = sum;
    }
}

impl Integrator for Auto {
    fn method(&self) -> Method {
        Method::Auto
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(Method::Auto)?;
        let n = sys.dim();
        if x.len() != n {
            return Err(SolveError::Dimension { expected: n, got: x.len() });
        }
        let fresh = Auto::new(&self.options);
        *self = fresh;
        self.atol = self.options.tolerances.expand(n)?;
        self.v = vec![0.0; n];
        self.w = vec![0.0; n];
        (self.stop, self.horizon) = (stop, stop);
        self.plane = [vec![0.0; n], vec![0.0; n]];
        self.since = t;
        let pattern = sys.pattern();
        let solve = 2.0 * pattern.nnz() as f64;
        let rtol = self.options.tolerances.rtol;
        let coupled = n >= LARGE && pattern.nnz() >= COUPLED * n || sys.work() >= HEAVY * n as f64;
        if rtol < FINE[0] || coupled && rtol < FINE[1] {
            self.explicit = Explicit::multistep(&self.options);
        }
        let factor = 0.25 * solve * solve / n.max(1) as f64;
        let work = Work::new(sys, solve, factor, self.explicit.is_multistep());
        self.work_ratio = work.rosenbrock / work.explicit;
        self.stiff_known = false;
        self.stiffish = STIFFISH[usize::from(n >= LARGE)];
        self.explicit.get_mut().start(sys, t, x, stop)?;
        // how many steps would stability alone cost?
        self.seed(sys);
        if n > 0 && stop > t {
            // the first iterations show how states feed one another, the last ones the eigenvalue
            let mut rho = f64::INFINITY;
            for k in 0..START_ITERATIONS {
                self.follow(sys, t);
                if k + 3 >= START_ITERATIONS {
                    rho = rho.min(self.growth);
                }
            }
            if rho * (stop - t) > LONG && rho.is_finite() && self.decay > DECAYING {
                self.turn(sys)?;
                self.switches = 0;
            }
        }
        self.rho = f64::NAN;
        self.count();
        self.started = true;
        Ok(())
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if self.atol.len() != sys.dim() {
            return Err(SolveError::NotStarted);
        }
        if self.stats.steps + self.stats.rejected >= self.options.max_steps {
            let (t, h) = (self.now().t(), self.now().h());
            return Err(SolveError::TooManySteps { t, h, steps: self.stats.steps });
        }
        if self.change {
            self.turn(sys)?;
        }
        let mut result = self.now_mut().step(sys);
        if !self.at_stiff
            && matches!(result, Err(SolveError::StepTooSmall { .. } | SolveError::NotFinite { .. }))
        {
            // what has no explicit step may have an implicit one
            let before = result;
            result = self.turn(sys).and_then(|()| self.now_mut().step(sys)).or(before);
        }
        self.count();
        result?;
        self.judge(sys);
        Ok(())
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.now_mut().set_stop(stop)?;
        self.stop = stop;
        Ok(())
    }

    fn set_horizon(&mut self, horizon: f64) {
        self.horizon = horizon;
        self.now_mut().set_horizon(horizon);
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.change = false;
        self.restarts += 1;
        (self.stop, self.horizon) = (stop, stop);
        self.mild_count = 0;
        let brief = self.stats.steps - self.restarted_at < SHORT;
        self.restarted_at = self.stats.steps;
        self.brief = if brief { self.brief + 1 } else { 0 };
        if self.brief >= 3 && self.multistep && self.at_stiff {
            let done = *self.stiff.stats();
            self.past.add(&done);
            self.multistep = false;
            self.stiff = stiff(&self.options, false);
            self.since = t;
            self.switches += 1;
            self.stiff.start(sys, t, x, stop)?;
            self.count();
            return Ok(());
        }
        if self.brief >= 3 && self.explicit.is_multistep() {
            let done = *self.explicit.get().stats();
            self.past.add(&done);
            self.explicit = Explicit::one_step(&self.options);
            if !self.at_stiff {
                self.since = t;
                self.switches += 1;
                self.explicit.get_mut().start(sys, t, x, stop)?;
                self.count();
                return Ok(());
            }
        }
        let result = self.now_mut().restart(sys, t, x, stop);
        self.count();
        result
    }

    fn nudge(&mut self, sys: &mut dyn System, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.stop = stop;
        let result = self.now_mut().nudge(sys, x, stop);
        self.count();
        result
    }

    fn t(&self) -> f64 {
        self.now().t()
    }

    fn t_prev(&self) -> f64 {
        self.now().t_prev()
    }

    fn x(&self) -> &[f64] {
        self.now().x()
    }

    fn interpolate(&self, t: f64, out: &mut [f64]) {
        self.now().interpolate(t, out);
    }

    fn h(&self) -> f64 {
        self.now().h()
    }

    fn suggest(&mut self, h: f64) {
        self.now_mut().suggest(h);
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn clone_box(&self) -> Box<dyn Integrator> {
        Box::new(self.clone())
    }

    fn save(&self, to: &mut Writer) {
        state::begin(to, Method::Auto, self.started);
        if !self.started {
            return;
        }
        to.put(&self.explicit.is_multistep()).put(&self.multistep);
        self.explicit.get().save(to);
        self.stiff.save(to);
        to.put(&self.at_stiff).put(&self.stiff_known).put(&self.change);
        to.put(&self.stop).put(&self.since).put(&self.stiffish).put(&self.h_stiff).put(&self.average);
        to.put(&self.work_ratio).put(&self.rho).put(&self.stiffness).put(&self.growth).put(&self.decay);
        to.put(&self.past).put(&self.stats).put(&self.restarts).put(&self.restarted_at);
        to.put(&self.brief).put(&self.switches).put(&self.stiff_count).put(&self.calm_count);
        to.put(&self.mild_count).put(&self.patience).put(&self.trial_steps).put(&self.probe);
        to.slice(&self.v);
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Auto::new(&self.options);
        if !state::begun(from, Method::Auto)? {
            return Ok(());
        }
        let n = sys.dim();
        self.atol = self.options.tolerances.expand(n).map_err(|e| from.malformed(e.to_string()))?;
        if from.get()? {
            self.explicit = Explicit::multistep(&self.options);
        }
        self.multistep = from.get()?;
        self.stiff = stiff(&self.options, self.multistep);
        self.explicit.get_mut().load(sys, from)?;
        self.stiff.load(sys, from)?;
        let at = from.at();
        (self.at_stiff, self.stiff_known, self.change) = from.get()?;
        if self.now().x().len() != n {
            return Err(Malformed { at, why: "the method at work has not started".into() });
        }
        for v in [
            &mut self.stop,
            &mut self.since,
            &mut self.stiffish,
            &mut self.h_stiff,
            &mut self.average,
            &mut self.work_ratio,
            &mut self.rho,
            &mut self.stiffness,
            &mut self.growth,
            &mut self.decay,
        ] {
            *v = from.get()?;
        }
        (self.past, self.stats) = from.get()?;
        (self.restarts, self.restarted_at) = (state::count(from)?, state::count(from)?);
        if self.restarted_at > self.stats.steps {
            return Err(from.malformed("a restart after more steps than there were"));
        }
        for v in [
            &mut self.brief,
            &mut self.switches,
            &mut self.stiff_count,
            &mut self.calm_count,
            &mut self.mild_count,
        ] {
            *v = state::few(from)?;
        }
        self.patience = from.get()?;
        self.trial_steps = state::few(from)?;
        self.probe = from.get()?;
        state::vector(from, &mut self.v, n)?;
        self.w.resize(n, 0.0);
        self.plane = [vec![0.0; n], vec![0.0; n]];
        self.started = true;
        Ok(())
    }

    fn seat(&mut self) -> Option<&mut dyn Seat> {
        (!self.explicit.is_multistep()).then_some(self)
    }

    fn choice(&self) -> Choice {
        let stiffness = if self.at_stiff {
            self.rho * (self.stiff.t() - self.stiff.t_prev()) / LIMIT
        } else {
            self.stiffness
        };
        let method = if self.at_stiff { self.stiff.method() } else { self.explicit.get().method() };
        Choice { method, t: self.since, switches: self.switches, stiffness }
    }
}

/// While the explicit method is Tsit5, its steps may come from lanes; all decisions are made here.
impl Seat for Auto {
    fn shape(&self) -> Shape {
        match &self.explicit {
            Explicit::OneStep(e) => e.shape(),
            // Not asked: there is no seat.
            Explicit::Multistep(_) => Tsit5::new(&self.options).shape(),
        }
    }

    /// Stiffness is judged after each.
    fn each(&self) -> bool {
        true
    }

    fn put(
        &mut self,
        _: &mut dyn System,
        _: &SeatCode,
        memory: &mut LaneMemory,
        lane: usize,
        _: f64,
    ) -> Option<u64> {
        let room = self.stats.steps + self.stats.rejected < self.options.max_steps;
        match &self.explicit {
            Explicit::OneStep(e) if room && !self.at_stiff && !self.change => {
                e.put_after(e.stats(), memory, lane).then_some(1)
            }
            _ => None,
        }
    }

    fn take(&mut self, sys: &mut dyn System, code: &SeatCode, memory: &LaneMemory, lane: usize, _: u64) {
        if let Explicit::OneStep(e) = &mut self.explicit {
            let done = *e.stats();
            e.take_after(&done, memory, lane, code.whole);
        }
        self.count();
        self.judge(sys);
    }
}
