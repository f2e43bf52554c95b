//! The whole compiler on mutated models: a program that verifies or errors, and never a panic.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use std::path::Path;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;

/// The seeds of the front end's tests, and the examples.
fn models() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for dir in [root.join("tests/front"), root.join("../twinml-examples")] {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for e in entries {
            let p = e.unwrap().path();
            if p.is_dir() {
                paths.extend(std::fs::read_dir(p).unwrap().map(|e| e.unwrap().path()));
            } else {
                paths.push(p);
            }
        }
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "twinml"));
    paths.sort();
    paths.iter().map(|p| std::fs::read_to_string(p).unwrap()).collect()
}

fn compile(text: &str) {
    let mut session = Session::check("mutated.twinml", text, &MemoryLoader::new());
    match session.compile(Choice::default(), &mut NoData) {
        Some(done) => twinml_model::verify::verify(&done.program).unwrap(),
        None => assert!(session.diags.has_errors(), "no program and no error:\n{text}"),
    }
}

/// Replaces the `n`th word or sign by another one of the same text: mostly still a program.
fn exchange(text: &str, n: usize, m: usize) -> String {
    let mut pieces: Vec<&str> = Vec::new();
    let mut from = 0;
    let kind = |c: char| (c.is_alphanumeric() || c == '_' || c == '.', c.is_whitespace());
    for (i, c) in text.char_indices() {
        if i > from && (kind(c) != kind(text[from..].chars().next().unwrap()) || !kind(c).0) {
            pieces.push(&text[from..i]);
            from = i;
        }
    }
    pieces.push(&text[from..]);
    let solid: Vec<usize> = (0..pieces.len()).filter(|&i| !pieces[i].trim().is_empty()).collect();
    if solid.is_empty() {
        return text.to_string();
    }
    let (a, b) = (solid[n % solid.len()], solid[m % solid.len()]);
    pieces[a] = pieces[b];
    pieces.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn mutated_models_compile_or_do_not(
        which in any::<usize>(),
        changes in prop::collection::vec((any::<usize>(), any::<usize>()), 0..6),
    ) {
        let all = models();
        let mut text = all[which % all.len()].clone();
        for (n, m) in changes {
            text = exchange(&text, n, m);
        }
        compile(&text);
    }
}
