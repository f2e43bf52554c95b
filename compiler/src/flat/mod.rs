//! The flat system: no classes, no connectors, no names to look up. Variables and equations are families:
//! an array of instances is one variable with one axis more, a `for` equation or an equation of a class
//! that is instantiated as an array is one equation with loops. Everything is in SI, sizes are numbers.
//!
//! [`print`] writes the text form (`--emit flat`), [`read`] reads it back; the grammar is in [`mod@print`].

pub mod diff;
mod lex;
pub mod print;
pub mod read;
#[cfg(test)]
mod tests;

pub use print::{Options, print, print_equation, print_expr};
pub use read::{ReadError, read};

use crate::source::Span;
use twinml_model::dimension::Dimension;
use twinml_model::ids::{Index, TableId, VarId};
pub use twinml_model::ir::{Affine, CmpOp, MathFn};
use twinml_model::program::{RangeElse, Table};
use twinml_model::schema::{DisplayUnit, EnumType, Kind, Segment};

/// Names of families that people do not see begin with this.
pub const HIDDEN: char = '$';
/// Names of the hidden families that hold what requirements speak of begin with this.
pub const MARGIN: &str = "$margin#";

/// The first segment of the paths of families that hold white noise.
pub const NOISE: &str = "$noise";

/// A flat system.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct System {
    /// The twin's name.
    pub name: String,
    /// Variable families.
    pub vars: Vec<Var>,
    /// Equation families, declared and made by connections, in a fixed order.
    pub equations: Vec<Equation>,
    /// Equations that hold at the start only.
    pub initial_equations: Vec<Equation>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Enumerations.
    pub enums: Vec<EnumType>,
    /// Conditions on quantities (`where`) that are watched while a run goes on.
    pub ranges: Vec<Range>,
    /// Quantities that are held at their limits (`else clamp`).
    pub clamps: Vec<Clamp>,
    /// Families that hold white noise, one Brownian path for each element.
    pub noises: Vec<Noise>,
    /// What a Monte Carlo job draws.
    pub draws: Vec<Draw>,
    /// What is not independent of what it draws.
    pub correlations: Vec<Correlation>,
    /// Whether acausal connections join ports: loops that a network closes are solved apart where they can be.
    pub network: bool,
    /// Why something was expanded instead of kept as a loop: (place, reason).
    pub expanded: Vec<(Span, String)>,
    /// Scenario actions, in time order.
    pub actions: Vec<Action>,
    /// The scenario's branches, in the source's order.
    pub branches: Vec<Branch>,
    /// Requirements by path, with the place; `true` where the scenario expects it.
    pub requirements: Vec<(String, Span, bool)>,
    /// Definitions of discrete families by their right limits: `next(left) = right`.
    pub nexts: Vec<Equation>,
    /// Families whose change sets off a handler, with the place: they must not vary between events.
    pub behavior_changes: Vec<(VarId, Span)>,
    /// Handlers, machines and their code.
    pub behavior: Behavior,
}

/// Behaviour over the families of a [`System`]: every `VarId` in it is one of the system's, every origin a
/// number in `places`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behavior {
    /// Handlers, machines, cells, code.
    pub model: twinml_model::behavior::Behavior,
    /// Places in the source with the path of the instance.
    pub places: Vec<(Span, String)>,
}

/// What a variable family is to the solver's side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Fixed for a run; `value` is its number or formula.
    Parameter,
    /// An input that nothing drives: holds `value` until an action sets it.
    Input,
    /// A declared state with a `der()` in some equation.
    State,
    /// A declared state without: discrete.
    Discrete,
    /// An unknown of the equations: outputs, variables, driven inputs, port members.
    Unknown,
}

/// A variable family: element `k` (row-major over all axes of `path`) for `k < len`.
#[derive(Clone, Debug, PartialEq)]
pub struct Var {
    /// Path with the lengths of the axes.
    pub path: Vec<Segment>,
    /// Product of all axes.
    pub len: u32,
    /// Its role.
    pub role: Role,
    /// Section in which it was declared, for results.
    pub declared: twinml_model::schema::Role,
    /// How to read a slot.
    pub kind: Kind,
    /// Parameter: value or formula. Input, discrete: start. State: exact start. Each piece covers a box
    /// of elements; pieces do not overlap and later ones win where the flatten stage splits.
    pub value: Vec<Piece>,
    /// First guess for unknowns and for states without a start.
    pub guess: Vec<Piece>,
    /// Whether a state's start is exact (`=`); otherwise initial equations must fix it.
    pub fixed: bool,
    /// Unit people see.
    pub unit: DisplayUnit,
    /// Printed coherent SI unit.
    pub si_unit: String,
    /// Dimension, where units are on.
    pub dimension: Option<Dimension>,
    /// Named quantity.
    pub quantity: Option<String>,
    /// Doc comment.
    pub description: Option<String>,
    /// Constant range `where lo <= self <= hi`.
    pub range: Option<(f64, f64)>,
    /// `final`, or chooses structure.
    pub structural: bool,
    /// The declaration.
    pub span: Span,
}

