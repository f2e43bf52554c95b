//! Constant folding, value numbering and motion of invariant code, in one walk. No bit of any result changes:
//! only identities that hold for every number are used.

use super::emit::Emit;
use crate::ids::Value;
use crate::interp::scalar;
use crate::ir::{Affine, BinOp, BoolOp, Carry, For, If, Kernel, Op, Place, Region, Space, Stmt, Ty, UnOp};
use crate::math::eval;
use rustc_hash::FxHashMap;

/// Simplifies a kernel; with `hoist`, pure operations leave the loops they do not depend on. Gives the new
/// number of each value.
pub fn simplify(kernel: &Kernel, hoist: bool) -> (Kernel, Vec<Option<Value>>) {
    let mut e = Emit::new(kernel.name.clone());
    e.kernel.indices = kernel.indices;
    e.kernel.values.reserve(kernel.values.len());
    e.region.reserve(kernel.body.len());
    let mut s = Simplifier {
        old: kernel,
        e,
        map: vec![None; kernel.values.len()],
        known: FxHashMap::with_capacity_and_hasher(kernel.values.len(), Default::default()),
        depth_of: Vec::with_capacity(kernel.values.len()),
        outer: Vec::new(),
        scopes: vec![Scope { keys: Vec::new(), hoist_to: 0, writes: 0 }],
        epoch: [0; Space::ALL.len()],
        clock: 0,
        hoist,
        index_depth: vec![0; kernel.indices as usize],
    };
    s.region(&kernel.body);
    let mut new = s.e.kernel;
    new.body = s.e.region;
    (new, s.map)
}

/// What makes two values equal: the operation and, for loads, the last write to the space.
type Key = (Op, u32);

struct Scope {
    keys: Vec<Key>,
    /// The outermost depth that code of this region may move to: branches hold theirs.
    hoist_to: usize,
    /// Spaces that rounds of this loop write, as bits: loads of them stay.
    writes: u32,
}

struct Simplifier<'a> {
    old: &'a Kernel,
    e: Emit,
    map: Vec<Option<Value>>,
    known: FxHashMap<Key, Value>,
    /// Depth of the region in which each new value is defined.
    depth_of: Vec<usize>,
    /// Enclosing regions, outermost first; the current one is `e.region`.
    outer: Vec<Region>,
    scopes: Vec<Scope>,
    epoch: [u32; Space::ALL.len()],
    clock: u32,
    hoist: bool,
    /// Depth of the region in which each index runs.
    index_depth: Vec<usize>,
}

