//! Taylor coefficients: against series that are known, and by the order of what they leave over.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{B, origin, program};
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::{Affine, BinOp, CmpOp, Kernel, MathFn, Op, Space, Ty, UnOp};
use twinml_model::passes::taylor::{Unfit, coefficients, room};
use twinml_model::program::{Program, Sizes};
use twinml_model::verify::verify;

/// One state, whose derivative `f` gives from time and state.
fn scalar(
    f: impl FnOnce(&mut B, twinml_model::ids::Value, twinml_model::ids::Value) -> twinml_model::ids::Value,
) -> Program {
    let mut b = B::new("rhs");
    let t = b.load(Space::Time, Affine::default());
    let x = b.load(Space::State, Affine::default());
    let slope = f(&mut b, t, x);
    b.store(Space::Der, Affine::default(), slope);
    Program {
        name: "scalar".into(),
        sizes: Sizes { state: 1, ..Sizes::default() },
        origins: vec![origin()],
        rhs: b.finish(),
        ..Program::default()
    }
}

/// A program with its recurrences.
struct Solution {
    machine: Interpreter,
    memory: Memory,
    kernel: KernelId,
    n: usize,
    order: usize,
}

impl Solution {
    fn of(program: &Program, order: u32) -> Result<Solution, Unfit> {
        let kernel: Kernel = coefficients(program, order)?;
        let mut roomy = program.clone();
        roomy.sizes.jac = room(program, order).unwrap();
        verify(&roomy).unwrap();
        let mut machine = Interpreter::new(&roomy);
        let kernel = machine.add(kernel);
        let memory = Memory::new(&roomy);
        Ok(Solution { machine, memory, kernel, n: program.sizes.state as usize, order: order as usize })
    }

    fn coefficients(&mut self, t: f64, x: &[f64]) -> Vec<f64> {
        self.memory.set_time(t);
        self.memory.space_mut(Space::State).copy_from_slice(x);
        self.machine.run(self.kernel, &mut self.memory, &mut NoHost).unwrap();
        self.memory.space(Space::Jac).to_vec()
    }

    fn rhs(&mut self, t: f64, x: &[f64]) -> Vec<f64> {
        self.memory.set_time(t);
        self.memory.space_mut(Space::State).copy_from_slice(x);
        self.machine.run(KernelId::Rhs, &mut self.memory, &mut NoHost).unwrap();
        self.memory.space(Space::Der).to_vec()
    }

    /// How far the polynomial at `(t, x)` misses the equation after `h`, and how large its slope is there.
    fn defect(&mut self, t: f64, x: &[f64], h: f64) -> (f64, f64) {
        let (n, order) = (self.n, self.order);
        let c = self.coefficients(t, x);
        let (mut at, mut slope) = (vec![0.0; n], vec![0.0; n]);
        for i in 0..n {
            for k in (1..=order).rev() {
                at[i] = at[i] * h + c[(k - 1) * n + i];
                slope[i] = slope[i] * h + k as f64 * c[(k - 1) * n + i];
            }
            at[i] = at[i] * h + x[i];
        }
        let f = self.rhs(t + h, &at);
        let most = |v: &mut dyn Iterator<Item = f64>| v.fold(0.0, |m: f64, x| m.max(x.abs()));
        (most(&mut f.iter().zip(&slope).map(|(f, s)| f - s)), most(&mut slope.iter().copied()))
    }
}

