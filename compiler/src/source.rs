//! Source texts and places in them. A `Span` is what every later stage carries to point back at
//! the model; a `SourceMap` turns it into a file name, a line and a column.
//!
//! No I/O: whoever loads a file hands its text over.

use std::fmt;
use std::sync::Arc;

/// One source text of a compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileId(pub u32);

/// A half-open byte range of one file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The file that the range lies in.
    pub file: FileId,
    /// First byte.
    pub lo: u32,
    /// One past the last byte.
    pub hi: u32,
}

impl Span {
    /// The range `lo..hi` of `file`.
    pub fn new(file: FileId, lo: u32, hi: u32) -> Span {
        Span { file, lo, hi }
    }

    /// From the start of `self` to the end of `other` (both in the same file).
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// The empty range just behind `self`: where something is missing.
    pub fn after(self) -> Span {
        Span { file: self.file, lo: self.hi, hi: self.hi }
    }

    /// Length in bytes.
    pub fn len(self) -> u32 {
        self.hi.saturating_sub(self.lo)
    }

    /// Whether the range holds no byte.
    pub fn is_empty(self) -> bool {
        self.hi <= self.lo
    }

    /// The range as indices into the file's text.
    pub fn range(self) -> std::ops::Range<usize> {
        self.lo as usize..self.hi as usize
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.file.0, self.lo, self.hi)
    }
}

/// A place as people count: both start at 1, the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineCol {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub col: u32,
}

/// One text with its line index.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The name that messages show: a path as the user gave it, or `std.thermal`.
    pub name: Arc<str>,
    /// The text.
    pub text: Arc<str>,
    line_starts: Vec<u32>,
}

impl SourceFile {
    /// Line and column of a byte offset; an offset past the end gives the end.
    pub fn line_col(&self, offset: u32) -> LineCol {
        let offset = (offset as usize).min(self.text.len());
        let line = self.line_starts.partition_point(|&s| s as usize <= offset).saturating_sub(1);
        let start = self.line_starts.get(line).copied().unwrap_or(0) as usize;
        let col = self.text.as_bytes()[start..offset].iter().filter(|b| (**b & 0xC0) != 0x80).count();
        LineCol { line: line as u32 + 1, col: col as u32 + 1 }
    }

    /// The text of a line (counted from 1) without its line end; `None` past the last one.
    pub fn line(&self, line: u32) -> Option<&str> {
        let i = (line as usize).checked_sub(1)?;
        let lo = *self.line_starts.get(i)? as usize;
        let hi = self.line_starts.get(i + 1).map_or(self.text.len(), |&n| n as usize);
        Some(self.text[lo..hi].trim_end_matches(['\n', '\r']))
    }

    /// How many lines the text has.
    pub fn line_count(&self) -> u32 {
        self.line_starts.len() as u32
    }
}

/// All texts of one compilation.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// Adds a text. A text over 4 GiB is cut off for the line index; `parse` refuses it.
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> FileId {
        let text = text.into();
        // Exactly as much as is needed: growing would hold the index of a long text twice.
        let mut line_starts = Vec::with_capacity(text.bytes().filter(|b| *b == b'\n').count() + 1);
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let ends = newlines.filter_map(|(i, _)| u32::try_from(i + 1).ok());
        line_starts.extend(std::iter::once(0).chain(ends));
        self.files.push(SourceFile { name: name.into(), text, line_starts });
        FileId(self.files.len() as u32 - 1)
    }

    /// The file of an id of this map.
    pub fn get(&self, file: FileId) -> Option<&SourceFile> {
        self.files.get(file.0 as usize)
    }

    /// Every file, in the order of their ids.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(i, f)| (FileId(i as u32), f))
    }

    /// The text that a span covers; empty where the span is of no file of this map.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.file).and_then(|f| f.text.get(span.range())).unwrap_or("")
    }

    /// `name:line:col` of a span's start, as messages show it.
    pub fn locate(&self, span: Span) -> String {
        match self.get(span.file) {
            Some(f) => {
                let p = f.line_col(span.lo);
                format!("{}:{}:{}", f.name, p.line, p.col)
            }
            None => String::from("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lines_and_columns_count_characters() {
        let mut map = SourceMap::new();
        let f = map.add("a.twinml", "aé°b\r\nxy\n");
        let file = map.get(f).unwrap();
        assert_eq!(file.line_col(0), LineCol { line: 1, col: 1 });
        assert_eq!(file.line_col(5), LineCol { line: 1, col: 4 });
        assert_eq!(file.line_col(9), LineCol { line: 2, col: 2 });
        assert_eq!(file.line_col(999), LineCol { line: 3, col: 1 });
        assert_eq!(file.line(1), Some("aé°b"));
        assert_eq!(file.line(2), Some("xy"));
        assert_eq!(file.line(9), None);
        assert_eq!(map.slice(Span::new(f, 8, 10)), "xy");
        assert_eq!(map.locate(Span::new(f, 9, 10)), "a.twinml:2:2");
    }
}
