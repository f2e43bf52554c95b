//! Sparsity patterns, enumerated at set-up in time linear in the number of entries.

use crate::program::{EntryFamily, Jacobian};

/// The pattern of a sparse matrix by columns; rows rise strictly within a column.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Csc {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Column `j` has the entries `col_ptr[j]..col_ptr[j + 1]`; `cols + 1` numbers.
    pub col_ptr: Vec<usize>,
    /// The row of each entry.
    pub row_of: Vec<usize>,
}

impl Csc {
    /// Number of entries.
    #[must_use]
    pub fn nnz(&self) -> usize {
        self.row_of.len()
    }

    /// The rows of column `j`.
    #[must_use]
    pub fn column(&self, j: usize) -> &[usize] {
        &self.row_of[self.col_ptr[j]..self.col_ptr[j + 1]]
    }

    /// From the columns of each row, in any order; columns that repeat count once.
    #[must_use]
    pub fn from_rows<'a>(cols: usize, rows: impl ExactSizeIterator<Item = &'a [u32]> + Clone) -> Self {
        let n = rows.len();
        let mut pairs = Pairs::new(n, cols);
        for (i, columns) in rows.enumerate() {
            for &j in columns {
                pairs.push(i, j as usize);
            }
        }
        pairs.build().0
    }
}

/// Where the values of a Jacobian kernel go: the pattern, and the entry that each value is added to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scatter {
    /// The pattern.
    pub pattern: Csc,
    /// The entry of each slot of `Jac`; `usize::MAX` for a slot that belongs to no family.
    pub entry: Vec<usize>,
}

impl Scatter {
    /// Enumerates the families of a (verified) Jacobian.
    #[must_use]
    pub fn new(j: &Jacobian) -> Self {
        let mut pairs = Pairs::new(j.rows as usize, j.cols as usize);
        let mut slots = Vec::new();
        for family in &j.families {
            each(family, |row, col, slot| {
                pairs.push(row as usize, col as usize);
                slots.push(slot as usize);
            });
        }
        let (pattern, place) = pairs.build();
        let mut entry = vec![usize::MAX; j.entries as usize];
        for (&slot, &at) in slots.iter().zip(&place) {
            entry[slot] = at;
        }
        Self { pattern, entry }
    }

    /// `values[entry] = Σ jac[slot]`, added in the order of the slots. `values` has one number an entry.
    pub fn apply(&self, jac: &[f64], values: &mut [f64]) {
        values.fill(0.0);
        for (&at, &v) in self.entry.iter().zip(jac) {
            if at != usize::MAX {
                values[at] += v;
            }
        }
    }
}

/// All (row, column, slot) of a family, innermost loop fastest.
pub fn each(family: &EntryFamily, mut f: impl FnMut(i64, i64, i64)) {
    let loops = &family.loops;
    if loops.iter().any(|(lo, hi)| lo >= hi) {
        return;
    }
    let mut at: Vec<i64> = loops.iter().map(|l| l.0).collect();
    let value = |a: &crate::ir::Affine, at: &[i64]| a.eval(|i| at.get(i.index()).copied().unwrap_or(0));
    loop {
        f(value(&family.row, &at), value(&family.col, &at), value(&family.slot, &at));
        let mut k = loops.len();
        loop {
            let Some(next) = k.checked_sub(1) else { return };
            k = next;
            at[k] += 1;
            if at[k] < loops[k].1 {
                break;
            }
            at[k] = loops[k].0;
        }
    }
}

/// Coordinates on their way to a pattern.
struct Pairs {
    rows: usize,
    cols: usize,
    list: Vec<(u32, u32)>,
}

impl Pairs {
    fn new(rows: usize, cols: usize) -> Self {
        Self { rows, cols, list: Vec::new() }
    }

    fn push(&mut self, row: usize, col: usize) {
        debug_assert!(row < self.rows && col < self.cols);
        self.list.push((row as u32, col as u32));
    }

    /// The pattern and the entry of each pair: two counting sorts, then repeats fall together.
    fn build(self) -> (Csc, Vec<usize>) {
        let by_row = order(self.list.iter().map(|p| p.0), self.rows, 0..self.list.len());
        let sorted = order(self.list.iter().map(|p| p.1), self.cols, by_row.into_iter());
        let mut entry = vec![0; self.list.len()];
        let mut col_ptr = Vec::with_capacity(self.cols + 1);
        let mut row_of: Vec<usize> = Vec::new();
        let mut last = None;
        for k in sorted {
            let (row, col) = self.list[k];
            if last != Some((row, col)) {
                while col_ptr.len() <= col as usize {
                    col_ptr.push(row_of.len());
                }
                row_of.push(row as usize);
                last = Some((row, col));
            }
            entry[k] = row_of.len() - 1;
        }
        while col_ptr.len() <= self.cols {
            col_ptr.push(row_of.len());
        }
        (Csc { rows: self.rows, cols: self.cols, col_ptr, row_of }, entry)
    }
}

/// A stable counting sort of `sequence` by `keys[item]`.
fn order(
    keys: impl Iterator<Item = u32>,
    n: usize,
    sequence: impl ExactSizeIterator<Item = usize>,
) -> Vec<usize> {
    let keys: Vec<u32> = keys.collect();
    let mut start = vec![0usize; n + 1];
    for &k in &keys {
        start[k as usize + 1] += 1;
    }
    for k in 0..n {
        start[k + 1] += start[k];
    }
    let mut out = vec![0; sequence.len()];
    for item in sequence {
        let at = &mut start[keys[item] as usize];
        out[*at] = item;
        *at += 1;
    }
    out
}
