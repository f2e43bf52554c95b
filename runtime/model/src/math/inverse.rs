//! Inverse trigonometric functions.

use super::poly::estrin;
use super::{Arith, INF_BITS, Ops, SIGN};

const PIO2: (f64, f64) = (std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17);
const PIO4: (f64, f64) = (std::f64::consts::FRAC_PI_4, 3.061_616_997_868_383e-17);
const PI: (f64, f64) = (std::f64::consts::PI, 1.224_646_799_147_353_2e-16);
/// tan(π/8).
const TAN_PIO8: f64 = 0.414_213_562_373_095_05;
/// tan(3π/8).
const TAN_3PIO8: f64 = 2.414_213_562_373_095;

/// (atan t − t)/t³ in t² for |t| ≤ tan(π/8), error times t²: 2⁻⁵⁹.
const ATAN: [f64; 11] = [
    -0.333333333333332,
    0.19999999999953996,
    -0.1428571428023952,
    0.11111110785671437,
    -0.09090897822569427,
    0.07692061382344582,
    -0.06663117403472488,
    0.058479866519442356,
    -0.050397427397405645,
    0.038075651064167375,
    -0.0179192946001637,
];
/// (asin s − s)/s³ in s² for |s| ≤ ½, error times s²: 2⁻⁵⁹.
const ASIN: [f64; 13] = [
    0.16666666666666763,
    0.07499999999970096,
    0.044642857175288826,
    0.030381942675154414,
    0.02237221590919413,
    0.01735159544585417,
    0.013981019123743126,
    0.011397288741667224,
    0.010789342599147043,
    0.0036721134926789825,
    0.021790800246401704,
    -0.021116908506859627,
    0.032702264507518154,
];

/// base + atan(num/den) for |num/den| ≤ tan(π/8), as leading part and correction.
fn atan_ratio<A: Arith>(a: &mut A, num: (A::F, A::F), den: (A::F, A::F), base: (A::F, A::F)) -> (A::F, A::F) {
    let (t, tl) = a.div_dd(num, den);
    let z = a.mul(t, t);
    let p = estrin(a, z, &ATAN);
    let v = a.mul(z, t);
    let s = a.fma(v, p, tl);
    let s = a.add(s, base.1);
    let (h, e) = a.fast_two_sum(base.0, t);
    let e = a.add(e, s);
    (h, e)
}

/// Arc tangent in radians. Error < 1 ulp.
pub fn atan<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let one = a.f(1.0);
    let zero = a.f(0.0);
    let c1 = a.f(TAN_PIO8);
    let c3 = a.f(TAN_3PIO8);
    let small = a.le(m, c1);
    let large = a.lt(c3, m);
    // (m − 1)/(m + 1) in the middle, −1/m above
    let m1 = a.f(-1.0);
    let (d, dl) = a.two_sum(m, m1);
    let (s, sl) = a.two_sum(m, one);
    let num = a.select(large, m1, d);
    let num = a.select(small, m, num);
    let numl = a.select(large, zero, dl);
    let numl = a.select(small, zero, numl);
    let den = a.select(large, m, s);
    let den = a.select(small, one, den);
    let denl = a.select(large, zero, sl);
    let denl = a.select(small, zero, denl);
    let (q2, q2l, q4, q4l) = (a.f(PIO2.0), a.f(PIO2.1), a.f(PIO4.0), a.f(PIO4.1));
    let base = a.select(large, q2, q4);
    let base = a.select(small, zero, base);
    let basel = a.select(large, q2l, q4l);
    let basel = a.select(small, zero, basel);
    let (h, e) = atan_ratio(a, (num, numl), (den, denl), (base, basel));
    let y = a.add(h, e);
    let usual = a.copysign(y, x);
    let big = a.f(1e300);
    let ok = a.lt(m, big);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| {
        let q = a.f(PIO2.0);
        let y = a.copysign(q, x);
        let number = a.eq(x, x);
        a.select(number, y, x)
    })
}

