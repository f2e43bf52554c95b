//! Recording: rows of quantities to Parquet, Arrow IPC or CSV in bounded memory.
//!
//! A run hands over one row of cells for each recorded instant ([`Recorder::row`]). For Parquet a few rows at a time become
//! columns in display units right there, while they are in the nearest cache, and a row group of these goes to a writer
//! thread; for the other formats rows are copied into blocks, and the thread makes of them what the format wants. Two or three
//! of either circulate, so memory does not depend on the length of the run and no row allocates.
//!
//! The file appears under its name only when it is complete and on disk ([`file::AtomicFile`]); a recorder that is
//! dropped unfinished leaves no trace of itself, and what was there before stays.

mod arrow;
mod block;
mod column;
mod csv;
mod error;
pub mod file;
mod group;
mod memory;
mod parquet;
mod stream;
mod thinning;

use std::ops::Range;
use std::path::Path;

pub use block::Block;
pub use column::{ColumnSpec, Columns, Element};
pub use error::RecordError;
pub use memory::{MemoryRecorder, MemoryRows, NoRecorder};
pub use stream::StreamRecorder;
pub use thinning::{Curve, Thinned, Thinning};

/// What a finished recorder has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Rows in the result, without a header.
    pub rows: u64,
    /// Size of the result in bytes.
    pub bytes: u64,
}

/// What a cell holds in rows that follow one another.
#[derive(Clone, Copy, Debug)]
pub enum Cells<'a> {
    /// A value in each, from the first one here on.
    Each(Strips<'a>),
    /// The same in all.
    All(f64),
}

/// Cells side by side, whose values in rows that follow one another stand cell by cell.
#[derive(Clone, Copy, Debug)]
pub struct Strips<'a> {
    /// The values of the first cell, one for each row, and somewhere behind them those of the others.
    pub values: &'a [f64],
    /// How far it is from the first value of a cell to that of the next.
    pub apart: usize,
    /// How many cells they are at least: one or more.
    pub cells: usize,
}

/// Appends some rows of these cells, so many, row by row.
fn in_rows<'c>(
    some: &Range<usize>,
    (width, cells): (usize, impl Iterator<Item = usize>),
    of: &dyn Fn(usize) -> Cells<'c>,
    out: &mut Vec<f64>,
) {
    let first = out.len();
    out.resize(first + some.len() * width, 0.0);
    for (k, cell) in cells.enumerate() {
        let to = out[first..].iter_mut().skip(k).step_by(width.max(1));
        match of(cell) {
            Cells::Each(strips) => to.zip(&strips.values[some.clone()]).for_each(|(to, &value)| *to = value),
            Cells::All(value) => to.for_each(|to| *to = value),
        }
    }
}

/// Takes the rows of one result.
///
/// A row is as many cells as [`Columns::cells`] says, column after column: reals in SI, Booleans 0 or 1, integers
/// as integral reals, texts as the index of their word, lists element after element, and before a nullable column
/// a cell that is 0 when the value is absent.
pub trait Recorder: Send {
    /// The columns that this recorder was made for.
    fn columns(&self) -> &Columns;

    /// Appends one row.
    ///
    /// # Errors
    ///
    /// [`RecordError::RowLength`] when `cells` has another length than [`Columns::cells`], else what the writer met
    /// on an earlier row (a full disk, say). After an error the recorder takes no further rows.
    fn row(&mut self, cells: &[f64]) -> Result<(), RecordError>;

    /// Appends the row that `fill` appends to what it is given: [`Columns::cells`] cells.
    ///
    /// # Errors
    ///
    /// As [`Recorder::row`].
    fn row_by(&mut self, fill: &mut dyn FnMut(&mut Vec<f64>)) -> Result<(), RecordError> {
        let mut cells = Vec::with_capacity(self.columns().cells());
        fill(&mut cells);
        self.row(&cells)
    }

