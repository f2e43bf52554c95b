//! The intermediate representation of a compiled twin.
//!
//! In: nothing but plain data built by the compiler. Out: the same data verified, printed, read back,
//! interpreted and transformed (derivatives, elementary functions, contraction).
//!
//! This crate never does I/O, never reads a clock, never compiles machine code, and knows nothing of
//! TwinML's text: names in it are for messages only.

pub mod behavior;
pub mod bytes;
pub mod defaults;
pub mod dimension;
pub mod draws;
pub mod host;
pub mod ids;
pub mod interp;
pub mod ir;
pub mod lanes;
pub mod math;
pub mod passes;
pub mod program;
pub mod requirement;
pub mod schema;
pub mod table;
pub mod text;
pub mod verify;
