//! `rosenbrock` on lanes: the classic stiff problems as exact as alone and with the same bits, the order, the work, and
//! runs whose pivots do not serve.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../../solvers/tests/problems/pollution.rs"]
mod pollution;
mod support;

use std::fmt::Write;

use support::{Case, case};
use twinml_engine::lanes::{Control, LaneMethod, LaneSolver};
use twinml_engine::run::Ended;
use twinml_jit::lanes::Isa;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;
use twinml_model::lanes::{LaneMemory, NotLanes};
use twinml_model::passes::{self, Level};
use twinml_solvers::integrator::Method;
use twinml_solvers::lanes::{LaneEnd, LaneStatus, Runs};

/// A flat system of parameters, states with starts, and equations.
fn flat(name: &str, parameters: &[(&str, f64)], states: &[(&str, f64)], equations: &str) -> String {
    let mut text = format!("flat {name}\n");
    for (kind, list) in [("parameter", parameters), ("state fixed", states)] {
        for (name, value) in list {
            writeln!(text, " var {name} : {kind}\n   value @[0] = {value:?}").unwrap();
        }
    }
    text + equations
}

fn robertson() -> String {
    let parameters = [("q", 1.0), ("k", 0.04)];
    let states = [("a", 1.0), ("b", 0.0), ("c", 0.0)];
    let equations = " eq : der(a) = -q * k * a + 1e4 * b * c
 eq : der(b) = q * k * a - 1e4 * b * c - 3e7 * b * b
 eq : der(c) = 3e7 * b * b";
    flat("Robertson", &parameters, &states, equations)
}

fn hires() -> String {
    let names = ["y1", "y2", "y3", "y4", "y5", "y6", "y7", "y8"];
    let states = names.map(|n| {
        (
            n,
            if n == "y1" {
                1.0
            } else if n == "y8" {
                0.0057
            } else {
                0.0
            },
        )
    });
    let equations = " eq : der(y1) = -1.71 * y1 + 0.43 * y2 + 8.32 * y3 + 0.0007 * q
 eq : der(y2) = 1.71 * y1 - 8.75 * y2
 eq : der(y3) = -10.03 * y3 + 0.43 * y4 + 0.035 * y5
 eq : der(y4) = 8.32 * y2 + 1.71 * y3 - 1.12 * y4
 eq : der(y5) = -1.745 * y5 + 0.43 * y6 + 0.43 * y7
 eq : der(y6) = -280.0 * y6 * y8 + 0.69 * y4 + 1.71 * y5 - 0.43 * y6 + 0.69 * y7
 eq : der(y7) = 280.0 * y6 * y8 - 1.81 * y7
 eq : der(y8) = 1.81 * y7 - 280.0 * y6 * y8";
    flat("Hires", &[("q", 1.0)], &states, equations)
}

fn pollution() -> String {
    let names: Vec<String> = (1..=20).map(|k| format!("y{k}")).collect();
    let states: Vec<(&str, f64)> =
        names.iter().enumerate().map(|(k, n)| (&n[..], pollution::start(k + 1))).collect();
    let rate = |r: usize| {
        let (c, a, b) = pollution::REACTIONS[r - 1];
        let q = if r == 1 { "q * " } else { "" };
        if b == 0 { format!("{q}{c:?} * y{a}") } else { format!("{q}{c:?} * y{a} * y{b}") }
    };
    let mut equations = String::new();
    for (k, terms) in pollution::BALANCES.iter().enumerate() {
        let sum: Vec<String> = terms.iter().map(|&(r, c)| format!("{c:?} * {}", rate(r))).collect();
        let sum = sum.join(" + ");
        writeln!(equations, " eq : der(y{}) = {sum}", k + 1).unwrap();
    }
    flat("Pollution", &[("q", 1.0)], &states, equations.trim_end())
}

/// Runs whose first parameter is what `value` says; keeps what comes back.
struct Batch<'a> {
    start: Memory,
    value: &'a dyn Fn(usize) -> f64,
    next: usize,
    of: usize,
    ends: Vec<Option<(Vec<f64>, LaneEnd)>>,
}

