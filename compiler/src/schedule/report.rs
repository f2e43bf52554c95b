//! Structural errors: the smallest set of equations and unknowns that do not fit together, and loops
//! where there may be none.

use super::{is_bool, names};
use crate::diag::{Diagnostic, Diagnostics, Label, codes};
use crate::flat::{Equation, Expr, Role, System};
use crate::source::Span;
use crate::structural::diagnose::{Misfit, misfits};
use crate::structural::order::Step;
use crate::structural::problem::{AtomId, Problem};
use crate::structural::{Solved, Unbalanced, expr};
use std::collections::BTreeSet;

/// Which equations are being solved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Formulas of parameters.
    Parameters,
    /// The start.
    Initialization,
    /// The run.
    Simulation,
}

/// How many names a message lists.
const SHOWN: usize = 6;

fn name(p: &Problem, system: &System, (atom, x): (AtomId, i64)) -> String {
    let a = p.atoms[atom.0 as usize];
    let path = names::element(&system.vars[a.var.index()].path, x);
    if a.der { format!("der({path})") } else { path }
}

fn list(mut items: Vec<String>) -> String {
    items.dedup();
    let more = items.len().saturating_sub(SHOWN);
    items.truncate(SHOWN);
    let quoted: Vec<String> = items.iter().map(|s| format!("`{s}`")).collect();
    if more > 0 { format!("{} and {more} more", quoted.join(", ")) } else { quoted.join(", ") }
}

