//! The Taylor coefficients of the solution of `dx/dt = f(t, x)`, as a kernel.
//!
//! With `x[k]` the `k`-th derivative of `x` over `k!`, every operation of `f` has a recurrence for its own coefficients
//! from those of its arguments (Moore, *Interval Analysis*, 1966, ch. 11; Jorba and Zou, "A software package for the
//! numerical integration of ODEs by means of high-order Taylor methods", Experimental Mathematics 14, 2005), and
//! `x[k+1] = f[k]/(k+1)`. The kernel goes from order to order. A sum of products is one product and fused
//! multiply-adds, the terms of low orders first.
//!
//! Comparisons are decided at the point of expansion; the coefficients are then those of that side.
//!
//! The kernel reads what the right-hand side reads, and leaves `x[k]` of state `i` in `Jac[(k−1)·n + i]`, `k` from 1
//! to the order: [`room`] tells how long that is. Its work grows with the square of the order.

mod graph;
mod series;

use crate::ids::Value;
use crate::ir::Kernel;
use crate::program::Program;
use std::fmt;

/// Why a right-hand side has no such kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// An algebraic loop has to be solved.
    Block,
    /// A table is looked up.
    Table,
    /// A delayed value is used.
    Delay,
    /// An array is indexed by something that is computed.
    Index,
    /// A function has no recurrence.
    Function(&'static str),
    /// With its loops written out it is too large.
    Large,
    /// Code of a form that recurrences are not made for.
    Form,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Block => f.write_str("an algebraic loop is solved in them"),
            Unfit::Table => f.write_str("a table is looked up in them"),
            Unfit::Delay => f.write_str("they look back with `delay`"),
            Unfit::Index => f.write_str("an array is indexed by a computed number"),
            Unfit::Function(name) => write!(f, "`{name}` has no recurrence"),
            Unfit::Large => f.write_str("there are too many, arrays of twins written out"),
            Unfit::Form => f.write_str("a quantity keeps its value from one evaluation to the next"),
        }
    }
}

/// The coefficients of orders 1 to `order` as a kernel.
///
/// # Errors
///
/// Why there is none.
pub fn coefficients(program: &Program, order: u32) -> Result<Kernel, Unfit> {
    series::kernel(graph::Graph::of(program)?, order)
}

/// Recurrences to go on with.
#[derive(Clone, Debug)]
pub struct Expansion {
    /// Code that stores nothing yet.
    pub kernel: Kernel,
    /// Coefficient `k + 1` of state `i` in `c[k][i]`.
    pub c: Vec<Vec<Value>>,
}

/// The coefficients of orders 1 to `order` as values of a kernel, by the same operations as in [`coefficients`].
///
/// # Errors
///
/// Why there are none.
pub fn expansion(program: &Program, order: u32) -> Result<Expansion, Unfit> {
    series::expansion(graph::Graph::of(program)?, order)
}

/// The beginning of the code of recurrences: what tells how long all of it would be, for a fraction of what making it takes.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// The lowest orders, with nothing stored and nothing removed.
    pub kernel: Kernel,
    /// Where in its body each order ends; the first is that of the values themselves. From order to order the code of one grows
    /// by about the same.
    pub ends: Vec<usize>,
    /// As [`has_kinks`] says.
    pub kinks: bool,
}

/// The code up to this order, which is to be small.
///
/// # Errors
///
/// Why there is none.
pub fn sketch(program: &Program, order: u32) -> Result<Sketch, Unfit> {
    let graph = graph::Graph::of(program)?;
    let kinks = graph.has_kinks();
    let (Expansion { kernel, .. }, ends) = series::orders(graph, order)?;
    Ok(Sketch { kernel, ends, kinks })
}

/// Whether the right-hand side has kinks or jumps that are no events (`abs`, `min`, `max`, …): coefficients are then those of
/// one side, and hold as far as that goes.
#[must_use]
pub fn has_kinks(program: &Program) -> bool {
    graph::Graph::of(program).is_ok_and(|g| g.has_kinks())
}

/// The length of `Jac` that the kernel needs; `None` where numbers of slots do not reach as far.
#[must_use]
pub fn room(program: &Program, order: u32) -> Option<u32> {
    program.sizes.state.checked_mul(order)
}
