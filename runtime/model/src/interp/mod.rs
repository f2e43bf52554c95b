//! The reference interpreter: it defines what a program means.
//!
//! Kernels are decoded once ([`Interpreter::new`]); running one allocates nothing after the first time on a
//! thread. Arithmetic is the machine's own binary64 ([`scalar`] says what each operation does); elementary
//! functions are those of [`crate::math::eval`]. The sign and payload of a NaN are not part of the meaning.

pub mod block;
mod decode;
pub mod scalar;

use crate::host::{Host, KernelId, Machine, Memory};
use crate::ids::BlockId;
use crate::ir::{Function, Kernel, Trap};
use crate::math::eval;
use crate::program::{Program, Sizes};
use decode::{Addr, Code, Instr, decode};
use std::cell::RefCell;
use std::sync::OnceLock;

/// Runs the kernels of one verified program. A program that `verify` refuses may make it panic.
#[derive(Clone, Debug)]
pub struct Interpreter {
    sizes: Sizes,
    functions: Vec<Code>,
    /// Kernels of the program itself, in the order of [`KernelId`].
    main: [Option<Code>; 9],
    /// Four kernels a block.
    blocks: Vec<[Option<Code>; 4]>,
    extra: Vec<OnceLock<Code>>,
}

/// The kernels of the program itself, in order.
const MAIN: [KernelId; 9] = [
    KernelId::Params,
    KernelId::Initial,
    KernelId::Rhs,
    KernelId::Outputs,
    KernelId::Roots,
    KernelId::Update,
    KernelId::History,
    KernelId::Jvp,
    KernelId::Jacobian,
];

fn decode_functions(functions: &[Function], sizes: &Sizes) -> Vec<Code> {
    let mut out = Vec::with_capacity(functions.len());
    for f in functions {
        let mut code = decode(&f.code, sizes, &out);
        code.result = f.result.0;
        out.push(code);
    }
    out
}

impl Interpreter {
    /// Decodes all kernels and functions.
    #[must_use]
    pub fn new(program: &Program) -> Self {
        let sizes = program.sizes;
        let functions = decode_functions(&program.functions, &sizes);
        let get = |id| program.kernel(id).map(|k| decode(k, &sizes, &functions));
        let main = MAIN.map(get);
        let blocks = (0..program.blocks.len())
            .map(|k| {
                let b = BlockId::new(k);
                [
                    KernelId::BlockResidual(b),
                    KernelId::BlockJacobian(b),
                    KernelId::BlockTangent(b),
                    KernelId::BlockInnerTangent(b),
                ]
                .map(get)
            })
            .collect();
        Self { sizes, main, blocks, functions, extra: Vec::new() }
    }

    fn code(&self, id: KernelId) -> Option<&Code> {
        let block = |b: BlockId, k: usize| self.blocks.get(b.index())?[k].as_ref();
        match id {
            KernelId::BlockResidual(b) => block(b, 0),
            KernelId::BlockJacobian(b) => block(b, 1),
            KernelId::BlockTangent(b) => block(b, 2),
            KernelId::BlockInnerTangent(b) => block(b, 3),
            KernelId::Extra(n) => self.extra.get(n as usize)?.get(),
            main => self.main[MAIN.iter().position(|&m| m == main)?].as_ref(),
        }
    }
}

impl Machine for Interpreter {
    fn run(&self, kernel: KernelId, memory: &mut Memory, host: &mut dyn Host) -> Result<(), Trap> {
        let Some(code) = self.code(kernel) else { return Ok(()) };
        assert!(self.sizes.fit(memory.sizes()), "the memory belongs to another program");
        with_stack(code.need, |stack| exec(code, &self.functions, stack, memory, host))
    }

    fn add(&mut self, kernel: Kernel) -> KernelId {
        self.extra.push(decode(&kernel, &self.sizes, &self.functions).into());
        KernelId::Extra(self.extra.len() as u32 - 1)
    }

    fn reserve(&mut self) -> KernelId {
        self.extra.push(OnceLock::new());
        KernelId::Extra(self.extra.len() as u32 - 1)
    }

    fn fill(&self, place: KernelId, kernel: Kernel) {
        if let KernelId::Extra(n) = place
            && let Some(code) = self.extra.get(n as usize)
        {
            code.get_or_init(|| decode(&kernel, &self.sizes, &self.functions));
        }
    }
}

