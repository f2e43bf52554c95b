//! Gamma and error functions.

use super::exp::exp_dd;
use super::log::log_dd;
use super::poly::{estrin, exp2};
use super::trig::sin_pi_magnitude;
use super::{Arith, Ops, SIGN};

/// 2/√π.
const TWO_SQRT_PI: (f64, f64) = (std::f64::consts::FRAC_2_SQRT_PI, 1.533_545_961_316_588e-17);
/// (erf x/x − 2/√π)/x² in x² on [0, 1], error times x²: 2⁻⁶².
const ERF: [f64; 12] = [
    -0.3761263890318375,
    0.11283791670954929,
    -0.026866170645084442,
    0.00522397762488155,
    -0.0008548326984071283,
    0.0001205533121885201,
    -1.4925597643722309e-05,
    1.646103606597761e-06,
    -1.635066770495614e-07,
    1.4662036976682795e-08,
    -1.1381171323453877e-09,
    5.970632728082492e-11,
];
/// erfc(x)·exp(x²) in t = (x − 3)/(x + 3) for 1 ≤ x ≤ 6, error times exp(−x²): 2⁻⁶⁴.
const ERFC: [f64; 15] = [
    0.17900115118138998,
    -0.3262335600430356,
    0.2456038017123345,
    -0.15011593650132607,
    0.07166583719153347,
    -0.024392499316707332,
    0.004269136784130404,
    0.0007077493842143645,
    -0.0005970583959238094,
    4.520848099467728e-05,
    6.375885552336307e-05,
    -1.373706944189656e-05,
    -9.458446613667725e-06,
    7.449130793489573e-07,
    8.041201147027343e-07,
];

/// The error function. Error < 1 ulp.
pub fn erf<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let w = a.mul(x, x);
    let p = estrin(a, w, &ERF);
    let (ch, cl) = (a.f(TWO_SQRT_PI.0), a.f(TWO_SQRT_PI.1));
    let (h, e) = a.two_prod(x, ch);
    let t = a.fma(w, p, cl);
    let t = a.fma(x, t, e);
    let usual = a.add(h, t);
    let m = a.abs(x);
    let one = a.f(1.0);
    let tiny = a.f(exp2(-1000));
    let ok = a.lt(m, one);
    let not_tiny = a.lt(tiny, m);
    let ok = a.and_b(ok, not_tiny);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| {
        let one = a.f(1.0);
        let six = a.f(6.0);
        let beyond = a.lt(six, m);
        let v = a.select(beyond, six, m);
        let three = a.f(3.0);
        let num = a.sub(v, three);
        let den = a.add(v, three);
        let t = a.div(num, den);
        let g = estrin(a, t, &ERFC);
        let nv = a.neg(v);
        let s = a.mul(nv, v);
        let ex = super::exp(a, s);
        let y = a.fnma(ex, g, one);
        let y = a.copysign(y, x);
        // below 2⁻¹⁰⁰⁰ the product with 2/√π, rounded once
        let c = a.f(TWO_SQRT_PI.0);
        let direct = a.mul(x, c);
        let small = a.lt(m, one);
        let y = a.select(small, direct, y);
        let number = a.eq(x, x);
        a.select(number, y, x)
    })
}

/// B₂ₖ/(2k(2k − 1)) for k = 2…11: Stirling's series after its first term.
const STIRLING: [f64; 10] = [
    -0.002777777777777778,
    0.0007936507936507937,
    -0.0005952380952380953,
    0.0008417508417508417,
    -0.0019175269175269176,
    0.00641025641025641,
    -0.029550653594771242,
    0.17964437236883057,
    -1.3924322169059011,
    13.402864044168393,
];
const TWELFTH: f64 = 0.083_333_333_333_333_33;
/// ½ ln 2π.
const HALF_LN_2PI: (f64, f64) = (0.918_938_533_204_672_8, -3.878_294_158_067_241_4e-17);
const PI: (f64, f64) = (std::f64::consts::PI, 1.224_646_799_147_353_2e-16);

