//! Printers for `--emit tokens` and `--emit ast`.

mod tokens;

pub use tokens::{token, tokens, unit};
