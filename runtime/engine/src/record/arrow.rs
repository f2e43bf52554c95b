//! Blocks as Arrow record batches, and the Arrow IPC file.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::block::{Block, shown, word};
use super::column::is_whole;
use super::file::AtomicFile;
use super::stream::{Encode, Portion};
use super::{ColumnSpec, Columns, Element, Metadata, RecordError};

/// The Arrow type of one element.
fn data_type(element: &Element) -> DataType {
    match element {
        Element::Real { .. } => DataType::Float64,
        Element::Bool => DataType::Boolean,
        Element::Int => DataType::Int64,
        Element::Text(_) => DataType::Utf8,
    }
}

/// The field of the elements of a list column.
fn item(spec: &ColumnSpec) -> Field {
    Field::new("item", data_type(&spec.element), true)
}

/// The Arrow schema of a result, with `unit`, `quantity` and `description` on every field that has them.
pub(super) fn schema(columns: &Columns, metadata: &Metadata) -> SchemaRef {
    let fields: Vec<Field> = columns
        .specs()
        .iter()
        .map(|spec| {
            let data_type = match spec.list {
                None => data_type(&spec.element),
                Some(_) => DataType::List(Arc::new(item(spec))),
            };
            let facts =
                [("unit", &spec.unit), ("quantity", &spec.quantity), ("description", &spec.description)];
            let facts: HashMap<String, String> =
                facts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))).collect();
            let absent = spec.nullable || (spec.gaps && spec.list.is_none());
            Field::new(&spec.name, data_type, absent).with_metadata(facts)
        })
        .collect();
    let facts: HashMap<String, String> = metadata.iter().cloned().collect();
    Arc::new(Schema::new_with_metadata(fields, facts))
}

/// One block as a record batch of `schema`.
pub(super) fn batch(
    columns: &Columns,
    schema: &SchemaRef,
    block: &Block,
) -> Result<RecordBatch, RecordError> {
    let arrays: Result<Vec<ArrayRef>, RecordError> =
        columns.with_cells().map(|(spec, first)| array(spec, first, block)).collect();
    Ok(RecordBatch::try_new(schema.clone(), arrays?)?)
}

/// The array of one column whose cells begin at `first`.
fn array(spec: &ColumnSpec, first: usize, block: &Block) -> Result<ArrayRef, RecordError> {
    let rows = block.rows();
    let present = spec
        .nullable
        .then(|| NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| block.row(row)[first] != 0.0)));
    let first = first + usize::from(spec.nullable);
    let Some(length) = spec.list else {
        return elements(spec, block.column(first), rows, present);
    };
    let all = (0..rows).flat_map(|row| block.row(row)[first..first + length].iter().copied());
    let values = elements(spec, all, rows * length, None)?;
    let offsets: Result<Vec<i32>, _> = (0..=rows).map(|row| i32::try_from(row * length)).collect();
    // A block holds at most a few million cells, or a single row; only such a row can be too long for a list.
    let offsets = offsets
        .map_err(|_| RecordError::Arrow(arrow_schema::ArrowError::OffsetOverflowError(rows * length)))?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(ListArray::try_new(Arc::new(item(spec)), offsets, values, present)?))
}

/// The array of `count` elements.
fn elements(
    spec: &ColumnSpec,
    cells: impl Iterator<Item = f64>,
    count: usize,
    present: Option<NullBuffer>,
) -> Result<ArrayRef, RecordError> {
    Ok(match &spec.element {
        Element::Real { scale, offset } => {
            let mut values = Vec::with_capacity(count);
            values.extend(cells.map(|cell| shown(cell, *scale, *offset)));
            Arc::new(Float64Array::new(ScalarBuffer::from(values), present))
        }
        Element::Bool => {
            let values: Vec<bool> = cells.map(|cell| cell != 0.0).collect();
            Arc::new(BooleanArray::new(BooleanBuffer::from(values), present))
        }
        Element::Int => {
            let cells: Vec<f64> = cells.collect();
            let values: Vec<i64> = cells.iter().map(|cell| *cell as i64).collect();
            let known = spec.gaps.then(|| NullBuffer::from_iter(cells.iter().map(|cell| is_whole(*cell))));
            let present = NullBuffer::union(present.as_ref(), known.as_ref());
            Arc::new(Int64Array::new(ScalarBuffer::from(values), present))
        }
        Element::Text(words) => {
            let texts: Result<Vec<Option<&str>>, RecordError> = cells
                .enumerate()
                .map(|(row, cell)| match &present {
                    Some(present) if present.is_null(row) => Ok(None),
                    _ => word(&spec.name, words, cell).map(Some),
                })
                .collect();
            Arc::new(StringArray::from(texts?))
        }
    })
}

/// Writes an Arrow IPC file.
pub(super) struct ArrowEncoder {
    schema: SchemaRef,
    writer: FileWriter<AtomicFile>,
}

impl ArrowEncoder {
    pub(super) fn new(
        file: AtomicFile,
        columns: &Columns,
        metadata: &Metadata,
    ) -> Result<ArrowEncoder, RecordError> {
        let schema = schema(columns, metadata);
        let writer = FileWriter::try_new(file, &schema)?;
        Ok(ArrowEncoder { schema, writer })
    }
}

impl Encode<Block> for ArrowEncoder {
    fn portion(&mut self, columns: &Columns, block: &mut Block) -> Result<(), RecordError> {
        let batch = batch(columns, &self.schema, block)?;
        Ok(self.writer.write(&batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<u64, RecordError> {
        self.writer.finish()?;
        let mut file = self.writer.into_inner()?;
        let flushed = file.flush();
        flushed.map_err(|source| RecordError::Io {
            action: "write",
            path: file.path().to_owned(),
            source,
        })?;
        file.commit()
    }
}
