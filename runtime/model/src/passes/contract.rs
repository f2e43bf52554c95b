//! The one pass that decides roundings: constant powers, sines beside cosines and fused multiply-adds. It runs on
//! every program, at every optimisation level, before anything else looks at the code; afterwards nothing
//! contracts, splits or reassociates.
//!
//! 1. `pow(x, n)` with a constant exponent becomes what [`mod@crate::math::power`] says of it: products, or a
//!    square root.
//! 2. The sine of a value whose cosine is taken too goes the cosine's way (`passes/beside`).
//! 3. A product used once, by a sum, is fused with it: `a·b + c`, `c + a·b`, `a·b − c`, `c − a·b`. Of a sum of
//!    two products the left one is fused; a difference of two products is left alone, so that equal
//!    products still cancel exactly.

use super::beside::beside;
use super::dead::{Traps, effects, live, remove_dead};
use super::emit::Emit;
use super::walk::Copier;
use crate::ids::Value;
use crate::ir::{BinOp, Function, Kernel, MathFn, Op, Region, Stmt, UnOp};
use crate::math::power::{self as powers, Power};
use crate::program::Program;

/// Contracts every kernel and function of a program. Running it again changes nothing.
pub fn contract(program: &mut Program) {
    super::each_kernel(program, &mut |k| *k = contract_kernel(k));
    for f in &mut program.functions {
        contract_function(f);
    }
}

/// Contracts what [`super::derive::complete`] added to a contracted program: derivative kernels, and the
/// functions from number `first` on.
pub fn contract_derived(program: &mut Program, first: usize) {
    super::derived_kernels(program, &mut |k| *k = contract_kernel(k));
    for f in program.functions.iter_mut().skip(first) {
        contract_function(f);
    }
}

pub(super) fn contract_function(f: &mut Function) {
    let (code, map) = contract_with_map(&f.code, &[f.result]);
    f.result = map[f.result.index()].unwrap_or(f.result);
    f.code = code;
}

/// Contracts one kernel.
#[must_use]
pub fn contract_kernel(kernel: &Kernel) -> Kernel {
    contract_with_map(kernel, &[]).0
}

fn contract_with_map(kernel: &Kernel, keep: &[Value]) -> (Kernel, Vec<Option<Value>>) {
    let is_power = |d: &crate::ir::ValueData| matches!(d.op, Op::Math(MathFn::Pow, _));
    if !kernel.values.iter().any(is_power) {
        return fused(kernel, keep);
    }
    let (powers, first) = rewrite(kernel, &[], &mut power);
    let keep: Vec<Value> = keep.iter().filter_map(|v| first[v.index()]).collect();
    let (fused, second) = fused(&powers, &keep);
    (fused, compose(&first, &second))
}

/// The second and third part: sines beside cosines, products fused with sums.
fn fused(kernel: &Kernel, keep: &[Value]) -> (Kernel, Vec<Option<Value>>) {
    let beside = beside(kernel, keep);
    let kernel = beside.as_ref().unwrap_or(kernel);
    // What nothing needs is no use of a product.
    let uses = uses(kernel, &live(kernel, keep, &Traps::default()));
    let (fused, first) = rewrite(kernel, &uses, &mut fuse);
    let keep: Vec<Value> = keep.iter().filter_map(|v| first[v.index()]).collect();
    let (live, second) = remove_dead(&fused, &keep, &Traps::default());
    (live, compose(&first, &second))
}

/// Where values go by two steps.
fn compose(first: &[Option<Value>], second: &[Option<Value>]) -> Vec<Option<Value>> {
    first.iter().map(|v| v.and_then(|v| second[v.index()])).collect()
}

/// Rewrites one operation: gets the writer, the old kernel, the old value, the map so far, use counts; gives
/// the new value or `None` to copy.
type Rule = dyn FnMut(&mut Emit, &Kernel, Value, &[Option<Value>], &[u32]) -> Option<Value>;

