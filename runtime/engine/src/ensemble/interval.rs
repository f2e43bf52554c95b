//! How sure an estimate from samples is.
//!
//! Probabilities from independent runs: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits
//! illustrated in the case of the binomial", Biometrika 26 (1934); it covers at least what it says. From randomised
//! hypercubes and sequences: the estimates of the randomisations are independent, and their mean has Student's interval
//! (A. B. Owen, "Monte Carlo theory, methods and examples", ch. 17), made wider where hits are too even for it. Decided while runs are still coming: a confidence
//! sequence, valid at all times at once, from the mixture of binomial likelihoods over a Beta(1/2, 1/2) prior and Ville's
//! inequality (H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Statist. 41
//! (1970); S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
//! sequences", Ann. Statist. 49 (2021)).

use crate::behavior::random::{self, Side};
use std::collections::BTreeMap;
use twinml_model::math::eval as m;

/// Two ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower.
    pub lo: f64,
    /// The upper.
    pub hi: f64,
}

impl Interval {
    /// All that a probability can be.
    pub const UNIT: Interval = Interval { lo: 0.0, hi: 1.0 };

    /// The distance of its ends.
    #[must_use]
    pub fn width(self) -> f64 {
        self.hi - self.lo
    }
}

/// Of a probability: `hits` of `n` independent runs, with at least this confidence.
#[must_use]
pub fn clopper_pearson(hits: u64, n: u64, confidence: f64) -> Interval {
    let Some(tail) = tail(confidence).filter(|_| n > 0) else { return Interval::UNIT };
    let (k, f) = (hits as f64, (n - hits.min(n)) as f64);
    let beta = |a: f64, b: f64, side| random::quantile("beta", &[a, b], tail, side);
    let lo = if hits == 0 { None } else { beta(k, f + 1.0, Side::Below) };
    let hi = if hits >= n { None } else { beta(k + 1.0, f, Side::Above) };
    Interval { lo: lo.unwrap_or(0.0), hi: hi.unwrap_or(1.0) }
}

/// Half of what a two-sided interval leaves out; `None` where no interval leaves it out.
fn tail(confidence: f64) -> Option<f64> {
    let tail = 0.5 * (1.0 - confidence);
    (tail > 0.0 && tail < 0.5).then_some(tail)
}

/// The number that Student's t with `dof` degrees of freedom exceeds with probability `tail`, 0 < tail < 1/2.
#[must_use]
pub fn student(dof: f64, tail: f64) -> f64 {
    // t² / (dof + t²) has a Beta(1/2, dof/2) distribution, and its complement a Beta(dof/2, 1/2) one.
    match random::quantile("beta", &[0.5 * dof, 0.5], 2.0 * tail, Side::Below) {
        Some(x) if x > 0.0 => (dof * (1.0 - x) / x).sqrt(),
        _ => f64::INFINITY,
    }
}

/// Student's interval of the mean of independent estimates.
#[must_use]
pub fn of_mean(estimates: &[f64], confidence: f64) -> Interval {
    let n = estimates.len() as f64;
    let whole = Interval { lo: f64::NEG_INFINITY, hi: f64::INFINITY };
    let Some(tail) = tail(confidence).filter(|_| n >= 2.0) else { return whole };
    let mean = estimates.iter().sum::<f64>() / n;
    let sd = (estimates.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)).sqrt();
    let half = student(n - 1.0, tail) * sd / n.sqrt();
    Interval { lo: mean - half, hi: mean + half }
}

/// Student's interval of a mean from its standard deviation.
#[must_use]
pub fn of_moments(mean: f64, sd: f64, n: u64, confidence: f64) -> Interval {
    let whole = Interval { lo: f64::NEG_INFINITY, hi: f64::INFINITY };
    let Some(tail) = tail(confidence).filter(|_| n >= 2) else { return whole };
    let half = student((n - 1) as f64, tail) * sd / (n as f64).sqrt();
    Interval { lo: mean - half, hi: mean + half }
}

/// Of a probability from randomisations: `(hits, runs)` of each. Where all of them agree that there are no hits, or
/// nothing but hits, their spread says nothing, and the runs are taken as independent, which they are at worst.
#[must_use]
pub fn of_randomisations(sets: &[(u64, u64)], confidence: f64) -> Interval {
    let (hits, n) = sets.iter().fold((0, 0), |(h, n), s| (h + s.0, n + s.1));
    let used: Vec<f64> = sets.iter().filter(|s| s.1 > 0).map(|s| s.0 as f64 / s.1 as f64).collect();
    if used.len() < sets.len() || hits == 0 || hits == n {
        return clopper_pearson(hits, n, confidence);
    }
    let found = of_mean(&used, confidence);
    let other = neighbours(sets, confidence).unwrap_or(found);
    Interval { lo: found.lo.min(other.lo).max(0.0), hi: found.hi.max(other.hi).min(1.0) }
}

