//! State machines: what is left and entered, and in which order.

use super::*;

impl Scheduler<'_> {
    /// Leaves the states up to the innermost that surrounds source and target, runs the body, enters the target.
    pub(super) fn transition(
        &mut self,
        world: &mut dyn World,
        handler: u32,
        i: u32,
        target: StateId,
        args: Args,
    ) -> R<()> {
        let h = &self.b.handlers[handler as usize];
        let Some((m, source)) = h.scope else { return Ok(()) };
        let b = self.b;
        let machine = &b.machines[m as usize];
        let states = &machine.states;
        let now = self.leaf(world, m, i)?;
        // The innermost state around both the source and the target stays.
        let mut domain = source.and_then(|s| states[s as usize].parent);
        let around = |d: StateId| {
            let (d, t) = (&states[d as usize], &states[target as usize]);
            d.first_leaf <= t.first_leaf && t.end_leaf <= d.end_leaf
        };
        while let Some(d) = domain {
            if d != target && around(d) {
                break;
            }
            domain = states[d as usize].parent;
        }
        for s in super::super::index::chain(machine, now) {
            if Some(s) == domain {
                break;
            }
            self.leave(world, m, i, s)?;
        }
        self.body(world, handler, i, args)?;
        if !self.here(world, machine.owner, i)? {
            // It retired itself on the way.
            return Ok(());
        }
        self.write(world, machine.var.index(), i, f64::from(super::super::index::leaf(machine, target)))?;
        self.enter(world, m, i, domain, target)
    }

    pub(super) fn leave(&mut self, world: &mut dyn World, m: u32, i: u32, s: StateId) -> R<()> {
        let state = &self.b.machines[m as usize].states[s as usize];
        let n = self.b.machines[m as usize].states.len();
        let left = &mut self.generations[m as usize][i as usize * n + s as usize];
        *left = left.wrapping_add(1);
        if let Some(held) = self.held.get_mut(&(m, i)) {
            let (gone, stay): (Vec<_>, Vec<_>) =
                std::mem::take(held).into_iter().partition(|(at, ..)| *at == s);
            *held = stay;
            for (_, slot, generation) in gone {
                if self.slots[slot].generation == generation
                    && let Some(w) = self.slots[slot].waiting.take()
                {
                    self.release(slot, w.bytes);
                    self.queues.remove(&(w.handler, i));
                }
            }
        }
        let armed = self.index.afters[m as usize][s as usize].len();
        if armed > 0 {
            let mut timers = std::mem::take(&mut self.timers);
            timers.cancelled(armed, |due| match due {
                Due::After { handler, instance, generation, .. } => {
                    self.alive(*handler, *instance, *generation)
                }
                Due::Wake { slot, generation } => self.slots[*slot].generation == *generation,
                _ => true,
            });
            self.timers = timers;
        }
        match state.exit {
            Some(code) => {
                let purpose = streams::of_state(self.b, m, s, true);
                let thread = Thread::new(self.b, &mut self.store, code, i, Vec::new(), purpose);
                self.go(world, thread, purpose)
            }
            None => Ok(()),
        }
    }

    /// Enters the states below `domain` down to `target` and its initial states, outer first.
    pub(in super::super) fn enter(
        &mut self,
        world: &mut dyn World,
        m: u32,
        i: u32,
        domain: Option<StateId>,
        target: StateId,
    ) -> R<()> {
        let b = self.b;
        let machine = &b.machines[m as usize];
        let leaf = super::super::index::leaf(machine, target);
        let entered = super::super::index::chain(machine, leaf).take_while(|s| Some(*s) != domain);
        for k in (0..entered.clone().count()).rev() {
            let Some(s) = entered.clone().nth(k) else { continue };
            if let Some(code) = machine.states[s as usize].entry {
                let purpose = streams::of_state(self.b, m, s, false);
                let thread = Thread::new(self.b, &mut self.store, code, i, Vec::new(), purpose);
                self.go(world, thread, purpose)?;
                if !self.here(world, machine.owner, i)? {
                    return Ok(());
                }
            }
            for k in 0..self.index.afters[m as usize][s as usize].len() {
                let handler = self.index.afters[m as usize][s as usize][k];
                let h = &self.b.handlers[handler as usize];
                let Trigger::After(code) = h.trigger else { continue };
                let v = self.eval(world, code, i, Vec::new(), (handler, i))?;
                let d = super::super::vm::number(&v)
                    .and_then(nanoseconds)
                    .map_err(|k| self.named(handler, i, k))?;
                let generation = match h.scope {
                    Some((_, Some(s))) => {
                        self.generations[m as usize][i as usize * machine.states.len() + s as usize]
                    }
                    _ => self.outermost(m, i),
                };
                let stems = self.stems.clone();
                self.timers.arm(self.now + d, Due::After { handler, instance: i, generation, stems });
            }
            for k in 0..self.index.silences[m as usize][s as usize].len() {
                self.listen(world, self.index.silences[m as usize][s as usize][k], i)?;
            }
        }
        if !self.index.whens[m as usize].is_empty() {
            self.whens.push((m, i));
        }
        Ok(())
    }
}
