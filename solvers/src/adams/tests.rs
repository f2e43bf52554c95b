//! The formulas themselves: observed orders of corrector and dense output, and the coefficients.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::integrator::Tolerances;
use crate::system::Pattern;

/// `x' = -x² cos t`, `x(0) = 1`: `x = 1/(1 + sin t)`.
struct Known(Pattern);

fn exact(t: f64) -> f64 {
    1.0 / (1.0 + t.sin())
}

fn slope(t: f64, x: f64) -> f64 {
    -x * x * t.cos()
}

impl System for Known {
    fn dim(&self) -> usize {
        1
    }
    fn rhs(&mut self, t: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        dx[0] = slope(t, x[0]);
        Ok(())
    }
    fn pattern(&self) -> &Pattern {
        &self.0
    }
    fn jacobian(&mut self, t: f64, x: &[f64], values: &mut [f64]) -> Result<(), EvalError> {
        values[0] = -2.0 * x[0] * t.cos();
        Ok(())
    }
    fn jvp(&mut self, t: f64, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        out[0] = -2.0 * x[0] * t.cos() * v[0];
        Ok(())
    }
    fn dfdt(&mut self, t: f64, x: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        out[0] = x[0] * x[0] * t.sin();
        Ok(())
    }
}

/// Steps of order `k` from exact past derivatives, their sizes `h` times the factors in turn; the errors
/// at the end and of the dense output.
fn fixed(k: usize, h: f64, factors: &[f64]) -> (f64, f64) {
    let mut sys = Known(Pattern::dense(1));
    let options = Options { tolerances: Tolerances::uniform(1e-6, 1e-6), ..Options::default() };
    let mut a = Adams::new(&options);
    a.start(&mut sys, 0.0, &[exact(0.0)], f64::INFINITY).unwrap();
    // φ on an even grid are the backward differences of f
    let at = |m: usize| slope(-h * m as f64, exact(-h * m as f64));
    let mut row: Vec<f64> = (0..ROWS).map(at).collect();
    for i in 0..ROWS {
        a.hist[0].0[i][0] = row[0];
        for m in 0..row.len() - 1 {
            row[m] -= row[m + 1];
        }
        row.pop();
    }
    for (i, past) in a.past.iter_mut().enumerate() {
        *past = h * (i as f64 + 1.0);
    }
    let (mut dense, mut m) = (0.0f64, 0);
    while a.t() < 2.0 - 1e-12 {
        let step = h * factors[m % factors.len()];
        m += 1;
        a.order = k;
        let t = a.t() + step;
        let errors = a.trial(&mut sys, t, step).unwrap();
        sys.rhs(t, &a.y[..1], &mut a.f[..1]).unwrap();
        a.accept(t, &errors, false);
        let mut out = [0.0];
        for part in [0.2, 0.5, 0.8] {
            let t = a.t_prev() + part * step;
            a.interpolate(t, &mut out);
            dense = dense.max((out[0] - exact(t)).abs());
        }
    }
    ((a.x()[0] - exact(a.t())).abs(), dense)
}

#[test]
fn observed_orders_on_even_grids() {
    // the corrector is one order above the predictor
    for (k, h) in [(1, 0.01), (2, 0.01), (3, 0.01), (4, 0.02), (5, 0.01), (6, 0.016)] {
        let ((a, da), (b, db)) = (fixed(k, h, &[1.0]), fixed(k, 0.5 * h, &[1.0]));
        let (order, dense) = ((a / b).log2(), (da / db).log2());
        assert!((order - k as f64 - 1.0).abs() < 0.15, "order {k}: observed {order:.3}, {a:.2e} {b:.2e}");
        assert!(dense > k as f64 + 0.7, "order {k}: dense output {dense:.3}, {da:.2e} {db:.2e}");
    }
}

#[test]
fn observed_orders_on_uneven_grids() {
    for k in [1, 2, 3, 4, 6] {
        let factors = [1.0, 0.6, 1.3, 0.9, 1.2];
        let ((a, _), (b, _)) = (fixed(k, 0.02, &factors), fixed(k, 0.01, &factors));
        let order = (a / b).log2();
        assert!((order - k as f64 - 1.0).abs() < 0.5, "order {k}: observed {order:.3}, {a:.2e} {b:.2e}");
    }
}

#[test]
fn high_orders_are_exact_to_rounding() {
    for k in 9..=MAX_ORDER {
        let (end, dense) = fixed(k, 0.01, &[1.0]);
        assert!(end < 2e-13 && dense < 2e-13, "order {k}: {end:.1e} {dense:.1e}");
    }
}

#[test]
fn coefficients_of_an_even_grid_are_those_of_the_textbook() {
    let mut past = [0.0; ROWS];
    for (i, p) in past.iter_mut().enumerate() {
        *p = 0.5 * (i as f64 + 1.0);
    }
    let mut c = Coeffs::new();
    c.set(MAX_ORDER, 0.5, &past);
    let bashforth = [1.0, 1.0 / 2.0, 5.0 / 12.0, 3.0 / 8.0, 251.0 / 720.0, 95.0 / 288.0];
    for (i, want) in bashforth.into_iter().enumerate() {
        assert!((c.g[i] - want).abs() < 1e-15, "{i}");
    }
    for i in 1..=MAX_ORDER + 1 {
        // γ*_i = γ_i − γ_{i−1}, in size
        assert!((c.g[i - 1] - c.g[i] - GAMMA[i]).abs() < 1e-13, "{i}: {} {}", c.g[i - 1] - c.g[i], GAMMA[i]);
        assert!((c.sigma[i] - 1.0).abs() < 1e-14 && (c.beta[i] - 1.0).abs() < 1e-14);
    }
}
