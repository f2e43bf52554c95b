//! Messages: `send inform(report: r) to authority after 1 day`, `reply agree(eta: t)`.
//!
//! Addresses are one's own members first, then the parts of the twins around, which are known when instances are. So
//! what a message is checked against are the handlers of all twins that its address may lead to.

use std::rc::Rc;

use twinml_model::behavior::PERFORMATIVES;

use super::assign::Target;
use super::class::{Member, SigKind};
use super::ty::{Ty, Val};
use super::{Checker, Cx, ItemId, Mode};
use crate::ast::{self, Arg, BehaviorItem, ExprKind as A, MachineItem, SendKind, Trigger};
use crate::diag::{Diagnostic, codes, did_you_mean, nearest};
use crate::hir::behavior::{Op, Sending, StmtKind as Kind};
use crate::hir::{ClassId, Expr, ExprKind, Name, Ref, Step, Subscript, Type};
use crate::source::Span;

/// Names of priorities. Any number is one, too; the highest come first.
const PRIORITIES: [(&str, f64); 4] = [("low", -1.0), ("normal", 0.0), ("high", 1.0), ("urgent", 2.0)];

/// What else TWINML lets a message carry.
const CARRIED: [&str; 6] = ["conversation", "ontology", "protocol", "language", "reply_with", "in_reply_to"];

/// A handler that a message may be for.
struct Taker<'a> {
    class: ClassId,
    params: Option<&'a [ast::Param]>,
}