    /// Appends so many rows, one after the other: `fill` appends those whose numbers it is given.
    ///
    /// # Errors
    ///
    /// As [`Recorder::row`].
    fn rows_by(
        &mut self,
        rows: usize,
        fill: &mut dyn FnMut(Range<usize>, &mut Vec<f64>),
    ) -> Result<(), RecordError> {
        (0..rows).try_for_each(|k| self.row_by(&mut |row| fill(k..k + 1, row)))
    }

    /// Appends so many rows that lie cell by cell: `of` says what a cell holds in them.
    ///
    /// # Errors
    ///
    /// As [`Recorder::row`].
    fn rows_of<'c>(&mut self, rows: usize, of: &dyn Fn(usize) -> Cells<'c>) -> Result<(), RecordError> {
        let cells = self.columns().cells();
        self.rows_by(rows, &mut |some, out| in_rows(&some, (cells, 0..cells), of, out))
    }

    /// Completes the result and gives it its name.
    ///
    /// # Errors
    ///
    /// When the outside failed; the old file, if there was one, is then still in place.
    fn finish(self: Box<Self>) -> Result<Recorded, RecordError>;
}

/// The formats of a result file, chosen by extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet: `.parquet`, `.pq`.
    Parquet,
    /// Arrow IPC file: `.arrow`, `.feather`, `.ipc`.
    Arrow,
    /// Comma-separated values, RFC 4180: `.csv`.
    Csv,
}

impl Format {
    /// The format that the extension of `path` names.
    ///
    /// # Errors
    ///
    /// [`RecordError::UnknownFormat`] for any other extension.
    pub fn of(path: &Path) -> Result<Format, RecordError> {
        let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("parquet" | "pq") => Ok(Format::Parquet),
            Some("arrow" | "feather" | "ipc") => Ok(Format::Arrow),
            Some("csv") => Ok(Format::Csv),
            _ => Err(RecordError::UnknownFormat { path: path.to_owned() }),
        }
    }
}

/// Facts about a whole result, in the order given: `twinml.model_hash`, `scenario`, `seed`, `solver`, `compiler`,
/// `parameters`. Parquet and Arrow carry them in the file; CSV has no place for them: of its columns
/// a file beside it says the units ([`crate::csvw`]).
pub type Metadata = Vec<(String, String)>;

/// Opens a recorder that streams to `path` in the format of its extension.
///
/// # Errors
///
/// [`RecordError::UnknownFormat`] or [`RecordError::Io`].
pub fn open(path: &Path, columns: Columns, metadata: &Metadata) -> Result<Box<dyn Recorder>, RecordError> {
    let format = Format::of(path)?;
    let file = file::AtomicFile::create(path)?;
    Ok(match format {
        Format::Parquet => {
            let encoder = parquet::ParquetEncoder::new(file, &columns, metadata)?;
            Box::new(StreamRecorder::<group::Group>::new(columns, Box::new(encoder))?)
        }
        Format::Arrow => {
            let encoder = arrow::ArrowEncoder::new(file, &columns, metadata)?;
            Box::new(StreamRecorder::<Block>::new(columns, Box::new(encoder))?)
        }
        Format::Csv => {
            let encoder = csv::CsvEncoder::new(file, &columns);
            Box::new(StreamRecorder::<Block>::new(columns, Box::new(encoder))?)
        }
    })
}

/// As [`open`], for a result that ends at `end`: its columns of reals come in few points, too, where [`Thinning::take`] gives
/// them after the recorder has finished.
///
/// # Errors
///
/// As [`open`].
pub fn open_thinned(
    path: &Path,
    columns: Columns,
    metadata: &Metadata,
    end: f64,
) -> Result<(Box<dyn Recorder>, Thinning), RecordError> {
    if Format::of(path)? != Format::Parquet {
        return Ok((open(path, columns, metadata)?, Thinning::default()));
    }
    let file = file::AtomicFile::create(path)?;
    let encoder = parquet::ParquetEncoder::new(file, &columns, metadata)?;
    let (encoder, thinning) = encoder.thinned(&columns, end);
    Ok((Box::new(StreamRecorder::<group::Group>::new(columns, Box::new(encoder))?), thinning))
}
