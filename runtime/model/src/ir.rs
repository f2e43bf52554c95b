//! Kernels: SSA values in structured regions over address spaces.
//!
//! Meaning is defined by the reference interpreter (`interp`). All arithmetic is IEEE 754 binary64, round
//! to nearest; nothing reassociates or contracts except the one FMA pass. Loops have constant bounds and
//! affine addresses, so that arrays of instances stay arrays down to machine code.

use crate::ids::{BlockId, FuncId, Index, OriginId, TableId, Value};

/// An array of `f64` that kernels read and write. Sizes are in [`crate::program::Sizes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Space {
    /// One slot: simulated time in seconds.
    Time,
    /// Continuous states.
    State,
    /// Parameters, formulas of parameters, start values (`x.start`): fixed for one run.
    Param,
    /// Undriven inputs: piecewise constant, set by scenario actions (and, later, behaviour).
    Input,
    /// Algebraic variables and outputs, recomputed by kernels.
    Var,
    /// Discrete values: discrete states, frozen truth values (0 or 1) and frozen integers of relations.
    Disc,
    /// Written by `rhs`: time derivatives, laid out as `State`.
    Der,
    /// Written by `roots`: one function per relation instance whose sign change is an event.
    Root,
    /// Written by `update`: the right-limit values for `Disc`, laid out as `Disc`.
    Next,
    /// Written by residual kernels of algebraic blocks.
    Res,
    /// Written by Jacobian kernels: values in the order of the entry families.
    Jac,
    /// Written by `history`: signals that `delay` looks back at.
    Hist,
    /// Tangent of `Time` (one slot).
    TTime,
    /// Tangent (directional derivative seed) of `State`.
    TState,
    /// Tangent of `Param`.
    TParam,
    /// Tangent of `Input`.
    TInput,
    /// Tangent of `Var`.
    TVar,
    /// Tangent of `Der`.
    TDer,
    /// Tangent of `Res`.
    TRes,
}

impl Space {
    /// All spaces, in the order of their numbers.
    pub const ALL: [Space; 19] = [
        Space::Time,
        Space::State,
        Space::Param,
        Space::Input,
        Space::Var,
        Space::Disc,
        Space::Der,
        Space::Root,
        Space::Next,
        Space::Res,
        Space::Jac,
        Space::Hist,
        Space::TTime,
        Space::TState,
        Space::TParam,
        Space::TInput,
        Space::TVar,
        Space::TDer,
        Space::TRes,
    ];

    /// The space that holds directional derivatives of this one; `None` where values are discrete.
    #[must_use]
    pub fn tangent(self) -> Option<Space> {
        Some(match self {
            Space::Time => Space::TTime,
            Space::State => Space::TState,
            Space::Param => Space::TParam,
            Space::Input => Space::TInput,
            Space::Var => Space::TVar,
            Space::Der => Space::TDer,
            Space::Res => Space::TRes,
            _ => return None,
        })
    }

    /// Whether it holds directional derivatives.
    #[must_use]
    pub fn is_tangent(self) -> bool {
        self as u8 >= Space::TTime as u8
    }

    /// The name in the printed form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Space::Time => "time",
            Space::State => "state",
            Space::Param => "param",
            Space::Input => "input",
            Space::Var => "var",
            Space::Disc => "disc",
            Space::Der => "der",
            Space::Root => "root",
            Space::Next => "next",
            Space::Res => "res",
            Space::Jac => "jac",
            Space::Hist => "hist",
            Space::TTime => "t.time",
            Space::TState => "t.state",
            Space::TParam => "t.param",
            Space::TInput => "t.input",
            Space::TVar => "t.var",
            Space::TDer => "t.der",
            Space::TRes => "t.res",
        }
    }
}

/// An affine function of loop indices: `base + Σ stride·index`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Affine {
    /// The constant part.
    pub base: i64,
    /// Strides per index, sorted by index, no zero strides.
    pub terms: Vec<(Index, i64)>,
}

impl Affine {
    /// The constant `base`.
    #[must_use]
    pub fn constant(base: i64) -> Self {
        Self { base, terms: Vec::new() }
    }

    /// `self + stride·index`, kept sorted and free of zero strides.
    #[must_use]
    pub fn plus(mut self, index: Index, stride: i64) -> Self {
        match self.terms.binary_search_by_key(&index, |t| t.0) {
            Ok(k) => {
                self.terms[k].1 += stride;
                if self.terms[k].1 == 0 {
                    self.terms.remove(k);
                }
            }
            Err(k) if stride != 0 => self.terms.insert(k, (index, stride)),
            Err(_) => {}
        }
        self
    }

    /// The value where `at(index)` gives each index.
    pub fn eval(&self, mut at: impl FnMut(Index) -> i64) -> i64 {
        self.terms.iter().fold(self.base, |sum, &(i, s)| sum + s * at(i))
    }
}

