//! The Parquet file.

use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::arrow::{batch, schema};
use super::block::Block;
use super::file::AtomicFile;
use super::stream::Encode;
use super::{Columns, Element, Metadata, RecordError};

/// A row group is closed at about this many encoded bytes: it is what the writer holds in memory.
const ROW_GROUP_BYTES: usize = 24 << 20;

/// Writes a Parquet file: reals plain (they rarely repeat, and plain is fastest to write and to read), integers
/// and texts with dictionaries, statistics for each row group so that readers can skip.
pub(super) struct ParquetEncoder {
    schema: SchemaRef,
    writer: ArrowWriter<AtomicFile>,
}

impl ParquetEncoder {
    pub(super) fn new(
        file: AtomicFile,
        columns: &Columns,
        metadata: &Metadata,
    ) -> Result<ParquetEncoder, RecordError> {
        let schema = schema(columns, metadata);
        let facts = metadata.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by(concat!("twinml ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::UNCOMPRESSED)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(facts));
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
        }
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties.build()))?;
        Ok(ParquetEncoder { schema, writer })
    }
}

impl Encode for ParquetEncoder {
    fn block(&mut self, columns: &Columns, block: &Block) -> Result<(), RecordError> {
        let batch = batch(columns, &self.schema, block)?;
        self.writer.write(&batch)?;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<u64, RecordError> {
        // This writes the footer.
        self.writer.into_inner()?.commit()
    }
}
