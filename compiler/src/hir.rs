//! The checked model: every name resolved, every expression with a type, a shape and a dimension, every
//! number in coherent SI. No error nodes: where checking found errors, compilation ends before this form
//! is used.
//!
//! Classes are complete: `extends` is already applied, so a class lists inherited members, equations and
//! connections as its own (in the order: inherited first), with the `extends` overrides as entries of
//! [`Class::own_overrides`]. Classes stay generic in their value parameters (`n: Int`), which are ordinary
//! `Int` members of role [`Section::ValueParam`], and in their type parameters.
//!
//! A class is not yet instantiated: references walk from the class's own members by name. The flatten
//! stage instantiates.

pub mod behavior;

use crate::source::Span;
use indexmap::IndexMap;
use std::rc::Rc;
use twinml_model::dimension::Dimension;
pub use twinml_model::ir::CmpOp;
use twinml_model::schema::DisplayUnit;

/// Number of a class in [`Model::classes`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ClassId(pub u32);
/// Number of a connector in [`Model::connectors`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ConnectorId(pub u32);
/// Number of an enumeration in [`Model::enums`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct EnumId(pub u32);
/// Number of a record type in [`Model::records`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct RecordId(pub u32);
/// Number of a function in [`Model::functions`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FuncId(pub u32);
/// A local name (loop index, comprehension variable, function argument or local), unique in the model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LocalId(pub u32);

/// A member or step name, cheap to clone.
pub type Name = Rc<str>;

/// All files of a compilation, checked.
#[derive(Debug, Default)]
pub struct Model {
    /// Twin classes; inherited members included.
    pub classes: Vec<Class>,
    /// Connectors.
    pub connectors: Vec<Connector>,
    /// Enumerations.
    pub enums: Vec<Enum>,
    /// Records.
    pub records: Vec<Record>,
    /// Functions usable in equations (behaviour's private functions are kept with the behaviour).
    pub functions: Vec<Function>,
    /// Scenarios of the root file, in order.
    pub scenarios: Vec<Scenario>,
    /// The last twin of the root file that is neither partial nor generic without defaults: what runs
    /// when no scenario is named.
    pub main: Option<ClassId>,
    /// Names of locals, indexed by [`LocalId`], for messages.
    pub locals: Vec<Name>,
    /// Classes by name as the root file sees them.
    pub class_names: IndexMap<Name, ClassId>,
}

/// The kind of thing an expression is. Shape is separate.
#[derive(Clone, PartialEq, Debug)]
pub enum Type {
    /// A quantity with a dimension; `None` inside `units: off` and for literals `0` that fit any.
    Real(Option<Dimension>),
    /// An integer.
    Int,
    /// A truth value.
    Bool,
    /// Text.
    String,
    /// A value of an enumeration.
    Enum(EnumId),
    /// A record.
    Record(RecordId),
    /// A function given by samples: argument and value dimension.
    Table(Option<Dimension>, Option<Dimension>),
    /// Complex number with a dimension.
    Complex(Option<Dimension>),
    /// A moment of the calendar.
    Timestamp,
    /// `List`, `Set`, `Queue` of something (behaviour only).
    List(Box<Type>),
    /// `Map<K, V>` (behaviour only).
    Map(Box<Type>, Box<Type>),
    /// `T?`.
    Optional(Box<Type>),
    /// A reference to a twin (behaviour only).
    Twin(ClassId),
    /// Behaviour only: checked at run time.
    Any,
}

/// Length of one axis.
#[derive(Clone, PartialEq, Debug)]
pub enum Extent {
    /// Known now.
    Const(u32),
    /// A formula of value parameters and `final` parameters, evaluated at instantiation.
    Formula(Box<Expr>),
    /// Known only at instantiation, from the operands' own shapes.
    Inferred,
}

/// A checked expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it does.
    pub kind: ExprKind,
    /// Element type.
    pub ty: Type,
    /// Axes; empty for a scalar.
    pub shape: Vec<Extent>,
    /// Where it stands.
    pub span: Span,
}

