//! Forward sensitivities: how quantities follow parameters, by the variational equations.
//!
//! Beside `dx/dt = f(t, x, p)` each parameter `pⱼ` brings `dSⱼ/dt = ∂f/∂x·Sⱼ + ∂f/∂pⱼ` for `Sⱼ = ∂x/∂pⱼ`, whose right side is
//! the directional derivative of the right-hand side along `(Sⱼ, eⱼ)`, taken on the IR; quantities follow by the
//! directional derivative of the outputs kernel. All is integrated together. Implicit methods iterate with the
//! block diagonal of the whole Jacobian, which holds `∂f/∂x` once for each parameter ("simultaneous corrector", T. Maly
//! and L. R. Petzold, Appl. Numer. Math. 20 (1996) 57).
//!
//! What follows from parameters before the first step (formulas of parameters, start values, also those that initial
//! equations find) is differentiated by central differences of fourth order.
//!
//! Models with events, behaviour, actions, delays, noise or projections have no forward sensitivities here:
//! [`Forward::new`] says which.

use twinml_model::behavior::Behavior;
use twinml_model::defaults::Fill;
use twinml_model::host::{KernelId, Machine, Memory};
use twinml_model::ir::{Space, Trap};
use twinml_model::passes::Level;
use twinml_model::passes::derive::{Along, along_parameters};
use twinml_model::program::{Experiment, Program};
use twinml_solvers::error::SolveError;
use twinml_solvers::integrator::{self, Integrator, Method, Options, Tolerances};
use twinml_solvers::system::{EvalError, Pattern, System};

use super::follow::Way;
use super::machine::{MachineKind, machine};
use super::system::KernelSystem;
use super::{ATOL, RTOL};

/// Why a model has no forward sensitivities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSmooth {
    /// Comparisons or whole-number functions set off events.
    Events,
    /// Handlers, machines or populations.
    Behavior,
    /// The scenario acts on the model.
    Actions,
    /// `delay`.
    Delays,
    /// `white_noise()`.
    Noise,
    /// Equations among states alone, kept by projection.
    Projection,
    /// `else clamp`.
    Clamps,
    /// Nothing changes with time.
    NoStates,
}

impl NotSmooth {
    /// What it is called in messages.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            NotSmooth::Events => "events",
            NotSmooth::Behavior => "behaviour",
            NotSmooth::Actions => "scenario actions",
            NotSmooth::Delays => "delays",
            NotSmooth::Noise => "white noise",
            NotSmooth::Projection => "equations among states alone",
            NotSmooth::Clamps => "clamped quantities",
            NotSmooth::NoStates => "no states",
        }
    }
}

/// Why a trajectory could not be found.
#[derive(Clone, Debug, PartialEq)]
pub enum ForwardError {
    /// A kernel ended early at the start or at an accepted point.
    Trap(Trap),
    /// The solver gave up.
    Solver(SolveError),
}

impl std::fmt::Display for ForwardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ForwardError::Trap(_) => write!(f, "the model cannot be evaluated"),
            ForwardError::Solver(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for ForwardError {}

/// A slot that is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// `State`, `Var`, `Param`, `Input` or `Disc`.
    pub space: Space,
    /// Its slot.
    pub slot: u32,
}

/// Observed quantities at instants, in SI.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traced {
    /// By instant, by observed quantity.
    pub values: Vec<Vec<f64>>,
    /// By instant, by observed quantity, by parameter.
    pub slopes: Vec<Vec<Vec<f64>>>,
}

/// A model made ready for forward sensitivities. One for each thread.
pub struct Forward {
    program: Program,
    defaults: usize,
    machine: Box<dyn Machine>,
    rhs: KernelId,
    outputs: KernelId,
    method: Method,
    options: Options,
    end: f64,
}

/// Relative step of the differences at the start.
const STEP: f64 = 1e-3;

