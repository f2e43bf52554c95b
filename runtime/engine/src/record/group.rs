//! The rows of a row group, column by column as they will lie in the file.
//!
//! Rows are gathered a few at a time, in the nearest cache, and turned into columns there; those that come cell by cell are
//! columns already. The columns are an image of what
//! the file will hold, so that nothing is copied on the way: between them there is room for the headers of their pages.

use std::ops::Range;

use parquet::file::statistics::Statistics;
use twinml_jit::{ACROSS, Across, DOWN, Piece, Seen, Tile, copy_all, turn_all};

use super::block::{Block, shown};
use super::file::{BORDER, Bordered, MANY};
use super::stream::Portion;
use super::{Cells, ColumnSpec, Columns, Element, RecordError, Strips, in_rows};

/// A row group is closed at about this many bytes of cells: two of them are held in memory, each with what is between its
/// columns in two large pages. Each costs a footer's part and two threads' waiting for each other.
const GROUP_BYTES: usize = (4 << 20) - (64 << 10);
/// Models with many columns get longer groups, for what is said of each column in each group costs too: up to twice the
/// bytes while there are fewer rows than this.
const WORTH: usize = 512;
/// Rows that there is room for at the beginning.
const FEW_ROWS: usize = 64;
/// Bytes before the values of each column: a line of the cache, at whose end the header of their page stands.
pub(super) const LEAD: usize = 64;

/// The rows of a row group.
pub(super) struct Group {
    /// Rows that are no columns yet, fewer than a tile has.
    fresh: Block,
    pub(super) strips: Vec<Strip>,
    /// How many columns they are.
    pub(super) reals: usize,
    pub(super) image: Image,
    /// Rows of a row group.
    most: usize,
    /// Rows that are there, without the fresh ones.
    pub(super) filled: usize,
    /// The other columns, in rows of their own, and the cells of a whole row that they take: first, how many.
    pub(super) others: Block,
    cells: Vec<(usize, usize)>,
}

/// Bytes as they will lie in the file, from a border of memory on: [`LEAD`], the values of the first column, [`LEAD`], …
#[derive(Default)]
pub(super) struct Image {
    room: Bordered,
    /// Rows that each column has room for.
    rows: usize,
}

impl Image {
    /// Where values of a column begin, from the first border on.
    pub(super) fn values(&self, real: usize) -> usize {
        real * (LEAD + 8 * self.rows) + LEAD
    }

    /// The bytes from the first border on.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        self.room.bytes()
    }

    /// Makes room for that many columns of so many rows, the first of which stay.
    fn grow(&mut self, reals: usize, rows: usize, filled: usize) {
        let mut new = Image { room: Bordered::new(reals * (LEAD + 8 * rows)), rows };
        for real in 0..if filled > 0 { reals } else { 0 } {
            let (from, to) = (self.values(real), new.values(real));
            new.bytes()[to..][..8 * filled].copy_from_slice(&self.bytes()[from..][..8 * filled]);
        }
        *self = new;
    }

    /// Moves columns together: they hold so many rows, and no group is longer that comes after. Returns where they end.
    pub(super) fn close(&mut self, reals: usize, filled: usize) -> usize {
        let rows = filled.next_multiple_of(LEAD / 8);
        if rows < self.rows {
            for real in 1..reals {
                let (from, to) = (self.values(real), real * (LEAD + 8 * rows) + LEAD);
                self.bytes().copy_within(from..from + 8 * filled, to);
            }
            self.rows = rows;
        }
        reals * (LEAD + 8 * self.rows)
    }

    /// Puts the header of its page before the values of a column, zeros where neither is. Returns where the header begins.
    pub(super) fn head(&mut self, real: usize, filled: usize, header: &[u8]) -> usize {
        let (values, rows) = (self.values(real), self.rows);
        let bytes = self.bytes();
        bytes[values - LEAD..values].fill(0);
        bytes[values - header.len()..values].copy_from_slice(header);
        bytes[values + 8 * filled..values + 8 * rows].fill(0);
        values - header.len()
    }

    /// Puts bytes behind the first `end`, and zeros up to a border where `whole`. Returns where they end.
    pub(super) fn append(&mut self, end: usize, bytes: &[u8], whole: bool) -> usize {
        let to = end + bytes.len();
        let all = if whole { to.next_multiple_of(BORDER) } else { to };
        if self.bytes().len() < all {
            // Some more than is needed: what comes here is about as long in every group.
            let room = Bordered::new(all + bytes.len() / 2 + BORDER);
            let mut old = std::mem::replace(&mut self.room, room);
            self.bytes()[..end].copy_from_slice(&old.bytes()[..end]);
        }
        self.bytes()[end..to].copy_from_slice(bytes);
        self.bytes()[to..all].fill(0);
        all
    }
}

