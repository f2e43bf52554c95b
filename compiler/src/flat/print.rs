//! The text form of a flat system. What is printed reads back to the same system, bit for bit.
//!
//! ```text
//! flat Plant
//! network
//! enum Valve { open, closed }
//! table table0 "pump.csv: rise" linear hold of_time { (0.0, 1.0) (2.0, 3.5) }
//!
//! var tanks[3].area : parameter unit "m^2" si "m^2" dim "m^2"
//!   value for i0 in 0..3 @[i0] = 2.0
//! var tanks[3].h : state fixed unit "cm" scale 0.01 si "m" quantity "Length"
//!   value for i0 in 0..3 @[i0] = 1.0
//! var running : discrete bool
//!   value @[0] = true
//!
//! eq for i0 in 0..3 : der(tanks.h[i0]) = (tanks.q_in[i0] - tanks.q_out[i0]) / tanks.area[i0]
//! eq owner "tanks[*]" for i0 in 0..3 : tanks.q_out[i0] = tanks.k[i0] * sqrt(tanks.h[i0])
//! initial : total = sum(tanks.h[i1] for i1 in 0..3)
//! range stop owner "tanks[*]" for i0 in 0..3 : tanks.h[i0] = tanks.h[i0] >= 0.0
//! draw for i0 in 0..3 tanks.area @[i0] = normal(2.0, 0.05)
//! next for i0 in 0..3 : tanks.full[i0] = num(tanks.h[i0] > 2.0)
//! clamp tanks.h limits tanks.h_min - held tanks.h_low -
//! noise torque first [1]
//! change tanks.full
//! action 1800000000000 ns
//!   set q for i0 in 0..3 @[i0] = 0.0
//! branch "no_repair" 2700000000000 ns
//!   expect "drains"
//! action 2700000000000 ns
//!   set running @[0] = false
//! expanded "the loop's condition depends on the index"
//! requirement expected "tanks[*].no_overflow"
//! place "tanks[*]"
//! behavior {
//!   handler { … }
//! }
//! ```
//!
//! - `behavior` stands last and has the form that it has in programs, with families numbered as the `var`s are; a place
//!   that it names (`@2`) is a number in the list of `place`s.
//! - `network` says that acausal connections join ports.
//! - Actions behind a `branch` are that branch's.
//! - `x[AFFINE]` is an element by its flat number, `x` alone is element 0; `AFFINE` is like `2*i0 - i1 + 3`.
//! - Numbers have a point or an exponent and are exact; `inf`, `nan`; `#(AFFINE)` is an affine function of
//!   the indices as a number.
//! - `at(x[AFFINE], e, len, stride)` is element `AFFINE + stride·e`.
//! - `num(b)` is a truth value as a number. `and or xor not`, `if c then a else b`, `min(a, b)`,
//!   `min(e for i1 in 0..3)`, `table0(e)`, `delay(e, tau)`, `noevent(e)`, `start(x)`, `der(x)`.
//! - A name that is no plain word, or a word of this form, stands in backquotes (a backquote doubled).
//! - `~file:lo..hi` behind an operator, a function's name, `at` or an entry is a place in the source.
//! - `// …` is a comment. Line breaks mean nothing.

mod draws;
mod hybrid;

use super::{
    Action, Affine, BinOp, BoolOp, CmpOp, Equation, Expr, Fold, Loop, MathFn, Piece, Role, StepFn, System,
    UnOp, Var,
};
use crate::source::Span;
use std::fmt::Write;
use twinml_model::ids::VarId;
use twinml_model::program::{Outside, RangeElse, TableMethod};
use twinml_model::schema::{self, Kind, Segment};

/// What to print beside the system itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Places in the source (`~file:lo..hi`). Without them the system reads back with empty spans.
    pub spans: bool,
}

/// The system as text.
#[must_use]
pub fn print(system: &System, options: Options) -> String {
    let names = system.vars.iter().map(name_of).collect();
    let mut p = Printer { out: String::new(), names, arrays: arrays_of(system), spans: options.spans };
    p.system(system);
    p.out
}

