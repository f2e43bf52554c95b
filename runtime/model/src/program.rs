//! A compiled twin: everything a host needs to run it, as plain data.

use crate::defaults::Defaults;
use crate::ids::{BlockId, OriginId, TableId, VarId};
use crate::ir::{Affine, CmpOp, Function, Kernel, Space};
use crate::schema::Schema;

/// A compiled twin. Plain data, printable, readable back, checked by `verify`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Program {
    /// The twin's name, for people.
    pub name: String,
    /// What the slots mean.
    pub schema: Schema,
    /// Slots per space.
    pub sizes: Sizes,
    /// The content of spaces before any kernel runs (nominal values).
    pub defaults: Defaults,
    /// Formulas of parameters: reads `Param`, writes `Param`. Run after overrides and draws.
    pub params: Kernel,
    /// Start: reads `Time`, `Param`, `Input`; writes `State`, `Var`, `Disc`, inputs
    /// whose default is a formula, and the start slots of `Param`.
    pub initial: Kernel,
    /// Right-hand side: reads all but `Der`, writes `Der` and those of `Var` that it needs.
    pub rhs: Kernel,
    /// Writes every slot of `Var` (after which any quantity can be recorded).
    pub outputs: Kernel,
    /// Event functions: writes `Root` (and `Var` where needed).
    pub roots: Kernel,
    /// Right limits of relations and discrete values: writes every slot of `Next`, laid out as `Disc`.
    pub update: Kernel,
    /// Signals kept for `delay`: writes `Hist`.
    pub history: Kernel,
    /// The nearest point of the manifold on which the states must stay: reads `State`, writes `Var`; empty where
    /// there is none. See [`Projection`].
    pub projection: Kernel,
    /// Which states are kept on a manifold.
    pub kept: Option<Projection>,
    /// Directional derivative of `rhs`: reads `TState`, `TTime` (and other tangents), writes `TDer`.
    pub jvp: Option<Kernel>,
    /// ∂Der/∂State.
    pub jacobian: Option<Jacobian>,
    /// Algebraic loops.
    pub blocks: Vec<Block>,
    /// Comparisons frozen between events.
    pub relations: Vec<Relation>,
    /// Conditions on quantities that are watched while a run goes on.
    pub ranges: Vec<Range>,
    /// Quantities that are held at their limits.
    pub clamps: Vec<Clamp>,
    /// White noise that drives the right-hand side.
    pub noise: Vec<Noise>,
    /// Functions called by kernels.
    pub functions: Vec<Function>,
    /// Functions given by samples.
    pub tables: Vec<Table>,
    /// Handlers, machines and their code: what happens between integration steps.
    pub behavior: crate::behavior::Behavior,
    /// What a Monte Carlo job draws.
    pub draws: crate::draws::Draws,
    /// Where things stem from.
    pub origins: Vec<Origin>,
    /// The sources' names, by file number of the origins.
    pub files: Vec<String>,
}

/// States that must satisfy equations which index reduction took away from the right-hand side.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Projection {
    /// Slots of `State`, and for each the slot of `Var` where [`Program::projection`] leaves its projected value.
    pub states: Vec<(u32, u32)>,
    /// The equations that hold on the manifold.
    pub origins: Vec<OriginId>,
}

/// Slots per space. `Der` is as long as `State`, `Next` as `Disc`, tangents as their spaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// Continuous states.
    pub state: u32,
    /// Parameters.
    pub param: u32,
    /// Undriven inputs.
    pub input: u32,
    /// Algebraic variables.
    pub var: u32,
    /// Discrete values.
    pub disc: u32,
    /// Event functions.
    pub root: u32,
    /// The longest residual of a block.
    pub res: u32,
    /// The longest Jacobian value array (of the system or of a block).
    pub jac: u32,
    /// History signals.
    pub hist: u32,
}

