//! Words that were likely misspelt, or are those of another language.

use super::{Failure, Fix, begins_operand, describe};
use crate::diag::edit_distance;
use crate::diag::{Diagnostic, codes};
use crate::lexer::words::Word;
use crate::lexer::{Tok, Token};
use crate::source::Span;

const SECTIONS: [Word; 16] = [
    Word::Parameters,
    Word::Inputs,
    Word::Outputs,
    Word::States,
    Word::Variables,
    Word::Equations,
    Word::Ports,
    Word::Twins,
    Word::Connections,
    Word::Behavior,
    Word::Memory,
    Word::Capabilities,
    Word::Constraints,
    Word::Sync,
    Word::Fidelity,
    Word::Extends,
];

const DECLARATIONS: [Word; 12] = [
    Word::Use,
    Word::Type,
    Word::Enum,
    Word::Record,
    Word::Connector,
    Word::Dimension,
    Word::Unit,
    Word::Func,
    Word::Twin,
    Word::Scenario,
    Word::Partial,
    Word::Private,
];

const MACHINE_WORDS: [Word; 9] = [
    Word::Initial,
    Word::State,
    Word::Entry,
    Word::Exit,
    Word::On,
    Word::After,
    Word::When,
    Word::Every,
    Word::At,
];

const BEHAVIOR_WORDS: [Word; 7] =
    [Word::On, Word::Every, Word::At, Word::After, Word::Machine, Word::Func, Word::Private];

const SCENARIO_WORDS: [Word; 11] = [
    Word::Parameters,
    Word::Start,
    Word::Drive,
    Word::At,
    Word::Every,
    Word::On,
    Word::Branch,
    Word::Record,
    Word::Expect,
    Word::Fidelity,
    Word::After,
];

const STATEMENT_WORDS: [Word; 18] = [
    Word::Emit,
    Word::Send,
    Word::Broadcast,
    Word::Reply,
    Word::Publish,
    Word::Subscribe,
    Word::Log,
    Word::Fail,
    Word::Stop,
    Word::Wait,
    Word::Create,
    Word::Retire,
    Word::Force,
    Word::Release,
    Word::After,
    Word::Return,
    Word::While,
    Word::Match,
];

/// What people write who come from elsewhere, and what it is called here.
const SYNONYMS: [(&str, Word); 26] = [
    ("behaviour", Word::Behavior),
    ("params", Word::Parameters),
    ("param", Word::Parameters),
    ("parameter", Word::Parameters),
    ("constants", Word::Parameters),
    ("input", Word::Inputs),
    ("output", Word::Outputs),
    ("state", Word::States),
    ("variable", Word::Variables),
    ("vars", Word::Variables),
    ("equation", Word::Equations),
    ("algorithm", Word::Behavior),
    ("port", Word::Ports),
    ("components", Word::Twins),
    ("parts", Word::Twins),
    ("connect", Word::Connections),
    ("requirements", Word::Constraints),
    ("constraint", Word::Constraints),
    ("import", Word::Use),
    ("struct", Word::Record),
    ("model", Word::Twin),
    ("class", Word::Twin),
    ("block", Word::Twin),
    ("function", Word::Func),
    ("fn", Word::Func),
    ("def", Word::Func),
];

fn candidates(owner: Option<Word>) -> &'static [Word] {
    match owner {
        None => &DECLARATIONS,
        Some(w) if is_twin(w) => &SECTIONS,
        Some(Word::Machine | Word::State) => &MACHINE_WORDS,
        Some(Word::Behavior) => &BEHAVIOR_WORDS,
        Some(Word::Scenario) => &SCENARIO_WORDS,
        Some(Word::Connector) => &[Word::Potential, Word::Flow, Word::Stream],
        Some(w) if is_code(w) => &STATEMENT_WORDS,
        _ => &[],
    }
}

pub(super) fn is_twin(w: Word) -> bool {
    matches!(
        w,
        Word::Twin
            | Word::Fidelity
            | Word::Asset
            | Word::Process
            | Word::System
            | Word::Organization
            | Word::Ecosystem
            | Word::Agent
    )
}

