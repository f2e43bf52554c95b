//! Steps of stochastic methods allocate nothing. A binary of its own with one test: the counters belong to the process.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::alloc::System;
use std::sync::Arc;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::run::{self, Ended, Flow};
use twinml_jit::{Compiled, OptLevel};
use twinml_model::passes::derive::complete;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn steps_allocate_nothing() {
    let text = "
twin Walk {
  units: off
  states { x: Real = 1; y: Real = 1 }
  variables { w: Real }
  equations { w = white_noise(); der(x) = -x + 0.1*x*w; der(y) = x - y + 0.2*y*w }
}
system twin All { units: off; twins { walks: Walk[20] } }
scenario run for All { duration: 1 s; solver: euler(step: 1 ms) }";
    let mut s = Session::check("test.twinml", text, &MemoryLoader::new());
    let made = s.compile(Choice::default(), &mut NoData).unwrap();
    let mut program = made.program;
    complete(&mut program);
    let program = Arc::new(program);
    let mut machine = Compiled::compile(program.clone(), OptLevel::O0).unwrap();
    for method in ["euler", "milstein"] {
        let mut allocations = |steps: f64| {
            let mut e = made.experiment.clone();
            e.solver.method = method.to_owned();
            e.solver.step = Some(1.0 / steps);
            let region = Region::new(ALLOCATOR);
            let mut watch = |_| Flow::Continue;
            let report = run::simulate(&program, &mut machine, &e, Vec::new(), &mut watch).unwrap();
            assert!(matches!(report.ended, Ended::Complete), "{:?}", report.ended);
            assert_eq!(report.stats.steps, steps as u64);
            let change = region.change();
            change.allocations + change.reallocations
        };
        // A kernel that has run for a while is compiled, which allocates, in whichever run that happens.
        let mut least = |steps| (0..3).map(|_| allocations(steps)).min().unwrap();
        let (few, many) = (least(100.0), least(10_000.0));
        assert_eq!(few, many, "{method}: allocations of 100 and of 10,000 steps");
    }
}
