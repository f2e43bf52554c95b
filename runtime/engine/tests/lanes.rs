//! Runs on lanes end with the bits that each has alone, at every level and with every number of runs.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;

use support::{Case, case};
use twinml_engine::lanes::{LaneMethod, LaneSolver};
use twinml_jit::lanes::{Isa, LaneCode};
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;
use twinml_model::lanes::LaneMemory;
use twinml_model::passes::dead::Traps;
use twinml_model::passes::{Level, simplified};
use twinml_model::program::Program;
use twinml_solvers::lanes::adaptive::{AdaptiveCode, Control};
use twinml_solvers::lanes::{LaneEnd, LaneStatus, Runs};

/// A pendulum whose length and damping are parameters; the time is read.
const PENDULUM: &str = "flat Pendulum
 var g : parameter
   value @[0] = 10.0
 var d : parameter
   value @[0] = 0.1
 var a : state fixed
   value @[0] = 1.0
 var w : state fixed
   value @[0] = 0.0
 eq : der(a) = w
 eq : der(w) = -g * sin(a) - d * w + 0.2 * cos(3.0 * time)";

const LORENZ: &str = "flat Lorenz
 var s : parameter
   value @[0] = 10.0
 var r : parameter
   value @[0] = 28.0
 var x : state fixed
   value @[0] = 1.0
 var y : state fixed
   value @[0] = 1.0
 var z : state fixed
   value @[0] = 1.0
 eq : der(x) = s * (y - x)
 eq : der(y) = x * (r - z) - y
 eq : der(z) = x * y - 2.5 * z";

/// The second parameter of run `k`.
fn parameter(k: usize) -> f64 {
    0.1 + 0.37 * k as f64
}

/// Runs with different parameters, from number 0 on; keeps what comes back.
struct Batch<'a> {
    program: &'a Program,
    start: Memory,
    next: usize,
    of: usize,
    ends: Vec<Option<(Vec<u64>, LaneEnd)>>,
}

impl<'a> Batch<'a> {
    fn new(program: &'a Program, runs: usize) -> Self {
        let start = Memory::new(program);
        Batch { program, start, next: 0, of: runs, ends: vec![None; runs] }
    }
}

fn begin(program: &Program, memory: &mut Memory, k: usize) {
    *memory = Memory::new(program);
    memory.space_mut(Space::Param)[1] = parameter(k);
    let machine = Interpreter::new(program);
    machine.run(KernelId::Params, memory, &mut NoHost).unwrap();
    machine.run(KernelId::Initial, memory, &mut NoHost).unwrap();
}

impl Runs for Batch<'_> {
    fn fill(&mut self, memory: &mut LaneMemory, lane: usize) -> Option<u64> {
        if self.next == self.of {
            return None;
        }
        begin(self.program, &mut self.start, self.next);
        memory.set(lane, &self.start);
        self.next += 1;
        Some(self.next as u64 - 1)
    }

    fn done(&mut self, run: u64, memory: &LaneMemory, lane: usize, end: &LaneEnd) {
        let states = memory.sizes().state as usize;
        let bits = (0..states).map(|k| memory.slot(Space::State, k)[lane].to_bits()).collect();
        assert!(self.ends[run as usize].replace((bits, *end)).is_none());
    }
}

/// A single run's last states and report.
fn alone(text: &str, method: &str, h: Option<f64>, duration: f64, k: usize) -> (Vec<u64>, (u64, u64)) {
    let text = text.replace("value @[0] = 0.1\n", &format!("value @[0] = {:?}\n", parameter(k)));
    let text = text.replace("value @[0] = 28.0\n", &format!("value @[0] = {:?}\n", parameter(k)));
    let mut case: Case = case(&text, method, duration);
    case.experiment.solver.step = h;
    if matches!(method, "tsit5" | "taylor" | "rosenbrock") {
        case = case.tolerances(1e-6, 1e-9);
    }
    let ran = case.run_on(&mut Interpreter::new(&case.program));
    let last = ran.rows[0].last().unwrap();
    (
        last[last.len() - case.program.sizes.state as usize..].iter().map(|x| x.to_bits()).collect(),
        (ran.report.stats.steps, ran.report.stats.rejected),
    )
}

fn levels() -> Vec<Isa> {
    Isa::ALL.into_iter().filter(|i| i.available()).collect()
}