impl Runs for Batch<'_> {
    fn fill(&mut self, memory: &mut LaneMemory, lane: usize) -> Option<u64> {
        if self.next == self.of {
            return None;
        }
        memory.set(lane, &self.start);
        memory.slot_mut(Space::Param, 0)[lane] = (self.value)(self.next);
        self.next += 1;
        Some(self.next as u64 - 1)
    }

    fn done(&mut self, run: u64, memory: &LaneMemory, lane: usize, end: &LaneEnd) {
        let states = memory.sizes().state as usize;
        let x = (0..states).map(|k| memory.slot(Space::State, k)[lane]).collect();
        assert!(self.ends[run as usize].replace((x, *end)).is_none());
    }
}

fn start(program: &twinml_model::program::Program) -> Memory {
    let mut start = Memory::new(program);
    let machine = Interpreter::new(program);
    machine.run(KernelId::Params, &mut start, &mut NoHost).unwrap();
    machine.run(KernelId::Initial, &mut start, &mut NoHost).unwrap();
    start
}

fn control(rtol: f64, atol: f64, states: usize) -> Control {
    Control::new(rtol, vec![atol; states])
}

type Ends = Vec<(Vec<f64>, LaneEnd)>;

fn on_lanes(
    program: &std::sync::Arc<twinml_model::program::Program>,
    control: Control,
    isa: Isa,
    lanes: usize,
    (runs, stop): (usize, f64),
    value: &dyn Fn(usize) -> f64,
) -> Ends {
    let start = start(program);
    let mut solver = LaneSolver::new(program, &LaneMethod::Rosenbrock(control), isa, &start, lanes).unwrap();
    assert_eq!(solver.level(), isa.name());
    let mut batch = Batch { start, value, next: 0, of: runs, ends: vec![None; runs] };
    solver.run(stop, &mut batch, &mut NoHost);
    batch.ends.into_iter().map(Option::unwrap).collect()
}

fn levels() -> Vec<Isa> {
    Isa::ALL.into_iter().filter(|i| i.available()).collect()
}

