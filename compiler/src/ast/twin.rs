//! Twins with their sections, and scenarios.

use super::{
    Arg, Attr, BehaviorItem, CompareOp, Decl, Expr, GenericArg, GenericValue, Handler, Name, Path, Stmt,
    Text, TypeExpr, UnitExpr,
};
use crate::source::Span;

/// A twin declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Twin {
    /// Doc comment.
    pub doc: Option<Text>,
    /// Where `partial` stands.
    pub is_partial: Option<Span>,
    /// The word before `twin`.
    pub kind: Option<TwinKind>,
    /// The name.
    pub name: Name,
    /// `<C: Cell, n: Int = 100>`
    pub params: Vec<GenericParam>,
    /// Entries and sections in the order of the text.
    pub members: Vec<Member>,
    /// All of it.
    pub span: Span,
    /// `asset twin Tank<n: Int>`, without the body.
    pub head: Span,
}

/// The word before `twin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TwinKind {
    /// `asset`
    Asset,
    /// `process`
    Process,
    /// `system`
    System,
    /// `organization`
    Organization,
    /// `ecosystem`
    Ecosystem,
    /// `agent`
    Agent,
}

impl TwinKind {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            TwinKind::Asset => "asset",
            TwinKind::Process => "process",
            TwinKind::System => "system",
            TwinKind::Organization => "organization",
            TwinKind::Ecosystem => "ecosystem",
            TwinKind::Agent => "agent",
        }
    }
}

/// `C: Cell`, `n: Int = 100`
#[derive(Debug, Clone, PartialEq)]
pub struct GenericParam {
    /// The name.
    pub name: Name,
    /// `Int`, `Real[m]`, … for a value; a twin or a type that the argument must extend.
    pub bound: TypeExpr,
    /// The default.
    pub default: Option<GenericValue>,
    /// All of it.
    pub span: Span,
}

/// An entry or a section of a twin.
#[derive(Debug, Clone, PartialEq)]
pub enum Member {
    /// `extends A { k = 2 }`
    Extends(Extends),
    /// `version: "1.2.0"`, `units: off`
    Meta(Setting),
    /// `parameters { … }` and the other sections of declared quantities
    Decls(DeclSection),
    /// `equations { … }`, `initial equations { … }`
    Equations(EquationSection),
    /// `ports { a: Pin; b: Pin[3] }`
    Ports(Vec<DeclEntry>, Span),
    /// `twins { tanks: Tank[3] { area = 1.5 m^2 } }`
    Twins(Vec<PartEntry>, Span),
    /// `connections { a.b -> c.d }`
    Connections(Vec<Connection>, Span),
    /// `behavior { … }`
    Behavior(Vec<BehaviorItem>, Span),
    /// `memory { … }`
    Memory(Vec<MemoryEntry>, Span),
    /// `capabilities { … }`
    Capabilities(Vec<Capability>, Span),
    /// `constraints { … }`
    Constraints(Vec<Constraint>, Span),
    /// `sync { … }`
    Sync(Vec<SyncItem>, Span),
    /// `fidelity fast { … }`
    Fidelity(Fidelity),
    /// Something that could not be read.
    Error(Span),
}

/// `extends A<n: 3> { k = 2 }`
#[derive(Debug, Clone, PartialEq)]
pub struct Extends {
    /// The twin that is taken over.
    pub base: Path,
    /// What stands in `<…>`.
    pub args: Vec<GenericArg>,
    /// The overrides.
    pub overrides: Vec<Override>,
    /// All of it.
    pub span: Span,
}

/// `name: value`, several values separated by commas.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// At least one value.
    pub values: Vec<Expr>,
    /// All of it.
    pub span: Span,
}

/// A section of declared quantities.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclSection {
    /// Which one.
    pub kind: SectionKind,
    /// The entries.
    pub entries: Vec<DeclEntry>,
    /// All of it.
    pub span: Span,
}

/// Which quantities a section declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SectionKind {
    /// `parameters`
    Parameters,
    /// `inputs`
    Inputs,
    /// `outputs`
    Outputs,
    /// `states`
    States,
    /// `variables`
    Variables,
}

