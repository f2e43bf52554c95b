//! Derivatives of kernels, taken on the IR.
//!
//! [`complete`] adds to a program what solvers ask for: the directional derivative of the right-hand side,
//! its sparse Jacobian where that can be written down symbolically, and the same for every algebraic block.
//! Where there is no symbolic Jacobian (a right-hand side that solves blocks; loops too long to write out
//! that are not plain families), a host builds one from `jvp` sweeps over coloured columns: see
//! [`crate::passes::pattern`] and [`crate::passes::coloring`].
//!
//! Derivatives of `delay` are zero (the past is a constant); `Disc` and `Hist` are constants. See
//! [`local`] for the conventions at kinks.

mod jvp;
mod local;
pub(crate) mod overlap;
mod sparse;

use super::unroll::unroll;
use crate::ids::FuncId;
use crate::ir::{Function, Kernel, Space};
use crate::program::{Block, Jacobian, Program, SlotRun};
use rustc_hash::FxHashMap;
use sparse::Frame;

/// Most values of a kernel with its loops written out for a symbolic Jacobian.
const UNROLLED: usize = 20_000;
/// Most partial derivatives of one Jacobian's code.
const PARTIALS: usize = 400_000;

/// Functions of a program while derivatives are added.
pub(crate) struct Functions<'p> {
    list: &'p mut Vec<Function>,
    partials: FxHashMap<(FuncId, usize), Option<FuncId>>,
}

impl<'p> Functions<'p> {
    fn new(list: &'p mut Vec<Function>) -> Self {
        Self { list, partials: FxHashMap::default() }
    }

    /// The function that gives ∂/∂argument `k`; `None` where that is zero.
    fn partial(&mut self, f: FuncId, k: usize) -> Option<FuncId> {
        if let Some(&known) = self.partials.get(&(f, k)) {
            return known;
        }
        // functions call only earlier ones, so this recursion ends
        let function = self.list.get(f.index())?.clone();
        let name = format!("d{k}.{}", function.code.name);
        let found = jvp::partial(&function, k, name, self).map(|d| {
            self.list.push(d);
            FuncId::new(self.list.len() - 1)
        });
        self.partials.insert((f, k), found);
        found
    }
}

/// Spaces whose tangents kernels read: parameters, inputs and discrete values are constants of a step.
pub(crate) const SEEDS: [Space; 4] = [Space::Time, Space::State, Space::Var, Space::Der];

/// Adds `jvp`, `jacobian` and the derivatives of blocks where they are missing, and makes room for them in
/// `sizes.jac`. The functions' partial derivatives are appended to `functions`.
pub fn complete(program: &mut Program) {
    complete_blocks(program);
    complete_rhs(program);
}

/// The part of [`complete`] that concerns algebraic blocks: their solution needs it whatever the solver.
pub fn complete_blocks(program: &mut Program) {
    let mut list = std::mem::take(&mut program.functions);
    let mut functions = Functions::new(&mut list);
    let mut blocks = std::mem::take(&mut program.blocks);
    let mut room = 0;
    for block in &mut blocks {
        room = room.max(complete_block(block, &mut functions));
    }
    program.blocks = blocks;
    program.functions = list;
    program.sizes.jac = program.sizes.jac.max(room);
}

/// The part of [`complete`] that concerns the right-hand side: its directional derivative and its Jacobian. The
/// blocks must be complete.
pub fn complete_rhs(program: &mut Program) {
    let mut list = std::mem::take(&mut program.functions);
    let mut functions = Functions::new(&mut list);
    let mut room = 0;
    if program.jvp.is_none() {
        program.jvp = Some(directional(&program.rhs, &mut functions));
    }
    if program.jacobian.is_none() {
        let n = program.sizes.state;
        let seeds = [SlotRun { space: Space::State, base: 0, len: n }];
        let frame = Frame { rows: Space::Der, n_rows: n, seeds: &seeds };
        if let Some((j, slots)) = symbolic(&program.rhs, "jacobian", &frame, &mut functions) {
            room = room.max(slots);
            program.jacobian = Some(j);
        }
    }
    program.functions = list;
    program.sizes.jac = program.sizes.jac.max(room);
}

/// Spaces whose tangents kernels read where parameters change too.
const WITH_PARAMETERS: [Space; 6] =
    [Space::Time, Space::State, Space::Var, Space::Der, Space::Param, Space::Input];

/// What forward sensitivities need: directional derivatives along states and parameters.
#[derive(Clone, Debug)]
pub struct Along {
    /// Of the right-hand side: reads `TState`, `TParam` and `TTime`, writes `TDer` and `TVar`.
    pub rhs: Kernel,
    /// Of the outputs: reads the same, writes `TVar`.
    pub outputs: Kernel,
}

