//! When `auto` goes on with a Taylor method.
//!
//! Its steps are so few that it beats the other explicit methods wherever a run is long, but the system's code for it has to
//! be made and compiled. So what the rest of the run would take is predicted, from the time that the last steps covered: a
//! window of them, or fewer where they took what the code of a small model does. Where that is several times what the code is
//! expected to take, it is made, and where the code as it is and its first step still promise less, the Taylor method goes on.
//! After some steps the same is asked of their true length; the system is told how many are left, for few are interpreted and
//! for many the code is compiled at once.
//!
//! All of that is counted, in about nanoseconds of one machine, and never measured: the same model gives the same bits.

use super::judge::Milestone;
use super::parts::{Explicit, Kind, SERIES_LIMIT, series_order, unstarted_series};
use super::{Auto, Behind, price};
use crate::error::SolveError;
use crate::integrator::Integrator;
use crate::stats::Stats;
use crate::system::System;
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::persist;

/// Steps over which the pace is taken.
const WINDOW: u64 = 250;
/// Fewer than that, but at least so many, do where what they took is this part of what making the code is expected to.
const SOON: (u64, f64) = (60, 0.5);
/// The same for the Taylor method on trial.
const TRIAL: u64 = 20;
/// The rest of the run must take so many times as long as making the code is expected to.
const WORTH: f64 = 5.0;
/// The same once the length of the code is known.
const KNOWN: f64 = 3.0;
/// Part of making the code that a look at its beginning takes.
const LOOK: f64 = 0.15;
/// Where it was refused it is asked about again when so many times as much is spent.
const AGAIN: f64 = 1.25;
/// The same where it was tried and took longer.
const LATER: f64 = 3.0;
/// Part of what the explicit method would take that the Taylor method may.
const CLEAR: f64 = 0.8;
/// What is left after so many explicit steps of the fastest mode that there was beside the stiff method.
const FADES: f64 = 0.5;
/// Steps after which the stiff method counts as having found them.
const FOUND: f64 = 100.0;
/// Stiffness from which on a decaying mode counts as what limits steps; after few steps, as what will.
const LIMITED: [f64; 2] = [0.5, 0.1];
/// Part of what the code takes that is to be spent before: what a run takes is not known from its first steps.
const EARNED: f64 = 0.07;
/// Operations of a right-hand side above which code of its series is too long.
const OPERATIONS: f64 = 1_000.0;
/// What making the code takes, for each operation of the right-hand side, an elementary function being many.
const MAKING: f64 = 3_000.0;
/// The same at least.
const BEGINNING: f64 = 50_000.0;
/// The same for each operation of the code, once their number is known.
const MADE: f64 = 200.0;
/// How many steps of a one-step and of a multistep method one of a Taylor method mostly stands for.
const FEWER: [f64; 2] = [10.0, 12.0];
/// Part of the explicit method's steps that are refused where it meets kinks in many of them.
const KINKED: f64 = 0.125;
/// Operations of that code, at least, for each order and each operation of the right-hand side.
const LEAST: f64 = 0.4;
/// An operation of that code: interpreted, compiled, and being compiled.
const OPERATION: [f64; 3] = [3.0, 0.6, 1_200.0];
/// Runs from which on it is compiled, at once where they are expected.
const PAYS: f64 = 350.0;
/// A step beside its code, for each state and at least.
const AROUND: [f64; 2] = [12.0, 150.0];

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// It may come to it.
    Before,
    /// The Taylor method is on trial beside a method of this kind that would have taken so long for a second.
    Trial(Kind, f64),
    /// It goes on, in place of a method of this kind.
    Kept(Kind),
    /// It does not serve here.
    Never,
}

/// Where the pace is taken from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    t: f64,
    steps: u64,
    restarts: u64,
    stops: u64,
    spent: f64,
}

impl Window {
    /// Whether it begins after more steps or stops than there were.
    pub(super) fn beyond(&self, stats: &Stats, stops: u64) -> bool {
        self.steps > stats.steps || self.restarts > stats.restarts || self.stops > stops
    }
}

