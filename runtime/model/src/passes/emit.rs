//! Writing kernels: values with the obvious simplifications, regions, copies of operations.

use crate::ids::Value;
use crate::ir::{BinOp, Kernel, Op, Region, Stmt, Ty, UnOp};

/// A kernel being written, and the region that statements go to.
#[derive(Debug, Default)]
pub(crate) struct Emit {
    pub kernel: Kernel,
    pub region: Region,
}

/// A number known while code is written, or a value. `Const(0.0)` is a structural zero.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Num {
    Const(f64),
    Val(Value),
}

impl Num {
    pub const ZERO: Num = Num::Const(0.0);
    pub const ONE: Num = Num::Const(1.0);

    pub fn is_zero(self) -> bool {
        matches!(self, Num::Const(c) if c == 0.0)
    }

    pub fn is_one(self) -> bool {
        matches!(self, Num::Const(c) if c == 1.0)
    }
}

impl Emit {
    pub fn new(name: impl Into<String>) -> Self {
        Self { kernel: Kernel::new(name), region: Region::new() }
    }

    pub fn push(&mut self, op: Op, ty: Ty) -> Value {
        let v = self.kernel.value(op, ty);
        self.region.push(Stmt::Eval(v));
        v
    }

    /// An operation whose result is `F64`.
    pub fn f(&mut self, op: Op) -> Value {
        self.push(op, Ty::F64)
    }

    pub fn constant(&mut self, c: f64) -> Value {
        self.f(Op::ConstF(c.to_bits()))
    }

    pub fn value(&mut self, n: Num) -> Value {
        match n {
            Num::Const(c) => self.constant(c),
            Num::Val(v) => v,
        }
    }

    pub fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.f(Op::Bin(op, a, b))
    }

    pub fn un(&mut self, op: UnOp, a: Value) -> Value {
        self.f(Op::Un(op, a))
    }

    /// Statements written by `f` as a region of their own.
    pub fn inside<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> (Region, T) {
        let outer = std::mem::take(&mut self.region);
        let out = f(self);
        (std::mem::replace(&mut self.region, outer), out)
    }

    pub fn neg(&mut self, a: Num) -> Num {
        match a {
            Num::Const(c) => Num::Const(-c),
            Num::Val(v) => Num::Val(self.un(UnOp::Neg, v)),
        }
    }

    pub fn add(&mut self, a: Num, b: Num) -> Num {
        match (a, b) {
            (Num::Const(x), Num::Const(y)) => Num::Const(x + y),
            _ if a.is_zero() => b,
            _ if b.is_zero() => a,
            _ => {
                let (x, y) = (self.value(a), self.value(b));
                Num::Val(self.bin(BinOp::Add, x, y))
            }
        }
    }

    pub fn sub(&mut self, a: Num, b: Num) -> Num {
        match (a, b) {
            (Num::Const(x), Num::Const(y)) => Num::Const(x - y),
            _ if b.is_zero() => a,
            _ if a.is_zero() => self.neg(b),
            _ => {
                let (x, y) = (self.value(a), self.value(b));
                Num::Val(self.bin(BinOp::Sub, x, y))
            }
        }
    }

    /// The product; a structural zero wins over whatever the other is.
    pub fn mul(&mut self, a: Num, b: Num) -> Num {
        match (a, b) {
            (Num::Const(x), Num::Const(y)) => Num::Const(x * y),
            _ if a.is_zero() || b.is_zero() => Num::ZERO,
            _ if a.is_one() => b,
            _ if b.is_one() => a,
            (Num::Const(x), y) | (y, Num::Const(x)) if x == -1.0 => self.neg(y),
            _ => {
                let (x, y) = (self.value(a), self.value(b));
                Num::Val(self.bin(BinOp::Mul, x, y))
            }
        }
    }

    pub fn div(&mut self, a: Num, b: Num) -> Num {
        match (a, b) {
            (Num::Const(x), Num::Const(y)) => Num::Const(x / y),
            _ if a.is_zero() => Num::ZERO,
            _ if b.is_one() => a,
            _ => {
                let (x, y) = (self.value(a), self.value(b));
                Num::Val(self.bin(BinOp::Div, x, y))
            }
        }
    }

    pub fn select(&mut self, c: Value, a: Num, b: Num) -> Num {
        if a == b {
            return a;
        }
        let (a, b) = (self.value(a), self.value(b));
        Num::Val(self.f(Op::Select(c, a, b)))
    }
}

impl Op {
    /// The values it uses, in order.
    pub fn operands(&self) -> impl Iterator<Item = Value> + '_ {
        let (few, many): ([Option<Value>; 3], &[Value]) = match self {
            Op::ConstF(_)
            | Op::ConstI(_)
            | Op::ConstB(_)
            | Op::Load(_)
            | Op::IndexI(_)
            | Op::IndexF(_)
            | Op::Arg(_)
            | Op::Carry
            | Op::Result => ([None; 3], &[]),
            Op::Un(_, a)
            | Op::Not(a)
            | Op::BoolToF(a)
            | Op::FToBool(a)
            | Op::FToI(a)
            | Op::IToF(a)
            | Op::BitsToF(a)
            | Op::FToBits(a)
            | Op::LoadAt { at: a, .. }
            | Op::Table { x: a, .. }
            | Op::Delay { tau: a, .. } => ([Some(*a), None, None], &[]),
            Op::Bin(_, a, b)
            | Op::Cmp(_, a, b)
            | Op::CmpI(_, a, b)
            | Op::BoolBin(_, a, b)
            | Op::Int(_, a, b) => ([Some(*a), Some(*b), None], &[]),
            Op::Fma(a, b, c) | Op::Select(a, b, c) => ([Some(*a), Some(*b), Some(*c)], &[]),
            Op::Math(_, args) | Op::Call(_, args) => ([None; 3], args),
        };
        few.into_iter().flatten().chain(many.iter().copied())
    }

    /// Replaces every value it uses.
    pub fn map_operands(&mut self, mut to: impl FnMut(Value) -> Value) {
        match self {
            Op::ConstF(_)
            | Op::ConstI(_)
            | Op::ConstB(_)
            | Op::Load(_)
            | Op::IndexI(_)
            | Op::IndexF(_)
            | Op::Arg(_)
            | Op::Carry
            | Op::Result => {}
            Op::Un(_, a)
            | Op::Not(a)
            | Op::BoolToF(a)
            | Op::FToBool(a)
            | Op::FToI(a)
            | Op::IToF(a)
            | Op::BitsToF(a)
            | Op::FToBits(a)
            | Op::LoadAt { at: a, .. }
            | Op::Table { x: a, .. }
            | Op::Delay { tau: a, .. } => *a = to(*a),
            Op::Bin(_, a, b)
            | Op::Cmp(_, a, b)
            | Op::CmpI(_, a, b)
            | Op::BoolBin(_, a, b)
            | Op::Int(_, a, b) => {
                *a = to(*a);
                *b = to(*b);
            }
            Op::Fma(a, b, c) | Op::Select(a, b, c) => {
                *a = to(*a);
                *b = to(*b);
                *c = to(*c);
            }
            Op::Math(_, args) | Op::Call(_, args) => {
                for a in args {
                    *a = to(*a);
                }
            }
        }
    }
}