fn check(text: &str, method: &str, lane_method: &LaneMethod, h: Option<f64>, duration: f64, runs: usize) {
    let program = case(text, method, duration).program;
    let expected: Vec<_> = (0..runs.min(5)).map(|k| alone(text, method, h, duration, k)).collect();
    let mut first: Option<Vec<Vec<u64>>> = None;
    for isa in levels() {
        for lanes in [runs.min(3), 24, 96] {
            let mut start = Memory::new(&program);
            begin(&program, &mut start, 0);
            let mut solver = LaneSolver::new(&program, lane_method, isa, &start, lanes).unwrap();
            assert_eq!(solver.level(), isa.name());
            let mut batch = Batch::new(&program, runs);
            solver.run(duration, &mut batch, &mut NoHost);
            let ends: Vec<_> = batch.ends.into_iter().map(Option::unwrap).collect();
            for (k, (bits, steps)) in expected.iter().enumerate() {
                assert_eq!(ends[k].0, *bits, "{method} {} run {k}", isa.name());
                let work = (ends[k].1.steps, ends[k].1.rejected);
                assert_eq!(work, *steps, "{method} {} run {k}", isa.name());
                assert_eq!(ends[k].1.status, LaneStatus::Complete);
            }
            let all: Vec<Vec<u64>> = ends.into_iter().map(|e| e.0).collect();
            assert_eq!(first.get_or_insert_with(|| all.clone()), &all, "{} with {lanes} lanes", isa.name());
        }
    }
}

#[test]
fn rk4_on_lanes_is_rk4_alone() {
    check(PENDULUM, "rk4", &LaneMethod::Rk4(1e-2), Some(1e-2), 2.0, 29);
    check(LORENZ, "rk4", &LaneMethod::Rk4(1e-3), Some(1e-3), 0.5, 7);
    // a last step that the stop time cuts
    check(PENDULUM, "rk4", &LaneMethod::Rk4(0.03), Some(0.03), 1.0, 9);
}

#[test]
fn euler_on_lanes_is_euler_alone() {
    check(PENDULUM, "euler", &LaneMethod::Euler(1e-3), Some(1e-3), 1.0, 29);
    check(LORENZ, "euler", &LaneMethod::Euler(7e-4), Some(7e-4), 0.3, 5);
}

fn tsit5(states: usize) -> LaneMethod {
    let atol = vec![1e-9; states];
    LaneMethod::Tsit5(Control::new(1e-6, atol))
}

#[test]
fn tsit5_on_lanes_is_tsit5_alone() {
    check(PENDULUM, "tsit5", &tsit5(2), None, 5.0, 40);
    check(LORENZ, "tsit5", &tsit5(3), None, 3.0, 9);
}

/// Vector operations of a trial with its control: whoever makes it longer or shorter sees it here.
#[test]
fn a_trial_of_tsit5_costs_so_many_operations() {
    for (isa, expected) in [(Isa::Avx512, [451, 252]), (Isa::Avx2, [467, 253])] {
        if !isa.available() {
            println!("no {} here: nothing to count", isa.name());
            continue;
        }
        let got = [(PENDULUM, 2), (LORENZ, 3)].map(|(text, states)| {
            let program = case(text, "tsit5", 1.0).program;
            let code = AdaptiveCode::tsit5(&program, &Control::new(1e-6, vec![1e-9; states])).unwrap();
            let trial = simplified(&code.trial, Level::O2, &Traps::of(&code.program));
            LaneCode::new(&code.program, &trial, isa, 32, 1).unwrap().operations()
        });
        assert_eq!(got, expected, "pendulum and Lorenz, {}", isa.name());
    }
}

fn taylor(states: usize) -> LaneMethod {
    let LaneMethod::Tsit5(control) = tsit5(states) else { unreachable!() };
    LaneMethod::Taylor(control)
}

/// Every rule of recurrences that has a value of its own at the start of a step, and a right-hand side that ends.
const MANY: &str = "flat Many
 var p : parameter
   value @[0] = 1.0
 var q : parameter
   value @[0] = 0.1
 var x : state fixed
   value @[0] = 0.5
 var y : state fixed
   value @[0] = 0.3
 eq : der(x) = exp(-x * y) / (1.5 + sin(x)) - 0.1 * q * sqrt(1.0 + x * x)
 eq : der(y) = atan(x) - tanh(y) * log(2.0 + x * x) + 0.3 * cos(q * time)";

