//! Ensembles of runs with steps of their own, from TwinML text, beside heyoka, diffrax and numbalsoda.
//!
//! `cargo bench -p twinc --bench ensembles`: 4,096 runs of each model to 10 s, with parameters and starts scattered. The
//! peers (`benches/ensembles/peers.py`) run in the Python that `PEERS_PYTHON` names (default: `python3`), each timing in turn
//! with one of ours; what is not installed is left out with a notice. CPU time of one thread, the least of the rounds.
//!
//! `taylor` is compared with heyoka at equal errors: both over tolerances, the error being the median over the runs of
//! the largest error of a final state (against a solution near rounding), times interpolated between the
//! tolerances, and of heyoka's batch sizes the best one at each error. `tsit5` is compared at rtol 1e-6, atol 1e-9.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

#[path = "ensembles/models.rs"]
mod models;
#[path = "shared/open.rs"]
mod open;
#[path = "shared/smooth.rs"]
mod smooth;

use cpu_time::ThreadTime;
use models::Model;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use twinml_engine::lanes::{Control, LANES, LaneMethod, LaneSolver};
use twinml_jit::lanes::{Isa, LaneCode};
use twinml_model::host::NoHost;
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;
use twinml_model::passes::dead::Traps;
use twinml_model::passes::{self, Level};
use twinml_solvers::lanes::adaptive::AdaptiveCode;
use twinml_solvers::lanes::{LaneEnd, LaneStatus, Runs};

const RUNS: usize = 4096;
const END: f64 = 10.0;
/// What `taylor` and heyoka are asked for.
const TOLERANCES: [f64; 7] = [1e-4, 1e-5, 1e-6, 1e-8, 1e-9, 1e-11, 1e-12];
/// Errors at which they are compared.
const ERRORS: [f64; 5] = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8];
const BATCHES: [usize; 4] = [4, 8, 16, 32];

/// A number of 0 to 1 for run `k`, the same as in the peers.
fn share(k: usize, j: usize) -> f64 {
    let a =
        [0.618_033_988_749_894_9, 0.754_877_666_246_692_7, 0.569_840_290_998_053_2, 0.819_172_513_396_164_5];
    let x = (k as f64 + 1.0) * a[j];
    x - x.floor()
}

fn between(k: usize, j: usize, lo: f64, hi: f64) -> f64 {
    lo + (hi - lo) * share(k, j)
}

/// The runs of a model, and where they ended.
struct Ensemble<'a> {
    model: &'a Model,
    next: usize,
    out: Vec<f64>,
    steps: u64,
    rejected: u64,
}

impl<'a> Ensemble<'a> {
    fn new(model: &'a Model) -> Self {
        let out = vec![f64::NAN; RUNS * model.program.sizes.state as usize];
        Self { model, next: 0, out, steps: 0, rejected: 0 }
    }
}

impl Runs for Ensemble<'_> {
    fn fill(&mut self, memory: &mut LaneMemory, lane: usize) -> Option<u64> {
        let k = self.next;
        if k == RUNS {
            return None;
        }
        memory.set(lane, &self.model.start);
        let mut set = |space, slot, value| memory.slot_mut(space, slot)[lane] = value;
        match self.model.name {
            "lorenz" => set(Space::Param, 1, between(k, 0, 20.0, 30.0)),
            "pendulum" => {
                set(Space::State, 0, between(k, 0, 0.5, 2.5));
                set(Space::Param, 0, between(k, 1, 5.0, 15.0));
                set(Space::Param, 1, between(k, 2, 0.05, 0.2));
            }
            _ => {
                for (j, (lo, hi)) in [(9.6, 10.0), (0.3, 0.6), (4.0, 8.0), (1.5, 3.0)].into_iter().enumerate()
                {
                    set(Space::Param, j, between(k, j, lo, hi));
                }
            }
        }
        self.next += 1;
        Some(k as u64)
    }

    fn done(&mut self, run: u64, memory: &LaneMemory, lane: usize, end: &LaneEnd) {
        assert_eq!(end.status, LaneStatus::Complete);
        self.steps += end.steps;
        self.rejected += end.rejected;
        let n = memory.sizes().state as usize;
        for i in 0..n {
            self.out[run as usize * n + i] = memory.slot(Space::State, i)[lane];
        }
    }
}

