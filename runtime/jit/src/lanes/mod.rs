//! Kernels on lanes as vector machine code: AVX-512 and AVX2, and vectors of 2 for other processors.
//!
//! A kernel becomes a graph without control flow (`lower`), the graph a plan (`plan`), the plan code for some groups
//! of lanes side by side (`emit`, `encode`; for vectors of 2 by Cranelift, `v128`). How many groups serve best is found by a timing ([`LaneCode::tuned`]);
//! it changes no bit. What a straight line cannot do is refused ([`NotLanes`]) and left to the block interpreter
//! ([`compile`] chooses).
//!
//! Lanes that leave the straight line (arguments beyond the usual range of an elementary function) are computed one by
//! one by scalar code of ours that the machine code calls.

mod emit;
mod encode;
mod graph;
mod guard;
mod lower;
mod meaning;
mod pages;
mod plan;
mod slow;
mod v128;

use graph::Target;
use pages::Pages;
use slow::{Slows, slow_lanes};
use std::sync::Arc;
use std::time::{Duration, Instant};
use twinml_model::host::Host;
use twinml_model::interp::block::BlockKernel;
use twinml_model::ir::Kernel;
use twinml_model::lanes::{LaneKernel, LaneMemory, NotLanes};
use twinml_model::program::{Program, Sizes};

/// How lane kernels run, from the plainest to the widest. All give the same bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Isa {
    /// The block interpreter, on every processor.
    Block,
    /// Vectors of 2, by Cranelift (AVX and fused multiply-add). Nothing in it is particular to x86-64; on other processors it
    /// was not tried, and is not offered.
    V128,
    /// Vectors of 4, with fused multiply-add.
    Avx2,
    /// Vectors of 8 (F, DQ).
    Avx512,
}

impl Isa {
    /// All, the plainest first.
    pub const ALL: [Isa; 4] = [Isa::Block, Isa::V128, Isa::Avx2, Isa::Avx512];

    /// Its name, as in `TWINC_ISA`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Isa::Block => "block",
            Isa::V128 => "v128",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|i| i.name() == name)
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn available(self) -> bool {
        match self {
            Isa::Block => true,
            #[cfg(target_arch = "x86_64")]
            Isa::V128 => {
                // Without it each product with a sum would be a call.
                is_x86_feature_detected!("sse4.2")
                    && is_x86_feature_detected!("avx")
                    && is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The widest that this processor has.
    #[must_use]
    pub fn best() -> Isa {
        Isa::ALL.into_iter().rev().find(|i| i.available()).unwrap_or(Isa::Block)
    }

    /// Lanes of one vector.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self {
            Isa::Block => 1,
            Isa::V128 => v128::LANES,
            Isa::Avx2 => 4,
            Isa::Avx512 => 8,
        }
    }
}

/// Most groups of lanes side by side.
pub const GROUPS: usize = 6;

/// Why there is no machine code.
#[derive(Clone, PartialEq, Debug)]
pub enum LaneError {
    /// The processor lacks the instructions.
    Unavailable(Isa),
    /// The kernel is none for a straight line.
    NotLanes(NotLanes),
    /// The system gives no memory for code.
    Memory,
    /// The disassembler knows no such instruction.
    Unreadable(
        /// Where, in bytes from the start of the code.
        usize,
    ),
}

impl std::fmt::Display for LaneError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LaneError::Unavailable(isa) => write!(f, "this processor has no {}", isa.name()),
            LaneError::NotLanes(why) => write!(f, "{why}"),
            LaneError::Unreadable(at) => write!(f, "no instruction at byte {at}"),
            LaneError::Memory => write!(f, "no memory for machine code"),
        }
    }
}

impl std::error::Error for LaneError {}

impl From<NotLanes> for LaneError {
    fn from(why: NotLanes) -> Self {
        LaneError::NotLanes(why)
    }
}

/// A kernel made ready for lanes in the best way there is up to `isa`: machine code, or the block interpreter where the
/// kernel is none for a straight line. `sample` is what it will run on: its width is the one that the code is for, its
/// values serve for the timing and are left alone.
pub fn compile(
    program: &Arc<Program>,
    kernel: &Kernel,
    isa: Isa,
    sample: &LaneMemory,
) -> Result<Box<dyn LaneKernel>, NotLanes> {
    match worthwhile(program, kernel, isa, sample) {
        Ok(code) => Ok(code),
        Err(_) => Ok(Box::new(BlockKernel::new(program, kernel)?)),
    }
}

/// The same for those who can do without lanes: refused where only the block interpreter takes what `isa` could do faster, for
/// single runs by machine code are faster than that.
pub fn worthwhile(
    program: &Arc<Program>,
    kernel: &Kernel,
    isa: Isa,
    sample: &LaneMemory,
) -> Result<Box<dyn LaneKernel>, NotLanes> {
    if isa != Isa::Block {
        match LaneCode::tuned(program, kernel, isa, sample) {
            Ok(code) => return Ok(Box::new(code)),
            Err(LaneError::NotLanes(why)) => return Err(why),
            Err(_) => {}
        }
    }
    Ok(Box::new(BlockKernel::new(program, kernel)?))
}

