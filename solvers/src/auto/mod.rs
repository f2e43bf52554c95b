//! `auto`: an explicit method (Tsit5, Adams or Taylor) and a stiff one (Rosenbrock or BDF), changed by an estimate of stiffness.
//!
//! **The explicit method** is Tsit5; Adams at the tightest tolerances, unless the equations look back at the past, and for large coupled
//! systems at tight ones. Where stability
//! limits the steps of Adams in a large system, Tsit5 takes its place ([`limited`]). On the way, where the rest of the run is long
//! enough to pay for the code of it, a Taylor method does ([`series`]).
//!
//! **To stiff.** Tsit5 estimates `h·|λ|` from its last two stages (Hairer & Wanner IV.2). When that stays
//! at the limit of stability, the stiff method goes on from there; beside Adams a power iteration with
//! `∂f/∂x·v` every few steps says the same. At the start, a fast decaying mode that
//! would take the explicit method tens of thousands of steps to the stop time begins with the stiff one.
//!
//! **To explicit.** While the stiff method runs, one power iteration with `∂f/∂x·v` every few steps follows
//! the spectral radius ρ. When its steps would all be stable for the explicit method, that goes on. After
//! each return the patience doubles. If the explicit steps prove so much shorter that they cost more than
//! the stiff ones did, the stiff method goes on at once.
//!
//! **Trials.** Where the explicit steps are not far from their limit of stability, or where they are at it because of a mode
//! that oscillates and may have died away since, the stiff method is tried. Once it has found its steps, what a second
//! takes with it is compared with what it took before, and the explicit method goes on again unless that is less; later on,
//! too. There is no trial where less is left than three of them take, their matrices included: a grid whose factors fill up stays
//! with the explicit method. What steps take is counted, in about nanoseconds ([`price`]).
//!
//! **The stiff method** is Rosenbrock, and BDF where a step of Rosenbrock takes more than five times as long (wide factors,
//! right-hand sides with much work), or where absolute tolerances lie below the rounding of the largest state and only the
//! corrected Newton iteration keeps sums that the equations
//! conserve. Where events come so often that BDF never reaches its order, it is Rosenbrock. After many steps of
//! Rosenbrock the system's code for a whole one does them ([`crate::rosenbrock`]); and where very many are left, BDF is tried in its
//! place ([`other`]).
//!
//! Decisions depend on counts and values only, never on a clock: the same model gives the same bits.

mod fastest;
mod judge;
mod limited;
mod other;
mod parts;
mod price;
mod saved;
mod series;

pub use parts::{rosenbrock_tolerances, series_order};

use crate::error::SolveError;
use crate::integrator::{Choice, Integrator, Method, Options};
use crate::lanes::seat::{Seat, SeatCode, Shape};
use crate::rk::tsit5::Tsit5;
use crate::stats::Stats;
use crate::system::System;
use crate::taylor::Taylor;
use fastest::DECAYING;
use judge::{Milestone, Rival};
use limited::Limited;
use other::Other;
use parts::{Explicit, Kind, LIMIT, Stiff, stiff};
use price::Matrices;
use series::{Stage, Window};
use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::lanes::LaneMemory;

/// From here on the stiff method, whose steps may be longer, is tried now and then: Rosenbrock early, a
/// multistep method, which has to work up its order, later.
const STIFFISH: [f64; 2] = [0.1, 0.4];
/// Explicit steps before the first such trial; each later one waits twice as long.
const PROBE: u32 = 60;
/// So many steps of the stiff method that would have been stable change to the explicit one, at first.
const MILD_STEPS: u32 = 10;
/// From so many states on, the work within a step outweighs that around it, and the multistep method,
/// whose four or five steps do one solve each where a Rosenbrock step does eight, is ahead.
const LARGE: usize = 24;
/// Steps between restarts below which a multistep method never gets going.
const SHORT: u64 = 40;
/// Below these relative tolerances Adams is the explicit method: any system but those that look back, whose jumps in derivatives
/// cost a multistep method its order; those with much work in an evaluation, of which Adams takes two a step.
const FINE: [f64; 2] = [3e-8, 2e-6];
/// Dependences of an equation that make much work.
const COUPLED: usize = 8;
/// Operations for each state that make much work.
const HEAVY: f64 = 60.0;
/// Power iterations at the start.
const START_ITERATIONS: u32 = 10;
/// `ρ·(stop − t)` above which the stiff method begins.
const LONG: f64 = 3e4;

