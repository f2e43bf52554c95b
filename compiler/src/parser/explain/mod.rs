//! What a failed parse says: the state of the parser, told as the few things a person could have
//! meant, and the word that was likely misspelt. Lists of tokens are never shown.

mod words;

pub(super) use words::is_declaration_word;
use words::{is_twin, misspelt, misspelt_clause};

use crate::diag::{Diagnostic, codes};
use crate::lexer::words::Word;
use crate::lexer::{Tok, Token};
use crate::source::{FileId, Span};

/// Where and how the grammar failed.
pub struct Failure<'a> {
    /// The file.
    pub file: FileId,
    /// The tokens of the declaration.
    pub tokens: &'a [Token],
    /// The token that did not fit; the length for the end.
    pub at: usize,
    /// The terminals that would have fitted.
    pub expected: &'a [String],
    /// The entry around it.
    pub from: usize,
    /// One past its last token.
    pub to: usize,
    /// The first keyword of what the entry stands in; `None` at the top.
    pub owner: Option<Word>,
}

/// A token to be replaced by a word.
pub type Fix = Option<(usize, Word)>;

/// The message for a failure, and the misspelt word where one was found.
pub fn explain(f: &Failure<'_>) -> (Diagnostic, Fix) {
    if let Some(d) = foreign_word(f) {
        return (d, None);
    }
    misspelt(f).or_else(|| misspelt_clause(f)).unwrap_or_else(|| (plain(f), None))
}

/// A token in words.
pub fn describe(t: &Tok) -> String {
    match t {
        Tok::Ident(n) => format!("`{n}`"),
        Tok::Word(w) => format!("the word `{}`", w.text()),
        Tok::Number(n) => match &n.unit {
            None => format!("the number {}", n.text),
            Some(u) => format!("the quantity {} {}", n.text, crate::emit::unit(u)),
        },
        Tok::Str(_) | Tok::StrBegin(_) => String::from("a string"),
        Tok::StrMid(_) | Tok::StrEnd(_) => String::from("the `}` of the interpolation"),
        Tok::Timestamp(_) => String::from("an instant"),
        Tok::Unit(_) | Tok::RealUnit(_) => String::from("a unit"),
        Tok::Sep => String::from("the end of the line"),
        Tok::Window => String::from("`[`"),
        Tok::Error | Tok::BadEntry => String::from("this"),
        other => format!("`{}`", crate::emit::token(other)),
    }
}

struct Expected<'a>(&'a [String]);

impl Expected<'_> {
    fn has(&self, terminal: &str) -> bool {
        self.0.iter().any(|e| e == terminal || e.trim_matches('"') == terminal)
    }

    fn operand(&self) -> bool {
        self.has("NUMBER") && self.has("IDENT")
    }

    /// Whether only one word of the language would have fitted.
    fn one_word(&self) -> bool {
        let word = |t: &String| t.trim_matches('"').bytes().all(|b| b.is_ascii_lowercase());
        matches!(self.0, [one] if word(one))
    }

    fn name(&self) -> bool {
        self.has("IDENT") && !self.has("NUMBER")
    }
}

/// Whether an operand can begin with this token.
fn begins_operand(t: &Tok) -> bool {
    matches!(
        t,
        Tok::Ident(_)
            | Tok::Number(_)
            | Tok::Str(_)
            | Tok::StrBegin(_)
            | Tok::Timestamp(_)
            | Tok::LParen
            | Tok::LBracket
            | Tok::Error
            | Tok::Word(Word::True | Word::False | Word::None | Word::Not | Word::If)
    )
}

/// `0.1 1/s`: a unit that begins with a number.
fn one_over_a_unit(f: &Failure<'_>, found: Option<&Tok>, before: Option<&Token>) -> Option<Diagnostic> {
    let Tok::Number(n) = &before?.tok else { return None };
    let (Some(Tok::Number(one)), next) = (found, f.tokens.get(f.at + 1..f.at + 3)?) else { return None };
    let [Token { tok: Tok::Slash, .. }, last] = next else { return None };
    if n.unit.is_some() || one.unit.is_some() || &*one.text != "1" {
        return None;
    }
    let place = f.tokens[f.at].span(f.file).to(last.span(f.file));
    let d = Diagnostic::new(codes::UNEXPECTED, place, "a unit behind a number does not begin with `1/`");
    Some(match &last.tok {
        Tok::Ident(u) => d.help(format!("write `{0} [1/{u}]` or `{0} {u}^-1`", n.text)),
        _ => d.help(format!("write the unit in brackets: `{} [1/…]`", n.text)),
    })
}

