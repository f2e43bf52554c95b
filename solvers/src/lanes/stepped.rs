//! Kernels of fixed steps for runs that are looked at: a step with what dense output takes, and dense output.
//!
//! The arithmetic, operation by operation, of [`crate::rk::fixed`] and [`crate::sde`].

use super::seat::Shape;
use super::writer::{Writer, longer};
use std::sync::Arc;
use twinml_model::ids::Value;
use twinml_model::ir::{CmpOp, Kernel, Space, UnOp};
use twinml_model::passes::rk4::{Given, Inline, Stepped};
use twinml_model::passes::straight::Guesses;
use twinml_model::program::Program;

/// Slots of `Jac`: where the step began, where it ended, where it may end at most.
pub(crate) const FROM: u32 = 0;
pub(crate) const TO: u32 = 1;
pub(crate) const STOP: u32 = 2;
/// The states where it began; behind them the slopes there.
pub(crate) const STATES: u32 = 3;

/// Slots in all, for `n` states.
pub(crate) const fn slots(n: u32) -> u32 {
    STATES + 2 * n
}

fn writer<'a>(program: &'a Program, what: &str, guesses: Option<&Guesses>) -> Writer<'a> {
    let more = longer(program, guesses);
    Writer { k: Inline::of_length(program, format!("{what} of {}", program.rhs.name), more) }
}

/// Leaves a step's ends.
fn keep(w: &mut Writer<'_>, (t, x, f0): (Value, &[Value], Option<&[Value]>), (t1, x1): (Value, &[Value])) {
    w.store(Space::Jac, FROM as usize, t);
    w.store(Space::Jac, TO as usize, t1);
    for (i, &v) in x.iter().chain(f0.unwrap_or_default()).enumerate() {
        w.store(Space::Jac, STATES as usize + i, v);
    }
    for (i, &v) in x1.iter().enumerate() {
        w.store(Space::State, i, v);
    }
    w.store(Space::Time, 0, t1);
}

/// `x + h·(a·k)`.
fn along(w: &mut Writer<'_>, x: &[Value], h: Value, a: Option<f64>, k: &[Value]) -> Vec<Value> {
    let one = |(&x, &k): (&Value, &Value)| {
        let s = match a {
            Some(a) => {
                let a = w.c(a);
                w.mul(a, k)
            }
            None => k,
        };
        let d = w.mul(h, s);
        w.add(x, d)
    };
    x.iter().zip(k).map(one).collect()
}

/// A step from `Time` to the instant in `TTime`: reads and writes `State` and `Der` (the slope at the state), writes
/// `Time`.
pub(super) fn step(program: &Program, method: Stepped, guesses: Option<&Guesses>) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let mut w = writer(program, "step", guesses);
    let x = w.states(n);
    let f0: Vec<Value> = (0..n).map(|i| w.load(Space::Der, i)).collect();
    let (t, t1) = (w.load(Space::Time, 0), w.load(Space::TTime, 0));
    let h = w.sub(t1, t);
    let x1 = match method {
        Stepped::Euler => along(&mut w, &x, h, None, &f0),
        Stepped::Rk4 => {
            let c = w.c(0.5);
            let half = w.mul(c, h);
            let half = w.add(t, half);
            let xs = along(&mut w, &x, h, Some(0.5), &f0);
            let k2 = w.k.rhs(half, &xs)?;
            let xs = along(&mut w, &x, h, Some(0.5), &k2);
            let k3 = w.k.rhs(half, &xs)?;
            let xs = along(&mut w, &x, h, None, &k3);
            let k4 = w.k.rhs(t1, &xs)?;
            let (six, two) = (w.c(6.0), w.c(2.0));
            let sixth = w.div(h, six);
            (0..n)
                .map(|i| {
                    let s = w.add(k2[i], k3[i]);
                    let s = w.mul(two, s);
                    let s = w.add(f0[i], s);
                    let s = w.add(s, k4[i]);
                    let d = w.mul(sixth, s);
                    w.add(x[i], d)
                })
                .collect()
        }
    };
    let f1 = w.k.rhs(t1, &x1)?;
    keep(&mut w, (t, &x, Some(&f0)), (t1, &x1));
    for (i, &v) in f1.iter().enumerate() {
        w.store(Space::Der, i, v);
    }
    w.settle(guesses, None)?;
    Some(w.k.kernel())
}

