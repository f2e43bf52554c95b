//! Numbers by the hundred thousand as text: what the library prints, out of whole numbers where these decide it.

use std::fmt::Write;

use super::numbers::short;

/// Powers of ten, all exact.
const POWERS: [f64; 13] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];
/// Most digits: with them a scaled number is as near as [`NEAR`] to what it should be.
const DIGITS: usize = 9;
/// So near to the middle between two whole numbers the library is to say which is meant.
const NEAR: f64 = 1e-5;

/// Appends [`short`] of a value.
pub fn push_short(out: &mut String, value: f64, digits: usize) {
    let size = value.abs();
    if value.to_bits() == 0 {
        return out.push('0');
    }
    if !(1e-3..1e9).contains(&size) || !(1..=DIGITS).contains(&digits) {
        return out.push_str(&short(value, digits));
    }
    // None of these three is below what it is written as, so that comparing with it is exact.
    let exponent = match [1e-2, 1e-1, 1e0].iter().filter(|p| size >= **p).count() {
        3 => POWERS[1..].iter().filter(|p| size >= **p).count() as i32,
        few => few as i32 - 3,
    };
    let places = digits as i32 - 1 - exponent;
    let power = POWERS[places.unsigned_abs() as usize];
    let scaled = if places >= 0 { size * power } else { size / power };
    let Some(mut whole) = nearest(scaled) else { return out.push_str(&short(value, digits)) };
    if places < 0 {
        whole *= power as u64;
    }
    let mut places = places.max(0) as usize;
    while places > 0 && whole.is_multiple_of(10) {
        whole /= 10;
        places -= 1;
    }
    push(out, value < 0.0, whole, places);
}

/// Appends what `{:.1}` gives.
pub fn push_tenths(out: &mut String, value: f64) {
    match nearest(value.abs() * 10.0) {
        Some(whole) => push(out, value.is_sign_negative(), whole, 1),
        // Writing to a String cannot fail.
        None => _ = write!(out, "{value:.1}"),
    }
}

/// The whole number nearest to one that is none below zero; `None` where that is a close call, or too much for this.
fn nearest(x: f64) -> Option<u64> {
    let fraction = x - x.floor();
    (x < 1e10 && (fraction - 0.5).abs() > NEAR).then(|| x.round() as u64)
}

/// Appends a whole number with its last digits behind the point.
fn push(out: &mut String, negative: bool, whole: u64, places: usize) {
    let mut text = [b'0'; 24];
    let (mut at, mut rest) = (text.len(), whole);
    let mut digit = 0;
    while rest > 0 || digit <= places {
        if digit == places && places > 0 {
            at -= 1;
            text[at] = b'.';
        }
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        digit += 1;
    }
    if negative {
        at -= 1;
        text[at] = b'-';
    }
    out.extend(text[at..].iter().map(|b| char::from(*b)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of all sizes, about round numbers and about the middle between two.
    #[test]
    fn they_are_what_the_library_prints() {
        let mut values =
            vec![0.0, -0.0, 0.25, 0.35, 0.05, 9.995, 999_999_999.5, 1e9, 1e-3, 99.95, 0.1, 0.01, 1e15];
        values.extend([
            f64::NAN,
            f64::INFINITY,
            0.099_999_999_999_999_99,
            999_999_999.4,
            123_456_789.0,
            1e8,
            2e8,
        ]);
        let mut seed = 1_u64;
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (seed >> 11) as f64 / (1_u64 << 53) as f64;
            let power = POWERS[(seed % 13) as usize];
            values.extend([unit * power, -unit * power / 1e6, (unit * power).round() / 100.0]);
            // The middle between two numbers of seven digits.
            values.push(((unit * 1e7).floor() + 0.5) / power);
        }
        for value in values {
            for digits in [1, 7, 9, 12] {
                let mut out = String::new();
                push_short(&mut out, value, digits);
                assert_eq!(out, short(value, digits), "{value:e} with {digits} digits");
            }
            let mut out = String::new();
            push_tenths(&mut out, value);
            assert_eq!(out, format!("{value:.1}"), "{value:e}");
        }
    }
}