impl Sizes {
    /// Length of a space in slots.
    #[must_use]
    pub fn of(&self, space: Space) -> u32 {
        match space {
            Space::Time | Space::TTime => 1,
            Space::State | Space::Der | Space::TState | Space::TDer => self.state,
            Space::Param | Space::TParam => self.param,
            Space::Input | Space::TInput => self.input,
            Space::Var | Space::TVar => self.var,
            Space::Disc | Space::Next => self.disc,
            Space::Root => self.root,
            Space::Res | Space::TRes => self.res,
            Space::Jac => self.jac,
            Space::Hist => self.hist,
        }
    }
}

/// An algebraic loop: `n` residuals in `n` unknowns, torn where that helps.
///
/// The residual kernel reads the unknowns from their slots, may compute (store) other slots of `Var`
/// on the way (torn inner variables), and writes `Res[0..n]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    /// Slots of the unknowns: runs of `Var`, `Der` or (initialization only) `State`/`Param`.
    pub unknowns: Vec<SlotRun>,
    /// Number of unknowns and residuals.
    pub n: u32,
    /// Whether the residuals are affine in the unknowns: one factorisation solves it.
    pub linear: bool,
    /// The residuals.
    pub residual: Kernel,
    /// ∂Res/∂unknowns: columns numbered in the order of `unknowns`.
    pub jacobian: Option<Jacobian>,
    /// Tangent of the residuals with the unknowns' tangents zero: writes `TRes`.
    pub tangent: Option<Kernel>,
    /// Tangents of the torn inner variables, once those of the unknowns are known: writes `TVar`.
    pub inner_tangent: Option<Kernel>,
    /// The equation of each residual, as `(first residual, origin)` sorted by the first.
    pub origins: Vec<(u32, OriginId)>,
    /// Whether it belongs to initialization only.
    pub initial_only: bool,
    /// Whether Newton's method goes by bounded steps where it begins anew: loops of networks.
    pub careful: bool,
}

/// `len` consecutive slots of a space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlotRun {
    /// The array.
    pub space: Space,
    /// The first slot.
    pub base: u32,
    /// How many.
    pub len: u32,
}

/// A sparse Jacobian as families of coordinate entries. Two entries of the same row and column add.
#[derive(Clone, PartialEq, Debug)]
pub struct Jacobian {
    /// Number of rows.
    pub rows: u32,
    /// Number of columns.
    pub cols: u32,
    /// Number of values that `kernel` writes to `Jac` (entries before adding duplicates).
    pub entries: u32,
    /// Which row and column each value belongs to.
    pub families: Vec<EntryFamily>,
    /// Writes `Jac[0..entries]`.
    pub kernel: Kernel,
}

/// Entries over a nest of loops: value `slot` belongs to (`row`, `col`), all affine in the loops' indices
/// (numbered from `i0`, outermost first).
#[derive(Clone, PartialEq, Debug)]
pub struct EntryFamily {
    /// `lo..hi` of each loop, outermost first.
    pub loops: Vec<(i64, i64)>,
    /// Row number.
    pub row: Affine,
    /// Column number.
    pub col: Affine,
    /// Slot of `Jac`.
    pub slot: Affine,
}

/// What a frozen value stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RelationKind {
    /// `left op right`; its root function is `left − right`, its frozen value 0 or 1.
    Compare(CmpOp),
    /// An integer-valued function (`floor`, `ceil`, `round`, `trunc`): the frozen value is the integer; the
    /// root function is positive inside the cell where it holds, 0 on the cell's borders and negative outside.
    Step,
}

/// A family of frozen comparisons: instance `j` has frozen value `Disc[disc + j]`, root `Root[root + j]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Relation {
    /// What is frozen.
    pub kind: RelationKind,
    /// First slot of the frozen value.
    pub disc: u32,
    /// First slot of the root function.
    pub root: u32,
    /// Number of instances.
    pub len: u32,
    /// The comparison in the source.
    pub origin: OriginId,
}

/// A family of watched conditions (`where`) on elements of one quantity.
#[derive(Clone, PartialEq, Debug)]
pub struct Range {
    /// The quantity.
    pub var: VarId,
    /// Its element that instance 0 is about.
    pub first: u32,
    /// Rounds of each loop over the instances, outermost first, and by how much one round moves the element.
    pub nest: Vec<(u32, i64)>,
    /// Where the condition is found.
    pub watch: Watch,
    /// Number of instances: the product of the rounds.
    pub len: u32,
    /// What happens where it does not hold.
    pub otherwise: RangeElse,
    /// The condition in the source.
    pub origin: OriginId,
}

