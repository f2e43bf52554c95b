//! Acausal connections: which ports meet, and the equations that follow from it.
//!
//! In: the connections `a -- b` of all instances, as families over loops. Out: for each set of ports that meet,
//! potentials equal along the connections that hold the set together (one that closes a ring says nothing new), and
//! the sum of flows zero. A flow is positive into the twin; a twin's own port that is connected from inside counts
//! with the opposite sign there, so that a port has two sides, each in a set of its own. A port that nothing joins
//! from outside has no flow.
//!
//! Sets are found element by element, in time linear in the network; equations of sets that go on in equal steps
//! are rolled into families again (`roll`), so that a chain of ten thousand cells is matched, ordered and compiled
//! as one. Differences of two potentials that several equations use become unknowns of their own (`drops`).

mod drops;
mod level;
mod rates;
mod roll;
mod sets;

use super::Flattener;
use super::equation::without_single_loops;
use super::scope::{InstId, R, Scope, Slot, add, scale};
use super::walk::{Found, Sub};
use crate::diag::{Diagnostic, codes};
use crate::flat::{Affine, BinOp, Equation, Expr, Loop, UnOp};
use crate::hir::{self, ConnectorRole};
use crate::source::Span;
use rustc_hash::FxHashMap;
use sets::Sets;
use twinml_model::ids::{Index, VarId};

/// `a -- b` for every point of the loops.
pub(super) struct Joint {
    /// The loops; on the left the first member of one port, at the port's number, on the right of the other.
    is: Equation,
    /// Whether each is the twin's own port, seen from inside.
    inside: [bool; 2],
}

/// A family of ports.
struct Port {
    inst: InstId,
    /// Its number below which those of earlier families lie; two sides an element.
    first: u32,
    len: u32,
    members: Vec<Member>,
}

/// A member of a family of ports.
#[derive(Clone, Copy)]
struct Member {
    var: VarId,
    role: ConnectorRole,
    /// Elements a port.
    each: i64,
    span: Span,
}

/// Two numbers of ports that a connection joins.
type Pair = (u32, u32);

/// What of a connection says something new.
enum Fresh {
    All,
    Some(Vec<Pair>),
}

/// The ports that meet.
pub(super) struct Network {
    ports: Vec<Port>,
    sets: Sets,
    joints: Vec<Joint>,
    fresh: Vec<Fresh>,
    /// By side of a port: the first connection that names it.
    since: Vec<u32>,
    /// Sides in the order in which connections name them.
    order: Vec<u32>,
}

impl Network {
    /// The side of a port: from inside or from outside.
    fn side(&self, port: usize, element: i64, inside: bool) -> Option<u32> {
        let p = &self.ports[port];
        let element = u32::try_from(element).ok().filter(|e| *e < p.len)?;
        Some(p.first + 2 * element + u32::from(inside))
    }

    /// The family, the element, and whether it is seen from inside.
    fn port_of(&self, side: u32) -> (usize, i64, bool) {
        let k = self.ports.partition_point(|p| p.first <= side) - 1;
        let at = side - self.ports[k].first;
        (k, i64::from(at / 2), at % 2 == 1)
    }

    /// Whether something joins this element from outside.
    fn joined(&mut self, port: usize, element: u32) -> bool {
        let side = self.ports[port].first + 2 * element;
        self.sets.len_of(side) > 1
    }
}

impl<'a> Flattener<'a> {
    /// Finds which ports meet; none where no connection joins any.
    pub(super) fn network(&mut self) -> Option<Network> {
        for k in 0..self.insts.len() as u32 {
            let class = self.inst(InstId(k)).class;
            for c in class.connections.iter().filter(|c| is_acausal(c)) {
                self.unit(InstId(k), &mut |s, scope| s.joint(c, scope));
            }
        }
        let joints = std::mem::take(&mut self.joints);
        if joints.is_empty() {
            return None;
        }
        let ports = self.ports();
        let sides = ports.last().map_or(0, |p| p.first + 2 * p.len);
        let none = u32::MAX;
        let mut n = Network {
            sets: Sets::new(sides),
            since: vec![none; sides as usize],
            order: Vec::new(),
            fresh: Vec::with_capacity(joints.len()),
            joints: Vec::new(),
            ports,
        };
        let by_var: FxHashMap<VarId, usize> =
            n.ports.iter().enumerate().filter_map(|(k, p)| Some((p.members.first()?.var, k))).collect();
        for (k, j) in (0u32..).zip(&joints) {
            let (Expr::Var(va, ea), Expr::Var(vb, eb)) = (&j.is.left, &j.is.right) else { continue };
            let (Some(&pa), Some(&pb)) = (by_var.get(va), by_var.get(vb)) else { continue };
            let (mut pairs, mut points) = (Vec::new(), 0usize);
            each_point(&j.is.loops, &mut |at| {
                let (a, b) = (value(ea, at), value(eb, at));
                let (Some(a), Some(b)) = (n.side(pa, a, j.inside[0]), n.side(pb, b, j.inside[1])) else {
                    return;
                };
                points += 1;
                for side in [a, b] {
                    if n.since[side as usize] == none {
                        n.since[side as usize] = k;
                        n.order.push(side);
                    }
                }
                if n.sets.join(a, b) {
                    pairs.push((a, b));
                }
            });
            n.fresh.push(if pairs.len() == points { Fresh::All } else { Fresh::Some(pairs) });
        }
        n.joints = joints;
        Some(n)
    }

