//! Runs side by side, from TwinML text, beside C: nanoseconds per run and step of the classic Runge–Kutta method, and
//! microseconds per run of `tsit5`.
//!
//! `cargo bench -p twinc --bench lanes` compiles `../shared/peers/rk4_c.c` (or `$TWINML_SHARED/peers/rk4_c.c`) with clang
//! (fast-math, the vector mathematics library, 512 bits) and gcc where they are installed, and runs them in turns with ours on
//! one thread; the least CPU time of each counts. In the same rounds it measures how many fused multiply-adds a second
//! the processor does, which is what the limits are scaled by.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

#[path = "shared/open.rs"]
mod open;
#[path = "shared/smooth.rs"]
mod smooth;

use cpu_time::ThreadTime;
use open::open;
use smooth::{LORENZ, PENDULUM, QUAD6};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use twinml_engine::lanes::{Control, LANES, LaneMethod, LaneSolver};
use twinml_jit::lanes::{Isa, LaneCode};
use twinml_model::host::{Memory, NoHost};
use twinml_model::ids::{OriginId, Value};
use twinml_model::ir::{Affine, Kernel, Op, Place, Space, Stmt, Ty};
use twinml_model::lanes::{LaneKernel, LaneMemory};
use twinml_model::passes::dead::Traps;
use twinml_model::passes::{self, Level, rk4};
use twinml_model::program::{Program, Sizes};
use twinml_solvers::lanes::{LaneEnd, LaneStatus, Runs};

/// Steps of the fixed-step comparison.
const STEPS: f64 = 4000.0;
const ROUNDS: usize = 6;

struct Model {
    name: &'static str,
    /// Nanoseconds that the hardware allows where the processor does 67e9 lanes of fused multiply-adds a second.
    limit: f64,
    program: Arc<Program>,
    start: Memory,
}

fn model(name: &'static str, text: &str, limit: f64) -> Model {
    let (program, start) = open(text);
    Model { name, limit, program, start }
}

/// So many runs whose second parameter differs by up to `spread`.
struct Ensemble<'a> {
    start: &'a Memory,
    next: u64,
    of: u64,
    spread: f64,
    steps: u64,
    rejected: u64,
}

impl Runs for Ensemble<'_> {
    fn fill(&mut self, memory: &mut LaneMemory, lane: usize) -> Option<u64> {
        if self.next == self.of {
            return None;
        }
        memory.set(lane, self.start);
        let share = self.next as f64 / self.of as f64;
        memory.slot_mut(Space::Param, 1)[lane] *= 1.0 + self.spread * share;
        self.next += 1;
        Some(self.next - 1)
    }

    fn done(&mut self, _: u64, _: &LaneMemory, _: usize, end: &LaneEnd) {
        assert_eq!(end.status, LaneStatus::Complete);
        self.steps += end.steps;
        self.rejected += end.rejected;
    }
}

fn ensemble(start: &Memory, of: u64, spread: f64) -> Ensemble<'_> {
    Ensemble { start, next: 0, of, spread, steps: 0, rejected: 0 }
}

/// A kernel of nothing but fused multiply-adds, twelve chains of them side by side.
fn multiply_add() -> (Arc<Program>, Kernel, f64) {
    const CHAINS: i64 = 3;
    const LENGTH: usize = 64;
    let sizes = Sizes { state: CHAINS as u32, ..Sizes::default() };
    let program = Program { sizes, ..Program::default() };
    let mut k = Kernel::new("fma");
    let op = |k: &mut Kernel, op| -> Value {
        let v = k.value(op, Ty::F64);
        k.body.push(Stmt::Eval(v));
        v
    };
    let place = |slot| Place { space: Space::State, at: Affine::constant(slot) };
    let c = op(&mut k, Op::ConstF((-0.5f64).to_bits()));
    let mut x: Vec<Value> = (0..CHAINS).map(|s| op(&mut k, Op::Load(place(s)))).collect();
    for _ in 0..LENGTH {
        for x in &mut x {
            *x = op(&mut k, Op::Fma(*x, *x, c));
        }
    }
    for (s, &value) in x.iter().enumerate() {
        k.body.push(Stmt::Store { place: place(s as i64), value, origin: OriginId(0) });
    }
    (Arc::new(program), k, CHAINS as f64 * LENGTH as f64)
}

/// Lanes of fused multiply-adds a second, in thousands of millions.
fn fma_rate(isa: Isa) -> f64 {
    if isa == Isa::Block {
        return f64::NAN;
    }
    let (program, kernel, operations) = multiply_add();
    let lanes = isa.lanes() * 4;
    let code = LaneCode::new(&program, &kernel, isa, lanes, 4).unwrap();
    let mut memory = LaneMemory::zeroed(program.sizes, lanes);
    let begin = ThreadTime::now();
    code.run(&mut memory, 20_000, &mut NoHost);
    operations * lanes as f64 * 20_000.0 / begin.elapsed().as_secs_f64() * 1e-9
}

