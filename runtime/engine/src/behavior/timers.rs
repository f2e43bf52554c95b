//! Timers: a heap ordered by (nanosecond, sequence).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use twinml_model::behavior::CodeId;

use super::fault::FaultKind;
use super::pattern::Causes;
use super::value::Value;

/// Attoseconds in a nanosecond.
const ATTO: i128 = 1_000_000_000;

/// What a timer sets off.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Due {
    /// Tick `k` of an `every`.
    Tick { handler: u32, instance: u32, k: u64 },
    /// An `at`.
    At { handler: u32, instance: u32 },
    /// An `after` of a state: valid while the state has not been left since.
    After { handler: u32, instance: u32, generation: u32, stems: Option<Arc<Causes>> },
    /// `after d { … }`, with what armed it.
    Code {
        code: CodeId,
        instance: u32,
        args: Vec<Value>,
        purpose: u32,
        stems: Option<Arc<Causes>>,
        life: u32,
    },
    /// An absence may be complete.
    Silence { handler: u32, instance: u32 },
    /// A waiting handler.
    Wake { slot: usize, generation: u32 },
}

#[derive(Clone, Debug)]
struct Timer {
    key: (i128, u64),
    due: Due,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Timer) -> bool {
        self.key == other.key
    }
}
impl Eq for Timer {}
impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Timer) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timer {
    fn cmp(&self, other: &Timer) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// All timers of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Timer>>,
    sequence: u64,
    /// Cancelled ones still in the heap, at least.
    stale: usize,
}

impl Timers {
    /// Arms a timer for an instant in nanoseconds.
    pub(super) fn arm(&mut self, ns: i128, due: Due) {
        self.sequence += 1;
        self.heap.push(Reverse(Timer { key: (ns, self.sequence), due }));
    }

    /// The next instant.
    pub(super) fn next(&self) -> Option<i128> {
        self.heap.peek().map(|t| t.0.key.0)
    }

    /// Takes the next timer due at `now`.
    pub(super) fn pop(&mut self, now: i128) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|t| t.0.due)
    }

    /// Those of a run that goes on.
    pub(super) fn of(all: Vec<(i128, u64, Due)>, sequence: u64, stale: usize) -> Timers {
        let heap = all.into_iter().map(|(ns, n, due)| Reverse(Timer { key: (ns, n), due })).collect();
        Timers { heap, sequence, stale }
    }

    /// In the order in which they are due: instant, sequence, what they set off.
    pub(super) fn sorted(&self) -> Vec<(i128, u64, &Due)> {
        let mut all: Vec<_> = self.heap.iter().map(|t| (t.0.key.0, t.0.key.1, &t.0.due)).collect();
        all.sort_unstable_by_key(|t| (t.0, t.1));
        all
    }

    /// What they set off, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Due> {
        self.heap.iter().map(|t| &t.0.due)
    }

    /// How many were armed, and how many of them are cancelled and still there.
    pub(super) fn counts(&self) -> (u64, usize) {
        (self.sequence, self.stale)
    }

    /// Some were cancelled: where most of the heap is stale, it is cleared of what `live` says is not.
    pub(super) fn cancelled(&mut self, n: usize, live: impl Fn(&Due) -> bool) {
        self.stale += n;
        if self.stale > 64 && self.stale > self.heap.len() / 2 {
            self.heap.retain(|t| live(&t.0.due));
            self.stale = 0;
        }
    }
}

/// Tick `k` at `offset + k·period`, both in attoseconds, rounded to nanoseconds.
pub(super) fn tick(offset: i128, period: i128, k: u64) -> Option<i128> {
    let exact = period.checked_mul(i128::from(k))?.checked_add(offset)?;
    Some(exact.checked_add(ATTO / 2)?.div_euclid(ATTO))
}

/// Seconds as nanoseconds, to the nearest.
pub(super) fn nanoseconds(seconds: f64) -> Result<i128, FaultKind> {
    if (0.0..1e18).contains(&seconds) {
        Ok((seconds * 1e9).round() as i128)
    } else {
        Err(FaultKind::Time { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_exact_after_a_year() {
        // A third of a second: 333333333333333333 as is 0.333… s short by a third of an attosecond a tick.
        let p = 100_000_000_000_000_000; // 100 ms
        let year = 365 * 24 * 3600;
        assert_eq!(tick(0, p, 10 * year), Some(i128::from(year) * 1_000_000_000));
        // 1/60 s is no whole number of nanoseconds: the ticks are those of the exact period.
        let p = 16_666_666_666_666_667;
        assert_eq!(tick(0, p, 1), Some(16_666_667));
        assert_eq!(tick(0, p, 2), Some(33_333_333));
        assert_eq!(tick(0, p, 60), Some(1_000_000_000));
        assert_eq!(tick(0, i128::MAX / 2, 3), None);
    }

    #[test]
    fn timers_come_in_order_and_stale_ones_go() {
        let mut t = Timers::default();
        for k in 0..1000u32 {
            t.arm(i128::from((k * 7919) % 1000), Due::At { handler: k, instance: 0 });
        }
        let mut last = -1;
        while let Some(ns) = t.next() {
            assert!(ns >= last);
            last = ns;
            assert!(t.pop(ns - 1).is_none());
            assert!(t.pop(ns).is_some());
        }
        for k in 0..1000u32 {
            t.arm(5, Due::After { handler: 0, instance: 0, generation: k, stems: None });
            t.cancelled(1, |due| matches!(due, Due::After { generation, .. } if *generation > k));
        }
        assert!(t.heap.len() <= 130);
    }
}
