//! Populations at work: places that are taken and freed, and what begins and ends with a twin.

use twinml_model::behavior::{Behavior, Empty, OwnerId, Pattern, Population, PopulationId, Trigger, Which};
use twinml_model::ids::VarId;

use super::fault::FaultKind;
use super::schedule::{Activation, R as Run, Scheduler, World};
use super::store::bytes_of;
use super::streams;
use super::value::Value;
use super::vm::{Args, R, Vm};

/// Where it is written whether the instances of an owner are there: a family, and how many instances share an element.
pub(super) fn presence(b: &Behavior) -> Vec<Option<(VarId, u32)>> {
    let mut out = vec![None; b.owners.len()];
    for p in &b.populations {
        for (owner, per) in &p.owners {
            if let Some(o) = out.get_mut(*owner as usize) {
                *o = Some((p.present, (*per).max(1)));
            }
        }
    }
    out
}

impl<'a> Vm<'a, '_> {
    pub(super) fn population(&self, id: PopulationId) -> R<&'a Population> {
        self.behavior.populations.get(id as usize).ok_or(FaultKind::Broken("no such population"))
    }

    fn there(&mut self, p: &Population, element: u32) -> R<bool> {
        let home = self.behavior.vars.get(p.present.index()).ok_or(FaultKind::Broken("a variable"))?;
        Ok(self.slots.load(home, element, Which::Value).map_err(FaultKind::Trap)? != 0.0)
    }

    /// Whether an instance is there.
    pub(super) fn present(&mut self, owner: OwnerId, instance: u32) -> R<bool> {
        for p in &self.behavior.populations {
            if let Some((_, per)) = p.owners.iter().find(|(o, _)| *o == owner) {
                return self.there(p, instance / (*per).max(1));
            }
        }
        Ok(true)
    }

    /// Takes the first free place of `instance`'s population and lets all begin anew there; its number.
    pub(super) fn create(&mut self, id: PopulationId, instance: u32) -> R<Value> {
        let p = self.population(id)?;
        let first = instance * p.len;
        let mut free = None;
        for k in 0..p.len {
            if !self.there(p, first + k)? {
                free = Some(k);
                break;
            }
        }
        let Some(k) = free else {
            return Err(FaultKind::Full { population: p.name.clone(), capacity: p.len });
        };
        let element = first + k;
        for (n, (var, per)) in p.anew.iter().enumerate() {
            let Some(home) = self.behavior.vars.get(var.index()) else { continue };
            for e in element * per..(element + 1) * per {
                let start = self.store.anew.get(id as usize).and_then(|l| l.get(n)?.get(e as usize)).copied();
                self.slots.store(home, e, start.unwrap_or(0.0));
            }
        }
        if let Some(home) = self.behavior.vars.get(p.present.index()) {
            self.slots.store(home, element, 1.0);
        }
        for (owner, per) in &p.owners {
            for i in element * per..(element + 1) * per {
                self.fresh_cells(*owner, i)?;
            }
        }
        self.effects.places.push((id, element, true));
        Ok(Value::Num(f64::from(k)))
    }

    /// Values on the heap as they are at the start.
    fn fresh_cells(&mut self, owner: OwnerId, i: u32) -> R<()> {
        let behavior = self.behavior;
        for (c, cell) in behavior.cells.iter().enumerate().filter(|(_, c)| c.owner == owner) {
            let len = cell.len as usize;
            let value = match (cell.start, cell.empty) {
                (Some(code), _) => self.value(code, i, Vec::new()).map_err(|f| f.kind)?,
                (None, Empty::None) => Value::None,
                (None, Empty::List) => Value::List(Default::default()),
                (None, Empty::Set) => Value::Set(Default::default()),
                (None, Empty::Map) => Value::Map(Default::default()),
            };
            let cells = &mut self.store.cells[c][i as usize * len..(i as usize + 1) * len];
            match value {
                Value::List(items) if len > 1 && items.len() == len => {
                    cells.iter_mut().zip(items.iter()).for_each(|(c, v)| *c = v.clone());
                }
                v => cells.fill(v),
            }
            self.effects.cells.push((owner, i));
        }
        Ok(())
    }

    /// Frees a place; one that is free stays so.
    pub(super) fn retire(&mut self, id: PopulationId, element: u32) -> R<()> {
        let p = self.population(id)?;
        if self.there(p, element)? {
            if let Some(home) = self.behavior.vars.get(p.present.index()) {
                self.slots.store(home, element, 0.0);
            }
            self.effects.places.push((id, element, false));
        }
        Ok(())
    }
}

