//! A run that goes on from a snapshot is the run that was never interrupted: rows, log of events, verdicts, counters, to
//! the bit. And a change at T made on the way is the scenario's `at T`.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use random::Random;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::{DataError, DataLoader, DataRequest};
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::data::Frame;
use twinml_engine::record::{Element, MemoryRecorder, MemoryRows, Recorder};
use twinml_engine::run::{
    self, Change, Flow, Keep, MachineKind, Onward, OpenLog, Outlet, Prepared, Report, ResumeError,
};
use twinml_engine::snapshot::State;
use twinml_model::host::{Host, KernelId, Machine, Memory};
use twinml_model::ir::{Kernel, Space, Trap};
use twinml_model::passes::{self, Level};
use twinml_model::program::{Experiment, Program};

/// Data files beside a model.
struct Beside(PathBuf);

impl DataLoader for Beside {
    fn column(&mut self, request: DataRequest<'_>) -> Result<Vec<f64>, DataError> {
        let bytes = std::fs::read(self.0.join(request.file)).map_err(|_| DataError::NotFound)?;
        let frame = Frame::from_bytes(request.file, bytes).unwrap();
        Ok(frame.numbers(request.column).unwrap().values)
    }
}

struct Model {
    program: Program,
    experiment: Experiment,
    /// The scenario's branches, as runs of their own.
    branches: Vec<Experiment>,
}

/// What a run left: rows of each file, lines of the log, what it says of itself.
#[derive(PartialEq)]
struct Ran {
    rows: Vec<Vec<Vec<u64>>>,
    log: Vec<String>,
    said: String,
}

fn compile(text: &str, scenario: Option<&str>, folder: &Path) -> Model {
    let mut session = Session::check("model.twinml", text, &MemoryLoader::new());
    let choice = Choice { scenario, ..Choice::default() };
    let Some(compiled) = session.compile(choice, &mut Beside(folder.to_owned())) else {
        let said: Vec<String> = session.diags.iter().map(|d| d.message.clone()).collect();
        panic!("does not compile: {said:#?}");
    };
    let mut program = compiled.program;
    passes::prepare(&mut program, Level::O2, true);
    let branches = compiled.branches.into_iter().map(|b| b.experiment).collect();
    Model { program, experiment: compiled.experiment, branches }
}

/// What a report says, but for what it wrote itself.
fn said(report: &Report) -> String {
    format!(
        "{:?}",
        (
            (&report.ended, report.time, report.samples, report.events, report.method, report.choice),
            (&report.stats, &report.broken, report.broken_total, &report.logs, report.said, &report.last),
            (&report.verdicts, &report.kpis, report.held_rows),
        )
    )
}

/// How a run is begun.
enum From<'s> {
    Start,
    State(&'s State, &'s [Change]),
}

/// A log of events as it was kept: its columns and rows.
type Kept = Arc<Mutex<Option<(Vec<Element>, MemoryRows)>>>;

impl Model {
    fn with(&self, solver: &str, step: Option<f64>) -> Model {
        let mut experiment = self.experiment.clone();
        experiment.solver.method = solver.to_owned();
        experiment.solver.step = step.or(experiment.solver.step);
        Model { program: self.program.clone(), experiment, branches: self.branches.clone() }
    }

    /// The first branch of the scenario with the same solver.
    fn branch(&self) -> Model {
        let mut experiment = self.branches[0].clone();
        experiment.solver = self.experiment.solver.clone();
        Model { program: self.program.clone(), experiment, branches: Vec::new() }
    }

    fn ready(&self) -> (Box<dyn Machine>, Prepared) {
        let mut machine = run::machine(&self.program, MachineKind::Jit(0));
        let prepared = Prepared::new(&self.program, &mut *machine, &self.experiment).unwrap();
        (machine, prepared)
    }

