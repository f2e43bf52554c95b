//! Calendar instants: which ones exist.

/// Whether `2026-01-05T00:00:30+01:00` names an instant. The form was checked by the lexer.
pub fn exists(text: &str) -> bool {
    let num = |a: usize, b: usize| text.get(a..b).and_then(|t| t.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (num(0, 4), num(5, 7), num(8, 10)) else { return false };
    let (Some(hour), Some(minute)) = (num(11, 13), num(14, 16)) else { return false };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    let second = if text.as_bytes().get(16) == Some(&b':') { num(17, 19) } else { Some(0) };
    let offset_ok = match text[16..].rfind(['+', '-']) {
        None => true,
        Some(i) => {
            let i = 16 + i;
            num(i + 1, i + 3).is_some_and(|h| h < 24) && num(i + 4, i + 6).is_some_and(|m| m < 60)
        }
    };
    (1..=days).contains(&day) && hour < 24 && minute < 60 && second.is_some_and(|s| s < 60) && offset_ok
}

#[cfg(test)]
mod tests {
    use super::exists;

    #[test]
    fn instants() {
        assert!(exists("2026-01-05T00:00+01:00"));
        assert!(exists("2024-02-29T23:59:59.5Z"));
        assert!(!exists("2026-02-29T00:00Z"));
        assert!(!exists("2026-13-01T00:00Z"));
        assert!(!exists("2026-01-01T24:00Z"));
        assert!(!exists("2026-01-01T00:00:60Z"));
        assert!(!exists("2026-01-01T00:00+25:00"));
    }
}