impl Scheduler<'_> {
    /// Whether an instance is there.
    pub(super) fn here(&self, world: &mut dyn World, owner: OwnerId, i: u32) -> Run<bool> {
        match self.index.presence.get(owner as usize).copied().flatten() {
            Some((present, per)) => Ok(self.read(world, present.index(), i / per)? != 0.0),
            None => Ok(true),
        }
    }

    /// Whether what code runs for is there.
    pub(super) fn here_for(&self, world: &mut dyn World, purpose: u32, i: u32) -> Run<bool> {
        match streams::owner(self.b, purpose) {
            Some(owner) => self.here(world, owner, i),
            None => Ok(true),
        }
    }

    /// Keeps what the places of populations begin with.
    pub(super) fn keep_anew(&mut self, world: &mut dyn World) -> Run<()> {
        let b = self.b;
        let mut all = Vec::with_capacity(b.populations.len());
        for p in &b.populations {
            let mut families = Vec::with_capacity(p.anew.len());
            for (var, _) in &p.anew {
                let len = b.vars.get(var.index()).map_or(0, |h| h.len);
                families.push((0..len).map(|e| self.read(world, var.index(), e)).collect::<Run<Vec<f64>>>()?);
            }
            all.push(families);
        }
        self.store.anew = all;
        Ok(())
    }

    /// Whether an instance came in this very step: what it is at its start never rises.
    pub(super) fn newborn(&self, owner: OwnerId, i: u32) -> bool {
        self.births.iter().any(|(p, element)| {
            let list = &self.b.populations[*p as usize].owners;
            list.iter().any(|(o, per)| *o == owner && i / (*per).max(1) == *element)
        })
    }

    /// A place was taken or freed: whoever was in it is gone, with all that waits.
    pub(super) fn place(&mut self, population: PopulationId, element: u32, taken: bool) {
        let b = self.b;
        let Some(p) = b.populations.get(population as usize) else { return };
        self.births.retain(|x| *x != (population, element));
        for (owner, per) in &p.owners {
            for i in element * per..(element + 1) * per {
                let life = self.store.lives.entry((*owner, i)).or_default();
                *life = life.wrapping_add(1);
                for slot in 0..self.slots.len() {
                    let mine = self.slots[slot].waiting.as_ref().is_some_and(|w| {
                        w.thread.instance == i && streams::owner(b, w.thread.purpose) == Some(*owner)
                    });
                    if mine && let Some(w) = self.slots[slot].waiting.take() {
                        self.release(slot, w.bytes);
                    }
                }
                let gone = |h: u32, at: u32| at == i && streams::owner(b, h) == Some(*owner);
                let calls = self.queues.iter().filter(|((h, at), _)| gone(*h, *at)).flat_map(|(_, q)| q);
                let bytes = calls.map(|(args, _)| bytes_of(args)).sum();
                self.store.give(bytes);
                self.queues.retain(|(h, at), _| !gone(*h, *at));
                // Patterns remember nothing of who was there before.
                self.patterns.retain(|(h, at), _| !gone(*h, *at));
                for m in self.index.machines[*owner as usize].clone() {
                    let n = b.machines[m as usize].states.len();
                    for left in &mut self.generations[m as usize][i as usize * n..(i as usize + 1) * n] {
                        *left = left.wrapping_add(1);
                    }
                    self.held.remove(&(m, i));
                }
            }
        }
        if taken {
            self.births.push((population, element));
        }
    }

    /// Machines and `on start` of the twins that came in the last step.
    pub(super) fn begin_lives(&mut self, world: &mut dyn World, out: &mut Vec<Activation>) -> Run<()> {
        let b = self.b;
        for (population, element) in std::mem::take(&mut self.births) {
            for (owner, per) in &b.populations[population as usize].owners {
                for i in element * per..(element + 1) * per {
                    for m in self.index.machines[*owner as usize].clone() {
                        let machine = &b.machines[m as usize];
                        let leaf = super::index::leaf(machine, machine.initial);
                        self.write(world, machine.var.index(), i, f64::from(leaf))?;
                        self.enter(world, m, i, None, machine.initial)?;
                    }
                    for (k, h) in (0u32..).zip(&b.handlers) {
                        if h.owner != *owner || h.scope.is_some() {
                            continue;
                        }
                        match h.trigger {
                            Trigger::Start => out.push(self.plain(k, i, Args::new())),
                            Trigger::Pattern(Pattern::Absence(..)) => self.listen(world, k, i)?,
                            _ => {}
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
