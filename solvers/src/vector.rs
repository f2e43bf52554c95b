//! Loops over states for the multistep methods: padded vectors, weights, norms with a stated order of
//! summation.
//!
//! Vectors are padded to a multiple of [`LANES`] with zeros (weights too, so padding never counts). A
//! norm adds the states `4i + l` into four partial sums, `l = 0..4`, in rising `i`, and then
//! `(s_0 + s_2) + (s_1 + s_3)`: the same bits on every machine, whatever width the compiler chooses.

/// States handled together.
pub(crate) const LANES: usize = 4;

/// One group of states.
pub(crate) type Lane = [f64; LANES];

/// The length of a padded vector of `n` states.
#[inline(always)]
pub(crate) fn padded(n: usize) -> usize {
    n.div_ceil(LANES) * LANES
}

/// A padded vector in groups.
#[inline(always)]
pub(crate) fn lanes(v: &[f64]) -> &[Lane] {
    v.as_chunks().0
}

/// A padded vector in groups.
#[inline(always)]
pub(crate) fn lanes_mut(v: &mut [f64]) -> &mut [Lane] {
    v.as_chunks_mut().0
}

/// The value of larger magnitude.
#[inline(always)]
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    let (a, b) = (a.abs(), b.abs());
    if a > b { a } else { b }
}

/// What a state's error is measured by; never zero.
#[inline(always)]
pub(crate) fn tolerance(atol: f64, rtol: f64, x: f64) -> f64 {
    let v = atol + rtol * x.abs();
    if v > f64::MIN_POSITIVE { v } else { f64::MIN_POSITIVE }
}

/// The sum of four partial sums, in the stated order.
#[inline(always)]
pub(crate) fn total(s: Lane) -> f64 {
    (s[0] + s[2]) + (s[1] + s[3])
}

/// `w = 1/(atol + rtol·|x|)`.
pub(crate) fn weights(rtol: f64, atol: &[f64], x: &[f64], w: &mut [f64]) {
    for ((w, x), atol) in w.iter_mut().zip(x).zip(atol) {
        *w = 1.0 / tolerance(*atol, rtol, *x);
    }
}

/// The weighted sum of squares of `v`.
pub(crate) fn sum_squares(v: &[f64], w: &[f64]) -> f64 {
    let mut s: Lane = [0.0; LANES];
    for (v, w) in lanes(v).iter().zip(lanes(w)) {
        for l in 0..LANES {
            s[l] += (v[l] * w[l]) * (v[l] * w[l]);
        }
    }
    total(s)
}

/// Where `|v|·w` is largest (the first of equals), and how large. A NaN counts as the largest.
pub(crate) fn worst(v: &[f64], w: &[f64]) -> (usize, f64) {
    let mut at = (0, 0.0);
    for (i, (v, w)) in v.iter().zip(w).enumerate() {
        let q = v.abs() * w;
        if q.is_nan() {
            return (i, q);
        }
        if q > at.1 {
            at = (i, q);
        }
    }
    at
}