impl Forward {
    /// `program` is as the compiler made it. The solver is the experiment's where it is one of `tsit5`, `dopri5`,
    /// `adams`, `euler`, `rk4` and `bdf`, else `bdf`.
    ///
    /// # Errors
    ///
    /// What of the model is not smooth.
    pub fn new(program: &Program, experiment: &Experiment, kind: MachineKind) -> Result<Forward, NotSmooth> {
        let p = program;
        let checks = [
            (p.behavior != Behavior::default(), NotSmooth::Behavior),
            (!p.relations.is_empty(), NotSmooth::Events),
            (!experiment.actions.is_empty(), NotSmooth::Actions),
            (p.sizes.hist > 0, NotSmooth::Delays),
            (!p.noise.is_empty(), NotSmooth::Noise),
            (p.kept.is_some(), NotSmooth::Projection),
            (!p.clamps.is_empty(), NotSmooth::Clamps),
            (p.sizes.state == 0, NotSmooth::NoStates),
        ];
        if let Some((_, why)) = checks.into_iter().find(|(is, _)| *is) {
            return Err(why);
        }
        let mut program = program.clone();
        let Along { rhs, outputs } = along_parameters(&mut program, Level::O2);
        let mut machine = machine(&program, kind);
        let (rhs, outputs) = (machine.add(rhs), machine.add(outputs));
        let spec = &experiment.solver;
        let asked = Method::from_name(&spec.method);
        let able = [Method::Tsit5, Method::Dopri5, Method::Adams, Method::Euler, Method::Rk4, Method::Bdf];
        let method = asked.filter(|m| able.contains(m)).unwrap_or(Method::Bdf);
        let rtol = spec.rtol.unwrap_or(RTOL);
        let atol = spec.atol.unwrap_or(rtol * (ATOL / RTOL));
        let options = Options {
            tolerances: Tolerances::uniform(rtol, atol),
            h: spec.step.or_else(|| method.fixed_step().then(|| experiment.duration / 1000.0)),
            h_max: spec.max_step.unwrap_or(f64::INFINITY),
            max_steps: spec.max_steps.unwrap_or(1_000_000),
        };
        let defaults = program.defaults.param.0.len();
        let end = experiment.duration;
        Ok(Forward { program, defaults, machine, rhs, outputs, method, options, end })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The solver at work.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    fn set(&mut self, slots: &[u32], values: &[f64]) {
        let list = &mut self.program.defaults.param.0;
        list.truncate(self.defaults);
        list.extend(slots.iter().zip(values).map(|(&first, &value)| Fill {
            first,
            count: 1,
            step: 1,
            value,
        }));
    }

    /// Parameters, inputs and states at the start.
    fn start(&mut self, slots: &[u32], values: &[f64]) -> Result<[Vec<f64>; 3], Trap> {
        self.set(slots, values);
        let memory = Memory::new(&self.program);
        let mut sys = KernelSystem::new(&self.program, &*self.machine, memory);
        sys.memory.set_time(0.0);
        freeze(&mut sys, 0.0);
        sys.run(KernelId::Params)?;
        sys.run(KernelId::Initial)?;
        Ok([Space::Param, Space::Input, Space::State].map(|s| sys.memory.space(s).to_vec()))
    }

    /// Values of the observed quantities at `times` (rising, from 0 to the end of the run) where the parameters in
    /// `slots` have these `values`, and with `slopes` their derivatives by these parameters.
    ///
    /// # Errors
    ///
    /// [`ForwardError`].
    pub fn trace(
        &mut self,
        slots: &[u32],
        values: &[f64],
        observed: &[Observed],
        times: &[f64],
        slopes: bool,
    ) -> Result<Traced, ForwardError> {
        let count = if slopes { slots.len() } else { 0 };
        let [_, _, x0] = self.start(slots, values).map_err(ForwardError::Trap)?;
        let n = x0.len();
        let mut z = x0;
        let mut directions = Vec::with_capacity(count);
        for j in 0..count {
            let h = STEP * if values[j] == 0.0 { 1.0 } else { values[j].abs() };
            let mut at = |k: f64| {
                let mut moved = values.to_vec();
                moved[j] += k * h;
                self.start(slots, &moved).map_err(ForwardError::Trap)
            };
            let (a, b, c, d) = (at(-2.0)?, at(-1.0)?, at(1.0)?, at(2.0)?);
            let mut slope = [Vec::new(), Vec::new(), Vec::new()];
            for (s, slope) in slope.iter_mut().enumerate() {
                let of = |i: usize| ((a[s][i] - d[s][i]) + 8.0 * (c[s][i] - b[s][i])) / (12.0 * h);
                slope.extend((0..a[s].len()).map(of));
            }
            let [mut params, inputs, states] = slope;
            params[slots[j] as usize] = 1.0;
            z.extend(states);
            directions.push([params, inputs]);
        }
        self.set(slots, values);
        let mut sys = KernelSystem::new(&self.program, &*self.machine, Memory::new(&self.program));
        freeze(&mut sys, 0.0);
        sys.run(KernelId::Params).map_err(ForwardError::Trap)?;
        sys.run(KernelId::Initial).map_err(ForwardError::Trap)?;
        let memory = &sys.memory;
        sys.host.accept(memory);
        let (x0, until) = (memory.space(Space::State).to_vec(), next_kink(&sys, 0.0).min(self.end));
        sys.begin(0.0, &x0, until).map_err(ForwardError::Trap)?;
        let mut options = self.options.clone();
        let atol = options.tolerances.atol[0];
        // A sensitivity is as exact as the states are for a change of the parameter by its own size.
        let scale = |j: usize| if values[j] == 0.0 { 1.0 } else { values[j].abs() };
        options.tolerances.atol = std::iter::repeat_n(atol, n)
            .chain((0..count).flat_map(|j| std::iter::repeat_n(atol / scale(j), n)))
            .collect();
        let pattern = repeated(sys.pattern(), count + 1);
        let mut all = Variational { n, directions, rhs: self.rhs, outputs: self.outputs, pattern, sys };
        let mut integrator = integrator::make(self.method, &options).map_err(ForwardError::Solver)?;
        all.integrate(&mut *integrator, &z, observed, times, self.end)
    }
}

/// Moves tables of time to the piece that begins at `t`.
fn freeze(sys: &mut KernelSystem<'_>, t: f64) {
    for (k, table) in sys.program.tables.iter().enumerate() {
        if table.of_time {
            sys.host.tables[k].freeze(t);
        }
    }
}

/// The next kink of a table of time.
fn next_kink(sys: &KernelSystem<'_>, t: f64) -> f64 {
    let tables = sys.program.tables.iter().zip(&sys.host.tables);
    tables
        .filter(|(p, f)| p.of_time && f.has_kinks())
        .map(|(_, f)| f.next_kink(t))
        .fold(f64::INFINITY, f64::min)
}

/// The block diagonal of `times` copies.
fn repeated(p: &Pattern, times: usize) -> Pattern {
    let n = p.n();
    let entries = (0..times)
        .flat_map(|k| (0..n).flat_map(move |j| p.column(j).iter().map(move |i| (k * n + i, k * n + j))));
    // Rows and columns are those of a pattern.
    Pattern::from_entries(n * times, entries).unwrap_or_else(|_| Pattern::dense(n * times))
}

/// States and their sensitivities as one system.
struct Variational<'a> {
    n: usize,
    /// By parameter: the direction in `Param` and in `Input`.
    directions: Vec<[Vec<f64>; 2]>,
    rhs: KernelId,
    outputs: KernelId,
    pattern: Pattern,
    sys: KernelSystem<'a>,
}

