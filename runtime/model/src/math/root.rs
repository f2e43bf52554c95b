//! Cube root and hypotenuse.

use super::poly::{estrin, exp2};
use super::{Arith, INF_BITS, MIN_NORMAL_BITS, Ops};

/// r^(−1/3) on [0.88, 1.13], error 2⁻²².
const INV_CBRT: [f64; 5] =
    [1.8747786881439532, -1.8793954341259196, 1.6117224001440167, -0.7510494775870608, 0.14394380229889472];

/// A third of the exponent bias, less what makes the first guess's error symmetric.
const GUESS: u64 = 0x2a9f_7893_0000_0000;

/// ∛m of a positive normal number.
fn cbrt_normal<A: Arith>(a: &mut A, m: A::F) -> A::F {
    // exponent/3 by a multiplication of the whole word: 5 good bits
    let bits = a.bits(m);
    let third = a.i(0x5555_5555_5555_5555);
    let b = a.mul_hi(bits, third);
    let g = a.i(GUESS);
    let b = a.add_i(b, g);
    let t = a.float(b);
    // t·(t³/m)^(−1/3): 22 bits
    let t2 = a.mul(t, t);
    let q = a.div(t, m);
    let r = a.mul(t2, q);
    let p = estrin(a, r, &INV_CBRT);
    let t = a.mul(t, p);
    // keep 26 bits so that t² is exact, then one step of Newton's method, rounded once at the end
    let tb = a.bits(t);
    let half = a.i(1 << 26);
    let tb = a.add_i(tb, half);
    let mask = a.i(!((1 << 27) - 1));
    let tb = a.and_i(tb, mask);
    let t = a.float(tb);
    let s = a.mul(t, t);
    let q = a.div(m, s);
    let num = a.sub(q, t);
    let den = a.add(t, t);
    let den = a.add(den, q);
    let e = a.div(num, den);
    a.fma(t, e, t)
}

/// Cube root. Error < 0.7 ulp.
pub fn cbrt<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let y = cbrt_normal(a, m);
    let usual = a.copysign(y, x);
    let bits = a.bits(m);
    let ok = a.in_range(bits, MIN_NORMAL_BITS, INF_BITS);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| {
        // subnormal: scaled by 2⁵⁴; zero, infinity, NaN: x itself
        let up = a.f(exp2(54));
        let ms = a.mul(m, up);
        let y = cbrt_normal(a, ms);
        let down = a.f(exp2(-18));
        let y = a.mul(y, down);
        let y = a.copysign(y, x);
        let zero = a.f(0.0);
        let is_zero = a.eq(m, zero);
        let y = a.select(is_zero, x, y);
        let inf = a.f(f64::INFINITY);
        let finite = a.lt(m, inf);
        a.select(finite, y, x)
    })
}

fn hypot_scaled<A: Arith>(a: &mut A, hi: A::F, lo: A::F) -> A::F {
    let (p, pe) = a.two_prod(hi, hi);
    let (q, qe) = a.two_prod(lo, lo);
    let (s, e) = a.fast_two_sum(p, q);
    let e2 = a.add(pe, qe);
    let e = a.add(e, e2);
    let r = a.sqrt(s);
    let d = a.fnma(r, r, s);
    let d = a.add(d, e);
    let rr = a.add(r, r);
    let d = a.div(d, rr);
    a.add(r, d)
}

/// √(x² + y²). Error < 0.6 ulp.
pub fn hypot<A: Arith>(a: &mut A, x: A::F, y: A::F) -> A::F {
    let ax = a.abs(x);
    let ay = a.abs(y);
    let less = a.lt(ax, ay);
    let hi = a.select(less, ay, ax);
    let lo = a.select(less, ax, ay);
    let usual = hypot_scaled(a, hi, lo);
    let bits = a.bits(hi);
    let ok = a.in_range(bits, exp2(-400).to_bits(), exp2(500).to_bits());
    let number = a.eq(lo, lo);
    let ok = a.and_b(ok, number);
    let c = a.not_b(ok);
    a.rare(c, usual, |a| {
        let big = a.f(exp2(400));
        let is_big = a.lt(big, hi);
        let (down, up) = (a.f(exp2(-600)), a.f(exp2(600)));
        let (sf, sb) = (a.select(is_big, down, up), a.select(is_big, up, down));
        let h = a.mul(hi, sf);
        let l = a.mul(lo, sf);
        let y0 = hypot_scaled(a, h, l);
        let y0 = a.mul(y0, sb);
        let zero = a.f(0.0);
        let is_zero = a.eq(hi, zero);
        let r = a.select(is_zero, zero, y0);
        // an infinity wins over a NaN
        let nx = a.eq(x, x);
        let ny = a.eq(y, y);
        let numbers = a.and_b(nx, ny);
        let nan = a.f(f64::NAN);
        let r = a.select(numbers, r, nan);
        let inf = a.f(f64::INFINITY);
        let ix = a.eq(ax, inf);
        let iy = a.eq(ay, inf);
        let any = a.or_b(ix, iy);
        a.select(any, inf, r)
    })
}
