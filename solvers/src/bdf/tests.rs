//! The formulas themselves: observed orders, the dense output, and the coefficients.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::coeffs::even_error;
use super::*;
use crate::integrator::Tolerances;
use crate::system::Pattern;

/// `x' = -x² cos t`, `x(0) = 1`: `x = 1/(1 + sin t)`. A second state repeats it shifted in time.
struct Known {
    pattern: Pattern,
}

fn exact(t: f64) -> f64 {
    1.0 / (1.0 + t.sin())
}

impl System for Known {
    fn dim(&self) -> usize {
        2
    }
    fn rhs(&mut self, t: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        for i in 0..2 {
            dx[i] = -x[i] * x[i] * (t + 0.25 * i as f64).cos();
        }
        Ok(())
    }
    fn pattern(&self) -> &Pattern {
        &self.pattern
    }
    fn jacobian(&mut self, t: f64, x: &[f64], values: &mut [f64]) -> Result<(), EvalError> {
        for i in 0..2 {
            values[i] = -2.0 * x[i] * (t + 0.25 * i as f64).cos();
        }
        Ok(())
    }
    fn jvp(&mut self, t: f64, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        for i in 0..2 {
            out[i] = -2.0 * x[i] * (t + 0.25 * i as f64).cos() * v[i];
        }
        Ok(())
    }
    fn dfdt(&mut self, t: f64, x: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        for i in 0..2 {
            out[i] = x[i] * x[i] * (t + 0.25 * i as f64).sin();
        }
        Ok(())
    }
}

/// Steps of order `k` from exact past values, their sizes `h` times the factors in turn; the errors at
/// the end and of the dense output over all steps.
fn fixed(k: usize, h: f64, factors: &[f64]) -> (f64, f64) {
    let mut sys = Known { pattern: Pattern::from_entries(2, [(0, 0), (1, 1)]).unwrap() };
    let options = Options { tolerances: Tolerances::uniform(1e-12, 1e-12), ..Options::default() };
    let mut b = Bdf::new(&options);
    b.start(&mut sys, 0.0, &[exact(0.0), exact(0.25)], f64::INFINITY).unwrap();
    // φ_j on an even grid are the backward differences
    for i in 0..2 {
        let at = |m: usize| exact(0.25 * i as f64 - h * m as f64);
        let mut row: Vec<f64> = (0..MAX_ORDER + 2).map(at).collect();
        for j in 1..=MAX_ORDER + 1 {
            for m in 0..row.len() - 1 {
                row[m] -= row[m + 1];
            }
            row.pop();
            b.hist[0].0[j - 1][i] = row[0];
        }
    }
    for (j, past) in b.past.iter_mut().enumerate() {
        *past = h * (j as f64 + 1.0);
    }
    let (mut dense, mut m) = (0.0f64, 0);
    while b.t() < 2.0 - 1e-12 {
        let step = h * factors[m % factors.len()];
        m += 1;
        (b.h, b.order) = (step, k);
        let t = b.t() + step;
        b.coeffs.set(k, step, &b.past);
        assert!(b.solve(&mut sys, t, true).is_ok());
        b.accept(t, 0.1, false);
        let mut out = [0.0; 2];
        for part in [0.2, 0.5, 0.8] {
            let t = b.t_prev() + part * step;
            b.interpolate(t, &mut out);
            dense = dense.max((out[0] - exact(t)).abs()).max((out[1] - exact(t + 0.25)).abs());
        }
    }
    let end = (b.x()[0] - exact(b.t())).abs().max((b.x()[1] - exact(b.t() + 0.25)).abs());
    (end, dense)
}

#[test]
fn observed_orders_on_even_grids() {
    for k in 1..=MAX_ORDER {
        let h = [0.02, 0.02, 0.01, 0.01, 0.012][k - 1];
        let ((a, da), (b, db)) = (fixed(k, h, &[1.0]), fixed(k, 0.5 * h, &[1.0]));
        let (order, dense) = ((a / b).log2(), (da / db).log2());
        assert!((order - k as f64).abs() < 0.1, "order {k}: observed {order:.3}, {a:.2e} {b:.2e}");
        assert!(dense > k as f64 - 0.15, "order {k}: dense output {dense:.3}, {da:.2e} {db:.2e}");
    }
}

