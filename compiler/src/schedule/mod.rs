//! From a flat system to a [`Program`]: relations and delays taken out, unknowns matched and ordered,
//! slots given, kernels emitted.
//!
//! In: a [`System`] whose names and units are checked. Out: a `Program` without derivatives of its kernels
//! (`twinml_model::passes` adds those). Errors: what does not balance, with the smallest set involved.

mod behavior;
mod delays;
mod draws;
mod emit;
mod guards;
mod index;
mod kernels;
mod layout;
pub mod names;
mod noise;
mod nominal;
mod origins;
mod ranges;
mod relations;
mod report;
mod schema;
mod start;

pub use ranges::numbered;

use crate::diag::{Diagnostic, Diagnostics, Label};
use crate::flat::{Affine, Equation, Expr, Piece, Role, System, UnOp};
use crate::source::SourceMap;
use crate::structural::order::Step;
use crate::structural::problem::Atom;
use crate::structural::{self, cancel, expr, sets};
use emit::Emitter;
use kernels::{Blocks, Slice};
use layout::Layout;
use nominal::constant;
use origins::Origins;
use relations::Relation;
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;
use twinml_model::defaults::{Defaults, Fill, Fills};
use twinml_model::ids::VarId;
use twinml_model::ir::{Place, Space};
use twinml_model::program::{self, Program};
use twinml_model::schema::Kind;

/// What `check --explain` tells about the structure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Structure {
    /// Continuous states (slots).
    pub states: u32,
    /// Algebraic unknowns (slots).
    pub algebraic: u32,
    /// Event functions (slots).
    pub events: u32,
    /// Algebraic loops: number of equations in each, number of unknowns left after tearing, linear or not,
    /// and the unknowns' names (some).
    pub loops: Vec<LoopInfo>,
    /// What was expanded, and why.
    pub expanded: Vec<String>,
    /// Equations that states must satisfy beside their derivatives, found by index reduction.
    pub invariants: u32,
    /// How many of them are kept by projection; the others to the solver's tolerance.
    pub projected: u32,
    /// Equations that were differentiated, and how often.
    pub differentiated: Vec<(crate::source::Span, u32)>,
    /// Handlers of all instances (transitions of machines not counted).
    pub handlers: u64,
    /// Machines of all instances.
    pub machines: u64,
    /// Transitions of all instances' machines.
    pub transitions: u64,
}

/// An algebraic loop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoopInfo {
    /// Equations in the loop.
    pub equations: u32,
    /// Unknowns left for Newton's method.
    pub unknowns: u32,
    /// Whether all equations are linear in the unknowns.
    pub linear: bool,
    /// The first few unknowns.
    pub names: Vec<String>,
}

/// A program with its structure told and its actions compiled.
#[derive(Debug, Default)]
pub struct Scheduled {
    /// The program.
    pub program: Program,
    /// What `--explain` tells.
    pub structure: Structure,
    /// Scenario actions, in time order.
    pub actions: Vec<program::Action>,
    /// Each branch's actions from its instant on, in time order.
    pub branches: Vec<Vec<program::Action>>,
    /// Requirements of the model, in order.
    pub requirements: Vec<program::Requirement>,
    /// By family of the system: its number in the schema, if people see it.
    pub shown: Vec<Option<VarId>>,
    /// By family of the system: its first slot, in the space of its role.
    pub bases: Vec<u32>,
    /// Families whose values are white noise.
    pub noisy: FxHashSet<VarId>,
}

