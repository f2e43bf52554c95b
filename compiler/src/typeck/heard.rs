//! What `emit` gives to handlers, of the same twin, of its parent, and of those that connections lead to: arguments fit
//! the parameters that take them.

use super::Checker;
use super::assign::Target;
use super::ty::Val;
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::behavior::{Behavior, EventRef, Handler, Param, State, Stmt, StmtKind, Trigger};
use crate::hir::{Class, ClassTarget, Connection, Expr, ExprKind, MemberKind, Name, Step, Type};

/// An `emit`: the event, its arguments by name or in order.
type Emit<'h> = (&'h EventRef, &'h [(Option<Name>, Expr)]);

fn emits<'h>(body: &'h [Stmt], out: &mut Vec<Emit<'h>>) {
    for s in body {
        match &s.kind {
            StmtKind::Emit(event, args) => out.push((event, args)),
            StmtKind::If(arms, otherwise) => {
                arms.iter().for_each(|(_, b)| emits(b, out));
                emits(otherwise, out);
            }
            StmtKind::Match(_, arms) => arms.iter().for_each(|a| emits(&a.body, out)),
            StmtKind::ForRange(_, _, b)
            | StmtKind::ForEach(_, _, _, b)
            | StmtKind::While(_, b)
            | StmtKind::After(_, b) => emits(b, out),
            _ => {}
        }
    }
}

/// Handlers of states, and what states do on entry and exit.
fn of_states<'h>(states: &'h [State], handlers: &mut Vec<&'h Handler>, bodies: &mut Vec<&'h [Stmt]>) {
    for s in states {
        handlers.extend(&s.handlers);
        bodies.extend(s.entry.as_deref());
        bodies.extend(s.exit.as_deref());
        of_states(&s.states, handlers, bodies);
    }
}

/// Whether a value of one type may be one of the other: where that is known only when it runs, it may.
fn may_be(have: &Expr, want: &Type) -> bool {
    match (&have.ty, want) {
        (Type::Any, _)
        | (_, Type::Any)
        | (Type::Real(None), Type::Real(_))
        | (Type::Real(_), Type::Real(None)) => true,
        (Type::Real(a), Type::Real(b)) => a == b,
        (Type::Int, Type::Real(d)) => {
            d.as_ref().is_none_or(twinml_model::dimension::Dimension::is_one) || have.kind == ExprKind::Int(0)
        }
        (_, Type::Optional(t)) => may_be(have, t) || matches!(have.ty, Type::Optional(_)),
        (Type::Optional(_) | Type::List(_) | Type::Map(..) | Type::Twin(_), _)
        | (_, Type::List(_) | Type::Map(..) | Type::Twin(_)) => true,
        (a, b) => a == b,
    }
}

/// The handlers of a twin, of its machines too, and what it emits.
fn parts(b: &Behavior) -> (Vec<&Handler>, Vec<Emit<'_>>) {
    let mut handlers: Vec<&Handler> = b.handlers.iter().collect();
    let mut bodies: Vec<&[Stmt]> = b.functions.iter().map(|f| &*f.body).collect();
    for m in &b.machines {
        handlers.extend(&m.handlers);
        of_states(&m.states, &mut handlers, &mut bodies);
    }
    bodies.extend(handlers.iter().filter_map(|h| h.body.as_deref()));
    let mut said = Vec::new();
    bodies.iter().for_each(|b| emits(b, &mut said));
    said.retain(|(event, _)| event.path.is_empty());
    (handlers, said)
}

/// The event that sets a handler off.
fn heard(h: &Handler) -> Option<&EventRef> {
    match &h.trigger {
        Trigger::Event(e) => Some(e),
        _ => None,
    }
}

/// What a handler takes of an argument.
fn taken<'h>(h: &'h Handler, k: usize, (name, value): &(Option<Name>, Expr)) -> Option<&'h Param> {
    let p = match name {
        Some(n) => h.params.iter().find(|p| p.name == *n),
        None => h.params.get(k),
    };
    p.filter(|p| !p.array && value.shape.is_empty())
}

/// The class of the part that a path leads to from a twin.
fn part<'h>(classes: &'h [Class], of: &'h Class, path: &[Step]) -> Option<&'h Class> {
    path.iter().try_fold(of, |of, step| match &of.members.get(&step.name)?.kind {
        MemberKind::Twin(t) => match t.class.target {
            ClassTarget::Class(id) => classes.get(id.0 as usize),
            ClassTarget::Param(_) => None,
        },
        _ => None,
    })
}

