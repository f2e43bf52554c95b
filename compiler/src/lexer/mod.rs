//! Text to tokens. Total and linear: whatever the bytes are, tokens come out, and what is wrong is
//! reported once.
//!
//! Three steps: `raw` reads characters (units and strings included), `brackets` matches brackets,
//! `filter` decides which words are keywords and where entries end.

mod brackets;
mod filter;
mod heads;
mod raw;
mod string;
mod timestamp;
mod token;
pub mod unit;
pub mod words;

pub use brackets::MAX_NESTING;
pub use token::{Tok, Token};

use crate::ast::Text;
use crate::diag::Diagnostics;
use crate::source::FileId;

/// The tokens of a text and what the grammar does not see.
#[derive(Debug, Clone)]
pub struct Lexed {
    /// The tokens; brackets match.
    pub tokens: Vec<Token>,
    /// Doc comments by the first byte of the token that they stand before, ascending.
    pub docs: Vec<(u32, Text)>,
    /// The doc comment of the whole file.
    pub module_doc: Option<Text>,
    /// The lines with a lexical or a bracket error, as byte ranges, ascending: what cannot be parsed
    /// there needs no second message.
    pub tainted: Vec<(u32, u32)>,
}

/// Reads a text. A byte order mark at the start is skipped.
pub fn lex(file: FileId, text: &str, diags: &mut Diagnostics) -> Lexed {
    let body = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let base = (text.len() - body.len()) as u32;
    let mut raw = raw::lex(file, body, base, diags);
    let mut tainted = std::mem::take(&mut raw.tainted);
    let lines = tainted_lines(&raw.tokens, &tainted);
    let before = diags.len();
    let is_tainted = |r: &raw::Raw| lines.binary_search(&r.line).is_ok();
    let roles = brackets::match_brackets(file, &mut raw.tokens, &is_tainted, diags);
    tainted.extend(diags.iter().skip(before).map(|d| d.primary.span.lo));
    tainted.sort_unstable();
    let tokens = filter::filter(&raw.tokens, &roles);
    let tainted = line_ranges(text, &tainted);
    Lexed { tokens, docs: raw.docs, module_doc: raw.module_doc, tainted }
}

/// The lines around some places, which ascend.
fn line_ranges(text: &str, places: &[u32]) -> Vec<(u32, u32)> {
    let mut out: Vec<(u32, u32)> = Vec::new();
    let bytes = text.as_bytes();
    for &at in places {
        if out.last().is_some_and(|(_, hi)| at <= *hi) {
            continue;
        }
        let at = (at as usize).min(bytes.len());
        let lo = bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let hi = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| at + i);
        out.push((lo as u32, hi as u32));
    }
    out
}

/// The lines on which a lexical error lies, ascending.
fn tainted_lines(raws: &[raw::Raw], tainted: &[u32]) -> Vec<u32> {
    let line = |at: &u32| raws[..raws.partition_point(|r| r.lo <= *at)].last().map(|r| r.line);
    let mut lines: Vec<u32> = tainted.iter().filter_map(line).collect();
    lines.dedup();
    lines
}
