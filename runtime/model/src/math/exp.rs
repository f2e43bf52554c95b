//! Exponential and hyperbolic functions.
//!
//! x = k·ln 2 + r with |r| ≤ ½ ln 2: with FMA the first subtraction is exact (x and k·fl(ln 2) are multiples
//! of 2⁻⁵⁴ and differ by less than ½), the second leaves r with an error below half its last place.

use super::poly::{estrin, halves};
use super::{Arith, MAGIC_BITS, Ops};

const INV_LN2: f64 = std::f64::consts::LOG2_E;
const LN2_HI: f64 = std::f64::consts::LN_2;
const LN2_LO: f64 = 2.319_046_813_846_299_6e-17;

/// Squares of exponents below which 2ᵏ times a number from √½ to √2 is normal and finite: |k| ≤ 1021.
const EXPONENTS: f64 = 1_043_000.0;

/// (eʳ − 1 − r)/r² on ±½ ln 2, absolute error times r²: 2⁻⁵⁸.
const EXP: [f64; 10] = [
    0.5000000000000013,
    0.16666666666666696,
    0.04166666666651517,
    0.008333333333308617,
    0.001388888894708445,
    0.00019841269913950917,
    2.480148986880036e-05,
    2.7557219707797087e-06,
    2.763130740098086e-07,
    2.5116674650389194e-08,
];
/// (sinh r − r)/r³ in r², relative to sinh: 2⁻⁶¹.
const SINH: [f64; 5] = [
    0.16666666666666677,
    0.008333333333321615,
    0.0001984126988615992,
    2.7557244180408448e-06,
    2.5109045442971912e-08,
];
/// (cosh r − 1 − r²/2)/r⁴ in r²: 2⁻⁷⁰.
const COSH: [f64; 5] = [
    0.041666666666666685,
    0.0013888888888873461,
    2.480158734879407e-05,
    2.7557252205641103e-07,
    2.0921640760901186e-09,
];

/// k (as a float, and in the low bits of an integer), r and its error.
fn reduce<A: Arith>(a: &mut A, x: A::F) -> (A::F, A::I, A::F, A::F) {
    let (kf, bits) = a.nearest(x, INV_LN2);
    let hi = a.f(LN2_HI);
    let lo = a.f(LN2_LO);
    let r1 = a.fnma(kf, hi, x);
    let r = a.fnma(kf, lo, r1);
    let d = a.sub(r1, r);
    let rl = a.fnma(kf, lo, d);
    (kf, bits, r, rl)
}

/// eʳ for |r| ≤ ½ ln 2.
fn exp_poly<A: Arith>(a: &mut A, r: A::F) -> A::F {
    let q = halves(a, r, &EXP);
    let r2 = a.mul(r, r);
    let p = a.fma(r2, q, r);
    let one = a.f(1.0);
    a.add(one, p)
}

/// Clamps to ±`limit` (NaN stays).
fn clamp<A: Arith>(a: &mut A, x: A::F, lo: f64, hi: f64) -> A::F {
    let h = a.f(hi);
    let c = a.lt(h, x);
    let x = a.select(c, h, x);
    let l = a.f(lo);
    let c = a.lt(x, l);
    a.select(c, l, x)
}

/// eˣ·2ⁿ where the result may overflow or be subnormal.
fn exp_slow<A: Arith>(a: &mut A, x: A::F, n: u64) -> A::F {
    let x = clamp(a, x, -760.0, 730.0);
    let (_, bits, r, _) = reduce(a, x);
    let y = exp_poly(a, r);
    let m = a.i(MAGIC_BITS.wrapping_sub(n));
    let k = a.sub_i(bits, m);
    a.scale(y, k)
}

/// eˣ. Error < 1 ulp. About 20 operations.
pub fn exp<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let (kf, bits, r, _) = reduce(a, x);
    let y = exp_poly(a, r);
    let s = a.i(52);
    let e = a.shl(bits, s);
    let yb = a.bits(y);
    let yb = a.add_i(yb, e);
    let usual = a.float(yb);
    let square = a.mul(kf, kf);
    let limit = a.f(EXPONENTS);
    let ok = a.lt(square, limit);
    let odd = a.not_b(ok);
    a.rare(odd, usual, |a| exp_slow(a, x, 0))
}

/// e^(h + l) as (hi, lo, k) with value (hi + lo)·2ᵏ, for |h| < 2⁵⁰ and |l| tiny beside 1; relative error about
/// 2⁻⁵⁸ before the caller's rounding.
pub(super) fn exp_dd<A: Arith>(a: &mut A, h: A::F, l: A::F) -> (A::F, A::F, A::I) {
    let (_, bits, r, rl) = reduce(a, h);
    let l = a.add(rl, l);
    let (r, rl) = a.fast_two_sum(r, l);
    let q = estrin(a, r, &EXP);
    let r2 = a.mul(r, r);
    let one = a.f(1.0);
    let (s, e) = a.fast_two_sum(one, r);
    let t = a.fma(rl, s, e);
    let t = a.fma(r2, q, t);
    let (hi, lo) = a.fast_two_sum(s, t);
    let m = a.i(MAGIC_BITS);
    let k = a.sub_i(bits, m);
    (hi, lo, k)
}

