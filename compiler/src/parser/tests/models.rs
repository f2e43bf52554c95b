//! The reference models and every program of the language's own text must parse.

use super::messages;
use std::path::PathBuf;

fn shared() -> Option<PathBuf> {
    let dir = match std::env::var_os("TWINML_SHARED") {
        Some(d) => PathBuf::from(d),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    if dir.join("models").is_dir() {
        return Some(dir);
    }
    let notice = format!("skipped: no reference models at {}", dir.display());
    std::io::Write::write_all(&mut std::io::stderr(), notice.as_bytes()).unwrap();
    None
}

#[test]
fn reference_models_parse() {
    let Some(dir) = shared() else { return };
    let mut seen = 0;
    let mut bad = String::new();
    let mut paths: Vec<_> =
        std::fs::read_dir(dir.join("models")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for p in paths.iter().filter(|p| p.extension().is_some_and(|e| e == "twinml")) {
        seen += 1;
        let m = messages(&std::fs::read_to_string(p).unwrap());
        if !m.is_empty() {
            bad.push_str(&format!("== {}\n{m}", p.display()));
        }
    }
    assert!(seen >= 12, "only {seen} models");
    assert_eq!(bad, "");
}
