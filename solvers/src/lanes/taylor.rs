//! The kernels of `taylor` on lanes: how a run starts, and a whole step with its control.
//!
//! The same arithmetic, operation by operation, as [`crate::taylor`] does for a single run. A step is judged with the
//! coefficients at its end, which are those of the next one: a run of the kernel expands at the point in `State`, judges the
//! step that led there, and either goes a step on or back to where that step began, with a shorter one to try. What is
//! accepted stands in the slots from [`BASE`] on, and its time in [`BEFORE`].
//!
//! A run that is looked at after each step ([`seat`]) has the coefficients where its step begins in its lane: a run of the
//! kernel goes from there, expands at the end, and judges.

use super::writer::{Control, SLOTS, Slot, Trial, Writer, status};
use crate::taylor::{GROWTH, OUTSIDE, RESOLUTION, SHORTER, allowed, order};
use twinml_model::ids::Value;
use twinml_model::ir::{CmpOp, Kernel, Op, Space, Ty, UnOp};
use twinml_model::lanes::LaneMemory;
use twinml_model::passes::rk4::Inline;
use twinml_model::passes::taylor::expansion;
use twinml_model::program::Program;

/// The slot of `Jac` with the time that is accepted: where the step began that is to be judged.
pub(super) const BEFORE: usize = SLOTS as usize;
/// That step's length, in seconds; 0 where there is none.
const DONE: usize = BEFORE + 1;
/// The first slot of a state that is accepted; behind all of them the polynomial's slopes at the end of the step, and one
/// over the tolerances at its start.
pub(super) const BASE: usize = DONE + 1;

/// The length of `Jac` for so many states.
pub(super) fn room(states: u32) -> Option<u32> {
    states.checked_mul(3)?.checked_add(BASE as u32)
}

/// The start of a run in a lane: reads `State` and `Time`, writes all slots. False where it is over as it begins.
pub(super) fn begin(memory: &mut LaneMemory, lane: usize, stop: f64, h: Option<f64>) -> bool {
    let n = memory.sizes().state as usize;
    let t = memory.slot(Space::Time, 0)[lane];
    let mut finite = true;
    for i in 0..n {
        let x = memory.slot(Space::State, i)[lane];
        finite &= x.is_finite();
        for (k, value) in [x, 0.0, 0.0].into_iter().enumerate() {
            memory.slot_mut(Space::Jac, BASE + k * n + i)[lane] = value;
        }
    }
    let status = match (finite, stop > t) {
        (false, _) => status::FAILED,
        (true, true) => status::RUNNING,
        (true, false) => status::COMPLETE,
    };
    let given = if h.is_some() { 1.0 } else { 0.0 };
    for (slot, value) in [
        (Slot::H as usize, h.unwrap_or(f64::INFINITY)),
        (Slot::Stop as usize, stop),
        (Slot::LogOld as usize, 0.0),
        (Slot::Rejected as usize, given),
        (Slot::Status as usize, status),
        (Slot::Steps as usize, 0.0),
        (Slot::Trials as usize, 0.0),
        (BEFORE, t),
        (DONE, 0.0),
    ] {
        memory.slot_mut(Space::Jac, slot)[lane] = value;
    }
    status == status::RUNNING
}

