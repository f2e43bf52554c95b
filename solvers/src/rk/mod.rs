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

/// As [`stage`], each product fused with its sum, by the processor's instructions where it has them.
pub(crate) fn fused<const S: usize>(out: &mut [f64], x: &[f64], h: f64, a: [f64; S], k: [&[f64]; S]) {
    pulp::Arch::new().dispatch(Fused { out, x, h, a, k });
}

struct Fused<'a, const S: usize> {
    out: &'a mut [f64],
    x: &'a [f64],
    h: f64,
    a: [f64; S],
    k: [&'a [f64]; S],
}

impl<const S: usize> pulp::WithSimd for Fused<'_, S> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: pulp::Simd>(self, _: I) {
        let Fused { out, x, h, a, k } = self;
        let n = out.len();
        let x = &x[..n];
        let k = k.map(|k| &k[..n]);
        for i in 0..n {
            let mut s = a[0] * k[0][i];
            for j in 1..S {
                s = a[j].mul_add(k[j][i], s);
            }
            out[i] = h.mul_add(s, x[i]);
        }
    }
}
