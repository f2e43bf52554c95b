//! Logarithms and the inverse hyperbolic functions built on them.
//!
//! x = 2ᵏ·z with z in [√½, √2), f = z − 1 exactly, s = f/(2 + f), ln z = 2 artanh s.

use super::poly::estrin;
use super::{Arith, INF_BITS, MIN_NORMAL_BITS, Ops};

/// The bits of √½.
const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
/// ln 2 in 40 bits, so that k·LN2_40 is exact.
const LN2_40: f64 = 0.693_147_180_559_208_2;
const LN2_REST: f64 = 7.371_002_565_167_799e-13;
const LOG10_2_40: f64 = 0.301_029_995_663_611_77;
const LOG10_2_REST: f64 = 3.694_239_077_158_931e-13;
const INV_LN2: (f64, f64) = (std::f64::consts::LOG2_E, 2.035_527_374_093_103_3e-17);
const INV_LN10: (f64, f64) = (std::f64::consts::LOG10_E, 1.098_319_650_216_765e-17);
const TWO54: f64 = 18_014_398_509_481_984.0;

/// (2 artanh s − 2s)/s³ in s² on |s| ≤ 0.1716, error times s²: 2⁻⁵⁸.
const LOG: [f64; 7] = [
    0.6666666666666734,
    0.3999999999941399,
    0.28571428742558774,
    0.22222198554023376,
    0.18183565400002524,
    0.15314021181601342,
    0.14796261674336053,
];
/// (artanh s/s − 1 − s²/3)/s⁴ in s², error times s⁴: 2⁻⁸⁰.
const LOG_DD: [f64; 9] = [
    0.2,
    0.14285714285714188,
    0.11111111111145336,
    0.09090909084619074,
    0.07692308377275882,
    0.06666620181652143,
    0.0588433806198887,
    0.05211431683684201,
    0.05506805793856055,
];
const THIRD: (f64, f64) = (0.333_333_333_333_333_3, 1.850_371_707_708_594e-17);

/// z and k of a positive normal number.
fn split<A: Arith>(a: &mut A, x: A::F) -> (A::F, A::I) {
    let ix = a.bits(x);
    let base = a.i(SQRT_HALF_BITS);
    let t = a.sub_i(ix, base);
    let s = a.i(52);
    let k = a.sar(t, s);
    let e = a.shl(k, s);
    let z = a.sub_i(ix, e);
    (a.float(z), k)
}

/// ln(1 + f) = f − d for f in [√½ − 1, √2 − 1]: the part d, |d| < |f|/4, plus a correction `c` subtracted inside.
fn log1p_part<A: Arith>(a: &mut A, f: A::F, c: A::F) -> A::F {
    let two = a.f(2.0);
    let den = a.add(two, f);
    let s = a.div(f, den);
    let z = a.mul(s, s);
    let p = estrin(a, z, &LOG);
    let r = a.mul(z, p);
    let half = a.f(0.5);
    let hf = a.mul(half, f);
    let hfsq = a.mul(hf, f);
    let t = a.add(hfsq, r);
    let t = a.fma(s, t, c);
    a.sub(hfsq, t)
}

/// k·ln 2 + f − d, where d came with k·LN2_REST.
fn join<A: Arith>(a: &mut A, kf: A::F, f: A::F, d: A::F) -> A::F {
    let l = a.f(LN2_40);
    let h = a.mul(kf, l);
    let (hi, e) = a.fast_two_sum(h, f);
    let low = a.sub(d, e);
    a.sub(hi, low)
}

fn log_normal<A: Arith>(a: &mut A, x: A::F, bias: u64) -> A::F {
    let (z, k) = split(a, x);
    let b = a.i(bias);
    let k = a.sub_i(k, b);
    let kf = a.int_to_f(k);
    let one = a.f(1.0);
    let f = a.sub(z, one);
    let rest = a.f(LN2_REST);
    let c = a.mul(kf, rest);
    let d = log1p_part(a, f, c);
    join(a, kf, f, d)
}

