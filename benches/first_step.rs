//! From source text to the end of the first step: parse, check, compile, initialise, step.
//!
//! `cargo bench -p twinc --bench first_step` prints, for N distinct equations of about ten operations each (a third of
//! them with an elementary function) and for arrays of N twins, the time to checked, to compiled (a program with its
//! kernels ready to run) and to the first step, and the part of setting up that grows with N as nanoseconds a state.
//! CPU time of the thread, the least of several rounds in one process, with `twinc`'s allocator; starting a process is
//! not in it. With `-- first` it prints the time to the first step of the first model of a process, and of a second one, of
//! 100 equations, and ends: what it is when caches and memory are cold takes many such processes to tell.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use cpu_time::ThreadTime;
use std::fmt::Write;
use std::sync::Arc;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::run::{self, Flow, MachineKind};
use twinml_model::passes::{self, Level, later};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `n` equations, no two alike.
fn distinct(n: u64, solver: &str) -> String {
    let mut random = 1u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut text = String::from("twin Big {\n  units: off\n  parameters { k: Real = 0.3 }\n  states {\n");
    for i in 0..n {
        writeln!(text, "    x{i}: Real = 0.{:03}", next(1000)).unwrap();
    }
    text.push_str("  }\n  equations {\n");
    for i in 0..n {
        let (a, b, c) = (next(n), next(n), next(n));
        let (f, g, h, j) = (next(900) + 100, next(900) + 100, next(900) + 100, next(900) + 100);
        let function = ["sin", "cos", "tanh"][(i % 3) as usize];
        writeln!(
            text,
            "    der(x{i}) = -0.{f}*x{i} + 0.0{g}*x{a}*x{b} + 0.{h}*{function}(0.{j}*x{c}) - k*x{a}"
        )
        .unwrap();
    }
    write!(text, "  }}\n}}\nscenario s for Big {{ duration: 1 s; solver: {solver} }}\n").unwrap();
    text
}

fn chain(n: u64) -> String {
    format!(
        "twin Cell {{\n  inputs {{ u: Real = 0 }}\n  states {{ x: Real = 0 }}\n  outputs {{ y: Real = x }}\n  equations \
         {{ der(x) = (u - x)/1 s }}\n}}\ntwin Chain {{\n  twins {{ c: Cell[{n}] }}\n  equations {{ for i in 1..{n} {{ \
         c[i].u = c[i-1].y }} }}\n}}\nscenario s for Chain {{ duration: 1 ms; solver: rk4(step: 1 ms) }}\n"
    )
}

fn star(n: u64) -> String {
    format!(
        "twin Cell {{ units: off\n  inputs {{ f: Real = 0 }}\n  states {{ x: Real = 1 }}\n  equations {{ der(x) = f - x \
         }}\n}}\ntwin Star {{ units: off\n  twins {{ c: Cell[{n}] }}\n  variables {{ m: Real }}\n  equations {{ m = \
         sum(c.x)/{n}\n    for i in 0..{n} {{ c[i].f = m }} }}\n}}\nscenario s for Star {{ duration: 1 ms; solver: \
         rk4(step: 1 ms) }}\n"
    )
}

/// Milliseconds to checked, to compiled, and where `step` is asked for to the first step.
fn once(text: &str, step: bool) -> [f64; 3] {
    let begin = ThreadTime::now();
    let ms = || begin.elapsed().as_secs_f64() * 1e3;
    let mut session = Session::check("bench.twinml", text, &MemoryLoader::default());
    let checked = ms();
    let choice = Choice { scenario: Some("s"), ..Choice::default() };
    let compiled = session.compile(choice, &mut NoData).unwrap();
    let (mut program, mut experiment) = (compiled.program, compiled.experiment);
    let derivatives = later::begin(&mut program, Level::O2);
    for action in &mut experiment.actions {
        action.kernel = passes::prepare_kernel(&program, &action.kernel, Level::O2);
    }
    let program = Arc::new(program);
    let mut machine = run::lazy_machine(&program, derivatives, MachineKind::Jit(2));
    let ready = ms();
    if !step {
        return [checked, ready, f64::INFINITY];
    }
    let mut stop = |p: run::Progress| if p.steps > 0 { Flow::Stop } else { Flow::Continue };
    let report = run::simulate(&program, &mut *machine, &experiment, Vec::new(), &mut stop).unwrap();
    assert_eq!(report.stats.steps, 1, "a step was taken, and only one");
    [checked, ready, ms()]
}

/// The least of several rounds. The step is taken in rounds of its own: the memory of a large run drives the compiler
/// out of the caches.
fn least(text: &str, rounds: u32) -> [f64; 3] {
    let mut best = [f64::INFINITY; 3];
    for round in 0..2 * rounds {
        let took = once(text, round >= rounds);
        let known = if round < rounds { 0..2 } else { 2..3 };
        for k in known {
            best[k] = best[k].min(took[k]);
        }
    }
    best
}

fn main() {
    // Only the first model of a process: to be started many times.
    if std::env::args().any(|a| a == "first") {
        for solver in ["rk4(step: 1 ms)", "auto"] {
            println!("{:6.2} {solver}", once(&distinct(100, solver), true)[2]);
        }
        return;
    }
    println!("{:34} {:>10} {:>10} {:>10} {:>10}", "ms", "first", "checked", "compiled", "one step");
    for (n, rounds) in [(100, 40), (1_000, 10), (10_000, 3)] {
        for solver in ["rk4(step: 1 ms)", "auto"] {
            let text = distinct(n, solver);
            // The first time in a process caches are cold.
            let first = once(&text, true)[2];
            let [checked, compiled, step] = least(&text, rounds);
            println!(
                "{:34} {first:10.2} {checked:10.2} {compiled:10.2} {step:10.2}",
                format!("{n} distinct equations, {solver}")
            );
        }
    }
    for (name, text) in [("chain", chain as fn(u64) -> String), ("star", star)] {
        for n in [10, 100, 1_000, 10_000, 100_000] {
            let [checked, compiled, step] = least(&text(n), 40);
            let set_up = (step - compiled) * 1e6 / n as f64;
            println!(
                "{:34} {:>10} {checked:10.3} {compiled:10.3} {step:10.3}   {set_up:6.0} ns a state from compiled to stepped",
                format!("{name} of {n}"),
                ""
            );
        }
    }
}
