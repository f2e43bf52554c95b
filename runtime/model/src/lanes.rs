//! Many runs side by side: the memories of a batch of runs as a structure of arrays, and what runs a kernel on
//! all of them.
//!
//! A *lane* is one run. Slot `s` of lane `l` stands at `s·width + l`, so that one vector instruction works on the
//! same slot of neighbouring lanes. Every way to run a lane kernel (the block interpreter, machine code of any
//! vector width) gives each lane the bits that the scalar interpreter gives it alone.

use crate::host::{Host, Memory};
use crate::ids::BlockId;
use crate::ir::{Op, Region, Space, Stmt, Trap};
use crate::program::Sizes;

/// Lanes come in multiples of this, so that every vector width divides them; those beyond the last run are
/// computed and never looked at.
pub const GRAIN: usize = 8;
/// A row of a slot begins at a multiple of this, in bytes.
pub const ALIGN: usize = 64;

/// The values of all spaces of a batch of runs. Its sizes never change.
#[derive(Debug)]
pub struct LaneMemory {
    sizes: Sizes,
    /// Where each space begins, by its discriminant, and slots of all together.
    starts: [usize; Space::ALL.len()],
    total: usize,
    lanes: usize,
    width: usize,
    /// Where the first slot begins in `data`: on a border of [`ALIGN`] bytes.
    start: usize,
    data: Vec<f64>,
    /// Why a lane's kernel ended early; such lanes rest until [`LaneMemory::clear_trap`].
    traps: Vec<Option<Trap>>,
    trapped: bool,
}

impl LaneMemory {
    /// All slots zero. `lanes` may be any number from 1 on.
    #[must_use]
    pub fn zeroed(sizes: Sizes, lanes: usize) -> Self {
        let width = lanes.max(1).next_multiple_of(GRAIN);
        let total = sizes.total();
        let mut starts = [0; Space::ALL.len()];
        Space::ALL.iter().for_each(|&s| starts[s as usize] = sizes.offset(s));
        let data = vec![0.0; total * width + ALIGN / 8];
        // A vector of doubles begins at a multiple of 8 bytes: the border is at most 7 elements away.
        let start = data.as_ptr().align_offset(ALIGN).min(ALIGN / 8);
        Self { sizes, starts, total, lanes, width, start, data, traps: vec![None; width], trapped: false }
    }

    /// Every lane a copy of `memory`.
    #[must_use]
    pub fn of(memory: &Memory, lanes: usize) -> Self {
        let mut out = Self::zeroed(*memory.sizes(), lanes);
        for lane in 0..out.width {
            out.set(lane, memory);
        }
        out
    }

    /// Its sizes.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The number of runs.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// Lanes that are computed: at least [`LaneMemory::lanes`], a multiple of [`GRAIN`]; also the distance of two
    /// slots.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// All slots, one row of [`LaneMemory::width`] values after another.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &[f64] {
        &self.data[self.start..][..self.total * self.width]
    }

    /// All slots, to write.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data[self.start..][..self.total * self.width]
    }

    /// One slot (numbered over all spaces, as [`Sizes::offset`] says) of all lanes.
    #[must_use]
    #[inline]
    pub fn row(&self, slot: usize) -> &[f64] {
        &self.data()[slot * self.width..][..self.width]
    }

    /// One slot of all lanes, to write.
    #[inline]
    pub fn row_mut(&mut self, slot: usize) -> &mut [f64] {
        let width = self.width;
        &mut self.data_mut()[slot * width..][..width]
    }

    /// Slot `k` of a space, of all lanes.
    #[must_use]
    #[inline]
    pub fn slot(&self, space: Space, k: usize) -> &[f64] {
        self.row(self.starts[space as usize] + k)
    }

    /// Slot `k` of a space, of all lanes, to write.
    #[inline]
    pub fn slot_mut(&mut self, space: Space, k: usize) -> &mut [f64] {
        self.row_mut(self.starts[space as usize] + k)
    }

    /// Puts a run into a lane. Both memories must have the same sizes, but for `Jac` (which is left alone where they
    /// differ).
    pub fn set(&mut self, lane: usize, memory: &Memory) {
        let slots = self.total.min(memory.data().len());
        let width = self.width;
        for (row, &x) in self.data_mut().chunks_exact_mut(width).zip(&memory.data()[..slots]) {
            row[lane] = x;
        }
        self.traps[lane] = None;
    }

    /// Puts a lane of another memory of the same sizes into a lane of this one.
    pub fn copy_lane(&mut self, lane: usize, from: &LaneMemory, other: usize) {
        let (width, wide) = (self.width, from.width);
        for (row, old) in self.data_mut().chunks_exact_mut(width).zip(from.data().chunks_exact(wide)) {
            row[lane] = old[other];
        }
        self.traps[lane] = from.traps[other];
        self.trapped |= from.trapped;
    }

    /// As [`LaneMemory::copy_lane`], of these spaces only.
    pub fn copy_spaces(&mut self, lane: usize, from: &LaneMemory, other: usize, spaces: &[Space]) {
        let (width, wide) = (self.width, from.width);
        for &space in spaces {
            let (first, len) = (self.starts[space as usize], self.sizes.of(space) as usize);
            let new = self.data_mut()[first * width..][..len * width].chunks_exact_mut(width);
            let old = from.data()[first * wide..][..len * wide].chunks_exact(wide);
            for (row, old) in new.zip(old) {
                row[lane] = old[other];
            }
        }
        self.traps[lane] = from.traps[other];
        self.trapped |= from.trapped;
    }

    /// Takes a run out of a lane.
    pub fn get(&self, lane: usize, memory: &mut Memory) {
        for (x, row) in memory.data_mut().iter_mut().zip(self.data().chunks_exact(self.width)) {
            *x = row[lane];
        }
    }

    /// Why a lane rests, if it does.
    #[must_use]
    #[inline]
    pub fn trap(&self, lane: usize) -> Option<Trap> {
        self.traps[lane]
    }

    /// Whether a lane has come to rest since the memory was made.
    #[must_use]
    #[inline]
    pub fn trapped(&self) -> bool {
        self.trapped
    }

    /// Makes a lane rest.
    pub(crate) fn set_trap(&mut self, lane: usize, trap: Trap) {
        self.trapped = true;
        self.traps[lane] = Some(trap);
    }

    /// Lets a lane run again.
    #[inline]
    pub fn clear_trap(&mut self, lane: usize) {
        self.traps[lane] = None;
    }
}