fn plain(f: &Failure<'_>) -> Diagnostic {
    let e = Expected(f.expected);
    let found = f.tokens.get(f.at).map(|t| &t.tok);
    let before = (f.at > f.from).then(|| &f.tokens[f.at - 1]);
    let here = match f.tokens.get(f.at) {
        // at an end the place is just behind what stands before it
        Some(t) if !matches!(t.tok, Tok::Sep | Tok::RBrace) => t.span(f.file),
        _ => match f.tokens[..f.at].last() {
            Some(t) => t.span(f.file).after(),
            None => Span::new(f.file, 0, 0),
        },
    };
    let at_end = matches!(found, None | Some(Tok::Sep | Tok::RBrace));
    let new = |code, text: String| Diagnostic::new(code, here, text);

    if let Some(d) = foreign(f, found, before, here) {
        return d;
    }
    if let Some(d) = open_if(f, &e, found, here) {
        return d;
    }
    if let Some(d) = no_equation(f, &e, at_end, here) {
        return d;
    }
    if let Some(d) = handler_in_a_handler(f, &e, found, here) {
        return d;
    }
    if let Some(d) = word_as_unit(f, found, before) {
        return d;
    }
    if let Some(d) = one_over_a_unit(f, found, before) {
        return d;
    }
    if e.name() {
        return wants_name(f, &e, found, before, here);
    }
    let after_operand = before.is_some_and(|t| t.tok.ends_operand());
    if let Some(d) = reserved(f, here) {
        return d;
    }
    if e.operand() && !after_operand {
        let what = match before.map(|t| &t.tok) {
            Some(t) => format!("behind {} a value is missing", describe(t)),
            None => String::from("a value is missing"),
        };
        let d = new(codes::MISSING_PART, what);
        return match found {
            Some(t) if !at_end => d.here(format!("found {}", describe(t))),
            _ => d,
        };
    }
    if let Some(d) = no_colon(f, &e) {
        return d;
    }
    if found.is_some_and(begins_operand) && after_operand && !e.has("(") && !e.one_word() {
        return side_by_side(f, before, here);
    }
    if at_end {
        let wanted = wanted(&e);
        let d = new(codes::MISSING_PART, format!("this ends too early: {wanted} is missing"));
        return help_for_start(f, d);
    }
    if found == Some(&Tok::Comma) && f.owner.is_some() && after_operand && !e.has(",") {
        let d = new(codes::UNEXPECTED, String::from("`,` does not fit here"));
        if matches!(f.tokens.get(f.from).map(|t| &t.tok), Some(Tok::Word(Word::For))) {
            return d.help("each index has a `for` of its own: `for i in 0..n { for j in 0..m { … } }`");
        }
        return d.help("entries end with their line, or with `;` on one line");
    }
    let found = found.map_or_else(|| String::from("the end"), describe);
    let d = new(codes::UNEXPECTED, format!("{found} does not fit here"));
    let d = match wanted_or_none(&e) {
        Some(w) => d.here(format!("expected {w}")),
        None => d,
    };
    help_for_start(f, d)
}

/// What would have fitted, in words, or "something more".
fn wanted(e: &Expected<'_>) -> String {
    wanted_or_none(e).unwrap_or_else(|| String::from("something more"))
}

fn wanted_or_none(e: &Expected<'_>) -> Option<String> {
    let signs = [
        ("{", "`{`"),
        (":", "`:`"),
        ("=", "`=`"),
        ("(", "`(`"),
        ("->", "`->`"),
        ("then", "`then`"),
        ("in", "`in`"),
        ("for", "`for`"),
        ("from", "`from`"),
        ("twin", "`twin`"),
        ("UNIT", "a unit"),
        ("STR", "a string"),
        ("]", "`]`"),
        (")", "`)`"),
        (">", "`>`"),
        ("}", "`}`"),
    ];
    if e.operand() {
        return Some(String::from("a value"));
    }
    // behind an operand nearly everything fits: then only the brackets and signs of the form tell
    let after_operand = e.has("+");
    let telling = |t: &str| !after_operand || matches!(t, "{" | "=" | "then" | "->" | ")" | "]");
    let mut list: Vec<&str> = signs.iter().filter(|(t, _)| e.has(t) && telling(t)).map(|(_, w)| *w).collect();
    list.truncate(3);
    match list.as_slice() {
        [] => None,
        [one] => Some((*one).to_string()),
        [rest @ .., last] => Some(format!("{} or {last}", rest.join(", "))),
    }
}

