//! From a path to an element: which family, which subscripts.

use super::Flattener;
use super::consts::Mode;
use super::scope::{InstId, R, Scope, Slot, Stop, VarSlot, add, scale};
use crate::diag::{Diagnostic, codes};
use crate::flat::{self, Affine};
use crate::hir;
use crate::source::Span;
use std::rc::Rc;
use twinml_model::ids::VarId;

/// One subscript.
#[derive(Clone, Debug)]
pub(super) enum Sub {
    /// Affine in the loops' indices.
    Fixed(Affine),
    /// Known at run time; the axis' length.
    Dynamic(flat::Expr, u32),
}

/// What a path leads to.
pub(super) enum Found<'a> {
    /// A quantity, with the subscripts of its instance and its own.
    Var(Rc<VarSlot<'a>>, Vec<Sub>),
    /// A member of a port: the family and its subscripts.
    Port(VarId, Vec<Sub>),
    /// A whole port: the family of its first member, the subscripts of the port.
    Joint(VarId, Vec<Sub>),
    /// A machine by its number, with the subscripts of its instance.
    Machine(usize, Vec<Sub>),
    /// A whole twin or an array of them.
    Twin,
}

impl<'a> Flattener<'a> {
    /// Follows `r` from `scope`; `free` gives the subscripts of the axes that the path leaves open, in order.
    pub(super) fn walk(&mut self, r: &'a hir::Ref, scope: &Scope<'a>, free: &[Affine]) -> R<Found<'a>> {
        let mut inst = scope.inst;
        let mut at: Vec<Sub> = scope.at.iter().cloned().map(Sub::Fixed).collect();
        let mut free = free.iter();
        let mut steps = r.steps.iter();
        while let Some(step) = steps.next() {
            let mut slot = self.inst(inst).members.get(&*step.name).cloned();
            if let Some(Slot::Outer(further)) = slot {
                inst = further;
                at.truncate(self.inst(inst).axes.len());
                slot = self.inst(inst).members.get(&*step.name).cloned();
            }
            match slot {
                None => return Err(self.no_member(inst, &step.name, r.span)),
                Some(Slot::Outer(_)) => {
                    return Err(self.internal(r.span, "an outer member of an outer member"));
                }
                Some(Slot::Other) => {
                    if let Some(m) = self.machine_at(inst, &step.name) {
                        return Ok(Found::Machine(m, self.storage(inst, at)));
                    }
                    return Err(self.refuse(codes::LATER_BEHAVIOR, r.span, "what behaviour keeps"));
                }
                Some(Slot::Absent(declared)) => return Err(self.absent(&step.name, r.span, declared)),
                Some(Slot::Twin { shape, parts }) => {
                    let subs = self.subscripts(&step.subscripts, &shape, scope, &mut free, r.span)?;
                    inst = self.part(&parts, &shape, &subs, r.span)?;
                    at.extend(subs);
                }
                Some(Slot::Port { shape, connector, vars, shapes }) => {
                    let subs = self.subscripts(&step.subscripts, &shape, scope, &mut free, r.span)?;
                    let Some(last) = steps.next() else {
                        let Some(&var) = vars.first() else {
                            return Err(self.internal(r.span, "a connector without members"));
                        };
                        let mut all = self.storage(inst, at);
                        all.extend(subs);
                        return Ok(Found::Joint(var, all));
                    };
                    let Some(k) = connector.members.get_index_of(&*last.name) else {
                        return Err(self.internal(r.span, "a connector without this member"));
                    };
                    let mut all = self.storage(inst, at);
                    all.extend(subs);
                    all.extend(self.subscripts(&last.subscripts, &shapes[k], scope, &mut free, r.span)?);
                    return Ok(Found::Port(vars[k], all));
                }
                Some(Slot::Var(slot)) => {
                    let shape = self.member_shape(&slot, &step.name)?;
                    at.extend(self.subscripts(&step.subscripts, &shape, scope, &mut free, r.span)?);
                    return Ok(Found::Var(slot, at));
                }
            }
        }
        Ok(Found::Twin)
    }

    fn absent(&mut self, name: &str, span: Span, declared: Span) -> Stop {
        let d = Diagnostic::new(codes::ABSENT_PART, span, format!("`{name}` is absent here"))
            .label(declared, "its condition does not hold");
        self.fail(d)
    }

    /// Which of the parts of a twin the subscripts name.
    fn part(&mut self, parts: &[InstId], shape: &[u32], subs: &[Sub], span: Span) -> R<InstId> {
        let flat = |f: &Self| -> R<usize> {
            let mut n = 0usize;
            for (s, &len) in subs.iter().zip(shape) {
                let k = match s {
                    Sub::Fixed(a) => f.constant(a, "twins that differ in structure", span)?,
                    Sub::Dynamic(..) => return Err(Stop::NotConst { span, index: None }),
                };
                n = n * len as usize + k.max(0) as usize;
            }
            Ok(n)
        };
        match parts {
            [one] => Ok(*one),
            [] => {
                let d = Diagnostic::new(codes::SUBSCRIPT_RANGE, span, "an array of no twins has no element");
                Err(self.fail(d))
            }
            _ => match flat(self) {
                Err(Stop::NotConst { .. }) => Err(self.not_constant(span)),
                Err(e) => Err(e),
                Ok(n) => match parts.get(n) {
                    Some(p) => Ok(*p),
                    None => Err(self.out_of_range(span, n as i64, parts.len() as i64)),
                },
            },
        }
    }

    /// The subscripts of one step: those written, then the open ones.
    fn subscripts(
        &mut self,
        written: &'a [hir::Subscript],
        shape: &[u32],
        scope: &Scope<'a>,
        free: &mut std::slice::Iter<'_, Affine>,
        span: Span,
    ) -> R<Vec<Sub>> {
        if written.len() > shape.len() {
            let d = Diagnostic::new(
                codes::SUBSCRIPT_RANGE,
                span,
                format!("{} subscripts for {} axes", written.len(), shape.len()),
            );
            return Err(self.fail(d));
        }
        let mut out = Vec::with_capacity(shape.len());
        for (k, &len) in shape.iter().enumerate() {
            out.push(match written.get(k) {
                Some(hir::Subscript::Index(e)) => self.subscript(e, scope, len)?,
                Some(hir::Subscript::Slice(lo, _)) => {
                    let next = self.open(free, span)?;
                    match lo {
                        None => Sub::Fixed(next),
                        Some(lo) => {
                            let lo = self.affine(lo, scope, Mode::Structural)?;
                            let a = add(&next, &lo).unwrap_or_default();
                            self.inside(&a, len, span)?;
                            Sub::Fixed(a)
                        }
                    }
                }
                None => Sub::Fixed(self.open(free, span)?),
            });
        }
        Ok(out)
    }

    fn open(&mut self, free: &mut std::slice::Iter<'_, Affine>, span: Span) -> R<Affine> {
        match free.next() {
            Some(a) => Ok(self.settle(a)),
            None => Err(self.internal(span, "fewer subscripts than axes")),
        }
    }

    /// A written subscript of an axis of `len`.
    pub(super) fn subscript(&mut self, e: &'a hir::Expr, scope: &Scope<'a>, len: u32) -> R<Sub> {
        match self.affine(e, scope, Mode::Structural) {
            Ok(a) => {
                self.inside(&a, len, e.span)?;
                Ok(Sub::Fixed(a))
            }
            Err(Stop::NotConst { index: Some(index), .. }) => Err(Stop::Split {
                index,
                cuts: Vec::new(),
                why: "a subscript that is no constant plus multiples of the indices",
                span: e.span,
            }),
            Err(Stop::NotConst { .. }) => Ok(Sub::Dynamic(self.element(e, scope, &[])?, len)),
            Err(e) => Err(e),
        }
    }

    /// Checks `0 <= a < len` over the loops in force.
    pub(super) fn inside(&mut self, a: &Affine, len: u32, span: Span) -> R<()> {
        let a = self.settle(a);
        let (lo, hi) = self.bounds(&a);
        let len = i64::from(len);
        if lo >= 0 && hi < len {
            return Ok(());
        }
        if self.guarded > 0 && !a.terms.is_empty() {
            return Err(self.expand(&a, "a subscript that its condition keeps inside", span));
        }
        Err(self.out_of_range(span, if lo < 0 { lo } else { hi }, len))
    }

    /// Subscripts of the stored axes: pinned ones fall away.
    pub(super) fn storage(&self, inst: InstId, at: Vec<Sub>) -> Vec<Sub> {
        let axes = &self.inst(inst).axes;
        at.into_iter()
            .enumerate()
            .filter(|(k, _)| axes.get(*k).is_none_or(|a| a.pin.is_none()))
            .map(|(_, s)| s)
            .collect()
    }

    /// An element of a family as an expression.
    pub(super) fn place(&mut self, var: VarId, subs: &[Sub], span: Span) -> R<flat::Expr> {
        let axes: Vec<u32> =
            self.system.vars[var.index()].path.iter().flat_map(|s| s.axes.iter().copied()).collect();
        if axes.len() != subs.len() {
            return Err(self.internal(span, "subscripts that do not fit the axes"));
        }
        let mut stride = 1i64;
        let mut base = Affine::constant(0);
        let mut dynamic: Option<(flat::Expr, u32, i64)> = None;
        for (s, &len) in subs.iter().zip(&axes).rev() {
            match s {
                Sub::Fixed(a) => {
                    base = scale(a, stride).and_then(|a| add(&base, &a)).unwrap_or_default();
                }
                Sub::Dynamic(e, n) => match dynamic.take() {
                    None => dynamic = Some((e.clone(), *n, stride)),
                    Some((inner, m, inner_stride)) if stride == inner_stride * i64::from(m) => {
                        use flat::BinOp::{Add, Mul};
                        let outer = flat::Expr::Bin(
                            Mul,
                            Box::new(e.clone()),
                            Box::new(flat::Expr::Num(f64::from(m))),
                        );
                        let at = flat::Expr::Bin(Add, Box::new(outer), Box::new(inner));
                        dynamic = Some((at, n.saturating_mul(m), inner_stride));
                    }
                    Some(_) => {
                        return Err(self.refuse(
                            codes::LATER_DYNAMIC,
                            span,
                            "two subscripts that change during the run, with an axis between them,",
                        ));
                    }
                },
            }
            stride = stride.saturating_mul(i64::from(len));
        }
        let base = self.settle(&base);
        Ok(match dynamic {
            None => flat::Expr::Var(var, base),
            Some((at, len, stride)) => flat::Expr::VarAt { var, base, at: Box::new(at), len, stride, span },
        })
    }

    /// The family and the affine element that a path leads to; a dynamic subscript is an error.
    pub(super) fn target(
        &mut self,
        r: &'a hir::Ref,
        scope: &Scope<'a>,
        free: &[Affine],
    ) -> R<(VarId, Affine)> {
        let (var, subs) = match self.walk(r, scope, free)? {
            Found::Var(slot, at) => match slot.var.get() {
                Some(v) => (*v, self.storage(slot.inst, at)),
                None => return Err(self.refuse(codes::LATER_TYPE, r.span, "a quantity of this type")),
            },
            Found::Port(v, subs) => (v, subs),
            Found::Machine(..) | Found::Twin | Found::Joint(..) => {
                return Err(self.internal(r.span, "a twin where a quantity is wanted"));
            }
        };
        match self.place(var, &subs, r.span)? {
            flat::Expr::Var(v, a) => Ok((v, a)),
            _ => {
                let d = Diagnostic::new(
                    codes::NOT_CONSTANT,
                    r.span,
                    "a subscript that changes during the run cannot stand here",
                );
                Err(self.fail(d))
            }
        }
    }

    /// The lengths of the axes that a path leaves open.
    pub(super) fn ref_shape(&mut self, r: &'a hir::Ref, scope: &Scope<'a>) -> R<Vec<u32>> {
        let mut out = Vec::new();
        self.steps_shape(&r.steps, scope.inst, scope, r.span, &mut out)?;
        Ok(out)
    }

    fn steps_shape(
        &mut self,
        steps: &'a [hir::Step],
        mut inst: InstId,
        scope: &Scope<'a>,
        span: Span,
        out: &mut Vec<u32>,
    ) -> R<()> {
        let Some((step, rest)) = steps.split_first() else { return Ok(()) };
        let mut slot = self.inst(inst).members.get(&*step.name).cloned();
        if let Some(Slot::Outer(further)) = slot {
            inst = further;
            slot = self.inst(inst).members.get(&*step.name).cloned();
        }
        match slot {
            None => Err(self.no_member(inst, &step.name, span)),
            // A machine has one state.
            Some(Slot::Other) if rest.is_empty() && self.machine_at(inst, &step.name).is_some() => Ok(()),
            Some(Slot::Other | Slot::Outer(_)) => {
                Err(self.refuse(codes::LATER_BEHAVIOR, span, "what behaviour keeps"))
            }
            Some(Slot::Absent(declared)) => Err(self.absent(&step.name, span, declared)),
            Some(Slot::Twin { shape, parts }) => {
                self.open_axes(&step.subscripts, &shape, scope, span, out)?;
                match parts[..] {
                    // No element: whatever follows has none either.
                    [] => {
                        *out = vec![0; out.len().max(1)];
                        Ok(())
                    }
                    [one] => self.steps_shape(rest, one, scope, span, out),
                    _ => self.parts_shape(step, &shape, &parts, rest, scope, span, out),
                }
            }
            Some(Slot::Port { shape, connector, shapes, .. }) => {
                self.open_axes(&step.subscripts, &shape, scope, span, out)?;
                let Some(last) = rest.first() else { return Ok(()) };
                let k = connector.members.get_index_of(&*last.name).unwrap_or(0);
                self.open_axes(&last.subscripts, &shapes[k], scope, span, out)
            }
            Some(Slot::Var(slot)) => {
                let shape = self.member_shape(&slot, &step.name)?;
                self.open_axes(&step.subscripts, &shape, scope, span, out)
            }
        }
    }

    /// Twins that are kept apart: one of them by its subscripts, or several, whose members must be alike.
    #[expect(clippy::too_many_arguments, reason = "one call site")]
    fn parts_shape(
        &mut self,
        step: &'a hir::Step,
        shape: &[u32],
        parts: &[InstId],
        rest: &'a [hir::Step],
        scope: &Scope<'a>,
        span: Span,
        out: &mut Vec<u32>,
    ) -> R<()> {
        let indices: Vec<&'a hir::Expr> = step
            .subscripts
            .iter()
            .filter_map(|s| if let hir::Subscript::Index(e) = s { Some(e) } else { None })
            .collect();
        if indices.len() == shape.len() {
            let mut n = 0usize;
            for (e, &len) in indices.into_iter().zip(shape) {
                let a = self.affine(e, scope, Mode::Structural)?;
                let k = self.constant(&a, "twins that differ in structure", span)?;
                n = n * len as usize + k.max(0) as usize;
            }
            return match parts.get(n) {
                Some(p) => self.steps_shape(rest, *p, scope, span, out),
                None => Err(self.out_of_range(span, n as i64, parts.len() as i64)),
            };
        }
        let mut common: Option<Vec<u32>> = None;
        for p in parts {
            let mut own = Vec::new();
            self.steps_shape(rest, *p, scope, span, &mut own)?;
            match &common {
                None => common = Some(own),
                Some(c) if *c == own => {}
                Some(c) => {
                    let d = Diagnostic::new(
                        codes::SHAPES_DIFFER,
                        span,
                        format!(
                            "the elements of `{}` hold arrays of unlike shapes: {} and {}",
                            step.name,
                            super::bind::show_shape(c),
                            super::bind::show_shape(&own)
                        ),
                    )
                    .help("name one element by its subscript");
                    return Err(self.fail(d));
                }
            }
        }
        out.extend(common.unwrap_or_default());
        Ok(())
    }

    /// Lengths of the axes that subscripts leave open.
    pub(super) fn open_axes(
        &mut self,
        written: &'a [hir::Subscript],
        shape: &[u32],
        scope: &Scope<'a>,
        span: Span,
        out: &mut Vec<u32>,
    ) -> R<()> {
        for (k, &len) in shape.iter().enumerate() {
            match written.get(k) {
                Some(hir::Subscript::Index(_)) => {}
                None => out.push(len),
                Some(hir::Subscript::Slice(lo, hi)) => {
                    let lo = lo
                        .as_ref()
                        .map_or(Ok(Affine::constant(0)), |e| self.affine(e, scope, Mode::Structural))?;
                    let hi = hi.as_ref().map_or(Ok(Affine::constant(len.into())), |e| {
                        self.affine(e, scope, Mode::Structural)
                    })?;
                    let n = super::scope::sub(&hi, &lo).unwrap_or_default();
                    let n = self.constant(&n, "a slice whose length depends on the index", span)?;
                    let (first, last) = (self.bounds(&self.settle(&lo)).0, self.bounds(&self.settle(&hi)).1);
                    if first < 0 || last > i64::from(len) {
                        return Err(self.out_of_range(
                            span,
                            if first < 0 { first } else { last - 1 },
                            len.into(),
                        ));
                    }
                    out.push(n.max(0) as u32);
                }
            }
        }
        Ok(())
    }
}
