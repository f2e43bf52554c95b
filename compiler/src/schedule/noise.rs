//! White noise: where it may stand, and what of the system it reaches.
//!
//! A solver for stochastic equations needs `dx = a(x, t) dt + B(x, t) dW`: derivatives affine in the noise. This is
//! checked family by family in the order of computation; then drift and diffusion need no kernels of their own, since
//! `rhs` with the noise set to `n` is `a + B·n`. White noise has no value at an instant, so nothing that asks for one
//! may read it: starts, comparisons, handlers, requirements, records, `delay`.

use super::relations::Relation;
use super::{index, names, ranges};
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::flat::{self, BinOp, Expr, Fold, Role, System, UnOp};
use crate::source::Span;
use crate::structural::order::{Assignment, Step};
use crate::structural::{Solved, expr};
use rustc_hash::FxHashSet;
use twinml_model::behavior::{Instr, Which};
use twinml_model::ids::VarId;

/// Families of values (`false`) or derivatives (`true`) that white noise reaches.
pub type Noisy = FxHashSet<(VarId, bool)>;

/// How white noise enters an expression.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Degree {
    /// Not at all.
    None,
    /// As a factor of a term.
    Affine,
    /// In any other way.
    Other,
}
use Degree::{Affine, None as Free, Other};

/// What [`check`] looks through beside the equations.
pub struct Around<'a> {
    /// The equations in their order.
    pub solved: &'a Solved,
    /// Relations taken out of the equations.
    pub relations: &'a [Relation],
    /// Watched ranges.
    pub ranges: &'a [ranges::Range],
    /// Families kept for `delay`.
    pub delayed: &'a [VarId],
    /// What index reduction did.
    pub kept: &'a index::Kept,
}

/// What white noise reaches; with errors where it must not be.
pub fn check(system: &System, around: &Around<'_>, diags: &mut Diagnostics) -> Noisy {
    let mut noisy = Noisy::default();
    if system.noises.is_empty() {
        return noisy;
    }
    noisy.extend(system.noises.iter().map(|n| (n.var, false)));
    if let Some((span, _)) = around.kept.differentiated.first() {
        let d = Diagnostic::new(codes::NOISE_PLACE, *span, "this equation would have to be differentiated")
            .here("it ties states to one another")
            .label(system.noises[0].span, "and this noise has no derivative")
            .help("solve the equation by hand for what it determines, and leave the other states out");
        diags.push(d);
        return noisy;
    }
    order(system, around.solved, &mut noisy, diags);
    places(system, around, &noisy, diags);
    noisy
}

/// Goes through the steps in order.
fn order(system: &System, solved: &Solved, noisy: &mut Noisy, diags: &mut Diagnostics) {
    let problem = &solved.problem;
    let mut bad: Vec<Span> = Vec::new();
    let assign = |a: &Assignment, noisy: &mut Noisy, bad: &mut Vec<Span>| {
        let span = problem.equations[a.equation].span;
        match degree(&a.value, noisy) {
            Free => {}
            d => {
                if d == Other && !bad.contains(&span) {
                    bad.push(span);
                }
                noisy.insert((a.target.var, a.target.der));
            }
        }
    };
    for step in &solved.plan.steps {
        match step {
            // Rounds may read earlier rounds of what stands further down.
            Step::Nest { body, .. } => loop {
                let before = noisy.len();
                for a in body {
                    assign(a, noisy, &mut bad);
                }
                if noisy.len() == before {
                    break;
                }
            },
            Step::Block(b) => {
                let reads = |e: &Expr| degree(e, noisy) > Free;
                if !b.inner.iter().any(|(_, a)| reads(&a.value))
                    && !b.residuals.iter().any(|(_, e)| reads(&e.left) || reads(&e.right))
                {
                    continue;
                }
                // The unknowns follow the noise: they are affine in it where the equations are affine in both.
                noisy.extend(b.unknowns.iter().map(|(atom, _)| {
                    let a = problem.atoms[atom.0 as usize];
                    (a.var, a.der)
                }));
                noisy.extend(b.inner.iter().map(|(_, a)| (a.target.var, a.target.der)));
                for (_, a) in &b.inner {
                    assign(a, noisy, &mut bad);
                }
                for (_, e) in &b.residuals {
                    if degree(&e.left, noisy).max(degree(&e.right, noisy)) == Other && !bad.contains(&e.span)
                    {
                        bad.push(e.span);
                    }
                }
            }
        }
    }
    for span in bad {
        let d = Diagnostic::new(codes::NOISE_NOT_AFFINE, span, "white noise enters this equation not linearly")
            .here("more than a sum of terms with the noise as one factor")
            .label(system.noises[0].span, "white noise")
            .note("a product of noises, a function or a comparison of white noise has no meaning: its values are infinite")
            .help("write a derivative as a drift plus intensities times noises: `der(x) = f + g*white_noise()`");
        diags.push(d);
    }
}

