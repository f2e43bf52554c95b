//! What formulas read of behaviour: active states, counters, and what code derives from cells.

use super::super::Flattener;
use super::super::expr::{bin, logic};
use super::super::scope::{InstId, R, Scope, Stop};
use super::super::walk::{Found, Sub};
use crate::diag::codes;
use crate::flat::{Affine, BinOp, BoolOp, CmpOp, Equation, Expr};
use crate::hir::behavior::Op;
use crate::hir::{self, ExprKind, Type};
use crate::source::Span;
use twinml_model::ids::{EnumId, VarId};
use twinml_model::schema::Kind;

/// The kind of a slot that holds values of a type.
pub(super) fn slot_kind(ty: &Type) -> Option<Kind> {
    Some(match ty {
        Type::Real(_) | Type::Any => Kind::Real,
        Type::Int => Kind::Int,
        Type::Bool => Kind::Bool,
        Type::Enum(e) => Kind::Enum(EnumId(e.0)),
        _ => return None,
    })
}

/// Whether an expression reads a local name.
pub(super) fn has_locals(e: &hir::Expr) -> bool {
    let mut found = false;
    e.visit(&mut |x| found |= matches!(x.kind, ExprKind::Local(_)));
    found
}

/// Whether an expression can have a value that is known when a model is compiled.
pub(super) fn may_be_known(e: &hir::Expr) -> bool {
    !has_locals(e) && !matches!(e.kind, ExprKind::Behavior(_) | ExprKind::BehaviorOnly)
}

impl<'a> Flattener<'a> {
    /// What behaviour keeps, in a formula.
    pub(in super::super) fn kept(&mut self, op: &'a Op, scope: &Scope<'a>, e: &'a hir::Expr) -> R<Expr> {
        match op {
            Op::Active(r, state) => {
                let (at, machine) = self.machine_place(r, scope)?;
                let found = self.behaving.out.machines[machine].states.iter().find(|s| *s.name == **state);
                let Some((lo, hi)) = found.map(|s| (s.first_leaf, s.end_leaf)) else {
                    return Err(self.internal(e.span, "a state that is not there"));
                };
                let cmp = |op, k: u32| {
                    Expr::Cmp(op, Box::new(at.clone()), Box::new(Expr::Num(f64::from(k))), e.span)
                };
                Ok(if hi == lo + 1 {
                    cmp(CmpOp::Eq, lo)
                } else {
                    logic(BoolOp::And, cmp(CmpOp::Ge, lo), cmp(CmpOp::Lt, hi))
                })
            }
            Op::Machine(r) => Ok(self.machine_place(r, scope)?.0),
            Op::Count(event) => {
                let mut total: Option<Expr> = None;
                for h in self.heard(scope.inst, event)? {
                    let var = self.counter(h.event, event.span)?;
                    let all = h.only.map_or(0..h.per, |k| k..k + 1);
                    if all.len() > 4096 {
                        return Err(self.later(event.span, "a count over so many twins"));
                    }
                    let own = self.own_element(scope)?;
                    for k in all {
                        let at = super::super::scope::scale(&own, i64::from(h.per))
                            .map(|a| Affine { base: a.base + i64::from(k), ..a })
                            .unwrap_or_default();
                        let one = Expr::Var(var, at);
                        total = Some(match total {
                            None => one,
                            Some(t) => bin(BinOp::Add, t, one),
                        });
                    }
                }
                Ok(total.unwrap_or(Expr::Num(0.0)))
            }
            _ => self.mirrored(scope, e),
        }
    }

    /// The slot of a machine and its number.
    fn machine_place(&mut self, r: &'a hir::Ref, scope: &Scope<'a>) -> R<(Expr, usize)> {
        match self.walk(r, scope, &[])? {
            Found::Machine(machine, subs) => {
                let var = self.behaving.out.machines[machine].var;
                Ok((self.place(var, &subs, r.span)?, machine))
            }
            _ => Err(self.internal(r.span, "a machine that is not there")),
        }
    }

    /// A machine by name, for paths.
    pub(in super::super) fn machine_at(&self, inst: InstId, name: &str) -> Option<usize> {
        self.behaving.machines.get(&(inst, hir::Name::from(name))).map(|m| *m as usize)
    }

    /// The family that holds a machine's active leaf.
    pub(in super::super) fn machine_var(&self, machine: usize) -> VarId {
        // Scenarios come when behaviour is complete, and stands in the system.
        let all = [&self.behaving.out, &self.system.behavior.model];
        all.into_iter().find_map(|b| b.machines.get(machine)).map_or(VarId::new(0), |m| m.var)
    }

    /// The number of the present instance among its family.
    pub(super) fn own_element(&mut self, scope: &Scope<'a>) -> R<Affine> {
        let subs = self.storage(scope.inst, scope.at.iter().cloned().map(Sub::Fixed).collect());
        let axes = self.own_axes(scope.inst);
        let mut out = Affine::constant(0);
        let mut stride = 1i64;
        for (s, len) in subs.iter().zip(&axes).rev() {
            if let Sub::Fixed(a) = s {
                out = super::super::scope::scale(a, stride)
                    .and_then(|a| super::super::scope::add(&out, &a))
                    .unwrap_or_default();
            }
            stride *= i64::from(*len);
        }
        Ok(self.settle(&out))
    }

