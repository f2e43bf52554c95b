//! `twinc plot RESULT`

use std::path::{Path, PathBuf};

use twinml_compiler::diag::did_you_mean;
use twinml_engine::csvw;
use twinml_engine::data::Frame;
use twinml_engine::record::file::write_atomic;

use crate::args::Plot as Args;
use crate::exit::Exit;
use crate::plot::{Caption, Kind, Plot};
use crate::ui::Ui;
use crate::ui::json::{VERSION, Written};
use crate::world;

/// Draws a result file.
pub fn run(args: &Args, ui: &Ui) -> Exit {
    let out = args.out.clone().unwrap_or_else(|| args.result.with_extension("html"));
    let kind = match Kind::of(&out) {
        Ok(kind) => kind,
        Err(help) => {
            ui.error(&format!("`{}` is no picture that can be written", world::shown(&out)), Some(help));
            return Exit::Usage;
        }
    };
    if let Some(help) = no_result(&args.result) {
        ui.error(&format!("`{}` is no result", world::shown(&args.result)), Some(&help));
        return Exit::Usage;
    }
    let frame = match open(&args.result) {
        Ok(frame) => frame,
        Err(message) => {
            ui.error(&message, None);
            return Exit::Outside;
        }
    };
    let mut caption = caption_of(&frame, &args.result);
    if let Some(title) = &args.title {
        caption.title.clone_from(title);
    }
    let columns = frame.columns();
    if let Some(none) = args.only.iter().find(|p| !columns.iter().any(|c| matches(p, &c.name))) {
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let help = did_you_mean(none, names.iter().copied()).unwrap_or_else(|| {
            let more = if names.len() > 12 { ", …" } else { "" };
            format!("the columns are {}{more}", names[..names.len().min(12)].join(", "))
        });
        ui.error(
            &format!("`--only {none}`: `{}` has no such column", world::shown(&args.result)),
            Some(&help),
        );
        return Exit::Usage;
    }
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|p| matches(p, name));
    let plot = match Plot::of(&frame, caption, wanted) {
        Ok(plot) => plot,
        Err(e) => {
            ui.error(&e.to_string(), None);
            return Exit::Outside;
        }
    };
    if !plot.left_out.is_empty() {
        let names = plot.left_out.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        ui.warn(&format!("not drawn: {names}{}", if plot.left_out.len() > 8 { ", …" } else { "" }));
    }
    let bytes = match plot.bytes(kind) {
        Ok(bytes) => bytes,
        Err(e) => {
            ui.error(&format!("`{}`: {e}", world::shown(&out)), Some("write .svg instead"));
            return Exit::Outside;
        }
    };
    if let Err(e) = write_atomic(&out, &bytes) {
        ui.error(&e.to_string(), None);
        return Exit::Outside;
    }
    ui.result("Written", &world::shown(&out), None);
    let path = world::shown(&out);
    ui.object(&Written { kind: "written", version: VERSION, path, what: "plot", rows: None });
    Exit::Ok
}

/// What to draw instead, where a folder or a model is named.
fn no_result(path: &Path) -> Option<String> {
    if path.is_dir() {
        let all = ["parquet", "arrow", "csv"].iter().flat_map(|e| world::files(path, e).unwrap_or_default());
        let result = all
            .into_iter()
            .find(|f| !f.file_stem().is_some_and(|n| n.to_string_lossy().starts_with("events")));
        return Some(match result {
            Some(file) => format!("name a file in it, such as `{}`", world::shown(&file)),
            None => "name a file that `twinc run` has written".to_owned(),
        });
    }
    let model = path.extension().is_some_and(|e| e == "twinml");
    model.then(|| {
        format!("it is a model: `twinc run {}` makes results of it, and draws them", world::shown(path))
    })
}

/// Opens a result, with what a file beside it says of its columns; large Parquet files are read piece by piece.
pub fn open(path: &Path) -> Result<Frame, String> {
    let name = world::shown(path);
    let failed = |e: std::io::Error| format!("could not read `{name}`: {e}");
    let parquet =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet") || e.eq_ignore_ascii_case("pq"));
    let frame = if parquet {
        Frame::from_parquet_file(&name, world::open(path).map_err(failed)?)
    } else {
        Frame::from_bytes(&name, world::read(path).map_err(failed)?)
    };
    let frame = frame.map_err(|e| e.to_string())?;
    let Some(beside) = csvw::beside(path) else { return Ok(frame) };
    match world::read_up_to(&beside, csvw::LONGEST) {
        Ok(bytes) => frame.described(&world::shown(&beside), &bytes).map_err(|e| e.to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(frame),
        Err(e) => Err(format!("could not read `{}`: {e}", world::shown(&beside))),
    }
}

/// What a result says about itself.
pub fn caption_of(frame: &Frame, path: &Path) -> Caption {
    let facts = frame.metadata().unwrap_or_default();
    let fact =
        |key: &str| facts.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty());
    let stem = PathBuf::from(path.file_stem().unwrap_or(path.as_os_str()));
    let title = match (fact("twin"), fact("scenario")) {
        (Some(twin), Some(scenario)) if twin != scenario => format!("{twin} · {scenario}"),
        (_, Some(scenario)) => scenario.to_owned(),
        _ => world::shown(&stem),
    };
    let mut parts = Vec::new();
    parts.extend(fact("solver").map(str::to_owned));
    parts.extend(fact("seed").map(|s| format!("seed {s}")));
    parts.extend(
        fact("twinml.model_hash").map(|h| format!("model {}", h.chars().take(12).collect::<String>())),
    );
    parts.extend(fact("compiler").map(str::to_owned));
    Caption { title, subtitle: parts.join("  ·  ") }
}

/// Whether `name` fits a pattern in which `*` stands for anything; a bare path also means what is below it.
pub fn matches(pattern: &str, name: &str) -> bool {
    fn fits(pattern: &[u8], name: &[u8]) -> bool {
        // The last star and where it began: on a mismatch it takes one byte more.
        let (mut p, mut n, mut star) = (0, 0, None);
        while n < name.len() {
            if p < pattern.len() && pattern[p] == b'*' {
                star = Some((p, n));
                p += 1;
            } else if p < pattern.len() && pattern[p] == name[n] {
                p += 1;
                n += 1;
            } else if let Some((at, from)) = star {
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|b| *b == b'*')
    }
    fits(pattern.as_bytes(), name.as_bytes())
        || name.strip_prefix(pattern).is_some_and(|rest| rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("tanks[*].h", "tanks[12].h"));
        assert!(matches("*", ""));
        assert!(matches("tank", "tank.level"));
        assert!(!matches("tank", "tanks[0].h"));
        assert!(!matches("*.T", "a.Tx"));
        assert!(matches("a*b*c", "aXbYbZc"));
    }
}
