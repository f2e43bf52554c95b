//! Functions given by samples.
//!
//! Linear and step tables are exact at their samples; of the others see [`twinml_model::table`]. Arguments and values are in
//! SI. What is computed here is written out for lanes in `twinml_model::passes::straight`, to the same bits.

use twinml_model::passes::straight::PIECES;
use twinml_model::program::{Outside, Table, TableMethod};
use twinml_model::table::{bends, polynomial};

/// A table, ready to be evaluated.
#[derive(Clone, Debug)]
pub(super) struct TableFn {
    x: Vec<f64>,
    y: Vec<f64>,
    /// Slope (`pchip`) or second derivative (`cubic`) at each sample; empty for the others.
    d: Vec<f64>,
    method: TableMethod,
    outside: Outside,
    /// Where the last argument was: the next one is often near.
    hint: usize,
    /// For a table of time: the piece that holds until the next time event, as the index of its first sample (which
    /// counts on over the periods of a repeated table).
    frozen: Option<i64>,
}

impl TableFn {
    pub(super) fn new(table: &Table) -> TableFn {
        let (x, y, d) = (table.x.clone(), table.y.clone(), bends(table));
        TableFn { x, y, d, method: table.method, outside: table.outside, hint: 0, frozen: None }
    }

    /// Whether its value, or its slope, jumps at samples.
    pub(super) fn has_kinks(&self) -> bool {
        matches!(self.method, TableMethod::Linear | TableMethod::Step) && self.x.len() > 1
    }

    /// Whether its value jumps at samples.
    pub(super) fn jumps(&self) -> bool {
        self.method == TableMethod::Step && self.x.len() > 1
    }

    /// For a table of time: freezes the piece that holds from `t` on.
    pub(super) fn freeze(&mut self, t: f64) {
        self.frozen = Some(self.piece(t));
    }

    /// The numbers by which kernels on lanes evaluate the frozen piece (`twinml_model::passes::straight`), in the order of
    /// `Piece`; `None` where there is no such piece or the table may end on it.
    pub(super) fn numbers(&self) -> Option<[f64; PIECES as usize]> {
        let frozen = self.frozen.filter(|_| self.has_kinks())?;
        let n = self.x.len() as i64;
        let (mut k, mut shift) = (frozen, 0.0);
        if self.outside == Outside::Repeat {
            let turn = frozen.div_euclid(n - 1);
            k = frozen.rem_euclid(n - 1);
            shift = turn as f64 * (self.x[n as usize - 1] - self.x[0]);
        }
        let before = k < 0;
        let behind = k == n - 1;
        let ends = matches!(self.outside, Outside::Hold | Outside::Error);
        if self.outside == Outside::Error && (before || behind) {
            return None;
        }
        let edge = if before { 0 } else { n as usize - 1 };
        let end = match (before, behind) {
            (true, _) if ends => f64::NEG_INFINITY,
            (_, true) if ends => self.x[edge],
            _ => f64::INFINITY,
        };
        let last = self.y[edge];
        if self.method == TableMethod::Step {
            let value = self.y[k.clamp(0, n - 1) as usize];
            return Some([shift, 0.0, 0.0, value, value, 0.0, f64::INFINITY, value]);
        }
        let k = k.clamp(0, n - 2) as usize;
        let (x0, x1, y0, y1) = (self.x[k], self.x[k + 1], self.y[k], self.y[k + 1]);
        Some([shift, x0, x1, y0, y1, (y1 - y0) / (x1 - x0), end, last])
    }

    /// The frozen piece, for a snapshot.
    pub(super) fn frozen(&self) -> Option<i64> {
        self.frozen
    }

    /// Takes it back; false where there is no such piece.
    pub(super) fn refreeze(&mut self, piece: Option<i64>) -> bool {
        let n = self.x.len() as i64;
        let turns = self.outside == Outside::Repeat && n > 1;
        // Of a repeated table pieces count on, as far as a double counts.
        let fits = |p: i64| if turns { p.abs() < 1 << 52 } else { (-1..n).contains(&p) };
        self.frozen = piece;
        piece.is_none_or(fits)
    }

    /// Whether another piece than the frozen one holds from `t` on.
    pub(super) fn leaves_piece(&self, t: f64) -> bool {
        self.frozen.is_some_and(|frozen| frozen != self.piece(t))
    }

    /// The first sample after `t`, in the time of the argument; infinite when there is none.
    pub(super) fn next_kink(&self, t: f64) -> f64 {
        let next = self.piece(t) + 1;
        let at = self.at_sample(next);
        // Rounding in the shift of a repeated table may leave us on the sample itself.
        if at > t { at } else { self.at_sample(next + 1) }
    }

