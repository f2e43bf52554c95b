//! `twinc test` over the reference models that run: outcome and verdicts, scenario by scenario.
//!
//! They lie beside the project (`../shared/models`, or `$TWINML_SHARED/models`); without that folder the test passes
//! with a notice. Their figures are compared in `tests/models.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// File, scenario, branch, outcome, and the verdicts: `+` holds, `-` violated.
const TABLE: &[(&str, &str, &str, &str, &str)] = &[
    ("01_heating_skid", "day", "", "passed", "+warm +no_trip +safe"),
    ("01_heating_skid", "stuck_relay", "", "passed", "-no_trip -safe"),
    ("04_pendulum_dae", "swing", "", "passed", "+rod_length +conservation +bounded +swings_back +taut"),
    ("04_pendulum_dae", "looping", "", "passed", "+rod_length +taut -bounded"),
    ("04_pendulum_dae", "chaos", "", "passed", "+rod_length +conservation"),
    ("07_cstr_runaway", "coolant_loss", "", "passed", "+no_runaway +quenched +trip_time"),
    (
        "07_cstr_runaway",
        "coolant_loss",
        "weak_cooling",
        "passed",
        "+weak_cooling/no_runaway +weak_cooling/quenched +weak_cooling/trip_time",
    ),
    ("07_cstr_runaway", "unprotected", "", "passed", "-no_runaway"),
    ("11_stick_slip", "belt", "", "passed", "+bounded +cycles"),
    ("11_stick_slip", "smooth_belt", "", "passed", "+bounded"),
];

#[test]
fn the_reference_models_reach_their_verdicts() {
    let shared = std::env::var_os("TWINML_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let models = shared.join("models");
    if !models.is_dir() {
        println!("skipped: no reference models at {}", models.display());
        return;
    }
    let mut files: Vec<&str> = TABLE.iter().map(|row| row.0).collect();
    files.dedup();
    let out = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .current_dir(&models)
        .args(["test", "--format", "json"])
        .args(files.iter().map(|f| format!("{f}.twinml")))
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let cases: Vec<Value> = lines.filter(|l| l["type"] == "case").collect();
    assert_eq!(out.status.code(), Some(0), "{text}");
    assert_eq!(cases.len(), TABLE.len(), "{text}");
    for ((file, scenario, branch, outcome, verdicts), case) in TABLE.iter().zip(&cases) {
        assert_eq!(case["file"], format!("{file}.twinml"), "{case}");
        assert_eq!(
            (case["scenario"].as_str(), case["branch"].as_str().unwrap_or("")),
            (Some(*scenario), *branch)
        );
        assert_eq!(case["outcome"], *outcome, "{case}");
        for wanted in verdicts.split(' ') {
            let (word, name) = (if wanted.starts_with('+') { "holds" } else { "violated" }, &wanted[1..]);
            let all = case["requirements"].as_array().unwrap();
            let found = all.iter().find(|r| r["name"] == name).unwrap_or_else(|| panic!("{name}: {case}"));
            assert_eq!(found["verdict"], word, "{scenario}: {found}");
        }
    }
}
