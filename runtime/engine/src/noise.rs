//! Brownian paths that belong to (seed, run, path) and to time, whatever the steps are.
//!
//! `W(t)` is found by successive Brownian bridges, P. Lévy's construction ("Processus stochastiques et mouvement
//! brownien", 1948): between two instants a < m < b, `W(m)` given `W(a)` and `W(b)` is normal with the mean on the
//! straight line and the variance `(m − a)(b − m)/(b − a)`. Which instants are asked, and in which order, changes no
//! value: each instant is the inner point of one cell of a fixed tree and has one normal number of its own, drawn by
//! Philox from (seed, run, path) and the instant. (The "virtual Brownian tree" of X. Li et al., AISTATS 2020, is such
//! a tree over halves of an interval.)
//!
//! Here the tree is made for the steps that people write. Time is counted in attoseconds. Powers of two of a day come
//! first, one after the other; between them days are halved down to one; a day consists of 24 hours, an hour of 60 minutes, a
//! minute of 60 seconds, then every unit of ten of the next, down to 1e-18 s. Within a unit the middle one of its parts
//! is always the next. An instant that is a whole number of some unit is a node, and is exact: no interpolation is left. A
//! floating-point time is read as the shortest decimal fraction within four roundings of it, so that `k·0.1` is
//! that multiple of 0.1 and the steps `h` and `h/2` meet in the same nodes.
//!
//! The cells on the way to the last instant are kept: in a run with even steps each new value takes a few bridges, about two
//! where the step is a unit. A step that is no short decimal fraction (1/3 s) takes about fifty.

use crate::behavior::random;

/// Attoseconds of a second.
const SECOND: i128 = 1_000_000_000_000_000_000;
/// Attoseconds of a day.
const DAY: i128 = 86_400 * SECOND;
/// Cells below the first are at most so many: days beyond are halved, and each unit takes up to six.
const CELLS: usize = 160;
/// Numbers that are allocated at once at most.
const AT_ONCE: usize = 1 << 21;

/// Lengths of the units that a cell is divided into, the longest first.
fn units() -> impl Iterator<Item = i128> {
    let small = std::iter::successors(Some(SECOND), |u| (*u > 1).then_some(u / 10));
    [DAY, 3600 * SECOND, 60 * SECOND].into_iter().chain(small)
}

/// A time in attoseconds: the shortest decimal fraction of a second within four roundings of `t`.
fn attoseconds(t: f64) -> i128 {
    let mut power = 1.0;
    let mut unit = SECOND;
    for _ in 0..18 {
        let scaled = t * power;
        let whole = scaled.round();
        if (scaled - whole).abs() <= 4.0 * f64::EPSILON * scaled {
            return (whole as i128).saturating_mul(unit);
        }
        power *= 10.0;
        unit /= 10;
    }
    (t * power).round() as i128
}

/// Part of a path between two instants.
#[derive(Clone, Debug, Default)]
struct Cell {
    a: i128,
    b: i128,
    /// The inner point; `a` while it is not known.
    mid: i128,
    /// Values of all paths at the three.
    wa: Vec<f64>,
    wb: Vec<f64>,
    wm: Vec<f64>,
}

/// The paths of one run, which all are asked at the same instants.
#[derive(Clone, Debug)]
pub struct Brownian {
    /// Key and salt of each path.
    keys: Vec<[u32; 3]>,
    cells: Vec<Cell>,
    /// Cells in use.
    depth: usize,
}

impl Brownian {
    /// The paths of these names in run `run` of seed `seed`.
    pub fn new(seed: u64, run: u32, names: impl Iterator<Item = String>) -> Brownian {
        let key = |name: String| {
            let stream = random::hash(random::hash(random::HASH, "white noise\0"), &name);
            let k = random::philox(
                [seed as u32, (seed >> 32) as u32],
                [0, run, stream as u32, (stream >> 32) as u32],
            );
            [k[0], k[1], k[2]]
        };
        let keys: Vec<[u32; 3]> = names.map(key).collect();
        let n = keys.len();
        let mut cells = vec![Cell::default(); CELLS];
        if n * 3 * CELLS <= AT_ONCE {
            cells.iter_mut().for_each(|c| c.resize(n));
        }
        Brownian { keys, cells, depth: 0 }
    }

