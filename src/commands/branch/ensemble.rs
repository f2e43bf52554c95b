//! Branches as one ensemble: their runs go on from one state, and the steps of many of them are computed at once.
//!
//! Each thread has a fleet, whose runs are what each is alone, to the bit; where the model or the solver is none for lanes,
//! each goes by itself, and that is said with its reason.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde::Serialize;
use twinml_engine::lanes::LANES;
use twinml_engine::record::{self, RecordError};
use twinml_engine::run::{
    Fleet, Flow, Fork, LaneShare, Next, Onward, Outlet, Plan, Port, Prepared, Report, ResumeError, RunError,
};
use twinml_engine::snapshot::State;
use twinml_model::host::Machine;
use twinml_model::program::{Experiment, Program};

use crate::commands::doctor;
use crate::commands::timeline::plain;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::VERSION;
use crate::ui::numbers::counted;
use crate::world::{self, Interrupt};

/// The stack of a thread that runs.
const STACK: usize = 64 << 20;
/// Runs under way at a time, over all threads: each has files open and a thread that writes them.
const UNDER_WAY: usize = 192;
/// Runs that a thread has under way at least, where there are so many.
const LEAST: usize = 8;

/// A run that is to be made.
pub struct Task<'t> {
    /// What it does.
    pub experiment: Experiment,
    /// Made ready.
    pub prepared: Prepared,
    /// What is recorded.
    pub plans: Vec<Plan>,
    /// Facts of its results.
    pub metadata: record::Metadata,
    /// Its folder.
    pub place: PathBuf,
    /// What it goes on from; none: from its start.
    pub from: Option<&'t State>,
}

/// A run that is over.
pub struct Done {
    /// How it went.
    pub report: Report,
    /// Its results.
    pub files: Vec<PathBuf>,
    /// Its log of events, where there were any.
    pub events: Option<PathBuf>,
    /// Whether steps of it were computed with those of others.
    pub lanes: bool,
}

/// How the branches were computed.
#[derive(Serialize)]
struct Lanes {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    level: Option<&'static str>,
    why: Option<String>,
    side_by_side: usize,
    alone: usize,
}

impl Task<'_> {
    /// Its result files.
    fn files(&self) -> Vec<PathBuf> {
        let stem = plain(self.experiment.name.split('/').next().unwrap_or("run"));
        let file = |k: usize| {
            let rate = if k == 0 { String::new() } else { format!("-{k}") };
            self.place.join(format!("{stem}{rate}.parquet"))
        };
        (0..self.plans.len()).map(file).collect()
    }

    fn events(&self) -> PathBuf {
        self.place.join("events.parquet")
    }

    /// Opens its results.
    fn outlets(&self) -> Result<Vec<Outlet>, RecordError> {
        // A log of another run must not stand beside these results; where it cannot go, opening says why.
        let _ = std::fs::remove_file(self.events());
        let open = |(plan, path): (&Plan, PathBuf)| {
            let recorder = record::open(&path, plan.columns().clone(), &self.metadata)?;
            Ok(Outlet { plan: plan.clone(), recorder })
        };
        self.plans.iter().zip(self.files()).map(open).collect()
    }

    fn fork(&self, until: Option<f64>) -> Fork<'_> {
        Fork {
            experiment: &self.experiment,
            prepared: &self.prepared,
            from: self.from.map(|state| (state, Onward { until, ..Onward::default() })),
            log: Some(Box::new(|columns| record::open(&self.events(), columns, &self.metadata))),
        }
    }
}

/// What is found of all runs.
type Found = Mutex<Vec<Option<Result<Done, ResumeError>>>>;

/// Hands out the runs to one thread.
struct Crew<'e> {
    tasks: &'e [Task<'e>],
    next: &'e AtomicUsize,
    found: &'e Found,
    interrupt: &'e Interrupt,
    /// Which runs here had steps on lanes.
    lanes: Vec<u32>,
}

impl Crew<'_> {
    fn tell(&self, k: u32, what: Result<Done, ResumeError>) {
        if let Some(place) = self.found.lock().unwrap_or_else(PoisonError::into_inner).get_mut(k as usize) {
            *place = Some(what);
        }
    }
}

