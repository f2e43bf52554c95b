//! Program kernels to machine code.
//!
//! In: a [`twinml_model::program::Program`] and an optimisation level. Out: [`Compiled`], a
//! [`twinml_model::host::Machine`] that gives the bits of the reference interpreter, only sooner.
//! All unsafe code of the project lives here, each block with the reason why it is sound.
//!
//! This crate never changes what a kernel computes: it neither contracts nor reassociates nor
//! approximates, calls no library function for mathematics, and knows nothing of solvers or of TwinML.
//! It does no I/O, and generated code touches nothing but the memory, scratch space and host it is
//! given. A kernel that cannot be compiled runs in the interpreter instead.
//!
//! Beside it stand small things that recording wants and that need such code, too: [`Seen`], [`Across`] and [`Room`].

mod across;
mod conditions;
pub mod error;
pub mod lanes;
mod math;
mod room;
pub mod scalar;
mod seen;

pub use across::{ACROSS, Across, DOWN, Tile, turn_all};
pub use error::JitError;
pub use room::Room;
pub use scalar::{Compiled, Limits, OptLevel, Tier};
pub use seen::{Piece, Seen, copy_all};
