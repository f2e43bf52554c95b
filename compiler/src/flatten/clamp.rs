//! `else clamp`: quantities that are held at their limits.
//!
//! A continuous state whose range has limits becomes a saturating one. With `r` for the derivative that its equations
//! ask for, `low` is true from the moment when `x` reaches its lower limit while `r < 0`, and until `r` is no
//! longer negative; `high` likewise; and `der(x) = if low or high then 0 else r`. Both are events; the engine puts
//! the state exactly on its limit there. In a model with white noise a state is put back on its limit after each step
//! that leaves it beyond. Discrete states and inputs are moved to the limit whenever something assigns
//! them a value beyond it. What a connection, a definition or an equation gives goes through `min` and `max`. Nothing is
//! added to a model without `else clamp`.

use super::Flattener;
use super::equation::visit;
use super::expr::{bin, choose, logic};
use super::scope::{InstId, R, VarSlot};
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, BinOp, BoolOp, CmpOp, Equation, Expr, Loop, Piece, Role};
use crate::hir;
use crate::source::Span;
use crate::structural::{expr, sets};
use std::rc::Rc;
use twinml_model::ids::{Index, VarId};
use twinml_model::program::RangeElse;
use twinml_model::schema::Kind;

/// Where a condition holds: above or below a limit.
enum Limit {
    Low(Expr),
    High(Expr),
}

impl<'a> Flattener<'a> {
    /// Gives a quantity the limits of a range that says `else clamp`.
    pub(super) fn clamp(&mut self, id: InstId, slot: &Rc<VarSlot<'a>>, var: VarId, cond: &'a hir::Expr) {
        let role = self.system.vars[var.index()].role;
        if role == Role::Parameter {
            let what = "a parameter is not clamped: it does not change during a run";
            self.diags.push(Diagnostic::new(codes::CLAMP_LIMITS, cond.span, what));
            return;
        }
        let shape = slot.shape.get().cloned().unwrap_or_default();
        let mut pieces: [Vec<Piece>; 2] = [Vec::new(), Vec::new()];
        let mut conditions = Vec::new();
        self.unit(id, &mut |s, scope| {
            let mut at = scope.at.to_vec();
            s.nest(&shape, &mut at, &mut |s, at| {
                let element = s.slot_element(slot, var, at)?;
                let this = Expr::Var(var, element);
                let before = s.this.replace(this.clone());
                let right = s.element(cond, scope, &[]);
                s.this = before;
                let is = s.family_equation(this, right?, cond.span);
                let mut limits = Vec::new();
                if !s.limits(&is.left, &is.right, &mut limits) {
                    let d = Diagnostic::new(
                        codes::CLAMP_LIMITS,
                        cond.span,
                        "this range has no limits to hold a value at",
                    )
                    .note("a limit is a number or a formula of parameters")
                    .help("`else clamp` needs the form `lo <= self <= hi`, or one side of it");
                    return Err(s.fail(d));
                }
                let Expr::Var(_, element) = &is.left else { return Ok(()) };
                conditions.push(is.clone());
                for limit in limits {
                    let (side, expr) = match limit {
                        Limit::Low(e) => (0, e),
                        Limit::High(e) => (1, e),
                    };
                    pieces[side].push(Piece {
                        loops: is.loops.clone(),
                        element: element.clone(),
                        expr,
                        span: is.span,
                    });
                }
                Ok(())
            })
        });
        let done = match role {
            Role::Unknown => self.clamp_given(var, pieces, conditions, cond.span),
            _ => self.add_clamp(var, pieces, cond.span),
        };
        self.settle_stop(done);
    }

    /// The limits that a condition sets to `this`; false where it says anything else.
    fn limits(&self, this: &Expr, cond: &Expr, out: &mut Vec<Limit>) -> bool {
        match cond {
            Expr::Bool(true) => true,
            Expr::BoolBin(BoolOp::And, a, b) => self.limits(this, a, out) && self.limits(this, b, out),
            Expr::Cmp(op, a, b, _) => {
                let (limit, above) = match (op, **a == *this, **b == *this) {
                    (CmpOp::Ge | CmpOp::Gt, true, false) => (b, true),
                    (CmpOp::Le | CmpOp::Lt, true, false) => (b, false),
                    (CmpOp::Le | CmpOp::Lt, false, true) => (a, true),
                    (CmpOp::Ge | CmpOp::Gt, false, true) => (a, false),
                    _ => return false,
                };
                out.push(if above { Limit::Low((**limit).clone()) } else { Limit::High((**limit).clone()) });
                !self.varies(limit)
            }
            _ => false,
        }
    }

