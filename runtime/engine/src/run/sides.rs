//! On which side of their roots relations are, to the right of an instant.
//!
//! Where a root function is exactly zero (a start, a value set by an action, the edge of a cell of `floor`), the
//! comparison says what holds at the point; what holds just after it is decided by where the state is heading. So
//! `x > 0` at `x = 0` with `x` growing is true from there on and no event of its own follows.

use super::*;

/// How far ahead is looked, as a part of the step that the integrator has in mind.
const AHEAD: f64 = 1e-9;
/// How often that is looked farther, and by how much, where relations do not settle.
const LOOKS: u32 = 4;
const FARTHER: f64 = 10.0;

impl Run<'_> {
    /// Takes the sides of the root functions at `t`, where states are `self.x`, and judges the ranges.
    pub(super) fn arm(&mut self, t: f64) -> Result<(), Stop> {
        self.take_sides(t)?;
        self.judge(t, true)
    }

    fn take_sides(&mut self, t: f64) -> Result<(), Stop> {
        if self.roots.sides().is_empty() {
            return Ok(());
        }
        self.roots.arm(&mut self.system, t, &self.x, None).map_err(|e| self.solver_failure(e))?;
        if self.sliding {
            return Ok(());
        }
        if !self.system.on_edge() {
            self.roots.agree(|i| self.system.watched(i));
            return Ok(());
        }
        let dt = self.look_ahead(t);
        if self.system.rhs(t, &self.x, &mut self.heading).is_err() {
            return Ok(());
        }
        let ahead = Some((&self.heading[..], dt));
        self.roots.arm(&mut self.system, t, &self.x, ahead).map_err(|e| self.solver_failure(e))?;
        self.system.set(t, &self.x);
        self.roots.agree(|i| self.system.watched(i));
        Ok(())
    }

    /// Whether something crossed whose comparison, rounded otherwise, has not changed yet.
    pub(super) fn at_odds(&self) -> bool {
        let side = |i: usize| self.roots.sides()[i];
        self.roots
            .crossings()
            .iter()
            .any(|c| self.system.watched(c.index).side().is_some_and(|says| says != side(c.index)))
    }

    /// A time that is short beside the step and yet moves `t`.
    fn look_ahead(&self, t: f64) -> f64 {
        let h = if self.started { self.integrator.h().min(self.end) } else { 1e-3 * self.end };
        (AHEAD * h).max(8.0 * f64::EPSILON * t.abs()).max(f64::MIN_POSITIVE)
    }

    /// Puts the point a little ahead of `(t, self.x)` into memory; false where no root function is on its edge or
    /// the model cannot say where it is heading.
    fn go_ahead(&mut self, t: f64) -> Result<bool, Stop> {
        if self.roots.sides().is_empty() {
            return Ok(false);
        }
        let edge = self.system.roots(t, &self.x, &mut self.g).is_ok() && self.system.on_edge();
        if !edge || self.system.rhs(t, &self.x, &mut self.heading).is_err() {
            self.system.set(t, &self.x);
            return Ok(false);
        }
        let dt = self.look_ahead(t);
        for (a, x) in self.heading.iter_mut().zip(&self.x) {
            *a = x + dt * *a;
        }
        self.system.set(t + dt, &self.heading);
        Ok(true)
    }

    /// Settles relations a little ahead of `t`, a few times farther each time, where at `t` they change without end; false where
    /// they do there, too. Memory is left at `t`.
    pub(super) fn settles_later(&mut self, t: f64) -> Result<bool, Stop> {
        let at = self.system.memory.space(Space::State).to_vec();
        let mut heading = vec![0.0; at.len()];
        if self.system.rhs(t, &at, &mut heading).is_err() {
            self.system.set(t, &at);
            return Ok(false);
        }
        let (mut dt, mut ahead, mut settled) = (self.look_ahead(t), at.clone(), false);
        for _ in 0..LOOKS {
            for (a, (x, slope)) in ahead.iter_mut().zip(at.iter().zip(&heading)) {
                *a = x + dt * slope;
            }
            self.system.set(t + dt, &ahead);
            settled = self.settled()?.is_some();
            if settled {
                break;
            }
            dt *= FARTHER;
        }
        self.system.set(t, &at);
        Ok(settled)
    }

    /// Whether something changes just after `t`; memory is left at `t`.
    pub(super) fn pending_ahead(&mut self, t: f64) -> Result<bool, Stop> {
        if !self.go_ahead(t)? {
            return Ok(false);
        }
        let pending = self.pending()?;
        self.system.set(t, &self.x);
        Ok(pending)
    }

    /// Settles relations that are exactly on their edge at `t` to the side that the state is heading to. True if
    /// that changed anything; memory is left at `t`.
    pub(super) fn settle_ahead(&mut self, t: f64) -> Result<bool, Stop> {
        self.sliding = false;
        if !self.go_ahead(t)? {
            return Ok(false);
        }
        let changed = self.settle(t)?;
        self.system.set(t, &self.x);
        self.sliding = changed && self.pending_ahead(t)?;
        if self.sliding {
            // On either side the state heads back to the surface: what the comparison says at the point holds.
            self.settle(t)?;
        } else {
            self.leaves_edges(t);
        }
        Ok(changed)
    }

    /// A crossing located to the last bits, moved to a whole nanosecond where one is within these bits and on the
    /// same sides: `time >= 30 min` switches at 30 min.
    pub(super) fn neat(&mut self, at: f64, from: f64, to: f64) -> f64 {
        let whole = (at * 1e9).round() / 1e9;
        let near = (whole - at).abs() <= 4.0 * f64::EPSILON * at.abs();
        if whole == at || !near || whole <= from || whole > to {
            return at;
        }
        self.integrator.interpolate(whole, &mut self.heading);
        let same = self.system.roots(whole, &self.heading, &mut self.g).is_ok()
            && self.g.iter().zip(self.roots.sides()).all(|(g, side)| (*g > 0.0) == *side);
        if same { whole } else { at }
    }
}
