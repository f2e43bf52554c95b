//! What runs a program's kernels, and what they run on: one memory, one host, one machine.
//!
//! The interpreter and the compiled code are two [`Machine`]s over the same [`Memory`]; both call back
//! into a [`Host`] for what a kernel cannot do alone: solve an algebraic block, look up a table, look
//! back in time.

use crate::ids::{BlockId, TableId};
use crate::ir::{Kernel, Space, Trap};
use crate::program::{Program, Sizes};

/// Names a kernel of a program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KernelId {
    /// [`Program::params`]
    Params,
    /// [`Program::initial`]
    Initial,
    /// [`Program::rhs`]
    Rhs,
    /// [`Program::outputs`]
    Outputs,
    /// [`Program::roots`]
    Roots,
    /// [`Program::update`]
    Update,
    /// [`Program::history`]
    History,
    /// [`Program::jvp`]
    Jvp,
    /// The kernel of [`Program::jacobian`].
    Jacobian,
    /// Residuals of a block.
    BlockResidual(BlockId),
    /// Jacobian of a block.
    BlockJacobian(BlockId),
    /// Tangent of a block's residuals.
    BlockTangent(BlockId),
    /// Tangents of a block's torn inner variables.
    BlockInnerTangent(BlockId),
    /// A kernel given to [`Machine::add`] (actions of a scenario, fused steps), in that order.
    Extra(u32),
}

impl Program {
    /// The kernel with this name; `None` for one that this program lacks and for every `Extra`.
    #[must_use]
    pub fn kernel(&self, id: KernelId) -> Option<&Kernel> {
        let block = |b: BlockId| self.blocks.get(b.index());
        Some(match id {
            KernelId::Params => &self.params,
            KernelId::Initial => &self.initial,
            KernelId::Rhs => &self.rhs,
            KernelId::Outputs => &self.outputs,
            KernelId::Roots => &self.roots,
            KernelId::Update => &self.update,
            KernelId::History => &self.history,
            KernelId::Jvp => self.jvp.as_ref()?,
            KernelId::Jacobian => &self.jacobian.as_ref()?.kernel,
            KernelId::BlockResidual(b) => &block(b)?.residual,
            KernelId::BlockJacobian(b) => &block(b)?.jacobian.as_ref()?.kernel,
            KernelId::BlockTangent(b) => block(b)?.tangent.as_ref()?,
            KernelId::BlockInnerTangent(b) => block(b)?.inner_tangent.as_ref()?,
            KernelId::Extra(_) => return None,
        })
    }
}

impl Sizes {
    /// Where a space begins in a [`Memory`]: the spaces follow one another in the order of
    /// [`Space::ALL`], so that compiled code needs a single base address; but `Jac` comes last, so that it can grow
    /// where derivatives are made while a program runs.
    #[must_use]
    pub fn offset(&self, space: Space) -> usize {
        let before = Space::ALL.iter().take_while(|&&s| s != space || space == Space::Jac);
        before.filter(|&&s| s != Space::Jac).map(|&s| self.of(s) as usize).sum()
    }

    /// Whether code made for these sizes can run on a memory of the others: all spaces are where it looks for them.
    #[must_use]
    pub fn fit(&self, memory: &Sizes) -> bool {
        self.jac <= memory.jac && Sizes { jac: memory.jac, ..*self } == *memory
    }

    /// Slots of all spaces together.
    #[must_use]
    pub fn total(&self) -> usize {
        Space::ALL.iter().map(|&s| self.of(s) as usize).sum()
    }
}

/// The values of all spaces of one run. Its sizes never change, but for [`Memory::make_room`].
#[derive(Clone, PartialEq, Debug)]
pub struct Memory {
    sizes: Sizes,
    /// Where each space begins, by its discriminant.
    starts: [usize; Space::ALL.len()],
    data: Vec<f64>,
}

impl Memory {
    /// All slots zero.
    #[must_use]
    pub fn zeroed(sizes: Sizes) -> Self {
        let mut starts = [0; Space::ALL.len()];
        for space in Space::ALL {
            starts[space as usize] = sizes.offset(space);
        }
        Self { sizes, starts, data: vec![0.0; sizes.total()] }
    }

    /// The program's defaults in their slots, everything else zero.
    #[must_use]
    pub fn new(program: &Program) -> Self {
        let mut memory = Self::zeroed(program.sizes);
        for (space, fills) in program.defaults.spaces() {
            fills.apply(memory.space_mut(space));
        }
        memory
    }