impl SectionKind {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            SectionKind::Parameters => "parameters",
            SectionKind::Inputs => "inputs",
            SectionKind::Outputs => "outputs",
            SectionKind::States => "states",
            SectionKind::Variables => "variables",
        }
    }
}

/// An entry of such a section.
#[derive(Debug, Clone, PartialEq)]
pub enum DeclEntry {
    /// A quantity or a port.
    Decl(Box<Decl>),
    /// `correlate(a, b: 0.7)` in `parameters`
    Correlate(Vec<Arg>, Span),
    /// Something that could not be read.
    Error(Span),
}

/// `equations { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct EquationSection {
    /// Whether `initial` stands before it.
    pub is_initial: bool,
    /// The equations.
    pub equations: Vec<Equation>,
    /// All of it.
    pub span: Span,
}

/// `law: F = m*a`
#[derive(Debug, Clone, PartialEq)]
pub struct Equation {
    /// Doc comment.
    pub doc: Option<Text>,
    /// `law`
    pub label: Option<Name>,
    /// What it states.
    pub kind: EquationKind,
    /// All of it.
    pub span: Span,
}

/// The forms of an equation.
#[derive(Debug, Clone, PartialEq)]
pub enum EquationKind {
    /// `left = right`
    Equal {
        /// Left side, any expression.
        left: Expr,
        /// Right side, any expression.
        right: Expr,
    },
    /// `for i in 0..n { … }`
    For {
        /// The loop's name, more for pairs.
        vars: Vec<Name>,
        /// A range or an array.
        iter: Expr,
        /// `if …` behind it.
        cond: Option<Expr>,
        /// The equations for each value.
        body: Vec<Equation>,
    },
    /// `if c { … } else { … }`
    If {
        /// Conditions and equations, at least one.
        arms: Vec<(Expr, Vec<Equation>)>,
        /// After the last `else`.
        otherwise: Option<Vec<Equation>>,
    },
    /// Something that could not be read.
    Error,
}

/// An entry of `twins`.
#[derive(Debug, Clone, PartialEq)]
pub enum PartEntry {
    /// `tanks: Tank[3] { area = 1.5 m^2 }`
    Part(Box<Part>),
    /// Something that could not be read.
    Error(Span),
}

/// `tanks: Tank[3] { area = 1.5 m^2 } if n > 1`
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// Where `outer` stands.
    pub is_outer: Option<Span>,
    /// The twin, with its arguments and array sizes.
    pub ty: TypeExpr,
    /// The overrides, and entries such as `layout: …`.
    pub overrides: Vec<Override>,
    /// `if condition`: the part may be absent
    pub cond: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// An entry in the braces behind an instance, after `extends`, in a scenario's `parameters`.
#[derive(Debug, Clone, PartialEq)]
pub enum Override {
    /// `k = 2`, `cells[7].Q = 44 A*h`, `position = [50 m * i, 0 m] for i`
    Set {
        /// The member by path; an index may stand in it.
        target: Expr,
        /// The new value.
        value: Expr,
        /// The index names of `for i`.
        vars: Vec<Name>,
        /// All of it.
        span: Span,
    },
    /// `k ~ uniform(1, 2)`, also `k = 2 ~ uniform(1, 3)`
    Draw {
        /// The member by path.
        target: Expr,
        /// The new nominal value where `=` stands too.
        value: Option<Expr>,
        /// The new distribution.
        dist: Expr,
        /// The index names of `for i`.
        vars: Vec<Name>,
        /// All of it.
        span: Span,
    },
    /// `h guess 2 m`
    Guess {
        /// The member by path.
        target: Expr,
        /// The first try.
        value: Expr,
        /// All of it.
        span: Span,
    },
    /// `layout: …`
    Meta(Setting),
    /// Something that could not be read.
    Error(Span),
}