/// The automatic choice at work.
pub struct Auto {
    options: Options,
    explicit: Explicit,
    stiff: Box<dyn Integrator>,
    /// What made the last step, where another method has taken its place since: it has the dense output.
    behind: Option<Behind>,
    started: bool,
    /// True if the stiff method is at work.
    at_stiff: bool,
    /// True once `stiff` was chosen.
    stiff_known: bool,
    /// True if it is the multistep method.
    multistep: bool,
    /// Stiffness from which on the stiff method is tried.
    stiffish: f64,
    /// The method to change to before the next step.
    change: bool,
    stop: f64,
    /// The stop time for parts that begin on the way.
    horizon: f64,
    /// When the run will end.
    end: f64,
    /// How often the stop time was moved on.
    stops: u64,
    restarts: u64,
    /// Steps done at the last restart.
    restarted_at: u64,
    /// Restarts in a row that came soon after the one before.
    brief: u32,
    stats: Stats,
    /// Work of sub-integrations that were started anew.
    past: Stats,
    since: f64,
    /// When the run began.
    began: f64,
    /// What was spent by the last change.
    spent_since: f64,
    switches: u32,
    stiff_count: u32,
    calm_count: u32,
    mild_count: u32,
    patience: u32,
    /// The stiff method's step when the explicit one took over.
    h_stiff: f64,
    /// Explicit steps since then.
    trial_steps: u32,
    /// Explicit steps after which the stiff method is tried if the system is not far from stiff.
    probe: u32,
    /// Stiffness, averaged over about ten explicit steps.
    average: f64,
    /// The same of `h·ρ`, whether the fastest mode decays or not, beside other methods than Tsit5.
    swings: f64,
    /// What a stiff step takes over what an explicit one does.
    work_ratio: f64,
    /// What an explicit step takes.
    work_explicit: f64,
    /// What steps took, as counted; what a stiff one takes.
    spent: f64,
    work_stiff: f64,
    /// The largest `ρ` beside the stiff method.
    peak: f64,
    /// The explicit method during a trial of the stiff one.
    rival: Option<Rival>,
    /// Trials that the stiff method lost.
    lost: u32,
    /// What is to be spent before another, and the fastest mode at the last one.
    again: f64,
    rho_lost: f64,
    /// False where the stiff method has just been found not to be worth it.
    stayed: bool,
    /// Whether a Taylor method goes on.
    stage: Stage,
    /// What is to be spent before that is asked about again.
    refused: f64,
    /// A Taylor method that was thought of and refused: its arrays serve the next one. No part of the state.
    spare: Option<Box<Taylor>>,
    /// Since when the pace of explicit steps is taken.
    window: Option<Window>,
    /// From where on the average pace of explicit steps is taken.
    milestones: [Milestone; 2],
    /// Where between a quarter and a half of what was spent had been spent, and from where on that is taken next.
    halves: [Milestone; 2],
    /// Tsit5 in the place of Adams.
    limited: Limited,
    /// Backward differentiation in the place of the Rosenbrock method.
    other: Other,
    /// The Rosenbrock method while backward differentiation is on trial in its place: the code that it has earned stays with it.
    waiting: Option<Box<dyn Integrator>>,
    rho: f64,
    /// The last estimate of stiffness by the explicit method.
    stiffness: f64,
    /// Its last raw estimate.
    growth: f64,
    /// Cosine between `v` and `−∂f/∂x·v`: near 1 when the fastest mode decays, near 0 when it oscillates.
    decay: f64,
    v: Vec<f64>,
    w: Vec<f64>,
    /// Scratch: two directions.
    plane: [Vec<f64>; 2],
    atol: Vec<f64>,
}

/// What made a step.
#[derive(Clone)]
enum Behind {
    Explicit(Explicit),
    Stiff,
}

