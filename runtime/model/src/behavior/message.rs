//! Messages between twins: what they are called, who may take them, how they are sent.
//!
//! A message is an event that is addressed to one twin: it sets off the handlers of the receiver's own event of that name.
//! One whose name is a performative reaches only handlers whose parameters its arguments fit, and is answered where there
//! is none.

use std::sync::Arc;

use super::{OwnerId, Reg};

/// Number of a message's name in [`super::Behavior::messages`].
pub type MessageId = u32;

/// The performatives.
pub const PERFORMATIVES: [&str; 15] = [
    "inform",
    "query_if",
    "query_ref",
    "request",
    "agree",
    "refuse",
    "propose",
    "accept_proposal",
    "reject_proposal",
    "cfp",
    "subscribe",
    "cancel",
    "failure",
    "not_understood",
    "confirm",
];

/// What a message is answered that no handler takes: the first name, where there are any.
pub const NOT_UNDERSTOOD: MessageId = 0;
/// What a message is answered whose receiver is not there any more: the second.
pub const FAILURE: MessageId = 1;

/// The parameter in which a handler finds the message that it handles, to answer it: no name of a modeller's.
pub const MESSAGE: &str = "$message";

/// Where a proposal holds what it was asked for.
pub const TASK: &str = "$task";

/// What messages are called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// A performative, or the name of an event of the receiver.
    pub name: String,
}

impl Message {
    /// Whether its name is a performative.
    #[must_use]
    pub fn performs(&self) -> bool {
        PERFORMATIVES.contains(&self.name.as_str())
    }
}

/// A handler that takes messages of its event's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hearer {
    /// Number of the handler.
    pub handler: u32,
    /// What its parameters hold, in their order; `None`: it is written without parentheses and takes any arguments.
    pub args: Option<Vec<Argument>>,
}

/// What a parameter holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument {
    /// The kind of value.
    pub holds: Holds,
    /// May be left out, or be `none`.
    pub optional: bool,
}

/// Kinds of values, as far as they tell which handler a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Whatever comes.
    Any,
    /// A quantity, a whole number, a value of an enumeration.
    Number,
    /// A truth value.
    Truth,
    /// A text.
    Text,
    /// A list, a queue, an array.
    List,
    /// A map.
    Map,
    /// A twin.
    Twin,
    /// A record of this type.
    Record(u32),
}

/// A twin, or several: number `base + stride·instance + Σ step·register` of a family, each register checked against its
/// length.
#[derive(Clone, PartialEq, Debug)]
pub struct TwinRef {
    /// The family.
    pub owner: OwnerId,
    /// The number for instance 0.
    pub base: u32,
    /// From one instance to the next.
    pub stride: u32,
    /// `(register, length of the axis, numbers from one index to the next)`
    pub at: Vec<(Reg, u32, u32)>,
}

/// How a message is sent. What stands in registers may be given by any formula.
#[derive(Clone, PartialEq, Debug)]
pub struct Dispatch {
    /// What it is called.
    pub message: MessageId,
    /// A twin, or a list of twins; `None`: whoever sent the message that is answered.
    pub to: Option<Reg>,
    /// The message that it answers.
    pub answers: Option<Reg>,
    /// Arguments by name; without a name by place.
    pub args: Vec<(Arc<str>, Reg)>,
    /// Seconds on the way.
    pub after: Option<Reg>,
    /// Messages of one instant are delivered by priority, the highest first; 0 where none is given.
    pub priority: Option<Reg>,
    /// Seconds after which it is worth nothing any more.
    pub ttl: Option<Reg>,
}
