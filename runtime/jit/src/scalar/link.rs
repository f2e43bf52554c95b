//! The compiler proper: lowers kernels and what they call, hands them to the code generator, links.

use super::effects::Effects;
use super::frame::Entry;
use super::lower::{
    Callee, Context, Linker, Lower, Style, Values, function_signature, kernel_signature, rare_signature,
};
use super::plan::{self, Cuts, PieceId, Segment};
use super::room;
use super::target::{Effort, isa};
use super::{Limits, Tier};
use crate::error::JitError;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{self, FuncRef, LibCall, UserFuncName};
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId as CodeId, Module};
use rustc_hash::FxHashMap;
use std::fmt::Write;
use twinml_model::ids::FuncId;
use twinml_model::ir::{For, Function, Kernel, MathFn, Op, Region, Stmt};
use twinml_model::program::Program;

/// One memory of code and the functions in it.
pub(crate) struct Backend {
    limits: Limits,
    quick: Unit,
    full: Unit,
}

/// Functions made with one effort; they call only one another.
struct Unit {
    isa: OwnedTargetIsa,
    /// Set where the optimiser runs first.
    optimiser: Option<OwnedTargetIsa>,
    /// Constants that code reads. Their words never move.
    constants: Vec<Box<[u64]>>,
    module: Option<JITModule>,
    codegen: cranelift_codegen::Context,
    builder: FunctionBuilderContext,
    functions: FxHashMap<Callee, CodeId>,
    traps: Vec<bool>,
    text: Option<(String, String)>,
}

impl Backend {
    /// Without any function yet.
    pub fn new(limits: Limits) -> Result<Self, JitError> {
        Ok(Self { limits, quick: Unit::new(Effort::Quick)?, full: Unit::new(Effort::Full)? })
    }

    /// From now on keeps the text of what is compiled.
    pub fn write_text(&mut self) {
        self.quick.text = Some(Default::default());
        self.full.text = Some(Default::default());
    }

    /// Cranelift's IR and the machine code of what was compiled.
    pub fn take_text(&mut self) -> (String, String) {
        let mut out = self.quick.text.take().unwrap_or_default();
        let full = self.full.text.take().unwrap_or_default();
        out.0 += &full.0;
        out.1 += &full.1;
        out
    }

    /// Compiles a kernel.
    pub fn kernel(
        &mut self,
        program: &Program,
        effects: &Effects,
        kernel: &Kernel,
        tier: Tier,
    ) -> Result<Code, JitError> {
        let limits = self.limits;
        let (unit, inline) = match tier {
            Tier::Quick => (&mut self.quick, false),
            Tier::Full => (&mut self.full, expanded(program, kernel, limits.inlined) <= limits.inlined),
        };

        let style = Style { forward: tier == Tier::Full, inline, piece: limits.piece };
        unit.kernel(program, effects, kernel, style)
    }
}

/// Compiled code.
#[derive(Clone, Copy)]
pub(crate) struct Code {
    /// Where it begins.
    pub entry: Entry,
    /// Scratch words that it needs.
    pub words: usize,
    /// Slots of `Jac` that the memory must have.
    pub jac: u32,
}

/// Operations of a kernel with functions put in place (of elementary ones, the usual way through);
/// stops counting above `limit`.
fn expanded(program: &Program, kernel: &Kernel, limit: usize) -> usize {
    fn ops(program: &Program, kernel: &Kernel, region: &Region, limit: usize, depth: u32) -> usize {
        let mut sum = 0;
        for stmt in region {
            sum += match stmt {
                Stmt::Eval(v) => match kernel.values.get(v.index()).map(|d| &d.op) {
                    Some(Op::Math(f, _)) => {
                        let f = crate::math::function(*f);
                        f.code
                            .body
                            .iter()
                            .filter(|s| !is_rare(s, f))
                            .map(|s| plan::stmt_weight(&f.code, s))
                            .sum()
                    }
                    Some(Op::Call(f, _)) if depth < 8 => program
                        .functions
                        .get(f.index())
                        .map_or(1, |f| ops(program, &f.code, &f.code.body, limit, depth + 1)),
                    op => op.map_or(0, plan::weight),
                },
                Stmt::For(l) => 4 + ops(program, kernel, &l.body, limit, depth),
                Stmt::If(i) => {
                    ops(program, kernel, &i.then, limit, depth)
                        + ops(program, kernel, &i.otherwise, limit, depth)
                }
                other => plan::stmt_weight(kernel, other),
            };
            if sum > limit {
                break;
            }
        }
        sum
    }
    ops(program, kernel, &kernel.body, limit, 0)
}

