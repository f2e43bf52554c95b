//! Root finding on dense output: every crossing of a step, in order, each located to the last bits.
//!
//! Plain data without I/O that the engine drives:
//!
//! 1. [`RootFinder::arm`] at the start and after every change of states or of `f`;
//! 2. after each step [`RootFinder::next`]: the first crossing in the step, or none;
//! 3. at a crossing the engine acts. If it changed nothing that integration depends on, it calls `next`
//!    again for the later crossings of the same step. Otherwise it restarts the integrator there, arms
//!    again, and the rest of the step is forgotten.
//!
//! **Sides.** Each root function has a side, `true` where `g > 0`. A relation `a > b` is `g = a − b` and
//! holds on the side `true`; `a >= b` is `g = b − a` and holds on the side `false`; so all four relations
//! are exact also where `g` is zero. A crossing is a change of side, at the first time found to be on the
//! new side: there `g` has its new sign, and what restarts there does not find the same crossing again.
//!
//! What crosses within sixteen roundings of time crosses at one instant: two conditions that mean the same
//! time and are computed in different ways are simultaneous.
//!
//! **What may be lost.** A step is sampled until a cubic through neighbouring samples says what the root functions
//! do between them ([`samples`]): a sine of time shows all its waves, however long the steps of the states are. Extrema
//! that come near zero are followed to the bottom, so a root function that dips through zero and back between two
//! samples is found. What only touches zero, to rounding, crosses nothing.

use crate::error::SolveError;
use crate::integrator::Integrator;
use crate::state;
use crate::system::{EvalError, System};
use twinml_model::bytes::{Malformed, Reader, Writer};

mod samples;
use samples::Samples;

/// A change of side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// The root function.
    pub index: usize,
    /// True if `g` became positive.
    pub rising: bool,
}

/// What a root function watches over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Watched {
    /// Nothing that the engine keeps.
    Nothing,
    /// A comparison, by which it is on this side.
    Comparison(bool),
    /// The cell of a whole number, inside of which it is positive; how large the numbers are that it is the difference of.
    Cell(f64),
}

impl Watched {
    /// The side on which the root function is by it.
    #[must_use]
    pub fn side(self) -> Option<bool> {
        match self {
            Watched::Nothing => None,
            Watched::Comparison(side) => Some(side),
            Watched::Cell(_) => Some(true),
        }
    }

    /// How far from zero root function `i` may be by rounding.
    fn edge(self, i: usize, samples: &Samples) -> f64 {
        samples.rounding(i, if let Watched::Cell(size) = self { size } else { 0.0 })
    }
}

/// Roundings of the states, or of a root function itself, that may hide whether it has left zero.
const ROUNDINGS: f64 = 4.0;
/// Crossings within so many roundings of time are one instant; then the least of these by which all have happened is
/// taken.
const SAME: [f64; 4] = [16.0, 8.0, 4.0, 2.0];
/// Evaluations spent on following one extremum.
const FOLLOW: usize = 40;

/// The state of root finding: sides, and how far the current step was searched.
#[derive(Clone, Debug, Default)]
pub struct RootFinder {
    sides: Vec<bool>,
    cursor: f64,
    /// The last time found before the crossing.
    before: f64,
    armed: bool,
    /// Root functions that were on their edge when sides were taken and have not left it yet: how far from zero is still
    /// rounding there. Zero for the others.
    leaving: Vec<f64>,
    /// Root functions of cells, which cross where they leave their edge.
    cells: Vec<bool>,
    crossings: Vec<Crossing>,
    /// Scratch: what changes sides in the step, each once.
    candidates: Vec<Candidate>,
    /// Scratch: which root functions need a look.
    looks: Vec<bool>,
    x: Vec<f64>,
    g: Vec<f64>,
    /// Scratch: the root functions at two points.
    table: Vec<f64>,
    samples: Samples,
    /// The step that the samples are of.
    sampled: (f64, f64),
    evaluations: u64,
}

/// A root function that changes sides between two points.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    index: usize,
    /// The last point known to be on the old side, and one on the new side.
    a: Point,
    b: Point,
}