#[test]
fn observed_orders_on_uneven_grids() {
    let factors = [1.0, 0.6, 1.3, 0.9, 1.2];
    for k in 1..=MAX_ORDER {
        let h = [0.02, 0.02, 0.01, 0.01, 0.02][k - 1];
        let ((a, _), (b, _)) = (fixed(k, h, &factors), fixed(k, 0.5 * h, &factors));
        let order = (a / b).log2();
        assert!((order - k as f64).abs() < 0.3, "order {k}: observed {order:.3}, {a:.2e} {b:.2e}");
    }
}

#[test]
fn coefficients_of_an_even_grid_are_those_of_the_textbook() {
    let mut past = [0.0; MAX_ORDER + 2];
    for (j, p) in past.iter_mut().enumerate() {
        *p = 0.5 * (j as f64 + 1.0);
    }
    let mut c = Coeffs::new();
    for k in 1..=MAX_ORDER {
        c.set(k, 0.5, &past);
        for j in 0..=k + 1 {
            assert!((c.beta[j] - 1.0).abs() < 1e-15);
            assert!((c.sigma[j] - 1.0 / (j as f64 + 1.0)).abs() < 1e-15);
        }
        assert!((c.gamma[k] - coeffs::HARMONIC[k]).abs() < 1e-14);
        assert!((c.error - even_error(k)).abs() < 1e-14);
        assert!((c.c * coeffs::leading(k) - 0.5).abs() < 1e-15);
    }
}

/// Where another method stands with a smooth step behind it, backward differentiation goes on with that for its past: not from
/// order 1, and no less exact.
#[test]
fn the_last_step_of_another_method_is_a_past() {
    let options = Options { tolerances: Tolerances::uniform(1e-8, 1e-10), ..Options::default() };
    let known = || Known { pattern: Pattern::from_entries(2, [(0, 0), (1, 1)]).unwrap() };
    let end = 1.2;
    for mut before in [
        Box::new(crate::rk::tsit5::Tsit5::new(&options)) as Box<dyn Integrator>,
        Box::new(crate::adams::Adams::new(&options)),
        Box::new(crate::rosenbrock::Rosenbrock::new(&options)),
    ] {
        let (mut sys, name) = (known(), before.method().name());
        before.start(&mut sys, 0.0, &[exact(0.0), exact(0.25)], end).unwrap();
        while before.t() < 0.3 {
            before.step(&mut sys).unwrap();
        }
        let last = before.t() - before.t_prev();
        let (mut from, mut anew) = (Bdf::new(&options), Bdf::new(&options));
        from.start_from(&mut sys, &*before, end).unwrap();
        anew.start(&mut sys, before.t(), before.x(), end).unwrap();
        assert_eq!((from.t(), from.x()), (before.t(), before.x()), "{name}");
        assert!(from.h() > 0.05 * last, "{name}: {:e} after {last:e}", from.h());
        assert!(anew.h() < 0.1 * from.h(), "{name}: {:e} without", anew.h());
        for b in [&mut from, &mut anew] {
            while b.t() < end {
                b.step(&mut sys).unwrap();
            }
            let error =
                (0..2).map(|i| (b.x()[i] / exact(end + 0.25 * i as f64) - 1.0).abs()).fold(0.0, f64::max);
            assert!(error < 1e-6, "{name}: {error:e}");
        }
        assert!(from.stats().rejected <= 1, "{name}: {:?}", from.stats());
        assert!(
            from.stats().steps + 8 <= anew.stats().steps,
            "{name}: {:?} {:?}",
            from.stats(),
            anew.stats()
        );
    }
}

