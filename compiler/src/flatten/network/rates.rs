//! Derivatives of potentials: `der(flange.phi)`.
//!
//! What a component's own equations give explicitly (`flange.phi = phi`) is differentiated like any unknown. Where
//! none does, a potential is that of all ports it meets: one of them may be given by its component, and its derivative
//! is theirs. Where no component gives any, the node gets a hidden state, which its potentials are equal to; whatever
//! else binds it is left to the index reduction.

use super::{each_point, value};
use crate::flat::{Affine, Equation, Expr, HIDDEN, Role, Var, diff};
use crate::flatten::Flattener;
use crate::flatten::network::sets::Sets;
use crate::hir::ConnectorRole;
use crate::source::Span;
use crate::structural::expr;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::RefCell;
use twinml_model::ids::VarId;
use twinml_model::schema::{Kind, Segment};

/// The potentials that connections make one.
pub(in crate::flatten) struct Potentials {
    /// By family: the number of its first element among all.
    first: FxHashMap<VarId, u32>,
    /// By number: family and element.
    all: Vec<(VarId, u32)>,
    /// By number: that of another one of its node, in a ring.
    next: Vec<u32>,
    /// By number: that which stands for its node.
    node: Vec<u32>,
    /// Where connections stand.
    joints: FxHashSet<Span>,
    /// Hidden states of nodes.
    states: RefCell<FxHashMap<u32, VarId>>,
}

impl Potentials {
    /// Whether the family is a potential of ports that connections join.
    pub fn has(&self, var: VarId) -> bool {
        self.first.contains_key(&var)
    }
}

impl Flattener<'_> {
    /// All potentials; none without a network.
    pub(in crate::flatten) fn joined_potentials(&self) -> Option<Potentials> {
        let n = self.joined.as_ref()?;
        let (mut first, mut all) = (FxHashMap::default(), Vec::new());
        let members = n.ports.iter().flat_map(|p| &p.members).filter(|m| m.role == ConnectorRole::Potential);
        for m in members {
            first.insert(m.var, all.len() as u32);
            all.extend((0..self.system.vars[m.var.index()].len).map(|k| (m.var, k)));
        }
        let mut sets = Sets::new(all.len() as u32);
        let mut next: Vec<u32> = (0..all.len() as u32).collect();
        let by_var: FxHashMap<VarId, usize> =
            n.ports.iter().enumerate().filter_map(|(k, p)| Some((p.members.first()?.var, k))).collect();
        for j in &n.joints {
            let (Expr::Var(va, ea), Expr::Var(vb, eb)) = (&j.is.left, &j.is.right) else { continue };
            let (Some(&pa), Some(&pb)) = (by_var.get(va), by_var.get(vb)) else { continue };
            let pairs = n.ports[pa].members.iter().zip(&n.ports[pb].members);
            for (a, b) in pairs.filter(|(a, _)| a.role == ConnectorRole::Potential) {
                each_point(&j.is.loops, &mut |at| {
                    for k in 0..a.each {
                        let (x, y) = (value(ea, at) * a.each + k, value(eb, at) * b.each + k);
                        let (x, y) = (first[&a.var] + x as u32, first[&b.var] + y as u32);
                        if sets.join(x, y) {
                            next.swap(x as usize, y as usize);
                        }
                    }
                });
            }
        }
        let node = (0..all.len() as u32).map(|k| sets.find(k)).collect();
        let joints = n.joints.iter().map(|j| j.is.span).collect();
        Some(Potentials { first, all, next, node, joints, states: RefCell::default() })
    }

    /// Equations that give the derivative of a potential.
    pub(in crate::flatten) fn potential_rates(
        &mut self,
        p: &Potentials,
        var: VarId,
    ) -> Result<Vec<Equation>, &'static str> {
        let own = |e: &Equation| !p.joints.contains(&e.span);
        if let Ok(found) = self.rate_equations(var, &own) {
            return Ok(found);
        }
        let mut out = Vec::new();
        for k in 0..self.system.vars[var.index()].len {
            let number = p.first[&var] + k;
            let given = std::iter::successors(Some(p.next[number as usize]), |&x| {
                let x = p.next[x as usize];
                (x != p.next[number as usize]).then_some(x)
            })
            .find_map(|other| self.given_by_states(p, other));
            let (right, span) = match given {
                Some(found) => found,
                None => {
                    let state = self.state_of(p, number);
                    (Expr::Der(state, Affine::constant(0)), self.system.vars[var.index()].span)
                }
            };
            let left = Expr::Der(var, Affine::constant(i64::from(k)));
            out.push(Equation { loops: Vec::new(), left, right, span, owner: String::new() });
        }
        Ok(out)
    }

    /// The derivative of what a component says that a potential is, where that is a formula of states.
    fn given_by_states(&self, p: &Potentials, number: u32) -> Option<(Expr, Span)> {
        let (var, element) = p.all[number as usize];
        let fixed = |v: VarId| !matches!(self.system.vars[v.index()].role, Role::State | Role::Unknown);
        for e in self.system.equations.iter().filter(|e| !p.joints.contains(&e.span)) {
            let Expr::Var(v, at) = &e.left else { continue };
            if *v != var {
                continue;
            }
            let mut states = true;
            expr::uses(&e.right, &mut |u| states &= self.system.vars[u.var.index()].role != Role::Unknown);
            if !states {
                continue;
            }
            let Some(point) = point_of(e, at, i64::from(element)) else { continue };
            let right = e.loops.iter().zip(point).fold(e.right.clone(), |right, (l, k)| {
                expr::substitute_index(&right, l.index, &Affine::constant(k))
            });
            return diff::time_derivative(&right, &fixed).ok().map(|d| (d, e.span));
        }
        None
    }

    /// The hidden state of a node, made where there is none.
    fn state_of(&mut self, p: &Potentials, number: u32) -> VarId {
        let node = p.node[number as usize];
        if let Some(&state) = p.states.borrow().get(&node) {
            return state;
        }
        let (var, element) = p.all[number as usize];
        let of = &self.system.vars[var.index()];
        let name = crate::schedule::names::element(&of.path, i64::from(element));
        let path = vec![Segment { name: format!("{HIDDEN}node({name})"), axes: Vec::new() }];
        let (span, guess) = (of.span, Vec::new());
        let state = Var {
            unit: of.unit.clone(),
            si_unit: of.si_unit.clone(),
            dimension: of.dimension.clone(),
            guess,
            ..Var::plain(path, 1, Role::State, Kind::Real, span)
        };
        let id = VarId::new(self.system.vars.len());
        self.system.vars.push(state);
        self.homes.push(None);
        self.system.equations.push(Equation {
            loops: Vec::new(),
            left: Expr::Var(var, Affine::constant(i64::from(element))),
            right: Expr::Var(id, Affine::constant(0)),
            span,
            owner: String::new(),
        });
        p.states.borrow_mut().insert(node, id);
        id
    }
}

/// The point of an equation's loops at which `at` is this element.
fn point_of(e: &Equation, at: &Affine, element: i64) -> Option<Vec<i64>> {
    if let ([l], [(index, stride)]) = (&e.loops[..], &at.terms[..])
        && *index == l.index
    {
        let k = (element - at.base).div_euclid(*stride);
        return (k >= l.lo && k < l.hi && at.base + stride * k == element).then(|| vec![k]);
    }
    let mut point = None;
    each_point(&e.loops, &mut |i| {
        if value(at, i) == element {
            point = Some(i.to_vec());
        }
    });
    point
}
