//! Handlers and statements.

use super::{Cx, fill, is_place, want_place};
use crate::ast::*;
use crate::diag::codes;
use crate::source::Span;

/// A clause of a handler's head.
pub enum HandlerClause {
    /// `from sender`
    From(Name),
    /// `queued`
    Queued(Span),
    /// `-> state`
    Target(Path),
    /// `when c`
    Guard(Expr),
}

/// What stands in the parentheses behind an event.
pub enum TriggerArg {
    /// `job: Job`
    Param(Param),
    /// Anything else.
    Expr(Expr),
}

/// `on event(…)`.
pub fn trigger(cx: &mut Cx<'_>, event: Expr, args: Option<Vec<TriggerArg>>, l: u32, r: u32) -> Trigger {
    let word = event.as_name().map_or("", Name::as_str);
    let Some(args) = args else {
        return match word {
            "start" => Trigger::Start,
            "stop" => Trigger::Stop,
            _ => Trigger::Event { event, params: None },
        };
    };
    let edge = match word {
        "rising" => Some(EdgeKind::Rising),
        "falling" => Some(EdgeKind::Falling),
        "change" => Some(EdgeKind::Change),
        _ => None,
    };
    let span = cx.span(l, r);
    if let Some(kind) = edge {
        let mut exprs = plain(cx, args);
        return match exprs.pop() {
            Some(expr) if exprs.is_empty() => Trigger::Edge { kind, expr },
            _ => {
                let help = format!("write `on {word}(h > 2 m)`");
                cx.error(codes::UNEXPECTED, span, format!("`{word}` takes one condition"), &help);
                Trigger::Error
            }
        };
    }
    let only_params = args.iter().all(|a| match a {
        TriggerArg::Param(_) => true,
        TriggerArg::Expr(_) => false,
    });
    if let Some(kind) = EventPatternKind::from_word(word)
        && (!only_params || args.is_empty())
    {
        return Trigger::Pattern { kind, args: plain(cx, args) };
    }
    let mut params = Vec::with_capacity(args.len());
    for a in args {
        match a {
            TriggerArg::Param(p) => params.push(p),
            TriggerArg::Expr(e) => match e.as_name() {
                Some(n) => params.push(Param { name: n.clone(), ty: None, default: None, span: n.span }),
                None if e.is_error() => {}
                None => {
                    let words = ["rising", "falling", "change"];
                    let help = crate::diag::did_you_mean(word, words)
                        .unwrap_or_else(|| "write `on overflow(level: Length)`".to_owned());
                    cx.error(codes::UNEXPECTED, e.span, "an event's arguments are names with types", &help);
                }
            },
        }
    }
    Trigger::Event { event, params: Some(params) }
}

fn plain(cx: &mut Cx<'_>, args: Vec<TriggerArg>) -> Vec<Expr> {
    let mut out = Vec::with_capacity(args.len());
    for a in args {
        match a {
            TriggerArg::Expr(e) => out.push(e),
            TriggerArg::Param(p) => {
                cx.error(codes::UNEXPECTED, p.span, "here stands a condition or an event, no parameter", "");
                out.push(Expr::error(p.span));
            }
        }
    }
    out
}

/// A handler with its clauses.
pub fn handler(
    cx: &mut Cx<'_>,
    trigger: Trigger,
    clauses: Vec<HandlerClause>,
    body: Option<Block>,
    l: u32,
    h: u32,
    r: u32,
) -> Handler {
    let (mut from, mut queued, mut target, mut guard) = (None, None, None, None);
    for c in clauses {
        match c {
            HandlerClause::From(n) => {
                let s = n.span;
                fill(cx, &mut from, n, s, "senders");
            }
            HandlerClause::Queued(s) => fill(cx, &mut queued, s, s, "`queued`"),
            HandlerClause::Target(p) => {
                let s = p.span;
                fill(cx, &mut target, p, s, "targets");
            }
            HandlerClause::Guard(e) => {
                let s = e.span;
                fill(cx, &mut guard, e, s, "`when` conditions");
            }
        }
    }
    Handler {
        doc: cx.doc(l),
        trigger,
        from,
        is_queued: queued.is_some(),
        target,
        guard,
        body,
        span: cx.span(l, r),
        head: cx.span(l, h),
    }
}

/// A handler outside a machine: it has a body and no target.
pub fn plain_handler(cx: &mut Cx<'_>, h: Handler) -> Handler {
    if let Some(t) = &h.target {
        let help = "inside `machine name { … }` it is a transition";
        cx.error(codes::BAD_CLAUSE, t.span, "only a machine's states have transitions `-> state`", help);
    } else if h.body.is_none() {
        let help = "what is to be done stands in `{ … }` behind it";
        cx.error(codes::MISSING_PART, h.head.after(), "this handler does nothing", help);
    }
    h
}

/// A handler in a machine: it has a body, a target, or both.
pub fn state_handler(cx: &mut Cx<'_>, h: Handler) -> Handler {
    if h.target.is_none() && h.body.is_none() {
        let help = "write `-> state` or `{ … }` behind it";
        cx.error(codes::MISSING_PART, h.head.after(), "this goes nowhere and does nothing", help);
    }
    h
}

/// How a statement looks that begins with this word.
fn statement_form(word: &str) -> Option<&'static str> {
    Some(match word {
        "wait" => "write `wait 5 s`, `wait until(c)` or `wait for event`",
        "emit" => "write `emit event(x: 1)`",
        "send" => "write `send inform(level: h) to plant.ctl`",
        "reply" => "write `reply agree(eta: 5 min)`",
        "fail" => "write `fail \"reason\"`",
        "log" => "write `log \"text\"`",
        "break" | "continue" => "there is no such statement: write the loop's condition out",
        _ => return None,
    })
}

