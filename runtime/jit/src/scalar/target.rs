//! The machine that code is made for: this one. Built once per process and kind of code.

use crate::error::JitError;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use std::sync::OnceLock;

/// How the code generator works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effort {
    /// In time linear in the size: no optimiser, registers in a single pass.
    Quick,
    /// With registers allocated by search; the code comes from [`Effort::Optimise`].
    Full,
    /// Only the optimiser, from IR to IR.
    Optimise,
}

/// The target for an effort.
pub(crate) fn isa(effort: Effort) -> Result<OwnedTargetIsa, JitError> {
    static QUICK: OnceLock<Option<OwnedTargetIsa>> = OnceLock::new();
    static FULL: OnceLock<Option<OwnedTargetIsa>> = OnceLock::new();
    static OPTIMISE: OnceLock<Option<OwnedTargetIsa>> = OnceLock::new();
    let cell = match effort {
        Effort::Quick => &QUICK,
        Effort::Full => &FULL,
        Effort::Optimise => &OPTIMISE,
    };
    cell.get_or_init(|| build(effort, true)).clone().ok_or(JitError::Target)
}

/// A target: with all that this processor has, or with what every processor of its kind has.
pub(crate) fn build(effort: Effort, native: bool) -> Option<OwnedTargetIsa> {
    let (level, registers) = match effort {
        Effort::Quick => ("none", "single_pass"),
        Effort::Full => ("none", "backtracking"),
        Effort::Optimise => ("speed", "backtracking"),
    };
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", level),
        ("regalloc_algorithm", registers),
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        ("unwind_info", "false"),
        // A frame larger than a page must not step over the page that guards the stack.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
    ] {
        flags.set(name, value).ok()?;
    }
    // Features found by asking the processor: among them FMA, without which `fma` becomes a call.
    cranelift_native::builder_with_options(native).ok()?.finish(settings::Flags::new(flags)).ok()
}