    /// Number of paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// `W(t)` of each path, in s^(1/2), for `t ≥ 0` in seconds; 0 before.
    pub fn at(&mut self, t: f64, w: &mut [f64]) {
        let m = if t > 0.0 { attoseconds(t) } else { 0 };
        if m == 0 {
            w.fill(0.0);
            return;
        }
        while self.depth > 0 && !self.cells[self.depth - 1].holds(m) {
            self.depth -= 1;
        }
        if self.depth == 0 {
            self.first(m);
        }
        loop {
            let (above, below) = self.cells.split_at_mut(self.depth);
            // One cell is in use at least.
            let Some(cell) = above.last_mut() else { return };
            if cell.a == m {
                w.copy_from_slice(&cell.wa);
                return;
            }
            if cell.b == m {
                w.copy_from_slice(&cell.wb);
                return;
            }
            if cell.mid == cell.a {
                cell.divide(&self.keys);
            }
            let Some(next) = below.first_mut() else {
                // Never reached: units end at one attosecond.
                w.copy_from_slice(&cell.wm);
                return;
            };
            next.resize(self.keys.len());
            let left = m <= cell.mid;
            let (a, b) = if left { (cell.a, cell.mid) } else { (cell.mid, cell.b) };
            (next.a, next.b, next.mid) = (a, b, a);
            next.wa.copy_from_slice(if left { &cell.wa } else { &cell.wm });
            next.wb.copy_from_slice(if left { &cell.wm } else { &cell.wb });
            self.depth += 1;
        }
    }

    /// The first cell: a day, or from one power of two of days to the next.
    fn first(&mut self, m: i128) {
        let n = self.keys.len();
        let cell = &mut self.cells[0];
        cell.resize(n);
        let (mut a, mut b) = (0, DAY);
        cell.wa.fill(0.0);
        step(&self.keys, b, seconds(b - a).sqrt(), &cell.wa, &mut cell.wb);
        while b < m {
            (a, b) = (b, b.saturating_mul(2));
            std::mem::swap(&mut cell.wa, &mut cell.wb);
            step(&self.keys, b, seconds(b - a).sqrt(), &cell.wa, &mut cell.wb);
        }
        (cell.a, cell.b, cell.mid) = (a, b, a);
        self.depth = 1;
    }
}

/// `to = from + sd·z` with the normal numbers of instant `m`.
fn step(keys: &[[u32; 3]], m: i128, sd: f64, from: &[f64], to: &mut [f64]) {
    for ((to, from), key) in to.iter_mut().zip(from).zip(keys) {
        *to = from + sd * normal(*key, m);
    }
}

impl Cell {
    fn resize(&mut self, n: usize) {
        for v in [&mut self.wa, &mut self.wb, &mut self.wm] {
            v.resize(n, 0.0);
        }
    }

    fn holds(&self, m: i128) -> bool {
        self.a <= m && m <= self.b
    }

    /// Finds the inner point.
    fn divide(&mut self, keys: &[[u32; 3]]) {
        let length = self.b - self.a;
        let unit = units().find(|u| *u < length).unwrap_or(1);
        self.mid = self.a + length / unit / 2 * unit;
        let (before, after) = (self.mid - self.a, self.b - self.mid);
        let left = seconds(before) / seconds(length);
        let right = seconds(after) / seconds(length);
        let sd = (seconds(before) * right).sqrt();
        for (k, key) in keys.iter().enumerate() {
            self.wm[k] = self.wa[k] * right + self.wb[k] * left + sd * normal(*key, self.mid);
        }
    }
}

fn seconds(m: i128) -> f64 {
    m as f64 / SECOND as f64
}

