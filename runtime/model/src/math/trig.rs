//! Sine, cosine, tangent.
//!
//! The sine alone: x = n·π + r with |r| ≤ π/2, one polynomial, the sign by the parity of n. With FMA the first
//! subtraction x − n·fl(π) is exact (both are multiples of 2⁻⁵² and differ by less than 2). The second is rounded, or
//! exact where |r| < 2⁻⁵²; the third, with a third part of π, changes r only near there. So r has an error of half a
//! unit in its last place (one near 2⁻⁵²) for |x| < 2³⁰. The cosine, and both together: the same with π/2, and both polynomials.
//! Zeros keep their sign: the parts of π are positive, and r + r·t is −0 for r = −0 where t is not −0.
//!
//! The tangent: |x| = n·π/2 + y with |y| ≤ π/4, where two more terms of π/2 make y a double-double good to 2⁻¹²⁰ for
//! |x| < 2³⁰. Beyond, for all of them, Payne and Hanek's reduction with 1216 bits of 2/π.

use super::poly::{estrin, halves, horner};
use super::{Arith, INF_BITS, Ops, SIGN};

pub(super) const TWO_OVER_PI: f64 = std::f64::consts::FRAC_2_PI;
const PIO2: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];
/// Up to here the three-term reduction serves.
const LARGE: f64 = 1_073_741_824.0;
pub(super) const ONE_OVER_PI: f64 = std::f64::consts::FRAC_1_PI;
/// π in three parts, all positive.
pub(super) const PI: [f64; 3] = [std::f64::consts::PI, 1.224_646_799_147_353e-16, 2.165_713_347_843_828e-32];
/// π/2 likewise.
pub(super) const HALF_PI: [f64; 3] =
    [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_765e-17, 1.082_856_673_921_914e-32];
/// Squares of numbers of half turns, and of quarter turns, below which the reduction in three parts serves: somewhat
/// beyond 2³⁰ radians.
pub(super) const HALF_TURNS: f64 = 1.2e17;
pub(super) const QUARTER_TURNS: f64 = 4.8e17;

/// (sin y − y)/y³ in y², relative to sin: 2⁻⁵⁸.
const SIN: [f64; 6] = [
    -0.16666666666666632,
    0.008333333333322398,
    -0.00019841269829793428,
    2.7557313686691785e-06,
    -2.5050757263550873e-08,
    1.58967444969282e-10,
];
/// (sin y − y)/y³ + ⅛ in y² for |y| ≤ π/2, relative to sin: 2⁻⁶¹.
const SIN_HALF: [f64; 8] = [
    -0.04166666666666666,
    0.008333333333333207,
    -0.0001984126984121248,
    2.7557319211569342e-06,
    -2.5052106904383274e-08,
    1.6058940998295377e-10,
    -7.643019199045153e-13,
    2.7214168707081984e-15,
];
/// (cos y − 1 + y²/2)/y⁴ in y²: 2⁻⁶⁴.
const COS: [f64; 6] = [
    0.0416666666666666,
    -0.00138888888888741,
    2.4801587289467094e-05,
    -2.7557314347771604e-07,
    2.0875722627469996e-09,
    -1.1359613108732358e-11,
];

/// The binary digits of 2/π behind the point, after one word of zeros.
const DIGITS: [u64; 20] = [
    0,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
];

/// A reduced argument: quadrant in the low bits, y and its low part.
pub(super) struct Reduced<A: Arith> {
    n: A::I,
    y: A::F,
    yl: A::F,
}

fn reduce<A: Arith>(a: &mut A, m: A::F) -> Reduced<A> {
    let (nf, n) = a.nearest(m, TWO_OVER_PI);
    let p = PIO2.map(|c| a.f(c));
    let r = a.fnma(nf, p[0], m);
    let w = a.mul(nf, p[1]);
    let y = a.sub(r, w);
    let wl = a.fms(nf, p[1], w);
    let wl = a.fma(nf, p[2], wl);
    let d = a.sub(r, y);
    let d = a.sub(d, w);
    let yl = a.sub(d, wl);
    Reduced { n, y, yl }
}

