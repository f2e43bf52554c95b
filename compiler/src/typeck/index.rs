//! Indices and slices behind a path or a value: `q[0]`, `tanks.h[2]`, `x[1..3]`.

use super::class::Member;
use super::place::{MemberPlace, Place, member_axes};
use super::ty::{Val, const_int, show_shape};
use super::{Checker, Cx};
use crate::ast::{self, ExprKind as A};
use crate::diag::{Diagnostic, codes};
use crate::hir::behavior::Op;
use crate::hir::{ClassId, ConnectorId, Expr, ExprKind, Extent, Ref, Section, Subscript, Type};
use crate::source::Span;

impl<'a> Checker<'a, '_> {
    pub(super) fn index(
        &mut self,
        cx: &mut Cx<'a>,
        base: Place<'a>,
        indices: &'a [ast::Expr],
        span: Span,
    ) -> Option<Place<'a>> {
        match base {
            Place::Member(mut m) if !matches!(m.what, Member::Memory(_) | Member::Capability) => {
                let subs = self.subscripts(cx, indices.iter())?;
                m = self.subscript_member(m, subs, span)?;
                Some(Place::Member(m))
            }
            place => {
                let v = self.place_value(cx, place, span)?;
                self.index_value(cx, v, indices, span).map(Place::Value)
            }
        }
    }

    /// Puts indices behind a member.
    pub(super) fn index_member(
        &mut self,
        cx: &mut Cx<'a>,
        m: MemberPlace<'a>,
        indices: &[&'a ast::Expr],
        span: Span,
    ) -> Option<MemberPlace<'a>> {
        let subs = self.subscripts(cx, indices.iter().copied())?;
        self.subscript_member(m, subs, span)
    }

    fn subscript_member(
        &mut self,
        mut m: MemberPlace<'a>,
        subs: Vec<Subscript>,
        span: Span,
    ) -> Option<MemberPlace<'a>> {
        let n = subs.len();
        if n > m.axes.len() {
            self.too_many(&m.axes, n, span);
            return None;
        }
        if n <= m.own {
            let first = m.axes.len() - m.own;
            let kept = self.apply(&mut m.axes, first, &subs)?;
            m.own = m.own - n + kept;
            m.r.steps.last_mut()?.subscripts.extend(subs);
        } else {
            // `tanks.h[2]`: the array of all `h`, whose axes are those of the whole path.
            self.apply(&mut m.axes, 0, &subs)?;
            m.own = 0;
            self.spread(m.root, &mut m.r, subs);
        }
        m.r.span = span;
        Some(m)
    }

    fn index_value(&mut self, cx: &mut Cx<'a>, v: Val, indices: &'a [ast::Expr], span: Span) -> Option<Val> {
        match &v.e.ty {
            Type::Any | Type::List(_) | Type::Map(..) if v.e.shape.is_empty() => {
                let mut value = v.e.clone();
                for i in indices {
                    let i = self.expr(cx, i)?;
                    let ty = match &value.ty {
                        Type::List(t) => (**t).clone(),
                        Type::Map(_, t) => (**t).clone(),
                        _ => Type::Any,
                    };
                    let span = value.span.to(i.span());
                    value = Val::behavior(Op::Element(value, i.e), ty, span).e;
                }
                value.span = span;
                return Some(Val::of(value));
            }
            _ => {}
        }
        let subs = self.subscripts(cx, indices.iter())?;
        if subs.len() > v.e.shape.len() {
            return match self.too_many(&v.e.shape, subs.len(), span) {
                Some(Place::Value(v)) => Some(v),
                _ => None,
            };
        }
        let mut shape = v.e.shape.clone();
        self.apply(&mut shape, 0, &subs)?;
        let ty = v.e.ty.clone();
        let kind = if v.e.kind == ExprKind::BehaviorOnly {
            ExprKind::BehaviorOnly
        } else {
            ExprKind::Index(Box::new(v.e), subs)
        };
        Some(Val { e: Expr { kind, ty, shape, span }, ..v })
    }

    fn too_many(&mut self, axes: &[Extent], n: usize, span: Span) -> Option<Place<'a>> {
        let d = if axes.is_empty() {
            Diagnostic::new(codes::NOT_AN_ARRAY, span, "an index on something that is no array")
                .help("an array has its sizes behind its type: `Length[3]`, for plain numbers `Real[1][3]`")
        } else {
            let message = format!("{n} indices on an array of shape {}", show_shape(axes));
            Diagnostic::new(codes::NOT_AN_ARRAY, span, message)
        };
        self.say(d);
        None
    }

    /// Replaces axes from `first` on by what the subscripts leave; how many of them remain.
    fn apply(&mut self, axes: &mut Vec<Extent>, first: usize, subs: &[Subscript]) -> Option<usize> {
        let mut kept = Vec::new();
        for (k, s) in subs.iter().enumerate() {
            let axis = axes[first + k].clone();
            let len = match axis {
                Extent::Const(n) => Some(i64::from(n)),
                _ => None,
            };
            match s {
                Subscript::Index(e) => {
                    if let (Some(i), Some(n)) = (const_int(e), len)
                        && !(0..n).contains(&i)
                    {
                        let message = format!("index {i} is outside of an axis of length {n}");
                        let d = Diagnostic::new(codes::INDEX_OUT_OF_RANGE, e.span, message);
                        let hint = if n > 0 {
                            format!("indices count from 0 to {}", n - 1)
                        } else {
                            "it is empty".into()
                        };
                        self.say(d.here(hint));
                        return None;
                    }
                }
                Subscript::Slice(lo, hi) => {
                    let at = |e: &Option<Expr>, default: Option<i64>| match e {
                        Some(e) => const_int(e),
                        None => default,
                    };
                    let (a, b) = (at(lo, Some(0)), at(hi, len));
                    if let (Some(a), Some(b), Some(n)) = (a, b, len)
                        && !(0 <= a && a <= b && b <= n)
                    {
                        let span = hi.as_ref().or(lo.as_ref()).map_or_else(Span::default, |e| e.span);
                        let message = format!("the slice {a}..{b} is outside of an axis of length {n}");
                        self.say(Diagnostic::new(codes::INDEX_OUT_OF_RANGE, span, message));
                        return None;
                    }
                    kept.push(match (a, b) {
                        (Some(a), Some(b)) => u32::try_from(b - a).map_or(Extent::Inferred, Extent::Const),
                        _ if lo.is_none() && hi.is_none() => axis,
                        _ => Extent::Inferred,
                    });
                }
            }
        }
        let n = kept.len();
        axes.splice(first..first + subs.len(), kept);
        Some(n)
    }

    /// Puts subscripts of a whole path on the steps that have the axes.
    fn spread(&mut self, mut class: ClassId, r: &mut Ref, subs: Vec<Subscript>) {
        let mut subs = subs.into_iter();
        let mut port: Option<ConnectorId> = None;
        for step in &mut r.steps {
            let member = match port {
                Some(c) => self.connector_fields[c.0 as usize].get(&step.name).map(|ty| Member::Var {
                    section: Section::Variables,
                    ty: ty.clone(),
                    is_final: false,
                }),
                None => self.member(class, &step.name),
            };
            let Some(member) = member else { return };
            let free = member_axes(&member).len().saturating_sub(step.subscripts.len());
            step.subscripts.extend(subs.by_ref().take(free));
            match member {
                Member::Part { class: c, .. } => class = c,
                Member::Port { connector, .. } => port = Some(connector),
                _ => {}
            }
        }
    }

    fn subscripts(
        &mut self,
        cx: &mut Cx<'a>,
        indices: impl Iterator<Item = &'a ast::Expr>,
    ) -> Option<Vec<Subscript>> {
        let all: Vec<Option<Subscript>> = indices
            .map(|i| match &i.kind {
                A::Range { lo, hi } => {
                    let end = |c: &mut Self, cx: &mut Cx<'a>, e: &'a Option<Box<ast::Expr>>| match e {
                        Some(e) => c.whole(cx, e).map(|v| Some(v.e)),
                        None => Some(None),
                    };
                    let (lo, hi) = (end(self, cx, lo), end(self, cx, hi));
                    Some(Subscript::Slice(lo?, hi?))
                }
                _ => self.whole(cx, i).map(|v| Subscript::Index(v.e)),
            })
            .collect();
        all.into_iter().collect()
    }
}
