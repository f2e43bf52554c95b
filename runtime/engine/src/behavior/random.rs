//! Random numbers: Philox4x32-10 (J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11), a
//! function of key and counter, so that each handler of each twin has a stream of its own; and distributions by
//! inversion, with the functions that all models use.

use twinml_model::math::eval as m;

/// One block of Philox4x32-10.
#[must_use]
pub fn philox(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let (mut k, mut c) = (key, counter);
    for round in 0..10 {
        if round > 0 {
            k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
        }
        let a = u64::from(c[0]) * 0xD251_1F53;
        let b = u64::from(c[2]) * 0xCD9E_8D57;
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
    }
    c
}

/// 64-bit FNV-1a of a name, continued from `h`.
#[must_use]
pub fn hash(mut h: u64, text: &str) -> u64 {
    for b in text.bytes() {
        h = (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    h
}

/// Where [`hash`] begins.
pub const HASH: u64 = 0xcbf2_9ce4_8422_2325;

/// Draw `n` of the stream `stream` in run `run` of seed `seed`: two numbers strictly between 0 and 1.
#[must_use]
pub fn uniforms(seed: u64, run: u32, stream: u64, n: u32) -> [f64; 2] {
    let key = [seed as u32, (seed >> 32) as u32];
    let out = philox(key, [n, run, stream as u32, (stream >> 32) as u32]);
    let unit = |lo: u32, hi: u32| {
        let bits = (u64::from(hi) << 32 | u64::from(lo)) >> 12;
        (bits as f64 + 0.5) / (1u64 << 52) as f64
    };
    [unit(out[0], out[1]), unit(out[2], out[3])]
}

/// Quantile of the standard normal distribution (M. J. Wichura, "Algorithm AS 241", Appl. Statist. 37 (1988), PPND16).
#[must_use]
pub fn normal(p: f64) -> f64 {
    fn poly(c: [f64; 8], x: f64) -> f64 {
        c.iter().rev().fold(0.0, |acc, c| acc * x + c)
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * poly(
            [
                3.387_132_872_796_366_5,
                1.331_416_678_917_843_8e2,
                1.971_590_950_306_551_3e3,
                1.373_169_376_550_946e4,
                4.592_195_393_154_987e4,
                6.726_577_092_700_87e4,
                3.343_057_558_358_813e4,
                2.509_080_928_730_122_7e3,
            ],
            r,
        ) / poly(
            [
                1.0,
                4.231_333_070_160_091e1,
                6.871_870_074_920_579e2,
                5.394_196_021_424_751e3,
                2.121_379_430_158_659_7e4,
                3.930_789_580_009_271e4,
                2.872_908_573_572_194_3e4,
                5.226_495_278_852_854e3,
            ],
            r,
        );
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let mut r = (-m::log(tail)).sqrt();
    let x = if r <= 5.0 {
        r -= 1.6;
        poly(
            [
                1.423_437_110_749_683_5,
                4.630_337_846_156_546,
                5.769_497_221_460_691,
                3.647_848_324_763_204_5,
                1.270_458_252_452_368_4,
                2.417_807_251_774_506e-1,
                2.272_384_498_926_918_4e-2,
                7.745_450_142_783_414e-4,
            ],
            r,
        ) / poly(
            [
                1.0,
                2.053_191_626_637_759,
                1.676_384_830_183_803_8,
                6.897_673_349_851e-1,
                1.481_039_764_274_800_8e-1,
                1.519_866_656_361_645_7e-2,
                5.475_938_084_995_345e-4,
                1.050_750_071_644_416_9e-9,
            ],
            r,
        )
    } else {
        r -= 5.0;
        poly(
            [
                6.657_904_643_501_103,
                5.463_784_911_164_114,
                1.784_826_539_917_291_3,
                2.965_605_718_285_048_7e-1,
                2.653_218_952_657_612_4e-2,
                1.242_660_947_388_078_4e-3,
                2.711_555_568_743_487_6e-5,
                2.010_334_399_292_288_1e-7,
            ],
            r,
        ) / poly(
            [
                1.0,
                5.998_322_065_558_88e-1,
                1.369_298_809_227_358e-1,
                1.487_536_129_085_061_5e-2,
                7.868_691_311_456_133e-4,
                1.846_318_317_510_054_8e-5,
                1.421_511_758_316_446e-7,
                2.044_263_103_389_939_8e-15,
            ],
            r,
        )
    };
    if q < 0.0 { -x } else { x }
}

/// `ln Γ(x)` for `x > 0`: Stirling's series after shifting the argument above 12.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 1.0);
    while x < 12.0 {
        shift *= x;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r * (1.0 / 1188.0))))) / x;
    (x - 0.5) * m::log(x) - x + 0.918_938_533_204_672_8 + series - m::log(shift)
}