/// A path from the class whose equation this is to a member, maybe of a child: `tanks[i].pump.q[0]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Ref {
    /// At least one step.
    pub steps: Vec<Step>,
    /// The whole path.
    pub span: Span,
}

/// One step of a path.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Member name; looked up in the class of the instance reached so far.
    pub name: Name,
    /// Subscripts written behind it; fewer than the axes means whole remaining axes (`tanks.h` is the
    /// array of all `h`: axes of all steps are concatenated in path order).
    pub subscripts: Vec<Subscript>,
}

/// An index or a slice.
#[derive(Clone, PartialEq, Debug)]
pub enum Subscript {
    /// `a[e]`
    Index(Expr),
    /// `a[lo..hi]`, half-open; an absent end is the array's own.
    Slice(Option<Expr>, Option<Expr>),
}

/// Unary operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnOp {
    /// `-x`
    Neg,
    /// `not b`
    Not,
}

/// Binary operators. Elementwise over arrays with scalars broadcast, except `MatMul`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*` of scalars, or of a scalar and an array.
    Mul,
    /// `*` of two arrays: matrix·matrix, matrix·vector, vector·matrix, vector·vector (scalar product).
    MatMul,
    /// `/`
    Div,
    /// `^`
    Pow,
    /// Comparison.
    Cmp(CmpOp),
    /// `and`
    And,
    /// `or`
    Or,
    /// `xor`
    Xor,
    /// `implies`
    Implies,
}

/// Reductions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduction {
    /// `sum`
    Sum,
    /// `product`
    Product,
    /// `mean`
    Mean,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `all`
    All,
    /// `any`
    Any,
    /// `count`
    Count,
}

/// Functions known to the compiler that are allowed in equations (behaviour's calls are in the
/// behaviour part).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "TWINML.md §4 lists them by these names")]
pub enum Builtin {
    // elementwise
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Atan2,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Exp,
    Expm1,
    Log,
    Log1p,
    Log10,
    Log2,
    Sqrt,
    Cbrt,
    Pow,
    Hypot,
    Abs,
    Sign,
    Min,
    Max,
    Clamp,
    Floor,
    Ceil,
    Round,
    Trunc,
    Mod,
    Div,
    Factorial,
    Erf,
    Gamma,
    Xor,
    Finite,
    // arrays
    Dot,
    Cross,
    Norm,
    Transpose,
    Inverse,
    Solve,
    Det,
    Identity,
    Zeros,
    Ones,
    Diag,
    Concat,
    Len,
    // time
    Delay,
    Interpolate,
    Integral,
    Filter,
    NoEvent,
    Smooth,
    WhiteNoise,
    Inflow,
    HourOfDay,
    Weekday,
    Now,
    // conversion
    ToReal,
    ToInt,
    // complex
    Re,
    Im,
    Conj,
    Arg,
}

/// What an expression does.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// A number in SI (`20 degC` is 293.15).
    Real(f64),
    /// An integer.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// Text (only where the compiler evaluates it: file names, zones).
    Str(Rc<str>),
    /// A value of an enumeration, by position.
    EnumValue(EnumId, u32),
    /// `time`, in seconds.
    Time,
    /// `pi` and other constants are `Real`; this is a member's value.
    Member(Ref),
    /// `x.start`
    Start(Ref),
    /// A loop index, comprehension variable, function argument or function local.
    Local(LocalId),
    /// `self` inside a `where` condition.
    SelfValue,
    /// `der(e)`
    Der(Box<Expr>),
    /// Unary operator.
    Unary(UnOp, Box<Expr>),
    /// Binary operator.
    Binary(BinOp, Box<Expr>, Box<Expr>),
    /// `if c then a else b`
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A builtin; named arguments are put in the order of the definition.
    Call(Builtin, Vec<Expr>),
    /// A user function.
    CallFunc(FuncId, Vec<Expr>),
    /// A table member applied to an argument.
    CallTable(Ref, Box<Expr>),
    /// `table("f.csv", x: "flow" in kg/s, …)`: the value of a `Table` parameter.
    TableFile(Rc<TableFile>),
    /// `[a, b, c]`; nested for matrices (the elements then have a shape).
    Array(Vec<Expr>),
    /// `[body for i in lo..hi if cond]`
    Comprehension(Rc<Comprehension>),
    /// `a[i, ..]` on something that is not a member path.
    Index(Box<Expr>, Vec<Subscript>),
    /// Reduction of an array.
    Reduce(Reduction, Box<Expr>),
    /// `sum(body for i in lo..hi if cond)`
    ReduceOver(Reduction, Rc<Comprehension>),
    /// What only behaviour computes, or keeps where formulas may read it.
    Behavior(Rc<behavior::Op>),
    /// Something of an agent (a message, a capability): checked, and not lowered in this version. A class
    /// that holds one lists it in [`Class::later`].
    BehaviorOnly,
}

