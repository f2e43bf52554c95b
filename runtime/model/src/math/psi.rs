//! Digamma and trigamma: the logarithmic derivative of Γ and its derivative.
//!
//! Only derivatives of `gamma` use them, so they are good to some 1e−14 in the larger of 1 and their size,
//! not to an ulp. Raised to at least 10 by the recurrence, there the asymptotic series; reflected below ½.

use super::Arith;
use super::poly::estrin;

/// −B₂ₖ/(2k), k = 1…7.
const DIGAMMA: [f64; 7] =
    [-1.0 / 12.0, 1.0 / 120.0, -1.0 / 252.0, 1.0 / 240.0, -1.0 / 132.0, 691.0 / 32760.0, -1.0 / 12.0];
/// B₂ₖ, k = 1…7.
const BERNOULLI: [f64; 7] =
    [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0];

/// The argument reflected to ≥ ½ and whether it was; π·cot(πx) and π/sin(πx) otherwise unused.
fn reflect<A: Arith>(a: &mut A, x: A::F) -> (A::B, A::F) {
    let half = a.f(0.5);
    let one = a.f(1.0);
    let low = a.lt(x, half);
    let r = a.sub(one, x);
    (low, a.select(low, r, x))
}

/// π·x reduced by whole turns first.
fn pi_times<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let f = a.floor(x);
    let r = a.sub(x, f);
    let pi = a.f(std::f64::consts::PI);
    a.mul(pi, r)
}

/// ψ(x) = Γ′(x)/Γ(x); not finite at 0, −1, −2, ….
pub fn digamma<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let (low, mut z) = reflect(a, x);
    let one = a.f(1.0);
    let zero = a.f(0.0);
    let edge = a.f(10.0);
    let mut sum = zero;
    for _ in 0..10 {
        let small = a.lt(z, edge);
        let inv = a.div(one, z);
        let t = a.sub(sum, inv);
        sum = a.select(small, t, sum);
        let up = a.add(z, one);
        z = a.select(small, up, z);
    }
    let inv = a.div(one, z);
    let w = a.mul(inv, inv);
    let s = estrin(a, w, &DIGAMMA);
    let s = a.mul(s, w);
    let half = a.f(-0.5);
    let s = a.fma(half, inv, s);
    let l = super::log(a, z);
    let y = a.add(l, s);
    let y = a.add(y, sum);
    let t = pi_times(a, x);
    let t = super::tan(a, t);
    let pi = a.f(std::f64::consts::PI);
    let cot = a.div(pi, t);
    let refl = a.sub(y, cot);
    a.select(low, refl, y)
}

/// ψ′(x).
pub fn trigamma<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let (low, mut z) = reflect(a, x);
    let one = a.f(1.0);
    let zero = a.f(0.0);
    let edge = a.f(10.0);
    let mut sum = zero;
    for _ in 0..10 {
        let small = a.lt(z, edge);
        let sq = a.mul(z, z);
        let inv = a.div(one, sq);
        let t = a.add(sum, inv);
        sum = a.select(small, t, sum);
        let up = a.add(z, one);
        z = a.select(small, up, z);
    }
    let inv = a.div(one, z);
    let w = a.mul(inv, inv);
    let s = estrin(a, w, &BERNOULLI);
    let s = a.mul(s, w);
    let half = a.f(0.5);
    let s = a.fma(half, inv, s);
    let s = a.fma(s, inv, inv);
    let y = a.add(s, sum);
    let t = pi_times(a, x);
    let t = super::sin(a, t);
    let pi = a.f(std::f64::consts::PI);
    let q = a.div(pi, t);
    let q = a.mul(q, q);
    let refl = a.sub(q, y);
    a.select(low, refl, y)
}
