//! Requirements over recorded columns: a program whose inputs are the columns gives the atoms at each instant.

use super::follow::{Follower, Item, inner};
use super::signal::Signal;
use super::trace::Trace;
use super::{Judgement, judge, sampled, worst};
use crate::run::MachineKind;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::ir::{Space, Trap};
use twinml_model::program::Program;
use twinml_model::requirement::{AtomKind, Judged};

/// What lies between two samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Between {
    /// Nothing that is judged.
    Nothing,
    /// Straight lines; truth values and whole numbers hold up to the next sample.
    Lines,
}

/// A recorded column.
#[derive(Clone, Debug)]
pub struct Column {
    /// The slot of `Input` that it goes to.
    pub slot: u32,
    /// In SI, by sample.
    pub values: Vec<f64>,
    /// Whether each value holds up to the next sample.
    pub steps: bool,
}

/// Judges a requirement over samples at `times` (seconds, never decreasing), from the first to the last.
///
/// # Errors
///
/// What a formula meets that looks something up outside of its range.
pub fn judge_recorded(
    program: &Program,
    judged: &Judged,
    times: &[f64],
    columns: &[Column],
    between: Between,
) -> Result<Judgement, Trap> {
    let machine = crate::run::machine(program, MachineKind::Jit(2));
    let mut memory = Memory::new(program);
    machine.run(KernelId::Params, &mut memory, &mut NoHost)?;
    let slots: Vec<usize> =
        judged.atoms.iter().flat_map(|a| a.slot..a.slot + a.len).map(|s| s as usize).collect();
    let mut trace = Trace::new(slots.len());
    let mut at = At { machine: &*machine, memory, slots: &slots, columns };
    let mut row = Vec::new();
    match between {
        Between::Nothing => {
            for (k, t) in times.iter().enumerate() {
                at.sample(*t, k, k, 0.0, &mut row)?;
                trace.push(*t, &row);
            }
        }
        Between::Lines => {
            let mut follower = Follower::new(slots.len(), 1e-9, Vec::new());
            for (k, t) in times.iter().enumerate() {
                if k > 0 && times[k - 1] < *t {
                    follower.follow(*t, &mut |s, row: &mut Vec<f64>| {
                        at.sample(s, k - 1, k, (s - times[k - 1]) / (t - times[k - 1]), row)
                    })?;
                }
                at.sample(*t, k, k, 0.0, &mut row)?;
                follower.row(*t, &row);
            }
            follower.give(f64::INFINITY, &mut |item| match item {
                Item::Row(t, row) => trace.push(t, row),
                Item::Piece(from, to, [a, m, b]) => {
                    let values: Vec<[f64; 3]> = (0..a.len()).map(|k| [a[k], m[k], b[k]]).collect();
                    inner(from, to, &values, &mut |t, row| trace.push(t, row));
                }
            });
        }
    }
    let one = |element: u32| {
        let mut first = 0;
        let signals: Vec<Signal> = judged
            .atoms
            .iter()
            .map(|a| {
                let column = first + a.element(element, judged.elements);
                first += a.len as usize;
                trace.signal(column, between == Between::Lines && a.kind == AtomKind::Truth, |v| {
                    super::level(a, v)
                })
            })
            .collect();
        match between {
            Between::Lines => judge(&judged.formula, &signals, true),
            Between::Nothing => {
                let times: Vec<f64> = trace.times().to_vec();
                let values: Vec<Vec<f64>> =
                    signals.iter().map(|s| s.0.iter().map(|p| p.1).collect()).collect();
                sampled::judge(&judged.formula, &times, &values)
            }
        }
    };
    // A formula without atoms says the same of every trace.
    let found = worst((0..judged.elements.max(1)).map(one));
    Ok(found.map_or_else(
        || judge(&judged.formula, &[], true),
        |found| Judgement { robustness: found.robustness / judged.unit.1, ..found },
    ))
}

/// The atoms at one instant.
struct At<'a> {
    machine: &'a dyn Machine,
    memory: Memory,
    slots: &'a [usize],
    columns: &'a [Column],
}

impl At<'_> {
    /// `part` of the way from sample `a` to sample `b`.
    fn sample(&mut self, t: f64, a: usize, b: usize, part: f64, row: &mut Vec<f64>) -> Result<(), Trap> {
        self.memory.set_time(t);
        let inputs = self.memory.space_mut(Space::Input);
        for c in self.columns {
            let (x, y) = (c.values[a], c.values[b]);
            let v = if part >= 1.0 || (c.steps && a == b) {
                y
            } else if c.steps || x == y {
                x
            } else {
                x + (y - x) * part
            };
            if let Some(slot) = inputs.get_mut(c.slot as usize) {
                *slot = v;
            }
        }
        self.machine.run(KernelId::Outputs, &mut self.memory, &mut NoHost)?;
        row.clear();
        let values = self.memory.space(Space::Var);
        row.extend(self.slots.iter().map(|s| values.get(*s).copied().unwrap_or(f64::NAN)));
        Ok(())
    }
}
