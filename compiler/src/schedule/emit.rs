//! Flat expressions and steps to IR: one value for each different operation of a region, stored values
//! forwarded to their readers, loops as loops.

use super::layout::Layout;
use super::origins::Origins;
use crate::flat::{Affine, BinOp, BoolOp, Expr, Fold, Loop, StepFn, System, UnOp};
use crate::source::Span;
use crate::structural::order::Assignment;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::hash::BuildHasher;
use twinml_model::ids::{BlockId, Index, OriginId, Value, VarId};
use twinml_model::ir::{self, Carry, CmpOp, For, If, Kernel, MathFn, Op, Place, Region, Space, Stmt, Ty};
use twinml_model::math::power::{Power, by_squaring, power};
use twinml_model::schema::Kind;

/// A reduction over at most this many points is written out.
const UNROLL: i64 = 8;
/// A conditional whose sides have more operations than this becomes a branch.
const BRANCH_COST: usize = 12;

#[derive(Default)]
struct Scope {
    region: Region,
    /// Values by the hash of their operation; a taken number leads on to the next. Operations themselves lie in the
    /// kernel: large kernels would hold each of them twice.
    known: FxHashMap<u64, Value>,
    memory: FxHashMap<Place, Value>,
}

/// Builds one kernel.
pub struct Emitter<'a> {
    system: &'a System,
    layout: &'a Layout,
    origins: &'a mut Origins,
    kernel: Kernel,
    scopes: Vec<Scope>,
    /// What each flat loop index is in the kernel.
    indices: FxHashMap<Index, Affine>,
    /// Families of `Var` that are read from memory.
    loaded: FxHashSet<VarId>,
    /// Which family each stored place of `Var` belongs to.
    stored: FxHashMap<Place, VarId>,
}

/// A finished kernel and what it reads from memory.
pub struct Emitted {
    /// The kernel.
    pub kernel: Kernel,
    /// Families of `Var` that are read from memory.
    pub loaded: FxHashSet<VarId>,
    /// Which family each stored place of `Var` belongs to.
    pub stored: FxHashMap<Place, VarId>,
}

