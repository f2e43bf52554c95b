//! Words of the text form. Total: whatever the bytes, there is a token or an error with its place.

use super::read::{Problem, ReadError};

/// A token.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    /// A name, possibly with points (`t.state`, `i.add`).
    Word(String),
    /// Digits, possibly with a point and an exponent; or `0x…`; without sign.
    Number(String),
    /// The content of a string.
    Text(String),
    /// `..`
    Dots,
    /// `->`
    Arrow,
    /// One of `[ ] { } ( ) , = : @ * + - |`.
    Mark(char),
    /// The end of the input.
    End,
}

/// A token and where it begins.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Placed {
    pub token: Token,
    pub line: u32,
    pub col: u32,
}

pub(super) fn lex(text: &str) -> Result<Vec<Placed>, ReadError> {
    let mut out = Vec::new();
    let mut chars = Chars { rest: text.chars().peekable(), line: 1, col: 1 };
    loop {
        while chars.rest.peek().is_some_and(|c| c.is_whitespace()) {
            chars.next();
        }
        let (line, col) = (chars.line, chars.col);
        let error = |problem| ReadError { line, col, problem };
        let Some(&c) = chars.rest.peek() else {
            out.push(Placed { token: Token::End, line, col });
            return Ok(out);
        };
        let token = match c {
            '#' => {
                while chars.rest.peek().is_some_and(|&c| c != '\n') {
                    chars.next();
                }
                continue;
            }
            '"' => {
                chars.next();
                Token::Text(chars.text().ok_or_else(|| error(Problem::Text))?)
            }
            '0'..='9' => Token::Number(chars.number()),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let mut word = String::new();
                while let Some(&c) = chars.rest.peek() {
                    if !(c.is_ascii_alphanumeric() || c == '_' || c == '.') {
                        break;
                    }
                    word.push(c);
                    chars.next();
                }
                Token::Word(word)
            }
            '.' => {
                chars.next();
                if chars.rest.peek() != Some(&'.') {
                    return Err(error(Problem::Character('.')));
                }
                chars.next();
                Token::Dots
            }
            '-' => {
                chars.next();
                if chars.rest.peek() == Some(&'>') {
                    chars.next();
                    Token::Arrow
                } else {
                    Token::Mark('-')
                }
            }
            '[' | ']' | '{' | '}' | '(' | ')' | ',' | '=' | ':' | '@' | '*' | '+' | '|' => {
                chars.next();
                Token::Mark(c)
            }
            c => return Err(error(Problem::Character(c))),
        };
        out.push(Placed { token, line, col });
    }
}

struct Chars<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: u32,
    col: u32,
}

impl Chars<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.col = 1;
        } else {
            self.col = self.col.saturating_add(1);
        }
        Some(c)
    }

    /// The rest of a string; `None` where it does not end or an escape is unknown.
    fn text(&mut self) -> Option<String> {
        let mut out = String::new();
        loop {
            match self.next()? {
                '"' => return Some(out),
                '\\' => out.push(match self.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '"' => '"',
                    '\\' => '\\',
                    'u' => {
                        if self.next()? != '{' {
                            return None;
                        }
                        let mut code = 0u32;
                        loop {
                            match self.next()? {
                                '}' => break,
                                c => code = code.checked_mul(16)?.checked_add(c.to_digit(16)?)?,
                            }
                        }
                        char::from_u32(code)?
                    }
                    _ => return None,
                }),
                c => out.push(c),
            }
        }
    }

    /// Digits, letters and signs of exponents; a point only where no second one follows.
    fn number(&mut self) -> String {
        let mut out = String::new();
        while let Some(&c) = self.rest.peek() {
            let take = match c {
                '.' => {
                    let mut ahead = self.rest.clone();
                    ahead.next();
                    ahead.peek() != Some(&'.')
                }
                '+' | '-' => out.ends_with(['e', 'E']) && !out.starts_with("0x"),
                c => c.is_ascii_alphanumeric() || c == '_',
            };
            if !take {
                break;
            }
            out.push(c);
            self.next();
        }
        out
    }
}