impl Clone for Auto {
    fn clone(&self) -> Self {
        Auto {
            options: self.options.clone(),
            explicit: self.explicit.clone(),
            stiff: self.stiff.clone_box(),
            waiting: self.waiting.as_ref().map(|w| w.clone_box()),
            behind: self.behind.clone(),
            spare: None,
            v: self.v.clone(),
            w: self.w.clone(),
            plane: self.plane.clone(),
            atol: self.atol.clone(),
            ..*self
        }
    }
}

impl Auto {
    /// Not started yet.
    pub fn new(options: &Options) -> Self {
        Auto {
            options: options.clone(),
            explicit: Explicit::one_step(options),
            stiff: stiff(options, Stiff::Rosenbrock, None),
            behind: None,
            spare: None,
            started: false,
            at_stiff: false,
            stiff_known: false,
            multistep: false,
            stiffish: STIFFISH[0],
            change: false,
            stop: 0.0,
            horizon: 0.0,
            end: f64::NAN,
            stops: 0,
            restarts: 0,
            restarted_at: 0,
            brief: 0,
            stats: Stats::default(),
            past: Stats::default(),
            since: 0.0,
            began: 0.0,
            spent_since: 0.0,
            switches: 0,
            stiff_count: 0,
            calm_count: 0,
            mild_count: 0,
            patience: MILD_STEPS,
            h_stiff: 0.0,
            trial_steps: 0,
            probe: PROBE,
            average: 0.0,
            swings: 0.0,
            work_ratio: 2.0,
            work_explicit: 0.0,
            spent: 0.0,
            work_stiff: 0.0,
            peak: 0.0,
            rival: None,
            lost: 0,
            again: 0.0,
            rho_lost: 0.0,
            stayed: true,
            stage: Stage::Before,
            refused: 0.0,
            window: None,
            milestones: Default::default(),
            halves: Default::default(),
            limited: Limited::default(),
            other: Other::default(),
            waiting: None,
            rho: f64::NAN,
            decay: f64::NAN,
            stiffness: f64::NAN,
            growth: f64::NAN,
            v: Vec::new(),
            w: Vec::new(),
            plane: [Vec::new(), Vec::new()],
            atol: Vec::new(),
        }
    }

    fn now(&self) -> &dyn Integrator {
        if self.at_stiff { &*self.stiff } else { self.explicit.get() }
    }

    fn now_mut(&mut self) -> &mut dyn Integrator {
        if self.at_stiff { &mut *self.stiff } else { self.explicit.get_mut() }
    }

    /// What made the last step.
    fn last(&self) -> &dyn Integrator {
        match &self.behind {
            None => self.now(),
            Some(Behind::Explicit(e)) => e.get(),
            Some(Behind::Stiff) => &*self.stiff,
        }
    }

    /// A step of the method at work.
    fn advance(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        self.behind = None;
        self.now_mut().step(sys)
    }

    /// The end of the run, from where it has come to.
    fn the_end(&self) -> f64 {
        let t = self.now().t();
        match () {
            () if self.end > t => self.end,
            () if self.horizon > t => self.horizon,
            () => self.stop,
        }
    }

    /// What an explicit step takes.
    fn weigh(&mut self, sys: &dyn System) {
        self.work_explicit = self.price(sys, false);
    }

    fn count(&mut self) {
        let mut sum = self.past;
        sum.add(self.explicit.get().stats());
        sum.add(self.stiff.stats());
        if let Some(waiting) = &self.waiting {
            sum.add(waiting.stats());
        }
        // starts of the parts are not restarts of the whole
        sum.restarts = self.restarts;
        self.stats = sum;
    }
}