/// Where runs are spread evenly, the hits of a randomisation are one of two neighbouring numbers, and often the same in
/// each: then Student's interval takes chance for certainty. Which of the two it is, is a matter of independent
/// trials, one for each randomisation. `None` where hits differ by more.
fn neighbours(sets: &[(u64, u64)], confidence: f64) -> Option<Interval> {
    let (least, most) = (sets.iter().map(|s| s.0).min()?, sets.iter().map(|s| s.0).max()?);
    if most - least > 1 {
        return None;
    }
    let count = sets.len() as u64;
    let upper = sets.iter().filter(|s| s.0 == least + 1).count() as u64;
    let part = clopper_pearson(upper, count, confidence);
    // All alike: the other number may be the one above or the one below.
    let below = if upper == 0 { -part.hi } else { part.lo };
    let size = sets.iter().map(|s| s.1).sum::<u64>() as f64 / count as f64;
    Some(Interval { lo: (least as f64 + below) / size, hi: (least as f64 + part.hi) / size })
}

/// Of a probability, valid at all numbers of runs at once: with the confidence, the probability never leaves it.
#[must_use]
pub fn always_valid(hits: u64, n: u64, confidence: f64) -> Interval {
    if n == 0 || !(confidence > 0.0 && confidence < 1.0) {
        return Interval::UNIT;
    }
    let (s, f) = (hits as f64, (n - hits.min(n)) as f64);
    let limit = -m::log(1.0 - confidence);
    let prior = random::ln_gamma(0.5) + random::ln_gamma(0.5) - random::ln_gamma(1.0);
    let mixed = random::ln_gamma(s + 0.5) + random::ln_gamma(f + 0.5) - random::ln_gamma(s + f + 1.0) - prior;
    // Logarithm of the martingale at p: the mixture's likelihood over that of p.
    let excess = |p: f64| {
        let own = if s > 0.0 { s * m::log(p) } else { 0.0 } + if f > 0.0 { f * m::log1p(-p) } else { 0.0 };
        mixed - own - limit
    };
    let best = s / (s + f);
    let edge = |mut inside: f64, mut outside: f64| {
        for _ in 0..200 {
            let mid = 0.5 * (inside + outside);
            if mid == inside || mid == outside {
                break;
            }
            if excess(mid) < 0.0 { inside = mid } else { outside = mid }
        }
        outside
    };
    Interval {
        lo: if hits == 0 { 0.0 } else { edge(best, 0.0) },
        hi: if hits >= n { 1.0 } else { edge(best, 1.0) },
    }
}

/// Ranks, from 0, of the values between which the quantile `q` of independent values lies with at least this
/// confidence; `None` where there are too few.
#[must_use]
pub fn ranks(q: f64, n: u64, confidence: f64) -> Option<(u64, u64)> {
    let tail = tail(confidence)?;
    // X of rank l is below the quantile with P(B > l), B binomial(n, q): P(B <= l) = I_{1-q}(n - l, l + 1).
    let below = |l: u64| {
        random::probability("beta", &[(n - l) as f64, l as f64 + 1.0], 1.0 - q, Side::Below).unwrap_or(1.0)
    };
    if n == 0 || below(0) > tail || 1.0 - below(n - 1) > tail {
        return None;
    }
    // The greatest l with P(B <= l) <= tail.
    let (mut lo, mut hi) = (0, n - 1);
    while lo < hi {
        let mid = lo + (hi - lo).div_ceil(2);
        if below(mid) <= tail { lo = mid } else { hi = mid - 1 }
    }
    let lower = lo;
    // The least u with P(B <= u) >= 1 - tail.
    let (mut lo, mut hi) = (lower, n - 1);
    while lo < hi {
        let mid = lo + (hi - lo) / 2;
        if below(mid) >= 1.0 - tail { hi = mid } else { lo = mid + 1 }
    }
    Some((lower, lo))
}

