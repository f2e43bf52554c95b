//! Behaviour: handlers, machines, timers and functions of a program, as plain data. The engine runs it
//! between integration steps; nothing here is read by kernels, which see its effects in `Disc`, `Input` and
//! `State` alone.
//!
//! Instances stay arrays here too: a handler is stored once for a family of instances ([`Owner`]) and its code
//! addresses slots as `base + stride·instance`.

mod code;
mod message;

pub use code::{Code, Const, Dist, Format, Instr, Method, Op2, Reg, SlotRef, Which};
pub use message::{
    Argument, Dispatch, FAILURE, Hearer, Holds, MESSAGE, Message, MessageId, NOT_UNDERSTOOD, PERFORMATIVES,
    TASK, TwinRef,
};

use crate::dimension::Dimension;
use crate::ids::{OriginId, VarId};
use crate::ir::Space;
use crate::schema::{DisplayUnit, Kind, Segment};

/// Number of an owner in [`Behavior::owners`].
pub type OwnerId = u32;
/// Number of an event in [`Behavior::events`].
pub type EventId = u32;
/// Number of a watch in [`Behavior::watches`].
pub type WatchId = u32;
/// Number of a code in [`Behavior::codes`].
pub type CodeId = u32;
/// Number of a machine in [`Behavior::machines`].
pub type MachineId = u32;
/// Number of a state within its machine.
pub type StateId = u32;
/// Number of a population in [`Behavior::populations`].
pub type PopulationId = u32;
/// Number of a cell in [`Behavior::cells`].
pub type CellId = u32;

/// All behaviour of a program.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Behavior {
    /// Where the families live that code, watches, mirrors, machines and counters speak about; a
    /// [`VarId`] anywhere in behaviour is a number in this list (hidden families are in no schema).
    pub vars: Vec<Home>,
    /// Families of instances that have behaviour, events or cells.
    pub owners: Vec<Owner>,
    /// Events by family and name.
    pub events: Vec<Event>,
    /// Conditions whose change is noticed.
    pub watches: Vec<Watch>,
    /// Values that do not fit a slot: queues, lists, records, texts, optionals.
    pub cells: Vec<Cell>,
    /// Numbers that code derives from cells (`buffer.len()`), kept in a discrete slot for kernels to read.
    pub mirrors: Vec<Mirror>,
    /// Machines.
    pub machines: Vec<Machine>,
    /// Handlers and transitions, in declaration order within an owner.
    pub handlers: Vec<Handler>,
    /// Events that travel over connections, sorted by `(from, instance)`.
    pub routes: Vec<Route>,
    /// All code.
    pub codes: Vec<Code>,
    /// Record types, for printing and field access.
    pub records: Vec<RecordType>,
    /// Families of instances that come and go.
    pub populations: Vec<Population>,
    /// What messages are called; empty where nothing is ever sent.
    pub messages: Vec<Message>,
    /// Which handlers take messages, and with which arguments; sorted by handler.
    pub hearers: Vec<Hearer>,
}

/// Where a family of slots lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Home {
    /// Name of the family for messages: `tanks.h`.
    pub name: String,
    /// The space of its values.
    pub space: Space,
    /// Its first slot there; the derivatives of states are at the same place of `Der`.
    pub base: u32,
    /// Number of elements.
    pub len: u32,
    /// First slot in `Param` of the start values, where something reads them.
    pub start: Option<u32>,
    /// How to read a slot.
    pub kind: Kind,
}

/// A family of instances.
#[derive(Clone, PartialEq, Debug)]
pub struct Owner {
    /// Path with the lengths of the axes (`yard.trucks[40]`); empty for the root.
    pub path: Vec<Segment>,
    /// Product of all axes.
    pub count: u32,
    /// Place of each instance in the order in which handlers of one instant run: children first.
    pub order: Vec<u32>,
}

/// A population: a family of instances of which some are there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Population {
    /// Its path for messages.
    pub name: String,
    /// Discrete variable that tells which places are taken, one element each.
    pub present: VarId,
    /// Places for each instance of the twin that holds it.
    pub len: u32,
    /// The twin of the population and those in it, children first: how many instances of each for one place.
    pub owners: Vec<(OwnerId, u32)>,
    /// What begins anew in a place: families, and how many elements for one place.
    pub anew: Vec<(VarId, u32)>,
}

/// An event of a family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose.
    pub owner: OwnerId,
    /// Its name.
    pub name: String,
    /// Discrete variable that counts its occurrences, where `count(e)` is used.
    pub counter: Option<VarId>,
}

/// An event handed over by a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Route {
    /// What is heard.
    pub from: EventId,
    /// At which instance.
    pub from_instance: u32,
    /// What it becomes.
    pub to: EventId,
    /// Where.
    pub to_instance: u32,
}

/// A discrete variable that the `update` kernel sets to a condition's (or a discrete expression's) right limit.
/// Element `i` belongs to instance `i` of the owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    /// The variable.
    pub var: VarId,
    /// Whose.
    pub owner: OwnerId,
    /// The condition in the source.
    pub origin: OriginId,
}