fn plural(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// Reports what does not balance.
pub fn unbalanced(u: &Unbalanced, system: &System, phase: Phase, diags: &mut Diagnostics) {
    let found = misfits(u);
    let mut seen: BTreeSet<(bool, Option<Span>)> = BTreeSet::new();
    let mut any = false;
    let mut high_index: Option<Diagnostic> = None;
    let mut of_states = false;
    // States whose derivatives are determined twice: an equation among them has no force of its own for that reason alone.
    let twice: BTreeSet<_> = found.iter().filter(|m| m.over).flat_map(|m| rates(&u.problem, m)).collect();
    for misfit in &found {
        // What an equation among states leaves undetermined is the same mistake.
        if of_states && !misfit.over {
            continue;
        }
        let d = match misfit.over {
            true => {
                let open = found.iter().find(|o| !o.over && same_ports(u, system, misfit, o));
                let d = over(u, system, phase, misfit);
                match open {
                    Some(o) if d.code == codes::OVERDETERMINED => both(u, system, o, d),
                    _ => d,
                }
            }
            false => {
                let with = |o: &Misfit| o.over && same_ports(u, system, o, misfit);
                if phase == Phase::Simulation && found.iter().any(with) {
                    continue;
                }
                under(u, system, phase, misfit)
            }
        };
        let is_high_index = d.code == codes::HIGH_INDEX;
        of_states |= is_high_index;
        let follows = |&e: &usize| !states(&u.problem, system, e).is_disjoint(&twice);
        if is_high_index && misfit.equations.iter().any(follows) {
            continue;
        }
        // One message a place: elements of an array share their declaration.
        if seen.insert((misfit.over, Some(d.primary.span))) {
            any = true;
            match &mut high_index {
                Some(first) if is_high_index => {
                    first.labels.push(Label { span: d.primary.span, text: String::from("this one, too") });
                }
                None if is_high_index => high_index = Some(d),
                _ => diags.push(d),
            }
        }
        if seen.len() >= 8 {
            break;
        }
    }
    if let Some(d) = high_index {
        diags.push(d);
    }
    debug_assert!(any, "an unbalanced system has a misfit");
}

/// The variables whose derivatives are among the unknowns of a set.
fn rates(p: &Problem, m: &Misfit) -> BTreeSet<usize> {
    let atoms = m.unknowns.iter().map(|(a, _)| p.atoms[a.0 as usize]);
    atoms.filter(|a| a.der).map(|a| a.var.index()).collect()
}

/// The states that an equation mentions.
fn states(p: &Problem, system: &System, equation: usize) -> BTreeSet<usize> {
    let e = &p.equations[equation];
    let mut out = BTreeSet::new();
    for side in [&e.left, &e.right] {
        expr::uses(side, &mut |u| {
            out.extend(Some(u.var.index()).filter(|v| system.vars[*v].role == Role::State))
        });
    }
    out
}

/// Whether one set determines potentials of ports too often and the other leaves the flows of the same ports open.
fn same_ports(u: &Unbalanced, system: &System, over: &Misfit, under: &Misfit) -> bool {
    let ports = |m: &Misfit| -> BTreeSet<String> {
        let names = m.unknowns.iter().map(|&x| name(&u.problem, system, x));
        names.filter_map(|n| n.rsplit_once('.').map(|(port, _)| port.to_owned())).collect()
    };
    !ports(over).is_disjoint(&ports(under))
}

/// One message for what is determined twice and what is open for the same reason: two ideal sources in parallel.
fn both(u: &Unbalanced, system: &System, open: &Misfit, mut d: Diagnostic) -> Diagnostic {
    let names: Vec<String> = open.unknowns.iter().map(|&x| name(&u.problem, system, x)).collect();
    d.notes.push(format!("for the same reason nothing determines {}", list(names)));
    d.help(
        "what fixes a potential twice cannot stand in parallel, and what fixes a flow twice not in series: remove one of \
         them, or put a resistance between",
    )
}

fn over(u: &Unbalanced, system: &System, phase: Phase, m: &Misfit) -> Diagnostic {
    let p = &u.problem;
    let last = m.equations.last().copied().unwrap_or(0);
    let span = p.equations[last].span;
    if phase == Phase::Parameters {
        let names: Vec<String> = m.unknowns.iter().map(|&x| name(p, system, x)).collect();
        return Diagnostic::new(
            codes::PARAMETER_TWICE,
            span,
            format!("parameter {} has two values", list(names)),
        )
        .here("a second value");
    }
    let equations = plural(m.equations.len(), "equation");
    let unknowns = plural(m.unknowns.len(), "unknown");
    let constrains_states = m.unknowns.is_empty() && !states(p, system, last).is_empty();
    if constrains_states && phase == Phase::Simulation {
        return Diagnostic::new(
            codes::HIGH_INDEX,
            span,
            "this equation binds states that other equations determine already",
        )
        .here("every quantity in it is a state or known")
        .note(
            "an equation among states is differentiated until it determines something, a force or a current; here \
             nothing is left for it to determine",
        )
        .help("declare in `variables` what holds the states together and use it in their equations, or remove this one");
    }
    let (code, what) = match phase {
        Phase::Initialization => (codes::INITIAL_OVERDETERMINED, "the start has too many conditions"),
        _ => (codes::OVERDETERMINED, "too many equations"),
    };
    let names: Vec<String> = m.unknowns.iter().map(|&x| name(p, system, x)).collect();
    let mut d = Diagnostic::new(code, span, format!("{what}: {equations} for {unknowns}"));
    d = if names.is_empty() {
        d.here("nothing in this equation is unknown")
    } else {
        d.here("one equation too many").note(format!("the unknowns of these equations: {}", list(names)))
    };
    let mut labelled = BTreeSet::from([span]);
    for &eq in m.equations.iter().take(SHOWN + 1) {
        let s = p.equations[eq].span;
        if labelled.insert(s) {
            d = d.label(s, "also determines these unknowns");
        }
    }
    d.help(match phase {
        Phase::Initialization => "remove an initial equation, or turn a start `=` into a `guess`",
        _ => "remove one of these equations, or declare what it should determine in `variables`",
    })
}

fn under(u: &Unbalanced, system: &System, phase: Phase, m: &Misfit) -> Diagnostic {
    let p = &u.problem;
    let first = m.unknowns.first().copied();
    let var = first.map(|(a, _)| &system.vars[p.atoms[a.0 as usize].var.index()]);
    let span = var.map_or_else(|| Span::new(crate::source::FileId(0), 0, 0), |v| v.span);
    let shown = first.map_or_else(String::new, |x| name(p, system, x));
    if phase == Phase::Initialization {
        let state = m
            .unknowns
            .iter()
            .find(|(a, _)| {
                let atom = p.atoms[a.0 as usize];
                !atom.der
                    && system.vars[atom.var.index()].role == Role::State
                    && !system.vars[atom.var.index()].fixed
            })
            .copied();
        let shown = state.map_or(shown, |x| name(p, system, x));
        let span = state.map_or(span, |(a, _)| system.vars[p.atoms[a.0 as usize].var.index()].span);
        return Diagnostic::new(
            codes::STATE_NOT_FIXED,
            span,
            format!("nothing fixes the start of `{shown}`"),
        )
        .here("this state has no start value")
        .help("give it a start with `= value`, or add a condition under `initial equations`");
    }
    let names: Vec<String> = m.unknowns.iter().map(|&x| name(p, system, x)).collect();
    let count = plural(m.unknowns.len(), "unknown");
    let mut d = Diagnostic::new(
        codes::UNDERDETERMINED,
        span,
        if m.equations.is_empty() {
            format!("nothing determines `{shown}`")
        } else {
            format!("too few equations: {count}, {}", plural(m.equations.len(), "equation"))
        },
    );
    d = if m.equations.is_empty() {
        d.here("no equation mentions it")
    } else {
        d.here("declared here").note(format!("the unknowns: {}", list(names)))
    };
    let mut labelled = BTreeSet::from([span]);
    for &eq in m.equations.iter().take(SHOWN) {
        let s = p.equations[eq].span;
        if labelled.insert(s) {
            d = d.label(s, "mentions these unknowns");
        }
    }
    d.help("add an equation, give it a value, or connect what should drive it")
}

/// Reports algebraic loops that contain truth values: Newton's method cannot solve those.
pub fn boolean_loops(solved: &Solved, system: &System, diags: &mut Diagnostics) -> bool {
    let mut any = false;
    for step in &solved.plan.steps {
        let Step::Block(b) = step else { continue };
        let p = &solved.problem;
        let truth = b.equations.iter().copied().find(|&eq| {
            let e = &p.equations[eq];
            matches!(&e.left, Expr::Var(v, _) if is_bool(system, *v))
                || matches!(e.right, Expr::Bool(_) | Expr::Not(_))
        });
        if let Some(eq) = truth {
            any = true;
            diags.push(
                Diagnostic::new(
                    codes::TRUTH_IN_LOOP,
                    p.equations[eq].span,
                    "a truth value depends on itself",
                )
                .here("part of an algebraic loop")
                .help("break the loop with a state: a truth value that is remembered changes in `behavior`"),
            );
        }
    }
    any
}

/// Reports formulas that read what they define. Solved as equations they would have a value, which nobody wrote.
pub fn own(definitions: &[Equation], system: &System, phase: Phase, diags: &mut Diagnostics) -> bool {
    let mut any = false;
    for e in definitions {
        let Expr::Var(v, at) = &e.left else { continue };
        let mut reads = false;
        expr::uses(&e.right, &mut |u| reads |= u.var == *v && !u.der && u.at == *at && u.dynamic.is_none());
        if !reads {
            continue;
        }
        any = true;
        let (code, what) = match phase {
            Phase::Parameters => (codes::PARAMETER_CYCLE, "this parameter is defined by itself"),
            _ => (codes::START_CYCLE, "this start value is defined by itself"),
        };
        let name = names::family(&system.vars[v.index()]);
        diags.push(
            Diagnostic::new(code, e.span, format!("{what}: `{name}`"))
                .here("it would have to be known already")
                .help("give it a value that does not depend on it"),
        );
    }
    any
}

/// Reports loops among formulas that must be computable one after the other.
pub fn cycles(solved: &Solved, system: &System, phase: Phase, diags: &mut Diagnostics) -> bool {
    let mut any = false;
    for step in &solved.plan.steps {
        let Step::Block(b) = step else { continue };
        any = true;
        let p = &solved.problem;
        let spans: Vec<Span> = b.equations.iter().map(|&e| p.equations[e].span).collect();
        let names: Vec<String> = b
            .equations
            .iter()
            .filter_map(|&e| match &p.equations[e].left {
                Expr::Var(v, at) => Some(names::element(&system.vars[v.index()].path, at.base)),
                _ => None,
            })
            .collect();
        let Some(&first) = spans.first() else { continue };
        let (code, what) = match phase {
            Phase::Parameters => (codes::PARAMETER_CYCLE, "these parameters are defined by one another"),
            _ => (codes::START_CYCLE, "these start values are defined by one another"),
        };
        let mut d =
            Diagnostic::new(code, first, format!("{what}: {}", list(names))).here("part of the cycle");
        for &s in spans.iter().skip(1).take(SHOWN) {
            d = d.label(s, "part of the cycle");
        }
        diags.push(d.help("give one of them a value that does not depend on the others"));
    }
    any
}
