//! Characters to tokens, before the filter. Total: every byte of the text is in some token, skipped
//! as a space or a comment, or reported.

use super::string::{self, End};
use super::token::Tok;
use super::unit::{self, Mode};
use super::words::{Word, is_keyword};
use crate::ast::{Number, Text, UnitExpr};
use crate::diag::{Code, Diagnostic, Diagnostics, codes};
use crate::source::{FileId, Span};
use logos::Logos;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A token before the filter, with what the filter needs to know about its line.
#[derive(Debug, Clone)]
pub struct Raw {
    /// What it is; no `Word` yet, and `Sep` is a semicolon.
    pub tok: Tok,
    /// First byte.
    pub lo: u32,
    /// One past the last byte.
    pub hi: u32,
    /// Whether it is the first of its line.
    pub nl: bool,
    /// The line, from 0.
    pub line: u32,
    /// Bytes before the first token of this line.
    pub indent: u32,
    /// The word of an `Ident` that could be a keyword.
    pub word: Option<Word>,
}

#[derive(Logos, Debug, Clone, Copy, PartialEq)]
#[logos(skip r"[ \t\f\u{A0}\u{2009}\u{202F}]+")]
enum Piece {
    #[regex(r"\r\n|\n|\r")]
    Newline,
    #[regex(r"//[^\r\n]*", allow_greedy = true, priority = 3)]
    LineComment,
    #[regex(r"///[^\r\n]*", allow_greedy = true, priority = 6)]
    Doc,
    #[token("/*", priority = 6)]
    BlockComment,
    #[regex(r"[\p{XID_Start}_]\p{XID_Continue}*")]
    Ident,
    #[token("`")]
    Backquote,
    #[regex(r"[0-9][0-9_]*(\.[0-9][0-9_]*)?([eE][+-]?[0-9][0-9_]*)?")]
    Number,
    #[regex(r"0[xX][0-9a-fA-F_]+")]
    Hex,
    #[regex(r"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9](:[0-9][0-9](\.[0-9]+)?)?(Z|[+-][0-9][0-9]:[0-9][0-9])?")]
    Timestamp,
    #[token("\"")]
    Quote,
    #[token("'")]
    SingleQuote,
    #[token("#")]
    Hash,
    #[token("(")]
    LParen,
    #[token(")")]
    RParen,
    #[token("[")]
    LBracket,
    #[token("]")]
    RBracket,
    #[token("{")]
    LBrace,
    #[token("}")]
    RBrace,
    #[token(",")]
    Comma,
    #[token(";")]
    Semicolon,
    #[token(":")]
    Colon,
    #[token(".")]
    Dot,
    #[token("..")]
    DotDot,
    #[token("?")]
    Question,
    #[token("=")]
    Assign,
    #[token("~")]
    Tilde,
    #[token("->")]
    #[token("→")]
    Arrow,
    #[token("<-")]
    BackArrow,
    #[token("--")]
    Link,
    #[token("+")]
    Plus,
    #[token("-")]
    #[token("−")]
    Minus,
    #[token("*")]
    #[token("·")]
    Star,
    #[token("/")]
    Slash,
    #[token("^")]
    Caret,
    #[token("==")]
    EqEq,
    #[token("!=")]
    #[token("≠")]
    NotEq,
    #[token("<")]
    Lt,
    #[token("<=")]
    #[token("≤")]
    Le,
    #[token(">")]
    Gt,
    #[token(">=")]
    #[token("≥")]
    Ge,
    #[token("&&")]
    AndAnd,
    #[token("||")]
    OrOr,
    #[token("!")]
    Bang,
    #[token("**")]
    StarStar,
    #[token(":=")]
    ColonEq,
    #[token("::")]
    ColonColon,
    #[token("=>")]
    FatArrow,
    #[token("+=")]
    #[token("-=")]
    #[token("*=")]
    #[token("/=")]
    OpAssign,
    #[token("++")]
    PlusPlus,
    #[token("%")]
    Percent,
}

/// An interpolation that is open.
struct Interp {
    triple: bool,
    braces: u32,
    open: u32,
}