    fn go(
        &self,
        (machine, prepared): &(Box<dyn Machine>, Prepared),
        from: From<'_>,
        keep: Option<Keep<'_>>,
    ) -> Result<Ran, ResumeError> {
        let plans = run::plans(&self.program, &self.experiment, false).unwrap();
        let mut rows: Vec<MemoryRows> = Vec::new();
        let mut outlets = Vec::new();
        for plan in plans {
            let (recorder, kept) = MemoryRecorder::new(plan.columns().clone());
            rows.push(kept);
            outlets.push(Outlet { plan, recorder: Box::new(recorder) });
        }
        let log: Kept = Arc::default();
        let kept = log.clone();
        let open: OpenLog<'_> = Box::new(move |columns| {
            let (recorder, rows) = MemoryRecorder::new(columns.clone());
            let elements = columns.specs().iter().map(|c| c.element.clone()).collect();
            *kept.lock().unwrap() = Some((elements, rows));
            Ok(Box::new(recorder) as Box<dyn Recorder>)
        });
        let (program, experiment) = (&self.program, &self.experiment);
        let watch = &mut |_| Flow::Continue;
        let report = match from {
            From::Start => prepared
                .run_kept(program, &**machine, experiment, None, outlets, Some(open), keep, watch)
                .map_err(ResumeError::from)?,
            From::State(state, changes) => {
                let onward = Onward { changes, ..Onward::default() };
                let from = (state, onward);
                prepared.resume(program, &**machine, experiment, 0, from, outlets, Some(open), keep, watch)?
            }
        };
        let bits =
            |r: &MemoryRows| r.rows().iter().map(|r| r.iter().map(|v| v.to_bits()).collect()).collect();
        let log = log.lock().unwrap().take().map_or_else(Vec::new, |(elements, rows)| {
            let cell = |(e, v): (&Element, &f64)| match e {
                Element::Text(words) => words[*v as usize].clone(),
                _ => format!("{:016x}", v.to_bits()),
            };
            let line = |r: &Vec<f64>| elements.iter().zip(r).map(cell).collect::<Vec<_>>().join(" ");
            rows.rows().iter().map(line).collect()
        });
        Ok(Ran { rows: rows.iter().map(bits).collect(), log, said: said(&report) })
    }
}

/// Runs a model to its end, and on from the states at these parts of its duration.
fn check(name: &str, model: &Model, parts: &[f64]) {
    let ready = model.ready();
    let whole = model.go(&ready, From::Start, None).unwrap();
    let duration = model.experiment.duration;
    let mut times: Vec<i128> = parts.iter().map(|p| (p * duration * 1e9) as i128).collect();
    times.sort_unstable();
    let mut states: Vec<State> = Vec::new();
    let asked = times.clone();
    let keep = Keep {
        next: Box::new(move |after| asked.iter().copied().find(|t| *t > after)),
        take: Box::new(|s| {
            states.push(s);
            Ok(())
        }),
    };
    let kept = model.go(&ready, From::Start, Some(keep)).unwrap();
    assert!(kept == whole, "{name}: taking snapshots changed the run");
    times.dedup();
    assert_eq!(states.len(), times.len(), "{name}: {times:?}");
    for state in &states {
        let at = state.clock.asked as f64 / 1e9;
        assert!(state.clock.time <= at, "{name}");
        let rest = match model.go(&ready, From::State(state, &[]), None) {
            Ok(rest) => rest,
            Err(e) => panic!("{name} from {at} s: {e}"),
        };
        for (k, (rest, whole)) in rest.rows.iter().zip(&whole.rows).enumerate() {
            let skipped = whole.len() - rest.len().min(whole.len());
            assert!(
                whole[skipped..] == rest[..],
                "{name} from {at} s (step at {}): rows of file {k} are others, {} of {}",
                state.clock.time,
                rest.len(),
                whole.len()
            );
            let before = |r: &Vec<u64>| f64::from_bits(r[0]) <= state.clock.time.max(0.0);
            assert!(whole[..skipped].iter().all(before), "{name} from {at} s: rows are missing");
        }
        let skipped = whole.log.len() - rest.log.len().min(whole.log.len());
        assert!(whole.log[skipped..] == rest.log[..], "{name} from {at} s: events are others");
        assert_eq!(rest.said, whole.said, "{name} from {at} s");
    }
}

