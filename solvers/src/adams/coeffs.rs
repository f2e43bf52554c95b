//! The coefficients of one step of the Adams formulas on an uneven grid (Shampine and Gordon 1975,
//! chapters 5 and 6; Hairer, Nørsett and Wanner III.5).

use super::{MAX_ORDER, ROWS};

/// `|γ*_k|`: the error constants of the corrector formulas on an even grid.
pub(super) const GAMMA: [f64; MAX_ORDER + 2] = [
    1.0,
    1.0 / 2.0,
    1.0 / 12.0,
    1.0 / 24.0,
    19.0 / 720.0,
    3.0 / 160.0,
    863.0 / 60_480.0,
    275.0 / 24_192.0,
    33_953.0 / 3_628_800.0,
    8_183.0 / 1_036_800.0,
    3_250_433.0 / 479_001_600.0,
    4_671.0 / 788_480.0,
    13_695_779_093.0 / 2_615_348_736_000.0,
    2_224_234_463.0 / 475_517_952_000.0,
];

/// Coefficients of one trial step. Index `i` belongs to `φ_{i+1}`, the modified divided difference
/// `ψ_1 … ψ_i · f[t_n, …, t_{n−i}]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coeffs {
    /// `psi[i] = t_n − t_{n−1−i}` for the new point.
    pub psi: [f64; ROWS],
    /// What turns `φ` of the last point into its share of the prediction.
    pub beta: [f64; ROWS],
    /// `x(t_n) = x(t_{n−1}) + h Σ g_i β_i φ_i`.
    pub g: [f64; ROWS],
    /// Turns norms of differences into those of an even grid of size `h`.
    pub sigma: [f64; ROWS],
}

impl Coeffs {
    pub(super) fn new() -> Self {
        Coeffs { psi: [0.0; ROWS], beta: [0.0; ROWS], g: [0.0; ROWS], sigma: [0.0; ROWS] }
    }

    /// For a step `h` of order `k` after a point whose distances to its own past are `past`. Sets the
    /// first `k + 2` entries.
    pub(super) fn set(&mut self, k: usize, h: f64, past: &[f64; ROWS]) {
        self.psi[0] = h;
        for i in 1..ROWS {
            self.psi[i] = past[i - 1] + h;
        }
        // row i of a table of repeated integrals, overwritten
        let mut c = [0.0; ROWS + 1];
        for (q, c) in c.iter_mut().enumerate() {
            *c = 1.0 / (q as f64 + 1.0);
        }
        self.beta[0] = 1.0;
        self.sigma[0] = 1.0;
        self.g[0] = 1.0;
        for i in 1..=k + 1 {
            let alpha = h / self.psi[i - 1];
            self.beta[i] = self.beta[i - 1] * self.psi[i - 1] / past[i - 1];
            self.sigma[i] = self.sigma[i - 1] * alpha * i as f64;
            for q in 0..ROWS - i {
                c[q] -= alpha * c[q + 1];
            }
            self.g[i] = c[0];
        }
    }
}

/// `x(t_n + delta) = x(t_n) + delta Σ g_i φ_i` over the first `rows` differences at the point `t_n`
/// with distances `psi` to its past.
pub(super) fn interpolation(rows: usize, delta: f64, psi: &[f64; ROWS]) -> [f64; ROWS] {
    let mut w = [0.0; ROWS + 1];
    for (q, w) in w.iter_mut().enumerate() {
        *w = 1.0 / (q as f64 + 1.0);
    }
    let mut g = [0.0; ROWS];
    g[0] = 1.0;
    let mut term = 0.0;
    for i in 1..rows {
        let gamma = (delta + term) / psi[i - 1];
        let eta = delta / psi[i - 1];
        for q in 0..rows - i {
            w[q] = gamma * w[q] - eta * w[q + 1];
        }
        g[i] = w[0];
        term = psi[i - 1];
    }
    g
}
