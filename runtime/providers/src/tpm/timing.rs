//! How long a TPM took: a histogram for each operation.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Parts of each octave: a bucket is at most an eighth wider than its lower edge.
const PARTS: u64 = 8;

/// Durations of one operation: counts of buckets that grow by an eighth of an octave, from one microsecond.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: BTreeMap<u64, u64>,
    count: u64,
    max: u64,
}

/// The upper edge, in microseconds, of the bucket that holds `us`.
fn edge(us: u64) -> u64 {
    let us = us.max(1);
    // Below eight microseconds each is its own; from there the top four bits name the bucket.
    let shift = us.ilog2().saturating_sub(PARTS.ilog2());
    ((us >> shift) << shift) + (1 << shift) - 1
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX >> 1).min(u64::MAX >> 1);
        *self.buckets.entry(edge(us)).or_default() += 1;
        self.count += 1;
        self.max = self.max.max(us);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, in microseconds.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// In microseconds, the upper edge of the bucket that holds the quantile `part` of a hundred: at most an eighth above
    /// the quantile, never above the longest. Zero where nothing was counted.
    pub fn percentile(&self, part: u64) -> u64 {
        let rank = (self.count * part).div_ceil(100).max(1);
        let mut seen = 0;
        for (edge, n) in &self.buckets {
            seen += n;
            if seen >= rank {
                return (*edge).min(self.max);
            }
        }
        0
    }

    /// The buckets that are not empty: upper edge in microseconds, and how many.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter().map(|(edge, n)| (*edge, *n))
    }
}

/// A histogram for each operation that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timings(BTreeMap<&'static str, Histogram>);

impl Timings {
    /// Operations in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        self.0.iter().map(|(name, h)| (*name, h))
    }

    /// That operation's.
    pub fn of(&self, operation: &str) -> Option<&Histogram> {
        self.0.get(operation)
    }

    pub(super) fn add(&mut self, operation: &'static str, since: Instant) {
        self.0.entry(operation).or_default().add(since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn buckets_hold_what_they_say() {
        for us in (0..5000).chain([1 << 40, u64::MAX >> 2]) {
            let e = edge(us);
            assert!(e >= us && e - us.max(1) <= us.max(1) / PARTS, "{us} in {e}");
            assert_eq!(edge(e), e, "{us}");
        }
        let mut h = Histogram::default();
        for us in 1..=1000 {
            h.add(Duration::from_micros(us));
        }
        assert_eq!((h.count(), h.max()), (1000, 1000));
        assert_eq!(h.buckets().map(|b| b.1).sum::<u64>(), 1000);
        assert!((500..=563).contains(&h.percentile(50)), "{}", h.percentile(50));
        assert!((990..=1000).contains(&h.percentile(99)), "{}", h.percentile(99));
        h.add(Duration::MAX);
        assert_eq!(Histogram::default().percentile(50), 0);
    }
}
