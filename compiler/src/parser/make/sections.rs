//! Memory, capabilities, constraints, sync and scenarios.

use super::{Cx, fill, want_place};
use crate::ast::*;
use crate::diag::codes;

fn memory_kind(word: &str) -> Option<fn(Vec<Arg>) -> MemoryKind> {
    Some(match word {
        "session_scoped" => MemoryKind::Session,
        "persistent" => MemoryKind::Persistent,
        "external" => MemoryKind::External,
        _ => return None,
    })
}

/// A memory that is a type, or one of the words without parentheses.
pub fn memory_type(ty: TypeExpr) -> MemoryKind {
    if let TypeKind::Named { path, args } = &ty.kind
        && let ([name], true) = (path.names.as_slice(), args.is_empty())
        && let Some(kind) = memory_kind(name.as_str())
    {
        return kind(Vec::new());
    }
    match ty.kind {
        TypeKind::Error => MemoryKind::Error,
        _ => MemoryKind::Run(ty),
    }
}

/// A memory that is a word with arguments.
pub fn memory_call(name: Name, args: Vec<Arg>) -> MemoryKind {
    match memory_kind(name.as_str()) {
        Some(kind) => kind(args),
        None => MemoryKind::Other(name, args),
    }
}

/// A memory that could not be read.
pub fn bad_memory(cx: &mut Cx<'_>, l: u32, r: u32) -> MemoryEntry {
    let span = cx.span(l, r);
    MemoryEntry { doc: None, name: Name::new("", span), kind: MemoryKind::Error, value: None, span }
}

/// A capability that could not be read.
pub fn bad_capability(cx: &mut Cx<'_>, l: u32, r: u32) -> Capability {
    let span = cx.span(l, r);
    let name = Name::new("", span);
    let provider = name.clone();
    Capability { doc: None, name, provider, args: Vec::new(), attrs: Vec::new(), span, is_error: true }
}

/// A value behind `name:` in `constraints`.
pub enum ConstraintValue {
    /// A formula or a policy.
    Expr(Expr),
    /// `scale: 1 m`
    Attr(Attr),
}

const POLICIES: [&str; 5] = ["response_time", "privacy", "compliance", "security", "resources"];

fn is_policy_value(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Call { callee, .. } => callee.as_name().is_some(),
        ExprKind::Name(_) => true,
        _ => false,
    }
}

/// A requirement or a policy.
pub fn constraint(
    cx: &mut Cx<'_>,
    name: Name,
    values: Vec<ConstraintValue>,
    tail: Option<(Claim, Vec<Attr>)>,
    l: u32,
    r: u32,
) -> Constraint {
    let mut exprs = Vec::new();
    let mut attrs = Vec::new();
    for v in values {
        match v {
            ConstraintValue::Expr(e) => exprs.push(e),
            ConstraintValue::Attr(a) => attrs.push(a),
        }
    }
    let claim = tail.map(|(c, more)| {
        attrs.extend(more);
        c
    });
    let span = cx.span(l, r);
    let policy = POLICIES.contains(&name.as_str()) && exprs.iter().all(is_policy_value);
    if policy && claim.is_none() && !exprs.is_empty() {
        return Constraint::Policy(Setting { doc: cx.doc(l), name, values: exprs, span });
    }
    let mut exprs = exprs.into_iter();
    let Some(formula) = exprs.next() else {
        let text = format!("`{}` has no formula", name.text);
        cx.error(codes::MISSING_PART, name.span, text, "write `name: always(h < 2 m)`");
        return Constraint::Error(span);
    };
    if let Some(second) = exprs.next() {
        let help = "give each formula a name of its own, or join them with `and`";
        cx.error(codes::BAD_CLAUSE, second.span, "a requirement is one formula", help);
    }
    Constraint::Requirement(Requirement { doc: cx.doc(l), name, formula, claim, attrs, span })
}

/// A clause behind a binding.
pub enum BindingClause {
    /// `in cm`
    Unit(UnitExpr),
    /// `noise 2 cm`
    Noise(Expr),
    /// `stale 5 s`
    Stale(Expr),
    /// `every 500 ms`
    Every(Expr),
    /// `on change`
    OnChange,
    /// `conflict newest`
    Conflict(Expr),
    /// `name: value`
    Attr(Attr),
}

