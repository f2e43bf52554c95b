//! A Monte Carlo job as it is asked for: what tells it from others, and how one run of it is made.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use twinml_engine::ensemble::execute::{Evaluate, Feed, Turn};
use twinml_engine::ensemble::outcome::{Judged, Outcome, Status};
use twinml_engine::ensemble::plan::Plan;
use twinml_engine::ensemble::sampler::{Sampler, Source};
use twinml_engine::record::{Columns, MemoryRecorder, MemoryRows, RecordError, Recorded, Recorder};
use twinml_engine::run::{
    self, Ended, Fleet, Flow, LaneShare, Next, Outlet, Port, Prepared, Rate, Report, RunError,
};
use twinml_model::host::{Machine, Memory};
use twinml_model::ids::VarId;
use twinml_model::ir::Space;
use twinml_model::program::{Experiment, Program, Record};

use super::layout::Layout;
use crate::args::{Compile, Simulation};
use crate::commands::{failure, plot};

/// What a job is: the same file, scenario, settings and numbers are the same job.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Identity {
    /// Version of these files.
    pub version: u32,
    /// The compiler.
    pub compiler: String,
    /// The twin.
    pub twin: String,
    /// The scenario.
    pub scenario: String,
    /// Hash of the model and its data.
    pub model_hash: String,
    /// `--set`
    pub settings: Vec<String>,
    /// Seed of all streams.
    pub seed: u64,
    /// Samples of the whole job.
    pub samples: u32,
    /// `random`, `lhs`, `sobol`
    pub sampler: String,
    /// `--until-ci`, as written.
    pub until_ci: Option<String>,
    /// `--sprt`, as written.
    pub sprt: Option<String>,
    /// The solver.
    pub solver: Value,
    /// `--record`
    pub record: Vec<String>,
    /// End of each run in seconds, as text, so that it reads back to the same bits.
    pub until: String,
    /// Nominal values of parameters.
    pub parameters: Value,
    /// What a row holds.
    pub layout: Layout,
}

impl Identity {
    /// What tells it from other jobs.
    pub fn text(&self) -> String {
        // Strings, numbers and lists always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The first thing that makes it another job than `other`, for people: with what it is here and there where that is
    /// a word or a number.
    pub fn apart(&self, other: &Identity) -> Option<String> {
        const WHAT: [(&str, &str); 16] = [
            ("version", "version of its files"),
            ("compiler", "compiler"),
            ("twin", "twin"),
            ("scenario", "scenario"),
            ("model_hash", "model or its data"),
            ("settings", "list of `--set`"),
            ("seed", "seed"),
            ("samples", "number of samples"),
            ("sampler", "sampler"),
            ("until_ci", "`--until-ci`"),
            ("sprt", "`--sprt`"),
            ("solver", "solver"),
            ("record", "list of `--record`"),
            ("until", "end of the runs in seconds"),
            ("parameters", "list of parameters"),
            ("layout", "list of what is kept of a run"),
        ];
        // Strings, numbers and lists always serialise.
        let [own, its] = [self, other].map(|i| serde_json::to_value(i).unwrap_or_default());
        let (field, what) = WHAT.into_iter().find(|(field, _)| own[field] != its[field])?;
        let said = |v: &Value| match v {
            Value::String(s) if field != "model_hash" => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            Value::Null => Some("not there".to_owned()),
            _ => None,
        };
        Some(match (said(&own[field]), said(&its[field])) {
            (Some(own), Some(its)) => format!("the {what} is {own}, not {its}"),
            _ => format!("the {what} is another one"),
        })
    }

    /// The zone of the sequential test, where there is one.
    pub fn zone(&self) -> Option<f64> {
        self.sprt.as_ref().and_then(|z| z.parse().ok())
    }

    /// Whether the job ends by what it finds.
    pub fn sequential(&self) -> bool {
        self.until_ci.is_some() || self.sprt.is_some()
    }

    /// The sampler.
    pub fn sampler(&self) -> Sampler {
        Sampler::from_name(&self.sampler).unwrap_or(Sampler::Random)
    }
}

/// A part of a job that a process of its own does.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Shard {
    /// Its runs.
    pub fn runs(self, samples: u32) -> Range<u32> {
        let at = |k: u32| (u64::from(samples) * u64::from(k) / u64::from(self.of)) as u32;
        at(self.index - 1)..at(self.index)
    }

    /// Its folder in that of the job.
    pub fn folder(self) -> String {
        format!("shard-{:05}-of-{:05}", self.index, self.of)
    }
}

/// `job.json`: what is needed to go on with a job, to put its shards together, and to run one of its samples alone.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct File {
    /// The job.
    pub identity: Identity,
    /// The part of it that lies here.
    pub shard: Option<Shard>,
    /// The model, as an absolute path.
    pub model: PathBuf,
    /// How it is compiled.
    pub compile: Compile,
    /// How it is simulated.
    pub simulation: Simulation,
}

/// Where the job's facts lie.
pub const FILE: &str = "job.json";

/// Takes rows and keeps none: what is wanted of a sample is its last row.
struct Nowhere(Columns);

