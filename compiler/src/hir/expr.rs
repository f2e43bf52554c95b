//! Expressions: paths, operators, functions known to the compiler, comprehensions and tables.

use super::{CmpOp, EnumId, Extent, FuncId, LocalId, Name, Type, behavior};
use crate::source::Span;
use std::rc::Rc;
use twinml_model::schema::DisplayUnit;

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
    /// Temporal logic; in requirements only.
    Temporal(Rc<Temporal>),
    /// A number, or a truth value, of the run as a whole; in requirements, reports and expectations only.
    Aggregate(Rc<Aggregate>),
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
            ExprKind::Temporal(t) => {
                t.window.iter().for_each(|w| {
                    w.0.visit(f);
                    w.1.visit(f);
                });
                t.args.iter().for_each(|a| a.visit(f));
            }
            ExprKind::Aggregate(a) => {
                a.window.iter().for_each(|w| {
                    w.0.visit(f);
                    w.1.visit(f);
                });
                if let Whole::Quantile(p) = &a.of {
                    p.visit(f);
                }
                a.arg.visit(f);
            }
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
    /// Column of arguments, and the unit behind `in`.
    pub x: (Rc<str>, Option<DisplayUnit>),
    /// Column of values, and the unit behind `in`.
    pub y: (Rc<str>, Option<DisplayUnit>),
    /// Interpolation.
    pub method: twinml_model::program::TableMethod,
    /// Rule outside.
    pub outside: twinml_model::program::Outside,
    /// Where it stands.
    pub span: Span,
}

/// What an aggregate makes of its argument.
#[derive(Clone, PartialEq, Debug)]
pub enum Whole {
    /// `e at end`
    AtEnd,
    /// `mean(e over run)` and its kin.
    Measure(twinml_model::requirement::Measure),
    /// `quantile(e over run, 0.95)`
    Quantile(Expr),
}

/// `f(e over run)`, `f(e over [a, b])`, `e at end`
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    /// What is made of it.
    pub of: Whole,
    /// The quantity or condition.
    pub arg: Expr,
    /// The part of the run, in seconds; all of it where there is none.
    pub window: Option<(Expr, Expr)>,
}

/// Operators of temporal logic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TemporalOp {
    /// At all instants of the window.
    Always,
    /// At one.
    Eventually,
    /// At all instants of the window behind.
    Historically,
    /// At one.
    Once,
    /// The second at one instant of the window, the first until then.
    Until,
    /// The second at one instant of the window behind, the first since then.
    Since,
}

/// `always[0, 10 s](p)`, `p until q`
#[derive(Clone, PartialEq, Debug)]
pub struct Temporal {
    /// The operator.
    pub op: TemporalOp,
    /// The window in seconds; all of the run where there is none.
    pub window: Option<(Expr, Expr)>,
    /// One or two formulas.
    pub args: Vec<Expr>,
}
