//! The order of computation as text, for tests and for `--explain`.

use super::Solved;
use super::order::{Assignment, Step};
use crate::flat::print::{print_equation, print_expr};
use crate::flat::{Equation, Expr, Loop, System};
use std::fmt::Write;

/// One line a step; assignments of a loop indented.
pub fn plan(solved: &Solved, system: &System) -> String {
    let mut out = String::new();
    for step in &solved.plan.steps {
        match step {
            Step::Nest { loops, reverse, body, .. } => {
                let indent = if loops.is_empty() { "" } else { "  " };
                if !loops.is_empty() {
                    let way = if *reverse { " downwards" } else { "" };
                    let _ = writeln!(out, "for {}{way}", ranges(loops));
                }
                for a in body {
                    let _ = writeln!(out, "{indent}{}", assignment(a, system));
                }
            }
            Step::Block(b) => {
                let kind = if b.linear { "linear" } else { "nonlinear" };
                let n: i64 = b.unknowns.iter().map(|u| u.1.count).sum();
                let _ = writeln!(out, "solve {kind} block of {n} unknowns");
                for (atom, set) in &b.unknowns {
                    let a = solved.problem.atoms[atom.0 as usize];
                    let name = crate::schedule::names::family(&system.vars[a.var.index()]);
                    let der = if a.der { "der " } else { "" };
                    let _ =
                        writeln!(out, "  unknown {der}{name} {}..={} step {}", set.lo, set.last(), set.step);
                }
                for (loops, a) in &b.inner {
                    let each =
                        if loops.is_empty() { String::new() } else { format!("for {} : ", ranges(loops)) };
                    let _ = writeln!(out, "  {each}{}", assignment(a, system));
                }
                for (_, e) in &b.residuals {
                    let _ = writeln!(out, "  residual {}", print_equation(system, e));
                }
            }
        }
    }
    out
}

fn ranges(loops: &[Loop]) -> String {
    loops.iter().map(|l| format!("i{} in {}..{}", l.index.0, l.lo, l.hi)).collect::<Vec<_>>().join(", ")
}

fn assignment(a: &Assignment, system: &System) -> String {
    let left = if a.target.der {
        Expr::Der(a.target.var, a.target.at.clone())
    } else {
        Expr::Var(a.target.var, a.target.at.clone())
    };
    let e = Equation {
        loops: Vec::new(),
        left,
        right: a.value.clone(),
        span: crate::source::Span::new(crate::source::FileId(0), 0, 0),
        owner: String::new(),
    };
    print_equation(system, &e).replacen(" = ", " := ", 1).replacen(": ", "", 1)
}

/// An expression, for messages.
pub fn expression(e: &Expr, system: &System) -> String {
    print_expr(system, e)
}
