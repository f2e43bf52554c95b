//! Actions of the grammar: they build nodes and check what the grammar leaves open.

use crate::ast::*;
use crate::diag::{Code, Diagnostic, codes};
use crate::source::{FileId, Span};

/// What the actions of one parse share.
#[derive(Debug)]
pub struct Cx<'a> {
    file: FileId,
    docs: &'a [(u32, Text)],
    /// Messages of this parse; dropped where it fails and is tried again.
    diags: Vec<Diagnostic>,
    deep: bool,
    /// `(a, b)` that no arrow follows so far.
    tuples: Vec<Span>,
}

impl<'a> Cx<'a> {
    /// For one parse of a piece of `file`.
    pub fn new(file: FileId, docs: &'a [(u32, Text)]) -> Cx<'a> {
        Cx { file, docs, diags: Vec::new(), deep: false, tuples: Vec::new() }
    }

    /// The messages of a parse that succeeded.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        for span in std::mem::take(&mut self.tuples) {
            let help = "an array stands in `[…]`, a record has a name: `Job(id: 1)`";
            self.error(codes::UNEXPECTED, span, "there are no tuples", help);
        }
        self.diags
    }

    /// The place of bytes `l..r`.
    pub fn span(&self, l: u32, r: u32) -> Span {
        Span::new(self.file, l, r.max(l))
    }

    /// The doc comment before the token at byte `l`.
    pub fn doc(&self, l: u32) -> Option<Text> {
        let i = self.docs.binary_search_by_key(&l, |(at, _)| *at).ok()?;
        Some(self.docs[i].1.clone())
    }

    /// An expression; one that is too deep is reported once and becomes an error node.
    pub fn expr(&mut self, kind: ExprKind, l: u32, r: u32) -> Expr {
        let span = self.span(l, r);
        let e = Expr::new(kind, span);
        if !e.too_deep() {
            return e;
        }
        if !self.deep {
            self.deep = true;
            let text = format!("this expression is nested more than {MAX_DEPTH} levels deep");
            self.diags.push(
                Diagnostic::new(codes::TOO_DEEP, span, text)
                    .help("give names to its parts, or write a long sum as `sum(x[i] for i in 0..n)`"),
            );
        }
        Expr::error(span)
    }

    /// A type; one that is too deep is reported once and becomes an error node.
    pub fn ty(&mut self, kind: TypeKind, l: u32, r: u32) -> TypeExpr {
        let t = TypeExpr { kind, span: self.span(l, r) };
        if type_fits(&t, MAX_TYPE_DEPTH) {
            return t;
        }
        if !self.deep {
            self.deep = true;
            let text = format!("this type is nested more than {MAX_TYPE_DEPTH} levels deep");
            self.diags.push(Diagnostic::new(codes::TOO_DEEP, t.span, text));
        }
        TypeExpr { kind: TypeKind::Error, span: t.span }
    }

    /// A statement.
    pub fn stmt(&mut self, kind: StmtKind, l: u32, r: u32) -> Stmt {
        Stmt { kind, span: self.span(l, r) }
    }

    fn error(&mut self, code: Code, span: Span, text: impl Into<String>, help: &str) {
        let d = Diagnostic::new(code, span, text);
        self.diags.push(if help.is_empty() { d } else { d.help(help) });
    }
}

const MAX_TYPE_DEPTH: u32 = 32;

/// Whether a type has at most `levels` levels.
fn type_fits(t: &TypeExpr, levels: u32) -> bool {
    let Some(left) = levels.checked_sub(1) else { return false };
    match &t.kind {
        TypeKind::Real { .. } | TypeKind::Error => true,
        TypeKind::Named { args, .. } => args.iter().all(|a| match &a.value {
            GenericValue::Type(t) => type_fits(t, left),
            GenericValue::Expr(_) => true,
        }),
        TypeKind::Array { elem, .. } | TypeKind::Optional(elem) => type_fits(elem, left),
        TypeKind::Of { shape, elem } => type_fits(shape, left) && type_fits(elem, left),
    }
}

/// Lists of lists, in order.
pub fn flat<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    lists.into_iter().flatten().collect()
}

// ---- declarations ----

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

fn modifiers(cx: &mut Cx<'_>, mods: Vec<Modifier>) -> (Option<Span>, Option<Span>) {
    let (mut is_final, mut is_outer) = (None, None);
    for m in mods {
        let (slot, span, word) = match m {
            Modifier::Final(s) => (&mut is_final, s, "final"),
            Modifier::Outer(s) => (&mut is_outer, s, "outer"),
        };
        if slot.replace(span).is_some() {
            cx.error(codes::BAD_CLAUSE, span, format!("`{word}` stands twice"), "");
        }
    }
    (is_final, is_outer)
}

/// Puts a clause into its slot; a second one of its kind is an error.
fn fill<T>(cx: &mut Cx<'_>, slot: &mut Option<T>, value: T, span: Span, what: &str) {
    if slot.replace(value).is_some() {
        cx.error(codes::BAD_CLAUSE, span, format!("this has two {what}"), "keep one of them");
    }
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

// ---- expressions ----

/// `a op b`.
pub fn binary(cx: &mut Cx<'_>, op: BinaryOp, a: Expr, b: Expr, l: u32, r: u32) -> Expr {
    cx.expr(ExprKind::Binary { op, left: Box::new(a), right: Box::new(b) }, l, r)
}

/// `-e`; the minus directly before a quantity literal belongs to it.
pub fn neg(cx: &mut Cx<'_>, e: Expr, l: u32, r: u32) -> Expr {
    let span = e.span;
    match e.kind {
        ExprKind::Number(mut n) if n.unit.is_some() && span.lo == l + 1 && !n.text.starts_with('-') => {
            n.value = -n.value;
            n.text = Text::from(format!("-{}", n.text));
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
        return cx.expr(ExprKind::Number(Box::new(number)), value.span.lo, value.span.hi);
    }
    value
}

// ---- twins ----

fn is_place(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Name(_) | ExprKind::Error => true,
        ExprKind::Field { base, .. } | ExprKind::Index { base, .. } => is_place(base),
        _ => false,
    }
}

/// Reports a left side or an end that is no path.
fn want_place(cx: &mut Cx<'_>, e: &Expr, what: &str, help: &str) {
    if !is_place(e) {
        cx.error(codes::BAD_LEFT_SIDE, e.span, what, help);
    }
}

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

// ---- behaviour ----

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
                    let help = "write `on overflow(level: Length)`";
                    cx.error(codes::UNEXPECTED, e.span, "an event's arguments are names with types", help);
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

// ---- memory, capabilities, constraints, sync, scenarios ----

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
