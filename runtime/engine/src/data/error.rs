//! What can be wrong with a data file, and where.

use std::fmt;

/// Where a value stands: line and column of a text file (both from 1), or the row of a binary one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a text file.
    Text {
        /// Line, from 1.
        line: u64,
        /// Column in characters, from 1.
        column: u64,
    },
    /// In a file of columns.
    Row(u64),
}

impl Place {
    /// Row `row`, from 1.
    pub fn row(row: u64) -> Place {
        Place::Row(row)
    }
}

/// What is wrong with a data file.
#[derive(Clone, Debug, PartialEq)]
pub enum DataError {
    /// The file is not UTF-8.
    NotUtf8 {
        /// The file.
        file: String,
        /// Where the first bad byte is.
        place: Place,
    },
    /// There is no header, or no row where one is needed.
    Empty {
        /// The file.
        file: String,
    },
    /// A quoted field is never closed, or goes on after its closing quote.
    Quote {
        /// The file.
        file: String,
        /// The place.
        place: Place,
        /// True if the quote never closes.
        open: bool,
    },
    /// A row has another number of fields than the header.
    Fields {
        /// The file.
        file: String,
        /// Where the row begins.
        place: Place,
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// The header separates with something else than a comma.
    Separator {
        /// The file.
        file: String,
        /// What it uses.
        found: char,
    },
    /// A column name stands twice in the header.
    Duplicate {
        /// The file.
        file: String,
        /// The name.
        column: String,
        /// The second one.
        place: Place,
    },
    /// There is no such column.
    NoColumn {
        /// The file.
        file: String,
        /// The column asked for.
        column: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// A field is no number.
    NotNumber {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The place.
        place: Place,
        /// What stands there, shortened.
        text: String,
    },
    /// A value is absent or infinite where a finite one is needed.
    NotFinite {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The place.
        place: Place,
        /// The value.
        value: f64,
    },
    /// Arguments do not rise.
    NotIncreasing {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The place of `value`.
        place: Place,
        /// The value of the row before.
        before: f64,
        /// The value that does not rise above it.
        value: f64,
    },
    /// The column holds lists where numbers are needed.
    List {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// The column has a type that is no number.
    Type {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type, as Arrow calls it.
        found: String,
    },
    /// What describes a file's columns does not.
    Metadata {
        /// The file that describes.
        file: String,
        /// Where it is wrong; none where it is so as a whole.
        place: Option<Place>,
        /// What is wrong with it, and what to do.
        cause: String,
    },
    /// The file's structure cannot be read.
    Broken {
        /// The file.
        file: String,
        /// What the format's library found.
        cause: String,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, file: &str, place: &Place| match place {
            Place::Text { line, column } => write!(f, "{file}:{line}:{column}: "),
            Place::Row(row) => write!(f, "{file}, row {row}: "),
        };
        match self {
            DataError::NotUtf8 { file, place } => {
                at(f, file, place)?;
                write!(f, "this byte is not UTF-8")
            }
            DataError::Empty { file } => write!(f, "{file}: the file has no rows"),
            DataError::Quote { file, place, open } => {
                at(f, file, place)?;
                f.write_str(if *open {
                    "this quote is never closed"
                } else {
                    "text after a closing quote; a quote inside a field is written twice"
                })
            }
            DataError::Fields { file, place, expected, found } => {
                at(f, file, place)?;
                write!(f, "this row has {found} fields, the header has {expected}")
            }
            DataError::Separator { file, found } => {
                let found = if *found == '\t' { "tabs".to_owned() } else { format!("`{found}`") };
                write!(f, "{file}:1:1: columns are separated by {found}; they must be separated by commas")
            }
            DataError::Duplicate { file, column, place } => {
                at(f, file, place)?;
                write!(f, "a second column `{column}`")
            }
            DataError::NoColumn { file, column, columns } => {
                let names: Vec<String> = columns.iter().take(12).map(|c| format!("`{c}`")).collect();
                let more = if columns.len() > 12 { ", …" } else { "" };
                write!(f, "{file}: there is no column `{column}`; it has {}{more}", names.join(", "))
            }
            DataError::NotNumber { file, column, place, text } => {
                at(f, file, place)?;
                if text.is_empty() {
                    write!(f, "column `{column}` has no value here")
                } else {
                    write!(f, "`{text}` in column `{column}` is no number")
                }
            }
            DataError::NotFinite { file, column, place, value } => {
                at(f, file, place)?;
                let what = if value.is_nan() { "no value".to_owned() } else { value.to_string() };
                write!(f, "column `{column}` has {what} here, a finite number is needed")
            }
            DataError::NotIncreasing { file, column, place, before, value } => {
                at(f, file, place)?;
                write!(f, "column `{column}` must rise from row to row: {value} follows {before}")
            }
            DataError::List { file, column } => {
                write!(f, "{file}: column `{column}` holds a list in each row, numbers are needed")
            }
            DataError::Type { file, column, found } => {
                write!(f, "{file}: column `{column}` is of type {found}, numbers are needed")
            }
            DataError::Metadata { file, place, cause } => {
                match place {
                    Some(place) => at(f, file, place)?,
                    None => write!(f, "{file}: ")?,
                }
                f.write_str(cause)
            }
            DataError::Broken { file, cause } => write!(f, "{file}: the file cannot be read: {cause}"),
        }
    }
}

impl std::error::Error for DataError {}