/// Two bodies; the second parameter is the attraction.
const KEPLER: &str = "flat Kepler
 var e : parameter
   value @[0] = 0.5
 var m : parameter
   value @[0] = 0.1
 var x : state fixed
   value @[0] = 0.5
 var y : state fixed
   value @[0] = 0.0
 var u : state fixed
   value @[0] = 0.0
 var v : state fixed
   value @[0] = 1.7
 eq : der(x) = u
 eq : der(y) = v
 eq : der(u) = -(1.0 + m) * x / (x * x + y * y) ^ 1.5
 eq : der(v) = -(1.0 + m) * y / (x * x + y * y) ^ 1.5";

/// The last states of five runs by `taylor`, run by run.
fn ends(text: &str, rtol: f64, duration: f64) -> Vec<f64> {
    let program = case(text, "taylor", duration).program;
    let atol = vec![rtol; program.sizes.state as usize];
    let control = Control { max_steps: 1_000_000, ..Control::new(rtol, atol) };
    let mut start = Memory::new(&program);
    begin(&program, &mut start, 0);
    let method = LaneMethod::Taylor(control);
    let mut solver = LaneSolver::new(&program, &method, Isa::best(), &start, 8).unwrap();
    let mut batch = Batch::new(&program, 5);
    solver.run(duration, &mut batch, &mut NoHost);
    batch.ends.iter().flatten().flat_map(|e| e.0.iter().map(|&b| f64::from_bits(b))).collect()
}

#[test]
fn taylor_reaches_its_tolerance() {
    // what an error of one step grows to: on up to twelve narrow orbits it is one of phase
    for (name, text, duration, factor) in
        [("Kepler", KEPLER, 10.0, 3000.0), ("Lorenz", LORENZ, 3.0, 1.0), ("pendulum", PENDULUM, 5.0, 1.0)]
    {
        let exact = ends(text, 1e-16, duration);
        // the reference by another method, far less exact
        let program = case(text, "tsit5", duration).program;
        let states = program.sizes.state as usize;
        let mut other: Vec<f64> = Vec::new();
        for k in 0..5 {
            other.extend(alone(text, "tsit5", None, duration, k).0.iter().map(|&b| f64::from_bits(b)));
        }
        assert_eq!(exact.len(), 5 * states);
        for (a, b) in exact.iter().zip(&other) {
            assert!((a - b).abs() < 1e-2, "{name}: {a} {b}");
        }
        for rtol in [1e-4, 1e-7, 1e-10, 1e-13] {
            let error = ends(text, rtol, duration)
                .iter()
                .zip(&exact)
                .fold(0.0, |m: f64, (a, b)| m.max((a - b).abs() / (1.0 + b.abs())));
            println!("{name} {rtol:e}: {error:e}");
            assert!(error < factor * rtol, "{name} at {rtol:e}: {error:e}");
        }
    }
}

#[test]
fn taylor_on_lanes_is_taylor_alone() {
    check(PENDULUM, "taylor", &taylor(2), None, 5.0, 40);
    check(LORENZ, "taylor", &taylor(3), None, 3.0, 9);
    check(MANY, "taylor", &taylor(2), None, 5.0, 20);
}

fn rosenbrock(states: usize) -> LaneMethod {
    let LaneMethod::Tsit5(control) = tsit5(states) else { unreachable!() };
    LaneMethod::Rosenbrock(control)
}

#[test]
fn rosenbrock_on_lanes_is_rosenbrock_alone() {
    check(PENDULUM, "rosenbrock", &rosenbrock(2), None, 5.0, 40);
    check(LORENZ, "rosenbrock", &rosenbrock(3), None, 3.0, 9);
}

#[test]
fn a_run_that_bursts_is_told() {
    let text = "flat Burst
 var p : parameter
   value @[0] = 1.0
 var q : parameter
   value @[0] = 0.1
 var x : state fixed
   value @[0] = 1.0
 eq : der(x) = q * x * x";
    let program = case(text, "rk4", 4.0).program;
    let mut start = Memory::new(&program);
    begin(&program, &mut start, 0);
    for isa in levels() {
        let mut solver = LaneSolver::new(&program, &LaneMethod::Rk4(1e-2), isa, &start, 16).unwrap();
        let mut batch = Batch::new(&program, 12);
        solver.run(4.0, &mut batch, &mut NoHost);
        let failed: Vec<bool> =
            batch.ends.iter().map(|e| e.as_ref().unwrap().1.status == LaneStatus::Failed).collect();
        // x = 1/(1 - q t): no value from q = 1/4 on
        for (k, f) in failed.iter().enumerate() {
            assert_eq!(*f, parameter(k) > 0.25, "run {k}");
        }
    }
}
