//! The part of a kernel that some slots of `Var` depend on, where no algebraic block is among it: what is looked at many
//! times in a step need not solve blocks that it does not read.

use super::dead::{Traps, remove_dead};
use super::derive::overlap::{Nest, Writer};
use crate::ir::{Kernel, Op, Place, Region, Space, Stmt};
use crate::program::{Block, Program};
use std::collections::BTreeSet;

/// Rounds of following what is read back to what writes it.
const ROUNDS: usize = 64;
/// Slots that an address may spread over.
const SPREAD: i64 = 1 << 16;

/// What `program.outputs` does for these slots of `Var`, without its algebraic blocks. `None`: it solves none, or the slots
/// need one, or what they need is not seen at once.
#[must_use]
pub fn without_blocks(program: &Program, wanted: &[u32]) -> Option<Kernel> {
    let kernel = &program.outputs;
    if !solves(&kernel.body) {
        return None;
    }
    let traps = Traps::of(program);
    let mut solved = BTreeSet::new();
    for b in &program.blocks {
        written(b, &mut solved)?;
    }
    let mut needed: BTreeSet<i64> = wanted.iter().map(|s| i64::from(*s)).collect();
    for _ in 0..ROUNDS {
        if needed.intersection(&solved).next().is_some() {
            return None;
        }
        let mut kept = kernel.clone();
        sweep(&mut kept.body, &mut Nest::new(), &needed);
        let (kept, _) = remove_dead(&kept, &[], &traps);
        let before = needed.len();
        reads(&kept, &kept.body, &mut Nest::new(), &mut needed)?;
        if needed.len() == before {
            return Some(kept);
        }
    }
    None
}

fn solves(region: &Region) -> bool {
    region.iter().any(|s| match s {
        Stmt::Solve(_) | Stmt::SolveTangent(_) => true,
        Stmt::For(l) => solves(&l.body),
        Stmt::If(i) => solves(&i.then) || solves(&i.otherwise),
        Stmt::Eval(_) | Stmt::Store { .. } => false,
    })
}

/// The slots of `Var` that a block's solution stands in.
fn written(b: &Block, out: &mut BTreeSet<i64>) -> Option<()> {
    for run in b.unknowns.iter().filter(|r| r.space == Space::Var) {
        out.extend((run.base..run.base + run.len).map(i64::from));
    }
    stores(&b.residual.body, &mut Nest::new(), out)
}

fn stores(region: &Region, nest: &mut Nest, out: &mut BTreeSet<i64>) -> Option<()> {
    for stmt in region {
        match stmt {
            Stmt::Store { place, .. } => slots(place, nest, out)?,
            Stmt::For(l) => {
                nest.push((l.index, l.lo, l.hi));
                stores(&l.body, nest, out)?;
                nest.pop();
            }
            Stmt::If(i) => {
                stores(&i.then, nest, out)?;
                stores(&i.otherwise, nest, out)?;
            }
            Stmt::Eval(_) | Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
        }
    }
    Some(())
}

/// All slots of `Var` that an address may name.
fn slots(p: &Place, nest: &Nest, out: &mut BTreeSet<i64>) -> Option<()> {
    if p.space == Space::Var {
        let (least, most) = extent(p, nest)?;
        if most - least > SPREAD {
            return None;
        }
        out.extend(least..=most);
    }
    Some(())
}

fn extent(p: &Place, nest: &Nest) -> Option<(i64, i64)> {
    if p.at.terms.is_empty() {
        return Some((p.at.base, p.at.base));
    }
    Writer { space: p.space, at: p.at.clone(), nest: nest.clone() }.extent()
}

/// Takes away what writes nothing of what is needed, and all blocks.
fn sweep(region: &mut Region, nest: &mut Nest, needed: &BTreeSet<i64>) {
    region.retain_mut(|stmt| match stmt {
        Stmt::Store { place, .. } if place.space == Space::Var => {
            extent(place, nest).is_none_or(|(least, most)| needed.range(least..=most).next().is_some())
        }
        Stmt::For(l) => {
            nest.push((l.index, l.lo, l.hi));
            sweep(&mut l.body, nest, needed);
            nest.pop();
            true
        }
        Stmt::If(i) => {
            sweep(&mut i.then, nest, needed);
            sweep(&mut i.otherwise, nest, needed);
            true
        }
        Stmt::Solve(_) | Stmt::SolveTangent(_) => false,
        Stmt::Store { .. } | Stmt::Eval(_) => true,
    });
}

/// Adds the slots of `Var` that are read.
fn reads(kernel: &Kernel, region: &Region, nest: &mut Nest, needed: &mut BTreeSet<i64>) -> Option<()> {
    for stmt in region {
        match stmt {
            Stmt::Eval(v) => match &kernel.values[v.index()].op {
                Op::Load(p) => slots(p, nest, needed)?,
                Op::LoadAt { place, len, stride, .. } => {
                    for k in 0..i64::from(*len) {
                        let mut p = place.clone();
                        p.at.base += k * stride;
                        slots(&p, nest, needed)?;
                    }
                }
                _ => {}
            },
            Stmt::For(l) => {
                nest.push((l.index, l.lo, l.hi));
                reads(kernel, &l.body, nest, needed)?;
                nest.pop();
            }
            Stmt::If(i) => {
                reads(kernel, &i.then, nest, needed)?;
                reads(kernel, &i.otherwise, nest, needed)?;
            }
            Stmt::Store { .. } | Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
        }
    }
    Some(())
}
