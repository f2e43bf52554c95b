//! Networks without a reference: where nothing says how high the potentials of a network lie, the sums of its flows
//! follow from one another.
//!
//! Each equation in flows of ports alone (a node's sum, `p.i + n.i = 0`) is a row with entries of one and minus one.
//! A set of rows in which every flow stands exactly twice, and that signs can be found for so that it cancels, sums to
//! `0 = 0`: one of its equations says nothing, and the network has as many solutions as there are levels. (Counting
//! equations and unknowns does not see that.) Rows are joined along the flows that they share, in linear time.

use super::{Network, each_point, value};
use crate::diag::{Diagnostic, codes};
use crate::flat::{BinOp, Expr, UnOp};
use crate::flatten::Flattener;
use crate::hir::ConnectorRole;
use crate::source::Span;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use twinml_model::ids::VarId;

/// Rows, joined with the sign that each has in their sum.
struct Rows {
    parent: Vec<u32>,
    /// Whether the sign is opposite to the parent's.
    flip: Vec<bool>,
    /// By root: whether the rows may cancel.
    cancels: Vec<bool>,
}

impl Rows {
    /// The root, and whether the sign is opposite to its.
    fn find(&mut self, row: u32) -> (u32, bool) {
        let (mut root, mut flip) = (row, false);
        while self.parent[root as usize] != root {
            flip ^= self.flip[root as usize];
            root = self.parent[root as usize];
        }
        // Everybody on the way points to the root from now on.
        let (mut at, mut left) = (row, flip);
        while self.parent[at as usize] != root && at != root {
            let (up, own) = (self.parent[at as usize], self.flip[at as usize]);
            (self.parent[at as usize], self.flip[at as usize]) = (root, left);
            left ^= own;
            at = up;
        }
        (root, flip)
    }

    fn spoil(&mut self, row: u32) {
        let root = self.find(row).0;
        self.cancels[root as usize] = false;
    }

    /// A flow stands in both, with signs of which `alike` says whether they are the same.
    fn join(&mut self, a: u32, b: u32, alike: bool) {
        let ((ra, fa), (rb, fb)) = (self.find(a), self.find(b));
        if ra == rb {
            self.cancels[ra as usize] &= (fa ^ fb) == alike;
            return;
        }
        self.parent[rb as usize] = ra;
        self.flip[rb as usize] = fa ^ fb ^ alike;
        self.cancels[ra as usize] &= self.cancels[rb as usize];
    }
}

/// Adds the terms of `e` with their signs; false where it is no sum of flows.
fn terms(
    e: &Expr,
    minus: bool,
    flows: &FxHashMap<VarId, u32>,
    at: &[i64],
    out: &mut Vec<(u32, bool)>,
) -> bool {
    match e {
        Expr::Num(x) => *x == 0.0,
        Expr::Var(v, a) => match flows.get(v) {
            Some(first) => {
                out.push((first + value(a, at) as u32, minus));
                true
            }
            None => false,
        },
        Expr::Un(UnOp::Neg, a) => terms(a, !minus, flows, at, out),
        Expr::Bin(op @ (BinOp::Add | BinOp::Sub), a, b) => {
            terms(a, minus, flows, at, out) && terms(b, minus ^ (*op == BinOp::Sub), flows, at, out)
        }
        _ => false,
    }
}

impl Flattener<'_> {
    /// Reports networks that nothing ties to a level.
    pub(super) fn levels(&mut self, n: &Network) {
        let (mut flows, mut count) = (FxHashMap::default(), 0u32);
        for m in n.ports.iter().flat_map(|p| &p.members).filter(|m| m.role == ConnectorRole::Flow) {
            flows.insert(m.var, count);
            count += self.system.vars[m.var.index()].len;
        }
        let mut rows = Rows { parent: Vec::new(), flip: Vec::new(), cancels: Vec::new() };
        // By flow: the first row that has it, with its sign; by row: its equation.
        let mut seen: Vec<Option<(u32, bool)>> = vec![None; count as usize];
        let mut times = vec![0u8; count as usize];
        let mut equation: Vec<usize> = Vec::new();
        let mut list: Vec<(u32, bool)> = Vec::new();
        for (k, e) in self.system.equations.iter().enumerate() {
            // What is no sum of flows at its first point is none at all.
            let first: Vec<i64> = e.loops.iter().map(|l| l.lo).collect();
            list.clear();
            if !terms(&e.left, false, &flows, &first, &mut list)
                || !terms(&e.right, true, &flows, &first, &mut list)
            {
                continue;
            }
            let mut sums = true;
            each_point(&e.loops, &mut |at| {
                list.clear();
                sums = sums
                    && terms(&e.left, false, &flows, at, &mut list)
                    && terms(&e.right, true, &flows, at, &mut list);
                if !sums || list.is_empty() {
                    return;
                }
                let row = equation.len() as u32;
                equation.push(k);
                rows.parent.push(row);
                rows.flip.push(false);
                rows.cancels.push(true);
                for &(flow, minus) in &list {
                    let flow = flow as usize;
                    times[flow] = times[flow].saturating_add(1);
                    match seen[flow] {
                        None => seen[flow] = Some((row, minus)),
                        Some((other, sign)) if other != row && times[flow] == 2 => {
                            rows.join(other, row, sign == minus)
                        }
                        Some((other, _)) => {
                            rows.spoil(other);
                            rows.spoil(row);
                        }
                    }
                }
            });
        }
        for (flow, times) in times.iter().enumerate() {
            // What stands elsewhere too, a source's current, closes the balance.
            if let (Some((row, _)), 1) = (seen[flow], times) {
                rows.spoil(row);
            }
        }
        let mut floating: BTreeMap<u32, Vec<Span>> = BTreeMap::new();
        for (row, k) in (0u32..).zip(&equation) {
            let root = rows.find(row).0;
            if rows.cancels[root as usize] {
                floating.entry(root).or_default().push(self.system.equations[*k].span);
            }
        }
        let joints: Vec<Span> = n.joints.iter().map(|j| j.is.span).collect();
        for mut spans in floating.into_values().take(8) {
            spans.retain(|s| joints.contains(s));
            spans.sort_unstable();
            spans.dedup();
            let Some((&first, others)) = spans.split_first() else { continue };
            let mut d = Diagnostic::new(
                codes::UNDERDETERMINED,
                first,
                "nothing ties this network to a level",
            )
            .here("the flows at its nodes sum to zero of themselves")
            .note(
                "its components see differences of potentials only: one of the sums follows from the others",
            );
            for s in others.iter().take(6) {
                d = d.label(*s, "of the same network");
            }
            self.diags.push(d.help("join one of its ports to a reference: a ground, a tank, a fixed point"));
        }
    }
}
