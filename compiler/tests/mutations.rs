//! The checker on damaged models: it never panics, whatever the text; and a slip in an otherwise good
//! model is one error on its line.
#![allow(clippy::unwrap_used, reason = "tests")]

mod variants;

use std::path::PathBuf;

use twinml_compiler::diag::index::ENTRIES;
use twinml_compiler::diag::{Diagnostics, Severity, Style, render_all, to_json};
use twinml_compiler::resolve::MemoryLoader;
use twinml_compiler::source::SourceMap;
use twinml_compiler::{emit, typeck};
use variants::{Random, collect};

/// Every model at hand that checks.
fn models() -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("TWINML_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let mut out = Vec::new();
    for dir in [shared.join("models"), root.join("twinml-examples"), root.join("compiler/tests/front")] {
        collect(&dir, &mut out);
    }
    out.retain(|t| !check(t).1.has_errors());
    assert!(out.len() >= 8, "{}", out.len());
    out
}

fn check(text: &str) -> (SourceMap, Diagnostics) {
    let mut map = SourceMap::new();
    let root = map.add("m.twinml", text);
    let mut diags = Diagnostics::new();
    let files = MemoryLoader::new().with("parts.twinml", "twin Pump { }");
    let checked = typeck::check(root, &mut map, &files, &mut diags);
    if !diags.has_errors() {
        emit::hir::model(&checked.model);
    }
    (map, diags)
}

/// Checks a text and renders what is said, which must not fail either.
fn exercise(text: &str) {
    let (map, diags) = check(text);
    let few: Vec<_> = diags.iter().take(3).cloned().collect();
    let mut shown = Diagnostics::new();
    for d in few {
        to_json(&d, &map);
        shown.push(d);
    }
    render_all(&shown, &map, Style::default());
}

/// Words and signs, with their places.
fn tokens(text: &str) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((lo, c)) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut hi = lo + c.len_utf8();
        if c.is_alphanumeric() || c == '_' {
            while let Some((i, d)) = chars.peek().copied() {
                if !(d.is_alphanumeric() || d == '_') {
                    break;
                }
                hi = i + d.len_utf8();
                chars.next();
            }
        }
        out.push((lo, hi));
    }
    out
}

#[test]
fn no_text_makes_the_checker_panic() {
    let mut seeds = models();
    seeds.extend(ENTRIES.iter().flat_map(|e| e.examples()).map(|x| x.text.to_owned()));
    let mut r = Random(0x2545_F491_4F6C_DD1D);
    let all: Vec<(String, Vec<(usize, usize)>)> = seeds.iter().map(|t| (t.clone(), tokens(t))).collect();
    for round in 0..2500 {
        let (text, at) = &all[r.next(all.len())];
        let mut new = text.clone();
        for _ in 0..=r.next(4) {
            let here = tokens(&new);
            if here.is_empty() {
                break;
            }
            let (lo, hi) = here[r.next(here.len())];
            // A token from the same text, or from another one.
            let (other, other_at) = if r.next(2) == 0 {
                (text, at)
            } else {
                let o = &all[r.next(all.len())];
                (&o.0, &o.1)
            };
            let (a, b) = other_at[r.next(other_at.len())];
            match r.next(4) {
                0 => new.replace_range(lo..hi, ""),
                1 => new.replace_range(lo..hi, &other[a..b]),
                2 => new.insert_str(hi, &format!(" {}", &other[a..b])),
                _ => {
                    let (c, d) = here[r.next(here.len())];
                    let word = new[c..d].to_owned();
                    new.replace_range(lo..hi, &word);
                }
            }
        }
        // A failing text shows itself in the panic's backtrace by its round.
        let _ = round;
        exercise(&new);
    }
}

/// A good model with one slip, and the line that it is on.
struct Slip {
    text: String,
    line: usize,
    what: String,
}

/// Slips that only the checker can find: misspelt uses and wrong units in equations.
fn slips(text: &str) -> Vec<Slip> {
    let mut out = Vec::new();
    let mut inside = false;
    for (n, line) in text.lines().enumerate() {
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        let code = line.split("//").next().unwrap();
        if code.trim_start().starts_with("equations {") {
            inside = true;
            if code.contains('}') {
                inside = false;
            }
            continue;
        }
        if inside && code.trim() == "}" {
            inside = false;
        }
        if !inside || !code.contains('=') || code.contains('{') {
            continue;
        }
        for (lo, hi) in tokens(code) {
            let word = &code[lo..hi];
            let before = code[..lo].trim_end();
            let name = word.starts_with(|c: char| c.is_alphabetic()) && word.len() > 1;
            let unit = before.ends_with(|c: char| c.is_ascii_digit()) || before.ends_with('[');
            let reserved = ["if", "then", "else", "and", "or", "not", "der", "for", "in", "time"];
            if name && !unit && !reserved.contains(&word) && !before.ends_with('/') && !before.ends_with('*')
            {
                let mut t = text.to_owned();
                t.insert_str(start + hi, "qz");
                out.push(Slip { text: t, line: n + 1, what: format!("{word} -> {word}qz") });
            }
            if unit && name && code[..lo].ends_with(' ') && !code[hi..].starts_with(['/', '*', '^']) {
                let mut t = text.to_owned();
                t.replace_range(start + lo..start + hi, "mol");
                out.push(Slip { text: t, line: n + 1, what: format!("unit {word} -> mol") });
            }
        }
    }
    out
}

