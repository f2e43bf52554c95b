//! The Parquet file.
//!
//! Reals are most of what is recorded: plain doubles, uncompressed, which is fastest to write and to read. They are
//! gathered column by column as they will lie in the file and go there as they are, a page header before each
//! stretch. Everything else (integers, truth values, words, lists, what may be absent) takes the library's way.

use std::io::Read;

use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, ColumnPath};

use super::arrow::{batch, schema};
use super::block::{Block, shown};
use super::file::AtomicFile;
use super::stream::{Encode, Portion};
use super::{ColumnSpec, Columns, Element, Metadata, RecordError};

/// A row group is closed at about this many bytes of cells: two of them are held in memory.
const ROW_GROUP_BYTES: usize = 4 << 20;
/// Bytes of values in one page.
const PAGE_BYTES: usize = 1 << 20;
/// Rows and cells of a tile that is turned into columns at once: a line of the cache across, two of them down.
const DOWN: usize = 16;
const ACROSS: usize = 8;
/// Rows that there is room for at the beginning.
const FEW_ROWS: usize = 64;

/// Writes a Parquet file, with statistics for each row group so that readers can skip.
pub(super) struct ParquetEncoder {
    writer: SerializedFileWriter<AtomicFile>,
    factory: ArrowRowGroupWriterFactory,
    /// The columns that are no plain reals.
    others: Columns,
    schema: SchemaRef,
    /// Of each column of the file.
    descriptors: Vec<ColumnDescPtr>,
}

/// The rows of a row group, column by column: that is done where the rows come from, while they are at hand.
pub(super) struct Group {
    /// Rows that are no columns yet, fewer than a tile has.
    fresh: Block,
    strips: Vec<Strip>,
    /// How many columns they are.
    reals: usize,
    /// Values of the reals: `rows` of the first, `rows` of the second, …
    values: Vec<u8>,
    /// Rows that there is room for.
    rows: usize,
    /// Rows of a row group.
    most: usize,
    /// Rows that are there, without the fresh ones.
    filled: usize,
    /// The other columns, in rows of their own, and the cells of a whole row that they take: first, how many.
    others: Block,
    cells: Vec<(usize, usize)>,
}

/// Neighbouring columns of reals without holes, as many as a tile has across. Whoever is not there has limits nobody sees.
struct Strip {
    /// The first of them: in the file, in a row, among the reals.
    column: usize,
    cell: usize,
    real: usize,
    /// How many they are.
    width: usize,
    /// All of them are shown as they are.
    plain: bool,
    scale: [f64; ACROSS],
    offset: [f64; ACROSS],
    /// The least and the greatest values so far.
    least: [f64; ACROSS],
    most: [f64; ACROSS],
}

/// Whether a column holds reals only: no lists, no holes.
fn is_plain(spec: &ColumnSpec) -> bool {
    matches!(spec.element, Element::Real { .. }) && spec.list.is_none() && !spec.nullable
}

