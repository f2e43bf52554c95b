//! Overrides, parts, equations and connections.

use super::{Cx, Modifier, modifiers, want_place};
use crate::ast::*;
use crate::diag::codes;

const OVERRIDE_HELP: &str = "a member by path, such as `area` or `cells[7].Q`";

/// `k = 2`, `k = 2 ~ uniform(1, 3)`, `k = f(i) for i`.
pub fn override_set(
    cx: &mut Cx<'_>,
    target: Expr,
    value: Expr,
    dist: Option<Expr>,
    vars: Option<Vec<Name>>,
    l: u32,
    r: u32,
) -> Override {
    want_place(cx, &target, "only a member can be overridden", OVERRIDE_HELP);
    let (vars, span) = (vars.unwrap_or_default(), cx.span(l, r));
    match dist {
        None => Override::Set { target, value, vars, span },
        Some(dist) => Override::Draw { target, value: Some(value), dist, vars, span },
    }
}

/// `k ~ uniform(1, 2)`.
pub fn override_draw(
    cx: &mut Cx<'_>,
    target: Expr,
    dist: Expr,
    vars: Option<Vec<Name>>,
    l: u32,
    r: u32,
) -> Override {
    want_place(cx, &target, "only a member can be overridden", OVERRIDE_HELP);
    Override::Draw { target, value: None, dist, vars: vars.unwrap_or_default(), span: cx.span(l, r) }
}

/// `tanks: Tank[3] { … } if n > 1`.
#[expect(clippy::too_many_arguments, reason = "one call, from the grammar")]
pub fn part(
    cx: &mut Cx<'_>,
    mods: Vec<Modifier>,
    name: Name,
    ty: TypeExpr,
    overrides: Option<Vec<Override>>,
    cond: Option<Expr>,
    l: u32,
    r: u32,
) -> PartEntry {
    let (is_final, is_outer) = modifiers(cx, mods);
    if let Some(span) = is_final {
        cx.error(codes::BAD_CLAUSE, span, "a part cannot be `final`", "");
    }
    let overrides = overrides.unwrap_or_default();
    let span = cx.span(l, r);
    PartEntry::Part(Box::new(Part { doc: cx.doc(l), name, is_outer, ty, overrides, cond, span }))
}

/// The arms of an `if` with blocks, last to first, and what stands behind the last `else`.
pub type Arms<T> = (Vec<(Expr, T)>, Option<T>);

/// The last arm of an `if`.
pub fn arms<T>(c: Expr, b: T, otherwise: Option<T>) -> Arms<T> {
    (vec![(c, b)], otherwise)
}

/// An arm before others.
pub fn more_arms<T>(c: Expr, b: T, mut rest: Arms<T>) -> Arms<T> {
    rest.0.push((c, b));
    rest
}

/// `if c { … } else if …` in `equations`.
pub fn equation_if((mut arms, otherwise): Arms<Vec<Equation>>) -> EquationKind {
    arms.reverse();
    EquationKind::If { arms, otherwise }
}

/// `if c { … } else if …` in `connections`.
pub fn connection_if(
    cx: &mut Cx<'_>,
    (mut arms, otherwise): Arms<Vec<Connection>>,
    l: u32,
    r: u32,
) -> Connection {
    arms.reverse();
    Connection::If { arms, otherwise, span: cx.span(l, r) }
}

/// `if c { … } else if …` in a handler.
pub fn if_stmt(cx: &mut Cx<'_>, (mut arms, otherwise): Arms<Block>, l: u32, r: u32) -> Stmt {
    arms.reverse();
    cx.stmt(StmtKind::If { arms, otherwise }, l, r)
}

/// `a -> b`, `a -- b -- c`.
pub fn links(
    cx: &mut Cx<'_>,
    first: Expr,
    rest: Vec<(LinkKind, Expr)>,
    attrs: Option<Vec<Attr>>,
    l: u32,
    r: u32,
) -> Vec<Connection> {
    let attrs = attrs.unwrap_or_default();
    let help = "an output, an input, a port or an event by path, such as `tanks[0].inlet`";
    want_place(cx, &first, "this cannot be connected", help);
    let mut from = first;
    let mut out = Vec::with_capacity(rest.len());
    let lone = rest.len() == 1;
    for (kind, to) in rest {
        want_place(cx, &to, "this cannot be connected", help);
        let span = if lone { cx.span(l, r) } else { from.span.to(to.span) };
        let next = to.clone();
        out.push(Connection::Link { doc: cx.doc(l), kind, from, to, attrs: attrs.clone(), span });
        from = next;
    }
    out
}
