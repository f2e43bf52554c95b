//! What a run was: how it ended, what it cost, and why it failed.

use std::fmt;

use twinml_model::ids::{OriginId, TableId, VarId};
use twinml_solvers::error::SolveError;
use twinml_solvers::integrator::{Choice, Method};
use twinml_solvers::stats::Stats;

use super::block::BlockFailure;
use crate::record::Recorded;

/// A run that was begun.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub ended: Ended,
    /// Simulated time reached, in seconds.
    pub time: f64,
    /// Regular instants recorded, over all files.
    pub samples: u64,
    /// Instants with events.
    pub events: u64,
    /// The solver asked for.
    pub method: Method,
    /// What `auto` chose; the solver itself for the others.
    pub choice: Choice,
    /// The solver's work.
    pub stats: Stats,
    /// What the log of events wrote, if there was one and any event.
    pub log: Option<Recorded>,
    /// What each recorder wrote, in the order of the plans.
    pub files: Vec<Recorded>,
    /// Ranges that were left, in the order of the first time; at most [`MOST_BROKEN`] of them.
    pub broken: Vec<Broken>,
    /// How many instances of ranges were left at all.
    pub broken_total: u64,
    /// Rows that hold what is no number, where there are any and the run went on.
    pub blank: Option<super::Blank>,
    /// What `log` said, oldest first; the first of very many.
    pub logs: Vec<crate::behavior::Said>,
    /// How many messages `log` said at all.
    pub said: u64,
    /// The last row of each plan as it was recorded, in SI; empty where there was none.
    pub last: Vec<Vec<f64>>,
    /// By requirement of the experiment: what is said of it, the robustness in its unit; none where it is not judged.
    pub verdicts: Vec<Option<crate::monitor::Judgement>>,
    /// By KPI of the experiment: its elements in SI, up to where the run ended; none where it failed.
    pub kpis: Vec<Option<Vec<f64>>>,
    /// The most rows that were held at once to judge one requirement.
    pub held_rows: u64,
}

/// So many instances of ranges are told apart in a report.
pub const MOST_BROKEN: usize = 20;

/// A watched range of one quantity that was left.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// Path of the quantity, with its subscripts.
    pub path: String,
    /// When it was left first, in seconds.
    pub time: f64,
    /// The value there, in SI.
    pub value: f64,
    /// The quantity.
    pub var: VarId,
    /// How often it was left.
    pub times: u64,
    /// Whether it ended the run.
    pub stopped: bool,
    /// Whether it is held at its limit there.
    pub clamped: bool,
    /// The condition.
    pub origin: OriginId,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// At its end.
    Complete,
    /// The host asked it to stop.
    Stopped,
    /// A range was left that says `else stop`.
    Range,
    /// Every verdict was decided, and nothing else was asked for.
    Decided,
    /// The model itself ended it: `stop`, with its reason.
    Halted(Option<String>),
    /// It could not go on.
    Failed(Box<Failure>),
}

/// Why a run could not go on.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Simulated time in seconds.
    pub time: f64,
    /// What happened.
    pub kind: FailureKind,
    /// The equations concerned, the most important first.
    pub origins: Vec<OriginId>,
    /// The quantities concerned with their values in SI: path, value, SI unit.
    pub values: Vec<(String, f64, String)>,
    /// Residuals of the equations in `origins`, where there are any.
    pub residuals: Vec<f64>,
}