/// Words that begin entries in other languages.
fn foreign_word(f: &Failure<'_>) -> Option<Diagnostic> {
    let t = f.tokens.get(f.from)?;
    let Tok::Ident(word) = &t.tok else { return None };
    let help = match &**word {
        "elif" | "elsif" | "elseif" => "write `else if`",
        "let" | "var" | "const" | "auto" | "local" => "a local has no word before it: write `x = 3 m`",
        "print" | "println" | "echo" | "puts" => "write `log \"text\"`",
        "foreach" | "loop" | "repeat" => "write `for x in xs { … }` or `while c { … }`",
        "switch" | "case" => "write `match e { 1 -> …; _ -> … }`",
        "connect" => "write `a.port -- b.port` or `a.out -> b.in` in `connections`",
        "break" | "continue" => "there is no such statement: write the loop's condition out",
        "fn" | "def" | "function" | "func" if f.owner.is_some_and(is_twin) => {
            "functions stand in `behavior { … }` or outside: `func name(x: Real): Real { … }`"
        }
        _ => return None,
    };
    if (f.at > f.from + 1 && !word.starts_with("el")) || f.owner.is_none() {
        return None;
    }
    let text = format!("`{word}` is no word of the language");
    Some(Diagnostic::new(codes::UNEXPECTED, t.span(f.file), text).help(help))
}

/// A word of the language used as a name: `in = 3`.
fn reserved(f: &Failure<'_>, here: Span) -> Option<Diagnostic> {
    let Tok::Word(w) = f.tokens.get(f.at)?.tok else { return None };
    let next = f.tokens.get(f.at + 1).map(|t| &t.tok);
    // a word that begins a clause or a statement, where nothing of it follows
    let alone = matches!(w, Word::In | Word::Where | Word::For | Word::Match | Word::While | Word::Return)
        && matches!(
            next,
            None | Some(
                Tok::Sep
                    | Tok::RBrace
                    | Tok::RParen
                    | Tok::Comma
                    | Tok::Plus
                    | Tok::Star
                    | Tok::Slash
                    | Tok::Caret
            )
        );
    if !w.is_reserved() || !(alone || matches!(next, Some(Tok::Assign | Tok::Dot | Tok::Tilde | Tok::Arrow)))
    {
        return None;
    }
    let text = format!("`{}` is a word of the language and cannot be a name", w.text());
    let help = format!("choose another name, or write it in backquotes: `` `{}` ``", w.text());
    Some(Diagnostic::new(codes::RESERVED_WORD, here, text).help(help))
}

/// A declaration or a setting without its colon: `k Real`, `duration 3 s`.
fn no_colon(f: &Failure<'_>, e: &Expected<'_>) -> Option<Diagnostic> {
    let Tok::Ident(name) = &f.tokens.get(f.at.checked_sub(1)?)?.tok else { return None };
    let entry = f.owner.is_some_and(|w| {
        is_twin(w)
            || matches!(
                w,
                Word::Parameters
                    | Word::Inputs
                    | Word::Outputs
                    | Word::States
                    | Word::Variables
                    | Word::Ports
                    | Word::Twins
                    | Word::Memory
                    | Word::Capabilities
                    | Word::Constraints
                    | Word::Sync
                    | Word::Scenario
                    | Word::Connector
                    | Word::Record
            )
    });
    let found = &f.tokens.get(f.at)?.tok;
    let params = matches!(f.tokens[f.from].tok, Tok::Word(Word::Func | Word::Private));
    if !(entry || params) || !e.has(":") || !begins_operand(found) || matches!(found, Tok::LParen) {
        return None;
    }
    let place = f.tokens[f.at - 1].span(f.file).after();
    let text = format!("behind `{name}` a `:` is missing");
    let d = Diagnostic::new(codes::MISSING_PART, place, text);
    Some(match found {
        Tok::Ident(t) => d.help(format!("write `{name}: {t}`")),
        _ => d.help(format!("write `{name}: …`")),
    })
}

