//! `twinc`: checks, runs and plots digital twins written in TwinML.
//!
//! In: arguments. Out: files, text or JSON lines, and an exit code. All printing is in `ui`, all files, environment
//! and clocks in `world`; neither a model's meaning nor a number of a result is made here.

mod args;
mod commands;
mod exit;
mod model;
mod plot;
mod ui;
mod world;

use std::process::ExitCode;

/// Trees of small things are made and dropped in every phase of a compilation: the system's allocator takes a
/// third of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os().collect(), world::no_color()) {
        Ok(cli) => cli,
        Err((e, output)) => return ui::Ui::new(&output, world::no_color()).help(&e).into(),
    };
    let ui = ui::Ui::new(&cli.output, world::no_color());
    let exit = commands::run(&cli.command, &ui);
    ui.close(exit).into()
}
