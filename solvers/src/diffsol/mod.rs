//! `esdirk`, `trbdf2` and `diffsol_bdf`: methods of the library diffsol (M. Robinson), driven by us.
//!
//! **Equation.** `dx/dt = f(t, x)`: ESDIRK34 (order 3) and TR-BDF2 (order 2) with coefficients after Jørgensen,
//! Kristensen and Thomsen (2018), and a quasi-constant-step NDF of order 1 to 5 after Shampine and Reichelt
//! (1997), which is the oracle beside our own [`crate::bdf`]. The Jacobian comes from the system with its
//! sparsity; diffsol's own detection and root finding are not used.
//!
//! **How.** diffsol borrows its equations for the life of a solver, while an integrator is lent its system
//! call by call. So steps are computed in chunks, from a state that is plain data, and handed out one
//! by one; moving the stop time before the end of the chunk gives up the rest of it and begins anew at the
//! point reached. A restart begins anew likewise.
//!
//! **Error norm.** diffsol's: the mean square over states of `error/(atol + rtol·|x|)`. The dense output is
//! the polynomial of degree 5 through both ends and four values of diffsol's own interpolation between.
//!
//! **As bytes.** diffsol's own state cannot be taken apart. What is saved is the point from which the chunks began and the
//! stop time that each of them saw; loading computes these chunks again, so it takes as long as the integration since the
//! last start, restart or stop that gave a chunk up. The result has to be the state that was saved, to the bit: another
//! build of the library that computes otherwise is found out.
//!
//! **Failure.** [`SolveError::Eval`] if the system failed last, [`SolveError::StepTooSmall`] if the step
//! vanished, else [`SolveError::Library`].
//!
//! **Allocations.** Every chunk allocates, so `step` may. A clone goes on with the same bits.

mod equations;

use crate::control::Clock;
use crate::error::SolveError;
use crate::integrator::{Integrator, Method, Options};
use crate::state;
use crate::stats::Stats;
use crate::system::{EvalError, System};
use diffsol::error::{DiffsolError, OdeSolverError};
use diffsol::{
    BdfState, FaerContext, FaerSparseLU, OdeBuilder, OdeSolverMethod, OdeSolverProblem, OdeSolverState,
    RkState, Vector,
};
use equations::{Bridge, Equations, M, V, sparsity};
use std::cell::RefCell;
use std::collections::VecDeque;
use twinml_model::bytes::{Malformed, Reader, Writer};

type Lu = FaerSparseLU<f64>;

/// Values of diffsol's interpolation kept per step, evenly spaced between the ends.
const INNER: usize = 4;
/// Steps in a chunk: less at first and where the states are many.
const CHUNK: usize = 64;

/// What diffsol goes on from.
#[derive(Clone)]
enum State {
    Bdf(Box<BdfState<V>>),
    Rk(Box<RkState<V>>),
}

/// A step computed and not handed out yet.
#[derive(Clone)]
struct Computed {
    t: f64,
    x: Vec<f64>,
    inner: [Vec<f64>; INNER],
    h_next: f64,
    stats: Stats,
}

/// One of the three integrators; see the module's documentation.
#[derive(Clone)]
pub struct Diffsol {
    method: Method,
    options: Options,
    clock: Clock,
    started: bool,
    atol: Vec<f64>,
    sparsity: Option<<M as diffsol::Matrix>::Sparsity>,
    /// `None` at a start; otherwise where the chunk ended.
    state: Option<State>,
    ahead: VecDeque<Computed>,
    /// What ended the chunk early.
    failure: Option<SolveError>,
    /// Where the first chunk began: time, state, step and work.
    origin: (f64, Vec<f64>, f64, Stats),
    /// The stop time in each chunk since then.
    stops: Vec<f64>,
    /// Steps of the last chunk that are handed out.
    handed: usize,
    x: Vec<f64>,
    x_prev: Vec<f64>,
    inner: [Vec<f64>; INNER],
    h: f64,
    /// Work up to the step handed out last, and up to the end of the chunk.
    stats: Stats,
    total: Stats,
}

