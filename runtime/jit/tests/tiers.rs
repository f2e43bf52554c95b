//! From the interpreter through quick code to optimised code: never a different bit, also among threads; and
//! what becomes of a kernel that cannot be compiled, of a host that misbehaves, of the emitted text.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use support::Code;
use twinml_jit::{Compiled, JitError, OptLevel, Tier};
use twinml_model::host::{Host, KernelId, Machine, Memory, NoHost};
use twinml_model::ids::{BlockId, TableId};
use twinml_model::interp::Interpreter;
use twinml_model::ir::{Kernel, Op, Space, Stmt, Trap, Ty};
use twinml_model::program::{Block, Program, Sizes, SlotRun};

/// Euler steps with the rhs as it comes; the bits after each hundredth.
fn trajectory(machine: &dyn Machine, program: &Program, steps: usize) -> Vec<u64> {
    let mut memory = Memory::new(program);
    let mut out = Vec::new();
    let n = program.sizes.state as usize;
    for step in 0..steps {
        machine.run(KernelId::Rhs, &mut memory, &mut NoHost).unwrap();
        for k in 0..n {
            let slope = memory.space(Space::Der)[k];
            memory.space_mut(Space::State)[k] += 1e-4 * slope;
        }
        if step % 100 == 0 {
            out.extend(memory.space(Space::State).iter().map(|x| x.to_bits()));
        }
    }
    out
}

#[test]
fn all_tiers_give_the_same_bits() {
    let program = Arc::new(support::quad6());
    let expected = trajectory(&Interpreter::new(&program), &program, 40_000);
    for level in [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::O3] {
        let compiled = Compiled::compile(program.clone(), level).unwrap();
        assert!(trajectory(&compiled, &program, 40_000) == expected, "{level:?}");
    }
}

/// What a step of a solver is when it is written out: compiling it must not cost more than the run that it is for.
#[test]
fn a_large_step_written_out_is_interpreted_for_longer() {
    let program = Arc::new(support::quad6());
    for (operations, interpreted) in [(100, 64), (2_000, 256)] {
        let mut machine = Compiled::compile(program.clone(), OptLevel::O2).unwrap();
        let mut k = Code::new("step");
        let x = k.load(Space::State, 0);
        let mut sum = x;
        for _ in 0..operations {
            sum = k.add(sum, x);
        }
        k.store(Space::Der, 0, sum);
        let step = machine.add(k.kernel);
        let mut memory = Memory::new(&program);
        for run in 0..=interpreted {
            assert_eq!(machine.compiled(step), None, "{operations} operations, {run} runs");
            machine.run(step, &mut memory, &mut NoHost).unwrap();
        }
        assert_eq!(machine.compiled(step), Some(Tier::Quick), "{operations} operations");
        for _ in 0..=64 {
            assert_eq!(machine.compiled(KernelId::Rhs), None);
            machine.run(KernelId::Rhs, &mut memory, &mut NoHost).unwrap();
        }
        assert_eq!(machine.compiled(KernelId::Rhs), Some(Tier::Quick), "the program's own");
    }
}

#[test]
fn threads_share_the_code() {
    let program = Arc::new(support::pendulum());
    let compiled = Compiled::compile(program.clone(), OptLevel::O2).unwrap();
    let expected = trajectory(&Interpreter::new(&program), &program, 20_000);
    std::thread::scope(|s| {
        let runs: Vec<_> =
            (0..4).map(|_| s.spawn(|| trajectory(&compiled, &program, 20_000) == expected)).collect();
        assert!(runs.into_iter().all(|r| r.join().unwrap()));
    });
}

/// A program with one state, one variable and one block over it.
fn small(rhs: Kernel) -> Arc<Program> {
    let mut program = Program { rhs, ..Program::default() };
    program.sizes = Sizes { state: 1, var: 1, res: 1, ..Sizes::default() };
    program.blocks.push(Block {
        unknowns: vec![SlotRun { space: Space::Var, base: 0, len: 1 }],
        n: 1,
        linear: false,
        residual: Kernel::new("residual"),
        jacobian: None,
        tangent: None,
        inner_tangent: None,
        origins: Vec::new(),
        initial_only: false,
        careful: false,
    });
    Arc::new(program)
}

