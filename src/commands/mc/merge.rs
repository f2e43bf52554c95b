//! `twinc mc merge DIR`: shards become one job.

use std::ops::Range;
use std::path::PathBuf;

use super::finish::Writer;
use super::{job, outside, parts, refuse, tell, worst};
use crate::args::Merge;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::numbers::counted;
use crate::world;

/// A shard that lies on disk.
struct Found {
    folder: PathBuf,
    file: job::File,
    runs: Range<u32>,
}

/// Puts the shards of a folder together.
pub fn run(args: &Merge, ui: &Ui) -> Result<Exit, Exit> {
    let shown = world::shown(&args.dir);
    let folders =
        world::folders(&args.dir).map_err(|e| outside(ui, &format!("could not read `{shown}`: {e}")))?;
    let mut found = Vec::new();
    for folder in folders {
        let path = job::path(&folder);
        let Ok(bytes) = world::read(&path) else { continue };
        let Ok(file) = serde_json::from_slice::<job::File>(&bytes) else {
            return Err(refuse(ui, &format!("`{}` is not of this version", world::shown(&path)), None));
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
        if f.file.identity != identity {
            let message = format!(
                "`{}` is of another job than `{}`",
                world::shown(&f.folder),
                world::shown(&first.folder)
            );
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
            let message = format!(
                "`{}` has runs that another shard has too, from {}",
                world::shown(&f.folder),
                f.runs.start
            );
            return Err(refuse(ui, &message, Some("take one of the two folders away")));
        }
        at = at.max(f.runs.end);
    }
    if at != identity.samples {
        return Err(incomplete(ui, at, identity.samples));
    }
    let mut writer = Writer::open(&identity, &args.dir).map_err(|e| outside(ui, &e))?;
    let mut error = None;
    for f in &found {
        let reached = parts(&f.folder, &identity).replay(f.runs.clone(), &mut |part| {
            for o in &part {
                if error.is_none() {
                    error = writer.take(o).err();
                }
            }
        });
        if let Some(e) = error.take() {
            return Err(outside(ui, &e));
        }
        if reached != f.runs.end {
            let message = format!("`{}` is not finished: run {reached} is missing", world::shown(&f.folder));
            return Err(refuse(ui, &message, Some("let this shard go on with `--resume`")));
        }
    }
    // The facts of the whole job stand beside its results, so that its samples can be replayed.
    let own = job::File { shard: None, ..first.file.clone() };
    let text = serde_json::to_string_pretty(&own).unwrap_or_default() + "\n";
    twinml_engine::record::file::write_atomic(&job::path(&args.dir), text.as_bytes())
        .map_err(|e| outside(ui, &e))?;
    let folders: Vec<PathBuf> = found.iter().map(|f| f.folder.clone()).collect();
    let traces = worst::merged(&folders, &writer.fold.verdicts);
    let (fold, written) = writer.finish(true, &traces).map_err(|e| outside(ui, &e))?;
    ui.result(
        "Merged",
        &format!("{} of {}", counted(found.len() as u64, "shard"), counted(fold.runs, "run")),
        None,
    );
    tell(&identity, &fold, &written, args.junit.as_deref(), &args.dir, true, ui)
}

fn incomplete(ui: &Ui, from: u32, to: u32) -> Exit {
    let message = format!("runs {from} to {} are in no shard", to.saturating_sub(1));
    refuse(ui, &message, Some("run the shards that are missing, into the same folder"))
}
