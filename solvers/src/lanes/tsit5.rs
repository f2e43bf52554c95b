//! The kernels of `tsit5` on lanes: how a run starts, and a whole trial step with its control.
//!
//! The same arithmetic, operation by operation, as [`crate::rk::embedded`] does for a single run.

use super::writer::{Control, Law, Slot, Verdict, Writer};
use crate::rk::embedded::Tableau;
use crate::rk::tsit5::Coefficients as T;
use twinml_model::ids::Value;
use twinml_model::ir::{Kernel, Space};
use twinml_model::passes::rk4::Inline;
use twinml_model::program::Program;

/// `x + h·Σ a·k`.
fn stage(w: &mut Writer<'_>, x: &[Value], h: Value, a: &[f64], k: &[Vec<Value>]) -> Vec<Value> {
    (0..x.len())
        .map(|i| {
            let mut sum = None;
            for (&a, k) in a.iter().zip(k) {
                let c = w.c(a);
                let d = w.mul(c, k[i]);
                sum = Some(match sum {
                    Some(s) => w.add(s, d),
                    None => d,
                });
            }
            match sum {
                Some(s) => {
                    let d = w.mul(h, s);
                    w.add(x[i], d)
                }
                None => x[i],
            }
        })
        .collect()
}

/// A trial step: reads and writes `State`, `Time`, `Der` (the slope at the state) and the slots.
pub(super) fn trial(program: &Program, control: &Control) -> Option<Kernel> {
    let n = program.sizes.state as usize;
    let mut w = Writer { k: Inline::of(program, format!("tsit5 of {}", program.rhs.name)) };
    let x = w.states(n);
    let k1: Vec<Value> = (0..n).map(|i| w.load(Space::Der, i)).collect();
    let trial = w.trial(control);
    let (t, h, t1) = (trial.t, trial.h, trial.t1);
    let zero = w.c(0.0);

    let mut k = vec![k1];
    let rows: [&[f64]; 6] = [&T::A2, &T::A3, &T::A4, &T::A5, &T::A6, &T::A7];
    let mut x1 = x.clone();
    for (j, a) in rows.into_iter().enumerate() {
        x1 = stage(&mut w, &x, h, a, &k);
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

    let law = Law::new(5.0, 0.85, 0.2, 0.9, 0.2, 10.0);
    let Verdict { accepted, status } = w.judge(&trial, err, control, &law);
    for i in 0..n {
        let v = w.select(accepted, x1[i], x[i]);
        w.store(Space::State, i, v);
        let v = w.select(accepted, k[6][i], k[0][i]);
        w.store(Space::Der, i, v);
    }
    w.put(Slot::Status, status);
    Some(w.k.kernel())
}