impl Var {
    /// A family without unit, value or range: what the compiler adds and nobody sees. Discrete values and parameters
    /// have exact starts.
    #[must_use]
    pub fn plain(path: Vec<Segment>, len: u32, role: Role, kind: Kind, span: Span) -> Var {
        Var {
            path,
            len,
            role,
            declared: print::usual_section(role),
            kind,
            value: Vec::new(),
            guess: Vec::new(),
            fixed: matches!(role, Role::Discrete | Role::Parameter),
            unit: DisplayUnit::default(),
            si_unit: String::new(),
            dimension: None,
            quantity: None,
            description: None,
            range: None,
            structural: false,
            span,
        }
    }
}

/// A formula for some elements of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Loops over the elements.
    pub loops: Vec<Loop>,
    /// Which element, affine in the loops' indices.
    pub element: Affine,
    /// The formula.
    pub expr: Expr,
    /// Where it stands (declaration or override).
    pub span: Span,
}

/// `index in lo..hi`; indices are numbered within one equation or piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// The index.
    pub index: Index,
    /// First value.
    pub lo: i64,
    /// One past the last value.
    pub hi: i64,
}

/// An equation family: `left = right` for every point of the loops.
#[derive(Clone, Debug, PartialEq)]
pub struct Equation {
    /// The loops, outermost first; none for a scalar equation.
    pub loops: Vec<Loop>,
    /// Left side.
    pub left: Expr,
    /// Right side.
    pub right: Expr,
    /// The source.
    pub span: Span,
    /// Path of the instance (`tanks[*]`), empty for the root.
    pub owner: String,
}

/// A family of watched conditions: for every point of the loops.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Left the element that is watched, right the condition, a truth value.
    pub is: Equation,
    /// What happens where it does not hold.
    pub otherwise: RangeElse,
}

/// A quantity that is held at its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Clamp {
    /// The quantity.
    pub var: VarId,
    /// Families of parameters of the same length: the lower limit and the upper one.
    pub limits: [Option<VarId>; 2],
    /// Of a continuous state: discrete families that say whether it is held there.
    pub held: [Option<VarId>; 2],
    /// The condition in the source.
    pub span: Span,
}

/// A family of `white_noise()`: an input that only a solver for stochastic equations sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// The family. Behind the segment [`NOISE`] its path is that of the occurrence.
    pub var: VarId,
    /// By axis of the path: the subscript of the first element.
    pub first: Vec<u32>,
    /// The occurrence.
    pub span: Span,
}

/// A family of draws: for every point of the loops.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// The loops, outermost first.
    pub loops: Vec<Loop>,
    /// What is drawn, as people see it.
    pub var: VarId,
    /// Its element.
    pub element: Affine,
    /// The hidden parameter (and its element) that holds the value drawn, the nominal one in a run that draws nothing;
    /// none: the quantity itself.
    pub into: Option<(VarId, Affine)>,
    /// The distribution; its arguments may use the loops' indices.
    pub law: twinml_model::draws::Law<Expr>,
    /// The distribution in the source.
    pub span: Span,
}

/// For every point of the loops two elements whose draws are correlated.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlation {
    /// The loops, outermost first.
    pub loops: Vec<Loop>,
    /// One element.
    pub a: (VarId, Affine),
    /// The other one.
    pub b: (VarId, Affine),
    /// The correlation.
    pub value: f64,
    /// Where it stands.
    pub span: Span,
}

/// Assignments at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Nanoseconds since the start.
    pub time_ns: i128,
    /// `(variable, piece)`: the value to give to elements of an `Input`, `Discrete` or `State` family.
    pub assigns: Vec<(VarId, Piece)>,
    /// Codes of behaviour that send messages.
    pub sends: Vec<twinml_model::behavior::CodeId>,
    /// Where it stands.
    pub span: Span,
}

/// A branch of the scenario: up to its instant all is as in the trunk, from there on its own actions apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Its instant, nanoseconds since the start.
    pub time_ns: i128,
    /// All actions from its instant on, the trunk's that apply in it too, in time order.
    pub actions: Vec<Action>,
    /// Paths of the requirements that it expects beside those that the scenario does.
    pub expects: Vec<String>,
    /// Those of them that it expects to be violated: `expect not safe`.
    pub refutes: Vec<String>,
    /// Where it stands.
    pub span: Span,
}

