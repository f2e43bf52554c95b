//! Step size control: error norms, controllers, the first step, the clock.
//!
//! Roots and powers here decide step sizes and so the bits of every result: they are computed with
//! additions, multiplications and divisions only, the same everywhere.

use crate::error::SolveError;
use crate::integrator::Options;
use crate::stats::Stats;
use crate::system::{EvalError, System};
use twinml_model::bytes::{Malformed, Reader, Writer};

/// `x^p` for `x > 0` with a relative error below 1e-8 for `|p| ≤ 1`; enough for step sizes, nothing else.
/// Zero gives a value near the smallest (or largest) it can return; NaN and infinity likewise stay
/// within `[2^-1000, 2^1000]`.
pub fn power(x: f64, p: f64) -> f64 {
    let y = (p * binary_logarithm(x)).clamp(-1000.0, 1000.0);
    let i = if y >= 0.0 { (y + 0.5) as i64 } else { (y - 0.5) as i64 };
    let r = (y - i as f64) * std::f64::consts::LN_2;
    let exp = 1.0
        + r * (1.0
            + r * (0.5
                + r * (1.0 / 6.0
                    + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0)))))));
    exp * f64::from_bits(((i + 1023) as u64) << 52)
}

/// The first half of [`power`]: the binary logarithm of a positive, normal number, nearly.
pub fn binary_logarithm(x: f64) -> f64 {
    const SQRT_2: f64 = std::f64::consts::SQRT_2;
    let x = x.clamp(f64::MIN_POSITIVE, f64::MAX);
    let bits = x.to_bits();
    let mut e = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if m > SQRT_2 {
        m *= 0.5;
        e += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let ln = 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q / 11.0)))));
    e as f64 + ln * std::f64::consts::LOG2_E
}

/// Polynomials of [`rough_log2`] (of the mantissa, from 1 to 2) and [`rough_exp2`] (of the rest, −½ to ½), lowest power
/// first: interpolation at Chebyshev's points.
pub(crate) const LOG2: [f64; 4] = [-2.136_232_07, 3.011_162_15, -1.026_804_91, 0.152_700_28];
/// See [`LOG2`].
pub(crate) const EXP2: [f64; 3] = [1.0, 0.703_601_18, 0.242_035_33];
/// What a number's bits are taken from to get nearly its reciprocal, within 5.1 %: exponents and, roughly, mantissas
/// change their sign.
pub(crate) const FLIP: u64 = 0x7fde_6238_22fc_16e6;
/// 1.5·2⁵²: adding it leaves the nearest integer in the low bits.
pub(crate) const MAGIC: f64 = 6_755_399_441_055_744.0;

/// The binary logarithm of a positive number to 9e-4, enough for step sizes and cheap; below the normal numbers something
/// below −1022, of infinity 1024.
pub(crate) fn rough_log2(x: f64) -> f64 {
    let bits = x.to_bits();
    let e = f64::from_bits((bits >> 52).wrapping_add(MAGIC.to_bits() - 1023)) - MAGIC;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    polynomial(m, &LOG2) + e
}

/// `Σ c[k]·x^k`, fused.
fn polynomial<const N: usize>(x: f64, c: &[f64; N]) -> f64 {
    c[..N - 1].iter().rev().fold(c[N - 1], |p, &c| p.mul_add(x, c))
}

/// 2ʸ to 0.23 %, for |y| ≤ 1000.
pub(crate) fn rough_exp2(y: f64) -> f64 {
    let i = y.round_ties_even();
    let r = y - i;
    let p = polynomial(r, &EXP2);
    p * f64::from_bits((i + MAGIC).to_bits().wrapping_add(1023) << 52)
}

/// The tolerance of one component: `atol + rtol·max(|a|, |b|)`, never zero.
#[inline(always)]
pub fn weight(atol: f64, rtol: f64, a: f64, b: f64) -> f64 {
    let m = if a.abs() > b.abs() { a.abs() } else { b.abs() };
    let w = atol + rtol * m;
    if w > f64::MIN_POSITIVE { w } else { f64::MIN_POSITIVE }
}

