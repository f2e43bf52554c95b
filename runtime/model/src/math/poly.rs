//! Polynomials in a stated order of operations.

use super::Arith;

/// `Σ c[k]·xᵏ` by Estrin's scheme: neighbours are joined with one FMA each, level by level, so the chain of
/// dependent operations has length ⌈log₂ N⌉ instead of N. At most 16 coefficients.
#[inline]
pub(super) fn estrin<A: Arith, const N: usize>(a: &mut A, x: A::F, c: &[f64; N]) -> A::F {
    const { assert!(N >= 2 && N <= 16) };
    let zero = a.f(c[0]);
    let mut v = [zero; 16];
    for (slot, &k) in v.iter_mut().zip(c.iter()).skip(1) {
        *slot = a.f(k);
    }
    let mut n = N;
    let mut power = x;
    loop {
        let half = n / 2;
        for j in 0..half {
            v[j] = a.fma(v[2 * j + 1], power, v[2 * j]);
        }
        if n % 2 == 1 {
            v[half] = v[n - 1];
        }
        n = n.div_ceil(2);
        if n == 1 {
            return v[0];
        }
        power = a.mul(power, power);
    }
}

/// 2ⁿ for −1022 ≤ n ≤ 1023.
pub(super) const fn exp2(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}