/// Payne–Hanek for finite m ≥ 2³⁰ (anything else gives a meaningless number).
fn reduce_large<A: Arith>(a: &mut A, m: A::F) -> Reduced<A> {
    let bits = a.bits(m);
    let c52 = a.i(52);
    let e = a.shr(bits, c52);
    let mask = a.i((1 << 52) - 1);
    let hidden = a.i(1 << 52);
    let mant = a.and_i(bits, mask);
    let mant = a.or_i(mant, hidden);
    // m = mant·2^(e − 1075); digits of 2/π that make multiples of 4 are dropped: start at bit e − 1077 + 64
    let c = a.i(1075 + 2 - 64);
    let off = a.sub_i(e, c);
    let c6 = a.i(6);
    let word = a.shr(off, c6);
    let c63 = a.i(63);
    let sh = a.and_i(off, c63);
    // four words from the table, by halving the choice on each bit of the word number (0..=16)
    let mut w = DIGITS.map(|d| a.i(d));
    let mut len = w.len();
    for bit in [4u64, 3, 2, 1, 0] {
        let step = 1usize << bit;
        let cb = a.i(1 << bit);
        let t = a.and_i(word, cb);
        let set = a.eq_i(t, cb);
        // the words that the remaining bits can still reach
        let keep = (4 + step - 1).min(len);
        for k in 0..keep {
            let hi = w[(k + step).min(len - 1)];
            w[k] = a.select_i(set, hi, w[k]);
        }
        len = keep;
    }
    let one = a.i(1);
    let inv = a.sub_i(c63, sh);
    let mut b = [w[0]; 3];
    for k in 0..3 {
        let hi = a.shl(w[k], sh);
        let lo = a.shr(w[k + 1], one);
        let lo = a.shr(lo, inv);
        b[k] = a.or_i(hi, lo);
    }
    // P = mant·B modulo 2¹⁹²: two bits of quadrant, 190 of fraction
    let w2 = a.mul_i(mant, b[2]);
    let h2 = a.mul_hi(mant, b[2]);
    let l1 = a.mul_i(mant, b[1]);
    let h1 = a.mul_hi(mant, b[1]);
    let l0 = a.mul_i(mant, b[0]);
    let w1 = a.add_i(l1, h2);
    let sign = a.i(SIGN);
    let x1 = a.xor_i(w1, sign);
    let x2 = a.xor_i(l1, sign);
    let carry = a.lt_i(x1, x2);
    let zero = a.i(0);
    let carry = a.select_i(carry, one, zero);
    let w0 = a.add_i(l0, h1);
    let w0 = a.add_i(w0, carry);
    let c62 = a.i(62);
    let c2 = a.i(2);
    let n = a.shr(w0, c62);
    let f = [(w0, w1), (w1, w2)].map(|(h, l)| {
        let h = a.shl(h, c2);
        let l = a.shr(l, c62);
        a.or_i(h, l)
    });
    let f2 = a.shl(w2, c2);
    // to nearest: the fraction in [−½, ½) as sign and magnitude
    let s = a.sar(f[0], c63);
    let up = a.and_i(s, one);
    let n = a.add_i(n, up);
    let g0 = a.xor_i(f[0], s);
    let g1 = a.xor_i(f[1], s);
    let g2 = a.xor_i(f2, s);
    let c32 = a.i(32);
    let low = a.i(0xffff_ffff);
    let exp52 = a.i(0x4330_0000_0000_0000);
    let two52 = a.f(4_503_599_627_370_496.0);
    let mut pieces = [two52; 5];
    for (k, (word, top, scale)) in
        [(g0, true, -32), (g0, false, -64), (g1, true, -96), (g1, false, -128), (g2, true, -160)]
            .into_iter()
            .enumerate()
    {
        let t = if top { a.shr(word, c32) } else { a.and_i(word, low) };
        let t = a.or_i(t, exp52);
        let t = a.float(t);
        let t = a.sub(t, two52);
        let c = a.f(super::poly::exp2(scale));
        pieces[k] = a.mul(t, c);
    }
    let (s1, e1) = a.fast_two_sum(pieces[0], pieces[1]);
    let (s2, e2) = a.fast_two_sum(pieces[2], pieces[3]);
    let e2 = a.add(e2, pieces[4]);
    let v = a.add(e1, s2);
    let (h, l) = a.fast_two_sum(s1, v);
    let l = a.add(l, e2);
    // times π/2
    let p = PIO2.map(|c| a.f(c));
    let (y, yl) = a.two_prod(h, p[0]);
    let yl = a.fma(h, p[1], yl);
    let yl = a.fma(l, p[0], yl);
    let (y, yl) = a.fast_two_sum(y, yl);
    let flip = a.and_i(s, sign);
    let y = a.xor_sign(y, flip);
    let yl = a.xor_sign(yl, flip);
    Reduced { n, y, yl }
}

/// sin and cos of y + yl, each as a leading part and a correction.
#[expect(clippy::type_complexity, reason = "two pairs")]
pub(super) fn sin_cos<A: Arith>(a: &mut A, y: A::F, yl: A::F) -> ((A::F, A::F), (A::F, A::F)) {
    let z = a.mul(y, y);
    let ps = estrin(a, z, &SIN);
    let pc = estrin(a, z, &COS);
    let half = a.f(0.5);
    let hz = a.mul(half, z);
    let one = a.f(1.0);
    let v = a.mul(z, y);
    let t = a.fnma(hz, yl, yl);
    let s = a.fma(v, ps, t);
    let w = a.sub(one, hz);
    let e = a.sub(one, w);
    let e = a.sub(e, hz);
    let e = a.fnma(y, yl, e);
    let zz = a.mul(z, z);
    let c = a.fma(zz, pc, e);
    ((y, s), (w, c))
}

