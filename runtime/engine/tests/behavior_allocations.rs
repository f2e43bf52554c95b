//! What handlers allocate. A binary of its own with one test: the counters belong to the whole process.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::run::{self, Ended, Flow, MachineKind};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of a run of so many milliseconds.
fn allocations(text: &str, ms: u32) -> usize {
    let text = format!("{text}\nscenario s for T {{ duration: {ms} ms }}");
    let mut session = Session::check("test.twinml", &text, &MemoryLoader::new());
    let compiled = session.compile(Choice::default(), &mut NoData).unwrap();
    let mut machine = run::machine(&compiled.program, MachineKind::Jit(0));
    let region = Region::new(ALLOCATOR);
    let report =
        run::simulate(&compiled.program, &mut *machine, &compiled.experiment, Vec::new(), &mut |_| {
            Flow::Continue
        });
    assert!(matches!(report.unwrap().ended, Ended::Complete));
    let change = region.change();
    change.allocations + change.reallocations
}

/// Of each event, where one comes every millisecond for each of the instances.
fn each(text: &str, instances: u32) -> f64 {
    let text = text.replace("[N]", &format!("[{instances}]"));
    allocations(&text, 100);
    let (few, many) = (allocations(&text, 1000), allocations(&text, 2000));
    (many - few) as f64 / f64::from(1000 * instances)
}

const TICKS: &str = "
twin Cell { states { n: Int = 0 } behavior { every 1 ms { n = n + 1 } } }
twin T { twins { cells: Cell[N] } }";

const MACHINES: &str = "
twin Cell {
  states { n: Int = 0 }
  behavior { machine m { initial a
    state a { after 1 ms -> b { n = n + 1 } }
    state b { after 1 ms -> a }
  } }
}
twin T { twins { cells: Cell[N] } }";

#[test]
fn an_event_allocates_no_more_in_an_array() {
    let [tick, machine] = [TICKS, MACHINES].map(|t| [1, 100].map(|n| each(t, n)));
    // The frame and the registers of the handler, and what leads to it.
    assert!(tick[0] <= 4.0 && machine[0] <= 11.0, "{tick:?} {machine:?}");
    assert!(tick[1] <= tick[0] && machine[1] <= machine[0], "{tick:?} {machine:?}");
}