/// Decodes and runs one kernel: for code that runs once.
pub fn run_once(
    program: &Program,
    kernel: &Kernel,
    memory: &mut Memory,
    host: &mut dyn Host,
) -> Result<(), Trap> {
    let functions = decode_functions(&program.functions, &program.sizes);
    let code = decode(kernel, &program.sizes, &functions);
    with_stack(code.need, |stack| exec(&code, &functions, stack, memory, host))
}

/// One kernel, decoded: for machines that begin with the interpreter.
#[derive(Clone, Debug)]
pub struct Prepared {
    sizes: Sizes,
    functions: Vec<Code>,
    code: Code,
}

impl Prepared {
    /// Decodes a kernel and the functions that it may call.
    #[must_use]
    pub fn new(program: &Program, kernel: &Kernel) -> Self {
        let functions = decode_functions(&program.functions, &program.sizes);
        let code = decode(kernel, &program.sizes, &functions);
        Self { sizes: program.sizes, functions, code }
    }

    /// Runs it, as [`Machine::run`] does.
    pub fn run(&self, memory: &mut Memory, host: &mut dyn Host) -> Result<(), Trap> {
        assert!(self.sizes.fit(memory.sizes()), "the memory belongs to another program");
        with_stack(self.code.need, |stack| exec(&self.code, &self.functions, stack, memory, host))
    }
}

/// The result of a function that calls no other and no table; arguments and result by their bits.
pub fn call(function: &Function, args: &[u64]) -> Result<u64, Trap> {
    let sizes = Sizes::default();
    let mut code = decode(&function.code, &sizes, &[]);
    code.result = function.result.0;
    let mut memory = Memory::zeroed(sizes);
    with_stack(code.need, |stack| {
        for &(n, r) in &code.params {
            stack[r as usize] = args[n as usize];
        }
        exec(&code, &[], stack, &mut memory, &mut crate::host::NoHost)?;
        Ok(stack[code.result as usize])
    })
}

