//! `twinc completions SHELL`

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::exit::Exit;
use crate::ui::Ui;

/// Prints the script to standard output.
pub fn run(args: &Completions, ui: &Ui) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "twinc", &mut script);
    ui.text(&String::from_utf8_lossy(&script));
    Exit::Ok
}
