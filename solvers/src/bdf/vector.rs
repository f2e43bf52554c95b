//! The loops over states, over padded vectors: see [`crate::vector`]. Each makes one pass over memory.
//!
//! They are never inlined: as parameters their slices are known not to overlap, without which the compiler
//! does not vectorise (a factor of four in a step with thousands of states).

use super::MAX_ORDER;
use crate::vector::{LANES, Lane, lanes, lanes_mut, larger, tolerance, total};

/// The differences `φ_1 … φ_6` of [`LANES`] states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block(pub [Lane; MAX_ORDER + 1]);

impl Block {
    pub(super) const ZERO: Block = Block([[0.0; LANES]; MAX_ORDER + 1]);
}

/// `y = x + (low + Σ b_j φ_j)`, `psi = Σ g_j φ_j` over `j = 1..=K`, smallest terms first.
pub(super) fn predict(
    k: usize,
    hist: &[Block],
    (x, low): (&[f64], &[f64]),
    b: &[f64; MAX_ORDER + 2],
    g: &[f64; MAX_ORDER + 2],
    y: &mut [f64],
    psi: &mut [f64],
) {
    match k {
        1 => predict_k::<1>(hist, (x, low), b, g, y, psi),
        2 => predict_k::<2>(hist, (x, low), b, g, y, psi),
        3 => predict_k::<3>(hist, (x, low), b, g, y, psi),
        4 => predict_k::<4>(hist, (x, low), b, g, y, psi),
        _ => predict_k::<5>(hist, (x, low), b, g, y, psi),
    }
}

#[inline(never)]
fn predict_k<const K: usize>(
    hist: &[Block],
    (x, low): (&[f64], &[f64]),
    b: &[f64; MAX_ORDER + 2],
    g: &[f64; MAX_ORDER + 2],
    y: &mut [f64],
    psi: &mut [f64],
) {
    let b: [f64; K] = std::array::from_fn(|j| b[j + 1]);
    let g: [f64; K] = std::array::from_fn(|j| g[j + 1]);
    let out = lanes_mut(y).iter_mut().zip(lanes_mut(psi));
    for (((block, x), low), (y, psi)) in hist.iter().zip(lanes(x)).zip(lanes(low)).zip(out) {
        let mut sy: Lane = [0.0; LANES];
        let mut sp: Lane = [0.0; LANES];
        for j in 0..K {
            let (b, g, phi) = (b[K - 1 - j], g[K - 1 - j], &block.0[K - 1 - j]);
            for l in 0..LANES {
                sy[l] += b * phi[l];
                sp[l] += g * phi[l];
            }
        }
        for l in 0..LANES {
            y[l] = x[l] + (low[l] + sy[l]);
        }
        *psi = sp;
    }
}

/// `r = c·f − psi − e`, over `f`.
#[inline(never)]
pub(super) fn residual(c: f64, psi: &[f64], e: &[f64], f: &mut [f64]) {
    for ((f, psi), e) in lanes_mut(f).iter_mut().zip(lanes(psi)).zip(lanes(e)) {
        for l in 0..LANES {
            f[l] = c * f[l] - psi[l] - e[l];
        }
    }
}

/// `r = c·f − psi`, over `f`: the first residual, where `e = 0`.
#[inline(never)]
pub(super) fn residual_first(c: f64, psi: &[f64], f: &mut [f64]) {
    for (f, psi) in lanes_mut(f).iter_mut().zip(lanes(psi)) {
        for l in 0..LANES {
            f[l] = c * f[l] - psi[l];
        }
    }
}

/// `e += s·d`, `y += s·d`; returns the weighted sums of squares of `s·d` and of the new `e`.
#[inline(never)]
pub(super) fn correct(s: f64, d: &[f64], w: &[f64], e: &mut [f64], y: &mut [f64]) -> (f64, f64) {
    let mut sd: Lane = [0.0; LANES];
    let mut se: Lane = [0.0; LANES];
    let out = lanes_mut(e).iter_mut().zip(lanes_mut(y));
    for ((d, w), (e, y)) in lanes(d).iter().zip(lanes(w)).zip(out) {
        for l in 0..LANES {
            let d = s * d[l];
            e[l] += d;
            y[l] += d;
            sd[l] += (d * w[l]) * (d * w[l]);
            se[l] += (e[l] * w[l]) * (e[l] * w[l]);
        }
    }
    (total(sd), total(se))
}

/// The first correction: `e = s·d`, `y += s·d`; returns the weighted sum of squares of `e`.
#[inline(never)]
pub(super) fn correct_first(s: f64, d: &[f64], w: &[f64], e: &mut [f64], y: &mut [f64]) -> f64 {
    let mut se: Lane = [0.0; LANES];
    let out = lanes_mut(e).iter_mut().zip(lanes_mut(y));
    for ((d, w), (e, y)) in lanes(d).iter().zip(lanes(w)).zip(out) {
        for l in 0..LANES {
            e[l] = s * d[l];
            y[l] += e[l];
            se[l] += (e[l] * w[l]) * (e[l] * w[l]);
        }
    }
    total(se)
}

/// Weighted sums of squares that judge the neighbouring orders.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Norms {
    /// Of `β_k φ_k + e`: the `k`-th difference at the new point.
    pub down: f64,
    /// Of `e − β_{k+1} φ_{k+1}`: the `(k + 2)`-th difference.
    pub up: f64,
}

