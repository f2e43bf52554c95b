//! What a Monte Carlo job draws: the distribution of each element, its arguments as formulas of parameters, and
//! correlations.

use super::Flattener;
use super::equation::visit;
use super::scope::{DrawBinding, InstId, Local, Locals, R, Scope, Select, Slot, VarSlot};
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, BinOp, Expr, HIDDEN, Piece, UnOp};
use crate::hir::{self, Section};
use crate::schedule::numbered;
use crate::source::Span;
use crate::structural::sets;
use std::rc::Rc;
use std::sync::Arc;
use twinml_model::draws::Law;
use twinml_model::ids::VarId;
use twinml_model::schema::Segment;

impl<'a> Flattener<'a> {
    /// The draw of the element at these subscripts, where it has a distribution; `nominal` is its value.
    pub(super) fn draw_element(
        &mut self,
        slot: &Rc<VarSlot<'a>>,
        var: VarId,
        at: &[Affine],
        element: &Affine,
        nominal: &Expr,
    ) -> R<()> {
        if slot.laws.is_empty() {
            return Ok(());
        }
        let mut moved = false;
        let mut found = None;
        for b in slot.laws.iter().rev() {
            if !self.selects(b.scope, &b.select, at, slot.span)? {
                continue;
            }
            match b.law {
                // A plain value moves what is relative to it, and drops the rest.
                None => moved = true,
                Some(law) => {
                    found = (law.relative || !moved).then_some((law, b));
                    break;
                }
            }
        }
        let Some((d, b)) = found else { return Ok(()) };
        let scope = self.scope_of(b, at);
        let law = self.law(d, &scope, nominal)?;
        let mut fixed = !self.over_more(nominal) || slot.decl.section != Section::States;
        law.each_arg(&mut |a| fixed &= !self.over_more(a));
        if !fixed {
            let d = Diagnostic::new(
                codes::BAD_DISTRIBUTION,
                d.span,
                "what is drawn here depends on more than parameters",
            )
            .note("samples are drawn before a run begins, when only parameters are known");
            return Err(self.fail(d));
        }
        let piece = self.piece(element.clone(), Expr::Num(0.0), d.span);
        let law = self.renumbered(&law, element);
        self.system.draws.push(flat::Draw {
            loops: piece.loops,
            var,
            element: piece.element,
            into: None,
            law,
            span: d.span,
        });
        Ok(())
    }

    /// A law whose arguments use the indices of the loops as they are numbered in a piece.
    fn renumbered(&self, law: &Law<Expr>, element: &Affine) -> Law<Expr> {
        let piece = |e: &Expr| Some(self.piece(element.clone(), e.clone(), Span::default()).expr);
        // `map` gives none only where the closure does.
        law.map(&mut |e| piece(e)).unwrap_or_else(|| law.clone())
    }

    /// Whether something else than parameters is read.
    fn over_more(&self, e: &Expr) -> bool {
        let mut more = false;
        visit(e, &mut |x| match x {
            Expr::Time | Expr::Der(..) | Expr::Delay(..) => more = true,
            Expr::Var(v, _) | Expr::VarAt { var: v, .. } | Expr::Start(v, _) => {
                more |= self.system.vars[v.index()].role != flat::Role::Parameter;
            }
            _ => {}
        });
        more
    }