/// Connections of events, those within loops and conditions too.
fn routes<'h>(list: &'h [Connection], out: &mut Vec<(&'h EventRef, &'h EventRef)>) {
    for c in list {
        match c {
            Connection::Event { from, to, .. } => out.push((from, to)),
            Connection::For { body, .. } | Connection::If { body, .. } => routes(body, out),
            _ => {}
        }
    }
}

impl Checker<'_, '_> {
    /// Says of each argument of `emit` that no handler of the event can take what is wrong with it.
    pub(super) fn emits_fit(&mut self, b: &Behavior) {
        let (handlers, said) = parts(b);
        for (event, args) in said {
            let hears = |h: &&&Handler| heard(h).is_some_and(|e| e.path.is_empty() && e.name == event.name);
            let hearers: Vec<&Handler> = handlers.iter().filter(hears).copied().collect();
            for (k, arg) in args.iter().enumerate() {
                let taken: Vec<(&Param, &Handler)> =
                    hearers.iter().filter_map(|h| Some((taken(h, k, arg)?, *h))).collect();
                let Some((p, h)) = taken.first() else { continue };
                if !taken.iter().any(|(p, _)| may_be(&arg.1, &p.ty)) {
                    self.misfit(&arg.1, p, h);
                }
            }
        }
    }

    fn misfit(&mut self, value: &Expr, p: &Param, h: &Handler) {
        let ty = Val::new(ExprKind::BehaviorOnly, p.ty.clone(), h.head).to_ty();
        self.fits_type(Val::of(value.clone()), &ty, Target { name: &p.name, span: Some(h.head) });
    }

    /// The same of what other twins hear of it: a parent (`on pump.overflow(…)`), and whom connections of events lead to.
    pub(super) fn emits_reach(&mut self, classes: &[Class]) {
        for class in classes {
            let mut pairs: Vec<(&Class, &str, &Handler)> = Vec::new();
            for h in parts(&class.behavior).0 {
                let Some(e) = heard(h).filter(|e| !e.path.is_empty()) else { continue };
                pairs.extend(part(classes, class, &e.path).map(|from| (from, &*e.name, h)));
            }
            let mut led = Vec::new();
            routes(&class.connections, &mut led);
            for (from, to) in led {
                let ends = (part(classes, class, &from.path), part(classes, class, &to.path));
                let (Some(source), Some(goal)) = ends else { continue };
                let hears = |h: &&Handler| heard(h).is_some_and(|e| e.path.is_empty() && e.name == to.name);
                let hearers = parts(&goal.behavior).0.into_iter().filter(hears);
                pairs.extend(hearers.map(|h| (source, &*from.name, h)));
            }
            for (from, event, h) in pairs {
                self.reaches(from, event, h);
            }
        }
    }

    /// What a twin emits under a name fits a handler elsewhere.
    fn reaches(&mut self, from: &Class, event: &str, h: &Handler) {
        let (own, said) = parts(&from.behavior);
        let said: Vec<&[(Option<Name>, Expr)]> =
            said.into_iter().filter(|(e, _)| &*e.name == event).map(|(_, args)| args).collect();
        for (k, arg) in said.iter().flat_map(|args| args.iter().enumerate()) {
            if let Some(p) = taken(h, k, arg).filter(|p| !may_be(&arg.1, &p.ty)) {
                self.misfit(&arg.1, p, h);
            }
        }
        // What comes from elsewhere under this name may give more.
        if said.is_empty() || own.iter().any(|o| heard(o).is_some_and(|e| &*e.name == event)) {
            return;
        }
        for (k, p) in h.params.iter().enumerate().filter(|(_, p)| p.default.is_none()) {
            let gives = |args: &&&[(Option<Name>, Expr)]| {
                args.iter().enumerate().any(|(n, (name, _))| match name {
                    Some(name) => *name == p.name,
                    None => n == k,
                })
            };
            if said.iter().any(|args| gives(&args)) {
                continue;
            }
            let given: Vec<&str> =
                said.iter().flat_map(|args| args.iter().filter_map(|(n, _)| n.as_deref())).collect();
            let message = format!("no `emit {event}` of `{}` gives `{}`", from.name, p.name);
            let mut d = Diagnostic::new(codes::UNKNOWN_EVENT, h.head, message);
            d.help = match (did_you_mean(&p.name, given.iter().copied()), &given[..]) {
                (None, []) => Some("leave it out, or give it where the event is emitted".to_owned()),
                (None, given) => Some(format!("it gives `{}`", given.join("`, `"))),
                (near, _) => near,
            };
            self.say(d);
        }
    }
}
