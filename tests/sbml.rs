//! Reaction networks with known answers: the models of the SBML Test Suite sample, 412 without events and 53 with them,
//! each within the suite's own tolerance: `|ours − theirs| <= absolute + relative·|theirs|` at every row.
//!
//! The models lie beside the project (`../shared/sbml`, or `$TWINML_SHARED/sbml`); without that folder, or
//! without Python to translate them, the test says so and passes.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The translator writes no start for a quantity that a rule defines. Where a start formula reads such a quantity
/// (`S_amt = S*C` at the start, `S = S_amt/C` always), the value that the case gives it stands in its place. An event
/// that sets a concentration says so by `scale_at_execution`: the amount is the value times the volume from before the
/// event's own assignments. An event is a handler `on rising(trigger)`; several assignments are simultaneous.
const TRANSLATE: &str = r"
import glob, json, os, re, sys
sys.path.insert(0, sys.argv[1])
from to_twinml import translate
def started(text, known, rules, depth=0):
    def word(m):
        w = m.group(0)
        if w in rules and w in known and depth < 50:
            return '(' + started(known[w], known, rules, depth + 1) + ')'
        return w
    return re.sub(r'(?<![\w.])[A-Za-z_]\w*', word, text)
for f in sorted(glob.glob(sys.argv[1] + '/cases/*.json')):
    d = json.load(open(f))
    rules = {n for n, _ in d['definitions']}
    known = dict(d['initial'])
    kept = set(d['states']) | set(d['constants']) | set(d['discretes'])
    d['initial'] = [[n, started(x, known, rules) if n in kept else x] for n, x in d['initial']]
    for e in d['events']:
        for name, volume in e.get('scale_at_execution', {}).items():
            e['set'][name] = '(' + e['set'][name] + ')*(' + volume + ')'
        plain = e['initial_trigger'] and e['persistent'] and 'delay' not in e and 'priority' not in e
        assert plain, d['case'] + ': an event of a kind that is not translated'
    open(os.path.join(sys.argv[2], d['case'] + '.twinml'), 'w').write(translate(d))
";

fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("TWINML_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let sbml = root.join("sbml");
    sbml.is_dir().then_some(sbml)
}

#[test]
fn models_agree_with_the_suite() {
    let Some(sbml) = shared() else {
        eprintln!("skipped: no folder with the SBML cases beside the project");
        return;
    };
    let work = tempfile::tempdir().unwrap();
    let translated = Command::new("python3").args(["-c", TRANSLATE]).arg(&sbml).arg(work.path()).output();
    let Ok(translated) = translated else {
        eprintln!("skipped: no python3 to translate the SBML cases");
        return;
    };
    assert!(translated.status.success(), "{}", String::from_utf8_lossy(&translated.stderr));
    let mut cases: Vec<String> = std::fs::read_dir(work.path())
        .unwrap()
        .map(|f| f.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    cases.sort();
    assert!(cases.len() >= 465, "{} cases", cases.len());

    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let failures: Vec<String> = std::thread::scope(|s| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                s.spawn(|| {
                    let mut failed = Vec::new();
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(why) = judge(&sbml, work.path(), case) {
                            failed.push(format!("{case}: {why}"));
                        }
                    }
                    failed
                })
            })
            .collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    let mut failures = failures;
    failures.sort();
    eprintln!("{} of {} cases agree", cases.len() - failures.len(), cases.len());
    assert!(failures.is_empty(), "{} of {} disagree:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn judge(sbml: &Path, work: &Path, case: &str) -> Result<(), String> {
    let out = work.join(format!("{case}.out.csv"));
    let run = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .args(["run", "--color", "never", "--out"])
        .arg(&out)
        .arg(work.join(format!("{case}.twinml")))
        .output()
        .unwrap();
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        return Err(said.lines().take(4).collect::<Vec<_>>().join(" | "));
    }
    let spec: Value =
        serde_json::from_str(&std::fs::read_to_string(sbml.join(format!("cases/{case}.json"))).unwrap())
            .unwrap();
    let absolute = spec["tolerance"]["absolute"].as_f64().unwrap();
    let relative = spec["tolerance"]["relative"].as_f64().unwrap();
    let ours = Table::read(&out)?;
    let theirs = Table::read(&sbml.join(format!("results/{case}.csv")))?;
    let time = ours.column("time")?;
    for (name, expression) in spec["outputs"].as_object().unwrap() {
        let mine = if expression.as_str() == Some(name) { name.clone() } else { format!("out_{name}") };
        // A parameter is no result: its value is in the model.
        let Ok(column) = ours.column(&mine) else {
            if spec["constants"].as_array().unwrap().iter().any(|c| c.as_str() == Some(name)) {
                continue;
            }
            return Err(format!("no column {mine}"));
        };
        let want = theirs.column(name)?;
        for (k, t) in theirs.column("time")?.iter().enumerate() {
            // The row after the events of an instant is the last one of that time.
            let row = time.iter().rposition(|x| (x - t).abs() <= 1e-9 * t.abs().max(1.0));
            let row = row.ok_or_else(|| format!("no row at {t} s"))?;
            let (a, b) = (column[row], want[k]);
            let same = a == b || (a.is_nan() && b.is_nan());
            let close = (a - b).abs() <= absolute + relative * b.abs();
            if !same && !close {
                return Err(format!("{name} at {t} s: {a} instead of {b}"));
            }
        }
    }
    Ok(())
}

/// A CSV file of numbers.
struct Table {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
}

impl Table {
    fn read(file: &Path) -> Result<Table, String> {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut lines = text.lines();
        let names: Vec<String> = lines
            .next()
            .unwrap_or_default()
            .split(',')
            .map(|s| s.trim().trim_matches('"').to_owned())
            .collect();
        let mut columns = vec![Vec::new(); names.len()];
        for line in lines.filter(|l| !l.trim().is_empty()) {
            for (column, cell) in columns.iter_mut().zip(line.split(',')) {
                let cell = cell.trim();
                let number = match cell.to_ascii_lowercase().as_str() {
                    "true" => 1.0,
                    "false" => 0.0,
                    "inf" => f64::INFINITY,
                    "-inf" => f64::NEG_INFINITY,
                    _ => cell.parse().unwrap_or(f64::NAN),
                };
                column.push(number);
            }
        }
        Ok(Table { names, columns })
    }

    fn column(&self, name: &str) -> Result<&[f64], String> {
        // Results may carry a unit behind the name.
        let is = |n: &String| n == name || (name == "time" && n.eq_ignore_ascii_case(name));
        let at = self.names.iter().position(is);
        at.map(|k| self.columns[k].as_slice()).ok_or_else(|| format!("no column {name}"))
    }
}