    /// The time of sample `index`, counted on over the periods of a repeated table.
    fn at_sample(&self, index: i64) -> f64 {
        let n = self.x.len() as i64;
        if self.outside == Outside::Repeat && n > 1 {
            let (turn, k) = (index.div_euclid(n - 1), index.rem_euclid(n - 1));
            return self.x[k as usize] + turn as f64 * (self.x[n as usize - 1] - self.x[0]);
        }
        if index < 0 || index >= n { f64::INFINITY } else { self.x[index as usize] }
    }

    /// The index of the last sample at or before `x`, −1 before the first.
    fn piece(&self, x: f64) -> i64 {
        let n = self.x.len() as i64;
        if self.outside == Outside::Repeat && n > 1 {
            let (x, turn) = self.fold(x);
            return turn as i64 * (n - 1)
                + self.x.partition_point(|s| *s <= x).clamp(1, n as usize - 1) as i64
                - 1;
        }
        self.x.partition_point(|s| *s <= x) as i64 - 1
    }

    /// Brings an argument into the first period, whose end is the start of the next one; returns it and the number of periods
    /// passed.
    fn fold(&self, x: f64) -> (f64, f64) {
        let (first, last) = (self.x[0], self.x[self.x.len() - 1]);
        let period = last - first;
        let turn = ((x - first) / period).floor();
        let folded = x - turn * period;
        // just before its end, by less than a rounding
        if folded >= last { (first, turn + 1.0) } else { (folded, turn) }
    }

    /// Value (`order` 0) or derivative (1, 2) at `x`; `None` outside a table that has no rule for that.
    pub(super) fn eval(&mut self, x: f64, order: u8) -> Option<f64> {
        if x.is_nan() || self.x.is_empty() {
            return Some(f64::NAN);
        }
        let n = self.x.len();
        if n == 1 {
            return Some(if order == 0 { self.y[0] } else { 0.0 });
        }
        let mut x = x;
        // The sample that begins the piece.
        let mut k = match self.frozen {
            Some(piece) if self.has_kinks() => {
                let mut piece = piece;
                if self.outside == Outside::Repeat {
                    let (turn, k) = (piece.div_euclid(n as i64 - 1), piece.rem_euclid(n as i64 - 1));
                    x -= turn as f64 * (self.x[n - 1] - self.x[0]);
                    piece = k;
                }
                piece
            }
            _ => {
                if self.outside == Outside::Repeat {
                    x = self.fold(x).0;
                }
                self.find(x)
            }
        };
        if k < 0 || (k == n as i64 - 1 && x > self.x[n - 1]) {
            match self.outside {
                Outside::Hold => {
                    let end = if k < 0 { self.y[0] } else { self.y[n - 1] };
                    return Some(if order == 0 { end } else { 0.0 });
                }
                Outside::Error => return None,
                Outside::Extend | Outside::Repeat => {}
            }
        }
        if self.method == TableMethod::Step {
            return Some(if order == 0 { self.y[k.clamp(0, n as i64 - 1) as usize] } else { 0.0 });
        }
        k = k.clamp(0, n as i64 - 2);
        Some(self.on_piece(k as usize, x, order))
    }

    /// The index of the last sample at or before `x`, −1 before the first; looks near the last answer first.
    fn find(&mut self, x: f64) -> i64 {
        let n = self.x.len();
        let k = self.hint.min(n - 1);
        let inside = |k: usize| self.x[k] <= x && (k + 1 == n || x < self.x[k + 1]);
        let found = if inside(k) {
            k
        } else if k + 1 < n && inside(k + 1) {
            k + 1
        } else {
            let after = self.x.partition_point(|s| *s <= x);
            if after == 0 {
                return -1;
            }
            after - 1
        };
        self.hint = found;
        found as i64
    }

