//! Between the characters and the grammar: words become keywords or names by their place, line ends
//! become `Sep` where an entry ends, brackets that were never closed are closed.
//!
//! The rules are those of the language's lexical chapter, in this order: names after `.` and before
//! `:`; brackets; separators; places of words.

use super::brackets::Role;
use super::raw::Raw;
use super::token::{Tok, Token};
use super::words::{Place, Word};
use crate::ast::Text;

struct Open {
    brace: bool,
    /// Closed in the text; the others are closed here.
    closed: bool,
    closer: Tok,
    indent: u32,
    /// The first keyword of the entry that the brace belongs to.
    owner: Option<Word>,
}

/// Tokens for the grammar.
pub fn filter(raws: &[Raw], roles: &[Role]) -> Vec<Token> {
    let mut f =
        Filter { raws, roles, out: Vec::with_capacity(raws.len() + 16), open: Vec::new(), owner: None };
    f.run();
    f.out
}

struct Filter<'a> {
    raws: &'a [Raw],
    roles: &'a [Role],
    out: Vec<Token>,
    open: Vec<Open>,
    /// The first keyword of the current entry.
    owner: Option<Word>,
}

impl Filter<'_> {
    fn run(&mut self) {
        let mut i = 0;
        let mut semicolon: Option<u32> = None;
        while i < self.raws.len() {
            let r = &self.raws[i];
            if r.tok == Tok::Sep {
                if self.in_parens() && self.open.last().is_none_or(|o| o.closed) {
                    self.out.push(Token::new(Tok::Sep, r.lo, r.hi));
                } else {
                    self.close_unclosed_parens();
                    semicolon = Some(r.lo);
                }
                i += 1;
                continue;
            }
            let role = self.roles[i];
            let name = self.is_name(i);
            // `xor(a, b)` is the function of that name
            let function = r.word == Some(Word::Xor) && !self.prev().is_some_and(Tok::ends_operand);
            let name = name || function;
            let reserved = r.word.filter(|w| w.is_reserved() && !name);
            if r.nl {
                self.close_at_line(i, name);
            }
            if let Role::Close(_) = role {
                while self.open.last().is_some_and(|o| !o.closed) {
                    self.close_top();
                }
            }
            if r.tok == Tok::LBrace {
                self.close_unclosed_parens();
            }
            if self.needs_sep(i, semicolon.is_some(), reserved, name) {
                let at = semicolon.unwrap_or_else(|| self.out.last().map_or(0, |t| t.hi));
                self.out.push(Token::new(Tok::Sep, at, at + u32::from(semicolon.is_some())));
                self.owner = None;
            }
            semicolon = None;
            i = self.emit(i, role, reserved, name);
        }
        while !self.open.is_empty() {
            self.close_top();
        }
    }

    fn prev(&self) -> Option<&Tok> {
        self.out.last().map(|t| &t.tok)
    }

    fn in_parens(&self) -> bool {
        self.open.last().is_some_and(|o| !o.brace)
    }

    /// Whether the word at `i` is a name by its neighbours: after `.` or before `:`.
    fn is_name(&self, i: usize) -> bool {
        // a line that begins with `:` is an entry of its own, which lacks its name
        let colon = |n: &Raw| n.tok == Tok::Colon && (!n.nl || self.in_parens());
        self.prev() == Some(&Tok::Dot) || self.raws.get(i + 1).is_some_and(colon)
    }

    fn close_top(&mut self) {
        if let Some(o) = self.open.pop() {
            let at = self.out.last().map_or(0, |t| t.hi);
            if self.prev() == Some(&Tok::Sep) && o.brace {
                self.out.pop();
            }
            self.out.push(Token::new(o.closer, at, at));
            self.owner = o.owner;
        }
    }

    fn close_unclosed_parens(&mut self) {
        while self.open.last().is_some_and(|o| !o.closed && !o.brace) {
            self.close_top();
        }
    }

    /// Before a token that begins a line: closes what was never closed and should have been by now.
    fn close_at_line(&mut self, i: usize, name: bool) {
        let r = &self.raws[i];
        let joins = self.prev().is_none_or(Tok::joins_next_line)
            || (r.tok.joins_line_above() && !matches!(r.tok, Tok::LBrace | Tok::RBrace))
            || r.word.is_some_and(|w| !name && w.joins_line_above());
        while let Some(o) = self.open.last() {
            let over = !o.closed && if o.brace { r.indent <= o.indent } else { !joins };
            if !over {
                break;
            }
            self.close_top();
        }
    }

    fn needs_sep(&self, i: usize, semicolon: bool, reserved: Option<Word>, name: bool) -> bool {
        let r = &self.raws[i];
        let Some(prev) = self.prev() else { return false };
        if self.in_parens() || matches!(prev, Tok::Sep | Tok::LBrace) || r.tok == Tok::RBrace {
            return false;
        }
        if semicolon {
            return true;
        }
        if *prev == Tok::RBrace && !r.nl {
            return !self.continues_after_brace(r, reserved);
        }
        if !r.nl || prev.joins_next_line() {
            return false;
        }
        if r.tok.joins_line_above() || reserved.is_some_and(Word::joins_line_above) {
            return false;
        }
        let clause = !name && matches!(r.word, Some(Word::Guess | Word::With)) && self.begins_clause(i);
        !clause
    }

    /// Whether `guess` or `with` at the start of a line is a clause of the entry above.
    fn begins_clause(&self, i: usize) -> bool {
        let Some(n) = self.raws.get(i + 1).filter(|n| !n.nl) else { return false };
        match n.tok {
            Tok::Minus => {
                // `guess -1 m` against `guess - x = 0`
                let close = self.raws.get(i + 2).is_some_and(|m| m.lo == n.hi);
                close && n.lo > self.raws[i].hi
            }
            Tok::Ident(_) | Tok::Number(_) => true,
            _ => false,
        }
    }

    fn continues_after_brace(&self, r: &Raw, reserved: Option<Word>) -> bool {
        let owner = self.open.last().and_then(|o| o.owner);
        match r.tok {
            Tok::Arrow | Tok::Dot | Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::Comma => true,
            Tok::StrMid(_) | Tok::StrEnd(_) => true,
            _ => match r.word {
                Some(Word::Else | Word::In) => reserved.is_some(),
                Some(Word::If) => matches!(owner, Some(Word::Twins | Word::Ports)),
                Some(Word::When) => owner == Some(Word::Match),
                _ => false,
            },
        }
    }

    /// Emits the token at `i`; gives the index to go on with.
    fn emit(&mut self, i: usize, role: Role, reserved: Option<Word>, name: bool) -> usize {
        let r = &self.raws[i];
        let starts = self.starts_entry();
        match role {
            Role::TooDeep(partner) => {
                let end = match partner {
                    _ if matches!(r.tok, Tok::StrBegin(_)) => self.string_end(i),
                    Some(p) => p as usize,
                    None => i + self.raws[i + 1..].iter().take_while(|n| !n.nl).count(),
                };
                self.out.push(Token::new(Tok::Error, r.lo, self.raws[end].hi));
                return end + 1;
            }
            Role::Stray => return i + 1,
            Role::Close(_) => {
                if let Some(o) = self.open.pop() {
                    if o.brace && self.prev() == Some(&Tok::Sep) {
                        self.out.pop();
                    }
                    self.owner = o.owner;
                }
                self.out.push(Token::new(r.tok.clone(), r.lo, r.hi));
                if let Tok::StrMid(_) = r.tok {
                    let end = Tok::StrEnd(Text::from(""));
                    self.open.push(Open {
                        brace: false,
                        closed: true,
                        closer: end,
                        indent: r.indent,
                        owner: self.owner,
                    });
                }
                return i + 1;
            }
            Role::Open(_) | Role::Unclosed => {
                let closed = matches!(role, Role::Open(_));
                let closer = match r.tok {
                    Tok::LParen => Tok::RParen,
                    Tok::LBracket => Tok::RBracket,
                    Tok::LBrace => Tok::RBrace,
                    _ => Tok::StrEnd(Text::from("")),
                };
                let brace = r.tok == Tok::LBrace;
                self.open.push(Open { brace, closed, closer, indent: r.indent, owner: self.owner });
                let window = matches!(self.prev(), Some(Tok::Word(Word::Until | Word::Since)));
                let tok = if r.tok == Tok::LBracket && window { Tok::Window } else { r.tok.clone() };
                self.out.push(Token::new(tok, r.lo, r.hi));
                if brace {
                    // the entries inside begin afresh; the brace's owner stays with the stack
                    self.owner = None;
                }
                return i + 1;
            }
            Role::None => {}
        }
        let keyword = match r.word {
            _ if name => None,
            Some(w) if reserved.is_some() => Some(w),
            Some(w) if self.is_keyword(w, i, starts) => Some(w),
            _ => None,
        };
        let tok = match keyword {
            Some(w) => Tok::Word(w),
            None => r.tok.clone(),
        };
        if starts && self.owner.is_none() {
            self.owner = keyword;
        }
        self.out.push(Token::new(tok, r.lo, r.hi));
        i + 1
    }

    /// The `StrEnd` of the `StrBegin` at `i`.
    fn string_end(&self, i: usize) -> usize {
        let mut depth = 0u32;
        for (j, r) in self.raws.iter().enumerate().skip(i) {
            match r.tok {
                Tok::StrBegin(_) => depth += 1,
                Tok::StrEnd(_) if depth <= 1 => return j,
                Tok::StrEnd(_) => depth -= 1,
                _ => {}
            }
        }
        self.raws.len() - 1
    }

    fn starts_entry(&self) -> bool {
        match self.prev() {
            None | Some(Tok::Sep | Tok::LBrace) => !self.in_parens(),
            Some(Tok::Arrow) => self.open.last().is_some_and(|o| o.owner == Some(Word::Match)),
            Some(Tok::Word(
                Word::Partial
                | Word::Asset
                | Word::Process
                | Word::System
                | Word::Organization
                | Word::Ecosystem
                | Word::Agent
                | Word::Private
                | Word::Final
                | Word::Outer
                | Word::Initial,
            )) => true,
            _ => false,
        }
    }

    fn is_keyword(&self, w: Word, i: usize, starts: bool) -> bool {
        let next = self.raws.get(i + 1).filter(|n| !n.nl || self.in_parens());
        let start = starts && self.starts_keyword(w, i, next);
        match w.place() {
            Place::Reserved => true,
            Place::Section => starts && self.raws.get(i + 1).is_some_and(|n| n.tok == Tok::LBrace),
            Place::Start | Place::StartParen => start,
            Place::Infix => self.follows_operand(w),
            Place::StartInfix => start || (!starts && self.follows_operand(w)),
            Place::After(before) => {
                let n = self.out.len();
                n >= 2
                    && self.out[n - 1].tok == Tok::Word(before)
                    && self.out[n - 2].tok.ends_operand()
                    && !next.is_some_and(|n| matches!(n.tok, Tok::Dot | Tok::LParen | Tok::LBracket))
            }
        }
    }

    fn follows_operand(&self, w: Word) -> bool {
        match self.prev() {
            Some(Tok::Gt) => w == Word::Extends,
            Some(t) => t.ends_operand(),
            None => false,
        }
    }

    fn starts_keyword(&self, w: Word, i: usize, next: Option<&Raw>) -> bool {
        let Some(n) = next else { return false };
        let text = match &n.tok {
            Tok::Ident(t) => Some(&**t),
            _ => None,
        };
        let is_kind = |t: &str| {
            matches!(t, "twin" | "asset" | "process" | "system" | "organization" | "ecosystem" | "agent")
        };
        match w {
            Word::Asset
            | Word::Process
            | Word::System
            | Word::Organization
            | Word::Ecosystem
            | Word::Agent => text == Some("twin"),
            Word::Partial => text.is_some_and(is_kind),
            Word::Private => text == Some("func"),
            Word::Stop => matches!(n.tok, Tok::Str(_) | Tok::StrBegin(_)),
            Word::Wait if matches!(n.word, Some(Word::Until | Word::For)) => true,
            _ => match &n.tok {
                // a reserved word behind it means that this one is a name, except those that begin
                // an operand
                Tok::Ident(_) => n.word.is_none_or(|x| {
                    !x.is_reserved()
                        || matches!(x, Word::True | Word::False | Word::None | Word::Not | Word::If)
                        || self.raws.get(i + 2).is_some_and(|m| m.tok == Tok::Colon)
                }),
                Tok::Number(_) | Tok::Str(_) | Tok::StrBegin(_) | Tok::Timestamp(_) | Tok::Error => true,
                Tok::LParen => {
                    matches!(w, Word::Wait | Word::Expect | Word::Every | Word::At | Word::After | Word::When)
                }
                _ => false,
            },
        }
    }
}