/// The peers that can be compiled here.
fn peers(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let shared = std::env::var_os("TWINML_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let source = shared.join("peers/rk4_c.c");
    let fast = ["-ffast-math", "-fopenmp-simd", "-fveclib=libmvec", "-mprefer-vector-width=512"];
    let mut all = Vec::new();
    for (name, compilers, flags, libraries) in [
        ("clang", &["clang-16", "clang"][..], &fast[..], &["-lm", "-lmvec"][..]),
        ("gcc", &["gcc"], &["-ffast-math"], &["-lm"]),
    ] {
        for compiler in compilers {
            let out = folder.join(format!("twinml-lanes-{name}"));
            let mut command = Command::new(compiler);
            command
                .args(["-O3", "-march=native"])
                .args(flags)
                .arg(&source)
                .arg("-o")
                .arg(&out)
                .args(libraries);
            if command.output().is_ok_and(|o| o.status.success()) {
                all.push((name, out));
                break;
            }
        }
    }
    all
}

/// Nanoseconds by model, in the order of [`main`].
fn peer(path: &Path) -> [f64; 3] {
    let text = String::from_utf8(Command::new(path).output().unwrap().stdout).unwrap();
    ["lorenz soa", "pendulum soa", "quad6 soa"].map(|name| {
        let line = text.lines().find_map(|l| l.strip_prefix(name));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(f64::NAN)
    })
}

/// Vector operations of a step.
fn vector_operations(m: &Model, h: f64, isa: Isa) -> f64 {
    let kernel = rk4::step(&m.program, rk4::Stepped::Rk4, 0.0, h).unwrap();
    let kernel = passes::simplified(&kernel, Level::O2, &Traps::of(&m.program));
    LaneCode::new(&m.program, &kernel, isa, 32, 1).map_or(f64::NAN, |code| code.operations() as f64)
}

fn main() {
    let isa = Isa::best();
    let models =
        [model("lorenz", LORENZ, 0.50), model("pendulum", PENDULUM, 1.12), model("quad6", QUAD6, 3.56)];
    let folder = std::env::temp_dir();
    let peers = peers(&folder);
    let h = 1e-3;
    let levels: Vec<Isa> = Isa::ALL.into_iter().filter(|i| i.available()).collect();
    let mut solvers: Vec<Vec<LaneSolver>> = models
        .iter()
        .map(|m| {
            let make = |&isa: &Isa| LaneSolver::new(&m.program, &LaneMethod::Rk4(h), isa, &m.start, LANES);
            levels.iter().map(|isa| make(isa).unwrap()).collect()
        })
        .collect();
    let mut ours = vec![vec![f64::MAX; levels.len()]; 3];
    let mut theirs = vec![[f64::MAX; 3]; peers.len()];
    let mut rate = 0f64;
    for _ in 0..ROUNDS {
        rate = rate.max(fma_rate(isa));
        for (k, m) in models.iter().enumerate() {
            for (l, level) in levels.iter().enumerate() {
                let steps = if *level == Isa::Block { STEPS / 20.0 } else { STEPS };
                let runs = 4 * LANES as u64;
                let begin = ThreadTime::now();
                solvers[k][l].run(h * steps, &mut ensemble(&m.start, runs, 1e-3), &mut NoHost);
                let ns = begin.elapsed().as_secs_f64() * 1e9 / steps / runs as f64;
                ours[k][l] = ours[k][l].min(ns);
            }
        }
        for ((_, path), best) in peers.iter().zip(&mut theirs) {
            for (best, ns) in best.iter_mut().zip(peer(path)) {
                *best = best.min(ns);
            }
        }
    }
    println!("rk4, ns per run and step; {rate:.1}e9 lanes of fused multiply-adds a second");
    for (k, m) in models.iter().enumerate() {
        let best = ours[k].last().copied().unwrap();
        print!("{:10}", m.name);
        for (isa, ns) in levels.iter().zip(&ours[k]) {
            print!("  {} {ns:.3}", isa.name());
        }
        for ((name, _), ns) in peers.iter().zip(&theirs) {
            print!("  {name} {:.3} ({:.2}x)", ns[k], ns[k] / best);
        }
        let published = m.limit * 67.0 / rate;
        let ports = vector_operations(m, h, isa) / rate;
        println!(
            "  {:.0} % of {published:.2} (published limit, scaled), {:.0} % of {ports:.2} (this code's operations)",
            published / best * 100.0,
            ports / best * 100.0
        );
    }
    println!("\ntsit5, rtol 1e-6, atol 1e-9, 10 s: µs per run");
    for m in &models {
        let atol = vec![1e-9; m.program.sizes.state as usize];
        let control = Control::new(1e-6, atol);
        let method = LaneMethod::Tsit5(control);
        let mut solver = LaneSolver::new(&m.program, &method, isa, &m.start, 64).unwrap();
        let (mut best, mut steps, mut rejected) = (f64::MAX, 0, 0);
        for _ in 0..ROUNDS {
            let mut runs = ensemble(&m.start, 2048, 1e-3);
            let begin = ThreadTime::now();
            solver.run(10.0, &mut runs, &mut NoHost);
            best = best.min(begin.elapsed().as_secs_f64() * 1e6 / 2048.0);
            (steps, rejected) = (runs.steps, runs.rejected);
        }
        println!(
            "{:10} {best:.3} µs, {:.1} steps, {:.1} rejected, {:.2} ns a trial, {:.2} % of lanes busy",
            m.name,
            steps as f64 / 2048.0,
            rejected as f64 / 2048.0,
            best * 1e3 * 2048.0 / (steps + rejected) as f64,
            solver.occupancy().share() * 100.0
        );
    }
    for (_, path) in peers {
        // A leftover in the folder for temporary files harms nobody.
        let _ = std::fs::remove_file(path);
    }
}
