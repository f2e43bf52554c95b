//! Expressions, types and unit expressions.

use super::{MAX_DEPTH, Name, Path, Text};
use crate::source::Span;
use std::sync::Arc;

/// A rational exponent in lowest terms, `den > 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ratio {
    /// Numerator.
    pub num: i32,
    /// Denominator, positive.
    pub den: i32,
}

impl Ratio {
    /// One.
    pub const ONE: Ratio = Ratio { num: 1, den: 1 };

    /// `num/den` in lowest terms; `None` for a zero denominator or what does not fit.
    pub fn new(num: i64, den: i64) -> Option<Ratio> {
        if den == 0 {
            return None;
        }
        let (mut a, mut b) = (num.unsigned_abs(), den.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let g = i64::try_from(a.max(1)).ok()?;
        let sign = if den < 0 { -1 } else { 1 };
        let num = i32::try_from((num / g).checked_mul(sign)?).ok()?;
        let den = i32::try_from((den / g).checked_mul(sign)?).ok()?;
        Some(Ratio { num, den })
    }
}

/// One factor of a unit expression: `m`, `s^-2`, `%`.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitFactor {
    /// The unit's name as written: `kJ`, `degC`, `%`.
    pub name: Name,
    /// Its exponent; a division has already changed the sign.
    pub exp: Ratio,
}

/// A unit as written, flattened to a product of powers: `kJ/(kg*K)` is `kJ^1 kg^-1 K^-1`.
/// No factors at all is the unit one (`[1]`); `1/h` is `h^-1`.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitExpr {
    /// The factors in the order of the text.
    pub factors: Vec<UnitFactor>,
    /// The unit without brackets.
    pub span: Span,
}

/// A number, with its unit if it has one: one atom of the language.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// The number's value in its unit, rounded to nearest. A minus that belongs to the literal
    /// (`-20 degC`) is already in.
    pub value: f64,
    /// The digits without underscores, with the minus that belongs to the literal; hexadecimal
    /// ones with `0x`.
    pub text: Text,
    /// Whether it was written without a point, an exponent and a unit.
    pub is_int: bool,
    /// The unit.
    pub unit: Option<UnitExpr>,
}

/// A piece of a string.
#[derive(Debug, Clone, PartialEq)]
pub enum StrPart {
    /// Text with its escapes resolved.
    Text(Text),
    /// `${expression}`
    Expr(Expr),
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// All of it, parentheses not included.
    pub span: Span,
    depth: u16,
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `9.81 m/s^2`, `42`
    Number(Arc<Number>),
    /// `true`, `false`
    Bool(bool),
    /// `none`
    None,
    /// `"level ${h}"`; a plain string has at most one part.
    Str(Vec<StrPart>),
    /// `2026-01-05T00:00+01:00`, as written and known to exist
    Timestamp(Text),
    /// `h`, `time`, `self`, `pi`
    Name(Name),
    /// `tank.h`
    Field {
        /// What is looked into.
        base: Box<Expr>,
        /// The member.
        name: Name,
    },
    /// `x[i]`, `a[i, ..]`, `a[1..4]`; an index may be a `Range`.
    Index {
        /// The array.
        base: Box<Expr>,
        /// At least one.
        indices: Vec<Expr>,
    },
    /// `a..b`; an end may be missing inside an index only.
    Range {
        /// First value, included.
        lo: Option<Box<Expr>>,
        /// Last value, excluded.
        hi: Option<Box<Expr>>,
    },
    /// `f(x, n: 2)`, `Job(id: 1)`, `der(x)`, `buffer.len()`
    Call {
        /// What is called: mostly a `Name` or a `Field`.
        callee: Box<Expr>,
        /// The arguments.
        args: Vec<Arg>,
    },
    /// `-x`, `not b`
    Unary {
        /// The operator.
        op: UnaryOp,
        /// The operand.
        expr: Box<Expr>,
    },
    /// `a + b`; comparisons are `Compare`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `a < b`, `0 <= x <= 1`: the conjunction of neighbours.
    Compare {
        /// The first operand.
        first: Box<Expr>,
        /// Operators and operands to its right, at least one.
        rest: Vec<(CompareOp, Expr)>,
    },
    /// `if c then a else if d then b else e`
    If {
        /// Conditions and values, at least one.
        arms: Vec<(Expr, Expr)>,
        /// The value after the last `else`.
        otherwise: Box<Expr>,
    },
    /// `[1, 2, 3]`
    Array(Vec<Expr>),
    /// `[f(i) for i in 0..n if i != k]`
    ArrayFor(Box<Generator>),
    /// `f(i) for i in 0..n`: only as the argument of a reduction
    Generator(Box<Generator>),
    /// `b -> b.cost`, `(a, b) -> a + b`: only as an argument
    Closure {
        /// The parameters.
        params: Vec<Name>,
        /// The value.
        body: Box<Expr>,
    },
    /// `always[0, 10 s](p)` and its kin
    Temporal {
        /// The operator.
        op: TemporalOp,
        /// The window in brackets.
        window: Option<Box<(Expr, Expr)>>,
        /// The formula.
        expr: Box<Expr>,
    },
    /// `p until[a, b] q`, `p since[a, b] q`
    TemporalBinary {
        /// The operator.
        op: TemporalBinaryOp,
        /// The window in brackets.
        window: Option<Box<(Expr, Expr)>>,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `e over run`, `e over [a, b]`: only as the argument of an aggregate
    Over {
        /// The quantity.
        expr: Box<Expr>,
        /// The window; `None` is `run`.
        window: Option<Box<(Expr, Expr)>>,
    },
    /// `e at end`
    AtEnd(Box<Expr>),
    /// `plan(x) as Advice`
    As {
        /// The value.
        expr: Box<Expr>,
        /// The type.
        ty: Box<TypeExpr>,
    },
    /// `plan(x) else fallback`
    OrElse {
        /// The call that may fail.
        expr: Box<Expr>,
        /// The value when it does.
        fallback: Box<Expr>,
    },
    /// `shutdown within 5 s`: only in event patterns
    Within {
        /// What happens.
        expr: Box<Expr>,
        /// The time allowed.
        limit: Box<Expr>,
    },
    /// `a -> b` in `causal(a -> b within d)`
    LeadsTo {
        /// The cause.
        cause: Box<Expr>,
        /// The effect.
        effect: Box<Expr>,
    },
    /// Something that could not be read.
    Error,
}

impl Expr {
    /// A node; its depth comes from its children. Deeper than [`MAX_DEPTH`] is the parser's to
    /// refuse (see `too_deep`).
    pub fn new(kind: ExprKind, span: Span) -> Expr {
        let mut depth = 0;
        kind.for_each_child(&mut |e| depth = depth.max(e.depth));
        Expr { kind, span, depth: depth.saturating_add(1) }
    }