impl Strip {
    /// The strip that begins with this column.
    fn new(column: usize, cell: usize, real: usize) -> Strip {
        let (least, most) = ([f64::INFINITY; ACROSS], [f64::NEG_INFINITY; ACROSS]);
        let (scale, offset) = ([1.0; ACROSS], [0.0; ACROSS]);
        Strip { column, cell, real, width: 0, plain: true, scale, offset, least, most }
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

    /// Turns rows `from..to` of a block, [`DOWN`] at most, into values of the file. `values` has `rows` of each real, these
    /// rows begin at `at`.
    fn take(&mut self, block: &Block, (from, to): (usize, usize), values: &mut [u8], rows: usize, at: usize) {
        let mut tile = [[f64::NAN; ACROSS]; DOWN];
        if self.width == ACROSS {
            for (values, row) in tile.iter_mut().zip(from..to) {
                values.copy_from_slice(&block.row(row)[self.cell..self.cell + ACROSS]);
            }
        } else {
            for (values, row) in tile.iter_mut().zip(from..to) {
                values[..self.width].copy_from_slice(&block.row(row)[self.cell..self.cell + self.width]);
            }
        }
        if self.plain {
            tile.iter_mut().flatten().for_each(|v| *v = shown(*v, 1.0, 0.0));
        } else {
            for row in &mut tile {
                for (k, v) in row.iter_mut().enumerate() {
                    *v = shown(*v, self.scale[k], self.offset[k]);
                }
            }
        }
        // What is not a number is neither the least nor the greatest.
        let (mut least, mut most) = (self.least, self.most);
        for row in &tile {
            for (k, &v) in row.iter().enumerate() {
                least[k] = if v < least[k] { v } else { least[k] };
                most[k] = if v > most[k] { v } else { most[k] };
            }
        }
        (self.least, self.most) = (least, most);
        let n = to - from;
        for k in 0..self.width {
            let start = 8 * ((self.real + k) * rows + at);
            if let Ok(room) = <&mut [u8; 8 * DOWN]>::try_from(&mut values[start..start + 8 * n]) {
                for (room, row) in room.chunks_exact_mut(8).zip(&tile) {
                    room.copy_from_slice(&row[k].to_le_bytes());
                }
            } else {
                for (room, row) in values[start..start + 8 * n].chunks_exact_mut(8).zip(&tile) {
                    room.copy_from_slice(&row[k].to_le_bytes());
                }
            }
        }
    }

    /// Forgets the extremes.
    fn begin(&mut self) {
        (self.least, self.most) = ([f64::INFINITY; ACROSS], [f64::NEG_INFINITY; ACROSS]);
    }

    /// Least and greatest value of its `k`-th column; none where nothing is a number.
    fn statistics(&self, k: usize) -> Option<Statistics> {
        let (least, most) = (self.least[k], self.most[k]);
        // Parquet wants a zero to cover both.
        let least = if least == 0.0 { -0.0 } else { least };
        let most = if most == 0.0 { 0.0 } else { most };
        (least <= most).then(|| Statistics::double(Some(least), Some(most), None, Some(0), false))
    }
}

/// Values of a column as they lie in the file: a header before each page.
struct Pages {
    parts: Vec<Bytes>,
    length: usize,
}

impl Pages {
    fn of(values: &Bytes) -> Pages {
        let mut parts = Vec::new();
        for from in (0..values.len()).step_by(PAGE_BYTES) {
            let page = values.slice(from..(from + PAGE_BYTES).min(values.len()));
            parts.push(Bytes::from(page_header(page.len(), page.len() / 8)));
            parts.push(page);
        }
        let length = parts.iter().map(Bytes::len).sum();
        Pages { parts, length }
    }
}

/// Thrift's compact form of a `PageHeader` with a `DataPageHeader`: so many bytes, uncompressed, plain values
/// without levels (Parquet format, `parquet.thrift`).
fn page_header(bytes: usize, values: usize) -> Vec<u8> {
    const I32: u8 = 0x15;
    const STRUCT_TWO_ON: u8 = 0x2c;
    const DATA_PAGE: usize = 0;
    const PLAIN: usize = 0;
    const RLE: usize = 3;
    let mut out = Vec::with_capacity(24);
    let field = |out: &mut Vec<u8>, value: usize| {
        out.push(I32);
        // Zigzag: numbers that are not negative are doubled.
        let mut rest = value * 2;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    };
    for value in [DATA_PAGE, bytes, bytes] {
        field(&mut out, value);
    }
    out.push(STRUCT_TWO_ON);
    for value in [values, PLAIN, RLE, RLE] {
        field(&mut out, value);
    }
    out.extend([0, 0]);
    out
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.length as u64
    }
}

impl ChunkReader for Pages {
    type T = Parts;

