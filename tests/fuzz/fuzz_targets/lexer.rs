//! Any bytes become tokens that lie inside the text, in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinml_compiler::{diag::Diagnostics, lexer, source::FileId};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut diags = Diagnostics::new();
    let lexed = lexer::lex(FileId(0), &text, &mut diags);
    let mut last = 0;
    for t in &lexed.tokens {
        assert!(t.lo >= last && t.lo <= t.hi && t.hi as usize <= text.len());
        last = t.lo;
    }
});
