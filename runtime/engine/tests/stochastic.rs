//! Stochastic models on one run: orders against exact solutions on the same paths, moments, paths that a smaller step
//! refines, bits that the machine does not change, limits, events, allocations.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use twinml_compiler::diag::{Style, render_all};
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::noise::Brownian;
use twinml_engine::run::{self, Ended, FailureKind, Flow, Report, RunError};
use twinml_jit::{Compiled, OptLevel};
use twinml_model::host::Machine;
use twinml_model::interp::Interpreter;
use twinml_model::passes::derive::complete;
use twinml_model::program::{Experiment, Program};

/// A compiled text, ready to run.
struct Model {
    program: Arc<Program>,
    experiment: Experiment,
    compiled: Compiled,
}

fn model(text: &str) -> Model {
    let mut s = Session::check("test.twinml", text, &MemoryLoader::new());
    let made = s.compile(Choice::default(), &mut NoData);
    let made = made.unwrap_or_else(|| panic!("{}", render_all(&s.diags, &s.sources, Style::default())));
    let mut program = made.program;
    complete(&mut program);
    twinml_model::verify::verify(&program).unwrap_or_else(|e| panic!("{e}"));
    let program = Arc::new(program);
    let compiled = Compiled::compile(program.clone(), OptLevel::O2).unwrap();
    Model { program, experiment: made.experiment, compiled }
}

impl Model {
    fn with(&mut self, method: &str, step: f64, seed: u64) -> Report {
        self.experiment.solver.method = method.to_owned();
        self.experiment.solver.step = Some(step);
        self.experiment.seed = seed;
        let mut watch = |_| Flow::Continue;
        let e = &self.experiment;
        run::simulate(&self.program, &mut self.compiled, e, outlets(&self.program, e), &mut watch).unwrap()
    }

    /// The states at the end (outputs and states are recorded).
    fn end(&mut self, method: &str, step: f64, seed: u64) -> Vec<f64> {
        let report = self.with(method, step, seed);
        assert!(matches!(report.ended, Ended::Complete), "{:?}", report.ended);
        report.last[0][2..].to_vec()
    }

    /// The paths of the program's noise.
    fn paths(&self, seed: u64) -> Brownian {
        let noise = self.program.noise.iter();
        Brownian::new(seed, 0, noise.flat_map(|n| (0..n.len).map(|j| n.element_path(j))))
    }
}

fn outlets(program: &Program, experiment: &Experiment) -> Vec<run::Outlet> {
    let plans = run::plans(program, experiment, false).unwrap();
    let outlet = |plan: run::Plan| {
        let (recorder, _) = twinml_engine::record::MemoryRecorder::new(plan.columns().clone());
        run::Outlet { plan, recorder: Box::new(recorder) }
    };
    plans.into_iter().map(outlet).collect()
}

/// The exponent between errors at steps that halve.
fn order(errors: &[f64]) -> f64 {
    (errors[0] / errors[errors.len() - 1]).log2() / (errors.len() - 1) as f64
}

const GBM: &str = "
twin Gbm {
  parameters { mu: Real[1/s] = 1.5; sigma: Real[s^-0.5] = 0.8 }
  states { x: Real = 1 }
  equations { der(x) = mu*x + sigma*x*white_noise() }
}
scenario run for Gbm { duration: 1 s; solver: euler(step: 1 ms) }
";

/// Geometric Brownian motion has the solution x = exp((μ − σ²/2)t + σW).
#[test]
fn orders_on_geometric_brownian_motion() {
    let mut m = model(GBM);
    let (mu, sigma, seeds) = (1.5, 0.8, 400u64);
    for (method, strong) in [("euler", 0.5), ("milstein", 1.0)] {
        let (mut errors, mut biases) = (Vec::new(), Vec::new());
        for k in 4..=8 {
            let h = 0.5f64.powi(k);
            let (mut error, mut bias) = (0.0, 0.0);
            for seed in 0..seeds {
                let mut w = [0.0];
                m.paths(seed).at(1.0, &mut w);
                let exact = (mu - 0.5 * sigma * sigma + sigma * w[0]).exp();
                let x = m.end(method, h, seed)[0];
                error += (x - exact).abs() / seeds as f64;
                bias += (x - exact) / seeds as f64;
            }
            errors.push(error);
            biases.push(bias.abs());
        }
        let seen = order(&errors);
        assert!((seen - strong).abs() < 0.12, "{method}: strong order {seen}, errors {errors:?}");
        // The mean is (1 + μh)ⁿ: its error is of first order for both.
        let mean = |k: i32| (1.0f64 + mu * 0.5f64.powi(k)).powi(1 << k) - mu.exp();
        let exact: Vec<f64> = (4..=8).map(mean).map(f64::abs).collect();
        let weak = order(&biases[..3]);
        assert!((order(&exact) - 1.0).abs() < 0.1);
        assert!((weak - 1.0).abs() < 0.3, "{method}: weak order {weak}, biases {biases:?}");
        assert!((biases[0] / exact[0] - 1.0).abs() < 0.25, "{method}: {biases:?} against {exact:?}");
    }
}

