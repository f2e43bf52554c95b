//! One kernel, piece or function to Cranelift's IR.
//!
//! Every operation becomes the one instruction (or the fixed sequence) that gives the interpreter's
//! bits. What is free is where values live: loads of slots whose content is known are dropped, addresses
//! are carried around loops instead of multiplied, loads that no round changes happen before the loop.
//!
//! Lowering checks what the safety of the generated code rests on: every address lies inside its space for
//! all values of the loop indices, and every value is defined before use with the type it is used at.

use super::effects::{Effects, Mask, bit};
use super::frame::{offset, status};
use super::known::{Known, Terms};
use super::plan::{Cuts, PieceId, Plan, Segment};
use crate::error::JitError;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F64, F64X2, I8, I32, I64, I64X2};
use cranelift_codegen::ir::{
    self, AbiParam, AliasRegionData, Block, FuncRef, InstBuilder, MemFlagsData, SigRef, Signature,
    StackSlotData, StackSlotKind,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::FunctionBuilder;
use rustc_hash::FxHashMap;
use twinml_model::ids::{FuncId, Index, Value};
use twinml_model::ir::{
    Affine, BinOp, BoolOp, CmpOp, For, Function, If, IntOp, Kernel, MathFn, Op, Place, Region, Space, Stmt,
    Ty, UnOp,
};
use twinml_model::program::{Program, Sizes};

/// Something that generated code calls by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Callee {
    /// A function of the program.
    Function(FuncId),
    /// An elementary function.
    Math(MathFn),
    /// The same, keeping all registers; the result goes to the address that is the last argument.
    Rare(MathFn),
    /// A piece of the kernel being compiled.
    Piece(PieceId),
}

/// Where callees come from.
pub(crate) trait Linker {
    /// A reference to a callee, for use in `func`.
    fn reference(&mut self, callee: Callee, func: &mut ir::Function) -> Result<FuncRef, JitError>;
    /// The expansion of an elementary function.
    fn math(&mut self, f: MathFn) -> &'static Function;
    /// Whether a function may trap (it then takes the frame and returns a status as well).
    fn traps(&self, f: FuncId) -> bool;
}

/// How to lower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Remember slots' contents, hoist loads, carry addresses.
    pub forward: bool,
    /// Put functions in place of their calls.
    pub inline: bool,
}

/// The values of a kernel or function while it is lowered. Shared by the pieces of a kernel: an entry
/// counts only for the piece that made it.
#[derive(Default)]
pub(crate) struct Values {
    table: Vec<(PieceId, ir::Value)>,
}

impl Values {
    const NONE: PieceId = PieceId::MAX;

    /// Empty, for a kernel of `n` values.
    pub fn new(n: usize) -> Self {
        Self { table: vec![(Self::NONE, ir::Value::from_u32(0)); n] }
    }
}

/// A loop index while code inside its loop is generated.
#[derive(Clone, Copy)]
enum Running {
    /// Of a loop that is unrolled.
    Fixed(i64),
    /// In a register, from `lo` to `hi` inclusive.
    Register { value: ir::Value, lo: i64, hi: i64 },
}

/// One body of code: the outermost, or a function put in place of its call.
struct Activation<'a> {
    kernel: &'a Kernel,
    values: Values,
    args: Vec<ir::Value>,
    indices: Vec<Option<Running>>,
    /// Of an elementary function: which, and its result.
    math: Option<(MathFn, Value)>,
}

/// What the generated function returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Returns {
    Status,
    Result,
    ResultAndStatus,
    Nothing,
}

/// The calling convention of all generated functions.
pub(crate) fn convention() -> CallConv {
    if cfg!(windows) { CallConv::WindowsFastcall } else { CallConv::SystemV }
}

/// The signature of kernels and pieces.
pub(crate) fn kernel_signature() -> Signature {
    let mut sig = Signature::new(convention());
    sig.params.push(AbiParam::new(I64));
    sig.returns.push(AbiParam::new(I32));
    sig
}

/// Whether this machine has a calling convention that keeps all registers.
pub(crate) const KEEPS_REGISTERS: bool = cfg!(all(target_arch = "x86_64", not(windows)));

/// The signature of [`Callee::Rare`].
pub(crate) fn rare_signature(function: &Function) -> Signature {
    let mut sig = Signature::new(CallConv::PreserveAll);
    sig.params.extend(function.params.iter().map(|&ty| AbiParam::new(clif_type(ty))));
    sig.params.push(AbiParam::new(I64));
    sig
}

