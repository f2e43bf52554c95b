//! Branches of a scenario: their actions and what of the trunk's applies in them; parameters that they set.
//!
//! A branch is the trunk up to its instant. From there on its own actions apply, and those of the trunk but where
//! they assign what the branch assigns. A parameter may get a new value in a branch: where it is a plain number the
//! action writes it, where it has a formula the formula becomes `if chosen then value else formula`, so that what
//! follows from it follows from the new value too.

use super::Flattener;
use super::drive::{enumerate, zero_of};
use super::equation::visit;
use super::expr::choose;
use super::scenario::plain;
use super::scope::R;
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Action, Affine, Expr, Piece, Role};
use crate::hir;
use crate::source::Span;
use rustc_hash::{FxHashMap, FxHashSet};
use twinml_model::ids::VarId;
use twinml_model::schema::Kind;

/// The elements of a member that are assigned.
type Elements = FxHashMap<VarId, FxHashSet<i64>>;

impl<'a> Flattener<'a> {
    /// All branches of the scenario; the trunk's actions stand already.
    pub(super) fn branches(&mut self, s: &'a hir::Scenario) {
        self.branching = true;
        for b in &s.branches {
            self.branch(b);
        }
        self.branching = false;
        self.fixed_at_the_start();
    }

    fn branch(&mut self, b: &'a hir::Branch) {
        let Some(time_ns) = self.nanoseconds(&b.time) else { return };
        if let Some(end) = self.experiment.duration
            && time_ns as f64 >= end * 1e9
        {
            let message = format!("the branch `{}` begins when the run is over", b.name);
            let d = Diagnostic::new(codes::BAD_TIME, b.time.span, message);
            self.diags.push(d.note(format!("the duration is {end} s")));
            return;
        }
        let mut own = vec![self.action(time_ns, &b.body, b.span)];
        for a in &b.actions {
            let Some(at) = self.nanoseconds(&a.time) else { continue };
            if at < time_ns {
                let message = format!("this comes before the branch `{}` begins", b.name);
                let d =
                    Diagnostic::new(codes::BAD_TIME, a.time.span, message).here("an instant of the trunk");
                self.diags.push(d.label(b.time.span, "the branch begins here"));
                continue;
            }
            let action = self.action(at, &a.body, a.span);
            own.push(action);
        }
        // What is asked for from outside may leave the branch later, once or more.
        let first = own.len().saturating_sub(b.later);
        let later = own.split_off(first.min(own.len())).into_iter();
        let reaches = |a: &Action| a.time_ns >= time_ns && !(a.assigns.is_empty() && a.sends.is_empty());
        let trunk = self.system.actions.clone().into_iter().filter(reaches).collect();
        let Some(mut actions) = self.left(trunk, time_ns, own) else { return };
        for change in later {
            let Some(left) = self.left(actions, change.time_ns, vec![change]) else { return };
            actions = left;
        }
        let named = |negated: bool| -> Vec<String> {
            let said: Vec<String> =
                b.expects.iter().filter(|e| e.1 || !negated).map(|e| plain(&e.0)).collect();
            let paths = self.system.requirements.iter().map(|(path, ..)| path);
            paths.filter(|path| said.contains(&plain(path))).cloned().collect()
        };
        let (expects, refutes) = (named(false), named(true));
        self.system.branches.push(flat::Branch {
            name: b.name.to_string(),
            time_ns,
            actions,
            expects,
            refutes,
            span: b.span,
        });
    }

    /// The actions of a run that leaves another at an instant: those of the other, but from then on for what its own
    /// assign, and its own. At one instant the other's come first; each list is in the source's order there. None after
    /// an error.
    fn left(&mut self, other: Vec<Action>, time_ns: i128, mut own: Vec<Action>) -> Option<Vec<Action>> {
        let mut assigned = Elements::default();
        for (var, piece) in own.iter().flat_map(|a| &a.assigns) {
            let elements = self.elements_of(piece)?;
            assigned.entry(self.member_of(*var)).or_default().extend(elements);
        }
        let mut actions = Vec::with_capacity(other.len() + own.len());
        for a in other {
            if a.time_ns < time_ns {
                actions.push(a);
                continue;
            }
            let had = !a.assigns.is_empty() && a.sends.is_empty();
            let assigns = self.without(a.assigns, &assigned)?;
            if !assigns.is_empty() || !had {
                actions.push(Action { assigns, ..a });
            }
        }
        actions.append(&mut own);
        actions.sort_by_key(|a| a.time_ns);
        Some(actions)
    }

