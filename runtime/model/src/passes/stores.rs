//! Removal of stores that nothing reads, for kernels whose only outcome is known.
//!
//! A Jacobian or directional derivative copies the stores of the right-hand side to `Var` and `Der`, so that
//! later loads find them; after value numbering few loads are left.

use super::derive::overlap::{Bounds, Nest, Writer};
use crate::ir::{Kernel, Op, Place, Region, Space, Stmt};
use std::collections::BTreeSet;

/// The kernel without stores to `scratch` spaces that no load of the kernel may read. Kernels that solve
/// blocks are left alone: the host reads those spaces.
#[must_use]
pub fn remove_stores(kernel: &Kernel, scratch: &[Space]) -> Kernel {
    let mut seen = Seen { single: BTreeSet::new(), spread: Vec::new(), solves: false };
    seen.region(kernel, &kernel.body, &mut Nest::new(), scratch);
    if seen.solves {
        return kernel.clone();
    }
    let mut out = kernel.clone();
    seen.sweep(&mut out.body, &mut Nest::new(), scratch);
    out
}

struct Seen {
    /// Slots read outside loops.
    single: BTreeSet<(Space, i64)>,
    /// Other addresses read, and dynamic ones by their ends.
    spread: Vec<(Space, Writer)>,
    solves: bool,
}

fn full(nest: &Nest) -> Bounds {
    nest.iter().map(|n| (n.1, n.2)).collect()
}

impl Seen {
    fn region(&mut self, kernel: &Kernel, region: &Region, nest: &mut Nest, scratch: &[Space]) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => match &kernel.values[v.index()].op {
                    Op::Load(p) if scratch.contains(&p.space) => self.read(p, nest),
                    Op::LoadAt { place, len, stride, .. } if scratch.contains(&place.space) => {
                        for k in 0..i64::from(*len) {
                            let mut p = place.clone();
                            p.at.base += k * stride;
                            self.read(&p, nest);
                        }
                    }
                    _ => {}
                },
                Stmt::For(l) => {
                    nest.push((l.index, l.lo, l.hi));
                    self.region(kernel, &l.body, nest, scratch);
                    nest.pop();
                }
                Stmt::If(i) => {
                    self.region(kernel, &i.then, nest, scratch);
                    self.region(kernel, &i.otherwise, nest, scratch);
                }
                Stmt::Solve(_) | Stmt::SolveTangent(_) => self.solves = true,
                Stmt::Store { .. } => {}
            }
        }
    }

    fn read(&mut self, p: &Place, nest: &Nest) {
        if p.at.terms.is_empty() {
            self.single.insert((p.space, p.at.base));
        } else {
            let w = Writer { space: p.space, at: p.at.clone(), nest: nest.clone() };
            self.spread.push((p.space, w));
        }
    }

    fn is_read(&self, p: &Place, nest: &Nest) -> bool {
        let bounds = full(nest);
        let writer = Writer { space: p.space, at: p.at.clone(), nest: nest.clone() };
        let Some((least, most)) = writer.extent() else { return true };
        self.single.range((p.space, least)..=(p.space, most)).next().is_some()
            || self.spread.iter().any(|(s, r)| *s == p.space && r.may_meet(&p.at, nest, &bounds))
    }

    fn sweep(&self, region: &mut Region, nest: &mut Nest, scratch: &[Space]) {
        region.retain_mut(|stmt| match stmt {
            Stmt::Store { place, .. } => !scratch.contains(&place.space) || self.is_read(place, nest),
            Stmt::For(l) => {
                nest.push((l.index, l.lo, l.hi));
                self.sweep(&mut l.body, nest, scratch);
                nest.pop();
                true
            }
            Stmt::If(i) => {
                self.sweep(&mut i.then, nest, scratch);
                self.sweep(&mut i.otherwise, nest, scratch);
                true
            }
            _ => true,
        });
    }
}
