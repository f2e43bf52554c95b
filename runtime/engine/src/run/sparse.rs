//! From entry families to a sparse matrix: the pattern once, then values by adding up.

use std::cell::OnceCell;

use twinml_model::passes::sparsity::Csc;
use twinml_model::program::Jacobian;
use twinml_solvers::system::Pattern;

/// Where each value that a Jacobian kernel writes belongs in a matrix by columns.
#[derive(Clone, Debug)]
pub(super) struct Assembly {
    /// A full pattern is made when it is first asked for: an explicit method never does, and its size is `n²`.
    pattern: OnceCell<Pattern>,
    /// Rows and columns.
    n: usize,
    /// Position in the pattern of the value in slot `k`.
    position: Vec<u32>,
    /// Whether values come from a kernel at all.
    kernel: bool,
}

impl Assembly {
    /// Expands the families: time and memory linear in the number of entries.
    pub(super) fn of(jacobian: &Jacobian) -> Assembly {
        let (rows, cols, entries) =
            (jacobian.rows as usize, jacobian.cols as usize, jacobian.entries as usize);
        let n = rows.max(cols);
        // (row, column) of each slot; slots that no family names stay out of range.
        let mut places = vec![(u32::MAX, u32::MAX); entries];
        for family in &jacobian.families {
            let mut at: Vec<i64> = family.loops.iter().map(|&(lo, _)| lo).collect();
            if family.loops.iter().any(|&(lo, hi)| lo >= hi) {
                continue;
            }
            'entries: loop {
                let index = |i: twinml_model::ids::Index| at.get(i.index()).copied().unwrap_or(0);
                let (slot, row, col) =
                    (family.slot.eval(index), family.row.eval(index), family.col.eval(index));
                places[slot as usize] = (row as u32, col as u32);
                let mut k = family.loops.len();
                loop {
                    if k == 0 {
                        break 'entries;
                    }
                    k -= 1;
                    at[k] += 1;
                    if at[k] < family.loops[k].1 {
                        break;
                    }
                    at[k] = family.loops[k].0;
                }
            }
        }
        // Two passes of counting sort: by row, then by column.
        let by = |key: &dyn Fn(u32) -> u32, order: &[u32]| {
            let mut start = vec![0_u32; n + 2];
            for &slot in order {
                start[(key(slot) as usize).min(n) + 1] += 1;
            }
            for k in 1..start.len() {
                start[k] += start[k - 1];
            }
            let mut sorted = vec![0_u32; order.len()];
            for &slot in order {
                let bucket = &mut start[(key(slot) as usize).min(n)];
                sorted[*bucket as usize] = slot;
                *bucket += 1;
            }
            sorted
        };
        let order: Vec<u32> = (0..entries as u32).collect();
        let order = by(&|slot| places[slot as usize].0, &order);
        let order = by(&|slot| places[slot as usize].1, &order);
        let mut position = vec![u32::MAX; entries];
        let mut col_ptr = vec![0_usize; n + 1];
        let mut row_list: Vec<usize> = Vec::with_capacity(entries);
        let mut last = None;
        for slot in order {
            let (row, col) = places[slot as usize];
            if row == u32::MAX || col as usize >= n || row as usize >= n {
                continue;
            }
            if last != Some((row, col)) {
                row_list.push(row as usize);
                col_ptr[col as usize + 1] += 1;
                last = Some((row, col));
            }
            position[slot as usize] = (row_list.len() - 1) as u32;
        }
        for k in 1..=n {
            col_ptr[k] += col_ptr[k - 1];
        }
        // Sorted by column and row without repetition: always a pattern.
        let pattern = Pattern::new(n, col_ptr, row_list).unwrap_or_else(|_| Pattern::dense(n));
        Assembly { pattern: pattern.into(), n, position, kernel: true }
    }

    /// A full matrix whose values come from elsewhere.
    pub(super) fn dense(n: usize) -> Assembly {
        Assembly { pattern: OnceCell::new(), n, position: Vec::new(), kernel: false }
    }

    /// A sparse matrix whose values come from elsewhere.
    pub(super) fn patterned(csc: &Csc) -> Assembly {
        let n = csc.cols;
        let pattern =
            Pattern::new(n, csc.col_ptr.clone(), csc.row_of.clone()).unwrap_or_else(|_| Pattern::dense(n));
        Assembly { pattern: pattern.into(), n, position: Vec::new(), kernel: false }
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
        self.position.len()
    }

    /// Adds the kernel's values up in the order of their slots.
    pub(super) fn collect(&self, jac: &[f64], values: &mut [f64]) {
        values.fill(0.0);
        for (&position, &value) in self.position.iter().zip(jac) {
            if let Some(sum) = values.get_mut(position as usize) {
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
