//! From a kernel to a graph: loops written out, functions in place of their calls, both sides of branches computed,
//! slots of memory followed from store to load.

use super::graph::{Arith2, Bits2, Graph, Id, Mask2, Node, SIGN, Target};
use std::collections::BTreeMap;
use twinml_model::ids::{Index, Value};
use twinml_model::ir::{
    Affine, BinOp, BoolOp, CmpOp, Function, If, IntOp, Kernel, Op, Place, Region, Stmt, Ty, UnOp,
};
use twinml_model::lanes::NotLanes;
use twinml_model::math::{self, Arith};
use twinml_model::program::Program;

/// Most nodes of a graph.
pub(super) const LIMIT: usize = 1 << 21;

/// The graph of a kernel, and what it leaves in which slots.
pub(super) fn lower(
    program: &Program,
    kernel: &Kernel,
    target: Target,
) -> Result<(Graph, BTreeMap<u32, Id>), NotLanes> {
    let mut l =
        Lower { g: Graph::new(target, kernel.values.len()), program, slots: BTreeMap::new(), steps: LIMIT };
    let mut env = Env::of(kernel);
    l.region(&mut env, &kernel.body)?;
    // a slot that keeps what it holds is not written
    let Lower { mut g, mut slots, .. } = l;
    slots.retain(|&slot, &mut id| g.nodes[id as usize] != Node::Load(slot));
    // a slot that gets what another written slot held is read before that one is written
    let read: Vec<(u32, Id)> = slots
        .iter()
        .filter(|&(slot, &id)| match g.nodes[id as usize] {
            Node::Load(from) => from != *slot && slots.contains_key(&from),
            _ => false,
        })
        .map(|(&slot, &id)| (slot, id))
        .collect();
    for (slot, id) in read {
        slots.insert(slot, g.copy(id));
    }
    g.settle();
    Ok((g, slots))
}

struct Lower<'a> {
    g: Graph,
    program: &'a Program,
    /// What was stored.
    slots: BTreeMap<u32, Id>,
    /// Statements that may still be lowered.
    steps: usize,
}

struct Env<'a> {
    kernel: &'a Kernel,
    map: Vec<Id>,
    at: Vec<i64>,
    args: Vec<Id>,
}

const UNSET: Id = Id::MAX;

impl<'a> Env<'a> {
    fn of(kernel: &'a Kernel) -> Self {
        Env {
            kernel,
            map: vec![UNSET; kernel.values.len()],
            at: vec![0; kernel.indices as usize],
            args: Vec::new(),
        }
    }

    fn get(&self, v: Value) -> Result<Id, NotLanes> {
        match self.map.get(v.index()) {
            Some(&id) if id != UNSET => Ok(id),
            _ => Err(NotLanes::Invalid),
        }
    }

    fn affine(&self, a: &Affine) -> i64 {
        a.terms.iter().fold(a.base, |sum, &(Index(i), s)| {
            sum.wrapping_add(s.wrapping_mul(self.at.get(i as usize).copied().unwrap_or(0)))
        })
    }
}

