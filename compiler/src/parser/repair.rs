//! Drives the grammar and goes on behind mistakes.
//!
//! Brackets match and entries are known before the grammar runs. So one declaration is parsed at a
//! time; where it fails the mistake is reported and mended in the tokens — a misspelt word is
//! replaced, a head that makes no sense becomes a plain one, any other entry becomes a single
//! `BadEntry` — and the declaration is parsed again. One mistake is one message and hides no other.

use super::explain::{self, Failure};
use super::lost;
use super::make::Cx;
use super::shape::{Headless, give_heads};
use super::twinml::BoxedItemParser;
use crate::ast::{Item, Text};
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::lexer::words::{Place, Word};
use crate::lexer::{self, Lexed, Tok, Token};
use crate::source::{FileId, Span};
use lalrpop_util::ParseError;

/// After so many errors the rest of a file is not looked at.
const MAX_ERRORS: usize = 100;

/// Parses all declarations of a file; with them come the heads of blocks that were given up, and sections that had none. The tokens of `lexed` are
/// moved into the trees.
pub fn items(
    file: FileId,
    text: &str,
    lexed: &mut Lexed,
    diags: &mut Diagnostics,
) -> (Vec<Item>, Vec<Span>, Vec<Headless>) {
    let mut tokens = std::mem::take(&mut lexed.tokens);
    let lost = lost::blocks(text, &tokens, diags.iter());
    lost.iter().for_each(|l| l.remove(&mut tokens));
    let headless = give_heads(&mut tokens);
    if !lost.is_empty() {
        let found = std::mem::take(diags).into_vec();
        let others = found.into_iter().filter(|d| !lost.iter().any(|l| l.is_its_bracket(d)));
        others.chain(lost.iter().map(|l| l.diagnostic(file, text))).for_each(|d| diags.push(d));
    }
    let mut d = Driver {
        file,
        lexed,
        parser: BoxedItemParser::new(),
        diags,
        errors: 0,
        budget: 16 * tokens.len() + 1_000_000,
        mended: Vec::new(),
        given_up: lost.iter().map(|l| l.span(file)).collect(),
    };
    // Where something is wrong the tokens are wanted again: then the text is read once more.
    let mut again: Option<Vec<Token>> = None;
    let mut items = Vec::new();
    for (from, to) in declarations(&tokens) {
        let item = match d.at_once(&mut tokens[from..to]) {
            Some(item) => item,
            None => {
                let all = again.get_or_insert_with(|| {
                    let mut all = lexer::lex(file, text, &mut Diagnostics::new()).tokens;
                    lost.iter().for_each(|l| l.remove(&mut all));
                    give_heads(&mut all);
                    all
                });
                d.item(&mut all[from..to].to_vec())
            }
        };
        items.push(item);
        if d.errors >= MAX_ERRORS || d.budget == 0 {
            let end = tokens.get(to).map_or(0, |t| t.lo);
            let span = Span::new(file, end, end);
            let text = "too many errors: the rest of the file was not read";
            d.diags.push(Diagnostic::new(codes::TOO_MANY_ERRORS, span, text));
            break;
        }
    }
    (items, d.given_up, headless)
}

/// The ranges between the separators outside all brackets.
pub(super) fn declarations(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let (mut depth, mut from) = (0usize, 0);
    for (i, t) in tokens.iter().enumerate() {
        match t.tok {
            Tok::LParen | Tok::LBracket | Tok::Window | Tok::LBrace | Tok::StrBegin(_) => depth += 1,
            Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::StrEnd(_) => depth = depth.saturating_sub(1),
            Tok::Sep if depth == 0 => {
                if i > from {
                    out.push((from, i));
                }
                from = i + 1;
            }
            _ => {}
        }
    }
    if tokens.len() > from {
        out.push((from, tokens.len()));
    }
    out
}

struct Driver<'a, 'd> {
    file: FileId,
    lexed: &'a Lexed,
    parser: BoxedItemParser,
    diags: &'d mut Diagnostics,
    errors: usize,
    /// Tokens that may still be parsed: a text with many mistakes is not parsed many times over.
    budget: usize,
    /// The misspelt words of this declaration that were replaced.
    mended: Vec<u32>,
    /// Heads of blocks that were replaced by plain ones.
    given_up: Vec<Span>,
}

