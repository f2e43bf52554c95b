//! The reference model of a production line against a second simulation of it, written apart from event to event
//! (`production_line/reference.py`), with the same random numbers: counts agree exactly, measures to rounding.
//!
//! It lies beside the project (`../shared/models`, or `$TWINML_SHARED/models`); without it the test passes with a
//! notice.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A scenario, parts sunk, levels of the buffers, and rate, lead, utilisation, blocked and mechanic in their units.
type Figures = (&'static str, u32, [u32; 3], [f64; 5]);

const FIGURES: [Figures; 2] = [
    (
        "three_shifts",
        1667,
        [9, 2, 1],
        [69.458_333_333_333, 27.902_156_735_951, 76.045_508_784_688, 15.168_943_697_263, 15.429_202_175_954],
    ),
    (
        "heavy_wear",
        1197,
        [499, 5, 1],
        [49.875, 209.077_508_290_36, 54.958_959_113_206, 24.584_563_261_955, 45.531_713_318_776],
    ),
];

#[test]
fn every_instant_is_that_of_a_second_simulation() {
    let shared = std::env::var_os("TWINML_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let model = shared.join("models/08_production_line.twinml");
    if !model.is_file() {
        println!("skipped: no reference model at {}", model.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (scenario, sunk, levels, measures) in FIGURES {
        let out = dir.path().join(format!("{scenario}.csv"));
        let ran = Command::new(env!("CARGO_BIN_EXE_twinc"))
            .args(["run", "--format", "json", "--no-plot", "--scenario", scenario, "--out"])
            .args([&out, &model])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        let said: Vec<Value> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        for (name, wanted) in ["rate", "lead", "utilisation", "blocked", "mechanic"].into_iter().zip(measures)
        {
            let kpi = said.iter().find(|v| v["type"] == "kpi" && v["name"] == name);
            let kpi = kpi.unwrap_or_else(|| panic!("{scenario}: no {name} in {text}"));
            let got = kpi["values"][0].as_f64().unwrap();
            assert!((got - wanted).abs() <= 1e-7 * wanted, "{scenario}: {name} is {got}, not {wanted}");
        }
        let table = fs::read_to_string(out).unwrap();
        let head: Vec<&str> = table.lines().next().unwrap().split(',').collect();
        let last: Vec<&str> = table.lines().last().unwrap().split(',').collect();
        let value = |name: &str| -> u32 {
            let k = head.iter().position(|h| *h == name).unwrap_or_else(|| panic!("no column `{name}`"));
            last[k].parse().unwrap()
        };
        assert_eq!(value("sink.n"), sunk, "{scenario}: parts");
        for (k, level) in levels.into_iter().enumerate() {
            assert_eq!(value(&format!("st[{k}].level")), level, "{scenario}: buffer {k}");
        }
    }
}
