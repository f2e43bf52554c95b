//! The state of `auto` as bytes and back, in every layout that there was.
//!
//! | layout | what changed |
//! |---|---|
//! | 1 | |
//! | 2 | the explicit method by its kind; what Taylor series and trials of the stiff method need, before the methods' own states |
//! | 3 | Tsit5 in the place of Adams, what trials are compared with later on, and when another one may come; what steps take is counted anew |
//! | 4 | how many stop times there were, and how many of them when the pace began to be taken |
//! | 5 | what made the last step, where another method has taken its place since: its dense output is still read |
//! | 6 | how long the pace of the Rosenbrock method has been even, and backward differentiation on trial in its place |
//! | 7 | where a quarter to a half of what was spent had been spent |

use super::judge::{Milestone, OnTrial, Rival};
use super::limited::Limited;
use super::parts::{Explicit, Kind, Stiff, series_order, stiff};
use super::price::Matrices;
use super::series::{Stage, Window, WindowWithoutStops};
use super::{Auto, Behind};
use crate::integrator::Method;
use crate::linalg::IterationMatrix;
use crate::state;
use crate::system::System;
use twinml_model::bytes::{Malformed, Reader, Writer};

/// The layout that is written.
const LAYOUT: u32 = 7;

impl Auto {
    /// All that the next steps depend on.
    pub(super) fn write(&self, to: &mut Writer) {
        state::begin_layout(to, Method::Auto, LAYOUT, self.started);
        if !self.started {
            return;
        }
        to.put(&self.explicit.kind()).put(&self.multistep);
        self.stage.save(to);
        to.put(&self.window).put(&self.swings).put(&self.work_explicit);
        to.put(&self.spent)
            .put(&self.work_stiff)
            .put(&self.peak)
            .put(&self.rival)
            .put(&self.lost)
            .put(&self.stayed)
            .put(&self.limited)
            .put(&self.refused)
            .put(&self.began)
            .put(&self.spent_since)
            .put(&self.again)
            .put(&self.rho_lost)
            .put(&self.milestones[0])
            .put(&self.milestones[1])
            .put(&self.stops)
            .put(&self.other)
            .put(&self.halves[0])
            .put(&self.halves[1]);
        self.explicit.get().save(to);
        self.stiff.save(to);
        to.put(&self.waiting.is_some());
        if let Some(waiting) = &self.waiting {
            waiting.save(to);
        }
        to.put(&self.at_stiff).put(&self.stiff_known).put(&self.change);
        to.put(&self.stop).put(&self.since).put(&self.stiffish).put(&self.h_stiff).put(&self.average);
        to.put(&self.work_ratio).put(&self.rho).put(&self.stiffness).put(&self.growth).put(&self.decay);
        to.put(&self.past).put(&self.stats).put(&self.restarts).put(&self.restarted_at);
        to.put(&self.brief).put(&self.switches).put(&self.stiff_count).put(&self.calm_count);
        to.put(&self.mild_count).put(&self.patience).put(&self.trial_steps).put(&self.probe);
        to.slice(&self.v);
        match &self.behind {
            None => {
                to.put(&0u8);
            }
            Some(Behind::Stiff) => {
                to.put(&1u8);
            }
            Some(Behind::Explicit(e)) => {
                to.put(&2u8).put(&e.kind());
                e.get().save(to);
            }
        }
    }

