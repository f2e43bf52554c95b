//! Statements of behaviour.

use twinml_model::dimension::Dimension;

use super::assign::Target;
use super::class::Member;
use super::expr::Opened;
use super::place::Place;
use super::ty::{Lit, Ty, Val, is_number};
use super::words::article;
use super::{Checker, Cx, ItemId};
use crate::ast::{self, ExprKind as A, PatternKind, StmtKind};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::behavior::{Arm, Op, Part, PatternForm, Stmt, StmtKind as Kind, Target as Goal};
use crate::hir::{Expr, ExprKind, LocalId, Name, Section, Subscript, Type};

impl<'a> Checker<'a, '_> {
    /// Statements in order; those that could not be checked are left out (a message was given).
    pub(super) fn stmts(&mut self, cx: &mut Cx<'a>, b: &'a ast::Block) -> Vec<Stmt> {
        b.stmts.iter().filter_map(|s| self.stmt(cx, s)).collect()
    }

    pub(super) fn stmt(&mut self, cx: &mut Cx<'a>, s: &'a ast::Stmt) -> Option<Stmt> {
        self.stmt_kind(cx, s).map(|kind| Stmt { kind, span: s.span })
    }

    fn stmt_kind(&mut self, cx: &mut Cx<'a>, s: &'a ast::Stmt) -> Option<Kind> {
        Some(match &s.kind {
            StmtKind::Error => return None,
            StmtKind::Assign { target, value } => return self.assign(cx, target, value),
            StmtKind::Local { name, ty, value } => {
                let declared = self.ty(cx, ty);
                let (ty, value) = match declared {
                    Some(ty) => {
                        let t = Target { name: name.as_str(), span: Some(name.span) };
                        let value = self.value_for(cx, value, &ty, t);
                        (ty, value)
                    }
                    None => (Ty::any(), self.expr(cx, value).map(|v| v.e)),
                };
                let id = self.new_local(cx, name, ty);
                Kind::Assign(Goal::Local(id, Vec::new()), value?)
            }
            StmtKind::Expr(e) => Kind::Expr(self.expr(cx, e)?.e),
            StmtKind::If { arms, otherwise } => {
                let mut out = Vec::with_capacity(arms.len());
                for (c, b) in arms {
                    let c = self.condition(cx, c);
                    let b = self.stmts(cx, b);
                    out.extend(c.map(|c| (c.e, b)));
                }
                let otherwise = match otherwise {
                    Some(b) => self.stmts(cx, b),
                    None => Vec::new(),
                };
                Kind::If(out, otherwise)
            }
            StmtKind::Match { subject, arms } => return self.match_stmt(cx, subject, arms, s.span),
            StmtKind::For { vars, iter, cond, body } => {
                let depth = cx.locals.len();
                let opened = self.open_loop(cx, vars, iter);
                if opened.is_none() {
                    // The names are known to the body all the same.
                    for v in vars {
                        let local = self.local(v.as_str(), Ty::any(), v.span);
                        cx.locals.push(local);
                    }
                }
                let names: Vec<_> = cx.locals[depth..].iter().map(|l| l.id).collect();
                let filter = cond.as_ref().map(|c| self.condition(cx, c));
                let body = self.stmts(cx, body);
                cx.locals.retain(|l| !names.contains(&l.id));
                let filter = match filter {
                    Some(c) => Some(c?.e),
                    None => None,
                };
                match opened? {
                    Opened::Range(range, _) => Kind::ForRange(range, filter, body),
                    Opened::Twins(range, _, there) => {
                        let filter = match (there, filter) {
                            (Some(t), Some(f)) => {
                                let span = f.span;
                                let kind = ExprKind::Binary(crate::hir::BinOp::And, Box::new(t), Box::new(f));
                                Some(Expr { kind, ty: Type::Bool, shape: Vec::new(), span })
                            }
                            (t, f) => t.or(f),
                        };
                        Kind::ForRange(range, filter, body)
                    }
                    Opened::Each(vars, over) => Kind::ForEach(vars, over, filter, body),
                }
            }
            StmtKind::While { cond, body } => {
                let cond = self.condition(cx, cond);
                let body = self.stmts(cx, body);
                Kind::While(cond?.e, body)
            }
            StmtKind::Return(e) => return self.return_stmt(cx, e.as_ref()),
            StmtKind::Emit(e) => {
                let args = self.emitted(cx, e);
                let event = self.event_ref(cx, e)?;
                Kind::Emit(event, args?)
            }
            StmtKind::Send(m) => self.send(cx, m, s.span)?,
            StmtKind::Publish { topic, message } => {
                self.expr(cx, topic);
                if let Some(m) = message {
                    self.emitted(cx, m);
                }
                Kind::Later("`publish`")
            }
            StmtKind::Subscribe(e) => {
                self.expr(cx, e);
                Kind::Later("`subscribe`")
            }
            StmtKind::Log(e) => Kind::Log(self.expr(cx, e)?.e),
            StmtKind::Retire(e) => self.retire(cx, e)?,
            StmtKind::After { delay, body } => {
                let delay = self.duration(cx, delay);
                let body = self.stmts(cx, body);
                Kind::After(delay?, body)
            }
            StmtKind::Wait(w) => match w {
                ast::Wait::Time(e) => Kind::Wait(self.duration(cx, e)?),
                ast::Wait::Until(e) => Kind::WaitUntil(self.condition(cx, e)?.e),
                ast::Wait::Event(e) => Kind::WaitFor(self.event_ref(cx, e)?),
            },
            StmtKind::Create { twin, args, overrides, into } => {
                self.create(cx, twin, args, overrides, into.as_ref(), s.span)?
            }
            StmtKind::Fail(e) => {
                // `fail "reason"`; in a scenario `fail op.plan` names a capability.
                match self.place(cx, e)? {
                    Place::Member(m) if matches!(m.what, Member::Capability) => {
                        Kind::Later("the failure of a capability")
                    }
                    p => Kind::Fail(self.place_value(cx, p, e.span)?.e),
                }
            }
            StmtKind::Stop(None) => Kind::Stop(None),
            StmtKind::Stop(Some(e)) => Kind::Stop(Some(self.expr(cx, e)?.e)),
            StmtKind::Force { .. } | StmtKind::Release(_) => {
                self.misplaced(
                    s.span,
                    "`force` and `release`",
                    "only a scenario takes over what equations give",
                );
                return None;
            }
        })
    }

    fn new_local(&mut self, cx: &mut Cx<'a>, name: &ast::Name, ty: Ty<'a>) -> LocalId {
        let mut local = self.local(name.as_str(), ty, name.span);
        local.assigned = true;
        let id = local.id;
        cx.locals.push(local);
        id
    }

    fn return_stmt(&mut self, cx: &mut Cx<'a>, e: Option<&'a ast::Expr>) -> Option<Kind> {
        let declared = cx.result.as_ref().and_then(|r| r.declared.clone());
        Some(Kind::Return(match (e, declared) {
            (Some(e), Some(ty)) => {
                Some(self.value_for(cx, e, &ty, Target { name: "the result", span: None })?)
            }
            (Some(e), None) => Some(self.expr(cx, e)?.e),
            (None, _) => None,
        }))
    }

    /// `overflow(level: h)`: an event or a message; its arguments are checked, its name is free.
    fn emitted(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Vec<(Option<Name>, Expr)>> {
        match &e.kind {
            A::Call { args, .. } => self.args_any(cx, args),
            A::Name(_) | A::Field { .. } => Some(Vec::new()),
            A::Error => None,
            _ => {
                self.expr(cx, e);
                None
            }
        }
    }

    /// `x = e`
    fn assign(&mut self, cx: &mut Cx<'a>, target: &'a ast::Expr, value: &'a ast::Expr) -> Option<Kind> {
        if let Some(n) = target.as_name() {
            if let Some(l) = cx.locals.iter().rev().find(|l| *l.name == *n.text) {
                let (ty, span, id) = (l.ty.clone(), l.span, l.id);
                if l.alias.is_some() || l.twin.is_some() {
                    self.say(Diagnostic::new(codes::NOT_ASSIGNABLE, n.span, "a loop's value cannot be set"));
                    return None;
                }
                let value = self.reassign(cx, value, &ty, n.as_str(), span)?;
                return Some(Kind::Assign(Goal::Local(id, Vec::new()), value));
            }
            let member = cx.class.is_some_and(|c| self.class(c).members.contains_key(n.as_str()));
            if !member {
                let v = self.expr(cx, value);
                let mut ty = v.as_ref().map_or_else(Ty::any, Val::to_ty);
                // `k = 0` may count or sum: later values decide.
                if v.as_ref().is_some_and(|v| v.lit == Lit::Zero) {
                    ty = Ty::any();
                }
                let id = self.new_local(cx, n, ty);
                return Some(Kind::Assign(Goal::Local(id, Vec::new()), v?.e));
            }
        }
        let Some(place) = self.place(cx, target) else {
            self.expr(cx, value);
            return None;
        };
        let (ty, name, goal) = match place {
            Place::Member(m) => {
                let name = super::body::path_text(&m.r.steps);
                match m.what.clone() {
                    Member::Var { section, ty, .. } => {
                        if let Some(why) = self.cannot_set(&m, section) {
                            let message = format!("`{name}` cannot be set: {why}");
                            let d = Diagnostic::new(codes::NOT_ASSIGNABLE, target.span, message);
                            self.say(d.help("behaviour sets discrete states, undriven inputs, outputs with a constant start, and re-initialises continuous states"));
                            self.expr(cx, value);
                            return None;
                        }
                        let ty = ty.shaped(m.axes);
                        let goal = match super::place::member_kind(section, &ty.base, m.r) {
                            ExprKind::Behavior(op) => goal_of(ExprKind::Behavior(op))?,
                            ExprKind::Member(r) => Goal::Member(r),
                            _ => return None,
                        };
                        (ty, name, goal)
                    }
                    Member::Memory(ty) => {
                        let v = self.place_value(cx, Place::Member(m), target.span)?;
                        match goal_of(v.e.kind) {
                            Some(goal) => (ty, name, goal),
                            None => {
                                self.value_for(cx, value, &ty, Target { name: &name, span: None });
                                return Some(Kind::Later("a lasting memory"));
                            }
                        }
                    }
                    _ => {
                        let d = Diagnostic::new(
                            codes::NOT_ASSIGNABLE,
                            target.span,
                            format!("`{name}` cannot be set"),
                        );
                        self.say(d);
                        self.expr(cx, value);
                        return None;
                    }
                }
            }
            Place::Value(v) => {
                let ty = v.to_ty();
                match goal_of(v.e.kind) {
                    Some(goal) => (ty, "this".to_owned(), goal),
                    None => {
                        self.value_for(cx, value, &ty, Target { name: "this", span: None });
                        return Some(Kind::Later("this assignment"));
                    }
                }
            }
            Place::Enum(_) | Place::Name => {
                self.say(Diagnostic::new(codes::NOT_ASSIGNABLE, target.span, "this cannot be set"));
                self.expr(cx, value);
                return None;
            }
        };
        let value = self.value_for(cx, value, &ty, Target { name: &name, span: None })?;
        Some(Kind::Assign(goal, value))
    }

    fn reassign(
        &mut self,
        cx: &mut Cx<'a>,
        value: &'a ast::Expr,
        ty: &Ty<'a>,
        name: &str,
        span: crate::source::Span,
    ) -> Option<Expr> {
        if ty.base == Type::Any {
            return self.expr(cx, value).map(|v| v.e);
        }
        let mut ty = ty.clone();
        // `n = 1` made it a whole number by accident; a real one may follow.
        if ty.base == Type::Int {
            let v = self.expr(cx, value)?;
            if is_number(&v.e.ty) && v.dimension().is_none_or(Dimension::is_one) {
                return Some(v.e);
            }
            return self.fits(v, &ty, Target { name, span: Some(span) }).map(|v| v.e);
        }
        ty.shown = false;
        self.value_for(cx, value, &ty, Target { name, span: Some(span) })
    }

    /// Why behaviour may not set a member, if so.
    fn cannot_set(&self, m: &super::place::MemberPlace<'a>, section: Section) -> Option<&'static str> {
        match section {
            Section::States if !m.foreign => None,
            Section::States => Some("it is a state of another twin"),
            Section::Inputs => None,
            Section::Outputs if m.foreign => Some("it is an output of another twin"),
            Section::Outputs => {
                let constant = self.output_is_constant(m);
                if constant { None } else { Some("its definition follows equations") }
            }
            Section::Parameters => Some("a parameter is fixed for a run"),
            Section::ValueParam => Some("it chooses the structure"),
            Section::Variables => Some("a variable follows from equations"),
        }
    }

    /// An output whose `=` is a constant is discrete and starts there.
    fn output_is_constant(&self, m: &super::place::MemberPlace<'a>) -> bool {
        let (Some(owner), Some(last)) = (m.owner, m.r.steps.last()) else { return false };
        match self.class(owner).members.get(&last.name).map(|s| s.kind) {
            Some(super::class::SigKind::Var(_, d)) => d.value.as_ref().is_none_or(is_constant),
            _ => false,
        }
    }

    fn match_stmt(
        &mut self,
        cx: &mut Cx<'a>,
        subject: &'a ast::Expr,
        arms: &'a [ast::MatchArm],
        span: crate::source::Span,
    ) -> Option<Kind> {
        let mut out = Vec::with_capacity(arms.len());
        let v = self.expr(cx, subject);
        let ty = v.as_ref().map_or_else(Ty::any, Val::to_ty);
        let mut covered: Vec<u32> = Vec::new();
        let mut truths = [false; 2];
        let mut all = v.is_none();
        let mut by: Option<crate::source::Span> = None;
        for arm in arms {
            if let Some(by) = by {
                let d = Diagnostic::new(codes::IDLE, arm.pattern.span, "this arm is never reached");
                let d = d.label(by, "this one takes everything");
                self.say(d.help("put it before the arm that takes everything, or leave it out"));
            }
            let depth = cx.locals.len();
            let (covers, form) = self.pattern(cx, &arm.pattern, &ty);
            let mut guard = None;
            if let Some(g) = &arm.guard {
                guard = self.condition(cx, g).map(|v| v.e);
            } else {
                match covers {
                    Covers::All => {
                        all = true;
                        if !matches!(arm.pattern.kind, PatternKind::Error) {
                            by = by.or(Some(arm.pattern.span));
                        }
                    }
                    Covers::Value(n) => covered.push(n),
                    Covers::Truth(b) => truths[usize::from(b)] = true,
                    Covers::Some => {}
                }
            }
            let bound = cx.locals.len();
            let body = self.stmts(cx, &arm.body);
            out.extend(form.map(|pattern| Arm { pattern, guard, body }));
            // Pattern names end with the arm; locals made in it stay.
            cx.locals.drain(depth..bound);
        }
        let done = v.map(|v| Kind::Match(v.e, out));
        if all {
            return done;
        }
        let head = crate::source::Span { hi: subject.span.hi.max(span.lo), ..span };
        match &ty.base {
            Type::Enum(id) => {
                let e = &self.model.enums[id.0 as usize];
                let missing: Vec<String> = e
                    .values
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| !covered.contains(&(*i as u32)))
                    .map(|(_, v)| format!("`{}.{v}`", e.name))
                    .collect();
                if !missing.is_empty() {
                    let message = format!("this `match` leaves out {}", missing.join(", "));
                    let d = Diagnostic::new(codes::NOT_EXHAUSTIVE, head, message);
                    self.say(d.help("add an arm for each, or `_ -> …` for the rest"));
                }
            }
            Type::Bool if !(truths[0] && truths[1]) => {
                let d = Diagnostic::new(codes::NOT_EXHAUSTIVE, head, "this `match` leaves out a truth value");
                self.say(d.help("add an arm for it, or `_ -> …`"));
            }
            _ => {}
        }
        done
    }

    /// What a pattern takes, and its checked form.
    fn pattern(
        &mut self,
        cx: &mut Cx<'a>,
        p: &'a ast::Pattern,
        ty: &Ty<'a>,
    ) -> (Covers, Option<PatternForm>) {
        match &p.kind {
            PatternKind::Any => (Covers::All, Some(PatternForm::Any)),
            PatternKind::Error => (Covers::All, None),
            PatternKind::Literal(e) => {
                let Some(v) = self.expr(cx, e) else { return (Covers::Some, None) };
                let truth = match v.e.kind {
                    ExprKind::Bool(b) => Covers::Truth(b),
                    _ => Covers::Some,
                };
                let form = PatternForm::Equal(v.e.clone());
                self.pattern_type(v, ty, p.span);
                (truth, Some(form))
            }
            PatternKind::Range { lo, hi } => {
                let mut ends = Vec::new();
                for e in [lo, hi] {
                    if let Some(v) = self.expr(cx, e) {
                        ends.push(v.e.clone());
                        self.pattern_type(v, ty, p.span);
                    }
                }
                let (hi, lo) = (ends.pop(), ends.pop());
                (Covers::Some, lo.zip(hi).map(|(lo, hi)| PatternForm::Range(lo, hi)))
            }
            PatternKind::Path(path) => self.pattern_path(cx, path, ty),
            PatternKind::Record { path, fields, rest } => {
                let form = self.pattern_record(cx, path, fields, *rest, ty, p.span);
                (Covers::Some, form)
            }
        }
    }

    fn pattern_type(&mut self, v: Val, ty: &Ty<'a>, span: crate::source::Span) {
        if v.is_any() || ty.base == Type::Any {
            return;
        }
        let both = is_number(&v.e.ty) && is_number(&ty.base);
        let fits = if both {
            v.lit == Lit::Zero || v.dimension() == ty.dimension() || ty.dimension().is_none()
        } else {
            v.e.ty == ty.base || super::expr::optional_fits(&v.e.ty, &ty.base)
        };
        if !fits {
            let (x, y) = (self.describe_val(&v), ty.describe(&self.units, &self.model));
            let message = format!("{} {x} never matches {} {y}", article(&x), article(&y));
            self.say(Diagnostic::new(codes::PATTERN_MISMATCH, span, message));
        }
    }

    fn pattern_path(
        &mut self,
        cx: &mut Cx<'a>,
        path: &'a ast::Path,
        ty: &Ty<'a>,
    ) -> (Covers, Option<PatternForm>) {
        let Some(last) = path.names.last() else { return (Covers::Some, None) };
        if let Type::Enum(id) = ty.base {
            let e = &self.model.enums[id.0 as usize];
            let (name, values) = (e.name.clone(), e.values.clone());
            let at = values.iter().position(|v| **v == *last.text);
            let prefix_fits = path.names.len() == 1 || *path.names[path.names.len() - 2].text == *name;
            match (at, path.names.len()) {
                (Some(n), _) if prefix_fits => {
                    let n = n as u32;
                    let kind = ExprKind::EnumValue(id, n);
                    let value = Val::new(kind, Type::Enum(id), path.span).e;
                    return (Covers::Value(n), Some(PatternForm::Equal(value)));
                }
                (_, 1) => {}
                _ => {
                    let message = format!("`{}` is no value of `{name}`", path.dotted());
                    let mut d = Diagnostic::new(codes::PATTERN_MISMATCH, path.span, message);
                    d.help = did_you_mean(last.as_str(), values.iter().map(|v| &**v));
                    self.say(d);
                    return (Covers::Some, None);
                }
            }
            if let Some(near) = crate::diag::nearest(last.as_str(), values.iter().map(|v| &**v)) {
                let message = format!("`{}` is no value of `{name}`", last.as_str());
                let d = Diagnostic::new(codes::PATTERN_MISMATCH, path.span, message);
                self.say(d.help(format!("did you mean `{near}`?")));
                return (Covers::Some, None);
            }
        } else if path.names.len() > 1 {
            // A value of an enumeration where something else is looked at.
            let mut e = ast::Expr::name(path.names[0].clone());
            for n in &path.names[1..] {
                let span = e.span.to(n.span);
                e = ast::Expr::new(A::Field { base: Box::new(e), name: n.clone() }, span);
            }
            let def =
                self.find_def(cx.module, &ast::Path { names: vec![path.names[0].clone()], span: path.span });
            let known = def.map(|d| self.item_of(d));
            if !matches!(known, Some(ItemId::Enum(_))) {
                let d = Diagnostic::new(
                    codes::PATTERN_MISMATCH,
                    path.span,
                    format!("`{}` is no pattern", path.dotted()),
                );
                self.say(d);
            } else if ty.base != Type::Any {
                let what = ty.describe(&self.units, &self.model);
                let message = format!("`{}` never matches {} {what}", path.dotted(), article(&what));
                self.say(Diagnostic::new(codes::PATTERN_MISMATCH, path.span, message));
            }
            return (Covers::Some, None);
        }
        let mut local = self.local(last.as_str(), ty.clone(), last.span);
        local.read = true;
        let id = local.id;
        cx.locals.push(local);
        (Covers::All, Some(PatternForm::Bind(id)))
    }

    fn pattern_record(
        &mut self,
        cx: &mut Cx<'a>,
        path: &'a ast::Path,
        fields: &'a [ast::FieldPattern],
        rest: bool,
        ty: &Ty<'a>,
        span: crate::source::Span,
    ) -> Option<PatternForm> {
        let Some(ItemId::Record(id)) = self.find_def(cx.module, path).map(|d| self.item_of(d)) else {
            let known: Vec<String> = self.model.records.iter().map(|r| r.name.to_string()).collect();
            let message = format!("`{}` is no record", path.dotted());
            let mut d = Diagnostic::new(codes::PATTERN_MISMATCH, path.span, message);
            d.help = did_you_mean(&path.dotted(), known.iter().map(String::as_str));
            self.say(d);
            for f in fields {
                self.pattern_field(cx, f, Ty::any());
            }
            return None;
        };
        let base = match &ty.base {
            Type::Optional(t) => (**t).clone(),
            t => t.clone(),
        };
        if base != Type::Any && base != Type::Record(id) {
            let what = ty.describe(&self.units, &self.model);
            let message = format!("a `{}` never matches {} {what}", path.dotted(), article(&what));
            self.say(Diagnostic::new(codes::PATTERN_MISMATCH, span, message));
        }
        let known = self.record_fields[id.0 as usize].clone();
        let mut parts = Vec::with_capacity(fields.len());
        for f in fields {
            match known.get(f.name.as_str()) {
                Some(t) => {
                    let form = self.pattern_field(cx, f, t.clone());
                    parts.extend(form.map(|form| (Name::from(f.name.as_str()), form)));
                }
                None => {
                    let message = format!("`{}` has no field `{}`", path.dotted(), f.name.as_str());
                    let mut d = Diagnostic::new(codes::BAD_RECORD_FIELDS, f.name.span, message);
                    d.help = did_you_mean(f.name.as_str(), known.keys().map(|k| &**k));
                    self.say(d);
                    self.pattern_field(cx, f, Ty::any());
                }
            }
        }
        let missing: Vec<String> = known
            .keys()
            .filter(|k| !fields.iter().any(|f| *f.name.text == ***k))
            .map(|k| format!("`{k}`"))
            .collect();
        if !rest && !missing.is_empty() {
            let message = format!("this pattern leaves out {}", missing.join(", "));
            let d = Diagnostic::new(codes::BAD_RECORD_FIELDS, span, message);
            self.say(d.help("end it with `..` where the others do not matter"));
        }
        (parts.len() == fields.len()).then_some(PatternForm::Record(id, parts))
    }

    fn pattern_field(
        &mut self,
        cx: &mut Cx<'a>,
        f: &'a ast::FieldPattern,
        ty: Ty<'a>,
    ) -> Option<PatternForm> {
        match &f.pattern {
            Some(p) => self.pattern(cx, p, &ty).1,
            None => {
                let mut local = self.local(f.name.as_str(), ty, f.name.span);
                local.read = true;
                let id = local.id;
                cx.locals.push(local);
                Some(PatternForm::Bind(id))
            }
        }
    }
}

