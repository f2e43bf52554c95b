//! Curves with few points that lose no extreme: of every slice of time the first, the lowest, the highest and the last.

use twinml_jit::Seen;

/// Slices of time in each of which a curve keeps up to four points.
pub const SLICES: usize = 1500;

/// A stretch of time in [`SLICES`] parts.
#[derive(Clone, Copy, Debug)]
pub struct Slices {
    from: f64,
    width: f64,
}

impl Slices {
    /// Those of a stretch.
    #[must_use]
    pub fn new(from: f64, to: f64) -> Slices {
        Slices { from, width: (to - from) / SLICES as f64 }
    }

    /// The one that an instant is in.
    #[inline]
    #[must_use]
    pub fn of(&self, t: f64) -> u16 {
        if self.width > 0.0 { ((t - self.from) / self.width) as u16 } else { 0 }
    }
}

/// A point of a curve, in a row of a result.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// The row.
    pub row: usize,
    /// Its instant.
    pub time: f64,
    /// The value.
    pub value: f64,
}

/// Rows that follow one another and are all in one slice.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    /// The slice.
    pub slice: u16,
    /// The number of the first.
    pub row: usize,
    /// Their instants.
    pub times: &'a [f64],
}

/// Values that a [`Stretch`] is looked at in at once.
const PIECE: usize = 256;

/// A curve on its way to few points. Rows come in order.
#[derive(Clone, Debug)]
pub struct Thin {
    slice: u16,
    some: bool,
    first: Point,
    lowest: Point,
    highest: Point,
    last: Point,
    points: Vec<(f64, f64)>,
}

impl Default for Thin {
    fn default() -> Thin {
        let none = Point { row: 0, time: f64::NAN, value: f64::NAN };
        Thin {
            slice: 0,
            some: false,
            first: none,
            lowest: none,
            highest: none,
            last: none,
            points: Vec::new(),
        }
    }
}

impl Thin {
    /// Takes the next point, which is in this slice. An infinite value, or one that is no number, breaks the curve.
    #[inline]
    pub fn push(&mut self, slice: u16, point: Point) {
        if !point.value.is_finite() {
            return self.push_alone(point.time, point.value);
        }
        if slice != self.slice || !self.some {
            self.begin(slice, point);
        } else if point.value < self.lowest.value {
            self.lowest = point;
        } else if point.value > self.highest.value {
            self.highest = point;
        }
        self.last = point;
    }

    /// Takes the values of a stretch of rows, given as bytes: as [`Thin::push`] takes one after the other.
    pub fn push_stretch(&mut self, stretch: Stretch<'_>, values: &[[u8; 8]]) {
        let Stretch { slice, row, times } = stretch;
        let n = times.len().min(values.len());
        let at = |k: usize| Point { row: row + k, time: times[k], value: f64::from_le_bytes(values[k]) };
        let mut seen = Seen::NONE;
        for piece in values[..n].chunks(PIECE) {
            let mut some = [0.0; PIECE];
            some.iter_mut().zip(piece).for_each(|(to, bytes)| *to = f64::from_le_bytes(*bytes));
            seen.see(&some[..piece.len()]);
        }
        let Some((low, high)) = seen.extremes().filter(|_| n > 0) else {
            (0..n).for_each(|k| self.push(slice, at(k)));
            return;
        };
        if slice != self.slice || !self.some {
            self.begin(slice, at(0));
        }
        let find = |wanted: f64| (0..n).map(at).find(|p| p.value == wanted);
        if low < self.lowest.value {
            self.lowest = find(low).unwrap_or(self.lowest);
        }
        if high > self.highest.value {
            self.highest = find(high).unwrap_or(self.highest);
        }
        self.last = at(n - 1);
    }

    /// Takes the next point whatever its slice. One break of the curve is as good as many.
    pub fn push_alone(&mut self, time: f64, value: f64) {
        self.flush();
        if value.is_finite() || self.points.last().is_none_or(|(_, v)| v.is_finite()) {
            self.points.push((time, if value.is_finite() { value } else { f64::NAN }));
        }
    }

    fn begin(&mut self, slice: u16, point: Point) {
        self.flush();
        self.slice = slice;
        self.some = true;
        (self.first, self.lowest, self.highest) = (point, point, point);
    }

    fn flush(&mut self) {
        if !std::mem::take(&mut self.some) {
            return;
        }
        let mut kept = [self.first, self.lowest, self.highest, self.last];
        kept.sort_by_key(|p| p.row);
        for (k, point) in kept.into_iter().enumerate() {
            if k == 0 || kept[k - 1].row != point.row {
                self.points.push((point.time, point.value));
            }
        }
    }

    /// The points: time and value; a value that is no number breaks the curve.
    #[must_use]
    pub fn finish(mut self) -> Vec<(f64, f64)> {
        self.flush();
        self.points
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_peak_is_kept() {
        let n = 1_000_000;
        let slices = Slices::new(0.0, 1.0);
        let mut thin = Thin::default();
        let peaks = [1234_usize, 500_001, 999_998];
        for row in 0..n {
            let time = row as f64 / (n - 1) as f64;
            let value = if peaks.contains(&row) { 100.0 } else { (row % 7) as f64 };
            thin.push(slices.of(time), Point { row, time, value });
        }
        let points = thin.finish();
        assert!(points.len() <= 4 * (SLICES + 1), "{}", points.len());
        assert_eq!(points.iter().filter(|p| p.1 == 100.0).count(), 3);
        assert!(points.windows(2).all(|w| w[0].0 <= w[1].0));
        assert_eq!((points[0].0, points[points.len() - 1].0), (0.0, 1.0));
    }

    /// However the rows of a slice come, and with what is no number anywhere.
    #[test]
    fn stretches_are_their_points() {
        let n = 3000;
        let times: Vec<f64> = (0..n).map(|k| (k as f64).sqrt()).collect();
        let slices = Slices::new(0.0, 20.0 * times[n - 1]);
        for odd in [&[][..], &[0], &[17, 18, 19], &[700, 2999]] {
            for nothing in [f64::NAN, f64::INFINITY, f64::MAX] {
                let value = |k: usize| if odd.contains(&k) { nothing } else { (k as f64 * 0.7).sin() - 0.0 };
                let mut single = Thin::default();
                for (row, &time) in times.iter().enumerate() {
                    single.push(slices.of(time), Point { row, time, value: value(row) });
                }
                let bytes: Vec<[u8; 8]> = (0..n).map(|k| value(k).to_le_bytes()).collect();
                for most in [1, 7, 1000] {
                    let (mut thin, mut row) = (Thin::default(), 0);
                    while row < n {
                        let slice = slices.of(times[row]);
                        let same = times[row..].iter().take(most).take_while(|t| slices.of(**t) == slice);
                        let end = row + same.count();
                        thin.push_stretch(Stretch { slice, row, times: &times[row..end] }, &bytes[row..end]);
                        row = end;
                    }
                    let bits = |thin: Thin| -> Vec<_> {
                        thin.finish().iter().map(|p| (p.0.to_bits(), p.1.to_bits())).collect()
                    };
                    assert_eq!(bits(thin), bits(single.clone()), "{odd:?} {nothing} {most}");
                }
            }
        }
    }
}
