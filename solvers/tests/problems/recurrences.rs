//! Systems whose Taylor coefficients are written down by hand.

use twinml_solvers::system::{EvalError, Pattern, System};

/// Two systems of two states.
pub enum Model {
    /// `x' = v`, `v' = −x`
    Oscillator,
    /// `x' = 20·t^19`, of which no low coefficient is different from 0 at the start; `v' = 0`
    Late,
    /// No recurrences.
    None,
}

pub struct Two(pub Model, Pattern);

impl Two {
    pub fn new(model: Model) -> Two {
        Two(model, Pattern::dense(2))
    }
}

impl System for Two {
    fn dim(&self) -> usize {
        2
    }
    fn rhs(&mut self, _: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        (dx[0], dx[1]) = (x[1], -x[0]);
        Ok(())
    }
    fn pattern(&self) -> &Pattern {
        &self.1
    }
    fn jacobian(&mut self, _: f64, _: &[f64], _: &mut [f64]) -> Result<(), EvalError> {
        unreachable!("an explicit method")
    }
    fn jvp(&mut self, _: f64, _: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        (out[0], out[1]) = (v[1], -v[0]);
        Ok(())
    }
    fn dfdt(&mut self, _: f64, _: &[f64], _: &mut [f64]) -> Result<(), EvalError> {
        unreachable!("an explicit method")
    }
    fn taylor(&mut self, t: f64, x: &[f64], order: u32, c: &mut [f64]) -> Option<Result<(), EvalError>> {
        match self.0 {
            Model::Oscillator => {
                let mut last = [x[0], x[1]];
                for k in 1..=order as usize {
                    last = [last[1] / k as f64, -last[0] / k as f64];
                    c[2 * (k - 1)..2 * k].copy_from_slice(&last);
                }
            }
            Model::Late => {
                let mut binomial = 1.0;
                for k in 1..=order as usize {
                    binomial *= (21 - k as i32) as f64 / k as f64;
                    c[2 * (k - 1)] = binomial * t.powi(20 - k as i32);
                    c[2 * k - 1] = 0.0;
                }
            }
            Model::None => return None,
        }
        Some(Ok(()))
    }
    fn taylor_work(&mut self, order: u32) -> Option<f64> {
        matches!(self.0, Model::Oscillator).then(|| 4.0 * f64::from(order))
    }
}
