#![no_main]

// The engine's readers alone: all of the engine would take minutes to build with coverage.
#[allow(dead_code)]
#[path = "../../../runtime/engine/src/provenance/mod.rs"]
mod provenance;
#[allow(dead_code, unused_imports)]
#[path = "../signed.rs"]
mod signed;
#[allow(dead_code)]
#[path = "../../../runtime/engine/src/snapshot/mod.rs"]
mod snapshot;

libfuzzer_sys::fuzz_target!(|data: &[u8]| signed::snapshot(data));