/// The signature of a function.
pub(crate) fn function_signature(function: &Function, traps: bool) -> Signature {
    let mut sig = Signature::new(convention());
    if traps {
        sig.params.push(AbiParam::new(I64));
    }
    sig.params.extend(function.params.iter().map(|&ty| AbiParam::new(clif_type(ty))));
    let result = function.code.values.get(function.result.index()).map_or(Ty::F64, |d| d.ty);
    sig.returns.push(AbiParam::new(clif_type(result)));
    if traps {
        sig.returns.push(AbiParam::new(I32));
    }
    sig
}

fn clif_type(ty: Ty) -> ir::Type {
    match ty {
        Ty::F64 => F64,
        Ty::I64 => I64,
        Ty::Bool => I8,
    }
}

/// What does not change between the functions of one kernel.
pub(crate) struct Context<'a> {
    pub program: &'a Program,
    pub effects: &'a Effects,
    pub style: Style,
    /// Of the target.
    pub config: TargetFrontendConfig,
    /// Spaces that the whole kernel writes.
    pub written: Mask,
}

pub(crate) struct Lower<'a, 'f> {
    context: &'a Context<'a>,
    linker: &'a mut dyn Linker,
    b: FunctionBuilder<'f>,
    sizes: Sizes,
    act: Activation<'a>,
    piece: PieceId,
    plan: Option<&'a Plan>,
    depth: u32,
    known: Known,
    flags: [MemFlagsData; Space::ALL.len()],
    scratch_flags: MemFlagsData,
    frame_flags: MemFlagsData,
    frame: Option<ir::Value>,
    data: Option<ir::Value>,
    scratch: Option<ir::Value>,
    returns: Returns,
    exit: Option<Block>,
    references: FxHashMap<Callee, FuncRef>,
    signatures: FxHashMap<i32, SigRef>,
    result_type: ir::Type,
    /// Where calls of rare code leave their result.
    rare_slot: Option<ir::StackSlot>,
}

/// Loads per loop that are moved before it at most.
const HOISTED_LOADS: usize = 48;
/// Addresses carried around a loop at most.
const CARRIED_ADDRESSES: usize = 6;
/// Least size of a side that is taken for rare where the other side is empty, in operations.
const RARE: usize = 12;
/// Largest unrolled loop, in operations.
const UNROLLED: usize = 64;

impl<'a, 'f> Lower<'a, 'f> {
    fn new(
        context: &'a Context<'a>,
        linker: &'a mut dyn Linker,
        b: FunctionBuilder<'f>,
        kernel: &'a Kernel,
        values: Values,
        returns: Returns,
    ) -> Self {
        let mut region = |n: u32, name: &str| {
            Some(
                b.func
                    .dfg
                    .alias_regions
                    .insert(AliasRegionData { user_id: n, description: name.to_owned().into() }),
            )
        };
        let trusted = MemFlagsData::trusted();
        let flags = Space::ALL.map(|space| {
            let flags = trusted.with_alias_region(region(space as u32, space.name()));
            let constant = context.written & bit(space) == 0;
            if constant { flags.with_readonly().with_can_move() } else { flags }
        });
        let n = Space::ALL.len() as u32;
        Self {
            context,
            linker,
            sizes: context.program.sizes,
            act: Activation {
                kernel,
                values,
                args: Vec::new(),
                indices: vec![None; kernel.indices as usize],
                math: None,
            },
            piece: 0,
            plan: None,
            depth: 0,
            known: Known::default(),
            flags,
            scratch_flags: trusted.with_alias_region(region(n, "scratch")),
            frame_flags: trusted.with_alias_region(region(n + 1, "frame")),
            frame: None,
            data: None,
            scratch: None,
            returns,
            exit: None,
            references: FxHashMap::default(),
            signatures: FxHashMap::default(),
            result_type: F64,
            rare_slot: None,
            b,
        }
    }

    // ---- entry points -------------------------------------------------------------------------------

    /// A kernel, or the root of one that is cut into pieces.
    pub fn kernel(
        context: &'a Context<'a>,
        linker: &'a mut dyn Linker,
        b: FunctionBuilder<'f>,
        kernel: &'a Kernel,
        plan: Option<&'a Plan>,
        values: &mut Values,
    ) -> Result<(), JitError> {
        let mut lower = Self::new(context, linker, b, kernel, std::mem::take(values), Returns::Status);
        lower.plan = plan;
        lower.begin(true);
        let done = match plan {
            Some(plan) => lower.cut_region(&kernel.body, &plan.cuts),
            None => lower.region(&kernel.body),
        };
        *values = std::mem::take(&mut lower.act.values);
        done?;
        lower.finish_status();
        Ok(())
    }

