//! Structural analysis: which equation determines what, in which order, in which loops.
//!
//! In: a [`crate::flat::System`]'s equations and the unknowns among its families. Out: a [`order::Plan`].
//! Works on families with index ranges; expands loops to single equations only where families cannot be
//! matched as wholes, and says so.

pub mod cancel;
pub mod closed;
pub mod diagnose;
pub mod expr;
pub mod isolate;
pub mod matching;
pub mod order;
pub mod print;
pub mod problem;
pub mod reduce;
pub mod sets;
pub mod tearing;

use crate::flat::{Equation, Expr};
use matching::Matching;
use order::{Divisor, Plan};
use problem::{Atom, Problem};

/// A problem that is matched and ordered.
#[derive(Debug)]
pub struct Solved {
    /// The problem; expanded where that was needed.
    pub problem: Problem,
    /// The order of computation.
    pub plan: Plan,
    /// Equations (of the problem as given) whose loops were written out.
    pub expanded: bool,
    /// Then the equations as given; else the problem has them.
    pub families: Vec<Equation>,
}

/// More single equations than this are not written out.
const EXPANSION_LIMIT: i64 = 4_000_000;

/// Matches and orders `equations` for `atoms`.
///
/// # Errors
/// The matching that could be found, for [`diagnose`], where unknowns and equations do not balance.
pub fn solve(
    atoms: Vec<Atom>,
    equations: Vec<Equation>,
    divisor: Divisor<'_>,
) -> Result<Solved, Box<Unbalanced>> {
    solve_network(false, atoms, equations, divisor)
}

/// The same; of a network, families are tried in more ways before they are written out, and what closes loops is
/// solved in closed form where it can be.
///
/// # Errors
/// As [`solve`].
pub fn solve_network(
    network: bool,
    atoms: Vec<Atom>,
    equations: Vec<Equation>,
    divisor: Divisor<'_>,
) -> Result<Solved, Box<Unbalanced>> {
    let mut problem = Problem::new(atoms, equations);
    problem.network = network;
    let matching = Matching::find(&problem);
    if matching.is_perfect(&problem) {
        let plan = order::order(&problem, &matching, divisor);
        return Ok(Solved { problem, plan, expanded: false, families: Vec::new() });
    }
    let size: i64 = problem.equations.iter().map(|e| sets::points(&e.loops)).sum();
    let loops = problem.equations.iter().any(|e| !e.loops.is_empty());
    if !loops || size > EXPANSION_LIMIT {
        return Err(Box::new(Unbalanced { problem, matching }));
    }
    let (problem, families) = (problem.expanded(), problem.equations);
    let matching = Matching::find(&problem);
    if matching.is_perfect(&problem) {
        let plan = order::order(&problem, &matching, divisor);
        return Ok(Solved { problem, plan, expanded: true, families });
    }
    if let Some(rows) = problem.sums_written_out(EXPANSION_LIMIT) {
        let matching = Matching::find(&rows);
        if matching.is_perfect(&rows) {
            // Any element of a matrix may be 0: such loops are left to pivots.
            let plan = order::order(&rows, &matching, &|e| matches!(e, Expr::Num(x) if *x != 0.0));
            return Ok(Solved { problem: rows, plan, expanded: true, families });
        }
    }
    Err(Box::new(Unbalanced { problem, matching }))
}

/// What could be matched of a problem that does not balance.
#[derive(Debug)]
pub struct Unbalanced {
    /// The problem, written out where that was possible.
    pub problem: Problem,
    /// As much as could be matched.
    pub matching: Matching,
}

#[cfg(test)]
mod tests;
