//! The nonlinear equation of a step: `(I − cJ) δ = c f(t, x_p + e) − c x_p' − e`, repeated.

use super::coeffs::leading;
use super::{Bdf, MAX_ORDER, Trouble, vector};
use crate::state;
use crate::system::{EvalError, System};
use crate::vector::worst;
use twinml_model::bytes::{Malformed, Reader, Writer};

/// Iterations before giving up.
const MAX_ITERATIONS: u32 = 3;
/// The error left by the iteration, as a part of the error allowed to the step.
const TOLERANCE: f64 = 0.33;
/// The convergence rate assumed of new factors: a second iteration confirms them. Trusting them at once
/// saves few evaluations and drives more solutions across zero where they must not (Robertson).
const RATE: f64 = 1.0;
/// Change of `c` (relative to the one in the factors) up to which old factors serve. They are corrected
/// by `2/(1 + c/c_old)`, the best factor for eigenvalues at zero and infinity alike.
const C_CHANGE: f64 = 0.1;
/// Steps after which the matrix is factorised anew, and the Jacobian evaluated anew.
const FACTORS_LAST: u64 = 20;
const JACOBIAN_LASTS: u64 = 51;
/// The convergence rate above which a Jacobian is too old: the next step has a new one, and it lasts half as long. A step is
/// mostly done after one iteration, whose rate nobody sees; where the stiff directions turn (a spring that swings), what a Jacobian
/// of old directions leaves behind would be taken for the error of the formula, and make the steps short.
const SLOW: f64 = 0.15;
/// The part of that below which it may last twice as long: by then it will be about this many times as slow.
const LONGER: f64 = 0.25;
/// Steps for which it is left alone after it was found to last too long.
const LEFT_ALONE: u64 = 100;
/// A first correction smaller than this part of the tolerance tells nothing of the rate.
const TOO_SMALL: f64 = 0.01;

/// The iteration matrix and what is known about it.
#[derive(Clone, Debug)]
pub(super) struct Iteration {
    /// `c` at the last factorisation; 0 if there are no factors.
    pub c: f64,
    /// Convergence rate, carried over steps.
    pub rate: f64,
    /// Accepted steps when the factors were made.
    pub factors_made: u64,
    /// Accepted steps when the Jacobian was evaluated.
    pub jacobian_made: u64,
    /// False at a start.
    pub have_jacobian: bool,
    /// Steps after which the Jacobian is evaluated anew.
    pub lasts: u64,
    /// Accepted steps when that was found to be too many.
    pub shortened: u64,
}

impl Iteration {
    pub(super) fn new() -> Self {
        Iteration {
            c: 0.0,
            rate: RATE,
            factors_made: 0,
            jacobian_made: 0,
            have_jacobian: false,
            lasts: JACOBIAN_LASTS,
            shortened: 0,
        }
    }

    /// How long the Jacobian is to last, by the rate of this step. Without a `look` that only becomes less.
    fn age(&mut self, steps: u64, rate: f64, look: bool) {
        let age = steps - self.jacobian_made;
        if age > 0 && rate > SLOW {
            self.lasts = (self.lasts.min(age) / 2).max(1);
            self.shortened = steps;
        } else if look && rate < LONGER * SLOW {
            self.lasts = (2 * self.lasts).min(JACOBIAN_LASTS);
        }
    }

    pub(super) fn save(&self, to: &mut Writer) {
        to.put(&self.c).put(&self.rate).put(&self.factors_made).put(&self.jacobian_made);
        to.put(&self.have_jacobian).put(&self.lasts).put(&self.shortened);
    }

    /// After so many accepted steps, in a layout of [`Bdf`].
    pub(super) fn load(from: &mut Reader<'_>, steps: u64, layout: u32) -> Result<Self, Malformed> {
        let (c, rate) = from.get()?;
        let at = from.at();
        let (factors_made, jacobian_made) = (state::count(from)?, state::count(from)?);
        if factors_made.max(jacobian_made) > steps {
            return Err(Malformed { at, why: "factors are of a step to come".into() });
        }
        let have_jacobian = from.get()?;
        let (lasts, shortened) = match layout {
            1 => (JACOBIAN_LASTS, 0),
            _ => {
                let at = from.at();
                let (lasts, shortened) = (state::count(from)?, state::count(from)?);
                if !(1..=JACOBIAN_LASTS).contains(&lasts) || shortened > steps {
                    return Err(Malformed { at, why: format!("a Jacobian cannot last {lasts} steps") });
                }
                (lasts, shortened)
            }
        };
        Ok(Iteration { c, rate, factors_made, jacobian_made, have_jacobian, lasts, shortened })
    }
}

