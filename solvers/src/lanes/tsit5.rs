//! The kernels of `tsit5` on lanes: how a run starts, and a whole trial step with its control.
//!
//! The same arithmetic, operation by operation, as [`crate::rk::embedded`] and [`crate::control`] do for a single run, with
//! choices in place of branches: each lane tries its own step, judges it, and takes it or not.

use crate::rk::embedded::Tableau;
use crate::rk::tsit5::Coefficients as T;
use twinml_model::ids::Value;
use twinml_model::ir::{Affine, BinOp, BoolOp, CmpOp, IntOp, Kernel, Op, Place, Space, Stmt, Ty, UnOp};
use twinml_model::passes::rk4::Inline;
use twinml_model::program::Program;

/// 1.5·2⁵²: adding it leaves the nearest integer in the low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// What the driver and the kernels tell each other: slots of `Jac`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Slot {
    /// The step wanted next, in seconds.
    H,
    /// Where the run ends, in seconds.
    Stop,
    /// The binary logarithm of the error of the last accepted step, not below that of 1e-4.
    LogOld,
    /// 1 where the last trial was rejected.
    Rejected,
    /// One of [`status`].
    Status,
    /// Accepted steps.
    Steps,
    /// Rejected trials.
    Trials,
}

/// Number of [`Slot`]s.
pub(super) const SLOTS: u32 = 7;

/// What a lane's run is at.
pub(super) mod status {
    pub const RUNNING: f64 = 0.0;
    pub const COMPLETE: f64 = 1.0;
    pub const TOO_SMALL: f64 = 2.0;
    pub const TOO_MANY: f64 = 3.0;
    pub const FAILED: f64 = 4.0;
}

/// How steps are chosen.
#[derive(Clone, Debug)]
pub struct Control {
    /// Relative tolerance.
    pub rtol: f64,
    /// Absolute tolerance of each state.
    pub atol: Vec<f64>,
    /// First step in seconds; none: chosen.
    pub h: Option<f64>,
    /// Longest step in seconds.
    pub h_max: f64,
    /// Most accepted and rejected steps.
    pub max_steps: u64,
}

/// [`crate::control::Controller`]'s constants, as [`crate::rk::embedded`] sets them.
const ALPHA: f64 = 0.85 / 5.0;
const BETA: f64 = 0.2 / 5.0;
const RETRY: f64 = 1.0 / 5.0;
const SAFETY: f64 = 0.9;
const MIN_FACTOR: f64 = 0.2;
const MAX_FACTOR: f64 = 10.0;

struct Writer<'a> {
    k: Inline<'a>,
}