    /// An error node.
    pub fn error(span: Span) -> Expr {
        Expr { kind: ExprKind::Error, span, depth: 1 }
    }

    /// A name as an expression.
    pub fn name(name: Name) -> Expr {
        let span = name.span;
        Expr { kind: ExprKind::Name(name), span, depth: 1 }
    }

    /// Levels of the tree, 1 for a leaf.
    pub fn depth(&self) -> u16 {
        self.depth
    }

    /// Whether the tree is deeper than the parser may hand on.
    pub fn too_deep(&self) -> bool {
        self.depth > MAX_DEPTH
    }

    /// Whether this is an error node.
    pub fn is_error(&self) -> bool {
        matches!(self.kind, ExprKind::Error)
    }

    /// The name, if the expression is just one.
    pub fn as_name(&self) -> Option<&Name> {
        match &self.kind {
            ExprKind::Name(n) => Some(n),
            _ => None,
        }
    }

    /// The names of a path without indices: `a.b.c`.
    pub fn as_path(&self) -> Option<Path> {
        let mut names = Vec::new();
        let mut e = self;
        loop {
            match &e.kind {
                ExprKind::Name(n) => {
                    names.push(n.clone());
                    names.reverse();
                    return Some(Path { names, span: self.span });
                }
                ExprKind::Field { base, name } => {
                    names.push(name.clone());
                    e = base;
                }
                _ => return None,
            }
        }
    }

    /// The string, if the expression is one without interpolation.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Str(parts) => match parts.as_slice() {
                [] => Some(""),
                [StrPart::Text(t)] => Some(t),
                _ => None,
            },
            _ => None,
        }
    }
}

impl ExprKind {
    /// Calls `f` for every direct child expression, in the order of the text. Types and array sizes
    /// in them are not visited.
    pub fn for_each_child<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match self {
            ExprKind::Number(_)
            | ExprKind::Bool(_)
            | ExprKind::None
            | ExprKind::Timestamp(_)
            | ExprKind::Name(_)
            | ExprKind::Error => {}
            ExprKind::Str(parts) => {
                for p in parts {
                    if let StrPart::Expr(e) = p {
                        f(e);
                    }
                }
            }
            ExprKind::Field { base, .. } => f(base),
            ExprKind::Index { base, indices } => {
                f(base);
                indices.iter().for_each(f);
            }
            ExprKind::Range { lo, hi } => {
                lo.iter().for_each(|e| f(e));
                hi.iter().for_each(|e| f(e));
            }
            ExprKind::Call { callee, args } => {
                f(callee);
                args.iter().for_each(|a| f(&a.value));
            }
            ExprKind::Unary { expr, .. } | ExprKind::AtEnd(expr) | ExprKind::As { expr, .. } => f(expr),
            ExprKind::Binary { left, right, .. } => {
                f(left);
                f(right);
            }
            ExprKind::Compare { first, rest } => {
                f(first);
                rest.iter().for_each(|(_, e)| f(e));
            }
            ExprKind::If { arms, otherwise } => {
                for (c, v) in arms {
                    f(c);
                    f(v);
                }
                f(otherwise);
            }
            ExprKind::Array(items) => items.iter().for_each(f),
            ExprKind::ArrayFor(g) | ExprKind::Generator(g) => {
                f(&g.body);
                for c in &g.clauses {
                    f(&c.iter);
                    c.cond.iter().for_each(&mut *f);
                }
            }
            ExprKind::Closure { body, .. } => f(body),
            ExprKind::Temporal { window, expr, .. } | ExprKind::Over { expr, window } => {
                if let Some(w) = window {
                    f(&w.0);
                    f(&w.1);
                }
                f(expr);
            }
            ExprKind::TemporalBinary { window, left, right, .. } => {
                f(left);
                if let Some(w) = window {
                    f(&w.0);
                    f(&w.1);
                }
                f(right);
            }
            ExprKind::OrElse { expr, fallback } => {
                f(expr);
                f(fallback);
            }
            ExprKind::Within { expr, limit } => {
                f(expr);
                f(limit);
            }
            ExprKind::LeadsTo { cause, effect } => {
                f(cause);
                f(effect);
            }
        }
    }
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// `n` of `n: 2`.
    pub name: Option<Name>,
    /// The value.
    pub value: Expr,
    /// `kg/s` of `x: "flow" in kg/s`.
    pub unit: Option<UnitExpr>,
    /// All of it.
    pub span: Span,
}