#[test]
fn known_series() {
    let close = |found: &[f64], want: &dyn Fn(i32) -> f64| {
        for (k, &c) in (1..).zip(found) {
            let want = want(k);
            assert!((c - want).abs() <= 1e-14 * want.abs().max(1e-3), "order {k}: {c} for {want}");
        }
    };
    let factorial = |n: i32| (1..=n).map(f64::from).product::<f64>();
    // x' = x: 1/k!
    let mut s = Solution::of(&scalar(|_, _, x| x), 15).unwrap();
    close(&s.coefficients(0.0, &[1.0]), &|k| 1.0 / factorial(k));
    // x' = x²: the geometric series
    let mut s = Solution::of(&scalar(|b, _, x| b.bin(BinOp::Mul, x, x)), 15).unwrap();
    close(&s.coefficients(0.0, &[1.0]), &|_| 1.0);
    // x' = cos t: the sine
    let mut s = Solution::of(&scalar(|b, t, _| b.f(Op::Math(MathFn::Cos, vec![t]))), 15).unwrap();
    let sine = |k: i32| if k % 2 == 0 { 0.0 } else { f64::from(2 - k % 4) / factorial(k) };
    close(&s.coefficients(0.0, &[0.0]), &sine);
    // x' = 1/(2x): the square root of 1 + t
    let root = |k: i32| (0..k).map(|j| (0.5 - f64::from(j)) / f64::from(j + 1)).product();
    let half = |b: &mut B, x| {
        let half = b.c(0.5);
        b.bin(BinOp::Div, half, x)
    };
    let mut s = Solution::of(&scalar(|b, _, x| half(b, x)), 15).unwrap();
    close(&s.coefficients(0.0, &[1.0]), &root);
    // A polynomial ends.
    let mut s = Solution::of(&scalar(|b, t, _| b.bin(BinOp::Mul, t, t)), 6).unwrap();
    close(&s.coefficients(0.0, &[0.0]), &|k| if k == 3 { 1.0 / 3.0 } else { 0.0 });
}

/// What is left over falls with the power of the order, for every operation.
#[test]
fn every_operation_has_its_order() {
    const ORDER: u32 = 9;
    type Make =
        Box<dyn Fn(&mut B, twinml_model::ids::Value, twinml_model::ids::Value) -> twinml_model::ids::Value>;
    let math = |f: MathFn| -> Make {
        Box::new(move |b, t, x| {
            let y = b.f(Op::Fma(x, t, x));
            b.f(Op::Math(f, vec![y]))
        })
    };
    let two = |f: MathFn| -> Make {
        Box::new(move |b, t, x| {
            let one = b.c(1.25);
            let t = b.bin(BinOp::Add, t, one);
            b.f(Op::Math(f, vec![x, t]))
        })
    };
    let one = |op: UnOp| -> Make {
        Box::new(move |b, t, x| {
            let y = b.f(Op::Fma(x, x, t));
            b.f(Op::Un(op, y))
        })
    };
    let bin = |op: BinOp| -> Make {
        Box::new(move |b, t, x| {
            let y = b.f(Op::Math(MathFn::Cos, vec![t]));
            let z = b.bin(op, x, y);
            b.bin(BinOp::Mul, z, x)
        })
    };
    let mut cases: Vec<(String, f64, Make)> = Vec::new();
    use MathFn as M;
    for f in [
        M::Exp,
        M::Expm1,
        M::Log,
        M::Log1p,
        M::Log10,
        M::Log2,
        M::Sin,
        M::Cos,
        M::Tan,
        M::Asin,
        M::Acos,
        M::Atan,
        M::Sinh,
        M::Cosh,
        M::Tanh,
        M::Asinh,
        M::Atanh,
        M::Cbrt,
        M::Erf,
    ] {
        cases.push((format!("{f:?}"), 0.4, math(f)));
    }
    cases.push(("Acosh".into(), 1.7, math(M::Acosh)));
    for f in [M::Atan2, M::Pow, M::Hypot] {
        cases.push((format!("{f:?}"), 0.8, two(f)));
    }
    let power: Make = Box::new(|b, _, x| {
        let p = b.c(-1.7);
        b.f(Op::Math(MathFn::Pow, vec![x, p]))
    });
    cases.push(("x^-1.7".into(), 0.9, power));
    for op in [UnOp::Neg, UnOp::Abs, UnOp::Sqrt] {
        cases.push((format!("{op:?}"), 0.7, one(op)));
    }
    for op in [BinOp::Add, BinOp::Sub, BinOp::Mul, BinOp::Div, BinOp::Min, BinOp::Max] {
        cases.push((format!("{op:?}"), 0.6, bin(op)));
    }
    let select: Make = Box::new(|b, t, x| {
        let c = b.v(Op::Cmp(CmpOp::Lt, x, t), Ty::Bool);
        let y = b.bin(BinOp::Mul, x, x);
        b.f(Op::Select(c, t, y))
    });
    cases.push(("select".into(), 0.6, select));
    let floor: Make = Box::new(|b, t, x| {
        let y = b.f(Op::Un(UnOp::Floor, t));
        b.f(Op::Fma(x, x, y))
    });
    cases.push(("floor".into(), 0.6, floor));
    for (name, x0, make) in cases {
        let mut s = Solution::of(&scalar(make), ORDER).unwrap();
        let mut worst = f64::INFINITY;
        for t in [0.3, 0.45] {
            let (coarse, size) = s.defect(t, &[x0], 0.02);
            let (fine, _) = s.defect(t, &[x0], 0.01);
            assert!(coarse < 1e-6 * size, "{name}: {coarse} left of {size}");
            if coarse > 1e-12 * size {
                worst = worst.min((coarse / fine).log2());
            }
        }
        assert!(worst > f64::from(ORDER) - 0.8, "{name}: order {worst}");
    }
}

