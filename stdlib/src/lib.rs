//! The standard library: TwinML sources embedded as data.
//!
//! Never parses or runs anything: it only hands texts over.

/// The modules: name and source.
const MODULES: &[(&str, &str)] = &[];

/// The source of a library module (`std.thermal`).
pub fn module(path: &str) -> Option<&'static str> {
    MODULES.iter().find(|(n, _)| *n == path).map(|(_, text)| *text)
}

/// The names of all library modules.
pub fn modules() -> impl Iterator<Item = &'static str> {
    MODULES.iter().map(|(n, _)| *n)
}
