//! The arguments in `<…>` of a use of a twin: values, types, defaults, and what is missing.

use std::rc::Rc;

use super::assign::Target;
use super::class::{Member, SigKind};
use super::ty::{Thing, Ty};
use super::{Checker, Cx};
use crate::ast;
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{ClassId, ClassTarget, ClassUse, Expr, Name};
use crate::source::Span;

impl<'a> Checker<'a, '_> {
    /// The arguments in `<…>` of a use of a class.
    pub(super) fn class_args(
        &mut self,
        cx: &mut Cx<'a>,
        class: ClassId,
        args: &'a [ast::GenericArg],
        span: Span,
    ) -> Option<ClassUse> {
        let class = self.real(class);
        let type_params = self.class(class).type_params.clone();
        let defaults = self.class(class).type_defaults.clone();
        let values: Vec<(Name, Span)> = self
            .class(class)
            .members
            .iter()
            .filter(|(_, s)| matches!(s.kind, SigKind::ValueParam(_)) && s.owner == class)
            .map(|(n, s)| (n.clone(), s.span))
            .collect();
        let mut types: Vec<Option<ClassUse>> = vec![None; type_params.len()];
        let mut given: Vec<(Name, Expr)> = Vec::new();
        let mut ok = true;
        let order: Vec<Name> =
            self.class(class).ast.params.iter().map(|p| Rc::from(p.name.as_str())).collect();
        for (i, a) in args.iter().enumerate() {
            let name: Option<Name> = match &a.name {
                Some(n) => Some(Rc::from(n.as_str())),
                None => order.get(i).cloned(),
            };
            let at = a.name.as_ref().map_or(a.span, |n| n.span);
            let Some(name) = name.filter(|n| order.contains(n)) else {
                let message = match &a.name {
                    Some(n) => format!("`{}` has no parameter `{}`", self.class(class).name, n.as_str()),
                    None => format!(
                        "`{}` takes {} argument{}",
                        self.class(class).name,
                        order.len(),
                        if order.len() == 1 { "" } else { "s" }
                    ),
                };
                let mut d = Diagnostic::new(codes::BAD_TWIN_ARGUMENT, at, message);
                d.help = a.name.as_ref().and_then(|n| did_you_mean(n.as_str(), order.iter().map(|o| &**o)));
                self.say(d);
                ok = false;
                continue;
            };
            if let Some(n) = type_params.iter().position(|(p, _)| *p == name) {
                types[n] = self.type_argument(cx, a, &name, type_params[n].1);
                ok &= types[n].is_some();
                continue;
            }
            let Some(Member::Var { ty, .. }) = self.member(class, &name) else {
                ok = false;
                continue;
            };
            let span = values.iter().find(|(n, _)| *n == name).map(|(_, s)| *s);
            let v = match &a.value {
                ast::GenericValue::Expr(e) => self.value_for(cx, e, &ty, Target { name: &name, span }),
                ast::GenericValue::Type(t) => self.type_as_value(cx, t, &ty, &name),
            };
            match v {
                Some(v) => given.push((name, v)),
                None => ok = false,
            }
        }
        for (n, (p, _)) in type_params.iter().enumerate() {
            if types[n].is_none() && ok {
                match defaults.get(n).copied().flatten() {
                    Some(c) => types[n] = Some(self.plain_use(c, span)),
                    None => {
                        self.missing_argument(class, p, span);
                        ok = false;
                    }
                }
            }
        }
        for (n, _) in &values {
            let has_default =
                self.class(class).ast.params.iter().any(|p| p.name.as_str() == &**n && p.default.is_some());
            if !has_default && ok && !given.iter().any(|(g, _)| g == n) {
                self.missing_argument(class, n, span);
                ok = false;
            }
        }
        let types: Option<Vec<ClassUse>> = types.into_iter().collect();
        ok.then_some(ClassUse { target: ClassTarget::Class(class), values: given, types: types?, span })
    }

    fn missing_argument(&mut self, class: ClassId, name: &str, span: Span) {
        let message = format!("`{}` needs its parameter `{name}`", self.class(class).name);
        let d = Diagnostic::new(codes::BAD_TWIN_ARGUMENT, span, message);
        let help = format!("write `{}<{name}: …>`", self.class(class).name);
        self.say(d.help(help));
    }

    fn plain_use(&self, class: ClassId, span: Span) -> ClassUse {
        ClassUse { target: ClassTarget::Class(class), values: Vec::new(), types: Vec::new(), span }
    }

    fn type_argument(
        &mut self,
        cx: &mut Cx<'a>,
        a: &'a ast::GenericArg,
        name: &str,
        bound: ClassId,
    ) -> Option<ClassUse> {
        let ast::GenericValue::Type(t) = &a.value else {
            let message = format!("`{name}` stands for a twin, and this is a value");
            self.say(Diagnostic::new(codes::BAD_TWIN_ARGUMENT, a.span, message));
            return None;
        };
        let (target, class) = match self.thing(cx, t)? {
            Thing::Class(c) => (ClassTarget::Class(c), c),
            Thing::TypeParam(n, c) => (ClassTarget::Param(n), c),
            Thing::Value(_) | Thing::Connector(_) => {
                let message = format!("`{name}` stands for a twin, and this is none");
                self.say(Diagnostic::new(codes::BAD_TWIN_ARGUMENT, a.span, message));
                return None;
            }
        };
        if !self.is_a(class, bound) {
            let message = format!(
                "`{}` does not extend `{}`, which `{name}` must be",
                self.class(class).name,
                self.class(bound).name
            );
            self.say(Diagnostic::new(codes::BAD_TWIN_ARGUMENT, t.span, message));
            return None;
        }
        let mut u = self.class_args(cx, class, generic_args(t), t.span)?;
        u.target = target;
        Some(u)
    }

    /// A lone name in `<…>` could be a type or a value: here a value is wanted.
    pub(super) fn type_as_value(
        &mut self,
        cx: &mut Cx<'a>,
        t: &'a ast::TypeExpr,
        ty: &Ty<'a>,
        name: &str,
    ) -> Option<Expr> {
        let ast::TypeKind::Named { path, args } = &t.kind else {
            self.say(Diagnostic::new(codes::BAD_TWIN_ARGUMENT, t.span, format!("`{name}` needs a value")));
            return None;
        };
        if let ([n], []) = (path.names.as_slice(), args.as_slice()) {
            let place = self.name(cx, n)?;
            let v = self.place_value(cx, place, t.span)?;
            return self.fits(v, ty, Target { name, span: None }).map(|v| v.e);
        }
        if let ([e, v], []) = (path.names.as_slice(), args.as_slice()) {
            let place = self.name(cx, e)?;
            let place = self.field(cx, place, e.span, v, t.span)?;
            let v = self.place_value(cx, place, t.span)?;
            return self.fits(v, ty, Target { name, span: None }).map(|v| v.e);
        }
        self.say(Diagnostic::new(codes::BAD_TWIN_ARGUMENT, t.span, format!("`{name}` needs a value")));
        None
    }
}

/// What stands in `<…>` of a type, inside array brackets too.
pub(super) fn generic_args(t: &ast::TypeExpr) -> &[ast::GenericArg] {
    match &t.kind {
        ast::TypeKind::Named { args, .. } => args,
        ast::TypeKind::Array { elem, .. } => generic_args(elem),
        _ => &[],
    }
}
