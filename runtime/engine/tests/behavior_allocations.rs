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

/// Of each event, where one comes every millisecond for each of the instances. Both runs are so long that `auto` has gone on
/// with the method that it stays with.
fn each(text: &str, instances: u32) -> f64 {
    let text = text.replace("[N]", &format!("[{instances}]"));
    allocations(&text, 100);
    let (few, many) = (allocations(&text, 1000), allocations(&text, 2000));
    (many as f64 - few as f64) / f64::from(1000 * instances)
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

/// A machine in a machine's state, guards, entry and exit, a transition set off by the inner one.
const NESTED: &str = "
twin Cell {
  states { n: Int = 0; x: Real = 0; on_time: Bool = false }
  behavior { machine m { initial a
    state a {
      entry { x = f(2.0) }
      exit { n = n + 1 }
      initial low
      state low { after 0.4 ms -> high when n >= 0 }
      state high { on rising(x > 3) -> low }
      after 1 ms -> b { on_time = true }
    }
    state b { after 1 ms -> a }
  }
  private func f(y: Real): Real { return y + 1 }
  }
}
twin T { twins { cells: Cell[N] } }";

/// A handler that waits, again and again.
const WAITS: &str = "
twin Cell { states { n: Int = 0 } behavior { on start { while n >= 0 { wait 1 ms; n = n + 1 } } } }
twin T { twins { cells: Cell[N] } }";

/// Crossings that a handler answers, beside states that are integrated.
const CROSSINGS: &str = "
twin Cell { states { n: Int = 0; x: Real = 0 } equations { der(x) = 1000 [1/s] }
  behavior { on rising(x > 1) { x = 0; n = n + 1 } } }
twin T { twins { cells: Cell[N] } }";

#[test]
fn events_allocate_nothing() {
    for text in [TICKS, MACHINES, NESTED, WAITS, CROSSINGS] {
        let each = [1, 100].map(|n| each(text, n));
        assert!(each == [0.0; 2], "{text}: {each:?}");
    }
}
