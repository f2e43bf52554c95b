//! Expressions.

use super::Cx;
use crate::ast::*;
use crate::diag::codes;
use std::sync::Arc;

/// `a op b`.
pub fn binary(cx: &mut Cx<'_>, op: BinaryOp, a: Expr, b: Expr, l: u32, r: u32) -> Expr {
    cx.expr(ExprKind::Binary { op, left: Box::new(a), right: Box::new(b) }, l, r)
}

/// `-e`; the minus directly before a quantity literal belongs to it.
pub fn neg(cx: &mut Cx<'_>, e: Expr, l: u32, r: u32) -> Expr {
    let span = e.span;
    match e.kind {
        ExprKind::Number(mut n) if n.unit.is_some() && span.lo == l + 1 && !n.text.starts_with('-') => {
            let number = Arc::make_mut(&mut n);
            number.value = -number.value;
            number.text = Text::from(format!("-{}", number.text));
            cx.expr(ExprKind::Number(n), l, r)
        }
        kind => {
            let e = Expr::new(kind, span);
            cx.expr(ExprKind::Unary { op: UnaryOp::Neg, expr: Box::new(e) }, l, r)
        }
    }
}

/// `a..b` with ends that may be missing.
pub fn range_expr(cx: &mut Cx<'_>, lo: Option<Expr>, hi: Option<Expr>, l: u32, r: u32) -> Expr {
    cx.expr(ExprKind::Range { lo: lo.map(Box::new), hi: hi.map(Box::new) }, l, r)
}

/// `if c then a else b`; an `if` behind `else` is a further arm. Chains longer than the depth limit
/// nest, and are then refused by it.
pub fn if_expr(cx: &mut Cx<'_>, c: Expr, a: Expr, b: Expr, l: u32, r: u32) -> Expr {
    let (mut arms, otherwise) = match b.kind {
        ExprKind::If { arms, otherwise } if arms.len() < usize::from(MAX_DEPTH) => (arms, otherwise),
        kind => (Vec::new(), Box::new(Expr::new(kind, b.span))),
    };
    arms.insert(0, (c, a));
    cx.expr(ExprKind::If { arms, otherwise }, l, r)
}

fn temporal_op(name: &str) -> Option<TemporalOp> {
    Some(match name {
        "always" => TemporalOp::Always,
        "eventually" => TemporalOp::Eventually,
        "historically" => TemporalOp::Historically,
        "once" => TemporalOp::Once,
        _ => return None,
    })
}

/// A call; `always[a, b](p)` and its kin are formulas.
pub fn call(cx: &mut Cx<'_>, callee: Expr, mut args: Vec<Arg>, l: u32, r: u32) -> Expr {
    let lone = matches!(args.as_slice(), [a] if a.name.is_none() && a.unit.is_none());
    if lone {
        let (head, window) = match &callee.kind {
            ExprKind::Index { base, indices } if indices.len() == 2 => (&**base, Some(indices)),
            _ => (&callee, None),
        };
        if let Some(op) = head.as_name().and_then(|n| temporal_op(n.as_str())) {
            let window = window.map(|w| Box::new((w[0].clone(), w[1].clone())));
            if let Some(a) = args.pop() {
                return cx.expr(ExprKind::Temporal { op, window, expr: Box::new(a.value) }, l, r);
            }
        }
    }
    if let ExprKind::Index { base, indices } = &callee.kind
        && let Some(n) = base.as_name().filter(|n| temporal_op(n.as_str()).is_some())
    {
        let text = format!("`{}[…](…)` wants a window of two instants and one formula", n.text);
        let span = indices.first().map_or(callee.span, |e| e.span);
        let help = format!("write `{}[0 s, 10 s](h < 2 m)`", n.text);
        cx.error(codes::UNEXPECTED, span, text, &help);
        return Expr::error(cx.span(l, r));
    }
    cx.expr(ExprKind::Call { callee: Box::new(callee), args }, l, r)
}

