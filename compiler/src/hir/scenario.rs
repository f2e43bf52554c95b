//! Scenarios: what a run does, drives, records and when.

use super::{ClassUse, Expr, Name, Override, Ref};
use crate::source::Span;
use std::rc::Rc;
use twinml_model::schema::DisplayUnit;

/// A scenario; `extends` is already applied.
#[derive(Debug)]
pub struct Scenario {
    /// Its name.
    pub name: Name,
    /// The twin it runs.
    pub class: ClassUse,
    /// `duration`, seconds.
    pub duration: Option<Expr>,
    /// `solver: bdf(rtol: 1e-6, …)`
    pub solver: Option<SolverEntry>,
    /// `seed`
    pub seed: Option<u64>,
    /// `parameters { … }`
    pub parameters: Vec<Override>,
    /// `start { … }`
    pub starts: Vec<Override>,
    /// `drive`
    pub drives: Vec<Drive>,
    /// `at`
    pub actions: Vec<TimedAction>,
    /// `branch`
    pub branches: Vec<Branch>,
    /// `record`
    pub records: Vec<RecordEntry>,
    /// `expect` names, negated or not, as written.
    pub expects: Vec<(String, bool, Span)>,
    /// `expect` of conditions of its own.
    pub checks: Vec<Check>,
    /// `samples`
    pub samples: Option<u64>,
    /// `calendar:` in nanoseconds since 1970-01-01T00:00Z, and its zone offset in seconds.
    pub calendar: Option<(i128, i32)>,
    /// `fidelity tanks = fast`: of which part, which level.
    pub fidelities: Vec<(String, Name, Span)>,
    /// The scenario's name.
    pub span: Span,
}

/// `expect stage.v at end = 5 V within 50 mV`, `expect max(T over run) < 350 K`
#[derive(Clone, Debug)]
pub struct Check {
    /// The condition; it has no name.
    pub requirement: super::Requirement,
    /// `expect not …`
    pub negated: bool,
    /// The condition's text.
    pub span: Span,
}

/// `bdf(rtol: 1e-6, atol: 1e-9)`
#[derive(Clone, Debug)]
pub struct SolverEntry {
    /// Method.
    pub method: Name,
    /// `rtol`, `atol`, `step`, `max_step`, `max_steps`, SI.
    pub args: Vec<(Name, Expr)>,
    /// Where it stands.
    pub span: Span,
}

/// `drive ctl.setpoint from "f.csv" column "sp" linear`
#[derive(Clone, Debug)]
pub struct Drive {
    /// The input.
    pub target: Ref,
    /// File beside the model.
    pub file: Rc<str>,
    /// Column.
    pub column: Rc<str>,
    /// Column of times; default `time`.
    pub time_column: Option<Rc<str>>,
    /// Unit of the column; default: the input's display unit.
    pub unit: Option<DisplayUnit>,
    /// Interpolation.
    pub method: twinml_model::program::TableMethod,
    /// Rule outside.
    pub outside: twinml_model::program::Outside,
    /// The whole.
    pub span: Span,
}

/// `at 30 min { … }`
#[derive(Clone, Debug)]
pub struct TimedAction {
    /// When, seconds.
    pub time: Expr,
    /// What, in order.
    pub body: Vec<ActionStmt>,
    /// The whole.
    pub span: Span,
}

/// Statements of scenario actions.
#[derive(Clone, Debug)]
pub enum ActionStmt {
    /// `pump.speed = 0 rpm`
    Assign(Ref, Expr, Span),
    /// `force pump.speed = 0 rpm`
    Force(Ref, Expr, Span),
    /// `release pump.speed`
    Release(Ref, Span),
    /// `send cancel to customer`, `log "text"`, `stop "reason"`, `fail "reason"`: what behaviour does
    Send(super::behavior::Stmt),
    /// `fail op.plan`, `emit`, …: refused.
    Later(Span),
}

/// `branch no_repair at 45 min { … }`
#[derive(Clone, Debug)]
pub struct Branch {
    /// Its name.
    pub name: Name,
    /// When, seconds.
    pub time: Expr,
    /// What, at that instant.
    pub body: Vec<ActionStmt>,
    /// Its own `at`.
    pub actions: Vec<TimedAction>,
    /// So many of the last of them leave the branch as a branch leaves the trunk: from their instant on what they assign is
    /// theirs, before it all is as without them. Only what is asked for from outside has such.
    pub later: usize,
    /// What it expects beside what its scenario expects; as there.
    pub expects: Vec<(String, bool, Span)>,
    /// Conditions of its own that it expects; as there.
    pub checks: Vec<Check>,
    /// The whole.
    pub span: Span,
}

/// `record tanks.h, pump.power every 1 s`
#[derive(Clone, Debug)]
pub struct RecordEntry {
    /// Members (of any child); empty: `record all`.
    pub targets: Vec<Ref>,
    /// Period, seconds.
    pub every: Option<Expr>,
    /// The whole.
    pub span: Span,
}
