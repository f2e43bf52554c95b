//! Integrators of single runs whose steps are computed side by side.
//!
//! A run that needs to be looked at (events, requirements, rows) keeps its own integrator, as if it went alone. Where
//! that has a [`Seat`], the state from which the next step begins is put into a lane, a kernel tries the steps of all
//! lanes at once, and a step that was accepted is taken back: the integrator is then what it would be had it done the
//! step itself, dense output and step control included, to the bit. A step that a kernel cannot do is done by the
//! integrator alone, from the same state.

use super::adaptive::Control;
use super::writer::{Slot, status};
use super::{rosenbrock, stepped, taylor, tsit5};
use crate::rk;
use crate::rk::embedded::Tableau;
use crate::rosenbrock::tableau_for;
use crate::system::System;
use crate::taylor::order;
use twinml_model::ir::{Kernel, Space};
use twinml_model::lanes::LaneMemory;
use twinml_model::passes::rk4::{self, Stepped};
use twinml_model::passes::straight::Guesses;
use twinml_model::program::Program;

/// What computes the steps of a seat: seats of one shape share a kernel.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// Trial steps of `tsit5`.
    Tsit5(Control),
    /// Trial steps of `dopri5`.
    Dopri5(Control),
    /// Trial steps of `rosenbrock`.
    Rosenbrock(Control),
    /// Trial steps of `taylor`.
    Taylor(Control),
    /// Steps of Euler's method or of the classic Runge–Kutta method, from any instant to any other.
    Fixed(Stepped),
    /// Fused steps of the classic Runge–Kutta method on the grid `t0 + n·h`.
    Grid {
        /// Where the grid begins, in seconds.
        t0: f64,
        /// The step in seconds.
        h: f64,
    },
    /// Steps of the Euler–Maruyama method.
    Maruyama,
    /// Steps of the Milstein method.
    Milstein {
        /// No path's intensities depend on states that another one drives.
        apart: bool,
    },
}

impl Shape {
    /// Whether noise drives its steps.
    fn noisy(&self) -> bool {
        matches!(self, Shape::Maruyama | Shape::Milstein { .. })
    }
}

/// A method whose steps lanes can do.
pub trait Seat {
    /// What computes its steps. Fixed from the start of a run on.
    fn shape(&self) -> Shape;

    /// Whether each step is to be taken, also where nobody looks at it.
    fn each(&self) -> bool {
        false
    }

    /// Puts what the next steps begin with into a lane; gives how many of them may be done in a row, where nobody is
    /// interested in steps that end before `quiet`. `None` where the next step is none for lanes; the lane is then as it
    /// was.
    fn put(
        &mut self,
        sys: &mut dyn System,
        code: &SeatCode,
        memory: &mut LaneMemory,
        lane: usize,
        quiet: f64,
    ) -> Option<u64>;

    /// Takes the steps that were accepted since [`Seat::put`] out of the lane; `steps` is how often the kernel ran.
    fn take(&mut self, sys: &mut dyn System, code: &SeatCode, memory: &LaneMemory, lane: usize, steps: u64);
}

/// What became of a step in a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Landing {
    /// It was rejected: the lane tries a smaller one.
    Again,
    /// It was accepted, and the lane goes on.
    Accepted,
    /// It was accepted, and the lane rests: its stop time is reached, or its steps are used up.
    Arrived,
    /// The integrator has to do it alone.
    Alone,
}

/// One lane, to write.
#[derive(Debug)]
pub(crate) struct Place<'m> {
    memory: &'m mut LaneMemory,
    lane: usize,
}

impl<'m> Place<'m> {
    pub(crate) fn new(memory: &'m mut LaneMemory, lane: usize) -> Self {
        Place { memory, lane }
    }

    pub(crate) fn set(&mut self, space: Space, slot: usize, value: f64) {
        self.memory.slot_mut(space, slot)[self.lane] = value;
    }

    /// All slots of a space, from the first on.
    pub(crate) fn set_all(&mut self, space: Space, values: &[f64]) {
        for (slot, value) in values.iter().enumerate() {
            self.set(space, slot, *value);
        }
    }

    pub(crate) fn slots(&self, space: Space) -> usize {
        self.memory.sizes().of(space) as usize
    }
}

/// A trial step of an explicit pair, and its dense output.
fn pair<T: Tableau>(
    program: &Program,
    control: &Control,
    whole: bool,
    guesses: Option<&Guesses>,
) -> Option<(Kernel, Option<Kernel>)> {
    let kept = if whole { tsit5::Kept::Step } else { tsit5::Kept::Nothing };
    let step = tsit5::trial_as::<T>(program, control, kept, guesses)?;
    Some((step, Some(tsit5::interpolant::<T>(program)?)))
}