    fn add_clamp(&mut self, var: VarId, pieces: [Vec<Piece>; 2], span: Span) -> R<()> {
        if self.diags.has_errors() {
            return Ok(());
        }
        let known = self.system.clamps.iter().position(|c| c.var == var);
        let k = match known {
            Some(k) => k,
            None => {
                self.system.clamps.push(flat::Clamp { var, limits: [None, None], held: [None, None], span });
                self.system.clamps.len() - 1
            }
        };
        let base = self.system.vars[var.index()].clone();
        for (side, list) in pieces.into_iter().enumerate() {
            if list.is_empty() {
                continue;
            }
            if let Some(limit) = self.system.clamps[k].limits[side] {
                let op = if side == 0 { BinOp::Max } else { BinOp::Min };
                for p in list {
                    let have = &mut self.system.vars[limit.index()].value;
                    match have.iter_mut().find(|h| h.loops == p.loops && h.element == p.element) {
                        Some(h) => h.expr = bin(op, std::mem::replace(&mut h.expr, Expr::Num(0.0)), p.expr),
                        None => have.push(p),
                    }
                }
                continue;
            }
            let name = if side == 0 { "lo" } else { "hi" };
            let limit = self.beside(&base, name, Kind::Real, Role::Parameter)?;
            self.system.vars[limit.index()].value = list;
            self.system.clamps[k].limits[side] = Some(limit);
            if base.role == Role::State {
                let name = if side == 0 { "low" } else { "high" };
                self.system.clamps[k].held[side] =
                    Some(self.beside(&base, name, Kind::Bool, Role::Discrete)?);
            }
        }
        Ok(())
    }

