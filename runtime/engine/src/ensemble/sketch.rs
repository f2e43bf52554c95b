//! Quantiles of any number of values in bounded memory, the same whatever the order in which they came.
//!
//! Doubles in their order are integers in theirs. A sketch counts how many values have each integer, and while there are
//! few of these it knows every value exactly. When there are more than [`CELLS`], integers are shortened by a bit, two
//! neighbours becoming one cell, until there are not. How far a sketch is shortened depends on the values alone: it is
//! the least shortening with which all of them need no more than [`CELLS`] cells. So sketches of parts merge to the
//! sketch of the whole, bit for bit.

use std::collections::BTreeMap;

/// Most cells of a sketch.
pub const CELLS: usize = 4096;

/// Counts of values by cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    cells: BTreeMap<i64, u64>,
    /// Most cells.
    most: usize,
    /// Bits that are left away.
    shift: u32,
    count: u64,
    /// What is no number.
    missing: u64,
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch::with_cells(CELLS)
    }
}

/// A double's place in the order of doubles; both zeros are one.
fn key(x: f64) -> i64 {
    let bits = (x + 0.0).to_bits() as i64;
    if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
}

/// The double with this place.
fn value(key: i64) -> f64 {
    f64::from_bits(if key < 0 { i64::MIN.wrapping_sub(key) } else { key } as u64)
}

impl Sketch {
    /// A sketch of at most so many cells; those that are to be merged have the same number.
    #[must_use]
    pub fn with_cells(most: usize) -> Sketch {
        Sketch { cells: BTreeMap::new(), most: most.max(2), shift: 0, count: 0, missing: 0 }
    }

    /// Adds a value; what is not a number is counted apart.
    pub fn add(&mut self, x: f64) {
        if x.is_nan() {
            self.missing += 1;
            return;
        }
        self.count += 1;
        *self.cells.entry(key(x) >> self.shift).or_insert(0) += 1;
        if self.cells.len() > self.most {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        while self.cells.len() > self.most {
            let mut cells = BTreeMap::new();
            for (k, n) in &self.cells {
                *cells.entry(k >> 1).or_insert(0) += n;
            }
            self.cells = cells;
            self.shift += 1;
        }
    }

    /// Takes in the values of another part.
    pub fn merge(&mut self, other: &Sketch) {
        let shift = self.shift.max(other.shift);
        let mut cells = BTreeMap::new();
        for s in [&*self, other] {
            for (k, n) in &s.cells {
                *cells.entry(k >> (shift - s.shift)).or_insert(0) += n;
            }
        }
        *self = Sketch {
            cells,
            most: self.most.min(other.most),
            shift,
            count: self.count + other.count,
            missing: self.missing + other.missing,
        };
        self.shorten();
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many were not numbers.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// The least and the greatest value of the cell that holds the value of rank `rank`, `0 ≤ rank < count`.
    #[must_use]
    pub fn at(&self, rank: u64) -> Option<(f64, f64)> {
        let mut before = 0;
        for (k, n) in &self.cells {
            before += n;
            if rank < before {
                return Some(self.ends(*k));
            }
        }
        None
    }

    fn ends(&self, cell: i64) -> (f64, f64) {
        if self.shift == 0 {
            let x = value(cell);
            return (x, x);
        }
        let first = cell << self.shift;
        (value(first), value(first.wrapping_add((1 << self.shift) - 1)))
    }

    /// The quantile `q`: the value of rank `⌈q·n⌉ − 1`, or the middle of its cell.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count.max(1)) - 1;
        let (lo, hi) = self.at(rank)?;
        Some(lo + 0.5 * (hi - lo))
    }

    /// Cells with their ends and counts, in order.
    pub fn cells(&self) -> impl Iterator<Item = (f64, f64, u64)> + '_ {
        self.cells.iter().map(|(k, n)| {
            let (lo, hi) = self.ends(*k);
            (lo, hi, *n)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::random;

    #[test]
    fn few_values_are_known_exactly() {
        let mut s = Sketch::default();
        [3.0, -1.0, 2.0, 2.0, f64::NAN, -0.0, 0.0].into_iter().for_each(|x| s.add(x));
        assert_eq!((s.count(), s.missing()), (6, 1));
        let ranks: Vec<f64> = (0..6).filter_map(|k| s.at(k)).map(|c| c.0).collect();
        assert_eq!(ranks, [-1.0, 0.0, 0.0, 2.0, 2.0, 3.0]);
        assert_eq!(s.quantile(0.5), Some(0.0));
        assert_eq!(s.quantile(1.0), Some(3.0));
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert!([1e-300, -1e300, 5e-324, f64::INFINITY].iter().all(|x| value(key(*x)) == *x));
    }

    #[test]
    fn order_and_parts_change_nothing() {
        let list: Vec<f64> =
            (0..30_000).map(|k| random::normal(random::uniforms(2, 0, 5, k)[0]) + 20.0).collect();
        let of = |l: &mut dyn Iterator<Item = &f64>| {
            let mut s = Sketch::default();
            l.for_each(|x| s.add(*x));
            s
        };
        let whole = of(&mut list.iter());
        assert_eq!(whole, of(&mut list.iter().rev()));
        let mut parts = of(&mut list[..7].iter());
        parts.merge(&of(&mut list[7..20_000].iter()));
        parts.merge(&of(&mut list[20_000..].iter()));
        assert_eq!(whole, parts);
        assert!(whole.cells.len() <= CELLS);
        let mut sorted = list;
        sorted.sort_by(f64::total_cmp);
        for rank in [0, 1, 299, 15_000, 29_999] {
            let (lo, hi) = whole.at(rank).expect("there");
            let x = sorted[rank as usize];
            assert!(lo <= x && x <= hi && hi - lo < 2e-3 * x.abs(), "{lo} {x} {hi}");
        }
    }
}
