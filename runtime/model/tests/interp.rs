//! The interpreter and the expansion of elementary functions.
#![allow(clippy::unwrap_used, reason = "tests")]

use twinml_model::host::{Memory, NoHost};
use twinml_model::ids::{OriginId, Value};
use twinml_model::interp::{call, run_once};
use twinml_model::ir::{
    Affine, BinOp, Carry, CmpOp, For, If, Kernel, MathFn, Op, Place, Space, Stmt, Trap, Ty,
};
use twinml_model::math::{eval, expand};
use twinml_model::program::{Origin, Program, Sizes};
use twinml_model::verify::{Role, verify, verify_function, verify_kernel};

fn origin() -> Origin {
    Origin { file: u32::MAX, lo: 0, hi: 0, line: 0, text: "test".into() }
}

fn bits_equal(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn expanded_functions_give_the_same_bits() {
    let program = Program { functions: MathFn::ALL.map(expand).into(), ..Program::default() };
    verify(&program).unwrap();
    let mut x = 0x1234_5678_9abc_def1u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let special =
        [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, f64::MAX, 1e22, -0.5];
    for (k, f) in MathFn::ALL.into_iter().enumerate() {
        verify_function(&program, k).unwrap();
        let mut args: Vec<(f64, f64)> = Vec::new();
        for a in special {
            args.extend(special.map(|b| (a, b)));
        }
        for n in 0..60 {
            let unit = |v: u64| (v >> 11) as f64 / (1u64 << 53) as f64;
            let (a, b) = (next(), next());
            args.push(match n % 3 {
                0 => (f64::from_bits(a), f64::from_bits(b)),
                1 => (unit(a) * 40.0 - 20.0, unit(b) * 4.0 - 2.0),
                _ => (unit(a), unit(b)),
            });
        }
        for (a, b) in args {
            let given = [a.to_bits(), b.to_bits()];
            let got = f64::from_bits(call(&program.functions[k], &given[..f.arity()]).unwrap());
            let want = eval::apply(f, a, b);
            assert!(bits_equal(got, want), "{}({a}, {b}): {got} for {want}", f.name());
        }
    }
}

/// Builds kernels in tests.
struct B(Kernel, Vec<Stmt>);

impl B {
    fn new() -> Self {
        B(Kernel::new("test"), Vec::new())
    }
    fn v(&mut self, op: Op, ty: Ty) -> Value {
        let v = self.0.value(op, ty);
        self.1.push(Stmt::Eval(v));
        v
    }
    fn c(&mut self, x: f64) -> Value {
        self.v(Op::ConstF(x.to_bits()), Ty::F64)
    }
    fn store(&mut self, space: Space, at: Affine, value: Value) {
        self.1.push(Stmt::Store { place: Place { space, at }, value, origin: OriginId(0) });
    }
    fn inner(&mut self, f: impl FnOnce(&mut Self)) -> Vec<Stmt> {
        let outer = std::mem::take(&mut self.1);
        f(self);
        std::mem::replace(&mut self.1, outer)
    }
    fn finish(mut self) -> Kernel {
        self.0.body = std::mem::take(&mut self.1);
        self.0
    }
}

fn run(kernel: Kernel, sizes: Sizes, prepare: impl FnOnce(&mut Memory)) -> Result<Memory, Trap> {
    let program = Program { sizes, origins: vec![origin()], ..Program::default() };
    verify_kernel(&program, &kernel, Role::Extra).unwrap();
    let mut memory = Memory::new(&program);
    prepare(&mut memory);
    run_once(&program, &kernel, &mut memory, &mut NoHost)?;
    Ok(memory)
}

#[test]
fn loops_carry_values_both_ways_and_swap_them() {
    // Fibonacci by a swap of carries, over a descending loop that also stores its index
    let mut b = B::new();
    let (zero, one) = (b.c(0.0), b.c(1.0));
    let i = b.0.index();
    let (x, y) = (b.0.value(Op::Carry, Ty::F64), b.0.value(Op::Carry, Ty::F64));
    let mut sum = x;
    let body = b.inner(|b| {
        sum = b.v(Op::Bin(BinOp::Add, x, y), Ty::F64);
        let at = b.v(Op::IndexF(Affine::constant(100).plus(i, 2)), Ty::F64);
        b.store(Space::Var, Affine::constant(9).plus(i, -1), at);
    });
    let (rx, ry) = (b.0.value(Op::Result, Ty::F64), b.0.value(Op::Result, Ty::F64));
    b.1.push(Stmt::For(Box::new(For {
        index: i,
        lo: 0,
        hi: 10,
        reverse: true,
        carries: vec![
            Carry { var: x, init: zero, next: y, result: rx },
            Carry { var: y, init: one, next: sum, result: ry },
        ],
        body,
    })));
    b.store(Space::State, Affine::constant(0), rx);
    b.store(Space::State, Affine::constant(1), ry);
    let m = run(b.finish(), Sizes { state: 2, var: 10, ..Sizes::default() }, |_| {}).unwrap();
    assert_eq!(m.space(Space::State), [55.0, 89.0]);
    let want: Vec<f64> = (0..10).map(|k| f64::from(100 + 2 * (9 - k))).collect();
    assert_eq!(m.space(Space::Var), want);
}

#[test]
fn branches_run_one_side() {
    for t in [1.0, -1.0, f64::NAN] {
        let mut b = B::new();
        let time = b.v(Op::Load(Place { space: Space::Time, at: Affine::default() }), Ty::F64);
        let zero = b.c(0.0);
        let c = b.v(Op::Cmp(CmpOp::Gt, time, zero), Ty::Bool);
        let (mut p, mut q) = (zero, zero);
        let then = b.inner(|b| {
            p = b.c(2.0);
            b.store(Space::Var, Affine::constant(0), p);
        });
        let otherwise = b.inner(|b| {
            q = b.c(3.0);
            b.store(Space::Var, Affine::constant(1), q);
        });
        let result = b.0.value(Op::Result, Ty::F64);
        b.1.push(Stmt::If(Box::new(If { cond: c, then, otherwise, results: vec![(result, p, q)] })));
        b.store(Space::Var, Affine::constant(2), result);
        b.store(Space::Var, Affine::constant(3), c);
        let m = run(b.finish(), Sizes { var: 4, ..Sizes::default() }, |m| m.set_time(t)).unwrap();
        let want = if t > 0.0 { [2.0, 0.0, 2.0, 1.0] } else { [0.0, 3.0, 3.0, 0.0] };
        assert_eq!(m.space(Space::Var), want);
    }
}

#[test]
fn dynamic_indices_trap_outside() {
    for (index, want) in [(0.0, Ok(5.0)), (2.0, Ok(7.0)), (3.0, Err(3)), (-1.0, Err(-1))] {
        let mut b = B::new();
        let time = b.v(Op::Load(Place { space: Space::Time, at: Affine::default() }), Ty::F64);
        let at = b.v(Op::FToI(time), Ty::I64);
        let place = Place { space: Space::Param, at: Affine::constant(4) };
        let x = b.v(Op::LoadAt { place, at, len: 3, stride: -2, origin: OriginId(0) }, Ty::F64);
        b.store(Space::Var, Affine::default(), x);
        let got = run(b.finish(), Sizes { var: 1, param: 5, ..Sizes::default() }, |m| {
            m.set_time(index);
            m.space_mut(Space::Param).copy_from_slice(&[7.0, 0.0, 6.0, 0.0, 5.0]);
        });
        match want {
            Ok(v) => assert_eq!(got.unwrap().space(Space::Var), [v]),
            Err(index) => {
                assert_eq!(got, Err(Trap::IndexOutOfRange { origin: OriginId(0), index, len: 3 }));
            }
        }
    }
}
