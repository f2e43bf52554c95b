//! Systems of higher index: their equations are differentiated ([`crate::structural::reduce`]), and what states must
//! satisfy is kept by projection.
//!
//! Projection: with residuals `g(x)` of the invariants and `G = ∂g/∂x` at the point `x` that a step reached, the
//! nearest point of the manifold is found as `x + Gᵀμ` with `g(x + Gᵀμ) = 0`, one equation for each invariant
//! (E. Hairer and G. Wanner, "Solving Ordinary Differential Equations II", ch. VII.2, simplified Newton with the
//! directions of the first point). An invariant that was differentiated moves only the states that came in thereby: first positions
//! are projected, then velocities with positions as they are (ibid., "projection of positions and velocities"). Both at once are
//! badly conditioned where velocities are large: a small shift of positions then does for velocities what a large one of their own does.

use super::emit::Emitter;
use super::kernels::{self, Blocks, Slice};
use super::layout::Layout;
use super::origins::Origins;
use super::{names, report};
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::flat::{Affine, Equation, Expr, HIDDEN, Role, System, Var};
use crate::source::Span;
use crate::structural::problem::Atom;
use crate::structural::reduce::{self, Failure, Key, Reduced};
use crate::structural::{self, Unbalanced};
use rustc_hash::{FxHashMap, FxHashSet};
use twinml_model::ids::{OriginId, VarId};
use twinml_model::ir::{Kernel, Space};
use twinml_model::program::Projection;
use twinml_model::schema::Segment;

/// What index reduction found.
#[derive(Debug, Default)]
pub struct Kept {
    /// Conditions on the start, the lowest derivatives first.
    pub invariants: Vec<Equation>,
    /// New unknowns of the equations: derivatives of unknowns (`false`) and of new states (`true`).
    pub added: Vec<(VarId, bool)>,
    /// How many of the invariants are kept by projection.
    pub projected: u32,
    /// Differentiated equations and how often.
    pub differentiated: Vec<(Span, u32)>,
    /// By projected state: the state's element, and the family of the projected value.
    states: Vec<((VarId, i64), VarId)>,
    unknowns: Vec<VarId>,
    equations: Vec<Equation>,
}

/// A hidden scalar unknown that stands beside an element of `base`.
fn beside(system: &mut System, base: VarId, at: i64, what: &str) -> VarId {
    let b = &system.vars[base.index()];
    let name = format!("{HIDDEN}{what}({})", names::element(&b.path, at));
    let var = Var {
        path: vec![Segment { name, axes: Vec::new() }],
        len: 1,
        role: Role::Unknown,
        value: Vec::new(),
        guess: Vec::new(),
        fixed: false,
        range: None,
        structural: false,
        ..b.clone()
    };
    let id = VarId::new(system.vars.len());
    system.vars.push(var);
    id
}

/// Reduces a system whose equations do not balance. None where that is an error, which is then reported.
pub fn reduce(system: &mut System, u: &Unbalanced, diags: &mut Diagnostics) -> Option<Kept> {
    let is_fixed: Vec<bool> =
        system.vars.iter().map(|v| !matches!(v.role, Role::State | Role::Unknown)).collect();
    // Families made on the way are unknowns.
    let fixed = |v: VarId| is_fixed.get(v.index()).copied().unwrap_or(false);
    let outcome = {
        let system = &mut *system;
        let mut family = |key: Key, state: bool| {
            let what = match (state, key.1) {
                (true, false) => "state",
                (true, true) => "rate",
                (false, false) => "der",
                (false, true) => "der2",
            };
            let id = beside(system, key.0, key.2, what);
            if state {
                // Its start follows from the invariants; what was guessed of the unknown is guessed of it.
                let at = |p: &&crate::flat::Piece| p.loops.is_empty() && p.element == Affine::constant(key.2);
                let guess = system.vars[key.0.index()].guess.iter().find(at).filter(|_| !key.1).cloned();
                let v = &mut system.vars[id.index()];
                v.role = Role::State;
                v.guess = guess
                    .map(|p| crate::flat::Piece { element: Affine::constant(0), ..p })
                    .into_iter()
                    .collect();
            }
            id
        };
        reduce::reduce(&u.problem, &fixed, &mut family)
    };
    let reduced = match outcome {
        Ok(r) => r,
        Err(Failure::Singular) => {
            system.vars.truncate(is_fixed.len());
            report::unbalanced(u, system, report::Phase::Simulation, diags);
            return None;
        }
        Err(Failure::NoDerivative(eq, why)) => {
            diags.push(
                Diagnostic::new(
                    codes::HIGH_INDEX,
                    u.problem.equations[eq].span,
                    "this equation binds states to one another, and cannot be differentiated",
                )
                .here(format!("{why} in it has no derivative known here"))
                .note("an equation that leaves nothing to solve for must be differentiated until it determines a derivative")
                .help("write the derivative as an equation of its own, or compute one of the states as a variable"),
            );
            return None;
        }
    };
    Some(keep(system, u, reduced, &fixed))
}