impl Lower<'_> {
    fn region(&mut self, env: &mut Env<'_>, region: &Region) -> Result<(), NotLanes> {
        for stmt in region {
            self.spend()?;
            match stmt {
                Stmt::Eval(v) => {
                    let id = self.eval(env, *v)?;
                    env.map[v.index()] = id;
                }
                Stmt::Store { place, value, .. } => {
                    let mut id = env.get(*value)?;
                    if env.kernel.values[value.index()].ty == Ty::Bool {
                        id = self.truth_as_number(id);
                    }
                    let slot = self.slot(env, place, 0)?;
                    self.slots.insert(slot, id);
                }
                Stmt::For(l) => {
                    let mut carried =
                        l.carries.iter().map(|c| env.get(c.init)).collect::<Result<Vec<_>, _>>()?;
                    for k in 0..l.hi.saturating_sub(l.lo).max(0) {
                        self.spend()?;
                        env.at[l.index.index()] = if l.reverse { l.hi - 1 - k } else { l.lo + k };
                        for (c, &id) in l.carries.iter().zip(&carried) {
                            env.map[c.var.index()] = id;
                        }
                        self.region(env, &l.body)?;
                        for (c, id) in l.carries.iter().zip(&mut carried) {
                            *id = env.get(c.next)?;
                        }
                    }
                    for (c, id) in l.carries.iter().zip(carried) {
                        env.map[c.result.index()] = id;
                    }
                }
                Stmt::If(i) => self.branch(env, i)?,
                Stmt::Solve(b) | Stmt::SolveTangent(b) => return Err(NotLanes::Block(*b)),
            }
        }
        Ok(())
    }

    fn spend(&mut self) -> Result<(), NotLanes> {
        self.steps = self.steps.checked_sub(1).ok_or(NotLanes::TooLarge { limit: LIMIT })?;
        if self.g.nodes.len() > LIMIT { Err(NotLanes::TooLarge { limit: LIMIT }) } else { Ok(()) }
    }

    fn branch(&mut self, env: &mut Env<'_>, i: &If) -> Result<(), NotLanes> {
        let cond = env.get(i.cond)?;
        let outer = self.g.path;
        let before = self.slots.clone();
        let not = self.g.not(cond);
        let mut ends = Vec::with_capacity(2);
        for (region, holds) in [(&i.then, cond), (&i.otherwise, not)] {
            self.g.path = Some(match outer {
                Some(path) => self.g.mask2(Mask2::And, path, holds),
                None => holds,
            });
            if matches!(self.g.nodes[holds as usize], Node::ConstB(true)) {
                self.g.path = outer;
            }
            self.region(env, region)?;
            ends.push(std::mem::replace(&mut self.slots, before.clone()));
        }
        self.g.path = outer;
        for &(r, a, b) in &i.results {
            let (a, b) = (env.get(a)?, env.get(b)?);
            env.map[r.index()] = if env.kernel.values[r.index()].ty == Ty::Bool {
                self.g.select_mask(cond, a, b)
            } else {
                self.g.select(cond, a, b)
            };
        }
        let mut written: Vec<u32> = ends.iter().flat_map(|e| e.keys().copied()).collect();
        written.sort_unstable();
        written.dedup();
        for slot in written {
            let mut of =
                |k: usize| ends[k].get(&slot).copied().unwrap_or_else(|| self.g.node(Node::Load(slot)));
            let (a, b) = (of(0), of(1));
            let id = self.g.select(cond, a, b);
            self.slots.insert(slot, id);
        }
        Ok(())
    }

    fn slot(&self, env: &Env<'_>, place: &Place, more: i64) -> Result<u32, NotLanes> {
        let at = env.affine(&place.at).wrapping_add(more);
        let size = i64::from(self.program.sizes.of(place.space));
        if !(0..size).contains(&at) {
            return Err(NotLanes::Invalid);
        }
        Ok(self.program.sizes.offset(place.space) as u32 + at as u32)
    }

    fn load(&mut self, slot: u32) -> Id {
        match self.slots.get(&slot) {
            Some(&id) => id,
            None => self.g.node(Node::Load(slot)),
        }
    }

    fn truth_as_number(&mut self, c: Id) -> Id {
        let (one, zero) = (self.g.number(1.0), self.g.number(0.0));
        self.g.select(c, one, zero)
    }

    fn eval(&mut self, env: &mut Env<'_>, v: Value) -> Result<Id, NotLanes> {
        let kernel = env.kernel;
        let data = kernel.values.get(v.index()).ok_or(NotLanes::Invalid)?;
        let g = &mut self.g;
        Ok(match &data.op {
            Op::ConstF(bits) => g.bits(*bits),
            Op::ConstI(i) => g.bits(*i as u64),
            Op::ConstB(b) => g.truth(*b),
            Op::Load(place) => {
                let slot = self.slot(env, place, 0)?;
                self.load(slot)
            }
            Op::LoadAt { place, at, len, stride, .. } => {
                let at = env.get(*at)?;
                let Some(index) = g.constant(at).map(|i| i as i64) else {
                    return Err(NotLanes::DynamicIndex);
                };
                if !(0..i64::from(*len)).contains(&index) {
                    return Err(NotLanes::DynamicIndex);
                }
                let slot = self.slot(env, place, index * stride)?;
                self.load(slot)
            }
            Op::IndexI(a) => g.bits(env.affine(a) as u64),
            Op::IndexF(a) => g.number(env.affine(a) as f64),
            Op::Un(op, a) => {
                let a = env.get(*a)?;
                g.un(*op, a)
            }
            Op::Bin(op, a, b) => {
                let (a, b) = (env.get(*a)?, env.get(*b)?);
                g.bin(*op, a, b)
            }
            Op::Fma(a, b, c) => {
                let (a, b, c) = (env.get(*a)?, env.get(*b)?, env.get(*c)?);
                g.fma(a, b, c)
            }
            Op::Cmp(op, a, b) => {
                let (a, b) = (env.get(*a)?, env.get(*b)?);
                g.cmp(*op, a, b)
            }
            Op::CmpI(op, a, b) => {
                let (a, b) = (env.get(*a)?, env.get(*b)?);
                g.cmp_i(*op, a, b)
            }
            Op::BoolBin(op, a, b) => {
                let (a, b) = (env.get(*a)?, env.get(*b)?);
                let op = match op {
                    BoolOp::And => Mask2::And,
                    BoolOp::Or => Mask2::Or,
                    BoolOp::Xor => Mask2::Xor,
                };
                g.mask2(op, a, b)
            }
            Op::Not(a) => {
                let a = env.get(*a)?;
                g.not(a)
            }
            Op::Select(c, a, b) => {
                let (c, a, b) = (env.get(*c)?, env.get(*a)?, env.get(*b)?);
                if data.ty == Ty::Bool { g.select_mask(c, a, b) } else { g.select(c, a, b) }
            }
            Op::Int(op, a, b) => {
                let (a, b) = (env.get(*a)?, env.get(*b)?);
                g.int(*op, a, b)
            }
            Op::BoolToF(a) => {
                let a = env.get(*a)?;
                self.truth_as_number(a)
            }
            Op::FToBool(a) => {
                let a = env.get(*a)?;
                let zero = g.number(0.0);
                g.cmp(CmpOp::Ne, a, zero)
            }
            Op::FToI(a) => {
                let a = env.get(*a)?;
                g.integer(a)
            }
            Op::IToF(a) => {
                let a = env.get(*a)?;
                g.number_of(a)
            }
            Op::BitsToF(a) | Op::FToBits(a) => env.get(*a)?,
            Op::Math(f, args) => {
                let x = env.get(*args.first().ok_or(NotLanes::Invalid)?)?;
                let y = match args.get(1) {
                    Some(&y) => env.get(y)?,
                    None => x,
                };
                math::apply(g, *f, x, y)
            }
            Op::Call(f, args) => {
                let args = args.iter().map(|&a| env.get(a)).collect::<Result<Vec<_>, _>>()?;
                let function = self.program.functions.get(f.index()).ok_or(NotLanes::Invalid)?;
                return self.call(function, args);
            }
            Op::Arg(k) => env.args.get(*k as usize).copied().ok_or(NotLanes::Invalid)?,
            Op::Table { .. } => return Err(NotLanes::Table),
            Op::Delay { .. } => return Err(NotLanes::Delay),
            Op::Carry | Op::Result => return Err(NotLanes::Invalid),
        })
    }

    fn call(&mut self, function: &Function, args: Vec<Id>) -> Result<Id, NotLanes> {
        let mut env = Env::of(&function.code);
        env.args = args;
        self.region(&mut env, &function.code.body)?;
        env.get(function.result)
    }
}

