//! When to look whether the verdict of a requirement stands, whatever may still come. A look costs as much as the rows that
//! are held, so it is not taken at every step. Robustness has a sign, and this depends on the signs of the margins alone: as
//! long as none of them changes, only the end of a window can decide.

use crate::monitor::Verdict;
use crate::monitor::online::Online;
use crate::monitor::trace::Trace;

/// The part of the rows held, as its inverse, that must be new before a margin that changes its sign is a reason to look.
const EAGER: usize = 4;
/// So many times the rows held must be new before it is looked without any reason.
const PATIENT: usize = 4;

/// Of one element of a requirement.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    verdict: Option<Verdict>,
    /// Signs of its margins in the last row.
    signs: Vec<i8>,
    /// When one of them changed last, and whether that was behind the last look.
    turned: (f64, bool),
    /// The last row that was taken in, and rows since the last look.
    seen: f64,
    fresh: usize,
    /// When a window ends.
    next: f64,
}

impl Default for Decided {
    fn default() -> Decided {
        let never = f64::NEG_INFINITY;
        Decided {
            verdict: None,
            signs: Vec::new(),
            turned: (never, true),
            seen: never,
            fresh: 1,
            next: never,
        }
    }
}

fn sign(v: f64) -> i8 {
    i8::from(v > 0.0) - i8::from(v < 0.0)
}

impl Decided {
    /// What is decided.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Whether to look, now that these rows are held.
    pub(super) fn due(&mut self, trace: &Trace, online: &Online) -> bool {
        if self.verdict.is_some() {
            return false;
        }
        let times = trace.times();
        // The last row may stand for a later instant than when it was seen, and another side of an event has its time.
        let first = times.partition_point(|t| *t < self.seen);
        for (k, t) in times.iter().enumerate().skip(first) {
            let row = trace.row(k);
            if self.signs.len() != row.len() || self.signs.iter().zip(row).any(|(s, v)| *s != sign(*v)) {
                self.signs.clear();
                self.signs.extend(row.iter().map(|v| sign(*v)));
                self.turned = (*t, true);
            }
        }
        let new = times.len() - first;
        self.fresh += new;
        self.seen = times.last().copied().unwrap_or(self.seen);
        let held = times.len();
        let due = (self.turned.1 && self.fresh > held / EAGER)
            || self.seen >= self.next
            || self.fresh > PATIENT * held.max(1);
        if due {
            self.next = online.next_end(self.seen, self.turned.0);
        }
        due
    }

    /// It was looked, and this was found.
    pub(super) fn looked(&mut self, verdict: Verdict) {
        self.fresh = 0;
        self.turned.1 = false;
        self.verdict = Some(verdict).filter(|v| *v != Verdict::Inconclusive);
    }
}
