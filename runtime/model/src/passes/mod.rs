//! From IR to IR.

pub mod coloring;
pub mod derive;
pub(crate) mod emit;
pub mod pattern;
pub mod rk4;
pub mod sparsity;
pub mod unroll;

use crate::ir::{Region, Space, Stmt};

/// Whether a region stores to a space for which `which` holds.
pub(crate) fn stores(region: &Region, which: &dyn Fn(Space) -> bool) -> bool {
    region.iter().any(|s| match s {
        Stmt::Store { place, .. } => which(place.space),
        Stmt::For(l) => stores(&l.body, which),
        Stmt::If(i) => stores(&i.then, which) || stores(&i.otherwise, which),
        Stmt::Eval(_) | Stmt::Solve(_) | Stmt::SolveTangent(_) => false,
    })
}
