//! Printers for `--emit tokens`, `--emit ast` and `--emit hir`.

pub mod ast;
pub mod hir;
mod tokens;

pub use tokens::{token, tokens, unit};
