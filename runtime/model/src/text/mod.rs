//! The text form of a program: printed, and read back to the identical program.
//!
//! Line breaks and blanks separate words and mean nothing else; `#` begins a comment. A program is a list of
//! items (`sizes`, `var`, `kernel`, …), a kernel a list of statements:
//!
//! ```text
//! kernel rhs "rhs" indices 1 {
//!   v0 = const 2.5
//!   for i0 in 0..10 {
//!     v1 = load state[0+1*i0]
//!     v2 = mul v0, v1
//!     der[0+1*i0] = v2 @3
//!   }
//! }
//! ```
//!
//! A value without a type is `f64`; `v3:b` is a truth value, `v4:i` an integer. `@3` names an origin.

mod behavior;
mod draws;
mod lexer;
mod names;
mod print;
mod read;
mod read_items;
mod read_kernel;

pub use behavior::{behavior_text, read_behavior};
pub use print::{kernel_text, program_text};
pub use read::{Problem, ReadError, read_kernel, read_program};

use crate::program::Program;
use std::fmt;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&program_text(self))
    }
}
