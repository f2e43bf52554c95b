//! The reference models check without an error.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stderr, reason = "a notice where the models are absent")]

use std::path::PathBuf;

use twinml_compiler::diag::{Diagnostics, Severity, Style, render_all};
use twinml_compiler::resolve::MemoryLoader;
use twinml_compiler::source::SourceMap;
use twinml_compiler::typeck;

fn shared() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let dir = std::env::var_os("TWINML_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    if dir.join("models").is_dir() {
        return Some(dir);
    }
    eprintln!("notice: the reference models are not here; skipped");
    None
}

/// What is said about a text, and how many errors and warnings that is.
fn check(name: &str, text: &str) -> (String, usize) {
    let mut map = SourceMap::new();
    let root = map.add(name, text);
    let mut diags = Diagnostics::new();
    typeck::check(root, &mut map, &MemoryLoader::new(), &mut diags);
    diags.sort();
    let serious = diags.iter().filter(|d| d.severity > Severity::Note).count();
    (render_all(&diags, &map, Style::default()), serious)
}

#[test]
fn reference_models_check() {
    let Some(dir) = shared() else { return };
    let mut failed = Vec::new();
    let mut names: Vec<_> =
        std::fs::read_dir(dir.join("models")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names.iter().filter(|p| p.extension().is_some_and(|e| e == "twinml")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (out, serious) = check(&name, &std::fs::read_to_string(path).unwrap());
        if serious > 0 {
            failed.push(out);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
