//! Many runs side by side end as each does alone, to the bit: at every level, with any number of neighbours, whatever
//! happens in them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::monitor::Verdict;
use twinml_engine::record::{MemoryRecorder, MemoryRows};
use twinml_engine::run::{
    self, Ended, Fleet, Flow, LaneShare, MachineKind, Next, Outlet, Port, Prepared, Report, RunError, Sample,
};
use twinml_jit::lanes::Isa;
use twinml_model::host::{Machine, Memory};
use twinml_model::ir::Space;
use twinml_model::lanes::NotLanes;
use twinml_model::passes::{self, Level};
use twinml_model::program::{Experiment, Program};

struct Model {
    name: String,
    program: Program,
    experiment: Experiment,
    /// Runs end once their verdicts are decided.
    until_decided: bool,
}

impl Model {
    fn text(name: &str, text: &str, scenario: Option<&str>) -> Model {
        let mut session = Session::check("fleet.twinml", text, &MemoryLoader::default());
        let choice = Choice { scenario, ..Choice::default() };
        let Some(compiled) = session.compile(choice, &mut NoData) else {
            let said: Vec<String> = session.diags.iter().map(|d| d.message.clone()).collect();
            panic!("{name} does not compile: {said:#?}");
        };
        let mut program = compiled.program;
        passes::prepare(&mut program, Level::O2, true);
        Model { name: name.to_owned(), program, experiment: compiled.experiment, until_decided: false }
    }

    fn file(path: &str, scenario: Option<&str>) -> Model {
        let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        Model::text(path, &std::fs::read_to_string(at).unwrap(), scenario)
    }

    fn solver(mut self, method: &str, rtol: f64, atol: f64) -> Model {
        self.experiment.solver.method = method.to_owned();
        (self.experiment.solver.rtol, self.experiment.solver.atol) = (Some(rtol), Some(atol));
        self
    }

    fn step(mut self, method: &str, h: f64) -> Model {
        self.experiment.solver.method = method.to_owned();
        self.experiment.solver.step = Some(h);
        self
    }

