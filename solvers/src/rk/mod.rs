//! Runge–Kutta methods: fixed step and explicit embedded pairs.

pub mod dopri5;
pub mod embedded;
pub mod fixed;
pub mod tsit5;

/// `out = x + h·Σ a[j]·k[j]`, the sum in the order of `j`.
#[inline(always)]
pub(crate) fn stage<const S: usize>(out: &mut [f64], x: &[f64], h: f64, a: [f64; S], k: [&[f64]; S]) {
    let n = out.len();
    let x = &x[..n];
    let k = k.map(|k| &k[..n]);
    for i in 0..n {
        let mut s = a[0] * k[0][i];
        for j in 1..S {
            s += a[j] * k[j][i];
        }
        out[i] = x[i] + h * s;
    }
}