impl Range {
    /// The element that instance `j` is about; `None` where a number leaves its type.
    #[must_use]
    pub fn element(&self, j: u32) -> Option<u32> {
        let (mut rest, mut at) = (j, i64::from(self.first));
        for &(rounds, stride) in self.nest.iter().rev() {
            at = at.checked_add(i64::from(rest.checked_rem(rounds)?).checked_mul(stride)?)?;
            rest /= rounds;
        }
        u32::try_from(at).ok()
    }
}

/// A quantity that is held at its limits. Element `j` lies between `Param[lo + j]` and `Param[hi + j]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clamp {
    /// The quantity: a state, a discrete value or an input.
    pub var: VarId,
    /// Parameters that hold its lower limits.
    pub lo: Option<u32>,
    /// Parameters that hold its upper limits.
    pub hi: Option<u32>,
    /// Of a continuous state: discrete slots that say whether it is held at the lower limit.
    pub low: Option<u32>,
    /// The same of the upper limit.
    pub high: Option<u32>,
    /// The condition in the source.
    pub origin: OriginId,
}

/// A family of white noise: `Input[input + j]` is the noise of path `j`, which only solvers for stochastic equations
/// set (elsewhere it is 0). `Der` is affine in it, and nothing else that is read depends on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Noise {
    /// First slot of `Input`.
    pub input: u32,
    /// Number of Brownian paths: the product of all axes of `path`.
    pub len: u32,
    /// Whose noise it is, with the lengths of the axes.
    pub path: Vec<crate::schema::Segment>,
    /// By axis: the subscript of the first element.
    pub first: Vec<u32>,
    /// The occurrence of `white_noise()`.
    pub origin: OriginId,
}

impl Noise {
    /// The name of path `j`, the same whatever else is in the model: `regions[3].noise#1`.
    #[must_use]
    pub fn element_path(&self, j: u32) -> String {
        let axes: Vec<u32> = self.path.iter().flat_map(|s| s.axes.iter().copied()).collect();
        let mut at = vec![0u32; axes.len()];
        let mut rest = j;
        for (slot, &len) in at.iter_mut().zip(&axes).rev() {
            *slot = rest % len.max(1);
            rest /= len.max(1);
        }
        let firsts = self.first.iter().copied().chain(std::iter::repeat(0));
        let mut next = at.iter().zip(firsts).map(|(a, f)| a.saturating_add(f).to_string());
        let mut out = String::new();
        for (n, s) in self.path.iter().enumerate() {
            if n > 0 {
                out.push('.');
            }
            out.push_str(&s.name);
            let shown: Vec<String> = next.by_ref().take(s.axes.len()).collect();
            if !shown.is_empty() {
                out.push('[');
                out.push_str(&shown.join(","));
                out.push(']');
            }
        }
        out
    }
}

/// Where a watched condition is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Watch {
    /// Instance `j` is broken while `Root[slot + j] > 0`.
    Root(u32),
    /// The condition does not change between events: instance `j` holds if `Param[slot + j]` is not 0.
    Param(u32),
}

/// What happens where a range is left.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RangeElse {
    /// A mark on the run, which goes on.
    Report,
    /// The run ends there.
    Stop,
}

/// Interpolation of a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TableMethod {
    /// Straight lines.
    Linear,
    /// The last sample at or before the argument.
    Step,
    /// Monotone piecewise cubic (Fritsch–Carlson).
    Pchip,
    /// Natural cubic spline.
    Cubic,
}

/// What a table gives outside its samples.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outside {
    /// The end value.
    Hold,
    /// An error at run time.
    Error,
    /// The end piece continued.
    Extend,
    /// Periodic.
    Repeat,
}

