//! Large and further stiff problems.

use super::scalar::Scalar;
use super::{Fixture, Ode, Problem};
use twinml_solvers::system::Pattern;

/// The entries (row, column) of a band of half width `w` that `keep` keeps.
fn band(n: usize, w: usize, keep: impl Fn(usize, usize) -> bool) -> Pattern {
    let entries = (0..n).flat_map(|i| (i.saturating_sub(w)..(i + w + 1).min(n)).map(move |j| (i, j)));
    Pattern::from_entries(n, entries.filter(|&(i, j)| keep(i, j))).expect("a pattern")
}

/// The Medical Akzo Nobel problem (Mazzia and Iavernaro, test set): reaction and diffusion, `2·N` states.
pub struct MedicalAkzo(pub usize);
impl Ode for MedicalAkzo {
    fn dim(&self) -> usize {
        2 * self.0
    }
    fn f<S: Scalar>(&self, t: S, y: &[S], d: &mut [S]) {
        let n = self.0;
        let (k, c) = (100.0, 4.0);
        let dz = 1.0 / n as f64;
        let phi = if t.value() <= 5.0 { 2.0 } else { 0.0 };
        for j in 0..n {
            let z = (j as f64 + 1.0) * dz;
            let alpha = 2.0 * (z - 1.0).powi(3) / (c * c);
            let beta = (z - 1.0).powi(4) / (c * c);
            let u = y[2 * j];
            let r = u * y[2 * j + 1] * k;
            let left = if j == 0 { S::c(phi) } else { y[2 * j - 2] };
            let right = if j + 1 < n { y[2 * j + 2] } else { u };
            d[2 * j] =
                (right - left) * (alpha / (2.0 * dz)) + (left - u * 2.0 + right) * (beta / (dz * dz)) - r;
            d[2 * j + 1] = -r;
        }
    }
    fn pattern(&self) -> Pattern {
        band(2 * self.0, 2, |i, j| i % 2 == 0 && j % 2 == 0 || i / 2 == j / 2)
    }
    fn autonomous(&self) -> bool {
        false
    }
}

/// The ring modulator (Horneber 1976, test set), the ordinary differential equation with `C_s > 0`.
pub struct RingModulator;
impl Ode for RingModulator {
    fn dim(&self) -> usize {
        15
    }
    fn f<S: Scalar>(&self, t: S, y: &[S], d: &mut [S]) {
        let (c, cs, cp) = (1.6e-8, 2e-12, 1e-8);
        let (r, rp, lh, ls1, ls2, ls3) = (25e3, 50.0, 4.45, 2e-3, 5e-4, 5e-4);
        let (rg1, rg2, rg3, ri, rc) = (36.3, 17.3, 17.3, 50.0, 600.0);
        let (gamma, delta) = (40.67286402e-9, 17.7493332);
        let pi = std::f64::consts::PI;
        let uin1 = (t * (2000.0 * pi)).sin() * 0.5;
        let uin2 = (t * (20000.0 * pi)).sin() * 2.0;
        let q = |u: S| ((u * delta).exp() - 1.0) * gamma;
        let ud1 = y[2] - y[4] - y[6] - uin2;
        let ud2 = -y[3] + y[5] - y[6] - uin2;
        let ud3 = y[3] + y[4] + y[6] + uin2;
        let ud4 = -y[2] - y[5] + y[6] + uin2;
        let (q1, q2, q3, q4) = (q(ud1), q(ud2), q(ud3), q(ud4));
        d[0] = (y[7] - y[9] * 0.5 + y[10] * 0.5 + y[13] - y[0] * (1.0 / r)) * (1.0 / c);
        d[1] = (y[8] - y[11] * 0.5 + y[12] * 0.5 + y[14] - y[1] * (1.0 / r)) * (1.0 / c);
        d[2] = (y[9] - q1 + q4) * (1.0 / cs);
        d[3] = (-y[10] + q2 - q3) * (1.0 / cs);
        d[4] = (y[11] + q1 - q3) * (1.0 / cs);
        d[5] = (-y[12] - q2 + q4) * (1.0 / cs);
        d[6] = (y[6] * (-1.0 / rp) + q1 + q2 - q3 - q4) * (1.0 / cp);
        d[7] = y[0] * (-1.0 / lh);
        d[8] = y[1] * (-1.0 / lh);
        d[9] = (y[0] * 0.5 - y[2] - y[9] * rg2) * (1.0 / ls2);
        d[10] = (y[0] * -0.5 + y[3] - y[10] * rg3) * (1.0 / ls3);
        d[11] = (y[1] * 0.5 - y[4] - y[11] * rg2) * (1.0 / ls2);
        d[12] = (y[1] * -0.5 + y[5] - y[12] * rg3) * (1.0 / ls3);
        d[13] = (-y[0] + uin1 - y[13] * (ri + rg1)) * (1.0 / ls1);
        d[14] = (-y[1] - y[14] * (rc + rg1)) * (1.0 / ls1);
    }
    fn autonomous(&self) -> bool {
        false
    }
}