/// Whether the right-hand side has a sine.
fn sines(program: &Program) -> bool {
    let kernels = program.functions.iter().map(|f| &f.code).chain([&program.rhs]);
    kernels.flat_map(|k| &k.values).any(|v| matches!(v.op, Op::Math(MathFn::Sin, _)))
}

/// Random programs: the first coefficient is the right-hand side's own value (but for sines), and what is left over has the order.
#[test]
fn random_programs() {
    let (mut fit, mut orders) = (0, Vec::new());
    for seed in 0..300 {
        let program = program(seed);
        let mut s = match Solution::of(&program, 5) {
            Ok(s) => s,
            Err(why) => {
                assert_eq!(why, Unfit::Large, "{seed}");
                continue;
            }
        };
        fit += 1;
        let x: Vec<f64> = (0..s.n).map(|i| 0.3 + 0.17 * i as f64).collect();
        let first = s.coefficients(0.2, &x)[..s.n].to_vec();
        let own = s.rhs(0.2, &x);
        if sines(&program) {
            // A sine by the way of its cosine may differ in its last place.
            for (a, b) in first.iter().zip(&own) {
                assert!((a - b).abs() <= 1e-13 * b.abs().max(1.0), "{seed}: {a} {b}");
            }
        } else {
            assert_eq!(first, own, "{seed}");
        }
        let (coarse, size) = s.defect(0.2, &x, 0.02);
        let (fine, _) = s.defect(0.2, &x, 0.01);
        // Where a comparison changes between here and there, or next to nothing is left, there is no order.
        if coarse > 1e-11 * size.max(1.0) && coarse < 1e-4 * size {
            orders.push((coarse / fine).log2());
        }
    }
    orders.sort_by(f64::total_cmp);
    assert!(fit > 250 && orders.len() > 50, "{fit}, {}", orders.len());
    assert!(orders[orders.len() / 10] > 4.5, "{:?}", &orders[..20]);
}

#[test]
fn what_has_no_recurrence_says_why() {
    let gamma = scalar(|b, _, x| b.f(Op::Math(MathFn::Gamma, vec![x])));
    assert_eq!(coefficients(&gamma, 4), Err(Unfit::Function("gamma")));
    let var = scalar(|b, _, _| b.load(Space::Var, Affine::default()));
    assert_eq!(coefficients(&var, 4), Err(Unfit::Form));
}
