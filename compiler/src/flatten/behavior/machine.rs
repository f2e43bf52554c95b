//! Equations of machines' states: what holds while a state is active becomes equations that hold always.

use super::super::Flattener;
use super::super::drive::Means;
use super::super::expr::{bin, choose, logic};
use super::super::scope::{InstId, R, Scope};
use crate::diag::{Diagnostic, codes};
use crate::flat::{BinOp, BoolOp, CmpOp, Expr};
use crate::hir::behavior::{Machine, State};
use crate::hir::{self, ExprKind, Subscript};
use crate::source::Span;

/// An equation of a leaf.
#[derive(Clone, Copy)]
struct Held<'a> {
    left: &'a hir::Expr,
    right: &'a hir::Expr,
    span: Span,
}

/// What holds in one leaf.
struct Leaf<'a> {
    name: &'a str,
    span: Span,
    held: Vec<(String, Held<'a>)>,
}

impl<'a> Flattener<'a> {
    /// The equations of all machines of an instance family.
    pub(in super::super) fn machine_equations(&mut self, inst: InstId) {
        let class = self.inst(inst).class;
        for m in &class.behavior.machines {
            for e in &m.equations {
                self.unit(inst, &mut |s, scope| s.equation(e, scope, false));
            }
            let mut leaves = Vec::new();
            if self.leaves(&m.states, &[], &mut leaves).is_err() || leaves.iter().all(|l| l.held.is_empty()) {
                continue;
            }
            let Some((common, rest)) = self.sort_out(m, &leaves) else { continue };
            let Some(&id) = self.behaving.machines.get(&(inst, m.name.clone())) else { continue };
            let var = self.behaving.out.machines[id as usize].var;
            self.unit(inst, &mut |s, scope| {
                for list in common.iter().chain(&rest) {
                    s.one_of_leaves(list, var, scope, common.iter().any(|c| std::ptr::eq(c, list)))?;
                }
                Ok(())
            });
        }
    }

