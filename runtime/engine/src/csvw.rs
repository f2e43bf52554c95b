//! What a CSV file has no place for, in a file beside it: the units of its columns, as JSON.
//!
//! The file and its name are those of "CSV on the Web" (W3C, Metadata Vocabulary for Tabular Data, 2015): `x.csv` is described by
//! `x.csv-metadata.json`. Of a column we write and read its title, the unit of its values (`schema:unitText`), its quantity
//! (`schema:measuredProperty`) and its description (`dc:description`), and whether it holds truth values (`datatype`); other
//! properties are passed over.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::data::{ColumnInfo, DataError, Place};
use crate::record::{Columns, Element, Format};

/// What is longer than this describes no file of ours: a hundred bytes for each of half a million columns.
pub const LONGEST: u64 = 64 << 20;

/// The file that describes the one at `path`; none where that file describes itself (Parquet, Arrow).
pub fn beside(path: &Path) -> Option<PathBuf> {
    if matches!(Format::of(path), Ok(Format::Parquet | Format::Arrow)) {
        return None;
    }
    let mut name = OsString::from(path.file_name()?);
    name.push("-metadata.json");
    Some(path.with_file_name(name))
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "@context")]
    context: &'static str,
    url: &'a str,
    #[serde(rename = "tableSchema")]
    schema: WrittenSchema<'a>,
}

#[derive(Serialize)]
struct WrittenSchema<'a> {
    columns: Vec<WrittenColumn<'a>>,
}

#[derive(Serialize)]
struct WrittenColumn<'a> {
    titles: String,
    datatype: &'static str,
    #[serde(rename = "schema:unitText", skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(rename = "schema:measuredProperty", skip_serializing_if = "Option::is_none")]
    quantity: Option<&'a str>,
    #[serde(rename = "dc:description", skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// The text that describes a file `url` with these columns, whose lists are one column for each element.
pub(crate) fn describe(url: &str, columns: &Columns) -> String {
    let mut list = Vec::new();
    for spec in columns.specs() {
        for element in 0..spec.list.unwrap_or(1) {
            list.push(WrittenColumn {
                titles: match spec.list {
                    None => spec.name.clone(),
                    Some(_) => format!("{}[{element}]", spec.name),
                },
                datatype: match spec.element {
                    Element::Real { .. } => "double",
                    Element::Bool => "boolean",
                    Element::Int => "integer",
                    Element::Text(_) => "string",
                },
                unit: spec.unit.as_deref(),
                quantity: spec.quantity.as_deref(),
                description: spec.description.as_deref(),
            });
        }
    }
    let document =
        Written { context: "http://www.w3.org/ns/csvw", url, schema: WrittenSchema { columns: list } };
    // Structs of texts always serialise.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

#[derive(Deserialize)]
struct Table {
    url: Option<String>,
    #[serde(rename = "tableSchema")]
    schema: Option<Schema>,
    tables: Option<Vec<Table>>,
}

/// A schema, or the address of one.
enum Schema {
    Here(Columned),
    Link(String),
}

#[derive(Deserialize)]
struct Columned {
    columns: Option<Vec<Column>>,
}

// Not `untagged`, which forgets where in the text it is wrong.
impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Schema, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Schema;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `columns`")
            }
            fn visit_str<E: de::Error>(self, link: &str) -> Result<Schema, E> {
                Ok(Schema::Link(link.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schema, A::Error> {
                Columned::deserialize(MapAccessDeserializer::new(map)).map(Schema::Here)
            }
        }
        from.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
struct Column {
    name: Option<String>,
    titles: Option<Titles>,
    #[serde(rename = "virtual", default)]
    computed: bool,
    datatype: Option<serde_json::Value>,
    #[serde(
        rename = "schema:unitText",
        alias = "https://schema.org/unitText",
        alias = "http://schema.org/unitText"
    )]
    unit: Option<String>,
    #[serde(
        rename = "schema:measuredProperty",
        alias = "https://schema.org/measuredProperty",
        alias = "http://schema.org/measuredProperty"
    )]
    quantity: Option<String>,
    #[serde(rename = "dc:description")]
    description: Option<serde_json::Value>,
}

/// All titles of a column: one, a list, or such by language.
struct Titles(Vec<String>);

