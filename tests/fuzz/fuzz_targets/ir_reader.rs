//! Any text is refused or read as a program; what is read prints to a text that reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinml_model::text::{program_text, read_program};
use twinml_model::verify::verify;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Ok(program) = read_program(&text) else { return };
    let printed = program_text(&program);
    let again = read_program(&printed).expect("the printed form reads back");
    assert_eq!(program_text(&again), printed);
    // a refusal is fine, a panic is not
    let _ = verify(&program);
});