impl Clone for LaneMemory {
    fn clone(&self) -> Self {
        let mut out = Self::zeroed(self.sizes, self.lanes);
        out.data_mut().copy_from_slice(self.data());
        out.traps.copy_from_slice(&self.traps);
        out.trapped = self.trapped;
        out
    }
}

/// Why a kernel does not run on lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotLanes {
    /// It solves an algebraic block: each run takes its own number of iterations.
    Block(BlockId),
    /// It looks back in time: each run has a history of its own.
    Delay,
    /// Written out it has more operations than this.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It reads an array at an index that is known only while it runs.
    DynamicIndex,
    /// It looks up a table.
    Table,
    /// It is no kernel that `verify` lets pass.
    Invalid,
    /// Fixed steps cannot be fused into one kernel (see [`crate::passes::rk4`]).
    NoStep,
    /// Its solver's steps are not computed on lanes.
    Method,
    /// Noise drives it.
    Noise,
    /// It has no states.
    NoStates,
    /// It has more states than this.
    States {
        /// The limit.
        limit: usize,
    },
    /// It solves a loop of so many equations in each step.
    Loop {
        /// How many.
        unknowns: u32,
        /// So many at most go on lanes.
        limit: usize,
    },
    /// A loop of equations that is not linear and that the right-hand side does not need.
    Aside,
    /// It solves a loop, and its solver takes derivatives of what that finds.
    Tangents,
}

impl std::fmt::Display for NotLanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotLanes::Block(b) => write!(f, "it solves an algebraic loop ({b}) anew for each run"),
            NotLanes::Delay => write!(f, "it looks back in time"),
            NotLanes::TooLarge { limit } => write!(f, "it has more than {limit} operations"),
            NotLanes::DynamicIndex => write!(f, "it reads an array at an index known only while it runs"),
            NotLanes::Table => write!(f, "it looks up a table that is long, or that ends a run"),
            NotLanes::Invalid => write!(f, "it is not a valid kernel"),
            NotLanes::NoStep => write!(f, "its steps cannot be written out as one straight line"),
            NotLanes::Method => write!(f, "its solver goes alone"),
            NotLanes::Noise => write!(f, "noise drives it"),
            NotLanes::NoStates => write!(f, "it has no states to integrate"),
            NotLanes::States { limit } => write!(f, "it has more than {limit} states"),
            NotLanes::Loop { unknowns, limit } => {
                write!(
                    f,
                    "it solves a loop of {unknowns} equations, and more than {limit} are solved run by run"
                )
            }
            NotLanes::Aside => write!(f, "a loop that only results need is followed from step to step"),
            NotLanes::Tangents => write!(f, "its solver takes derivatives through a loop of equations"),
        }
    }
}

impl std::error::Error for NotLanes {}

/// Whether a region holds what no lane kernel may.
pub(crate) fn refuse(kernel: &crate::ir::Kernel) -> Option<NotLanes> {
    fn region(k: &crate::ir::Kernel, r: &Region) -> Option<NotLanes> {
        r.iter().find_map(|s| match s {
            Stmt::Solve(b) | Stmt::SolveTangent(b) => Some(NotLanes::Block(*b)),
            Stmt::Eval(v) => matches!(k.values[v.index()].op, Op::Delay { .. }).then_some(NotLanes::Delay),
            Stmt::Store { .. } => None,
            Stmt::For(l) => region(k, &l.body),
            Stmt::If(i) => region(k, &i.then).or_else(|| region(k, &i.otherwise)),
        })
    }
    region(kernel, &kernel.body)
}

/// A kernel made ready to run on lanes.
pub trait LaneKernel: Send + Sync + std::fmt::Debug {
    /// Runs the kernel `times` times on every lane that does not rest; each run sees what the one before left.
    /// A lane that traps rests from then on ([`LaneMemory::trap`]), and its slots hold a mixture of old and new
    /// values. Of the host only [`Host::table`] is asked.
    ///
    /// `memory` must have the sizes of the program that the kernel is from; anything else is a caller's bug and
    /// panics.
    fn run(&self, memory: &mut LaneMemory, times: u64, host: &mut dyn Host);

    /// How it runs: `block`, `v128`, `avx2`, `avx512`.
    fn level(&self) -> &'static str;
}