/// The Ornstein–Uhlenbeck process, by parts: x = e^(−θt)x₀ + σ(W(t) − θ ∫ e^(−θ(t−s)) W(s) ds). The intensity does not
/// depend on the state, so Euler–Maruyama has strong order 1 too.
#[test]
fn orders_on_ornstein_uhlenbeck() {
    let text = "
twin Ou {
  parameters { theta: Real[1/s] = 2; sigma: Real[s^-0.5] = 0.7 }
  states { x: Real = 1 }
  variables { w: Real[s^-0.5] }
  equations { w = white_noise(); der(x) = -theta*x + sigma*w }
}
scenario run for Ou { duration: 1 s; solver: euler(step: 1 ms) }";
    let mut m = model(text);
    let (theta, sigma, seeds) = (2.0f64, 0.7, 200u64);
    let n = 1 << 12;
    let exact: Vec<f64> = (0..seeds)
        .map(|seed| {
            let (mut paths, mut w, mut integral) = (m.paths(seed), [0.0], 0.0);
            for k in 0..=n {
                let s = f64::from(k) / f64::from(n);
                paths.at(s, &mut w);
                let weight = if k == 0 || k == n { 0.5 } else { 1.0 };
                integral += weight * (-theta * (1.0 - s)).exp() * w[0] / f64::from(n);
            }
            (-theta).exp() + sigma * (w[0] - theta * integral)
        })
        .collect();
    for method in ["euler", "milstein"] {
        let error = |k: i32, m: &mut Model| {
            let h = 0.5f64.powi(k);
            let of = |(seed, x): (u64, &f64)| (m.end(method, h, seed)[0] - x).abs() / seeds as f64;
            (0..seeds).zip(&exact).map(of).sum::<f64>()
        };
        let errors: Vec<f64> = (3..=7).map(|k| error(k, &mut m)).collect();
        assert!((order(&errors) - 1.0).abs() < 0.12, "{method}: {errors:?}");
    }
    // Stationary moments: mean e^(−θt), variance σ²(1 − e^(−2θt))/(2θ).
    let xs: Vec<f64> = (0..4000).map(|seed| m.end("euler", 1.0 / 64.0, 1000 + seed)[0]).collect();
    let mean = xs.iter().sum::<f64>() / 4000.0;
    let variance = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3999.0;
    let want = sigma * sigma * (1.0 - (-2.0 * theta).exp()) / (2.0 * theta);
    // Four standard errors, and what the step leaves.
    assert!((mean - (-theta).exp()).abs() < 4.0 * (want / 4000.0).sqrt() + 0.003, "{mean}");
    assert!((variance / want - 1.0).abs() < 4.0 * (2.0f64 / 4000.0).sqrt() + 0.02, "{variance} {want}");
}

/// One path in two states: commuting noise that is not diagonal; and diagonal noise that a coupling mixes.
#[test]
fn milstein_keeps_its_order_where_noises_commute() {
    // x and y are driven by one path; y = x·v with v a second geometric motion driven by another path as well.
    let text = "
twin Pair {
  units: off
  states { x: Real = 1; y: Real = 1; z: Real = 1 }
  variables { u: Real; v: Real }
  equations {
    u = white_noise()
    v = white_noise()
    der(x) = 0.5*x*u
    der(y) = 0.3*y*u + 0.4*y*v
    der(z) = 0.1*(x - z) + 0.6*z*v
  }
}
scenario run for Pair { duration: 1 s; solver: milstein(step: 1 ms) }";
    let mut m = model(text);
    let error = |k: i32, m: &mut Model| {
        let mut sum = 0.0;
        for seed in 0..200 {
            let mut w = [0.0; 2];
            m.paths(seed).at(1.0, &mut w);
            let x = m.end("milstein", 0.5f64.powi(k), seed);
            let (ex, ey) =
                ((-0.125 + 0.5 * w[0]).exp(), (-0.5 * (0.09 + 0.16) + 0.3 * w[0] + 0.4 * w[1]).exp());
            sum += (x[0] - ex).abs() + (x[1] - ey).abs();
        }
        sum / 200.0
    };
    let errors: Vec<f64> = (3..=7).map(|k| error(k, &mut m)).collect();
    assert!((order(&errors) - 1.0).abs() < 0.12, "{errors:?}");
}