/// One over the tolerance of one component, `1/(atol + rtol·m)`, the sum fused, to 1.3e-4 (what is weighted are estimates,
/// and a division takes as long as a stage of a small model); `m` is its size. Beyond 2¹⁰²² negative or no number, so that
/// a mean square of what it weighs is infinite or no number.
#[inline(always)]
pub fn inverse_weight(atol: f64, rtol: f64, m: f64) -> f64 {
    let w = rtol.mul_add(m, atol);
    let w = if w > f64::MIN_POSITIVE { w } else { f64::MIN_POSITIVE };
    let y = f64::from_bits(FLIP.wrapping_sub(w.to_bits()));
    let r = (-w).mul_add(y, 1.0);
    y.mul_add(r.mul_add(r, r), y)
}

/// Root mean square of `v[i] / (atol[i] + rtol·max(|a[i]|, |b[i]|))`; NaN if anything is.
pub fn norm(v: &[f64], a: &[f64], b: &[f64], atol: &[f64], rtol: f64) -> f64 {
    let n = v.len();
    let (a, b, atol) = (&a[..n], &b[..n], &atol[..n]);
    let mut sum = 0.0;
    for i in 0..n {
        let e = v[i] / weight(atol[i], rtol, a[i], b[i]);
        sum += e * e;
    }
    (sum / n.max(1) as f64).sqrt()
}

/// The state with the largest weighted error, and that error; a NaN wins.
pub fn worst(v: &[f64], a: &[f64], b: &[f64], atol: &[f64], rtol: f64) -> (usize, f64) {
    let mut best = (0, 0.0);
    for i in 0..v.len() {
        let e = (v[i] / weight(atol[i], rtol, a[i], b[i])).abs();
        if e.is_nan() {
            return (i, e);
        }
        if e > best.1 {
            best = (i, e);
        }
    }
    best
}

/// The first state that is not finite.
pub fn not_finite(x: &[f64]) -> Option<usize> {
    x.iter().position(|v| !v.is_finite())
}

/// A proportional-integral controller of the step size (Gustafsson 1991; Hairer & Wanner IV.2).
#[derive(Clone, Debug)]
pub struct Controller {
    alpha: f64,
    beta: f64,
    retry: f64,
    safety: f64,
    min_factor: f64,
    max_factor: f64,
    err_old: f64,
    rejected: bool,
}

impl Controller {
    /// For an error estimate of local order `k` (it shrinks as `h^k`): exponents `alpha/k`, `beta/k`.
    pub fn new(k: f64, alpha: f64, beta: f64, safety: f64, min_factor: f64, max_factor: f64) -> Self {
        Controller {
            alpha: alpha / k,
            beta: beta / k,
            retry: 1.0 / k,
            safety,
            min_factor,
            max_factor,
            err_old: 1e-4,
            rejected: false,
        }
    }

    /// Forgets the past, as at a start.
    pub fn reset(&mut self) {
        self.err_old = 1e-4;
        self.rejected = false;
    }

    /// Appends what it knows of the past.
    pub(crate) fn save(&self, to: &mut Writer) {
        to.put(&self.err_old).put(&self.rejected);
    }

    /// Takes up what [`Controller::save`] wrote.
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        (self.err_old, self.rejected) = from.get()?;
        Ok(())
    }

    /// The factor for the next step after an accepted one with error `err ≤ 1`.
    pub fn accept(&mut self, err: f64) -> f64 {
        let err = err.max(1e-10);
        let mut f = self.safety * power(err, -self.alpha);
        if self.beta != 0.0 {
            f *= power(self.err_old, self.beta);
        }
        let max = if self.rejected { 1.0 } else { self.max_factor };
        f = f.clamp(self.min_factor, max);
        self.err_old = err.max(1e-4);
        self.rejected = false;
        f
    }

    /// The factor for the next attempt after an error `err > 1`.
    pub fn reject(&mut self, err: f64) -> f64 {
        self.rejected = true;
        (self.safety * power(err, -self.retry)).clamp(self.min_factor, 0.9)
    }

    /// The factor for the next attempt after a trial that could not be evaluated.
    pub fn fail(&mut self) -> f64 {
        self.rejected = true;
        0.25
    }
}