impl Variational<'_> {
    /// Puts the point and the direction of parameter `j` into memory.
    fn aim(&mut self, t: f64, z: &[f64], j: usize) {
        let n = self.n;
        self.sys.set(t, &z[..n]);
        let memory = &mut self.sys.memory;
        memory.space_mut(Space::TTime)[0] = 0.0;
        let [params, inputs] = &self.directions[j];
        memory.space_mut(Space::TParam).copy_from_slice(params);
        memory.space_mut(Space::TInput).copy_from_slice(inputs);
        memory.space_mut(Space::TState).copy_from_slice(&z[(j + 1) * n..(j + 2) * n]);
    }

    fn integrate(
        &mut self,
        integrator: &mut dyn Integrator,
        z0: &[f64],
        observed: &[Observed],
        times: &[f64],
        end: f64,
    ) -> Result<Traced, ForwardError> {
        let mut out = Traced::default();
        let mut z = z0.to_vec();
        let mut next = 0;
        while next < times.len() && times[next] <= 0.0 {
            self.observe(0.0, &z, observed, &mut out)?;
            next += 1;
        }
        let end = times.last().copied().unwrap_or(0.0).min(end);
        if next == times.len() {
            return Ok(out);
        }
        let stop = next_kink(&self.sys, 0.0).min(end);
        integrator.start(self, 0.0, &z, stop).map_err(ForwardError::Solver)?;
        loop {
            integrator.step(self).map_err(ForwardError::Solver)?;
            let t = integrator.t();
            while next < times.len() && times[next] <= t {
                integrator.interpolate(times[next], &mut z);
                self.observe(times[next], &z, observed, &mut out)?;
                next += 1;
            }
            if next == times.len() || t >= end {
                return Ok(out);
            }
            self.sys.step_on(t, &integrator.x()[..self.n], &mut Way::Straight).map_err(ForwardError::Trap)?;
            let stop = next_kink(&self.sys, t).min(end);
            if t >= next_kink(&self.sys, integrator.t_prev()) {
                freeze(&mut self.sys, t);
                z.copy_from_slice(integrator.x());
                self.sys.begin(t, &z[..self.n], stop).map_err(ForwardError::Trap)?;
                integrator.restart(self, t, &z, stop).map_err(ForwardError::Solver)?;
            } else {
                integrator.set_stop(stop).map_err(ForwardError::Solver)?;
            }
        }
    }

    /// Adds a row.
    fn observe(
        &mut self,
        t: f64,
        z: &[f64],
        observed: &[Observed],
        out: &mut Traced,
    ) -> Result<(), ForwardError> {
        self.sys.set(t, &z[..self.n]);
        self.sys.run(KernelId::Outputs).map_err(ForwardError::Trap)?;
        let memory = &self.sys.memory;
        out.values.push(observed.iter().map(|o| memory.space(o.space)[o.slot as usize]).collect());
        let mut slopes = vec![vec![0.0; self.directions.len()]; observed.len()];
        for j in 0..self.directions.len() {
            self.aim(t, z, j);
            self.sys.run(self.outputs).map_err(ForwardError::Trap)?;
            for (row, o) in slopes.iter_mut().zip(observed) {
                row[j] = match o.space.tangent() {
                    Some(tangent) => self.sys.memory.space(tangent)[o.slot as usize],
                    None => 0.0,
                };
            }
        }
        out.slopes.push(slopes);
        Ok(())
    }
}