impl Candidate {
    /// Where a straight line changes sides.
    fn guess(&self) -> f64 {
        let part = self.a.1 / (self.a.1 - self.b.1);
        self.a.0 + part.clamp(0.0, 1.0) * (self.b.0 - self.a.0)
    }
}

/// The step being searched.
struct Probe<'a> {
    sys: &'a mut dyn System,
    step: &'a dyn Integrator,
    x: &'a mut [f64],
    g: &'a mut [f64],
    count: &'a mut u64,
    /// The states do not matter.
    timed: bool,
}

impl Probe<'_> {
    /// All root functions at `t`, in `self.g`; NaN where the system cannot say.
    fn at(&mut self, t: f64) -> Result<(), SolveError> {
        *self.count += 1;
        if self.sys.roots_known(t, self.g) {
            return Ok(());
        }
        if !self.timed {
            self.step.interpolate(t, self.x);
        }
        match self.sys.roots(t, self.x, self.g) {
            Ok(()) => Ok(()),
            Err(EvalError::Recoverable { .. }) => {
                self.g.fill(f64::NAN);
                Ok(())
            }
            Err(error) => Err(SolveError::Eval { t, h: 0.0, error }),
        }
    }

    fn one(&mut self, t: f64, i: usize) -> Result<f64, SolveError> {
        self.at(t)?;
        Ok(self.g[i])
    }
}

/// The instants at which root functions are looked at in a step from `t0` to `t1` in any case.
#[must_use]
pub fn usual_samples(t0: f64, t1: f64) -> [f64; 10] {
    samples::first(t0, t1)
}

impl RootFinder {
    /// For a system of `dim` states and `n_roots` root functions.
    pub fn new(dim: usize, n_roots: usize) -> Self {
        RootFinder {
            sides: vec![false; n_roots],
            cursor: f64::NAN,
            before: f64::NAN,
            armed: false,
            leaving: vec![0.0; n_roots],
            cells: vec![false; n_roots],
            crossings: Vec::with_capacity(n_roots),
            candidates: Vec::with_capacity(n_roots),
            looks: vec![true; n_roots],
            x: vec![0.0; dim],
            g: vec![0.0; n_roots],
            table: vec![0.0; 4 * n_roots],
            samples: Samples::new(n_roots),
            sampled: (f64::NAN, f64::NAN),
            evaluations: 0,
        }
    }

    /// Says which root functions are of cells.
    #[must_use]
    pub fn with_cells(mut self, is_cell: impl Fn(usize) -> bool) -> Self {
        for (i, cell) in self.cells.iter_mut().enumerate() {
            *cell = is_cell(i);
        }
        self
    }

    /// The sides as of the last call: `true` where `g > 0`.
    pub fn sides(&self) -> &[bool] {
        &self.sides
    }

