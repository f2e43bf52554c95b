//! Algebraic blocks: `r(u) = 0` by Newton's method with a line search, and their tangents.
//!
//! Method: damped Newton with the natural monotonicity test of Deuflhard, "Newton Methods for Nonlinear Problems"
//! (2004), §3.3: a trial is good when the simplified correction there is shorter than the correction that led to it.
//! The test is invariant under scaling of the residuals; corrections are weighed by each unknown's size and nominal.
//! Shapes: `n` unknowns, `n` residuals, a sparse Jacobian of `entries` values that add up at equal places.
//! Convergence: quadratic; iterated until corrections are below 1e-10 of the unknowns' weights, then once more, so
//! that the answer hardly depends on where the iteration began.
//! Failure: [`BlockFailure`] with the residuals, the values and the equations. Allocates only when made.

use twinml_model::host::{Host, KernelId, Machine, Memory};
use twinml_model::ids::BlockId;
use twinml_model::ir::{Space, Trap};
use twinml_model::passes::straight::Limits;
use twinml_model::program::{Block, SlotRun};
use twinml_solvers::linalg::IterationMatrix;

use super::sparse::Assembly;

/// Newton iterations before the block is given up.
const ITERATIONS: u32 = 50;
/// Corrections below this part of an unknown's weight end the iteration.
const CLOSE: f64 = 1e-10;
/// Corrections that no longer shrink are rounding when they are below this part.
const ROUNDING: f64 = 1e-7;
/// The same for blocks that are written out.
pub(super) const LIMITS: Limits = Limits { close: CLOSE, rounding: ROUNDING };
/// Bounded corrections move no unknown by more than this times its size.
const BOUND: f64 = 10.0;
/// The smallest part of a correction that the line search tries.
const SHORTEST: f64 = 1e-4;
/// The same of bounded corrections: beside a shut valve the law of an orifice bends within a billionth of a pressure.
const SHORTEST_BOUNDED: f64 = 1e-12;

/// Why and where a block could not be solved.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockFailure {
    /// The block.
    pub block: BlockId,
    /// Iterations done in the last attempt.
    pub iterations: u32,
    /// Whether the Jacobian was singular.
    pub singular: bool,
    /// The residuals at the last point, in SI.
    pub residuals: Vec<f64>,
    /// The unknowns at the last point, in SI.
    pub unknowns: Vec<f64>,
}

/// One block's solver with its scratch memory.
#[derive(Debug)]
pub(super) struct BlockSolver {
    id: BlockId,
    linear: bool,
    /// Whether corrections are bounded where Newton begins anew.
    careful: bool,
    /// Whether they are bounded now.
    bounded: bool,
    /// Whether it has been solved since [`BlockSolver::watch`].
    solved: bool,
    /// Whether Newton begins with what stands in the slots: guesses that formulas gave.
    from_slots: bool,
    slots: Vec<(Space, usize)>,
    runs: Vec<SlotRun>,
    assembly: Assembly,
    matrix: IterationMatrix,
    /// Where Newton begins: the unknowns at the last accepted point.
    guess: Vec<f64>,
    /// The unknowns when the right-hand side was last evaluated.
    latest: Vec<f64>,
    /// Where it begins when that fails: the declared guesses.
    declared: Vec<f64>,
    weight: Vec<f64>,
    /// Whether the matrix holds the factors for the unknowns as they are.
    factored: bool,
    values: Vec<f64>,
    u: Vec<f64>,
    step: Vec<f64>,
    simplified: Vec<f64>,
    trial: Vec<f64>,
    saved: Vec<f64>,
}

/// How an attempt ended.
enum Attempt {
    Solved,
    Failed { iterations: u32, singular: bool },
}

impl BlockSolver {
    /// `nominal` gives the typical magnitude of a slot.
    pub(super) fn new(
        id: BlockId,
        block: &Block,
        memory: &Memory,
        nominal: impl Fn(Space, usize) -> f64,
    ) -> BlockSolver {
        let n = block.n as usize;
        let slots: Vec<(Space, usize)> = block
            .unknowns
            .iter()
            .flat_map(|run| (run.base..run.base + run.len).map(|slot| (run.space, slot as usize)))
            .collect();
        let assembly = match &block.jacobian {
            Some(jacobian) => Assembly::of(jacobian),
            None => Assembly::dense(n),
        };
        let declared: Vec<f64> = slots.iter().map(|&(space, slot)| memory.space(space)[slot]).collect();
        BlockSolver {
            id,
            linear: block.linear,
            careful: block.careful,
            bounded: false,
            solved: false,
            from_slots: block.initial_only,
            weight: slots.iter().map(|&(space, slot)| nominal(space, slot).abs()).collect(),
            slots,
            runs: block.unknowns.clone(),
            matrix: IterationMatrix::new(assembly.pattern()),
            values: vec![0.0; assembly.pattern().nnz()],
            assembly,
            guess: declared.clone(),
            latest: declared.clone(),
            declared,
            factored: false,
            u: vec![0.0; n],
            step: vec![0.0; n],
            simplified: vec![0.0; n],
            trial: vec![0.0; n],
            saved: Vec::new(),
        }
    }

