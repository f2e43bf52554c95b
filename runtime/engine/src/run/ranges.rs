//! Watched ranges. They take no part in integration: a broken one is located like an event, told in the report,
//! and changes nothing unless it says `else stop`.

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::host::KernelId;
use twinml_model::ids::{OriginId, VarId};
use twinml_model::ir::Space;
use twinml_model::persist;
use twinml_model::program::{Program, RangeElse, Watch};
use twinml_solvers::integrator::Tolerances;
use twinml_solvers::roots::Crossing;
use twinml_solvers::system::System;

use super::report::{Broken, MOST_BROKEN};
use super::{Run, Stop};

/// Parts of the present time, or of a step, that are the same instant.
const SAME: f64 = 1e-10;

/// So many tolerances beyond a limit may be the solver's error.
const ERRORS: f64 = 10.0;
/// Relative size of rounding in what was computed at one instant.
const ROUNDING: f64 = 1e-12;

/// A range that is broken, maybe.
#[derive(Clone, Copy, Debug)]
struct Pending {
    instance: usize,
    since: f64,
    value: f64,
    /// How far beyond the limit is none.
    noise: f64,
}

persist!(Pending { instance: usize, since: f64, value: f64, noise: f64 });

/// What is known of the ranges.
pub(super) struct Ranges {
    /// The root functions from this number on are ranges.
    first_root: usize,
    /// Of each instance, those with root functions first in the order of these: number of the range and instance.
    instances: Vec<(u32, u32)>,
    /// How many have root functions.
    with_root: usize,
    /// Which are broken now.
    broken: Vec<bool>,
    /// Those that may be broken by rounding or by the solver's error alone.
    pending: Vec<Pending>,
    /// Relative and absolute tolerances of the run, the latter in each state's unit.
    pub(super) tolerances: Tolerances,
    /// Where each stands in the report, from 1; 0: nowhere.
    told: Vec<u32>,
    /// What the report gets.
    pub(super) list: Vec<Broken>,
    /// Instances that were broken at all.
    pub(super) total: u64,
    ever: Vec<bool>,
}

impl Ranges {
    pub(super) fn new(program: &Program, n_roots: usize) -> Ranges {
        let mut instances = Vec::new();
        let is_root = |watch: Watch| matches!(watch, Watch::Root(_));
        for wanted in [true, false] {
            for (k, r) in program.ranges.iter().enumerate().filter(|(_, r)| is_root(r.watch) == wanted) {
                instances.extend((0..r.len).map(|j| (k as u32, j)));
            }
        }
        let of = |r: &&twinml_model::program::Range| is_root(r.watch);
        let with_root = program.ranges.iter().filter(of).map(|r| r.len as usize).sum();
        let n = instances.len();
        Ranges {
            first_root: n_roots - with_root,
            instances,
            with_root,
            broken: vec![false; n],
            pending: Vec::new(),
            tolerances: Tolerances::uniform(super::RTOL, super::ATOL),
            told: vec![0; n],
            list: Vec::new(),
            total: 0,
            ever: vec![false; n],
        }
    }

    /// What is known, as bytes.
    pub(super) fn save(&self, to: &mut Writer) {
        to.put(&self.broken).put(&self.pending).put(&self.told).put(&self.list.len());
        for b in &self.list {
            to.put(&b.path).put(&b.time).put(&b.value).put(&b.var.0).put(&b.times);
            to.put(&b.stopped).put(&b.clamped).put(&b.origin.0);
        }
        to.put(&self.total).put(&self.ever);
    }