impl<'de> Deserialize<'de> for Titles {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Titles, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Titles;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a title, a list of titles, or titles by language")
            }
            fn visit_str<E: de::Error>(self, title: &str) -> Result<Titles, E> {
                Ok(Titles(vec![title.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Titles, A::Error> {
                let mut all = Vec::new();
                while let Some(title) = seq.next_element::<String>()? {
                    all.push(title);
                }
                Ok(Titles(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Titles, A::Error> {
                let mut all = Vec::new();
                while let Some((_, titles)) = map.next_entry::<IgnoredAny, Titles>()? {
                    all.extend(titles.0);
                }
                Ok(Titles(all))
            }
        }
        from.deserialize_any(Any)
    }
}

impl Column {
    fn is(&self, title: &str) -> bool {
        self.name.as_deref() == Some(title)
            || self.titles.iter().flat_map(|t| &t.0).any(|t| t.trim() == title)
    }

    fn called(&self) -> &str {
        let title = self.titles.as_ref().and_then(|t| t.0.first()).map(String::as_str);
        title.or(self.name.as_deref()).unwrap_or("")
    }
}

/// Completes what is known of the columns of the file `of` by what the text `json` of the file `name` says of them.
///
/// # Errors
///
/// [`DataError::Metadata`]: it is no such text, or it describes another file or other columns.
pub(crate) fn complete(
    columns: &mut [ColumnInfo],
    of: &str,
    name: &str,
    json: &[u8],
) -> Result<(), DataError> {
    let bad =
        |place: Option<Place>, cause: String| DataError::Metadata { file: name.to_owned(), place, cause };
    let stale = |cause: String| bad(None, format!("{cause}: write it anew with its file, or remove it"));
    if json.len() as u64 > LONGEST {
        return Err(bad(None, format!("it has more than {} MiB", LONGEST >> 20)));
    }
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let document: Table = serde_json::from_slice(json).map_err(|e| {
        let place = Place::Text { line: e.line() as u64, column: e.column() as u64 };
        let text = e.to_string();
        let cause = text.rsplit_once(" at line ").map_or(&*text, |(cause, _)| cause);
        bad(Some(place), format!("this does not describe columns of a CSV file: {cause}"))
    })?;
    let file = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
    let own = file(of);
    let is_it = |t: &Table| t.url.as_deref().is_some_and(|url| file(url) == own);
    let table = match document.tables {
        Some(tables) => match tables.into_iter().find(is_it) {
            Some(table) => table,
            None => return Err(stale(format!("none of the tables that it describes is `{own}`"))),
        },
        None => match &document.url {
            Some(url) if file(url) != own => {
                return Err(bad(
                    None,
                    format!("it describes `{url}`, not `{own}`: mend its `url`, or remove it"),
                ));
            }
            _ => document,
        },
    };
    let described = match table.schema {
        Some(Schema::Here(Columned { columns: Some(described) })) => described,
        Some(Schema::Link(link)) => {
            return Err(bad(
                None,
                format!("its `tableSchema` is a link, `{link}`: the columns must stand here"),
            ));
        }
        _ => return Ok(()),
    };
    let described: Vec<Column> = described.into_iter().filter(|c| !c.computed).collect();
    if described.len() != columns.len() {
        let (has, says) = (columns.len(), described.len());
        return Err(stale(format!("`{own}` has {has} columns, and it describes {says}")));
    }
    for (k, (column, described)) in columns.iter_mut().zip(described).enumerate() {
        if !described.is(&column.name) {
            let (says, is) = (described.called(), &column.name);
            return Err(stale(format!("column {} of `{own}` is `{is}`, and it describes `{says}`", k + 1)));
        }
        column.truth = described.datatype.as_ref().is_some_and(|d| d == "boolean");
        column.unit = described.unit;
        column.quantity = described.quantity;
        column.description = described.description.and_then(|d| d.as_str().map(str::to_owned));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::record::ColumnSpec;

    fn columns() -> Columns {
        let mut q = ColumnSpec::real("q").in_unit("bar");
        q.list = Some(2);
        q.quantity = Some("Pressure".into());
        let mut on = ColumnSpec::of("on", Element::Bool);
        on.description = Some("whether it runs".into());
        Columns::new(vec![ColumnSpec::real("time").in_unit("s"), q, on]).unwrap()
    }

    fn header() -> Vec<ColumnInfo> {
        let info = |name: &&str| ColumnInfo { name: (*name).to_owned(), ..ColumnInfo::default() };
        ["time", "q[0]", "q[1]", "on"].iter().map(info).collect()
    }

    #[track_caller]
    fn refused(json: &str, said: &str) {
        let e = complete(&mut header(), "out/x.csv", "out/x.csv-metadata.json", json.as_bytes()).unwrap_err();
        assert_eq!(e.to_string(), said);
    }

    #[test]
    fn what_is_written_is_read() {
        let text = describe("x.csv", &columns());
        let mut read = header();
        complete(&mut read, "out/x.csv", "out/x.csv-metadata.json", text.as_bytes()).unwrap();
        let units: Vec<Option<&str>> = read.iter().map(|c| c.unit.as_deref()).collect();
        assert_eq!(units, [Some("s"), Some("bar"), Some("bar"), None]);
        assert_eq!(read[2].quantity.as_deref(), Some("Pressure"));
        assert_eq!(read[3].description.as_deref(), Some("whether it runs"));
        assert!(read[3].truth && !read[1].truth);
    }

    #[test]
    fn what_others_write_is_read() {
        let text = r#"{"@context": ["http://www.w3.org/ns/csvw", {"@language": "de"}], "tables": [
            {"url": "other.csv"},
            {"url": "http://example.org/x.csv", "tableSchema": {"columns": [
                {"name": "time"}, {"titles": ["a", "q[0]"], "https://schema.org/unitText": "kPa"},
                {"titles": {"de": "Druck", "en": ["b", "q[1]"]}, "datatype": {"base": "double"}},
                {"titles": "on", "dc:description": {"@value": "läuft"}}, {"name": "sum", "virtual": true}]}}]}"#;
        let mut read = header();
        complete(&mut read, "x.csv", "m", text.as_bytes()).unwrap();
        assert_eq!(read[1].unit.as_deref(), Some("kPa"));
        let mut read = header();
        complete(&mut read, "x.csv", "m", br#"{"@context": "http://www.w3.org/ns/csvw", "url": "x.csv"}"#)
            .unwrap();
        assert_eq!(read, header());
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let m = "out/x.csv-metadata.json";
        let anew = "write it anew with its file, or remove it";
        refused(
            "{\n  \"url\": 3}",
            &format!(
                "{m}:2:10: this does not describe columns of a CSV file: invalid type: integer `3`, expected a string"
            ),
        );
        refused(
            "",
            &format!("{m}:1:0: this does not describe columns of a CSV file: EOF while parsing a value"),
        );
        let text = describe("x.csv", &columns()).replace("\"bar\"", "7");
        refused(
            &text,
            &format!(
                "{m}:14:28: this does not describe columns of a CSV file: invalid type: integer `7`, expected a string"
            ),
        );
        refused(
            "{\"tableSchema\": {\"columns\": [{\"titles\": 3}]}}",
            &format!(
                "{m}:1:41: this does not describe columns of a CSV file: invalid type: integer `3`, expected a title, a list of titles, or titles by language"
            ),
        );
        refused(
            r#"{"url": "y.csv"}"#,
            &format!("{m}: it describes `y.csv`, not `x.csv`: mend its `url`, or remove it"),
        );
        refused(
            r#"{"tables": []}"#,
            &format!("{m}: none of the tables that it describes is `x.csv`: {anew}"),
        );
        refused(
            r#"{"tableSchema": "s.json"}"#,
            &format!("{m}: its `tableSchema` is a link, `s.json`: the columns must stand here"),
        );
        refused(
            r#"{"tableSchema": {"columns": [{"titles": "time"}]}}"#,
            &format!("{m}: `x.csv` has 4 columns, and it describes 1: {anew}"),
        );
        let text = describe("x.csv", &columns()).replace("q[1]", "p");
        refused(&text, &format!("{m}: column 3 of `x.csv` is `q[1]`, and it describes `p`: {anew}"));
    }

    /// Whatever stands in such a file is read or refused.
    #[test]
    fn no_text_is_too_bad() {
        let text = describe("x.csv", &columns()).into_bytes();
        for end in 0..text.len() - 1 {
            assert!(complete(&mut header(), "x.csv", "m", &text[..end]).is_err());
        }
        let mut seed = 1u32;
        for _ in 0..20_000 {
            let mut text = text.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % text.len();
                text[at] = b"{}[]\",:0n\\\xff "[seed as usize % 12];
            }
            let _ = complete(&mut header(), "x.csv", "m", &text);
        }
        let deep = "[".repeat(100_000);
        assert!(complete(&mut header(), "x.csv", "m", deep.as_bytes()).is_err());
    }

    #[test]
    fn names_of_the_file_beside() {
        for (path, name) in [
            ("a/x.csv", Some("a/x.csv-metadata.json")),
            ("x", Some("x-metadata.json")),
            ("x.dat", Some("x.dat-metadata.json")),
            ("x.parquet", None),
            ("x.arrow", None),
            ("/", None),
        ] {
            assert_eq!(beside(Path::new(path)).as_deref(), name.map(Path::new), "{path}");
        }
    }
}
