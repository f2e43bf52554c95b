//! Milstein's term ½ Σⱼₖ Lʲbₖ·(ΔWⱼΔWₖ − δⱼₖh), with `bₖ` the k-th column of `B` and `Lʲbₖ = (∂bₖ/∂x)·bⱼ`.
//!
//! The right-hand side with noise `n` is `a + B·n`, so for any weights `p` and `q`
//! `T(p, q) = Σⱼₖ pₖqⱼ Lʲbₖ = (J(x; p) − J(x; 0))·u` with `u = f(x; q) − f(x; 0)` and `J` the derivative by the states:
//! two evaluations and two directional derivatives, whatever the number of paths.
//!
//! - Where no path's intensities depend on states that another one drives, `Lʲbₖ = 0` for `j ≠ k`, and the whole term
//!   is one `T`, with `pₖqₖ = ΔWₖ² − h`.
//! - Otherwise it is `½ (T(ΔW, ΔW) − h Σₖ T(eₖ, eₖ))`: one `T` for each path, and one more.
//!
//! That form of the term is right where the noises commute, `Lʲbₖ = Lᵏbⱼ` for all pairs (Kloeden and Platen, section
//! 10.3). [`Correction::examine`] tests it with random weights at the start, near it, and after each event: the bracket
//! `T(p, q) − T(q, p)` of two such vectors vanishes only where all pairs commute.

use crate::error::SolveError;
use crate::stats::Stats;
use crate::system::{EvalError, System};

/// A bracket smaller than this part of its terms is zero but for roundings.
const ZERO: f64 = 1e-7;
/// Weights of trials, in units of `h^(−1/2)`: so large that noise outweighs the drift.
const LOUD: f64 = 1e3;
/// How far from the given point the trials go, relative, and absolute where a state is 0.
const TRIALS: [(f64, f64); 3] = [(0.0, 0.0), (0.05, 1e-3), (0.25, 0.1)];

/// The term, with what is known of the noises, and scratch.
#[derive(Clone, Debug, Default)]
pub struct Correction {
    /// No path's intensities depend on states that another one drives.
    apart: bool,
    zero: Vec<f64>,
    p: Vec<f64>,
    q: Vec<f64>,
    u: Vec<f64>,
    f0: Vec<f64>,
    j0: Vec<f64>,
    jp: Vec<f64>,
    t: Vec<f64>,
    other: Vec<f64>,
    scale: Vec<f64>,
    point: Vec<f64>,
}

/// A number in (0, 1) for `n`: the golden ratio's multiples, which have no simple relations.
fn weight(n: usize) -> f64 {
    let x = (n as f64 + 1.0) * 0.618_033_988_749_894_9;
    x - x.floor()
}

impl Correction {
    /// Whether no path's intensities depend on states that another one drives.
    pub(super) fn apart(&self) -> bool {
        self.apart
    }

    /// What [`Correction::examine`] found out before.
    pub(super) fn known(apart: bool, states: usize, paths: usize) -> Self {
        let mut c = Correction { apart, ..Correction::default() };
        c.resize(states, paths);
        c
    }

    fn resize(&mut self, states: usize, paths: usize) {
        for v in [&mut self.zero, &mut self.p, &mut self.q] {
            v.resize(paths, 0.0);
        }
        for v in [
            &mut self.u,
            &mut self.f0,
            &mut self.j0,
            &mut self.jp,
            &mut self.t,
            &mut self.other,
            &mut self.scale,
            &mut self.point,
        ] {
            v.resize(states, 0.0);
        }
    }

    /// `self.t = T(p, q)` at `x`; `self.f0` is the drift there. `self.j0` and `self.jp` stay for the scale.
    fn bilinear(
        &mut self,
        sys: &mut dyn System,
        t: f64,
        x: &[f64],
        stats: &mut Stats,
    ) -> Result<(), EvalError> {
        stats.rhs += 1;
        sys.rhs_driven(t, x, &self.q, &mut self.u)?;
        for (u, f) in self.u.iter_mut().zip(&self.f0) {
            *u -= f;
        }
        stats.jac += 2;
        sys.jvp_driven(t, x, &self.p, &self.u, &mut self.jp)?;
        sys.jvp_driven(t, x, &self.zero, &self.u, &mut self.j0)?;
        for ((t, p), z) in self.t.iter_mut().zip(&self.jp).zip(&self.j0) {
            *t = p - z;
        }
        Ok(())
    }

    fn drift(&mut self, sys: &mut dyn System, t: f64, x: &[f64], stats: &mut Stats) -> Result<(), EvalError> {
        stats.rhs += 1;
        sys.rhs_driven(t, x, &self.zero, &mut self.f0)
    }

    /// Adds the term to `x1`, the end of a step of Euler–Maruyama from `x`.
    ///
    /// # Errors
    ///
    /// What the system says.
    #[expect(clippy::too_many_arguments, reason = "what one step knows")]
    pub fn add(
        &mut self,
        sys: &mut dyn System,
        t: f64,
        x: &[f64],
        h: f64,
        dw: &[f64],
        x1: &mut [f64],
        stats: &mut Stats,
    ) -> Result<(), EvalError> {
        if dw.is_empty() {
            return Ok(());
        }
        self.drift(sys, t, x, stats)?;
        let root = h.sqrt();
        let mut add = |c: &Self, factor: f64| {
            for (x1, t) in x1.iter_mut().zip(&c.t) {
                *x1 += factor * t;
            }
        };
        if self.apart {
            // Weights of the size of ΔW/h, so that noise and drift are balanced as they are in the step.
            for (k, dw) in dw.iter().enumerate() {
                self.q[k] = 1.0 / root;
                self.p[k] = (dw * dw - h) / (h * root);
            }
            self.bilinear(sys, t, x, stats)?;
            add(self, 0.5 * h * h);
            return Ok(());
        }
        for (k, dw) in dw.iter().enumerate() {
            self.p[k] = dw / h;
            self.q[k] = dw / h;
        }
        self.bilinear(sys, t, x, stats)?;
        add(self, 0.5 * h * h);
        self.p.fill(0.0);
        self.q.fill(0.0);
        for k in 0..dw.len() {
            self.p[k] = 1.0 / root;
            self.q[k] = 1.0 / root;
            self.bilinear(sys, t, x, stats)?;
            add(self, -0.5 * h * h);
            self.p[k] = 0.0;
            self.q[k] = 0.0;
        }
        Ok(())
    }