    /// Into the ranges of the same program.
    pub(super) fn load(&mut self, program: &Program, from: &mut Reader<'_>) -> Result<(), Malformed> {
        from.fill(&mut self.broken)?;
        let at = from.at();
        self.pending = from.get()?;
        from.fill(&mut self.told)?;
        let len = from.length(8 + 8 + 8 + 4 + 8 + 1 + 1 + 4)?;
        self.list = Vec::new();
        for _ in 0..len {
            let (path, time, value) = from.get()?;
            let (var, times, stopped): (u32, u64, bool) = from.get()?;
            let (clamped, origin) = from.get()?;
            let (var, origin) = (VarId(var), OriginId(origin));
            self.list.push(Broken { path, time, value, var, times, stopped, clamped, origin });
        }
        self.total = from.get()?;
        from.fill(&mut self.ever)?;
        let n = self.instances.len();
        let known = |b: &Broken| {
            b.var.index() < program.schema.vars.len()
                && b.origin.index() < program.origins.len()
                && b.times < 1 << 60
        };
        if self.pending.iter().any(|p| p.instance >= n)
            || !self.list.iter().all(known)
            || self.total >= 1 << 60
        {
            return Err(Malformed { at, why: "there are other ranges".into() });
        }
        Ok(())
    }

    /// Whether a root function is a range.
    pub(super) fn has(&self, root: usize) -> bool {
        root >= self.first_root
    }

    /// Whether nothing but ranges crosses.
    pub(super) fn only(&self, crossings: &[Crossing]) -> bool {
        crossings.iter().all(|c| self.has(c.index))
    }
}

