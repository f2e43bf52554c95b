//! What kernels ask for while they run: blocks, tables, delays.

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::host::{Host, Machine, Memory};
use twinml_model::ids::{BlockId, TableId};
use twinml_model::ir::{Space, Trap};
use twinml_model::passes::straight::Guesses;
use twinml_model::program::Program;

use super::block::{BlockFailure, BlockSolver};
use super::history::History;
use super::table::TableFn;

/// The engine's side of running kernels.
pub(super) struct EngineHost<'a> {
    machine: &'a dyn Machine,
    /// A block's solver is taken out while it works: its residuals may need another block.
    blocks: Vec<Option<Box<BlockSolver>>>,
    pub(super) tables: Vec<TableFn>,
    pub(super) history: History,
    /// Whether blocks try everything: at accepted points. In an integrator's trial a smaller step is the better mend.
    pub(super) thorough: bool,
    /// The last failure of a block, for the report.
    pub(super) failure: Option<BlockFailure>,
}

impl<'a> EngineHost<'a> {
    pub(super) fn new(program: &Program, machine: &'a dyn Machine, memory: &Memory) -> EngineHost<'a> {
        let nominal = nominals(program);
        let typical = |space: Space, slot: usize| match nominal.iter().find(|(s, _)| *s == space) {
            Some((_, values)) => values[slot],
            None => 1.0,
        };
        let blocks = program.blocks.iter().enumerate();
        let blocks = blocks
            .map(|(k, block)| Some(Box::new(BlockSolver::new(BlockId::new(k), block, memory, typical))));
        EngineHost {
            machine,
            blocks: blocks.collect(),
            tables: program.tables.iter().map(TableFn::new).collect(),
            history: History::new(program.sizes.hist as usize),
            thorough: true,
            failure: None,
        }
    }

    /// The point reached is accepted: blocks begin here from now on.
    pub(super) fn accept(&mut self, memory: &Memory) {
        for solver in self.blocks.iter_mut().flatten() {
            solver.accept(memory);
        }
    }

    /// Whether corrections of some block are bounded where Newton begins anew.
    pub(super) fn careful(&self) -> bool {
        self.blocks.iter().flatten().any(|solver| solver.careful())
    }

    /// From here on it is noted which blocks are solved.
    pub(super) fn watch(&mut self) {
        self.blocks.iter_mut().flatten().for_each(|solver| solver.watch());
    }

    /// Those of them that are careful begin where they were found.
    pub(super) fn accept_found(&mut self, memory: &Memory) {
        self.blocks.iter_mut().flatten().for_each(|solver| solver.accept_found(memory));
    }

    /// The right-hand side was evaluated.
    pub(super) fn note(&mut self, memory: &Memory) {
        for solver in self.blocks.iter_mut().flatten() {
            solver.note(memory);
        }
    }

    /// The last step is accepted: blocks begin where its last evaluation found them.
    pub(super) fn step_on(&mut self) {
        for solver in self.blocks.iter_mut().flatten() {
            solver.step_on();
        }
    }

    /// Gives what stands in slots for kernels in which blocks and tables are written out: where blocks begin, and pieces of
    /// tables. False where a table is on no such piece.
    pub(super) fn stand_in(
        &self,
        tables: &[(usize, u32)],
        guesses: Option<&Guesses>,
        set: &mut dyn FnMut(u32, f64),
    ) -> bool {
        for &(table, first) in tables {
            let Some(numbers) = self.tables.get(table).and_then(TableFn::numbers) else { return false };
            (first..).zip(numbers).for_each(|(slot, v)| set(slot, v));
        }
        let starts = guesses.iter().flat_map(|g| &g.blocks).zip(&self.blocks);
        for (first, solver) in starts.filter_map(|(first, solver)| first.zip(solver.as_deref())) {
            (first..).zip(solver.guess()).for_each(|(slot, v)| set(slot, *v));
        }
        true
    }

    /// The right-hand side was evaluated by such a kernel, which left what blocks found where they begin.
    pub(super) fn note_found(&mut self, guesses: &Guesses, at: &dyn Fn(u32) -> f64) {
        for (first, solver) in guesses.blocks.iter().zip(&mut self.blocks) {
            let Some((first, solver)) = first.zip(solver.as_deref_mut()) else { continue };
            solver.note_that((first..guesses.first + guesses.len).map(at));
        }
    }

    /// Where blocks begin, tables stand and what `delay` looks back at, as bytes.
    pub(super) fn save(&self, to: &mut Writer) {
        to.put(&self.blocks.len());
        for solver in self.blocks.iter().flatten() {
            to.slice(solver.guess());
        }
        let frozen: Vec<Option<i64>> = self.tables.iter().map(TableFn::frozen).collect();
        to.put(&frozen);
        self.history.save(to);
    }

    /// Into a host of the same program.
    pub(super) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let at = from.at();
        if from.length(8)? != self.blocks.len() {
            return Err(Malformed { at, why: "there are other algebraic loops".into() });
        }
        for solver in self.blocks.iter_mut().flatten() {
            from.fill(solver.guess_mut())?;
        }
        let at = from.at();
        let frozen: Vec<Option<i64>> = from.get()?;
        let wrong = || Malformed { at, why: "there are other tables".into() };
        if frozen.len() != self.tables.len() {
            return Err(wrong());
        }
        for (table, piece) in self.tables.iter_mut().zip(frozen) {
            if !table.refreeze(piece) {
                return Err(wrong());
            }
        }
        self.history.load(from)
    }