    /// The point reached is accepted: Newton begins here from now on.
    pub(super) fn accept(&mut self, memory: &Memory) {
        gather(&self.runs, memory, &mut self.guess);
        self.latest.copy_from_slice(&self.guess);
    }

    /// The right-hand side was evaluated.
    pub(super) fn note(&mut self, memory: &Memory) {
        gather(&self.runs, memory, &mut self.latest);
    }

    /// The same, elsewhere.
    pub(super) fn note_that(&mut self, unknowns: impl Iterator<Item = f64>) {
        for (to, u) in self.latest.iter_mut().zip(unknowns) {
            *to = u;
        }
    }

    /// The last step is accepted: Newton begins where its last evaluation found the unknowns.
    pub(super) fn step_on(&mut self) {
        self.guess.copy_from_slice(&self.latest);
    }

    /// Where Newton begins.
    pub(super) fn guess(&self) -> &[f64] {
        &self.guess
    }

    /// The same, to be changed.
    pub(super) fn guess_mut(&mut self) -> &mut [f64] {
        self.factored = false;
        &mut self.guess
    }

    /// Something that the block reads may have changed: the factors no longer fit.
    pub(super) fn forget(&mut self) {
        self.factored = false;
    }

    /// From here on it is noted whether it is solved.
    pub(super) fn watch(&mut self) {
        self.solved = false;
    }

    /// Where corrections are bounded and it has been solved since: Newton begins there from now on.
    pub(super) fn accept_found(&mut self, memory: &Memory) {
        if self.careful && self.solved {
            self.accept(memory);
        }
    }

    /// Whether corrections are bounded where Newton begins anew.
    pub(super) fn careful(&self) -> bool {
        self.careful
    }

    /// Finds the unknowns and leaves them in their slots. `thorough` also tries other places to begin.
    pub(super) fn solve(
        &mut self,
        machine: &dyn Machine,
        memory: &mut Memory,
        thorough: bool,
        host: &mut dyn Host,
    ) -> Result<(), BlockFailure> {
        self.factored = false;
        if self.from_slots {
            gather(&self.runs, memory, &mut self.guess);
        }
        self.save(memory);
        // Within steps the point before is near, and lanes do the same operations.
        self.bounded = self.careful && thorough;
        let mut last = Attempt::Solved;
        for attempt in 0..if thorough { 4 } else { 1 } {
            match attempt {
                0 => self.u.copy_from_slice(&self.guess),
                1 if self.guess == self.declared => continue,
                1 => self.u.copy_from_slice(&self.declared),
                // A point without a slope (x·|x| at zero) is left by a small, stated push to either side.
                side => {
                    let push = if side == 2 { 1e-2 } else { -1e-2 };
                    for (u, (guess, weight)) in self.u.iter_mut().zip(self.guess.iter().zip(&self.weight)) {
                        *u = guess + push * weight.max(guess.abs());
                    }
                }
            }
            last = self.newton(machine, memory, host);
            if let Attempt::Solved = last {
                break;
            }
        }
        let outcome = match last {
            Attempt::Solved => {
                self.solved = true;
                Ok(())
            }
            Attempt::Failed { iterations, singular } => {
                let residuals = memory.space(Space::Res)[..self.u.len()].to_vec();
                let unknowns = self.u.clone();
                scatter(&self.runs, &self.guess, memory);
                Err(BlockFailure { block: self.id, iterations, singular, residuals, unknowns })
            }
        };
        self.restore(memory);
        outcome
    }