/// Schedules a system. `None` where the diagnostics say why not.
pub fn schedule(mut system: System, sources: &SourceMap, diags: &mut Diagnostics) -> Option<Scheduled> {
    let written = system.vars.len();
    start::fix_late_parameters(&mut system);
    let drawn = draws::extract(&mut system, diags)?;
    let watched = ranges::extract(&mut system);
    let delayed = delays::extract(&mut system);
    let varies = relations::continuous(&system);
    let mut found = relations::extract(&mut system, &varies);
    let mut initial = std::mem::take(&mut system.initial_equations);
    for e in &mut initial {
        relations::extract_in(e, &mut system, &varies, &mut found);
    }
    system.initial_equations = initial;
    let mut nexts = std::mem::take(&mut system.nexts);
    for e in &mut nexts {
        relations::extract_in(e, &mut system, &varies, &mut found);
    }
    system.nexts = nexts;
    let before = diags.error_count();
    behavior::changes(&system, &|e| relations::varies_in(e, &varies), diags);
    if diags.error_count() > before {
        return None;
    }
    let (solved, kept) = solve(&mut system, diags)?;
    let system = system;
    let before = diags.error_count();
    let around = noise::Around {
        solved: &solved,
        relations: &found,
        ranges: &watched,
        delayed: &delayed,
        kept: &kept,
    };
    let noisy = noise::check(&system, &around, diags);
    if diags.error_count() > before {
        return None;
    }
    let layout = Layout::new(&system, &with_start(&system, &solved.problem, &found, &watched));
    let mut origins = Origins::new(sources);
    let mut hist = 0;
    for v in &delayed {
        origins.history.insert(*v, hist);
        hist += system.vars[v.index()].len;
    }
    let is_fixed = |e: &Expr| constant(&system, e);
    if report::boolean_loops(&solved, &system, diags) {
        return None;
    }

    let mut program = Program {
        name: system.name.clone(),
        tables: system.tables.clone(),
        files: sources.files().map(|(_, f)| f.name.to_string()).collect(),
        sizes: layout.sizes,
        ..Program::default()
    };
    program.sizes.hist = hist;
    let of_relations: u32 = found.iter().map(|r| r.len).sum();
    program.sizes.root =
        of_relations + watched.iter().filter(|r| r.param.is_none()).map(|r| r.len).sum::<u32>();
    program.defaults = defaults(&system, &layout);
    let none = FxHashSet::default();
    program.params = start::params(&system, &layout, &none, &mut origins, diags)?;
    let nominal = draws::nominals(&drawn);
    let params_drawn = match nominal.is_empty() {
        true => None,
        false => Some(start::params(&system, &layout, &nominal, &mut origins, diags)?),
    };

    let mut blocks = Blocks::new(&system, &layout);
    let (plan, problem) = (&solved.plan, &solved.problem);
    let none = FxHashSet::default();
    let ders = || problem.atoms.iter().filter(|a| a.der).map(|a| (a.var, true));
    let algebraic = || problem.atoms.iter().filter(|a| !a.der).map(|a| (a.var, false));

    let mut em = Emitter::new("rhs", &system, &layout, &mut origins);
    kernels::steps(&mut em, &mut blocks, 0, plan, problem, &Slice::of(plan, problem, ders()));
    program.rhs = kernels::drop_unread(em.finish(), &none);

    let mut em = Emitter::new("outputs", &system, &layout, &mut origins);
    kernels::steps(&mut em, &mut blocks, 0, plan, problem, &Slice::of(plan, problem, algebraic()));
    program.outputs = em.finish().kernel;

    let mut em = Emitter::new("roots", &system, &layout, &mut origins);
    let on_the_way = watched.iter().filter(|r| r.param.is_none());
    let wanted = used(found.iter().map(|r| &r.root).chain(on_the_way.clone().map(|r| &r.is.right)));
    kernels::steps(&mut em, &mut blocks, 0, plan, problem, &Slice::of(plan, problem, wanted));
    let mut first = 0;
    for r in &found {
        let origin = em.origin(r.span, &r.owner);
        store_all(
            &mut em,
            &r.loops,
            &r.root,
            Place { space: Space::Root, at: moved(&r.element, first) },
            origin,
        );
        first += r.len;
    }
    for r in on_the_way {
        let origin = em.origin(r.is.span, &r.is.owner);
        let place = Place { space: Space::Root, at: moved(&r.instance, first) };
        store_all(&mut em, &r.is.loops, &r.is.right, place, origin);
        first += r.len;
    }
    program.roots = kernels::drop_unread(em.finish(), &none);

    let mut em = Emitter::new("update", &system, &layout, &mut origins);
    let wanted = used(found.iter().map(|r| &r.fresh).chain(system.nexts.iter().map(|e| &e.right)));
    kernels::steps(&mut em, &mut blocks, 0, plan, problem, &Slice::of(plan, problem, wanted));
    copy_discrete(&mut em, &system, &layout, written);
    for r in &found {
        let origin = em.origin(r.span, &r.owner);
        let at = layout.value(r.var, &r.element).at;
        store_all(&mut em, &r.loops, &r.fresh, Place { space: Space::Next, at }, origin);
    }
    for e in &system.nexts {
        let Expr::Var(var, at) = &e.left else { continue };
        let origin = em.origin(e.span, &e.owner);
        let place = Place { space: Space::Next, at: layout.value(*var, at).at };
        store_all(&mut em, &e.loops, &behavior::next_value(&system, *var, &e.right), place, origin);
    }
    program.update = kernels::drop_unread(em.finish(), &none);

    let mut em = Emitter::new("history", &system, &layout, &mut origins);
    let wanted: Vec<_> = delayed.iter().map(|v| (*v, false)).collect();
    kernels::steps(&mut em, &mut blocks, 0, plan, problem, &Slice::of(plan, problem, wanted));
    for v in &delayed {
        let family = &system.vars[v.index()];
        let base = em.with_origins(|o| o.history.get(v).copied().unwrap_or(0));
        let l = crate::flat::Loop { index: twinml_model::ids::Index(0), lo: 0, hi: i64::from(family.len) };
        let at = Affine::constant(0).plus(l.index, 1);
        let origin = em.origin(family.span, "");
        let place = Place { space: Space::Hist, at: moved(&at, base) };
        store_all(&mut em, &[l], &Expr::Var(*v, at), place, origin);
    }
    program.history = em.finish().kernel;

    let start = start::Simulation { solved: &solved, invariants: &kept.invariants };
    program.initial = start::initial(&system, &layout, &mut blocks, &start, &is_fixed, &mut origins, diags)?;
    if let Some((kernel, projection)) = kept.projection(&system, &layout, &mut blocks, &mut origins) {
        program.projection = kernel;
        program.kept = Some(projection);
    }

    let mut root = 0;
    for r in &found {
        let origin = origins.add(r.span, &r.owner);
        let disc = layout.home(r.var).1;
        program.relations.push(program::Relation { kind: r.kind, disc, root, len: r.len, origin });
        root += r.len;
    }
    program.blocks = blocks.list;
    program.sizes.res = program.blocks.iter().map(|b| b.n).max().unwrap_or(0);
    let branches =
        system.branches.iter().map(|b| actions(&b.actions, &system, &layout, &mut origins)).collect();
    let actions = actions(&system.actions, &system, &layout, &mut origins);
    let requirements = system
        .requirements
        .iter()
        .map(|(path, span, expected)| program::Requirement {
            path: path.clone(),
            expected: *expected,
            origin: origins.add(*span, ""),
            judged: None,
        })
        .collect();
    let shown;
    (program.schema, shown) = schema::schema(&system, &layout, &noisy, &mut origins);
    program.draws = draws::finish(&drawn, &system.correlations, &shown, &layout, &mut origins, diags);
    program.draws.params = params_drawn;
    if diags.error_count() > before {
        return None;
    }
    program.behavior = behavior::behavior(&system, &layout, &mut origins);
    for r in &watched {
        let watch = match r.param {
            Some(v) => program::Watch::Param(layout.home(v).1),
            None => program::Watch::Root(root),
        };
        if r.param.is_none() {
            root += r.len;
        }
        let Some((var, at, nest)) = r.element() else { continue };
        let (Some(var), Ok(first)) = (shown[var.index()], u32::try_from(at)) else { continue };
        let origin = origins.add(r.is.span, &r.is.owner);
        program.ranges.push(program::Range {
            var,
            first,
            nest,
            watch,
            len: r.len,
            otherwise: r.otherwise,
            origin,
        });
    }
    for c in &system.clamps {
        let Some(var) = shown[c.var.index()] else { continue };
        let slot = |v: Option<VarId>| v.map(|v| layout.home(v).1);
        program.clamps.push(program::Clamp {
            var,
            lo: slot(c.limits[0]),
            hi: slot(c.limits[1]),
            low: slot(c.held[0]),
            high: slot(c.held[1]),
            origin: origins.add(c.span, ""),
        });
    }
    for n in &system.noises {
        let family = &system.vars[n.var.index()];
        program.noise.push(program::Noise {
            input: layout.home(n.var).1,
            len: family.len,
            path: family.path.get(1..).unwrap_or_default().to_vec(),
            first: n.first.clone(),
            origin: origins.add(n.span, ""),
        });
    }
    program.origins = origins.finish();
    let mut structure = structure(&system, &solved, &program);
    structure.invariants = kept.invariants.len() as u32;
    structure.projected = kept.projected;
    structure.differentiated = kept.differentiated;
    let bases = (0..system.vars.len()).map(|k| layout.home(VarId::new(k)).1).collect();
    let noisy = noisy.into_iter().filter(|(_, der)| !der).map(|(v, _)| v).collect();
    Some(Scheduled { program, structure, actions, branches, requirements, shown, bases, noisy })
}

