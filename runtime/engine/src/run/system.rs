//! A program as the system that integrators see.

use crate::noise::Brownian;
use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use twinml_model::host::{KernelId, Machine, Memory};
use twinml_model::ids::OriginId;
use twinml_model::ir::{CmpOp, Kernel, Op, Region, Space, Stmt, Trap};
use twinml_model::passes::coloring::Coloring;
use twinml_model::passes::dead::Traps;
use twinml_model::passes::pattern::structural_pattern;
use twinml_model::passes::sparsity::Csc;
use twinml_model::passes::taylor::{self, Unfit};
use twinml_model::passes::{Level, simplified};
use twinml_model::program::{Program, RelationKind, Watch};
use twinml_solvers::roots::Watched;
use twinml_solvers::system::{EvalError, Outlook, Pattern, Rk4Grid, System};

use super::follow::{Base, Way};
use super::fused::{APART, Fused};
use super::glance::Glance;
use super::host::EngineHost;
use super::limits::Limits;
use super::sparse::Assembly;
use super::whole::Rosenbrock;

/// Part of the latest step over which differences in time are taken, where `delay` looks back.
const AHEAD: f64 = 1.0 / 4096.0;

/// A root function as a relation gives it.
#[derive(Clone, Copy, Debug)]
struct Root {
    slot: usize,
    /// `sign · value > 0` is one side.
    sign: f64,
    /// The frozen value that it watches over.
    disc: usize,
    /// The side on which that value is true; none for what is no comparison.
    holds: Option<bool>,
    /// It is positive inside of the cell of a whole number, which that value is.
    cell: bool,
}

/// A program with as much as its series needs, and a right-hand side that is as simple however far the program's was simplified.
fn with_simple_rhs(program: &Program) -> Program {
    let rhs = simplified(&program.rhs, Level::O2, &Traps::of(program));
    Program { rhs, ..program.clone() }
}

/// Taylor coefficients by a kernel of their own, made when a solver first asks for one.
#[derive(Clone, Debug)]
pub(super) struct Taylor {
    order: u32,
    kernel: KernelId,
    /// Whether the right-hand side is simplified before: `auto` decides by how much is left.
    simple: bool,
    made: Arc<OnceLock<Result<Coefficients, Unfit>>>,
    /// What is known of it before.
    outlook: Arc<OnceLock<Option<Outlook>>>,
}

/// Orders of recurrences that tell how long those of higher orders are.
const SKETCHED: u32 = 6;

#[derive(Clone, Copy, Debug)]
struct Coefficients {
    /// Slots of `Jac` that the kernel writes.
    room: u32,
    /// Operations of it.
    work: f64,
    /// Whether it is of one side of kinks only.
    kinks: bool,
}

impl Taylor {
    /// Keeps a place for the kernel of this order on the machine.
    pub(super) fn new(machine: &mut dyn Machine, order: u32, simple: bool) -> Taylor {
        Taylor { order, kernel: machine.reserve(), simple, made: Arc::default(), outlook: Arc::default() }
    }

    /// Makes the kernel where nobody has yet.
    pub(super) fn ready(&self, program: &Program, machine: &dyn Machine) -> Result<(), Unfit> {
        self.made(program, machine).map(|_| ())
    }

    fn outlook(&self, program: &Program) -> Option<Outlook> {
        *self.outlook.get_or_init(|| {
            taylor::room(program, self.order)?;
            let sketch = match self.simple {
                true => taylor::sketch(&with_simple_rhs(program), SKETCHED),
                false => taylor::sketch(program, SKETCHED),
            };
            let sketch = sketch.ok()?;
            let work = super::work::of_recurrences(program, &sketch, self.order);
            Some(Outlook { work, kinks: sketch.kinks })
        })
    }