/// The regularised lower incomplete gamma function `P(a, x)`.
fn gamma_p(a: f64, x: f64) -> f64 {
    if x < a + 1.0 { gamma_series(a, x) } else { 1.0 - gamma_fraction(a, x) }
}

/// The upper one, `Q(a, x) = 1 - P(a, x)`, exact where it is small.
fn gamma_q(a: f64, x: f64) -> f64 {
    if x < a + 1.0 { 1.0 - gamma_series(a, x) } else { gamma_fraction(a, x) }
}

/// `P(a, x)` by its series, for `x < a + 1`.
fn gamma_series(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = m::exp(a * m::log(x) - x - ln_gamma(a));
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
    for _ in 0..10_000 {
        n += 1.0;
        term *= x / n;
        sum += term;
        if term <= sum * 1e-17 {
            break;
        }
    }
    front * sum
}

/// `Q(a, x)` by its continued fraction, for `x ≥ a + 1`.
fn gamma_fraction(a: f64, x: f64) -> f64 {
    if x == f64::INFINITY {
        return 0.0;
    }
    let front = m::exp(a * m::log(x) - x - ln_gamma(a));
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut h = d;
    for i in 1..10_000 {
        let an = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        d = 1.0 / away(an * d + b, tiny);
        c = away(b + an / c, tiny);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * h
}

fn away(x: f64, tiny: f64) -> f64 {
    if x.abs() < tiny { tiny } else { x }
}

/// The regularised incomplete beta function `I_x(a, b)` by Lentz's continued fraction.
fn beta_i(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_i(b, a, 1.0 - x);
    }
    let front = m::exp(a * m::log(x) + b * m::log1p(-x) + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)) / a;
    let tiny = 1e-300;
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0), tiny);
    let mut h = d;
    for i in 1..10_000 {
        let k = f64::from(i);
        let even = k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k));
        d = 1.0 / away(1.0 + even * d, tiny);
        c = away(1.0 + even / c, tiny);
        h *= d * c;
        let odd = -(a + k) * (a + b + k) * x / ((a + 2.0 * k) * (a + 2.0 * k + 1.0));
        d = 1.0 / away(1.0 + odd * d, tiny);
        c = away(1.0 + odd / c, tiny);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * h
}

/// Where `less` ceases to hold between `lo` and `hi`, to the last bits, by bisection (halving exponents while the ends
/// are far apart, so that small quantiles keep their relative accuracy).
fn invert(mut lo: f64, mut hi: f64, less: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..400 {
        let mid = if lo > 0.0 && hi > 4.0 * lo {
            (lo * hi).sqrt()
        } else if lo == 0.0 && hi > f64::MIN_POSITIVE {
            hi * 0.25
        } else {
            0.5 * (lo + hi)
        };
        if mid <= lo || mid >= hi {
            break;
        }
        if less(mid) { lo = mid } else { hi = mid }
    }
    hi
}

/// The value that a distribution without spread always gives.
pub(crate) fn only(name: &str, args: &[f64]) -> Option<f64> {
    match (name, args) {
        ("normal" | "lognormal", &[mean, 0.0]) => Some(mean),
        ("uniform", &[lo, hi]) if lo == hi => Some(lo),
        ("triangular", &[lo, _, hi]) if lo == hi => Some(lo),
        ("exponential", &[0.0]) | ("weibull" | "gamma", &[_, 0.0]) => Some(0.0),
        ("beta", &[.., lo, hi]) if args.len() == 4 && lo == hi => Some(lo),
        _ => None,
    }
}

/// Which side of a value probability is counted on: far out only the smaller one is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Below: the distribution function.
    Below,
    /// Above: one less it.
    Above,
}

