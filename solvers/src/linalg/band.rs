//! Narrow bands, as one-dimensional systems have them: eliminated from both ends at once, so that two
//! chains of dependent operations run side by side (the twisted or "burn at both ends" factorisation,
//! Babuška 1972; van der Vorst 1987). Diagonal pivots with monitoring; the caller falls back on a pivoting
//! factorisation where they do not serve.

use super::dense::DenseLu;
use crate::system::Pattern;

/// The widest band (entries on either side of the diagonal) that is treated here.
pub(super) const WIDEST: usize = 4;
/// A pivot below this part of the largest entry under it does not serve.
const KEEP_PIVOT: f64 = 0.02;

/// A band matrix of half width `W`, `D = 2·W + 1`.
///
/// `top[r]` is row `r` of the matrix, columns `r − W ..= r + W`; `bottom[r]` is row `n − 1 − r`, columns
/// `n − 1 − r + W` down to `n − 1 − r − W`: the same matrix seen from its other end. Both reach `W` rows
/// into the middle block of `2·W`, which is solved densely.
#[derive(Clone, Debug)]
pub(super) struct Band<const W: usize, const D: usize> {
    n: usize,
    top: Vec<[f64; D]>,
    bottom: Vec<[f64; D]>,
    middle: DenseLu,
}

impl<const W: usize, const D: usize> Band<W, D> {
    /// `n ≥ 4·W`.
    pub(super) fn new(n: usize) -> Self {
        let m = (n - 2 * W) / 2;
        Band { n, top: vec![[0.0; D]; m + W], bottom: vec![[0.0; D]; n - m - W], middle: DenseLu::new(2 * W) }
    }

    /// False if a pivot does not serve.
    pub(super) fn factor(&mut self, pattern: &Pattern, alpha: f64, beta: f64, jac: &[f64]) -> bool {
        let (n, split) = (self.n, self.top.len());
        self.top.fill([0.0; D]);
        self.bottom.fill([0.0; D]);
        let mut from = 0;
        for j in 0..n {
            let to = pattern.col_ptr()[j + 1];
            for (&i, &v) in pattern.rows()[from..to].iter().zip(&jac[from..to]) {
                if i < split {
                    self.top[i][W + j - i] = beta * v;
                } else {
                    self.bottom[n - 1 - i][W + i - j] = beta * v;
                }
            }
            from = to;
        }
        for row in self.top.iter_mut().chain(&mut self.bottom) {
            row[W] += alpha;
        }
        let (a, b) = (self.top.len() - W, self.bottom.len() - W);
        let both = a.min(b);
        let mut good = true;
        for k in 0..both {
            good &= eliminate::<W, D>(&mut self.top[k..]);
            good &= eliminate::<W, D>(&mut self.bottom[k..]);
        }
        for k in both..a {
            good &= eliminate::<W, D>(&mut self.top[k..]);
        }
        for k in both..b {
            good &= eliminate::<W, D>(&mut self.bottom[k..]);
        }
        if !good {
            return false;
        }
        let s = 2 * W;
        let block = self.middle.matrix();
        block.fill(0.0);
        for q in 0..W {
            for c in 0..s {
                // row q of the block holds columns up to q + W
                if c <= q + W {
                    block[c * s + q] = self.top[a + q][W + c - q];
                    block[(s - 1 - c) * s + (s - 1 - q)] = self.bottom[b + q][W + c - q];
                }
            }
        }
        self.middle.factor().is_ok()
    }

    pub(super) fn solve(&self, x: &mut [f64]) {
        let (a, b) = (self.top.len() - W, self.bottom.len() - W);
        let (low, high) = x.split_at_mut(a + W);
        let (low, high) = (&mut low[..a + W], &mut high[..b + W]);
        // forward: low from its start, high from its end; the last values stay in registers
        let (mut p, mut q) = ([0.0; W], [0.0; W]);
        let both = a.min(b);
        let last = high.len() - 1;
        for r in 0..both {
            low[r] = forward(&self.top[r], low[r], &mut p);
            high[last - r] = forward(&self.bottom[r], high[last - r], &mut q);
        }
        for r in both..a {
            low[r] = forward(&self.top[r], low[r], &mut p);
        }
        for r in both..b {
            high[last - r] = forward(&self.bottom[r], high[last - r], &mut q);
        }
        for r in 0..W {
            for i in r..W {
                low[a + r] -= self.top[a + r][W - 1 - i] * p[i - r];
                high[W - 1 - r] -= self.bottom[b + r][W - 1 - i] * q[i - r];
            }
        }
        // the middle: the last W of low, the first W of high
        let mut block = [0.0; 2 * WIDEST];
        let block = &mut block[..2 * W];
        block[..W].copy_from_slice(&low[a..]);
        block[W..].copy_from_slice(&high[..W]);
        self.middle.solve(block);
        low[a..].copy_from_slice(&block[..W]);
        high[..W].copy_from_slice(&block[W..]);
        for i in 0..W {
            p[i] = block[i];
            q[i] = block[2 * W - 1 - i];
        }
        // backward
        let both = a.min(b);
        for r in both..a {
            let r = a - 1 - (r - both);
            low[r] = backward(&self.top[r], low[r], &mut p);
        }
        for r in both..b {
            let r = b - 1 - (r - both);
            high[last - r] = backward(&self.bottom[r], high[last - r], &mut q);
        }
        for r in (0..both).rev() {
            low[r] = backward(&self.top[r], low[r], &mut p);
            high[last - r] = backward(&self.bottom[r], high[last - r], &mut q);
        }
    }
}

/// Eliminates the first column of the rows given. The first row keeps the reciprocal of its pivot, and its
/// other entries divided by the pivot, on the left (multipliers) and on the right (`U`).
#[inline(always)]
fn eliminate<const W: usize, const D: usize>(rows: &mut [[f64; D]]) -> bool {
    let Some((first, rest)) = rows.split_first_mut() else { return false };
    let pivot = first[W];
    let inv = 1.0 / pivot;
    let mut max = 0.0;
    for i in 0..W {
        let row = &mut rest[i];
        let v = row[W - 1 - i];
        if v.abs() > max || v.is_nan() {
            max = v.abs();
        }
        for j in 0..W {
            row[W - i + j] -= v * (first[W + 1 + j] * inv);
        }
    }
    for v in first.iter_mut() {
        *v *= inv;
    }
    first[W] = inv;
    pivot.is_finite() && pivot != 0.0 && pivot.abs() >= KEEP_PIVOT * max
}

/// `(b − Σ lᵢ·xᵢ)/pivot` with the `W` values before it; these move on.
#[inline(always)]
fn forward<const W: usize, const D: usize>(row: &[f64; D], b: f64, before: &mut [f64; W]) -> f64 {
    let mut v = b * row[W];
    // the nearest value is the last to arrive
    for i in (0..W).rev() {
        v -= row[W - 1 - i] * before[i];
    }
    for i in (1..W).rev() {
        before[i] = before[i - 1];
    }
    before[0] = v;
    v
}

#[inline(always)]
fn backward<const W: usize, const D: usize>(row: &[f64; D], b: f64, after: &mut [f64; W]) -> f64 {
    let mut v = b;
    for i in (0..W).rev() {
        v -= row[W + 1 + i] * after[i];
    }
    for i in (1..W).rev() {
        after[i] = after[i - 1];
    }
    after[0] = v;
    v
}