/// sin (`quarter` 0) or cos (1) of a reduced magnitude; `sign` is flipped in.
fn pick<A: Arith>(a: &mut A, r: &Reduced<A>, quarter: u64, sign: Option<A::I>) -> A::F {
    let ((y, s), (w, c)) = sin_cos(a, r.y, r.yl);
    let sin = a.add(y, s);
    let cos = a.add(w, c);
    let q = a.i(quarter);
    let n = a.add_i(r.n, q);
    let one = a.i(1);
    let odd = a.and_i(n, one);
    let odd = a.eq_i(odd, one);
    let v = a.select(odd, cos, sin);
    let c62 = a.i(62);
    let flip = a.shl(n, c62);
    let mask = a.i(SIGN);
    let flip = a.and_i(flip, mask);
    let flip = match sign {
        Some(sign) => a.xor_i(flip, sign),
        None => flip,
    };
    a.xor_sign(v, flip)
}

fn sign_of<A: Arith>(a: &mut A, x: A::F) -> A::I {
    let bits = a.bits(x);
    let mask = a.i(SIGN);
    a.and_i(bits, mask)
}

/// Not |x| < 2³⁰.
fn is_large<A: Arith>(a: &mut A, m: A::F) -> A::B {
    let limit = a.f(LARGE);
    let ok = a.lt(m, limit);
    a.not_b(ok)
}

/// `y`, or NaN where the argument is infinite or NaN.
fn finite_or_nan<A: Arith>(a: &mut A, m: A::F, y: A::F) -> A::F {
    let inf = a.f(f64::from_bits(INF_BITS));
    let nan = a.f(f64::NAN);
    let finite = a.lt(m, inf);
    a.select(finite, y, nan)
}

/// `x` less the nearest multiple of π (or π/2, by its inverse and parts): the multiple in the low bits, the rest, and
/// whether the multiple is below the limit (given as its square).
pub(super) fn turns<A: Arith>(
    a: &mut A,
    x: A::F,
    inverse: f64,
    parts: [f64; 3],
    limit: f64,
) -> (A::I, A::F, A::B) {
    let (nf, n) = a.nearest(x, inverse);
    let minus = a.neg(nf);
    let mut r = x;
    for part in parts {
        let part = a.f(part);
        r = a.fma(minus, part, r);
    }
    let square = a.mul(nf, nf);
    let limit = a.f(limit);
    (n, r, a.lt(square, limit))
}

/// r + r·z·p; the sign of zero is r's.
fn odd_sum<A: Arith>(a: &mut A, r: A::F, z: A::F, p: A::F) -> A::F {
    let zero = a.f(0.0);
    let t = a.fma(z, p, zero);
    a.fma(r, t, r)
}

/// r + r·(z·p − z/8): the greater part of the second term is exact, so that only its sum is rounded.
pub(super) fn eighths<A: Arith>(a: &mut A, r: A::F, z: A::F, p: A::F) -> A::F {
    let [eighth, zero] = [-0.125, 0.0].map(|c| a.f(c));
    let t = a.fma(z, eighth, zero);
    let t = a.fma(z, p, t);
    a.fma(r, t, r)
}

/// Sine of radians. Error < 1.5 ulp.
pub fn sin<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let (n, r, near) = turns(a, x, ONE_OVER_PI, PI, HALF_TURNS);
    let z = a.mul(r, r);
    // A run alone waits for every operation: two chains side by side are worth the one operation that they take more.
    let p = halves(a, z, &SIN_HALF);
    let s = eighths(a, r, z, p);
    let c63 = a.i(63);
    let odd = a.shl(n, c63);
    let usual = a.xor_sign(s, odd);
    let far = a.not_b(near);
    a.rare(far, usual, |a| far_sin(a, x))
}

/// Cosine of radians. Error < 1.5 ulp.
pub fn cos<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let (n, sin, cos, far) = both(a, x);
    let usual = quarter(a, n, sin, cos, 1);
    a.rare(far, usual, |a| {
        let m = a.abs(x);
        let r = reduce_large(a, m);
        let y = pick(a, &r, 1, None);
        finite_or_nan(a, m, y)
    })
}

/// Sine of radians by the way of [`cos`], with which it shares nearly all operations. Error < 1.5 ulp; the bits are not
/// always those of [`sin`].
pub fn sin_beside<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let (n, sin, cos, far) = both(a, x);
    let usual = quarter(a, n, sin, cos, 0);
    a.rare(far, usual, |a| far_sin(a, x))
}