    fn made(&self, program: &Program, machine: &dyn Machine) -> Result<Coefficients, Unfit> {
        let made = self.made.get_or_init(|| {
            let room = taylor::room(program, self.order).ok_or(Unfit::Large)?;
            let kernel = match self.simple {
                true => taylor::coefficients(&with_simple_rhs(program), self.order)?,
                false => taylor::coefficients(program, self.order)?,
            };
            let (work, kinks) = (super::work::of_kernel(program, &kernel), taylor::has_kinks(program));
            machine.fill(self.kernel, kernel);
            Ok(Coefficients { room, work, kinks })
        });
        *made
    }
}

/// Where the values of the Jacobian go, and where they come from.
struct Matrix {
    assembly: Assembly,
    colored: Option<Colored>,
}

impl Matrix {
    /// Of a program and of its derivatives, which may be the same.
    fn of(program: &Program, derived: &Program) -> Matrix {
        match (&derived.jacobian, &derived.jvp) {
            (Some(jacobian), _) => Matrix { assembly: Assembly::of(jacobian), colored: None },
            (None, Some(_)) => {
                let pattern = structural_pattern(program);
                let assembly = Assembly::patterned(&pattern);
                let coloring = Coloring::greedy(&pattern);
                Matrix { assembly, colored: Some(Colored { coloring, pattern }) }
            }
            (None, None) => Matrix { assembly: Assembly::dense(program.sizes.state as usize), colored: None },
        }
    }
}

/// Columns of the Jacobian that share a directional derivative, where there is no kernel for it (a right-hand
/// side that solves blocks).
struct Colored {
    pattern: Csc,
    coloring: Coloring,
}

/// What a directional derivative and what a Jacobian by its kernel take beside the right-hand side.
const DIRECTION: f64 = 1.2;
const KERNEL: f64 = 1.5;

/// Kernels, memory and host of one run.
pub(super) struct KernelSystem<'a> {
    pub(super) program: &'a Program,
    pub(super) machine: &'a dyn Machine,
    pub(super) memory: Memory,
    pub(super) host: EngineHost<'a>,
    /// Why the last evaluation ended early.
    pub(super) trap: Option<Trap>,
    states: usize,
    state_at: usize,
    der_at: usize,
    /// Made when a solver first asks for it.
    matrix: OnceCell<Matrix>,
    roots: Vec<Root>,
    autonomous: bool,
    /// The right-hand side reads a delay.
    looks_back: bool,
    /// Root functions read no states.
    roots_of_time: bool,
    work: f64,
    /// What an evaluation of the right-hand side takes, in about nanoseconds: counted.
    takes: f64,
    limits: Limits,
    /// Kernels of several Runge–Kutta steps, the longest first, with the grid they are made for.
    pub(super) fused: Option<Fused>,
    /// The Brownian paths of the program's noise, and where the noise stands in memory.
    brownian: Option<Brownian>,
    noise_at: Vec<usize>,
    /// The kernel of Taylor coefficients.
    pub(super) taylor: Option<Taylor>,
    /// The kernel of Rosenbrock steps.
    pub(super) rosenbrock: Option<Rosenbrock>,
    /// Scratch for differences where a program has no derivatives.
    scratch: Vec<f64>,
    /// What is known of the last step.
    pub(super) glance: Glance,
    /// The last accepted point, from which loops follow their branches.
    pub(super) base: Base,
}

