//! The integrator that the engine sees, the methods there are, and their options.

use crate::adams::Adams;
use crate::auto::Auto;
use crate::bdf::Bdf;
use crate::diffsol::Diffsol;
use crate::error::SolveError;
use crate::implicit_euler::ImplicitEuler;
use crate::lanes::seat::Seat;
use crate::rk;
use crate::rosenbrock::Rosenbrock;
use crate::sde::Stochastic;
use crate::stats::Stats;
use crate::system::System;
use twinml_model::bytes::{Malformed, Reader, Writer};

/// A method of integration, by the name users write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Explicit Euler, fixed step, order 1.
    Euler,
    /// The classic Runge–Kutta method, fixed step, order 4.
    Rk4,
    /// Tsitouras 5(4), adaptive.
    Tsit5,
    /// Dormand–Prince 5(4), adaptive.
    Dopri5,
    /// Taylor series from the model's recurrences, adaptive, of an order that the tolerance asks for.
    Taylor,
    /// Adams–Bashforth–Moulton, variable step and order.
    Adams,
    /// Implicit Euler, fixed step, order 1.
    ImplicitEuler,
    /// Rosenbrock method of order 5(4), L-stable, adaptive.
    Rosenbrock,
    /// Our own variable-order NDF/BDF.
    Bdf,
    /// diffsol's ESDIRK34.
    Esdirk,
    /// diffsol's TR-BDF2.
    Trbdf2,
    /// diffsol's BDF: the oracle beside ours.
    DiffsolBdf,
    /// Milstein's method for stochastic equations, fixed step.
    Milstein,
    /// Detects stiffness and chooses among the others.
    Auto,
}

impl Method {
    /// All methods, in the order of the documentation.
    pub const ALL: [Method; 14] = [
        Method::Euler,
        Method::Rk4,
        Method::Tsit5,
        Method::Dopri5,
        Method::Taylor,
        Method::Adams,
        Method::ImplicitEuler,
        Method::Rosenbrock,
        Method::Bdf,
        Method::Esdirk,
        Method::Trbdf2,
        Method::DiffsolBdf,
        Method::Milstein,
        Method::Auto,
    ];

    /// The name in scenarios and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Euler => "euler",
            Method::Rk4 => "rk4",
            Method::Tsit5 => "tsit5",
            Method::Dopri5 => "dopri5",
            Method::Taylor => "taylor",
            Method::Adams => "adams",
            Method::ImplicitEuler => "implicit_euler",
            Method::Rosenbrock => "rosenbrock",
            Method::Bdf => "bdf",
            Method::Esdirk => "esdirk",
            Method::Trbdf2 => "trbdf2",
            Method::DiffsolBdf => "diffsol_bdf",
            Method::Milstein => "milstein",
            Method::Auto => "auto",
        }
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|m| m.name() == name)
    }

    /// True if the step size must be given by the user: there is no error estimate. (`implicit_euler` takes
    /// a fixed step if one is given and is adaptive without.)
    pub const fn fixed_step(self) -> bool {
        matches!(self, Method::Euler | Method::Rk4 | Method::Milstein)
    }

    /// True if the method uses the Jacobian.
    pub const fn implicit(self) -> bool {
        use Method::{Adams, Dopri5, Euler, Milstein, Rk4, Taylor, Tsit5};
        !matches!(self, Euler | Rk4 | Tsit5 | Dopri5 | Taylor | Adams | Milstein)
    }

    /// True if the method solves stochastic equations.
    pub const fn stochastic(self) -> bool {
        matches!(self, Method::Euler | Method::Milstein)
    }
}

/// Error tolerances: a step is accepted when the root mean square over the states of
/// `error / (atol + rtol·|x|)` is at most 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerances {
    /// Relative tolerance, without unit.
    pub rtol: f64,
    /// Absolute tolerance of each state in its unit; one element serves all states.
    pub atol: Vec<f64>,
}

impl Tolerances {
    /// The same absolute tolerance for every state.
    pub fn uniform(rtol: f64, atol: f64) -> Self {
        Tolerances { rtol, atol: vec![atol] }
    }

