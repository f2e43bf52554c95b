//! `twinc mc merge DIR`: shards become one job.

use std::io::ErrorKind;
use std::ops::Range;

use super::finish::Writer;
use super::place::Place;
use super::tell::tell;
use super::{job, outside, parts, place, refuse, worst};
use crate::args::Merge;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::numbers::counted;
use crate::world;

/// A shard that lies on disk.
struct Found {
    folder: Place,
    file: job::File,
    runs: Range<u32>,
}

/// Puts the shards of a folder together.
pub fn run(args: &Merge, ui: &Ui) -> Result<Exit, Exit> {
    let place = place(&args.dir, ui)?;
    let shown = place.shown();
    let folders = place.folders().map_err(|e| outside(ui, &format!("could not read `{shown}`: {e}")))?;
    let mut found = Vec::new();
    for name in folders {
        let folder = place.join(&name);
        let bytes = match folder.read(job::FILE) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(outside(ui, &format!("could not read `{}`: {e}", folder.shown()))),
        };
        let Ok(file) = serde_json::from_slice::<job::File>(&bytes) else {
            let path = world::shown(&folder.path(job::FILE));
            return Err(refuse(ui, &format!("`{path}` is not of this version"), None));
        };
        let Some(shard) = file.shard else { continue };
        let runs = shard.runs(file.identity.samples);
        found.push(Found { folder, file, runs });
    }
    found.sort_by_key(|f| (f.runs.start, f.runs.end));
    let Some(first) = found.first() else {
        let help = "shards are made by `twinc mc FILE --shard 1/16 --out DIR`";
        return Err(refuse(ui, &format!("there are no shards in `{shown}`"), Some(help)));
    };
    let identity = first.file.identity.clone();
    let mut at = 0;
    for f in &found {
        if let Some(why) = f.file.identity.apart(&identity) {
            let message =
                format!("`{}` is of another job than `{}`: {why}", f.folder.shown(), first.folder.shown());
            return Err(refuse(
                ui,
                &message,
                Some("shards belong together where model, scenario and flags are the same"),
            ));
        }
        if f.runs.start > at && !f.runs.is_empty() {
            return Err(incomplete(ui, at, f.runs.start));
        }
        if f.runs.start < at && !f.runs.is_empty() {
            let message =
                format!("`{}` has runs that another shard has too, from {}", f.folder.shown(), f.runs.start);
            return Err(refuse(ui, &message, Some("take one of the two folders away")));
        }
        at = at.max(f.runs.end);
    }
    if at != identity.samples {
        return Err(incomplete(ui, at, identity.samples));
    }
    let mut writer = Writer::open(&identity, &place).map_err(|e| outside(ui, &e))?;
    let mut error = None;
    for f in &found {
        let reached = parts(&f.folder, &identity).replay(f.runs.clone(), &mut |part| {
            for o in &part {
                if error.is_none() {
                    error = writer.take(o).err();
                }
            }
        });
        let reached = reached
            .map_err(|e| outside(ui, &format!("could not read the parts of `{}`: {e}", f.folder.shown())))?;
        if let Some(e) = error.take() {
            return Err(outside(ui, &e));
        }
        if reached != f.runs.end {
            let message = format!("`{}` is not finished: run {reached} is missing", f.folder.shown());
            return Err(refuse(ui, &message, Some("let this shard go on with `--resume`")));
        }
    }
    // The facts of the whole job stand beside its results, so that its samples can be replayed.
    let own = job::File { shard: None, ..first.file.clone() };
    let text = serde_json::to_string_pretty(&own).unwrap_or_default() + "\n";
    place.write(job::FILE, text.as_bytes()).map_err(|e| outside(ui, &e))?;
    let folders: Vec<Place> = found.iter().map(|f| f.folder.clone()).collect();
    let traces = worst::merged(&folders, &writer.fold.verdicts);
    let (fold, written) = writer.finish(true, &traces).map_err(|e| outside(ui, &e))?;
    ui.result(
        "Merged",
        &format!("{} of {}", counted(found.len() as u64, "shard"), counted(fold.runs, "run")),
        None,
    );
    tell(&identity, &fold, &written, args.junit.as_deref(), &place, true, ui)
}

fn incomplete(ui: &Ui, from: u32, to: u32) -> Exit {
    let message = format!("runs {from} to {} are in no shard", to.saturating_sub(1));
    refuse(ui, &message, Some("run the shards that are missing, into the same folder"))
}