/// How often equations may turn out to be combinations of others before they are taken as they are.
const ROUNDS: usize = 8;

/// Finds what determines what; a system of higher index is reduced first.
fn solve(system: &mut System, diags: &mut Diagnostics) -> Option<(structural::Solved, index::Kept)> {
    let mut rounds = 0;
    let (mut sums, said) = (Vec::new(), diags.len());
    let unbalanced = loop {
        // The equations are handed over, and back: copies of large models would cost.
        let equations = std::mem::take(&mut system.equations);
        let divisor = |e: &Expr| constant(system, e);
        match structural::solve_network(system.network, unknowns(system), equations, &divisor) {
            Ok(mut solved) => {
                // Each round replaces one equation at least by one with fewer unknowns.
                if let Some(found) =
                    cancel::cancelled(&solved, &|v, at| fixed(system, v, at)).filter(|_| rounds < ROUNDS)
                {
                    system.equations = found.equations;
                    sums.extend(found.sums);
                    rounds += 1;
                    continue;
                }
                system.equations = std::mem::take(&mut solved.families);
                return Some((solved, index::Kept::default()));
            }
            Err(u) => break u,
        }
    };
    let found = reduced(system, &unbalanced, diags);
    if found.is_none() {
        diags.change(said, |d| of_sum(d, &sums));
    }
    found
}

