//! States of runs whose sections are damaged and whose hashes fit, guided by coverage of what reads them and goes on from them.
#![no_main]

#[path = "../../../../runtime/engine/tests/support/damaged.rs"]
mod target;

thread_local! {
    static FIXTURES: Vec<target::Fixture> = target::Fixture::all();
}

// The first byte says of which solver's run, the rest is what the tests damage, too.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    FIXTURES.with(|all| all[usize::from(*which) % all.len()].try_on(rest));
});
