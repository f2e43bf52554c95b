//! From IR to IR.

pub mod rk4;
