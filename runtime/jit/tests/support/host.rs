//! A host whose answers depend on nothing but what it is asked and the memory.

use twinml_model::host::{Host, Memory};
use twinml_model::ids::{BlockId, TableId};
use twinml_model::ir::{Space, Trap};
use twinml_model::program::Program;

pub struct TestHost<'a>(pub &'a Program);

impl TestHost<'_> {
    fn touch(&self, block: BlockId, memory: &mut Memory, factor: f64) -> Result<(), Trap> {
        let sum = memory.space(Space::State)[0] * factor + memory.space(Space::Param)[0];
        for run in &self.0.block(block).unknowns {
            for k in run.base..run.base + run.len {
                let slot = &mut memory.space_mut(run.space)[k as usize];
                *slot = 0.5 * *slot + sum;
            }
        }
        // Seldom, and the same for every machine.
        if sum == 0.0 { Err(Trap::Block(block)) } else { Ok(()) }
    }
}

impl Host for TestHost<'_> {
    fn solve(&mut self, block: BlockId, memory: &mut Memory) -> Result<(), Trap> {
        self.touch(block, memory, 3.0)
    }
    fn solve_tangent(&mut self, block: BlockId, memory: &mut Memory) -> Result<(), Trap> {
        self.touch(block, memory, -1.0)
    }
    fn table(&mut self, table: TableId, x: f64, order: u8) -> Result<f64, Trap> {
        if x > 1e5 { Err(Trap::TableRange { table, x }) } else { Ok(x * 0.25 + f64::from(order)) }
    }
    fn delay(&mut self, slot: u32, tau: f64, memory: &Memory) -> f64 {
        memory.space(Space::Hist)[slot as usize] - tau * memory.time()
    }
}