    /// One piece of a kernel: statements of a region inside the loops `around` (outermost first).
    #[expect(clippy::too_many_arguments, reason = "the parts of one call")]
    pub fn piece(
        context: &'a Context<'a>,
        linker: &'a mut dyn Linker,
        b: FunctionBuilder<'f>,
        kernel: &'a Kernel,
        plan: &'a Plan,
        piece: PieceId,
        stmts: &[Stmt],
        around: &[&For],
        values: &mut Values,
    ) -> Result<(), JitError> {
        let mut lower = Self::new(context, linker, b, kernel, std::mem::take(values), Returns::Status);
        lower.plan = Some(plan);
        lower.piece = piece;
        lower.begin(true);
        for l in around {
            if let Some(Some(word)) = plan.index_word.get(l.index.index()) {
                let value = lower.load_word(*word, I64);
                lower.set_index(
                    l.index,
                    Some(Running::Register { value, lo: l.lo, hi: l.hi.saturating_sub(1) }),
                )?;
            }
        }
        let done = lower.region(stmts);
        *values = std::mem::take(&mut lower.act.values);
        done?;
        lower.finish_status();
        Ok(())
    }

    /// A function.
    pub fn function(
        context: &'a Context<'a>,
        linker: &'a mut dyn Linker,
        b: FunctionBuilder<'f>,
        function: &'a Function,
        traps: bool,
    ) -> Result<(), JitError> {
        let returns = if traps { Returns::ResultAndStatus } else { Returns::Result };
        let values = Values::new(function.code.values.len());
        let mut lower = Self::new(context, linker, b, &function.code, values, returns);
        let result = lower.act.kernel.values.get(function.result.index());
        lower.result_type = result.map_or(F64, |d| clif_type(d.ty));
        lower.begin(traps);
        lower.region(&function.code.body)?;
        let value = lower.get(function.result)?;
        if traps {
            let done = lower.b.ins().iconst(I32, i64::from(status::DONE));
            lower.b.ins().return_(&[value, done]);
        } else {
            lower.b.ins().return_(&[value]);
        }
        lower.finish();
        Ok(())
    }

    /// The body of [`Callee::Rare`].
    pub fn rare_body(
        context: &'a Context<'a>,
        linker: &'a mut dyn Linker,
        b: FunctionBuilder<'f>,
        f: MathFn,
        function: &'a Function,
    ) -> Result<(), JitError> {
        let mut lower = Self::new(context, linker, b, &function.code, Values::default(), Returns::Nothing);
        lower.begin(false);
        let callee = lower.reference(Callee::Math(f))?;
        let Some((&out, args)) = lower.act.args.split_last() else { return Err(lower.misplaced()) };
        let call = lower.b.ins().call(callee, args);
        let x = lower.b.inst_results(call)[0];
        lower.b.ins().store(MemFlagsData::trusted(), x, out, 0);
        lower.b.ins().return_(&[]);
        lower.finish();
        Ok(())
    }

    fn begin(&mut self, frame: bool) {
        let entry = self.b.create_block();
        self.b.append_block_params_for_function_params(entry);
        self.b.switch_to_block(entry);
        let params = self.b.block_params(entry).to_vec();
        if frame {
            self.frame = Some(params[0]);
            if self.returns == Returns::Status {
                let flags = self.frame_flags.with_readonly().with_can_move();
                self.data = Some(self.b.ins().load(I64, flags, params[0], offset::DATA));
                if self.plan.is_some() {
                    self.scratch = Some(self.b.ins().load(I64, flags, params[0], offset::SCRATCH));
                }
            }
        }
        self.act.args = params[usize::from(frame)..].to_vec();
        self.known.enter();
    }

    fn finish_status(mut self) {
        let done = self.b.ins().iconst(I32, i64::from(status::DONE));
        self.b.ins().return_(&[done]);
        self.finish();
    }

    fn finish(mut self) {
        if let Some(exit) = self.exit {
            self.b.switch_to_block(exit);
            let code = self.b.block_params(exit)[0];
            match self.returns {
                Returns::ResultAndStatus => {
                    let nothing = if self.result_type == F64 {
                        self.b.ins().f64const(0.0)
                    } else {
                        self.b.ins().iconst(self.result_type, 0)
                    };
                    self.b.ins().return_(&[nothing, code]);
                }
                Returns::Status | Returns::Result | Returns::Nothing => {
                    self.b.ins().return_(&[code]);
                }
            }
        }
        self.b.seal_all_blocks();
        self.b.finalize(self.context.config);
    }

