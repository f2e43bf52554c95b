#![allow(clippy::unwrap_used, reason = "tests")]

mod forms;
mod models;
mod pathological;
mod recovery;
mod shape;

use crate::diag::Diagnostics;
use crate::source::SourceMap;

/// The messages of a text, one a line, with line and column.
pub fn messages(text: &str) -> String {
    let mut map = SourceMap::new();
    let file = map.add("t", text);
    let mut diags = Diagnostics::new();
    super::parse(file, text, &mut diags);
    let mut s = String::new();
    for d in &diags {
        let place = map.locate(d.primary.span);
        s.push_str(&format!("{} {} {}", &place[2..], d.code, d.message));
        if !d.primary.text.is_empty() {
            s.push_str(&format!(" [{}]", d.primary.text));
        }
        if let Some(h) = &d.help {
            s.push_str(&format!(" | {h}"));
        }
        s.push('\n');
    }
    s
}

/// The tree of a text, printed.
pub fn printed(text: &str) -> String {
    let mut map = SourceMap::new();
    let file = map.add("t", text);
    crate::emit::ast::module(&super::parse(file, text, &mut Diagnostics::new()))
}

/// The messages of a text must be these.
pub fn check_messages(text: &str, want: expect_test::Expect) {
    want.assert_eq(&messages(text));
}
