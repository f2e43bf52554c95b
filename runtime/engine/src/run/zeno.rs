//! Events without end: comparisons that fire again and again while time hardly goes on.
//!
//! Three things end a run with a Zeno error that names the handlers: a thousand firings of one comparison within 1e-9 of
//! the present time scale, as the language has it; firings in one direction whose intervals become shorter and shorter
//! until they drown in roundings of time, where the motion itself undoes what each did (behind that point the next one
//! may be missed, and a ball falls through its floor); and a solver that finds no step short enough while events come
//! ever faster.

use super::*;
use twinml_model::persist;
use twinml_solvers::roots::Watched;

/// Firings of one relation within 1e-9 of the time scale that are a Zeno error.
const ZENO: u32 = 1000;
/// An interval between firings that is this part of the one before is shorter, not just rounded.
const SHRINKS: f64 = 0.9999;
/// So many roundings of time are too short to tell.
const SHORT: f64 = 256.0;
/// Roundings of time that count as standing still.
const STANDS: f64 = 8.0;
/// So many intervals, each shorter than the one before, are events that come ever faster.
const MANY: u32 = 20;
/// So many intervals, each shorter than the one before and the last a few roundings, end in a point of accumulation.
const CLOSING: u32 = 4;
/// Intervals that have become this many times what is too short to tell are on their way there, and no chance.
const NEARLY: f64 = 1e3;

/// Firings of one root function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Firing {
    /// The first of the firings that are close together.
    since: f64,
    /// How many they are.
    count: u32,
    /// Those in each direction: a ball that sinks into its floor by a rounding is back above it at once.
    ways: [Way; 2],
}

/// Firings of one root function in one direction.
#[derive(Clone, Copy, Debug)]
struct Way {
    last: f64,
    /// Time between the last two that were not the same but for roundings.
    gap: f64,
    /// How many intervals in a row were shorter than the one before.
    shrinks: u32,
}

persist!(Way { last: f64, gap: f64, shrinks: u32 });
persist!(Firing { since: f64, count: u32, ways: [Way; 2] });

impl Firing {
    /// Whether both counts can go on.
    pub(super) fn sound(&self) -> bool {
        self.count <= ZENO && self.ways.iter().all(|w| w.shrinks < 1 << 31)
    }

    /// Not fired yet.
    pub(super) const NONE: Firing = Firing {
        since: f64::NEG_INFINITY,
        count: 0,
        ways: [Way { last: f64::NEG_INFINITY, gap: f64::INFINITY, shrinks: 0 }; 2],
    };

    /// Whether firings came ever faster up to `t`, or without time going on.
    fn ever_faster(&self, t: f64) -> bool {
        let short = SHORT * f64::EPSILON * t.abs();
        let faster = |w: &Way| w.shrinks >= MANY && t - w.last <= w.gap.max(short);
        let [a, b] = self.ways.map(|w| w.last);
        let gap = self.ways.iter().fold((a - b).abs(), |least, w| least.min(w.gap));
        let stands = gap <= STANDS * f64::EPSILON * t.abs() && t - a.max(b) <= short;
        self.ways.iter().any(faster) || stands
    }
}

impl Way {
    /// Counts a firing; true where intervals that became shorter and shorter end in roundings of time, and the motion
    /// itself undid the last (`undone`: when the other direction fired last). Else what comes within roundings of the last
    /// is the same firing once more.
    fn closes(&mut self, t: f64, undone: f64) -> bool {
        let (gap, rounding) = (t - self.last, f64::EPSILON * t.abs());
        let short = SHORT * rounding;
        if gap > short {
            self.shrinks = if gap <= SHRINKS * self.gap { self.shrinks + 1 } else { 0 };
            (self.last, self.gap) = (t, gap);
            return false;
        }
        // What is undone at once may be found twice by a rounding: there the interval before has to be nearly as short.
        let after = undone - self.last;
        let undone = after > STANDS * rounding || after >= 0.0 && self.gap <= NEARLY * short;
        self.last = t;
        undone && self.shrinks + 1 >= CLOSING
    }
}

impl Run<'_> {
    /// Takes comparisons that changed at `t` and are exactly on their edge there for firings to the side that the motion
    /// leads them to, though these are no events of their own: where a handler puts a ball back on its floor (`h = 0`),
    /// the motion undoes what it fell to, as it does by a crossing where the ball is a rounding below.
    pub(super) fn leaves_edges(&mut self, t: f64) {
        for k in (0..self.firing.len()).filter(|k| self.g[*k] == 0.0) {
            let slot = self.system.frozen(k);
            let Watched::Comparison(side) = self.system.watched(k) else { continue };
            if self.journal.changes.iter().any(|(changed, _)| *changed == slot) {
                let ways = &mut self.firing[k].ways;
                let (own, other) = (usize::from(side), usize::from(!side));
                if ways[own].last < ways[other].last {
                    ways[own].last = t;
                }
            }
        }
    }

    /// Counts firings that come without time going on.
    pub(super) fn zeno(&mut self, t: f64) -> Result<(), Stop> {
        let scale = 1e-9 * t.abs().max(1e-9 * self.end.abs().min(1e9));
        for crossing in self.roots.crossings().iter().filter(|c| !self.ranges.has(c.index)) {
            let firing = &mut self.firing[crossing.index];
            if t - firing.since > scale {
                (firing.since, firing.count) = (t, 0);
            }
            firing.count += 1;
            let (way, other) = (usize::from(crossing.rising), usize::from(!crossing.rising));
            // What a handler takes back is its own affair; here the motion itself undoes what it did.
            let undone = firing.ways[other].last;
            let closing = firing.ways[way].closes(t, undone);
            let firings = firing.count;
            if firings >= ZENO || closing {
                return Err(self.endless(t, crossing.index, firings));
            }
        }
        Ok(())
    }

    /// The Zeno error of a root function, which names the handlers that its last firing set off.
    fn endless(&self, t: f64, root: usize, firings: u32) -> Stop {
        let slots: Vec<usize> = self.journal.changes.iter().map(|(slot, _)| *slot).collect();
        let kind = FailureKind::Zeno { firings, handlers: self.listening(&slots) };
        self.failure(t, kind, self.relations_of(&[self.system.frozen(root)]))
    }

    /// The heads of the handlers that listen to slots of `Disc`, at most five.
    fn listening(&self, slots: &[usize]) -> Vec<String> {
        let mut handlers: Vec<String> = Vec::new();
        if let Some(scheduler) = &self.behavior {
            let slots = slots.iter().map(|slot| *slot as u32);
            let b = &self.system.program.behavior;
            let name = |(h, i): (u32, u32)| {
                let owner = b.handlers.get(h as usize).map_or(0, |h| h.owner);
                let twin = crate::behavior::path(b, owner, i);
                let of = if twin.is_empty() { String::new() } else { format!(" of `{twin}`") };
                format!("`{}`{of}", instant::heading(self.system.program, h))
            };
            handlers = slots.flat_map(|slot| scheduler.listeners(slot)).map(name).collect();
            handlers.sort();
            handlers.dedup();
            handlers.truncate(5);
        }
        handlers
    }

    /// What a solver's failure is to be called: where events came ever faster until no step was short enough, it is
    /// these that have no end.
    pub(super) fn step_failure(&mut self, error: SolveError) -> Stop {
        let SolveError::StepTooSmall { t, .. } = error else { return self.solver_failure(error) };
        match self.firing.iter().position(|f| f.ever_faster(t)) {
            Some(root) => self.endless(t, root, self.firing[root].count),
            None => self.solver_failure(error),
        }
    }
}
