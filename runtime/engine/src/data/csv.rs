//! RFC 4180: commas, quoted fields with doubled quotes and line breaks, CRLF or LF, a byte order mark, a header.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{DataError, Place};

/// A CSV text with its header read.
#[derive(Debug)]
pub(super) struct Csv {
    name: String,
    text: String,
    header: Vec<String>,
    /// First byte after the header.
    body: usize,
}

/// A place in the text.
#[derive(Clone, Copy)]
struct Cursor {
    at: usize,
    line: u64,
    /// First byte of the line.
    line_start: usize,
}

impl Csv {
    pub(super) fn new(name: &str, bytes: Vec<u8>) -> Result<Csv, DataError> {
        let file = || name.to_owned();
        let text = String::from_utf8(bytes).map_err(|e| {
            let (good, bytes) = (e.utf8_error().valid_up_to(), e.as_bytes());
            // The part before the bad byte is UTF-8.
            let before = String::from_utf8_lossy(&bytes[..good]);
            DataError::NotUtf8 { file: file(), place: place_in(&before, good) }
        })?;
        let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut csv = Csv { name: file(), text, header: Vec::new(), body: 0 };
        let mut cursor = Cursor { at: start, line: 1, line_start: start };
        let mut header = Vec::new();
        let mut seen = BTreeSet::new();
        let mut twice = None;
        let found = csv.row(&mut cursor, |_, field, place| {
            let field = field.trim().to_owned();
            if !seen.insert(field.clone()) && twice.is_none() {
                twice = Some((field.clone(), place));
            }
            header.push(field);
        })?;
        if found.is_none() || header.iter().all(String::is_empty) {
            return Err(DataError::Empty { file: file() });
        }
        if let [only] = header.as_slice()
            && let Some(found) = [';', '\t', '|'].into_iter().find(|c| only.contains(*c))
        {
            return Err(DataError::Separator { file: file(), found });
        }
        if let Some((column, place)) = twice {
            return Err(DataError::Duplicate { file: file(), column, place });
        }
        csv.header = header;
        csv.body = cursor.at;
        Ok(csv)
    }

    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// Calls `take(row, value, place)` for each field of column `index`. An empty field is NaN where `absent` is
    /// allowed, else an error.
    pub(super) fn scan(
        &self,
        index: usize,
        absent: bool,
        mut take: impl FnMut(u64, f64, Place),
    ) -> Result<(), DataError> {
        self.fields(index, |row, field, place| {
            take(row, self.number(index, field, absent, place)?, place);
            Ok(())
        })
    }

    /// Calls `take(row, text, place)` for each field of column `index`.
    pub(super) fn fields(
        &self,
        index: usize,
        mut take: impl FnMut(u64, &str, Place) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let head = &self.text.as_bytes()[..self.body];
        let line = 1 + head.iter().filter(|b| **b == b'\n').count() as u64;
        let mut cursor = Cursor { at: self.body, line, line_start: self.body };
        let mut row = 0;
        loop {
            let start = cursor;
            let mut taken = Ok(());
            let fields = self.row(&mut cursor, |k, field, place| {
                if k == index {
                    taken = take(row, &field, place);
                }
            })?;
            let Some(fields) = fields else { return Ok(()) };
            if fields != self.header.len() {
                return Err(DataError::Fields {
                    file: self.name.clone(),
                    place: Place::Text { line: start.line, column: 1 },
                    expected: self.header.len(),
                    found: fields,
                });
            }
            taken?;
            row += 1;
        }
    }

    fn number(&self, index: usize, field: &str, absent: bool, place: Place) -> Result<f64, DataError> {
        let text = field.trim();
        if text.is_empty() && absent {
            return Ok(f64::NAN);
        }
        match text {
            "true" => return Ok(1.0),
            "false" => return Ok(0.0),
            _ => {}
        }
        text.parse().map_err(|_| DataError::NotNumber {
            file: self.name.clone(),
            column: self.header[index].clone(),
            place,
            text: text.chars().take(40).collect(),
        })
    }

    /// Reads one row from the cursor on and returns its number of fields; `None` at the end. Empty lines are passed
    /// over.
    fn row(
        &self,
        cursor: &mut Cursor,
        mut take: impl FnMut(usize, Cow<'_, str>, Place),
    ) -> Result<Option<usize>, DataError> {
        let bytes = self.text.as_bytes();
        // Empty lines between and after the rows.
        loop {
            match &bytes[cursor.at..] {
                [] => return Ok(None),
                [b'\n', ..] => cursor.newline(1),
                [b'\r', b'\n', ..] => cursor.newline(2),
                _ => break,
            }
        }
        for field in 0.. {
            let column = self.text[cursor.line_start..cursor.at].chars().count() as u64 + 1;
            let place = Place::Text { line: cursor.line, column };
            if bytes.get(cursor.at) == Some(&b'"') {
                let value = self.quoted(cursor, place)?;
                take(field, value, place);
            } else {
                let rest = &bytes[cursor.at..];
                let length = rest.iter().position(|b| matches!(b, b',' | b'\n')).unwrap_or(rest.len());
                let mut end = cursor.at + length;
                if length < rest.len() && rest[length] == b'\n' && length > 0 && rest[length - 1] == b'\r' {
                    end -= 1;
                }
                take(field, Cow::Borrowed(&self.text[cursor.at..end]), place);
                cursor.at = end;
            }
            match &bytes[cursor.at..] {
                [] => return Ok(Some(field + 1)),
                [b',', ..] => cursor.at += 1,
                [b'\n', ..] => {
                    cursor.newline(1);
                    return Ok(Some(field + 1));
                }
                [b'\r', b'\n', ..] => {
                    cursor.newline(2);
                    return Ok(Some(field + 1));
                }
                _ => {
                    let column = self.text[cursor.line_start..cursor.at].chars().count() as u64 + 1;
                    let place = Place::Text { line: cursor.line, column };
                    return Err(DataError::Quote { file: self.name.clone(), place, open: false });
                }
            }
        }
        Ok(None)
    }

    /// The content of the quoted field at the cursor, which is moved behind it.
    fn quoted(&self, cursor: &mut Cursor, place: Place) -> Result<Cow<'_, str>, DataError> {
        let bytes = self.text.as_bytes();
        cursor.at += 1;
        let start = cursor.at;
        let mut doubled = false;
        loop {
            match &bytes[cursor.at..] {
                [] => return Err(DataError::Quote { file: self.name.clone(), place, open: true }),
                [b'"', b'"', ..] => {
                    doubled = true;
                    cursor.at += 2;
                }
                [b'"', ..] => {
                    let inner = &self.text[start..cursor.at];
                    cursor.at += 1;
                    return Ok(if doubled {
                        Cow::Owned(inner.replace("\"\"", "\""))
                    } else {
                        Cow::Borrowed(inner)
                    });
                }
                [b'\n', ..] => cursor.newline(1),
                _ => cursor.at += 1,
            }
        }
    }
}

impl Cursor {
    fn newline(&mut self, bytes: usize) {
        self.at += bytes;
        self.line += 1;
        self.line_start = self.at;
    }
}

/// Line and column of a byte of `text`.
fn place_in(text: &str, at: usize) -> Place {
    let before = &text[..at.min(text.len())];
    let line = before.matches('\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u64 + 1;
    Place::Text { line, column }
}
