//! The kernels of explicit pairs of order 5(4), `tsit5` and `dopri5`, on lanes: a whole trial step with its control, and
//! dense output.
//!
//! The same arithmetic, operation by operation, as [`crate::rk::embedded`] does for a single run.

use super::writer::{Control, Slot, Verdict, Writer, longer};
use crate::rk::embedded::{STABILITY, Tableau, law};
use crate::rk::tsit5;
use twinml_model::ids::Value;
use twinml_model::ir::{CmpOp, Kernel, Op, Place, Space, Stmt, UnOp};
use twinml_model::passes::rk4::Inline;
use twinml_model::passes::straight::Guesses;
use twinml_model::program::Program;

/// `x + h·Σ a·k`, as [`crate::rk::fused`].
fn stage(w: &mut Writer<'_>, x: &[Value], h: Value, a: &[f64], k: &[Vec<Value>]) -> Vec<Value> {
    (0..x.len())
        .map(|i| {
            let s = combination(w, a, k, i);
            s.map_or(x[i], |s| w.fma(h, s, x[i]))
        })
        .collect()
}

/// `Σ a·k` of a state.
fn combination(w: &mut Writer<'_>, a: &[f64], k: &[Vec<Value>], i: usize) -> Option<Value> {
    let mut sum = None;
    for (&a, k) in a.iter().zip(k) {
        let c = w.c(a);
        sum = Some(match sum {
            Some(s) => w.fma(c, k[i], s),
            None => w.mul(c, k[i]),
        });
    }
    sum
}

/// For each state the state that its derivative is.
fn speeds(program: &Program) -> Vec<Option<usize>> {
    let n = program.sizes.state as usize;
    let slot = |place: &Place, space| {
        let at = usize::try_from(place.at.base).ok();
        at.filter(|&at| place.space == space && place.at.terms.is_empty() && at < n)
    };
    let mut all = vec![None; n];
    for stmt in &program.rhs.body {
        if let Stmt::Store { place, value, .. } = stmt
            && let Some(i) = slot(place, Space::Der)
        {
            all[i] = match &program.rhs.values[value.index()].op {
                Op::Load(place) => slot(place, Space::State),
                _ => None,
            };
        }
    }
    all
}

/// A trial step of `tsit5`: reads and writes `State`, `Time`, `Der` (the slope at the state) and the slots.
pub(super) fn trial(program: &Program, control: &Control) -> Option<Kernel> {
    trial_as::<tsit5::Coefficients>(program, control, Kept::Nothing, None)
}

/// What a trial leaves in slots of `Jac` behind those of [`Slot`].
pub(crate) mod dense {
    use super::super::writer::SLOTS;

    /// Where the step began, where it ended, its length.
    pub const FROM: u32 = SLOTS;
    pub const TO: u32 = FROM + 1;
    pub const LENGTH: u32 = FROM + 2;
    /// `h·|λ|` over the limit of stability, as [`crate::rk::embedded`] estimates it; read and written.
    pub const STIFFNESS: u32 = FROM + 3;
    /// The states where it began; behind them the seven slopes, one after the other.
    pub const STATES: u32 = FROM + 4;

    /// Slots in all, for `n` states.
    pub const fn slots(n: u32) -> u32 {
        STATES + 8 * n
    }
}

/// What of it a trial leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// Nothing more: enough to go on alone.
    Nothing,
    /// All.
    Step,
}

