//! The front end on texts that nobody would write: mutated models must not make it panic or hang, and
//! what is wrong at one place must be said once, on that line.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use std::path::PathBuf;
use twinml_compiler::diag::Diagnostics;
use twinml_compiler::emit;
use twinml_compiler::parser::parse;
use twinml_compiler::source::SourceMap;

/// Small programs that together hold every form; the reference models join where they are.
const SEEDS: [&str; 3] = [
    include_str!("front/physics.twinml"),
    include_str!("front/behavior.twinml"),
    include_str!("front/scenarios.twinml"),
];

fn models() -> Vec<String> {
    let dir = match std::env::var_os("TWINML_SHARED") {
        Some(d) => PathBuf::from(d),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    let mut all: Vec<String> = SEEDS.iter().map(|s| (*s).to_string()).collect();
    let Ok(entries) = std::fs::read_dir(dir.join("models")) else {
        eprintln_notice(&dir);
        return all;
    };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.retain(|p| p.extension().is_some_and(|e| e == "twinml"));
    all.extend(paths.iter().map(|p| std::fs::read_to_string(p).unwrap()));
    all
}

fn eprintln_notice(dir: &std::path::Path) {
    let notice = format!("only the small seeds: no reference models at {}\n", dir.display());
    std::io::Write::write_all(&mut std::io::stderr(), notice.as_bytes()).unwrap();
}

/// Parses, prints, and parses what was printed.
fn exercise(text: &str) -> Diagnostics {
    let mut map = SourceMap::new();
    let file = map.add("fuzz", text);
    let mut diags = Diagnostics::new();
    let module = parse(file, text, &mut diags);
    for d in &diags {
        let span = d.primary.span;
        assert!(span.lo <= span.hi && span.hi as usize <= text.len() + 1, "{d:?}");
        map.locate(span);
    }
    let printed = emit::ast::module(&module);
    if diags.is_empty() {
        let mut again = Diagnostics::new();
        let file = map.add("printed", printed.as_str());
        let module = parse(file, &printed, &mut again);
        assert!(again.is_empty(), "printed form has errors: {again:?}\n{printed}");
        assert_eq!(printed, emit::ast::module(&module));
    }
    diags
}

/// One change of a text.
#[derive(Debug, Clone)]
enum Change {
    Delete(usize, usize),
    Duplicate(usize, usize),
    Insert(usize, String),
    Swap(usize, usize),
}

fn at_char(text: &str, share: usize) -> usize {
    let mut i = if text.is_empty() { 0 } else { share % (text.len() + 1) };
    while !text.is_char_boundary(i) {
        i -= 1;
    }
    i
}

fn apply(text: &mut String, c: &Change) {
    match c {
        Change::Delete(at, n) => {
            let a = at_char(text, *at);
            let b = at_char(text, (a + n).min(text.len()));
            text.replace_range(a.min(b)..a.max(b), "");
        }
        Change::Duplicate(at, n) => {
            let a = at_char(text, *at);
            let b = at_char(text, (a + n).min(text.len()));
            let piece = text[a.min(b)..a.max(b)].to_string();
            text.insert_str(b, &piece);
        }
        Change::Insert(at, s) => {
            let a = at_char(text, *at);
            text.insert_str(a, s);
        }
        Change::Swap(a, b) => {
            let words: Vec<(usize, usize)> = text
                .split_whitespace()
                .map(|w| (w.as_ptr() as usize - text.as_ptr() as usize, w.len()))
                .collect();
            if words.len() < 2 {
                return;
            }
            let (x, y) = (words[a % words.len()], words[b % words.len()]);
            let (x, y) = if x.0 <= y.0 { (x, y) } else { (y, x) };
            if x.0 + x.1 > y.0 {
                return;
            }
            let (p, q) = (text[x.0..x.0 + x.1].to_string(), text[y.0..y.0 + y.1].to_string());
            text.replace_range(y.0..y.0 + y.1, &p);
            text.replace_range(x.0..x.0 + x.1, &q);
        }
    }
}

const PIECES: [&str; 60] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "\"",
    "${",
    "\"\"\"",
    "`",
    "/*",
    "*/",
    "//",
    "///",
    "\n",
    ";",
    ",",
    ":",
    ".",
    "..",
    "->",
    "<-",
    "--",
    "=",
    "==",
    "~",
    "?",
    "+",
    "-",
    "*",
    "/",
    "^",
    "<",
    ">=",
    "if ",
    "then ",
    "else ",
    "for ",
    "in ",
    "where ",
    "twin ",
    "scenario ",
    "on ",
    "match ",
    "until[",
    "at end",
    "over run",
    "with probability ",
    "3 m/s^2",
    "4 [kJ/(kg*K)]",
    "0x",
    "1e999",
    "\u{0}",
    "\u{FEFF}",
    "\r\n",
    "é",
    "€",
    "not ",
    "extends ",
    "Real[",
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), 0usize..40).prop_map(|(a, n)| Change::Delete(a, n)),
        (any::<usize>(), 0usize..200).prop_map(|(a, n)| Change::Duplicate(a, n)),
        (any::<usize>(), prop::sample::select(PIECES.to_vec()))
            .prop_map(|(a, s)| Change::Insert(a, s.to_string())),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_models(which in any::<usize>(), changes in prop::collection::vec(change(), 1..12)) {
        let all = models();
        let mut text = all[which % all.len()].clone();
        for c in &changes {
            apply(&mut text, c);
        }
        exercise(&text);
    }

    #[test]
    fn token_soup(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..80)) {
        exercise(&pieces.join(" "));
        exercise(&format!("twin A {{ equations {{ {} }} }}", pieces.concat()));
    }

    #[test]
    fn any_text(text in ".{0,200}") {
        exercise(&text);
    }
}

