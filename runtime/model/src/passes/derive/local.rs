//! Partial derivatives of single operations.
//!
//! Conventions where a derivative does not exist: |x|, min, max and comparisons take one side's; steps
//! (`floor`, `sign`, …) have none; `sqrt`, `cbrt`, `hypot` and `pow` with an exponent below one have 0 at
//! zero instead of infinity, so that a Newton matrix stays finite there. A delayed value is a
//! constant.

use super::Functions;
use crate::ids::Value;
use crate::ir::{BinOp, CmpOp, Kernel, MathFn, Op, Ty, UnOp};
use crate::passes::emit::{Emit, Num};

/// How a result changes with its operands (values of the old kernel).
pub(super) enum Local {
    /// Σ partial·change.
    Linear(Vec<(Value, Num)>),
    /// The change of the first where the condition (a value of the new kernel) holds, else of the second.
    Choose(Value, Value, Value),
}

/// The partial derivatives of `op`, whose copy in the new kernel is `y`; only of operands that are `active`.
pub(super) fn local(
    e: &mut Emit,
    op: &Op,
    y: Value,
    map: &[Option<Value>],
    active: impl Fn(Value) -> bool,
    functions: &mut Functions<'_>,
) -> Local {
    // verified code: operands were copied before their use
    let new = |v: Value| map[v.index()].unwrap_or(y);
    let mut out = Vec::new();
    match op {
        Op::Un(u, a) if active(*a) => {
            let x = new(*a);
            let d = match u {
                UnOp::Neg => Num::Const(-1.0),
                UnOp::Abs => {
                    let zero = e.constant(0.0);
                    let c = e.push(Op::Cmp(CmpOp::Lt, x, zero), Ty::Bool);
                    e.select(c, Num::Const(-1.0), Num::ONE)
                }
                UnOp::Sqrt => {
                    let r = e.div(Num::Const(0.5), Num::Val(y));
                    unless_zero(e, y, r)
                }
                UnOp::Floor | UnOp::Ceil | UnOp::Trunc | UnOp::Rint | UnOp::Sign => Num::ZERO,
            };
            out.push((*a, d));
        }
        Op::Bin(b, p, q) if active(*p) || active(*q) => {
            let (x, z) = (new(*p), new(*q));
            match b {
                BinOp::Add => out.extend([(*p, Num::ONE), (*q, Num::ONE)]),
                BinOp::Sub => out.extend([(*p, Num::ONE), (*q, Num::Const(-1.0))]),
                BinOp::Mul => out.extend([(*p, Num::Val(z)), (*q, Num::Val(x))]),
                BinOp::Div => {
                    let inv = e.div(Num::ONE, Num::Val(z));
                    if active(*q) {
                        let t = e.mul(Num::Val(y), inv);
                        let t = e.neg(t);
                        out.push((*q, t));
                    }
                    out.push((*p, inv));
                }
                BinOp::Min => {
                    let c = e.push(Op::Cmp(CmpOp::Le, x, z), Ty::Bool);
                    return Local::Choose(c, *p, *q);
                }
                BinOp::Max => {
                    let c = e.push(Op::Cmp(CmpOp::Ge, x, z), Ty::Bool);
                    return Local::Choose(c, *p, *q);
                }
                BinOp::CopySign => {
                    let same = e.push(Op::Cmp(CmpOp::Eq, x, y), Ty::Bool);
                    let d = e.select(same, Num::ONE, Num::Const(-1.0));
                    out.push((*p, d));
                }
            }
        }
        Op::Fma(a, b, c) => {
            let (x, z) = (new(*a), new(*b));
            out.extend([(*a, Num::Val(z)), (*b, Num::Val(x)), (*c, Num::ONE)]);
        }
        Op::Select(c, a, b) => return Local::Choose(new(*c), *a, *b),
        Op::Math(f, args) if args.iter().any(|&a| active(a)) => {
            math(e, *f, args, y, &new, &active, &mut out);
        }
        Op::Call(f, args) => {
            for (k, &a) in args.iter().enumerate() {
                if active(a)
                    && let Some(partial) = functions.partial(*f, k)
                {
                    let given = args.iter().map(|&a| new(a)).collect();
                    out.push((a, Num::Val(e.f(Op::Call(partial, given)))));
                }
            }
        }
        Op::Table { table, x, order } if active(*x) && *order < 2 => {
            let d = e.f(Op::Table { table: *table, x: new(*x), order: order + 1 });
            out.push((*x, Num::Val(d)));
        }
        _ => {}
    }
    out.retain(|&(v, d)| !d.is_zero() && active(v));
    Local::Linear(out)
}