/// An entry of `connections`.
#[derive(Debug, Clone, PartialEq)]
pub enum Connection {
    /// `a -> b`, `a -- b`; a chain `a -- b -- c` is two of them
    Link {
        /// Doc comment.
        doc: Option<Text>,
        /// Which one.
        kind: LinkKind,
        /// Left end: a path with indices.
        from: Expr,
        /// Right end: a path with indices.
        to: Expr,
        /// `with delay: 20 ms`
        attrs: Vec<Attr>,
        /// All of it.
        span: Span,
    },
    /// `for i in 0..2 { … }`
    For {
        /// The loop's name, more for pairs.
        vars: Vec<Name>,
        /// A range or an array.
        iter: Expr,
        /// `if …` behind it.
        cond: Option<Expr>,
        /// The connections for each value.
        body: Vec<Connection>,
        /// All of it.
        span: Span,
    },
    /// `if c { … } else { … }`
    If {
        /// Conditions and connections, at least one.
        arms: Vec<(Expr, Vec<Connection>)>,
        /// After the last `else`.
        otherwise: Option<Vec<Connection>>,
        /// All of it.
        span: Span,
    },
    /// Something that could not be read.
    Error(Span),
}

/// How two ends are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// `->`: an output drives an input, or an event goes from here to there
    Causal,
    /// `--`: potentials equal, flows sum to zero
    Acausal,
}

/// An entry of `memory`.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryEntry {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// Where it lives.
    pub kind: MemoryKind,
    /// `= value`
    pub value: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// Where a memory lives.
#[derive(Debug, Clone, PartialEq)]
pub enum MemoryKind {
    /// `Queue<Job>`: lives with the run
    Run(TypeExpr),
    /// `session_scoped`, `session_scoped(…)`
    Session(Vec<Arg>),
    /// `persistent(7 days)`
    Persistent(Vec<Arg>),
    /// `external("manuals")`
    External(Vec<Arg>),
    /// Another word with arguments, for the checker to refuse.
    Other(Name, Vec<Arg>),
    /// Something that could not be read.
    Error,
}

/// `plan: llm_model("planner"), timeout: 2 s`
#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// `llm_model`
    pub provider: Name,
    /// The positional and named arguments of the call, supervision attributes inside it included.
    pub args: Vec<Arg>,
    /// The attributes behind the call.
    pub attrs: Vec<Attr>,
    /// All of it; an entry that could not be read has `is_error`.
    pub span: Span,
    /// Whether this stands for an entry that could not be read.
    pub is_error: bool,
}

/// An entry of `constraints`.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// `no_overflow: always(h <= h_max) with probability >= 0.95`
    Requirement(Requirement),
    /// `kpi energy in kWh: integral(power over run) minimize`
    Kpi(Kpi),
    /// `response_time: max(3 s)`: one of the policy names with values that are no formula
    Policy(Setting),
    /// Something that could not be read.
    Error(Span),
}

/// A formula with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// The formula.
    pub formula: Expr,
    /// `with probability >= 0.99 confidence 0.95`
    pub claim: Option<Claim>,
    /// Further attributes: `scale: 1 m`
    pub attrs: Vec<Attr>,
    /// All of it.
    pub span: Span,
}

/// `with probability >= 0.99 confidence 0.95`
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Mostly `>=`.
    pub op: CompareOp,
    /// The probability.
    pub probability: Expr,
    /// The confidence.
    pub confidence: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// `kpi energy in kWh: integral(power over run)`
#[derive(Debug, Clone, PartialEq)]
pub struct Kpi {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// `in kWh`
    pub unit: Option<UnitExpr>,
    /// What is reported.
    pub value: Expr,
    /// `minimize`, `maximize`
    pub goal: Option<Goal>,
    /// All of it.
    pub span: Span,
}

/// Which way an objective goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goal {
    /// `minimize`
    Minimize,
    /// `maximize`
    Maximize,
}

/// An entry of `sync`.
#[derive(Debug, Clone, PartialEq)]
pub enum SyncItem {
    /// `mqtt("plant") { … }`
    Link(SyncLink),
    /// `conflict: kalman`, `mode: shadow`
    Setting(Setting),
    /// Something that could not be read.
    Error(Span),
}

/// `mqtt("plant") { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct SyncLink {
    /// `mqtt`, `opcua`, …
    pub protocol: Name,
    /// The connection's name in `twin.toml`, and options.
    pub args: Vec<Arg>,
    /// What is bound.
    pub bindings: Vec<Binding>,
    /// All of it.
    pub span: Span,
}

