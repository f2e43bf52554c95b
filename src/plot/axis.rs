//! Ticks at numbers that people count in, and the unit of a time axis.

/// Ticks of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// The range shown.
    pub lo: f64,
    /// Its end.
    pub hi: f64,
    /// Where ticks are.
    pub ticks: Vec<f64>,
    /// Their labels.
    pub labels: Vec<String>,
    /// The power of ten that the labels leave out; 0 for none.
    pub exponent: i32,
    /// What is added to all labels: where a curve hardly moves about a large value. Empty for nothing.
    pub base: String,
}

/// Steps between ticks, in one decade.
const STEPS: [f64; 4] = [1.0, 2.0, 2.5, 5.0];

/// `10^n`, exact for the exponents of doubles that matter here.
fn power(n: i32) -> f64 {
    // The text form is correctly rounded, which repeated multiplication is not.
    format!("1e{n}").parse().unwrap_or(f64::NAN)
}

/// The step that gives about `count` ticks over `span`, with its power of ten.
fn nice_step(span: f64, count: usize) -> f64 {
    let raw = span / count.max(1) as f64;
    // The decade: from the text form, which needs no logarithm.
    let text = format!("{raw:e}");
    let decade: i32 = text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let candidates = STEPS.iter().map(|s| s * power(decade)).chain([10.0 * power(decade)]);
    candidates.into_iter().find(|step| *step >= raw * 0.999).unwrap_or(raw)
}

/// A value axis over `lo..hi` that need not end at ticks.
pub(crate) fn value_axis(lo: f64, hi: f64, count: usize) -> Axis {
    let (mut lo, mut hi) = (lo, hi);
    if !(lo.is_finite() && hi.is_finite()) {
        (lo, hi) = (0.0, 1.0);
    }
    // A constant gets room on both sides; noise of rounding is no signal.
    let size = lo.abs().max(hi.abs());
    if hi - lo <= 1e-12 * size || hi == lo {
        let room = if size == 0.0 { 1.0 } else { 0.1 * size };
        (lo, hi) = (0.5 * (lo + hi) - room, 0.5 * (lo + hi) + room);
    } else {
        // Zero belongs to what begins near it.
        let span = hi - lo;
        let near = 0.35 * span;
        let (from_zero, to_zero) = (lo >= 0.0 && lo <= near, hi <= 0.0 && -hi <= near);
        let room = 0.05 * span;
        lo = if from_zero { 0.0 } else { lo - room };
        hi = if to_zero { 0.0 } else { hi + room };
    }
    // Ticks about a large value would differ in their last digits only: they count from a rounded value.
    let base = if hi - lo < 1e-4 * size && size > 0.0 { rounded(0.5 * (lo + hi), hi - lo) } else { 0.0 };
    let (ticks, labels, exponent) = ticks(lo - base, hi - base, count);
    let ticks = ticks.iter().map(|t| t + base).collect();
    let base = if base == 0.0 { String::new() } else { format!("{} +", crate::ui::numbers::short(base, 15)) };
    Axis { lo, hi, ticks, labels, exponent, base: base.replace('-', "\u{2212}") }
}

/// `x` rounded to a decimal digit of about the size of `span`.
fn rounded(x: f64, span: f64) -> f64 {
    let unit = 10.0 * nice_step(span, 1);
    (x / unit).round() * unit
}

/// Ticks and labels within `lo..=hi`.
fn ticks(lo: f64, hi: f64, count: usize) -> (Vec<f64>, Vec<String>, i32) {
    let step = nice_step(hi - lo, count);
    if !(step > 0.0 && step.is_finite()) {
        return (Vec::new(), Vec::new(), 0);
    }
    let first = (lo / step).ceil() as i64;
    let last = (hi / step).floor() as i64;
    let ticks: Vec<f64> = (first..=last.min(first + 40)).map(|k| k as f64 * step).collect();
    let largest = ticks.iter().fold(0.0_f64, |m, t| m.max(t.abs()));
    // Very large and very small numbers share a power of ten.
    let exponent = if largest >= 1e5 || (largest > 0.0 && largest < 1e-2) {
        let text = format!("{largest:e}");
        text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0)
    } else {
        0
    };
    let unit = power(exponent);
    let decimals = (0..12).find(|d| is_whole(step / unit * power(*d))).unwrap_or(12) as usize;
    let labels = ticks.iter().map(|t| number(t / unit, decimals)).collect();
    (ticks, labels, exponent)
}

fn is_whole(x: f64) -> bool {
    (x - x.round()).abs() < 1e-6 * x.abs().max(1e-300) && x.round() != 0.0
}