/// Makes a raw program (verified, nothing decided or derived) ready for forward sensitivities: as
/// [`super::prepare`] does, but the tangents of algebraic blocks follow parameters as well.
pub fn along_parameters(program: &mut Program, level: super::Level) -> Along {
    super::contract::contract(program);
    let first = program.functions.len();
    let mut list = std::mem::take(&mut program.functions);
    let mut functions = Functions::new(&mut list);
    let plan = jvp::Plan { seeds: &WITH_PARAMETERS, zeroed: &[], keep: &|_| true };
    let rhs = jvp::jvp(&program.rhs, "jvp.parameters".into(), &plan, &mut functions);
    let outputs = jvp::jvp(&program.outputs, "jvp.outputs".into(), &plan, &mut functions);
    for block in program.blocks.iter_mut().filter(|b| !b.initial_only) {
        let name = block.residual.name.clone();
        let plan = jvp::Plan { zeroed: &block.unknowns, ..plan };
        block.tangent = Some(jvp::jvp(&block.residual, format!("{name}.tangent"), &plan, &mut functions));
        let inner = |s: Space| matches!(s, Space::Var | Space::Der);
        if super::stores(&block.residual.body, &inner) {
            let plan = jvp::Plan { seeds: &WITH_PARAMETERS, zeroed: &[], keep: &inner };
            let inner = jvp::jvp(&block.residual, format!("{name}.inner"), &plan, &mut functions);
            block.inner_tangent = Some(inner);
        }
    }
    program.functions = list;
    complete(program);
    super::contract::contract_derived(program, first);
    let along = Along {
        rhs: super::contract::contract_kernel(&rhs),
        outputs: super::contract::contract_kernel(&outputs),
    };
    super::optimize(program, level);
    along
}

/// The directional derivative of a right-hand side: reads `TState` and `TTime`, writes `TDer` and `TVar`.
fn directional(rhs: &Kernel, functions: &mut Functions<'_>) -> Kernel {
    let plan = jvp::Plan { seeds: &SEEDS, zeroed: &[], keep: &|_| true };
    jvp::jvp(rhs, "jvp".into(), &plan, functions)
}

/// The Jacobian with loops kept if that can be done, else with loops written out; and the slots it needs.
fn symbolic(
    kernel: &Kernel,
    name: &str,
    frame: &Frame<'_>,
    functions: &mut Functions<'_>,
) -> Option<(Jacobian, u32)> {
    sparse::jacobian(kernel, name.into(), frame, PARTIALS, functions).or_else(|| {
        let flat = unroll(kernel, UNROLLED)?;
        sparse::jacobian(&flat, name.into(), frame, PARTIALS, functions)
    })
}

/// The Jacobian of a right-hand side of `n` states that calls no functions; its last column is the derivative along time.
pub(crate) fn with_time(rhs: &Kernel, n: u32) -> Option<Jacobian> {
    let seeds =
        [SlotRun { space: Space::State, base: 0, len: n }, SlotRun { space: Space::Time, base: 0, len: 1 }];
    let frame = Frame { rows: Space::Der, n_rows: n, seeds: &seeds };
    let mut none = Vec::new();
    Some(symbolic(rhs, "jacobian", &frame, &mut Functions::new(&mut none))?.0)
}

/// Completes a block; gives the slots of `Jac` that it needs.
fn complete_block(block: &mut Block, functions: &mut Functions<'_>) -> u32 {
    let name = block.residual.name.clone();
    let mut room = block.jacobian.as_ref().map_or(0, |j| j.entries);
    if block.jacobian.is_none() {
        let frame = Frame { rows: Space::Res, n_rows: block.n, seeds: &block.unknowns };
        if let Some((j, slots)) = symbolic(&block.residual, &format!("{name}.jacobian"), &frame, functions) {
            room = slots;
            block.jacobian = Some(j);
        }
    }
    // The start is found, not differentiated.
    if block.initial_only {
        return room;
    }
    if block.tangent.is_none() {
        let plan = jvp::Plan { seeds: &SEEDS, zeroed: &block.unknowns, keep: &|_| true };
        block.tangent = Some(jvp::jvp(&block.residual, format!("{name}.tangent"), &plan, functions));
    }
    let inner = |s: Space| matches!(s, Space::Var | Space::Der);
    if block.inner_tangent.is_none() && super::stores(&block.residual.body, &inner) {
        let plan = jvp::Plan { seeds: &SEEDS, zeroed: &[], keep: &inner };
        block.inner_tangent = Some(jvp::jvp(&block.residual, format!("{name}.inner"), &plan, functions));
    }
    room
}