/// `h <- "plant/tank1/level" in cm noise 2 cm stale 5 s`
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The member by path.
    pub target: Expr,
    /// Which way the value goes.
    pub direction: Direction,
    /// Where on the other side.
    pub address: Expr,
    /// `in cm`
    pub unit: Option<UnitExpr>,
    /// `noise 2 cm`
    pub noise: Option<Expr>,
    /// `stale 5 s`
    pub stale: Option<Expr>,
    /// `every 500 ms`
    pub every: Option<Expr>,
    /// Whether `on change` stands there.
    pub on_change: bool,
    /// `conflict newest`
    pub conflict: Option<Expr>,
    /// Further attributes.
    pub attrs: Vec<Attr>,
    /// All of it.
    pub span: Span,
    /// Whether this stands for an entry that could not be read.
    pub is_error: bool,
}

/// Which way a bound value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `<-`: from the plant
    In,
    /// `->`: to the plant
    Out,
}

/// `fidelity fast { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct Fidelity {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// Sections of its own.
    pub members: Vec<Member>,
    /// All of it.
    pub span: Span,
}

/// `scenario cold_start for Plant<n: 12> extends base { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// The twin.
    pub target: Path,
    /// What stands in `<…>`.
    pub args: Vec<GenericArg>,
    /// The scenario that is taken over.
    pub base: Option<Name>,
    /// Its entries.
    pub items: Vec<ScenarioItem>,
    /// All of it.
    pub span: Span,
    /// All but the body.
    pub head: Span,
}

/// An entry of a scenario or of a branch.
#[derive(Debug, Clone, PartialEq)]
pub enum ScenarioItem {
    /// `duration: 2 h`, `solver: bdf(rtol: 1e-6)`, `seed: 42`, `samples: 10_000`, `calendar: …`
    Setting(Setting),
    /// `parameters { tanks.area = 1.4 m^2 }`
    Parameters(Vec<Override>, Span),
    /// `start { x = 0 m }`
    Start(Vec<Override>, Span),
    /// `drive ctl.setpoint from "setpoints.csv" column "sp" linear`
    Drive(Drive),
    /// `at 30 min { … }`, `every 1 s { … }`, `on rising(…) { … }`
    Handler(Handler),
    /// `branch no_repair at 45 min { … }`
    Branch(Branch),
    /// `record tanks.h every 1 s`
    Record(Record),
    /// `expect no_overflow, drains`
    Expect(Vec<Expectation>, Span),
    /// `fidelity tanks = fast`
    Fidelity {
        /// The part, or parts, by path.
        target: Expr,
        /// The level.
        level: Name,
        /// All of it.
        span: Span,
    },
    /// In a branch: an action at its instant.
    Action(Stmt),
    /// Something that could not be read.
    Error(Span),
}

/// `drive demand from "demand.csv" column "factor" in bar step outside hold`
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// The input by path.
    pub target: Expr,
    /// The file, mostly a string; any expression otherwise.
    pub source: Expr,
    /// `column "factor"`
    pub column: Option<Expr>,
    /// `in bar`
    pub unit: Option<UnitExpr>,
    /// `linear`, `step`, …
    pub method: Option<Name>,
    /// `outside hold`
    pub outside: Option<Name>,
    /// All of it.
    pub span: Span,
}

/// `branch no_repair at 45 min { pump.failed = true }`
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Doc comment.
    pub doc: Option<Text>,
    /// The name.
    pub name: Name,
    /// The instant at which it leaves the trunk.
    pub at: Expr,
    /// Actions, and entries of its own.
    pub items: Vec<ScenarioItem>,
    /// All of it.
    pub span: Span,
}

/// `record tanks.h, pump.power every 1 s`
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The quantities by path; `all` is the name `all`.
    pub targets: Vec<Expr>,
    /// `every 1 s`
    pub every: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// `no_overflow`, `not safe`, `stage.v at end = 5 V within 50 mV`
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Whether `not` stands before it.
    pub negated: bool,
    /// A requirement by path, or a condition.
    pub expr: Expr,
    /// `= 5 V within 50 mV`
    pub equals: Option<(Expr, Option<Expr>)>,
    /// All of it.
    pub span: Span,
}