impl Writer<'_> {
    fn c(&mut self, x: f64) -> Value {
        self.k.constant(x)
    }
    fn ci(&mut self, x: i64) -> Value {
        self.k.push_as(Op::ConstI(x), Ty::I64)
    }
    fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.k.push_as(Op::Bin(op, a, b), Ty::F64)
    }
    fn add(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Add, a, b)
    }
    fn sub(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Sub, a, b)
    }
    fn mul(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Mul, a, b)
    }
    fn div(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Div, a, b)
    }
    fn un(&mut self, op: UnOp, a: Value) -> Value {
        self.k.push_as(Op::Un(op, a), Ty::F64)
    }
    fn cmp(&mut self, op: CmpOp, a: Value, b: Value) -> Value {
        self.k.push_as(Op::Cmp(op, a, b), Ty::Bool)
    }
    fn and(&mut self, a: Value, b: Value) -> Value {
        self.k.push_as(Op::BoolBin(BoolOp::And, a, b), Ty::Bool)
    }
    fn or(&mut self, a: Value, b: Value) -> Value {
        self.k.push_as(Op::BoolBin(BoolOp::Or, a, b), Ty::Bool)
    }
    fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        self.k.push_as(Op::Select(c, a, b), Ty::F64)
    }
    fn int(&mut self, op: IntOp, a: Value, b: Value) -> Value {
        self.k.push_as(Op::Int(op, a, b), Ty::I64)
    }
    fn bits(&mut self, a: Value) -> Value {
        self.k.push_as(Op::FToBits(a), Ty::I64)
    }
    fn float(&mut self, a: Value) -> Value {
        self.k.push_as(Op::BitsToF(a), Ty::F64)
    }
    fn load(&mut self, space: Space, slot: usize) -> Value {
        self.k.push_as(Op::Load(Place { space, at: Affine::constant(slot as i64) }), Ty::F64)
    }
    fn slot(&mut self, s: Slot) -> Value {
        self.load(Space::Jac, s as usize)
    }
    fn store(&mut self, space: Space, slot: usize, value: Value) {
        let place = Place { space, at: Affine::constant(slot as i64) };
        self.k.statement(Stmt::Store { place, value, origin: twinml_model::ids::OriginId(0) });
    }
    fn put(&mut self, s: Slot, value: Value) {
        self.store(Space::Jac, s as usize, value);
    }
    /// The greater of two, neither a NaN that matters.
    fn max(&mut self, a: Value, b: Value) -> Value {
        let c = self.cmp(CmpOp::Gt, a, b);
        self.select(c, a, b)
    }
    fn min(&mut self, a: Value, b: Value) -> Value {
        let c = self.cmp(CmpOp::Lt, a, b);
        self.select(c, a, b)
    }
    fn clamp(&mut self, x: Value, lo: Value, hi: Value) -> Value {
        let c = self.cmp(CmpOp::Lt, x, lo);
        let r = self.select(c, lo, x);
        let c = self.cmp(CmpOp::Gt, x, hi);
        self.select(c, hi, r)
    }
    fn finite(&mut self, x: Value) -> Value {
        let m = self.un(UnOp::Abs, x);
        let inf = self.c(f64::INFINITY);
        self.cmp(CmpOp::Lt, m, inf)
    }
    fn all_finite(&mut self, xs: &[Value]) -> Value {
        let mut all = self.k.push_as(Op::ConstB(true), Ty::Bool);
        for &x in xs {
            let f = self.finite(x);
            all = self.and(all, f);
        }
        all
    }

    /// [`crate::control::power`].
    fn power(&mut self, x: Value, p: Value) -> Value {
        let (lo, hi) = (self.c(f64::MIN_POSITIVE), self.c(f64::MAX));
        let x = self.clamp(x, lo, hi);
        let l = self.log2(x);
        let y = self.mul(p, l);
        let (lo, hi) = (self.c(-1000.0), self.c(1000.0));
        let y = self.clamp(y, lo, hi);
        self.exp2(y)
    }

    /// The first half of `power`: the binary logarithm of a positive, normal number.
    fn log2(&mut self, x: Value) -> Value {
        let bits = self.bits(x);
        let c52 = self.ci(52);
        // the sign is 0
        let e = self.int(IntOp::ShrU, bits, c52);
        // e − 1023 as a number, through the low bits of 1.5·2⁵²
        let magic_bits = self.ci(0x4338_0000_0000_0000 - 1023);
        let magic = self.c(MAGIC);
        let e = self.int(IntOp::Add, e, magic_bits);
        let e = self.float(e);
        let e = self.sub(e, magic);
        let c = self.ci(0x000f_ffff_ffff_ffff);
        let m = self.int(IntOp::And, bits, c);
        let c = self.ci(0x3ff0_0000_0000_0000);
        let m = self.int(IntOp::Or, m, c);
        let m = self.float(m);
        let (root, half, one, two) =
            (self.c(std::f64::consts::SQRT_2), self.c(0.5), self.c(1.0), self.c(2.0));
        let above = self.cmp(CmpOp::Gt, m, root);
        let smaller = self.mul(m, half);
        let m = self.select(above, smaller, m);
        let next = self.add(e, one);
        let e = self.select(above, next, e);
        let (a, b) = (self.sub(m, one), self.add(m, one));
        let s = self.div(a, b);
        let q = self.mul(s, s);
        let c = self.c(11.0);
        let mut t = self.div(q, c);
        for k in [1.0 / 9.0, 1.0 / 7.0, 0.2, 1.0 / 3.0, 1.0] {
            let c = self.c(k);
            let sum = self.add(c, t);
            t = if k == 1.0 { sum } else { self.mul(q, sum) };
        }
        let ln = self.mul(two, s);
        let ln = self.mul(ln, t);
        let c = self.c(std::f64::consts::LOG2_E);
        let y = self.mul(ln, c);
        self.add(e, y)
    }

    /// The second half of `power`: 2ʸ for |y| ≤ 1000.
    fn exp2(&mut self, y: Value) -> Value {
        // to the nearest integer, halves away from 0 (for y = −0 another zero, which the sum below forgets)
        let (half, magic) = (self.c(0.5), self.c(MAGIC));
        let h = self.bin(BinOp::CopySign, half, y);
        let i = self.add(y, h);
        let i = self.un(UnOp::Trunc, i);
        let r = self.sub(y, i);
        let c = self.c(std::f64::consts::LN_2);
        let r = self.mul(r, c);
        let mut t = self.c(1.0 / 5040.0);
        for k in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            let d = self.mul(r, t);
            let c = self.c(k);
            t = self.add(c, d);
        }
        let n = self.add(i, magic);
        let n = self.bits(n);
        let c = self.ci(1023);
        let n = self.int(IntOp::Add, n, c);
        let c52 = self.ci(52);
        let n = self.int(IntOp::Shl, n, c52);
        let n = self.float(n);
        self.mul(t, n)
    }

    /// [`crate::control::weight`].
    fn weight(&mut self, atol: f64, rtol: f64, a: Value, b: Value) -> Value {
        let (x, y) = (self.un(UnOp::Abs, a), self.un(UnOp::Abs, b));
        let m = if a == b { x } else { self.max(x, y) };
        let (limit, least) = (atol > f64::MIN_POSITIVE, self.c(f64::MIN_POSITIVE));
        let (atol, rtol) = (self.c(atol), self.c(rtol));
        let d = self.mul(rtol, m);
        let w = self.add(atol, d);
        // a weight that is no number belongs to an error that is none either
        if limit { w } else { self.max(w, least) }
    }

    /// [`crate::control::norm`] with one point on both sides.
    fn norm(&mut self, v: &[Value], x: &[Value], control: &Control) -> Value {
        let mut sum = self.c(0.0);
        for (i, (&v, &x)) in v.iter().zip(x).enumerate() {
            let w = self.weight(control.atol[i], control.rtol, x, x);
            let e = self.div(v, w);
            let e = self.mul(e, e);
            sum = self.add(sum, e);
        }
        self.mean_root(sum, x.len())
    }

    fn mean_root(&mut self, sum: Value, n: usize) -> Value {
        let n = self.c(n.max(1) as f64);
        let mean = self.div(sum, n);
        self.un(UnOp::Sqrt, mean)
    }

    /// `x + h·Σ a·k`.
    fn stage(&mut self, x: &[Value], h: Value, a: &[f64], k: &[Vec<Value>]) -> Vec<Value> {
        (0..x.len())
            .map(|i| {
                let mut sum = None;
                for (&a, k) in a.iter().zip(k) {
                    let c = self.c(a);
                    let d = self.mul(c, k[i]);
                    sum = Some(match sum {
                        Some(s) => self.add(s, d),
                        None => d,
                    });
                }
                match sum {
                    Some(s) => {
                        let d = self.mul(h, s);
                        self.add(x[i], d)
                    }
                    None => x[i],
                }
            })
            .collect()
    }

    fn states(&mut self, n: usize) -> Vec<Value> {
        (0..n).map(|i| self.load(Space::State, i)).collect()
    }
}

