//! Classes: members, their declarations, overrides, equations and connections.

use super::{ClassId, ConnectorId, Expr, Extent, ForRange, LocalId, Name, Ref, Step, Type, behavior};
use crate::map::IndexMap;
use crate::source::Span;
use std::rc::Rc;
use twinml_model::schema::DisplayUnit;

/// Which section declares a variable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Section {
    /// `<n: Int = 100>`
    ValueParam,
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

/// A twin class.
#[derive(Debug)]
pub struct Class {
    /// Its name.
    pub name: Name,
    /// `asset`, `process`, …
    pub kind: Option<Name>,
    /// `partial twin`
    pub partial: bool,
    /// `units: off`
    pub units_off: bool,
    /// Doc comment.
    pub doc: Option<String>,
    /// Metadata entries as text.
    pub metadata: Vec<(Name, String)>,
    /// Type parameters with their bounds.
    pub type_params: Vec<(Name, ClassId)>,
    /// All members by name, inherited ones first, in declaration order.
    pub members: IndexMap<Name, Member>,
    /// Overrides that `extends A { … }` gave, oldest first; evaluated in this class's scope.
    pub own_overrides: Vec<Override>,
    /// Equations, inherited first.
    pub equations: Vec<Equation>,
    /// Initial equations.
    pub initial_equations: Vec<Equation>,
    /// Connections.
    pub connections: Vec<Connection>,
    /// Handlers, machines and functions, inherited first.
    pub behavior: behavior::Behavior,
    /// What this class declares that runs later than this version can: each with its place.
    pub later: Vec<Later>,
    /// Requirements, claims, kpis: name and place.
    pub requirements: Vec<(Name, Span)>,
    /// The formulas of requirements, inherited first; those that this version does not judge are missing.
    pub formulas: Vec<Requirement>,
    /// Figures that a run is reported with, inherited first.
    pub kpis: Vec<Kpi>,
    /// Correlations of drawn parameters, inherited first.
    pub correlations: Vec<Correlation>,
    /// The declaration's name.
    pub span: Span,
    /// The class and its ancestors, nearest first (for type-parameter bounds).
    pub ancestors: Vec<ClassId>,
}

impl Class {
    /// Requirements and claims, without what is only reported.
    pub fn demands(&self) -> impl Iterator<Item = &(Name, Span)> {
        self.requirements.iter().filter(|(name, _)| self.kpis.iter().all(|k| k.name != *name))
    }
}

/// A construct that parses and checks but is not executable yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Later {
    /// What it is.
    pub what: LaterKind,
    /// Where it stands.
    pub span: Span,
}

/// Kinds of constructs that are not executable yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LaterKind {
    /// A handler or function in `behavior`: refused at run.
    Behavior,
    /// A state machine: refused at run.
    Machine,
    /// `white_noise`: refused at run.
    WhiteNoise,
    /// `sync`: does not stop a run.
    Sync,
    /// `memory`: does not stop a run.
    Memory,
    /// `capabilities`: does not stop a run.
    Capability,
    /// A population of a form that is refused at run.
    Population,
    /// `fidelity`: does not stop a run, which takes the first.
    Fidelity,
    /// An override that chooses another: refused at run.
    FidelityChosen,
}

/// A member of a class.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it is.
    pub kind: MemberKind,
    /// The declaration's name.
    pub span: Span,
    /// Doc comment.
    pub doc: Option<String>,
}

/// Kinds of members.
#[derive(Clone, Debug)]
pub enum MemberKind {
    /// A quantity.
    Var(VarDecl),
    /// A port.
    Port(PortDecl),
    /// A child twin or an array of them.
    Twin(TwinDecl),
    /// A machine: one of [`Class::behavior`]'s, by name.
    Machine,
    /// `buffer: Queue<Part>` in `memory`: a value on the heap.
    Memory(Type),
    /// Something that behaviour alone sees: capability, lasting memory.
    Other(LaterKind),
}