/// Probability that a named distribution gives a number on one side of `x`; `None` as for [`quantile`].
#[must_use]
pub fn probability(name: &str, args: &[f64], x: f64, side: Side) -> Option<f64> {
    quantile(name, args, 0.5, Side::Below)?;
    let above = side == Side::Above;
    if let Some(at) = only(name, args) {
        return Some(f64::from(u8::from(if above { x < at } else { x >= at })));
    }
    // Standard normal, by whichever tail is small.
    let phi = |z: f64| {
        let tail = 0.5 * gamma_q(0.5, 0.5 * z * z);
        if (z > 0.0) == above { tail } else { 1.0 - tail }
    };
    let of = |below: f64| if above { 1.0 - below } else { below };
    Some(match (name, args) {
        ("normal", &[mean, sd]) => phi((x - mean) / sd),
        ("lognormal", &[mean, sd]) => {
            if x <= 0.0 {
                return Some(of(0.0));
            }
            let s2 = m::log1p((sd / mean) * (sd / mean));
            phi((m::log(x) - m::log(mean) + 0.5 * s2) / s2.sqrt())
        }
        ("uniform", &[lo, hi]) => {
            let p = if above { (hi - x) / (hi - lo) } else { (x - lo) / (hi - lo) };
            p.clamp(0.0, 1.0)
        }
        ("triangular", &[lo, mode, hi]) => {
            let x = x.clamp(lo, hi);
            let (rise, fall) = ((x - lo) * (x - lo), (hi - x) * (hi - x));
            match (x < mode, above) {
                (true, false) => rise / ((hi - lo) * (mode - lo)),
                (true, true) => 1.0 - rise / ((hi - lo) * (mode - lo)),
                (false, true) => {
                    if x < hi {
                        fall / ((hi - lo) * (hi - mode))
                    } else {
                        0.0
                    }
                }
                (false, false) => {
                    if x < hi {
                        1.0 - fall / ((hi - lo) * (hi - mode))
                    } else {
                        1.0
                    }
                }
            }
        }
        ("exponential", &[mean]) => {
            let t = x.max(0.0) / mean;
            if above { m::exp(-t) } else { -m::expm1(-t) }
        }
        ("weibull", &[shape, scale]) => {
            let t = m::pow(x.max(0.0) / scale, shape);
            if above { m::exp(-t) } else { -m::expm1(-t) }
        }
        ("gamma", &[shape, scale]) => {
            let t = x.max(0.0) / scale;
            if above { gamma_q(shape, t) } else { gamma_p(shape, t) }
        }
        ("beta", &[a, b]) => {
            if above {
                beta_i(b, a, 1.0 - x)
            } else {
                beta_i(a, b, x)
            }
        }
        ("beta", &[a, b, lo, hi]) => {
            return probability("beta", &[a, b], (x - lo) / (hi - lo), side);
        }
        _ => return None,
    })
}

