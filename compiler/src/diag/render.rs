//! A diagnostic as text for people (with the lines it is about) and as JSON for tools.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use ariadne::{CharSet, Color, Config, IndexType, Label as Mark, Report, ReportKind, Source};
use serde::Serialize;

use super::{Diagnostic, Diagnostics, Label, Severity};
use crate::source::{FileId, SourceMap, Span};

/// How text is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use terminal colours.
    pub color: bool,
    /// Whether line art may leave ASCII.
    pub unicode: bool,
}

impl Default for Style {
    fn default() -> Self {
        Style { color: false, unicode: true }
    }
}

/// Lines longer than this are shown as an excerpt: a model that is one 10 MB line must not become a
/// 10 MB message.
const LONG_LINE: usize = 400;

/// Texts with more lines than this are shown without their lines: drawing them would take an index of all of
/// them, many times as large as the text.
const MANY_LINES: u32 = 1 << 20;

/// All messages, each with its source lines, in the given order.
pub fn render_all(list: &Diagnostics, map: &SourceMap, style: Style) -> String {
    let mut out = Renderer::new(map, style);
    list.iter().map(|d| out.one(d)).collect()
}

/// One message with its source lines.
pub fn render(d: &Diagnostic, map: &SourceMap, style: Style) -> String {
    Renderer::new(map, style).one(d)
}

/// Renders many messages about one set of files; line indices are built once per file.
pub struct Renderer<'a> {
    map: &'a SourceMap,
    style: Style,
    sources: BTreeMap<FileId, Source<Cow<'a, str>>>,
}