impl Driver<'_, '_> {
    /// Parses a declaration without mistakes, with its tokens moved out.
    fn at_once(&mut self, tokens: &mut [Token]) -> Option<Item> {
        self.mended.clear();
        let mut cx = Cx::new(self.file, &self.lexed.docs);
        let stream =
            tokens.iter_mut().map(|t| Ok::<_, ()>((t.lo, std::mem::replace(&mut t.tok, Tok::Error), t.hi)));
        let item = self.parser.parse(&mut cx, stream).ok()?;
        self.budget = self.budget.saturating_sub(tokens.len());
        self.said(cx);
        Some(*item)
    }

    /// Reports what the actions of the grammar had to say.
    fn said(&mut self, cx: Cx<'_>) {
        for d in cx.finish() {
            if self.is_tainted_line(d.primary.span.lo) {
                continue;
            }
            self.errors += 1;
            self.diags.push(d);
        }
    }

    fn item(&mut self, tokens: &mut Vec<Token>) -> Item {
        self.mended.clear();
        let whole = Span::new(self.file, tokens[0].lo, tokens[tokens.len() - 1].hi);
        loop {
            self.budget = self.budget.saturating_sub(tokens.len());
            let mut cx = Cx::new(self.file, &self.lexed.docs);
            let (at, expected) = match run(&self.parser, &mut cx, tokens) {
                Ok(item) => {
                    self.said(cx);
                    return item;
                }
                Err(e) => e,
            };
            if self.budget == 0 || self.errors >= MAX_ERRORS {
                return Item::Error(whole);
            }
            self.mend(tokens, at, &expected);
        }
    }

    fn mend(&mut self, tokens: &mut Vec<Token>, at: usize, expected: &[String]) {
        let tree = Enclosing::of(tokens);
        let mut block = tree.block(at);
        let (mut from, mut to) = tree.entry(tokens, block, at);
        // an entry that was given up already, or is empty: what is wrong is around it
        while let Some(open) = block
            && (from == to || (to == from + 1 && tokens[from].tok == Tok::BadEntry))
        {
            block = tree.block(open);
            (from, to) = tree.entry(tokens, block, open);
        }
        let given_up = tokens[from..to].iter().any(|t| t.tok == Tok::BadEntry)
            && tokens.get(at).is_some_and(|t| t.tok == Tok::BadEntry);
        let silent = given_up || self.is_tainted(&tokens[from..to.min(at + 1)]);
        let owner = block.and_then(|open| tree.owner(tokens, open));
        let failure = Failure { file: self.file, tokens, at, expected, from, to, owner };
        let (diagnostic, fix) = explain::explain(&failure);
        if !silent {
            self.errors += 1;
            self.diags.push(diagnostic);
        }
        if let Some((i, word)) = fix
            && !silent
        {
            tokens[i].tok = Tok::Word(word);
            self.mended.push(tokens[i].lo);
            mark_kind(tokens, i);
            return;
        }
        if tree.begins_another(tokens, block, (from, at)) {
            // The two are read apart, and nothing more is said of either.
            let lo = tokens[at].lo;
            self.mended.extend([tokens[from].lo, lo]);
            if let Some(word) = section(tokens, at) {
                tokens[at].tok = Tok::Word(word);
            }
            tokens.insert(at, Token::new(Tok::Sep, lo, lo));
            return;
        }
        let head =
            (from..to).find(|&i| tokens[i].tok == Tok::LBrace && tree.inside[i] == block.map(|b| b as u32));
        if let Some(brace) = head
            && at <= brace
            && let Some(plain) = plain_head(&tokens[from..brace])
        {
            let (lo, hi) = (tokens[from].lo, tokens[brace].lo);
            let same = plain.len() == brace - from
                && plain.iter().zip(&tokens[from..brace]).all(|(a, b)| *a == b.tok);
            if !same {
                // What is still wrong with the head was said just now.
                self.mended.push(lo);
                self.given_up.push(Span::new(self.file, lo, hi));
                tokens.splice(from..brace, plain.into_iter().map(|t| Token::new(t, lo, hi)));
                return;
            }
        }
        let (lo, hi) = (tokens[from].lo, tokens[to - 1].hi);
        tokens.splice(from..to, [Token::new(Tok::BadEntry, lo, hi)]);
    }

