//! Derivatives of what algebraic blocks find, from those of their residuals: `∂r/∂u·∂u/∂x = −∂r/∂x`, block by block in the
//! order in which they are solved, by elimination with rows exchanged for the largest pivot.

#![allow(clippy::needless_range_loop, reason = "rows and columns of a matrix")]

use crate::ids::Value;
use crate::ir::{BinOp, CmpOp, Op, Ty, UnOp};
use crate::passes::rk4::Inline;
use std::collections::{BTreeMap, BTreeSet};

/// Which derivatives there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Implicit {
    states: usize,
    blocks: Vec<Block>,
    /// Rows and columns that are left once unknowns are gone; time is the column after the states.
    left: BTreeSet<(usize, usize)>,
}

/// The unknowns of a block, numbered behind the states, and what they depend on: states, and time behind all unknowns.
#[derive(Clone, Debug)]
struct Block {
    first: usize,
    n: usize,
    on: BTreeSet<usize>,
}

/// Derivatives by row and column.
type Entries = BTreeMap<(usize, usize), Value>;

impl Implicit {
    /// `sizes`: of the blocks, in their order; `entries`: rows and columns that are there. `None` where a block's residuals
    /// depend on a later one.
    pub(super) fn of(states: usize, sizes: &[usize], entries: &[(u32, u32, i64)]) -> Option<Self> {
        let time = states + sizes.iter().sum::<usize>();
        let columns_of = |rows: std::ops::Range<usize>| {
            let within = entries.iter().filter(move |e| rows.contains(&(e.0 as usize)));
            within.map(|e| e.1 as usize).collect::<BTreeSet<usize>>()
        };
        let mut out = Implicit { states, ..Implicit::default() };
        let mut first = states;
        for &n in sizes {
            let mut on = BTreeSet::new();
            for column in columns_of(first..first + n) {
                match out.block(column) {
                    Some(earlier) => on.extend(&earlier.on),
                    None if column < states || column == time => _ = on.insert(column),
                    None if (first..first + n).contains(&column) => {}
                    None => return None,
                }
            }
            out.blocks.push(Block { first, n, on });
            first += n;
        }
        for row in 0..states {
            for column in columns_of(row..row + 1) {
                let columns: Vec<usize> = match out.block(column) {
                    Some(block) => block.on.iter().copied().collect(),
                    None => vec![column],
                };
                out.left.extend(columns.into_iter().map(|c| (row, if c == time { states } else { c })));
            }
        }
        Some(out)
    }

    /// The block that a column belongs to, if it was met.
    fn block(&self, column: usize) -> Option<&Block> {
        self.blocks.iter().find(|b| (b.first..b.first + b.n).contains(&column))
    }

    /// The rows and columns of `∂f/∂x`, sorted.
    pub(super) fn pattern(&self) -> Vec<(usize, usize)> {
        self.left.iter().copied().filter(|p| p.1 < self.states).collect()
    }

    /// Operations, about.
    pub(super) fn work(&self) -> usize {
        let one = |b: &Block| b.n * b.n * (2 * b.n + 4 * b.on.len()) + b.n * self.states * b.on.len();
        self.blocks.iter().map(one).sum()
    }

    /// The derivatives by states and time (the column after the states) from those by states, unknowns and time (the column
    /// after both).
    pub(super) fn explicit(&self, k: &mut Inline<'_>, entries: Entries) -> Entries {
        if self.blocks.is_empty() {
            return entries;
        }
        let time = self.states + self.blocks.iter().map(|b| b.n).sum::<usize>();
        // ∂u/∂x by unknown and column
        let mut found = Entries::new();
        for block in &self.blocks {
            block.solve(k, self.states, &entries, &mut found);
        }
        let mut out = Entries::new();
        for row in 0..self.states {
            let mut sums = BTreeMap::new();
            through(k, &entries, &found, row, self.states..time, &mut sums);
            for (column, value) in sums {
                out.insert((row, if column == time { self.states } else { column }), value);
            }
        }
        out
    }
}