    /// Another point is about to be evaluated: factors no longer fit.
    pub(super) fn new_point(&mut self) {
        for solver in self.blocks.iter_mut().flatten() {
            solver.forget();
        }
    }
}

impl Host for EngineHost<'_> {
    fn solve(&mut self, block: BlockId, memory: &mut Memory) -> Result<(), Trap> {
        // A block that is being solved is not there: it asks for itself, which the compiler never emits.
        let Some(mut solver) = self.blocks.get_mut(block.index()).and_then(Option::take) else {
            return Err(Trap::Block(block));
        };
        let outcome = solver.solve(self.machine, memory, self.thorough, self);
        self.blocks[block.index()] = Some(solver);
        outcome.map_err(|failure| {
            self.failure = Some(failure);
            Trap::Block(block)
        })
    }

    fn solve_tangent(&mut self, block: BlockId, memory: &mut Memory) -> Result<(), Trap> {
        let Some(mut solver) = self.blocks.get_mut(block.index()).and_then(Option::take) else {
            return Err(Trap::Block(block));
        };
        let outcome = solver.tangent(self.machine, memory, self);
        self.blocks[block.index()] = Some(solver);
        outcome
    }

    fn table(&mut self, table: TableId, x: f64, order: u8) -> Result<f64, Trap> {
        match self.tables.get_mut(table.index()) {
            Some(function) => function.eval(x, order).ok_or(Trap::TableRange { table, x }),
            None => Err(Trap::TableRange { table, x }),
        }
    }

    fn delay(&mut self, slot: u32, tau: f64, memory: &Memory) -> f64 {
        self.history.at(slot as usize, memory.time(), tau)
    }
}

/// Typical magnitudes by slot, for the spaces that hold unknowns; 1 where nothing is known.
pub(super) fn nominals(program: &Program) -> Vec<(Space, Vec<f64>)> {
    [Space::State, Space::Var, Space::Der, Space::Param]
        .into_iter()
        .map(|space| {
            let mut values = vec![1.0; program.sizes.of(space) as usize];
            for var in program.schema.vars.iter().filter(|v| v.space == space) {
                let (base, len) = (var.base as usize, var.len as usize);
                let size = var.nominal.abs();
                if size > 0.0
                    && size.is_finite()
                    && let Some(slots) = values.get_mut(base..base + len)
                {
                    slots.fill(size);
                }
            }
            (space, values)
        })
        .collect()
}
