//! Requirements: each comparison becomes a hidden family that holds its signed margin, each other truth value one
//! that holds 0 or 1; the formula over them is plain data.

use super::Flattener;
use super::expr::bin;
use super::scenario::plain;
use super::scope::{InstId, R, Scope, Slot};
use crate::flat::{self, Affine, BinOp, Expr};
use crate::hir::{self, CmpOp, ExprKind, MemberKind, TemporalOp, Type};
use twinml_model::dimension::Dimension;
use twinml_model::requirement::{Atom, AtomKind, Formula, Judged};
use twinml_model::schema::{DisplayUnit, Kind, Role as Declared, Segment};

/// The unit of a margin.
#[derive(Clone, PartialEq)]
struct Measure {
    dimension: Option<Dimension>,
    unit: (String, f64),
    /// Magnitude of the right side, where it is a constant.
    nominal: Option<f64>,
}

/// Gives the value of one element of an atom.
type Element<'f, 'a> = &'f mut dyn FnMut(&mut Flattener<'a>, &Scope<'a>, &[Affine]) -> R<Expr>;

/// What has been found of one requirement.
struct Draft {
    inst: InstId,
    atoms: Vec<Atom>,
    /// Of each margin.
    measures: Vec<Option<Measure>>,
}

impl<'a> Flattener<'a> {
    /// The formulas of all instances.
    pub(super) fn requirement_formulas(&mut self) {
        self.may_add = true;
        let mut number = 0;
        for k in 0..self.insts.len() {
            let id = InstId(k as u32);
            let class = self.inst(id).class;
            for (name, _) in &class.requirements {
                if let Some(r) = class.formulas.iter().find(|r| r.name == *name)
                    && !opaque(&r.formula)
                    && let Some(mut judged) = self.judged(id, r)
                {
                    judged.refuted = self.refuted(id, name);
                    self.experiment.judged.push((number, judged));
                }
                number += 1;
            }
        }
    }

    /// Whether the scenario says `expect not` of it.
    fn refuted(&self, id: InstId, name: &str) -> bool {
        let own = self.inst(id).path.is_empty();
        let path = if own { name.to_owned() } else { format!("{}.{name}", self.owner_text(id)) };
        let expects = self.scenario().map(|s| &s.expects[..]).unwrap_or_default();
        expects.iter().any(|(e, negated, _)| *negated && plain(e) == plain(&path))
    }

    fn judged(&mut self, inst: InstId, r: &'a hir::Requirement) -> Option<Judged> {
        let mark = self.mark();
        let mut draft = Draft { inst, atoms: Vec::new(), measures: Vec::new() };
        let formula = self.stl(&r.formula, &mut draft);
        let scale = r.scale.as_ref().and_then(|e| self.setting_of(inst, e));
        let judged = formula.and_then(|f| finish(f, draft, scale, r.claim));
        if judged.is_none() {
            self.rollback(mark);
        }
        judged
    }

    /// A number known now, in an instance's scope.
    fn setting_of(&mut self, inst: InstId, e: &'a hir::Expr) -> Option<f64> {
        self.ranges.clear();
        let scope = self.own_scope(inst);
        self.real(e, &scope).ok()
    }

