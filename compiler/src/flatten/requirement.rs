//! Requirements: each comparison becomes a hidden family that holds its signed margin, each other truth value one
//! that holds 0 or 1; the formula over them is plain data.

use super::Flattener;
use super::expr::bin;
use super::scenario::plain;
use super::scope::{InstId, R, Scope, Slot};
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, BinOp, Expr};
use crate::hir::{self, CmpOp, ExprKind, MemberKind, TemporalOp, Type};
use crate::source::Span;
use twinml_model::dimension::Dimension;
use twinml_model::requirement::{Atom, AtomKind, CONFIDENCE, Claim, Formula, Judged, Side};
use twinml_model::schema::{DisplayUnit, Kind, Segment};

/// The unit of a margin.
#[derive(Clone, PartialEq)]
struct Measure {
    /// The comparison.
    span: Span,
    dimension: Option<Dimension>,
    unit: (String, f64),
    /// Magnitude of the right side, where it is a constant.
    nominal: Option<f64>,
}

/// Gives the value of one element of an atom.
pub(super) type Element<'f, 'a> = &'f mut dyn FnMut(&mut Flattener<'a>, &Scope<'a>, &[Affine]) -> R<Expr>;

/// What has been found of one requirement.
pub(super) struct Draft {
    inst: InstId,
    pub(super) atoms: Vec<Atom>,
    /// Of each margin.
    measures: Vec<Option<Measure>>,
    /// Inside `… at end`.
    at_end: bool,
    /// The units in which its numbers are written, by place.
    units: Vec<(Span, Dimension, DisplayUnit)>,
}

impl Draft {
    pub(super) fn new(inst: InstId) -> Draft {
        Draft { inst, atoms: Vec::new(), measures: Vec::new(), at_end: false, units: Vec::new() }
    }
}