/// The best of what was seen at a tolerance.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// CPU time, microseconds a run.
    us: f64,
    /// Median and largest error.
    error: f64,
    worst: f64,
    steps: f64,
    rejected: f64,
}

const NEVER: Seen = Seen { us: f64::INFINITY, error: f64::NAN, worst: f64::NAN, steps: 0.0, rejected: 0.0 };

impl Seen {
    fn or(self, other: Seen) -> Seen {
        if other.us < self.us { other } else { self }
    }
}

fn control(model: &Model, rtol: f64, atol: f64) -> Control {
    Control::new(rtol, vec![atol; model.program.sizes.state as usize])
}

fn solver(model: &Model, method: &LaneMethod) -> LaneSolver {
    LaneSolver::new(&model.program, method, Isa::best(), &model.start, LANES).unwrap()
}

/// Vector operations of a trial step of `tsit5`, and the groups of lanes side by side. `ASM=model` prints the code.
fn operations(model: &Model) -> (usize, usize) {
    let code = AdaptiveCode::tsit5(&model.program, &control(model, 1e-6, 1e-9)).unwrap();
    let program = &code.program;
    let mut sample = LaneMemory::zeroed(program.sizes, LANES);
    (0..LANES).for_each(|lane| sample.set(lane, &model.start));
    let trial = passes::simplified(&code.trial, Level::O2, &Traps::of(program));
    let code = LaneCode::tuned(program, &trial, Isa::best(), &sample).unwrap();
    if std::env::var("ASM").is_ok_and(|m| m == model.name) {
        println!("{}\n{}", twinml_model::text::kernel_text(&trial), code.assembly().unwrap());
    }
    (code.operations(), code.groups())
}

fn errors(out: &[f64], reference: &[f64], n: usize) -> (f64, f64) {
    let mut all: Vec<f64> = out
        .chunks_exact(n)
        .zip(reference.chunks_exact(n))
        .map(|(a, b)| a.iter().zip(b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())))
        .collect();
    all.sort_unstable_by(f64::total_cmp);
    ((all[all.len() / 2 - 1] + all[all.len() / 2]) / 2.0, all[all.len() - 1])
}

fn ours(model: &Model, solver: &mut LaneSolver, reference: &[f64]) -> Seen {
    let mut runs = Ensemble::new(model);
    let begin = ThreadTime::now();
    solver.run(END, &mut runs, &mut NoHost);
    let us = begin.elapsed().as_secs_f64() * 1e6 / RUNS as f64;
    let (error, worst) = errors(&runs.out, reference, model.program.sizes.state as usize);
    let (steps, rejected) = (runs.steps as f64 / RUNS as f64, runs.rejected as f64 / RUNS as f64);
    Seen { us, error, worst, steps, rejected }
}

/// The other process.
struct Peers {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    names: Vec<String>,
}

