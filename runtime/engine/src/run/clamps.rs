//! Quantities that are held at their limits (`else clamp`).
//!
//! That a state stays at its limit is in the equations: its derivative is 0 while it is held, from one event to
//! another. Here it is put exactly on the limit where it was found a rounding beyond, and where something assigned a
//! value outside; in a model with white noise, wherever a step left it beyond; discrete values and inputs are put there too. Each time counts as a range that was left.

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::ids::VarId;
use twinml_model::ir::Space;
use twinml_model::program::Program;

use super::report::{Broken, MOST_BROKEN};
use super::{Run, Stop};

/// Slots of one quantity.
#[derive(Clone, Copy, Debug)]
struct Family {
    /// Number in `Program::clamps`.
    number: usize,
    space: Space,
    base: usize,
    len: usize,
}

/// What is known of the clamps.
pub(super) struct Clamps {
    families: Vec<Family>,
    /// By discrete slots: (first slot, family).
    held: Vec<(usize, usize)>,
    /// Of each family where its elements stand in the report, from 1; 0: nowhere. Empty until one is told.
    told: Vec<Vec<u32>>,
}

impl Clamps {
    pub(super) fn new(program: &Program) -> Clamps {
        let mut families = Vec::new();
        for (number, c) in program.clamps.iter().enumerate() {
            let Some(v) = program.schema.vars.get(c.var.index()) else { continue };
            families.push(Family { number, space: v.space, base: v.base as usize, len: v.len as usize });
        }
        families.sort_by_key(|f| (f.space, f.base));
        let mut held = Vec::new();
        for (k, f) in families.iter().enumerate() {
            let c = &program.clamps[f.number];
            held.extend([c.low, c.high].into_iter().flatten().map(|slot| (slot as usize, k)));
        }
        held.sort_unstable();
        let told = vec![Vec::new(); families.len()];
        Clamps { families, held, told }
    }

    /// What was told, as bytes.
    pub(super) fn save(&self, to: &mut Writer) {
        to.put(&self.told);
    }

    /// Into the clamps of the same program.
    pub(super) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        self.told = from.get()?;
        let fits = |(told, f): (&Vec<u32>, &Family)| told.is_empty() || told.len() == f.len;
        if self.told.len() != self.families.len() || !self.told.iter().zip(&self.families).all(fits) {
            return Err(Malformed { at, why: "other quantities are held at limits".into() });
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    /// The family of a slot and its element.
    fn find(&self, space: Space, slot: usize) -> Option<(usize, usize)> {
        let after = self.families.partition_point(|f| (f.space, f.base) <= (space, slot));
        let k = after.checked_sub(1)?;
        let f = &self.families[k];
        (f.space == space && slot - f.base < f.len).then(|| (k, slot - f.base))
    }

    /// The family and element that a discrete slot says to be held.
    fn holder(&self, slot: usize) -> Option<(usize, usize)> {
        let after = self.held.partition_point(|(first, _)| *first <= slot);
        let (first, k) = *self.held.get(after.checked_sub(1)?)?;
        (slot - first < self.families[k].len).then_some((k, slot - first))
    }
}

impl Run<'_> {
    /// What a value becomes between the limits of an element.
    fn bounded(&self, family: usize, element: usize, value: f64) -> f64 {
        let c = &self.system.program.clamps[self.clamps.families[family].number];
        let limits = self.system.memory.space(Space::Param);
        let limit = |slot: Option<u32>| slot.and_then(|s| limits.get(s as usize + element)).copied();
        match (limit(c.lo), limit(c.hi)) {
            (Some(lo), _) if value < lo => lo,
            (_, Some(hi)) if value > hi => hi,
            _ => value,
        }
    }