/// One expression as text, with the names of `system`'s variables and without places.
#[must_use]
pub fn print_expr(system: &System, e: &Expr) -> String {
    let names = system.vars.iter().map(name_of).collect();
    let mut p = Printer { out: String::new(), names, arrays: arrays_of(system), spans: false };
    p.expr(e, Level::If);
    p.out
}

/// One equation as text, with the names of `system`'s variables and without places.
#[must_use]
pub fn print_equation(system: &System, e: &Equation) -> String {
    let names = system.vars.iter().map(name_of).collect();
    let mut p = Printer { out: String::new(), names, arrays: arrays_of(system), spans: false };
    p.loops(&e.loops);
    if !e.loops.is_empty() {
        p.out.push_str(" : ");
    }
    p.expr(&e.left, Level::If);
    p.out.push_str(" = ");
    p.expr(&e.right, Level::If);
    p.out.trim_start().to_owned()
}

/// Words that a variable's name must be quoted for.
pub(super) const WORDS: &[&str] = &[
    "if",
    "then",
    "else",
    "for",
    "in",
    "and",
    "or",
    "xor",
    "not",
    "true",
    "false",
    "inf",
    "nan",
    "time",
    "eq",
    "initial",
    "var",
    "enum",
    "table",
    "action",
    "expanded",
    "requirement",
    "flat",
    "network",
    "set",
    "owner",
    "value",
    "guess",
    "unit",
    "scale",
    "offset",
    "si",
    "dim",
    "quantity",
    "doc",
    "range",
    "draw",
    "correlate",
    "into",
    "fixed",
    "structural",
    "declared",
    "int",
    "bool",
    "expected",
    "ns",
];

/// Binding strength, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    If,
    Or,
    Xor,
    And,
    Not,
    Cmp,
    Add,
    Mul,
    Neg,
    Pow,
    Atom,
}

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Parameter => "parameter",
        Role::Input => "input",
        Role::State => "state",
        Role::Discrete => "discrete",
        Role::Unknown => "unknown",
    }
}

pub(super) fn declared_name(role: schema::Role) -> &'static str {
    match role {
        schema::Role::Parameter => "parameters",
        schema::Role::Input => "inputs",
        schema::Role::Output => "outputs",
        schema::Role::State => "states",
        schema::Role::Discrete => "discretes",
        schema::Role::Variable => "variables",
    }
}

/// The section that a role comes from unless another is named.
pub(super) fn usual_section(role: Role) -> schema::Role {
    match role {
        Role::Parameter => schema::Role::Parameter,
        Role::Input => schema::Role::Input,
        Role::State => schema::Role::State,
        Role::Discrete => schema::Role::Discrete,
        Role::Unknown => schema::Role::Variable,
    }
}

pub(super) const MATH: &[(&str, MathFn)] = &[
    ("exp", MathFn::Exp),
    ("expm1", MathFn::Expm1),
    ("log", MathFn::Log),
    ("log1p", MathFn::Log1p),
    ("log10", MathFn::Log10),
    ("log2", MathFn::Log2),
    ("sin", MathFn::Sin),
    ("cos", MathFn::Cos),
    ("tan", MathFn::Tan),
    ("asin", MathFn::Asin),
    ("acos", MathFn::Acos),
    ("atan", MathFn::Atan),
    ("atan2", MathFn::Atan2),
    ("sinh", MathFn::Sinh),
    ("cosh", MathFn::Cosh),
    ("tanh", MathFn::Tanh),
    ("asinh", MathFn::Asinh),
    ("acosh", MathFn::Acosh),
    ("atanh", MathFn::Atanh),
    ("pow", MathFn::Pow),
    ("cbrt", MathFn::Cbrt),
    ("hypot", MathFn::Hypot),
    ("erf", MathFn::Erf),
    ("gamma", MathFn::Gamma),
    ("digamma", MathFn::Digamma),
    ("trigamma", MathFn::Trigamma),
    ("sin_beside", MathFn::SinBeside),
    ("sin_moved", MathFn::SinMoved),
    ("cos_moved", MathFn::CosMoved),
    ("sin_beside_moved", MathFn::SinBesideMoved),
];

pub(super) const STEPS: &[(&str, StepFn)] =
    &[("floor", StepFn::Floor), ("ceil", StepFn::Ceil), ("round", StepFn::Round), ("trunc", StepFn::Trunc)];

