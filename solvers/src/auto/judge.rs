//! When `auto` changes between the explicit and the stiff method.

use super::fastest::DECAYING;
use super::limited::{LIMITED_SHARE, LOOKS_EVERY};
use super::parts::{Explicit, Kind, stiff};
use super::price::{self, Matrices};
use super::{Auto, LARGE, PROBE};
use crate::error::SolveError;
use crate::integrator::Integrator;
use crate::linalg::IterationMatrix;
use crate::system::System;
use twinml_model::persist;

/// `h·|λ|` at which explicit steps count as limited by stability, over the limit.
const STIFF: f64 = 0.8;
/// So many stiff ones, without as many others between, change to the stiff method.
const STIFF_STEPS: u32 = 12;
/// Explicit steps after which their length is compared with the stiff ones before.
const TRIAL: u32 = 10;
/// Steps of Adams between two looks at the spectral radius.
const ADAMS_EVERY: u64 = 10;
/// The same for a Taylor method, whose steps are longer and dearer.
const SERIES_EVERY: u64 = 5;
/// As [`super::STIFFISH`], for methods that are looked at now and then.
const LATER_STIFFISH: f64 = 0.6;
/// Explicit steps before a trial where the fastest mode oscillates.
const LATE: u32 = 500;
/// Up to so many states the matrices of a Rosenbrock step are never too dear.
const SMALL: usize = 8;
/// A Rosenbrock step that takes so many times as long as one of backward differentiation is too dear.
const DEAR: f64 = 5.2;
/// Steps of a one-step and of a multistep method on trial before those that count, and as many of these.
const COMPARED: [u32; 2] = [15, 20];
/// A stiff step that takes so many times as long, where those that count begin, ends the trial.
const HOPELESS: f64 = 2.5;
/// What the stiff method may take, once it was kept, of what the explicit one did.
const STILL: f64 = 1.25;
/// After a trial that was lost so many times as much is spent as it took before another, unless the fastest mode has become faster
/// by this factor.
const PATIENCE: f64 = 2.0;
const FASTER: f64 = 1.5;
/// What is left must take so many times as long as a trial, of a one-step and of a multistep method.
const WORTH: [f64; 2] = [3.0, 5.0];
/// Steps between two milestones.
const MILE: u64 = 64;
/// Power iterations before a trial of the stiff method.
const TRIAL_ITERATIONS: u32 = 4;

/// The explicit method beside the stiff one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rival {
    /// What it took for a second, and the fastest mode then.
    takes: f64,
    rho: f64,
    /// Steps of the stiff method since then, or since half a window before the last comparison.
    steps: u32,
    /// Where the steps that count began, and what was spent by then.
    t: f64,
    half: f64,
    /// The stiff method is no longer on trial.
    kept: bool,
}

impl Rival {
    /// The stiff method is on trial beside it.
    pub(super) fn on_trial(&self) -> bool {
        !self.kept
    }
}

persist!(Rival { takes: f64, rho: f64, steps: u32, t: f64, half: f64, kept: bool });

/// Where the explicit method was, and what was spent by then.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Milestone {
    pub t: f64,
    pub spent: f64,
    pub steps: u64,
}

persist!(Milestone { t: f64, spent: f64, steps: u64 });

/// [`Rival`] of the second layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnTrial {
    takes: f64,
    steps: u32,
    t: f64,
    half: f64,
}

persist!(OnTrial { takes: f64, steps: u32, t: f64, half: f64 });

impl From<OnTrial> for Rival {
    fn from(r: OnTrial) -> Rival {
        Rival { takes: r.takes, rho: f64::NAN, steps: r.steps, t: r.t, half: r.half, kept: false }
    }
}

