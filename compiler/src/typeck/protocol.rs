//! Interaction protocols of `std.agents`: the contract net, as one call that waits for proposals.

use std::rc::Rc;

use super::ty::{Ty, Val};
use super::{Checker, Cx};
use crate::ast::{self, Arg};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::Type;
use crate::hir::behavior::{Op, Proposals};
use crate::source::Span;

/// What a contract net is told.
const TOLD: [&str; 3] = ["to", "task", "deadline"];

/// A proposal: what it was made with, by name.
pub(super) fn proposal() -> Type {
    Type::Map(Box::new(Type::String), Box::new(Type::Any))
}

impl<'a> Checker<'a, '_> {
    /// `contract_net(to: trucks, task: job, deadline: 10 s)`
    pub(super) fn contract_net(&mut self, cx: &mut Cx<'a>, args: &'a [Arg], span: Span) -> Option<Val> {
        let mut given: [Option<&'a Arg>; 3] = [None; 3];
        for (k, a) in args.iter().enumerate() {
            let at = match &a.name {
                Some(n) => TOLD.iter().position(|t| *t == n.as_str()),
                None => Some(k),
            };
            match at.and_then(|at| given.get_mut(at)) {
                Some(place @ None) => *place = Some(a),
                _ => {
                    let shown = a.name.as_ref().map_or("this".to_owned(), |n| format!("`{}`", n.as_str()));
                    let message = format!("a contract net is told {shown} and has no place for it");
                    let mut d = Diagnostic::new(codes::ARGUMENT_COUNT, a.span, message);
                    d.help = a.name.as_ref().and_then(|n| did_you_mean(n.as_str(), TOLD));
                    self.say(d);
                    return None;
                }
            }
        }
        let [Some(to), Some(task), Some(deadline)] = given else {
            let d = Diagnostic::new(
                codes::ARGUMENT_COUNT,
                span,
                "a contract net is told whom it asks, what for and until when",
            );
            self.say(d.help("as in `contract_net(to: trucks, task: job, deadline: 10 s)`"));
            return None;
        };
        let (to, known) = self.address(cx, &to.value)?;
        let asked = self.message_args(cx, "cfp", std::slice::from_ref(task), known.as_deref(), span);
        let deadline = self.duration(cx, &deadline.value);
        let (_, task) = asked?.pop()?;
        let net = Proposals { to, task, deadline: deadline? };
        Some(Val::behavior(Op::Proposals(Rc::new(net)), Type::List(Box::new(proposal())), span))
    }

    /// `accept(best)`, `reject(other)`
    pub(super) fn answer_proposal(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
        accept: bool,
        span: Span,
    ) -> Option<Val> {
        let v = self.expr(cx, e)?;
        if !v.is_any() && v.e.ty != proposal() {
            let what = self.describe_val(&v);
            let d = Diagnostic::new(codes::TYPE_MISMATCH, v.span(), "this is no proposal")
                .here(format!("this is {} {what}", super::words::article(&what)))
                .help("proposals are what `contract_net(…)` gives: `best = bids.min_by(b -> b.cost)`");
            self.say(d);
            return None;
        }
        Some(Val::behavior(Op::Settle(v.e, accept), Type::Any, span))
    }

    /// What the arguments of a function are that is given to a method of proposals.
    pub(super) fn of_proposals(ty: &Type) -> Option<Ty<'a>> {
        matches!(ty, Type::List(t) if **t == proposal()).then(|| Ty::new(proposal()))
    }
}
