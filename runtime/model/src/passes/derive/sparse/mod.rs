//! Sparse Jacobians with loops kept: every value carries its gradient as a list of (column, partial), where
//! a column is an affine function of the loop indices and holds in a box of their rounds. Slots that the
//! kernel itself writes hand their gradients on: directly where the reader stands in the same round, else
//! through scratch slots behind the Jacobian's entries.
//!
//! A sum over a loop whose rounds depend on columns of their own (a hub that adds up its spokes) has a gradient
//! that is a *fan*: one coefficient times a list of partials in scratch slots, one a round. Entries of a fan are
//! written by a loop of their own.
//!
//! Gives up (and the caller tries the kernel with its loops written out) at: algebraic blocks, stores in
//! branches, values carried from round to round otherwise than as a sum that depend on columns that move with the
//! rounds, a slot read in another round than it is written, addresses that [`super::overlap`] does not understand.
//!
//! Here is the walk and what is read; [`store`] writes, [`rounds`] follows loops and branches.

mod gradient;
mod rounds;
mod store;

use super::Functions;
use super::local::{Local, local};
use super::overlap::{Bounds, Nest, Unclear, Writer, extent, restrict, restrict_exact, substitute};
use crate::ids::{Index, OriginId, Value};
use crate::ir::{Affine, Kernel, Op, Place, Region, Space, Stmt, Ty};
use crate::passes::emit::{Emit, Num};
use crate::program::{EntryFamily, Jacobian, SlotRun};
use gradient::{Gradient, Key, sorted, union};
use std::collections::BTreeMap;

/// Rows and columns of a Jacobian.
pub(super) struct Frame<'p> {
    /// The space whose stores are rows.
    pub rows: Space,
    /// Number of rows.
    pub n_rows: u32,
    /// Slots that are columns, numbered in this order.
    pub seeds: &'p [SlotRun],
}

/// What a store handed on: the partials as values of its round, and in scratch slots if others need them.
#[derive(Clone, Debug)]
struct Handed {
    writer: Writer,
    gradient: Vec<(Key, Num, Option<Affine>)>,
}

/// Scratch slots are numbered from here until the number of entries is known.
const SCRATCH: i64 = 1 << 40;
/// Most entries that fans of one Jacobian have: rows that all depend on one long sum are dense.
const FANNED: i64 = 1 << 22;

/// The Jacobian, and how many slots of `Jac` its kernel uses in all.
pub(super) fn jacobian(
    kernel: &Kernel,
    name: String,
    frame: &Frame<'_>,
    budget: usize,
    functions: &mut Functions<'_>,
) -> Option<(Jacobian, u32)> {
    let mut e = Emit::new(name);
    e.kernel.indices = kernel.indices;
    let mut loads = Vec::new();
    reads(kernel, &kernel.body, &mut Nest::new(), &mut loads);
    let mut w = Walker {
        old: kernel,
        e,
        map: vec![None; kernel.values.len()],
        grad: vec![Gradient::new(); kernel.values.len()],
        nest: Nest::new(),
        pending: Vec::new(),
        scalars: BTreeMap::new(),
        handed: seeds(frame),
        n_seeds: frame.seeds.len(),
        loads,
        row_writers: Vec::new(),
        row_scalars: BTreeMap::new(),
        families: Vec::new(),
        entries: 0,
        scratch: 0,
        in_branch: 0,
        sums: 0,
        origin: first_origin(&kernel.body).unwrap_or(OriginId(0)),
        frame,
        functions,
        budget,
    };
    w.region(&kernel.body).ok()?;
    w.finish()
}

/// The columns' own slots: their gradient is one.
fn seeds(frame: &Frame<'_>) -> Vec<Handed> {
    let mut start = 0i64;
    let mut out = Vec::new();
    for (k, run) in frame.seeds.iter().enumerate() {
        // an index that no kernel uses
        let index = Index(u32::MAX - k as u32);
        let len = i64::from(run.len);
        let nest = vec![(index, 0, len)];
        let at = Affine::constant(i64::from(run.base)).plus(index, 1);
        let key = Key::new(Affine::constant(start).plus(index, 1), vec![(0, len)]);
        out.push(Handed {
            writer: Writer { space: run.space, at, nest },
            gradient: vec![(key, Num::ONE, None)],
        });
        start += len;
    }
    out
}

/// An address that is read somewhere.
struct Read {
    place: Place,
    nest: Nest,
}

fn reads(kernel: &Kernel, region: &Region, nest: &mut Nest, out: &mut Vec<Read>) {
    for stmt in region {
        match stmt {
            Stmt::Eval(v) => match &kernel.values[v.index()].op {
                Op::Load(p) => out.push(Read { place: p.clone(), nest: nest.clone() }),
                Op::LoadAt { place, len, stride, .. } => {
                    for k in 0..i64::from(*len) {
                        let mut place = place.clone();
                        place.at.base += k * stride;
                        out.push(Read { place, nest: nest.clone() });
                    }
                }
                _ => {}
            },
            Stmt::For(l) if l.lo < l.hi => {
                nest.push((l.index, l.lo, l.hi));
                reads(kernel, &l.body, nest, out);
                nest.pop();
            }
            Stmt::If(i) => {
                reads(kernel, &i.then, nest, out);
                reads(kernel, &i.otherwise, nest, out);
            }
            _ => {}
        }
    }
}

