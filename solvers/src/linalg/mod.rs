//! Linear algebra of implicit steps: `α·I + β·J` for a sparse `J`, factorised and solved.

mod dense;
mod order;
mod sparse;

use crate::system::Pattern;

/// A matrix that cannot be factorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Singular {
    /// The column without a usable pivot; the number of columns if it is not a single one.
    pub column: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    Dense(dense::DenseLu),
    Sparse(Box<sparse::SparseLu>),
}

/// `M = α·I + β·J`, factorised: chooses between dense and sparse by size and fill and analyses the pattern
/// once.
///
/// Sparse pivots are chosen at the first factorisation and kept while they are good; choosing them anew
/// and the first factorisation allocate, nothing else after `new` does.
#[derive(Clone, Debug)]
pub struct IterationMatrix {
    kind: Kind,
    pattern: Pattern,
}

impl IterationMatrix {
    /// Analyses the pattern of `J`.
    pub fn new(pattern: &Pattern) -> Self {
        let n = pattern.n();
        let sparse = || {
            let (q, fill) = order::order(pattern);
            // multiplications of a triangular solve against the dense one
            (2 * fill + n < n * n / 2 || n > 2000).then(|| sparse::SparseLu::new(pattern, q))
        };
        let kind = match if n <= 8 { None } else { sparse() } {
            Some(lu) => Kind::Sparse(Box::new(lu)),
            None => Kind::Dense(dense::DenseLu::new(n)),
        };
        IterationMatrix { kind, pattern: pattern.clone() }
    }

    /// Factorises `α·I + β·J` for the values of `J` in the order of the pattern.
    pub fn factor(&mut self, alpha: f64, beta: f64, jac: &[f64]) -> Result<(), Singular> {
        match &mut self.kind {
            Kind::Dense(lu) => {
                lu.fill(&self.pattern, alpha, beta, jac);
                lu.factor()
            }
            Kind::Sparse(lu) => lu.factor(alpha, beta, jac),
        }
    }

    /// Solves `M·x = b` in place.
    #[inline]
    pub fn solve(&mut self, b: &mut [f64]) {
        match &mut self.kind {
            Kind::Dense(lu) => lu.solve(b),
            Kind::Sparse(lu) => lu.solve(b),
        }
    }

    /// True if the sparse factorisation is used.
    pub fn is_sparse(&self) -> bool {
        matches!(self.kind, Kind::Sparse(_))
    }

    /// Multiplications of one solve: what a solve costs.
    pub fn solve_cost(&self) -> usize {
        let n = self.pattern.n();
        match &self.kind {
            Kind::Dense(_) => n * n,
            Kind::Sparse(lu) => lu.nnz() + n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from a small generator, in (-1, 1).
    struct Numbers(u64);
    impl Numbers {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        }
        fn below(&mut self, n: usize) -> usize {
            ((self.next() + 1.0) * 0.5 * n as f64) as usize % n
        }
    }

    fn residual(p: &Pattern, alpha: f64, jac: &[f64], x: &[f64], b: &[f64]) -> f64 {
        let mut r = vec![0.0; x.len()];
        p.mul(jac, x, &mut r);
        let scale = x.iter().fold(1.0f64, |a, v| a.max(v.abs()));
        r.iter().zip(x).zip(b).map(|((r, x), b)| (alpha * x - r - b).abs() / scale).fold(0.0, f64::max)
    }

    #[test]
    fn random_matrices_of_all_kinds() {
        let mut rng = Numbers(1);
        let (mut sparse, mut dense) = (0, 0);
        for round in 0..200 {
            let n = 1 + rng.below(60);
            let per_row = 1 + round % 5;
            let entries: Vec<_> = (0..n * per_row).map(|_| (rng.below(n), rng.below(n))).collect();
            let p = Pattern::from_entries(n, entries).expect("in range");
            let mut m = IterationMatrix::new(&p);
            if m.is_sparse() {
                sparse += 1
            } else {
                dense += 1
            }
            for trial in 0..4 {
                let jac: Vec<f64> = (0..p.nnz()).map(|_| rng.next()).collect();
                // from diagonally strong to weak: the last ones need other pivots
                let alpha = [10.0, 1.0, 0.01, 3.0][trial];
                let b: Vec<f64> = (0..n).map(|_| rng.next()).collect();
                if m.factor(alpha, -1.0, &jac).is_err() {
                    continue;
                }
                let mut x = b.clone();
                m.solve(&mut x);
                let r = residual(&p, alpha, &jac, &x, &b);
                assert!(r < 1e-10, "round {round} trial {trial} n {n}: {r:e}");
            }
        }
        assert!(sparse > 40 && dense > 40, "{sparse} {dense}");
    }

    #[test]
    fn singular_matrices_are_named() {
        let p = Pattern::from_entries(9, (0..9).map(|i| (i, i))).expect("in range");
        let mut m = IterationMatrix::new(&p);
        assert!(m.is_sparse());
        let mut jac = vec![2.0; 9];
        jac[3] = 1.0;
        assert_eq!(m.factor(1.0, -1.0, &jac), Err(Singular { column: 3 }));
        assert_eq!(m.factor(3.0, -1.0, &jac), Ok(()));
        assert!(m.factor(f64::NAN, -1.0, &jac).is_err());
        let mut d = IterationMatrix::new(&Pattern::dense(3));
        assert_eq!(d.factor(0.0, 1.0, &[1.0; 9]), Err(Singular { column: 1 }));
        assert!(d.factor(f64::NAN, 1.0, &[1.0; 9]).is_err());
    }
}
