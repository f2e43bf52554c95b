//! Exact conversion between a unit and coherent SI.

use std::fmt;

/// An affine map from a number in some unit to coherent SI: `si = (x * num + off) / den * irr`.
///
/// `num`, `off` and `den` are whole numbers that an `f64` holds exactly wherever the unit's
/// definition allows, so that `3000 ms` is exactly 3 s, `-20 degC` exactly the double nearest to
/// 253.15 K, and `1 km/h` the double nearest to 1/3.6 m/s: a conversion rounds once or twice, not
/// once per factor. `irr` holds what no ratio can (a power of pi, as for `deg` and `rpm`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    num: f64,
    off: f64,
    den: f64,
    irr: f64,
}

impl Scale {
    /// The coherent unit itself.
    pub const ONE: Scale = Scale { num: 1.0, off: 0.0, den: 1.0, irr: 1.0 };

    /// `num/den` coherent units. Both must be positive.
    pub const fn ratio(num: f64, den: f64) -> Scale {
        Scale { num, off: 0.0, den, irr: 1.0 }
    }

    /// `num*irr/den` coherent units, for factors of pi.
    pub const fn irrational(num: f64, den: f64, irr: f64) -> Scale {
        Scale { num, off: 0.0, den, irr }
    }

    /// A scale with another zero point: `(x*num + off)/den`.
    pub const fn affine(num: f64, off: f64, den: f64) -> Scale {
        Scale { num, off, den, irr: 1.0 }
    }

    /// Ten to the power `exp10`, exact for |exp10| ≤ 22.
    pub fn power_of_ten(exp10: i32) -> Scale {
        if exp10 >= 0 { Scale::ratio(ten_to(exp10), 1.0) } else { Scale::ratio(1.0, ten_to(-exp10)) }
    }

    /// The number in coherent SI that `x` of this unit is.
    pub fn to_si(self, x: f64) -> f64 {
        let top = if self.off == 0.0 { x * self.num } else { x.mul_add(self.num, self.off) };
        if self.irr == 1.0 { top / self.den } else { top / self.den * self.irr }
    }

    /// As [`Scale::to_si`], of a decimal literal by its digits: where the scale is a ratio of whole
    /// numbers the result is the double nearest to the exact value (`1.013 bar` is 101300 Pa), or,
    /// where the ratio is no decimal (`km/h`), one more rounding away. `x` is the literal's value, used
    /// where the text or the scale is out of reach.
    pub fn literal(self, text: &str, x: f64) -> f64 {
        self.exact(text).unwrap_or_else(|| self.to_si(x))
    }