/// Neighbouring columns of reals without holes, as many as a tile has across. Whoever is not there has limits nobody sees.
pub(super) struct Strip {
    /// The first of them: in the file, in a row, among the reals.
    pub(super) column: usize,
    cell: usize,
    pub(super) real: usize,
    /// How many they are.
    pub(super) width: usize,
    /// All of them are shown as they are.
    plain: bool,
    /// The last tile was turned.
    turned: bool,
    scale: [f64; ACROSS],
    offset: [f64; ACROSS],
    /// Of what came row by row, and of all once it is closed.
    extremes: Across,
    /// Of what came column by column.
    seen: [Seen; ACROSS],
}

/// How a column shows its cells.
struct Shown {
    scale: f64,
    offset: f64,
}

impl Shown {
    /// Puts cells, one for each eight bytes, where the column wants them. What is not a number has its one form once the column is
    /// [`Strip::close`]d.
    fn take(&self, cells: &[f64], out: &mut [[u8; 8]], seen: &mut Seen) {
        for (cells, out) in cells.chunks(DOWN).zip(out.chunks_mut(DOWN)) {
            let mut shown = [0.0; DOWN];
            for (to, &cell) in shown.iter_mut().zip(cells) {
                *to = (cell - self.offset) / self.scale;
            }
            let values = &shown[..cells.len()];
            seen.see(values);
            out.iter_mut().zip(values).for_each(|(to, v)| *to = v.to_le_bytes());
        }
    }

    /// The same of one cell that stands for all.
    fn take_still(&self, cell: f64, out: &mut [[u8; 8]], seen: &mut Seen) {
        let value = shown(cell, self.scale, self.offset);
        seen.see(&[value]);
        out.fill(value.to_le_bytes());
    }
}

fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Whether a column holds reals only: no lists, no holes.
pub(super) fn is_plain(spec: &ColumnSpec) -> bool {
    matches!(spec.element, Element::Real { .. }) && spec.list.is_none() && !spec.nullable
}

impl Strip {
    /// The strip that begins with this column.
    fn new(column: usize, cell: usize, real: usize) -> Strip {
        let (scale, offset) = ([1.0; ACROSS], [0.0; ACROSS]);
        Strip {
            column,
            cell,
            real,
            width: 0,
            plain: true,
            turned: false,
            scale,
            offset,
            extremes: Across::NONE,
            seen: [Seen::NONE; ACROSS],
        }
    }

    /// Whether a column may be its next one.
    fn goes_on(&self, column: usize, cell: usize) -> bool {
        self.width < ACROSS && column == self.column + self.width && cell == self.cell + self.width
    }

    fn push(&mut self, scale: f64, offset: f64) {
        self.scale[self.width] = scale;
        self.offset[self.width] = offset;
        self.plain &= scale == 1.0 && offset == 0.0;
        self.width += 1;
    }

