//! The reader: words to programs. It never panics; every error has a line and a column. What it gives is
//! well-formed text, not yet a verified program.

use super::lexer::{Placed, Token, lex};
use crate::defaults::{Fill, Fills};
use crate::ids::{BlockId, FuncId, Index, OriginId, TableId, Value};
use crate::ir::{Affine, Kernel, Place, Space};
use crate::program::Program;
use std::fmt;

/// What is wrong with a text, and where (from 1).
#[derive(Clone, PartialEq, Debug)]
pub struct ReadError {
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub col: u32,
    /// What.
    pub problem: Problem,
}

/// What is wrong with a text.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Problem {
    Character(char),
    Text,
    Expected(&'static str),
    Number,
    DefinedTwice(Value),
    /// Values are numbered without gaps.
    Missing(Value),
    TooDeep,
    TooMany,
    /// What a program has once, another time.
    Again(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.col, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Character(c) => write!(f, "the character {c:?} has no meaning here"),
            Problem::Text => write!(f, "a string does not end, or has an unknown escape"),
            Problem::Expected(what) => write!(f, "expected {what}"),
            Problem::Number => write!(f, "this number is malformed or out of range"),
            Problem::DefinedTwice(v) => write!(f, "{v} is defined twice"),
            Problem::Missing(v) => write!(f, "{v} is not defined, though later values are"),
            Problem::TooDeep => write!(f, "regions nest more than {} deep", crate::verify::MAX_DEPTH),
            Problem::TooMany => write!(f, "more than {} loop indices", crate::verify::MAX_INDICES),
            Problem::Again(what) => write!(f, "{what} is there twice"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads a program.
pub fn read_program(text: &str) -> Result<Program, ReadError> {
    let mut r = Reader::new(text)?;
    r.program()
}

/// Reads one kernel (`kernel "name" indices n { … }`).
pub fn read_kernel(text: &str) -> Result<Kernel, ReadError> {
    let mut r = Reader::new(text)?;
    r.word("kernel")?;
    let kernel = r.kernel()?;
    if r.peek() != &Token::End {
        return Err(r.expected("the end of the text"));
    }
    Ok(kernel)
}

pub(super) struct Reader {
    tokens: Vec<Placed>,
    at: usize,
    pub depth: usize,
}

impl Reader {
    pub fn new(text: &str) -> Result<Self, ReadError> {
        Ok(Self { tokens: lex(text)?, at: 0, depth: 0 })
    }

    fn placed(&self) -> &Placed {
        // the last token is `End` and is never passed
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    pub fn peek(&self) -> &Token {
        &self.placed().token
    }

    pub fn next(&mut self) -> Token {
        let t = self.peek().clone();
        if t != Token::End {
            self.at += 1;
        }
        t
    }

    pub fn error(&self, problem: Problem) -> ReadError {
        let p = self.placed();
        ReadError { line: p.line, col: p.col, problem }
    }

    pub fn expected(&self, what: &'static str) -> ReadError {
        self.error(Problem::Expected(what))
    }

    /// Whether the next token is this word; takes it then.
    pub fn is_word(&mut self, word: &str) -> bool {
        let yes = matches!(self.peek(), Token::Word(w) if w == word);
        if yes {
            self.at += 1;
        }
        yes
    }

    pub fn word(&mut self, word: &'static str) -> Result<(), ReadError> {
        if self.is_word(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    pub fn any_word(&mut self, what: &'static str) -> Result<String, ReadError> {
        match self.peek() {
            Token::Word(w) => {
                let w = w.clone();
                self.at += 1;
                Ok(w)
            }
            _ => Err(self.expected(what)),
        }
    }

    pub fn is_mark(&mut self, c: char) -> bool {
        let yes = *self.peek() == Token::Mark(c);
        if yes {
            self.at += 1;
        }
        yes
    }

    pub fn mark(&mut self, c: char, what: &'static str) -> Result<(), ReadError> {
        if self.is_mark(c) { Ok(()) } else { Err(self.expected(what)) }
    }

    pub fn token(&mut self, token: &Token, what: &'static str) -> Result<(), ReadError> {
        if self.peek() == token {
            self.at += 1;
            Ok(())
        } else {
            Err(self.expected(what))
        }
    }

    pub fn text(&mut self) -> Result<String, ReadError> {
        match self.peek() {
            Token::Text(t) => {
                let t = t.clone();
                self.at += 1;
                Ok(t)
            }
            _ => Err(self.expected("a string")),
        }
    }

    fn digits(&mut self) -> Result<String, ReadError> {
        match self.peek() {
            Token::Number(n) => Ok(n.clone()),
            _ => Err(self.expected("a number")),
        }
    }

    pub fn u32(&mut self) -> Result<u32, ReadError> {
        let n = self.digits()?.parse().map_err(|_| self.error(Problem::Number))?;
        self.at += 1;
        Ok(n)
    }

    pub fn i64(&mut self) -> Result<i64, ReadError> {
        let negative = self.is_mark('-');
        let n = self.digits()?;
        let n: i128 = n.parse().map_err(|_| self.error(Problem::Number))?;
        let n = i64::try_from(if negative { -n } else { n }).map_err(|_| self.error(Problem::Number))?;
        self.at += 1;
        Ok(n)
    }

    pub fn i128(&mut self) -> Result<i128, ReadError> {
        let negative = self.is_mark('-');
        let n: i128 = self.digits()?.parse().map_err(|_| self.error(Problem::Number))?;
        self.at += 1;
        Ok(if negative { -n } else { n })
    }

    /// A binary64 by its bits.
    pub fn f64(&mut self) -> Result<u64, ReadError> {
        let negative = self.is_mark('-');
        let word = match self.peek() {
            Token::Number(n) => n.clone(),
            Token::Word(w) if w == "inf" => w.clone(),
            _ => return Err(self.expected("a number")),
        };
        let bits = match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => word.parse::<f64>().ok().map(f64::to_bits),
        };
        let bits = bits.ok_or_else(|| self.error(Problem::Number))?;
        self.at += 1;
        Ok(if negative { bits ^ (1 << 63) } else { bits })
    }

    pub fn number(&mut self) -> Result<f64, ReadError> {
        self.f64().map(f64::from_bits)
    }

    pub fn numbers(&mut self) -> Result<Vec<f64>, ReadError> {
        let mut out = Vec::new();
        self.mark('[', "[")?;
        while !self.is_mark(']') {
            if !out.is_empty() {
                self.mark(',', ", or ]")?;
            }
            out.push(self.number()?);
        }
        Ok(out)
    }

    /// Values for slots, see [`crate::defaults`].
    pub fn fills(&mut self) -> Result<Fills, ReadError> {
        let mut out = Vec::new();
        let mut next = Some(0);
        self.mark('[', "[")?;
        while !self.is_mark(']') {
            if !out.is_empty() {
                self.mark(',', ", or ]")?;
            }
            let value = self.number()?;
            let first =
                if self.is_word("at") { self.u32()? } else { next.ok_or_else(|| self.expected("at"))? };
            let count = if self.is_word("x") { self.u32()? } else { 1 };
            let step = if self.is_word("by") { self.u32()? } else { 1 };
            let fill = Fill { first, count, step, value };
            next = fill.end();
            out.push(fill);
        }
        Ok(Fills(out))
    }

    /// `prefix` followed by digits, as one word.
    fn id(&mut self, prefix: &str, what: &'static str) -> Result<u32, ReadError> {
        let found = match self.peek() {
            Token::Word(w) => w.strip_prefix(prefix).and_then(|n| n.parse().ok()),
            _ => None,
        };
        let n = found.ok_or_else(|| self.expected(what))?;
        self.at += 1;
        Ok(n)
    }

    pub fn value(&mut self) -> Result<Value, ReadError> {
        self.id("v", "a value").map(Value)
    }

    pub fn index(&mut self) -> Result<Index, ReadError> {
        self.id("i", "a loop index").map(Index)
    }

    pub fn block_id(&mut self) -> Result<BlockId, ReadError> {
        self.id("block", "a block").map(BlockId)
    }

    pub fn func(&mut self) -> Result<FuncId, ReadError> {
        self.id("fn", "a function").map(FuncId)
    }

    /// `table3`, if that is what `word` is.
    pub fn table_of(word: &str) -> Option<TableId> {
        word.strip_prefix("table").and_then(|n| n.parse().ok()).map(TableId)
    }

    pub fn origin(&mut self) -> Result<OriginId, ReadError> {
        self.mark('@', "@ and an origin")?;
        self.u32().map(OriginId)
    }

    pub fn space(&mut self) -> Result<Space, ReadError> {
        let found = match self.peek() {
            Token::Word(w) => super::names::space(w),
            _ => None,
        };
        let space = found.ok_or_else(|| self.expected("a space"))?;
        self.at += 1;
        Ok(space)
    }

    /// `[base+stride*i0…]`
    pub fn affine(&mut self) -> Result<Affine, ReadError> {
        self.mark('[', "[")?;
        let mut out = Affine::constant(self.i64()?);
        loop {
            let negative = if self.is_mark('+') {
                false
            } else if *self.peek() == Token::Mark('-') {
                true
            } else {
                break;
            };
            // a minus belongs to the number
            let stride = self.i64()?;
            debug_assert!(!negative || stride <= 0);
            self.mark('*', "*")?;
            out.terms.push((self.index()?, stride));
        }
        self.mark(']', "]")?;
        Ok(out)
    }

    pub fn place(&mut self) -> Result<Place, ReadError> {
        let space = self.space()?;
        Ok(Place { space, at: self.affine()? })
    }
}
