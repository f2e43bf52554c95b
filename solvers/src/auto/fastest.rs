//! The fastest mode of a system: power iterations with `∂f/∂x·v`, and whether what they find decays.

use super::Auto;
use crate::control::weight;
use crate::system::System;
use crate::vector::{LANES, tolerance, total};

/// Cosine above which the fastest mode counts as a decaying one.
pub(super) const DECAYING: f64 = 0.5;
/// Part of the size of a complex pair that its damping must be for the same: backward differentiation is stable up to order
/// 4 there, whose cone is 73° wide (Hairer & Wanner V.2).
const DAMPED: f64 = 0.28;
/// Squared sine of the angle between two directions that count as one.
const ALIGNED: f64 = 1e-3;

impl Auto {
    /// One power iteration: follows the largest eigenvalue of `∂f/∂x`, in the norm of the tolerances.
    pub(super) fn follow(&mut self, sys: &mut dyn System, t: f64) {
        let rtol = self.options.tolerances.rtol;
        let x = if self.at_stiff { self.stiff.x() } else { self.explicit.get().x() };
        self.past.rhs += 1;
        if sys.jvp(t, x, &self.v, &mut self.w).is_err() {
            self.rho = f64::INFINITY;
            return;
        }
        let [[vv, vw], [_, ww]] = products([&self.v, &self.w], x, &self.atol, rtol);
        let (a, b) = (f64::sqrt(vv), f64::sqrt(ww));
        let growth = b / a;
        self.decay = -vw / (a * b);
        let last = self.growth;
        self.growth = growth;
        if !(growth.is_finite() && a > 0.0) {
            self.rho = f64::INFINITY;
            self.seed(sys);
            return;
        }
        // Where states feed one another by turns (positions and speeds) one iteration grows by much and the next by
        // little; both together tell. Complex pairs make it swing all the same: an envelope that falls slowly.
        let both = if last.is_finite() { f64::sqrt(growth * last) } else { growth };
        self.rho = if self.rho.is_finite() { both.max(0.7 * self.rho) } else { both };
        if b > 1e-3 * f64::MIN_POSITIVE / f64::EPSILON && growth > 0.0 {
            for (v, w) in self.v.iter_mut().zip(&self.w) {
                *v = w / b;
            }
        } else {
            self.seed(sys);
        }
    }

    /// [`Auto::follow`]; the size of the fastest eigenvalue where its mode decays, else 0. Where one iteration says so a
    /// second one is asked: of the pair of eigenvalues that `∂f/∂x` has on the plane of both, how much of their size is
    /// damping. A single iteration points anywhere where positions and speeds of different size feed one another by turns.
    pub(super) fn decays(&mut self, sys: &mut dyn System, t: f64) -> f64 {
        self.plane[0].copy_from_slice(&self.v);
        self.follow(sys, t);
        if self.decay.is_nan() || self.decay <= DECAYING {
            return 0.0;
        }
        let growth = self.growth;
        self.plane[1].copy_from_slice(&self.v);
        self.follow(sys, t);
        // least squares in the norm of the tolerances: J·v = a·v + c·u with v = J·u/growth, u and v of length 1
        let rtol = self.options.tolerances.rtol;
        let x = self.now().x();
        let [u, v] = &self.plane;
        let [[uu, uv, uy], [_, vv, vy], _] = products([u, v, &self.w], x, &self.atol, rtol);
        let (lu, lv) = (f64::sqrt(uu), f64::sqrt(vv));
        let (cosine, uy, vy) = (uv / (lu * lv), uy / lu, vy / lv);
        let apart = 1.0 - cosine * cosine;
        if apart < ALIGNED {
            return if self.decay > DECAYING { self.growth } else { 0.0 };
        }
        // the roots of λ² = a·λ + b
        let a = (vy - uy * cosine) / apart / lv;
        let b = (uy - vy * cosine) / apart * growth / lv;
        let root = 0.25 * a * a + b;
        // of two real ones the larger has the sign of their sum
        let (size, decays) = match root < 0.0 {
            true => (f64::sqrt(-b), -0.5 * a > DAMPED * f64::sqrt(-b)),
            false => (f64::sqrt(root) - 0.5 * a, a < 0.0),
        };
        if decays && size.is_finite() { size } else { 0.0 }
    }

    /// A start vector with no symmetry, of equal weight in every state.
    pub(super) fn seed(&mut self, sys: &dyn System) {
        let rtol = self.options.tolerances.rtol;
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for i in 0..sys.dim() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let u = 0.5 + (state >> 11) as f64 / (1u64 << 54) as f64;
            let x = if self.at_stiff { self.stiff.x()[i] } else { self.explicit.get().x()[i] };
            let sign = if state & 1024 == 0 { 1.0 } else { -1.0 };
            self.v[i] = sign * u * weight(self.atol[i], rtol, x, x);
        }
    }
}

/// The products of each two of these vectors, in the norm of the tolerances at `x`; those below the diagonal are 0. Sums are taken
/// as in [`crate::vector`]; what is left over of the states belongs to the first partial sums.
fn products<const K: usize>(of: [&[f64]; K], x: &[f64], atol: &[f64], rtol: f64) -> [[f64; K]; K] {
    let mut sums = [[[0.0; LANES]; K]; K];
    let n = x.len();
    let whole = n - n % LANES;
    let mut add = |i: usize, width: usize| {
        let mut scaled = [[0.0; LANES]; K];
        for l in 0..width {
            let w = 1.0 / tolerance(atol[i + l], rtol, x[i + l]);
            for (scaled, of) in scaled.iter_mut().zip(of) {
                scaled[l] = of[i + l] * w;
            }
        }
        for a in 0..K {
            for b in a..K {
                for l in 0..LANES {
                    sums[a][b][l] += scaled[a][l] * scaled[b][l];
                }
            }
        }
    };
    for i in (0..whole).step_by(LANES) {
        add(i, LANES);
    }
    if whole < n {
        add(whole, n - whole);
    }
    sums.map(|row| row.map(total))
}
