//! Algebraic blocks: `r(u) = 0` by Newton's method with a line search, and their tangents.
//!
//! Method: damped Newton with the natural monotonicity test of Deuflhard, "Newton Methods for Nonlinear Problems"
//! (2004), §3.3: a trial is good when the simplified correction there is shorter than the correction that led to it.
//! The test is invariant under scaling of the residuals; corrections are weighed by each unknown's size and nominal.
//! Shapes: `n` unknowns, `n` residuals, a sparse Jacobian of `entries` values that add up at equal places.
//! Convergence: quadratic; iterated until corrections are below 1e-10 of the unknowns' weights, then once more, so
//! that the answer hardly depends on where the iteration began. A block that is not linear has to stay on its branch
//! ([`super::branch`]) but at the start and behind events.
//! Failure: [`BlockFailure`] with the residuals, the values and the equations. Allocates only when made.

use twinml_model::host::{Host, KernelId, Machine, Memory};
use twinml_model::ids::BlockId;
use twinml_model::ir::{Space, Trap};
use twinml_model::passes::straight::Limits;
use twinml_model::program::{Block, SlotRun};
use twinml_solvers::linalg::IterationMatrix;

use super::branch::{Ahead, Branch, Came};
use super::sparse::Assembly;

/// Newton iterations before the block is given up.
const ITERATIONS: u32 = 50;
/// The same where it may lie anywhere: an exponential is come down from by one power of e each.
const ITERATIONS_ANYWHERE: u32 = 1000;
/// And on its branch: what is near takes a few.
const ITERATIONS_ONWARD: u32 = 10;
/// Corrections below this part of an unknown's weight end the iteration.
const CLOSE: f64 = 1e-10;
/// Corrections that no longer shrink are rounding when they are below this part.
const ROUNDING: f64 = 1e-7;
/// What a first correction may leave of itself on the way along a branch: half is the limit of Newton and Kantorovich.
const CONTRACTION: f64 = 0.5;
/// How far beside the place ahead a solution may lie, as part of what it moves or has lately moved.
const BESIDE: f64 = 0.1;
/// The same where the sign of the determinant speaks for it.
const ASIDE: f64 = 0.5;
/// By how much longer than the last movement it leads anywhere.
const REACH: f64 = 3.0;
/// How much farther than lately it may move.
const GROWTH: f64 = 3.0;
/// The same as part of an unknown's size.
const SPECK: f64 = 1e-4;
/// The same for blocks that are written out.
pub(super) const LIMITS: Limits = Limits {
    close: CLOSE,
    rounding: ROUNDING,
    contraction: CONTRACTION,
    beside: BESIDE,
    aside: ASIDE,
    reach: REACH,
    growth: GROWTH,
    speck: SPECK,
};
/// Residuals above this part of what a movement makes of them, where nearly nothing of a way is gone: something that the block
/// reads jumped.
const JUMPED: f64 = 1e-3;
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
    /// Whether it was solved, but not near where it was.
    pub far: bool,
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
    /// Iterations that are done now.
    iterations: u32,
    /// Whether it has been solved since [`BlockSolver::watch`].
    solved: bool,
    /// Whether Newton begins with what stands in the slots: guesses that formulas gave.
    from_slots: bool,
    /// How far beside the place ahead the last solution lay, as part of how far it may.
    beside: f64,
    slots: Vec<(Space, usize)>,
    runs: Vec<SlotRun>,
    assembly: Assembly,
    matrix: IterationMatrix,
    /// Where Newton begins: the unknowns at the last accepted point, and where they are heading to.
    branch: Branch,
    /// The same at the end of the last way that was followed, while one is.
    kept: Branch,
    /// The unknowns when the right-hand side was last evaluated, and the time of that.
    latest: Vec<f64>,
    latest_at: f64,
    /// The sign of the determinant behind the last jump of what the block reads, since it was last asked for; and as the right-hand
    /// side was last evaluated.
    turned: Option<f64>,
    latest_turned: Option<f64>,
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

/// Where a solution may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aim {
    /// Anywhere: at the start, and behind events.
    Any,
    /// Where Newton's method comes to from the last accepted point: within another block's iteration.
    Nearest,
    /// On the branch. `jumps`: or anywhere, where something that the block reads jumped.
    Ahead { clock: Clock, jumps: bool },
}

