//! Roles of the families, the scenario's actions and records, and what to run.

use super::Flattener;
use super::equation::visit;
use super::scope::{InstId, Locals, R, Scope, Slot};
use super::walk::Found;
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Action, Affine, Expr, Piece, Role};
use crate::hir::{self, ActionStmt, Section};
use crate::source::Span;
use std::rc::Rc;
use twinml_model::ids::VarId;
use twinml_model::program::SolverSpec;

impl<'a> Flattener<'a> {
    /// Which declared states have a derivative; what must not have one.
    pub(super) fn roles(&mut self) {
        let mut derived: Vec<Option<Span>> = vec![None; self.system.vars.len()];
        let equations = self.system.equations.iter().chain(&self.system.initial_equations);
        for e in equations {
            let mut note = |x: &Expr| {
                if let Expr::Der(v, _) = x {
                    derived[v.index()].get_or_insert(e.span);
                }
            };
            visit(&e.left, &mut note);
            visit(&e.right, &mut note);
        }
        for (k, at) in derived.into_iter().enumerate() {
            let Some((home, name)) = self.homes[k].clone() else { continue };
            let Some(Slot::Var(slot)) = self.inst(home).members.get(&name).cloned() else { continue };
            match (self.system.vars[k].role, at) {
                (Role::Discrete, Some(_)) if slot.decl.section == Section::States => {
                    self.system.vars[k].role = Role::State;
                    self.system.vars[k].declared = twinml_model::schema::Role::State;
                }
                (Role::Discrete, None) if slot.decl.section == Section::States => {
                    self.system.vars[k].declared = twinml_model::schema::Role::Discrete;
                    if self.system.vars[k].value.is_empty() && self.system.vars[k].len > 0 {
                        self.diags.push(
                            Diagnostic::new(
                                codes::NO_START,
                                slot.span,
                                format!("the discrete state `{name}` has no start value"),
                            )
                            .here("no equation holds its derivative, so only behaviour changes it")
                            .help("give it one: `= …`; or write an equation for its derivative"),
                        );
                    }
                }
                (Role::Input, Some(span)) => {
                    self.diags.push(
                        Diagnostic::new(
                            codes::DER_OF_INPUT,
                            span,
                            format!("the derivative of the input `{name}` is not known"),
                        )
                        .label(slot.span, "nothing drives it smoothly")
                        .note("an input that actions set jumps"),
                    );
                }
                _ => {}
            }
        }
    }