pub(super) const FOLDS: &[(&str, Fold)] = &[
    ("sum", Fold::Sum),
    ("product", Fold::Product),
    ("min", Fold::Min),
    ("max", Fold::Max),
    ("all", Fold::All),
    ("any", Fold::Any),
];

pub(super) const COMPARISONS: &[(&str, CmpOp)] = &[
    ("==", CmpOp::Eq),
    ("!=", CmpOp::Ne),
    ("<=", CmpOp::Le),
    (">=", CmpOp::Ge),
    ("<", CmpOp::Lt),
    (">", CmpOp::Gt),
];

pub(super) const METHODS: &[(&str, TableMethod)] = &[
    ("linear", TableMethod::Linear),
    ("step", TableMethod::Step),
    ("pchip", TableMethod::Pchip),
    ("cubic", TableMethod::Cubic),
];

pub(super) const OUTSIDES: &[(&str, Outside)] = &[
    ("hold", Outside::Hold),
    ("error", Outside::Error),
    ("extend", Outside::Extend),
    ("repeat", Outside::Repeat),
];

fn word_of<T: PartialEq>(list: &[(&'static str, T)], what: &T) -> &'static str {
    // The tables above hold every variant; a test prints each of them.
    list.iter().find(|(_, w)| w == what).map_or("?", |(name, _)| name)
}

/// Whether `name` reads as a name without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    let index =
        name.strip_prefix('i').is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    first && chars.all(|c| c == '_' || c.is_alphanumeric()) && !index && !WORDS.contains(&name)
}

fn write_name(out: &mut String, name: &str) {
    if is_plain(name) {
        out.push_str(name);
    } else {
        out.push('`');
        out.push_str(&name.replace('`', "``"));
        out.push('`');
    }
}

fn name_of(var: &Var) -> String {
    let mut out = String::new();
    for (k, s) in var.path.iter().enumerate() {
        if k > 0 {
            out.push('.');
        }
        write_name(&mut out, &s.name);
    }
    out
}

fn arrays_of(system: &System) -> Vec<bool> {
    system.vars.iter().map(|v| v.path.iter().any(|s| !s.axes.is_empty())).collect()
}

fn write_path(out: &mut String, path: &[Segment]) {
    for (k, s) in path.iter().enumerate() {
        if k > 0 {
            out.push('.');
        }
        write_name(out, &s.name);
        if !s.axes.is_empty() {
            let axes: Vec<String> = s.axes.iter().map(u32::to_string).collect();
            let _ = write!(out, "[{}]", axes.join(", "));
        }
    }
}

/// A number that reads back to the same bits (all NaNs alike).
pub(super) fn number(x: f64) -> String {
    if x.is_nan() {
        String::from("nan")
    } else if x.is_infinite() {
        String::from(if x > 0.0 { "inf" } else { "-inf" })
    } else {
        format!("{x:?}")
    }
}

/// `2*i0 - i1 + 3`
pub(super) fn affine(a: &Affine) -> String {
    let mut out = String::new();
    for &(index, stride) in &a.terms {
        let sign = if stride < 0 { "-" } else { "+" };
        match (out.is_empty(), stride < 0) {
            (true, false) => {}
            (true, true) => out.push('-'),
            (false, _) => {
                let _ = write!(out, " {sign} ");
            }
        }
        if stride.unsigned_abs() != 1 {
            let _ = write!(out, "{}*", stride.unsigned_abs());
        }
        let _ = write!(out, "{index}");
    }
    if out.is_empty() {
        let _ = write!(out, "{}", a.base);
    } else if a.base != 0 {
        let _ = write!(out, " {} {}", if a.base < 0 { '-' } else { '+' }, a.base.unsigned_abs());
    }
    out
}

fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Printer {
    out: String,
    names: Vec<String>,
    /// Whether each family has axes: then its element is always shown.
    arrays: Vec<bool>,
    spans: bool,
}

impl Printer {
    fn system(&mut self, s: &System) {
        self.out.push_str("flat ");
        write_name(&mut self.out, &s.name);
        self.out.push('\n');
        if s.network {
            self.out.push_str("network\n");
        }
        for e in &s.enums {
            self.out.push_str("enum ");
            write_name(&mut self.out, &e.name);
            self.out.push_str(" {");
            for (k, v) in e.values.iter().enumerate() {
                self.out.push_str(if k > 0 { ", " } else { " " });
                write_name(&mut self.out, v);
            }
            self.out.push_str(" }\n");
        }
        for (k, t) in s.tables.iter().enumerate() {
            let method = word_of(METHODS, &t.method);
            let outside = word_of(OUTSIDES, &t.outside);
            let of_time = if t.of_time { " of_time" } else { "" };
            let _ = write!(self.out, "table table{k} {} {method} {outside}{of_time} {{", string(&t.name));
            for (x, y) in t.x.iter().zip(&t.y) {
                let _ = write!(self.out, " ({}, {})", number(*x), number(*y));
            }
            self.out.push_str(" }\n");
        }
        self.out.push('\n');
        for v in &s.vars {
            self.var(v);
        }
        self.out.push('\n');
        for e in &s.equations {
            self.equation("eq", e);
        }
        for e in &s.initial_equations {
            self.equation("initial", e);
        }
        for r in &s.ranges {
            self.equation(if r.otherwise == RangeElse::Stop { "range stop" } else { "range" }, &r.is);
        }
        self.hybrid(s);
        for d in &s.draws {
            self.draw(d);
        }
        for c in &s.correlations {
            self.correlation(c);
        }
        self.actions(&s.actions);
        for b in &s.branches {
            let _ = write!(self.out, "branch {} {} ns", string(&b.name), b.time_ns);
            self.span(b.span);
            self.out.push('\n');
            for e in &b.expects {
                let not = if b.refutes.contains(e) { "not " } else { "" };
                let _ = writeln!(self.out, "  expect {not}{}", string(e));
            }
            self.actions(&b.actions);
        }
        for (span, why) in &s.expanded {
            self.out.push_str("expanded");
            self.span(*span);
            let _ = writeln!(self.out, " {}", string(why));
        }
        for (path, span, expected) in &s.requirements {
            self.out.push_str("requirement");
            self.span(*span);
            let _ = writeln!(self.out, "{} {}", if *expected { " expected" } else { "" }, string(path));
        }
        self.behavior(s);
    }

    fn actions(&mut self, list: &[Action]) {
        for a in list {
            let _ = write!(self.out, "action {} ns", a.time_ns);
            self.span(a.span);
            self.out.push('\n');
            for (var, piece) in &a.assigns {
                let _ = write!(self.out, "  set {}", self.names[var.index()]);
                self.piece(piece);
            }
            for code in &a.sends {
                let _ = writeln!(self.out, "  send {code}");
            }
        }
    }

    fn var(&mut self, v: &Var) {
        self.out.push_str("var ");
        write_path(&mut self.out, &v.path);
        let _ = write!(self.out, " : {}", role_name(v.role));
        if v.declared != usual_section(v.role) {
            let _ = write!(self.out, " declared {}", declared_name(v.declared));
        }
        match v.kind {
            Kind::Real => {}
            Kind::Int => self.out.push_str(" int"),
            Kind::Bool => self.out.push_str(" bool"),
            Kind::Enum(id) => {
                let _ = write!(self.out, " enum {}", id.0);
            }
        }
        for (on, word) in [(v.fixed, " fixed"), (v.structural, " structural")] {
            if on {
                self.out.push_str(word);
            }
        }
        if v.unit != schema::DisplayUnit::default() {
            let _ = write!(self.out, " unit {}", string(&v.unit.symbol));
            if v.unit.scale.to_bits() != 1f64.to_bits() {
                let _ = write!(self.out, " scale {}", number(v.unit.scale));
            }
            if v.unit.offset.to_bits() != 0f64.to_bits() {
                let _ = write!(self.out, " offset {}", number(v.unit.offset));
            }
        }
        if !v.si_unit.is_empty() {
            let _ = write!(self.out, " si {}", string(&v.si_unit));
        }
        if let Some(d) = &v.dimension {
            let _ = write!(self.out, " dim {}", string(&d.to_string()));
        }
        if let Some(q) = &v.quantity {
            let _ = write!(self.out, " quantity {}", string(q));
        }
        if let Some((lo, hi)) = v.range {
            let _ = write!(self.out, " range {} .. {}", number(lo), number(hi));
        }
        if let Some(d) = &v.description {
            let _ = write!(self.out, " doc {}", string(d));
        }
        self.span(v.span);
        self.out.push('\n');
        for (word, pieces) in [("value", &v.value), ("guess", &v.guess)] {
            for p in pieces {
                let _ = write!(self.out, "  {word}");
                self.piece(p);
            }
        }
    }

    fn piece(&mut self, p: &Piece) {
        self.loops(&p.loops);
        let _ = write!(self.out, " @[{}] = ", affine(&p.element));
        self.expr(&p.expr, Level::If);
        self.span(p.span);
        self.out.push('\n');
    }

    fn equation(&mut self, word: &str, e: &Equation) {
        self.out.push_str(word);
        if !e.owner.is_empty() {
            let _ = write!(self.out, " owner {}", string(&e.owner));
        }
        self.loops(&e.loops);
        self.out.push_str(" : ");
        self.expr(&e.left, Level::If);
        self.out.push_str(" = ");
        self.expr(&e.right, Level::If);
        self.span(e.span);
        self.out.push('\n');
    }

    fn loops(&mut self, loops: &[Loop]) {
        for (k, l) in loops.iter().enumerate() {
            let word = if k == 0 { " for" } else { "," };
            let _ = write!(self.out, "{word} {} in {}..{}", l.index, l.lo, l.hi);
        }
    }

    fn span(&mut self, span: Span) {
        if self.spans && span != Span::default() {
            let _ = write!(self.out, " ~{}:{}..{}", span.file.0, span.lo, span.hi);
        }
    }

    fn place(&mut self, var: VarId, at: &Affine) {
        self.out.push_str(self.names.get(var.index()).map_or("?", String::as_str));
        if *at != Affine::constant(0) || self.arrays.get(var.index()).copied().unwrap_or(true) {
            let _ = write!(self.out, "[{}]", affine(at));
        }
    }

    fn call(&mut self, name: &str, span: Span, args: &[&Expr]) {
        self.out.push_str(name);
        if span != Span::default() && self.spans {
            self.span(span);
            self.out.push(' ');
        }
        self.out.push('(');
        for (k, a) in args.iter().enumerate() {
            if k > 0 {
                self.out.push_str(", ");
            }
            self.expr(a, Level::If);
        }
        self.out.push(')');
    }

    /// Prints `e` so that it stands where at least `min` is wanted.
    fn expr(&mut self, e: &Expr, min: Level) {
        let own = level(e);
        if own < min {
            self.out.push('(');
            self.bare(e);
            self.out.push(')');
        } else {
            self.bare(e);
        }
    }

    fn binary(&mut self, op: &str, span: Span, left: (&Expr, Level), right: (&Expr, Level)) {
        self.expr(left.0, left.1);
        let _ = write!(self.out, " {op}");
        self.span(span);
        self.out.push(' ');
        self.expr(right.0, right.1);
    }

    fn bare(&mut self, e: &Expr) {
        const NOWHERE: Span = Span { file: crate::source::FileId(0), lo: 0, hi: 0 };
        match e {
            Expr::Num(x) => self.out.push_str(&number(*x)),
            Expr::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Expr::Time => self.out.push_str("time"),
            Expr::Index(a) => {
                let _ = write!(self.out, "#({})", affine(a));
            }
            Expr::Var(v, a) => self.place(*v, a),
            Expr::VarAt { var, base, at, len, stride, span } => {
                self.out.push_str("at");
                if *span != NOWHERE && self.spans {
                    self.span(*span);
                    self.out.push(' ');
                }
                self.out.push('(');
                self.place(*var, base);
                self.out.push_str(", ");
                self.expr(at, Level::If);
                let _ = write!(self.out, ", {len}, {stride})");
            }
            Expr::Der(v, a) | Expr::Start(v, a) => {
                self.out.push_str(if matches!(e, Expr::Der(..)) { "der(" } else { "start(" });
                self.place(*v, a);
                self.out.push(')');
            }
            Expr::Un(UnOp::Neg, a) => {
                self.out.push('-');
                // `-1.0` is a literal, and so would be the base in `-2.0 ^ x`.
                if matches!(**a, Expr::Num(_) | Expr::Bin(BinOp::Pow, ..)) {
                    self.out.push('(');
                    self.bare(a);
                    self.out.push(')');
                } else {
                    self.expr(a, Level::Neg);
                }
            }
            Expr::Un(UnOp::Abs, a) => self.call("abs", NOWHERE, &[a]),
            Expr::Un(UnOp::Sqrt, a) => self.call("sqrt", NOWHERE, &[a]),
            Expr::Un(UnOp::Sign, a) => self.call("sign", NOWHERE, &[a]),
            Expr::Bin(op, a, b) => match op {
                BinOp::Add => self.binary("+", NOWHERE, (a, Level::Add), (b, Level::Mul)),
                BinOp::Sub => self.binary("-", NOWHERE, (a, Level::Add), (b, Level::Mul)),
                BinOp::Mul => self.binary("*", NOWHERE, (a, Level::Mul), (b, Level::Neg)),
                BinOp::Div => self.binary("/", NOWHERE, (a, Level::Mul), (b, Level::Neg)),
                BinOp::Pow => self.binary("^", NOWHERE, (a, Level::Atom), (b, Level::Neg)),
                BinOp::Min => self.call("min", NOWHERE, &[a, b]),
                BinOp::Max => self.call("max", NOWHERE, &[a, b]),
            },
            Expr::Math(f, args) => {
                let args: Vec<&Expr> = args.iter().collect();
                self.call(word_of(MATH, f), NOWHERE, &args);
            }
            Expr::Step(f, a, span) => self.call(word_of(STEPS, f), *span, &[a]),
            Expr::Cmp(op, a, b, span) => {
                self.binary(word_of(COMPARISONS, op), *span, (a, Level::Add), (b, Level::Add));
            }
            Expr::BoolBin(op, a, b) => {
                let (word, left, right) = match op {
                    BoolOp::And => ("and", Level::And, Level::Not),
                    BoolOp::Or => ("or", Level::Or, Level::Xor),
                    BoolOp::Xor => ("xor", Level::Xor, Level::And),
                };
                self.binary(word, NOWHERE, (a, left), (b, right));
            }
            Expr::Not(a) => {
                self.out.push_str("not ");
                self.expr(a, Level::Not);
            }
            Expr::If(c, a, b) => {
                self.out.push_str("if ");
                self.expr(c, Level::Or);
                self.out.push_str(" then ");
                self.expr(a, Level::Or);
                self.out.push_str(" else ");
                self.expr(b, Level::If);
            }
            Expr::Fold(f, l, body) => {
                let _ = write!(self.out, "{}(", word_of(FOLDS, f));
                self.expr(body, Level::If);
                let _ = write!(self.out, " for {} in {}..{})", l.index, l.lo, l.hi);
            }
            Expr::Table(t, a) => self.call(&t.to_string(), NOWHERE, &[a]),
            Expr::Delay(a, tau) => self.call("delay", NOWHERE, &[a, tau]),
            Expr::NoEvent(a) => self.call("noevent", NOWHERE, &[a]),
            Expr::BoolToNum(a) => self.call("num", NOWHERE, &[a]),
        }
    }
}

/// How strongly `e` binds as printed.
fn level(e: &Expr) -> Level {
    match e {
        // A negative literal is one token, yet reads better in parentheses as a base or a factor's base.
        Expr::Num(x) if x.is_sign_negative() && !x.is_nan() => Level::Neg,
        Expr::Un(UnOp::Neg, _) => Level::Neg,
        Expr::Bin(BinOp::Add | BinOp::Sub, ..) => Level::Add,
        Expr::Bin(BinOp::Mul | BinOp::Div, ..) => Level::Mul,
        Expr::Bin(BinOp::Pow, ..) => Level::Pow,
        Expr::Cmp(..) => Level::Cmp,
        Expr::BoolBin(BoolOp::And, ..) => Level::And,
        Expr::BoolBin(BoolOp::Or, ..) => Level::Or,
        Expr::BoolBin(BoolOp::Xor, ..) => Level::Xor,
        Expr::Not(_) => Level::Not,
        Expr::If(..) => Level::If,
        _ => Level::Atom,
    }
}