impl Bdf {
    fn predict(&mut self) {
        let k = self.order;
        let scale = 1.0 / leading(k);
        let mut g = [0.0; MAX_ORDER + 2];
        for j in 1..=k {
            g[j] = self.coeffs.gamma[j] * self.coeffs.beta[j] * scale;
        }
        let point = (&self.x[..], &self.low[..]);
        vector::predict(k, &self.hist, point, &self.coeffs.beta, &g, &mut self.y, &mut self.psi);
    }

    /// Factorises the matrix, with a Jacobian from the predicted point if `fresh`.
    fn set_up(&mut self, sys: &mut dyn System, t: f64, fresh: bool) -> Result<(), Trouble> {
        if fresh {
            self.iteration.have_jacobian = false;
            self.stats.jac += 1;
            sys.jacobian(t, &self.y[..self.n], &mut self.jac).map_err(Trouble::Eval)?;
            self.iteration.jacobian_made = self.stats.steps;
            self.iteration.have_jacobian = true;
        }
        self.iteration.c = 0.0;
        self.stats.factorizations += 1;
        if let Some(matrix) = &mut self.matrix {
            matrix
                .factor(1.0, -self.coeffs.c, &self.jac)
                .map_err(|singular| Trouble::Singular { column: singular.column })?;
        }
        self.iteration.c = self.coeffs.c;
        self.iteration.factors_made = self.stats.steps;
        self.iteration.rate = RATE;
        Ok(())
    }

    /// Predicts and solves for `e` at `t`; gives its norm. `again` says that a trial of this step
    /// failed before.
    pub(super) fn solve(&mut self, sys: &mut dyn System, t: f64, again: bool) -> Result<f64, Trouble> {
        self.predict();
        let i = &self.iteration;
        let steps = self.stats.steps;
        // true also if there are no factors: the ratio is infinite
        let changed = (self.coeffs.c / i.c - 1.0).abs() > C_CHANGE;
        let age = steps - i.jacobian_made;
        let short = i.lasts < JACOBIAN_LASTS;
        let mut look = short && age + 1 >= i.lasts && steps - i.shortened >= LEFT_ALONE;
        let mut current = false;
        if again
            || changed
            || !i.have_jacobian
            || steps - i.factors_made >= FACTORS_LAST
            || short && age >= i.lasts
        {
            let old = age >= i.lasts || again && i.jacobian_made != steps;
            let fresh = old || !i.have_jacobian;
            self.set_up(sys, t, fresh)?;
            current = fresh;
        }
        loop {
            match self.iterate(sys, t, look) {
                Err(Trouble::Newton { .. } | Trouble::Eval(EvalError::Recoverable { .. })) if !current => {
                    self.stats.newton_failures += 1;
                    self.predict();
                    self.set_up(sys, t, true)?;
                    (current, look) = (true, false);
                }
                result => return result,
            }
        }
    }

    /// To `look` at the rate takes a second iteration at least.
    fn iterate(&mut self, sys: &mut dyn System, t: f64, look: bool) -> Result<f64, Trouble> {
        let n = self.n;
        let c = self.coeffs.c;
        let scale = 2.0 / (1.0 + c / self.iteration.c);
        let tolerance = TOLERANCE / self.coeffs.error;
        let mut last = f64::INFINITY;
        let mut iterations = 0;
        while iterations < MAX_ITERATIONS {
            self.stats.newton_iters += 1;
            self.stats.rhs += 1;
            sys.rhs(t, &self.y[..n], &mut self.d[..n]).map_err(Trouble::Eval)?;
            if iterations == 0 {
                vector::residual_first(c, &self.psi, &mut self.d);
            } else {
                vector::residual(c, &self.psi, &self.e, &mut self.d);
            }
            self.stats.solves += 1;
            if let Some(matrix) = &mut self.matrix {
                matrix.solve(&mut self.d[..n]);
            }
            let (change, norm) = if iterations == 0 {
                let s = vector::correct_first(scale, &self.d, &self.w, &mut self.e, &mut self.y);
                (s, s)
            } else {
                vector::correct(scale, &self.d, &self.w, &mut self.e, &mut self.y)
            };
            let change = self.rms(change);
            if iterations > 0 {
                self.iteration.rate = (0.3 * self.iteration.rate).max(change / last);
            }
            if iterations == 1 && last > TOO_SMALL * tolerance {
                self.iteration.age(self.stats.steps, change / last, look);
            }
            iterations += 1;
            let seen = iterations > 1 || !look;
            if seen && change * self.iteration.rate.min(1.0) <= tolerance {
                return Ok(self.rms(norm));
            }
            if !change.is_finite() || change > 2.0 * last {
                break;
            }
            last = change;
        }
        let (state, residual) = worst(&self.d[..n], &self.w[..n]);
        Err(Trouble::Newton { iterations, state, residual })
    }
}