    fn leaves(&mut self, list: &'a [State], outer: &[(String, Held<'a>)], out: &mut Vec<Leaf<'a>>) -> R<()> {
        for s in list {
            let mut held = outer.to_vec();
            for e in &s.equations {
                match e {
                    hir::Equation::Equal { left, right, span, .. } => {
                        let key = key_of(left);
                        // An inner state's equation stands before an outer one's.
                        held.retain(|(k, _)| *k != key);
                        held.push((key, Held { left, right, span: *span }));
                    }
                    hir::Equation::For { span, .. } | hir::Equation::If { span, .. } => {
                        return Err(self.refuse(
                            codes::LATER_MACHINE,
                            *span,
                            "a loop or a choice of equations in a state",
                        ));
                    }
                }
            }
            if s.states.is_empty() {
                out.push(Leaf { name: &s.name, span: s.span, held });
            } else {
                self.leaves(&s.states, &held, out)?;
            }
        }
        Ok(())
    }

    /// Equations that all leaves have for the same left side, and the others in pairs; each list has one
    /// entry a leaf.
    #[expect(clippy::type_complexity, reason = "two lists of lists")]
    fn sort_out(
        &mut self,
        m: &Machine,
        leaves: &[Leaf<'a>],
    ) -> Option<(Vec<Vec<Held<'a>>>, Vec<Vec<Held<'a>>>)> {
        let first = leaves.first()?;
        let in_all = |key: &str| leaves.iter().all(|l| l.held.iter().any(|(k, _)| k == key));
        let mut common = Vec::new();
        for (key, _) in first.held.iter().filter(|(k, _)| in_all(k)) {
            let find = |l: &Leaf<'a>| l.held.iter().find(|(k, _)| k == key).map(|(_, h)| *h);
            common.push(leaves.iter().filter_map(find).collect());
        }
        let others: Vec<Vec<&(String, Held<'a>)>> =
            leaves.iter().map(|l| l.held.iter().filter(|(k, _)| !in_all(k)).collect()).collect();
        let most = others.iter().map(Vec::len).max().unwrap_or(0);
        let full = others.iter().position(|o| o.len() == most).unwrap_or(0);
        for (leaf, o) in leaves.iter().zip(&others) {
            if o.len() < most {
                let missing = others[full]
                    .iter()
                    .find(|(k, _)| !o.iter().any(|(j, _)| j == k))
                    .map_or("", |(k, _)| k.as_str());
                let d = Diagnostic::new(
                    codes::UNEVEN_STATES,
                    leaf.span,
                    format!(
                        "the state `{}` of the machine `{}` has {} of the {most} equations that the state `{}` has",
                        leaf.name,
                        m.name,
                        o.len(),
                        leaves[full].name
                    ),
                )
                .here(format!("an equation for `{missing}` is missing"))
                .label(leaves[full].span, "this state has one")
                .note("in every state as many unknowns are to be found: each state needs as many equations")
                .help(format!("write `{missing} = …` in `{}`, or once for all states in the machine", leaf.name));
                self.diags.push(d);
                return None;
            }
        }
        let rest = (0..most).map(|k| others.iter().map(|o| o[k].1).collect()).collect();
        Some((common, rest))
    }

    /// One equation of which every leaf has its own form.
    fn one_of_leaves(
        &mut self,
        list: &[Held<'a>],
        machine: twinml_model::ids::VarId,
        scope: &Scope<'a>,
        same_left: bool,
    ) -> R<()> {
        let Some(first) = list.first() else { return Ok(()) };
        let (left, span) = (first.left, first.span);
        let shape = self.common(&[left], scope, span)?;
        let axes: Vec<Vec<u32>> =
            list.iter().map(|h| self.common(&[h.left, h.right], scope, h.span)).collect::<R<_>>()?;
        if let Some((h, other)) = list.iter().zip(&axes).find(|(_, a)| **a != shape) {
            let d = Diagnostic::new(
                codes::SHAPES_DIFFER,
                h.span,
                format!(
                    "equations of shape {} and {} in the states of one machine",
                    super::super::bind::show_shape(&shape),
                    super::super::bind::show_shape(other)
                ),
            );
            return Err(self.fail(d));
        }
        self.nest(&shape, &mut Vec::new(), &mut |s, at| {
            let own = s.own_element(scope)?;
            let active = |k: usize| {
                let leaf = Expr::Num(k as f64);
                Expr::Cmp(CmpOp::Eq, Box::new(Expr::Var(machine, own.clone())), Box::new(leaf), span)
            };
            let mut sides = Vec::with_capacity(list.len());
            for h in list {
                let r = s.element(h.right, scope, s.fit(h.right, at))?;
                let l = s.element(h.left, scope, s.fit(h.left, at))?;
                s.mention(&l, scope.inst);
                s.mention(&r, scope.inst);
                sides.push((l, r));
            }
            let parts: Vec<Expr> = if same_left {
                sides.iter().map(|(_, r)| r.clone()).collect()
            } else {
                sides.iter().map(|(l, r)| bin(BinOp::Sub, l.clone(), r.clone())).collect()
            };
            let whole = by_leaf(&parts, &active);
            if !same_left {
                s.emit(Expr::Num(0.0), whole, span);
                return Ok(());
            }
            let Some((l, _)) = sides.into_iter().next() else { return Ok(()) };
            match s.drives(left, &l, scope, span) {
                Some((var, element)) => s.driven_by(var, element, whole, span, Means::Equation),
                None => s.emit(l, whole, span),
            }
            Ok(())
        })
    }
}

/// `if leaf 0 then … else if leaf 1 …`, neighbours that say the same together.
fn by_leaf(parts: &[Expr], active: &dyn Fn(usize) -> Expr) -> Expr {
    let mut groups: Vec<(Vec<usize>, &Expr)> = Vec::new();
    for (k, p) in parts.iter().enumerate() {
        match groups.iter_mut().find(|g| g.1 == p) {
            Some(g) => g.0.push(k),
            None => groups.push((vec![k], p)),
        }
    }
    let Some((last, rest)) = groups.split_last() else { return Expr::Num(0.0) };
    rest.iter().rev().fold(last.1.clone(), |otherwise, (leaves, e)| {
        let cond = leaves
            .iter()
            .map(|k| active(*k))
            .reduce(|a, b| logic(BoolOp::Or, a, b))
            .unwrap_or(Expr::Bool(false));
        choose(cond, (*e).clone(), otherwise)
    })
}

/// The text of a left side; two that are the same are the same unknown.
fn key_of(e: &hir::Expr) -> String {
    match &e.kind {
        ExprKind::Der(a) => format!("der({})", key_of(a)),
        ExprKind::Member(r) => {
            let mut out = String::new();
            for s in &r.steps {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(&s.name);
                for sub in &s.subscripts {
                    match sub {
                        Subscript::Index(i) => out.push_str(&format!("[{}]", key_of(i))),
                        Subscript::Slice(lo, hi) => {
                            let end = |e: &Option<hir::Expr>| e.as_ref().map(key_of).unwrap_or_default();
                            out.push_str(&format!("[{}..{}]", end(lo), end(hi)));
                        }
                    }
                }
            }
            out
        }
        ExprKind::Int(i) => i.to_string(),
        ExprKind::Local(id) => format!("local {}", id.0),
        _ => format!("{}..{} of file {}", e.span.lo, e.span.hi, e.span.file.0),
    }
}