    /// What [`Auto::write`] wrote, now or when it had an earlier layout.
    pub(super) fn read(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        *self = Auto::new(&self.options);
        let (layout, started) = state::begun_layout(from, Method::Auto, LAYOUT)?;
        if !started {
            return Ok(());
        }
        let n = sys.dim();
        self.atol = self.options.tolerances.expand(n).map_err(|e| from.malformed(e.to_string()))?;
        let at = from.at();
        let kind = match layout {
            1 if from.get()? => Kind::Multistep,
            1 => Kind::OneStep,
            _ => from.get()?,
        };
        self.explicit = Explicit::new(kind, &self.options);
        if let Explicit::Series { work, .. } = &mut self.explicit {
            let Some(of) = sys.taylor_work(series_order(&self.options)) else {
                return Err(Malformed { at, why: "there is no series of these equations".into() });
            };
            *work = of;
        }
        self.multistep = from.get()?;
        if layout > 1 {
            self.stage = Stage::load(from)?;
            self.window = match layout {
                2 | 3 => from.get::<Option<WindowWithoutStops>>()?.map(Window::from),
                _ => from.get()?,
            };
            (self.swings, self.work_explicit) = from.get()?;
            (self.spent, self.work_stiff, self.peak) = from.get()?;
            self.rival = match layout {
                2 => from.get::<Option<OnTrial>>()?.map(Rival::from),
                _ => from.get()?,
            };
            self.lost = state::few(from)?;
            self.stayed = from.get()?;
        }
        if layout > 2 {
            (self.limited, self.refused) = from.get::<(Limited, f64)>()?;
            (self.began, self.spent_since) = from.get()?;
            (self.again, self.rho_lost) = from.get()?;
            self.milestones = [from.get()?, from.get()?];
            if layout > 3 {
                self.stops = state::count(from)?;
            }
            if !self.limited.fits(kind) {
                return Err(from.malformed("Adams is at work in its own place"));
            }
            if self.limited.taken && kind == Kind::OneStep {
                self.explicit = Explicit::limited(&self.options);
            }
        }
        if layout > 5 {
            self.other = from.get()?;
        }
        // earlier layouts judged by all that was spent since the beginning
        let began = Milestone { t: self.began, ..Milestone::default() };
        self.halves = if layout > 6 { [from.get()?, from.get()?] } else { [began; 2] };
        self.stiff = stiff(&self.options, self.which_stiff(), None);
        self.explicit.get_mut().load(sys, from)?;
        self.stiff.load(sys, from)?;
        if layout > 5 && from.get()? {
            let mut waiting = stiff(&self.options, Stiff::Rosenbrock, None);
            waiting.load(sys, from)?;
            self.waiting = Some(waiting);
        }
        let at = from.at();
        (self.at_stiff, self.stiff_known, self.change) = from.get()?;
        if self.now().x().len() != n {
            return Err(Malformed { at, why: "the method at work has not started".into() });
        }
        for v in [
            &mut self.stop,
            &mut self.since,
            &mut self.stiffish,
            &mut self.h_stiff,
            &mut self.average,
            &mut self.work_ratio,
            &mut self.rho,
            &mut self.stiffness,
            &mut self.growth,
            &mut self.decay,
        ] {
            *v = from.get()?;
        }
        (self.past, self.stats) = from.get()?;
        (self.restarts, self.restarted_at) = (state::count(from)?, state::count(from)?);
        if self.window.is_some_and(|w| w.beyond(&self.stats, self.stops)) {
            return Err(from.malformed("the pace is taken from steps that there were not"));
        }
        if self.restarted_at > self.stats.steps {
            return Err(from.malformed("a restart after more steps than there were"));
        }
        for v in [
            &mut self.brief,
            &mut self.switches,
            &mut self.stiff_count,
            &mut self.calm_count,
            &mut self.mild_count,
        ] {
            *v = state::few(from)?;
        }
        self.patience = from.get()?;
        self.trial_steps = state::few(from)?;
        self.probe = from.get()?;
        state::vector(from, &mut self.v, n)?;
        self.w.resize(n, 0.0);
        self.plane = [vec![0.0; n], vec![0.0; n]];
        if layout > 4 {
            let at = from.at();
            self.behind = match from.get::<u8>()? {
                0 => None,
                1 => Some(Behind::Stiff),
                2 => {
                    let mut e = Explicit::new(from.get()?, &self.options);
                    e.get_mut().load(sys, from)?;
                    Some(Behind::Explicit(e))
                }
                kind => return Err(Malformed { at, why: format!("no method of kind {kind} made a step") }),
            };
            if self.last().x().len() != n {
                return Err(Malformed {
                    at,
                    why: "the method that made the last step has not started".into(),
                });
            }
        }
        self.started = true;
        if layout < 3 {
            self.complete(sys, layout);
        }
        Ok(())
    }

    /// What earlier layouts did not hold, as far as it follows from the rest: a trial that was on its way stays without a
    /// comparison, and the pace is taken from now on.
    fn complete(&mut self, sys: &dyn System, layout: u32) {
        self.weigh(sys);
        if self.stiff_known {
            let matrices = Matrices::new(sys, &IterationMatrix::new(sys.pattern()));
            self.weigh_stiff(sys, matrices);
        }
        self.window = None;
        if self.at_stiff && layout == 1 {
            self.peak = self.rho.max(0.0);
        }
    }
}
