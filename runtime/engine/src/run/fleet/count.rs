//! How many steps of a job's runs were none for lanes, and why.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a run whose neighbours' steps are computed side by side takes a step by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Apart {
    /// Its solver has turned to a method that goes alone, or to a form of it.
    Method,
    /// A loop of equations takes many corrections.
    Loop,
    /// Something else: a step whose length is none for its solver, a table that ends, a value that is no number.
    Other,
}

impl Apart {
    const ALL: [Apart; 3] = [Apart::Method, Apart::Loop, Apart::Other];
}

/// Steps of all runs that are over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Steps {
    /// All of them.
    pub all: u64,
    /// Those that runs took by themselves.
    pub alone: u64,
    /// Why most of these.
    pub why: Option<Apart>,
}

/// One run's steps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    /// The integrator's steps when it came.
    first: u64,
    /// Steps that were taken from its lane.
    pub(super) taken: u64,
    /// Reasons for steps that were not.
    apart: [u64; Apart::ALL.len()],
}

impl Count {
    /// Of a run that comes with so many steps.
    pub(super) fn from(first: u64) -> Count {
        Count { first, ..Count::default() }
    }

    pub(super) fn apart(&mut self, why: Apart) {
        self.apart[why as usize] += 1;
    }
}

/// The sums over all threads.
#[derive(Debug, Default)]
pub(super) struct Counts {
    all: AtomicU64,
    taken: AtomicU64,
    apart: [AtomicU64; Apart::ALL.len()],
}

impl Counts {
    /// Adds a run that has ended with so many steps.
    pub(super) fn add(&self, run: &Count, steps: u64) {
        self.all.fetch_add(steps.saturating_sub(run.first), Ordering::Relaxed);
        self.taken.fetch_add(run.taken, Ordering::Relaxed);
        for (sum, n) in self.apart.iter().zip(run.apart) {
            sum.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(super) fn steps(&self) -> Steps {
        let all = self.all.load(Ordering::Relaxed);
        let alone = all.saturating_sub(self.taken.load(Ordering::Relaxed));
        let count = |why: &Apart| self.apart[*why as usize].load(Ordering::Relaxed);
        let why = Apart::ALL.into_iter().rev().max_by_key(count).filter(|why| alone > 0 && count(why) > 0);
        Steps { all, alone, why }
    }
}
