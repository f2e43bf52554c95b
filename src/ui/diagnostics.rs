//! Diagnostics of models, each said once.

use std::collections::BTreeSet;

use twinml_compiler::diag::{Diagnostic, Renderer, Severity, Style, to_json};
use twinml_compiler::source::SourceMap;

use super::{Ui, json};

/// Errors shown to people; who reads more than this?
const MOST_ERRORS: usize = 100;

/// How many diagnostics were said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
}

impl Ui {
    /// Prints diagnostics in the order of their places; what is repeated is printed once.
    pub fn diagnostics<'a>(
        &self,
        list: impl IntoIterator<Item = &'a Diagnostic>,
        sources: &SourceMap,
    ) -> Said {
        let mut sorted: Vec<&Diagnostic> = list.into_iter().collect();
        sorted.sort_by_key(|d| (d.primary.span.file, d.primary.span.lo));
        let mut seen = BTreeSet::new();
        let mut said = Said::default();
        let mut renderer = Renderer::new(sources, Style { color: self.colors_errors(), unicode: true });
        let mut left_out = 0;
        for d in sorted {
            let span = d.primary.span;
            if !seen.insert((d.code.0, span.file, span.lo, span.hi, d.message.as_str())) {
                continue;
            }
            match d.severity {
                Severity::Error => said.errors += 1,
                Severity::Warning => said.warnings += 1,
                Severity::Note => {}
            }
            if self.is_json() {
                self.json_line(&diagnostic_line(d, sources));
            } else if d.severity == Severity::Error && said.errors > MOST_ERRORS {
                left_out += 1;
            } else if !self.is_quiet() || d.severity == Severity::Error {
                self.error_text(&renderer.one(d));
            }
        }
        if left_out > 0 {
            self.error_text(&format!(
                "{left_out} further errors are not shown; --format json lists them all\n"
            ));
        }
        said
    }
}

/// The compiler's object of a diagnostic with our `type` and `version` in front.
fn diagnostic_line(d: &Diagnostic, sources: &SourceMap) -> String {
    let object = to_json(d, sources);
    let inner = object.strip_prefix('{').unwrap_or("}");
    format!("{{\"type\":\"diagnostic\",\"version\":{},{inner}", json::VERSION)
}
