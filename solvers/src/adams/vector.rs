//! The loops over states, over padded vectors: see [`crate::vector`]. Never inlined: as parameters
//! their slices are known not to overlap, without which the compiler does not vectorise.

use super::ROWS;
use crate::vector::{LANES, Lane, lanes, lanes_mut, larger, tolerance, total};

/// The differences `φ_1 … φ_14` of [`LANES`] states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block(pub [Lane; ROWS]);

impl Block {
    pub(super) const ZERO: Block = Block([[0.0; LANES]; ROWS]);
}

/// `φ_1 = f`, the others zero.
#[inline(never)]
pub(super) fn begin(hist: &mut [Block], f: &[f64]) {
    for (block, f) in hist.iter_mut().zip(lanes(f)) {
        *block = Block::ZERO;
        block.0[0] = *f;
    }
}

/// `y = x + Σ c_i φ_i` over the coefficients given, smallest terms first.
#[inline(never)]
pub(super) fn predict(hist: &[Block], x: &[f64], c: &[f64], y: &mut [f64]) {
    for ((block, x), y) in hist.iter().zip(lanes(x)).zip(lanes_mut(y)) {
        let mut s: Lane = [0.0; LANES];
        for (row, c) in block.0[..c.len()].iter().zip(c).rev() {
            for l in 0..LANES {
                s[l] += c * row[l];
            }
        }
        for l in 0..LANES {
            y[l] = x[l] + s[l];
        }
    }
}

/// Weighted sums of squares that judge a trial and its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Norms {
    /// Of `d = f_p − φ_1`: the `k`-th difference at the new point.
    pub at: f64,
    /// Of the `(k − 1)`-th difference.
    pub down: f64,
    /// Of the `(k − 2)`-th difference.
    pub down2: f64,
}

impl Norms {
    pub(super) fn map(&self, f: impl Fn(f64) -> f64) -> Norms {
        Norms { at: f(self.at), down: f(self.down), down2: f(self.down2) }
    }
}

/// Corrects: with `d = f_p − Σ β_i φ_i` over the rows of `beta`, `y += c·d`.
#[inline(never)]
pub(super) fn correct(hist: &[Block], beta: &[f64], f: &[f64], w: &[f64], c: f64, y: &mut [f64]) -> Norms {
    let k = beta.len();
    let mut s: [Lane; 3] = [[0.0; LANES]; 3];
    for (((block, f), w), y) in hist.iter().zip(lanes(f)).zip(lanes(w)).zip(lanes_mut(y)) {
        // the last two partial sums of the prediction belong to the lower orders
        let mut sums: [Lane; 3] = [[0.0; LANES]; 3];
        for (i, (row, b)) in block.0[..k].iter().zip(beta).enumerate().rev() {
            for l in 0..LANES {
                sums[0][l] += b * row[l];
            }
            let back = k - 1 - i;
            if back < 2 {
                sums[1 + back] = sums[0];
            }
        }
        for l in 0..LANES {
            let d = f[l] - sums[0][l];
            y[l] += c * d;
            for (s, v) in s.iter_mut().zip([d, sums[1][l] + d, sums[2][l] + d]) {
                s[l] += (v * w[l]) * (v * w[l]);
            }
        }
    }
    Norms { at: total(s[0]), down: total(s[1]), down2: total(s[2]) }
}

/// Moves the differences to the new point, where the derivative is `f`; writes the new weights. Returns
/// the weighted sum of squares of the `(k + 1)`-th difference, with the old weights.
#[inline(never)]
pub(super) fn advance(
    hist: &mut [Block],
    beta: &[f64],
    f: &[f64],
    (x, y): (&[f64], &[f64]),
    (rtol, atol): (f64, &[f64]),
    w: &mut [f64],
) -> f64 {
    // beta has the row k + 1 too: its difference is compared with the new one
    let k = beta.len() - 1;
    let mut up: Lane = [0.0; LANES];
    let given = lanes(f).iter().zip(lanes(x)).zip(lanes(y)).zip(lanes(atol));
    for ((block, w), (((f, x), y), atol)) in hist.iter_mut().zip(lanes_mut(w)).zip(given) {
        let last = block.0[k];
        let mut sum: Lane = [0.0; LANES];
        for (row, b) in block.0[..k].iter_mut().zip(beta).rev() {
            for l in 0..LANES {
                sum[l] += b * row[l];
            }
            *row = sum;
        }
        let mut new: Lane = [0.0; LANES];
        for l in 0..LANES {
            new[l] = f[l] - sum[l];
            let v = (new[l] - beta[k] * last[l]) * w[l];
            up[l] += v * v;
        }
        for row in &mut block.0[..k] {
            for l in 0..LANES {
                row[l] += new[l];
            }
        }
        block.0[k] = new;
        for l in 0..LANES {
            w[l] = 1.0 / tolerance(atol[l], rtol, larger(x[l], y[l]));
        }
    }
    total(up)
}

/// `out = x + Σ c_i φ_i + q·(x_prev − x)`.
#[inline(never)]
pub(super) fn combine(hist: &[Block], (x, x_prev): (&[f64], &[f64]), c: &[f64], q: f64, out: &mut [f64]) {
    let groups = x.chunks(LANES).zip(x_prev.chunks(LANES));
    for ((out, (x, x_prev)), block) in out.chunks_mut(LANES).zip(groups).zip(hist) {
        for (l, ((out, x), x_prev)) in out.iter_mut().zip(x).zip(x_prev).enumerate() {
            let mut s = 0.0;
            for (row, c) in block.0[..c.len()].iter().zip(c).rev() {
                s += c * row[l];
            }
            *out = x + (s + q * (x_prev - x));
        }
    }
}