/// A fused step of the classic method from point `n` of the grid `t0 + n·h`, where `n` is read from `TTime` and `n + 1`
/// left there: reads and writes `State`, writes `Time` and `Der`, with the slopes at both ends.
pub(super) fn on_grid(program: &Program, t0: f64, h: f64) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let mut w = writer(program, "step on the grid", None);
    let x = w.states(n);
    let number = w.load(Space::TTime, 0);
    let one = w.c(1.0);
    let after = w.add(number, one);
    let x1 = w.k.rk4(number, &x, t0, h)?;
    let (h_, t0_) = (w.c(h), w.c(t0));
    let since = w.mul(number, h_);
    let t = w.add(t0_, since);
    let since = w.mul(after, h_);
    let grid = w.add(t0_, since);
    let stop = w.load(Space::Jac, STOP as usize);
    let rest = w.sub(stop, grid);
    let near = w.c(1e-9 * h);
    let ends = w.cmp(CmpOp::Le, rest, near);
    let t1 = w.select(ends, stop, grid);
    let f0 = w.k.rhs(t, &x)?;
    let f1 = w.k.rhs(t1, &x1)?;
    keep(&mut w, (t, &x, Some(&f0)), (t1, &x1));
    for (i, &v) in f1.iter().enumerate() {
        w.store(Space::Der, i, v);
    }
    w.store(Space::TTime, 0, after);
    Some(w.k.kernel())
}

/// A step of the Euler–Maruyama method from `Time` to the instant in `TTime`, with `ΔW/h` in the slots of noise: reads and
/// writes `State`, writes `Time`.
pub(super) fn maruyama(program: &Program, guesses: Option<&Guesses>) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let mut w = writer(program, "noisy step", guesses);
    let x = w.states(n);
    let (t, t1) = (w.load(Space::Time, 0), w.load(Space::TTime, 0));
    let h = w.sub(t1, t);
    let slope = w.k.rhs(t, &x)?;
    let x1 = along(&mut w, &x, h, None, &slope);
    keep(&mut w, (t, &x, None), (t1, &x1));
    w.settle(guesses, None)?;
    Some(w.k.kernel())
}

/// Where `ΔW` stands, of all paths, in a step of the Milstein method.
pub(crate) const fn moves(n: u32) -> u32 {
    slots(n)
}

/// A step of the Milstein method from `Time` to the instant in `TTime`, with `ΔW/h` in the slots of noise and `ΔW` in
/// those from [`moves`] on: reads and writes `State`, writes `Time`. `apart` as [`crate::sde::milstein`] finds it.
pub(super) fn milstein(program: &Program, noise: &[usize], apart: bool) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let jvp = Arc::new(program.jvp.clone()?);
    let mut w = writer(program, "noisy step", None);
    let x = w.states(n);
    let (t, t1) = (w.load(Space::Time, 0), w.load(Space::TTime, 0));
    let h = w.sub(t1, t);
    let slope = w.k.rhs(t, &x)?;
    let mut x1 = along(&mut w, &x, h, None, &slope);
    let dw: Vec<Value> = (0..noise.len()).map(|k| w.load(Space::Jac, moves(n as u32) as usize + k)).collect();
    let driven = |values: &[Value]| -> Given {
        noise.iter().zip(values).map(|(&slot, &v)| ((Space::Input, slot as i64), v)).collect()
    };
    let zero = w.c(0.0);
    let calm = driven(&vec![zero; dw.len()]);
    let f0 = w.k.rhs_given(t, &x, &calm)?;
    // `Correction::bilinear`
    let bilinear = |w: &mut Writer<'_>, p: &[Value], q: &[Value]| -> Option<Vec<Value>> {
        let f = w.k.rhs_given(t, &x, &driven(q))?;
        let u: Vec<Value> = f.iter().zip(&f0).map(|(&f, &f0)| w.sub(f, f0)).collect();
        let [jp, j0] = [driven(p), calm.clone()].map(|mut given| {
            given.insert((Space::TTime, 0), zero);
            given.extend(u.iter().enumerate().map(|(i, &u)| ((Space::TState, i as i64), u)));
            let written = w.k.put(jvp.clone(), t, &x, &given)?;
            (0..n).map(|i| written.get(&(Space::TDer, i as i64)).copied()).collect::<Option<Vec<_>>>()
        });
        Some(jp?.iter().zip(&j0?).map(|(&p, &z)| w.sub(p, z)).collect())
    };
    let mut add = |w: &mut Writer<'_>, half: f64, of: &[Value]| {
        let c = w.c(half);
        let c = w.mul(c, h);
        let factor = w.mul(c, h);
        for (x1, &t) in x1.iter_mut().zip(of) {
            let d = w.mul(factor, t);
            *x1 = w.add(*x1, d);
        }
    };
    // `Correction::add`
    if !dw.is_empty() {
        let root = w.un(UnOp::Sqrt, h);
        let one = w.c(1.0);
        let unit = w.div(one, root);
        if apart {
            let size = w.mul(h, root);
            let p: Vec<Value> = dw
                .iter()
                .map(|&dw| {
                    let square = w.mul(dw, dw);
                    let rest = w.sub(square, h);
                    w.div(rest, size)
                })
                .collect();
            let t = bilinear(&mut w, &p, &vec![unit; dw.len()])?;
            add(&mut w, 0.5, &t);
        } else {
            let rate: Vec<Value> = dw.iter().map(|&dw| w.div(dw, h)).collect();
            let t = bilinear(&mut w, &rate, &rate)?;
            add(&mut w, 0.5, &t);
            for k in 0..dw.len() {
                let mut one = vec![zero; dw.len()];
                one[k] = unit;
                let t = bilinear(&mut w, &one, &one)?;
                add(&mut w, -0.5, &t);
            }
        }
    }
    keep(&mut w, (t, &x, None), (t1, &x1));
    Some(w.k.kernel())
}