/// A method that has just begun has no past to give, nor has one whose last step is of no use.
#[test]
fn nothing_is_taken_from_a_method_that_has_no_past() {
    let options = Options { tolerances: Tolerances::uniform(1e-8, 1e-10), ..Options::default() };
    let mut sys = Known { pattern: Pattern::from_entries(2, [(0, 0), (1, 1)]).unwrap() };
    let mut before = crate::rk::tsit5::Tsit5::new(&options);
    before.start(&mut sys, 0.0, &[exact(0.0), exact(0.25)], 1.0).unwrap();
    let (mut from, mut anew) = (Bdf::new(&options), Bdf::new(&options));
    from.start_from(&mut sys, &before, 1.0).unwrap();
    anew.start(&mut sys, 0.0, before.x(), 1.0).unwrap();
    for _ in 0..20 {
        from.step(&mut sys).unwrap();
        anew.step(&mut sys).unwrap();
        assert_eq!((from.t().to_bits(), from.x()), (anew.t().to_bits(), anew.x()));
    }
}

/// `h' = -√(max(h, 0))` from 1, and what has left: `h = (1 - t/2)²` up to 2, then 0. The parabola is found without an error, so
/// that steps become long, and the end of it comes as a surprise.
struct Root {
    pattern: Pattern,
}

impl System for Root {
    fn dim(&self) -> usize {
        2
    }
    fn rhs(&mut self, _: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        dx[0] = -x[0].max(0.0).sqrt();
        dx[1] = -dx[0];
        Ok(())
    }
    fn pattern(&self) -> &Pattern {
        &self.pattern
    }
    fn autonomous(&self) -> bool {
        true
    }
    fn jacobian(&mut self, _: f64, x: &[f64], values: &mut [f64]) -> Result<(), EvalError> {
        values[0] = if x[0] > 0.0 { -0.5 / x[0].sqrt() } else { 0.0 };
        values[1] = -values[0];
        Ok(())
    }
    fn jvp(&mut self, _: f64, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        out[0] = v[0] * if x[0] > 0.0 { -0.5 / x[0].sqrt() } else { 0.0 };
        out[1] = -out[0];
        Ok(())
    }
    fn dfdt(&mut self, _: f64, _: &[f64], _: &mut [f64]) -> Result<(), EvalError> {
        unreachable!()
    }
}

/// The error constant of an uneven grid vanishes on the second step after one that was cut to a quarter: that step ended at
/// h = -1.2e-3.
#[test]
fn no_step_goes_unseen() {
    for rtol in [1e-6, 1e-8, 1e-10, 1e-12] {
        let mut sys = Root { pattern: Pattern::from_entries(2, [(0, 0), (1, 0)]).unwrap() };
        let options = Options { tolerances: Tolerances::uniform(rtol, 1e-3 * rtol), ..Options::default() };
        let mut b = Bdf::new(&options);
        b.start(&mut sys, 0.0, &[1.0, 0.0], 5.0).unwrap();
        while b.t() < 5.0 {
            b.step(&mut sys).unwrap();
            let exact = (1.0 - 0.5 * b.t().min(2.0)).powi(2);
            let error = (b.x()[0] - exact).abs();
            assert!(error < 10.0 * rtol, "{rtol:e}: {error:e} at {}", b.t());
        }
    }
}

/// Whatever the steps before were, a correction counts.
#[test]
fn error_constants_have_a_floor() {
    for k in 1..=MAX_ORDER {
        let mut least = f64::INFINITY;
        for ratio in 1..=400 {
            let ratio = 0.01 * f64::from(ratio);
            // `cut` steps of this ratio to the ones before
            for cut in 0..=k {
                let mut past = [0.0; MAX_ORDER + 2];
                let mut sum = 0.0;
                for (j, past) in past.iter_mut().enumerate() {
                    sum += if j < cut { 1.0 } else { 1.0 / ratio };
                    *past = sum;
                }
                let mut coeffs = Coeffs::new();
                coeffs.set(k, 1.0, &past);
                least = least.min(coeffs.error / (1.0 / coeffs.psi[k]));
            }
        }
        let even = even_error(k) * (k as f64 + 1.0);
        assert!((least / (0.5 * even) - 1.0).abs() < 1e-12, "order {k}: {least}");
    }
}
