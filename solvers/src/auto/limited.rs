//! Tsit5 in the place of Adams, where stability limits the steps of that.
//!
//! At tight tolerances Adams takes a third of Tsit5's evaluations, as long as accuracy limits the steps. Where their stability
//! does, Tsit5's are about two and a half times as long, and around an evaluation it moves fewer vectors: many states with
//! little to compute for each (a grid) are better off with it. So it is tried there for some steps, and goes on if these take no
//! more for a second than those of Adams did, or would at a length that can last. It is less careful there than elsewhere:
//! stability keeps its steps short anyhow. Far from its own limit Adams is tried in its turn, and takes over again if it takes no
//! more. With few states it is not worth it: Adams' steps within `auto` have less error.
//!
//! Tsit5's estimate of stiffness does not always see the fastest mode; beside Tsit5 as it stands here the same power iterations as
//! beside Adams do.

use super::parts::{Explicit, Kind, LIMIT};
use super::price;
use super::{Auto, LARGE};
use crate::system::System;
use twinml_model::persist;

/// `h·ρ` from which on Adams counts as near its limit: an order that stability does not keep down needs less.
const NEAR: f64 = 0.25;
/// Looks in a row that say so.
const LOOKS: u32 = 2;
/// How much longer Tsit5's steps are there, at most.
const LONGER: f64 = 2.6;
/// What Tsit5 is to promise beside Adams.
const CLEAR: f64 = 0.8;
/// What it may take in the end.
const KEPT: f64 = 1.05;
/// `h·ρ` up to which Adams' steps count where the fastest mode does not decay: they do not stay longer, and put errors into it
/// meanwhile that stay.
const SUSTAINED: f64 = 0.5;
/// Steps of Tsit5 on trial before those that count, and all.
const TRIAL: [u32; 2] = [6, 20];
/// The same of Adams, which works its order up, where it is to take over again.
const RETURN: [u32; 2] = [30, 60];
/// What is left must take so many times as long as a trial.
const WORTH: f64 = 3.0;
/// After a trial that was lost, so many times as much is spent as it took before the next, and each time more.
const PATIENCE: f64 = 30.0;
/// Steps of Tsit5 between two looks at the spectral radius.
pub(super) const LOOKS_EVERY: u64 = 10;
/// Part that one of them has in the averages.
pub(super) const LIMITED_SHARE: f64 = 0.2;
/// `h·ρ` at which Adams' steps last, whatever its order up to 7: from there on what they take tells when Tsit5 is far enough from
/// its own limit, and looks in a row that say so.
const LASTING: f64 = 0.6;
const FAR: u32 = 4;

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limited {
    /// Tsit5 is in the place of Adams.
    pub taken: bool,
    /// Looks in a row that spoke for a change.
    looks: u32,
    /// While Tsit5 is on trial, what Adams took for a second; else 0.
    takes: f64,
    /// Steps of the trial, and where those that count began.
    steps: u32,
    t: f64,
    spent: f64,
    /// Trials that were lost, and what is to be spent before another.
    lost: u32,
    until: f64,
}

persist!(Limited {
    taken: bool,
    looks: u32,
    takes: f64,
    steps: u32,
    t: f64,
    spent: f64,
    lost: u32,
    until: f64
});

impl Limited {
    /// What was on trial is no longer compared.
    pub(super) fn stop_trial(&mut self) {
        (self.takes, self.looks) = (0.0, 0);
    }

    /// Whether it may be one of an integrator at work with a method of this kind.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        kind != Kind::Multistep || !self.taken
    }
}

impl Auto {
    /// At a look at the spectral radius, where `h·ρ` over the limit is `swings`: goes on with Tsit5 in the place of Adams, or the
    /// other way round; true then.
    pub(super) fn limited(&mut self, sys: &mut dyn System, swings: f64) -> bool {
        let adams = self.explicit.kind() == Kind::Multistep && sys.dim() >= LARGE;
        let tsit5 = self.explicit.kind() == Kind::OneStep && self.limited.taken;
        let dearer = price::explicit(sys, Kind::OneStep, 0.0) / price::explicit(sys, Kind::Multistep, 0.0);
        let far = CLEAR * LASTING / LIMIT * dearer;
        let speaks = adams && swings > NEAR || tsit5 && swings < far;
        if !speaks {
            self.limited.looks = 0;
            return false;
        }
        self.limited.looks = self.limited.looks.saturating_add(1);
        if self.limited.looks < if adams { LOOKS } else { FAR } || self.spent < self.limited.until {
            return false;
        }
        let (t, h) = (self.now().t(), self.now().t() - self.now().t_prev());
        let (multistep, one_step) =
            (price::explicit(sys, Kind::Multistep, 0.0), price::explicit(sys, Kind::OneStep, 0.0));
        if !adams {
            self.until(multistep);
            let back = self.put(sys, Explicit::multistep(&self.options), h);
            if back {
                self.limited = Limited { takes: one_step / h, steps: 0, ..self.limited };
            }
            return back;
        }
        let rho = self.rho;
        let longest = (LONGER * h).min(LIMIT / rho);
        let trial = f64::from(TRIAL[1]) * one_step;
        let takes = multistep / h;
        if one_step / longest > CLEAR * takes || (self.the_end() - t) * takes < WORTH * trial {
            return false;
        }
        if !self.put(sys, Explicit::limited(&self.options), h) {
            return false;
        }
        let decays = self.stiffness > 0.5 * swings;
        let takes = if decays { takes } else { multistep / h.min(SUSTAINED / rho) };
        self.limited = Limited { taken: true, takes, steps: 0, ..self.limited };
        true
    }

    /// After a step of the one on trial; true if the other takes over again.
    pub(super) fn limited_trial(&mut self, sys: &mut dyn System) -> bool {
        let [before, all] = match self.explicit.kind() {
            Kind::OneStep => TRIAL,
            Kind::Multistep => RETURN,
            Kind::Series => return false,
        };
        if self.limited.takes <= 0.0 {
            return false;
        }
        let (t, spent) = (self.now().t(), self.spent);
        self.limited.steps = self.limited.steps.saturating_add(1);
        if self.limited.steps == before {
            (self.limited.t, self.limited.spent) = (t, spent);
        }
        if self.limited.steps < all {
            return false;
        }
        let takes = std::mem::take(&mut self.limited.takes);
        if spent - self.limited.spent <= KEPT * takes * (t - self.limited.t) {
            return false;
        }
        self.until(price::explicit(sys, Kind::OneStep, 0.0));
        let h = self.now().h();
        let other = match self.explicit.kind() {
            Kind::OneStep => Explicit::multistep(&self.options),
            _ => Explicit::limited(&self.options),
        };
        self.put(sys, other, h)
    }

    /// The next trial is to wait.
    fn until(&mut self, step: f64) {
        self.limited.lost = self.limited.lost.saturating_add(1).min(10);
        let patience = PATIENCE * f64::from(1u32 << self.limited.lost);
        self.limited.until = self.spent + patience * f64::from(TRIAL[1]) * step;
    }

    /// Goes on with another explicit method from the state reached.
    fn put(&mut self, sys: &mut dyn System, mut with: Explicit, h: f64) -> bool {
        let (t, stop) = (self.now().t(), self.stop);
        let ahead = if self.horizon > t { self.horizon } else { stop };
        let started = with.get_mut().start(sys, t, self.now().x(), ahead);
        if started.and_then(|()| with.get_mut().set_stop(stop)).is_err() {
            return false;
        }
        with.get_mut().suggest(h);
        self.limited.taken = with.kind() == Kind::OneStep;
        self.replace(sys, with);
        true
    }
}
