//! Sparse LU: left-looking after Gilbert & Peierls (1988) with threshold partial pivoting once, then
//! refactorisation on the fixed pattern with pivot monitoring.

use super::Singular;
use crate::system::Pattern;

const NONE: u32 = u32::MAX;
/// A diagonal pivot is taken if it is at least this part of the column's largest entry.
const PREFER_DIAGONAL: f64 = 0.1;
/// A refactorisation whose pivot is below this part of its column chooses pivots anew.
const KEEP_PIVOT: f64 = 0.02;

/// `P·(α·I + β·J)·Q = L·U`.
#[derive(Clone, Debug)]
pub(super) struct SparseLu {
    n: usize,
    /// Column order: column `k` of the factors is column `q[k]` of the matrix.
    q: Vec<u32>,
    /// Row `i` of the matrix is row `row_of[i]` of the factors.
    row_of: Vec<u32>,
    /// The matrix by columns of the factors, rows permuted: where each entry comes from.
    a_ptr: Vec<u32>,
    a_row: Vec<u32>,
    a_src: Vec<u32>,
    /// The factors by columns, without the unit diagonal of `L` and the diagonal of `U`.
    l_ptr: Vec<u32>,
    l_row: Vec<u32>,
    l_val: Vec<f64>,
    u_ptr: Vec<u32>,
    u_row: Vec<u32>,
    u_val: Vec<f64>,
    /// Reciprocals of the pivots.
    inv: Vec<f64>,
    /// Work space, zero between calls.
    work: Vec<f64>,
    analysed: bool,
    /// Whether the rows are an odd permutation.
    odd_rows: bool,
}

impl SparseLu {
    /// The sign of the determinant, but for that of the column order, which stays.
    pub(super) fn sign(&self) -> f64 {
        let negative = self.inv.iter().filter(|r| **r < 0.0).count() % 2 == 1;
        if self.odd_rows != negative { -1.0 } else { 1.0 }
    }

    /// The order of its columns.
    pub(super) fn into_order(self) -> Vec<u32> {
        self.q
    }

    /// For matrices with the pattern of `J`, in the column order given.
    pub(super) fn new(pattern: &Pattern, q: Vec<u32>) -> Self {
        let n = pattern.n();
        let mut a_ptr = vec![0u32; n + 1];
        let (mut a_row, mut a_src) = (Vec::new(), Vec::new());
        for k in 0..n {
            let j = q[k] as usize;
            let mut diagonal = false;
            for p in pattern.col_ptr()[j]..pattern.col_ptr()[j + 1] {
                let i = pattern.rows()[p];
                diagonal |= i == j;
                a_row.push(i as u32);
                a_src.push(p as u32);
            }
            if !diagonal {
                a_row.push(j as u32);
                a_src.push(NONE);
            }
            a_ptr[k + 1] = a_row.len() as u32;
        }
        SparseLu {
            n,
            q,
            row_of: vec![NONE; n],
            a_ptr,
            a_row,
            a_src,
            l_ptr: vec![0; n + 1],
            l_row: Vec::new(),
            l_val: Vec::new(),
            u_ptr: vec![0; n + 1],
            u_row: Vec::new(),
            u_val: Vec::new(),
            inv: vec![0.0; n],
            work: vec![0.0; n],
            analysed: false,
            odd_rows: false,
        }
    }

    /// The row of the factors for each row of the matrix, once pivots are chosen.
    pub(super) fn pivots(&self) -> Option<&[u32]> {
        self.analysed.then_some(&self.row_of)
    }

    /// Takes pivots that were chosen before; false if there are no such ones. For a matrix that has none yet.
    pub(super) fn adopt(&mut self, row_of: &[u32]) -> bool {
        let n = self.n;
        let mut pivots = vec![NONE; n];
        for (row, &k) in row_of.iter().enumerate() {
            match pivots.get_mut(k as usize) {
                Some(pivot) if *pivot == NONE => *pivot = row as u32,
                _ => return false,
            }
        }
        if self.analysed || row_of.len() != n {
            return false;
        }
        self.forget();
        let mut reached = Reach::new(n);
        for (k, &pivot) in pivots.iter().enumerate() {
            reached.search(self, k);
            if reached.mark[pivot as usize] != k as u32 {
                self.forget();
                return false;
            }
            self.add_upper(&reached.rows);
            reached.rows.sort_unstable();
            let lower = reached.rows.iter().filter(|&&r| self.row_of[r as usize] == NONE && r != pivot);
            self.l_row.extend(lower);
            self.row_of[pivot as usize] = k as u32;
            self.end_column(k);
        }
        self.l_val.resize(self.l_row.len(), 0.0);
        self.number();
        true
    }

