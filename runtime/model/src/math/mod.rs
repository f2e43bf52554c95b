//! The elementary functions, each written once.
//!
//! Every function is generic over [`Arith`], the primitive operations of the IR. [`eval`] runs them on
//! plain numbers (the interpreter and any host code), [`build::Builder`] emits the same operations as IR,
//! and a back end may implement [`Arith`] itself. As every primitive is exact or correctly rounded and
//! their order is stated here, all of them give the same bits.
//!
//! Error: at most 1.5 units in the last place over the whole range, subnormal and huge arguments
//! included (the tests measure it against arbitrary precision); special cases as in ISO C, annex F.
//! Polynomials are minimax fits (Remez exchange in 50 digits); the comments give their error.
//! Nothing here allocates, fails, or calls a library.

mod build;
pub mod eval;
mod exp;
mod gamma;
mod inverse;
mod log;
mod moved;
mod poly;
mod pow;
pub mod power;
mod psi;
mod root;
mod trig;

pub use build::{Builder, expand};
pub use exp::{cosh, exp, expm1, sinh, tanh};
pub use gamma::{erf, gamma};
pub use inverse::{acos, asin, atan, atan2};
pub use log::{acosh, asinh, atanh, log, log1p, log2, log10};
pub use moved::{cos_moved, sin_beside_moved, sin_moved};
pub use pow::pow;
pub use psi::{digamma, trigamma};
pub use root::{cbrt, hypot};
pub use trig::{cos, sin, sin_beside, tan};

use crate::ir::MathFn;

/// The sign bit of a binary64.
const SIGN: u64 = 1 << 63;
/// 1.5·2⁵²: adding it leaves the nearest integer in the low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
/// The bits of [`MAGIC`].
const MAGIC_BITS: u64 = 0x4338_0000_0000_0000;
/// The smallest normal number, as bits.
const MIN_NORMAL_BITS: u64 = 0x0010_0000_0000_0000;
/// +∞, as bits.
const INF_BITS: u64 = 0x7ff0_0000_0000_0000;
/// 1.0, as bits.
const ONE_BITS: u64 = 0x3ff0_0000_0000_0000;

/// The primitive operations: those of the IR that the elementary functions need. `F` is a binary64,
/// `I` 64 bits (wrapping), `B` a truth value. Comparisons of `F` are false with NaN.
#[expect(missing_docs, reason = "the names say it: each is the IR operation of that name")]
pub trait Arith {
    type F: Copy;
    type I: Copy;
    type B: Copy;

    fn f(&mut self, v: f64) -> Self::F;
    fn i(&mut self, v: u64) -> Self::I;

