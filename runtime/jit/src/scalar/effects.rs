//! Which spaces a piece of code may write, as a bit mask by [`Space`] number.

use twinml_model::ids::BlockId;
use twinml_model::ir::{Region, Space, Stmt};
use twinml_model::program::{Block, Program};

/// A set of spaces.
pub(crate) type Mask = u32;

/// The set with one space.
pub(crate) fn bit(space: Space) -> Mask {
    1 << space as u32
}

/// What solving each block of a program may write, and solving its linearisation.
pub(crate) struct Effects {
    solve: Vec<Mask>,
    tangent: Vec<Mask>,
}

impl Effects {
    /// Reads the blocks' kernels. A block that contains others is found by repetition.
    pub fn of(program: &Program) -> Self {
        let n = program.blocks.len();
        let mut effects = Self { solve: vec![0; n], tangent: vec![0; n] };
        loop {
            let mut changed = false;
            for (k, block) in program.blocks.iter().enumerate() {
                let (solve, tangent) = effects.block(block);
                changed |= solve != effects.solve[k] || tangent != effects.tangent[k];
                (effects.solve[k], effects.tangent[k]) = (solve, tangent);
            }
            if !changed {
                return effects;
            }
        }
    }

    fn block(&self, block: &Block) -> (Mask, Mask) {
        let mut solve = bit(Space::Res) | bit(Space::Jac) | self.region(&block.residual.body);
        if let Some(jacobian) = &block.jacobian {
            solve |= self.region(&jacobian.kernel.body);
        }
        let mut tangent = solve | bit(Space::TRes);
        for run in &block.unknowns {
            solve |= bit(run.space);
            tangent |= bit(run.space) | run.space.tangent().map_or(0, bit);
        }
        for kernel in [&block.tangent, &block.inner_tangent].into_iter().flatten() {
            tangent |= self.region(&kernel.body);
        }
        (solve, tangent)
    }

    /// Spaces written by a region.
    pub fn region(&self, region: &Region) -> Mask {
        region.iter().fold(0, |mask, stmt| mask | self.stmt(stmt))
    }

    /// Spaces written by a statement.
    pub fn stmt(&self, stmt: &Stmt) -> Mask {
        match stmt {
            Stmt::Eval(_) => 0,
            Stmt::Store { place, .. } => bit(place.space),
            Stmt::For(l) => self.region(&l.body),
            Stmt::If(i) => self.region(&i.then) | self.region(&i.otherwise),
            Stmt::Solve(b) => self.solve(*b),
            Stmt::SolveTangent(b) => self.solve_tangent(*b),
        }
    }

    /// Spaces written by solving a block.
    pub fn solve(&self, block: BlockId) -> Mask {
        self.solve.get(block.index()).copied().unwrap_or(Mask::MAX)
    }

    /// Spaces written by solving a block's linearisation.
    pub fn solve_tangent(&self, block: BlockId) -> Mask {
        self.tangent.get(block.index()).copied().unwrap_or(Mask::MAX)
    }
}
