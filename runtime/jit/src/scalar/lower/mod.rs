//! One kernel, piece or function to Cranelift's IR.
//!
//! Every operation becomes the one instruction (or the fixed sequence) that gives the interpreter's
//! bits. What is free is where values live: loads of slots whose content is known are dropped, addresses
//! are carried around loops instead of multiplied, loads that no round changes happen before the loop.
//!
//! Lowering checks what the safety of the generated code rests on: every address lies inside its space for
//! all values of the loop indices, and every value is defined before use with the type it is used at.

mod flow;
mod ops;
mod place;

use crate::error::JitError;
use crate::scalar::effects::{Effects, Mask, bit};
use crate::scalar::frame::{offset, status};
use crate::scalar::known::Known;
use crate::scalar::plan::{PieceId, Plan};
use cranelift_codegen::ir::types::{F64, I8, I32, I64};
use cranelift_codegen::ir::{
    self, AbiParam, AliasRegionData, Block, FuncRef, InstBuilder, MemFlagsData, SigRef, Signature,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::FunctionBuilder;
use rustc_hash::FxHashMap;
use twinml_model::ids::{FuncId, Value};
use twinml_model::ir::{For, Function, Kernel, MathFn, Op, Space, Stmt, Ty};
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
    /// Unroll small loops, move loads before loops, carry addresses, remember what slots contain. Values
    /// then live longer, which a single pass over the registers punishes.
    pub forward: bool,
    /// Put functions in place of their calls.
    pub inline: bool,
    /// Operations of one piece at most.
    pub piece: usize,
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
    /// Slots of `Jac` in the memory that the code runs on, at least.
    pub jac: u32,
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
            sizes: Sizes { jac: context.jac, ..context.program.sizes },
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
}
