//! Blocks whose head line is missing: a `}` that closes nothing, and above it deeper lines that belong to no other block. That is
//! one mistake and one message; the lines are not read, and the names in them are not missed elsewhere.

use super::repair::declarations;
use crate::diag::{Diagnostic, codes};
use crate::lexer::words::{Place, Word};
use crate::lexer::{Tok, Token};
use crate::source::{FileId, Span};

/// The lines of such a block.
pub(super) struct Lost {
    /// From its first line up to its `}`.
    lo: u32,
    close: u32,
    /// The first word.
    first: (u32, u32),
    /// Whether it is a scenario; otherwise a section of a twin.
    scenario: bool,
}

impl Lost {
    pub fn diagnostic(&self, file: FileId, text: &str) -> Diagnostic {
        let word = text.get(self.first.0 as usize..self.first.1 as usize).unwrap_or("this");
        let (message, help) = match self.scenario {
            true => {
                (format!("`{word}` stands inside a scenario"), "write `scenario NAME for TWIN {` before it")
            }
            false => (
                format!("`{word}` stands in no section"),
                "write the head of its section before it, like `states {` or `equations {`",
            ),
        };
        Diagnostic::new(codes::UNKNOWN_DECLARATION, Span::new(file, self.first.0, self.first.1), message)
            .label(Span::new(file, self.close, self.close + 1), "closes the block")
            .help(help)
    }

    /// Its text.
    pub fn span(&self, file: FileId) -> Span {
        Span::new(file, self.lo, self.close)
    }

    /// Whether a message is about its `}`.
    pub fn is_its_bracket(&self, d: &Diagnostic) -> bool {
        d.code == codes::STRAY_BRACKET && d.primary.span.lo == self.close
    }

    /// Takes its tokens away.
    pub fn remove(&self, tokens: &mut Vec<Token>) {
        let from = tokens.partition_point(|t| t.lo < self.lo);
        let to = tokens.partition_point(|t| t.lo < self.close);
        tokens.drain(from..to);
        // One end of an entry is left between the neighbours.
        let ends = |t: Option<&Token>| t.is_some_and(|t| t.tok == Tok::Sep);
        let opens = |t: &Token| matches!(t.tok, Tok::LBrace | Tok::Sep);
        if ends(tokens.get(from)) && from.checked_sub(1).is_none_or(|i| opens(&tokens[i])) {
            tokens.remove(from);
        }
    }
}

/// The blocks without a head in a text, ascending; `found`: what was said of its brackets.
pub(super) fn blocks<'d>(
    text: &str,
    tokens: &[Token],
    found: impl Iterator<Item = &'d Diagnostic>,
) -> Vec<Lost> {
    let strays = found.filter(|d| d.code == codes::STRAY_BRACKET).map(|d| d.primary.span.lo);
    let mut out: Vec<Lost> = strays.filter_map(|close| block(text, tokens, close)).collect();
    out.sort_by_key(|l| l.lo);
    out.dedup_by(|b, a| b.lo < a.close);
    out
}

/// The block that ends with a `}` which begins its line.
fn block(text: &str, tokens: &[Token], close: u32) -> Option<Lost> {
    let before = text.get(..close as usize)?;
    let line = before.rfind('\n')? + 1;
    let indent = close as usize - line;
    if !text[close as usize..].starts_with('}') || !text[line..close as usize].trim().is_empty() {
        return None;
    }
    let mut lo = line;
    for l in text[..line].split_inclusive('\n').rev() {
        let deep = l.len() - l.trim_start().len() > indent;
        if !deep && !l.trim().is_empty() {
            break;
        }
        lo -= l.len();
    }
    let from = tokens.partition_point(|t| (t.lo as usize) < lo);
    let to = tokens.partition_point(|t| t.lo < close);
    let block = tokens.get(from..to)?;
    let entries: Vec<&[Token]> = declarations(block).into_iter().map(|(a, b)| &block[a..b]).collect();
    let first = entries.first()?.first()?;
    let depth = block.iter().try_fold(0usize, |depth, t| match t.tok {
        Tok::LBrace => Some(depth + 1),
        Tok::RBrace => depth.checked_sub(1),
        _ => Some(depth),
    });
    if depth != Some(0) {
        return None;
    }
    let section = |w: Word| w.place() == Place::Section || matches!(w, Word::Fidelity | Word::Extends);
    let sections = entries.iter().any(|e| word(e).is_some_and(section));
    let scenario = match around(&tokens[..from]) {
        None if entries.iter().any(|e| of_scenario(e)) => true,
        Some(head) if !sections && head.iter().any(|t| t.tok == Tok::Word(Word::Twin)) => false,
        _ => return None,
    };
    Some(Lost { lo: lo as u32, close, first: (first.lo, first.hi), scenario })
}

/// The head of the block that is open behind some tokens.
fn around(tokens: &[Token]) -> Option<&[Token]> {
    let mut depth = 0usize;
    let open = tokens.iter().rposition(|t| match t.tok {
        Tok::RBrace => {
            depth += 1;
            false
        }
        Tok::LBrace if depth == 0 => true,
        Tok::LBrace => {
            depth -= 1;
            false
        }
        _ => false,
    })?;
    let ends = |t: &Token| matches!(t.tok, Tok::Sep | Tok::LBrace | Tok::RBrace);
    let head = tokens[..open].iter().rposition(ends).map_or(0, |i| i + 1);
    Some(&tokens[head..open])
}

/// The word before the `{` or name of an entry; none for `states: …`.
fn word(entry: &[Token]) -> Option<Word> {
    match entry.first()?.tok {
        Tok::Word(w) if entry.get(1).is_none_or(|t| t.tok != Tok::Colon) => Some(w),
        _ => None,
    }
}

/// Whether an entry stands in scenarios only.
fn of_scenario(entry: &[Token]) -> bool {
    if let Some(w) = word(entry) {
        return matches!(w, Word::Expect | Word::Drive);
    }
    match entry {
        [Token { tok: Tok::Ident(name), .. }, Token { tok: Tok::Colon, .. }, ..] => {
            matches!(&**name, "duration" | "solver")
        }
        _ => false,
    }
}