impl<'a> Renderer<'a> {
    /// For messages about the files of `map`.
    pub fn new(map: &'a SourceMap, style: Style) -> Renderer<'a> {
        Renderer { map, style, sources: BTreeMap::new() }
    }

    /// One message with its source lines.
    pub fn one(&mut self, d: &Diagnostic) -> String {
        let spans = std::iter::once(d.primary.span).chain(d.labels.iter().map(|l| l.span));
        let known = spans.clone().all(|s| self.map.get(s.file).is_some());
        if !known || spans.clone().any(|s| self.is_long(s)) {
            return self.plain(d);
        }
        for s in spans {
            if let Some(f) = self.map.get(s.file) {
                self.sources.entry(s.file).or_insert_with(|| Source::from(printable(&f.text)));
            }
        }
        self.pretty(d).unwrap_or_else(|| self.plain(d))
    }

    fn is_long(&self, span: Span) -> bool {
        let Some(f) = self.map.get(span.file) else { return false };
        if f.line_count() > MANY_LINES {
            return true;
        }
        [span.lo, span.hi].iter().any(|o| f.line(f.line_col(*o).line).is_some_and(|l| l.len() > LONG_LINE))
    }

    /// The span's byte range, within the text and never empty where the text is not.
    fn place(&self, span: Span) -> (FileId, Range<usize>) {
        let text = self.map.get(span.file).map_or("", |f| &f.text);
        let clamp = |o: u32| {
            let mut o = (o as usize).min(text.len());
            while !text.is_char_boundary(o) {
                o -= 1;
            }
            o
        };
        let (lo, mut hi) = (clamp(span.lo), clamp(span.hi));
        if hi <= lo {
            hi = text[lo..].chars().next().filter(|c| *c != '\n').map_or(lo, |c| lo + c.len_utf8());
        }
        (span.file, lo..hi.max(lo))
    }

    /// What is underlined of a place, and where it goes on over several lines, the last of them: then its first
    /// line is underlined, to the end of what stands there.
    fn shown(&self, span: Span) -> ((FileId, Range<usize>), Option<u32>) {
        let (id, range) = self.place(span);
        let text = self.map.get(id).map_or("", |f| &f.text);
        let marked = text.get(range.clone()).unwrap_or("");
        let Some((first, rest)) = marked.trim_end().split_once('\n') else { return ((id, range), None) };
        let code = first.find("//").map_or(first, |comment| &first[..comment]).trim_end();
        if code.is_empty() {
            let below = range.end - (marked.len() - first.len() - 1);
            let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            return self.shown(Span { lo: (below + blank) as u32, hi: range.end as u32, ..span });
        }
        let end = range.start + code.len();
        let last = (range.start + marked.trim_end().len()) as u32;
        let last = self.map.get(id).map_or(0, |f| f.line_col(last).line);
        ((id, range.start..end), Some(last))
    }

    /// Labels are drawn from the top of a file to its end, the primary place's file first, so that each line stands
    /// there once.
    fn row(&self, span: Span, primary: FileId) -> i32 {
        const FILE: i32 = 1 << 24;
        let file = if span.file == primary { 0 } else { 1 + span.file.0.min(100) as i32 };
        let line =
            self.map.get(span.file).map_or(0, |f| f.line_col(span.lo).line.min(FILE as u32 - 1) as i32);
        file * FILE + line
    }

    fn pretty(&mut self, d: &Diagnostic) -> Option<String> {
        let (kind, color) = match d.severity {
            Severity::Error => (ReportKind::Error, Color::Red),
            Severity::Warning => (ReportKind::Warning, Color::Yellow),
            Severity::Note => (ReportKind::Custom("Note", Color::Cyan), Color::Cyan),
        };
        let config = Config::default()
            .with_color(self.style.color)
            .with_char_set(if self.style.unicode { CharSet::Unicode } else { CharSet::Ascii })
            .with_tab_width(2)
            .with_index_type(IndexType::Byte);
        let mut report = Report::build(kind, self.place(d.primary.span))
            .with_config(config)
            .with_code(d.code)
            .with_message(&d.message);
        let (span, lines) = self.shown(d.primary.span);
        let mut primary = Mark::new(span).with_color(color).with_priority(1);
        primary = primary.with_order(self.row(d.primary.span, d.primary.span.file));
        // Without words there would be no mark either.
        primary = primary
            .with_message(worded(if d.primary.text.is_empty() { "here" } else { &d.primary.text }, lines));
        // What reaches over several lines and has nothing to say only hides the labels in it.
        let inside = |l: &Label| {
            l.span.file == d.primary.span.file && (d.primary.span.lo..=d.primary.span.hi).contains(&l.span.lo)
        };
        if lines.is_none() || !d.primary.text.is_empty() || !d.labels.iter().any(inside) {
            report = report.with_label(primary);
        }
        for l in &d.labels {
            let (span, lines) = self.shown(l.span);
            let mark =
                Mark::new(span).with_color(Color::Blue).with_order(self.row(l.span, d.primary.span.file));
            let text = if l.text.is_empty() { "and here" } else { &l.text };
            report = report.with_label(mark.with_message(worded(text, lines)));
        }
        for n in &d.notes {
            report.add_note(n);
        }
        if let Some(h) = &d.help {
            report.add_help(h);
        }
        let mut bytes = Vec::new();
        let cache = Cache { map: self.map, sources: &mut self.sources };
        report.finish().write(cache, &mut bytes).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        // The library colours the head of a `Custom` report whatever its configuration says.
        let text = if self.style.color { text } else { without_colors(&text) };
        // Trailing blanks carry nothing and make snapshots brittle.
        let mut out = String::with_capacity(text.len());
        for line in text.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        Some(out)
    }

    /// Without line art: for lines too long to show and for places outside all files.
    fn plain(&self, d: &Diagnostic) -> String {
        let word = match d.severity {
            Severity::Error => "Error",
            Severity::Warning => "Warning",
            Severity::Note => "Note",
        };
        let mut out = format!("[{}] {word}: {}\n", d.code, d.message);
        let mut place = |span: Span, text: &str| {
            if self.map.get(span.file).is_some() {
                let (_, range) = self.place(span);
                let source = self.map.slice(Span {
                    hi: span.lo.max(range.end as u32),
                    lo: range.start as u32,
                    ..span
                });
                let shown: String = source.chars().take(60).filter(|c| !c.is_control()).collect();
                let dots = if source.chars().nth(60).is_some() { "…" } else { "" };
                // Writing into a String cannot fail.
                let line = format!("  at {}: `{shown}{dots}` {text}", self.map.locate(span));
                let _ = writeln!(out, "{}", line.trim_end());
            } else if !text.is_empty() {
                let _ = writeln!(out, "  {text}");
            }
        };
        place(d.primary.span, &d.primary.text);
        for l in &d.labels {
            place(l.span, &l.text);
        }
        for n in &d.notes {
            let _ = writeln!(out, "  note: {n}");
        }
        if let Some(h) = &d.help {
            let _ = writeln!(out, "  help: {h}");
        }
        out
    }
}

/// The words under a place, with the line that it reaches to.
fn worded(text: &str, last: Option<u32>) -> String {
    match last {
        Some(line) => format!("{text} (to line {line})"),
        None => text.to_owned(),
    }
}

/// The text with a question mark for each control character, so that a damaged file cannot steer a
/// terminal. All of them are one byte long in UTF-8 but those that line editors never send.
fn printable(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(bad) { Cow::Owned(text.replace(bad, "?")) } else { Cow::Borrowed(text) }
}

/// The text without its colour sequences (`ESC [ … m`).
fn without_colors(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    out.push_str(rest);
    out
}

struct Cache<'m, 'r> {
    map: &'m SourceMap,
    sources: &'r mut BTreeMap<FileId, Source<Cow<'m, str>>>,
}

impl<'m> ariadne::Cache<FileId> for Cache<'m, '_> {
    type Storage = Cow<'m, str>;

