//! A [`System`] as diffsol sees it: right-hand side and sparse Jacobian, without mass matrix, parameters,
//! outputs or roots.

use crate::system::{EvalError, System};
use diffsol::matrix::sparsity::MatrixSparsity;
use diffsol::{
    ConstantOp, FaerContext, FaerSparseMat, FaerVec, NonLinearOp, NonLinearOpJacobian, OdeEquations,
    OdeEquationsRef, Op, ParameterisedOp, UnitCallable, Vector,
};
use std::cell::RefCell;

/// Matrices: sparse, by columns.
pub(super) type M = FaerSparseMat<f64>;
/// Vectors.
pub(super) type V = FaerVec<f64>;
type Sparsity = <M as diffsol::Matrix>::Sparsity;

/// What a chunk of steps shares with the system.
pub(super) struct Bridge<'s> {
    pub sys: &'s mut dyn System,
    /// The last evaluation that failed: diffsol only sees values that are not numbers.
    pub failure: Option<EvalError>,
    pub rhs: u64,
    pub jac: u64,
}

impl Bridge<'_> {
    fn note(&mut self, error: EvalError) {
        // what cannot be mended stays
        if !matches!(self.failure, Some(EvalError::Fatal { .. })) {
            self.failure = Some(error);
        }
    }
}

/// The equations from a point on.
pub(super) struct Equations<'s> {
    pub bridge: RefCell<Bridge<'s>>,
    pub start: &'s [f64],
    pub sparsity: &'s Sparsity,
    pub ctx: FaerContext,
}

/// The pattern in diffsol's terms; values keep their order.
pub(super) fn sparsity(sys: &dyn System) -> Option<Sparsity> {
    let pattern = sys.pattern();
    let n = pattern.n();
    let entries = (0..n).flat_map(|j| pattern.column(j).iter().map(move |&i| (i, j)));
    <Sparsity as MatrixSparsity<M>>::try_from_indices(n, n, entries.collect()).ok()
}

impl Op for Equations<'_> {
    type T = f64;
    type V = V;
    type M = M;
    type C = FaerContext;
    fn context(&self) -> &FaerContext {
        &self.ctx
    }
    fn nstates(&self) -> usize {
        self.start.len()
    }
    fn nout(&self) -> usize {
        self.start.len()
    }
    fn nparams(&self) -> usize {
        0
    }
}

impl NonLinearOp for Equations<'_> {
    fn call_inplace(&self, x: &V, t: f64, y: &mut V) {
        let mut bridge = self.bridge.borrow_mut();
        y.for_each_batch_host([x], |y, [x], _| {
            bridge.rhs += 1;
            if let Err(error) = bridge.sys.rhs(t, x, y) {
                bridge.note(error);
                y.fill(f64::NAN);
            }
        });
    }
}

impl NonLinearOpJacobian for Equations<'_> {
    fn jac_mul_inplace(&self, x: &V, t: f64, v: &V, y: &mut V) {
        let mut bridge = self.bridge.borrow_mut();
        y.for_each_batch_host([x, v], |y, [x, v], _| {
            if let Err(error) = bridge.sys.jvp(t, x, v, y) {
                bridge.note(error);
                y.fill(f64::NAN);
            }
        });
    }

    fn jacobian_inplace(&self, x: &V, t: f64, y: &mut M) {
        use diffsol::Matrix;
        let mut bridge = self.bridge.borrow_mut();
        bridge.jac += 1;
        let x = x.clone_as_vec();
        for matrix in y.inner_mut() {
            let values = matrix.val_mut();
            if let Err(error) = bridge.sys.jacobian(t, &x, values) {
                bridge.note(error);
                values.fill(f64::NAN);
            }
        }
    }

    fn jacobian_sparsity(&self) -> Option<Sparsity> {
        Some(self.sparsity.clone())
    }
}

impl ConstantOp for Equations<'_> {
    fn call_inplace(&self, _t: f64, y: &mut V) {
        y.for_each_batch_host([], |y, [], _| y.copy_from_slice(self.start));
    }
}

impl<'a> OdeEquationsRef<'a> for Equations<'_> {
    type Rhs = &'a Self;
    type Init = &'a Self;
    type Mass = ParameterisedOp<'a, UnitCallable<M>>;
    type Root = ParameterisedOp<'a, UnitCallable<M>>;
    type Out = ParameterisedOp<'a, UnitCallable<M>>;
    type Reset = ParameterisedOp<'a, UnitCallable<M>>;
}

impl OdeEquations for Equations<'_> {
    fn rhs(&self) -> &Self {
        self
    }
    fn mass(&self) -> Option<ParameterisedOp<'_, UnitCallable<M>>> {
        None
    }
    fn init(&self) -> &Self {
        self
    }
    fn set_params(&mut self, _p: &V) {}
    fn get_params(&self, _p: &mut V) {}
}
