//! Equations: both sides of one type, shape and dimension.

use std::rc::Rc;

use super::expr::Opened;
use super::ty::{Lit, Temp, Val, is_number, shapes_fit, show_shape};
use super::words::article;
use super::{Checker, Cx, Mode};
use crate::ast::{self, EquationKind};
use crate::diag::{Diagnostic, codes};
use crate::hir::{self, ClassId, Equation, ExprKind, Type};
use crate::source::Span;

impl<'a> Checker<'a, '_> {
    pub(super) fn equations(&mut self, id: ClassId, class: &mut hir::Class, s: &'a ast::EquationSection) {
        let mut cx = self.class_cx(id, Mode::Equation);
        for e in &s.equations {
            let list = if s.is_initial { &mut class.initial_equations } else { &mut class.equations };
            // A labelled equation replaces the one of that name that was inherited.
            let replaced = e.label.as_ref().and_then(|l| {
                list.iter()
                    .position(|o| matches!(o, Equation::Equal { label: Some(n), .. } if **n == *l.text))
            });
            let Some(eq) = self.equation(&mut cx, e) else { continue };
            match replaced {
                Some(at) => list[at] = eq,
                None => list.push(eq),
            }
        }
    }

    pub(super) fn equation(&mut self, cx: &mut Cx<'a>, e: &'a ast::Equation) -> Option<Equation> {
        match &e.kind {
            EquationKind::Error => None,
            EquationKind::Equal { left, right } => {
                let (a, b) = self.sides(cx, left, right, e.span)?;
                let label = e.label.as_ref().map(|l| Rc::from(l.as_str()));
                Some(Equation::Equal { label, left: a.e, right: b.e, span: e.span })
            }
            EquationKind::For { vars, iter, cond, body } => {
                let depth = cx.locals.len();
                let opened = self.open_loop(cx, vars, iter);
                let filter = match (&opened, cond) {
                    (Some(_), Some(c)) => Some(self.condition(cx, c)),
                    _ => None,
                };
                let out = match opened {
                    Some(Opened::Range(range, _)) => {
                        let mut inner: Vec<Equation> =
                            body.iter().filter_map(|b| self.equation(cx, b)).collect();
                        if let Some(cond) = filter {
                            let otherwise = Vec::new();
                            inner =
                                vec![Equation::If { cond: cond?.e, then: inner, otherwise, span: e.span }];
                        }
                        Some(Equation::For { range, body: inner, span: e.span })
                    }
                    Some(Opened::Each(..) | Opened::Twins(..)) => {
                        self.misplaced(
                            iter.span,
                            "a loop over a collection",
                            "equations loop over ranges and arrays",
                        );
                        None
                    }
                    None => None,
                };
                cx.locals.truncate(depth);
                out
            }
            EquationKind::If { arms, otherwise } => {
                let mut checked = Vec::new();
                let mut ok = true;
                for (c, body) in arms {
                    let c = self.condition(cx, c);
                    let body: Vec<Equation> = body.iter().filter_map(|b| self.equation(cx, b)).collect();
                    match c {
                        Some(c) => checked.push((c.e, body)),
                        None => ok = false,
                    }
                }
                let mut rest: Vec<Equation> = match otherwise {
                    Some(list) => list.iter().filter_map(|b| self.equation(cx, b)).collect(),
                    None => Vec::new(),
                };
                if !ok {
                    return None;
                }
                while let Some((cond, then)) = checked.pop() {
                    rest = vec![Equation::If { cond, then, otherwise: rest, span: e.span }];
                }
                rest.pop()
            }
        }
    }

    /// Both sides of `left = right`.
    fn sides(
        &mut self,
        cx: &mut Cx<'a>,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        span: Span,
    ) -> Option<(Val, Val)> {
        let (a, b) = (self.expr(cx, left), self.expr(cx, right));
        let (a, b) = (a?, b?);
        if a.is_any() || b.is_any() {
            return Some((a, b));
        }
        let (a, b) = if cx.units_off { (truth_as_number(a, &b), b) } else { (a, b) };
        let b = if cx.units_off { truth_as_number(b, &a) } else { b };
        let numbers = is_number(&a.e.ty) && is_number(&b.e.ty);
        if !numbers && a.e.ty != b.e.ty {
            let (x, y) = (self.describe_val(&a), self.describe_val(&b));
            let d = Diagnostic::new(
                codes::TYPE_MISMATCH,
                span,
                "the sides of this equation are of different types",
            );
            let d = d.label(a.span(), format!("this is {} {x}", article(&x)));
            self.say(d.label(b.span(), format!("this is {} {y}", article(&y))));
            return None;
        }
        let (a, b) = if numbers { self.unify_sides(cx, a, b, span)? } else { (a, b) };
        let (x, y) = (&a.e.shape, &b.e.shape);
        if !(x.is_empty() || y.is_empty() || shapes_fit(x, y))
            || (x.is_empty() && !y.is_empty() && a.lit != Lit::Zero)
        {
            let (sx, sy) = (shape_word(x), shape_word(y));
            let d = Diagnostic::new(codes::SHAPE_MISMATCH, span, format!("{sx} equated with {sy}"));
            self.say(d.label(a.span(), sx).label(b.span(), sy));
            return None;
        }
        Some((a, b))
    }

    fn unify_sides(&mut self, cx: &Cx<'a>, a: Val, b: Val, span: Span) -> Option<(Val, Val)> {
        let (a, b) = self.unify_numbers("=", a, b, span)?;
        match (a.temp, b.temp) {
            (Temp::Point, Temp::Difference) | (Temp::Difference, Temp::Point) => {
                let word =
                    |v: &Val| if v.temp == Temp::Point { "a point on the scale" } else { "a difference" };
                let d = Diagnostic::new(
                    codes::TEMPERATURE_POINT,
                    span,
                    "a temperature equated with a difference of temperatures",
                );
                let (x, y) = (word(&a), word(&b));
                let d = d.label(a.span(), x).label(b.span(), y);
                let literal = a.lit == Lit::Scale || b.lit == Lit::Scale;
                self.say(d.help(if literal {
                    "for a difference write `K`"
                } else {
                    "add or subtract a reference temperature"
                }));
                return None;
            }
            _ => {}
        }
        self.nature_mismatch(&a, &b, span);
        if b.e.ty == Type::Real(None) && a.e.ty == Type::Int && !cx.units_off {
            return Some((a, b));
        }
        if a.e.ty == Type::Int
            && b.e.ty != Type::Int
            && a.lit == Lit::No
            && matches!(a.e.kind, ExprKind::Member(_))
        {
            let what = self.describe_val(&b);
            let d = Diagnostic::new(codes::TYPE_MISMATCH, span, "a whole number equated with a real one")
                .label(a.span(), "a whole number")
                .label(b.span(), what)
                .help("make it whole with `floor(…)`, `round(…)` or `div(a, b)`");
            self.say(d);
            return None;
        }
        Some((a, b))
    }
}

fn shape_word(s: &[hir::Extent]) -> String {
    if s.is_empty() { "a scalar".into() } else { format!("an array of shape {}", show_shape(s)) }
}

/// Textbook models count a truth value as 0 or 1 where the other side is a number.
fn truth_as_number(v: Val, other: &Val) -> Val {
    if v.e.ty != Type::Bool || !is_number(&other.e.ty) {
        return v;
    }
    let (span, shape) = (v.e.span, v.e.shape.clone());
    let kind = ExprKind::Call(hir::Builtin::ToReal, vec![v.e]);
    Val::of(hir::Expr { kind, ty: Type::Real(None), shape, span })
}