/// `d`, or 0 where `at` is zero.
fn unless_zero(e: &mut Emit, at: Value, d: Num) -> Num {
    let zero = e.constant(0.0);
    let c = e.push(Op::Cmp(CmpOp::Eq, at, zero), Ty::Bool);
    e.select(c, Num::ZERO, d)
}

fn math(
    e: &mut Emit,
    f: MathFn,
    args: &[Value],
    y: Value,
    new: &impl Fn(Value) -> Value,
    active: &impl Fn(Value) -> bool,
    out: &mut Vec<(Value, Num)>,
) {
    let a = args[0];
    let xv = new(a);
    let (x, yn) = (Num::Val(xv), Num::Val(y));
    let one = Num::ONE;
    let call = |e: &mut Emit, f: MathFn, x: Value| Num::Val(e.f(Op::Math(f, vec![x])));
    let d = match f {
        MathFn::Exp => yn,
        MathFn::Expm1 => e.add(yn, one),
        MathFn::Log => e.div(one, x),
        MathFn::Log1p => {
            let t = e.add(one, x);
            e.div(one, t)
        }
        MathFn::Log10 => e.div(Num::Const(std::f64::consts::LOG10_E), x),
        MathFn::Log2 => e.div(Num::Const(std::f64::consts::LOG2_E), x),
        MathFn::Sin | MathFn::SinBeside => call(e, MathFn::Cos, xv),
        MathFn::Cos => {
            let s = call(e, MathFn::Sin, xv);
            e.neg(s)
        }
        MathFn::Tan => {
            let t = e.mul(yn, yn);
            e.add(one, t)
        }
        MathFn::Asin | MathFn::Acos | MathFn::Atanh => {
            let (p, m) = (e.add(one, x), e.sub(one, x));
            let t = e.mul(p, m);
            if f == MathFn::Atanh {
                e.div(one, t)
            } else {
                let t = e.value(t);
                let r = e.un(UnOp::Sqrt, t);
                e.div(Num::Const(if f == MathFn::Asin { 1.0 } else { -1.0 }), Num::Val(r))
            }
        }
        MathFn::Atan => {
            let t = e.mul(x, x);
            let t = e.add(one, t);
            e.div(one, t)
        }
        MathFn::Sinh => call(e, MathFn::Cosh, xv),
        MathFn::Cosh => call(e, MathFn::Sinh, xv),
        MathFn::Tanh => {
            let (p, m) = (e.add(one, yn), e.sub(one, yn));
            e.mul(p, m)
        }
        MathFn::Asinh => {
            let unit = e.constant(1.0);
            let t = e.f(Op::Math(MathFn::Hypot, vec![unit, xv]));
            e.div(one, Num::Val(t))
        }
        MathFn::Acosh => {
            let (p, m) = (e.add(x, one), e.sub(x, one));
            let t = e.mul(p, m);
            let t = e.value(t);
            let r = e.un(UnOp::Sqrt, t);
            e.div(one, Num::Val(r))
        }
        MathFn::Cbrt => {
            let t = e.mul(yn, yn);
            let t = e.mul(Num::Const(3.0), t);
            let r = e.div(one, t);
            unless_zero(e, y, r)
        }
        MathFn::Erf => {
            let t = e.mul(x, x);
            let t = e.neg(t);
            let t = e.value(t);
            let t = call(e, MathFn::Exp, t);
            e.mul(Num::Const(std::f64::consts::FRAC_2_SQRT_PI), t)
        }
        MathFn::Gamma => {
            let psi = call(e, MathFn::Digamma, xv);
            e.mul(yn, psi)
        }
        MathFn::Digamma => call(e, MathFn::Trigamma, xv),
        // second derivatives of Γ do not occur in a model's Jacobian
        MathFn::Trigamma => Num::Const(f64::NAN),
        MathFn::Atan2
        | MathFn::Hypot
        | MathFn::Pow
        | MathFn::SinMoved
        | MathFn::CosMoved
        | MathFn::SinBesideMoved => return two(e, f, args, y, new, active, out),
    };
    out.push((a, d));
}

