//! Reads the text form of a flat system (see [`mod@super::print`]). Total: any text gives a system or an
//! error with its place; nesting is bounded.

mod draws;
mod hybrid;

use super::lex::{Token, lex};
use super::print::{COMPARISONS, FOLDS, Level, MATH, METHODS, OUTSIDES, STEPS, declared_name, role_name};
use super::{
    Action, Affine, BinOp, BoolOp, Branch, Equation, Expr, Loop, Piece, Range, Role, System, UnOp, Var,
};
use crate::source::{FileId, Span};
use rustc_hash::FxHashMap;
use std::fmt;
use twinml_model::dimension::Dimension;
use twinml_model::ids::{EnumId, Index, TableId, VarId};
use twinml_model::program::{RangeElse, Table};
use twinml_model::schema::{self, EnumType, Kind, Segment};

/// Deepest nesting of expressions that is read.
const MAX_DEPTH: u32 = 200;

/// Why a text is no flat system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Line, from 1.
    pub line: u32,
    /// What was wanted, and what was found.
    pub what: Problem,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A character that nothing begins with, or a string or quoted name without its end.
    Character(char),
    /// Something else was wanted.
    Expected {
        /// What.
        wanted: &'static str,
        /// The token found.
        found: String,
    },
    /// A name that no `var` declares above its use in an equation.
    UnknownName(String),
    /// Two families of one path.
    Twice(String),
    /// Nested too deeply.
    TooDeep,
    /// The axes' product or a number is too large.
    TooLarge,
    /// The block of behaviour is not of its form.
    Behavior(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.what {
            Problem::Character(c) => write!(f, "{c:?} begins nothing, or is never closed"),
            Problem::Expected { wanted, found } => write!(f, "{wanted} was wanted, {found:?} found"),
            Problem::UnknownName(n) => write!(f, "no variable is named {n:?}"),
            Problem::Twice(n) => write!(f, "{n:?} is declared twice"),
            Problem::TooDeep => f.write_str("nested too deeply"),
            Problem::TooLarge => f.write_str("a number is too large"),
            Problem::Behavior(why) => write!(f, "in `behavior`: {why}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads a system.
///
/// # Errors
///
/// Names the line and what was wanted there.
pub fn read(text: &str) -> Result<System, ReadError> {
    let (text, behavior) = hybrid::behavior_of(text)?;
    let tokens = lex(text)?;
    let mut r = Reader { tokens, at: 0, names: FxHashMap::default(), depth: 0 };
    r.declare()?;
    r.at = 0;
    let mut system = r.system()?;
    system.behavior.model = behavior;
    Ok(system)
}

/// What may follow the role of a `var`.
const VAR_WORDS: [&str; 12] = [
    "declared",
    "int",
    "bool",
    "enum",
    "fixed",
    "structural",
    "unit",
    "si",
    "dim",
    "quantity",
    "range",
    "doc",
];

struct Reader {
    tokens: Vec<(Token, u32)>,
    at: usize,
    names: FxHashMap<Vec<String>, VarId>,
    depth: u32,
}

type Read<T> = Result<T, ReadError>;

impl Reader {
    fn peek(&self) -> &Token {
        // `at` never passes the last token, which is `End`.
        &self.tokens[self.at].0
    }

    fn next(&mut self) -> Token {
        let t = self.tokens[self.at].0.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        t
    }

    fn error<T>(&self, what: Problem) -> Read<T> {
        Err(ReadError { line: self.tokens[self.at].1, what })
    }

    fn wanted<T>(&self, wanted: &'static str) -> Read<T> {
        self.error(Problem::Expected { wanted, found: self.peek().text() })
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Token::Op(o) if *o == op)
    }

    fn take_op(&mut self, op: &str) -> bool {
        let yes = self.is_op(op);
        if yes {
            self.next();
        }
        yes
    }

    fn op(&mut self, op: &'static str) -> Read<()> {
        if self.take_op(op) { Ok(()) } else { self.wanted(op) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(w) if w == word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let yes = self.is_word(word);
        if yes {
            self.next();
        }
        yes
    }

    fn word(&mut self, word: &'static str) -> Read<()> {
        if self.take_word(word) { Ok(()) } else { self.wanted(word) }
    }

    fn name(&mut self) -> Read<String> {
        match self.next() {
            Token::Word(w) | Token::Quoted(w) => Ok(w),
            _ => {
                self.at = self.at.saturating_sub(1);
                self.wanted("a name")
            }
        }
    }

    fn string(&mut self) -> Read<String> {
        if let Token::Str(s) = self.peek() {
            let s = s.clone();
            self.next();
            Ok(s)
        } else {
            self.wanted("a text in quotes")
        }
    }

    fn int<T: TryFrom<i128>>(&mut self) -> Read<T> {
        let minus = self.take_op("-");
        let Token::Int(n) = *self.peek() else { return self.wanted("an integer") };
        match T::try_from(if minus { -n } else { n }) {
            Ok(n) => {
                self.next();
                Ok(n)
            }
            Err(_) => self.error(Problem::TooLarge),
        }
    }

    fn real(&mut self) -> Read<f64> {
        let minus = self.take_op("-");
        let Token::Real(x) = *self.peek() else { return self.wanted("a number with a point") };
        self.next();
        Ok(if minus { -x } else { x })
    }

    fn span(&mut self) -> Read<Span> {
        if !self.take_op("~") {
            return Ok(Span::default());
        }
        let file = self.int()?;
        self.op(":")?;
        let lo = self.int()?;
        self.op("..")?;
        Ok(Span { file: FileId(file), lo, hi: self.int()? })
    }

    /// First pass: the variables' names, so that formulas may use those declared below.
    fn declare(&mut self) -> Read<()> {
        let mut count = 0;
        while *self.peek() != Token::End {
            let starts = self.is_word("var")
                && (self.at == 0 || !matches!(self.tokens[self.at - 1].0, Token::Op("." | "`")));
            self.next();
            if starts && matches!(self.peek(), Token::Word(_) | Token::Quoted(_)) {
                let path = self.path()?;
                if !self.is_op(":") {
                    continue;
                }
                let names: Vec<String> = path.iter().map(|s| s.name.clone()).collect();
                if self.names.insert(names.clone(), VarId::new(count)).is_some() {
                    return self.error(Problem::Twice(names.join(".")));
                }
                count += 1;
            }
        }
        Ok(())
    }

    fn path(&mut self) -> Read<Vec<Segment>> {
        let mut path = Vec::new();
        loop {
            let name = self.name()?;
            let mut axes = Vec::new();
            if self.take_op("[") {
                loop {
                    axes.push(self.int()?);
                    if !self.take_op(",") {
                        break;
                    }
                }
                self.op("]")?;
            }
            path.push(Segment { name, axes });
            if !self.take_op(".") {
                return Ok(path);
            }
        }
    }

    fn system(&mut self) -> Read<System> {
        self.word("flat")?;
        let mut s = System { name: self.name()?, ..System::default() };
        loop {
            if *self.peek() == Token::End {
                return Ok(s);
            } else if self.take_word("network") {
                s.network = true;
            } else if self.take_word("enum") {
                s.enums.push(self.enumeration()?);
            } else if self.take_word("table") {
                let t = self.table(s.tables.len())?;
                s.tables.push(t);
            } else if self.take_word("var") {
                let v = self.var()?;
                s.vars.push(v);
            } else if self.take_word("eq") {
                let e = self.equation()?;
                s.equations.push(e);
            } else if self.take_word("initial") {
                let e = self.equation()?;
                s.initial_equations.push(e);
            } else if self.take_word("range") {
                let stop = self.take_word("stop");
                let otherwise = if stop { RangeElse::Stop } else { RangeElse::Report };
                s.ranges.push(Range { is: self.equation()?, otherwise });
            } else if self.take_word("draw") {
                let d = self.draw()?;
                s.draws.push(d);
            } else if self.take_word("correlate") {
                let c = self.correlation()?;
                s.correlations.push(c);
            } else if self.take_word("action") {
                let time_ns = self.int()?;
                self.word("ns")?;
                let span = self.span()?;
                let mut assigns = Vec::new();
                while self.take_word("set") {
                    let var = self.var_name()?;
                    assigns.push((var, self.piece()?));
                }
                let mut sends = Vec::new();
                while self.take_word("send") {
                    sends.push(self.int()?);
                }
                let list = s.branches.last_mut().map_or(&mut s.actions, |b| &mut b.actions);
                list.push(Action { time_ns, assigns, sends, span });
            } else if self.take_word("branch") {
                let name = self.string()?;
                let time_ns = self.int()?;
                self.word("ns")?;
                let span = self.span()?;
                let (mut expects, mut refutes) = (Vec::new(), Vec::new());
                while self.take_word("expect") {
                    let not = self.take_word("not");
                    let path = self.string()?;
                    refutes.extend(not.then(|| path.clone()));
                    expects.push(path);
                }
                s.branches.push(Branch { name, time_ns, actions: Vec::new(), expects, refutes, span });
            } else if self.take_word("expanded") {
                let span = self.span()?;
                s.expanded.push((span, self.string()?));
            } else if self.take_word("requirement") {
                let span = self.span()?;
                let expected = self.take_word("expected");
                s.requirements.push((self.string()?, span, expected));
            } else if !self.hybrid(&mut s)? {
                return self.wanted("an entry: var, eq, initial, enum, table, range, draw, action, branch");
            }
        }
    }

    fn enumeration(&mut self) -> Read<EnumType> {
        let name = self.name()?;
        let mut values = Vec::new();
        self.op("{")?;
        while !self.is_op("}") {
            values.push(self.name()?);
            if !self.take_op(",") {
                break;
            }
        }
        self.op("}")?;
        Ok(EnumType { name, values })
    }

    fn table(&mut self, number: usize) -> Read<Table> {
        if self.name()? != TableId::new(number).to_string() {
            return self.wanted("tables numbered from table0");
        }
        let name = self.string()?;
        let method = self.one_of(METHODS, "a method")?;
        let outside = self.one_of(OUTSIDES, "a rule outside")?;
        let of_time = self.take_word("of_time");
        let (mut x, mut y) = (Vec::new(), Vec::new());
        self.op("{")?;
        while self.take_op("(") {
            x.push(self.real()?);
            self.op(",")?;
            y.push(self.real()?);
            self.op(")")?;
        }
        self.op("}")?;
        Ok(Table { name, x, y, method, outside, of_time })
    }

    fn one_of<T: Copy>(&mut self, list: &[(&'static str, T)], wanted: &'static str) -> Read<T> {
        let Token::Word(w) = self.peek() else { return self.wanted(wanted) };
        match list.iter().find(|(name, _)| name == w) {
            Some((_, t)) => {
                let t = *t;
                self.next();
                Ok(t)
            }
            None => self.wanted(wanted),
        }
    }

    fn var(&mut self) -> Read<Var> {
        let path = self.path()?;
        let len = path
            .iter()
            .flat_map(|s| &s.axes)
            .try_fold(1u32, |n, a| n.checked_mul(*a))
            .map_or_else(|| self.error(Problem::TooLarge), Ok)?;
        self.op(":")?;
        let roles = [Role::Parameter, Role::Input, Role::State, Role::Discrete, Role::Unknown];
        let role = self.one_of(&roles.map(|r| (role_name(r), r)), "a role")?;
        let mut v = Var { fixed: false, ..Var::plain(path, len, role, Kind::Real, Span::default()) };
        while let Token::Word(w) = self.peek() {
            let w = w.clone();
            if !VAR_WORDS.contains(&&*w) {
                break;
            }
            // `enum Name {` begins the next entry, `enum 0` is a kind.
            if w == "enum" && !matches!(self.tokens.get(self.at + 1), Some((Token::Int(_), _))) {
                break;
            }
            self.next();
            match &*w {
                "declared" => {
                    use schema::Role as R;
                    let all = [R::Parameter, R::Input, R::Output, R::State, R::Discrete, R::Variable];
                    v.declared = self.one_of(&all.map(|r| (declared_name(r), r)), "a section")?;
                }
                "int" => v.kind = Kind::Int,
                "bool" => v.kind = Kind::Bool,
                "enum" => v.kind = Kind::Enum(EnumId(self.int()?)),
                "fixed" => v.fixed = true,
                "structural" => v.structural = true,
                "unit" => {
                    v.unit.symbol = self.string()?;
                    if self.take_word("scale") {
                        v.unit.scale = self.real()?;
                    }
                    if self.take_word("offset") {
                        v.unit.offset = self.real()?;
                    }
                }
                "si" => v.si_unit = self.string()?,
                "dim" => {
                    let text = self.string()?;
                    match Dimension::parse(&text) {
                        Some(d) => v.dimension = Some(d),
                        None => return self.wanted("a dimension"),
                    }
                }
                "quantity" => v.quantity = Some(self.string()?),
                "range" => {
                    let lo = self.real()?;
                    self.op("..")?;
                    v.range = Some((lo, self.real()?));
                }
                _ => v.description = Some(self.string()?),
            }
        }
        v.span = self.span()?;
        loop {
            if self.take_word("value") {
                let p = self.piece()?;
                v.value.push(p);
            } else if self.take_word("guess") {
                let p = self.piece()?;
                v.guess.push(p);
            } else {
                return Ok(v);
            }
        }
    }

    fn piece(&mut self) -> Read<Piece> {
        let loops = self.loops()?;
        self.op("@")?;
        self.op("[")?;
        let element = self.affine()?;
        self.op("]")?;
        self.op("=")?;
        let expr = self.expr()?;
        Ok(Piece { loops, element, expr, span: self.span()? })
    }

    fn equation(&mut self) -> Read<Equation> {
        let owner = if self.take_word("owner") { self.string()? } else { String::new() };
        let loops = self.loops()?;
        self.op(":")?;
        let left = self.expr()?;
        self.op("=")?;
        let right = self.expr()?;
        Ok(Equation { loops, left, right, span: self.span()?, owner })
    }

    fn loops(&mut self) -> Read<Vec<Loop>> {
        let mut loops = Vec::new();
        if self.take_word("for") {
            loop {
                loops.push(self.one_loop()?);
                if !self.take_op(",") {
                    break;
                }
            }
        }
        Ok(loops)
    }

    fn one_loop(&mut self) -> Read<Loop> {
        let index = self.index()?;
        self.word("in")?;
        let lo = self.int()?;
        self.op("..")?;
        Ok(Loop { index, lo, hi: self.int()? })
    }

    fn index(&mut self) -> Read<Index> {
        let number = match self.peek() {
            Token::Word(w) => w.strip_prefix('i').and_then(|d| d.parse().ok()),
            _ => None,
        };
        match number {
            Some(n) => {
                self.next();
                Ok(Index(n))
            }
            None => self.wanted("an index: i0, i1, …"),
        }
    }

    fn affine(&mut self) -> Read<Affine> {
        let mut a = Affine::constant(0);
        let mut minus = self.take_op("-");
        loop {
            let sign = if minus { -1 } else { 1 };
            if let Token::Int(_) = self.peek() {
                let n: i64 = self.int()?;
                if self.take_op("*") {
                    a = a.plus(self.index()?, sign * n);
                } else {
                    a.base = match a.base.checked_add(sign * n) {
                        Some(b) => b,
                        None => return self.error(Problem::TooLarge),
                    };
                }
            } else {
                a = a.plus(self.index()?, sign);
            }
            minus = self.is_op("-");
            if !minus && !self.is_op("+") {
                return Ok(a);
            }
            self.next();
        }
    }

    fn var_name(&mut self) -> Read<VarId> {
        let mut names = vec![self.name()?];
        while self.take_op(".") {
            names.push(self.name()?);
        }
        match self.names.get(&names) {
            Some(v) => Ok(*v),
            None => self.error(Problem::UnknownName(names.join("."))),
        }
    }

    fn place(&mut self) -> Read<(VarId, Affine)> {
        let v = self.var_name()?;
        if !self.take_op("[") {
            return Ok((v, Affine::constant(0)));
        }
        let a = self.affine()?;
        self.op("]")?;
        Ok((v, a))
    }

    fn expr(&mut self) -> Read<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error(Problem::TooDeep);
        }
        let e = if self.take_word("if") {
            let c = self.binary(Level::Or)?;
            self.word("then")?;
            let a = self.binary(Level::Or)?;
            self.word("else")?;
            Expr::If(Box::new(c), Box::new(a), Box::new(self.expr()?))
        } else {
            self.binary(Level::Or)?
        };
        self.depth -= 1;
        Ok(e)
    }

    /// The operator here, with its strength, if it binds at least as strongly as `min`.
    fn operator(&self, min: Level) -> Option<(&'static str, Level)> {
        let found = match self.peek() {
            Token::Word(w) => match &**w {
                "or" => ("or", Level::Or),
                "xor" => ("xor", Level::Xor),
                "and" => ("and", Level::And),
                _ => return None,
            },
            Token::Op(o) => match *o {
                "==" | "!=" | "<" | "<=" | ">" | ">=" => (*o, Level::Cmp),
                "+" | "-" => (*o, Level::Add),
                "*" | "/" => (*o, Level::Mul),
                "^" => (*o, Level::Pow),
                _ => return None,
            },
            _ => return None,
        };
        (found.1 >= min).then_some(found)
    }

    fn binary(&mut self, min: Level) -> Read<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error(Problem::TooDeep);
        }
        let mut left = self.unary()?;
        let mut max = Level::Atom;
        while let Some((op, strength)) = self.operator(min).filter(|o| o.1 <= max) {
            self.next();
            let span = self.span()?;
            let right = self.binary(match strength {
                Level::Or => Level::Xor,
                Level::Xor => Level::And,
                Level::And => Level::Not,
                Level::Cmp => Level::Add,
                Level::Add => Level::Mul,
                Level::Mul => Level::Neg,
                _ => Level::Pow,
            })?;
            max = if strength == Level::Cmp { Level::And } else { strength };
            let (a, b) = (Box::new(left), Box::new(right));
            left = match op {
                "or" => Expr::BoolBin(BoolOp::Or, a, b),
                "xor" => Expr::BoolBin(BoolOp::Xor, a, b),
                "and" => Expr::BoolBin(BoolOp::And, a, b),
                "+" => Expr::Bin(BinOp::Add, a, b),
                "-" => Expr::Bin(BinOp::Sub, a, b),
                "*" => Expr::Bin(BinOp::Mul, a, b),
                "/" => Expr::Bin(BinOp::Div, a, b),
                "^" => Expr::Bin(BinOp::Pow, a, b),
                _ => match COMPARISONS.iter().find(|(name, _)| *name == op) {
                    Some((_, cmp)) => Expr::Cmp(*cmp, a, b, span),
                    None => return self.wanted("an operator"),
                },
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Read<Expr> {
        if self.take_word("not") {
            return Ok(Expr::Not(Box::new(self.binary(Level::Not)?)));
        }
        if self.take_op("-") {
            if let Token::Real(x) = *self.peek() {
                self.next();
                return Ok(Expr::Num(-x));
            }
            return Ok(Expr::Un(UnOp::Neg, Box::new(self.binary(Level::Neg)?)));
        }
        self.atom()
    }

    fn atom(&mut self) -> Read<Expr> {
        match self.peek().clone() {
            Token::Real(x) => {
                self.next();
                Ok(Expr::Num(x))
            }
            Token::Op("(") => {
                self.next();
                let e = self.expr()?;
                self.op(")")?;
                Ok(e)
            }
            Token::Op("#(") => {
                self.next();
                let a = self.affine()?;
                self.op(")")?;
                Ok(Expr::Index(a))
            }
            Token::Quoted(_) => {
                let (v, a) = self.place()?;
                Ok(Expr::Var(v, a))
            }
            Token::Word(w) => match &*w {
                "true" | "false" | "time" => {
                    self.next();
                    Ok(match &*w {
                        "true" => Expr::Bool(true),
                        "false" => Expr::Bool(false),
                        _ => Expr::Time,
                    })
                }
                _ if matches!(self.tokens.get(self.at + 1), Some((Token::Op("(" | "~"), _)))
                    && !self.names.contains_key(std::slice::from_ref(&w))
                    || matches!(self.tokens.get(self.at + 1), Some((Token::Op("("), _))) =>
                {
                    self.call(&w)
                }
                _ => {
                    let (v, a) = self.place()?;
                    Ok(Expr::Var(v, a))
                }
            },
            _ => self.wanted("an expression"),
        }
    }

    fn call(&mut self, name: &str) -> Read<Expr> {
        self.next();
        let span = self.span()?;
        self.op("(")?;
        if name == "der" || name == "start" {
            let (v, a) = self.place()?;
            self.op(")")?;
            return Ok(if name == "der" { Expr::Der(v, a) } else { Expr::Start(v, a) });
        }
        if name == "at" {
            let (var, base) = self.place()?;
            self.op(",")?;
            let at = Box::new(self.expr()?);
            self.op(",")?;
            let len = self.int()?;
            self.op(",")?;
            let stride = self.int()?;
            self.op(")")?;
            return Ok(Expr::VarAt { var, base, at, len, stride, span });
        }
        let mut args = vec![self.expr()?];
        if self.take_word("for") {
            let l = self.one_loop()?;
            self.op(")")?;
            let Some((_, f)) = FOLDS.iter().find(|(n, _)| *n == name) else {
                return self.wanted("sum, product, min, max, all or any before `for`");
            };
            let body = args.remove(0);
            return Ok(Expr::Fold(*f, Box::new(l), Box::new(body)));
        }
        while self.take_op(",") {
            args.push(self.expr()?);
        }
        self.op(")")?;
        if let Some((_, f)) = MATH.iter().find(|(n, _)| *n == name) {
            return Ok(Expr::Math(*f, args));
        }
        let table = name.strip_prefix("table").and_then(|n| n.parse().ok());
        let mut args = args.into_iter().map(Box::new);
        match (args.next(), args.next(), args.next()) {
            (Some(a), None, None) => {
                if let Some((_, f)) = STEPS.iter().find(|(n, _)| *n == name) {
                    return Ok(Expr::Step(*f, a, span));
                }
                match name {
                    "abs" => return Ok(Expr::Un(UnOp::Abs, a)),
                    "sqrt" => return Ok(Expr::Un(UnOp::Sqrt, a)),
                    "sign" => return Ok(Expr::Un(UnOp::Sign, a)),
                    "noevent" => return Ok(Expr::NoEvent(a)),
                    "num" => return Ok(Expr::BoolToNum(a)),
                    _ => {}
                }
                if let Some(t) = table {
                    return Ok(Expr::Table(TableId(t), a));
                }
            }
            (Some(a), Some(b), None) => match name {
                "min" => return Ok(Expr::Bin(BinOp::Min, a, b)),
                "max" => return Ok(Expr::Bin(BinOp::Max, a, b)),
                "delay" => return Ok(Expr::Delay(a, b)),
                _ => {}
            },
            _ => {}
        }
        self.error(Problem::Expected { wanted: "a function with these arguments", found: name.to_owned() })
    }
}