/// Whether a statement of an elementary function is the branch to its rare side.
fn is_rare(stmt: &Stmt, f: &Function) -> bool {
    match stmt {
        Stmt::If(i) => i.otherwise.is_empty() && i.results.iter().any(|r| r.0 == f.result),
        _ => false,
    }
}

/// Which functions of a program may trap: those that ask the host, and those that call such.
fn trapping(program: &Program) -> Vec<bool> {
    let mut traps = vec![false; program.functions.len()];
    loop {
        let mut changed = false;
        for (k, f) in program.functions.iter().enumerate() {
            let now = f.code.values.iter().any(|d| match &d.op {
                Op::Table { .. } | Op::Delay { .. } | Op::LoadAt { .. } => true,
                Op::Call(f, _) => traps.get(f.index()).copied().unwrap_or(true),
                _ => false,
            });
            changed |= now != traps[k];
            traps[k] = now;
        }
        if !changed {
            return traps;
        }
    }
}

fn code_error(code: &str, error: impl std::fmt::Debug) -> JitError {
    JitError::Codegen { code: code.to_owned(), said: format!("{error:?}") }
}

/// What a call of an unknown symbol reaches: never made, since every symbol is registered.
extern "C" fn missing() {
    std::process::abort();
}

extern "C" fn fma(a: f64, b: f64, c: f64) -> f64 {
    a.mul_add(b, c)
}
extern "C" fn floor(a: f64) -> f64 {
    a.floor()
}
extern "C" fn ceil(a: f64) -> f64 {
    a.ceil()
}
extern "C" fn trunc(a: f64) -> f64 {
    a.trunc()
}
extern "C" fn nearest(a: f64) -> f64 {
    a.round_ties_even()
}

/// What processors without an instruction for it call. The names are ours, so that no library's function
/// of another meaning or rounding can be taken by accident.
const INTRINSICS: [(LibCall, &str); 5] = [
    (LibCall::FmaF64, "twinml.fma"),
    (LibCall::FloorF64, "twinml.floor"),
    (LibCall::CeilF64, "twinml.ceil"),
    (LibCall::TruncF64, "twinml.trunc"),
    (LibCall::NearestF64, "twinml.nearest"),
];

fn module(isa: OwnedTargetIsa) -> JITModule {
    let mut builder = JITBuilder::with_isa(
        isa,
        Box::new(|call| {
            INTRINSICS
                .iter()
                .find(|i| i.0 == call)
                .map_or_else(|| format!("twinml.missing.{call}"), |i| i.1.to_owned())
        }),
    );
    builder.symbol(INTRINSICS[0].1, fma as *const u8);
    builder.symbol(INTRINSICS[1].1, floor as *const u8);
    builder.symbol(INTRINSICS[2].1, ceil as *const u8);
    builder.symbol(INTRINSICS[3].1, trunc as *const u8);
    builder.symbol(INTRINSICS[4].1, nearest as *const u8);
    // Asked before the process's own symbols, which are therefore never reached.
    builder.symbol_lookup_fn(Box::new(|_| Some(missing as *const u8)));
    JITModule::new(builder)
}

/// The calls of one kernel: its pieces by number, functions from (and into) the unit's table.
struct Calls<'a> {
    program: &'a Program,
    module: &'a mut JITModule,
    functions: &'a mut FxHashMap<Callee, CodeId>,
    traps: &'a [bool],
    pieces: &'a [CodeId],
    /// Functions declared, not yet defined.
    wanted: Vec<(Callee, CodeId)>,
}

