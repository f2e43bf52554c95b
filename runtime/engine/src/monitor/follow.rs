//! Follows quantities over the steps of a run: samples them until straight lines keep near them, and hands on rows and
//! pieces in the order of time. Extrema within a piece are those of parabolas, which are much closer than the lines. Where
//! only an extremum of a quantity over the whole run is wanted, lines are near it where that may be.
//!
//! What the last step brought is held back until the next one: a run may turn out to have ended within it.

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::persist;

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

/// What is wanted of a quantity where that is less than all of it: an extremum over the whole run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extreme {
    /// The smallest value.
    Least,
    /// The largest value.
    Greatest,
}

/// Over a piece a parabola is trusted so many times its own bend.
const TRUST: f64 = 4.0;

/// Follows some quantities.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    width: usize,
    rtol: f64,
    /// Of which quantities only an extremum is wanted, and what it is so far, as a least value.
    wanted: Vec<Option<(Extreme, f64)>>,
    /// Instants at which a piece must end.
    edges: Vec<f64>,
    /// Largest magnitude of each quantity so far.
    scale: Vec<f64>,
    held: Vec<Held>,
    values: Vec<f64>,
    /// The last row, and the last of those handed on.
    last: Mark,
    given: Mark,
    /// Scratch: rows of the piece at hand.
    pool: Vec<f64>,
    /// Scratch: the row that is sampled.
    fresh: Vec<f64>,
}

/// A row at an instant; none at first.
#[derive(Clone, Debug, Default)]
struct Mark {
    t: Option<f64>,
    row: Vec<f64>,
}

persist!(Held { from: f64, to: f64, at: usize, piece: bool });
persist!(Mark { t: Option<f64>, row: Vec<f64> });

impl Mark {
    fn set(&mut self, t: f64, row: &[f64]) {
        self.t = Some(t);
        self.row.clear();
        self.row.extend_from_slice(row);
    }
}

impl Follower {
    /// For this many quantities, to a relative accuracy; pieces end at `edges`.
    #[must_use]
    pub fn new(width: usize, rtol: f64, mut edges: Vec<f64>) -> Follower {
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let (scale, wanted) = (vec![0.0; width], vec![None; width]);
        Follower { width, rtol, edges, scale, wanted, ..Follower::default() }
    }

    /// What it has seen, as bytes.
    pub(crate) fn save(&self, to: &mut Writer) {
        let best: Vec<Option<f64>> = self.wanted.iter().map(|w| w.map(|w| w.1)).collect();
        to.put(&best).put(&self.scale).put(&self.held).put(&self.values).put(&self.last).put(&self.given);
    }

