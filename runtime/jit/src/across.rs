//! Eight neighbouring columns of rows: turned so that each column lies by itself, with the least and the greatest value of each.
//!
//! As with [`crate::Seen`] the widest instructions of this processor do it, and which ones changes nothing.

#[cfg(target_arch = "x86_64")]
use crate::seen::Fenced;

/// How many columns.
pub const ACROSS: usize = 8;
/// Rows that are turned at once: four lines of the cache down, one across.
pub const DOWN: usize = 32;

/// Rows side by side.
type Rows<'a> = [&'a [f64; ACROSS]; DOWN];
/// Bytes of a column in so many rows.
type Column = [u8; 8 * DOWN];

/// The least and the greatest values so far of each column.
#[derive(Clone, Copy, Debug)]
pub struct Across {
    /// The least of each; infinity where there was none.
    pub least: [f64; ACROSS],
    /// The greatest of each; minus infinity where there was none.
    pub most: [f64; ACROSS],
}

impl Across {
    /// Of no values.
    pub const NONE: Across = Across { least: [f64::INFINITY; ACROSS], most: [f64::NEG_INFINITY; ACROSS] };

    /// Looks at a row. What is not a number is neither the least nor the greatest.
    pub fn see(&mut self, row: &[f64; ACROSS]) {
        for ((least, most), &v) in self.least.iter_mut().zip(&mut self.most).zip(row) {
            *least = if v < *least { v } else { *least };
            *most = if v > *most { v } else { *most };
        }
    }
}

/// [`DOWN`] rows, or more, of [`ACROSS`] cells that are to be looked at and turned.
#[derive(Debug)]
pub struct Tile<'a> {
    /// What was seen of the rows before.
    pub seen: &'a mut Across,
    /// The first row and, somewhere behind it, the others.
    pub cells: &'a [f64],
    /// How far it is from one row to the next.
    pub apart: usize,
    /// Where the first column goes and, somewhere behind it, the others.
    pub out: &'a mut [u8],
    /// How far it is from one of them to the next.
    pub stride: usize,
    /// How many of the columns are to be written.
    pub width: usize,
    /// True afterwards where that was done. It is not where there are fewer rows, or not all values are numbers, or their sum is
    /// none: nothing is seen then, and `out` is to be written again.
    pub turned: &'a mut bool,
}

/// Turns all of these, where the processor can past its caches: for much that is not read again soon.
pub fn turn_all<'a>(tiles: impl Iterator<Item = Tile<'a>>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx") {
        let fenced = Fenced;
        for Tile { seen, cells, apart, out, stride, width, turned } in tiles {
            #[expect(unsafe_code, reason = "enters code for a processor that has AVX")]
            // SAFETY: it has, as was asked just now. What the stores past the caches write is borrowed until this function
            // returns, and the fence comes before that.
            unsafe {
                *turned =
                    rows(cells, apart).is_some_and(|rows| seen.turn_by_avx(&rows, out, (stride, width)));
            }
        }
        drop(fenced);
        return;
    }
    tiles.for_each(Tile::turn);
}

/// The rows that begin so far from one another; none where there are fewer.
#[inline(always)]
fn rows(cells: &[f64], apart: usize) -> Option<Rows<'_>> {
    let mut rows: Rows<'_> = [&[0.0; ACROSS]; DOWN];
    for (k, to) in rows.iter_mut().enumerate() {
        *to = cells.get(k * apart..)?.first_chunk()?;
    }
    Some(rows)
}

impl Tile<'_> {
    fn turn(self) {
        let Tile { seen, cells, apart, out, stride, width, turned } = self;
        *turned = rows(cells, apart).is_some_and(|rows| seen.turn_anywhere(&rows, out, (stride, width)));
    }
}

impl Across {
    fn turn_anywhere(&mut self, rows: &Rows<'_>, out: &mut [u8], (stride, width): (usize, usize)) -> bool {
        let (mut seen, mut sum) = (*self, [0.0; 2]);
        for row in rows {
            seen.see(row);
            for (k, sum) in sum.iter_mut().enumerate() {
                *sum += (row[k] + row[k + 2]) + (row[k + 4] + row[k + 6]);
            }
        }
        if !sum.iter().sum::<f64>().is_finite() {
            return false;
        }
        *self = seen;
        for (k, column) in columns(out, stride).take(width.min(ACROSS)).enumerate() {
            let mut values: Column = [0; 8 * DOWN];
            for (value, row) in values.as_chunks_mut::<8>().0.iter_mut().zip(rows) {
                *value = row[k].to_le_bytes();
            }
            *column = values;
        }
        true
    }