/// [`Controller`] for mean squares of weighted errors, whose roots nobody needs: in logarithms, one power a step.
#[derive(Clone, Debug)]
pub struct SquareController {
    law: Law,
    /// The logarithm of the mean square of the last accepted step, not below [`LEAST_PAST`]'s.
    past: f64,
    rejected: bool,
}

/// Constants of a controller: the factor for the next step is two to the power of
/// `log₂ safety − alpha·log₂ err + beta·log₂ err_old`.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// Exponent of the error.
    pub alpha: f64,
    /// Exponent of the error before it.
    pub beta: f64,
    /// Exponent of an error that is too large.
    pub retry: f64,
    /// How much shorter a step is than what its error allows.
    pub safety: f64,
    /// Bounds of the factor.
    pub min_factor: f64,
    /// See `min_factor`.
    pub max_factor: f64,
}

/// Mean squares below these count as these: of errors of 1e-10, and of the past 1e-4.
pub const LEAST: f64 = 1e-20;
/// See [`LEAST`].
pub const LEAST_PAST: f64 = 1e-8;
/// Of a trial that could not be evaluated.
pub const FAILED: f64 = 0.25;
/// The largest factor after a rejection.
pub const AGAIN: f64 = 0.9;

impl Law {
    /// For an error estimate of local order `k`: exponents `alpha/k`, `beta/k`.
    #[must_use]
    pub fn new(k: f64, alpha: f64, beta: f64, safety: f64, min_factor: f64, max_factor: f64) -> Self {
        Law { alpha: alpha / k, beta: beta / k, retry: 1.0 / k, safety, min_factor, max_factor }
    }
}

impl SquareController {
    /// At a start.
    #[must_use]
    pub fn new(law: Law) -> Self {
        Self { law, past: rough_log2(LEAST_PAST), rejected: false }
    }

    /// Forgets the past, as at a start.
    pub fn reset(&mut self) {
        *self = Self::new(self.law);
    }

    /// What it knows: the logarithm, and whether a trial was rejected since.
    #[must_use]
    pub fn past(&self) -> (f64, bool) {
        (self.past, self.rejected)
    }

    /// Takes up what [`SquareController::past`] gave.
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        (self.past, self.rejected) = from.get()?;
        Ok(())
    }

    /// As [`SquareController::accept`] leaves it, where the factor was computed elsewhere.
    pub fn accepted(&mut self, past: f64) {
        (self.past, self.rejected) = (past, false);
    }

    /// The factor for the next step after an accepted one with mean square `q ≤ 1`.
    pub fn accept(&mut self, q: f64) -> f64 {
        let log = rough_log2(if q > LEAST { q } else { LEAST });
        let base = self.past.mul_add(0.5 * self.law.beta, rough_log2(self.law.safety));
        let f = rough_exp2(log.mul_add(-0.5 * self.law.alpha, base));
        let most = if self.rejected { 1.0 } else { self.law.max_factor };
        let least = rough_log2(LEAST_PAST);
        (self.past, self.rejected) = (if log > least { log } else { least }, false);
        f.clamp(self.law.min_factor, most)
    }

    /// The factor for the next attempt after a mean square `q > 1`.
    pub fn reject(&mut self, q: f64) -> f64 {
        self.rejected = true;
        let f = rough_exp2(rough_log2(q).mul_add(-0.5 * self.law.retry, rough_log2(self.law.safety)));
        f.clamp(self.law.min_factor, AGAIN)
    }

    /// The factor for the next attempt after a trial that could not be evaluated.
    pub fn fail(&mut self) -> f64 {
        self.rejected = true;
        FAILED
    }
}

/// Where an integration is, and how far it may go.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Time reached.
    pub t: f64,
    /// Start of the last step.
    pub t_prev: f64,
    /// Never step beyond.
    pub stop: f64,
    /// The stop time for what begins on the way ([`crate::integrator::Integrator::set_horizon`]); it is no part of what is kept
    /// of a run, which says it anew.
    pub(crate) horizon: f64,
    h_max: f64,
    max_steps: u64,
}

