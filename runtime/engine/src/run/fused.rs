//! Runge–Kutta steps by kernels of their own: many at a time, with the states in registers from one to the next.

use std::sync::{Arc, OnceLock};

use twinml_model::host::{KernelId, Machine};
use twinml_model::ir::Kernel;
use twinml_model::passes::rk4::Steps;
use twinml_model::program::Program;
use twinml_solvers::rk::fixed::KEPT;
use twinml_solvers::system::Rk4Grid;

/// Steps of the kernels. Each is made when it first runs and compiled when it has run for a while.
const LENGTHS: [u32; 4] = [512, 64, 8, 1];

/// From the kept values of one state to those of the next: a line of a cache more than they take, for those that begin a power of
/// two apart would have few of its lines for themselves.
pub(super) const APART: usize = KEPT[0] as usize + 8;

/// Kernels of steps on one grid.
#[derive(Clone, Debug)]
pub(super) struct Fused {
    /// Where the grid begins.
    t0: f64,
    /// The step.
    h: f64,
    steps: Arc<Steps>,
    many: [Place; LENGTHS.len()],
    /// [`KEPT`] steps, the states after each of them in `Jac`, state by state; only where rows may be asked for so often.
    kept: Option<[Place; KEPT.len()]>,
}

/// The place of a kernel on the machine.
#[derive(Clone, Debug)]
struct Place {
    kernel: KernelId,
    filled: Arc<OnceLock<()>>,
}

impl Place {
    fn new(machine: &mut dyn Machine) -> Place {
        Place { kernel: machine.reserve(), filled: Arc::default() }
    }

    /// The kernel, which is made where nobody has yet.
    fn get(&self, machine: &dyn Machine, make: impl FnOnce() -> Kernel) -> KernelId {
        self.filled.get_or_init(|| machine.fill(self.kernel, make()));
        self.kernel
    }
}

impl Fused {
    /// Keeps places for the kernels of the grid from `t0` on; `None` where there are none (`passes::rk4`) or
    /// events have to be looked for after every step. `often`: rows are recorded every few steps.
    pub(super) fn new(
        program: &Program,
        machine: &mut dyn Machine,
        (t0, h): (f64, f64),
        often: bool,
    ) -> Option<Fused> {
        if program.sizes.root > 0 || program.sizes.hist > 0 {
            return None;
        }
        let steps = Arc::new(Steps::new(program, t0, h)?);
        let many = std::array::from_fn(|_| Place::new(machine));
        let kept = often.then(|| std::array::from_fn(|_| Place::new(machine)));
        Some(Fused { t0, h, steps, many, kept })
    }

    /// Whether this is the grid that they are made for.
    pub(super) fn is_on(&self, grid: &Rk4Grid) -> bool {
        self.t0 == grid.t0 && self.h == grid.h
    }

    /// Whether some keep the states after each step.
    pub(super) fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Kernels that make so many steps together, the longest first.
    pub(super) fn many<'a>(
        &'a self,
        machine: &'a dyn Machine,
        steps: u64,
    ) -> impl Iterator<Item = KernelId> + 'a {
        let mut rest = steps;
        LENGTHS.into_iter().zip(&self.many).flat_map(move |(length, place)| {
            let times = rest / u64::from(length);
            rest -= times * u64::from(length);
            (0..times).map(move |_| place.get(machine, || self.steps.many(length)))
        })
    }

    /// The kernel of so many steps that keeps the states after each; `None` where there is none for so many.
    pub(super) fn kept(&self, machine: &dyn Machine, steps: u64) -> Option<KernelId> {
        let (length, place) = KEPT.into_iter().zip(self.kept.as_ref()?).find(|(n, _)| *n == steps)?;
        Some(place.get(machine, || self.steps.kept(length as u32, APART as u32)))
    }
}
