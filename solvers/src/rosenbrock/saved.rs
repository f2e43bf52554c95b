//! The state of a Rosenbrock method as bytes and back, in every layout that there was.
//!
//! Layout 1 is that of a method alone, which asks for the system's code from its first step on or never. Within `auto`,
//! where that code comes later, layout 2 has the steps until then as well; `auto` wrote layout 1 as long as it never asked.

use super::{Instead, OWN_STEPS, Rosenbrock};
use crate::bdf::Bdf;
use crate::integrator::{Integrator, Method, Options};
use crate::state;
use crate::system::System;
use twinml_model::bytes::{Malformed, Reader, Writer};

/// The layout of a method that asks later.
const LATE: u32 = 2;

impl Rosenbrock {
    /// All that the next steps and the dense output of the last one depend on.
    pub(super) fn write(&self, to: &mut Writer) {
        let layout = if self.late { LATE } else { 1 };
        state::begin_layout(to, Method::Rosenbrock, layout, self.started);
        if !self.started {
            return;
        }
        to.put(&self.stats).put(&self.instead.is_some());
        if let Some(i) = &self.instead {
            to.put(&i.since).put(&i.before);
            i.bdf.save(to);
            return;
        }
        self.clock.save(to);
        to.put(&self.h).put(&self.h_done).put(&self.by_kernel);
        if self.late {
            to.put(&self.wait.unwrap_or(u32::MAX));
        }
        for v in [&self.x, &self.x_prev].into_iter().chain(&self.k[..self.tableau.stages]) {
            to.slice(v);
        }
        to.put(&self.f0_valid);
        if self.f0_valid {
            to.slice(&self.f0);
        }
        // The step that steps by code end with may be the last one: both controllers may be asked.
        self.control.save(to);
        to.put(&self.square.past());
        if !self.by_kernel {
            self.matrix.save(to);
        }
    }

    /// What [`Rosenbrock::write`] wrote, now or when it had an earlier layout.
    pub(super) fn read(&mut self, sys: &mut dyn System, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let (by_kernel, late, wait) = (self.by_kernel, self.late, self.wait);
        *self = Rosenbrock { by_kernel, late, wait, ..Self::with_tableau(&self.options, self.tableau) };
        let latest = if late { LATE } else { 1 };
        let (layout, started) = state::begun_layout(from, Method::Rosenbrock, latest)?;
        if !started {
            return Ok(());
        }
        self.stats = from.get()?;
        if from.get()? {
            let (since, before) = from.get()?;
            let mut bdf = Bdf::new(&Options { h: None, ..self.options.clone() });
            let at = from.at();
            bdf.load(sys, from)?;
            if bdf.x().len() != sys.dim() {
                return Err(Malformed { at, why: "what goes on instead has not started".into() });
            }
            self.instead = Some(Box::new(Instead { bdf, since, before }));
            self.started = true;
            return Ok(());
        }
        let n = sys.dim();
        self.atol = self.options.tolerances.expand(n).map_err(|e| from.malformed(e.to_string()))?;
        self.clock.load(from)?;
        (self.h, self.h_done) = (state::length(from)?, state::length(from)?);
        let at = from.at();
        self.by_kernel = from.get()?;
        if self.by_kernel && !by_kernel && layout == 1 {
            return Err(Malformed { at, why: "steps by the system's code are not for this one".into() });
        }
        if layout == LATE {
            let at = from.at();
            let wait: u32 = from.get()?;
            self.wait = (wait != u32::MAX).then_some(wait);
            if self.wait.is_some_and(|w| w > OWN_STEPS || self.by_kernel) {
                return Err(Malformed {
                    at,
                    why: "the system's code is asked for after some steps, once".into(),
                });
            }
        }
        let stages = self.tableau.stages;
        for v in [&mut self.x, &mut self.x_prev].into_iter().chain(&mut self.k[..stages]) {
            state::vector(from, v, n)?;
        }
        for v in [&mut self.x_stage, &mut self.f0, &mut self.ft].into_iter().chain(&mut self.k[stages..]) {
            v.resize(n, 0.0);
        }
        self.f0_valid = from.get()?;
        if self.f0_valid {
            from.fill(&mut self.f0)?;
        }
        self.control.load(from)?;
        self.square.load(from)?;
        if self.by_kernel || self.wait.is_some() {
            self.trial = vec![0.0; (1 + stages) * n + 2];
        }
        if !self.by_kernel {
            self.make_matrix(sys);
            self.matrix.load(from)?;
        }
        self.started = true;
        Ok(())
    }
}
