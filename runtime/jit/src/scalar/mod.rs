//! Kernels to scalar machine code with Cranelift.

mod constants;
mod effects;
mod frame;
mod known;
mod link;
mod lower;
mod plan;
mod room;
pub(crate) mod target;
mod tier;

use crate::error::JitError;
use effects::Effects;
use link::{Backend, Code};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tier::Slot;
use twinml_model::host::{Host, KernelId, Machine, Memory};
use twinml_model::ids::BlockId;
use twinml_model::interp::Prepared;
use twinml_model::ir::{Kernel, Trap};
use twinml_model::passes::dead::Traps;
use twinml_model::passes::{self, Level};
use twinml_model::program::Program;

/// How much time to spend on code. All levels give the same bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum OptLevel {
    /// A kernel begins in the interpreter and, if it goes on running, becomes one instruction after another.
    O0,
    /// As `O0`; what runs long is compiled again: loads moved out of loops, addresses carried around them, small
    /// loops unrolled, and all that the code generator's optimiser does.
    O1,
    /// As `O1`, with the code of functions in place of calls where that is little.
    #[default]
    O2,
    /// As `O2`, but all of it before the first run.
    O3,
}

impl OptLevel {
    /// How far kernels are compiled in the end.
    #[must_use]
    pub fn best(self) -> Tier {
        if self == Self::O0 { Tier::Quick } else { Tier::Full }
    }
}

/// How far a kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tier {
    /// Quickly: under a microsecond an operation, in time linear in the size.
    Quick,
    /// With the optimiser: three or four times that.
    Full,
}

/// Sizes at which the compiler changes its ways, in operations. The bits do not depend on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most operations of one piece of code; larger kernels are cut.
    pub piece: usize,
    /// Largest kernel, functions put in place of calls, that gets them put there.
    pub inlined: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { piece: 1_000, inlined: 2_000 }
    }
}

/// A program's kernels as machine code.
///
/// A kernel begins in the interpreter, is compiled when it has run for about as long as compiling takes, and
/// compiled again, better, when that pays; where it runs makes no difference to the bits.
/// The program must have passed `verify`. What the safety of the code rests on (addresses inside spaces,
/// values defined before use) is checked again here, at no noticeable cost; a kernel that fails it, or that
/// is too much for the code generator, stays in the interpreter.
///
/// Shared by threads; each run has its own memory and host. Dropping it frees the code.
pub struct Compiled {
    shared: Shared,
    backend: Mutex<Backend>,
    slots: Vec<Slot>,
    scratch: Mutex<Vec<Vec<u64>>>,
}

/// What lowering reads.
struct Shared {
    program: Arc<Program>,
    extras: Vec<OnceLock<Kernel>>,
    effects: Effects,
    level: OptLevel,
    limits: Limits,
    /// How far kernels are simplified before they are compiled; `None`: they are as they should be.
    simplify: Option<(Level, Traps)>,
}

/// Kernels that are not a block's.
const FIXED: usize = 9;
/// Kernels of each block.
const PER_BLOCK: usize = 4;

impl Compiled {
    /// Makes ready to compile a program. Nothing is compiled yet. An error where there is no code generator
    /// for this machine.
    pub fn compile(program: Arc<Program>, level: OptLevel) -> Result<Self, JitError> {
        Self::with_limits(program, level, Limits::default())
    }

    /// As [`Compiled::compile`], with other limits than the usual ones.
    pub fn with_limits(program: Arc<Program>, level: OptLevel, limits: Limits) -> Result<Self, JitError> {
        let limits = if level < OptLevel::O2 { Limits { inlined: 0, ..limits } } else { limits };
        Self::make(program, level, limits, None)
    }

    /// As [`Compiled::compile`], for a program whose kernels are not simplified yet: each is when it is compiled.
    /// Those that run a few times only are not worth it.
    pub fn simplifying(program: Arc<Program>, level: OptLevel) -> Result<Self, JitError> {
        let passes = match level {
            OptLevel::O0 => None,
            OptLevel::O1 => Some(Level::O1),
            OptLevel::O2 | OptLevel::O3 => Some(Level::O2),
        };
        let simplify = passes.map(|l| (l, Traps::of(&program)));
        let limits = Limits::default();
        let limits = if level < OptLevel::O2 { Limits { inlined: 0, ..limits } } else { limits };
        Self::make(program, level, limits, simplify)
    }

