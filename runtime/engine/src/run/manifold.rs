//! States that must stay on a manifold: what index reduction left over is kept by projection.
//!
//! After every accepted step the nearest point of the manifold is computed. Where it is farther away than a tenth of
//! the tolerance the integrator is moved there, its history with it (E. Hairer and G. Wanner, "Solving Ordinary
//! Differential Equations II", ch. VII.2; C. W. Gear, "Maintaining solution invariants in the numerical solution of
//! ODEs", SIAM J. Sci. Stat. Comput. 7 (1986)).

use super::*;
use twinml_model::program::Projection;

/// Part of the tolerance within which a state is left where it is.
const NEAR: f64 = 0.1;
/// Relative distance from the manifold at the start that is a contradiction and no rounding.
const CONTRADICTION: f64 = 1e-6;

/// The projection at work.
pub(super) struct Manifold<'a> {
    kernel: KernelId,
    kept: &'a Projection,
    rtol: f64,
    atol: Vec<f64>,
}

impl<'a> Manifold<'a> {
    /// The program's manifold, if it has one; `kernel` is its projection as the machine knows it.
    pub(super) fn with(program: &'a Program, kernel: KernelId, options: &Options) -> Option<Self> {
        let kept = program.kept.as_ref()?;
        let tolerances = &options.tolerances;
        Some(Manifold { kernel, kept, rtol: tolerances.rtol, atol: tolerances.atol.clone() })
    }

    fn weight(&self, state: usize, x: f64) -> f64 {
        let atol = self.atol.get(state).or(self.atol.first()).copied().unwrap_or(ATOL);
        atol + self.rtol * x.abs()
    }
}

impl Run<'_> {
    /// Puts the nearest point of the manifold to `self.x` into `self.x` and into memory; how far it was, in units
    /// of the tolerance.
    pub(super) fn project(&mut self, t: f64) -> Result<f64, Stop> {
        let Some(m) = &self.manifold else { return Ok(0.0) };
        let kernel = m.kernel;
        self.system.set(t, &self.x);
        self.kernel(kernel, false)?;
        let Some(m) = &self.manifold else { return Ok(0.0) };
        let mut far: f64 = 0.0;
        for &(state, var) in &m.kept.states {
            let p = self.system.memory.space(Space::Var)[var as usize];
            let x = &mut self.x[state as usize];
            far = far.max((p - *x).abs() / m.weight(state as usize, p));
            *x = p;
        }
        self.system.set(t, &self.x);
        Ok(far)
    }

    /// After an accepted step: moves the integrator back to the manifold where it has drifted from it.
    pub(super) fn stay(&mut self, t: f64) -> Result<(), Stop> {
        if self.manifold.is_none() {
            return Ok(());
        }
        if self.project(t)? <= NEAR {
            self.x.copy_from_slice(self.integrator.x());
            self.system.set(t, &self.x);
            return Ok(());
        }
        let stop = self.next_stop();
        let x = std::mem::take(&mut self.x);
        let outcome = self.integrator.nudge(&mut self.system, &x, stop);
        self.x = x;
        outcome.map_err(|e| self.solver_failure(e))
    }

    /// At the start: states that were given and contradict the manifold are an error.
    pub(super) fn begin_on_manifold(&mut self) -> Result<(), Stop> {
        let Some(m) = &self.manifold else { return Ok(()) };
        let (states, origins) = (m.kept.states.clone(), m.kept.origins.clone());
        let given = self.x.clone();
        let found = self.project(0.0).is_ok();
        let size = given.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        let off = |(x, p): (f64, f64)| (p - x).abs() / (x.abs() + 1e-3 * size.min(1.0) + f64::MIN_POSITIVE);
        let worst = states
            .iter()
            .map(|&(state, _)| (state as usize, off((given[state as usize], self.x[state as usize]))))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let near = worst.is_none_or(|(_, off)| off <= CONTRADICTION);
        let contradicts = !(found && near);
        if !contradicts {
            return Ok(());
        }
        let nearest = std::mem::replace(&mut self.x, given);
        self.system.set(0.0, &self.x);
        let mut values = Vec::new();
        for &(state, _) in &states {
            let (path, _, unit) = self.named(Space::State, state as usize);
            values.push((path, self.x[state as usize], unit));
        }
        let nearest = match worst {
            Some((state, _)) if found => {
                let (path, _, unit) = self.named(Space::State, state);
                Some((path, nearest[state], unit))
            }
            _ => None,
        };
        let kind = FailureKind::Inconsistent { nearest };
        Err(Stop::Failed(Box::new(Failure { time: 0.0, kind, origins, values, residuals: Vec::new() })))
    }
}