    /// No pivots, no factors.
    fn forget(&mut self) {
        self.row_of.fill(NONE);
        for v in [&mut self.l_row, &mut self.u_row] {
            v.clear();
        }
        self.l_val.clear();
        self.u_val.clear();
    }

    /// The rows of `U` in a column, of those that are reached.
    fn add_upper(&mut self, reached: &[u32]) {
        let start = self.u_row.len();
        let numbers = reached.iter().rev().map(|&row| self.row_of[row as usize]).filter(|&j| j != NONE);
        self.u_row.extend(numbers);
        // ascending numbers are an order of evaluation too
        self.u_row[start..].sort_unstable();
    }

    fn end_column(&mut self, k: usize) {
        self.l_ptr[k + 1] = self.l_row.len() as u32;
        self.u_ptr[k + 1] = self.u_row.len() as u32;
    }

    /// Rows by the numbers of the factors, once all pivots are chosen.
    fn number(&mut self) {
        self.u_val.resize(self.u_row.len(), 0.0);
        for r in &mut self.l_row {
            *r = self.row_of[*r as usize];
        }
        for r in &mut self.a_row {
            *r = self.row_of[*r as usize];
        }
        self.analysed = true;
        self.odd_rows = odd(&self.row_of);
    }

    pub(super) fn factor(&mut self, alpha: f64, beta: f64, jac: &[f64]) -> Result<(), Singular> {
        if self.analysed && self.refactor(alpha, beta, jac) {
            return Ok(());
        }
        self.analyse(alpha, beta, jac)
    }

    /// Factorises on the known pattern; false if a pivot became too small.
    fn refactor(&mut self, alpha: f64, beta: f64, jac: &[f64]) -> bool {
        let n = self.n;
        let x = &mut self.work[..n];
        for k in 0..n {
            // the diagonal of the matrix is the entry of row q[k] in this column
            for p in self.a_ptr[k] as usize..self.a_ptr[k + 1] as usize {
                let src = self.a_src[p];
                let v = if src == NONE { 0.0 } else { beta * jac[src as usize] };
                x[self.a_row[p] as usize] = v;
            }
            x[self.row_of[self.q[k] as usize] as usize] += alpha;
            for p in self.u_ptr[k] as usize..self.u_ptr[k + 1] as usize {
                let j = self.u_row[p] as usize;
                let xj = x[j];
                x[j] = 0.0;
                self.u_val[p] = xj;
                if xj != 0.0 {
                    let range = self.l_ptr[j] as usize..self.l_ptr[j + 1] as usize;
                    for (&i, &l) in self.l_row[range.clone()].iter().zip(&self.l_val[range]) {
                        x[i as usize] -= l * xj;
                    }
                }
            }
            let pivot = x[k];
            x[k] = 0.0;
            let inv = 1.0 / pivot;
            self.inv[k] = inv;
            let mut max = 0.0;
            let range = self.l_ptr[k] as usize..self.l_ptr[k + 1] as usize;
            for (&i, l) in self.l_row[range.clone()].iter().zip(&mut self.l_val[range]) {
                let v = x[i as usize];
                x[i as usize] = 0.0;
                if v.abs() > max || v.is_nan() {
                    max = v.abs();
                }
                *l = v * inv;
            }
            if pivot == 0.0 || !pivot.is_finite() || pivot.abs() < KEEP_PIVOT * max || max.is_nan() {
                x.fill(0.0);
                return false;
            }
        }
        true
    }

