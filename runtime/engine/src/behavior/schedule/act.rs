//! What an activation does: guards, bodies, what waits, and the effects of code.

use super::*;

impl<'a> Scheduler<'a> {
    /// Arguments in the order of a handler's parameters: by name, those without one by place.
    pub(super) fn bind(&mut self, handler: u32, args: &Args) -> Vec<Value> {
        let mut out = self.store.pool.registers();
        let params = self.b.handlers[handler as usize].params.iter().enumerate();
        let find = |(k, name): (usize, &String)| {
            let by_name = args.iter().find(|(n, _)| **n == **name);
            let by_place = || args.get(k).filter(|(n, _)| n.is_empty());
            by_name.or_else(by_place).map_or(Value::None, |(_, v)| v.clone())
        };
        out.extend(params.map(find));
        out
    }

    pub(super) fn guard(&mut self, world: &mut dyn World, handler: u32, i: u32, args: &Args) -> R<bool> {
        let Some(code) = self.b.handlers[handler as usize].guard else { return Ok(true) };
        let values = self.bind(handler, args);
        let v = self.eval(world, code, i, values, (handler, i))?;
        truth(&v).map_err(|kind| fault(self.b, code, 0, kind))
    }

    pub(super) fn perform(&mut self, world: &mut dyn World, a: Activation) -> R<()> {
        let i = a.instance;
        let purpose = match &a.what {
            What::Plain { handler, .. } => *handler,
            What::Machine { handlers, .. } => handlers.list()[0],
            What::Resume { slot } => self.slots[*slot].waiting.as_ref().map_or(NOBODY, |w| w.thread.purpose),
            What::Code { purpose, .. } => *purpose,
        };
        if !self.here_for(world, purpose, i)? {
            if let What::Code { args, .. } = &a.what {
                self.store.give(bytes_armed(args));
            }
            return Ok(());
        }
        self.announce(world, &a);
        self.stems = a.stems;
        let mail = a.mail;
        match a.what {
            What::Plain { handler, args } => {
                if self.guard(world, handler, i, &args)? {
                    self.takes(mail);
                    world.acts(Some(handler), None, i);
                    self.body(world, handler, i, args)?;
                }
                Ok(())
            }
            What::Machine { machine, handlers, leaf, args } => {
                let b = self.b;
                let now = self.leaf(world, machine, i)?;
                let levels = super::super::index::chain(&b.machines[machine as usize], now);
                for level in levels.map(Some).chain([None]) {
                    let mut heard = false;
                    for &h in handlers.list() {
                        let at = self.b.handlers[h as usize].scope.and_then(|(_, s)| s);
                        if at != level || !self.active(h, leaf) || !self.guard(world, h, i, &args)? {
                            continue;
                        }
                        heard = true;
                        self.takes(mail);
                        world.acts(Some(h), None, i);
                        match self.b.handlers[h as usize].target {
                            Some(target) => return self.transition(world, h, i, target, args),
                            None => self.body(world, h, i, args.clone())?,
                        }
                    }
                    if heard {
                        return Ok(());
                    }
                }
                Ok(())
            }
            What::Resume { slot } => {
                let Some(mut w) = self.slots[slot].waiting.take() else { return Ok(()) };
                if !self.post.calls.is_empty() {
                    self.collected(slot, &mut w.thread);
                }
                self.release(slot, w.bytes);
                self.go(world, w.thread, w.handler)
            }
            What::Code { code, args, purpose } => {
                self.store.give(bytes_armed(&args));
                let thread = Thread::new(self.b, &mut self.store, code, i, args, purpose);
                self.go(world, thread, NOBODY)
            }
        }
    }

    /// Says who runs. Handlers of a machine say so themselves, where it is clear which of them does.
    pub(super) fn announce(&self, world: &mut dyn World, a: &Activation) {
        match &a.what {
            What::Plain { .. } | What::Machine { .. } => {}
            What::Resume { slot } => {
                let handler = self.slots[*slot].waiting.as_ref().map(|w| w.handler);
                world.acts(handler.filter(|h| *h != u32::MAX), None, a.instance);
            }
            What::Code { code, .. } => world.acts(None, Some(*code), a.instance),
        }
    }

    pub(in super::super) fn release(&mut self, slot: usize, bytes: usize) {
        self.slots[slot].generation = self.slots[slot].generation.wrapping_add(1);
        self.store.give(bytes);
        self.free.push(slot);
    }

    pub(super) fn body(&mut self, world: &mut dyn World, handler: u32, i: u32, args: Args) -> R<()> {
        let h = &self.b.handlers[handler as usize];
        let Some(code) = h.body else { return Ok(()) };
        if !self.here(world, h.owner, i)? {
            return Ok(());
        }
        if h.queued {
            if let Some(queue) = self.queues.get_mut(&(handler, i)) {
                let bytes = bytes_of(&args);
                queue.push_back((args, self.stems.clone()));
                return self.store.take(bytes).map_err(|kind| self.named(handler, i, kind));
            }
            self.queues.insert((handler, i), VecDeque::new());
        }
        let values = self.bind(handler, &args);
        let thread = Thread::new(self.b, &mut self.store, code, i, values, handler);
        self.go(world, thread, handler)
    }

