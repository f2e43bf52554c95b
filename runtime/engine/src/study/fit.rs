//! Weighted nonlinear least squares with bounds: Levenberg–Marquardt, covariance, and what the data say nothing about.
//!
//! (D. W. Marquardt, J. SIAM 11 (1963) 431; the damping follows H. B. Nielsen, IMM-REP-1999-05. Bounds: a parameter at a bound that
//! the step would pass leaves the system of that step.)
//!
//! Parameters are scaled by their size, so that units do not matter. At the best point `C = s²(JᵀJ)⁻¹` with
//! `s² = Σr²/(n − p)`, intervals by Student's t with n − p degrees of freedom. A direction of parameter space is one that the
//! data say nothing about where its singular value is [`BLIND`] of the largest or less; the parameters with a
//! notable part in such directions are unidentifiable. A parameter that ends at a bound is held there: it has no interval, and those of
//! the others hold for its value.

#![allow(clippy::needless_range_loop, reason = "one index runs over several vectors and a matrix")]

use super::linear::eigen;
use super::student;

/// A singular value is nothing beside the largest below this ratio (of scaled parameters).
pub const BLIND: f64 = 1e-6;
/// A parameter takes part in a direction where its component is at least this.
const PART: f64 = 0.1;

/// What is minimised: residuals, already divided by their standard deviations, and their derivatives.
pub type Residuals<'r> = dyn FnMut(&[f64], bool) -> Option<(Vec<f64>, Vec<Vec<f64>>)> + 'r;

/// Limits of the iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Most iterations.
    pub iterations: u32,
    /// Relative change of the sum of squares, or of every parameter, below which it has converged.
    pub tolerance: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { iterations: 100, tolerance: 1e-10 }
    }
}

/// Where a fit ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The parameters.
    pub values: Vec<f64>,
    /// The sum of squares of the residuals.
    pub cost: f64,
    /// Whether the iteration came to its end.
    pub converged: bool,
    /// Iterations.
    pub iterations: u32,
    /// Evaluations of residuals.
    pub evaluations: u32,
    /// Residuals at the end.
    pub residuals: Vec<f64>,
    /// Their derivatives, by residual.
    pub jacobian: Vec<Vec<f64>>,
}

/// What the data say about the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Certainty {
    /// Standard errors; infinite where unidentifiable, no number where held.
    pub errors: Vec<f64>,
    /// Half widths of the intervals.
    pub half: Vec<f64>,
    /// Correlations of the estimates (of those that are identifiable; 0 beside).
    pub correlation: Vec<Vec<f64>>,
    /// The covariance, likewise.
    pub covariance: Vec<Vec<f64>>,
    /// Variance of a residual of unit weight.
    pub variance: f64,
    /// Degrees of freedom.
    pub degrees: usize,
    /// Parameters that the data do not determine.
    pub unidentifiable: Vec<bool>,
    /// Parameters that ended at a bound.
    pub held: Vec<bool>,
    /// The ratio of the largest singular value and the smallest, of scaled parameters.
    pub condition: f64,
}

fn square(r: &[f64]) -> f64 {
    r.iter().map(|r| r * r).sum()
}

/// Solves `(A + λD)x = b` for positive definite matrices by Cholesky's method; `None` where it is not.
fn solve(a: &[Vec<f64>], lambda: f64, b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let mut s = a[i][j] + if i == j { lambda * a[i][i].max(1e-300) } else { 0.0 };
            for k in 0..j {
                s -= l[i][k] * l[j][k];
            }
            if i == j {
                if s.is_nan() || s <= 0.0 {
                    return None;
                }
                l[i][i] = s.sqrt();
            } else {
                l[i][j] = s / l[j][j];
            }
        }
    }
    let mut x = b.to_vec();
    for i in 0..n {
        for k in 0..i {
            x[i] -= l[i][k] * x[k];
        }
        x[i] /= l[i][i];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            x[i] -= l[k][i] * x[k];
        }
        x[i] /= l[i][i];
    }
    Some(x)
}

