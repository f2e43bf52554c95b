//! The reference models and every program of the language's own text must parse.

use super::{messages, printed};
use std::path::PathBuf;

/// Messages of a text, and a note where its printed form does not read back as the same tree.
fn check(text: &str) -> String {
    let mut m = messages(text);
    let once = printed(text);
    let again = messages(&once);
    if !again.is_empty() {
        m.push_str(&format!("printed form: {again}{once}"));
    }
    let twice = printed(&once);
    if let Some((a, b)) = once.lines().zip(twice.lines()).find(|(a, b)| a != b) {
        m.push_str(&format!("printed form differs: {a}\n  read back as: {b}\n"));
    }
    m
}

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
        let m = check(&std::fs::read_to_string(p).unwrap());
        if !m.is_empty() {
            bad.push_str(&format!("== {}\n{m}", p.display()));
        }
    }
    assert!(seen >= 12, "only {seen} models");
    assert_eq!(bad, "");
}

/// The programs between code fences; an ellipsis stands for anything and is left out.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut inside: Option<(usize, String)> = None;
    for (i, line) in text.lines().enumerate() {
        if let Some((at, mut block)) = inside.take() {
            if line.starts_with("```") {
                out.push((at, block));
            } else {
                let line = line.replace("{ … }", "{ }").replace("… ; ", "").replace('…', "x");
                block.push_str(&line);
                block.push('\n');
                inside = Some((at, block));
            }
        } else if line.starts_with("```twinml") {
            inside = Some((i + 2, String::new()));
        }
    }
    out
}

#[test]
fn programs_of_the_language_text_parse() {
    let Some(dir) = shared() else { return };
    let text = std::fs::read_to_string(dir.join("TWINML.md")).unwrap();
    let mut bad = String::new();
    let blocks = blocks(&text);
    assert!(blocks.len() >= 8, "only {} blocks", blocks.len());
    for (at, block) in blocks {
        let section = ["behavior", "sync", "memory", "constraints"].iter().any(|w| block.starts_with(w));
        let program = if section { format!("twin T {{\n{block}}}\n") } else { block };
        let m = check(&program);
        if !m.is_empty() {
            bad.push_str(&format!("== block at line {at}\n{m}"));
        }
    }
    assert_eq!(bad, "");
}

#[test]
fn translated_sbml_models_parse() {
    let Some(dir) = shared() else { return };
    let script = "import sys, glob, json\n\
                  sys.path.insert(0, sys.argv[1])\n\
                  import to_twinml\n\
                  for p in sorted(glob.glob(sys.argv[1] + '/cases/*.json')):\n\
                  \x20   print('//// ' + p)\n\
                  \x20   print(to_twinml.translate(json.load(open(p))), end='')\n";
    let mut python = std::process::Command::new("python3");
    python.env("PYTHONDONTWRITEBYTECODE", "1").args(["-c", script]).arg(dir.join("sbml"));
    let Ok(out) = python.output() else { return };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let mut bad = String::new();
    let mut seen = 0;
    for part in text.split("//// ").skip(1) {
        let (path, model) = part.split_once('\n').unwrap();
        seen += 1;
        let m = check(model);
        if !m.is_empty() {
            bad.push_str(&format!("== {path}\n{m}"));
        }
    }
    assert!(seen >= 400, "only {seen} models");
    assert_eq!(bad, "");
}
