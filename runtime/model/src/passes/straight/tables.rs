//! Tables in straight lines: one piece whose numbers stand in slots, or all of them and a choice.
//!
//! What is written out has the bits of what a host computes call by call (`engine/run/table`).

use super::Line;
use crate::ids::{TableId, Value};
use crate::ir::{BinOp, CmpOp, Op, Space, Ty, UnOp};
use crate::program::{Outside, Table, TableMethod};
use crate::table::{bends, polynomial};

/// Most samples of a table that is written out: it costs about six operations for each, a host's search about as much as a
/// hundred samples take beside seven other runs.
pub const SAMPLES: usize = 128;

/// The numbers of a piece of a table, in the order of their slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// What is taken off the argument, of a table that repeats itself.
    Shift,
    /// Where the piece begins.
    X0,
    /// Where it ends.
    X1,
    /// The value where it begins.
    Y0,
    /// The value where it ends.
    Y1,
    /// The slope between them.
    Slope,
    /// Beyond this argument the table has come to its end.
    End,
    /// The value there.
    Last,
}

/// Number of [`Piece`]s.
pub const PIECES: u32 = 8;

/// Whether a table is looked up on one piece from event to event.
#[must_use]
pub fn by_piece(table: &Table) -> bool {
    let kinks = matches!(table.method, TableMethod::Linear | TableMethod::Step) && table.x.len() > 1;
    table.of_time && kinks
}

/// Whether all of its pieces are written out. One that ends a run beyond its samples is not: lines end no run.
#[must_use]
pub fn in_line(table: &Table) -> bool {
    let single = table.x.len() == 1;
    let sound = table.x.len() == table.y.len() && (1..=SAMPLES).contains(&table.x.len());
    sound && !by_piece(table) && (single || table.outside != Outside::Error)
}

impl Line<'_, '_> {
    /// A table's value or derivative.
    pub(super) fn table(&mut self, table: TableId, x: Value, order: u8) -> Option<Value> {
        let given = self.ways.program.tables.get(table.index())?;
        if let Some(&(_, first)) = self.ways.tables.iter().find(|(k, _)| *k == table.index()) {
            return Some(self.piece(given, first, x, order));
        }
        match in_line(given) {
            true => Some(self.pieces(given, x, order)),
            false => Some(self.f(Op::Table { table, x, order })),
        }
    }

    /// The same value, in which no product can be fused with what is done with it.
    fn apart(&mut self, x: Value) -> Value {
        let always = self.push(Op::ConstB(true), Ty::Bool);
        self.select(always, x, x)
    }

    /// On the piece whose numbers stand in slots from `first` on.
    fn piece(&mut self, given: &Table, first: u32, x: Value, order: u8) -> Value {
        let at = |line: &mut Self, p: Piece| line.load(Space::Jac, first + p as u32);
        if given.method == TableMethod::Step {
            // A value for all of the piece, and for what is outside.
            return if order == 0 { at(self, Piece::Y0) } else { self.c(0.0) };
        }
        let x = self.apart(x);
        let x = match given.outside {
            Outside::Repeat => {
                let shift = at(self, Piece::Shift);
                self.bin(BinOp::Sub, x, shift)
            }
            _ => x,
        };
        let end = at(self, Piece::End);
        // At the end itself the value is the last one either way, and what is differentiated has the slope of what follows.
        let over = self.cmp(if order == 0 { CmpOp::Ge } else { CmpOp::Gt }, x, end);
        let inside = match order {
            0 => {
                let [x0, x1, y0, y1, slope] =
                    [Piece::X0, Piece::X1, Piece::Y0, Piece::Y1, Piece::Slope].map(|p| at(self, p));
                let u = self.bin(BinOp::Sub, x, x0);
                let d = self.bin(BinOp::Mul, u, slope);
                let y = self.bin(BinOp::Add, y0, d);
                let there = self.cmp(CmpOp::Eq, x, x1);
                self.select(there, y1, y)
            }
            1 => at(self, Piece::Slope),
            _ => self.c(0.0),
        };
        let last = if order == 0 { at(self, Piece::Last) } else { self.c(0.0) };
        self.select(over, last, inside)
    }

