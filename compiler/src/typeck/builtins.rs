//! The functions that the language knows: names, arguments and how dimensions combine.

use crate::hir::{Builtin, Reduction};

/// How the result follows from the arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// Dimensionless to dimensionless, elementwise: `sin exp log`.
    Pure,
    /// The n-th root of the dimension.
    Root(i64),
    /// Same dimension as the argument, elementwise: `abs`.
    Same,
    /// All arguments of one dimension, which is the result's: `min max clamp hypot mod`.
    AllSame,
    /// All arguments of one dimension, a pure number comes out: `atan2`.
    Quotient,
    /// Anything to a pure number: `sign`.
    Sign,
    /// A pure number to a whole one: `floor`.
    Whole,
    /// Two whole numbers to one: `div`.
    IntDiv,
    /// Base and constant exponent.
    Power,
    /// Two truth values to one.
    BoolBool,
    /// Anything to a truth value.
    Test,
    /// Two vectors of one length: the product's dimension, scalar.
    Dot,
    /// Two vectors of three: the product's dimension.
    Cross,
    /// A vector's magnitude.
    Norm,
    /// A matrix turned over.
    Transpose,
    /// A square matrix's inverse.
    Inverse,
    /// `solve(A, b)`: `A*x = b`.
    Solve,
    /// A square matrix's determinant.
    Det,
    /// `identity(n)`.
    Identity,
    /// `zeros(n, m)`, `ones(n)`.
    Filled,
    /// A diagonal matrix from a vector.
    Diag,
    /// Vectors one behind another.
    Concat,
    /// The length of the first axis.
    Len,
    /// `delay(e, tau)`, `filter(e, tau)`.
    Delayed,
    /// `interpolate(xs, ys, x)`.
    Interpolate,
    /// `integral(e)`: times seconds.
    Integral,
    /// Argument unchanged.
    Identical,
    /// s^-0.5.
    Noise,
    /// `inflow(port.T)`.
    Inflow,
    /// Calendar: a time of day.
    HourOfDay,
    /// Calendar: a day number.
    Weekday,
    /// Calendar: the moment.
    Now,
    /// To `Real`.
    ToReal,
    /// To `Int`.
    ToInt,
    /// Complex to real parts.
    Part,
}

/// A function's entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) builtin: Builtin,
    /// Fewest and most arguments (64: as many as one likes to write).
    pub(super) arity: (usize, usize),
    pub(super) rule: Rule,
    /// Names of the arguments, for named ones and for messages.
    pub(super) args: &'static [&'static str],
}

const X: &[&str] = &["x"];
const XY: &[&str] = &["x", "y"];

macro_rules! table {
    ($($name:literal $builtin:ident $lo:literal..$hi:literal $rule:expr, $args:expr;)*) => {
        &[$(Entry { name: $name, builtin: Builtin::$builtin, arity: ($lo, $hi), rule: $rule, args: $args }),*]
    };
}