    /// The elements that a piece writes. None after an error.
    fn elements_of(&mut self, piece: &Piece) -> Option<Vec<i64>> {
        let mut out = Vec::new();
        if enumerate(&piece.loops, &piece.element, &mut out) {
            return Some(out);
        }
        let stop = self.too_large(piece.span, out.len() as u64, "elements assigned in a branch");
        self.settle_stop(Err(stop));
        None
    }

    /// The member that a family of an action stands for: held values and flags are beside it.
    fn member_of(&self, var: VarId) -> VarId {
        let beside = |t: &super::drive::Taken| {
            let pairs = t.forced.into_iter().chain(t.chosen).flat_map(|(f, v)| [f, v]);
            t.held.into_iter().chain(pairs).any(|v| v == var)
        };
        self.taken.iter().find(|(_, t)| beside(t)).map_or(var, |(member, _)| *member)
    }

    /// Assignments without the elements that a branch assigns itself.
    fn without(&mut self, assigns: Vec<(VarId, Piece)>, own: &Elements) -> Option<Vec<(VarId, Piece)>> {
        let mut out = Vec::new();
        for (var, piece) in assigns {
            let Some(taken) = own.get(&self.member_of(var)) else {
                out.push((var, piece));
                continue;
            };
            let elements = self.elements_of(&piece)?;
            if elements.iter().all(|e| !taken.contains(e)) {
                out.push((var, piece));
                continue;
            }
            // Written element by element: what is left of a pattern is seldom one.
            let points = points(&piece.loops);
            for (at, element) in points.into_iter().zip(elements) {
                if taken.contains(&element) {
                    continue;
                }
                let expr = fixed(&piece.expr, &at);
                let element = Affine::constant(element);
                out.push((var, Piece { loops: Vec::new(), element, expr, span: piece.span }));
            }
        }
        Some(out)
    }

    /// The family that a branch writes to give a parameter a new value.
    pub(super) fn branch_parameter(&mut self, var: VarId, span: Span, piece: &Piece) -> R<VarId> {
        let base = self.system.vars[var.index()].clone();
        let path: Vec<&str> = base.path.iter().map(|s| s.name.as_str()).collect();
        let path = path.join(".");
        let structural = self.homes[var.index()].as_ref().is_some_and(|h| self.structural.contains(h));
        if base.structural || structural {
            let what = format!("the parameter `{path}` chooses the structure and cannot change during a run");
            let d = Diagnostic::new(codes::CANNOT_ASSIGN, span, what).label(base.span, "declared here");
            return Err(self.fail(d));
        }
        if let (Some((lo, hi)), Expr::Num(x)) = (base.range, &piece.expr)
            && !(lo <= *x && *x <= hi)
        {
            let unit = &base.unit;
            let shown = (x - unit.offset) / unit.scale;
            let gap = if unit.symbol.is_empty() { "" } else { " " };
            let what = format!("the value {shown}{gap}{} of `{path}` is outside its range", unit.symbol);
            let d = Diagnostic::new(codes::OUTSIDE_RANGE, piece.span, what);
            return Err(self.fail(d.label(base.span, "the range is declared here")));
        }
        if base.value.iter().all(|p| matches!(p.expr, Expr::Num(_) | Expr::Bool(_))) || self.is_late(var) {
            return Ok(var);
        }
        if let Some((_, value)) = self.taken.get(&var).and_then(|t| t.chosen) {
            return Ok(value);
        }
        let flag = self.companion(&base, "chosen", Kind::Bool, Role::Parameter, Expr::Bool(false))?;
        let value = self.companion(&base, "choice", base.kind, Role::Parameter, zero_of(base.kind))?;
        for new in [flag, value] {
            // People see the parameter alone.
            if let Some(first) = self.system.vars[new.index()].path.first_mut() {
                first.name.insert(0, flat::HIDDEN);
            }
        }
        for p in &mut self.system.vars[var.index()].value {
            let old = std::mem::replace(&mut p.expr, Expr::Num(0.0));
            p.expr = choose(Expr::Var(flag, p.element.clone()), Expr::Var(value, p.element.clone()), old);
        }
        self.taken.entry(var).or_default().chosen = Some((flag, value));
        Ok(value)
    }

