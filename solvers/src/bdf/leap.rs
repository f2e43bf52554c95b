//! The first steps after an event: taken by a Rosenbrock method, which needs no past.
//!
//! A formula that begins at order 1 draws a straight line through its first step. That is within the tolerance, and yet
//! it may lead a ball that has just left the floor below it: where events follow one another, what is located on the
//! dense output must have the slope that the equations say. So after an event a one-step method of order five goes on
//! until its step size no longer grows; then its last dense output, a polynomial, gives the differences of order three
//! that the multistep formula goes on with. (C. W. Gear, "Runge–Kutta starters for multistep methods", ACM Trans. Math.
//! Softw. 6 (1980) 263–279.) Where it cannot go on, the formula begins at order 1 as at a start.

use super::*;
use crate::control::power;
use crate::rosenbrock::Rosenbrock;

/// The order that is handed over.
const ORDER: usize = 3;
/// A step that would grow by less than this is as long as it will be.
const GROWS: f64 = 1.5;
/// Steps of the starter at most.
const STEPS: u32 = 6;
/// The part of the error allowed that the first step of the multistep formula aims at.
const AIM: f64 = 0.3;

/// The part of another method's last step that the first of the multistep formula is to be at least, to go on from there.
const SMOOTH: f64 = 1e-3;

/// Where a starter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No starter is at work.
    None,
    /// The next step is its first.
    Begin,
    /// So many steps are done.
    Going(u32),
    /// It has handed over; the dense output of the last step is its own.
    Over,
}

/// The starter, with what it has counted so far.
#[derive(Clone, Debug)]
pub(super) struct Leap {
    pub(super) phase: Phase,
    starter: Option<Box<Rosenbrock>>,
    seen: Stats,
    /// The first step, where somebody proposed one.
    first: Option<f64>,
}

impl Leap {
    pub(super) fn new() -> Leap {
        Leap { phase: Phase::None, starter: None, seen: Stats::default(), first: None }
    }

    /// The starter, if the last step was its own.
    pub(super) fn last(&self) -> Option<&Rosenbrock> {
        match self.phase {
            Phase::Going(1..) | Phase::Over => self.starter.as_deref(),
            _ => None,
        }
    }

    /// The starter, if the next step will be its own.
    pub(super) fn going(&mut self) -> Option<&mut Rosenbrock> {
        match self.phase {
            Phase::Going(_) => self.starter.as_deref_mut(),
            _ => None,
        }
    }

    pub(super) fn propose(&mut self, h: f64) {
        self.first = Some(h);
    }

    pub(super) fn save(&self, to: &mut Writer) {
        let (phase, done): (u8, u32) = match self.phase {
            Phase::None => (0, 0),
            Phase::Begin => (1, 0),
            Phase::Going(done) => (2, done),
            Phase::Over => (3, 0),
        };
        to.put(&phase);
        if phase == 2 {
            to.put(&done);
        }
        to.put(&self.first).put(&self.starter.is_some());
        if let Some(starter) = &self.starter {
            // what it has counted is what was seen of it
            starter.save(to);
        }
    }

    pub(super) fn load(
        options: &Options,
        sys: &mut dyn System,
        from: &mut Reader<'_>,
    ) -> Result<Leap, Malformed> {
        let at = from.at();
        let wrong = |why: &str| Err(Malformed { at, why: why.into() });
        let phase = match from.get::<u8>()? {
            0 => Phase::None,
            1 => Phase::Begin,
            2 => match from.get::<u32>()? {
                done @ 1..=STEPS => Phase::Going(done),
                _ => return wrong("a start takes fewer steps"),
            },
            3 => Phase::Over,
            _ => return wrong("there is no such phase of a start"),
        };
        let first: Option<f64> = from.get()?;
        let mut starter = None;
        if from.get()? {
            let mut made = Box::new(Rosenbrock::new(options));
            made.load(sys, from)?;
            starter = Some(made);
        }
        let ready = starter.as_ref().is_some_and(|s| s.x().len() == sys.dim());
        if matches!(phase, Phase::Going(_) | Phase::Over) && !ready {
            return wrong("a start has nobody who takes it");
        }
        let seen = starter.as_ref().map_or_else(Stats::default, |s| *s.stats());
        Ok(Leap { phase, starter, seen, first })
    }
}

