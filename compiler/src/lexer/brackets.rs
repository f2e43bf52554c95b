//! Matches brackets before anything else, so that a missing or an extra one is one error and hides
//! nothing. Where braces do not balance, indentation decides which one is wrong.

use super::heads;
use super::raw::Raw;
use super::token::Tok;
use super::words::Word;
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::source::{FileId, Span};

/// The deepest nesting of brackets.
pub const MAX_NESTING: usize = 256;

/// What a bracket's partner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// No bracket.
    None,
    /// An opening one with its closing one.
    Open(u32),
    /// An opening one that is never closed.
    Unclosed,
    /// A closing one with its opening one.
    Close(u32),
    /// A closing one without its opening one.
    Stray,
    /// An opening one that is nested too deeply, with its closing one if it has one.
    TooDeep(Option<u32>),
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Paren,
    Bracket,
    Brace,
    Text,
}

fn opens(tok: &Tok) -> Option<Kind> {
    match tok {
        Tok::LParen => Some(Kind::Paren),
        Tok::LBracket => Some(Kind::Bracket),
        Tok::LBrace => Some(Kind::Brace),
        Tok::StrBegin(_) | Tok::StrMid(_) => Some(Kind::Text),
        _ => None,
    }
}

fn closes(tok: &Tok) -> Option<Kind> {
    match tok {
        Tok::RParen => Some(Kind::Paren),
        Tok::RBracket => Some(Kind::Bracket),
        Tok::RBrace => Some(Kind::Brace),
        Tok::StrMid(_) | Tok::StrEnd(_) => Some(Kind::Text),
        _ => None,
    }
}

/// The role of every token.
pub fn match_brackets(
    file: FileId,
    raws: &mut Vec<Raw>,
    tainted_lines: &dyn Fn(&Raw) -> bool,
    diags: &mut Diagnostics,
) -> Vec<Role> {
    let matched = |raws: &[Raw]| {
        let (roles, balanced) = pass(raws, None);
        if balanced { (roles, true) } else { (pass(raws, Some(&extra_braces(raws))).0, false) }
    };
    let (mut roles, balanced) = matched(raws);
    if !balanced {
        let missing = heads::missing(raws, &roles);
        for m in missing.iter().rev() {
            open(file, raws, m, tainted_lines, diags);
        }
        if !missing.is_empty() {
            roles = matched(raws).0;
        }
    }
    report(file, raws, &roles, tainted_lines, diags);
    roles
}

/// Puts a `{` where it is missing, and says so.
fn open(
    file: FileId,
    raws: &mut Vec<Raw>,
    m: &heads::Missing,
    tainted_lines: &dyn Fn(&Raw) -> bool,
    diags: &mut Diagnostics,
) {
    let Some(before) = m.at.checked_sub(1).map(|i| raws[i].clone()) else { return };
    let close = &raws[m.close];
    if !tainted_lines(&before) {
        let word = raws[m.word].word.map_or("this", Word::text);
        let message = if m.at == m.word + 1 {
            format!("behind `{word}` a `{{` is missing")
        } else {
            format!("the block of this `{word}` has no `{{`")
        };
        let d = Diagnostic::new(codes::MISSING_PART, Span::new(file, before.hi, before.hi), message)
            .here("it is missing here")
            .label(Span::new(file, close.lo, close.hi), "this `}` closes the block");
        diags.push(d);
    }
    let brace = Raw { tok: Tok::LBrace, lo: before.hi, hi: before.hi, nl: false, word: None, ..before };
    raws.insert(m.at, brace);
}

/// Whether a declaration with a body begins here, at the left margin.
fn begins_declaration(raws: &[Raw], i: usize) -> bool {
    let r = &raws[i];
    let next = raws.get(i + 1).is_some_and(|n| matches!(n.tok, Tok::Ident(_)) && !n.nl);
    r.nl && r.indent == 0
        && next
        && matches!(
            r.word,
            Some(
                Word::Twin
                    | Word::Asset
                    | Word::Process
                    | Word::System
                    | Word::Organization
                    | Word::Ecosystem
                    | Word::Agent
                    | Word::Partial
                    | Word::Scenario
                    | Word::Connector
            )
        )
}

/// Where a declaration begins at the left margin, and how many closing braces are too many from
/// there to the next one.
fn extra_braces(raws: &[Raw]) -> Vec<(usize, usize)> {
    let mut out = vec![(0, 0)];
    let mut balance = 0i64;
    for (i, r) in raws.iter().enumerate() {
        if begins_declaration(raws, i) {
            out.push((i, 0));
            balance = 0;
        }
        balance += match r.tok {
            Tok::LBrace => 1,
            Tok::RBrace => -1,
            _ => 0,
        };
        if let Some(last) = out.last_mut() {
            last.1 = usize::try_from(-balance).unwrap_or(0);
        }
    }
    out
}

