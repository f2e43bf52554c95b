//! Where a step is sampled: as densely as its root functions vary.
//!
//! Each part of the step has three inner samples and slopes at its ends and near its middle. Where the cubics through
//! values and slopes miss one of the samples, the halves are parts of their own. Where several parts of one length miss
//! theirs, all of that length are halved, and the next step begins with parts no longer than that: a wave that met the
//! samples of one part by chance shows in its neighbours. (A kink is in one part of each length, and halves no others.)
//! What is far from zero for its size is not followed. Samples stand at uneven places, so that no wave looks smooth by its
//! length alone.

use super::Probe;
use crate::error::SolveError;
use twinml_model::bytes::{Malformed, Reader, Writer};

/// Where slopes are taken, as a part of the length: so far that rounding is not all that they show.
const CLOSE: f64 = 1e-2;
/// The outermost samples of a step: what sets out from zero and comes back at once is seen there.
const EDGE: f64 = 1e-4;
/// The inner samples, as parts of the length: the middle, and within the halves.
const MIDDLE: f64 = 0.4863;
const FIRST: f64 = 0.4917;
const SECOND: f64 = 0.5083;
/// A cubic may miss by this part of what its ends and the sample differ by.
const MISS: f64 = 0.1;
/// Of the largest value that a root function ever had: below this a difference is rounding.
const ROUNDING: f64 = 1e-9;
/// Rows of one step at most, and at least: a step that takes them all and finds no change of sign quarters them for the
/// next, others double them. So a function that is noise costs little.
const MOST: usize = 1 << 15;
/// Rows that there is room for from the start.
const USUAL: usize = 128;
const LEAST: usize = 512;
/// A function that is so many times farther from zero than it varies is not followed.
const FAR: f64 = 3.0;
/// Halvings of a step.
const DEPTH: usize = 12;
/// So deep a step is halved at once because of the step before it. Parts of one length that must miss before all of it are halved, and the share of all that they must be.
const FORCED: usize = 4;
const SEVERAL: u32 = 2;
const SHARE: u32 = 4;

/// The samples of one step.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    /// Rows of values.
    pub(super) table: Vec<f64>,
    /// Time and row, in the order of time, without those that are there for slopes within the step.
    pub(super) order: Vec<(f64, usize)>,
    /// Times of the rows.
    times: Vec<f64>,
    /// Parts of the step still to be looked at.
    parts: Vec<(Node, Node, usize)>,
    /// Parts that met their samples: ends, middle and depth.
    met: Vec<(Node, Node, Node, usize)>,
    /// By depth: parts looked at, and those that missed.
    looked: [(u32, u32); DEPTH + 1],
    /// A length of which several parts missed, of late.
    wave: f64,
    /// The largest magnitude of each root function so far.
    scale: Vec<f64>,
    /// Rows that the step may take.
    budget: usize,
}

/// Empty, and without memory: what stands in while samples are taken.
impl Default for Samples {
    fn default() -> Samples {
        Samples {
            table: Vec::new(),
            order: Vec::new(),
            times: Vec::new(),
            parts: Vec::new(),
            met: Vec::new(),
            looked: [(0, 0); DEPTH + 1],
            wave: f64::INFINITY,
            scale: Vec::new(),
            budget: MOST,
        }
    }
}

/// Whether so many of the parts of one length missed that all of it are to be halved.
fn waves((looked, missed): (u32, u32)) -> bool {
    missed >= SEVERAL && missed * SHARE >= looked
}

/// A sample with one close by, for the slope.
#[derive(Clone, Copy, Debug)]
struct Node {
    t: f64,
    row: usize,
    close: usize,
}

