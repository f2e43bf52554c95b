//! From entry families to a sparse matrix: the pattern once, then values by adding up.

use std::cell::OnceCell;

use twinml_model::passes::sparsity::{Csc, Scatter};
use twinml_model::program::Jacobian;
use twinml_solvers::system::Pattern;

/// Where each value that a Jacobian kernel writes belongs in a matrix by columns.
#[derive(Clone, Debug)]
pub(super) struct Assembly {
    /// A full pattern is made when it is first asked for: an explicit method never does, and its size is `n²`.
    pattern: OnceCell<Pattern>,
    /// Rows and columns.
    n: usize,
    /// The entry of the pattern that the value in slot `k` is added to; beyond all for a slot that belongs to no family.
    entry: Vec<usize>,
    /// Whether values come from a kernel at all.
    kernel: bool,
}

impl Assembly {
    /// Expands the families: time and memory linear in the number of entries.
    pub(super) fn of(jacobian: &Jacobian) -> Assembly {
        let Scatter { pattern: mut csc, entry } = Scatter::new(jacobian);
        let n = csc.rows.max(csc.cols);
        csc.col_ptr.resize(n + 1, csc.row_of.len());
        // Sorted by column and row without repetition: always a pattern.
        let pattern = Pattern::new(n, csc.col_ptr, csc.row_of).unwrap_or_else(|_| Pattern::dense(n));
        Assembly { pattern: pattern.into(), n, entry, kernel: true }
    }

    /// A full matrix whose values come from elsewhere.
    pub(super) fn dense(n: usize) -> Assembly {
        Assembly { pattern: OnceCell::new(), n, entry: Vec::new(), kernel: false }
    }

    /// A sparse matrix whose values come from elsewhere.
    pub(super) fn patterned(csc: &Csc) -> Assembly {
        let n = csc.cols;
        let pattern =
            Pattern::new(n, csc.col_ptr.clone(), csc.row_of.clone()).unwrap_or_else(|_| Pattern::dense(n));
        Assembly { pattern: pattern.into(), n, entry: Vec::new(), kernel: false }
    }

    /// The pattern.
    pub(super) fn pattern(&self) -> &Pattern {
        self.pattern.get_or_init(|| Pattern::dense(self.n))
    }

    /// Whether a kernel writes the values.
    pub(super) fn has_kernel(&self) -> bool {
        self.kernel
    }

    /// Number of values that the kernel writes.
    pub(super) fn entries(&self) -> usize {
        self.entry.len()
    }

    /// Adds the kernel's values up in the order of their slots.
    pub(super) fn collect(&self, jac: &[f64], values: &mut [f64]) {
        values.fill(0.0);
        for (&entry, &value) in self.entry.iter().zip(jac) {
            if let Some(sum) = values.get_mut(entry) {
                *sum += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinml_model::ids::Index;
    use twinml_model::ir::{Affine, Kernel};
    use twinml_model::program::EntryFamily;

    #[test]
    fn families_become_a_pattern_and_equal_places_add() {
        let i = Index(0);
        let line = |row: i64, col: i64, slot: i64, len: i64| EntryFamily {
            loops: vec![(0, len)],
            row: Affine::constant(row).plus(i, 1),
            col: Affine::constant(col).plus(i, 1),
            slot: Affine::constant(slot).plus(i, 1),
        };
        // A 4 × 4 tridiagonal matrix whose diagonal comes in two parts.
        let families = vec![line(0, 0, 0, 4), line(1, 0, 4, 3), line(0, 1, 7, 3), line(0, 0, 10, 4)];
        let jacobian = Jacobian { rows: 4, cols: 4, entries: 14, families, kernel: Kernel::new("j") };
        let assembly = Assembly::of(&jacobian);
        assert_eq!(assembly.pattern().col_ptr(), [0, 2, 5, 8, 10]);
        assert_eq!(assembly.pattern().rows(), [0, 1, 0, 1, 2, 1, 2, 3, 2, 3]);
        let jac: Vec<f64> = (0..14).map(f64::from).collect();
        let mut values = vec![0.0; 10];
        assembly.collect(&jac, &mut values);
        assert_eq!(values, [10.0, 4.0, 7.0, 12.0, 5.0, 8.0, 14.0, 6.0, 9.0, 16.0]);
    }
}