impl Graph {
    fn un(&mut self, op: UnOp, a: Id) -> Id {
        match op {
            UnOp::Neg => self.neg(a),
            UnOp::Abs => {
                let m = self.bits(!SIGN);
                self.bits2(Bits2::And, a, m)
            }
            UnOp::Sqrt => self.node(Node::Sqrt(a)),
            UnOp::Rint => self.node(Node::Round(0, a)),
            UnOp::Floor => self.node(Node::Round(1, a)),
            UnOp::Ceil => self.node(Node::Round(2, a)),
            UnOp::Trunc => self.node(Node::Round(3, a)),
            UnOp::Sign => {
                let [zero, one, minus] = [0.0, 1.0, -1.0].map(|c| self.number(c));
                let c = self.cmp(CmpOp::Eq, a, zero);
                let r = self.select(c, zero, a);
                let c = self.cmp(CmpOp::Lt, a, zero);
                let r = self.select(c, minus, r);
                let c = self.cmp(CmpOp::Gt, a, zero);
                self.select(c, one, r)
            }
        }
    }

    fn bin(&mut self, op: BinOp, a: Id, b: Id) -> Id {
        match op {
            BinOp::Add => self.arith(Arith2::Add, a, b),
            BinOp::Sub => self.arith(Arith2::Sub, a, b),
            BinOp::Mul => self.arith(Arith2::Mul, a, b),
            BinOp::Div => self.arith(Arith2::Div, a, b),
            BinOp::Min => self.minimum(a, b),
            BinOp::Max => {
                let (a, b) = (self.neg(a), self.neg(b));
                let m = self.minimum(a, b);
                self.neg(m)
            }
            BinOp::CopySign => {
                let (s, m) = (self.bits(SIGN), self.bits(!SIGN));
                let a = self.bits2(Bits2::And, a, m);
                let b = self.bits2(Bits2::And, b, s);
                self.bits2(Bits2::Or, a, b)
            }
        }
    }