    fn joint(&mut self, c: &'a hir::Connection, scope: &Scope<'a>) -> R<()> {
        match c {
            hir::Connection::Event { .. } | hir::Connection::Causal { .. } => Ok(()),
            hir::Connection::For { range, body } => self.for_range(range, scope, &mut |s, inner| {
                for c in body.iter().filter(|c| is_acausal(c)) {
                    s.joint(c, inner)?;
                }
                Ok(())
            }),
            hir::Connection::If { cond, body } => {
                if self.static_bool(cond, scope)? {
                    for c in body {
                        self.joint(c, scope)?;
                    }
                }
                Ok(())
            }
            hir::Connection::Acausal { a, b, span } => {
                if self.is_absent(a, scope.inst) || self.is_absent(b, scope.inst) {
                    return Ok(());
                }
                let (sa, sb) = (self.ref_shape(a, scope)?, self.ref_shape(b, scope)?);
                if !sa.is_empty() && !sb.is_empty() && sa != sb {
                    let (x, y) = (super::bind::show_shape(&sa), super::bind::show_shape(&sb));
                    let message = format!("ports of shape {x} and {y} joined");
                    return Err(self.fail(Diagnostic::new(codes::SHAPES_DIFFER, *span, message)));
                }
                let shape = if sa.is_empty() { &sb } else { &sa };
                self.nest(shape, &mut Vec::new(), &mut |s, at| {
                    // A single port is joined to each of an array.
                    let (va, ea, ia) = s.port_at(a, scope, if sa.is_empty() { &[] } else { at })?;
                    let (vb, eb, ib) = s.port_at(b, scope, if sb.is_empty() { &[] } else { at })?;
                    let is = s.family_equation(Expr::Var(va, ea), Expr::Var(vb, eb), *span);
                    s.joints.push(Joint { is, inside: [ia, ib] });
                    Ok(())
                })
            }
        }
    }

    /// The family of the port's first member, the port's number, and whether the twin's own port is seen from inside.
    fn port_at(&mut self, r: &'a hir::Ref, scope: &Scope<'a>, free: &[Affine]) -> R<(VarId, Affine, bool)> {
        let Found::Joint(var, subs) = self.walk(r, scope, free)? else {
            return Err(self.internal(r.span, "something that is no port"));
        };
        let axes = self.system.vars[var.index()].path.iter().flat_map(|s| s.axes.iter().copied());
        let axes: Vec<u32> = axes.take(subs.len()).collect();
        let (mut at, mut stride) = (Affine::constant(0), 1i64);
        for (s, len) in subs.iter().zip(axes).rev() {
            let Sub::Fixed(a) = s else {
                let what = "a subscript that changes during the run cannot stand here";
                return Err(self.fail(Diagnostic::new(codes::NOT_CONSTANT, r.span, what)));
            };
            at = scale(a, stride).and_then(|a| add(&at, &a)).unwrap_or_default();
            stride = stride.saturating_mul(i64::from(len));
        }
        Ok((var, self.settle(&at), r.steps.len() == 1))
    }

    fn ports(&self) -> Vec<Port> {
        let mut out = Vec::new();
        let mut first = 0u32;
        for (k, inst) in self.insts.iter().enumerate() {
            for slot in inst.members.values() {
                let Slot::Port { connector, vars, shapes, .. } = slot else { continue };
                let Some(var) = vars.first() else { continue };
                let path = &self.system.vars[var.index()].path;
                let len: u32 = path[..path.len() - 1].iter().flat_map(|s| s.axes.iter()).product();
                let members = connector.members.values().zip(vars).zip(shapes);
                let members = members.map(|((m, var), shape)| {
                    let each = shape.iter().map(|n| i64::from(*n)).product();
                    Member { var: *var, role: m.role, each, span: m.span }
                });
                out.push(Port { inst: InstId(k as u32), first, len, members: members.collect() });
                first = first.saturating_add(len.saturating_mul(2));
            }
        }
        out
    }