/// The derivatives of a row, those by unknowns in `unknowns` (which were found) by what these depend on.
fn through(
    k: &mut Inline<'_>,
    entries: &Entries,
    found: &Entries,
    row: usize,
    unknowns: std::ops::Range<usize>,
    sums: &mut BTreeMap<usize, Value>,
) {
    let of_row = || entries.range((row, 0)..(row + 1, 0)).map(|(&(_, column), &value)| (column, value));
    for (column, value) in of_row().filter(|(column, _)| !unknowns.contains(column)) {
        sums.insert(column, value);
    }
    for (unknown, by) in of_row().filter(|(column, _)| unknowns.contains(column)) {
        for (&(_, column), &d) in found.range((unknown, 0)..(unknown + 1, 0)) {
            let sum = match sums.get(&column) {
                Some(&sum) => k.push_as(Op::Fma(by, d, sum), Ty::F64),
                None => k.push_as(Op::Bin(BinOp::Mul, by, d), Ty::F64),
            };
            sums.insert(column, sum);
        }
    }
}

impl Block {
    /// Adds its unknowns' derivatives.
    fn solve(&self, k: &mut Inline<'_>, states: usize, entries: &Entries, found: &mut Entries) {
        let own = self.first..self.first + self.n;
        let zero = k.constant(0.0);
        let columns: Vec<usize> = own.clone().chain(self.on.iter().copied()).collect();
        // rows of the matrix, and behind it of the right-hand sides
        let mut rows: Vec<Vec<Value>> = own
            .clone()
            .map(|row| {
                let mut sums = BTreeMap::new();
                through(k, entries, found, row, states..own.start, &mut sums);
                columns.iter().map(|c| sums.get(c).copied().unwrap_or(zero)).collect()
            })
            .collect();
        let mut inverse = Vec::with_capacity(self.n);
        for p in 0..self.n {
            for i in p + 1..self.n {
                if rows[i][p] == zero {
                    continue;
                }
                let [here, there] =
                    [rows[p][p], rows[i][p]].map(|v| k.push_as(Op::Un(UnOp::Abs, v), Ty::F64));
                let more = k.push_as(Op::Cmp(CmpOp::Gt, there, here), Ty::Bool);
                for c in p..columns.len() {
                    let (a, b) = (rows[p][c], rows[i][c]);
                    if a != b {
                        rows[p][c] = k.push_as(Op::Select(more, b, a), Ty::F64);
                        rows[i][c] = k.push_as(Op::Select(more, a, b), Ty::F64);
                    }
                }
            }
            let one = k.constant(1.0);
            let r = k.push_as(Op::Bin(BinOp::Div, one, rows[p][p]), Ty::F64);
            inverse.push(r);
            for i in p + 1..self.n {
                if rows[i][p] == zero {
                    continue;
                }
                let l = k.push_as(Op::Bin(BinOp::Mul, rows[i][p], r), Ty::F64);
                let minus = k.push_as(Op::Un(UnOp::Neg, l), Ty::F64);
                for c in p + 1..columns.len() {
                    let (u, old) = (rows[p][c], rows[i][c]);
                    if u != zero {
                        rows[i][c] = k.push_as(Op::Fma(minus, u, old), Ty::F64);
                    }
                }
            }
        }
        for (at, &column) in columns.iter().enumerate().skip(self.n) {
            // minus the solutions, the last one first
            let mut x = vec![zero; self.n];
            for p in (0..self.n).rev() {
                let mut sum = k.push_as(Op::Un(UnOp::Neg, rows[p][at]), Ty::F64);
                for j in p + 1..self.n {
                    if rows[p][j] != zero {
                        let minus = k.push_as(Op::Un(UnOp::Neg, rows[p][j]), Ty::F64);
                        sum = k.push_as(Op::Fma(minus, x[j], sum), Ty::F64);
                    }
                }
                x[p] = k.push_as(Op::Bin(BinOp::Mul, sum, inverse[p]), Ty::F64);
            }
            for (unknown, value) in own.clone().zip(x) {
                found.insert((unknown, column), value);
            }
        }
    }
}
