//! Behaviour at an instant: handlers read and write the run's memory, which settles after each of their steps.

use super::instant::Journal;
use super::*;
use crate::behavior::{Carried, Changed, Fault, FaultKind, Mail, Scheduler, Slots, World};
use twinml_model::behavior::{EventId, Home, Which};
use twinml_model::host::Host;
use twinml_model::ids::{BlockId, TableId};

/// The run's memory as handlers see it.
struct At<'r, 'a> {
    run: &'r mut Run<'a>,
    t: f64,
    /// Something was written since all was settled.
    wrote: bool,
    /// What formulas compute is what memory says.
    outputs: bool,
    rates: bool,
    touched: Touched,
    scratch: Journal,
    stop: Option<Stop>,
    /// Work of kernels since it was last asked for.
    spent: u64,
}

/// What handlers wrote beside discrete values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Touched {
    /// States, or inputs that integration reads.
    pub(super) integrated: bool,
    /// Inputs that root functions read.
    pub(super) roots: bool,
}

impl Slots for At<'_, '_> {
    fn time(&self) -> f64 {
        self.t
    }

    fn load(&mut self, home: &Home, element: u32, which: Which) -> Result<f64, Trap> {
        let (space, slot) = match which {
            Which::Value => (home.space, home.base),
            Which::Der => (Space::Der, home.base),
            Which::Start => (Space::Param, home.start.unwrap_or(home.base)),
        };
        match space {
            Space::Var if !self.outputs => {
                self.run.system.host.new_point();
                self.run.system.run(KernelId::Outputs)?;
                self.outputs = true;
                self.spent += self.size();
            }
            Space::Der if !self.rates => {
                self.run.system.host.new_point();
                self.run.system.run(KernelId::Rhs)?;
                self.rates = true;
                self.spent += self.size();
            }
            _ => {}
        }
        let values = self.run.system.memory.space(space);
        Ok(values.get((slot + element) as usize).copied().unwrap_or(f64::NAN))
    }

    fn store(&mut self, home: &Home, element: u32, value: f64) {
        let slot = (home.base + element) as usize;
        let value = self.run.clamp_store(self.t, home.space, slot, value);
        let Some(place) = self.run.system.memory.space_mut(home.space).get_mut(slot) else { return };
        let before = std::mem::replace(place, value);
        if before.to_bits() == value.to_bits() {
            return;
        }
        let [discs, inputs, states] = &self.run.outputs_read;
        let shown = match home.space {
            Space::Disc => discs.has(slot),
            Space::Input => inputs.has(slot),
            Space::State => states.has(slot),
            _ => true,
        };
        let integrated = match home.space {
            Space::Disc => self.run.rhs_reads.has(slot),
            Space::Input => self.run.rhs_inputs.has(slot),
            _ => true,
        };
        self.wrote = true;
        self.outputs &= !shown;
        self.rates &= !integrated;
        match home.space {
            Space::Disc => self.run.journal.note(slot, before),
            Space::Input => {
                self.touched.integrated |= self.run.rhs_inputs.has(slot);
                self.touched.roots |= self.run.root_inputs.has(slot);
            }
            _ => self.touched.integrated = true,
        }
        if let Some(log) = &mut self.run.log {
            log.wrote(home.space, slot, before, value);
        }
    }

    fn table(&mut self, table: TableId, x: f64) -> Result<f64, Trap> {
        self.run.system.host.table(table, x, 0)
    }

    fn spent(&mut self) -> u64 {
        std::mem::take(&mut self.spent)
    }
}

impl At<'_, '_> {
    /// What evaluating the equations costs, in instructions of code, roughly.
    fn size(&self) -> u64 {
        let sizes = &self.run.system.program.sizes;
        let blocks = 10 * self.run.system.program.blocks.len() as u64;
        u64::from(sizes.var) + u64::from(sizes.state) + blocks
    }
}

impl World for At<'_, '_> {
    fn acts(&mut self, handler: Option<u32>, code: Option<u32>, instance: u32) {
        if let Some(log) = &mut self.run.log {
            log.acts(handler, code, instance);
        }
    }

    fn emitted(&mut self, event: EventId, instance: u32) {
        if let Some(log) = &mut self.run.log {
            log.emitted(event, instance);
        }
    }

    fn mail(&mut self, what: Mail, of: Carried) {
        if let Some(log) = &mut self.run.log {
            log.mail(what, of);
        }
    }

