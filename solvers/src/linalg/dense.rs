//! Dense LU with partial pivoting, by columns; unrolled for up to eight unknowns.

use super::Singular;
use crate::system::Pattern;

/// `P·A = L·U`, stored over `A` by columns. Above eight unknowns row exchanges are not applied to columns already done.
#[derive(Clone, Debug)]
pub(super) struct DenseLu {
    n: usize,
    a: Vec<f64>,
    pivots: Vec<usize>,
    inv: Vec<f64>,
}

impl DenseLu {
    pub(super) fn new(n: usize) -> Self {
        DenseLu { n, a: vec![0.0; n * n], pivots: vec![0; n], inv: vec![0.0; n] }
    }

    /// The matrix to fill before `factor`, by columns.
    pub(super) fn matrix(&mut self) -> &mut [f64] {
        &mut self.a
    }

    /// The matrix `α·I + β·J`.
    pub(super) fn fill(&mut self, pattern: &Pattern, alpha: f64, beta: f64, jac: &[f64]) {
        let n = self.n;
        if jac.len() == n * n {
            for (a, j) in self.a.iter_mut().zip(jac) {
                *a = beta * j;
            }
            for j in 0..n {
                self.a[j * n + j] += alpha;
            }
            return;
        }
        self.a.fill(0.0);
        for j in 0..n {
            let col = &mut self.a[j * n..(j + 1) * n];
            for k in pattern.col_ptr()[j]..pattern.col_ptr()[j + 1] {
                col[pattern.rows()[k]] = beta * jac[k];
            }
            col[j] += alpha;
        }
    }

    pub(super) fn factor(&mut self) -> Result<(), Singular> {
        match self.n {
            1 => self.factor_small::<1>(),
            2 => self.factor_small::<2>(),
            3 => self.factor_small::<3>(),
            4 => self.factor_small::<4>(),
            5 => self.factor_small::<5>(),
            6 => self.factor_small::<6>(),
            7 => self.factor_small::<7>(),
            8 => self.factor_small::<8>(),
            _ => self.factor_any(),
        }
    }

    /// The sign of the determinant.
    pub(super) fn sign(&self) -> f64 {
        let moved = |(k, p): (usize, &usize)| *p != k;
        let odd = if self.n <= 8 {
            odd(&self.pivots)
        } else {
            // row `k` was exchanged with this one
            self.pivots.iter().enumerate().filter(|e| moved(*e)).count() % 2 == 1
        };
        let negative = self.inv.iter().filter(|r| **r < 0.0).count() % 2 == 1;
        if odd != negative { -1.0 } else { 1.0 }
    }

    pub(super) fn solve(&self, b: &mut [f64]) {
        match self.n {
            1 => self.solve_small::<1>(b),
            2 => self.solve_small::<2>(b),
            3 => self.solve_small::<3>(b),
            4 => self.solve_small::<4>(b),
            5 => self.solve_small::<5>(b),
            6 => self.solve_small::<6>(b),
            7 => self.solve_small::<7>(b),
            8 => self.solve_small::<8>(b),
            _ => self.solve_any(b),
        }
    }

    /// Here rows are exchanged in all columns, and `U` is stored with a unit diagonal (rows divided by
    /// their pivots): the solve has the shortest chain of dependent operations.
    #[inline(always)]
    fn factor_small<const N: usize>(&mut self) -> Result<(), Singular> {
        let (cols, _) = self.a.as_chunks_mut::<N>();
        let (Ok(a), Ok(pivots), Ok(inv)) = (
            <&mut [[f64; N]; N]>::try_from(cols),
            <&mut [usize; N]>::try_from(&mut self.pivots[..]),
            <&mut [f64; N]>::try_from(&mut self.inv[..]),
        ) else {
            return Err(Singular { column: N });
        };
        for (i, p) in pivots.iter_mut().enumerate() {
            *p = i;
        }
        for k in 0..N {
            let mut p = k;
            let mut max = a[k][k].abs();
            for i in k + 1..N {
                if a[k][i].abs() > max {
                    max = a[k][i].abs();
                    p = i;
                }
            }
            if !(max > 0.0 && max.is_finite()) {
                return Err(Singular { column: k });
            }
            if p != k {
                pivots.swap(k, p);
                for column in a.iter_mut() {
                    column.swap(k, p);
                }
            }
            let r = 1.0 / a[k][k];
            inv[k] = r;
            for i in k + 1..N {
                a[k][i] *= r;
            }
            for j in k + 1..N {
                let u = a[j][k];
                for i in k + 1..N {
                    a[j][i] -= a[k][i] * u;
                }
            }
        }
        for j in 1..N {
            for i in 0..j {
                a[j][i] *= inv[i];
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn solve_small<const N: usize>(&self, b: &mut [f64]) {
        let (cols, _) = self.a.as_chunks::<N>();
        let (Ok(a), Ok(pivots), Ok(inv), Ok(b)) = (
            <&[[f64; N]; N]>::try_from(cols),
            <&[usize; N]>::try_from(&self.pivots[..]),
            <&[f64; N]>::try_from(&self.inv[..]),
            <&mut [f64; N]>::try_from(b),
        ) else {
            return;
        };
        let mut x = [0.0; N];
        for k in 0..N {
            x[k] = b[pivots[k]];
        }
        for k in 0..N {
            for i in k + 1..N {
                x[i] -= a[k][i] * x[k];
            }
        }
        for k in 0..N {
            x[k] *= inv[k];
        }
        for k in (0..N).rev() {
            for i in 0..k {
                x[i] -= a[k][i] * x[k];
            }
        }
        *b = x;
    }

    fn factor_any(&mut self) -> Result<(), Singular> {
        let n = self.n;
        for k in 0..n {
            let (left, right) = self.a.split_at_mut((k + 1) * n);
            let col = &mut left[k * n..];
            let mut p = k;
            let mut max = col[k].abs();
            for (i, v) in col.iter().enumerate().skip(k + 1) {
                if v.abs() > max {
                    max = v.abs();
                    p = i;
                }
            }
            if !(max > 0.0 && max.is_finite()) {
                return Err(Singular { column: k });
            }
            self.pivots[k] = p;
            col.swap(k, p);
            let inv = 1.0 / col[k];
            self.inv[k] = inv;
            for v in &mut col[k + 1..] {
                *v *= inv;
            }
            let l = &col[k + 1..];
            for other in right.chunks_exact_mut(n) {
                other.swap(k, p);
                let u = other[k];
                if u != 0.0 {
                    for (v, &f) in other[k + 1..].iter_mut().zip(l) {
                        *v -= f * u;
                    }
                }
            }
        }
        Ok(())
    }

    fn solve_any(&self, b: &mut [f64]) {
        let n = self.n;
        for k in 0..n {
            b.swap(k, self.pivots[k]);
            let bk = b[k];
            if bk != 0.0 {
                for (v, &f) in b[k + 1..n].iter_mut().zip(&self.a[k * n + k + 1..(k + 1) * n]) {
                    *v -= f * bk;
                }
            }
        }
        for k in (0..n).rev() {
            let bk = b[k] * self.inv[k];
            b[k] = bk;
            for (v, &f) in b[..k].iter_mut().zip(&self.a[k * n..k * n + k]) {
                *v -= f * bk;
            }
        }
    }
}

/// Whether a permutation of `0..n` is odd, by its inversions.
fn odd(p: &[usize]) -> bool {
    let inversions = |(k, a): (usize, &usize)| p[k + 1..].iter().filter(|b| *b < a).count();
    p.iter().enumerate().map(inversions).sum::<usize>() % 2 == 1
}
