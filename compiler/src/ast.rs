//! The syntax tree: what the text says, nothing looked up. Every node has its `Span`; where the
//! parser had to give up there is an `Error` node (its message was already pushed), which later
//! stages skip in silence.
//!
//! Depth is bounded: an `Expr` is at most [`MAX_DEPTH`] levels deep (longer ones are an error and
//! an `Error` node), and braces nest at most 256 deep, so recursive walks need no guard.
//!
//! Names are as written, without backquotes. Units are unresolved factors. Numbers keep their text,
//! so that `every 0.1 s` can be an exact rational later.

mod decl;
mod expr;
mod stmt;
mod twin;

pub use decl::*;
pub use expr::*;
pub use stmt::*;
pub use twin::*;

use crate::source::{FileId, Span};
use std::sync::Arc;

/// Text of a name or a doc comment: cheap to clone, interned per file.
pub type Text = Arc<str>;

/// The deepest expression tree that the parser builds.
pub const MAX_DEPTH: u16 = 1000;

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// The name without backquotes.
    pub text: Text,
    /// Its place.
    pub span: Span,
}

impl Name {
    /// A name at a place.
    pub fn new(text: impl Into<Text>, span: Span) -> Name {
        Name { text: text.into(), span }
    }

    /// The name as a string slice.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Names with dots between: `std.thermal`, `Valve.open`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// At least one name.
    pub names: Vec<Name>,
    /// All of it.
    pub span: Span,
}

impl Path {
    /// The path as written, with dots.
    pub fn dotted(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(Name::as_str).collect();
        names.join(".")
    }
}

/// A parsed file.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// Lines whose brackets or signs are wrong, as ranges of bytes: what else is said of them follows from that.
    pub tainted: Vec<(u32, u32)>,
    /// Heads of blocks that could not be read, where the block itself was.
    pub given_up: Vec<Span>,
    /// Whether sections stand outside of all twins: the name of theirs is not known.
    pub headless: bool,
    /// The file.
    pub file: FileId,
    /// Doc comment before everything else and followed by an empty line, if any.
    pub doc: Option<Text>,
    /// Declarations in the order of the text.
    pub items: Vec<Item>,
    /// The whole text.
    pub span: Span,
}

impl Module {
    /// Whether brackets or signs are wrong on the line of this place.
    #[must_use]
    pub fn is_tainted(&self, at: Span) -> bool {
        at.file == self.file && self.tainted.iter().any(|(lo, hi)| (*lo..=*hi).contains(&at.lo))
    }
}

/// A top-level declaration.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `use std.thermal { HeatCapacitor }`
    Use(Use),
    /// `type T = Real[K] in degC where self >= 0 K`
    Type(TypeDecl),
    /// `enum Valve { open, closed }`
    Enum(EnumDecl),
    /// `record Job { id: Int }`
    Record(RecordDecl),
    /// `connector Pin { potential v: Voltage; flow i: Current }`
    Connector(ConnectorDecl),
    /// `dimension Money`
    Dimension(DimensionDecl),
    /// `unit cent = 0.01 EUR`
    Unit(UnitDecl),
    /// `func f(x: Real): Real { return x }`
    Func(Func),
    /// `asset twin Tank { … }`
    Twin(Twin),
    /// `scenario cold for Plant { … }`
    Scenario(Scenario),
    /// Something that could not be read.
    Error(Span),
}

impl Item {
    /// The declaration's place.
    pub fn span(&self) -> Span {
        match self {
            Item::Use(x) => x.span,
            Item::Type(x) => x.span,
            Item::Enum(x) => x.span,
            Item::Record(x) => x.span,
            Item::Connector(x) => x.span,
            Item::Dimension(x) => x.span,
            Item::Unit(x) => x.span,
            Item::Func(x) => x.span,
            Item::Twin(x) => x.span,
            Item::Scenario(x) => x.span,
            Item::Error(span) => *span,
        }
    }

    /// The name that the declaration introduces, if it introduces one.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Item::Use(_) | Item::Error(_) => None,
            Item::Type(x) => Some(&x.name),
            Item::Enum(x) => Some(&x.name),
            Item::Record(x) => Some(&x.name),
            Item::Connector(x) => Some(&x.name),
            Item::Dimension(x) => Some(&x.name),
            Item::Unit(x) => Some(&x.name),
            Item::Func(x) => Some(&x.name),
            Item::Twin(x) => Some(&x.name),
            Item::Scenario(x) => Some(&x.name),
        }
    }
}