/// What needs a value reads no noise.
fn places(system: &System, around: &Around<'_>, noisy: &Noisy, diags: &mut Diagnostics) {
    let reads = |e: &Expr| degree(e, noisy) > Free;
    let mut said: FxHashSet<Span> = FxHashSet::default();
    let mut refuse = |span: Span, what: &str| {
        if said.insert(span) {
            diags.push(
                Diagnostic::new(codes::NOISE_PLACE, span, format!("{what} white noise"))
                    .here("this needs a value")
                    .note("white noise has no value at an instant: it only drives derivatives")
                    .help("give the noise a bandwidth by a state of its own, `der(y) = (w - y)/tau`, and use `y`"),
            );
        }
    };
    for r in around.relations {
        if reads(&r.root) || reads(&r.fresh) {
            refuse(r.span, "a comparison of");
        }
    }
    for r in around.ranges {
        if reads(&r.is.right) {
            refuse(r.is.span, "a range of");
        }
    }
    for e in &system.nexts {
        if reads(&e.right) {
            refuse(e.span, "a condition over");
        }
    }
    for v in around.delayed {
        if noisy.contains(&(*v, false)) {
            refuse(system.vars[v.index()].span, "a delay of");
        }
    }
    for e in &system.initial_equations {
        if reads(&e.left) || reads(&e.right) {
            refuse(e.span, "a start from");
        }
    }
    for v in &system.vars {
        for p in v.value.iter().chain(&v.guess) {
            if reads(&p.expr) {
                refuse(p.span, "a start from");
            }
        }
    }
    let branches = system.branches.iter().flat_map(|b| &b.actions);
    for (_, p) in system.actions.iter().chain(branches).flat_map(|a| &a.assigns) {
        if reads(&p.expr) {
            refuse(p.span, "a value from");
        }
    }
    for c in &system.behavior.model.codes {
        for (i, origin) in c.instrs.iter().zip(&c.origins) {
            let (var, which) = match i {
                Instr::Load(_, slot, which, _) => (slot.var, *which),
                Instr::LoadArray(_, slot, ..) => (slot.var, Which::Value),
                _ => continue,
            };
            if noisy.contains(&(var, which == Which::Der)) && which != Which::Start {
                let span = system.behavior.places.get(origin.index()).map(|p| p.0).unwrap_or_default();
                refuse(span, "a handler reads");
            }
        }
    }
    // What no derivative needs is wanted for its value.
    let needed = needed(around.solved);
    for (k, v) in system.vars.iter().enumerate() {
        let var = VarId::new(k);
        if v.role != Role::Unknown || !noisy.contains(&(var, false)) || needed.contains(&(var, false)) {
            continue;
        }
        let hidden = v.path.first().is_some_and(|s| s.name.starts_with(flat::HIDDEN));
        if hidden {
            // A margin or a figure: the place is its formula's.
            let of = |e: &&flat::Equation| matches!(e.left, Expr::Var(x, _) if x == var);
            let span = system.equations.iter().find(of).map_or(v.span, |e| e.span);
            refuse(span, "a requirement or a figure over");
        } else {
            refuse(v.span, &format!("`{}` drives no derivative and holds", names::family(v)));
        }
    }
}

/// Everything that derivatives depend on.
fn needed(solved: &Solved) -> Noisy {
    let atoms = &solved.problem.atoms;
    let mut live: Noisy = atoms.iter().filter(|a| a.der).map(|a| (a.var, true)).collect();
    loop {
        let before = live.len();
        let add = |e: &Expr, live: &mut Noisy| {
            expr::uses(e, &mut |u| {
                live.insert((u.var, u.der));
            });
        };
        for step in solved.plan.steps.iter().rev() {
            match step {
                Step::Nest { body, .. } => {
                    for a in body.iter().rev() {
                        if live.contains(&(a.target.var, a.target.der)) {
                            add(&a.value, &mut live);
                        }
                    }
                }
                Step::Block(b) => {
                    let wanted =
                        b.unknowns.iter().any(|(atom, _)| {
                            let a = atoms[atom.0 as usize];
                            live.contains(&(a.var, a.der))
                        }) || b.inner.iter().any(|(_, a)| live.contains(&(a.target.var, a.target.der)));
                    if wanted {
                        b.inner.iter().for_each(|(_, a)| add(&a.value, &mut live));
                        for (_, e) in &b.residuals {
                            add(&e.left, &mut live);
                            add(&e.right, &mut live);
                        }
                    }
                }
            }
        }
        if live.len() == before {
            return live;
        }
    }
}

fn degree(e: &Expr, noisy: &Noisy) -> Degree {
    let go = |e: &Expr| degree(e, noisy);
    let only = |d: Degree| if d == Free { Free } else { Other };
    match e {
        Expr::Num(_) | Expr::Bool(_) | Expr::Time | Expr::Index(_) | Expr::Start(..) => Free,
        Expr::Var(v, _) if noisy.contains(&(*v, false)) => Affine,
        Expr::Der(v, _) if noisy.contains(&(*v, true)) => Affine,
        Expr::Var(..) | Expr::Der(..) => Free,
        Expr::VarAt { var, at, .. } => {
            let own = if noisy.contains(&(*var, false)) { Affine } else { Free };
            own.max(only(go(at)))
        }
        Expr::Un(UnOp::Neg, a) | Expr::NoEvent(a) => go(a),
        Expr::Bin(BinOp::Add | BinOp::Sub, a, b) => go(a).max(go(b)),
        Expr::Bin(BinOp::Mul, a, b) => match (go(a), go(b)) {
            (Free, d) | (d, Free) => d,
            _ => Other,
        },
        Expr::Bin(BinOp::Div, a, b) => go(a).max(only(go(b))),
        Expr::If(c, a, b) => only(go(c)).max(go(a)).max(go(b)),
        Expr::Fold(Fold::Sum, _, a) => go(a),
        // What is delayed is a family of its own, which may hold none.
        Expr::Delay(a, b) => only(go(a)).max(only(go(b))),
        _ => {
            let mut worst = Free;
            expr::children(e, &mut |c| worst = worst.max(only(go(c))));
            worst
        }
    }
}
