//! The objects of `--format json`, one a line; `docs/json.md` describes them, and a test holds the two together.
//!
//! Every object has a `type` and the `version` of this schema. Within a version fields are added, never taken away
//! or given another meaning.

use serde::Serialize;

/// The version of the schema.
pub const VERSION: u32 = 1;

/// A failure that is no diagnostic of a model.
#[derive(Serialize, Debug)]
pub struct Failure<'a> {
    /// `error`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// What went wrong.
    pub message: &'a str,
    /// What to do about it.
    pub help: Option<&'a str>,
}

/// A file that was made.
#[derive(Serialize, Debug)]
pub struct Written {
    /// `written`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The file.
    pub path: String,
    /// `result`, `summary`, `plot` or `project`.
    pub what: &'static str,
    /// Rows of a result.
    pub rows: Option<u64>,
}

/// An entry of the error index.
#[derive(Serialize, Debug)]
pub struct Explanation<'a> {
    /// `explanation`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Schema version.
    pub version: u32,
    /// The code.
    pub code: &'a str,
    /// In a line.
    pub title: &'a str,
    /// The long form, in Markdown; `null` in a listing.
    pub text: Option<&'a str>,
}