impl<'a> Emitter<'a> {
    /// An empty kernel.
    pub fn new(name: &str, system: &'a System, layout: &'a Layout, origins: &'a mut Origins) -> Emitter<'a> {
        Emitter {
            system,
            layout,
            origins,
            kernel: Kernel::new(name),
            scopes: vec![Scope::default()],
            indices: FxHashMap::default(),
            loaded: FxHashSet::default(),
            stored: FxHashMap::default(),
        }
    }

    /// The kernel.
    pub fn finish(mut self) -> Emitted {
        self.kernel.body = self.scopes.pop().map(|s| s.region).unwrap_or_default();
        Emitted { kernel: self.kernel, loaded: self.loaded, stored: self.stored }
    }

    /// The origin of a place in the source.
    pub fn origin(&mut self, span: Span, owner: &str) -> OriginId {
        self.origins.add(span, owner)
    }

    fn top(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn ty(&self, v: Value) -> Ty {
        self.kernel.values[v.index()].ty
    }

    /// The value of an operation, computed here or before.
    fn op(&mut self, op: Op, ty: Ty) -> Value {
        let hash = FxBuildHasher.hash_one(&op);
        for scope in self.scopes.iter().rev() {
            let mut at = hash;
            while let Some(&v) = scope.known.get(&at) {
                if self.kernel.values[v.index()].op == op {
                    return v;
                }
                at = at.wrapping_add(1);
            }
        }
        let v = self.kernel.value(op, ty);
        let top = self.top();
        top.region.push(Stmt::Eval(v));
        let mut at = hash;
        while top.known.contains_key(&at) {
            at = at.wrapping_add(1);
        }
        top.known.insert(at, v);
        v
    }

    fn f(&mut self, op: Op) -> Value {
        self.op(op, Ty::F64)
    }

    fn b(&mut self, op: Op) -> Value {
        self.op(op, Ty::Bool)
    }

    /// A constant.
    pub fn num(&mut self, x: f64) -> Value {
        self.f(Op::ConstF(x.to_bits()))
    }

    fn bin(&mut self, op: ir::BinOp, a: Value, b: Value) -> Value {
        self.f(Op::Bin(op, a, b))
    }

    fn mapped(&self, at: &Affine) -> Affine {
        let mut out = Affine::constant(at.base);
        for &(i, s) in &at.terms {
            match self.indices.get(&i) {
                Some(by) => {
                    out.base += s * by.base;
                    for &(j, t) in &by.terms {
                        out = out.plus(j, s * t);
                    }
                }
                None => out = out.plus(i, s),
            }
        }
        out
    }

    fn place(&self, p: Place) -> Place {
        Place { space: p.space, at: self.mapped(&p.at) }
    }

    fn load(&mut self, place: Place) -> Value {
        if let Some(v) = self.scopes.iter().rev().find_map(|s| s.memory.get(&place)) {
            return *v;
        }
        self.f(Op::Load(place))
    }

    /// Writes a slot (place in flat indices).
    pub fn store(&mut self, place: Place, value: Value, origin: OriginId) {
        let place = self.place(place);
        let top = self.top();
        top.memory.insert(place.clone(), value);
        top.region.push(Stmt::Store { place, value, origin });
    }

    /// A statement that solves a block.
    pub fn solve(&mut self, block: BlockId) {
        self.top().region.push(Stmt::Solve(block));
    }

    /// Notes that a kernel run by a block reads a family.
    pub fn note_loaded(&mut self, families: impl IntoIterator<Item = VarId>) {
        self.loaded.extend(families);
    }

    /// Runs `body` in a nest of loops.
    pub fn nest(&mut self, loops: &[Loop], reverse: bool, body: &mut dyn FnMut(&mut Self)) {
        let Some((l, rest)) = loops.split_first() else { return body(self) };
        if l.hi <= l.lo {
            return;
        }
        if l.hi - l.lo == 1 {
            let before = self.indices.insert(l.index, Affine::constant(l.lo));
            self.nest(rest, reverse, body);
            self.restore(l.index, before);
            return;
        }
        let index = self.kernel.index();
        let before = self.indices.insert(l.index, Affine::constant(0).plus(index, 1));
        self.scopes.push(Scope::default());
        self.nest(rest, reverse, body);
        let region = self.scopes.pop().map(|s| s.region).unwrap_or_default();
        self.restore(l.index, before);
        let stmt = For { index, lo: l.lo, hi: l.hi, reverse, carries: Vec::new(), body: region };
        self.top().region.push(Stmt::For(Box::new(stmt)));
    }

    fn restore(&mut self, index: Index, before: Option<Affine>) {
        match before {
            Some(a) => self.indices.insert(index, a),
            None => self.indices.remove(&index),
        };
    }

    /// `target := value` (the target's slot is written).
    pub fn assign(&mut self, a: &Assignment, origin: OriginId) {
        let value = self.expr(&a.value);
        let place = if a.target.der {
            self.layout.der(a.target.var, &a.target.at)
        } else {
            self.layout.value(a.target.var, &a.target.at)
        };
        if place.space == Space::Var {
            let at = self.place(place.clone());
            self.stored.insert(at, a.target.var);
        }
        self.store(place, value, origin);
    }

    /// A number.
    pub fn number(&mut self, e: &Expr) -> Value {
        let v = self.expr(e);
        if self.ty(v) == Ty::Bool { self.f(Op::BoolToF(v)) } else { v }
    }

    fn truth(&mut self, e: &Expr) -> Value {
        let v = self.expr(e);
        if self.ty(v) == Ty::Bool { v } else { self.b(Op::FToBool(v)) }
    }

    /// The value of an expression: `F64` or `Bool`.
    pub fn expr(&mut self, e: &Expr) -> Value {
        match e {
            Expr::Num(x) => self.num(*x),
            Expr::Bool(x) => self.b(Op::ConstB(*x)),
            Expr::Time => self.load(Place { space: Space::Time, at: Affine::constant(0) }),
            Expr::Index(at) => {
                let at = self.mapped(at);
                if at.terms.is_empty() { self.num(at.base as f64) } else { self.f(Op::IndexF(at)) }
            }
            Expr::Var(v, at) => {
                let place = self.place(self.layout.value(*v, at));
                let is_bool = self.system.vars[v.index()].kind == Kind::Bool;
                let space = place.space;
                let value = self.load(place);
                if space == Space::Var && matches!(self.kernel.values[value.index()].op, Op::Load(_)) {
                    self.loaded.insert(*v);
                }
                match (is_bool, self.ty(value)) {
                    (true, Ty::F64) => self.b(Op::FToBool(value)),
                    _ => value,
                }
            }
            Expr::Der(v, at) => {
                let place = self.place(self.layout.der(*v, at));
                self.load(place)
            }
            Expr::Start(v, at) => match self.layout.start(*v, at) {
                Some(place) => {
                    let place = self.place(place);
                    self.load(place)
                }
                None => self.num(f64::NAN),
            },
            Expr::VarAt { var, base, at, len, stride, span } => {
                let at = self.number(at);
                let at = self.op(Op::FToI(at), Ty::I64);
                let place = self.place(self.layout.value(*var, base));
                if place.space == Space::Var {
                    self.loaded.insert(*var);
                }
                let origin = self.origin(*span, "");
                let v = self.f(Op::LoadAt { place, at, len: *len, stride: *stride, origin });
                if self.system.vars[var.index()].kind == Kind::Bool { self.b(Op::FToBool(v)) } else { v }
            }
            Expr::Un(op, a) => {
                let a = self.number(a);
                self.f(Op::Un(unary(*op), a))
            }
            Expr::Bin(BinOp::Pow, a, b) => self.power(a, b),
            Expr::Bin(op, a, b) => {
                let (a, b) = (self.number(a), self.number(b));
                self.bin(binary(*op), a, b)
            }
            Expr::Math(f, args) => {
                let args: Vec<Value> = args.iter().map(|a| self.number(a)).collect();
                self.f(Op::Math(*f, args))
            }
            Expr::Step(f, x, _) => {
                let x = self.number(x);
                self.step(*f, x)
            }
            Expr::Cmp(op, a, b, _) => {
                let (a, b) = (self.number(a), self.number(b));
                self.b(Op::Cmp(*op, a, b))
            }
            Expr::BoolBin(op, a, b) => {
                let (a, b) = (self.truth(a), self.truth(b));
                let op = match op {
                    BoolOp::And => ir::BoolOp::And,
                    BoolOp::Or => ir::BoolOp::Or,
                    BoolOp::Xor => ir::BoolOp::Xor,
                };
                self.b(Op::BoolBin(op, a, b))
            }
            Expr::Not(a) => {
                let a = self.truth(a);
                self.b(Op::Not(a))
            }
            Expr::If(c, a, b) => self.conditional(c, a, b),
            Expr::Fold(op, l, body) => self.fold(*op, l, body),
            Expr::Table(table, x) => {
                let x = self.number(x);
                self.f(Op::Table { table: *table, x, order: 0 })
            }
            Expr::Delay(x, tau) => {
                let tau = self.number(tau);
                match &**x {
                    Expr::Var(v, at) => {
                        let slot = self.layout.value(*v, at);
                        let hist = self.origins.history.get(v).copied().unwrap_or(0);
                        let (_, base) = self.layout.home(*v);
                        let mut at = self.mapped(&slot.at);
                        at.base += i64::from(hist) - i64::from(base);
                        self.f(Op::Delay { place: Place { space: Space::Hist, at }, tau })
                    }
                    other => self.number(other),
                }
            }
            Expr::NoEvent(a) => self.expr(a),
            Expr::BoolToNum(a) => {
                let a = self.truth(a);
                self.f(Op::BoolToF(a))
            }
        }
    }

    fn step(&mut self, f: StepFn, x: Value) -> Value {
        match f {
            StepFn::Floor => self.f(Op::Un(ir::UnOp::Floor, x)),
            StepFn::Ceil => self.f(Op::Un(ir::UnOp::Ceil, x)),
            StepFn::Trunc => self.f(Op::Un(ir::UnOp::Trunc, x)),
            StepFn::Round => {
                let whole = self.f(Op::Un(ir::UnOp::Trunc, x));
                let rest = self.bin(ir::BinOp::Sub, x, whole);
                let rest = self.f(Op::Un(ir::UnOp::Abs, rest));
                let (half, one, zero) = (self.num(0.5), self.num(1.0), self.num(0.0));
                let away = self.b(Op::Cmp(CmpOp::Ge, rest, half));
                let unit = self.bin(ir::BinOp::CopySign, one, x);
                let by = self.f(Op::Select(away, unit, zero));
                self.bin(ir::BinOp::Add, whole, by)
            }
        }
    }

    /// `a^b`: repeated products for small whole exponents (binary, from the lowest bit), a square root for
    /// one half.
    fn power(&mut self, a: &Expr, b: &Expr) -> Value {
        let base = self.number(a);
        let exponent = match b {
            Expr::Num(n) => Some(*n),
            Expr::Un(UnOp::Neg, n) => match **n {
                Expr::Num(n) => Some(-n),
                _ => None,
            },
            _ => None,
        };
        let one = self.num(1.0);
        match exponent.map_or(Power::Function, power) {
            Power::Whole(n) => by_squaring(n, base, |a, b| self.bin(ir::BinOp::Mul, a, b)).unwrap_or(one),
            Power::Inverse(n) => {
                let x = by_squaring(n, base, |a, b| self.bin(ir::BinOp::Mul, a, b)).unwrap_or(one);
                self.bin(ir::BinOp::Div, one, x)
            }
            Power::Root => self.f(Op::Un(ir::UnOp::Sqrt, base)),
            Power::Function => {
                let b = self.number(b);
                self.f(Op::Math(MathFn::Pow, vec![base, b]))
            }
        }
    }

    fn conditional(&mut self, c: &Expr, a: &Expr, b: &Expr) -> Value {
        match c {
            Expr::Bool(true) => return self.expr(a),
            Expr::Bool(false) => return self.expr(b),
            _ => {}
        }
        let cond = self.truth(c);
        if !must_branch(a) && !must_branch(b) && cost(a) + cost(b) <= BRANCH_COST {
            let (x, y) = (self.expr(a), self.expr(b));
            let (x, y) = self.alike(x, y);
            let ty = self.ty(x);
            return self.op(Op::Select(cond, x, y), ty);
        }
        self.scopes.push(Scope::default());
        let x = self.expr(a);
        let then = self.scopes.pop().map(|s| s.region).unwrap_or_default();
        self.scopes.push(Scope::default());
        let y = self.expr(b);
        let otherwise = self.scopes.pop().map(|s| s.region).unwrap_or_default();
        // Both sides of one type: conversions go into the branches.
        let (tx, ty) = (self.ty(x), self.ty(y));
        let (mut then, mut otherwise, mut x, mut y) = (then, otherwise, x, y);
        if tx != ty {
            let mut widen = |v: &mut Value, region: &mut Region| {
                let w = self.kernel.value(Op::BoolToF(*v), Ty::F64);
                region.push(Stmt::Eval(w));
                *v = w;
            };
            if tx == Ty::Bool { widen(&mut x, &mut then) } else { widen(&mut y, &mut otherwise) }
        }
        let out = self.ty(x);
        let result = self.kernel.value(Op::Result, out);
        let stmt = If { cond, then, otherwise, results: vec![(result, x, y)] };
        self.top().region.push(Stmt::If(Box::new(stmt)));
        result
    }

    fn alike(&mut self, x: Value, y: Value) -> (Value, Value) {
        match (self.ty(x), self.ty(y)) {
            (Ty::Bool, Ty::F64) => (self.f(Op::BoolToF(x)), y),
            (Ty::F64, Ty::Bool) => (x, self.f(Op::BoolToF(y))),
            _ => (x, y),
        }
    }

    fn fold(&mut self, op: Fold, l: &Loop, body: &Expr) -> Value {
        let boolean = matches!(op, Fold::All | Fold::Any);
        let neutral = match op {
            Fold::Sum => self.num(0.0),
            Fold::Product => self.num(1.0),
            Fold::Min => self.num(f64::INFINITY),
            Fold::Max => self.num(f64::NEG_INFINITY),
            Fold::All => self.b(Op::ConstB(true)),
            Fold::Any => self.b(Op::ConstB(false)),
        };
        let combine = |s: &mut Self, acc: Value, x: Value| match op {
            Fold::Sum => s.bin(ir::BinOp::Add, acc, x),
            Fold::Product => s.bin(ir::BinOp::Mul, acc, x),
            Fold::Min => s.bin(ir::BinOp::Min, acc, x),
            Fold::Max => s.bin(ir::BinOp::Max, acc, x),
            Fold::All => s.b(Op::BoolBin(ir::BoolOp::And, acc, x)),
            Fold::Any => s.b(Op::BoolBin(ir::BoolOp::Or, acc, x)),
        };
        let element = |s: &mut Self| if boolean { s.truth(body) } else { s.number(body) };
        if l.hi - l.lo <= UNROLL {
            let mut acc = None;
            for k in l.lo..l.hi {
                let before = self.indices.insert(l.index, Affine::constant(k));
                let x = element(self);
                self.restore(l.index, before);
                acc = Some(match acc {
                    Some(a) => combine(self, a, x),
                    None => x,
                });
            }
            return acc.unwrap_or(neutral);
        }
        let ty = if boolean { Ty::Bool } else { Ty::F64 };
        let index = self.kernel.index();
        let before = self.indices.insert(l.index, Affine::constant(0).plus(index, 1));
        let var = self.kernel.value(Op::Carry, ty);
        self.scopes.push(Scope::default());
        let x = element(self);
        let next = combine(self, var, x);
        let region = self.scopes.pop().map(|s| s.region).unwrap_or_default();
        self.restore(l.index, before);
        let result = self.kernel.value(Op::Result, ty);
        let stmt = For {
            index,
            lo: l.lo,
            hi: l.hi,
            reverse: false,
            carries: vec![Carry { var, init: neutral, next, result }],
            body: region,
        };
        self.top().region.push(Stmt::For(Box::new(stmt)));
        result
    }
}

fn unary(op: UnOp) -> ir::UnOp {
    match op {
        UnOp::Neg => ir::UnOp::Neg,
        UnOp::Abs => ir::UnOp::Abs,
        UnOp::Sqrt => ir::UnOp::Sqrt,
        UnOp::Sign => ir::UnOp::Sign,
    }
}

fn binary(op: BinOp) -> ir::BinOp {
    match op {
        BinOp::Add => ir::BinOp::Add,
        BinOp::Sub => ir::BinOp::Sub,
        BinOp::Mul => ir::BinOp::Mul,
        BinOp::Div | BinOp::Pow => ir::BinOp::Div,
        BinOp::Min => ir::BinOp::Min,
        BinOp::Max => ir::BinOp::Max,
    }
}

/// Whether evaluating `e` where it does not apply may end the kernel.
fn must_branch(e: &Expr) -> bool {
    let mut any = matches!(e, Expr::VarAt { .. } | Expr::Table(..) | Expr::Delay(..) | Expr::Fold(..));
    crate::structural::expr::children(e, &mut |c| any |= must_branch(c));
    any
}

fn cost(e: &Expr) -> usize {
    let mut n = match e {
        Expr::Num(_) | Expr::Bool(_) | Expr::Index(_) | Expr::NoEvent(_) => 0,
        Expr::Math(..) => 8,
        Expr::Bin(BinOp::Pow, ..) => 6,
        _ => 1,
    };
    crate::structural::expr::children(e, &mut |c| n += cost(c));
    n
}

impl Emitter<'_> {
    /// Lends the table of origins.
    pub fn with_origins<T>(&mut self, f: impl FnOnce(&mut Origins) -> T) -> T {
        f(self.origins)
    }
}