/// One way through the code.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Where it begins.
    entry: usize,
    groups: usize,
    /// Bytes of scratch space.
    scratch: usize,
}

/// A kernel as vector code for lane memories of one width.
#[derive(Debug)]
pub struct LaneCode {
    isa: Isa,
    sizes: Sizes,
    width: usize,
    pages: Pages,
    /// Many groups at once, and one for what is left.
    ways: Vec<Way>,
    chosen: usize,
    /// Constants from `first_constant` on: a border of 64 bytes.
    constants: Vec<u64>,
    first_constant: usize,
    slows: Box<Slows>,
    operations: usize,
}

/// Nanoseconds of one timing, about: what the clock and interruptions add is small beside it.
const TIMING: u64 = 20_000;

/// Bytes of vector registers that carry slots from one repetition to the next, of all.
const CARRIED: usize = 12;

impl LaneCode {
    /// Code for `groups` groups side by side (1 to [`GROUPS`]), for memories of this width (a multiple of
    /// [`twinml_model::lanes::GRAIN`]).
    pub fn new(
        program: &Program,
        kernel: &Kernel,
        isa: Isa,
        width: usize,
        groups: usize,
    ) -> Result<Self, LaneError> {
        Self::make(program, kernel, isa, width, &[groups.clamp(1, GROUPS)])
    }

    /// Code for the number of groups that is fastest on a copy of `sample`.
    pub fn tuned(
        program: &Program,
        kernel: &Kernel,
        isa: Isa,
        sample: &LaneMemory,
    ) -> Result<Self, LaneError> {
        let most = (sample.width() / isa.lanes()).clamp(1, GROUPS);
        let all: Vec<usize> = (1..=most).collect();
        let mut code = Self::make(program, kernel, isa, sample.width(), &all)?;
        let all = &all[..code.ways.len().min(all.len())];
        let mut best = (Duration::MAX, 0);
        let mut scratch = sample.clone();
        let mut times = 4;
        // the first round brings code and data near and finds out how many repetitions take long enough to be timed
        for round in 0..if all.len() > 1 { 5 } else { 0 } {
            for way in 0..all.len() {
                code.chosen = way;
                scratch.data_mut().copy_from_slice(sample.data());
                let start = Instant::now();
                code.execute(&mut scratch, times);
                let elapsed = start.elapsed();
                if round > 0 {
                    best = best.min((elapsed, way));
                }
            }
            if round == 0 {
                let start = Instant::now();
                code.execute(&mut scratch, times);
                let one = start.elapsed().as_nanos().max(1) as u64 / times;
                times = (TIMING / one.max(1)).clamp(4, 256);
            }
        }
        code.chosen = best.1;
        Ok(code)
    }

    fn make(
        program: &Program,
        kernel: &Kernel,
        isa: Isa,
        width: usize,
        groups: &[usize],
    ) -> Result<Self, LaneError> {
        if !isa.available() {
            return Err(LaneError::Unavailable(isa));
        }
        let target = match isa {
            Isa::Block => return Err(LaneError::Unavailable(isa)),
            Isa::V128 | Isa::Avx2 => Target::Avx2,
            Isa::Avx512 => Target::Avx512,
        };
        // displacements have 32 bits
        let bytes = program.sizes.total().saturating_mul(width).saturating_mul(8);
        if i32::try_from(bytes).is_err() {
            return Err(NotLanes::TooLarge { limit: i32::MAX as usize }.into());
        }
        let mut code = encode::Code::default();
        let mut pool = emit::Pool::default();
        let mut ways = Vec::new();
        let (graph, slots) = lower::lower(program, kernel, target)?;
        let mut operations = 0;
        let mut list = groups.to_vec();
        if !list.contains(&1) {
            list.push(1);
        }
        // latency is hidden by a few groups where a line is short, and by the line itself where it is long
        match graph.nodes.len() {
            0..2_000 => {}
            2_000..20_000 => list.retain(|&g| g <= 2 || groups.len() == 1),
            _ => list.retain(|&g| g == 1 || groups.len() == 1),
        }
        if isa == Isa::V128 {
            if graph.nodes.len() > v128::MOST {
                return Err(NotLanes::TooLarge { limit: v128::MOST }.into());
            }
            // There are 16 registers, and each way is compiled by itself.
            list.retain(|&g| g <= 2 || groups.len() == 1);
            for &groups in &list {
                let (plan, _) = plan::Plan::of(&graph, &slots, 0);
                operations = plan.body.order.len();
                let (bytes, scratch) = v128::emit(&mut pool, &graph, &plan, groups, (width * 8) as i32)?;
                // Between them instructions that do nothing, where these have one byte.
                code.bytes.resize(code.bytes.len().next_multiple_of(64), 0x90);
                ways.push(Way { entry: code.bytes.len(), groups, scratch });
                code.bytes.extend(bytes);
            }
            list.clear();
        }
        for &groups in &list {
            let registers = if target == Target::Avx512 { CARRIED } else { CARRIED / 3 };
            let (plan, fast) = plan::Plan::of(&graph, &slots, registers / groups);
            let fast = fast.as_ref().map(|(fast, plan)| (fast, plan));
            operations = fast.map_or(&plan, |f| f.1).body.order.len();
            let shape = emit::Shape { groups, stride: (width * 8) as i32 };
            let (entry, scratch) = emit::emit(&mut code, &mut pool, &graph, &plan, fast, shape);
            ways.push(Way { entry, groups, scratch });
        }
        code.link();
        let pages = Pages::new(&code.bytes).ok_or(LaneError::Memory)?;
        let copies = if target == Target::Avx512 { 1 } else { isa.lanes() };
        let mut constants = vec![0; pool.values.len() * copies + 8];
        // A vector of 64-bit words begins at a multiple of 8 bytes: the border is at most 7 elements away.
        let first_constant = constants.as_ptr().align_offset(64).min(8);
        for (k, &c) in pool.values.iter().enumerate() {
            constants[first_constant + k * copies..][..copies].fill(c);
        }
        let slows = Box::new(Slows { subs: graph.subs, lanes: isa.lanes() as u32 });
        Ok(Self {
            isa,
            sizes: program.sizes,
            width,
            pages,
            ways,
            chosen: 0,
            constants,
            first_constant,
            slows,
            operations,
        })
    }