    fn fetch(&mut self, id: &FileId) -> Result<&Source<Cow<'m, str>>, impl std::fmt::Debug> {
        self.sources.get(id).ok_or("no such file")
    }

    fn display<'a>(&self, id: &'a FileId) -> Option<impl std::fmt::Display + 'a> {
        self.map.get(*id).map(|f| f.name.to_string())
    }
}

#[derive(Serialize)]
struct JsonPlace<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    offset: u32,
    length: u32,
    text: &'a str,
}

#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    primary: JsonPlace<'a>,
    labels: Vec<JsonPlace<'a>>,
    notes: &'a [String],
    help: Option<&'a str>,
}

/// One message as one line of JSON. Lines and columns count from 1, columns in characters; `offset`
/// and `length` are in bytes.
pub fn to_json(d: &Diagnostic, map: &SourceMap) -> String {
    let place = |span: Span, text| {
        let file = map.get(span.file);
        let at = |o| file.map_or((0, 0), |f| (f.line_col(o).line, f.line_col(o).col));
        let ((line, column), (end_line, end_column)) = (at(span.lo), at(span.hi));
        let name = file.map_or("", |f| &*f.name);
        JsonPlace {
            file: name,
            line,
            column,
            end_line,
            end_column,
            offset: span.lo,
            length: span.len(),
            text,
        }
    };
    let data = JsonDiagnostic {
        code: d.code.0,
        severity: match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        message: &d.message,
        primary: place(d.primary.span, &d.primary.text),
        labels: d.labels.iter().map(|l| place(l.span, &l.text)).collect(),
        notes: &d.notes,
        help: d.help.as_deref(),
    };
    // A struct of strings and numbers always serialises.
    serde_json::to_string(&data).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::diag::Code;
    use expect_test::expect;

    fn sample(text: &str) -> (Diagnostic, SourceMap) {
        let mut map = SourceMap::new();
        let f = map.add("a.twinml", text);
        let at = |s: &str| {
            let i = text.find(s).unwrap() as u32;
            Span::new(f, i, i + s.len() as u32)
        };
        let d = Diagnostic::new(Code("E0501"), at("m*a"), "force [N] added to torque [N*m]")
            .here("this is a force [N]")
            .label(at("tau"), "this is a torque [N*m]")
            .note("both sides of `+` need one unit")
            .help("divide by a lever arm");
        (d, map)
    }

    #[test]
    fn for_people() {
        let (d, map) = sample("x = 1\ny° = m*a + tau\n");
        expect![[r#"
            [E0501] Error: force [N] added to torque [N*m]
               ╭─[ a.twinml:2:6 ]
               │
             2 │ y° = m*a + tau
               │      ─┬─   ─┬─
               │       ╰───────── this is a force [N]
               │             │
               │             ╰─── this is a torque [N*m]
               │
               │ Help: divide by a lever arm
               │
               │ Note: both sides of `+` need one unit
            ───╯
        "#]]
        .assert_eq(&render(&d, &map, Style::default()));
    }

    #[test]
    fn several_lines_are_underlined_at_their_first() {
        let text = "y = f(\n  a,\n  b\n) + tau\n";
        let mut map = SourceMap::new();
        let f = map.add("a.twinml", text);
        let d = Diagnostic::new(Code("E0501"), Span::new(f, 0, 23), "force [N] equated with torque [N*m]")
            .label(Span::new(f, 4, 17), "this is a torque [N*m]")
            .label(Span::new(f, 0, 1), "this is a force [N]");
        expect![[r#"
            [E0501] Error: force [N] equated with torque [N*m]
               ╭─[ a.twinml:1:1 ]
               │
             1 │ y = f(
               │ ┬   ─┬
               │ ╰─────── this is a force [N]
               │      │
               │      ╰── this is a torque [N*m] (to line 4)
            ───╯
        "#]]
        .assert_eq(&render(&d, &map, Style::default()));
        // A place that begins with a line's end, and a comment that is no part of what is wrong.
        let text = "y =   // why\n  a + (b\n  )\n";
        let f = map.add("b.twinml", text);
        let d = Diagnostic::new(Code("E0501"), Span::new(f, 3, text.len() as u32), "no").here("this");
        expect![[r#"
            [E0501] Error: no
               ╭─[ b.twinml:1:4 ]
               │
             2 │   a + (b
               │   ───┬──
               │      ╰──── this (to line 3)
            ───╯
        "#]]
        .assert_eq(&render(&d, &map, Style::default()));
    }

    #[test]
    fn for_tools() {
        let (d, map) = sample("x = 1\ny° = m*a + tau\n");
        let v: serde_json::Value = serde_json::from_str(&to_json(&d, &map)).unwrap();
        assert_eq!(v["primary"]["line"], 2);
        assert_eq!(v["primary"]["column"], 6);
        assert_eq!(v["labels"][0]["text"], "this is a torque [N*m]");
        assert!(!to_json(&d, &map).contains('\n'));
    }

    #[test]
    fn a_long_line_is_an_excerpt() {
        let (d, map) = sample(&format!("y = m*a + {}tau", "1 + ".repeat(1_000_000)));
        let text = render(&d, &map, Style::default());
        assert!(text.len() < 1000, "{}", text.len());
        assert!(text.contains("a.twinml:1:5"));
    }

    #[test]
    fn colours_are_switchable() {
        let (d, map) = sample("y = m*a + tau");
        assert!(render(&d, &map, Style { color: true, unicode: true }).contains('\u{1b}'));
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            let d = Diagnostic { severity, ..d.clone() };
            let plain = render(&d, &map, Style::default());
            assert!(!plain.contains('\u{1b}'), "{plain:?}");
            assert!(plain.contains("y = m*a + tau"));
        }
    }

    #[test]
    fn places_outside_do_not_matter() {
        let (mut d, map) = sample("y = m*a + tau");
        d.primary.span = Span::new(FileId(7), 3, 9);
        d.labels[0].span = Span::new(FileId(0), 900, 9000);
        assert!(render(&d, &map, Style::default()).contains("E0501"));
        d.primary.span = Span::new(FileId(0), 900, 9000);
        assert!(render(&d, &map, Style::default()).contains("E0501"));
    }
}