const ENTRIES: &[Entry] = table! {
    "sin" Sin 1..1 Rule::Pure, X; "cos" Cos 1..1 Rule::Pure, X; "tan" Tan 1..1 Rule::Pure, X;
    "asin" Asin 1..1 Rule::Pure, X; "acos" Acos 1..1 Rule::Pure, X; "atan" Atan 1..1 Rule::Pure, X;
    "sinh" Sinh 1..1 Rule::Pure, X; "cosh" Cosh 1..1 Rule::Pure, X; "tanh" Tanh 1..1 Rule::Pure, X;
    "asinh" Asinh 1..1 Rule::Pure, X; "acosh" Acosh 1..1 Rule::Pure, X; "atanh" Atanh 1..1 Rule::Pure, X;
    "atan2" Atan2 2..2 Rule::Quotient, &["y", "x"];
    "exp" Exp 1..1 Rule::Pure, X; "expm1" Expm1 1..1 Rule::Pure, X;
    "log" Log 1..1 Rule::Pure, X; "ln" Log 1..1 Rule::Pure, X; "log1p" Log1p 1..1 Rule::Pure, X;
    "log10" Log10 1..1 Rule::Pure, X; "log2" Log2 1..1 Rule::Pure, X;
    "sqrt" Sqrt 1..1 Rule::Root(2), X; "cbrt" Cbrt 1..1 Rule::Root(3), X;
    "pow" Pow 2..2 Rule::Power, &["base", "exponent"]; "hypot" Hypot 2..2 Rule::AllSame, XY;
    "abs" Abs 1..1 Rule::Same, X; "sign" Sign 1..1 Rule::Sign, X;
    "min" Min 2..64 Rule::AllSame, XY; "max" Max 2..64 Rule::AllSame, XY;
    "clamp" Clamp 3..3 Rule::AllSame, &["x", "lo", "hi"];
    "floor" Floor 1..1 Rule::Whole, X; "ceil" Ceil 1..1 Rule::Whole, X; "round" Round 1..1 Rule::Whole, X;
    "trunc" Trunc 1..1 Rule::Whole, X; "mod" Mod 2..2 Rule::AllSame, XY; "div" Div 2..2 Rule::IntDiv, XY;
    "factorial" Factorial 1..1 Rule::Pure, X; "erf" Erf 1..1 Rule::Pure, X; "gamma" Gamma 1..1 Rule::Pure, X;
    "xor" Xor 2..2 Rule::BoolBool, XY; "finite" Finite 1..1 Rule::Test, X;
    "dot" Dot 2..2 Rule::Dot, XY; "cross" Cross 2..2 Rule::Cross, XY; "norm" Norm 1..1 Rule::Norm, X;
    "transpose" Transpose 1..1 Rule::Transpose, X; "inverse" Inverse 1..1 Rule::Inverse, X;
    "solve" Solve 2..2 Rule::Solve, &["A", "b"]; "det" Det 1..1 Rule::Det, X;
    "identity" Identity 1..1 Rule::Identity, &["n"]; "zeros" Zeros 1..2 Rule::Filled, &["n", "m"];
    "ones" Ones 1..2 Rule::Filled, &["n", "m"]; "diag" Diag 1..1 Rule::Diag, X;
    "concat" Concat 1..64 Rule::Concat, X; "len" Len 1..1 Rule::Len, X;
    "delay" Delay 2..2 Rule::Delayed, &["x", "time"]; "filter" Filter 2..2 Rule::Delayed, &["x", "time"];
    "interpolate" Interpolate 3..3 Rule::Interpolate, &["xs", "ys", "x"];
    "integral" Integral 1..1 Rule::Integral, X;
    "noevent" NoEvent 1..1 Rule::Identical, X; "smooth" Smooth 1..1 Rule::Identical, X;
    "white_noise" WhiteNoise 0..0 Rule::Noise, &[]; "inflow" Inflow 1..1 Rule::Inflow, X;
    "hour_of_day" HourOfDay 0..1 Rule::HourOfDay, &["zone"]; "weekday" Weekday 0..1 Rule::Weekday, &["zone"];
    "now" Now 0..0 Rule::Now, &[];
    "real" ToReal 1..1 Rule::ToReal, X; "int" ToInt 1..1 Rule::ToInt, X;
    "re" Re 1..1 Rule::Part, X; "im" Im 1..1 Rule::Part, X; "conj" Conj 1..1 Rule::Same, X;
    "arg" Arg 1..1 Rule::Sign, X;
};

/// The function called `name`.
pub(super) fn builtin(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|e| e.name == name)
}

/// The reduction called `name`; `min` and `max` are reductions only with one argument.
pub(super) fn reduction(name: &str) -> Option<Reduction> {
    Some(match name {
        "sum" => Reduction::Sum,
        "product" => Reduction::Product,
        "mean" => Reduction::Mean,
        "min" => Reduction::Min,
        "max" => Reduction::Max,
        "all" => Reduction::All,
        "any" => Reduction::Any,
        "count" => Reduction::Count,
        _ => return None,
    })
}

/// All names, for offers.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    const REDUCTIONS: [&str; 6] = ["sum", "product", "mean", "all", "any", "count"];
    ENTRIES.iter().map(|e| e.name).chain(REDUCTIONS).chain(["der", "table", "pi", "time"])
}