/// A step. `None` where the right-hand side has no recurrences.
pub(super) fn trial(program: &Program, control: &Control) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let p = order(control.rtol);
    let expansion = expansion(program, p).ok()?;
    let c = expansion.c;
    let mut kernel = expansion.kernel;
    kernel.name = format!("taylor of {}", program.rhs.name);
    let mut w = Writer { k: Inline::after(program, kernel) };
    let x = w.states(n);
    let row = |w: &mut Writer<'_>, k: usize| -> Vec<Value> {
        (0..n).map(|i| w.load(Space::Jac, BASE + k * n + i)).collect()
    };
    let (base, slope, inverse_prev) = (row(&mut w, 0), row(&mut w, 1), row(&mut w, 2));
    let t = w.load(Space::Time, 0);
    let [wanted_h, stop, refused_before] = [Slot::H, Slot::Stop, Slot::Rejected].map(|s| w.slot(s));
    let (before, done) = (w.load(Space::Jac, BEFORE), w.load(Space::Jac, DONE));
    let (zero, one) = (w.c(0.0), w.c(1.0));

    let inverse = w.weigh(control, &x);
    let (h, finite) = w.radius(&c, &inverse, t, wanted_h);
    let err = w.defect(&slope, &c[0], (&inverse, &inverse_prev), done, p);
    let none = w.cmp(CmpOp::Eq, done, zero);
    let small = w.cmp(CmpOp::Le, err, one);
    let accepted = w.or(small, none);
    let accepted = w.and(accepted, finite);
    let number = w.finite(err);
    let number = w.and(number, finite);

    // what comes next: a step from here
    let again = w.cmp(CmpOp::Ne, refused_before, zero);
    let h = w.select(again, wanted_h, h);
    let wanted = h;
    let trial = w.trial_of(t, wanted, stop, control);
    let (h, t1, cut) = (trial.h, trial.t1, trial.cut);
    let (x1, slope1) = w.horner(&x, &c, h);
    // or back
    let (shorter, outside) = (w.c(SHORTER), w.c(OUTSIDE));
    let f = w.select(number, shorter, outside);
    let less = w.mul(f, done);
    let longer = w.max(wanted, h);
    let next = w.select(cut, longer, h);
    let next = w.select(accepted, next, less);

    let taken = w.k.push_as(Op::Not(none), Ty::Bool);
    let taken = w.and(taken, accepted);
    let taken = w.select(taken, one, zero);
    let refused = w.select(accepted, zero, one);
    let reached = w.select(accepted, t, before);
    let arrived = w.cmp(CmpOp::Ge, reached, stop);
    let s = w.count([taken, refused], accepted, (before, less), arrived, control);
    let failed = w.c(status::FAILED);
    let bad = w.k.push_as(Op::Not(finite), Ty::Bool);
    let bad = w.and(bad, none);
    let s = w.select(bad, failed, s);
    for i in 0..n {
        let now = w.select(accepted, x[i], base[i]);
        let v = w.select(accepted, x1[i], base[i]);
        w.store(Space::State, i, v);
        w.store(Space::Jac, BASE + i, now);
        w.store(Space::Jac, BASE + n + i, slope1[i]);
        w.store(Space::Jac, BASE + 2 * n + i, inverse[i]);
    }
    let v = w.select(accepted, t1, before);
    w.store(Space::Time, 0, v);
    w.store(Space::Jac, BEFORE, reached);
    let v = w.select(accepted, h, zero);
    w.store(Space::Jac, DONE, v);
    w.put(Slot::H, next);
    w.put(Slot::Rejected, refused);
    w.put(Slot::Status, s);
    Some(w.k.kernel())
}