    /// The discrete family that counts an event.
    pub(super) fn counter(&mut self, event: u32, span: Span) -> R<VarId> {
        let e = &self.behaving.out.events[event as usize];
        if let Some(v) = e.counter {
            return Ok(v);
        }
        let inst = self.behaving.insts[e.owner as usize];
        let var = self.hidden_family(inst, "count", Kind::Int, span)?;
        self.behaving.out.events[event as usize].counter = Some(var);
        Ok(var)
    }

    /// A value that code derives from cells of this instance, as a discrete quantity.
    fn mirrored(&mut self, scope: &Scope<'a>, e: &'a hir::Expr) -> R<Expr> {
        let inst = scope.inst;
        if has_locals(e) {
            return Err(self.later(e.span, "a formula over a collection with an index of the equation"));
        }
        let mut foreign = None;
        e.visit(&mut |x| {
            if let ExprKind::Behavior(op) = &x.kind
                && let Op::Heap(r) = &**op
                && r.steps.len() > 1
            {
                foreign.get_or_insert(r.span);
            }
        });
        if let Some(span) = foreign {
            return Err(self.later(span, "a formula over what another twin keeps"));
        }
        let Some(kind) = slot_kind(&e.ty).filter(|_| e.shape.is_empty()) else {
            return Err(self.refuse(codes::LATER_TYPE, e.span, "a value of this type in a formula"));
        };
        let key = (inst, std::ptr::from_ref(e));
        let var = match self.behaving.mirrors.get(&key) {
            Some(k) => self.behaving.mirrored[*k].2,
            None => {
                let var = self.hidden_family(inst, "mirror", kind, e.span)?;
                self.behaving.mirrors.insert(key, self.behaving.mirrored.len());
                self.behaving.mirrored.push((inst, e, var));
                var
            }
        };
        let at = self.own_element(scope)?;
        Ok(Expr::Var(var, at))
    }

    /// A discrete family that follows an expression of this class.
    pub(super) fn watch(&mut self, inst: InstId, e: &'a hir::Expr) -> R<u32> {
        let Some(kind) = slot_kind(&e.ty).filter(|_| e.shape.is_empty()).or(machine_kind(e)) else {
            return Err(self.refuse(codes::LATER_TYPE, e.span, "watching a value of this type"));
        };
        if has_locals(e) {
            let mut bound = Vec::new();
            e.visit(&mut |x| match &x.kind {
                ExprKind::Comprehension(c) | ExprKind::ReduceOver(_, c) => {
                    bound.extend(c.loops.iter().map(|l| l.local));
                }
                ExprKind::Behavior(op) => match &**op {
                    Op::Closure(vars, _) => bound.extend(vars),
                    Op::Each(each) => bound.extend(&each.vars),
                    _ => {}
                },
                _ => {}
            });
            let mut free = false;
            e.visit(&mut |x| {
                if let ExprKind::Local(id) = x.kind {
                    free |= !bound.contains(&id);
                }
            });
            if free {
                return Err(self.later(e.span, "waiting for a condition on a local value"));
            }
        }
        let owner = self.owner_of(inst);
        let var = self.hidden_family(inst, "watch", kind, e.span)?;
        let done = self.under(inst, &mut |s, scope| {
            let right = s.element(e, scope, &[])?;
            let at = s.own_element(scope)?;
            s.emit_next(Expr::Var(var, at), right, e.span);
            Ok(())
        });
        done?;
        let origin = self.origin_at(e.span, inst);
        let id = self.behaving.out.watches.len() as u32;
        self.behaving.out.watches.push(twinml_model::behavior::Watch { var, owner, origin });
        Ok(id)
    }

    /// Runs `body` for all elements of an instance family; errors go on to the caller.
    pub(super) fn under(
        &mut self,
        inst: InstId,
        body: &mut dyn FnMut(&mut Self, &Scope<'a>) -> R<()>,
    ) -> R<()> {
        let mut failed = false;
        self.unit(inst, &mut |s, scope| {
            let done = body(s, scope);
            failed |= matches!(done, Err(Stop::Fail | Stop::NotConst { .. }));
            done
        });
        if failed { Err(Stop::Fail) } else { Ok(()) }
    }

    /// A quantity that code reads and only formulas give (`delay(…)`, a derivative): an unknown of its own.
    pub(super) fn computed(&mut self, inst: InstId, e: &'a hir::Expr) -> R<VarId> {
        let Some(kind) = slot_kind(&e.ty).filter(|_| e.shape.is_empty() && !has_locals(e)) else {
            return Err(self.later(e.span, "this formula in behaviour"));
        };
        let var = self.hidden_family(inst, "value", kind, e.span)?;
        self.system.vars[var.index()].role = crate::flat::Role::Unknown;
        self.under(inst, &mut |s, scope| {
            let right = s.element(e, scope, &[])?;
            let at = s.own_element(scope)?;
            s.emit(Expr::Var(var, at), right, e.span);
            Ok(())
        })?;
        Ok(var)
    }

    fn emit_next(&mut self, left: Expr, right: Expr, span: Span) {
        self.emit(left, right, span);
        let e: Option<Equation> = self.system.equations.pop();
        self.system.nexts.extend(e);
    }
}

fn machine_kind(e: &hir::Expr) -> Option<Kind> {
    match &e.kind {
        ExprKind::Behavior(op) if matches!(**op, Op::Machine(_)) => Some(Kind::Int),
        _ => None,
    }
}