fn is_code(w: Word) -> bool {
    matches!(
        w,
        Word::On
            | Word::Every
            | Word::At
            | Word::After
            | Word::When
            | Word::If
            | Word::While
            | Word::Func
            | Word::Match
            | Word::Entry
            | Word::Exit
            | Word::Branch
            | Word::Else
    )
}

/// The words that an entry of this place may begin with, nearest first.
fn nearest(text: &str, among: &[Word]) -> Option<Word> {
    if let Some((_, w)) = SYNONYMS.iter().find(|(t, _)| *t == text)
        && among.contains(w)
    {
        return Some(*w);
    }
    let limit = if text.chars().count() <= 3 { 1 } else { 2 };
    let scored = among.iter().map(|w| (edit_distance(&text.to_lowercase(), w.text()), *w));
    scored.filter(|(d, _)| *d <= limit).min_by_key(|(d, _)| *d).map(|(_, w)| w)
}

/// Whether a declaration may begin with this word, or with one near to it.
pub(in crate::parser) fn is_declaration_word(text: &str) -> bool {
    nearest(text, &DECLARATIONS).is_some()
}

/// An entry whose first word is none that may begin one here.
pub(super) fn misspelt(f: &Failure<'_>) -> Option<(Diagnostic, Fix)> {
    let among = candidates(f.owner);
    let head = &f.tokens[f.from..f.to];
    // the first word; at the top one of the first three (`asset twn Tank`)
    let reach = if f.owner.is_none() { 3 } else { 1 };
    for (k, t) in head.iter().enumerate().take(reach) {
        let i = f.from + k;
        let Tok::Ident(text) = &t.tok else { continue };
        let next = head.get(k + 1).map(|t| &t.tok);
        // `after -5 s -> idle` fails behind its time.
        let far = if next == Some(&Tok::Minus) { 4 } else { 2 };
        if f.at > i + far || (f.owner.is_some() && f.at < i) {
            continue;
        }
        let section = next == Some(&Tok::LBrace);
        let word = match next {
            Some(Tok::LBrace | Tok::Ident(_) | Tok::Number(_) | Tok::Str(_) | Tok::StrBegin(_)) => {
                nearest(text, among)
            }
            Some(Tok::Word(_)) if f.owner.is_none() => nearest(text, among),
            Some(Tok::Minus) => nearest(text, among).filter(|w| w.text() == &**text),
            _ => None,
        };
        let place = t.span(f.file);
        let fits = |w: Word| match w.place() {
            crate::lexer::words::Place::Section => section,
            _ => !section,
        };
        if let Some(form) = word.filter(|w| w.text() == &**text).and_then(words_form) {
            let message = format!("`{text}` is not written like this");
            return Some((Diagnostic::new(codes::UNEXPECTED, place, message).help(form), None));
        }
        if let Some(w) = word.filter(|w| fits(*w) && w.text() != &**text) {
            let d = unknown(f, place, text).help(format!("did you mean `{}`?", w.text()));
            return Some((d, Some((i, w))));
        }
        if section && f.owner.is_some_and(is_twin) && f.at == i + 1 {
            let d = unknown(f, place, text).help(
                "sections are parameters, inputs, outputs, states, variables, equations, ports, twins, \
                 connections, behavior, memory, capabilities, constraints and sync",
            );
            return Some((d, None));
        }
    }
    if let Some(d) = nameless(f, head) {
        return Some((d, None));
    }
    if f.owner.is_none() && f.at == f.from {
        let t = head.first()?;
        let what = match &t.tok {
            Tok::Ident(text) => format!("`{text}` begins no declaration"),
            other => format!("{} begins no declaration", describe(other)),
        };
        let d = Diagnostic::new(codes::UNKNOWN_DECLARATION, t.span(f.file), what).help(
            "at the top of a file stand twin, scenario, connector, type, record, enum, func, dimension, unit and use",
        );
        return Some((d, None));
    }
    None
}

