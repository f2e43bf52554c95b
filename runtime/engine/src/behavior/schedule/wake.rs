//! Who is set off: by conditions that changed, by timers, by what was waited for.

use super::*;

impl Scheduler<'_> {
    /// What changed conditions set off.
    pub(super) fn rising(
        &mut self,
        world: &mut dyn World,
        changed: &[Changed],
        out: &mut Vec<Activation>,
    ) -> R<()> {
        for c in changed {
            for k in self.index.watched(c.slot) {
                let Some((w, i)) = self.index.watcher(k, c.slot) else { continue };
                let fits = |h: u32| match self.b.handlers[h as usize].trigger {
                    Trigger::Rising(_) | Trigger::When(_) => c.old == 0.0 && c.new != 0.0,
                    Trigger::Falling(_) => c.old != 0.0 && c.new == 0.0,
                    _ => true,
                };
                if !self.births.is_empty() && self.newborn(self.b.watches[w as usize].owner, i) {
                    continue;
                }
                for g in &self.index.by_watch[w as usize] {
                    out.extend(self.react(world, g.machine, &g.handlers, i, fits, &Args::new())?);
                }
                if c.new != 0.0
                    && let Some(list) = self.until.remove(&(w, i))
                {
                    out.extend(list.into_iter().filter_map(|(slot, generation)| self.wake(slot, generation)));
                }
            }
        }
        Ok(())
    }

    pub(super) fn react(
        &self,
        world: &mut dyn World,
        machine: Option<u32>,
        handlers: &[u32],
        i: u32,
        fits: impl Fn(u32) -> bool,
        args: &Args,
    ) -> R<Option<Activation>> {
        let Some(machine) = machine else {
            let h = handlers[0];
            return Ok(fits(h).then(|| self.plain(h, i, args.clone())));
        };
        let leaf = self.leaf(world, machine, i)?;
        let active = handlers.iter().copied().filter(|&h| fits(h) && self.active(h, leaf));
        let Some(handlers) = Few::of(active) else { return Ok(None) };
        let order = (self.order(self.b.machines[machine as usize].owner, i), handlers.list()[0]);
        let what = What::Machine { machine, handlers, leaf, args: args.clone() };
        Ok(Some(Activation { order, nth: 0, instance: i, what, stems: None, mail: None }))
    }

    /// `when` transitions whose condition holds after a state was entered.
    pub(super) fn held_whens(&self, world: &mut dyn World, m: u32, i: u32) -> R<Option<Activation>> {
        let mut handlers = Vec::new();
        for &h in &self.index.whens[m as usize] {
            if let Trigger::When(w) = self.b.handlers[h as usize].trigger
                && self.watch(world, w, i)? != 0.0
            {
                handlers.push(h);
            }
        }
        self.react(world, Some(m), &handlers, i, |_| true, &Args::new())
    }

    pub(super) fn wake(&self, slot: usize, generation: u32) -> Option<Activation> {
        let s = self.slots.get(slot).filter(|s| s.generation == generation)?;
        let w = s.waiting.as_ref()?;
        let owner = streams::owner(self.b, w.thread.purpose).unwrap_or_default();
        let order = (self.order(owner, w.thread.instance), w.handler);
        let stems = w.stems.clone();
        let (instance, what) = (w.thread.instance, What::Resume { slot });
        Some(Activation { order, nth: 0, instance, what, stems, mail: None })
    }

    pub(super) fn due(&mut self, world: &mut dyn World, due: Due) -> R<Option<Activation>> {
        let one = |s: &Self, world: &mut dyn World, h: u32, i: u32| {
            let machine = s.b.handlers[h as usize].scope.map(|(m, _)| m);
            s.react(world, machine, &[h], i, |_| true, &Args::new())
        };
        match due {
            Due::Tick { handler, instance, k } => {
                let (o, p) = self.periods.get(&(handler, instance)).copied().unwrap_or((0, 1));
                if let Some(ns) = tick(o, p, k + 1) {
                    self.timers.arm(ns, Due::Tick { handler, instance, k: k + 1 });
                }
                one(self, world, handler, instance)
            }
            Due::At { handler, instance } => one(self, world, handler, instance),
            Due::After { handler, instance, generation, stems } => {
                if self.alive(handler, instance, generation) {
                    Ok(one(self, world, handler, instance)?.map(|a| Activation { stems, ..a }))
                } else {
                    Ok(None)
                }
            }
            Due::Code { code, instance, args, purpose, stems, life } => {
                let owner = streams::owner(self.b, purpose).unwrap_or_default();
                if life != self.life(owner, instance) {
                    self.store.give(bytes_armed(&args));
                    return Ok(None);
                }
                let order = (self.order(owner, instance), NOBODY);
                Ok(Some(Activation {
                    order,
                    nth: 0,
                    instance,
                    what: What::Code { code, args, purpose },
                    stems,
                    mail: None,
                }))
            }
            Due::Silence { handler, instance } => {
                self.silence_due(handler, instance);
                Ok(None)
            }
            Due::Wake { slot, generation } => Ok(self.wake(slot, generation)),
        }
    }

    pub(super) fn alive(&self, handler: u32, i: u32, generation: u32) -> bool {
        let Some((m, s)) = self.b.handlers[handler as usize].scope else { return true };
        let states = self.b.machines[m as usize].states.len();
        match s {
            Some(s) => self.generations[m as usize][i as usize * states + s as usize] == generation,
            None => generation == self.outermost(m, i),
        }
    }

    /// How often any outermost state was left.
    pub(super) fn outermost(&self, m: u32, i: u32) -> u32 {
        let states = &self.b.machines[m as usize].states;
        let left = &self.generations[m as usize][i as usize * states.len()..][..states.len()];
        states.iter().zip(left).filter(|(s, _)| s.parent.is_none()).fold(0, |n, (_, g)| n.wrapping_add(*g))
    }

    pub(super) fn life(&self, owner: u32, i: u32) -> u32 {
        self.store.lives.get(&(owner, i)).copied().unwrap_or_default()
    }
}