    fn get_read(&self, start: u64) -> Result<Parts, ParquetError> {
        let mut parts = Parts { parts: self.parts.clone(), part: 0, at: 0 };
        let mut rest = start as usize;
        while let Some(part) = parts.parts.get(parts.part) {
            if rest < part.len() {
                parts.at = rest;
                break;
            }
            rest -= part.len();
            parts.part += 1;
        }
        Ok(parts)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut out = vec![0; length];
        self.get_read(start)?.read_exact(&mut out)?;
        Ok(out.into())
    }
}

/// Bytes one after the other, from a byte of one of them on.
struct Parts {
    parts: Vec<Bytes>,
    part: usize,
    at: usize,
}

impl Read for Parts {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let Some(part) = self.parts.get(self.part) else { return Ok(0) };
        let n = out.len().min(part.len() - self.at);
        out[..n].copy_from_slice(&part[self.at..self.at + n]);
        self.at += n;
        if self.at == part.len() {
            (self.part, self.at) = (self.part + 1, 0);
        }
        Ok(n)
    }
}

impl ParquetEncoder {
    pub(super) fn new(
        file: AtomicFile,
        columns: &Columns,
        metadata: &Metadata,
    ) -> Result<ParquetEncoder, RecordError> {
        let schema_of_all = schema(columns, metadata);
        let facts = metadata.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by(concat!("twinml ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::UNCOMPRESSED)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(facts));
        let mut others = Vec::new();
        for spec in columns.specs() {
            let mut parts = vec![spec.name.clone()];
            if spec.list.is_some() {
                parts.extend(["list".to_owned(), "item".to_owned()]);
            }
            let path = ColumnPath::new(parts);
            properties = match spec.element {
                Element::Real { .. } => properties.set_column_encoding(path, Encoding::PLAIN),
                Element::Int | Element::Text(_) => properties.set_column_dictionary_enabled(path, true),
                Element::Bool => properties,
            };
            if !is_plain(spec) {
                others.push(spec.clone());
            }
        }
        let writer = ArrowWriter::try_new(file, schema_of_all, Some(properties.build()))?;
        let (writer, factory) = writer.into_serialized_writer()?;
        let descriptors = writer.schema_descr().columns().to_vec();
        let others = Columns::new(others)?;
        let schema = schema(&others, &Vec::new());
        Ok(ParquetEncoder { writer, factory, others, schema, descriptors })
    }
}

impl Group {
    /// Makes room for more rows: short results stay small.
    fn grow(&mut self) {
        let rows = (4 * self.rows).clamp(FEW_ROWS, self.most.max(FEW_ROWS)).min(self.most);
        let mut values = vec![0; 8 * rows * self.reals];
        for k in 0..self.reals {
            let (old, new) = (8 * k * self.rows, 8 * k * rows);
            values[new..new + 8 * self.filled].copy_from_slice(&self.values[old..old + 8 * self.filled]);
        }
        (self.values, self.rows) = (values, rows);
    }

    /// Makes columns of the fresh rows, which fit.
    fn settle(&mut self) {
        let n = self.fresh.rows();
        if self.filled + n > self.rows {
            self.grow();
        }
        for strip in &mut self.strips {
            strip.take(&self.fresh, (0, n), &mut self.values, self.rows, self.filled);
        }
        if !self.cells.is_empty() {
            for row in 0..n {
                let row = self.fresh.row(row);
                self.others.push(self.cells.iter().flat_map(|&(first, n)| &row[first..first + n]));
            }
        }
        self.fresh.clear();
        self.filled += n;
    }
}

impl Portion for Group {
    /// One being filled, one being written.
    const MANY: usize = 2;

    fn new(columns: &Columns) -> Group {
        let (mut strips, mut reals, mut cells, mut others) = (Vec::<Strip>::new(), 0, Vec::new(), 0);
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
                    cells.push((cell, spec.cells()));
                    others += spec.cells();
                }
            }
        }
        let most = (ROW_GROUP_BYTES / (8 * columns.cells().max(1))).clamp(1, 1 << 20);
        Group {
            fresh: Block::of_rows(columns.cells(), DOWN.min(most)),
            strips,
            reals,
            values: Vec::new(),
            rows: 0,
            most,
            filled: 0,
            others: Block::of_rows(others, FEW_ROWS),
            cells,
        }
    }

    fn push_by(
        &mut self,
        fill: &mut dyn FnMut(&mut Vec<f64>),
        checked: Option<&Columns>,
    ) -> Result<(), RecordError> {
        self.fresh.push_by(fill, checked)?;
        if self.fresh.rows() == DOWN || self.is_full() {
            self.settle();
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows() >= self.most
    }

    fn rows(&self) -> usize {
        self.filled + self.fresh.rows()
    }

    fn clear(&mut self) {
        self.fresh.clear();
        self.others.clear();
        self.strips.iter_mut().for_each(Strip::begin);
        self.filled = 0;
    }
}

