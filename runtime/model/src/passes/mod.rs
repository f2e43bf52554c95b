//! From IR to IR.

mod beside;
pub mod coloring;
pub mod contract;
pub mod dead;
pub mod derive;
pub(crate) mod emit;
pub mod expand;
pub mod later;
pub mod linearize;
pub mod pattern;
pub mod rk4;
pub mod simplify;
pub mod slice;
pub mod sparsity;
pub mod stores;
pub mod straight;
pub mod taylor;
pub mod unroll;
mod walk;

use crate::ids::Value;
use crate::ir::{Kernel, Region, Space, Stmt};
use crate::program::Program;

/// How much work to spend on faster code. Results have the same bits at every level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Level {
    /// Nothing beyond what decides the bits.
    O0,
    /// Constants folded, equal values shared, unused ones removed.
    O1,
    /// And invariant code moved out of loops.
    #[default]
    O2,
    /// As `O2`; back ends may do more.
    O3,
}

impl Level {
    /// 0 to 3; anything above is 3.
    #[must_use]
    pub fn from_number(n: u8) -> Self {
        match n {
            0 => Level::O0,
            1 => Level::O1,
            2 => Level::O2,
            _ => Level::O3,
        }
    }
}

/// Makes a program ready to run: decides its roundings ([`contract`]), adds its derivatives ([`derive`]) if
/// they are wanted, simplifies every kernel as `level` says. The program must be verified before, and is
/// valid afterwards. Neither the level nor the derivatives change a bit of what a kernel computes.
pub fn prepare(program: &mut Program, level: Level, derivatives: bool) {
    contract::contract(program);
    if derivatives {
        let first = program.functions.len();
        derive::complete(program);
        contract::contract_derived(program, first);
    }
    optimize(program, level);
}

/// The same for a kernel that is not part of the program (an action of a scenario).
#[must_use]
pub fn prepare_kernel(program: &Program, kernel: &Kernel, level: Level) -> Kernel {
    let kernel = contract::contract_kernel(kernel);
    if level == Level::O0 {
        return kernel;
    }
    optimize_kernel(&kernel, level, &[], &dead::Traps::of(program)).0
}

/// Simplifies every kernel and function. No bit of any result changes.
pub fn optimize(program: &mut Program, level: Level) {
    if level == Level::O0 {
        return;
    }
    let traps = dead::Traps::of(program);
    each_kernel(program, &mut |k| *k = optimize_kernel(k, level, &[], &traps).0);
    if let Some(k) = &mut program.jvp {
        trim(k, &traps);
    }
    if let Some(j) = &mut program.jacobian {
        trim(&mut j.kernel, &traps);
    }
    for j in program.blocks.iter_mut().filter_map(|b| b.jacobian.as_mut()) {
        trim(&mut j.kernel, &traps);
    }
    optimize_functions(program, level, &traps);
}

/// Simplifies one kernel that stands for itself.
#[must_use]
pub fn simplified(kernel: &Kernel, level: Level, traps: &dead::Traps) -> Kernel {
    optimize_kernel(kernel, level, &[], traps).0
}

/// What derivatives leave in `Var` and `Der` on the way is nobody's business: it goes.
pub(crate) fn trim(k: &mut Kernel, traps: &dead::Traps) {
    let scratch = [Space::Var, Space::Der, Space::TVar];
    // a store that goes may take the last reader of another with it
    loop {
        let less = dead::remove_dead(&stores::remove_stores(k, &scratch), &[], traps).0;
        let done = less.values.len() == k.values.len();
        *k = less;
        if done {
            break;
        }
    }
}

fn optimize_functions(program: &mut Program, level: Level, traps: &dead::Traps) {
    for f in &mut program.functions {
        let (code, map) = optimize_kernel(&f.code, level, &[f.result], traps);
        f.result = map[f.result.index()].unwrap_or(f.result);
        f.code = code;
    }
}

/// Simplifies one kernel; `keep` are values used from outside. Gives the new number of each value that is left.
#[must_use]
pub fn optimize_kernel(
    kernel: &Kernel,
    level: Level,
    keep: &[Value],
    traps: &dead::Traps,
) -> (Kernel, Vec<Option<Value>>) {
    let (simple, first) = simplify::simplify(kernel, level >= Level::O2);
    let keep: Vec<Value> = keep.iter().filter_map(|v| first[v.index()]).collect();
    let (live, second) = dead::remove_dead(&simple, &keep, traps);
    let map = first.iter().map(|v| v.and_then(|v| second[v.index()])).collect();
    (live, map)
}

/// Every kernel of a program, in a fixed order; functions apart.
pub(crate) fn each_kernel(p: &mut Program, f: &mut dyn FnMut(&mut Kernel)) {
    for k in [
        &mut p.params,
        &mut p.initial,
        &mut p.rhs,
        &mut p.outputs,
        &mut p.roots,
        &mut p.update,
        &mut p.history,
        &mut p.projection,
    ] {
        f(k);
    }
    for b in &mut p.blocks {
        f(&mut b.residual);
    }
    derived_kernels(p, f);
}

/// The kernels that derivatives consist of.
pub(crate) fn derived_kernels(p: &mut Program, f: &mut dyn FnMut(&mut Kernel)) {
    if let Some(k) = &mut p.jvp {
        f(k);
    }
    if let Some(j) = &mut p.jacobian {
        f(&mut j.kernel);
    }
    for b in &mut p.blocks {
        if let Some(j) = &mut b.jacobian {
            f(&mut j.kernel);
        }
        if let Some(k) = &mut b.tangent {
            f(k);
        }
        if let Some(k) = &mut b.inner_tangent {
            f(k);
        }
    }
}

/// Whether a region stores to a space for which `which` holds.
pub(crate) fn stores(region: &Region, which: &dyn Fn(Space) -> bool) -> bool {
    region.iter().any(|s| match s {
        Stmt::Store { place, .. } => which(place.space),
        Stmt::For(l) => stores(&l.body, which),
        Stmt::If(i) => stores(&i.then, which) || stores(&i.otherwise, which),
        Stmt::Eval(_) | Stmt::Solve(_) | Stmt::SolveTangent(_) => false,
    })
}