    /// Runs a thread until it ends or waits.
    pub(super) fn go(&mut self, world: &mut dyn World, mut thread: Thread, handler: u32) -> R<()> {
        let i = thread.instance;
        let mut effects = std::mem::take(&mut self.effects);
        let mut vm = Vm {
            behavior: self.b,
            slots: world_slots(world),
            store: &mut self.store,
            effects: &mut effects,
            stream: (thread.purpose, i),
        };
        let outcome = vm.run(&mut thread).map_err(|mut f| {
            if let Some(owner) = streams::owner(self.b, thread.purpose) {
                f.twin = path(self.b, owner, i);
            }
            f
        })?;
        let born = self.here_for(world, thread.purpose, i)?;
        let life = streams::owner(self.b, thread.purpose).map(|o| (o, self.life(o, i)));
        self.apply(world, &mut effects, thread.purpose)?;
        self.effects = effects;
        // A twin that retired itself does not go on.
        if !born || life.is_some_and(|(o, l)| l != self.life(o, i)) {
            return Ok(());
        }
        match outcome {
            Outcome::Done(_) => thread.end(&mut self.store),
            Outcome::Stop(reason) => {
                self.stop = Some(reason);
                thread.end(&mut self.store);
            }
            Outcome::Wait(d) => {
                let ns = self.now + nanoseconds(d).map_err(|k| self.named(handler, i, k))?;
                let (slot, generation) = self.suspend(thread, handler)?;
                self.timers.arm(ns, Due::Wake { slot, generation });
                return Ok(());
            }
            Outcome::Until(w) => {
                // Judged when what this step wrote has settled.
                let (slot, generation) = self.suspend(thread, handler)?;
                self.fresh.push((w, i, slot, generation));
                return Ok(());
            }
            Outcome::Collect(reg, asked, deadline) => {
                let place = self.suspend(thread, handler)?;
                return self.collect(world, place, reg, *asked, deadline);
            }
            Outcome::For(h) => {
                let (slot, generation) = self.suspend(thread, handler)?;
                let key = (h.event, h.per.max(1), i);
                self.hearing.entry(key).or_default().push((slot, generation, h.only));
                return Ok(());
            }
        }
        if self.queues.contains_key(&(handler, i)) {
            let mut next = self.queues.get_mut(&(handler, i)).and_then(VecDeque::pop_front);
            while let Some((args, _)) = next.as_ref().filter(|(args, _)| self.outlived(args)) {
                self.store.give(bytes_of(args));
                next = self.queues.get_mut(&(handler, i)).and_then(VecDeque::pop_front);
            }
            match next {
                Some((args, stems)) => {
                    self.store.give(bytes_of(&args));
                    self.stems = stems;
                    let values = self.bind(handler, &args);
                    if let Some(code) = self.b.handlers[handler as usize].body {
                        // The next one in turn runs as a timer of this instant, so that turns do not nest.
                        let thread = Thread::new(self.b, &mut self.store, code, i, values, handler);
                        let (slot, generation) = self.suspend(thread, handler)?;
                        self.timers.arm(self.now, Due::Wake { slot, generation });
                    }
                }
                None => {
                    self.queues.remove(&(handler, i));
                }
            }
        }
        Ok(())
    }

    pub(super) fn suspend(&mut self, thread: Thread, handler: u32) -> R<(usize, u32)> {
        let i = thread.instance;
        let bytes = thread.bytes(self.store.memory);
        self.store.take(bytes).map_err(|kind| self.named(handler, i, kind))?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        self.slots[slot].waiting = Some(Waiting { thread, handler, bytes, stems: self.stems.clone() });
        let generation = self.slots[slot].generation;
        let scope = match self.b.handlers.get(handler as usize) {
            Some(h) => h.scope,
            // What waits in `entry` goes with the state, too.
            None => streams::state(self.b, handler).filter(|(.., exit)| !exit).map(|(m, s, _)| (m, Some(s))),
        };
        if let Some((m, Some(s))) = scope {
            let slots = &self.slots;
            let held = self.held.entry((m, i)).or_default();
            held.retain(|(_, slot, generation)| slots[*slot].generation == *generation);
            held.push((s, slot, generation));
        }
        Ok((slot, generation))
    }

    pub(super) fn apply(&mut self, world: &mut dyn World, effects: &mut Effects, purpose: u32) -> R<()> {
        for (event, instance, _) in &effects.emits {
            world.emitted(*event, *instance);
        }
        for out in effects.sends.drain(..) {
            self.post(world, out, false)?;
        }
        for (event, i, args) in effects.emits.drain(..) {
            self.events.push_back((event, i, args, self.stems.clone()));
        }
        for (d, code, instance, args, purpose) in effects.arms.drain(..) {
            let ns = self.now + nanoseconds(d).map_err(|k| fault(self.b, code, 0, k))?;
            let stems = self.stems.clone();
            let life = streams::owner(self.b, purpose).map_or(0, |o| self.life(o, instance));
            self.timers.arm(ns, Due::Code { code, instance, args, purpose, stems, life });
        }
        let time = world.time();
        for (population, element, taken) in effects.places.drain(..) {
            self.place(population, element, taken);
        }
        if !effects.logs.is_empty() {
            let owner = self.owner_of(purpose);
            for (i, text) in effects.logs.drain(..) {
                self.store.give(bytes_said(&text));
                self.said += 1;
                self.said_bytes += text.len();
                if self.logs.len() < MOST_SAID.0 && self.said_bytes < MOST_SAID.1 {
                    self.logs.push(Said { time, twin: path(self.b, owner, i), text });
                }
            }
        }
        for (owner, i) in effects.cells.drain(..) {
            self.mirror(world, owner, i)?;
        }
        Ok(())
    }
}
