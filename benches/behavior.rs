//! What behaviour costs: a million ticks on one core, and an array of ten thousand twins with a machine each beside
//! one alone, in compile time and in time for each event.
//!
//! `cargo bench -p twinc --bench behavior` prints the least of several rounds; all cases take their turns in each
//! round, so that the ratios hold on a machine with other work.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::time::Instant;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::run::{self, Ended, Flow, MachineKind};

/// Rounds.
const ROUNDS: usize = 5;

struct Case {
    name: &'static str,
    text: String,
    /// Activations of handlers in a run, and instances.
    events: f64,
    instances: f64,
    compile: f64,
    run: f64,
}

fn ticks(name: &'static str, equations: &str) -> Case {
    let text = format!(
        "twin T {{ states {{ n: Int = 0; x: Length = 0 m }} {equations}
           behavior {{ every 1 us {{ n = n + 1 }} }} }}
         scenario s for T {{ duration: 999999.5 us; record n every 1 s }}"
    );
    Case { name, text, events: 1e6, instances: 1.0, compile: f64::INFINITY, run: f64::INFINITY }
}

/// So many twins with a machine each, that together take 100,000 transitions.
fn machines(name: &'static str, instances: u32) -> Case {
    let text = format!(
        "twin Cell {{
           parameters {{ period: Time = 10 ms }}
           states {{ n: Int = 0 }}
           behavior {{
             machine m {{
               initial a
               state a {{ after period -> b {{ n = n + 1 }} }}
               state b {{ after period -> a }}
             }}
           }}
         }}
         twin T {{ twins {{ cells: Cell[{instances}] }} }}
         scenario s for T {{ duration: {} ms; record cells[0].n every 1000 s }}",
        1_000_000 / instances
    );
    let instances = f64::from(instances);
    Case { name, text, events: 1e5, instances, compile: f64::INFINITY, run: f64::INFINITY }
}

fn measure(c: &mut Case) {
    let begin = Instant::now();
    let mut session = Session::check("bench.twinml", &c.text, &MemoryLoader::new());
    let compiled = session.compile(Choice::default(), &mut NoData).unwrap();
    c.compile = c.compile.min(begin.elapsed().as_secs_f64());
    let mut machine = run::machine(&compiled.program, MachineKind::Jit(2));
    let begin = Instant::now();
    let report =
        run::simulate(&compiled.program, &mut *machine, &compiled.experiment, Vec::new(), &mut |_| {
            Flow::Continue
        });
    c.run = c.run.min(begin.elapsed().as_secs_f64());
    assert!(matches!(report.unwrap().ended, Ended::Complete));
}

fn main() {
    let mut cases = [
        ticks("a million ticks", "equations { der(x) = 0 m/s }"),
        machines("one machine", 1),
        machines("100 machines", 100),
        machines("10,000 machines", 10_000),
    ];
    for _ in 0..ROUNDS {
        cases.iter_mut().for_each(measure);
    }
    println!("{:18} {:>12} {:>10} {:>12}", "", "compile ms", "run ms", "ns an event");
    for c in &cases {
        let (compile, run, each) = (c.compile * 1e3, c.run * 1e3, c.run / c.events * 1e9);
        println!("{:18} {compile:12.3} {run:10.1} {each:12.0}", c.name);
    }
    let (one, many) = (&cases[1], &cases[3]);
    println!(
        "10,000 beside one: compile {:.4} for each instance, run {:.2} for each event",
        many.compile / many.instances / one.compile,
        many.run / one.run
    );
}
