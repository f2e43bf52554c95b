//! From a path in code to slots or cells.

use super::super::Flattener;
use super::super::consts::{Const, Mode};
use super::super::scope::{InstId, R, Slot};
use super::body::Body;
use super::formula::may_be_known;
use crate::diag::{Diagnostic, codes};
use crate::hir::{self, Subscript};
use crate::source::Span;
use twinml_model::behavior::{CellId, Instr, MachineId, Reg, SlotRef, Which};
use twinml_model::ids::VarId;
use twinml_model::ir::UnOp;
use twinml_model::schema::Kind;

/// Most rows of an array that are loaded one by one.
const MAX_ROWS: u32 = 10_000;

/// One axis on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dim {
    /// The instance's own axis.
    Own,
    Fixed(u32),
    At(Reg),
    /// Left open: from where, how many.
    Open(u32, u32),
}

/// What a path leads to.
pub(super) enum Goal {
    Slots(VarId),
    Cell(CellId),
    Machine(MachineId),
    /// A twin as a whole.
    Twin,
}

/// A place with the axes on the way.
pub(super) struct Spot {
    pub goal: Goal,
    pub inst: InstId,
    pub dims: Vec<Dim>,
    pub lens: Vec<u32>,
}

/// Where a path may lead: one place, or one for each of several twins that are kept apart.
pub(super) enum Loc {
    One(Spot),
    Many(Vec<Loc>),
}

impl<'a> Flattener<'a> {
    /// Follows a path from the instance whose code this is.
    pub(super) fn locate(&mut self, b: &mut Body, steps: &'a [hir::Step], span: Span) -> R<Loc> {
        let inst = b.inst;
        let lens = self.own_axes(inst);
        let dims = vec![Dim::Own; lens.len()];
        self.locate_from(b, inst, dims, lens, steps, span)
    }

    pub(super) fn locate_from(
        &mut self,
        b: &mut Body,
        mut inst: InstId,
        mut dims: Vec<Dim>,
        mut lens: Vec<u32>,
        steps: &'a [hir::Step],
        span: Span,
    ) -> R<Loc> {
        let mut steps = steps.iter();
        while let Some(step) = steps.next() {
            let mut slot = self.inst(inst).members.get(&*step.name).cloned();
            if let Some(Slot::Outer(further)) = slot {
                inst = further;
                let n = self.own_axes(inst).len();
                dims.truncate(n);
                lens.truncate(n);
                slot = self.inst(inst).members.get(&*step.name).cloned();
            }
            let key = (inst, step.name.clone());
            if let Some(&m) = self.behaving.machines.get(&key) {
                return Ok(Loc::One(Spot { goal: Goal::Machine(m), inst, dims, lens }));
            }
            if let Some(&c) = self.behaving.cells.get(&key) {
                if let Some(Slot::Var(s)) = &slot {
                    let shape = self.member_shape(s, &step.name)?;
                    self.dims(b, &step.subscripts, &shape, span, &mut dims)?;
                    lens.extend(shape);
                }
                return Ok(Loc::One(Spot { goal: Goal::Cell(c), inst, dims, lens }));
            }
            match slot {
                None => return Err(self.no_member(inst, &step.name, span)),
                Some(Slot::Outer(_) | Slot::Other) => return Err(self.later(span, "this part of an agent")),
                Some(Slot::Absent(_)) => {
                    let d =
                        Diagnostic::new(codes::ABSENT_PART, span, format!("`{}` is absent here", step.name));
                    return Err(self.fail(d));
                }
                Some(Slot::Var(s)) => {
                    let shape = self.member_shape(&s, &step.name)?;
                    self.dims(b, &step.subscripts, &shape, span, &mut dims)?;
                    lens.extend(shape);
                    let Some(&var) = s.var.get() else {
                        return Err(self.refuse(codes::LATER_TYPE, span, "a quantity of this type"));
                    };
                    return Ok(Loc::One(Spot { goal: Goal::Slots(var), inst, dims, lens }));
                }
                Some(Slot::Port { shape, connector, vars, shapes }) => {
                    self.dims(b, &step.subscripts, &shape, span, &mut dims)?;
                    lens.extend(shape);
                    let Some(last) = steps.next() else {
                        return Err(self.internal(span, "a port where a quantity is wanted"));
                    };
                    let k = connector.members.get_index_of(&*last.name).unwrap_or(0);
                    self.dims(b, &last.subscripts, &shapes[k], span, &mut dims)?;
                    lens.extend(&shapes[k]);
                    return Ok(Loc::One(Spot { goal: Goal::Slots(vars[k]), inst, dims, lens }));
                }
                Some(Slot::Twin { shape, parts }) => {
                    let mut own = Vec::new();
                    self.dims(b, &step.subscripts, &shape, span, &mut own)?;
                    let [one] = parts[..] else {
                        let rest = steps.as_slice();
                        return self.one_of(b, &parts, &shape, &own, (dims, lens), rest, span);
                    };
                    let axes = self.inst(inst).axes.len();
                    let pinned: Vec<bool> =
                        self.inst(one).axes[axes..].iter().map(|a| a.pin.is_some()).collect();
                    for ((d, len), pinned) in own.into_iter().zip(shape).zip(pinned) {
                        if !pinned {
                            dims.push(d);
                            lens.push(len);
                        }
                    }
                    inst = one;
                }
            }
        }
        Ok(Loc::One(Spot { goal: Goal::Twin, inst, dims, lens }))
    }

