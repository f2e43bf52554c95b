//! A kernel on the interpreter and as machine code, compiled in every way: the same bits, the same traps.
#![allow(dead_code, reason = "each user takes what it needs")]

use super::generate::Rng;
use super::host::TestHost;
use std::sync::Arc;
use twinml_jit::{Compiled, Limits, OptLevel, Tier};
use twinml_model::host::{KernelId, Machine, Memory};
use twinml_model::interp::Interpreter;
use twinml_model::ir::{Kernel, Trap};
use twinml_model::passes::{Level, dead, optimize_kernel};
use twinml_model::program::Program;

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

/// The bits, with every NaN the same.
pub fn canonical(x: f64) -> u64 {
    if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }
}

/// What a run leaves in memory, and how it ends.
pub type Outcome = (Vec<u64>, String);

/// Runs a kernel.
pub fn outcome(machine: &dyn Machine, id: KernelId, program: &Program, start: &Memory) -> Outcome {
    let mut memory = start.clone();
    let done = machine.run(id, &mut memory, &mut TestHost(program));
    let trap = match done {
        Err(Trap::TableRange { table, x }) => format!("{table} at {:x}", canonical(x)),
        other => format!("{other:?}"),
    };
    (memory.data().iter().map(|&x| canonical(x)).collect(), trap)
}

/// A memory with numbers of all kinds.
pub fn memory(program: &Program, rng: &mut Rng) -> Memory {
    let mut memory = Memory::new(program);
    memory.data_mut().iter_mut().for_each(|x| *x = rng.number());
    memory
}

/// Compares all ways on a few memories; says what differs.
pub fn compare(program: &Arc<Program>, kernel: &Kernel, seed: u64) -> Result<(), String> {
    let mut interpreter = Interpreter::new(program);
    let reference = interpreter.add(kernel.clone());
    let mut rng = Rng(seed);
    let starts: Vec<Memory> = (0..4).map(|_| memory(program, &mut rng)).collect();
    let expected: Vec<_> = starts.iter().map(|m| outcome(&interpreter, reference, program, m)).collect();
    let check = |machine: &dyn Machine, id, way: String| {
        for (k, (start, expected)) in starts.iter().zip(&expected).enumerate() {
            let got = outcome(machine, id, program, start);
            if got != *expected {
                let at = got.0.iter().zip(&expected.0).position(|(a, b)| a != b);
                return Err(format!(
                    "{way}, memory {k}: end {} for {}; slot {at:?}: {:?} for {:?}",
                    got.1,
                    expected.1,
                    at.map(|k| f64::from_bits(got.0[k])),
                    at.map(|k| f64::from_bits(expected.0[k])),
                ));
            }
        }
        Ok(())
    };
    let traps = dead::Traps::of(program);
    for level in [Level::O1, Level::O2] {
        let mut interpreter = Interpreter::new(program);
        let id = interpreter.add(optimize_kernel(kernel, level, &[], &traps).0);
        check(&interpreter, id, format!("simplified at {level:?}"))?;
    }
    for (level, tier, limits) in ways() {
        let mut compiled = Compiled::with_limits(program.clone(), level, limits).unwrap();
        let id = compiled.add(kernel.clone());
        compiled.prepare(id, tier).map_err(|e| format!("{level:?} {limits:?}: {e}"))?;
        check(&compiled, id, format!("{level:?} {limits:?}"))?;
    }
    Ok(())
}
