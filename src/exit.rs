//! The exit codes of every command.

use std::process::ExitCode;

/// How a command ended. The numbers are fixed: scripts are written against them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All good.
    Ok = 0,
    /// Usage or compile error.
    Usage = 2,
    /// The simulation failed: solver, Zeno, limit.
    Simulation = 3,
    /// The outside failed: a file, say.
    Outside = 5,
    /// Interrupted, with what was finished written and readable.
    Interrupted = 130,
}

impl Exit {
    /// Which of several outcomes a command ends with: the heaviest.
    pub fn weight(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Usage => 1,
            Exit::Simulation => 2,
            Exit::Outside => 3,
            Exit::Interrupted => 4,
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
