//! Fused Runge–Kutta steps of three models on lanes: nanoseconds a step and lane (CPU time, the least of many), vector
//! operations, and the share of what the processor's rate of multiply-adds allows for these.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "../tests/support/mod.rs"]
mod support;

use cpu_time::ThreadTime;
use std::sync::Arc;
use twinml_jit::lanes::{GROUPS, Isa, LaneCode};
use twinml_model::host::{Memory, NoHost};
use twinml_model::ir::{Op, Space};
use twinml_model::lanes::{LaneKernel, LaneMemory};
use twinml_model::passes::dead::Traps;
use twinml_model::passes::{self, Level, rk4};
use twinml_model::program::{Program, Sizes};

const WIDTH: usize = 96;
const STEPS: u64 = 4000;

fn multiply_add() -> (Program, twinml_model::ir::Kernel) {
    let program = Program { sizes: Sizes { state: 3, ..Sizes::default() }, ..Program::default() };
    let mut k = support::Code::new("fma");
    let c = k.c(-0.5);
    let mut x: Vec<_> = (0..3).map(|s| k.load(Space::State, s)).collect();
    for _ in 0..64 {
        for x in &mut x {
            *x = k.f(Op::Fma(*x, *x, c));
        }
    }
    for (s, &v) in x.iter().enumerate() {
        k.store(Space::State, s as i64, v);
    }
    (program, k.kernel)
}

fn time(code: &LaneCode, memory: &mut LaneMemory, steps: u64) -> f64 {
    let begin = ThreadTime::now();
    code.run(memory, steps, &mut NoHost);
    begin.elapsed().as_secs_f64() * 1e9 / steps as f64 / WIDTH as f64
}

/// A kernel of `n` operations on 64 states, each on two recent values.
fn long(n: usize) -> (Program, twinml_model::ir::Kernel) {
    let program = Program { sizes: Sizes { state: 64, ..Sizes::default() }, ..Program::default() };
    let mut k = support::Code::new("long");
    let mut x: Vec<_> = (0..64).map(|s| k.load(Space::State, s)).collect();
    let mut random = 1u64;
    for i in 0..n {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (a, b) = (x[(random >> 33) as usize % 64], x[(random >> 43) as usize % 64]);
        x[i % 64] = match random >> 60 {
            0..4 => k.add(a, b),
            4..8 => k.mul(a, b),
            8..12 => k.fma(a, b, x[i % 64]),
            _ => {
                let c = k.c((random >> 20 & 0xffff) as f64);
                k.mul(a, c)
            }
        };
    }
    for (s, &v) in x.iter().enumerate() {
        k.store(Space::State, s as i64, v);
    }
    (program, k.kernel)
}

/// Nanoseconds an operation that making code takes.
fn emission(isa: Isa) {
    let only: Option<usize> = std::env::var("OPERATIONS").ok().and_then(|n| n.parse().ok());
    for n in [1_000, 10_000, 100_000, 1_000_000] {
        if only.is_some_and(|only| only != n) {
            continue;
        }
        let (program, kernel) = long(n);
        let sample = LaneMemory::zeroed(program.sizes, 32);
        let mut best = [f64::MAX; 2];
        for _ in 0..(1_000_000 / n).clamp(3, 30) {
            let begin = ThreadTime::now();
            let code = LaneCode::new(&program, &kernel, isa, 32, 1);
            best[0] = best[0].min(begin.elapsed().as_secs_f64() * 1e9 / n as f64);
            let begin = ThreadTime::now();
            let tuned = LaneCode::tuned(&program, &kernel, isa, &sample);
            best[1] = best[1].min(begin.elapsed().as_secs_f64() * 1e9 / n as f64);
            assert!(code.is_ok() && tuned.is_ok(), "{n} operations");
        }
        println!(
            "{} {n} operations: {:.0} ns an operation, {:.0} with timings",
            isa.name(),
            best[0],
            best[1]
        );
    }
}

fn main() {
    if std::env::var("ASM").is_err() {
        emission(Isa::best());
    }
    if std::env::var("OPERATIONS").is_ok() {
        return;
    }
    for isa in [Isa::Avx512, Isa::Avx2] {
        if !isa.available() {
            continue;
        }
        let (program, kernel) = multiply_add();
        let fma = LaneCode::new(&program, &kernel, isa, WIDTH, 4).unwrap();
        let mut zeros = LaneMemory::zeroed(program.sizes, WIDTH);
        let mut models = Vec::new();
        for make in [support::lorenz, support::pendulum, support::quad6] {
            let mut program = make();
            passes::contract::contract(&mut program);
            let program = Arc::new(program);
            let kernel = rk4::step(&program, rk4::Stepped::Rk4, 0.0, 1e-3).unwrap();
            let kernel = passes::simplified(&kernel, Level::O2, &Traps::of(&program));
            let start = LaneMemory::of(&Memory::new(&program), WIDTH);
            let codes: Vec<LaneCode> =
                (1..=GROUPS).map(|g| LaneCode::new(&program, &kernel, isa, WIDTH, g).unwrap()).collect();
            if std::env::var("ASM").is_ok_and(|m| m == program.name) && isa == Isa::Avx512 {
                println!("{}", twinml_model::text::kernel_text(&kernel));
                let g: usize = std::env::var("GROUPS").map_or(0, |g| g.parse().unwrap());
                println!("{}", codes[g].assembly().unwrap());
            }
            for code in &codes {
                let [computing, copies, loads, stores, broadcasts] = support::instructions(code);
                println!(
                    "{} {} x{}: {computing} computing, {copies} copies, {loads} loads, {stores} stores, {broadcasts} broadcasts",
                    isa.name(),
                    program.name,
                    code.groups()
                );
            }
            let chosen = LaneCode::tuned(&program, &kernel, isa, &start).unwrap().groups();
            models.push((program, codes, start, vec![f64::MAX; GROUPS], chosen));
        }
        let mut rate = 0f64;
        for _ in 0..12 {
            let ns = time(&fma, &mut zeros, 20_000);
            rate = rate.max(192.0 / ns);
            for (_, codes, start, best, _) in &mut models {
                for (code, best) in codes.iter().zip(best) {
                    *best = best.min(time(code, &mut start.clone(), STEPS));
                }
            }
        }
        println!("{} {rate:.1}e9 lanes of multiply-adds a second", isa.name());
        for (program, codes, _, best, chosen) in models {
            let operations = codes[0].operations() as f64;
            let least = best.iter().copied().fold(f64::MAX, f64::min);
            println!(
                "{:10} {operations} operations, {best:.3?} ns for 1 to 4 groups (chosen {chosen}), {:.0} % of its operations' limit",
                program.name,
                operations / rate / least * 100.0
            );
        }
    }
}