impl<'a> KernelSystem<'a> {
    pub(super) fn new(program: &'a Program, machine: &'a dyn Machine, memory: Memory) -> KernelSystem<'a> {
        let host = EngineHost::new(program, machine, &memory);
        let states = program.sizes.state as usize;
        let mut roots = Vec::with_capacity(program.sizes.root as usize);
        for relation in &program.relations {
            for k in 0..relation.len as usize {
                let (slot, disc) = (relation.root as usize + k, relation.disc as usize + k);
                let cell = matches!(relation.kind, RelationKind::Step);
                let mut push = |sign, holds| roots.push(Root { slot, sign, disc, holds, cell });
                match relation.kind {
                    // The root finder's sides are "above zero" and "not above zero". `a >= b` and `a < b` change
                    // truth between "below" and "not below", so these two look at `b - a`.
                    RelationKind::Compare(CmpOp::Ge) => push(-1.0, Some(false)),
                    RelationKind::Compare(CmpOp::Lt) => push(-1.0, Some(true)),
                    RelationKind::Compare(CmpOp::Gt) => push(1.0, Some(true)),
                    RelationKind::Compare(CmpOp::Le) => push(1.0, Some(false)),
                    RelationKind::Compare(_) => push(1.0, None),
                    RelationKind::Step => push(1.0, None),
                }
            }
        }
        for range in &program.ranges {
            if let Watch::Root(slot) = range.watch {
                let root = |k| Root {
                    slot: slot as usize + k,
                    sign: 1.0,
                    disc: usize::MAX,
                    holds: None,
                    cell: false,
                };
                roots.extend((0..range.len as usize).map(root));
            }
        }
        KernelSystem {
            states,
            state_at: program.sizes.offset(Space::State),
            der_at: program.sizes.offset(Space::Der),
            work: super::work::of_rhs(program),
            takes: super::work::nanoseconds_of_rhs(program),
            limits: Limits::of(program),
            autonomous: is_autonomous(program),
            looks_back: looks_back(program),
            roots_of_time: reads_no_states(&program.roots),
            fused: None,
            brownian: None,
            noise_at: Vec::new(),
            taylor: None,
            rosenbrock: None,
            scratch: Vec::new(),
            glance: Glance::default(),
            base: Base::default(),
            trap: None,
            program,
            machine,
            memory,
            host,
            matrix: OnceCell::new(),
            roots,
        }
    }

    /// Gives the program's noise its paths.
    pub(super) fn drive(&mut self, seed: u64, run: u32) {
        let all = || self.program.noise.iter().flat_map(|n| (0..n.len).map(move |j| (n, j)));
        let first = self.program.sizes.offset(Space::Input);
        self.noise_at = all().map(|(n, j)| first + (n.input + j) as usize).collect();
        self.brownian = Some(Brownian::new(seed, run, all().map(|(n, j)| n.element_path(j))));
    }

    /// Puts noise into memory.
    fn set_noise(&mut self, noise: &[f64]) {
        let data = self.memory.data_mut();
        for (at, n) in self.noise_at.iter().zip(noise) {
            data[*at] = *n;
        }
    }

    /// Takes it away: what is not integrated reads none.
    fn calm(&mut self) {
        let data = self.memory.data_mut();
        for at in &self.noise_at {
            data[*at] = 0.0;
        }
    }

    /// Runs a kernel as everything stands; the trap, if any, is kept for the report.
    pub(super) fn run(&mut self, kernel: KernelId) -> Result<(), Trap> {
        self.run_along(kernel, &mut Way::Straight)
    }

    /// The same; loops that have to be followed go this way.
    pub(super) fn run_along(&mut self, kernel: KernelId, way: &mut Way<'_>) -> Result<(), Trap> {
        let mut outcome = self.machine.run(kernel, &mut self.memory, &mut self.host);
        if let Err(Trap::Block(_)) = outcome
            && self.follows()
        {
            outcome = self.follow(kernel, way);
        }
        if let Err(trap) = outcome {
            self.trap = Some(trap);
        }
        outcome
    }

    /// The program that the right-hand side's derivatives belong to.
    fn derived(&self) -> &Program {
        self.machine.derived().unwrap_or(self.program)
    }

    fn matrix(&self) -> &Matrix {
        self.matrix.get_or_init(|| Matrix::of(self.program, self.derived()))
    }

    /// Puts a point into memory.
    pub(super) fn set(&mut self, t: f64, x: &[f64]) {
        self.memory.set_time(t);
        self.memory.space_mut(Space::State).copy_from_slice(x);
        self.host.new_point();
    }

    /// Puts a point into memory, states that are beyond limits on these.
    pub(super) fn put(&mut self, t: f64, x: &[f64]) {
        self.set(t, x);
        self.limits.put(&mut self.memory, x);
    }

    /// Runs a kernel for an integrator.
    pub(super) fn eval(&mut self, kernel: KernelId) -> Result<(), EvalError> {
        let outcome = self.run(kernel);
        outcome.map_err(|trap| match trap {
            Trap::Block(block) => EvalError::Recoverable {
                index: block.index(),
                residual: self.host.failure.as_ref().map_or(f64::NAN, |f| {
                    f.residuals.iter().fold(0.0, |most: f64, r| if r.abs() > most { r.abs() } else { most })
                }),
            },
            Trap::TableRange { table, x } => EvalError::Recoverable { index: table.index(), residual: x },
            Trap::IndexOutOfRange { index, .. } => {
                EvalError::Recoverable { index: 0, residual: index as f64 }
            }
        })
    }

    /// Whether there is code that keeps the states after each of some steps.
    pub(super) fn keeps_steps(&self) -> bool {
        self.fused.as_ref().is_some_and(Fused::keeps)
    }

    /// The steps that were kept: the values of the first state after each of them, as many slots on those of the next.
    pub(super) fn kept(&self) -> (&[f64], usize) {
        (self.memory.space(Space::Jac), APART)
    }

    /// Puts the states after one of the steps that were kept into memory, where they are at `t`.
    pub(super) fn go_to_kept(&mut self, step: u32, t: f64) {
        let from = self.memory.sizes().offset(Space::Jac) + step as usize;
        let (to, data) = (self.state_at, self.memory.data_mut());
        for state in 0..self.states {
            data[to + state] = data[from + state * APART];
        }
        self.memory.set_time(t);
    }

    /// Puts states that are beyond a limit at which they are held onto it, in memory and in `x`.
    pub(super) fn hold(&mut self, x: &mut [f64]) {
        if self.limits.any(&self.memory, x) {
            self.limits.put(&mut self.memory, x);
            x.copy_from_slice(self.memory.space(Space::State));
        }
    }

    /// Whether there is code for whole steps of a Rosenbrock method; it is made where nobody has asked for it.
    pub(super) fn has_rosenbrock(&self) -> bool {
        self.rosenbrock.as_ref().is_some_and(|r| r.kernel(self.program, self.machine).is_some())
    }

    /// Whether states are held at limits.
    pub(super) fn held(&self) -> bool {
        !self.limits.is_empty()
    }

    /// Whether the root function of any relation is exactly zero as they were last evaluated.
    pub(super) fn on_edge(&self) -> bool {
        let relations = self.program.relations.iter();
        let of = |r: &twinml_model::program::Relation| r.root as usize..(r.root + r.len) as usize;
        let values = self.memory.space(Space::Root);
        relations.map(of).any(|slots| values[slots].contains(&0.0))
    }

    /// Whether root function `index` is of the cell of a whole number.
    pub(super) fn is_cell(&self, index: usize) -> bool {
        self.roots[index].cell
    }

    /// What root function `index` watches over, as it stands.
    pub(super) fn watched(&self, index: usize) -> Watched {
        let Root { disc, holds, cell, .. } = self.roots[index];
        match holds {
            _ if cell => Watched::Cell(1.0 + self.memory.space(Space::Disc)[disc].abs()),
            Some(side) => Watched::Comparison((self.memory.space(Space::Disc)[disc] != 0.0) == side),
            None => Watched::Nothing,
        }
    }

    /// The frozen value that root function `index` watches over.
    pub(super) fn frozen(&self, index: usize) -> usize {
        self.roots[index].disc
    }
}