#[test]
fn one_slip_is_one_error_on_its_line() {
    let (mut count, mut right, mut alone) = (0u32, 0u32, 0u32);
    let mut report = String::new();
    for m in models() {
        for s in slips(&m) {
            let (map, mut diags) = check(&s.text);
            diags.sort();
            let errors: Vec<_> = diags.iter().filter(|d| d.severity == Severity::Error).collect();
            count += 1;
            let lines: Vec<usize> = errors
                .iter()
                .map(|d| map.get(d.primary.span.file).unwrap().line_col(d.primary.span.lo).line as usize)
                .collect();
            right += u32::from(lines.first() == Some(&s.line));
            alone += u32::from(lines.len() == 1);
            if lines != [s.line] {
                report.push_str(&format!(
                    "{} in line {}: {lines:?} {:?}\n",
                    s.what,
                    s.line,
                    errors.iter().map(|e| &e.message).collect::<Vec<_>>()
                ));
            }
        }
    }
    assert!(count > 80, "{count}");
    let share = |n: u32| f64::from(n) / f64::from(count);
    assert!(
        share(right) >= 0.99 && share(alone) >= 0.95,
        "{count} slips, {:.3} right, {:.3} alone\n{report}",
        share(right),
        share(alone)
    );
}

/// Slips of the hand anywhere in a model, with the line that each is on. The last line of a text is left alone.
fn injected(text: &str) -> Vec<Slip> {
    let mut out = Vec::new();
    let mut block = 0i32;
    for (n, line) in text.lines().enumerate() {
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        let code = line.split("//").next().unwrap();
        block += code.matches("/*").count() as i32 - code.matches("*/").count() as i32;
        if block != 0 || code.trim().is_empty() || code.contains('"') {
            continue;
        }
        let mut slip = |lo: usize, hi: usize, new: &str, what: &str| {
            let mut t = text.to_owned();
            t.replace_range(start + lo..start + hi, new);
            out.push(Slip { text: t, line: n + 1, what: format!("{what} at {lo} in `{code}`") });
        };
        let places = tokens(code);
        for (k, &(lo, hi)) in places.iter().enumerate() {
            let word = &code[lo..hi];
            let next = places.get(k + 1).map_or("", |&(a, b)| &code[a..b]);
            let before = k.checked_sub(1).map_or("", |j| &code[places[j].0..places[j].1]);
            let operand = |w: &str| w.starts_with(char::is_alphanumeric) || w == "(" || w == ")";
            match word {
                "+" | "*" if operand(before) && operand(next) && !code[..lo].ends_with(before) => {
                    slip(lo, hi, &format!("{word} {word}{word}"), "operators");
                    slip(lo, hi, "", "no operator");
                }
                "(" => slip(lo, hi, "((", "open bracket"),
                ")" => slip(lo, hi, "))", "closing bracket"),
                "=" if before.starts_with(char::is_alphabetic) && next.starts_with(char::is_alphanumeric) => {
                    slip(lo, hi, "= =", "two equals signs");
                }
                "states" | "equations" | "parameters" | "variables" | "inputs" | "outputs" if next == "{" => {
                    slip(lo, hi, &format!("{}q{}", &word[..2], &word[3..]), "keyword");
                }
                _ if before == ":" && next == "=" && word.starts_with(char::is_uppercase) => {
                    slip(lo, hi, &format!("{word}qz"), "type");
                    slip(hi, hi, " $", "stray sign");
                }
                _ => {}
            }
        }
    }
    out
}

/// The examples with one slip each, evenly spread over a thousand: said first where it is, and mostly alone.
#[test]
fn a_thousand_injected_errors() {
    let mut all: Vec<Slip> = Vec::new();
    for m in models() {
        all.extend(injected(&m));
        all.extend(slips(&m));
    }
    // The reference models bring more than two thousand; without them the examples have some six hundred.
    assert!(all.len() >= 500, "{}", all.len());
    let tried = all.len().min(1000);
    let (mut right, mut alone) = (0u32, 0u32);
    let mut report = String::new();
    for k in 0..tried {
        let s = &all[k * all.len() / tried];
        let (map, mut diags) = check(&s.text);
        diags.sort();
        let lines: Vec<usize> = diags
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| map.get(d.primary.span.file).unwrap().line_col(d.primary.span.lo).line as usize)
            .collect();
        right += u32::from(lines.first() == Some(&s.line));
        alone += u32::from(lines.len() == 1);
        if lines != [s.line] {
            report.push_str(&format!("line {}: {}: {lines:?}\n", s.line, s.what));
        }
    }
    let share = |n: u32| f64::from(n) / tried as f64;
    assert!(share(right) >= 0.99 && share(alone) >= 0.9, "{right} right, {alone} alone of {tried}\n{report}");
}
