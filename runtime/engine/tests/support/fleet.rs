//! Models whose runs are compared side by side and alone.
#![allow(dead_code, reason = "each user takes what it needs")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::{DataError, DataLoader, DataRequest, NoData};
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::data::Frame;
use twinml_engine::monitor::Verdict;
use twinml_engine::record::{MemoryRecorder, MemoryRows};
use twinml_engine::run::{
    self, Fleet, Flow, LaneShare, MachineKind, Next, Outlet, Port, Prepared, Report, RunError, Sample,
};
use twinml_jit::lanes::Isa;
use twinml_model::host::{Machine, Memory};
use twinml_model::ir::Space;
use twinml_model::lanes::NotLanes;
use twinml_model::passes::{self, Level};
use twinml_model::program::{Experiment, Program};

pub struct Model {
    pub name: String,
    pub program: Program,
    pub experiment: Experiment,
    /// Runs end once their verdicts are decided.
    pub until_decided: bool,
}

impl Model {
    pub fn text(name: &str, text: &str, scenario: Option<&str>) -> Model {
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

    pub fn file(path: &str, scenario: Option<&str>) -> Model {
        let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        Model::text(path, &std::fs::read_to_string(at).unwrap(), scenario)
    }

    /// A file as it stands, with the data files beside it; `None` where this scenario of it does not compile without more.
    pub fn whole(path: &Path, scenario: Option<&str>) -> Option<Model> {
        let text = std::fs::read_to_string(path).unwrap();
        let mut session = Session::check("fleet.twinml", &text, &MemoryLoader::default());
        let choice = Choice { scenario, ..Choice::default() };
        let mut beside = Beside(path.parent().unwrap().to_owned());
        let compiled = session.compile(choice, &mut beside)?;
        let mut program = compiled.program;
        passes::prepare(&mut program, Level::O2, true);
        let file = path.file_stem().unwrap().to_string_lossy();
        let name = format!("{file} {}", scenario.unwrap_or("-"));
        Some(Model { name, program, experiment: compiled.experiment, until_decided: false })
    }

    /// The scenarios of a file.
    pub fn scenarios(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let session = Session::check("fleet.twinml", &text, &MemoryLoader::default());
        session.scenarios().map(str::to_owned).collect()
    }

    /// The nominal run, alone.
    pub fn nominal(&self) -> Report {
        self.verdicts(0).2
    }

    /// The same with an end where the nominal run has done so many steps, if it does so many.
    pub fn short(mut self, steps: u64) -> Model {
        let mut machine = run::machine(&self.program, MachineKind::Jit(2));
        let prepared = self.prepared(&mut *machine);
        let param = self.param(0);
        let sample = Some(Sample { run: 0, param: &param });
        let mut reached = self.experiment.duration;
        let mut watch = |p: run::Progress| {
            if p.steps < steps {
                return Flow::Continue;
            }
            reached = p.time;
            Flow::Stop
        };
        let _ =
            prepared.run(&self.program, &*machine, &self.experiment, sample, Vec::new(), None, &mut watch);
        self.experiment.duration = reached;
        self
    }

    pub fn solver(mut self, method: &str, rtol: f64, atol: f64) -> Model {
        self.experiment.solver.method = method.to_owned();
        (self.experiment.solver.rtol, self.experiment.solver.atol) = (Some(rtol), Some(atol));
        self
    }

    pub fn step(mut self, method: &str, h: f64) -> Model {
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
    pub fn verdicts(&self, k: u32) -> (u64, Vec<Verdict>, Report) {
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
    pub fn check(&self, runs: u32, why: Option<NotLanes>) {
        assert_eq!(self.compare(runs, &Isa::ALL), why, "{}", self.name);
    }

    /// The steps of so many runs on lanes, and how many of them runs take by themselves.
    pub fn steps(&self, runs: u32) -> run::Steps {
        let mut machine = run::machine(&self.program, MachineKind::Jit(2));
        let prepared = self.prepared(&mut *machine);
        let share = LaneShare::new(&self.program, Isa::best(), 24);
        let mut batch =
            Batch { model: self, next: 0, of: runs, open: BTreeMap::new(), said: BTreeMap::new() };
        Fleet::new(&self.program, &*machine, &self.experiment, &prepared, &share)
            .run(&mut batch, &mut |_| Flow::Continue);
        share.steps()
    }

    /// [`Model::check`] at these levels; why runs go alone.
    pub fn compare(&self, runs: u32, levels: &[Isa]) -> Option<NotLanes> {
        let mut machine = run::machine(&self.program, MachineKind::Jit(2));
        let prepared = self.prepared(&mut *machine);
        let want: Vec<String> = (0..runs).map(|k| self.alone(&*machine, &prepared, k)).collect();
        let mut why = None;
        for isa in levels.iter().copied().filter(|i| i.available()) {
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
                why = share.why();
                if why.is_none() {
                    assert_eq!(share.level(), Some(isa.name()), "{}", self.name);
                }
            }
        }
        why
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

/// Data files beside a model.
struct Beside(PathBuf);

impl DataLoader for Beside {
    fn column(&mut self, request: DataRequest<'_>) -> Result<Vec<f64>, DataError> {
        let bytes = std::fs::read(self.0.join(request.file)).map_err(|_| DataError::NotFound)?;
        let frame =
            Frame::from_bytes(request.file, bytes).map_err(|e| DataError::Unreadable(e.to_string()))?;
        let numbers = frame.numbers(request.column).map_err(|e| DataError::Unreadable(e.to_string()))?;
        Ok(numbers.values)
    }
}