    /// The processor's minimum gives its second operand where the two are equal or unordered. Both ways together,
    /// bit by bit: −0 wins over +0, and a NaN stays one whatever bits are added to it.
    fn minimum(&mut self, a: Id, b: Id) -> Id {
        let ordinary = |c: Option<u64>| c.map(f64::from_bits).is_some_and(|c| c != 0.0 && !c.is_nan());
        // beside a number that is not 0, the one order that keeps a NaN serves
        if ordinary(self.constant(a)) {
            return self.node(Node::Arith(Arith2::Min, a, b));
        }
        if ordinary(self.constant(b)) {
            return self.node(Node::Arith(Arith2::Min, b, a));
        }
        let x = self.node(Node::Arith(Arith2::Min, a, b));
        let y = self.node(Node::Arith(Arith2::Min, b, a));
        self.bits2(Bits2::Or, x, y)
    }

    fn int(&mut self, op: IntOp, a: Id, b: Id) -> Id {
        let wide = self.target == Target::Avx512;
        match op {
            IntOp::Add => self.bits2(Bits2::Add, a, b),
            IntOp::Sub => self.bits2(Bits2::Sub, a, b),
            IntOp::And => self.bits2(Bits2::And, a, b),
            IntOp::Or => self.bits2(Bits2::Or, a, b),
            IntOp::Xor => self.bits2(Bits2::Xor, a, b),
            IntOp::Mul if wide => self.bits2(Bits2::Mul, a, b),
            IntOp::Mul => {
                let c = self.bits(32);
                let (ah, bh) = (self.bits2(Bits2::Shr, a, c), self.bits2(Bits2::Shr, b, c));
                let low = self.bits2(Bits2::MulLow, a, b);
                let x = self.bits2(Bits2::MulLow, ah, b);
                let y = self.bits2(Bits2::MulLow, a, bh);
                let high = self.bits2(Bits2::Add, x, y);
                let high = self.bits2(Bits2::Shl, high, c);
                self.bits2(Bits2::Add, low, high)
            }
            IntOp::MulHiU => {
                let (c, m) = (self.bits(32), self.bits(0xffff_ffff));
                let (ah, bh) = (self.bits2(Bits2::Shr, a, c), self.bits2(Bits2::Shr, b, c));
                let p = [(a, b), (ah, b), (a, bh), (ah, bh)].map(|(x, y)| self.bits2(Bits2::MulLow, x, y));
                let mut mid = self.bits2(Bits2::Shr, p[0], c);
                let mut high = p[3];
                for x in [p[1], p[2]] {
                    let low = self.bits2(Bits2::And, x, m);
                    mid = self.bits2(Bits2::Add, mid, low);
                    let top = self.bits2(Bits2::Shr, x, c);
                    high = self.bits2(Bits2::Add, high, top);
                }
                let mid = self.bits2(Bits2::Shr, mid, c);
                self.bits2(Bits2::Add, high, mid)
            }
            IntOp::Shl | IntOp::ShrU | IntOp::ShrS => {
                let c63 = self.bits(63);
                let n = self.bits2(Bits2::And, b, c63);
                match op {
                    IntOp::Shl => self.bits2(Bits2::Shl, a, n),
                    IntOp::ShrU => self.bits2(Bits2::Shr, a, n),
                    _ if wide => self.bits2(Bits2::Sar, a, n),
                    _ => {
                        // the sign taken out, shifted, put back
                        let (zero, ones) = (self.bits(0), self.bits(u64::MAX));
                        let negative = self.cmp_i(CmpOp::Lt, a, zero);
                        let sign = self.select(negative, ones, zero);
                        let x = self.bits2(Bits2::Xor, a, sign);
                        let x = self.bits2(Bits2::Shr, x, n);
                        self.bits2(Bits2::Xor, x, sign)
                    }
                }
            }
        }
    }

    fn integer(&mut self, a: Id) -> Id {
        let x = if self.target == Target::Avx512 {
            self.node(Node::ToInt(a))
        } else {
            self.slow(None, None, |g| g.node(Node::ToInt(a)))
        };
        // above the range the largest, NaN 0; below, the instruction's answer is the least already
        let limit = self.number(9_223_372_036_854_775_808.0);
        let (most, zero) = (self.bits(i64::MAX as u64), self.bits(0));
        let over = self.cmp(CmpOp::Ge, a, limit);
        let x = self.select(over, most, x);
        let number = self.cmp(CmpOp::Eq, a, a);
        self.select(number, x, zero)
    }

    fn number_of(&mut self, a: Id) -> Id {
        if self.target == Target::Avx512 {
            self.node(Node::ToFloat(a))
        } else {
            self.slow(None, None, |g| g.node(Node::ToFloat(a)))
        }
    }
}

