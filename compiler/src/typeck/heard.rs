//! What `emit` gives to the handlers of the same twin: arguments fit the parameters that take them.

use super::Checker;
use super::assign::Target;
use super::ty::Val;
use crate::hir::behavior::{Behavior, EventRef, Handler, Param, State, Stmt, StmtKind, Trigger};
use crate::hir::{Expr, ExprKind, Name, Type};

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

impl Checker<'_, '_> {
    /// Says of each argument of `emit` that no handler of the event can take what is wrong with it.
    pub(super) fn emits_fit(&mut self, b: &Behavior) {
        let mut handlers: Vec<&Handler> = b.handlers.iter().collect();
        let mut bodies: Vec<&[Stmt]> = b.functions.iter().map(|f| &*f.body).collect();
        for m in &b.machines {
            handlers.extend(&m.handlers);
            of_states(&m.states, &mut handlers, &mut bodies);
        }
        bodies.extend(handlers.iter().filter_map(|h| h.body.as_deref()));
        let mut said = Vec::new();
        bodies.iter().for_each(|b| emits(b, &mut said));
        for (event, args) in said {
            if !event.path.is_empty() {
                continue;
            }
            let hears = |h: &&&Handler| matches!(&h.trigger, Trigger::Event(e) if e.path.is_empty() && e.name == event.name);
            let hearers: Vec<&Handler> = handlers.iter().filter(hears).copied().collect();
            for (k, (name, value)) in args.iter().enumerate() {
                let takes = |h: &&Handler| -> Option<Param> {
                    let p = match name {
                        Some(n) => h.params.iter().find(|p| p.name == *n),
                        None => h.params.get(k),
                    };
                    p.filter(|p| !p.array && value.shape.is_empty()).cloned()
                };
                let taken: Vec<(Param, &Handler)> =
                    hearers.iter().filter_map(|h| Some((takes(h)?, *h))).collect();
                let Some((p, h)) = taken.first() else { continue };
                if taken.iter().any(|(p, _)| may_be(value, &p.ty)) {
                    continue;
                }
                let ty = Val::new(ExprKind::BehaviorOnly, p.ty.clone(), h.head).to_ty();
                self.fits_type(Val::of(value.clone()), &ty, Target { name: &p.name, span: Some(h.head) });
            }
        }
    }
}
