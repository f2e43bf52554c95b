//! Messages: where they go, what they carry, and which handlers take them.

use super::super::Flattener;
use super::super::scope::{InstId, R, Slot};
use super::body::Body;
use super::place::{Dim, Goal, Loc};
use crate::diag::{Diagnostic, codes};
use crate::hir::behavior::{Handler, Proposals, Sending, Stmt, StmtKind};
use crate::hir::{self, ActionStmt, LocalId, Type};
use crate::source::Span;
use std::sync::Arc;
use twinml_model::behavior as model;
use twinml_model::behavior::{Argument, CodeId, Const, Dispatch, Holds, Instr, MessageId, Reg, TwinRef};
use twinml_model::ir::CmpOp;

/// Most twins that one list of them names.
const MAX_TWINS: u64 = 1 << 20;

impl<'a> Flattener<'a> {
    /// The number of a message's name.
    fn message_of(&mut self, name: &str) -> MessageId {
        let list = &mut self.behaving.out.messages;
        if list.is_empty() {
            // What the run itself answers with: [`model::NOT_UNDERSTOOD`], [`model::FAILURE`].
            let own = ["not_understood", "failure"];
            list.extend(own.map(|name| model::Message { name: name.to_owned() }));
        }
        let at = list.iter().position(|m| m.name == name).unwrap_or_else(|| {
            list.push(model::Message { name: name.to_owned() });
            list.len() - 1
        });
        at as MessageId
    }