/// The Brusselator with diffusion on a line, `u` and `v` interleaved, `n/2` cells.
pub struct Brusselator(pub usize);
impl Ode for Brusselator {
    fn dim(&self) -> usize {
        self.0
    }
    fn f<S: Scalar>(&self, _: S, y: &[S], d: &mut [S]) {
        let n = self.0 / 2;
        let a = (n as f64 + 1.0) * (n as f64 + 1.0) / 50.0;
        for i in 0..n {
            let (u, v) = (y[2 * i], y[2 * i + 1]);
            let (ul, vl) = if i > 0 { (y[2 * i - 2], y[2 * i - 1]) } else { (S::c(1.0), S::c(3.0)) };
            let (ur, vr) = if i + 1 < n { (y[2 * i + 2], y[2 * i + 3]) } else { (S::c(1.0), S::c(3.0)) };
            let q = u * u * v;
            d[2 * i] = q - u * 4.0 + (ul - u * 2.0 + ur) * a + 1.0;
            d[2 * i + 1] = u * 3.0 - q + (vl - v * 2.0 + vr) * a;
        }
    }
    fn pattern(&self) -> Pattern {
        band(self.0, 2, |i, j| i % 2 == j % 2 || i / 2 == j / 2)
    }
    fn jacobian(&self, _: f64, y: &[f64], values: &mut [f64]) -> bool {
        let n = self.0 / 2;
        let a = (n as f64 + 1.0) * (n as f64 + 1.0) / 50.0;
        let mut at = 0;
        let mut put = |v: f64| {
            values[at] = v;
            at += 1;
        };
        for i in 0..n {
            let (u, v) = (y[2 * i], y[2 * i + 1]);
            for column in [[2.0 * u * v - 4.0 - 2.0 * a, 3.0 - 2.0 * u * v], [u * u, -u * u - 2.0 * a]] {
                if i > 0 {
                    put(a);
                }
                put(column[0]);
                put(column[1]);
                if i + 1 < n {
                    put(a);
                }
            }
        }
        true
    }
}

/// Heat conduction on a line with a logistic source.
pub struct Heat(pub usize);
impl Ode for Heat {
    fn dim(&self) -> usize {
        self.0
    }
    fn f<S: Scalar>(&self, _: S, y: &[S], d: &mut [S]) {
        let n = self.0;
        let a = (n as f64 + 1.0) * (n as f64 + 1.0);
        for i in 0..n {
            let l = if i > 0 { y[i - 1] } else { S::c(0.0) };
            let r = if i + 1 < n { y[i + 1] } else { S::c(0.0) };
            d[i] = (l - y[i] * 2.0 + r) * a + y[i] * (S::c(1.0) - y[i]) * 10.0;
        }
    }
    fn pattern(&self) -> Pattern {
        band(self.0, 1, |_, _| true)
    }
    fn jacobian(&self, _: f64, y: &[f64], values: &mut [f64]) -> bool {
        let n = self.0;
        let a = (n as f64 + 1.0) * (n as f64 + 1.0);
        let mut at = 0;
        for (j, y) in y.iter().enumerate() {
            if j > 0 {
                values[at] = a;
                at += 1;
            }
            values[at] = 10.0 - 20.0 * y - 2.0 * a;
            at += 1;
            if j + 1 < n {
                values[at] = a;
                at += 1;
            }
        }
        true
    }
}

/// 400 states. The reference (by Rosenbrock steps with a tolerance of 1e-11, restarted where the inflow
/// ends) judges the states 79, 149 and 199.
pub fn medical_akzo() -> Problem {
    let mut reference = vec![f64::NAN; 400];
    reference[78] = 2.339_942_222_957e-4;
    reference[148] = 3.595_616_025_779e-4;
    reference[198] = 1.173_741_296_162e-4;
    Problem {
        sys: Box::new(Fixture::new(MedicalAkzo(200))),
        t0: 0.0,
        t1: 20.0,
        x0: (0..400).map(|i| f64::from(i % 2)).collect(),
        reference,
        atol: 1e-12,
        name: "medical akzo",
    }
}

/// 15 states, oscillating fast; the reference is that of the test set.
pub fn ring_modulator() -> Problem {
    Problem {
        sys: Box::new(Fixture::new(RingModulator)),
        t0: 0.0,
        t1: 1e-3,
        x0: vec![0.0; 15],
        reference: vec![
            -0.233_905_735_848_674_5e-1,
            -0.736_748_548_554_082_5e-2,
            0.258_295_670_929_116_9,
            -0.406_446_572_128_345,
            -0.403_945_566_514_979_4,
            0.260_796_676_542_294_3,
            0.110_676_186_126_997_5,
            0.293_990_434_243_559_6e-6,
            -0.284_002_993_364_232_9e-7,
            0.726_719_826_726_455_3e-3,
            0.792_948_719_696_084e-3,
            -0.725_528_349_569_896_5e-3,
            -0.794_140_196_852_652_1e-3,
            0.708_849_541_697_611_4e-4,
            0.239_005_907_523_657e-4,
        ],
        atol: 1e-11,
        name: "ring modulator",
    }
}

/// Without a reference: one is computed where it is needed.
pub fn brusselator(n: usize) -> Problem {
    let cells = n / 2;
    let wave = |i: usize| (2.0 * std::f64::consts::PI * (i as f64 + 1.0) / (cells as f64 + 1.0)).sin();
    Problem {
        name: "brusselator",
        sys: Box::new(Fixture::new(Brusselator(n))),
        t0: 0.0,
        t1: 10.0,
        x0: (0..cells).flat_map(|i| [1.0 + wave(i), 3.0]).collect(),
        reference: vec![f64::NAN; n],
        atol: 1e-11,
    }
}

/// Without a reference: one is computed where it is needed.
pub fn heat(n: usize) -> Problem {
    let wave = |i: usize| (std::f64::consts::PI * (i as f64 + 1.0) / (n as f64 + 1.0)).sin();
    Problem {
        name: "heat",
        sys: Box::new(Fixture::new(Heat(n))),
        t0: 0.0,
        t1: 0.2,
        x0: (0..n).map(wave).collect(),
        reference: vec![f64::NAN; n],
        atol: 1e-11,
    }
}