/// The angle of (x, y) where max(|x|, |y|) lies in [2⁻⁹⁰⁰, 2⁹⁰⁰].
fn atan2_scaled<A: Arith>(a: &mut A, y: A::F, x: A::F) -> A::F {
    let ay = a.abs(y);
    let ax = a.abs(x);
    let zero = a.f(0.0);
    let c1 = a.f(TAN_PIO8);
    let c3 = a.f(TAN_3PIO8);
    let lo = a.mul(c1, ax);
    let hi = a.mul(c3, ax);
    let small = a.le(ay, lo);
    let large = a.lt(hi, ay);
    let nax = a.neg(ax);
    let (d, dl) = a.two_sum(ay, nax);
    let (s, sl) = a.two_sum(ay, ax);
    let num = a.select(large, nax, d);
    let num = a.select(small, ay, num);
    let numl = a.select(large, zero, dl);
    let numl = a.select(small, zero, numl);
    let den = a.select(large, ay, s);
    let den = a.select(small, ax, den);
    let denl = a.select(large, zero, sl);
    let denl = a.select(small, zero, denl);
    // left half plane: π − angle
    let xb = a.bits(x);
    let mask = a.i(SIGN);
    let flip = a.and_i(xb, mask);
    let zero_i = a.i(0);
    let right = a.eq_i(flip, zero_i);
    let num = a.xor_sign(num, flip);
    let numl = a.xor_sign(numl, flip);
    let (q2, q2l, q4, q4l) = (a.f(PIO2.0), a.f(PIO2.1), a.f(PIO4.0), a.f(PIO4.1));
    let (q34, q34l) = (a.f(PIO4.0 * 3.0), a.f(THREE_PIO4_LOW));
    let (pi, pil) = (a.f(PI.0), a.f(PI.1));
    let q = a.select(right, q4, q34);
    let ql = a.select(right, q4l, q34l);
    let o = a.select(right, zero, pi);
    let ol = a.select(right, zero, pil);
    let base = a.select(large, q2, q);
    let base = a.select(small, o, base);
    let basel = a.select(large, q2l, ql);
    let basel = a.select(small, ol, basel);
    let (h, e) = atan_ratio(a, (num, numl), (den, denl), (base, basel));
    let r = a.add(h, e);
    a.copysign(r, y)
}

/// 3π/4 − fl(3·fl(π/4)).
const THREE_PIO4_LOW: f64 = 9.184_850_993_605_148e-17;

/// The angle of the point (x, y) in [−π, π]. Error < 1 ulp.
pub fn atan2<A: Arith>(a: &mut A, y: A::F, x: A::F) -> A::F {
    let usual = atan2_scaled(a, y, x);
    // both magnitudes in [2⁻⁴⁵⁰, 2⁴⁵⁰], so that no quotient or product underflows
    let lo = super::poly::exp2(-450).to_bits();
    let hi = super::poly::exp2(450).to_bits();
    let ax = a.abs(x);
    let ay = a.abs(y);
    let bx = a.bits(ax);
    let by = a.bits(ay);
    let ox = a.in_range(bx, lo, hi);
    let oy = a.in_range(by, lo, hi);
    let ok = a.and_b(ox, oy);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| atan2_rare(a, y, x))
}

fn atan2_rare<A: Arith>(a: &mut A, y: A::F, x: A::F) -> A::F {
    let ax = a.abs(x);
    let ay = a.abs(y);
    let inf = a.f(f64::from_bits(INF_BITS));
    let zero = a.f(0.0);
    let one = a.f(1.0);
    // infinities act as (1, small) or (1, 1); zeros of both as (0, 1 with x's sign)
    let xi = a.eq(ax, inf);
    let yi = a.eq(ay, inf);
    let any = a.or_b(xi, yi);
    let x1 = a.select(xi, one, zero);
    let y1 = a.select(yi, one, zero);
    let xf = a.select(any, x1, ax);
    let yf = a.select(any, y1, ay);
    let x0 = a.eq(xf, zero);
    let y0 = a.eq(yf, zero);
    let both = a.and_b(x0, y0);
    let xf = a.select(both, one, xf);
    // scale both by the same power of two, twice where both are small
    let less = a.lt(xf, yf);
    let m = a.select(less, yf, xf);
    let big = a.f(super::poly::exp2(800));
    let small = a.f(super::poly::exp2(-800));
    let is_big = a.lt(big, m);
    let is_small = a.lt(m, small);
    let down = a.f(super::poly::exp2(-200));
    let up = a.f(super::poly::exp2(600));
    let s = a.select(is_big, down, one);
    let s = a.select(is_small, up, s);
    let xs = a.mul(xf, s);
    let ys = a.mul(yf, s);
    let xs = a.copysign(xs, x);
    let r = atan2_scaled(a, ys, xs);
    // a small quotient, x > 0: y/x itself (its arc tangent differs by 2⁻⁶¹), rounded once
    let quot = a.div(yf, xf);
    let tiny = a.f(super::poly::exp2(-30));
    let ratio_small = a.lt(quot, tiny);
    let xb = a.bits(x);
    let mask = a.i(SIGN);
    let sx = a.and_i(xb, mask);
    let zero_i = a.i(0);
    let right = a.eq_i(sx, zero_i);
    let direct = a.and_b(ratio_small, right);
    let r = a.select(direct, quot, r);
    let r = a.copysign(r, y);
    let nx = a.eq(x, x);
    let ny = a.eq(y, y);
    let numbers = a.and_b(nx, ny);
    let nan = a.f(f64::NAN);
    a.select(numbers, r, nan)
}

