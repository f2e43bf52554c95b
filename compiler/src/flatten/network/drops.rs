//! What drops across a component: the difference of two of its potentials, where several equations use it.
//!
//! In a chain of cells each potential depends on all that lie below it, but what happens in a cell depends only on the
//! difference between its ends. Where a twin's equations use `p.v - n.v` more than once, the difference becomes a
//! hidden unknown with the equation `p.v - n.v = drop`: cells are then solved apart, derivatives see only their own
//! cell, and nothing is lost to the rounding of a large sum.

use super::{Member, Network};
use crate::flat::{Affine, BinOp, Equation, Expr, HIDDEN, Loop, Role, Var};
use crate::flatten::Flattener;
use crate::flatten::equation::{visit, without_single_loops};
use crate::hir::ConnectorRole;
use crate::source::Span;
use crate::structural::expr;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use twinml_model::ids::{Index, VarId};
use twinml_model::schema::Segment;

/// Where a difference is used: how often, and the first place.
struct Used {
    times: u32,
    span: Span,
    owner: String,
}

impl Flattener<'_> {
    /// Gives differences that are used more than once a family of their own.
    pub(super) fn drops(&mut self, n: &mut Network) {
        let mut potentials: FxHashMap<VarId, (usize, usize)> = FxHashMap::default();
        for k in 0..n.ports.len() {
            if !(0..n.ports[k].len).any(|e| n.joined(k, e)) {
                continue;
            }
            for (m, Member { var, role, .. }) in n.ports[k].members.iter().enumerate() {
                if *role == ConnectorRole::Potential {
                    potentials.insert(*var, (k, m));
                }
            }
        }
        let pair = |x: &Expr| -> Option<(VarId, VarId)> {
            let Expr::Bin(BinOp::Sub, a, b) = x else { return None };
            let (Expr::Var(a, at), Expr::Var(b, bt)) = (&**a, &**b) else { return None };
            let ((pa, ma), (pb, mb)) = (*potentials.get(a)?, *potentials.get(b)?);
            let (x, y) = (&n.ports[pa], &n.ports[pb]);
            let alike = pa != pb && x.inst == y.inst && x.len == y.len && ma == mb && at == bt;
            (alike && x.members[ma].each == y.members[mb].each).then_some((*a, *b))
        };
        let mut used: BTreeMap<(VarId, VarId), Used> = BTreeMap::new();
        for e in &self.system.equations {
            let mut look = |x: &Expr| {
                let Some((a, b)) = pair(x) else { return };
                let first = || Used { times: 0, span: e.span, owner: e.owner.clone() };
                used.entry((a.min(b), a.max(b))).or_insert_with(first).times += 1;
            };
            visit(&e.left, &mut look);
            visit(&e.right, &mut look);
        }
        let mut made: BTreeMap<(VarId, VarId), VarId> = BTreeMap::new();
        let mut defined = Vec::new();
        for ((a, b), used) in used.into_iter().filter(|(_, u)| u.times > 1) {
            let (drop, len) = self.drop_family(a, b);
            made.insert((a, b), drop);
            let index = Index::new(0);
            let at = Affine::constant(0).plus(index, 1);
            let [a, b] = [a, b].map(|v| Box::new(Expr::Var(v, at.clone())));
            defined.push(without_single_loops(Equation {
                loops: vec![Loop { index, lo: 0, hi: i64::from(len) }],
                left: Expr::Bin(BinOp::Sub, a, b),
                right: Expr::Var(drop, at),
                span: used.span,
                owner: used.owner,
            }));
        }
        if made.is_empty() {
            return;
        }
        for e in &mut self.system.equations {
            for side in [&mut e.left, &mut e.right] {
                let mut any = false;
                visit(side, &mut |x| {
                    any |= pair(x).is_some_and(|(a, b)| made.contains_key(&(a.min(b), a.max(b))))
                });
                if !any {
                    continue;
                }
                *side = expr::rewrite(side, &mut |x| {
                    let Some((a, b)) = pair(&x) else { return x };
                    let (Some(drop), Expr::Bin(_, left, _)) = (made.get(&(a.min(b), a.max(b))), &x) else {
                        return x;
                    };
                    let Expr::Var(_, at) = &**left else { return x };
                    let drop = Expr::Var(*drop, at.clone());
                    if a < b { drop } else { crate::structural::isolate::neg(drop) }
                });
            }
        }
        self.system.equations.extend(defined);
    }

    /// A hidden family for `a - b`, and its length.
    fn drop_family(&mut self, a: VarId, b: VarId) -> (VarId, u32) {
        let id = VarId::new(self.system.vars.len());
        let names = [a, b].map(|v| {
            let path = &self.system.vars[v.index()].path;
            let last = path.iter().rev().take(2).map(|s| s.name.as_str());
            last.collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(".")
        });
        let of = &self.system.vars[a.index()];
        let mut path = of.path.clone();
        let own = path.split_off(path.len().saturating_sub(2));
        let axes = own.into_iter().flat_map(|s| s.axes).collect();
        path.insert(0, Segment { name: format!("{HIDDEN}drop"), axes: Vec::new() });
        path.push(Segment { name: format!("{}-{}", names[0], names[1]), axes });
        let kind = of.kind;
        let (len, span) = (of.len, of.span);
        let drop = Var {
            unit: of.unit.clone(),
            si_unit: of.si_unit.clone(),
            dimension: of.dimension.clone(),
            ..Var::plain(path, len, Role::Unknown, kind, span)
        };
        self.system.vars.push(drop);
        self.homes.push(None);
        (id, len)
    }
}