/// A declared quantity.
#[derive(Clone, Debug)]
pub struct VarDecl {
    /// Its section.
    pub section: Section,
    /// Element type.
    pub ty: Type,
    /// Axes.
    pub shape: Vec<Extent>,
    /// The unit people see; default: coherent SI.
    pub unit: DisplayUnit,
    /// Printed coherent SI unit.
    pub si_unit: String,
    /// Named quantity or refined type.
    pub quantity: Option<Name>,
    /// `= value`: default, nominal, definition (outputs) or exact start (states), SI.
    pub value: Option<Expr>,
    /// `~ distribution`
    pub distribution: Option<Distribution>,
    /// `where` conditions (also those of refined types), over [`ExprKind::SelfValue`] and members.
    pub ranges: Vec<RangeCheck>,
    /// `guess`
    pub guess: Option<Expr>,
    /// `final`
    pub is_final: bool,
    /// `outer`: stands for the member of that name in the nearest enclosing twin.
    pub outer: bool,
    /// Made by the compiler: whether a place of a population is taken.
    pub hidden: bool,
}

/// A `where` condition.
#[derive(Clone, Debug)]
pub struct RangeCheck {
    /// The condition; array declarations: over one element.
    pub cond: Expr,
    /// `else stop`, `else clamp`
    pub otherwise: RangeElse,
    /// Whether nobody wrote it: a temperature is not below absolute zero.
    pub implied: bool,
}

/// What happens when a range is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeElse {
    /// A mark on the run.
    Report,
    /// The run ends.
    Stop,
    /// The value is held at its limit.
    Clamp,
}

/// A distribution: name and SI arguments; drawn by `draw` and by Monte Carlo jobs.
#[derive(Clone, PartialEq, Debug)]
pub struct Distribution {
    /// `normal`, `uniform`, …
    pub name: Name,
    /// Arguments in the order of the definition that are numbers: of `truncated` the two ends (infinite where not
    /// written), of `mixture` the weights, of `discrete` values and weights (absent: all alike).
    pub args: Vec<Expr>,
    /// The distribution that `truncated` cuts, those that `mixture` mixes.
    pub parts: Vec<Distribution>,
    /// What `empirical` draws from.
    pub samples: Option<Samples>,
    /// `normal(sd: 2 %)`: the mean is the nominal value, and the one argument its spread as a fraction
    /// of the nominal's magnitude.
    pub relative: bool,
    /// Where it stands.
    pub span: Span,
}

/// A column of measured values.
#[derive(Clone, PartialEq, Debug)]
pub struct Samples {
    /// File name, relative to the file that names it.
    pub file: Rc<str>,
    /// Column.
    pub column: Rc<str>,
    /// The unit behind `in`.
    pub unit: Option<DisplayUnit>,
    /// The unit where neither the model nor the file says one.
    pub usual: DisplayUnit,
    /// What is drawn.
    pub ty: Type,
    /// Whether a declaration says what that is.
    pub declared: bool,
}

impl Distribution {
    /// Calls `f` for every argument, those of the distributions in it too.
    pub fn each_arg<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        self.args.iter().for_each(&mut *f);
        self.parts.iter().for_each(|p| p.each_arg(f));
    }
}

/// A port.
#[derive(Clone, Debug)]
pub struct PortDecl {
    /// Its connector.
    pub connector: ConnectorId,
    /// Axes.
    pub shape: Vec<Extent>,
    /// `if n > 1`
    pub condition: Option<Expr>,
}

/// A child twin.
#[derive(Clone, Debug)]
pub struct TwinDecl {
    /// Which class.
    pub class: ClassUse,
    /// Axes.
    pub shape: Vec<Extent>,
    /// `{ area = 2 m^2 }`, first to last (the last wins).
    pub overrides: Vec<Override>,
    /// `if n > 1`
    pub condition: Option<Expr>,
    /// A population `Truck[0..200]`: how many there are at the start.
    pub population: Option<Extent>,
}

/// A use of a class with its arguments.
#[derive(Clone, Debug)]
pub struct ClassUse {
    /// The class, or a type parameter of the class this stands in.
    pub target: ClassTarget,
    /// Value arguments by name, in this scope; the rest have defaults.
    pub values: Vec<(Name, Expr)>,
    /// Type arguments in order of [`Class::type_params`].
    pub types: Vec<ClassUse>,
    /// Where it stands.
    pub span: Span,
}

/// A class or a type parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClassTarget {
    /// A class.
    Class(ClassId),
    /// Type parameter number `n` of the enclosing class.
    Param(u32),
}