impl Recorder for Nowhere {
    fn columns(&self) -> &Columns {
        &self.0
    }

    fn row(&mut self, _: &[f64]) -> Result<(), RecordError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Recorded, RecordError> {
        Ok(Recorded { rows: 0, bytes: 0 })
    }
}

/// All that samples share.
pub struct Samples<'a> {
    /// The program.
    pub program: &'a Program,
    /// Runs the kernels.
    pub machine: &'a dyn Machine,
    /// The scenario.
    pub experiment: &'a Experiment,
    /// Solver and kernels.
    pub prepared: Prepared,
    /// What is drawn.
    pub plan: Plan,
    /// What is recorded.
    pub plans: Vec<run::Plan>,
    /// What is traced over time.
    pub traced: Option<run::Plan>,
    /// Cells of last values and of figures.
    pub cells: (usize, usize),
    /// Each run ends once its verdicts are decided.
    pub verdicts_only: bool,
}

/// The plan of draws; `None` for correlations that cannot be, which the compiler refuses.
pub fn draws(program: &Program, sampler: Sampler, seed: u64, samples: u32) -> Option<Plan> {
    Plan::new(program, Source { sampler, seed, runs: u64::from(samples) }).ok()
}

/// What is recorded of each sample: its last row.
///
/// # Errors
///
/// As [`run::plans`].
pub fn last_rows(program: &Program, experiment: &Experiment) -> Result<Vec<run::Plan>, RecordError> {
    let mut plans = run::plans(program, experiment, false)?;
    plans.iter_mut().for_each(|p| p.rate = Rate::Parts(1));
    Ok(plans)
}

/// Equal periods of what is traced.
pub const PERIODS: u64 = 200;

/// What `--record` asks for, at equal periods. `Err` holds a path that names nothing.
///
/// # Errors
///
/// The path that there is not.
pub fn traced(
    program: &Program,
    experiment: &Experiment,
    paths: &[String],
) -> Result<Option<run::Plan>, String> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut vars = Vec::new();
    for path in paths {
        let before = vars.len();
        for (k, v) in program.schema.vars.iter().enumerate() {
            let id = VarId(k as u32);
            let plain: Vec<&str> = v.path.iter().map(|s| s.name.as_str()).collect();
            if plain.join(".") == *path || v.template() == *path {
                vars.push((id, Vec::new()));
                continue;
            }
            let own: Vec<u32> = (0..v.len).filter(|e| plot::matches(path, &v.element_path(*e))).collect();
            if !own.is_empty() {
                vars.push((id, own));
            }
        }
        if vars.len() == before {
            return Err(path.clone());
        }
    }
    let only = Experiment {
        records: vec![Record { vars, every_as: None }],
        duration: experiment.duration,
        ..Experiment::default()
    };
    let mut plans = run::plans(program, &only, false).map_err(|e| e.to_string())?;
    plans.iter_mut().for_each(|p| p.rate = Rate::Parts(PERIODS));
    Ok(plans.pop())
}

/// Parameters of one sample, and what was drawn.
pub struct Drawn {
    /// All of `Param`.
    pub param: Vec<f64>,
    /// The values drawn.
    pub values: Vec<f64>,
    /// Draws that were repeated.
    pub repeated: u32,
}