/// Results for zero, negative, infinite and NaN arguments; `y` elsewhere.
fn log_special<A: Arith>(a: &mut A, x: A::F, y: A::F) -> A::F {
    let zero = a.f(0.0);
    let inf = a.f(f64::INFINITY);
    let nan = a.f(f64::NAN);
    let is_inf = a.eq(x, inf);
    let y = a.select(is_inf, inf, y);
    let neg_inf = a.f(f64::NEG_INFINITY);
    let is_zero = a.eq(x, zero);
    let y = a.select(is_zero, neg_inf, y);
    let valid = a.le(zero, x);
    a.select(valid, y, nan)
}

/// Whether x is zero, subnormal, negative, infinite or NaN.
fn odd<A: Arith>(a: &mut A, x: A::F) -> A::B {
    let bits = a.bits(x);
    let ok = a.in_range(bits, MIN_NORMAL_BITS, INF_BITS);
    a.not_b(ok)
}

/// ln x. Error < 1 ulp.
pub fn log<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let usual = log_normal(a, x, 0);
    let c = odd(a, x);
    a.rare(c, usual, |a| {
        let up = a.f(TWO54);
        let xs = a.mul(x, up);
        let y = log_normal(a, xs, 54);
        log_special(a, x, y)
    })
}

/// log in another base: k·(hi + lo) + ln(1 + f)·inv.
fn log_base<A: Arith>(a: &mut A, x: A::F, bias: u64, per_k: (f64, f64), inv: (f64, f64)) -> A::F {
    let (z, k) = split(a, x);
    let b = a.i(bias);
    let k = a.sub_i(k, b);
    let kf = a.int_to_f(k);
    let one = a.f(1.0);
    let f = a.sub(z, one);
    let zero = a.f(0.0);
    let d = log1p_part(a, f, zero);
    let nd = a.neg(d);
    let (h, l) = a.fast_two_sum(f, nd);
    let ih = a.f(inv.0);
    let il = a.f(inv.1);
    let (p, e) = a.two_prod(h, ih);
    let e = a.fma(h, il, e);
    let e = a.fma(l, ih, e);
    let kh = a.f(per_k.0);
    let kl = a.f(per_k.1);
    let t = a.mul(kf, kh);
    let e = a.fma(kf, kl, e);
    let (hi, lo) = a.fast_two_sum(t, p);
    let low = a.add(lo, e);
    a.add(hi, low)
}

fn log_in<A: Arith>(a: &mut A, x: A::F, per_k: (f64, f64), inv: (f64, f64)) -> A::F {
    let usual = log_base(a, x, 0, per_k, inv);
    let c = odd(a, x);
    a.rare(c, usual, |a| {
        let up = a.f(TWO54);
        let xs = a.mul(x, up);
        let y = log_base(a, xs, 54, per_k, inv);
        log_special(a, x, y)
    })
}

/// Binary logarithm; exact at powers of two. Error < 1 ulp.
pub fn log2<A: Arith>(a: &mut A, x: A::F) -> A::F {
    log_in(a, x, (1.0, 0.0), INV_LN2)
}

/// Decimal logarithm; exact at powers of ten. Error < 1 ulp.
pub fn log10<A: Arith>(a: &mut A, x: A::F) -> A::F {
    log_in(a, x, (LOG10_2_40, LOG10_2_REST), INV_LN10)
}

