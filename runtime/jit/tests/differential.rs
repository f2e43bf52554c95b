//! Random kernels on the interpreter, as machine code at all levels, and simplified: the same bits, the same
//! traps. What ever differed is kept in `tests/filetests/ir` at the project's root.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#[path = "support/compare.rs"]
mod compare;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/host.rs"]
mod host;
#[path = "support/reduce.rs"]
mod reduce;

use compare::{canonical, compare, memory, outcome};
use generate::Rng;
use std::sync::Arc;
use twinml_model::host::Machine;
use twinml_model::interp::Interpreter;
use twinml_model::ir::Kernel;
use twinml_model::text::{kernel_text, program_text};
use twinml_model::verify::{Role, verify, verify_kernel};

fn check(seed: u64) {
    let (program, kernel) = generate::program(seed);
    verify(&program).unwrap();
    verify_kernel(&program, &kernel, Role::Extra).unwrap();
    let program = Arc::new(program);
    if let Err(difference) = compare(&program, &kernel, seed) {
        let fails = |kernel: &Kernel| {
            verify_kernel(&program, kernel, Role::Extra).is_ok() && compare(&program, kernel, seed).is_err()
        };
        let small = reduce::reduce(&kernel, &fails);
        let text = kernel_text(&small);
        // Values that nothing places any more.
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with("dead ")).collect();
        let text = lines.join("\n");
        panic!("seed {seed}: {difference}\n{}\n{text}", program_text(&program));
    }
}

/// That the generator's kernels do something: few end early, most of what they write are numbers.
#[test]
fn random_kernels_are_worth_running() {
    let (mut runs, mut traps, mut slots, mut nans, mut changed) = (0, 0, 0, 0, 0);
    for seed in 0..300 {
        let (program, kernel) = generate::program(seed);
        let mut interpreter = Interpreter::new(&program);
        let id = interpreter.add(kernel);
        let start = memory(&program, &mut Rng(seed));
        let (end, trap) = outcome(&interpreter, id, &program, &start);
        runs += 1;
        traps += u32::from(trap != "Ok(())");
        for (&x, y) in end.iter().zip(start.data()) {
            slots += 1;
            if x != canonical(*y) {
                changed += 1;
                nans += u32::from(f64::from_bits(x).is_nan());
            }
        }
    }
    println!("{runs} runs, {traps} traps; {slots} slots, {changed} changed, {nans} to NaN");
    assert!(traps * 3 < runs && traps > 0 && nans * 3 < changed && changed * 20 > slots);
}

#[test]
fn random_kernels() {
    (0..150).for_each(check);
}

/// Runs for `TWINML_FUZZ_SECONDS` (60) from seed `TWINML_FUZZ_SEED` (10,000) on.
#[test]
#[ignore = "long"]
fn random_kernels_for_long() {
    let number = |name: &str, or| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or);
    let (seconds, first) = (number("TWINML_FUZZ_SECONDS", 60), number("TWINML_FUZZ_SEED", 10_000));
    let start = std::time::Instant::now();
    let mut seed = first;
    while start.elapsed().as_secs() < seconds {
        check(seed);
        seed += 1;
    }
    println!("{} kernels", seed - first);
}
