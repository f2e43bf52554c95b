//! A kernel on lanes, in every way, beside the interpreter lane by lane: the same bits, the same traps.
#![allow(dead_code, reason = "each user takes what it needs")]

use super::compare::{canonical, memory};
use super::generate::Rng;
use super::host::TestHost;
use std::sync::Arc;
use twinml_jit::lanes::{GROUPS, Isa, LaneCode, LaneError};
use twinml_model::host::{Machine, Memory};
use twinml_model::interp::Interpreter;
use twinml_model::interp::block::BlockKernel;
use twinml_model::ir::{Kernel, Op, Region, Stmt, UnOp};
use twinml_model::lanes::{LaneKernel, LaneMemory, NotLanes};
use twinml_model::program::Program;

/// The kernel without what no lane kernel may have: blocks are not solved, delays look at the present.
pub fn for_lanes(kernel: &Kernel) -> Kernel {
    fn region(r: &mut Region) {
        r.retain(|s| !matches!(s, Stmt::Solve(_) | Stmt::SolveTangent(_)));
        for s in r {
            match s {
                Stmt::For(l) => region(&mut l.body),
                Stmt::If(i) => {
                    region(&mut i.then);
                    region(&mut i.otherwise);
                }
                _ => {}
            }
        }
    }
    let mut kernel = kernel.clone();
    for v in &mut kernel.values {
        if let Op::Delay { tau, .. } = v.op {
            v.op = Op::Un(UnOp::Abs, tau);
        }
    }
    region(&mut kernel.body);
    kernel
}

/// A way to run a kernel on lanes, by name, or why it is none.
pub type Way = (String, Result<Box<dyn LaneKernel>, NotLanes>);

/// The ways to run a kernel on lanes; with each its name.
pub fn ways(program: &Arc<Program>, kernel: &Kernel, width: usize) -> Vec<Way> {
    let block = BlockKernel::new(program, kernel).map(|k| Box::new(k) as Box<dyn LaneKernel>);
    let mut all: Vec<Way> = vec![("block".into(), block)];
    for isa in [Isa::V128, Isa::Avx2, Isa::Avx512].into_iter().filter(|i| i.available()) {
        for groups in 1..=GROUPS {
            let name = format!("{} with {groups} groups", isa.name());
            match LaneCode::new(program, kernel, isa, width, groups) {
                Ok(code) => all.push((name, Ok(Box::new(code)))),
                Err(LaneError::NotLanes(why)) => all.push((name, Err(why))),
                Err(other) => panic!("{name}: {other}"),
            }
        }
    }
    all
}

/// Compares on `lanes` memories; says what differs. Gives how many ways could be run.
pub fn compare_lanes(
    program: &Arc<Program>,
    kernel: &Kernel,
    (seed, lanes, times): (u64, usize, u64),
) -> Result<usize, String> {
    let mut rng = Rng(seed);
    compare_from(program, kernel, (0..lanes).map(|_| memory(program, &mut rng)).collect(), times)
}

/// The same from memories as they are.
pub fn compare_from(
    program: &Arc<Program>,
    kernel: &Kernel,
    memories: Vec<Memory>,
    times: u64,
) -> Result<usize, String> {
    let mut interpreter = Interpreter::new(program);
    let reference = interpreter.add(kernel.clone());
    let lanes = memories.len();
    let mut all = LaneMemory::zeroed(program.sizes, lanes);
    let mut expected = Vec::new();
    for (lane, mut one) in memories.into_iter().enumerate() {
        all.set(lane, &one);
        let mut done = Ok(());
        for _ in 0..times {
            done = done.and_then(|()| interpreter.run(reference, &mut one, &mut TestHost(program)));
        }
        expected.push((one, done.err()));
    }
    let mut ran = 0;
    for (name, way) in ways(program, kernel, all.width()) {
        let Ok(way) = way else { continue };
        ran += 1;
        let mut got = all.clone();
        way.run(&mut got, times, &mut TestHost(program));
        let mut one = Memory::zeroed(program.sizes);
        for (lane, (memory, trap)) in expected.iter().enumerate() {
            if format!("{:?}", got.trap(lane)) != format!("{trap:?}") {
                return Err(format!("{name}, lane {lane}: end {:?} for {trap:?}", got.trap(lane)));
            }
            if trap.is_some() {
                continue;
            }
            got.get(lane, &mut one);
            for (slot, (&a, &b)) in one.data().iter().zip(memory.data()).enumerate() {
                if canonical(a) != canonical(b) {
                    return Err(format!("{name}, lane {lane} of {lanes}, slot {slot}: {a:?} for {b:?}"));
                }
            }
        }
    }
    Ok(ran)
}
