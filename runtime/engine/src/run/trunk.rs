//! What a scenario's branches share: the trunk is run once, and each branch goes on from its state at the branch's instant.
//!
//! The trunk's run stops where branches begin, so up to there it is what each of them is, to the bit. A branch has rows of
//! the time before, too: those that the trunk recorded are kept on the way ([`Prelude`]) and handed on again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twinml_model::program::Requirement;

use super::*;
use crate::record::{Columns, Element, Recorded};

/// Numbers that are kept of a trunk's rows at most: 512 MiB. A trunk that records more is not shared.
const MOST: usize = 64 << 20;

/// Whether a run of `branch` is one of `trunk` up to the branch's instant: the same but for what is done from then on, and
/// for what is made of its verdicts.
#[must_use]
pub fn shares(trunk: &Experiment, branch: &Experiment) -> bool {
    let judged = |(a, b): (&Requirement, &Requirement)| match (&a.judged, &b.judged) {
        (Some(a), Some(b)) => {
            (&a.formula, &a.atoms, a.elements) == (&b.formula, &b.atoms, b.elements) && a.unit == b.unit
        }
        (None, None) => true,
        _ => false,
    };
    let places = |e: &Experiment| e.kpis.iter().map(|k| (k.slot, k.len)).collect::<Vec<_>>();
    (trunk.duration, trunk.seed, &trunk.solver, &trunk.records)
        == (branch.duration, branch.seed, &branch.solver, &branch.records)
        && trunk.requirements.len() == branch.requirements.len()
        && trunk.requirements.iter().zip(&branch.requirements).all(judged)
        && trunk.aggregates == branch.aggregates
        && places(trunk) == places(branch)
}

/// The rows of one file.
#[derive(Debug, Default)]
struct Spool {
    /// Numbers of a row.
    width: usize,
    rows: Vec<f64>,
}

#[derive(Debug, Default)]
struct Inside {
    files: Vec<Spool>,
    log: Spool,
    /// Paths and events that the log's rows tell of.
    words: [Arc<[String]>; 2],
    /// Numbers kept so far.
    kept: usize,
    /// Nothing more is wanted.
    over: bool,
    /// It was too much.
    spilled: bool,
}

impl Inside {
    fn keep(&mut self, file: Option<usize>, cells: &[f64]) {
        if self.over || self.spilled {
            return;
        }
        self.kept += cells.len();
        if self.kept > MOST {
            self.spilled = true;
            (self.files, self.log) = Default::default();
            return;
        }
        let spool = match file {
            Some(k) => self.files.get_mut(k),
            None => Some(&mut self.log),
        };
        if let Some(spool) = spool {
            spool.width = cells.len();
            spool.rows.extend_from_slice(cells);
        }
    }
}

/// What a trunk has recorded up to where its last branch begins.
#[derive(Clone, Debug, Default)]
pub struct Prelude(Arc<Mutex<Inside>>);

impl Prelude {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Recorders that keep what they hand on.
    #[must_use]
    pub fn outlets(&self, outlets: Vec<Outlet>) -> Vec<Outlet> {
        self.inside().files = outlets.iter().map(|_| Spool::default()).collect();
        let kept = |(k, o): (usize, Outlet)| {
            let recorder = Box::new(Keeping { of: self.clone(), file: Some(k), recorder: o.recorder });
            Outlet { plan: o.plan, recorder }
        };
        outlets.into_iter().enumerate().map(kept).collect()
    }

    /// The same for the log of events.
    #[must_use]
    pub fn log<'l>(&self, mut open: OpenLog<'l>) -> OpenLog<'l> {
        let of = self.clone();
        Box::new(move |columns: Columns| {
            let words = |k: usize| match columns.specs().get(k).map(|c| &c.element) {
                Some(Element::Text(words)) => words.clone(),
                _ => Arc::default(),
            };
            of.inside().words = [words(log::PATH), words(log::EVENTS)];
            let recorder = open(columns)?;
            Ok(Box::new(Keeping { of: of.clone(), file: None, recorder }) as Box<dyn Recorder>)
        })
    }

    /// Nothing more is wanted: the last branch has begun.
    pub fn close(&self) {
        self.inside().over = true;
    }

    /// Whether all that was recorded is here; a trunk that records very much is not shared.
    #[must_use]
    pub fn whole(&self) -> bool {
        !self.inside().spilled
    }
}

/// A recorder that keeps what it hands on.
struct Keeping {
    of: Prelude,
    file: Option<usize>,
    recorder: Box<dyn Recorder>,
}

impl Recorder for Keeping {
    fn columns(&self) -> &Columns {
        self.recorder.columns()
    }

    fn row(&mut self, cells: &[f64]) -> Result<(), RecordError> {
        self.of.inside().keep(self.file, cells);
        self.recorder.row(cells)
    }

    fn row_by(&mut self, fill: &mut dyn FnMut(&mut Vec<f64>)) -> Result<(), RecordError> {
        if self.of.inside().over {
            return self.recorder.row_by(fill);
        }
        let mut cells = Vec::with_capacity(self.columns().cells());
        fill(&mut cells);
        self.row(&cells)
    }

    fn finish(self: Box<Self>) -> Result<Recorded, RecordError> {
        self.recorder.finish()
    }
}

impl Run<'_> {
    /// Hands on what was recorded before the state that the run goes on from.
    pub(super) fn hand_on(&mut self, before: &Prelude) -> Result<(), RecordError> {
        let inside = before.inside();
        for (sink, spool) in self.sinks.iter_mut().zip(&inside.files) {
            let rows = spool.rows.chunks_exact(spool.width.max(1));
            rows.take(sink.mute as usize).try_for_each(|row| sink.outlet.recorder.row(row))?;
        }
        match &mut self.log {
            Some(log) => log.hand_on(&inside.words, inside.log.rows.chunks_exact(inside.log.width.max(1))),
            None => Ok(()),
        }
    }
}