/// The model and the scenarios of each example.
fn examples() -> BTreeMap<String, (PathBuf, String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../twinml-examples");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
        let file = files.into_iter().find(|p| p.extension().is_some_and(|x| x == "twinml")).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        let named = text.lines().filter_map(|l| l.strip_prefix("scenario "));
        let scenarios: Vec<String> = named.map(|l| l.split_whitespace().next().unwrap().to_owned()).collect();
        assert!(!scenarios.is_empty(), "{}", folder.display());
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        all.insert(name, (folder, text, scenarios));
    }
    all
}

#[test]
fn every_example_goes_on_from_twenty_instants() {
    let mut r = Random(0x5eed_0005_0a1b_2c3d);
    for (name, (folder, text, scenarios)) in examples() {
        for scenario in &scenarios {
            let model = compile(&text, Some(scenario), &folder);
            let parts: Vec<f64> = (0..20).map(|_| r.unit()).collect();
            check(&format!("{name} {scenario}"), &model, &parts);
        }
    }
}

const SOLVERS: [(&str, Option<f64>); 13] = [
    ("euler", Some(0.001)),
    ("rk4", Some(0.002)),
    ("tsit5", None),
    ("dopri5", None),
    ("taylor", None),
    ("adams", None),
    ("implicit_euler", None),
    ("rosenbrock", None),
    ("bdf", None),
    ("esdirk", None),
    ("trbdf2", None),
    ("diffsol_bdf", None),
    ("auto", None),
];

/// Stiff once, smooth all the time: `auto` changes its method.
const STIFF: &str = "
twin T { units: off
  states { x: Real = 2; v: Real = 0; y: Real = 1 }
  equations { der(x) = v; der(v) = 50*(1 - x^2)*v - x; der(y) = -y + sin(x) }
  constraints { low: always(y < 1.5); back: eventually[0, 8](x < 0) }
}
scenario s for T { duration: 10 s; record all every 100 ms }";

