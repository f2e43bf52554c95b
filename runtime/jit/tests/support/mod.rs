//! The three models of the speed comparison, written as IR by hand.
#![allow(dead_code, reason = "each user takes what it needs")]

use twinml_jit::lanes::LaneCode;
use twinml_model::defaults::Fills;
use twinml_model::host::Memory;
use twinml_model::ids::{OriginId, Value};
use twinml_model::ir::{Affine, BinOp, Kernel, MathFn, Op, Place, Space, Stmt, Ty, UnOp};
use twinml_model::program::{Program, Sizes};

/// Appends to a kernel.
pub struct Code {
    /// The kernel so far.
    pub kernel: Kernel,
}

impl Code {
    pub fn new(name: &str) -> Self {
        Self { kernel: Kernel::new(name) }
    }
    pub fn op(&mut self, op: Op, ty: Ty) -> Value {
        let v = self.kernel.value(op, ty);
        self.kernel.body.push(Stmt::Eval(v));
        v
    }
    pub fn f(&mut self, op: Op) -> Value {
        self.op(op, Ty::F64)
    }
    pub fn c(&mut self, c: f64) -> Value {
        self.f(Op::ConstF(c.to_bits()))
    }
    pub fn load(&mut self, space: Space, slot: i64) -> Value {
        self.f(Op::Load(Place { space, at: Affine::constant(slot) }))
    }
    pub fn store(&mut self, space: Space, slot: i64, value: Value) {
        let place = Place { space, at: Affine::constant(slot) };
        self.kernel.body.push(Stmt::Store { place, value, origin: OriginId(0) });
    }
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.f(Op::Bin(BinOp::Add, a, b))
    }
    pub fn sub(&mut self, a: Value, b: Value) -> Value {
        self.f(Op::Bin(BinOp::Sub, a, b))
    }
    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        self.f(Op::Bin(BinOp::Mul, a, b))
    }
    pub fn div(&mut self, a: Value, b: Value) -> Value {
        self.f(Op::Bin(BinOp::Div, a, b))
    }
    pub fn neg(&mut self, a: Value) -> Value {
        self.f(Op::Un(UnOp::Neg, a))
    }
    pub fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        self.f(Op::Fma(a, b, c))
    }
    pub fn math(&mut self, f: MathFn, a: Value) -> Value {
        self.f(Op::Math(f, vec![a]))
    }
}

/// Instructions of one repetition (of the code without slow paths, vectors of 4 or 8): computing, copies between registers,
/// loads, stores, broadcasts.
pub fn instructions(code: &LaneCode) -> [usize; 5] {
    let text = code.assembly().unwrap_or_default();
    let head = text.split(" dec rdx").next().unwrap_or_default();
    // what stands before the repetitions ends where the loop's jump leads to
    let jump = text[head.len()..].lines().find_map(|l| l.split_once("jne 0x"));
    let top = jump.and_then(|j| usize::from_str_radix(j.1.trim(), 16).ok()).unwrap_or(0);
    let mut all = [0; 5];
    for line in head.lines() {
        let Some((at, i)) = line.split_once(":  ") else { continue };
        if usize::from_str_radix(at.trim(), 16).is_ok_and(|at| at < top) {
            continue;
        }
        let (name, operands) = i.split_once(' ').unwrap_or((i, ""));
        let to_memory = operands.starts_with("zmmword") || operands.starts_with("ymmword");
        all[match name {
            "vmovapd" => 1,
            "vmovupd" if to_memory => 3,
            "vmovupd" => 2,
            "vbroadcastsd" => 4,
            _ => 0,
        }] += 1;
    }
    all
}

/// Of a right-hand side, initial states and parameters.
pub fn program(rhs: Kernel, x0: &[f64], p: &[f64]) -> Program {
    let mut program = Program { name: rhs.name.clone(), rhs, ..Program::default() };
    program.sizes = Sizes { state: x0.len() as u32, param: p.len() as u32, ..Sizes::default() };
    program.defaults.state = Fills::dense(x0);
    program.defaults.param = Fills::dense(p);
    program
}

