//! What kernels of adaptive methods have in common: how a run starts, which step a trial tries, and what its error means.
//!
//! The same arithmetic, operation by operation, as [`crate::control`] does for a single run, with choices in place of
//! branches: each lane tries its own step, judges it, and takes it or not.

pub(crate) use crate::control::Law;
use crate::control::{AGAIN, EXP2, FAILED, FLIP, LEAST, LEAST_PAST, LOG2, MAGIC, rough_log2};
use crate::integrator::Options;
use twinml_model::ids::Value;
use twinml_model::ir::{Affine, BinOp, BoolOp, CmpOp, IntOp, Kernel, Op, Place, Space, Stmt, Ty, UnOp};
use twinml_model::passes::rk4::Inline;
use twinml_model::passes::straight::{DISTRUST, DOUBT, FADING, Guesses, in_line};
use twinml_model::program::Program;

/// What the driver and the kernels tell each other: slots of `Jac`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Slot {
    /// The step wanted next, in seconds.
    H,
    /// Where the run ends, in seconds.
    Stop,
    /// The binary logarithm of the mean square of the error of the last accepted step, not below that of 1e-4 squared.
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
pub(crate) const SLOTS: u32 = 7;

/// Values by which a step may be longer where algebraic blocks are solved in it, or tables are written out.
const MORE: usize = 200_000;

/// By how many values a step may be longer than others.
pub(crate) fn longer(program: &Program, guesses: Option<&Guesses>) -> usize {
    if guesses.is_some() || program.tables.iter().any(in_line) { MORE } else { 0 }
}

/// What a lane's run is at.
pub(crate) mod status {
    pub const RUNNING: f64 = 0.0;
    pub const COMPLETE: f64 = 1.0;
    pub const TOO_SMALL: f64 = 2.0;
    pub const TOO_MANY: f64 = 3.0;
    pub const FAILED: f64 = 4.0;
    pub const ALONE: f64 = 5.0;
}

/// How steps are chosen.
#[derive(Clone, PartialEq, Debug)]
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

impl Control {
    /// Tolerances, and nothing else that limits the steps.
    #[must_use]
    pub fn new(rtol: f64, atol: Vec<f64>) -> Self {
        Control { rtol, atol, h: None, h_max: f64::INFINITY, max_steps: u64::MAX }
    }

    /// What a single run's integrator is asked for, whose steps begin as they are put into a lane.
    pub(crate) fn of(options: &Options, atol: &[f64]) -> Self {
        let limits = Control::new(options.tolerances.rtol, atol.to_vec());
        Control { h_max: options.h_max, max_steps: options.max_steps, ..limits }
    }
}

/// What an error means, before limits.
#[derive(Clone, Copy)]
struct Judged {
    accepted: Value,
    /// Whether the error is finite.
    number: Value,
    /// The factor for the next step.
    f: Value,
    /// What an accepted step leaves in [`Slot::LogOld`].
    past: Value,
}

/// The step that a trial tries, and what the judgement needs of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// Where it begins.
    pub t: Value,
    /// Its length.
    pub h: Value,
    /// Where it ends.
    pub t1: Value,
    wanted: Value,
    stop: Value,
    /// Whether the stop time made it shorter than wanted.
    pub cut: Value,
}

/// What the judgement of a trial gives back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// Whether the step is taken.
    pub accepted: Value,
    /// What the run is at: one of [`status`].
    pub status: Value,
}

pub(crate) struct Writer<'a> {
    pub k: Inline<'a>,
}