impl Diffsol {
    /// `method` is `Esdirk`, `Trbdf2`, or `DiffsolBdf`, which is also taken for all others.
    pub fn new(method: Method, options: &Options) -> Self {
        Diffsol {
            method: if matches!(method, Method::Esdirk | Method::Trbdf2) {
                method
            } else {
                Method::DiffsolBdf
            },
            options: options.clone(),
            clock: Clock::new(options),
            started: false,
            atol: Vec::new(),
            sparsity: None,
            state: None,
            ahead: VecDeque::new(),
            failure: None,
            origin: (0.0, Vec::new(), 0.0, Stats::default()),
            stops: Vec::new(),
            handed: 0,
            x: Vec::new(),
            x_prev: Vec::new(),
            inner: Default::default(),
            h: 0.0,
            stats: Stats::default(),
            total: Stats::default(),
        }
    }

    fn begin(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let n = sys.dim();
        if x.len() != n || self.atol.len() != n {
            return Err(SolveError::Dimension { expected: n, got: x.len() });
        }
        self.started = false;
        self.clock.start(t, stop)?;
        // diffsol evaluates there again: this one is for the error
        let mut f = vec![0.0; n];
        self.total.rhs += 1;
        sys.rhs(t, x, &mut f).map_err(|error| SolveError::Eval { t, h: 0.0, error })?;
        if let Some(state) = x.iter().zip(&f).position(|(x, f)| !(x.is_finite() && f.is_finite())) {
            return Err(SolveError::NotFinite { t, state });
        }
        self.x = x.to_vec();
        self.x_prev = x.to_vec();
        self.inner = Default::default();
        self.give_up_chunk();
        self.h = self.options.h.unwrap_or(0.0);
        self.started = true;
        Ok(())
    }

    /// Back to the point handed out last.
    fn give_up_chunk(&mut self) {
        self.state = None;
        self.ahead.clear();
        self.failure = None;
        self.stops.clear();
        self.handed = 0;
        self.total = self.stats;
    }

    /// Goes on to the next step that is computed; false if there is none.
    fn hand_out(&mut self) -> bool {
        let Some(next) = self.ahead.pop_front() else { return false };
        self.x_prev = std::mem::replace(&mut self.x, next.x);
        self.inner = next.inner;
        self.h = next.h_next;
        self.stats = Stats { restarts: self.stats.restarts, ..next.stats };
        self.clock.advance(next.t);
        self.handed += 1;
        true
    }

    /// The chunks since the origin once more: their stop times, and how many steps of the last one are handed out.
    fn again(&mut self, sys: &mut dyn System, stops: &[f64], handed: usize) -> Result<(), SolveError> {
        let (t, x, h, total) = self.origin.clone();
        (self.x, self.h, self.total) = (x, h, total);
        self.stats = total;
        for (k, &stop) in stops.iter().enumerate() {
            self.clock.start(if k == 0 { t } else { self.clock.t }, stop)?;
            self.compute(sys)?;
            while (k + 1 < stops.len() || self.handed < handed) && self.hand_out() {}
        }
        Ok(())
    }

    /// What is handed out, to be compared.
    fn shown(&self, to: &mut Writer) {
        to.put(&(self.clock.t, self.clock.t_prev)).put(&self.h).put(&self.stats).slice(&self.x);
    }