    /// `x = e` becomes `x = min(max(asked, lo), hi)` with `asked = e`, which is watched.
    fn clamp_given(
        &mut self,
        var: VarId,
        pieces: [Vec<Piece>; 2],
        conditions: Vec<Equation>,
        span: Span,
    ) -> R<()> {
        if self.diags.has_errors() {
            return Ok(());
        }
        let base = self.system.vars[var.index()].clone();
        let alone = |e: &Equation| matches!(e.left, Expr::Var(v, _) if v == var);
        let given: i64 =
            self.system.equations.iter().filter(|e| alone(e)).map(|e| sets::points(&e.loops)).sum();
        if given != i64::from(base.len) {
            let path: Vec<&str> = base.path.iter().map(|s| s.name.as_str()).collect();
            let what =
                format!("no equation gives `{}` by itself, so its range cannot clamp it", path.join("."));
            let d = Diagnostic::new(codes::CLAMP_LIMITS, span, what);
            return Err(
                self.fail(d.help("clamp what it follows from, or write `clamp(e, lo, hi)` in an equation"))
            );
        }
        let asked = self.beside(&base, "asked", base.kind, Role::Unknown)?;
        let swap = |e: &Expr| {
            expr::rewrite(e, &mut |x| match x {
                Expr::Var(v, at) if v == var => Expr::Var(asked, at),
                other => other,
            })
        };
        for e in self.system.equations.iter_mut().filter(|e| alone(e)) {
            e.left = swap(&e.left);
        }
        for is in conditions {
            let is = Equation { right: swap(&is.right), ..is };
            self.system.ranges.push(flat::Range { is, otherwise: RangeElse::Report });
        }
        let (loops, at) = whole_family(&base);
        let mut right = Expr::Var(asked, at.clone());
        for (side, list) in pieces.into_iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            let name = if side == 0 { "lo" } else { "hi" };
            let limit = self.beside(&base, name, Kind::Real, Role::Parameter)?;
            self.system.vars[limit.index()].value = list;
            self.covered(limit, span)?;
            let op = if side == 0 { BinOp::Max } else { BinOp::Min };
            right = bin(op, right, Expr::Var(limit, at.clone()));
        }
        let left = Expr::Var(var, at);
        self.system.equations.push(Equation { loops, left, right, span, owner: String::new() });
        Ok(())
    }

    /// Every element has its limit.
    fn covered(&mut self, limit: VarId, span: Span) -> R<()> {
        let v = &self.system.vars[limit.index()];
        let given: i64 = v.value.iter().map(|p| sets::points(&p.loops)).sum();
        if given == i64::from(v.len) {
            return Ok(());
        }
        Err(self.internal(span, "a limit for a part of the elements"))
    }

    /// A hidden family of the same axes.
    fn beside(&mut self, base: &flat::Var, name: &str, kind: Kind, role: Role) -> R<VarId> {
        let start = if kind == Kind::Bool { Expr::Bool(false) } else { Expr::Num(0.0) };
        let id = self.companion(base, name, kind, role, start)?;
        let v = &mut self.system.vars[id.index()];
        if let Some(first) = v.path.first_mut() {
            first.name.insert(0, flat::HIDDEN);
        }
        if role == Role::Unknown {
            v.value.clear();
        }
        Ok(id)
    }

    /// Makes the states saturate whose limits are known now.
    pub(super) fn saturate(&mut self) {
        for k in 0..self.system.clamps.len() {
            let done = self.saturating(k);
            self.settle_stop(done);
        }
    }

    /// A hidden family that holds what a state's equations ask its derivative to be: they no longer say what it is.
    pub(super) fn asked_rate(&mut self, state: VarId, name: &str) -> R<VarId> {
        let base = self.system.vars[state.index()].clone();
        let has = |e: &Expr| {
            let mut found = false;
            visit(e, &mut |x| found |= matches!(x, Expr::Der(v, _) if *v == state));
            found
        };
        // Its equation has the derivative on the left; others read it.
        let mut own: Vec<usize> = Vec::new();
        let all = self.system.equations.iter().enumerate();
        own.extend(all.clone().filter(|(_, e)| has(&e.left)).map(|(k, _)| k));
        if own.is_empty() {
            own.extend(all.filter(|(_, e)| has(&e.right)).map(|(k, _)| k));
        }
        let rate = self.beside(&base, name, Kind::Real, Role::Unknown)?;
        let asked = |e: &Expr| {
            expr::rewrite(e, &mut |x| match x {
                Expr::Der(v, at) if v == state => Expr::Var(rate, at),
                other => other,
            })
        };
        for k in own {
            let e = &mut self.system.equations[k];
            (e.left, e.right) = (asked(&e.left), asked(&e.right));
        }
        Ok(rate)
    }

    fn saturating(&mut self, k: usize) -> R<()> {
        let c = self.system.clamps[k].clone();
        let base = self.system.vars[c.var.index()].clone();
        for limit in c.limits.into_iter().flatten() {
            self.covered(limit, c.span)?;
        }
        if base.role != Role::State {
            return Ok(());
        }
        // Noise has no sign that could hold a state at its limit: the engine puts it back after each step.
        if !self.system.noises.is_empty() {
            self.system.clamps[k].held = [None, None];
            return Ok(());
        }
        let rate = self.asked_rate(c.var, "rate")?;
        let (loops, at) = whole_family(&base);
        let value = |v: VarId| Expr::Var(v, at.clone());
        let equation = |left: Expr, right: Expr| Equation {
            loops: loops.clone(),
            left,
            right,
            span: c.span,
            owner: String::new(),
        };
        let compare = |op, a, b| Expr::Cmp(op, Box::new(a), Box::new(b), c.span);
        let mut held: Option<Expr> = None;
        for side in 0..2 {
            let (Some(limit), Some(flag)) = (c.limits[side], c.held[side]) else { continue };
            let out = if side == 0 { CmpOp::Lt } else { CmpOp::Gt };
            let outward = compare(out, value(rate), Expr::Num(0.0));
            let reached = if side == 0 { CmpOp::Le } else { CmpOp::Ge };
            let beyond = compare(reached, value(c.var), value(limit));
            let next = logic(BoolOp::And, outward, logic(BoolOp::Or, value(flag), beyond));
            self.system.nexts.push(equation(value(flag), next));
            held = Some(match held {
                None => value(flag),
                Some(h) => logic(BoolOp::Or, h, value(flag)),
            });
        }
        let Some(held) = held else { return Ok(()) };
        let right = choose(held, Expr::Num(0.0), value(rate));
        self.system.equations.push(equation(Expr::Der(c.var, at.clone()), right));
        Ok(())
    }
}

/// The loop over all elements of a family, and the element.
fn whole_family(base: &flat::Var) -> (Vec<Loop>, Affine) {
    if base.len == 1 {
        return (Vec::new(), Affine::constant(0));
    }
    let index = Index(0);
    (vec![Loop { index, lo: 0, hi: i64::from(base.len) }], Affine::constant(0).plus(index, 1))
}