impl Bdf {
    /// One step of the starter; false where the multistep formula is to go on by itself.
    pub(super) fn leap(&mut self, sys: &mut dyn System) -> Result<bool, SolveError> {
        if self.leap.phase == Phase::Over {
            self.leap.phase = Phase::None;
        }
        if self.leap.phase == Phase::None {
            return Ok(false);
        }
        let n = self.n;
        let options = &self.options;
        let mut starter = self.leap.starter.take().unwrap_or_else(|| Box::new(Rosenbrock::new(options)));
        let begun = match self.leap.phase {
            Phase::Begin => {
                let first = self.leap.first.take();
                let (ahead, stop) = (self.clock.ahead(), self.clock.stop);
                let outcome = starter.restart(sys, self.clock.t, &self.x[..n], ahead);
                let outcome = outcome.and_then(|()| starter.set_stop(stop));
                if let Some(h) = first {
                    starter.suggest(h);
                }
                outcome
            }
            _ => {
                starter.set_horizon(self.clock.horizon);
                starter.set_stop(self.clock.stop)
            }
        };
        let outcome = begun.and_then(|()| starter.step(sys));
        let mut work = starter.stats().since(&self.leap.seen);
        self.leap.seen = *starter.stats();
        work.restarts = 0;
        self.stats.add(&work);
        if let Err(error) = outcome {
            self.leap.starter = Some(starter);
            if matches!(error, SolveError::Eval { error: EvalError::Fatal { .. }, .. }) {
                return Err(error);
            }
            let going = self.leap.phase != Phase::Begin;
            self.leap.phase = Phase::None;
            if going {
                let x = self.x[..n].to_vec();
                let (ahead, stop, horizon) = (self.clock.ahead(), self.clock.stop, self.clock.horizon);
                self.begin(sys, self.clock.t, &x, ahead)?;
                self.clock.set_stop(stop)?;
                self.clock.horizon = horizon;
            }
            return Ok(false);
        }
        std::mem::swap(&mut self.x, &mut self.x_prev);
        self.x[..n].copy_from_slice(starter.x());
        self.low.fill(0.0);
        self.clock.advance(starter.t());
        let done = match self.leap.phase {
            Phase::Going(done) => done + 1,
            _ => 1,
        };
        let step = self.clock.t - self.clock.t_prev;
        self.leap.phase = Phase::Going(done);
        if starter.h() < GROWS * step || done >= STEPS {
            self.take_over(&*starter, step);
            self.leap.phase = Phase::Over;
        }
        self.leap.starter = Some(starter);
        Ok(true)
    }

    /// Goes on from where another method over the same system stands, with its last step for a past; false where that has none
    /// that serves.
    pub(super) fn inherit(&mut self, before: &dyn Integrator, stop: f64) -> Result<bool, SolveError> {
        let (n, t) = (self.n, before.t());
        let step = t - before.t_prev();
        if before.x().len() != n || step.is_nan() || step <= 0.0 {
            return Ok(false);
        }
        self.started = false;
        self.clock.start(t, stop)?;
        self.x[..n].copy_from_slice(before.x());
        self.x_prev[..n].copy_from_slice(before.x());
        self.low.fill(0.0);
        self.leap.phase = Phase::None;
        self.take_over(before, step);
        // Where the last step was rough, a straight line from the derivative is as good a past.
        if self.h.is_nan() || self.h < SMOOTH * step {
            return Ok(false);
        }
        self.started = true;
        Ok(true)
    }

    /// Differences on the last step of another method, on a grid so fine that the first step will be accepted.
    fn take_over(&mut self, starter: &dyn Integrator, step: f64) {
        let rtol = self.options.tolerances.rtol;
        weights(rtol, &self.atol, &self.x, &mut self.w);
        let mut h = step / (ORDER as f64 + 1.0);
        self.differences(starter, h);
        let mut sum = 0.0;
        for (block, w) in self.hist.iter().zip(crate::vector::lanes(&self.w)) {
            for (v, w) in block.0[ORDER].iter().zip(w) {
                sum += (v * w) * (v * w);
            }
        }
        let error = coeffs::even_error(ORDER) * self.rms(sum);
        if error > AIM {
            h *= power(AIM / error, 1.0 / (ORDER as f64 + 1.0));
            self.differences(starter, h);
        }
        self.h = h;
        for (j, past) in self.past.iter_mut().enumerate() {
            *past = h * (j as f64 + 1.0);
        }
        self.order = ORDER;
        self.order_used = ORDER;
        self.steps_at_order = 0;
        self.ramp = false;
        self.hold = false;
        self.iteration = Iteration::new();
    }

    /// Backward differences of the dense output on an even grid of width `h`.
    fn differences(&mut self, starter: &dyn Integrator, h: f64) {
        let n = self.n;
        self.hist.fill(Block::ZERO);
        // The value at the last point, then those before it one by one: row j holds the difference of order j + 1 of
        // the points seen so far.
        for j in 0..=ORDER {
            let t = self.clock.t - (j as f64 + 1.0) * h;
            starter.interpolate(t, &mut self.y[..n]);
            for (k, block) in self.hist.iter_mut().enumerate() {
                for l in 0..LANES {
                    let i = k * LANES + l;
                    block.0[j][l] = if i < n { self.y[i] } else { 0.0 };
                }
            }
        }
        for (k, block) in self.hist.iter_mut().enumerate() {
            for l in 0..LANES {
                let i = k * LANES + l;
                let mut v = [0.0; ORDER + 2];
                v[0] = if i < n { self.x[i] } else { 0.0 };
                for j in 0..=ORDER {
                    v[j + 1] = block.0[j][l];
                }
                for order in 1..=ORDER + 1 {
                    for j in 0..=ORDER + 1 - order {
                        v[j] -= v[j + 1];
                    }
                    block.0[order - 1][l] = v[0];
                }
            }
        }
    }
}