/// What fuzzing found, each with its name.
#[test]
fn found_by_fuzzing() {
    let docs_and_a_rule_of_slashes = "/// a\n/// b\n////// c\n/// d";
    exercise(docs_and_a_rule_of_slashes);
    exercise("/// a\n\n/// b\n");
    exercise("/// a\n// comment\n/// b\ntwin A { }");
}

#[test]
fn seeds_have_no_errors() {
    for text in models() {
        let diags = exercise(&text);
        assert!(diags.is_empty(), "{diags:?}");
    }
}

/// A slip at one place and where it is.
struct Slip {
    text: String,
    line: u32,
    what: String,
}

/// Whether the right side behind a `=` goes to the end of its line and nothing else does.
fn alone(right: &str) -> bool {
    right.starts_with(' ') && !right.contains(['{', '}', ';', ',', '>', '(', '[', '='])
}

/// Every place where a slip of each kind fits in a text.
fn slips(text: &str) -> Vec<Slip> {
    let mut out = Vec::new();
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let code = line.split("//").next().unwrap_or("");
        let quoted = code.contains('"') || code.contains('`');
        for (i, c) in code.char_indices() {
            let at = offset + i;
            let mut slip = |new: String, what: &str| {
                let what = format!("{what} at {}:{}: {}", number + 1, i + 1, line.trim_end());
                out.push(Slip { text: new, line: number as u32 + 1, what });
            };
            let without = || format!("{}{}", &text[..at], &text[at + c.len_utf8()..]);
            match c {
                '(' | ')' | '[' | ']' if !quoted => slip(without(), "bracket left out"),
                '+' | '*' | '/' if !quoted && code[..i].ends_with(' ') && code[i + 1..].starts_with(' ') => {
                    slip(format!("{}{c} {}", &text[..at], &text[at..]), "operator twice");
                }
                '=' if !quoted && code[..i].ends_with(' ') && alone(&code[i + 1..]) => {
                    let rest = at + 1 + code[i + 1..].trim_end().len();
                    slip(format!("{} {}", &text[..at], &text[rest..]), "right side left out");
                }
                ':' if !quoted && code[i + 1..].starts_with(' ') && !code.contains(" ? ") => {
                    slip(without(), "colon left out")
                }
                _ => {}
            }
        }
        offset += line.len();
    }
    out
}

