//! Requirements, reports and policies.

use std::rc::Rc;

use twinml_model::dimension::Dimension;
use twinml_model::requirement::Goal;
use twinml_model::schema::DisplayUnit;

use super::assign::Target;
use super::class::SigKind;
use super::ty::{Lit, Ty, Val, is_number};
use super::words::article;
use super::{Checker, Cx, Mode};
use crate::ast::{self, Constraint, ExprKind as A};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{self, ClassId, ExprKind, Name, Temporal, TemporalOp, Type};
use crate::source::Span;

/// Policies by name, each with the values that it takes.
const POLICIES: &[(&str, &[&str])] = &[
    ("response_time", &["max"]),
    ("privacy", &["pii_masking"]),
    ("compliance", &["gdpr_compliant", "ccpa_compliant", "hipaa_compliant"]),
    ("security", &["encrypted_storage", "audit_logging"]),
    ("resources", &["memory", "fuel", "messages", "time"]),
];

impl<'a> Checker<'a, '_> {
    pub(super) fn constraints(&mut self, id: ClassId, list: &'a [Constraint], class: &mut hir::Class) {
        let mut seen: Vec<&'a ast::Name> = Vec::new();
        for c in list {
            let mut cx = self.class_cx(id, Mode::Constraint);
            let name = match c {
                Constraint::Error(_) => continue,
                Constraint::Requirement(r) => {
                    let found = self.requirement(&mut cx, r);
                    // One of the same name replaces what was taken over.
                    class.formulas.retain(|old| *old.name != *r.name.as_str());
                    class.kpis.retain(|old| *old.name != *r.name.as_str());
                    class.formulas.extend(found);
                    &r.name
                }
                Constraint::Kpi(k) => {
                    let found = self.kpi(&mut cx, k);
                    class.formulas.retain(|old| *old.name != *k.name.as_str());
                    class.kpis.retain(|old| *old.name != *k.name.as_str());
                    class.kpis.extend(found);
                    &k.name
                }
                Constraint::Policy(s) => {
                    self.policy(&mut cx, id, s);
                    continue;
                }
            };
            if let Some(old) = seen.iter().find(|o| o.text == name.text) {
                let message = format!("`{}` is declared twice", name.as_str());
                let d = Diagnostic::new(codes::DUPLICATE_NAME, name.span, message);
                self.say(d.label(old.span, "first declared here"));
            }
            seen.push(name);
        }
    }

    fn requirement(&mut self, cx: &mut Cx<'a>, r: &'a ast::Requirement) -> Option<hir::Requirement> {
        self.literal_units.clear();
        let v = self.expr(cx, &r.formula);
        let units = std::mem::take(&mut self.literal_units);
        if let Some(v) = &v
            && v.e.ty != Type::Bool
            && !v.is_any()
        {
            let what = self.describe_val(v);
            let message = format!("the requirement `{}` is no statement that holds or not", r.name.as_str());
            let mut d = Diagnostic::new(codes::CONDITION_NOT_BOOL, r.formula.span, message);
            d = d.here(format!("this is {} {what}", article(&what)));
            let help = if is_number(&v.e.ty) {
                "compare it, for example `… < limit`"
            } else {
                "as in `always(h <= h_max)`"
            };
            self.say(d.help(help));
        }
        let mut claim = None;
        if let Some(c) = &r.claim {
            let probability = self.probability(cx, &c.probability);
            let confidence = c.confidence.as_ref().map(|e| self.probability(cx, e));
            let at_least = match c.op {
                ast::CompareOp::Ge | ast::CompareOp::Gt => true,
                ast::CompareOp::Le | ast::CompareOp::Lt => false,
                ast::CompareOp::Eq | ast::CompareOp::Ne => {
                    let message = "no number of runs shows that a probability is exactly this";
                    let d = Diagnostic::new(codes::OUT_OF_RANGE, c.span, message);
                    self.say(d.help("say `with probability >= 0.99` or `<= 0.01`"));
                    true
                }
            };
            if let (Some(probability), None | Some(Some(_))) = (probability, &confidence) {
                claim = Some(hir::Claim { at_least, probability, confidence: confidence.flatten() });
            }
        }
        let mut scale = None;
        for a in &r.attrs {
            let value = self.expr(cx, &a.value);
            if a.name.as_str() != "scale" {
                let message = format!("a requirement has no attribute `{}`", a.name.as_str());
                let mut d = Diagnostic::new(codes::MISPLACED, a.name.span, message);
                d.help = did_you_mean(a.name.as_str(), ["scale"]);
                self.say(d);
                continue;
            }
            let Some(v) = value else { continue };
            if is_number(&v.e.ty) || v.is_any() {
                scale = Some(v.e);
            } else {
                let what = self.describe_val(&v);
                let d =
                    Diagnostic::new(codes::TYPE_MISMATCH, a.value.span, "a scale is a number with its unit");
                self.say(d.here(format!("this is {} {what}", article(&what))));
            }
        }
        let v = v.filter(|v| v.e.ty == Type::Bool)?;
        let name = Name::from(r.name.as_str());
        Some(hir::Requirement { name, formula: v.e, claim, scale, units })
    }

    fn probability(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<hir::Expr> {
        let v = self.expr(cx, e)?;
        let t = Target { name: "a probability", span: None };
        let v = self.fits(v, &Ty::real(Dimension::ONE), t)?;
        if let Some(x) = super::constant::number(&v.e)
            && !(0.0..=1.0).contains(&x)
        {
            let d = Diagnostic::new(codes::OUT_OF_RANGE, e.span, format!("{x} is no probability"));
            self.say(d.here("a probability is between 0 and 1"));
        }
        Some(v.e)
    }

    fn kpi(&mut self, cx: &mut Cx<'a>, k: &'a ast::Kpi) -> Option<hir::Kpi> {
        let v = self.expr(cx, &k.value)?;
        let mut ty = v.to_ty();
        if let Some(u) = &k.unit {
            if ty.base == Type::Int {
                ty.base = Type::Real(Some(Dimension::ONE));
            }
            if !v.is_any() {
                self.with_unit(&mut ty, u, cx.units_off)?;
            }
        }
        let unit = match (&k.unit, &ty.base) {
            (Some(_), _) => ty.display(&self.units),
            (None, Type::Real(Some(d))) if !d.is_one() => {
                DisplayUnit { symbol: d.customary(), scale: 1.0, offset: 0.0 }
            }
            _ => DisplayUnit::default(),
        };
        let known = is_number(&v.e.ty) || v.e.ty == Type::Bool;
        let goal = k.goal.map(|g| match g {
            ast::Goal::Minimize => Goal::Minimize,
            ast::Goal::Maximize => Goal::Maximize,
        });
        known.then(|| hir::Kpi { name: Name::from(k.name.as_str()), value: v.e, unit, goal })
    }

    /// `always[0, 10 s](p)` and its kin.
    #[inline(never)]
    pub(super) fn temporal(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        if cx.mode != Mode::Constraint {
            let word = match &e.kind {
                A::Temporal { op, .. } => op.as_str(),
                A::TemporalBinary { op, .. } => op.as_str(),
                _ => "this",
            };
            return self.misplaced(e.span, &format!("`{word}`"), "temporal logic stands in `constraints`");
        }
        let (op, window, args) = match &e.kind {
            A::Temporal { op, window, expr } => {
                let op = match op {
                    ast::TemporalOp::Always => TemporalOp::Always,
                    ast::TemporalOp::Eventually => TemporalOp::Eventually,
                    ast::TemporalOp::Historically => TemporalOp::Historically,
                    ast::TemporalOp::Once => TemporalOp::Once,
                };
                (op, window, vec![&**expr])
            }
            A::TemporalBinary { op, window, left, right } => {
                let op = match op {
                    ast::TemporalBinaryOp::Until => TemporalOp::Until,
                    ast::TemporalBinaryOp::Since => TemporalOp::Since,
                };
                (op, window, vec![&**left, &**right])
            }
            _ => return None,
        };
        let given = window.as_ref().map(|w| self.window(cx, &w.0, &w.1));
        let args: Vec<Option<Val>> = args.into_iter().map(|a| self.formula(cx, a)).collect();
        let args: Vec<hir::Expr> = args.into_iter().map(|a| a.map(|v| v.e)).collect::<Option<_>>()?;
        let shape = args.iter().map(|a| &a.shape).find(|s| !s.is_empty()).cloned().unwrap_or_default();
        // A window that is wrong is reported; the formula stands for a truth value all the same.
        let kind = match given {
            Some(None) => return Some(Val::opaque(Type::Bool, e.span).shaped(shape)),
            Some(window) => ExprKind::Temporal(Rc::new(Temporal { op, window, args })),
            None => ExprKind::Temporal(Rc::new(Temporal { op, window: None, args })),
        };
        Some(Val::new(kind, Type::Bool, e.span).shaped(shape))
    }

    /// A truth value, maybe one for each element of an array.
    fn formula(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Val> {
        let v = self.expr(cx, e)?;
        if v.e.ty == Type::Bool || v.is_any() {
            return Some(v);
        }
        let what = self.describe_val(&v);
        let d = Diagnostic::new(codes::CONDITION_NOT_BOOL, e.span, "a formula is a truth value");
        let d = d.here(format!("this is {} {what}", article(&what)));
        self.say(if is_number(&v.e.ty) { d.help("compare it, for example `… > 0`") } else { d });
        None
    }

    /// `[a, b]` behind a temporal operator: times.
    pub(super) fn window(
        &mut self,
        cx: &mut Cx<'a>,
        lo: &'a ast::Expr,
        hi: &'a ast::Expr,
    ) -> Option<(hir::Expr, hir::Expr)> {
        let mut ends = [None, None];
        let mut given = [None, None];
        for (k, e) in [lo, hi].into_iter().enumerate() {
            let Some(v) = self.expr(cx, e) else { continue };
            if cx.units_off || v.lit == Lit::Zero {
                ends[k] = super::constant::number(&v.e);
                given[k] = Some(v.e);
                continue;
            }
            if let Some(v) =
                self.fits(v, &Ty::real(Dimension::TIME), Target { name: "the window", span: None })
            {
                ends[k] = super::constant::number(&v.e);
                given[k] = Some(v.e);
            }
        }
        if let [Some(a), Some(b)] = ends
            && (a < 0.0 || b < a)
        {
            let d = Diagnostic::new(
                codes::OUT_OF_RANGE,
                lo.span.to(hi.span),
                "this window ends before it begins",
            );
            self.say(d.help("a window is `[from, to]` with 0 <= from <= to"));
        }
        let [lo, hi] = given;
        lo.zip(hi)
    }

    fn policy(&mut self, cx: &mut Cx<'a>, id: ClassId, s: &'a ast::Setting) {
        let name = s.name.as_str();
        let Some((_, values)) = POLICIES.iter().find(|(n, _)| *n == name) else {
            let message = format!("there is no policy `{name}`");
            let mut d = Diagnostic::new(codes::UNKNOWN_POLICY, s.name.span, message);
            d.help = did_you_mean(name, POLICIES.iter().map(|(n, _)| *n))
                .or_else(|| Some("a requirement is a formula: `always(h <= h_max)`".into()));
            self.say(d);
            return;
        };
        for v in &s.values {
            let (word, args): (Option<&ast::Name>, &'a [ast::Arg]) = match &v.kind {
                A::Call { callee, args } => (callee.as_name(), args),
                A::Error => continue,
                _ => (v.as_name(), &[]),
            };
            let Some(word) = word.filter(|w| values.contains(&w.as_str())) else {
                let shown = word.map_or_else(|| "this".to_owned(), |w| format!("`{}`", w.as_str()));
                let mut d =
                    Diagnostic::new(codes::UNKNOWN_POLICY, v.span, format!("`{name}` does not know {shown}"));
                d.help = word
                    .and_then(|w| did_you_mean(w.as_str(), values.iter().copied()))
                    .or_else(|| Some(format!("it takes `{}`", values.join("`, `"))));
                self.say(d);
                continue;
            };
            self.policy_value(cx, id, word, args, v.span);
        }
    }

    fn policy_value(
        &mut self,
        cx: &mut Cx<'a>,
        id: ClassId,
        word: &ast::Name,
        args: &'a [ast::Arg],
        span: Span,
    ) {
        match word.as_str() {
            "max" => match args {
                [a] => {
                    self.duration(cx, &a.value);
                }
                _ => {
                    let d = Diagnostic::new(codes::ARGUMENT_COUNT, span, "`max` takes one time here");
                    self.say(d.help("as in `response_time: max(3 s)`"));
                }
            },
            "memory" => {
                // `memory(1 MB)`: bytes are no SI unit and are read by the runtime.
                if let [a] = args
                    && !matches!(&a.value.kind, A::Number(_))
                {
                    self.expr(cx, &a.value);
                }
            }
            "gdpr_compliant" => self.gdpr(id, span),
            _ => {
                for a in args {
                    self.expr(cx, &a.value);
                }
            }
        }
    }

    /// Every persistent memory needs an expiry.
    fn gdpr(&mut self, id: ClassId, span: Span) {
        let mut open = Vec::new();
        for (n, sig) in &self.class(id).members {
            if let SigKind::Memory(m) = sig.kind
                && let ast::MemoryKind::Persistent(args) = &m.kind
                && args.is_empty()
            {
                open.push((n.clone(), m.span));
            }
        }
        for (n, at) in open {
            let message = format!("`gdpr_compliant`, and the memory `{n}` never expires");
            let d = Diagnostic::new(codes::POLICY_VIOLATED, at, message).here("persistent without an expiry");
            self.say(d.label(span, "the policy").help("say how long it is kept: `persistent(30 days)`"));
        }
    }
}