impl System for KernelSystem<'_> {
    fn dim(&self) -> usize {
        self.states
    }

    fn rhs(&mut self, t: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        let data = self.memory.data_mut();
        data[0] = t;
        data[self.state_at..self.state_at + self.states].copy_from_slice(x);
        self.limits.put(&mut self.memory, x);
        self.eval(KernelId::Rhs)?;
        self.host.note(&self.memory);
        dx.copy_from_slice(&self.memory.data()[self.der_at..self.der_at + self.states]);
        Ok(())
    }

    fn work(&self) -> f64 {
        self.work
    }

    fn takes(&self) -> f64 {
        self.takes
    }

    fn jacobian_takes(&self) -> f64 {
        match &self.matrix().colored {
            Some(colored) => DIRECTION * f64::from(colored.coloring.count) * self.takes,
            None => KERNEL * self.takes,
        }
    }

    fn pattern(&self) -> &Pattern {
        self.matrix().assembly.pattern()
    }

    fn jacobian(&mut self, t: f64, x: &[f64], values: &mut [f64]) -> Result<(), EvalError> {
        if self.matrix().assembly.has_kernel() {
            self.set(t, x);
            self.limits.put(&mut self.memory, x);
            self.eval(KernelId::Jacobian)?;
            self.matrix().assembly.collect(self.memory.space(Space::Jac), values);
            if self.limits.any(&self.memory, x) {
                // Beyond a limit nothing depends on the state any more; on it the derivative may be infinite.
                let pattern = self.matrix().assembly.pattern();
                for state in self.limits.states(&self.memory, x) {
                    let column = pattern.col_ptr()[state]..pattern.col_ptr()[state + 1];
                    values[column].fill(0.0);
                }
            }
            return Ok(());
        }
        let n = self.states;
        // Taken out while it is used.
        if let Some(matrix) = self.matrix.take() {
            let outcome = matrix.colored.as_ref().map(|colored| self.by_colors(colored, t, x, values));
            let _ = self.matrix.set(matrix);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
        let mut unit = vec![0.0; n];
        for j in 0..n {
            unit[j] = 1.0;
            self.jvp(t, x, &unit, &mut values[j * n..(j + 1) * n])?;
            unit[j] = 0.0;
        }
        Ok(())
    }

    fn jvp(&mut self, t: f64, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        if self.derived().jvp.is_some() && !self.limits.any(&self.memory, x) {
            self.set(t, x);
            self.seed(0.0);
            self.memory.space_mut(Space::TState).copy_from_slice(v);
            self.eval(KernelId::Jvp)?;
            out.copy_from_slice(self.memory.space(Space::TDer));
            return Ok(());
        }
        // A state at its limit, or a hand-made program without derivatives: forward differences.
        let size = v.iter().zip(x).fold(0.0, |most: f64, (v, x)| most.max(v.abs() / x.abs().max(1.0)));
        let e = f64::EPSILON.sqrt() / size.max(f64::MIN_POSITIVE);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend(x.iter().zip(v).map(|(x, v)| x + e * v));
        let outcome = self.rhs(t, &scratch, out);
        let base = outcome.and_then(|()| self.rhs(t, x, &mut scratch));
        for (o, b) in out.iter_mut().zip(&scratch) {
            *o = (*o - b) / e;
        }
        self.scratch = scratch;
        base
    }

    fn autonomous(&self) -> bool {
        self.autonomous
    }

    fn dfdt(&mut self, t: f64, x: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        // where there is nothing ahead (the end of a table) the past stands still
        let latest = self.host.history.latest();
        if latest.is_some_and(|span| self.ahead(t, x, AHEAD * span, out).is_ok()) {
            return Ok(());
        }
        if self.derived().jvp.is_some() {
            self.set(t, x);
            self.seed(1.0);
            self.eval(KernelId::Jvp)?;
            out.copy_from_slice(self.memory.space(Space::TDer));
            return Ok(());
        }
        let e = f64::EPSILON.sqrt() * t.abs().max(1e-3);
        let mut scratch = vec![0.0; self.states];
        self.rhs(t + e, x, out)?;
        self.rhs(t, x, &mut scratch)?;
        for (o, b) in out.iter_mut().zip(&scratch) {
            *o = (*o - b) / e;
        }
        Ok(())
    }

    fn rk4(&mut self, grid: Rk4Grid, steps: u64, x: &mut [f64]) -> Option<Result<(), EvalError>> {
        // Taken out while it is used.
        let fused = self.fused.take()?;
        let done = fused.is_on(&grid).then(|| {
            let states = self.state_at..self.state_at + self.states;
            self.memory.data_mut()[states.clone()].copy_from_slice(x);
            self.memory.space_mut(Space::TTime)[0] = grid.n as f64;
            for kernel in fused.many(self.machine, steps) {
                self.eval(kernel)?;
            }
            x.copy_from_slice(&self.memory.data()[states]);
            Ok(())
        });
        self.fused = Some(fused);
        done
    }

    fn rk4_kept(&mut self, grid: Rk4Grid, steps: u64, x: &mut [f64]) -> Option<Result<(), EvalError>> {
        let kernel = self.fused.as_ref().filter(|f| f.is_on(&grid))?.kept(self.machine, steps)?;
        // As many as a kernel's states are, so few slots.
        self.memory.make_room((self.states * APART) as u32);
        let states = self.state_at..self.state_at + self.states;
        self.memory.data_mut()[states.clone()].copy_from_slice(x);
        self.memory.space_mut(Space::TTime)[0] = grid.n as f64;
        let done = self.eval(kernel);
        x.copy_from_slice(&self.memory.data()[states]);
        Some(done)
    }

    fn n_noise(&self) -> usize {
        self.noise_at.len()
    }

    fn brownian(&mut self, t: f64, w: &mut [f64]) {
        match &mut self.brownian {
            Some(paths) => paths.at(t, w),
            None => w.fill(0.0),
        }
    }

    fn on_limit(&self, x: &[f64]) -> bool {
        self.limits.any(&self.memory, x)
    }

    fn rhs_driven(&mut self, t: f64, x: &[f64], noise: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        self.set_noise(noise);
        let outcome = self.rhs(t, x, dx);
        self.calm();
        outcome
    }

    fn jvp_driven(
        &mut self,
        t: f64,
        x: &[f64],
        noise: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), EvalError> {
        self.set_noise(noise);
        let outcome = self.jvp(t, x, v, out);
        self.calm();
        outcome
    }

    fn taylor(&mut self, t: f64, x: &[f64], order: u32, c: &mut [f64]) -> Option<Result<(), EvalError>> {
        let taylor = self.taylor.as_ref().filter(|t| t.order == order)?;
        let (kernel, made) = (taylor.kernel, taylor.made(self.program, self.machine).ok()?);
        self.memory.make_room(made.room);
        self.set(t, x);
        Some(self.eval(kernel).map(|()| {
            for (c, &v) in c.iter_mut().zip(self.memory.space(Space::Jac)) {
                *c = v;
            }
        }))
    }

    fn taylor_work(&mut self, order: u32) -> Option<f64> {
        let taylor = self.taylor.as_ref().filter(|t| t.order == order)?;
        taylor.made(self.program, self.machine).ok().map(|made| made.work)
    }

    fn taylor_outlook(&mut self, order: u32) -> Option<Outlook> {
        self.taylor.as_ref().filter(|t| t.order == order)?.outlook(self.program)
    }

    fn expect_taylor(&mut self, order: u32, times: u64) {
        if let Some(taylor) = self.taylor.as_ref().filter(|t| t.order == order) {
            self.machine.expect(taylor.kernel, times);
        }
    }

    fn looks_back(&self) -> bool {
        self.looks_back
    }

    fn kinks(&self) -> bool {
        self.taylor
            .as_ref()
            .is_some_and(|taylor| taylor.made(self.program, self.machine).is_ok_and(|made| made.kinks))
    }

    fn rosenbrock(
        &mut self,
        (t, h, t1): (f64, f64, f64),
        x: &[f64],
        out: &mut [f64],
    ) -> Option<Result<bool, EvalError>> {
        // Taken out while it is used.
        let rosenbrock = self.rosenbrock.take()?;
        let done = self.rosenbrock_by(&rosenbrock, (t, h, t1), x, out);
        self.rosenbrock = Some(rosenbrock);
        done
    }

    fn n_roots(&self) -> usize {
        self.roots.len()
    }

    fn roots_of_time(&self) -> bool {
        self.roots_of_time
    }

    fn roots_known(&mut self, t: f64, g: &mut [f64]) -> bool {
        let Some(values) = self.glance.roots(t) else { return false };
        for (g, root) in g.iter_mut().zip(&self.roots) {
            *g = root.sign * values[root.slot];
        }
        true
    }

    fn roots(&mut self, t: f64, x: &[f64], g: &mut [f64]) -> Result<(), EvalError> {
        self.set(t, x);
        self.eval(KernelId::Roots)?;
        let values = self.memory.space(Space::Root);
        for (g, root) in g.iter_mut().zip(&self.roots) {
            *g = root.sign * values[root.slot];
        }
        // Beyond a limit others may have no value; they are what they are on it.
        if g.iter().any(|g| g.is_nan()) && self.limits.any(&self.memory, x) {
            self.limits.put(&mut self.memory, x);
            self.eval(KernelId::Roots)?;
            let values = self.memory.space(Space::Root);
            for (g, root) in g.iter_mut().zip(&self.roots).filter(|(g, _)| g.is_nan()) {
                *g = root.sign * values[root.slot];
            }
            self.set(t, x);
        }
        Ok(())
    }
}