/// The kernels of a shape, and the program with room for what they leave.
#[derive(Clone, Debug)]
pub struct SeatCode {
    /// As given, with a longer `Jac`.
    pub program: Program,
    /// A step.
    pub step: Kernel,
    /// Dense output within the last step: see [`SeatCode::ready`]. `None`: nobody asks for it.
    pub interpolant: Option<Kernel>,
    /// Runs are looked at within their steps: dense output is kept.
    pub whole: bool,
    /// Slots of `Input` that noise stands in.
    pub(crate) noise: Vec<usize>,
    guesses: Option<Guesses>,
    shape: Shape,
}

impl SeatCode {
    /// Slots of `Jac` that the kernels of a shape use. `None` where there are none.
    #[must_use]
    pub fn room(program: &Program, shape: &Shape, whole: bool) -> Option<u32> {
        let n = program.sizes.state;
        if n == 0 {
            return None;
        }
        let paths: u32 = program.noise.iter().map(|f| f.len).sum();
        Some(match shape {
            Shape::Tsit5(control)
            | Shape::Dopri5(control)
            | Shape::Rosenbrock(control)
            | Shape::Taylor(control)
                if control.atol.len() != n as usize =>
            {
                return None;
            }
            Shape::Tsit5(_) | Shape::Dopri5(_) => tsit5::dense::slots(if whole { n } else { 0 }),
            Shape::Rosenbrock(control) => {
                let stages = tableau_for(control.rtol).stages as u32;
                rosenbrock::dense::slots(if whole { n } else { 0 }, stages)
            }
            Shape::Taylor(control) => taylor::seat::slots(n, order(control.rtol))?,
            Shape::Fixed(_) | Shape::Grid { .. } | Shape::Maruyama => stepped::slots(n),
            Shape::Milstein { .. } => stepped::moves(n).checked_add(paths)?,
        })
    }

    /// The kernels. `whole`: runs are looked at within their steps. `guesses`: where blocks begin, of a program from
    /// `twinml_model::passes::straight` with at least [`SeatCode::room`]. `None` where the right-hand side cannot be put
    /// into a step (see `twinml_model::passes::rk4::Steps`).
    #[must_use]
    pub fn new(program: &Program, shape: &Shape, whole: bool, guesses: Option<Guesses>) -> Option<Self> {
        let room = Self::room(program, shape, whole)?;
        let mut program = program.clone();
        let families = program.noise.iter();
        let noise: Vec<usize> =
            families.flat_map(|f| (f.input..f.input + f.len).map(|k| k as usize)).collect();
        let g = guesses.as_ref();
        program.sizes.jac = program.sizes.jac.max(room);
        let (step, interpolant) = match shape {
            Shape::Tsit5(control) => pair::<rk::tsit5::Coefficients>(&program, control, whole, g)?,
            Shape::Dopri5(control) => pair::<rk::dopri5::Coefficients>(&program, control, whole, g)?,
            Shape::Rosenbrock(control) => {
                let tableau = tableau_for(control.rtol);
                let dense = rosenbrock::interpolant(&program, tableau);
                (rosenbrock::trial_as(&program, tableau, control, whole, g)?, Some(dense))
            }
            Shape::Taylor(control) => {
                let dense = taylor::seat::interpolant(&program, order(control.rtol));
                (taylor::seat::trial(&program, control)?, Some(dense))
            }
            Shape::Fixed(method) => {
                (stepped::step(&program, *method, g)?, Some(stepped::interpolant(&program, shape)))
            }
            Shape::Grid { t0, h } => {
                let step = if whole {
                    stepped::on_grid(&program, *t0, *h)?
                } else {
                    rk4::step(&program, Stepped::Rk4, *t0, *h)?
                };
                (step, Some(stepped::interpolant(&program, shape)))
            }
            Shape::Maruyama => (stepped::maruyama(&program, g)?, Some(stepped::interpolant(&program, shape))),
            Shape::Milstein { apart } => {
                let step = stepped::milstein(&program, &noise, *apart)?;
                (step, Some(stepped::interpolant(&program, shape)))
            }
        };
        let interpolant = interpolant.filter(|_| whole);
        Some(SeatCode { program, step, interpolant, whole, noise, guesses, shape: shape.clone() })
    }

