//! A block of rows, and its columns.

use super::stream::Portion;
use super::{Columns, Element, RecordError};

/// Rows one after the other, each of the same number of cells.
#[derive(Debug)]
pub struct Block {
    cells: Vec<f64>,
    width: usize,
}

/// About this many bytes of cells make a block.
const BLOCK_BYTES: usize = 256 << 10;

impl Block {
    /// An empty block with room for so many rows.
    pub fn of_rows(width: usize, rows: usize) -> Block {
        let width = width.max(1);
        Block { cells: Vec::with_capacity(rows * width), width }
    }

    /// Appends cells of a row, or some of them. The caller keeps to the width.
    pub(super) fn push(&mut self, cells: &[f64]) {
        match cells {
            [cell] => self.cells.push(*cell),
            _ => self.cells.extend_from_slice(cells),
        }
    }

    /// All cells with so many zeros behind them, and how many make a row. The block is to be cleared before it gets more.
    pub(super) fn cells_and_more(&mut self, more: usize) -> (&[f64], usize) {
        self.cells.resize(self.cells.len() + more, 0.0);
        (&self.cells, self.width)
    }

    /// Whether all rows have the same bits.
    pub(super) fn is_still(&self) -> bool {
        let first = &self.cells[..self.width.min(self.cells.len())];
        self.cells.chunks(self.width).all(|row| same(row, first))
    }

    /// Row `index`.
    pub fn row(&self, index: usize) -> &[f64] {
        &self.cells[index * self.width..(index + 1) * self.width]
    }

    /// The cell `cell` of every row.
    pub fn column(&self, cell: usize) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.cells[cell.min(self.cells.len())..].iter().step_by(self.width).copied()
    }
}

/// Whether cells have the same bits.
pub(super) fn same(a: &[f64], b: &[f64]) -> bool {
    a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
}

impl Portion for Block {
    /// One being filled, one being written, one between.
    const MANY: usize = 3;

    fn new(columns: &Columns) -> Block {
        let width = columns.cells().max(1);
        Block::of_rows(width, (BLOCK_BYTES / (8 * width)).clamp(1, 65_536))
    }

    fn push_by(
        &mut self,
        rows: usize,
        fill: &mut dyn FnMut(&mut Vec<f64>),
        checked: Option<&Columns>,
    ) -> Result<(), RecordError> {
        let before = self.cells.len();
        fill(&mut self.cells);
        let found = self.cells.len().saturating_sub(before);
        let outcome = match checked {
            _ if found != rows * self.width => {
                Err(RecordError::RowLength { expected: rows * self.width, found })
            }
            Some(columns) => {
                self.cells[before..].chunks(self.width).try_for_each(|row| check_row(columns, row))
            }
            None => Ok(()),
        };
        if outcome.is_err() {
            self.cells.truncate(before);
        }
        outcome
    }

    fn room(&self) -> usize {
        (self.cells.capacity() - self.cells.len()) / self.width
    }

    fn rows(&self) -> usize {
        self.cells.len() / self.width
    }

    fn clear(&mut self) {
        self.cells.clear();
    }
}

/// The value that a file holds for a real cell: in the column's unit, NaN in its one canonical form.
pub fn shown(cell: f64, scale: f64, offset: f64) -> f64 {
    let value = if scale == 1.0 && offset == 0.0 { cell } else { (cell - offset) / scale };
    if value.is_nan() { f64::NAN } else { value }
}

/// The word that a text cell stands for.
///
/// # Errors
///
/// [`RecordError::Word`] when the cell is no index of a word.
pub fn word<'a>(column: &str, words: &'a [String], cell: f64) -> Result<&'a str, RecordError> {
    // Casting saturates: NaN and negatives become 0, which the comparison refuses unless exact.
    let index = cell as usize;
    match words.get(index) {
        Some(word) if index as f64 == cell => Ok(word),
        _ => Err(RecordError::Word { column: column.to_owned(), cell, words: words.len() }),
    }
}

/// Checks one row against its columns: the length, and that every present text cell names a word.
pub fn check_row(columns: &Columns, row: &[f64]) -> Result<(), RecordError> {
    if row.len() != columns.cells() {
        return Err(RecordError::RowLength { expected: columns.cells(), found: row.len() });
    }
    for (spec, first) in columns.with_cells() {
        if let Element::Text(words) = &spec.element {
            if spec.nullable && row[first] == 0.0 {
                continue;
            }
            let first = first + usize::from(spec.nullable);
            for &cell in &row[first..first + spec.list.unwrap_or(1)] {
                word(&spec.name, words, cell)?;
            }
        }
    }
    Ok(())
}