/// A step to try.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Its length.
    pub h: f64,
    /// Its end.
    pub t: f64,
    /// True if the stop time made it shorter than wanted.
    pub cut: bool,
}

impl Clock {
    /// A clock at time zero.
    pub fn new(options: &Options) -> Self {
        Clock {
            t: 0.0,
            t_prev: 0.0,
            stop: 0.0,
            horizon: 0.0,
            h_max: options.h_max,
            max_steps: options.max_steps,
        }
    }

    /// Sets time and stop time.
    pub fn start(&mut self, t: f64, stop: f64) -> Result<(), SolveError> {
        if !t.is_finite() || stop.is_nan() || stop < t {
            return Err(SolveError::StopTime { t, stop });
        }
        (self.t, self.t_prev, self.stop, self.horizon) = (t, t, stop, stop);
        Ok(())
    }

    /// Appends the times.
    pub(crate) fn save(&self, to: &mut Writer) {
        to.put(&self.t).put(&self.t_prev).put(&self.stop);
    }

    /// Takes up what [`Clock::save`] wrote.
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        let (t_prev, t, stop);
        (t, t_prev, stop) = from.get::<(f64, f64, f64)>()?;
        if !(t.is_finite() && t_prev.is_finite() && t_prev <= t && t <= stop) {
            let why = format!("a step from {t_prev} s to {t} s before a stop at {stop} s is none");
            return Err(Malformed { at, why });
        }
        (self.t, self.t_prev, self.stop, self.horizon) = (t, t_prev, stop, stop);
        Ok(())
    }

    /// Moves the stop time.
    pub fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        if stop.is_nan() || stop < self.t {
            return Err(SolveError::StopTime { t: self.t, stop });
        }
        self.stop = stop;
        Ok(())
    }

    /// The stop time for what begins here by itself.
    pub(crate) fn ahead(&self) -> f64 {
        if self.horizon > self.t { self.horizon } else { self.stop }
    }

    /// Whether another trial may come after those counted: the stop is ahead and the limit of steps not reached.
    pub(crate) fn has_room(&self, stats: &Stats) -> bool {
        self.t < self.stop && stats.steps + stats.rejected < self.max_steps
    }

    /// The next step of a wanted length `h`: not beyond the stop time, and without a tiny rest before it.
    pub fn trial(&self, h: f64, stats: &Stats) -> Result<Trial, SolveError> {
        let rest = self.stop - self.t;
        if rest <= 0.0 {
            return Err(SolveError::StopTime { t: self.t, stop: self.stop });
        }
        if stats.steps + stats.rejected >= self.max_steps {
            return Err(SolveError::TooManySteps { t: self.t, h, steps: stats.steps });
        }
        let wanted = h.min(self.h_max);
        if wanted * (1.0 + 1e-9) >= rest {
            return Ok(Trial { h: rest, t: self.stop, cut: wanted > rest });
        }
        if wanted * 2.0 > rest {
            let h = 0.5 * rest;
            return Ok(Trial { h, t: self.t + h, cut: true });
        }
        Ok(Trial { h: wanted, t: self.t + wanted, cut: false })
    }

    /// True if `h` is too small to move time.
    pub fn stuck(&self, h: f64) -> bool {
        h.is_nan() || self.t + 0.1 * h <= self.t
    }

    /// The longest step allowed.
    pub fn h_max(&self) -> f64 {
        self.h_max
    }

    /// The limit on accepted and rejected steps.
    pub fn max_steps(&self) -> u64 {
        self.max_steps
    }

    /// Ends a step at `t`.
    pub fn advance(&mut self, t: f64) {
        self.t_prev = self.t;
        self.t = t;
    }
}