impl Integrator for Auto {
    fn method(&self) -> Method {
        Method::Auto
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.options.check(Method::Auto)?;
        let n = sys.dim();
        if x.len() != n {
            return Err(SolveError::Dimension { expected: n, got: x.len() });
        }
        *self = Auto { end: self.end, ..Auto::new(&self.options) };
        let ahead = if self.end > t { self.end - t } else { stop - t };
        self.atol = self.options.tolerances.expand(n)?;
        self.v = vec![0.0; n];
        self.w = vec![0.0; n];
        (self.stop, self.horizon) = (stop, stop);
        self.plane = [vec![0.0; n], vec![0.0; n]];
        (self.began, self.since) = (t, t);
        self.halves = [Milestone { t, ..Milestone::default() }; 2];
        let pattern = sys.pattern();
        let rtol = self.options.tolerances.rtol;
        let coupled = n >= LARGE && pattern.nnz() >= COUPLED * n || sys.work() >= HEAVY * n as f64;
        if rtol < FINE[0] && !sys.looks_back() || coupled && rtol < FINE[1] {
            self.explicit = Explicit::multistep(&self.options);
        }
        self.weigh(sys);
        self.work_ratio = price::stiff(sys, false, Matrices::least(sys)) / self.work_explicit;
        self.stiff_known = false;
        self.stiffish = STIFFISH[usize::from(n >= LARGE)];
        self.explicit.get_mut().start(sys, t, x, stop)?;
        // how many steps would stability alone cost?
        self.seed(sys);
        if n > 0 && ahead > 0.0 {
            // the first iterations show how states feed one another, the last ones the eigenvalue
            let mut rho = f64::INFINITY;
            for k in 0..START_ITERATIONS {
                self.follow(sys, t);
                if k + 3 >= START_ITERATIONS {
                    rho = rho.min(self.growth);
                }
            }
            if rho * ahead > LONG && rho.is_finite() && self.decay > DECAYING {
                self.turn(sys)?;
                self.switches = 0;
            }
        }
        self.rho = f64::NAN;
        self.count();
        self.started = true;
        Ok(())
    }

    fn step(&mut self, sys: &mut dyn System) -> Result<(), SolveError> {
        if self.atol.len() != sys.dim() {
            return Err(SolveError::NotStarted);
        }
        if self.stats.steps + self.stats.rejected >= self.options.max_steps {
            let (t, h) = (self.now().t(), self.now().h());
            return Err(SolveError::TooManySteps { t, h, steps: self.stats.steps });
        }
        if self.change {
            self.turn(sys)?;
        } else if self.other.changes_places() && self.at_stiff {
            self.swap_stiff(sys)?;
        }
        let rejected = self.now().stats().rejected;
        let mut result = self.advance(sys);
        if !self.at_stiff && self.explicit.kind() == Kind::Series {
            match self.instead_of_series() {
                Some(kind) if result.is_err() => {
                    // where a series ends there may still be a solution
                    self.end_series(sys, kind);
                    result = self.advance(sys);
                }
                _ => result = result.and_then(|()| self.mind_kinks(sys, rejected)),
            }
        }
        if self.at_stiff && result.is_err() && self.other.on_trial() && self.multistep {
            // what is on trial is no reason to fail
            self.swap_stiff(sys)?;
            self.drop_other(sys);
            result = self.advance(sys);
        }
        if !self.at_stiff
            && matches!(result, Err(SolveError::StepTooSmall { .. } | SolveError::NotFinite { .. }))
        {
            // what has no explicit step may have an implicit one
            let before = result;
            result = self.turn(sys).and_then(|()| self.advance(sys)).or(before);
        }
        self.count();
        result?;
        self.judge(sys);
        Ok(())
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.now_mut().set_stop(stop)?;
        self.stops += u64::from(stop != self.stop);
        self.stop = stop;
        Ok(())
    }

    fn set_end(&mut self, end: f64) {
        self.end = end;
        self.stiff.set_end(end);
        if let Some(waiting) = &mut self.waiting {
            waiting.set_end(end);
        }
    }

    fn set_horizon(&mut self, horizon: f64) {
        self.horizon = horizon;
        self.now_mut().set_horizon(horizon);
    }