fn far_sin<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let sign = sign_of(a, x);
    let r = reduce_large(a, m);
    let y = pick(a, &r, 0, Some(sign));
    finite_or_nan(a, m, y)
}

/// Number of the quadrant, sine and cosine of what is left, and whether `x` is beyond all that.
fn both<A: Arith>(a: &mut A, x: A::F) -> (A::I, A::F, A::F, A::B) {
    let (n, r, near) = turns(a, x, TWO_OVER_PI, HALF_PI, QUARTER_TURNS);
    let (sin, cos) = pair(a, r, &SIN, &COS);
    (n, sin, cos, a.not_b(near))
}

/// Sine and cosine of what is left by these polynomials, as [`SIN`] and [`COS`] are meant.
pub(super) fn pair<A: Arith, const S: usize, const C: usize>(
    a: &mut A,
    r: A::F,
    sin: &[f64; S],
    cos: &[f64; C],
) -> (A::F, A::F) {
    let z = a.mul(r, r);
    let p = horner(a, z, sin);
    let sin = odd_sum(a, r, z, p);
    let p = horner(a, z, cos);
    let minus_half = a.f(-0.5);
    let p = a.fma(z, p, minus_half);
    let one = a.f(1.0);
    (sin, a.fma(z, p, one))
}

/// The sine (`more` 0) or cosine (1) from those of what is left beside `n` quadrants.
pub(super) fn quarter<A: Arith>(a: &mut A, n: A::I, sin: A::F, cos: A::F, more: u64) -> A::F {
    let one = a.i(1);
    let odd = a.and_i(n, one);
    let odd = a.eq_i(odd, one);
    let v = if more == 0 {
        a.select(odd, cos, sin)
    } else {
        // the pair (cos, −sin) in odd quadrants: then both change their signs together, in the second half of a turn
        let minus = a.neg(sin);
        a.select(odd, minus, cos)
    };
    let c62 = a.i(62);
    let flip = a.shl(n, c62);
    let mask = a.i(SIGN);
    let flip = a.and_i(flip, mask);
    a.xor_sign(v, flip)
}

fn tan_reduced<A: Arith>(a: &mut A, r: &Reduced<A>, sign: A::I) -> A::F {
    let ((y, s), (w, c)) = sin_cos(a, r.y, r.yl);
    let sin = a.fast_two_sum(y, s);
    let cos = a.fast_two_sum(w, c);
    // odd quadrants: −cos/sin
    let one = a.i(1);
    let odd = a.and_i(r.n, one);
    let odd = a.eq_i(odd, one);
    let num = (a.select(odd, cos.0, sin.0), a.select(odd, cos.1, sin.1));
    let den = (a.select(odd, sin.0, cos.0), a.select(odd, sin.1, cos.1));
    let (q, e) = a.div_dd(num, den);
    let v = a.add(q, e);
    let c63 = a.i(63);
    let flip = a.shl(r.n, c63);
    let flip = a.xor_i(flip, sign);
    a.xor_sign(v, flip)
}

/// Tangent of radians. Error < 1 ulp.
pub fn tan<A: Arith>(a: &mut A, x: A::F) -> A::F {
    let m = a.abs(x);
    let sign = sign_of(a, x);
    let r = reduce(a, m);
    let usual = tan_reduced(a, &r, sign);
    let c = is_large(a, m);
    a.rare(c, usual, |a| {
        let r = reduce_large(a, m);
        let y = tan_reduced(a, &r, sign);
        finite_or_nan(a, m, y)
    })
}

/// sin(πx)'s magnitude as a double-double, for |x| < 2⁵⁰.
pub(super) fn sin_pi_magnitude<A: Arith>(a: &mut A, x: A::F) -> (A::F, A::F) {
    let (nf, n) = a.nearest(x, 2.0);
    let half = a.f(-0.5);
    let f = a.fma(nf, half, x);
    let f = a.add(f, f);
    let p = PIO2.map(|c| a.f(c));
    let (y, yl) = a.two_prod(f, p[0]);
    let yl = a.fma(f, p[1], yl);
    let ((y, s), (w, c)) = sin_cos(a, y, yl);
    let sin = a.fast_two_sum(y, s);
    let cos = a.fast_two_sum(w, c);
    let one = a.i(1);
    let odd = a.and_i(n, one);
    let odd = a.eq_i(odd, one);
    let h = a.select(odd, cos.0, sin.0);
    let l = a.select(odd, cos.1, sin.1);
    let neg = sign_of(a, h);
    (a.xor_sign(h, neg), a.xor_sign(l, neg))
}