    /// As [`Tile`], of its cells in the order of rows, behind which there are [`ACROSS`] more.
    fn tile<'a>(&'a mut self, cells: &'a [f64], apart: usize, out: &'a mut [u8], stride: usize) -> Tile<'a> {
        let Strip { extremes: seen, turned, width, .. } = self;
        Tile { seen, cells: &cells[self.cell..], apart, out, stride, width: *width, turned }
    }

    /// Turns [`DOWN`] rows of `apart` cells into columns, whatever they hold. `out` begins where the first column wants them.
    fn take(&mut self, cells: &[f64], apart: usize, out: &mut [u8], stride: usize) {
        if !self.plain {
            let mut tile = [0.0; DOWN * ACROSS];
            for (to, from) in tile.as_chunks_mut().0.iter_mut().zip(cells[self.cell..].chunks(apart)) {
                *to = self.shown(from);
            }
            let Strip { extremes: seen, turned, width, .. } = self;
            let tile = Tile { seen, cells: &tile, apart: ACROSS, out, stride, width: *width, turned };
            turn_all(std::iter::once(tile));
            if self.turned {
                return;
            }
        }
        self.take_few(cells, apart, out, stride, DOWN);
    }

    /// The same of fewer rows.
    fn take_few(&mut self, cells: &[f64], apart: usize, out: &mut [u8], stride: usize, rows: usize) {
        for (row, from) in cells[self.cell..].chunks(apart).take(rows).enumerate() {
            let values = self.shown(from);
            self.extremes.see(&values);
            for (k, value) in values.iter().take(self.width).enumerate() {
                out[k * stride + 8 * row..][..8].copy_from_slice(&value.to_le_bytes());
            }
        }
    }

    /// Its columns: the cell, how it is shown, what was seen.
    fn columns(&mut self) -> impl Iterator<Item = (usize, Shown, &mut Seen)> {
        let Strip { cell, width, scale, offset, seen, .. } = self;
        let shown = scale.iter().zip(&*offset).map(|(&scale, &offset)| Shown { scale, offset });
        let first = *cell;
        seen.iter_mut()
            .zip(shown)
            .take(*width)
            .enumerate()
            .map(move |(k, (seen, shown))| (first + k, shown, seen))
    }

    /// Puts together what was seen of its `k`-th column, whose values are these.
    fn close(&mut self, k: usize, values: &mut [u8]) {
        let Across { least, most } = &mut self.extremes;
        let seen = std::mem::replace(&mut self.seen[k], Seen::NONE);
        if let Some(ends) = seen.extremes() {
            (least[k], most[k]) = (lesser(ends.0, least[k]), greater(ends.1, most[k]));
            return;
        }
        (least[k], most[k]) = (f64::INFINITY, f64::NEG_INFINITY);
        for bytes in values.as_chunks_mut().0 {
            let value = f64::from_le_bytes(*bytes);
            if value.is_nan() {
                *bytes = f64::NAN.to_le_bytes();
            } else {
                (least[k], most[k]) = (lesser(value, least[k]), greater(value, most[k]));
            }
        }
    }

    /// The values that the file holds for the first cells.
    fn shown(&self, cells: &[f64]) -> [f64; ACROSS] {
        let mut values = [0.0; ACROSS];
        for (k, (to, &cell)) in values.iter_mut().zip(cells).take(self.width).enumerate() {
            *to = shown(cell, self.scale[k], self.offset[k]);
        }
        values
    }

    /// Least and greatest value of its `k`-th column; none where nothing is a number.
    pub(super) fn statistics(&self, k: usize) -> Option<Statistics> {
        let (least, most) = (self.extremes.least[k], self.extremes.most[k]);
        // Parquet wants a zero to cover both.
        let least = if least == 0.0 { -0.0 } else { least };
        let most = if most == 0.0 { 0.0 } else { most };
        (least <= most).then(|| Statistics::double(Some(least), Some(most), None, Some(0), false))
    }
}

impl Group {
    /// Makes columns of the fresh rows, which fit.
    fn settle(&mut self) {
        let n = self.fresh.rows();
        if n == 0 {
            return;
        }
        self.make_room(n);
        let stride = LEAD + 8 * self.image.rows;
        let (cells, apart) = self.fresh.cells_and_more(ACROSS);
        self.strips.iter_mut().for_each(|strip| strip.turned = false);
        if n == DOWN {
            let mut columns = &mut self.image.bytes()[LEAD..];
            let tiles = self.strips.iter_mut().filter_map(|strip| {
                let end = (strip.width * stride).min(columns.len());
                let out = columns.split_off_mut(..end)?.get_mut(8 * self.filled..)?;
                strip.plain.then(|| strip.tile(cells, apart, out, stride))
            });
            turn_all(tiles);
        }
        for strip in self.strips.iter_mut().filter(|strip| !strip.turned) {
            let at = self.image.values(strip.real) + 8 * self.filled;
            let out = &mut self.image.bytes()[at..];
            if n == DOWN {
                strip.take(cells, apart, out, stride);
            } else {
                strip.take_few(cells, apart, out, stride, n);
            }
        }
        if !self.cells.is_empty() {
            for row in 0..n {
                let row = self.fresh.row(row);
                match self.cells[..] {
                    [(cell, 1)] => self.others.push(std::slice::from_ref(&row[cell])),
                    _ => self.cells.iter().for_each(|&(first, n)| self.others.push(&row[first..first + n])),
                }
            }
        }
        self.fresh.clear();
        self.filled += n;
    }

    /// The values of a column of reals, once it is closed.
    pub(super) fn column(&mut self, real: usize) -> &[[u8; 8]] {
        let (at, n) = (self.image.values(real), self.filled);
        &self.image.bytes()[at..].as_chunks().0[..n]
    }

    /// Makes columns of all that is there; nothing comes after.
    pub(super) fn close(&mut self) {
        self.settle();
        for strip in &mut self.strips {
            for k in 0..strip.width {
                let at = self.image.values(strip.real + k);
                strip.close(k, &mut self.image.bytes()[at..][..8 * self.filled]);
            }
        }
    }

