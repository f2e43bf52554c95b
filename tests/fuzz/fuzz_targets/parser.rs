//! Any text parses to a tree, and a text without errors prints to one that reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinml_compiler::{diag::Diagnostics, emit, parser::parse, source::FileId};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut diags = Diagnostics::new();
    let printed = emit::ast::module(&parse(FileId(0), &text, &mut diags));
    if diags.is_empty() {
        let again = emit::ast::module(&parse(FileId(1), &printed, &mut diags));
        assert!(diags.is_empty() && again == printed);
    }
});