impl Auto {
    /// After a step: whether to go on with a Taylor method, or with it no longer.
    pub(super) fn consider(&mut self, sys: &mut dyn System) {
        let steps = match self.stage {
            Stage::Before if !(self.at_stiff && self.multistep) => WINDOW,
            Stage::Trial(..) if !self.at_stiff => TRIAL,
            _ => return,
        };
        let now = Window {
            t: self.now().t(),
            steps: self.stats.steps,
            restarts: self.restarts,
            stops: self.stops,
            spent: self.spent,
        };
        let since = *self.window.get_or_insert(now);
        let taken = now.steps.saturating_sub(since.steps);
        let whole = taken >= steps;
        let soon = || taken >= SOON.0 && now.spent - since.spent >= SOON.1 * making(sys);
        if !(whole || self.stage == Stage::Before && soon()) {
            return;
        }
        // what was stiff may be so again, and less and less likely the longer it is not
        let fastest = if self.at_stiff { self.peak } else { self.decaying(LIMITED[0]).max(self.peak) };
        if now.spent >= 2.0 * self.halves[1].spent {
            let now = Milestone { t: now.t, spent: now.spent, steps: now.steps };
            self.halves = [self.halves[1], now];
        }
        if whole {
            self.window = Some(now);
            self.peak *= if self.at_stiff { 1.0 } else { FADES };
        }
        // first it is seen whether the stiff method is better, and then what that takes
        let early = match self.at_stiff {
            true => now.spent - self.spent_since < FOUND * self.work_stiff,
            false => self.lost == 0 && self.decaying(LIMITED[usize::from(!whole)]) > 0.0,
        };
        if early && self.stage == Stage::Before {
            return;
        }
        let (span, rest) = (now.t - since.t, self.the_end() - now.t);
        if !(span > 0.0 && rest > 0.0) || now.spent < self.refused {
            return;
        }
        match self.stage {
            Stage::Before => {
                // a method that has just begun may well be faster than the one before, and what comes as fast as what was
                let pace = (now.spent - since.spent) / span;
                // One that has been at work for long had the time to show what steps take now: where as much as making the code
                // takes was spent, a quiet time long before says nothing.
                let from = self.halves[0];
                let steady = !self.at_stiff && from.t >= self.since && now.spent > making(sys);
                let [average, latest] = match steady {
                    true => [(now.spent - from.spent) / (now.t - from.t); 2],
                    false => [
                        now.spent / (now.t - self.began),
                        (now.spent - self.spent_since) / (now.t - self.since),
                    ],
                };
                let least = |a: f64, b: f64| if b < a { b } else { a };
                let takes = rest * least(least(pace, latest), average);
                if operations(sys) <= OPERATIONS && takes > WORTH * LOOK * making(sys) {
                    let ahead = |now: u64, since: u64| rest / span * now.saturating_sub(since) as f64;
                    let (events, stops) =
                        (ahead(now.restarts, since.restarts), ahead(now.stops, since.stops));
                    self.begin_series(sys, (rest, takes, events, stops), (fastest, whole));
                }
            }
            Stage::Trial(kind, takes) => {
                let Explicit::Series { work, .. } = self.explicit else { return };
                let steps = rest / span * (now.steps - since.steps) as f64;
                if series_takes(sys, steps, work) > takes * rest {
                    self.end_series(sys, kind);
                    (self.stage, self.refused) = (Stage::Before, LATER * now.spent);
                } else {
                    sys.expect_taylor(series_order(&self.options), steps as u64);
                    self.stage = Stage::Kept(kind);
                }
            }
            Stage::Kept(_) | Stage::Never => {}
        }
    }

    /// The size of the fastest mode that decays, where it is near the limit of the explicit method's steps, at least this
    /// part of it; else 0.
    fn decaying(&self, limited: f64) -> f64 {
        let h = self.now().t() - self.now().t_prev();
        // Tsit5's estimate is there for each step, and no single one counts
        let stiffness = if self.explicit.kind() == Kind::OneStep { self.average } else { self.stiffness };
        let size = stiffness * self.explicit.limit(&self.options) / h;
        if stiffness > limited && size.is_finite() { size } else { 0.0 }
    }