impl Expr {
    /// Calls `f` for this expression and everything in it, subscripts included, outermost first.
    pub fn visit<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        f(self);
        match &self.kind {
            ExprKind::Real(_)
            | ExprKind::Int(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::EnumValue(..)
            | ExprKind::Time
            | ExprKind::Local(_)
            | ExprKind::SelfValue
            | ExprKind::TableFile(_)
            | ExprKind::BehaviorOnly => {}
            ExprKind::Behavior(op) => op.each_child(&mut |e| e.visit(f)),
            ExprKind::Member(r) | ExprKind::Start(r) => r.visit(f),
            ExprKind::Der(e) | ExprKind::Unary(_, e) | ExprKind::Reduce(_, e) => e.visit(f),
            ExprKind::Binary(_, a, b) => {
                a.visit(f);
                b.visit(f);
            }
            ExprKind::If(c, a, b) => {
                c.visit(f);
                a.visit(f);
                b.visit(f);
            }
            ExprKind::Call(_, args) | ExprKind::CallFunc(_, args) | ExprKind::Array(args) => {
                args.iter().for_each(|a| a.visit(f));
            }
            ExprKind::CallTable(r, a) => {
                r.visit(f);
                a.visit(f);
            }
            ExprKind::Comprehension(c) | ExprKind::ReduceOver(_, c) => {
                for l in &c.loops {
                    l.lo.visit(f);
                    l.hi.visit(f);
                }
                c.filter.iter().for_each(|e| e.visit(f));
                c.body.visit(f);
            }
            ExprKind::Index(e, subs) => {
                e.visit(f);
                subs.iter().for_each(|s| s.visit(f));
            }
        }
    }
}

impl Ref {
    fn visit<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        self.steps.iter().flat_map(|s| &s.subscripts).for_each(|s| s.visit(f));
    }
}

impl Subscript {
    fn visit<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        match self {
            Subscript::Index(e) => e.visit(f),
            Subscript::Slice(lo, hi) => lo.iter().chain(hi).for_each(|e| e.visit(f)),
        }
    }
}

/// `body for i in lo..hi, j in lo..hi if cond`
#[derive(Clone, PartialEq, Debug)]
pub struct Comprehension {
    /// The element.
    pub body: Expr,
    /// Loops, outermost first.
    pub loops: Vec<ForRange>,
    /// Only where this holds.
    pub filter: Option<Expr>,
}

/// `i in lo..hi`
#[derive(Clone, PartialEq, Debug)]
pub struct ForRange {
    /// The index.
    pub local: LocalId,
    /// First value.
    pub lo: Expr,
    /// One past the last.
    pub hi: Expr,
}