/// Where a named distribution of numbers leaves the probability `p`, 0 < p < 1, on one side; `None` where there is none
/// of this name and number of parameters, or the parameters are outside their range.
#[must_use]
pub fn quantile(name: &str, args: &[f64], p: f64, side: Side) -> Option<f64> {
    if args.iter().any(|a| !a.is_finite()) {
        return None;
    }
    let above = side == Side::Above;
    // The probability on the other side, and the logarithm of that above.
    let below = if above { 1.0 - p } else { p };
    let log_above = || if above { m::log(p) } else { m::log1p(-p) };
    let standard = || if above { -normal(p) } else { normal(p) };
    Some(match (name, args) {
        ("normal", &[mean, sd]) if sd >= 0.0 => mean + sd * standard(),
        ("uniform", &[lo, hi]) if lo <= hi => {
            if above {
                hi - (hi - lo) * p
            } else {
                lo + (hi - lo) * p
            }
        }
        ("exponential", &[mean]) if mean >= 0.0 => -mean * log_above(),
        // Mean and deviation of the quantity itself, not of its logarithm.
        ("lognormal", &[mean, sd]) if mean > 0.0 && sd >= 0.0 => {
            let s2 = m::log1p((sd / mean) * (sd / mean));
            m::exp(m::log(mean) - 0.5 * s2 + s2.sqrt() * standard())
        }
        ("triangular", &[lo, mode, hi]) if lo <= mode && mode <= hi => {
            let cut = if hi > lo { (mode - lo) / (hi - lo) } else { 0.0 };
            if below < cut {
                lo + (below * (hi - lo) * (mode - lo)).sqrt()
            } else {
                let above = if above { p } else { 1.0 - p };
                hi - (above * (hi - lo) * (hi - mode)).sqrt()
            }
        }
        ("weibull", &[shape, scale]) if shape > 0.0 && scale >= 0.0 => {
            scale * m::pow(-log_above(), 1.0 / shape)
        }
        ("gamma", &[shape, scale]) if shape > 0.0 && scale >= 0.0 => {
            let less = |x: f64| if above { gamma_q(shape, x) > p } else { gamma_p(shape, x) < p };
            let mut hi = shape + 1.0;
            while less(hi) && hi < 1e300 {
                hi *= 2.0;
            }
            scale * invert(0.0, hi, less)
        }
        ("beta", &[a, b]) if a > 0.0 && b > 0.0 => {
            if above {
                1.0 - invert(0.0, 1.0, |x| beta_i(b, a, x) < p)
            } else {
                invert(0.0, 1.0, |x| beta_i(a, b, x) < p)
            }
        }
        ("beta", &[a, b, lo, hi]) if lo <= hi => lo + (hi - lo) * quantile("beta", &[a, b], p, side)?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Random123 (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_known_answers() {
        assert_eq!(philox([0, 0], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let f = u32::MAX;
        assert_eq!(philox([f, f], [f; 4]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0xa409_3822, 0x299f_31d0], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
    /// Values of scipy 1.x's `ppf`.
    #[test]
    #[rustfmt::skip]
    fn quantiles_agree_with_an_independent_library() {
        let known: &[(&str, &[f64], f64, f64)] = &[
            ("normal", &[0.0, 1.0], 1e-10, -6.361340902404056),
            ("normal", &[0.0, 1.0], 0.001, -3.090232306167813),
            ("normal", &[0.0, 1.0], 0.05, -1.6448536269514729),
            ("normal", &[0.0, 1.0], 0.3, -0.5244005127080409),
            ("normal", &[0.0, 1.0], 0.5, 0.0),
            ("normal", &[0.0, 1.0], 0.72, 0.5828415072712162),
            ("normal", &[0.0, 1.0], 0.95, 1.6448536269514722),
            ("normal", &[0.0, 1.0], 0.999, 3.090232306167813),
            ("normal", &[0.0, 1.0], 0.9999999, 5.199337582290661),
            ("normal", &[3.0, 2.0], 1e-10, -9.722681804808111),
            ("normal", &[3.0, 2.0], 0.001, -3.1804646123356264),
            ("normal", &[3.0, 2.0], 0.05, -0.2897072539029457),
            ("normal", &[3.0, 2.0], 0.3, 1.9511989745839182),
            ("normal", &[3.0, 2.0], 0.5, 3.0),
            ("normal", &[3.0, 2.0], 0.72, 4.165683014542433),
            ("normal", &[3.0, 2.0], 0.95, 6.289707253902945),
            ("normal", &[3.0, 2.0], 0.999, 9.180464612335626),
            ("normal", &[3.0, 2.0], 0.9999999, 13.398675164581322),
            ("uniform", &[2.0, 5.0], 1e-10, 2.0000000003),
            ("uniform", &[2.0, 5.0], 0.001, 2.003),
            ("uniform", &[2.0, 5.0], 0.05, 2.15),
            ("uniform", &[2.0, 5.0], 0.3, 2.9),
            ("uniform", &[2.0, 5.0], 0.5, 3.5),
            ("uniform", &[2.0, 5.0], 0.72, 4.16),
            ("uniform", &[2.0, 5.0], 0.95, 4.85),
            ("uniform", &[2.0, 5.0], 0.999, 4.997),
            ("uniform", &[2.0, 5.0], 0.9999999, 4.9999997),
            ("exponential", &[50.0], 1e-10, 5.00000000025e-09),
            ("exponential", &[50.0], 0.001, 0.05002501667917667),
            ("exponential", &[50.0], 0.05, 2.564664719377527),
            ("exponential", &[50.0], 0.3, 17.83374719693662),
            ("exponential", &[50.0], 0.5, 34.657359027997266),
            ("exponential", &[50.0], 0.72, 63.64828379064436),
            ("exponential", &[50.0], 0.95, 149.7866136776995),
            ("exponential", &[50.0], 0.999, 345.3877639491068),
            ("exponential", &[50.0], 0.9999999, 805.9047825742338),
            ("lognormal", &[10.0, 4.0], 1e-10, 0.800633765007759),
            ("lognormal", &[10.0, 4.0], 0.001, 2.8231500427159326),
            ("lognormal", &[10.0, 4.0], 0.05, 4.926801606716497),
            ("lognormal", &[10.0, 4.0], 0.3, 7.5863314184442565),
            ("lognormal", &[10.0, 4.0], 0.5, 9.284766908852593),
            ("lognormal", &[10.0, 4.0], 0.72, 11.622194962533401),
            ("lognormal", &[10.0, 4.0], 0.95, 17.497537638658304),
            ("lognormal", &[10.0, 4.0], 0.999, 30.535711969736894),
            ("lognormal", &[10.0, 4.0], 0.9999999, 68.81600692995416),
            ("triangular", &[1.0, 2.0, 5.0], 1e-10, 1.00002),
            ("triangular", &[1.0, 2.0, 5.0], 0.001, 1.0632455532033676),
            ("triangular", &[1.0, 2.0, 5.0], 0.05, 1.4472135954999579),
            ("triangular", &[1.0, 2.0, 5.0], 0.3, 2.1017246507621126),
            ("triangular", &[1.0, 2.0, 5.0], 0.5, 2.550510257216822),
            ("triangular", &[1.0, 2.0, 5.0], 0.72, 3.166969722017664),
            ("triangular", &[1.0, 2.0, 5.0], 0.95, 4.225403330758516),
            ("triangular", &[1.0, 2.0, 5.0], 0.999, 4.890455488498967),
            ("triangular", &[1.0, 2.0, 5.0], 0.9999999, 4.998904554885279),
            ("weibull", &[1.7, 3.0], 1e-10, 3.933401812380379e-06),
            ("weibull", &[1.7, 3.0], 0.001, 0.05158734289651374),
            ("weibull", &[1.7, 3.0], 0.05, 0.5227973389511255),
            ("weibull", &[1.7, 3.0], 0.3, 1.6358828402943182),
            ("weibull", &[1.7, 3.0], 0.5, 2.4181830515577625),
            ("weibull", &[1.7, 3.0], 0.72, 3.4576269393066577),
            ("weibull", &[1.7, 3.0], 0.95, 5.7202780052657785),
            ("weibull", &[1.7, 3.0], 0.999, 9.350802160132321),
            ("weibull", &[1.7, 3.0], 0.9999999, 15.392380869810893),
            ("gamma", &[0.5, 2.0], 1e-10, 1.570796326794896e-20),
            ("gamma", &[0.5, 2.0], 0.001, 1.5707971492624921e-06),
            ("gamma", &[0.5, 2.0], 0.05, 0.003932140000019522),
            ("gamma", &[0.5, 2.0], 0.3, 0.14847186183254538),
            ("gamma", &[0.5, 2.0], 0.5, 0.454936423119572),
            ("gamma", &[0.5, 2.0], 0.72, 1.1670898781388606),
            ("gamma", &[0.5, 2.0], 0.95, 3.841458820694124),
            ("gamma", &[0.5, 2.0], 0.999, 10.827566170662733),
            ("gamma", &[0.5, 2.0], 0.9999999, 28.373987362798125),
            ("gamma", &[7.5, 0.3], 1e-10, 0.05074347508637595),
            ("gamma", &[7.5, 0.3], 0.001, 0.5224026698893433),
            ("gamma", &[7.5, 0.3], 0.05, 1.0891415891505047),
            ("gamma", &[7.5, 0.3], 0.3, 1.758175345941743),
            ("gamma", &[7.5, 0.3], 0.5, 2.150828926643497),
            ("gamma", &[7.5, 0.3], 0.72, 2.651624094104103),
            ("gamma", &[7.5, 0.3], 0.95, 3.749368520959292),
            ("gamma", &[7.5, 0.3], 0.999, 5.654594732753075),
            ("gamma", &[7.5, 0.3], 0.9999999, 9.348886585436206),
            ("gamma", &[200.0, 1.0], 1e-10, 122.74110970189543),
            ("gamma", &[200.0, 1.0], 0.001, 159.12980117448907),
            ("gamma", &[200.0, 1.0], 0.05, 177.32048703304125),
            ("gamma", &[200.0, 1.0], 0.3, 192.349203034977),
            ("gamma", &[200.0, 1.0], 0.5, 199.6667656124657),
            ("gamma", &[200.0, 1.0], 0.72, 208.01498054759202),
            ("gamma", &[200.0, 1.0], 0.95, 223.8162339154042),
            ("gamma", &[200.0, 1.0], 0.999, 246.5658793699739),
            ("gamma", &[200.0, 1.0], 0.9999999, 282.39804421426174),
            ("beta", &[2.0, 5.0], 1e-10, 2.581997786411184e-06),
            ("beta", &[2.0, 5.0], 0.001, 0.008255492787746678),
            ("beta", &[2.0, 5.0], 0.05, 0.06284989170835438),
            ("beta", &[2.0, 5.0], 0.3, 0.18180347131894917),
            ("beta", &[2.0, 5.0], 0.5, 0.26444998329566005),
            ("beta", &[2.0, 5.0], 0.72, 0.371631557419796),
            ("beta", &[2.0, 5.0], 0.95, 0.5818034092520259),
            ("beta", &[2.0, 5.0], 0.999, 0.818613866919134),
            ("beta", &[2.0, 5.0], 0.9999999, 0.972047739259444),
            ("beta", &[0.5, 0.5], 1e-10, 2.4674011002723397e-20),
            ("beta", &[0.5, 0.5], 0.001, 2.4673990709169446e-06),
            ("beta", &[0.5, 0.5], 0.05, 0.0061558297024311365),
            ("beta", &[0.5, 0.5], 0.3, 0.2061073738537634),
            ("beta", &[0.5, 0.5], 0.5, 0.4999999999999999),
            ("beta", &[0.5, 0.5], 0.72, 0.818711994874345),
            ("beta", &[0.5, 0.5], 0.95, 0.9938441702975689),
            ("beta", &[0.5, 0.5], 0.999, 0.999997532600929),
            ("beta", &[0.5, 0.5], 0.9999999, 0.9999999999999754),
            ("beta", &[30.0, 12.0], 1e-10, 0.2474684810762417),
            ("beta", &[30.0, 12.0], 0.001, 0.48134708482820715),
            ("beta", &[30.0, 12.0], 0.05, 0.5952215570808506),
            ("beta", &[30.0, 12.0], 0.3, 0.6801910178300488),
            ("beta", &[30.0, 12.0], 0.5, 0.7177145073627087),
            ("beta", &[30.0, 12.0], 0.72, 0.7571480590850648),
            ("beta", &[30.0, 12.0], 0.95, 0.8216165461690119),
            ("beta", &[30.0, 12.0], 0.999, 0.8917349657276389),
            ("beta", &[30.0, 12.0], 0.9999999, 0.9569170602039299),
        ];
        for (name, args, p, want) in known {
            let got = quantile(name, args, *p, Side::Below).expect("a distribution");
            let scale = want.abs().max(1e-300);
            assert!((got - want).abs() <= 2e-9 * scale, "{name}{args:?} at {p}: {got} is not {want}");
        }
        assert_eq!(quantile("normal", &[0.0, -1.0], 0.5, Side::Below), None);
        assert_eq!(quantile("cauchy", &[0.0, 1.0], 0.5, Side::Below), None);
    }

    #[test]
    fn streams_are_apart_and_uniform() {
        let n = 100_000;
        let (mut sum, mut square) = (0.0, 0.0);
        for k in 0..n {
            let [u, v] = uniforms(7, 0, hash(HASH, "a"), k);
            assert!(u > 0.0 && u < 1.0 && v > 0.0 && v < 1.0);
            sum += u + v;
            square += u * u + v * v;
        }
        let count = f64::from(2 * n);
        assert!((sum / count - 0.5).abs() < 3e-3);
        assert!((square / count - 1.0 / 3.0).abs() < 3e-3);
        assert_ne!(uniforms(7, 0, 1, 0), uniforms(7, 0, 2, 0));
        assert_ne!(uniforms(7, 0, 1, 0), uniforms(7, 1, 1, 0));
        assert_ne!(uniforms(7, 0, 1, 0), uniforms(8, 0, 1, 0));
    }
}