impl KernelSystem<'_> {
    /// The Jacobian from one directional derivative a colour.
    fn by_colors(
        &mut self,
        colored: &Colored,
        t: f64,
        x: &[f64],
        values: &mut [f64],
    ) -> Result<(), EvalError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(2 * self.states, 0.0);
        let (direction, product) = scratch.split_at_mut(self.states);
        let mut outcome = Ok(());
        for color in 0..colored.coloring.count {
            colored.coloring.seed(color, direction);
            outcome = self.jvp(t, x, direction, product);
            if outcome.is_err() {
                break;
            }
            colored.coloring.gather(color, &colored.pattern, product, values);
        }
        self.scratch = scratch;
        outcome
    }

    /// `∂f/∂t` by evaluations at `t`, `t + e` and `t + 2·e`: to kernels of derivatives the past is a constant, and what `delay` looks
    /// back at moves on with time. From `t` on only, for what was behind may have had a kink there.
    fn ahead(&mut self, t: f64, x: &[f64], e: f64, out: &mut [f64]) -> Result<(), EvalError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(x.len(), 0.0);
        let mut outcome = self.rhs(t, x, out);
        out.iter_mut().for_each(|o| *o *= -3.0);
        for (t, weight) in [(t + e, 4.0), (t + 2.0 * e, -1.0)] {
            outcome = outcome.and_then(|()| self.rhs(t, x, &mut scratch));
            for (o, f) in out.iter_mut().zip(&scratch) {
                *o += weight * f;
            }
        }
        out.iter_mut().for_each(|o| *o /= 2.0 * e);
        self.scratch = scratch;
        outcome
    }

    /// All tangents zero but that of time.
    fn seed(&mut self, time: f64) {
        for space in [Space::TState, Space::TParam, Space::TInput] {
            self.memory.space_mut(space).fill(0.0);
        }
        self.memory.space_mut(Space::TTime)[0] = time;
    }
}

