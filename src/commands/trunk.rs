//! What the branches of a scenario have in common: the trunk is run once, and each branch goes on from its state there.
//!
//! A branch that expects conditions of its own looks at them from the start on, so it is run from there; so is one that
//! begins at 0 s, and one of a trunk whose rows up to the branch are too many to be kept.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use twinml_compiler::driver::Branch;
use twinml_engine::run::{Keep, Onward, OpenLog, Outlet, Prelude, shares};
use twinml_engine::snapshot::State;
use twinml_model::program::Experiment;

/// What a trunk leaves to its branches.
#[derive(Default)]
pub struct Shared {
    /// Branches that go on from the trunk, by name, with their instants.
    branches: BTreeMap<String, i128>,
    /// The states where they begin.
    states: RefCell<BTreeMap<i128, State>>,
    prelude: Prelude,
    /// Snapshots of branches from before they begin.
    written: RefCell<BTreeMap<String, Vec<PathBuf>>>,
}

impl Shared {
    /// For a trunk with these branches.
    pub fn new(trunk: &Experiment, branches: &[Branch]) -> Shared {
        let from = |b: &&Branch| b.time_ns > 0 && shares(trunk, &b.experiment);
        let branches = branches.iter().filter(from).map(|b| (b.name.clone(), b.time_ns)).collect();
        Shared { branches, ..Shared::default() }
    }

    /// Whether a branch is what the trunk is at an instant, given in nanoseconds.
    pub fn has(&self, branch: &str, at: i128) -> bool {
        self.branches.get(branch).is_some_and(|begin| at <= *begin)
    }

    /// Keeps what the trunk records, for its branches.
    pub fn keep_rows<'l>(
        &self,
        outlets: Vec<Outlet>,
        log: Option<OpenLog<'l>>,
    ) -> (Vec<Outlet>, Option<OpenLog<'l>>) {
        if self.branches.is_empty() {
            return (outlets, log);
        }
        (self.prelude.outlets(outlets), log.map(|l| self.prelude.log(l)))
    }

    /// Takes the states where branches begin, beside what `also` takes.
    pub fn keep_states<'k>(&'k self, also: Option<Keep<'k>>) -> Option<Keep<'k>> {
        let Some(last) = self.branches.values().max().copied() else { return also };
        let also = std::rc::Rc::new(RefCell::new(also));
        let of_next = also.clone();
        let next = move |after: i128| {
            let own = self.branches.values().copied().filter(|t| *t > after).min();
            let other = of_next.borrow_mut().as_mut().and_then(|k| (k.next)(after));
            own.into_iter().chain(other).min()
        };
        let take = move |state: State| {
            let at = state.clock.asked;
            if self.branches.values().any(|t| *t == at) {
                self.states.borrow_mut().insert(at, state.clone());
            }
            if at >= last {
                self.prelude.close();
            }
            let mut also = also.borrow_mut();
            let Some(other) = also.as_mut() else { return Ok(()) };
            if (other.next)(at - 1) == Some(at) { (other.take)(state) } else { Ok(()) }
        };
        Some(Keep { next: Box::new(next), take: Box::new(take) })
    }

    /// The state that a branch goes on from; none where it has to be run from its start.
    pub fn state(&self, branch: &Branch) -> Option<State> {
        let at = self.branches.get(&branch.name).filter(|_| self.prelude.whole())?;
        self.states.borrow().get(at).cloned()
    }

    /// How a branch goes on from its state: with all rows that the trunk has up to there.
    pub fn onward(&self) -> Onward<'_> {
        Onward { before: Some(&self.prelude), ..Onward::default() }
    }

    /// A snapshot of a branch was written while the trunk was run.
    pub fn wrote(&self, branch: &str, path: PathBuf) {
        self.written.borrow_mut().entry(branch.to_owned()).or_default().push(path);
    }

    /// The snapshots of a branch that were written while the trunk was run.
    pub fn written(&self, branch: &str) -> Vec<PathBuf> {
        self.written.borrow_mut().remove(branch).unwrap_or_default()
    }

    /// Takes away what was written of a branch that does not begin, or that is run from its start after all.
    pub fn discard(&self, branch: &str) {
        for path in self.written(branch) {
            // What cannot be removed is at worst one snapshot too many.
            let _ = std::fs::remove_file(path);
        }
    }
}