fn rewrite(kernel: &Kernel, uses: &[u32], rule: &mut Rule) -> (Kernel, Vec<Option<Value>>) {
    let mut rule = |e: &mut Emit, k: &Kernel, v: Value, map: &[Option<Value>]| rule(e, k, v, map, uses);
    let mut copier = Copier::new(kernel, &mut rule);
    copier.run();
    copier.finish()
}

/// How often each value is used by what is live (as [`remove_dead`] leaves it).
fn uses(kernel: &Kernel, live: &[bool]) -> Vec<u32> {
    fn region(k: &Kernel, live: &[bool], r: &Region, n: &mut [u32]) {
        let matters = |r: &Region| effects(k, r, &Traps::default());
        for s in r {
            match s {
                Stmt::Eval(v) if live[v.index()] => {
                    for o in k.values[v.index()].op.operands() {
                        n[o.index()] += 1;
                    }
                }
                Stmt::Store { value, .. } => n[value.index()] += 1,
                Stmt::For(l) => {
                    let mut stays = false;
                    for c in l.carries.iter().filter(|c| live[c.var.index()] || live[c.result.index()]) {
                        n[c.init.index()] += 1;
                        n[c.next.index()] += 1;
                        stays = true;
                    }
                    if stays || matters(&l.body) {
                        region(k, live, &l.body, n);
                    }
                }
                Stmt::If(i) => {
                    let mut stays = false;
                    for (_, a, b) in i.results.iter().filter(|r| live[r.0.index()]) {
                        n[a.index()] += 1;
                        n[b.index()] += 1;
                        stays = true;
                    }
                    if stays || matters(&i.then) || matters(&i.otherwise) {
                        n[i.cond.index()] += 1;
                        region(k, live, &i.then, n);
                        region(k, live, &i.otherwise, n);
                    }
                }
                Stmt::Eval(_) | Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
            }
        }
    }
    let mut n = vec![0; kernel.values.len()];
    region(kernel, live, &kernel.body, &mut n);
    n
}

fn power(e: &mut Emit, k: &Kernel, v: Value, map: &[Option<Value>], _: &[u32]) -> Option<Value> {
    let Op::Math(MathFn::Pow, args) = &k.values[v.index()].op else { return None };
    let Op::ConstF(bits) = k.values[args[1].index()].op else { return None };
    let x = map[args[0].index()]?;
    Some(match powers::power(f64::from_bits(bits)) {
        Power::Whole(n) => products(e, n, x),
        Power::Inverse(n) => {
            let (one, r) = (e.constant(1.0), products(e, n, x));
            e.bin(BinOp::Div, one, r)
        }
        Power::Root => e.un(UnOp::Sqrt, x),
        Power::Function => return None,
    })
}

fn products(e: &mut Emit, n: u32, x: Value) -> Value {
    powers::by_squaring(n, x, |a, b| e.bin(BinOp::Mul, a, b)).unwrap_or_else(|| e.constant(1.0))
}

fn fuse(e: &mut Emit, k: &Kernel, v: Value, map: &[Option<Value>], uses: &[u32]) -> Option<Value> {
    let Op::Bin(op @ (BinOp::Add | BinOp::Sub), a, b) = k.values[v.index()].op else { return None };
    let product = |v: Value| match k.values[v.index()].op {
        Op::Bin(BinOp::Mul, x, y) if uses[v.index()] == 1 => Some((map[x.index()]?, map[y.index()]?)),
        _ => None,
    };
    // both factors of a square used twice by their product count as any other product
    let (p, q) = (product(a), product(b));
    let (na, nb) = (map[a.index()]?, map[b.index()]?);
    match (op, p, q) {
        (BinOp::Add, Some((x, y)), _) => Some(e.f(Op::Fma(x, y, nb))),
        (BinOp::Add, None, Some((x, y))) => Some(e.f(Op::Fma(x, y, na))),
        (BinOp::Sub, Some((x, y)), None) => {
            let n = e.un(UnOp::Neg, nb);
            Some(e.f(Op::Fma(x, y, n)))
        }
        (BinOp::Sub, None, Some((x, y))) => {
            let n = e.un(UnOp::Neg, x);
            Some(e.f(Op::Fma(n, y, na)))
        }
        _ => None,
    }
}