/// The start of a run: reads `State`, `Time`, [`Slot::Stop`]; writes `Der` and all other slots.
pub(super) fn start(program: &Program, control: &Control) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let mut w = Writer { k: Inline::of(program, format!("start of {}", program.rhs.name)) };
    let x = w.states(n);
    let t = w.load(Space::Time, 0);
    let stop = w.slot(Slot::Stop);
    let f0 = w.k.rhs(t, &x)?;
    let rest = w.sub(stop, t);
    let h_max = w.c(control.h_max);
    let limit = w.min(h_max, rest);
    let mut good = w.all_finite(&x);
    let good_slopes = w.all_finite(&f0);
    good = w.and(good, good_slopes);
    let h = match control.h {
        Some(h) => w.c(h),
        None => {
            let d0 = w.norm(&x, &x, control);
            let d1 = w.norm(&f0, &x, control);
            let (m, c) = (w.un(UnOp::Abs, t), w.c(1e-290));
            let m = w.max(m, c);
            let c = w.c(1e3 * f64::EPSILON);
            let tiny = w.mul(c, m);
            let c = w.c(1e-5);
            let (a, b) = (w.cmp(CmpOp::Lt, d0, c), w.cmp(CmpOp::Lt, d1, c));
            let small = w.or(a, b);
            let (c, d) = (w.c(0.01), w.div(d0, d1));
            let guess = w.mul(c, d);
            let c = w.c(1e-6);
            let h0 = w.select(small, c, guess);
            let h0 = w.max(h0, tiny);
            let h0 = w.min(h0, limit);
            let x1: Vec<Value> = (0..n)
                .map(|i| {
                    let d = w.mul(h0, f0[i]);
                    w.add(x[i], d)
                })
                .collect();
            let later = w.add(t, h0);
            let f1 = w.k.rhs(later, &x1)?;
            let change: Vec<Value> = (0..n).map(|i| w.sub(f1[i], f0[i])).collect();
            let d2 = w.norm(&change, &x, control);
            let d2 = w.div(d2, h0);
            let inside = w.finite(d2);
            good = w.and(good, inside);
            let d = w.max(d1, d2);
            let c = w.c(1e-15);
            let flat = w.cmp(CmpOp::Le, d, c);
            let (c, least) = (w.c(1e-3), w.c(1e-6));
            let a = w.mul(h0, c);
            let a = w.max(a, least);
            let (c, p) = (w.c(0.01), w.c(1.0 / 6.0));
            let b = w.div(c, d);
            let b = w.power(b, p);
            let h1 = w.select(flat, a, b);
            let c = w.c(100.0);
            let h = w.mul(c, h0);
            let h = w.min(h, h1);
            let h = w.max(h, tiny);
            w.min(h, limit)
        }
    };
    for (i, &f) in f0.iter().enumerate() {
        w.store(Space::Der, i, f);
    }
    let (running, failed, complete, zero) =
        (w.c(status::RUNNING), w.c(status::FAILED), w.c(status::COMPLETE), w.c(0.0));
    let some = w.cmp(CmpOp::Gt, rest, zero);
    let s = w.select(some, running, complete);
    // with nothing to do, the size of a first step is no matter
    let good = if control.h.is_none() {
        let none = w.cmp(CmpOp::Le, rest, zero);
        let ok = w.and(good_slopes, none);
        w.or(good, ok)
    } else {
        good
    };
    let s = w.select(good, s, failed);
    w.put(Slot::H, h);
    w.put(Slot::Status, s);
    let c = w.c(1e-4);
    let c = w.log2(c);
    w.put(Slot::LogOld, c);
    for s in [Slot::Rejected, Slot::Steps, Slot::Trials] {
        w.put(s, zero);
    }
    Some(w.k.kernel())
}