impl Writer<'_> {
    pub fn c(&mut self, x: f64) -> Value {
        self.k.constant(x)
    }
    pub fn ci(&mut self, x: i64) -> Value {
        self.k.push_as(Op::ConstI(x), Ty::I64)
    }
    pub fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.k.push_as(Op::Bin(op, a, b), Ty::F64)
    }
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Add, a, b)
    }
    pub fn sub(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Sub, a, b)
    }
    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Mul, a, b)
    }
    pub fn div(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Div, a, b)
    }
    pub fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        self.k.push_as(Op::Fma(a, b, c), Ty::F64)
    }
    pub fn un(&mut self, op: UnOp, a: Value) -> Value {
        self.k.push_as(Op::Un(op, a), Ty::F64)
    }
    pub fn cmp(&mut self, op: CmpOp, a: Value, b: Value) -> Value {
        self.k.push_as(Op::Cmp(op, a, b), Ty::Bool)
    }
    pub fn and(&mut self, a: Value, b: Value) -> Value {
        self.k.push_as(Op::BoolBin(BoolOp::And, a, b), Ty::Bool)
    }
    pub fn or(&mut self, a: Value, b: Value) -> Value {
        self.k.push_as(Op::BoolBin(BoolOp::Or, a, b), Ty::Bool)
    }
    pub fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        self.k.push_as(Op::Select(c, a, b), Ty::F64)
    }
    pub fn int(&mut self, op: IntOp, a: Value, b: Value) -> Value {
        self.k.push_as(Op::Int(op, a, b), Ty::I64)
    }
    pub fn bits(&mut self, a: Value) -> Value {
        self.k.push_as(Op::FToBits(a), Ty::I64)
    }
    pub fn float(&mut self, a: Value) -> Value {
        self.k.push_as(Op::BitsToF(a), Ty::F64)
    }
    pub fn load(&mut self, space: Space, slot: usize) -> Value {
        self.k.push_as(Op::Load(Place { space, at: Affine::constant(slot as i64) }), Ty::F64)
    }
    pub fn slot(&mut self, s: Slot) -> Value {
        self.load(Space::Jac, s as usize)
    }
    pub fn store(&mut self, space: Space, slot: usize, value: Value) {
        let place = Place { space, at: Affine::constant(slot as i64) };
        self.k.statement(Stmt::Store { place, value, origin: twinml_model::ids::OriginId(0) });
    }
    pub fn put(&mut self, s: Slot, value: Value) {
        self.store(Space::Jac, s as usize, value);
    }
    /// The greater of two, neither a NaN that matters.
    pub fn max(&mut self, a: Value, b: Value) -> Value {
        let c = self.cmp(CmpOp::Gt, a, b);
        self.select(c, a, b)
    }
    pub fn min(&mut self, a: Value, b: Value) -> Value {
        let c = self.cmp(CmpOp::Lt, a, b);
        self.select(c, a, b)
    }
    pub fn clamp(&mut self, x: Value, lo: Value, hi: Value) -> Value {
        let c = self.cmp(CmpOp::Lt, x, lo);
        let r = self.select(c, lo, x);
        let c = self.cmp(CmpOp::Gt, x, hi);
        self.select(c, hi, r)
    }
    pub fn finite(&mut self, x: Value) -> Value {
        let m = self.un(UnOp::Abs, x);
        let inf = self.c(f64::INFINITY);
        self.cmp(CmpOp::Lt, m, inf)
    }
    pub fn all_finite(&mut self, xs: &[Value]) -> Value {
        let mut all = self.k.push_as(Op::ConstB(true), Ty::Bool);
        for &x in xs {
            let f = self.finite(x);
            all = self.and(all, f);
        }
        all
    }

    /// [`crate::control::power`].
    pub fn power(&mut self, x: Value, p: Value) -> Value {
        let (lo, hi) = (self.c(f64::MIN_POSITIVE), self.c(f64::MAX));
        let x = self.clamp(x, lo, hi);
        let l = self.log2(x);
        let y = self.mul(p, l);
        let (lo, hi) = (self.c(-1000.0), self.c(1000.0));
        let y = self.clamp(y, lo, hi);
        self.exp2(y)
    }

    /// `x = 2ᵉ·m` with 1 ≤ m < 2, of a positive, normal number.
    fn split(&mut self, x: Value) -> (Value, Value) {
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
        (e, m)
    }

    /// The first half of `power`: the binary logarithm of a positive, normal number.
    pub fn log2(&mut self, x: Value) -> Value {
        let (e, m) = self.split(x);
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
    pub fn exp2(&mut self, y: Value) -> Value {
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
    pub fn weight(&mut self, atol: f64, rtol: f64, a: Value, b: Value) -> Value {
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
    pub fn norm(&mut self, v: &[Value], x: &[Value], control: &Control) -> Value {
        let mut sum = self.c(0.0);
        for (i, (&v, &x)) in v.iter().zip(x).enumerate() {
            let w = self.weight(control.atol[i], control.rtol, x, x);
            let e = self.div(v, w);
            let e = self.mul(e, e);
            sum = self.add(sum, e);
        }
        self.mean_root(sum, x.len())
    }

    pub fn mean_root(&mut self, sum: Value, n: usize) -> Value {
        let n = self.c(n.max(1) as f64);
        let mean = self.div(sum, n);
        self.un(UnOp::Sqrt, mean)
    }

    pub fn states(&mut self, n: usize) -> Vec<Value> {
        (0..n).map(|i| self.load(Space::State, i)).collect()
    }

    /// [`crate::control::rough_log2`].
    pub fn rough_log2(&mut self, x: Value) -> Value {
        let (e, m) = self.split(x);
        let p = self.polynomial(m, &LOG2);
        self.add(p, e)
    }

    /// [`crate::control::rough_exp2`].
    pub fn rough_exp2(&mut self, y: Value) -> Value {
        let i = self.un(UnOp::Rint, y);
        let r = self.sub(y, i);
        let p = self.polynomial(r, &EXP2);
        let magic = self.c(MAGIC);
        let n = self.add(i, magic);
        let n = self.bits(n);
        let c = self.ci(1023);
        let n = self.int(IntOp::Add, n, c);
        let c52 = self.ci(52);
        let n = self.int(IntOp::Shl, n, c52);
        let n = self.float(n);
        self.mul(p, n)
    }

    /// `Σ c[k]·x^k`, fused.
    pub fn polynomial(&mut self, x: Value, c: &[f64]) -> Value {
        let mut p = self.c(c.last().copied().unwrap_or(0.0));
        for &c in c.iter().rev().skip(1) {
            let c = self.c(c);
            p = self.fma(p, x, c);
        }
        p
    }

    /// [`crate::control::inverse_weight`] of the larger of two.
    pub fn inverse_weight(&mut self, atol: f64, rtol: f64, a: Value, b: Value) -> Value {
        let (x, y) = (self.un(UnOp::Abs, a), self.un(UnOp::Abs, b));
        let m = if a == b { x } else { self.max(x, y) };
        let (limit, least, one) = (atol > f64::MIN_POSITIVE, self.c(f64::MIN_POSITIVE), self.c(1.0));
        let (atol, rtol) = (self.c(atol), self.c(rtol));
        let w = self.fma(rtol, m, atol);
        // a weight that is no number belongs to an error that is none either
        let w = if limit { w } else { self.max(w, least) };
        let (flip, bits) = (self.ci(FLIP as i64), self.bits(w));
        let y = self.int(IntOp::Sub, flip, bits);
        let y = self.float(y);
        let minus = self.un(UnOp::Neg, w);
        let r = self.fma(minus, y, one);
        let s = self.fma(r, r, r);
        self.fma(y, s, y)
    }

    /// The step that [`Clock::trial`](crate::control::Clock::trial) tries next.
    pub fn trial(&mut self, control: &Control) -> Trial {
        let t = self.load(Space::Time, 0);
        let (wanted, stop) = (self.slot(Slot::H), self.slot(Slot::Stop));
        self.trial_of(t, wanted, stop, control)
    }

    /// The same for a step wanted from `t`.
    pub fn trial_of(&mut self, t: Value, wanted_h: Value, stop: Value, control: &Control) -> Trial {
        let w = self;
        let (half, two) = (w.c(0.5), w.c(2.0));
        let rest = w.sub(stop, t);
        let mut wanted = wanted_h;
        if control.h_max < f64::INFINITY {
            let h_max = w.c(control.h_max);
            wanted = w.min(wanted_h, h_max);
        }
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
        Trial { t, h, t1, wanted: wanted_h, stop, cut }
    }

    /// What [`SquareController`](crate::control::SquareController) makes of the mean square `q` of the error of a trial:
    /// writes `Time` and all slots but [`Slot::Stop`] and [`Slot::Status`].
    pub fn judge_square(&mut self, trial: &Trial, q: Value, control: &Control, law: &Law) -> Verdict {
        let w = self;
        let log_old = w.slot(Slot::LogOld);
        let one = w.c(1.0);
        let accepted = w.cmp(CmpOp::Le, q, one);
        // it is no less than 0
        let infinity = w.c(f64::INFINITY);
        let number = w.cmp(CmpOp::Lt, q, infinity);
        let least = w.c(LEAST);
        // above 1 this changes nothing
        let q = w.max(q, least);
        let log = w.rough_log2(q);
        let (safety, beta) = (w.c(rough_log2(law.safety)), w.c(0.5 * law.beta));
        let with_past = w.fma(log_old, beta, safety);
        let base = w.select(accepted, with_past, safety);
        let (alpha, retry) = (w.c(-0.5 * law.alpha), w.c(-0.5 * law.retry));
        let p = w.select(accepted, alpha, retry);
        let y = w.fma(log, p, base);
        let f = w.rough_exp2(y);
        let least = w.c(rough_log2(LEAST_PAST));
        let past = w.max(log, least);
        w.conclude(trial, Judged { accepted, number, f, past }, control, law)
    }

    fn conclude(&mut self, trial: &Trial, judged: Judged, control: &Control, law: &Law) -> Verdict {
        let w = self;
        let Trial { t, h, t1, wanted: wanted_h, stop, cut } = *trial;
        let Judged { accepted, number, f, past } = judged;
        let (log_old, was_rejected) = (w.slot(Slot::LogOld), w.slot(Slot::Rejected));
        let (zero, one) = (w.c(0.0), w.c(1.0));
        let rejected_before = w.cmp(CmpOp::Ne, was_rejected, zero);
        let (lo, hi, retry) = (w.c(law.min_factor), w.c(law.max_factor), w.c(AGAIN));
        let most = w.select(rejected_before, one, hi);
        let most = w.select(accepted, most, retry);
        let f = w.clamp(f, lo, most);
        let quarter = w.c(FAILED);
        let f = w.select(number, f, quarter);
        let next = w.mul(h, f);
        let longer = w.max(next, wanted_h);
        let keeps = w.and(accepted, cut);
        let next = w.select(keeps, longer, next);

        let new_old = w.select(accepted, past, log_old);
        let now = w.select(accepted, t1, t);
        let refused = w.select(accepted, zero, one);
        let taken = w.select(accepted, one, zero);
        let arrived = w.cmp(CmpOp::Ge, now, stop);
        let s = w.count([taken, refused], accepted, (t, next), arrived, control);
        w.store(Space::Time, 0, now);
        w.put(Slot::H, next);
        w.put(Slot::LogOld, new_old);
        w.put(Slot::Rejected, refused);
        Verdict { accepted, status: s }
    }

    /// The larger one; the second where one is no number.
    fn most(&mut self, a: Value, b: Value) -> Value {
        let more = self.cmp(CmpOp::Gt, a, b);
        self.select(more, a, b)
    }

    /// Leaves where the next step's algebraic blocks begin, and whether all of them were solved: `accepted` as for states.
    /// A host does the same operations where it goes on by a step.
    pub fn settle(&mut self, guesses: Option<&Guesses>, accepted: Option<Value>) -> Option<()> {
        let Some(g) = guesses else { return Some(()) };
        let old: Vec<Value> = (0..g.kept()).map(|k| self.load(Space::Jac, (g.first + k) as usize)).collect();
        for (&old, to) in old.iter().zip(g.before()..) {
            self.store(Space::Jac, to as usize, old);
        }
        let [since, lapse] = [g.since(0), g.lapse(0)].map(|s| s as usize);
        let [slopes, bends, moves] = [g.slopes(0), g.bends(0), g.moves(0)].map(|s| s as usize);
        let [trust, faith] = [g.trust(0), g.faith(0)].map(|s| s as usize);
        let now = self.k.left(g.found() + g.len)?;
        let span = self.sub(now, old[since]);
        let both = self.add(span, old[lapse]);
        let square = self.mul(span, both);
        let [zero, one, doubt, distrust, fading] = [0.0, 1.0, DOUBT, DISTRUST, FADING].map(|c| self.c(c));
        let [beside, aside, speck] = [g.limits.beside, g.limits.aside, g.limits.speck].map(|c| self.c(c));
        let later = self.cmp(CmpOp::Gt, span, zero);
        let mut new = old.clone();
        new[since] = now;
        new[lapse] = self.select(later, span, old[lapse]);
        for k in 0..g.len as usize {
            let found = self.k.left(g.found() + k as u32)?;
            let step = self.sub(found, old[k]);
            let straight = self.mul(span, old[slopes + k]);
            let bent = self.mul(square, old[bends + k]);
            let way = self.add(straight, bent);
            let ahead = self.add(old[k], way);
            let off = self.sub(found, ahead);
            let slope = self.div(step, span);
            let turned = self.sub(slope, old[slopes + k]);
            let bend = self.div(turned, both);
            let [step, off] = [step, off].map(|v| self.un(UnOp::Abs, v));
            let moved = self.most(step, old[moves + k]);
            let least = self.c(g.least.get(k).copied()?);
            let size = self.un(UnOp::Abs, found);
            let size = self.most(size, least);
            let speck = self.mul(speck, size);
            for (at, beside, lost) in [(trust, beside, doubt), (faith, aside, distrust)] {
                let most = self.mul(beside, moved);
                let most = self.most(most, speck);
                let seen = self.cmp(CmpOp::Le, off, most);
                let won = self.add(old[at + k], one);
                let whole = self.cmp(CmpOp::Gt, won, zero);
                let won = self.select(whole, zero, won);
                let won = self.select(seen, won, lost);
                new[at + k] = self.select(later, won, old[at + k]);
            }
            let faded = self.mul(fading, old[moves + k]);
            let moved = self.most(step, faded);
            new[k] = found;
            for (at, value) in [(slopes, slope), (bends, bend), (moves, moved)] {
                new[at + k] = self.select(later, value, old[at + k]);
            }
        }
        for (k, (&new, &old)) in new.iter().zip(&old).enumerate() {
            let new = match accepted {
                Some(accepted) => self.select(accepted, new, old),
                None => new,
            };
            self.store(Space::Jac, g.first as usize + k, new);
        }
        let fine = self.k.fine(g.fine)?;
        self.store(Space::Jac, g.fine as usize, fine);
        Some(())
    }

    /// Counts a trial, by what it adds to the accepted and the refused ones, and says how its lane goes on: `t` and `next`
    /// are where it began and the step that is tried next.
    pub fn count(
        &mut self,
        more: [Value; 2],
        accepted: Value,
        (t, next): (Value, Value),
        arrived: Value,
        control: &Control,
    ) -> Value {
        let w = self;
        let [steps, trials] = [Slot::Steps, Slot::Trials].map(|s| w.slot(s));
        let (steps, trials) = (w.add(steps, more[0]), w.add(trials, more[1]));
        w.put(Slot::Steps, steps);
        w.put(Slot::Trials, trials);
        let c = w.c(0.1);
        let d = w.mul(c, next);
        let d = w.add(t, d);
        let moves = w.cmp(CmpOp::Gt, d, t);
        let fine = w.or(accepted, moves);
        let [running, complete, small, too_many] =
            [status::RUNNING, status::COMPLETE, status::TOO_SMALL, status::TOO_MANY].map(|s| w.c(s));
        let mut s = running;
        if control.max_steps < u64::MAX {
            let all = w.add(steps, trials);
            let limit = w.c(control.max_steps as f64);
            let many = w.cmp(CmpOp::Ge, all, limit);
            s = w.select(many, too_many, running);
        }
        let s = w.select(fine, s, small);
        w.select(arrived, complete, s)
    }
}

/// The start of a run with a method of this order: reads `State`, `Time`, [`Slot::Stop`]; writes `Der` and all other slots.
pub(crate) fn start(program: &Program, control: &Control, order: u32) -> Option<Kernel> {
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
            let (c, p) = (w.c(0.01), w.c(1.0 / (f64::from(order) + 1.0)));
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
    let c = w.c(rough_log2(LEAST_PAST));
    w.put(Slot::LogOld, c);
    for s in [Slot::Rejected, Slot::Steps, Slot::Trials] {
        w.put(s, zero);
    }
    Some(w.k.kernel())
}
