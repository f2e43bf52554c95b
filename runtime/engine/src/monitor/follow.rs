//! Follows quantities over the steps of a run: samples them until straight lines keep near them, adds the extrema
//! between, and hands on rows and pieces in the order of time.
//!
//! What the last step brought is held back until the next one: a run may turn out to have ended within it.

/// Largest part of a step's subdivision, as a power of two.
const DEEPEST: u32 = 12;
/// Between extrema, lines follow no closer than this part of the largest magnitude.
const FINEST: f64 = 1e-6;
/// Where there are more than [`MANY`] quantities, lines follow as closely as this; extrema stay exact.
const COARSE: f64 = 1e-3;
/// See [`COARSE`].
const MANY: usize = 16_384;

/// Puts the quantities at an instant into a row.
pub type Sampler<'a, E> = &'a mut dyn FnMut(f64, &mut Vec<f64>) -> Result<(), E>;

/// What a follower hands on.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// The quantities at an instant.
    Row(f64, &'a [f64]),
    /// They are smooth from the first instant to the second; their values at the first, in the middle and at the
    /// second. The rows of this piece have been handed on but for the last.
    Piece(f64, f64, [&'a [f64]; 3]),
}

#[derive(Clone, Copy, Debug)]
struct Held {
    from: f64,
    to: f64,
    /// First of its values: one row, or three.
    at: usize,
    piece: bool,
}

/// Follows some quantities.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    width: usize,
    rtol: f64,
    /// Instants at which a piece must end.
    edges: Vec<f64>,
    /// Largest magnitude of each quantity so far.
    scale: Vec<f64>,
    held: Vec<Held>,
    values: Vec<f64>,
    /// The last row, and the last of those handed on.
    last: Option<(f64, Vec<f64>)>,
    given: Option<(f64, Vec<f64>)>,
}

impl Follower {
    /// For this many quantities, to a relative accuracy; pieces end at `edges`.
    #[must_use]
    pub fn new(width: usize, rtol: f64, mut edges: Vec<f64>) -> Follower {
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        Follower { width, rtol, edges, scale: vec![0.0; width], ..Follower::default() }
    }

    /// Adds a row: a start, another side of an event.
    pub fn row(&mut self, t: f64, row: &[f64]) {
        for (s, v) in self.scale.iter_mut().zip(row) {
            if v.is_finite() {
                *s = s.max(v.abs());
            }
        }
        self.hold(t, t, &[row], false);
        self.last = Some((t, row.to_vec()));
    }

    fn hold(&mut self, from: f64, to: f64, rows: &[&[f64]], piece: bool) {
        self.held.push(Held { from, to, at: self.values.len(), piece });
        rows.iter().for_each(|r| self.values.extend_from_slice(r));
    }

    /// Hands on what ends at or before `t`.
    pub fn give(&mut self, t: f64, take: &mut dyn FnMut(Item<'_>)) {
        let n = self.held.iter().take_while(|h| h.to <= t).count();
        let w = self.width;
        for h in &self.held[..n] {
            let row = |k: usize| &self.values[h.at + k * w..h.at + (k + 1) * w];
            if h.piece {
                take(Item::Piece(h.from, h.to, [row(0), row(1), row(2)]));
            } else {
                self.given = Some((h.to, row(0).to_vec()));
                take(Item::Row(h.to, row(0)));
            }
        }
        if n == self.held.len() {
            self.held.clear();
            self.values.clear();
        } else if n > 0 {
            let first = self.held[n].at;
            self.held.drain(..n);
            self.values.drain(..first);
            self.held.iter_mut().for_each(|h| h.at -= first);
        }
    }

    /// Goes back to `t` or, within a piece, to its start: from there the quantities are to be followed again.
    pub fn back(&mut self, t: f64) {
        let cut = self.held.iter().find(|h| h.piece && h.to > t).map_or(t, |h| h.from);
        let keep = self.held.iter().take_while(|h| h.to <= cut).count();
        if let Some(h) = self.held.get(keep) {
            self.values.truncate(h.at);
        }
        self.held.truncate(keep);
        let rows = self.held.iter().rev().find(|h| !h.piece);
        self.last = match rows {
            Some(h) => Some((h.to, self.values[h.at..h.at + self.width].to_vec())),
            None => self.given.clone(),
        };
    }

    /// Follows the quantities from the last row to `to` by halving where a straight line misses the middle by more
    /// than the accuracy of the largest magnitude, and adds the extrema between. `sample` gives the quantities at an
    /// instant.
    ///
    /// # Errors
    ///
    /// Those of `sample`.
    pub fn follow<E>(&mut self, to: f64, sample: Sampler<'_, E>) -> Result<(), E> {
        let Some(from) = self.last.as_ref().map(|l| l.0) else { return Ok(()) };
        let first = self.edges.partition_point(|e| *e <= from);
        let beyond = self.edges.partition_point(|e| *e < to);
        let between: Vec<f64> = self.edges.get(first..beyond).unwrap_or_default().to_vec();
        for edge in between {
            self.smooth(edge, sample)?;
        }
        self.smooth(to, sample)
    }

    fn smooth<E>(&mut self, to: f64, sample: Sampler<'_, E>) -> Result<(), E> {
        let Some(left) = self.last.clone().filter(|l| l.0 < to) else { return Ok(()) };
        let mut right = Vec::with_capacity(self.width);
        sample(to, &mut right)?;
        self.halve(left, (to, right.clone()), 0, sample)?;
        self.row(to, &right);
        Ok(())
    }

    fn halve<E>(
        &mut self,
        a: (f64, Vec<f64>),
        b: (f64, Vec<f64>),
        depth: u32,
        sample: Sampler<'_, E>,
    ) -> Result<(), E> {
        let mid = a.0 + (b.0 - a.0) / 2.0;
        if mid <= a.0 || mid >= b.0 {
            self.hold(a.0, b.0, &[&a.1, &a.1, &b.1], true);
            return Ok(());
        }
        let mut m = Vec::with_capacity(self.width);
        sample(mid, &mut m)?;
        // A bend that is even about the middle may hide there: steps of the solver are halved twice in any case.
        let closest = if self.width > MANY { COARSE } else { FINEST };
        let rtol = self.rtol;
        let size = |k: usize| self.scale[k].max(if b.1[k].is_finite() { b.1[k].abs() } else { 0.0 });
        let follows = depth >= DEEPEST
            || depth >= 2
                && (0..self.width).all(|k| {
                    let straight = a.1[k] + (b.1[k] - a.1[k]) / 2.0;
                    (m[k] - straight).abs() <= rtol.max(closest) * size(k) || m[k] == straight
                });
        if !follows {
            self.halve(a, (mid, m.clone()), depth + 1, sample)?;
            self.row(mid, &m);
            return self.halve((mid, m), b, depth + 1, sample);
        }
        // Where a parabola through the three has its vertex between the ends, an extremum is.
        let mut extra: Vec<f64> = Vec::new();
        for (k, middle) in m.iter().enumerate() {
            let (d1, d2) = (b.1[k] - a.1[k], a.1[k] - 2.0 * middle + b.1[k]);
            let part = -d1 / (4.0 * d2);
            let gain = d1 * d1 / (8.0 * d2.abs());
            let t = mid + part * (b.0 - a.0);
            if part.abs() < 0.5 && gain > 0.01 * rtol * size(k) && t > a.0 && t < b.0 && t != mid {
                extra.push(t);
            }
        }
        extra.sort_by(f64::total_cmp);
        extra.dedup();
        let split = extra.partition_point(|t| *t < mid);
        for (k, at) in extra[..split].iter().chain([&mid]).chain(&extra[split..]).enumerate() {
            if k == split {
                self.row(mid, &m);
                continue;
            }
            let mut row = Vec::with_capacity(self.width);
            sample(*at, &mut row)?;
            self.row(*at, &row);
        }
        self.hold(a.0, b.0, &[&a.1, &m, &b.1], true);
        Ok(())
    }
}
