//! Stiff runs side by side, from TwinML text, beside CVODE: microseconds per run of `rosenbrock` on lanes for Robertson's
//! kinetics (to 1e11 s), HIRES and Pollution.
//!
//! `cargo bench -p twinc --bench stiff_lanes`; `PEERS_DIR` names the folder with the `cvode7` program (default: `.peers` in
//! the project's root). Each of our runs has a parameter of its own; CVODE's is one run, whose setting up counts on both
//! sides. Both take turns on one thread, the least CPU time of each counts. Errors are those of the nominal run at its
//! end against CVODE's own solution at a tolerance of 1e-12, as `max |x − r| / (|r| + atol/rtol)`; those of perturbed runs
//! against one run alone with a tolerance of 1e-11. The ratio is that to the most accurate solve of CVODE, of tolerances
//! from 1e-3 to 1e-10, that is not more accurate than ours.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

#[path = "shared/open.rs"]
mod open;
#[path = "shared/peer.rs"]
mod peer;
#[path = "../solvers/tests/problems/pollution.rs"]
mod pollution;

use cpu_time::ThreadTime;
use open::open;
use peer::{ask, number};
use std::fmt::Write;
use std::sync::Arc;
use twinml_engine::lanes::{Control, LaneMethod, LaneSolver};
use twinml_jit::lanes::Isa;
use twinml_model::host::{Memory, NoHost};
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;
use twinml_model::program::Program;
use twinml_solvers::lanes::{LaneEnd, LaneStatus, Runs};

const ROBERTSON: &str = "twin Robertson {
  parameters { k1: Real = 0.04; k2: Real = 1e4; k3: Real = 3e7 }
  states { a: Real = 1; b: Real = 0; c: Real = 0 }
  equations {
    der(a) = (-k1*a + k2*b*c) * 1 [1/s]
    der(b) = (k1*a - k2*b*c - k3*b^2) * 1 [1/s]
    der(c) = (k3*b^2) * 1 [1/s]
  }
}
scenario s for Robertson { duration: 1e11 s }";

const HIRES: &str = "twin Hires {
  parameters {
    k1: Real = 1.71; k2: Real = 0.43; k3: Real = 8.32; k4: Real = 0.69; k5: Real = 0.035; k6: Real = 8.32
    kp: Real = 280; km: Real = 0.69; ks: Real = 0.69; o: Real = 0.0007
  }
  states {
    y1: Real = 1; y2: Real = 0; y3: Real = 0; y4: Real = 0; y5: Real = 0; y6: Real = 0; y7: Real = 0; y8: Real = 0.0057
  }
  variables { p: Real }
  equations {
    p = kp*y6*y8 - 1.81*y7
    der(y1) = (-k1*y1 + k2*y2 + k6*y3 + o) * 1 [1/s]
    der(y2) = (k1*y1 - 8.75*y2) * 1 [1/s]
    der(y3) = (-10.03*y3 + k2*y4 + k5*y5) * 1 [1/s]
    der(y4) = (k3*y2 + k1*y3 - 1.12*y4) * 1 [1/s]
    der(y5) = (-1.745*y5 + k2*y6 + k2*y7) * 1 [1/s]
    der(y6) = (-kp*y6*y8 + k4*y4 + k1*y5 - k2*y6 + km*y7) * 1 [1/s]
    der(y7) = p * 1 [1/s]
    der(y8) = -p * 1 [1/s]
  }
}
scenario s for Hires { duration: 321.8122 s }";

fn pollution() -> String {
    let (mut parameters, mut rates, mut variables) = (String::new(), String::new(), String::new());
    for (k, (c, a, b)) in pollution::REACTIONS.iter().enumerate() {
        let k = k + 1;
        write!(parameters, "k{k}: Real = {c}; ").unwrap();
        write!(variables, "r{k}: Real; ").unwrap();
        let second = if *b == 0 { String::new() } else { format!("*y{b}") };
        writeln!(rates, "    r{k} = k{k}*y{a}{second}").unwrap();
    }
    let states: String = (1..=20).map(|k| format!("y{k}: Real = {}; ", pollution::start(k))).collect();
    for (k, terms) in pollution::BALANCES.iter().enumerate() {
        let sum: String = terms.iter().map(|(r, c)| format!("{c:+}*r{r} ")).collect();
        writeln!(rates, "    der(y{}) = ({sum}) * 1 [1/s]", k + 1).unwrap();
    }
    format!(
        "twin Pollution {{
  parameters {{ {parameters} }}
  states {{ {states} }}
  variables {{ {variables} }}
  equations {{
{rates}  }}
}}
scenario s for Pollution {{ duration: 60 s }}"
    )
}