impl Linker for Calls<'_> {
    fn reference(&mut self, callee: Callee, func: &mut ir::Function) -> Result<FuncRef, JitError> {
        let id = match callee {
            // Pieces are numbered from 1.
            Callee::Piece(n) => self.pieces[n as usize - 1],
            _ => match self.functions.get(&callee) {
                Some(&id) => id,
                None => {
                    let sig = match callee {
                        Callee::Math(f) => function_signature(self.math(f), false),
                        Callee::Rare(f) => rare_signature(self.math(f)),
                        Callee::Function(f) => {
                            let bad = || JitError::Function { code: String::new(), callee: f };
                            let function = self.program.functions.get(f.index()).ok_or_else(bad)?;
                            function_signature(function, self.traps(f))
                        }
                        Callee::Piece(_) => kernel_signature(),
                    };
                    let id = self
                        .module
                        .declare_anonymous_function(&sig)
                        .map_err(|e| code_error(&format!("{callee:?}"), e))?;
                    self.functions.insert(callee, id);
                    self.wanted.push((callee, id));
                    id
                }
            },
        };
        Ok(self.module.declare_func_in_func(id, func))
    }

    fn math(&mut self, f: MathFn) -> &'static Function {
        crate::math::function(f)
    }

    fn traps(&self, f: FuncId) -> bool {
        self.traps.get(f.index()).copied().unwrap_or(true)
    }
}

impl Unit {
    fn new(effort: Effort) -> Result<Self, JitError> {
        let optimiser = if effort == Effort::Full { Some(isa(Effort::Optimise)?) } else { None };
        Ok(Self::with(isa(effort)?, optimiser))
    }

    fn with(isa: OwnedTargetIsa, optimiser: Option<OwnedTargetIsa>) -> Self {
        Self {
            isa,
            optimiser,
            constants: Vec::new(),
            module: None,
            codegen: cranelift_codegen::Context::new(),
            builder: FunctionBuilderContext::new(),
            functions: FxHashMap::default(),
            traps: Vec::new(),
            text: None,
        }
    }

    fn kernel(
        &mut self,
        program: &Program,
        effects: &Effects,
        kernel: &Kernel,
        style: Style,
    ) -> Result<Code, JitError> {
        let mut undo = Vec::new();
        let done = self.try_kernel(program, effects, kernel, style, &mut undo);
        if done.is_err() {
            // A builder left in the middle of a function cannot be used again; functions declared but
            // not defined must not be found by the next kernel.
            self.builder = FunctionBuilderContext::new();
            self.codegen.clear();
            for callee in undo {
                self.functions.remove(&callee);
            }
        }
        done
    }