    fn make(
        program: Arc<Program>,
        level: OptLevel,
        limits: Limits,
        simplify: Option<(Level, Traps)>,
    ) -> Result<Self, JitError> {
        let slots = FIXED + PER_BLOCK * program.blocks.len();
        let backend = Backend::new(limits)?;
        Ok(Self {
            shared: Shared {
                effects: Effects::of(&program),
                program,
                extras: Vec::new(),
                level,
                limits,
                simplify,
            },
            backend: Mutex::new(backend),
            slots: std::iter::repeat_with(Slot::default).take(slots).collect(),
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
    pub fn prepare(&self, id: KernelId, tier: Tier) -> Result<(), JitError> {
        let (Some(slot), Some(kernel)) = (self.slot(id), self.kernel(id)) else {
            return Err(JitError::NoKernel(id));
        };
        match self.code(slot, kernel, tier) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.clone()),
        }
    }

    /// How far a kernel is compiled by now; `None`: it runs in the interpreter.
    #[must_use]
    pub fn compiled(&self, id: KernelId) -> Option<Tier> {
        let slot = self.slot(id)?;
        [Tier::Full, Tier::Quick].into_iter().find(|&tier| matches!(slot.cell(tier).get(), Some(Ok(_))))
    }

    /// Cranelift's IR of a kernel and of the functions it calls, as text (`--emit clif`): as made from ours
    /// at `O0`, as optimised above.
    pub fn clif(&self, id: KernelId) -> Result<String, JitError> {
        Ok(self.text(id)?.0)
    }

    /// The machine code of a kernel and of the functions it calls, as text (`--emit asm`).
    pub fn assembly(&self, id: KernelId) -> Result<String, JitError> {
        Ok(self.text(id)?.1)
    }

    fn text(&self, id: KernelId) -> Result<(String, String), JitError> {
        let kernel = self.kernel(id).ok_or(JitError::NoKernel(id))?;
        let shared = &self.shared;
        let mut backend = Backend::new(shared.limits)?;
        backend.write_text();
        let tier = shared.level.best();
        backend.kernel(&shared.program, &shared.effects, kernel, tier)?;
        Ok(backend.take_text())
    }

    fn kernel(&self, id: KernelId) -> Option<&Kernel> {
        match id {
            KernelId::Extra(n) => self.shared.extras.get(n as usize)?.get(),
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
        self.slots.get(self.number(id)?)
    }

    /// The code of a kernel, compiled if it is not yet.
    fn code<'s>(&self, slot: &'s Slot, kernel: &Kernel, tier: Tier) -> Result<&'s Code, &'s JitError> {
        let cell = slot.cell(tier);
        cell.get_or_init(|| {
            // A panic while compiling leaves at worst functions that nothing refers to.
            let mut backend = self.backend.lock().unwrap_or_else(PoisonError::into_inner);
            let kernel = match &self.shared.simplify {
                Some((level, traps)) => slot.simple.get_or_init(|| passes::simplified(kernel, *level, traps)),
                None => kernel,
            };
            backend.kernel(&self.shared.program, &self.shared.effects, kernel, tier)
        })
        .as_ref()
    }

    fn run_code(&self, code: &Code, memory: &mut Memory, host: &mut dyn Host) -> Result<(), Trap> {
        assert!(self.shared.program.sizes.fit(memory.sizes()), "the memory belongs to another program");
        assert!(code.jac <= memory.sizes().jac, "the memory has too little room for the kernel");
        let mut scratch = Vec::new();
        if code.words > 0 {
            scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            if scratch.len() < code.words {
                scratch.resize(code.words, 0);
            }
        }
        // SAFETY: the entry was made by our backend, which lives as long as `self`, for this program, whose
        // sizes were just compared, `Jac` also with what the kernel itself needs; `scratch` has the words that came with the entry.
        #[expect(unsafe_code, reason = "enters machine code")]
        let done = unsafe { frame::run(code.entry, memory, host, &mut scratch) };
        if code.words > 0 {
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
        done
    }

    /// A run of a kernel that may have to be compiled first.
    #[cold]
    fn run_cold(
        &self,
        slot: &Slot,
        kernel: &Kernel,
        memory: &mut Memory,
        host: &mut dyn Host,
    ) -> Result<(), Trap> {
        let tier = slot.heat(kernel, self.shared.level);
        for tier in [Tier::Full, Tier::Quick].into_iter().filter(|&t| Some(t) <= tier) {
            if let Ok(code) = self.code(slot, kernel, tier) {
                return self.run_code(code, memory, host);
            }
        }
        slot.decoded.get_or_init(|| Prepared::new(&self.shared.program, kernel)).run(memory, host)
    }
}

impl Machine for Compiled {
    fn run(&self, id: KernelId, memory: &mut Memory, host: &mut dyn Host) -> Result<(), Trap> {
        let Some(slot) = self.slot(id) else { return Ok(()) };
        let best = slot.cell(self.shared.level.best());
        if let Some(Ok(code)) = best.get() {
            return self.run_code(code, memory, host);
        }
        match self.kernel(id) {
            Some(kernel) if !kernel.body.is_empty() => self.run_cold(slot, kernel, memory, host),
            _ => Ok(()),
        }
    }

    fn add(&mut self, kernel: Kernel) -> KernelId {
        let place = self.reserve();
        self.fill(place, kernel);
        place
    }

    fn reserve(&mut self) -> KernelId {
        self.shared.extras.push(OnceLock::new());
        self.slots.push(Slot::added());
        KernelId::Extra(self.shared.extras.len() as u32 - 1)
    }

    fn fill(&self, place: KernelId, kernel: Kernel) {
        if let KernelId::Extra(n) = place
            && let Some(extra) = self.shared.extras.get(n as usize)
        {
            extra.get_or_init(|| kernel);
        }
    }

    fn expect(&self, kernel: KernelId, runs: u64) {
        if let (KernelId::Extra(_), Some(slot)) = (kernel, self.slot(kernel)) {
            slot.expect(runs);
        }
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