/// A function of one variable given by samples, in SI.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// For messages: file and columns, or the member's path.
    pub name: String,
    /// Strictly increasing arguments.
    pub x: Vec<f64>,
    /// Values.
    pub y: Vec<f64>,
    /// Interpolation.
    pub method: TableMethod,
    /// Rule outside.
    pub outside: Outside,
    /// Whether the argument is simulated time itself: then its kinks are time events.
    pub of_time: bool,
}

/// A place in the modeller's source.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    /// Number of the file in `Program::files`; `u32::MAX` for what the compiler made itself.
    pub file: u32,
    /// First byte.
    pub lo: u32,
    /// One past the last byte.
    pub hi: u32,
    /// Line, from 1.
    pub line: u32,
    /// The equation or comparison as the modeller wrote it (shortened), prefixed by the instance's path
    /// where there is one: `tanks[*]: der(h) = (q_in - q_out)/area`.
    pub text: String,
}

/// A scenario made concrete for one program: what to run and what to record.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Experiment {
    /// The scenario's name, or the twin's where none is named.
    pub name: String,
    /// End of the run in seconds.
    pub duration: f64,
    /// Solver, as asked.
    pub solver: SolverSpec,
    /// Seed of all random streams.
    pub seed: u64,
    /// How many samples a Monte Carlo job takes, where the scenario says it.
    pub samples: Option<u64>,
    /// Actions, in time order and, at one instant, in the source's order.
    pub actions: Vec<Action>,
    /// Instants, in nanoseconds since the start and in order, that no step passes though nothing happens there:
    /// where branches begin, so that trunk and branch are the same up to there, bit for bit.
    pub stops: Vec<i128>,
    /// What to record; empty: outputs and states at 1,000 instants.
    pub records: Vec<Record>,
    /// Requirements and claims, by path: (name, text). Those without a formula are listed only.
    pub requirements: Vec<Requirement>,
    /// What requirements and KPIs say about the run as a whole.
    pub aggregates: Vec<crate::requirement::Aggregate>,
    /// Figures that the run is reported with.
    pub kpis: Vec<crate::requirement::Kpi>,
}

/// A requirement of the model.
#[derive(Clone, PartialEq, Debug)]
pub struct Requirement {
    /// Its path (`cells[*].no_overcharge`).
    pub path: String,
    /// Whether the scenario expects it.
    pub expected: bool,
    /// Where it stands.
    pub origin: OriginId,
    /// How it is judged; none: this version does not.
    pub judged: Option<crate::requirement::Judged>,
}

/// The solver that a scenario or the command line asks for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SolverSpec {
    /// `auto`, `bdf`, …; empty: `auto`.
    pub method: String,
    /// Relative tolerance.
    pub rtol: Option<f64>,
    /// Absolute tolerance, in each state's SI unit.
    pub atol: Option<f64>,
    /// Fixed step in seconds.
    pub step: Option<f64>,
    /// Longest step in seconds.
    pub max_step: Option<f64>,
    /// Most steps of the whole run.
    pub max_steps: Option<u64>,
}

/// Assignments at an instant.
#[derive(Clone, PartialEq, Debug)]
pub struct Action {
    /// Nanoseconds since the start.
    pub time_ns: i128,
    /// Reads anything, writes `Input`, `Disc`, `State` or `Param`.
    pub kernel: Kernel,
    /// Codes of the root twin that send messages, behind what the kernel writes.
    pub sends: Vec<crate::behavior::CodeId>,
    /// The action in the source.
    pub origin: OriginId,
}

/// A recording order.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Paths as resolved against the schema: (variable, flat element numbers; empty for all).
    pub vars: Vec<(VarId, Vec<u32>)>,
    /// Period in attoseconds (1e-18 s), so that the k-th instant is the rounded multiple of the period as it was
    /// written; `None`: 1,000 equal periods.
    pub every_as: Option<i128>,
}

impl Program {
    /// The block with this id.
    #[must_use]
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.index()]
    }

    /// The table with this id.
    #[must_use]
    pub fn table(&self, id: TableId) -> &Table {
        &self.tables[id.index()]
    }
}