/// `twin { … }`, `scenario for Plant { … }`: without a name the word is none of the language.
fn nameless(f: &Failure<'_>, head: &[Token]) -> Option<Diagnostic> {
    let word = |t: &Token| match &t.tok {
        Tok::Ident(text) => Word::from_text(text),
        Tok::Word(w) => Some(*w),
        _ => None,
    };
    if f.owner.is_some() {
        return None;
    }
    let kinds = head.iter().take_while(|t| word(t).is_some_and(is_kind)).count();
    let t = head.get(kinds).filter(|_| f.at <= f.from + kinds + 1)?;
    let w = word(t)?;
    let form = match w {
        Word::Twin => "write `twin Name { … }`",
        Word::Scenario => "write `scenario name for Twin { … }`",
        Word::Connector => "write `connector Pin { potential v: Voltage; flow i: Current }`",
        Word::Record => "write `record Job { id: Int, weight: Mass }`",
        Word::Enum => "write `enum Valve { open, closed }`",
        _ => return None,
    };
    if !matches!(
        head.get(kinds + 1).map(|t| &t.tok),
        Some(Tok::LBrace | Tok::Word(Word::For | Word::Extends))
    ) {
        return None;
    }
    let message = format!("behind `{}` a name is missing", w.text());
    Some(Diagnostic::new(codes::MISSING_PART, t.span(f.file).after(), message).help(form))
}

fn is_kind(w: Word) -> bool {
    matches!(
        w,
        Word::Partial
            | Word::Asset
            | Word::Process
            | Word::System
            | Word::Organization
            | Word::Ecosystem
            | Word::Agent
    )
}

/// How an entry looks that begins with this word, for one that is written in another way.
fn words_form(w: Word) -> Option<&'static str> {
    Some(match w {
        Word::Stop => "write `stop \"reason\"`",
        Word::At => "write `at 30 min { … }`, at 0 s or later",
        Word::After => "write `after 5 s { … }`, or `after 5 s -> state` in a machine",
        Word::Every => "write `every 100 ms { … }`",
        _ => return None,
    })
}

/// A name between two operands that was to be a word: `h: Length wher h > 0 m`.
pub(super) fn misspelt_clause(f: &Failure<'_>) -> Option<(Diagnostic, Fix)> {
    const CLAUSES: [Word; 24] = [
        Word::Where,
        Word::Then,
        Word::Else,
        Word::And,
        Word::Or,
        Word::Xor,
        Word::Implies,
        Word::Until,
        Word::Since,
        Word::Guess,
        Word::With,
        Word::Confidence,
        Word::From,
        Word::Priority,
        Word::Queued,
        Word::Offset,
        Word::Over,
        Word::Within,
        Word::Column,
        Word::Outside,
        Word::Extends,
        Word::Every,
        Word::When,
        Word::Minimize,
    ];
    let t = f.tokens.get(f.at)?;
    let Tok::Ident(text) = &t.tok else { return None };
    let before = (f.at > f.from).then(|| &f.tokens[f.at - 1].tok)?;
    let place = before.ends_operand() || matches!(before, Tok::Gt | Tok::Word(Word::With));
    if text.chars().count() < 3 || !place {
        return None;
    }
    let after_with = *before == Tok::Word(Word::With) && edit_distance(text, "probability") <= 3;
    let w = if after_with { Word::Probability } else { nearest(text, &CLAUSES)? };
    let next = f.tokens.get(f.at + 1).map(|t| &t.tok);
    let closes = matches!(w, Word::Queued | Word::Minimize);
    if !closes && !after_with && !next.is_some_and(|t| begins_operand(t) || matches!(t, Tok::Minus)) {
        return None;
    }
    let d = Diagnostic::new(codes::UNEXPECTED, t.span(f.file), format!("`{text}` does not fit here"));
    Some((d.help(format!("did you mean `{}`?", w.text())), Some((f.at, w))))
}

fn unknown(f: &Failure<'_>, place: Span, text: &str) -> Diagnostic {
    match f.owner {
        None => Diagnostic::new(codes::UNKNOWN_DECLARATION, place, format!("`{text}` begins no declaration")),
        Some(w) if is_twin(w) => {
            Diagnostic::new(codes::UNKNOWN_SECTION, place, format!("a twin has no section `{text}`"))
        }
        Some(w) => {
            let what = match w {
                Word::Machine => "a machine",
                Word::State => "a machine state",
                Word::Behavior => "`behavior`",
                Word::Scenario => "a scenario",
                Word::Connector => "a connector",
                _ => "a handler",
            };
            Diagnostic::new(
                codes::UNEXPECTED,
                place,
                format!("{what} has no entry that begins with `{text}`"),
            )
        }
    }
}