    // ---- values ---------------------------------------------------------------------------------------

    fn bad_value(&self, value: Value) -> JitError {
        JitError::Value { code: self.act.kernel.name.clone(), value }
    }

    fn misplaced(&self) -> JitError {
        JitError::Misplaced { code: self.act.kernel.name.clone() }
    }

    fn get(&mut self, v: Value) -> Result<ir::Value, JitError> {
        let Some(data) = self.act.kernel.values.get(v.index()) else { return Err(self.bad_value(v)) };
        match (&data.op, data.ty) {
            (&Op::ConstF(bits), Ty::F64) => return Ok(self.b.ins().f64const(f64::from_bits(bits))),
            (&Op::ConstI(x), Ty::I64) => return Ok(self.b.ins().iconst(I64, x)),
            (&Op::ConstB(x), Ty::Bool) => return Ok(self.b.ins().iconst(I8, i64::from(x))),
            _ => {}
        }
        let ty = clif_type(data.ty);
        if let Some(&(piece, value)) = self.act.values.table.get(v.index())
            && piece == self.piece
        {
            return if self.b.func.dfg.value_type(value) == ty { Ok(value) } else { Err(self.bad_value(v)) };
        }
        if self.depth == 0
            && let Some(plan) = self.plan
            && let Some(Some(word)) = plan.value_word.get(v.index())
        {
            return Ok(self.load_word(*word, ty));
        }
        Err(self.bad_value(v))
    }

    /// Whether a value is at hand here: not every operand of a value that is, is (it may belong to another
    /// piece, from which only the value itself crosses).
    fn has(&self, v: Value) -> bool {
        self.act.values.table.get(v.index()).is_some_and(|&(piece, _)| piece == self.piece)
    }

    fn get_as(&mut self, v: Value, ty: Ty) -> Result<ir::Value, JitError> {
        if self.act.kernel.values.get(v.index()).is_some_and(|d| d.ty == ty) {
            self.get(v)
        } else {
            Err(self.bad_value(v))
        }
    }

    fn f(&mut self, v: Value) -> Result<ir::Value, JitError> {
        self.get_as(v, Ty::F64)
    }

    fn i(&mut self, v: Value) -> Result<ir::Value, JitError> {
        self.get_as(v, Ty::I64)
    }

    fn t(&mut self, v: Value) -> Result<ir::Value, JitError> {
        self.get_as(v, Ty::Bool)
    }

    fn define(&mut self, v: Value, value: ir::Value) -> Result<(), JitError> {
        let piece = self.piece;
        match self.act.values.table.get_mut(v.index()) {
            Some(entry) => *entry = (piece, value),
            None => return Err(self.bad_value(v)),
        }
        if self.depth == 0
            && let Some(plan) = self.plan
            && let Some(Some(word)) = plan.value_word.get(v.index())
        {
            self.store_word(*word, value);
        }
        Ok(())
    }

    fn scratch_base(&self) -> ir::Value {
        // `begin` loads it whenever there is a plan, and only plans have words.
        self.scratch.unwrap_or_else(|| unreachable!("scratch words without a plan"))
    }

    fn load_word(&mut self, word: u32, ty: ir::Type) -> ir::Value {
        let (base, at) = self.reach(self.scratch_base(), i64::from(word) * 8);
        self.b.ins().load(ty, self.scratch_flags, base, at)
    }

    fn store_word(&mut self, word: u32, value: ir::Value) {
        let (base, at) = self.reach(self.scratch_base(), i64::from(word) * 8);
        self.b.ins().store(self.scratch_flags, value, base, at);
    }

    /// `base + bytes` as an address and a displacement that instructions can hold.
    fn reach(&mut self, base: ir::Value, bytes: i64) -> (ir::Value, i32) {
        match i32::try_from(bytes) {
            Ok(at) => (base, at),
            Err(_) => (self.b.ins().iadd_imm_s(base, bytes), 0),
        }
    }

    fn reference(&mut self, callee: Callee) -> Result<FuncRef, JitError> {
        if let Some(&r) = self.references.get(&callee) {
            return Ok(r);
        }
        let r = self.linker.reference(callee, self.b.func)?;
        self.references.insert(callee, r);
        Ok(r)
    }