/// An algebraic loop, a delay, a table of time, a machine, events that restart and events that do not.
const HYBRID: &str = "
twin T { units: off
  parameters { k: Real = 3 }
  inputs { u: Real = 1 }
  states { h: Real = 1; w: Real = 0; n: Int = 0; on: Bool = true }
  variables { q: Real guess 1; d: Real }
  outputs { power: Real = q*h }
  equations {
    q + 0.1*q^3 = u*h
    d = delay(h, 0.3 s)
    der(h) = (if on then 1 else 0) - q*0.5 - 0.1*d
    der(w) = k*sin(2*time) - w
  }
  behavior {
    on rising(h > 1.2) { on = false; n = n + 1; emit full(level: h) }
    on falling(h > 0.8) { on = true }
    every 700 ms { n = n + draw(uniform(0, 10)) > 5 ? 1 : 0 }
    machine mode { initial idle
      state idle { after 1 s -> busy }
      state busy { entry { wait 200 ms; n = n + 1 } on full -> idle }
    }
    on count(full, 2 within 5 s) { log(\"twice at ${time}\") }
  }
  constraints { below: always(h < 2) ; kpi area: integral(h over run) }
}
scenario s for T { duration: 10 s; record all every 100 ms }";

#[test]
fn every_solver_goes_on() {
    let folder = Path::new(".");
    let hybrid = HYBRID.replace("n = n + draw(uniform(0, 10)) > 5 ? 1 : 0", "w = w + draw(uniform(0, 0.1))");
    let models = [("stiff", compile(STIFF, None, folder)), ("hybrid", compile(&hybrid, None, folder))];
    let mut r = Random(0x0dd_5eed_1234_9999);
    for (name, model) in &models {
        for (solver, step) in SOLVERS {
            if solver == "taylor" && *name == "hybrid" {
                // No series goes through a loop or a delay.
                continue;
            }
            let parts: Vec<f64> = (0..4).map(|_| r.unit()).chain([0.0, 1.0]).collect();
            check(&format!("{name} {solver}"), &model.with(solver, step), &parts);
        }
    }
    // Without a delay a whole step is code, loop included; where the loop takes many corrections a step is none for it.
    let easy = hybrid.replace("d = delay(h, 0.3 s)", "d = 0.5*h");
    let hard = easy.replace("q + 0.1*q^3 = u*h", "exp(6*q) + q^3 = 1 + u*h*(1 + 40*sin(9*time)^2)");
    for (name, text) in [("easy loop", &easy), ("hard loop", &hard)] {
        let parts: Vec<f64> = (0..8).map(|_| r.unit()).chain([0.0, 1.0]).collect();
        check(name, &compile(text, None, folder).with("rosenbrock", None), &parts);
    }
}

/// A Rosenbrock method has very many steps here, and `auto` tries backward differentiation in its place.
const SWING: &str = include_str!("../../../tests/accuracy/stiff_swing.twinml");

#[test]
fn a_stiff_method_on_trial_goes_on() {
    let model =
        compile(&SWING.replace("20 s", "4 s").replace("every 4 s", "every 10 ms"), None, Path::new("."));
    // The trials lie in the first half.
    let parts: Vec<f64> = (0..48).map(|k| f64::from(k) / 96.0).chain([0.7, 1.0]).collect();
    check("swing", &model, &parts);
}

/// Messages on their way, in a queue, with a handler that waits; twins that come and go, kept in a memory.
const MESSAGES: &str = "
twin Worker { units: off
  states { done: Int = 0 }
  behavior {
    on request(n: Int, late: Bool = false) from boss queued {
      wait 0.35; done = done + 1
      reply inform(n: n)
      if done > 4 { retire self }
    }
  }
}
twin Desk { units: off
  twins { workers: Worker[3..5] }
  states { x: Real = 0; sum: Int = 0; gone: Int = 0; told: Int = 0 }
  memory { known: Map<Int, Worker> }
  equations { der(x) = 1 - 0.1*x - 0.05*sum }
  behavior {
    every 0.3 {
      send request(n: floor(draw(uniform(0, 9)))) to workers after draw(uniform(0, 1)), ttl: 0.9
      for k, w in known { send cancel(k) to w priority k after 0.25 }
      if count(workers) < 3 { create Worker { } in workers }
    }
    on inform(n: Int) from w { sum = sum + n; x = x/2; known[sum - 3*floor(sum/3)] = w; after 0.4 { reply confirm } }
    on failure from w { gone = gone + 1 }
    on not_understood(message: String) { told = told + 1 }
  }
}
scenario s for Desk { duration: 10 s; record all every 100 ms; at 3 s { send request(4) to workers } }";

#[test]
fn messages_go_on() {
    let model = compile(MESSAGES, None, Path::new("."));
    let mut r = Random(0x3e55_a6e5_0000_0024);
    for solver in ["dopri5", "bdf"] {
        let parts: Vec<f64> = (0..12).map(|_| r.unit()).chain([0.0, 1.0]).collect();
        check(solver, &model.with(solver, None), &parts);
    }
}

/// Long enough for `auto` to ask for the code of whole steps and of series.
#[test]
fn auto_goes_on_with_code_that_is_made_on_the_way() {
    let smooth = "
twin T { units: off
  states { x: Real = 1; v: Real = 0 }
  equations { der(x) = v; der(v) = -x - 0.1*x^3 + 0.2*cos(1.3*time) }
}
scenario s for T { duration: 600 s; record all every 10 s }";
    let stiff = "
twin T { units: off
  states { x: Real = 2; v: Real = 0 }
  equations { der(x) = v; der(v) = 100*(1 - x^2)*v - x }
}
scenario s for T { duration: 4000 s; record all every 100 s }";
    let mut r = Random(0x5e41_e5ed_0a07_0001);
    for (name, text) in [("smooth", smooth), ("stiff", stiff)] {
        let model = compile(text, None, Path::new("."));
        let parts: Vec<f64> = (0..12).map(|_| r.unit()).collect();
        check(name, &model.with("auto", None), &parts);
    }
}

const NOISY: &str = "
twin T { units: off
  states { x: Real = 1; y: Real = 0 }
  equations { der(x) = -x + 0.3*x*white_noise(); der(y) = x - y }
}
scenario s for T { duration: 4 s; record all every 10 ms; seed: 7 }";

#[test]
fn paths_of_noise_go_on() {
    let model = compile(NOISY, None, Path::new("."));
    for solver in ["euler", "milstein"] {
        check(solver, &model.with(solver, Some(0.003)), &[0.1, 0.35, 0.5, 0.77, 0.99]);
    }
}

/// The state of a model at an instant.
fn taken(model: &Model, at: f64) -> State {
    let ready = model.ready();
    let mut state = None;
    let keep = Keep::at((at * 1e9).round() as i128, |s| {
        state = Some(s);
        Ok(())
    });
    model.go(&ready, From::Start, Some(keep)).unwrap();
    state.unwrap()
}

/// A change at an instant on the way from a snapshot is what a scenario does that makes it by `at`.
fn branches(name: &str, trunk: &Model, scenario: &Model, at: f64, change: &Change) {
    let ready = trunk.ready();
    let state = taken(trunk, at);
    let branch = trunk.go(&ready, From::State(&state, std::slice::from_ref(change)), None).unwrap();
    let whole = scenario.go(&scenario.ready(), From::Start, None).unwrap();
    for (branch, whole) in branch.rows.iter().zip(&whole.rows) {
        let skipped = whole.len() - branch.len().min(whole.len());
        assert!(!branch.is_empty() && whole[skipped..] == branch[..], "{name} at {at}: rows are others");
    }
    let skipped = whole.log.len() - branch.log.len().min(whole.log.len());
    assert_eq!(whole.log[skipped..], branch.log[..], "{name} at {at}: events are others");
    assert_eq!(branch.said, whole.said, "{name} at {at}");
}

#[test]
fn a_change_on_the_way_is_the_scenarios_own() {
    let folder = Path::new(".");
    let smooth = "
twin T { units: off
  parameters { k: Real = 3 }
  states { x: Real = 2; v: Real = 0; y: Real = 1 }
  equations { der(x) = v; der(v) = k*(1 - x^2)*v - x; der(y) = -y + sin(x) }
}";
    let mut r = Random(0xb4a7_5eed_0777_1010);
    for (solver, step) in SOLVERS {
        for _ in 0..3 {
            let at = (r.unit() * 9000.0).round() / 1000.0 + 0.5;
            let text = format!(
                "{smooth}\nscenario s for T {{ duration: 10 s; record all every 100 ms; branch b at {at} s {{ k = 1.5 }} }}"
            );
            let trunk = compile(&text, None, folder).with(solver, step);
            let scenario = trunk.branch();
            let var = trunk.program.schema.vars.iter().find(|v| v.element_path(0) == "k").unwrap();
            let text = scenario.program.origins[scenario.experiment.actions[0].origin.index()].text.clone();
            let set = vec![(Space::Param, var.base, 1.5)];
            let change = Change { at: (at * 1e9).round() as i128, text, set };
            branches(solver, &trunk, &scenario, at, &change);
        }
    }
}

/// Counts evaluations of the right-hand side.
struct Counting(Box<dyn Machine>, Arc<AtomicU64>);

impl Machine for Counting {
    fn run(&self, kernel: KernelId, memory: &mut Memory, host: &mut dyn Host) -> Result<(), Trap> {
        self.1.fetch_add(u64::from(kernel == KernelId::Rhs), Ordering::Relaxed);
        self.0.run(kernel, memory, host)
    }

    fn add(&mut self, kernel: Kernel) -> KernelId {
        self.0.add(kernel)
    }

    fn reserve(&mut self) -> KernelId {
        self.0.reserve()
    }

    fn fill(&self, place: KernelId, kernel: Kernel) {
        self.0.fill(place, kernel);
    }

    fn derived(&self) -> Option<&Program> {
        self.0.derived()
    }
}

#[test]
fn branches_that_go_on_from_the_trunk_leave_its_work_out() {
    let text = "
twin T { units: off
  parameters { k: Real = 3 }
  states { x: Real = 2; v: Real = 0 }
  equations { der(x) = v; der(v) = k*(1 - x^2)*v - x }
}
scenario s for T { duration: 10 s; record all every 100 ms; branch a at 6 s { k = 1 }; branch b at 8 s { k = 2 } }";
    let trunk = compile(text, None, Path::new(".")).with("tsit5", None);
    let count = Arc::new(AtomicU64::new(0));
    let counted = |model: &Model| {
        let mut machine: Box<dyn Machine> =
            Box::new(Counting(run::machine(&model.program, MachineKind::Jit(0)), count.clone()));
        let prepared = Prepared::new(&model.program, &mut *machine, &model.experiment).unwrap();
        (machine, prepared)
    };
    let mut states: Vec<State> = Vec::new();
    let keep = Keep {
        next: Box::new(|after| [6_000_000_000, 8_000_000_000].into_iter().find(|t| *t > after)),
        take: Box::new(|s| {
            states.push(s);
            Ok(())
        }),
    };
    trunk.go(&counted(&trunk), From::Start, Some(keep)).unwrap();
    let mut found = vec![count.swap(0, Ordering::Relaxed)];
    for (branch, state) in trunk.branches.iter().zip(&states) {
        let mut branch =
            Model { experiment: branch.clone(), program: trunk.program.clone(), branches: Vec::new() };
        branch.experiment.solver = trunk.experiment.solver.clone();
        assert!(run::shares(&trunk.experiment, &branch.experiment));
        let ready = counted(&branch);
        let whole = branch.go(&ready, From::Start, None).unwrap();
        found.push(count.swap(0, Ordering::Relaxed));
        let rest = branch.go(&ready, From::State(state, &[]), None).unwrap();
        found.push(count.swap(0, Ordering::Relaxed));
        // What a run says of its work is that of the whole.
        assert_eq!(rest.said, whole.said);
    }
    // The trunk; of each branch what it takes from the start, and what it takes from the trunk's state on.
    assert_eq!(found, [920, 796, 260, 892, 248]);
}

#[test]
fn what_is_past_cannot_be_changed_and_other_programs_are_refused() {
    let model = compile(STIFF, None, Path::new("."));
    let state = taken(&model, 5.0);
    let change = |at| Change { at, text: "x = 0".into(), set: vec![(Space::State, 0, 0.0)] };
    let ready = model.ready();
    let said = |r: Result<Ran, ResumeError>| r.err().unwrap().to_string();
    let past = said(model.go(&ready, From::State(&state, &[change(1_000_000_000)]), None));
    assert!(past.starts_with("`x = 0` is to be at 1 s, but the snapshot stands at "), "{past}");
    let other = compile(
        HYBRID
            .split("every 700")
            .next()
            .map(|h| format!("{h}}} constraints {{ }} }}\nscenario s for T {{ duration: 10 s }}"))
            .unwrap()
            .as_str(),
        None,
        Path::new("."),
    );
    let refused = said(other.go(&other.ready(), From::State(&state, &[]), None));
    assert!(refused.starts_with("section `MEMO`, at byte "), "{refused}");
    let tsit5 = model.with("tsit5", None);
    let refused = said(tsit5.go(&tsit5.ready(), From::State(&state, &[]), None));
    assert!(refused.contains("the solver is `auto`, not `tsit5`"), "{refused}");
}