impl System for Variational<'_> {
    fn dim(&self) -> usize {
        self.n * (self.directions.len() + 1)
    }

    fn rhs(&mut self, t: f64, z: &[f64], dz: &mut [f64]) -> Result<(), EvalError> {
        let n = self.n;
        self.sys.rhs(t, &z[..n], &mut dz[..n])?;
        for j in 0..self.directions.len() {
            self.aim(t, z, j);
            self.sys.eval(self.rhs)?;
            dz[(j + 1) * n..(j + 2) * n].copy_from_slice(self.sys.memory.space(Space::TDer));
        }
        Ok(())
    }

    fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    fn jacobian(&mut self, t: f64, z: &[f64], values: &mut [f64]) -> Result<(), EvalError> {
        let one = values.len() / (self.directions.len() + 1);
        let (first, rest) = values.split_at_mut(one);
        self.sys.jacobian(t, &z[..self.n], first)?;
        rest.chunks_exact_mut(one.max(1)).for_each(|c| c.copy_from_slice(first));
        Ok(())
    }

    fn jvp(&mut self, t: f64, z: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        let n = self.n;
        for (v, out) in v.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            self.sys.jvp(t, &z[..n], v, out)?;
        }
        Ok(())
    }

    fn dfdt(&mut self, _: f64, _: &[f64], out: &mut [f64]) -> Result<(), EvalError> {
        // No method that is made here asks for it.
        out.fill(0.0);
        Ok(())
    }
}