/// Arithmetic operators on numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// Power; with a small constant integer exponent: repeated products.
    Pow,
    /// Smaller.
    Min,
    /// Larger.
    Max,
}

/// Functions of one number that make no event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnOp {
    /// Sign flip.
    Neg,
    /// Magnitude.
    Abs,
    /// Square root.
    Sqrt,
    /// −1, 0, 1.
    Sign,
}

/// Integer-valued functions that make events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StepFn {
    /// Towards −∞.
    Floor,
    /// Towards +∞.
    Ceil,
    /// To nearest, ties away from zero.
    Round,
    /// Towards zero.
    Trunc,
}

/// Reductions over a loop, from the first to the last index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fold {
    /// Sum, from 0.
    Sum,
    /// Product, from 1.
    Product,
    /// Smallest, from +∞.
    Min,
    /// Largest, from −∞.
    Max,
    /// All true.
    All,
    /// Any true.
    Any,
}

/// Operations on truth values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BoolOp {
    /// Conjunction.
    And,
    /// Disjunction.
    Or,
    /// Exclusive or.
    Xor,
}

/// A scalar expression. Numbers and truth values are distinguished by construction.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A number in SI (integers and enumeration values too).
    Num(f64),
    /// A truth value.
    Bool(bool),
    /// Simulated time.
    Time,
    /// An affine function of loop indices, as a number.
    Index(Affine),
    /// Element of a family, affine in the loop indices. Families of kind `Bool` give truth values.
    Var(VarId, Affine),
    /// Element `base + stride·at` of a family, `0 <= at < len` at run time.
    VarAt {
        /// The family.
        var: VarId,
        /// Element where `at` is 0.
        base: Affine,
        /// Dynamic index (integral number).
        at: Box<Expr>,
        /// Number of choices.
        len: u32,
        /// Elements between choices.
        stride: i64,
        /// The use.
        span: Span,
    },
    /// `der` of an element of a family.
    Der(VarId, Affine),
    /// Start value of an element.
    Start(VarId, Affine),
    /// Function of one number.
    Un(UnOp, Box<Expr>),
    /// Function of two numbers.
    Bin(BinOp, Box<Expr>, Box<Expr>),
    /// Elementary function.
    Math(MathFn, Vec<Expr>),
    /// Integer-valued function: makes events unless inside `NoEvent` or over discrete values.
    Step(StepFn, Box<Expr>, Span),
    /// Comparison of numbers: makes events unless inside `NoEvent` or over discrete values.
    Cmp(CmpOp, Box<Expr>, Box<Expr>, Span),
    /// Truth values.
    BoolBin(BoolOp, Box<Expr>, Box<Expr>),
    /// Negation.
    Not(Box<Expr>),
    /// `if`: of numbers or of truth values.
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Reduction over loops; `body` may use the loops' indices (numbered apart from the equation's).
    Fold(Fold, Box<Loop>, Box<Expr>),
    /// Table value.
    Table(TableId, Box<Expr>),
    /// `delay(e, tau)`
    Delay(Box<Expr>, Box<Expr>),
    /// `noevent(e)`
    NoEvent(Box<Expr>),
    /// A truth value as 0 or 1.
    BoolToNum(Box<Expr>),
}

/// What to run and what to record: a scenario made concrete, beside its [`System`] (which holds the
/// actions and the requirements).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Experiment {
    /// The scenario's name, or the twin's where none is chosen.
    pub name: String,
    /// End of the run in seconds; `None` where nothing says it.
    pub duration: Option<f64>,
    /// Solver, as asked.
    pub solver: twinml_model::program::SolverSpec,
    /// Seed of all random streams.
    pub seed: u64,
    /// How many samples a Monte Carlo job takes.
    pub samples: Option<u64>,
    /// What to record; empty: outputs and states at 1,000 instants.
    pub records: Vec<Record>,
    /// Requirements that can be judged: number in [`System::requirements`], and the formula, the slots of whose
    /// atoms are numbers of hidden families.
    pub judged: Vec<(usize, twinml_model::requirement::Judged)>,
    /// Requirements that are conditions of a scenario's own, and of which branch; they are named by their text.
    pub checks: Vec<(usize, Option<String>)>,
    /// What they and reports say about the run as a whole; slots are numbers of hidden families.
    pub aggregates: Vec<twinml_model::requirement::Aggregate>,
    /// Figures that the run is reported with; slots are numbers of hidden families.
    pub kpis: Vec<twinml_model::requirement::Kpi>,
}

/// A recording order over the families of a [`System`].
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Families with the flat numbers of the elements; no numbers: the whole family.
    pub vars: Vec<(VarId, Vec<u32>)>,
    /// Period in attoseconds; `None`: 1,000 equal periods.
    pub every_as: Option<i128>,
    /// The entry.
    pub span: Span,
}