    /// Newton from `self.u`; ends with the unknowns in `self.u` and in their slots.
    fn newton(&mut self, machine: &dyn Machine, memory: &mut Memory, host: &mut dyn Host) -> Attempt {
        let n = self.u.len();
        let failed = |iterations, singular| Attempt::Failed { iterations, singular };
        if !self.residual(machine, memory, host, false) {
            return failed(0, false);
        }
        let mut before = f64::INFINITY;
        for iteration in 0..ITERATIONS {
            if !self.factor(machine, memory, host) {
                return failed(iteration, true);
            }
            for (step, r) in self.step.iter_mut().zip(memory.space(Space::Res)) {
                *step = -r;
            }
            self.matrix.solve(&mut self.step);
            let size = self.size(&self.step);
            if !size.is_finite() {
                return failed(iteration, true);
            }
            if size <= CLOSE || self.linear || (size <= ROUNDING && size >= 0.5 * before) {
                // The last correction in full; what is left then is rounding. Where it makes things worse
                // (rounding again), the point before it stays.
                self.trial.copy_from_slice(&self.u);
                for k in 0..n {
                    self.u[k] += self.step[k];
                }
                if !self.residual(machine, memory, host, false) {
                    self.u.copy_from_slice(&self.trial);
                    return if self.residual(machine, memory, host, false) {
                        Attempt::Solved
                    } else {
                        failed(iteration, false)
                    };
                }
                if self.linear && size > CLOSE {
                    // One step of refinement takes the rounding of a large first correction away.
                    for (step, r) in self.step.iter_mut().zip(memory.space(Space::Res)) {
                        *step = -r;
                    }
                    self.matrix.solve(&mut self.step);
                    if self.size(&self.step) <= size {
                        for k in 0..n {
                            self.u[k] += self.step[k];
                        }
                        if !self.residual(machine, memory, host, false) {
                            return failed(iteration, false);
                        }
                    }
                    self.factored = true;
                }
                return Attempt::Solved;
            }
            before = size;
            self.trial.copy_from_slice(&self.u);
            let (most, shortest) =
                if self.bounded { (self.bound(), SHORTEST_BOUNDED) } else { (1.0, SHORTEST) };
            let mut part = most;
            loop {
                for k in 0..n {
                    self.u[k] = self.trial[k] + part * self.step[k];
                }
                if self.residual(machine, memory, host, false) {
                    for (s, r) in self.simplified.iter_mut().zip(memory.space(Space::Res)) {
                        *s = -r;
                    }
                    self.matrix.solve(&mut self.simplified);
                    // What is left is measured as the correction was: where an unknown shrinks, a good step would seem to help little
                    // (Deuflhard 2004, section 3.3: the natural monotonicity test, with one scaling for both).
                    let next = size_of(&self.simplified, &self.trial, &self.weight);
                    if next <= (1.0 - 0.25 * part) * size || next <= CLOSE {
                        break;
                    }
                }
                part *= 0.5;
                if part < shortest * most {
                    self.u.copy_from_slice(&self.trial);
                    if size <= ROUNDING && self.residual(machine, memory, host, false) {
                        // No part of a correction this small helps: it is rounding.
                        return Attempt::Solved;
                    }
                    // The residuals of the report are those of the point that is given up.
                    self.residual(machine, memory, host, true);
                    return failed(iteration, false);
                }
            }
        }
        failed(ITERATIONS, false)
    }

    /// How much of the correction moves no unknown by more than [`BOUND`] times its size or its weight: far out, the
    /// tables and laws of components mean nothing, and other solutions lie there.
    fn bound(&self) -> f64 {
        let pairs = self.step.iter().zip(self.u.iter().zip(&self.weight));
        pairs.fold(1.0, |part: f64, (s, (u, w))| {
            let most = BOUND * u.abs().max(*w);
            if most > 0.0 && s.abs() > most { part.min(most / s.abs()) } else { part }
        })
    }

    /// Residuals at `self.u`, in `Res`; false when they are not finite or the kernel ended early. `any` lets
    /// values that are not finite pass.
    fn residual(&self, machine: &dyn Machine, memory: &mut Memory, host: &mut dyn Host, any: bool) -> bool {
        scatter(&self.runs, &self.u, memory);
        machine.run(KernelId::BlockResidual(self.id), memory, host).is_ok()
            && (any || memory.space(Space::Res)[..self.u.len()].iter().all(|r| r.is_finite()))
    }

    /// The Jacobian at the unknowns in their slots, factorised; false when singular. Keeps `Res`.
    fn factor(&mut self, machine: &dyn Machine, memory: &mut Memory, host: &mut dyn Host) -> bool {
        if self.assembly.has_kernel() {
            if machine.run(KernelId::BlockJacobian(self.id), memory, host).is_err() {
                return false;
            }
            self.assembly.collect(memory.space(Space::Jac), &mut self.values);
        } else {
            self.differences(machine, memory, host);
        }
        self.factored =
            self.values.iter().all(|v| v.is_finite()) && self.matrix.factor(0.0, 1.0, &self.values).is_ok();
        self.factored
    }