#[test]
fn an_address_outside_its_space_is_refused() {
    let mut k = Code::new("rhs");
    let x = k.load(Space::State, 1);
    k.store(Space::Der, 0, x);
    let compiled = Compiled::compile(small(k.kernel), OptLevel::O2).unwrap();
    let error = compiled.prepare(KernelId::Rhs, Tier::Full).unwrap_err();
    let expected = JitError::Address { code: "rhs".into(), space: Space::State, lo: 1, hi: 1, len: 1 };
    assert_eq!(error, expected);
}

#[test]
fn a_value_before_its_definition_is_refused() {
    let mut k = Code::new("rhs");
    let late = k.kernel.value(Op::ConstF(0), Ty::F64);
    k.kernel.values[late.index()].op =
        Op::Load(twinml_model::ir::Place { space: Space::State, at: twinml_model::ir::Affine::constant(0) });
    k.store(Space::Der, 0, late);
    let compiled = Compiled::compile(small(k.kernel), OptLevel::O0).unwrap();
    let error = compiled.prepare(KernelId::Rhs, Tier::Quick).unwrap_err();
    assert_eq!(error, JitError::Value { code: "rhs".into(), value: late });
}

/// Puts another memory in place of the one it was given, or panics.
struct Bad {
    panics: bool,
}

impl Host for Bad {
    fn solve(&mut self, _: BlockId, memory: &mut Memory) -> Result<(), Trap> {
        assert!(!self.panics, "the host's own words");
        *memory = Memory::zeroed(*memory.sizes());
        Ok(())
    }
    fn solve_tangent(&mut self, block: BlockId, _: &mut Memory) -> Result<(), Trap> {
        Err(Trap::Block(block))
    }
    fn table(&mut self, table: TableId, x: f64, _: u8) -> Result<f64, Trap> {
        Err(Trap::TableRange { table, x })
    }
    fn delay(&mut self, _: u32, _: f64, _: &Memory) -> f64 {
        0.0
    }
}

fn solving() -> Arc<Program> {
    let mut k = Code::new("rhs");
    k.kernel.body.push(Stmt::Solve(BlockId(0)));
    let x = k.load(Space::Var, 0);
    k.store(Space::Der, 0, x);
    small(k.kernel)
}

#[test]
fn a_host_that_exchanges_the_memory_ends_the_kernel() {
    let program = solving();
    let compiled = Compiled::compile(program.clone(), OptLevel::O3).unwrap();
    let mut memory = Memory::new(&program);
    let end = compiled.run(KernelId::Rhs, &mut memory, &mut Bad { panics: false });
    assert_eq!(end, Err(Trap::Block(BlockId(0))));
}

#[test]
#[should_panic(expected = "the host's own words")]
fn a_host_that_panics_is_heard() {
    let program = solving();
    let compiled = Compiled::compile(program.clone(), OptLevel::O3).unwrap();
    let _ = compiled.run(KernelId::Rhs, &mut Memory::new(&program), &mut Bad { panics: true });
}

#[test]
fn text_is_emitted() {
    let program = Arc::new(support::pendulum());
    for level in [OptLevel::O0, OptLevel::O2] {
        let compiled = Compiled::compile(program.clone(), level).unwrap();
        let clif = compiled.clif(KernelId::Rhs).unwrap();
        assert!(clif.starts_with("; pendulum\nfunction u0:0(i64) -> i32"), "{clif}");
        assert!(clif.contains("\"param\""), "{clif}");
        assert!(!compiled.assembly(KernelId::Rhs).unwrap().is_empty());
        assert_eq!(clif, compiled.clif(KernelId::Rhs).unwrap());
    }
    let compiled = Compiled::compile(program, OptLevel::O0).unwrap();
    assert_eq!(compiled.clif(KernelId::Jvp), Err(JitError::NoKernel(KernelId::Jvp)));
}