fn two(
    e: &mut Emit,
    f: MathFn,
    args: &[Value],
    y: Value,
    new: &impl Fn(Value) -> Value,
    active: &impl Fn(Value) -> bool,
    out: &mut Vec<(Value, Num)>,
) {
    let (p, q) = (args[0], args[1]);
    let (pv, qv) = (new(p), new(q));
    let (x, z, yn) = (Num::Val(pv), Num::Val(qv), Num::Val(y));
    match f {
        MathFn::Atan2 => {
            // angle of (z, x): (z·dx − x·dz)/(x² + z²)
            let a = e.mul(x, x);
            let b = e.mul(z, z);
            let s = e.add(a, b);
            let dp = e.div(z, s);
            let dq = e.div(x, s);
            let dq = e.neg(dq);
            out.extend([(p, dp), (q, dq)]);
        }
        MathFn::SinMoved | MathFn::CosMoved | MathFn::SinBesideMoved => {
            let sum = e.bin(BinOp::Add, pv, qv);
            let other = if f == MathFn::CosMoved { MathFn::Sin } else { MathFn::Cos };
            let mut d = Num::Val(e.f(Op::Math(other, vec![sum])));
            if f == MathFn::CosMoved {
                d = e.neg(d);
            }
            out.extend([(p, d), (q, d)]);
        }
        MathFn::Hypot => {
            for (v, n) in [(p, x), (q, z)] {
                if active(v) {
                    let r = e.div(n, yn);
                    let r = unless_zero(e, y, r);
                    out.push((v, r));
                }
            }
        }
        _ => {
            let zero = e.constant(0.0);
            if active(p) {
                // z·y/x; at x = 0: 1 for z = 1, else 0
                let t = e.mul(z, yn);
                let t = e.div(t, x);
                let unit = e.constant(1.0);
                let linear = e.push(Op::Cmp(CmpOp::Eq, qv, unit), Ty::Bool);
                let there = e.select(linear, Num::ONE, Num::ZERO);
                let c = e.push(Op::Cmp(CmpOp::Eq, pv, zero), Ty::Bool);
                let d = e.select(c, there, t);
                out.push((p, d));
            }
            if active(q) {
                // y·ln x; 0 for x ≤ 0
                let l = Num::Val(e.f(Op::Math(MathFn::Log, vec![pv])));
                let t = e.mul(yn, l);
                let c = e.push(Op::Cmp(CmpOp::Gt, pv, zero), Ty::Bool);
                let d = e.select(c, t, Num::ZERO);
                out.push((q, d));
            }
        }
    }
}

/// Which values change with what is `seeded`: a load (or argument) for which `seeded` says so, and what is
/// computed from it.
pub(super) fn activity(kernel: &Kernel, seeded: &dyn Fn(&Op) -> bool) -> Vec<bool> {
    let mut active = vec![false; kernel.values.len()];
    region(kernel, &kernel.body, seeded, &mut active);
    active
}

fn region(kernel: &Kernel, body: &[crate::ir::Stmt], seeded: &dyn Fn(&Op) -> bool, active: &mut Vec<bool>) {
    use crate::ir::Stmt;
    for stmt in body {
        match stmt {
            Stmt::Eval(v) => {
                let d = &kernel.values[v.index()];
                let on = d.ty == Ty::F64
                    && (seeded(&d.op)
                        || match &d.op {
                            Op::Un(u, a) => {
                                active[a.index()] && matches!(u, UnOp::Neg | UnOp::Abs | UnOp::Sqrt)
                            }
                            Op::Select(_, a, b) => active[a.index()] || active[b.index()],
                            Op::Bin(..) | Op::Fma(..) | Op::Math(..) | Op::Call(..) | Op::Table { .. } => {
                                d.op.operands().any(|o| active[o.index()])
                            }
                            _ => false,
                        });
                active[v.index()] = on;
            }
            Stmt::Store { .. } | Stmt::Solve(_) | Stmt::SolveTangent(_) => {}
            Stmt::For(l) => {
                for c in &l.carries {
                    active[c.var.index()] = active[c.init.index()];
                }
                loop {
                    region(kernel, &l.body, seeded, active);
                    let mut grew = false;
                    for c in &l.carries {
                        if active[c.next.index()] && !active[c.var.index()] {
                            active[c.var.index()] = true;
                            grew = true;
                        }
                    }
                    if !grew {
                        break;
                    }
                }
                for c in &l.carries {
                    active[c.result.index()] = active[c.var.index()];
                }
            }
            Stmt::If(i) => {
                region(kernel, &i.then, seeded, active);
                region(kernel, &i.otherwise, seeded, active);
                for &(r, a, b) in &i.results {
                    active[r.index()] = active[a.index()] || active[b.index()];
                }
            }
        }
    }
}
