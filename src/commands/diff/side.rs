//! One of the two that are compared: its files, its log of events, what its summary says.

use std::path::{Path, PathBuf};

use serde_json::Value;
use twinml_engine::data::{DataError, Frame};
use twinml_engine::timeline::decisions::Event;

use crate::commands::plot;
use crate::world;

/// A summary that is larger is none of ours.
const LONGEST_SUMMARY: u64 = 256 << 20;

/// A run that is compared.
pub struct Side {
    /// As it is shown.
    pub shown: String,
    /// Its results, one for each rate.
    pub frames: Vec<Frame>,
    /// Its events, in the order of the log.
    pub events: Vec<Event>,
    /// What its summary says of it, where there is one.
    pub section: Option<Value>,
    /// The branch that it is; none for a trunk.
    pub branch: Option<String>,
    /// The hash of its model, where it says so.
    pub model: Option<String>,
}

impl Side {
    /// Opens a result, with what its summary says of it, or the run that a folder has.
    ///
    /// # Errors
    ///
    /// What is wrong, in a sentence.
    pub fn open(path: &Path) -> Result<Side, String> {
        let name = world::shown(path);
        let is_folder = path.is_dir();
        let folder =
            if is_folder { path.to_owned() } else { path.parent().map(Path::to_owned).unwrap_or_default() };
        let mut side = Side {
            shown: name.clone(),
            frames: Vec::new(),
            events: Vec::new(),
            section: None,
            branch: None,
            model: None,
        };
        if is_folder {
            let summary = summary(&folder.join("summary.json"))?;
            let summary =
                summary.ok_or_else(|| format!("`{name}` has no `summary.json`: it is no folder of a run"))?;
            for file in files(&summary) {
                side.frames.push(plot::open(&folder.join(file))?);
            }
            if side.frames.is_empty() {
                return Err(format!("the run in `{name}` recorded nothing"));
            }
            side.take(&folder, summary)?;
        } else {
            side.frames.push(plot::open(path)?);
            let own = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            for path in summaries(&folder) {
                if let Some(section) = summary(&path)?.and_then(|s| section_of(s, &own)) {
                    side.take(&folder, section)?;
                    break;
                }
            }
        }
        let facts = side.frames[0].metadata().map_err(|e| e.to_string())?;
        side.model = facts.into_iter().find(|(k, _)| k == "twinml.model_hash").map(|(_, v)| v);
        Ok(side)
    }

    fn take(&mut self, folder: &Path, section: Value) -> Result<(), String> {
        self.branch = section["name"].as_str().map(str::to_owned);
        if let Some(log) = section["event_log"]["path"].as_str().and_then(plain) {
            self.events = events(&plot::open(&folder.join(log))?).map_err(|e| e.to_string())?;
        }
        self.section = Some(section);
        Ok(())
    }

    /// A name without the branch before it.
    pub fn bare<'n>(&self, name: &'n str) -> &'n str {
        let branch = self.branch.as_deref().and_then(|b| name.strip_prefix(b)?.strip_prefix('/'));
        branch.unwrap_or(name)
    }
}

/// The summaries of a folder: of a run, and of those that go on from snapshots, `summary@600s.json`.
fn summaries(folder: &Path) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(here).into_iter().flatten().flatten().map(|e| e.file_name());
    let is = |name: &str| name.starts_with("summary@") && name.ends_with(".json");
    let mut all: Vec<String> = names.filter_map(|n| n.into_string().ok()).filter(|n| is(n)).collect();
    all.sort_unstable();
    all.insert(0, "summary.json".to_owned());
    all.into_iter().map(|name| folder.join(name)).collect()
}

/// A summary of a run, where there is one.
fn summary(path: &Path) -> Result<Option<Value>, String> {
    let Ok(bytes) = world::read_up_to(path, LONGEST_SUMMARY) else { return Ok(None) };
    let summary: Value = serde_json::from_slice(&bytes)
        .map_err(|e| format!("`{}` is not what a run writes: {e}", world::shown(path)))?;
    match summary["type"].as_str() {
        Some("summary") => Ok(Some(summary)),
        _ => Ok(None),
    }
}

/// A file's name that leads nowhere else.
fn plain(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(name);
    (path.file_name() == Some(path.as_os_str())).then_some(path)
}

fn files(section: &Value) -> Vec<PathBuf> {
    let files = section["files"].as_array().map_or(&[][..], Vec::as_slice);
    files.iter().filter_map(|f| f["path"].as_str().and_then(plain)).collect()
}

/// The trunk or the branch that wrote a file.
fn section_of(mut summary: Value, file: &str) -> Option<Value> {
    let wrote = |s: &Value| files(s).iter().any(|f| f.as_os_str() == file);
    if wrote(&summary) {
        return Some(summary);
    }
    let branches = summary["branches"].as_array_mut()?;
    let k = branches.iter().position(wrote)?;
    Some(branches.swap_remove(k))
}

fn events(frame: &Frame) -> Result<Vec<Event>, DataError> {
    let mut out: Vec<Event> = Vec::new();
    frame.scan("time", |_, _, time| {
        out.push(Event {
            time,
            path: String::new(),
            event: String::new(),
            kind: String::new(),
            post: f64::NAN,
        });
    })?;
    let at = |out: &mut Vec<Event>, row: u64, set: &mut dyn FnMut(&mut Event)| {
        if let Some(event) = out.get_mut(row as usize) {
            set(event);
        }
    };
    frame.scan_texts("path", |row, _, text| at(&mut out, row, &mut |e| e.path = text.to_owned()))?;
    frame.scan_texts("event", |row, _, text| at(&mut out, row, &mut |e| e.event = text.to_owned()))?;
    frame.scan_texts("kind", |row, _, text| at(&mut out, row, &mut |e| e.kind = text.to_owned()))?;
    frame.scan("post", |row, _, post| at(&mut out, row, &mut |e| e.post = post))?;
    // A run that is continued, or a log that was edited, may be out of order: what follows needs it.
    out.sort_by(|x, y| x.time.total_cmp(&y.time));
    Ok(out)
}