impl Auto {
    /// Counts after a step, and decides.
    pub(super) fn judge(&mut self, sys: &mut dyn System) {
        self.spent += self.price(sys, self.at_stiff);
        if self.at_stiff {
            self.compare();
            if !self.change {
                self.weigh_other(sys);
            }
            if self.change || !self.stats.steps.is_multiple_of(self.every()) {
                return;
            }
            let h = self.stiff.t() - self.stiff.t_prev();
            self.follow(sys, self.stiff.t());
            // the longest stable explicit step must also be worth more than the stiff one
            let limit = self.explicit.limit(&self.options);
            // a multistep method begins with small ones
            let trial = self.rival.is_some_and(|r| r.on_trial()) || self.other.on_trial();
            if h * self.rho < (0.6 * limit).min(0.75 * limit * self.work_ratio) && !trial {
                self.mild_count += 1;
                self.change = self.mild_count >= self.patience.div_ceil(self.every() as u32);
            } else {
                self.mild_count = 0;
            }
            self.peak = self.peak.max(self.rho);
            if !self.change {
                self.consider(sys);
            }
        } else {
            self.pass();
            self.consider(sys);
            if self.limited_trial(sys) {
                return;
            }
            let every = match &self.explicit {
                Explicit::OneStep(_) if self.limited.taken => LOOKS_EVERY,
                Explicit::OneStep(_) => 1,
                Explicit::Multistep(_) => ADAMS_EVERY,
                Explicit::Series { .. } => SERIES_EVERY,
            };
            if !self.stats.steps.is_multiple_of(every) {
                return;
            }
            let mut swings = 0.0;
            let s = match &self.explicit {
                Explicit::OneStep(e) if !self.limited.taken => e.stiffness(),
                _ => {
                    let (t0, t1) = (self.now().t_prev(), self.now().t());
                    let scale = (t1 - t0) / self.explicit.limit(&self.options);
                    let s = scale * self.decays(sys, t1);
                    swings = scale * self.rho;
                    s
                }
            };
            // Tsit5's own estimate does not see a mode that is hardly there, and sees others than the fastest
            let s = match &self.explicit {
                Explicit::OneStep(e) if self.limited.taken && e.stiffness() > s => e.stiffness(),
                _ => s,
            };
            self.stiffness = s;
            if self.limited(sys, swings) {
                return;
            }
            let looked = every as u32;
            let (enough, stiffish, trial) = match self.explicit.kind() {
                Kind::OneStep => (STIFF_STEPS.max(2 * looked), self.stiffish, TRIAL),
                _ => (4 * looked, LATER_STIFFISH, 6 * looked),
            };
            self.trial_steps += looked;
            let share = if self.limited.taken { LIMITED_SHARE } else { 0.1 };
            if s.is_finite() {
                self.average += share * (s - self.average);
            }
            if swings.is_finite() {
                self.swings += share * (swings - self.swings);
            }
            if self.trial_steps == trial && self.explicit.get().h() * self.work_ratio < self.h_stiff {
                // stable, but not worth it: the stiff method's steps were so much longer
                self.change = true;
                self.patience = self.patience.saturating_mul(4).min(10_000);
            } else if self.average > stiffish && self.trial_steps >= self.probe && self.worth(sys) {
                // see what steps the stiff method would take; it gives back if they are not worth it
                for _ in 0..TRIAL_ITERATIONS {
                    self.follow(sys, self.explicit.get().t());
                }
                self.change = self.decay > DECAYING || self.trial_steps >= LATE;
                if self.change {
                    self.trial_steps = 0;
                    self.probe = self.probe.saturating_mul(2);
                    self.challenge(sys);
                } else {
                    // an oscillation: only a long one is worth the trial
                    self.probe = LATE.max(self.probe);
                }
            } else if self.swings > STIFF
                && self.trial_steps >= self.probe.max(LATE)
                && self.one_step_stiff(sys)
                && self.worth(sys)
            {
                // As above: whether a mode that oscillates is gone by now, a method that damps it will show.
                self.change = true;
                self.trial_steps = 0;
                self.probe = self.probe.max(LATE).saturating_mul(4);
                self.challenge(sys);
            } else if self.explicit.kind() == Kind::Series {
                // It is stable by its step control, and whether the stiff method would do better a trial shows.
            } else if s > STIFF {
                self.calm_count = 0;
                self.stiff_count += looked;
                let often = self.stiff_count >= enough.saturating_mul(1 << (2 * self.lost.min(8)));
                self.change = often && self.worth(sys);
                if self.change && (self.explicit.kind() == Kind::Multistep || sys.dim() >= LARGE) {
                    self.challenge(sys);
                }
            } else if s <= STIFF {
                self.calm_count += looked;
                if self.calm_count >= enough / 2 {
                    self.stiff_count = 0;
                }
            }
        }
    }

