//! Euler's method and the classic Runge–Kutta method on lanes: fixed steps on the grid `t0 + n·h`.
//!
//! The same steps, to the bit, as [`crate::rk::fixed`] takes for a single run whose steps are fused
//! (`twinml_model::passes::rk4`): whole steps by one kernel, run many times in a row with the states in registers, and
//! one step that the stop time cuts by another. All lanes are at the same step, so that a batch is done at once.

use super::{LaneEnd, LaneStatus, Occupancy, Runs};
use twinml_model::host::Host;
use twinml_model::ir::Space;
use twinml_model::lanes::{LaneKernel, LaneMemory};
use twinml_model::passes::rk4::Stepped;

/// Fixed steps of one program.
#[derive(Debug)]
pub struct FixedLanes {
    method: Stepped,
    t0: f64,
    h: f64,
    step: Box<dyn LaneKernel>,
    cut: Box<dyn LaneKernel>,
    /// The run in each lane.
    numbers: Vec<u64>,
    occupancy: Occupancy,
}

impl FixedLanes {
    /// A driver for the kernels that [`twinml_model::passes::rk4::step`] (for `t0` and `h`) and
    /// [`twinml_model::passes::rk4::cut`] gave for `method`. `h > 0` in seconds.
    #[must_use]
    pub fn new(
        method: Stepped,
        (t0, h): (f64, f64),
        step: Box<dyn LaneKernel>,
        cut: Box<dyn LaneKernel>,
    ) -> Self {
        Self { method, t0, h, step, cut, numbers: Vec::new(), occupancy: Occupancy::default() }
    }

    /// How the lanes were used so far.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        self.occupancy
    }

    fn at(&self, n: u64) -> f64 {
        self.t0 + n as f64 * self.h
    }

    /// Whole steps on the way to `stop`, and whether another, cut one follows.
    #[must_use]
    pub fn steps(&self, stop: f64) -> (u64, bool) {
        let near = 1e-9 * self.h;
        let counts = |n: u64| match self.method {
            // a grid point within rounding of the stop time counts as it
            Stepped::Rk4 => {
                let t = self.at(n);
                t <= stop || (t - stop).abs() <= 4.0 * f64::EPSILON * t.abs() || t - near <= stop
            }
            // the step that comes near the stop time ends on it
            Stepped::Euler => self.at(n) + near < stop,
        };
        let mut n = ((stop - self.t0) / self.h).round().max(0.0) as u64 + 2;
        while n > 0 && !counts(n) {
            n -= 1;
        }
        let rest = stop - self.at(n);
        (n, if self.method == Stepped::Rk4 { rest > near } else { rest > 0.0 })
    }

    /// Runs every lane of `memory` from `t0` to `stop`. `State` then has the final states, `Time` the time reached.
    pub fn advance(&mut self, memory: &mut LaneMemory, stop: f64, host: &mut dyn Host) {
        let (n, cut) = self.steps(stop);
        memory.slot_mut(Space::TTime, 0).fill(0.0);
        self.step.run(memory, n, host);
        if cut {
            let t = self.at(n);
            memory.slot_mut(Space::Time, 0).fill(t);
            memory.slot_mut(Space::TTime, 0).fill(stop);
            self.cut.run(memory, 1, host);
        }
        memory.slot_mut(Space::Time, 0).fill(if n > 0 || cut { stop } else { self.t0 });
        let steps = n + u64::from(cut);
        self.occupancy.computed += steps * memory.width() as u64;
    }

    /// Runs all of `runs` from `t0` to `stop`, as many at a time as `memory` has lanes.
    pub fn run(&mut self, memory: &mut LaneMemory, stop: f64, runs: &mut dyn Runs, host: &mut dyn Host) {
        self.numbers.resize(memory.lanes(), 0);
        let (n, cut) = self.steps(stop);
        let steps = n + u64::from(cut);
        let rhs = steps * if self.method == Stepped::Rk4 { 4 } else { 1 };
        loop {
            let mut filled = 0;
            while filled < memory.lanes()
                && let Some(run) = runs.fill(memory, filled)
            {
                memory.clear_trap(filled);
                self.numbers[filled] = run;
                filled += 1;
            }
            if filled == 0 {
                return;
            }
            self.advance(memory, stop, host);
            self.occupancy.useful += steps * filled as u64;
            let states = memory.sizes().state as usize;
            for lane in 0..filled {
                let finite = (0..states).all(|k| memory.slot(Space::State, k)[lane].is_finite());
                let status = if finite && memory.trap(lane).is_none() {
                    LaneStatus::Complete
                } else {
                    LaneStatus::Failed
                };
                let end = LaneEnd { status, t: stop, steps, rejected: 0, rhs };
                runs.done(self.numbers[lane], memory, lane, &end);
            }
        }
    }
}
