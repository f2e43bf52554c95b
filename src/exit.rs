//! The exit codes of every command.

use std::process::ExitCode;

/// How a command ended. The numbers are fixed: scripts are written against them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All good.
    Ok = 0,
    /// A requirement is violated.
    Violated = 1,
    /// Usage or compile error.
    Usage = 2,
    /// The simulation failed: solver, Zeno, limit.
    Simulation = 3,
    /// A requirement cannot be decided: the run ended inside a window.
    Inconclusive = 4,
    /// The outside failed: a file, say.
    Outside = 5,
    /// A signature, hash or replay does not match.
    Mismatch = 6,
    /// Interrupted, with what was finished written and readable.
    Interrupted = 130,
}

impl Exit {
    /// Which of several outcomes a command ends with: the heaviest.
    pub fn weight(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Inconclusive => 1,
            Exit::Violated => 2,
            Exit::Usage => 3,
            Exit::Simulation => 4,
            Exit::Outside => 5,
            Exit::Mismatch => 6,
            Exit::Interrupted => 7,
        }
    }

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
