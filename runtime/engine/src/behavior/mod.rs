//! Behaviour at work: values, code, timers, machines, events. Between integration steps the engine says which
//! conditions changed and which instant it is; what handlers write goes to the same memory that kernels read.

mod fault;
mod method;
mod random;
#[cfg(test)]
mod tests;
mod value;
mod vm;

pub use fault::{Fault, FaultKind};
pub use random::{philox, quantile};
pub use value::Value;
pub use vm::{Args, DEPTH, Effects, FUEL, MEMORY, Outcome, Slots, Store, Thread, Vm, path, text};
