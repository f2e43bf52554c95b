//! A recorder that keeps its rows: for tests, and for hosts that want the values and no file.

use std::sync::{Arc, Mutex, PoisonError};

use super::block::check_row;
use super::{Columns, RecordError, Recorded, Recorder};

/// The rows of a [`MemoryRecorder`], shared with whoever wants to read them.
#[derive(Clone, Debug, Default)]
pub struct MemoryRows(Arc<Mutex<Vec<Vec<f64>>>>);

impl MemoryRows {
    /// A copy of the rows so far.
    pub fn rows(&self) -> Vec<Vec<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keeps every row in memory, which grows with the run.
#[derive(Debug)]
pub struct MemoryRecorder {
    columns: Columns,
    rows: MemoryRows,
}

impl MemoryRecorder {
    /// An empty recorder and the handle that reads its rows.
    pub fn new(columns: Columns) -> (MemoryRecorder, MemoryRows) {
        let rows = MemoryRows::default();
        (MemoryRecorder { columns, rows: rows.clone() }, rows)
    }
}

/// Takes rows and keeps none: for runs of which only the state is wanted.
#[derive(Debug)]
pub struct NoRecorder {
    columns: Columns,
    rows: u64,
}

impl NoRecorder {
    /// For these columns.
    pub fn new(columns: Columns) -> NoRecorder {
        NoRecorder { columns, rows: 0 }
    }
}

impl Recorder for NoRecorder {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn row(&mut self, cells: &[f64]) -> Result<(), RecordError> {
        check_row(&self.columns, cells)?;
        self.rows += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Recorded, RecordError> {
        Ok(Recorded { rows: self.rows, bytes: 0 })
    }
}

impl Recorder for MemoryRecorder {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn row(&mut self, cells: &[f64]) -> Result<(), RecordError> {
        check_row(&self.columns, cells)?;
        self.rows.0.lock().unwrap_or_else(PoisonError::into_inner).push(cells.to_vec());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Recorded, RecordError> {
        let rows = self.rows.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        Ok(Recorded { rows, bytes: rows * 8 * self.columns.cells() as u64 })
    }
}