thread_local! {
    /// Register files not in use: nested runs (a host that solves a block) take one each.
    static STACKS: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

fn with_stack<T>(need: usize, f: impl FnOnce(&mut [u64]) -> T) -> T {
    let mut stack = STACKS.with(|s| s.borrow_mut().pop()).unwrap_or_default();
    if stack.len() < need {
        stack.resize(need, 0);
    }
    let out = f(&mut stack[..need]);
    STACKS.with(|s| s.borrow_mut().push(stack));
    out
}

fn address(addr: &Addr, r: &[u64]) -> i64 {
    addr.terms
        .iter()
        .fold(addr.base, |sum, &(ix, stride)| sum.wrapping_add(stride.wrapping_mul(r[ix as usize] as i64)))
}

fn exec(
    code: &Code,
    functions: &[Code],
    stack: &mut [u64],
    memory: &mut Memory,
    host: &mut dyn Host,
) -> Result<(), Trap> {
    let (r, rest) = stack.split_at_mut(code.regs);
    for &(d, bits) in &code.consts {
        r[d as usize] = bits;
    }
    macro_rules! f {
        ($reg:expr) => {
            f64::from_bits(r[$reg as usize])
        };
    }
    macro_rules! i {
        ($reg:expr) => {
            r[$reg as usize] as i64
        };
    }
    macro_rules! b {
        ($reg:expr) => {
            r[$reg as usize] != 0
        };
    }
    macro_rules! set {
        ($d:expr, f $v:expr) => {
            r[$d as usize] = ($v).to_bits()
        };
        ($d:expr, i $v:expr) => {
            r[$d as usize] = ($v) as u64
        };
        ($d:expr, b $v:expr) => {
            r[$d as usize] = u64::from($v)
        };
    }
    macro_rules! stored {
        ($a:expr, $truth:expr) => {
            if $truth { f64::from(u8::from(b!($a))) } else { f!($a) }
        };
    }
    let mut pc = 0;
    while let Some(&instr) = code.instrs.get(pc) {
        pc += 1;
        match instr {
            Instr::Load { d, at } => set!(d, f memory.data()[at as usize]),
            Instr::Load1 { d, at, ix, stride } => {
                let at = at + i64::from(stride) * i!(ix);
                set!(d, f memory.data()[at as usize]);
            }
            Instr::LoadN { d, at } => {
                let at = address(&code.addrs[at as usize], r);
                set!(d, f memory.data()[at as usize]);
            }
            Instr::LoadAt { d, i, info } => {
                let info = &code.dynamic[info as usize];
                let index = i!(i);
                if index < 0 || index >= i64::from(info.len) {
                    return Err(Trap::IndexOutOfRange { origin: info.origin, index, len: info.len });
                }
                let at = address(&info.at, r) + info.stride * index;
                set!(d, f memory.data()[at as usize]);
            }
            Instr::Affine { d, at, float } => {
                let v = address(&code.addrs[at as usize], r);
                if float {
                    set!(d, f v as f64);
                } else {
                    set!(d, i v);
                }
            }
            Instr::Un { op, d, a } => set!(d, f scalar::un(op, f!(a))),
            Instr::Add { d, a, b } => set!(d, f f!(a) + f!(b)),
            Instr::Sub { d, a, b } => set!(d, f f!(a) - f!(b)),
            Instr::Mul { d, a, b } => set!(d, f f!(a) * f!(b)),
            Instr::Bin { op, d, a, b } => set!(d, f scalar::bin(op, f!(a), f!(b))),
            Instr::Fma { d, a, b, c } => set!(d, f f!(a).mul_add(f!(b), f!(c))),
            Instr::Cmp { op, d, a, b } => set!(d, b scalar::cmp(op, f!(a), f!(b))),
            Instr::CmpI { op, d, a, b } => set!(d, b scalar::cmp_i(op, i!(a), i!(b))),
            Instr::Bool { op, d, a, b } => set!(d, b scalar::boolean(op, b!(a), b!(b))),
            Instr::Not { d, a } => set!(d, b !b!(a)),
            Instr::Select { d, c, a, b } => {
                r[d as usize] = r[if b!(c) { a } else { b } as usize];
            }
            Instr::Int { op, d, a, b } => set!(d, i scalar::int(op, i!(a), i!(b))),
            Instr::BoolToF { d, a } => set!(d, f f64::from(u8::from(b!(a)))),
            Instr::FToBool { d, a } => set!(d, b f!(a) != 0.0),
            Instr::FToI { d, a } => set!(d, i f!(a) as i64),
            Instr::IToF { d, a } => set!(d, f i!(a) as f64),
            Instr::Copy { d, a } => r[d as usize] = r[a as usize],
            Instr::Math { f, d, a, b } => set!(d, f eval::apply(f, f!(a), f!(b))),
            Instr::Call { d, f, args, n } => {
                let callee = &functions[f.index()];
                let given = &code.args[args as usize..][..n as usize];
                for &(n, to) in &callee.params {
                    rest[to as usize] = r[given[n as usize] as usize];
                }
                exec(callee, functions, rest, memory, host)?;
                r[d as usize] = rest[callee.result as usize];
            }
            Instr::Table { d, x, table, order } => set!(d, f host.table(table, f!(x), order)?),
            Instr::Delay { d, at, tau } => {
                let slot = address(&code.addrs[at as usize], r);
                set!(d, f host.delay(slot as u32, f!(tau), memory));
            }
            Instr::Store { at, a, truth } => memory.data_mut()[at as usize] = stored!(a, truth),
            Instr::Store1 { at, ix, stride, a, truth } => {
                let at = at + i64::from(stride) * i!(ix);
                memory.data_mut()[at as usize] = stored!(a, truth);
            }
            Instr::StoreN { at, a, truth } => {
                let at = address(&code.addrs[at as usize], r);
                memory.data_mut()[at as usize] = stored!(a, truth);
            }
            Instr::Set { ix, to } => set!(ix, i to),
            Instr::Next { ix, info, to } => {
                let (last, step) = code.loops[info as usize];
                let now = i!(ix);
                if now != last {
                    set!(ix, i now + step);
                    pc = to as usize;
                }
            }
            Instr::Jump { to } => pc = to as usize,
            Instr::JumpUnless { c, to } => {
                if !b!(c) {
                    pc = to as usize;
                }
            }
            Instr::Solve { block } => host.solve(block, memory)?,
            Instr::SolveTangent { block } => host.solve_tangent(block, memory)?,
        }
    }
    Ok(())
}