    /// Goes on with a Taylor method where that is expected to take clearly less than `takes` for the `rest` of the run, after a
    /// `whole` window or sooner; modes up to the size `fastest` limit its steps, as do instants where it begins anew (`events`)
    /// and where it only ends a step (`stops`).
    fn begin_series(
        &mut self,
        sys: &mut dyn System,
        (rest, takes, events, stops): (f64, f64, f64, f64),
        (fastest, whole): (f64, bool),
    ) {
        let limit = SERIES_LIMIT * f64::from(series_order(&self.options));
        // Where nothing is known of it, neither pays: a comparison with no number is false.
        let work = LEAST * f64::from(series_order(&self.options)) * sys.work();
        let least = step(work, sys.dim() as f64) + price::watching(sys);
        // sooner than usual only where there is much to gain
        let clear = if whole { CLEAR } else { 0.5 * CLEAR };
        let may_pay = least * rest * fastest / limit < clear * takes;
        if !may_pay {
            // Another time.
            return;
        }
        // what a look at the beginning of the code tells is asked before all of it is made
        if let Some(outlook) = sys.taylor_outlook(series_order(&self.options)) {
            let kind = self.explicit.kind();
            let typical = takes / self.price(sys, self.at_stiff) / FEWER[usize::from(kind != Kind::OneStep)];
            let steps = f64::max(stops, typical).max(rest * fastest / limit) + 2.0 * events;
            let making = MADE * outlook.work;
            let earned = EARNED * code_takes(steps, outlook.work);
            let Stats { steps: done, rejected, .. } = *self.explicit.get().stats();
            let kinked = outlook.kinks && rejected as f64 > KINKED * done as f64;
            let pays = making + series_takes(sys, steps, outlook.work) < CLEAR * takes;
            if kinked || !pays || takes < KNOWN * making {
                self.refused = AGAIN * self.spent;
                return;
            }
            if self.spent < earned {
                self.refused = earned;
                return;
            }
        } else if takes < WORTH * making(sys) {
            return;
        }
        self.stage = Stage::Never;
        let Some(work) = sys.taylor_work(series_order(&self.options)) else { return };
        let taylor = self.spare.take().unwrap_or_else(|| unstarted_series(&self.options));
        let mut series = Explicit::Series { taylor, work };
        let (t, stop) = (self.now().t(), self.stop);
        let ahead = if self.horizon > t { self.horizon } else { stop };
        let started = series.get_mut().start(sys, t, self.now().x(), ahead);
        self.past.rhs += 1;
        if started.and_then(|()| series.get_mut().set_stop(stop)).is_err() {
            return;
        }
        let h = series.get().h().min(limit / fastest);
        // what is left of a span between two stops is a step as well
        let steps = f64::max(stops, rest / h + 0.5 * stops) + 2.0 * events;
        let pays = series_takes(sys, steps, work) < CLEAR * takes;
        let earned = EARNED * code_takes(steps, work);
        if !pays || self.spent < earned {
            // its first step is not like all
            let until = if pays { earned } else { AGAIN * self.spent };
            (self.stage, self.refused) = (Stage::Before, until);
            if let Explicit::Series { taylor, .. } = series {
                self.spare = Some(taylor);
            }
            return;
        }
        self.past.rhs -= 1;
        self.stage = Stage::Trial(self.explicit.kind(), takes / rest);
        self.replace(sys, series);
        self.at_stiff = false;
        self.rival = None;
    }

    /// Goes back to a method of the kind from before: what is to go on is at the state that was reached.
    pub(super) fn end_series(&mut self, sys: &mut dyn System, kind: Kind) {
        let mut before = Explicit::new(kind, &self.options);
        let (t, stop) = (self.now().t(), self.stop);
        let ahead = if self.horizon > t { self.horizon } else { stop };
        self.stage = Stage::Never;
        let started = before.get_mut().start(sys, t, self.now().x(), ahead);
        if started.and_then(|()| before.get_mut().set_stop(stop)).is_ok() {
            self.replace(sys, before);
        }
    }

    /// Puts a method that has started in the place of the explicit one. The dense output of the last step stays with what made
    /// it, which may have been replaced before.
    pub(super) fn replace(&mut self, sys: &dyn System, with: Explicit) {
        let done = *self.explicit.get().stats();
        self.past.add(&done);
        let before = std::mem::replace(&mut self.explicit, with);
        if self.behind.is_none() {
            self.behind = Some(if self.at_stiff { Behind::Stiff } else { Behind::Explicit(before) });
        }
        (self.since, self.spent_since) = (self.explicit.get().t(), self.spent);
        self.switches += 1;
        (self.stiff_count, self.calm_count, self.trial_steps) = (0, 0, 0);
        (self.average, self.swings) = (0.0, 0.0);
        self.window = None;
        self.limited.stop_trial();
        let before = self.work_explicit;
        self.weigh(sys);
        if before > 0.0 {
            self.work_ratio *= before / self.work_explicit;
        }
    }

