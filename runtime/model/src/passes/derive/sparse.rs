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
//! rounds, a slot read in another round than
//! it is written, addresses that [`super::overlap`] does not understand.

use super::Functions;
use super::local::{Local, local};
use super::overlap::{Bounds, Nest, Unclear, Writer, extent, restrict, restrict_exact, substitute};
use crate::ids::{Index, OriginId, Value};
use crate::ir::{Affine, For, If, Kernel, Op, Place, Region, Space, Stmt, Ty};
use crate::passes::emit::{Emit, Num};
use crate::program::{EntryFamily, Jacobian, SlotRun};
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

/// A column over a box of rounds of the enclosing loops.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    col: Affine,
    bounds: Bounds,
    fan: Option<Box<Fan>>,
}

impl Key {
    fn new(col: Affine, bounds: Bounds) -> Key {
        Key { col, bounds, fan: None }
    }

    /// Whether it stands for a sum so far, not for a column.
    fn is_sum(&self) -> bool {
        self.col.base <= SUM && self.col.terms.is_empty()
    }

    /// Whether it is another one in each round of a loop.
    fn moves(&self, index: Index) -> bool {
        let with = |a: &Affine| a.terms.iter().any(|t| t.0 == index);
        with(&self.col) || self.fan.as_ref().and_then(|f| f.slot.as_ref()).is_some_and(with)
    }
}

/// Many columns at once: `col` for each round of `loops`, which are no loops of the kernel.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Fan {
    loops: Nest,
    /// Scratch slot of each round's partial; `None`: one.
    slot: Option<Affine>,
}

/// Keys rise strictly.
type Gradient = Vec<(Key, Num)>;

/// What a store handed on: the partials as values of its round, and in scratch slots if others need them.
#[derive(Clone, Debug)]
struct Handed {
    writer: Writer,
    gradient: Vec<(Key, Num, Option<Affine>)>,
}

/// Scratch slots are numbered from here until the number of entries is known.
const SCRATCH: i64 = 1 << 40;
/// Columns up to here stand for the sums of loops that are open.
const SUM: i64 = i64::MIN / 2;
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

