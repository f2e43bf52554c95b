//! Many runs of one program on lanes.
//!
//! In: a program and how to solve it. Out: a [`LaneSolver`] that takes runs (`twinml_solvers::lanes::Runs`: each a
//! memory with parameters and initial states in place) and hands back each one's end. A run gets the bits that
//! [`crate::run`] gives it alone; what lanes cannot do is refused with the reason, and then each run goes alone.

use std::sync::Arc;

use twinml_jit::lanes::{Isa, compile};
use twinml_model::host::{Host, Memory};
use twinml_model::ir::Kernel;
use twinml_model::lanes::{GRAIN, LaneKernel, LaneMemory, NotLanes};
use twinml_model::passes::dead::Traps;
use twinml_model::passes::rk4::{self, Stepped};
use twinml_model::passes::{Level, simplified};
use twinml_model::program::Program;
pub use twinml_solvers::lanes::adaptive::Control;
use twinml_solvers::lanes::adaptive::{AdaptiveCode, AdaptiveLanes};
use twinml_solvers::lanes::fixed::FixedLanes;
use twinml_solvers::lanes::{Occupancy, Runs};

/// How lanes are integrated.
#[derive(Clone, Debug)]
pub enum LaneMethod {
    /// Explicit Euler with this step, in seconds.
    Euler(f64),
    /// The classic Runge–Kutta method with this step, in seconds.
    Rk4(f64),
    /// Tsitouras 5(4), each run with its own steps.
    Tsit5(Control),
    /// Taylor series of an order for the tolerance, each run with its own steps.
    Taylor(Control),
    /// A Rosenbrock method of order 4 or 5, each run with its own steps.
    Rosenbrock(Control),
}

#[derive(Debug)]
enum Driver {
    Fixed(FixedLanes),
    Adaptive(Box<AdaptiveLanes>),
}

/// An integrator of many runs.
#[derive(Debug)]
pub struct LaneSolver {
    driver: Driver,
    memory: LaneMemory,
    level: &'static str,
}

/// Lanes of a batch, where nobody says otherwise: a multiple of what every vector width and every number of groups side
/// by side needs.
pub const LANES: usize = 96;

impl LaneSolver {
    /// An integrator for `lanes` runs at a time from `start`'s time on. `start` is one run's memory at its start: the
    /// kernels are timed on it.
    ///
    /// Refused: programs with events, histories, invariants or white noise, and what [`rk4::step`] refuses.
    pub fn new(
        program: &Arc<Program>,
        method: &LaneMethod,
        isa: Isa,
        start: &Memory,
        lanes: usize,
    ) -> Result<Self, NotLanes> {
        if program.sizes.root > 0
            || program.sizes.hist > 0
            || program.kept.is_some()
            || !program.noise.is_empty()
        {
            return Err(NotLanes::NoStep);
        }
        let (stepped, h) = match method {
            LaneMethod::Euler(h) => (Stepped::Euler, *h),
            LaneMethod::Rk4(h) => (Stepped::Rk4, *h),
            LaneMethod::Tsit5(control) => {
                return Self::adaptive(AdaptiveCode::tsit5(program, control), isa, start, lanes);
            }
            LaneMethod::Taylor(control) => {
                return Self::adaptive(AdaptiveCode::taylor(program, control), isa, start, lanes);
            }
            LaneMethod::Rosenbrock(control) => {
                return Self::adaptive(AdaptiveCode::rosenbrock(program, control), isa, start, lanes);
            }
        };
        let t0 = start.time();
        let memory = LaneMemory::of(start, lanes);
        let traps = Traps::of(program);
        let ready = |kernel: Option<Kernel>| -> Result<Box<dyn LaneKernel>, NotLanes> {
            let kernel = simplified(&kernel.ok_or(NotLanes::NoStep)?, Level::O2, &traps);
            compile(program, &kernel, isa, &memory)
        };
        let step = ready(rk4::step(program, stepped, t0, h))?;
        let cut = ready(rk4::cut(program, stepped))?;
        let level = step.level();
        let driver = Driver::Fixed(FixedLanes::new(stepped, (t0, h), step, cut));
        Ok(Self { driver, memory, level })
    }

    fn adaptive(
        code: Option<AdaptiveCode>,
        isa: Isa,
        start: &Memory,
        lanes: usize,
    ) -> Result<Self, NotLanes> {
        let code = code.ok_or(NotLanes::NoStep)?;
        let program = Arc::new(code.program.clone());
        let traps = Traps::of(&program);
        let memory_of = |lanes| {
            let mut memory = LaneMemory::zeroed(program.sizes, lanes);
            (0..memory.width()).for_each(|lane| memory.set(lane, start));
            memory
        };
        let ready = |kernel: &Kernel, memory: &LaneMemory| {
            compile(&program, &simplified(kernel, Level::O2, &traps), isa, memory)
        };
        let memory = memory_of(lanes);
        let first = code.start.as_ref().map(|start| ready(start, &memory_of(GRAIN))).transpose()?;
        let trial = ready(&code.trial, &memory)?;
        let level = trial.level();
        let driver = Driver::Adaptive(Box::new(AdaptiveLanes::new(&code, lanes, first, trial)));
        Ok(Self { driver, memory, level })
    }

    /// Runs all of `runs` to `stop`. Nothing is allocated on the way but by `runs`.
    pub fn run(&mut self, stop: f64, runs: &mut dyn Runs, host: &mut dyn Host) {
        match &mut self.driver {
            Driver::Fixed(d) => d.run(&mut self.memory, stop, runs, host),
            Driver::Adaptive(d) => d.run(&mut self.memory, stop, runs, host),
        }
    }

    /// How the step's kernel runs: `block`, `avx2`, `avx512`.
    #[must_use]
    pub fn level(&self) -> &'static str {
        self.level
    }

    /// How the lanes were used so far.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        match &self.driver {
            Driver::Fixed(d) => d.occupancy(),
            Driver::Adaptive(d) => d.occupancy(),
        }
    }
}
