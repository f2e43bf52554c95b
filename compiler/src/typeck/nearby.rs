//! Events of places: `on near(truck, depot, 50 m)`, `on inside(truck, [0 m, 0 m], [100 m, 60 m])`. They rise when
//! the distance falls below the bound, or the position comes into the box, as `rising(distance(a, b) < d)` would.

use super::assign::Target;
use super::class::Member;
use super::place::{MemberPlace, Place};
use super::ty::{Ty, Val};
use super::{Checker, Cx};
use crate::ast::{self, CompareOp};
use crate::diag::{Diagnostic, codes};
use crate::hir::behavior::Trigger as Cause;
use crate::hir::{BinOp, Builtin, Expr, ExprKind, Reduction, Type};
use crate::source::Span;
use twinml_model::dimension::Dimension;

/// The member that says where a twin is.
const POSITION: &str = "position";

impl<'a> Checker<'a, '_> {
    /// The condition of `near` or `inside`.
    pub(super) fn place_pattern(
        &mut self,
        cx: &mut Cx<'a>,
        kind: ast::EventPatternKind,
        args: &'a [ast::Expr],
    ) -> Option<Cause> {
        let span = args.first().zip(args.last()).map_or_else(Span::default, |(a, b)| a.span.to(b.span));
        let inside = kind == ast::EventPatternKind::Inside;
        let [who, other, last] = args else {
            let message = format!("`{}` is not written like this", kind.as_str());
            self.say(Diagnostic::new(codes::ARGUMENT_COUNT, span, message).help(if inside {
                "as in `on inside(truck, [0 m, 0 m], [100 m, 60 m])`: a box by two corners, or a place and a radius"
            } else {
                "as in `on near(truck, depot, 50 m)`"
            }));
            return None;
        };
        let (a, b) = (self.position(cx, who), self.position(cx, other));
        let bound = self.expr(cx, last);
        let (a, b, bound) = (a?, b?, bound?);
        let condition = if inside && !bound.e.shape.is_empty() {
            let low = self.at_least(cx, &a, &b, span)?;
            let high = self.at_least(cx, &bound, &a, span)?;
            let kind = ExprKind::Binary(BinOp::And, Box::new(low), Box::new(high));
            Expr { kind, ty: Type::Bool, shape: Vec::new(), span }
        } else {
            let length = if cx.units_off { Dimension::ONE } else { Dimension::LENGTH };
            let target = Target { name: "a distance", span: None };
            let bound = self.fits(bound, &Ty::real(length), target)?;
            let (a, b) = self.unify_numbers(kind.as_str(), a, b, span)?;
            let shape = self.broadcast(&a, &b, kind.as_str(), span)?;
            let ty = a.e.ty.clone();
            let apart = ExprKind::Binary(BinOp::Sub, Box::new(a.e), Box::new(b.e));
            let apart = Expr { kind: apart, ty: ty.clone(), shape, span };
            let far = Val::new(ExprKind::Call(Builtin::Norm, vec![apart]), ty, span);
            self.compare_two(cx, CompareOp::Lt, far, bound, span)?.e
        };
        Some(Cause::Rising(condition))
    }

    /// `all(a >= b)`, component by component.
    fn at_least(&mut self, cx: &Cx<'a>, a: &Val, b: &Val, span: Span) -> Option<Expr> {
        let each = self.compare_two(cx, CompareOp::Ge, a.clone(), b.clone(), span)?.e;
        let kind = ExprKind::Reduce(Reduction::All, Box::new(each));
        Some(Expr { kind, ty: Type::Bool, shape: Vec::new(), span })
    }

    /// A position: a vector, or that of a part.
    fn position(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        let name = ast::Name { text: POSITION.into(), span: e.span };
        let own = e.as_name().is_some_and(|n| n.as_str() == "self");
        let place = if own { self.name(cx, &name)? } else { self.place(cx, e)? };
        let part = matches!(&place, Place::Member(MemberPlace { what: Member::Part { .. }, .. }));
        let place = if part { self.field(cx, place, e.span, &name, e.span)? } else { place };
        let v = self.place_value(cx, place, e.span)?;
        if v.is_any() {
            let d = Diagnostic::new(codes::NOT_AN_ARRAY, e.span, "a place is a vector of lengths");
            self.say(d.help("as in `position: Vector[2] of Length`"));
            return None;
        }
        if v.e.shape.len() != 1 {
            let what = self.describe_val(&v);
            let d = Diagnostic::new(codes::NOT_AN_ARRAY, e.span, "a place is a vector of lengths")
                .here(format!("this is {} {what}", super::words::article(&what)));
            self.say(d.help("as in `position: Vector[2] of Length`, or the name of a part that has one"));
            return None;
        }
        Some(v)
    }
}