/// A trial step: reads and writes `State`, `Time`, `Der` (the slope at the state) and the slots.
pub(super) fn trial(program: &Program, control: &Control) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let mut w = Writer { k: Inline::of(program, format!("tsit5 of {}", program.rhs.name)) };
    let x = w.states(n);
    let k1: Vec<Value> = (0..n).map(|i| w.load(Space::Der, i)).collect();
    let t = w.load(Space::Time, 0);
    let (wanted_h, stop) = (w.slot(Slot::H), w.slot(Slot::Stop));
    let (log_old, was_rejected) = (w.slot(Slot::LogOld), w.slot(Slot::Rejected));
    let (zero, one, half, two) = (w.c(0.0), w.c(1.0), w.c(0.5), w.c(2.0));

    // `Clock::trial`
    let rest = w.sub(stop, t);
    let h_max = w.c(control.h_max);
    let wanted = w.min(wanted_h, h_max);
    let c = w.c(1.0 + 1e-9);
    let a = w.mul(wanted, c);
    let last = w.cmp(CmpOp::Ge, a, rest);
    let a = w.mul(wanted, two);
    let halves = w.cmp(CmpOp::Gt, a, rest);
    let middle = w.mul(half, rest);
    let h = w.select(halves, middle, wanted);
    let h = w.select(last, rest, h);
    let after = w.add(t, h);
    let t1 = w.select(last, stop, after);
    let beyond = w.cmp(CmpOp::Gt, wanted, rest);
    let not_last = w.k.push_as(Op::Not(last), Ty::Bool);
    let halved = w.and(not_last, halves);
    let cut = w.and(last, beyond);
    let cut = w.or(cut, halved);

    let mut k = vec![k1];
    let rows: [&[f64]; 6] = [&T::A2, &T::A3, &T::A4, &T::A5, &T::A6, &T::A7];
    let mut x1 = x.clone();
    for (j, a) in rows.into_iter().enumerate() {
        x1 = w.stage(&x, h, a, &k);
        let at = if j < 4 {
            let c = w.c(T::C[j + 1]);
            let d = w.mul(c, h);
            w.add(t, d)
        } else {
            t1
        };
        let slope = w.k.rhs(at, &x1)?;
        k.push(slope);
    }
    let mut sum = zero;
    for i in 0..n {
        let mut e = None;
        for (&c, k) in T::E.iter().zip(&k) {
            let c = w.c(c);
            let d = w.mul(c, k[i]);
            e = Some(match e {
                Some(e) => w.add(e, d),
                None => d,
            });
        }
        let weight = w.weight(control.atol[i], control.rtol, x[i], x1[i]);
        let e = w.mul(h, e?);
        let e = w.div(e, weight);
        let e = w.mul(e, e);
        sum = w.add(sum, e);
    }
    let err = w.mean_root(sum, n);

    // `Controller`: accepted, rejected, outside of the domain
    let accepted = w.cmp(CmpOp::Le, err, one);
    let number = w.finite(err);
    let least = w.c(1e-10);
    // above 1 this changes nothing
    let base = w.max(err, least);
    let (p, q) = (w.c(-ALPHA), w.c(-RETRY));
    let p = w.select(accepted, p, q);
    // `power` of it without its clamps: an error that counts is normal and finite, exponents are small. The past enters
    // by its logarithm, so that there is one logarithm a step.
    let log = w.log2(base);
    let y = w.mul(p, log);
    let f = w.exp2(y);
    let safety = w.c(SAFETY);
    let f = w.mul(safety, f);
    let beta = w.c(BETA);
    let y = w.mul(beta, log_old);
    let past = w.exp2(y);
    let with_past = w.mul(f, past);
    let rejected_before = w.cmp(CmpOp::Ne, was_rejected, zero);
    let (lo, hi, retry) = (w.c(MIN_FACTOR), w.c(MAX_FACTOR), w.c(0.9));
    let most = w.select(rejected_before, one, hi);
    let most = w.select(accepted, most, retry);
    let f = w.select(accepted, with_past, f);
    let f = w.clamp(f, lo, most);
    let quarter = w.c(0.25);
    let f = w.select(number, f, quarter);
    let next = w.mul(h, f);
    let longer = w.max(next, wanted_h);
    let keeps = w.and(accepted, cut);
    let next = w.select(keeps, longer, next);

    let c = w.c(1e-4);
    let less = w.cmp(CmpOp::Lt, base, c);
    let least_log = w.log2(c);
    let new_old = w.select(less, least_log, log);
    let new_old = w.select(accepted, new_old, log_old);
    let now = w.select(accepted, t1, t);
    let refused = w.select(accepted, zero, one);
    let taken = w.select(accepted, one, zero);
    let (steps, trials) = (w.slot(Slot::Steps), w.slot(Slot::Trials));
    let (steps, trials) = (w.add(steps, taken), w.add(trials, refused));
    // how it goes on
    let arrived = w.cmp(CmpOp::Ge, now, stop);
    let c = w.c(0.1);
    let d = w.mul(c, next);
    let d = w.add(t, d);
    let moves = w.cmp(CmpOp::Gt, d, t);
    let fine = w.or(accepted, moves);
    let all = w.add(steps, trials);
    let limit = w.c(control.max_steps as f64);
    let many = w.cmp(CmpOp::Ge, all, limit);
    let [running, complete, small, too_many] =
        [status::RUNNING, status::COMPLETE, status::TOO_SMALL, status::TOO_MANY].map(|s| w.c(s));
    let s = w.select(many, too_many, running);
    let s = w.select(fine, s, small);
    let s = w.select(arrived, complete, s);
    for i in 0..n {
        let v = w.select(accepted, x1[i], x[i]);
        w.store(Space::State, i, v);
        let v = w.select(accepted, k[6][i], k[0][i]);
        w.store(Space::Der, i, v);
    }
    w.store(Space::Time, 0, now);
    w.put(Slot::H, next);
    w.put(Slot::LogOld, new_old);
    w.put(Slot::Rejected, refused);
    w.put(Slot::Status, s);
    w.put(Slot::Steps, steps);
    w.put(Slot::Trials, trials);
    Some(w.k.kernel())
}
