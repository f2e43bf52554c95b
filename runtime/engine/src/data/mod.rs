//! Measured data: numbers out of CSV, Parquet and Arrow files, with the place of every complaint.
//!
//! Files arrive as bytes (or, for large Parquet results, as an open file); nothing here opens a path. A column is
//! read when it is asked for, so that a text column that nobody asks for is no error.

mod arrow;
mod csv;
mod error;

use std::fs::File;

use bytes::Bytes;

pub use error::{DataError, Place};

/// A table of named columns, not yet read.
#[derive(Debug)]
pub struct Frame {
    name: String,
    columns: Vec<ColumnInfo>,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Csv(csv::Csv),
    Parquet(arrow::ParquetFile),
    Arrow(Bytes),
}

/// A column's name and what is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// The unit of its values, where the file says so.
    pub unit: Option<String>,
    /// The quantity, where the file says so.
    pub quantity: Option<String>,
    /// The description, where the file has one.
    pub description: Option<String>,
    /// Whether it is a list column.
    pub list: bool,
    /// Whether it holds truth values, where the file says so.
    pub truth: bool,
}

/// Numbers of a column in row order. `NaN` is an absent value only where `Frame::numbers` was told to let it pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// The values, as written in the file.
    pub values: Vec<f64>,
    /// Where each value stands; empty for files without lines.
    pub places: Vec<Place>,
}

/// `SI value = value·scale + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// SI value of one unit.
    pub scale: f64,
    /// SI value of the unit's zero.
    pub offset: f64,
}

impl Unit {
    /// The values are in SI.
    pub const SI: Unit = Unit { scale: 1.0, offset: 0.0 };

    /// The SI value of `value`.
    pub fn to_si(self, value: f64) -> f64 {
        if self.offset == 0.0 { value * self.scale } else { value * self.scale + self.offset }
    }
}

/// Samples of a function of one variable, in SI, arguments strictly increasing, everything finite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Arguments.
    pub x: Vec<f64>,
    /// Values.
    pub y: Vec<f64>,
}

