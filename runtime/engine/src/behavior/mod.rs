//! Behaviour at work: values, code, timers, machines, events. Between integration steps the engine says which
//! conditions changed and which instant it is; what handlers write goes to the same memory that kernels read.

mod draw;
mod fault;
mod index;
mod keep;
#[cfg(test)]
mod message_tests;
mod method;
mod pattern;
#[cfg(test)]
mod pattern_tests;
mod population;
mod post;
pub(crate) mod random;
mod schedule;
#[cfg(test)]
mod schedule_tests;
mod store;
mod streams;
mod tell;
#[cfg(test)]
mod tests;
mod thread;
mod timers;
mod value;
mod vm;

pub use fault::{Fault, FaultKind};
pub use random::{philox, quantile};
pub use schedule::{Carried, Changed, MICRO, Mail, Said, Scheduler, Verdict, World};
pub use value::{NESTING, Twin, Value};
pub use vm::{Args, DEPTH, Effects, FUEL, MEMORY, Outcome, Slots, Store, Thread, Vm, path, text};
