//! A kernel as code for vectors of 2 by Cranelift, on processors without instructions of which we write the bytes
//! ourselves.
//!
//! It takes the graph that AVX2 takes, and the plan of it without carried slots and without a guard: Cranelift finds the
//! registers. A slow path is a cold block behind a branch, and calls the same scalar code; a side that is seldom taken is one, too. The code is for the same pages, the
//! same memory and the same scratch space as that of the emitter; nothing in it refers to anything outside.

mod aside;

use self::aside::Aside;
use super::LaneError;
use super::emit::{Pool, scratch};
use super::graph::{Arith2, Bits2, Graph, Id, Mask2, Node, Shift};
use super::plan::{Plan, Segment, condition};
use crate::conditions;
use crate::scalar::target::{self, Effort};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, Endianness, InstBuilder, MemFlagsData, SigRef, Signature, Type, Value, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

/// Lanes of a vector.
pub(super) const LANES: usize = 2;
const BYTES: i32 = 16;
/// Nodes above which Cranelift would take too long.
pub(super) const MOST: usize = 60_000;

/// Code for a plan, and the scratch space that it needs, in bytes. It begins on a border of 64 bytes.
pub(super) fn emit(
    pool: &mut Pool,
    g: &Graph,
    plan: &Plan,
    groups: usize,
    stride: i32,
) -> Result<(Vec<u8>, usize), LaneError> {
    let unavailable = LaneError::Unavailable(super::Isa::V128);
    // For others than AVX-512 `lower` makes slow paths of these.
    if g.nodes.iter().any(|n| matches!(n, Node::ToInt(_) | Node::ToFloat(_))) {
        return Err(unavailable);
    }
    let isa = target::isa(Effort::Full).map_err(|_| unavailable.clone())?;
    let convention = CallConv::triple_default(isa.triple());
    let pointer = isa.pointer_type();
    let mut context = Context::new();
    let signature = |params: &[Type]| {
        let mut s = Signature::new(convention);
        s.params.extend(params.iter().map(|t| AbiParam::new(*t)));
        s
    };
    context.func.signature = signature(&[pointer, pointer, types::I64, pointer]);
    let slow = signature(&[pointer, types::I32, types::I32, pointer]);
    let mut frontend = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut context.func, &mut frontend);
    let slow = b.import_signature(slow);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry);
    let (memory, space, times, constants) = (params[0], params[1], params[2], params[3]);
    let known = vec![None; g.nodes.len() * groups];
    let aside = Aside::of(g, plan);
    let mut e =
        Emitter { b, pool, g, plan, aside, groups, stride, memory, space, constants, slow, pointer, known };
    e.whole(times);
    e.b.seal_all_blocks();
    e.b.finalize(isa.frontend_config());
    let code = context.compile(&*isa, &mut ControlPlane::default()).map_err(|_| unavailable.clone())?;
    // A call by name means that the processor lacks an instruction.
    if !code.buffer.relocs().is_empty() {
        return Err(unavailable);
    }
    let space = scratch::ROWS + scratch::ROW * (plan.args as i32 + 1);
    Ok((code.code_buffer().to_vec(), space as usize))
}

struct Emitter<'a> {
    b: FunctionBuilder<'a>,
    pool: &'a mut Pool,
    g: &'a Graph,
    plan: &'a Plan,
    aside: Aside,
    groups: usize,
    /// Bytes from a slot to the next.
    stride: i32,
    memory: Value,
    space: Value,
    constants: Value,
    /// Signature of the slow paths.
    slow: SigRef,
    pointer: Type,
    /// By node and group what was computed or loaded.
    known: Vec<Option<Value>>,
}

fn trusted() -> MemFlagsData {
    MemFlagsData::trusted()
}