impl Peers {
    fn start() -> Option<Peers> {
        let python = std::env::var("PEERS_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ensembles/peers.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([RUNS.to_string(), END.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (to, from) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut peers = Peers { child, to, from, names: Vec::new() };
        peers.names = peers.line().split_whitespace().map(str::to_owned).collect();
        Some(peers)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line
    }

    fn reference(&mut self, model: &str, path: &Path) {
        writeln!(self.to, "reference {model} {}", path.display()).unwrap();
    }

    /// A timing; [`NEVER`] where the peer is not there.
    fn ask(&mut self, peer: &str, model: &str, tolerance: f64, lanes: usize) -> Seen {
        if !self.names.iter().any(|n| n == peer) {
            return NEVER;
        }
        writeln!(self.to, "{peer} {model} {tolerance:e} {lanes}").unwrap();
        let v: Vec<f64> = self.line().split_whitespace().map(|w| w.parse().unwrap()).collect();
        Seen { us: v[0], error: v[1], worst: v[2], steps: v[3], rejected: 0.0 }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The time for an error, between what was seen; none outside of it.
fn at(seen: &[Seen], error: f64) -> Option<f64> {
    let mut best: Option<f64> = None;
    for (i, a) in seen.iter().enumerate() {
        for b in &seen[i + 1..] {
            let (lo, hi) = if a.error < b.error { (a, b) } else { (b, a) };
            if lo.error <= error && error <= hi.error {
                let share = (error / lo.error).ln() / (hi.error / lo.error).ln();
                let us = (lo.us.ln() + share * (hi.us / lo.us).ln()).exp();
                best = Some(best.map_or(us, |b: f64| b.min(us)));
            }
        }
    }
    best
}

fn main() {
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(5);
    let models = models::all();
    let folder = tempfile::tempdir().unwrap();
    let mut peers = Peers::start();
    match &peers {
        None => println!("no Python: nothing to compare with"),
        Some(p) => {
            println!("beside {}", if p.names.is_empty() { "nothing".into() } else { p.names.join(", ") })
        }
    }
    for model in &models {
        let n = model.program.sizes.state as usize;
        let mut exact = Ensemble::new(model);
        solver(model, &LaneMethod::Taylor(control(model, 1e-17, 1e-17))).run(END, &mut exact, &mut NoHost);
        let reference = exact.out;
        let path = folder.path().join(model.name);
        std::fs::write(&path, reference.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
        if let Some(p) = &mut peers {
            p.reference(model.name, &path);
        }

        let mut taylors: Vec<LaneSolver> = TOLERANCES
            .iter()
            .map(|&tol| solver(model, &LaneMethod::Taylor(control(model, tol, tol))))
            .collect();
        let mut tsit5 = solver(model, &LaneMethod::Tsit5(control(model, 1e-6, 1e-9)));
        let mut taylor = [NEVER; TOLERANCES.len()];
        let mut heyoka = [[NEVER; TOLERANCES.len()]; BATCHES.len()];
        let mut fifth = NEVER;
        let mut others = [("diffrax", NEVER), ("dop853", NEVER)];
        for _ in 0..rounds {
            for (k, &tol) in TOLERANCES.iter().enumerate() {
                taylor[k] = taylor[k].or(ours(model, &mut taylors[k], &reference));
                if let Some(p) = &mut peers {
                    for (seen, lanes) in heyoka.iter_mut().zip(BATCHES) {
                        seen[k] = seen[k].or(p.ask("heyoka", model.name, tol, lanes));
                    }
                }
            }
            fifth = fifth.or(ours(model, &mut tsit5, &reference));
            if let Some(p) = &mut peers {
                for (name, seen) in &mut others {
                    *seen = seen.or(p.ask(name, model.name, 1e-6, 1));
                }
            }
        }

        println!("\n{} ({n} states), µs a run", model.name);
        let table = |name: &str, tol: f64, s: &Seen| {
            if s.us.is_finite() {
                println!(
                    "  {name:12} {tol:7.0e}  {:8.3} µs  error {:.1e} (worst {:.1e})  {:.1} steps, {:.2} rejected",
                    s.us, s.error, s.worst, s.steps, s.rejected
                );
            }
        };
        for (tol, s) in TOLERANCES.iter().zip(&taylor) {
            table("taylor", *tol, s);
        }
        for (lanes, seen) in BATCHES.iter().zip(&heyoka) {
            for (tol, s) in TOLERANCES.iter().zip(seen) {
                table(&format!("heyoka x{lanes}"), *tol, s);
            }
        }
        for error in ERRORS {
            let us = at(&taylor, error);
            let theirs = heyoka.iter().filter_map(|seen| at(seen, error)).min_by(f64::total_cmp);
            if let (Some(us), Some(theirs)) = (us, theirs) {
                println!("  at error {error:.0e}: taylor {us:.3}, heyoka {theirs:.3}: {:.2}x", theirs / us);
            }
        }
        table("tsit5", 1e-6, &fifth);
        for (name, seen) in &others {
            table(name, 1e-6, seen);
            if seen.us.is_finite() {
                println!("  {name} takes {:.1} times as long", seen.us / fifth.us);
            }
        }
        println!("  {:.2} % of the lanes busy with tsit5", tsit5.occupancy().share() * 100.0);
        if Isa::best() != Isa::Block {
            let (operations, groups) = operations(model);
            let ns = fifth.us * 1e3 / (fifth.steps + fifth.rejected);
            println!("  a trial: {operations} vector operations, {ns:.1} ns; {groups} groups");
        }
    }
}
