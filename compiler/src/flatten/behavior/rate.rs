//! Derivatives of what equations define, in conditions: `der(T)` of an input that a connection drives.

use super::super::Flattener;
use crate::diag::{Diagnostic, codes};
use crate::flat::{Affine, Expr, Role, diff};
use crate::source::Span;
use crate::structural::expr;
use twinml_model::ids::VarId;

/// Longest chain of definitions that is followed.
const MAX_CHAIN: usize = 64;

impl<'a> Flattener<'a> {
    /// Puts the derivative of its definition in the place of each derivative of an unknown.
    pub(super) fn settle_rates(&mut self) {
        let mut nexts = std::mem::take(&mut self.system.nexts);
        for e in &mut nexts {
            let right = std::mem::replace(&mut e.right, Expr::Num(0.0));
            e.right = self.settled(right, e.span, 0);
        }
        self.system.nexts = nexts;
        for k in 0..self.system.equations.len() {
            let e = &self.system.equations[k];
            // Only what was added for code: other equations are the index reduction's.
            let hidden = matches!(e.left, Expr::Var(v, _)
                if self.system.vars[v.index()].path.first().is_some_and(|s| s.name.starts_with("$value")));
            if hidden {
                let (span, right) = (e.span, e.right.clone());
                self.system.equations[k].right = self.settled(right, span, 0);
            }
        }
    }

    fn settled(&mut self, e: Expr, span: Span, depth: usize) -> Expr {
        expr::rewrite(&e, &mut |x| match x {
            Expr::Der(v, at) if self.system.vars[v.index()].role != Role::State => {
                match self.rate_of(v, &at, depth) {
                    Some(d) => self.settled(d, span, depth + 1),
                    None => {
                        let path: Vec<&str> =
                            self.system.vars[v.index()].path.iter().map(|s| s.name.as_str()).collect();
                        let d = Diagnostic::new(
                            codes::NO_DERIVATIVE,
                            span,
                            format!("the derivative of `{}` is not known here", path.join(".")),
                        )
                        .note("no equation gives it as a formula of states")
                        .help("use a variable with an equation for it");
                        self.diags.push(d);
                        Expr::Num(0.0)
                    }
                }
            }
            other => other,
        })
    }

    /// The derivative of the formula that defines an element.
    fn rate_of(&self, var: VarId, at: &Affine, depth: usize) -> Option<Expr> {
        if depth >= MAX_CHAIN || self.system.vars[var.index()].role != Role::Unknown {
            return None;
        }
        let mut found = None;
        for e in &self.system.equations {
            let Expr::Var(v, element) = &e.left else { continue };
            if *v != var {
                continue;
            }
            let right = match (&element.terms[..], &e.loops[..]) {
                ([], []) if element == at => e.right.clone(),
                // The same loop over all elements: its index is where the element is.
                ([(index, 1)], [l]) if l.index == *index && !has_fold(&e.right) => {
                    let by = Affine { base: at.base - element.base, terms: at.terms.clone() };
                    let whole = l.hi - l.lo == i64::from(self.system.vars[var.index()].len);
                    let inside = by.terms.is_empty() && (l.lo..l.hi).contains(&by.base);
                    if !(whole || inside) {
                        continue;
                    }
                    expr::substitute_index(&e.right, *index, &by)
                }
                _ => continue,
            };
            if found.replace(right).is_some() {
                return None;
            }
        }
        let fixed = |v: VarId| !matches!(self.system.vars[v.index()].role, Role::State | Role::Unknown);
        diff::time_derivative(&found?, &fixed).ok()
    }
}

fn has_fold(e: &Expr) -> bool {
    let mut any = matches!(e, Expr::Fold(..));
    expr::children(e, &mut |c| any |= has_fold(c));
    any
}
