//! Requirements while a run goes on: their signals are followed over every accepted step, and judged at the end.

use twinml_model::host::KernelId;
use twinml_model::ir::Space;
use twinml_model::program::{Experiment, Program};
use twinml_model::requirement::{Atom, AtomKind, Judged};

use super::{Run, Stop};
use crate::monitor::signal::Signal;
use crate::monitor::trace::Trace;
use crate::monitor::{Judgement, TOUCH, judge, worst};

/// What requirements look at.
pub(super) struct Observer {
    /// Slots of all atoms, one atom after the other.
    slots: Vec<usize>,
    /// By requirement, where it is judged at all.
    judged: Vec<Option<(Judged, usize)>>,
    trace: Trace,
    rtol: f64,
}

impl Observer {
    /// None where nothing can be judged.
    pub(super) fn new(program: &Program, experiment: &Experiment, rtol: f64) -> Option<Observer> {
        let base = program.sizes.offset(Space::Var);
        let (mut slots, mut judged) = (Vec::new(), Vec::new());
        for r in &experiment.requirements {
            judged.push(r.judged.as_ref().map(|j| {
                let first = slots.len();
                for a in &j.atoms {
                    slots.extend((a.slot..a.slot + a.len).map(|s| base + s as usize));
                }
                (j.clone(), first)
            }));
        }
        let trace = Trace::new(slots.len());
        judged.iter().any(Option::is_some).then_some(Observer { slots, judged, trace, rtol })
    }

    /// Forgets what is later than `t`.
    pub(super) fn cut(&mut self, t: f64) {
        self.trace.cut(t);
    }

    /// By requirement.
    pub(super) fn verdicts(&self, complete: bool) -> Vec<Option<Judgement>> {
        let one = |(j, first): &(Judged, usize)| {
            let all = (0..j.elements).map(|k| judge(&j.formula, &self.signals(j, *first, k), complete));
            let found = worst(all)?;
            Some(Judgement { robustness: found.robustness / j.unit.1, ..found })
        };
        self.judged.iter().map(|j| j.as_ref().and_then(one)).collect()
    }

    fn signals(&self, j: &Judged, first: usize, element: u32) -> Vec<Signal> {
        let mut at = first;
        let one = |a: &Atom| {
            let own = u64::from(element) * u64::from(a.len) / u64::from(j.elements.max(1));
            let column = at + own as usize;
            at += a.len as usize;
            match a.kind {
                AtomKind::Truth => self
                    .trace
                    .signal(column, true, |v| if v != 0.0 { f64::INFINITY } else { f64::NEG_INFINITY }),
                AtomKind::Margin { strict } => self.trace.signal(column, false, |v| match v / a.scale {
                    0.0 if strict => -TOUCH,
                    0.0 => TOUCH,
                    v => v,
                }),
            }
        };
        j.atoms.iter().map(one).collect()
    }
}

impl Run<'_> {
    /// Looks at memory as it stands, in which `Var` is up to date.
    pub(super) fn observe_now(&mut self, t: f64) {
        let Some(observer) = &mut self.observer else { return };
        let data = self.system.memory.data();
        let row: Vec<f64> = observer.slots.iter().map(|s| data[*s]).collect();
        observer.trace.push(t, &row);
    }

    /// Follows the last step up to `to`.
    pub(super) fn follow(&mut self, to: f64) -> Result<(), Stop> {
        let Some(mut observer) = self.observer.take() else { return Ok(()) };
        let Observer { slots, trace, rtol, .. } = &mut observer;
        let outcome = trace.follow(to, *rtol, &mut |t, row: &mut Vec<f64>| {
            self.point(t);
            self.kernel(KernelId::Outputs, false)?;
            let data = self.system.memory.data();
            row.extend(slots.iter().map(|s| data[*s]));
            Ok(())
        });
        self.observer = Some(observer);
        outcome
    }
}
