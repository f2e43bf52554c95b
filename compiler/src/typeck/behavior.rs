//! Behaviour: handlers, their triggers, functions, memories and capabilities.
//! Memories that outlive a run and capabilities are checked only.

use std::collections::BTreeSet;
use std::rc::Rc;

use twinml_model::dimension::Dimension;

use super::assign::Target;
use super::class::Member;
use super::func::Result_;
use super::ty::{Ty, Val};
use super::{Checker, Cx, Mode};
use crate::ast::{self, BehaviorItem, ExprKind as A, Handler, MachineItem, StmtKind, Trigger};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::behavior::{
    EventRef, Func, Item, Op, Param, Pattern, Stmt, StmtKind as Kind, Trigger as Cause,
};
use crate::hir::{self, ClassId, Expr, Name, Ref, Step, Type};
use crate::source::Span;

/// Kinds of capabilities.
const CAPABILITIES: &[&str] = &[
    "llm_model",
    "nlp_model",
    "embedding_model",
    "sql_connector",
    "http_endpoint",
    "file_store",
    "workflow_trigger",
    "wasm_component",
    "command",
];

/// Supervision attributes of a capability or a call.
const SUPERVISION: &[&str] = &["timeout", "retries", "backoff", "circuit_breaker", "rate"];

/// Events that the behaviour emits or answers to.
pub(super) fn collect_events(items: &[BehaviorItem], out: &mut BTreeSet<Name>) {
    for i in items {
        match i {
            BehaviorItem::Handler(h) => handler_events(h, out),
            BehaviorItem::Func(f) => {
                if let ast::FuncBody::Block(b) = &f.body {
                    block_events(b, out);
                }
            }
            BehaviorItem::Machine(m) => machine_events(&m.items, out),
            BehaviorItem::Error(_) => {}
        }
    }
}

fn machine_events(items: &[MachineItem], out: &mut BTreeSet<Name>) {
    for i in items {
        match i {
            MachineItem::State(s) => machine_events(&s.items, out),
            MachineItem::Entry(b) | MachineItem::Exit(b) => block_events(b, out),
            MachineItem::Handler(h) => handler_events(h, out),
            MachineItem::Initial(_) | MachineItem::Equation(_) | MachineItem::Error(_) => {}
        }
    }
}

fn handler_events(h: &Handler, out: &mut BTreeSet<Name>) {
    match &h.trigger {
        Trigger::Event { event, .. } => {
            if let A::Name(n) = &event.kind {
                out.insert(Rc::from(n.as_str()));
            }
        }
        Trigger::Pattern { args, .. } => {
            for a in args {
                let at = match &a.kind {
                    A::Within { expr, .. } => expr,
                    _ => a,
                };
                let names = match &at.kind {
                    A::LeadsTo { cause, effect } => vec![&**cause, &**effect],
                    _ => vec![at],
                };
                for n in
                    names.into_iter().filter_map(|e| if let A::Name(n) = &e.kind { Some(n) } else { None })
                {
                    out.insert(Rc::from(n.as_str()));
                }
            }
        }
        _ => {}
    }
    if let Some(b) = &h.body {
        block_events(b, out);
    }
}

fn block_events(b: &ast::Block, out: &mut BTreeSet<Name>) {
    for s in &b.stmts {
        match &s.kind {
            StmtKind::Emit(e) => {
                let at = match &e.kind {
                    A::Call { callee, .. } => callee,
                    _ => e,
                };
                if let A::Name(n) = &at.kind {
                    out.insert(Rc::from(n.as_str()));
                }
            }
            StmtKind::If { arms, otherwise } => {
                arms.iter().for_each(|(_, b)| block_events(b, out));
                otherwise.iter().for_each(|b| block_events(b, out));
            }
            StmtKind::Match { arms, .. } => arms.iter().for_each(|a| block_events(&a.body, out)),
            StmtKind::For { body, .. } | StmtKind::While { body, .. } | StmtKind::After { body, .. } => {
                block_events(body, out);
            }
            _ => {}
        }
    }
}

