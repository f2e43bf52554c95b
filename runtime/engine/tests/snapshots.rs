//! A run that goes on from a snapshot is the run that was never interrupted: rows, log of events, verdicts, counters, to
//! the bit. And a change at T made on the way is the scenario's `at T`.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
use twinml_model::host::Machine;
use twinml_model::ir::Space;
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
    Model { program, experiment: compiled.experiment }
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

impl Model {
    fn with(&self, solver: &str, step: Option<f64>) -> Model {
        let mut experiment = self.experiment.clone();
        experiment.solver.method = solver.to_owned();
        experiment.solver.step = step.or(experiment.solver.step);
        Model { program: self.program.clone(), experiment }
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
        let log: Arc<Mutex<Option<(Vec<Element>, MemoryRows)>>> = Arc::default();
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
                let onward = Onward { until: None, changes };
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
