//! Models that consist of events, beside the same ones in SimPy and SciPy (`benches/events/peers.py`).
//!
//! `cargo bench -p twinc --bench events` gives criterion's statistics of ours, then a table: CPU time of both, taken in
//! turns in one run, and the ratio. The peers run in the Python that `PEERS_PYTHON` names (default: `python3`); where
//! it has no SimPy and SciPy there is no table. Ours are runs of compiled programs with nothing recorded; the time to
//! compile stands beside them. Where both have an exact answer, errors are told, else both must agree.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use cpu_time::ThreadTime;
use criterion::{Criterion, criterion_group};
use std::process::Command;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::record::MemoryRecorder;
use twinml_engine::run::{self, Ended, Flow, MachineKind, Outlet};
use twinml_model::program::{Experiment, Program};

/// Rounds in which ours and the peer's take turns.
const ROUNDS: usize = 5;

struct Case {
    /// Its name, and that of the peer's function.
    name: &'static str,
    text: String,
    /// The member whose value at the end is compared.
    value: &'static str,
    /// Its exact value; without one, ours and the peer's need to agree only as far as draws do.
    exact: Option<f64>,
}

fn ticks() -> Case {
    let text = "twin T { states { n: Int = 0 } behavior { every 1 us { n = n + 1 } } }
        scenario s for T { duration: 999999.5 us; record n every 1 s }";
    Case { name: "ticks", text: text.into(), value: "n", exact: Some(1e6) }
}

/// So many twins with a machine each, that together take 100,000 transitions.
fn machines(name: &'static str, instances: u32) -> Case {
    let text = format!(
        "twin Cell {{
           states {{ n: Int = 0 }}
           behavior {{
             machine m {{
               initial a
               state a {{ after 10 ms -> b {{ n = n + 1 }} }}
               state b {{ after 10 ms -> a }}
             }}
           }}
         }}
         twin T {{ twins {{ cells: Cell[{instances}] }} outputs {{ total: Int = sum(cells.n) }} }}
         scenario s for T {{ duration: {} ms; record total every 1000 s }}",
        1_000_000 / instances + 5
    );
    Case { name, text, value: "total", exact: Some(5e4) }
}

fn queue() -> Case {
    let text = "twin T {
           states { served: Int = 0 }
           behavior {
             on start { while served >= 0 { wait draw(exponential(1.25 s)); emit customer() } }
             on customer() queued { wait draw(exponential(1 s)); served = served + 1 }
           }
         }
         scenario s for T { duration: 50000 s; seed: 1; record served every 50000 s }";
    Case { name: "queue", text: text.into(), value: "served", exact: None }
}

fn ball() -> Case {
    let (g, e) = (9.81_f64, 0.8_f64);
    let first = (2.0 / g).sqrt();
    // The last of the bounces before 4 s: 2 e^k v1/g lies between two of them.
    let mut last = first;
    let mut flight = 2.0 * first * e;
    while last + flight < 4.0 {
        last += flight;
        flight *= e;
    }
    let text = "twin T {
           states { h: Length = 1 m; v: Velocity = 0 m/s; last: Time = 0 s }
           equations { der(h) = v; der(v) = -9.81 m/s^2 }
           behavior { on falling(h > 0 m) { v = -0.8*v; h = 0 m; last = time } }
         }
         scenario s for T { duration: 4 s; solver: dopri5(rtol: 1e-8, atol: 1e-10); record last every 4 s }";
    Case { name: "ball", text: text.into(), value: "last", exact: Some(last) }
}

fn thermostat() -> Case {
    let (tau, low, high) = (600.0_f64, 292.0_f64, 294.0_f64);
    let (mut t, mut at, mut on, mut last) = (0.0, 290.0, true, 0.0);
    loop {
        let (end, to) = if on { (278.0 + tau * 0.05, high) } else { (278.0, low) };
        t += tau * f64::ln((end - at) / (end - to));
        if t >= 36000.0 {
            break;
        }
        (at, on, last) = (to, !on, t);
    }
    let text = "twin T {
           states { T: Temperature = 290 K; on: Bool = true; last: Time = 0 s }
           equations { der(T) = (278 K - T)/(600 s) + (if on then 0.05 K/s else 0 K/s) }
           behavior {
             on falling(T > 292 K) { on = true; last = time }
             on rising(T > 294 K) { on = false; last = time }
           }
         }
         scenario s for T { duration: 10 h; solver: dopri5(rtol: 1e-8, atol: 1e-10); record last every 10 h }";
    Case { name: "thermostat", text: text.into(), value: "last", exact: Some(last) }
}

