//! The elementary functions as IR.

use super::Arith;
use crate::ids::Value;
use crate::ir::{BinOp, BoolOp, CmpOp, Function, If, IntOp, Kernel, MathFn, Op, Region, Stmt, Ty, UnOp};

/// [`Arith`] that appends to a region of a kernel.
#[derive(Debug)]
pub struct Builder<'k> {
    kernel: &'k mut Kernel,
    region: Region,
}

impl<'k> Builder<'k> {
    /// A builder of values of `kernel` with an empty region.
    pub fn new(kernel: &'k mut Kernel) -> Self {
        Self { kernel, region: Region::new() }
    }

    /// The statements emitted so far.
    #[must_use]
    pub fn finish(self) -> Region {
        self.region
    }

    /// Appends a value.
    pub fn emit(&mut self, op: Op, ty: Ty) -> Value {
        let v = self.kernel.value(op, ty);
        self.region.push(Stmt::Eval(v));
        v
    }

    fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.emit(Op::Bin(op, a, b), Ty::F64)
    }
    fn un(&mut self, op: UnOp, a: Value) -> Value {
        self.emit(Op::Un(op, a), Ty::F64)
    }
    fn int(&mut self, op: IntOp, a: Value, b: Value) -> Value {
        self.emit(Op::Int(op, a, b), Ty::I64)
    }
}

impl Arith for Builder<'_> {
    type F = Value;
    type I = Value;
    type B = Value;

    fn f(&mut self, v: f64) -> Value {
        self.emit(Op::ConstF(v.to_bits()), Ty::F64)
    }
    fn i(&mut self, v: u64) -> Value {
        self.emit(Op::ConstI(v as i64), Ty::I64)
    }
    fn add(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Add, a, b)
    }
    fn sub(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Sub, a, b)
    }
    fn mul(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Mul, a, b)
    }
    fn div(&mut self, a: Value, b: Value) -> Value {
        self.bin(BinOp::Div, a, b)
    }
    fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        self.emit(Op::Fma(a, b, c), Ty::F64)
    }
    fn neg(&mut self, a: Value) -> Value {
        self.un(UnOp::Neg, a)
    }
    fn abs(&mut self, a: Value) -> Value {
        self.un(UnOp::Abs, a)
    }
    fn sqrt(&mut self, a: Value) -> Value {
        self.un(UnOp::Sqrt, a)
    }
    fn floor(&mut self, a: Value) -> Value {
        self.un(UnOp::Floor, a)
    }
    fn copysign(&mut self, a: Value, sign: Value) -> Value {
        self.bin(BinOp::CopySign, a, sign)
    }
    fn lt(&mut self, a: Value, b: Value) -> Value {
        self.emit(Op::Cmp(CmpOp::Lt, a, b), Ty::Bool)
    }
    fn le(&mut self, a: Value, b: Value) -> Value {
        self.emit(Op::Cmp(CmpOp::Le, a, b), Ty::Bool)
    }
    fn eq(&mut self, a: Value, b: Value) -> Value {
        self.emit(Op::Cmp(CmpOp::Eq, a, b), Ty::Bool)
    }
    fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        self.emit(Op::Select(c, a, b), Ty::F64)
    }
    fn select_i(&mut self, c: Value, a: Value, b: Value) -> Value {
        self.emit(Op::Select(c, a, b), Ty::I64)
    }
    fn and_b(&mut self, a: Value, b: Value) -> Value {
        self.emit(Op::BoolBin(BoolOp::And, a, b), Ty::Bool)
    }
    fn or_b(&mut self, a: Value, b: Value) -> Value {
        self.emit(Op::BoolBin(BoolOp::Or, a, b), Ty::Bool)
    }
    fn not_b(&mut self, a: Value) -> Value {
        self.emit(Op::Not(a), Ty::Bool)
    }
    fn bits(&mut self, a: Value) -> Value {
        self.emit(Op::FToBits(a), Ty::I64)
    }
    fn float(&mut self, a: Value) -> Value {
        self.emit(Op::BitsToF(a), Ty::F64)
    }
    fn add_i(&mut self, a: Value, b: Value) -> Value {
        self.int(IntOp::Add, a, b)
    }
    fn sub_i(&mut self, a: Value, b: Value) -> Value {
        self.int(IntOp::Sub, a, b)
    }
    fn mul_i(&mut self, a: Value, b: Value) -> Value {
        self.int(IntOp::Mul, a, b)
    }
    fn mul_hi(&mut self, a: Value, b: Value) -> Value {
        self.int(IntOp::MulHiU, a, b)
    }
    fn and_i(&mut self, a: Value, b: Value) -> Value {
        self.int(IntOp::And, a, b)
    }
    fn or_i(&mut self, a: Value, b: Value) -> Value {
        self.int(IntOp::Or, a, b)
    }
    fn xor_i(&mut self, a: Value, b: Value) -> Value {
        self.int(IntOp::Xor, a, b)
    }
    fn shl(&mut self, a: Value, n: Value) -> Value {
        self.int(IntOp::Shl, a, n)
    }
    fn shr(&mut self, a: Value, n: Value) -> Value {
        self.int(IntOp::ShrU, a, n)
    }
    fn sar(&mut self, a: Value, n: Value) -> Value {
        self.int(IntOp::ShrS, a, n)
    }
    fn lt_i(&mut self, a: Value, b: Value) -> Value {
        self.emit(Op::CmpI(CmpOp::Lt, a, b), Ty::Bool)
    }
    fn eq_i(&mut self, a: Value, b: Value) -> Value {
        self.emit(Op::CmpI(CmpOp::Eq, a, b), Ty::Bool)
    }
    fn rare(&mut self, c: Value, usual: Value, slow: impl FnOnce(&mut Self) -> Value) -> Value {
        let outer = std::mem::take(&mut self.region);
        let inner = slow(self);
        let then = std::mem::replace(&mut self.region, outer);
        let result = self.kernel.value(Op::Result, Ty::F64);
        self.region.push(Stmt::If(Box::new(If {
            cond: c,
            then,
            otherwise: Region::new(),
            results: vec![(result, inner, usual)],
        })));
        result
    }
}

/// `f` as a function of a program: arguments in, one result out, no space touched.
#[must_use]
pub fn expand(f: MathFn) -> Function {
    let mut code = Kernel::new(f.name());
    let mut b = Builder::new(&mut code);
    let x = b.emit(Op::Arg(0), Ty::F64);
    let y = if f.arity() == 2 { b.emit(Op::Arg(1), Ty::F64) } else { x };
    let result = super::apply(&mut b, f, x, y);
    code.body = b.finish();
    Function { params: vec![Ty::F64; f.arity()], code, result }
}
