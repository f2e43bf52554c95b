//! Sums without rounding: the sum of any numbers in any order, rounded once.

/// Binary digits of a digit.
const DIGIT: u32 = 32;
/// Digits that hold every finite double and 2^31 of their sums: exponents from −1074 to 1024, and carries.
const DIGITS: usize = 70;
/// The exponent of the first digit's last bit.
const LEAST: i32 = -1088;
/// Additions after which carries are passed on.
const LAZY: u32 = 1 << 28;

/// A sum of doubles, held exactly (a superaccumulator: U. Kulisch, "Computer Arithmetic and Validity", 2008). Two sums
/// of the same numbers are equal, whatever the order in which the numbers came.
#[derive(Clone, Debug)]
pub struct Sum {
    digits: Box<[i64; DIGITS]>,
    /// Additions since carries were last passed on.
    pending: u32,
    /// Numbers that are infinite, and those that are none: above, below, not a number.
    special: [u64; 3],
    count: u64,
}

impl Default for Sum {
    fn default() -> Sum {
        Sum { digits: Box::new([0; DIGITS]), pending: 0, special: [0; 3], count: 0 }
    }
}

impl Sum {
    /// How many numbers were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a number.
    pub fn add(&mut self, x: f64) {
        self.count += 1;
        if !x.is_finite() {
            self.special[if x.is_nan() { 2 } else { usize::from(x < 0.0) }] += 1;
            return;
        }
        self.put(x);
    }

    /// Adds the square of a number, exactly.
    pub fn add_square(&mut self, x: f64) {
        let high = x * x;
        if !high.is_finite() || !x.is_finite() {
            return self.add(if x.is_nan() { x } else { f64::INFINITY });
        }
        self.count += 1;
        self.put(high);
        // The rest of the product is a double, where it does not underflow.
        self.put(x.mul_add(x, -high));
    }

    fn put(&mut self, x: f64) {
        let bits = x.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) =
            if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
        if mantissa == 0 {
            return;
        }
        let at = (exponent - LEAST) as u32;
        let (digit, shift) = ((at / DIGIT) as usize, at % DIGIT);
        let wide = u128::from(mantissa) << shift;
        let sign = if x < 0.0 { -1 } else { 1 };
        for k in 0..3 {
            self.digits[digit + k] += sign * ((wide >> (DIGIT * k as u32)) as u32 as i64);
        }
        self.pending += 1;
        if self.pending >= LAZY {
            self.carry();
        }
    }

    /// Passes carries on, so that all digits but the last are within `0..2^32`.
    fn carry(&mut self) {
        for k in 0..DIGITS - 1 {
            let up = self.digits[k] >> DIGIT;
            self.digits[k] -= up << DIGIT;
            self.digits[k + 1] += up;
        }
        self.pending = 0;
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Sum) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (a, b) in self.digits.iter_mut().zip(other.digits.iter()) {
            *a += b;
        }
        self.carry();
        for (a, b) in self.special.iter_mut().zip(other.special) {
            *a += b;
        }
        self.count += other.count;
    }

    /// The sum, within one unit of its last place.
    #[must_use]
    pub fn value(&self) -> f64 {
        match self.special {
            [0, 0, 0] => {}
            [_, 0, 0] => return f64::INFINITY,
            [0, _, 0] => return f64::NEG_INFINITY,
            _ => return f64::NAN,
        }
        let mut all = self.clone();
        all.carry();
        let negative = all.digits[DIGITS - 1] < 0;
        if negative {
            all.digits.iter_mut().for_each(|d| *d = -*d);
            all.carry();
        }
        let Some(top) = all.digits.iter().rposition(|d| *d != 0) else { return 0.0 };
        // Three digits hold more than a double does; the fourth and what is below it decide no bit but the last.
        let mut value = 0.0;
        for k in (top.saturating_sub(3)..=top).rev() {
            value += all.digits[k] as f64 * power(LEAST + (k as i32) * DIGIT as i32);
        }
        if negative { -value } else { value }
    }

    /// The mean; NaN of nothing.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.value() / self.count as f64 }
    }
}

/// `2^n`, 0 and infinity where doubles end.
fn power(n: i32) -> f64 {
    if n > 1023 {
        f64::INFINITY
    } else if n >= -1022 {
        f64::from_bits(((n + 1023) as u64) << 52)
    } else if n >= -1074 {
        f64::from_bits(1 << (n + 1074))
    } else {
        0.0
    }
}

/// Mean and spread of numbers, whatever their order.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    sum: Sum,
    squares: Sum,
    /// Subtracted from every number, so that little is lost where numbers are all alike.
    shift: Option<f64>,
}

impl Moments {
    /// Moments around a number near the mean, which must be the same wherever parts are to be merged.
    #[must_use]
    pub fn around(shift: f64) -> Moments {
        Moments { shift: Some(shift).filter(|s| s.is_finite()), ..Moments::default() }
    }

    /// Adds a number.
    pub fn add(&mut self, x: f64) {
        let y = x - self.shift.unwrap_or(0.0);
        self.sum.add(y);
        self.squares.add_square(y);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sum.count()
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum.mean() + self.shift.unwrap_or(0.0)
    }

    /// The standard deviation, estimated from the sample (`n − 1`); NaN of fewer than two.
    #[must_use]
    pub fn sd(&self) -> f64 {
        let n = self.count() as f64;
        if n < 2.0 {
            return f64::NAN;
        }
        let s = self.sum.value();
        ((self.squares.value() - s * s / n) / (n - 1.0)).max(0.0).sqrt()
    }

    /// Takes in another part.
    pub fn merge(&mut self, other: &Moments) {
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::random;

    #[test]
    fn sums_are_exact_in_any_order() {
        let mut list: Vec<f64> = Vec::new();
        for k in 0..2000u32 {
            let [u, v] = random::uniforms(1, 0, 9, k);
            let x = (u - 0.5) * power((v * 1200.0 - 600.0) as i32);
            list.extend([x, -x]);
        }
        list.extend([1e308, 3.5, -1e308, 5e-324, -0.0]);
        let sum = |l: &mut dyn Iterator<Item = &f64>| {
            let mut s = Sum::default();
            l.for_each(|x| s.add(*x));
            s.value()
        };
        assert_eq!(sum(&mut list.iter()), 3.5);
        assert_eq!(sum(&mut list.iter().rev()), 3.5);
        let (mut a, mut b) = (Sum::default(), Sum::default());
        list.iter().enumerate().for_each(|(k, x)| if k % 3 == 0 { a.add(*x) } else { b.add(*x) });
        a.merge(&b);
        assert_eq!((a.value(), a.count()), (3.5, list.len() as u64));
        let mut s = Sum::default();
        (0..10).for_each(|_| s.add(0.1));
        assert_eq!(s.value(), 1.0);
        s.add(f64::INFINITY);
        assert_eq!(s.value(), f64::INFINITY);
        s.add(f64::NEG_INFINITY);
        assert!(s.value().is_nan());
        assert_eq!(Sum::default().value(), 0.0);
    }

    #[test]
    fn moments_of_numbers_that_are_nearly_alike() {
        let mut m = Moments::around(1e9);
        (0..1001).for_each(|k| m.add(1e9 + f64::from(k) * 1e-3));
        assert!((m.mean() - (1e9 + 0.5)).abs() < 1e-6);
        // The deviation of 0..=1000 is sqrt(1001·1002/12).
        let want = (1001.0 * 1002.0 / 12.0f64).sqrt() * 1e-3;
        assert!((m.sd() / want - 1.0).abs() < 1e-6, "{}", m.sd());
    }
}
