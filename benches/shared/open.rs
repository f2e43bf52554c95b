//! A model's text, ready to run.

use std::sync::Arc;
use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::passes::{self, Level};
use twinml_model::program::Program;

/// The program, optimised as for a run, and one run's memory at its start.
pub fn open(text: &str) -> (Arc<Program>, Memory) {
    let mut session = Session::check("bench.twinml", text, &MemoryLoader::default());
    let mut program = session.compile(Choice::default(), &mut NoData).unwrap().program;
    passes::prepare(&mut program, Level::O2, false);
    let mut start = Memory::new(&program);
    let machine = Interpreter::new(&program);
    machine.run(KernelId::Params, &mut start, &mut NoHost).unwrap();
    machine.run(KernelId::Initial, &mut start, &mut NoHost).unwrap();
    (Arc::new(program), start)
}
