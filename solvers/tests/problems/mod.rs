//! Problems with known solutions, written once over a scalar type: the Jacobian and the derivative by
//! time are exact, by dual numbers.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::needless_range_loop, reason = "one index runs over several vectors")]

pub mod classic;
pub mod detest;
pub mod pollution;
pub mod recurrences;
pub mod scalar;
pub mod stiff;

use scalar::{Dual, Scalar};
use twinml_solvers::system::{EvalError, Pattern, System};

/// A system `dx/dt = f(t, x)`.
pub trait Ode {
    /// The number of states.
    fn dim(&self) -> usize;
    /// `d = f(t, x)`.
    fn f<S: Scalar>(&self, t: S, x: &[S], d: &mut [S]);
    /// Sparsity; dense unless said otherwise.
    fn pattern(&self) -> Pattern {
        Pattern::dense(self.dim())
    }
    /// True if `f` does not depend on time.
    fn autonomous(&self) -> bool {
        true
    }
    /// The number of root functions.
    fn n_roots(&self) -> usize {
        0
    }
    /// Root functions.
    fn roots(&self, _t: f64, _x: &[f64], _g: &mut [f64]) {}
    /// The Jacobian by hand, if there is one: values in the order of the pattern.
    fn jacobian(&self, _t: f64, _x: &[f64], _values: &mut [f64]) -> bool {
        false
    }
}

/// An [`Ode`] as a solver sees it.
pub struct Fixture<O: Ode> {
    pub ode: O,
    pattern: Pattern,
    /// Columns that share no row, to be differentiated together.
    groups: Vec<Vec<usize>>,
    dual: Vec<Dual>,
    dual_out: Vec<Dual>,
}

impl<O: Ode> Fixture<O> {
    pub fn new(ode: O) -> Self {
        let n = ode.dim();
        let pattern = ode.pattern();
        assert_eq!(pattern.n(), n);
        let mut rows: Vec<Vec<bool>> = Vec::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for j in 0..n {
            let column = pattern.column(j);
            let free = rows.iter().position(|taken| column.iter().all(|&i| !taken[i]));
            let group = free.unwrap_or_else(|| {
                rows.push(vec![false; n]);
                groups.push(Vec::new());
                groups.len() - 1
            });
            column.iter().for_each(|&i| rows[group][i] = true);
            groups[group].push(j);
        }
        Fixture { ode, pattern, groups, dual: vec![Dual::default(); n], dual_out: vec![Dual::default(); n] }
    }

    fn tangent(&mut self, t: Dual, x: &[f64], v: impl Fn(usize) -> f64) {
        for (i, d) in self.dual.iter_mut().enumerate() {
            *d = Dual { v: x[i], d: v(i) };
        }
        self.ode.f(t, &self.dual, &mut self.dual_out);
    }
}

impl<O: Ode> System for Fixture<O> {
    fn dim(&self) -> usize {
        self.ode.dim()
    }
    fn rhs(&mut self, t: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        self.ode.f(t, x, dx);
        Ok(())
    }
    fn pattern(&self) -> &Pattern {
        &self.pattern
    }
    fn jacobian(&mut self, t: f64, x: &[f64], values: &mut [f64]) -> Result<(), EvalError> {
        if self.ode.jacobian(t, x, values) {
            return Ok(());
        }
        for group in 0..self.groups.len() {
            for (d, &v) in self.dual.iter_mut().zip(x) {
                *d = Dual { v, d: 0.0 };
            }
            for &j in &self.groups[group] {
                self.dual[j].d = 1.0;
            }
            self.ode.f(Dual { v: t, d: 0.0 }, &self.dual, &mut self.dual_out);
            for &j in &self.groups[group] {
                for k in self.pattern.col_ptr()[j]..self.pattern.col_ptr()[j + 1] {
                    values[k] = self.dual_out[self.pattern.rows()[k]].d;
                }
            }
        }
        Ok(())
    }
    fn jvp(&mut self, t: f64, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        self.tangent(Dual { v: t, d: 0.0 }, x, |i| v[i]);
        for (o, d) in out.iter_mut().zip(&self.dual_out) {
            *o = d.d;
        }
        Ok(())
    }
    fn autonomous(&self) -> bool {
        self.ode.autonomous()
    }
    fn dfdt(&mut self, t: f64, x: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        self.tangent(Dual { v: t, d: 1.0 }, x, |_| 0.0);
        for (o, d) in out.iter_mut().zip(&self.dual_out) {
            *o = d.d;
        }
        Ok(())
    }
    fn n_roots(&self) -> usize {
        self.ode.n_roots()
    }
    fn roots(&mut self, t: f64, x: &[f64], g: &mut [f64]) -> Result<(), EvalError> {
        self.ode.roots(t, x, g);
        Ok(())
    }
}

/// A problem with its reference solution.
pub struct Problem {
    pub name: &'static str,
    pub sys: Box<dyn System>,
    pub t0: f64,
    pub t1: f64,
    pub x0: Vec<f64>,
    /// The solution at `t1`; NaN where no component is judged.
    pub reference: Vec<f64>,
    /// Absolute tolerance for a relative one of 1e-8.
    pub atol: f64,
}

impl Problem {
    /// The largest relative error over the states that are judged (`|reference|` above `floor`).
    pub fn error(&self, x: &[f64], floor: f64) -> f64 {
        let mut worst: f64 = 0.0;
        for (a, r) in x.iter().zip(&self.reference) {
            if r.is_nan() {
                continue;
            }
            let e = (a - r).abs() / r.abs().max(floor);
            if e.is_nan() {
                return f64::INFINITY;
            }
            worst = worst.max(e);
        }
        worst
    }

    /// The largest `|error| / (|reference| + scale)`.
    pub fn error_scaled(&self, x: &[f64], scale: f64) -> f64 {
        let each = x.iter().zip(&self.reference).filter(|(_, r)| !r.is_nan());
        each.map(|(a, r)| (a - r).abs() / (r.abs() + scale)).fold(0.0, f64::max)
    }
}