/// Signs that other languages have in this place.
fn foreign(f: &Failure<'_>, found: Option<&Tok>, before: Option<&Token>, here: Span) -> Option<Diagnostic> {
    match found {
        Some(Tok::Assign) if matches!(before.map(|t| &t.tok), Some(Tok::Gt | Tok::Lt)) => {
            return Some(
                Diagnostic::new(codes::UNEXPECTED, here, "a space stands inside a comparison")
                    .help("write `>=` or `<=`"),
            );
        }
        Some(Tok::BackArrow) if f.owner != Some(Word::Sync) => {
            return Some(
                Diagnostic::new(codes::UNEXPECTED, here, "`<-` is one sign, an arrow")
                    .help("for a comparison with a negative value write `a < -1`, with a space"),
            );
        }
        Some(Tok::Link) => {
            return Some(
                Diagnostic::new(codes::UNEXPECTED, here, "`--` is one sign, which connects ports")
                    .help("for a difference with a negative value write `a - -b`"),
            );
        }
        Some(Tok::Question) => {
            return Some(
                Diagnostic::new(codes::FOREIGN_OPERATOR, here, "there is no `? :` here")
                    .help("write `if c then a else b`"),
            );
        }
        Some(Tok::Assign) if f.at > f.from && in_condition(f) => {
            return Some(
                Diagnostic::new(codes::UNEXPECTED, here, "`=` states equality, it does not compare")
                    .help("to compare write `==`"),
            );
        }
        _ => {}
    }
    let header = matches!(found, Some(Tok::Word(Word::Extends))) && f.owner.is_none();
    if header && before.is_some() {
        return Some(
            Diagnostic::new(codes::UNEXPECTED, here, "`extends` stands inside the twin")
                .help("write `twin NAME { extends PARENT … }`"),
        );
    }
    None
}

/// Whether a handler's `if`, `while` or `when` is open, where `=` is a slip for `==`.
fn in_condition(f: &Failure<'_>) -> bool {
    let head = &f.tokens[f.from..f.at];
    let starts = matches!(
        head.first().map(|t| &t.tok),
        Some(Tok::Word(Word::If | Word::While | Word::When | Word::On | Word::Expect))
    );
    let inner_if = head.iter().rev().find_map(|t| match t.tok {
        Tok::Word(Word::If) => Some(true),
        Tok::Word(Word::Then | Word::Else) | Tok::LBrace => Some(false),
        _ => None,
    });
    (starts && f.owner != Some(Word::Equations)) || inner_if == Some(true)
}

/// An `if` expression that lacks its `then` or `else`.
fn open_if(f: &Failure<'_>, e: &Expected<'_>, found: Option<&Tok>, here: Span) -> Option<Diagnostic> {
    let mut open: Vec<(usize, bool)> = Vec::new();
    for (i, t) in f.tokens[f.from..f.at.min(f.tokens.len())].iter().enumerate() {
        match t.tok {
            Tok::Word(Word::If) => open.push((f.from + i, false)),
            Tok::Word(Word::Then) => {
                if let Some(o) = open.last_mut() {
                    o.1 = true;
                }
            }
            Tok::Word(Word::Else) if open.last().is_some_and(|o| o.1) => {
                open.pop();
            }
            _ => {}
        }
    }
    let (i, has_then) = open.pop()?;
    let place = f.tokens[i].span(f.file);
    if has_then && e.has("else") {
        return Some(
            Diagnostic::new(codes::MISSING_ELSE, here, "this `if` expression has no `else`")
                .label(place, "begins here")
                .help("both values are needed: `if c then a else b`"),
        );
    }
    if !has_then && e.has("then") && !e.has("{") {
        let d = Diagnostic::new(codes::MISSING_PART, here, "this `if` expression has no `then`")
            .label(place, "begins here")
            .help("write `if c then a else b`");
        return Some(match found {
            Some(t) if !matches!(t, Tok::Sep | Tok::RBrace) => d.here(format!("found {}", describe(t))),
            _ => d,
        });
    }
    None
}

/// An entry of `equations` that is none.
fn no_equation(f: &Failure<'_>, e: &Expected<'_>, at_end: bool, here: Span) -> Option<Diagnostic> {
    let equations =
        matches!(f.owner, Some(Word::Equations | Word::Machine | Word::State | Word::For | Word::If));
    if !at_end || !e.has("=") || !equations {
        return None;
    }
    let first = f.tokens.get(f.from)?;
    if matches!(first.tok, Tok::Minus | Tok::LParen | Tok::LBracket) {
        return Some(
            Diagnostic::new(
                codes::LINE_BEGINS_WITH_OPERATOR,
                first.span(f.file),
                format!(
                    "a line that begins with {} starts a new equation, and this one has no `=`",
                    describe(&first.tok)
                ),
            )
            .help("to go on with the line above, put the operator at the end of that line"),
        );
    }
    if let Some(t) = f.tokens[f.from..f.to].iter().find(|t| t.tok == Tok::EqEq) {
        return Some(
            Diagnostic::new(codes::UNEXPECTED, t.span(f.file), "`==` compares; it states no equation")
                .help("write `left = right`"),
        );
    }
    let place = first.span(f.file).to(here);
    Some(
        Diagnostic::new(codes::MISSING_PART, place, "this is no equation: `=` is missing")
            .help("an equation is `left = right`"),
    )
}