/// A number with fixed decimals and a real minus sign, its thousands apart.
fn number(x: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", x.abs());
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(w, r)| (w, Some(r)));
    let mut out = String::new();
    if x < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('\u{2212}');
    }
    for (k, digit) in whole.chars().enumerate() {
        if k > 0 && whole.len() > 4 && (whole.len() - k).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// A time axis in the unit that fits its span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimeAxis {
    /// First instant in seconds.
    pub from: f64,
    /// Last instant in seconds.
    pub to: f64,
    /// The unit's name.
    pub unit: &'static str,
    /// Ticks in seconds.
    pub ticks: Vec<f64>,
    /// Their labels, in the unit.
    pub labels: Vec<String>,
}

/// Units of time: name, seconds, the span from which it is used, and steps between ticks.
pub(super) const UNITS: [(&str, f64, f64, &[f64]); 7] = [
    ("years", 31_557_600.0, 3.0 * 31_557_600.0, &[1.0, 2.0, 5.0]),
    ("days", 86_400.0, 3.0 * 86_400.0, &[1.0, 2.0, 5.0, 7.0, 14.0, 28.0, 50.0]),
    ("h", 3600.0, 3.0 * 3600.0, &[0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 12.0, 24.0]),
    ("min", 60.0, 180.0, &[0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0]),
    ("s", 1.0, 0.5, &[0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0]),
    ("ms", 1e-3, 5e-4, &[]),
    ("us", 1e-6, 0.0, &[]),
];

impl TimeAxis {
    pub(crate) fn of(from: f64, to: f64) -> TimeAxis {
        let to = if to > from { to } else { from + 1.0 };
        let span = to - from;
        // The last unit serves every span.
        let &(unit, size, _, steps) = UNITS.iter().find(|u| span >= u.2).unwrap_or(&UNITS[6]);
        let (lo, hi) = (from / size, to / size);
        let wanted = (hi - lo) / 8.0;
        let step =
            steps.iter().copied().find(|s| *s >= wanted * 0.999).unwrap_or_else(|| nice_step(hi - lo, 8));
        let first = (lo / step - 1e-9).ceil() as i64;
        let last = (hi / step + 1e-9).floor() as i64;
        let decimals = (0..12).find(|d| is_whole(step * power(*d))).unwrap_or(12) as usize;
        let ticks: Vec<f64> = (first..=last.min(first + 40)).map(|k| k as f64 * step).collect();
        let labels = ticks.iter().map(|t| number(*t, decimals)).collect();
        TimeAxis { from, to, unit, ticks: ticks.iter().map(|t| t * size).collect(), labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(lo: f64, hi: f64) -> (String, i32) {
        let axis = value_axis(lo, hi, 5);
        (axis.labels.join(" "), axis.exponent)
    }

    #[test]
    fn values_are_counted_as_people_count() {
        assert_eq!(labels(0.1, 0.93), ("0.0 0.2 0.4 0.6 0.8".into(), 0));
        assert_eq!(labels(-3.0, 3.0), ("\u{2212}2 0 2".into(), 0));
        assert_eq!(labels(293.0, 351.0), ("300 320 340".into(), 0));
        assert_eq!(labels(5.0, 5.0), ("4.6 4.8 5.0 5.2 5.4".into(), 0));
        assert_eq!(labels(0.0, 0.0), ("\u{2212}1.0 \u{2212}0.5 0.0 0.5 1.0".into(), 0));
        assert_eq!(labels(0.0, 3.4e-5), ("0 1 2 3".into(), -5));
        assert_eq!(labels(1.1e7, 1.9e7).1, 7);
        assert_eq!(labels(0.0, 12_000.0).0, "0 5000 10\u{202f}000");
        assert_eq!(labels(f64::NAN, f64::INFINITY).1, 0);
    }

    #[test]
    fn time_has_the_unit_of_its_span() {
        let axis = |to: f64| {
            let axis = TimeAxis::of(0.0, to);
            format!("{} {}", axis.labels.join(" "), axis.unit)
        };
        assert_eq!(axis(7200.0), "0 15 30 45 60 75 90 105 120 min");
        assert_eq!(axis(86_400.0), "0 3 6 9 12 15 18 21 24 h");
        assert_eq!(axis(7.0 * 86_400.0), "0 1 2 3 4 5 6 7 days");
        assert_eq!(axis(10.0), "0 2 4 6 8 10 s");
        assert_eq!(axis(1.0), "0.0 0.2 0.4 0.6 0.8 1.0 s");
        assert_eq!(axis(0.05), "0 10 20 30 40 50 ms");
        assert_eq!(axis(4e10).split(' ').next_back(), Some("years"));
    }
}