    /// After a step of the Taylor method, where the equations have kinks: the first one that it meets ends it. Its coefficients
    /// know one side only; a step that enters the other and comes back would be wrong unnoticed, and the more kinks there
    /// are the shorter are the steps between them. `rejected` were refused before the step.
    pub(super) fn mind_kinks(&mut self, sys: &mut dyn System, rejected: u64) -> Result<(), SolveError> {
        let Some(kind) = self.instead_of_series() else { return Ok(()) };
        let Explicit::Series { taylor, .. } = &mut self.explicit else { return Ok(()) };
        if !sys.kinks() {
            return Ok(());
        }
        let strays = taylor.strays(sys);
        if strays {
            taylor.take_back();
        }
        if strays || taylor.stats().rejected > rejected {
            self.end_series(sys, kind);
        }
        if strays { self.advance(sys) } else { Ok(()) }
    }

    /// The kind of explicit method that takes over where the Taylor method fails.
    pub(super) fn instead_of_series(&self) -> Option<Kind> {
        match self.stage {
            Stage::Trial(kind, _) | Stage::Kept(kind) => Some(kind),
            Stage::Before | Stage::Never => None,
        }
    }
}

/// Operations of a right-hand side, by its dependences alone.
fn operations(sys: &dyn System) -> f64 {
    1.0 + 3.0 * sys.dim() as f64 + 2.0 * sys.pattern().nnz() as f64
}

/// What making the code of a Taylor method is expected to take.
fn making(sys: &dyn System) -> f64 {
    // an elementary function has a longer recurrence than its dependences tell
    MAKING * operations(sys).max(sys.work()) + BEGINNING
}

/// What a step of a Taylor method takes with compiled code of `work` operations for `n` states.
pub(super) fn step(work: f64, n: f64) -> f64 {
    let [state, least] = AROUND;
    least + state * n + OPERATION[1] * work
}

/// What having code of `work` operations takes, by interpreting it or by compiling it, for so many steps.
fn code_takes(steps: f64, work: f64) -> f64 {
    let [interpreted, _, compiling] = OPERATION;
    work * if steps < PAYS { steps * interpreted } else { compiling }
}

/// What so many steps of a Taylor method take with code of `work` operations that is not there yet.
fn series_takes(sys: &dyn System, steps: f64, work: f64) -> f64 {
    let compiled = if steps < PAYS { 0.0 } else { OPERATION[1] };
    let [state, least] = AROUND;
    code_takes(steps, work)
        + steps * (work * compiled + least + state * sys.dim() as f64 + price::watching(sys))
}

persist!(Window { t: f64, steps: u64, restarts: u64, stops: u64, spent: f64 });

/// [`Window`] of layouts 2 and 3.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowWithoutStops {
    t: f64,
    steps: u64,
    restarts: u64,
    spent: f64,
}

persist!(WindowWithoutStops { t: f64, steps: u64, restarts: u64, spent: f64 });

impl From<WindowWithoutStops> for Window {
    fn from(w: WindowWithoutStops) -> Window {
        Window { t: w.t, steps: w.steps, restarts: w.restarts, stops: 0, spent: w.spent }
    }
}

impl Stage {
    pub(super) fn save(&self, to: &mut Writer) {
        let (at, kind, takes) = match *self {
            Stage::Before => (0, Kind::OneStep, 0.0),
            Stage::Trial(kind, takes) => (1, kind, takes),
            Stage::Kept(kind) => (2, kind, 0.0),
            Stage::Never => (3, Kind::OneStep, 0.0),
        };
        to.put(&(at as u8)).put(&kind).put(&takes);
    }

    pub(super) fn load(from: &mut Reader<'_>) -> Result<Stage, Malformed> {
        let place = from.at();
        let (at, kind, takes): (u8, Kind, f64) = from.get()?;
        let stage = match at {
            0 => Stage::Before,
            1 => Stage::Trial(kind, takes),
            2 => Stage::Kept(kind),
            3 => Stage::Never,
            _ => {
                return Err(Malformed {
                    at: place,
                    why: format!("there is no stage {at} of a Taylor method"),
                });
            }
        };
        Ok(stage)
    }
}
