//! What happens at one instant, and in which order.
//!
//! [`Run::instant`] is the only place where discrete values change while time goes on:
//!
//! 1. is anything to change at all? (A crossing may turn out to be none.)
//! 2. the row of the left limit;
//! 3. scenario actions that are due, pieces of tables;
//! 4. relations and discrete values settle; relations exactly on their edge take the side that the state is heading
//!    to (see `sides`);
//! 5. the row of the right limit;
//! 6. the integrator begins anew, unless nothing that it integrates reads what changed: neither a crossing that only
//!    handlers look at nor a tick that only counts costs it its history.
//!
//! The left limit is taken at the last time found on the old side, a rounding or two before the event: there the
//! comparison still has its old value, and a ball is still above its floor.
//!
//! Nothing is copied and nothing allocated but by the integrator when it begins anew: changes are kept in a journal
//! of slots with their values from before the instant.

use super::block::Aim;
use super::*;

/// Why an instant is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A root function changed its side: perhaps something changes.
    Crossing,
    /// An action or the jump of a table is due: something changes.
    Due,
}

/// What an instant did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing changed.
    Nothing,
    /// Something changed that the integrator does not see: the step stays as it is.
    Beside,
    /// The integrator began anew.
    Restart,
}

/// Discrete slots that an instant changed.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Slots in the order of their first change, with the value before.
    pub(super) changes: Vec<(usize, f64)>,
    /// Whether a slot is in the list.
    noted: Vec<bool>,
}

impl Journal {
    pub(super) fn new(slots: usize) -> Journal {
        Journal { changes: Vec::with_capacity(slots), noted: vec![false; slots] }
    }

    pub(super) fn clear(&mut self) {
        for (slot, _) in self.changes.drain(..) {
            self.noted[slot] = false;
        }
    }

    pub(super) fn note(&mut self, slot: usize, before: f64) {
        if !self.noted[slot] {
            self.noted[slot] = true;
            self.changes.push((slot, before));
        }
    }
}