/// Lorenz's equations, contracted as the FMA pass does.
pub fn lorenz() -> Program {
    let mut k = Code::new("lorenz");
    let y: Vec<_> = (0..3).map(|i| k.load(Space::State, i)).collect();
    let p: Vec<_> = (0..3).map(|i| k.load(Space::Param, i)).collect();
    let d = k.sub(y[1], y[0]);
    let d = k.mul(p[0], d);
    k.store(Space::Der, 0, d);
    let a = k.sub(p[1], y[2]);
    let n = k.neg(y[1]);
    let d = k.fma(y[0], a, n);
    k.store(Space::Der, 1, d);
    let a = k.mul(p[2], y[2]);
    let n = k.neg(a);
    let d = k.fma(y[0], y[1], n);
    k.store(Space::Der, 2, d);
    program(k.kernel, &[1.0, 1.0, 1.0], &[10.0, 28.0, 8.0 / 3.0])
}

/// A damped pendulum.
pub fn pendulum() -> Program {
    let mut k = Code::new("pendulum");
    let y: Vec<_> = (0..2).map(|i| k.load(Space::State, i)).collect();
    let p: Vec<_> = (0..2).map(|i| k.load(Space::Param, i)).collect();
    k.store(Space::Der, 0, y[1]);
    let s = k.math(MathFn::Sin, y[0]);
    let b = k.mul(p[1], y[1]);
    let a = k.fma(p[0], s, b);
    let d = k.neg(a);
    k.store(Space::Der, 1, d);
    program(k.kernel, &[1.0, 0.0], &[10.0, 0.1])
}

/// A planar vehicle in air that thins with height.
pub fn quad6() -> Program {
    let mut k = Code::new("quad6");
    let y: Vec<_> = (0..6).map(|i| k.load(Space::State, i)).collect();
    let p: Vec<_> = (0..4).map(|i| k.load(Space::Param, i)).collect();
    let s = k.math(MathFn::Sin, y[2]);
    let c = k.math(MathFn::Cos, y[2]);
    let eighth = k.c(-0.125);
    let e = k.mul(y[1], eighth);
    let e = k.math(MathFn::Exp, e);
    let d = k.mul(p[1], e);
    for i in 0..3 {
        k.store(Space::Der, i, y[i as usize + 3]);
    }
    let a = k.mul(d, y[3]);
    let a = k.fma(p[0], s, a);
    let a = k.neg(a);
    k.store(Space::Der, 3, a);
    let g = k.c(-9.81);
    let a = k.fma(p[0], c, g);
    let nd = k.neg(d);
    let a = k.fma(nd, y[4], a);
    k.store(Space::Der, 4, a);
    let np = k.neg(p[2]);
    let a = k.mul(np, s);
    let np = k.neg(p[3]);
    let a = k.fma(np, y[5], a);
    let t = k.c(0.3);
    let a = k.fma(t, y[3], a);
    k.store(Space::Der, 5, a);
    program(k.kernel, &[0.0, 2.0, 0.3, 0.5, 0.0, 0.1], &[9.8, 0.4, 6.0, 2.0])
}

/// A wheel that drag slows down, with a weight on it: in a step of 10 ms it turns by less than half a radian, or by more.
pub fn wheel() -> Program {
    let mut k = Code::new("wheel");
    let (turn, speed) = (k.load(Space::State, 0), k.load(Space::State, 1));
    let (weight, drag) = (k.load(Space::Param, 0), k.load(Space::Param, 1));
    k.store(Space::Der, 0, speed);
    let [s, c] = [MathFn::Sin, MathFn::Cos].map(|f| k.math(f, turn));
    let slower = k.mul(drag, speed);
    let pull = k.fma(weight, s, slower);
    let pull = k.fma(slower, c, pull);
    let pull = k.neg(pull);
    k.store(Space::Der, 1, pull);
    // the angle of a gear, known to the right-hand side by itself only
    let gear = k.load(Space::State, 2);
    let two = k.c(2.0);
    let twice = k.mul(gear, two);
    let s = k.math(MathFn::Sin, twice);
    let faster = k.add(speed, s);
    k.store(Space::Der, 2, faster);
    program(k.kernel, &[0.0, 10.0, 1.0], &[9.81, 0.3])
}

/// A memory of [`wheel`] at so many radians a second.
pub fn turning(program: &Program, speed: f64) -> Memory {
    let mut memory = Memory::new(program);
    memory.space_mut(Space::State).copy_from_slice(&[0.1 * speed, speed, -speed]);
    memory
}
