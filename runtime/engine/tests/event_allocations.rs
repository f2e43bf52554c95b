//! Events allocate nothing. A binary of its own with one test: the counters belong to the whole process.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::case;
use twinml_engine::run::{self, Ended, Flow};
use twinml_jit::{Compiled, OptLevel};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Without states time goes from event to event; ten times the events need no more memory.
#[test]
fn events_allocate_nothing() {
    let allocations = |cells: u32| {
        let text = format!(
            "flat Ticks
             var y : unknown declared outputs
             eq : y = floor({cells}.0 * time + 0.5)"
        );
        let ticks = case(&text, "auto", 1.0);
        let mut machine = Compiled::compile(ticks.program.clone(), OptLevel::O0).unwrap();
        let region = Region::new(ALLOCATOR);
        let mut watch = |_| Flow::Continue;
        let report =
            run::simulate(&ticks.program, &mut machine, &ticks.experiment, Vec::new(), &mut watch).unwrap();
        assert!(matches!(report.ended, Ended::Complete), "{:?}", report.ended);
        assert_eq!(report.events, u64::from(cells));
        let change = region.change();
        change.allocations + change.reallocations
    };
    // The first run also fills what the process keeps.
    allocations(10);
    let (few, many) = (allocations(100), allocations(1000));
    assert_eq!(few, many, "allocations of 100 and of 1,000 events");
}