fn keep(system: &mut System, u: &Unbalanced, r: Reduced, fixed: &dyn Fn(VarId) -> bool) -> Kept {
    let mut kept = Kept::default();
    kept.added.extend(r.derivatives.iter().map(|(_, v)| (*v, false)));
    kept.added.extend(r.states.iter().map(|(.., v)| (*v, true)));
    for (eq, times) in &r.differentiated {
        kept.differentiated.push((u.problem.equations[*eq].span, *times));
    }
    let mut new: FxHashMap<(VarId, i64), VarId> = FxHashMap::default();
    let mut sums: FxHashMap<VarId, Expr> = FxHashMap::default();
    let mut residuals = Vec::new();
    let mut lower = FxHashMap::default();
    for i in &r.invariants {
        kept.invariants.push(i.equation.clone());
        let Some(residual) = &i.residual else { continue };
        let Ok(directions) = reduce::directions(residual, fixed) else { continue };
        let directions = beyond(directions, lower.entry(i.root).or_default());
        let Some(((first, at), _)) = directions.first() else { continue };
        let push = beside(system, *first, *at, "push");
        kept.unknowns.push(push);
        kept.projected += 1;
        for ((var, at), partial) in directions {
            let p = *new.entry((var, at)).or_insert_with(|| {
                let p = beside(system, var, at, "kept");
                kept.states.push(((var, at), p));
                sums.insert(p, Expr::Var(var, Affine::constant(at)));
                p
            });
            let sum = sums.remove(&p).unwrap_or(Expr::Num(0.0));
            sums.insert(p, reduce::plus_product(sum, Expr::Var(push, Affine::constant(0)), partial));
        }
        residuals.push((i.equation.clone(), residual.clone()));
    }
    for (_, p) in &kept.states {
        let Some(right) = sums.remove(p) else { continue };
        let span = system.vars[p.index()].span;
        let left = Expr::Var(*p, Affine::constant(0));
        kept.equations.push(Equation { loops: Vec::new(), left, right, span, owner: String::new() });
    }
    for (equation, residual) in residuals {
        let left = reduce::replaced(&residual, &new);
        kept.equations.push(Equation { left, right: Expr::Num(0.0), ..equation });
    }
    kept.unknowns.extend(kept.states.iter().map(|(_, p)| *p));
    system.equations = r.equations;
    kept
}

/// The directions by states that no lower derivative of the same equation depends on, where there are any: what binds positions
/// moves these, and what binds velocities leaves them where they are. All are `lower` from then on.
fn beyond(directions: Vec<reduce::Direction>, lower: &mut FxHashSet<(VarId, i64)>) -> Vec<reduce::Direction> {
    let all: Vec<_> = directions.iter().map(|d| d.0).collect();
    let (old, new): (Vec<_>, Vec<_>) = directions.into_iter().partition(|d| lower.contains(&d.0));
    lower.extend(all);
    if new.is_empty() { old } else { new }
}

impl Kept {
    /// The kernel that computes the projected states, and where it leaves them.
    pub fn projection(
        &self,
        system: &System,
        layout: &Layout,
        blocks: &mut Blocks<'_>,
        origins: &mut Origins,
    ) -> Option<(Kernel, Projection)> {
        if self.unknowns.is_empty() {
            return None;
        }
        let is_push = |var: VarId| self.states.iter().all(|(_, p)| *p != var);
        let atoms: Vec<Atom> = self
            .unknowns
            .iter()
            .map(|&var| Atom { var, der: false, len: 1, guessed: is_push(var) })
            .collect();
        // Each state has its own equation and each invariant its own push: they pair.
        let solved = structural::solve(atoms, self.equations.clone(), &|_| false).ok()?;
        let mut em = Emitter::new("projection", system, layout, origins);
        // Newton begins at the point itself.
        let zero = Affine::constant(0);
        for &var in self.unknowns.iter().filter(|v| is_push(**v)) {
            let origin = em.origin(system.vars[var.index()].span, "");
            super::store_all(&mut em, &[], &Expr::Num(0.0), layout.value(var, &zero), origin);
        }
        for ((var, at), p) in &self.states {
            let origin = em.origin(system.vars[p.index()].span, "");
            let x = Expr::Var(*var, Affine::constant(*at));
            super::store_all(&mut em, &[], &x, layout.value(*p, &zero), origin);
        }
        let wanted: Vec<_> = self.unknowns.iter().map(|&v| (v, false)).collect();
        let slice = Slice::of(&solved.plan, &solved.problem, wanted);
        kernels::steps(&mut em, blocks, 2, &solved.plan, &solved.problem, &slice);
        let kernel = em.finish().kernel;
        let slot = |var: VarId, at: i64| layout.home(var).1 + at as u32;
        let states = self.states.iter().map(|((v, at), p)| (slot(*v, *at), slot(*p, 0))).collect();
        debug_assert!(self.states.iter().all(|(_, p)| layout.home(*p).0 == Space::Var));
        let mut origins: Vec<OriginId> =
            self.invariants.iter().map(|e| origins.add(e.span, &e.owner)).collect();
        // An equation and its derivative stand at one place.
        origins.sort_unstable_by_key(|o| o.0);
        origins.dedup();
        Some((kernel, Projection { states, origins }))
    }
}
