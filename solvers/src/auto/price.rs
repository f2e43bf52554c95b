//! What steps take, in about nanoseconds of one machine: counted, never measured, so that the same model gives the same bits.
//!
//! An evaluation is priced by the system ([`System::takes`]), which knows that the cells of a loop are computed side by side; a
//! step beside its evaluations by its states, for then it moves vectors; factors by the pattern.

use super::parts::Kind;
use super::series;
use crate::linalg::IterationMatrix;
use crate::system::System;

/// A step beside its evaluations and its matrices: at least, and for each state.
const TSIT5: [f64; 2] = [190.0, 7.0];
const ADAMS: [f64; 2] = [280.0, 12.5];
const BDF: [f64; 2] = [190.0, 8.0];
const ROSENBROCK: [f64; 2] = [150.0, 24.0];
/// What is added to every step where functions of the states are watched for roots: at least, and for each of them.
const WATCHED: [f64; 2] = [700.0, 40.0];
/// Evaluations and solves of a step of backward differentiation, and parts of a Jacobian and of a factorisation.
const BDF_PARTS: [f64; 3] = [1.05, 0.03, 0.12];
/// Evaluations and solves of a Rosenbrock step.
const STAGES: f64 = 8.0;
/// What comes before the first step of a stiff method: at least (the kernel of the Jacobian), and for each entry of the pattern,
/// for the order of its columns.
const READY: [f64; 2] = [20e3, 200.0];

/// A step beside its evaluations.
fn around([least, state]: [f64; 2], n: f64) -> f64 {
    least + state * n
}

/// What watching for roots adds to a step.
pub(super) fn watching(sys: &dyn System) -> f64 {
    match sys.n_roots() {
        0 => 0.0,
        _ if sys.roots_of_time() => 0.0,
        roots => around(WATCHED, roots as f64),
    }
}

/// A step of an explicit method; of the Taylor method with the system's code of `work` operations.
pub(super) fn explicit(sys: &dyn System, kind: Kind, work: f64) -> f64 {
    let (n, rhs) = (sys.dim() as f64, sys.takes());
    let alone = match kind {
        Kind::OneStep => around(TSIT5, n) + 6.0 * rhs,
        Kind::Multistep => around(ADAMS, n) + 2.0 * rhs,
        Kind::Series => series::step(work, n),
    };
    alone + watching(sys)
}

/// What the matrices of a stiff step take: a Jacobian, a factorisation, a solve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrices {
    jacobian: f64,
    factor: f64,
    solve: f64,
}

impl Matrices {
    /// As far as it is known what fills up.
    pub fn new(sys: &dyn System, matrix: &IterationMatrix) -> Matrices {
        let (factor, solve) = matrix.takes();
        Matrices { jacobian: sys.jacobian_takes(), factor, solve }
    }

    /// What Jacobians and factorisations take in so many steps of backward differentiation, beyond those that are part of the price
    /// of a step.
    pub fn beyond(&self, steps: u64, jacobians: u64, factors: u64) -> f64 {
        let [_, jacobian, factor] = BDF_PARTS;
        let steps = steps as f64;
        f64::max(jacobians as f64 - jacobian * steps, 0.0) * self.jacobian
            + f64::max(factors as f64 - factor * steps, 0.0) * self.factor
    }

    /// The least that they can be, before that is known.
    pub fn least(sys: &dyn System) -> Matrices {
        let entries = sys.pattern().nnz() as f64;
        Matrices { jacobian: sys.takes(), factor: 4.0 * entries, solve: entries }
    }
}

/// A step of a stiff method.
pub(super) fn stiff(sys: &dyn System, multistep: bool, m: Matrices) -> f64 {
    let (n, rhs) = (sys.dim() as f64, sys.takes());
    let [stages, jacobian, factor] = if multistep { BDF_PARTS } else { [STAGES, 1.0, 1.0] };
    let beside = if multistep { BDF } else { ROSENBROCK };
    let matrices = jacobian * m.jacobian + factor * m.factor;
    around(beside, n) + stages * (rhs + m.solve) + matrices + watching(sys)
}

/// What comes before the first of them.
pub(super) fn ready(sys: &dyn System) -> f64 {
    around(READY, sys.pattern().nnz() as f64)
}