/// As [`trial`]; also leaves what is to be kept.
pub(super) fn trial_as<T: Tableau>(
    program: &Program,
    control: &Control,
    kept: Kept,
    guesses: Option<&Guesses>,
) -> Option<Kernel> {
    let whole = kept == Kept::Step;
    let n = program.sizes.state as usize;
    let name = format!("{} of {}", T::METHOD.name(), program.rhs.name);
    let more = longer(program, guesses);
    let mut w = Writer { k: Inline::of_length(program, name, more) };
    let x = w.states(n);
    // the slope of a state that is another state's value stands there already
    let speeds = speeds(program);
    let k1: Vec<Value> = (0..n).map(|i| speeds[i].map_or_else(|| w.load(Space::Der, i), |m| x[m])).collect();
    let trial = w.trial(control);
    let (t, h, t1) = (trial.t, trial.h, trial.t1);
    let zero = w.c(0.0);

    let mut k = vec![k1];
    let rows: [&[f64]; 6] = [&T::A2, &T::A3, &T::A4, &T::A5, &T::A6, &T::A7];
    let mut x1 = x.clone();
    let mut before = x.clone();
    let mut errors = Vec::with_capacity(n);
    for (j, a) in rows.into_iter().enumerate() {
        before = std::mem::replace(&mut x1, stage(&mut w, &x, h, a, &k));
        let at = if j < 4 {
            let c = w.c(T::C[j + 1]);
            let d = w.mul(c, h);
            w.add(t, d)
        } else {
            // what is known of the error before the last slope: nobody waits for it then
            for i in (0..n).filter(|_| j == 5) {
                let weight = w.inverse_weight(control.atol[i], control.rtol, x[i], x1[i]);
                errors.push((combination(&mut w, &T::E[..6], &k, i)?, weight));
            }
            t1
        };
        let slope = w.k.rhs(at, &x1)?;
        k.push(slope);
    }
    let mut sum = zero;
    // changes of slopes and of states between the last two stages
    let mut moved = [zero; 2];
    let c = w.c(T::E[6]);
    for (i, (e, weight)) in errors.into_iter().enumerate() {
        let e = w.fma(c, k[6][i], e);
        let e = w.mul(e, weight);
        sum = w.fma(e, e, sum);
        if whole {
            for (total, (a, b)) in moved.iter_mut().zip([(k[6][i], k[5][i]), (x1[i], before[i])]) {
                let d = w.sub(a, b);
                let d = w.mul(d, weight);
                *total = w.fma(d, d, *total);
            }
        }
    }
    let square = w.mul(h, h);
    let q = w.mul(sum, square);
    let c = w.c(1.0 / n.max(1) as f64);
    let q = w.mul(q, c);

    let Verdict { accepted, status } = w.judge_square(&trial, q, control, &law());
    for i in 0..n {
        let v = w.select(accepted, x1[i], x[i]);
        w.store(Space::State, i, v);
        let v = w.select(accepted, k[6][i], k[0][i]);
        w.store(Space::Der, i, v);
    }
    if whole {
        let [df, dx] = moved;
        let (some, infinite) = (w.cmp(CmpOp::Gt, dx, zero), w.c(f64::INFINITY));
        let finite = w.cmp(CmpOp::Lt, df, infinite);
        let known = w.and(some, finite);
        let s = w.div(df, dx);
        let s = w.un(UnOp::Sqrt, s);
        let s = w.mul(h, s);
        let limit = w.c(STABILITY);
        let s = w.div(s, limit);
        let old = w.load(Space::Jac, dense::STIFFNESS as usize);
        let s = w.select(known, s, old);
        w.store(Space::Jac, dense::STIFFNESS as usize, s);
        w.store(Space::Jac, dense::FROM as usize, t);
        w.store(Space::Jac, dense::TO as usize, t1);
        w.store(Space::Jac, dense::LENGTH as usize, h);
        let all = std::iter::once(&x).chain(&k).flatten();
        for (slot, &v) in all.enumerate() {
            w.store(Space::Jac, dense::STATES as usize + slot, v);
        }
    }
    w.put(Slot::Status, status);
    w.settle(guesses, Some(accepted))?;
    Some(w.k.kernel())
}

/// Dense output: reads the slots of [`dense`], `TState` (the states at the end of the step) and `TTime`, the instant that
/// is asked for; writes `State` and `Time`. The arithmetic of [`crate::rk::embedded`].
pub(super) fn interpolant<T: Tableau>(program: &Program) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let mut w = Writer { k: Inline::of(program, format!("dense output of {}", program.rhs.name)) };
    let t = w.load(Space::TTime, 0);
    let (from, to) = (w.load(Space::Jac, dense::FROM as usize), w.load(Space::Jac, dense::TO as usize));
    let h = w.load(Space::Jac, dense::LENGTH as usize);
    let at_end = w.cmp(CmpOp::Eq, t, to);
    let at_start = w.cmp(CmpOp::Eq, t, from);
    let since = w.sub(t, from);
    let theta = w.div(since, h);
    let mut b = Vec::with_capacity(7);
    for r in T::R {
        let mut s = w.c(r[3]);
        for &c in r[..3].iter().rev() {
            let d = w.mul(theta, s);
            let c = w.c(c);
            s = w.add(c, d);
        }
        b.push(w.mul(theta, s));
    }
    let slot = |j: usize, i: usize| dense::STATES as usize + j * n + i;
    for i in 0..n {
        let mut sum = None;
        for (j, &b) in b.iter().enumerate() {
            let k = w.load(Space::Jac, slot(j + 1, i));
            sum = Some(match sum {
                Some(s) => w.fma(b, k, s),
                None => w.mul(b, k),
            });
        }
        let x = w.load(Space::Jac, slot(0, i));
        let inside = w.fma(h, sum?, x);
        let last = w.load(Space::TState, i);
        let v = w.select(at_start, x, inside);
        let v = w.select(at_end, last, v);
        w.store(Space::State, i, v);
    }
    w.store(Space::Time, 0, t);
    Some(w.k.kernel())
}
