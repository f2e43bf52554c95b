//! Colouring of columns, so that one directional derivative gives many columns of a Jacobian.
//!
//! Two columns with an entry in one row get different colours (Curtis, Powell and Reid 1974), greedily in
//! the order of the columns: for banded matrices that is optimal.

use super::sparsity::Csc;

/// A colour for each column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coloring {
    /// The colour of each column, from 0.
    pub of: Vec<u32>,
    /// Number of colours.
    pub count: u32,
}

impl Coloring {
    /// Colours the columns of a pattern. The cost is about nnz · colours/64.
    #[must_use]
    pub fn greedy(pattern: &Csc) -> Self {
        // the colours that each row has seen, as bits
        let mut seen: Vec<Vec<u64>> = vec![Vec::new(); pattern.rows];
        let mut of = Vec::with_capacity(pattern.cols);
        let mut count = 0;
        for j in 0..pattern.cols {
            let rows = pattern.column(j);
            let words = rows.iter().map(|&i| seen[i].len()).max().unwrap_or(0);
            let word = (0..words).find(|&w| or(&seen, rows, w) != u64::MAX).unwrap_or(words);
            let color = word * 64 + or(&seen, rows, word).trailing_ones() as usize;
            for &i in rows {
                let bits = &mut seen[i];
                if bits.len() <= word {
                    bits.resize(word + 1, 0);
                }
                bits[word] |= 1 << (color % 64);
            }
            count = count.max(color as u32 + 1);
            of.push(color as u32);
        }
        Self { of, count }
    }

    /// The direction of a colour: 1 for its columns, 0 elsewhere.
    pub fn seed(&self, color: u32, direction: &mut [f64]) {
        for (d, &c) in direction.iter_mut().zip(&self.of) {
            *d = f64::from(u8::from(c == color));
        }
    }

    /// Takes the entries of a colour's columns out of `J·direction`. `values` has one number an entry.
    pub fn gather(&self, color: u32, pattern: &Csc, product: &[f64], values: &mut [f64]) {
        for (j, _) in self.of.iter().enumerate().filter(|&(_, &c)| c == color) {
            for k in pattern.col_ptr[j]..pattern.col_ptr[j + 1] {
                values[k] = product[pattern.row_of[k]];
            }
        }
    }
}

fn or(seen: &[Vec<u64>], rows: &[usize], word: usize) -> u64 {
    rows.iter().fold(0, |all, &i| all | seen[i].get(word).copied().unwrap_or(0))
}
