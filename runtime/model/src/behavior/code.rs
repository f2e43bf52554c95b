//! Code of behaviour: instructions over registers, so that a handler that waits is its program counter and its
//! registers, and can be kept, cancelled and written to a snapshot.

use std::sync::Arc;

use super::{CellId, CodeId, EventId, OwnerId, Shown};
use crate::ids::{OriginId, TableId, VarId};
use crate::ir::{CmpOp, MathFn, UnOp};

/// A register of a frame.
pub type Reg = u16;
/// A number of an instruction in its code.
pub type Label = u32;

/// A function, a handler's body, a guard or a formula.
#[derive(Clone, PartialEq, Debug)]
pub struct Code {
    /// For messages: `Tank.classify`, `on rising(h > h_max)`.
    pub name: String,
    /// The family whose instances run it: slots and cells are addressed by their number.
    pub owner: OwnerId,
    /// Arguments: registers `0..params`.
    pub params: Reg,
    /// Registers of a frame.
    pub registers: Reg,
    /// What it does; ends with `Return`.
    pub instrs: Vec<Instr>,
    /// Place of each instruction.
    pub origins: Vec<OriginId>,
}

/// A constant.
#[derive(Clone, PartialEq, Debug)]
pub enum Const {
    /// A number; also integers and enumeration values.
    Num(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Str(Arc<str>),
    /// `none`
    None,
}

/// Which value of a variable is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// The value: left limits of continuous states, what earlier handlers of the instant wrote.
    Value,
    /// `der(x)`
    Der,
    /// `x.start`
    Start,
}

/// Elements of a variable: `base + stride·instance + Σ step·register`, each register checked against its length.
#[derive(Clone, PartialEq, Debug)]
pub struct SlotRef {
    /// The variable.
    pub var: VarId,
    /// Element for instance 0.
    pub base: u32,
    /// Elements from one instance to the next.
    pub stride: u32,
    /// `(register, length of the axis, elements from one index to the next)`
    pub at: Vec<(Reg, u32, u32)>,
}

/// Operations on two values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the operators'")]
pub enum Op2 {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    And,
    Or,
    Xor,
    /// Of two `Int`s: what is not exact any more is a fault.
    WholeAdd,
    WholeSub,
    WholeMul,
    WholePow,
    Cmp(CmpOp),
}

/// Methods of collections, texts and optionals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the language")]
pub enum Method {
    Len,
    IsEmpty,
    Push,
    Pop,
    First,
    Last,
    Get,
    Insert,
    Remove,
    Contains,
    Clear,
    Append,
    Keys,
    Values,
    Sort,
    SortBy,
    MinBy,
    MaxBy,
    Map,
    Filter,
    Any,
    All,
    Sum,
    Lower,
    Upper,
    Split,
    Trim,
}

/// A part of an interpolated text.
#[derive(Clone, PartialEq, Debug)]
pub enum Format {
    /// As it stands.
    Text(Arc<str>),
    /// A value, in its unit.
    Value(Reg, Arc<Shown>),
}

/// A distribution to draw from; its numbers stand in registers.
#[derive(Clone, PartialEq, Debug)]
pub enum Dist {
    /// By name, with its parameters in the order of the language: `exponential` and the mean.
    Named(Arc<str>, Vec<Reg>),
    /// Values (a list), each with its weight (a list); without weights all alike.
    Discrete(Reg, Option<Reg>),
    /// Only what lies between two ends, both included.
    Truncated(Box<Dist>, Reg, Reg),
    /// One of these, by weight (a list); without weights all alike.
    Mixture(Vec<Dist>, Option<Reg>),
    /// One of these numbers, all alike; sorted.
    Samples(Arc<[f64]>),
}

