//! Calls: builtins, reductions, tables, records, user functions, behaviour's methods.

use std::rc::Rc;

use twinml_model::dimension::Dimension;
use twinml_model::program::{Outside, TableMethod};

use super::assign::Target;
use super::builtins;
use super::class::Member;
use super::place::{NAMESPACES, Place};
use super::ty::{Lit, Temp, Ty, Val, display_unit, is_number};
use super::words::article;
use super::{Checker, Cx, ItemId, Mode};
use crate::ast::{self, Arg, ExprKind as A};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::behavior::{Each, Op};
use crate::hir::{BinOp, Builtin, Expr, ExprKind, Extent, Name, RecordId, Reduction, TableFile, Type};
use crate::resolve::Def;
use crate::source::Span;
use crate::units::Unit;

impl<'a> Checker<'a, '_> {
    #[inline(never)]
    pub(super) fn call(
        &mut self,
        cx: &mut Cx<'a>,
        whole: &'a ast::Expr,
        callee: &'a ast::Expr,
        args: &'a [Arg],
    ) -> Option<Val> {
        match &callee.kind {
            A::Name(n) => self.call_name(cx, n, args, whole.span),
            A::Field { base, name } => {
                if let Some(path) = callee.as_path()
                    && path.names.len() == 2
                    && !self.own_name(cx, path.names[0].as_str())
                    && let Some(def) = self.find_def(cx.module, &path)
                {
                    return self.call_def(cx, def, name, args, whole.span);
                }
                self.call_method(cx, base, name, args, whole.span)
            }
            // `quantile(0.9)(x over run)`
            A::Call { callee: inner, args: first }
                if inner.as_name().is_some_and(|n| n.as_str() == "quantile") =>
            {
                let all: Vec<&'a Arg> = args.iter().chain(first).collect();
                self.aggregate(cx, "quantile", &all, whole.span)
            }
            A::Error => None,
            _ => {
                let v = self.expr(cx, callee)?;
                if let Type::Table(..) = v.e.ty {
                    return self.call_table(cx, v, args, whole.span);
                }
                self.not_callable(&v, callee.span)
            }
        }
    }

    fn not_callable(&mut self, v: &Val, span: Span) -> Option<Val> {
        if v.is_any() {
            return Some(Val::opaque(Type::Any, span));
        }
        let what = self.describe_val(v);
        let d = Diagnostic::new(codes::NOT_CALLABLE, span, "this is called and is no function");
        self.say(d.here(format!("this is {} {what}", article(&what))).help("to multiply write `*`"));
        None
    }

    fn call_name(&mut self, cx: &mut Cx<'a>, n: &'a ast::Name, args: &'a [Arg], span: Span) -> Option<Val> {
        let name = n.as_str();
        let is_local = cx.locals.iter().any(|l| &*l.name == name);
        // A member that is no function (a parameter `gamma`) does not hide the function.
        if let Some(c) = cx.class.filter(|_| !is_local)
            && self.class(c).members.contains_key(name)
        {
            match self.member(c, name)? {
                Member::Var { ty, .. } if matches!(ty.base, Type::Table(..)) => {
                    let Some(Place::Member(m)) = self.place_of_name(cx, n) else { return None };
                    let v = Val::typed(ExprKind::Member(m.r), &ty, n.span);
                    return self.call_table(cx, v, args, span);
                }
                Member::Capability => return self.call_capability(cx, args, span),
                Member::Var { .. }
                    if builtins::builtin(name).is_some() || builtins::reduction(name).is_some() => {}
                _ => {
                    let v = self.name_value(cx, n)?;
                    return self.not_callable(&v, n.span);
                }
            }
        } else if is_local {
            let v = self.name_value(cx, n)?;
            if let Type::Table(..) = v.e.ty {
                return self.call_table(cx, v, args, span);
            }
            return self.not_callable(&v, n.span);
        }
        if let Some(c) = cx.class
            && let Some(f) = self.class(c).funcs.get(name).copied()
        {
            return self.call_user(cx, f, n, args, span);
        }
        if let Some(b) = self.scopes[cx.module.0 as usize].get(name) {
            let def = b.def;
            return self.call_def(cx, def, n, args, span);
        }
        if name == "quantile"
            && let [_, Arg { value: ast::Expr { kind: A::Over { .. }, .. }, .. }] = args
        {
            let d =
                Diagnostic::new(codes::ARGUMENT_COUNT, span, "the share of time stands behind the quantity");
            self.say(d.help("as in `quantile(0.95)(x over run)` or `quantile(x over run, 0.95)`"));
            return None;
        }
        if let [Arg { value: ast::Expr { kind: A::Over { .. }, .. }, .. }, ..] = args {
            let all: Vec<&'a Arg> = args.iter().collect();
            return self.aggregate(cx, name, &all, span);
        }
        match name {
            "der" => return self.der(cx, args, span),
            "table" => return self.table(cx, args, span),
            "draw" => return self.draw(cx, args, span),
            "distance" if args.len() == 2 => return self.distance(cx, args, span),
            "log" if matches!(args, [Arg { value, .. }] if matches!(value.kind, A::Str(_))) => {
                self.args_any(cx, args);
                return Some(Val::opaque(Type::Any, span));
            }
            "count" if self.is_event(cx, args) => {
                let event = self.event_ref(cx, &args.first()?.value)?;
                return Some(Val::behavior(Op::Count(event), Type::Int, span));
            }
            _ => {}
        }
        if let Some(r) = builtins::reduction(name)
            && let [arg] = args
        {
            return self.reduce(cx, r, arg, span);
        }
        if let Some(entry) = builtins::builtin(name) {
            return self.builtin(cx, entry, args, span);
        }
        self.unknown_function(cx, n, args, span)
    }

    fn name_value(&mut self, cx: &mut Cx<'a>, n: &'a ast::Name) -> Option<Val> {
        let place = self.place_of_name(cx, n)?;
        self.place_value(cx, place, n.span)
    }

    fn place_of_name(&mut self, cx: &mut Cx<'a>, n: &'a ast::Name) -> Option<Place<'a>> {
        self.name(cx, n)
    }

    /// Whether the one argument names an event of this twin (or of a part).
    fn is_event(&mut self, cx: &Cx<'a>, args: &[Arg]) -> bool {
        let ([Arg { value, .. }], Some(c)) = (args, cx.class) else { return false };
        match value.as_path() {
            Some(p) => match p.names.as_slice() {
                [one] => {
                    let name = one.as_str();
                    !self.own_name(cx, name) && self.class(c).events.contains(name)
                }
                [part, event] if self.class(c).members.contains_key(part.as_str()) => match self
                    .member(c, part.as_str())
                {
                    Some(Member::Part { class, .. }) => {
                        let class = self.class(class);
                        !class.members.contains_key(event.as_str()) && class.events.contains(event.as_str())
                    }
                    _ => false,
                },
                _ => false,
            },
            None => false,
        }
    }

    fn call_def(
        &mut self,
        cx: &mut Cx<'a>,
        def: Def,
        name: &'a ast::Name,
        args: &'a [Arg],
        span: Span,
    ) -> Option<Val> {
        if def == Def::Native && name.as_str() == "contract_net" && cx.mode == Mode::Behavior {
            return self.contract_net(cx, args, span);
        }
        if def == Def::Native {
            self.args_any(cx, args);
            return Some(Val::opaque(Type::Any, span));
        }
        match self.item_of(def) {
            ItemId::Func(f) => self.call_user(cx, f, name, args, span),
            ItemId::Record(r) => self.build_record(cx, r, args, span),
            _ => {
                let d = Diagnostic::new(
                    codes::NOT_CALLABLE,
                    name.span,
                    format!("`{}` is called and is no function", name.as_str()),
                );
                self.say(d);
                None
            }
        }
    }

    fn unknown_function(
        &mut self,
        cx: &mut Cx<'a>,
        n: &ast::Name,
        args: &'a [Arg],
        span: Span,
    ) -> Option<Val> {
        let name = n.as_str();
        if let ("accept" | "reject", Mode::Behavior, [Arg { name: None, value, .. }]) = (name, cx.mode, args)
        {
            return self.answer_proposal(cx, value, name == "accept", span);
        }
        self.args_any(cx, args);
        if cx.mode == Mode::Behavior {
            if matches!(name, "accept" | "reject" | "request" | "query" | "near" | "inside" | "size" | "str")
            {
                return Some(Val::opaque(Type::Any, span));
            }
            cx.undefined.push((Rc::from(name), n.span));
            return Some(Val::behavior(Op::Undefined(Rc::from(name)), Type::Any, span));
        }
        let mut known: Vec<String> =
            self.scopes[cx.module.0 as usize].keys().map(ToString::to_string).collect();
        known.extend(builtins::names().map(str::to_owned));
        let mut d = Diagnostic::new(codes::UNKNOWN_FUNCTION, n.span, format!("unknown function `{name}`"));
        d.help = did_you_mean(name, known.iter().map(String::as_str));
        self.say_missing(name, d.here("nothing of this name can be called"));
        None
    }

    /// Checks arguments whose types nothing constrains.
    pub(super) fn args_any(&mut self, cx: &mut Cx<'a>, args: &'a [Arg]) -> Option<Vec<(Option<Name>, Expr)>> {
        self.args_of(cx, args, &Ty::any())
    }

    /// The same where functions among them are given values of a type.
    fn args_of(
        &mut self,
        cx: &mut Cx<'a>,
        args: &'a [Arg],
        of: &Ty<'a>,
    ) -> Option<Vec<(Option<Name>, Expr)>> {
        let mut out = Some(Vec::with_capacity(args.len()));
        for a in args {
            let value = match &a.value.kind {
                A::Closure { params, body } => {
                    let depth = cx.locals.len();
                    let mut ids = Vec::with_capacity(params.len());
                    for p in params {
                        let local = self.local(p.as_str(), of.clone(), p.span);
                        ids.push(local.id);
                        cx.locals.push(local);
                    }
                    let body = self.expr(cx, body);
                    cx.locals.truncate(depth);
                    body.map(|b| Val::behavior(Op::Closure(ids, b.e), Type::Any, a.span).e)
                }
                A::Call { args, callee }
                    if callee.as_name().is_some_and(|n| n.as_str() == "circuit_breaker") =>
                {
                    self.args_any(cx, args);
                    Some(Val::opaque(Type::Any, a.span).e)
                }
                _ => self.expr(cx, &a.value).map(|v| v.e),
            };
            if let Some(u) = &a.unit {
                self.unit(u);
            }
            let name = a.name.as_ref().map(|n| Rc::from(n.as_str()));
            match (value, &mut out) {
                (Some(v), Some(list)) => list.push((name, v)),
                _ => out = None,
            }
        }
        out
    }

    fn call_capability(&mut self, cx: &mut Cx<'a>, args: &'a [Arg], span: Span) -> Option<Val> {
        if cx.mode != Mode::Behavior {
            return self.misplaced(span, "a call of a capability", "only behaviour calls capabilities");
        }
        self.args_any(cx, args);
        Some(Val::opaque(Type::Any, span))
    }

    fn call_method(
        &mut self,
        cx: &mut Cx<'a>,
        base: &'a ast::Expr,
        name: &'a ast::Name,
        args: &'a [Arg],
        span: Span,
    ) -> Option<Val> {
        if let Some(n) = base.as_name()
            && NAMESPACES.contains(&n.as_str())
            && !self.own_name(cx, n.as_str())
        {
            if cx.mode != Mode::Behavior {
                return self.misplaced(span, "this call", "only behaviour reaches memories and services");
            }
            self.args_any(cx, args);
            return Some(Val::opaque(Type::Any, span));
        }
        let place = self.place(cx, base)?;
        let v = match place {
            Place::Member(ref m) if matches!(m.what, Member::Part { .. }) && cx.mode == Mode::Behavior => {
                self.args_any(cx, args);
                return Some(Val::opaque(Type::Any, span));
            }
            Place::Member(ref m) if matches!(m.what, Member::Capability) => {
                return self.call_capability(cx, args, span);
            }
            Place::Member(ref m) if matches!(m.what, Member::Part { .. }) => {
                // A table of a child.
                let field = self.place_value_of_field(cx, base, name, span)?;
                return match field.e.ty {
                    Type::Table(..) => self.call_table(cx, field, args, span),
                    _ => self.not_callable(&field, name.span),
                };
            }
            place => self.place_value(cx, place, base.span)?,
        };
        let of = Self::of_proposals(&v.e.ty).unwrap_or_else(Ty::any);
        let given = self.args_of(cx, args, &of);
        let ty = match (&v.e.ty, name.as_str()) {
            (Type::Any, _) => Type::Any,
            (Type::List(_) | Type::Map(..) | Type::String, "len" | "size" | "count") => Type::Int,
            (Type::List(_) | Type::Map(..) | Type::String, "is_empty" | "contains" | "has") => Type::Bool,
            (Type::List(t), "pop" | "first" | "last" | "peek" | "min_by" | "max_by" | "get") => (**t).clone(),
            (Type::List(_), "push" | "append" | "clear" | "remove" | "insert" | "add") => Type::Any,
            (Type::List(t), "filter" | "sort_by" | "take" | "skip" | "reverse" | "values") => {
                Type::List(t.clone())
            }
            (Type::List(_), "map") => Type::List(Box::new(Type::Any)),
            (Type::List(_), "sum" | "any" | "all" | "fold") => Type::Any,
            (Type::Map(k, _), "keys") => Type::List(k.clone()),
            (Type::Map(_, t), "values") => Type::List(t.clone()),
            (Type::Map(_, t), "get" | "remove") => (**t).clone(),
            (Type::Map(..), "insert" | "set" | "clear") => Type::Any,
            (Type::String, "lower" | "upper" | "trim" | "replace") => Type::String,
            (Type::String, "starts_with" | "ends_with") => Type::Bool,
            (Type::String, "split") => Type::List(Box::new(Type::String)),
            (Type::Twin(_), _) => return Some(Val::opaque(Type::Any, span)),
            (Type::Optional(_) | Type::Record(_), _) => Type::Any,
            (_, "len") if !v.e.shape.is_empty() => {
                return Some(Val::new(ExprKind::Call(Builtin::Len, vec![v.e]), Type::Int, span));
            }
            _ => {
                let what = self.describe_val(&v);
                let message = format!("{} {what} has no method `{}`", article(&what), name.as_str());
                self.say(Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message));
                return None;
            }
        };
        if v.e.kind == ExprKind::BehaviorOnly {
            return Some(Val::opaque(ty, span));
        }
        let given = given?.into_iter().map(|(_, e)| e).collect();
        Some(Val::behavior(Op::Method(v.e, Rc::from(name.as_str()), given), ty, span))
    }

    fn place_value_of_field(
        &mut self,
        cx: &mut Cx<'a>,
        base: &'a ast::Expr,
        name: &ast::Name,
        span: Span,
    ) -> Option<Val> {
        let place = self.place(cx, base)?;
        let place = self.field(cx, place, base.span, name, span)?;
        self.place_value(cx, place, span)
    }

    /// `Job(id: 1, weight: 2 kg)`
    fn build_record(&mut self, cx: &mut Cx<'a>, id: RecordId, args: &'a [Arg], span: Span) -> Option<Val> {
        let fields = self.record_fields[id.0 as usize].clone();
        let name = self.model.records[id.0 as usize].name.clone();
        let mut given: Vec<&str> = Vec::new();
        let mut values: Vec<Option<Expr>> = vec![None; fields.len()];
        let mut ok = true;
        for (i, a) in args.iter().enumerate() {
            let field = match &a.name {
                Some(n) => fields.get_key_value(n.as_str()),
                None => fields.get_index(i),
            };
            let Some((f, ty)) = field else {
                let at = a.name.as_ref().map_or(a.span, |n| n.span);
                let shown = a.name.as_ref().map_or("this".to_owned(), |n| format!("`{}`", n.as_str()));
                let mut d = Diagnostic::new(
                    codes::BAD_RECORD_FIELDS,
                    at,
                    format!("`{name}` has no field for {shown}"),
                );
                d.help = a.name.as_ref().and_then(|n| did_you_mean(n.as_str(), fields.keys().map(|k| &**k)));
                self.say(d);
                ok = false;
                continue;
            };
            if given.contains(&&**f) {
                let message = format!("the field `{f}` is given twice");
                self.say(Diagnostic::new(codes::BAD_RECORD_FIELDS, a.span, message));
                ok = false;
            }
            given.push(f);
            let value = self.value_for(cx, &a.value, ty, Target { name: f, span: None });
            ok &= value.is_some();
            if let Some(slot) = fields.get_index_of(&**f).and_then(|k| values.get_mut(k)) {
                *slot = value;
            }
        }
        let missing: Vec<String> =
            fields.keys().filter(|k| !given.contains(&&***k)).map(|k| format!("`{k}`")).collect();
        if ok && !missing.is_empty() {
            let message = format!("`{name}` is built without {}", missing.join(", "));
            self.say(Diagnostic::new(codes::BAD_RECORD_FIELDS, span, message));
            return None;
        }
        let values: Option<Vec<Expr>> = values.into_iter().collect();
        values.filter(|_| ok).map(|v| Val::behavior(Op::Record(id, v), Type::Record(id), span))
    }

    /// `curve(q)` of a table.
    fn call_table(&mut self, cx: &mut Cx<'a>, table: Val, args: &'a [Arg], span: Span) -> Option<Val> {
        let Type::Table(t) = table.e.ty.clone() else { return None };
        let (x, y) = *t;
        let [arg] = args else {
            let message = format!("a table takes one argument, not {}", args.len());
            self.say(Diagnostic::new(codes::ARGUMENT_COUNT, span, message));
            return None;
        };
        let v = self.expr(cx, &arg.value)?;
        let shape = v.e.shape.clone();
        let v = match x {
            Some(d) => {
                self.fits_type(v, &Ty::real(d), Target { name: "the table's argument", span: None })?
            }
            None => v,
        };
        let kind = match table.e.kind {
            ExprKind::Member(r) => ExprKind::CallTable(r, Box::new(v.e)),
            _ => ExprKind::BehaviorOnly,
        };
        Some(Val::of(Expr { kind, ty: Type::Real(y), shape, span }))
    }

    /// `table("f.csv", x: "flow" in kg/s, y: "rise" in bar, method: linear, outside: hold)`
    fn table(&mut self, cx: &mut Cx<'a>, args: &'a [Arg], span: Span) -> Option<Val> {
        let mut file: Option<Rc<str>> = None;
        let mut columns: [Option<(Rc<str>, Option<Unit>)>; 2] = [None, None];
        let mut method = TableMethod::Linear;
        let mut outside = Outside::Error;
        let mut ok = true;
        for a in args {
            let text = a.value.as_str().map(Rc::<str>::from);
            let word = a.value.as_name().map(ast::Name::as_str).or(a.value.as_str()).unwrap_or("");
            match a.name.as_ref().map(ast::Name::as_str) {
                None if file.is_none() && text.is_some() => file = text,
                Some("file") if text.is_some() => file = text,
                Some(c @ ("x" | "y")) if text.is_some() => {
                    let unit = match &a.unit {
                        Some(u) => match self.unit(u) {
                            Some(u) => Some(u),
                            None => {
                                ok = false;
                                None
                            }
                        },
                        None => None,
                    };
                    columns[usize::from(c == "y")] = text.map(|t| (t, unit));
                }
                Some("method") => match word {
                    "linear" => method = TableMethod::Linear,
                    "step" | "previous" => method = TableMethod::Step,
                    "pchip" => method = TableMethod::Pchip,
                    "cubic" | "spline" => method = TableMethod::Cubic,
                    _ => ok &= self.bad_word(&a.value, "method", &["linear", "step", "pchip", "cubic"]),
                },
                Some("outside") => match word {
                    "hold" => outside = Outside::Hold,
                    "error" => outside = Outside::Error,
                    "extend" => outside = Outside::Extend,
                    "repeat" => outside = Outside::Repeat,
                    _ => ok &= self.bad_word(&a.value, "outside", &["hold", "error", "extend", "repeat"]),
                },
                Some(other) if !matches!(other, "x" | "y" | "file") => {
                    let at = a.name.as_ref().map_or(a.span, |n| n.span);
                    let mut d = Diagnostic::new(codes::BAD_TABLE, at, format!("a table has no `{other}`"));
                    d.help = did_you_mean(other, ["x", "y", "method", "outside"]);
                    self.say(d);
                    ok = false;
                }
                _ => {
                    let d = Diagnostic::new(
                        codes::BAD_TABLE,
                        a.span,
                        "the file and the columns of a table are texts",
                    );
                    self.say(d.help("table(\"f.csv\", x: \"flow\" in kg/s, y: \"rise\" in bar)"));
                    ok = false;
                }
            }
        }
        let [x, y] = columns;
        let (Some(file), Some(x), Some(y)) = (file, x, y) else {
            if ok {
                let d = Diagnostic::new(
                    codes::BAD_TABLE,
                    span,
                    "a table needs a file and the columns `x` and `y`",
                );
                self.say(d.help("table(\"f.csv\", x: \"flow\" in kg/s, y: \"rise\" in bar)"));
            }
            return None;
        };
        if !ok {
            return None;
        }
        // Where units are off, a column without one is of plain numbers, whatever the file states.
        let bare = if cx.units_off { None } else { Some(Dimension::ONE) };
        let dim = |u: &Option<Unit>| u.as_ref().map_or(bare.clone(), |u| Some(u.dimension.clone()));
        let show = |u: &Option<Unit>| u.as_ref().map(display_unit);
        let ty = Type::Table(Box::new((dim(&x.1), dim(&y.1))));
        let t = TableFile { file, x: (x.0, show(&x.1)), y: (y.0, show(&y.1)), method, outside, span };
        Some(Val::new(ExprKind::TableFile(Rc::new(t)), ty, span))
    }

    /// Says that a word is none of the known ones; always `false`.
    pub(super) fn bad_word(&mut self, e: &ast::Expr, what: &str, known: &[&str]) -> bool {
        let word = e.as_name().map(ast::Name::as_str).or(e.as_str()).unwrap_or("");
        let message = if word.is_empty() {
            format!("`{what}` is one word")
        } else {
            format!("`{word}` is no `{what}`")
        };
        let mut d = Diagnostic::new(codes::BAD_TABLE, e.span, message);
        d.help = did_you_mean(word, known.iter().copied())
            .or_else(|| Some(format!("one of `{}`", known.join("`, `"))));
        self.say(d);
        false
    }

    /// `der(e)`
    fn der(&mut self, cx: &mut Cx<'a>, args: &'a [Arg], span: Span) -> Option<Val> {
        let [Arg { value, name: None, .. }] = args else {
            let message = format!("`der` takes one argument, not {}", args.len());
            self.say(Diagnostic::new(codes::ARGUMENT_COUNT, span, message));
            return None;
        };
        let v = self.expr(cx, value)?;
        if cx.mode == Mode::Formula {
            let d = Diagnostic::new(
                codes::BAD_DERIVATIVE,
                span,
                "a derivative cannot stand in the value of a declaration",
            );
            self.say(d.help("write it in `equations` or in `initial equations`"));
            return None;
        }
        let literal = v.e.ty == Type::Int && v.lit != Lit::No;
        if !(matches!(v.e.ty, Type::Real(_)) || literal) {
            let what = self.describe_val(&v);
            let message = format!("{} {what} has no derivative", article(&what));
            self.say(Diagnostic::new(codes::BAD_DERIVATIVE, value.span, message));
            return None;
        }
        let d = match v.dimension() {
            Some(d) if !cx.units_off => Some(d.checked_div(&Dimension::TIME)?),
            _ => None,
        };
        let angular = v.nature == crate::units::Nature::Angular;
        let shape = v.e.shape.clone();
        let mut out = Val::of(Expr { kind: ExprKind::Der(Box::new(v.e)), ty: Type::Real(d), shape, span });
        if angular {
            out.nature = crate::units::Nature::Angular;
        }
        Some(out)
    }

    /// `distance(a, b)`: the length of the difference of two positions.
    fn distance(&mut self, cx: &mut Cx<'a>, args: &'a [Arg], span: Span) -> Option<Val> {
        let vals: Vec<Option<Val>> = args.iter().map(|a| self.expr(cx, &a.value)).collect();
        let mut vals: Vec<Val> = vals.into_iter().collect::<Option<_>>()?;
        let (b, a) = (vals.pop()?, vals.pop()?);
        if a.is_any() || b.is_any() {
            let ty = if a.is_any() { b.e.ty.clone() } else { a.e.ty.clone() };
            let apart = Val::behavior(Op::Binary(BinOp::Sub, a.e, b.e), ty.clone(), span);
            return Some(Val::new(ExprKind::Call(Builtin::Norm, vec![apart.e]), ty, span));
        }
        let (a, b) = self.unify_numbers("distance", a, b, span)?;
        let shape = self.broadcast(&a, &b, "distance", span)?;
        let ty = a.e.ty.clone();
        let kind = ExprKind::Binary(BinOp::Sub, Box::new(a.e), Box::new(b.e));
        let apart = Expr { kind, ty: ty.clone(), shape, span };
        Some(Val::new(ExprKind::Call(Builtin::Norm, vec![apart]), ty, span))
    }

    /// `sum(xs)`, `sum(f(i) for i in …)`, `max(xs)`
    fn reduce(&mut self, cx: &mut Cx<'a>, r: Reduction, arg: &'a Arg, span: Span) -> Option<Val> {
        if let A::Generator(g) = &arg.value.kind {
            return self.reduce_over(cx, r, g, span);
        }
        if r == Reduction::Count
            && let Some(v) = self.head_count(cx, &arg.value)
        {
            return Some(v);
        }
        let v = self.expr(cx, &arg.value)?;
        if v.is_any() || matches!(v.e.ty, Type::List(_)) {
            let element = match &v.e.ty {
                Type::List(t) => (**t).clone(),
                _ => Type::Any,
            };
            let it = self.local("it", Ty::new(element), arg.span);
            let body = Val::typed(ExprKind::Local(it.id), &it.ty, arg.span).e;
            let each = Each { body, vars: vec![it.id], over: v.e, filter: None, reduction: Some(r) };
            let ty = match r {
                Reduction::All | Reduction::Any => Type::Bool,
                Reduction::Count => Type::Int,
                _ => it.ty.base,
            };
            return Some(Val::behavior(Op::Each(Rc::new(each)), ty, span));
        }
        if v.e.shape.is_empty() {
            let what = self.describe_val(&v);
            let d = Diagnostic::new(codes::NOT_AN_ARRAY, arg.span, "a reduction needs an array");
            self.say(d.here(format!("this is {} {what}", article(&what))));
            return None;
        }
        let e = v.e.clone();
        let mut out = self.reduced(r, &v, Vec::new(), span)?;
        out.e.kind = match self.population_mask(cx, &e)? {
            Some(mask) => self.masked(r, e, mask),
            None => ExprKind::Reduce(r, Box::new(e)),
        };
        Some(out)
    }

    /// The type of a reduction over values like `v`; the expression is the caller's.
    pub(super) fn reduced(&mut self, r: Reduction, v: &Val, shape: Vec<Extent>, span: Span) -> Option<Val> {
        let truth = matches!(r, Reduction::All | Reduction::Any | Reduction::Count);
        let fine = if truth { v.e.ty == Type::Bool } else { is_number(&v.e.ty) } || v.is_any();
        if !fine {
            let what = self.describe_val(v);
            let wants = if truth { "truth values" } else { "numbers" };
            let d = Diagnostic::new(codes::BAD_OPERANDS, v.span(), format!("this reduction needs {wants}"));
            self.say(d.here(format!("this is {} {what}", article(&what))));
            return None;
        }
        let ty = match r {
            Reduction::All | Reduction::Any => Type::Bool,
            Reduction::Count => Type::Int,
            Reduction::Mean if v.e.ty == Type::Int => Type::Real(Some(Dimension::ONE)),
            Reduction::Product if !v.dimension().is_none_or(Dimension::is_one) => {
                let what = self.describe_val(v);
                let message = format!("the product of {what}s has a unit that depends on their number");
                let d = Diagnostic::new(codes::NOT_DIMENSIONLESS, v.span(), message);
                self.say(d.help("divide by a reference first"));
                return None;
            }
            _ => v.e.ty.clone(),
        };
        let temp = if r == Reduction::Sum && v.temp == Temp::Point { Temp::Plain } else { v.temp };
        let e = Expr { kind: ExprKind::BehaviorOnly, ty, shape, span };
        let keep = matches!(r, Reduction::Sum | Reduction::Mean | Reduction::Min | Reduction::Max);
        let mut out = Val::of(e);
        if keep {
            (out.temp, out.nature, out.quantity) = (temp, v.nature, v.quantity.clone());
            out.unit = v.unit.clone();
        }
        Some(out)
    }
}