/// `h <- "topic" in cm`.
pub fn binding(
    cx: &mut Cx<'_>,
    target: Expr,
    direction: Direction,
    address: Expr,
    clauses: Vec<BindingClause>,
    l: u32,
    r: u32,
) -> Binding {
    want_place(cx, &target, "this cannot be bound", "on the left stands a member by path");
    let (mut unit, mut noise, mut stale, mut every, mut conflict) = (None, None, None, None, None);
    let mut on_change = false;
    let mut attrs = Vec::new();
    for c in clauses {
        let (slot, e, what) = match c {
            BindingClause::Unit(u) => {
                let s = u.span;
                fill(cx, &mut unit, u, s, "units");
                continue;
            }
            BindingClause::OnChange => {
                on_change = true;
                continue;
            }
            BindingClause::Attr(a) if a.name.as_str() == "conflict" => {
                (&mut conflict, a.value, "conflict rules")
            }
            BindingClause::Attr(a) => {
                attrs.push(a);
                continue;
            }
            BindingClause::Noise(e) => (&mut noise, e, "noises"),
            BindingClause::Stale(e) => (&mut stale, e, "ages"),
            BindingClause::Every(e) => (&mut every, e, "periods"),
            BindingClause::Conflict(e) => (&mut conflict, e, "conflict rules"),
        };
        let s = e.span;
        fill(cx, slot, e, s, what);
    }
    Binding {
        doc: cx.doc(l),
        target,
        direction,
        address,
        unit,
        noise,
        stale,
        every,
        on_change,
        conflict,
        attrs,
        span: cx.span(l, r),
        is_error: false,
    }
}

/// A binding that could not be read.
pub fn bad_binding(cx: &mut Cx<'_>, l: u32, r: u32) -> Binding {
    let span = cx.span(l, r);
    let mut b = binding(cx, Expr::error(span), Direction::In, Expr::error(span), Vec::new(), l, r);
    b.is_error = true;
    b
}

/// A clause of `drive`.
pub enum DriveClause {
    /// `column "sp"`
    Column(Expr),
    /// `in bar`
    Unit(UnitExpr),
    /// `linear`
    Method(Name),
    /// `outside hold`
    Outside(Name),
}

/// `drive x from "file" column "sp" linear`.
pub fn drive(
    cx: &mut Cx<'_>,
    target: Expr,
    source: Expr,
    clauses: Vec<DriveClause>,
    l: u32,
    r: u32,
) -> ScenarioItem {
    want_place(cx, &target, "this cannot be driven", "behind `drive` stands an input by path");
    let (mut column, mut unit, mut method, mut outside) = (None, None, None, None);
    for c in clauses {
        match c {
            DriveClause::Column(e) => {
                let s = e.span;
                fill(cx, &mut column, e, s, "columns");
            }
            DriveClause::Unit(u) => {
                let s = u.span;
                fill(cx, &mut unit, u, s, "units");
            }
            DriveClause::Method(n) => {
                let s = n.span;
                fill(cx, &mut method, n, s, "methods");
            }
            DriveClause::Outside(n) => {
                let s = n.span;
                fill(cx, &mut outside, n, s, "rules for outside");
            }
        }
    }
    ScenarioItem::Drive(Drive { target, source, column, unit, method, outside, span: cx.span(l, r) })
}

/// `no_overflow`, `not safe`, `v at end = 5 V within 50 mV`.
pub fn expectation(
    cx: &mut Cx<'_>,
    e: Expr,
    equals: Option<(Expr, Option<Expr>)>,
    l: u32,
    r: u32,
) -> Expectation {
    let span = cx.span(l, r);
    let at = e.span;
    match e.kind {
        ExprKind::Unary { op: UnaryOp::Not, expr } => {
            Expectation { negated: true, expr: *expr, equals, span }
        }
        kind => Expectation { negated: false, expr: Expr::new(kind, at), equals, span },
    }
}