    /// `send`, `reply`
    pub(super) fn send_code(&mut self, b: &mut Body, m: &'a Sending, span: Span) -> R<()> {
        let mark = b.mark();
        let mut args = Vec::with_capacity(m.args.len());
        for (name, e) in &m.args {
            let r = self.value(b, e)?;
            args.push((Arc::from(name.as_deref().unwrap_or("")), r));
        }
        let mut given = |s: &mut Self, e: &'a Option<hir::Expr>| match e {
            Some(e) => s.value(b, e).map(Some),
            None => Ok(None),
        };
        let to = given(self, &m.to)?;
        let (after, priority, ttl) =
            (given(self, &m.after)?, given(self, &m.priority)?, given(self, &m.ttl)?);
        let answers = m.answers.map(|local| b.local(local));
        let message = self.message_of(&m.message);
        b.span = span;
        b.push(Instr::Send(Box::new(Dispatch { message, to, answers, args, after, priority, ttl })));
        b.free(mark);
        Ok(())
    }

    /// Asks for proposals, and waits for them.
    pub(super) fn proposals_code(&mut self, b: &mut Body, p: &'a Proposals) -> R<Reg> {
        let (to, task) = (self.value(b, &p.to)?, self.value(b, &p.task)?);
        let deadline = self.value(b, &p.deadline)?;
        let message = self.message_of("cfp");
        // What ends the wait for one of those that are asked.
        for name in ["propose", "refuse"] {
            self.message_of(name);
        }
        let args = vec![(Arc::from("task"), task)];
        let (answers, after, priority, ttl) = (None, None, None, None);
        let asked = Dispatch { message, to: Some(to), answers, args, after, priority, ttl };
        let out = b.reg();
        b.push(Instr::Collect(out, Box::new(asked), deadline));
        Ok(out)
    }

    /// Answers a proposal: with the task, where it is accepted.
    pub(super) fn settle_code(&mut self, b: &mut Body, bid: &'a hir::Expr, accept: bool) -> R<Reg> {
        let bid = self.value(b, bid)?;
        let of = |b: &mut Body, what: &str| {
            let at = b.text(what);
            b.index(bid, at)
        };
        let answers = Some(of(b, model::MESSAGE));
        let args = if accept { vec![(Arc::from("task"), of(b, model::TASK))] } else { Vec::new() };
        let message = self.message_of(if accept { "accept_proposal" } else { "reject_proposal" });
        let (to, after, priority, ttl) = (None, None, None, None);
        b.push(Instr::Send(Box::new(Dispatch { message, to, answers, args, after, priority, ttl })));
        Ok(b.constant(Const::None))
    }

    /// A twin of one's own as a value, or several.
    pub(super) fn twin_code(&mut self, b: &mut Body, r: &'a hir::Ref) -> R<Reg> {
        let loc = self.locate(b, &r.steps, r.span)?;
        self.twin_value(b, &loc, r.span)
    }

    pub(super) fn twin_value(&mut self, b: &mut Body, loc: &Loc, span: Span) -> R<Reg> {
        let spot = match loc {
            Loc::Many(all) => {
                let all = all.iter().map(|l| self.twin_value(b, l, span)).collect::<R<Vec<_>>>()?;
                let out = b.reg();
                b.push(Instr::List(out, all));
                return Ok(out);
            }
            Loc::One(spot) => spot,
        };
        if !matches!(spot.goal, Goal::Twin) {
            let d = Diagnostic::new(codes::NO_SUCH_MEMBER, span, "this is no twin")
                .help("a message goes to a twin: name one, or an array of them");
            return Err(self.fail(d));
        }
        let (slot, open) = self.slots(b, twinml_model::ids::VarId(0), spot);
        let all = open.iter().map(|(n, _)| u64::from(*n)).product::<u64>();
        if all > MAX_TWINS {
            return Err(self.too_large(span, all, "twins at once"));
        }
        let owner = self.owner_of(spot.inst);
        let out = b.reg();
        let of = TwinRef { owner, base: slot.base, stride: slot.stride, at: slot.at };
        b.push(Instr::Twin(out, Box::new(of), open));
        Ok(out)
    }

    /// A part of the nearest twin around that has one of this name, or such a twin by its class.
    pub(super) fn address_code(&mut self, b: &mut Body, r: &'a hir::Ref) -> R<Reg> {
        let Some((first, rest)) = r.steps.split_first() else {
            return Err(self.internal(r.span, "an address without a name"));
        };
        let mut at = self.inst(b.inst).parent;
        while let Some(inst) = at {
            let part = matches!(self.inst(inst).members.get(&*first.name), Some(Slot::Twin { .. }));
            let itself = first.subscripts.is_empty() && *self.inst(inst).class.name == *first.name;
            if part || itself {
                let lens = self.own_axes(inst);
                let dims = vec![Dim::Own; lens.len()];
                let steps = if part { &r.steps[..] } else { rest };
                let loc = self.locate_from(b, inst, dims, lens, steps, r.span)?;
                return self.twin_value(b, &loc, r.span);
            }
            at = self.inst(inst).parent;
        }
        let of = self.inst(b.inst).class.name.clone();
        let d = Diagnostic::new(
            codes::NO_SUCH_MEMBER,
            r.span,
            format!("no twin around this `{of}` has a part `{}`", first.name),
        )
        .here("an address that leads nowhere from here")
        .help("an address is a part of one's own, or of a twin around");
        Err(self.fail(d))
    }

    /// The parameters behind those that the event gives: the message, and who sent it.
    pub(super) fn bind_message(&mut self, b: &mut Body, h: &'a Handler) {
        if let Some(message) = h.message {
            b.param(message);
        }
    }

    /// Who sent the message; `none` where it came from the scenario, or is an event.
    pub(super) fn bind_sender(&mut self, b: &mut Body, h: &'a Handler) {
        let (Some(message), Some(from)) = (h.message, h.from) else { return };
        let (letter, sender) = (b.local(message), b.local(from));
        let none = b.constant(Const::None);
        b.push(Instr::Move(sender, none));
        let there = b.cmp(CmpOp::Ne, letter, none);
        let skip = b.jump_unless(there);
        let first = b.num(0.0);
        b.push(Instr::Index(sender, letter, first));
        b.land(skip);
    }

    /// Notes what a handler takes, if messages can set it off.
    pub(super) fn takes(&mut self, h: &'a Handler) {
        let handler = self.behaving.out.handlers.len() as u32;
        let args = (!h.bare).then(|| {
            h.params
                .iter()
                .map(|p| {
                    let (holds, optional) = holds(&p.ty);
                    let holds = if p.array { Holds::List } else { holds };
                    Argument { holds, optional: optional || p.default.is_some() }
                })
                .collect()
        });
        self.behaving.takers.push(model::Hearer { handler, args });
    }

    /// What the scenario and its branches send, and where they say `log`, `stop` or `fail`: a code each.
    pub(super) fn scenario_sends(&mut self) {
        let Some(s) = self.scenario() else { return };
        let branches = s.branches.iter().flat_map(|b| b.actions.iter().map(|a| &a.body).chain([&b.body]));
        for action in s.actions.iter().map(|a| &a.body).chain(branches).flatten() {
            let ActionStmt::Send(stmt) = action else { continue };
            let code = self.scenario_send(stmt);
            let code = self.or_report(code);
            if let Some(code) = code {
                self.behaving.sends.insert(std::ptr::from_ref(stmt), code);
            }
        }
    }

    fn scenario_send(&mut self, stmt: &'a Stmt) -> R<CodeId> {
        match &stmt.kind {
            StmtKind::Send(m) => {
                (self.level, self.operations) = (0, 0);
                let mut b = Body::new(InstId(0), "the scenario".to_owned(), stmt.span);
                self.send_code(&mut b, m, stmt.span)?;
                self.add_code(b)
            }
            StmtKind::Fail(_) | StmtKind::Log(_) | StmtKind::Stop(_) => {
                (self.level, self.operations) = (0, 0);
                let mut b = Body::new(InstId(0), "the scenario".to_owned(), stmt.span);
                self.stmts(&mut b, std::slice::from_ref(stmt))?;
                self.add_code(b)
            }
            StmtKind::Later(what) => Err(self.later(stmt.span, what)),
            _ => Err(self.later(stmt.span, "this statement")),
        }
    }

    /// The code of a statement of the scenario.
    pub(in super::super) fn code_of_send(&self, stmt: &'a Stmt) -> Option<CodeId> {
        self.behaving.sends.get(&std::ptr::from_ref(stmt)).copied()
    }

    /// Which handlers take messages that are ever sent.
    pub(super) fn hearers(&mut self) {
        let takers = std::mem::take(&mut self.behaving.takers);
        let out = &mut self.behaving.out;
        let sent = |name: &str| out.messages.iter().any(|m| m.name == name);
        let heard = |h: &model::Hearer| match out.handlers.get(h.handler as usize).map(|h| &h.trigger) {
            Some(model::Trigger::Event(e)) => out.events.get(e.event as usize).is_some_and(|e| sent(&e.name)),
            _ => false,
        };
        out.hearers = takers.into_iter().filter(heard).collect();
    }
}

/// What values of a type are, and whether `none` is one.
fn holds(ty: &Type) -> (Holds, bool) {
    let of = match ty {
        Type::Real(_) | Type::Int | Type::Enum(_) | Type::Timestamp => Holds::Number,
        Type::Bool => Holds::Truth,
        Type::String => Holds::Text,
        Type::Record(id) => Holds::Record(id.0),
        Type::List(_) => Holds::List,
        Type::Map(..) => Holds::Map,
        Type::Twin(_) => Holds::Twin,
        Type::Optional(t) => return (holds(t).0, true),
        Type::Table(_) | Type::Complex(_) | Type::Any => Holds::Any,
    };
    (of, false)
}

/// Locals that a message is made of.
pub(super) fn locals(m: &Sending, see: &mut dyn FnMut(LocalId)) {
    m.each_expr(&mut |e| {
        e.visit(&mut |x| {
            if let hir::ExprKind::Local(id) = x.kind {
                see(id);
            }
        });
    });
    m.answers.into_iter().for_each(see);
}