    /// The work of [`Correction::add`] for so many paths, where it was done elsewhere.
    pub(super) fn count(&self, paths: usize, stats: &mut Stats) {
        if paths == 0 {
            return;
        }
        let terms = if self.apart { 1 } else { 1 + paths as u64 };
        stats.rhs += 1 + terms;
        stats.jac += 2 * terms;
    }

    /// Finds out how the noises act on one another around `x`.
    ///
    /// # Errors
    ///
    /// [`SolveError::NotCommuting`] with a pair of paths; [`SolveError::Eval`] where the system cannot be evaluated at `x`
    /// itself.
    pub fn examine(
        &mut self,
        sys: &mut dyn System,
        t: f64,
        x: &[f64],
        h: f64,
        stats: &mut Stats,
    ) -> Result<(), SolveError> {
        let paths = sys.n_noise();
        self.resize(sys.dim(), paths);
        self.apart = true;
        if paths < 2 {
            return Ok(());
        }
        let loud = LOUD / h.sqrt();
        let mut point = std::mem::take(&mut self.point);
        let mut outcome = Ok(());
        for (trial, (relative, absolute)) in TRIALS.into_iter().enumerate() {
            for (i, (p, x)) in point.iter_mut().zip(x).enumerate() {
                let r = weight(7 * i + 3 * trial);
                *p = if *x == 0.0 { absolute * r } else { x * (1.0 + relative * r) };
            }
            let found = self.trial(sys, t, &point, loud, stats);
            match found {
                Ok(None) => {}
                Ok(Some((first, second))) => outcome = Err(SolveError::NotCommuting { t, first, second }),
                Err(error) if trial == 0 => outcome = Err(SolveError::Eval { t, h: 0.0, error }),
                // A point of our own choice may be none of the model's.
                Err(_) => {}
            }
            if outcome.is_err() {
                break;
            }
        }
        self.point = point;
        outcome
    }

    /// One point: a pair that does not commute, if there is one.
    fn trial(
        &mut self,
        sys: &mut dyn System,
        t: f64,
        x: &[f64],
        loud: f64,
        stats: &mut Stats,
    ) -> Result<Option<(usize, usize)>, EvalError> {
        self.drift(sys, t, x, stats)?;
        let paths = self.p.len();
        for k in 0..paths {
            self.p[k] = loud * (0.5 + weight(k));
            self.q[k] = loud * (0.5 + weight(5 * k + 2));
        }
        if self.bracket(sys, t, x, stats)? {
            // The first path that does not commute with all, then the first that it does not commute with.
            let (mut first, mut second) = (0, 1);
            'first: for j in 0..paths {
                for k in 0..paths {
                    self.p[k] = if k == j { loud } else { 0.0 };
                    self.q[k] = loud * (0.5 + weight(5 * k + 2));
                }
                if !self.bracket(sys, t, x, stats)? {
                    continue;
                }
                for k in (0..paths).filter(|k| *k != j) {
                    self.q.fill(0.0);
                    self.q[k] = loud;
                    if self.bracket(sys, t, x, stats)? {
                        (first, second) = (j.min(k), j.max(k));
                        break 'first;
                    }
                }
            }
            return Ok(Some((first, second)));
        }
        // Every two paths differ in a bit of their numbers: there one stands in `p` and the other in `q`.
        let mut bit = 1;
        while self.apart && bit < paths {
            for side in [0, bit] {
                for k in 0..paths {
                    let on = k & bit == side;
                    self.p[k] = if on { loud * (0.5 + weight(k)) } else { 0.0 };
                    self.q[k] = if on { 0.0 } else { loud * (0.5 + weight(5 * k + 2)) };
                }
                self.bilinear(sys, t, x, stats)?;
                let size = |c: &Self, i: usize| c.jp[i].abs() + c.j0[i].abs();
                self.apart &= (0..self.t.len()).all(|i| self.t[i].abs() <= ZERO * size(self, i));
            }
            bit <<= 1;
        }
        Ok(None)
    }

    /// Whether `T(p, q)` and `T(q, p)` differ.
    fn bracket(
        &mut self,
        sys: &mut dyn System,
        t: f64,
        x: &[f64],
        stats: &mut Stats,
    ) -> Result<bool, EvalError> {
        self.bilinear(sys, t, x, stats)?;
        for i in 0..self.t.len() {
            self.other[i] = self.t[i];
            self.scale[i] = self.jp[i].abs() + self.j0[i].abs();
        }
        std::mem::swap(&mut self.p, &mut self.q);
        let outcome = self.bilinear(sys, t, x, stats);
        std::mem::swap(&mut self.p, &mut self.q);
        outcome?;
        Ok((0..self.t.len()).any(|i| {
            let scale = self.scale[i] + self.jp[i].abs() + self.j0[i].abs();
            (self.t[i] - self.other[i]).abs() > ZERO * scale
        }))
    }
}
