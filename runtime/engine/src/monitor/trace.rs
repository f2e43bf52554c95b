//! Signals as a run leaves them: sampled between accepted steps until straight lines follow them.

use super::signal::Signal;

/// Largest part of a step's subdivision, as a power of two.
const DEEPEST: u32 = 12;
/// Between extrema, lines follow no closer than this part of the largest magnitude.
const FINEST: f64 = 1e-6;
/// Where there are more than [`MANY`] quantities, lines follow as closely as this; extrema stay exact.
const COARSE: f64 = 1e-3;
/// See [`COARSE`].
const MANY: usize = 256;

/// Puts the quantities at an instant into a row.
pub type Sampler<'a, E> = &'a mut dyn FnMut(f64, &mut Vec<f64>) -> Result<(), E>;

/// The signals of some quantities, sampled at common instants.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    width: usize,
    times: Vec<f64>,
    /// Row-major: one row an instant.
    values: Vec<f64>,
    /// Largest magnitude of each quantity so far.
    scale: Vec<f64>,
}

impl Trace {
    /// For this many quantities.
    #[must_use]
    pub fn new(width: usize) -> Trace {
        Trace { width, scale: vec![0.0; width], ..Trace::default() }
    }

    /// The last instant.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.times.last().copied()
    }

    /// A row that is no later than those before is another side of an event.
    pub fn push(&mut self, t: f64, row: &[f64]) {
        let n = self.times.len();
        // A row equal to the one before it at the same instant says nothing.
        if n > 0 && self.times[n - 1] == t && self.row(n - 1) == row {
            return;
        }
        self.times.push(t);
        self.values.extend_from_slice(row);
        for (s, v) in self.scale.iter_mut().zip(row) {
            *s = s.max(v.abs());
        }
    }

    /// Forgets what is later than `t`: the run turned out to end there.
    pub fn cut(&mut self, t: f64) {
        let keep = self.times.partition_point(|at| *at <= t);
        self.times.truncate(keep);
        self.values.truncate(keep * self.width);
    }

    fn row(&self, k: usize) -> &[f64] {
        &self.values[k * self.width..(k + 1) * self.width]
    }

    /// Follows the quantities from the last row to `to` by halving where a straight line misses the middle by more
    /// than `rtol` of the largest magnitude, and adds the extrema between. `sample` gives the quantities at an instant.
    ///
    /// # Errors
    ///
    /// Those of `sample`.
    pub fn follow<E>(&mut self, to: f64, rtol: f64, sample: Sampler<'_, E>) -> Result<(), E> {
        let Some(from) = self.last().filter(|t| *t < to) else { return Ok(()) };
        let left = self.row(self.times.len() - 1).to_vec();
        let mut right = Vec::with_capacity(self.width);
        sample(to, &mut right)?;
        self.halve((from, left), (to, right.clone()), rtol, 0, sample)?;
        self.push(to, &right);
        Ok(())
    }

    fn halve<E>(
        &mut self,
        a: (f64, Vec<f64>),
        b: (f64, Vec<f64>),
        rtol: f64,
        depth: u32,
        sample: Sampler<'_, E>,
    ) -> Result<(), E> {
        let mid = a.0 + (b.0 - a.0) / 2.0;
        if depth >= DEEPEST || mid <= a.0 || mid >= b.0 {
            return Ok(());
        }
        let mut m = Vec::with_capacity(self.width);
        sample(mid, &mut m)?;
        // A bend that is even about the middle may hide there: steps of the solver are halved twice in any case.
        let closest = if self.width > MANY { COARSE } else { FINEST };
        let follows = depth >= 2
            && (0..self.width).all(|k| {
                let straight = a.1[k] + (b.1[k] - a.1[k]) / 2.0;
                let size = self.scale[k].max(b.1[k].abs());
                (m[k] - straight).abs() <= rtol.max(closest) * size || m[k] == straight
            });
        if !follows {
            self.halve(a, (mid, m.clone()), rtol, depth + 1, sample)?;
            self.push(mid, &m);
            return self.halve((mid, m), b, rtol, depth + 1, sample);
        }
        // Where a parabola through the three has its vertex between the ends, an extremum is.
        let mut extra: Vec<f64> = Vec::new();
        for (k, middle) in m.iter().enumerate() {
            let (d1, d2) = (b.1[k] - a.1[k], a.1[k] - 2.0 * middle + b.1[k]);
            let part = -d1 / (4.0 * d2);
            let gain = d1 * d1 / (8.0 * d2.abs());
            let size = self.scale[k].max(b.1[k].abs());
            let t = mid + part * (b.0 - a.0);
            if part.abs() < 0.5 && gain > 0.01 * rtol * size && t > a.0 && t < b.0 && t != mid {
                extra.push(t);
            }
        }
        extra.sort_by(f64::total_cmp);
        extra.dedup();
        let split = extra.partition_point(|t| *t < mid);
        for (k, at) in extra[..split].iter().chain([&mid]).chain(&extra[split..]).enumerate() {
            if k == split {
                self.push(mid, &m);
                continue;
            }
            let mut row = Vec::with_capacity(self.width);
            sample(*at, &mut row)?;
            self.push(*at, &row);
        }
        Ok(())
    }

    /// The signal of quantity `k`, each value changed by `f`. Truth values (`steps`) hold up to the next row.
    #[must_use]
    pub fn signal(&self, k: usize, steps: bool, f: impl Fn(f64) -> f64) -> Signal {
        let mut points = Vec::with_capacity(self.times.len());
        for (n, t) in self.times.iter().enumerate() {
            let v = f(self.values[n * self.width + k]);
            if steps
                && let Some(&(before, old)) = points.last()
                && before < *t
                && old != v
            {
                points.push((*t, old));
            }
            points.push((*t, v));
        }
        Signal(points)
    }
}
