//! Why code of behaviour could not go on.

use std::fmt;

use twinml_model::ids::OriginId;
use twinml_model::ir::Trap;

/// A failure of code, with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// The code: `on rising(h > h_max)`.
    pub code: String,
    /// The twin's path; empty for the root.
    pub twin: String,
    /// Where.
    pub origin: Option<OriginId>,
    /// Further handlers involved.
    pub others: Vec<OriginId>,
}

/// The kinds of fault.
#[derive(Clone, PartialEq, Debug)]
pub enum FaultKind {
    /// Too many instructions between two waits; the place is that of the loop.
    Fuel {
        /// The limit.
        limit: u64,
    },
    /// Functions that call each other too deeply.
    Depth {
        /// The limit.
        limit: usize,
    },
    /// Cells and waiting handlers hold too much.
    Memory {
        /// The limit in bytes.
        limit: usize,
    },
    /// A value with too many levels of lists in lists, records in records.
    Nesting {
        /// The limit.
        limit: u32,
    },
    /// An index left its array.
    Index {
        /// The index.
        index: f64,
        /// The length.
        len: usize,
    },
    /// A value of the wrong kind.
    Type {
        /// What was needed.
        wanted: &'static str,
        /// What was there.
        found: &'static str,
    },
    /// A `match` in which nothing fitted.
    NoMatch {
        /// The value.
        value: String,
    },
    /// What is to be written into a variable is not a number.
    NoNumber {
        /// The variable's family.
        name: String,
    },
    /// What is to be written into an `Int` is beyond what is exact.
    NotWhole {
        /// The variable's family.
        name: String,
        /// The value.
        value: f64,
    },
    /// What `Int`s give is beyond what is exact.
    Inexact {
        /// The value.
        value: f64,
    },
    /// `fail "reason"`
    Fail {
        /// The reason.
        reason: String,
    },
    /// A time that is negative or no number.
    Time {
        /// What was given, in seconds.
        seconds: f64,
    },
    /// A priority that is no number.
    Priority {
        /// What was given.
        given: f64,
    },
    /// A distribution that does not exist, or with parameters outside its range.
    Distribution {
        /// What was drawn from.
        text: String,
    },
    /// `create` where no place is free.
    Full {
        /// The population.
        population: String,
        /// How many it may have.
        capacity: u32,
    },
    /// Code that waits where it may not: a guard, a formula, a function given to a collection.
    Waits,
    /// Micro-steps of one instant without end.
    Zeno {
        /// How many.
        steps: u32,
        /// The handlers that ran in the last of them.
        handlers: Vec<String>,
    },
    /// A kernel, run to see what a handler wrote, ended early.
    Trap(Trap),
    /// The data contradicts itself: an internal error.
    Broken(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.twin.is_empty() { String::new() } else { format!(" of `{}`", self.twin) };
        if !self.code.is_empty() {
            write!(f, "`{}`{at}: ", self.code)?;
        }
        match &self.kind {
            FaultKind::Fuel { limit } => {
                write!(f, "a loop did not end within its fuel of {limit} instructions")
            }
            FaultKind::Depth { limit } => {
                write!(f, "functions call one another more than {limit} levels deep")
            }
            FaultKind::Memory { limit } => {
                write!(f, "behaviour holds more than its {} MB of memory", limit / (1 << 20))
            }
            FaultKind::Nesting { limit } => {
                write!(f, "a value is nested more than {limit} levels deep")
            }
            FaultKind::Index { index, len } => write!(f, "the index {index} is outside of a list of {len}"),
            FaultKind::Type { wanted, found } => write!(f, "{wanted} is needed here, not {found}"),
            FaultKind::NoMatch { value } => write!(f, "no arm of the `match` fits {value}"),
            FaultKind::NoNumber { name } => write!(f, "what is assigned to `{name}` is not a number"),
            FaultKind::NotWhole { name, value } => {
                write!(f, "`{name}` would become {value:e}: an `Int` is exact below 2^53")
            }
            FaultKind::Inexact { value } => {
                write!(f, "a whole number would become {value:e}: an `Int` is exact below 2^53")
            }
            FaultKind::Fail { reason } => write!(f, "{reason}"),
            FaultKind::Time { seconds } => write!(f, "{seconds} s is no time to wait"),
            FaultKind::Priority { given } => write!(f, "{given} is no priority of a message"),
            FaultKind::Distribution { text } => write!(f, "`{text}` is no distribution to draw from"),
            FaultKind::Full { population, capacity } => {
                write!(f, "`{population}` is full: it may have {capacity}")
            }
            FaultKind::Waits => write!(f, "this code may not wait"),
            FaultKind::Zeno { steps, handlers } => {
                write!(f, "the instant is not quiet after {steps} steps: {}", handlers.join(", "))
            }
            FaultKind::Trap(trap) => write!(f, "the equations have no value here ({trap:?})"),
            FaultKind::Broken(what) => write!(f, "internal error: {what}"),
        }
    }
}

impl std::error::Error for Fault {}
