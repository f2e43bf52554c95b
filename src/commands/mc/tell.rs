//! What a job has found, for people and as objects.

use std::path::Path;

use serde::Serialize;
use twinml_engine::ensemble::interval::Ranks;
use twinml_engine::ensemble::outcome::Status;
use twinml_engine::record::file::write_atomic;
use twinml_engine::run::{Apart, LaneShare};

use super::finish::Written;
use super::fold::{CONFIDENCE, Fold, Means, Verdicts};
use super::job::Identity;
use super::outside;
use super::place::Place;
use crate::commands::junit;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{self, VERSION};
use crate::ui::numbers::{count, counted, short};

/// From this part of all steps on, those that runs took by themselves are told of.
const TELLING: f64 = 0.005;

/// How the runs were computed.
pub(super) fn say_lanes(share: &LaneShare, ui: &Ui) {
    let (level, why) = (share.level(), share.why().map(|w| w.to_string()));
    let steps = share.steps();
    let part = steps.alone as f64 / steps.all.max(1) as f64;
    let because = |why: Apart| match why {
        Apart::Method => "their solver turned to a method that goes alone",
        Apart::Loop => "a loop of equations took many corrections or was followed",
        Apart::Other => "they were none for many at a time",
    };
    let apart = steps.why.filter(|_| level.is_some()).map(because);
    match (level, &why, apart) {
        (Some(_), _, Some(apart)) if steps.alone == steps.all => {
            ui.step("Computed", &format!("each run by itself: {apart}"), None);
        }
        (Some(level), _, Some(apart)) if part >= TELLING => {
            let part = short(100.0 * part, 2);
            let line = format!("many runs at a time ({level}), {part} % of the steps by themselves: {apart}");
            ui.step("Computed", &line, None);
        }
        (Some(level), ..) => ui.step("Computed", &format!("many runs at a time ({level})"), None),
        (None, Some(why), _) => ui.step("Computed", &format!("each run by itself: {why}"), None),
        (None, None, _) => {}
    }
    let (steps, alone) = (steps.all, steps.alone);
    ui.object(&Lanes { kind: "mc_lanes", version: VERSION, level, why, steps, alone, apart });
}

/// What was found, for people and as objects.
pub(super) fn tell(
    identity: &Identity,
    fold: &Fold,
    written: &Written,
    junit: Option<&Path>,
    folder: &Place,
    complete: bool,
    ui: &Ui,
) -> Result<Exit, Exit> {
    let means = fold.means(identity.sequential());
    let width = fold.verdicts.iter().map(|v| v.demand.name.chars().count()).max().unwrap_or(0);
    let mut ranks = Ranks::new(CONFIDENCE);
    for (k, v) in fold.verdicts.iter().enumerate() {
        let word = v.verdict(means).map_or("not evaluated", |w| w.as_str());
        let line = format!("{:width$}  {word:12}  {}", v.demand.name, said(v, means));
        ui.result(if k == 0 { "Verdict" } else { "" }, line.trim_end(), None);
        let mut facts = v.facts(means, &mut ranks);
        facts["type"] = serde_json::json!("mc_verdict");
        facts["version"] = serde_json::json!(VERSION);
        ui.object(&facts);
    }
    let failed = fold.statuses[Status::Failed as usize];
    if failed > 0 {
        let codes: Vec<String> = fold.codes.iter().map(|(c, n)| format!("{} {c}", count(*n))).collect();
        ui.result("Failed", &format!("{}: {}", counted(failed, "run"), codes.join(", ")), None);
        if let Some((run, _, message)) = fold.failed.first() {
            ui.result("", &format!("`twinc replay {}#{run}`: {message}", folder.shown()), None);
        }
    }
    let exit = fold.exit(means);
    ui.object(&Finished {
        kind: "mc_finished",
        version: VERSION,
        runs: fold.runs,
        failed,
        complete,
        exit: exit.code(),
    });
    let mut names = "runs.parquet, summary.json, report.html".to_owned();
    if !identity.record.is_empty() {
        names.push_str(", traces");
    }
    ui.result("Written", &format!("{}: {names}", folder.shown()), None);
    ui.object(&json::Written { rows: Some(written.rows), ..json::Written::file(&written.runs, "result") });
    ui.object(&json::Written::file(&written.summary, "summary"));
    ui.object(&json::Written::file(&written.report, "report"));
    if let Some(path) = junit {
        let text = junit::of_job(identity, fold, means);
        write_atomic(path, text.as_bytes()).map_err(|e| outside(ui, &e))?;
        ui.object(&json::Written::file(path, "junit"));
    }
    Ok(exit)
}

/// `probability 0.9991 (0.998 to 0.9997 with 95 %), wanted >= 0.99`
fn said(v: &Verdicts, means: Means) -> String {
    let d = &v.demand;
    if !d.judged {
        return String::new();
    }
    let mut text = match d.claim {
        _ if v.unjudged() => format!("nothing to judge: {} failed", counted(v.counts.failed, "run")),
        Some(c) => {
            let i = v.interval(means);
            format!(
                "probability {} ({} to {} with {} %), wanted {} {}",
                short(v.share(), 5),
                short(i.lo, 4),
                short(i.hi, 4),
                short(c.confidence * 100.0, 4),
                if c.at_least { ">=" } else { "<=" },
                short(c.probability, 6),
            ) + &v
                .decided
                .map_or(String::new(), |(_, runs)| format!(", decided after {}", counted(runs, "run")))
        }
        None => {
            let c = v.counts;
            let all = c.holds + c.violated + c.inconclusive + c.failed;
            match c.failed {
                0 => format!("in {} of {}", count(c.holds), counted(all, "run")),
                failed => {
                    format!(
                        "holds in {} of {}, {} failed",
                        count(c.holds),
                        counted(all, "run"),
                        count(failed)
                    )
                }
            }
        }
    };
    if d.refuted {
        text.push_str(", expected not to hold");
    }
    if let Some((run, _)) = v.worst.filter(|w| w.1.is_nan()) {
        text.push_str(&format!("; violated first in run {run}"));
    }
    if let Some((run, r)) = v.worst.filter(|w| w.1.is_finite()) {
        let unit = if d.unit.is_empty() { String::new() } else { format!(" {}", d.unit) };
        text.push_str(&format!("; worst {}{unit} in run {run}", short(r, 3)));
    }
    text
}

/// How runs were computed side by side.
#[derive(Serialize, Debug)]
struct Lanes {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    level: Option<&'static str>,
    why: Option<String>,
    steps: u64,
    alone: u64,
    apart: Option<&'static str>,
}

/// A job has ended.
#[derive(Serialize, Debug)]
struct Finished {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    runs: u64,
    failed: u64,
    complete: bool,
    exit: u8,
}
