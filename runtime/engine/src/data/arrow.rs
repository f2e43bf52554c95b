//! Columns of Parquet and Arrow IPC files.

use std::fs::File;
use std::io::Cursor;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::ChunkReader;

use super::{ColumnInfo, DataError};

/// A Parquet file whose footer was read once.
#[derive(Debug)]
pub(super) struct ParquetFile {
    bytes: Input,
    footer: ArrowReaderMetadata,
}

/// Where a Parquet file's bytes are.
#[derive(Debug)]
pub(super) enum Input {
    Bytes(Bytes),
    File(File),
}

impl ParquetFile {
    pub(super) fn new(name: &str, bytes: Input) -> Result<ParquetFile, DataError> {
        let options = ArrowReaderOptions::default();
        let footer = match &bytes {
            Input::Bytes(b) => ArrowReaderMetadata::load(b, options),
            Input::File(f) => ArrowReaderMetadata::load(f, options),
        };
        Ok(ParquetFile { footer: footer.map_err(|e| broken(name, e))?, bytes })
    }

    pub(super) fn columns(&self) -> Vec<ColumnInfo> {
        infos(self.footer.schema())
    }

    /// The file's own metadata in the order of their keys.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let facts = self.footer.metadata().file_metadata().key_value_metadata();
        let mut facts: Vec<(String, String)> = facts
            .into_iter()
            .flatten()
            .filter(|kv| kv.key != "ARROW:schema")
            .filter_map(|kv| Some((kv.key.clone(), kv.value.clone()?)))
            .collect();
        facts.sort();
        facts
    }

    /// Hands one column on, batch by batch.
    pub(super) fn scan(&self, name: &str, index: usize, feed: &mut Feed<'_>) -> Result<(), DataError> {
        let footer = self.footer.clone();
        match &self.bytes {
            Input::Bytes(bytes) => {
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), footer);
                scan_parquet(name, builder, index, feed)
            }
            Input::File(file) => {
                let file = file.try_clone().map_err(|e| broken(name, e))?;
                scan_parquet(
                    name,
                    ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer),
                    index,
                    feed,
                )
            }
        }
    }
}

fn broken(file: &str, cause: impl std::fmt::Display) -> DataError {
    DataError::Broken { file: file.to_owned(), cause: cause.to_string() }
}

fn infos(schema: &Schema) -> Vec<ColumnInfo> {
    let info = |field: &Field| {
        let fact = |key: &str| field.metadata().get(key).cloned();
        ColumnInfo {
            name: field.name().clone(),
            unit: fact("unit"),
            quantity: fact("quantity"),
            description: fact("description"),
            list: matches!(field.data_type(), DataType::List(_) | DataType::FixedSizeList(..)),
            truth: *field.data_type() == DataType::Boolean,
        }
    };
    schema.fields().iter().map(|f| info(f)).collect()
}

/// Takes the place of one column in a batch, and the number of the batch's first row, which it moves on.
pub(super) type Feed<'f> = dyn FnMut(&RecordBatch, usize, &mut u64) -> Result<(), DataError> + 'f;

fn scan_parquet<T: ChunkReader + 'static>(
    name: &str,
    builder: ParquetRecordBatchReaderBuilder<T>,
    index: usize,
    feed: &mut Feed<'_>,
) -> Result<(), DataError> {
    let mask = ProjectionMask::roots(builder.parquet_schema(), [index]);
    let reader = builder.with_projection(mask).with_batch_size(16_384).build();
    let mut row = 0;
    for batch in reader.map_err(|e| broken(name, e))? {
        feed(&batch.map_err(|e| broken(name, e))?, 0, &mut row)?;
    }
    Ok(())
}

fn arrow_reader(
    name: &str,
    bytes: &Bytes,
    columns: Option<Vec<usize>>,
) -> Result<FileReader<Cursor<Bytes>>, DataError> {
    FileReader::try_new(Cursor::new(bytes.clone()), columns).map_err(|e| broken(name, e))
}

pub(super) fn arrow_columns(name: &str, bytes: &Bytes) -> Result<Vec<ColumnInfo>, DataError> {
    Ok(infos(&arrow_reader(name, bytes, None)?.schema()))
}

pub(super) fn arrow_metadata(name: &str, bytes: &Bytes) -> Result<Vec<(String, String)>, DataError> {
    let schema = arrow_reader(name, bytes, None)?.schema();
    let mut facts: Vec<(String, String)> =
        schema.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    facts.sort();
    Ok(facts)
}

