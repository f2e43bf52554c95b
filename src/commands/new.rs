//! `twinc new NAME`

use std::path::Path;

use crate::args::New;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{VERSION, Written};
use crate::world;

/// The files of a project: path (with `NAME` in it) and text (with `{name}` in it).
const FILES: [(&str, &str); 5] = [
    ("NAME.twinml", include_str!("new/model.twinml")),
    ("twin.toml", include_str!("new/twin.toml")),
    ("README.md", include_str!("new/README.md")),
    (".gitignore", include_str!("new/gitignore")),
    (".github/workflows/twin.yml", include_str!("new/ci.yml")),
];

/// Writes a small project that already runs.
pub fn run(args: &New, ui: &Ui) -> Exit {
    let folder = &args.name;
    let Some(name) = folder.file_name().and_then(|n| n.to_str()).filter(|n| is_name(n)) else {
        ui.error(
            &format!("`{}` cannot be the name of a project", world::shown(folder)),
            Some("use letters, digits, `-` and `_`, beginning with a letter"),
        );
        return Exit::Usage;
    };
    if !world::is_free(folder) {
        ui.error(
            &format!("`{}` exists already and is not empty", world::shown(folder)),
            Some("choose another name, or delete it first"),
        );
        return Exit::Usage;
    }
    for (path, text) in FILES {
        let path = folder.join(path.replace("NAME", name));
        if let Err(e) = world::create_new(&path, &text.replace("{name}", name)) {
            ui.error(&format!("could not write `{}`: {e}", world::shown(&path)), None);
            return Exit::Outside;
        }
        let written = Written {
            kind: "written",
            version: VERSION,
            path: world::shown(&path),
            what: "project",
            rows: None,
        };
        ui.object(&written);
    }
    ui.result("Created", &format!("{} with a tank that heats up", world::shown(folder)), None);
    let model = Path::new(folder).join(format!("{name}.twinml"));
    ui.result("Next", &format!("twinc run {}", world::shown(&model)), None);
    Exit::Ok
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
