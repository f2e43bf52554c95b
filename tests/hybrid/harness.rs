//! Runs a model in this process and reads rows and the log of events from memory.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::record::{Columns, Element, MemoryRecorder, MemoryRows, Recorder};
use twinml_engine::run::{self, Ended, Failure, Flow, MachineKind, OpenLog, Outlet, Report};
use twinml_model::passes::{self, Level};
use twinml_model::program::{Experiment, Program};

/// The adaptive solvers of order three and more.
pub const ADAPTIVE: [&str; 8] = ["tsit5", "dopri5", "taylor", "adams", "rosenbrock", "bdf", "esdirk", "auto"];

/// A compiled model with its scenario.
pub struct Model {
    program: Program,
    pub experiment: Experiment,
}

/// A row of the log of events.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub time: f64,
    pub step: u64,
    pub path: String,
    pub event: String,
    pub kind: String,
    pub pre: f64,
    pub post: f64,
}

/// A run that was done.
pub struct Ran {
    pub report: Report,
    pub rows: Vec<Vec<f64>>,
    names: Vec<String>,
    pub log: Vec<Entry>,
}

impl Model {
    /// `tests/hybrid/NAME.twinml`.
    pub fn file(name: &str) -> Model {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hybrid").join(format!("{name}.twinml"));
        Model::text(&std::fs::read_to_string(path).unwrap())
    }

    /// A text with one scenario.
    pub fn text(text: &str) -> Model {
        let mut session = Session::check("hybrid.twinml", text, &MemoryLoader::default());
        let choice = Choice::default();
        let Some(compiled) = session.compile(choice, &mut NoData) else {
            let said: Vec<String> = session.diags.iter().map(|d| d.message.clone()).collect();
            panic!("does not compile: {said:#?}");
        };
        let mut program = compiled.program;
        passes::prepare(&mut program, Level::O2, true);
        Model { program, experiment: compiled.experiment }
    }

    /// Runs with a solver at tolerances.
    pub fn with(&self, solver: &str, rtol: f64, atol: f64) -> Ran {
        let mut experiment = self.experiment.clone();
        experiment.solver.method = solver.to_owned();
        (experiment.solver.rtol, experiment.solver.atol) = (Some(rtol), Some(atol));
        self.go(&experiment, true)
    }

    /// Runs with a solver of fixed step.
    pub fn stepping(&self, solver: &str, step: f64) -> Ran {
        let mut experiment = self.experiment.clone();
        experiment.solver.method = solver.to_owned();
        experiment.solver.step = Some(step);
        self.go(&experiment, true)
    }

    /// Runs as the scenario says.
    pub fn run(&self) -> Ran {
        self.go(&self.experiment, true)
    }

    /// Runs an experiment, with a log of events or without.
    pub fn go(&self, experiment: &Experiment, logged: bool) -> Ran {
        let mut machine = run::machine(&self.program, MachineKind::Jit(2));
        let plan = run::plans(&self.program, experiment, false).unwrap().remove(0);
        let names = plan.columns().specs().iter().map(|c| c.name.clone()).collect();
        let (recorder, rows) = MemoryRecorder::new(plan.columns().clone());
        let outlets = vec![Outlet { plan, recorder: Box::new(recorder) }];
        let kept: Arc<Mutex<Option<(Columns, MemoryRows)>>> = Arc::default();
        let keep = kept.clone();
        let open: OpenLog<'_> = Box::new(move |columns| {
            let (recorder, rows) = MemoryRecorder::new(columns.clone());
            *keep.lock().unwrap() = Some((columns, rows));
            Ok(Box::new(recorder) as Box<dyn Recorder>)
        });
        let open = Some(open).filter(|_| logged);
        let watch = &mut |_| Flow::Continue;
        let report =
            run::simulate_logged(&self.program, &mut *machine, experiment, outlets, open, watch).unwrap();
        let log = match kept.lock().unwrap().take() {
            Some((columns, rows)) => entries(&columns, &rows),
            None => Vec::new(),
        };
        Ran { report, rows: rows.rows(), names, log }
    }
}

fn entries(columns: &Columns, rows: &MemoryRows) -> Vec<Entry> {
    let words = |k: usize, cell: f64| match &columns.specs()[k].element {
        Element::Text(words) => words[cell as usize].to_owned(),
        _ => panic!("a column of words"),
    };
    let entry = |r: Vec<f64>| Entry {
        time: r[0],
        step: r[1] as u64,
        path: words(2, r[2]),
        event: words(3, r[3]),
        kind: words(4, r[4]),
        pre: r[5],
        post: r[6],
    };
    rows.rows().into_iter().map(entry).collect()
}

impl Ran {
    /// When an event was emitted.
    pub fn times(&self, event: &str) -> Vec<f64> {
        self.log.iter().filter(|e| e.kind == "event" && e.event == event).map(|e| e.time).collect()
    }

    /// The rows of the log of one kind and path.
    pub fn of(&self, kind: &str, path: &str) -> Vec<&Entry> {
        self.log.iter().filter(|e| e.kind == kind && e.path == path).collect()
    }

    /// A column of the result.
    pub fn column(&self, name: &str) -> Vec<f64> {
        let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no column {name}"));
        self.rows.iter().map(|r| r[at]).collect()
    }

    /// A value in the last row at a time.
    pub fn at(&self, time: f64, name: &str) -> f64 {
        let times = self.column("time");
        let row = times.iter().rposition(|t| (t - time).abs() <= 1e-9 * time.abs().max(1e-3));
        self.column(name)[row.unwrap_or_else(|| panic!("no row at {time}"))]
    }

    /// Why it failed.
    pub fn failure(&self) -> &Failure {
        match &self.report.ended {
            Ended::Failed(failure) => failure,
            ended => panic!("it did not fail: {ended:?} at {}", self.report.time),
        }
    }

    /// Checks that it came to its end.
    pub fn complete(&self) -> &Ran {
        assert!(matches!(self.report.ended, Ended::Complete), "{:?}", self.report.ended);
        self
    }
}

/// Times that are to agree one by one.
#[track_caller]
pub fn same(who: &str, times: &[f64], exact: &[f64], relative: f64) {
    assert_eq!(times.len(), exact.len(), "{who}: {times:?} for {exact:?}");
    for (k, (t, exact)) in times.iter().zip(exact).enumerate() {
        let error = (t - exact).abs() / exact.abs();
        assert!(error <= relative, "{who}: number {k} at {t} for {exact}, off by {error:e}");
    }
}

/// A value that is to be near another.
#[track_caller]
pub fn near(who: &str, value: f64, exact: f64, tolerance: f64) {
    let error = (value - exact).abs() / exact.abs().max(1.0);
    assert!(error <= tolerance, "{who}: {value} for {exact}, off by {error:e}");
}

/// The first zero after `from` where `f` goes from above to below, by steps and bisection.
pub fn first_zero(f: impl Fn(f64) -> f64, from: f64, to: f64, step: f64) -> Option<f64> {
    let mut a = from + step;
    while a < to {
        let b = a + step;
        if f(a) > 0.0 && f(b) <= 0.0 {
            let (mut a, mut b) = (a, b);
            for _ in 0..200 {
                let m = 0.5 * (a + b);
                if f(m) > 0.0 { a = m } else { b = m }
            }
            return (b < to).then_some(b);
        }
        a = b;
    }
    None
}
