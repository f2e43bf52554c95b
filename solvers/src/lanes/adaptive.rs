//! Adaptive methods on lanes: each lane has its own step size, and gets the next run as soon as its run is over.
//!
//! The step control of a lane is computed with the step, in the same kernel ([`super::tsit5`]), with the decisions and
//! bits of the method for a single run. Runs are started a few at a time beside the lanes, so that starting costs a run no more
//! than two evaluations.

pub use super::writer::Control;
use super::writer::{SLOTS, Slot, start, status};
use super::{LaneEnd, LaneStatus, Occupancy, Runs};
use super::{rosenbrock, taylor, tsit5};
use twinml_model::host::Host;
use twinml_model::ir::{Kernel, Space};
use twinml_model::lanes::{GRAIN, LaneKernel, LaneMemory};
use twinml_model::program::Program;

/// The program with room for what kernels and driver tell each other, and its two kernels.
#[derive(Clone, Debug)]
pub struct AdaptiveCode {
    /// As given, with a longer `Jac`.
    pub program: Program,
    /// How a run starts; none: without evaluations, by what is put into the slots of `Jac`.
    pub start: Option<Kernel>,
    /// A trial step.
    pub trial: Kernel,
    /// What they cost.
    pub work: Work,
    /// First step in seconds; none: chosen.
    h: Option<f64>,
    /// Slots of `Jac` with the states that are accepted and their time, where `State` and `Time` have what is to be judged.
    pub accepted: Option<(usize, usize)>,
}

/// Evaluations of the right-hand side, or expansions of it.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Of a start.
    pub start: u64,
    /// Of an accepted step.
    pub step: u64,
    /// Of a rejected trial.
    pub rejected: u64,
}

impl AdaptiveCode {
    /// `tsit5`. `None` where the right-hand side cannot be put into a step: see `twinml_model::passes::rk4::Steps`. The control's
    /// `atol` has one value for each state.
    #[must_use]
    pub fn tsit5(program: &Program, control: &Control) -> Option<Self> {
        let program = roomy(program, control, SLOTS)?;
        let (start, trial) = (start(&program, control, 5)?, tsit5::trial(&program, control)?);
        let work = Work { start: if control.h.is_some() { 1 } else { 2 }, step: 6, rejected: 6 };
        Some(Self { program, start: Some(start), trial, work, h: control.h, accepted: None })
    }

    /// `taylor`. `None` where the right-hand side has no recurrences: see `twinml_model::passes::taylor`. The control's
    /// `atol` has one value for each state.
    #[must_use]
    pub fn taylor(program: &Program, control: &Control) -> Option<Self> {
        let program = roomy(program, control, taylor::room(program.sizes.state)?)?;
        let trial = taylor::trial(&program, control)?;
        // A step that is refused is tried again from the expansion where it began, which is made again.
        let work = Work { start: 1, step: 1, rejected: 2 };
        let accepted = Some((taylor::BASE, taylor::BEFORE));
        Some(Self { program, start: None, trial, work, h: control.h, accepted })
    }

    /// `rosenbrock`: the method that [`crate::rosenbrock::Rosenbrock::new`] takes for these tolerances. `None` where the
    /// step cannot be written out: see [`crate::rosenbrock::fused::Code::new`].
    #[must_use]
    pub fn rosenbrock(program: &Program, control: &Control) -> Option<Self> {
        let tableau = crate::rosenbrock::tableau_for(control.rtol);
        let program = roomy(program, control, SLOTS)?;
        let trial = rosenbrock::trial(&program, tableau, control)?;
        let start = start(&program, control, tableau.order)?;
        let stages = tableau.stages as u64;
        let work = Work { start: if control.h.is_some() { 1 } else { 2 }, step: stages, rejected: stages };
        Some(Self { program, start: Some(start), trial, work, h: control.h, accepted: None })
    }
}

/// The program with room in `Jac`; `None` where there is nothing to integrate.
fn roomy(program: &Program, control: &Control, jac: u32) -> Option<Program> {
    let n = program.sizes.state as usize;
    if n == 0 || control.atol.len() != n {
        return None;
    }
    let mut program = program.clone();
    program.sizes.jac = program.sizes.jac.max(jac);
    Some(program)
}

/// What trial steps read: the other spaces need not follow a run into its lane.
const READ: [Space; 7] =
    [Space::Time, Space::State, Space::Param, Space::Input, Space::Disc, Space::Der, Space::Jac];

/// A method with steps of its own for each lane, for one program.
#[derive(Debug)]
pub struct AdaptiveLanes {
    start: Option<Box<dyn LaneKernel>>,
    h: Option<f64>,
    trial: Box<dyn LaneKernel>,
    work: Work,
    accepted: Option<(usize, usize)>,
    /// Where runs are started.
    nursery: LaneMemory,
    /// Runs that wait there.
    waiting: Vec<(usize, u64)>,
    /// The run in each lane.
    at_work: Vec<Option<u64>>,
    /// Lanes whose run is over.
    over: Vec<usize>,
    occupancy: Occupancy,
}