    /// One absolute tolerance per state, checked.
    pub fn expand(&self, n: usize) -> Result<Vec<f64>, SolveError> {
        let atol = match self.atol.len() {
            1 => vec![self.atol[0]; n],
            len if len == n => self.atol.clone(),
            got => return Err(SolveError::Dimension { expected: n, got }),
        };
        let rtol = self.rtol;
        for (state, &a) in atol.iter().enumerate() {
            if !(a >= 0.0 && a.is_finite() && rtol >= 0.0 && rtol.is_finite() && a + rtol > 0.0) {
                return Err(SolveError::Tolerance { state, rtol, atol: a });
            }
        }
        Ok(atol)
    }
}

/// What a user may set.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Error tolerances; unused by fixed-step methods except for Newton iterations.
    pub tolerances: Tolerances,
    /// The step of fixed-step methods (required there), the first step of the others, in seconds.
    pub h: Option<f64>,
    /// No step is longer than this, in seconds.
    pub h_max: f64,
    /// Accepted and rejected steps allowed since `start`.
    pub max_steps: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tolerances: Tolerances::uniform(1e-6, 1e-9),
            h: None,
            h_max: f64::INFINITY,
            max_steps: u64::MAX,
        }
    }
}

impl Options {
    /// Refuses step sizes that are not positive.
    pub fn check(&self, method: Method) -> Result<(), SolveError> {
        if self.h_max.is_nan() || self.h_max <= 0.0 {
            return Err(SolveError::StepSize { h: self.h_max });
        }
        match self.h {
            None if method.fixed_step() => Err(SolveError::StepSize { h: f64::NAN }),
            Some(h) if !(h > 0.0 && h.is_finite()) => Err(SolveError::StepSize { h }),
            _ => Ok(()),
        }
    }
}

/// One integration, advanced step by step. All state is plain data: a clone goes on with the same bits.
///
/// `start` and `restart` may allocate, `step` and `interpolate` never do.
pub trait Integrator {
    /// The method (`Auto` says `Auto`; see [`Integrator::choice`]).
    fn method(&self) -> Method;

    /// Begins at `(t, x)`. No step will pass `stop` (which may be infinite). Counters start at zero.
    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError>;

    /// As [`Integrator::start`] where `before`, a method over the same system, stands. A method of several steps may take the last
    /// step of that for its past.
    fn start_from(
        &mut self,
        sys: &mut dyn System,
        before: &dyn Integrator,
        stop: f64,
    ) -> Result<(), SolveError> {
        self.start(sys, before.t(), before.x(), stop)
    }

    /// One accepted step, ending at or before the stop time; a step that would end within rounding of
    /// it ends exactly at it. At the stop time it is an error to go on without [`Integrator::set_stop`].
    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError>;

    /// Moves the stop time, to [`Integrator::t`] or later. The history is kept.
    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError>;

    /// Says what a part of the method that begins by itself on the way (the stiff one of `auto`, a starter of BDF) is to take for
    /// its stop: the stop time but for what is done from outside (an action), which no step before it may tell. After
    /// `start` and `restart` it is their stop time; where it is not after [`Integrator::t`], the stop time stands for it.
    fn set_horizon(&mut self, horizon: f64) {
        let _ = horizon;
    }

    /// Says when the run will end, as far as anybody knows, whatever instants lie before: what preparations are worth goes by it.
    /// To be said before [`Integrator::start`] and after [`Integrator::load`]; else the stop time stands for it.
    fn set_end(&mut self, end: f64) {
        let _ = end;
    }

    /// Begins anew at `(t, x)` with `t` no later than [`Integrator::t`], after states were set or `f`
    /// changed. Counters go on. `x` may be the current state.
    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError>;

    /// Moves the state at [`Integrator::t`] to the near point `x` (a projection, no event): as far as it can the
    /// method goes on as if it had come there by itself. Dense output before this instant is given up.
    fn nudge(&mut self, sys: &mut dyn System, x: &[f64], stop: f64) -> Result<(), SolveError> {
        let (t, h) = (self.t(), self.h());
        self.restart(sys, t, x, stop)?;
        self.suggest(h);
        Ok(())
    }

    /// The time reached.
    fn t(&self) -> f64;

    /// Where the last step began.
    fn t_prev(&self) -> f64;

    /// The state at [`Integrator::t`].
    fn x(&self) -> &[f64];

    /// The state at `t` within the last step, from the dense output. At the two ends it gives exactly
    /// the accepted states; outside it extrapolates. Takes `&self`: any number of calls, any order.
    fn interpolate(&self, t: f64, out: &mut [f64]);

