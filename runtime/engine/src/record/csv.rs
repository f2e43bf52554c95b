//! The CSV file: RFC 4180 with a header, reals in the shortest form that reads back to the same bits; its units stand in a file
//! beside it ([`crate::csvw`]).

use std::io::Write;

use super::block::{Block, shown, word};
use super::column::is_whole;
use super::file::{AtomicFile, write_atomic};
use super::stream::{Encode, Portion};
use super::{Columns, Element, RecordError};
use crate::csvw;

/// Writes CSV. A list column becomes one column for each element, an absent value an empty field.
pub(super) struct CsvEncoder {
    file: AtomicFile,
    /// What the file beside it says.
    described: String,
    /// Text that is ready to be written; kept between blocks for its memory.
    text: Vec<u8>,
}

impl CsvEncoder {
    pub(super) fn new(file: AtomicFile, columns: &Columns) -> CsvEncoder {
        let mut text = Vec::new();
        let mut first = true;
        for spec in columns.specs() {
            for element in 0..spec.list.unwrap_or(1) {
                if !std::mem::take(&mut first) {
                    text.push(b',');
                }
                match spec.list {
                    None => quote(&mut text, &spec.name),
                    Some(_) => quote(&mut text, &format!("{}[{element}]", spec.name)),
                }
            }
        }
        text.extend_from_slice(b"\r\n");
        let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let described = csvw::describe(&name, columns);
        CsvEncoder { file, described, text }
    }

    fn write(&mut self) -> Result<(), RecordError> {
        let outcome = self.file.write_all(&self.text);
        self.text.clear();
        outcome.map_err(|source| RecordError::Io {
            action: "write",
            path: self.file.path().to_owned(),
            source,
        })
    }
}

/// Appends a field, quoted when it must be.
fn quote(text: &mut Vec<u8>, field: &str) {
    if !field.contains([',', '"', '\n', '\r']) {
        return text.extend_from_slice(field.as_bytes());
    }
    text.push(b'"');
    for byte in field.bytes() {
        if byte == b'"' {
            text.push(b'"');
        }
        text.push(byte);
    }
    text.push(b'"');
}

/// Appends a real in the shortest digits that give the same bits again: `0.1`, `1e-7`, `NaN`, `inf`.
fn real(text: &mut Vec<u8>, value: f64) {
    // `{:?}` is exact and short; an integral value loses its `.0`. Writing to a Vec cannot fail.
    let _ = write!(text, "{value:?}");
    if text.ends_with(b".0") {
        text.truncate(text.len() - 2);
    }
}

impl Encode<Block> for CsvEncoder {
    fn portion(&mut self, columns: &Columns, block: &mut Block) -> Result<(), RecordError> {
        for index in 0..block.rows() {
            let row = block.row(index);
            let mut first_field = true;
            for (spec, first) in columns.with_cells() {
                let present = !spec.nullable || row[first] != 0.0;
                let first = first + usize::from(spec.nullable);
                for &cell in &row[first..first + spec.list.unwrap_or(1)] {
                    if !std::mem::take(&mut first_field) {
                        self.text.push(b',');
                    }
                    if !present {
                        continue;
                    }
                    match &spec.element {
                        Element::Real { scale, offset } => real(&mut self.text, shown(cell, *scale, *offset)),
                        Element::Bool if cell == 0.0 => self.text.extend_from_slice(b"false"),
                        Element::Bool => self.text.extend_from_slice(b"true"),
                        Element::Int if !is_whole(cell) => {}
                        Element::Int => {
                            let _ = write!(self.text, "{}", cell as i64);
                        }
                        Element::Text(words) => quote(&mut self.text, word(&spec.name, words, cell)?),
                    }
                }
            }
            self.text.extend_from_slice(b"\r\n");
            if self.text.len() > 1 << 20 {
                self.write()?;
            }
        }
        self.write()
    }

    fn finish(mut self: Box<Self>) -> Result<u64, RecordError> {
        // The header of a result without rows is still waiting here.
        self.write()?;
        // Rows never stand there without their units.
        if let Some(beside) = csvw::beside(self.file.path()) {
            write_atomic(&beside, self.described.as_bytes())?;
        }
        self.file.commit()
    }
}
