//! Classical problems, written in TwinML, with `auto` at rtol 1e-8: six digits against references that were
//! computed independently (`tests/accuracy/generate.py`) or published.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Where six digits are not to be had at rtol 1e-8 even by scipy's DOP853 or Radau (ill-conditioned
/// problems): the largest relative error allowed, ten times that of the better of these at the same
/// tolerances.
const ILL_CONDITIONED: &[(&str, f64)] = &[
    // against the scale 1e-6 of the values that return to zero: Radau 0.21, DOP853 69
    ("arenstorf", 2.1),
];

/// Components smaller than this fraction of the largest one are judged against that one: their own digits
/// are below the absolute tolerance.
const NEGLIGIBLE: f64 = 1e-4;

fn judge(file: &str, scenario: &str, spec: &Value) -> Result<f64, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let work = tempfile::tempdir().unwrap();
    let out = work.path().join("out.csv");
    let run = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .args(["run", "--color", "never", "--scenario", scenario, "--out"])
        .arg(&out)
        .arg(root.join("tests/accuracy").join(file))
        .output()
        .unwrap();
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into_owned());
    }
    let text = std::fs::read_to_string(&out).map_err(|e| e.to_string())?;
    let mut lines = text.lines();
    let head = csv_cells(lines.next().unwrap());
    let last: Vec<f64> =
        csv_cells(lines.next_back().unwrap()).iter().map(|c| c.parse().unwrap_or(f64::NAN)).collect();
    let values = spec["values"].as_object().unwrap();
    let atol = spec["atol"].as_f64().unwrap();
    let mut worst = 0.0f64;
    for (name, want) in values {
        let want = want.as_f64().unwrap();
        let at =
            head.iter().position(|h| h == name).ok_or_else(|| format!("no column {name} in {head:?}"))?;
        let error = (last[at] - want).abs();
        // Digits below the absolute tolerance are not asked for.
        let scale = want.abs().max(atol / 1e-8 * NEGLIGIBLE);
        if !error.is_finite() {
            return Err(format!("{name} is {}", last[at]));
        }
        worst = worst.max(error / scale);
    }
    Ok(worst)
}

/// Cells of a CSV line, with quotes.
fn csv_cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

#[test]
fn six_digits_on_classical_problems() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let references = std::fs::read_to_string(root.join("tests/accuracy/references.json")).unwrap();
    let references: Value = serde_json::from_str(&references).unwrap();
    let mut failures = Vec::new();
    for (name, spec) in references.as_object().unwrap() {
        let file = match name.as_str() {
            n if n.starts_with("detest") => "detest.twinml",
            "pleiades" | "arenstorf" => "celestial.twinml",
            "robertson" | "hires" | "pollution" | "van_der_pol" | "oregonator" | "e5" | "medical_akzo"
            | "ring_modulator" => "stiff.twinml",
            "emep" => "emep.twinml",
            "van_der_pol_1e6" | "beam" | "plate" | "stiff_b1" | "stiff_b3" | "stiff_e1" | "stiff_e4"
            | "stiff_f1" | "stiff_f3" | "stiff_f4" | "stiff_f5" => "more_stiff.twinml",
            "andrews" | "car_axis" | "two_transistors" | "fekete" => "constrained.twinml",
            "stiff_b5" => "further.twinml",
            "stiff_swing" => "stiff_swing.twinml",
            n if n.starts_with("stiff_") || n == "figure_eight" => "stiff_detest.twinml",
            _ => "further.twinml",
        };
        let allowed = ILL_CONDITIONED.iter().find(|x| x.0 == name).map_or(1e-6, |x| x.1);
        match judge(file, name, spec) {
            Ok(error) => {
                eprintln!("{name:16} {error:9.2e}");
                if error > allowed {
                    failures.push(format!("{name}: relative error {error:.2e}, allowed {allowed:.1e}"));
                }
            }
            Err(why) => failures.push(format!("{name}: {why}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
