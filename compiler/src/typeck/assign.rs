//! Values beside a declared type: `=`, `~`, `where`, overrides, array elements. There a bare number
//! has the unit of the declaration.

use std::rc::Rc;

use super::items::bare_constant;
use super::opinion::Doubt;
use super::ty::{Lit, Temp, Ty, Val, is_number, may_equal, show_shape};
use super::words::article;
use super::{Checker, Cx};
use crate::ast::{self, ExprKind as A, UnaryOp};
use crate::diag::{Diagnostic, codes};
use crate::hir::{Expr, ExprKind, Extent, Type};
use crate::units::Nature;

/// What a value is for, in messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'t> {
    /// The member's name.
    pub(super) name: &'t str,
    /// Where it is declared.
    pub(super) span: Option<crate::source::Span>,
}

impl Target<'_> {
    /// The name in quotes; words (`the window`) stand as they are.
    fn shown(&self) -> String {
        if self.name.contains(' ') { self.name.to_owned() } else { format!("`{}`", self.name) }
    }

    /// `length [m] given to …, which is a mass [kg]`
    fn misfit(&self, what: &str, want: &str) -> String {
        if self.name.contains(' ') {
            format!("{what} where {} {want} is needed", article(want))
        } else {
            format!("{what} given to `{}`, which is {} {want}", self.name, article(want))
        }
    }
}

