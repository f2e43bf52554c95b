//! Student's t distribution.

use crate::behavior::random::{self, Side};

/// The number that Student's t with `degrees` of freedom exceeds in magnitude with probability `1 − confidence`:
/// the half width of an interval, in standard errors.
///
/// With `B` of the beta distribution (ν/2, 1/2), `t² = ν(1 − B)/B`.
#[must_use]
pub fn quantile(confidence: f64, degrees: f64) -> f64 {
    let tail = 1.0 - confidence;
    match random::quantile("beta", &[0.5 * degrees, 0.5], tail, Side::Below) {
        Some(b) if b > 0.0 => (degrees * (1.0 - b) / b).sqrt(),
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn against_the_tables() {
        for (confidence, degrees, want) in
            [(0.95, 1.0, 12.706_204_736), (0.95, 10.0, 2.228_138_852), (0.99, 30.0, 2.749_995_654)]
        {
            let t = super::quantile(confidence, degrees);
            assert!((t - want).abs() < 1e-6, "{t} {want}");
        }
    }
}