/// The number that an element of a `final` parameter is.
fn fixed(system: &System, var: VarId, at: i64) -> Option<f64> {
    let v = &system.vars[var.index()];
    let last = v.value.last().filter(|_| v.structural && v.role == Role::Parameter)?;
    let is = |p: &&Piece| p.loops.is_empty() && p.element == Affine::constant(at);
    // A later piece goes before an earlier one; one with loops may be of any element.
    let found = if last.loops.is_empty() { v.value.iter().rev().find(is) } else { None };
    found.and_then(|p| literal(&p.expr))
}

/// The same where unknowns and equations do not balance.
fn reduced(
    system: &mut System,
    unbalanced: &structural::Unbalanced,
    diags: &mut Diagnostics,
) -> Option<(structural::Solved, index::Kept)> {
    let mut atoms = unknowns(system);
    let kept = index::reduce(system, unbalanced, diags)?;
    atoms.extend(kept.added.iter().map(|&(var, der)| Atom { var, der, len: 1, guessed: false }));
    let divisor = |e: &Expr| constant(system, e);
    match structural::solve_network(system.network, atoms, system.equations.clone(), &divisor) {
        Ok(solved) => Some((solved, kept)),
        Err(u) => {
            report::unbalanced(&u, system, report::Phase::Simulation, diags);
            None
        }
    }
}

/// What is said of an equation in whose place a combination stands is said of all that are in it.
fn of_sum(d: &mut Diagnostic, sums: &[cancel::Sum]) {
    let Some((_, others)) = sums.iter().find(|(at, _)| *at == d.primary.span) else { return };
    d.primary.text = "taken together with the others marked, nothing is left of their unknowns".to_owned();
    d.labels.extend(others.iter().map(|span| Label { span: *span, text: "with this one".to_owned() }));
}