/// An expression as a statement: a call.
pub fn expr_stmt(cx: &mut Cx<'_>, e: Expr, l: u32, r: u32) -> Stmt {
    if let ExprKind::Call { callee, args } = &e.kind
        && callee.as_name().is_some_and(|n| n.as_str() == "log")
        && let [a] = args.as_slice()
        && a.name.is_none()
        && matches!(a.value.kind, ExprKind::Str(_))
    {
        let value = a.value.clone();
        return cx.stmt(StmtKind::Log(value), l, r);
    }
    let mut core = &e;
    while let ExprKind::OrElse { expr, .. } | ExprKind::As { expr, .. } = &core.kind {
        core = expr;
    }
    match &core.kind {
        ExprKind::Call { .. } | ExprKind::Temporal { .. } | ExprKind::Error => {}
        ExprKind::Name(n) if n.as_str() == "stop" => return cx.stmt(StmtKind::Stop(None), l, r),
        ExprKind::Compare { first, rest }
            if is_place(first) && matches!(rest.as_slice(), [(CompareOp::Eq, _)]) =>
        {
            let help = "to assign write `=`";
            cx.error(codes::NO_EFFECT, e.span, "this compares and does nothing with the answer", help);
        }
        ExprKind::Unary { op: UnaryOp::Neg | UnaryOp::Plus, .. } | ExprKind::Array(_) => {
            cx.error(
                codes::LINE_BEGINS_WITH_OPERATOR,
                cx.span(l, l + 1),
                "a line that begins like this starts a new statement",
                "put the operator at the end of the line above",
            );
        }
        ExprKind::Closure { .. } => {
            cx.error(codes::MISPLACED_CLOSURE, e.span, "a closure stands only as an argument", "");
        }
        ExprKind::Name(n) if statement_form(n.as_str()).is_some() => {
            let form = statement_form(n.as_str()).unwrap_or_default();
            cx.error(codes::MISSING_PART, n.span, format!("`{}` alone does nothing", n.text), form);
            return cx.stmt(StmtKind::Error, l, r);
        }
        ExprKind::Binary { left, .. } if left.as_name().is_some_and(|n| n.as_str() == "wait") => {
            let form = statement_form("wait").unwrap_or_default();
            cx.error(codes::UNEXPECTED, e.span, "nothing waits for less than no time", form);
            return cx.stmt(StmtKind::Error, l, r);
        }
        _ => {
            let help = match core.as_path() {
                Some(p) => format!("to assign write `{0} = …`, to call it `{0}(…)`", p.dotted()),
                None => String::from("assign it to a name, or remove it"),
            };
            cx.error(codes::NO_EFFECT, e.span, "this statement does nothing", &help);
        }
    }
    cx.stmt(StmtKind::Expr(e), l, r)
}

/// `x = e`.
pub fn assign(cx: &mut Cx<'_>, target: Expr, value: Expr, l: u32, r: u32) -> Stmt {
    want_place(
        cx,
        &target,
        "this cannot be assigned",
        "on the left of `=` in a handler stands a name or a path",
    );
    cx.stmt(StmtKind::Assign { target, value }, l, r)
}

/// `force x = e`.
pub fn force(cx: &mut Cx<'_>, target: Expr, value: Expr, l: u32, r: u32) -> Stmt {
    want_place(cx, &target, "this cannot be forced", "on the left of `=` stands an input by path");
    cx.stmt(StmtKind::Force { target, value }, l, r)
}

/// A clause of `send`.
pub enum SendClause {
    /// `to x`
    To(Expr),
    /// `after d`
    After(Expr),
    /// `priority high`
    Priority(Expr),
}

/// `send`, `broadcast`, `reply`.
pub fn send(
    cx: &mut Cx<'_>,
    kind: SendKind,
    message: Expr,
    clauses: Vec<SendClause>,
    attrs: Option<Vec<Attr>>,
    l: u32,
    r: u32,
) -> Stmt {
    let (mut to, mut after, mut priority) = (None, None, None);
    for c in clauses {
        let (slot, e, what) = match c {
            SendClause::To(e) => (&mut to, e, "receivers"),
            SendClause::After(e) => (&mut after, e, "delays"),
            SendClause::Priority(e) => (&mut priority, e, "priorities"),
        };
        let s = e.span;
        fill(cx, slot, e, s, what);
    }
    if kind == SendKind::Send && to.is_none() && !message.is_error() {
        let help = "write `send inform(level: h) to plant.ctl`, or `broadcast` for all";
        cx.error(codes::MISSING_PART, message.span.after(), "this message has no receiver", help);
    }
    let attrs = attrs.unwrap_or_default();
    cx.stmt(StmtKind::Send(Send { kind, message, to, after, priority, attrs }), l, r)
}

/// `_`, a value of an enum, or a name.
pub fn path_pattern(cx: &mut Cx<'_>, path: Path, l: u32, r: u32) -> Pattern {
    let any = matches!(path.names.as_slice(), [n] if n.as_str() == "_");
    let kind = if any { PatternKind::Any } else { PatternKind::Path(path) };
    Pattern { kind, span: cx.span(l, r) }
}

/// An arm that could not be read.
pub fn bad_arm(cx: &mut Cx<'_>, l: u32, r: u32) -> MatchArm {
    let span = cx.span(l, r);
    let pattern = Pattern { kind: PatternKind::Error, span };
    MatchArm { pattern, guard: None, body: Block { stmts: Vec::new(), span }, span }
}