/// `(a, b)`: only as the parameters of a closure, so it is kept as a closure without a body until
/// the arrow is seen.
pub fn tuple(cx: &mut Cx<'_>, first: Expr, rest: Vec<Expr>, l: u32, r: u32) -> Expr {
    let mut all = vec![first];
    all.extend(rest);
    let span = cx.span(l, r);
    let params: Option<Vec<Name>> = all.iter().map(|e| e.as_name().cloned()).collect();
    match params {
        Some(params) => {
            // `arrow` takes the names out; what no arrow follows is reported at the end
            cx.tuples.push(span);
            Expr::new(ExprKind::Closure { params, body: Box::new(Expr::error(span)) }, span)
        }
        None => {
            let text = "there are no tuples";
            cx.error(codes::UNEXPECTED, span, text, "an array stands in `[…]`, a record has a name");
            Expr::error(span)
        }
    }
}

/// `b -> b.cost`, `(a, b) -> a + b`; `causal(a -> b within d)` is told apart by its caller.
pub fn arrow(cx: &mut Cx<'_>, a: Expr, b: Expr, within: Option<Expr>, l: u32, r: u32) -> Expr {
    if let Some(d) = within {
        return leads_to(cx, a, b, Some(d), l, r);
    }
    let params = match &a.kind {
        ExprKind::Name(n) => vec![n.clone()],
        ExprKind::Closure { params, body } if body.is_error() => {
            cx.tuples.retain(|s| *s != a.span);
            params.clone()
        }
        _ => {
            let help = "write `b -> b.cost` or `(a, b) -> a + b`";
            cx.error(codes::MISPLACED_CLOSURE, a.span, "the parameters of a closure are names", help);
            return Expr::error(cx.span(l, r));
        }
    };
    cx.expr(ExprKind::Closure { params, body: Box::new(b) }, l, r)
}

/// `a -> b within d` of an event pattern.
pub fn leads_to(cx: &mut Cx<'_>, a: Expr, b: Expr, within: Option<Expr>, l: u32, r: u32) -> Expr {
    let e = cx.expr(ExprKind::LeadsTo { cause: Box::new(a), effect: Box::new(b) }, l, r);
    match within {
        None => e,
        Some(d) => cx.expr(ExprKind::Within { expr: Box::new(e), limit: Box::new(d) }, l, r),
    }
}

/// The parts of a string: its first text, pairs of expression and text, and the last pair.
pub fn str_parts(first: Text, mid: Vec<(Expr, Text)>, last: Option<(Expr, Text)>) -> Vec<StrPart> {
    let mut parts = Vec::new();
    let text = |parts: &mut Vec<StrPart>, t: Text| {
        if !t.is_empty() {
            parts.push(StrPart::Text(t));
        }
    };
    text(&mut parts, first);
    for (e, t) in mid.into_iter().chain(last) {
        parts.push(StrPart::Expr(e));
        text(&mut parts, t);
    }
    parts
}

/// `n: 2` in a call. In `rate: 10/s` the divisor is a unit.
pub fn named_arg(cx: &mut Cx<'_>, name: Name, value: Expr, unit: Option<UnitExpr>, l: u32, r: u32) -> Arg {
    let value = rate(cx, &name, value);
    Arg { name: Some(name), value, unit, span: cx.span(l, r) }
}

/// `timeout: 2 s` behind a call.
pub fn attr(cx: &mut Cx<'_>, name: Name, value: Expr, l: u32, r: u32) -> Attr {
    let value = rate(cx, &name, value);
    Attr { name, value, span: cx.span(l, r) }
}

/// `circuit_breaker(failures: 5)` behind a call.
pub fn attr_call(cx: &mut Cx<'_>, name: Name, args: Vec<Arg>, l: u32, r: u32) -> Attr {
    let span = cx.span(l, r);
    let value = Expr::new(ExprKind::Call { callee: Box::new(Expr::name(name.clone())), args }, span);
    Attr { name, value, span }
}

fn rate(cx: &mut Cx<'_>, name: &Name, value: Expr) -> Expr {
    if name.as_str() != "rate" {
        return value;
    }
    if let ExprKind::Binary { op: BinaryOp::Div, left, right } = &value.kind
        && let (ExprKind::Number(n), ExprKind::Name(u)) = (&left.kind, &right.kind)
        && n.unit.is_none()
    {
        let factor = UnitFactor { name: u.clone(), exp: Ratio { num: -1, den: 1 } };
        let unit = UnitExpr { factors: vec![factor], span: u.span };
        let number = Number { unit: Some(unit), is_int: false, ..(**n).clone() };
        return cx.expr(ExprKind::Number(Arc::new(number)), value.span.lo, value.span.hi);
    }
    value
}