/// Derivatives of states, and values of unknowns.
fn unknowns(system: &System) -> Vec<Atom> {
    let mut atoms = Vec::new();
    for (k, v) in system.vars.iter().enumerate() {
        match v.role {
            Role::State => atoms.push(Atom { var: VarId::new(k), der: true, len: v.len, guessed: false }),
            Role::Unknown => {
                atoms.push(Atom { var: VarId::new(k), der: false, len: v.len, guessed: !v.guess.is_empty() });
            }
            _ => {}
        }
    }
    atoms
}

fn moved(at: &Affine, by: u32) -> Affine {
    Affine { base: at.base + i64::from(by), terms: at.terms.clone() }
}

fn used<'a>(exprs: impl Iterator<Item = &'a Expr>) -> Vec<kernels::Family> {
    let mut all = Vec::new();
    for e in exprs {
        expr::uses(e, &mut |u| all.push((u.var, u.der)));
    }
    all
}

fn store_all(
    em: &mut Emitter<'_>,
    loops: &[crate::flat::Loop],
    e: &Expr,
    place: Place,
    origin: twinml_model::ids::OriginId,
) {
    em.nest(loops, false, &mut |em| {
        let value = em.expr(e);
        em.store(place.clone(), value, origin);
    });
}

/// `Next = Disc` for what equations do not change.
fn copy_discrete(em: &mut Emitter<'_>, system: &System, layout: &Layout, written: usize) {
    let defined = behavior::defined(system);
    for (k, v) in system.vars.iter().enumerate().take(written) {
        let var = VarId::new(k);
        if v.role != Role::Discrete || defined.contains(&var) {
            continue;
        }
        let l = crate::flat::Loop { index: twinml_model::ids::Index(0), lo: 0, hi: i64::from(v.len) };
        let at = Affine::constant(0).plus(l.index, 1);
        let place = Place { space: Space::Next, at: layout.value(var, &at).at };
        let origin = em.origin(v.span, "");
        store_all(em, &[l], &Expr::Var(var, at), place, origin);
    }
}

/// Families whose start values are read somewhere.
fn with_start(
    system: &System,
    problem: &structural::problem::Problem,
    relations: &[Relation],
    watched: &[ranges::Range],
) -> Vec<VarId> {
    let mut found = BTreeSet::new();
    let mut see = |e: &Expr| starts(e, &mut found);
    for e in system.equations.iter().chain(&problem.equations).chain(&system.initial_equations) {
        see(&e.left);
        see(&e.right);
    }
    for r in watched {
        see(&r.is.right);
    }
    for r in relations {
        see(&r.root);
        see(&r.fresh);
    }
    for e in &system.nexts {
        see(&e.right);
    }
    found.extend(behavior::started(system));
    let mut see = |e: &Expr| starts(e, &mut found);
    for piece in system.vars.iter().flat_map(|v| v.value.iter().chain(&v.guess)) {
        see(&piece.expr);
    }
    let branches = system.branches.iter().flat_map(|b| &b.actions);
    for (_, piece) in system.actions.iter().chain(branches).flat_map(|a| &a.assigns) {
        see(&piece.expr);
    }
    found.into_iter().filter(|v| system.vars[v.index()].role != Role::Parameter).collect()
}

fn starts(e: &Expr, found: &mut BTreeSet<VarId>) {
    if let Expr::Start(v, _) = e {
        found.insert(*v);
    }
    expr::children(e, &mut |c| starts(c, found));
}

/// The number that a formula is, where it is one.
fn literal(e: &Expr) -> Option<f64> {
    match e {
        Expr::Num(x) => Some(*x),
        Expr::Bool(b) => Some(f64::from(u8::from(*b))),
        Expr::Un(UnOp::Neg, a) => literal(a).map(|x| -x),
        _ => None,
    }
}

/// A literal for every element of a piece.
fn fill(fills: &mut Fills, base: u32, piece: &Piece, value: f64) {
    for set in sets::image(&piece.element, &piece.loops, 1 << 24).into_iter().flatten() {
        let first = u32::try_from(set.lo + i64::from(base));
        let (count, step) = (u32::try_from(set.count), u32::try_from(set.step));
        if let (Ok(first), Ok(count @ 1..), Ok(step)) = (first, count, step) {
            fills.push(Fill { first, count, step: if count == 1 { 1 } else { step }, value });
        }
    }
}