impl Simplifier<'_> {
    fn get(&self, v: Value) -> Value {
        self.map[v.index()].unwrap_or(v)
    }

    fn op(&self, v: Value) -> &Op {
        &self.e.kernel.values[v.index()].op
    }

    fn f(&self, v: Value) -> Option<f64> {
        match self.op(v) {
            Op::ConstF(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }

    fn i(&self, v: Value) -> Option<i64> {
        match self.op(v) {
            Op::ConstI(i) => Some(*i),
            _ => None,
        }
    }

    fn b(&self, v: Value) -> Option<bool> {
        match self.op(v) {
            Op::ConstB(b) => Some(*b),
            _ => None,
        }
    }

    fn touch(&mut self, space: Space) {
        self.clock += 1;
        self.epoch[space as usize] = self.clock;
    }

    fn touch_all(&mut self) {
        for space in Space::ALL {
            self.touch(space);
        }
    }

    /// Spaces that a region writes.
    fn touch_region(&mut self, region: &Region) {
        for stmt in region {
            match stmt {
                Stmt::Store { place, .. } => self.touch(place.space),
                Stmt::Solve(_) | Stmt::SolveTangent(_) => self.touch_all(),
                Stmt::For(l) => self.touch_region(&l.body),
                Stmt::If(i) => {
                    self.touch_region(&i.then);
                    self.touch_region(&i.otherwise);
                }
                Stmt::Eval(_) => {}
            }
        }
    }

    fn record(&mut self, v: Value, depth: usize) {
        if self.depth_of.len() <= v.index() {
            self.depth_of.resize(v.index() + 1, 0);
        }
        self.depth_of[v.index()] = depth;
    }

    fn depth(&self) -> usize {
        self.outer.len()
    }

    /// The operation, or an equal value found before.
    fn number(&mut self, op: Op, ty: Ty) -> Value {
        let epoch = match &op {
            Op::Load(p) | Op::LoadAt { place: p, .. } => self.epoch[p.space as usize],
            _ => 0,
        };
        let key = (op, epoch);
        if let Some(&v) = self.known.get(&key) {
            return v;
        }
        let op = key.0.clone();
        let here = self.depth();
        let pure = !matches!(
            op,
            Op::LoadAt { .. } | Op::Delay { .. } | Op::Table { .. } | Op::Call(..) | Op::Arg(_)
        );
        let mut to = here;
        if self.hoist && pure {
            let needs = op.operands().map(|o| self.depth_of[o.index()]).max().unwrap_or(0);
            let index = match &op {
                Op::IndexF(a) | Op::IndexI(a) => self.affine_depth(a),
                Op::Load(p) => {
                    let bit = 1 << p.space as u32;
                    let written = self.scopes.iter().rposition(|s| s.writes & bit != 0).unwrap_or(0);
                    self.affine_depth(&p.at).max(written)
                }
                _ => 0,
            };
            to = needs.max(index).max(self.scopes[here].hoist_to);
        }
        let v = self.e.kernel.value(op, ty);
        if to < here {
            self.outer[to].push(Stmt::Eval(v));
        } else {
            self.e.region.push(Stmt::Eval(v));
        }
        self.record(v, to);
        self.know(to, key, v);
        v
    }

    /// Depth of the innermost loop that an affine function runs with.
    fn affine_depth(&self, a: &Affine) -> usize {
        a.terms.iter().map(|t| self.index_depth[t.0.index()]).max().unwrap_or(0)
    }

    fn inside(&mut self, region: &Region, branch: bool) -> Region {
        let here = self.depth();
        let hoist_to = if branch { here + 1 } else { self.scopes[here].hoist_to };
        let writes = if branch { 0 } else { written(region) };
        self.outer.push(std::mem::take(&mut self.e.region));
        self.scopes.push(Scope { keys: Vec::new(), hoist_to, writes });
        self.region(region);
        for key in self.scopes.pop().into_iter().flat_map(|s| s.keys) {
            self.known.remove(&key);
        }
        let outer = self.outer.pop().unwrap_or_default();
        std::mem::replace(&mut self.e.region, outer)
    }

    fn bound(&mut self, v: Value, op: Op, depth: usize) -> Value {
        let new = self.e.kernel.value(op, self.old.values[v.index()].ty);
        self.record(new, depth);
        self.map[v.index()] = Some(new);
        new
    }

    fn region(&mut self, region: &Region) {
        for stmt in region {
            match stmt {
                Stmt::Eval(v) => {
                    let d = &self.old.values[v.index()];
                    let mut op = d.op.clone();
                    op.map_operands(|o| self.get(o));
                    let new = match self.fold(&op) {
                        Folded::Value(v) => v,
                        Folded::Op(op) => self.number(op, d.ty),
                        Folded::No => self.number(op, d.ty),
                    };
                    self.map[v.index()] = Some(new);
                }
                Stmt::Store { place, value, origin } => {
                    let value = self.get(*value);
                    self.store(place.clone(), value);
                    self.e.region.push(Stmt::Store { place: place.clone(), value, origin: *origin });
                }
                Stmt::Solve(_) | Stmt::SolveTangent(_) => {
                    self.touch_all();
                    self.e.region.push(stmt.clone());
                }
                Stmt::For(l) => self.for_loop(l),
                Stmt::If(i) => self.branch(i),
            }
        }
    }

    /// A slot gets a value: later loads of it are that value.
    fn store(&mut self, place: Place, value: Value) {
        self.touch(place.space);
        if self.e.kernel.values[value.index()].ty == Ty::F64 {
            let key = (Op::Load(place.clone()), self.epoch[place.space as usize]);
            self.know(self.depth(), key, value);
        }
    }

    /// From now on to the end of the region at this depth, the key is this value.
    fn know(&mut self, depth: usize, key: Key, value: Value) {
        // What is known outside of all loops and branches is never forgotten.
        if depth > 0 {
            self.scopes[depth].keys.push(key.clone());
        }
        self.known.insert(key, value);
    }

    fn for_loop(&mut self, l: &For) {
        let here = self.depth();
        let inits: Vec<Value> = l.carries.iter().map(|c| self.get(c.init)).collect();
        if l.lo >= l.hi {
            // no rounds; what is inside may have addresses outside every space
            for (c, &init) in l.carries.iter().zip(&inits) {
                self.map[c.result.index()] = Some(init);
            }
            return;
        }
        let vars: Vec<Value> = l.carries.iter().map(|c| self.bound(c.var, Op::Carry, here + 1)).collect();
        self.index_depth[l.index.index()] = here + 1;
        self.touch_region(&l.body);
        let body = self.inside(&l.body, false);
        self.touch_region(&l.body);
        let mut carries = Vec::with_capacity(vars.len());
        for (k, c) in l.carries.iter().enumerate() {
            let next = self.get(c.next);
            let result = self.bound(c.result, Op::Result, here);
            carries.push(Carry { var: vars[k], init: inits[k], next, result });
        }
        self.e.region.push(Stmt::For(Box::new(For {
            index: l.index,
            lo: l.lo,
            hi: l.hi,
            reverse: l.reverse,
            carries,
            body,
        })));
    }

    fn branch(&mut self, i: &If) {
        let cond = self.get(i.cond);
        if let Some(c) = self.b(cond) {
            self.region(if c { &i.then } else { &i.otherwise });
            for &(r, a, b) in &i.results {
                self.map[r.index()] = Some(self.get(if c { a } else { b }));
            }
            return;
        }
        let then = self.inside(&i.then, true);
        self.touch_region(&i.then);
        let otherwise = self.inside(&i.otherwise, true);
        self.touch_region(&i.otherwise);
        let here = self.depth();
        let mut results = Vec::with_capacity(i.results.len());
        for &(r, a, b) in &i.results {
            let (a, b) = (self.get(a), self.get(b));
            results.push((self.bound(r, Op::Result, here), a, b));
        }
        self.e.region.push(Stmt::If(Box::new(If { cond, then, otherwise, results })));
    }

    fn fold(&mut self, op: &Op) -> Folded {
        let f = |x: f64| Folded::Op(Op::ConstF(x.to_bits()));
        match op {
            Op::Un(u, a) => {
                if let Some(x) = self.f(*a) {
                    return f(scalar::un(*u, x));
                }
                match (u, self.op(*a)) {
                    (UnOp::Neg, Op::Un(UnOp::Neg, x)) => Folded::Value(*x),
                    (UnOp::Abs, Op::Un(UnOp::Neg | UnOp::Abs, x)) => Folded::Op(Op::Un(UnOp::Abs, *x)),
                    _ => Folded::No,
                }
            }
            Op::Bin(b, x, y) => {
                let (p, q) = (self.f(*x), self.f(*y));
                if let (Some(p), Some(q)) = (p, q) {
                    return f(scalar::bin(*b, p, q));
                }
                let bits = |v: Option<f64>, c: f64| v.is_some_and(|v| v.to_bits() == c.to_bits());
                match b {
                    BinOp::Add if bits(q, -0.0) => Folded::Value(*x),
                    BinOp::Add if bits(p, -0.0) => Folded::Value(*y),
                    BinOp::Sub if bits(q, 0.0) => Folded::Value(*x),
                    BinOp::Mul | BinOp::Div if bits(q, 1.0) => Folded::Value(*x),
                    BinOp::Mul if bits(p, 1.0) => Folded::Value(*y),
                    BinOp::Mul if bits(q, -1.0) => Folded::Op(Op::Un(UnOp::Neg, *x)),
                    BinOp::Mul if bits(p, -1.0) => Folded::Op(Op::Un(UnOp::Neg, *y)),
                    BinOp::Add | BinOp::Sub => match (b, self.op(*x), self.op(*y)) {
                        (BinOp::Add, _, Op::Un(UnOp::Neg, n)) => Folded::Op(Op::Bin(BinOp::Sub, *x, *n)),
                        (BinOp::Add, Op::Un(UnOp::Neg, n), _) => Folded::Op(Op::Bin(BinOp::Sub, *y, *n)),
                        (BinOp::Sub, _, Op::Un(UnOp::Neg, n)) => Folded::Op(Op::Bin(BinOp::Add, *x, *n)),
                        (BinOp::Add, ..) if y < x => Folded::Op(Op::Bin(*b, *y, *x)),
                        _ => Folded::No,
                    },
                    // one order for operations that commute
                    BinOp::Mul if y < x => Folded::Op(Op::Bin(*b, *y, *x)),
                    _ => Folded::No,
                }
            }
            Op::Fma(a, b, c) => match (self.f(*a), self.f(*b), self.f(*c)) {
                (Some(a), Some(b), Some(c)) => f(a.mul_add(b, c)),
                _ if b < a => Folded::Op(Op::Fma(*b, *a, *c)),
                _ => Folded::No,
            },
            Op::Cmp(c, a, b) => match (self.f(*a), self.f(*b)) {
                (Some(a), Some(b)) => Folded::Op(Op::ConstB(scalar::cmp(*c, a, b))),
                _ => Folded::No,
            },
            Op::CmpI(c, a, b) => match (self.i(*a), self.i(*b)) {
                (Some(a), Some(b)) => Folded::Op(Op::ConstB(scalar::cmp_i(*c, a, b))),
                _ => Folded::No,
            },
            Op::BoolBin(o, a, b) => match (self.b(*a), self.b(*b)) {
                (Some(a), Some(b)) => Folded::Op(Op::ConstB(scalar::boolean(*o, a, b))),
                (Some(k), None) => boolean(*o, k, *b),
                (None, Some(k)) => boolean(*o, k, *a),
                _ => Folded::No,
            },
            Op::Not(a) => match (self.b(*a), self.op(*a)) {
                (Some(a), _) => Folded::Op(Op::ConstB(!a)),
                (None, Op::Not(x)) => Folded::Value(*x),
                _ => Folded::No,
            },
            Op::Select(c, a, b) => match self.b(*c) {
                Some(true) => Folded::Value(*a),
                Some(false) => Folded::Value(*b),
                None if a == b => Folded::Value(*a),
                None => Folded::No,
            },
            Op::Int(o, a, b) => match (self.i(*a), self.i(*b)) {
                (Some(a), Some(b)) => Folded::Op(Op::ConstI(scalar::int(*o, a, b))),
                _ => Folded::No,
            },
            Op::BoolToF(a) => match self.b(*a) {
                Some(b) => f(f64::from(u8::from(b))),
                None => Folded::No,
            },
            Op::FToBool(a) => match (self.f(*a), self.op(*a)) {
                (Some(x), _) => Folded::Op(Op::ConstB(x != 0.0)),
                (None, Op::BoolToF(b)) => Folded::Value(*b),
                _ => Folded::No,
            },
            Op::FToI(a) => self.f(*a).map_or(Folded::No, |x| Folded::Op(Op::ConstI(x as i64))),
            Op::IToF(a) => self.i(*a).map_or(Folded::No, |i| f(i as f64)),
            Op::BitsToF(a) => self.i(*a).map_or(Folded::No, |i| f(f64::from_bits(i as u64))),
            Op::FToBits(a) => self.f(*a).map_or(Folded::No, |x| Folded::Op(Op::ConstI(x.to_bits() as i64))),
            Op::Math(m, args) => {
                let known: Option<Vec<f64>> = args.iter().map(|&a| self.f(a)).collect();
                match known.as_deref() {
                    Some([x]) => f(eval::apply(*m, *x, 0.0)),
                    Some([x, y]) => f(eval::apply(*m, *x, *y)),
                    _ => Folded::No,
                }
            }
            Op::IndexF(a) if a.terms.is_empty() => f(a.base as f64),
            Op::IndexI(a) if a.terms.is_empty() => Folded::Op(Op::ConstI(a.base)),
            _ => Folded::No,
        }
    }
}

/// Spaces that a region writes, as bits; all where it solves a block.
fn written(region: &Region) -> u32 {
    region.iter().fold(0, |mask, s| {
        mask | match s {
            Stmt::Store { place, .. } => 1 << place.space as u32,
            Stmt::Solve(_) | Stmt::SolveTangent(_) => u32::MAX,
            Stmt::For(l) => written(&l.body),
            Stmt::If(i) => written(&i.then) | written(&i.otherwise),
            Stmt::Eval(_) => 0,
        }
    })
}

enum Folded {
    No,
    Op(Op),
    Value(Value),
}

/// A truth value combined with the constant `k`.
fn boolean(o: BoolOp, k: bool, other: Value) -> Folded {
    match (o, k) {
        (BoolOp::And, true) | (BoolOp::Or | BoolOp::Xor, false) => Folded::Value(other),
        (BoolOp::And, false) => Folded::Op(Op::ConstB(false)),
        (BoolOp::Or, true) => Folded::Op(Op::ConstB(true)),
        (BoolOp::Xor, true) => Folded::Op(Op::Not(other)),
    }
}