    /// Evaluations of the root functions so far.
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// Takes the sides at `(t, x)`: at a start, or after states or `f` changed. True if a side differs
    /// from before (then what depends on the sides must be updated, and `arm` called again until nothing
    /// changes).
    ///
    /// `ahead = (dx, dt)` with `dx = f(t, x)` and a time far below the step size resolves what lies on the
    /// surface: a root function that is so near zero that `x + dt·dx` is on the other side counts as
    /// being there already. So a ball set back to the floor with a velocity upwards is above it, and does
    /// not leave it by an event.
    pub fn arm(
        &mut self,
        sys: &mut dyn System,
        t: f64,
        x: &[f64],
        ahead: Option<(&[f64], f64)>,
    ) -> Result<bool, SolveError> {
        let fail = |error| SolveError::Eval { t, h: 0.0, error };
        self.cursor = t;
        self.sampled = (f64::NAN, f64::NAN);
        self.evaluations += 1;
        sys.roots(t, x, &mut self.g).map_err(fail)?;
        let n = self.g.len();
        self.leaving.fill(0.0);
        let (now, later) = self.table.split_at_mut(n);
        let (later, moved) = later.split_at_mut(n);
        now[..n].copy_from_slice(&self.g);
        if let Some((dx, dt)) = ahead {
            for (o, (x, dx)) in self.x.iter_mut().zip(x.iter().zip(dx)) {
                *o = x + dt * dx;
            }
            self.evaluations += 1;
            match sys.roots(t + dt, &self.x, &mut later[..n]) {
                Ok(()) => {}
                Err(EvalError::Recoverable { .. }) => later[..n].copy_from_slice(now),
                Err(error) => return Err(fail(error)),
            }
            // What states that are moved by roundings make of the root functions is no crossing while they leave zero.
            for (part, sign) in moved.chunks_mut(n.max(1)).zip([1.0, -1.0]) {
                let mut roundings = ROUNDINGS * f64::EPSILON;
                for (o, x) in self.x.iter_mut().zip(x) {
                    *o = x + roundings * x;
                    roundings *= sign;
                }
                self.evaluations += 1;
                match sys.roots(t, &self.x, &mut part[..n]) {
                    Ok(()) => {}
                    Err(EvalError::Recoverable { .. }) => part[..n].copy_from_slice(now),
                    Err(error) => return Err(fail(error)),
                }
            }
            for i in 0..n {
                if now[i] == 0.0 || (now[i] > 0.0) != (later[i] > 0.0) {
                    let noise = (moved[i] - now[i]).abs().max((moved[n + i] - now[i]).abs());
                    self.leaving[i] = if noise.is_finite() { noise } else { 0.0 };
                }
            }
        } else {
            later[..n].copy_from_slice(now);
        }
        let mut changed = !self.armed;
        for (i, side) in self.sides.iter_mut().enumerate() {
            if now[i].is_nan() {
                return Err(fail(EvalError::Recoverable { index: i, residual: f64::NAN }));
            }
            let g = if later[i].is_finite() { later[i] } else { now[i] };
            changed |= *side != (g > 0.0);
            *side = g > 0.0;
        }
        self.armed = true;
        Ok(changed)
    }

    /// Puts each root function on the side that what it watches says, where it watches something. What is on the other side
    /// already, by a rounding, then crosses at once; else nobody would ever see it cross. A comparison that was on its edge when
    /// sides were taken, or is across it at once, keeps the side that it is heading to. A cell that is on its edge, to rounding, and
    /// stays there for a while, as at the top of a curve that just touches it, crosses where it leaves to the other side.
    pub fn agree(&mut self, watched: impl Fn(usize) -> Watched) {
        let n = self.sides.len();
        let (now, later) = self.table.split_at(n);
        for (i, side) in self.sides.iter_mut().enumerate() {
            let watched = watched(i);
            let edge = watched.edge(i, &self.samples);
            let near = now[i].abs() <= edge;
            let (says, stays) = match watched {
                Watched::Nothing => continue,
                Watched::Comparison(_)
                    if !(near && later[i].abs() <= edge)
                        && (now[i] == 0.0 || (now[i] > 0.0) != (later[i] > 0.0)) =>
                {
                    continue;
                }
                Watched::Comparison(says) => (says, false),
                Watched::Cell(_) => (true, near && later[i].abs() <= edge),
            };
            *side = says;
            if stays {
                self.leaving[i] = self.leaving[i].max(edge);
            }
        }
    }

    /// Takes back those crossings that [`RootFinder::next`] gave and that turned out to be none: where a cell is on its edge, to
    /// rounding, while its number stays as it was. Else nobody would see it left.
    pub fn retract(&mut self, watched: impl Fn(usize) -> Watched) {
        for c in &self.crossings {
            let watched = watched(c.index);
            let edge = watched.edge(c.index, &self.samples);
            if matches!(watched, Watched::Cell(_)) && !c.rising && self.g[c.index].abs() <= edge {
                self.sides[c.index] = true;
                self.leaving[c.index] = edge;
            }
        }
    }