fn defaults(system: &System, layout: &Layout) -> Defaults {
    let mut d = Defaults::default();
    for (k, v) in system.vars.iter().enumerate() {
        let (_, base) = layout.home(VarId::new(k));
        let fills = match v.role {
            Role::Parameter => &mut d.param,
            Role::Input => &mut d.input,
            Role::Discrete => &mut d.disc,
            Role::State => &mut d.state,
            Role::Unknown => &mut d.var,
        };
        let mut fresh = true;
        for piece in v.guess.iter().chain(&v.value) {
            if let Some(x) = literal(&piece.expr)
                // Zero is what slots hold where nothing else was said before.
                && !(fresh && x.to_bits() == 0)
            {
                fill(fills, base, piece, x);
                fresh = false;
            }
        }
    }
    d
}

fn actions(
    list: &[crate::flat::Action],
    system: &System,
    layout: &Layout,
    origins: &mut Origins,
) -> Vec<program::Action> {
    let mut out = Vec::new();
    for (k, a) in list.iter().enumerate() {
        let mut em = Emitter::new(&format!("action{k}"), system, layout, origins);
        let origin = em.origin(a.span, "");
        // All right sides see the values before the action; then all are written.
        for (var, piece) in &a.assigns {
            let place = layout.value(*var, &piece.element);
            store_all(&mut em, &piece.loops, &piece.expr, place, origin);
        }
        out.push(program::Action {
            time_ns: a.time_ns,
            kernel: em.finish().kernel,
            sends: a.sends.clone(),
            origin,
        });
    }
    out
}

fn structure(system: &System, solved: &structural::Solved, program: &Program) -> Structure {
    let mut s = Structure {
        states: program.sizes.state,
        algebraic: program.sizes.var - margins(system),
        events: program.relations.iter().map(|r| r.len).sum(),
        ..Structure::default()
    };
    for step in &solved.plan.steps {
        if let Step::Block(b) = step {
            let names = b
                .unknowns
                .iter()
                .take(5)
                .map(|(atom, set)| {
                    let a = solved.problem.atoms[atom.0 as usize];
                    let v = &system.vars[a.var.index()];
                    let name = if set.count > 1 { names::family(v) } else { names::element(&v.path, set.lo) };
                    if a.der { format!("der({name})") } else { name }
                })
                .collect();
            let count = |e: &Equation| sets::points(&e.loops);
            let equations: i64 = b.equations.iter().map(|&e| count(&solved.problem.equations[e])).sum();
            let unknowns: i64 = b.unknowns.iter().map(|(_, set)| set.count).sum();
            s.loops.push(LoopInfo {
                equations: equations as u32,
                unknowns: unknowns as u32,
                linear: b.linear,
                names,
            });
        }
    }
    let behavior = &program.behavior;
    let count = |owner: twinml_model::behavior::OwnerId| {
        behavior.owners.get(owner as usize).map_or(0, |o| u64::from(o.count))
    };
    for h in &behavior.handlers {
        *(if h.target.is_some() { &mut s.transitions } else { &mut s.handlers }) += count(h.owner);
    }
    s.machines = behavior.machines.iter().map(|m| count(m.owner)).sum();
    s.expanded = system.expanded.iter().map(|(_, why)| why.clone()).collect();
    if solved.expanded {
        s.expanded.push(
            "all loops of the equations: a family could not be matched as a whole, since one of its \
             equations determines different unknowns at different places"
                .to_owned(),
        );
    }
    s
}

/// Whether a family's slots hold truth values.
fn is_bool(system: &System, var: VarId) -> bool {
    system.vars[var.index()].kind == Kind::Bool
}

/// Slots of what only requirements look at.
fn margins(system: &System) -> u32 {
    let of_margins = |v: &&crate::flat::Var| {
        v.role == Role::Unknown && v.path.first().is_some_and(|s| s.name.starts_with(crate::flat::MARGIN))
    };
    system.vars.iter().filter(of_margins).map(|v| v.len).sum()
}

#[cfg(test)]
mod tests;
