//! Expressions: each gets a type, a shape and a dimension, or `None` after a message.

use std::rc::Rc;

use twinml_model::dimension::Dimension;
use twinml_model::schema::DisplayUnit;

use super::ty::{Lit, Temp, Ty, Val, is_number, may_equal};
use super::{Checker, Cx, Local, Mode};
use crate::ast::{self, ExprKind as A, UnaryOp};
use crate::diag::{Diagnostic, codes};
use crate::hir::behavior::{Each, Op, TextPart};
use crate::hir::{
    self, Builtin, Comprehension, Expr, ExprKind, Extent, ForRange, LocalId, Reduction, Subscript, Type, UnOp,
};
use crate::source::Span;
use crate::units::Nature;

/// Deepest nesting that is checked; chains of `+ - * / and or` count as one level.
const MAX_NESTING: u32 = 280;

impl<'a> Checker<'a, '_> {
    /// Checks an expression.
    pub(super) fn expr(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        if cx.depth >= MAX_NESTING {
            let d = Diagnostic::new(codes::TOO_DEEP, e.span, "this expression is nested too deeply");
            self.say(d.help("name parts of it: a variable or a function each"));
            return None;
        }
        cx.depth += 1;
        let v = self.dispatch(cx, e);
        cx.depth -= 1;
        v
    }

    fn dispatch(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        match &e.kind {
            A::Error => None,
            A::Number(n) => self.number(cx, n, e.span),
            A::Bool(b) => Some(Val::new(ExprKind::Bool(*b), Type::Bool, e.span)),
            A::Str(parts) => self.string(cx, parts, e.span),
            A::Name(_) | A::Field { .. } | A::Index { .. } => self.path_value(cx, e),
            A::Call { callee, args } => self.call(cx, e, callee, args),
            A::Unary { op, expr } => self.unary(cx, *op, expr, e.span),
            A::Binary { .. } => self.binary_chain(cx, e),
            A::Compare { first, rest } => self.compare(cx, first, rest, e.span),
            A::If { arms, otherwise } => self.if_expr(cx, arms, otherwise, e.span),
            A::Array(items) => self.array(cx, items, e.span),
            A::ArrayFor(g) => self.array_for(cx, g, e.span),
            _ => self.rare(cx, e),
        }
    }

    /// The forms that stand in few places.
    #[inline(never)]
    fn rare(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        match &e.kind {
            A::None => Some(Val::behavior(Op::None, Type::Optional(Box::new(Type::Any)), e.span)),
            A::Timestamp(_) => Some(Val::new(ExprKind::BehaviorOnly, Type::Timestamp, e.span)),
            A::Range { .. } => {
                self.misplaced(e.span, "a range", "ranges stand in `for`, in an index and in patterns")
            }
            A::Generator(_) => self.misplaced(
                e.span,
                "`… for …`",
                "write `[… for …]` for an array, or use it inside `sum(…)`",
            ),
            A::Closure { .. } => {
                self.misplaced(e.span, "a closure", "closures stand as arguments of collection methods")
            }
            A::Temporal { .. } | A::TemporalBinary { .. } => self.temporal(cx, e),
            A::AtEnd(inner) => {
                if cx.mode == Mode::Constraint {
                    let v = self.expr(cx, inner)?;
                    self.over_run(v, hir::Whole::AtEnd, None, e.span)
                } else {
                    self.misplaced(e.span, "`at end`", "it stands in `constraints` and expectations")
                }
            }
            A::Over { .. } => {
                self.misplaced(e.span, "`over`", "it stands inside an aggregate: `mean(x over run)`")
            }
            A::As { expr, ty } => {
                self.expr(cx, expr);
                let ty = self.ty(cx, ty)?;
                Some(Val::opaque(ty.base, e.span))
            }
            A::OrElse { expr, fallback } => {
                let a = self.expr(cx, expr);
                let b = self.expr(cx, fallback);
                let (a, b) = (a?, b?);
                if a.is_any() { Some(Val::opaque(b.e.ty, e.span)) } else { Some(Val::opaque(a.e.ty, e.span)) }
            }
            A::Within { .. } | A::LeadsTo { .. } => {
                self.misplaced(e.span, "this", "it stands in event patterns: `on sequence(a, b within 5 s)`")
            }
            _ => None,
        }
    }

    pub(super) fn misplaced(&mut self, span: Span, what: &str, help: &str) -> Option<Val> {
        let d = Diagnostic::new(codes::MISPLACED, span, format!("{what} cannot stand here"));
        self.say(d.help(help));
        None
    }

    /// A literal. A unit run that could also be a product with a member is said to be one.
    fn number(&mut self, cx: &Cx<'a>, n: &ast::Number, span: Span) -> Option<Val> {
        let Some(u) = &n.unit else {
            let mut v = if n.is_int && n.value.abs() <= 9_007_199_254_740_992.0 {
                Val::new(ExprKind::Int(n.value as i64), Type::Int, span)
            } else {
                Val::new(ExprKind::Real(n.value), Type::Real(Some(Dimension::ONE)), span)
            };
            v.lit = if n.value == 0.0 { Lit::Zero } else { Lit::Number };
            return Some(v);
        };
        self.unit_or_member(cx, n, u, span)?;
        let u = self.unit(u)?;
        let mut v = Val::new(
            ExprKind::Real(u.scale.literal(&n.text, n.value)),
            Type::Real(Some(u.dimension.clone())),
            span,
        );
        v.nature = u.nature;
        if u.scale.is_affine() {
            v.temp = Temp::Point;
            v.lit = Lit::Scale;
        }
        if cx.mode == Mode::Constraint {
            self.literal_units.push((v.e.span, u.dimension.clone(), super::ty::display_unit(&u)));
        }
        v.unit = Some(u.text);
        Some(v)
    }

    /// `0.5 m*v`: is `v` the volt's neighbour or the twin's speed? `None` after an error.
    fn unit_or_member(&mut self, cx: &Cx<'a>, n: &ast::Number, u: &ast::UnitExpr, span: Span) -> Option<()> {
        // In brackets it can only be a unit.
        if span.hi > u.span.hi {
            return Some(());
        }
        for f in u.factors.iter().skip(1) {
            let name = f.name.as_str();
            let (own, known) = (self.own_name(cx, name), self.units.lookup(name).is_some());
            if known && !own {
                continue;
            }
            let (number, whole) = (&n.text, crate::units::unit_text(u));
            let (code, message) = if known {
                let message =
                    format!("`{name}` in `{number} {whole}` is read as a unit and is also a member");
                (codes::UNIT_OR_MEMBER, message)
            } else {
                (codes::UNKNOWN_UNIT, format!("unknown unit `{name}` in `{number} {whole}`"))
            };
            let product = spaced(number, u, &|f| {
                let name = f.name.as_str();
                self.own_name(cx, name) || self.units.lookup(name).is_none()
            });
            let readings = format!(
                "two readings: for a unit write `{number} [{whole}]`, for a product with `{name}` write `{product}`"
            );
            let d = Diagnostic::new(code, f.name.span, message).here("a unit run has no spaces");
            let near = if own { Vec::new() } else { self.units.suggestions(name) };
            self.say(match near.as_slice() {
                [] => d.help(readings),
                near => d.note(readings).help(format!("did you mean `{}`?", near.join("`, `"))),
            });
            if !known {
                return None;
            }
        }
        Some(())
    }

    fn string(&mut self, cx: &mut Cx<'a>, parts: &'a [ast::StrPart], span: Span) -> Option<Val> {
        if let [] | [ast::StrPart::Text(_)] = parts {
            let text = parts.first().map_or("", |p| if let ast::StrPart::Text(t) = p { &**t } else { "" });
            return Some(Val::new(ExprKind::Str(Rc::from(text)), Type::String, span));
        }
        let mut out = Vec::with_capacity(parts.len());
        for p in parts {
            match p {
                ast::StrPart::Text(t) => out.push(TextPart::Text(Rc::from(&**t))),
                ast::StrPart::Expr(e) => {
                    let v = self.expr(cx, e)?;
                    let unit = self.shown_unit(&v);
                    out.push(TextPart::Value(v.e, unit));
                }
            }
        }
        Some(Val::behavior(Op::Text(out), Type::String, span))
    }

    /// The unit in which a text shows a value: the one it was declared or written in, else the coherent one.
    fn shown_unit(&self, v: &Val) -> DisplayUnit {
        if let Some(text) = v.unit.as_deref()
            && let Some((d, scale)) = self.units.lookup(text)
            && v.dimension() == Some(&d)
        {
            return DisplayUnit { symbol: text.to_owned(), scale: scale.factor(), offset: scale.offset() };
        }
        v.to_ty().display(&self.units)
    }

    fn unary(&mut self, cx: &mut Cx<'a>, op: UnaryOp, inner: &'a ast::Expr, span: Span) -> Option<Val> {
        let v = self.expr(cx, inner)?;
        match op {
            UnaryOp::Plus if is_number(&v.e.ty) || v.is_any() => Some(v),
            UnaryOp::Neg if is_number(&v.e.ty) => {
                if v.lit == Lit::Scale {
                    self.point_literal(&v, "negated");
                    return None;
                }
                let (ty, shape) = (v.e.ty.clone(), v.e.shape.clone());
                let kind = match v.e.kind {
                    ExprKind::Real(x) => ExprKind::Real(-x),
                    ExprKind::Int(n) => ExprKind::Int(-n),
                    kind => ExprKind::Unary(UnOp::Neg, Box::new(Expr { kind, ..v.e })),
                };
                let temp = if v.temp == Temp::Point { Temp::Plain } else { v.temp };
                Some(Val { e: Expr { kind, ty, shape, span }, temp, ..v })
            }
            UnaryOp::Not if v.e.ty == Type::Bool => {
                let (ty, shape) = (Type::Bool, v.e.shape.clone());
                Some(Val::of(Expr { kind: ExprKind::Unary(UnOp::Not, Box::new(v.e)), ty, shape, span }))
            }
            UnaryOp::Not if v.is_any() => Some(Val::behavior(Op::Unary(UnOp::Not, v.e), Type::Bool, span)),
            UnaryOp::Plus if v.is_any() => Some(v),
            _ if v.is_any() => Some(Val::behavior(Op::Unary(UnOp::Neg, v.e), Type::Any, span)),
            _ => {
                let what = self.describe_val(&v);
                let (sign, wants) = match op {
                    UnaryOp::Not => ("not", "a truth value"),
                    UnaryOp::Neg => ("-", "a number"),
                    UnaryOp::Plus => ("+", "a number"),
                };
                let d = Diagnostic::new(codes::BAD_OPERANDS, span, format!("`{sign}` needs {wants}"));
                self.say(d.here(format!("this is {} {what}", super::words::article(&what))));
                None
            }
        }
    }

    /// A condition: a truth value. `shape_ok`: whether an array may stand here.
    pub(super) fn condition(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        let mut v = self.expr(cx, e)?;
        if v.is_any() {
            v.e.ty = Type::Bool;
            return Some(v);
        }
        if v.e.ty != Type::Bool || !v.e.shape.is_empty() {
            let what = self.describe_val(&v);
            let mut d = Diagnostic::new(codes::CONDITION_NOT_BOOL, e.span, "a condition is a truth value")
                .here(format!("this is {} {what}", super::words::article(&what)));
            if v.e.ty == Type::Bool {
                d = d.help("reduce it with `all(…)` or `any(…)`");
            } else if is_number(&v.e.ty) {
                d = d.help("compare it, for example `… > 0`");
            }
            self.say(d);
            return None;
        }
        Some(v)
    }

    fn if_expr(
        &mut self,
        cx: &mut Cx<'a>,
        arms: &'a [(ast::Expr, ast::Expr)],
        otherwise: &'a ast::Expr,
        span: Span,
    ) -> Option<Val> {
        let mut checked = Vec::new();
        let mut ok = true;
        for (c, v) in arms {
            let (c, v) = (self.condition(cx, c), self.expr(cx, v));
            match (c, v) {
                (Some(c), Some(v)) => checked.push((c, v)),
                _ => ok = false,
            }
        }
        let last = self.expr(cx, otherwise);
        if !ok {
            return None;
        }
        let mut out = last?;
        while let Some((c, v)) = checked.pop() {
            out = self.join(c, v, out, span)?;
        }
        Some(out)
    }

    /// `if c then a else b` of checked parts.
    pub(super) fn join(&mut self, c: Val, a: Val, b: Val, span: Span) -> Option<Val> {
        if a.is_any() || b.is_any() {
            let kind = ExprKind::If(Box::new(c.e), Box::new(a.e), Box::new(b.e));
            return Some(Val::new(kind, Type::Any, span));
        }
        let (a, b) = if is_number(&a.e.ty) && is_number(&b.e.ty) {
            self.unify_numbers("if", a, b, span)?
        } else if a.e.ty == b.e.ty || optional_fits(&a.e.ty, &b.e.ty) || optional_fits(&b.e.ty, &a.e.ty) {
            (a, b)
        } else {
            let (x, y) = (self.describe_val(&a), self.describe_val(&b));
            let d = Diagnostic::new(
                codes::TYPE_MISMATCH,
                span,
                "the branches of this `if` are of different types",
            );
            self.say(d.label(a.span(), format!("this is {x}")).label(b.span(), format!("this is {y}")));
            return None;
        };
        let shape = self.broadcast(&a, &b, "if", span)?;
        let ty = if a.e.ty == Type::Int && b.e.ty != Type::Int { b.e.ty.clone() } else { a.e.ty.clone() };
        let temp = join_temp(a.temp, b.temp);
        let nature = if a.nature == b.nature || b.lit == Lit::Zero { a.nature } else { Nature::Plain };
        let quantity = if a.quantity == b.quantity { a.quantity.clone() } else { None };
        let has_pi = a.has_pi || b.has_pi;
        let kind = ExprKind::If(Box::new(c.e), Box::new(a.e), Box::new(b.e));
        Some(Val {
            e: Expr { kind, ty, shape, span },
            temp,
            nature,
            lit: Lit::No,
            quantity,
            unit: None,
            has_pi,
        })
    }

    /// The common shape of two operands, where a scalar fills.
    pub(super) fn broadcast(&mut self, a: &Val, b: &Val, op: &str, span: Span) -> Option<Vec<Extent>> {
        let (x, y) = (&a.e.shape, &b.e.shape);
        if x.is_empty() {
            return Some(y.clone());
        }
        if y.is_empty() {
            return Some(x.clone());
        }
        if x.len() == y.len() && x.iter().zip(y).all(|(p, q)| may_equal(p, q)) {
            // A known length says more than an unknown one.
            return Some(
                x.iter()
                    .zip(y)
                    .map(|(p, q)| if matches!(p, Extent::Inferred) { q.clone() } else { p.clone() })
                    .collect(),
            );
        }
        let (x, y) = (super::ty::show_shape(x), super::ty::show_shape(y));
        let d = Diagnostic::new(
            codes::SHAPE_MISMATCH,
            span,
            format!("`{op}` between arrays of shape {x} and {y}"),
        );
        self.say(d.label(a.span(), format!("shape {x}")).label(b.span(), format!("shape {y}")));
        None
    }

    fn array(&mut self, cx: &mut Cx<'a>, items: &'a [ast::Expr], span: Span) -> Option<Val> {
        let vals: Vec<Option<Val>> = items.iter().map(|i| self.expr(cx, i)).collect();
        let mut vals: Vec<Val> = vals.into_iter().collect::<Option<_>>()?;
        if vals.is_empty() {
            let mut v = Val::opaque(Type::Any, span).shaped(vec![Extent::Const(0)]);
            v.e.kind = ExprKind::Array(Vec::new());
            return Some(v);
        }
        if vals.iter().any(Val::is_any) {
            let items = vals.into_iter().map(|v| v.e).collect();
            return Some(Val::behavior(Op::List(items), Type::List(Box::new(Type::Any)), span));
        }
        let mut first = vals.remove(0);
        let mut out = Vec::with_capacity(vals.len() + 1);
        for v in vals {
            let (a, b) = self.same_kind("elements of one array", first, v, span)?;
            if a.e.shape.len() != b.e.shape.len()
                || !a.e.shape.iter().zip(&b.e.shape).all(|(p, q)| may_equal(p, q))
            {
                let d = Diagnostic::new(
                    codes::SHAPE_MISMATCH,
                    b.span(),
                    "the rows of this array differ in shape",
                );
                self.say(d.label(a.span(), "another shape"));
                return None;
            }
            first = Val { temp: join_temp(a.temp, b.temp), ..a };
            if first.e.ty == Type::Int && b.e.ty != Type::Int {
                first.e.ty = b.e.ty.clone();
            }
            out.push(b.e);
        }
        let (ty, temp, nature) = (first.e.ty.clone(), first.temp, first.nature);
        let quantity = first.quantity.clone();
        let mut shape = vec![Extent::Const(out.len() as u32 + 1)];
        shape.extend(first.e.shape.clone());
        out.insert(0, first.e);
        if !matches!(ty, Type::Real(_) | Type::Int | Type::Bool | Type::Enum(_) | Type::Complex(_)) {
            return Some(Val::behavior(Op::List(out), ty, span).shaped(shape));
        }
        let mut v = Val::of(Expr { kind: ExprKind::Array(out), ty, shape, span });
        (v.temp, v.nature, v.quantity) = (temp, nature, quantity);
        Some(v)
    }

    /// Two values that must be of one type.
    fn same_kind(&mut self, what: &str, a: Val, b: Val, span: Span) -> Option<(Val, Val)> {
        if is_number(&a.e.ty) && is_number(&b.e.ty) {
            return self.unify_numbers(what, a, b, span);
        }
        if a.e.ty == b.e.ty {
            return Some((a, b));
        }
        let (x, y) = (self.describe_val(&a), self.describe_val(&b));
        let d = Diagnostic::new(codes::TYPE_MISMATCH, b.span(), format!("{what} are of different types"));
        self.say(d.here(format!("this is {y}")).label(a.span(), format!("this is {x}")));
        None
    }

    fn array_for(&mut self, cx: &mut Cx<'a>, g: &'a ast::Generator, span: Span) -> Option<Val> {
        let depth = cx.locals.len();
        let done = self.comprehension(cx, g);
        cx.locals.truncate(depth);
        let (c, body, mut shape) = done?;
        if c.is_filtered() {
            shape.clear();
            shape.push(Extent::Inferred);
        }
        shape.extend(body.e.shape.clone());
        let kind = match c {
            Looped::Ranges(c) => ExprKind::Comprehension(Rc::new(c)),
            Looped::Each(each) => ExprKind::Behavior(Rc::new(Op::Each(Rc::new(each)))),
        };
        Some(Val { e: Expr { kind, ty: body.e.ty.clone(), shape, span }, ..body })
    }

    /// `sum(x[i] for i in 0..n)`
    pub(super) fn reduce_over(
        &mut self,
        cx: &mut Cx<'a>,
        r: Reduction,
        g: &'a ast::Generator,
        span: Span,
    ) -> Option<Val> {
        let depth = cx.locals.len();
        let done = self.comprehension(cx, g);
        cx.locals.truncate(depth);
        let (c, body, _) = done?;
        let mut v = self.reduced(r, &body, Vec::new(), span)?;
        v.e.kind = match c {
            Looped::Ranges(c) => ExprKind::ReduceOver(r, Rc::new(c)),
            Looped::Each(each) => {
                let each = Each { reduction: Some(r), ..each };
                ExprKind::Behavior(Rc::new(Op::Each(Rc::new(each))))
            }
        };
        v.e.shape = body.e.shape;
        Some(v)
    }

    /// Opens the loops of a generator and checks its body: the caller closes the locals.
    fn comprehension(
        &mut self,
        cx: &mut Cx<'a>,
        g: &'a ast::Generator,
    ) -> Option<(Looped, Val, Vec<Extent>)> {
        let mut loops = Vec::new();
        let mut filter: Option<Val> = None;
        let mut shape = Vec::new();
        let mut each = None;
        for c in &g.clauses {
            let opened = match self.open_twins(cx, &c.vars, &c.iter) {
                Some(o) => o,
                None => self.open_loop(cx, &c.vars, &c.iter)?,
            };
            match opened {
                Opened::Range(r, n) => {
                    loops.push(r);
                    shape.push(n);
                }
                Opened::Twins(r, n, there) => {
                    loops.push(r);
                    shape.push(n);
                    if let Some(t) = there {
                        let t = Val::of(t);
                        filter = Some(match filter {
                            None => t,
                            Some(f) => {
                                let kind = ExprKind::Binary(hir::BinOp::And, Box::new(f.e), Box::new(t.e));
                                Val::new(kind, Type::Bool, c.iter.span)
                            }
                        });
                    }
                }
                Opened::Each(vars, over) => {
                    if g.clauses.len() > 1 {
                        self.misplaced(
                            c.iter.span,
                            "a loop over a collection beside another loop",
                            "loop over it in statements, or over one collection alone",
                        );
                        return None;
                    }
                    each = Some((vars, over));
                    shape.push(Extent::Inferred);
                }
            }
            if let Some(cond) = &c.cond {
                let v = self.condition(cx, cond)?;
                filter = Some(match filter {
                    None => v,
                    Some(f) => {
                        let kind = ExprKind::Binary(hir::BinOp::And, Box::new(f.e), Box::new(v.e));
                        Val::new(kind, Type::Bool, cond.span)
                    }
                });
            }
        }
        let body = self.expr(cx, &g.body)?;
        let filter = filter.map(|f| f.e);
        let looped = match each {
            Some((vars, over)) => {
                Looped::Each(Each { body: body.e.clone(), vars, over, filter, reduction: None })
            }
            None => Looped::Ranges(Comprehension { body: body.e.clone(), loops, filter }),
        };
        Some((looped, body, shape))
    }

    /// Binds the names of a loop; they stay in `cx.locals`.
    pub(super) fn open_loop(
        &mut self,
        cx: &mut Cx<'a>,
        vars: &'a [ast::Name],
        iter: &'a ast::Expr,
    ) -> Option<Opened> {
        if let A::Range { lo, hi } = &iter.kind {
            let (Some(lo), Some(hi)) = (lo, hi) else {
                let d = Diagnostic::new(codes::BAD_INDEX, iter.span, "a loop needs both ends of its range");
                self.say(d.help("as in `for i in 0..n`"));
                return None;
            };
            let (lo, hi) = (self.whole(cx, lo), self.whole(cx, hi));
            let (lo, hi) = (lo?, hi?);
            let [var] = vars else {
                let span = vars.last().map_or(iter.span, |v| v.span);
                self.say(Diagnostic::new(codes::BAD_INDEX, span, "a range has one index"));
                return None;
            };
            let local = self.local(var.as_str(), Ty::new(Type::Int), var.span);
            let id = local.id;
            cx.locals.push(local);
            let n = match (super::ty::const_int(&lo.e), super::ty::const_int(&hi.e)) {
                (Some(a), Some(b)) => {
                    u32::try_from(b.saturating_sub(a).max(0)).map_or(Extent::Inferred, Extent::Const)
                }
                (Some(0), None) => Extent::Formula(Box::new(hi.e.clone())),
                _ => Extent::Inferred,
            };
            return Some(Opened::Range(ForRange { local: id, lo: lo.e, hi: hi.e }, n));
        }
        if cx.mode == Mode::Behavior
            && let Some(opened) = self.open_twins(cx, vars, iter)
        {
            return Some(opened);
        }
        let v = self.expr(cx, iter)?;
        if v.is_any()
            || matches!(v.e.ty, Type::List(_) | Type::Map(..) | Type::String)
            || matches!(v.e.kind, ExprKind::BehaviorOnly | ExprKind::Behavior(_))
        {
            let (first, second) = match &v.e.ty {
                Type::List(t) => ((**t).clone(), Type::Any),
                Type::Map(k, t) => ((**k).clone(), (**t).clone()),
                Type::String => (Type::String, Type::Any),
                _ if !v.e.shape.is_empty() => (v.e.ty.clone(), Type::Any),
                _ => (Type::Any, Type::Any),
            };
            let mut ids = Vec::with_capacity(vars.len());
            for (n, name) in vars.iter().enumerate() {
                let ty = if n == 0 { first.clone() } else { second.clone() };
                let local = self.local(name.as_str(), Ty::new(ty), name.span);
                ids.push(local.id);
                cx.locals.push(local);
            }
            return Some(Opened::Each(ids, v.e));
        }
        let Some(n) = v.e.shape.first().cloned() else {
            let what = self.describe_val(&v);
            let d = Diagnostic::new(
                codes::NOT_AN_ARRAY,
                iter.span,
                "a loop runs over a range, an array or a collection",
            );
            self.say(
                d.here(format!("this is {} {what}", super::words::article(&what)))
                    .help("as in `for i in 0..n`"),
            );
            return None;
        };
        // `r in rules`: an index that the text does not name, and `r` standing for `rules[index]`.
        let (index_name, value_name) = match vars {
            [value] => (None, value),
            [index, value] => (Some(index), value),
            _ => {
                self.say(Diagnostic::new(
                    codes::BAD_INDEX,
                    iter.span,
                    "a loop over an array has one or two names",
                ));
                return None;
            }
        };
        let shown = index_name.map_or_else(|| format!("{}#", value_name.as_str()), |n| n.as_str().to_owned());
        let index = self.local(&shown, Ty::new(Type::Int), value_name.span);
        let id = index.id;
        let at = Expr { kind: ExprKind::Local(id), ty: Type::Int, shape: Vec::new(), span: iter.span };
        let hi = match &n {
            Extent::Const(n) => ExprKind::Int(i64::from(*n)),
            Extent::Formula(f) => f.kind.clone(),
            Extent::Inferred => ExprKind::Call(Builtin::Len, vec![v.e.clone()]),
        };
        let hi = Expr { kind: hi, ty: Type::Int, shape: Vec::new(), span: iter.span };
        let lo = Expr { kind: ExprKind::Int(0), ty: Type::Int, shape: Vec::new(), span: iter.span };
        let element = Val { e: index_first(v.e.clone(), at), ..v };
        let ty = element.to_ty();
        cx.locals.push(index);
        let mut local: Local<'a> = self.local(value_name.as_str(), ty, value_name.span);
        local.alias = Some(Box::new(element));
        cx.locals.push(local);
        Some(Opened::Range(ForRange { local: id, lo, hi }, n))
    }

    /// A whole number, for ranges and indices.
    pub(super) fn whole(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        let mut v = self.expr(cx, e)?;
        if v.is_any() {
            v.e.ty = Type::Int;
            return Some(v);
        }
        if v.e.ty != Type::Int || !v.e.shape.is_empty() {
            let what = self.describe_val(&v);
            let d = Diagnostic::new(codes::BAD_INDEX, e.span, "an index is a whole number");
            let d = d.here(format!("this is {} {what}", super::words::article(&what)));
            let division = matches!(&e.kind, A::Binary { op: ast::BinaryOp::Div, .. });
            self.say(if division {
                d.help("`/` of whole numbers gives a `Real`; write `div(a, b)`")
            } else {
                d
            });
            return None;
        }
        Some(v)
    }

    /// Marks a use of a temperature literal that only a difference may have.
    pub(super) fn point_literal(&mut self, v: &Val, how: &str) {
        let unit = v.unit.as_deref().unwrap_or("degC");
        let d = Diagnostic::new(
            codes::TEMPERATURE_POINT,
            v.span(),
            format!("a temperature in `{unit}` cannot be {how}"),
        );
        self.say(
            d.here(format!("`{unit}` is a point on a scale")).help("for a difference or a factor write `K`"),
        );
    }
}

