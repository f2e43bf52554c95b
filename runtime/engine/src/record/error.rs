//! What can go wrong while recording.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A failure of a recorder.
#[derive(Debug)]
pub enum RecordError {
    /// The extension names none of the formats.
    UnknownFormat {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The operating system refused.
    Io {
        /// What was being done, as a verb: "create", "write", "rename".
        action: &'static str,
        /// The file concerned.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A row has another length than its columns.
    RowLength {
        /// Cells that the columns take.
        expected: usize,
        /// Cells that the row had.
        found: usize,
    },
    /// A text cell is no index into the words of its column.
    Word {
        /// The column's name.
        column: String,
        /// The cell.
        cell: f64,
        /// How many words the column has.
        words: usize,
    },
    /// Two columns share a name.
    DuplicateColumn {
        /// The name.
        column: String,
    },
    /// The Arrow library refused a batch.
    Arrow(arrow_schema::ArrowError),
    /// The Parquet library refused a batch.
    Parquet(parquet::errors::ParquetError),
    /// The writer thread could not be started or ended early.
    Writer,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::UnknownFormat { path } => write!(
                f,
                "`{}` has none of the extensions of a result: .parquet, .arrow or .csv",
                path.display()
            ),
            RecordError::Io { action, path, source } => {
                write!(f, "could not {action} `{}`: {source}", path.display())
            }
            RecordError::RowLength { expected, found } => {
                write!(f, "a row of {found} cells for columns that take {expected}")
            }
            RecordError::Word { column, cell, words } => {
                write!(f, "column `{column}` has {words} words and was given number {cell}")
            }
            RecordError::DuplicateColumn { column } => write!(f, "two columns are named `{column}`"),
            RecordError::Arrow(e) => write!(f, "could not encode the result: {e}"),
            RecordError::Parquet(e) => write!(f, "could not encode the result: {e}"),
            RecordError::Writer => write!(f, "the thread that writes the result ended early"),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecordError::Io { source, .. } => Some(source),
            RecordError::Arrow(e) => Some(e),
            RecordError::Parquet(e) => Some(e),
            _ => None,
        }
    }
}

impl From<arrow_schema::ArrowError> for RecordError {
    fn from(e: arrow_schema::ArrowError) -> Self {
        RecordError::Arrow(e)
    }
}

impl From<parquet::errors::ParquetError> for RecordError {
    fn from(e: parquet::errors::ParquetError) -> Self {
        RecordError::Parquet(e)
    }
}
