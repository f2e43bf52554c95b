//! Declarations of quantities and their types.

use super::{Cx, binary, fill, modifiers, neg};
use crate::ast::*;
use crate::diag::codes;
use crate::source::Span;

/// `final`, `outer`.
pub enum Modifier {
    /// `final`
    Final(Span),
    /// `outer`
    Outer(Span),
}

/// A clause of a declaration.
pub enum DeclClause {
    /// `= value`
    Value(Expr),
    /// `~ distribution`
    Dist(Expr),
    /// `where condition`
    Range(Where),
    /// `guess value`
    Guess(Expr),
    /// `if condition`
    Cond(Expr),
}

/// A quantity with its clauses.
#[expect(clippy::too_many_arguments, reason = "one call, from the grammar")]
pub fn decl(
    cx: &mut Cx<'_>,
    mods: Vec<Modifier>,
    name: Name,
    ty: Option<TypeExpr>,
    unit: Option<UnitExpr>,
    clauses: Vec<DeclClause>,
    l: u32,
    r: u32,
) -> Decl {
    let (is_final, is_outer) = modifiers(cx, mods);
    let (mut value, mut dist, mut range, mut guess, mut cond) = (None, None, None, None, None);
    for c in clauses {
        match c {
            DeclClause::Value(e) => {
                let s = e.span;
                fill(cx, &mut value, e, s, "values");
            }
            DeclClause::Dist(e) => {
                let s = e.span;
                fill(cx, &mut dist, e, s, "distributions");
            }
            DeclClause::Range(w) => {
                let s = w.span;
                fill(cx, &mut range, w, s, "`where` conditions");
            }
            DeclClause::Guess(e) => {
                let s = e.span;
                fill(cx, &mut guess, e, s, "guesses");
            }
            DeclClause::Cond(e) => {
                let s = e.span;
                fill(cx, &mut cond, e, s, "`if` conditions");
            }
        }
    }
    let span = cx.span(l, r);
    if ty.is_none() && value.is_none() && is_outer.is_none() {
        let text = format!("`{}` has no type and no value", name.text);
        let help = format!("write `{}: Length`, `{}: Real[m/s]`, or another type", name.text, name.text);
        cx.error(codes::MISSING_PART, name.span, text, &help);
    }
    Decl { doc: cx.doc(l), name, is_final, is_outer, ty, unit, value, dist, range, guess, cond, span }
}

/// `potential v: Voltage`; a doc comment stands before the first word.
pub fn connector_field(
    cx: &mut Cx<'_>,
    kind: Option<ConnectorKind>,
    mut decl: Decl,
    l: u32,
) -> ConnectorField {
    decl.doc = cx.doc(l);
    ConnectorField { kind, decl }
}

/// `where condition else word`.
pub fn range(cx: &mut Cx<'_>, cond: Expr, word: Option<Name>, l: u32, r: u32) -> Where {
    let action = match word.as_ref().map(Name::as_str) {
        None => WhereAction::Event,
        Some("stop") => WhereAction::Stop,
        Some("clamp") => WhereAction::Clamp,
        Some(other) => {
            let text = format!("`else {other}` is unknown here");
            let span = word.as_ref().map_or(cond.span, |w| w.span);
            cx.error(codes::BAD_CLAUSE, span, text, "behind a range stands `else stop` or `else clamp`");
            WhereAction::Event
        }
    };
    Where { cond, action, span: cx.span(l, r) }
}

/// `unit EUR: Money`, `unit cent = 0.01 EUR`.
pub fn unit_decl(
    cx: &mut Cx<'_>,
    name: Name,
    dimension: Option<Path>,
    value: Option<Expr>,
    l: u32,
    r: u32,
) -> Item {
    if dimension.is_none() && value.is_none() {
        let text = format!("unit `{}` says neither its dimension nor its size", name.text);
        let help = format!("write `unit {0}: Money` or `unit {0} = 0.01 EUR`", name.text);
        cx.error(codes::MISSING_PART, name.span, text, &help);
    }
    Item::Unit(UnitDecl { doc: cx.doc(l), name, dimension, value, span: cx.span(l, r) })
}

/// `correlate(a, b: 0.7)`: the only call that is an entry of a section.
pub fn correlate(cx: &mut Cx<'_>, name: Name, args: Vec<Arg>, l: u32, r: u32) -> DeclEntry {
    let span = cx.span(l, r);
    if name.as_str() == "correlate" {
        return DeclEntry::Correlate(args, span);
    }
    let text = format!("`{}(…)` is no declaration", name.text);
    cx.error(codes::MISSING_PART, name.span, text, "an entry is `name: Type = value`");
    DeclEntry::Error(span)
}

fn generic_expr(cx: &mut Cx<'_>, v: GenericValue) -> Expr {
    let t = match v {
        GenericValue::Expr(e) => return e,
        GenericValue::Type(t) => t,
    };
    if let TypeKind::Named { path, args } = &t.kind
        && args.is_empty()
    {
        let mut names = path.names.iter().cloned();
        if let Some(first) = names.next() {
            return names.fold(Expr::name(first), |base, name| {
                let span = base.span.to(name.span);
                Expr::new(ExprKind::Field { base: Box::new(base), name }, span)
            });
        }
    }
    cx.error(codes::UNEXPECTED, t.span, "a type cannot be calculated with", "");
    Expr::error(t.span)
}

/// Arithmetic on generic arguments.
pub fn generic_binary(
    cx: &mut Cx<'_>,
    op: BinaryOp,
    a: GenericValue,
    b: GenericValue,
    l: u32,
    r: u32,
) -> GenericValue {
    let (a, b) = (generic_expr(cx, a), generic_expr(cx, b));
    GenericValue::Expr(binary(cx, op, a, b, l, r))
}

/// `-n` as a generic argument.
pub fn generic_neg(cx: &mut Cx<'_>, a: GenericValue, l: u32, r: u32) -> GenericValue {
    let a = generic_expr(cx, a);
    GenericValue::Expr(neg(cx, a, l, r))
}
