//! What the compiler says about a model: a `Diagnostic` has a code, one primary place, labels on
//! the other places involved, a reason, and a help line when a mend is likely. Stages push into a
//! `Diagnostics` sink and go on.
//!
//! No printing here: rendering turns a `Diagnostic` and a `SourceMap` into text.

pub mod codes;
pub mod index;
mod nearest;
mod render;

pub use nearest::{did_you_mean, edit_distance, nearest};
pub use render::{Renderer, Style, render, render_all, to_json};

use crate::source::Span;
use std::fmt;

/// A diagnostic's code, such as `E0203` or `W0301`. `twinc explain` prints the long form.
///
/// Ranges: E01 lexical, E02 parse, E03 names, E04 types, E05 units, E06 structure, E07 flattening,
/// E08 run time; warnings are W with the same second and third digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

impl Code {
    /// Errors begin with `E`, notes with `N`, everything else is a warning.
    pub fn severity(self) -> Severity {
        match self.0.as_bytes().first() {
            Some(b'E') => Severity::Error,
            Some(b'N') => Severity::Note,
            _ => Severity::Warning,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; never fatal.
    Note,
    /// The model runs; `--deny warnings` makes it fatal.
    Warning,
    /// The model does not run.
    Error,
}

/// A place with a few words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there; may be empty for the primary place.
    pub text: String,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The code, which also decides the default severity.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// The headline: what is wrong, in the model's words, without a full stop.
    pub message: String,
    /// Where, and a few words that stand under the marked text.
    pub primary: Label,
    /// The other places involved.
    pub labels: Vec<Label>,
    /// Reasons and facts, one sentence or more each.
    pub notes: Vec<String>,
    /// The likely mend.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A message with the severity of its code.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: code.severity(),
            message: message.into(),
            primary: Label { span, text: String::new() },
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// The words under the primary place.
    #[must_use]
    pub fn here(mut self, text: impl Into<String>) -> Diagnostic {
        self.primary.text = text.into();
        self
    }

    /// Another place involved.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// A reason or fact.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// The likely mend.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }
}

/// Where the stages put their messages, in the order in which they were found.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    errors: usize,
}

impl Diagnostics {
    /// An empty sink.
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    /// Adds a message.
    pub fn push(&mut self, d: Diagnostic) {
        self.errors += usize::from(d.severity == Severity::Error);
        self.list.push(d);
    }

    /// Adds all messages of another sink.
    pub fn extend(&mut self, other: Diagnostics) {
        for d in other.list {
            self.push(d);
        }
    }

    /// Whether any error was pushed.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many errors were pushed.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// How many messages there are, warnings included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no message at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The messages in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Changes messages, from the `from`th on.
    pub fn change(&mut self, from: usize, how: impl FnMut(&mut Diagnostic)) {
        self.list.iter_mut().skip(from).for_each(how);
    }

    /// Forgets all but the first `len` messages: an attempt was given up.
    pub fn truncate(&mut self, len: usize) {
        let gone = self.list.split_off(len.min(self.list.len()));
        self.errors -= gone.iter().filter(|d| d.severity == Severity::Error).count();
    }

    /// Sorts by place, which is the order in which people read; stable, so one place keeps its order.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|d| (d.primary.span.file, d.primary.span.lo));
    }

    /// The messages themselves.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.list
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}