    fn try_kernel(
        &mut self,
        program: &Program,
        effects: &Effects,
        kernel: &Kernel,
        style: Style,
        undo: &mut Vec<Callee>,
    ) -> Result<Code, JitError> {
        if self.module.is_none() {
            self.traps = trapping(program);
        }
        let isa = &self.isa;
        let module = self.module.get_or_insert_with(|| module(isa.clone()));
        let plan = if style.inline { None } else { plan::plan(kernel, style.piece) };
        let jac = program.sizes.jac.max(room::of_jac(kernel));
        let context = Context {
            program,
            effects,
            style,
            config: isa.frontend_config(),
            written: effects.region(&kernel.body),
            jac,
        };
        let declare = |module: &mut JITModule| {
            module.declare_anonymous_function(&kernel_signature()).map_err(|e| code_error(&kernel.name, e))
        };
        let mut pieces = Vec::new();
        for _ in 0..plan.as_ref().map_or(0, |p| p.pieces) {
            pieces.push(declare(module)?);
        }
        let root = declare(module)?;
        let mut values = Values::new(kernel.values.len());

        let mut calls = Calls {
            program,
            module,
            functions: &mut self.functions,
            traps: &self.traps,
            pieces: &pieces,
            wanted: Vec::new(),
        };
        let mut define = Define {
            codegen: &mut self.codegen,
            builder: &mut self.builder,
            optimiser: self.optimiser.as_deref(),
            constants: &mut self.constants,
            text: &mut self.text,
        };

        let mut result = Ok(());
        if let Some(plan) = &plan {
            let mut around = Vec::new();
            result = each_piece(&kernel.body, &plan.cuts, &mut around, &mut |piece, stmts, around| {
                let id = pieces[piece as usize - 1];
                let name = format!("{} piece {piece}", kernel.name);
                define.function(&mut calls, id, kernel_signature(), &name, |calls, b| {
                    Lower::piece(&context, calls, b, kernel, plan, piece, stmts, around, &mut values)
                })
            });
        }
        let result = result.and_then(|()| {
            define.function(&mut calls, root, kernel_signature(), &kernel.name, |calls, b| {
                Lower::kernel(&context, calls, b, kernel, plan.as_ref(), &mut values)
            })
        });
        // Functions that functions call appear at the end of the list while it is worked off.
        let mut k = 0;
        let result = result.and_then(|()| {
            while let Some(&(callee, id)) = calls.wanted.get(k) {
                k += 1;
                let (function, traps): (&Function, bool) = match callee {
                    Callee::Rare(f) => {
                        let function = crate::math::function(f);
                        define.function(&mut calls, id, rare_signature(function), f.name(), |calls, b| {
                            Lower::rare_body(&context, calls, b, f, function)
                        })?;
                        continue;
                    }
                    Callee::Math(f) => (crate::math::function(f), false),
                    Callee::Function(f) => (&program.functions[f.index()], calls.traps(f)),
                    Callee::Piece(_) => continue,
                };
                let sig = function_signature(function, traps);
                let name = function.code.name.clone();
                let context = Context {
                    program,
                    effects,
                    style: Style { inline: false, ..style },
                    config: context.config,
                    written: 0,
                    jac,
                };
                define.function(&mut calls, id, sig, &name, |calls, b| {
                    Lower::function(&context, calls, b, function, traps)
                })?;
            }
            Ok(())
        });
        undo.extend(calls.wanted.iter().map(|w| w.0));
        result?;
        module.finalize_definitions().map_err(|e| code_error(&kernel.name, e))?;
        let address = module.get_finalized_function(root);
        // SAFETY: the address is that of a function that was just defined with `kernel_signature`, the
        // signature of `Entry`. It stays mapped until the module is freed, when `self` is dropped.
        #[expect(unsafe_code, reason = "machine code becomes a function")]
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(address) };
        Ok(Code { entry, words: plan.map_or(0, |p| p.words), jac })
    }
}

/// What it takes to define a function.
struct Define<'a> {
    codegen: &'a mut cranelift_codegen::Context,
    builder: &'a mut FunctionBuilderContext,
    optimiser: Option<&'a dyn TargetIsa>,
    constants: &'a mut Vec<Box<[u64]>>,
    text: &'a mut Option<(String, String)>,
}

impl Define<'_> {
    fn function(
        &mut self,
        calls: &mut Calls<'_>,
        id: CodeId,
        sig: ir::Signature,
        name: &str,
        lower: impl FnOnce(&mut Calls<'_>, FunctionBuilder<'_>) -> Result<(), JitError>,
    ) -> Result<(), JitError> {
        self.codegen.clear();
        self.codegen.func.signature = sig;
        self.codegen.func.name = UserFuncName::user(0, id.as_u32());
        lower(calls, FunctionBuilder::new(&mut self.codegen.func, self.builder))?;
        if let Some(optimiser) = self.optimiser {
            self.codegen
                .optimize(optimiser, &mut ControlPlane::default())
                .map_err(|e| code_error(name, e))?;
        }
        if let Some((clif, _)) = self.text {
            // Writing to a string cannot fail.
            let _ = writeln!(clif, "; {name}\n{}", self.codegen.func.display());
            self.codegen.set_disasm(true);
        }
        if self.optimiser.is_some() {
            self.constants.extend(super::constants::to_memory(&mut self.codegen.func));
        }
        calls.module.define_function(id, self.codegen).map_err(|e| code_error(name, e))?;
        if let Some((_, asm)) = self.text {
            let code = self.codegen.compiled_code().and_then(|c| c.vcode.as_deref()).unwrap_or_default();
            let _ = writeln!(asm, "; {name}\n{code}");
        }
        Ok(())
    }
}

type OnPiece<'a> = dyn FnMut(PieceId, &[Stmt], &[&For]) -> Result<(), JitError> + 'a;