/// ln x of a positive normal number as a double-double with relative error about 2⁻⁶⁶ (relative to the result
/// also near x = 1); `bias` is subtracted from the binary exponent.
pub(super) fn log_dd<A: Arith>(a: &mut A, x: A::F, bias: A::I) -> (A::F, A::F) {
    let (z, k) = split(a, x);
    let k = a.sub_i(k, bias);
    let kf = a.int_to_f(k);
    let one = a.f(1.0);
    let f = a.sub(z, one);
    // s = f/(z + 1) as a double-double
    let den = a.add(z, one);
    let t = a.sub(den, one);
    let dl = a.sub(z, t);
    let inv = a.div(one, den);
    let s = a.mul(f, inv);
    let r = a.fnma(s, den, f);
    let r = a.fnma(s, dl, r);
    let sl = a.mul(r, inv);
    // w = s²
    let (w, wl) = a.two_prod(s, s);
    let s2 = a.add(s, s);
    let wl = a.fma(s2, sl, wl);
    // u = w/3 + w²·Q(w)
    let q = estrin(a, w, &LOG_DD);
    let ww = a.mul(w, w);
    let tail = a.mul(ww, q);
    let th = a.f(THIRD.0);
    let tl = a.f(THIRD.1);
    let (p, pl) = a.two_prod(w, th);
    let pl = a.fma(w, tl, pl);
    let pl = a.fma(wl, th, pl);
    let (u, ul) = a.fast_two_sum(p, tail);
    let ul = a.add(ul, pl);
    // ln z = 2(s + s·u)
    let (v, vl) = a.two_prod(s, u);
    let vl = a.fma(s, ul, vl);
    let vl = a.fma(sl, u, vl);
    let (h, l) = a.fast_two_sum(s, v);
    let vl = a.add(vl, sl);
    let l = a.add(l, vl);
    let h = a.add(h, h);
    let l = a.add(l, l);
    let ln2 = a.f(LN2_40);
    let rest = a.f(LN2_REST);
    let kh = a.mul(kf, ln2);
    let l = a.fma(kf, rest, l);
    let (h, e) = a.fast_two_sum(kh, h);
    let l = a.add(e, l);
    a.fast_two_sum(h, l)
}

/// ln(1 + h + l) for 1 + h + l positive and below 2¹⁰²³, |l| below the last place of h or so.
fn log1p_dd<A: Arith>(a: &mut A, h: A::F, l: A::F) -> A::F {
    let one = a.f(1.0);
    let (u, e) = a.two_sum(one, h);
    let (z, k) = split(a, u);
    let zero_i = a.i(0);
    let whole = a.eq_i(k, zero_i);
    let e = a.add(e, l);
    let nk = a.sub_i(zero_i, k);
    let down = a.exp2_i(nk);
    let fz = a.sub(z, one);
    let ez = a.mul(e, down);
    let f = a.select(whole, h, fz);
    let c = a.select(whole, l, ez);
    let kf = a.int_to_f(k);
    let rest = a.f(LN2_REST);
    // ln(1 + f + c) = ln(1 + f) + c/(1 + f)
    let one_f = a.add(one, f);
    let c = a.div(c, one_f);
    let c = a.fma(kf, rest, c);
    let d = log1p_part(a, f, c);
    join(a, kf, f, d)
}

/// ln(1 + x). Error < 1 ulp.
pub fn log1p<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let zero = a.f(0.0);
    let y = log1p_dd(a, x, zero);
    let usual = a.copysign(y, x);
    let m1 = a.f(-1.0);
    let big = a.f(1e300);
    let c1 = a.lt(m1, x);
    let c2 = a.lt(x, big);
    let ok = a.and_b(c1, c2);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| {
        // x ≥ 1e300 (1 + x = x), x ≤ −1 or NaN
        let y = log_normal(a, x, 0);
        let inf = a.f(f64::INFINITY);
        let is_inf = a.eq(x, inf);
        let y = a.select(is_inf, inf, y);
        let zero = a.f(0.0);
        let ok = a.lt(zero, x);
        let nan = a.f(f64::NAN);
        let y = a.select(ok, y, nan);
        let m1 = a.f(-1.0);
        let pole = a.eq(x, m1);
        let minus = a.f(f64::NEG_INFINITY);
        a.select(pole, minus, y)
    })
}

