//! Tokens as the grammar sees them.

use super::words::Word;
use crate::ast::{Number, Text, UnitExpr};
use crate::source::{FileId, Span};
use std::sync::Arc;

/// A token of the language.
#[derive(Debug, Clone, PartialEq)]
pub enum Tok {
    /// A name, and every word that is no keyword where it stands.
    Ident(Text),
    /// A keyword in its place.
    Word(Word),
    /// A number with its unit.
    Number(Arc<Number>),
    /// A string without interpolation.
    Str(Text),
    /// `"text${`
    StrBegin(Text),
    /// `}text${`
    StrMid(Text),
    /// `}text"`
    StrEnd(Text),
    /// `2026-01-05T00:00+01:00`
    Timestamp(Text),
    /// The unit behind `in`.
    Unit(Box<UnitExpr>),
    /// The bracket behind `Real`.
    RealUnit(Box<UnitExpr>),
    /// `(`
    LParen,
    /// `)`
    RParen,
    /// `[`
    LBracket,
    /// `[` behind `until` and `since`
    Window,
    /// `]`
    RBracket,
    /// `{`
    LBrace,
    /// `}`
    RBrace,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// `?`
    Question,
    /// `=`
    Assign,
    /// `~`
    Tilde,
    /// `->`
    Arrow,
    /// `<-`
    BackArrow,
    /// `--`
    Link,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `^`
    Caret,
    /// `==`
    EqEq,
    /// `!=`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// The end of an entry, a declaration, an equation or a statement.
    Sep,
    /// Characters that are no token; the message was pushed already.
    Error,
    /// An entry that could not be read; the message was pushed already.
    BadEntry,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it is.
    pub tok: Tok,
    /// First byte.
    pub lo: u32,
    /// One past the last byte.
    pub hi: u32,
}

impl Token {
    /// A token at a place.
    pub fn new(tok: Tok, lo: u32, hi: u32) -> Token {
        Token { tok, lo, hi }
    }

    /// Its place in a file.
    pub fn span(&self, file: FileId) -> Span {
        Span::new(file, self.lo, self.hi)
    }
}

impl Tok {
    /// Whether an operand can end with this token.
    pub fn ends_operand(&self) -> bool {
        match self {
            Tok::Ident(_)
            | Tok::Number(_)
            | Tok::Str(_)
            | Tok::StrEnd(_)
            | Tok::Timestamp(_)
            | Tok::Unit(_)
            | Tok::RealUnit(_)
            | Tok::RParen
            | Tok::RBracket
            | Tok::RBrace
            | Tok::Question
            | Tok::Error => true,
            Tok::Word(w) => matches!(
                w,
                Word::True | Word::False | Word::None | Word::End | Word::Run | Word::Change | Word::Queued
            ),
            _ => false,
        }
    }

    /// Whether a binary operator, or another sign behind which a line goes on, stands here.
    pub fn joins_next_line(&self) -> bool {
        match self {
            Tok::Comma
            | Tok::Colon
            | Tok::Dot
            | Tok::DotDot
            | Tok::Assign
            | Tok::Tilde
            | Tok::Arrow
            | Tok::BackArrow
            | Tok::Link
            | Tok::Plus
            | Tok::Minus
            | Tok::Star
            | Tok::Slash
            | Tok::Caret
            | Tok::EqEq
            | Tok::NotEq
            | Tok::Lt
            | Tok::Le
            | Tok::Ge
            | Tok::LBrace
            | Tok::Sep => true,
            Tok::Word(w) => w.joins_next_line(),
            _ => false,
        }
    }

    /// Whether a line that begins with this sign goes on with the line above.
    pub fn joins_line_above(&self) -> bool {
        matches!(
            self,
            Tok::Dot
                | Tok::DotDot
                | Tok::LBrace
                | Tok::RBrace
                | Tok::RParen
                | Tok::RBracket
                | Tok::StrMid(_)
                | Tok::StrEnd(_)
                | Tok::Comma
                | Tok::Assign
                | Tok::Tilde
                | Tok::Arrow
                | Tok::BackArrow
                | Tok::Link
                | Tok::Plus
                | Tok::Star
                | Tok::Slash
                | Tok::Caret
                | Tok::EqEq
                | Tok::NotEq
                | Tok::Lt
                | Tok::Le
                | Tok::Gt
                | Tok::Ge
        )
    }
}
