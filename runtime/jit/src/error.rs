//! Why a kernel was not compiled.

use twinml_model::host::KernelId;
use twinml_model::ids::{FuncId, Value};
use twinml_model::ir::Space;

/// Why a kernel was not compiled. The kernel still runs: in the interpreter.
#[derive(Clone, PartialEq, Debug)]
pub enum JitError {
    /// The program has no such kernel.
    NoKernel(KernelId),
    /// A value is used before (or without) its definition, or with another type than it has.
    Value {
        /// The kernel or function.
        code: String,
        /// The value.
        value: Value,
    },
    /// An address leaves its space.
    Address {
        /// The kernel.
        code: String,
        /// The space.
        space: Space,
        /// Lowest slot reached.
        lo: i128,
        /// Highest slot reached.
        hi: i128,
        /// Slots in the space.
        len: u32,
    },
    /// A function that does not exist, gets the wrong number of arguments, or calls itself.
    Function {
        /// The kernel or function that calls.
        code: String,
        /// The callee.
        callee: FuncId,
    },
    /// A statement that is not allowed where it stands (a store in a function, an index without loop).
    Misplaced {
        /// The kernel or function.
        code: String,
    },
    /// This machine is not supported by the code generator.
    Target,
    /// The code generator's own complaint (a size limit).
    Codegen {
        /// The kernel or function.
        code: String,
        /// What it said.
        said: String,
    },
}

impl std::fmt::Display for JitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoKernel(id) => write!(f, "the program has no kernel {id:?}"),
            Self::Value { code, value } => write!(f, "{code}: {value} is undefined here or of another type"),
            Self::Address { code, space, lo, hi, len } => {
                write!(f, "{code}: slots {lo}..={hi} of `{}`, which has {len}", space.name())
            }
            Self::Function { code, callee } => write!(f, "{code}: {callee} cannot be called like this"),
            Self::Misplaced { code } => write!(f, "{code}: a statement that is not allowed here"),
            Self::Target => write!(f, "no code generator for this machine"),
            Self::Codegen { code, said } => write!(f, "{code}: {said}"),
        }
    }
}

impl std::error::Error for JitError {}