    /// Parameters of run `k`: all but truth values are moved by up to two percent.
    fn param(&self, k: u32) -> Vec<f64> {
        let mut memory = Memory::new(&self.program);
        let param = memory.space_mut(Space::Param);
        for (slot, p) in param.iter_mut().enumerate() {
            let h = (slot as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(u64::from(k) + 3);
            let part = (h >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
            if k > 0 && *p != 0.0 && *p != 1.0 {
                *p *= 1.0 + 0.04 * part;
            }
        }
        param.to_vec()
    }

    fn outlets(&self) -> (Vec<Outlet>, Vec<MemoryRows>) {
        let plans = run::plans(&self.program, &self.experiment, false).unwrap();
        let one = |plan: run::Plan| {
            let (recorder, rows) = MemoryRecorder::new(plan.columns().clone());
            (Outlet { plan, recorder: Box::new(recorder) }, rows)
        };
        plans.into_iter().map(one).unzip()
    }

    fn alone(&self, machine: &dyn Machine, prepared: &Prepared, k: u32) -> String {
        let (outlets, rows) = self.outlets();
        let param = self.param(k);
        let sample = Some(Sample { run: k, param: &param });
        let mut watch = |_| Flow::Continue;
        let report = prepared
            .run(&self.program, machine, &self.experiment, sample, outlets, None, &mut watch)
            .unwrap();
        said(&report, &rows)
    }

    fn prepared(&self, machine: &mut dyn Machine) -> Prepared {
        let prepared = Prepared::new(&self.program, machine, &self.experiment).unwrap();
        if self.until_decided { prepared.until_decided() } else { prepared }
    }

    /// Steps and verdicts of run `k`, alone.
    fn verdicts(&self, k: u32) -> (u64, Vec<Verdict>, Report) {
        let mut machine = run::machine(&self.program, MachineKind::Jit(2));
        let prepared = self.prepared(&mut *machine);
        let (outlets, _) = self.outlets();
        let param = self.param(k);
        let sample = Some(Sample { run: k, param: &param });
        let mut watch = |_| Flow::Continue;
        let report = prepared
            .run(&self.program, &*machine, &self.experiment, sample, outlets, None, &mut watch)
            .unwrap();
        let verdicts = report.verdicts.iter().flatten().map(|j| j.verdict).collect();
        (report.stats.steps, verdicts, report)
    }

    /// On lanes every run is what it is alone, to the bit.
    fn check(&self, runs: u32, level: Option<NotLanes>) {
        let mut machine = run::machine(&self.program, MachineKind::Jit(2));
        let prepared = self.prepared(&mut *machine);
        let want: Vec<String> = (0..runs).map(|k| self.alone(&*machine, &prepared, k)).collect();
        for isa in Isa::ALL.into_iter().filter(|i| i.available()) {
            // The block interpreter takes its time.
            let runs = if isa == Isa::Block { runs.min(3) } else { runs };
            for lanes in if isa == Isa::Block { vec![2] } else { vec![1, 24] } {
                let share = LaneShare::new(&self.program, isa, lanes);
                let mut batch =
                    Batch { model: self, next: 0, of: runs, open: BTreeMap::new(), said: BTreeMap::new() };
                Fleet::new(&self.program, &*machine, &self.experiment, &prepared, &share)
                    .run(&mut batch, &mut |_| Flow::Continue);
                for (k, want) in want.iter().enumerate().take(runs as usize) {
                    let got = &batch.said[&(k as u32)];
                    let at = want.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
                    let part = |s: &str| s[at.saturating_sub(100)..(at + 200).min(s.len())].to_owned();
                    assert!(
                        want == got,
                        "{} run {k}, {} with {lanes} lanes:\n{}\ninstead of\n{}",
                        self.name,
                        isa.name(),
                        part(got),
                        part(want)
                    );
                }
                assert_eq!(share.why(), level, "{}", self.name);
                if level.is_none() {
                    assert_eq!(share.level(), Some(isa.name()), "{}", self.name);
                }
            }
        }
    }
}

fn said(report: &Report, rows: &[MemoryRows]) -> String {
    let rows: Vec<_> = rows.iter().map(MemoryRows::rows).collect();
    let work = (report.stats.steps, report.stats.rejected, report.stats.restarts);
    format!(
        "{:?} at {:?}, {} samples, {} events, {work:?}, ranges {:?}, verdicts {:?}, figures {:?}, rows {rows:?}",
        report.ended, report.time, report.samples, report.events, report.broken, report.verdicts, report.kpis
    )
}

struct Batch<'a> {
    model: &'a Model,
    next: u32,
    of: u32,
    open: BTreeMap<u32, Vec<MemoryRows>>,
    said: BTreeMap<u32, String>,
}

impl Port for Batch<'_> {
    fn next(&mut self, _: bool) -> Next {
        if self.next == self.of {
            return Next::Over;
        }
        let run = self.next;
        self.next += 1;
        let (outlets, rows) = self.model.outlets();
        self.open.insert(run, rows);
        Next::Run { run, param: self.model.param(run), outlets }
    }

    fn done(&mut self, run: u32, report: Result<Report, RunError>) {
        let rows = self.open.remove(&run).unwrap();
        assert!(self.said.insert(run, said(&report.unwrap(), &rows)).is_none());
    }
}

const DECAY: &str = "twin Decay {
  parameters { k: Real[1/s] = 0.5 ~ lognormal(0.5, 0.1); a: Real = 2.5 }
  states { x: Real = 1 }
  outputs { y: Real = a * x }
  equations { der(x) = -k * x }
}
scenario main for Decay { duration: 4 s; record all every 500 ms }";

const LORENZ: &str = "twin Lorenz {
  parameters { s: Real[1/s] = 10 [1/s]; r: Real = 28; b: Real[1/s] = 2.5 [1/s] }
  states { x: Real = 1; y: Real = 1; z: Real = 20 }
  equations { der(x) = s*(y - x); der(y) = (x*(r - z) - y)*1 [1/s]; der(z) = x*y*1 [1/s] - b*z }
  constraints {
    bounded: always(z < 44)
    returns: always[0 s, 2 s](eventually[0 s, 1 s](x > 0))
    kpi top: max(z over run)
    kpi mean: mean(x over run)
  }
}
scenario main for Lorenz { duration: 5 s; expect bounded }";

const NOISE: &str = "twin Trap {
  parameters { k: Real[1/s] = 2.5 [1/s]; d: Real[1/s^0.5] = 0.7 [1/s^0.5] }
  states { x: Real = 0.3; y: Real[1][2] = 0.5; n: Int = 0 }
  equations {
    der(x) = -k * x + d * white_noise()
    for i in 0..2 { der(y[i]) = (x - y[i])*1 [1/s] + 0.2 [1/s^0.5] * y[i] * white_noise() }
  }
  behavior { on rising(x > 0.9) { n = n + 1; x = 0.1 } }
  constraints {
    small: always(x < 1.5)
    kpi top: max(x over run)
  }
}
scenario main for Trap { duration: 3 s; record all every 100 ms; expect small }";

