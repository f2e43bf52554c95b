//! What tests that damage models share: which models there are, and where the damage goes.

use std::path::Path;

/// A generator of our own: the same texts on every machine (Marsaglia, "Xorshift RNGs", 2003).
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn next(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// The texts of all models below a folder, in the order of their names.
pub fn collect(dir: &Path, out: &mut Vec<String>) {
    let Ok(list) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<_> = list.map(|e| e.unwrap().path()).collect();
    paths.sort();
    for p in paths {
        if p.is_dir() {
            collect(&p, out);
        } else if p.extension().is_some_and(|e| e == "twinml") {
            out.push(std::fs::read_to_string(p).unwrap());
        }
    }
}
