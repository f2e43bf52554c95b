//! When `auto` goes on with backward differentiation in the place of its Rosenbrock method.
//!
//! Small systems have a Rosenbrock method for the stiff one: its steps are dearer, but far fewer. Where stiff directions turn with
//! the solution (a stiff spring that swings; Hairer and Wanner 1996, section VII.4, on stiff mechanical systems) it loses its
//! order, its steps become as many as those of backward differentiation and more, and their errors add up. Nothing of a step tells
//! that. So where it has taken many steps, and many are left, backward differentiation goes on for some of them; it stays where it
//! takes clearly less than the Rosenbrock method did at its best for a while.
//!
//! As elsewhere here, what steps take is counted and never measured.

use super::parts::{Stiff, stiff};
use super::price::{self, Matrices};
use super::{Auto, judge::Milestone};
use crate::error::SolveError;
use crate::integrator::Integrator;
use crate::linalg::IterationMatrix;
use crate::system::System;
use twinml_model::persist;

/// Steps over which a pace is taken, and of how many such spans the best counts; twice as many after each trial that was lost.
const SPAN: u64 = 64;
const SPANS: u32 = 4;
/// Where a span takes less than this part of the one before, steps are growing, and what comes later takes less by any method.
const LEVEL: f64 = 0.8;
/// Steps of backward differentiation on trial before those that count, and as many of these.
const TRIAL: u64 = 40;
/// What is left must take so many times as long as a trial.
const WORTH: f64 = 20.0;
/// Part of what the Rosenbrock method takes that the other one may.
const CLEAR: f64 = 0.5;

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Other {
    /// Where the pace is taken from, what the best span before took for a second and what the last one did, and how many there were.
    from: Milestone,
    least: f64,
    last: f64,
    spans: u32,
    /// The other method is on trial beside a Rosenbrock method that would have taken so much for a second; 0 if not.
    takes: f64,
    /// Its Jacobians and factorisations before the steps that count.
    jacobians: u64,
    factors: u64,
    /// Trials that it lost.
    lost: u32,
    /// It was kept, or may not come.
    done: bool,
    /// The methods change places before the next step.
    swap: bool,
}

persist!(Other {
    from: Milestone,
    least: f64,
    last: f64,
    spans: u32,
    takes: f64,
    jacobians: u64,
    factors: u64,
    lost: u32,
    done: bool,
    swap: bool
});

impl Other {
    pub(super) fn on_trial(&self) -> bool {
        self.takes > 0.0
    }

    pub(super) fn changes_places(&self) -> bool {
        self.swap
    }

    /// What was on trial is no more: the other method stays, or comes again much later.
    fn end(&mut self, stays: bool) {
        *self = Other { done: stays, lost: self.lost.saturating_add(1), swap: !stays, ..Other::default() };
    }

    /// A pace is taken from here on.
    pub(super) fn begin(&mut self, from: Milestone) {
        if !self.done && !self.on_trial() {
            *self = Other { from, lost: self.lost, swap: self.swap, ..Other::default() };
        }
    }
}

impl Auto {
    /// Which stiff method there is.
    pub(super) fn which_stiff(&self) -> Stiff {
        let trial_lost = self.other.swap && !self.other.on_trial();
        match self.multistep {
            false => Stiff::Rosenbrock,
            true if self.other.on_trial() || self.other.done || trial_lost => Stiff::Instead,
            true => Stiff::Multistep,
        }
    }

    /// After a step of the stiff method.
    pub(super) fn weigh_other(&mut self, sys: &mut dyn System) {
        if self.other.done {
            return;
        }
        let now = Milestone { t: self.now().t(), spent: self.spent, steps: self.stats.steps };
        if self.other.on_trial() {
            return self.end_trial(sys, now);
        }
        let first = self.other.from;
        if self.multistep || self.rival.is_some_and(|r| r.on_trial()) || first.steps == 0 {
            return self.other.begin(now);
        }
        if now.steps.saturating_sub(first.steps) < SPAN {
            return;
        }
        let pace = (now.spent - first.spent) / (now.t - first.t);
        let spans = self.other.spans.saturating_add(1);
        let Other { last, least, .. } = self.other;
        let least = if spans > 1 && least < pace { least } else { pace };
        self.other = Other { from: now, last: pace, least, spans, ..self.other };
        if spans < SPANS << self.other.lost.min(16) || pace < LEVEL * last {
            return;
        }
        self.other.spans = 0;
        let step = price::stiff(sys, true, Matrices::least(sys));
        if least * (self.the_end() - now.t) > WORTH * 2.0 * TRIAL as f64 * step {
            (self.other.takes, self.other.swap) = (least, true);
        }
    }