    /// The time of the first crossing after the last one in the step that `step` has just done, or none.
    /// Which root functions cross there (those whose located times agree): [`RootFinder::crossings`].
    /// Their sides are then the new ones.
    pub fn next(&mut self, sys: &mut dyn System, step: &dyn Integrator) -> Result<Option<f64>, SolveError> {
        let n = self.sides.len();
        self.crossings.clear();
        let t1 = step.t();
        if n == 0 {
            return Ok(None);
        }
        let t0 = self.cursor.max(step.t_prev());
        if !self.armed || t0.is_nan() || t0 >= t1 {
            return Ok(None);
        }
        let mut samples = std::mem::take(&mut self.samples);
        let timed = sys.roots_of_time();
        if timed {
            // Any states will do, those of the step are at hand.
            self.x.copy_from_slice(step.x());
        }
        let mut probe =
            Probe { sys, step, x: &mut self.x, g: &mut self.g, count: &mut self.evaluations, timed };
        // Where nothing happened since but a crossing that changed no root function, the samples hold.
        if self.sampled != (step.t_prev(), t1) {
            let taken = samples.take(&mut probe, t0, t1);
            self.samples = samples;
            taken?;
            self.sampled = (step.t_prev(), t1);
        } else {
            self.samples = samples;
        }
        let samples = &self.samples;
        let (count, time) = (samples.order.len(), |k: usize| samples.order[k].0);
        let after = samples.order.partition_point(|(t, _)| *t <= t0);
        match samples.order[..after].last() {
            Some((t, row)) if *t == t0 => {
                self.table[..n].copy_from_slice(&samples.table[row * n..(row + 1) * n]);
            }
            _ => {
                probe.at(t0)?;
                self.table[..n].copy_from_slice(probe.g);
            }
        }
        let earlier = samples.order[..after].iter().rposition(|(t, _)| *t < t0);
        // Where each changes sides first, between which points.
        let here = &self.table[..n];
        let start = Start { t0, here, earlier, after };
        looks(&mut self.looks, &self.sides, &self.leaving, samples, &start);
        self.candidates.clear();
        let mut limit = t1;
        for i in (0..n).filter(|&i| self.looks[i]) {
            let side = self.sides[i];
            let g = |k: usize| samples.table[samples.order[k].1 * n + i];
            // the last sample known to be on the old side
            let mut a = (t0, here[i]);
            // What is on its edge crosses behind it.
            let edge = if self.cells[i] { self.leaving[i] } else { 0.0 };
            for k in after..count {
                let t = time(k);
                if a.0 >= limit {
                    break;
                }
                if g(k).is_nan() {
                    continue;
                }
                if self.leaving[i] > 0.0 {
                    if g(k).abs() <= self.leaving[i] {
                        a = (t, g(k));
                        continue;
                    }
                    if (g(k) > 0.0) == side {
                        self.leaving[i] = 0.0;
                    }
                }
                // an extremum towards zero between here and the neighbours?
                let mut found = None;
                if (g(k) > 0.0) == side {
                    let nearer = |x: f64, y: f64| if side { x < y } else { x > y };
                    // Behind a crossing the extremum may lie before the first sample: then one from before it tells.
                    if let Some(j) = earlier.filter(|_| k == after)
                        && nearer(here[i], g(j))
                        && nearer(here[i], g(k))
                    {
                        let span = ((time(j), g(j)), (t0, here[i]), (t, g(k)));
                        found = dip(&mut probe, i, (side, edge), span)?.filter(|b| b.0 > t0);
                    }
                    // What set out from a rounding beyond zero may have been on the other side before the first sample:
                    // the parabola through the first two says so.
                    if found.is_none() && k == after && k + 1 < count && a.0 == t0 && nearer(a.1, g(k)) {
                        let top = vertex(a, (t, g(k)), (time(k + 1), g(k + 1)));
                        if let Some((top, _)) = top.filter(|(at, g)| *at < t && (*g > 0.0) != side) {
                            let g = probe.one(top, i)?;
                            found = (!g.is_nan() && across(g, side, edge)).then_some((top, g));
                        }
                    }
                    if found.is_none() && k + 1 < count && nearer(g(k), a.1) && nearer(g(k), g(k + 1)) {
                        let span = (a, (t, g(k)), (time(k + 1), g(k + 1)));
                        let edge = if k == after { edge } else { 0.0 };
                        found = dip(&mut probe, i, (side, edge), span)?;
                    }
                } else {
                    found = Some((t, g(k)));
                }
                if let Some(b) = found {
                    self.candidates.push(Candidate { index: i, a, b });
                    limit = limit.min(b.0);
                    break;
                }
                a = (t, g(k));
            }
        }
        // Only the first is located, and what might be before it: of hundreds in one step the others are on their old
        // sides there.
        self.candidates.sort_unstable_by(|x, y| x.guess().total_cmp(&y.guess()).then(x.index.cmp(&y.index)));
        let mut best: Option<f64> = None;
        let (mut before, mut who) = (t0, n);
        for c in &self.candidates {
            let side = self.sides[c.index];
            if let Some(t) = best {
                // (What dips to the other side and is back at `t` has its `b` before `t`.)
                let g = self.table[c.index];
                if c.a.0 >= t || c.b.0 > t && !g.is_nan() && (g > 0.0) == side {
                    continue;
                }
            }
            let edge = if self.cells[c.index] { self.leaving[c.index] } else { 0.0 };
            let (last, at) = locate(&mut probe, c.index, (side, edge), c.a, c.b)?;
            if best.is_none_or(|t| at < t || at == t && c.index < who) {
                if best != Some(at) && self.candidates.len() > 1 {
                    probe.at(at)?;
                    self.table[..n].copy_from_slice(probe.g);
                }
                best = Some(at);
                (before, who) = (last, c.index);
            }
        }
        let Some(t) = best else {
            self.cursor = t1;
            return Ok(None);
        };
        // What crosses within a few roundings of time does so at the same instant: at the first time by which all has.
        let mut at = t;
        if n > 1 {
            probe.at(t)?;
            self.table[..n].copy_from_slice(probe.g);
            let mut most = 0;
            for roundings in SAME {
                let same = t + roundings * f64::EPSILON * t.abs();
                if same <= t || same > t1 {
                    continue;
                }
                probe.at(same)?;
                let crossed = |g: f64, side: bool| !g.is_nan() && (g > 0.0) != side;
                let (mut kept, mut more) = (true, 0);
                for ((g, later), side) in self.table[..n].iter().zip(probe.g.iter()).zip(&self.sides) {
                    let (before, after) = (crossed(*g, *side), crossed(*later, *side));
                    kept &= !before || after;
                    more += usize::from(after && !before);
                }
                if !kept || more == 0 || more < most {
                    break;
                }
                (at, most) = (same, more);
            }
        }
        let t = at;
        probe.at(t)?;
        for (i, side) in self.sides.iter_mut().enumerate() {
            let still = i != who && self.leaving[i] > 0.0 && self.g[i].abs() <= self.leaving[i];
            if !still && !self.g[i].is_nan() && (self.g[i] > 0.0) != *side {
                *side = !*side;
                self.crossings.push(Crossing { index: i, rising: *side });
            }
        }
        (self.cursor, self.before) = (t, before);
        Ok(Some(t))
    }

