//! `violated.name`: the event of a requirement that does not hold any more. It happens once a run, at the first instant at which that is
//! certain. For `always(c)` and `always[a, b](c)`, also several of them joined by `and`, this is where `c` first fails in the window: a hidden
//! handler of the twin looks for that instant and emits the event. Other formulas are judged beside the run, from what was
//! followed over whole steps; who wants to hear of them is told that this version cannot do it.

use super::super::Flattener;
use super::super::scope::{InstId, R};
use super::body::Body;
use crate::diag::{Diagnostic, codes};
use crate::hir::{self, BinOp, ExprKind, TemporalOp};
use crate::source::Span;
use twinml_model::behavior as model;
use twinml_model::behavior::{Const, Instr, SlotRef, Which};
use twinml_model::ids::VarId;
use twinml_model::ir::CmpOp;
use twinml_model::schema::Kind;

/// What such events are called.
pub(super) const PREFIX: &str = "violated.";

/// Somebody who hears of a violation: whose, and where it is written.
pub(super) struct Listener {
    inst: InstId,
    event: model::EventId,
    span: Span,
}

/// `always[from, to](holds)`
struct Demand<'a> {
    holds: &'a hir::Expr,
    window: Option<(&'a hir::Expr, &'a hir::Expr)>,
}

impl<'a> Flattener<'a> {
    /// The event of an instance family, which is remembered where somebody must emit it.
    pub(super) fn heard_event(&mut self, inst: InstId, name: &str, span: Span) -> model::EventId {
        let event = self.event_of(inst, name);
        if name.starts_with(PREFIX) && self.behaving.listeners.iter().all(|l| l.event != event) {
            self.behaving.listeners.push(Listener { inst, event, span });
        }
        event
    }

    /// The handlers that emit what somebody hears of violations.
    pub(super) fn violations(&mut self) {
        for l in std::mem::take(&mut self.behaving.listeners) {
            let done = self.violation(&l);
            self.or_report(done);
        }
    }

    fn violation(&mut self, l: &Listener) -> R<()> {
        let event = self.behaving.out.events[l.event as usize].name.clone();
        let class = self.inst(l.inst).class;
        let name = event.strip_prefix(PREFIX).unwrap_or(&event);
        let mut demands = Vec::new();
        let plain = class
            .formulas
            .iter()
            .find(|r| &*r.name == name)
            .is_some_and(|r| demands_of(&r.formula, &mut demands));
        if !plain {
            let d = Diagnostic::new(
                codes::LATER_BEHAVIOR,
                l.span,
                format!("the event `{event}` cannot be run by this version"),
            );
            let d = match class.formulas.iter().find(|r| &*r.name == name) {
                Some(r) => d.label(r.formula.span, "this is judged when more of the run is known"),
                None => d,
            };
            return Err(self.fail(d.help(
                "a requirement is heard of during a run where it is `always(c)` or `always[a, b](c)` with a condition on the present",
            )));
        }
        let seen = self.hidden_family(l.inst, "violated", Kind::Bool, l.span)?;
        for d in demands {
            let watch = self.watch(l.inst, d.holds)?;
            let mut triggers = vec![model::Trigger::Falling(watch)];
            triggers.push(match d.window {
                // It may not hold from the outset.
                None => model::Trigger::Start,
                Some((from, _)) => model::Trigger::At(self.period(l.inst, from)?),
            });
            for trigger in triggers {
                let mut b = Body::new(l.inst, event.clone(), d.holds.span);
                self.says_so(&mut b, &d, seen, l.event)?;
                let body = Some(self.add_code(b)?);
                let owner = self.owner_of(l.inst);
                let origin = self.origin_at(d.holds.span, l.inst);
                self.behaving.out.handlers.push(model::Handler {
                    owner,
                    trigger,
                    scope: None,
                    guard: None,
                    body,
                    target: None,
                    params: Vec::new(),
                    queued: false,
                    origin,
                });
            }
        }
        Ok(())
    }

    /// Emits the event where the condition does not hold, now is in the window, and nothing was said before.
    fn says_so(&mut self, b: &mut Body, d: &Demand<'a>, seen: VarId, event: model::EventId) -> R<()> {
        let mut over = Vec::new();
        let slot = SlotRef { var: seen, base: 0, stride: 1, at: Vec::new() };
        let said = b.reg();
        b.push(Instr::Load(said, slot.clone(), Which::Value, true));
        let new = b.not(said);
        over.push(b.jump_unless(new));
        let holds = self.value(b, d.holds)?;
        let fails = b.not(holds);
        over.push(b.jump_unless(fails));
        if let Some((from, to)) = d.window {
            let now = b.reg();
            b.push(Instr::Time(now));
            for (op, end) in [(CmpOp::Ge, from), (CmpOp::Le, to)] {
                let end = self.value(b, end)?;
                let inside = b.cmp(op, now, end);
                over.push(b.jump_unless(inside));
            }
        }
        let yes = b.constant(Const::Bool(true));
        b.push(Instr::Store(slot, yes));
        b.push(Instr::Emit(event, Vec::new()));
        over.into_iter().for_each(|jump| b.land(jump));
        Ok(())
    }
}

/// The conditions that must hold all the while, where a formula is nothing else.
fn demands_of<'a>(e: &'a hir::Expr, out: &mut Vec<Demand<'a>>) -> bool {
    match &e.kind {
        ExprKind::Binary(BinOp::And, a, b) => demands_of(a, out) && demands_of(b, out),
        ExprKind::Temporal(t) if t.op == TemporalOp::Always => match &t.args[..] {
            [holds] if holds.shape.is_empty() && of_the_present(holds) => {
                out.push(Demand { holds, window: t.window.as_ref().map(|(a, b)| (a, b)) });
                true
            }
            _ => false,
        },
        _ => false,
    }
}

fn of_the_present(e: &hir::Expr) -> bool {
    let mut plain = true;
    e.visit(&mut |x| plain &= !matches!(x.kind, ExprKind::Temporal(_) | ExprKind::Aggregate(_)));
    plain
}