    fn add(&mut self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(&mut self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(&mut self, a: Self::F, b: Self::F) -> Self::F;
    fn div(&mut self, a: Self::F, b: Self::F) -> Self::F;
    /// `a·b + c`, rounded once.
    fn fma(&mut self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    fn neg(&mut self, a: Self::F) -> Self::F;
    fn abs(&mut self, a: Self::F) -> Self::F;
    fn sqrt(&mut self, a: Self::F) -> Self::F;
    fn floor(&mut self, a: Self::F) -> Self::F;
    fn copysign(&mut self, a: Self::F, sign: Self::F) -> Self::F;

    fn lt(&mut self, a: Self::F, b: Self::F) -> Self::B;
    fn le(&mut self, a: Self::F, b: Self::F) -> Self::B;
    fn eq(&mut self, a: Self::F, b: Self::F) -> Self::B;
    fn select(&mut self, c: Self::B, a: Self::F, b: Self::F) -> Self::F;
    fn select_i(&mut self, c: Self::B, a: Self::I, b: Self::I) -> Self::I;
    fn and_b(&mut self, a: Self::B, b: Self::B) -> Self::B;
    fn or_b(&mut self, a: Self::B, b: Self::B) -> Self::B;
    fn not_b(&mut self, a: Self::B) -> Self::B;

    fn bits(&mut self, a: Self::F) -> Self::I;
    fn float(&mut self, a: Self::I) -> Self::F;
    fn add_i(&mut self, a: Self::I, b: Self::I) -> Self::I;
    fn sub_i(&mut self, a: Self::I, b: Self::I) -> Self::I;
    fn mul_i(&mut self, a: Self::I, b: Self::I) -> Self::I;
    fn mul_hi(&mut self, a: Self::I, b: Self::I) -> Self::I;
    fn and_i(&mut self, a: Self::I, b: Self::I) -> Self::I;
    fn or_i(&mut self, a: Self::I, b: Self::I) -> Self::I;
    fn xor_i(&mut self, a: Self::I, b: Self::I) -> Self::I;
    fn shl(&mut self, a: Self::I, n: Self::I) -> Self::I;
    fn shr(&mut self, a: Self::I, n: Self::I) -> Self::I;
    fn sar(&mut self, a: Self::I, n: Self::I) -> Self::I;
    /// Signed comparison.
    fn lt_i(&mut self, a: Self::I, b: Self::I) -> Self::B;
    fn eq_i(&mut self, a: Self::I, b: Self::I) -> Self::B;

    /// `if c then slow() else usual`: a region that is seldom taken.
    ///
    /// A function uses this at most on its own arguments, so an implementation may as well call its
    /// out-of-line copy (or [`eval`]'s) of the whole function there: the bits are the same.
    fn rare(&mut self, c: Self::B, usual: Self::F, slow: impl FnOnce(&mut Self) -> Self::F) -> Self::F;

    /// The same where the region may well be taken for a while: code for lanes then follows both sides instead of leaving its
    /// straight line lane by lane.
    fn seldom(&mut self, c: Self::B, usual: Self::F, other: impl FnOnce(&mut Self) -> Self::F) -> Self::F {
        self.rare(c, usual, other)
    }
}

/// Derived operations, shared by all functions.
trait Ops: Arith {
    /// `c − a·b`, rounded once.
    fn fnma(&mut self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        let n = self.neg(a);
        self.fma(n, b, c)
    }
    /// `a·b − c`, rounded once.
    fn fms(&mut self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        let n = self.neg(c);
        self.fma(a, b, n)
    }
    /// `a + b` and its error, for |a| ≥ |b| or `a` a multiple of `b`'s last place (Dekker).
    fn fast_two_sum(&mut self, a: Self::F, b: Self::F) -> (Self::F, Self::F) {
        let s = self.add(a, b);
        let t = self.sub(a, s);
        let e = self.add(t, b);
        (s, e)
    }
    /// `a + b` and its error, for any `a`, `b` (Knuth).
    fn two_sum(&mut self, a: Self::F, b: Self::F) -> (Self::F, Self::F) {
        let s = self.add(a, b);
        let bb = self.sub(s, a);
        let aa = self.sub(s, bb);
        let db = self.sub(b, bb);
        let da = self.sub(a, aa);
        let e = self.add(da, db);
        (s, e)
    }
    /// `a·b` and its error.
    fn two_prod(&mut self, a: Self::F, b: Self::F) -> (Self::F, Self::F) {
        let p = self.mul(a, b);
        let e = self.fms(a, b, p);
        (p, e)
    }
    /// Product of two double-doubles, relative error about 2⁻¹⁰².
    fn mul_dd(&mut self, a: (Self::F, Self::F), b: (Self::F, Self::F)) -> (Self::F, Self::F) {
        let (p, e) = self.two_prod(a.0, b.0);
        let e = self.fma(a.0, b.1, e);
        let e = self.fma(a.1, b.0, e);
        self.fast_two_sum(p, e)
    }
    /// Quotient of two double-doubles, relative error about 2⁻¹⁰⁰, and not normalised.
    fn div_dd(&mut self, a: (Self::F, Self::F), b: (Self::F, Self::F)) -> (Self::F, Self::F) {
        let q = self.div(a.0, b.0);
        let r = self.fnma(q, b.0, a.0);
        let r = self.add(r, a.1);
        let r = self.fnma(q, b.1, r);
        let e = self.div(r, b.0);
        (q, e)
    }
    /// The nearest integer to `x·c` (|x·c| < 2⁵¹), also as the low bits of an integer.
    fn nearest(&mut self, x: Self::F, c: f64) -> (Self::F, Self::I) {
        let c = self.f(c);
        let magic = self.f(MAGIC);
        let t = self.fma(x, c, magic);
        let n = self.sub(t, magic);
        let bits = self.bits(t);
        (n, bits)
    }
    /// A small integer (|i| < 2⁵¹) as a binary64.
    fn int_to_f(&mut self, i: Self::I) -> Self::F {
        let m = self.i(MAGIC_BITS);
        let t = self.add_i(i, m);
        let t = self.float(t);
        let magic = self.f(MAGIC);
        self.sub(t, magic)
    }
    /// 2ⁿ for −1022 ≤ n ≤ 1023.
    fn exp2_i(&mut self, n: Self::I) -> Self::F {
        let bias = self.i(1023);
        let n = self.add_i(n, bias);
        let s = self.i(52);
        let n = self.shl(n, s);
        self.float(n)
    }
    /// `y·2ⁿ` for |n| ≤ 2044, rounded once where the result is subnormal.
    fn scale(&mut self, y: Self::F, n: Self::I) -> Self::F {
        let one = self.i(1);
        let h = self.sar(n, one);
        let r = self.sub_i(n, h);
        let a = self.exp2_i(h);
        let b = self.exp2_i(r);
        let y = self.mul(y, a);
        self.mul(y, b)
    }
    /// Unsigned `lo ≤ bits < hi`, for bounds below 2⁶³.
    fn in_range(&mut self, bits: Self::I, lo: u64, hi: u64) -> Self::B {
        let l = self.i(lo.wrapping_add(SIGN));
        let t = self.sub_i(bits, l);
        let span = self.i((hi - lo).wrapping_add(SIGN));
        self.lt_i(t, span)
    }
    /// `x` with the sign bit of `sign` (given as bits) flipped in.
    fn xor_sign(&mut self, x: Self::F, sign: Self::I) -> Self::F {
        let b = self.bits(x);
        let b = self.xor_i(b, sign);
        self.float(b)
    }
}

impl<A: Arith> Ops for A {}

impl MathFn {
    /// All functions, in the order of their declaration.
    pub const ALL: [MathFn; 30] = [
        MathFn::Exp,
        MathFn::Expm1,
        MathFn::Log,
        MathFn::Log1p,
        MathFn::Log10,
        MathFn::Log2,
        MathFn::Sin,
        MathFn::Cos,
        MathFn::Tan,
        MathFn::Asin,
        MathFn::Acos,
        MathFn::Atan,
        MathFn::Atan2,
        MathFn::Sinh,
        MathFn::Cosh,
        MathFn::Tanh,
        MathFn::Asinh,
        MathFn::Acosh,
        MathFn::Atanh,
        MathFn::Pow,
        MathFn::Cbrt,
        MathFn::Hypot,
        MathFn::Erf,
        MathFn::Gamma,
        MathFn::Digamma,
        MathFn::Trigamma,
        MathFn::SinBeside,
        MathFn::SinMoved,
        MathFn::CosMoved,
        MathFn::SinBesideMoved,
    ];

    /// The name in the printed form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MathFn::Exp => "exp",
            MathFn::Expm1 => "expm1",
            MathFn::Log => "log",
            MathFn::Log1p => "log1p",
            MathFn::Log10 => "log10",
            MathFn::Log2 => "log2",
            MathFn::Sin => "sin",
            MathFn::Cos => "cos",
            MathFn::Tan => "tan",
            MathFn::Asin => "asin",
            MathFn::Acos => "acos",
            MathFn::Atan => "atan",
            MathFn::Atan2 => "atan2",
            MathFn::Sinh => "sinh",
            MathFn::Cosh => "cosh",
            MathFn::Tanh => "tanh",
            MathFn::Asinh => "asinh",
            MathFn::Acosh => "acosh",
            MathFn::Atanh => "atanh",
            MathFn::Pow => "pow",
            MathFn::Cbrt => "cbrt",
            MathFn::Hypot => "hypot",
            MathFn::Erf => "erf",
            MathFn::Gamma => "gamma",
            MathFn::Digamma => "digamma",
            MathFn::Trigamma => "trigamma",
            MathFn::SinBeside => "sin_beside",
            MathFn::SinMoved => "sin_moved",
            MathFn::CosMoved => "cos_moved",
            MathFn::SinBesideMoved => "sin_beside_moved",
        }
    }

    /// The function of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<MathFn> {
        MathFn::ALL.into_iter().find(|f| f.name() == name)
    }