/// Γ(x): the argument (or 1 − x below ½) is raised to at least 12 by the recurrence in double-double,
/// there Stirling's series. Error < 1 ulp; exact for the factorials that fit. ±∞ at ±0, NaN at negative
/// integers. About 500 operations.
pub fn gamma<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let zero = a.f(0.0);
    let one = a.f(1.0);
    let half = a.f(0.5);
    let lo = a.f(-200.5);
    let hi = a.f(200.0);
    let low = a.lt(x, lo);
    let xs = a.select(low, lo, x);
    let high = a.lt(hi, xs);
    let xs = a.select(high, hi, xs);
    let reflect = a.lt(xs, half);
    let nx = a.neg(xs);
    let (r, rl) = a.two_sum(one, nx);
    let z = a.select(reflect, r, xs);
    let zl = a.select(reflect, rl, zero);
    // P = z(z + 1)…, n factors
    let edge = a.f(12.0);
    let mut p = (one, zero);
    let mut n = zero;
    for j in 0..12 {
        let jf = a.f(f64::from(j));
        let (f, fl) = a.two_sum(z, jf);
        let fl = a.add(fl, zl);
        let use_it = a.lt(f, edge);
        let f = a.select(use_it, f, one);
        let fl = a.select(use_it, fl, zero);
        let step = a.select(use_it, one, zero);
        n = a.add(n, step);
        p = a.mul_dd(p, (f, fl));
    }
    let (z, e) = a.two_sum(z, n);
    let zl = a.add(zl, e);
    // ln Γ = (z − ½) ln z − z + ½ ln 2π + 1/(12z) − …
    let zero_i = a.i(0);
    let (lh, ll) = log_dd(a, z, zero_i);
    let inv = a.div(one, z);
    let ll = a.fma(zl, inv, ll);
    let zh = a.sub(z, half);
    let (q, ql) = a.two_prod(zh, lh);
    let ql = a.fma(zh, ll, ql);
    let ql = a.fma(zl, lh, ql);
    let nz = a.neg(z);
    let (s, sl) = a.two_sum(q, nz);
    let ql = a.add(ql, sl);
    let ql = a.sub(ql, zl);
    let (ch, cl) = (a.f(HALF_LN_2PI.0), a.f(HALF_LN_2PI.1));
    let (s, sl) = a.fast_two_sum(s, ch);
    let ql = a.add(ql, sl);
    let ql = a.add(ql, cl);
    let i2 = a.mul(inv, inv);
    let t = estrin(a, i2, &STIRLING);
    let b = a.f(TWELFTH);
    let t = a.fma(t, i2, b);
    let ql = a.fma(t, inv, ql);
    let (s, ql) = a.fast_two_sum(s, ql);
    let (yh, yl, k) = exp_dd(a, s, ql);
    // Γ = y/P above, π·P/(|sin πx|·y) below ½; powers of two at the end
    let sin = sin_pi_magnitude(a, xs);
    let (pi, pil) = (a.f(PI.0), a.f(PI.1));
    let top = a.mul_dd(p, (pi, pil));
    let bottom = a.mul_dd(sin, (yh, yl));
    let num = (a.select(reflect, top.0, yh), a.select(reflect, top.1, yl));
    let den = (a.select(reflect, bottom.0, p.0), a.select(reflect, bottom.1, p.1));
    let (g, gl) = a.div_dd(num, den);
    let g = a.add(g, gl);
    let nk = a.sub_i(zero_i, k);
    let k = a.select_i(reflect, nk, k);
    let g = a.scale(g, k);
    // the sign alternates between the negative integers
    let f = a.floor(x);
    let fh = a.mul(f, half);
    let fhf = a.floor(fh);
    let even = a.eq(fhf, fh);
    let neg = a.lt(x, zero);
    let mask = a.i(SIGN);
    let flip = a.select_i(even, zero_i, mask);
    let flip = a.select_i(neg, flip, zero_i);
    let g = a.xor_sign(g, flip);
    // 1/x near zero; poles; infinities; NaN
    let m = a.abs(x);
    let tiny = a.f(exp2(-60));
    let near = a.lt(m, tiny);
    let rec = a.div(one, x);
    let g = a.select(near, rec, g);
    let whole = a.eq(f, x);
    let pole = a.and_b(neg, whole);
    let nan = a.f(f64::NAN);
    let g = a.select(pole, nan, g);
    let big = a.f(172.0);
    let over = a.lt(big, x);
    let inf = a.f(f64::INFINITY);
    let g = a.select(over, inf, g);
    let number = a.eq(x, x);
    a.select(number, g, nan)
}