impl Writer<'_> {
    /// `Taylor::weigh`
    fn weigh(&mut self, control: &Control, x: &[Value]) -> Vec<Value> {
        let one = |(i, &x): (usize, &Value)| self.inverse_weight(control.atol[i], control.rtol, x, x);
        x.iter().enumerate().map(one).collect()
    }

    /// `Taylor::radius`, not beyond so many times `wanted`; whether the last two terms are finite.
    fn radius(&mut self, c: &[Vec<Value>], inverse: &[Value], t: Value, wanted: Value) -> (Value, Value) {
        let w = self;
        let (n, p) = (inverse.len(), c.len());
        let mut y = None;
        let mut finite = w.k.push_as(Op::ConstB(true), Ty::Bool);
        // orders are 4 or more
        for (k, terms) in c.iter().enumerate().skip(p.saturating_sub(2)) {
            let terms: Vec<Value> = terms.iter().zip(inverse).map(|(&t, &i)| w.mul(t, i)).collect();
            let sum = w.squares(&terms);
            let inf = w.c(f64::INFINITY);
            let f = w.cmp(CmpOp::Lt, sum, inf);
            finite = w.and(finite, f);
            let (a, b) = allowed(n, k as u32 + 1);
            let (a, b) = (w.c(a), w.c(b));
            let log = w.rough_log2(sum);
            let log = w.fma(log, a, b);
            y = Some(match y {
                None => log,
                Some(y) => w.min(log, y),
            });
        }
        let y = match y {
            Some(y) => y,
            None => w.c(0.0),
        };
        let h = w.rough_exp2(y);
        let growth = w.c(GROWTH);
        let most = w.mul(growth, wanted);
        let h = w.min(h, most);
        let (c_least, m) = (w.c(RESOLUTION), w.un(UnOp::Abs, t));
        let least = w.mul(c_least, m);
        (w.max(h, least), finite)
    }

    /// `Taylor::judge`: the slope of the polynomial and that of the equation at the end of a step of length `done`, with one
    /// over the tolerances at its end and at its start.
    fn defect(
        &mut self,
        slope: &[Value],
        there: &[Value],
        (inverse, inverse_prev): (&[Value], &[Value]),
        done: Value,
        p: u32,
    ) -> Value {
        let w = self;
        let n = slope.len();
        let errors: Vec<Value> = (0..n)
            .map(|i| {
                let d = w.sub(slope[i], there[i]);
                let weight = w.min(inverse[i], inverse_prev[i]);
                w.mul(d, weight)
            })
            .collect();
        let sum = w.squares(&errors);
        let f = w.c(1.0 / f64::from(p + 1));
        let scale = w.mul(done, f);
        let scale = w.mul(scale, scale);
        let err = w.mul(sum, scale);
        let f = w.c(1.0 / n.max(1) as f64);
        w.mul(err, f)
    }

    /// The sum of squares, each fused with those before.
    fn squares(&mut self, of: &[Value]) -> Value {
        let mut sum = None;
        for &e in of {
            sum = Some(match sum {
                None => self.mul(e, e),
                Some(sum) => self.fma(e, e, sum),
            });
        }
        match sum {
            Some(sum) => sum,
            None => self.c(0.0),
        }
    }

    /// `x + Σ c[k]·h^k`, and the slope there.
    fn horner(&mut self, x: &[Value], c: &[Vec<Value>], h: Value) -> (Vec<Value>, Vec<Value>) {
        // orders are 4 or more
        let [low @ .., before, last] = c else { return (x.to_vec(), x.to_vec()) };
        let mut slope = last.clone();
        let mut out: Vec<Value> = (0..x.len()).map(|i| self.fma(last[i], h, before[i])).collect();
        for terms in low.iter().rev().map(Vec::as_slice).chain([x]) {
            for i in 0..x.len() {
                slope[i] = self.fma(slope[i], h, out[i]);
                out[i] = self.fma(out[i], h, terms[i]);
            }
        }
        (out, slope)
    }
}

/// Steps of runs that are looked at.
pub(crate) mod seat {
    use super::*;
    use std::sync::Arc;

    /// Where the step began, where it ended, its length.
    pub(crate) const FROM: u32 = SLOTS;
    pub(crate) const TO: u32 = FROM + 1;
    pub(crate) const LENGTH: u32 = FROM + 2;
    /// The states where it began; behind them the coefficients there, of order 1 first, then those where it ended.
    pub(crate) const STATES: u32 = FROM + 3;

    /// Slots in all; `None` where numbers of slots do not reach as far.
    pub(crate) fn slots(n: u32, p: u32) -> Option<u32> {
        p.checked_mul(2)?.checked_add(1)?.checked_mul(n)?.checked_add(STATES)
    }

    /// Where the coefficients are from which the next step goes.
    pub(crate) fn next(n: u32, p: u32) -> usize {
        (STATES + n + n * p) as usize
    }