/// Whether the right-hand side reads a delay.
fn looks_back(program: &Program) -> bool {
    let delays = |k: &Kernel| k.values.iter().any(|value| matches!(value.op, Op::Delay { .. }));
    delays(&program.rhs) || program.blocks.iter().any(|b| !b.initial_only && delays(&b.residual))
}

/// Whether the right-hand side depends on time only through states: then nothing in it or in the blocks that it
/// solves loads `Time` or looks back.
fn is_autonomous(program: &Program) -> bool {
    let free = |kernel: &Kernel| {
        kernel.values.iter().all(|value| match &value.op {
            Op::Load(place) | Op::LoadAt { place, .. } => place.space != Space::Time,
            Op::Delay { .. } => false,
            _ => true,
        })
    };
    free(&program.rhs) && program.blocks.iter().filter(|b| !b.initial_only).all(|b| free(&b.residual))
}

/// Whether a kernel gives the same at a time whatever the states are.
fn reads_no_states(kernel: &Kernel) -> bool {
    fn solves(region: &Region) -> bool {
        region.iter().any(|s| match s {
            Stmt::Solve(_) | Stmt::SolveTangent(_) => true,
            Stmt::For(l) => solves(&l.body),
            Stmt::If(i) => solves(&i.then) || solves(&i.otherwise),
            _ => false,
        })
    }
    let fixed = |s: Space| matches!(s, Space::Time | Space::Param | Space::Input | Space::Disc);
    kernel.values.iter().all(|value| match &value.op {
        Op::Load(place) | Op::LoadAt { place, .. } => fixed(place.space),
        Op::Delay { .. } => false,
        _ => true,
    }) && !solves(&kernel.body)
}