    fn stl(&mut self, e: &'a hir::Expr, draft: &mut Draft) -> Option<Formula> {
        Some(match &e.kind {
            ExprKind::Bool(b) => Formula::Const(*b),
            ExprKind::Unary(hir::UnOp::Not, a) => not(self.stl(a, draft)?),
            ExprKind::Binary(op, a, b) => match op {
                hir::BinOp::And => Formula::And(vec![self.stl(a, draft)?, self.stl(b, draft)?]),
                hir::BinOp::Or => Formula::Or(vec![self.stl(a, draft)?, self.stl(b, draft)?]),
                hir::BinOp::Implies => Formula::Or(vec![not(self.stl(a, draft)?), self.stl(b, draft)?]),
                hir::BinOp::Xor => {
                    let (a, b) = (self.stl(a, draft)?, self.stl(b, draft)?);
                    Formula::Or(vec![
                        Formula::And(vec![a.clone(), not(b.clone())]),
                        Formula::And(vec![not(a), b]),
                    ])
                }
                hir::BinOp::Cmp(op @ (CmpOp::Lt | CmpOp::Le | CmpOp::Gt | CmpOp::Ge))
                    if is_number(&a.ty) && is_number(&b.ty) =>
                {
                    self.margin(*op, a, b, e, draft)?
                }
                _ => self.truth_atom(e, draft)?,
            },
            ExprKind::Temporal(t) => {
                let window = match &t.window {
                    None => None,
                    Some((a, b)) => Some((self.setting_of(draft.inst, a)?, self.setting_of(draft.inst, b)?)),
                };
                if window.is_some_and(|(a, b)| !(a >= 0.0 && a <= b && b.is_finite())) {
                    return None;
                }
                let mut args = Vec::with_capacity(2);
                for a in &t.args {
                    args.push(self.stl(a, draft)?);
                }
                let past = matches!(t.op, TemporalOp::Historically | TemporalOp::Once | TemporalOp::Since);
                let every = matches!(t.op, TemporalOp::Always | TemporalOp::Historically);
                let (last, first) = (Box::new(args.pop()?), args.pop());
                match first {
                    Some(left) => Formula::Until { past, window, left: Box::new(left), right: last },
                    None => Formula::Windowed { every, past, window, formula: last },
                }
            }
            _ => self.truth_atom(e, draft)?,
        })
    }

    fn margin(
        &mut self,
        op: CmpOp,
        a: &'a hir::Expr,
        b: &'a hir::Expr,
        e: &'a hir::Expr,
        draft: &mut Draft,
    ) -> Option<Formula> {
        let (small, large) = if matches!(op, CmpOp::Lt | CmpOp::Le) { (a, b) } else { (b, a) };
        let dimension = match (&a.ty, &b.ty) {
            (Type::Real(Some(d)), _) | (_, Type::Real(Some(d))) => Some(d.clone()),
            (Type::Int, Type::Int) => Some(Dimension::ONE),
            _ => None,
        };
        let unit = self.unit_of(draft.inst, b).or_else(|| self.unit_of(draft.inst, a));
        let unit = unit
            .filter(|u| u.offset == 0.0)
            .map(|u| (u.symbol, u.scale))
            .unwrap_or_else(|| (dimension.as_ref().map(Dimension::customary).unwrap_or_default(), 1.0));
        let nominal = self.setting_of(draft.inst, b).map(f64::abs);
        let strict = matches!(op, CmpOp::Lt | CmpOp::Gt);
        let var = self.atom(e, draft, &mut |s, scope, idx| {
            let x = s.element(large, scope, s.fit(large, idx))?;
            let y = s.element(small, scope, s.fit(small, idx))?;
            Ok(bin(BinOp::Sub, x, y))
        })?;
        self.keep(var, AtomKind::Margin { strict }, Some(Measure { dimension, unit, nominal }), draft)
    }

    fn truth_atom(&mut self, e: &'a hir::Expr, draft: &mut Draft) -> Option<Formula> {
        let var = self.atom(e, draft, &mut |s, scope, idx| {
            let x = s.element(e, scope, s.fit(e, idx))?;
            Ok(Expr::BoolToNum(Box::new(x)))
        })?;
        self.keep(var, AtomKind::Truth, None, draft)
    }

    fn keep(
        &mut self,
        (var, len): (u32, u32),
        kind: AtomKind,
        measure: Option<Measure>,
        draft: &mut Draft,
    ) -> Option<Formula> {
        draft.atoms.push(Atom { slot: var, len, kind, scale: 1.0 });
        draft.measures.push(measure);
        Some(Formula::Atom(draft.atoms.len() - 1))
    }

