//! When to compile: a kernel's heat is the work it has done, measured in its own size.
//!
//! Interpreting an operation takes about a hundredth of the time of compiling it, and what the optimiser saves
//! in a run about a thirty-thousandth of its own time. Compiling at the break-even point costs at most twice
//! what knowing the future would.

use super::link::Code;
use super::plan::region_weight;
use super::{OptLevel, Tier};
use crate::error::JitError;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use twinml_model::interp::Prepared;
use twinml_model::ir::{Kernel, Region, Stmt};

/// Runs, of a kernel without loops, in the interpreter.
const INTERPRETED: u64 = 64;
/// The same of a large kernel that was added to the program's: a solver's step written out, arithmetic almost throughout. The
/// interpreter takes 2.5 ns for an operation of these, the code generator more than a microsecond.
const ADDED: u64 = 256;
/// What is large, in operations.
const LARGE: u64 = 1_000;
/// Runs of a kernel that was added from which on its code pays: fewer are left to the interpreter where so many are not expected,
/// and none where more are.
const PAYS: u64 = 350;
/// Runs before the optimiser.
const QUICK: u64 = 30_000;
/// Rounds in one run that make the optimiser pay at once, for a kernel up to [`SMALL`].
const LOOPS: u64 = 64;
/// In operations.
const SMALL: u64 = 4_000;

/// A kernel's code, as far as there is any.
#[derive(Default)]
pub(crate) struct Slot {
    quick: OnceLock<Result<Code, JitError>>,
    full: OnceLock<Result<Code, JitError>>,
    /// The kernel simplified, where the compiler does that.
    pub simple: OnceLock<Kernel>,
    /// For the interpreter.
    pub decoded: OnceLock<Prepared>,
    /// Operations of the kernel, and operations that a run executes.
    size: OnceLock<(u64, u64)>,
    executed: AtomicU64,
    /// Whether the kernel is none of the program's own.
    added: bool,
    /// Runs that whoever had it made expects; 0 where nobody does.
    expected: AtomicU64,
}

impl Slot {
    /// Of a kernel that is none of the program's own.
    pub fn added() -> Slot {
        Slot { added: true, ..Slot::default() }
    }

    /// Where the code of a tier is.
    pub fn cell(&self, tier: Tier) -> &OnceLock<Result<Code, JitError>> {
        match tier {
            Tier::Quick => &self.quick,
            Tier::Full => &self.full,
        }
    }

    /// So many runs are expected, beside those that others expect.
    pub fn expect(&self, runs: u64) {
        let add = |before: u64| Some(before.saturating_add(runs));
        // As with the runs: only time depends on it.
        let _ = self.expected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Counts a run and says how the kernel should run now; `None`: in the interpreter.
    pub fn heat(&self, kernel: &Kernel, level: OptLevel) -> Option<Tier> {
        if level == OptLevel::O3 {
            return Some(Tier::Full);
        }
        let &(text, run) = self.size.get_or_init(|| {
            let text = region_weight(kernel, &kernel.body) as u64;
            (text.max(1), executed(kernel, &kernel.body).max(1))
        });
        // How often runs are counted is no secret of the results: only the time they take depends on it.
        let before = self.executed.fetch_add(run, Ordering::Relaxed);
        let runs = before / text;
        let long = run / text >= LOOPS;
        let interpreted = match self.expected.load(Ordering::Relaxed) {
            PAYS.. => 0,
            1.. => PAYS,
            0 if self.added && text >= LARGE => ADDED,
            0 => INTERPRETED,
        };
        if runs >= QUICK || (long && text <= SMALL) {
            Some(level.best())
        } else if runs >= interpreted || long || self.quick.get().is_some() {
            Some(Tier::Quick)
        } else {
            None
        }
    }
}

/// Operations executed by a region, loops counted by their rounds.
fn executed(kernel: &Kernel, region: &Region) -> u64 {
    region.iter().fold(0, |sum: u64, stmt| {
        sum.saturating_add(match stmt {
            Stmt::For(l) => {
                let rounds = u64::try_from(i128::from(l.hi) - i128::from(l.lo)).unwrap_or(0);
                rounds.saturating_mul(executed(kernel, &l.body).saturating_add(2))
            }
            Stmt::If(i) => executed(kernel, &i.then).max(executed(kernel, &i.otherwise)),
            other => super::plan::stmt_weight(kernel, other) as u64,
        })
    })
}