/// The body and the loops of a comprehension or of a reduction's argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Generator {
    /// The value for each element.
    pub body: Expr,
    /// The loops, outermost first, at least one.
    pub clauses: Vec<ForClause>,
}

/// `for i in 0..n if i != k`
#[derive(Debug, Clone, PartialEq)]
pub struct ForClause {
    /// The loop's names: one, or more for pairs.
    pub vars: Vec<Name>,
    /// A range or an array.
    pub iter: Expr,
    /// Which elements count.
    pub cond: Option<Expr>,
    /// All of it.
    pub span: Span,
}

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `+`
    Plus,
    /// `not`
    Not,
}

/// Infix operators other than comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `^`
    Pow,
    /// `and`
    And,
    /// `or`
    Or,
    /// `xor`
    Xor,
    /// `implies`
    Implies,
}

impl BinaryOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Pow => "^",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Xor => "xor",
            BinaryOp::Implies => "implies",
        }
    }
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl CompareOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        }
    }
}

/// Temporal operators with one formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemporalOp {
    /// `always`
    Always,
    /// `eventually`
    Eventually,
    /// `historically`
    Historically,
    /// `once`
    Once,
}

impl TemporalOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            TemporalOp::Always => "always",
            TemporalOp::Eventually => "eventually",
            TemporalOp::Historically => "historically",
            TemporalOp::Once => "once",
        }
    }
}

/// Temporal operators with two formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemporalBinaryOp {
    /// `until`
    Until,
    /// `since`
    Since,
}

impl TemporalBinaryOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            TemporalBinaryOp::Until => "until",
            TemporalBinaryOp::Since => "since",
        }
    }
}

/// A type as written.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeExpr {
    /// What it is.
    pub kind: TypeKind,
    /// All of it.
    pub span: Span,
}

/// The forms of a type.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeKind {
    /// `Length`, `Job`, `List<Int>`, `Bms<n: 12>`, `Real` without a bracket
    Named {
        /// The name.
        path: Path,
        /// What stands in `<…>`.
        args: Vec<GenericArg>,
    },
    /// `Real[m/s^2]`, also `Float[…]`: a number with a unit. `name` is as written.
    Real {
        /// `Real`, `Float` or `float`.
        name: Name,
        /// The unit in the bracket.
        unit: UnitExpr,
    },
    /// `Length[3]`, `Tank[n, m]`, `Truck[0..200]` (an index that is a `Range` gives a capacity),
    /// `Vector[3]`
    Array {
        /// The element, or the alias `Vector`/`Matrix` as `Named`.
        elem: Box<TypeExpr>,
        /// The sizes, at least one.
        dims: Vec<Expr>,
    },
    /// `Vector[3] of Length`
    Of {
        /// `Vector[3]` as an `Array`.
        shape: Box<TypeExpr>,
        /// The element.
        elem: Box<TypeExpr>,
    },
    /// `Job?`
    Optional(Box<TypeExpr>),
    /// Something that could not be read.
    Error,
}

/// What stands in `<…>`: `n: 12`, `C: LiCell`, `Job`.
#[derive(Debug, Clone, PartialEq)]
pub struct GenericArg {
    /// `n` of `n: 12`.
    pub name: Option<Name>,
    /// A type or a value.
    pub value: GenericValue,
    /// All of it.
    pub span: Span,
}

/// The value of a generic argument. A lone name could be either and is a `Type`.
#[derive(Debug, Clone, PartialEq)]
pub enum GenericValue {
    /// `Job`, `List<Int>`, also the value `n`
    Type(TypeExpr),
    /// `12`, `2*n`
    Expr(Expr),
}
