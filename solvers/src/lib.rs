//! Integrators for ordinary differential equations `dx/dt = f(t, x)`.
//!
//! In: a [`system::System`] (right-hand side, sparse Jacobian, root functions), tolerances, a start.
//! Out: accepted steps with dense output, one at a time, and the work that they took.
//!
//! The crate never does I/O, never reads a clock, never allocates within a step, never handles an
//! event by itself (the engine drives [`roots::RootFinder`] over the dense output and restarts the
//! integrator), never calls a transcendental function of the platform (step control must give the
//! same bits everywhere) and never steps beyond the stop time it was given.

#![allow(clippy::needless_range_loop, reason = "one index runs over several vectors and a matrix")]

pub mod adams;
pub mod auto;
pub mod bdf;
pub mod control;
pub mod diffsol;
pub mod error;
pub mod implicit_euler;
pub mod integrator;
pub mod lanes;
pub mod linalg;
pub mod rk;
pub mod roots;
pub mod rosenbrock;
pub mod sde;
mod state;
pub mod stats;
pub mod system;
pub mod taylor;
mod vector;