const ROUNDS: usize = 5;
const RUNS: u64 = 1024;
/// How far the last run's parameter is from the first one's, in parts of it.
const SPREAD: f64 = 0.02;

struct Model {
    name: &'static str,
    peer: [&'static str; 2],
    program: Arc<Program>,
    start: Memory,
    stop: f64,
    /// Absolute tolerance over relative tolerance.
    floor: f64,
}

fn model(peer: [&'static str; 2], name: &'static str, text: &str, stop: f64, floor: f64) -> Model {
    let (program, start) = open(text);
    Model { name, peer, program, start, stop, floor }
}

impl Model {
    fn solver(&self, rtol: f64, isa: Isa, lanes: usize) -> LaneSolver {
        let atol = vec![rtol * self.floor; self.program.sizes.state as usize];
        let control = Control::new(rtol, atol);
        LaneSolver::new(&self.program, &LaneMethod::Rosenbrock(control), isa, &self.start, lanes).unwrap()
    }

    fn ensemble(&self, of: u64, every: u64) -> Ensemble<'_> {
        Ensemble { start: &self.start, next: 0, of, every, work: [0; 3], ends: Vec::new() }
    }

    /// The largest error of a run's end.
    fn error(&self, x: &[f64], reference: &[f64]) -> f64 {
        let e = x.iter().zip(reference).map(|(x, r)| (x - r).abs() / (r.abs() + self.floor));
        e.fold(0.0, f64::max)
    }
}

/// Runs whose first parameter differs; keeps the ends of some.
struct Ensemble<'a> {
    start: &'a Memory,
    next: u64,
    of: u64,
    /// Every so many runs, one's end is kept.
    every: u64,
    /// Accepted steps, rejected ones, evaluations.
    work: [u64; 3],
    ends: Vec<(u64, Vec<f64>)>,
}

impl Runs for Ensemble<'_> {
    fn fill(&mut self, memory: &mut LaneMemory, lane: usize) -> Option<u64> {
        if self.next == self.of {
            return None;
        }
        memory.set(lane, self.start);
        memory.slot_mut(Space::Param, 0)[lane] *= 1.0 + SPREAD * self.next as f64 / RUNS as f64;
        self.next += 1;
        Some(self.next - 1)
    }

    fn done(&mut self, run: u64, memory: &LaneMemory, lane: usize, end: &LaneEnd) {
        assert_eq!(end.status, LaneStatus::Complete);
        for (sum, n) in self.work.iter_mut().zip([end.steps, end.rejected, end.rhs]) {
            *sum += n;
        }
        if self.every > 0 && run.is_multiple_of(self.every) {
            let states = memory.sizes().state as usize;
            self.ends.push((run, (0..states).map(|k| memory.slot(Space::State, k)[lane]).collect()));
        }
    }
}

/// Tolerances that the peer is asked for.
fn tolerances() -> impl Iterator<Item = f64> {
    (6..=20).map(|k| 10f64.powf(-0.5 * f64::from(k)))
}