    /// Sets a milestone every few explicit steps, and where their method changed.
    fn pass(&mut self) {
        let now = Milestone { t: self.now().t(), spent: self.spent, steps: self.stats.steps };
        let [before, last] = self.milestones;
        if last.t < self.since || last.steps > now.steps {
            self.milestones = [now; 2];
        } else if now.steps - last.steps >= MILE {
            let first = before.steps == last.steps;
            self.milestones = if first { [before, now] } else { [last, now] };
        }
    }

    /// Notes what the explicit method takes before a trial of the stiff one.
    fn challenge(&mut self, sys: &dyn System) {
        let (now, h) = (self.now().t(), self.now().t() - self.now().t_prev());
        // a short step that a moment asked for says nothing of those that follow
        let latest = self.price(sys, false) / h;
        let [Milestone { t, spent, .. }, _] = self.milestones;
        let average = (self.spent - spent) / (now - t);
        let takes = if average < latest { average } else { latest };
        self.rival = Some(Rival { takes, rho: self.rho, steps: 0, t: 0.0, half: 0.0, kept: false });
    }

    /// Whether so much is left for the explicit method that a trial of the stiff one takes less.
    fn worth(&mut self, sys: &mut dyn System) -> bool {
        let faster = self.rho > FASTER * self.rho_lost;
        if self.spent < self.again && !faster {
            return false;
        }
        let (now, h) = (self.now().t(), self.now().h());
        // the last step may have ended at an instant
        let takes = self.price(sys, false) / h.max(now - self.now().t_prev());
        let ahead = (self.the_end() - now) * takes;
        let trial = |multistep: bool| {
            2.0 * WORTH[usize::from(multistep)] * f64::from(COMPARED[usize::from(multistep)])
        };
        if !self.stiff_known {
            // what fills up is not known before one looks, and that takes its time
            let least = Matrices::least(sys);
            let least = |multistep| trial(multistep) * price::stiff(sys, multistep, least);
            if ahead < WORTH[0] * price::ready(sys) + f64::min(least(true), least(false)) {
                return false;
            }
            self.choose(sys);
        }
        ahead > trial(self.multistep) * self.price(sys, true)
    }

    /// During such a trial: once the stiff method has found its steps, those that follow are compared; and later on, whether it
    /// is worth it still. What stability lets the explicit method do goes with the fastest mode.
    fn compare(&mut self) {
        let Some(mut rival) = self.rival else { return };
        let t = self.stiff.t();
        rival.steps = rival.steps.saturating_add(1);
        let window = COMPARED[usize::from(self.multistep)];
        let now = Rival { steps: window, t, half: self.spent, ..rival };
        if rival.steps == window {
            rival = now;
        }
        self.rival = Some(rival);
        let h = t - self.stiff.t_prev();
        let hopeless = !rival.kept && rival.steps == window && self.work_stiff > HOPELESS * rival.takes * h;
        if !hopeless && rival.steps < if rival.kept { 3 * window } else { 2 * window } {
            return;
        }
        let grown = self.rho / rival.rho;
        let grown = if grown.is_finite() { grown } else { 1.0 };
        let takes = if rival.kept { STILL * grown.max(1.0) * rival.takes } else { rival.takes };
        // a multistep method keeps to a step for a while: the last one tells more than the average of those that led to it
        let spends = (self.spent - rival.half) / (t - rival.t);
        let latest = if self.multistep { self.work_stiff / h } else { spends };
        if hopeless || f64::min(spends, latest) > takes {
            self.change = true;
            self.stayed = false;
            // one that was worth its while until now is not lost: conditions have changed, and may change back
            self.lost += u32::from(!self.credit(rival));
            let took = 2.0 * f64::from(window) * self.work_stiff;
            self.again = self.spent + PATIENCE * took * f64::from(1u32 << self.lost.saturating_sub(1).min(8));
            self.rho_lost = self.rho;
            if !rival.kept {
                // what was seen beside it says little: power iterations overshoot where a mode oscillates
                self.peak = 0.0;
            }
            self.rival = None;
        } else {
            self.rival = Some(Rival { kept: true, ..now });
        }
    }