/// The case with the first parameter set.
fn with(text: &str, value: f64, duration: f64, rtol: f64, atol: f64) -> Case {
    let text = text.replacen("value @[0] = 1.0\n", &format!("value @[0] = {value:?}\n"), 1);
    case(&text, "rosenbrock", duration).tolerances(rtol, atol)
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Runs alone and on lanes of every width: the same bits and work; the nominal run's end and work.
fn compare(text: &str, stop: f64, rtol: f64, atol: f64) -> (Vec<f64>, LaneEnd) {
    let value = |k: usize| 1.0 + 0.01 * k as f64;
    let program = case(text, "rosenbrock", stop).program;
    let states = program.sizes.state as usize;
    let alone: Vec<(Vec<u64>, [u64; 3])> = (0..4)
        .map(|k| {
            let ran = with(text, value(k), stop, rtol, atol).run();
            assert!(matches!(ran.report.ended, Ended::Complete));
            assert_eq!(ran.report.choice.method, Method::Rosenbrock);
            let last = ran.rows[0].last().unwrap();
            let s = ran.report.stats;
            assert_eq!((s.jac, s.factorizations), (s.steps + s.rejected, s.steps + s.rejected));
            (bits(&last[last.len() - states..]), [s.steps, s.rejected, s.rhs])
        })
        .collect();
    let mut nominal = None;
    for isa in levels() {
        for lanes in [3, 24] {
            let ends = on_lanes(&program, control(rtol, atol, states), isa, lanes, (30, stop), &value);
            for (k, (x, end)) in ends.iter().enumerate() {
                assert_eq!(end.status, LaneStatus::Complete);
                assert_eq!(end.t, stop);
                if let Some((want, work)) = alone.get(k) {
                    assert_eq!(bits(x), *want, "{} run {k}", isa.name());
                    assert_eq!([end.steps, end.rejected, end.rhs], *work, "{} run {k}", isa.name());
                }
            }
            let all: Vec<Vec<u64>> = ends.iter().map(|e| bits(&e.0)).collect();
            let (first, _) = nominal.get_or_insert_with(|| (all.clone(), ends[0].clone()));
            assert_eq!(*first, all, "{} with {lanes} lanes", isa.name());
        }
    }
    nominal.unwrap().1
}

/// The largest relative error.
fn error(x: &[f64], reference: &[f64]) -> f64 {
    x.iter().zip(reference).map(|(x, r)| ((x - r) / r).abs()).fold(0.0, f64::max)
}

/// Of the nominal run: accepted steps, rejected ones, evaluations.
fn work(end: &LaneEnd) -> [u64; 3] {
    [end.steps, end.rejected, end.rhs]
}

#[test]
fn robertson_to_4e10() {
    let (x, end) = compare(&robertson(), 4e10, 1e-8, 1e-16);
    // W. Auzinger, in: Test Set for Initial Value Problem Solvers
    let reference = [5.208_345_176_797_79e-8, 2.083_338_177_924_901_7e-13, 0.999_999_947_916_339_7];
    assert!(error(&x, &reference) < 1e-7, "{x:?}");
    assert_eq!(work(&end), [518, 3, 4170]);
}

#[test]
fn hires_on_lanes() {
    let (x, end) = compare(&hires(), 321.8122, 1e-8, 1e-12);
    // Test Set for Initial Value Problem Solvers
    let reference = [
        0.737_131_257_332_566_8e-3,
        0.144_248_572_631_617_4e-3,
        0.588_872_974_096_757_6e-4,
        0.117_565_134_328_314_9e-2,
        0.238_635_619_883_133_8e-2,
        0.623_896_825_274_247_2e-2,
        0.284_999_839_518_551_7e-2,
        0.285_000_160_481_448_3e-2,
    ];
    assert!(error(&x, &reference) < 1e-7, "{x:?}");
    assert_eq!(work(&end), [549, 7, 4450]);
}

#[test]
fn pollution_on_lanes() {
    let (x, end) = compare(&pollution(), 60.0, 1e-8, 1e-14);
    // Test Set for Initial Value Problem Solvers
    let reference = [
        0.564_625_548_002_276_9e-1,
        0.134_248_413_042_233_9,
        0.413_973_433_109_942_7e-8,
        0.552_314_020_748_435_9e-2,
        0.201_897_726_230_219_6e-6,
        0.146_454_186_349_396_6e-6,
        0.778_424_911_899_799_5e-1,
        0.324_507_535_339_601_8,
        0.749_401_338_388_040_6e-2,
        0.162_229_315_734_356_1e-7,
        0.113_586_383_325_707_5e-7,
        0.223_050_597_572_133_5e-2,
        0.208_716_288_279_863e-3,
        0.139_692_101_684_014_4e-4,
        0.896_488_485_689_898_2e-2,
        0.435_284_636_933_010_3e-17,
        0.689_921_969_626_340_4e-2,
        0.100_780_303_736_594_6e-3,
        0.177_214_651_396_998_3e-5,
        0.568_294_329_231_639_2e-4,
    ];
    assert!(error(&x, &reference) < 1e-7, "{x:?}");
    assert_eq!(work(&end), [187, 5, 1538]);
}

/// Both methods, with steps that only their greatest length limits, on an equation that reads the time.
#[test]
fn steps_have_their_order() {
    // x = exp(-q t) + sin t
    let text = flat(
        "Forced",
        &[("q", 1.0)],
        &[("x", 1.0)],
        " eq : der(x) = cos(time) + q * (sin(time) - x) * (1.0 + 0.0 * x)",
    );
    let program = case(&text, "rosenbrock", 2.0).program;
    for (rtol, order) in [(1e-3, 4.0), (1e-6, 5.0)] {
        let error_at = |h: f64| {
            let control = Control { h: Some(h), h_max: h, ..control(rtol, 1e9, 1) };
            let ends = on_lanes(&program, control, Isa::best(), 8, (1, 2.0), &|_| 1.0);
            assert_eq!(ends[0].1.rejected, 0);
            (ends[0].0[0] - (-2f64).exp() - 2f64.sin()).abs()
        };
        let observed = (error_at(0.1) / error_at(0.05)).log2();
        assert!((observed - order).abs() < 0.35, "order {observed} for {order}");
    }
}

/// A fast rotation that nothing excites: steps are long, and the diagonal is nothing beside the rest of the matrix.
fn rotation() -> String {
    flat(
        "Rotation",
        &[("q", 1.0)],
        &[("x", 1.0), ("u", 0.0), ("v", 0.0)],
        " eq : der(x) = -x
 eq : der(u) = q * v
 eq : der(v) = -q * u",
    )
}

#[test]
fn a_run_whose_pivots_do_not_serve_goes_on_alone_with_bdf() {
    let (text, stop) = (rotation(), 3.0);
    let program = case(&text, "rosenbrock", stop).program;
    let value = |k: usize| if k % 3 == 1 { 1e9 } else { 1.0 + k as f64 };
    for isa in levels() {
        let ends = on_lanes(&program, control(1e-6, 1e-9, 3), isa, 8, (20, stop), &value);
        for (k, (x, end)) in ends.iter().enumerate() {
            let ran = with(&text, value(k), stop, 1e-6, 1e-9).run();
            assert!(matches!(ran.report.ended, Ended::Complete));
            let choice = ran.report.choice;
            let last = ran.rows[0].last().unwrap();
            let got = &last[last.len() - 3..];
            assert!((got[0] - (-stop).exp()).abs() < 1e-6 && got[1] == 0.0 && got[2] == 0.0, "{got:?}");
            if k % 3 == 1 {
                assert_eq!(end.status, LaneStatus::Alone, "{} run {k}", isa.name());
                assert_eq!((choice.method, choice.switches), (Method::Bdf, 1));
                assert!(choice.t < stop);
                // the lane stands where the run alone turned to BDF
                assert_eq!(end.t, choice.t);
            } else {
                assert_eq!(end.status, LaneStatus::Complete);
                assert_eq!((choice.method, choice.switches), (Method::Rosenbrock, 0));
                assert_eq!(bits(x), bits(got));
            }
        }
    }
}

/// How far a program was simplified before is of no matter.
#[test]
fn levels_of_optimisation_give_the_same_bits() {
    let value = |k: usize| 1.0 + 0.1 * k as f64;
    for (text, stop) in [(robertson(), 1e3), (pollution(), 1.0), (branches(), 5.0)] {
        let raw = case(&text, "rosenbrock", stop).program;
        let ends = [Level::O0, Level::O1, Level::O2].map(|level| {
            let mut program = (*raw).clone();
            passes::prepare(&mut program, level, false);
            let states = program.sizes.state as usize;
            let control = control(1e-6, 1e-12, states);
            on_lanes(&program.into(), control, Isa::best(), 8, (5, stop), &value)
        });
        assert_eq!(ends[0], ends[1]);
        assert_eq!(ends[0], ends[2]);
    }
}

/// Elementary functions, powers, minima, the time.
fn branches() -> String {
    flat(
        "Functions",
        &[("q", 1.0)],
        &[("x", 1.0), ("y", 0.2)],
        " eq : der(x) = -50.0 * (x - cos(time)) + q * sqrt(y * y + 1.0) * exp(-x)
 eq : der(y) = min(x, y) - q * max(y, 0.1) * y - abs(x) * log(2.0 + x * x)",
    )
}

#[test]
fn functions_and_kinks_on_lanes() {
    compare(&branches(), 5.0, 1e-6, 1e-9);
    compare(&branches(), 5.0, 1e-4, 1e-7);
}

#[test]
fn what_is_too_large_is_refused_and_goes_alone() {
    // dense: 40 states
    let names: Vec<String> = (0..40).map(|k| format!("x{k}")).collect();
    let states: Vec<(&str, f64)> = names.iter().map(|n| (&n[..], 1.0)).collect();
    let sum = names.join(" * ");
    let mut equations = String::new();
    for n in &names {
        writeln!(equations, " eq : der({n}) = 1.0 - {n} - q * {sum}").unwrap();
    }
    let text = flat("Dense", &[("q", 1.0)], &states, equations.trim_end());
    let case = case(&text, "rosenbrock", 1.0).tolerances(1e-5, 1e-8);
    let method = LaneMethod::Rosenbrock(control(1e-5, 1e-8, 40));
    let refused = LaneSolver::new(&case.program, &method, Isa::best(), &start(&case.program), 8);
    assert_eq!(refused.err(), Some(NotLanes::NoStep));
    let ran = case.run();
    assert!(matches!(ran.report.ended, Ended::Complete));
}