impl Encode<Group> for ParquetEncoder {
    fn portion(&mut self, _: &Columns, group: &mut Group) -> Result<(), RecordError> {
        group.settle();
        self.write(group)
    }

    fn finish(self: Box<Self>) -> Result<u64, RecordError> {
        // This writes the footer.
        self.writer.into_inner()?.commit()
    }
}

impl ParquetEncoder {
    /// Writes the rows that are there as a row group.
    fn write(&mut self, from: &mut Group) -> Result<(), RecordError> {
        let n = from.filled;
        let mut chunks = Vec::new();
        if !from.cells.is_empty() {
            let batch = batch(&self.others, &self.schema, &from.others)?;
            let group = self.writer.flushed_row_groups().len();
            // One writer for each column of the file; those of the reals are not needed.
            let mut writers = self.factory.create_column_writers(group)?;
            let mut column = 0;
            writers.retain(|_| {
                let plain = from.strips.iter().any(|s| (s.column..s.column + s.width).contains(&column));
                column += 1;
                !plain
            });
            for ((writer, field), array) in
                writers.into_iter().zip(batch.schema().fields()).zip(batch.columns())
            {
                let mut writer = writer;
                for leaf in compute_leaves(field, array)? {
                    writer.write(&leaf)?;
                }
                chunks.push(writer.close()?);
            }
        }
        let mut chunks = chunks.into_iter();
        let values = Bytes::from(std::mem::take(&mut from.values));
        let mut group = self.writer.next_row_group()?;
        let reals = |s: &Strip| (0..s.width).map(|k| (s.column + k, s.real + k, s.statistics(k))).collect();
        let mut reals = from.strips.iter().flat_map(|s| -> Vec<_> { reals(s) }).peekable();
        for column in 0..self.descriptors.len() {
            match reals.next_if(|(c, ..)| *c == column) {
                Some((_, real, statistics)) => {
                    let first = 8 * real * from.rows;
                    let pages = Pages::of(&values.slice(first..first + 8 * n));
                    let mut metadata = ColumnChunkMetaData::builder(self.descriptors[column].clone())
                        .set_compression(Compression::UNCOMPRESSED)
                        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
                        .set_total_compressed_size(pages.length as i64)
                        .set_total_uncompressed_size(pages.length as i64)
                        .set_num_values(n as i64)
                        .set_data_page_offset(0);
                    if let Some(statistics) = statistics {
                        metadata = metadata.set_statistics(statistics);
                    }
                    let close = ColumnCloseResult {
                        bytes_written: pages.length as u64,
                        rows_written: n as u64,
                        metadata: metadata.build()?,
                        bloom_filter: None,
                        column_index: None,
                        offset_index: None,
                    };
                    group.append_column(&pages, close)?;
                }
                None => {
                    if let Some(chunk) = chunks.next() {
                        chunk.append_to_row_group(&mut group)?;
                    }
                }
            }
        }
        group.close()?;
        // Nobody else holds them any more: the memory comes back as it was.
        from.values = Vec::from(values);
        Ok(())
    }
}