/// What a loop runs over.
pub(super) enum Opened {
    /// Whole numbers, and how many.
    Range(ForRange, Extent),
    /// Twins, how many places there are, and which of them count.
    Twins(ForRange, Extent, Option<Expr>),
    /// The elements of a collection, by these names: behaviour only.
    Each(Vec<LocalId>, Expr),
}

/// A generator: `body for …`.
pub(super) enum Looped {
    /// Over ranges and arrays.
    Ranges(Comprehension),
    /// Over a collection.
    Each(Each),
}

impl Looped {
    fn is_filtered(&self) -> bool {
        match self {
            Looped::Ranges(c) => c.filter.is_some(),
            Looped::Each(e) => e.filter.is_some(),
        }
    }
}

/// A unit run as the product that it could be: `0.5 m*v/s` as `0.5 m/s * v`, where `v` is a variable.
fn spaced(number: &str, u: &ast::UnitExpr, variable: &dyn Fn(&ast::UnitFactor) -> bool) -> String {
    let is_variable = |k: usize, f: &ast::UnitFactor| k > 0 && variable(f);
    let of = |wanted: bool| {
        let all = u.factors.iter().enumerate();
        let factors = all.filter(|(k, f)| is_variable(*k, f) == wanted).map(|(_, f)| f.clone()).collect();
        ast::UnitExpr { factors, span: u.span }
    };
    let mut out = format!("{number} {}", crate::units::unit_text(&of(false)));
    for f in of(true).factors {
        let one = ast::UnitExpr { factors: vec![f.clone()], span: u.span };
        let text = crate::units::unit_text(&one);
        match text.strip_prefix("1/") {
            Some(divisor) => out.push_str(&format!(" / {divisor}")),
            None => out.push_str(&format!(" * {text}")),
        }
    }
    out
}

