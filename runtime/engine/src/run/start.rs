//! Parameters, start values and relations at the start of a run.

use super::*;

impl Run<'_> {
    /// Parameters, start values, relations.
    pub(super) fn initialize(&mut self) -> Result<(), Stop> {
        self.system.memory.set_time(0.0);
        self.freeze_tables(0.0);
        self.kernel(KernelId::Params, true)?;
        // A parameter that the model itself gives as NaN may be one as long as nothing follows from it.
        let given = &self.system.program.defaults.param;
        let bad = |(k, v): (usize, &f64)| v.is_nan() && !given.value(k as u32).is_nan();
        let values = self.system.memory.space(Space::Param);
        if let Some(slot) = values.iter().enumerate().position(bad) {
            return Err(self.not_finite(Space::Param, slot));
        }
        self.kernel(KernelId::Initial, true)?;
        // Start values may follow from relations and relations from start values.
        for round in 0.. {
            self.kernel(KernelId::Update, true)?;
            let changed = self.unlike();
            if changed.is_empty() {
                break;
            }
            self.commit();
            if round == ROUNDS {
                return Err(self.unsettled(0.0, &changed));
            }
            let disc = self.system.memory.space(Space::Disc).to_vec();
            self.kernel(KernelId::Initial, true)?;
            for relation in &self.system.program.relations {
                let slots = relation.disc as usize..(relation.disc + relation.len) as usize;
                self.system.memory.space_mut(Space::Disc)[slots.clone()].copy_from_slice(&disc[slots]);
            }
        }
        if let Some(slot) = self.system.memory.space(Space::State).iter().position(|v| !v.is_finite()) {
            return Err(self.not_finite(Space::State, slot));
        }
        self.clamp_assigned(0.0);
        if self.clamp_states(0.0) {
            self.settle(0.0)?;
        }
        self.x.copy_from_slice(self.system.memory.space(Space::State));
        self.system.host.accept(&self.system.memory);
        // Up to the first step loops may lie anywhere.
        self.begin_on_manifold()?;
        self.kernel(KernelId::Outputs, true)?;
        self.system.host.accept(&self.system.memory);
        if !self.system.host.history.is_empty() {
            self.kernel(KernelId::History, true)?;
            self.system.host.history.start(self.system.memory.space(Space::Hist));
        }
        // Actions at the very start come before the first row.
        if self.act(0.0, 0)? {
            self.settle(0.0)?;
            if self.clamp_states(0.0) {
                self.settle(0.0)?;
            }
            self.x.copy_from_slice(self.system.memory.space(Space::State));
        }
        self.begin_behavior()?;
        // The first row is that of the right limit: there is no left one.
        self.settle_ahead(0.0)?;
        self.tell_held(0.0);
        Ok(())
    }
}
