//! Operations: each the one instruction, or the fixed sequence, that gives the interpreter's bits.

use super::{Activation, Callee, Lower, Values, clif_type};
use crate::conditions;
use crate::error::JitError;
use crate::scalar::frame::{offset, status};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F64, F64X2, I32, I64, I64X2};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData};
use twinml_model::ids::{FuncId, Value};
use twinml_model::ir::{BinOp, BoolOp, Function, IntOp, MathFn, Op, Place, Space, UnOp};

impl<'a> Lower<'a, '_> {
    /// The content of a slot.
    pub(super) fn load(&mut self, place: &Place) -> Result<ir::Value, JitError> {
        let (base, terms) = self.place(place, (0, 1))?;
        if let Some(value) = self.known.slot(place.space, &terms, base) {
            return Ok(value);
        }
        let (from, at) = self.address(place.space, base, &terms);
        let value = self.b.ins().load(F64, self.flags[place.space as usize], from, at);
        if self.context.style.forward {
            self.known.read(place.space, &terms, base, value);
        }
        Ok(value)
    }

    pub(super) fn bool_to_f(&mut self, t: ir::Value) -> ir::Value {
        let wide = self.b.ins().uextend(I64, t);
        self.b.ins().fcvt_from_sint(F64, wide)
    }

    pub(super) fn eval(&mut self, v: Value) -> Result<(), JitError> {
        let kernel = self.act.kernel;
        let Some(data) = kernel.values.get(v.index()) else { return Err(self.bad_value(v)) };
        let x = match &data.op {
            Op::ConstF(_) | Op::ConstI(_) | Op::ConstB(_) => return Ok(()),
            Op::Load(place) => self.load(place)?,
            Op::LoadAt { place, at, len, stride, origin } => {
                let at = self.i(*at)?;
                self.load_at(place, at, *len, *stride, origin.0)?
            }
            Op::IndexI(at) => self.affine(at)?,
            Op::IndexF(at) => {
                let x = self.affine(at)?;
                self.b.ins().fcvt_from_sint(F64, x)
            }
            Op::Un(op, a) => {
                let a = self.f(*a)?;
                self.unary(*op, a)
            }
            Op::Bin(op, a, b) => {
                let (a, b) = (self.f(*a)?, self.f(*b)?);
                match op {
                    BinOp::Add => self.b.ins().fadd(a, b),
                    BinOp::Sub => self.b.ins().fsub(a, b),
                    BinOp::Mul => self.b.ins().fmul(a, b),
                    BinOp::Div => self.b.ins().fdiv(a, b),
                    BinOp::Min => self.b.ins().fmin(a, b),
                    BinOp::Max => self.b.ins().fmax(a, b),
                    BinOp::CopySign => self.b.ins().fcopysign(a, b),
                }
            }
            Op::Fma(a, b, c) => {
                let (a, b, c) = (self.f(*a)?, self.f(*b)?, self.f(*c)?);
                self.b.ins().fma(a, b, c)
            }
            Op::Cmp(op, a, b) => {
                let (a, b) = (self.f(*a)?, self.f(*b)?);
                let cc = conditions::float(*op);
                self.b.ins().fcmp(cc, a, b)
            }
            Op::CmpI(op, a, b) => {
                let (a, b) = (self.i(*a)?, self.i(*b)?);
                let cc = conditions::integer(*op);
                self.b.ins().icmp(cc, a, b)
            }
            Op::BoolBin(op, a, b) => {
                let (a, b) = (self.t(*a)?, self.t(*b)?);
                match op {
                    BoolOp::And => self.b.ins().band(a, b),
                    BoolOp::Or => self.b.ins().bor(a, b),
                    BoolOp::Xor => self.b.ins().bxor(a, b),
                }
            }
            Op::Not(a) => {
                let a = self.t(*a)?;
                self.b.ins().bxor_imm_u(a, 1)
            }
            Op::Select(c, a, b) => {
                let (c, a, b) = (self.t(*c)?, self.get(*a)?, self.get(*b)?);
                if self.b.func.dfg.value_type(a) != self.b.func.dfg.value_type(b) {
                    return Err(self.bad_value(v));
                }
                self.b.ins().select(c, a, b)
            }
            Op::Int(op, a, b) => {
                let (a, b) = (self.i(*a)?, self.i(*b)?);
                match op {
                    IntOp::Add => self.b.ins().iadd(a, b),
                    IntOp::Sub => self.b.ins().isub(a, b),
                    IntOp::Mul => self.b.ins().imul(a, b),
                    IntOp::MulHiU => self.b.ins().umulhi(a, b),
                    IntOp::And => self.b.ins().band(a, b),
                    IntOp::Or => self.b.ins().bor(a, b),
                    IntOp::Xor => self.b.ins().bxor(a, b),
                    IntOp::Shl => self.b.ins().ishl(a, b),
                    IntOp::ShrU => self.b.ins().ushr(a, b),
                    IntOp::ShrS => self.b.ins().sshr(a, b),
                }
            }
            Op::BoolToF(a) => {
                let a = self.t(*a)?;
                self.bool_to_f(a)
            }
            Op::FToBool(a) => {
                let a = self.f(*a)?;
                let zero = self.b.ins().f64const(0.0);
                self.b.ins().fcmp(FloatCC::NotEqual, a, zero)
            }
            Op::FToI(a) => {
                let a = self.f(*a)?;
                self.b.ins().fcvt_to_sint_sat(I64, a)
            }
            Op::IToF(a) => {
                let a = self.i(*a)?;
                self.b.ins().fcvt_from_sint(F64, a)
            }
            Op::BitsToF(a) => {
                if let Some(x) = self.float_bits(*a)? {
                    return self.define(v, x);
                }
                let a = self.i(*a)?;
                self.b.ins().bitcast(F64, MemFlagsData::new(), a)
            }
            Op::FToBits(a) => {
                let a = self.f(*a)?;
                self.b.ins().bitcast(I64, MemFlagsData::new(), a)
            }
            Op::Math(f, args) => {
                let args = args.iter().map(|&a| self.f(a)).collect::<Result<Vec<_>, _>>()?;
                self.math(*f, args)?
            }
            Op::Call(f, args) => {
                let args = args.iter().map(|&a| self.get(a)).collect::<Result<Vec<_>, _>>()?;
                self.call(*f, args)?
            }
            Op::Table { table, x, order } => {
                let x = self.f(*x)?;
                let table = self.b.ins().iconst(I32, i64::from(table.0));
                let order = self.b.ins().iconst(I32, i64::from(*order));
                self.ask(offset::TABLE, &[table, order, x])?;
                self.answer()?
            }
            Op::Delay { place, tau } => {
                if place.space != Space::Hist {
                    return Err(self.misplaced());
                }
                self.place(place, (0, 1))?;
                let tau = self.f(*tau)?;
                let slot = self.affine(&place.at)?;
                let slot = self.b.ins().ireduce(I32, slot);
                self.ask(offset::DELAY, &[slot, tau])?;
                self.answer()?
            }
            Op::Arg(n) => {
                let arg = self.act.args.get(*n as usize).copied();
                arg.ok_or_else(|| self.bad_value(v))?
            }
            Op::Carry | Op::Result => return Err(self.bad_value(v)),
        };
        if self.b.func.dfg.value_type(x) != clif_type(data.ty) {
            return Err(self.bad_value(v));
        }
        self.define(v, x)
    }

    /// Bits that are a float's with some flipped, or plus a number: the same in the float's register.
    pub(super) fn float_bits(&mut self, bits: Value) -> Result<Option<ir::Value>, JitError> {
        let kernel = self.act.kernel;
        let float = |v: Value| match kernel.values.get(v.index()).map(|d| &d.op) {
            Some(Op::FToBits(f)) => Some(*f),
            _ => None,
        };
        let Some(&Op::Int(op, a, b)) = kernel.values.get(bits.index()).map(|d| &d.op) else {
            return Ok(None);
        };
        let (f, other) = match (float(a), float(b)) {
            (Some(f), _) => (f, b),
            (None, Some(f)) => (f, a),
            (None, None) => return Ok(None),
        };
        if !self.context.style.forward || !matches!(op, IntOp::Xor | IntOp::Add) || !self.has(f) {
            return Ok(None);
        }
        let (f, other) = (self.f(f)?, self.i(other)?);
        if op == IntOp::Xor {
            let other = self.b.ins().bitcast(F64, MemFlagsData::new(), other);
            return Ok(Some(self.b.ins().bxor(f, other)));
        }
        let lanes = MemFlagsData::new().with_endianness(ir::Endianness::Little);
        let f = self.b.ins().scalar_to_vector(F64X2, f);
        let f = self.b.ins().bitcast(I64X2, lanes, f);
        let other = self.b.ins().scalar_to_vector(I64X2, other);
        let sum = self.b.ins().iadd(f, other);
        let sum = self.b.ins().bitcast(F64X2, lanes, sum);
        Ok(Some(self.b.ins().extractlane(sum, 0)))
    }

    pub(super) fn unary(&mut self, op: UnOp, a: ir::Value) -> ir::Value {
        match op {
            UnOp::Neg => self.b.ins().fneg(a),
            UnOp::Abs => self.b.ins().fabs(a),
            UnOp::Sqrt => self.b.ins().sqrt(a),
            UnOp::Floor => self.b.ins().floor(a),
            UnOp::Ceil => self.b.ins().ceil(a),
            UnOp::Trunc => self.b.ins().trunc(a),
            UnOp::Rint => self.b.ins().nearest(a),
            UnOp::Sign => {
                let zero = self.b.ins().f64const(0.0);
                let up = self.b.ins().fcmp(FloatCC::GreaterThan, a, zero);
                let down = self.b.ins().fcmp(FloatCC::LessThan, a, zero);
                let up = self.b.ins().uextend(I64, up);
                let down = self.b.ins().uextend(I64, down);
                let sign = self.b.ins().isub(up, down);
                let sign = self.b.ins().fcvt_from_sint(F64, sign);
                let nan = self.b.ins().fcmp(FloatCC::Unordered, a, a);
                self.b.ins().select(nan, a, sign)
            }
        }
    }

    pub(super) fn load_at(
        &mut self,
        place: &Place,
        at: ir::Value,
        len: u32,
        stride: i64,
        origin: u32,
    ) -> Result<ir::Value, JitError> {
        let frame = self.frame.ok_or_else(|| self.misplaced())?;
        let bad = self.b.create_block();
        self.b.set_cold_block(bad);
        let good = self.b.create_block();
        let inside = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, at, i64::from(len));
        self.b.ins().brif(inside, good, &[], bad, &[]);
        self.b.switch_to_block(bad);
        let flags = self.frame_flags;
        self.b.ins().store(flags, at, frame, offset::TRAP_INDEX);
        let number = self.b.ins().iconst(I32, i64::from(origin));
        self.b.ins().store(flags, number, frame, offset::TRAP_ORIGIN);
        let length = self.b.ins().iconst(I32, i64::from(len));
        self.b.ins().store(flags, length, frame, offset::TRAP_LEN);
        let code = self.b.ins().iconst(I32, i64::from(status::INDEX));
        let exit = self.exit_block();
        self.b.ins().jump(exit, &[code.into()]);
        self.b.switch_to_block(good);
        if len == 0 {
            return Ok(self.b.ins().f64const(0.0));
        }
        let (base, terms) = self.place(place, (stride, len))?;
        let (from, disp) = self.address(place.space, base, &terms);
        let step = stride.checked_mul(8).ok_or_else(|| self.misplaced())?;
        let offset = self.b.ins().imul_imm_s(at, step);
        let address = self.b.ins().iadd(from, offset);
        // The address depends on the compare above: unlike other loads of its space this one must stay
        // behind it.
        let flags =
            MemFlagsData::trusted().with_alias_region(self.flags[place.space as usize].alias_region());
        Ok(self.b.ins().load(F64, flags, address, disp))
    }

    pub(super) fn math(&mut self, f: MathFn, args: Vec<ir::Value>) -> Result<ir::Value, JitError> {
        let function = self.linker.math(f);
        if function.params.len() != args.len() {
            return Err(self.misplaced());
        }
        if self.context.style.inline {
            return self.inline(function, args, Some((f, function.result)));
        }
        let callee = self.reference(Callee::Math(f))?;
        let call = self.b.ins().call(callee, &args);
        Ok(self.b.inst_results(call)[0])
    }

    pub(super) fn call(&mut self, f: FuncId, args: Vec<ir::Value>) -> Result<ir::Value, JitError> {
        let program = self.context.program;
        let bad = || JitError::Function { code: self.act.kernel.name.clone(), callee: f };
        let function = program.functions.get(f.index()).ok_or_else(bad)?;
        let types = function.params.iter().map(|&ty| clif_type(ty));
        if !types.eq(args.iter().map(|&a| self.b.func.dfg.value_type(a))) {
            return Err(bad());
        }
        let traps = self.linker.traps(f);
        if self.context.style.inline && self.depth < 8 && !traps {
            return self.inline(function, args, None);
        }
        let callee = self.reference(Callee::Function(f))?;
        if !traps {
            let call = self.b.ins().call(callee, &args);
            return Ok(self.b.inst_results(call)[0]);
        }
        let frame = self.frame.ok_or_else(|| self.misplaced())?;
        let all: Vec<ir::Value> = std::iter::once(frame).chain(args).collect();
        let call = self.b.ins().call(callee, &all);
        let (value, code) = (self.b.inst_results(call)[0], self.b.inst_results(call)[1]);
        self.leave_unless_done(code);
        Ok(value)
    }

    /// A function's code in place of its call. It reads and writes no space, so that what is known of
    /// slots and addresses stays as it is.
    pub(super) fn inline(
        &mut self,
        function: &'a Function,
        args: Vec<ir::Value>,
        math: Option<(MathFn, Value)>,
    ) -> Result<ir::Value, JitError> {
        let act = Activation {
            kernel: &function.code,
            values: Values::new(function.code.values.len()),
            args,
            indices: vec![None; function.code.indices as usize],
            math,
        };
        let caller = std::mem::replace(&mut self.act, act);
        let known = std::mem::take(&mut self.known);
        self.known.enter();
        self.depth += 1;
        let done = self.region(&function.code.body).and_then(|()| self.get(function.result));
        self.depth -= 1;
        self.known = known;
        self.act = caller;
        done
    }
}