    /// The flag to raise where `target` is the value that a branch gives to the parameter `var`.
    pub(super) fn chosen_flag(&self, var: VarId, target: VarId) -> Option<VarId> {
        let (flag, value) = self.taken.get(&var)?.chosen?;
        (value == target).then_some(flag)
    }

    /// Whether a parameter's formula reads what only the start determines: it is fixed there.
    fn is_late(&self, var: VarId) -> bool {
        self.follows(var, &mut FxHashSet::default(), &|v| self.system.vars[v.index()].role != Role::Parameter)
    }

    /// Whether `hit` holds for anything that a parameter's formula reads, directly or through other parameters.
    fn follows(&self, var: VarId, seen: &mut FxHashSet<VarId>, hit: &dyn Fn(VarId) -> bool) -> bool {
        let mut read = Vec::new();
        for p in &self.system.vars[var.index()].value {
            visit(&p.expr, &mut |x| match x {
                Expr::Var(v, _) | Expr::VarAt { var: v, .. } | Expr::Der(v, _) | Expr::Start(v, _) => {
                    read.push(*v);
                }
                _ => {}
            });
        }
        read.into_iter().any(|v| {
            hit(v)
                || (self.system.vars[v.index()].role == Role::Parameter
                    && seen.insert(v)
                    && self.follows(v, seen, hit))
        })
    }

    /// What is fixed at the start cannot follow a parameter that a branch sets later.
    fn fixed_at_the_start(&mut self) {
        let mut set: FxHashMap<VarId, Span> = FxHashMap::default();
        for (var, piece) in self.system.branches.iter().flat_map(|b| &b.actions).flat_map(|a| &a.assigns) {
            let member = self.member_of(*var);
            if self.system.vars[member.index()].role == Role::Parameter {
                set.entry(member).or_insert(piece.span);
            }
        }
        if set.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for (k, v) in self.system.vars.iter().enumerate().filter(|(_, v)| v.role == Role::Parameter) {
            let var = VarId::new(k);
            if !self.is_late(var) {
                continue;
            }
            for (parameter, span) in &set {
                if self.follows(var, &mut FxHashSet::default(), &|v| v == *parameter) {
                    found.push((*span, *parameter, v.span));
                }
            }
        }
        found.sort();
        for (span, parameter, at) in found {
            let path: Vec<&str> =
                self.system.vars[parameter.index()].path.iter().map(|s| s.name.as_str()).collect();
            let what = format!("a parameter that is found at the start follows from `{}`", path.join("."));
            let d = Diagnostic::new(codes::CANNOT_ASSIGN, span, what);
            self.diags.push(d.label(at, "this one, which depends on start values too"));
        }
    }
}

/// The values of the indices at each point of the loops, in the order in which elements are counted.
fn points(loops: &[flat::Loop]) -> Vec<Vec<(twinml_model::ids::Index, i64)>> {
    let mut all = vec![Vec::new()];
    for l in loops {
        let mut next = Vec::new();
        for at in &all {
            for k in l.lo..l.hi {
                let mut at = at.clone();
                at.push((l.index, k));
                next.push(at);
            }
        }
        all = next;
    }
    all
}

/// An expression at a point of its loops.
fn fixed(e: &Expr, at: &[(twinml_model::ids::Index, i64)]) -> Expr {
    let affine = |a: &Affine| {
        let mut out = Affine::constant(a.base);
        for (index, factor) in &a.terms {
            match at.iter().find(|(i, _)| i == index) {
                Some((_, k)) => out.base += factor * k,
                None => out = out.plus(*index, *factor),
            }
        }
        out
    };
    crate::structural::expr::rewrite(e, &mut |x| match x {
        Expr::Index(a) => super::expr::whole(affine(&a)),
        Expr::Var(v, a) => Expr::Var(v, affine(&a)),
        Expr::Der(v, a) => Expr::Der(v, affine(&a)),
        Expr::Start(v, a) => Expr::Start(v, affine(&a)),
        Expr::VarAt { var, base, at, len, stride, span } => {
            Expr::VarAt { var, base: affine(&base), at, len, stride, span }
        }
        other => other,
    })
}
