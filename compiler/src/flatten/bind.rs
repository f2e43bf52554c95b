//! Overrides: which expression gives a member's element its value.

use super::Flattener;
use super::consts::Mode;
use super::scope::{Binding, DrawBinding, InstId, Local, Locals, R, Scope, Select, Slot, Stop, VarSlot, sub};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::flat::{Affine, CmpOp};
use crate::hir::{self, Name};
use crate::source::Span;
use std::rc::Rc;

/// One step of an override's path.
#[derive(Clone)]
pub(super) struct PathStep<'a> {
    pub name: Name,
    pub subscripts: &'a [hir::Subscript],
}

/// An override on its way down the instances.
#[derive(Clone)]
pub(super) struct Pending<'a> {
    pub steps: Rc<[PathStep<'a>]>,
    /// The next step.
    pub at: usize,
    /// The value; none where only a distribution is given.
    pub expr: Option<&'a hir::Expr>,
    /// `~`
    pub law: Option<&'a hir::Distribution>,
    pub locals: &'a [hir::LocalId],
    pub scope: InstId,
    pub select: Vec<Select>,
    pub span: Span,
    /// `guess` instead of `=`.
    pub guess: bool,
    /// Set where it reached a member.
    pub used: Rc<std::cell::Cell<bool>>,
}