fn main() {
    let isa = Isa::best();
    let only = std::env::var("ONLY").unwrap_or_default();
    let lanes: usize = std::env::var("LANES").ok().and_then(|n| n.parse().ok()).unwrap_or(64);
    let folder = std::env::temp_dir().join(format!("stiff-lanes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let program = peer::cvode();
    if program.is_none() {
        println!("no cvode7 in PEERS_DIR: no figures beside it");
    }
    let models = [
        model(["rob", "3"], "Robertson", ROBERTSON, 1e11, 1e-4),
        model(["hires", "8"], "HIRES", HIRES, 321.8122, 1e-3),
        model(["pollu", "20"], "Pollution", &pollution(), 60.0, 1e-3),
    ];
    println!("rosenbrock on lanes ({}), {RUNS} runs, {lanes} lanes; µs of CPU time per run", isa.name());
    println!(
        "| model | rtol | ours µs | steps | rejected | ns a trial | error | worst perturbed | CVODE same rtol µs (error) | ratio | CVODE of that error µs (rtol, error) | ratio | lanes busy |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for m in models.iter().filter(|m| only.is_empty() || m.name == only) {
        let [name, n] = m.peer;
        let words = |rtol: f64, rest: &[&str]| {
            let mut list =
                vec![name.to_string(), n.to_string(), rtol.to_string(), (rtol * m.floor).to_string()];
            list.extend(rest.iter().map(|s| (*s).to_string()));
            list
        };
        let tight: Vec<(u64, Vec<f64>)> = {
            let mut runs = m.ensemble(RUNS, RUNS / 8);
            let atol = vec![1e-11 * m.floor; m.program.sizes.state as usize];
            let control = Control::new(1e-11, atol);
            let method = LaneMethod::Rosenbrock(control);
            LaneSolver::new(&m.program, &method, isa, &m.start, lanes).unwrap().run(
                m.stop,
                &mut runs,
                &mut NoHost,
            );
            runs.ends.sort_by_key(|e| e.0);
            runs.ends
        };
        let mut reference = tight[0].1.clone();
        let mut peers = Vec::new();
        if let Some(p) = &program {
            let text = ask(p, &folder, &[name, n, "1e-12", "1e-15", "d", "1", "print"].map(String::from));
            reference = text.lines().map(|l| l.trim().parse().unwrap()).collect();
            std::fs::write(folder.join(format!("ref_{name}_{n}.txt")), &text).unwrap();
            println!(
                "<!-- {}: the two references differ by {:.1e} -->",
                m.name,
                m.error(&tight[0].1, &reference)
            );
            for rtol in tolerances() {
                let said = ask(p, &folder, &words(rtol, &["d", "20"]));
                peers.push((rtol, number(&said, "d: "), number(&said, "max scaled rel err ")));
            }
        }
        for rtol in [1e-4, 1e-5, 1e-6, 1e-7, 1e-8] {
            let mut solver = m.solver(rtol, isa, lanes);
            let mut best = f64::MAX;
            let mut runs = m.ensemble(RUNS, RUNS / 8);
            solver.run(m.stop, &mut runs, &mut NoHost);
            runs.ends.sort_by_key(|e| e.0);
            let error = m.error(&runs.ends[0].1, &reference);
            let perturbed =
                runs.ends.iter().zip(&tight).map(|(a, b)| m.error(&a.1, &b.1)).fold(0.0, f64::max);
            for _ in 0..ROUNDS {
                let mut runs = m.ensemble(RUNS, 0);
                let begin = ThreadTime::now();
                solver.run(m.stop, &mut runs, &mut NoHost);
                best = best.min(begin.elapsed().as_secs_f64() * 1e6 / RUNS as f64);
                if let Some(p) = &program {
                    for (rtol, us, _) in &mut peers {
                        *us = us.min(number(&ask(p, &folder, &words(*rtol, &["d", "10"])), "d: "));
                    }
                }
            }
            let [steps, rejected, _] = runs.work.map(|n| n as f64 / RUNS as f64);
            let same = peers.iter().find(|p| (p.0 / rtol - 1.0).abs() < 1e-6);
            let matched = peers.iter().filter(|p| p.2 >= error).min_by(|a, b| a.2.total_cmp(&b.2));
            let show = |p: Option<&(f64, f64, f64)>| match p {
                Some((rtol, us, error)) => {
                    format!("{us:.0} ({rtol:.0e}, {error:.1e}) | {:.1}", us / best)
                }
                None => "- | -".to_owned(),
            };
            println!(
                "| {} | {rtol:.0e} | {best:.2} | {steps:.1} | {rejected:.1} | {:.1} | {error:.1e} | {perturbed:.1e} | {} | {} | {:.2} % |",
                m.name,
                best * 1e3 / (steps + rejected),
                show(same),
                show(matched),
                solver.occupancy().share() * 100.0
            );
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}
