//! What a scenario expects: requirements of its twin, values, conditions of its own.

use std::rc::Rc;

use twinml_model::dimension::Dimension;

use super::assign::Target;
use super::class::Member;
use super::{Checker, Cx};
use crate::ast;
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{self, BinOp, ClassId, CmpOp, Expr, ExprKind, Type};

impl<'a> Checker<'a, '_> {
    /// `expect …`: a requirement by its name, a value, or a condition of the scenario's own.
    pub(super) fn expectation(
        &mut self,
        cx: &mut Cx<'a>,
        class: ClassId,
        e: &'a ast::Expectation,
        out: &mut hir::Scenario,
    ) {
        if let Some((value, within)) = &e.equals {
            self.literal_units.clear();
            let found = self.expected_value(cx, &e.expr, value, within.as_ref());
            let units = std::mem::take(&mut self.literal_units);
            out.checks.extend(found.map(|f| check(f, units, e)));
            return;
        }
        let Some(path) = e.expr.as_path() else {
            self.literal_units.clear();
            let found = self.condition(cx, &e.expr);
            let units = std::mem::take(&mut self.literal_units);
            out.checks.extend(found.map(|f| check(f.e, units, e)));
            return;
        };
        if self.find_requirement(class, &path) {
            out.expects.push((path.dotted(), e.negated, e.span));
        }
    }

    /// `v at end = 5 V within 50 mV`: the two are no further apart.
    fn expected_value(
        &mut self,
        cx: &mut Cx<'a>,
        what: &'a ast::Expr,
        value: &'a ast::Expr,
        within: Option<&'a ast::Expr>,
    ) -> Option<Expr> {
        let v = self.expr(cx, what)?;
        let ty = v.to_ty();
        let t = Target { name: "the expected value", span: None };
        let wanted = self.value_for(cx, value, &ty, t)?;
        let span = what.span.to(within.unwrap_or(value).span);
        let (shape, number) = (v.e.shape.clone(), super::ty::is_number(&v.e.ty));
        let truth = |kind| Expr { kind, ty: Type::Bool, shape: shape.clone(), span };
        if !number || (v.e.ty == Type::Int && within.is_none()) {
            let same = BinOp::Cmp(CmpOp::Eq);
            return Some(truth(ExprKind::Binary(same, Box::new(v.e), Box::new(wanted))));
        }
        let mut apart = ty;
        if apart.temp == super::ty::Temp::Point {
            apart.temp = super::ty::Temp::Difference;
        }
        let within = match within {
            Some(w) => {
                let w = self.value_for(cx, w, &apart, t)?;
                if super::constant::number(&w).is_some_and(|x| x < 0.0) {
                    let d = Diagnostic::new(codes::BAD_SETTING, w.span, "nothing is within less than zero");
                    self.say(d.help("a distance is 0 or more"));
                    return None;
                }
                w
            }
            None => Expr { kind: ExprKind::Real(0.0), ty: v.e.ty.clone(), shape: Vec::new(), span },
        };
        let own = |kind| Expr { kind, ty: v.e.ty.clone(), shape: shape.clone(), span: value.span };
        let off = own(ExprKind::Binary(BinOp::Sub, Box::new(v.e.clone()), Box::new(wanted)));
        let off = own(ExprKind::Call(hir::Builtin::Abs, vec![off]));
        let most = BinOp::Cmp(CmpOp::Le);
        Some(truth(ExprKind::Binary(most, Box::new(off), Box::new(within))))
    }

    /// Whether a path names a requirement of the twin or of a part; says so if not.
    fn find_requirement(&mut self, class: ClassId, path: &ast::Path) -> bool {
        let mut at = class;
        let Some((last, parts)) = path.names.split_last() else { return false };
        for p in parts {
            if !self.class(at).members.contains_key(p.as_str()) {
                self.unknown_member(at, p);
                return false;
            }
            match self.member(at, p.as_str()) {
                Some(Member::Part { class, .. }) => at = class,
                Some(_) => {
                    let message = format!("`{}` is no part", p.as_str());
                    self.say(Diagnostic::new(codes::UNKNOWN_REQUIREMENT, p.span, message));
                    return false;
                }
                None => return false,
            }
        }
        if self.class(at).requirements.contains_key(last.as_str()) {
            return true;
        }
        let known: Vec<String> = self.class(at).requirements.keys().map(ToString::to_string).collect();
        let message = format!("`{}` has no requirement `{}`", self.class(at).name, last.as_str());
        let mut d = Diagnostic::new(codes::UNKNOWN_REQUIREMENT, last.span, message);
        d.help = did_you_mean(last.as_str(), known.iter().map(String::as_str)).or_else(|| {
            (!known.is_empty()).then(|| format!("its requirements are `{}`", known.join("`, `")))
        });
        self.say_missing(last.as_str(), d);
        false
    }
}

/// An expectation of its own.
fn check(
    formula: Expr,
    units: Vec<(crate::source::Span, Dimension, twinml_model::schema::DisplayUnit)>,
    e: &ast::Expectation,
) -> hir::Check {
    let name = Rc::from("");
    let requirement = hir::Requirement { name, formula, claim: None, scale: None, units };
    hir::Check { requirement, negated: e.negated, span: e.span }
}