    fn root_scope(&mut self) -> Scope<'a> {
        self.ranges.clear();
        Scope { inst: InstId(0), at: Rc::new([]), locals: Locals::default() }
    }

    pub(super) fn setting(&mut self, e: &'a hir::Expr) -> Option<f64> {
        let scope = self.root_scope();
        let x = self.real(e, &scope);
        match x {
            Ok(x) => Some(x),
            Err(stop) => {
                self.settle_stop(Err(stop));
                None
            }
        }
    }

    /// Duration, solver, seed, actions, records and requirements.
    pub(super) fn read_experiment(&mut self) {
        self.experiment.name = self.system.name.clone();
        self.requirements();
        let Some(s) = self.scenario() else { return };
        self.experiment.name = s.name.to_string();
        self.experiment.seed = s.seed.unwrap_or(0);
        self.experiment.samples = s.samples;
        if let Some(e) = &s.duration
            && let Some(d) = self.setting(e)
        {
            if d > 0.0 && d.is_finite() {
                self.experiment.duration = Some(d);
            } else {
                self.diags.push(Diagnostic::new(codes::BAD_TIME, e.span, format!("a duration of {d} s")));
            }
        }
        if let Some(solver) = &s.solver {
            self.experiment.solver = self.solver(solver);
        }
        for (path, name, span) in &s.fidelities {
            let what = format!("the level of detail `{name}` of `{path}`");
            let _ = self.refuse(codes::LATER_FIDELITY, *span, &what);
        }
        self.may_add = false;
        for a in &s.actions {
            if let Some(time_ns) = self.nanoseconds(&a.time) {
                let action = self.action(time_ns, &a.body, a.span);
                self.system.actions.push(action);
            }
        }
        self.system.actions.sort_by_key(|a| a.time_ns);
        self.branches(s);
        for r in &s.records {
            let done = self.record(r);
            self.settle_stop(done);
        }
    }

    fn solver(&mut self, s: &'a hir::SolverEntry) -> SolverSpec {
        let mut out = SolverSpec { method: s.method.to_string(), ..SolverSpec::default() };
        for (name, e) in &s.args {
            let Some(x) = self.setting(e) else { continue };
            match &**name {
                "rtol" => out.rtol = Some(x),
                "atol" => out.atol = Some(x),
                "step" => out.step = Some(x),
                "max_step" => out.max_step = Some(x),
                "max_steps" if (1.0..1e18).contains(&x) => out.max_steps = Some(x as u64),
                _ => self.diags.push(
                    Diagnostic::new(
                        codes::BAD_SOLVER_SETTING,
                        e.span,
                        format!("a solver has no setting `{name}` of {x}"),
                    )
                    .help("settings are rtol, atol, step, max_step and max_steps"),
                ),
            }
        }
        out
    }

    pub(super) fn nanoseconds(&mut self, e: &'a hir::Expr) -> Option<i128> {
        let t = self.setting(e)?;
        if (0.0..=1e20).contains(&t) {
            return Some((t * 1e9).round() as i128);
        }
        self.diags.push(Diagnostic::new(
            codes::BAD_TIME,
            e.span,
            format!("the instant {t} s is no instant of a run"),
        ));
        None
    }

    /// A period: whole nanoseconds where it is one to rounding, otherwise to 1e-18 s.
    fn attoseconds(&mut self, e: &'a hir::Expr) -> Option<i128> {
        let ns = self.nanoseconds(e)?;
        let t = self.setting(e)?;
        let whole = (t * 1e9 - ns as f64).abs() <= 1e-15 * (t * 1e9).abs();
        Some(if whole { ns.saturating_mul(1_000_000_000) } else { (t * 1e18).round() as i128 })
    }

    /// What the statements of an action write.
    pub(super) fn action(&mut self, time_ns: i128, body: &'a [ActionStmt], span: Span) -> Action {
        self.writes.clear();
        let sent = |stmt: &'a ActionStmt| match stmt {
            ActionStmt::Send(s) => self.code_of_send(s),
            _ => None,
        };
        let sends = body.iter().filter_map(sent).collect();
        for stmt in body {
            self.unit(InstId(0), &mut |s, scope| match stmt {
                // Its code stands already.
                ActionStmt::Send(_) => Ok(()),
                ActionStmt::Later(span) => {
                    let what = "this statement of a scenario cannot be run by this version";
                    let d = Diagnostic::new(codes::LATER_BEHAVIOR, *span, what);
                    Err(s.fail(d.help(
                        "at an instant stand `x = …`, `force`, `release`, `send`, `log`, `stop` and `fail`: an event is sent \
                         to a twin, `send start_cmd() to tank`; what waits for conditions is a handler of the twin",
                    )))
                }
                ActionStmt::Assign(r, e, span) => s.assign(r, e, *span, scope, Write::Assign),
                ActionStmt::Force(r, e, span) => {
                    s.assign(r, e, *span, scope, Write::Force)?;
                    s.flag(r, *span, scope, true)
                }
                ActionStmt::Release(r, span) => s.flag(r, *span, scope, false),
            });
        }
        let assigns = std::mem::take(&mut self.writes);
        Action { time_ns, assigns, sends, span }
    }

    fn assign(
        &mut self,
        r: &'a hir::Ref,
        e: &'a hir::Expr,
        span: Span,
        scope: &Scope<'a>,
        write: Write,
    ) -> R<()> {
        let shape = self.ref_shape(r, scope)?;
        let have = self.shape(e, scope)?;
        if !have.is_empty() && have != shape {
            let d = Diagnostic::new(
                codes::SHAPES_DIFFER,
                span,
                format!(
                    "an array of shape {} assigned to one of shape {}",
                    super::bind::show_shape(&have),
                    super::bind::show_shape(&shape)
                ),
            );
            return Err(self.fail(d));
        }
        self.nest(&shape, &mut Vec::new(), &mut |s, at| {
            let (var, element) = s.target(r, scope, at)?;
            let expr = s.element(e, scope, s.fit(e, at))?;
            let piece = s.piece(element, expr, span);
            let target = s.written(var, write, span, &piece)?;
            if let Some(flag) = s.chosen_flag(var, target) {
                s.writes.push((flag, Piece { expr: Expr::Bool(true), ..piece.clone() }));
            }
            s.writes.push((target, piece));
            Ok(())
        })
    }

    fn flag(&mut self, r: &'a hir::Ref, span: Span, scope: &Scope<'a>, on: bool) -> R<()> {
        let shape = self.ref_shape(r, scope)?;
        self.nest(&shape, &mut Vec::new(), &mut |s, at| {
            let (var, element) = s.target(r, scope, at)?;
            let Some((flag, _)) = s.taken.get(&var).and_then(|t| t.forced) else {
                return Err(s.internal(span, "a forced input without its flag"));
            };
            let piece = s.piece(element, Expr::Bool(on), span);
            s.writes.push((flag, piece));
            Ok(())
        })
    }

    /// The family that an action writes for a member.
    fn written(&mut self, var: VarId, write: Write, span: Span, piece: &Piece) -> R<VarId> {
        let taken = self.taken.get(&var).copied().unwrap_or_default();
        if write == Write::Force {
            return match taken.forced {
                Some((_, value)) => Ok(value),
                None => Err(self.internal(span, "a forced input without its value")),
            };
        }
        match self.system.vars[var.index()].role {
            Role::Input | Role::Discrete | Role::State => return Ok(var),
            Role::Unknown => {
                if let Some(h) = taken.held
                    && self.driver_of(var, piece).is_none()
                {
                    return Ok(h);
                }
            }
            Role::Parameter if self.branching => return self.branch_parameter(var, span, piece),
            Role::Parameter => {}
        }
        let v = &self.system.vars[var.index()];
        let path: Vec<&str> = v.path.iter().map(|s| s.name.as_str()).collect();
        let (path, declared) = (path.join("."), v.span);
        let driver = self.driver_of(var, piece);
        let what = if v.role == Role::Parameter {
            format!("the parameter `{path}` is fixed for a run; only a branch gives it another value")
        } else {
            format!("`{path}` follows from the equations and cannot be assigned")
        };
        let mut d = Diagnostic::new(codes::CANNOT_ASSIGN, span, what).label(declared, "declared here");
        if let Some(by) = driver {
            d = d.label(by, "driven here").help("to take an input over, write `force` before it");
        }
        Err(self.fail(d))
    }

    fn record(&mut self, r: &'a hir::RecordEntry) -> R<()> {
        let every_as = match &r.every {
            None => None,
            Some(e) => match self.attoseconds(e) {
                Some(n) if n >= 1_000_000_000 => Some(n),
                Some(_) => {
                    let d =
                        Diagnostic::new(codes::BAD_TIME, e.span, "a period must be a nanosecond or longer");
                    return Err(self.fail(d));
                }
                None => return Ok(()),
            },
        };
        let mut vars: Vec<(VarId, Vec<u32>)> = Vec::new();
        if r.targets.is_empty() {
            let beside: Vec<VarId> = self
                .taken
                .values()
                .flat_map(|t| {
                    t.held.into_iter().chain(t.forced.into_iter().chain(t.chosen).flat_map(|(f, v)| [f, v]))
                })
                .collect();
            let all = (0..self.system.vars.len()).map(VarId::new).filter(|v| !beside.contains(v));
            vars.extend(all.map(|v| (v, Vec::new())));
            self.left_out(r.span);
        }
        for target in &r.targets {
            let scope = self.root_scope();
            self.recorded(target, &scope, &mut vars)?;
        }
        self.experiment.records.push(flat::Record { vars, every_as, span: r.span });
        Ok(())
    }

    fn recorded(&mut self, r: &'a hir::Ref, scope: &Scope<'a>, vars: &mut Vec<(VarId, Vec<u32>)>) -> R<()> {
        if r.steps.iter().all(|s| s.subscripts.is_empty()) {
            return self.record_whole(&r.steps, scope.inst, r.span, vars);
        }
        let shape = self.ref_shape(r, scope)?;
        let zero = vec![Affine::constant(0); shape.len()];
        let count = shape.iter().map(|n| u64::from(*n)).product::<u64>();
        if count > 10_000_000 {
            return Err(self.too_large(r.span, count, "recorded elements"));
        }
        for k in 0..count {
            let mut rest = k;
            let mut at = zero.clone();
            for a in (0..shape.len()).rev() {
                at[a].base = (rest % u64::from(shape[a])) as i64;
                rest /= u64::from(shape[a]);
            }
            let (var, subs) = match self.walk(r, scope, &at)? {
                Found::Var(slot, subs) => match slot.var.get() {
                    Some(v) => (*v, self.storage(slot.inst, subs)),
                    None => continue,
                },
                Found::Port(v, subs) => (v, subs),
                Found::Machine(m, subs) => (self.machine_var(m), subs),
                Found::Twin | Found::Joint(..) => {
                    let d = Diagnostic::new(
                        codes::NOT_RECORDABLE,
                        r.span,
                        "record a member of the twin, or all twins of the array",
                    );
                    return Err(self.fail(d));
                }
            };
            let Expr::Var(_, Affine { base, .. }) = self.place(var, &subs, r.span)? else {
                return Err(self.not_constant(r.span));
            };
            match vars.last_mut() {
                Some((last, list)) if *last == var && !list.is_empty() => list.push(base as u32),
                _ => vars.push((var, vec![base as u32])),
            }
        }
        Ok(())
    }

    /// All elements that a path without subscripts names.
    fn record_whole(
        &mut self,
        steps: &'a [hir::Step],
        inst: InstId,
        span: Span,
        vars: &mut Vec<(VarId, Vec<u32>)>,
    ) -> R<()> {
        let Some((step, rest)) = steps.split_first() else {
            self.record_all(inst, vars);
            return Ok(());
        };
        match self.inst(inst).members.get(&*step.name).cloned() {
            Some(Slot::Outer(further)) => self.record_whole(steps, further, span, vars),
            Some(Slot::Twin { parts, .. }) => {
                for p in parts {
                    self.record_whole(rest, p, span, vars)?;
                }
                Ok(())
            }
            Some(Slot::Port { connector, vars: members, .. }) => {
                match rest.first().and_then(|s| connector.members.get_index_of(&*s.name)) {
                    Some(k) => vars.push((members[k], Vec::new())),
                    None => vars.extend(members.iter().map(|v| (*v, Vec::new()))),
                }
                Ok(())
            }
            Some(Slot::Var(slot)) => match slot.var.get() {
                Some(v) => {
                    vars.push((*v, Vec::new()));
                    Ok(())
                }
                None => {
                    let name = &step.name;
                    let what = match slot.decl.ty {
                        hir::Type::Table(_) => format!("`{name}` is a table, which has no value to record"),
                        _ => format!(
                            "`{name}` is {}, for which results have no column",
                            kind_of(&slot.decl.ty)
                        ),
                    };
                    let mut d = Diagnostic::new(codes::NOT_RECORDABLE, span, what);
                    if matches!(slot.decl.ty, hir::Type::String) && slot.decl.section != Section::Parameters {
                        d = d.help(format!("`log \"${{{name}}}\"` tells it where it changes"));
                    }
                    Err(self.fail(d))
                }
            },
            // What a part that is absent would show is absent too.
            Some(Slot::Absent(_)) => Ok(()),
            Some(Slot::Other) => match self.machine_at(inst, &step.name) {
                Some(m) => {
                    vars.push((self.machine_var(m), Vec::new()));
                    Ok(())
                }
                None => Err(self.refuse(codes::LATER_BEHAVIOR, span, "what behaviour keeps")),
            },
            None => Err(self.no_member(inst, &step.name, span)),
        }
    }

    /// Tells what changes in a run and has no column, where all is to be recorded.
    fn left_out(&mut self, span: Span) {
        let mut found: Vec<(String, &'static str)> = Vec::new();
        self.without_column(InstId(0), "", &mut found);
        let Some((first, kind)) = found.first() else { return };
        let further = match found.len() - 1 {
            0 => String::new(),
            1 => format!(" and `{}`", found[1].0),
            n => format!(" and {n} more"),
        };
        let message = format!("`record all` leaves out `{first}`{further}");
        let what = if found.iter().all(|(_, k)| k == kind) { kind } else { "such a quantity" };
        let names: Vec<String> =
            found.iter().take(8).map(|(path, kind)| format!("`{path}` is {kind}")).collect();
        let mut d = Diagnostic::new(codes::LEFT_OUT, span, message)
            .here(format!("results have no column for {what}"))
            .help("name what is to be recorded; `log` tells a text where it changes");
        if found.len() > 1 {
            d = d.note(format!("{}{}", names.join(", "), if found.len() > 8 { ", …" } else { "" }));
        }
        self.diags.push(d);
    }

    /// What changes in a run and has no column: path without indices, and what it is.
    fn without_column(&self, inst: InstId, path: &str, found: &mut Vec<(String, &'static str)>) {
        for (name, slot) in &self.inst(inst).members {
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            match slot {
                Slot::Var(v)
                    if v.var.get().is_none()
                        && changes(v.decl)
                        && found.iter().all(|(known, _)| *known != path) =>
                {
                    found.push((path, kind_of(&v.decl.ty)));
                }
                Slot::Twin { parts, .. } => parts.iter().for_each(|p| self.without_column(*p, &path, found)),
                _ => {}
            }
        }
    }

    fn record_all(&self, inst: InstId, vars: &mut Vec<(VarId, Vec<u32>)>) {
        for slot in self.inst(inst).members.values() {
            match slot {
                Slot::Var(v) => vars.extend(v.var.get().map(|v| (*v, Vec::new()))),
                Slot::Port { vars: list, .. } => vars.extend(list.iter().map(|v| (*v, Vec::new()))),
                Slot::Twin { parts, .. } => parts.iter().for_each(|p| self.record_all(*p, vars)),
                _ => {}
            }
        }
    }

    /// Requirements of all instances, by path.
    fn requirements(&mut self) {
        let expects: Vec<String> = match self.scenario() {
            Some(s) => s.expects.iter().map(|e| plain(&e.0)).collect(),
            None => Vec::new(),
        };
        for k in 0..self.insts.len() {
            let id = InstId(k as u32);
            let class = self.inst(id).class;
            for (name, span) in class.demands() {
                let path = if self.inst(id).path.is_empty() {
                    name.to_string()
                } else {
                    format!("{}.{name}", self.owner_text(id))
                };
                let expected = expects.contains(&plain(&path));
                self.system.requirements.push((path, *span, expected));
            }
        }
        let Some(scenario) = self.scenario() else { return };
        let branches = scenario.branches.iter().flat_map(|b| &b.checks);
        for (k, c) in scenario.checks.iter().chain(branches).enumerate() {
            self.system.requirements.push((format!("expect {}", k + 1), c.span, true));
        }
    }

    /// Marks parameters that chose structure, and checks constants against their ranges.
    pub(super) fn finish(&mut self) {
        let marks: Vec<(InstId, hir::Name)> = self.structural.iter().cloned().collect();
        for (inst, name) in marks {
            if let Some(Slot::Var(slot)) = self.inst(inst).members.get(&name)
                && let Some(v) = slot.var.get()
            {
                let v = *v;
                self.system.vars[v.index()].structural = true;
            }
        }
        self.nominal_ranges();
    }

    /// A parameter's nominal number outside its range is an error.
    fn nominal_ranges(&mut self) {
        let mut found = Vec::new();
        for v in &self.system.vars {
            let Some((lo, hi)) = v.range else { continue };
            if v.role != Role::Parameter {
                continue;
            }
            for p in &v.value {
                if let Expr::Num(x) = p.expr
                    && !(lo <= x && x <= hi)
                {
                    let unit = &v.unit;
                    let shown = |si: f64| {
                        let n = (si - unit.offset) / unit.scale;
                        if unit.symbol.is_empty() { format!("{n}") } else { format!("{n} {}", unit.symbol) }
                    };
                    let path: Vec<&str> = v.path.iter().map(|s| s.name.as_str()).collect();
                    let mut d = Diagnostic::new(
                        codes::OUTSIDE_RANGE,
                        p.span,
                        format!("the value {} of `{}` is outside its range", shown(x), path.join(".")),
                    );
                    if lo > f64::NEG_INFINITY {
                        d = d.note(format!("it must be at least {}", shown(lo)));
                    }
                    if hi < f64::INFINITY {
                        d = d.note(format!("it must be at most {}", shown(hi)));
                    }
                    found.push(d.label(v.span, "the range is declared here"));
                    break;
                }
            }
        }
        for d in found {
            self.diags.push(d);
        }
    }

    pub(super) fn derivative(&mut self, a: &'a hir::Expr, scope: &Scope<'a>, idx: &[Affine]) -> R<Expr> {
        let x = self.element(a, scope, idx)?;
        let parameter = |v: VarId| matches!(self.system.vars[v.index()].role, Role::Parameter);
        match flat::diff::time_derivative(&x, &parameter) {
            Ok(d) => Ok(d),
            Err(what) => {
                let d = Diagnostic::new(
                    codes::NO_DERIVATIVE,
                    a.span,
                    format!("the derivative of {what} is not known"),
                );
                Err(self.fail(d))
            }
        }
    }
}

/// How an action writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Assign,
    Force,
}

/// A path without subscripts.
pub(super) fn plain(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut depth = 0u32;
    for c in path.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// Whether a member is a quantity that a run may change.
fn changes(decl: &hir::VarDecl) -> bool {
    matches!(decl.section, Section::States | Section::Outputs | Section::Variables | Section::Inputs)
        && !matches!(decl.ty, hir::Type::Table(_))
}

/// What a quantity without a column is.
fn kind_of(ty: &hir::Type) -> &'static str {
    match ty {
        hir::Type::String => "a text",
        hir::Type::Optional(_) => "an optional",
        hir::Type::Record(_) => "a record",
        hir::Type::Timestamp => "a date",
        hir::Type::Table(_) => "a table",
        hir::Type::Complex(_) => "a complex number",
        _ => "a value of behaviour alone",
    }
}