/// The kinds of failure.
#[derive(Clone, Debug)]
pub enum FailureKind {
    /// The solver gave up.
    Solver(SolveError),
    /// An algebraic block has no solution that Newton finds, and a smaller step does not help.
    Block {
        /// What Newton met.
        failure: BlockFailure,
        /// Whether this was the initialization.
        initial: bool,
    },
    /// A table was asked outside its samples and has no rule for that.
    Table {
        /// Which.
        table: TableId,
        /// Its name.
        name: String,
        /// The argument.
        x: f64,
    },
    /// An index left its array.
    Index {
        /// The index.
        index: i64,
        /// The array's length.
        len: u32,
    },
    /// An unknown, the first of the values, is not a number, nor is a state, the second, or its derivative.
    NoValue,
    /// A whole number, the first of the values, has become too large to be one.
    NotWhole,
    /// A start value or a parameter's formula is not finite.
    NotFinite,
    /// The states that were given at the start contradict what the equations say about states alone.
    Inconsistent {
        /// The state that would have to change most, its nearest value that fits, and its SI unit.
        nearest: Option<(String, f64, String)>,
    },
    /// The relations of one instant did not settle.
    Unsettled {
        /// Rounds tried.
        rounds: u32,
    },
    /// A handler failed, or did not end.
    Behavior(Box<crate::behavior::Fault>),
    /// Two noises do not commute, and the solver needs that.
    NotCommuting {
        /// The paths' names.
        pair: [String; 2],
    },
    /// One relation changed again and again without time going on.
    Zeno {
        /// How often.
        firings: u32,
        /// The heads of the handlers that listen to it.
        handlers: Vec<String>,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.time;
        match &self.kind {
            FailureKind::Solver(error) => match (error, self.values.first()) {
                (SolveError::NotFinite { .. }, Some((path, ..))) => {
                    write!(f, "`{path}` or its derivative is not a number at t = {t} s")
                }
                (SolveError::NoSeries { .. }, Some((path, ..))) => {
                    write!(f, "`{path}` has no Taylor series at t = {t} s")
                }
                (SolveError::StepTooSmall { h, .. }, Some((path, ..))) => write!(
                    f,
                    "the step size became too small at t = {t} s ({h:.3e} s); `{path}` has the largest error"
                ),
                (SolveError::Newton { h, .. }, Some((path, ..))) => write!(
                    f,
                    "the solver's Newton iteration did not converge at t = {t} s (step {h:.3e} s); `{path}` moves \
                     most"
                ),
                (SolveError::Singular { h, .. }, Some((path, ..))) => write!(
                    f,
                    "the iteration matrix is singular at t = {t} s (step {h:.3e} s) in the column of `{path}`"
                ),
                _ => write!(f, "{error}"),
            },
            FailureKind::Block { failure, initial } => {
                let n = failure.unknowns.len();
                let what = if n == 1 { "equation".to_owned() } else { format!("loop of {n} equations") };
                let place = if *initial { "at the start".to_owned() } else { format!("at t = {t} s") };
                if failure.singular {
                    write!(f, "the {what} has a singular Jacobian {place}")
                } else {
                    let near = if failure.far { " near the last one" } else { "" };
                    write!(f, "the {what} has no solution{near} that Newton finds {place}")
                }
            }
            FailureKind::Table { name, x, .. } => {
                write!(
                    f,
                    "the table {name} does not reach to {x} at t = {t} s, and its rule is `outside: error`"
                )
            }
            FailureKind::Index { index, len } => {
                write!(f, "the index {index} is outside of an array of {len} at t = {t} s")
            }
            FailureKind::Behavior(fault) => write!(f, "{fault}, at t = {t} s"),
            FailureKind::NoValue => {
                let path = |k: usize| self.values.get(k).map_or("a value", |(path, ..)| path);
                write!(f, "`{}` is not a number at t = {t} s", path(0))?;
                if self.values.len() > 1 {
                    write!(f, ", nor is `{}` or its derivative", path(1))
                } else {
                    Ok(())
                }
            }
            FailureKind::NotWhole => {
                let (path, value, _) =
                    self.values.first().map_or(("a value", f64::NAN, ""), |(p, v, u)| (p, *v, u));
                write!(f, "`{path}` is {value:e} at t = {t} s, and an `Int` is exact below 2^53")
            }
            FailureKind::NotFinite => match self.values.first() {
                Some((path, value, _)) => write!(f, "`{path}` is {value} at the start"),
                None => write!(f, "a value at the start is not finite"),
            },
            FailureKind::Inconsistent { nearest: Some((path, value, unit)) } => {
                let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
                write!(
                    f,
                    "the start values contradict the equations: `{path}` would have to be near {value:.6}{unit}"
                )
            }
            FailureKind::Inconsistent { nearest: None } => {
                write!(f, "the start values contradict the equations")
            }
            FailureKind::Unsettled { rounds } => {
                write!(f, "the comparisons at t = {t} s still change after {rounds} rounds")
            }
            FailureKind::NotCommuting { pair: [first, second] } => {
                write!(f, "`milstein` needs noises that commute, which `{first}` and `{second}` do not")
            }
            FailureKind::Zeno { firings, handlers } if handlers.is_empty() => {
                write!(f, "{firings} events of one comparison at t = {t} s without time going on (Zeno)")
            }
            FailureKind::Zeno { firings, handlers } => write!(
                f,
                "{} set off {firings} times at t = {t} s without time going on (Zeno)",
                handlers.join(" and ")
            ),
        }
    }
}

impl std::error::Error for Failure {}
