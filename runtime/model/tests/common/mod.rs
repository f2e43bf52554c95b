//! Random programs for tests: straight code, loops with carries and shifted addresses, branches, blocks.
#![allow(dead_code, reason = "each test uses a part")]

use twinml_model::defaults::Fills;
use twinml_model::ids::{OriginId, Value};
use twinml_model::ir::{
    Affine, BinOp, Carry, CmpOp, For, Function, If, Kernel, MathFn, Op, Place, Space, Stmt, Ty, UnOp,
};
use twinml_model::program::{Origin, Program, Sizes};

pub struct Rng(pub u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 33) as usize) % n
    }
    pub fn within(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * ((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// A kernel being built.
pub struct B {
    pub k: Kernel,
    pub region: Vec<Stmt>,
}

impl B {
    pub fn new(name: &str) -> Self {
        B { k: Kernel::new(name), region: Vec::new() }
    }
    pub fn v(&mut self, op: Op, ty: Ty) -> Value {
        let v = self.k.value(op, ty);
        self.region.push(Stmt::Eval(v));
        v
    }
    pub fn f(&mut self, op: Op) -> Value {
        self.v(op, Ty::F64)
    }
    pub fn c(&mut self, x: f64) -> Value {
        self.f(Op::ConstF(x.to_bits()))
    }
    pub fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.f(Op::Bin(op, a, b))
    }
    pub fn load(&mut self, space: Space, at: Affine) -> Value {
        self.f(Op::Load(Place { space, at }))
    }
    pub fn store(&mut self, space: Space, at: Affine, value: Value) {
        self.region.push(Stmt::Store { place: Place { space, at }, value, origin: OriginId(0) });
    }
    pub fn inner<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> (Vec<Stmt>, T) {
        let outer = std::mem::take(&mut self.region);
        let out = f(self);
        (std::mem::replace(&mut self.region, outer), out)
    }
    pub fn finish(mut self) -> Kernel {
        self.k.body = std::mem::take(&mut self.region);
        self.k
    }
}

pub fn origin() -> Origin {
    Origin { file: u32::MAX, lo: 0, hi: 0, line: 0, text: "test".into() }
}

/// A value in a tame range, from those in `pool`: smooth operations only, each bounded.
pub fn grow(b: &mut B, rng: &mut Rng, pool: &mut Vec<Value>, functions: usize) -> Value {
    let pick = |rng: &mut Rng, pool: &[Value]| pool[rng.below(pool.len())];
    let (x, y) = (pick(rng, pool), pick(rng, pool));
    let v = match rng.below(18) {
        0 => b.bin(BinOp::Add, x, y),
        1 => b.bin(BinOp::Sub, x, y),
        2 | 3 => {
            let p = b.bin(BinOp::Mul, x, y);
            b.f(Op::Math(MathFn::Tanh, vec![p]))
        }
        4 => {
            let q = b.bin(BinOp::Mul, y, y);
            let one = b.c(1.5);
            let q = b.bin(BinOp::Add, q, one);
            b.bin(BinOp::Div, x, q)
        }
        5 => b.f(Op::Math(MathFn::Sin, vec![x])),
        6 => b.f(Op::Math(MathFn::Cos, vec![x])),
        7 => b.f(Op::Math(MathFn::Atan, vec![x])),
        8 => b.f(Op::Un(UnOp::Neg, x)),
        9 => {
            let q = b.bin(BinOp::Mul, x, x);
            let one = b.c(1.0);
            let q = b.bin(BinOp::Add, q, one);
            match rng.below(3) {
                0 => b.f(Op::Un(UnOp::Sqrt, q)),
                1 => b.f(Op::Math(MathFn::Log, vec![q])),
                _ => {
                    let y = b.f(Op::Math(MathFn::Atan, vec![y]));
                    b.f(Op::Math(MathFn::Pow, vec![q, y]))
                }
            }
        }
        10 => b.f(Op::Math(MathFn::Asinh, vec![x])),
        11 => b.f(Op::Math(MathFn::Erf, vec![x])),
        12 => b.f(Op::Fma(x, y, y)),
        13 => {
            let one = b.c(3.0);
            let q = b.f(Op::Math(MathFn::Atan2, vec![x, one]));
            b.f(Op::Math(MathFn::Exp, vec![q]))
        }
        14 => {
            let zero = b.c(0.1);
            let c = b.v(Op::Cmp(CmpOp::Lt, x, zero), Ty::Bool);
            let two = b.c(2.0);
            let p = b.bin(BinOp::Mul, two, y);
            b.f(Op::Select(c, p, x))
        }
        15 => {
            let zero = b.c(0.0);
            let c = b.v(Op::Cmp(CmpOp::Gt, x, zero), Ty::Bool);
            let (then, p) = b.inner(|b| {
                let x = b.f(Op::Math(MathFn::Atan, vec![x]));
                b.f(Op::Math(MathFn::Sinh, vec![x]))
            });
            let (otherwise, q) = b.inner(|b| b.bin(BinOp::Mul, x, y));
            let r = b.k.value(Op::Result, Ty::F64);
            b.region.push(Stmt::If(Box::new(If { cond: c, then, otherwise, results: vec![(r, p, q)] })));
            r
        }
        16 if functions > 0 => {
            let f = rng.below(functions);
            b.f(Op::Call(twinml_model::ids::FuncId::new(f), vec![x, y]))
        }
        _ => {
            let c = b.c(rng.within(-1.5, 1.5));
            b.bin(BinOp::Mul, c, x)
        }
    };
    // keep magnitudes small, so that finite differences mean something
    let v = if rng.below(3) == 0 { b.f(Op::Math(MathFn::Tanh, vec![v])) } else { v };
    pool.push(v);
    v
}

/// A function of two arguments with a loop inside.
pub fn function(rng: &mut Rng, name: &str, earlier: usize) -> Function {
    let mut b = B::new(name);
    let x = b.f(Op::Arg(0));
    let y = b.f(Op::Arg(1));
    let mut pool = vec![x, y];
    for _ in 0..3 {
        grow(&mut b, rng, &mut pool, earlier);
    }
    let init = pool[rng.below(pool.len())];
    let result = repeat(&mut b, rng, &pool, init, 3, |_, _, _| None);
    let result = b.f(Op::Math(MathFn::Tanh, vec![result]));
    Function { params: vec![Ty::F64; 2], code: b.finish(), result }
}

/// A loop of `n` rounds with one carry; `extra` gives a further value a round from the index.
fn repeat(
    b: &mut B,
    rng: &mut Rng,
    pool: &[Value],
    init: Value,
    n: i64,
    extra: impl Fn(&mut B, &mut Rng, twinml_model::ids::Index) -> Option<Value>,
) -> Value {
    let index = b.k.index();
    let var = b.k.value(Op::Carry, Ty::F64);
    let reverse = rng.below(2) == 0;
    let (body, next) = b.inner(|b| {
        let mut inside = pool.to_vec();
        inside.push(var);
        inside.extend(extra(b, rng, index));
        inside.push(b.f(Op::IndexF(Affine::constant(0).plus(index, 1))));
        for _ in 0..3 {
            grow(b, rng, &mut inside, 0);
        }
        let last = inside[inside.len() - 1];
        let t = b.bin(BinOp::Add, var, last);
        b.f(Op::Math(MathFn::Tanh, vec![t]))
    });
    let result = b.k.value(Op::Result, Ty::F64);
    let carries = vec![Carry { var, init, next, result }];
    b.region.push(Stmt::For(Box::new(For { index, lo: 0, hi: n, reverse, carries, body })));
    result
}

/// A random right-hand side over `n` states: scalars, an array of variables read at neighbours, a sum.
pub fn program(seed: u64) -> Program {
    let mut rng = Rng::new(seed);
    let n = 3 + rng.below(6);
    let mut program = Program {
        name: format!("random{seed}"),
        sizes: Sizes { state: n as u32, param: 2, var: n as u32 + 3, ..Sizes::default() },
        origins: vec![origin()],
        ..Program::default()
    };
    program.defaults.param = Fills::dense(&[0.7, -0.4]);
    for k in 0..rng.below(3) {
        let f = function(&mut rng, &format!("f{k}"), k);
        program.functions.push(f);
    }
    let functions = program.functions.len();
    let mut b = B::new("rhs");
    let mut pool = Vec::new();
    pool.push(b.load(Space::Time, Affine::default()));
    pool.push(b.load(Space::Param, Affine::constant(1)));
    for _ in 0..2 {
        let at = rng.below(n) as i64;
        pool.push(b.load(Space::State, Affine::constant(at)));
    }
    for _ in 0..4 {
        grow(&mut b, &mut rng, &mut pool, functions);
    }
    // scalar variables, read back
    for k in 0..3 {
        let v = grow(&mut b, &mut rng, &mut pool, functions);
        b.store(Space::Var, Affine::constant(n as i64 + k), v);
        pool.push(b.load(Space::Var, Affine::constant(n as i64 + k)));
    }
    // an array of variables: var[i] from state[i] (and a shared value)
    let i = b.k.index();
    let shared = pool[rng.below(pool.len())];
    let (body, ()) = b.inner(|b| {
        let x = b.load(Space::State, Affine::constant(0).plus(i, 1));
        let mut inside = vec![x, shared];
        for _ in 0..3 {
            grow(b, &mut rng, &mut inside, functions);
        }
        let v = inside[inside.len() - 1];
        b.store(Space::Var, Affine::constant(0).plus(i, 1), v);
    });
    b.region.push(Stmt::For(Box::new(For {
        index: i,
        lo: 0,
        hi: n as i64,
        reverse: rng.below(2) == 0,
        carries: Vec::new(),
        body,
    })));
    // a reduction over the states
    let init = b.c(0.25);
    let reduce = rng.below(3) == 0;
    let sum = if !reduce {
        init
    } else {
        repeat(&mut b, &mut rng, &pool, init, n as i64, |b, _, i| {
            Some(b.load(Space::State, Affine::constant(0).plus(i, 1)))
        })
    };
    // neighbours: der[i] for 1 ≤ i < n, then der[0]
    let i = b.k.index();
    let (body, ()) = b.inner(|b| {
        let here = b.load(Space::Var, Affine::constant(0).plus(i, 1));
        let left = b.load(Space::Var, Affine::constant(-1).plus(i, 1));
        let x = b.load(Space::State, Affine::constant(n as i64 - 1).plus(i, -1));
        let mut inside = vec![here, left, x];
        for _ in 0..4 {
            grow(b, &mut rng, &mut inside, functions);
        }
        let v = inside[inside.len() - 1];
        let v = b.bin(BinOp::Add, v, here);
        b.store(Space::Der, Affine::constant(0).plus(i, 1), v);
    });
    b.region.push(Stmt::For(Box::new(For {
        index: i,
        lo: 1,
        hi: n as i64,
        reverse: false,
        carries: Vec::new(),
        body,
    })));
    let last = pool[pool.len() - 1];
    let v = b.bin(BinOp::Add, sum, last);
    b.store(Space::Der, Affine::constant(0), v);
    program.rhs = b.finish();
    program
}
