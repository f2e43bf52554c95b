//! `twinc explain CODE`

use twinml_compiler::diag::{did_you_mean, index};

use crate::args::Explain;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::ui::json::{Explanation, VERSION};

/// Prints the long form of a code, or the list of all.
pub fn run(args: &Explain, ui: &Ui) -> Exit {
    let Some(code) = &args.code else {
        for entry in index::ENTRIES {
            ui.text(&format!("{}  {}\n", entry.code, entry.title()));
            ui.object(&object(entry, None));
        }
        return Exit::Ok;
    };
    match (index::lookup(code), index::explain(code)) {
        (Some(entry), Some(text)) => {
            ui.text(&text);
            ui.object(&object(entry, Some(entry.explanation())));
            Exit::Ok
        }
        _ => {
            let upper = code.to_ascii_uppercase();
            let help = did_you_mean(&upper, index::ENTRIES.iter().map(|e| e.code.0));
            let help = help.unwrap_or_else(|| "`twinc explain` lists all codes".to_owned());
            ui.error(&format!("there is no diagnostic with the code `{code}`"), Some(&help));
            Exit::Usage
        }
    }
}

fn object<'a>(entry: &'a index::Entry, text: Option<&'a str>) -> Explanation<'a> {
    Explanation { kind: "explanation", version: VERSION, code: entry.code.0, title: entry.title(), text }
}