    /// Equations of the ports of an instance that nothing joins from outside: they have no flow.
    pub(super) fn open_ports(&mut self, id: InstId, network: Option<&mut Network>) {
        let Some(n) = network else {
            for p in self.ports().iter().filter(|p| p.inst == id) {
                self.no_flow(p, 0, p.len);
            }
            return;
        };
        for k in 0..n.ports.len() {
            if n.ports[k].inst != id {
                continue;
            }
            let len = n.ports[k].len;
            let mut from = 0;
            for at in 0..=len {
                if at == len || n.joined(k, at) {
                    if from < at {
                        self.no_flow(&n.ports[k], from, at);
                    }
                    from = at + 1;
                }
            }
        }
    }

    fn no_flow(&mut self, p: &Port, from: u32, to: u32) {
        self.owner = p.inst;
        for m in p.members.iter().filter(|m| m.role == ConnectorRole::Flow) {
            let range = (i64::from(from) * m.each, i64::from(to) * m.each);
            self.ranges.clear();
            let done = self.over(range, &mut |s, index| {
                let at = s.index_value(index);
                s.emit(Expr::Var(m.var, at), Expr::Num(0.0), m.span);
                Ok(())
            });
            self.ranges.clear();
            self.settle_stop(done);
        }
    }

    /// The equations of all sets.
    pub(super) fn meet(&mut self, mut n: Network) {
        self.system.network = true;
        for k in 0..n.joints.len() {
            self.potentials(&n, k);
        }
        self.flows(&mut n);
        self.drops(&mut n);
        self.levels(&n);
        self.joined = Some(n);
        if self.system.equations.len() > super::MAX_EQUATIONS {
            let count = self.system.equations.len() as u64;
            let first = self.joined.as_ref().and_then(|n| n.joints.first());
            let span = first.map_or_else(Span::default, |j| j.is.span);
            let _ = self.too_large(span, count, "equation families");
        }
    }

    /// Equal potentials along a connection, where it says something new.
    fn potentials(&mut self, n: &Network, k: usize) {
        let j = &n.joints[k];
        let (Expr::Var(va, ea), Expr::Var(vb, eb)) = (&j.is.left, &j.is.right) else { return };
        let side = |v: &VarId| n.ports.iter().find(|p| p.members.first().is_some_and(|m| m.var == *v));
        let (Some(pa), Some(pb)) = (side(va), side(vb)) else { return };
        let runs = match &n.fresh[k] {
            Fresh::All => None,
            Fresh::Some(pairs) => {
                let points: Vec<Vec<i64>> =
                    pairs.iter().map(|&(a, b)| vec![n.port_of(a).1, n.port_of(b).1]).collect();
                let runs = roll::roll(&points);
                if runs.len() > 1 {
                    let why = "connections of which some close a ring or stand twice: only the others say something";
                    self.system.expanded.push((j.is.span, why.to_owned()));
                }
                Some(runs)
            }
        };
        for (ma, mb) in pa.members.iter().zip(&pb.members) {
            if ma.role != ConnectorRole::Potential {
                continue;
            }
            match &runs {
                None => self.equal_potentials(&j.is, &j.is.loops, (ma, ea), (mb, eb)),
                Some(runs) => {
                    for r in runs {
                        let (loops, at) = places(r);
                        self.equal_potentials(&j.is, &loops, (ma, &at[0]), (mb, &at[1]));
                    }
                }
            }
        }
    }

    fn equal_potentials(
        &mut self,
        is: &Equation,
        loops: &[Loop],
        a: (&Member, &Affine),
        b: (&Member, &Affine),
    ) {
        let (mut loops, k) = (loops.to_vec(), Index::new(loops.len()));
        loops.push(Loop { index: k, lo: 0, hi: a.0.each });
        let left = Expr::Var(a.0.var, inner(a.1, a.0.each, k));
        let right = Expr::Var(b.0.var, inner(b.1, b.0.each, k));
        let e = Equation { loops, left, right, span: is.span, owner: is.owner.clone() };
        self.system.equations.push(without_single_loops(e));
    }

