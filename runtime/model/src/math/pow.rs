//! xʸ by a double-double logarithm.

use super::exp::exp_dd;
use super::log::log_dd;
use super::{Arith, INF_BITS, MIN_NORMAL_BITS, Ops, SIGN};

/// y·ln m as a double-double.
fn exponent<A: Arith>(a: &mut A, m: A::F, bias: A::I, y: A::F) -> (A::F, A::F) {
    let (h, l) = log_dd(a, m, bias);
    let (p, e) = a.two_prod(y, h);
    let e = a.fma(y, l, e);
    (p, e)
}

/// xʸ with the special cases of C's annex F. Error < 1 ulp.
pub fn pow<A: Arith>(a: &mut A, x: A::F, y: A::F) -> A::F {
    let zero_i = a.i(0);
    let (p, e) = exponent(a, x, zero_i, y);
    let (h, _, k) = exp_dd(a, p, e);
    let s = a.i(52);
    let k = a.shl(k, s);
    let hb = a.bits(h);
    let hb = a.add_i(hb, k);
    let usual = a.float(hb);
    let bits = a.bits(x);
    let normal = a.in_range(bits, MIN_NORMAL_BITS, INF_BITS);
    let m = a.abs(p);
    let limit = a.f(700.0);
    let tame = a.lt(m, limit);
    let ok = a.and_b(normal, tame);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| pow_rare(a, x, y))
}

fn pow_rare<A: Arith>(a: &mut A, x: A::F, y: A::F) -> A::F {
    let zero = a.f(0.0);
    let one = a.f(1.0);
    let inf = a.f(f64::INFINITY);
    let nan = a.f(f64::NAN);
    let m = a.abs(x);
    // a subnormal is scaled by 2⁵⁴
    let min = a.f(f64::MIN_POSITIVE);
    let sub = a.lt(m, min);
    let up = a.f(18_014_398_509_481_984.0);
    let ms = a.mul(m, up);
    let ms = a.select(sub, ms, m);
    let (b54, b0) = (a.i(54), a.i(0));
    let bias = a.select_i(sub, b54, b0);
    let (p, e) = exponent(a, ms, bias, y);
    // results beyond e^±800 are infinite or zero anyway
    let pm = a.abs(p);
    let limit = a.f(800.0);
    let tame = a.lt(pm, limit);
    let edge = a.copysign(limit, p);
    let p = a.select(tame, p, edge);
    let e = a.select(tame, e, zero);
    let (h, _, k) = exp_dd(a, p, e);
    let r = a.scale(h, k);
    // |x| = 0, ∞
    let y_neg = a.lt(y, zero);
    let at_zero = a.select(y_neg, inf, zero);
    let at_inf = a.select(y_neg, zero, inf);
    let is_zero = a.eq(m, zero);
    let r = a.select(is_zero, at_zero, r);
    let is_inf = a.eq(m, inf);
    let r = a.select(is_inf, at_inf, r);
    // negative x: NaN unless y is an integer, and the sign of an odd power
    let yf = a.floor(y);
    let whole = a.eq(yf, y);
    let half = a.f(0.5);
    let yh = a.mul(y, half);
    let yhf = a.floor(yh);
    let even = a.eq(yhf, yh);
    let uneven = a.not_b(even);
    let odd = a.and_b(whole, uneven);
    let xb = a.bits(x);
    let mask = a.i(SIGN);
    let sign = a.and_i(xb, mask);
    let zero_i = a.i(0);
    let flip = a.select_i(odd, sign, zero_i);
    let r = a.xor_sign(r, flip);
    let x_neg = a.lt(x, zero);
    let ninf = a.f(f64::NEG_INFINITY);
    let x_finite = a.lt(ninf, x);
    let broken = a.not_b(whole);
    let bad = a.and_b(x_neg, x_finite);
    let bad = a.and_b(bad, broken);
    let r = a.select(bad, nan, r);
    // y = ±∞
    let ay = a.abs(y);
    let y_inf = a.eq(ay, inf);
    let above = a.lt(one, m);
    let grow = a.select(y_neg, zero, inf);
    let shrink = a.select(y_neg, inf, zero);
    let lim = a.select(above, grow, shrink);
    let unit = a.eq(m, one);
    let lim = a.select(unit, one, lim);
    let r = a.select(y_inf, lim, r);
    // NaN, unless y = 0 or x = 1
    let nx = a.eq(x, x);
    let ny = a.eq(y, y);
    let numbers = a.and_b(nx, ny);
    let r = a.select(numbers, r, nan);
    let y0 = a.eq(y, zero);
    let x1 = a.eq(x, one);
    let trivial = a.or_b(y0, x1);
    a.select(trivial, one, r)
}