/// What comes out of the raw lexer.
pub struct RawText {
    /// The tokens.
    pub tokens: Vec<Raw>,
    /// Doc comments by the first byte of the token that they stand before.
    pub docs: Vec<(u32, Text)>,
    /// A doc comment of the whole file.
    pub module_doc: Option<Text>,
    /// Where lexical errors were reported.
    pub tainted: Vec<u32>,
}

/// Reads a text; `base` bytes (a byte order mark) were cut off before it.
pub fn lex(file: FileId, text: &str, base: u32, diags: &mut Diagnostics) -> RawText {
    let mut lx = Lexer {
        file,
        text,
        base,
        diags,
        out: RawText {
            tokens: Vec::with_capacity((text.len() / 3).min(MOST_AT_ONCE)),
            docs: Vec::new(),
            module_doc: None,
            tainted: Vec::new(),
        },
        interned: FxHashMap::default(),
        nl: true,
        line: 0,
        line_start: 0,
        indent: 0,
        interps: Vec::new(),
        doc: String::new(),
        blank: false,
        commented: false,
        for_pending: false,
        first_word: None,
        errors: 0,
    };
    lx.run();
    lx.out
}

const MAX_LEXICAL_ERRORS: u32 = 50;
/// Room for so many tokens is made beforehand: most texts have a token every three bytes.
const MOST_AT_ONCE: usize = 1 << 20;

struct Lexer<'a, 'd> {
    file: FileId,
    text: &'a str,
    base: u32,
    diags: &'d mut Diagnostics,
    out: RawText,
    interned: FxHashMap<&'a str, (Text, Option<Word>)>,
    nl: bool,
    line: u32,
    line_start: usize,
    indent: u32,
    interps: Vec<Interp>,
    doc: String,
    blank: bool,
    /// Whether a comment stands on this line, which then is not blank.
    commented: bool,
    for_pending: bool,
    first_word: Option<Word>,
    errors: u32,
}

