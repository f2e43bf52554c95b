//! Formulas, equations and connections of every instance family.

use super::consts::Mode;
use super::drive::{Driver, Means};
use super::scope::{InstId, Local, Locals, R, Scope, Slot, Stop, VarSlot, scale};
use super::walk::Sub;
use super::{Flattener, MAX_EQUATIONS};
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine, Expr, Loop, Piece};
use crate::hir::{self, Section};
use crate::source::Span;
use std::rc::Rc;
use twinml_model::ids::{Index, VarId};

impl<'a> Flattener<'a> {
    /// Runs `body` for all elements of an instance family, the family's axes being loops.
    pub(super) fn unit(&mut self, inst: InstId, body: &mut dyn FnMut(&mut Self, &Scope<'a>) -> R<()>) {
        self.ranges.clear();
        self.owner = inst;
        let axes: Vec<(i64, i64)> = self
            .inst(inst)
            .axes
            .iter()
            .map(|a| a.pin.map_or((0, i64::from(a.len)), |p| (p, p + 1)))
            .collect();
        let done = self.nest_ranges(&axes, &mut Vec::new(), &mut |s, at| {
            s.operations = 0;
            s.level = 0;
            s.guarded = 0;
            s.depth = 0;
            s.calls.clear();
            let scope = Scope { inst, at: at.into(), locals: Locals::default() };
            body(s, &scope)?;
            if s.system.equations.len() > MAX_EQUATIONS {
                let n = s.system.equations.len() as u64;
                let span = s.inst(inst).class.span;
                return Err(s.too_large(span, n, "equation families"));
            }
            Ok(())
        });
        self.ranges.clear();
        self.settle_stop(done);
    }

    /// Reports a stop that no loop could take.
    pub(super) fn settle_stop(&mut self, done: R<()>) {
        match done {
            Ok(()) | Err(Stop::Fail) => {}
            Err(Stop::NotConst { span, .. }) => {
                let _ = self.not_constant(span);
            }
            Err(Stop::Split { span, .. }) => {
                let _ = self.internal(span, "a loop that nobody owns was asked to split");
            }
        }
    }

    /// Loops over ranges, outermost first; `body` gets the subscripts.
    pub(super) fn nest_ranges(
        &mut self,
        ranges: &[(i64, i64)],
        at: &mut Vec<Affine>,
        body: &mut dyn FnMut(&mut Self, &[Affine]) -> R<()>,
    ) -> R<()> {
        let Some((&first, rest)) = ranges.split_first() else {
            let settled: Vec<Affine> = at.iter().map(|a| self.settle(a)).collect();
            return body(self, &settled);
        };
        let depth = at.len();
        self.over(first, &mut |s, index| {
            at.truncate(depth);
            at.push(Affine::constant(0).plus(index, 1));
            s.nest_ranges(rest, at, body)
        })
    }

    /// Loops over an array's axes.
    pub(super) fn nest(
        &mut self,
        shape: &[u32],
        at: &mut Vec<Affine>,
        body: &mut dyn FnMut(&mut Self, &[Affine]) -> R<()>,
    ) -> R<()> {
        let ranges: Vec<(i64, i64)> = shape.iter().map(|n| (0, i64::from(*n))).collect();
        self.nest_ranges(&ranges, at, body)
    }

    /// The loops in force that have more than one round.
    pub(super) fn loops_in_force(&self) -> Vec<Loop> {
        self.ranges
            .iter()
            .enumerate()
            .filter(|(_, (lo, hi))| hi - lo != 1)
            .map(|(k, &(lo, hi))| Loop { index: Index::new(k), lo, hi })
            .collect()
    }

    /// An equation under the loops in force.
    pub(super) fn family_equation(&self, left: Expr, right: Expr, span: Span) -> flat::Equation {
        let owner = self.owner_path();
        compact(flat::Equation { loops: self.loops_in_force(), left, right, span, owner })
    }

    pub(super) fn emit(&mut self, left: Expr, right: Expr, span: Span) {
        let e = self.family_equation(left, right, span);
        self.system.equations.push(e);
    }

    pub(super) fn emit_initial(&mut self, left: Expr, right: Expr, span: Span) {
        let owner = self.owner_path();
        let e = compact(flat::Equation { loops: self.loops_in_force(), left, right, span, owner });
        self.system.initial_equations.push(e);
    }

    fn owner_path(&self) -> String {
        if self.inst(self.owner).path.is_empty() { String::new() } else { self.owner_text(self.owner) }
    }

    fn insts_in_order(&self) -> impl Iterator<Item = InstId> + use<> {
        (0..self.insts.len() as u32).map(InstId)
    }

    /// The quantities of an instance family.
    pub(super) fn quantities(&self, id: InstId) -> Vec<(hir::Name, Rc<VarSlot<'a>>)> {
        self.inst(id)
            .members
            .iter()
            .filter_map(|(n, s)| match s {
                Slot::Var(v) => Some((n.clone(), v.clone())),
                _ => None,
            })
            .collect()
    }

    /// Values of parameters, starts, defaults and guesses; definitions of outputs.
    pub(super) fn formulas(&mut self) {
        for id in self.insts_in_order() {
            for (name, slot) in self.quantities(id) {
                let Some(&var) = slot.var.get() else { continue };
                match slot.decl.section {
                    Section::ValueParam | Section::Parameters | Section::Inputs | Section::States => {
                        self.value_pieces(id, &name, &slot, var);
                    }
                    // An output that behaviour sets is discrete, and starts at its value.
                    Section::Outputs if self.is_assigned(id, &name) && !slot.bindings.is_empty() => {
                        self.system.vars[var.index()].role = flat::Role::Discrete;
                        self.value_pieces(id, &name, &slot, var);
                    }
                    Section::Outputs | Section::Variables => self.definition(id, &slot, var),
                }
                if !slot.guesses.is_empty() {
                    self.guess_pieces(id, &slot, var);
                }
            }
        }
    }

    /// The stored element of a member at these subscripts.
    pub(super) fn slot_element(&mut self, slot: &VarSlot<'a>, var: VarId, at: &[Affine]) -> R<Affine> {
        let subs = self.storage(slot.inst, at.iter().cloned().map(Sub::Fixed).collect());
        match self.place(var, &subs, slot.span)? {
            Expr::Var(_, a) => Ok(a),
            _ => Err(self.internal(slot.span, "an element that is not fixed")),
        }
    }

    fn push_piece(&mut self, element: Affine, expr: Expr, span: Span) {
        let piece = self.piece(element, expr, span);
        self.pieces.push(piece);
    }

    /// A formula for the element, under the loops in force.
    pub(super) fn piece(&self, element: Affine, expr: Expr, span: Span) -> Piece {
        let loops = self.loops_in_force();
        // The element travels as an equation's left side, so that both are renumbered alike.
        let left = Expr::Var(VarId(0), element.clone());
        let e = compact(flat::Equation { loops, left, right: expr, span, owner: String::new() });
        let element = if let Expr::Var(_, a) = e.left { a } else { element };
        Piece { loops: e.loops, element, expr: e.right, span }
    }

    fn value_pieces(&mut self, id: InstId, name: &str, slot: &Rc<VarSlot<'a>>, var: VarId) {
        let shape = slot.shape.get().cloned().unwrap_or_default();
        let section = slot.decl.section;
        let mut missing = false;
        let draws = self.system.draws.len();
        self.pieces.clear();
        self.may_add = false;
        self.unit(id, &mut |s, scope| {
            let mut at = scope.at.to_vec();
            s.nest(&shape, &mut at, &mut |s, at| {
                let Some((e, inner, idx)) = s.binding_at(slot, at, slot.span)? else {
                    missing = true;
                    if matches!(section, Section::ValueParam | Section::Parameters) {
                        return Err(s.no_value(slot, name));
                    }
                    return Ok(());
                };
                let element = s.slot_element(slot, var, at)?;
                let value = s.element(e, &inner, &idx)?;
                s.draw_element(slot, var, at, &element, &value)?;
                if section == Section::Inputs && !std::ptr::eq(e, slot.decl.value.as_ref().unwrap_or(e)) {
                    s.override_of_input(var, element, value, e.span);
                    return Ok(());
                }
                s.push_piece(element, value, e.span);
                Ok(())
            })
        });
        let mut pieces = std::mem::take(&mut self.pieces);
        self.hide_drawn(var, &mut pieces, draws);
        if section == Section::States {
            if missing && !pieces.is_empty() {
                // Some elements have a start and some have none: those that have get an equation.
                for p in pieces {
                    self.system.initial_equations.push(flat::Equation {
                        loops: p.loops,
                        left: Expr::Var(var, p.element),
                        right: p.expr,
                        span: p.span,
                        owner: String::new(),
                    });
                }
                return;
            }
            self.system.vars[var.index()].fixed = !pieces.is_empty();
        }
        self.system.vars[var.index()].value = pieces;
    }

    /// An override of an input: a value that holds, or an equation where it changes.
    fn override_of_input(&mut self, var: VarId, element: Affine, value: Expr, span: Span) {
        let loops = self.loops_in_force();
        let varies = self.varies(&value);
        let mut equation = None;
        if varies {
            equation = Some(self.system.equations.len());
            self.emit(Expr::Var(var, element.clone()), value, span);
        } else {
            self.push_piece(element.clone(), value, span);
        }
        self.drivers.push(Driver { var, loops, element, span, means: Means::Override, equation });
    }

    /// Whether an expression can change during a run.
    pub(super) fn varies(&self, e: &Expr) -> bool {
        let mut varies = false;
        visit(e, &mut |x| match x {
            Expr::Time | Expr::Der(..) | Expr::Delay(..) => varies = true,
            Expr::Var(v, _) | Expr::VarAt { var: v, .. } => {
                varies |= self.system.vars[v.index()].role != flat::Role::Parameter;
            }
            _ => {}
        });
        varies
    }

    fn guess_pieces(&mut self, id: InstId, slot: &Rc<VarSlot<'a>>, var: VarId) {
        let shape = slot.shape.get().cloned().unwrap_or_default();
        self.pieces.clear();
        self.may_add = false;
        self.unit(id, &mut |s, scope| {
            let mut at = scope.at.to_vec();
            s.nest(&shape, &mut at, &mut |s, at| {
                let Some((e, inner, idx)) = s.strongest(&slot.guesses, slot, at, slot.span)? else {
                    return Ok(());
                };
                let element = s.slot_element(slot, var, at)?;
                let value = s.element(e, &inner, &idx)?;
                s.push_piece(element, value, e.span);
                Ok(())
            })
        });
        self.system.vars[var.index()].guess = std::mem::take(&mut self.pieces);
    }

    /// `output = its definition`
    fn definition(&mut self, id: InstId, slot: &Rc<VarSlot<'a>>, var: VarId) {
        if slot.bindings.is_empty() {
            return;
        }
        let shape = slot.shape.get().cloned().unwrap_or_default();
        self.may_add = true;
        self.unit(id, &mut |s, scope| {
            let mut at = scope.at.to_vec();
            s.nest(&shape, &mut at, &mut |s, at| {
                let Some((e, inner, idx)) = s.binding_at(slot, at, slot.span)? else { return Ok(()) };
                let element = s.slot_element(slot, var, at)?;
                let value = s.element(e, &inner, &idx)?;
                s.emit(Expr::Var(var, element), value, e.span);
                Ok(())
            })
        });
    }

    /// The equations of all instances.
    pub(super) fn all_equations(&mut self) {
        self.may_add = true;
        for id in self.insts_in_order() {
            let class = self.inst(id).class;
            for e in &class.equations {
                self.unit(id, &mut |s, scope| s.equation(e, scope, false));
            }
            self.machine_equations(id);
            for e in &class.initial_equations {
                self.unit(id, &mut |s, scope| s.equation(e, scope, true));
            }
        }
    }

    pub(super) fn equation(&mut self, e: &'a hir::Equation, scope: &Scope<'a>, initial: bool) -> R<()> {
        match e {
            hir::Equation::Equal { left, right, span, .. } => self.equal(left, right, *span, scope, initial),
            hir::Equation::For { range, body, .. } => self.for_range(range, scope, &mut |s, inner| {
                for e in body {
                    s.equation(e, inner, initial)?;
                }
                Ok(())
            }),
            hir::Equation::If { cond, then, otherwise, .. } => {
                let list = if self.static_bool(cond, scope)? { then } else { otherwise };
                for e in list {
                    self.equation(e, scope, initial)?;
                }
                Ok(())
            }
        }
    }

    pub(super) fn for_range(
        &mut self,
        range: &'a hir::ForRange,
        scope: &Scope<'a>,
        body: &mut dyn FnMut(&mut Self, &Scope<'a>) -> R<()>,
    ) -> R<()> {
        const WHY: &str = "a loop whose bounds depend on an outer index";
        let lo = self.affine_bound(&range.lo, scope)?;
        let hi = self.affine_bound(&range.hi, scope)?;
        let lo = self.constant(&lo, WHY, range.lo.span)?;
        let hi = self.constant(&hi, WHY, range.hi.span)?;
        if hi - lo > super::MAX_SLOTS as i64 {
            return Err(self.too_large(range.hi.span, (hi - lo) as u64, "rounds of a loop"));
        }
        self.over((lo, hi), &mut |s, index| {
            let inner = scope.with(range.local, Local::Index(s.index_value(index)));
            body(s, &inner)
        })
    }

    fn equal(
        &mut self,
        left: &'a hir::Expr,
        right: &'a hir::Expr,
        span: Span,
        scope: &Scope<'a>,
        initial: bool,
    ) -> R<()> {
        let shape = self.common(&[left, right], scope, span)?;
        self.nest(&shape, &mut Vec::new(), &mut |s, at| {
            let l = s.element(left, scope, s.fit(left, at))?;
            let r = s.element(right, scope, s.fit(right, at))?;
            if initial {
                s.emit_initial(l, r, span);
                return Ok(());
            }
            s.mention(&l, scope.inst);
            s.mention(&r, scope.inst);
            if let Some((var, element)) = s.drives(left, &l, scope, span) {
                s.driven_by(var, element, r, span, Means::Equation);
            } else if let Some((var, element)) = s.drives(right, &r, scope, span) {
                s.driven_by(var, element, l, span, Means::Equation);
            } else {
                s.emit(l, r, span);
            }
            Ok(())
        })
    }

    /// Emits `input = value` and remembers who drives it.
    pub(super) fn driven_by(&mut self, var: VarId, element: Affine, value: Expr, span: Span, means: Means) {
        let equation = Some(self.system.equations.len());
        let loops = self.loops_in_force();
        self.emit(Expr::Var(var, element.clone()), value, span);
        self.drivers.push(Driver { var, loops, element, span, means, equation });
    }

    /// Whether this side of an equation is an input that the equation drives: a child's, or an inherited one.
    pub(super) fn drives(
        &self,
        side: &hir::Expr,
        e: &Expr,
        scope: &Scope<'a>,
        span: Span,
    ) -> Option<(VarId, Affine)> {
        let (hir::ExprKind::Member(_), Expr::Var(var, element)) = (&side.kind, e) else { return None };
        let (home, name) = self.homes.get(var.index())?.as_ref()?;
        let Some(Slot::Var(slot)) = self.inst(*home).members.get(name) else { return None };
        if slot.decl.section != Section::Inputs {
            return None;
        }
        let own = *home == scope.inst;
        (!own || self.class_at(slot.span) != self.class_at(span)).then(|| (*var, element.clone()))
    }

    /// Which class's text a place lies in.
    fn class_at(&self, span: Span) -> (crate::source::FileId, usize) {
        let after = self.class_starts.partition_point(|c| (c.file, c.lo) <= (span.file, span.lo));
        (span.file, after)
    }

    /// Remembers children's inputs that an equation speaks of.
    pub(super) fn mention(&mut self, e: &Expr, inst: InstId) {
        let mut found = Vec::new();
        visit(e, &mut |x| {
            if let Expr::Var(v, _) = x
                && self.system.vars[v.index()].role == flat::Role::Input
                && self.homes[v.index()].as_ref().is_some_and(|h| h.0 != inst)
            {
                found.push(*v);
            }
        });
        self.mentioned.extend(found);
    }

    /// Connections; ports that nothing connects have no flow.
    pub(super) fn connections(&mut self) {
        let mut network = self.network();
        for id in self.insts_in_order() {
            let class = self.inst(id).class;
            for c in &class.connections {
                self.unit(id, &mut |s, scope| s.connection(c, scope));
            }
            self.open_ports(id, network.as_mut());
        }
        if let Some(n) = network {
            self.meet(n);
        }
    }

    fn connection(&mut self, c: &'a hir::Connection, scope: &Scope<'a>) -> R<()> {
        match c {
            // See `event_connections`; see `network`.
            hir::Connection::Event { .. } | hir::Connection::Acausal { .. } => Ok(()),
            hir::Connection::For { range, body } => self.for_range(range, scope, &mut |s, inner| {
                for c in body {
                    s.connection(c, inner)?;
                }
                Ok(())
            }),
            hir::Connection::If { cond, body } => {
                if self.static_bool(cond, scope)? {
                    for c in body {
                        self.connection(c, scope)?;
                    }
                }
                Ok(())
            }
            hir::Connection::Causal { from, to, span } => {
                if self.is_absent(to, scope.inst) || self.mentions_absent(from, scope.inst) {
                    return Ok(());
                }
                let want = self.ref_shape(to, scope)?;
                let have = self.shape(from, scope)?;
                if !have.is_empty() && have != want {
                    let d = Diagnostic::new(
                        codes::SHAPES_DIFFER,
                        *span,
                        format!(
                            "an array of shape {} connected to one of shape {}",
                            super::bind::show_shape(&have),
                            super::bind::show_shape(&want)
                        ),
                    );
                    return Err(self.fail(d));
                }
                self.nest(&want, &mut Vec::new(), &mut |s, at| {
                    let value = s.element(from, scope, s.fit(from, at))?;
                    let (var, element) = s.target(to, scope, at)?;
                    let input = s.system.vars[var.index()].role == flat::Role::Input;
                    if input {
                        s.driven_by(var, element, value, *span, Means::Connection);
                    } else {
                        s.emit(Expr::Var(var, element), value, *span);
                    }
                    Ok(())
                })
            }
        }
    }

    /// Whether a path leads through a part that is absent.
    pub(super) fn is_absent(&self, r: &hir::Ref, mut inst: InstId) -> bool {
        for step in &r.steps {
            match self.inst(inst).members.get(&*step.name) {
                Some(Slot::Absent(_)) => return true,
                Some(Slot::Twin { parts, .. }) if !parts.is_empty() => inst = parts[0],
                _ => return false,
            }
        }
        false
    }

    fn mentions_absent(&self, e: &hir::Expr, inst: InstId) -> bool {
        use hir::ExprKind as K;
        match &e.kind {
            K::Member(r) => self.is_absent(r, inst),
            K::Unary(_, a) | K::Reduce(_, a) | K::Index(a, _) => self.mentions_absent(a, inst),
            K::Binary(_, a, b) => self.mentions_absent(a, inst) || self.mentions_absent(b, inst),
            K::If(c, a, b) => [c, a, b].iter().any(|e| self.mentions_absent(e, inst)),
            K::Call(_, list) | K::CallFunc(_, list) | K::Array(list) => {
                list.iter().any(|e| self.mentions_absent(e, inst))
            }
            _ => false,
        }
    }

    /// A constant real number: durations, tolerances, instants.
    pub(super) fn real(&mut self, e: &'a hir::Expr, scope: &Scope<'a>) -> R<f64> {
        match self.constant_of(e, scope, &[], Mode::Structural)?.number() {
            Some(x) => Ok(x),
            None => Err(Stop::NotConst { span: e.span, index: None }),
        }
    }
}

/// Calls `f` for `e` and everything in it.
pub(super) fn visit(e: &Expr, f: &mut dyn FnMut(&Expr)) {
    f(e);
    match e {
        Expr::Num(_)
        | Expr::Bool(_)
        | Expr::Time
        | Expr::Index(_)
        | Expr::Var(..)
        | Expr::Der(..)
        | Expr::Start(..) => {}
        Expr::VarAt { at: a, .. }
        | Expr::Un(_, a)
        | Expr::Step(_, a, _)
        | Expr::Not(a)
        | Expr::Fold(_, _, a)
        | Expr::Table(_, a)
        | Expr::NoEvent(a)
        | Expr::BoolToNum(a) => visit(a, f),
        Expr::Bin(_, a, b) | Expr::Cmp(_, a, b, _) | Expr::BoolBin(_, a, b) | Expr::Delay(a, b) => {
            visit(a, f);
            visit(b, f);
        }
        Expr::Math(_, list) => list.iter().for_each(|a| visit(a, f)),
        Expr::If(c, a, b) => {
            visit(c, f);
            visit(a, f);
            visit(b, f);
        }
    }
}

/// What becomes of an index.
#[derive(Clone, Copy)]
enum To {
    Index(Index),
    Value(i64),
}

/// Numbers the indices of an equation without gaps: loops first, then folds by depth.
fn compact(e: flat::Equation) -> flat::Equation {
    if e.loops.iter().enumerate().all(|(k, l)| l.index.index() == k) { e } else { renumbered(e) }
}

/// Puts the value of a loop of one round in its place.
pub(super) fn without_single_loops(e: flat::Equation) -> flat::Equation {
    if e.loops.iter().all(|l| l.hi - l.lo != 1) { e } else { renumbered(e) }
}

fn renumbered(mut e: flat::Equation) -> flat::Equation {
    let mut map: Vec<(Index, To)> = Vec::new();
    let mut kept = Vec::new();
    for l in &e.loops {
        if l.hi - l.lo == 1 {
            map.push((l.index, To::Value(l.lo)));
        } else {
            let to = Index::new(kept.len());
            map.push((l.index, To::Index(to)));
            kept.push(Loop { index: to, ..*l });
        }
    }
    let mut next = kept.len();
    e.loops = kept;
    renumber(&mut e.left, &mut map, &mut next);
    renumber(&mut e.right, &mut map, &mut next);
    e
}

fn renumber_affine(a: &mut Affine, map: &[(Index, To)]) {
    let mut out = Affine::constant(a.base);
    for &(i, s) in &a.terms {
        match map.iter().rev().find(|m| m.0 == i) {
            Some((_, To::Value(x))) => out.base += s * x,
            Some((_, To::Index(to))) => out = out.plus(*to, s),
            None => out = out.plus(i, s),
        }
    }
    *a = out;
}

fn renumber(e: &mut Expr, map: &mut Vec<(Index, To)>, next: &mut usize) {
    match e {
        Expr::Num(_) | Expr::Bool(_) | Expr::Time => {}
        Expr::Index(a) => {
            renumber_affine(a, map);
            if a.terms.is_empty() {
                *e = Expr::Num(a.base as f64);
            }
        }
        Expr::Var(_, a) | Expr::Der(_, a) | Expr::Start(_, a) => renumber_affine(a, map),
        Expr::VarAt { base, at, .. } => {
            renumber_affine(base, map);
            renumber(at, map, next);
        }
        Expr::Un(_, a)
        | Expr::Step(_, a, _)
        | Expr::Not(a)
        | Expr::Table(_, a)
        | Expr::NoEvent(a)
        | Expr::BoolToNum(a) => renumber(a, map, next),
        Expr::Bin(_, a, b) | Expr::Cmp(_, a, b, _) | Expr::BoolBin(_, a, b) | Expr::Delay(a, b) => {
            renumber(a, map, next);
            renumber(b, map, next);
        }
        Expr::Math(_, list) => list.iter_mut().for_each(|a| renumber(a, map, next)),
        Expr::If(c, a, b) => {
            renumber(c, map, next);
            renumber(a, map, next);
            renumber(b, map, next);
        }
        Expr::Fold(_, l, a) => {
            let to = Index::new(*next);
            map.push((l.index, To::Index(to)));
            l.index = to;
            *next += 1;
            renumber(a, map, next);
            *next -= 1;
            map.pop();
        }
    }
}

/// The flat number of the point of `loops` where all indices are lowest, and the number of points.
pub(super) fn first_element(loops: &[Loop], a: &Affine) -> Option<i64> {
    let mut at = a.clone();
    for l in loops {
        let stride = at.terms.iter().find(|t| t.0 == l.index).map_or(0, |t| t.1);
        at = Affine { base: at.base.checked_add(stride.checked_mul(l.lo)?)?, terms: at.terms };
    }
    scale(&Affine::constant(at.base), 1).map(|a| a.base)
}