    /// Computes the next chunk: at least one step, or a failure.
    fn compute(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        let (t, method) = (self.clock.t, self.method);
        if self.stops.is_empty() {
            self.origin = (t, self.x.clone(), self.h, self.total);
        }
        self.handed = 0;
        let library = |_: DiffsolError| SolveError::Library { method, t };
        let sparsity = self.sparsity.take().ok_or(SolveError::NotStarted)?;
        let bridge = RefCell::new(Bridge { sys, failure: None, rhs: 0, jac: 0 });
        let start = self.x.clone();
        let equations = Equations { bridge, start: &start, sparsity: &sparsity, ctx: FaerContext::default() };
        // a negative first step would mean backwards; zero is refused
        let h0 = if self.h > 0.0 { self.h } else { 1.0 };
        let built = OdeBuilder::<M>::new()
            .t0(t)
            .h0(h0)
            .rtol(self.options.tolerances.rtol)
            .atol(self.atol.iter().copied())
            .build_from_eqn(equations);
        let result = built.map_err(library).and_then(|mut problem| {
            // our limits are in units of the resolution of time
            problem.ode_options.min_timestep = 0.0;
            let state = self.state.take();
            let result = self.run_from(&problem, state);
            let bridge = problem.eqn.bridge.borrow();
            self.total.rhs += bridge.rhs;
            self.total.jac += bridge.jac;
            result
        });
        self.sparsity = Some(sparsity);
        self.stops.push(self.clock.stop);
        match result {
            Err(error) if self.ahead.is_empty() => Err(error),
            Err(error) => {
                self.failure = Some(error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn run_from(
        &mut self,
        problem: &OdeSolverProblem<Equations<'_>>,
        state: Option<State>,
    ) -> Result<(), SolveError> {
        let (t, method) = (self.clock.t, self.method);
        let library = |_: DiffsolError| SolveError::Library { method, t };
        let given = self.options.h;
        let state = match state {
            Some(state) => state,
            None if method == Method::DiffsolBdf => {
                let mut state = BdfState::new_without_initialise(problem).map_err(library)?;
                first_step(state.as_mut(), given, problem, 1);
                State::Bdf(Box::new(state))
            }
            None => {
                let mut state = RkState::new_without_initialise(problem).map_err(library)?;
                first_step(state.as_mut(), given, problem, 3);
                State::Rk(Box::new(state))
            }
        };
        let (state, result) = match state {
            State::Bdf(state) => {
                let mut solver = problem.bdf_solver::<Lu>(*state).map_err(library)?;
                let result = self.run(&mut solver, problem);
                (State::Bdf(Box::new(solver.into_state())), result)
            }
            State::Rk(state) if method == Method::Esdirk => {
                let mut solver = problem.esdirk34_solver::<Lu>(*state).map_err(library)?;
                let result = self.run(&mut solver, problem);
                (State::Rk(Box::new(solver.into_state())), result)
            }
            State::Rk(state) => {
                let mut solver = problem.tr_bdf2_solver::<Lu>(*state).map_err(library)?;
                let result = self.run(&mut solver, problem);
                (State::Rk(Box::new(solver.into_state())), result)
            }
        };
        self.state = Some(state);
        result
    }

    fn run<'a, 's: 'a, S: OdeSolverMethod<'a, Equations<'s>>>(
        &mut self,
        solver: &mut S,
        problem: &OdeSolverProblem<Equations<'s>>,
    ) -> Result<(), SolveError> {
        let (stop, h_max, n) = (self.clock.stop, self.clock.h_max(), self.x.len());
        let steps = (4 << self.stops.len().min(8)).min(CHUNK).min(1 + 200_000 / n.max(1));
        let before = self.total;
        for _ in 0..steps {
            let (t0, h) = (solver.state().t, solver.state().h);
            let limit = stop.min(t0 + h_max);
            if limit.is_finite() && limit > t0 {
                // refused only within rounding of the time reached
                let _ = solver.set_stop_time(limit);
            }
            let result = solver.step();
            let now = {
                let s = solver.get_statistics();
                let bridge = problem.eqn.bridge.borrow();
                let mut now = before;
                now.steps += s.number_of_steps as u64;
                now.rhs += bridge.rhs;
                now.jac += bridge.jac;
                now.factorizations += s.number_of_linear_solver_setups as u64;
                now.newton_iters += s.number_of_nonlinear_solver_iterations as u64;
                now.solves += s.number_of_nonlinear_solver_iterations as u64;
                now.newton_failures += s.number_of_nonlinear_solver_fails as u64;
                now.error_test_failures += s.number_of_error_test_failures as u64;
                now.rejected += (s.number_of_error_test_failures + s.number_of_nonlinear_solver_fails) as u64;
                now
            };
            // evaluations are added by the caller, when no solver borrows them
            self.total = Stats { rhs: before.rhs, jac: before.jac, ..now };
            let failure = problem.eqn.bridge.borrow_mut().failure.take();
            if let Some(error @ EvalError::Fatal { .. }) = failure {
                return Err(SolveError::Eval { t: t0, h, error });
            }
            if let Err(error) = result {
                return Err(match (error, failure) {
                    (_, Some(error)) => SolveError::Eval { t: t0, h, error },
                    (
                        DiffsolError::OdeSolverError(
                            OdeSolverError::StepSizeTooSmall { .. }
                            | OdeSolverError::TooManyErrorTestFailures { .. }
                            | OdeSolverError::TooManyNonlinearSolverFailures { .. },
                        ),
                        None,
                    ) => SolveError::StepTooSmall { t: t0, h: solver.state().h, state: 0, error: f64::NAN },
                    _ => SolveError::Library { method: self.method, t: t0 },
                });
            }
            let (mut t, h_next) = (solver.state().t, solver.state().h);
            let x = solver.state().y.clone_as_vec();
            if let Some(state) = x.iter().position(|x| !x.is_finite()) {
                return Err(SolveError::NotFinite { t, state });
            }
            if t <= t0 || self.clock.stuck(h_next) {
                return Err(SolveError::StepTooSmall { t, h: h_next, state: 0, error: f64::NAN });
            }
            let mut inner: [Vec<f64>; INNER] = Default::default();
            for (i, inner) in inner.iter_mut().enumerate() {
                let s = (i as f64 + 1.0) / (INNER as f64 + 1.0);
                let value = solver.interpolate(t0 + s * (t - t0));
                *inner = value.map_err(|_| SolveError::Library { method: self.method, t })?.clone_as_vec();
            }
            if (stop - t).abs() <= 1e-9 * (t - t0) {
                t = stop;
            }
            self.ahead.push_back(Computed { t, x, inner, h_next, stats: now });
            if t >= stop {
                break;
            }
        }
        Ok(())
    }
}

/// The first step: as given, or diffsol's choice.
fn first_step(
    mut state: diffsol::StateRefMut<'_, V>,
    given: Option<f64>,
    problem: &OdeSolverProblem<Equations<'_>>,
    order: usize,
) {
    match given {
        Some(h) => *state.h = h,
        None => {
            state.set_step_size(1.0, &problem.atol, problem.rtol, &problem.eqn, order);
            // A state that an event has left next to zero is no measure of how fast it moves.
            let tiny = 1e3 * f64::EPSILON * state.t.abs();
            if *state.h < tiny {
                *state.h = tiny;
            }
        }
    }
}

impl Integrator for Diffsol {
    fn method(&self) -> Method {
        self.method
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(self.method)?;
        self.atol = self.options.tolerances.expand(sys.dim())?;
        self.sparsity = sparsity(sys);
        self.stats = Stats::default();
        self.total = Stats::default();
        self.begin(sys, t, x, stop)
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if !self.started {
            return Err(SolveError::NotStarted);
        }
        self.clock.trial(self.h, &self.stats)?;
        if self.ahead.is_empty() {
            if let Some(failure) = self.failure {
                return Err(failure);
            }
            self.compute(sys)?;
        }
        if self.hand_out() {
            Ok(())
        } else {
            Err(SolveError::Library { method: self.method, t: self.clock.t })
        }
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.clock.set_stop(stop)?;
        if self.ahead.back().is_some_and(|last| last.t > stop) {
            self.give_up_chunk();
        }
        Ok(())
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        if self.sparsity.is_none() {
            return Err(SolveError::NotStarted);
        }
        self.give_up_chunk();
        self.stats.restarts += 1;
        self.total = self.stats;
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
        let (t0, t1) = (self.clock.t_prev, self.clock.t);
        if t == t1 || t0 == t1 {
            out.copy_from_slice(&self.x);
            return;
        }
        if t == t0 {
            out.copy_from_slice(&self.x_prev);
            return;
        }
        // Lagrange's polynomials on the nodes 0, 1, …, INNER + 1
        let s = (t - t0) / (t1 - t0) * (INNER as f64 + 1.0);
        let mut weights = [1.0; INNER + 2];
        for (j, w) in weights.iter_mut().enumerate() {
            for m in 0..INNER + 2 {
                if m != j {
                    *w *= (s - m as f64) / (j as f64 - m as f64);
                }
            }
        }
        for (i, out) in out.iter_mut().enumerate() {
            // The weights add up to one: what does not change, does not by a rounding.
            let x0 = self.x_prev[i];
            let mut sum = weights[INNER + 1] * (self.x[i] - x0);
            for (w, inner) in weights[1..].iter().zip(&self.inner) {
                sum += w * (inner[i] - x0);
            }
            *out = x0 + sum;
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
        state::begin(to, self.method, self.started);
        if !self.started {
            return;
        }
        self.clock.save(to);
        to.put(&self.h).put(&self.stats).put(&self.total);
        to.slice(&self.x).slice(&self.x_prev);
        // There is no dense output before the first step.
        let stepped = self.clock.t_prev < self.clock.t;
        to.put(&stepped);
        if stepped {
            self.inner.iter().for_each(|v| {
                to.slice(v);
            });
        }
        to.slice(&self.stops);
        if !self.stops.is_empty() {
            let (t, x, h, total) = &self.origin;
            to.put(t).slice(x).put(h).put(total).put(&self.handed);
        }
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Diffsol::new(self.method, &self.options);
        if !state::begun(from, self.method)? {
            return Ok(());
        }
        let n = sys.dim();
        self.atol = self.options.tolerances.expand(n).map_err(|e| from.malformed(e.to_string()))?;
        self.sparsity = sparsity(sys);
        let mut clock = self.clock.clone();
        clock.load(from)?;
        self.clock = clock.clone();
        self.h = state::length(from)?;
        (self.stats, self.total) = from.get()?;
        for v in [&mut self.x, &mut self.x_prev] {
            state::vector(from, v, n)?;
        }
        let at = from.at();
        if from.get::<bool>()? != (clock.t_prev < clock.t) {
            return Err(Malformed {
                at,
                why: "a step without length has no dense output, others have one".into(),
            });
        }
        if clock.t_prev < clock.t {
            for v in &mut self.inner {
                state::vector(from, v, n)?;
            }
        }
        let at = from.at();
        let stops: Vec<f64> = from.get()?;
        if !stops.is_empty() {
            let mut shown = Writer::new();
            self.shown(&mut shown);
            let t = from.get()?;
            state::vector(from, &mut self.origin.1, n)?;
            let h = state::length(from)?;
            let total: Stats = from.get()?;
            (self.origin.0, self.origin.2, self.origin.3) = (t, h, total);
            let handed = from.get()?;
            let saved = self.total;
            let done = self.again(sys, &stops, handed);
            let malformed = |why: String| Malformed { at, why };
            done.map_err(|e| malformed(format!("the steps since the last start cannot be done again: {e}")))?;
            let mut again = Writer::new();
            self.shown(&mut again);
            if again != shown || self.handed != handed || self.total != saved {
                let why = "the steps since the last start have other bits than before: another build of diffsol, another \
                           machine, or other values in the system";
                return Err(malformed(why.into()));
            }
            // The stop time may have moved since, beyond the end of the chunk.
            self.clock = clock;
        }
        self.started = true;
        Ok(())
    }
}
