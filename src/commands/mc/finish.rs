//! From outcomes to results: `runs.parquet`, `summary.json`, `report.html`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use twinml_engine::ensemble::outcome::Outcome;
use twinml_engine::record::{self, RecordError, Recorder};

use super::fold::{Fold, Means};
use super::job::Identity;
use super::place::Place;
use super::report;
use super::worst::Worst;
use crate::ui::json::VERSION;

/// The traces of all samples.
const TRACES: &str = "traces/traces-00000.parquet";

/// The other files.
const RUNS: &str = "runs.parquet";
const SUMMARY: &str = "summary.json";
const REPORT: &str = "report.html";

/// Writes results as outcomes come, in the order of their indices.
pub struct Writer<'a> {
    identity: &'a Identity,
    place: &'a Place,
    recorder: Box<dyn Recorder>,
    /// Where traces go, and the cells of a row.
    traces: Option<(Box<dyn Recorder>, usize)>,
    row: Vec<f64>,
    /// All of them together.
    pub fold: Fold,
}

/// The files of a finished job.
pub struct Written {
    /// The table of runs.
    pub runs: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// The summary.
    pub summary: PathBuf,
    /// The report.
    pub report: PathBuf,
}

impl<'a> Writer<'a> {
    /// Begins the files of a job.
    ///
    /// # Errors
    ///
    /// Where the table cannot be made.
    pub fn open(identity: &'a Identity, place: &'a Place) -> Result<Writer<'a>, RecordError> {
        let columns = identity.layout.columns()?;
        let settings = identity.settings.join("; ");
        let metadata = [
            ("twinml.model_hash", identity.model_hash.clone()),
            ("twin", identity.twin.clone()),
            ("scenario", identity.scenario.clone()),
            ("seed", identity.seed.to_string()),
            ("samples", identity.samples.to_string()),
            ("sampler", identity.sampler.clone()),
            ("solver", identity.solver.to_string()),
            ("settings", settings),
            ("compiler", identity.compiler.clone()),
            ("parameters", identity.parameters.to_string()),
        ];
        let metadata = metadata.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let folder = place.local();
        let recorder = record::open(&folder.join(RUNS), columns, &metadata)?;
        let layout = &identity.layout;
        let traces = match layout.trace.is_empty() {
            true => None,
            false => {
                let recorder = record::open(&folder.join(TRACES), layout.trace_columns()?, &metadata)?;
                Some((recorder, layout.trace_width()))
            }
        };
        let mut fold = Fold::new(&identity.layout, identity.sampler(), identity.until.parse().unwrap_or(1.0));
        if let Some(zone) = identity.zone() {
            fold.test(zone);
        }
        Ok(Writer { identity, place, recorder, traces, row: Vec::new(), fold })
    }

    /// Takes the next outcome.
    ///
    /// # Errors
    ///
    /// Where the table cannot be written.
    pub fn take(&mut self, o: &Outcome) -> Result<(), RecordError> {
        self.identity.layout.row(o, &mut self.row);
        self.recorder.row(&self.row)?;
        if let Some((recorder, width)) = &mut self.traces {
            for row in o.trace.chunks_exact(*width) {
                self.row.clear();
                self.row.push(f64::from(o.run));
                self.row.extend(row);
                recorder.row(&self.row)?;
            }
        }
        self.fold.take(o);
        Ok(())
    }

    /// Completes the files; `worst`: the worst run of each requirement over time, for the report.
    ///
    /// # Errors
    ///
    /// Where one cannot be written.
    pub fn finish(self, complete: bool, worst: &[Worst]) -> Result<(Fold, Written), RecordError> {
        let rows = self.recorder.finish()?.rows;
        self.place.publish(RUNS)?;
        if let Some((recorder, _)) = self.traces {
            recorder.finish()?;
            self.place.publish(TRACES)?;
        }
        let means = self.fold.means(self.identity.sequential());
        let facts = document(self.identity, &self.fold, means, complete);
        // A tree of strings and numbers always serialises.
        let text = serde_json::to_string_pretty(&facts).unwrap_or_default() + "\n";
        self.place.write(REPORT, report::page(self.identity, &self.fold, means, worst).as_bytes())?;
        self.place.write(SUMMARY, text.as_bytes())?;
        let path = |name: &str| self.place.path(name);
        let written = Written { runs: path(RUNS), rows, summary: path(SUMMARY), report: path(REPORT) };
        Ok((self.fold, written))
    }
}

/// `summary.json`: no wall-clock value, path or number of threads is in it, so that equal jobs have equal summaries.
fn document(identity: &Identity, fold: &Fold, means: Means, complete: bool) -> Value {
    let mut out = Map::new();
    out.insert("type".into(), json!("mc_summary"));
    out.insert("version".into(), json!(VERSION));
    for (name, value) in [
        ("twin", json!(identity.twin)),
        ("scenario", json!(identity.scenario)),
        ("model_hash", json!(identity.model_hash)),
        ("compiler", json!(identity.compiler)),
        ("seed", json!(identity.seed)),
        ("samples", json!(identity.samples)),
        ("sampler", json!(identity.sampler)),
        ("until_ci", json!(identity.until_ci.as_ref().and_then(|w| w.parse::<f64>().ok()))),
        ("sprt", json!(identity.zone())),
        ("solver", identity.solver.clone()),
        ("until", json!(identity.until.parse::<f64>().ok())),
        ("settings", json!(identity.settings)),
        ("parameters", identity.parameters.clone()),
        ("complete", json!(complete)),
    ] {
        out.insert(name.into(), value);
    }
    fold.facts(means, &mut out);
    Value::Object(out)
}