    /// The last time found on the old side of the crossing that [`RootFinder::next`] gave: a rounding or two before
    /// it.
    pub fn before(&self) -> f64 {
        self.before
    }

    /// Appends all that later crossings depend on, those in the rest of the step at hand included. To be saved changes
    /// nothing.
    pub fn save(&self, to: &mut Writer) {
        to.slice(&self.sides).slice(&self.leaving);
        to.put(&self.cursor).put(&self.before).put(&self.armed).put(&self.evaluations);
        to.put(&self.crossings.len());
        for c in &self.crossings {
            to.put(&c.index).put(&c.rising);
        }
        to.put(&self.sampled);
        self.samples.save(to, self.rest());
    }

    /// Whether a part of the step at hand, of which there are samples, is still to be searched.
    fn rest(&self) -> bool {
        self.cursor < self.sampled.1
    }

    /// Takes up what [`RootFinder::save`] wrote, in a finder for as many states and root functions.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the bytes are no such state; the finder then has to be armed.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let n = self.sides.len();
        let cells = std::mem::take(&mut self.cells);
        *self = RootFinder { cells, ..RootFinder::new(self.x.len(), n) };
        from.fill(&mut self.sides)?;
        from.fill(&mut self.leaving)?;
        (self.cursor, self.before) = from.get()?;
        let armed = from.get()?;
        self.evaluations = state::count(from)?;
        let at = from.at();
        let crossings: Vec<(usize, bool)> = from.get()?;
        if crossings.len() > n || crossings.iter().any(|(index, _)| *index >= n) {
            return Err(Malformed { at, why: "there is no such root function".into() });
        }
        self.crossings.extend(crossings.into_iter().map(|(index, rising)| Crossing { index, rising }));
        self.sampled = from.get()?;
        let rest = self.rest();
        self.samples.load(from, n, rest)?;
        self.armed = armed;
        Ok(())
    }

    /// What crosses at the time that [`RootFinder::next`] gave.
    pub fn crossings(&self) -> &[Crossing] {
        &self.crossings
    }
}