    fn settle(&mut self, changed: &mut Vec<Changed>) -> Result<(), Trap> {
        if !std::mem::take(&mut self.wrote) {
            return Ok(());
        }
        let outer = std::mem::replace(&mut self.run.journal, std::mem::take(&mut self.scratch));
        // Relations that what was written has put on their edge take the side that the state is heading to: a ball that
        // a handler sets back on its floor rises from it.
        let run = &mut *self.run;
        run.x.copy_from_slice(run.system.memory.space(Space::State));
        let settled = run.settle(self.t).and_then(|_| run.settle_ahead(self.t));
        self.scratch = std::mem::replace(&mut self.run.journal, outer);
        if let Err(stop) = settled {
            self.stop = Some(stop);
            return Err(Trap::Block(BlockId(0)));
        }
        let disc = self.run.system.memory.space(Space::Disc);
        for &(slot, old) in &self.scratch.changes {
            self.run.journal.note(slot, old);
            let new = disc[slot];
            if old != new {
                changed.push(Changed { slot: slot as u32, old, new });
                (self.outputs, self.rates) = (false, false);
            }
        }
        self.scratch.clear();
        Ok(())
    }
}

/// The nanosecond of an instant: that of its timer or action, or the next one after a crossing.
fn nanosecond(t: f64) -> i128 {
    let near = (t * 1e9).round() as i128;
    if plan::seconds(near) >= t { near } else { near + 1 }
}

impl<'a> Run<'a> {
    /// Whether a timer is due at `t`.
    pub(super) fn timer_due(&self, t: f64) -> bool {
        self.next_timer().is_some_and(|due| due <= t)
    }

    /// The next timer's instant in seconds.
    pub(super) fn next_timer(&self) -> Option<f64> {
        self.behavior.as_ref().and_then(|s| s.next()).map(plan::seconds)
    }

    /// `on start` and what is due at time 0.
    pub(super) fn begin_behavior(&mut self) -> Result<(), Stop> {
        self.journal.clear();
        self.with_behavior(0.0, |s, at| s.start(at).map(|v| v.stop))?;
        if let Some(log) = self.log.as_mut().filter(|_| self.behavior.is_some()) {
            log.behaved(0.0, 0, &self.journal.changes, self.system.memory.space(Space::Disc))?;
        }
        Ok(())
    }

    /// `on stop`.
    pub(super) fn end_behavior(&mut self) -> Result<(), Stop> {
        let t = self.time;
        self.journal.clear();
        // Where no instant was due at the end, memory is still that of a stage within the last step.
        self.system.set(t, &self.x);
        self.with_behavior(t, |s, at| s.finish(at).map(|()| None))?;
        let step = self.step_now();
        if let Some(log) = self.log.as_mut().filter(|_| self.behavior.is_some()) {
            log.behaved(t, step, &self.journal.changes, self.system.memory.space(Space::Disc))?;
        }
        Ok(())
    }

    /// Handlers that what the instant changed, or its timers, set off; what they wrote beside discrete values.
    pub(super) fn behave(&mut self, t: f64) -> Result<Touched, Stop> {
        if self.behavior.is_none() {
            return Ok(Touched::default());
        }
        let disc = self.system.memory.space(Space::Disc);
        let changes = self.journal.changes.iter();
        let mut changed = std::mem::take(&mut self.changed);
        changed.clear();
        changed.extend(
            changes
                .map(|&(slot, old)| Changed { slot: slot as u32, old, new: disc[slot] })
                .filter(|c| c.old != c.new),
        );
        let touched = self.with_behavior(t, |s, at| s.instant(at, nanosecond(t), &changed).map(|v| v.stop));
        self.changed = changed;
        touched
    }

    fn with_behavior(
        &mut self,
        t: f64,
        go: impl FnOnce(&mut Scheduler<'a>, &mut dyn World) -> Result<Option<Option<String>>, Box<Fault>>,
    ) -> Result<Touched, Stop> {
        let Some(mut scheduler) = self.behavior.take() else { return Ok(Touched::default()) };
        let scratch = std::mem::take(&mut self.scratch_journal);
        let mut at = At {
            run: self,
            t,
            wrote: false,
            outputs: false,
            rates: false,
            touched: Touched::default(),
            scratch,
            stop: None,
            spent: 0,
        };
        let outcome = go(&mut scheduler, &mut at);
        let (touched, stop) = (at.touched, at.stop.take());
        self.scratch_journal = at.scratch;
        self.behavior = Some(scheduler);
        if let Some(stop) = stop {
            return Err(stop);
        }
        match outcome {
            Ok(ended) => {
                if ended.is_some() {
                    self.halted = ended;
                }
                self.x.copy_from_slice(self.system.memory.space(Space::State));
                Ok(touched)
            }
            Err(fault) => {
                if let FaultKind::Trap(trap) = fault.kind {
                    let mut stop = self.trapped(t, trap, false);
                    if let (Stop::Failed(f), Some(handler)) = (&mut stop, fault.origin)
                        && let FailureKind::Table { table, .. } = f.kind
                    {
                        // The handler itself looks it up, or reads what an equation finds there.
                        let codes = &self.system.program.behavior.codes;
                        if lookup::in_code(codes, handler, table) {
                            f.origins.clear();
                        }
                        f.origins.push(handler);
                    }
                    return Err(stop);
                }
                let origins = fault.origin.into_iter().chain(fault.others.iter().copied()).collect();
                Err(self.failure(t, FailureKind::Behavior(fault), origins))
            }
        }
    }
}
