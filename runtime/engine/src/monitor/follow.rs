//! Follows quantities over the steps of a run: samples them until straight lines keep near them, and hands on rows and
//! pieces in the order of time. Extrema within a piece are those of parabolas, which are much closer than the lines.
//!
//! What the last step brought is held back until the next one: a run may turn out to have ended within it.

/// Largest part of a step's subdivision, as a power of two.
const DEEPEST: u32 = 12;
/// Between extrema, lines follow no closer than this part of the largest magnitude.
const FINEST: f64 = 1e-6;
/// Where there are more than [`MANY`] quantities, lines follow as closely as this.
const COARSE: f64 = 1e-4;
/// See [`COARSE`].
const MANY: usize = 1024;

/// Puts the quantities at an instant into a row.
pub type Sampler<'a, E> = &'a mut dyn FnMut(f64, &mut Vec<f64>) -> Result<(), E>;

/// What a follower hands on.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// The quantities at an instant.
    Row(f64, &'a [f64]),
    /// They are smooth from the first instant to the second; their values at the first, in the middle and at the
    /// second. The row of the first instant has been handed on, that of the second follows.
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
        self.grow(row);
        self.hold(t, t, &[row], false);
        self.last = Some((t, row.to_vec()));
    }

    fn grow(&mut self, row: &[f64]) {
        for (s, v) in self.scale.iter_mut().zip(row) {
            if v.is_finite() {
                *s = s.max(v.abs());
            }
        }
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
    /// than the accuracy of the largest magnitude. `sample` gives the quantities at an
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
        self.grow(&m);
        self.hold(a.0, b.0, &[&a.1, &m, &b.1], true);
        Ok(())
    }
}

/// An extremum is told from the ends of its piece by this part of the magnitude at least.
const BULGE: f64 = 1e-10;

/// Where in a piece, as a part of it from its middle, the parabola through the three values has an extremum, and its
/// value.
#[must_use]
pub fn vertex([a, m, b]: [f64; 3]) -> Option<(f64, f64)> {
    let (d1, d2) = (b - a, a - 2.0 * m + b);
    let (part, gain) = (-d1 / (4.0 * d2), d1 * d1 / (8.0 * d2));
    let size = a.abs().max(m.abs()).max(b.abs());
    (part.abs() < 0.5 && part != 0.0 && gain.abs() > BULGE * size).then_some((part, m - gain))
}

/// The value of the parabola at a part of the piece from its middle.
#[must_use]
pub fn parabola([a, m, b]: [f64; 3], part: f64) -> f64 {
    if a == m && m == b { m } else { m + part * ((b - a) + 2.0 * part * (a - 2.0 * m + b)) }
}

/// Whether these are truth values, which hold up to the next.
fn steps(v: &[f64; 3]) -> bool {
    v.iter().all(|x| *x == 0.0 || *x == 1.0)
}

/// The instants within a piece at which one of some quantities has an extremum, and the middle, in order, each with
/// the quantities there.
pub fn inner(from: f64, to: f64, values: &[[f64; 3]], take: &mut dyn FnMut(f64, &[f64])) {
    let curved = values.iter().filter(|v| !steps(v));
    let mut parts: Vec<f64> = curved.filter_map(|v| vertex(*v)).map(|v| v.0).collect();
    parts.push(0.0);
    parts.sort_by(f64::total_cmp);
    parts.dedup();
    let middle = from + (to - from) / 2.0;
    for part in parts {
        let t = middle + part * (to - from);
        if t > from && t < to {
            let at = |v: &[f64; 3]| match steps(v) {
                true if part < 0.0 => v[0],
                true => v[1],
                false => parabola(*v, part),
            };
            let row: Vec<f64> = values.iter().map(at).collect();
            take(t, &row);
        }
    }
}