    /// A hidden family with an equation for each element: its number and length.
    fn atom(&mut self, e: &'a hir::Expr, draft: &Draft, value: Element<'_, 'a>) -> Option<(u32, u32)> {
        self.ranges.clear();
        let scope = self.own_scope(draft.inst);
        let shape = self.shape(e, &scope).ok()?;
        let own: Vec<(usize, u32)> = {
            let axes = self.inst(draft.inst).axes.iter().enumerate();
            axes.filter(|(_, a)| a.pin.is_none()).map(|(k, a)| (k, a.len)).collect()
        };
        let mut axes: Vec<u32> = own.iter().map(|(_, n)| *n).collect();
        axes.extend_from_slice(&shape);
        self.added += 1;
        let name = format!("{}{}", flat::MARGIN, self.added);
        let var = self
            .push_family(flat::Var {
                path: vec![Segment { name, axes: axes.clone() }],
                len: 0,
                role: flat::Role::Unknown,
                declared: Declared::Variable,
                kind: Kind::Real,
                value: Vec::new(),
                guess: Vec::new(),
                fixed: false,
                unit: DisplayUnit::default(),
                si_unit: String::new(),
                dimension: None,
                quantity: None,
                description: None,
                range: None,
                structural: false,
                span: e.span,
            })
            .ok()?;
        self.homes.push(None);
        let errors = self.diags.error_count();
        self.unit(draft.inst, &mut |s, scope| {
            let depth = scope.at.len();
            let mut at = scope.at.to_vec();
            s.nest(&shape, &mut at, &mut |s, at| {
                let x = value(s, scope, &at[depth..])?;
                let mut element = Affine::constant(0);
                let subs = own.iter().map(|(k, _)| &at[*k]).chain(&at[depth..]);
                for (sub, n) in subs.zip(&axes) {
                    element.base = element.base * i64::from(*n) + sub.base;
                    element.terms.iter_mut().for_each(|t| t.1 *= i64::from(*n));
                    for (index, factor) in &sub.terms {
                        element = element.plus(*index, *factor);
                    }
                }
                s.emit(Expr::Var(var, element), Expr::NoEvent(Box::new(x)), e.span);
                Ok(())
            })
        });
        let len = self.system.vars.get(twinml_model::ids::VarId::index(var)).map_or(0, |v| v.len);
        (self.diags.error_count() == errors && len > 0).then_some((var.0, len))
    }

    /// The unit in which people see a member, or what an expression says.
    fn unit_of(&self, inst: InstId, e: &hir::Expr) -> Option<DisplayUnit> {
        let ExprKind::Member(r) = &e.kind else { return None };
        let (last, parts) = r.steps.split_last()?;
        let mut at = inst;
        for p in parts {
            match self.inst(at).members.get(&p.name)? {
                Slot::Twin { parts, .. } => at = *parts.first()?,
                _ => return None,
            }
        }
        match &self.inst(at).class.members.get(&last.name)?.kind {
            MemberKind::Var(d) => Some(d.unit.clone()),
            _ => None,
        }
    }
}

fn not(f: Formula) -> Formula {
    Formula::Not(Box::new(f))
}

fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::Real(_) | Type::Int)
}

/// Whether something in it is not computed by equations: aggregates, events, what behaviour keeps.
fn opaque(e: &hir::Expr) -> bool {
    let mut found = false;
    e.visit(&mut |e| {
        found |= matches!(e.kind, ExprKind::BehaviorOnly | ExprKind::Behavior(_) | ExprKind::Str(_))
    });
    found
}

/// Units and elements. None where units are mixed and nothing says how they compare.
fn finish(formula: Formula, draft: Draft, scale: Option<f64>, claim: bool) -> Option<Judged> {
    let Draft { mut atoms, measures, .. } = draft;
    let elements = atoms.iter().map(|a| a.len).max().unwrap_or(1);
    if atoms.iter().any(|a| elements % a.len != 0) {
        return None;
    }
    let margins: Vec<&Measure> = measures.iter().flatten().collect();
    let mixed = margins.windows(2).any(|w| w[0].dimension != w[1].dimension);
    let unit = match margins.first() {
        Some(m) if !mixed && scale.is_none() => m.unit.clone(),
        _ => (String::new(), 1.0),
    };
    if mixed || scale.is_some() {
        for (atom, measure) in atoms.iter_mut().zip(&measures) {
            let Some(m) = measure else { continue };
            atom.scale = scale.map(f64::abs).or(m.nominal).filter(|s| *s > 0.0 && s.is_finite())?;
        }
    }
    Some(Judged { formula, atoms, elements, unit, claim, refuted: false })
}
