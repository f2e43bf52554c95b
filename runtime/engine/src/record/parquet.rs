//! The Parquet file.
//!
//! Reals are most of what is recorded: plain doubles, uncompressed, which is fastest to write and to read. They are
//! gathered column by column as they will lie in the file ([`super::group`]) and go there from where they were made.
//! Everything else (integers, truth values, words, lists, what may be absent) is encoded by the library, which writes the
//! footer, too. A row group begins at a multiple of 4096 bytes, each column of reals at one of 64.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::{SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::{ColumnPath, SchemaDescPtr, SchemaDescriptor};

use super::arrow::{batch, schema};
use super::block::{Block, same};
use super::file::AtomicFile;
use super::group::{Group, LEAD, is_plain};
use super::stream::{Encode, Portion};
use super::thinning::{Online, Thinning};
use super::{Columns, Element, Metadata, RecordError};

/// What a file begins with.
const MAGIC: &[u8] = b"PAR1";

/// Writes a Parquet file, with statistics for each row group so that readers can skip.
pub(super) struct ParquetEncoder {
    file: AtomicFile,
    schema: SchemaDescPtr,
    facts: Option<Vec<KeyValue>>,
    /// What is said of the row groups in the footer.
    groups: Vec<RowGroupMetaData>,
    rows: u64,
    others: Others,
    /// Who wants few points of each column.
    thinning: Option<Online>,
}

/// Encodes the columns that are no plain reals, as the library does.
struct Others {
    columns: Columns,
    schema: SchemaRef,
    descriptor: SchemaDescPtr,
    properties: WriterPropertiesPtr,
    factory: ArrowRowGroupWriterFactory,
    encoded: Encoded,
    /// What was encoded: so many rows, all with these cells; none where they were not all the same.
    still: Option<(usize, Vec<f64>)>,
}

/// Columns of a row group: their bytes, and what is said of each in the footer, with offsets in these bytes.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    chunks: Vec<ColumnChunkMetaData>,
}

impl Others {
    fn new(columns: Vec<super::ColumnSpec>, properties: WriterProperties) -> Result<Others, RecordError> {
        let columns = Columns::new(columns)?;
        let schema = schema(&columns, &Vec::new());
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
        let (writer, factory) = writer.into_serialized_writer()?;
        let descriptor = Arc::new(SchemaDescriptor::new(writer.schema_descr().root_schema_ptr()));
        let properties = writer.properties().clone();
        Ok(Others {
            columns,
            schema,
            descriptor,
            properties,
            factory,
            encoded: Encoded::default(),
            still: None,
        })
    }

    /// The columns of a row group. Where nothing moves (the `step` of a run without events) they are often those of the
    /// group before.
    fn encode(&mut self, block: &Block) -> Result<&Encoded, RecordError> {
        if self.columns.cells() == 0 {
            return Ok(&self.encoded);
        }
        let n = block.rows();
        let still = block.is_still().then(|| (n, block.row(0).to_vec()));
        if let (Some((rows, cells)), Some((before, known))) = (&still, &self.still)
            && rows == before
            && same(cells, known)
        {
            return Ok(&self.encoded);
        }
        let batch = batch(&self.columns, &self.schema, block)?;
        let mut bytes = TrackedWrite::new(Vec::new());
        let (descriptor, properties) = (self.descriptor.clone(), self.properties.clone());
        let mut group = SerializedRowGroupWriter::new(descriptor, properties, &mut bytes, 0, None);
        let writers = self.factory.create_column_writers(0)?;
        for ((mut writer, field), array) in
            writers.into_iter().zip(batch.schema().fields()).zip(batch.columns())
        {
            for leaf in compute_leaves(field, array)? {
                writer.write(&leaf)?;
            }
            writer.close()?.append_to_row_group(&mut group)?;
        }
        let said = group.close()?;
        let chunks = said.columns().to_vec();
        self.encoded = Encoded { bytes: bytes.into_inner()?, chunks };
        self.still = still;
        Ok(&self.encoded)
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
    let mut out = Vec::with_capacity(LEAD);
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
            .set_created_by(created_by())
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
        let properties = properties.build();
        let others = Others::new(others, properties.clone())?;
        // The library turns the schema into the file's, and notes it among the facts as it was.
        let writer = ArrowWriter::try_new(Vec::new(), schema_of_all, Some(properties))?;
        let (writer, _) = writer.into_serialized_writer()?;
        Ok(ParquetEncoder {
            file,
            schema: Arc::new(SchemaDescriptor::new(writer.schema_descr().root_schema_ptr())),
            facts: writer.properties().key_value_metadata().cloned(),
            groups: Vec::new(),
            rows: 0,
            others,
            thinning: None,
        })
    }

