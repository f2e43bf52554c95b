//! A program without states: time alone goes on, from one instant to the next.

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_solvers::error::SolveError;
use twinml_solvers::integrator::{Integrator, Method};
use twinml_solvers::stats::Stats;
use twinml_solvers::system::System;

/// Time without states. A step goes to the stop, or `longest` far.
#[derive(Clone, Debug)]
pub(super) struct Still {
    t: f64,
    before: f64,
    stop: f64,
    longest: f64,
    stats: Stats,
}

impl Still {
    /// Steps of at most `longest` seconds: root functions of time alone are sampled in each.
    pub(super) fn new(longest: f64) -> Still {
        Still { t: 0.0, before: 0.0, stop: 0.0, longest, stats: Stats::default() }
    }
}

impl Integrator for Still {
    fn method(&self) -> Method {
        Method::Tsit5
    }

    fn start(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stop: f64) -> Result<(), SolveError> {
        self.stats = Stats::default();
        self.restart(sys, t, x, stop)
    }

    fn step(&mut self, _: &mut dyn System) -> Result<(), SolveError> {
        if self.t >= self.stop {
            return Err(SolveError::StopTime { t: self.t, stop: self.stop });
        }
        self.before = self.t;
        let next = self.t + self.longest;
        // A rest that is shorter than a rounding is taken along.
        self.t = if next < self.stop - 1e-3 * self.longest { next } else { self.stop };
        self.stats.steps += 1;
        Ok(())
    }

    fn set_stop(&mut self, stop: f64) -> Result<(), SolveError> {
        self.stop = stop;
        Ok(())
    }

    fn restart(&mut self, _: &mut dyn System, t: f64, _: &[f64], stop: f64) -> Result<(), SolveError> {
        (self.t, self.before, self.stop) = (t, t, stop);
        Ok(())
    }

    fn t(&self) -> f64 {
        self.t
    }

    fn t_prev(&self) -> f64 {
        self.before
    }

    fn x(&self) -> &[f64] {
        &[]
    }

    fn interpolate(&self, _: f64, _: &mut [f64]) {}

    fn h(&self) -> f64 {
        self.longest.min(self.stop - self.t)
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn clone_box(&self) -> Box<dyn Integrator> {
        Box::new(self.clone())
    }

    fn save(&self, to: &mut Writer) {
        to.put(&(self.t, self.before, self.stop)).put(&self.stats);
    }

    fn load(&mut self, _: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        (self.t, self.before, self.stop) = from.get()?;
        self.stats = from.get()?;
        if !(self.t.is_finite() && self.before.is_finite() && self.before <= self.t && self.t <= self.stop) {
            return Err(Malformed { at, why: "time would go backwards".into() });
        }
        Ok(())
    }
}