    /// The scope in which a distribution's arguments are read.
    fn scope_of(&self, b: &DrawBinding<'a>, at: &[Affine]) -> Scope<'a> {
        let prefix = self.inst(b.scope).axes.len().min(at.len());
        let mut locals = Locals::default();
        let mut names = b.locals.iter();
        for (s, a) in b.select.iter().zip(&at[prefix..]) {
            if !matches!(s, Select::At(_))
                && let Some(&local) = names.next()
            {
                locals = locals.with(local, Local::Index(a.clone()));
            }
        }
        Scope { inst: b.scope, at: at[..prefix].into(), locals }
    }

    fn law(&mut self, d: &'a hir::Distribution, scope: &Scope<'a>, nominal: &Expr) -> R<Law<Expr>> {
        if let Some(samples) = &d.samples {
            return Ok(Law::Samples(self.samples(samples, d.span)?.into()));
        }
        if d.relative {
            let Some(share) = d.args.first() else {
                return Err(self.internal(d.span, "a spread that is not there"));
            };
            let share = self.element(share, scope, &[])?;
            let size = match nominal {
                Expr::Num(x) => Expr::Num(x.abs()),
                e => Expr::Un(UnOp::Abs, Box::new(e.clone())),
            };
            let sd = match (&share, &size) {
                (Expr::Num(a), Expr::Num(b)) => Expr::Num(a * b),
                _ => Expr::Bin(BinOp::Mul, Box::new(share), Box::new(size)),
            };
            return Ok(Law::Named(Arc::from(&*d.name), vec![nominal.clone(), sd]));
        }
        let mut parts = d.parts.iter().map(|p| self.law(p, scope, nominal)).collect::<R<Vec<_>>>()?;
        Ok(match &*d.name {
            "truncated" => {
                let ends = d.args.iter().map(|a| self.element(a, scope, &[])).collect::<R<Vec<_>>>()?;
                match (parts.pop(), &ends[..]) {
                    (Some(of), [lo, hi]) => Law::Truncated(Box::new(of), lo.clone(), hi.clone()),
                    _ => return Err(self.internal(d.span, "a distribution cut out of nothing")),
                }
            }
            "mixture" => {
                let weights = self.listed(d.args.first(), scope)?;
                self.weighs(d.span, parts.len(), weights.len())?;
                Law::Mixture(parts, weights)
            }
            "discrete" => {
                let values = self.listed(d.args.first(), scope)?;
                let weights = self.listed(d.args.get(1), scope)?;
                self.weighs(d.span, values.len(), weights.len())?;
                Law::Discrete(values, weights)
            }
            name => {
                let args = d.args.iter().map(|a| self.element(a, scope, &[])).collect::<R<Vec<_>>>()?;
                Law::Named(Arc::from(name), args)
            }
        })
    }

    fn weighs(&mut self, span: Span, things: usize, weights: usize) -> R<()> {
        if things > 0 && (weights == 0 || weights == things) {
            return Ok(());
        }
        let message = format!("{things} entries and {weights} weights");
        let d = Diagnostic::new(codes::BAD_DISTRIBUTION, span, message);
        Err(self.fail(d.help("give each entry one weight, and at least one entry")))
    }

    /// The elements of a list.
    fn listed(&mut self, e: Option<&'a hir::Expr>, scope: &Scope<'a>) -> R<Vec<Expr>> {
        let Some(e) = e else { return Ok(Vec::new()) };
        let shape = self.shape(e, scope)?;
        let [n] = shape[..] else {
            let d = Diagnostic::new(codes::BAD_DISTRIBUTION, e.span, "a list is needed here");
            return Err(self.fail(d.help("as in `discrete([1, 2, 3], weights: [0.2, 0.5, 0.3])`")));
        };
        (0..n).map(|k| self.element(e, scope, &[Affine::constant(k.into())])).collect()
    }

    /// Where the value that is drawn cannot be written to the quantity's own slot, because a formula gives it or it is
    /// no parameter, a hidden parameter holds it.
    pub(super) fn hide_drawn(&mut self, var: VarId, pieces: &mut [Piece], from: usize) {
        if self.system.draws.len() == from {
            return;
        }
        let is_literal = |p: &Piece| match &p.expr {
            Expr::Num(_) | Expr::Bool(_) => true,
            Expr::Un(UnOp::Neg, a) => matches!(**a, Expr::Num(_)),
            _ => false,
        };
        let own = &self.system.vars[var.index()];
        if own.role == flat::Role::Parameter && pieces.iter().all(is_literal) {
            return;
        }
        let mut draws = self.system.draws.split_off(from);
        // A value that an equation takes over is no longer drawn.
        draws.retain(|d| pieces.iter().any(|p| p.loops == d.loops && p.element == d.element));
        for d in &mut draws {
            let Some(p) = pieces.iter_mut().find(|p| p.loops == d.loops && p.element == d.element) else {
                continue;
            };
            let own = &self.system.vars[var.index()];
            let len = sets::points(&d.loops).clamp(0, i64::from(u32::MAX)) as u32;
            let at = numbered(&d.loops);
            self.added += 1;
            let nominal = Piece { element: at.clone(), ..p.clone() };
            let hidden = flat::Var {
                path: vec![Segment {
                    name: format!("{HIDDEN}drawn{}", self.added),
                    axes: if len == 1 { Vec::new() } else { vec![len] },
                }],
                len,
                role: flat::Role::Parameter,
                declared: twinml_model::schema::Role::Parameter,
                value: vec![nominal],
                guess: Vec::new(),
                fixed: true,
                description: None,
                range: None,
                structural: false,
                ..own.clone()
            };
            let Ok(id) = self.push_family(hidden) else { continue };
            self.homes.push(None);
            p.expr = Expr::Var(id, at.clone());
            d.into = Some((id, at));
        }
        self.system.draws.extend(draws);
    }

    /// Correlations of the parameters of all instances.
    pub(super) fn correlations(&mut self) {
        for id in (0..self.insts.len() as u32).map(InstId) {
            let class = self.inst(id).class;
            for c in &class.correlations {
                self.correlation(id, c);
            }
        }
    }

    fn correlation(&mut self, id: InstId, c: &'a hir::Correlation) {
        let member = |s: &Self, name: &hir::Name| match s.inst(id).members.get(name) {
            Some(Slot::Var(slot)) => slot.var.get().map(|v| (slot.clone(), *v)),
            _ => None,
        };
        let (Some((a, a_var)), Some((b, b_var))) = (member(self, &c.a), member(self, &c.b)) else { return };
        let shape = a.shape.get().cloned().unwrap_or_default();
        if b.shape.get().cloned().unwrap_or_default() != shape {
            let message = format!("`{}` and `{}` have different shapes", c.a, c.b);
            self.diags.push(
                Diagnostic::new(codes::BAD_CORRELATION, c.span, message)
                    .note("elements are correlated one with one"),
            );
            return;
        }
        self.unit(id, &mut |s, scope| {
            let value = s.real(&c.value, scope)?;
            if value.is_nan() || value.abs() >= 1.0 {
                let d = Diagnostic::new(
                    codes::BAD_CORRELATION,
                    c.span,
                    format!("{value} is no correlation of two random numbers"),
                );
                return Err(s.fail(d.here("it lies between -1 and 1, both excluded")));
            }
            let mut at = scope.at.to_vec();
            s.nest(&shape, &mut at, &mut |s, at| {
                let (x, y) = (s.slot_element(&a, a_var, at)?, s.slot_element(&b, b_var, at)?);
                // Both elements are renumbered alike.
                let other = s.piece(x.clone(), Expr::Var(b_var, y), c.span);
                let Expr::Var(_, y) = other.expr else { return Ok(()) };
                s.system.correlations.push(flat::Correlation {
                    loops: other.loops,
                    a: (a_var, other.element),
                    b: (b_var, y),
                    value,
                    span: c.span,
                });
                Ok(())
            })
        });
    }

    /// What chooses structure cannot be drawn.
    pub(super) fn judge_draws(&mut self) {
        let mut said: Vec<Span> = Vec::new();
        for d in &self.system.draws {
            let v = &self.system.vars[d.var.index()];
            if !v.structural || said.contains(&d.span) {
                continue;
            }
            said.push(d.span);
            let name = v.path.last().map_or("", |s| s.name.as_str());
            self.diags.push(
                Diagnostic::new(
                    codes::DRAWN_STRUCTURE,
                    d.span,
                    format!("`{name}` chooses the structure of the system"),
                )
                .here("so it cannot be another number in each run")
                .label(v.span, "declared here")
                .note("array sizes, and what stands in a `final` choice, are known before anything is drawn"),
            );
        }
    }
}