    /// Into a follower of the same quantities.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        let best: Vec<Option<f64>> = from.get()?;
        let same = |(b, w): (&Option<f64>, &Option<(Extreme, f64)>)| b.is_some() == w.is_some();
        if best.len() != self.wanted.len() || !best.iter().zip(&self.wanted).all(same) {
            return Err(Malformed { at, why: "other quantities are followed".into() });
        }
        for (w, b) in self.wanted.iter_mut().zip(best) {
            if let (Some(w), Some(b)) = (w, b) {
                w.1 = b;
            }
        }
        from.fill(&mut self.scale)?;
        let at = from.at();
        (self.held, self.values, self.last, self.given) = from.get()?;
        // What is held follows one after the other and fills the values.
        let mut next = 0;
        for h in &self.held {
            let rows = if h.piece { 3 } else { 1 };
            if h.at != next {
                return Err(Malformed { at, why: "what is held is not where it says".into() });
            }
            next += rows * self.width;
        }
        let mark = |m: &Mark| m.row.len() == if m.t.is_some() { self.width } else { 0 };
        if next != self.values.len() || !mark(&self.last) || !mark(&self.given) {
            return Err(Malformed { at, why: "rows are of another length".into() });
        }
        Ok(())
    }

    /// Says that of quantity `k` only an extremum over the whole run is wanted: pieces in which it cannot be need not be
    /// followed closely.
    pub fn only(&mut self, k: usize, extreme: Extreme) {
        if let Some(w) = self.wanted.get_mut(k) {
            *w = Some((extreme, f64::INFINITY));
        }
    }

    /// Adds a row: a start, another side of an event.
    pub fn row(&mut self, t: f64, row: &[f64]) {
        grow(&mut self.scale, &mut self.wanted, row);
        self.held.push(Held { from: t, to: t, at: self.values.len(), piece: false });
        self.values.extend_from_slice(row);
        self.last.set(t, row);
    }

    /// [`Follower::row`] of a row in the pool.
    fn pool_row(&mut self, t: f64, k: usize) {
        let row = &self.pool[k * self.width..(k + 1) * self.width];
        grow(&mut self.scale, &mut self.wanted, row);
        self.held.push(Held { from: t, to: t, at: self.values.len(), piece: false });
        self.values.extend_from_slice(row);
        self.last.set(t, row);
    }

    /// A piece of three rows of the pool.
    fn hold(&mut self, from: f64, to: f64, rows: [usize; 3]) {
        self.held.push(Held { from, to, at: self.values.len(), piece: true });
        for k in rows {
            self.values.extend_from_slice(&self.pool[k * self.width..(k + 1) * self.width]);
        }
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
                self.given.set(h.to, row(0));
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
        match rows {
            Some(h) => self.last.set(h.to, &self.values[h.at..h.at + self.width]),
            None => self.last.clone_from(&self.given),
        }
        // What was seen beyond counts no more.
        self.wanted.iter_mut().flatten().for_each(|w| w.1 = f64::INFINITY);
    }

    /// Follows the quantities from the last row to `to` by halving where a straight line misses the middle by more
    /// than the accuracy of the largest magnitude. `sample` gives the quantities at an
    /// instant.
    ///
    /// # Errors
    ///
    /// Those of `sample`.
    pub fn follow<E>(&mut self, to: f64, sample: Sampler<'_, E>) -> Result<(), E> {
        let Some(from) = self.last.t else { return Ok(()) };
        let first = self.edges.partition_point(|e| *e <= from);
        let beyond = self.edges.partition_point(|e| *e < to);
        let between: Vec<f64> = self.edges.get(first..beyond).unwrap_or_default().to_vec();
        for edge in between {
            self.smooth(edge, sample)?;
        }
        self.smooth(to, sample)
    }

    fn smooth<E>(&mut self, to: f64, sample: Sampler<'_, E>) -> Result<(), E> {
        let Some(from) = self.last.t.filter(|t| *t < to) else { return Ok(()) };
        self.pool.clear();
        self.pool.extend_from_slice(&self.last.row);
        let right = self.sample(to, sample)?;
        self.halve((from, 0), (to, right), 0, sample)?;
        self.pool_row(to, right);
        Ok(())
    }

    /// Adds a row to the pool; its number.
    fn sample<E>(&mut self, t: f64, sample: Sampler<'_, E>) -> Result<usize, E> {
        let n = self.pool.len();
        self.fresh.clear();
        sample(t, &mut self.fresh)?;
        self.fresh.resize(self.width, f64::NAN);
        self.pool.extend_from_slice(&self.fresh);
        Ok(n.checked_div(self.width).unwrap_or(0))
    }

    /// `a` and `b`: instants and rows of the pool.
    fn halve<E>(
        &mut self,
        a: (f64, usize),
        b: (f64, usize),
        depth: u32,
        sample: Sampler<'_, E>,
    ) -> Result<(), E> {
        let mid = a.0 + (b.0 - a.0) / 2.0;
        if mid <= a.0 || mid >= b.0 {
            self.hold(a.0, b.0, [a.1, a.1, b.1]);
            return Ok(());
        }
        let m = self.sample(mid, sample)?;
        // A bend that is even about the middle may hide there: steps of the solver are halved twice in any case.
        let closest = if self.width > MANY { COARSE } else { FINEST };
        let accuracy = self.rtol.max(closest);
        let row = |k: usize| &self.pool[k * self.width..(k + 1) * self.width];
        let rows = || row(a.1).iter().zip(row(m)).zip(row(b.1)).zip(&self.scale).zip(&self.wanted);
        let follows = depth >= DEEPEST
            || depth >= 2
                && rows().all(|((((a, m), b), scale), wanted)| {
                    let size = scale.max(if b.is_finite() { b.abs() } else { 0.0 });
                    let straight = a + (b - a) / 2.0;
                    (m - straight).abs() <= accuracy * size
                        || *m == straight
                        || wanted.is_some_and(|w| elsewhere(w, *a, *m, *b))
                });
        if !follows {
            self.halve(a, (mid, m), depth + 1, sample)?;
            self.pool_row(mid, m);
            return self.halve((mid, m), b, depth + 1, sample);
        }
        grow(&mut self.scale, &mut self.wanted, &self.pool[m * self.width..(m + 1) * self.width]);
        self.hold(a.0, b.0, [a.1, m, b.1]);
        Ok(())
    }
}

/// Takes in the magnitudes of a row, and its extrema.
fn grow(scale: &mut [f64], wanted: &mut [Option<(Extreme, f64)>], row: &[f64]) {
    for ((s, w), v) in scale.iter_mut().zip(wanted).zip(row) {
        if v.is_finite() {
            *s = s.max(v.abs());
        }
        if let Some((extreme, best)) = w {
            *best = best.min(if *extreme == Extreme::Least { *v } else { -v });
        }
    }
}

/// Whether the extremum that is wanted, `best` so far, is surely none of the inside of a piece: it is at one of its ends, or it
/// was better before.
fn elsewhere((extreme, best): (Extreme, f64), a: f64, m: f64, b: f64) -> bool {
    let [a, m, b] = if extreme == Extreme::Least { [a, m, b] } else { [-a, -m, -b] };
    let bend = TRUST * (m - (a + (b - a) / 2.0)).abs();
    // A parabola is monotone where its ends differ by four times its bend.
    (b - a).abs() > 4.0 * bend || a.min(m).min(b) - bend > best
}

/// The instants at which the quantities are looked at in a piece from `from` to `to` in any case.
#[must_use]
pub fn usual_samples(from: f64, to: f64) -> [f64; 8] {
    let middle = |a: f64, b: f64| a + (b - a) / 2.0;
    let m = middle(from, to);
    let (p, q) = (middle(from, m), middle(m, to));
    [to, m, p, middle(from, p), middle(p, m), q, middle(m, q), middle(q, to)]
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
    if let [v] = values {
        return inner_of_one(from, to, v, take);
    }
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

/// [`inner`] of a single quantity.
fn inner_of_one(from: f64, to: f64, v: &[f64; 3], take: &mut dyn FnMut(f64, &[f64])) {
    let flat = steps(v);
    let vertex = if flat { None } else { vertex(*v).map(|v| v.0) };
    let middle = from + (to - from) / 2.0;
    let mut one = |part: f64| {
        let t = middle + part * (to - from);
        if t > from && t < to {
            let value = match flat {
                true if part < 0.0 => v[0],
                true => v[1],
                false => parabola(*v, part),
            };
            take(t, &[value]);
        }
    };
    match vertex {
        Some(part) if part < 0.0 => {
            one(part);
            one(0.0);
        }
        Some(part) => {
            one(0.0);
            one(part);
        }
        None => one(0.0),
    }
}