/// Where the search of a step begins.
struct Start<'a> {
    t0: f64,
    /// The root functions there.
    here: &'a [f64],
    /// The last sample before it.
    earlier: Option<usize>,
    /// The first one behind it.
    after: usize,
}

/// Which root functions need a look: all but those that stay strictly on their side in all samples and show no extremum
/// towards zero. Found sample by sample, in the order in which values stand in memory: in most steps that is all there is
/// to do.
fn looks(looks: &mut [bool], sides: &[bool], leaving: &[f64], samples: &Samples, start: &Start<'_>) {
    let n = sides.len();
    let (after, count) = (start.after, samples.order.len());
    let row = |k: usize| &samples.table[samples.order[k].1 * n..][..n];
    // the distance from zero on the old side
    let v = |side: bool, g: f64| if side { g } else { -g };
    for (look, leaving) in looks.iter_mut().zip(leaving) {
        *look = *leaving > 0.0;
    }
    if after >= count {
        return;
    }
    let mut last = start.here;
    for k in after..count {
        let here = row(k);
        let next = if k + 1 < count { row(k + 1) } else { here };
        let values = last.iter().zip(here).zip(next);
        for ((look, side), ((x, y), z)) in looks.iter_mut().zip(sides).zip(values) {
            let [x, y, z] = [*x, *y, *z].map(|g| v(*side, g));
            // a NaN is above nothing
            let on_side = y > 0.0;
            *look |= !on_side | (y < x) & (y < z);
        }
        last = here;
    }
    // what may lie before the first sample
    let first = row(after);
    let at = |k: usize, i: usize| (samples.order[k].0, row(k)[i]);
    for (i, look) in looks.iter_mut().enumerate().filter(|(_, look)| !**look) {
        let side = sides[i];
        let here = v(side, start.here[i]);
        if here < v(side, first[i]) {
            let dips = start.earlier.is_some_and(|j| here < v(side, row(j)[i]));
            let peak = (after + 1 < count)
                .then(|| vertex((start.t0, start.here[i]), at(after, i), at(after + 1, i)))
                .flatten();
            *look = dips || peak.is_some_and(|(t, g)| t < at(after, i).0 && (g > 0.0) != side);
        }
    }
}

type Point = (f64, f64);

/// The vertex of the parabola through three points, where it lies behind the first.
fn vertex(a: Point, b: Point, c: Point) -> Option<Point> {
    let (u, v) = (b.0 - a.0, c.0 - a.0);
    // the slopes of the chords from `a`, and what follows of slope and curvature there
    let (p, q) = ((b.1 - a.1) / u, (c.1 - a.1) / v);
    let curvature = (q - p) / (v - u);
    let slope = p - curvature * u;
    let forward = -slope / (2.0 * curvature);
    let t = a.0 + forward;
    (t > a.0 && t.is_finite()).then_some((t, a.1 + 0.5 * slope * forward))
}

/// Whether `g` is on the other side of zero than `side`, and beyond the edge.
fn across(g: f64, side: bool, edge: f64) -> bool {
    (g > 0.0) != side && (edge == 0.0 || g.abs() > edge)
}