/// The place that a checked value on the left of `=` stands for.
fn goal_of(kind: ExprKind) -> Option<Goal> {
    fn walk(e: &ExprKind) -> Option<Goal> {
        match e {
            ExprKind::Local(id) => Some(Goal::Local(*id, Vec::new())),
            ExprKind::Index(base, subs) => {
                let mut goal = walk(&base.kind)?;
                for s in subs {
                    match s {
                        Subscript::Index(i) => goal.push(Part::Index(i.clone()))?,
                        Subscript::Slice(..) => return None,
                    }
                }
                Some(goal)
            }
            ExprKind::Behavior(op) => match &**op {
                Op::Heap(r) => Some(Goal::Heap(r.clone(), Vec::new())),
                Op::Field(base, name) => {
                    let mut goal = walk(&base.kind)?;
                    goal.push(Part::Field(name.clone()))?;
                    Some(goal)
                }
                Op::Element(base, at) => {
                    let mut goal = walk(&base.kind)?;
                    goal.push(Part::Index(at.clone()))?;
                    Some(goal)
                }
                _ => None,
            },
            _ => None,
        }
    }
    walk(&kind)
}

/// Which values a pattern takes.
enum Covers {
    All,
    Value(u32),
    Truth(bool),
    Some,
}

/// Whether an expression is a constant: literals and values of enumerations.
fn is_constant(e: &ast::Expr) -> bool {
    match &e.kind {
        A::Number(_) | A::Bool(_) | A::Str(_) | A::None | A::Timestamp(_) => true,
        A::Unary { expr, .. } => is_constant(expr),
        A::Array(items) => items.iter().all(is_constant),
        A::Field { base, .. } => base.as_name().is_some_and(|n| n.as_str().starts_with(char::is_uppercase)),
        _ => false,
    }
}
