//! Following the branch of an algebraic loop from the last accepted point to another one.
//!
//! A point whose solution is not near ([`super::branch`]) is come to in parts: the kernel that asks for it is run at points
//! between, each as far from the last one as its solution is near to where the movement leads, halved where it is not and
//! longer again where it is. So what is found does not depend on how long a solver's steps are. Where even a billionth of the
//! way does not go on, the branch ends there: a failure, and a solver takes a shorter step; or something that the loop
//! reads jumps (`noevent`), which is told by residuals that are not small: then it goes on behind.

use twinml_model::host::KernelId;
use twinml_model::ir::{Space, Trap};
use twinml_solvers::integrator::Integrator;

use super::block::{Aim, Clock};
use super::branch::Branch;
use super::host::ONWARD;
use super::system::KernelSystem;

/// The smallest part of a way.
const LEAST: f64 = 1.0 / (1u64 << 30) as f64;
/// The first part where nothing is known of where the way leads: it only says that.
const FIRST: f64 = 1.0 / 64.0;
/// How much longer a part is than the one before at most, and how much shorter.
const LONGER: f64 = 3.0;
const SHORTER: f64 = 0.25;
/// What of the length is taken by which points would lie as far beside as they may.
const SAFE: f64 = 0.8;
/// Parts that are tried on one way: a thousand turns of a mechanism take some ten thousand.
const PARTS: u32 = 100_000;
/// The part of the time up to the next stop over which it is found out where loops head to; how much less it is where that is
/// too far, and how often.
const GLANCE: f64 = 1.0 / (1 << 20) as f64;
const CLOSER: f64 = 1.0 / (1 << 10) as f64;
const GLANCES: u32 = 4;

/// The last accepted point.
#[derive(Clone, Debug, Default)]
pub(super) struct Base {
    t: f64,
    x: Vec<f64>,
    known: bool,
}

/// The states on the way.
pub(super) enum Way<'w> {
    /// On the straight line: where no step leads there yet.
    Straight,
    /// As the last step went.
    Step(&'w dyn Integrator),
}

