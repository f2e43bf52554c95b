//! Random kernels on the interpreter and as machine code, at all levels: the same bits, the same traps.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#[path = "support/generate.rs"]
mod generate;
#[path = "support/host.rs"]
mod host;

use generate::Rng;
use host::TestHost;
use std::sync::Arc;
use twinml_jit::{Compiled, Limits, OptLevel, Tier};
use twinml_model::host::{KernelId, Machine, Memory};
use twinml_model::interp::Interpreter;
use twinml_model::ir::{Kernel, Trap};
use twinml_model::program::Program;
use twinml_model::verify::{Role, verify, verify_kernel};

/// Ways to compile that all have to give the same.
fn ways() -> Vec<(OptLevel, Tier, Limits)> {
    let usual = Limits::default();
    vec![
        (OptLevel::O0, Tier::Quick, usual),
        (OptLevel::O1, Tier::Full, usual),
        (OptLevel::O2, Tier::Full, usual),
        (OptLevel::O0, Tier::Quick, Limits { piece: 5, ..usual }),
        (OptLevel::O1, Tier::Full, Limits { piece: 12, ..usual }),
        (OptLevel::O3, Tier::Full, Limits { inlined: 0, piece: 17 }),
    ]
}

fn canonical(x: f64) -> u64 {
    if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }
}

/// A run's outcome with every NaN the same.
fn outcome(machine: &dyn Machine, id: KernelId, program: &Program, start: &Memory) -> (Vec<u64>, String) {
    let mut memory = start.clone();
    let done = machine.run(id, &mut memory, &mut TestHost(program));
    let trap = match done {
        Err(Trap::TableRange { table, x }) => format!("{table} at {:x}", canonical(x)),
        other => format!("{other:?}"),
    };
    (memory.data().iter().map(|&x| canonical(x)).collect(), trap)
}

fn memory(program: &Program, rng: &mut Rng) -> Memory {
    let mut memory = Memory::new(program);
    memory.data_mut().iter_mut().for_each(|x| *x = rng.number());
    memory
}

/// Compares all ways on a few memories; says what differs.
fn compare(program: &Arc<Program>, kernel: &Kernel, seed: u64) -> Result<(), String> {
    verify(program).map_err(|e| format!("invalid program: {e:?}"))?;
    verify_kernel(program, kernel, Role::Extra).map_err(|e| format!("invalid kernel: {e:?}"))?;
    let mut interpreter = Interpreter::new(program);
    let reference = interpreter.add(kernel.clone());
    let mut rng = Rng(seed);
    let starts: Vec<Memory> = (0..4).map(|_| memory(program, &mut rng)).collect();
    let expected: Vec<_> = starts.iter().map(|m| outcome(&interpreter, reference, program, m)).collect();
    for (level, tier, limits) in ways() {
        let mut compiled = Compiled::with_limits(program.clone(), level, limits).unwrap();
        let id = compiled.add(kernel.clone());
        compiled.prepare(id, tier).map_err(|e| format!("{level:?} {limits:?}: {e}"))?;
        for (k, (start, expected)) in starts.iter().zip(&expected).enumerate() {
            let got = outcome(&compiled, id, program, start);
            if got == *expected {
                continue;
            }
            let at = got.0.iter().zip(&expected.0).position(|(a, b)| a != b);
            return Err(format!(
                "{level:?} {limits:?}, memory {k}: trap {} for {}; slot {at:?}: {:?} for {:?}",
                got.1,
                expected.1,
                at.map(|k| f64::from_bits(got.0[k])),
                at.map(|k| f64::from_bits(expected.0[k])),
            ));
        }
    }
    Ok(())
}

fn check(seed: u64) {
    let (program, kernel) = generate::program(seed);
    let program = Arc::new(program);
    if let Err(difference) = compare(&program, &kernel, seed) {
        panic!("seed {seed}: {difference}\n{kernel:#?}");
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