impl Frame {
    /// A table from the bytes of a file; `name` is for messages and, by its extension, says the format
    /// (`.parquet`, `.pq`, `.arrow`, `.feather`, `.ipc`; anything else is read as CSV).
    ///
    /// # Errors
    ///
    /// What the header is made of: no header, a column named twice, no UTF-8, a broken footer.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Frame, DataError> {
        let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
        let store = match extension.as_deref() {
            Some("parquet" | "pq") => {
                Store::Parquet(arrow::ParquetFile::new(name, arrow::Input::Bytes(bytes.into()))?)
            }
            Some("arrow" | "feather" | "ipc") => Store::Arrow(bytes.into()),
            _ => Store::Csv(csv::Csv::new(name, bytes)?),
        };
        Frame::new(name, store)
    }

    /// A table from an open Parquet file, read piece by piece.
    ///
    /// # Errors
    ///
    /// A broken footer.
    pub fn from_parquet_file(name: &str, file: File) -> Result<Frame, DataError> {
        Frame::new(name, Store::Parquet(arrow::ParquetFile::new(name, arrow::Input::File(file))?))
    }

    fn new(name: &str, store: Store) -> Result<Frame, DataError> {
        let columns = match &store {
            Store::Csv(csv) => {
                let info = |name: &String| ColumnInfo { name: name.clone(), ..ColumnInfo::default() };
                csv.header().iter().map(info).collect()
            }
            Store::Parquet(file) => file.columns(),
            Store::Arrow(bytes) => arrow::arrow_columns(name, bytes)?,
        };
        Ok(Frame { name: name.to_owned(), columns, store })
    }

    /// The table with what the text `json` of the file `name` says of its columns (see [`crate::csvw`]).
    ///
    /// # Errors
    ///
    /// [`DataError::Metadata`].
    pub fn described(mut self, name: &str, json: &[u8]) -> Result<Frame, DataError> {
        crate::csvw::complete(&mut self.columns, &self.name, name, json)?;
        Ok(self)
    }

    /// The name that messages show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns in the order of the file.
    pub fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    /// The file's own metadata (scenario, seed, …) in the order of their keys; CSV has none.
    ///
    /// # Errors
    ///
    /// [`DataError::Broken`] when the file's footer cannot be read.
    pub fn metadata(&self) -> Result<Vec<(String, String)>, DataError> {
        match &self.store {
            Store::Csv(_) => Ok(Vec::new()),
            Store::Parquet(file) => Ok(file.facts()),
            Store::Arrow(bytes) => arrow::arrow_metadata(&self.name, bytes),
        }
    }

    /// Calls `take(row, element, value)` for every value of a numeric column, row by row; absent values are NaN.
    /// A scalar column has the one element 0. Nothing is kept, so a column may be longer than memory.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`], or the place of the first value that is no number.
    pub fn scan(&self, column: &str, mut take: impl FnMut(u64, usize, f64)) -> Result<(), DataError> {
        let index = self.find(column)?;
        match &self.store {
            Store::Csv(csv) => csv.scan(index, true, |row, value, _| take(row, 0, value)),
            Store::Parquet(_) | Store::Arrow(_) => self
                .batches(index, &mut |batch, at, row| arrow::numbers(&self.name, batch, at, row, &mut take)),
        }
    }

    /// Calls `take(row, element, text)` for every value of a column of texts (of any column in CSV), row by row; an
    /// absent text is empty. A scalar column has the one element 0. Nothing is kept.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`]; [`DataError::Type`] for numbers in Parquet and Arrow.
    pub fn scan_texts(&self, column: &str, mut take: impl FnMut(u64, usize, &str)) -> Result<(), DataError> {
        let index = self.find(column)?;
        match &self.store {
            Store::Csv(csv) => csv.fields(index, |row, text, _| {
                take(row, 0, text);
                Ok(())
            }),
            Store::Parquet(_) | Store::Arrow(_) => {
                self.batches(index, &mut |batch, at, row| arrow::texts(&self.name, batch, at, row, &mut take))
            }
        }
    }

    /// Hands a column of a Parquet or Arrow file on, batch by batch.
    fn batches(&self, index: usize, feed: &mut arrow::Feed<'_>) -> Result<(), DataError> {
        match &self.store {
            Store::Csv(_) => Ok(()),
            Store::Parquet(file) => file.scan(&self.name, index, feed),
            Store::Arrow(bytes) => arrow::scan_arrow(&self.name, bytes, index, feed),
        }
    }

    /// All numbers of a scalar column, none absent, all finite.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`], or the place of the first value that is absent, infinite or no number.
    pub fn numbers(&self, column: &str) -> Result<Numbers, DataError> {
        let index = self.find(column)?;
        let mut numbers = Numbers::default();
        match &self.store {
            Store::Csv(csv) => csv.scan(index, false, |_, value, place| {
                numbers.values.push(value);
                numbers.places.push(place);
            })?,
            Store::Parquet(_) | Store::Arrow(_) => {
                let mut listed = false;
                self.scan(column, |_, element, value| {
                    listed |= element > 0;
                    numbers.values.push(value);
                })?;
                if listed {
                    return Err(DataError::List { file: self.name.clone(), column: column.to_owned() });
                }
            }
        }
        if let Some(at) = numbers.values.iter().position(|v| !v.is_finite()) {
            return Err(DataError::NotFinite {
                file: self.name.clone(),
                column: column.to_owned(),
                place: numbers.places.get(at).copied().unwrap_or(Place::row(at as u64 + 1)),
                value: numbers.values[at],
            });
        }
        Ok(numbers)
    }

    /// The function that column `y` is of column `x`, both brought to SI: for `drive` and `table`.
    ///
    /// # Errors
    ///
    /// As [`Frame::numbers`]; [`DataError::NotIncreasing`] with the place where `x` does not rise;
    /// [`DataError::Empty`] for a file without rows.
    pub fn samples(&self, x: (&str, Unit), y: (&str, Unit)) -> Result<Samples, DataError> {
        let (xs, ys) = (self.numbers(x.0)?, self.numbers(y.0)?);
        if xs.values.is_empty() {
            return Err(DataError::Empty { file: self.name.clone() });
        }
        for k in 1..xs.values.len() {
            if xs.values[k] <= xs.values[k - 1] {
                return Err(DataError::NotIncreasing {
                    file: self.name.clone(),
                    column: x.0.to_owned(),
                    place: xs.places.get(k).copied().unwrap_or(Place::row(k as u64 + 1)),
                    before: xs.values[k - 1],
                    value: xs.values[k],
                });
            }
        }
        let si = |numbers: Numbers, unit: Unit| numbers.values.into_iter().map(|v| unit.to_si(v)).collect();
        Ok(Samples { x: si(xs, x.1), y: si(ys, y.1) })
    }

    fn find(&self, column: &str) -> Result<usize, DataError> {
        self.columns.iter().position(|c| c.name == column).ok_or_else(|| DataError::NoColumn {
            file: self.name.clone(),
            column: column.to_owned(),
            columns: self.columns.iter().map(|c| c.name.clone()).collect(),
        })
    }
}
