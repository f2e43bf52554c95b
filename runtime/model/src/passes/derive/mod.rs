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
mod straight;

use super::unroll::unroll;
use crate::ids::FuncId;
use crate::ir::{Function, Kernel, Space};
use crate::program::{Block, Jacobian, Program, SlotRun};
use rustc_hash::FxHashMap;
use straight::Frame;

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
    let mut list = std::mem::take(&mut program.functions);
    let mut functions = Functions::new(&mut list);
    let mut blocks = std::mem::take(&mut program.blocks);
    for block in &mut blocks {
        complete_block(block, &mut functions);
    }
    program.blocks = blocks;
    if program.jvp.is_none() {
        program.jvp = Some(directional(&program.rhs, &mut functions));
    }
    if program.jacobian.is_none() {
        program.jacobian = state_jacobian(&program.rhs, program.sizes.state, &mut functions);
    }
    program.functions = list;
    let largest = program
        .blocks
        .iter()
        .filter_map(|b| b.jacobian.as_ref())
        .chain(program.jacobian.as_ref())
        .map(|j| j.entries)
        .max();
    program.sizes.jac = program.sizes.jac.max(largest.unwrap_or(0));
}

/// The directional derivative of a right-hand side: reads `TState` and `TTime`, writes `TDer` and `TVar`.
fn directional(rhs: &Kernel, functions: &mut Functions<'_>) -> Kernel {
    let plan = jvp::Plan { seeds: &SEEDS, zeroed: &[], keep: &|_| true };
    jvp::jvp(rhs, "jvp".into(), &plan, functions)
}

fn state_jacobian(rhs: &Kernel, n: u32, functions: &mut Functions<'_>) -> Option<Jacobian> {
    let flat = unroll(rhs, UNROLLED)?;
    let frame = Frame {
        rows: Space::Der,
        n_rows: n,
        column: &|space, slot| {
            (space == Space::State).then(|| u32::try_from(slot).ok()).flatten().filter(|&c| c < n)
        },
        n_cols: n,
        seeds: &[Space::State],
    };
    straight::jacobian(&flat, "jacobian".into(), &frame, PARTIALS, functions)
}

fn complete_block(block: &mut Block, functions: &mut Functions<'_>) {
    let name = block.residual.name.clone();
    if block.jacobian.is_none() {
        block.jacobian = block_jacobian(block, functions);
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
}

fn block_jacobian(block: &Block, functions: &mut Functions<'_>) -> Option<Jacobian> {
    let flat = unroll(&block.residual, UNROLLED)?;
    let starts: Vec<(SlotRun, u32)> = block
        .unknowns
        .iter()
        .scan(0u32, |at, &run| {
            let start = *at;
            *at += run.len;
            Some((run, start))
        })
        .collect();
    let column = |space: Space, slot: i64| {
        starts.iter().find_map(|(run, start)| {
            let k = slot - i64::from(run.base);
            (run.space == space && k >= 0 && k < i64::from(run.len)).then(|| start + k as u32)
        })
    };
    let seeds: Vec<Space> = block.unknowns.iter().map(|r| r.space).collect();
    let frame = Frame { rows: Space::Res, n_rows: block.n, column: &column, n_cols: block.n, seeds: &seeds };
    let name = format!("{}.jacobian", block.residual.name);
    straight::jacobian(&flat, name, &frame, PARTIALS, functions)
}