    /// On the piece that the argument lies on.
    fn pieces(&mut self, given: &Table, argument: Value, order: u8) -> Value {
        let (xs, ys) = (&given.x, &given.y);
        let (n, first, last) = (xs.len(), xs[0], xs[xs.len() - 1]);
        let argument = self.apart(argument);
        let number = self.cmp(CmpOp::Eq, argument, argument);
        let y = if n == 1 {
            self.c(if order == 0 { ys[0] } else { 0.0 })
        } else {
            let x = match given.outside {
                Outside::Repeat => self.folded(argument, first, last),
                _ => argument,
            };
            if given.method == TableMethod::Step {
                let rows: Vec<[f64; 1]> = ys.iter().map(|&y| [if order == 0 { y } else { 0.0 }]).collect();
                self.choice(x, xs, &rows)[0]
            } else {
                self.curve(given, x, order)
            }
        };
        self.select(number, y, argument)
    }

    /// Within the first period, whose end is the start of the next one.
    fn folded(&mut self, x: Value, first: f64, last: f64) -> Value {
        let (start, period) = (self.c(first), self.c(last - first));
        let since = self.bin(BinOp::Sub, x, start);
        let turn = self.bin(BinOp::Div, since, period);
        let turn = self.f(Op::Un(UnOp::Floor, turn));
        let back = self.bin(BinOp::Mul, turn, period);
        let x = self.apart(x);
        let back = self.apart(back);
        let x = self.bin(BinOp::Sub, x, back);
        let end = self.c(last);
        let over = self.cmp(CmpOp::Ge, x, end);
        self.select(over, start, x)
    }

    /// A table whose pieces are polynomials.
    fn curve(&mut self, given: &Table, x: Value, order: u8) -> Value {
        let (xs, ys, n) = (&given.x, &given.y, given.x.len());
        let bends = bends(given);
        let rows: Vec<[f64; 5]> = (0..n - 1)
            .map(|k| {
                let h = xs[k + 1] - xs[k];
                let slope = (ys[k + 1] - ys[k]) / h;
                let (b, c, d) = match bends.is_empty() {
                    true => (slope, 0.0, 0.0),
                    false => polynomial(given.method, h, slope, (bends[k], bends[k + 1])),
                };
                match order {
                    0 => [xs[k], ys[k], b, c, d],
                    1 => [xs[k], b, 2.0 * c, 3.0 * d, 0.0],
                    _ => [xs[k], 2.0 * c, 6.0 * d, 0.0, 0.0],
                }
            })
            .collect();
        let row = self.choice(x, &xs[..n - 1], &rows);
        let u = self.bin(BinOp::Sub, x, row[0]);
        let bent = !bends.is_empty();
        let y = match (order, bent) {
            (0, true) => {
                let p = self.sum_of(row[3], u, row[4]);
                let p = self.sum_of(row[2], u, p);
                self.sum_of(row[1], u, p)
            }
            (0, false) => self.sum_of(row[1], u, row[2]),
            (1, true) => {
                let p = self.sum_of(row[2], u, row[3]);
                self.sum_of(row[1], u, p)
            }
            (1, false) => row[1],
            (_, true) => self.sum_of(row[1], row[2], u),
            (_, false) => self.c(0.0),
        };
        let (first, last) = (self.c(xs[0]), self.c(xs[n - 1]));
        let [y_first, y_last] = [ys[0], ys[n - 1]].map(|y| self.c(if order == 0 { y } else { 0.0 }));
        if given.outside == Outside::Hold {
            let over = self.cmp(if order == 0 { CmpOp::Ge } else { CmpOp::Gt }, x, last);
            let under = self.cmp(CmpOp::Lt, x, first);
            let y = self.select(over, y_last, y);
            return self.select(under, y_first, y);
        }
        let there = self.cmp(CmpOp::Eq, x, last);
        match order {
            0 => self.select(there, y_last, y),
            _ => self.apart(y),
        }
    }

    /// `a + b·c`, both rounded.
    fn sum_of(&mut self, a: Value, b: Value, c: Value) -> Value {
        let d = self.bin(BinOp::Mul, b, c);
        self.bin(BinOp::Add, a, d)
    }

    /// The row of the last start at or before `x`; of the first where there is none.
    fn choice<const N: usize>(&mut self, x: Value, starts: &[f64], rows: &[[f64; N]]) -> [Value; N] {
        let middle = rows.len() / 2;
        if middle == 0 {
            return rows[0].map(|c| self.c(c));
        }
        let start = self.c(starts[middle]);
        let behind = self.cmp(CmpOp::Ge, x, start);
        let before = self.choice(x, &starts[..middle], &rows[..middle]);
        let after = self.choice(x, &starts[middle..], &rows[middle..]);
        let same = |k: usize| rows.iter().all(|r| r[k].to_bits() == rows[0][k].to_bits());
        std::array::from_fn(|k| match same(k) {
            true => before[k],
            false => self.select(behind, after[k], before[k]),
        })
    }
}