/// The Heisenberg group: the area between two paths.
#[test]
fn noises_that_do_not_commute_are_refused_by_name() {
    let text = "
twin Heisenberg {
  units: off
  states { x: Real = 0; y: Real = 0; z: Real = 0 }
  variables { u: Real; quiet: Real; v: Real }
  equations { u = white_noise(); quiet = white_noise(); v = white_noise()
    der(x) = u + 0.1*quiet; der(y) = v; der(z) = x*v }
}
scenario run for Heisenberg { duration: 1 s; solver: milstein(step: 10 ms) }";
    let mut m = model(text);
    let report = m.with("milstein", 0.01, 0);
    let Ended::Failed(failure) = &report.ended else { panic!("{:?}", report.ended) };
    let FailureKind::NotCommuting { pair } = &failure.kind else { panic!("{failure}") };
    assert_eq!(pair, &["noise#1".to_owned(), "noise#3".to_owned()]);
    assert_eq!(failure.origins.len(), 2);
    assert!(matches!(m.with("euler", 0.01, 0).ended, Ended::Complete));
}

const REGIONS: &str = "
twin Region {
  parameters { index: Int = 0 }
  inputs { imported: Real = 0 }
  states { s: Real = 0.999 where 0 <= self <= 1 else clamp; i: Real = 1e-3 where self >= 0 else clamp; top: Real = 0 }
  variables { w: Real[s^-0.5] }
  equations {
    w = white_noise()
    der(s) = -0.4 [1/s]*s*(i + imported) - 0.3 [s^-0.5]*s*i*w
    der(i) = 0.4 [1/s]*s*(i + imported) - 0.1 [1/s]*i + 0.3 [s^-0.5]*s*i*w
  }
  behavior { every 1 s { top = max(top, i) } }
}
system twin Country {
  twins { regions: Region[4] { index = i for i } }
  equations { for k in 0..4 { regions[k].imported = sum(0.01*regions[j].i for j in 0..4 if j != k) } }
}
scenario season for Country { duration: 20 s; solver: milstein(step: 0.1 s) }";

/// Interpreter and machine code agree in every bit, behaviour included; another seed is another run.
#[test]
fn the_machine_changes_no_bit() {
    let mut m = model(REGIONS);
    m.experiment.seed = 5;
    for method in ["euler", "milstein"] {
        m.experiment.solver.method = method.to_owned();
        let bits = |machine: &mut dyn Machine, m: &Model| {
            let mut watch = |_| Flow::Continue;
            let e = &m.experiment;
            let report = run::simulate(&m.program, machine, e, outlets(&m.program, e), &mut watch).unwrap();
            assert!(matches!(report.ended, Ended::Complete), "{:?}", report.ended);
            report.last[0].iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        let one = bits(&mut Interpreter::new(&m.program), &m);
        let mut compiled = Compiled::compile(m.program.clone(), OptLevel::O0).unwrap();
        assert_eq!(one, bits(&mut compiled, &m), "{method}");
        let mut other = Model { experiment: m.experiment.clone(), ..model(REGIONS) };
        other.experiment.seed = 6;
        assert_ne!(one, bits(&mut compiled, &other), "{method}");
    }
}

/// A smaller step refines the same path, whatever the ratio, with timers that cut steps and with limits.
#[test]
fn a_smaller_step_refines_the_same_path() {
    let mut m = model(REGIONS);
    let fine = m.end("milstein", 1e-3, 9);
    let mut last = f64::INFINITY;
    for h in [0.1, 0.05, 0.02, 0.01] {
        let x = m.end("milstein", h, 9);
        let error = x.iter().zip(&fine).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(error < 0.75 * last, "step {h}: {error} after {last}");
        last = error;
    }
    assert!(last < 2e-3, "{last}");
}

/// Each instance and each occurrence has a path of its own; a shared variable one for both; a twin more changes none.
#[test]
fn paths_belong_to_twins() {
    let text = |n: u32, extra: &str| {
        format!(
            "
twin W {{
  units: off
  states {{ a: Real = 0; b: Real = 0; c: Real = 0; v: Real[1][2] = 0 }}
  variables {{ w: Real }}
  equations {{
    w = white_noise()
    der(a) = w
    der(b) = w
    der(c) = white_noise()
    der(v) = white_noise()
  }}
}}
twin Other {{ units: off; states {{ a: Real = 0 }} equations {{ der(a) = white_noise() }} }}
system twin All {{ units: off; twins {{ {extra} ws: W[{n}] }} }}
scenario run for All {{ duration: 1 s; solver: euler(step: 0.25 s); record ws.a, ws.b, ws.c, ws.v every 1 s }}"
        )
    };
    let three = model(&text(3, "")).end("euler", 0.25, 1);
    let (a, b, c, v) = (&three[0..3], &three[3..6], &three[6..9], &three[9..15]);
    assert_eq!(a, b);
    let mut all: Vec<u64> = a.iter().chain(c).chain(v).map(|x| x.to_bits()).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 12, "{three:?}");
    let four = model(&text(4, "o: Other;")).end("euler", 0.25, 1);
    assert_eq!(&four[0..3], a);
    assert_eq!(&four[8..11], c);
    // Where a loop is compiled in parts, its rounds keep their paths.
    let chain = |factor: &str| {
        let text = format!(
            "
twin Chain {{ units: off; states {{ v: Real[1][3] = 0 }}
  equations {{ for i in 0..3 {{ der(v[i]) = ({factor})*white_noise() }} }} }}
scenario run for Chain {{ duration: 1 s; solver: euler(step: 0.25 s) }}"
        );
        model(&text).end("euler", 0.25, 1)
    };
    let (whole, parts) = (chain("1"), chain("if i == 0 then 2 else 1"));
    assert_eq!([2.0 * whole[0], whole[1], whole[2]], parts[..]);
}

