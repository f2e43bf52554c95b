//! Kernels to scalar machine code with Cranelift.

mod constants;
mod effects;
mod frame;
mod known;
mod link;
mod lower;
mod plan;
mod target;

use crate::error::JitError;
use effects::Effects;
use frame::Entry;
use link::Backend;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use twinml_model::host::{Host, KernelId, Machine, Memory};
use twinml_model::ids::BlockId;
use twinml_model::interp::Interpreter;
use twinml_model::ir::{Kernel, Trap};
use twinml_model::program::Program;

/// How much time to spend on code. All levels give the same bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum OptLevel {
    /// One instruction after another.
    O0,
    /// Addresses, loads and small loops treated once, before the code generator.
    O1,
    /// As `O1`; kernels that are not huge also get the code generator's optimiser, and small ones the
    /// code of functions in place of calls.
    #[default]
    O2,
    /// As `O2`, whatever the size.
    O3,
}

/// Sizes at which the compiler changes its ways, in operations. The bits do not depend on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most operations of one piece of code; larger kernels are cut.
    pub piece: usize,
    /// Largest kernel that gets the code generator's optimiser at `O2`.
    pub optimised: usize,
    /// Largest kernel, functions put in place of calls, that gets them put there.
    pub inlined: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { piece: 1_000, optimised: 20_000, inlined: 2_000 }
    }
}

/// A program's kernels as machine code, each compiled when it first runs.
///
/// The program must have passed `verify`. What the safety of the code rests on (addresses inside spaces,
/// values defined before use) is checked again here, at no noticeable cost; a kernel that fails it, or that
/// is too much for the code generator, runs in the interpreter.
///
/// Shared by threads; each run has its own memory and host. Dropping it frees the code.
pub struct Compiled {
    shared: Arc<Shared>,
    backend: Mutex<Backend>,
    code: Vec<OnceLock<Slot>>,
    scratch: Mutex<Vec<Vec<u64>>>,
}

/// What lowering reads.
struct Shared {
    program: Arc<Program>,
    extras: Vec<Kernel>,
    effects: Effects,
    level: OptLevel,
    limits: Limits,
}

enum Slot {
    /// The program has no such kernel, or an empty one.
    Nothing,
    Code {
        entry: Entry,
        words: usize,
    },
    /// Runs in the interpreter.
    Refused(JitError, Box<Interpreter>, KernelId),
}

/// Kernels that are not a block's.
const FIXED: usize = 9;
/// Kernels of each block.
const PER_BLOCK: usize = 4;

impl Compiled {
    /// Makes ready to compile a program. Nothing is compiled yet: kernels are when they first run, or
    /// when [`Compiled::prepare`] asks.
    pub fn compile(program: Arc<Program>, level: OptLevel) -> Result<Self, JitError> {
        Self::with_limits(program, level, Limits::default())
    }

    /// As [`Compiled::compile`], with other limits than the usual ones.
    pub fn with_limits(program: Arc<Program>, level: OptLevel, limits: Limits) -> Result<Self, JitError> {
        let slots = FIXED + PER_BLOCK * program.blocks.len();
        let backend = Backend::new(level, limits)?;
        Ok(Self {
            shared: Arc::new(Shared {
                effects: Effects::of(&program),
                program,
                extras: Vec::new(),
                level,
                limits,
            }),
            backend: Mutex::new(backend),
            code: std::iter::repeat_with(OnceLock::new).take(slots).collect(),
            scratch: Mutex::new(Vec::new()),
        })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.shared.program
    }

    /// The level asked for.
    #[must_use]
    pub fn level(&self) -> OptLevel {
        self.shared.level
    }

    /// Compiles a kernel now. An error is not fatal: the kernel runs in the interpreter.
    pub fn prepare(&self, id: KernelId) -> Result<(), JitError> {
        match self.slot(id) {
            Some(Slot::Refused(error, ..)) => Err(error.clone()),
            Some(_) => Ok(()),
            None => Err(JitError::NoKernel(id)),
        }
    }

    /// Cranelift's IR of a kernel and of the functions it calls, as text (`--emit clif`).
    pub fn clif(&self, id: KernelId) -> Result<String, JitError> {
        Ok(self.text(id)?.0)
    }