/// By what the way along a branch is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Clock {
    /// Time, in steps of the solver.
    Time,
    /// The part of a way that is being followed.
    Part(f64),
}

/// A point from which Newton begins.
struct Before {
    unknowns: Vec<f64>,
    residuals: Vec<f64>,
    derivatives: Vec<f64>,
}

/// How an attempt ended.
enum Attempt {
    Solved(Came),
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
        let weight: Vec<f64> = slots.iter().map(|&(space, slot)| nominal(space, slot).abs()).collect();
        let least = weight.iter().map(|w| (1e-3 * w).max(f64::MIN_POSITIVE)).collect();
        let branch = Branch::at(declared.clone(), least);
        BlockSolver {
            id,
            linear: block.linear,
            careful: block.careful,
            iterations: ITERATIONS,
            bounded: false,
            solved: false,
            from_slots: block.initial_only,
            weight,
            beside: 0.0,
            slots,
            runs: block.unknowns.clone(),
            matrix: IterationMatrix::new(assembly.pattern()),
            values: vec![0.0; assembly.pattern().nnz()],
            assembly,
            branch: branch.clone(),
            kept: branch,
            latest: declared.clone(),
            latest_at: 0.0,
            turned: None,
            latest_turned: None,
            declared,
            factored: false,
            u: vec![0.0; n],
            step: vec![0.0; n],
            simplified: vec![0.0; n],
            trial: vec![0.0; n],
            saved: Vec::new(),
        }
    }

    /// The point reached is accepted: Newton begins here from now on, and nothing is known of where the unknowns head to.
    pub(super) fn accept(&mut self, memory: &Memory) {
        gather(&self.runs, memory, &mut self.branch.guess);
        self.branch.begin(memory.time());
        self.branch.sign = if self.factored { self.matrix.sign() } else { 0.0 };
        self.latest.copy_from_slice(&self.branch.guess);
        self.latest_at = memory.time();
    }

    /// The right-hand side was evaluated.
    pub(super) fn note(&mut self, memory: &Memory) {
        gather(&self.runs, memory, &mut self.latest);
        (self.latest_at, self.latest_turned) = (memory.time(), self.turned);
    }

    /// When the right-hand side was last evaluated.
    pub(super) fn latest_at(&self) -> f64 {
        self.latest_at
    }

    /// The last step is accepted: Newton begins where its last evaluation found the unknowns.
    pub(super) fn step_on(&mut self) {
        self.branch.go_on(&self.latest, self.latest_at, &LIMITS);
        if let Some(sign) = self.latest_turned.take() {
            self.branch.sign = sign;
        }
    }

    /// The point reached is on the branch.
    pub(super) fn go_here(&mut self, memory: &Memory) {
        gather(&self.runs, memory, &mut self.u);
        self.branch.go_on(&self.u, memory.time(), &LIMITS);
        if let Some(sign) = self.turned {
            self.branch.sign = sign;
        }
    }

    /// The same, at this part of a way that is being followed.
    pub(super) fn go_on_by_part(&mut self, memory: &Memory, part: f64, first: bool) {
        gather(&self.runs, memory, &mut self.u);
        self.branch.go_on_by_part(&self.u, part, first);
    }

    /// What has just been found a little later says where the unknowns head to; false where it is not near.
    pub(super) fn head_to(&mut self, memory: &Memory) -> bool {
        gather(&self.runs, memory, &mut self.u);
        let span = memory.time() - self.branch.since;
        let pairs = self.u.iter().zip(&self.branch.guess).zip(&self.weight);
        let little = |((u, guess), w): ((&f64, &f64), &f64)| (u - guess).abs() <= 1e-3 * guess.abs().max(*w);
        let near = span > 0.0 && pairs.clone().all(little);
        if near {
            self.branch.head_to(&self.u, span);
        }
        near
    }

    /// Keeps the branch as it is, for [`BlockSolver::restore_branch`].
    pub(super) fn keep_branch(&mut self) {
        self.kept.copy_from(&self.branch);
    }

    /// Puts it back.
    pub(super) fn restore_branch(&mut self) {
        self.factored = false;
        self.branch.copy_from(&self.kept);
    }

    /// The branch.
    pub(super) fn branch(&self) -> &Branch {
        &self.branch
    }

    /// The same, to be changed.
    pub(super) fn branch_mut(&mut self) -> &mut Branch {
        self.factored = false;
        &mut self.branch
    }

    /// The last step's last evaluation was done elsewhere.
    pub(super) fn note_that(&mut self, unknowns: impl Iterator<Item = f64>, at: f64) {
        for (to, u) in self.latest.iter_mut().zip(unknowns) {
            *to = u;
        }
        (self.latest_at, self.latest_turned) = (at, None);
    }

    /// How far beside the place ahead its last solution lay, as part of how far it may: infinite where there was none.
    pub(super) fn beside(&self) -> f64 {
        self.beside
    }

    /// Whether it may have several solutions while time goes on.
    pub(super) fn bends(&self) -> bool {
        !self.linear && !self.from_slots
    }

    /// Whether it has been solved since [`BlockSolver::watch`].
    pub(super) fn solved(&self) -> bool {
        self.solved
    }

    /// Something that the block reads may have changed: the factors no longer fit.
    pub(super) fn forget(&mut self) {
        self.factored = false;
    }

    /// From here on it is noted whether it is solved.
    pub(super) fn watch(&mut self) {
        self.solved = false;
    }

    /// Whether corrections are bounded where Newton begins anew.
    pub(super) fn careful(&self) -> bool {
        self.careful
    }

    /// Finds the unknowns and leaves them in their slots.
    pub(super) fn solve(
        &mut self,
        machine: &dyn Machine,
        memory: &mut Memory,
        aim: Aim,
        host: &mut dyn Host,
    ) -> Result<(), BlockFailure> {
        self.factored = false;
        if self.from_slots {
            gather(&self.runs, memory, &mut self.branch.guess);
        }
        self.save(memory);
        // Within steps the point before is near, and lanes do the same operations.
        self.bounded = self.careful && aim == Aim::Any;
        self.iterations = match aim {
            Aim::Any => ITERATIONS_ANYWHERE,
            Aim::Ahead { .. } if self.bends() => ITERATIONS_ONWARD,
            _ => ITERATIONS,
        };
        let (last, far) = match aim {
            Aim::Any => (self.anywhere(machine, memory, host), false),
            Aim::Nearest => {
                self.u.copy_from_slice(&self.branch.guess);
                (self.newton(machine, memory, host), false)
            }
            Aim::Ahead { .. } if !self.bends() => {
                self.u.copy_from_slice(&self.branch.guess);
                (self.newton(machine, memory, host), false)
            }
            Aim::Ahead { clock, jumps } => self.onward(machine, memory, host, clock, jumps),
        };
        let outcome = match last {
            Attempt::Solved(_) if !far => {
                self.solved = true;
                Ok(())
            }
            Attempt::Solved(_) => Err((0, false)),
            Attempt::Failed { iterations, singular } => Err((iterations, singular)),
        };
        let outcome = outcome.map_err(|(iterations, singular)| {
            let residuals = memory.space(Space::Res)[..self.u.len()].to_vec();
            let unknowns = self.u.clone();
            scatter(&self.runs, &self.branch.guess, memory);
            BlockFailure { block: self.id, iterations, singular, far, residuals, unknowns }
        });
        self.restore(memory);
        outcome
    }

    /// By every means.
    fn anywhere(&mut self, machine: &dyn Machine, memory: &mut Memory, host: &mut dyn Host) -> Attempt {
        let mut last = Attempt::Failed { iterations: 0, singular: false };
        for attempt in 0..4 {
            match attempt {
                0 => self.u.copy_from_slice(&self.branch.guess),
                1 if self.branch.guess == self.declared => continue,
                1 => self.u.copy_from_slice(&self.declared),
                // A point without a slope (x·|x| at zero) is left by a small, stated push to either side.
                side => {
                    let push = if side == 2 { 1e-2 } else { -1e-2 };
                    let pairs = self.branch.guess.iter().zip(&self.weight);
                    for (u, (guess, weight)) in self.u.iter_mut().zip(pairs) {
                        *u = guess + push * weight.max(guess.abs());
                    }
                }
            }
            last = self.newton(machine, memory, host);
            if let Attempt::Solved(_) = last {
                break;
            }
        }
        last
    }

    /// The next point of the branch, and whether what was found is none.
    fn onward(
        &mut self,
        machine: &dyn Machine,
        memory: &mut Memory,
        host: &mut dyn Host,
        clock: Clock,
        jumps: bool,
    ) -> (Attempt, bool) {
        let ahead = match clock {
            Clock::Time => Ahead { by: memory.time() - self.branch.since, part: 1.0 },
            Clock::Part(part) => Ahead { by: part - self.branch.since, part: part - self.branch.since },
        };
        if clock == Clock::Time {
            self.turned = None;
        }
        let mut far = false;
        let mut last = Attempt::Failed { iterations: 0, singular: false };
        self.beside = f64::INFINITY;
        for attempt in 0..2 {
            match attempt {
                0 => self.branch.begin_at(ahead.by, &mut self.u),
                _ if ahead.by == 0.0 || !self.branch.heads() => break,
                _ => self.u.copy_from_slice(&self.branch.guess),
            }
            let before = if jumps { self.before(machine, memory, host) } else { None };
            last = self.newton(machine, memory, host);
            if let Attempt::Solved(came) = last {
                self.beside = self.branch.beside(&self.u, ahead, &LIMITS, came);
                far = self.beside > 1.0;
                if far && before.is_some_and(|b| self.jumped(&b)) {
                    far = false;
                    self.turned = Some(self.matrix.sign());
                    self.branch.sign = self.matrix.sign();
                }
                break;
            }
        }
        (last, far)
    }

    /// The residuals where Newton begins, and the derivatives there.
    fn before(&mut self, machine: &dyn Machine, memory: &mut Memory, host: &mut dyn Host) -> Option<Before> {
        if !self.residual(machine, memory, host, false) || !self.factor(machine, memory, host) {
            return None;
        }
        let residuals = memory.space(Space::Res)[..self.u.len()].to_vec();
        Some(Before { unknowns: self.u.clone(), residuals, derivatives: self.values.clone() })
    }

    /// Whether the residuals of before are not small beside what the movement from there to what was found makes of them.
    /// Where two solutions meet they are: there the derivatives are small, and the residuals smaller.
    fn jumped(&self, before: &Before) -> bool {
        let mut terms = vec![0.0; self.u.len()];
        let pattern = self.assembly.pattern();
        for column in 0..self.u.len() {
            let step = (self.u[column] - before.unknowns[column]).abs();
            let first = pattern.col_ptr()[column];
            for (at, row) in pattern.column(column).iter().enumerate() {
                terms[*row] += before.derivatives[first + at].abs() * step;
            }
        }
        before.residuals.iter().zip(&terms).any(|(r, terms)| r.abs() > JUMPED * terms)
    }

    /// Newton from `self.u`; ends with the unknowns in `self.u` and in their slots.
    fn newton(&mut self, machine: &dyn Machine, memory: &mut Memory, host: &mut dyn Host) -> Attempt {
        let n = self.u.len();
        let failed = |iterations, singular| Attempt::Failed { iterations, singular };
        if !self.residual(machine, memory, host, false) {
            return failed(0, false);
        }
        let mut before = f64::INFINITY;
        let mut came = Came { contracts: true, same: self.branch.sign != 0.0 };
        let most = self.iterations;
        for iteration in 0..most {
            if !self.factor(machine, memory, host) {
                return failed(iteration, true);
            }
            came.same &= self.matrix.sign() == self.branch.sign;
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
                        Attempt::Solved(came)
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
                return Attempt::Solved(came);
            }
            before = size;
            self.trial.copy_from_slice(&self.u);
            let (whole, shortest) =
                if self.bounded { (self.bound(), SHORTEST_BOUNDED) } else { (1.0, SHORTEST) };
            let mut part = whole;
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
                        came.contracts &= iteration > 0 || next <= CONTRACTION * size || next <= CLOSE;
                        break;
                    }
                }
                came.contracts = false;
                part *= 0.5;
                if part < shortest * whole {
                    self.u.copy_from_slice(&self.trial);
                    if size <= ROUNDING && self.residual(machine, memory, host, false) {
                        // No part of a correction this small helps: it is rounding.
                        return Attempt::Solved(came);
                    }
                    // The residuals of the report are those of the point that is given up.
                    self.residual(machine, memory, host, true);
                    return failed(iteration, false);
                }
            }
        }
        failed(most, false)
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