    // ---- addresses ------------------------------------------------------------------------------------

    fn set_index(&mut self, index: Index, running: Option<Running>) -> Result<(), JitError> {
        let bad = self.misplaced();
        *self.act.indices.get_mut(index.index()).ok_or(bad)? = running;
        Ok(())
    }

    /// Folds fixed indices into the constant part.
    fn resolve(&self, at: &Affine) -> Option<(i64, Terms)> {
        let mut base = at.base;
        let mut terms = Terms::new();
        for &(i, stride) in &at.terms {
            match (*self.act.indices.get(i.index())?)? {
                Running::Fixed(x) => base = base.checked_add(x.checked_mul(stride)?)?,
                Running::Register { .. } => terms.push((i, stride)),
            }
        }
        Some((base, terms))
    }

    fn range(&self, base: i64, terms: &Terms) -> (i128, i128) {
        terms.iter().fold((i128::from(base), i128::from(base)), |(lo, hi), &(i, stride)| {
            match self.act.indices.get(i.index()) {
                Some(&Some(Running::Register { lo: from, hi: to, .. })) => {
                    let (a, b) = (i128::from(stride) * i128::from(from), i128::from(stride) * i128::from(to));
                    (lo + a.min(b), hi + a.max(b))
                }
                // `resolve` leaves only indices in registers.
                _ => (lo, hi),
            }
        })
    }

    /// The constant part and strides of a place, all of whose slots are inside the space; `more` widens
    /// the range by `stride·k` for `k` in `0..len`.
    fn place(&mut self, place: &Place, more: (i64, u32)) -> Result<(i64, Terms), JitError> {
        if self.data.is_none() || self.depth > 0 {
            return Err(self.misplaced());
        }
        let (base, terms) = self.resolve(&place.at).ok_or_else(|| self.misplaced())?;
        let (mut lo, mut hi) = self.range(base, &terms);
        let last = i128::from(more.0) * i128::from(more.1.max(1) - 1);
        lo += last.min(0);
        hi += last.max(0);
        let len = self.sizes.of(place.space);
        if lo < 0 || hi >= i128::from(len) {
            let code = self.act.kernel.name.clone();
            return Err(JitError::Address { code, space: place.space, lo, hi, len });
        }
        Ok((base, terms))
    }

    /// The address of a slot that [`Lower::place`] has checked.
    fn address(&mut self, space: Space, base: i64, terms: &Terms) -> (ir::Value, i32) {
        let bytes = 8 * (self.sizes.offset(space) as i64 + base);
        let from = self.strided(terms);
        self.reach(from, bytes)
    }

    /// The memory's address plus the strides' part.
    fn strided(&mut self, terms: &Terms) -> ir::Value {
        let data = self.data.unwrap_or_else(|| unreachable!("`place` refuses code without memory"));
        if terms.is_empty() {
            return data;
        }
        if let Some(address) = self.known.address(terms) {
            return address;
        }
        let sum = terms.iter().fold(data, |sum, &(i, stride)| {
            let part = self.scaled(i, 8 * stride);
            self.b.ins().iadd(sum, part)
        });
        if self.context.style.forward {
            self.known.set_address(terms.clone(), sum);
        }
        sum
    }

    fn scaled(&mut self, i: Index, factor: i64) -> ir::Value {
        let value = match self.act.indices.get(i.index()) {
            Some(&Some(Running::Register { value, .. })) => value,
            Some(&Some(Running::Fixed(x))) => self.b.ins().iconst(I64, x),
            // `resolve` has found every index of the address running.
            _ => unreachable!("an index outside its loop"),
        };
        match factor {
            1 => value,
            f if f > 0 && (f as u64).is_power_of_two() => {
                self.b.ins().ishl_imm_u(value, i64::from(f.trailing_zeros()))
            }
            f => self.b.ins().imul_imm_s(value, f),
        }
    }

    /// An affine function of indices as an integer.
    fn affine(&mut self, at: &Affine) -> Result<ir::Value, JitError> {
        let (base, terms) = self.resolve(at).ok_or_else(|| self.misplaced())?;
        let mut sum: Option<ir::Value> = None;
        for &(i, stride) in &terms {
            let part = self.scaled(i, stride);
            sum = Some(sum.map_or(part, |s| self.b.ins().iadd(s, part)));
        }
        Ok(match sum {
            None => self.b.ins().iconst(I64, base),
            Some(s) if base == 0 => s,
            Some(s) => self.b.ins().iadd_imm_s(s, base),
        })
    }

