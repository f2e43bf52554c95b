//! Dense LU with partial pivoting, by columns.

use super::Singular;

/// `P·A = L·U`, stored over `A` by columns.
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

    pub(super) fn factor(&mut self) -> Result<(), Singular> {
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

    pub(super) fn solve(&self, b: &mut [f64]) {
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