/// One pass; `extra` is where closing braces are too many (see `extra_braces`), `None` for a text that
/// should balance.
fn pass(raws: &[Raw], extra: Option<&[(usize, usize)]>) -> (Vec<Role>, bool) {
    let mut roles = vec![Role::None; raws.len()];
    let mut stack: Vec<(u32, Kind)> = Vec::new();
    let mut extra_left = 0;
    let mut segments = extra.unwrap_or_default().iter().peekable();
    let mut balanced = true;
    for (i, r) in raws.iter().enumerate() {
        while let Some((_, n)) = segments.next_if(|(at, _)| *at == i) {
            // what is open at the left margin was never closed
            stack.clear();
            extra_left = *n;
        }
        if let Some(kind) = closes(&r.tok) {
            let partner = match kind {
                Kind::Paren | Kind::Bracket => close_paren(&mut stack, kind, &mut roles),
                Kind::Text => close_text(&mut stack),
                Kind::Brace => {
                    unclose_parens(&mut stack);
                    if extra.is_some() {
                        close_brace(&mut stack, raws, r, &mut extra_left)
                    } else {
                        pop_brace(&mut stack)
                    }
                }
            };
            match partner {
                Some(p) => {
                    match roles[p as usize] {
                        Role::TooDeep(_) => roles[p as usize] = Role::TooDeep(Some(i as u32)),
                        // the middle of a string stays a closing one
                        Role::Close(_) => {}
                        _ => roles[p as usize] = Role::Open(i as u32),
                    }
                    roles[i] = Role::Close(p);
                }
                None => {
                    roles[i] = Role::Stray;
                    balanced &= kind != Kind::Brace;
                }
            }
        }
        if let Some(kind) = opens(&r.tok) {
            if kind == Kind::Brace {
                unclose_parens(&mut stack);
            }
            if stack.len() >= MAX_NESTING && roles[i] == Role::None {
                roles[i] = Role::TooDeep(None);
            } else if roles[i] == Role::None {
                roles[i] = Role::Unclosed;
            }
            stack.push((i as u32, kind));
        }
    }
    unclose_parens(&mut stack);
    (roles, balanced && stack.is_empty())
}

fn close_paren(stack: &mut Vec<(u32, Kind)>, kind: Kind, roles: &mut [Role]) -> Option<u32> {
    // the nearest one of the same kind inside the innermost brace or text
    let inner = stack.iter().rposition(|(_, k)| matches!(k, Kind::Brace | Kind::Text)).map_or(0, |p| p + 1);
    let at = inner + stack[inner..].iter().rposition(|(_, k)| *k == kind)?;
    for (i, _) in stack.drain(at + 1..) {
        if roles[i as usize] != Role::TooDeep(None) {
            roles[i as usize] = Role::Unclosed;
        }
    }
    stack.pop().map(|(i, _)| i)
}

fn close_text(stack: &mut Vec<(u32, Kind)>) -> Option<u32> {
    let at = stack.iter().rposition(|(_, k)| *k == Kind::Text)?;
    stack.truncate(at + 1);
    stack.pop().map(|(i, _)| i)
}

fn unclose_parens(stack: &mut Vec<(u32, Kind)>) {
    // their roles are `Unclosed` or `TooDeep` since they were opened
    while stack.last().is_some_and(|(_, k)| matches!(k, Kind::Paren | Kind::Bracket)) {
        stack.pop();
    }
}

fn pop_brace(stack: &mut Vec<(u32, Kind)>) -> Option<u32> {
    match stack.last() {
        Some((i, Kind::Brace)) => {
            let i = *i;
            stack.pop();
            Some(i)
        }
        _ => None,
    }
}

fn close_brace(stack: &mut Vec<(u32, Kind)>, raws: &[Raw], r: &Raw, extra: &mut usize) -> Option<u32> {
    let &(top, kind) = stack.last()?;
    if kind != Kind::Brace {
        return None;
    }
    let open = &raws[top as usize];
    if open.line == r.line || open.indent == r.indent {
        stack.pop();
        return Some(top);
    }
    if open.indent < r.indent {
        // deeper than what it would close: an extra one where there are extra ones
        if *extra > 0 {
            *extra -= 1;
            return None;
        }
        stack.pop();
        return Some(top);
    }
    // what it would close is deeper: that one was never closed, if an outer one fits
    let same = |(i, k): &(u32, Kind)| *k == Kind::Brace && raws[*i as usize].indent == r.indent;
    if r.nl
        && let Some(at) = stack.iter().rposition(same)
    {
        stack.truncate(at + 1);
    }
    pop_brace(stack)
}

fn report(
    file: FileId,
    raws: &[Raw],
    roles: &[Role],
    tainted_line: &dyn Fn(&Raw) -> bool,
    diags: &mut Diagnostics,
) {
    let mut last_line = None;
    let mut deep = false;
    for (r, role) in raws.iter().zip(roles) {
        let span = Span::new(file, r.lo, r.hi);
        let sign = match r.tok {
            Tok::LParen => "(",
            Tok::RParen => ")",
            Tok::LBracket => "[",
            Tok::RBracket => "]",
            Tok::LBrace => "{",
            Tok::RBrace => "}",
            _ => continue,
        };
        match role {
            Role::TooDeep(_) if !deep => {
                deep = true;
                diags.push(
                    Diagnostic::new(codes::TOO_DEEP, span, "brackets are nested more than 256 deep")
                        .help("give a name to a part: a variable, a function or a twin"),
                );
            }
            Role::Unclosed | Role::Stray if last_line == Some(r.line) || tainted_line(r) => {}
            Role::Unclosed => {
                last_line = Some(r.line);
                let close = match sign {
                    "(" => ")",
                    "[" => "]",
                    _ => "}",
                };
                diags.push(
                    Diagnostic::new(codes::UNCLOSED_BRACKET, span, format!("this `{sign}` is never closed"))
                        .here(format!("needs its `{close}`")),
                );
            }
            Role::Stray => {
                last_line = Some(r.line);
                let open = match sign {
                    ")" => "(",
                    "]" => "[",
                    _ => "{",
                };
                diags.push(
                    Diagnostic::new(codes::STRAY_BRACKET, span, format!("this `{sign}` closes nothing"))
                        .here(format!("there is no `{open}` for it")),
                );
            }
            _ => {}
        }
    }
}
