//! The kernels of `taylor` on lanes: how a run starts, and a whole step with its control.
//!
//! The same arithmetic, operation by operation, as [`crate::taylor`] does for a single run. A step is judged with the
//! coefficients at its end, which are those of the next one: a run of the kernel expands at the point in `State`, judges the
//! step that led there, and either goes a step on or back to where that step began, with a shorter one to try. What is
//! accepted stands in the slots from [`BASE`] on, and its time in [`BEFORE`].

use super::writer::{Control, SLOTS, Slot, Writer, status};
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

    // `Taylor::weigh`
    let inverse: Vec<Value> =
        (0..n).map(|i| w.inverse_weight(control.atol[i], control.rtol, x[i], x[i])).collect();

    // `Taylor::radius`
    let mut y = None;
    let mut finite = w.k.push_as(Op::ConstB(true), Ty::Bool);
    for k in [p - 1, p] {
        let terms = &c[k as usize - 1];
        let terms: Vec<Value> = (0..n).map(|i| w.mul(terms[i], inverse[i])).collect();
        let sum = w.squares(&terms);
        let f = {
            let inf = w.c(f64::INFINITY);
            w.cmp(CmpOp::Lt, sum, inf)
        };
        finite = w.and(finite, f);
        let (a, b) = allowed(n, k);
        let (a, b) = (w.c(a), w.c(b));
        let log = w.rough_log2(sum);
        let log = w.fma(log, a, b);
        y = Some(match y {
            None => log,
            Some(y) => w.min(log, y),
        });
    }
    let h = w.rough_exp2(y?);
    let growth = w.c(GROWTH);
    let most = w.mul(growth, wanted_h);
    let h = w.min(h, most);
    let (c_least, m) = (w.c(RESOLUTION), w.un(UnOp::Abs, t));
    let least = w.mul(c_least, m);
    let h = w.max(h, least);

    // `Taylor::judge`
    let errors: Vec<Value> = (0..n)
        .map(|i| {
            let d = w.sub(slope[i], c[0][i]);
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
    let err = w.mul(err, f);
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