/// `position = [50 m * i, 0 m] for i`, `cells[17].Q = 44 A*h`, `a.k ~ normal(…)`.
#[derive(Clone, Debug)]
pub struct Override {
    /// Path from the instance that is overridden.
    pub path: Vec<Step>,
    /// Index locals of `for i, j`: bound to the instance's own indices (all axes on the path, in order).
    pub indices: Vec<LocalId>,
    /// The new value, evaluated in the scope that writes the override; `None` where only `~` is given.
    pub value: Option<Expr>,
    /// `~`
    pub distribution: Option<Distribution>,
    /// `h guess 2 m`: the value is a first try, not a start.
    pub guess: bool,
    /// The whole entry.
    pub span: Span,
}

/// An equation.
#[derive(Clone, Debug)]
pub enum Equation {
    /// `left = right`; arrays elementwise.
    Equal {
        /// Label (`law: F = …`).
        label: Option<Name>,
        /// Left side.
        left: Expr,
        /// Right side.
        right: Expr,
        /// The whole equation.
        span: Span,
    },
    /// `for i in lo..hi { … }`
    For {
        /// The loop.
        range: ForRange,
        /// The body.
        body: Vec<Equation>,
        /// The whole loop.
        span: Span,
    },
    /// `if c { … } else { … }` with a condition of parameters.
    If {
        /// Condition.
        cond: Expr,
        /// Where it holds.
        then: Vec<Equation>,
        /// Where not.
        otherwise: Vec<Equation>,
        /// The whole.
        span: Span,
    },
}

impl Equation {
    /// Calls `f` for every expression of the equation and everything in it.
    pub fn visit_exprs<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        match self {
            Equation::Equal { left, right, .. } => {
                left.visit(f);
                right.visit(f);
            }
            Equation::For { range, body, .. } => {
                range.lo.visit(f);
                range.hi.visit(f);
                body.iter().for_each(|e| e.visit_exprs(f));
            }
            Equation::If { cond, then, otherwise, .. } => {
                cond.visit(f);
                then.iter().chain(otherwise).for_each(|e| e.visit_exprs(f));
            }
        }
    }
}

/// A connection.
#[derive(Clone, Debug)]
pub enum Connection {
    /// `a -> b` of signals: `b = a`.
    Causal {
        /// An output, state, input or formula.
        from: Expr,
        /// The input driven.
        to: Ref,
        /// The whole.
        span: Span,
    },
    /// `a.out -> b.arrive` of events.
    Event {
        /// Who emits it.
        from: behavior::EventRef,
        /// What it becomes at whom.
        to: behavior::EventRef,
        /// The whole.
        span: Span,
    },
    /// `a -- b`
    Acausal {
        /// One port.
        a: Ref,
        /// The other.
        b: Ref,
        /// The whole.
        span: Span,
    },
    /// `for i in lo..hi { … }`
    For {
        /// The loop.
        range: ForRange,
        /// The body.
        body: Vec<Connection>,
    },
    /// `… if cond`: present where the condition of parameters holds.
    If {
        /// Condition.
        cond: Expr,
        /// The body.
        body: Vec<Connection>,
    },
}

/// `kpi energy in kWh: integral(power over run) minimize`
#[derive(Clone, Debug)]
pub struct Kpi {
    /// Its name.
    pub name: Name,
    /// What is reported: numbers of the run as a whole.
    pub value: Expr,
    /// The unit people see.
    pub unit: DisplayUnit,
    /// Which way it goes as an objective.
    pub goal: Option<twinml_model::requirement::Goal>,
}

/// `with probability >= 0.99 confidence 0.95`
#[derive(Clone, Debug)]
pub struct Claim {
    /// `>=` or `>`; else `<=` or `<`.
    pub at_least: bool,
    /// The probability.
    pub probability: Expr,
    /// The confidence.
    pub confidence: Option<Expr>,
}

/// `correlate(a, b: 0.7)` in `parameters`.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// A parameter of the class.
    pub a: Name,
    /// Another one.
    pub b: Name,
    /// The correlation.
    pub value: Expr,
    /// Where it stands.
    pub span: Span,
}

/// `no_overflow: always(h <= h_max) with probability >= 0.95`
#[derive(Clone, Debug)]
pub struct Requirement {
    /// Its name.
    pub name: Name,
    /// A truth value, with [`ExprKind::Temporal`](super::ExprKind::Temporal) in it.
    pub formula: Expr,
    /// `with probability >= 0.99 confidence 0.95`: a claim about many runs.
    pub claim: Option<Claim>,
    /// `scale:`
    pub scale: Option<Expr>,
    /// The units in which its numbers are written, by place.
    pub units: Vec<(Span, twinml_model::dimension::Dimension, DisplayUnit)>,
}
