//! One file per command.

mod completions;
mod explain;
mod later;
mod new;
mod plot;

use crate::args::Command;
use crate::exit::Exit;
use crate::ui::Ui;

/// Does what the command line asks.
pub fn run(command: &Command, ui: &Ui) -> Exit {
    match command {
        Command::New(args) => new::run(args, ui),
        Command::Explain(args) => explain::run(args, ui),
        Command::Completions(args) => completions::run(args, ui),
        Command::Plot(args) => plot::run(args, ui),
        Command::Check(_) | Command::Run(_) => {
            ui.error("this build has no compiler behind its command line yet", None);
            Exit::Usage
        }
        Command::Other(words) => later::run(words, ui),
    }
}