/// A table from a data file beside the model.
#[derive(Clone, PartialEq, Debug)]
pub struct TableFile {
    /// File name, relative to the file that names it.
    pub file: Rc<str>,
    /// Column of arguments, and the unit it is written in.
    pub x: (Rc<str>, DisplayUnit),
    /// Column of values, and the unit it is written in.
    pub y: (Rc<str>, DisplayUnit),
    /// Interpolation.
    pub method: twinml_model::program::TableMethod,
    /// Rule outside.
    pub outside: twinml_model::program::Outside,
    /// Where it stands.
    pub span: Span,
}

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
    /// The declaration's name.
    pub span: Span,
    /// The class and its ancestors, nearest first (for type-parameter bounds).
    pub ancestors: Vec<ClassId>,
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
    /// `--`: refused at run.
    Acausal,
    /// `white_noise`: refused at run.
    WhiteNoise,
    /// `sync`: does not stop a run.
    Sync,
    /// `memory`: does not stop a run.
    Memory,
    /// `capabilities`: does not stop a run.
    Capability,
    /// A population `Truck[0..200]`: refused at run.
    Population,
    /// `fidelity`: refused at run where chosen other than the first.
    Fidelity,
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
}

/// A `where` condition.
#[derive(Clone, Debug)]
pub struct RangeCheck {
    /// The condition; array declarations: over one element.
    pub cond: Expr,
    /// `else stop`, `else clamp`
    pub otherwise: RangeElse,
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

/// A distribution: name and SI arguments; drawn by Monte Carlo jobs, not by runs.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// `normal`, `uniform`, …
    pub name: Name,
    /// Arguments in the order of the definition.
    pub args: Vec<Expr>,
    /// `normal(sd: 2 %)`: the mean is the nominal value, and the one argument its spread as a fraction
    /// of the nominal's magnitude.
    pub relative: bool,
    /// Where it stands.
    pub span: Span,
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

/// A connector.
#[derive(Debug)]
pub struct Connector {
    /// Its name.
    pub name: Name,
    /// Members in order.
    pub members: IndexMap<Name, ConnectorMember>,
    /// The declaration's name.
    pub span: Span,
}

/// A member of a connector.
#[derive(Clone, Debug)]
pub struct ConnectorMember {
    /// `potential`, `flow`, `stream`.
    pub role: ConnectorRole,
    /// Its declaration (no value, no range).
    pub decl: VarDecl,
    /// Its name.
    pub span: Span,
}

/// Roles in a connector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectorRole {
    /// Equal at a node.
    Potential,
    /// Sums to zero at a node; positive into the twin.
    Flow,
    /// Carried by the flow; what would leave.
    Stream,
}

/// An enumeration.
#[derive(Clone, Debug)]
pub struct Enum {
    /// Its name.
    pub name: Name,
    /// Values in order.
    pub values: Vec<Name>,
    /// The declaration's name.
    pub span: Span,
}

/// A record type.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub name: Name,
    /// Fields: type, shape.
    pub fields: IndexMap<Name, (Type, Vec<Extent>)>,
    /// The declaration's name.
    pub span: Span,
}

/// A function usable in equations.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: Name,
    /// Arguments: local, element type as declared (dimension `None`: generic), shape.
    pub params: Vec<(LocalId, Type, Vec<Extent>)>,
    /// Body.
    pub body: Vec<FuncStmt>,
    /// The declaration's name.
    pub span: Span,
}

/// Statements of functions used in equations.
#[derive(Clone, Debug)]
pub enum FuncStmt {
    /// `x = e`: a new local or a new value of one.
    Assign(LocalId, Expr),
    /// `if c { … } else { … }`
    If(Expr, Vec<FuncStmt>, Vec<FuncStmt>),
    /// `for i in lo..hi { … }`
    For(ForRange, Vec<FuncStmt>),
    /// `while c { … }`
    While(Expr, Vec<FuncStmt>),
    /// `return e`
    Return(Expr),
}

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
    /// `samples`
    pub samples: Option<u64>,
    /// `calendar:` in nanoseconds since 1970-01-01T00:00Z, and its zone offset in seconds.
    pub calendar: Option<(i128, i32)>,
    /// `fidelity tanks = fast`
    pub fidelities: Vec<(Vec<Step>, Name, Span)>,
    /// The scenario's name.
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
    /// `send`, `fail`, `emit`, …: needs behaviour.
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
    /// What it expects beside what its scenario expects; as there.
    pub expects: Vec<(String, bool, Span)>,
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
