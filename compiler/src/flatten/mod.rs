//! From the checked model to the flat system: a class or a scenario is instantiated, arrays of instances
//! stay families, array expressions become scalar ones under loops.
//!
//! In: [`hir::Model`], what to run, settings from the command line, and a [`DataLoader`] for the columns of
//! data files. Out: [`flat::System`] and [`flat::Experiment`], with every diagnostic.
//!
//! How loops survive: an expression is translated for one element whose subscripts are affine in the loop
//! indices in force. Where something is not the same for the whole range of an index (`if i == 0`, an array
//! written out, an override of one element), translation stops with [`scope::Stop::Split`]; the loop that
//! owns the index splits its range there and tries again. A range split into single values is an expansion
//! and is recorded with its reason.
//!
//! Never: no file is read here, nothing depends on the size of an array except where it must be expanded.

mod aggregate;
mod array;
mod behavior;
mod bind;
mod branch;
mod builtin;
mod calendar;
mod clamp;
mod consts;
mod data;
mod draws;
mod drive;
mod equation;
mod expr;
mod force;
mod func;
mod instance;
mod network;
mod noise;
mod ranges;
mod rates;
mod requirement;
mod scenario;
mod scope;
#[cfg(test)]
mod tests;
mod walk;

pub use data::{Column, DataError, DataLoader, DataRequest, NoData};

use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::Span;
use crate::{flat, hir};
use rustc_hash::{FxHashMap, FxHashSet};
use scope::{Inst, InstId, R, Stop};
use twinml_model::ids::{TableId, VarId};

/// Most slots of all families together.
pub const MAX_SLOTS: u64 = 50_000_000;
/// Most equation families after expansion.
pub const MAX_EQUATIONS: usize = 2_000_000;
/// Most instances that are kept apart (a few KiB each).
const MAX_INSTANCES: usize = 100_000;
/// Most operations of one flat equation.
const MAX_OPERATIONS: u64 = 1_000_000;
/// Deepest nesting of a flat expression: all later stages walk it, each on the caller's stack.
const MAX_LEVELS: u32 = 1200;

/// What to instantiate.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A class with the defaults of its parameters.
    Class(hir::ClassId),
    /// A scenario, with its class.
    Scenario(&'a hir::Scenario),
}

/// An order to flatten.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What.
    pub target: Target<'a>,
    /// Settings from outside, in the scope of the instance; they win over everything in the text.
    pub settings: &'a [hir::Override],
}

/// What flattening gives. `system` is absent where an error was found.
#[derive(Debug, Default)]
pub struct Flattened {
    /// The system.
    pub system: Option<flat::System>,
    /// What to run and what to record.
    pub experiment: flat::Experiment,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// Flattens what the request names.
pub fn flatten<'a>(model: &'a hir::Model, request: Request<'a>, data: &'a mut dyn DataLoader) -> Flattened {
    let mut f = Flattener::new(model, request, data);
    let done = f.run();
    let ok = done.is_ok() && !f.diags.has_errors();
    Flattened { system: ok.then_some(f.system), experiment: f.experiment, diagnostics: f.diags }
}

/// The work on one system.
struct Flattener<'a> {
    model: &'a hir::Model,
    request: Request<'a>,
    data: &'a mut dyn DataLoader,
    diags: Diagnostics,
    system: flat::System,
    experiment: flat::Experiment,
    insts: Vec<Inst<'a>>,
    /// Where each family comes from, by `VarId`; compiler-made families have none.
    homes: Vec<Option<(InstId, hir::Name)>>,
    /// Ranges of the loop indices in force, by index; one value: a constant.
    ranges: Vec<(i64, i64)>,
    /// Inside a branch whose condition is judged at run time.
    guarded: u32,
    /// Operations translated for the present equation or formula.
    operations: u64,
    /// Depth of the expression being translated.
    level: u32,
    /// Depth of constant evaluation, of inlining.
    depth: u32,
    /// How many formulas of members the constant being evaluated has led through.
    chain: u32,
    calls: Vec<hir::FuncId>,
    /// The present equation's instance, for families that the compiler adds.
    owner: InstId,
    /// Whether new unknowns may be added here (not in formulas of parameters and starts).
    may_add: bool,
    /// What `self` is in the condition being translated.
    this: Option<flat::Expr>,
    slots: u64,
    tables: FxHashMap<data::TableKey, TableId>,
    /// Formulas of the present family.
    pieces: Vec<flat::Piece>,
    /// What the present action writes.
    writes: Vec<(VarId, flat::Piece)>,
    /// Elements that a scenario assigns or forces.
    taken: FxHashMap<VarId, drive::Taken>,
    /// Elements that a scenario forces, where it says so.
    forced: Vec<(VarId, flat::Piece)>,
    /// Elements of inputs that something drives.
    drivers: Vec<drive::Driver>,
    /// Acausal connections, in the order of instances and text.
    joints: Vec<network::Joint>,
    /// What they join.
    joined: Option<network::Network>,
    /// Whether the actions are those of a branch, which may set parameters.
    branching: bool,
    /// Inputs that equations of enclosing twins mention.
    mentioned: FxHashSet<VarId>,
    /// Parameters that chose structure.
    structural: FxHashSet<(InstId, hir::Name)>,
    added: u32,
    /// What stands for the aggregates over the run.
    aggregates: Vec<aggregate::Made>,
    /// Start of each class's text, to find the class that an equation stands in.
    class_starts: Vec<Span>,
    refused: FxHashSet<Span>,
    /// Handlers, machines and what they keep.
    behaving: behavior::Behaving<'a>,
}

