//! The elementary functions as IR, expanded once per process.

use std::sync::OnceLock;
use twinml_model::ir::{Function, MathFn};

/// The expansion of an elementary function.
pub(crate) fn function(f: MathFn) -> &'static Function {
    static EXPANDED: [OnceLock<Function>; MathFn::ALL.len()] = [const { OnceLock::new() }; MathFn::ALL.len()];
    EXPANDED[f as usize].get_or_init(|| twinml_model::math::expand(f))
}
