//! Rows of quantities in the order of time, and the signals that they are of.

use super::signal::Signal;
use twinml_model::bytes::{Malformed, Reader, Writer};

/// The signals of some quantities, sampled at common instants. A row that is no later than the one before it is
/// another side of an event.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    width: usize,
    times: Vec<f64>,
    /// Row-major: one row an instant.
    values: Vec<f64>,
}

impl Trace {
    /// For this many quantities.
    #[must_use]
    pub fn new(width: usize) -> Trace {
        Trace { width, ..Trace::default() }
    }

    /// The rows, as bytes.
    pub(crate) fn save(&self, to: &mut Writer) {
        to.put(&self.times).put(&self.values);
    }

    /// Into a trace of as many quantities.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        (self.times, self.values) = from.get()?;
        if self.times.len().checked_mul(self.width) != Some(self.values.len()) {
            return Err(Malformed { at, why: "rows are of another length".into() });
        }
        Ok(())
    }

    /// The first instant held.
    #[must_use]
    pub fn first(&self) -> Option<f64> {
        self.times.first().copied()
    }

    /// The last instant.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.times.last().copied()
    }

    /// The row at `k`.
    #[must_use]
    pub fn row(&self, k: usize) -> &[f64] {
        &self.values[k * self.width..(k + 1) * self.width]
    }

    /// The instants held.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Rows held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a row; one equal to the row before it at the same instant says nothing.
    pub fn push(&mut self, t: f64, row: &[f64]) {
        let n = self.times.len();
        if n > 0 && self.times[n - 1] == t && self.values[(n - 1) * self.width..] == *row {
            return;
        }
        self.times.push(t);
        self.values.extend_from_slice(row);
    }

    /// Puts a later row in the place of the last one.
    pub fn replace_last(&mut self, t: f64, row: &[f64]) {
        if let Some(last) = self.times.last_mut() {
            *last = t;
            let from = self.values.len() - self.width;
            self.values[from..].copy_from_slice(row);
        }
    }

    /// Forgets what lies before `t`, but for what says how the signals are at `t`.
    pub fn forget(&mut self, t: f64) {
        let first = self.times.partition_point(|at| *at < t);
        let drop = if self.times.get(first) == Some(&t) { first } else { first.saturating_sub(1) };
        self.times.drain(..drop);
        self.values.drain(..drop * self.width);
    }

    /// The signal of quantity `k`, each value changed by `f`. Truth values (`steps`) hold up to the next row.
    #[must_use]
    pub fn signal(&self, k: usize, steps: bool, f: impl Fn(f64) -> f64) -> Signal {
        let rows = self.values.chunks_exact(self.width.max(1));
        Signal::of_rows(self.times.iter().zip(rows).map(|(t, row)| (*t, f(row[k]))), steps)
    }
}
