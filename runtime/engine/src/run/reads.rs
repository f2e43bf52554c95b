//! Which slots kernels read: what nothing reads changes nothing.

use twinml_model::ids::Index;
use twinml_model::ir::{Kernel, Op, Place, Region, Space, Stmt};

use super::instant::Journal;

/// Which slots of a space something reads.
#[derive(Debug)]
pub(super) struct Reads(Vec<bool>);

impl Reads {
    /// Slots of `space` that kernels read.
    pub(super) fn of<'k>(kernels: impl Iterator<Item = &'k Kernel>, space: Space, slots: usize) -> Reads {
        let mut reads = Reads(vec![false; slots]);
        for kernel in kernels {
            reads.region(kernel, &kernel.body, &mut Vec::new(), space);
        }
        reads
    }

    fn region(&mut self, kernel: &Kernel, region: &Region, nest: &mut Vec<(Index, i64, i64)>, space: Space) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => match &kernel.values[v.index()].op {
                    Op::Load(place) if place.space == space => self.mark(place, nest),
                    Op::LoadAt { place, len, stride, .. } if place.space == space => {
                        for k in 0..i64::from(*len) {
                            let mut place = place.clone();
                            place.at.base += k * stride;
                            self.mark(&place, nest);
                        }
                    }
                    _ => {}
                },
                Stmt::For(l) => {
                    nest.push((l.index, l.lo, l.hi));
                    self.region(kernel, &l.body, nest, space);
                    nest.pop();
                }
                Stmt::If(i) => {
                    self.region(kernel, &i.then, nest, space);
                    self.region(kernel, &i.otherwise, nest, space);
                }
                Stmt::Store { .. } | Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
            }
        }
    }

    /// Marks what an address within these loops reaches; where it depends on several loops, all between its ends.
    fn mark(&mut self, place: &Place, nest: &[(Index, i64, i64)]) {
        let bounds = |index: Index| nest.iter().find(|n| n.0 == index).map(|n| (n.1, n.2));
        let (mut least, mut most, mut step) = (place.at.base, place.at.base, 1);
        for &(index, stride) in &place.at.terms {
            let Some((lo, hi)) = bounds(index) else { return self.0.fill(true) };
            if hi <= lo {
                return;
            }
            least += (stride * lo).min(stride * (hi - 1));
            most += (stride * lo).max(stride * (hi - 1));
            step = if place.at.terms.len() == 1 { stride.abs().max(1) } else { 1 };
        }
        let mut slot = least;
        while slot <= most {
            if let Some(read) = usize::try_from(slot).ok().and_then(|s| self.0.get_mut(s)) {
                *read = true;
            }
            slot += step;
        }
    }

    pub(super) fn any(&self, journal: &Journal) -> bool {
        journal.changes.iter().any(|(slot, _)| self.0[*slot])
    }

    pub(super) fn has(&self, slot: usize) -> bool {
        self.0.get(slot).copied().unwrap_or(true)
    }
}
