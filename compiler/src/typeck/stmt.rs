//! Statements of behaviour.

use twinml_model::dimension::Dimension;

use super::assign::Target;
use super::class::Member;
use super::place::Place;
use super::ty::{Lit, Ty, Val, is_number};
use super::words::article;
use super::{Checker, Cx, ItemId};
use crate::ast::{self, ExprKind as A, PatternKind, StmtKind};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{ExprKind, Section, Type};

impl<'a> Checker<'a, '_> {
    pub(super) fn stmts(&mut self, cx: &mut Cx<'a>, b: &'a ast::Block) {
        for s in &b.stmts {
            self.stmt(cx, s);
        }
    }

    pub(super) fn stmt(&mut self, cx: &mut Cx<'a>, s: &'a ast::Stmt) {
        match &s.kind {
            StmtKind::Error => {}
            StmtKind::Assign { target, value } => self.assign(cx, target, value),
            StmtKind::Local { name, ty, value } => {
                let declared = self.ty(cx, ty);
                match declared {
                    Some(ty) => {
                        let t = Target { name: name.as_str(), span: Some(name.span) };
                        self.value_for(cx, value, &ty, t);
                        self.new_local(cx, name, ty);
                    }
                    None => {
                        self.expr(cx, value);
                        self.new_local(cx, name, Ty::any());
                    }
                }
            }
            StmtKind::Expr(e) => {
                self.expr(cx, e);
            }
            StmtKind::If { arms, otherwise } => {
                for (c, b) in arms {
                    self.condition(cx, c);
                    self.stmts(cx, b);
                }
                if let Some(b) = otherwise {
                    self.stmts(cx, b);
                }
            }
            StmtKind::Match { subject, arms } => self.match_stmt(cx, subject, arms, s.span),
            StmtKind::For { vars, iter, cond, body } => {
                let depth = cx.locals.len();
                let opened = self.open_loop(cx, vars, iter).is_some();
                if !opened {
                    // The names are known to the body all the same.
                    for v in vars {
                        let local = self.local(v.as_str(), Ty::any(), v.span);
                        cx.locals.push(local);
                    }
                }
                let names: Vec<_> = cx.locals[depth..].iter().map(|l| l.id).collect();
                if let Some(c) = cond {
                    self.condition(cx, c);
                }
                self.stmts(cx, body);
                cx.locals.retain(|l| !names.contains(&l.id));
            }
            StmtKind::While { cond, body } => {
                self.condition(cx, cond);
                self.stmts(cx, body);
            }
            StmtKind::Return(e) => self.return_stmt(cx, e.as_ref()),
            StmtKind::Emit(e) => self.emitted(cx, e),
            StmtKind::Send(m) => self.send(cx, m),
            StmtKind::Publish { topic, message } => {
                self.expr(cx, topic);
                if let Some(m) = message {
                    self.emitted(cx, m);
                }
            }
            StmtKind::Subscribe(e) | StmtKind::Log(e) | StmtKind::Retire(e) => {
                self.expr(cx, e);
            }
            StmtKind::After { delay, body } => {
                self.duration(cx, delay);
                self.stmts(cx, body);
            }
            StmtKind::Wait(w) => match w {
                ast::Wait::Time(e) => self.duration(cx, e),
                ast::Wait::Until(e) => {
                    self.condition(cx, e);
                }
                ast::Wait::Event(_) => {}
            },
            StmtKind::Create { twin, args, overrides, into } => {
                self.create(cx, twin, args, overrides, into.as_ref())
            }
            StmtKind::Fail(e) => {
                // `fail "reason"`; in a scenario `fail op.plan` names a capability.
                match self.place(cx, e) {
                    Some(Place::Member(m)) if matches!(m.what, Member::Capability) => {}
                    Some(p) => {
                        self.place_value(cx, p, e.span);
                    }
                    None => {}
                }
            }
            StmtKind::Stop(e) => {
                if let Some(e) = e {
                    self.expr(cx, e);
                }
            }
            StmtKind::Force { .. } | StmtKind::Release(_) => {
                self.misplaced(
                    s.span,
                    "`force` and `release`",
                    "only a scenario takes over what equations give",
                );
            }
        }
    }

    fn new_local(&mut self, cx: &mut Cx<'a>, name: &ast::Name, ty: Ty<'a>) {
        let mut local = self.local(name.as_str(), ty, name.span);
        local.assigned = true;
        cx.locals.push(local);
    }

    fn return_stmt(&mut self, cx: &mut Cx<'a>, e: Option<&'a ast::Expr>) {
        let declared = cx.result.as_ref().and_then(|r| r.declared.clone());
        match (e, declared) {
            (Some(e), Some(ty)) => {
                self.value_for(cx, e, &ty, Target { name: "the result", span: None });
            }
            (Some(e), None) => {
                self.expr(cx, e);
            }
            (None, _) => {}
        }
    }

    /// `overflow(level: h)`: an event or a message; its arguments are checked, its name is free.
    fn emitted(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) {
        match &e.kind {
            A::Call { args, .. } => self.args_any(cx, args),
            A::Name(_) | A::Field { .. } | A::Error => {}
            _ => {
                self.expr(cx, e);
            }
        }
    }

    fn send(&mut self, cx: &mut Cx<'a>, m: &'a ast::Send) {
        self.emitted(cx, &m.message);
        if let Some(to) = &m.to {
            self.address(cx, to);
        }
        if let Some(d) = &m.after {
            self.duration(cx, d);
        }
        if let Some(p) = &m.priority
            && p.as_name().is_none()
        {
            self.expr(cx, p);
        }
        for a in &m.attrs {
            match a.name.as_str() {
                "ttl" => self.duration(cx, &a.value),
                _ => {
                    self.expr(cx, &a.value);
                }
            }
        }
    }

    /// Where a message goes: one's own members first, then outward.
    fn address(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) {
        if let Some(path) = e.as_path()
            && let Some(first) = path.names.first()
            && !self.own_name(cx, first.as_str())
            && first.as_str() != "self"
        {
            if self.part_names.contains(first.as_str())
                || self.scopes[cx.module.0 as usize].contains_key(first.as_str())
            {
                return;
            }
            let message = format!("no twin of this model has a part `{}`", first.as_str());
            let mut d = Diagnostic::new(codes::UNKNOWN_EVENT, first.span, message)
                .here("an address that leads nowhere");
            d.help = did_you_mean(first.as_str(), self.part_names.iter().map(|n| &**n));
            self.say_missing(first.as_str(), d);
            return;
        }
        self.expr(cx, e);
    }

    fn create(
        &mut self,
        cx: &mut Cx<'a>,
        twin: &'a ast::Path,
        args: &'a [ast::GenericArg],
        overrides: &'a [ast::Override],
        into: Option<&'a ast::Expr>,
    ) {
        match self.find_def(cx.module, twin).map(|d| self.item_of(d)) {
            Some(ItemId::Class(c)) => {
                self.class_args(cx, c, args, twin.span);
                let mode = cx.mode;
                self.overrides(cx, Some(c), &[], overrides);
                cx.mode = mode;
            }
            _ => {
                let known: Vec<String> = self.classes.iter().map(|c| c.name.to_string()).collect();
                let message = format!("unknown twin `{}`", twin.dotted());
                let mut d = Diagnostic::new(codes::UNKNOWN_TYPE, twin.span, message);
                d.help = did_you_mean(&twin.dotted(), known.iter().map(String::as_str));
                self.say(d);
            }
        }
        if let Some(e) = into
            && let Some(p) = self.place(cx, e)
        {
            match p {
                Place::Member(m) if matches!(m.what, Member::Part { population: true, .. }) => {}
                _ => {
                    let d = Diagnostic::new(codes::WRONG_KIND_OF_NAME, e.span, "this is no population");
                    self.say(d.help("a population has a capacity: `trucks: Truck[0..200]`"));
                }
            }
        }
    }

    /// `x = e`
    fn assign(&mut self, cx: &mut Cx<'a>, target: &'a ast::Expr, value: &'a ast::Expr) {
        if let Some(n) = target.as_name() {
            if let Some(l) = cx.locals.iter().rev().find(|l| *l.name == *n.text) {
                let (ty, span) = (l.ty.clone(), l.span);
                self.reassign(cx, value, &ty, n.as_str(), span);
                return;
            }
            let member = cx.class.is_some_and(|c| self.class(c).members.contains_key(n.as_str()));
            if !member {
                let v = self.expr(cx, value);
                let mut ty = v.as_ref().map_or_else(Ty::any, Val::to_ty);
                // `k = 0` may count or sum: later values decide.
                if v.as_ref().is_some_and(|v| v.lit == Lit::Zero) {
                    ty = Ty::any();
                }
                self.new_local(cx, n, ty);
                return;
            }
        }
        let Some(place) = self.place(cx, target) else {
            self.expr(cx, value);
            return;
        };
        let (ty, name) = match place {
            Place::Member(m) => {
                let name = super::body::path_text(&m.r.steps);
                match m.what.clone() {
                    Member::Var { section, ty, .. } => {
                        if let Some(why) = self.cannot_set(&m, section) {
                            let message = format!("`{name}` cannot be set: {why}");
                            let d = Diagnostic::new(codes::NOT_ASSIGNABLE, target.span, message);
                            self.say(d.help("behaviour sets discrete states, undriven inputs, outputs with a constant start, and re-initialises continuous states"));
                            self.expr(cx, value);
                            return;
                        }
                        (ty.shaped(m.axes), name)
                    }
                    Member::Memory(ty) => (ty, name),
                    _ => {
                        let d = Diagnostic::new(
                            codes::NOT_ASSIGNABLE,
                            target.span,
                            format!("`{name}` cannot be set"),
                        );
                        self.say(d);
                        self.expr(cx, value);
                        return;
                    }
                }
            }
            Place::Value(v) => (v.to_ty(), "this".to_owned()),
            Place::Enum(_) | Place::Name => {
                self.say(Diagnostic::new(codes::NOT_ASSIGNABLE, target.span, "this cannot be set"));
                self.expr(cx, value);
                return;
            }
        };
        self.value_for(cx, value, &ty, Target { name: &name, span: None });
    }

    fn reassign(
        &mut self,
        cx: &mut Cx<'a>,
        value: &'a ast::Expr,
        ty: &Ty<'a>,
        name: &str,
        span: crate::source::Span,
    ) {
        if ty.base == Type::Any {
            self.expr(cx, value);
            return;
        }
        let mut ty = ty.clone();
        // `n = 1` made it a whole number by accident; a real one may follow.
        if ty.base == Type::Int {
            let Some(v) = self.expr(cx, value) else { return };
            if is_number(&v.e.ty) && v.dimension().is_none_or(Dimension::is_one) {
                return;
            }
            self.fits(v, &ty, Target { name, span: Some(span) });
            return;
        }
        ty.shown = false;
        self.value_for(cx, value, &ty, Target { name, span: Some(span) });
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
    ) {
        let v = self.expr(cx, subject);
        let ty = v.as_ref().map_or_else(Ty::any, Val::to_ty);
        let mut covered: Vec<u32> = Vec::new();
        let mut truths = [false; 2];
        let mut all = v.is_none();
        for arm in arms {
            let depth = cx.locals.len();
            let covers = self.pattern(cx, &arm.pattern, &ty);
            if let Some(g) = &arm.guard {
                self.condition(cx, g);
            } else {
                match covers {
                    Covers::All => all = true,
                    Covers::Value(n) => covered.push(n),
                    Covers::Truth(b) => truths[usize::from(b)] = true,
                    Covers::Some => {}
                }
            }
            let bound = cx.locals.len();
            self.stmts(cx, &arm.body);
            // Pattern names end with the arm; locals made in it stay.
            cx.locals.drain(depth..bound);
        }
        if all {
            return;
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
    }

    fn pattern(&mut self, cx: &mut Cx<'a>, p: &'a ast::Pattern, ty: &Ty<'a>) -> Covers {
        match &p.kind {
            PatternKind::Any => Covers::All,
            PatternKind::Error => Covers::All,
            PatternKind::Literal(e) => {
                let Some(v) = self.expr(cx, e) else { return Covers::Some };
                let truth = match v.e.kind {
                    ExprKind::Bool(b) => Covers::Truth(b),
                    _ => Covers::Some,
                };
                self.pattern_type(v, ty, p.span);
                truth
            }
            PatternKind::Range { lo, hi } => {
                for e in [lo, hi] {
                    if let Some(v) = self.expr(cx, e) {
                        self.pattern_type(v, ty, p.span);
                    }
                }
                Covers::Some
            }
            PatternKind::Path(path) => self.pattern_path(cx, path, ty),
            PatternKind::Record { path, fields, rest } => {
                self.pattern_record(cx, path, fields, *rest, ty, p.span);
                Covers::Some
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

    fn pattern_path(&mut self, cx: &mut Cx<'a>, path: &'a ast::Path, ty: &Ty<'a>) -> Covers {
        let Some(last) = path.names.last() else { return Covers::Some };
        if let Type::Enum(id) = ty.base {
            let e = &self.model.enums[id.0 as usize];
            let (name, values) = (e.name.clone(), e.values.clone());
            let at = values.iter().position(|v| **v == *last.text);
            let prefix_fits = path.names.len() == 1 || *path.names[path.names.len() - 2].text == *name;
            match (at, path.names.len()) {
                (Some(n), _) if prefix_fits => return Covers::Value(n as u32),
                (_, 1) => {}
                _ => {
                    let message = format!("`{}` is no value of `{name}`", path.dotted());
                    let mut d = Diagnostic::new(codes::PATTERN_MISMATCH, path.span, message);
                    d.help = did_you_mean(last.as_str(), values.iter().map(|v| &**v));
                    self.say(d);
                    return Covers::Some;
                }
            }
            if let Some(near) = crate::diag::nearest(last.as_str(), values.iter().map(|v| &**v)) {
                let message = format!("`{}` is no value of `{name}`", last.as_str());
                let d = Diagnostic::new(codes::PATTERN_MISMATCH, path.span, message);
                self.say(d.help(format!("did you mean `{near}`?")));
                return Covers::Some;
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
            return Covers::Some;
        }
        let mut local = self.local(last.as_str(), ty.clone(), last.span);
        local.read = true;
        cx.locals.push(local);
        Covers::All
    }

    fn pattern_record(
        &mut self,
        cx: &mut Cx<'a>,
        path: &'a ast::Path,
        fields: &'a [ast::FieldPattern],
        rest: bool,
        ty: &Ty<'a>,
        span: crate::source::Span,
    ) {
        let Some(ItemId::Record(id)) = self.find_def(cx.module, path).map(|d| self.item_of(d)) else {
            let known: Vec<String> = self.model.records.iter().map(|r| r.name.to_string()).collect();
            let message = format!("`{}` is no record", path.dotted());
            let mut d = Diagnostic::new(codes::PATTERN_MISMATCH, path.span, message);
            d.help = did_you_mean(&path.dotted(), known.iter().map(String::as_str));
            self.say(d);
            for f in fields {
                self.pattern_field(cx, f, Ty::any());
            }
            return;
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
        for f in fields {
            match known.get(f.name.as_str()) {
                Some(t) => self.pattern_field(cx, f, t.clone()),
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
    }

    fn pattern_field(&mut self, cx: &mut Cx<'a>, f: &'a ast::FieldPattern, ty: Ty<'a>) {
        match &f.pattern {
            Some(p) => {
                self.pattern(cx, p, &ty);
            }
            None => {
                let mut local = self.local(f.name.as_str(), ty, f.name.span);
                local.read = true;
                cx.locals.push(local);
            }
        }
    }
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