    /// The flows of each set sum to zero. Sets that hold the same ports at places in equal steps are one family.
    fn flows(&mut self, n: &mut Network) {
        // By set, in the order in which connections name them: its sides.
        let mut number: FxHashMap<u32, usize> = FxHashMap::default();
        let mut list: Vec<Vec<u32>> = Vec::new();
        for k in 0..n.order.len() {
            let side = n.order[k];
            if n.sets.len_of(side) < 2 {
                continue;
            }
            let root = n.sets.find(side);
            let at = *number.entry(root).or_insert_with(|| {
                list.push(Vec::new());
                list.len() - 1
            });
            list[at].push(side);
        }
        // What sets have in common: the first connection, and the ports with their sides.
        type Kind = (u32, Vec<(usize, bool)>);
        let mut kinds: FxHashMap<Kind, usize> = FxHashMap::default();
        let mut groups: Vec<(Kind, Vec<Vec<i64>>)> = Vec::new();
        for set in list {
            let since = set.iter().map(|s| n.since[*s as usize]).min().unwrap_or(0);
            let mut sides: Vec<(usize, bool, i64)> = set
                .iter()
                .map(|s| {
                    let (port, element, inside) = n.port_of(*s);
                    (port, inside, element)
                })
                .collect();
            sides.sort_unstable();
            let kind: Kind = (since, sides.iter().map(|s| (s.0, s.1)).collect());
            let at = *kinds.entry(kind.clone()).or_insert_with(|| {
                groups.push((kind, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(sides.iter().map(|s| s.2).collect());
        }
        for ((since, sides), points) in groups {
            let is = &n.joints[since as usize].is;
            let flows = n.ports[sides[0].0].members.iter().enumerate();
            let flows: Vec<usize> =
                flows.filter(|(_, m)| m.role == ConnectorRole::Flow).map(|(k, _)| k).collect();
            for r in roll::roll(&points) {
                let (loops, at) = places(&r);
                for &f in &flows {
                    let (mut loops, k) = (loops.clone(), Index::new(loops.len()));
                    let each = n.ports[sides[0].0].members[f].each;
                    loops.push(Loop { index: k, lo: 0, hi: each });
                    let terms: Vec<(bool, Expr)> = sides
                        .iter()
                        .zip(&at)
                        .map(|(&(port, inside), at)| {
                            let m = n.ports[port].members[f];
                            (inside, Expr::Var(m.var, inner(at, m.each, k)))
                        })
                        .collect();
                    let (left, right) = (sum(&terms), Expr::Num(0.0));
                    let e = Equation { loops, left, right, span: is.span, owner: is.owner.clone() };
                    self.system.equations.push(without_single_loops(e));
                }
            }
        }
    }
}

fn is_acausal(c: &hir::Connection) -> bool {
    match c {
        hir::Connection::Acausal { .. } => true,
        hir::Connection::For { body, .. } | hir::Connection::If { body, .. } => body.iter().any(is_acausal),
        hir::Connection::Causal { .. } | hir::Connection::Event { .. } => false,
    }
}

/// Element `k` of the member of a port at `at`.
fn inner(at: &Affine, each: i64, k: Index) -> Affine {
    scale(at, each).unwrap_or_default().plus(k, 1)
}

/// A run's loops and places.
fn places(r: &roll::Run) -> (Vec<Loop>, Vec<Affine>) {
    let loops: Vec<Loop> =
        r.loops.iter().enumerate().map(|(k, l)| Loop { index: Index::new(k), lo: 0, hi: l.0 }).collect();
    let at = r.start.iter().enumerate().map(|(n, &base)| {
        let strides = r.loops.iter().enumerate().map(|(k, l)| (Index::new(k), l.1[n]));
        strides.fold(Affine::constant(base), |a, (index, s)| if s == 0 { a } else { a.plus(index, s) })
    });
    (loops, at.collect())
}

/// The sum of terms, `true`: counted with the opposite sign. Many terms become a tree, so that no stage that walks it
/// needs a stack as deep as the network is wide.
fn sum(terms: &[(bool, Expr)]) -> Expr {
    const FLAT: usize = 8;
    if terms.len() > FLAT {
        let (a, b) = terms.split_at(terms.len() / 2);
        return Expr::Bin(BinOp::Add, Box::new(sum(a)), Box::new(sum(b)));
    }
    let mut total: Option<Expr> = None;
    for (minus, term) in terms {
        let term = term.clone();
        total = Some(match (total, minus) {
            (None, false) => term,
            (None, true) => Expr::Un(UnOp::Neg, Box::new(term)),
            (Some(t), false) => Expr::Bin(BinOp::Add, Box::new(t), Box::new(term)),
            (Some(t), true) => Expr::Bin(BinOp::Sub, Box::new(t), Box::new(term)),
        });
    }
    total.unwrap_or(Expr::Num(0.0))
}

/// Calls `f` with the indices' values at every point, in order.
fn each_point(loops: &[Loop], f: &mut dyn FnMut(&[i64])) {
    fn go(loops: &[Loop], at: &mut Vec<i64>, f: &mut dyn FnMut(&[i64])) {
        let Some((first, rest)) = loops.split_first() else { return f(at) };
        for k in first.lo..first.hi {
            at.push(k);
            go(rest, at, f);
            at.pop();
        }
    }
    go(loops, &mut Vec::with_capacity(loops.len()), f);
}

/// The indices of a compact equation are numbered as its loops are.
fn value(a: &Affine, at: &[i64]) -> i64 {
    a.terms.iter().fold(a.base, |sum, (i, s)| sum + s * at.get(i.index()).copied().unwrap_or(0))
}