/// How far the writing had got.
struct Mark {
    values: usize,
    region: usize,
    handed: usize,
    families: usize,
    row_writers: usize,
    entries: i64,
    scratch: i64,
}

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

    fn store(&mut self, place: &Place, value: Value, origin: OriginId) -> Outcome<()> {
        if self.in_branch > 0 {
            return Err(Unclear);
        }
        let gradient = self.gradient(value);
        if gradient.iter().any(|g| g.0.is_sum()) {
            return Err(Unclear);
        }
        let writer = Writer { space: place.space, at: place.at.clone(), nest: self.nest.clone() };
        if place.space == self.frame.rows {
            self.row(&writer, &gradient, origin)?;
        }
        if !matches!(place.space, Space::Var | Space::Der) {
            return Ok(());
        }
        let new = self.new_of(value);
        self.e.region.push(Stmt::Store { place: place.clone(), value: new, origin });
        if self.nest.is_empty() {
            for h in &self.handed {
                if h.writer.space == place.space && h.writer.may_meet(&place.at, &[], &[]) {
                    return Err(Unclear);
                }
            }
            self.scalars.insert((place.space, place.at.base), gradient);
            return Ok(());
        }
        let (least, most) = writer.extent().ok_or(Unclear)?;
        for (&(_, slot), _) in self.scalars.range((place.space, least)..=(place.space, most)) {
            apart(&Writer { space: place.space, at: Affine::constant(slot), nest: Nest::new() }, &writer)?;
        }
        for h in self.handed.iter().filter(|h| h.writer.space == place.space) {
            apart(&h.writer, &writer)?;
        }
        let outside = self.loads.iter().any(|r| {
            r.place.space == place.space
                && writer.shared(&r.nest) < self.nest.len()
                && writer.may_meet(&r.place.at, &r.nest, &full(&r.nest))
        });
        let mut handed = Vec::with_capacity(gradient.len());
        for (key, num) in gradient {
            let scratch = match num {
                Num::Val(v) if outside => {
                    let at = self.slots(SCRATCH + self.scratch)?;
                    self.scratch += self.rounds()?;
                    let place = Place { space: Space::Jac, at: at.clone() };
                    self.e.region.push(Stmt::Store { place, value: v, origin });
                    Some(at)
                }
                _ => None,
            };
            handed.push((key, num, scratch));
        }
        self.handed.push(Handed { writer, gradient: handed });
        Ok(())
    }

    /// Rounds of all open loops together.
    fn rounds(&self) -> Outcome<i64> {
        let n = self.nest.iter().try_fold(1i64, |n, l| n.checked_mul(l.2 - l.1)).ok_or(Unclear)?;
        if n < 1 << 31 { Ok(n) } else { Err(Unclear) }
    }

    /// A slot for each round, from `base`, innermost fastest.
    fn slots(&self, base: i64) -> Outcome<Affine> {
        let mut at = Affine::constant(base);
        let mut stride = 1i64;
        for &(i, lo, hi) in self.nest.iter().rev() {
            at.base -= stride * lo;
            at = at.plus(i, stride);
            stride = stride.checked_mul(hi - lo).ok_or(Unclear)?;
        }
        Ok(at)
    }

    fn row(&mut self, writer: &Writer, gradient: &Gradient, origin: OriginId) -> Outcome<()> {
        if self.nest.is_empty() {
            let again = self.row_scalars.insert(writer.at.base, ()).is_some();
            if again || self.row_writers.iter().any(|w| w.may_meet(&writer.at, &[], &[])) {
                return Err(Unclear);
            }
        } else {
            let (least, most) = writer.extent().ok_or(Unclear)?;
            for (&slot, ()) in self.row_scalars.range(least..=most) {
                apart(
                    &Writer { space: writer.space, at: Affine::constant(slot), nest: Nest::new() },
                    writer,
                )?;
            }
            for w in &self.row_writers {
                apart(w, writer)?;
            }
            self.row_writers.push(writer.clone());
        }
        for (key, num) in gradient {
            if num.is_zero() {
                continue;
            }
            let depth = self.nest.len();
            let fanned: &[(Index, i64, i64)] = key.fan.as_ref().map_or(&[], |f| &f.loops);
            self.nest.extend_from_slice(fanned);
            let at = self.slots(self.entries)?;
            self.entries += self.rounds()?;
            if !fanned.is_empty() && self.entries > FANNED {
                return Err(Unclear);
            }
            let place = Place { space: Space::Jac, at: at.clone() };
            self.spread(key, *num, place, origin)?;
            let renumber = |a: &Affine| -> Option<Affine> {
                let mut out = Affine::constant(a.base);
                for &(i, s) in &a.terms {
                    let k = self.nest.iter().position(|n| n.0 == i)?;
                    out = out.plus(Index::new(k), s);
                }
                Some(out)
            };
            let mut loops = key.bounds.clone();
            loops.extend(fanned.iter().map(|l| (l.1, l.2)));
            self.families.push(EntryFamily {
                loops,
                row: renumber(&writer.at).ok_or(Unclear)?,
                col: renumber(&key.col).ok_or(Unclear)?,
                slot: renumber(&at).ok_or(Unclear)?,
            });
            self.nest.truncate(depth);
        }
        Ok(())
    }

    /// Stores `num` times the partials of a key; those of a fan in loops of their own.
    fn spread(&mut self, key: &Key, num: Num, place: Place, origin: OriginId) -> Outcome<()> {
        let Some(fan) = &key.fan else {
            let value = self.e.value(num);
            self.e.region.push(Stmt::Store { place, value, origin });
            return Ok(());
        };
        // each loop of a kernel has an index of its own
        let mut loops = Vec::with_capacity(fan.loops.len());
        let mut own = Vec::with_capacity(fan.loops.len());
        for &(index, lo, hi) in &fan.loops {
            let new = Index(self.e.kernel.indices);
            self.e.kernel.indices += 1;
            loops.push((new, lo, hi));
            own.push((index, Affine::constant(0).plus(new, 1)));
        }
        let renamed = |at: &Affine| substitute(at, &own).ok_or(Unclear);
        let place = Place { space: place.space, at: renamed(&place.at)? };
        let slot = fan.slot.as_ref().map(renamed).transpose()?;
        let (mut body, ()) = self.e.inside(|e| {
            let partial = slot.map(|at| Num::Val(e.f(Op::Load(Place { space: Space::Jac, at }))));
            let value = e.mul(num, partial.unwrap_or(Num::ONE));
            let value = e.value(value);
            e.region.push(Stmt::Store { place, value, origin });
        });
        for (index, lo, hi) in loops.into_iter().rev() {
            let l = For { carries: Vec::new(), body, index, lo, hi, reverse: false };
            body = vec![Stmt::For(Box::new(l))];
        }
        self.e.region.append(&mut body);
        Ok(())
    }

    /// The key of what a sum over `l` depends on, from the key and the partial of a round, seen from behind the loop.
    /// Writes the round's partials down.
    fn fan(&mut self, l: &For, mut key: Key, num: Num) -> Outcome<(Key, Num)> {
        let depth = self.nest.len();
        let range = key.bounds.pop().ok_or(Unclear)?;
        let inner = key.fan.take().map(|f| *f);
        let (slot, outside) = match (&inner, num) {
            (None, Num::Const(_)) => (None, num),
            _ => {
                self.nest.extend(inner.iter().flat_map(|f| f.loops.iter().copied()));
                let at = self.slots(SCRATCH + self.scratch)?;
                self.scratch += self.rounds()?;
                self.nest.truncate(depth);
                if self.scratch > FANNED {
                    return Err(Unclear);
                }
                let part =
                    Key { col: Affine::default(), bounds: Bounds::new(), fan: inner.clone().map(Box::new) };
                self.spread(&part, num, Place { space: Space::Jac, at: at.clone() }, self.origin)?;
                (Some(at), Num::ONE)
            }
        };
        // behind the loop its index means nothing
        let index = Index(self.e.kernel.indices);
        self.e.kernel.indices += 1;
        let own = [(l.index, Affine::constant(0).plus(index, 1))];
        let mut loops = vec![(index, range.0, range.1)];
        loops.extend(inner.into_iter().flat_map(|f| f.loops));
        let slot = match slot {
            Some(at) => Some(substitute(&at, &own).ok_or(Unclear)?),
            None => None,
        };
        let col = substitute(&key.col, &own).ok_or(Unclear)?;
        Ok((Key { col, bounds: key.bounds, fan: Some(Box::new(Fan { loops, slot })) }, outside))
    }

    fn for_loop(&mut self, l: &For) -> Outcome<()> {
        if l.lo >= l.hi {
            for c in &l.carries {
                self.map[c.result.index()] = self.map[c.init.index()];
                self.grad[c.result.index()] = self.gradient(c.init);
            }
            return Ok(());
        }
        // the columns that each carried value depends on: those of its start, and what rounds add
        let mut keys: Vec<Vec<Key>> =
            l.carries.iter().map(|c| self.gradient(c.init).into_iter().map(|g| g.0).collect()).collect();
        // which of them add up what moves with the rounds
        let mut sums = vec![false; l.carries.len()];
        for _ in 0..=2 * l.carries.len() {
            let mark = self.mark();
            let before = sums.clone();
            let found = self.rounds_of(l, &keys, &mut sums)?;
            if found == keys && sums == before {
                return Ok(());
            }
            self.rollback(mark);
            keys = found;
        }
        Err(Unclear)
    }

    fn mark(&mut self) -> Mark {
        Mark {
            values: self.e.kernel.values.len(),
            region: self.e.region.len(),
            handed: self.handed.len(),
            families: self.families.len(),
            row_writers: self.row_writers.len(),
            entries: self.entries,
            scratch: self.scratch,
        }
    }

    fn rollback(&mut self, m: Mark) {
        self.e.kernel.values.truncate(m.values);
        self.e.region.truncate(m.region);
        self.handed.truncate(m.handed);
        self.families.truncate(m.families);
        self.row_writers.truncate(m.row_writers);
        self.entries = m.entries;
        self.scratch = m.scratch;
    }

    /// Writes a loop whose carried values depend on the columns `keys`; gives the columns that they turn out to
    /// depend on.
    fn rounds_of(&mut self, l: &For, keys: &[Vec<Key>], sums: &mut [bool]) -> Outcome<Vec<Vec<Key>>> {
        let mut carries = Vec::new();
        let first_sum = SUM - self.sums - l.carries.len() as i64;
        self.sums += l.carries.len() as i64;
        for (n, (c, keys)) in l.carries.iter().zip(keys).enumerate() {
            let init = self.new_of(c.init);
            let start = self.gradient(c.init);
            let mut partials = Vec::with_capacity(keys.len());
            for key in keys {
                let d = start.iter().find(|g| g.0 == *key).map_or(Num::ZERO, |g| g.1);
                let init = self.e.value(d);
                partials.push((key.clone(), init, self.e.kernel.value(Op::Carry, Ty::F64)));
            }
            self.spend(keys.len())?;
            let var = self.e.kernel.value(Op::Carry, self.old.values[c.var.index()].ty);
            self.map[c.var.index()] = Some(var);
            let mut gradient: Gradient = partials.iter().map(|p| (p.0.clone(), Num::Val(p.2))).collect();
            if sums[n] {
                let bounds = full(&self.nest);
                gradient.push((Key::new(Affine::constant(first_sum + n as i64), bounds), Num::ONE));
            }
            self.grad[c.var.index()] = sorted(gradient);
            carries.push((var, init, partials));
        }
        self.nest.push((l.index, l.lo, l.hi));
        let mark = self.pending.len();
        let mut nest = self.nest.clone();
        let mut stores = Vec::new();
        writes(&l.body, &mut nest, &mut stores);
        self.pending.append(&mut stores);
        let outer = std::mem::take(&mut self.e.region);
        self.region(&l.body)?;
        let mut found = Vec::with_capacity(l.carries.len());
        let mut out = Vec::new();
        for (n, (c, (var, init, partials))) in l.carries.iter().zip(carries).enumerate() {
            let ends = self.gradient(c.next);
            let mut all: Vec<Key> = partials.iter().map(|p| p.0.clone()).collect();
            let mut fans = Gradient::new();
            // a sum hands itself on as it is
            let own = Affine::constant(first_sum + n as i64);
            if sums[n] && !ends.iter().any(|g| g.0.col == own && g.1.is_one()) {
                return Err(Unclear);
            }
            for (key, num) in &ends {
                let mut key = key.clone();
                if sums[n] && key.col == own {
                    continue;
                }
                if key.is_sum() && key.col.base >= first_sum {
                    return Err(Unclear);
                }
                // a column that moves with the rounds has no place in a single carried value
                if key.moves(l.index) {
                    if sums[n] {
                        fans.push(self.fan(l, key, *num)?);
                    }
                    sums[n] = true;
                    continue;
                }
                if key.bounds.pop() != Some((l.lo, l.hi)) {
                    return Err(Unclear);
                }
                if let Err(at) = all.binary_search(&key) {
                    all.insert(at, key);
                }
            }
            let next = self.new_of(c.next);
            let result = self.e.kernel.value(Op::Result, self.old.values[c.result.index()].ty);
            self.map[c.result.index()] = Some(result);
            out.push(crate::ir::Carry { var, init, next, result });
            let mut gradient = Gradient::new();
            for (key, init, var) in partials {
                let mut inner = key.clone();
                inner.bounds.push((l.lo, l.hi));
                let d = ends.iter().find(|g| g.0 == inner).map_or(Num::ZERO, |g| g.1);
                let next = self.e.value(d);
                let result = self.e.kernel.value(Op::Result, Ty::F64);
                out.push(crate::ir::Carry { var, init, next, result });
                gradient.push((key, Num::Val(result)));
            }
            gradient.append(&mut fans);
            self.grad[c.result.index()] = sorted(gradient);
            found.push(all);
        }
        let body = std::mem::replace(&mut self.e.region, outer);
        self.pending.truncate(mark);
        self.nest.pop();
        let l = For { carries: out, body, index: l.index, lo: l.lo, hi: l.hi, reverse: l.reverse };
        self.e.region.push(Stmt::For(Box::new(l)));
        Ok(found)
    }

    fn branch(&mut self, i: &If) -> Outcome<()> {
        let cond = self.new_of(i.cond);
        let outer = std::mem::take(&mut self.e.region);
        self.in_branch += 1;
        self.region(&i.then)?;
        let mut then = std::mem::take(&mut self.e.region);
        self.region(&i.otherwise)?;
        let mut otherwise = std::mem::take(&mut self.e.region);
        self.in_branch -= 1;
        let mut results = Vec::new();
        for &(r, p, q) in &i.results {
            let new = self.e.kernel.value(Op::Result, self.old.values[r.index()].ty);
            results.push((new, self.new_of(p), self.new_of(q)));
            self.map[r.index()] = Some(new);
            let mut gradient = Gradient::new();
            for (key, a, b) in union(&self.gradient(p), &self.gradient(q)) {
                if let (Num::Const(x), Num::Const(y)) = (a, b)
                    && x == y
                {
                    gradient.push((key, a));
                    continue;
                }
                // constants are made inside their side
                self.e.region = std::mem::take(&mut then);
                let a = self.e.value(a);
                then = std::mem::take(&mut self.e.region);
                self.e.region = std::mem::take(&mut otherwise);
                let b = self.e.value(b);
                otherwise = std::mem::take(&mut self.e.region);
                let d = self.e.kernel.value(Op::Result, Ty::F64);
                results.push((d, a, b));
                gradient.push((key, Num::Val(d)));
            }
            self.spend(gradient.len())?;
            self.grad[r.index()] = gradient;
        }
        self.e.region = outer;
        self.e.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
        Ok(())
    }

    /// Moves the scratch slots behind the entries, with room for reads in rounds that no entry uses.
    fn finish(self) -> Option<(Jacobian, u32)> {
        let mut kernel = self.e.kernel;
        kernel.body = self.e.region;
        let (mut least, mut most) = (0i64, self.scratch - 1);
        let mut ranges = vec![(0, 1); kernel.indices as usize];
        loops(&kernel.body, &mut ranges);
        for d in &kernel.values {
            if let Op::Load(Place { space: Space::Jac, at }) = &d.op {
                let (a, b) = crate::verify::extent(at, |i| ranges.get(i).copied())?;
                least = least.min(a - SCRATCH);
                most = most.max(b - SCRATCH);
            }
        }
        let shift = self.entries.checked_sub(least)?.checked_sub(SCRATCH)?;
        for d in &mut kernel.values {
            if let Op::Load(Place { space: Space::Jac, at }) = &mut d.op {
                at.base += shift;
            }
        }
        shift_stores(&mut kernel.body, shift);
        let total = if self.scratch == 0 { self.entries } else { self.entries + most - least + 1 };
        let cols: u32 = self.frame.seeds.iter().map(|s| s.len).sum();
        Some((
            Jacobian {
                rows: self.frame.n_rows,
                cols,
                entries: u32::try_from(self.entries).ok()?,
                families: self.families,
                kernel,
            },
            u32::try_from(total).ok()?,
        ))
    }
}