    /// During a trial: the one that takes less for a second stays.
    fn end_trial(&mut self, sys: &dyn System, now: Milestone) {
        let stats = *self.stiff.stats();
        if self.other.swap || stats.steps < TRIAL {
            return;
        }
        if stats.steps == TRIAL {
            self.other.from = now;
            (self.other.jacobians, self.other.factors) = (stats.jac, stats.factorizations);
        }
        if stats.steps < 2 * TRIAL {
            return;
        }
        let Other { from, takes, jacobians, factors, .. } = self.other;
        let matrices = Matrices::new(sys, &IterationMatrix::new(sys.pattern()));
        // Jacobians are mostly few, and a step is priced so
        let more = matrices.beyond(
            TRIAL,
            stats.jac.saturating_sub(jacobians),
            stats.factorizations.saturating_sub(factors),
        );
        let spends = (now.spent - from.spent + more) / (now.t - from.t);
        self.other.end(spends < CLEAR * takes);
        if self.other.done
            && let Some(waiting) = self.waiting.take()
        {
            self.past.add(waiting.stats());
        }
    }

    /// The Rosenbrock method that waits, or one anew.
    fn rosenbrock(&mut self, matrix: IterationMatrix) -> Box<dyn Integrator> {
        self.waiting.take().unwrap_or_else(|| {
            let mut anew = stiff(&self.options, Stiff::Rosenbrock, Some(matrix));
            anew.set_end(self.end);
            anew
        })
    }

    /// Goes on with the other stiff method from the state reached.
    pub(super) fn swap_stiff(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        self.other.swap = false;
        let (t, h) = (self.stiff.t(), self.stiff.h());
        let (stop, ahead) = (self.stop, if self.horizon > t { self.horizon } else { self.stop });
        let matrix = IterationMatrix::new(sys.pattern());
        let matrices = Matrices::new(sys, &matrix);
        let mut next = match self.multistep {
            true => self.rosenbrock(matrix),
            false => stiff(&self.options, Stiff::Instead, Some(matrix)),
        };
        next.set_end(self.end);
        let done = *next.stats();
        let begun = next.start_from(sys, &*self.stiff, ahead).and_then(|()| next.set_stop(stop));
        if begun.is_err() && !self.multistep {
            self.other.end(false);
            self.other.swap = false;
            return Ok(());
        }
        begun?;
        next.suggest(h);
        self.past.add(&done);
        let before = std::mem::replace(&mut self.stiff, next);
        if self.multistep {
            self.past.add(before.stats());
        } else {
            self.waiting = Some(before);
        }
        self.multistep = !self.multistep;
        self.weigh_stiff(sys, matrices);
        // what it was compared with took less than the other one
        self.rival = None;
        self.switches += 1;
        (self.since, self.spent_since) = (t, self.spent);
        Ok(())
    }

    /// Ends a trial of backward differentiation, if there is one, where the stiff method is not needed now or begins anew.
    pub(super) fn drop_other(&mut self, sys: &dyn System) {
        if self.other.on_trial() && self.multistep {
            let matrix = IterationMatrix::new(sys.pattern());
            let matrices = Matrices::new(sys, &matrix);
            self.multistep = false;
            let next = self.rosenbrock(matrix);
            let before = std::mem::replace(&mut self.stiff, next);
            self.past.add(before.stats());
            self.weigh_stiff(sys, matrices);
        }
        if self.other.on_trial() {
            self.other.end(false);
            self.other.swap = false;
        }
        self.other.begin(Milestone::default());
    }
}