/// ln x + ln 2 for x ≥ 2²⁸, infinity and NaN.
fn log_twice<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let y = log_normal(a, x, 1u64.wrapping_neg());
    let inf = a.f(f64::INFINITY);
    let finite = a.lt(x, inf);
    a.select(finite, y, x)
}

/// Root of `p + e` (p > 0) as a double-double.
fn sqrt_dd<A: Arith>(a: &mut A, p: A::F, e: A::F) -> (A::F, A::F) {
    let s = a.sqrt(p);
    let r = a.fnma(s, s, p);
    let r = a.add(r, e);
    let tiny = a.f(f64::MIN_POSITIVE);
    let d = a.add(s, s);
    let d = a.add(d, tiny);
    let l = a.div(r, d);
    (s, l)
}

/// Inverse hyperbolic sine. Error < 1.2 ulp.
pub fn asinh<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    // asinh m = ln(1 + m + m²/(1 + √(1 + m²)))
    let (p, pe) = a.two_prod(m, m);
    let one = a.f(1.0);
    let (t, te) = a.two_sum(one, p);
    let te = a.add(te, pe);
    let (s, sl) = sqrt_dd(a, t, te);
    let (d, dl) = a.two_sum(one, s);
    let dl = a.add(dl, sl);
    let (q, ql) = a.div_dd((p, pe), (d, dl));
    let (h, l) = a.fast_two_sum(m, q);
    let l = a.add(l, ql);
    let y = log1p_dd(a, h, l);
    let usual = a.copysign(y, x);
    let big = a.f(268_435_456.0);
    let ok = a.lt(m, big);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| {
        let y = log_twice(a, m);
        a.copysign(y, x)
    })
}

/// Inverse hyperbolic cosine; NaN below 1. Error < 1.2 ulp.
pub fn acosh<A: Arith>(a: &mut A, x: A::F) -> A::F {
    // with t = x − 1: acosh x = ln(1 + t + √(2t + t²))
    let one = a.f(1.0);
    let t = a.sub(x, one);
    let t2 = a.add(t, t);
    let (p, pe) = a.two_prod(t, t);
    let (u, ue) = a.two_sum(t2, p);
    let ue = a.add(ue, pe);
    let (s, sl) = sqrt_dd(a, u, ue);
    let (h, l) = a.two_sum(s, t);
    let l = a.add(l, sl);
    let usual = log1p_dd(a, h, l);
    let big = a.f(268_435_456.0);
    let c1 = a.lt(x, big);
    let c2 = a.le(one, x);
    let ok = a.and_b(c1, c2);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| {
        let y = log_twice(a, x);
        let nan = a.f(f64::NAN);
        let one = a.f(1.0);
        let ok = a.le(one, x);
        a.select(ok, y, nan)
    })
}

/// Inverse hyperbolic tangent; ±∞ at ±1, NaN beyond. Error < 1.2 ulp.
pub fn atanh<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let one = a.f(1.0);
    // ½ ln(1 + 2m/(1 − m))
    let nm = a.neg(m);
    let (d, dl) = a.fast_two_sum(one, nm);
    let n = a.add(m, m);
    let zero = a.f(0.0);
    let (q, ql) = a.div_dd((n, zero), (d, dl));
    let y = log1p_dd(a, q, ql);
    let half = a.f(0.5);
    let y = a.mul(half, y);
    let usual = a.copysign(y, x);
    let ok = a.lt(m, one);
    let tiny = a.f(1e-290);
    let big_enough = a.le(tiny, m);
    let ok = a.and_b(ok, big_enough);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| {
        // |x| < 1e−290: x itself; 1: ±∞; beyond: NaN
        let one = a.f(1.0);
        let inf = a.f(f64::INFINITY);
        let inf = a.copysign(inf, x);
        let nan = a.f(f64::NAN);
        let small = a.lt(m, one);
        let pole = a.eq(m, one);
        let y = a.select(pole, inf, nan);
        a.select(small, x, y)
    })
}