impl KernelSystem<'_> {
    /// Whether loops that are not found are followed.
    pub(super) fn follows(&self) -> bool {
        self.base.known && self.host.aim == ONWARD && self.host.follows()
    }

    /// The last accepted point is here, for loops that have to stay on their branches.
    pub(super) fn rest(&mut self, t: f64, x: &[f64]) {
        if self.host.follows() {
            self.base.t = t;
            self.base.x.clear();
            self.base.x.extend_from_slice(x);
            self.base.known = true;
        }
    }

    /// The same at the beginning of an integrator's last step.
    pub(super) fn rest_before(&mut self, integrator: &dyn Integrator) {
        if self.host.follows() {
            let t = integrator.t_prev();
            self.base.x.resize(integrator.x().len(), 0.0);
            integrator.interpolate(t, &mut self.base.x);
            (self.base.t, self.base.known) = (t, true);
        }
    }

    /// Comes in parts to where memory stands and runs `kernel` there.
    pub(super) fn follow(&mut self, kernel: KernelId, way: &mut Way<'_>) -> Result<(), Trap> {
        let (t, x) = (self.memory.time(), self.memory.space(Space::State).to_vec());
        self.host.keep_branches();
        let outcome = self.parts(kernel, way, t, &x);
        self.host.aim = ONWARD;
        self.host.restore_branches();
        if outcome.is_err() {
            self.set(t, &x);
        }
        outcome
    }

    fn parts(&mut self, kernel: KernelId, way: &mut Way<'_>, t: f64, x: &[f64]) -> Result<(), Trap> {
        let base = std::mem::take(&mut self.base);
        let outcome = self.parts_from(&base, kernel, way, t, x);
        self.base = base;
        outcome
    }

    fn parts_from(
        &mut self,
        base: &Base,
        kernel: KernelId,
        way: &mut Way<'_>,
        t: f64,
        x: &[f64],
    ) -> Result<(), Trap> {
        let mut at = base.x.clone();
        self.put(base.t, &at);
        self.host.settle();
        self.machine.run(kernel, &mut self.memory, &mut self.host)?;
        self.host.go_here(&self.memory);
        let known = self.host.begin_parts(t - base.t);
        let mut done = 0.0_f64;
        let mut part = if known { 0.5 } else { FIRST };
        let mut trap = Trap::Block(self.host.first_bent());
        for _ in 0..PARTS {
            let next = if done + part >= 1.0 { 1.0 } else { done + part };
            if next == 1.0 {
                self.put(t, x);
            } else {
                let between = base.t + next * (t - base.t);
                match way {
                    Way::Step(integrator) => integrator.interpolate(between, &mut at),
                    Way::Straight => {
                        for (at, (from, to)) in at.iter_mut().zip(base.x.iter().zip(x)) {
                            *at = from + next * (to - from);
                        }
                    }
                }
                self.put(between, &at);
            }
            self.host.aim = Aim::Ahead { clock: Clock::Part(next), jumps: part <= LEAST };
            match self.machine.run(kernel, &mut self.memory, &mut self.host) {
                Ok(()) if next == 1.0 => return Ok(()),
                Ok(()) => {
                    // The distance grows with the third power of the length: points lie on a parabola.
                    part *= (SAFE / self.host.beside().cbrt()).clamp(1.0, LONGER);
                    self.host.go_on_by_part(&self.memory, next, !known && done == 0.0);
                    done = next;
                }
                Err(short @ Trap::Block(_)) if part > LEAST => {
                    part *= (SAFE / self.host.beside().cbrt()).clamp(SHORTER, 0.5);
                    trap = short;
                }
                Err(trap) => return Err(trap),
            }
        }
        Err(trap)
    }

    /// Follows loops to a point within the last step, from where they go on; gives back where they were.
    pub(super) fn go_to(&mut self, t: f64, x: &[f64]) -> (Base, Vec<Branch>) {
        let before = (self.base.clone(), self.host.branches());
        self.put(t, x);
        let mut found = self.run(KernelId::Rhs);
        if self.host.follows_aside() {
            found = found.and_then(|()| self.run(KernelId::Outputs));
        }
        // Where a loop cannot be followed that far, what comes next says so.
        if found.is_ok() {
            self.host.go_here(&self.memory);
            self.rest(t, x);
        }
        before
    }

    /// Puts loops back to where they were.
    pub(super) fn go_back(&mut self, (base, branches): (Base, Vec<Branch>)) {
        self.base = base;
        self.host.set_branches(branches);
        self.host.aim = ONWARD;
    }

    /// Loops may lie anywhere at the accepted point `(t, x)`, where a run begins or something changed: they are found with
    /// every means, and the steps that follow, the first of them no further than to `until`, begin there.
    pub(super) fn begin(&mut self, t: f64, x: &[f64], until: f64) -> Result<(), Trap> {
        let follows = self.host.follows();
        if !follows && !self.host.careful() {
            self.host.aim = ONWARD;
            return Ok(());
        }
        self.set(t, x);
        self.host.aim = Aim::Any;
        self.host.watch();
        let outcome = self.loops();
        self.host.aim = ONWARD;
        self.trap = outcome.err();
        outcome?;
        self.host.accept_found(&self.memory);
        if follows {
            self.rest(t, x);
            self.look_ahead(t, x, until - t);
        }
        Ok(())
    }

    /// Finds out where loops head to from `(t, x)`, where the right-hand side was just evaluated, by a look at what comes next.
    fn look_ahead(&mut self, t: f64, x: &[f64], span: f64) {
        let slopes = self.memory.space(Space::Der).to_vec();
        let mut at = x.to_vec();
        let mut little = GLANCE * span;
        for _ in 0..GLANCES {
            let later = t + little;
            if !(later > t && later.is_finite()) {
                break;
            }
            for (at, (x, slope)) in at.iter_mut().zip(x.iter().zip(&slopes)) {
                *at = x + (later - t) * slope;
            }
            self.put(later, &at);
            if self.loops().is_ok() && self.host.head_to(&self.memory) {
                break;
            }
            self.host.head_nowhere();
            little *= CLOSER;
        }
        self.set(t, x);
    }

    /// The integrator's step to `(t, x)`, which went this way, is accepted: loops go on from there.
    pub(super) fn step_on(&mut self, t: f64, x: &[f64], way: &mut Way<'_>) -> Result<(), Trap> {
        if self.host.stale(t) {
            // A library evaluates elsewhere.
            self.put(t, x);
            self.run_along(KernelId::Rhs, way)?;
            self.host.note(&self.memory);
        }
        if self.host.follows_aside() {
            self.put(t, x);
            self.run_along(KernelId::Outputs, way)?;
            self.host.note_aside(&self.memory);
        }
        self.host.step_on();
        self.rest(t, x);
        Ok(())
    }

    /// Solves all loops that have to stay on their branches where memory stands.
    fn loops(&mut self) -> Result<(), Trap> {
        self.machine.run(KernelId::Rhs, &mut self.memory, &mut self.host)?;
        if self.host.follows_aside() {
            self.machine.run(KernelId::Outputs, &mut self.memory, &mut self.host)?;
        }
        Ok(())
    }
}
