//! What kernels ask for while they run: blocks, tables, delays.

use twinml_model::bytes::{Malformed, Reader, Writer};
use twinml_model::host::{Host, Machine, Memory};
use twinml_model::ids::{BlockId, TableId};
use twinml_model::ir::{Kernel, Space, Stmt, Trap};
use twinml_model::passes::straight::Guesses;
use twinml_model::program::Program;

use super::block::{Aim, BlockFailure, BlockSolver, Clock};
use super::branch::Branch;
use super::history::History;
use super::table::TableFn;

/// The engine's side of running kernels.
pub(super) struct EngineHost<'a> {
    machine: &'a dyn Machine,
    /// A block's solver is taken out while it works: its residuals may need another block.
    blocks: Vec<Option<Box<BlockSolver>>>,
    pub(super) tables: Vec<TableFn>,
    pub(super) history: History,
    /// Where blocks look for their solutions.
    pub(super) aim: Aim,
    /// How many blocks are being solved, one within the other.
    depth: u32,
    /// Blocks that have to stay on their branch, and those of them that the right-hand side does not solve.
    bends: Vec<bool>,
    aside: Vec<bool>,
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
        let blocks: Vec<Option<Box<BlockSolver>>> = blocks.collect();
        let bends: Vec<bool> = blocks.iter().flatten().map(|solver| solver.bends()).collect();
        EngineHost {
            machine,
            blocks,
            aim: Aim::Any,
            depth: 0,
            aside: aside(program),
            bends,
            tables: program.tables.iter().map(TableFn::new).collect(),
            history: History::new(program.sizes.hist as usize),
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

    /// Those of them that may lie elsewhere now begin where they were found.
    pub(super) fn accept_found(&mut self, memory: &Memory) {
        let solvers = self.blocks.iter_mut().flatten();
        solvers.filter(|s| s.solved() && (s.careful() || s.bends())).for_each(|s| s.accept(memory));
    }

    /// Whether some block has to stay on its branch.
    pub(super) fn follows(&self) -> bool {
        self.bends.contains(&true)
    }

    /// The first of them.
    pub(super) fn first_bent(&self) -> BlockId {
        BlockId::new(self.bends.iter().position(|bends| *bends).unwrap_or(0))
    }

    /// Whether one of them is not solved by the right-hand side.
    pub(super) fn follows_aside(&self) -> bool {
        self.aside.contains(&true)
    }

    fn bent(&mut self) -> impl Iterator<Item = &mut BlockSolver> {
        let all = self.blocks.iter_mut().zip(&self.bends).filter(|(_, bends)| **bends);
        all.filter_map(|(solver, _)| solver.as_deref_mut())
    }

    /// Keeps where blocks that bend begin, while a way is followed.
    pub(super) fn keep_branches(&mut self) {
        self.bent().for_each(BlockSolver::keep_branch);
    }

    /// Puts that back.
    pub(super) fn restore_branches(&mut self) {
        self.bent().for_each(BlockSolver::restore_branch);
    }

    /// Where blocks that bend begin.
    pub(super) fn branches(&mut self) -> Vec<Branch> {
        self.bent().map(|solver| solver.branch().clone()).collect()
    }

    /// Puts them there.
    pub(super) fn set_branches(&mut self, branches: Vec<Branch>) {
        for (solver, branch) in self.bent().zip(branches) {
            *solver.branch_mut() = branch;
        }
    }

    /// The accepted point itself is evaluated.
    pub(super) fn settle(&mut self) {
        self.bent().for_each(|solver| solver.branch_mut().settle());
    }

    /// Whether blocks that have to stay on their branches were last found at another time than this.
    pub(super) fn stale(&mut self, t: f64) -> bool {
        let aside = &self.aside;
        let all =
            self.blocks.iter().zip(&self.bends).zip(aside).filter(|((_, bends), aside)| **bends && !**aside);
        all.filter_map(|((solver, _), _)| solver.as_deref()).any(|solver| solver.latest_at() != t)
    }

    /// How far beside the place ahead the solutions of blocks lie, as part of how far they may.
    pub(super) fn beside(&mut self) -> f64 {
        self.bent().fold(0.0, |most: f64, solver| most.max(solver.beside()))
    }

    /// The way to a point `span` later is followed in parts; false where nothing is known of where it leads.
    pub(super) fn begin_parts(&mut self, span: f64) -> bool {
        let mut known = true;
        for solver in self.bent() {
            known &= solver.branch_mut().part(span);
        }
        known
    }

    /// The point reached is on the branches; the first one only says where they lead.
    pub(super) fn go_on_by_part(&mut self, memory: &Memory, part: f64, first: bool) {
        self.bent().for_each(|solver| solver.go_on_by_part(memory, part, first));
    }

    /// Blocks that bend begin here, heading where they did.
    pub(super) fn go_here(&mut self, memory: &Memory) {
        self.bent().for_each(|solver| solver.go_here(memory));
    }

    /// What was just found a little later says where unknowns head to; false where any is not near.
    pub(super) fn head_to(&mut self, memory: &Memory) -> bool {
        self.bent().all(|solver| solver.head_to(memory))
    }

    /// Nothing is known of where they head to.
    pub(super) fn head_nowhere(&mut self) {
        self.bent().for_each(|solver| solver.branch_mut().head_nowhere());
    }

    /// Blocks that the right-hand side does not solve are where they were just found.
    pub(super) fn note_aside(&mut self, memory: &Memory) {
        for (solver, _) in self.blocks.iter_mut().zip(&self.aside).filter(|(_, aside)| **aside) {
            solver.iter_mut().for_each(|solver| solver.note(memory));
        }
    }

    /// The right-hand side was evaluated.
    pub(super) fn note(&mut self, memory: &Memory) {
        for (solver, _) in self.blocks.iter_mut().zip(&self.aside).filter(|(_, aside)| !**aside) {
            solver.iter_mut().for_each(|solver| solver.note(memory));
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
        let Some(g) = guesses else { return true };
        for (first, solver) in g.blocks.iter().zip(&self.blocks) {
            let Some((&first, solver)) = first.as_ref().zip(solver.as_deref()) else { continue };
            solver.branch().stand_in(g, first - g.first, solver.bends(), set);
        }
        true
    }

    /// The right-hand side was evaluated by such a kernel, which left where blocks began in its last step, and what they
    /// found in it where they begin.
    pub(super) fn note_found(&mut self, g: &Guesses, at: &dyn Fn(u32) -> f64) {
        for (first, solver) in g.blocks.iter().zip(&mut self.blocks) {
            let Some((first, solver)) = first.zip(solver.as_deref_mut()) else { continue };
            solver.branch_mut().take(g, g.before(), first - g.first, at);
            solver.note_that((first..g.first + g.len).map(at), at(g.since(g.first)));
        }
    }

    /// Where blocks begin, tables stand and what `delay` looks back at, as bytes.
    pub(super) fn save(&self, to: &mut Writer) {
        to.put(&self.blocks.len());
        for solver in self.blocks.iter().flatten() {
            to.slice(&solver.branch().guess);
        }
        let frozen: Vec<Option<i64>> = self.tables.iter().map(TableFn::frozen).collect();
        to.put(&frozen);
        self.history.save(to);
        for solver in self.blocks.iter().flatten().filter(|s| s.bends()) {
            solver.branch().save(to);
        }
    }

    /// Into a host of the same program, where time is `now`.
    pub(super) fn load(&mut self, from: &mut Reader<'_>, now: f64) -> Result<(), Malformed> {
        let at = from.at();
        if from.length(8)? != self.blocks.len() {
            return Err(Malformed { at, why: "there are other algebraic loops".into() });
        }
        for solver in self.blocks.iter_mut().flatten() {
            from.fill(&mut solver.branch_mut().guess)?;
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
        self.history.load(from)?;
        // Snapshots of before 0.10 end here: there nothing is known of where blocks head to.
        let ends = from.left() == 0;
        for solver in self.blocks.iter_mut().flatten().filter(|s| s.bends()) {
            match ends {
                true => solver.branch_mut().begin(now),
                false => solver.branch_mut().load(from)?,
            }
        }
        Ok(())
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
        let aim = match self.aim {
            Aim::Ahead { .. } if self.depth > 0 => Aim::Nearest,
            aim => aim,
        };
        self.depth += 1;
        let outcome = solver.solve(self.machine, memory, aim, self);
        self.depth -= 1;
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

/// The usual aim.
pub(super) const ONWARD: Aim = Aim::Ahead { clock: Clock::Time, jumps: false };

/// By block, whether it has to stay on its branch and is not solved by the right-hand side: outputs or events ask for it.
pub(super) fn aside(program: &Program) -> Vec<bool> {
    let asked = solved(program, &program.rhs);
    program.blocks.iter().zip(&asked).map(|(b, asked)| !b.linear && !b.initial_only && !asked).collect()
}

/// By block, whether a kernel solves it, by itself or within another one.
fn solved(program: &Program, kernel: &Kernel) -> Vec<bool> {
    fn walk(program: &Program, region: &[Stmt], all: &mut Vec<bool>) {
        for stmt in region {
            match stmt {
                Stmt::Solve(b) => {
                    let known = all.get_mut(b.index()).is_none_or(|known| std::mem::replace(known, true));
                    if let Some(block) = program.blocks.get(b.index()).filter(|_| !known) {
                        walk(program, &block.residual.body, all);
                    }
                }
                Stmt::For(l) => walk(program, &l.body, all),
                Stmt::If(i) => {
                    walk(program, &i.then, all);
                    walk(program, &i.otherwise, all);
                }
                _ => {}
            }
        }
    }
    let mut all = vec![false; program.blocks.len()];
    walk(program, &kernel.body, &mut all);
    all
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
