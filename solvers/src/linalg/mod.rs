//! Linear algebra of implicit steps: `α·I + β·J` for a sparse `J`, factorised and solved.

mod amd;
mod band;
mod dense;
mod order;
mod sparse;

use crate::system::Pattern;
use twinml_model::bytes::{Malformed, Reader, Writer};

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
    Band1(Box<band::Band<1, 3>>),
    Band2(Box<band::Band<2, 5>>),
    Band3(Box<band::Band<3, 7>>),
    Band4(Box<band::Band<4, 9>>),
}

/// The half width of the band that holds all entries.
fn half_width(p: &Pattern) -> usize {
    (0..p.n()).flat_map(|j| p.column(j).iter().map(move |&i| i.abs_diff(j))).max().unwrap_or(0)
}

/// The half width of the band that a matrix with this pattern is treated as; 0 if none.
fn narrow(p: &Pattern) -> usize {
    let width = if p.n() < 32 { 0 } else { half_width(p) };
    if width <= band::WIDEST { width } else { 0 }
}

/// `M = α·I + β·J`, factorised: chooses between dense, narrow band and sparse by size and fill and analyses
/// the pattern once.
///
/// Sparse pivots are chosen at the first factorisation and kept while they are good; choosing them anew
/// and the first factorisation allocate, nothing else after `new` does. A band whose diagonal does not serve
/// as pivots becomes a sparse matrix, for good.
#[derive(Clone, Debug)]
pub struct IterationMatrix {
    kind: Kind,
    pattern: Pattern,
    solve_cost: f64,
    factor_cost: f64,
}

impl IterationMatrix {
    /// Analyses the pattern of `J`.
    pub fn new(pattern: &Pattern) -> Self {
        let n = pattern.n();
        let narrow = narrow(pattern);
        let band = match narrow {
            1 => Some(Kind::Band1(Box::new(band::Band::new(n)))),
            2 => Some(Kind::Band2(Box::new(band::Band::new(n)))),
            3 => Some(Kind::Band3(Box::new(band::Band::new(n)))),
            band::WIDEST => Some(Kind::Band4(Box::new(band::Band::new(n)))),
            _ => None,
        };
        let (kind, solve_cost, factor_cost) = if let Some(kind) = band {
            (kind, ((2 * narrow + 1) * n) as f64, (narrow * narrow * n) as f64)
        } else {
            let sparse = (n > 8).then(|| order::order(pattern));
            match sparse {
                // multiplications of a triangular solve against the dense one
                Some((q, fill)) if 2 * fill.entries + n < n * n / 2 || n > 2000 => {
                    let lu = Box::new(sparse::SparseLu::new(pattern, q));
                    (Kind::Sparse(lu), (2 * fill.entries + n) as f64, fill.multiplications)
                }
                _ => (Kind::Dense(dense::DenseLu::new(n)), (n * n) as f64, (n * n * n) as f64 / 3.0),
            }
        };
        IterationMatrix { kind, pattern: pattern.clone(), solve_cost, factor_cost }
    }

    /// As [`IterationMatrix::new`], the same to the bit; what an earlier one for the same pattern found is not looked for again.
    pub fn again(before: Option<IterationMatrix>, pattern: &Pattern) -> Self {
        match before {
            Some(IterationMatrix { kind: Kind::Sparse(lu), pattern: same, solve_cost, factor_cost })
                if same == *pattern && narrow(pattern) == 0 =>
            {
                let kind = Kind::Sparse(Box::new(sparse::SparseLu::new(pattern, lu.into_order())));
                IterationMatrix { kind, pattern: same, solve_cost, factor_cost }
            }
            _ => IterationMatrix::new(pattern),
        }
    }