    /// Value or derivative of the piece that begins at sample `k`.
    fn on_piece(&self, k: usize, x: f64, order: u8) -> f64 {
        let (x0, x1, y0, y1) = (self.x[k], self.x[k + 1], self.y[k], self.y[k + 1]);
        let h = x1 - x0;
        let u = x - x0;
        let slope = (y1 - y0) / h;
        match self.method {
            TableMethod::Step => y0,
            TableMethod::Linear => match order {
                // Exact at both samples.
                0 if x == x1 => y1,
                0 => y0 + u * slope,
                1 => slope,
                _ => 0.0,
            },
            TableMethod::Pchip | TableMethod::Cubic => {
                // y0 + u·(b + u·(c + u·d))
                let (b, c, d) = polynomial(self.method, h, slope, (self.d[k], self.d[k + 1]));
                match order {
                    0 if x == x1 => y1,
                    0 => y0 + u * (b + u * (c + u * d)),
                    1 => b + u * (2.0 * c + u * (3.0 * d)),
                    _ => 2.0 * c + 6.0 * d * u,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(method: TableMethod, outside: Outside) -> TableFn {
        TableFn::new(&Table {
            name: "t".into(),
            x: vec![0.0, 1.0, 3.0, 4.0],
            y: vec![1.0, 3.0, 3.0, 0.0],
            method,
            outside,
            of_time: true,
        })
    }

    #[test]
    fn every_method_is_exact_at_its_samples() {
        for method in [TableMethod::Linear, TableMethod::Step, TableMethod::Pchip, TableMethod::Cubic] {
            let mut f = table(method, Outside::Hold);
            for (x, y) in [(0.0, 1.0), (1.0, 3.0), (3.0, 3.0), (4.0, 0.0), (-9.0, 1.0), (9.0, 0.0)] {
                assert_eq!(f.eval(x, 0), Some(y), "{method:?} at {x}");
            }
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        for method in [TableMethod::Linear, TableMethod::Pchip, TableMethod::Cubic] {
            let mut f = table(method, Outside::Extend);
            for k in 0..60 {
                let x = -1.03 + 0.1 * f64::from(k);
                let e = 1e-5;
                let mut at = |x, order| f.eval(x, order).unwrap_or(f64::NAN);
                let first = (at(x + e, 0) - at(x - e, 0)) / (2.0 * e);
                let second = (at(x + e, 1) - at(x - e, 1)) / (2.0 * e);
                assert!((first - at(x, 1)).abs() < 1e-6, "{method:?} at {x}");
                assert!((second - at(x, 2)).abs() < 1e-6, "{method:?} at {x}");
            }
        }
    }

    #[test]
    fn pchip_is_monotone_and_the_spline_smooth() {
        let mut f = table(TableMethod::Pchip, Outside::Hold);
        let values: Vec<f64> =
            (0..=400).map(|k| f.eval(f64::from(k) / 100.0, 0).unwrap_or(f64::NAN)).collect();
        assert!(values.iter().all(|v| (0.0..=3.0).contains(v)));
        let mut f = table(TableMethod::Cubic, Outside::Hold);
        for x in [1.0, 3.0] {
            for order in [1, 2] {
                let (a, b) = (f.eval(x - 1e-9, order), f.eval(x + 1e-9, order));
                assert!((a.unwrap_or(0.0) - b.unwrap_or(9.0)).abs() < 1e-6);
            }
        }
        assert!(f.eval(0.0, 2).unwrap_or(9.0).abs() < 1e-12);
    }

    #[test]
    fn outside_follows_its_rule() {
        assert_eq!(table(TableMethod::Linear, Outside::Error).eval(4.5, 0), None);
        assert_eq!(table(TableMethod::Linear, Outside::Error).eval(4.0, 0), Some(0.0));
        assert_eq!(table(TableMethod::Linear, Outside::Extend).eval(5.0, 0), Some(-3.0));
        assert_eq!(table(TableMethod::Linear, Outside::Extend).eval(-1.0, 0), Some(-1.0));
        assert_eq!(table(TableMethod::Linear, Outside::Repeat).eval(4.5, 0), Some(2.0));
        assert_eq!(table(TableMethod::Linear, Outside::Repeat).eval(-0.5, 0), Some(1.5));
        assert!(table(TableMethod::Cubic, Outside::Hold).eval(f64::NAN, 0).unwrap_or(0.0).is_nan());
        // just before the end of a period, by less than the period's rounding: the last sample is that of nobody
        for method in [TableMethod::Linear, TableMethod::Step, TableMethod::Pchip, TableMethod::Cubic] {
            let mut f = table(method, Outside::Repeat);
            assert_eq!(f.eval(-8.9e-17, 0), Some(1.0), "{method:?}");
            f.freeze(-8.9e-17);
            assert_eq!(f.frozen(), Some(0), "{method:?}");
        }
    }

    #[test]
    fn kinks_are_found_in_order_and_pieces_hold_until_them() {
        let mut f = table(TableMethod::Step, Outside::Hold);
        f.freeze(0.0);
        assert_eq!(f.next_kink(0.0), 1.0);
        assert_eq!(f.eval(1.0, 0), Some(1.0), "the old piece holds until the event");
        f.freeze(1.0);
        assert_eq!(f.eval(1.0, 0), Some(3.0));
        assert_eq!(f.next_kink(3.5), 4.0);
        assert_eq!(f.next_kink(4.0), f64::INFINITY);
        let mut f = table(TableMethod::Step, Outside::Repeat);
        let mut t = 0.0;
        let mut kinks = Vec::new();
        for _ in 0..5 {
            t = f.next_kink(t);
            f.freeze(t);
            kinks.push((t, f.eval(t, 0).unwrap_or(f64::NAN)));
        }
        assert_eq!(kinks, [(1.0, 3.0), (3.0, 3.0), (4.0, 1.0), (5.0, 3.0), (7.0, 3.0)]);
    }
}