/// An address: a slot of a space, affine in the loop indices that enclose the use.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// Which array.
    pub space: Space,
    /// Which slot.
    pub at: Affine,
}

/// The type of an SSA value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ty {
    /// binary64; also `Int` quantities of a model (integral values).
    F64,
    /// 64-bit two's complement: bit manipulation in function bodies, dynamic indices.
    I64,
    /// A truth value; in memory 0.0 or 1.0.
    Bool,
}

/// Unary operations on `F64`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnOp {
    /// Sign flip (NaN keeps its payload).
    Neg,
    /// Magnitude.
    Abs,
    /// Correctly rounded square root; NaN below zero.
    Sqrt,
    /// Towards −∞.
    Floor,
    /// Towards +∞.
    Ceil,
    /// Towards zero.
    Trunc,
    /// To nearest, ties to even.
    Rint,
    /// −1, 0 or 1 (NaN for NaN; ±0 gives 0).
    Sign,
}

/// Binary operations on `F64`.
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
    /// IEEE 754-2019 `minimum`: NaN if either is, −0 < +0.
    Min,
    /// IEEE 754-2019 `maximum`: NaN if either is, −0 < +0.
    Max,
    /// Magnitude of the first, sign of the second.
    CopySign,
}

/// Comparisons; false with NaN, except `Ne`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CmpOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// Binary operations on `I64`; wrapping, shifts modulo 64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IntOp {
    /// Wrapping sum.
    Add,
    /// Wrapping difference.
    Sub,
    /// Wrapping product (low half).
    Mul,
    /// High half of the unsigned product.
    MulHiU,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Left shift.
    Shl,
    /// Logical right shift.
    ShrU,
    /// Arithmetic right shift.
    ShrS,
}

/// Operations on `Bool`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BoolOp {
    /// Conjunction.
    And,
    /// Disjunction.
    Or,
    /// Exclusive or; also `!=` of truth values.
    Xor,
}

/// Elementary functions. Each is expanded by `math`; no back end calls a library.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the usual mathematical ones")]
pub enum MathFn {
    Exp,
    Expm1,
    Log,
    Log1p,
    Log10,
    Log2,
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
    Pow,
    Cbrt,
    Hypot,
    Erf,
    Gamma,
    /// Derivative of `Gamma` only: no name in the language.
    Digamma,
    /// Derivative of `Digamma`.
    Trigamma,
    /// `Sin` by the way of `Cos`, cheap beside it, within the same error but of bits of its own: no name in the
    /// language.
    SinBeside,
    /// `Sin` of the sum of two arguments of which the second is small, by the way of `Sin` of the first: no name in the
    /// language, as the next two.
    SinMoved,
    /// `Cos` likewise.
    CosMoved,
    /// `SinBeside` likewise.
    SinBesideMoved,
}

/// What defines an SSA value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// A constant, by its bits (so that −0 and NaN compare as stored).
    ConstF(u64),
    /// A constant.
    ConstI(i64),
    /// A constant.
    ConstB(bool),
    /// The content of a slot, as `F64`.
    Load(Place),
    /// The slot `place + stride·at` with `0 <= at < len`; otherwise the kernel ends with
    /// [`Trap::IndexOutOfRange`].
    LoadAt {
        /// Slot of element 0.
        place: Place,
        /// The element, `I64`.
        at: Value,
        /// Number of elements.
        len: u32,
        /// Slots between elements.
        stride: i64,
        /// What to name when the index is out of range.
        origin: OriginId,
    },
    /// An affine function of loop indices as `I64`.
    IndexI(Affine),
    /// An affine function of loop indices as `F64`.
    IndexF(Affine),
    /// Unary arithmetic.
    Un(UnOp, Value),
    /// Binary arithmetic.
    Bin(BinOp, Value, Value),
    /// `a·b + c` with one rounding.
    Fma(Value, Value, Value),
    /// Comparison of `F64`.
    Cmp(CmpOp, Value, Value),
    /// Comparison of `I64` (signed).
    CmpI(CmpOp, Value, Value),
    /// Truth values.
    BoolBin(BoolOp, Value, Value),
    /// Negation of a truth value.
    Not(Value),
    /// `if c then a else b`, both computed; `a`, `b` of one type.
    Select(Value, Value, Value),
    /// Integer arithmetic.
    Int(IntOp, Value, Value),
    /// 1.0 or 0.0.
    BoolToF(Value),
    /// `x != 0.0`.
    FToBool(Value),
    /// Towards zero, saturating; NaN gives 0.
    FToI(Value),
    /// Nearest `F64`.
    IToF(Value),
    /// Bits reinterpreted.
    BitsToF(Value),
    /// Bits reinterpreted.
    FToBits(Value),
    /// An elementary function of one or two arguments.
    Math(MathFn, Vec<Value>),
    /// A call of a function of the program; its single result.
    Call(FuncId, Vec<Value>),
    /// Table value (`order` 0) or derivative (`order` 1, 2) at a point.
    Table {
        /// Which table.
        table: TableId,
        /// The argument.
        x: Value,
        /// Order of the derivative.
        order: u8,
    },
    /// The value of a history slot at `time − tau`; linear or better interpolation of accepted steps.
    Delay {
        /// A slot of [`Space::Hist`].
        place: Place,
        /// Delay in seconds, ≥ 0.
        tau: Value,
    },
    /// Parameter `n` of a function.
    Arg(u32),
    /// A value carried around a loop, seen inside it.
    Carry,
    /// A result of an enclosing-level `For` (last carry) or `If`.
    Result,
}

