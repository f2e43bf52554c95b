//! How a solve fails, in numbers.

use crate::integrator::Method;
use crate::system::EvalError;
use std::fmt;

/// A solve that cannot go on. Times and step sizes in seconds, states by index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SolveError {
    /// The system could not be evaluated, and a smaller step cannot help.
    Eval {
        /// Time of the evaluation.
        t: f64,
        /// Step being tried; 0 at the start.
        h: f64,
        /// What the system said.
        error: EvalError,
    },
    /// A value at the start or at an accepted point is not finite.
    NotFinite {
        /// Time.
        t: f64,
        /// The first state whose value or derivative is not finite.
        state: usize,
    },
    /// The step size fell below what the precision of time can resolve.
    StepTooSmall {
        /// Time of the last accepted step.
        t: f64,
        /// The step size that failed.
        h: f64,
        /// The state with the largest weighted error in the last trial.
        state: usize,
        /// Its error divided by its tolerance; NaN if the trial could not be evaluated.
        error: f64,
    },
    /// The nonlinear equations of an implicit step did not converge at the smallest step.
    Newton {
        /// Time of the last accepted step.
        t: f64,
        /// The step size that failed.
        h: f64,
        /// Iterations in the last attempt.
        iterations: u32,
        /// The state with the largest weighted correction.
        state: usize,
        /// That correction, in units of its tolerance.
        residual: f64,
    },
    /// The iteration matrix is singular at the smallest step.
    Singular {
        /// Time of the last accepted step.
        t: f64,
        /// The step size that failed.
        h: f64,
        /// The column without a pivot.
        column: usize,
    },
    /// The limit on steps was reached.
    TooManySteps {
        /// Time reached.
        t: f64,
        /// The step size at the end.
        h: f64,
        /// Steps done.
        steps: u64,
    },
    /// A slice or the tolerances have the wrong length.
    Dimension {
        /// What the system has.
        expected: usize,
        /// What was given.
        got: usize,
    },
    /// A tolerance is negative, not finite, or both are zero.
    Tolerance {
        /// The state.
        state: usize,
        /// Relative tolerance.
        rtol: f64,
        /// Absolute tolerance, in the state's unit.
        atol: f64,
    },
    /// The stop time is not ahead (solvers go forward in time only), or a time is not finite.
    StopTime {
        /// Time now.
        t: f64,
        /// The stop time given.
        stop: f64,
    },
    /// The method has a fixed step and none was given, or a step size or limit is not positive.
    StepSize {
        /// What was given; NaN if nothing was.
        h: f64,
    },
    /// Two noises do not commute, which `milstein` needs.
    NotCommuting {
        /// Time.
        t: f64,
        /// One path, as the system numbers them.
        first: usize,
        /// The other.
        second: usize,
    },
    /// `step` was called before `start`.
    NotStarted,
    /// This build has no such method.
    Unavailable {
        /// The method.
        method: Method,
    },
    /// At this point the solution has no Taylor series (where a root vanishes, say), though its derivative is finite.
    NoSeries {
        /// Time.
        t: f64,
        /// The first state whose coefficients are not finite.
        state: usize,
    },
    /// The system has no recurrences for its Taylor coefficients.
    NoTaylor,
    /// The solver library behind this method refused, for a reason it does not put in numbers.
    Library {
        /// The method.
        method: Method,
        /// Time.
        t: f64,
    },
}

impl fmt::Display for SolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            SolveError::Eval { t, h, error } => match error {
                EvalError::Recoverable { index, residual } => write!(
                    f,
                    "the model could not be evaluated at t = {t} s (step {h:e} s): block or state \
                     {index}, residual {residual:e}"
                ),
                EvalError::Fatal { index, code } => write!(
                    f,
                    "the model could not be evaluated at t = {t} s (step {h:e} s): block or state \
                     {index}, code {code}"
                ),
            },
            SolveError::NotFinite { t, state } => {
                write!(f, "state {state} or its derivative is not finite at t = {t} s")
            }
            SolveError::StepTooSmall { t, h, state, error } => write!(
                f,
                "the step size became too small at t = {t} s: {h:e} s; state {state} has the largest \
                 error, {error:.3} times its tolerance"
            ),
            SolveError::Newton { t, h, iterations, state, residual } => write!(
                f,
                "Newton did not converge at t = {t} s (step {h:e} s, {iterations} iterations): state \
                 {state} still moves by {residual:.3e} times its tolerance"
            ),
            SolveError::Singular { t, h, column } => {
                write!(f, "the iteration matrix is singular at t = {t} s (step {h:e} s), column {column}")
            }
            SolveError::TooManySteps { t, h, steps } => {
                write!(f, "the limit of {steps} steps was reached at t = {t} s (step {h:e} s)")
            }
            SolveError::Dimension { expected, got } => {
                write!(f, "the system has {expected} states, {got} were given")
            }
            SolveError::Tolerance { state, rtol, atol } => {
                write!(f, "state {state} has an invalid tolerance: relative {rtol:e}, absolute {atol:e}")
            }
            SolveError::StopTime { t, stop } => {
                write!(f, "the stop time {stop} s is not after t = {t} s")
            }
            SolveError::StepSize { h } => write!(f, "the step size {h} s is not a positive number"),
            SolveError::NotCommuting { t, first, second } => {
                write!(f, "the noises {first} and {second} do not commute at t = {t} s")
            }
            SolveError::NotStarted => write!(f, "the integrator was not started"),
            SolveError::Unavailable { method } => {
                write!(f, "the solver {} is not in this build", method.name())
            }
            SolveError::NoSeries { t, state } => write!(
                f,
                "state {state} has no Taylor series at t = {t} s (where a root vanishes, say); `tsit5` and `adams` need none"
            ),
            SolveError::NoTaylor => f.write_str("the system has no recurrences for Taylor coefficients"),
            SolveError::Library { method, t } => {
                write!(f, "the solver {} stopped at t = {t} s", method.name())
            }
        }
    }
}

impl std::error::Error for SolveError {}
