//! Tokens to tree. The grammar is `grammar/twinml.lalrpop`; `repair` drives it and goes on behind
//! mistakes; `explain` says what was expected in words; `make` builds the nodes.
//!
//! Never panics and never hangs; time is linear in the size of the text, with a bound on how often a
//! part with mistakes is read again.

mod explain;
mod lost;
mod make;
mod repair;
mod shape;

lalrpop_util::lalrpop_mod!(
    #[allow(
        clippy::all,
        clippy::unwrap_used,
        unused_qualifications,
        unused_imports,
        missing_docs,
        reason = "generated from grammar/twinml.lalrpop"
    )]
    twinml
);

use crate::ast::Module;
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::lexer;
use crate::source::{FileId, Span};

/// The largest text that is read.
pub const MAX_TEXT: usize = 64 << 20;
/// The longest line that is read.
pub const MAX_LINE: usize = 1 << 20;

/// Reads a file. Mistakes go to `diags` and leave error nodes; the module always comes back.
///
/// A text over [`MAX_TEXT`] bytes and one with a line over [`MAX_LINE`] bytes are refused whole.
pub fn parse(file: FileId, text: &str, diags: &mut Diagnostics) -> Module {
    let mut module = Module {
        tainted: Vec::new(),
        given_up: Vec::new(),
        headless: false,
        file,
        doc: None,
        items: Vec::new(),
        span: Span::new(file, 0, u32::try_from(text.len()).unwrap_or(u32::MAX)),
    };
    if let Some(d) = too_large(file, text) {
        diags.push(d);
        return module;
    }
    let mut found = Diagnostics::new();
    let mut lexed = lexer::lex(file, text, &mut found);
    if let Some(d) = shape::foreign(file, text, &lexed.tokens) {
        diags.push(d);
        module.given_up.push(module.span);
        return module;
    }
    let headless;
    (module.items, module.given_up, headless) = repair::items(file, text, &mut lexed, &mut found);
    for h in &headless {
        let mut rest = Diagnostics::new();
        h.without_its_bracket(found.into_vec()).into_iter().for_each(|d| rest.push(d));
        found = rest;
        found.push(h.diagnostic(file, text));
    }
    module.headless = !headless.is_empty();
    found.sort();
    diags.extend(found);
    module.doc = lexed.module_doc;
    module.tainted = lexed.tainted;
    module
}

fn too_large(file: FileId, text: &str) -> Option<Diagnostic> {
    if text.len() > MAX_TEXT {
        let message = "this text has more than 64 MiB";
        return Some(
            Diagnostic::new(codes::TEXT_TOO_LARGE, Span::new(file, 0, 0), message)
                .help("data belongs into CSV or Parquet files, copies of a part into an array of twins"),
        );
    }
    let mut lo = 0;
    for line in text.split_inclusive('\n') {
        if line.len() > MAX_LINE {
            let message = format!("this line has {} KiB; at most 1024 are read", line.len() >> 10);
            let span = Span::new(file, lo as u32, lo as u32);
            return Some(Diagnostic::new(codes::TEXT_TOO_LARGE, span, message).help("break the line"));
        }
        lo += line.len();
    }
    None
}

#[cfg(test)]
mod tests;
