//! Sines beside cosines: where a kernel takes the cosine of a value, its sine goes the cosine's way
//! ([`MathFn::SinBeside`]), so that the two share nearly all operations once equal ones are found.
//!
//! A sine by either way is good to the same error, so this is a choice of code that changes bits; it is made by
//! [`mod@super::contract`], once, the same at every level of optimisation and for every back end.

use super::dead::{Traps, live};
use crate::ids::Value;
use crate::ir::{BinOp, Kernel, MathFn, Op};
use rustc_hash::{FxHashMap, FxHashSet};

/// The kernel with its sines where they belong; `None` where nothing changes. `keep` are values used from outside.
pub(super) fn beside(kernel: &Kernel, keep: &[Value]) -> Option<Kernel> {
    let has = |f| kernel.values.iter().any(|d| matches!(d.op, Op::Math(g, _) if g == f));
    if !has(MathFn::Sin) || !has(MathFn::Cos) {
        return None;
    }
    let live = live(kernel, keep, &Traps::default());
    let same = numbers(kernel);
    let argument = |k: usize, wanted: MathFn| match &kernel.values[k].op {
        Op::Math(f, args) if *f == wanted && live[k] => args.first().map(|a| same[a.index()]),
        _ => None,
    };
    let all = 0..kernel.values.len();
    let cosines: FxHashSet<Value> = all.clone().filter_map(|k| argument(k, MathFn::Cos)).collect();
    let mut changed = None;
    for k in all.filter(|&k| argument(k, MathFn::Sin).is_some_and(|a| cosines.contains(&a))) {
        let new = changed.get_or_insert_with(|| kernel.clone());
        if let Op::Math(f, _) = &mut new.values[k].op {
            *f = MathFn::SinBeside;
        }
    }
    changed
}

/// For each value the first one that is the same operation on the same values. Loads of one slot count as the same,
/// whatever is written between: a sine that shares nothing is as good.
fn numbers(kernel: &Kernel) -> Vec<Value> {
    let mut known: FxHashMap<Op, Value> = FxHashMap::default();
    let mut same: Vec<Value> = Vec::with_capacity(kernel.values.len());
    for (k, data) in kernel.values.iter().enumerate() {
        let v = Value::new(k);
        let mut op = data.op.clone();
        op.map_operands(|a| same.get(a.index()).copied().unwrap_or(a));
        if let Op::Bin(BinOp::Add | BinOp::Mul, a, b) = &mut op
            && *a > *b
        {
            std::mem::swap(a, b);
        }
        same.push(match op {
            Op::Carry | Op::Result => v,
            op => *known.entry(op).or_insert(v),
        });
    }
    same
}
