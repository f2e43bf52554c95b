//! What is asserted of any bytes: the fuzz targets, and the replay on every test run (`compiler/tests/fuzz.rs`).

use twinml_compiler::diag::Diagnostics;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::parser::parse;
use twinml_compiler::resolve::MemoryLoader;
use twinml_compiler::source::FileId;
use twinml_compiler::{emit, lexer};
use twinml_model::text::{program_text, read_program};
use twinml_model::verify::verify;

/// Any bytes become tokens that lie inside the text, in order.
pub fn lexer(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut diags = Diagnostics::new();
    let lexed = lexer::lex(FileId(0), &text, &mut diags);
    let mut last = 0;
    for t in &lexed.tokens {
        assert!(t.lo >= last && t.lo <= t.hi && t.hi as usize <= text.len());
        last = t.lo;
    }
}

/// Any text parses to a tree, and a text without errors prints to one that reads back as the same.
pub fn parser(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut diags = Diagnostics::new();
    let printed = emit::ast::module(&parse(FileId(0), &text, &mut diags));
    if diags.is_empty() {
        let again = emit::ast::module(&parse(FileId(1), &printed, &mut diags));
        assert!(diags.is_empty() && again == printed);
    }
}

/// Any text goes all the way to a program or to errors; a program that comes out verifies.
pub fn checker(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut session = Session::check("fuzz.twinml", &text, &MemoryLoader::new());
    if let Some(done) = session.compile(Choice::default(), &mut NoData) {
        verify(&done.program).expect("a compiled program verifies");
        let printed = program_text(&done.program);
        let again = read_program(&printed).expect("a compiled program's text reads back");
        assert_eq!(program_text(&again), printed);
    } else {
        assert!(session.diags.has_errors(), "no program and no error");
    }
}

/// Any text is refused or read as a program; what is read prints to a text that reads back as the same.
pub fn ir_reader(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(program) = read_program(&text) else { return };
    let printed = program_text(&program);
    let again = read_program(&printed).expect("the printed form reads back");
    assert_eq!(program_text(&again), printed);
    // A refusal is fine, a panic is not.
    let _ = verify(&program);
}