    /// Whether a message about the tokens up to the one that failed was pushed already: by the lexer,
    /// or because a word among them was mended.
    fn is_tainted(&self, tokens: &[Token]) -> bool {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return true };
        let t = &self.lexed.tainted;
        let line = t.get(t.partition_point(|(_, hi)| *hi < first.lo));
        line.is_some_and(|(lo, _)| *lo <= last.hi)
            || self.mended.iter().any(|at| (first.lo..=last.lo).contains(at))
    }

    /// Whether a lexical error lies on the line of this byte.
    fn is_tainted_line(&self, at: u32) -> bool {
        let t = &self.lexed.tainted;
        t.get(t.partition_point(|(_, hi)| *hi < at)).is_some_and(|(lo, _)| *lo <= at)
    }
}

/// `asset` before a mended `twin` is a keyword after all.
fn mark_kind(tokens: &mut [Token], i: usize) {
    for j in (0..i).rev() {
        let word = match &tokens[j].tok {
            Tok::Ident(t) => Word::from_text(t),
            _ => None,
        };
        match word {
            Some(
                w @ (Word::Asset
                | Word::Process
                | Word::System
                | Word::Organization
                | Word::Ecosystem
                | Word::Agent
                | Word::Partial
                | Word::Private),
            ) => tokens[j].tok = Tok::Word(w),
            _ => break,
        }
    }
}

type Failed = (usize, Vec<String>);

fn run(parser: &BoxedItemParser, cx: &mut Cx<'_>, tokens: &[Token]) -> Result<Item, Failed> {
    let mut read = 0usize;
    let stream = tokens.iter().map(|t| {
        read += 1;
        Ok::<_, ()>((t.lo, t.tok.clone(), t.hi))
    });
    let failure = match parser.parse(cx, stream) {
        Ok(item) => return Ok(*item),
        Err(e) => e,
    };
    Err(match failure {
        ParseError::UnrecognizedToken { expected, .. } => (read.saturating_sub(1), expected),
        ParseError::UnrecognizedEof { expected, .. } => (tokens.len(), expected),
        ParseError::ExtraToken { .. } | ParseError::InvalidToken { .. } | ParseError::User { .. } => {
            (read.saturating_sub(1), Vec::new())
        }
    })
}

/// For each token the index of the innermost bracket that it is inside of; a closing bracket counts as
/// inside.
struct Enclosing {
    inside: Vec<Option<u32>>,
    braces: Vec<bool>,
}

impl Enclosing {
    fn of(tokens: &[Token]) -> Enclosing {
        let mut stack: Vec<u32> = Vec::new();
        let mut inside = Vec::with_capacity(tokens.len() + 1);
        for (i, t) in tokens.iter().enumerate() {
            inside.push(stack.last().copied());
            match t.tok {
                Tok::LParen | Tok::LBracket | Tok::Window | Tok::LBrace | Tok::StrBegin(_) => {
                    stack.push(i as u32);
                }
                Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::StrEnd(_) => {
                    stack.pop();
                }
                _ => {}
            }
        }
        inside.push(None);
        // brackets match, so `inside` of a closing one is its opening one
        let braces = tokens.iter().map(|t| t.tok == Tok::LBrace).collect();
        Enclosing { inside, braces }
    }

    /// The brace of the innermost block around a token.
    fn block(&self, at: usize) -> Option<usize> {
        let mut i = self.inside.get(at).copied().flatten()? as usize;
        while !self.braces[i] {
            i = self.inside[i]? as usize;
        }
        Some(i)
    }

    /// The entry of a block around a token, without its separator.
    fn entry(&self, tokens: &[Token], block: Option<usize>, at: usize) -> (usize, usize) {
        let level = block.map(|b| b as u32);
        let from = (0..at.min(tokens.len()))
            .rev()
            .find(|&i| Some(i) == block || (tokens[i].tok == Tok::Sep && self.inside[i] == level))
            .map_or(0, |i| i + 1);
        let ends = |i: &usize| {
            self.inside[*i] == level
                && (tokens[*i].tok == Tok::Sep || (tokens[*i].tok == Tok::RBrace && level.is_some()))
        };
        let to = (at.max(from)..tokens.len()).find(ends).unwrap_or(tokens.len());
        (from, to)
    }