    /// Groups of lanes side by side.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.ways[self.chosen].groups
    }

    /// Vector operations of one repetition for one group of lanes.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// The machine code, for a disassembler.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let from = self.ways[self.chosen].entry;
        let next = self.ways.iter().map(|w| w.entry).filter(|&e| e > from).min();
        &self.pages.bytes()[from..next.unwrap_or(self.pages.bytes().len())]
    }

    /// The machine code as text, an instruction a line (`--emit asm`).
    pub fn assembly(&self) -> Result<String, LaneError> {
        use capstone::prelude::*;
        let reader = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build();
        let code = self.bytes();
        let all =
            reader.as_ref().ok().and_then(|r| r.disasm_all(code, 0).ok()).ok_or(LaneError::Unreadable(0))?;
        let mut out = String::new();
        let mut end = 0;
        for i in all.iter() {
            let (name, operands) = (i.mnemonic().unwrap_or("?"), i.op_str().unwrap_or(""));
            out.push_str(&format!("{:6x}:  {name} {operands}\n", i.address()));
            end = i.address() as usize + i.len();
        }
        if end == code.len() { Ok(out) } else { Err(LaneError::Unreadable(end)) }
    }

    fn execute(&self, memory: &mut LaneMemory, times: u64) {
        if times == 0 {
            return;
        }
        let one = self.ways.iter().position(|w| w.groups == 1).unwrap_or(0);
        let need = self.ways[self.chosen].scratch.max(self.ways[one].scratch);
        slow::with_scratch(need, |scratch| {
            let lanes = self.isa.lanes();
            let mut first = 0;
            for way in [self.ways[self.chosen], self.ways[one]] {
                let step = lanes * way.groups;
                while first + step <= self.width {
                    scratch[0] = std::ptr::from_ref::<Slows>(&self.slows) as usize as u64;
                    scratch[1] = slow_lanes as *const () as usize as u64;
                    let constants = self.constants[self.first_constant..].as_ptr();
                    let data = memory.data_mut()[first..].as_mut_ptr();
                    // SAFETY: `entry` is the start of code that `emit` wrote for this processor (checked in `make`).
                    // It touches slots of `step` lanes from `data` on: slot numbers are below `sizes.total()`
                    // (`lower` checks each), the memory has these sizes and this width (checked in `run`, or it is a
                    // copy of the sample in `tuned`), and `first + step` is at most the width. Constants are those
                    // that it numbers, the scratch space has the size that came with it and begins on a border of
                    // 64 bytes, as rows of the memory do. All of them outlive the call; nothing else refers to
                    // `memory` or `scratch` meanwhile.
                    #[expect(unsafe_code, reason = "enters machine code")]
                    unsafe {
                        self.pages.enter(way.entry, data, scratch.as_mut_ptr(), times, constants);
                    }
                    first += step;
                }
            }
        });
    }
}

impl LaneKernel for LaneCode {
    fn run(&self, memory: &mut LaneMemory, times: u64, _: &mut dyn Host) {
        assert!(self.sizes.fit(memory.sizes()), "the memory belongs to another program");
        assert!(memory.width() == self.width, "the code is for another width");
        self.execute(memory, times);
    }

    fn level(&self) -> &'static str {
        self.isa.name()
    }
}
