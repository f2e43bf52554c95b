//! Numbers of the run as a whole: each aggregate becomes a hidden input, which the engine sets where the run has
//! ended; what is made of them is an equation like any other. KPIs are such equations.

use super::Flattener;
use super::requirement::{Draft, flat_element, opaque};
use super::scope::{InstId, R, Scope, Slot};
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, Expr};
use crate::hir::{self, ExprKind, MemberKind, Section, Type, Whole};
use crate::source::Span;
use twinml_model::ids::VarId;
use twinml_model::requirement::{Aggregate, Atom, AtomKind, Kpi, Measure};
use twinml_model::schema::{Kind, Segment};

/// An aggregate of an instance and the hidden input that stands for it.
pub(super) type Made = (InstId, *const hir::Aggregate, VarId);

impl<'a> Flattener<'a> {
    /// The aggregates in an expression of an instance are made; whether there are any. None, after saying so, where
    /// one stands beside a quantity that changes.
    pub(super) fn aggregates_of(&mut self, inst: InstId, e: &'a hir::Expr, at_end: bool) -> Option<bool> {
        let mut found: Vec<(&'a hir::Aggregate, Span)> = Vec::new();
        e.visit(&mut |e| {
            if let ExprKind::Aggregate(a) = &e.kind {
                found.push((&**a, e.span));
            }
        });
        if !at_end && let Some((_, whole)) = found.first() {
            let inside =
                |s: Span| found.iter().any(|(_, a)| a.file == s.file && a.lo <= s.lo && s.hi <= a.hi);
            if let Some(at) = self.varying(inst, e, &inside) {
                let d = Diagnostic::new(
                    codes::AGGREGATE_MIXED,
                    at,
                    "this changes, and what stands beside it is a number of the whole run",
                )
                .label(*whole, "a number of the whole run")
                .help("say which of its values is meant: `… at end`, `max(… over run)`");
                self.diags.push(d);
                return None;
            }
        }
        for (a, span) in &found {
            if a.of != Whole::AtEnd {
                self.make_aggregate(inst, a, *span)?;
            }
        }
        Some(!found.is_empty())
    }

    /// The first place, outside of `inside`, of something that is no parameter.
    fn varying(&self, inst: InstId, e: &'a hir::Expr, inside: &dyn Fn(Span) -> bool) -> Option<Span> {
        let mut found = None;
        e.visit(&mut |e| {
            let varies = match &e.kind {
                ExprKind::Time | ExprKind::Der(_) | ExprKind::Behavior(_) => true,
                ExprKind::Member(r) => !self.is_parameter(inst, r),
                _ => false,
            };
            if varies && !inside(e.span) {
                found.get_or_insert(e.span);
            }
        });
        found
    }

    fn is_parameter(&self, inst: InstId, r: &hir::Ref) -> bool {
        let Some((last, parts)) = r.steps.split_last() else { return false };
        let mut at = inst;
        for p in parts {
            match self.inst(at).members.get(&p.name) {
                Some(Slot::Twin { parts, .. }) => match parts.first() {
                    Some(part) => at = *part,
                    None => return false,
                },
                _ => return false,
            }
        }
        match self.inst(at).class.members.get(&last.name).map(|m| &m.kind) {
            Some(MemberKind::Var(d)) => matches!(d.section, Section::Parameters | Section::ValueParam),
            _ => false,
        }
    }

    fn make_aggregate(&mut self, inst: InstId, a: &'a hir::Aggregate, span: Span) -> Option<()> {
        let key = std::ptr::from_ref(a);
        if self.aggregates.iter().any(|(i, k, _)| (*i, *k) == (inst, key)) {
            return Some(());
        }
        let measure = match &a.of {
            Whole::AtEnd => return Some(()),
            Whole::Measure(m) => *m,
            Whole::Quantile(p) => Measure::Quantile(self.known(inst, p, "which quantile it is")?),
        };
        let window = match &a.window {
            None => None,
            Some((from, to)) => Some(self.window_of(inst, (from, to))?),
        };
        let (truth, atoms) = if a.arg.ty == Type::Bool {
            let mut draft = Draft::new(inst);
            let formula = self.stl(&a.arg, &mut draft)?;
            (Some(formula), draft.atoms)
        } else {
            let (slot, len) = self.computed_family(inst, &a.arg, &mut |s, scope, idx| {
                s.element(&a.arg, scope, s.fit(&a.arg, idx))
            })?;
            let kind = AtomKind::Margin { strict: false };
            let atom = Atom { slot, len, kind, scale: 1.0, late: false, side: None };
            (None, vec![atom])
        };
        self.ranges.clear();
        let scope = self.own_scope(inst);
        let shape = self.shape(&a.arg, &scope).ok()?;
        let mut axes: Vec<u32> = self.free_axes(inst).iter().map(|(_, n)| *n).collect();
        axes.extend_from_slice(&shape);
        self.added += 1;
        let name = format!("{}{}", flat::MARGIN, self.added);
        let var = self
            .push_family(flat::Var::plain(
                vec![Segment { name, axes }],
                0,
                flat::Role::Input,
                Kind::Real,
                span,
            ))
            .ok()?;
        self.homes.push(None);
        let len = self.system.vars.get(var.index())?.len;
        if len == 0 || atoms.iter().any(|atom| atom.len == 0 || len % atom.len != 0) {
            return None;
        }
        self.experiment.aggregates.push(Aggregate { measure, window, truth, atoms, slot: var.0, len });
        self.aggregates.push((inst, key, var));
        Some(())
    }

    /// An aggregate in a formula.
    pub(super) fn measured(
        &mut self,
        a: &'a hir::Aggregate,
        scope: &Scope<'a>,
        idx: &[Affine],
        span: Span,
    ) -> R<Expr> {
        let key = std::ptr::from_ref(a);
        let Some(var) = self.aggregates.iter().find(|(i, k, _)| (*i, *k) == (scope.inst, key)).map(|m| m.2)
        else {
            return Err(self.internal(span, "an aggregate outside a requirement"));
        };
        let own = self.free_axes(scope.inst);
        let subs: Vec<&Affine> = own.iter().filter_map(|(k, _)| scope.at.get(*k)).chain(idx).collect();
        let axes: Vec<u32> = self.system.vars[var.index()].path.iter().flat_map(|s| s.axes.clone()).collect();
        let at = flat_element(&subs, &axes);
        let value = Expr::Var(var, self.settle(&at));
        // What an input holds is a number.
        Ok(match a.arg.ty {
            Type::Bool if matches!(a.of, Whole::Measure(Measure::First | Measure::Last)) => {
                Expr::Cmp(hir::CmpOp::Ne, Box::new(value), Box::new(Expr::Num(0.0)), span)
            }
            _ => value,
        })
    }

    /// The figures of all instances.
    pub(super) fn kpi_formulas(&mut self) {
        for k in 0..self.insts.len() {
            let id = InstId(k as u32);
            let class = self.inst(id).class;
            for kpi in &class.kpis {
                let own = self.inst(id).path.is_empty();
                let path =
                    if own { kpi.name.to_string() } else { format!("{}.{}", self.owner_text(id), kpi.name) };
                let found = if opaque(&kpi.value) { None } else { self.attempt(&mut |s| s.kpi(id, kpi)) };
                let (slot, len) = found.unwrap_or((0, 0));
                self.experiment.kpis.push(Kpi {
                    path,
                    slot,
                    len,
                    whole: matches!(kpi.value.ty, Type::Int),
                    unit: kpi.unit.clone(),
                    goal: kpi.goal,
                });
            }
        }
    }

    fn kpi(&mut self, inst: InstId, kpi: &'a hir::Kpi) -> Option<(u32, u32)> {
        self.aggregates_of(inst, &kpi.value, false)?;
        let truth = kpi.value.ty == Type::Bool;
        self.computed_family(inst, &kpi.value, &mut |s, scope, idx| {
            let x = s.element(&kpi.value, scope, s.fit(&kpi.value, idx))?;
            Ok(if truth { Expr::BoolToNum(Box::new(x)) } else { x })
        })
    }
}