/// One instruction. The first register is where the result goes.
#[derive(Clone, PartialEq, Debug)]
pub enum Instr {
    /// A constant.
    Const(Reg, Const),
    /// A copy.
    Move(Reg, Reg),
    /// `time`
    Time(Reg),
    /// The number of the instance.
    Instance(Reg),
    /// A slot; `true`: as a truth value.
    Load(Reg, SlotRef, Which, bool),
    /// `len` slots from the reference on, `step` apart, as an array.
    LoadArray(Reg, SlotRef, u32, u32, bool),
    /// Writes a slot of `Disc`, `Input` or `State`.
    Store(SlotRef, Reg),
    /// Writes an array over `len` slots.
    StoreArray(SlotRef, u32, u32, Reg),
    /// A cell of the instance `base + stride·instance` of the cell's family; the element in a register.
    LoadCell(Reg, CellId, u32, u32, Option<Reg>),
    /// The same, leaving nothing: the value is changed in place and stored before anything else looks.
    TakeCell(Reg, CellId, u32, u32, Option<Reg>),
    /// The same, to write.
    StoreCell(CellId, u32, u32, Option<Reg>, Reg),
    /// Arithmetic, elementwise over arrays.
    Un(Reg, UnOp, Reg),
    /// Negation of a truth value.
    Not(Reg, Reg),
    /// Two values, elementwise over arrays.
    Bin(Reg, Op2, Reg, Reg),
    /// An elementary function, as everywhere in the language.
    Math(Reg, MathFn, Vec<Reg>),
    /// A table.
    Table(Reg, TableId, Reg),
    /// Goes on elsewhere; backward jumps cost fuel.
    Jump(Label),
    /// … where a truth value is false.
    JumpUnless(Reg, Label),
    /// Calls a code with arguments; `true`: for the twin of another owner instance in a register.
    Call(Reg, CodeId, Vec<Reg>),
    /// Ends the code with a value (or `none`).
    Return(Option<Reg>),
    /// A list.
    List(Reg, Vec<Reg>),
    /// A record, fields in the type's order.
    Record(Reg, u32, Vec<Reg>),
    /// A field by number.
    Field(Reg, Reg, u32),
    /// A copy of a record with one field changed.
    WithField(Reg, Reg, u32, Reg),
    /// An element; out of range is an error.
    Index(Reg, Reg, Reg),
    /// A copy of a list (or a map) with the element at a place (or key) replaced: result, list, place, value.
    WithElement(Reg, Reg, Reg, Reg),
    /// A method; the receiver is changed in place (its cell is then stored by the code).
    Method(Reg, Method, Reg, Vec<Reg>),
    /// A closure: code with captured values as its last arguments.
    Closure(Reg, CodeId, Vec<Reg>),
    /// A text.
    Format(Reg, Vec<Format>),
    /// `emit e(a: …)`; names and values.
    Emit(EventId, Vec<(Arc<str>, Reg)>),
    /// A twin, for messages and to keep; with axes left open (elements, numbers apart) a list of those that are there.
    Twin(Reg, Box<super::TwinRef>, Vec<(u32, u32)>),
    /// `send`, `reply`
    Send(Box<super::Dispatch>),
    /// A call for proposals with its task as the first argument: waits so many seconds at most until all have answered, and
    /// gives a list of maps, one a proposal.
    Collect(Reg, Box<super::Dispatch>, Reg),
    /// `wait d`
    Wait(Reg),
    /// `wait until(c)`: the condition is a watch of the program.
    WaitUntil(super::WatchId),
    /// `wait for e`
    WaitFor(super::Heard),
    /// `draw(…)`
    Draw(Reg, Box<Dist>),
    /// `after d { … }`: arms a timer that runs the code with copies of these registers.
    Arm(Reg, CodeId, Vec<Reg>),
    /// `create`: takes a free place of a population of this instance, where all begins anew; its number.
    Create(Reg, super::PopulationId),
    /// `retire`: frees the place with this number, of a population of this instance.
    Retire(super::PopulationId, Reg),
    /// `retire self`: so many instances of this code's owner belong to one place.
    RetireSelf(super::PopulationId, u32),
    /// `log`
    Log(Reg),
    /// `fail`
    Fail(Reg),
    /// `stop`
    Stop(Option<Reg>),
    /// A `match` in which nothing fitted.
    NoMatch(Reg),
}
