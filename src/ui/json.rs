//! The objects of `--format json`, one a line; `docs/json.md` describes them, and a test holds the two together.
//!
//! Every object has a `type` and the `version` of this schema. Within a version fields are added, never taken away
//! or given another meaning.

use serde::Serialize;
use twinml_compiler::driver::Branch;

/// The version of the schema.
pub const VERSION: u32 = 1;

/// A failure that is no diagnostic of a model.
#[derive(Serialize, Debug)]
pub struct Failure<'a> {
    /// `error`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// What went wrong.
    pub message: &'a str,
    /// What to do about it.
    pub help: Option<&'a str>,
}

/// A file that was made.
#[derive(Serialize, Debug)]
pub struct Written {
    /// `written`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The file.
    pub path: String,
    /// `result`, `summary`, `plot` or `project`.
    pub what: &'static str,
    /// Rows of a result.
    pub rows: Option<u64>,
}

/// An entry of the error index.
#[derive(Serialize, Debug)]
pub struct Explanation<'a> {
    /// `explanation`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The code.
    pub code: &'a str,
    /// In a line.
    pub title: &'a str,
    /// The long form, in Markdown; `null` in a listing.
    pub text: Option<&'a str>,
}

impl Written {
    /// A file without rows.
    pub fn file(path: &std::path::Path, what: &'static str) -> Written {
        Written { kind: "written", version: VERSION, path: crate::world::shown(path), what, rows: None }
    }
}

/// A file that was checked.
#[derive(Serialize, Debug)]
pub struct Checked<'a> {
    /// `checked`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The file.
    pub file: &'a str,
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Whether something in it is checked but not run by this version.
    pub not_run_yet: bool,
}

/// A program.
#[derive(Serialize, Debug)]
pub struct Compiled {
    /// `compiled`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The file.
    pub file: String,
    /// The twin.
    pub twin: String,
    /// The scenario.
    pub scenario: String,
    /// Continuous states.
    pub states: u32,
    /// Algebraic unknowns.
    pub algebraic: u32,
    /// Event functions.
    pub events: u32,
    /// Algebraic loops.
    pub loops: Vec<Loop>,
    /// States that follow from the others by constraints that index reduction found.
    pub demoted: u32,
    /// Handlers of all instances, transitions not counted.
    pub handlers: u64,
    /// Machines of all instances.
    pub machines: u64,
    /// What had to be expanded, and why.
    pub expanded: Vec<String>,
}

/// An algebraic loop.
#[derive(Serialize, Debug)]
pub struct Loop {
    /// Its equations.
    pub equations: u32,
    /// Unknowns left after tearing.
    pub unknowns: u32,
    /// Whether it is linear.
    pub linear: bool,
}

impl Compiled {
    /// What is known about a program.
    pub fn of(file: &str, compiled: &twinml_compiler::driver::Compiled) -> Compiled {
        let s = &compiled.structure;
        let one = |l: &twinml_compiler::schedule::LoopInfo| Loop {
            equations: l.equations,
            unknowns: l.unknowns,
            linear: l.linear,
        };
        Compiled {
            kind: "compiled",
            version: VERSION,
            file: file.to_owned(),
            twin: compiled.program.name.clone(),
            scenario: compiled.experiment.name.clone(),
            states: s.states,
            algebraic: s.algebraic,
            events: s.events,
            loops: s.loops.iter().map(one).collect(),
            demoted: s.invariants,
            handlers: s.handlers,
            machines: s.machines,
            expanded: s.expanded.clone(),
        }
    }

    /// For people: `Plant: 42 states, 7 algebraic (1 loop of 3), 5 events`.
    pub fn text(&self) -> String {
        let n = |count: u32, noun| super::numbers::counted(u64::from(count), noun);
        let loops = match self.loops.as_slice() {
            [] => String::new(),
            [one] => format!(" (1 loop of {})", one.equations),
            [a, b] => format!(" (2 loops of {} and {})", a.equations, b.equations),
            many => {
                let largest = many.iter().map(|l| l.equations).max().unwrap_or(0);
                format!(" ({} loops, the largest of {largest})", many.len())
            }
        };
        let algebraic = super::numbers::count(u64::from(self.algebraic));
        format!(
            "{}: {}, {algebraic} algebraic{loops}, {}",
            self.twin,
            n(self.states, "state"),
            n(self.events, "event")
        )
    }
}

/// A run that begins.
#[derive(Serialize, Debug)]
pub struct Running {
    /// `running`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The scenario; with a branch, both: `day/no_repair`.
    pub scenario: String,
    /// The branch.
    pub branch: Option<String>,
    /// End of the run in seconds.
    pub until: f64,
    /// Solver.
    pub solver: &'static str,
    /// Relative tolerance.
    pub rtol: f64,
    /// Fixed step in seconds.
    pub step: Option<f64>,
    /// Seed.
    pub seed: u64,
    /// The model's hash.
    pub model_hash: String,
}