/// Minimises from `start`. `None` where the residuals cannot be evaluated there.
pub fn fit(start: &[f64], bounds: &[(f64, f64)], limits: Limits, f: &mut Residuals<'_>) -> Option<Fit> {
    let n = start.len();
    let clamp = |x: f64, (lo, hi): (f64, f64)| x.max(lo).min(hi);
    let mut values: Vec<f64> = start.iter().zip(bounds).map(|(x, b)| clamp(*x, *b)).collect();
    let (mut residuals, mut jacobian) = f(&values, true)?;
    let mut cost = square(&residuals);
    if !cost.is_finite() {
        return None;
    }
    let (mut evaluations, mut lambda, mut grow) = (1, 1e-3, 2.0);
    let (mut converged, mut iterations) = (false, 0);
    'descent: while iterations < limits.iterations && !converged {
        iterations += 1;
        let size: Vec<f64> = values.iter().map(|v| if *v == 0.0 { 1.0 } else { v.abs() }).collect();
        let gradient: Vec<f64> = (0..n)
            .map(|j| size[j] * residuals.iter().zip(&jacobian).map(|(r, row)| r * row[j]).sum::<f64>())
            .collect();
        // Those at a bound that the descent would pass stay there.
        let free: Vec<usize> = (0..n)
            .filter(|&j| {
                let (lo, hi) = bounds[j];
                !(values[j] <= lo && gradient[j] > 0.0 || values[j] >= hi && gradient[j] < 0.0)
            })
            .collect();
        if free.is_empty() || free.iter().all(|&j| gradient[j] == 0.0) {
            converged = true;
            break;
        }
        let normal: Vec<Vec<f64>> = free
            .iter()
            .map(|&i| {
                let entry =
                    |&j: &usize| size[i] * size[j] * jacobian.iter().map(|row| row[i] * row[j]).sum::<f64>();
                free.iter().map(entry).collect()
            })
            .collect();
        let downhill: Vec<f64> = free.iter().map(|&j| -gradient[j]).collect();
        let (mut stuck, mut tried, mut evaluable) = (true, false, false);
        for _ in 0..40 {
            let step = solve(&normal, lambda, &downhill);
            let Some(step) = step.filter(|s| s.iter().all(|x| x.is_finite())) else {
                lambda = (lambda * grow).max(1e-12);
                grow *= 2.0;
                continue;
            };
            let mut trial = values.clone();
            for (&j, s) in free.iter().zip(&step) {
                trial[j] = clamp(values[j] + s * size[j], bounds[j]);
            }
            let small = trial.iter().zip(&values).zip(&size).all(|((a, b), s)| (a - b).abs() <= 1e-13 * s);
            if small {
                // Steps that became small because none could be evaluated say nothing.
                converged = evaluable || !tried;
                break 'descent;
            }
            evaluations += 1;
            let found = f(&trial, false).map(|(r, _)| square(&r)).filter(|c| c.is_finite());
            tried = true;
            evaluable |= found.is_some();
            let found = found.filter(|c| *c < cost);
            let Some(lower) = found else {
                lambda *= grow;
                grow *= 2.0;
                continue;
            };
            let moved = trial
                .iter()
                .zip(&values)
                .zip(&size)
                .all(|((a, b), s)| (a - b).abs() <= limits.tolerance.sqrt() * 1e-2 * s);
            let gain = (cost - lower) / cost.max(f64::MIN_POSITIVE);
            let Some((r, j)) = f(&trial, true) else {
                lambda *= grow;
                grow *= 2.0;
                continue;
            };
            evaluations += 1;
            (values, residuals, jacobian) = (trial, r, j);
            cost = square(&residuals);
            lambda = (lambda / 5.0).max(1e-12);
            grow = 2.0;
            converged = gain <= limits.tolerance || moved;
            stuck = false;
            break;
        }
        if stuck {
            // No direction goes down any more, as far as the residuals' own errors let one see; where none of them can be
            // evaluated nothing is known.
            converged = evaluable;
            break;
        }
    }
    Some(Fit { values, cost, converged, iterations, evaluations, residuals, jacobian })
}

/// What a fit within `bounds` is worth. `known`: the residuals were divided by standard deviations that are known, not
/// estimated.
#[must_use]
pub fn certainty(fit: &Fit, bounds: &[(f64, f64)], confidence: f64, known: bool) -> Certainty {
    let (n, m) = (fit.values.len(), fit.residuals.len());
    let held: Vec<bool> = fit.values.iter().zip(bounds).map(|(v, (lo, hi))| v <= lo || v >= hi).collect();
    let free: Vec<usize> = (0..n).filter(|&j| !held[j]).collect();
    let degrees = m.saturating_sub(free.len());
    let variance = if known {
        1.0
    } else if degrees == 0 {
        f64::INFINITY
    } else {
        fit.cost / degrees as f64
    };
    let size: Vec<f64> = fit.values.iter().map(|v| if *v == 0.0 { 1.0 } else { v.abs() }).collect();
    let normal: Vec<Vec<f64>> = free
        .iter()
        .map(|&i| {
            free.iter()
                .map(|&j| size[i] * size[j] * fit.jacobian.iter().map(|row| row[i] * row[j]).sum::<f64>())
                .collect()
        })
        .collect();
    let (values, vectors) = eigen(&normal);
    let largest = values.first().copied().unwrap_or(0.0).max(0.0);
    let seen = |l: f64| l > 0.0 && l > BLIND * BLIND * largest;
    let mut unidentifiable = vec![false; n];
    let mut covariance = vec![vec![0.0; n]; n];
    for (l, v) in values.iter().zip(&vectors) {
        for (vi, &i) in v.iter().zip(&free) {
            if seen(*l) {
                for (vj, &j) in v.iter().zip(&free) {
                    covariance[i][j] += variance * size[i] * size[j] * vi * vj / l;
                }
            } else if vi.abs() >= PART {
                unidentifiable[i] = true;
            }
        }
    }
    let t = if known {
        student::quantile(confidence, 1e7)
    } else {
        student::quantile(confidence, degrees.max(1) as f64)
    };
    let errors: Vec<f64> = (0..n)
        .map(|i| match (held[i], unidentifiable[i]) {
            (true, _) => f64::NAN,
            (_, true) => f64::INFINITY,
            _ => covariance[i][i].max(0.0).sqrt(),
        })
        .collect();
    let correlation = (0..n)
        .map(|i| {
            (0..n)
                .map(|j| {
                    let of = errors[i] * errors[j];
                    if of > 0.0 && of.is_finite() { covariance[i][j] / of } else { 0.0 }
                })
                .collect()
        })
        .collect();
    Certainty {
        half: errors.iter().map(|e| e * t).collect(),
        errors,
        correlation,
        covariance,
        variance,
        degrees,
        unidentifiable,
        held,
        condition: match values.last() {
            Some(l) if *l > 0.0 => (largest / l).sqrt(),
            _ => f64::INFINITY,
        },
    }
}
