//! Preparation in two parts: what a run cannot begin without, and the derivatives of the right-hand side, which most
//! runs never ask for, or late.
//!
//! The bits are those of [`super::prepare`]: derivatives are taken of the same kernel, with the same roundings.

use super::{Level, contract, dead, derive};
use crate::ir::Kernel;
use crate::program::{Jacobian, Program};

/// Kernels up to this many values are simplified at once: that costs little, and other passes build on them. Whether
/// larger ones run often enough to be worth it, their machine sees.
const SMALL: usize = 4_000;

/// How those are simplified.
const COUNTED: Level = Level::O2;

/// What the derivatives of a program's right-hand side are made of.
#[derive(Clone, Debug)]
pub struct Later {
    rhs: Kernel,
    level: Level,
}

/// Makes a program ready to begin: decides its roundings and adds the derivatives that its algebraic blocks need.
/// Functions, blocks and a right-hand side of moderate size are simplified whatever the `level`: who chooses a method by what
/// these take must count the same at each. Other kernels are left to whoever compiles them. No bit of any kernel depends on
/// that.
pub fn begin(program: &mut Program, level: Level) -> Later {
    contract::contract(program);
    let first = program.functions.len();
    derive::complete_blocks(program);
    contract::contract_derived(program, first);
    let rhs = program.rhs.clone();
    let traps = dead::Traps::of(program);
    for b in &mut program.blocks {
        // A block is solved from the start, and often.
        b.residual = super::simplified(&b.residual, COUNTED, &traps);
        for k in [&mut b.tangent, &mut b.inner_tangent].into_iter().flatten() {
            *k = super::simplified(k, COUNTED, &traps);
        }
        if let Some(j) = &mut b.jacobian {
            j.kernel = super::simplified(&j.kernel, COUNTED, &traps);
            super::trim(&mut j.kernel, &traps);
        }
    }
    if rhs.values.len() <= SMALL {
        program.rhs = super::simplified(&rhs, COUNTED, &traps);
    }
    super::optimize_functions(program, COUNTED, &traps);
    Later { rhs, level }
}

/// The derivatives of a right-hand side.
#[derive(Clone, Debug)]
pub struct Derived {
    /// Has `jvp`, and `jacobian` where there is a symbolic one, with their functions, tables and sizes, but no other
    /// kernel. Roundings are not decided yet: only the patterns may be used before [`Derived::finish`].
    pub program: Program,
    first: usize,
    level: Level,
}

impl Later {
    /// Takes the derivatives. `program` is the one that this was made with.
    #[must_use]
    pub fn derive(&self, program: &Program) -> Derived {
        let mut derived = Program {
            name: program.name.clone(),
            sizes: program.sizes,
            rhs: self.rhs.clone(),
            blocks: program.blocks.clone(),
            functions: program.functions.clone(),
            tables: program.tables.clone(),
            ..Program::default()
        };
        let first = derived.functions.len();
        derive::complete_rhs(&mut derived);
        derived.rhs = Kernel::default();
        Derived { program: derived, first, level: self.level }
    }
}

/// Which of the derivatives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Along a direction.
    Directional,
    /// The sparse matrix.
    Jacobian,
}

impl Derived {
    /// A program with one of the derivatives, its roundings decided; a small matrix is simplified.
    #[must_use]
    pub fn finish(&self, which: Which) -> Program {
        let from = &self.program;
        let mut program = Program {
            name: from.name.clone(),
            sizes: from.sizes,
            blocks: from.blocks.clone(),
            functions: from.functions.clone(),
            tables: from.tables.clone(),
            ..Program::default()
        };
        for f in program.functions.iter_mut().skip(self.first) {
            contract::contract_function(f);
        }
        match which {
            Which::Directional => program.jvp = from.jvp.as_ref().map(contract::contract_kernel),
            Which::Jacobian => {
                program.jacobian = from.jacobian.as_ref().map(|j| Jacobian {
                    families: j.families.clone(),
                    kernel: contract::contract_kernel(&j.kernel),
                    ..*j
                });
            }
        }
        if self.level > Level::O0 {
            let traps = dead::Traps::of(&program);
            super::optimize_functions(&mut program, self.level, &traps);
            // The direction may be wanted a few times only (`auto` looks at it once): whoever compiles it simplifies it.
            if let Some(j) = program.jacobian.as_mut().filter(|j| j.kernel.values.len() <= SMALL) {
                j.kernel = super::simplified(&j.kernel, self.level, &traps);
                super::trim(&mut j.kernel, &traps);
            }
        }
        program
    }
}
