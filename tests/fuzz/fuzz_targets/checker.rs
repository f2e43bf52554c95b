//! Any text goes all the way to a program or to errors; a program that comes out verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut session = Session::check("fuzz.twinml", &text, &MemoryLoader::new());
    if let Some(done) = session.compile(Choice::default(), &mut NoData) {
        twinml_model::verify::verify(&done.program).expect("a compiled program verifies");
    } else {
        assert!(session.diags.has_errors(), "no program and no error");
    }
});