/// `a[at]` of an array value: a member path takes the subscript itself.
pub(super) fn index_first(a: Expr, at: Expr) -> Expr {
    let span = a.span;
    let shape = a.shape.get(1..).unwrap_or_default().to_vec();
    let ty = a.ty.clone();
    if let ExprKind::Member(r) = &a.kind
        && r.steps.iter().rev().skip(1).all(|s| s.subscripts.is_empty())
        && let [only] = r.steps.as_slice()
        && only.subscripts.is_empty()
    {
        let mut r = r.clone();
        r.steps[0].subscripts.push(Subscript::Index(at));
        return Expr { kind: ExprKind::Member(r), ty, shape, span };
    }
    Expr { kind: ExprKind::Index(Box::new(a), vec![Subscript::Index(at)]), ty, shape, span }
}

/// The kind of kelvin that two alternatives give.
pub(super) fn join_temp(a: Temp, b: Temp) -> Temp {
    match (a, b) {
        (Temp::Plain, x) | (x, Temp::Plain) => x,
        (x, y) if x == y => x,
        _ => Temp::Plain,
    }
}

/// Whether a value of type `a` may stand where `b` is optional.
pub(super) fn optional_fits(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Optional(x), Type::Optional(y)) => **x == Type::Any || **y == Type::Any || x == y,
        (x, Type::Optional(y)) => x == &**y || **y == Type::Any,
        _ => false,
    }
}