impl Running {
    /// What is about to begin.
    pub fn of(
        ready: &crate::commands::Ready,
        experiment: &twinml_model::program::Experiment,
        branch: Option<&Branch>,
    ) -> Running {
        Running {
            kind: "running",
            version: VERSION,
            scenario: experiment.name.clone(),
            branch: branch.map(|b| b.name.clone()),
            until: experiment.duration,
            solver: ready.method.name(),
            rtol: ready.options.tolerances.rtol,
            step: ready.options.h.filter(|_| ready.method.fixed_step()),
            seed: experiment.seed,
            model_hash: ready.hash.clone(),
        }
    }
}

/// A run that ended.
#[derive(Serialize, Debug)]
pub struct Finished {
    /// `finished`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The branch.
    pub branch: Option<String>,
    /// `complete`, `halted`, `stopped`, `range` or `failed`.
    pub ended: &'static str,
    /// What `stop` gave as its reason, where the model ended the run.
    pub reason: Option<String>,
    /// How many messages `log` gave.
    pub logged: u64,
    /// Simulated time reached, in seconds.
    pub time: f64,
    /// Regular instants recorded.
    pub samples: u64,
    /// Instants with events.
    pub events: u64,
    /// Ranges that were left.
    pub ranges: u64,
    /// Accepted steps.
    pub steps: u64,
    /// Of these, what the trunk has done for a branch, which goes on from its state.
    pub trunk_steps: u64,
    /// Rejected steps.
    pub rejected: u64,
    /// Evaluations of the right-hand side.
    pub rhs: u64,
    /// Evaluations of the Jacobian.
    pub jacobians: u64,
    /// The solver at work at the end.
    pub solver: &'static str,
    /// Wall-clock time in milliseconds.
    pub took_ms: f64,
    /// Why it failed.
    pub failure: Option<String>,
}

impl Finished {
    /// How a run went.
    pub fn of(
        report: &twinml_engine::run::Report,
        ready: &crate::commands::Ready,
        branch: Option<&Branch>,
        trunk_steps: u64,
        took: std::time::Duration,
    ) -> Finished {
        use twinml_engine::run::Ended;
        let (ended, failure) = match &report.ended {
            Ended::Complete => ("complete", None),
            Ended::Decided => ("decided", None),
            Ended::Halted(_) => ("halted", None),
            Ended::Stopped => ("stopped", None),
            Ended::Range => ("range", None),
            Ended::Failed(f) => ("failed", Some(f.to_string())),
        };
        let begun = report.stats.steps > 0;
        Finished {
            kind: "finished",
            version: VERSION,
            branch: branch.map(|b| b.name.clone()),
            ended,
            reason: match &report.ended {
                Ended::Halted(reason) => reason.clone(),
                _ => None,
            },
            logged: report.said,
            time: report.time,
            samples: report.samples,
            events: report.events,
            ranges: report.broken_total,
            steps: report.stats.steps,
            trunk_steps,
            rejected: report.stats.rejected,
            rhs: report.stats.rhs,
            jacobians: report.stats.jac,
            solver: if begun { report.choice.method.name() } else { ready.method.name() },
            took_ms: took.as_secs_f64() * 1e3,
            failure,
        }
    }
}

/// A message of `log`.
#[derive(Serialize, Debug)]
pub struct Said<'a> {
    /// `log`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// When, in seconds.
    pub time: f64,
    /// Path of the twin; empty for the root.
    pub twin: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// What was found on this machine.
#[derive(Serialize, Debug)]
pub struct Machine<'a> {
    /// `machine`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// `x86_64`, `aarch64`, …
    pub architecture: &'a str,
    /// Processors that the program may use.
    pub processors: usize,
    /// Ways to compute runs side by side that work here.
    pub isa_found: &'a [&'a str],
    /// The one that is taken.
    pub isa: &'a str,
    /// Runs that one instruction computes.
    pub isa_lanes: usize,
    /// `widest`, or `TWINC_ISA`.
    pub isa_by: &'a str,
    /// The TPM: an object of the type `tpm`; `null` where none answers.
    pub tpm: Option<serde_json::Value>,
}

/// An intermediate form.
#[derive(Serialize, Debug)]
pub struct Form<'a> {
    /// `form`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// `tokens`, `ast`, `hir`, `flat`, `ir`, `clif` or `asm`.
    pub stage: &'a str,
    /// Its printed form.
    pub text: &'a str,
}
