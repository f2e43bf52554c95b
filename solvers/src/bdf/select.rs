//! Which order and step size come next.

use super::coeffs::{Coeffs, even_error};
use super::vector::Norms;
use crate::control::power;

/// Errors are multiplied by this before a step size is derived from them. The next step is then
/// expected to have a tenth of the error allowed, which at these orders costs a third of its length,
/// lowers the error of the whole by more than the work grows, and saves most failed steps.
const BIAS: f64 = 10.0;
/// The same for the order above, which is harder to estimate.
const BIAS_UP: f64 = 12.0;

/// Order and step size control that is not a matter of one step.
pub(super) struct Tuning {
    /// A step grows by at least this factor: less does not pay for a factorisation.
    pub grow: f64,
    /// A step grows by at most this factor.
    pub grow_max: f64,
    /// After an accepted step whose successor should be shorter than this part of it, it is shortened.
    pub shrink: f64,
    /// Growth limit while the order rises after a start.
    pub ramp: f64,
}

pub(super) const TUNING: Tuning = Tuning { grow: 1.5, grow_max: 10.0, shrink: 0.9, ramp: 100.0 };

/// An order, and the factor by which the step size may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub order: usize,
    pub factor: f64,
}

fn factor(error: f64, k: usize) -> f64 {
    1.0 / (power(error, 1.0 / (k as f64 + 1.0)) + 1e-6)
}

/// Chooses among `k − 1`, `k` and, if it may rise, `k + 1` the order that allows the longest step; on a
/// tie the lowest. `error` is the estimate at order `k`, `norms` are root mean squares.
pub(super) fn choose(k: usize, coeffs: &Coeffs, error: f64, norms: &Norms, may_rise: bool) -> Choice {
    let mut best = Choice { order: k, factor: factor(BIAS * error, k) };
    if k > 1 {
        let scale = coeffs.sigma[k - 1] * even_error(k - 1) * k as f64;
        let down = factor(BIAS * scale * norms.down, k - 1);
        if down >= best.factor {
            best = Choice { order: k - 1, factor: down };
        }
    }
    if may_rise {
        let scale = coeffs.sigma[k + 1] * even_error(k + 1) * (k as f64 + 2.0);
        let up = factor(BIAS_UP * scale * norms.up, k + 1);
        if up > best.factor {
            best = Choice { order: k + 1, factor: up };
        }
    }
    best
}