    /// # Safety
    ///
    /// [`Fenced`] is to end before anybody else may look at `out`.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx")]
    #[expect(unsafe_code, reason = "stores past the caches, and vectors to where no border is")]
    unsafe fn turn_by_avx(
        &mut self,
        rows: &Rows<'_>,
        out: &mut [u8],
        (stride, width): (usize, usize),
    ) -> bool {
        use std::arch::x86_64::*;
        const HALF: usize = ACROSS / 2;
        // What a compiler makes one load of.
        let half_of = |v: &[f64; ACROSS], half: usize| {
            _mm256_setr_pd(v[HALF * half], v[HALF * half + 1], v[HALF * half + 2], v[HALF * half + 3])
        };
        let mut columns = columns(out, stride).take(width.min(ACROSS));
        let mut ends = [[_mm256_setzero_pd(); 2]; 2];
        let (mut sum, halves) = (_mm256_setzero_pd(), width.min(ACROSS).div_ceil(HALF));
        for (half, ends) in ends.iter_mut().enumerate().take(halves) {
            let mut to = [const { None }; HALF];
            to.iter_mut().zip(&mut columns).for_each(|(to, column)| *to = Some(column));
            let (mut least, mut most) = (half_of(&self.least, half), half_of(&self.most, half));
            for (line, rows) in rows.as_chunks::<8>().0.iter().enumerate() {
                let v: [__m256d; 8] = std::array::from_fn(|k| half_of(rows[k], half));
                for v in v {
                    least = _mm256_min_pd(v, least);
                    most = _mm256_max_pd(v, most);
                    sum = _mm256_add_pd(sum, v);
                }
                let turned = [0, 4].map(|k| {
                    let (a, b) = (_mm256_unpacklo_pd(v[k], v[k + 1]), _mm256_unpackhi_pd(v[k], v[k + 1]));
                    let (c, d) =
                        (_mm256_unpacklo_pd(v[k + 2], v[k + 3]), _mm256_unpackhi_pd(v[k + 2], v[k + 3]));
                    [
                        _mm256_permute2f128_pd::<0x20>(a, c),
                        _mm256_permute2f128_pd::<0x20>(b, d),
                        _mm256_permute2f128_pd::<0x31>(a, c),
                        _mm256_permute2f128_pd::<0x31>(b, d),
                    ]
                });
                for (k, to) in to.iter_mut().enumerate() {
                    let Some(to) =
                        to.as_mut().map(|column: &mut &mut Column| column[64 * line..].as_mut_ptr())
                    else {
                        break;
                    };
                    let to = to.cast::<f64>();
                    // SAFETY: a column has a line for each eight rows; what has a border goes past the caches, and the fence is
                    // our caller's.
                    unsafe {
                        if to.addr() % 64 == 0 {
                            _mm256_stream_pd(to, turned[0][k]);
                            _mm256_stream_pd(to.add(HALF), turned[1][k]);
                        } else {
                            _mm256_storeu_pd(to, turned[0][k]);
                            _mm256_storeu_pd(to.add(HALF), turned[1][k]);
                        }
                    }
                }
            }
            *ends = [least, most];
        }
        let mut sums = [0.0; HALF];
        // SAFETY: it has room for four.
        unsafe { _mm256_storeu_pd(sums.as_mut_ptr(), sum) };
        if !sums.iter().sum::<f64>().is_finite() {
            return false;
        }
        for (half, [least, most]) in ends.into_iter().enumerate().take(halves) {
            // SAFETY: of the eight there are four from either half's first on.
            unsafe {
                _mm256_storeu_pd(self.least[HALF * half..].as_mut_ptr(), least);
                _mm256_storeu_pd(self.most[HALF * half..].as_mut_ptr(), most);
            }
        }
        true
    }
}

/// Where the columns go that begin so far from one another.
#[inline(always)]
fn columns(out: &mut [u8], stride: usize) -> impl Iterator<Item = &mut Column> {
    out.chunks_mut(stride.max(1)).filter_map(<[u8]>::first_chunk_mut)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Of any width, and with what is not a number at any place, by either way.
    #[test]
    fn columns_are_those_of_the_rows() {
        let (apart, stride) = (11, 8 * DOWN + 64);
        let cells: Vec<f64> = (0..DOWN * apart).map(|k| (k * 37 % 101) as f64 - 50.0).collect();
        for width in 1..=ACROSS {
            let mut known = Across::NONE;
            cells.chunks(apart).for_each(|row| known.see(row.first_chunk().unwrap()));
            for way in 0..3 {
                let turn = |seen: &mut Across, cells: &[f64], out: &mut [u8]| {
                    let mut turned = false;
                    let tile = Tile { seen, cells, apart, out, stride, width, turned: &mut turned };
                    match way {
                        0 => tile.turn(),
                        _ => turn_all(std::iter::once(tile)),
                    }
                    turned
                };
                // At borders, and beside them.
                let mut room = vec![7; ACROSS * stride + 128];
                let first = room.as_ptr().align_offset(64) + if way == 1 { 0 } else { 8 };
                let (mut seen, out) = (Across::NONE, &mut room[first..][..ACROSS * stride]);
                assert!(turn(&mut seen, &cells, out));
                let looked = if width > 4 { ACROSS } else { 4 };
                assert_eq!(seen.least[..looked], known.least[..looked]);
                assert_eq!(seen.most[..looked], known.most[..looked]);
                for (k, column) in out.chunks(stride).enumerate() {
                    for (row, value) in column[..8 * DOWN].as_chunks::<8>().0.iter().enumerate() {
                        let there = if k < width { cells[row * apart + k].to_le_bytes() } else { [7; 8] };
                        assert_eq!(*value, there, "{width} {k} {row}");
                    }
                    assert!(column[8 * DOWN..].iter().all(|&b| b == 7));
                }
                for at in (0..DOWN).flat_map(|row| (0..width).map(move |k| row * apart + k)) {
                    for odd in [f64::NAN, f64::INFINITY] {
                        let (mut seen, mut cells) = (Across::NONE, cells.clone());
                        cells[at] = odd;
                        assert!(!turn(&mut seen, &cells, out));
                        assert_eq!(seen.least, Across::NONE.least);
                    }
                }
                assert!(!turn(&mut Across::NONE.clone(), &cells[..cells.len() - apart], out));
            }
        }
    }
}