    /// The same for a result that ends at `end`, in few points, too.
    pub(super) fn thinned(mut self, columns: &Columns, end: f64) -> (ParquetEncoder, Thinning) {
        let (online, thinning) = Online::new(columns, end);
        self.thinning = Some(online);
        (self, thinning)
    }
}

fn created_by() -> String {
    concat!("twinml ", env!("CARGO_PKG_VERSION")).to_owned()
}

impl Encode<Group> for ParquetEncoder {
    fn portion(&mut self, _: &Columns, group: &mut Group) -> Result<(), RecordError> {
        let whole = group.room() == 0;
        group.close();
        self.write(group, whole)?;
        if let Some(online) = &mut self.thinning {
            online.take(group);
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64, RecordError> {
        let version = WriterVersion::PARQUET_1_0.as_num();
        let (rows, facts, schema) = (self.rows as i64, self.facts.take(), self.schema.clone());
        let file = FileMetaData::new(version, rows, Some(created_by()), facts, schema, None);
        let said = ParquetMetaData::new(file, std::mem::take(&mut self.groups));
        let mut footer = if rows == 0 { MAGIC.to_vec() } else { Vec::new() };
        ParquetMetaDataWriter::new(&mut footer, &said).finish()?;
        self.put(&footer)?;
        let bytes = self.file.commit()?;
        if let Some(online) = self.thinning {
            online.finish();
        }
        Ok(bytes)
    }
}

impl ParquetEncoder {
    /// Writes the rows that are there as a row group; `whole` where others may follow.
    fn write(&mut self, from: &mut Group, whole: bool) -> Result<(), RecordError> {
        let (n, begin) = (from.filled, self.file.written() as usize);
        let mut end = from.image.close(from.reals, n);
        if begin == 0 && end == 0 {
            end = from.image.append(0, MAGIC, false);
        }
        let others = self.others.encode(&from.others)?;
        let others_at = (begin + end) as i64;
        end = from.image.append(end, &others.bytes, whole);

        let mut others = others.chunks.iter().map(|chunk| moved(chunk, others_at));
        let mut chunks = Vec::with_capacity(self.schema.num_columns());
        let header = page_header(8 * n, n);
        for strip in &from.strips {
            for chunk in others.by_ref().take(strip.column.saturating_sub(chunks.len())) {
                chunks.push(chunk?);
            }
            for k in 0..strip.width {
                let at = begin + from.image.head(strip.real + k, n, &header);
                let mut said = ColumnChunkMetaData::builder(self.schema.column(strip.column + k))
                    .set_compression(Compression::UNCOMPRESSED)
                    .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
                    .set_total_compressed_size((header.len() + 8 * n) as i64)
                    .set_total_uncompressed_size((header.len() + 8 * n) as i64)
                    .set_num_values(n as i64)
                    .set_data_page_offset(at as i64);
                if let Some(statistics) = strip.statistics(k) {
                    said = said.set_statistics(statistics);
                }
                chunks.push(said.build()?);
            }
        }
        for chunk in others {
            chunks.push(chunk?);
        }
        let first = chunks.iter().map(|c| c.byte_range().0).min().unwrap_or_default();
        let bytes = chunks.iter().map(ColumnChunkMetaData::uncompressed_size).sum();
        let said = RowGroupMetaData::builder(self.schema.clone())
            .set_num_rows(n as i64)
            .set_total_byte_size(bytes)
            .set_file_offset(first as i64)
            .set_ordinal(self.groups.len() as i32)
            .set_column_metadata(chunks);
        self.groups.push(said.build()?);
        self.rows += n as u64;
        let image = from.image.bytes();
        if begin == 0 {
            image[..MAGIC.len()].copy_from_slice(MAGIC);
        }
        self.put(&image[..end])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        match self.file.put(bytes) {
            Ok(()) => Ok(()),
            Err(source) => {
                Err(RecordError::Io { action: "write", path: self.file.path().to_owned(), source })
            }
        }
    }
}

/// What is said of a column whose bytes begin so much later in the file than where they were encoded.
fn moved(chunk: &ColumnChunkMetaData, by: i64) -> Result<ColumnChunkMetaData, RecordError> {
    let (data, words) = (chunk.data_page_offset() + by, chunk.dictionary_page_offset().map(|at| at + by));
    let moved = chunk.clone().into_builder().set_data_page_offset(data).set_dictionary_page_offset(words);
    Ok(moved.build()?)
}
