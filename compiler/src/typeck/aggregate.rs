//! Aggregates: what a quantity comes to over a run.

use std::rc::Rc;

use twinml_model::dimension::Dimension;
use twinml_model::requirement::Measure;

use super::assign::Target;
use super::ty::{Lit, Temp, Ty, Val, is_number};
use super::words::article;
use super::{Checker, Cx, Mode};
use crate::ast::{Arg, ExprKind as A};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{Aggregate, Expr, ExprKind, Type, Whole};
use crate::source::Span;

impl<'a> Checker<'a, '_> {
    /// `f(e over run)`
    pub(super) fn aggregate(
        &mut self,
        cx: &mut Cx<'a>,
        name: &str,
        args: &[&'a Arg],
        span: Span,
    ) -> Option<Val> {
        if cx.mode != Mode::Constraint {
            return self.misplaced(span, "an aggregate over a run", "it stands in `constraints`");
        }
        let [first, rest @ ..] = args else { return None };
        let A::Over { expr, window } = &first.value.kind else {
            return self.misplaced(span, "this aggregate", "it takes `e over run`");
        };
        let mut share = None;
        for (k, a) in rest.iter().enumerate() {
            let v = self.expr(cx, &a.value)?;
            if name != "quantile" || k > 0 {
                let message = format!("`{name}` takes one quantity over the run");
                self.say(Diagnostic::new(codes::ARGUMENT_COUNT, a.span, message));
                return None;
            }
            let t = Target { name: "the share of time", span: None };
            let v = self.fits(v, &Ty::real(Dimension::ONE), t)?;
            if super::constant::number(&v.e).is_some_and(|p| !(0.0..=1.0).contains(&p)) {
                let d = Diagnostic::new(codes::OUT_OF_RANGE, a.span, "this is no share of time");
                self.say(d.here("a share is between 0 and 1"));
                return None;
            }
            share = Some(v.e);
        }
        let window = match window {
            Some(w) => Some(self.window(cx, &w.0, &w.1)?),
            None => None,
        };
        let v = self.expr(cx, expr)?;
        let number = is_number(&v.e.ty);
        let truth = v.e.ty == Type::Bool;
        let one = Type::Real(Some(Dimension::ONE));
        let ty = match name {
            "mean" | "min" | "max" | "sd" | "first" | "last" | "quantile" if number => v.e.ty.clone(),
            "first" | "last" => v.e.ty.clone(),
            "integral" if number => Type::Real(v.dimension().and_then(|d| d.checked_mul(&Dimension::TIME))),
            "integral" if truth => Type::Real(Some(Dimension::TIME)),
            "count" if truth => Type::Int,
            "fraction" | "mean" if truth => one,
            "first_time" if truth => Type::Real(Some(Dimension::TIME)),
            "mean" | "min" | "max" | "sd" | "quantile" | "integral" | "count" | "fraction" | "first_time" => {
                let what = self.describe_val(&v);
                let wants = if matches!(name, "count" | "fraction" | "first_time") {
                    "a truth value"
                } else {
                    "a number"
                };
                let d = Diagnostic::new(
                    codes::BAD_OPERANDS,
                    expr.span,
                    format!("`{name}` over a run needs {wants}"),
                );
                self.say(d.here(format!("this is {} {what}", article(&what))));
                return None;
            }
            _ => {
                const KNOWN: [&str; 11] = [
                    "mean",
                    "min",
                    "max",
                    "sd",
                    "integral",
                    "count",
                    "fraction",
                    "first",
                    "last",
                    "quantile",
                    "first_time",
                ];
                let mut d = Diagnostic::new(
                    codes::UNKNOWN_FUNCTION,
                    span,
                    format!("`{name}` is no aggregate over a run"),
                );
                d.help = did_you_mean(name, KNOWN);
                self.say(d);
                return None;
            }
        };
        let temp = match (name, v.temp) {
            ("mean" | "min" | "max" | "first" | "last" | "quantile", t) => t,
            ("sd", Temp::Point) => Temp::Difference,
            _ => Temp::Plain,
        };
        let of = match (name, share) {
            ("quantile", Some(p)) => Whole::Quantile(p),
            ("quantile", None) => {
                let message = "a quantile needs a share of time";
                let d = Diagnostic::new(codes::ARGUMENT_COUNT, span, message);
                self.say(d.help("as in `quantile(0.95)(x over run)` or `quantile(x over run, 0.95)`"));
                return None;
            }
            ("min", _) => Whole::Measure(Measure::Min),
            ("max", _) => Whole::Measure(Measure::Max),
            ("sd", _) => Whole::Measure(Measure::Sd),
            ("integral", _) => Whole::Measure(Measure::Integral),
            ("count", _) => Whole::Measure(Measure::Count),
            ("fraction", _) => Whole::Measure(Measure::Fraction),
            ("first", _) => Whole::Measure(Measure::First),
            ("last", _) => Whole::Measure(Measure::Last),
            ("first_time", _) => Whole::Measure(Measure::FirstTime),
            _ => Whole::Measure(Measure::Mean),
        };
        let out = self.over_run(v, of, window, span)?;
        Some(Val { temp, e: Expr { ty, ..out.e }, ..Val::opaque(Type::Any, span) })
    }

    /// An aggregate of a value, with the value's type.
    pub(super) fn over_run(
        &mut self,
        v: Val,
        of: Whole,
        window: Option<(Expr, Expr)>,
        span: Span,
    ) -> Option<Val> {
        let mut inner = None;
        v.e.visit(&mut |e| {
            if matches!(e.kind, ExprKind::Aggregate(_) | ExprKind::Temporal(_)) {
                inner.get_or_insert(e.span);
            }
        });
        if let Some(at) = inner {
            let d =
                Diagnostic::new(codes::AGGREGATE_NESTED, at, "this has no value at an instant of its own")
                    .label(span, "the aggregate looks at one quantity or condition, instant by instant");
            self.say(d.help("write two requirements, or a state with an equation"));
            return None;
        }
        let plain = is_number(&v.e.ty) || v.e.ty == Type::Bool || matches!(v.e.ty, Type::Enum(_));
        if !plain || v.e.kind == ExprKind::BehaviorOnly {
            let Expr { ty, shape, .. } = v.e;
            return Some(Val { temp: v.temp, ..Val::opaque(ty, span).shaped(shape) });
        }
        let (ty, shape) = (v.e.ty.clone(), v.e.shape.clone());
        let kind = ExprKind::Aggregate(Rc::new(Aggregate { of, arg: v.e, window }));
        Some(Val { e: Expr { kind, ty, shape, span }, lit: Lit::No, ..v })
    }
}
