//! The error index is whole: every entry has a title, prose and an example that triggers its code.

#![allow(clippy::unwrap_used, reason = "tests")]

use twinml_compiler::diag::index::ENTRIES;
use twinml_compiler::diag::{Style, render_all};
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;

#[test]
fn every_example_triggers_its_code() {
    let mut wrong = Vec::new();
    for entry in ENTRIES {
        let code = entry.code.0;
        assert!(entry.title().len() > 8, "{code} has no title");
        assert!(entry.explanation().len() > 40, "{code} explains nothing");
        let examples = entry.examples();
        let Some(main) = examples.iter().find(|e| e.file.is_none()) else {
            wrong.push(format!("{code} has no example"));
            continue;
        };
        let mut loader = MemoryLoader::new();
        for e in &examples {
            if let Some(name) = e.file {
                loader = loader.with(name, e.text);
            }
        }
        let mut session = Session::check("example.twinml", main.text, &loader);
        if code.starts_with("E08") {
            // Said by a run: the tests of the command line run these.
            continue;
        }
        session.compile(Choice::default(), &mut NoData);
        let mut said: Vec<&str> = session.diags.iter().map(|d| d.code.0).collect();
        said.dedup();
        // A handler and a machine of one behaviour are each refused.
        let follow = |c: &&str| c.starts_with("E075");
        if said.first() != Some(&code) || !said[1..].iter().all(follow) {
            let all = render_all(&session.diags, &session.sources, Style::default());
            wrong.push(format!("{code} says {said:?}\n{all}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The constants of `codes.rs`, by code.
fn declared() -> Vec<String> {
    include_str!("../src/diag/codes.rs")
        .lines()
        .filter_map(|l| Some(l.split_once("Code(\"")?.1.split_once('"')?.0.to_owned()))
        .collect()
}

#[test]
fn no_code_is_declared_twice() {
    let mut all = declared();
    all.sort();
    let before = all.len();
    all.dedup();
    assert_eq!(all.len(), before);
    for e in ENTRIES {
        assert!(all.iter().any(|c| c == e.code.0), "{} is explained and not declared", e.code);
    }
}

/// Codes that no text alone can trigger: faults of the compiler, what checking refuses first, and what only
/// the command line can ask for.
const UNREACHABLE: &[&str] = &["E0703", "E0727", "E0728", "E0790", "E0799"];

/// A text over 64 MiB and a file of a hundred errors are no examples.
const TOO_LONG: &[&str] = &["E0108", "E0215"];

#[test]
fn every_code_of_reading_is_explained() {
    let missing: Vec<String> = declared()
        .into_iter()
        .filter(|c| (c.starts_with("E01") || c.starts_with("E02")) && !TOO_LONG.contains(&&**c))
        // what a scenario's settings may be is told by the checker
        .filter(|c| c != "E0218")
        .filter(|c| !ENTRIES.iter().any(|e| e.code.0 == c))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_code_of_flattening_is_explained() {
    let missing: Vec<String> = declared()
        .into_iter()
        .filter(|c| c[1..].starts_with("07") && !UNREACHABLE.contains(&&**c))
        .filter(|c| !ENTRIES.iter().any(|e| e.code.0 == c))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
