//! What runs once: formulas of parameters, and the start.

use super::emit::Emitter;
use super::kernels::{self, Blocks, Slice};
use super::layout::Layout;
use super::origins::Origins;
use super::{literal, report};
use crate::diag::Diagnostics;
use crate::flat::{Affine, Equation, Expr, Loop, Piece, Role, System};
use crate::structural::order::Divisor;
use crate::structural::problem::{Atom, Problem};
use crate::structural::{self, expr, reduce};
use rustc_hash::FxHashSet;
use twinml_model::ids::{Index, VarId};
use twinml_model::ir::{Kernel, Place, Space};

/// The equation `family[element] = formula` of a piece.
fn definition(var: VarId, piece: &Piece) -> Equation {
    Equation {
        loops: piece.loops.clone(),
        left: Expr::Var(var, piece.element.clone()),
        right: piece.expr.clone(),
        span: piece.span,
        owner: String::new(),
    }
}

/// Formulas of parameters, in the order of their dependencies; those of some families are left out.
pub fn params(
    system: &System,
    layout: &Layout,
    without: &FxHashSet<VarId>,
    origins: &mut Origins,
    diags: &mut Diagnostics,
) -> Option<Kernel> {
    let mut equations = Vec::new();
    let mut atoms = Vec::new();
    for (k, v) in system.vars.iter().enumerate() {
        let var = VarId::new(k);
        if v.role != Role::Parameter || without.contains(&var) {
            continue;
        }
        let formulas: Vec<&Piece> = v.value.iter().filter(|p| literal(&p.expr).is_none()).collect();
        if !formulas.is_empty() {
            atoms.push(Atom { var, der: false, len: v.len, guessed: !v.guess.is_empty() });
            // Literal pieces stand for themselves in the order.
            equations.extend(v.value.iter().map(|p| definition(var, p)));
        }
    }
    if report::own(&equations, system, report::Phase::Parameters, diags) {
        return None;
    }
    let solved = match structural::solve(atoms, equations, &|_| false) {
        Ok(s) => s,
        Err(u) => {
            report::unbalanced(&u, system, report::Phase::Parameters, diags);
            return None;
        }
    };
    if report::cycles(&solved, system, report::Phase::Parameters, diags) {
        return None;
    }
    let mut blocks = Blocks::new(system, layout);
    let wanted: Vec<_> = solved.problem.atoms.iter().map(|a| (a.var, false)).collect();
    let slice = Slice::of(&solved.plan, &solved.problem, wanted);
    let mut em = Emitter::new("params", system, layout, origins);
    kernels::steps(&mut em, &mut blocks, 0, &solved.plan, &solved.problem, &slice);
    Some(em.finish().kernel)
}

/// A parameter whose formula reads what only the start determines (textbook models may have such) is a
/// discrete value, fixed when everything else is.
pub fn fix_late_parameters(system: &mut System) {
    loop {
        let late: Vec<usize> = (0..system.vars.len())
            .filter(|&k| {
                let v = &system.vars[k];
                let mut reads = false;
                for p in v.value.iter().filter(|_| v.role == Role::Parameter) {
                    expr::uses(&p.expr, &mut |u| reads |= system.vars[u.var.index()].role != Role::Parameter);
                }
                reads
            })
            .collect();
        if late.is_empty() {
            return;
        }
        for k in late {
            system.vars[k].role = Role::Discrete;
        }
    }
}

/// Start values read in a start formula are the states' own values at that instant.
fn started(e: &Expr, system: &System) -> Expr {
    expr::rewrite(e, &mut |x| match x {
        Expr::Start(v, at) if system.vars[v.index()].role != Role::Parameter => Expr::Var(v, at),
        other => other,
    })
}

/// What the start must lead into.
pub struct Simulation<'a> {
    /// The equations of the run.
    pub solved: &'a structural::Solved,
    /// What states must satisfy beside them.
    pub invariants: &'a [Equation],
}

/// Those of the invariants that find something about the start that nothing else fixes. The others are implied
/// (or contradicted: the first projection tells).
fn independent(atoms: &[Atom], equations: &[Equation], invariants: &[Equation]) -> Vec<Equation> {
    if invariants.is_empty() {
        return Vec::new();
    }
    let mut first = vec![0usize; atoms.len() + 1];
    for (k, a) in atoms.iter().enumerate() {
        first[k + 1] = first[k] + a.len as usize;
    }
    let all: Vec<Equation> = equations.iter().chain(invariants).cloned().collect();
    let p = Problem::new(atoms.to_vec(), all).expanded();
    let uses: Vec<Vec<usize>> = p
        .refs
        .iter()
        .map(|refs| {
            let elements = refs.iter().filter(|r| r.matchable).flat_map(|r| {
                let base = first[r.atom.0 as usize];
                r.cover.iter().flat_map(|s| s.iter()).map(move |x| base + x as usize)
            });
            elements.collect()
        })
        .collect();
    let chosen = reduce::pair(&uses, first[atoms.len()]);
    let from = chosen.len() - invariants.len();
    invariants.iter().zip(&chosen[from..]).filter(|(_, c)| c.is_some()).map(|(e, _)| e.clone()).collect()
}