impl Norms {
    pub(super) fn map(&self, f: impl Fn(f64) -> f64) -> Norms {
        Norms { down: f(self.down), up: f(self.up) }
    }
}

/// The norms alone, for a step that failed.
#[inline(never)]
pub(super) fn norms(k: usize, hist: &[Block], b: &[f64; MAX_ORDER + 2], e: &[f64], w: &[f64]) -> Norms {
    let mut s: [Lane; 2] = [[0.0; LANES]; 2];
    for ((block, e), w) in hist.iter().zip(lanes(e)).zip(lanes(w)) {
        for l in 0..LANES {
            let down = b[k] * block.0[k - 1][l] + e[l];
            let up = e[l] - b[k + 1] * block.0[k][l];
            s[0][l] += (down * w[l]) * (down * w[l]);
            s[1][l] += (up * w[l]) * (up * w[l]);
        }
    }
    Norms { down: total(s[0]), up: total(s[1]) }
}

/// Moves the differences to the new point: `φ_{k+1} = e`, `φ_j = β_j φ_j + φ_{j+1}`. On the way it sums
/// the norms with the old weights and writes the new ones, `1/(atol + rtol·max(|x|, |y|))`.
#[expect(clippy::too_many_arguments, reason = "slices in a tuple may overlap as far as the compiler knows")]
pub(super) fn advance(
    k: usize,
    hist: &mut [Block],
    b: &[f64; MAX_ORDER + 2],
    e: &[f64],
    x: &[f64],
    low: &mut [f64],
    y: &mut [f64],
    rtol: f64,
    atol: &[f64],
    w: &mut [f64],
) -> Norms {
    match k {
        1 => advance_k::<1>(hist, b, e, x, low, y, rtol, atol, w),
        2 => advance_k::<2>(hist, b, e, x, low, y, rtol, atol, w),
        3 => advance_k::<3>(hist, b, e, x, low, y, rtol, atol, w),
        4 => advance_k::<4>(hist, b, e, x, low, y, rtol, atol, w),
        _ => advance_k::<5>(hist, b, e, x, low, y, rtol, atol, w),
    }
}

#[expect(clippy::too_many_arguments, reason = "slices in a tuple may overlap as far as the compiler knows")]
#[inline(never)]
fn advance_k<const K: usize>(
    hist: &mut [Block],
    b: &[f64; MAX_ORDER + 2],
    e: &[f64],
    x: &[f64],
    low: &mut [f64],
    y: &mut [f64],
    rtol: f64,
    atol: &[f64],
    w: &mut [f64],
) -> Norms {
    let c: [f64; K] = std::array::from_fn(|j| b[j + 1]);
    let beyond = b[K + 1];
    let mut down: Lane = [0.0; LANES];
    let mut up: Lane = [0.0; LANES];
    let given = lanes(e).iter().zip(lanes(x)).zip(lanes(atol));
    let written = lanes_mut(w).iter_mut().zip(lanes_mut(low)).zip(lanes_mut(y));
    for ((block, ((w, low), y)), ((e, x), atol)) in hist.iter_mut().zip(written).zip(given) {
        let mut phi = *e;
        for l in 0..LANES {
            let v = (phi[l] - beyond * block.0[K][l]) * w[l];
            up[l] += v * v;
        }
        block.0[K] = phi;
        for l in 0..LANES {
            phi[l] += c[K - 1] * block.0[K - 1][l];
            let v = phi[l] * w[l];
            down[l] += v * v;
        }
        block.0[K - 1] = phi;
        for j in 1..K {
            let (b, row) = (c[K - 1 - j], &mut block.0[K - 1 - j]);
            for l in 0..LANES {
                phi[l] += b * row[l];
            }
            *row = phi;
        }
        let mut t = [0.0; LANES];
        for l in 0..LANES {
            // x + (low + φ_1) with the rounding of the sum kept (Knuth's two-sum)
            let a = low[l] + phi[l];
            let sum = x[l] + a;
            let part = sum - x[l];
            low[l] = (x[l] - (sum - part)) + (a - part);
            y[l] = sum;
        }
        for l in 0..LANES {
            t[l] = larger(x[l], y[l]);
        }
        for l in 0..LANES {
            t[l] = tolerance(atol[l], rtol, t[l]);
        }
        for l in 0..LANES {
            w[l] = 1.0 / t[l];
        }
    }
    Norms { down: total(down), up: total(up) }
}

/// `φ_1 = h·f`, the others zero.
#[inline(never)]
pub(super) fn begin(hist: &mut [Block], h: f64, f: &[f64]) {
    for (block, f) in hist.iter_mut().zip(lanes(f)) {
        *block = Block::ZERO;
        for l in 0..LANES {
            block.0[0][l] = h * f[l];
        }
    }
}

/// `out = x + Σ c_j φ_{j+1}`, smallest terms first.
#[inline(never)]
pub(super) fn combine(k: usize, hist: &[Block], x: &[f64], c: &[f64; MAX_ORDER], out: &mut [f64]) {
    for ((out, x), block) in out.chunks_mut(LANES).zip(x.chunks(LANES)).zip(hist) {
        for (l, (out, x)) in out.iter_mut().zip(x).enumerate() {
            let mut s = 0.0;
            for j in (0..k).rev() {
                s += c[j] * block.0[j][l];
            }
            *out = x + s;
        }
    }
}