impl<'a> Flattener<'a> {
    /// The formulas of all instances.
    pub(super) fn requirement_formulas(&mut self) {
        self.may_add = true;
        let mut number = 0;
        for k in 0..self.insts.len() {
            let id = InstId(k as u32);
            let class = self.inst(id).class;
            for (name, _) in class.demands() {
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
        self.check_formulas(number);
        self.kpi_formulas();
    }

    /// Conditions that the scenario and its branches expect, numbered behind the requirements of all twins.
    fn check_formulas(&mut self, first: usize) {
        let Some(scenario) = self.scenario() else { return };
        let own = scenario.checks.iter().map(|c| (None, c));
        let branches = scenario
            .branches
            .iter()
            .flat_map(|b| b.checks.iter().map(move |c| (Some(b.name.to_string()), c)));
        for (k, (branch, c)) in own.chain(branches).enumerate() {
            if !opaque(&c.requirement.formula)
                && let Some(mut judged) = self.judged(InstId(0), &c.requirement)
            {
                judged.refuted = c.negated;
                self.experiment.judged.push((first + k, judged));
            }
            self.experiment.checks.push((first + k, branch));
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
        self.attempt(&mut |s| {
            let mut draft = Draft { units: r.units.clone(), ..Draft::new(inst) };
            let formula = s.stl(&r.formula, &mut draft)?;
            let scale = match &r.scale {
                Some(e) => Some(s.scale_of(inst, e)?),
                None => None,
            };
            let claim = match &r.claim {
                None => None,
                Some(c) => Some(Claim {
                    at_least: c.at_least,
                    probability: s.known(inst, &c.probability, "a probability that is claimed")?,
                    confidence: match &c.confidence {
                        Some(e) => s.known(inst, e, "the confidence of a claim")?,
                        None => CONFIDENCE,
                    },
                }),
            };
            s.put_together(formula, draft, scale, claim)
        })
    }

    /// Undoes what leads to nothing: a requirement that this version cannot judge stops no run. What is wrong with
    /// aggregates, scales and windows is said all the same.
    pub(super) fn attempt<T>(&mut self, body: &mut dyn FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let (mark, said, measured) = (self.mark(), self.diags.len(), self.experiment.aggregates.len());
        let found = body(self);
        if found.is_none() {
            self.rollback(mark);
            self.experiment.aggregates.truncate(measured);
            self.aggregates.retain(|(.., var)| var.index() < mark.vars);
            let wrong = [
                codes::AGGREGATE_MIXED,
                codes::AGGREGATE_NESTED,
                codes::NO_SCALE,
                codes::NOT_CONSTANT,
                codes::OUT_OF_RANGE,
            ];
            let kept: Vec<_> =
                self.diags.iter().skip(said).filter(|d| wrong.contains(&d.code)).cloned().collect();
            self.diags.truncate(said);
            kept.into_iter().for_each(|d| self.diags.push(d));
        }
        found
    }

    /// A number that must be known now; an error says where `what` is not.
    pub(super) fn known(&mut self, inst: InstId, e: &'a hir::Expr, what: &str) -> Option<f64> {
        let found = self.setting_of(inst, e);
        if found.is_none() {
            let message = format!("{what} is known before the run");
            let d = Diagnostic::new(codes::NOT_CONSTANT, e.span, message);
            self.diags.push(d.here("not a constant or a parameter"));
        }
        found
    }

    /// Both ends of a window.
    pub(super) fn window_of(
        &mut self,
        inst: InstId,
        (from, to): (&'a hir::Expr, &'a hir::Expr),
    ) -> Option<(f64, f64)> {
        let what = "a window of time";
        let window = (self.known(inst, from, what)?, self.known(inst, to, what)?);
        if window.0 >= 0.0 && window.0 <= window.1 && window.1.is_finite() {
            return Some(window);
        }
        let message = format!("this window is from {} s to {} s", window.0, window.1);
        let d = Diagnostic::new(codes::OUT_OF_RANGE, from.span.to(to.span), message);
        self.diags.push(d.help("a window is `[from, to]` with 0 <= from <= to"));
        None
    }

    fn scale_of(&mut self, inst: InstId, e: &'a hir::Expr) -> Option<f64> {
        let scale = self.known(inst, e, "the scale of a requirement")?;
        if scale > 0.0 && scale.is_finite() {
            return Some(scale);
        }
        let d = Diagnostic::new(codes::OUT_OF_RANGE, e.span, format!("{scale} measures nothing"));
        self.diags.push(d.help("a scale is greater than zero: what counts as a large difference"));
        None
    }

    /// A number known now, in an instance's scope.
    pub(super) fn setting_of(&mut self, inst: InstId, e: &'a hir::Expr) -> Option<f64> {
        self.ranges.clear();
        let scope = self.own_scope(inst);
        self.real(e, &scope).ok()
    }

    pub(super) fn stl(&mut self, e: &'a hir::Expr, draft: &mut Draft) -> Option<Formula> {
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
            ExprKind::Aggregate(a) if a.of == hir::Whole::AtEnd && a.arg.ty == Type::Bool => {
                let outer = std::mem::replace(&mut draft.at_end, true);
                let found = self.stl(&a.arg, draft);
                draft.at_end = outer;
                found?
            }
            ExprKind::Temporal(t) => {
                let window = match &t.window {
                    None => None,
                    Some((a, b)) => Some(self.window_of(draft.inst, (a, b))?),
                };
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
        // Of the right side or else the left, the member's unit or that of a number in it; points on a scale are apart
        // by differences.
        let written = |e: &hir::Expr| {
            let here = |s: &Span| s.file == e.span.file && e.span.lo <= s.lo && s.hi <= e.span.hi;
            let found = draft.units.iter().find(|(s, d, u)| {
                here(s) && u.offset == 0.0 && dimension.as_ref().is_none_or(|own| own == d)
            });
            found.map(|(.., u)| u.clone())
        };
        let shown =
            |e: &hir::Expr| self.unit_of(draft.inst, e).filter(|u| u.offset == 0.0).or_else(|| written(e));
        let unit = shown(b).or_else(|| shown(a));
        let unit = unit.map(|u| (u.symbol, u.scale)).unwrap_or_else(|| (customary(dimension.as_ref()), 1.0));
        // A nominal value is a scale and chooses nothing: the parameters in it may still be drawn.
        let structural = self.structural.clone();
        let nominal = self.setting_of(draft.inst, b).map(f64::abs);
        self.structural = structural;
        let strict = matches!(op, CmpOp::Lt | CmpOp::Gt);
        let late = self.late(e, draft)?;
        let mut side = None;
        let var = self.atom(e, draft, &mut |s, scope, idx| {
            let x = s.element(large, scope, s.fit(large, idx))?;
            let y = s.element(small, scope, s.fit(small, idx))?;
            side = side.or_else(|| s.side(&x, &y, op));
            Ok(bin(BinOp::Sub, x, y))
        })?;
        self.keep(
            var,
            AtomKind::Margin { strict },
            late,
            Some(Measure { span: e.span, dimension, unit, nominal }),
            draft,
        )?;
        if let Some(atom) = draft.atoms.last_mut() {
            atom.side = side;
        }
        Some(Formula::Atom(draft.atoms.len() - 1))
    }

    /// The quantity that a comparison is about: what changes before what does not, the left side before the right one.
    fn side(&self, large: &Expr, small: &Expr, op: CmpOp) -> Option<Side> {
        let sides = [(large, true), (small, false)];
        let first = usize::from(matches!(op, CmpOp::Lt | CmpOp::Le));
        let variable = |(e, greater): (&Expr, bool)| match e {
            Expr::Var(v, _) => {
                let role = self.system.vars.get(v.index())?.role;
                Some((role == flat::Role::Parameter, Side { var: v.0, greater }))
            }
            _ => None,
        };
        let found = [sides[first], sides[1 - first]].into_iter().filter_map(variable);
        found.min_by_key(|(fixed, _)| *fixed).map(|(_, side)| side)
    }

    fn truth_atom(&mut self, e: &'a hir::Expr, draft: &mut Draft) -> Option<Formula> {
        let late = self.late(e, draft)?;
        let var = self.atom(e, draft, &mut |s, scope, idx| {
            let x = s.element(e, scope, s.fit(e, idx))?;
            Ok(Expr::BoolToNum(Box::new(x)))
        })?;
        self.keep(var, AtomKind::Truth, late, None, draft)
    }

    fn keep(
        &mut self,
        (var, len): (u32, u32),
        kind: AtomKind,
        late: bool,
        measure: Option<Measure>,
        draft: &mut Draft,
    ) -> Option<Formula> {
        draft.atoms.push(Atom { slot: var, len, kind, scale: 1.0, late, side: None });
        draft.measures.push(measure);
        Some(Formula::Atom(draft.atoms.len() - 1))
    }

    /// Whether it is known only where the run has ended; its aggregates are made. None where an aggregate stands
    /// beside what changes.
    fn late(&mut self, e: &'a hir::Expr, draft: &Draft) -> Option<bool> {
        let whole = self.aggregates_of(draft.inst, e, draft.at_end)?;
        Some(whole || draft.at_end)
    }

    /// The axes of an instance family that are its own, by number and length.
    pub(super) fn free_axes(&self, inst: InstId) -> Vec<(usize, u32)> {
        let axes = self.inst(inst).axes.iter().enumerate();
        axes.filter(|(_, a)| a.pin.is_none()).map(|(k, a)| (k, a.len)).collect()
    }

    /// A hidden family with an equation for each element: its number and length.
    fn atom(&mut self, e: &'a hir::Expr, draft: &Draft, value: Element<'_, 'a>) -> Option<(u32, u32)> {
        self.computed_family(draft.inst, e, value)
    }

    /// As [`Flattener::atom`], for an instance.
    pub(super) fn computed_family(
        &mut self,
        inst: InstId,
        e: &'a hir::Expr,
        value: Element<'_, 'a>,
    ) -> Option<(u32, u32)> {
        self.ranges.clear();
        let scope = self.own_scope(inst);
        let shape = self.shape(e, &scope).ok()?;
        let own = self.free_axes(inst);
        let mut axes: Vec<u32> = own.iter().map(|(_, n)| *n).collect();
        axes.extend_from_slice(&shape);
        self.added += 1;
        let name = format!("{}{}", flat::MARGIN, self.added);
        let var = self
            .push_family(flat::Var::plain(
                vec![Segment { name, axes: axes.clone() }],
                0,
                flat::Role::Unknown,
                Kind::Real,
                e.span,
            ))
            .ok()?;
        self.homes.push(None);
        let errors = self.diags.error_count();
        self.unit(inst, &mut |s, scope| {
            let depth = scope.at.len();
            let mut at = scope.at.to_vec();
            s.nest(&shape, &mut at, &mut |s, at| {
                let x = value(s, scope, &at[depth..])?;
                let subs: Vec<&Affine> = own.iter().map(|(k, _)| &at[*k]).chain(&at[depth..]).collect();
                let element = flat_element(&subs, &axes);
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

    /// Units and elements. None where units are mixed and nothing says how they compare.
    fn put_together(
        &mut self,
        formula: Formula,
        draft: Draft,
        scale: Option<f64>,
        claim: Option<Claim>,
    ) -> Option<Judged> {
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
                // Plain numbers measure themselves.
                let plain = m.dimension.as_ref().is_none_or(Dimension::is_one).then_some(1.0);
                let nominal = m.nominal.filter(|s| *s > 0.0 && s.is_finite());
                let Some(scale) = scale.or(nominal).or(plain) else {
                    let mut d = Diagnostic::new(
                        codes::NO_SCALE,
                        m.span,
                        "comparisons in different units need a scale, and this one has none",
                    )
                    .here("its right side is no measure: zero, or not known before the run");
                    if let Some(other) = margins.iter().find(|o| o.dimension != m.dimension) {
                        d = d.label(other.span, "in another unit");
                    }
                    let help = "give the requirement a scale, as in `always(…), scale: 2 m`, or write two requirements";
                    self.diags.push(d.help(help));
                    return None;
                };
                atom.scale = scale;
            }
        }
        Some(Judged { formula, atoms, elements, unit, claim, refuted: false })
    }
}

/// The unit that people use for a dimension; none for plain numbers.
fn customary(d: Option<&Dimension>) -> String {
    d.filter(|d| !d.is_one()).map(Dimension::customary).unwrap_or_default()
}

fn not(f: Formula) -> Formula {
    Formula::Not(Box::new(f))
}

fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::Real(_) | Type::Int)
}

/// The number of an element from its subscripts, row-major.
pub(super) fn flat_element(subs: &[&Affine], axes: &[u32]) -> Affine {
    let mut element = Affine::constant(0);
    for (sub, n) in subs.iter().zip(axes) {
        element.base = element.base * i64::from(*n) + sub.base;
        element.terms.iter_mut().for_each(|t| t.1 *= i64::from(*n));
        for (index, factor) in &sub.terms {
            element = element.plus(*index, *factor);
        }
    }
    element
}

/// Whether something in it is computed neither by equations nor by behaviour over numbers.
pub(super) fn opaque(e: &hir::Expr) -> bool {
    let mut found = false;
    e.visit(&mut |e| found |= matches!(e.kind, ExprKind::BehaviorOnly | ExprKind::Str(_)));
    found
}
