//! Wald's sequential test of a probability: runs go on until the likelihood of "well above" and that of "well below"
//! are far enough apart.
//!
//! A. Wald, "Sequential Tests of Statistical Hypotheses", Ann. Math. Statist. 16 (1945). Between `p + zone` and
//! `p - zone` either answer will do. The test ends where the likelihood ratio of the two leaves `[alpha, 1 / alpha]`
//! with `alpha = 1 - confidence`: by Ville's inequality it does so on the wrong side with a probability of at most
//! `alpha`, however often and whenever it is looked at. (Wald's own limits, `(1 - beta) / alpha` and so on, hold for the
//! sum of both errors only.)

use twinml_model::math::eval as m;

/// What a test says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The probability is not `p - zone` or less.
    Above,
    /// It is not `p + zone` or more.
    Below,
}

/// A test of whether a probability is above or below `p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// Logarithm of the likelihood ratio of a hit.
    hit: f64,
    /// Of a miss.
    miss: f64,
    /// Logarithm of the ratio that ends it.
    limit: f64,
}

impl Test {
    /// A test of `p`, with errors of at most `1 - confidence` outside of `p - zone` to `p + zone`. `None` where these
    /// are no probabilities between 0 and 1, or there is no such confidence.
    #[must_use]
    pub fn new(p: f64, zone: f64, confidence: f64) -> Option<Test> {
        let (above, below) = (p + zone, p - zone);
        if !(zone > 0.0
            && below > 0.0
            && above < 1.0
            && below < above
            && confidence > 0.5
            && confidence < 1.0)
        {
            return None;
        }
        Some(Test {
            hit: m::log(above / below),
            miss: m::log1p(-above) - m::log1p(-below),
            limit: -m::log(1.0 - confidence),
        })
    }

    /// Logarithm of the likelihood of `p + zone` over that of `p - zone`.
    #[must_use]
    pub fn ratio(&self, hits: u64, n: u64) -> f64 {
        hits as f64 * self.hit + (n - hits.min(n)) as f64 * self.miss
    }

    /// What `n` runs say of which at least `least` and at most `most` are hits; none: not yet anything.
    #[must_use]
    pub fn answer(&self, least: u64, most: u64, n: u64) -> Option<Answer> {
        if self.ratio(least, n) >= self.limit {
            Some(Answer::Above)
        } else if self.ratio(most, n) <= -self.limit {
            Some(Answer::Below)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::random;

    /// Of `seeds` tests at probability `p`, looked at after every `every` runs: those that end above, those that end
    /// below, and the mean of the runs that they took.
    fn outcomes(test: &Test, p: f64, every: u32, seeds: u64) -> (u64, u64, f64) {
        let (mut above, mut below, mut runs) = (0, 0, 0);
        for seed in 0..seeds {
            let mut hits = 0;
            for k in 0..1_000_000u32 {
                hits += u64::from(random::uniforms(seed, 0, 5, k)[0] < p);
                let n = u64::from(k) + 1;
                if !(k + 1).is_multiple_of(every) {
                    continue;
                }
                if let Some(a) = test.answer(hits, hits, n) {
                    *(if a == Answer::Above { &mut above } else { &mut below }) += 1;
                    runs += n;
                    break;
                }
            }
        }
        (above, below, runs as f64 / seeds as f64)
    }

    /// Errors at the ends of the zone, over many seeds, looked at after each run and at wider intervals; and the number
    /// of runs that Wald's equation foretells.
    #[test]
    fn errors_stay_below_their_limits_and_runs_near_walds() {
        let seeds = 4000;
        for (p, zone, confidence) in [(0.9, 0.05, 0.95), (0.5, 0.1, 0.9), (0.97, 0.02, 0.95)] {
            let test = Test::new(p, zone, confidence).expect("a test");
            let alpha = 1.0 - confidence;
            for every in [1, 50] {
                let (above, below, _) = outcomes(&test, p - zone, every, seeds);
                assert_eq!(above + below, seeds);
                // Three standard deviations above the bound would be chance.
                let most = seeds as f64 * alpha + 3.0 * (seeds as f64 * alpha * confidence).sqrt();
                assert!((above as f64) <= most, "p = {p}, every {every}: {above} of {seeds} wrong");
                let (wrong_above, wrong, runs) = outcomes(&test, p + zone, every, seeds);
                assert_eq!(wrong_above + wrong, seeds);
                assert!((wrong as f64) <= most, "p = {p}, every {every}: {wrong} of {seeds} wrong");
                if every > 1 {
                    continue;
                }
                // The bound is no empty one: the likelihood ratio oversteps its limits by less than one run's part.
                assert!(above as f64 > 0.5 * seeds as f64 * alpha, "p = {p}: {above} of {seeds}");
                // Wald: the mean number of runs is the mean of the last ratio over that of one run's part.
                let step = (p + zone) * test.hit + (1.0 - p - zone) * test.miss;
                let last = (confidence - alpha) * test.limit;
                let foretold = last / step;
                assert!(
                    runs >= 0.97 * foretold && runs <= 1.25 * foretold,
                    "p = {p}: {runs}, not {foretold}"
                );
            }
        }
    }

    #[test]
    fn runs_that_stayed_open_decide_nothing() {
        let test = Test::new(0.5, 0.1, 0.95).expect("a test");
        assert_eq!(test.answer(80, 80, 100), Some(Answer::Above));
        assert_eq!(test.answer(50, 80, 100), None);
        assert_eq!(test.answer(20, 80, 100), None);
        assert_eq!(test.answer(20, 20, 100), Some(Answer::Below));
        assert_eq!(test.answer(0, 0, 0), None);
    }

    #[test]
    fn what_is_no_test_is_refused() {
        for (p, zone, confidence) in [
            (0.99, 0.01, 0.95),
            (0.01, 0.02, 0.95),
            (0.5, 0.0, 0.95),
            (0.5, -0.1, 0.95),
            (0.5, f64::NAN, 0.95),
        ] {
            assert_eq!(Test::new(p, zone, confidence), None, "{p} {zone}");
        }
        assert_eq!(Test::new(0.5, 0.1, 1.0), None);
        assert_eq!(Test::new(0.5, 0.1, 0.5), None);
    }
}