impl Run<'_> {
    /// Everything that happens at `t`, where states are `self.x`.
    pub(super) fn instant(&mut self, t: f64, cause: Cause) -> Result<Effect, Stop> {
        if !self.system.host.follows() {
            return self.instant_at(t, cause);
        }
        // Loops are followed up to here; what changes may put them elsewhere.
        let before = self.system.go_to(t, &self.x);
        let effect = self.instant_at(t, cause)?;
        if effect != Effect::Restart {
            self.system.go_back(before);
        }
        Ok(effect)
    }

    fn instant_at(&mut self, t: f64, cause: Cause) -> Result<Effect, Stop> {
        self.time = t;
        self.system.set(t, &self.x);
        // What was found a rounding beyond its limit is on it: beyond, equations may have no value.
        self.system.hold(&mut self.x);
        self.journal.clear();
        self.system.glance.clear();
        let first = self.micro.0 != t;
        if cause == Cause::Crossing && !self.pending()? && !self.pending_ahead(t)? {
            return Ok(Effect::Nothing);
        }
        if first {
            self.left_limit(t, cause)?;
        }
        let step = if first { 1 } else { self.micro.1 + 1 };
        if self.system.host.follows() {
            self.system.host.aim = Aim::Any;
        }
        // What was an action's doing, or a table's jump, is seen by everything.
        let mut seen = false;
        if cause == Cause::Due {
            let jumps = self.jump_due(t);
            seen = self.act(t, step)? || jumps;
        }
        // A crossing may be where a piece of a table ends, too: what follows is on the next one.
        self.freeze_tables(t);
        self.settle(t)?;
        if self.clamp_states(t) {
            self.settle(t)?;
        }
        self.x.copy_from_slice(self.system.memory.space(Space::State));
        self.settle_ahead(t)?;
        if let Some(log) = &mut self.log {
            log.changes(t, step, &self.journal.changes, self.system.memory.space(Space::Disc))?;
        }
        let touched = self.behave(t)?;
        if self.behavior.is_some() {
            self.settle_ahead(t)?;
        }
        self.tell_held(t);
        self.events += 1;
        self.micro = (t, step);
        if let Some(log) = self.log.as_mut().filter(|_| self.behavior.is_some()) {
            log.behaved(t, step, &self.journal.changes, self.system.memory.space(Space::Disc))?;
        }
        self.project(t)?;
        self.row_everywhere(t, self.micro.1)?;
        self.all_numbers(t)?;
        if t >= self.end || self.halted.is_some() {
            return Ok(Effect::Restart);
        }
        let soon = self.next_timer().is_some_and(|due| due < self.integrator.t());
        // A loop that only outputs need goes on behind the change, too.
        let aside = self.system.host.follows_aside();
        let seen = seen || aside || touched.integrated || self.rhs_reads.any(&self.journal);
        if !seen && !soon {
            if touched.roots || self.root_reads.any(&self.journal) {
                self.arm(t)?;
            }
            if cause == Cause::Due {
                self.stay(t)?;
                let (stop, horizon) = (self.next_stop(), self.horizon());
                self.integrator.set_stop(stop).map_err(|e| self.solver_failure(e))?;
                self.integrator.set_horizon(horizon);
            }
            return Ok(Effect::Beside);
        }
        self.find_loops(t)?;
        let (stop, horizon) = (self.next_stop(), self.horizon());
        let outcome = self.integrator.restart(&mut self.system, t, &self.x, horizon);
        let outcome = outcome.and_then(|()| self.integrator.set_stop(stop));
        outcome.map_err(|e| self.solver_failure(e))?;
        self.arm(t)?;
        Ok(Effect::Restart)
    }

    /// Loops may lie elsewhere at the start and behind an event: the steps that follow begin where they are then.
    pub(super) fn find_loops(&mut self, t: f64) -> Result<(), Stop> {
        let until = self.next_stop().min(self.horizon()).min(self.end);
        let outcome = self.system.begin(t, &self.x, until);
        outcome.map_err(|trap| self.trapped(t, trap, false))
    }

    /// The row of the left limit; memory is left at `t`.
    fn left_limit(&mut self, t: f64, cause: Cause) -> Result<(), Stop> {
        let before = self.roots.before();
        if cause == Cause::Crossing && before < t {
            let states = self.system.memory.space_mut(Space::State);
            self.integrator.interpolate(before, states);
            self.system.host.new_point();
            self.row_everywhere(t, 0)?;
            self.system.set(t, &self.x);
            return Ok(());
        }
        self.row_everywhere(t, 0)
    }

    /// Runs the scenario actions that are due; true if there were any.
    pub(super) fn act(&mut self, t: f64, step: u64) -> Result<bool, Stop> {
        let mut acted = false;
        while let Some(&(_, kernel)) = self.actions.get(self.next_action).filter(|(due, _)| *due <= t) {
            let k = self.next_action;
            self.next_action += 1;
            if let (Some(scheduler), Some(sends)) = (&mut self.behavior, self.sends.get(k)) {
                sends.iter().for_each(|code| scheduler.ask(*code));
            }
            if let Some(log) = &mut self.log {
                log.before_action(k, self.system.memory.data());
            }
            self.kernel(kernel, false)?;
            if let Some(log) = &mut self.log {
                log.after_action(k, step, self.system.memory.data())?;
            }
            acted = true;
        }
        acted |= self.change(t, step)?;
        if acted {
            self.kernel(KernelId::Params, false)?;
            self.clamp_assigned(t);
        }
        Ok(acted)
    }

    /// Whether relations or discrete values are about to change where memory stands.
    pub(super) fn pending(&mut self) -> Result<bool, Stop> {
        if self.system.program.sizes.disc == 0 {
            return Ok(false);
        }
        self.system.host.new_point();
        self.kernel(KernelId::Update, false)?;
        let memory = &self.system.memory;
        let pairs = memory.space(Space::Next).iter().zip(memory.space(Space::Disc));
        Ok(pairs.into_iter().any(|(new, old)| differ(*new, *old)))
    }

    /// Brings relations and discrete values to what they are where memory stands, at `t`; true if any changed. Where that
    /// has no end, by roundings of a loop that reads what compares it, they become what they are a little later.
    pub(super) fn settle(&mut self, t: f64) -> Result<bool, Stop> {
        match self.settled()? {
            Some(changed) => Ok(changed),
            None if self.settles_later(t)? => Ok(true),
            None => Err(self.unsettled(t, &self.unlike())),
        }
    }

    /// The same where memory stands and nowhere else; nothing where it has no end.
    pub(super) fn settled(&mut self) -> Result<Option<bool>, Stop> {
        for round in 0..ROUNDS {
            if !self.pending()? {
                return Ok(Some(round > 0));
            }
            self.commit();
        }
        Ok(if self.pending()? { None } else { Some(true) })
    }

    /// The slots in which `Next` differs from `Disc`.
    pub(super) fn unlike(&self) -> Vec<usize> {
        let memory = &self.system.memory;
        let pairs = memory.space(Space::Next).iter().zip(memory.space(Space::Disc)).enumerate();
        pairs.filter_map(|(slot, (new, old))| differ(*new, *old).then_some(slot)).collect()
    }

    /// Copies what differs in `Next` over `Disc`; true if anything did.
    pub(super) fn commit(&mut self) -> bool {
        let sizes = &self.system.program.sizes;
        let (next, disc) = (sizes.offset(Space::Next), sizes.offset(Space::Disc));
        let data = self.system.memory.data_mut();
        let mut any = false;
        for slot in 0..sizes.disc as usize {
            let (new, old) = (data[next + slot], data[disc + slot]);
            if differ(new, old) {
                self.journal.note(slot, old);
                data[disc + slot] = new;
                any = true;
            }
        }
        any
    }
}

/// A handler's head as the model writes it: `on falling(h > 0 m)`.
pub(super) fn heading(program: &Program, handler: u32) -> String {
    let origin = program.behavior.handlers.get(handler as usize).map(|h| h.origin.index());
    let text = origin.and_then(|o| program.origins.get(o)).map_or("", |o| &o.text);
    match text.split_once(": ") {
        Some((path, text)) if !path.contains(' ') => text.to_owned(),
        _ => text.to_owned(),
    }
}

/// Whether a discrete value changed; the two zeros are one.
fn differ(new: f64, old: f64) -> bool {
    new.to_bits() != old.to_bits() && !(new == 0.0 && old == 0.0)
}