    // ---- statements -----------------------------------------------------------------------------------

    fn cut_region(&mut self, region: &[Stmt], cuts: &Cuts) -> Result<(), JitError> {
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

    fn region(&mut self, region: &[Stmt]) -> Result<(), JitError> {
        region.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<(), JitError> {
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
                if self.context.style.forward {
                    self.known.write(place.space, &terms, base, x);
                }
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

    fn loop_(&mut self, l: &For, cuts: Option<&Cuts>) -> Result<(), JitError> {
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
        let weight = super::plan::region_weight(self.act.kernel, &l.body);
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
    fn before_loop(
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

    fn branch(&mut self, i: &If, cuts: Option<(&Cuts, &Cuts)>) -> Result<(), JitError> {
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
        let rare = i.otherwise.is_empty() && super::plan::region_weight(self.act.kernel, &i.then) >= RARE;
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
    fn results(&mut self, i: &If, first: bool, params: &[ir::Value]) -> Result<Vec<ir::BlockArg>, JitError> {
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
    fn rare(&mut self, f: MathFn) -> Result<ir::Value, JitError> {
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

    // ---- the host -------------------------------------------------------------------------------------

    fn exit_block(&mut self) -> Block {
        if let Some(exit) = self.exit {
            return exit;
        }
        let exit = self.b.create_block();
        self.b.append_block_param(exit, I32);
        self.b.set_cold_block(exit);
        self.exit = Some(exit);
        exit
    }

    fn leave_unless_done(&mut self, code: ir::Value) {
        let exit = self.exit_block();
        let go_on = self.b.create_block();
        self.b.ins().brif(code, exit, &[code.into()], go_on, &[]);
        self.b.switch_to_block(go_on);
    }

    /// Calls an entry of the frame.
    fn ask(&mut self, entry: i32, args: &[ir::Value]) -> Result<(), JitError> {
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

    fn ask_block(&mut self, entry: i32, block: u32) -> Result<(), JitError> {
        if self.data.is_none() || self.depth > 0 {
            return Err(self.misplaced());
        }
        let block = self.b.ins().iconst(I32, i64::from(block));
        self.ask(entry, &[block])
    }

    fn answer(&mut self) -> Result<ir::Value, JitError> {
        let frame = self.frame.ok_or_else(|| self.misplaced())?;
        Ok(self.b.ins().load(F64, self.frame_flags, frame, offset::OUT))
    }

    // ---- operations -----------------------------------------------------------------------------------

    fn load(&mut self, place: &Place) -> Result<ir::Value, JitError> {
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

    fn bool_to_f(&mut self, t: ir::Value) -> ir::Value {
        let wide = self.b.ins().uextend(I64, t);
        self.b.ins().fcvt_from_sint(F64, wide)
    }

    fn eval(&mut self, v: Value) -> Result<(), JitError> {
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
                let cc = match op {
                    CmpOp::Eq => FloatCC::Equal,
                    CmpOp::Ne => FloatCC::NotEqual,
                    CmpOp::Lt => FloatCC::LessThan,
                    CmpOp::Le => FloatCC::LessThanOrEqual,
                    CmpOp::Gt => FloatCC::GreaterThan,
                    CmpOp::Ge => FloatCC::GreaterThanOrEqual,
                };
                self.b.ins().fcmp(cc, a, b)
            }
            Op::CmpI(op, a, b) => {
                let (a, b) = (self.i(*a)?, self.i(*b)?);
                let cc = match op {
                    CmpOp::Eq => IntCC::Equal,
                    CmpOp::Ne => IntCC::NotEqual,
                    CmpOp::Lt => IntCC::SignedLessThan,
                    CmpOp::Le => IntCC::SignedLessThanOrEqual,
                    CmpOp::Gt => IntCC::SignedGreaterThan,
                    CmpOp::Ge => IntCC::SignedGreaterThanOrEqual,
                };
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
    fn float_bits(&mut self, bits: Value) -> Result<Option<ir::Value>, JitError> {
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

    fn unary(&mut self, op: UnOp, a: ir::Value) -> ir::Value {
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

    fn load_at(
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

    fn math(&mut self, f: MathFn, args: Vec<ir::Value>) -> Result<ir::Value, JitError> {
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

    fn call(&mut self, f: FuncId, args: Vec<ir::Value>) -> Result<ir::Value, JitError> {
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
    fn inline(
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