    /// The step size that will be tried next.
    fn h(&self) -> f64;

    /// Proposes the step size to try next, in place of what `start` or `restart` chose. Methods that choose
    /// better by themselves ignore it.
    fn suggest(&mut self, h: f64) {
        let _ = h;
    }

    /// Says that until the next call nobody asks [`Integrator::interpolate`] for a time before `t`, the ends of
    /// steps aside: a method may then take several steps in one call of [`Integrator::step`].
    fn skip_to(&mut self, t: f64) {
        let _ = t;
    }

    /// As [`Integrator::skip_to`] the first of these instants, which ascend; and nobody asks for another time before the last
    /// of them. A method may then pass several of them in one call of [`Integrator::step`], where the system keeps their
    /// states: see [`Integrator::passed`].
    fn ask(&mut self, instants: &[f64]) {
        if let Some(first) = instants.first() {
            self.skip_to(*first);
        }
    }

    /// The instants of [`Integrator::ask`] that the last step has passed, the states of which the system keeps
    /// ([`System::rk4_kept`]): for each, in order, how many of the kept states come before its own. They are not asked for
    /// otherwise. Empty where the dense output is to be asked.
    fn passed(&self) -> &[u32] {
        &[]
    }

    /// The work done since `start`.
    fn stats(&self) -> &Stats;

    /// A copy that goes on with the same bits.
    fn clone_box(&self) -> Box<dyn Integrator>;

    /// Appends all that the next steps and the dense output of the last one depend on, beside the options and the system.
    /// Takes `&self`: to be saved changes nothing.
    fn save(&self, to: &mut Writer);

    /// Takes up what [`Integrator::save`] wrote, in an integrator that [`make`] made for the same method and options, over
    /// the same system in the same condition (what else the engine keeps is restored before): it goes on with the same
    /// bits, counters included. The methods of diffsol compute all steps since their last start, restart or stop again; others
    /// evaluate nothing but, at most, factors.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the bytes are no state of this method and this system, or a state that it cannot go on
    /// from. Then the integrator has to be started before it is of any use.
    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed>;

    /// The method as one whose steps can be computed on lanes; `None` for methods that go alone.
    fn seat(&mut self) -> Option<&mut dyn Seat> {
        None
    }

    /// What `auto` chose so far; the method itself for the others.
    fn choice(&self) -> Choice {
        Choice { method: self.method(), t: self.t_prev(), switches: 0, stiffness: f64::NAN }
    }
}

/// An integrator of the given method, not started yet.
pub fn make(method: Method, options: &Options) -> Result<Box<dyn Integrator>, SolveError> {
    options.check(method)?;
    Ok(match method {
        Method::Euler => Box::new(rk::fixed::Euler::new(options)),
        Method::Rk4 => Box::new(rk::fixed::Rk4::new(options)),
        Method::Tsit5 => Box::new(rk::tsit5::Tsit5::new(options)),
        Method::Dopri5 => Box::new(rk::dopri5::Dopri5::new(options)),
        Method::Esdirk | Method::Trbdf2 | Method::DiffsolBdf => Box::new(Diffsol::new(method, options)),
        Method::ImplicitEuler => Box::new(ImplicitEuler::new(options)),
        Method::Rosenbrock => Box::new(Rosenbrock::new(options).by_kernel()),
        Method::Auto => Box::new(Auto::new(options)),
        Method::Taylor => Box::new(crate::taylor::Taylor::new(options)),
        Method::Adams => Box::new(Adams::new(options)),
        Method::Bdf => Box::new(Bdf::new(options)),
        Method::Milstein => Box::new(Stochastic::new(method, options)),
    })
}

/// An integrator for a system with noise, not started yet. Only `euler` and `milstein` are there.
pub fn make_stochastic(method: Method, options: &Options) -> Result<Box<dyn Integrator>, SolveError> {
    options.check(method)?;
    if !method.stochastic() {
        return Err(SolveError::Unavailable { method });
    }
    Ok(Box::new(Stochastic::new(method, options)))
}

/// The method at work, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The method at work.
    pub method: Method,
    /// Since when, in seconds.
    pub t: f64,
    /// How often the method was changed so far.
    pub switches: u32,
    /// The last estimate of `h·|λ|` over the limit of the explicit method: above 1 is stiff; NaN if not
    /// estimated.
    pub stiffness: f64,
}