/// The first step size after Hairer, Nørsett & Wanner II.4, for a method of the given order.
///
/// `f0 = f(t, x)`; `x1` and `f1` are scratch. One evaluation, more only if the trial point is outside the
/// domain. Does not exceed `limit`.
#[expect(clippy::too_many_arguments, reason = "the formula has this many parts")]
pub fn first_step(
    sys: &mut dyn System,
    t: f64,
    x: &[f64],
    f0: &[f64],
    x1: &mut [f64],
    f1: &mut [f64],
    order: u32,
    (atol, rtol): (&[f64], f64),
    limit: f64,
    stats: &mut Stats,
) -> Result<f64, SolveError> {
    let d0 = norm(x, x, x, atol, rtol);
    let d1 = norm(f0, x, x, atol, rtol);
    // what a time has as resolution bounds every guess from below
    let tiny = 1e3 * f64::EPSILON * t.abs().max(1e-290);
    let mut h0 = if d0 < 1e-5 || d1 < 1e-5 { 1e-6 } else { 0.01 * (d0 / d1) };
    h0 = h0.max(tiny).min(limit);
    loop {
        for i in 0..x.len() {
            x1[i] = x[i] + h0 * f0[i];
        }
        stats.rhs += 1;
        let d2 = match sys.rhs(t + h0, x1, f1) {
            Ok(()) => {
                for i in 0..x.len() {
                    x1[i] = f1[i] - f0[i];
                }
                norm(x1, x, x, atol, rtol) / h0
            }
            Err(EvalError::Recoverable { .. }) => f64::NAN,
            Err(error) => return Err(SolveError::Eval { t, h: h0, error }),
        };
        if !d2.is_finite() {
            h0 *= 0.1;
            if t + h0 <= t || h0 < f64::MIN_POSITIVE {
                return Err(SolveError::StepTooSmall { t, h: h0, state: 0, error: f64::NAN });
            }
            continue;
        }
        let d = d1.max(d2);
        let h1 =
            if d <= 1e-15 { (h0 * 1e-3).max(1e-6) } else { power(0.01 / d, 1.0 / (f64::from(order) + 1.0)) };
        return Ok((100.0 * h0).min(h1).max(tiny).min(limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_close_to_powf() {
        let mut x = 1e-300;
        while x < 1e300 {
            for p in [-1.0, -0.2, 0.04, 0.17, 0.25, 1.0] {
                let want = f64::powf(x, p);
                if (1e-280..1e280).contains(&want) {
                    assert!((power(x, p) / want - 1.0).abs() < 2e-8, "{x} {p} {} {want}", power(x, p));
                }
            }
            x *= 1.37;
        }
        assert!(power(0.0, -0.2).is_finite() && power(f64::INFINITY, -0.2) > 0.0);
    }

    #[test]
    fn rough_powers_are_close_enough_for_steps() {
        let mut x = 3e-308;
        while x < 1e308 {
            let y = rough_log2(x);
            assert!((y - x.log2()).abs() < 9e-4, "{x} {y}");
            if y.abs() < 1000.0 {
                assert!((rough_exp2(y) / x - 1.0).abs() < 3e-3, "{x}");
            }
            x *= 1.0137;
        }
        assert!(rough_log2(0.0) <= -1022.0 && rough_log2(1e-310) <= -1022.0);
    }

    #[test]
    fn inverse_weights_are_close_to_quotients() {
        let mut w = f64::MIN_POSITIVE;
        while w < 1e307 {
            let y = inverse_weight(w, 0.0, 1.0);
            assert!((y * w - 1.0).abs() < 1.3e-4, "{w} {y}");
            w *= 1.0137;
        }
        assert_eq!(inverse_weight(0.0, 0.0, 1.0), inverse_weight(f64::MIN_POSITIVE, 0.0, 1.0));
        // a state that has run away is no small error
        for m in [f64::MAX, f64::INFINITY] {
            let e = 1e-3 * inverse_weight(1e-9, 1.0, m);
            assert!((e * e).is_infinite() || (e * e).is_nan(), "{m} {e}");
        }
    }

    #[test]
    fn the_clock_ends_on_the_stop_time() {
        let mut c = Clock::new(&Options::default());
        c.start(0.0, 1.0).ok();
        let s = Stats::default();
        let mut n = 0;
        while c.t < 1.0 {
            let trial = c.trial(0.3, &s).expect("inside");
            c.advance(trial.t);
            n += 1;
        }
        assert_eq!((n, c.t), (4, 1.0));
        assert!(matches!(c.trial(0.3, &s), Err(SolveError::StopTime { .. })));
    }
}