fn writes(region: &Region, nest: &mut Nest, out: &mut Vec<Writer>) {
    for stmt in region {
        match stmt {
            Stmt::Store { place, .. } => {
                out.push(Writer { space: place.space, at: place.at.clone(), nest: nest.clone() });
            }
            Stmt::For(l) if l.lo < l.hi => {
                nest.push((l.index, l.lo, l.hi));
                writes(&l.body, nest, out);
                nest.pop();
            }
            Stmt::If(i) => {
                writes(&i.then, nest, out);
                writes(&i.otherwise, nest, out);
            }
            _ => {}
        }
    }
}

/// The origin of the first store.
fn first_origin(region: &Region) -> Option<OriginId> {
    region.iter().find_map(|s| match s {
        Stmt::Store { origin, .. } => Some(*origin),
        Stmt::For(l) => first_origin(&l.body),
        Stmt::If(i) => first_origin(&i.then).or_else(|| first_origin(&i.otherwise)),
        _ => None,
    })
}

fn full(nest: &Nest) -> Bounds {
    nest.iter().map(|n| (n.1, n.2)).collect()
}

struct Walker<'a, 'f> {
    old: &'a Kernel,
    e: Emit,
    map: Vec<Option<Value>>,
    grad: Vec<Gradient>,
    nest: Nest,
    /// Stores of the loops that are open.
    pending: Vec<Writer>,
    /// Slots written outside loops.
    scalars: BTreeMap<(Space, i64), Gradient>,
    /// Seeds, then what was written in loops.
    handed: Vec<Handed>,
    n_seeds: usize,
    loads: Vec<Read>,
    row_writers: Vec<Writer>,
    row_scalars: BTreeMap<i64, ()>,
    families: Vec<EntryFamily>,
    entries: i64,
    scratch: i64,
    in_branch: u32,
    /// Sums that were followed so far.
    sums: i64,
    /// Of what has none of its own: the partials of a sum.
    origin: OriginId,
    frame: &'a Frame<'a>,
    functions: &'a mut Functions<'f>,
    budget: usize,
}

type Outcome<T> = Result<T, Unclear>;

impl Walker<'_, '_> {
    fn new_of(&self, v: Value) -> Value {
        self.map[v.index()].unwrap_or(v)
    }

    fn spend(&mut self, n: usize) -> Outcome<()> {
        self.budget = self.budget.checked_sub(n).ok_or(Unclear)?;
        Ok(())
    }

    /// The gradient of a value, with bounds for all loops that are open here.
    fn gradient(&self, v: Value) -> Gradient {
        let mut g = self.grad[v.index()].clone();
        for (key, _) in &mut g {
            for n in &self.nest[key.bounds.len().min(self.nest.len())..] {
                key.bounds.push((n.1, n.2));
            }
        }
        g
    }

