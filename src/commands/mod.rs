//! One file per command.

mod asked;
mod branch;
mod check;
mod compile;
mod completions;
mod debug;
mod diff;
mod doctor;
mod explain;
mod failure;
mod job;
mod junit;
mod keys;
mod later;
mod mc;
mod monitor;
mod new;
mod plot;
mod replay;
mod run;
mod seal;
mod sign;
mod snapshot;
mod study;
mod summary;
mod test;
mod timeline;
mod tpm;
mod trunk;
mod vault;
mod verdict;
mod verify;

pub use job::Ready;

use crate::args::Command;
use crate::exit::Exit;
use crate::ui::Ui;

/// Does what the command line asks.
pub fn run(command: &Command, ui: &Ui) -> Exit {
    match command {
        Command::New(args) => new::run(args, ui),
        Command::Keys(args) => keys::run(args, ui),
        Command::Verify(args) => verify::run(args, ui),
        Command::Explain(args) => explain::run(args, ui),
        Command::Doctor => doctor::run(ui),
        Command::Completions(args) => completions::run(args, ui),
        Command::Branch(args) => branch::run(args, ui),
        Command::Timeline(args) => timeline::run(args, ui),
        Command::Diff(args) => diff::run(args, ui),
        Command::Plot(args) => plot::run(args, ui),
        Command::Check(args) => check::run(args, ui),
        Command::Run(args) => run::run(args, ui),
        Command::Mc(args) => mc::run(args, ui),
        Command::Replay(args) => replay::run(args, ui),
        Command::Sweep(args) => study::sweep::run(args, ui),
        Command::Sensitivity(args) => study::sensitivity::run(args, ui),
        Command::Calibrate(args) => study::calibrate::run(args, ui),
        Command::Test(args) => test::run(args, ui),
        Command::Debug(args) => debug::run(args, ui),
        Command::Snapshot(args) => snapshot::run(args, ui),
        Command::Monitor(args) => monitor::run(args, ui),
        Command::Other(words) => later::run(words, ui),
    }
}