/// The normal number of one path at one instant.
fn normal(key: [u32; 3], m: i128) -> f64 {
    let m = m as u128;
    let out = random::philox([key[0], key[1]], [m as u32, (m >> 32) as u32, (m >> 64) as u32, key[2]]);
    let bits = (u64::from(out[1]) << 32 | u64::from(out[0])) >> 12;
    random::normal((bits as f64 + 0.5) / (1u64 << 52) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(seed: u64, run: u32, n: usize) -> Brownian {
        Brownian::new(seed, run, (0..n).map(|k| format!("twins[{k}].noise#1")))
    }

    #[test]
    fn times_are_read_as_the_decimals_they_stand_for() {
        for (t, want) in [
            (0.1 + 0.2, 300_000_000_000_000_000),
            (3.0 * 0.1, 300_000_000_000_000_000),
            (7200.0, 7200 * SECOND),
            (1e-9, 1_000_000_000),
            (123_456.001, 123_456_001 * (SECOND / 1000)),
            (0.0125, 12_500_000_000_000_000),
            (1e9, 1_000_000_000 * SECOND),
        ] {
            assert_eq!(attoseconds(t), want, "{t}");
        }
        // A third is no decimal fraction: its own digits, to the last.
        assert!((attoseconds(1.0 / 3.0) - SECOND / 3).abs() < 1000);
    }

    /// The value at an instant does not depend on what was asked before.
    #[test]
    fn values_are_functions_of_time_alone() {
        let times =
            [1e-6, 0.01, 0.1, 1.0 / 3.0, 0.5, 59.99, 60.0, 3600.0, 86_400.0, 86_401.5, 1e7, 1e9, 3e10];
        let mut forward = paths(3, 1, 2);
        let mut w = [0.0; 2];
        let values: Vec<[f64; 2]> = times
            .iter()
            .map(|t| {
                forward.at(*t, &mut w);
                w
            })
            .collect();
        for k in (0..times.len()).rev().chain([5, 2, 11, 0]) {
            let mut fresh = paths(3, 1, 2);
            for p in [&mut forward, &mut fresh] {
                p.at(times[k], &mut w);
                assert_eq!(w.map(f64::to_bits), values[k].map(f64::to_bits), "{}", times[k]);
            }
        }
        let mut another = paths(3, 2, 2);
        another.at(1.0, &mut w);
        let mut first = [0.0; 2];
        forward.at(1.0, &mut first);
        assert!(w[0] != first[0] && first[0] != first[1] && w[0] != first[1]);
    }

    /// Increments over disjoint intervals, of any lengths, are independent normals with their lengths as variances.
    #[test]
    fn increments_are_normal_and_independent() {
        let n = 20_000;
        let times = [0.0, 0.003, 0.01, 1.0 / 3.0, 0.4, 7.0, 100.0, 5000.0, 86_400.0, 200_000.0, 1e6];
        let mut p = paths(11, 0, n);
        let mut before = vec![0.0; n];
        let mut w = vec![0.0; n];
        let mut all: Vec<Vec<f64>> = Vec::new();
        for pair in times.windows(2) {
            p.at(pair[1], &mut w);
            let sd = (pair[1] - pair[0]).sqrt();
            all.push(w.iter().zip(&before).map(|(a, b)| (a - b) / sd).collect());
            before.copy_from_slice(&w);
        }
        let mean = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
        let five = 5.0 / (n as f64).sqrt();
        for (i, a) in all.iter().enumerate() {
            assert!(mean(&|k| a[k]).abs() < five, "mean {i}");
            assert!((mean(&|k| a[k] * a[k]) - 1.0).abs() < five * 2.0f64.sqrt(), "variance {i}");
            assert!((mean(&|k| a[k].powi(4)) - 3.0).abs() < five * 96.0f64.sqrt(), "fourth moment {i}");
            for b in &all[..i] {
                assert!(mean(&|k| a[k] * b[k]).abs() < five, "correlation of {i}");
            }
        }
    }

    /// Even steps along one path: the sum of squares is the time (quadratic variation).
    #[test]
    fn quadratic_variation_is_time() {
        for (n, end) in [(10_000, 10.0), (9_999, 3.0), (7_000, 604_800.0)] {
            let mut p = paths(5, 0, 1);
            let (mut last, mut sum, mut w) = (0.0, 0.0, [0.0]);
            for k in 1..=n {
                p.at(end * f64::from(k) / f64::from(n), &mut w);
                sum += (w[0] - last) * (w[0] - last);
                last = w[0];
            }
            assert!((sum / end - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(), "{sum} of {end}");
        }
    }
}