    /// Factorises `α·I + β·J` for the values of `J` in the order of the pattern.
    pub fn factor(&mut self, alpha: f64, beta: f64, jac: &[f64]) -> Result<(), Singular> {
        let serves = match &mut self.kind {
            Kind::Dense(lu) => {
                lu.fill(&self.pattern, alpha, beta, jac);
                return lu.factor();
            }
            Kind::Sparse(lu) => return lu.factor(alpha, beta, jac),
            Kind::Band1(lu) => lu.factor(&self.pattern, alpha, beta, jac),
            Kind::Band2(lu) => lu.factor(&self.pattern, alpha, beta, jac),
            Kind::Band3(lu) => lu.factor(&self.pattern, alpha, beta, jac),
            Kind::Band4(lu) => lu.factor(&self.pattern, alpha, beta, jac),
        };
        if serves {
            return Ok(());
        }
        let order = (0..self.pattern.n() as u32).collect();
        let mut lu = sparse::SparseLu::new(&self.pattern, order);
        lu.factor(alpha, beta, jac)?;
        // what is singular (or not a number) now may do well as a band with the next step size
        self.kind = Kind::Sparse(Box::new(lu));
        Ok(())
    }

    /// The sign of the determinant of what was last factorised; 0 where it is not known (a narrow band).
    pub fn sign(&self) -> f64 {
        match &self.kind {
            Kind::Dense(lu) => lu.sign(),
            Kind::Sparse(lu) => lu.sign(),
            _ => 0.0,
        }
    }

    /// Solves `M·x = b` in place.
    #[inline]
    pub fn solve(&mut self, b: &mut [f64]) {
        match &mut self.kind {
            Kind::Dense(lu) => lu.solve(b),
            Kind::Sparse(lu) => lu.solve(b),
            Kind::Band1(lu) => lu.solve(b),
            Kind::Band2(lu) => lu.solve(b),
            Kind::Band3(lu) => lu.solve(b),
            Kind::Band4(lu) => lu.solve(b),
        }
    }

    /// Appends what later factorisations depend on: whether a band is treated as one, and sparse pivots. The factors are not
    /// part of it: the same matrix gives the same ones.
    pub(crate) fn save(&self, to: &mut Writer) {
        let (fallen, pivots) = match &self.kind {
            Kind::Sparse(lu) => (narrow(&self.pattern) > 0, lu.pivots()),
            _ => (false, None),
        };
        to.put(&fallen).put(&pivots.is_some());
        if let Some(pivots) = pivots {
            to.slice(pivots);
        }
    }