/// The elementary functions write themselves into the graph; what they hold to be rare becomes a slow path.
impl Arith for Graph {
    type F = Id;
    type I = Id;
    type B = Id;

    fn f(&mut self, v: f64) -> Id {
        self.number(v)
    }
    fn i(&mut self, v: u64) -> Id {
        self.bits(v)
    }
    fn add(&mut self, a: Id, b: Id) -> Id {
        self.arith(Arith2::Add, a, b)
    }
    fn sub(&mut self, a: Id, b: Id) -> Id {
        self.arith(Arith2::Sub, a, b)
    }
    fn mul(&mut self, a: Id, b: Id) -> Id {
        self.arith(Arith2::Mul, a, b)
    }
    fn div(&mut self, a: Id, b: Id) -> Id {
        self.arith(Arith2::Div, a, b)
    }
    fn fma(&mut self, a: Id, b: Id, c: Id) -> Id {
        Graph::fma(self, a, b, c)
    }
    fn neg(&mut self, a: Id) -> Id {
        Graph::neg(self, a)
    }
    fn abs(&mut self, a: Id) -> Id {
        self.un(UnOp::Abs, a)
    }
    fn sqrt(&mut self, a: Id) -> Id {
        self.un(UnOp::Sqrt, a)
    }
    fn floor(&mut self, a: Id) -> Id {
        self.un(UnOp::Floor, a)
    }
    fn copysign(&mut self, a: Id, sign: Id) -> Id {
        self.bin(BinOp::CopySign, a, sign)
    }
    fn lt(&mut self, a: Id, b: Id) -> Id {
        self.cmp(CmpOp::Lt, a, b)
    }
    fn le(&mut self, a: Id, b: Id) -> Id {
        self.cmp(CmpOp::Le, a, b)
    }
    fn eq(&mut self, a: Id, b: Id) -> Id {
        self.cmp(CmpOp::Eq, a, b)
    }
    fn select(&mut self, c: Id, a: Id, b: Id) -> Id {
        Graph::select(self, c, a, b)
    }
    fn select_i(&mut self, c: Id, a: Id, b: Id) -> Id {
        Graph::select(self, c, a, b)
    }
    fn and_b(&mut self, a: Id, b: Id) -> Id {
        self.mask2(Mask2::And, a, b)
    }
    fn or_b(&mut self, a: Id, b: Id) -> Id {
        self.mask2(Mask2::Or, a, b)
    }
    fn not_b(&mut self, a: Id) -> Id {
        self.not(a)
    }
    fn bits(&mut self, a: Id) -> Id {
        a
    }
    fn float(&mut self, a: Id) -> Id {
        a
    }
    fn add_i(&mut self, a: Id, b: Id) -> Id {
        self.int(IntOp::Add, a, b)
    }
    fn sub_i(&mut self, a: Id, b: Id) -> Id {
        self.int(IntOp::Sub, a, b)
    }
    fn mul_i(&mut self, a: Id, b: Id) -> Id {
        self.int(IntOp::Mul, a, b)
    }
    fn mul_hi(&mut self, a: Id, b: Id) -> Id {
        self.int(IntOp::MulHiU, a, b)
    }
    fn and_i(&mut self, a: Id, b: Id) -> Id {
        self.int(IntOp::And, a, b)
    }
    fn or_i(&mut self, a: Id, b: Id) -> Id {
        self.int(IntOp::Or, a, b)
    }
    fn xor_i(&mut self, a: Id, b: Id) -> Id {
        self.int(IntOp::Xor, a, b)
    }
    fn shl(&mut self, a: Id, n: Id) -> Id {
        self.int(IntOp::Shl, a, n)
    }
    fn shr(&mut self, a: Id, n: Id) -> Id {
        self.int(IntOp::ShrU, a, n)
    }
    fn sar(&mut self, a: Id, n: Id) -> Id {
        self.int(IntOp::ShrS, a, n)
    }
    fn lt_i(&mut self, a: Id, b: Id) -> Id {
        self.cmp_i(CmpOp::Lt, a, b)
    }
    fn eq_i(&mut self, a: Id, b: Id) -> Id {
        self.cmp_i(CmpOp::Eq, a, b)
    }
    fn rare(&mut self, c: Id, usual: Id, slow: impl FnOnce(&mut Self) -> Id) -> Id {
        self.slow(Some(c), Some(usual), slow)
    }
    fn seldom(&mut self, c: Id, usual: Id, other: impl FnOnce(&mut Self) -> Id) -> Id {
        Graph::seldom(self, c, usual, other)
    }
}
