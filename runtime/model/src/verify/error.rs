//! What the verifier says.

use crate::ids::{BlockId, EnumId, FuncId, Index, OriginId, TableId, Value, VarId};
use crate::ir::{Space, Ty};
use std::fmt;

/// A broken invariant, and where.
#[derive(Clone, PartialEq, Debug)]
pub struct VerifyError {
    /// The kernel, function, block, variable or table.
    pub place: String,
    /// What is wrong.
    pub problem: Problem,
}

impl VerifyError {
    pub(super) fn new(place: impl Into<String>, problem: Problem) -> Self {
        Self { place: place.into(), problem }
    }
}

/// A broken invariant.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the fields are what the text of each message names")]
pub enum Problem {
    NoSuchValue(Value),
    NoSuchIndex(Index),
    NoSuchBlock(BlockId),
    NoSuchFunction(FuncId),
    NoSuchTable(TableId),
    NoSuchOrigin(OriginId),
    NoSuchEnum(EnumId),
    /// What is wrong with behaviour.
    Behavior(&'static str),
    /// What is wrong with a draw.
    Draws(&'static str),
    /// A watched condition about elements that the quantity does not have.
    RangeElements {
        var: VarId,
        len: u32,
    },
    /// A family of white noise whose axes do not say how many paths it has, or that lies over another one.
    NoisePaths {
        len: u32,
    },
    /// `Eval` of a carry or result, or a carry or result that is none.
    NotComputed(Value),
    DefinedTwice(Value),
    UsedBeforeDefinition(Value),
    Type {
        value: Value,
        is: Ty,
        wanted: Ty,
    },
    Stored(Value),
    IndexTaken(Index),
    IndexOutside(Index),
    Loop,
    AffineForm,
    Address {
        space: Space,
        least: i64,
        most: i64,
        size: u32,
    },
    AddressOverflow(Space),
    Read(Space),
    Written(Space),
    InFunction,
    Argument(u32),
    ArgumentCount {
        given: usize,
        wanted: usize,
    },
    CallOrder(FuncId),
    TooDeep,
    TooManyIndices,
    Order(u8),
    Defaults {
        space: Space,
        size: u32,
    },
    Origin,
    Slots {
        space: Space,
        base: u32,
        len: u32,
        size: u32,
    },
    Table,
    Shape {
        axes: u64,
        len: u32,
    },
    Unknowns(Space),
    BlockSize {
        n: u32,
        unknowns: u64,
        res: u32,
    },
    ResidualOrigins,
    SolvesItself(BlockId),
    JacobianShape {
        rows: u32,
        cols: u32,
    },
    JacobianEntries {
        entries: u32,
        room: u32,
    },
    Family {
        size: u32,
    },
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for VerifyError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NoSuchValue(v) => write!(f, "there is no value {v}"),
            Problem::NoSuchIndex(i) => write!(f, "there is no index {i}"),
            Problem::NoSuchBlock(b) => write!(f, "there is no {b}"),
            Problem::NoSuchFunction(n) => write!(f, "there is no function {n}"),
            Problem::NoSuchTable(t) => write!(f, "there is no {t}"),
            Problem::RangeElements { var, len } => {
                write!(f, "it watches elements that the quantity {} does not have ({len} elements)", var.0)
            }
            Problem::NoisePaths { len } => {
                write!(f, "the axes of its path do not make {len} paths, or it lies over other noise")
            }
            Problem::Behavior(what) | Problem::Draws(what) => write!(f, "{what}"),
            Problem::NoSuchOrigin(o) => write!(f, "there is no {o}"),
            Problem::NoSuchEnum(e) => write!(f, "there is no {e}"),
            Problem::NotComputed(v) => write!(f, "{v} is not defined by this kind of statement"),
            Problem::DefinedTwice(v) => write!(f, "{v} is defined twice"),
            Problem::UsedBeforeDefinition(v) => write!(f, "{v} is used where it is not defined"),
            Problem::Type { value, is, wanted } => write!(f, "{value} is {is:?} where {wanted:?} is needed"),
            Problem::Stored(v) => write!(f, "{v} is stored but is neither F64 nor Bool"),
            Problem::IndexTaken(i) => write!(f, "{i} belongs to two loops"),
            Problem::IndexOutside(i) => write!(f, "{i} is used outside its loop"),
            Problem::Loop => write!(f, "a loop ends before it begins"),
            Problem::AffineForm => write!(f, "indices of an address do not rise, or a stride is zero"),
            Problem::Address { space, least, most, size } => {
                write!(f, "address {}[{least}..={most}] leaves the space of {size} slots", space.name())
            }
            Problem::AddressOverflow(space) => write!(f, "an address of {} overflows", space.name()),
            Problem::Read(space) => write!(f, "this kernel may not read {}", space.name()),
            Problem::Written(space) => write!(f, "this kernel may not write {}", space.name()),
            Problem::InFunction => write!(f, "a function touches no space and solves nothing"),
            Problem::Argument(n) => write!(f, "there is no argument {n} of this type"),
            Problem::ArgumentCount { given, wanted } => write!(f, "{given} arguments for {wanted}"),
            Problem::CallOrder(n) => write!(f, "a function may call only those before it, not {n}"),
            Problem::TooDeep => write!(f, "regions nest more than {} deep", super::MAX_DEPTH),
            Problem::TooManyIndices => write!(f, "more than {} loop indices", super::MAX_INDICES),
            Problem::Order(n) => write!(f, "a table has no derivative of order {n}"),
            Problem::Defaults { space, size } => {
                write!(f, "default values outside of the {size} slots of {}", space.name())
            }
            Problem::Origin => write!(f, "an origin names no file or ends before it begins"),
            Problem::Slots { space, base, len, size } => {
                write!(f, "slots {base}..{base}+{len} leave {} of {size} slots", space.name())
            }
            Problem::Table => {
                write!(
                    f,
                    "a table needs as many values as arguments, finite and strictly rising, at least one"
                )
            }
            Problem::Shape { axes, len } => write!(f, "the axes hold {axes} elements, the variable {len}"),
            Problem::Unknowns(space) => write!(f, "unknowns of a block cannot lie in {}", space.name()),
            Problem::BlockSize { n, unknowns, res } => {
                write!(f, "{n} residuals for {unknowns} unknowns, room for {res}")
            }
            Problem::ResidualOrigins => write!(f, "origins of residuals do not rise within the block"),
            Problem::SolvesItself(b) => write!(f, "{b} asks for its own solution"),
            Problem::JacobianShape { rows, cols } => write!(f, "the Jacobian is {rows} × {cols}"),
            Problem::JacobianEntries { entries, room } => {
                write!(f, "the Jacobian has {entries} entries, room is for {room}")
            }
            Problem::Family { size } => write!(f, "a family of entries leaves its range of {size}"),
        }
    }
}