    /// Makes room for so many rows more in the image.
    fn make_room(&mut self, n: usize) {
        if self.filled + n > self.image.rows {
            // Short results stay small.
            let rows = (4 * self.image.rows).max(FEW_ROWS).max(self.filled + n);
            let rows = rows.next_multiple_of(LEAD / 8).min(self.most);
            // Memory that is touched for the first time is dear: what becomes large gets all that it may need.
            let rows = if self.reals * (LEAD + 8 * rows) > MANY { self.most } else { rows };
            self.image.grow(self.reals, rows, self.filled);
        }
    }
}

impl Portion for Group {
    /// One being filled, one being written.
    const MANY: usize = 2;

    fn new(columns: &Columns) -> Group {
        let (mut strips, mut reals, mut others) = (Vec::<Strip>::new(), 0, 0);
        let mut cells = Vec::<(usize, usize)>::new();
        for (column, (spec, cell)) in columns.with_cells().enumerate() {
            match spec.element {
                Element::Real { scale, offset } if is_plain(spec) => {
                    match strips.last_mut() {
                        Some(strip) if strip.goes_on(column, cell) => strip.push(scale, offset),
                        _ => {
                            let mut strip = Strip::new(column, cell, reals);
                            strip.push(scale, offset);
                            strips.push(strip);
                        }
                    }
                    reals += 1;
                }
                _ => {
                    match cells.last_mut() {
                        Some((first, n)) if *first + *n == cell => *n += spec.cells(),
                        _ => cells.push((cell, spec.cells())),
                    }
                    others += spec.cells();
                }
            }
        }
        let row = 8 * columns.cells().max(1);
        let most = (GROUP_BYTES / row).max(WORTH.min(2 * GROUP_BYTES / row)).clamp(DOWN, 1 << 20);
        Group {
            fresh: Block::of_rows(columns.cells(), DOWN),
            strips,
            reals,
            image: Image::default(),
            most: most - most % DOWN,
            filled: 0,
            others: Block::of_rows(others, FEW_ROWS),
            cells,
        }
    }

    fn push_by(
        &mut self,
        rows: usize,
        fill: &mut dyn FnMut(&mut Vec<f64>),
        checked: Option<&Columns>,
    ) -> Result<(), RecordError> {
        self.fresh.push_by(rows, fill, checked)?;
        if self.fresh.rows() == DOWN {
            self.settle();
        }
        Ok(())
    }

    fn push_of<'c>(
        &mut self,
        some: Range<usize>,
        _: usize,
        of: &dyn Fn(usize) -> Cells<'c>,
    ) -> Result<(), RecordError> {
        self.settle();
        let n = some.len();
        self.make_room(n);
        let stride = LEAD + 8 * self.image.rows;
        let columns = self.image.bytes()[LEAD..].chunks_mut(stride);
        // Cells that stand side by side, from the first one on.
        let mut beside = (0, Strips { values: &[], apart: 0, cells: 0 });
        let pieces = self.strips.iter_mut().flat_map(Strip::columns).zip(columns).filter_map(
            |((cell, shown, seen), column)| {
                let out = column.as_chunks_mut().0.get_mut(self.filled..)?.get_mut(..n)?;
                if cell - beside.0 >= beside.1.cells {
                    match of(cell) {
                        Cells::Each(strips) => beside = (cell, strips),
                        Cells::All(value) => {
                            shown.take_still(value, out, seen);
                            return None;
                        }
                    }
                }
                let (first, Strips { values, apart, .. }) = beside;
                let values = &values[(cell - first) * apart..][some.clone()];
                if shown.scale == 1.0 && shown.offset == 0.0 {
                    return Some(Piece { seen, values, out });
                }
                shown.take(values, out, seen);
                None
            },
        );
        copy_all(pieces);
        if !self.cells.is_empty() {
            let cells = || self.cells.iter().flat_map(|&(first, n)| first..first + n);
            let width = self.cells.iter().map(|(_, n)| n).sum();
            self.others.push_by(n, &mut |out| in_rows(&some, (width, cells()), of, out), None)?;
        }
        self.filled += n;
        Ok(())
    }

    fn follow(&mut self, full: &Group) {
        if self.image.rows == 0 {
            self.image.grow(self.reals, full.image.rows, 0);
        }
    }

    fn room_in_all(&self) -> usize {
        self.most - self.rows()
    }

    fn room(&self) -> usize {
        (DOWN - self.fresh.rows()).min(self.most - self.rows())
    }

    fn rows(&self) -> usize {
        self.filled + self.fresh.rows()
    }

    fn clear(&mut self) {
        self.fresh.clear();
        self.others.clear();
        self.strips.iter_mut().for_each(|s| s.extremes = Across::NONE);
        self.filled = 0;
    }
}
