//! Integrators of single runs whose steps are computed side by side.
//!
//! A run that needs to be looked at (events, requirements, rows) keeps its own integrator, as if it went alone. Where
//! that has a [`Seat`], the state from which the next step begins is put into a lane, a kernel tries the steps of all
//! lanes at once, and a step that was accepted is taken back: the integrator is then what it would be had it done the
//! step itself, dense output and step control included, to the bit. A step that a kernel cannot do is done by the
//! integrator alone, from the same state.

use super::adaptive::Control;
use super::tsit5;
use super::writer::{Slot, status};
use crate::system::System;
use twinml_model::ir::{Kernel, Space};
use twinml_model::lanes::LaneMemory;
use twinml_model::program::Program;

/// What computes the steps of a seat: seats of one shape share a kernel.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// Trial steps of `tsit5`.
    Tsit5(Control),
}

/// A method whose steps lanes can do.
pub trait Seat {
    /// What computes its steps. Fixed from the start of a run on.
    fn shape(&self) -> Shape;

    /// Whether each step is to be taken, also where nobody looks at it.
    fn each(&self) -> bool {
        false
    }

    /// Puts what the next step begins with into a lane. False where the next step is none for lanes; the lane is then
    /// as it was.
    fn put(&mut self, memory: &mut LaneMemory, lane: usize) -> bool;

    /// Takes the steps that were accepted since [`Seat::put`] out of the lane. `whole`: dense output of the last one is
    /// wanted, and the kernel kept what it takes.
    fn take(&mut self, sys: &mut dyn System, memory: &LaneMemory, lane: usize, whole: bool);
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

    pub(crate) fn slots(&self, space: Space) -> usize {
        self.memory.sizes().of(space) as usize
    }
}

/// The kernels of a shape, and the program with room for what they leave.
#[derive(Clone, Debug)]
pub struct SeatCode {
    /// As given, with a longer `Jac`.
    pub program: Program,
    /// A step.
    pub step: Kernel,
    /// Dense output within the last step: see [`SeatCode::ready`].
    pub interpolant: Option<Kernel>,
    shape: Shape,
}

impl SeatCode {
    /// The kernels. `whole`: runs are looked at within their steps. `None` where the right-hand side cannot be put into
    /// a step (see `twinml_model::passes::rk4::fuse`).
    #[must_use]
    pub fn new(program: &Program, shape: &Shape, whole: bool) -> Option<Self> {
        let n = program.sizes.state;
        let mut program = program.clone();
        match shape {
            Shape::Tsit5(control) => {
                if n == 0 || control.atol.len() != n as usize {
                    return None;
                }
                program.sizes.jac = program.sizes.jac.max(tsit5::dense::slots(if whole { n } else { 0 }));
                let kept = if whole { tsit5::Kept::Step } else { tsit5::Kept::Error };
                let step = tsit5::trial_as(&program, control, kept)?;
                let interpolant = if whole { Some(tsit5::interpolant(&program)?) } else { None };
                Some(SeatCode { program, step, interpolant, shape: shape.clone() })
            }
        }
    }

    /// Whether a lane waits for nothing but the next run of the step.
    #[must_use]
    pub fn landing(&self, memory: &LaneMemory, lane: usize) -> Landing {
        if memory.trap(lane).is_some() {
            return Landing::Alone;
        }
        let at = |s: Slot| memory.slot(Space::Jac, s as usize)[lane];
        match self.shape {
            Shape::Tsit5(_) => {
                let (rejected, status) = (at(Slot::Rejected) != 0.0, at(Slot::Status));
                match (rejected, status == status::RUNNING) {
                    (true, true) => Landing::Again,
                    (true, false) => Landing::Alone,
                    (false, true) => Landing::Accepted,
                    (false, false) => Landing::Arrived,
                }
            }
        }
    }

    /// Makes `to` ready for [`SeatCode::interpolant`] about the last steps in `from`.
    pub fn ready(&self, from: &LaneMemory, to: &mut LaneMemory) {
        let n = from.sizes().state as usize;
        for i in 0..n {
            to.slot_mut(Space::TState, i).copy_from_slice(from.slot(Space::State, i));
        }
        let rows = match self.shape {
            Shape::Tsit5(_) => tsit5::dense::FROM as usize..tsit5::dense::slots(n as u32) as usize,
        };
        for k in rows {
            to.slot_mut(Space::Jac, k).copy_from_slice(from.slot(Space::Jac, k));
        }
    }

    /// Where the last step in a lane began, and where it ended.
    #[must_use]
    pub fn span(&self, memory: &LaneMemory, lane: usize) -> (f64, f64) {
        match self.shape {
            Shape::Tsit5(_) => {
                let at = |k: u32| memory.slot(Space::Jac, k as usize)[lane];
                (at(tsit5::dense::FROM), at(tsit5::dense::TO))
            }
        }
    }
}