/// Additive noise: the end of a run is exactly the sum of the path's increments, also where timers cut steps.
#[test]
fn the_path_is_exact_at_every_instant() {
    let text = "
twin Walk {
  units: off
  states { x: Real = 0; seen: Real = 0; last: Real = 0 }
  equations { der(x) = white_noise() }
  behavior { every 70 ms { seen = seen + 1; x = x } on rising(x > 0.05) { last = time } }
}
scenario run for Walk { duration: 1 s; solver: euler(step: 0.1 s) }";
    let mut m = model(text);
    for seed in 0..20 {
        let x = m.end("euler", 0.1, seed);
        let mut w = [0.0];
        m.paths(seed).at(1.0, &mut w);
        assert!((x[0] - w[0]).abs() < 1e-12, "{x:?} {w:?}");
        assert_eq!(x[1], 15.0);
    }
}

/// A state that noise carries over its limit is put back on it, and this is told.
#[test]
fn limits_hold() {
    let text = "
twin Walk {
  units: off
  states { x: Real = 0.1 where 0 <= self <= 1 else clamp }
  equations { der(x) = 3*white_noise() }
  constraints { inside: always(x >= 0 and x <= 1) }
}
scenario run for Walk { duration: 10 s; solver: euler(step: 10 ms); expect inside }";
    let mut m = model(text);
    let report = m.with("euler", 0.01, 2);
    assert!(matches!(report.ended, Ended::Complete));
    assert_eq!(report.broken.len(), 1);
    assert!(report.broken[0].clamped && report.broken[0].times > 5, "{:?}", report.broken);
    let judged = report.verdicts[0].unwrap();
    assert!(matches!(judged.verdict, twinml_engine::monitor::Verdict::Holds), "{judged:?}");
}

#[test]
fn other_solvers_are_refused_and_auto_is_euler() {
    let mut m = model(GBM);
    for method in ["bdf", "tsit5", "rk4", "rosenbrock"] {
        m.experiment.solver.method = method.to_owned();
        let error = run::solver(&m.program, &m.experiment).unwrap_err();
        assert!(matches!(error, RunError::Stochastic { .. }), "{error}");
    }
    m.experiment.solver = Default::default();
    let (method, options) = run::solver(&m.program, &m.experiment).unwrap();
    assert_eq!((method.name(), options.h), ("euler", Some(1e-3)));
}

/// A linear loop that holds noise: the mass matrix of two coupled masses.
#[test]
fn linear_loops_may_hold_noise() {
    let text = "
twin Masses {
  units: off
  states { v: Real = 0; u: Real = 0 }
  equations {
    2*der(v) + der(u) = white_noise() - v
    der(v) + 3*der(u) = -u
  }
}
scenario run for Masses { duration: 1 s; solver: euler(step: 1 ms) }";
    let mut m = model(text);
    let x = m.end("euler", 1e-3, 4);
    // The same, solved by hand.
    let by_hand = text
        .replace("2*der(v) + der(u) = white_noise() - v", "der(v) = (3*(w - v) + u)/5")
        .replace("der(v) + 3*der(u) = -u", "der(u) = (-2*u - (w - v))/5\n w = white_noise()");
    let by_hand = by_hand.replace("  equations", "  variables { w: Real }\n  equations");
    let y = model(&by_hand).end("euler", 1e-3, 4);
    assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-10), "{x:?} {y:?}");
}