    /// A trial step: reads and writes `State`, `Time` and the slots. `None` where the right-hand side has no recurrences.
    pub(crate) fn trial(program: &Program, control: &Control) -> Option<Kernel> {
        let n = program.sizes.state as usize;
        let p = order(control.rtol);
        let expansion = expansion(program, p).ok()?;
        let name = format!("taylor of {}", program.rhs.name);
        let recurrences = Arc::new(expansion.kernel);
        let k = Inline::of_length(program, name, recurrences.values.len() + 8 * n * p as usize);
        let mut w = Writer { k };
        let x = w.states(n);
        let first = next(n as u32, p);
        let c: Vec<Vec<Value>> = (0..p as usize)
            .map(|k| (0..n).map(|i| w.load(Space::Jac, first + k * n + i)).collect())
            .collect();
        let trial = w.trial(control);
        let Trial { t, h, t1, cut, .. } = trial;
        let (x1, slope) = w.horner(&x, &c, h);
        let values = w.k.values(recurrences, t1, &x1)?;
        let there: Vec<Vec<Value>> = expansion
            .c
            .iter()
            .map(|c| c.iter().map(|v| values.get(v.index()).copied().flatten()).collect::<Option<_>>())
            .collect::<Option<_>>()?;
        let (inverse, inverse_prev) = (w.weigh(control, &x1), w.weigh(control, &x));
        let asked = w.slot(Slot::H);
        let longer = w.max(asked, h);
        let wanted = w.select(cut, longer, h);
        let (after, finite) = w.radius(&there, &inverse, t1, wanted);
        let err = w.defect(&slope, &there[0], (&inverse, &inverse_prev), h, p);
        let (zero, one) = (w.c(0.0), w.c(1.0));
        let small = w.cmp(CmpOp::Le, err, one);
        let accepted = w.and(small, finite);
        let number = w.finite(err);
        let number = w.and(number, finite);
        let (shorter, outside) = (w.c(SHORTER), w.c(OUTSIDE));
        let f = w.select(number, shorter, outside);
        let less = w.mul(f, h);
        let next = w.select(accepted, after, less);
        let taken = w.select(accepted, one, zero);
        let refused = w.select(accepted, zero, one);
        let now = w.select(accepted, t1, t);
        let stop = w.slot(Slot::Stop);
        let arrived = w.cmp(CmpOp::Ge, now, stop);
        let s = w.count([taken, refused], accepted, (t, next), arrived, control);
        for i in 0..n {
            let v = w.select(accepted, x1[i], x[i]);
            w.store(Space::State, i, v);
            w.store(Space::Jac, STATES as usize + i, x[i]);
        }
        for (k, (old, new)) in c.iter().zip(&there).enumerate() {
            for i in 0..n {
                w.store(Space::Jac, STATES as usize + n + k * n + i, old[i]);
                let v = w.select(accepted, new[i], old[i]);
                w.store(Space::Jac, first + k * n + i, v);
            }
        }
        w.store(Space::Jac, FROM as usize, t);
        w.store(Space::Jac, TO as usize, t1);
        w.store(Space::Jac, LENGTH as usize, h);
        w.store(Space::Time, 0, now);
        w.put(Slot::H, next);
        w.put(Slot::Rejected, refused);
        w.put(Slot::Status, s);
        Some(w.k.kernel())
    }

    /// Dense output: reads the slots, `TState` (the states at the end of the step) and `TTime`, the instant that is asked
    /// for; writes `State` and `Time`. The arithmetic of [`crate::taylor`].
    pub(crate) fn interpolant(program: &Program, p: u32) -> Kernel {
        let n = program.sizes.state as usize;
        let mut w = Writer { k: Inline::of(program, format!("dense output of {}", program.rhs.name)) };
        let t = w.load(Space::TTime, 0);
        let (from, to) = (w.load(Space::Jac, FROM as usize), w.load(Space::Jac, TO as usize));
        let (at_end, at_start) = (w.cmp(CmpOp::Eq, t, to), w.cmp(CmpOp::Eq, t, from));
        let since = w.sub(t, from);
        let zero = w.c(0.0);
        for i in 0..n {
            let x = w.load(Space::Jac, STATES as usize + i);
            let mut inside = zero;
            for k in (0..p as usize).rev() {
                let c = w.load(Space::Jac, STATES as usize + n + k * n + i);
                inside = w.fma(inside, since, c);
            }
            inside = w.fma(inside, since, x);
            let last = w.load(Space::TState, i);
            let v = w.select(at_start, x, inside);
            let v = w.select(at_end, last, v);
            w.store(Space::State, i, v);
        }
        w.store(Space::Time, 0, t);
        w.k.kernel()
    }
}