/// Follows an extremum of root function `i` towards zero, from three points on one side, the middle one
/// nearest to zero: a point on the other side and beyond the edge, or none.
fn dip(
    probe: &mut Probe<'_>,
    i: usize,
    (side, edge): (bool, f64),
    (mut a, mut m, mut b): (Point, Point, Point),
) -> Result<Option<Point>, SolveError> {
    // work with v = distance from the edge, positive on the old side
    let v = |g: f64| edge + if side { g } else { -g };
    for round in 0..FOLLOW {
        let (ta, tm, tb) = (a.0, m.0, b.0);
        let (va, vm, vb) = (v(a.1), v(m.1), v(b.1));
        // vertex of the parabola, and its height
        let (p, q) = ((tm - ta) * (vm - vb), (tm - tb) * (vm - va));
        let den = 2.0 * (p - q);
        let mut t = if den != 0.0 { tm - ((tm - ta) * p - (tm - tb) * q) / den } else { f64::NAN };
        let width = tb - ta;
        if !(t > ta && t < tb) || (t - tm).abs() < 1e-3 * width {
            // golden section into the larger part
            t = if tb - tm > tm - ta { tm + 0.381_966 * (tb - tm) } else { tm - 0.381_966 * (tm - ta) };
        }
        // what the curve can still gain: its height over the parabola is judged generously at first
        let (la, lm, lb) = (
            (t - tm) * (t - tb) / ((ta - tm) * (ta - tb)),
            (t - ta) * (t - tb) / ((tm - ta) * (tm - tb)),
            (t - ta) * (t - tm) / ((tb - ta) * (tb - tm)),
        );
        let gain = 4.0 * (vm - (la * va + lm * vm + lb * vb));
        let reach = (va - vm).max(vb - vm).max(gain);
        let hopeless = if round < 2 { vm > 2.0 * reach } else { vm > 0.5 * reach };
        if hopeless || width <= 4.0 * f64::EPSILON * ta.abs().max(tb.abs()) || !(t > ta && t < tb) {
            return Ok(None);
        }
        let g = probe.one(t, i)?;
        if g.is_nan() {
            return Ok(None);
        }
        if across(g, side, edge) {
            return Ok(Some((t, g)));
        }
        let new = (t, g);
        if v(g) < vm {
            if t < tm {
                b = m
            } else {
                a = m
            }
            m = new;
        } else if t < tm {
            a = new;
        } else {
            b = new;
        }
    }
    Ok(None)
}

/// The last time found on the old side and the first on the new one, between `a` on the old and `b` on the new one: interpolation
/// safeguarded by bisection (ITP, Oliveira & Takahashi 2020), down to neighbouring numbers. What is as near to
/// zero as `edge` is on the old side.
fn locate(
    probe: &mut Probe<'_>,
    i: usize,
    (side, edge): (bool, f64),
    mut a: Point,
    mut b: Point,
) -> Result<(f64, f64), SolveError> {
    let eps = 2.0 * f64::EPSILON * a.0.abs().max(b.0.abs());
    let first = b.0 - a.0;
    // what bisection would have left after each round, with one round to spare
    let mut budget = eps.max(f64::MIN_POSITIVE);
    while budget < first {
        budget *= 2.0;
    }
    while b.0 - a.0 > eps {
        let (ta, tb) = (a.0, b.0);
        let width = tb - ta;
        let half = ta + 0.5 * width;
        // regula falsi, moved towards the middle, kept within the budget
        let falsi = if b.1 != a.1 { (b.1 * ta - a.1 * tb) / (b.1 - a.1) } else { half };
        let toward = if half >= falsi { 1.0 } else { -1.0 };
        let delta = (0.2 / first * width * width).max(0.5 * eps);
        let mut t = if delta <= (half - falsi).abs() { falsi + toward * delta } else { half };
        let allowed = (budget - 0.5 * width).max(0.0);
        if (t - half).abs() > allowed || t.is_nan() {
            t = half - toward * allowed;
        }
        budget *= 0.5;
        if !(t > ta && t < tb) {
            t = half;
            if !(t > ta && t < tb) {
                break;
            }
        }
        let g = probe.one(t, i)?;
        // a place where the system cannot say belongs to neither side: take the later part
        if !g.is_nan() && ((g > 0.0) == side || g.abs() <= edge && edge > 0.0) {
            a = (t, g);
        } else if g.is_nan() {
            a = (t, a.1);
        } else {
            b = (t, g);
        }
    }
    Ok((a.0, b.0))
}