impl Port for Crew<'_> {
    fn next(&mut self, _idle: bool) -> Next {
        loop {
            let k = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = self.tasks.get(k) else { return Next::Over };
            if self.interrupt.requested() {
                return Next::Stop;
            }
            match task.outlets() {
                Ok(outlets) => return Next::Fork { fork: k as u32, outlets },
                Err(e) => self.tell(k as u32, Err(RunError::Record(e).into())),
            }
        }
    }

    fn by_lanes(&mut self, k: u32, any: bool) {
        self.lanes.extend(any.then_some(k));
    }

    fn done(&mut self, k: u32, report: Result<Report, RunError>) {
        let Some(task) = self.tasks.get(k as usize) else { return };
        let lanes = self.lanes.contains(&k);
        self.lanes.retain(|own| *own != k);
        let done = |report: Report| {
            let events = report.log.is_some().then(|| task.events());
            Done { report, files: task.files(), events, lanes }
        };
        self.tell(k, report.map(done).map_err(ResumeError::from));
    }

    fn refused(&mut self, k: u32, error: ResumeError) {
        self.tell(k, Err(error));
    }
}

/// Does all of them, in the order of the tasks. None where the user asked to stop.
pub fn execute(
    tasks: &[Task<'_>],
    (program, machine): (&Program, &dyn Machine),
    until: Option<f64>,
    jobs: Option<u16>,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Option<Vec<Result<Done, ResumeError>>>, Exit> {
    let Some(first) = tasks.first() else { return Ok(Some(Vec::new())) };
    let jobs = jobs.map_or_else(world::processors, usize::from).clamp(1, tasks.len());
    let each = tasks.len().div_ceil(jobs).min((UNDER_WAY / jobs).max(LEAST)).clamp(1, LANES);
    let share = match tasks.len() {
        1 => LaneShare::alone(),
        _ => LaneShare::new(program, doctor::isa(ui)?, each),
    };
    let forks: Vec<Fork<'_>> = tasks.iter().map(|t| t.fork(until)).collect();
    let next = AtomicUsize::new(0);
    let found: Found = Mutex::new(tasks.iter().map(|_| None).collect());
    let all = || {
        let fleet = Fleet::new(program, machine, &first.experiment, &first.prepared, &share).forks(&forks);
        let mut crew = Crew { tasks, next: &next, found: &found, interrupt, lanes: Vec::new() };
        let watch = &mut |_| if interrupt.requested() { Flow::Stop } else { Flow::Continue };
        let _ = fleet.run(&mut crew, watch);
    };
    thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs {
            started += usize::from(thread::Builder::new().stack_size(STACK).spawn_scoped(scope, all).is_ok());
        }
        if started == 0 {
            all();
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let found: Option<Vec<Result<Done, ResumeError>>> = found.into_iter().collect();
    if let Some(found) = &found
        && tasks.len() > 1
    {
        say(&share, found, ui);
    }
    Ok(found)
}

/// How they were computed.
fn say(share: &LaneShare, found: &[Result<Done, ResumeError>], ui: &Ui) {
    let side_by_side = found.iter().flatten().filter(|d| d.lanes).count();
    let alone = found.len() - side_by_side;
    let (level, why) = (share.level(), share.why().map(|w| w.to_string()));
    let runs = |n: usize| counted(n as u64, "run");
    let line = match (level, &why) {
        (Some(level), _) if alone == 0 => format!("{} side by side ({level})", runs(side_by_side)),
        (Some(level), _) => format!(
            "{} side by side ({level}), {} by itself: none of its steps was one for lanes",
            runs(side_by_side),
            runs(alone)
        ),
        (None, Some(why)) => format!("{}, each by itself: {why}", runs(alone)),
        (None, None) => runs(alone),
    };
    ui.step("Computed", &line, None);
    ui.object(&Lanes { kind: "branch_lanes", version: VERSION, level, why, side_by_side, alone });
}

/// Why nothing came of it.
fn exit_of(e: &ResumeError) -> Exit {
    match e {
        ResumeError::Run(RunError::Record(_)) => Exit::Outside,
        ResumeError::Run(_) | ResumeError::Past { .. } => Exit::Usage,
        ResumeError::Snapshot(_) | ResumeError::Elsewhere { .. } => Exit::Mismatch,
    }
}

/// Says why a run did not go on from where it should.
pub fn refused(e: &ResumeError, ui: &Ui) -> Exit {
    ui.error(&e.to_string(), None);
    exit_of(e)
}