    fn exact(self, text: &str) -> Option<f64> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = |v: f64| (v.abs() <= EXACT && v == v.trunc()).then_some(v as i128);
        if self.irr != 1.0 {
            return None;
        }
        let (num, off, mut den) = (whole(self.num)?, whole(self.off)?, whole(self.den)?);
        let (mantissa, mut exponent) = decimal(text)?;
        let mut top = mantissa.checked_mul(num)?;
        if off != 0 {
            // Both terms over one power of ten.
            if exponent > 0 {
                top = top.checked_mul(10i128.checked_pow(u32::try_from(exponent).ok()?)?)?;
                exponent = 0;
            }
            let shift = 10i128.checked_pow(u32::try_from(-exponent).ok()?)?;
            top = top.checked_add(off.checked_mul(shift)?)?;
        }
        // What of the denominator is no power of ten stays a division.
        for p in [2i128, 5] {
            while den % p == 0 {
                den /= p;
                top = top.checked_mul(10 / p)?;
                exponent -= 1;
            }
        }
        let value: f64 = format!("{top}e{exponent}").parse().ok()?;
        Some(if den == 1 { value } else { value / den as f64 })
    }

    /// The number of this unit that `si` in coherent SI is.
    pub fn from_si(self, si: f64) -> f64 {
        let x = if self.irr == 1.0 { si } else { si / self.irr };
        if self.off == 0.0 { x * self.den / self.num } else { (x - self.offset()) * self.den / self.num }
    }

    /// Coherent units per unit, for a difference: `to_si(x) - to_si(0)` per `x`.
    pub fn factor(self) -> f64 {
        if self.irr == 1.0 { self.num / self.den } else { self.num / self.den * self.irr }
    }

    /// What `to_si(0)` is: 273.15 for degC, 0 for everything that is no point on a scale.
    pub fn offset(self) -> f64 {
        if self.off == 0.0 { 0.0 } else { self.off / self.den }
    }

    /// Whether a number of this unit is a number of the coherent unit.
    pub fn is_one(self) -> bool {
        self == Scale::ONE
    }

    /// Whether this scale has a zero point of its own (degC, degF).
    pub fn is_affine(self) -> bool {
        self.off != 0.0
    }

    /// The same scale without its zero point: what a difference is measured in.
    pub fn linear(self) -> Scale {
        Scale { off: 0.0, ..self }
    }

    /// The product of two units' scales. Zero points are dropped: a product has none.
    pub fn times(self, other: Scale) -> Scale {
        Scale { num: self.num * other.num, off: 0.0, den: self.den * other.den, irr: self.irr * other.irr }
            .reduced()
    }

    /// One over this scale.
    pub fn recip(self) -> Scale {
        Scale { num: self.den, off: 0.0, den: self.num, irr: 1.0 / self.irr }
    }

    /// The scale of a unit to the power `num/den`.
    pub fn powr(self, num: i32, den: i32) -> Scale {
        let mut base = if num < 0 { self.recip() } else { self.linear() };
        let n = num.unsigned_abs();
        if n > 10_000 {
            // No unit needs it; a saturated scale shows as infinite and is refused by the caller.
            return Scale { num: f64::INFINITY, off: 0.0, den: 1.0, irr: 1.0 };
        }
        let mut out = Scale::ONE;
        for _ in 0..n {
            out = out.times(base);
            if !out.num.is_finite() || !out.den.is_finite() {
                break;
            }
        }
        if den > 1 {
            base = out;
            let root = |x: f64| nth_root(x, den);
            out = Scale { num: root(base.num), off: 0.0, den: root(base.den), irr: root(base.irr) };
        }
        out
    }

    /// Whether numerator and denominator are finite and positive, as every unit's must be.
    pub fn is_sane(self) -> bool {
        let ok = |x: f64| x.is_finite() && x > 0.0;
        ok(self.num) && ok(self.den) && ok(self.irr)
    }

    /// `x` times this scale: for `unit cent = 0.01 EUR`.
    pub fn scaled_by(self, x: f64) -> Scale {
        // A decimal fraction keeps its exactness as a ratio of whole numbers.
        let mut den = 1.0;
        let mut num = x;
        for _ in 0..15 {
            if num == num.trunc() {
                break;
            }
            den *= 10.0;
            num = (x * den).round();
            if (num / den) == x {
                break;
            }
        }
        if num / den == x { Scale::ratio(num, den).times(self) } else { Scale::ratio(x, 1.0).times(self) }
    }

    fn reduced(self) -> Scale {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = |x: f64| x.abs() <= EXACT && x == x.trunc() && x >= 1.0;
        if !(whole(self.num) && whole(self.den)) {
            return self;
        }
        let (mut a, mut b) = (self.num as u64, self.den as u64);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let g = a.max(1) as f64;
        Scale { num: self.num / g, den: self.den / g, ..self }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*{}", self.factor())?;
        if self.is_affine() { write!(f, "+{}", self.offset()) } else { Ok(()) }
    }
}

/// A decimal literal as `mantissa * 10^exponent`; `None` for anything else or for too many digits.
fn decimal(text: &str) -> Option<(i128, i32)> {
    let (number, exponent) = match text.find(['e', 'E']) {
        Some(i) => (&text[..i], text[i + 1..].parse::<i32>().ok().filter(|e| e.abs() < 400)?),
        None => (text, 0),
    };
    let (negative, number) = match number.strip_prefix('-') {
        Some(n) => (true, n),
        None => (false, number),
    };
    let (int, frac) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = int.chars().chain(frac.chars()).filter(|c| *c != '_').collect();
    if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mantissa: i128 = digits.parse().ok()?;
    let places = i32::try_from(frac.bytes().filter(|b| *b != b'_').count()).ok()?;
    Some((if negative { -mantissa } else { mantissa }, exponent - places))
}