impl<'a> Checker<'a, '_> {
    /// `send`, `reply`
    pub(super) fn send(&mut self, cx: &mut Cx<'a>, m: &'a ast::Send, span: Span) -> Option<Kind> {
        let (to, known) = match (&m.to, m.kind) {
            (Some(to), SendKind::Reply) => {
                let d =
                    Diagnostic::new(codes::MISPLACED, to.span, "an answer goes to whoever sent the message");
                self.say(d.here("no receiver is named").help("to write to another twin: `send … to …`"));
                return None;
            }
            (Some(to), _) => {
                let (to, known) = self.address(cx, to)?;
                (Some(to), known)
            }
            (None, _) => (None, None),
        };
        let (name, args) = self.message_name(m)?;
        let name_text = name.as_str();
        self.message_known(name, known.as_deref());
        let args = self.message_args(cx, name_text, args, known.as_deref(), m.message.span)?;
        let time = |s: &mut Self, cx: &mut Cx<'a>, e: Option<&'a ast::Expr>| match e {
            Some(e) => s.duration(cx, e).map(Some),
            None => Some(None),
        };
        let after = time(self, cx, m.after.as_ref())?;
        let priority = match &m.priority {
            Some(p) => Some(self.priority(cx, p)?),
            None => None,
        };
        let mut ttl = None;
        for a in &m.attrs {
            match a.name.as_str() {
                "ttl" => ttl = Some(self.duration(cx, &a.value)?),
                word if CARRIED.contains(&word) => {
                    self.expr(cx, &a.value);
                    return Some(Kind::Later("what a message carries beside its arguments and `ttl`"));
                }
                word => {
                    let message = format!("a message has no attribute `{word}`");
                    let mut d = Diagnostic::new(codes::MISPLACED, a.name.span, message);
                    d.help = did_you_mean(word, ["ttl"].into_iter().chain(CARRIED))
                        .or_else(|| Some("as in `send … to desk, ttl: 5 s`".into()));
                    self.say(d);
                    return None;
                }
            }
        }
        let answers = match m.kind {
            SendKind::Send => None,
            SendKind::Broadcast => return Some(Kind::Later("`broadcast`")),
            SendKind::Reply => {
                let Some(local) = cx.message else {
                    let d = Diagnostic::new(codes::MISPLACED, span, "there is no message here to reply to")
                        .here("outside of a handler of a message")
                        .help("`reply` stands in `on request(…) from sender { … }`; elsewhere write `send … to …`");
                    self.say(d);
                    return None;
                };
                cx.answered = true;
                Some(local)
            }
        };
        let message = Rc::from(name_text);
        Some(Kind::Send(Box::new(Sending { message, args, to, answers, after, priority, ttl })))
    }

    /// The name of a message with its arguments.
    fn message_name(&mut self, m: &'a ast::Send) -> Option<(&'a ast::Name, &'a [Arg])> {
        let found = match &m.message.kind {
            A::Name(n) => Some((n, &[][..])),
            A::Call { callee, args } => callee.as_name().map(|n| (n, &args[..])),
            A::Error => return None,
            _ => None,
        };
        if found.is_none() {
            let d = Diagnostic::new(codes::UNKNOWN_EVENT, m.message.span, "this is no message");
            self.say(d.help("a message has a name and arguments: `send inform(level: h) to ctl`"));
        }
        found
    }

    /// Whether anyone could know a message of this name.
    fn message_known(&mut self, name: &ast::Name, known: Option<&[ClassId]>) {
        let word = name.as_str();
        if PERFORMATIVES.contains(&word) {
            return;
        }
        let all: Vec<ClassId> = match known {
            Some(list) => list.to_vec(),
            None => (0..self.declared() as u32).map(ClassId).collect(),
        };
        if all.iter().any(|c| self.class(*c).events.contains(word)) {
            return;
        }
        let events: Vec<String> =
            all.iter().flat_map(|c| self.class(*c).events.iter().map(ToString::to_string)).collect();
        let message = match known {
            Some([one]) => {
                format!("`{word}` is no performative, and no event of `{}`", self.class(*one).name)
            }
            _ => format!("`{word}` is no performative, and no event of whom it is sent to"),
        };
        let mut d = Diagnostic::new(codes::UNKNOWN_EVENT, name.span, message);
        d.help = did_you_mean(word, PERFORMATIVES.into_iter().chain(events.iter().map(String::as_str)))
            .or_else(|| Some(format!("the performatives are `{}`", PERFORMATIVES.join("`, `"))));
        self.say_missing(word, d);
    }

    /// `high`, `2`
    fn priority(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Expr> {
        if let Some(n) = e.as_name()
            && !self.own_name(cx, n.as_str())
        {
            if let Some((_, x)) = PRIORITIES.iter().find(|(word, _)| *word == n.as_str()) {
                let one = Type::Real(Some(twinml_model::dimension::Dimension::ONE));
                return Some(Val::new(ExprKind::Real(*x), one, e.span).e);
            }
            let words = PRIORITIES.map(|(word, _)| word);
            let message = format!("there is no priority `{}`", n.as_str());
            let mut d = Diagnostic::new(codes::UNKNOWN_NAME, n.span, message);
            d.help = did_you_mean(n.as_str(), words)
                .or_else(|| Some(format!("`{}`, or a number", words.join("`, `"))));
            self.say(d);
            return None;
        }
        let v = self.expr(cx, e)?;
        let ty = Ty::real(twinml_model::dimension::Dimension::ONE);
        self.fits(v, &ty, Target { name: "a priority", span: None }).map(|v| v.e)
    }

    /// Where a message goes: one's own members first, then outward; with the twins that it may be, where that is known.
    pub(super) fn address(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
    ) -> Option<(Expr, Option<Vec<ClassId>>)> {
        if let Some(first) = first_name(e)
            && !self.own_name(cx, first.as_str())
            && first.as_str() != "self"
        {
            return self.outward(cx, e, first);
        }
        let v = self.expr(cx, e)?;
        let of = match &v.e.ty {
            Type::Twin(c) => Some(*c),
            Type::List(t) | Type::Optional(t) => match **t {
                Type::Twin(c) => Some(c),
                Type::Any => None,
                _ => return self.no_receiver(&v),
            },
            Type::Any => None,
            _ => return self.no_receiver(&v),
        };
        Some((v.e, of.map(|c| vec![c])))
    }

    fn no_receiver<T>(&mut self, v: &Val) -> Option<T> {
        let what = self.describe_val(v);
        let d = Diagnostic::new(codes::TYPE_MISMATCH, v.span(), "a message goes to a twin")
            .here(format!("this is {} {what}", super::words::article(&what)))
            .help("name a part, or the sender of a message: `on request(…) from sender { … }`");
        self.say(d);
        None
    }

    /// A part of a twin around, or such a twin by its class.
    fn outward(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
        first: &'a ast::Name,
    ) -> Option<(Expr, Option<Vec<ClassId>>)> {
        let word = first.as_str();
        let around = match self.scopes[cx.module.0 as usize].get(word).map(|b| self.item_of(b.def)) {
            Some(ItemId::Class(c)) => Some(c),
            _ => None,
        };
        if !self.part_names.contains(word) && around.is_none() {
            let message = format!("no twin of this model has a part `{word}`");
            let mut d = Diagnostic::new(codes::UNKNOWN_EVENT, first.span, message)
                .here("an address that leads nowhere");
            let mut known: Vec<&str> = self.part_names.iter().map(|n| &**n).collect();
            known.sort_unstable();
            d.help = did_you_mean(word, known.iter().copied()).or_else(|| match known.len() {
                0 => Some("this model has no parts: `self` is the twin itself".to_owned()),
                1..=8 => Some(format!("parts of the model are `{}`", known.join("`, `"))),
                _ => None,
            });
            self.say_missing(word, d);
            return None;
        }
        let mut steps = Vec::new();
        self.address_steps(cx, e, &mut steps)?;
        let mut classes: Vec<ClassId> = around.into_iter().collect();
        for c in 0..self.declared() as u32 {
            classes.extend(self.part_of(ClassId(c), word));
        }
        for step in &steps[1..] {
            classes = classes.into_iter().filter_map(|c| self.part_of(c, &step.name)).collect();
        }
        classes.sort_unstable_by_key(|c| c.0);
        classes.dedup();
        if classes.is_empty() {
            let last = steps.last()?.name.clone();
            let message = format!("`{word}` has no part `{last}` that a message could go to");
            self.say_missing(&last, Diagnostic::new(codes::UNKNOWN_MEMBER, e.span, message));
            return None;
        }
        let op = Op::Address(Ref { steps, span: e.span });
        Some((Val::behavior(op, Type::Any, e.span).e, Some(classes)))
    }

    fn part_of(&mut self, c: ClassId, name: &str) -> Option<ClassId> {
        if !matches!(self.class(c).members.get(name).map(|s| s.kind), Some(SigKind::Part(_))) {
            return None;
        }
        match self.member(c, name) {
            Some(Member::Part { class, .. }) => Some(class),
            _ => None,
        }
    }

    /// `plant.tanks[i].ctl`: names and indices.
    fn address_steps(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr, out: &mut Vec<Step>) -> Option<()> {
        match &e.kind {
            A::Name(n) => out.push(Step { name: Rc::from(n.as_str()), subscripts: Vec::new() }),
            A::Field { base, name } => {
                self.address_steps(cx, base, out)?;
                out.push(Step { name: Rc::from(name.as_str()), subscripts: Vec::new() });
            }
            A::Index { base, indices } => {
                self.address_steps(cx, base, out)?;
                let mut subs = Vec::with_capacity(indices.len());
                for i in indices {
                    subs.push(Subscript::Index(self.whole(cx, i)?.e));
                }
                out.last_mut()?.subscripts.extend(subs);
            }
            A::Error => return None,
            _ => {
                let d = Diagnostic::new(codes::UNKNOWN_EVENT, e.span, "this is no address of a message");
                self.say(d.help("name a part: `plant.ctl`, `trucks[2]`"));
                return None;
            }
        }
        Some(())
    }

    /// Arguments, held against the handlers of whom the message may reach.
    pub(super) fn message_args(
        &mut self,
        cx: &mut Cx<'a>,
        name: &str,
        args: &'a [Arg],
        known: Option<&[ClassId]>,
        span: Span,
    ) -> Option<Vec<(Option<Name>, Expr)>> {
        let Some(known) = known.filter(|_| PERFORMATIVES.contains(&name)) else {
            return self.args_any(cx, args);
        };
        let takers: Vec<Taker<'a>> = known.iter().flat_map(|c| self.takers(*c, name)).collect();
        let fitting: Vec<&Taker<'a>> = takers.iter().filter(|t| t.fits(args)).collect();
        if fitting.is_empty() {
            let out = self.args_any(cx, args);
            if !cx.drill {
                self.unheard(name, args, known, &takers, span);
            }
            return out;
        }
        let [Taker { class, params: Some(params) }] = fitting[..] else { return self.args_any(cx, args) };
        // One handler alone: its parameters say what the arguments are.
        let mut inner = self.class_cx(*class, Mode::Behavior);
        let mut out = Some(Vec::with_capacity(args.len()));
        for (k, a) in args.iter().enumerate() {
            let param = match &a.name {
                Some(n) => params.iter().find(|p| p.name.as_str() == n.as_str()),
                None => params.get(k),
            };
            let ty = param.and_then(|p| p.ty.as_ref()).and_then(|t| self.ty(&mut inner, t));
            let value = match (param, ty) {
                (Some(p), Some(ty)) => self.value_for(
                    cx,
                    &a.value,
                    &ty,
                    Target { name: p.name.as_str(), span: Some(p.name.span) },
                ),
                _ => self.expr(cx, &a.value).map(|v| v.e),
            };
            let name = a.name.as_ref().map(|n| Rc::from(n.as_str()));
            match (value, &mut out) {
                (Some(v), Some(list)) => list.push((name, v)),
                _ => out = None,
            }
        }
        out
    }

    /// Nobody of those that a message may reach takes it.
    fn unheard(&mut self, word: &str, args: &[Arg], known: &[ClassId], takers: &[Taker<'a>], span: Span) {
        let given: Vec<&str> = args.iter().map(|a| a.name.as_ref().map_or("…", ast::Name::as_str)).collect();
        let said = if given.is_empty() { word.to_owned() } else { format!("{word}({})", given.join(", ")) };
        let who: Vec<String> = known.iter().map(|c| format!("`{}`", self.class(*c).name)).collect();
        let message = format!("{} has no handler for `{said}`", who.join(" or "));
        let mut d = Diagnostic::new(codes::UNHEARD_MESSAGE, span, message)
            .note("it is answered `not_understood`, which the log of events tells");
        let forms: Vec<String> = takers
            .iter()
            .filter_map(|t| t.params)
            .map(|p| {
                let names: Vec<&str> = p.iter().map(|p| p.name.as_str()).collect();
                format!("`on {word}({})`", names.join(", "))
            })
            .collect();
        if let Some(t) = takers.iter().find_map(|t| t.params) {
            let wanted: Vec<&str> = t.iter().map(|p| p.name.as_str()).collect();
            let near = args.iter().filter_map(|a| a.name.as_ref()).find_map(|n| {
                let open = wanted.iter().copied().filter(|w| *w != n.as_str());
                nearest(n.as_str(), open).filter(|_| !wanted.contains(&n.as_str()))
            });
            d.help = Some(match near {
                Some(near) => format!("it has {}: did you mean `{near}`?", forms.join(", ")),
                None => format!("it has {}", forms.join(", ")),
            });
        } else if let [one] = known {
            d.help = Some(format!("give `{}` a handler: `on {said} from … {{ … }}`", self.class(*one).name));
        }
        self.say(d);
    }

    /// The handlers of a class, inherited included, for messages of a name.
    fn takers(&self, id: ClassId, name: &str) -> Vec<Taker<'a>> {
        fn handler<'a>(h: &'a ast::Handler, class: ClassId, name: &str, out: &mut Vec<Taker<'a>>) {
            if let Trigger::Event { event, params } = &h.trigger
                && event.as_name().is_some_and(|n| n.as_str() == name)
            {
                out.push(Taker { class, params: params.as_deref() });
            }
        }
        fn machine<'a>(items: &'a [MachineItem], class: ClassId, name: &str, out: &mut Vec<Taker<'a>>) {
            for i in items {
                match i {
                    MachineItem::Handler(h) => handler(h, class, name, out),
                    MachineItem::State(s) => machine(&s.items, class, name, out),
                    _ => {}
                }
            }
        }
        let class = self.class(id);
        let mut out: Vec<Taker<'a>> =
            class.bases.iter().flat_map(|(base, _)| self.takers(*base, name)).collect();
        for m in &class.ast.members {
            let ast::Member::Behavior(items, _) = m else { continue };
            for i in items {
                match i {
                    BehaviorItem::Handler(h) => handler(h, id, name, &mut out),
                    BehaviorItem::Machine(m) => machine(&m.items, id, name, &mut out),
                    _ => {}
                }
            }
        }
        out
    }
}

impl Taker<'_> {
    /// Whether arguments are those of the handler, by their names and number.
    fn fits(&self, args: &[Arg]) -> bool {
        let Some(params) = self.params else { return true };
        let mut given = vec![false; params.len()];
        for (k, a) in args.iter().enumerate() {
            let at = match &a.name {
                Some(n) => params.iter().position(|p| p.name.as_str() == n.as_str()),
                None => Some(k),
            };
            match at.and_then(|at| given.get_mut(at)) {
                Some(place @ false) => *place = true,
                _ => return false,
            }
        }
        let optional = |p: &ast::Param| {
            let none = |t: &ast::TypeExpr| matches!(t.kind, ast::TypeKind::Optional(_));
            p.default.is_some() || p.ty.as_ref().is_some_and(none)
        };
        given.iter().zip(params).all(|(given, p)| *given || optional(p))
    }
}

/// The name that an address begins with.
fn first_name(e: &ast::Expr) -> Option<&ast::Name> {
    match &e.kind {
        A::Name(n) => Some(n),
        A::Field { base, .. } | A::Index { base, .. } => first_name(base),
        _ => None,
    }
}
