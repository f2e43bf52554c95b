//! The trial step of a Rosenbrock method on lanes: the lines of [`crate::rosenbrock::fused`] with the control of
//! [`crate::rosenbrock`], and a lane whose diagonal does not serve as pivots left to a run alone.

use super::writer::{Control, Slot, Verdict, Writer, status};
use crate::rosenbrock::fused::{Code, GROWTH};
use crate::rosenbrock::tableau::Tableau;
use twinml_model::ids::Value;
use twinml_model::ir::{CmpOp, Kernel, Space};
use twinml_model::passes::rk4::Inline;
use twinml_model::passes::straight::Guesses;
use twinml_model::program::Program;

/// What a trial leaves in slots of `Jac` behind those of [`Slot`] for runs that are looked at within their steps.
pub(crate) mod dense {
    use super::super::writer::SLOTS;

    /// Where the step began, its length.
    pub const FROM: u32 = SLOTS;
    pub const LENGTH: u32 = FROM + 1;
    /// Where it ended.
    pub const TO: u32 = FROM + 2;
    /// The states where it began; behind them the stages' `k`, one after the other.
    pub const STATES: u32 = FROM + 3;

    /// Slots in all, for `n` states.
    pub const fn slots(n: u32, stages: u32) -> u32 {
        STATES + (1 + stages) * n
    }
}

/// A trial step: reads and writes `State`, `Time` and the slots.
pub(super) fn trial(program: &Program, tableau: &'static Tableau, control: &Control) -> Option<Kernel> {
    trial_as(program, tableau, control, false, None)
}

/// As [`trial`]; leaves the whole step where that is asked for. `guesses`: where blocks begin, whose flag says whether they were
/// solved.
pub(super) fn trial_as(
    program: &Program,
    tableau: &'static Tableau,
    control: &Control,
    whole: bool,
    guesses: Option<&Guesses>,
) -> Option<Kernel> {
    let code = Code::new(program, tableau, control.rtol, &control.atol, guesses)?;
    let n = program.sizes.state as usize;
    let mut w = Writer { k: Inline::of(program, format!("rosenbrock of {}", program.rhs.name)) };
    let x = w.states(n);
    let trial = w.trial(control);
    let a = code.attempt(&mut w, trial.t, trial.h, trial.t1, &x)?;
    let law = crate::rosenbrock::law(tableau);
    let (limit, alone, infinite) = (w.c(GROWTH), w.c(status::ALONE), w.c(f64::INFINITY));
    let serves = w.cmp(CmpOp::Le, a.growth, limit);
    let error = w.select(serves, a.error, infinite);
    let Verdict { accepted, status: going } = w.judge_square(&trial, error, control, &law);
    let going = w.select(serves, going, alone);
    for (i, (&new, &old)) in a.x1.iter().zip(&x).enumerate() {
        let v = w.select(accepted, new, old);
        w.store(Space::State, i, v);
    }
    if whole {
        w.store(Space::Jac, dense::FROM as usize, trial.t);
        w.store(Space::Jac, dense::LENGTH as usize, trial.h);
        w.store(Space::Jac, dense::TO as usize, trial.t1);
        for (slot, &v) in x.iter().chain(a.k.iter().flatten()).enumerate() {
            w.store(Space::Jac, dense::STATES as usize + slot, v);
        }
    }
    w.put(Slot::Status, going);
    w.settle(guesses, Some(accepted))?;
    Some(w.k.kernel())
}

/// Dense output: reads the slots of [`dense`], `TState` (the states at the end of the step) and `TTime`, the instant that is
/// asked for; writes `State` and `Time`. The arithmetic of [`crate::rosenbrock`].
pub(super) fn interpolant(program: &Program, tableau: &'static Tableau) -> Kernel {
    let n = program.sizes.state as usize;
    let mut w = Writer { k: Inline::of(program, format!("dense output of {}", program.rhs.name)) };
    let t = w.load(Space::TTime, 0);
    let [from, length, to] =
        [dense::FROM, dense::LENGTH, dense::TO].map(|slot| w.load(Space::Jac, slot as usize));
    let (at_end, at_start) = (w.cmp(CmpOp::Eq, t, to), w.cmp(CmpOp::Eq, t, from));
    let since = w.sub(t, from);
    let s = w.div(since, length);
    let one = w.c(1.0);
    let r = w.sub(one, s);
    let bend = w.mul(s, r);
    let [h0, h1, h2] = &tableau.dense;
    let weights: Vec<Value> = (0..tableau.stages)
        .map(|j| {
            let [c0, c1, c2] = [h0[j], h1[j], h2[j]].map(|c| w.c(c));
            let p = w.mul(s, c2);
            let p = w.add(c1, p);
            let p = w.mul(s, p);
            let p = w.add(c0, p);
            w.mul(bend, p)
        })
        .collect();
    for i in 0..n {
        let x0 = w.load(Space::Jac, dense::STATES as usize + i);
        let x1 = w.load(Space::TState, i);
        let d = w.sub(x1, x0);
        let mut v = w.mul(s, d);
        for (j, &weight) in weights.iter().enumerate() {
            let k = w.load(Space::Jac, dense::STATES as usize + (1 + j) * n + i);
            let d = w.mul(weight, k);
            v = w.add(v, d);
        }
        let v = w.add(v, x0);
        let v = w.select(at_start, x0, v);
        let v = w.select(at_end, x1, v);
        w.store(Space::State, i, v);
    }
    w.store(Space::Time, 0, t);
    w.k.kernel()
}
