//! "Did you mean": the nearest of the names that could have stood there.

/// Edits (insert, delete, replace, swap neighbours) between two words, letters compared without
/// case at half the cost rounded up, so `Pressure` is near `pressure`. Work is bounded: words over
/// 64 characters count as far apart.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX / 2;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let same = a[i - 1] == b[j - 1] || a[i - 1].to_lowercase().eq(b[j - 1].to_lowercase());
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + usize::from(!same));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The candidate nearest to `name`, if any is near enough to be offered; the first of equals.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    let limit = match length {
        0..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, &str)> = None;
    for c in candidates {
        // Each letter more or less is an edit.
        if c == name || c.chars().count().abs_diff(length) > limit {
            continue;
        }
        let d = edit_distance(name, c);
        // `h` and `q` are one edit apart and have nothing in common.
        let shared = length > 2 || c.chars().count() > 2 || d == 0;
        if d <= limit && d < c.chars().count() && shared && best.is_none_or(|(b, _)| d < b) {
            best = Some((d, c));
        }
    }
    best.map(|(_, c)| c)
}

/// `did you mean \`x\`?` for the nearest candidate.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|c| format!("did you mean `{c}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        assert_eq!(edit_distance("presure", "pressure"), 1);
        assert_eq!(edit_distance("Pressure", "pressure"), 0);
        assert_eq!(edit_distance("ab", "ba"), 1);
        assert_eq!(nearest("vlave", ["pump", "valve", "level"]), Some("valve"));
        assert_eq!(nearest("h", ["q", "T"]), None);
        assert_eq!(nearest("handle_billing_inquiry", ["handle_account_inquiry"]), None);
        assert_eq!(nearest("zzz", ["pump", "valve"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
