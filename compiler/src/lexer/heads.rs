//! Heads of blocks whose `{` is missing: a `}` that closes nothing, and above it, with the same indentation, a line that
//! wants a block. With the brace put there the block is read as what it is.

use super::brackets::Role;
use super::raw::Raw;
use super::token::Tok;
use super::words::{Place, Word};

/// A brace that is missing.
pub struct Missing {
    /// The token that it stands before.
    pub at: usize,
    /// The first word of the head.
    pub word: usize,
    /// The `}` that closes the block.
    pub close: usize,
}

/// So many are looked for: a text with more is none that was written by hand.
const MOST: usize = 100;

/// The missing braces of a text whose braces do not balance, ascending.
pub fn missing(raws: &[Raw], roles: &[Role]) -> Vec<Missing> {
    let mut out: Vec<Missing> = Vec::new();
    for (close, r) in raws.iter().enumerate() {
        if out.len() >= MOST {
            break;
        }
        if r.tok != Tok::RBrace || roles[close] != Role::Stray {
            continue;
        }
        let found = if r.nl { above(raws, close) } else { beside(raws, close) };
        out.extend(found.filter(|m| out.iter().all(|o| o.at != m.at)));
    }
    out.sort_by_key(|m| m.at);
    out
}

/// The head over a `}` that begins its line: the nearest line that is not deeper.
fn above(raws: &[Raw], close: usize) -> Option<Missing> {
    let indent = raws[close].indent;
    let head = (0..close).rev().find(|&i| raws[i].nl && raws[i].indent <= indent)?;
    if raws[head].indent != indent {
        return None;
    }
    let end = (head + 1..=close).find(|&i| raws[i].nl)?;
    if raws[head..end].iter().any(|r| r.tok == Tok::LBrace) {
        return None;
    }
    let word = head + raws[head..end].iter().take_while(|r| r.word.is_some_and(goes_before)).count();
    let first = raws.get(word).filter(|_| word < end)?;
    let next = raws.get(word + 1).map(|r| &r.tok);
    let w = first.word.filter(|_| !matches!(next, Some(Tok::Colon | Tok::Assign | Tok::Dot | Tok::Comma)))?;
    if is_section(w) {
        return Some(Missing { at: word + 1, word, close });
    }
    // `after 5 s -> slow` wants no block.
    let arrow = raws[head..end].iter().any(|r| r.tok == Tok::Arrow);
    (begins_block(w) && !arrow && end < close).then_some(Missing { at: end, word, close })
}

/// `states x: Real = 0 }`
fn beside(raws: &[Raw], close: usize) -> Option<Missing> {
    let line = raws[close].line;
    let entry = (0..close)
        .rev()
        .take_while(|&i| raws[i].line == line && !matches!(raws[i].tok, Tok::LBrace | Tok::RBrace));
    let word = entry.last()?;
    let names = raws.get(word + 1).is_some_and(|n| n.tok == Tok::Colon);
    let section = raws[word].word.is_some_and(is_section) && !names;
    section.then_some(Missing { at: word + 1, word, close })
}

fn is_section(w: Word) -> bool {
    w.place() == Place::Section
}

/// Words before the one that tells what a block is.
fn goes_before(w: Word) -> bool {
    matches!(
        w,
        Word::Partial
            | Word::Asset
            | Word::Process
            | Word::System
            | Word::Organization
            | Word::Ecosystem
            | Word::Agent
            | Word::Private
            | Word::Initial
    )
}

fn begins_block(w: Word) -> bool {
    matches!(
        w,
        Word::Twin
            | Word::Scenario
            | Word::Connector
            | Word::Func
            | Word::On
            | Word::Every
            | Word::At
            | Word::After
            | Word::If
            | Word::For
            | Word::While
            | Word::Match
            | Word::Machine
            | Word::State
            | Word::Fidelity
            | Word::Branch
    )
}