impl<'a> Pending<'a> {
    /// An override entry as written in `scope`.
    pub fn new(o: &'a hir::Override, scope: InstId) -> Pending<'a> {
        let steps =
            o.path.iter().map(|s| PathStep { name: s.name.clone(), subscripts: &s.subscripts }).collect();
        Pending {
            steps,
            at: 0,
            expr: o.value.as_ref(),
            law: o.distribution.as_ref(),
            locals: &o.indices,
            scope,
            select: Vec::new(),
            span: o.span,
            guess: o.guess,
            used: Rc::default(),
        }
    }

    /// A value argument `n: 12` of a class.
    pub fn argument(name: &Name, expr: &'a hir::Expr, scope: InstId) -> Pending<'a> {
        Pending {
            steps: Rc::new([PathStep { name: name.clone(), subscripts: &[] }]),
            at: 0,
            expr: Some(expr),
            law: None,
            locals: &[],
            scope,
            select: Vec::new(),
            span: expr.span,
            guess: false,
            used: Rc::new(std::cell::Cell::new(true)),
        }
    }

    pub fn name(&self) -> &Name {
        &self.steps[self.at].name
    }

    fn is_last(&self) -> bool {
        self.at + 1 == self.steps.len()
    }
}

impl<'a> Flattener<'a> {
    /// The selection that the subscripts of a step make on axes of these lengths.
    pub(super) fn selection(
        &mut self,
        scope: InstId,
        subscripts: &'a [hir::Subscript],
        shape: &[u32],
        span: Span,
    ) -> R<Vec<Select>> {
        if subscripts.len() > shape.len() {
            let d = Diagnostic::new(codes::OVERRIDE_SHAPE, span, "more subscripts than axes");
            return Err(self.fail(d));
        }
        let at = self.own_scope(scope);
        let mut out = Vec::with_capacity(shape.len());
        for (k, &len) in shape.iter().enumerate() {
            let len = i64::from(len);
            out.push(match subscripts.get(k) {
                None | Some(hir::Subscript::Slice(None, None)) => Select::All,
                Some(hir::Subscript::Index(e)) => {
                    let i = self.integer(e, &at)?;
                    if i < 0 || i >= len {
                        return Err(self.out_of_range(e.span, i, len));
                    }
                    Select::At(i)
                }
                Some(hir::Subscript::Slice(lo, hi)) => {
                    let lo = lo.as_ref().map_or(Ok(0), |e| self.integer(e, &at))?;
                    let hi = hi.as_ref().map_or(Ok(len), |e| self.integer(e, &at))?;
                    if lo < 0 || hi > len {
                        return Err(self.out_of_range(span, if lo < 0 { lo } else { hi - 1 }, len));
                    }
                    Select::Range(lo, hi.max(lo))
                }
            });
        }
        Ok(out)
    }

    /// The overrides for the parts of a child of this shape.
    pub(super) fn descend(
        &mut self,
        pendings: &[Pending<'a>],
        name: &str,
        shape: &[u32],
    ) -> R<Vec<Pending<'a>>> {
        let mut out = Vec::new();
        for p in pendings {
            if &**p.name() != name || p.is_last() {
                continue;
            }
            let mut p = p.clone();
            let more = self.selection(p.scope, p.steps[p.at].subscripts, shape, p.span)?;
            p.select.extend(more);
            p.at += 1;
            out.push(p);
        }
        Ok(out)
    }

    /// The bindings of a member: its own value, then the overrides that name it, weakest first.
    pub(super) fn bindings(
        &mut self,
        inst: InstId,
        name: &str,
        decl: &'a hir::VarDecl,
        span: Span,
        pendings: &[Pending<'a>],
        guess: bool,
    ) -> Vec<Binding<'a>> {
        let mut out = Vec::new();
        let own = if guess { &decl.guess } else { &decl.value };
        if let Some(expr) = own {
            out.push(Binding {
                expr,
                scope: inst,
                locals: &[],
                select: vec![Select::All; decl.shape.len()],
                span: expr.span,
            });
        }
        let mut is_final = decl.is_final.then_some(span);
        for p in pendings {
            if &**p.name() != name || !p.is_last() || p.guess != guess {
                continue;
            }
            p.used.set(true);
            if let Some(declared) = is_final.take() {
                self.diags.push(
                    Diagnostic::new(codes::FINAL_OVERRIDE, p.span, format!("`{name}` is final"))
                        .label(declared, "declared final here"),
                );
            }
            let (Some(expr), Some(select)) = (p.expr, self.selected(inst, name, decl, p)) else { continue };
            out.push(Binding { expr, scope: p.scope, locals: p.locals, select, span: p.span });
        }
        out
    }

    /// What says how a member is drawn, weakest first: its own distribution, then the overrides that name it.
    pub(super) fn laws(
        &mut self,
        inst: InstId,
        name: &str,
        decl: &'a hir::VarDecl,
        pendings: &[Pending<'a>],
    ) -> Vec<DrawBinding<'a>> {
        let mut out = Vec::new();
        if let Some(law) = &decl.distribution {
            let select = vec![Select::All; decl.shape.len()];
            out.push(DrawBinding { law: Some(law), scope: inst, locals: &[], select });
        }
        for p in pendings {
            if &**p.name() != name || !p.is_last() || p.guess || (out.is_empty() && p.law.is_none()) {
                continue;
            }
            let Some(select) = self.selected(inst, name, decl, p) else { continue };
            out.push(DrawBinding { law: p.law, scope: p.scope, locals: p.locals, select });
        }
        out
    }

    /// The elements of a member that an override speaks about; `None` after saying why not.
    fn selected(
        &mut self,
        inst: InstId,
        name: &str,
        decl: &'a hir::VarDecl,
        p: &Pending<'a>,
    ) -> Option<Vec<Select>> {
        // Subscripts on the member's own axes need its shape only to be checked: see `own_selection`.
        if !p.steps[p.at].subscripts.is_empty() {
            return self.own_selection(inst, name, decl, p).ok();
        }
        let mut select = p.select.clone();
        select.extend(vec![Select::All; decl.shape.len()]);
        Some(select)
    }

    fn own_selection(
        &mut self,
        inst: InstId,
        name: &str,
        decl: &'a hir::VarDecl,
        p: &Pending<'a>,
    ) -> R<Vec<Select>> {
        let at = self.own_scope(inst);
        let shape = self.extents(&decl.shape, decl.value.as_ref(), &at, p.span, name)?;
        let mut select = p.select.clone();
        let more = self.selection(p.scope, p.steps[p.at].subscripts, &shape, p.span)?;
        select.extend(more);
        Ok(select)
    }

    /// The expression that gives the element `at` (the instance's subscripts, then the member's own) of a
    /// member, with its scope and the subscripts into its value. `None`: nothing gives one.
    pub(super) fn binding_at(
        &mut self,
        slot: &VarSlot<'a>,
        at: &[Affine],
        span: Span,
    ) -> R<Option<(&'a hir::Expr, Scope<'a>, Vec<Affine>)>> {
        self.strongest(&slot.bindings, slot, at, span)
    }

    /// The strongest of some bindings that speaks about this element.
    pub(super) fn strongest(
        &mut self,
        list: &[Binding<'a>],
        slot: &VarSlot<'a>,
        at: &[Affine],
        span: Span,
    ) -> R<Option<(&'a hir::Expr, Scope<'a>, Vec<Affine>)>> {
        for b in list.iter().rev() {
            if self.selects(b.scope, &b.select, at, span)? {
                return self.bound(b, slot, at).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether a binding that stands in `scope` speaks about this element.
    pub(super) fn selects(&self, scope: InstId, select: &[Select], at: &[Affine], span: Span) -> R<bool> {
        let prefix = self.inst(scope).axes.len();
        for (s, a) in select.iter().zip(&at[prefix.min(at.len())..]) {
            let inside = match *s {
                Select::All => true,
                Select::At(k) => match self.sign(&sub(a, &Affine::constant(k)).unwrap_or_default(), span)? {
                    Some(o) => o.is_eq(),
                    None => return Err(self.expand(a, "an override of some elements", span)),
                },
                Select::Range(lo, hi) => {
                    let below = self.decide(CmpOp::Ge, a, &Affine::constant(lo), span)?;
                    let above = self.decide(CmpOp::Lt, a, &Affine::constant(hi), span)?;
                    match (below, above) {
                        (Some(l), Some(h)) => l && h,
                        _ => return Err(self.expand(a, "an override of some elements", span)),
                    }
                }
            };
            if !inside {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Scope and subscripts of a binding's expression for an element that it selects.
    pub(super) fn bound(
        &mut self,
        b: &Binding<'a>,
        slot: &VarSlot<'a>,
        at: &[Affine],
    ) -> R<(&'a hir::Expr, Scope<'a>, Vec<Affine>)> {
        let prefix = self.inst(b.scope).axes.len();
        let mut lens: Vec<Option<i64>> =
            self.inst(slot.inst).axes.iter().map(|a| Some(i64::from(a.len))).collect();
        match slot.shape.get() {
            Some(own) => lens.extend(own.iter().map(|n| Some(i64::from(*n)))),
            None => lens.resize(at.len(), None),
        }
        let mut locals = Locals::default();
        let mut names = b.locals.iter();
        // The axes that the value may have: those that the path leaves open, and are not named by `for`.
        let mut open: Vec<(Affine, Option<i64>)> = Vec::new();
        let mut all = Vec::new();
        for (k, s) in b.select.iter().enumerate() {
            let a = &at[prefix + k];
            let axis = match *s {
                Select::At(_) => continue,
                Select::All => (a.clone(), lens[prefix + k]),
                Select::Range(lo, hi) => (sub(a, &Affine::constant(lo)).unwrap_or_default(), Some(hi - lo)),
            };
            all.push(axis.clone());
            // `for i` names the elements by their own subscripts, also in a slice.
            match names.next() {
                Some(&local) => locals = locals.with(local, Local::Index(a.clone())),
                None => open.push(axis),
            }
        }
        if names.next().is_some() {
            let d = Diagnostic::new(
                codes::OVERRIDE_SHAPE,
                b.span,
                "more indices behind `for` than axes on the path",
            );
            return Err(self.fail(d));
        }
        let scope = Scope { inst: b.scope, at: at[..prefix].into(), locals };
        let rank = b.expr.shape.len();
        if rank == 0 {
            return Ok((b.expr, scope, Vec::new()));
        }
        // An array to each; with fewer axes: one for each instance's own array.
        let pool = if rank <= open.len() { &open } else { &all };
        if rank > pool.len() {
            let d = Diagnostic::new(
                codes::OVERRIDE_SHAPE,
                b.span,
                format!("a value with {rank} axes for something with {}", pool.len()),
            )
            .label(slot.span, "declared here");
            return Err(self.fail(d));
        }
        let shape = self.shape(b.expr, &scope)?;
        let fits = |part: &[(Affine, Option<i64>)]| {
            part.iter().zip(&shape).all(|(a, n)| a.1.is_none_or(|len| len == i64::from(*n)))
        };
        let (head, tail) = (&pool[..rank], &pool[pool.len() - rank..]);
        let chosen = if fits(tail) {
            tail
        } else if fits(head) {
            head
        } else {
            let want: Vec<u32> = pool.iter().map(|a| a.1.unwrap_or(0) as u32).collect();
            let d = Diagnostic::new(
                codes::OVERRIDE_SHAPE,
                b.span,
                format!(
                    "a value of shape {} for elements of shape {}",
                    show_shape(&shape),
                    show_shape(&want)
                ),
            )
            .label(slot.span, "declared here");
            return Err(self.fail(d));
        };
        Ok((b.expr, scope, chosen.iter().map(|a| a.0.clone()).collect()))
    }

    /// Overrides that reached nothing.
    pub(super) fn report_unused(&mut self, all: &[Pending<'a>], root: InstId) {
        for p in all.iter().filter(|p| !p.used.get()) {
            let name = p.steps.iter().map(|s| &*s.name).collect::<Vec<_>>().join(".");
            // The first step that is not there.
            let mut inst = root;
            let mut missing = p.name().clone();
            for s in p.steps.iter() {
                missing = s.name.clone();
                match self.inst(inst).members.get(&*s.name) {
                    Some(Slot::Twin { parts, .. }) if !parts.is_empty() => inst = parts[0],
                    _ => break,
                }
            }
            let members: Vec<String> = self.inst(inst).members.keys().map(ToString::to_string).collect();
            let mut d =
                Diagnostic::new(codes::NO_SUCH_MEMBER, p.span, format!("there is no `{name}` to set"));
            if let Some(help) = did_you_mean(&missing, members.iter().map(String::as_str)) {
                d = d.help(help);
            }
            self.diags.push(d);
        }
    }

    /// An integer that must be known now.
    pub(super) fn integer(&mut self, e: &'a hir::Expr, scope: &Scope<'a>) -> R<i64> {
        let a = self.affine(e, scope, Mode::Structural)?;
        self.constant(&a, "a size or a bound that depends on the index", e.span)
    }

    pub(super) fn out_of_range(&mut self, span: Span, index: i64, len: i64) -> Stop {
        let d =
            Diagnostic::new(codes::SUBSCRIPT_RANGE, span, format!("subscript {index} is outside 0..{len}"))
                .help("arrays count from 0, and a range leaves its end out");
        self.fail(d)
    }
}

/// `[3, 4]`, `a scalar`
pub(super) fn show_shape(shape: &[u32]) -> String {
    if shape.is_empty() {
        return String::from("[] (a scalar)");
    }
    let parts: Vec<String> = shape.iter().map(u32::to_string).collect();
    format!("[{}]", parts.join(", "))
}
