//! Statements: regions, loops, branches, stores, and what the host is asked for.

use super::{Callee, KEEPS_REGISTERS, Lower, Running, clif_type, kernel_signature};
use crate::error::JitError;
use crate::scalar::effects::{Mask, bit};
use crate::scalar::frame::offset;
use crate::scalar::known::Terms;
use crate::scalar::plan::{Cuts, Segment, region_weight};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I32, I64};
use cranelift_codegen::ir::{self, AbiParam, Block, InstBuilder, StackSlotData, StackSlotKind};
use twinml_model::ir::{For, If, Kernel, MathFn, Op, Place, Region, Stmt, Ty};

/// Loads per loop that are moved before it at most.
const HOISTED_LOADS: usize = 48;
/// Addresses carried around a loop at most.
const CARRIED_ADDRESSES: usize = 6;
/// Least size of a side that is taken for rare where the other side is empty, in operations.
const RARE: usize = 12;
/// Largest unrolled loop, in operations.
const UNROLLED: usize = 64;

impl<'a> Lower<'a, '_> {
    pub(super) fn cut_region(&mut self, region: &[Stmt], cuts: &Cuts) -> Result<(), JitError> {
        for segment in &cuts.segments {
            match segment {
                Segment::Piece(id, _) => {
                    let callee = self.reference(Callee::Piece(*id))?;
                    let frame = self.frame.ok_or_else(|| self.misplaced())?;
                    let call = self.b.ins().call(callee, &[frame]);
                    let code = self.b.inst_results(call)[0];
                    self.leave_unless_done(code);
                    self.known.forget(Mask::MAX);
                }
                Segment::Inside(k, inner) => match (&region[*k], inner.as_slice()) {
                    (Stmt::For(l), [body]) => self.loop_(l, Some(body))?,
                    (Stmt::If(i), [then, otherwise]) => self.branch(i, Some((then, otherwise)))?,
                    (other, _) => self.stmt(other)?,
                },
            }
        }
        Ok(())
    }

    pub(super) fn region(&mut self, region: &[Stmt]) -> Result<(), JitError> {
        region.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    pub(super) fn stmt(&mut self, stmt: &Stmt) -> Result<(), JitError> {
        match stmt {
            Stmt::Eval(v) => self.eval(*v),
            Stmt::Store { place, value, .. } => {
                let (base, terms) = self.place(place, (0, 1))?;
                let ty = self.act.kernel.values.get(value.index()).map(|d| d.ty);
                let x = match ty {
                    Some(Ty::F64) => self.f(*value)?,
                    Some(Ty::Bool) => {
                        let t = self.t(*value)?;
                        self.bool_to_f(t)
                    }
                    _ => return Err(self.bad_value(*value)),
                };
                let (from, at) = self.address(place.space, base, &terms);
                self.b.ins().store(self.flags[place.space as usize], x, from, at);
                let x = self.context.style.forward.then_some(x);
                self.known.write(place.space, &terms, base, x);
                Ok(())
            }
            Stmt::For(l) => self.loop_(l, None),
            Stmt::If(i) => self.branch(i, None),
            Stmt::Solve(block) => {
                self.ask_block(offset::SOLVE, block.0)?;
                self.known.forget(self.context.effects.solve(*block));
                Ok(())
            }
            Stmt::SolveTangent(block) => {
                self.ask_block(offset::SOLVE_TANGENT, block.0)?;
                self.known.forget(self.context.effects.solve_tangent(*block));
                Ok(())
            }
        }
    }

    pub(super) fn loop_(&mut self, l: &For, cuts: Option<&Cuts>) -> Result<(), JitError> {
        let inits = l.carries.iter().map(|c| self.get(c.init)).collect::<Result<Vec<_>, _>>()?;
        let rounds = i128::from(l.hi) - i128::from(l.lo);
        if rounds <= 0 {
            for (c, &init) in l.carries.iter().zip(&inits) {
                self.define(c.result, init)?;
            }
            return Ok(());
        }
        let (first, last) = if l.reverse { (l.hi - 1, l.lo) } else { (l.lo, l.hi - 1) };
        let step: i64 = if l.reverse { -1 } else { 1 };
        let weight = region_weight(self.act.kernel, &l.body);
        let small = self.context.style.forward && rounds * (weight as i128 + 1) <= UNROLLED as i128;
        if cuts.is_none() && (rounds == 1 || small) {
            let mut carried = inits;
            let mut x = first;
            loop {
                self.set_index(l.index, Some(Running::Fixed(x)))?;
                for (c, &value) in l.carries.iter().zip(&carried) {
                    self.define(c.var, value)?;
                }
                self.region(&l.body)?;
                carried = l.carries.iter().map(|c| self.get(c.next)).collect::<Result<Vec<_>, _>>()?;
                if x == last {
                    break;
                }
                x += step;
            }
            self.set_index(l.index, None)?;
            for (c, &value) in l.carries.iter().zip(&carried) {
                self.define(c.result, value)?;
            }
            return Ok(());
        }

        let written = if self.depth == 0 { self.context.effects.region(&l.body) } else { 0 };
        self.known.forget(written);
        // The outer region: what is learnt just before the loop is known inside and ends with it.
        self.known.enter();
        let mut carried_addresses = Vec::new();
        if self.context.style.forward && cuts.is_none() && self.depth == 0 {
            carried_addresses = self.before_loop(l, written, first)?;
        }
        let start = self.b.ins().iconst(I64, first);

        let body = self.b.create_block();
        let after = self.b.create_block();
        let index = self.b.append_block_param(body, I64);
        let mut vars = Vec::with_capacity(inits.len());
        let mut results = Vec::with_capacity(inits.len());
        for &init in &inits {
            let ty = self.b.func.dfg.value_type(init);
            vars.push(self.b.append_block_param(body, ty));
            results.push(self.b.append_block_param(after, ty));
        }
        let addresses: Vec<ir::Value> =
            carried_addresses.iter().map(|_| self.b.append_block_param(body, I64)).collect();
        let mut args: Vec<ir::BlockArg> = vec![start.into()];
        args.extend(inits.iter().map(|&v| ir::BlockArg::from(v)));
        args.extend(carried_addresses.iter().map(|(_, init, _)| ir::BlockArg::from(*init)));
        self.b.ins().jump(body, &args);

        self.b.switch_to_block(body);
        self.known.enter();
        self.set_index(l.index, Some(Running::Register { value: index, lo: l.lo, hi: l.hi - 1 }))?;
        for ((terms, _, _), &address) in carried_addresses.iter().zip(&addresses) {
            self.known.set_address(terms.clone(), address);
        }
        if self.depth == 0
            && let Some(plan) = self.plan
            && let Some(Some(word)) = plan.index_word.get(l.index.index())
        {
            self.store_word(*word, index);
        }
        for (c, &var) in l.carries.iter().zip(&vars) {
            self.define(c.var, var)?;
        }
        match cuts {
            Some(cuts) => self.cut_region(&l.body, cuts)?,
            None => self.region(&l.body)?,
        }
        let nexts = l.carries.iter().map(|c| self.get(c.next)).collect::<Result<Vec<_>, _>>()?;
        for (&next, &init) in nexts.iter().zip(&inits) {
            if self.b.func.dfg.value_type(next) != self.b.func.dfg.value_type(init) {
                return Err(self.misplaced());
            }
        }
        let more = self.b.ins().icmp_imm_s(IntCC::NotEqual, index, last);
        let next_index = self.b.ins().iadd_imm_s(index, step);
        let mut args: Vec<ir::BlockArg> = vec![next_index.into()];
        args.extend(nexts.iter().map(|&v| ir::BlockArg::from(v)));
        for ((_, _, stride), &address) in carried_addresses.iter().zip(&addresses) {
            let next = self.b.ins().iadd_imm_s(address, step * stride);
            args.push(next.into());
        }
        let done: Vec<ir::BlockArg> = nexts.iter().map(|&v| ir::BlockArg::from(v)).collect();
        self.b.ins().brif(more, body, &args, after, &done);
        self.known.leave();
        self.known.leave();
        self.set_index(l.index, None)?;

        self.b.switch_to_block(after);
        for (c, &result) in l.carries.iter().zip(&results) {
            self.define(c.result, result)?;
        }
        Ok(())
    }

    /// Loads what no round changes; returns the addresses to carry: strides, first value, bytes a round.
    pub(super) fn before_loop(
        &mut self,
        l: &For,
        written: Mask,
        first: i64,
    ) -> Result<Vec<(Terms, ir::Value, i64)>, JitError> {
        let kernel = self.act.kernel;
        let mut loads: Vec<&Place> = Vec::new();
        let mut moving: Vec<Terms> = Vec::new();
        // While the body is looked through, its own index counts as fixed.
        self.set_index(l.index, None)?;
        each_place(kernel, &l.body, &mut |place, load| {
            let (mut own, mut inner) = (0, false);
            for &(i, stride) in &place.at.terms {
                if i == l.index {
                    own = stride;
                } else {
                    inner |= !matches!(self.act.indices.get(i.index()), Some(Some(_)));
                }
            }
            if inner {
                return;
            }
            if own == 0 {
                if load && written & bit(place.space) == 0 && loads.len() < HOISTED_LOADS {
                    loads.push(place);
                }
            } else if moving.len() < CARRIED_ADDRESSES {
                let terms: Terms = place
                    .at
                    .terms
                    .iter()
                    .copied()
                    .filter(|&(i, _)| {
                        i == l.index
                            || matches!(self.act.indices.get(i.index()), Some(Some(Running::Register { .. })))
                    })
                    .collect();
                if !moving.contains(&terms) {
                    moving.push(terms);
                }
            }
        });
        for place in loads {
            self.load(place)?;
        }
        let mut out = Vec::with_capacity(moving.len());
        for terms in moving {
            let outer: Terms = terms.iter().copied().filter(|&(i, _)| i != l.index).collect();
            let stride = terms.iter().find(|t| t.0 == l.index).map_or(0, |t| t.1);
            let (Some(bytes), from) = (stride.checked_mul(8), self.strided(&outer)) else { continue };
            let Some(start) = bytes.checked_mul(first) else { continue };
            let init = self.b.ins().iadd_imm_s(from, start);
            out.push((terms, init, bytes));
        }
        Ok(out)
    }

    pub(super) fn branch(&mut self, i: &If, cuts: Option<(&Cuts, &Cuts)>) -> Result<(), JitError> {
        let negated = match self.act.kernel.values.get(i.cond.index()).map(|d| &d.op) {
            Some(Op::Not(c)) if self.has(*c) => Some(*c),
            _ => None,
        };
        let cond = self.t(negated.unwrap_or(i.cond))?;
        let after = self.b.create_block();
        let mut params = Vec::with_capacity(i.results.len());
        for &(result, _, _) in &i.results {
            let data = self.act.kernel.values.get(result.index());
            let Some(data) = data else { return Err(self.bad_value(result)) };
            params.push(self.b.append_block_param(after, clif_type(data.ty)));
        }
        // A side without code is an edge: its results are computed before the branch, where they can be
        // shared with code after it.
        let mut sides = [(after, Vec::new()), (after, Vec::new())];
        for (side, region) in sides.iter_mut().zip([&i.then, &i.otherwise]) {
            if !region.is_empty() {
                side.0 = self.b.create_block();
            }
        }
        for (k, side) in sides.iter_mut().enumerate() {
            if side.0 == after {
                side.1 = self.results(i, k == 0, &params)?;
            }
        }
        let order = if negated.is_some() { [1, 0] } else { [0, 1] };
        let [(a, a_args), (b, b_args)] = order.map(|k| (sides[k].0, &sides[k].1));
        self.b.ins().brif(cond, a, a_args, b, b_args);
        // The shape of code that is seldom reached: nothing on the other side.
        let rare = i.otherwise.is_empty() && region_weight(self.act.kernel, &i.then) >= RARE;
        if rare {
            self.b.set_cold_block(sides[0].0);
        }
        for (k, region) in [&i.then, &i.otherwise].into_iter().enumerate() {
            if sides[k].0 == after {
                continue;
            }
            self.b.switch_to_block(sides[k].0);
            if k == 0
                && rare
                && let Some((f, result)) = self.act.math
                && i.results.len() == 1
                && i.results[0].0 == result
            {
                // An elementary function's rare side may just as well be the whole function, out of line:
                // it takes the same side there.
                let x = self.rare(f)?;
                self.b.ins().jump(after, &[x.into()]);
                continue;
            }
            self.known.enter();
            match cuts {
                Some(cuts) => self.cut_region(region, if k == 0 { cuts.0 } else { cuts.1 })?,
                None => self.region(region)?,
            }
            let args = self.results(i, k == 0, &params)?;
            self.known.leave();
            self.b.ins().jump(after, &args);
        }
        self.b.switch_to_block(after);
        for (&(result, _, _), &param) in i.results.iter().zip(&params) {
            self.define(result, param)?;
        }
        Ok(())
    }

    /// The results of one side of a branch.
    pub(super) fn results(
        &mut self,
        i: &If,
        first: bool,
        params: &[ir::Value],
    ) -> Result<Vec<ir::BlockArg>, JitError> {
        let mut args = Vec::with_capacity(params.len());
        for (&(_, a, b), &param) in i.results.iter().zip(params) {
            let v = if first { a } else { b };
            let x = self.get(v)?;
            if self.b.func.dfg.value_type(x) != self.b.func.dfg.value_type(param) {
                return Err(self.bad_value(v));
            }
            args.push(ir::BlockArg::from(x));
        }
        Ok(args)
    }

    /// The elementary function whose code is being put in place of its call, called after all. The call
    /// keeps all registers, so that the code around it may use them as if there were none.
    pub(super) fn rare(&mut self, f: MathFn) -> Result<ir::Value, JitError> {
        let mut args = self.act.args.clone();
        if !KEEPS_REGISTERS {
            let callee = self.reference(Callee::Math(f))?;
            let call = self.b.ins().call(callee, &args);
            return Ok(self.b.inst_results(call)[0]);
        }
        let callee = self.reference(Callee::Rare(f))?;
        let slot = *self.rare_slot.get_or_insert_with(|| {
            self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3))
        });
        args.push(self.b.ins().stack_addr(I64, slot, 0));
        self.b.ins().call(callee, &args);
        Ok(self.b.ins().stack_load(I64, F64, slot, 0))
    }

    pub(super) fn exit_block(&mut self) -> Block {
        if let Some(exit) = self.exit {
            return exit;
        }
        let exit = self.b.create_block();
        self.b.append_block_param(exit, I32);
        self.b.set_cold_block(exit);
        self.exit = Some(exit);
        exit
    }

    pub(super) fn leave_unless_done(&mut self, code: ir::Value) {
        let exit = self.exit_block();
        let go_on = self.b.create_block();
        self.b.ins().brif(code, exit, &[code.into()], go_on, &[]);
        self.b.switch_to_block(go_on);
    }

    /// Calls an entry of the frame.
    pub(super) fn ask(&mut self, entry: i32, args: &[ir::Value]) -> Result<(), JitError> {
        let frame = self.frame.ok_or_else(|| self.misplaced())?;
        let sig = match self.signatures.get(&entry) {
            Some(&sig) => sig,
            None => {
                let mut sig = kernel_signature();
                for &arg in args {
                    sig.params.push(AbiParam::new(self.b.func.dfg.value_type(arg)));
                }
                let sig = self.b.import_signature(sig);
                self.signatures.insert(entry, sig);
                sig
            }
        };
        let flags = self.frame_flags.with_readonly().with_can_move();
        let callee = self.b.ins().load(I64, flags, frame, entry);
        let all: Vec<ir::Value> = std::iter::once(frame).chain(args.iter().copied()).collect();
        let call = self.b.ins().call_indirect(sig, callee, &all);
        let code = self.b.inst_results(call)[0];
        self.leave_unless_done(code);
        Ok(())
    }

    pub(super) fn ask_block(&mut self, entry: i32, block: u32) -> Result<(), JitError> {
        if self.data.is_none() || self.depth > 0 {
            return Err(self.misplaced());
        }
        let block = self.b.ins().iconst(I32, i64::from(block));
        self.ask(entry, &[block])
    }

    pub(super) fn answer(&mut self) -> Result<ir::Value, JitError> {
        let frame = self.frame.ok_or_else(|| self.misplaced())?;
        Ok(self.b.ins().load(F64, self.frame_flags, frame, offset::OUT))
    }
}

/// Calls `f` with each place of a region, and whether it is read there by a plain load.
fn each_place<'k>(kernel: &'k Kernel, region: &'k Region, f: &mut dyn FnMut(&'k Place, bool)) {
    for stmt in region {
        match stmt {
            Stmt::Eval(v) => match kernel.values.get(v.index()).map(|d| &d.op) {
                Some(Op::Load(place)) => f(place, true),
                Some(Op::LoadAt { place, .. }) => f(place, false),
                _ => {}
            },
            Stmt::Store { place, .. } => f(place, false),
            Stmt::For(l) => each_place(kernel, &l.body, f),
            Stmt::If(i) => {
                each_place(kernel, &i.then, f);
                each_place(kernel, &i.otherwise, f);
            }
            Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
        }
    }
}