fn ten_to(n: i32) -> f64 {
    let mut out = 1.0;
    for _ in 0..n.clamp(0, 400) {
        out *= 10.0;
    }
    out
}

/// The n-th root of a positive number by Newton's iteration from a power-of-two start; square roots
/// are the correctly rounded ones. Units with fractional powers are rare and their factors small.
fn nth_root(x: f64, n: i32) -> f64 {
    if n == 2 {
        return x.sqrt();
    }
    if !(x.is_finite() && x > 0.0) || x == 1.0 || n <= 0 || n > 1000 {
        return x;
    }
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    let start = exponent.div_euclid(i64::from(n)) + 1;
    let mut y = f64::from_bits(((start + 1023) as u64) << 52);
    let k = f64::from(n);
    for _ in 0..200 {
        let mut p = 1.0;
        for _ in 0..n - 1 {
            p *= y;
        }
        let next = ((k - 1.0) * y + x / p) / k;
        if next == y || (next - y).abs() <= y * 1e-17 {
            break;
        }
        y = next;
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_round_once() {
        let ms = Scale::power_of_ten(-3);
        assert_eq!(ms.to_si(3000.0), 3.0);
        let km_h = Scale::power_of_ten(3).times(Scale::ratio(3600.0, 1.0).recip());
        assert_eq!(km_h.to_si(36.0), 10.0);
        assert_eq!(km_h.to_si(1.0), 1.0 / 3.6);
        let deg_c = Scale::affine(100.0, 27_315.0, 100.0);
        assert_eq!(deg_c.to_si(-20.0), 253.15);
        assert_eq!(deg_c.to_si(20.0), 293.15);
        assert_eq!(deg_c.from_si(293.15), 20.0);
        assert_eq!(deg_c.offset(), 273.15);
        let deg_f = Scale::affine(500.0, 229_835.0, 900.0);
        assert_eq!(deg_f.to_si(32.0), 273.15);
        assert_eq!(deg_f.to_si(212.0), 373.15);
        assert_eq!(Scale::power_of_ten(-2).scaled_by(0.01).factor(), 1e-4);
    }

    #[test]
    fn literals_are_the_nearest_doubles() {
        let bar = Scale::ratio(1e5, 1.0);
        assert_eq!(bar.literal("1.013", 1.013), 101_300.0);
        assert_eq!(Scale::power_of_ten(-3).literal("0.1", 0.1), 1e-4);
        assert_eq!(Scale::power_of_ten(-3).literal("-1.2", -1.2), -1.2e-3);
        assert_eq!(Scale::ratio(3600.0, 1.0).literal("1e-3", 1e-3), 3.6);
        let deg_c = Scale::affine(100.0, 27_315.0, 100.0);
        assert_eq!(deg_c.literal("-20", -20.0), 253.15);
        assert_eq!(deg_c.literal("19.5", 19.5), 292.65);
        assert_eq!(deg_c.literal("36.85", 36.85), 310.0);
        let km_h = Scale::ratio(1000.0, 3600.0);
        assert_eq!(km_h.literal("36", 36.0), 10.0);
        // Nothing to gain: hexadecimal, huge, irrational.
        assert_eq!(bar.literal("0xff", 255.0), 255e5);
        assert_eq!(bar.literal("1e300", 1e300), 1e305);
    }

    #[test]
    fn fractional_powers_of_scales() {
        let cm = Scale::power_of_ten(-2);
        assert_eq!(cm.powr(2, 1).factor(), 1e-4);
        assert_eq!(cm.powr(-1, 2).factor(), 10.0);
        assert!((Scale::power_of_ten(3).powr(1, 3).factor() - 10.0).abs() < 1e-14);
        assert!(!cm.powr(100_000, 1).is_sane());
    }
}