    /// The Jacobian by forward differences, for a block that has no kernel for it.
    fn differences(&mut self, machine: &dyn Machine, memory: &mut Memory, host: &mut dyn Host) {
        let n = self.u.len();
        self.simplified.copy_from_slice(&memory.space(Space::Res)[..n]);
        for j in 0..n {
            let kept = self.u[j];
            let e = f64::EPSILON.sqrt() * kept.abs().max(self.weight[j]).max(f64::MIN_POSITIVE);
            self.u[j] = kept + e;
            let e = self.u[j] - kept;
            self.residual(machine, memory, host, true);
            for i in 0..n {
                self.values[j * n + i] = (memory.space(Space::Res)[i] - self.simplified[i]) / e;
            }
            self.u[j] = kept;
        }
        scatter(&self.runs, &self.u, memory);
        memory.space_mut(Space::Res)[..n].copy_from_slice(&self.simplified);
    }

    /// The largest component in units of its unknown's weight.
    fn size(&self, step: &[f64]) -> f64 {
        size_of(step, &self.u, &self.weight)
    }

    /// The tangents of the unknowns and inner variables from all other tangents.
    pub(super) fn tangent(
        &mut self,
        machine: &dyn Machine,
        memory: &mut Memory,
        host: &mut dyn Host,
    ) -> Result<(), Trap> {
        self.save(memory);
        let outcome = self.tangent_inner(machine, memory, host);
        self.restore(memory);
        outcome
    }

    fn tangent_inner(
        &mut self,
        machine: &dyn Machine,
        memory: &mut Memory,
        host: &mut dyn Host,
    ) -> Result<(), Trap> {
        if !self.factored {
            gather(&self.runs, memory, &mut self.u);
            if !self.factor(machine, memory, host) {
                return Err(Trap::Block(self.id));
            }
        }
        self.step.fill(0.0);
        scatter_tangent(&self.slots, &self.step, memory);
        machine.run(KernelId::BlockTangent(self.id), memory, host)?;
        for (step, r) in self.step.iter_mut().zip(memory.space(Space::TRes)) {
            *step = -r;
        }
        self.matrix.solve(&mut self.step);
        scatter_tangent(&self.slots, &self.step, memory);
        machine.run(KernelId::BlockInnerTangent(self.id), memory, host)
    }

    /// Keeps what a kernel that is being run may have put into the scratch spaces that solving uses.
    fn save(&mut self, memory: &Memory) {
        let (n, entries) = (self.u.len(), self.assembly.entries());
        self.saved.clear();
        self.saved.extend_from_slice(&memory.space(Space::Res)[..n]);
        self.saved.extend_from_slice(&memory.space(Space::TRes)[..n]);
        self.saved.extend_from_slice(&memory.space(Space::Jac)[..entries]);
    }

    fn restore(&self, memory: &mut Memory) {
        let n = self.u.len();
        memory.space_mut(Space::Res)[..n].copy_from_slice(&self.saved[..n]);
        memory.space_mut(Space::TRes)[..n].copy_from_slice(&self.saved[n..2 * n]);
        memory.space_mut(Space::Jac)[..self.assembly.entries()].copy_from_slice(&self.saved[2 * n..]);
    }
}

/// The largest component in units of its unknown's size or weight.
fn size_of(step: &[f64], unknowns: &[f64], weight: &[f64]) -> f64 {
    let mut size: f64 = 0.0;
    for ((s, u), w) in step.iter().zip(unknowns).zip(weight) {
        let part = s.abs() / u.abs().max(1e-3 * w).max(f64::MIN_POSITIVE);
        // NaN must not get lost in a maximum.
        if part > size || part.is_nan() {
            size = part;
        }
        if size.is_nan() {
            break;
        }
    }
    size
}

fn gather(runs: &[SlotRun], memory: &Memory, out: &mut [f64]) {
    let mut at = 0;
    for run in runs {
        let (base, len) = (run.base as usize, run.len as usize);
        out[at..at + len].copy_from_slice(&memory.space(run.space)[base..base + len]);
        at += len;
    }
}

fn scatter(runs: &[SlotRun], values: &[f64], memory: &mut Memory) {
    let mut at = 0;
    for run in runs {
        let (base, len) = (run.base as usize, run.len as usize);
        memory.space_mut(run.space)[base..base + len].copy_from_slice(&values[at..at + len]);
        at += len;
    }
}

fn scatter_tangent(slots: &[(Space, usize)], values: &[f64], memory: &mut Memory) {
    for (&(space, slot), &value) in slots.iter().zip(values) {
        if let Some(tangent) = space.tangent() {
            memory.space_mut(tangent)[slot] = value;
        }
    }
}
