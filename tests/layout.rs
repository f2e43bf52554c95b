//! The house: which crate may depend on which. ARCHITECTURE.md draws it, this test holds it.

#![allow(clippy::unwrap_used, reason = "a test: a failure to read the metadata is a failure")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// The edges that the layout allows, among the project's own crates.
const ALLOWED: &[(&str, &[&str])] = &[
    ("twinml-model", &[]),
    ("twinml-stdlib", &[]),
    ("twinml-compiler", &["twinml-model", "twinml-stdlib"]),
    ("twinml-jit", &["twinml-model"]),
    ("twinml-solvers", &["twinml-model"]),
    ("twinml-objects", &[]),
    ("twinml-engine", &["twinml-model", "twinml-compiler", "twinml-jit", "twinml-solvers"]),
    ("twinml-providers", &["twinml-model", "twinml-engine"]),
    (
        "twinc",
        &[
            "twinml-model",
            "twinml-compiler",
            "twinml-jit",
            "twinml-solvers",
            "twinml-engine",
            "twinml-objects",
            "twinml-providers",
            "twinml-stdlib",
        ],
    ),
    ("xtask", &[]),
];

#[test]
fn no_crate_depends_on_one_to_its_right() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let packages = metadata["packages"].as_array().unwrap();
    let own: Vec<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert!(own.len() >= ALLOWED.len(), "{own:?}");
    for p in packages {
        let name = p["name"].as_str().unwrap();
        let may = allowed.get(name).unwrap_or_else(|| panic!("{name} has no place in the layout"));
        for d in p["dependencies"].as_array().unwrap() {
            let on = d["name"].as_str().unwrap();
            // Tests of a crate may use what stands to its right.
            let dev = d["kind"].as_str() == Some("dev");
            if own.contains(&on) && !dev {
                assert!(may.contains(&on), "{name} must not depend on {on}: see ARCHITECTURE.md");
            }
        }
    }
}
