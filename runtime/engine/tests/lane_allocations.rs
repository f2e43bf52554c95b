//! Steps on lanes allocate nothing, and lanes are refilled at once. A binary of its own with one test: the counters
//! belong to the whole process.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;

use std::alloc::System;
use std::sync::Arc;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::case;
use twinml_engine::lanes::{Control, LaneMethod, LaneSolver};
use twinml_jit::lanes::Isa;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;
use twinml_model::program::Program;
use twinml_solvers::lanes::{LaneEnd, LaneStatus, Runs};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// An oscillator of any frequency; of its argument beyond the usual range the sine takes the slow path.
const OSCILLATOR: &str = "flat Oscillator
 var f : parameter
   value @[0] = 1.0
 var x : state fixed
   value @[0] = 1.0
 var v : state fixed
   value @[0] = 0.0
 eq : der(x) = f * v
 eq : der(v) = -f * x + 1e-3 * sin(3e9 + x)";

/// Runs whose frequencies spread over `spread`, in no order.
struct Many<'a> {
    start: &'a Memory,
    next: u64,
    of: u64,
    spread: f64,
    steps: (u64, u64),
}

impl Runs for Many<'_> {
    fn fill(&mut self, memory: &mut LaneMemory, lane: usize) -> Option<u64> {
        if self.next == self.of {
            return None;
        }
        memory.set(lane, self.start);
        // the golden ratio scatters them evenly; each frequency as often as any other on a logarithmic scale
        let share = (self.next as f64 * 0.618_033_988_749_894_9).fract();
        memory.slot_mut(Space::Param, 0)[lane] = self.spread.powf(share);
        self.next += 1;
        Some(self.next - 1)
    }

    fn done(&mut self, _: u64, _: &LaneMemory, _: usize, end: &LaneEnd) {
        assert_eq!(end.status, LaneStatus::Complete);
        let n = end.steps + end.rejected;
        self.steps = (self.steps.0.min(n), self.steps.1.max(n));
    }
}

fn begin(text: &str) -> (Arc<Program>, Memory) {
    let program = case(text, "tsit5", 1.0).program;
    let mut start = Memory::new(&program);
    let machine = Interpreter::new(&program);
    machine.run(KernelId::Params, &mut start, &mut NoHost).unwrap();
    machine.run(KernelId::Initial, &mut start, &mut NoHost).unwrap();
    (program, start)
}

#[test]
fn lanes_allocate_nothing_and_are_never_idle() {
    let (program, start) = begin(OSCILLATOR);
    let control = Control::new(1e-4, vec![1e-6; 2]);
    for isa in Isa::ALL.into_iter().filter(|i| i.available()) {
        for method in [
            LaneMethod::Rk4(1e-2),
            LaneMethod::Euler(1e-2),
            LaneMethod::Tsit5(control.clone()),
            LaneMethod::Taylor(control.clone()),
            LaneMethod::Rosenbrock(control.clone()),
        ] {
            let mut solver = LaneSolver::new(&program, &method, isa, &start, 32).unwrap();
            let mut run = |of, stop| {
                let mut runs = Many { start: &start, next: 0, of, spread: 2.0, steps: (u64::MAX, 0) };
                let region = Region::new(ALLOCATOR);
                solver.run(stop, &mut runs, &mut NoHost);
                let change = region.change();
                change.allocations + change.reallocations
            };
            // the first run also fills what the thread keeps
            run(40, 0.1);
            // The counters belong to the process, whose other thread, the harness, may allocate once in between.
            let least = (0..3).map(|_| run(90, 1.0)).min();
            assert_eq!(least, Some(0), "{} {method:?}", isa.name());
        }
    }
    // time scales of 1 to 1,000
    let (program, start) = begin(&OSCILLATOR.replace(" + 1e-3 * sin(3e9 + x)", ""));
    for method in [
        LaneMethod::Tsit5(control.clone()),
        LaneMethod::Taylor(control.clone()),
        LaneMethod::Rosenbrock(control),
    ] {
        let mut solver = LaneSolver::new(&program, &method, Isa::best(), &start, 16).unwrap();
        let mut runs = Many { start: &start, next: 0, of: 8000, spread: 1000.0, steps: (u64::MAX, 0) };
        solver.run(5.0, &mut runs, &mut NoHost);
        let share = solver.occupancy().share();
        println!("{:.2} % of the lanes busy, runs of {:?} trials", share * 100.0, runs.steps);
        assert!(runs.steps.1 > 200 * runs.steps.0);
        assert!(share > 0.97, "{share}");
    }
}