/// The samples that every step from `t0` to `t1` begins with, in their order.
pub(super) fn first(t0: f64, t1: f64) -> [f64; 10] {
    let (edge, close) = (EDGE * (t1 - t0), CLOSE * (t1 - t0));
    let t = t0 + MIDDLE * (t1 - t0);
    let (before, after) = (t0 + FIRST * (t - t0), t + SECOND * (t1 - t));
    let next = t + CLOSE * (t1 - t0);
    [t0 + edge, t1 - edge, t0, t0 + close, t1 - close, t1, t, next, before, after]
}

impl Samples {
    /// What is rounding in root function `i`, the difference of numbers that are as large as `size` at least.
    pub(super) fn rounding(&self, i: usize, size: f64) -> f64 {
        super::ROUNDINGS * f64::EPSILON * self.scale[i].max(size)
    }

    /// For `n` root functions, with room for the samples of a usual step.
    pub(super) fn new(n: usize) -> Samples {
        Samples {
            table: Vec::with_capacity((USUAL * n).min(1 << 16).max(12 * n)),
            order: Vec::with_capacity(USUAL),
            times: Vec::with_capacity(USUAL),
            parts: Vec::with_capacity(USUAL),
            met: Vec::with_capacity(USUAL),
            scale: vec![0.0; n],
            ..Samples::default()
        }
    }

    /// Samples from `t0` to `t1`.
    pub(super) fn take(&mut self, probe: &mut Probe<'_>, t0: f64, t1: f64) -> Result<(), SolveError> {
        self.table.clear();
        self.order.clear();
        self.times.clear();
        self.parts.clear();
        let d = EDGE * (t1 - t0);
        self.sample(probe, t0 + d)?;
        self.sample(probe, t1 - d)?;
        let d = CLOSE * (t1 - t0);
        let (row, close) = (self.sample(probe, t0)?, self.sample(probe, t0 + d)?);
        let a = Node { t: t0, row, close };
        let (close, row) = (self.sample(probe, t1 - d)?, self.sample(probe, t1)?);
        let b = Node { t: t1, row, close };
        self.met.clear();
        self.looked = [(0, 0); DEPTH + 1];
        self.parts.push((a, b, 0));
        self.budget = self.budget.clamp(LEAST, MOST);
        // Breadth first, so that what is left when the rows are used up is spread over the step.
        let mut next = 0;
        loop {
            while next < self.parts.len() && self.times.len() < self.budget {
                let (a, b, depth) = self.parts[next];
                self.part(probe, a, b, depth)?;
                next += 1;
            }
            // What met its samples by chance is halved as its neighbours are.
            let (parts, looked) = (&mut self.parts, &self.looked);
            self.met.retain(|&(a, m, b, depth)| {
                let stays = depth == DEPTH || !waves(looked[depth]);
                if !stays {
                    parts.extend([(a, m, depth + 1), (m, b, depth + 1)]);
                }
                stays
            });
            if next == self.parts.len() || self.times.len() >= self.budget {
                break;
            }
        }
        let deepest = self.looked.iter().rposition(|l| waves(*l));
        self.wave = match deepest {
            Some(depth) => (t1 - t0) / (1u32 << depth) as f64,
            None => 2.0 * self.wave,
        };
        let vain = next < self.parts.len() && !self.crosses(probe.g.len());
        self.budget = if vain { self.budget / 4 } else { self.budget * 2 };
        self.order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Ok(())
    }

    /// Appends what later steps depend on, and the samples themselves if `rest` of the step is still to be searched.
    pub(super) fn save(&self, to: &mut Writer, rest: bool) {
        to.put(&self.wave).put(&self.budget).slice(&self.scale);
        if rest {
            to.slice(&self.table).put(&self.order.len());
            for (t, row) in &self.order {
                to.put(t).put(row);
            }
        }
    }