/// Hands one column of an Arrow file on, batch by batch.
pub(super) fn scan_arrow(
    name: &str,
    bytes: &Bytes,
    index: usize,
    feed: &mut Feed<'_>,
) -> Result<(), DataError> {
    let mut row = 0;
    for batch in arrow_reader(name, bytes, Some(vec![index]))? {
        feed(&batch.map_err(|e| broken(name, e))?, 0, &mut row)?;
    }
    Ok(())
}

/// Hands the values of one column of a batch on.
pub(super) fn numbers(
    name: &str,
    batch: &RecordBatch,
    index: usize,
    row: &mut u64,
    take: &mut dyn FnMut(u64, usize, f64),
) -> Result<(), DataError> {
    let array = batch.column(index);
    let wrong = |array: &dyn Array| DataError::Type {
        file: name.to_owned(),
        column: batch.schema().field(index).name().clone(),
        found: array.data_type().to_string(),
    };
    if let Some(list) = array.as_list_opt::<i32>() {
        let mut values = Vec::new();
        if !values_of(list.values(), &mut values) {
            return Err(wrong(array));
        }
        let offsets = list.value_offsets();
        for k in 0..list.len() {
            let (lo, hi) = (offsets[k] as usize, offsets[k + 1] as usize);
            for (element, value) in values[lo..hi].iter().enumerate() {
                take(*row, element, if list.is_null(k) { f64::NAN } else { *value });
            }
            *row += 1;
        }
        return Ok(());
    }
    let mut values = Vec::new();
    if !values_of(array, &mut values) {
        return Err(wrong(array));
    }
    for value in values {
        take(*row, 0, value);
        *row += 1;
    }
    Ok(())
}

/// Hands the texts of one column of a batch on, also those of a dictionary or of lists; absent ones are empty.
pub(super) fn texts(
    name: &str,
    batch: &RecordBatch,
    index: usize,
    row: &mut u64,
    take: &mut dyn FnMut(u64, usize, &str),
) -> Result<(), DataError> {
    let array = batch.column(index);
    let (values, offsets) = match array.as_list_opt::<i32>() {
        Some(list) => (list.values(), Some(list.value_offsets())),
        None => (array, None),
    };
    // The text at each place: of the array itself, or of the dictionary that it points into.
    let keys = values.as_any_dictionary_opt();
    let words = keys.map_or(values, |keys| keys.values());
    let keys = keys.map(|keys| keys.normalized_keys());
    let (short, long) = (words.as_string_opt::<i32>(), words.as_string_opt::<i64>());
    if short.is_none() && long.is_none() {
        return Err(DataError::Type {
            file: name.to_owned(),
            column: batch.schema().field(index).name().clone(),
            found: array.data_type().to_string(),
        });
    }
    let word = |place: usize| {
        if values.is_null(place) {
            return "";
        }
        let place = keys.as_ref().map_or(place, |keys| keys[place]);
        short.map(|s| s.value(place)).or(long.map(|s| s.value(place))).unwrap_or("")
    };
    for k in 0..batch.num_rows() {
        let (lo, hi) = offsets.map_or((k, k + 1), |o| (o[k] as usize, o[k + 1] as usize));
        for n in lo..hi {
            take(*row, n - lo, word(n));
        }
        *row += 1;
    }
    Ok(())
}

/// The values of a numeric or Boolean array as reals, absent ones as NaN; false for another type.
fn values_of(array: &dyn Array, out: &mut Vec<f64>) -> bool {
    fn primitive<T: ArrowPrimitiveType>(
        array: &dyn Array,
        out: &mut Vec<f64>,
        real: impl Fn(T::Native) -> f64,
    ) {
        let array = array.as_primitive::<T>();
        out.extend(array.iter().map(|v| v.map_or(f64::NAN, &real)));
    }
    match array.data_type() {
        DataType::Float64 => primitive::<Float64Type>(array, out, |v| v),
        DataType::Float32 => primitive::<Float32Type>(array, out, f64::from),
        DataType::Int8 => primitive::<Int8Type>(array, out, f64::from),
        DataType::Int16 => primitive::<Int16Type>(array, out, f64::from),
        DataType::Int32 => primitive::<Int32Type>(array, out, f64::from),
        DataType::Int64 => primitive::<Int64Type>(array, out, |v| v as f64),
        DataType::UInt8 => primitive::<UInt8Type>(array, out, f64::from),
        DataType::UInt16 => primitive::<UInt16Type>(array, out, f64::from),
        DataType::UInt32 => primitive::<UInt32Type>(array, out, f64::from),
        DataType::UInt64 => primitive::<UInt64Type>(array, out, |v| v as f64),
        DataType::Boolean => {
            out.extend(array.as_boolean().iter().map(|v| v.map_or(f64::NAN, |b| f64::from(u8::from(b)))));
        }
        _ => return false,
    }
    true
}
