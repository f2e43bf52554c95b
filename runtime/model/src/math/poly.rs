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

/// `Σ c[k]·xᵏ` with one FMA a coefficient, each waiting for the one before: the fewest operations.
#[inline]
pub(super) fn horner<A: Arith, const N: usize>(a: &mut A, x: A::F, c: &[f64; N]) -> A::F {
    let mut v = a.f(c[N - 1]);
    for &k in c[..N - 1].iter().rev() {
        let k = a.f(k);
        v = a.fma(v, x, k);
    }
    v
}

/// `Σ c[k]·xᵏ` as the sum of its even and odd powers, each by Horner's rule in x²: one operation more than
/// [`horner`], in little more than half the time of one after the other.
#[inline]
pub(super) fn halves<A: Arith, const N: usize>(a: &mut A, x: A::F, c: &[f64; N]) -> A::F {
    const { assert!(N >= 4) };
    let xx = a.mul(x, x);
    let mut half = |first: usize| {
        let top = N - 1 - (N - 1 - first) % 2;
        let mut v = a.f(c[top]);
        let mut k = top;
        while k > first {
            k -= 2;
            let next = a.f(c[k]);
            v = a.fma(v, xx, next);
        }
        v
    };
    let (even, odd) = (half(0), half(1));
    a.fma(odd, x, even)
}

/// 2ⁿ for −1022 ≤ n ≤ 1023.
pub(super) const fn exp2(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}