    /// Takes up what [`Samples::save`] wrote, in new ones for `n` root functions.
    pub(super) fn load(&mut self, from: &mut Reader<'_>, n: usize, rest: bool) -> Result<(), Malformed> {
        (self.wave, self.budget) = from.get()?;
        from.fill(&mut self.scale)?;
        if rest {
            let at = from.at();
            self.table = from.get()?;
            self.order = from.get()?;
            let ordered = self.order.is_sorted_by(|a, b| a.0 <= b.0);
            let rows = self.table.len() / n.max(1);
            let known = self.order.iter().all(|(t, row)| t.is_finite() && *row < rows);
            if rows * n != self.table.len() || !ordered || !known {
                return Err(Malformed { at, why: "these are no samples of a step".into() });
            }
        }
        Ok(())
    }

    /// Whether any function has both signs.
    fn crosses(&self, n: usize) -> bool {
        let positive = |row: usize, i: usize| self.table[row * n + i] > 0.0;
        (1..self.times.len()).any(|row| (0..n).any(|i| positive(row, i) != positive(0, i)))
    }

    fn sample(&mut self, probe: &mut Probe<'_>, t: f64) -> Result<usize, SolveError> {
        probe.at(t)?;
        let row = self.times.len();
        self.times.push(t);
        self.order.push((t, row));
        self.table.extend_from_slice(probe.g);
        self.scale.resize(probe.g.len(), 0.0);
        for (scale, g) in self.scale.iter_mut().zip(probe.g.iter()) {
            if g.abs() > *scale && g.is_finite() {
                *scale = g.abs();
            }
        }
        Ok(row)
    }

    fn part(&mut self, probe: &mut Probe<'_>, a: Node, b: Node, depth: usize) -> Result<(), SolveError> {
        let t = a.t + MIDDLE * (b.t - a.t);
        let (t1, t2) = (a.t + FIRST * (t - a.t), t + SECOND * (b.t - t));
        if !(t1 > a.t && t > t1 && t2 > t && b.t > t2) {
            return Ok(());
        }
        let row = self.sample(probe, t)?;
        let close = self.sample(probe, t + CLOSE * (b.t - a.t))?;
        self.order.pop();
        let m = Node { t, row, close };
        let (first, second) = (self.sample(probe, t1)?, self.sample(probe, t2)?);
        let n = probe.g.len();
        let meets = self.fits(a, b, row, n) && self.fits(a, m, first, n) && self.fits(m, b, second, n);
        self.looked[depth].0 += 1;
        self.looked[depth].1 += u32::from(!meets);
        if depth == DEPTH {
            return Ok(());
        }
        if !meets || (depth < FORCED && b.t - a.t > 0.75 * self.wave) {
            self.parts.extend([(a, m, depth + 1), (m, b, depth + 1)]);
        } else {
            self.met.push((a, m, b, depth));
        }
        Ok(())
    }

    /// Whether the cubics between two nodes meet the sample `row` between them.
    fn fits(&self, a: Node, b: Node, row: usize, n: usize) -> bool {
        let h = b.t - a.t;
        let s = (self.times[row] - a.t) / h;
        let (da, db) = (h / (self.times[a.close] - a.t), h / (self.times[b.close] - b.t));
        // Hermite's polynomials at s.
        let (r, p) = (1.0 - s, s * (1.0 - s));
        let (w0, w1) = (r * r * (1.0 + 2.0 * s), s * s * (1.0 + 2.0 * r));
        let (v0, v1) = (p * r, -p * s);
        let at = |row: usize, i: usize| self.table[row * n + i];
        (0..n).all(|i| {
            let (ga, gb, g) = (at(a.row, i), at(b.row, i), at(row, i));
            let (sa, sb) = (da * (at(a.close, i) - ga), db * (at(b.close, i) - gb));
            let miss = (w0 * ga + w1 * gb + v0 * sa + v1 * sb - g).abs();
            if miss.is_nan() {
                return true;
            }
            let (least, most) = (ga.min(gb).min(g), ga.max(gb).max(g));
            let spread = most - least;
            let near = if least > 0.0 { least } else { -most };
            miss <= MISS * spread + ROUNDING * self.scale[i] || near > FAR * (spread + miss)
        })
    }
}