impl Run<'_> {
    /// Judges the ranges at `t`, where `self.x` holds the states, by the sides of their root functions.
    /// After a `jump` values are exact but for rounding; otherwise they carry the solver's error.
    pub(super) fn judge(&mut self, t: f64, jump: bool) -> Result<(), Stop> {
        if self.ranges.instances.is_empty() {
            return Ok(());
        }
        let program = self.system.program;
        let (mut left, mut back) = (Vec::new(), Vec::new());
        for (i, &(k, j)) in self.ranges.instances.iter().enumerate() {
            let broken = if i < self.ranges.with_root {
                self.roots.sides()[self.ranges.first_root + i]
            } else if let Watch::Param(slot) = program.ranges[k as usize].watch {
                self.system.memory.space(Space::Param)[(slot + j) as usize] == 0.0
            } else {
                false
            };
            if broken && !self.ranges.broken[i] {
                left.push(i);
            } else if !broken && self.ranges.broken[i] {
                back.push(i);
            }
            self.ranges.broken[i] = broken;
        }
        for i in back {
            self.returned(t, i)?;
        }
        if left.is_empty() {
            return Ok(());
        }
        self.system.set(t, &self.x);
        self.kernel(KernelId::Outputs, false)?;
        for i in left {
            let (k, j) = self.ranges.instances[i];
            let range = &program.ranges[k as usize];
            let var = &program.schema.vars[range.var.index()];
            let slot = var.base + range.element(j).unwrap_or(0);
            let value = self.system.memory.space(var.space).get(slot as usize).copied().unwrap_or(f64::NAN);
            let tolerances = &self.ranges.tolerances;
            let noise = match var.space {
                _ if jump => ROUNDING * value.abs(),
                Space::State | Space::Var => {
                    let own = tolerances.atol.get(slot as usize).filter(|_| var.space == Space::State);
                    let largest = || tolerances.atol.iter().copied().fold(0.0, f64::max);
                    ERRORS * (tolerances.rtol * value.abs() + own.copied().unwrap_or_else(largest))
                }
                _ => 0.0,
            };
            self.ranges.pending.push(Pending { instance: i, since: t, value, noise });
        }
        Ok(())
    }

    /// How far beyond its limit each range with a root function is at `t`, which lies in the last step.
    fn excess(&mut self, t: f64) -> Option<Vec<f64>> {
        let mut x = vec![0.0; self.x.len()];
        let mut g = vec![0.0; self.roots.sides().len()];
        self.integrator.interpolate(t, &mut x);
        self.system.roots(t, &x, &mut g).ok()?;
        Some(g.split_off(self.ranges.first_root))
    }

    /// A range holds again: what was broken meanwhile is told if the middle of that time was clearly outside.
    fn returned(&mut self, t: f64, i: usize) -> Result<(), Stop> {
        let Some(at) = self.ranges.pending.iter().position(|p| p.instance == i) else { return Ok(()) };
        let p = self.ranges.pending.remove(at);
        let from = p.since.max(self.integrator.t_prev());
        if t - p.since <= self.same(t) || t <= from {
            return Ok(());
        }
        let middle = self.excess(from + 0.5 * (t - from)).and_then(|g| g.get(i).copied());
        if middle.is_some_and(|g| g > p.noise) && self.tell(i, p.since, p.value) {
            return Err(self.stop_at(p.since));
        }
        Ok(())
    }

    /// How near to `t` is the same instant.
    fn same(&self, t: f64) -> f64 {
        SAME * t.abs().max(self.integrator.h())
    }

    /// Tells what was broken and still is, now that time has gone on to `t`. A comparison that keeps a quantity
    /// in its range switches at the same instant up to rounding, and a state that tends to its limit passes it by
    /// the solver's error: neither breaks anything.
    pub(super) fn confirm(&mut self, t: f64) -> Result<(), Stop> {
        if self.ranges.pending.is_empty() {
            return Ok(());
        }
        let same = self.same(t);
        let Some(excess) = self.excess(t) else { return Ok(()) };
        let mut stop: Option<f64> = None;
        for p in std::mem::take(&mut self.ranges.pending) {
            let clear = excess.get(p.instance).is_none_or(|g| *g > p.noise);
            if t - p.since <= same || !clear || stop.is_some_and(|at| at < p.since) {
                self.ranges.pending.push(p);
            } else if self.tell(p.instance, p.since, p.value) {
                stop = Some(p.since);
            }
        }
        match stop {
            Some(at) => Err(self.stop_at(at)),
            None => Ok(()),
        }
    }

    /// What is still pending where the run ends; true if one of it would have ended the run there.
    pub(super) fn rest(&mut self) -> bool {
        let t = self.time;
        let excess = if self.started && !self.ranges.pending.is_empty() { self.excess(t) } else { None };
        let mut stop = false;
        for p in std::mem::take(&mut self.ranges.pending) {
            let excess = excess.as_ref().and_then(|e| e.get(p.instance));
            if excess.is_none_or(|g| *g > p.noise) {
                stop |= self.tell(p.instance, p.since, p.value);
            }
        }
        stop
    }

    /// Ends the run at `at`, or as near to it as rows stay in the order of time.
    fn stop_at(&mut self, at: f64) -> Stop {
        self.ranges.pending.clear();
        self.time = at.max(self.integrator.t_prev()).max(self.micro.0);
        self.integrator.interpolate(self.time, &mut self.x);
        self.system.set(self.time, &self.x);
        Stop::Range
    }

    /// One broken range; true if it ends the run.
    fn tell(&mut self, i: usize, t: f64, value: f64) -> bool {
        let program = self.system.program;
        let (k, j) = self.ranges.instances[i];
        let range = &program.ranges[k as usize];
        let stop = range.otherwise == RangeElse::Stop;
        let ranges = &mut self.ranges;
        if !std::mem::replace(&mut ranges.ever[i], true) {
            ranges.total += 1;
        }
        if let Some(known) = (ranges.told[i] as usize).checked_sub(1).and_then(|at| ranges.list.get_mut(at)) {
            known.times += 1;
            known.stopped |= stop;
            return stop;
        }
        if ranges.list.len() >= MOST_BROKEN && !stop {
            return false;
        }
        let var = &program.schema.vars[range.var.index()];
        ranges.list.push(Broken {
            path: var.element_path(range.element(j).unwrap_or(0)),
            time: t,
            value,
            var: range.var,
            times: 1,
            stopped: stop,
            clamped: false,
            origin: range.origin,
        });
        ranges.told[i] = ranges.list.len() as u32;
        stop
    }
}
