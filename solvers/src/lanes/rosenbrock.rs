//! The trial step of a Rosenbrock method on lanes: the lines of [`crate::rosenbrock::fused`] with the control of
//! [`crate::rosenbrock`], and a lane whose diagonal does not serve as pivots left to a run alone.

use super::writer::{Control, Law, Slot, Verdict, Writer, status};
use crate::rosenbrock::fused::{Code, GROWTH};
use crate::rosenbrock::tableau::Tableau;
use twinml_model::ir::{CmpOp, Kernel, Space};
use twinml_model::passes::rk4::Inline;
use twinml_model::program::Program;

/// A trial step: reads and writes `State`, `Time` and the slots.
pub(super) fn trial(program: &Program, tableau: &'static Tableau, control: &Control) -> Option<Kernel> {
    let code = Code::new(program, tableau, control.rtol, &control.atol)?;
    let n = program.sizes.state as usize;
    let mut w = Writer { k: Inline::of(program, format!("rosenbrock of {}", program.rhs.name)) };
    let x = w.states(n);
    let trial = w.trial(control);
    let a = code.attempt(&mut w, trial.t, trial.h, trial.t1, &x)?;
    let k = f64::from(tableau.order);
    let law = Law::new(k, 1.0, 0.0, 0.9, 0.2, 6.0);
    let (limit, alone, infinite) = (w.c(GROWTH), w.c(status::ALONE), w.c(f64::INFINITY));
    let serves = w.cmp(CmpOp::Le, a.growth, limit);
    let error = w.select(serves, a.error, infinite);
    let Verdict { accepted, status: going } = w.judge(&trial, error, control, &law);
    let going = w.select(serves, going, alone);
    for (i, (&new, &old)) in a.x1.iter().zip(&x).enumerate() {
        let v = w.select(accepted, new, old);
        w.store(Space::State, i, v);
    }
    w.put(Slot::Status, going);
    Some(w.k.kernel())
}
