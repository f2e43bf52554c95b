//! The kernels of a job's lanes, made once for all threads.

use std::sync::{Arc, OnceLock};

use twinml_jit::lanes::worthwhile;
use twinml_model::host::{Host, NoHost};
use twinml_model::ids::{BlockId, TableId};
use twinml_model::ir::Kernel;

use twinml_model::passes::dead::Traps;
use twinml_model::passes::linearize::STATES;
use twinml_model::passes::straight::UNKNOWNS;
use twinml_model::passes::{Level, simplified};
use twinml_solvers::lanes::seat::{SeatCode, Shape};

use super::super::table::TableFn;
use super::super::whole::written_out;
use super::count::Counts;
use super::*;

/// Kernels and shape of a job's lanes.
pub(super) struct Code {
    pub(super) seat: SeatCode,
    pub(super) program: Arc<Program>,
    /// A trial step of every lane.
    pub(super) step: Box<dyn LaneKernel>,
    /// What looks into steps.
    pub(super) look: Option<Look>,
    /// Tables whose pieces stand in slots of `Jac`, from which on.
    pub(super) tables: Vec<(usize, u32)>,
}

/// Why a program's steps cannot be written out.
fn unfit(program: &Program) -> NotLanes {
    let states = program.sizes.state;
    let largest = program.blocks.iter().filter(|b| !b.initial_only).map(|b| b.n).max().unwrap_or(0);
    match () {
        () if states as usize > STATES => NotLanes::States { limit: STATES },
        () if largest as usize > UNKNOWNS => NotLanes::Loop { unknowns: largest, limit: UNKNOWNS },
        () => NotLanes::NoStep,
    }
}

/// What became of it.
#[derive(Default)]
struct Written {
    /// Root functions and outputs that could not be written out.
    missing: [bool; 2],
    tables: Vec<(usize, u32)>,
}

/// Kernels that look into the last steps of all lanes.
pub(super) struct Look {
    pub(super) interpolate: Box<dyn LaneKernel>,
    /// Where root functions are looked at.
    pub(super) roots: Option<Box<dyn LaneKernel>>,
    /// Where requirements or figures are followed.
    pub(super) outputs: Option<Box<dyn LaneKernel>>,
}

/// What all threads of a job share: how its runs are computed side by side.
pub struct LaneShare {
    isa: Isa,
    lanes: usize,
    refused: Option<NotLanes>,
    pub(super) counts: Counts,
    code: OnceLock<Result<Code, NotLanes>>,
}

impl LaneShare {
    fn sharing(isa: Isa, lanes: usize) -> LaneShare {
        LaneShare { isa, lanes, refused: None, counts: Counts::default(), code: OnceLock::new() }
    }

    /// For runs of this program, `lanes` at a time on each thread.
    #[must_use]
    pub fn new(program: &Program, isa: Isa, lanes: usize) -> LaneShare {
        let refused = if program.sizes.hist > 0 { Some(NotLanes::Delay) } else { None };
        LaneShare { refused, ..LaneShare::sharing(isa, lanes.max(1)) }
    }

    /// Runs that go alone, one after the other.
    #[must_use]
    pub fn alone() -> LaneShare {
        LaneShare { refused: Some(NotLanes::Method), ..LaneShare::sharing(Isa::Block, 1) }
    }

    /// Runs at a time on each thread.
    pub(super) fn lanes(&self) -> usize {
        if self.why().is_some() { 1 } else { self.lanes }
    }

