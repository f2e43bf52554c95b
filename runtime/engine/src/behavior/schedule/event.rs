//! Events: who hears them, and patterns of them.

use std::borrow::Cow;

use super::super::pattern;
use super::*;
use twinml_model::behavior::{Const, Instr};

/// Windows that are written as constants, by handler.
pub(super) fn constants(b: &Behavior) -> BTreeMap<u32, Arc<[Option<i128>]>> {
    let constant = |code: u32| match b.codes.get(code as usize).map(|c| &c.instrs[..]) {
        Some([Instr::Const(r, Const::Num(x)), Instr::Return(Some(out)), ..]) if r == out => {
            nanoseconds(*x).ok()
        }
        _ => None,
    };
    let one = |(k, h): (u32, &twinml_model::behavior::Handler)| {
        let Trigger::Pattern(p) = &h.trigger else { return None };
        let all = pattern::within(p).into_iter().map(|d| d.map_or(Some(None), |d| constant(d).map(Some)));
        Some((k, all.collect::<Option<Arc<[_]>>>()?))
    };
    (0u32..).zip(&b.handlers).filter_map(one).collect()
}

impl Scheduler<'_> {
    /// Everyone who hears an event at an instance, over connections too, and the patterns that it completes.
    pub(super) fn deliver(
        &mut self,
        world: &mut dyn World,
        event: EventId,
        i: u32,
        args: &Args,
        stems: Stems,
        out: &mut Vec<Activation>,
    ) -> R<()> {
        let start = out.len();
        let b = self.b;
        let mut reached = vec![(event, i)];
        let mut next = 0;
        while let Some(&at) = reached.get(next) {
            next += 1;
            let from = b.routes.partition_point(|r| (r.from, r.from_instance) < at);
            for r in b.routes[from..].iter().take_while(|r| (r.from, r.from_instance) == at) {
                if !reached.contains(&(r.to, r.to_instance)) {
                    reached.push((r.to, r.to_instance));
                }
            }
        }
        let after = self.caused(world, &reached, &stems)?;
        for &(event, i) in &reached {
            self.heard_by(world, event, i, args, &stems, &|_| true, out)?;
        }
        stem(after, &mut out[start..]);
        in_order(&mut out[start..]);
        Ok(())
    }

    /// Everyone who hears an event at one instance, of handlers those that `may`; true if something waited for it.
    #[expect(clippy::too_many_arguments, reason = "what an event is, and who hears it")]
    pub(super) fn heard_by(
        &mut self,
        world: &mut dyn World,
        event: EventId,
        i: u32,
        args: &Args,
        stems: &Stems,
        may: &dyn Fn(u32) -> bool,
        out: &mut Vec<Activation>,
    ) -> R<bool> {
        let b = self.b;
        if let Some(counter) = b.events.get(event as usize).and_then(|e| e.counter) {
            let n = self.read(world, counter.index(), i)?;
            self.write(world, counter.index(), i, n + 1.0)?;
        }
        for k in 0..self.index.by_event.get(event as usize).map_or(0, Vec::len) {
            for per in pers(b, &self.index.by_event[event as usize][k]) {
                let fits = |h: u32| match b.handlers[h as usize].trigger {
                    Trigger::Event(Heard { per: p, only, .. }) => {
                        p.max(1) == per && only.is_none_or(|o| o == i % per) && may(h)
                    }
                    _ => false,
                };
                let group = &self.index.by_event[event as usize][k];
                out.extend(self.react(world, group.machine, &group.handlers, i / per, fits, args)?);
            }
        }
        self.patterns_hear(world, event, i, stems, out)?;
        let mut woken = false;
        for k in 0..self.index.waits.get(event as usize).map_or(0, Vec::len) {
            let per = self.index.waits[event as usize][k].max(1);
            let key = (event, per, i / per);
            let Some(waiting) = self.hearing.remove(&key) else { continue };
            let (now, later): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(.., only)| only.is_none_or(|o| o == i % per));
            if !later.is_empty() {
                self.hearing.insert(key, later);
            }
            let before = out.len();
            out.extend(now.into_iter().filter_map(|(slot, generation, _)| self.wake(slot, generation)));
            woken |= out.len() > before;
        }
        Ok(woken)
    }

    /// What stems from an event: all that it stems from itself, and the event where it is a cause.
    pub(super) fn caused(
        &mut self,
        world: &mut dyn World,
        reached: &[(EventId, u32)],
        stems: &Stems,
    ) -> R<Stems> {
        let b = self.b;
        let mut after = stems.clone();
        for &(event, i) in reached {
            for k in 0..self.index.members.get(event as usize).map_or(0, Vec::len) {
                let m = self.index.members[event as usize][k];
                let cause =
                    matches!(b.handlers[m.handler as usize].trigger, Trigger::Pattern(Pattern::Causal(..)));
                let heard = m.only.is_none_or(|o| o == i % m.per);
                if !cause || m.part != 0 || !heard || self.listening(world, m.handler, i / m.per)?.is_none() {
                    continue;
                }
                let Some(d) = self.windows(world, m.handler, i / m.per)?.first().copied().flatten() else {
                    continue;
                };
                let now = self.now;
                Arc::make_mut(after.get_or_insert_default()).add((m.handler, i / m.per), now + d, now);
            }
        }
        Ok(after)
    }

    fn patterns_hear(
        &mut self,
        world: &mut dyn World,
        event: EventId,
        i: u32,
        stems: &Stems,
        out: &mut Vec<Activation>,
    ) -> R<()> {
        let mut k = 0;
        while let Some(&first) = self.index.members.get(event as usize).and_then(|l| l.get(k)) {
            let mut parts: Vec<u32> = Vec::new();
            while let Some(m) =
                self.index.members[event as usize].get(k).filter(|m| m.handler == first.handler)
            {
                k += 1;
                if m.only.is_none_or(|o| o == i % m.per) {
                    parts.push(m.part);
                }
            }
            let (handler, i) = (first.handler, i / first.per);
            if !parts.is_empty() && self.feed(world, handler, i, &parts, stems)? {
                out.extend(self.fire(world, handler, i)?);
            }
        }
        Ok(())
    }

    /// A pattern's handler is set off.
    fn fire(&self, world: &mut dyn World, handler: u32, i: u32) -> R<Option<Activation>> {
        let machine = self.b.handlers[handler as usize].scope.map(|(m, _)| m);
        self.react(world, machine, &[handler], i, |_| true, &Args::new())
    }

    /// Hands an event, as these members of a pattern, to its matcher; true if the pattern is complete.
    fn feed(&mut self, world: &mut dyn World, handler: u32, i: u32, parts: &[u32], stems: &Stems) -> R<bool> {
        let Some(generation) = self.listening(world, handler, i)? else { return Ok(false) };
        let Trigger::Pattern(p) = &self.b.handlers[handler as usize].trigger else { return Ok(false) };
        match p {
            Pattern::Any(_) => return Ok(true),
            Pattern::Causal(..) => {
                let until = stems.as_ref().and_then(|s| s.until((handler, i)));
                return Ok(parts.contains(&1) && until.is_some_and(|t| self.now <= t));
            }
            Pattern::Absence(..) => return self.listen(world, handler, i).map(|()| false),
            _ => {}
        }
        let windows = self.windows(world, handler, i)?;
        let m = self.patterns.entry((handler, i)).or_default();
        if m.generation != generation {
            m.reset(generation);
        }
        let before = m.bytes();
        let done = m.take(p, &windows, self.now, parts);
        let after = m.bytes();
        self.store.give(before);
        self.store.take(after).map_err(|kind| self.named(handler, i, kind))?;
        Ok(done)
    }

    /// Whether a handler listens: with how often its state was left.
    fn listening(&self, world: &mut dyn World, handler: u32, i: u32) -> R<Option<u32>> {
        let Some((m, s)) = self.b.handlers[handler as usize].scope else { return Ok(Some(0)) };
        let leaf = self.leaf(world, m, i)?;
        let states = self.b.machines[m as usize].states.len();
        Ok(self.active(handler, leaf).then(|| match s {
            Some(s) => self.generations[m as usize][i as usize * states + s as usize],
            None => self.outermost(m, i),
        }))
    }

    /// The windows of a pattern's members: constants, or what their formulas say now.
    fn windows(&mut self, world: &mut dyn World, handler: u32, i: u32) -> R<Cow<'static, [Option<i128>]>> {
        if let Some(all) = self.windows.get(&handler) {
            return Ok(Cow::Owned(all.to_vec()));
        }
        let Trigger::Pattern(p) = &self.b.handlers[handler as usize].trigger else {
            return Ok(Cow::Borrowed(&[]));
        };
        let mut out = Vec::new();
        for code in pattern::within(p) {
            out.push(match code {
                None => None,
                Some(code) => {
                    let v = self.eval(world, code, i, Vec::new(), (handler, i))?;
                    let d = super::super::vm::number(&v).and_then(nanoseconds);
                    Some(d.map_err(|k| self.named(handler, i, k))?)
                }
            });
        }
        Ok(Cow::Owned(out))
    }

    /// The time of an absence begins now.
    pub(in super::super) fn listen(&mut self, world: &mut dyn World, handler: u32, i: u32) -> R<()> {
        let generation = match self.b.handlers[handler as usize].scope {
            // The state is being entered: its number may not be there yet.
            Some((m, Some(s))) => {
                let states = self.b.machines[m as usize].states.len();
                self.generations[m as usize][i as usize * states + s as usize]
            }
            Some((m, None)) => self.outermost(m, i),
            None => 0,
        };
        let Some(d) = self.windows(world, handler, i)?.first().copied().flatten() else { return Ok(()) };
        let deadline = self.now + d;
        let m = self.patterns.entry((handler, i)).or_default();
        m.generation = generation;
        m.deadline = Some(deadline);
        if !std::mem::replace(&mut m.armed, true) {
            self.timers.arm(deadline, Due::Silence { handler, instance: i });
        }
        Ok(())
    }

    /// The timer of an absence: over now, or later where events came since it was armed.
    pub(super) fn silence_due(&mut self, handler: u32, i: u32) {
        let Some(m) = self.patterns.get_mut(&(handler, i)) else { return };
        m.armed = false;
        match m.deadline {
            Some(t) if t > self.now => {
                m.armed = true;
                self.timers.arm(t, Due::Silence { handler, instance: i });
            }
            Some(_) => self.silent.push((handler, i)),
            None => {}
        }
    }

    /// Absences that are complete, now that the instant is quiet otherwise.
    pub(super) fn silences(&mut self, world: &mut dyn World, out: &mut Vec<Activation>) -> R<()> {
        for (handler, i) in std::mem::take(&mut self.silent) {
            let generation = self.listening(world, handler, i)?;
            let now = self.now;
            let Some(m) = self.patterns.get_mut(&(handler, i)) else { continue };
            if generation == Some(m.generation) && m.deadline.is_some_and(|t| t <= now) {
                m.deadline = None;
                out.extend(self.fire(world, handler, i)?);
            }
        }
        in_order(out);
        Ok(())
    }
}

/// Says what activities stem from.
pub(super) fn stem(after: Stems, out: &mut [Activation]) {
    let Some(after) = after else { return };
    for a in out {
        // What was waiting stems from what it heard before, too.
        let mut all = after.clone();
        if let Some(own) = &a.stems {
            Arc::make_mut(&mut all).merge(own);
        }
        a.stems = Some(all);
    }
}

/// The different numbers of instances for each of the hearer's.
fn pers(b: &Behavior, g: &Group) -> Vec<u32> {
    let per = |h: &u32| match b.handlers[*h as usize].trigger {
        Trigger::Event(heard) => heard.per.max(1),
        _ => 1,
    };
    let mut out: Vec<u32> = g.handlers.iter().map(per).collect();
    out.sort_unstable();
    out.dedup();
    out
}
