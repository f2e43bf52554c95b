//! Numbers as people read them.

use std::time::Duration;

/// A count with its thousands apart: `7 201`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 step`, `1 184 steps`.
pub fn counted(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(n))
}

/// Up to `digits` significant digits, without trailing zeros.
pub fn short(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let rounded = format!("{:.*e}", digits.saturating_sub(1), value);
    // What was just printed as a number reads back as one.
    let rounded: f64 = rounded.parse().unwrap_or(value);
    let size = rounded.abs();
    if (1e-4..1e15).contains(&size) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// A wall-clock time: `0.4 ms`, `11 ms`, `1.3 s`, `2 min 3 s`.
pub fn took(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ..1.0 => format!("{ms:.1} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        ..10_000.0 => format!("{:.2} s", ms / 1e3),
        ..60_000.0 => format!("{:.1} s", ms / 1e3),
        _ => duration((ms / 1e3).round()),
    }
}

/// A simulated time in seconds in the units that people say it in: `2 h`, `43 min 12 s`, `3.5 s`, `20 ms`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "forever".to_owned();
    }
    if seconds < 0.0 {
        return format!("-{}", duration(-seconds));
    }
    if seconds < 60.0 {
        return match seconds {
            0.0 => "0 s".to_owned(),
            ..1e-6 => format!("{} s", short(seconds, 4)),
            ..1e-3 => format!("{} us", short(seconds * 1e6, 4)),
            ..1.0 => format!("{} ms", short(seconds * 1e3, 4)),
            _ => format!("{} s", short(seconds, 5)),
        };
    }
    if seconds >= 1e9 {
        return format!("{seconds:e} s");
    }
    // Two neighbouring units say it well enough.
    let units: [(f64, &str, &str); 4] =
        [(86_400.0, "day", "days"), (3600.0, "h", "h"), (60.0, "min", "min"), (1.0, "s", "s")];
    let mut first = units.iter().position(|(size, ..)| seconds >= *size).unwrap_or(3);
    let fine = units.get(first + 1).map_or(1.0, |(size, ..)| *size);
    let rounded = (seconds / fine).round() * fine;
    if first > 0 && rounded >= units[first - 1].0 {
        first -= 1;
    }
    let (size, one, many) = units[first];
    let whole = (rounded / size).floor();
    let mut text = format!("{} {}", short(whole, 15), if whole == 1.0 { one } else { many });
    if let Some((size, one, many)) = units.get(first + 1) {
        let rest = ((rounded - whole * units[first].0) / size).round();
        if rest > 0.0 {
            text.push_str(&format!(" {rest} {}", if rest == 1.0 { one } else { many }));
        }
    }
    text
}

/// An instant of simulated time as exactly as people ask for it, to the millisecond: `1 h 10 s`, `43 min 12.25 s`.
pub fn instant(seconds: f64) -> String {
    let whole = (seconds * 1e3).round();
    if !(60_000.0..1e12).contains(&whole) {
        return duration(seconds);
    }
    let mut ms = whole as u64;
    let mut words = Vec::new();
    for (size, one, many) in [(86_400_000, "day", "days"), (3_600_000, "h", "h"), (60_000, "min", "min")] {
        let n = ms / size;
        ms %= size;
        if n > 0 {
            words.push(format!("{n} {}", if n == 1 { one } else { many }));
        }
    }
    if ms > 0 {
        words.push(format!("{} s", ms as f64 / 1e3));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_to_the_millisecond() {
        for (seconds, text) in [
            (3610.0, "1 h 10 s"),
            (2592.25, "43 min 12.25 s"),
            (7200.0, "2 h"),
            (90_061.5, "1 day 1 h 1 min 1.5 s"),
            (59.999_99, "1 min"),
            (3.5, "3.5 s"),
            (0.02, "20 ms"),
            (-5.0, "-5 s"),
            (4e10, "4e10 s"),
        ] {
            assert_eq!(instant(seconds), text);
        }
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(7201), "7 201");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(counted(1, "step"), "1 step");
        assert_eq!(counted(1184, "step"), "1 184 steps");
    }

    #[test]
    fn durations_read_as_people_say_them() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (7200.0, "2 h"),
            (43.0 * 60.0 + 12.0, "43 min 12 s"),
            (3.5, "3.5 s"),
            (0.02, "20 ms"),
            (1e-5, "10 us"),
            (86_400.0, "1 day"),
            (7.0 * 86_400.0, "7 days"),
            (90_000.0, "1 day 1 h"),
            (3599.9, "1 h"),
            (86_399.9, "1 day"),
            (4e10, "4e10 s"),
            (9e8, "10416 days 16 h"),
            (-60.0, "-1 min"),
            (f64::INFINITY, "forever"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn short_numbers_keep_their_size() {
        assert_eq!(short(0.1 + 0.2, 4), "0.3");
        assert_eq!(short(1e-6, 3), "1e-6");
        assert_eq!(short(123_456.0, 3), "123000");
        assert_eq!(short(-1.2345e20, 3), "-1.23e20");
    }

    #[test]
    fn times_taken() {
        assert_eq!(took(Duration::from_micros(400)), "0.4 ms");
        assert_eq!(took(Duration::from_millis(11)), "11 ms");
        assert_eq!(took(Duration::from_millis(1300)), "1.30 s");
        assert_eq!(took(Duration::from_secs(123)), "2 min 3 s");
    }
}
