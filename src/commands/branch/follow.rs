//! How branches came out, and what they changed.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use twinml_engine::record;
use twinml_engine::run::Ended;

use super::call::Made;
use super::ensemble::{Done, Task};
use crate::commands::diff::{quantities, side::Side};
use crate::commands::job;
use crate::commands::run::Ran;
use crate::commands::{summary, verdict};
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::numbers::instant;

/// Changed quantities that people are shown of a branch.
const LINES: usize = 6;

/// How a branch came out.
pub struct Out {
    /// What it ends with.
    pub exit: Exit,
    /// In a line.
    pub line: String,
    /// How it ended, in a word.
    pub ended: &'static str,
    /// Why it failed.
    pub message: Option<String>,
    /// What it says of its requirements.
    pub verdicts: Vec<Value>,
    /// Whether its steps were computed with those of others.
    pub lanes: bool,
    /// What it changed, where that was followed.
    pub changed: Option<Vec<Change>>,
}

/// A quantity that a branch changed.
#[derive(Serialize)]
pub struct Change {
    /// Its path.
    pub name: String,
    /// Its unit; empty where there is none.
    pub unit: String,
    /// Where it first differs: time and both values.
    pub first: Value,
    /// Where it differs most.
    pub most: Value,
    #[serde(skip)]
    pub line: String,
}

/// Writes what is beside a result, with what does it again, and says how the run came out.
pub fn finish<'t>(
    task: &'t Task<'_>,
    done: Done,
    made: &Made,
    again: summary::Again<'_>,
    ui: &Ui,
) -> Result<(Ran<'t>, Out), Exit> {
    let Done { report, files, events, lanes } = done;
    let said = verdict::of(&task.experiment, &report);
    let exit = job::outcome(&report, false);
    let exit = [exit, verdict::exit(&said)].into_iter().max_by_key(|e| e.weight()).unwrap_or(exit);
    let (ended, message) = match &report.ended {
        Ended::Failed(f) => ("failed", Some(f.to_string())),
        Ended::Stopped => ("interrupted", None),
        Ended::Range => ("range", None),
        Ended::Halted(_) => ("halted", None),
        Ended::Decided => ("decided", None),
        Ended::Complete => ("complete", None),
    };
    let mut line = format!("{ended} at {}", instant(report.time));
    if let Some(message) = &message {
        line.push_str(&format!(" ({message})"));
    }
    let verdicts = verdict::lines(&said);
    if !verdicts.is_empty() {
        line.push_str(&format!("; {}", verdicts.join("; ")));
    }
    let facts = said.iter().map(verdict::Verdict::facts).collect();
    let ran = Ran {
        branch: None,
        experiment: &task.experiment,
        plans: task.plans.clone(),
        files,
        thinned: None,
        events,
        snapshots: Vec::new(),
        report,
        over_time: false,
        exit,
    };
    let text = summary::document(&made.job.ready, std::slice::from_ref(&ran), made.si(), again, ui)?;
    record::file::write_atomic(&task.place.join("summary.json"), text.as_bytes()).map_err(|e| {
        ui.error(&e.to_string(), None);
        Exit::Outside
    })?;
    Ok((ran, Out { exit, line, ended, message, verdicts: facts, lanes, changed: None }))
}

/// The quantities that a branch changed, the first to change first.
pub fn follow(base: &Path, place: &Path, ui: &Ui) -> Result<Vec<Change>, Exit> {
    let outside = |message: String| {
        ui.error(&message, None);
        Exit::Outside
    };
    let (a, b) = (Side::open(base).map_err(outside)?, Side::open(place).map_err(outside)?);
    let compared = quantities::compare(&a, &b, |_| true).map_err(|e| outside(e.to_string()))?;
    let change = |d: &quantities::Different| Change {
        name: d.name.clone(),
        unit: d.unit.clone(),
        first: d.object(d.apart.first),
        most: d.object(d.apart.most),
        line: d.line(d.apart.first),
    };
    Ok(compared.different.iter().map(change).collect())
}

/// What people are told of what changed.
pub fn tell(changed: Option<&[Change]>, ui: &Ui) {
    let Some(changed) = changed else { return };
    if changed.is_empty() {
        ui.result("Changed", "nothing that is recorded", None);
    }
    for (k, change) in changed.iter().take(LINES).enumerate() {
        ui.result(if k == 0 { "Changed" } else { "" }, &change.line, None);
    }
    if changed.len() > LINES {
        ui.result("", &format!("and {} more", changed.len() - LINES), None);
    }
}