/// A sequence of statements, run in order.
pub type Region = Vec<Stmt>;

/// A statement.
#[derive(Clone, PartialEq, Debug)]
pub enum Stmt {
    /// Computes a value. Every `Value` used is computed before its use, in the same or an enclosing region.
    Eval(Value),
    /// Writes an `F64` (or a `Bool` as 0/1) to a slot.
    Store {
        /// Where.
        place: Place,
        /// What.
        value: Value,
        /// The equation that this stems from.
        origin: OriginId,
    },
    /// A counted loop.
    For(Box<For>),
    /// A branch: only one side runs.
    If(Box<If>),
    /// Solves an algebraic block: the host finds its unknowns (Newton), leaving them in their slots.
    Solve(BlockId),
    /// Solves the block's linearisation: the host computes the unknowns' tangents from the tangents of
    /// everything else (implicit function theorem).
    SolveTangent(BlockId),
}

/// `for index in lo..hi` (descending where `reverse`), with carried values.
#[derive(Clone, PartialEq, Debug)]
pub struct For {
    /// The loop index.
    pub index: Index,
    /// First value.
    pub lo: i64,
    /// One past the last value.
    pub hi: i64,
    /// Runs from `hi − 1` down to `lo`.
    pub reverse: bool,
    /// Values that one round hands to the next.
    pub carries: Vec<Carry>,
    /// The loop's body.
    pub body: Region,
}

/// One carried value of a loop.
#[derive(Clone, PartialEq, Debug)]
pub struct Carry {
    /// Seen inside ([`Op::Carry`]).
    pub var: Value,
    /// Before the first round, computed outside.
    pub init: Value,
    /// At the end of a round, computed inside.
    pub next: Value,
    /// After the loop ([`Op::Result`]), seen outside.
    pub result: Value,
}

/// A branch with results.
#[derive(Clone, PartialEq, Debug)]
pub struct If {
    /// The condition, `Bool`.
    pub cond: Value,
    /// Where it holds.
    pub then: Region,
    /// Where not.
    pub otherwise: Region,
    /// `(result, value in then, value in otherwise)`.
    pub results: Vec<(Value, Value, Value)>,
}

/// The definition and type of a value.
#[derive(Clone, PartialEq, Debug)]
pub struct ValueData {
    /// What computes it.
    pub op: Op,
    /// Its type.
    pub ty: Ty,
}

/// A piece of code over the spaces, or (with arguments and a result) a function.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Kernel {
    /// Unique within the program.
    pub name: String,
    /// All values, indexed by [`Value`].
    pub values: Vec<ValueData>,
    /// Number of loop indices in use.
    pub indices: u32,
    /// The code.
    pub body: Region,
}

/// A pure function of numbers (expanded elementary functions, user functions).
#[derive(Clone, PartialEq, Debug)]
pub struct Function {
    /// Types of the arguments.
    pub params: Vec<Ty>,
    /// The code; it reads and writes no space.
    pub code: Kernel,
    /// What it returns.
    pub result: Value,
}

/// Why a kernel ended before its end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Trap {
    /// A dynamic index left its array.
    IndexOutOfRange {
        /// The use.
        origin: OriginId,
        /// The index asked for.
        index: i64,
        /// The length of the array.
        len: u32,
    },
    /// The host could not solve an algebraic block.
    Block(BlockId),
    /// A table was asked outside its range and has no rule for that.
    TableRange {
        /// Which table.
        table: TableId,
        /// The argument.
        x: f64,
    },
}

impl Kernel {
    /// An empty kernel.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A new value; the caller places its `Eval`.
    pub fn value(&mut self, op: Op, ty: Ty) -> Value {
        let v = Value::new(self.values.len());
        self.values.push(ValueData { op, ty });
        v
    }

    /// A new loop index.
    pub fn index(&mut self) -> Index {
        self.indices += 1;
        Index(self.indices - 1)
    }
}
