//! Scenarios: which twin, how long, which solver, what is set, driven, recorded and expected.

use std::rc::Rc;

use twinml_model::dimension::Dimension;
use twinml_model::program::{Outside, TableMethod};

use super::assign::Target;
use super::class::{Member, section_word};
use super::place::Place;
use super::ty::{Ty, const_int, display_unit};
use super::words::article;
use super::{Checker, Cx, ItemId, Mode};
use crate::ast::{self, ExprKind as A, ScenarioItem, StmtKind};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{self, ActionStmt, ClassId, Expr, ExprKind, Ref, Section, Type};
use crate::resolve::ModuleId;

/// Solvers and the settings that each takes.
pub(super) const SOLVERS: &[&str] = &[
    "auto",
    "euler",
    "rk4",
    "dopri5",
    "tsit5",
    "taylor",
    "adams",
    "implicit_euler",
    "bdf",
    "esdirk",
    "trbdf2",
    "rosenbrock",
    "milstein",
    "diffsol_bdf",
];

const SOLVER_ARGS: &[&str] =
    &["rtol", "atol", "step", "max_step", "min_step", "initial_step", "max_steps", "order", "max_order"];

const SETTINGS: &[&str] =
    &["duration", "solver", "seed", "samples", "calendar", "title", "description", "layout"];