/// How far the output had come, to drop what an abandoned attempt made.
#[derive(Clone, Copy)]
struct Mark {
    equations: usize,
    initial: usize,
    vars: usize,
    drivers: usize,
    joints: usize,
    expanded: usize,
    slots: u64,
    added: u32,
    actions: usize,
    pieces: usize,
    writes: usize,
    watched: usize,
    noises: usize,
    draws: usize,
    correlations: usize,
}

impl<'a> Flattener<'a> {
    fn new(model: &'a hir::Model, request: Request<'a>, data: &'a mut dyn DataLoader) -> Self {
        let mut class_starts: Vec<Span> = model.classes.iter().map(|c| c.span).collect();
        class_starts.sort();
        Flattener {
            model,
            request,
            data,
            diags: Diagnostics::new(),
            system: flat::System::default(),
            experiment: flat::Experiment::default(),
            insts: Vec::new(),
            homes: Vec::new(),
            ranges: Vec::new(),
            guarded: 0,
            operations: 0,
            level: 0,
            depth: 0,
            chain: 0,
            calls: Vec::new(),
            owner: InstId(0),
            may_add: false,
            this: None,
            slots: 0,
            tables: FxHashMap::default(),
            pieces: Vec::new(),
            writes: Vec::new(),
            taken: FxHashMap::default(),
            forced: Vec::new(),
            drivers: Vec::new(),
            joints: Vec::new(),
            joined: None,
            branching: false,
            mentioned: FxHashSet::default(),
            structural: FxHashSet::default(),
            added: 0,
            aggregates: Vec::new(),
            class_starts,
            refused: FxHashSet::default(),
            behaving: behavior::Behaving::default(),
        }
    }

    fn run(&mut self) -> R<()> {
        self.enums();
        self.root()?;
        if self.diags.has_errors() {
            return Err(Stop::Fail);
        }
        self.declare_behavior()?;
        self.formulas();
        self.correlations();
        self.all_equations();
        self.connections();
        self.event_connections();
        self.drive_inputs();
        if self.diags.has_errors() {
            return Err(Stop::Fail);
        }
        self.requirement_formulas();
        if self.diags.has_errors() {
            return Err(Stop::Fail);
        }
        self.roles();
        self.rates();
        self.behavior();
        self.watched();
        self.saturate();
        self.read_experiment();
        self.finish();
        self.judge_draws();
        if self.diags.has_errors() { Err(Stop::Fail) } else { Ok(()) }
    }

    fn mark(&self) -> Mark {
        Mark {
            equations: self.system.equations.len(),
            initial: self.system.initial_equations.len(),
            vars: self.system.vars.len(),
            drivers: self.drivers.len(),
            joints: self.joints.len(),
            expanded: self.system.expanded.len(),
            slots: self.slots,
            added: self.added,
            actions: self.system.actions.len(),
            pieces: self.pieces.len(),
            writes: self.writes.len(),
            watched: self.system.ranges.len(),
            noises: self.system.noises.len(),
            draws: self.system.draws.len(),
            correlations: self.system.correlations.len(),
        }
    }

    fn rollback(&mut self, m: Mark) {
        self.system.equations.truncate(m.equations);
        self.system.initial_equations.truncate(m.initial);
        self.system.vars.truncate(m.vars);
        self.homes.truncate(m.vars);
        self.drivers.truncate(m.drivers);
        self.joints.truncate(m.joints);
        self.system.expanded.truncate(m.expanded);
        self.system.actions.truncate(m.actions);
        self.pieces.truncate(m.pieces);
        self.writes.truncate(m.writes);
        self.rollback_behavior(m.vars);
        self.system.ranges.truncate(m.watched);
        self.system.noises.truncate(m.noises);
        self.system.draws.truncate(m.draws);
        self.system.correlations.truncate(m.correlations);
        self.slots = m.slots;
        self.added = m.added;
    }

    /// Reports an error and gives the stop that says so.
    fn fail(&mut self, d: Diagnostic) -> Stop {
        self.diags.push(d);
        Stop::Fail
    }

    /// Reports what this version does not run, once for a place.
    fn refuse(&mut self, code: Code, span: Span, what: &str) -> Stop {
        if self.refused.insert(span) {
            self.diags.push(
                Diagnostic::new(code, span, format!("{what} cannot be run by this version"))
                    .note("it is checked like the rest of the model"),
            );
        }
        Stop::Fail
    }

    fn enums(&mut self) {
        self.system.enums = self
            .model
            .enums
            .iter()
            .map(|e| twinml_model::schema::EnumType {
                name: e.name.to_string(),
                values: e.values.iter().map(ToString::to_string).collect(),
            })
            .collect();
    }

    fn scenario(&self) -> Option<&'a hir::Scenario> {
        match self.request.target {
            Target::Scenario(s) => Some(s),
            Target::Class(_) => None,
        }
    }
}
