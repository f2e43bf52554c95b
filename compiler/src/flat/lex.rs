//! Tokens of the text form of flat systems.

use super::read::{Problem, ReadError};

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A plain word.
    Word(String),
    /// A name in backquotes.
    Quoted(String),
    Str(String),
    /// Digits only.
    Int(i128),
    /// With a point or exponent, or `inf`/`nan`.
    Real(f64),
    Op(&'static str),
    End,
}

impl Token {
    /// As it stands in the text.
    pub fn text(&self) -> String {
        match self {
            Token::Word(w) | Token::Quoted(w) | Token::Str(w) => w.clone(),
            Token::Int(i) => i.to_string(),
            Token::Real(x) => format!("{x:?}"),
            Token::Op(o) => (*o).to_owned(),
            Token::End => String::from("end of text"),
        }
    }
}

const OPERATORS: &[&str] = &[
    "..", "==", "!=", "<=", ">=", "#(", "<", ">", "=", "+", "-", "*", "/", "^", "(", ")", "[", "]", "{", "}",
    ",", ":", ".", "@", "~",
];

/// The tokens of a text with their lines; the last one is `End`.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, u32)>, ReadError> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut line = 1u32;
    while let Some(c) = rest.chars().next() {
        if c == '\n' {
            line += 1;
        }
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            continue;
        }
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            continue;
        }
        let bad = |c| ReadError { line, what: Problem::Character(c) };
        let (token, used) = if c.is_ascii_digit() {
            number(rest).ok_or(ReadError { line, what: Problem::TooLarge })?
        } else if c == '_' || c.is_alphabetic() {
            let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            let token = match &rest[..end] {
                "inf" => Token::Real(f64::INFINITY),
                "nan" => Token::Real(f64::NAN),
                word => Token::Word(word.to_owned()),
            };
            (token, end)
        } else if c == '`' || c == '"' {
            let (body, used) = quoted(rest, c).ok_or_else(|| bad(c))?;
            (if c == '`' { Token::Quoted(body) } else { Token::Str(body) }, used)
        } else {
            let op = OPERATORS.iter().find(|o| rest.starts_with(**o)).ok_or_else(|| bad(c))?;
            (Token::Op(op), op.len())
        };
        out.push((token, line));
        line += rest[..used].matches('\n').count() as u32;
        rest = &rest[used..];
    }
    out.push((Token::End, line));
    Ok(out)
}

/// A number at the start of `text`, with its length.
fn number(text: &str) -> Option<(Token, usize)> {
    let b = text.as_bytes();
    let digits = |mut i: usize| {
        while b.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        i
    };
    let whole = digits(0);
    let mut end = whole;
    // `0..3` is a range.
    if b.get(end) == Some(&b'.') && b.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    if b.get(end).is_some_and(|c| *c == b'e' || *c == b'E') {
        let sign = usize::from(b.get(end + 1).is_some_and(|c| *c == b'-' || *c == b'+'));
        if b.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    if end == whole {
        Some((Token::Int(text[..end].parse().ok()?), end))
    } else {
        Some((Token::Real(text[..end].parse().ok()?), end))
    }
}

/// The text between two `quote`s, with the length including them.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut body = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if c == quote {
            if quote == '`' && chars.peek().is_some_and(|(_, n)| *n == '`') {
                chars.next();
                body.push('`');
                continue;
            }
            return Some((body, i + 1));
        }
        if c == '\\' && quote == '"' {
            match chars.next()?.1 {
                'n' => body.push('\n'),
                c => body.push(c),
            }
        } else {
            body.push(c);
        }
    }
    None
}