fn wants_name(
    f: &Failure<'_>,
    e: &Expected<'_>,
    found: Option<&Tok>,
    before: Option<&Token>,
    here: Span,
) -> Diagnostic {
    let ty = before.is_some_and(|t| matches!(t.tok, Tok::Colon | Tok::Assign | Tok::Lt)) && e.has("ERR");
    let what = if ty { "a type" } else { "a name" };
    match found {
        Some(Tok::Word(w @ (Word::Force | Word::Release))) if f.owner == Some(Word::Scenario) => {
            let text = format!("`{}` stands in an `at`, which says when", w.text());
            Diagnostic::new(codes::UNEXPECTED, here, text)
                .help("write `at 10 s { force pump.speed = 0 rpm }`, from the start on `at 0 s { … }`")
        }
        Some(Tok::Word(w)) if w.is_reserved() && !ty => {
            let text = format!("`{}` is a word of the language and cannot be a name", w.text());
            Diagnostic::new(codes::RESERVED_WORD, here, text)
                .help(format!("choose another name, or write it in backquotes: `` `{}` ``", w.text()))
        }
        Some(Tok::Number(n)) if !ty && n.unit.is_none() => {
            let text = format!("{what} cannot begin with a digit");
            Diagnostic::new(codes::UNEXPECTED, here, text).help("a name begins with a letter or `_`")
        }
        found => {
            let text = match before.map(|t| &t.tok) {
                Some(t) if f.at > f.from => format!("behind {} {what} is missing", describe(t)),
                _ => format!("{what} is missing"),
            };
            let d = Diagnostic::new(codes::MISSING_PART, here, text);
            match found {
                None | Some(Tok::Sep | Tok::RBrace) => d,
                Some(t) => d.here(format!("found {}", describe(t))),
            }
        }
    }
}

/// `every 1 s { … }` among statements.
fn handler_in_a_handler(
    f: &Failure<'_>,
    e: &Expected<'_>,
    found: Option<&Tok>,
    here: Span,
) -> Option<Diagnostic> {
    let Some(Tok::Word(w @ (Word::On | Word::Every | Word::At | Word::Machine))) = found else { return None };
    if f.at != f.from || !e.has("emit") {
        return None;
    }
    let text = format!("`{}` does not stand among the statements of a handler", w.text());
    let d = Diagnostic::new(codes::UNEXPECTED, here, text);
    Some(d.help(
        "write it beside the handler, in `behavior { … }`; what is to happen later is `after 5 s { … }`",
    ))
}

/// `>= 0.9 confidense 0.95`: a word of the language that is misspelt is read as a unit.
fn word_as_unit(f: &Failure<'_>, found: Option<&Tok>, before: Option<&Token>) -> Option<Diagnostic> {
    let before = before?;
    let Tok::Number(n) = &before.tok else { return None };
    let unit = crate::emit::unit(n.unit.as_ref()?);
    let word = crate::diag::nearest(&unit, ["confidence", "where", "guess", "within"])?;
    if !found.is_some_and(begins_operand) {
        return None;
    }
    let text = format!("behind {} `{unit}` is read as a unit", n.text);
    let d = Diagnostic::new(codes::UNEXPECTED, before.span(f.file), text);
    Some(d.help(format!("did you mean `{word}`?")))
}

