#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::diag::{Style, render_all};
use crate::flat::{Options, print};
use crate::resolve::MemoryLoader;
use crate::source::SourceMap;
use crate::typeck;

/// Columns by file and name.
#[derive(Default)]
pub(super) struct Files(Vec<(&'static str, &'static str, Vec<f64>)>);

impl DataLoader for Files {
    fn column(&mut self, r: DataRequest<'_>) -> Result<Column, DataError> {
        let of_file: Vec<_> = self.0.iter().filter(|f| f.0 == r.file).collect();
        if of_file.is_empty() {
            return Err(DataError::NotFound);
        }
        match of_file.iter().find(|f| f.1 == r.column) {
            Some(f) => Ok(f.2.clone()),
            None => Err(DataError::NoColumn { available: of_file.iter().map(|f| f.1.to_owned()).collect() }),
        }
    }

    // A file's name may end in the unit of its columns but time: `weather.csv?degF`.
    fn unit(&mut self, r: DataRequest<'_>) -> Option<String> {
        r.file.split_once('?').filter(|_| r.column != "time").map(|f| f.1.to_owned())
    }
}

pub(super) struct Outcome {
    pub flat: Flattened,
    pub map: SourceMap,
}

impl Outcome {
    fn said(&self) -> String {
        render_all(&self.flat.diagnostics, &self.map, Style::default())
    }
}

/// Flattens the scenario of that name, or the main twin.
pub(super) fn run(text: &str, scenario: Option<&str>, mut files: Files) -> Outcome {
    let mut map = SourceMap::new();
    let root = map.add("test.twinml", text);
    let mut diags = Diagnostics::new();
    let checked = typeck::check(root, &mut map, &MemoryLoader::new(), &mut diags);
    assert!(!diags.has_errors(), "{}", render_all(&diags, &map, Style::default()));
    let model = checked.model;
    let target = match scenario {
        Some(name) => Target::Scenario(model.scenarios.iter().find(|s| &*s.name == name).unwrap()),
        None => Target::Class(model.main.unwrap()),
    };
    let flat = flatten(&model, Request { target, settings: &[] }, &mut files);
    Outcome { flat, map }
}

/// A system is what its text says.
#[track_caller]
pub(super) fn reads_back(s: &flat::System) {
    let text = print(s, Options { spans: true });
    assert_eq!(flat::read(&text).unwrap_or_else(|e| panic!("{e}\n{text}")), *s, "{text}");
}

/// The system without units and documentation, as text.
pub(super) fn essence(s: &flat::System) -> String {
    reads_back(s);
    let mut s = s.clone();
    // Behaviour is held to what runs.
    s.behavior = flat::Behavior::default();
    s.nexts.clear();
    s.behavior_changes.clear();
    s.clamps.clear();
    s.noises.clear();
    for v in &mut s.vars {
        v.unit = twinml_model::schema::DisplayUnit::default();
        v.si_unit = String::new();
        v.dimension = None;
        v.quantity = None;
        v.description = None;
    }
    print(&s, Options::default())
}

/// Flattens and compares the essence.
#[track_caller]
pub(super) fn check(text: &str, want: expect_test::Expect) {
    check_run(text, None, Files::default(), want);
}

#[track_caller]
pub(super) fn check_run(text: &str, scenario: Option<&str>, files: Files, want: expect_test::Expect) {
    let o = run(text, scenario, files);
    match &o.flat.system {
        Some(s) => want.assert_eq(&essence(s)),
        None => panic!("{}", o.said()),
    }
}

/// Flattens what must be refused and compares what is said: code, place, message, labels.
#[track_caller]
pub(super) fn refuse(text: &str, want: expect_test::Expect) {
    refuse_run(text, None, Files::default(), want);
}

#[track_caller]
pub(super) fn refuse_run(text: &str, scenario: Option<&str>, files: Files, want: expect_test::Expect) {
    let o = run(text, scenario, files);
    assert!(o.flat.system.is_none(), "it flattened:\n{}", o.flat.system.as_ref().map(essence).unwrap());
    let mut out = String::new();
    for d in &o.flat.diagnostics {
        out += &format!("{} {}: {}", d.code, o.map.locate(d.primary.span), d.message);
        if !d.primary.text.is_empty() {
            out += &format!(" ({})", d.primary.text);
        }
        out += "\n";
        for l in &d.labels {
            out += &format!("  {}: {}\n", o.map.locate(l.span), l.text);
        }
        for n in &d.notes {
            out += &format!("  note: {n}\n");
        }
        if let Some(h) = &d.help {
            out += &format!("  help: {h}\n");
        }
    }
    want.assert_eq(&out);
}

mod arrays;
mod behavior;
mod functions;
mod inputs;
mod networks;
mod overrides;
mod refusals;
mod scenarios;