impl<'a> Checker<'a, '_> {
    /// Checks a value against a declared type; the shape may be a scalar that fills.
    pub(super) fn value_for(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
        ty: &Ty<'a>,
        target: Target<'_>,
    ) -> Option<Expr> {
        let v = self.value_beside(cx, e, ty, target)?;
        let v = self.fits(v, ty, target)?;
        Some(v.e)
    }

    /// The value with bare numbers in the declared unit.
    fn value_beside(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
        ty: &Ty<'a>,
        target: Target<'_>,
    ) -> Option<Val> {
        if !matches!(ty.base, Type::Real(Some(_)) | Type::Complex(Some(_))) || cx.units_off {
            // An empty list or `none` is what the declaration says.
            return self.expr(cx, e);
        }
        match &e.kind {
            A::Array(items) if !items.is_empty() => {
                let inner = Ty { shape: ty.shape.get(1..).unwrap_or_default().to_vec(), ..ty.clone() };
                let vals: Vec<Option<Val>> =
                    items.iter().map(|i| self.value_beside(cx, i, &inner, target)).collect();
                let vals: Vec<Val> = vals.into_iter().collect::<Option<_>>()?;
                if vals.iter().any(|v| !is_number(&v.e.ty)) {
                    return self.expr(cx, e);
                }
                let mut rows = Vec::new();
                let mut first: Option<Val> = None;
                for v in vals {
                    // Here only the dimension; the whole array's shape is looked at by the caller.
                    let row = Ty { shape: v.e.shape.clone(), ..inner.clone() };
                    let v = self.fits(v, &row, Target { span: None, ..target })?;
                    match &first {
                        None => first = Some(v.clone()),
                        Some(f)
                            if f.e.shape.len() == v.e.shape.len()
                                && f.e.shape.iter().zip(&v.e.shape).all(|(a, b)| may_equal(a, b)) => {}
                        Some(f) => {
                            let d = Diagnostic::new(
                                codes::SHAPE_MISMATCH,
                                v.span(),
                                "the rows of this array differ in shape",
                            );
                            let span = f.span();
                            self.say(d.label(span, "another shape"));
                            return None;
                        }
                    }
                    rows.push(v.e);
                }
                let first = first?;
                let mut shape = vec![Extent::Const(rows.len() as u32)];
                shape.extend(first.e.shape.clone());
                let e = Expr { kind: ExprKind::Array(rows), ty: ty.base.clone(), shape, span: e.span };
                Some(Val { temp: ty.temp, nature: ty.nature, ..Val::of(e) })
            }
            A::If { arms, otherwise } => {
                let mut checked = Vec::new();
                let mut ok = true;
                for (c, v) in arms {
                    match (self.condition(cx, c), self.value_beside(cx, v, ty, target)) {
                        (Some(c), Some(v)) => checked.push((c, v)),
                        _ => ok = false,
                    }
                }
                let mut out = self.value_beside(cx, otherwise, ty, target)?;
                if !ok {
                    return None;
                }
                while let Some((c, v)) = checked.pop() {
                    out = self.join(c, v, out, e.span)?;
                }
                Some(out)
            }
            A::ArrayFor(g) if bare_constant(&g.body).is_some() => {
                let inner = Ty { shape: Vec::new(), ..ty.clone() };
                let body = self.value_beside(cx, &g.body, &inner, target)?;
                let v = self.expr(cx, e)?;
                let ExprKind::Comprehension(c) = &v.e.kind else { return Some(v) };
                let mut c = (**c).clone();
                c.body = body.e;
                let e = Expr { kind: ExprKind::Comprehension(Rc::new(c)), ty: ty.base.clone(), ..v.e };
                Some(Val { temp: ty.temp, nature: ty.nature, ..Val::of(e) })
            }
            _ => self.bare(cx, e, ty, target).unwrap_or_else(|| self.expr(cx, e)),
        }
    }

    /// A bare number beside a declared quantity. `None`: it is none; `Some(None)`: it is, and wrong.
    #[expect(clippy::option_option, reason = "three answers: no bare number, a refused one, one")]
    pub(super) fn bare(
        &mut self,
        cx: &Cx<'a>,
        e: &'a ast::Expr,
        ty: &Ty<'a>,
        target: Target<'_>,
    ) -> Option<Option<Val>> {
        let x = bare_constant(e)?;
        if cx.units_off {
            return None;
        }
        let d = ty.dimension()?.clone();
        let number = |x: f64| {
            let kind = ExprKind::Real(x);
            let mut v = Val::new(kind, Type::Real(Some(d.clone())), e.span);
            (v.temp, v.nature) = (ty.temp, ty.nature);
            v
        };
        let ambiguous = ty.shown && ty.unit.is_some();
        if !ambiguous {
            let plain = ty.unit.as_ref().is_none_or(|u| u.scale.is_one());
            if plain && d.is_one() {
                return None; // A pure number stays what it is, a whole one too.
            }
            let si = ty.unit.as_ref().map_or(x, |u| match literal_text(e) {
                Some(text) => u.scale.literal(&text, x),
                None => u.scale.to_si(x),
            });
            return Some(Some(number(si)));
        }
        if x == 0.0 && ty.temp != Temp::Point {
            return Some(Some(number(0.0)));
        }
        let unit = ty.unit.as_ref().map_or("", |u| &*u.text).to_owned();
        let si = ty.si_text(&self.units);
        let shown = literal_text(e).unwrap_or_else(|| x.to_string());
        let message = format!(
            "`{shown}` beside `in {unit}` could be in `{unit}` or in {}",
            if si.is_empty() { "plain numbers".into() } else { format!("`{si}`") }
        );
        let mut d = Diagnostic::new(codes::BARE_NUMBER_WITH_IN, e.span, message)
            .here("this number has no unit")
            .help(format!("write `{shown} {unit}`"));
        if let Some(span) = target.span {
            d = d.label(span, format!("`{}` is shown in `{unit}`", target.name));
        }
        self.say(d);
        Some(None)
    }

    /// In a `where` condition a bare number beside `self` has the declared unit. Beside `in` it may
    /// stand only where it cannot be misread: for pure numbers, where it is the plain value.
    pub(super) fn beside_self(
        &mut self,
        cx: &Cx<'a>,
        a: (&'a ast::Expr, Val),
        b: (&'a ast::Expr, Val),
    ) -> Option<(Val, Val)> {
        let Some(ty) = cx.self_ty.clone() else { return Some((a.1, b.1)) };
        let is_self = |v: &Val| v.e.kind == ExprKind::SelfValue;
        let pure = ty.dimension().is_some_and(twinml_model::dimension::Dimension::is_one);
        if (pure && ty.shown) || !(is_self(&a.1) || is_self(&b.1)) {
            return Some((a.1, b.1));
        }
        let name = cx.self_name.clone().unwrap_or_else(|| Rc::from("self"));
        let target = Target { name: &name, span: None };
        let (x, y) = (a.1, b.1);
        let x = if is_self(&y) { self.bare(cx, a.0, &ty, target).unwrap_or(Some(x))? } else { x };
        let y = if is_self(&x) { self.bare(cx, b.0, &ty, target).unwrap_or(Some(y))? } else { y };
        Some((x, y))
    }

    /// Whether a value may be given to a declared quantity; a scalar fills an array.
    pub(super) fn fits(&mut self, v: Val, ty: &Ty<'a>, target: Target<'_>) -> Option<Val> {
        let v = self.fits_type(v, ty, target)?;
        let (have, want) = (&v.e.shape, &ty.shape);
        if have.is_empty()
            || (have.len() == want.len() && have.iter().zip(want).all(|(a, b)| may_equal(a, b)))
        {
            return Some(v);
        }
        let (x, y) = (show_shape(have), show_shape(want));
        let message = if want.is_empty() {
            format!("an array of shape {x} for {}, which is a scalar", target.shown())
        } else {
            format!("an array of shape {x} for {}, whose shape is {y}", target.shown())
        };
        let mut d = Diagnostic::new(codes::SHAPE_MISMATCH, v.span(), message);
        if let Some(span) = target.span {
            d = d.label(span, format!("`{}` is declared here", target.name));
        }
        self.say(d);
        None
    }

    /// As [`Checker::fits`], shapes aside.
    pub(super) fn fits_type(&mut self, mut v: Val, ty: &Ty<'a>, target: Target<'_>) -> Option<Val> {
        if v.is_any() || ty.base == Type::Any {
            return Some(v);
        }
        let ok = match (&ty.base, &v.e.ty) {
            (Type::Real(_), Type::Real(_) | Type::Int)
            | (Type::Complex(_), Type::Real(_) | Type::Int | Type::Complex(_)) => {
                return self.fits_number(v, ty, target);
            }
            (Type::Int, Type::Real(None)) => true,
            (Type::Table(..), Type::Table(..)) => true,
            (Type::List(a), Type::List(b)) => a == b || **a == Type::Any || **b == Type::Any,
            (Type::List(a), b) if !v.e.shape.is_empty() => **a == *b || **a == Type::Any || *b == Type::Any,
            (Type::Map(..), Type::Map(..)) => true,
            (Type::Optional(_), _) if super::expr::optional_fits(&v.e.ty, &ty.base) => true,
            (Type::Twin(_), Type::Twin(_)) => true,
            (a, b) => a == b,
        };
        if ok {
            if matches!(v.e.kind, ExprKind::BehaviorOnly | ExprKind::Behavior(_)) {
                v.e.ty = ty.base.clone();
            }
            return Some(v);
        }
        let what = self.describe_val(&v);
        let want = ty.describe(&self.units, &self.model);
        let message = target.misfit(&format!("{} {what}", article(&what)), &want);
        let mut d = Diagnostic::new(codes::TYPE_MISMATCH, v.span(), message)
            .here(format!("this is {} {what}", article(&what)));
        if let Some(span) = target.span {
            d = d.label(span, format!("`{}` is declared here", target.name));
        }
        d.help = match (&ty.base, &v.e.ty) {
            (Type::Int, Type::Real(_)) => {
                Some("make it whole with `floor(…)`, `round(…)` or `div(a, b)`".into())
            }
            (Type::Bool, t) if is_number(t) => Some("compare it, for example `… > 0`".into()),
            (Type::Real(_), Type::Bool) => Some("write `if … then 1 else 0`".into()),
            _ => None,
        };
        self.say(d);
        None
    }

    fn fits_number(&mut self, mut v: Val, ty: &Ty<'a>, target: Target<'_>) -> Option<Val> {
        let (Some(want), Some(have)) = (ty.dimension().cloned(), v.dimension().cloned()) else {
            return Some(v);
        };
        if want != have {
            if v.lit == Lit::Zero && ty.temp != Temp::Point {
                v.e.kind = ExprKind::Real(0.0);
                v.e.ty = ty.base.clone();
                return Some(v);
            }
            let what = self.describe_val(&v);
            let declared = ty.element().describe(&self.units, &self.model);
            if matches!(v.lit, Lit::Number | Lit::Zero) {
                let unit = ty.unit.as_ref().map_or_else(|| ty.si_text(&self.units), |u| u.text.to_string());
                let message = format!(
                    "`{}` is {} {declared}, and this number has no unit",
                    target.name,
                    article(&declared)
                );
                let mut d = Diagnostic::new(codes::BARE_NUMBER, v.span(), message)
                    .help(format!("write the unit: `… {unit}`"));
                if let Some(span) = target.span {
                    d = d.label(span, format!("`{}` is declared here", target.name));
                }
                self.say(d);
                return None;
            }
            let message = target.misfit(&what, &declared);
            let mut d = Diagnostic::new(codes::WRONG_UNIT, v.span(), message)
                .here(format!("this is {} {what}", article(&what)));
            if let Some(span) = target.span {
                self.doubts.push(Doubt::new(span, &v, have.clone()));
                d = d.label(span, format!("`{}` is declared here", target.name));
            }
            if let Some(r) = have.checked_div(&want) {
                d = d.note(format!("the value has the additional unit `{}`", self.units.show(&r)));
            }
            self.say(d);
            return None;
        }
        match (ty.temp, v.temp) {
            (Temp::Difference, Temp::Point) => {
                let unit = v.unit.as_deref().unwrap_or("degC").to_owned();
                let mut d = Diagnostic::new(
                    codes::TEMPERATURE_POINT,
                    v.span(),
                    format!(
                        "a temperature given to `{}`, which is a difference of temperatures",
                        target.name
                    ),
                );
                d = if v.lit == Lit::Scale {
                    d.here(format!("`{unit}` is a point on a scale")).help("for a difference write `K`")
                } else {
                    d.here("this is a point on the scale").help("subtract a reference temperature")
                };
                if let Some(span) = target.span {
                    d = d.label(span, format!("`{}` is declared here", target.name));
                }
                self.say(d);
                return None;
            }
            (Temp::Point, Temp::Difference) => {
                let mut d = Diagnostic::new(
                    codes::TEMPERATURE_POINT,
                    v.span(),
                    format!(
                        "a difference of temperatures given to `{}`, which is a temperature",
                        target.name
                    ),
                )
                .here("this is a difference")
                .help("add a reference temperature");
                if let Some(span) = target.span {
                    d = d.label(span, format!("`{}` is declared here", target.name));
                }
                self.say(d);
                return None;
            }
            _ => {}
        }
        if ty.nature != Nature::Plain && v.nature != Nature::Plain && ty.nature != v.nature {
            let like = Val {
                nature: ty.nature,
                quantity: ty.quantity.clone(),
                unit: ty.unit.as_ref().map(|u| u.text.clone()),
                ..Val::new(ExprKind::Time, ty.base.clone(), target.span.unwrap_or(v.span()))
            };
            self.nature_mismatch(&like, &v, v.span());
        }
        Some(v)
    }
}

/// The number as written, for messages.
fn literal_text(e: &ast::Expr) -> Option<String> {
    match &e.kind {
        A::Number(n) => Some(n.text.to_string()),
        A::Unary { op: UnaryOp::Neg, expr } => literal_text(expr).map(|t| format!("-{t}")),
        _ => None,
    }
}