/// Words with two letters swapped, where they begin an entry or a clause.
fn misspellings(text: &str) -> Vec<Slip> {
    const WORDS: [&str; 24] = [
        "parameters",
        "inputs",
        "outputs",
        "states",
        "variables",
        "equations",
        "connections",
        "behavior",
        "constraints",
        "memory",
        "capabilities",
        "twins",
        "ports",
        "scenario",
        "connector",
        "record",
        "where",
        "guess",
        "then",
        "else",
        "implies",
        "emit",
        "expect",
        "machine",
    ];
    let mut out = Vec::new();
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for w in WORDS {
            let Some(i) = code.find(w).filter(|_| !code.contains('"')) else { continue };
            let end = i + w.len();
            let whole =
                |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '.' | ':'));
            if !whole(code[..i].chars().next_back()) || !whole(code[end..].chars().next()) {
                continue;
            }
            let mut b = w.as_bytes().to_vec();
            b.swap(1, 2);
            let wrong = String::from_utf8(b).unwrap();
            if wrong == w {
                continue;
            }
            let new = format!("{}{wrong}{}", &text[..offset + i], &text[offset + end..]);
            let what = format!("misspelt {w} at {}: {}", number + 1, line.trim_end());
            out.push(Slip { text: new, line: number as u32 + 1, what });
        }
        offset += line.len();
    }
    out
}

/// Closing braces alone on their line: each left out, and each there twice. The line is that of the
/// brace; what opened it is reported where one is left out.
fn braces(text: &str) -> Vec<Slip> {
    let mut out = Vec::new();
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim() == "}" {
            let (before, after) = (&text[..offset], &text[offset + line.len()..]);
            let line_number = number as u32 + 1;
            let what = |w: &str| format!("brace {w} at {line_number}");
            out.push(Slip { text: format!("{before}{after}"), line: line_number, what: what("left out") });
            out.push(Slip {
                text: format!("{before}{line}{line}{after}"),
                line: line_number + 1,
                what: what("twice"),
            });
        }
        offset += line.len();
    }
    out
}

/// A brace too few or too many is one error, and what stands elsewhere is still read.
#[test]
fn one_brace_is_one_error() {
    let (mut all, mut alone) = (0u32, 0u32);
    let mut wrong = String::new();
    for (k, text) in models().into_iter().enumerate() {
        for s in braces(&text) {
            let diags = exercise(&s.text);
            all += 1;
            if diags.error_count() == 1 {
                alone += 1;
            } else {
                let list: Vec<&str> = diags.iter().map(|d| d.message.as_str()).collect();
                wrong.push_str(&format!("model {k} {}: {list:?}\n", s.what));
            }
        }
    }
    assert!(all > 20);
    assert!(f64::from(alone) >= 0.95 * f64::from(all), "{alone} of {all}\n{wrong}");
}

/// The first error is on the line of the slip in 99 of 100, and alone in 90 of 100.
#[test]
fn one_slip_is_one_error_on_its_line() {
    let (mut slipped, mut right, mut alone) = (0u32, 0u32, 0u32);
    let mut wrong = String::new();
    for text in models() {
        for s in slips(&text).into_iter().chain(misspellings(&text)) {
            let mut map = SourceMap::new();
            let file = map.add("slip", s.text.as_str());
            let mut diags = Diagnostics::new();
            parse(file, &s.text, &mut diags);
            let Some(first) = diags.iter().next() else { continue };
            slipped += 1;
            let line = map.get(file).unwrap().line_col(first.primary.span.lo).line;
            if line == s.line {
                right += 1;
            } else {
                wrong.push_str(&format!("{}\n    said {line}: {}\n", s.what, first.message));
            }
            if diags.error_count() == 1 {
                alone += 1;
            } else {
                let also = diags.iter().nth(1).unwrap();
                wrong.push_str(&format!("{}\n    follow-on: {} / {}\n", s.what, first.message, also.message));
            }
        }
    }
    assert!(slipped > 200, "only {slipped} slips");
    let share = |n: u32| f64::from(n) / f64::from(slipped);
    let report = format!(
        "{slipped} slips: {:.2} % on the line, {:.2} % alone\n{wrong}",
        100.0 * share(right),
        100.0 * share(alone)
    );

    assert!(share(right) >= 0.99 && share(alone) >= 0.98, "{report}");
}