    /// Makes `Jac` at least this long.
    pub fn make_room(&mut self, jac: u32) {
        if jac > self.sizes.jac {
            self.sizes.jac = jac;
            self.data.resize(self.sizes.total(), 0.0);
        }
    }

    /// Its sizes.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The slots of a space.
    #[must_use]
    pub fn space(&self, space: Space) -> &[f64] {
        let at = self.starts[space as usize];
        &self.data[at..at + self.sizes.of(space) as usize]
    }

    /// The slots of a space, to write.
    pub fn space_mut(&mut self, space: Space) -> &mut [f64] {
        let at = self.starts[space as usize];
        &mut self.data[at..at + self.sizes.of(space) as usize]
    }

    /// Simulated time in seconds.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.space(Space::Time)[0]
    }

    /// Sets simulated time in seconds.
    pub fn set_time(&mut self, time: f64) {
        self.space_mut(Space::Time)[0] = time;
    }

    /// All spaces, one after another as [`Sizes::offset`] says.
    #[must_use]
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// All spaces, to write.
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }
}

/// What kernels ask of their surroundings.
///
/// The memory handed to a host is the one the kernel runs on; a host must not put another in its
/// place (compiled code answers that with the trap of the block).
pub trait Host {
    /// Finds the unknowns of a block and leaves them, and what the block's kernels store on the way,
    /// in their slots; writes nothing else.
    fn solve(&mut self, block: BlockId, memory: &mut Memory) -> Result<(), Trap>;

    /// Finds the tangents of the block's unknowns (and torn inner variables) from the tangents of
    /// everything else; writes nothing but those, `Res`, `TRes` and `Jac`.
    fn solve_tangent(&mut self, block: BlockId, memory: &mut Memory) -> Result<(), Trap>;

    /// Value (`order` 0) or derivative (1, 2) of a table.
    fn table(&mut self, table: TableId, x: f64, order: u8) -> Result<f64, Trap>;

    /// The value of history slot `slot` at `Time − tau`.
    fn delay(&mut self, slot: u32, tau: f64, memory: &Memory) -> f64;
}

/// A host for kernels that ask nothing: every request ends the kernel (`Trap::Block`,
/// `Trap::TableRange`); a delay gives the current value of its signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn solve(&mut self, block: BlockId, _: &mut Memory) -> Result<(), Trap> {
        Err(Trap::Block(block))
    }

    fn solve_tangent(&mut self, block: BlockId, _: &mut Memory) -> Result<(), Trap> {
        Err(Trap::Block(block))
    }

    fn table(&mut self, table: TableId, x: f64, _: u8) -> Result<f64, Trap> {
        Err(Trap::TableRange { table, x })
    }

    fn delay(&mut self, slot: u32, _: f64, memory: &Memory) -> f64 {
        memory.space(Space::Hist).get(slot as usize).copied().unwrap_or(f64::NAN)
    }
}

/// What runs kernels: the reference interpreter, or compiled code.
pub trait Machine: Send + Sync {
    /// Runs a kernel to its end or to a trap; after a trap the spaces it writes hold a mixture of old
    /// and new values. A kernel that the program lacks does nothing.
    ///
    /// `memory` must have the program's sizes ([`Memory::new`], [`Sizes::fit`]); anything else is a caller's bug
    /// and panics.
    fn run(&self, kernel: KernelId, memory: &mut Memory, host: &mut dyn Host) -> Result<(), Trap>;

    /// Takes in a further kernel, verified against the same program.
    fn add(&mut self, kernel: Kernel) -> KernelId;

    /// A place for a kernel that is made only when it is wanted; until [`Machine::fill`] puts it there the machine lacks it.
    fn reserve(&mut self) -> KernelId;

    /// Puts a kernel, verified as those of [`Machine::add`], into a place of [`Machine::reserve`]. The first to come is kept.
    fn fill(&self, place: KernelId, kernel: Kernel);

    /// Says that a kernel of [`Machine::add`] or [`Machine::fill`] is expected to run so many times from here on: when code for it
    /// pays goes by that. Never a matter of results.
    fn expect(&self, kernel: KernelId, runs: u64) {
        let _ = (kernel, runs);
    }

    /// The derivatives of the right-hand side, as a program with `jvp` and perhaps `jacobian` and with room for them
    /// in its sizes, where the machine makes them when they are first asked for. `None`: there are those of the
    /// program itself.
    fn derived(&self) -> Option<&Program> {
        None
    }

    /// The directional derivative of the right-hand side as it is run, all roundings decided: a program with `jvp`, and the
    /// functions of the machine's own program followed by those of its derivatives. `None` as for [`Machine::derived`].
    fn directional(&self) -> Option<Program> {
        None
    }
}