/// [`ranks`] of one confidence, each found once: the tables of a job ask for the same quantiles of many figures, of nearly always
/// the same number of runs.
#[derive(Debug)]
pub struct Ranks {
    confidence: f64,
    /// By the bits of the quantile and the number of values.
    known: BTreeMap<(u64, u64), Option<(u64, u64)>>,
}

impl Ranks {
    /// None found yet.
    #[must_use]
    pub fn new(confidence: f64) -> Ranks {
        Ranks { confidence, known: BTreeMap::new() }
    }

    /// As [`ranks`].
    pub fn of(&mut self, q: f64, n: u64) -> Option<(u64, u64)> {
        let confidence = self.confidence;
        *self.known.entry((q.to_bits(), n)).or_insert_with(|| ranks(q, n, confidence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(x: f64, want: f64, tolerance: f64) {
        assert!((x - want).abs() <= tolerance * want.abs().max(1e-300), "{x} is not {want}");
    }

    /// Values of published tables: Clopper–Pearson as in A. Agresti and B. Coull (1998), t as in every table.
    #[test]
    fn intervals_are_those_of_the_tables() {
        let i = clopper_pearson(10, 100, 0.95);
        near(i.lo, 0.049_004_69, 1e-6);
        near(i.hi, 0.176_222_6, 1e-6);
        let i = clopper_pearson(0, 20, 0.95);
        assert_eq!(i.lo, 0.0);
        // 1 - 0.025^(1/20)
        near(i.hi, 1.0 - 0.025f64.powf(0.05), 1e-9);
        assert_eq!(clopper_pearson(20, 20, 0.95).hi, 1.0);
        assert_eq!(clopper_pearson(0, 0, 0.95), Interval::UNIT);
        near(student(15.0, 0.025), 2.131_449_546, 1e-8);
        near(student(1.0, 0.025), 12.706_204_736, 1e-8);
        near(student(1e6, 0.025), 1.959_966_4, 1e-5);
    }

    #[test]
    fn a_confidence_sequence_is_never_left_by_more_than_it_says() {
        // 1,000 experiments of 2,000 runs each, looked at after every 50: at most 5 % may ever leave it.
        let p = 0.2;
        let mut left = 0;
        for seed in 0..1000 {
            let mut hits = 0;
            let mut out = false;
            for k in 0..2000u32 {
                hits += u64::from(random::uniforms(seed, 0, 3, k)[0] < p);
                if (k + 1) % 50 == 0 {
                    let i = always_valid(hits, u64::from(k) + 1, 0.95);
                    out |= !(i.lo <= p && p <= i.hi);
                }
            }
            left += u32::from(out);
        }
        assert!(left <= 50, "{left} of 1,000");
        let i = always_valid(5000, 10_000, 0.95);
        assert!(i.width() < 0.05 && i.lo < 0.5 && i.hi > 0.5);
    }

    #[test]
    fn quantiles_lie_between_their_ranks() {
        // The median of 100 values: ranks 40 and 61 of 1..=100 hold it with 95 % (H. A. David, Order Statistics).
        assert_eq!(ranks(0.5, 100, 0.95), Some((39, 60)));
        assert_eq!(ranks(0.99, 50, 0.95), None);
        let mut inside = 0;
        for seed in 0..400 {
            let mut list: Vec<f64> = (0..200).map(|k| random::uniforms(seed, 1, 4, k)[0]).collect();
            list.sort_by(f64::total_cmp);
            let (lo, hi) = ranks(0.9, 200, 0.95).expect("enough");
            inside += usize::from(list[lo as usize] <= 0.9 && 0.9 <= list[hi as usize]);
        }
        assert!(inside >= 380, "{inside} of 400");
    }

    #[test]
    fn randomisations_that_all_agree_are_no_certainty() {
        let i = of_randomisations(&[(0, 100); 16], 0.95);
        assert!(i.lo == 0.0 && i.hi > 0.001);
        let i = of_randomisations(&[(50, 100); 16], 0.95);
        assert!(i.lo < 0.5 && i.hi > 0.5);
        let mut sets = [(90, 100); 16];
        sets[0].0 = 88;
        let i = of_randomisations(&sets, 0.95);
        assert!(i.lo < 0.9 && i.hi > 0.899 && i.width() < 0.01);
        // Nine of ten in each: the tenth may go either way in a fifth of them.
        let i = of_randomisations(&[(9, 10); 16], 0.95);
        assert!(i.lo > 0.87 && i.lo < 0.89 && i.hi > 0.91 && i.hi < 0.93);
    }
}