    /// Takes up what [`IterationMatrix::save`] wrote, in a new one for the same pattern.
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        let (fallen, pivoted) = from.get::<(bool, bool)>()?;
        if fallen {
            if !self.is_band() {
                return Err(Malformed { at, why: "the matrix is no band".into() });
            }
            let order = (0..self.pattern.n() as u32).collect();
            self.kind = Kind::Sparse(Box::new(sparse::SparseLu::new(&self.pattern, order)));
        }
        if pivoted {
            let at = from.at();
            let mut pivots = vec![0; self.pattern.n()];
            from.fill(&mut pivots)?;
            let taken = match &mut self.kind {
                Kind::Sparse(lu) => lu.adopt(&pivots),
                _ => false,
            };
            if !taken {
                return Err(Malformed { at, why: "the matrix has no such pivots".into() });
            }
        }
        Ok(())
    }

    /// True if the sparse factorisation is used.
    pub fn is_sparse(&self) -> bool {
        matches!(self.kind, Kind::Sparse(_))
    }

    /// True if the band factorisation is used.
    pub fn is_band(&self) -> bool {
        matches!(self.kind, Kind::Band1(_) | Kind::Band2(_) | Kind::Band3(_) | Kind::Band4(_))
    }

    /// What one factorisation and one solve take, in about nanoseconds of one machine: counted, never measured.
    pub fn takes(&self) -> (f64, f64) {
        let (n, nnz) = (self.pattern.n() as f64, self.pattern.nnz() as f64);
        match &self.kind {
            Kind::Dense(_) => {
                (0.13 * self.factor_cost + 2.0 * self.solve_cost, 0.32 * self.solve_cost + 5.0 * n)
            }
            Kind::Sparse(_) => (self.factor_cost + 5.5 * nnz + 3.0 * n, 40.0 + 1.15 * self.solve_cost),
            // its half width is the root of the multiplications for each row
            _ => ((9.0 + 1.5 * (self.factor_cost / n).sqrt()) * n, 40.0 + 0.9 * self.solve_cost),
        }
    }

    /// Multiplications of one factorisation, as the pattern says.
    pub fn factor_cost(&self) -> f64 {
        self.factor_cost
    }

    /// Multiplications of one solve, as the pattern says.
    pub fn solve_cost(&self) -> f64 {
        self.solve_cost
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
    fn bands_of_every_width_and_length() {
        let mut rng = Numbers(7);
        for width in 1..=5 {
            for n in [32, 33, 40, 101] {
                let entries = (0..n).flat_map(|i: usize| {
                    (i.saturating_sub(width)..(i + width + 1).min(n)).map(move |j| (i, j))
                });
                let p = Pattern::from_entries(n, entries).expect("in range");
                let mut m = IterationMatrix::new(&p);
                assert_eq!(m.is_band(), width <= band::WIDEST);
                for alpha in [20.0, 5.0, 0.01, 30.0] {
                    let jac: Vec<f64> = (0..p.nnz()).map(|_| rng.next()).collect();
                    let b: Vec<f64> = (0..n).map(|_| rng.next()).collect();
                    m.factor(alpha, -1.0, &jac).expect("regular");
                    let mut x = b.clone();
                    m.solve(&mut x);
                    let r = residual(&p, alpha, &jac, &x, &b);
                    assert!(r < 1e-11, "width {width} n {n} alpha {alpha}: {r:e}");
                }
                // a diagonal of zeros needs other pivots
                let mut jac: Vec<f64> = (0..p.nnz()).map(|_| rng.next()).collect();
                for i in 0..n {
                    jac[p.position(i, i).expect("stored")] = 1.0;
                }
                let b = vec![1.0; n];
                if m.factor(1.0, -1.0, &jac).is_ok() {
                    let mut x = b.clone();
                    m.solve(&mut x);
                    assert!(residual(&p, 1.0, &jac, &x, &b) < 1e-11);
                    assert!(!m.is_band());
                }
                assert!(m.factor(f64::NAN, -1.0, &vec![1.0; p.nnz()]).is_err());
            }
        }
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

    /// What is found again is what would be found.
    #[test]
    fn a_second_matrix_for_a_pattern_is_the_same() {
        let mut numbers = Numbers(7);
        let n = 60;
        let entries: Vec<_> =
            (0..n).flat_map(|i| [(i, i), (i, (i * 7 + 3) % n), ((i * 5 + 1) % n, i)]).collect();
        let p = Pattern::from_entries(n, entries).expect("within");
        let jac: Vec<f64> = (0..p.nnz()).map(|_| numbers.next()).collect();
        let mut first = IterationMatrix::new(&p);
        assert!(first.is_sparse());
        // it has chosen pivots for another matrix by now
        let other: Vec<f64> = (0..p.nnz()).map(|_| numbers.next()).collect();
        first.factor(0.0, 1.0, &other).expect("regular");
        let mut again = IterationMatrix::again(Some(first), &p);
        let mut anew = IterationMatrix::new(&p);
        assert_eq!(again.takes(), anew.takes());
        let b: Vec<f64> = (0..n).map(|_| numbers.next()).collect();
        let mut solved = [b.clone(), b];
        for (m, x) in [&mut again, &mut anew].into_iter().zip(&mut solved) {
            m.factor(1.0, -0.3, &jac).expect("regular");
            m.solve(x);
        }
        assert_eq!(solved[0], solved[1]);
        assert!(IterationMatrix::again(Some(anew), &Pattern::dense(3)).factor(1.0, 0.0, &[0.0; 9]).is_ok());
    }
}