/// A family of values on the heap: element `i` belongs to instance `i`.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// Whose.
    pub owner: OwnerId,
    /// Member name.
    pub name: String,
    /// Elements per instance.
    pub len: u32,
    /// Gives the start value; `None`: empty collection or `none`, as `empty` says.
    pub start: Option<CodeId>,
    /// Content where nothing starts it.
    pub empty: Empty,
    /// The declaration.
    pub origin: OriginId,
}

/// What a cell holds before anything is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Empty {
    /// `none`
    None,
    /// `List`, `Queue`
    List,
    /// `Set`
    Set,
    /// `Map`
    Map,
}

/// A discrete slot that follows cells of its own instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mirror {
    /// Whose cells it reads.
    pub owner: OwnerId,
    /// Computes it, anew after every handler of the instance that changed a cell.
    pub code: CodeId,
    /// Where kernels read it.
    pub var: VarId,
}

/// A record type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordType {
    /// Its name.
    pub name: String,
    /// Fields in order.
    pub fields: Vec<String>,
}

/// A state machine of a family. States are numbered in preorder, so that the leaves of a state are
/// `first_leaf..end_leaf` and `mode.filling` is a comparison of its variable.
#[derive(Clone, PartialEq, Debug)]
pub struct Machine {
    /// Whose.
    pub owner: OwnerId,
    /// Its name.
    pub name: String,
    /// Discrete variable that holds the number of the active leaf.
    pub var: VarId,
    /// States in preorder.
    pub states: Vec<State>,
    /// The outermost initial state.
    pub initial: StateId,
    /// The declaration.
    pub origin: OriginId,
}

/// A state of a machine.
#[derive(Clone, PartialEq, Debug)]
pub struct State {
    /// Its name.
    pub name: String,
    /// The state it stands in.
    pub parent: Option<StateId>,
    /// The state in it that is entered with it; `None` for a leaf.
    pub initial: Option<StateId>,
    /// Number of the leaf, or of its first leaf.
    pub first_leaf: u32,
    /// One past its last leaf.
    pub end_leaf: u32,
    /// `entry { … }`
    pub entry: Option<CodeId>,
    /// `exit { … }`
    pub exit: Option<CodeId>,
}

/// A handler (`scope` `None`), a handler inside a state, or a transition (`target` set).
#[derive(Clone, PartialEq, Debug)]
pub struct Handler {
    /// Whose.
    pub owner: OwnerId,
    /// What sets it off.
    pub trigger: Trigger,
    /// The machine, and the state in which it is active (`None`: in every state of the machine).
    pub scope: Option<(MachineId, Option<StateId>)>,
    /// Code that gives a truth value; arguments of the event are its first registers.
    pub guard: Option<CodeId>,
    /// What it does; arguments of the event are its first registers.
    pub body: Option<CodeId>,
    /// The state that is entered.
    pub target: Option<StateId>,
    /// Names of the event's arguments, in the order of the registers.
    pub params: Vec<String>,
    /// `queued`: one at a time, in the order of arrival.
    pub queued: bool,
    /// As the modeller wrote its head, for messages: `on rising(h > h_max)`.
    pub origin: OriginId,
}

/// What sets a handler off.
#[derive(Clone, PartialEq, Debug)]
pub enum Trigger {
    /// `on start`
    Start,
    /// `on stop`
    Stop,
    /// `on rising(c)`
    Rising(WatchId),
    /// `on falling(c)`
    Falling(WatchId),
    /// `on change(e)`
    Change(WatchId),
    /// `when c`: whenever it holds while the state is active.
    When(WatchId),
    /// `every d offset o`: ticks at `offset + k·period`.
    Every {
        /// Period.
        period: Period,
        /// First tick.
        offset: Period,
    },
    /// `at t`
    At(Period),
    /// `after d`: counted from the entry to the state of the scope; evaluated there.
    After(CodeId),
    /// An event.
    Event(Heard),
    /// Events in a pattern.
    Pattern(Pattern),
}

/// An event as an owner hears it: instance `i` of the event's family is heard by instance `i / per` of the
/// handler's, if `i % per` is `only` (any, where `None`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// Which.
    pub event: EventId,
    /// Instances of the event's family for each of the handler's.
    pub per: u32,
    /// One of them alone.
    pub only: Option<u32>,
}

/// A time: exact, or a formula of parameters evaluated at the start and rounded to nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Period {
    /// Attoseconds (1e-18 s), as written.
    Exact(i128),
    /// Gives seconds.
    Code(CodeId),
}

/// Event patterns (TWINML §6).
#[derive(Clone, PartialEq, Debug)]
pub enum Pattern {
    /// One after another, each within its time of the one before.
    Sequence(Vec<(Heard, Option<CodeId>)>),
    /// All within the time, in any order.
    All(Vec<Heard>, Option<CodeId>),
    /// Any of them.
    Any(Vec<Heard>),
    /// So many, within the time.
    Count(Heard, u32, Option<CodeId>),
    /// None for so long.
    Absence(Heard, CodeId),
    /// The first, then the second within the time, where the second stems from the first.
    Causal(Heard, Heard, CodeId),
}

/// How a number is shown in a text.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    /// Unit.
    pub unit: DisplayUnit,
    /// Dimension, where known.
    pub dimension: Option<Dimension>,
}