/// The initial kernel: inputs and discrete values given by formulas, guesses, states, then the slots that
/// keep start values.
pub fn initial(
    system: &System,
    layout: &Layout,
    blocks: &mut Blocks<'_>,
    run: &Simulation<'_>,
    divisor: Divisor<'_>,
    origins: &mut Origins,
    diags: &mut Diagnostics,
) -> Option<Kernel> {
    let simulation = run.solved;
    let mut states = Vec::new();
    let mut starts = Vec::new();
    let mut free = false;
    let mut reads_unknowns = false;
    let mut placed = vec![false; system.vars.len()];
    for (k, v) in system.vars.iter().enumerate() {
        let var = VarId::new(k);
        if v.role == Role::Discrete {
            // Formulas over more than parameters take part in finding the start.
            let mut reads = false;
            for p in &v.value {
                expr::uses(&started(&p.expr, system), &mut |u| {
                    let role = system.vars[u.var.index()].role;
                    reads |= role != Role::Parameter;
                    reads_unknowns |= role == Role::Unknown || u.der;
                });
            }
            if reads {
                placed[k] = true;
                states.push(Atom { var, der: false, len: v.len, guessed: !v.guess.is_empty() });
                for p in &v.value {
                    let mut e = definition(var, p);
                    e.right = started(&e.right, system);
                    starts.push(e);
                }
            }
        }
        if v.role != Role::State {
            continue;
        }
        states.push(Atom { var, der: false, len: v.len, guessed: !v.guess.is_empty() });
        if v.fixed {
            for p in &v.value {
                let mut e = definition(var, p);
                e.right = started(&e.right, system);
                expr::uses(&e.right, &mut |u| {
                    reads_unknowns |= system.vars[u.var.index()].role == Role::Unknown || u.der
                });
                starts.push(e);
            }
        } else {
            free = true;
        }
    }
    if report::own(&starts, system, report::Phase::Initialization, diags) {
        return None;
    }
    let whole = free || reads_unknowns || !system.initial_equations.is_empty() || !run.invariants.is_empty();
    let (atoms, equations) = if whole {
        let mut atoms = states.clone();
        atoms.extend(&simulation.problem.atoms);
        let mut equations = starts;
        equations.extend(system.initial_equations.iter().map(|e| Equation {
            left: started(&e.left, system),
            right: started(&e.right, system),
            ..e.clone()
        }));
        // Where the loops of a run stay, its equations lie in the problem.
        let families =
            if system.equations.is_empty() { &simulation.problem.equations } else { &system.equations };
        equations.extend(families.iter().cloned());
        equations.extend(independent(&atoms, &equations, run.invariants));
        (atoms, equations)
    } else {
        (states.clone(), starts)
    };
    let solved = match structural::solve_network(system.network, atoms, equations, divisor) {
        Ok(s) => s,
        Err(u) => {
            report::unbalanced(&u, system, report::Phase::Initialization, diags);
            return None;
        }
    };
    if !whole && report::cycles(&solved, system, report::Phase::Initialization, diags) {
        return None;
    }

    let mut em = Emitter::new("initial", system, layout, origins);
    for (k, v) in system.vars.iter().enumerate() {
        let var = VarId::new(k);
        let pieces = match v.role {
            Role::Discrete if placed[k] => continue,
            Role::Input | Role::Discrete => &v.value,
            Role::State | Role::Unknown => &v.guess,
            Role::Parameter => continue,
        };
        for p in pieces.iter().filter(|p| literal(&p.expr).is_none()) {
            let origin = em.origin(p.span, "");
            super::store_all(&mut em, &p.loops, &p.expr, layout.value(var, &p.element), origin);
        }
    }
    // Where initial equations use `x.start` of what they compute, the slots follow the values.
    let kept: Vec<(VarId, u32)> = layout.with_start().collect();
    let needs_outputs = kept.iter().any(|(v, _)| system.vars[v.index()].role == Role::Unknown);
    if whole {
        let wanted: Vec<_> = solved.problem.atoms.iter().map(|a| (a.var, a.der)).collect();
        let slice = Slice::of(&solved.plan, &solved.problem, wanted);
        kernels::steps(&mut em, blocks, 1, &solved.plan, &solved.problem, &slice);
    } else {
        let wanted: Vec<_> = states.iter().map(|a| (a.var, false)).collect();
        let slice = Slice::of(&solved.plan, &solved.problem, wanted);
        kernels::steps(&mut em, blocks, 1, &solved.plan, &solved.problem, &slice);
    }
    let copy = |em: &mut Emitter<'_>, of: &dyn Fn(Role) -> bool| {
        for &(var, base) in &kept {
            let v = &system.vars[var.index()];
            if !of(v.role) {
                continue;
            }
            let l = Loop { index: Index(0), lo: 0, hi: i64::from(v.len) };
            let at = Affine::constant(0).plus(l.index, 1);
            let place =
                Place { space: Space::Param, at: Affine { base: at.base + i64::from(base), ..at.clone() } };
            let origin = em.origin(v.span, "");
            super::store_all(em, &[l], &Expr::Var(var, at), place, origin);
        }
    };
    copy(&mut em, &|r| r != Role::Unknown);
    if needs_outputs {
        if !whole {
            let (plan, problem): (_, &Problem) = (&simulation.plan, &simulation.problem);
            let wanted: Vec<_> = kept.iter().map(|(v, _)| (*v, false)).collect();
            kernels::steps(&mut em, blocks, 0, plan, problem, &Slice::of(plan, problem, wanted));
        }
        copy(&mut em, &|r| r == Role::Unknown);
    }
    Some(em.finish().kernel)
}
