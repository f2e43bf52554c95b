//! Commands that this version does not have.

use twinml_compiler::diag::did_you_mean;

use crate::exit::Exit;
use crate::ui::Ui;

/// Commands of the product that later versions bring, and what they will do.
const LATER: &[(&str, &str)] = &[
    ("live", "running in step with a plant"),
    ("serve", "serving many live twins"),
    ("memory", "agents' memories"),
    ("fmt", "formatting models"),
    ("lsp", "the language server"),
    ("doc", "documentation of models"),
    ("repl", "the interactive prompt"),
    ("export", "exporting models"),
    ("import", "importing models"),
];

/// The commands that are there.
const NOW: &[&str] = &[
    "new",
    "check",
    "run",
    "mc",
    "replay",
    "sweep",
    "sensitivity",
    "calibrate",
    "test",
    "debug",
    "monitor",
    "diff",
    "branch",
    "timeline",
    "snapshot",
    "plot",
    "keys",
    "verify",
    "explain",
    "doctor",
    "completions",
];

/// Says plainly that the command is not there (yet).
pub fn run(words: &[String], ui: &Ui) -> Exit {
    let name = words.first().map_or("", String::as_str);
    match LATER.iter().find(|(later, _)| *later == name) {
        Some((_, what)) => {
            let version = env!("CARGO_PKG_VERSION");
            ui.error(
                &format!("`twinc {name}` ({what}) is not in this version yet (twinc {version})"),
                Some(&format!("this version has: {}", NOW.join(", "))),
            );
        }
        // A word of another command.
        None if name == "merge" => {
            ui.error(
                "there is no command `merge`",
                Some("shards of a job are put together by `twinc mc merge DIR`"),
            );
        }
        None => {
            let known = NOW.iter().copied().chain(LATER.iter().map(|(name, _)| *name));
            let help =
                did_you_mean(name, known).unwrap_or_else(|| "`twinc --help` lists the commands".to_owned());
            ui.error(&format!("there is no command `{name}`"), Some(&help));
        }
    }
    Exit::Usage
}
