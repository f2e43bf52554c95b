//! Studies of a model as a function of its parameters: which of them matter ([`global`]), and which values fit measured
//! data ([`fit`]).
//!
//! Both take functions: how these are evaluated (a run for each point, forward sensitivities) is the caller's business, and so
//! are threads. The same numbers come out for any order of evaluation.

pub mod fit;
pub mod global;
mod linear;
mod student;

pub use student::quantile as student_quantile;
