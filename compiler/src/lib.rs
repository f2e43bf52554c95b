//! TwinML text to a scheduled `Program`, with every diagnostic on the way.
//!
//! In: source texts (the caller reads files). Out: tokens, an `ast::Module`, and what the later
//! stages make of it, always together with a `diag::Diagnostics`.
//!
//! Never: no input or output, no clock, no randomness, no unsafe code; no panic and no hang on any
//! text; no value invented for something that the text does not say.

#![allow(
    clippy::large_enum_variant,
    reason = "trees: a box in every node costs more than the bytes of the rarer kinds"
)]

pub mod ast;
pub mod diag;
pub mod driver;
pub mod emit;
pub mod flat;
pub mod flatten;
pub mod hir;
pub mod lexer;
pub mod map;
pub mod outside;
pub mod parser;
pub mod resolve;
pub mod schedule;
pub mod source;
pub mod structural;
pub mod typeck;
pub mod units;