impl<'a> Checker<'a, '_> {
    /// Scenarios of the root file, and, for their checks, of the others.
    pub(super) fn check_scenarios(&mut self) {
        let modules = self.modules;
        for (m, module) in modules.list.iter().enumerate() {
            let m = ModuleId(m as u32);
            let all: Vec<&'a ast::Scenario> = module
                .ast
                .items
                .iter()
                .filter_map(|i| match i {
                    ast::Item::Scenario(s) => Some(s),
                    _ => None,
                })
                .collect();
            let mut seen: Vec<&ast::Name> = Vec::new();
            for (k, s) in all.iter().enumerate() {
                let again = |later: &ast::Scenario| later.name.text == s.name.text;
                if module.ast.is_tainted(s.name.span) && all[k + 1..].iter().any(|l| again(l)) {
                    // its head is never closed: the second one has the text
                    continue;
                }
                if let Some(old) = seen.iter().find(|o| o.text == s.name.text) {
                    let message = format!("the scenario `{}` is declared twice", s.name.as_str());
                    let d = Diagnostic::new(codes::DUPLICATE_NAME, s.name.span, message);
                    self.say(d.label(old.span, "first declared here"));
                    continue;
                }
                seen.push(&s.name);
                if let Some(found) = self.scenario(m, s, &all)
                    && m.0 == 0
                {
                    self.model.scenarios.push(found);
                }
            }
        }
    }

    fn scenario(
        &mut self,
        m: ModuleId,
        s: &'a ast::Scenario,
        all: &[&'a ast::Scenario],
    ) -> Option<hir::Scenario> {
        let chain = self.scenario_chain(s, all)?;
        let name = s.target.dotted();
        let class = match self.find_def(m, &s.target).map(|d| self.item_of(d)) {
            Some(ItemId::Class(c)) => c,
            Some(_) => {
                let message = format!("`{name}` is no twin");
                self.say(Diagnostic::new(codes::WRONG_KIND_OF_NAME, s.target.span, message));
                return None;
            }
            // The parser has said that it is missing.
            None if name.is_empty() => return None,
            None => {
                let known: Vec<String> = self.classes.iter().map(|c| c.name.to_string()).collect();
                let mut d =
                    Diagnostic::new(codes::UNKNOWN_TYPE, s.target.span, format!("unknown twin `{name}`"));
                d.help = did_you_mean(&name, known.iter().map(String::as_str));
                self.say_missing(&name, d);
                return None;
            }
        };
        if self.class(class).ast.is_partial.is_some() {
            let span = self.class(class).ast.name.span;
            let d = Diagnostic::new(
                codes::PARTIAL_TWIN,
                s.target.span,
                format!("`{name}` is a partial twin and cannot be run"),
            );
            self.say(d.label(span, "declared `partial` here").help("run a twin that extends it"));
            return None;
        }
        let mut outer = Cx::new(m, None, Mode::Formula);
        let class_use = self.class_args(&mut outer, class, &s.args, s.target.span)?;
        let class = self.used_class(&outer, class, &s.args);
        let mut out = hir::Scenario {
            name: Rc::from(s.name.as_str()),
            class: class_use,
            duration: None,
            solver: None,
            seed: None,
            parameters: Vec::new(),
            starts: Vec::new(),
            drives: Vec::new(),
            actions: Vec::new(),
            branches: Vec::new(),
            records: Vec::new(),
            expects: Vec::new(),
            checks: Vec::new(),
            samples: None,
            calendar: None,
            fidelities: Vec::new(),
            span: s.name.span,
        };
        self.branch_names(s);
        // Inherited entries were checked, with their own messages, where they stand; `say` drops repeats.
        let last = chain.len() - 1;
        for (n, one) in chain.iter().enumerate() {
            let own = n == last;
            let says_expect = one.items.iter().any(|i| matches!(i, ScenarioItem::Expect(..)));
            let says_record = one.items.iter().any(|i| matches!(i, ScenarioItem::Record(_)));
            if own && says_expect {
                out.expects.clear();
                out.checks.clear();
            }
            if own && says_record {
                out.records.clear();
            }
            let inherited = out.actions.len();
            for (k, item) in one.items.iter().enumerate() {
                self.scenario_item(m, class, item, &mut out);
                if own {
                    self.said_before(&one.items[..k], item);
                }
            }
            if own {
                self.after_the_end(&out, inherited);
            }
        }
        Some(out)
    }

    /// The scenario and what it extends, oldest first.
    fn scenario_chain(
        &mut self,
        s: &'a ast::Scenario,
        all: &[&'a ast::Scenario],
    ) -> Option<Vec<&'a ast::Scenario>> {
        let mut chain = vec![s];
        let mut at = s;
        while let Some(base) = &at.base {
            let Some(next) = all.iter().find(|o| o.name.text == base.text) else {
                let message = format!("there is no scenario `{}`", base.as_str());
                let mut d = Diagnostic::new(codes::UNKNOWN_NAME, base.span, message);
                d.help = did_you_mean(base.as_str(), all.iter().map(|o| o.name.as_str()));
                self.say_missing(base.as_str(), d);
                return None;
            };
            if chain.iter().any(|c| c.name.text == next.name.text) {
                let message = format!("the scenario `{}` extends itself", s.name.as_str());
                self.say(Diagnostic::new(codes::CYCLIC_EXTENDS, base.span, message));
                return None;
            }
            chain.push(next);
            at = next;
        }
        chain.reverse();
        Some(chain)
    }

    /// A context that sees all members of the twin that runs.
    pub(super) fn scenario_cx(&self, m: ModuleId, class: ClassId) -> Cx<'a> {
        let mut cx = self.class_cx(class, Mode::Constraint);
        cx.module = m;
        cx
    }

    pub(super) fn scenario_item(
        &mut self,
        m: ModuleId,
        class: ClassId,
        item: &'a ScenarioItem,
        out: &mut hir::Scenario,
    ) {
        let mut cx = self.scenario_cx(m, class);
        match item {
            ScenarioItem::Error(_) => {}
            ScenarioItem::Setting(s) => self.setting(&mut cx, s, out),
            ScenarioItem::Parameters(list, _) => {
                let mut found = self.overrides(&mut cx, Some(class), &[], list);
                out.parameters.append(&mut found);
                out.fidelities.append(&mut self.chosen);
            }
            ScenarioItem::Start(list, _) => {
                let mut found = self.overrides(&mut cx, Some(class), &[], list);
                out.starts.append(&mut found);
            }
            ScenarioItem::Drive(d) => {
                if let Some(d) = self.drive(&mut cx, class, d) {
                    out.drives.push(d);
                }
            }
            ScenarioItem::Handler(h) => self.timed(&mut cx, class, h, out),
            ScenarioItem::Branch(b) => self.branch(m, class, b, out),
            ScenarioItem::Record(r) => {
                if let Some(r) = self.record_entry(&mut cx, r) {
                    out.records.push(r);
                }
            }
            ScenarioItem::Expect(list, _) => {
                for e in list {
                    self.expectation(&mut cx, class, e, out);
                }
            }
            ScenarioItem::Fidelity { target, level, span } => {
                if let Some(p) = self.override_target(&mut cx, Some(class), target) {
                    if let Member::Part { class: c, .. } = p.what
                        && self.is_other_level(c, level) != Some(true)
                    {
                        return;
                    }
                    out.fidelities.push((
                        super::body::path_text(&p.r.steps),
                        Rc::from(level.as_str()),
                        *span,
                    ));
                }
            }
            ScenarioItem::Action(s) => {
                let body = self.action(&mut cx, class, s);
                let zero = Expr {
                    kind: ExprKind::Real(0.0),
                    ty: Type::Real(Some(Dimension::TIME)),
                    shape: Vec::new(),
                    span: s.span,
                };
                out.actions.push(hir::TimedAction {
                    time: zero,
                    body: body.into_iter().collect(),
                    span: s.span,
                });
            }
        }
    }

    fn setting(&mut self, cx: &mut Cx<'a>, s: &'a ast::Setting, out: &mut hir::Scenario) {
        let Some(v) = s.values.first() else { return };
        match s.name.as_str() {
            "duration" => {
                if let Some(e) = self.seconds(cx, v) {
                    if super::constant::number(&e).is_some_and(|x| x <= 0.0 || x.is_nan()) {
                        let d = Diagnostic::new(
                            codes::BAD_SETTING,
                            v.span,
                            "the duration of a scenario must be greater than zero",
                        );
                        self.say(d);
                    }
                    out.duration = Some(e);
                }
            }
            "solver" => out.solver = self.solver(cx, v),
            "seed" | "samples" => {
                let n = self.expr(cx, v).and_then(|v| {
                    let n = const_int(&v.e).and_then(|n| u64::try_from(n).ok());
                    if n.is_none() {
                        let message = format!("`{}` is a whole number, 0 or more", s.name.as_str());
                        self.say(Diagnostic::new(codes::BAD_SETTING, v.span(), message));
                    }
                    n
                });
                if s.name.as_str() == "seed" {
                    out.seed = n;
                } else {
                    out.samples = n;
                }
            }
            "calendar" => match &v.kind {
                A::Timestamp(t) => out.calendar = parse_calendar(t),
                A::Error => {}
                _ => {
                    let d = Diagnostic::new(codes::BAD_SETTING, v.span, "`calendar` is a moment");
                    self.say(d.help("as in `calendar: 2026-01-05T00:00+01:00`"));
                }
            },
            other if SETTINGS.contains(&other) => {}
            other => {
                let message = format!("a scenario has no setting `{other}`");
                let mut d = Diagnostic::new(codes::BAD_SETTING, s.name.span, message);
                let known = SETTINGS.iter().copied().chain([
                    "record",
                    "expect",
                    "parameters",
                    "start",
                    "drive",
                    "branch",
                ]);
                d.help = did_you_mean(other, known);
                self.say(d);
            }
        }
    }

    /// A time that is known before the run.
    pub(super) fn seconds(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<Expr> {
        let off = std::mem::replace(&mut cx.units_off, false);
        let v = self.expr(cx, e);
        cx.units_off = off;
        let v = v?;
        if off && matches!(v.e.ty, Type::Int | Type::Real(None)) {
            return Some(v.e);
        }
        self.fits(v, &Ty::real(Dimension::TIME), Target { name: "a time", span: None }).map(|v| v.e)
    }

    fn solver(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<hir::SolverEntry> {
        let (name, args): (&ast::Name, &'a [ast::Arg]) = match &e.kind {
            A::Name(n) => (n, &[]),
            A::Call { callee, args } => (callee.as_name()?, args),
            A::Error => return None,
            _ => {
                let d = Diagnostic::new(codes::BAD_SOLVER, e.span, "a solver is named here");
                self.say(d.help("as in `solver: bdf(rtol: 1e-6, atol: 1e-9)`"));
                return None;
            }
        };
        if !SOLVERS.contains(&name.as_str()) {
            let message = format!("unknown solver `{}`", name.as_str());
            let mut d = Diagnostic::new(codes::BAD_SOLVER, name.span, message);
            d.help = did_you_mean(name.as_str(), SOLVERS.iter().copied())
                .or_else(|| Some(format!("one of `{}`", SOLVERS.join("`, `"))));
            self.say(d);
            return None;
        }
        let mut out: Vec<(Rc<str>, Expr)> = Vec::new();
        for a in args {
            let Some(n) = a.name.as_ref().filter(|n| SOLVER_ARGS.contains(&n.as_str())) else {
                let (span, shown) = match &a.name {
                    Some(n) => (n.span, format!("`{}`", n.as_str())),
                    None => (a.span, "a value without a name".into()),
                };
                let mut d = Diagnostic::new(
                    codes::BAD_SOLVER,
                    span,
                    format!("`{}` does not take {shown}", name.as_str()),
                );
                d.help = a
                    .name
                    .as_ref()
                    .and_then(|n| did_you_mean(n.as_str(), SOLVER_ARGS.iter().copied()))
                    .or_else(|| Some("as in `bdf(rtol: 1e-6, atol: 1e-9)`".into()));
                self.say(d);
                continue;
            };
            let time = matches!(n.as_str(), "step" | "max_step" | "min_step" | "initial_step");
            let v = if time {
                self.seconds(cx, &a.value)
            } else {
                let v = self.expr(cx, &a.value);
                let ty = Ty::real(Dimension::ONE);
                v.and_then(|v| self.fits(v, &ty, Target { name: n.as_str(), span: None })).map(|v| v.e)
            };
            if let Some(v) = v {
                let value = super::constant::number(&v);
                let mut bad = |message: String| self.say(Diagnostic::new(codes::BAD_SOLVER, a.span, message));
                if value.is_some_and(|x| !(x > 0.0 && x.is_finite())) {
                    bad(format!("`{}` must be finite and greater than zero", n.as_str()));
                } else if n.as_str() == "rtol" && value.is_some_and(|x| x >= 1.0) {
                    bad("`rtol` is an error relative to the values, less than 1".to_owned());
                }
                if out.iter().any(|(o, _)| **o == *n.as_str()) {
                    bad(format!("`{}` is given twice", n.as_str()));
                }
                out.push((Rc::from(n.as_str()), v));
            }
        }
        if matches!(name.as_str(), "euler" | "rk4" | "milstein") {
            self.not_for_fixed_steps(name, args, &out);
            out.retain(|(n, _)| matches!(&**n, "rtol" | "atol" | "step" | "max_step" | "max_steps"));
        }
        Some(hir::SolverEntry { method: Rc::from(name.as_str()), args: out, span: e.span })
    }

    fn drive(&mut self, cx: &mut Cx<'a>, class: ClassId, d: &'a ast::Drive) -> Option<hir::Drive> {
        let target = self.override_target(cx, Some(class), &d.target)?;
        let ty = match &target.what {
            Member::Var { section: Section::Inputs, ty, .. } => ty.clone(),
            _ => {
                let message = format!("`{}` is no input", super::body::path_text(&target.r.steps));
                let diag = Diagnostic::new(codes::NOT_ASSIGNABLE, d.target.span, message);
                self.say(diag.here("only an input is driven"));
                return None;
            }
        };
        let Some(file) = d.source.as_str() else {
            if !d.source.is_error() {
                self.say(Diagnostic::new(codes::BAD_SETTING, d.source.span, "the file of `drive` is a text"));
            }
            return None;
        };
        let column = match &d.column {
            Some(c) => match c.as_str() {
                Some(c) => Rc::from(c),
                None => {
                    self.say(Diagnostic::new(codes::BAD_SETTING, c.span, "the column of `drive` is a text"));
                    return None;
                }
            },
            None => target.r.steps.last()?.name.clone(),
        };
        let unit = match &d.unit {
            Some(u) => {
                let mut shown = ty.clone();
                self.with_unit(&mut shown, u, cx.units_off)?;
                shown.unit.as_ref().map(display_unit)
            }
            None => None,
        };
        // Between two truth values, whole numbers or words there is nothing.
        let apart = matches!(ty.base, Type::Bool | Type::Int | Type::Enum(_));
        let method = match d.method.as_ref().map(ast::Name::as_str) {
            None if apart => TableMethod::Step,
            Some("linear" | "pchip" | "cubic" | "spline") if apart => {
                let n = d.method.as_ref()?;
                let name = super::body::path_text(&target.r.steps);
                let what = ty.describe(&self.units, &self.model);
                let what = format!("{} {what}", article(&what));
                let message = format!("`{name}` is {what}, which has nothing between two values");
                let diag = Diagnostic::new(codes::BAD_SETTING, n.span, message);
                self.say(diag.help("write `step`: the value holds until the next row"));
                return None;
            }
            None | Some("linear") => TableMethod::Linear,
            Some("step" | "previous") => TableMethod::Step,
            Some("pchip") => TableMethod::Pchip,
            Some("cubic" | "spline") => TableMethod::Cubic,
            Some(other) => {
                let span = d.method.as_ref().map_or(d.span, |n| n.span);
                let known = ["linear", "step", "previous", "pchip", "cubic"];
                let mut diag =
                    Diagnostic::new(codes::BAD_SETTING, span, format!("`{other}` is no interpolation"));
                diag.help =
                    did_you_mean(other, known).or_else(|| Some(format!("one of `{}`", known.join("`, `"))));
                self.say(diag);
                return None;
            }
        };
        let outside = match d.outside.as_ref().map(ast::Name::as_str) {
            None | Some("hold") => Outside::Hold,
            Some("error") => Outside::Error,
            Some("extend") => Outside::Extend,
            Some("repeat") => Outside::Repeat,
            Some(other) => {
                let span = d.outside.as_ref().map_or(d.span, |n| n.span);
                let known = ["hold", "error", "extend", "repeat"];
                let mut diag =
                    Diagnostic::new(codes::BAD_SETTING, span, format!("`{other}` is no rule for outside"));
                diag.help =
                    did_you_mean(other, known).or_else(|| Some(format!("one of `{}`", known.join("`, `"))));
                self.say(diag);
                return None;
            }
        };
        Some(hir::Drive {
            target: target.r,
            file: Rc::from(file),
            column,
            time_column: None,
            unit,
            method,
            outside,
            span: d.span,
        })
    }

    fn timed(&mut self, cx: &mut Cx<'a>, class: ClassId, h: &'a ast::Handler, out: &mut hir::Scenario) {
        let Some(body) = &h.body else { return };
        if let ast::Trigger::At(t) = &h.trigger {
            let time = self.seconds(cx, t);
            let actions: Vec<ActionStmt> =
                body.stmts.iter().filter_map(|s| self.action(cx, class, s)).collect();
            if let Some(time) = time {
                out.actions.push(hir::TimedAction { time, body: actions, span: h.span });
            }
            return;
        }
        // Other handlers of a scenario need behaviour; they are checked as such.
        self.scenario_handler(cx, class, h);
        let zero = Expr {
            kind: ExprKind::Real(0.0),
            ty: Type::Real(Some(Dimension::TIME)),
            shape: Vec::new(),
            span: h.span,
        };
        out.actions.push(hir::TimedAction {
            time: zero,
            body: vec![ActionStmt::Later(h.span)],
            span: h.span,
        });
    }

    /// One action at an instant.
    pub(super) fn action(&mut self, cx: &mut Cx<'a>, class: ClassId, s: &'a ast::Stmt) -> Option<ActionStmt> {
        match &s.kind {
            StmtKind::Error => None,
            StmtKind::Assign { target, value } => {
                let (r, e) = self.assignment(cx, class, target, value, false)?;
                Some(ActionStmt::Assign(r, e, s.span))
            }
            StmtKind::Force { target, value } => {
                let (r, e) = self.assignment(cx, class, target, value, true)?;
                Some(ActionStmt::Force(r, e, s.span))
            }
            StmtKind::Release(target) => {
                let m = self.override_target(cx, Some(class), target)?;
                Some(ActionStmt::Release(m.r, s.span))
            }
            StmtKind::Send(_) => self.scenario_statement(cx, class, s).map(ActionStmt::Send),
            _ => {
                let done = self.scenario_statement(cx, class, s);
                use hir::behavior::StmtKind as Kind;
                let runs =
                    |s: &hir::behavior::Stmt| matches!(s.kind, Kind::Log(_) | Kind::Stop(_) | Kind::Fail(_));
                Some(done.filter(runs).map_or(ActionStmt::Later(s.span), ActionStmt::Send))
            }
        }
    }

    pub(super) fn assignment(
        &mut self,
        cx: &mut Cx<'a>,
        class: ClassId,
        target: &'a ast::Expr,
        value: &'a ast::Expr,
        force: bool,
    ) -> Option<(Ref, Expr)> {
        let m = self.override_target(cx, Some(class), target)?;
        let name = super::body::path_text(&m.r.steps);
        let (section, ty) = match &m.what {
            Member::Var { section: Section::Parameters, is_final: true, .. } => {
                let message = format!("`{name}` is `final` and cannot be set");
                self.say(Diagnostic::new(codes::FINAL_OVERRIDDEN, target.span, message));
                return None;
            }
            Member::Var { section, ty, .. } => (*section, ty.clone()),
            _ => {
                self.say(Diagnostic::new(
                    codes::NOT_ASSIGNABLE,
                    target.span,
                    format!("`{name}` cannot be set"),
                ));
                return None;
            }
        };
        let ok = match section {
            Section::Inputs => true,
            Section::States | Section::Parameters => !force,
            Section::Outputs | Section::Variables => force,
            Section::ValueParam => false,
        };
        if !ok {
            let word = section_word(section);
            let how = if force { "forced" } else { "set" };
            let message = format!("`{name}` is {} {word} and cannot be {how}", article(word));
            let d = Diagnostic::new(codes::NOT_ASSIGNABLE, target.span, message);
            self.say(d.help(if force {
                "a state is given a new value by an assignment, a parameter by a branch"
            } else {
                "inputs and states can be set; `force` takes over what equations or a connection give"
            }));
            return None;
        }
        let ty = ty.shaped(m.axes);
        let v = self.value_for(cx, value, &ty, Target { name: &name, span: None })?;
        Some((m.r, v))
    }

    fn record_entry(&mut self, cx: &mut Cx<'a>, r: &'a ast::Record) -> Option<hir::RecordEntry> {
        let every = match &r.every {
            Some(e) => {
                let every = self.seconds(cx, e);
                if let Some(x) = every.as_ref().and_then(super::constant::number)
                    && (x <= 0.0 || x.is_nan())
                {
                    self.say(Diagnostic::new(
                        codes::BAD_SETTING,
                        e.span,
                        "the period of a record must be greater than zero",
                    ));
                }
                every
            }
            None => None,
        };
        let mut targets = Vec::new();
        for t in &r.targets {
            if t.as_name().is_some_and(|n| n.as_str() == "all" && !self.own_name(cx, "all")) {
                return Some(hir::RecordEntry { targets: Vec::new(), every, span: r.span });
            }
            match self.place(cx, t) {
                Some(Place::Member(m)) => match m.what {
                    Member::Var { .. } | Member::Machine(_) => targets.push(m.r),
                    _ => {
                        let name = super::body::path_text(&m.r.steps);
                        let d = Diagnostic::new(
                            codes::WRONG_KIND_OF_NAME,
                            t.span,
                            format!("`{name}` has no value to record"),
                        );
                        self.say(d);
                    }
                },
                Some(_) => {
                    // A machine's state and the like: recorded once behaviour runs.
                }
                None => {}
            }
        }
        (!targets.is_empty()).then_some(hir::RecordEntry { targets, every, span: r.span })
    }
}

pub(super) fn empty_like(s: &hir::Scenario) -> hir::Scenario {
    hir::Scenario {
        name: s.name.clone(),
        class: s.class.clone(),
        duration: None,
        solver: None,
        seed: None,
        parameters: Vec::new(),
        starts: Vec::new(),
        drives: Vec::new(),
        actions: Vec::new(),
        branches: Vec::new(),
        records: Vec::new(),
        expects: Vec::new(),
        checks: Vec::new(),
        samples: None,
        calendar: None,
        fidelities: Vec::new(),
        span: s.span,
    }
}

/// `2026-01-05T00:00+01:00` as nanoseconds since 1970-01-01T00:00Z and the zone's offset in seconds.
/// The parser has already refused moments that do not exist. Days by the proleptic Gregorian
/// calendar (H. Hinnant, "chrono-compatible low-level date algorithms", days_from_civil).
fn parse_calendar(text: &str) -> Option<(i128, i32)> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let mut d = date.split('-');
    let (y, m, day): (i64, i64, i64) =
        (d.next()?.parse().ok()?, d.next()?.parse().ok()?, d.next()?.parse().ok()?);
    let zone_at = rest.find(['+', '-', 'Z', 'z']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let mut c = clock.split(':');
    let (h, min): (i64, i64) = (c.next()?.parse().ok()?, c.next().unwrap_or("0").parse().ok()?);
    let (sec, frac) = match c.next() {
        Some(s) => match s.split_once('.') {
            Some((a, b)) => (a.parse::<i64>().ok()?, format!("{b:0<9}").get(..9)?.parse::<i64>().ok()?),
            None => (s.parse().ok()?, 0),
        },
        None => (0, 0),
    };
    let offset: i64 = match zone.chars().next() {
        None | Some('Z' | 'z') => 0,
        Some(sign) => {
            let digits: String = zone[1..].chars().filter(char::is_ascii_digit).collect();
            let h: i64 = digits.get(..2)?.parse().ok()?;
            let m: i64 = digits.get(2..4).unwrap_or("0").parse().ok()?;
            (h * 3600 + m * 60) * if sign == '-' { -1 } else { 1 }
        }
    };
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let days = era * 146_097 + doe - 719_468;
    let seconds = days * 86_400 + h * 3600 + min * 60 + sec - offset;
    Some((i128::from(seconds) * 1_000_000_000 + i128::from(frac), i32::try_from(offset).ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse_calendar;

    #[test]
    fn calendar_moments() {
        assert_eq!(parse_calendar("1970-01-01T00:00Z"), Some((0, 0)));
        let day = 20_458i128 * 86_400;
        assert_eq!(parse_calendar("2026-01-05T00:00+01:00"), Some(((day - 3600) * 1_000_000_000, 3600)));
        assert_eq!(parse_calendar("2000-03-01T12:30:15.5-02:30").map(|x| x.1), Some(-9000));
    }
}
