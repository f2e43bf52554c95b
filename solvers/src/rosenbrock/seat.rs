//! A Rosenbrock run whose steps come from lanes.

use super::Rosenbrock;
use crate::lanes::adaptive::Control;
use crate::lanes::rosenbrock::dense;
use crate::lanes::seat::{Place, Seat, SeatCode, Shape};
use crate::lanes::writer::{Slot, status};
use crate::system::System;
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;

/// Steps on lanes are those of the system's own code; a step whose pivots do not serve is done alone.
impl Seat for Rosenbrock {
    fn shape(&self) -> Shape {
        Shape::Rosenbrock(Control::of(&self.options, &self.atol))
    }

    fn put(
        &mut self,
        _: &mut dyn System,
        _: &SeatCode,
        memory: &mut LaneMemory,
        lane: usize,
        _: f64,
    ) -> Option<u64> {
        let (t, stop) = (self.clock.t, self.clock.stop);
        if !self.clock.has_room(&self.stats) {
            return None;
        }
        let mut place = Place::new(memory, lane);
        place.set(Space::Time, 0, t);
        place.set_all(Space::State, &self.x);
        let (past, rejected) = self.square.past();
        for (slot, value) in [
            (Slot::H, self.h),
            (Slot::Stop, stop),
            (Slot::LogOld, past),
            (Slot::Rejected, if rejected { 1.0 } else { 0.0 }),
            (Slot::Status, status::RUNNING),
            (Slot::Steps, self.stats.steps as f64),
            (Slot::Trials, self.stats.rejected as f64),
        ] {
            place.set(Space::Jac, slot as usize, value);
        }
        Some(1)
    }

    fn take(&mut self, _: &mut dyn System, code: &SeatCode, memory: &LaneMemory, lane: usize, _: u64) {
        let at = |slot: usize| memory.slot(Space::Jac, slot)[lane];
        let (steps, rejected) = (at(Slot::Steps as usize) as u64, at(Slot::Trials as usize) as u64);
        let more = rejected - self.stats.rejected;
        for _ in 0..steps - self.stats.steps + more {
            self.count(self.tableau.stages as u64);
        }
        (self.stats.steps, self.stats.rejected) = (steps, rejected);
        self.stats.error_test_failures += more;
        self.h = at(Slot::H as usize);
        self.square.accepted(at(Slot::LogOld as usize));
        self.f0_valid = false;
        for (i, x) in self.x.iter_mut().enumerate() {
            *x = memory.slot(Space::State, i)[lane];
        }
        let t = memory.slot(Space::Time, 0)[lane];
        if code.whole {
            self.h_done = at(dense::LENGTH as usize);
            // Steps of which nobody heard may lie between.
            (self.clock.t, self.clock.t_prev) = (t, at(dense::FROM as usize));
            let kept = std::iter::once(&mut self.x_prev).chain(self.k[..self.tableau.stages].iter_mut());
            for (k, v) in kept.flatten().enumerate() {
                *v = at(dense::STATES as usize + k);
            }
        } else {
            // Nobody asks for anything within the step.
            self.h_done = 0.0;
            (self.clock.t, self.clock.t_prev) = (t, t);
            self.x_prev.copy_from_slice(&self.x);
        }
    }
}