const MODES: &str = "twin Tank {
  parameters { k: Real[1/s] = 0.31 [1/s]; top: Real = 0.83; low: Real = 0.22 }
  inputs { feed: Real[1/s] = 0.21 [1/s] }
  states { h: Real = 0.4; starts: Int = 0; spilt: Real = 0 }
  outputs { wet: Bool = h > 0.5 }
  equations {
    der(h) = feed + (if mode.on then 0.4 [1/s] else 0 [1/s]) - k*h
    der(spilt) = max(h - top, 0)*1 [1/s]
  }
  behavior {
    machine mode {
      initial off
      state off { when h < low -> on { starts = starts + 1 } }
      state on { on rising(h > top) -> off }
    }
    every 700 ms { if draw(bernoulli(0.4)) { h = h + 0.03 } }
    after 3 s { feed = 0.02 [1/s] }
  }
  constraints {
    dry: always(h > 0.1)
    full: eventually[0 s, 5 s](h > 0.8)
    again: always[0 s, 6 s](h < 0.25 implies eventually[0 s, 3 s](h > 0.4))
    kpi mean: mean(h over run)
    kpi cycles: starts
    kpi part: fraction(wet over run)
  }
}
scenario main for Tank { duration: 12 s; record all every 250 ms; at 5 s { feed = 0 [1/s] } expect dry, full, again }";

#[test]
fn smooth_runs() {
    let ends = DECAY.replace(" record all every 500 ms ", "");
    for (name, text) in [("decay", DECAY), ("decay, ends", &ends)] {
        Model::text(name, text, None).solver("tsit5", 1e-6, 1e-9).check(14, None);
        Model::text(name, text, None).solver("dopri5", 1e-6, 1e-9).check(14, None);
        Model::text(name, text, None).solver("rosenbrock", 1e-6, 1e-9).check(14, None);
        Model::text(name, text, None).check(14, None);
        for h in [0.05, 0.03] {
            Model::text(name, text, None).step("rk4", h).check(14, None);
            Model::text(name, text, None).step("euler", h).check(14, None);
        }
    }
}

#[test]
fn requirements() {
    let model = || Model::text("lorenz", LORENZ, None);
    model().solver("tsit5", 1e-6, 1e-9).check(8, None);
    model().solver("dopri5", 1e-6, 1e-9).check(8, None);
    model().solver("rosenbrock", 1e-5, 1e-8).check(8, None);
    model().check(8, None);
    model().step("rk4", 0.011).check(8, None);
    model().step("euler", 0.001).check(8, None);
}

#[test]
fn noise() {
    Model::text("noise", NOISE, None).step("euler", 0.01).check(6, None);
    let calm = NOISE
        .replace("on rising(x > 0.9) { n = n + 1; x = 0.1 }", "")
        .replace("small: always(x < 1.5)", "")
        .replace("kpi top: max(x over run)", "")
        .replace("expect small", "");
    Model::text("noise alone", &calm, None).step("euler", 0.013).check(6, None);
    Model::text("noise", NOISE, None).step("milstein", 0.01).check(3, Some(NotLanes::Method));
}

#[test]
fn modes_timers_actions_and_draws() {
    let model = || Model::text("tank", MODES, None);
    model().solver("tsit5", 1e-6, 1e-9).check(8, None);
    model().solver("rosenbrock", 1e-6, 1e-9).check(8, None);
    model().solver("dopri5", 1e-6, 1e-9).check(4, None);
    model().solver("auto", 1e-6, 1e-9).check(8, None);
    model().step("rk4", 0.05).check(8, None);
    model().step("euler", 0.01).check(8, None);
}

#[test]
fn multistep_methods_go_alone() {
    // `auto` takes Adams where an evaluation is much work.
    let model = || Model::file("tests/hybrid/rectifier.twinml", None);
    model().solver("tsit5", 1e-6, 1e-9).check(3, None);
    model().solver("auto", 1e-6, 1e-9).check(3, Some(NotLanes::Method));
}