/// eˣ − 1. Error < 1 ulp.
pub fn expm1<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let (_, bits, r, rl) = reduce(a, x);
    let q = estrin(a, r, &EXP);
    let r2 = a.mul(r, r);
    let p = a.fma(r2, q, rl);
    // 2ᵏ(1 + r + p) − 1 = (2ᵏ − 1) + 2ᵏr + 2ᵏp
    let sh = a.i(52);
    let k = a.shl(bits, sh);
    let one_bits = a.i(super::ONE_BITS);
    let s = a.add_i(k, one_bits);
    let s = a.float(s);
    let one = a.f(1.0);
    let t = a.sub(s, one);
    let sr = a.mul(s, r);
    let (h, e) = a.fast_two_sum(t, sr);
    let low = a.fma(s, p, e);
    let y = a.add(h, low);
    let usual = a.copysign(y, x);
    let m = a.abs(x);
    let limit = a.f(700.0);
    let ok = a.lt(m, limit);
    let odd = a.not_b(ok);
    a.rare(odd, usual, |a| {
        let y = exp_slow(a, x, 0);
        let one = a.f(1.0);
        a.sub(y, one)
    })
}

/// sinh and cosh of |x| < 700 as double-doubles `((sh, sl), (ch, cl))`.
///
/// With e^r = C + S: sinh x = A·C + B·S, cosh x = B·C + A·S, where A, B = 2^(k−1) ∓ 2^(−k−1).
#[expect(clippy::type_complexity, reason = "two double-doubles")]
fn sinh_cosh<A: Arith>(a: &mut A, x: A::F) -> ((A::F, A::F), (A::F, A::F)) {
    let (_, bits, r, rl) = reduce(a, x);
    let w = a.mul(r, r);
    let ps = estrin(a, w, &SINH);
    let pc = estrin(a, w, &COSH);
    let half = a.f(0.5);
    let hw = a.mul(half, w);
    // S = r + s with s = r³·ps + rl·cosh r;  C = 1 + c with c = r²/2 + r⁴·pc + r·rl
    let one = a.f(1.0);
    let ch = a.add(one, hw);
    let s = a.mul(rl, ch);
    let rw = a.mul(r, w);
    let s = a.fma(rw, ps, s);
    let c = a.mul(r, rl);
    let ww = a.mul(w, w);
    let c = a.fma(ww, pc, c);
    let c = a.add(hw, c);
    let m = a.i(MAGIC_BITS + 1);
    let k1 = a.sub_i(bits, m);
    let up = a.exp2_i(k1);
    let m = a.i(MAGIC_BITS - 1);
    let k2 = a.sub_i(m, bits);
    let down = a.exp2_i(k2);
    let nd = a.neg(down);
    let (aa, al) = a.fast_two_sum(up, nd);
    let (bb, bl) = a.fast_two_sum(up, down);
    // sinh: A + B·r + (A·c + B·s)
    let (br, bre) = a.two_prod(bb, r);
    let (h, e) = a.fast_two_sum(aa, br);
    let e = a.add(e, al);
    let t = a.fma(bb, s, bre);
    let t = a.fma(aa, c, t);
    let t = a.add(e, t);
    let sinh = a.fast_two_sum(h, t);
    // cosh: B + A·r + (B·c + A·s)
    let (ar, are) = a.two_prod(aa, r);
    let (h, e) = a.fast_two_sum(bb, ar);
    let e = a.add(e, bl);
    let t = a.fma(aa, s, are);
    let t = a.fma(bb, c, t);
    let t = a.add(e, t);
    let cosh = a.fast_two_sum(h, t);
    (sinh, cosh)
}

/// Not |x| < `limit` (true for NaN).
fn beyond<A: Arith>(a: &mut A, m: A::F, limit: f64) -> A::B {
    let limit = a.f(limit);
    let ok = a.lt(m, limit);
    a.not_b(ok)
}

/// sinh x. Error < 1 ulp.
pub fn sinh<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let ((h, _), _) = sinh_cosh(a, m);
    let usual = a.copysign(h, x);
    let odd = beyond(a, m, 700.0);
    a.rare(odd, usual, |a| {
        let y = exp_slow(a, m, 1u64.wrapping_neg());
        a.copysign(y, x)
    })
}

/// cosh x. Error < 1 ulp.
pub fn cosh<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let (_, (h, _)) = sinh_cosh(a, m);
    let odd = beyond(a, m, 700.0);
    a.rare(odd, h, |a| exp_slow(a, m, 1u64.wrapping_neg()))
}

/// tanh x. Error < 1 ulp.
pub fn tanh<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let (s, c) = sinh_cosh(a, m);
    let (q, e) = a.div_dd(s, c);
    let q = a.add(q, e);
    let usual = a.copysign(q, x);
    let odd = beyond(a, m, 22.0);
    a.rare(odd, usual, |a| {
        let one = a.f(1.0);
        let y = a.copysign(one, x);
        let nan = a.eq(x, x);
        a.select(nan, y, x)
    })
}
