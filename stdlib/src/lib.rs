//! The standard library: TwinML sources embedded as data.
//!
//! Never parses or runs anything: it only hands texts over.

/// The modules: name and source.
const MODULES: &[(&str, &str)] = &[
    ("std.control", include_str!("../control/control.twinml")),
    ("std.electrical", include_str!("../electrical/electrical.twinml")),
    ("std.fluid", include_str!("../fluid/fluid.twinml")),
    ("std.mechanics", include_str!("../mechanics/mechanics.twinml")),
    ("std.process", include_str!("../process/process.twinml")),
    ("std.signals", include_str!("../signals/signals.twinml")),
    ("std.thermal", include_str!("../thermal/thermal.twinml")),
];

/// The source of a library module (`std.thermal`).
pub fn module(path: &str) -> Option<&'static str> {
    MODULES.iter().find(|(n, _)| *n == path).map(|(_, text)| *text)
}

/// The names of all library modules.
pub fn modules() -> impl Iterator<Item = &'static str> {
    MODULES.iter().map(|(n, _)| *n)
}