/// Of these slots of `space` the one that is written first, with the origin of that store.
pub(super) fn first_stored(body: &Region, space: Space, slots: &[usize]) -> Option<(usize, OriginId)> {
    type Found = Option<(usize, OriginId)>;
    fn walk(region: &Region, at: &mut Vec<(u32, i64, i64)>, space: Space, slots: &[usize]) -> Found {
        for stmt in region {
            let found = match stmt {
                Stmt::Store { place, origin, .. } if place.space == space => {
                    let covered = slots.iter().find(|s| covers(place, at, **s as i64));
                    covered.map(|slot| (*slot, *origin))
                }
                Stmt::For(f) => {
                    at.push((f.index.0, f.lo, f.hi));
                    let found = walk(&f.body, at, space, slots);
                    at.pop();
                    found
                }
                Stmt::If(i) => {
                    walk(&i.then, at, space, slots).or_else(|| walk(&i.otherwise, at, space, slots))
                }
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
    /// Whether an address within these loops reaches the slot.
    fn covers(place: &twinml_model::ir::Place, loops: &[(u32, i64, i64)], slot: i64) -> bool {
        // Strides of nested loops are lengths of what is within: greedy division from the largest stride decides
        // every address that the compiler makes.
        let mut terms: Vec<(i64, i64, i64)> = place
            .at
            .terms
            .iter()
            .filter_map(|(index, stride)| {
                loops.iter().find(|l| l.0 == index.0).map(|&(_, lo, hi)| (*stride, lo, hi))
            })
            .collect();
        terms.sort_by_key(|(stride, ..)| std::cmp::Reverse(stride.abs()));
        let mut rest = slot - place.at.base;
        for (k, &(stride, lo, hi)) in terms.iter().enumerate() {
            if stride == 0 || hi <= lo {
                return false;
            }
            let least: i64 = terms[k + 1..].iter().map(|&(s, lo, hi)| (s * lo).min(s * (hi - 1))).sum();
            let i = (rest - least).div_euclid(stride).clamp(lo, hi - 1);
            rest -= stride * i;
        }
        rest == 0
    }
    walk(body, &mut Vec::new(), space, slots)
}

/// Where the equation of something stands: the origin of the store that writes `slot` of `space`.
pub(super) fn origin_of(program: &Program, space: Space, slot: usize) -> Option<OriginId> {
    if let Some((_, origin)) = first_stored(&program.rhs.body, space, &[slot]) {
        return Some(origin);
    }
    // An unknown of a block: the residual of the same number.
    program.blocks.iter().find_map(|block| {
        let mut before = 0;
        for run in &block.unknowns {
            let (base, len) = (run.base as usize, run.len as usize);
            if run.space == space && (base..base + len).contains(&slot) {
                let residual = (before + slot - base) as u32;
                return block.origins.iter().rev().find(|(first, _)| *first <= residual).map(|(_, o)| *o);
            }
            before += len;
        }
        None
    })
}
