//! What `delay` looks back at: the history signals of accepted steps.
//!
//! Each step keeps the signals at five points of its dense output and interpolates them by the polynomial of degree
//! four through these points, so a delayed signal is as smooth as the step and as exact as its dense output. Before
//! the start a signal has its first value. Steps older than twice the longest delay asked for are forgotten, so
//! memory depends on the delays and not on the length of the run.

use std::collections::VecDeque;

use twinml_model::bytes::{Malformed, Reader, Writer};

/// Where a step is sampled, as parts of it.
pub(super) const POINTS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// The signals over one accepted step.
#[derive(Clone, Debug)]
struct Piece {
    t0: f64,
    t1: f64,
    /// `values[point · signals + signal]`
    values: Vec<f64>,
}

/// The signals over the recent past.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    signals: usize,
    first: Vec<f64>,
    pieces: VecDeque<Piece>,
    /// Longest and shortest positive delay asked for so far.
    longest: f64,
    shortest: f64,
}

impl History {
    pub(super) fn new(signals: usize) -> History {
        History { signals, shortest: f64::INFINITY, ..History::default() }
    }

    /// Whether nothing is ever asked.
    pub(super) fn is_empty(&self) -> bool {
        self.signals == 0
    }

    /// The shortest positive delay asked for so far: no step should be longer.
    pub(super) fn shortest(&self) -> f64 {
        self.shortest
    }

    /// How long the latest step was, where anything is looked back at.
    pub(super) fn latest(&self) -> Option<f64> {
        self.pieces.back().map(|p| p.t1 - p.t0)
    }

    /// Starts at the signals' first values.
    pub(super) fn start(&mut self, values: &[f64]) {
        self.first = values.to_vec();
        self.pieces.clear();
    }

    /// What is remembered, as bytes.
    pub(super) fn save(&self, to: &mut Writer) {
        to.put(&self.first).put(&self.pieces.len());
        for p in &self.pieces {
            to.put(&p.t0).put(&p.t1).put(&p.values);
        }
        to.put(&self.longest).put(&self.shortest);
    }

    /// Into a memory of as many signals.
    pub(super) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        self.first = from.get()?;
        let len = from.length(24)?;
        self.pieces = VecDeque::new();
        for _ in 0..len {
            self.pieces.push_back(Piece { t0: from.get()?, t1: from.get()?, values: from.get()? });
        }
        (self.longest, self.shortest) = from.get()?;
        let first = self.first.is_empty() || self.first.len() == self.signals;
        if !first || self.pieces.iter().any(|p| p.values.len() != POINTS.len() * self.signals) {
            return Err(Malformed { at, why: "other signals are remembered".into() });
        }
        Ok(())
    }

    /// Adds a step with its values at [`POINTS`], one point after the other.
    pub(super) fn push(&mut self, t0: f64, t1: f64, values: &[f64]) {
        let old = t1 - 2.0 * self.longest;
        let mut spare = None;
        while self.pieces.len() > 8 && self.pieces.front().is_some_and(|p| p.t1 < old) {
            spare = self.pieces.pop_front();
        }
        let mut piece = spare.unwrap_or_else(|| Piece { t0, t1, values: Vec::with_capacity(values.len()) });
        (piece.t0, piece.t1) = (t0, t1);
        piece.values.clear();
        piece.values.extend_from_slice(values);
        self.pieces.push_back(piece);
    }

    /// The value of `signal` at `t - tau`; from the newest step's polynomial where that is later than its end.
    pub(super) fn at(&mut self, signal: usize, t: f64, tau: f64) -> f64 {
        if tau > 0.0 {
            self.longest = self.longest.max(tau);
            self.shortest = self.shortest.min(tau);
        }
        let when = t - tau;
        // The first step that ends at or after the instant.
        let index = self.pieces.partition_point(|p| p.t1 < when).min(self.pieces.len().saturating_sub(1));
        let Some(piece) = self.pieces.get(index) else {
            return self.first.get(signal).copied().unwrap_or(f64::NAN);
        };
        if when < piece.t0 && index == 0 {
            return if when.is_nan() { f64::NAN } else { piece.values[signal] };
        }
        let u = (when - piece.t0) / (piece.t1 - piece.t0);
        let mut sum = 0.0;
        for (i, a) in POINTS.iter().enumerate() {
            let value = piece.values[i * self.signals + signal];
            if u == *a {
                return value;
            }
            let mut weight = 1.0;
            for (j, b) in POINTS.iter().enumerate() {
                if i != j {
                    weight *= (u - b) / (a - b);
                }
            }
            sum += weight * value;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quartic_is_looked_back_at_exactly_and_memory_is_bounded() {
        let f = |t: f64| 1.0 + t * (2.0 + t * (-1.0 + t * (0.5 - 0.25 * t)));
        let mut history = History::new(1);
        history.start(&[f(0.0)]);
        assert_eq!(history.at(0, 0.0, 5.0), f(0.0));
        for k in 0..200 {
            let (t0, t1) = (0.01 * f64::from(k), 0.01 * f64::from(k + 1));
            history.push(t0, t1, &POINTS.map(|p| f(t0 + p * (t1 - t0))));
            let asked = history.at(0, t1, 0.1);
            let want = f((t1 - 0.1).max(0.0));
            assert!((asked - want).abs() < 1e-12, "{asked} {want}");
        }
        assert_eq!(history.shortest(), 0.1);
        assert!(history.pieces.len() >= 500 / 100 && history.pieces.len() < 1200);
    }
}
