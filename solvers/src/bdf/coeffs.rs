//! The coefficients of one step of the fixed-leading-coefficient formula on an uneven grid.
//!
//! With `ψ_j = t_n − t_{n−j}` (`psi[j - 1]`) and modified divided differences
//! `φ_j(n) = ψ_1 … ψ_j · x[t_n, …, t_{n−j}]`, the polynomial of degree `k` through the last `k + 1`
//! points predicts `x_p = Σ β_j φ_j(n−1)` and `h·x_p' = Σ (hγ_j) β_j φ_j(n−1)`. The corrector asks for
//! `h f(t_n, x_p + e) = h x_p' + λ_k e` with the constant `λ_k = (1 − κ_k) Σ_{i≤k} 1/i`.
//!
//! Brenan, Campbell and Petzold, *Numerical Solution of Initial-Value Problems in
//! Differential-Algebraic Equations*, SIAM 1996, chapter 5 (divided differences, fixed leading
//! coefficient); Shampine and Reichelt, "The MATLAB ODE suite", SIAM J. Sci. Comput. 18 (1997) 1–22
//! (the terms κ of the NDFs).

use super::MAX_ORDER;

/// How far the NDFs deviate from the BDFs, by order: smaller error constants at nearly the same
/// stability (orders 1 and 2: the same); order 5 is the BDF.
pub(super) const KAPPA: [f64; MAX_ORDER + 1] = [0.0, -0.185, -1.0 / 9.0, -0.0823, -0.0415, 0.0];

/// `Σ_{i≤k} 1/i`.
pub(super) const HARMONIC: [f64; MAX_ORDER + 1] = [0.0, 1.0, 1.5, 11.0 / 6.0, 25.0 / 12.0, 137.0 / 60.0];

/// `λ_k`.
pub(super) fn leading(k: usize) -> f64 {
    (1.0 - KAPPA[k]) * HARMONIC[k]
}

/// The error constant on an even grid: the local error is this times the `(k + 1)`-th difference.
pub(super) fn even_error(k: usize) -> f64 {
    1.0 / (k as f64 + 1.0) + KAPPA[k] * HARMONIC[k]
}

/// Coefficients of one trial step of order `k` and size `h`. Arrays are indexed by `j`; entry 0 is the
/// point itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coeffs {
    /// `psi[j] = t_n − t_{n−1−j}` for the new point.
    pub psi: [f64; MAX_ORDER + 2],
    /// `β_j`: what turns `φ_j` of the last point into its share of the prediction.
    pub beta: [f64; MAX_ORDER + 2],
    /// `h γ_j`.
    pub gamma: [f64; MAX_ORDER + 2],
    /// `σ_j`: turns norms of differences on the uneven grid into those of an even grid of size `h`,
    /// divided by `j + 1`.
    pub sigma: [f64; MAX_ORDER + 2],
    /// `c = h/λ_k`: the iteration matrix is `I − c J`.
    pub c: f64,
    /// The local error is this times `e`.
    pub error: f64,
}

impl Coeffs {
    pub(super) fn new() -> Self {
        Coeffs {
            psi: [0.0; MAX_ORDER + 2],
            beta: [0.0; MAX_ORDER + 2],
            gamma: [0.0; MAX_ORDER + 2],
            sigma: [0.0; MAX_ORDER + 2],
            c: 0.0,
            error: 0.0,
        }
    }

    /// For a step `h` of order `k` after a point whose distances to its own past are `past`.
    pub(super) fn set(&mut self, k: usize, h: f64, past: &[f64; MAX_ORDER + 2]) {
        self.psi[0] = h;
        for j in 1..MAX_ORDER + 2 {
            self.psi[j] = past[j - 1] + h;
        }
        let mut alpha = 1.0;
        let mut alpha_sum = 0.0;
        self.beta[0] = 1.0;
        self.gamma[0] = 0.0;
        self.sigma[0] = 1.0;
        for j in 1..=k + 1 {
            self.beta[j] = self.beta[j - 1] * self.psi[j - 1] / past[j - 1];
            self.gamma[j] = self.gamma[j - 1] + alpha;
            if j <= k {
                alpha_sum += alpha;
            }
            alpha = h / self.psi[j];
            self.sigma[j] = self.sigma[j - 1] * alpha * j as f64;
            if j == k {
                // α_k, with the sum running to α_{k−1}. It vanishes on some grids: on the second step after one that was cut to a
                // quarter (order 2), after one cut to 0.69; a step must not go unseen there. The error of interpolation, α_k e,
                // is the floor of DASSL; here half of what an even grid leaves of it, which few steps feel.
                let uneven = (alpha + alpha_sum - leading(k)).abs();
                self.error = uneven.max(0.5 * alpha * even_error(k) * (k as f64 + 1.0));
            }
        }
        self.c = h / leading(k);
    }
}