    /// Puts all elements of these spaces between their limits; true if any was outside.
    fn clamp_in(&mut self, t: f64, states: bool) -> bool {
        let mut moved = false;
        for k in 0..self.clamps.families.len() {
            let f = self.clamps.families[k];
            if (f.space == Space::State) != states {
                continue;
            }
            for j in 0..f.len {
                let Some(&value) = self.system.memory.space(f.space).get(f.base + j) else { continue };
                let within = self.bounded(k, j, value);
                if within == value || value.is_nan() {
                    continue;
                }
                if let Some(place) = self.system.memory.space_mut(f.space).get_mut(f.base + j) {
                    *place = within;
                }
                moved = true;
                // A state that has only reached its limit is told where it is held.
                if !states {
                    self.tell_clamped(t, k, j, within);
                }
            }
        }
        moved
    }

    /// Puts states between their limits.
    pub(super) fn clamp_states(&mut self, t: f64) -> bool {
        !self.clamps.is_empty() && self.clamp_in(t, true)
    }

    /// In a stochastic model: puts the states that the last step left beyond a limit back on it.
    pub(super) fn hold_within(&mut self) -> Result<(), Stop> {
        if self.clamps.is_empty() || self.system.program.noise.is_empty() {
            return Ok(());
        }
        let t = self.integrator.t();
        let mut moved = false;
        for k in 0..self.clamps.families.len() {
            let f = self.clamps.families[k];
            if f.space != Space::State {
                continue;
            }
            for j in 0..f.len {
                let Some(&value) = self.integrator.x().get(f.base + j) else { continue };
                let within = self.bounded(k, j, value);
                if within == value || value.is_nan() {
                    continue;
                }
                if !moved {
                    self.x.copy_from_slice(self.integrator.x());
                    moved = true;
                }
                self.x[f.base + j] = within;
                self.tell_clamped(t, k, j, within);
            }
        }
        if !moved {
            return Ok(());
        }
        self.system.glance.clear();
        let stop = self.next_stop();
        let done = self.integrator.nudge(&mut self.system, &self.x, stop.max(t));
        done.map_err(|e| self.solver_failure(e))
    }

    /// Puts inputs and discrete values that were assigned between their limits.
    pub(super) fn clamp_assigned(&mut self, t: f64) {
        if !self.clamps.is_empty() {
            self.clamp_in(t, false);
        }
    }

    /// What is stored where a handler assigns `value`.
    pub(super) fn clamp_store(&mut self, t: f64, space: Space, slot: usize, value: f64) -> f64 {
        if self.clamps.is_empty() {
            return value;
        }
        let Some((k, j)) = self.clamps.find(space, slot) else { return value };
        let within = self.bounded(k, j, value);
        if within != value && !value.is_nan() {
            self.tell_clamped(t, k, j, within);
        }
        within
    }

    /// Tells the states that the present instant has begun to hold.
    pub(super) fn tell_held(&mut self, t: f64) {
        if self.clamps.held.is_empty() {
            return;
        }
        for n in 0..self.journal.changes.len() {
            let (slot, before) = self.journal.changes[n];
            let now = self.system.memory.space(Space::Disc)[slot];
            if before != 0.0 || now == 0.0 {
                continue;
            }
            if let Some((k, j)) = self.clamps.holder(slot) {
                let f = self.clamps.families[k];
                let value = self.x.get(f.base + j).copied().unwrap_or(f64::NAN);
                self.tell_clamped(t, k, j, value);
            }
        }
    }

    fn tell_clamped(&mut self, t: f64, family: usize, element: usize, value: f64) {
        let f = self.clamps.families[family];
        let told = &mut self.clamps.told[family];
        if told.is_empty() {
            told.resize(f.len, 0);
        }
        let list = &mut self.ranges.list;
        if let Some(at) = (told[element] as usize).checked_sub(1) {
            if let Some(known) = list.get_mut(at) {
                known.times += 1;
            }
            return;
        }
        self.ranges.total += 1;
        if list.len() >= MOST_BROKEN {
            told[element] = u32::MAX;
            return;
        }
        let program = self.system.program;
        let c = &program.clamps[f.number];
        let var: VarId = c.var;
        list.push(Broken {
            path: program.schema.vars[var.index()].element_path(element as u32),
            time: t,
            value,
            var,
            times: 1,
            stopped: false,
            clamped: true,
            origin: c.origin,
        });
        told[element] = list.len() as u32;
    }
}