impl Emitter<'_> {
    fn whole(&mut self, times: Value) {
        let plan = self.plan;
        self.segment(&plan.before);
        let (body, exit) = (self.b.create_block(), self.b.create_block());
        let left = self.b.append_block_param(body, types::I64);
        self.b.ins().jump(body, &[BlockArg::Value(times)]);
        self.b.switch_to_block(body);
        self.segment(&plan.body);
        let left = self.b.ins().iadd_imm_s(left, -1);
        self.b.ins().brif(left, body, &[BlockArg::Value(left)], exit, &[]);
        self.b.switch_to_block(exit);
        self.b.ins().return_(&[]);
    }

    fn segment(&mut self, s: &Segment) {
        let mut stores = s.stores.iter().peekable();
        for (p, &id) in s.order.iter().enumerate() {
            for group in 0..self.groups {
                if !self.aside.stands[id as usize] {
                    self.make(id, group);
                }
            }
            while let Some(&(_, slot, id)) = stores.next_if(|s| s.0 as usize <= p) {
                self.store(slot, id);
            }
        }
        for &(_, slot, id) in stores {
            self.store(slot, id);
        }
    }

    fn make(&mut self, id: Id, group: usize) {
        if let Some(v) = self.compute(id, group) {
            self.known[id as usize * self.groups + group] = Some(v);
        }
    }

    fn offset(&self, slot: u32, group: usize) -> i32 {
        slot as i32 * self.stride + group as i32 * BYTES
    }

    fn store(&mut self, slot: u32, id: Id) {
        for group in 0..self.groups {
            let v = self.get(id, group);
            let at = self.offset(slot, group);
            self.b.ins().store(trusted(), v, self.memory, at);
        }
    }

    /// The value of a node that was computed, of a slot or of a constant.
    fn get(&mut self, id: Id, group: usize) -> Value {
        let place = id as usize * self.groups + group;
        if let Some(v) = self.known[place] {
            return v;
        }
        match self.g.nodes[id as usize] {
            Node::Load(slot) => {
                let at = self.offset(slot, group);
                let v = self.b.ins().load(types::F64X2, trusted(), self.memory, at);
                self.known[place] = Some(v);
                v
            }
            Node::Const(c) => self.constant(c),
            Node::ConstB(c) => self.constant(if c { u64::MAX } else { 0 }),
            // A plan computes operands before what reads them.
            _ => self.constant(0),
        }
    }

    /// The same 64 bits in every lane: a load where they are needed, which becomes an operand in memory.
    fn constant(&mut self, c: u64) -> Value {
        let at = self.pool.at(c) as i32 * BYTES;
        self.b.ins().load(types::F64X2, trusted().with_readonly(), self.constants, at)
    }

    fn cast(&mut self, to: Type, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == to {
            return v;
        }
        self.b.ins().bitcast(to, MemFlagsData::new().with_endianness(Endianness::Little), v)
    }

    fn real(&mut self, id: Id, group: usize) -> Value {
        let v = self.get(id, group);
        self.cast(types::F64X2, v)
    }

    fn bits(&mut self, id: Id, group: usize) -> Value {
        let v = self.get(id, group);
        self.cast(types::I64X2, v)
    }

    /// One of two, bit by bit.
    fn select(&mut self, mask: Value, x: Value, y: Value) -> Value {
        let mask = self.cast(types::F64X2, mask);
        self.b.ins().bitselect(mask, x, y)
    }

    /// Each lane by itself.
    fn by_lane(&mut self, x: Value, y: Value, mut f: impl FnMut(&mut Self, Value, Value) -> Value) -> Value {
        let mut out = x;
        for lane in 0..LANES as u8 {
            let (a, b) = (self.b.ins().extractlane(x, lane), self.b.ins().extractlane(y, lane));
            let r = f(self, a, b);
            out = self.b.ins().insertlane(out, r, lane);
        }
        out
    }

    fn compute(&mut self, id: Id, group: usize) -> Option<Value> {
        let v = match self.g.nodes[id as usize] {
            Node::Const(_) | Node::ConstB(_) | Node::Load(_) | Node::Input(_) | Node::Guard => return None,
            // They are for AVX-512; see `emit`.
            Node::ToInt(_) | Node::ToFloat(_) => return None,
            Node::Copy(a) => self.get(a, group),
            Node::Arith(op, x, y) => {
                let (x, y) = (self.real(x, group), self.real(y, group));
                match op {
                    Arith2::Add => self.b.ins().fadd(x, y),
                    Arith2::Sub => self.b.ins().fsub(x, y),
                    Arith2::Mul => self.b.ins().fmul(x, y),
                    Arith2::Div => self.b.ins().fdiv(x, y),
                    Arith2::Min => {
                        let less = self.b.ins().fcmp(FloatCC::LessThan, x, y);
                        self.select(less, x, y)
                    }
                    Arith2::Max => {
                        let more = self.b.ins().fcmp(FloatCC::GreaterThan, x, y);
                        self.select(more, x, y)
                    }
                }
            }
            Node::Fma { a, b, c, minus_product, minus_c } => {
                let (mut a, b, mut c) = (self.real(a, group), self.real(b, group), self.real(c, group));
                if minus_product {
                    a = self.b.ins().fneg(a);
                }
                if minus_c {
                    c = self.b.ins().fneg(c);
                }
                self.b.ins().fma(a, b, c)
            }
            Node::Sqrt(a) => {
                let a = self.real(a, group);
                self.b.ins().sqrt(a)
            }
            Node::Round(mode, a) => {
                let a = self.real(a, group);
                match mode {
                    0 => self.b.ins().nearest(a),
                    1 => self.b.ins().floor(a),
                    2 => self.b.ins().ceil(a),
                    _ => self.b.ins().trunc(a),
                }
            }
            Node::Bits(op, x, y) => {
                let (x, y) = (self.bits(x, group), self.bits(y, group));
                match op {
                    Bits2::And => self.b.ins().band(x, y),
                    Bits2::Or => self.b.ins().bor(x, y),
                    Bits2::Xor => self.b.ins().bxor(x, y),
                    Bits2::Add => self.b.ins().iadd(x, y),
                    Bits2::Sub => self.b.ins().isub(x, y),
                    Bits2::Mul => self.b.ins().imul(x, y),
                    Bits2::MulLow => {
                        let low = self.constant(0xffff_ffff);
                        let low = self.cast(types::I64X2, low);
                        let (x, y) = (self.b.ins().band(x, low), self.b.ins().band(y, low));
                        self.b.ins().imul(x, y)
                    }
                    Bits2::Shl => self.by_lane(x, y, |e, a, n| e.b.ins().ishl(a, n)),
                    Bits2::Shr => self.by_lane(x, y, |e, a, n| e.b.ins().ushr(a, n)),
                    Bits2::Sar => self.by_lane(x, y, |e, a, n| e.b.ins().sshr(a, n)),
                }
            }
            Node::Shift(op, x, n) => {
                let x = self.bits(x, group);
                let n = self.b.ins().iconst(types::I32, i64::from(n));
                match op {
                    Shift::Left => self.b.ins().ishl(x, n),
                    Shift::Right => self.b.ins().ushr(x, n),
                    Shift::Signed => self.b.ins().sshr(x, n),
                }
            }
            Node::Cmp(op, x, y) => {
                let (x, y) = (self.real(x, group), self.real(y, group));
                let op = conditions::float(op);
                self.b.ins().fcmp(op, x, y)
            }
            Node::CmpI(op, x, y) => {
                let (x, y) = (self.bits(x, group), self.bits(y, group));
                let op = conditions::integer(op);
                self.b.ins().icmp(op, x, y)
            }
            Node::Test(x, y) => {
                let (x, y) = (self.bits(x, group), self.bits(y, group));
                let (both, none) = (self.b.ins().band(x, y), self.constant(0));
                let none = self.cast(types::I64X2, none);
                self.b.ins().icmp(IntCC::NotEqual, both, none)
            }
            Node::Mask(op, x, y) => {
                let (x, y) = (self.bits(x, group), self.bits(y, group));
                match op {
                    Mask2::And => self.b.ins().band(x, y),
                    Mask2::Or => self.b.ins().bor(x, y),
                    Mask2::Xor => self.b.ins().bxor(x, y),
                }
            }
            Node::Not(a) => {
                let a = self.bits(a, group);
                self.b.ins().bnot(a)
            }
            Node::Select(c, x, y) if self.aside.sides.contains_key(&id) => self.seldom(id, (c, x, y), group),
            Node::Select(c, x, y) => {
                let (c, x, y) = (self.bits(c, group), self.real(x, group), self.real(y, group));
                self.select(c, x, y)
            }
            Node::Slow(k) => self.slow(k, group),
        };
        Some(v)
    }

    /// A choice of which one side is seldom taken: what only that one needs stands in a cold block.
    fn seldom(&mut self, id: Id, (c, x, y): (Id, Id, Id), group: usize) -> Value {
        let Some(side) = self.aside.sides.remove(&id) else { return self.constant(0) };
        // what stands in the cold block is known nowhere else
        for &a in &side.loads {
            self.get(a, group);
        }
        let usual = self.real(side.usual, group);
        let mask = self.mask(side.cond, group);
        let (aside, join) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(join, types::F64X2);
        self.b.set_cold_block(aside);
        self.b.ins().brif(mask, aside, &[], join, &[BlockArg::Value(usual)]);
        self.b.switch_to_block(aside);
        side.nodes.iter().for_each(|&node| self.make(node, group));
        let (c, x, y) = (self.bits(c, group), self.real(x, group), self.real(y, group));
        let either = self.select(c, x, y);
        self.b.ins().jump(join, &[BlockArg::Value(either)]);
        self.b.switch_to_block(join);
        self.aside.sides.insert(id, side);
        self.b.block_params(join)[0]
    }

    /// The lanes for which a condition holds, a bit each.
    fn mask(&mut self, (c, inverted): (Id, bool), group: usize) -> Value {
        let c = self.bits(c, group);
        let mask = self.b.ins().vhigh_bits(types::I32, c);
        if inverted { self.b.ins().bxor_imm_u(mask, (1 << LANES) - 1) } else { mask }
    }

    fn slow(&mut self, k: u32, group: usize) -> Value {
        let slow = &self.g.slow[k as usize];
        let all = (1i64 << LANES) - 1;
        // All that is read is computed in front of the branch: what stands in a cold block is known nowhere else.
        let args: Vec<Value> = slow.args.iter().map(|&a| self.bits(a, group)).collect();
        let usual = slow.usual.map(|u| self.real(u, group));
        let cond = slow.cond.map(|c| condition(self.g, c));
        let join: Option<(Block, Value)> = cond.map(|cond| {
            let mask = self.mask(cond, group);
            let (aside, join) = (self.b.create_block(), self.b.create_block());
            self.b.append_block_param(join, types::F64X2);
            self.b.set_cold_block(aside);
            let zero = usual.is_none().then(|| self.constant(0));
            let other: Vec<BlockArg> = usual.or(zero).map(BlockArg::Value).into_iter().collect();
            self.b.ins().brif(mask, aside, &[], join, &other);
            self.b.switch_to_block(aside);
            (join, mask)
        });
        let mask = match join {
            Some((_, mask)) => mask,
            None => self.b.ins().iconst(types::I32, all),
        };
        if let Some(u) = usual {
            self.b.ins().store(trusted(), u, self.space, scratch::ROWS);
        }
        for (n, v) in args.into_iter().enumerate() {
            self.b.ins().store(trusted(), v, self.space, scratch::ROWS + (n as i32 + 1) * scratch::ROW);
        }
        let context = self.b.ins().load(self.pointer, trusted(), self.space, scratch::CONTEXT);
        let function = self.b.ins().load(self.pointer, trusted(), self.space, scratch::FUNCTION);
        let sub = self.b.ins().iconst(types::I32, i64::from(slow.sub));
        let rows = self.b.ins().iadd_imm_s(self.space, i64::from(scratch::ROWS));
        self.b.ins().call_indirect(self.slow, function, &[context, sub, mask, rows]);
        let result = self.b.ins().load(types::F64X2, trusted(), self.space, scratch::ROWS);
        match join {
            None => result,
            Some((join, _)) => {
                self.b.ins().jump(join, &[BlockArg::Value(result)]);
                self.b.switch_to_block(join);
                self.b.block_params(join)[0]
            }
        }
    }
}
