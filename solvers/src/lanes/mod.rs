//! Integrators over lanes: many runs of one system side by side, each with its own parameters and states.
//!
//! In: a lane kernel that does a whole step (made from the same right-hand side as a single run's), and runs to put
//! into lanes. Out: each run's end, with the bits that the integrator of a single run gives it. The drivers decide
//! step sizes and which run is in which lane; they allocate nothing within a step, read no clock, and never change
//! the order of what is computed within a lane.

pub mod adaptive;
pub mod fixed;
pub(crate) mod rosenbrock;
pub mod seat;
pub(crate) mod stepped;
pub(crate) mod taylor;
pub(crate) mod tsit5;
pub(crate) mod writer;

use twinml_model::lanes::LaneMemory;

/// Where runs come from and go to. Runs may end in any order.
pub trait Runs {
    /// Puts the next run into a lane: parameters, inputs, discrete values and initial states in their slots, as
    /// kernels of the program left them at the start. Gives the run's number; `None` where there is none left.
    fn fill(&mut self, memory: &mut LaneMemory, lane: usize) -> Option<u64>;

    /// Run number `run` is over: its states (and `Time`) stand in the lane `lane` of `memory`, which need not be the
    /// one that it was filled into.
    fn done(&mut self, run: u64, memory: &LaneMemory, lane: usize, end: &LaneEnd);
}

/// How a run in a lane ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum LaneStatus {
    /// At the stop time.
    Complete,
    /// A state is infinite or no number, or the kernel trapped. Where and why, the same run alone tells.
    Failed,
    /// The step no longer moved time.
    StepTooSmall,
    /// The limit on steps was reached.
    TooManySteps,
    /// What this run needs, lanes do not do (the diagonal does not serve as pivots): the same run alone does it.
    Alone,
}

/// The end of a run, and the work that it took.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LaneEnd {
    /// How.
    pub status: LaneStatus,
    /// Time reached, in seconds.
    pub t: f64,
    /// Accepted steps.
    pub steps: u64,
    /// Rejected trials.
    pub rejected: u64,
    /// Evaluations of the right-hand side.
    pub rhs: u64,
}

/// How well the lanes were used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Occupancy {
    /// Steps that were computed, over all lanes.
    pub computed: u64,
    /// Those of them that belonged to a run.
    pub useful: u64,
}

impl Occupancy {
    /// Useful over computed; 1 where nothing was.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.computed == 0 { 1.0 } else { self.useful as f64 / self.computed as f64 }
    }
}
