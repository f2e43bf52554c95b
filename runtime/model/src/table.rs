//! What stands between the samples of a table, for those who evaluate it: hosts, and kernels in which it is written out.
//!
//! `pchip` is the monotone cubic of Fritsch and Carlson, "Monotone piecewise cubic interpolation" (SIAM J. Numer. Anal. 17,
//! 1980) with the three-point end slopes of Fritsch and Butland; `cubic` the natural spline (second derivative zero at both
//! ends).

use crate::program::{Table, TableMethod};

/// By sample, what bends the curve: the slope (`pchip`) or the second derivative (`cubic`); empty for the others.
#[must_use]
pub fn bends(table: &Table) -> Vec<f64> {
    match table.method {
        TableMethod::Linear | TableMethod::Step => Vec::new(),
        TableMethod::Pchip => pchip_slopes(&table.x, &table.y),
        TableMethod::Cubic => spline_curvatures(&table.x, &table.y),
    }
}

/// `b`, `c`, `d` of the polynomial `y0 + u·(b + u·(c + u·d))` on a piece of length `h` between two [`bends`], where the straight
/// line between its ends has this slope.
#[must_use]
pub fn polynomial(method: TableMethod, h: f64, slope: f64, bends: (f64, f64)) -> (f64, f64, f64) {
    if method == TableMethod::Pchip {
        let (d0, d1) = bends;
        (d0, (3.0 * slope - 2.0 * d0 - d1) / h, (d0 + d1 - 2.0 * slope) / (h * h))
    } else {
        let (m0, m1) = bends;
        (slope - h * (2.0 * m0 + m1) / 6.0, m0 / 2.0, (m1 - m0) / (6.0 * h))
    }
}

/// Slopes of the monotone cubic: weighted harmonic means inside, three-point formulas at the ends.
fn pchip_slopes(x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    if n < 2 {
        return vec![0.0; n];
    }
    let h: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).collect();
    let s: Vec<f64> = (0..n - 1).map(|k| (y[k + 1] - y[k]) / h[k]).collect();
    if n == 2 {
        return vec![s[0]; 2];
    }
    let mut d = vec![0.0; n];
    for k in 1..n - 1 {
        if s[k - 1] * s[k] > 0.0 {
            let (w1, w2) = (2.0 * h[k] + h[k - 1], h[k] + 2.0 * h[k - 1]);
            d[k] = (w1 + w2) / (w1 / s[k - 1] + w2 / s[k]);
        }
    }
    let end = |h0: f64, h1: f64, s0: f64, s1: f64| {
        let slope = ((2.0 * h0 + h1) * s0 - h0 * s1) / (h0 + h1);
        if slope * s0 <= 0.0 {
            0.0
        } else if s0 * s1 <= 0.0 && slope.abs() > 3.0 * s0.abs() {
            3.0 * s0
        } else {
            slope
        }
    };
    d[0] = end(h[0], h[1], s[0], s[1]);
    d[n - 1] = end(h[n - 2], h[n - 3], s[n - 2], s[n - 3]);
    d
}

/// Second derivatives of the natural spline, by the tridiagonal elimination of its defining equations.
fn spline_curvatures(x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    let mut m = vec![0.0; n];
    if n < 3 {
        return m;
    }
    let h: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).collect();
    let mut diagonal = vec![0.0; n];
    let mut right = vec![0.0; n];
    for k in 1..n - 1 {
        diagonal[k] = 2.0 * (h[k - 1] + h[k]);
        right[k] = 6.0 * ((y[k + 1] - y[k]) / h[k] - (y[k] - y[k - 1]) / h[k - 1]);
        if k > 1 {
            let factor = h[k - 1] / diagonal[k - 1];
            diagonal[k] -= factor * h[k - 1];
            right[k] -= factor * right[k - 1];
        }
    }
    for k in (1..n - 1).rev() {
        m[k] = (right[k] - h[k] * m[k + 1]) / diagonal[k];
    }
    m
}
