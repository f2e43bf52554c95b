//! The fuzz targets without coverage, on every test run: the kept inputs, the programs at hand, and damaged
//! copies of both, the same on every machine. `cargo xtask fuzz` searches on from here.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

#[path = "../../tests/fuzz/targets.rs"]
mod targets;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files under a folder whose names end so, in order.
fn collect(dir: &Path, ends: &str, out: &mut Vec<(PathBuf, Vec<u8>)>) {
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for p in paths {
        if p.is_dir() {
            collect(&p, ends, out);
        } else if p.to_string_lossy().ends_with(ends) {
            let bytes = std::fs::read(&p).unwrap();
            out.push((p, bytes));
        }
    }
}

/// A generator of our own (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// A damaged copy: bytes changed, removed, doubled, or a piece of another input put in.
fn damage(bytes: &[u8], other: &[u8], r: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=r.below(4) {
        let at = r.below(out.len() + 1);
        let end = (at + r.below(24)).min(out.len());
        match r.below(5) {
            0 => drop(out.drain(at..end)),
            1 => {
                let piece = out[at..end].to_vec();
                out.splice(at..at, piece);
            }
            2 => {
                if let Some(b) = out.get_mut(at) {
                    *b = r.below(256) as u8;
                }
            }
            3 => {
                const SIGNS: &[u8] = b"{}()[]<>=+-*/^.,;:~!?\"'$@#&|%\n 019eEnxX_";
                out.insert(at, SIGNS[r.below(SIGNS.len())]);
            }
            _ => {
                let from = r.below(other.len() + 1);
                let to = (from + r.below(60)).min(other.len());
                out.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    out
}

/// Runs a target over its inputs and over `rounds` damaged copies.
fn replay(name: &str, target: fn(&[u8]), programs: &[(&str, &str)], rounds: usize) {
    let mut inputs = Vec::new();
    collect(&root().join("tests/fuzz/seeds").join(name), "", &mut inputs);
    assert!(inputs.len() >= 10, "{name}: {} kept inputs", inputs.len());
    for (folder, ends) in programs {
        let before = inputs.len();
        collect(&root().join(folder), ends, &mut inputs);
        assert!(inputs.len() > before, "nothing in {folder}");
    }
    let attempt = |bytes: &[u8], from: &Path| {
        if std::panic::catch_unwind(|| target(bytes)).is_err() {
            panic!("{name} fails on {:?}, made from {}", String::from_utf8_lossy(bytes), from.display());
        }
    };
    for (path, bytes) in &inputs {
        attempt(bytes, path);
    }
    let mut r = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..rounds {
        let (path, bytes) = &inputs[r.below(inputs.len())];
        let (_, other) = &inputs[r.below(inputs.len())];
        attempt(&damage(bytes, other, &mut r), path);
    }
}

const MODELS: &[(&str, &str)] = &[("compiler/tests/front", ".twinml"), ("twinml-examples", ".twinml")];

#[test]
fn lexer() {
    replay("lexer", targets::lexer, MODELS, 2000);
}

#[test]
fn parser() {
    replay("parser", targets::parser, MODELS, 1000);
}

#[test]
fn checker() {
    replay("checker", targets::checker, MODELS, 600);
}

#[test]
fn ir_reader() {
    replay("ir_reader", targets::ir_reader, &[("tests/filetests/ir", ".ir")], 1000);
}