impl AdaptiveLanes {
    /// A driver: `start` was made ready for [`GRAIN`] lanes, `trial` for `lanes` lanes of [`AdaptiveCode::program`].
    #[must_use]
    pub fn new(
        code: &AdaptiveCode,
        lanes: usize,
        start: Option<Box<dyn LaneKernel>>,
        trial: Box<dyn LaneKernel>,
    ) -> Self {
        Self {
            start,
            h: code.h,
            trial,
            work: code.work,
            accepted: code.accepted,
            nursery: LaneMemory::zeroed(code.program.sizes, GRAIN),
            waiting: Vec::with_capacity(GRAIN),
            at_work: vec![None; lanes],
            over: Vec::with_capacity(lanes),
            occupancy: Occupancy::default(),
        }
    }

    /// How the lanes were used so far.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        self.occupancy
    }

    /// The next run that is ready to go.
    fn next(&mut self, stop: f64, runs: &mut dyn Runs, host: &mut dyn Host) -> Option<(usize, u64)> {
        if self.waiting.is_empty() {
            for lane in 0..GRAIN {
                let Some(run) = runs.fill(&mut self.nursery, lane) else { break };
                self.nursery.clear_trap(lane);
                self.waiting.push((lane, run));
            }
            if self.waiting.is_empty() {
                return None;
            }
            self.nursery.slot_mut(Space::Jac, Slot::Stop as usize).fill(stop);
            if let Some(start) = &self.start {
                start.run(&mut self.nursery, 1, host);
            }
            self.waiting.reverse();
        }
        self.waiting.pop()
    }

    /// Runs all of `runs`, each from the `Time` that it is filled in with, to `stop`.
    pub fn run(&mut self, memory: &mut LaneMemory, stop: f64, runs: &mut dyn Runs, host: &mut dyn Host) {
        let mut busy = 0;
        let mut more = true;
        for lane in 0..self.at_work.len() {
            self.at_work[lane] = None;
            more = more && self.refill(memory, lane, stop, runs, host);
            busy += u64::from(self.at_work[lane].is_some());
        }
        while busy > 0 {
            self.trial.run(memory, 1, host);
            self.occupancy.computed += memory.width() as u64;
            self.occupancy.useful += busy;
            self.over.clear();
            let states = &memory.slot(Space::Jac, Slot::Status as usize)[..self.at_work.len()];
            let trapped = memory.trapped();
            for (n, states) in states.chunks(GRAIN).enumerate() {
                // of those at work all bits are 0: a row of them is passed by at once
                if !trapped && states.iter().fold(0, |any, s| any | s.to_bits()) == 0 {
                    continue;
                }
                let over =
                    |&(lane, state): &(usize, f64)| state != status::RUNNING || memory.trap(lane).is_some();
                let lanes = states.iter().enumerate().map(|(k, &state)| (n * GRAIN + k, state));
                self.over.extend(lanes.filter(over).map(|l| l.0));
            }
            for k in 0..self.over.len() {
                let lane = self.over[k];
                let Some(run) = self.at_work[lane].take() else { continue };
                finish(memory, lane, run, (self.work, self.accepted), runs);
                more = more && self.refill(memory, lane, stop, runs, host);
                if self.at_work[lane].is_none() {
                    busy -= 1;
                }
            }
        }
    }

    /// Puts a run into a lane; runs that are over as they begin are handed back at once. False where there is none.
    fn refill(
        &mut self,
        memory: &mut LaneMemory,
        lane: usize,
        stop: f64,
        runs: &mut dyn Runs,
        host: &mut dyn Host,
    ) -> bool {
        if self.start.is_none() {
            while let Some(run) = runs.fill(memory, lane) {
                memory.clear_trap(lane);
                if taylor::begin(memory, lane, stop, self.h) {
                    self.at_work[lane] = Some(run);
                    return true;
                }
                finish(memory, lane, run, (self.work, self.accepted), runs);
            }
            return false;
        }
        while let Some((from, run)) = self.next(stop, runs, host) {
            let state = self.nursery.slot(Space::Jac, Slot::Status as usize)[from];
            if state == status::RUNNING && self.nursery.trap(from).is_none() {
                memory.copy_spaces(lane, &self.nursery, from, &READ);
                self.at_work[lane] = Some(run);
                return true;
            }
            finish(&mut self.nursery, from, run, (self.work, self.accepted), runs);
        }
        false
    }
}

fn finish(
    memory: &mut LaneMemory,
    lane: usize,
    run: u64,
    (work, accepted): (Work, Option<(usize, usize)>),
    runs: &mut dyn Runs,
) {
    if let Some((first, time)) = accepted {
        for k in 0..memory.sizes().state as usize {
            memory.slot_mut(Space::State, k)[lane] = memory.slot(Space::Jac, first + k)[lane];
        }
        memory.slot_mut(Space::Time, 0)[lane] = memory.slot(Space::Jac, time)[lane];
    }
    let slot = |s: Slot| memory.slot(Space::Jac, s as usize)[lane];
    let state = slot(Slot::Status);
    let status = if memory.trap(lane).is_some() || state == status::FAILED {
        LaneStatus::Failed
    } else if state == status::ALONE {
        LaneStatus::Alone
    } else if state == status::TOO_SMALL {
        LaneStatus::StepTooSmall
    } else if state == status::TOO_MANY {
        LaneStatus::TooManySteps
    } else {
        LaneStatus::Complete
    };
    let (steps, rejected) = (slot(Slot::Steps) as u64, slot(Slot::Trials) as u64);
    let rhs = work.start + work.step * steps + work.rejected * rejected;
    let t = memory.slot(Space::Time, 0)[lane];
    runs.done(run, memory, lane, &LaneEnd { status, t, steps, rejected, rhs });
}
