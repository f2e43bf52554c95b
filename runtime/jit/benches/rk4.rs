//! Fused RK4 steps of three models, beside the same steps in C, compiled with `cc -O3 -march=native` and run
//! in turns with ours. Prints nanoseconds per step (CPU time, the least of many runs of 40 000 steps) and the ratio. Without `cc` only ours are measured.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "../tests/support/mod.rs"]
mod support;

use cpu_time::ThreadTime;
use criterion::Criterion;
use std::process::Command;
use std::sync::Arc;
use twinml_jit::{Compiled, OptLevel, Tier};
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::passes::rk4;
use twinml_model::program::Program;

const STEPS: u32 = 10_000;

struct Ours {
    program: Arc<Program>,
    compiled: Compiled,
    kernel: KernelId,
}

impl Ours {
    fn new(program: Program) -> Self {
        let program = Arc::new(program);
        let mut compiled = Compiled::compile(program.clone(), OptLevel::O3).unwrap();
        let kernel = compiled.add(rk4::Steps::new(&program, 0.0, 1e-3).unwrap().many(STEPS));
        compiled.prepare(kernel, Tier::Full).unwrap();
        Self { program, compiled, kernel }
    }

    fn run(&self) -> f64 {
        let mut memory = Memory::new(&self.program);
        self.compiled.run(self.kernel, &mut memory, &mut NoHost).unwrap();
        memory.data()[1]
    }

    fn best(&self) -> f64 {
        let mut best = f64::MAX;
        for _ in 0..48 {
            let start = ThreadTime::now();
            for _ in 0..4 {
                std::hint::black_box(self.run());
            }
            best = best.min(start.elapsed().as_secs_f64() / 4.0 / f64::from(STEPS) * 1e9);
        }
        best
    }
}

/// The C program, if there is a compiler.
fn peer(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rk4.c");
    let out = folder.join("twinml-rk4-peer");
    let status =
        Command::new("cc").args(["-O3", "-march=native", "-o"]).arg(&out).arg(source).arg("-lm").status();
    status.is_ok_and(|s| s.success()).then_some(out)
}

fn main() {
    let models = [Ours::new(support::lorenz()), Ours::new(support::pendulum()), Ours::new(support::quad6())];
    let folder = std::env::temp_dir();
    if let Some(peer) = peer(&folder) {
        let (mut c, mut ours) = ([f64::MAX; 3], [f64::MAX; 3]);
        for _ in 0..8 {
            let out = Command::new(&peer).output().unwrap();
            for (k, line) in String::from_utf8(out.stdout).unwrap().lines().enumerate() {
                let ns: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
                c[k] = c[k].min(ns);
            }
            for (k, model) in models.iter().enumerate() {
                ours[k] = ours[k].min(model.best());
            }
        }
        println!("{:10} {:>9} {:>9} {:>7}", "ns/step", "C", "TwinML", "ratio");
        for (k, model) in models.iter().enumerate() {
            println!("{:10} {:9.2} {:9.2} {:7.2}", model.program.name, c[k], ours[k], ours[k] / c[k]);
        }
        // A leftover in the folder for temporary files harms nobody.
        let _ = std::fs::remove_file(peer);
    } else {
        println!("no `cc` here: the C peer is skipped");
    }
    let mut criterion = Criterion::default().configure_from_args();
    for model in &models {
        let name = format!("rk4/{}/{STEPS} steps", model.program.name);
        criterion.bench_function(&name, |b| b.iter(|| model.run()));
    }
    criterion.final_summary();
}