impl Samples<'_> {
    /// Draws sample `k`; `memory` is scratch.
    ///
    /// # Errors
    ///
    /// The outcome of a sample for which nothing can be drawn.
    pub fn draw(&self, memory: &mut Memory, k: u32) -> Result<Drawn, Box<Outcome>> {
        let param = memory.space_mut(Space::Param);
        param.fill(0.0);
        self.program.defaults.param.apply(param);
        match self.plan.draw(self.machine, memory, k) {
            Ok(v) => Ok(Drawn {
                param: memory.space(Space::Param).to_vec(),
                values: v.drawn,
                repeated: v.repeated,
            }),
            Err(fault) => {
                let code = twinml_compiler::diag::codes::DRAW_FAILED.0;
                Err(Box::new(self.failed(k, code, &fault.to_string(), 0.0)))
            }
        }
    }

    fn failed(&self, run: u32, code: &str, message: &str, time: f64) -> Outcome {
        let judged = |_: &twinml_model::program::Requirement| Judged { verdict: None, robustness: f64::NAN };
        Outcome {
            run,
            status: Status::Failed,
            code: code.to_owned(),
            message: message.to_owned(),
            time,
            repeated: 0,
            drawn: vec![f64::NAN; self.plan.draws().len()],
            last: vec![f64::NAN; self.cells.0],
            kpis: vec![f64::NAN; self.cells.1],
            judged: self.experiment.requirements.iter().map(judged).collect(),
            trace: Vec::new(),
        }
    }

    /// Makes sample `k` ready to run; `memory` is scratch.
    ///
    /// # Errors
    ///
    /// As [`Samples::draw`].
    pub fn ready(
        &self,
        memory: &mut Memory,
        k: u32,
    ) -> Result<(Vec<f64>, Vec<Outlet>, Aboard), Box<Outcome>> {
        let drawn = self.draw(memory, k)?;
        let outlet = |plan: &run::Plan| Outlet {
            plan: plan.clone(),
            recorder: Box::new(Nowhere(plan.columns().clone())),
        };
        let mut outlets: Vec<Outlet> = self.plans.iter().map(outlet).collect();
        let mut rows = None;
        if let Some(plan) = &self.traced {
            let (recorder, kept) = MemoryRecorder::new(plan.columns().clone());
            outlets.push(Outlet { plan: plan.clone(), recorder: Box::new(recorder) });
            rows = Some(kept);
        }
        Ok((drawn.param, outlets, Aboard { values: drawn.values, repeated: drawn.repeated, rows }))
    }

    /// What became of sample `k`. `None`: it was stopped from outside.
    pub fn outcome(&self, k: u32, aboard: Aboard, report: &Report) -> Option<Outcome> {
        let status = match &report.ended {
            Ended::Complete => Status::Complete,
            Ended::Halted(_) => Status::Stopped,
            Ended::Range => Status::Range,
            Ended::Decided => Status::Decided,
            Ended::Failed(_) => Status::Failed,
            Ended::Stopped => return None,
        };
        let mut out = self.failed(k, "", "", report.time);
        out.status = status;
        if let Ended::Failed(f) = &report.ended {
            out.code = failure::diagnostic(f, self.program).code.0.to_owned();
            out.message = f.to_string();
        }
        out.trace = aboard.rows.map_or_else(Vec::new, |r| r.rows().concat());
        out.drawn = aboard.values;
        out.repeated = aboard.repeated;
        if status != Status::Failed {
            let rows = report.last.iter().take(self.plans.len()).flat_map(|row| row.iter().skip(2).copied());
            out.last.iter_mut().zip(rows).for_each(|(to, x)| *to = x);
            let kpis = self.experiment.kpis.iter().zip(&report.kpis).flat_map(|(k, values)| {
                let value = move |e: usize| values.as_ref().and_then(|v| v.get(e)).copied();
                (0..k.len as usize).map(move |e| value(e).unwrap_or(f64::NAN))
            });
            out.kpis.iter_mut().zip(kpis).for_each(|(to, x)| *to = x);
        }
        for (to, j) in out.judged.iter_mut().zip(&report.verdicts) {
            if let Some(j) = j {
                // It may yet become less where a run does not go on.
                let robustness = if self.verdicts_only { f64::NAN } else { j.robustness };
                *to = Judged { verdict: Some(j.verdict), robustness };
            }
        }
        Some(out)
    }

    /// A worker for a thread of its own, which computes the steps of many samples at once where that can be done. What a
    /// recorder or an option refuses ends the job; `say` gets it.
    pub fn worker<'e>(
        &'e self,
        share: &'e LaneShare,
        watch: Box<dyn FnMut(run::Progress) -> Flow + Send + 'e>,
        say: &'e (dyn Fn(RunError) + Sync),
    ) -> Evaluate<'e> {
        let mut watch = watch;
        let prepared = self.prepared.clone();
        let prepared = if self.verdicts_only { prepared.until_decided() } else { prepared };
        Box::new(move |feed: &mut dyn Feed| {
            let fleet = Fleet::new(self.program, self.machine, self.experiment, &prepared, share);
            let memory = Memory::new(self.program);
            let mut crew = Crew { samples: self, feed, memory, aboard: BTreeMap::new(), say, broken: false };
            let _ = fleet.run(&mut crew, &mut watch);
        })
    }
}

/// What is kept of a sample while it runs.
pub struct Aboard {
    values: Vec<f64>,
    repeated: u32,
    rows: Option<MemoryRows>,
}

/// Samples between those who hand them out and the lanes.
struct Crew<'e, 'f> {
    samples: &'e Samples<'e>,
    feed: &'f mut dyn Feed,
    memory: Memory,
    aboard: BTreeMap<u32, Aboard>,
    say: &'e (dyn Fn(RunError) + Sync),
    broken: bool,
}

impl Port for Crew<'_, '_> {
    fn next(&mut self, idle: bool) -> Next {
        loop {
            if self.broken {
                return Next::Stop;
            }
            match self.feed.next(idle) {
                Turn::Later => return Next::Later,
                Turn::Over => return Next::Over,
                Turn::Stop => return Next::Stop,
                Turn::Run(run) => match self.samples.ready(&mut self.memory, run) {
                    Ok((param, outlets, aboard)) => {
                        self.aboard.insert(run, aboard);
                        return Next::Run { run, param, outlets };
                    }
                    Err(outcome) => self.feed.done(*outcome),
                },
            }
        }
    }

    fn done(&mut self, run: u32, report: Result<Report, RunError>) {
        let Some(aboard) = self.aboard.remove(&run) else { return };
        match report {
            Ok(report) => {
                if let Some(o) = self.samples.outcome(run, aboard, &report) {
                    self.feed.done(o);
                }
            }
            Err(e) => {
                (self.say)(e);
                self.broken = true;
            }
        }
    }
}