    /// Whether another entry of the block begins at a token, `name: …` or `states { … }`, where the entry before it, which
    /// begins at `from`, could have ended: only what separates them is missing.
    fn begins_another(&self, tokens: &[Token], block: Option<usize>, (from, at): (usize, usize)) -> bool {
        let level = block.map(|b| b as u32);
        let next = |k: usize| tokens.get(at + k).map(|t| &t.tok);
        let begins = match next(0) {
            Some(Tok::Ident(_)) => next(1) == Some(&Tok::Colon),
            Some(Tok::Word(_)) => next(1) == Some(&Tok::LBrace),
            _ => false,
        } || section(tokens, at).is_some();
        let ends = |t: &Tok| {
            matches!(t, Tok::Ident(_) | Tok::Number(_) | Tok::StrEnd(_) | Tok::RParen | Tok::RBracket)
        };
        level.is_some()
            && begins
            && at > from + 1
            && self.inside.get(at).copied().flatten() == level
            && ((at > from + 2 && tokens[from + 1].tok == Tok::Colon)
                || tokens[from].tok == Tok::Word(Word::Extends))
            && ends(&tokens[at - 1].tok)
    }

    /// The first keyword of the entry that a block belongs to.
    fn owner(&self, tokens: &[Token], open: usize) -> Option<Word> {
        let outer = self.block(open);
        let (from, _) = self.entry(tokens, outer, open);
        tokens[from..open].iter().find_map(|t| match t.tok {
            Tok::Word(Word::Private | Word::Partial | Word::Initial) => None,
            Tok::Word(w) => Some(w),
            _ => None,
        })
    }
}

/// The word of a section that was read as a name because it does not begin an entry: `extends P states { … }`.
fn section(tokens: &[Token], at: usize) -> Option<Word> {
    let Tok::Ident(text) = &tokens.get(at)?.tok else { return None };
    let block = tokens.get(at + 1).is_some_and(|t| t.tok == Tok::LBrace);
    Word::from_text(text).filter(|w| block && w.place() == Place::Section)
}

/// A head without mistakes for the block behind it, so that the block itself is read. `None` where
/// the head does not tell what kind of block follows.
fn plain_head(head: &[Token]) -> Option<Vec<Tok>> {
    let name_after = |w: Word| {
        let at = head.iter().position(|t| t.tok == Tok::Word(w))?;
        match head.get(at + 1).map(|t| &t.tok) {
            Some(Tok::Ident(n)) => Some(Tok::Ident(n.clone())),
            _ => Some(Tok::Ident(Text::from(""))),
        }
    };
    if let Some(name) = name_after(Word::Twin) {
        return Some(vec![Tok::Word(Word::Twin), name]);
    }
    // Without a name behind it the word was read as one.
    if matches!(head, [.., last] if matches!(&last.tok, Tok::Ident(t) if **t == *Word::Twin.text())) {
        return Some(vec![Tok::Word(Word::Twin), Tok::Ident(Text::from(""))]);
    }
    let Tok::Word(first) = head.first()?.tok else { return None };
    Some(match first {
        Word::Scenario => vec![
            Tok::Word(first),
            name_after(first)?,
            Tok::Word(Word::For),
            name_after(Word::For).unwrap_or_else(|| Tok::Ident(Text::from(""))),
        ],
        Word::On
        | Word::Every
        | Word::At
        | Word::After
        | Word::When
        | Word::If
        | Word::While
        | Word::Match => {
            vec![Tok::Word(first), Tok::Error]
        }
        Word::For => vec![Tok::Word(first), name_after(first)?, Tok::Word(Word::In), Tok::Error],
        Word::State | Word::Machine | Word::Fidelity => vec![Tok::Word(first), name_after(first)?],
        Word::Func | Word::Private => {
            vec![Tok::Word(Word::Func), name_after(Word::Func)?, Tok::LParen, Tok::RParen]
        }
        Word::Branch => vec![Tok::Word(first), name_after(first)?, Tok::Word(Word::At), Tok::Error],
        _ => return None,
    })
}
