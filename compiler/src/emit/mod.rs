//! Printers for `--emit tokens` and `--emit ast`.

pub mod ast;
mod tokens;

pub use tokens::{token, tokens, unit};