/// Fails unless the two write different slots.
fn apart(a: &Writer, b: &Writer) -> Outcome<()> {
    match a.meet(&b.at, &b.nest, &full(&b.nest))? {
        None => Ok(()),
        Some(_) => Err(Unclear),
    }
}

fn sorted(mut g: Gradient) -> Gradient {
    g.sort_by(|a, b| a.0.cmp(&b.0));
    g
}

fn loops(region: &Region, ranges: &mut [(i64, i64)]) {
    for s in region {
        match s {
            Stmt::For(l) => {
                if let Some(r) = ranges.get_mut(l.index.index()) {
                    *r = (l.lo, l.hi);
                }
                loops(&l.body, ranges);
            }
            Stmt::If(i) => {
                loops(&i.then, ranges);
                loops(&i.otherwise, ranges);
            }
            _ => {}
        }
    }
}

fn shift_stores(region: &mut Region, shift: i64) {
    for s in region {
        match s {
            Stmt::Store { place: Place { space: Space::Jac, at }, .. } if at.base >= SCRATCH / 2 => {
                at.base += shift;
            }
            Stmt::For(l) => shift_stores(&mut l.body, shift),
            Stmt::If(i) => {
                shift_stores(&mut i.then, shift);
                shift_stores(&mut i.otherwise, shift);
            }
            _ => {}
        }
    }
}

/// Both gradients key by key, zeros where one has none.
fn union(a: &Gradient, b: &Gradient) -> Vec<(Key, Num, Num)> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    loop {
        let (p, q) = (a.get(i), b.get(j));
        let (key, x, y) = match (p, q) {
            (None, None) => return out,
            (Some(p), None) => (&p.0, true, false),
            (None, Some(q)) => (&q.0, false, true),
            (Some(p), Some(q)) => match p.0.cmp(&q.0) {
                std::cmp::Ordering::Less => (&p.0, true, false),
                std::cmp::Ordering::Equal => (&p.0, true, true),
                std::cmp::Ordering::Greater => (&q.0, false, true),
            },
        };
        out.push((key.clone(), if x { a[i].1 } else { Num::ZERO }, if y { b[j].1 } else { Num::ZERO }));
        i += usize::from(x);
        j += usize::from(y);
    }
}