    /// The machine code of a kernel and of the functions it calls, as text (`--emit asm`).
    pub fn assembly(&self, id: KernelId) -> Result<String, JitError> {
        Ok(self.text(id)?.1)
    }

    fn text(&self, id: KernelId) -> Result<(String, String), JitError> {
        let kernel = self.kernel(id).ok_or(JitError::NoKernel(id))?;
        let mut backend = Backend::new(self.shared.level, self.shared.limits)?;
        backend.write_text();
        let shared = &*self.shared;
        backend.kernel(&shared.program, &shared.effects, kernel)?;
        Ok(backend.take_text())
    }

    fn kernel(&self, id: KernelId) -> Option<&Kernel> {
        match id {
            KernelId::Extra(n) => self.shared.extras.get(n as usize),
            id => self.shared.program.kernel(id),
        }
    }

    fn number(&self, id: KernelId) -> Option<usize> {
        let blocks = self.shared.program.blocks.len();
        let block = |b: BlockId, k: usize| (b.index() < blocks).then(|| FIXED + PER_BLOCK * b.index() + k);
        match id {
            KernelId::Params => Some(0),
            KernelId::Initial => Some(1),
            KernelId::Rhs => Some(2),
            KernelId::Outputs => Some(3),
            KernelId::Roots => Some(4),
            KernelId::Update => Some(5),
            KernelId::History => Some(6),
            KernelId::Jvp => Some(7),
            KernelId::Jacobian => Some(8),
            KernelId::BlockResidual(b) => block(b, 0),
            KernelId::BlockJacobian(b) => block(b, 1),
            KernelId::BlockTangent(b) => block(b, 2),
            KernelId::BlockInnerTangent(b) => block(b, 3),
            KernelId::Extra(n) => Some(FIXED + PER_BLOCK * blocks + n as usize),
        }
    }

    fn slot(&self, id: KernelId) -> Option<&Slot> {
        let cell = self.code.get(self.number(id)?)?;
        Some(cell.get_or_init(|| {
            let Some(kernel) = self.kernel(id) else { return Slot::Nothing };
            if kernel.body.is_empty() {
                return Slot::Nothing;
            }
            // A panic while compiling leaves at worst functions that nothing refers to.
            let mut backend = self.backend.lock().unwrap_or_else(PoisonError::into_inner);
            match backend.kernel(&self.shared.program, &self.shared.effects, kernel) {
                Ok((entry, words)) => Slot::Code { entry, words },
                Err(error) => {
                    let mut interpreter = Interpreter::new(&self.shared.program);
                    let id = if let KernelId::Extra(_) = id { interpreter.add(kernel.clone()) } else { id };
                    Slot::Refused(error, Box::new(interpreter), id)
                }
            }
        }))
    }

    fn run_code(
        &self,
        entry: Entry,
        words: usize,
        memory: &mut Memory,
        host: &mut dyn Host,
    ) -> Result<(), Trap> {
        assert!(memory.sizes() == &self.shared.program.sizes, "a memory of another program");
        let mut scratch = Vec::new();
        if words > 0 {
            scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            if scratch.len() < words {
                scratch.resize(words, 0);
            }
        }
        // SAFETY: `entry` was made by our backend, which lives as long as `self`, for this program, whose
        // sizes were just compared; `scratch` has the words that came with the entry.
        #[expect(unsafe_code, reason = "enters machine code")]
        let done = unsafe { frame::run(entry, memory, host, &mut scratch) };
        if words > 0 {
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
        done
    }
}

impl Machine for Compiled {
    fn run(&self, id: KernelId, memory: &mut Memory, host: &mut dyn Host) -> Result<(), Trap> {
        match self.slot(id) {
            Some(&Slot::Code { entry, words }) => self.run_code(entry, words, memory, host),
            Some(Slot::Refused(_, interpreter, id)) => interpreter.run(*id, memory, host),
            Some(Slot::Nothing) | None => Ok(()),
        }
    }

    fn add(&mut self, kernel: Kernel) -> KernelId {
        let n = self.shared.extras.len() as u32;
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => shared.extras.push(kernel),
            None => unreachable!("`shared` is never handed out"),
        }
        self.code.push(OnceLock::new());
        KernelId::Extra(n)
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled")
            .field("program", &self.shared.program.name)
            .field("level", &self.shared.level)
            .finish_non_exhaustive()
    }
}