/// √((1 − m)/2) = s + sl for ½ ≤ m ≤ 1, and its square.
fn half_angle<A: Arith>(a: &mut A, m: A::F) -> (A::F, A::F, A::F) {
    let half = a.f(0.5);
    let z = a.fnma(half, m, half);
    let s = a.sqrt(z);
    let r = a.fnma(s, s, z);
    let d = a.add(s, s);
    let tiny = a.f(f64::MIN_POSITIVE);
    let d = a.add(d, tiny);
    let sl = a.div(r, d);
    (s, sl, z)
}

/// asin(s) − s for s² = z ≤ ¼.
fn asin_tail<A: Arith>(a: &mut A, s: A::F, z: A::F) -> A::F {
    let p = estrin(a, z, &ASIN);
    let v = a.mul(s, z);
    a.mul(v, p)
}

/// Arc sine in radians; NaN beyond ±1. Error < 1 ulp.
pub fn asin<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let half = a.f(0.5);
    let inner = a.lt(m, half);
    let (s, sl, z) = half_angle(a, m);
    let mm = a.mul(m, m);
    let z = a.select(inner, mm, z);
    let s = a.select(inner, m, s);
    let t = asin_tail(a, s, z);
    let small = a.add(s, t);
    // π/2 − 2(s + sl + t)
    let q = a.f(PIO2.0);
    let ql = a.f(PIO2.1);
    let s2 = a.add(s, s);
    let ns = a.neg(s2);
    let (h, e) = a.fast_two_sum(q, ns);
    let u = a.add(sl, t);
    let two = a.f(2.0);
    let u = a.fnma(two, u, ql);
    let u = a.add(e, u);
    let large = a.add(h, u);
    let y = a.select(inner, small, large);
    a.copysign(y, x)
}

/// Arc cosine in radians; NaN beyond ±1. Error < 1 ulp.
pub fn acos<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let half = a.f(0.5);
    let inner = a.lt(m, half);
    let (s, sl, z) = half_angle(a, m);
    let xx = a.mul(x, x);
    let z = a.select(inner, xx, z);
    let s = a.select(inner, x, s);
    let t = asin_tail(a, s, z);
    let q = a.f(PIO2.0);
    let ql = a.f(PIO2.1);
    let ns = a.neg(s);
    // π/2 − (x + t)
    let (h, e) = a.fast_two_sum(q, ns);
    let u = a.sub(ql, t);
    let u = a.add(e, u);
    let mid = a.add(h, u);
    // 2(s + sl + t), or π minus that
    let u = a.add(sl, t);
    let right = a.add(s, u);
    let right = a.add(right, right);
    let pi = a.f(PI.0);
    let pil = a.f(PI.1);
    let s2 = a.add(ns, ns);
    let (h, e) = a.fast_two_sum(pi, s2);
    let two = a.f(2.0);
    let u = a.fnma(two, u, pil);
    let u = a.add(e, u);
    let left = a.add(h, u);
    let zero = a.f(0.0);
    let negative = a.lt(x, zero);
    let outer = a.select(negative, left, right);
    a.select(inner, mid, outer)
}