    /// Where the stiff method goes after it was kept: if it has saved more than a trial takes, trials are worth it here, and the
    /// next one waits no longer than the first.
    fn credit(&mut self, rival: Rival) -> bool {
        let window = f64::from(COMPARED[usize::from(self.multistep)]);
        let grown = self.rho / rival.rho;
        let takes = if grown < 1.0 { grown * rival.takes } else { rival.takes };
        let saved = takes * (self.stiff.t() - self.since) - (self.spent - self.spent_since);
        let worth = rival.kept && saved > 2.0 * window * self.work_stiff;
        if worth {
            (self.lost, self.probe) = (0, PROBE);
        }
        worth
    }

    /// What a step takes.
    pub(super) fn price(&self, sys: &dyn System, stiff: bool) -> f64 {
        match stiff {
            true => self.work_stiff,
            false => price::explicit(sys, self.explicit.kind(), self.explicit.code()),
        }
    }

    /// Chooses the stiff method, once it is needed.
    pub(super) fn choose(&mut self, sys: &dyn System) {
        self.stiff_known = true;
        let matrix = IterationMatrix::new(sys.pattern());
        let matrices = Matrices::new(sys, &matrix);
        // below the rounding of the largest state only a method that corrects itself keeps what adds up
        let largest = self.explicit.get().x().iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let smallest = self.atol.iter().fold(f64::INFINITY, |m, &a| m.min(a));
        let deep = smallest > 0.0 && smallest < f64::EPSILON * self.options.tolerances.rtol * largest;
        let dearer = price::stiff(sys, false, matrices) > DEAR * price::stiff(sys, true, matrices);
        self.multistep = deep || (dearer && sys.dim() > SMALL && self.brief < 3);
        self.stiff = stiff(&self.options, self.which_stiff(), Some(matrix));
        self.stiff.set_end(self.end);
        self.weigh_stiff(sys, matrices);
    }

    /// What a step of the stiff method takes.
    pub(super) fn weigh_stiff(&mut self, sys: &dyn System, matrices: Matrices) {
        self.weigh(sys);
        self.work_stiff = price::stiff(sys, self.multistep, matrices);
        self.work_ratio = self.work_stiff / self.work_explicit;
    }

    /// Whether the stiff method is the one that damps every mode, oscillating or not.
    fn one_step_stiff(&mut self, sys: &dyn System) -> bool {
        if !self.stiff_known {
            self.choose(sys);
        }
        !self.multistep
    }

    /// Stiff steps between two power iterations: their cost stays below a tenth.
    fn every(&self) -> u64 {
        if self.multistep { 10 } else { 3 }
    }

    /// Goes on with the other method from the state reached.
    pub(super) fn turn(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        self.change = false;
        let (t, mut h) = (self.now().t(), self.now().h());
        let to_stiff = !self.at_stiff;
        if to_stiff && !self.stiff_known {
            self.choose(sys);
        }
        if !to_stiff {
            if let Some(rival) = self.rival {
                self.credit(rival);
            }
            // one that has just been compared is not compared again
            self.h_stiff = if self.stayed { h } else { 0.0 };
            (self.stayed, self.rival) = (true, None);
            self.trial_steps = 0;
            (self.average, self.swings) = (0.0, 0.0);
            self.window = None;
            if self.rho > 0.0 {
                h = h.min(1.0 / self.rho);
            }
        }
        self.at_stiff = to_stiff;
        let (stop, ahead) = (self.stop, if self.horizon > t { self.horizon } else { self.stop });
        let (next, before): (&mut dyn Integrator, &dyn Integrator) = match to_stiff {
            true => (&mut *self.stiff, self.explicit.get()),
            false => (self.explicit.get_mut(), &*self.stiff),
        };
        let done = *next.stats();
        let result = next.start_from(sys, before, ahead).and_then(|()| next.set_stop(stop));
        self.past.add(&done);
        result?;
        self.drop_other(sys);
        if to_stiff || self.explicit.kind() != Kind::Series {
            self.now_mut().suggest(h);
        }
        if to_stiff {
            if self.switches > 0 {
                self.patience = self.patience.saturating_mul(2).min(10_000);
            }
            self.rho = f64::NAN;
            self.seed(sys);
        }
        self.switches += 1;
        (self.since, self.spent_since) = (t, self.spent);
        (self.stiff_count, self.calm_count, self.mild_count) = (0, 0, 0);
        Ok(())
    }
}