impl<'a> Lexer<'a, '_> {
    fn run(&mut self) {
        let mut lx = Piece::lexer(self.text);
        while let Some(piece) = lx.next() {
            let r = lx.span();
            let bump = match piece {
                Ok(p) => self.piece(p, r.start, r.end),
                Err(()) => self.bad(r.start, r.end),
            };
            lx.bump(bump.saturating_sub(r.end));
        }
        let end = self.text.len();
        while let Some(i) = self.interps.pop() {
            self.unclosed_interpolation(i.open);
            self.push(Tok::StrEnd(Text::from("")), end, end);
        }
        if self.out.tokens.is_empty() && self.out.module_doc.is_none() && !self.doc.is_empty() {
            self.out.module_doc = Some(Text::from(self.doc.trim_end()));
        }
        self.out.tainted.sort_unstable();
        self.out.docs.shrink_to_fit();
    }

    fn at(&self, byte: usize) -> u32 {
        self.base + byte as u32
    }

    fn report(&mut self, d: Diagnostic) {
        self.out.tainted.push(d.primary.span.lo);
        self.errors += 1;
        if self.errors < MAX_LEXICAL_ERRORS {
            self.diags.push(d);
        } else if self.errors == MAX_LEXICAL_ERRORS {
            let span = d.primary.span;
            self.diags.push(d);
            let text = "too many characters that are no TwinML: the others are not listed";
            self.diags.push(Diagnostic::new(codes::TOO_MANY_ERRORS, span, text));
        }
    }

    fn error(&mut self, code: Code, lo: usize, hi: usize, message: impl Into<String>) -> Diagnostic {
        let span = Span::new(self.file, self.at(lo), self.at(hi));
        Diagnostic::new(code, span, message)
    }

    fn intern(&mut self, text: &'a str) -> (Text, Option<Word>) {
        self.interned.entry(text).or_insert_with(|| (Text::from(text), Word::from_text(text))).clone()
    }

    fn push(&mut self, tok: Tok, lo: usize, hi: usize) {
        self.push_word(tok, lo, hi, None);
    }

    fn push_word(&mut self, tok: Tok, lo: usize, hi: usize, word: Option<Word>) {
        if self.nl {
            self.indent = (lo - self.line_start.min(lo)) as u32;
        }
        if !self.doc.is_empty() {
            let doc = Text::from(std::mem::take(&mut self.doc).trim_end());
            if self.out.tokens.is_empty() && self.blank {
                self.out.module_doc = Some(doc);
            } else {
                let at = self.at(lo);
                self.out.docs.push((at, doc));
            }
        }
        let (lo, hi) = (self.at(lo), self.at(hi));
        self.out.tokens.push(Raw { tok, lo, hi, nl: self.nl, line: self.line, indent: self.indent, word });
        self.nl = false;
        self.blank = false;
    }

    fn newline(&mut self, end: usize) {
        self.blank = self.nl && !std::mem::take(&mut self.commented);
        self.nl = true;
        self.line += 1;
        self.line_start = end;
        self.first_word = None;
    }

    /// Handles one piece; gives the byte up to which it consumed the text.
    fn piece(&mut self, p: Piece, lo: usize, hi: usize) -> usize {
        let tok = match p {
            Piece::Newline => return self.line_end(lo, hi),
            Piece::LineComment => {
                self.commented = true;
                return hi;
            }
            Piece::Doc => return self.doc_line(lo, hi),
            Piece::BlockComment => return self.block_comment(lo, hi),
            Piece::Ident => return self.ident(lo, hi),
            Piece::Backquote => return self.quoted_name(lo, hi),
            Piece::Number | Piece::Hex => return self.number(lo, hi, p == Piece::Hex),
            Piece::Timestamp => return self.timestamp(lo, hi),
            Piece::Quote => return self.string(lo, hi),
            Piece::SingleQuote => return self.single_quoted(lo, hi),
            Piece::Hash => return self.hash(lo, hi),
            Piece::RBrace if self.interps.last().is_some_and(|i| i.braces == 0) => {
                return self.string_goes_on(lo, hi);
            }
            Piece::AndAnd => return self.foreign(lo, hi, Tok::Ident(Text::from("and")), "and"),
            Piece::OrOr => return self.foreign(lo, hi, Tok::Ident(Text::from("or")), "or"),
            Piece::Bang => return self.foreign(lo, hi, Tok::Ident(Text::from("not")), "not"),
            Piece::StarStar => return self.foreign(lo, hi, Tok::Caret, "^"),
            Piece::ColonEq => return self.foreign(lo, hi, Tok::Assign, "="),
            Piece::ColonColon => return self.foreign(lo, hi, Tok::Dot, "."),
            Piece::FatArrow => return self.foreign(lo, hi, Tok::Arrow, "->"),
            Piece::OpAssign | Piece::PlusPlus => return self.op_assign(lo, hi),
            Piece::Percent => return self.percent(lo, hi),
            Piece::LParen => Tok::LParen,
            Piece::RParen => Tok::RParen,
            Piece::LBracket => Tok::LBracket,
            Piece::RBracket => Tok::RBracket,
            Piece::LBrace => {
                if let Some(i) = self.interps.last_mut() {
                    i.braces += 1;
                }
                self.for_pending = false;
                self.first_word = None;
                Tok::LBrace
            }
            Piece::RBrace => {
                if let Some(i) = self.interps.last_mut() {
                    i.braces = i.braces.saturating_sub(1);
                }
                self.for_pending = false;
                self.first_word = None;
                Tok::RBrace
            }
            Piece::Comma => Tok::Comma,
            Piece::Semicolon => {
                self.for_pending = false;
                self.first_word = None;
                Tok::Sep
            }
            Piece::Colon => Tok::Colon,
            Piece::Dot => Tok::Dot,
            Piece::DotDot => Tok::DotDot,
            Piece::Question => Tok::Question,
            Piece::Assign => Tok::Assign,
            Piece::Tilde => Tok::Tilde,
            Piece::Arrow => Tok::Arrow,
            Piece::BackArrow => Tok::BackArrow,
            Piece::Link => Tok::Link,
            Piece::Plus => Tok::Plus,
            Piece::Minus => Tok::Minus,
            Piece::Star => Tok::Star,
            Piece::Slash => Tok::Slash,
            Piece::Caret => Tok::Caret,
            Piece::EqEq => Tok::EqEq,
            Piece::NotEq => Tok::NotEq,
            Piece::Lt => Tok::Lt,
            Piece::Le => Tok::Le,
            Piece::Gt => Tok::Gt,
            Piece::Ge => Tok::Ge,
        };
        self.push(tok, lo, hi);
        hi
    }

    fn line_end(&mut self, lo: usize, hi: usize) -> usize {
        while self.interps.last().is_some_and(|i| !i.triple) {
            if let Some(i) = self.interps.pop() {
                self.unclosed_interpolation(i.open);
                self.push(Tok::StrEnd(Text::from("")), lo, lo);
            }
        }
        self.newline(hi);
        hi
    }

    fn unclosed_interpolation(&mut self, open: u32) {
        let span = Span::new(self.file, open, open + 2);
        let d = Diagnostic::new(codes::BAD_INTERPOLATION, span, "this `${` is never closed")
            .help("end the expression with `}`; a dollar sign itself is written `\\$`");
        self.report(d);
    }

    fn doc_line(&mut self, lo: usize, hi: usize) -> usize {
        let body = &self.text[lo + 3..hi];
        if body.starts_with('/') {
            self.commented = true; // a rule of slashes, not a doc comment
            return hi;
        }
        if self.nl {
            if self.blank {
                // a blank line before a second block: the first block stays with the file
                if self.out.tokens.is_empty() && !self.doc.is_empty() && self.out.module_doc.is_none() {
                    self.out.module_doc = Some(Text::from(std::mem::take(&mut self.doc).trim_end()));
                }
                self.doc.clear();
            }
            self.doc.push_str(body.strip_prefix(' ').unwrap_or(body).trim_end());
            self.doc.push('\n');
        }
        self.nl = false;
        // the line end that follows belongs to this comment
        let rest = &self.text[hi..];
        let eol = if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with(['\n', '\r'])) };
        if eol > 0 {
            self.newline(hi + eol);
            self.blank = false;
            return hi + eol;
        }
        self.nl = true;
        hi
    }

    fn block_comment(&mut self, lo: usize, hi: usize) -> usize {
        let bytes = self.text.as_bytes();
        self.commented = true;
        let mut depth = 1u32;
        let mut i = hi;
        while i < bytes.len() {
            match (bytes[i], bytes.get(i + 1)) {
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    i += 2;
                    if depth == 0 {
                        return i;
                    }
                }
                (b'/', Some(b'*')) => {
                    depth += 1;
                    i += 2;
                }
                (b'\n', _) => {
                    i += 1;
                    self.newline(i);
                }
                _ => i += 1,
            }
        }
        let d = self
            .error(codes::UNCLOSED_COMMENT, lo, hi, "this comment is never closed")
            .help("block comments nest: each `/*` needs its own `*/`");
        self.report(d);
        self.text.len()
    }

    fn ident(&mut self, lo: usize, hi: usize) -> usize {
        let (text, word) = self.intern(&self.text[lo..hi]);
        let prev_closes_brace = matches!(self.out.tokens.last(), Some(Raw { tok: Tok::RBrace, .. }));
        if self.nl || self.first_word.is_none() {
            let starts = self.nl
                || matches!(self.out.tokens.last(), Some(r) if matches!(r.tok, Tok::Sep | Tok::LBrace | Tok::RBrace));
            if starts {
                self.first_word = word;
            }
        }
        // the small ones are names of variables too, and types only behind a colon
        let is_real = match &*text {
            "Real" | "Float" | "Double" | "Number" => true,
            "real" | "float" | "double" => {
                matches!(self.out.tokens.last(), Some(Raw { tok: Tok::Colon, .. }))
            }
            _ => false,
        };
        self.push_word(Tok::Ident(text), lo, hi, word);
        match word {
            Some(Word::For) => self.for_pending = true,
            Some(Word::In) => {
                let named = self.first_word == Some(Word::After) || self.first_word == Some(Word::Create);
                if std::mem::take(&mut self.for_pending) || prev_closes_brace || named {
                    return hi;
                }
                return self.unit_after_in(hi);
            }
            _ => {}
        }
        if is_real { self.real_unit(hi) } else { hi }
    }

    fn spaces(&self, from: usize) -> usize {
        let rest = &self.text[from..];
        from + rest.len() - rest.trim_start_matches([' ', '\t', '\u{A0}']).len()
    }

    fn unit_after_in(&mut self, hi: usize) -> usize {
        let mut start = self.spaces(hi);
        // The unit may stand on the next line: nothing ends behind `in`.
        let rest = &self.text[start..];
        let line = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'));
        let line = line.map(|l| self.text.len() - l.len());
        start = line.map_or(start, |l| self.spaces(l));
        let rest = &self.text[start..];
        if rest.starts_with(':') {
            return hi;
        }
        let found = if rest.starts_with('[') {
            unit::scan_bracket(rest, self.at(start), self.file)
        } else {
            unit::scan(rest, self.at(start), self.file, Mode::In)
        };
        match found {
            Some((u, n)) => {
                if let Some(l) = line {
                    self.newline(l);
                }
                self.push(Tok::Unit(Box::new(u)), start, start + n);
                start + n
            }
            None => hi,
        }
    }

    fn real_unit(&mut self, hi: usize) -> usize {
        let start = self.spaces(hi);
        let rest = &self.text[start..];
        if !rest.starts_with('[') {
            return hi;
        }
        if let Some((u, n)) = unit::scan_bracket(rest, self.at(start), self.file) {
            self.push(Tok::RealUnit(Box::new(u)), start, start + n);
            return start + n;
        }
        let end = rest.find([']', '\n']).unwrap_or(rest.len());
        let inner = rest[1..end].trim();
        let sized = inner.starts_with(|c: char| c.is_ascii_digit()) || inner.contains(',');
        let d = if sized {
            self.error(
                codes::SIZE_IN_UNIT_PLACE,
                start,
                start + end + 1,
                "the first bracket behind `Real` is a unit",
            )
            .help(format!("for an array of plain numbers write `Real[1][{inner}]`"))
        } else {
            self.error(codes::BAD_UNIT, start, start + end + 1, format!("`{inner}` is no unit"))
                .help("a unit is a product of powers, such as `m/s^2`, `kJ/(kg*K)` or `1/h`")
        };
        self.report(d);
        let one =
            UnitExpr { factors: Vec::new(), span: Span::new(self.file, self.at(start), self.at(start)) };
        self.push(Tok::RealUnit(Box::new(one)), start, start);
        if sized || !rest[end..].starts_with(']') { hi.max(start) } else { start + end + 1 }
    }

    fn quoted_name(&mut self, lo: usize, hi: usize) -> usize {
        let rest = &self.text[hi..];
        match rest.find(['`', '\n', '\r']) {
            Some(n) if n > 0 && rest[n..].starts_with('`') => {
                let (text, _) = self.intern(&self.text[hi..hi + n]);
                self.push(Tok::Ident(text), lo, hi + n + 1);
                hi + n + 1
            }
            found => {
                let empty = found == Some(0) && rest.starts_with('`');
                let end = if empty { hi + 1 } else { hi + found.unwrap_or(rest.len()) };
                let what = if empty {
                    "a name in backquotes is empty"
                } else {
                    "a backquote is not closed on its line"
                };
                let d = self.error(codes::BAD_QUOTED_NAME, lo, end, what);
                self.report(d);
                self.push(Tok::Error, lo, end);
                end
            }
        }
    }

    fn number(&mut self, lo: usize, hi: usize, hex: bool) -> usize {
        let written = &self.text[lo..hi];
        let digits: String = written.chars().filter(|c| *c != '_').collect();
        let value = if hex {
            u64::from_str_radix(&digits[2..], 16).ok().filter(|v| *v <= 1 << 53).map(|v| v as f64)
        } else {
            digits.parse::<f64>().ok().filter(|v| v.is_finite())
        };
        let Some(value) = value else {
            let what = if hex { "a hexadecimal number up to 2^53" } else { "a number within ±1.8e308" };
            let d = self.error(
                codes::BAD_NUMBER,
                lo,
                hi,
                format!("`{written}` is out of range: wanted is {what}"),
            );
            self.report(d);
            self.push(Tok::Error, lo, hi);
            return hi;
        };
        let (unit, end) = self.unit_after_number(hi);
        let is_int = unit.is_none() && (hex || !digits.contains(['.', 'e', 'E']));
        let number = Number { value, text: Text::from(digits), is_int, unit };
        self.push(Tok::Number(Arc::new(number)), lo, end);
        end
    }

    fn unit_after_number(&mut self, hi: usize) -> (Option<UnitExpr>, usize) {
        let rest = &self.text[hi..];
        let space = rest.chars().next().filter(|c| matches!(c, ' ' | '\u{A0}' | '\u{2009}' | '\u{202F}'));
        let start = hi + space.map_or(0, char::len_utf8);
        let rest = &self.text[start..];
        if rest.starts_with('[') {
            if let Some((u, n)) = unit::scan_bracket(rest, self.at(start), self.file) {
                return (Some(u), start + n);
            }
            let end = rest.find([']', '\n']).unwrap_or(rest.len());
            let inner = rest[1..end].trim();
            let d = self
                .error(codes::BAD_UNIT, start, start + end + 1, format!("`{inner}` is no unit"))
                .note("a bracket right behind a number holds its unit")
                .help("a unit is a product of powers, such as `[MJ/(m^3*K)]`");
            self.report(d);
            return (None, (start + end + 1).min(self.text.len()));
        }
        let Some((u, n)) = unit::scan(rest, self.at(start), self.file, Mode::Run) else {
            return (None, hi);
        };
        let bare = u.factors.len() == 1 && u.factors[0].name.text.len() == n;
        let first = &u.factors[0].name.text;
        let before_colon = bare && self.text[self.spaces(start + n)..].starts_with(':');
        if before_colon || is_keyword(first) {
            return (None, hi);
        }
        (Some(u), start + n)
    }

    fn timestamp(&mut self, lo: usize, hi: usize) -> usize {
        let text = &self.text[lo..hi];
        if !super::timestamp::exists(text) {
            let d = self
                .error(codes::BAD_TIMESTAMP, lo, hi, format!("there is no instant `{text}`"))
                .help("write year-month-dayThour:minute with an offset, such as 2026-01-05T00:00+01:00");
            self.report(d);
            self.push(Tok::Error, lo, hi);
            return hi;
        }
        let (text, _) = self.intern(text);
        self.push(Tok::Timestamp(text), lo, hi);
        hi
    }

    fn string(&mut self, lo: usize, hi: usize) -> usize {
        let triple = self.text[hi..].starts_with("\"\"");
        let mut from = if triple { hi + 2 } else { hi };
        if triple {
            let rest = &self.text[from..];
            from += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
        }
        self.string_part(lo, from, triple, true)
    }

    fn string_goes_on(&mut self, lo: usize, hi: usize) -> usize {
        let triple = self.interps.pop().is_some_and(|i| i.triple);
        self.string_part(lo, hi, triple, false)
    }

    /// A string's text from byte `from` on; its token begins at `lo`.
    fn string_part(&mut self, lo: usize, from: usize, triple: bool, first: bool) -> usize {
        let part = string::scan(self.text, from, triple);
        for (a, b) in &part.bad_escapes {
            let d = self
                .error(codes::BAD_ESCAPE, *a, *b, format!("`{}` is no escape", &self.text[*a..*b]))
                .help("known are \\n \\t \\r \\\" \\\\ \\$ and \\u{1F600}");
            self.report(d);
        }
        let text = Text::from(part.text.as_str());
        let tok = match (part.end, first) {
            (End::Interpolation, true) => Tok::StrBegin(text),
            (End::Interpolation, false) => Tok::StrMid(text),
            (_, true) => Tok::Str(text),
            (_, false) => Tok::StrEnd(text),
        };
        // inside an interpolation the message is that one's
        if part.end == End::Missing && self.interps.is_empty() {
            let mut d = self.error(codes::UNCLOSED_STRING, lo, part.hi, "this string is never closed");
            d = if triple {
                d.help("end it with `\"\"\"`")
            } else {
                d.help("end it with `\"`; a string over several lines stands between `\"\"\"`")
            };
            self.report(d);
        }
        self.push(tok, lo, part.hi);
        for at in part.newlines {
            let (nl, indent) = (self.nl, self.indent);
            self.newline(at);
            (self.nl, self.indent) = (nl, indent);
        }
        if part.end == End::Interpolation {
            let open = self.at(part.hi - 2);
            self.interps.push(Interp { triple, braces: 0, open });
        }
        part.hi
    }

    fn single_quoted(&mut self, lo: usize, hi: usize) -> usize {
        let rest = &self.text[hi..];
        let n = rest.find(['\'', '\n', '\r']).filter(|n| rest[*n..].starts_with('\''));
        let Some(n) = n else { return self.bad(lo, hi) };
        let end = hi + n + 1;
        let inner = &self.text[hi..hi + n];
        let d = self
            .error(codes::FOREIGN_OPERATOR, lo, end, "strings stand between double quotes")
            .help(format!("write `\"{inner}\"`"));
        self.report(d);
        self.push(Tok::Str(Text::from(inner)), lo, end);
        end
    }

    fn hash(&mut self, lo: usize, hi: usize) -> usize {
        let rest = &self.text[hi..];
        let end = hi + rest.find(['\n', '\r']).unwrap_or(rest.len());
        let d = self
            .error(codes::FOREIGN_OPERATOR, lo, hi, "`#` does not begin a comment here")
            .help("write `//`");
        self.report(d);
        end
    }

    fn foreign(&mut self, lo: usize, hi: usize, tok: Tok, ours: &str) -> usize {
        let theirs = &self.text[lo..hi];
        let d = self
            .error(codes::FOREIGN_OPERATOR, lo, hi, format!("`{theirs}` is written `{ours}` here"))
            .help(format!("write `{ours}`"));
        self.report(d);
        let word = match &tok {
            Tok::Ident(t) => Word::from_text(t),
            _ => None,
        };
        self.push_word(tok, lo, hi, word);
        hi
    }

    fn op_assign(&mut self, lo: usize, hi: usize) -> usize {
        let op = &self.text[lo..hi];
        let first = &op[..1];
        let help =
            if op == "++" { String::from("write `x = x + 1`") } else { format!("write `x = x {first} …`") };
        let d =
            self.error(codes::FOREIGN_OPERATOR, lo, hi, format!("there is no operator `{op}`")).help(help);
        self.report(d);
        self.push(if op == "++" { Tok::Plus } else { Tok::Assign }, lo, hi);
        hi
    }

    fn percent(&mut self, lo: usize, hi: usize) -> usize {
        let d = self
            .error(codes::FOREIGN_OPERATOR, lo, hi, "`%` is a unit here, and stands right behind a number")
            .help("for a remainder write `mod(a, b)`");
        self.report(d);
        self.push(Tok::Error, lo, hi);
        hi
    }

    /// One or more characters that begin no token; a run of them is one error.
    fn bad(&mut self, lo: usize, hi: usize) -> usize {
        let c = self.text[lo..].chars().next().unwrap_or('?');
        let hi = hi.max(lo + c.len_utf8());
        let rest = &self.text[hi..];
        let more = rest.find(|d: char| d != c).unwrap_or(rest.len());
        let end = hi + more;
        let d = match c {
            '\0' => self.error(codes::CONTROL_CHARACTER, lo, end, "a NUL byte in the text"),
            '\u{FEFF}' => {
                self.error(codes::CONTROL_CHARACTER, lo, end, "a byte order mark in the middle of the text")
            }
            c if c.is_control() => {
                let text = format!("the control character U+{:04X} in the text", c as u32);
                self.error(codes::CONTROL_CHARACTER, lo, end, text)
            }
            c => {
                let d = self.error(codes::BAD_CHARACTER, lo, end, format!("`{c}` means nothing here"));
                match c {
                    '“' | '”' | '„' | '«' | '»' => {
                        d.help("strings stand between plain double quotes `\"`")
                    }
                    '‘' | '’' | '´' => d.help("a name in quotes stands between backquotes"),
                    '×' | '∙' | '⋅' => d.help("write `*`"),
                    '÷' => d.help("write `/`"),
                    '–' | '—' => d.help("write `-`"),
                    '²' | '³' | '¹' => d.help("write the exponent as `^2`"),
                    '&' => d.help("write `and`"),
                    '|' => d.help("write `or`"),
                    '@' | '$' | '\\' => d.help("a name with such a character stands between backquotes"),
                    _ => d,
                }
            }
        };
        self.report(d);
        self.push(Tok::Error, lo, end);
        end
    }
}
