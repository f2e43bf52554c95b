//! Time from a program to the end of its first step's right-hand side, for models of distinct equations of ten
//! operations each, one in ten with an elementary function.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Instant;
use support::Code;
use twinml_jit::{Compiled, OptLevel, Tier};
use twinml_model::defaults::Fills;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::ir::{MathFn, Space};
use twinml_model::program::{Program, Sizes};

/// `n` equations, each unlike the others.
fn model(n: i64) -> Program {
    let mut k = Code::new("rhs");
    let mut random = 12_345u64;
    let mut next = |below: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((random >> 33) as i64) % below
    };
    for i in 0..n {
        let mut v = k.load(Space::State, i);
        for op in 0..10 {
            let w = match next(4) {
                0 => k.load(Space::Param, next(n)),
                1 => k.load(Space::State, next(n)),
                2 if i > 0 => k.load(Space::Var, next(i)),
                _ => k.c(1.0 + next(1000) as f64 * 1e-3),
            };
            v = match next(5) {
                0 => k.add(v, w),
                1 => k.sub(v, w),
                2 => k.mul(v, w),
                3 => k.fma(v, w, w),
                _ if op == 9 && i % 10 == 0 => {
                    k.math([MathFn::Sin, MathFn::Exp, MathFn::Tanh][next(3) as usize], v)
                }
                _ => k.div(v, w),
            };
        }
        k.store(Space::Var, i, v);
        k.store(Space::Der, i, v);
    }
    let mut program = Program { name: format!("{n} equations"), rhs: k.kernel, ..Program::default() };
    let n = n as u32;
    program.sizes = Sizes { state: n, param: n, var: n, ..Sizes::default() };
    program.defaults.state = Fills::dense(&vec![0.5; n as usize]);
    program.defaults.param = Fills::dense(&vec![1.5; n as usize]);
    program
}

fn main() {
    println!("{:>10} {:>5} {:>12} {:>10} {:>12}", "equations", "level", "compile ms", "us/eq", "ns/run/eq");
    for n in [10, 100, 1_000, 10_000, 100_000] {
        let program = Arc::new(model(n));
        let mut memory = Memory::new(&program);
        let start = Instant::now();
        twinml_model::interp::run_once(&program, &program.rhs, &mut memory, &mut NoHost).unwrap();
        let once = start.elapsed().as_secs_f64();
        println!("{n:10} {:>5} {:12.2} {:10.2}", "once", once * 1e3, once * 1e6 / n as f64);
        for (level, tier) in
            [(OptLevel::O0, Tier::Quick), (OptLevel::O1, Tier::Full), (OptLevel::O2, Tier::Full)]
        {
            let (mut best, mut run) = (f64::MAX, f64::MAX);
            for _ in 0..(if n > 10_000 { 1 } else { 5 }) {
                let mut memory = Memory::new(&program);
                let start = Instant::now();
                let compiled = Compiled::compile(program.clone(), level).unwrap();
                compiled.prepare(KernelId::Rhs, tier).unwrap();
                compiled.run(KernelId::Rhs, &mut memory, &mut NoHost).unwrap();
                best = best.min(start.elapsed().as_secs_f64());
                for _ in 0..20 {
                    let start = Instant::now();
                    compiled.run(KernelId::Rhs, &mut memory, &mut NoHost).unwrap();
                    run = run.min(start.elapsed().as_secs_f64());
                }
            }
            println!(
                "{n:10} {:>5} {:12.2} {:10.2} {:12.2}",
                format!("{level:?}"),
                best * 1e3,
                best * 1e6 / n as f64,
                run * 1e9 / n as f64
            );
        }
    }
}