    /// How the steps are computed: `block`, `v128`, `avx2`, `avx512`. `None`: each run goes alone, or none has begun.
    #[must_use]
    pub fn level(&self) -> Option<&'static str> {
        self.code.get()?.as_ref().ok().map(|c| c.step.level())
    }

    /// Why runs go alone, where that is known.
    #[must_use]
    pub fn why(&self) -> Option<NotLanes> {
        self.refused.or_else(|| self.code.get().and_then(|c| c.as_ref().err().copied()))
    }

    /// Steps of the runs that are over.
    #[must_use]
    pub fn steps(&self) -> Steps {
        self.counts.steps()
    }

    /// The code, made by whoever comes first. `None` where runs go alone.
    pub(super) fn code(&self, run: &mut Run<'_>) -> Option<&Code> {
        if self.refused.is_some() {
            return None;
        }
        self.code.get_or_init(|| self.make(run)).as_ref().ok()
    }

    fn make(&self, run: &mut Run<'_>) -> Result<Code, NotLanes> {
        let program = run.system.program;
        let whole = run.looks_inside();
        if program.sizes.state == 0 {
            return Err(NotLanes::NoStates);
        }
        if run.system.host.follows_aside() {
            return Err(NotLanes::Aside);
        }
        let seat = run.integrator.seat().ok_or(NotLanes::Method)?;
        let whole = whole || seat.each();
        let shape = seat.shape();
        if matches!(shape, Shape::Rosenbrock(_)) && !run.system.has_rosenbrock() {
            // Its steps are not those of a kernel.
            return Err(unfit(run.system.program));
        }
        let noisy = matches!(shape, Shape::Milstein { .. });
        let with_derivatives;
        let program = match noisy.then(|| run.system.machine.directional()) {
            Some(Some(derived)) => {
                let Program { jvp, functions, .. } = derived;
                with_derivatives = Program { jvp, functions, ..program.clone() };
                &with_derivatives
            }
            _ => program,
        };
        let blocks = program.blocks.iter().any(|b| !b.initial_only);
        if noisy && blocks {
            return Err(NotLanes::Tangents);
        }
        let mut written = Written::default();
        let straightened;
        let mut guesses = None;
        let room = SeatCode::room(program, &shape, whole).ok_or_else(|| unfit(program))?;
        let program = if let Some(made) = written_out(program, room) {
            let made = made.ok_or_else(|| unfit(program))?;
            let [roots, outputs] = made.whole.map(|w| !w);
            // What a run alone computes without solving blocks is not worth solving them for.
            let slice = blocks && run.observer.as_ref().is_some_and(observe::Observer::is_slice);
            written = Written { missing: [roots, outputs || slice], tables: made.tables };
            guesses = made.guesses;
            straightened = made.program;
            &straightened
        } else {
            program
        };
        let seat = SeatCode::new(program, &shape, whole, guesses).ok_or_else(|| unfit(program))?;
        let program = Arc::new(seat.program.clone());
        let traps = Traps::of(&program);
        let mut sample = LaneMemory::zeroed(program.sizes, self.lanes);
        for lane in 0..sample.width() {
            sample.set(lane, &run.system.memory);
            if let Some(own) = run.integrator.seat() {
                let _ = own.put(&mut run.system, &seat, &mut sample, lane, f64::NEG_INFINITY);
            }
        }
        let ready =
            |kernel: &Kernel| worthwhile(&program, &simplified(kernel, Level::O2, &traps), self.isa, &sample);
        let step = ready(&seat.step)?;
        let followed = run.observer.as_ref().is_some_and(|o| !o.slots().is_empty());
        let interpolate = seat.interpolant.as_ref().and_then(|k| ready(k).ok());
        let look = interpolate.map(|interpolate| Look {
            interpolate,
            roots: Some(&program.roots)
                .filter(|_| program.sizes.root > 0 && !written.missing[0])
                .and_then(|k| ready(k).ok()),
            outputs: Some(&program.outputs)
                .filter(|_| followed && !written.missing[1])
                .and_then(|k| ready(k).ok()),
        });
        let look = look.filter(|l| l.roots.is_some() || l.outputs.is_some());
        Ok(Code { step, seat, program, look, tables: written.tables })
    }
}

/// Tables of a program, for kernels on lanes.
pub(super) struct Tables(Vec<TableFn>);

impl Tables {
    pub(super) fn of(program: &Program) -> Tables {
        Tables(program.tables.iter().map(TableFn::new).collect())
    }
}

impl Host for Tables {
    fn solve(&mut self, block: BlockId, memory: &mut Memory) -> Result<(), Trap> {
        NoHost.solve(block, memory)
    }

    fn solve_tangent(&mut self, block: BlockId, memory: &mut Memory) -> Result<(), Trap> {
        NoHost.solve_tangent(block, memory)
    }

    fn table(&mut self, table: TableId, x: f64, order: u8) -> Result<f64, Trap> {
        match self.0.get_mut(table.index()) {
            Some(function) => function.eval(x, order).ok_or(Trap::TableRange { table, x }),
            None => Err(Trap::TableRange { table, x }),
        }
    }

    fn delay(&mut self, slot: u32, tau: f64, memory: &Memory) -> f64 {
        NoHost.delay(slot, tau, memory)
    }
}
