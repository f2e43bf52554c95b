//! The error index: every code has a title, an explanation and an example, and the example says exactly
//! that code. Renderings are kept in `tests/index.txt`; `TWINML_BLESS=1` rewrites them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use twinml_compiler::diag::index::{ENTRIES, Entry, explain, lookup};
use twinml_compiler::diag::{Style, render_all};
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;

/// Codes that no text of a few lines can say, and why.
const WITHOUT_EXAMPLE: &[(&str, &str)] = &[
    ("E0108", "needs 64 MiB"),
    ("E0215", "needs a hundred errors"),
    ("E0609", "told apart from E0601 in hand-written flat systems only"),
    ("E0703", "names are checked before; a guard of the later stage"),
    ("E0717", "checked before; a guard of the later stage"),
    ("E0727", "checked before; a guard of the later stage"),
    ("E0728", "checked before; a guard of the later stage"),
    ("E0790", "the name comes from the command line"),
    ("E0792", "the name comes from the environment"),
    ("E0799", "a fault of the compiler"),
];

/// What the example of an entry says.
fn said(e: &Entry) -> (BTreeSet<String>, String) {
    let mut files = MemoryLoader::new();
    let mut root = None;
    for x in e.examples() {
        match x.file {
            Some(name) => files = files.with(name, x.text),
            None => root = Some(x.text),
        }
    }
    let mut s = Session::check("example.twinml", root.unwrap(), &files);
    if s.diags.is_empty() {
        s.compile(Choice::default(), &mut NoData);
    }
    s.diags.sort();
    let codes = s.diags.iter().map(|d| d.code.to_string()).collect();
    (codes, render_all(&s.diags, &s.sources, Style::default()))
}

#[test]
fn every_code_is_explained() {
    let source = include_str!("../src/diag/codes.rs");
    let mut declared: Vec<&str> =
        source.split("Code(\"").skip(1).filter_map(|p| p.split_once('"')).map(|(c, _)| c).collect();
    declared.sort_unstable();
    let unique: BTreeSet<&str> = declared.iter().copied().collect();
    assert_eq!(unique.len(), declared.len(), "a code stands for two things");
    let indexed: BTreeSet<&str> = ENTRIES.iter().map(|e| e.code.0).collect();
    let missing: Vec<&&str> = unique.difference(&indexed).collect();
    assert!(missing.is_empty(), "no file in src/diag/index and no row in its table: {missing:?}");
    assert!(unique.len() >= 60);
    for e in ENTRIES {
        assert!(e.title().len() > 8, "{}: a title", e.code);
        assert!(e.explanation().len() > 40, "{}: an explanation", e.code);
        let excused = WITHOUT_EXAMPLE.iter().any(|(c, _)| *c == e.code.0);
        assert_ne!(e.examples().is_empty(), !excused, "{}: an example", e.code);
    }
}

#[test]
fn every_example_says_its_code() {
    let mut wrong = String::new();
    let mut all = String::new();
    // What a run says (E08, W08) is triggered by the tests of the command line.
    for e in ENTRIES.iter().filter(|e| !e.examples().is_empty() && e.code.0.get(1..3) != Some("08")) {
        let (codes, text) = said(e);
        if codes != BTreeSet::from([e.code.to_string()]) {
            let _ = writeln!(wrong, "{} says {codes:?}\n{text}", e.code);
        }
        let _ = writeln!(all, "{text}");
    }
    assert!(wrong.is_empty(), "{wrong}");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/index.txt");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    if old != all {
        if std::env::var_os("TWINML_BLESS").is_some() {
            std::fs::write(&path, &all).unwrap();
        } else {
            let (n, (a, b)) = old.lines().zip(all.lines()).enumerate().find(|(_, (a, b))| a != b).unwrap();
            panic!("renderings changed, first in line {}:\n want {a}\n have {b}", n + 1);
        }
    }
}

#[test]
fn explain_prints_the_long_form() {
    let text = explain("e0501").unwrap();
    assert!(text.starts_with("E0501: operands whose units differ\n"), "{text}");
    assert!(text.contains("```twinml"));
    assert!(explain("E9999").is_none());
    assert!(lookup("w0501").is_some());
}
