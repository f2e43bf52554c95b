#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#[path = "../tests/support/mod.rs"]
mod support;
use cpu_time::ThreadTime;
use std::sync::Arc;
use twinml_jit::lanes::{Isa, LaneCode};
use twinml_model::host::{Memory, NoHost};
use twinml_model::lanes::{LaneKernel, LaneMemory};
use twinml_model::passes::rk4;
fn main() {
    for make in [support::lorenz, support::pendulum, support::quad6] {
        let program = Arc::new(make());
        let kernel = rk4::step(&program, rk4::Stepped::Rk4, 0.0, 1e-3).unwrap();
        let memory = LaneMemory::of(&Memory::new(&program), 96);
        for isa in [Isa::Avx2, Isa::Avx512] {
            for groups in 1..=4 {
                let t = std::time::Instant::now();
                let code = LaneCode::new(&program, &kernel, isa, 96, groups).unwrap();
                let dt = t.elapsed();
                let mut best = f64::MAX;
                for _ in 0..10 {
                    let mut m = memory.clone();
                    let t = ThreadTime::now();
                    code.run(&mut m, 2000, &mut NoHost);
                    best = best.min(t.elapsed().as_secs_f64() / 2000.0 / 96.0 * 1e9);
                }
                println!(
                    "{} {} {groups}: {best:.3} ns  (compile {dt:?}, {} nodes)",
                    program.name,
                    isa.name(),
                    code.operations()
                );
                if std::env::var("DUMP").is_ok() {
                    std::fs::write(
                        format!("/tmp/{}-{}-{groups}.bin", program.name, isa.name()),
                        code.bytes(),
                    )
                    .unwrap();
                }
            }
        }
    }
}