/// Dense output at the instant in `TTime`, from the slots above, `TState` and `TDer` (states and slopes where the step
/// ended); writes `State` and `Time`.
pub(super) fn interpolant(program: &Program, shape: &Shape) -> Kernel {
    let n = program.sizes.state as usize;
    let mut w = writer(program, "dense output", None);
    let t = w.load(Space::TTime, 0);
    let (from, to) = (w.load(Space::Jac, FROM as usize), w.load(Space::Jac, TO as usize));
    let h = w.sub(to, from);
    let since = w.sub(t, from);
    let part = w.div(since, h);
    let stands = w.cmp(CmpOp::Eq, from, to);
    let (at_end, at_start) = match shape {
        Shape::Maruyama | Shape::Milstein { .. } => (w.cmp(CmpOp::Eq, t, to), None),
        _ => {
            let size = w.un(UnOp::Abs, t);
            let roundings = w.c(4.0 * f64::EPSILON);
            let limit = w.mul(roundings, size);
            let off = w.sub(t, to);
            let off = w.un(UnOp::Abs, off);
            (w.cmp(CmpOp::Le, off, limit), Some(w.cmp(CmpOp::Eq, t, from)))
        }
    };
    let at_end = w.or(at_end, stands);
    for i in 0..n {
        let (a, b) = (w.load(Space::Jac, STATES as usize + i), w.load(Space::TState, i));
        let inside = match shape {
            Shape::Maruyama | Shape::Milstein { .. } => {
                let d = w.sub(b, a);
                let d = w.mul(part, d);
                w.add(a, d)
            }
            Shape::Fixed(Stepped::Euler) => {
                let f = w.load(Space::Jac, STATES as usize + n + i);
                let d = w.mul(since, f);
                w.add(a, d)
            }
            _ => {
                let (f0, f1) = (w.load(Space::Jac, STATES as usize + n + i), w.load(Space::TDer, i));
                let (one, two) = (w.c(1.0), w.c(2.0));
                let r = w.sub(one, part);
                let d = w.sub(b, a);
                let p = w.mul(two, part);
                let p = w.sub(one, p);
                let p = w.mul(p, d);
                let q = w.sub(part, one);
                let q = w.mul(q, f0);
                let u = w.mul(part, f1);
                let q = w.add(q, u);
                let q = w.mul(h, q);
                let c = w.add(p, q);
                let (ra, sb) = (w.mul(r, a), w.mul(part, b));
                let line = w.add(ra, sb);
                let sr = w.mul(part, r);
                let bend = w.mul(sr, c);
                w.sub(line, bend)
            }
        };
        let v = match at_start {
            Some(start) => w.select(start, a, inside),
            None => inside,
        };
        let v = w.select(at_end, b, v);
        w.store(Space::State, i, v);
    }
    w.store(Space::Time, 0, t);
    w.k.kernel()
}