fn cases() -> Vec<Case> {
    vec![ticks(), machines("machine", 1), machines("machines", 10_000), queue(), ball(), thermostat()]
}

fn compile(case: &Case) -> (Program, Experiment, f64) {
    let clock = ThreadTime::now();
    let mut session = Session::check("bench.twinml", &case.text, &MemoryLoader::new());
    let compiled = session.compile(Choice::default(), &mut NoData).unwrap();
    (compiled.program, compiled.experiment, clock.elapsed().as_secs_f64())
}

/// A run with nothing recorded.
fn solve(program: &Program, experiment: &Experiment) -> u64 {
    let mut machine = run::machine(program, MachineKind::Jit(2));
    let report = run::simulate(program, &mut *machine, experiment, Vec::new(), &mut |_| Flow::Continue);
    let report = report.unwrap();
    assert!(matches!(report.ended, Ended::Complete));
    report.events
}

/// The value at the end.
fn value(program: &Program, experiment: &Experiment, name: &str) -> f64 {
    let mut machine = run::machine(program, MachineKind::Jit(2));
    let plan = run::plans(program, experiment, false).unwrap().remove(0);
    let at = plan.columns().specs().iter().position(|c| c.name == name).unwrap();
    let (recorder, rows) = MemoryRecorder::new(plan.columns().clone());
    let outlets = vec![Outlet { plan, recorder: Box::new(recorder) }];
    run::simulate(program, &mut *machine, experiment, outlets, &mut |_| Flow::Continue).unwrap();
    let rows = rows.rows();
    rows.last().unwrap()[at]
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("events");
    group.sample_size(10);
    for case in cases() {
        let (program, experiment, _) = compile(&case);
        group.bench_function(case.name, |b| b.iter(|| solve(&program, &experiment)));
    }
    group.finish();
}

/// The peer's seconds, events and value.
fn ask(name: &str) -> Option<(f64, f64, f64)> {
    let python = std::env::var_os("PEERS_PYTHON").unwrap_or_else(|| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/events/peers.py");
    let output = Command::new(python).args([script, name, "2"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.split_whitespace().map(|w| w.parse::<f64>());
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn table() {
    println!("| model | events | compile ms | ours ms | peer ms | ratio | our error | peer's error |");
    println!("|---|---|---|---|---|---|---|---|");
    for case in cases() {
        let (program, experiment, _) = compile(&case);
        let mine = value(&program, &experiment, case.value);
        let (mut compiling, mut ours, mut theirs) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        let mut said = (0.0, 0.0);
        for _ in 0..ROUNDS {
            compiling = compiling.min(compile(&case).2);
            let clock = ThreadTime::now();
            solve(&program, &experiment);
            ours = ours.min(clock.elapsed().as_secs_f64());
            let Some((seconds, events, value)) = ask(case.name) else {
                println!("no SimPy and SciPy in PEERS_PYTHON: no table beside them");
                return;
            };
            theirs = theirs.min(seconds);
            said = (events, value);
        }
        let error = |x: f64| match case.exact {
            Some(exact) => format!("{:.0e}", ((x - exact) / exact).abs()),
            None => format!("{x}"),
        };
        println!(
            "| {} | {} | {:.2} | {:.2} | {:.1} | {:.1} | {} | {} |",
            case.name,
            said.0,
            compiling * 1e3,
            ours * 1e3,
            theirs * 1e3,
            theirs / ours,
            error(mine),
            error(said.1)
        );
    }
}

criterion_group!(benches, bench);

fn main() {
    if std::env::var_os("ONLY_TABLE").is_none() {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
    // `cargo test --benches` and `--list` only check that the bench runs.
    if std::env::args().any(|a| a == "--bench") {
        table();
    }
}