    fn region(&mut self, region: &Region) -> Outcome<()> {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => self.eval(*v)?,
                Stmt::Store { place, value, origin } => self.store(place, *value, *origin)?,
                Stmt::Solve(_) | Stmt::SolveTangent(_) => return Err(Unclear),
                Stmt::For(l) => self.for_loop(l)?,
                Stmt::If(i) => self.branch(i)?,
            }
        }
        Ok(())
    }

    fn eval(&mut self, v: Value) -> Outcome<()> {
        let data = &self.old.values[v.index()];
        let mut op = data.op.clone();
        op.map_operands(|o| self.new_of(o));
        let y = self.e.push(op, data.ty);
        self.map[v.index()] = Some(y);
        if data.ty != Ty::F64 {
            return Ok(());
        }
        let gradient = match &data.op {
            Op::Load(p) => self.load(p)?,
            Op::LoadAt { place, at, len, stride, .. } => {
                let at = self.new_of(*at);
                let mut out = Gradient::new();
                for k in 0..i64::from(*len) {
                    let mut place = place.clone();
                    place.at.base += k * stride;
                    let g = self.load(&place)?;
                    if g.is_empty() {
                        continue;
                    }
                    self.spend(1 + g.len())?;
                    let kv = self.e.push(Op::ConstI(k), Ty::I64);
                    let hit = self.e.push(Op::CmpI(crate::ir::CmpOp::Eq, at, kv), Ty::Bool);
                    out = self.choose(hit, &g, &out);
                }
                out
            }
            op => {
                let grad = &self.grad;
                let on = |o: Value| !grad[o.index()].is_empty();
                match local(&mut self.e, op, y, &self.map, on, self.functions) {
                    Local::Linear(terms) => {
                        let mut sum = Gradient::new();
                        for (o, d) in terms {
                            let g = self.gradient(o);
                            sum = self.axpy(d, g, sum);
                        }
                        sum
                    }
                    Local::Choose(c, a, b) => {
                        let (p, q) = (self.gradient(a), self.gradient(b));
                        self.choose(c, &p, &q)
                    }
                }
            }
        };
        self.spend(gradient.len())?;
        self.grad[v.index()] = gradient;
        Ok(())
    }

    /// `d·g + sum`.
    fn axpy(&mut self, d: Num, g: Gradient, sum: Gradient) -> Gradient {
        let mut out = Gradient::with_capacity(g.len() + sum.len());
        let mut rest = sum.into_iter().peekable();
        for (key, p) in g {
            while let Some(s) = rest.next_if(|s| s.0 < key) {
                out.push(s);
            }
            let t = self.e.mul(d, p);
            let t = match rest.next_if(|s| s.0 == key) {
                Some((_, s)) => self.e.add(s, t),
                None => t,
            };
            out.push((key, t));
        }
        out.extend(rest);
        out
    }

    fn choose(&mut self, c: Value, a: &Gradient, b: &Gradient) -> Gradient {
        union(a, b).into_iter().map(|(key, p, q)| (key, self.e.select(c, p, q))).collect()
    }

    /// The gradient of what a slot holds when it is read here.
    fn load(&mut self, place: &Place) -> Outcome<Gradient> {
        let (space, at) = (place.space, &place.at);
        let bounds = full(&self.nest);
        let tracked =
            matches!(space, Space::Var | Space::Der) || self.frame.seeds.iter().any(|s| s.space == space);
        if !tracked {
            return Ok(Gradient::new());
        }
        let mut out = Gradient::new();
        // a store of an open loop may have written the slot in another round
        let hazard = self.pending.iter().any(|w| w.space == space && w.may_meet(at, &self.nest, &bounds));
        let mut whole = false;
        if at.terms.is_empty() {
            if let Some(g) = self.scalars.get(&(space, at.base)) {
                out = g.clone();
                for (key, _) in &mut out {
                    key.bounds.clone_from(&bounds);
                }
                if !hazard {
                    return Ok(out);
                }
            }
        } else {
            let (least, most) = extent(at, &self.nest, &bounds).ok_or(Unclear)?;
            let hits: Vec<(i64, Gradient)> =
                self.scalars.range((space, least)..=(space, most)).map(|(k, g)| (k.1, g.clone())).collect();
            for (slot, g) in hits {
                let mut d = at.clone();
                d.base -= slot;
                if let Some(inside) = restrict_exact(&d, &self.nest, &bounds)? {
                    let g = g.into_iter().map(|(k, n)| (Key { bounds: inside.clone(), ..k }, n));
                    out = self.axpy(Num::ONE, sorted(g.collect()), out);
                }
            }
        }
        for k in 0..self.handed.len() {
            if self.handed[k].writer.space != space {
                continue;
            }
            let Some((inside, own)) = self.handed[k].writer.meet(at, &self.nest, &bounds)? else { continue };
            whole |= k >= self.n_seeds && inside == bounds;
            let g = self.take(k, &inside, &own)?;
            self.spend(g.len())?;
            out = self.axpy(Num::ONE, g, out);
        }
        if hazard && !whole {
            return Err(Unclear);
        }
        Ok(out)
    }

    /// The gradient of a store, seen from here.
    fn take(&mut self, k: usize, inside: &Bounds, own: &[(Index, Affine)]) -> Outcome<Gradient> {
        let handed = self.handed[k].clone();
        let shared = handed.writer.shared(&self.nest);
        let here = handed.writer.nest.len() == shared;
        let mut out = Gradient::new();
        'entries: for (key, direct, scratch) in &handed.gradient {
            let mut bounds = inside.clone();
            for (n, &(lo, hi)) in key.bounds.iter().enumerate() {
                let index = handed.writer.nest[n].0;
                let at = match own.iter().find(|o| o.0 == index) {
                    Some((_, q)) => q.clone(),
                    None => Affine::constant(0).plus(index, 1),
                };
                match restrict(&at, &self.nest, bounds, lo, hi)? {
                    Some(b) => bounds = b,
                    None => continue 'entries,
                }
            }
            let num = match (direct, scratch) {
                (Num::Const(c), _) => Num::Const(*c),
                (d, _) if here => *d,
                (_, Some(at)) => {
                    let at = substitute(at, own).ok_or(Unclear)?;
                    Num::Val(self.e.f(Op::Load(Place { space: Space::Jac, at })))
                }
                _ => return Err(Unclear),
            };
            let col = substitute(&key.col, own).ok_or(Unclear)?;
            let mut fan = key.fan.clone();
            if let Some(slot) = fan.as_mut().and_then(|f| f.slot.as_mut()) {
                *slot = substitute(slot, own).ok_or(Unclear)?;
            }
            out.push((Key { col, bounds, fan }, num));
        }
        let mut sum = Gradient::new();
        for entry in out {
            sum = self.axpy(Num::ONE, vec![entry], sum);
        }
        Ok(sum)
    }
}
