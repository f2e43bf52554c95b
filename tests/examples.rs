//! The examples give what their equations say: each `expected.csv` holds values from closed forms or from an
//! independent integration (`twinml-examples/reference.py`), and the binary must reproduce them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A line of an `expected.csv`.
struct Expected {
    time: f64,
    column: String,
    value: f64,
    tolerance: f64,
}

/// Columns of a result file by name, in the units that people see.
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Table {
    fn read(path: &Path) -> Table {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let names = lines.next().unwrap().split(',').map(str::to_owned).collect();
        // Text, the names of states, is no number that could be expected.
        let cell = |x: &str| match x {
            "true" => 1.0,
            "false" => 0.0,
            x => x.parse().unwrap_or(f64::NAN),
        };
        let rows = lines.map(|l| l.split(',').map(cell).collect()).collect();
        Table { names, rows }
    }

    /// The value at a recorded instant; before its events where there are any.
    fn at(&self, time: f64, column: &str) -> f64 {
        let k = self.names.iter().position(|n| n == column).unwrap_or_else(|| panic!("no column `{column}`"));
        let row = self.rows.iter().find(|r| r[0] == time).unwrap_or_else(|| panic!("no row at {time} s"));
        row[k]
    }
}

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("twinml-examples");
    let mut all: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    all.sort();
    all
}

/// The one model of an example.
fn model(example: &Path) -> PathBuf {
    let files = fs::read_dir(example).unwrap().map(|e| e.unwrap().path());
    let mut models: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|x| x == "twinml")).collect();
    assert_eq!(models.len(), 1, "{}: one model each", example.display());
    models.remove(0)
}

fn expected(example: &Path) -> BTreeMap<String, Vec<Expected>> {
    let text = fs::read_to_string(example.join("expected.csv")).unwrap();
    let mut by_scenario: BTreeMap<String, Vec<Expected>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        // A column may hold a comma only in brackets of a matrix, which no example records.
        let [scenario, time, column, value, tolerance] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("five fields: {line}");
        };
        by_scenario.entry(scenario.to_owned()).or_default().push(Expected {
            time: time.parse().unwrap(),
            column: column.to_owned(),
            value: value.parse().unwrap(),
            tolerance: tolerance.parse().unwrap(),
        });
    }
    by_scenario
}

#[test]
fn every_example_gives_its_expected_result() {
    let examples = examples();
    assert!(examples.len() >= 13, "real systems of many kinds");
    let out = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for example in &examples {
        let name = example.file_name().unwrap().to_str().unwrap();
        for (scenario, expected) in expected(example) {
            let file = out.path().join(format!("{name}-{scenario}.csv"));
            let ran = Command::new(env!("CARGO_BIN_EXE_twinc"))
                .arg("run")
                .arg(model(example))
                .args(["--scenario", &scenario, "--out"])
                .arg(&file)
                .output()
                .unwrap();
            let stderr = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{name} {scenario}: {stderr}");
            assert!(!stderr.contains("Warning"), "an example warns of nothing: {stderr}");
            let table = Table::read(&file);
            for e in expected {
                let got = table.at(e.time, &e.column);
                let off = (got - e.value).abs();
                if off.is_nan() || off > e.tolerance {
                    wrong.push(format!(
                        "{name} {scenario}: {} at {} s is {got}, expected {} within {}",
                        e.column, e.time, e.value, e.tolerance
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_has_its_sources_and_a_plot() {
    for example in examples() {
        let readme = fs::read_to_string(example.join("README.md")).unwrap();
        assert!(readme.contains("Source"), "{}: where the model comes from", example.display());
        assert!(readme.contains("](plot.svg)"), "{}: the plot is shown", example.display());
        let plot = fs::read_to_string(example.join("plot.svg")).unwrap();
        assert!(plot.starts_with("<svg") && plot.contains("<path"));
    }
}