/// Robertson's kinetics beside a rotation that nothing excites and that is too fast in some runs: their diagonal does not
/// serve, and they go on alone, with BDF.
const STIFF: &str = "twin Kinetics {
  parameters { k: Real = 0.04; w: Real = 5e6 }
  states { a: Real = 1; b: Real = 0; c: Real = 0; u: Real = 0; v: Real = 0 }
  equations {
    der(a) = (-k*a + 1e4*b*c)*1 [1/s]
    der(b) = (k*a - 1e4*b*c - 3e7*b^2)*1 [1/s]
    der(c) = 3e7*b^2*1 [1/s]
    der(u) = w*v*1 [1/s]
    der(v) = -w*u*1 [1/s]
  }
  constraints { slow: always(c < 0.9); kpi half: mean(c over run) }
}
scenario main for Kinetics { duration: 40 s; record all every 5 s; expect slow }";

#[test]
fn stiff_runs_and_runs_whose_pivots_do_not_serve() {
    let ends = STIFF.replace(" record all every 5 s;", "");
    for (name, text) in [("kinetics", STIFF), ("kinetics, ends", &ends)] {
        Model::text(name, text, None).solver("rosenbrock", 1e-6, 1e-10).check(14, None);
        Model::text(name, text, None).solver("rosenbrock", 1e-4, 1e-8).check(14, None);
    }
}

#[test]
fn events() {
    for name in ["ball", "bang_bang", "neuron", "sampled_pi", "stick_slip", "thermostat", "two_balls"] {
        let path = format!("tests/hybrid/{name}.twinml");
        Model::file(&path, None).solver("tsit5", 1e-6, 1e-9).check(4, None);
        Model::file(&path, None).solver("rosenbrock", 1e-6, 1e-9).check(4, None);
        Model::file(&path, None).solver("auto", 1e-6, 1e-9).check(4, None);
        Model::file(&path, None).step("rk4", 2e-2).check(4, None);
    }
}

/// One state that crosses its bounds at instants known by hand: x = 2 exp(-k t) with k near 0.5.
fn decays(constraints: &str) -> Model {
    let text = format!(
        "twin Decay {{
  parameters {{ k: Real[1/s] = 0.5; b: Real = 0.7 }}
  states {{ x: Real = 2; hits: Int = 0 }}
  equations {{ der(x) = -k * x }}
  behavior {{ on rising(x < 1.5) {{ hits = hits + 1 }} }}
  constraints {{ {constraints} }}
}}
scenario main for Decay {{ duration: 100 s }}"
    );
    Model::text(constraints, &text, None).step("rk4", 0.1)
}

/// A run ends once all its verdicts are decided, and only then: its verdicts are those of the whole run, and each run on
/// lanes is what it is alone.
#[test]
fn runs_end_when_their_verdicts_are_decided() {
    // The instants: 2 exp(-t/2) is 1 at 1.39 s and 0.5 at 2.77 s. A verdict is known one step after the instant that decides.
    let cases = [
        ("a: always(x > 1)", 15),
        ("a: always(x > 1); b: eventually(x < 0.5)", 29),
        ("a: eventually[0 s, 20 s](x < 0.5)", 29),
        ("a: always[0 s, 20 s](x > -1)", 201),
        ("a: always[0 s, 20 s](x > 0.5 or hits >= 1)", 201),
        ("a: always(x > 1 implies eventually[0 s, 3 s](x < 1))", 1000),
        ("a: (x > 0) until (x < 1)", 15),
        ("a: always(b > 0.8)", 1),
        // What holds up to the end is decided there, and so is what the end is asked for.
        ("a: always(x > -1)", 1000),
        ("a: always(x > 1); b: always(x > -1)", 1000),
        ("a: (max(x over run)) > 1", 1000),
    ];
    let mut found = Vec::new();
    for (constraints, _) in cases {
        let whole = decays(constraints);
        let early = Model { until_decided: true, ..decays(constraints) };
        for k in 0..3 {
            let ((all, want, _), (some, got, report)) = (whole.verdicts(k), early.verdicts(k));
            assert_eq!(want, got, "{constraints}, run {k}");
            assert_eq!(all, 1000, "{constraints}");
            assert_eq!(
                matches!(report.ended, Ended::Decided),
                some < all,
                "{constraints}: {:?}",
                report.ended
            );
            if k == 0 {
                found.push((constraints, some));
            }
        }
        early.check(3, None);
    }
    assert_eq!(found, cases);
    for model in [LORENZ, NOISE, MODES] {
        for k in 0..6 {
            let whole = Model::text("whole", model, None).step("euler", 0.002);
            let early =
                Model { until_decided: true, ..Model::text("early", model, None).step("euler", 0.002) };
            assert_eq!(whole.verdicts(k).1, early.verdicts(k).1);
        }
    }
}