    /// Twins that are kept apart: one by a constant, or all of one axis.
    #[expect(clippy::too_many_arguments, reason = "one call site")]
    fn one_of(
        &mut self,
        b: &mut Body,
        parts: &[InstId],
        shape: &[u32],
        own: &[Dim],
        (dims, lens): (Vec<Dim>, Vec<u32>),
        rest: &'a [hir::Step],
        span: Span,
    ) -> R<Loc> {
        let mut n = 0;
        for (d, len) in own.iter().zip(shape) {
            match d {
                Dim::Fixed(k) => n = n * len + k,
                Dim::Open(lo, count) if own.len() == 1 => {
                    let mut all = Vec::new();
                    for k in *lo..lo + count {
                        let Some(&p) = parts.get(k as usize) else { continue };
                        all.push(self.locate_from(b, p, dims.clone(), lens.clone(), rest, span)?);
                    }
                    return Ok(Loc::Many(all));
                }
                _ => {
                    return Err(self.refuse(
                        codes::LATER_DYNAMIC,
                        span,
                        "a changing subscript of twins that differ in structure",
                    ));
                }
            }
        }
        match parts.get(n as usize) {
            Some(&p) => self.locate_from(b, p, dims, lens, rest, span),
            None => Err(self.out_of_range(span, n.into(), parts.len() as i64)),
        }
    }