    /// Chooses pivots and finds the pattern of the factors.
    fn analyse(&mut self, alpha: f64, beta: f64, jac: &[f64]) -> Result<(), Singular> {
        let n = self.n;
        if self.analysed {
            // rows back to the numbers of the matrix
            let mut row = vec![0u32; n];
            for (i, &k) in self.row_of.iter().enumerate() {
                row[k as usize] = i as u32;
            }
            for r in &mut self.a_row {
                *r = row[*r as usize];
            }
            self.analysed = false;
        }
        self.forget();
        self.work.fill(0.0);
        let mut reached = Reach::new(n);
        for k in 0..n {
            let column = self.q[k] as usize;
            reached.search(self, k);
            let Reach { mark, rows: reach, .. } = &mut reached;
            let x = &mut self.work;
            for p in self.a_ptr[k] as usize..self.a_ptr[k + 1] as usize {
                let src = self.a_src[p];
                x[self.a_row[p] as usize] = if src == NONE { 0.0 } else { beta * jac[src as usize] };
            }
            x[column] += alpha;
            for &row in reach.iter().rev() {
                let j = self.row_of[row as usize];
                if j == NONE {
                    continue;
                }
                let xj = x[row as usize];
                for q in self.l_ptr[j as usize] as usize..self.l_ptr[j as usize + 1] as usize {
                    x[self.l_row[q] as usize] -= self.l_val[q] * xj;
                }
            }
            let mut max = 0.0;
            let mut pivot = NONE;
            for &row in &*reach {
                if self.row_of[row as usize] == NONE {
                    let v = x[row as usize].abs();
                    if v > max || v == max && pivot != NONE && row < pivot {
                        max = v;
                        pivot = row;
                    }
                }
            }
            if pivot == NONE
                || max == 0.0
                || !max.is_finite()
                || reach.iter().any(|&r| x[r as usize].is_nan())
            {
                x.fill(0.0);
                return Err(Singular { column });
            }
            if self.row_of[column] == NONE
                && mark[column] == k as u32
                && x[column].abs() >= PREFER_DIAGONAL * max
            {
                pivot = column as u32;
            }
            let inv = 1.0 / x[pivot as usize];
            self.inv[k] = inv;
            self.add_upper(reach);
            let x = &mut self.work;
            reach.sort_unstable();
            for &row in &*reach {
                if self.row_of[row as usize] == NONE && row != pivot {
                    self.l_row.push(row);
                    self.l_val.push(x[row as usize] * inv);
                }
            }
            self.row_of[pivot as usize] = k as u32;
            for &row in &*reach {
                x[row as usize] = 0.0;
            }
            self.end_column(k);
        }
        self.number();
        // once more on the final pattern: the same sums as every later time
        if self.refactor(alpha, beta, jac) { Ok(()) } else { Err(Singular { column: n }) }
    }

    /// Solves in place.
    pub(super) fn solve(&mut self, b: &mut [f64]) {
        let n = self.n;
        let x = &mut self.work[..n];
        let (row_of, q) = (&self.row_of[..n], &self.q[..n]);
        for i in 0..n {
            x[row_of[i] as usize] = b[i];
        }
        let mut from = 0;
        for k in 0..n {
            let to = self.l_ptr[k + 1] as usize;
            let xk = x[k];
            for (&i, &l) in self.l_row[from..to].iter().zip(&self.l_val[from..to]) {
                x[i as usize] -= l * xk;
            }
            from = to;
        }
        let mut to = self.u_row.len();
        for k in (0..n).rev() {
            let from = self.u_ptr[k] as usize;
            let xk = x[k] * self.inv[k];
            x[k] = 0.0;
            b[q[k] as usize] = xk;
            for (&i, &u) in self.u_row[from..to].iter().zip(&self.u_val[from..to]) {
                x[i as usize] -= u * xk;
            }
            to = from;
        }
    }
}

/// The search for the rows that a column of the matrix reaches through the columns of `L` before it.
struct Reach {
    /// The last column that reached a row.
    mark: Vec<u32>,
    stack: Vec<(u32, u32)>,
    /// Rows reached, children before parents.
    rows: Vec<u32>,
}

impl Reach {
    fn new(n: usize) -> Reach {
        Reach { mark: vec![NONE; n], stack: Vec::new(), rows: Vec::new() }
    }

    fn search(&mut self, lu: &SparseLu, k: usize) {
        let Reach { mark, stack, rows } = self;
        rows.clear();
        for p in lu.a_ptr[k] as usize..lu.a_ptr[k + 1] as usize {
            let start = lu.a_row[p];
            if mark[start as usize] == k as u32 {
                continue;
            }
            mark[start as usize] = k as u32;
            stack.push((start, 0));
            while let Some((row, at)) = stack.last_mut() {
                let j = lu.row_of[*row as usize];
                let mut child = NONE;
                if j != NONE {
                    let from = lu.l_ptr[j as usize] + *at;
                    for q in from..lu.l_ptr[j as usize + 1] {
                        *at += 1;
                        let i = lu.l_row[q as usize];
                        if mark[i as usize] != k as u32 {
                            child = i;
                            break;
                        }
                    }
                }
                if child == NONE {
                    rows.push(*row);
                    stack.pop();
                } else {
                    mark[child as usize] = k as u32;
                    stack.push((child, 0));
                }
            }
        }
    }
}

/// Whether a permutation is odd: as many of its cycles are of even length.
fn odd(to: &[u32]) -> bool {
    let mut seen = vec![false; to.len()];
    let mut even = 0;
    for first in 0..to.len() {
        let (mut at, mut length) = (first, 0);
        while !std::mem::replace(&mut seen[at], true) {
            at = to[at] as usize;
            length += 1;
        }
        even += usize::from(length > 0 && length % 2 == 0);
    }
    even % 2 == 1
}