    /// Number of arguments: 1 or 2.
    #[must_use]
    pub fn arity(self) -> usize {
        match self {
            MathFn::Atan2 | MathFn::Pow | MathFn::Hypot => 2,
            MathFn::SinMoved | MathFn::CosMoved | MathFn::SinBesideMoved => 2,
            _ => 1,
        }
    }
}

/// Emits `f` of `x` (and `y` for functions of two arguments, else ignored) with the operations of `a`.
pub fn apply<A: Arith>(a: &mut A, f: MathFn, x: A::F, y: A::F) -> A::F {
    match f {
        MathFn::Exp => exp(a, x),
        MathFn::Expm1 => expm1(a, x),
        MathFn::Log => log(a, x),
        MathFn::Log1p => log1p(a, x),
        MathFn::Log10 => log10(a, x),
        MathFn::Log2 => log2(a, x),
        MathFn::Sin => sin(a, x),
        MathFn::Cos => cos(a, x),
        MathFn::Tan => tan(a, x),
        MathFn::Asin => asin(a, x),
        MathFn::Acos => acos(a, x),
        MathFn::Atan => atan(a, x),
        MathFn::Atan2 => atan2(a, x, y),
        MathFn::Sinh => sinh(a, x),
        MathFn::Cosh => cosh(a, x),
        MathFn::Tanh => tanh(a, x),
        MathFn::Asinh => asinh(a, x),
        MathFn::Acosh => acosh(a, x),
        MathFn::Atanh => atanh(a, x),
        MathFn::Pow => pow(a, x, y),
        MathFn::Cbrt => cbrt(a, x),
        MathFn::Hypot => hypot(a, x, y),
        MathFn::Erf => erf(a, x),
        MathFn::Gamma => gamma(a, x),
        MathFn::Digamma => digamma(a, x),
        MathFn::Trigamma => trigamma(a, x),
        MathFn::SinBeside => sin_beside(a, x),
        MathFn::SinMoved => sin_moved(a, x, y),
        MathFn::CosMoved => cos_moved(a, x, y),
        MathFn::SinBesideMoved => sin_beside_moved(a, x, y),
    }
}

/// `x` to a constant integer power by repeated multiplication, see [`power::by_squaring`]; for n < 0 the reciprocal
/// of that. `x⁰` is 1.
///
/// Each multiplication adds half an ulp.
pub fn powi<A: Arith>(a: &mut A, x: A::F, n: i32) -> A::F {
    let found = power::by_squaring(n.unsigned_abs(), x, |x, y| a.mul(x, y));
    let one = a.f(1.0);
    match found {
        Some(r) if n < 0 => a.div(one, r),
        Some(r) => r,
        None => one,
    }
}