    fn dims(
        &mut self,
        b: &mut Body,
        written: &'a [Subscript],
        shape: &[u32],
        span: Span,
        out: &mut Vec<Dim>,
    ) -> R<()> {
        for (k, &len) in shape.iter().enumerate() {
            out.push(match written.get(k) {
                None => Dim::Open(0, len),
                Some(Subscript::Index(e)) => match self.known_index(b, e)? {
                    Some(k) if k >= 0 && k < i64::from(len) => Dim::Fixed(k as u32),
                    Some(k) => return Err(self.out_of_range(e.span, k, len.into())),
                    None => Dim::At(self.value(b, e)?),
                },
                Some(Subscript::Slice(lo, hi)) => {
                    let mut end = |e: &'a Option<hir::Expr>, other: i64| match e {
                        None => Ok(other),
                        Some(e) => match self.known_index(b, e)? {
                            Some(k) if k >= 0 && k <= i64::from(len) => Ok(k),
                            Some(k) => Err(self.out_of_range(e.span, k, len.into())),
                            None => Err(self.refuse(codes::LATER_DYNAMIC, span, "a slice whose ends change")),
                        },
                    };
                    let (lo, hi) = (end(lo, 0)?, end(hi, len.into())?);
                    Dim::Open(lo as u32, (hi - lo).max(0) as u32)
                }
            });
        }
        Ok(())
    }

    /// A subscript that is known now.
    fn known_index(&mut self, b: &Body, e: &'a hir::Expr) -> R<Option<i64>> {
        if !may_be_known(e) {
            return Ok(None);
        }
        let scope = self.scope_in(b.inst);
        Ok(match self.constant_of(e, &scope, &[], Mode::Indices) {
            Ok(Const::Int(a)) if self.settle(&a).terms.is_empty() => Some(self.settle(&a).base),
            Ok(Const::Enum(k)) => Some(k.into()),
            Err(super::super::scope::Stop::Fail) => return Err(super::super::scope::Stop::Fail),
            _ => None,
        })
    }

    /// The slots of a spot, and its open axes: `(elements, elements apart)`, outermost first.
    pub(super) fn slots(&mut self, b: &mut Body, var: VarId, spot: &Spot) -> (SlotRef, Vec<(u32, u32)>) {
        let own = self.own_axes(b.inst);
        let used = spot.dims.iter().take_while(|d| matches!(d, Dim::Own)).count();
        let mut steps = vec![1u32; spot.lens.len()];
        for k in (1..spot.lens.len()).rev() {
            steps[k - 1] = steps[k] * spot.lens[k];
        }
        let mut slot = SlotRef { var, base: 0, stride: 0, at: Vec::new() };
        if used > 0 {
            let step = steps[used - 1];
            let inner: u32 = own[used..].iter().product();
            if inner == 1 {
                slot.stride = step;
            } else {
                // An enclosing twin: its number is ours without our own axes.
                let n = b.reg();
                b.push(Instr::Instance(n));
                let by = b.num(inner.into());
                let q = b.op(twinml_model::behavior::Op2::Div, n, by);
                let q = b.un(UnOp::Floor, q);
                slot.at.push((q, own[..used].iter().product(), step));
            }
        }
        let mut open = Vec::new();
        for (k, d) in spot.dims.iter().enumerate().skip(used) {
            match *d {
                Dim::Own => {}
                Dim::Fixed(i) => slot.base += i * steps[k],
                Dim::At(r) => slot.at.push((r, spot.lens[k], steps[k])),
                Dim::Open(lo, n) => {
                    slot.base += lo * steps[k];
                    open.push((n, steps[k]));
                }
            }
        }
        (slot, open)
    }

    /// Reads what a path leads to.
    pub(super) fn load(&mut self, b: &mut Body, loc: &Loc, which: Which, span: Span) -> R<Reg> {
        match loc {
            Loc::Many(all) => {
                let regs = all.iter().map(|l| self.load(b, l, which, span)).collect::<R<Vec<_>>>()?;
                let out = b.reg();
                b.push(Instr::List(out, regs));
                Ok(out)
            }
            Loc::One(spot) => match spot.goal {
                Goal::Slots(var) => {
                    let (slot, open) = self.slots(b, var, spot);
                    let truth = self.system.vars[var.index()].kind == Kind::Bool;
                    self.load_rows(b, slot, &open, which, truth, span)
                }
                Goal::Machine(m) => {
                    let var = self.behaving.out.machines[m as usize].var;
                    let (slot, open) = self.slots(b, var, spot);
                    self.load_rows(b, slot, &open, which, false, span)
                }
                Goal::Cell(c) => {
                    let (base, stride, at) = self.cell(b, spot, span)?;
                    let out = b.reg();
                    b.push(Instr::LoadCell(out, c, base, stride, at));
                    Ok(out)
                }
                Goal::Twin => self.twin_value(b, loc, span),
            },
        }
    }

    fn load_rows(
        &mut self,
        b: &mut Body,
        slot: SlotRef,
        open: &[(u32, u32)],
        which: Which,
        truth: bool,
        span: Span,
    ) -> R<Reg> {
        let out = b.reg();
        match open {
            [] => b.push(Instr::Load(out, slot, which, truth)),
            [(n, step)] if which == Which::Value => b.push(Instr::LoadArray(out, slot, *n, *step, truth)),
            [(n, step), rest @ ..] => {
                if *n > MAX_ROWS {
                    return Err(self.too_large(span, (*n).into(), "rows read by code"));
                }
                let mut rows = Vec::new();
                for k in 0..*n {
                    let mut row = slot.clone();
                    row.base += k * step;
                    rows.push(self.load_rows(b, row, rest, which, truth, span)?);
                }
                b.push(Instr::List(out, rows));
            }
        }
        Ok(out)
    }

    /// Writes `value` (as many axes as `depth`) to what a path leads to.
    pub(super) fn store(&mut self, b: &mut Body, loc: &Loc, value: Reg, depth: usize, span: Span) -> R<()> {
        match loc {
            Loc::Many(all) => {
                for (k, l) in all.iter().enumerate() {
                    let mut part = value;
                    if depth > 0 {
                        let at = b.num(k as f64);
                        part = b.index(value, at);
                    }
                    self.store(b, l, part, depth.saturating_sub(1), span)?;
                }
                Ok(())
            }
            Loc::One(spot) => match spot.goal {
                Goal::Slots(var) => {
                    // What a scenario forces holds what behaviour gives it until it is released.
                    let held = self.taken.get(&var).filter(|t| t.open).and_then(|t| t.held);
                    let var = held.unwrap_or(var);
                    self.behaving.stores.push((var, span));
                    let (slot, open) = self.slots(b, var, spot);
                    self.store_rows(b, slot, &open, value, depth, span)
                }
                Goal::Cell(c) => {
                    let (base, stride, at) = self.cell(b, spot, span)?;
                    b.push(Instr::StoreCell(c, base, stride, at, value));
                    Ok(())
                }
                _ => Err(self.internal(span, "an assignment to something that cannot be set")),
            },
        }
    }

    fn store_rows(
        &mut self,
        b: &mut Body,
        slot: SlotRef,
        open: &[(u32, u32)],
        value: Reg,
        depth: usize,
        span: Span,
    ) -> R<()> {
        match open {
            [] => b.push(Instr::Store(slot, value)),
            [(n, step)] if depth == 1 => b.push(Instr::StoreArray(slot, *n, *step, value)),
            [(n, step), rest @ ..] => {
                if *n > MAX_ROWS {
                    return Err(self.too_large(span, (*n).into(), "rows written by code"));
                }
                for k in 0..*n {
                    let mut row = slot.clone();
                    row.base += k * step;
                    let mark = b.mark();
                    let mut part = value;
                    if depth == open.len() {
                        let at = b.num(k.into());
                        part = b.index(value, at);
                    }
                    self.store_rows(b, row, rest, part, depth.min(rest.len()), span)?;
                    b.free(mark);
                }
            }
        }
        Ok(())
    }

    /// The instance of a cell's family, and the element's register.
    fn cell(&mut self, b: &mut Body, spot: &Spot, span: Span) -> R<(u32, u32, Option<Reg>)> {
        let axes = self.own_axes(spot.inst).len();
        let head = Spot {
            goal: Goal::Twin,
            inst: spot.inst,
            dims: spot.dims[..axes].to_vec(),
            lens: spot.lens[..axes].to_vec(),
        };
        let (at, open) = self.slots(b, VarId(0), &head);
        if !open.is_empty() || !at.at.is_empty() {
            return Err(self.refuse(
                codes::LATER_DYNAMIC,
                span,
                "what twins keep, by a subscript that changes or for all of them,",
            ));
        }
        let mut element: Option<Reg> = None;
        for (d, len) in spot.dims[axes..].iter().zip(&spot.lens[axes..]) {
            let k = match *d {
                Dim::Fixed(k) => b.num(k.into()),
                Dim::At(r) => r,
                _ => return Err(self.refuse(codes::LATER_TYPE, span, "an array of such values as a whole")),
            };
            element = Some(match element {
                None => k,
                Some(e) => {
                    let n = b.num((*len).into());
                    let e = b.op(twinml_model::behavior::Op2::Mul, e, n);
                    b.op(twinml_model::behavior::Op2::Add, e, k)
                }
            });
        }
        Ok((at.base, at.stride, element))
    }
}