    /// Where algebraic blocks begin.
    #[must_use]
    pub fn guesses(&self) -> Option<&Guesses> {
        self.guesses.as_ref()
    }

    /// What computes its steps.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether a lane waits for nothing but the next run of the step.
    #[must_use]
    pub fn landing(&self, memory: &LaneMemory, lane: usize) -> Landing {
        if memory.trap(lane).is_some() {
            return Landing::Alone;
        }
        if let Some(g) = &self.guesses
            && memory.slot(Space::Jac, g.fine as usize)[lane] != 1.0
        {
            return Landing::Alone;
        }
        let at = |s: Slot| memory.slot(Space::Jac, s as usize)[lane];
        match self.shape {
            Shape::Tsit5(_) | Shape::Dopri5(_) | Shape::Rosenbrock(_) | Shape::Taylor(_) => {
                let (rejected, status) = (at(Slot::Rejected) != 0.0, at(Slot::Status));
                match (rejected, status == status::RUNNING) {
                    (true, true) => Landing::Again,
                    (true, false) => Landing::Alone,
                    (false, true) => Landing::Accepted,
                    (false, false) => Landing::Arrived,
                }
            }
            Shape::Fixed(_) | Shape::Grid { .. } | Shape::Maruyama | Shape::Milstein { .. } => {
                let n = memory.sizes().state as usize;
                let slopes = self.whole && !self.shape.noisy() || matches!(self.shape, Shape::Fixed(_));
                let finite = |space| (0..n).all(|i| memory.slot(space, i)[lane].is_finite());
                let fine = finite(Space::State) && (!slopes || finite(Space::Der));
                if fine { Landing::Accepted } else { Landing::Alone }
            }
        }
    }

    /// Whether the seat says how many steps are done in a row; else a lane is looked at after each.
    #[must_use]
    pub fn counted(&self) -> bool {
        matches!(self.shape, Shape::Grid { .. })
    }

    /// Whether [`Seat::put`] is due after each run of the step.
    #[must_use]
    pub fn by_step(&self) -> bool {
        matches!(self.shape, Shape::Fixed(_)) || self.shape.noisy()
    }

    /// Makes `to` ready for [`SeatCode::interpolant`] about the last steps in `from`.
    pub fn ready(&self, from: &LaneMemory, to: &mut LaneMemory) {
        let n = from.sizes().state as usize;
        for i in 0..n {
            to.slot_mut(Space::TState, i).copy_from_slice(from.slot(Space::State, i));
        }
        let rows = match self.shape {
            Shape::Tsit5(_) | Shape::Dopri5(_) => {
                tsit5::dense::FROM as usize..tsit5::dense::slots(n as u32) as usize
            }
            Shape::Taylor(ref control) => {
                let all = taylor::seat::slots(n as u32, order(control.rtol)).unwrap_or(0);
                taylor::seat::FROM as usize..all as usize
            }
            Shape::Rosenbrock(ref control) => {
                let stages = tableau_for(control.rtol).stages as u32;
                rosenbrock::dense::FROM as usize..rosenbrock::dense::slots(n as u32, stages) as usize
            }
            _ => {
                for i in 0..n {
                    to.slot_mut(Space::TDer, i).copy_from_slice(from.slot(Space::Der, i));
                }
                0..stepped::slots(n as u32) as usize
            }
        };
        for k in rows {
            to.slot_mut(Space::Jac, k).copy_from_slice(from.slot(Space::Jac, k));
        }
        if let Some(g) = &self.guesses {
            // The step is looked into before it is taken: blocks begin where they did in it.
            for (k, b) in (g.first..g.first + g.kept()).zip(g.before()..) {
                to.slot_mut(Space::Jac, k as usize).copy_from_slice(from.slot(Space::Jac, b as usize));
            }
        }
    }

    /// Where the last step in a lane began, and where it ended.
    #[must_use]
    pub fn span(&self, memory: &LaneMemory, lane: usize) -> (f64, f64) {
        let at = |k: u32| memory.slot(Space::Jac, k as usize)[lane];
        match self.shape {
            Shape::Tsit5(_) | Shape::Dopri5(_) => (at(tsit5::dense::FROM), at(tsit5::dense::TO)),
            Shape::Rosenbrock(_) => (at(rosenbrock::dense::FROM), at(rosenbrock::dense::TO)),
            Shape::Taylor(_) => (at(taylor::seat::FROM), at(taylor::seat::TO)),
            _ => (at(stepped::FROM), at(stepped::TO)),
        }
    }
}
