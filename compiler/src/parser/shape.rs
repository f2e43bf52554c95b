//! What a file looks like as a whole, before its declarations are read one by one: a text of another kind, and sections whose
//! twin has lost its head. Either is one mistake, and one message.

use super::explain::is_declaration_word;
use super::repair::declarations;
use crate::diag::{Diagnostic, codes};
use crate::lexer::words::{Place, Word};
use crate::lexer::{Tok, Token};
use crate::source::FileId;

/// Sections outside of all twins that follow one another.
pub(super) struct Headless {
    /// The first word of the first one, and where the last one ends.
    word: (u32, u32),
    end: u32,
}

impl Headless {
    /// What is said of them.
    pub fn diagnostic(&self, file: FileId, text: &str) -> Diagnostic {
        let (lo, hi) = self.word;
        let word = text.get(lo as usize..hi as usize).unwrap_or("a section");
        let span = crate::source::Span::new(file, lo, hi);
        Diagnostic::new(codes::UNKNOWN_DECLARATION, span, format!("`{word}` stands inside a twin"))
            .help("write `twin NAME {` before it, and its `}` behind the last section")
    }

    /// Forgets the bracket that closed the twin.
    pub fn without_its_bracket(&self, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut left = 1;
        let stray = |d: &Diagnostic| d.code == codes::STRAY_BRACKET && d.primary.span.lo >= self.end;
        found.into_iter().filter(|d| left == 0 || !stray(d) || std::mem::take(&mut left) == 0).collect()
    }
}

/// Gives sections that stand outside of all twins a twin without a name, so that they are read.
pub(super) fn give_heads(tokens: &mut Vec<Token>) -> Vec<Headless> {
    let all = declarations(tokens);
    let of_twin = |&(from, to): &(usize, usize)| entry_of_twin(&tokens[from..to]);
    let mut runs = Vec::new();
    let mut k = 0;
    while k < all.len() {
        let n = all[k..].iter().take_while(|d| of_twin(d).is_some()).count();
        if all[k..k + n].iter().any(|d| of_twin(d) == Some(true)) {
            runs.push((all[k].0, all[k + n - 1].1));
        }
        k += n.max(1);
    }
    let mut out = Vec::new();
    for &(from, to) in runs.iter().rev() {
        let (lo, hi, end) = (tokens[from].lo, tokens[from].hi, tokens[to - 1].hi);
        tokens.insert(to, Token::new(Tok::RBrace, end, end));
        let head = [Tok::Word(Word::Twin), Tok::Ident("".into()), Tok::LBrace];
        tokens.splice(from..from, head.map(|t| Token::new(t, lo, lo)));
        out.push(Headless { word: (lo, hi), end });
    }
    out
}

/// Whether these tokens are what stands in a twin, and then whether a section: `units: off` alone is no sign of one.
fn entry_of_twin(tokens: &[Token]) -> Option<bool> {
    let [first, second, ..] = tokens else { return None };
    let word = match &first.tok {
        Tok::Word(w) => Some(*w),
        Tok::Ident(text) => Word::from_text(text),
        _ => None,
    };
    match &second.tok {
        Tok::LBrace if word.is_some_and(|w| w.place() == Place::Section) => Some(true),
        Tok::Colon if matches!(first.tok, Tok::Word(_) | Tok::Ident(_)) => Some(false),
        _ if word == Some(Word::Extends) => Some(false),
        _ => None,
    }
}

/// What is said of a text that is none of the language: nothing in it begins a declaration, or is near to it.
pub(super) fn foreign(file: FileId, text: &str, tokens: &[Token]) -> Option<Diagnostic> {
    let first = tokens.first()?;
    let all = declarations(tokens);
    // its own words where declarations begin, or what is near to one before a name
    let known = |&(from, to): &(usize, usize)| {
        let head = &tokens[from..to];
        let near = head.windows(2).take(2).any(|w| match w {
            [Token { tok: Tok::Ident(text), .. }, next] => {
                matches!(next.tok, Tok::Ident(_) | Tok::Word(_)) && is_declaration_word(text)
            }
            _ => false,
        });
        near || entry_of_twin(head) == Some(true) || matches!(head[0].tok, Tok::Word(_))
    };
    let kind = kind(text);
    let sure = match kind {
        Some(Kind::Data) | None => !all.iter().any(known) && (kind.is_some() || all.len() > 2),
        Some(_) => !tokens.iter().any(|t| t.tok == Tok::Word(Word::Twin)),
    };
    if !sure {
        return None;
    }
    let help = match kind {
        Some(Kind::Data) => {
            "it looks like a table of data: a model reads one with `drive x from \"data.csv\"` in a scenario, \
             or as a parameter with `table(\"data.csv\", …)`"
        }
        Some(Kind::Json) => "it looks like JSON",
        Some(Kind::Markup) => "it looks like XML",
        Some(Kind::Printed) => {
            "it looks like what `--emit` prints: a model is the file that this was made from"
        }
        Some(Kind::Modelica) => "it looks like Modelica: a class is written `twin NAME { … }` here",
        None => {
            "at the top of a file stand twin, scenario, connector, type, record, enum, func, dimension, unit and use"
        }
    };
    let message = "this is no TwinML: nothing here begins a declaration";
    Some(Diagnostic::new(codes::UNKNOWN_DECLARATION, first.span(file), message).help(help))
}

/// What another text may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Json,
    Markup,
    Printed,
    Modelica,
}

fn kind(text: &str) -> Option<Kind> {
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let first = lines.next()?;
    let mut words = first.split_whitespace();
    let (word, second) = (words.next()?, words.next().unwrap_or_default());
    match word {
        _ if word.starts_with(['{', '[']) => return Some(Kind::Json),
        _ if word.starts_with('<') && !word.starts_with("<-") => return Some(Kind::Markup),
        "flat" if !second.is_empty() && !second.starts_with(['=', ':']) => return Some(Kind::Printed),
        "program" if second.starts_with('"') => return Some(Kind::Printed),
        "model" | "class" | "package" | "within" | "block" | "partial"
            if text.lines().any(|l| l.trim_start().starts_with("end ") && l.trim_end().ends_with(';')) =>
        {
            return Some(Kind::Modelica);
        }
        _ => {}
    }
    let next = lines.next()?;
    let columns = |l: &str, sign: char| l.matches(sign).count();
    let data = |sign| columns(first, sign) > 0 && columns(first, sign) == columns(next, sign);
    let number = |sign| next.split(sign).any(|cell| cell.trim().parse::<f64>().is_ok());
    [',', ';', '\t'].into_iter().any(|sign| data(sign) && number(sign)).then_some(Kind::Data)
}
