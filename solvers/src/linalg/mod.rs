//! Linear algebra of implicit steps: `α·I + β·J` for a sparse `J`, factorised and solved.

mod dense;

use crate::system::Pattern;

/// A matrix that cannot be factorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Singular {
    /// The column without a usable pivot.
    pub column: usize,
}

/// `M = α·I + β·J`, factorised: chooses between dense and sparse by size and fill, analyses the
/// pattern once, and allocates nothing after `new`.
#[derive(Clone, Debug)]
pub struct IterationMatrix {
    dense: dense::DenseLu,
    pattern: Pattern,
}

impl IterationMatrix {
    /// Analyses the pattern of `J`.
    pub fn new(pattern: &Pattern) -> Self {
        IterationMatrix { dense: dense::DenseLu::new(pattern.n()), pattern: pattern.clone() }
    }

    /// Factorises `α·I + β·J` for the values of `J` in the order of the pattern.
    pub fn factor(&mut self, alpha: f64, beta: f64, jac: &[f64]) -> Result<(), Singular> {
        let n = self.pattern.n();
        let a = self.dense.matrix();
        a.fill(0.0);
        for j in 0..n {
            let col = &mut a[j * n..(j + 1) * n];
            for k in self.pattern.col_ptr()[j]..self.pattern.col_ptr()[j + 1] {
                col[self.pattern.rows()[k]] = beta * jac[k];
            }
            col[j] += alpha;
        }
        self.dense.factor()
    }

    /// Solves `M·x = b` in place.
    pub fn solve(&mut self, b: &mut [f64]) {
        self.dense.solve(b);
    }
}