/// Two operands without anything between.
fn side_by_side(f: &Failure<'_>, before: Option<&Token>, here: Span) -> Diagnostic {
    let found = f.tokens.get(f.at).map_or(&Tok::Error, |t| &t.tok);
    let func = matches!(f.tokens[f.from].tok, Tok::Word(Word::Func | Word::Private));
    if let (true, Some(Tok::RParen), Tok::Ident(t)) = (func, before.map(|b| &b.tok), found) {
        return Diagnostic::new(codes::MISSING_PART, here, "before the type of the result a `:` is missing")
            .help(format!("write `): {t}`"));
    }
    if let (Some(Word::Constraints), Tok::LParen, Tok::Ident(n)) = (f.owner, found, &f.tokens[f.from].tok)
        && f.at == f.from + 1
    {
        let place = f.tokens[f.from].span(f.file);
        return Diagnostic::new(codes::MISSING_PART, place, "this requirement has no name")
            .help(format!("write `name: {n}(…)`"));
    }
    let text = match before {
        Some(b) => format!("between {} and {} something is missing", describe(&b.tok), describe(found)),
        None => format!("{} does not fit here", describe(found)),
    };
    let d = Diagnostic::new(codes::UNEXPECTED, here, text);
    let number = matches!(before.map(|b| &b.tok), Some(Tok::Number(n)) if n.unit.is_none());
    let gap = before.is_some_and(|b| here.lo > b.hi + 1);
    match found {
        Tok::Ident(_) if number && gap => {
            d.help("a unit stands at most one space behind its number, on the same line")
        }
        Tok::Ident(n) if number && crate::lexer::words::is_keyword(n) => {
            d.help(format!("`{n}` is a word of the language; as a unit it stands in brackets: `[{n}]`"))
        }
        Tok::Word(Word::If) => d.help("an `if` inside an expression stands in parentheses"),
        _ => d.help("an operator, a comma, or `;` between two entries on one line"),
    }
}

/// How an entry of this kind looks, where the entry's first word tells.
fn help_for_start(f: &Failure<'_>, d: Diagnostic) -> Diagnostic {
    let Some(Tok::Word(w)) = f.tokens.get(f.from).map(|t| &t.tok) else {
        return match f.owner {
            Some(Word::Parameters | Word::Inputs | Word::Outputs | Word::States | Word::Variables) => {
                d.help("an entry is `name: Type in unit = value ~ distribution where condition guess value`")
            }
            Some(Word::Ports) => d.help("an entry is `name: Connector`"),
            Some(Word::Twins) => d.help("an entry is `name: Twin { member = value }`"),
            Some(Word::Connections) => d.help("an entry is `a.out -> b.in` or `a.port -- b.port`"),
            Some(Word::Constraints) => d.help("an entry is `name: formula` or `kpi name in unit: value`"),
            Some(Word::Capabilities) => d.help("an entry is `name: provider(\"name\")`"),
            Some(Word::Memory) => d.help("an entry is `name: Queue<Job>` or `name: persistent(7 days)`"),
            Some(Word::Sync) => {
                d.help("an entry is `mqtt(\"plant\") { h <- \"topic\" in cm }` or `conflict: kalman`")
            }
            Some(Word::Match) => d.help("an arm is `pattern -> statement`"),
            _ => d,
        };
    };
    let help = match w {
        Word::Scenario => "write `scenario name for Twin { … }`",
        Word::Twin | Word::Partial => "write `twin Name { … }`",
        Word::Type => "write `type Name = Real[unit] in unit where condition`",
        Word::Unit => "write `unit EUR: Money` or `unit cent = 0.01 EUR`",
        Word::Use => "write `use std.thermal { Name }` or `use \"file.twinml\"`",
        Word::Func => "write `func name(x: Real): Real { return x }`",
        Word::Enum => "write `enum Valve { open, closed }`",
        Word::Record => match f.owner {
            None => "write `record Job { id: Int, weight: Mass }`",
            Some(_) => "write `record tank.h, pump.power every 1 s`",
        },
        Word::Connector => "write `connector Pin { potential v: Voltage; flow i: Current }`",
        Word::On => "write `on event(x: Real) { … }` or `on rising(h > 2 m) { … }`",
        Word::Every => "write `every 100 ms { … }`",
        Word::At => "write `at 30 min { … }`",
        Word::After => "write `after 5 s { … }`, in a machine `after 5 s -> state`",
        Word::When => "write `when condition -> state`",
        Word::Drive => {
            "write `drive input from \"file.csv\" column \"name\" linear`; an input that follows a formula has an equation in a twin around it: `plant.u = 2 V`"
        }
        Word::Branch => "write `branch name at 45 min { … }`",
        Word::Send => "write `send inform(level: h) to plant.ctl`",
        Word::If => "write `if c { … } else { … }`, in an expression `if c then a else b`",
        Word::For => "write `for i in 0..n { … }`",
        Word::Match => "write `match e { 1 -> …; _ -> … }`",
        Word::Kpi => "write `kpi name in unit: value`",
        Word::Expect => "write `expect name, not other`",
        _ => return d,
    };
    d.help(help)
}