    fn restart(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        // a trial that was lost with the last step is lost: nothing would compare the stiff method again
        self.change &= self.at_stiff && !self.stayed;
        if !self.at_stiff {
            self.rival = None;
        }
        self.behind = None;
        self.restarts += 1;
        (self.stop, self.horizon) = (stop, stop);
        self.mild_count = 0;
        let brief = self.stats.steps - self.restarted_at < SHORT;
        self.restarted_at = self.stats.steps;
        self.brief = if brief { self.brief + 1 } else { 0 };
        self.other.begin(Milestone::default());
        if self.other.on_trial() {
            self.drop_other(sys);
            if self.at_stiff {
                (self.since, self.spent_since) = (t, self.spent);
                self.switches += 1;
                self.stiff.start(sys, t, x, stop)?;
                self.count();
                return Ok(());
            }
        }
        if self.brief >= 3 && self.multistep && self.at_stiff {
            let done = *self.stiff.stats();
            self.past.add(&done);
            self.multistep = false;
            self.stiff = stiff(&self.options, Stiff::Rosenbrock, None);
            self.stiff.set_end(self.end);
            (self.since, self.spent_since) = (t, self.spent);
            self.switches += 1;
            self.stiff.start(sys, t, x, stop)?;
            self.count();
            return Ok(());
        }
        if self.brief >= 3 && self.explicit.kind() == Kind::Multistep {
            let done = *self.explicit.get().stats();
            self.past.add(&done);
            self.explicit = Explicit::one_step(&self.options);
            self.weigh(sys);
            if !self.at_stiff {
                (self.since, self.spent_since) = (t, self.spent);
                self.switches += 1;
                self.explicit.get_mut().start(sys, t, x, stop)?;
                self.count();
                return Ok(());
            }
        }
        let mut result = self.now_mut().restart(sys, t, x, stop);
        if !self.at_stiff
            && result.is_err()
            && let Some(kind) = self.instead_of_series()
        {
            let done = *self.explicit.get().stats();
            self.past.add(&done);
            (self.explicit, self.stage) = (Explicit::new(kind, &self.options), Stage::Never);
            (self.since, self.spent_since, self.window) = (t, self.spent, None);
            self.switches += 1;
            result = self.explicit.get_mut().start(sys, t, x, stop);
        }
        self.count();
        result
    }

    fn nudge(&mut self, sys: &mut dyn System, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.stop = stop;
        self.behind = None;
        let result = self.now_mut().nudge(sys, x, stop);
        self.count();
        result
    }

    fn t(&self) -> f64 {
        self.now().t()
    }

    fn t_prev(&self) -> f64 {
        self.last().t_prev()
    }

    fn x(&self) -> &[f64] {
        self.now().x()
    }

    fn interpolate(&self, t: f64, out: &mut [f64]) {
        self.last().interpolate(t, out);
    }

    fn h(&self) -> f64 {
        self.now().h()
    }

    fn suggest(&mut self, h: f64) {
        self.now_mut().suggest(h);
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn clone_box(&self) -> Box<dyn Integrator> {
        Box::new(self.clone())
    }

    fn save(&self, to: &mut Writer) {
        self.write(to);
    }

    fn load(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        self.read(sys, from)
    }

    fn seat(&mut self) -> Option<&mut dyn Seat> {
        (self.explicit.kind() != Kind::Multistep).then_some(self)
    }

    fn choice(&self) -> Choice {
        let stiffness = if self.at_stiff {
            self.rho * (self.stiff.t() - self.stiff.t_prev()) / LIMIT
        } else {
            self.stiffness
        };
        let method = if self.at_stiff { self.stiff.method() } else { self.explicit.get().method() };
        Choice { method, t: self.since, switches: self.switches, stiffness }
    }
}

/// While the explicit method is Tsit5, its steps may come from lanes; all decisions are made here.
impl Seat for Auto {
    fn shape(&self) -> Shape {
        match &self.explicit {
            Explicit::OneStep(e) => e.shape(),
            // Steps of others are not taken there.
            _ => Tsit5::new(&self.options).shape(),
        }
    }

    /// Stiffness is judged after each.
    fn each(&self) -> bool {
        true
    }

    fn put(
        &mut self,
        _: &mut dyn System,
        _: &SeatCode,
        memory: &mut LaneMemory,
        lane: usize,
        _: f64,
    ) -> Option<u64> {
        let room = self.stats.steps + self.stats.rejected < self.options.max_steps;
        match &self.explicit {
            Explicit::OneStep(e) if room && !self.at_stiff && !self.change => {
                e.put_after(e.stats(), memory, lane).then_some(1)
            }
            _ => None,
        }
    }

    fn take(&mut self, sys: &mut dyn System, code: &SeatCode, memory: &LaneMemory, lane: usize, _: u64) {
        self.behind = None;
        if let Explicit::OneStep(e) = &mut self.explicit {
            let done = *e.stats();
            e.take_after(&done, memory, lane, code.whole);
        }
        self.count();
        self.judge(sys);
    }
}
