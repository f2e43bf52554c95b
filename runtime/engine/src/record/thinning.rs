//! Few points of each column while it is recorded: whoever draws a long result need not read it again.

use std::sync::{Arc, Mutex, PoisonError};

use super::group::{Group, is_plain};
use super::{Columns, Element};
use crate::thin::{SLICES, Slices, Stretch, Thin};

/// Most columns that are thinned.
const COLUMNS: usize = 240;

/// A result in few points.
#[derive(Clone, Debug)]
pub struct Thinned {
    /// The first instant.
    pub from: f64,
    /// The last.
    pub to: f64,
    /// Columns of reals and whole numbers, each of which is there in all rows.
    pub curves: Vec<Curve>,
}

/// A column in few points.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its number.
    pub column: usize,
    /// Time and value, as the file has them; what is no number breaks the curve.
    pub points: Vec<(f64, f64)>,
    /// Whether all values are whole numbers.
    pub whole: bool,
}

/// Where the points will be found once a recorder has finished.
#[derive(Debug, Default)]
pub struct Thinning(Arc<Mutex<Option<Thinned>>>);

impl Thinning {
    /// The points of what was recorded; `None` where it did not end when it was said to, where it has so few rows that all of them
    /// are points, or where its format or its instants do not serve.
    #[must_use]
    pub fn take(self) -> Option<Thinned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Thins the columns of row groups.
pub(super) struct Online {
    /// When the result will end, and the slices up to there once it has begun.
    end: f64,
    slices: Option<Slices>,
    from: f64,
    last: f64,
    rows: usize,
    /// Instants go on and are numbers.
    good: bool,
    curves: Vec<Growing>,
    to: Thinning,
    /// Of the rows at hand.
    times: Vec<f64>,
}

struct Growing {
    column: usize,
    source: Source,
    thin: Thin,
    whole: bool,
}

/// Where a group has the values of a column.
#[derive(Clone, Copy)]
enum Source {
    /// Among the reals.
    Real(usize),
    /// In this cell of the other columns.
    Cell(usize),
}

impl Online {
    /// For a result that ends at `end`; where its points will be found.
    pub(super) fn new(columns: &Columns, end: f64) -> (Online, Thinning) {
        let (mut curves, mut real, mut cell) = (Vec::new(), 0, 0);
        for (column, spec) in columns.specs().iter().enumerate() {
            let source = match spec.element {
                _ if is_plain(spec) => Some(Source::Real(real)),
                Element::Int if spec.list.is_none() && !spec.nullable => Some(Source::Cell(cell)),
                _ => None,
            };
            match is_plain(spec) {
                true => real += 1,
                false => cell += spec.cells(),
            }
            if let Some(source) = source.filter(|_| column > 0 && curves.len() < COLUMNS) {
                // With a unit or a quantity nobody asks whether values are whole.
                let whole = spec.unit.is_none() && spec.quantity.is_none();
                curves.push(Growing { column, source, thin: Thin::default(), whole });
            }
        }
        let first = columns.specs().first().is_some_and(is_plain);
        let to = Thinning::default();
        let online = Online {
            end,
            slices: None,
            from: f64::NAN,
            last: f64::NEG_INFINITY,
            rows: 0,
            good: first,
            curves,
            to: Thinning(to.0.clone()),
            times: Vec::new(),
        };
        (online, to)
    }

    /// Takes the rows of a closed group.
    pub(super) fn take(&mut self, group: &mut Group) {
        if !self.good || group.filled == 0 {
            return;
        }
        let n = group.filled;
        let mut last = self.last;
        self.times.clear();
        self.times.extend(group.column(0).iter().map(|bytes| f64::from_le_bytes(*bytes)));
        self.good = self.times.iter().all(|&t| t.is_finite() && t >= std::mem::replace(&mut last, t));
        if !self.good {
            return;
        }
        if self.rows == 0 {
            self.from = self.times[0];
        }
        let slices = *self.slices.get_or_insert(Slices::new(self.from, self.end));
        let mut begin = 0;
        let stretches: Vec<Stretch<'_>> = self
            .times
            .chunk_by(|a, b| slices.of(*a) == slices.of(*b))
            .map(|times| {
                let stretch = Stretch { slice: slices.of(times[0]), row: self.rows + begin, times };
                begin += times.len();
                stretch
            })
            .collect();
        let mut cells = Vec::new();
        for curve in &mut self.curves {
            let mut values = match curve.source {
                Source::Real(real) => group.column(real),
                Source::Cell(cell) => {
                    cells.clear();
                    cells.extend(group.others.column(cell).map(f64::to_le_bytes));
                    &cells[..]
                }
            };
            let whole = |bytes: &[u8; 8]| {
                let v = f64::from_le_bytes(*bytes);
                v.is_nan() || v.trunc() == v
            };
            curve.whole = curve.whole && values.iter().all(whole);
            for stretch in &stretches {
                let (now, rest) = values.split_at(stretch.times.len());
                curve.thin.push_stretch(*stretch, now);
                values = rest;
            }
        }
        (self.last, self.rows) = (last, self.rows + n);
    }

    /// Nothing comes after; the file is complete.
    pub(super) fn finish(self) {
        if self.good && self.last == self.end && self.rows > 4 * SLICES {
            let curve = |g: Growing| Curve { column: g.column, points: g.thin.finish(), whole: g.whole };
            let curves = self.curves.into_iter().map(curve).collect();
            let thinned = Thinned { from: self.from, to: self.last, curves };
            *self.to.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(thinned);
        }
    }
}