impl<'a> Checker<'a, '_> {
    /// All behaviour of a twin, added to what it inherits; calls of undefined functions become one warning.
    pub(super) fn behavior(&mut self, id: ClassId, class: &mut hir::Class, items: Vec<&'a BehaviorItem>) {
        let mut cx = self.class_cx(id, Mode::Behavior);
        let out = &mut class.behavior;
        for i in items {
            match i {
                BehaviorItem::Handler(h) => {
                    if let Some(h) = self.handler(&mut cx, h) {
                        out.order.push(Item::Handler(out.handlers.len() as u32));
                        out.handlers.push(h);
                    }
                }
                BehaviorItem::Machine(m) => {
                    let Some(m) = self.machine(&mut cx, m) else { continue };
                    // One of the same name replaces what was inherited, where that stood.
                    match out.machines.iter_mut().find(|o| o.name == m.name) {
                        Some(old) => *old = m,
                        None => {
                            out.order.push(Item::Machine(out.machines.len() as u32));
                            out.machines.push(m);
                        }
                    }
                }
                BehaviorItem::Func(f) => {
                    let Some(f) = self.behavior_func(&mut cx, f) else { continue };
                    match out.functions.iter_mut().find(|o| o.name == f.name) {
                        Some(old) => *old = f,
                        None => out.functions.push(f),
                    }
                }
                BehaviorItem::Error(_) => {}
            }
        }
        out.events = self.class(id).events.iter().cloned().collect();
        self.emits_fit(out);
        self.undefined_calls(id, cx.undefined);
    }

    fn undefined_calls(&mut self, id: ClassId, calls: Vec<(Rc<str>, Span)>) {
        let mut unique: Vec<(Rc<str>, Span)> = Vec::new();
        for (n, s) in calls {
            if !unique.iter().any(|(u, _)| *u == n) && !self.modules.lost.contains(&*n) {
                unique.push((n, s));
            }
        }
        let Some((_, first)) = unique.first() else { return };
        let names: Vec<String> = unique.iter().map(|(n, _)| format!("`{n}`")).collect();
        let count =
            if unique.len() == 1 { "a function".into() } else { format!("{} functions", unique.len()) };
        let class = self.class(id).name.clone();
        let message = format!("`{class}` calls {count} that it does not define: {}", names.join(", "));
        let mut d = Diagnostic::new(codes::UNDEFINED_CALL, *first, message).here("not defined");
        for (_, s) in &unique[1..] {
            d = d.label(*s, "not defined");
        }
        let known: Vec<String> = self.class(id).funcs.keys().map(ToString::to_string).collect();
        let offer = unique.iter().find_map(|(n, _)| {
            crate::diag::nearest(n, known.iter().map(String::as_str)).map(|k| (n.clone(), k.to_owned()))
        });
        d = d.note("reaching one at run time is an error with the conversation's path");
        d.help = Some(match offer {
            Some((n, k)) => format!("instead of `{n}`, did you mean `{k}`?"),
            None => "define them in `behavior`, or use a module that does".to_owned(),
        });
        self.say(d);
    }

    fn behavior_func(&mut self, cx: &mut Cx<'a>, f: &'a ast::Func) -> Option<Func> {
        let depth = cx.locals.len();
        let params = self.bind_params(cx, &f.params);
        let declared = match &f.result {
            Some(t) => self.ty(cx, t),
            None => None,
        };
        let name: Rc<str> = Rc::from(f.name.as_str());
        cx.result = Some(Result_ { name: name.clone(), declared: declared.clone(), found: None });
        let before = self.diags.error_count();
        let body = match &f.body {
            ast::FuncBody::Block(b) => {
                let body = self.stmts(cx, b);
                if let Some(wanted) = &f.result
                    && !super::func::always_returns(b)
                    && self.diags.error_count() == before
                {
                    let message = format!("`{name}` may end without a result");
                    let d = Diagnostic::new(codes::BAD_RETURN, f.head, message);
                    let d = d.label(wanted.span, "it promises one");
                    self.say(d.help("end every way through it with `return …`"));
                }
                Some(body)
            }
            ast::FuncBody::Expr(e) => {
                let value = match &declared {
                    Some(ty) => self.value_for(cx, e, ty, Target { name: "the result", span: None }),
                    None => self.expr(cx, e).map(|v| v.e),
                };
                value.map(|v| vec![Stmt { span: v.span, kind: Kind::Return(Some(v)) }])
            }
        };
        cx.result = None;
        self.end_locals(cx, depth);
        Some(Func { name, params, body: body?, span: f.name.span })
    }

    /// Parameters of functions, events and messages become locals.
    fn bind_params(&mut self, cx: &mut Cx<'a>, params: &'a [ast::Param]) -> Vec<Param> {
        let mut out = Vec::with_capacity(params.len());
        for p in params {
            let ty = match &p.ty {
                Some(t) => self.ty(cx, t),
                None => None,
            };
            let ty = ty.unwrap_or_else(Ty::any);
            let mut default = None;
            if let Some(d) = &p.default {
                let t = Target { name: p.name.as_str(), span: Some(p.name.span) };
                default = self.value_for(cx, d, &ty, t);
            }
            let mut local = self.local(p.name.as_str(), ty, p.name.span);
            local.read = true;
            let (name, ty) = (local.name.clone(), local.ty.base.clone());
            let array = !local.ty.shape.is_empty();
            out.push(Param { name, local: local.id, ty, array, default });
            cx.locals.push(local);
        }
        out
    }

    /// Closes a handler: locals that nothing read are mistakes.
    fn end_locals(&mut self, cx: &mut Cx<'a>, depth: usize) {
        let known = match cx.class {
            Some(c) => self.member_names(c),
            None => Vec::new(),
        };
        self.unread_locals(cx, depth, &known);
        cx.locals.truncate(depth);
    }

    pub(super) fn unread_locals(&mut self, cx: &Cx<'a>, depth: usize, known: &[String]) {
        let open: Vec<(Rc<str>, Span)> = cx.locals[depth.min(cx.locals.len())..]
            .iter()
            .filter(|l| l.assigned && !l.read)
            .map(|l| (l.name.clone(), l.span))
            .collect();
        for (n, span) in open {
            let d = Diagnostic::new(codes::UNREAD_LOCAL, span, format!("the local `{n}` is never read"));
            let mut d = d.here("assigned here and forgotten");
            d.help = did_you_mean(&n, known.iter().map(String::as_str));
            match cx.class {
                Some(c) => self.say_missing_member(c, &n, d),
                None => self.say_missing(&n, d),
            }
        }
    }

    /// A handler, or a transition of a machine.
    pub(super) fn handler(&mut self, cx: &mut Cx<'a>, h: &'a Handler) -> Option<hir::behavior::Handler> {
        let depth = cx.locals.len();
        let mut params = Vec::new();
        let trigger = self.trigger(cx, &h.trigger, &mut params);
        let mut from = None;
        let mut message = None;
        let mut bare = false;
        if let Trigger::Event { event, params } = &h.trigger
            && event.as_name().is_some()
        {
            message = Some(self.local(twinml_model::behavior::MESSAGE, Ty::any(), h.head).id);
            bare = params.is_none();
        } else if let Some(name) = &h.from {
            let d = Diagnostic::new(codes::MISPLACED, name.span, "this comes from nobody")
                .here("`from` names the twin that sent a message");
            self.say(d.help("as in `on request(job: Job) from sender { … }`"));
        }
        (cx.message, cx.answered) = (message, false);
        if let Some(name) = &h.from {
            let mut local = self.local(name.as_str(), Ty::any(), name.span);
            local.read = true;
            from = Some(local.id);
            cx.locals.push(local);
        }
        let guard = h.guard.as_ref().map(|g| self.condition(cx, g));
        let body = h.body.as_ref().map(|b| self.stmts(cx, b));
        self.end_locals(cx, depth);
        let message = message.filter(|_| cx.answered || from.is_some());
        cx.message = None;
        let guard = match guard {
            Some(g) => Some(g?.e),
            None => None,
        };
        let target = h.target.as_ref().and_then(|t| Some((Rc::from(t.names.last()?.as_str()), t.span)));
        Some(hir::behavior::Handler {
            trigger: trigger?,
            params,
            bare,
            message,
            from,
            queued: h.is_queued,
            target,
            guard,
            body,
            head: h.head,
            span: h.span,
        })
    }

    /// `entry { … }`, `exit { … }`
    pub(super) fn handler_body(&mut self, cx: &mut Cx<'a>, b: &'a ast::Block) -> Vec<Stmt> {
        let depth = cx.locals.len();
        let body = self.stmts(cx, b);
        self.end_locals(cx, depth);
        body
    }

    /// A duration, in seconds.
    pub(super) fn duration(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Expr> {
        let v = self.expr(cx, e)?;
        if cx.units_off {
            return Some(v.e);
        }
        self.fits(v, &Ty::real(Dimension::TIME), Target { name: "a time", span: None }).map(|v| v.e)
    }

    /// A time that is fixed before the run and within its limits.
    fn known_time(&mut self, cx: &Cx<'a>, e: &Expr, name: &str, good: fn(f64) -> bool, limit: &str) {
        if super::constant::number(e).is_some_and(|t| !good(t)) {
            self.say(Diagnostic::new(codes::BAD_TIME, e.span, format!("{name} is {limit}")));
        } else if let Some((what, span)) = self.changing(cx, e) {
            let message = format!("{name} is fixed for a run and cannot follow {what}");
            let d = Diagnostic::new(codes::MISPLACED, span, message).here("this changes during the run");
            self.say(d.help("a handler that `wait`s as long as it computes may take any time"));
        }
    }

    fn trigger(&mut self, cx: &mut Cx<'a>, t: &'a Trigger, out: &mut Vec<Param>) -> Option<Cause> {
        Some(match t {
            Trigger::Error => return None,
            Trigger::Start => Cause::Start,
            Trigger::Stop => Cause::Stop,
            Trigger::Edge { kind: ast::EdgeKind::Change, expr } => {
                // A machine as a whole may be watched: `on change(mode)`.
                if let Some(n) = expr.as_name()
                    && let Some(c) = cx.class
                    && self.class(c).members.contains_key(n.as_str())
                    && matches!(self.member(c, n.as_str()), Some(Member::Machine(_)))
                {
                    let step = Step { name: Rc::from(n.as_str()), subscripts: Vec::new() };
                    let machine = Op::Machine(Ref { steps: vec![step], span: n.span });
                    return Some(Cause::Change(Val::behavior(machine, Type::String, n.span).e));
                }
                Cause::Change(self.expr(cx, expr)?.e)
            }
            Trigger::Edge { kind, expr } => {
                let c = self.condition(cx, expr)?.e;
                if *kind == ast::EdgeKind::Rising { Cause::Rising(c) } else { Cause::Falling(c) }
            }
            Trigger::When(expr) => Cause::When(self.condition(cx, expr)?.e),
            Trigger::Every { period, offset } => {
                let period = self.duration(cx, period);
                let offset = match offset {
                    Some(o) => Some(self.duration(cx, o)?),
                    None => None,
                };
                let period = period?;
                self.known_time(cx, &period, "the period of `every`", |t| t > 0.0, "greater than zero");
                if let Some(o) = &offset {
                    self.known_time(cx, o, "the offset of `every`", |t| t >= 0.0, "0 s or more");
                }
                Cause::Every { period, offset }
            }
            Trigger::At(e) => Cause::At(self.duration(cx, e)?),
            Trigger::After { delay, state } => {
                let delay = self.duration(cx, delay);
                let state = match state {
                    Some(s) => Some(self.machine_state(cx, s)?),
                    None => None,
                };
                Cause::After { delay: delay?, state }
            }
            Trigger::Event { event, params } => {
                self.event_name(cx, event);
                if let Some(p) = params {
                    *out = self.bind_params(cx, p);
                }
                Cause::Event(self.event_ref(cx, event)?)
            }
            Trigger::Pattern {
                kind: kind @ (ast::EventPatternKind::Near | ast::EventPatternKind::Inside),
                args,
            } => self.place_pattern(cx, *kind, args)?,
            Trigger::Pattern { kind, args } => {
                self.pattern_args(cx, *kind, args);
                self.event_pattern(cx, *kind, args)?
            }
        })
    }

    /// The state of `after 5 s in filling`.
    fn machine_state(&mut self, cx: &Cx<'a>, path: &ast::Path) -> Option<(Name, Name)> {
        let c = cx.class?;
        let last = path.names.last()?;
        let mut known = Vec::new();
        let mut found = None;
        for (name, sig) in &self.class(c).members {
            if let super::class::SigKind::Machine(m) = sig.kind {
                let states = super::machine::state_names(m);
                let named = path.names.len() < 2 || *path.names[path.names.len() - 2].text == **name;
                if found.is_none()
                    && named
                    && let Some(s) = states.iter().find(|s| ***s == *last.text)
                {
                    found = Some((name.clone(), s.clone()));
                }
                known.extend(states);
            }
        }
        if found.is_none() {
            let message = format!("no machine here has a state `{}`", path.dotted());
            let mut d = Diagnostic::new(codes::BAD_MACHINE, path.span, message);
            d.help = did_you_mean(last.as_str(), known.iter().map(|k| &**k));
            self.say_missing(last.as_str(), d);
        }
        found
    }

    /// `overflow`, `pump.overflow`, `violated.safe`
    fn event_name(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) {
        let Some(path) = e.as_path() else {
            if let A::Index { base, indices } = &e.kind {
                for i in indices {
                    self.expr(cx, i);
                }
                self.event_name(cx, base);
            } else if let A::Field { base, .. } = &e.kind {
                self.event_name(cx, base);
            }
            return;
        };
        let [first, rest @ ..] = path.names.as_slice() else { return };
        let (Some(c), Some(second)) = (cx.class, rest.first()) else { return };
        match first.as_str() {
            "violated" => {
                let known: Vec<String> = self.class(c).requirements.keys().map(ToString::to_string).collect();
                self.known_event(second, &known, "requirement");
            }
            "stale" | "failed" => {
                let known = self.member_names(c);
                self.known_event(second, &known, "member");
            }
            name => {
                if !self.class(c).members.contains_key(name) {
                    let known = self.member_names(c);
                    self.known_event(first, &known, "part");
                    return;
                }
                if let Some(Member::Part { class, .. }) = self.member(c, name)
                    && rest.len() == 1
                    && !matches!(second.as_str(), "violated" | "stale" | "failed")
                {
                    let known: Vec<String> =
                        self.class(class).events.iter().map(ToString::to_string).collect();
                    if !self.class(class).events.contains(second.as_str()) {
                        let message =
                            format!("`{}` emits no event `{}`", self.class(class).name, second.as_str());
                        let mut d = Diagnostic::new(codes::UNKNOWN_EVENT, second.span, message);
                        d.help = did_you_mean(second.as_str(), known.iter().map(String::as_str));
                        self.say_missing(second.as_str(), d);
                    }
                }
            }
        }
    }

    fn known_event(&mut self, name: &ast::Name, known: &[String], what: &str) {
        if known.iter().any(|k| k == name.as_str()) {
            return;
        }
        let message = format!("there is no {what} `{}`", name.as_str());
        let mut d = Diagnostic::new(codes::UNKNOWN_EVENT, name.span, message);
        d.help = did_you_mean(name.as_str(), known.iter().map(String::as_str));
        self.say_missing(name.as_str(), d);
    }

    /// The checked form of a pattern whose arguments were checked.
    fn event_pattern(
        &mut self,
        cx: &mut Cx<'a>,
        kind: ast::EventPatternKind,
        args: &'a [ast::Expr],
    ) -> Option<Cause> {
        use ast::EventPatternKind as K;
        let (mut parts, mut number) = (Vec::new(), None);
        for (k, a) in args.iter().enumerate() {
            let (inner, limit) = match &a.kind {
                A::Within { expr, limit } => (&**expr, Some(self.duration(cx, limit)?)),
                _ => (a, None),
            };
            match &inner.kind {
                _ if kind == K::Count && k == 1 => number = Some((self.whole(cx, inner)?.e, limit)),
                A::LeadsTo { cause, effect } => {
                    let (cause, effect) = (self.event_ref(cx, cause)?, self.event_ref(cx, effect)?);
                    return Some(Cause::Pattern(Pattern::Causal(cause, effect, limit)));
                }
                A::Number(_) => number = Some((self.whole(cx, inner)?.e, limit)),
                _ => parts.push((self.event_ref(cx, inner)?, limit)),
            }
        }
        let wrong = |c: &mut Self, help: &str| {
            let span = args.first().zip(args.last()).map_or_else(Span::default, |(a, b)| a.span.to(b.span));
            let message = format!("`{}` is not written like this", kind.as_str());
            c.say(Diagnostic::new(codes::ARGUMENT_COUNT, span, message).help(help.to_owned()));
            None
        };
        // `all(a, b within 5 s)`: the last time is that of all.
        let last = parts.iter().rev().find_map(|(_, l)| l.clone());
        let events = |parts: Vec<(EventRef, Option<Expr>)>| parts.into_iter().map(|(e, _)| e).collect();
        if let Some((n, _)) = &number
            && super::ty::const_int(n).is_some_and(|n| n < 1)
        {
            let d = Diagnostic::new(codes::OUT_OF_RANGE, n.span, "an event is counted once at least");
            self.say(d.help("as in `on count(alarm, 3 within 1 min)`"));
            return None;
        }
        let pattern = match kind {
            K::Sequence if parts.len() >= 2 && parts[0].1.is_none() => Pattern::Sequence(parts),
            K::Sequence => {
                return wrong(
                    self,
                    "as in `on sequence(a, b within 5 s)`: the time of an event counts from the one before",
                );
            }
            K::All if !parts.is_empty() => Pattern::All(events(parts), last),
            K::Any if !parts.is_empty() => Pattern::Any(events(parts)),
            K::Count => match (parts.pop(), number) {
                (Some((event, outer)), Some((n, limit))) if parts.is_empty() => {
                    Pattern::Count(event, n, limit.or(outer))
                }
                _ => return wrong(self, "as in `on count(alarm, 3 within 1 min)`"),
            },
            K::Absence => match (parts.pop(), parts.is_empty()) {
                (Some((event, Some(limit))), true) => Pattern::Absence(event, limit),
                _ => return wrong(self, "as in `on absence(heartbeat within 5 s)`"),
            },
            _ => return wrong(self, "as in `on all(a, b within 5 s)`, `on causal(a -> b within 2 s)`"),
        };
        Some(Cause::Pattern(pattern))
    }

    fn pattern_args(&mut self, cx: &mut Cx<'a>, kind: ast::EventPatternKind, args: &'a [ast::Expr]) {
        use ast::EventPatternKind as K;
        for (k, a) in args.iter().enumerate() {
            match (&a.kind, kind) {
                // How often: any whole number that is known when the model is compiled.
                (A::Within { limit, .. }, K::Count) if k == 1 => {
                    self.duration(cx, limit);
                }
                (_, K::Count) if k == 1 => {}
                (A::Within { expr, limit }, _) => {
                    self.duration(cx, limit);
                    if let A::LeadsTo { cause, effect } = &expr.kind {
                        self.event_name(cx, cause);
                        self.event_name(cx, effect);
                    } else if !matches!(expr.kind, A::Number(_)) {
                        self.event_name(cx, expr);
                    }
                }
                (A::LeadsTo { cause, effect }, _) => {
                    self.event_name(cx, cause);
                    self.event_name(cx, effect);
                }
                (A::Number(_), _) => {
                    self.whole(cx, a);
                }
                _ => self.event_name(cx, a),
            }
        }
    }

    /// The type of a memory.
    pub(super) fn memory_type(&mut self, cx: &mut Cx<'a>, m: &'a ast::MemoryEntry) -> Option<Ty<'a>> {
        cx.mode = Mode::Behavior;
        match &m.kind {
            ast::MemoryKind::Error => None,
            ast::MemoryKind::Run(t) => {
                // `history: persistnt` is a type to the parser.
                if let ast::TypeKind::Named { path, args } = &t.kind
                    && args.is_empty()
                    && path.names.len() == 1
                {
                    let name = path.dotted();
                    let kinds = ["session_scoped", "persistent", "external"];
                    if let Some(k) = crate::diag::nearest(&name, kinds) {
                        let d = Diagnostic::new(
                            codes::UNKNOWN_MEMORY,
                            t.span,
                            format!("there is no memory `{name}`"),
                        );
                        self.say(d.help(format!("did you mean `{k}`?")));
                        return None;
                    }
                }
                self.ty(cx, t)
            }
            ast::MemoryKind::Session(args) => {
                self.args_any(cx, args);
                Some(Ty::any())
            }
            ast::MemoryKind::Persistent(args) => {
                for a in args {
                    if a.name.as_ref().is_none_or(|n| matches!(n.as_str(), "expires" | "expiry" | "keep")) {
                        self.duration(cx, &a.value);
                    } else {
                        self.expr(cx, &a.value);
                    }
                }
                Some(Ty::any())
            }
            ast::MemoryKind::External(args) => {
                if !matches!(args.as_slice(), [a, ..] if a.value.as_str().is_some()) {
                    let d = Diagnostic::new(
                        codes::UNKNOWN_MEMORY,
                        m.span,
                        "an external memory is named by a text",
                    );
                    self.say(d.help("as in `manuals: external(\"manuals\")`"));
                }
                Some(Ty::any())
            }
            ast::MemoryKind::Other(name, args) => {
                self.args_any(cx, args);
                let kinds = ["session_scoped", "persistent", "external"];
                let message = format!("there is no memory `{}`", name.as_str());
                let mut d = Diagnostic::new(codes::UNKNOWN_MEMORY, name.span, message);
                d.help = did_you_mean(name.as_str(), kinds).or_else(|| {
                    Some(
                        "a type (`Queue<Job>`), `session_scoped`, `persistent(7 days)` or `external(\"…\")`"
                            .into(),
                    )
                });
                self.say(d);
                None
            }
        }
    }

    pub(super) fn capability(&mut self, cx: &mut Cx<'a>, c: &'a ast::Capability) {
        cx.mode = Mode::Behavior;
        let kind = c.provider.as_str();
        if !CAPABILITIES.contains(&kind) {
            let message = format!("there is no capability of the kind `{kind}`");
            let mut d = Diagnostic::new(codes::UNKNOWN_CAPABILITY, c.provider.span, message);
            d.help = did_you_mean(kind, CAPABILITIES.iter().copied())
                .or_else(|| Some(format!("one of `{}`", CAPABILITIES.join("`, `"))));
            self.say(d);
            return;
        }
        for a in &c.args {
            match &a.name {
                None => {
                    if let A::Call { callee, args } = &a.value.kind
                        && callee.as_name().is_some_and(|n| SUPERVISION.contains(&n.as_str()))
                    {
                        self.breaker(cx, args);
                    } else {
                        self.expr(cx, &a.value);
                    }
                }
                Some(n) => self.supervision(cx, n, &a.value),
            }
        }
        for a in &c.attrs {
            self.supervision(cx, &a.name, &a.value);
        }
    }

    fn breaker(&mut self, cx: &mut Cx<'a>, args: &'a [ast::Arg]) {
        for a in args {
            match a.name.as_ref().map(ast::Name::as_str) {
                Some("reset") => {
                    self.duration(cx, &a.value);
                }
                _ => {
                    self.whole(cx, &a.value);
                }
            }
        }
    }

    /// `timeout: 2 s`, `retries: 3`, `rate: 10/s`
    fn supervision(&mut self, cx: &mut Cx<'a>, name: &ast::Name, value: &'a ast::Expr) {
        match name.as_str() {
            "timeout" | "backoff" => {
                self.duration(cx, value);
            }
            "retries" => {
                self.whole(cx, value);
            }
            "rate" => self.rate(cx, value),
            "circuit_breaker" => {
                if let A::Call { args, .. } = &value.kind {
                    self.breaker(cx, args);
                }
            }
            _ => {
                self.expr(cx, value);
            }
        }
    }

    /// `10/s`: the divisor is a unit.
    fn rate(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) {
        if let A::Binary { op: ast::BinaryOp::Div, left, right } = &e.kind
            && let Some(n) = right.as_name()
        {
            self.expr(cx, left);
            if self.units.lookup(n.as_str()).is_none_or(|(d, _)| d != Dimension::TIME) {
                let d = Diagnostic::new(
                    codes::UNKNOWN_UNIT,
                    n.span,
                    format!("`{}` is no unit of time", n.as_str()),
                );
                self.say(d.help("as in `rate: 10/s`"));
            }
            return;
        }
        if let Some(v) = self.expr(cx, e) {
            self.fits(v, &Ty::real(Dimension::FREQUENCY), Target { name: "rate", span: None });
        }
    }

    /// Handlers of scenarios other than `at`.
    pub(super) fn scenario_handler(&mut self, cx: &mut Cx<'a>, class: ClassId, h: &'a Handler) {
        let module = cx.module;
        let mut inner = self.class_cx(class, Mode::Behavior);
        inner.module = module;
        self.handler(&mut inner, h);
    }

    /// Actions of scenarios that need behaviour: `send`, `fail`, `emit`, ….
    pub(super) fn scenario_statement(
        &mut self,
        cx: &mut Cx<'a>,
        class: ClassId,
        s: &'a ast::Stmt,
    ) -> Option<Stmt> {
        let module = cx.module;
        let mut inner = self.class_cx(class, Mode::Behavior);
        inner.module = module;
        inner.drill = true;
        self.stmt(&mut inner, s)
    }
}
