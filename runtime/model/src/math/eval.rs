//! The elementary functions on plain numbers: what the interpreter and host code use.

use super::Arith;
use crate::ir::MathFn;

/// [`Arith`] on the machine's own numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Eval;

impl Arith for Eval {
    type F = f64;
    type I = u64;
    type B = bool;

    #[inline(always)]
    fn f(&mut self, v: f64) -> f64 {
        v
    }
    #[inline(always)]
    fn i(&mut self, v: u64) -> u64 {
        v
    }
    #[inline(always)]
    fn add(&mut self, a: f64, b: f64) -> f64 {
        a + b
    }
    #[inline(always)]
    fn sub(&mut self, a: f64, b: f64) -> f64 {
        a - b
    }
    #[inline(always)]
    fn mul(&mut self, a: f64, b: f64) -> f64 {
        a * b
    }
    #[inline(always)]
    fn div(&mut self, a: f64, b: f64) -> f64 {
        a / b
    }
    #[inline(always)]
    fn fma(&mut self, a: f64, b: f64, c: f64) -> f64 {
        a.mul_add(b, c)
    }
    #[inline(always)]
    fn neg(&mut self, a: f64) -> f64 {
        -a
    }
    #[inline(always)]
    fn abs(&mut self, a: f64) -> f64 {
        a.abs()
    }
    #[inline(always)]
    fn sqrt(&mut self, a: f64) -> f64 {
        a.sqrt()
    }
    #[inline(always)]
    fn floor(&mut self, a: f64) -> f64 {
        a.floor()
    }
    #[inline(always)]
    fn copysign(&mut self, a: f64, sign: f64) -> f64 {
        a.copysign(sign)
    }
    #[inline(always)]
    fn lt(&mut self, a: f64, b: f64) -> bool {
        a < b
    }
    #[inline(always)]
    fn le(&mut self, a: f64, b: f64) -> bool {
        a <= b
    }
    #[inline(always)]
    fn eq(&mut self, a: f64, b: f64) -> bool {
        a == b
    }
    #[inline(always)]
    fn select(&mut self, c: bool, a: f64, b: f64) -> f64 {
        if c { a } else { b }
    }
    #[inline(always)]
    fn select_i(&mut self, c: bool, a: u64, b: u64) -> u64 {
        if c { a } else { b }
    }
    #[inline(always)]
    fn and_b(&mut self, a: bool, b: bool) -> bool {
        a & b
    }
    #[inline(always)]
    fn or_b(&mut self, a: bool, b: bool) -> bool {
        a | b
    }
    #[inline(always)]
    fn not_b(&mut self, a: bool) -> bool {
        !a
    }
    #[inline(always)]
    fn bits(&mut self, a: f64) -> u64 {
        a.to_bits()
    }
    #[inline(always)]
    fn float(&mut self, a: u64) -> f64 {
        f64::from_bits(a)
    }
    #[inline(always)]
    fn add_i(&mut self, a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }
    #[inline(always)]
    fn sub_i(&mut self, a: u64, b: u64) -> u64 {
        a.wrapping_sub(b)
    }
    #[inline(always)]
    fn mul_i(&mut self, a: u64, b: u64) -> u64 {
        a.wrapping_mul(b)
    }
    #[inline(always)]
    fn mul_hi(&mut self, a: u64, b: u64) -> u64 {
        ((u128::from(a) * u128::from(b)) >> 64) as u64
    }
    #[inline(always)]
    fn and_i(&mut self, a: u64, b: u64) -> u64 {
        a & b
    }
    #[inline(always)]
    fn or_i(&mut self, a: u64, b: u64) -> u64 {
        a | b
    }
    #[inline(always)]
    fn xor_i(&mut self, a: u64, b: u64) -> u64 {
        a ^ b
    }
    #[inline(always)]
    fn shl(&mut self, a: u64, n: u64) -> u64 {
        a << (n & 63)
    }
    #[inline(always)]
    fn shr(&mut self, a: u64, n: u64) -> u64 {
        a >> (n & 63)
    }
    #[inline(always)]
    fn sar(&mut self, a: u64, n: u64) -> u64 {
        ((a as i64) >> (n & 63)) as u64
    }
    #[inline(always)]
    fn lt_i(&mut self, a: u64, b: u64) -> bool {
        (a as i64) < (b as i64)
    }
    #[inline(always)]
    fn eq_i(&mut self, a: u64, b: u64) -> bool {
        a == b
    }
    #[inline(always)]
    fn rare(&mut self, c: bool, usual: f64, slow: impl FnOnce(&mut Self) -> f64) -> f64 {
        if c { slow(self) } else { usual }
    }
}

/// `f` of its arguments; `y` is ignored by functions of one argument.
#[must_use]
pub fn apply(f: MathFn, x: f64, y: f64) -> f64 {
    super::apply(&mut Eval, f, x, y)
}

macro_rules! one {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(x: f64) -> f64 {
            super::$name(&mut Eval, x)
        }
    )*};
}

one! {
    /// eˣ.
    exp
    /// eˣ − 1, accurate near zero.
    expm1
    /// Natural logarithm.
    log
    /// ln(1 + x), accurate near zero.
    log1p
    /// Decimal logarithm.
    log10
    /// Binary logarithm.
    log2
    /// Sine of radians.
    sin
    /// Cosine of radians.
    cos
    /// Tangent of radians.
    tan
    /// Inverse sine in radians.
    asin
    /// Inverse cosine in radians.
    acos
    /// Inverse tangent in radians.
    atan
    /// Hyperbolic sine.
    sinh
    /// Hyperbolic cosine.
    cosh
    /// Hyperbolic tangent.
    tanh
    /// Inverse hyperbolic sine.
    asinh
    /// Inverse hyperbolic cosine.
    acosh
    /// Inverse hyperbolic tangent.
    atanh
    /// Cube root.
    cbrt
    /// Error function.
    erf
    /// Γ(x).
    gamma
}

/// xʸ, as C's `pow`.
#[must_use]
pub fn pow(x: f64, y: f64) -> f64 {
    super::pow(&mut Eval, x, y)
}

/// The angle of the point (x, y) in (−π, π], as C's `atan2`.
#[must_use]
pub fn atan2(y: f64, x: f64) -> f64 {
    super::atan2(&mut Eval, y, x)
}

/// √(x² + y²) without overflow on the way.
#[must_use]
pub fn hypot(x: f64, y: f64) -> f64 {
    super::hypot(&mut Eval, x, y)
}

/// `x` to a constant integer power, see [`super::powi`].
#[must_use]
pub fn powi(x: f64, n: i32) -> f64 {
    super::powi(&mut Eval, x, n)
}

/// n! = Γ(n + 1), exact where it fits.
#[must_use]
pub fn factorial(n: f64) -> f64 {
    gamma(n + 1.0)
}