/// Calls `f` with each piece of a region and the loops around it.
fn each_piece<'k>(
    region: &'k Region,
    cuts: &Cuts,
    around: &mut Vec<&'k For>,
    f: &mut OnPiece<'_>,
) -> Result<(), JitError> {
    for segment in &cuts.segments {
        match segment {
            Segment::Piece(id, range) => f(*id, &region[range.clone()], around)?,
            Segment::Inside(k, inner) => match (&region[*k], inner.as_slice()) {
                (Stmt::For(l), [body]) => {
                    around.push(l);
                    each_piece(&l.body, body, around, f)?;
                    around.pop();
                }
                (Stmt::If(i), [then, otherwise]) => {
                    each_piece(&i.then, then, around, f)?;
                    each_piece(&i.otherwise, otherwise, around, f)?;
                }
                _ => {}
            },
        }
    }
    Ok(())
}

impl Drop for Unit {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: entries are handed out only inside `Compiled`, which runs them while it is borrowed
            // and owns this unit; nobody can be in them, or call them, any more.
            #[expect(unsafe_code, reason = "the code's memory is freed with its owner")]
            unsafe {
                module.free_memory();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::target::build;
    use super::*;
    use twinml_model::host::{KernelId, Machine, Memory, NoHost};
    use twinml_model::ids::{OriginId, Value};
    use twinml_model::interp::Interpreter;
    use twinml_model::ir::{Affine, MathFn, Place, Space, Ty, UnOp};
    use twinml_model::program::Sizes;

    /// Every operation that a processor may lack an instruction for, and functions made of them.
    fn program() -> Program {
        let mut kernel = Kernel::new("rhs");
        let mut eval = |op: Op| {
            let v = kernel.value(op, Ty::F64);
            kernel.body.push(Stmt::Eval(v));
            v
        };
        let place = |space, k: usize| Place { space, at: Affine::constant(k as i64) };
        let x: Vec<Value> = (0..3).map(|k| eval(Op::Load(place(Space::State, k)))).collect();
        let out = [
            eval(Op::Fma(x[0], x[1], x[2])),
            eval(Op::Un(UnOp::Floor, x[0])),
            eval(Op::Un(UnOp::Ceil, x[0])),
            eval(Op::Un(UnOp::Trunc, x[0])),
            eval(Op::Un(UnOp::Rint, x[0])),
            eval(Op::Math(MathFn::Sin, vec![x[1]])),
            eval(Op::Math(MathFn::Pow, vec![x[2], x[1]])),
            eval(Op::Math(MathFn::Gamma, vec![x[0]])),
        ];
        for (k, &value) in out.iter().enumerate() {
            let place = place(Space::Var, k);
            kernel.body.push(Stmt::Store { place, value, origin: OriginId(0) });
        }
        let sizes = Sizes { state: 3, var: out.len() as u32, ..Sizes::default() };
        Program { rhs: kernel, sizes, ..Program::default() }
    }

    /// A processor without FMA and rounding instructions: our functions stand in for them.
    #[test]
    fn the_plainest_processor_gives_the_same_bits() {
        let program = program();
        let effects = Effects::of(&program);
        let interpreter = Interpreter::new(&program);
        let optimiser = build(Effort::Optimise, false);
        assert!(optimiser.is_some());
        for optimiser in [None, optimiser] {
            let effort = if optimiser.is_some() { Effort::Full } else { Effort::Quick };
            let inline = optimiser.is_some();
            let mut unit = Unit::with(build(effort, false).unwrap(), optimiser);
            let style = Style { forward: inline, inline, piece: 1_000 };
            let code = unit.kernel(&program, &effects, &program.rhs, style).unwrap();
            for x in [[2.5, 1e-3, 7.25], [-0.5, 3.0, 1e300], [1e17, -2.5, 0.1], [f64::INFINITY, 1e22, 2.0]] {
                let mut memory = Memory::new(&program);
                memory.space_mut(Space::State).copy_from_slice(&x);
                let mut expected = memory.clone();
                interpreter.run(KernelId::Rhs, &mut expected, &mut NoHost).unwrap();
                // SAFETY: the unit made the code for this very program, and lives.
                #[expect(unsafe_code, reason = "enters machine code")]
                let done = unsafe { super::super::frame::run(code.entry, &mut memory, &mut NoHost, &mut []) };
                done.unwrap();
                let bits = |m: &Memory| -> Vec<u64> { m.data().iter().map(|x| x.to_bits()).collect() };
                assert_eq!(bits(&memory), bits(&expected), "{x:?}");
            }
        }
    }
}
