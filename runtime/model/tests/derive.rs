//! Derivatives against finite differences, and the three ways to a Jacobian against each other.
#![allow(clippy::needless_range_loop, reason = "matrices")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "derive/loops.rs"]
mod loops;

use common::{B, Rng, origin, program};
use proptest::prelude::*;
use twinml_model::host::{Host, KernelId, Machine, Memory, NoHost};
use twinml_model::ids::{BlockId, TableId, Value};
use twinml_model::interp::Interpreter;
use twinml_model::ir::{Affine, BinOp, CmpOp, Kernel, MathFn, Op, Space, Stmt, Trap, Ty, UnOp};
use twinml_model::passes::coloring::Coloring;
use twinml_model::passes::derive::complete;
use twinml_model::passes::pattern::{state_pattern, structural_pattern};
use twinml_model::passes::sparsity::Scatter;
use twinml_model::program::{Block, Program, Sizes, SlotRun};
use twinml_model::verify::verify;

fn rhs(machine: &Interpreter, m: &mut Memory, host: &mut dyn Host, t: f64, x: &[f64]) -> Vec<f64> {
    m.set_time(t);
    m.space_mut(Space::State).copy_from_slice(x);
    machine.run(KernelId::Rhs, m, host).unwrap();
    m.space(Space::Der).to_vec()
}

/// `f` at ±h, extrapolated (error h⁴).
fn difference(mut f: impl FnMut(f64) -> Vec<f64>) -> Vec<f64> {
    let mut central = |h: f64| -> Vec<f64> {
        let (a, b) = (f(h), f(-h));
        a.iter().zip(&b).map(|(a, b)| (a - b) / (2.0 * h)).collect()
    };
    let (coarse, fine) = (central(2e-3), central(1e-3));
    coarse.iter().zip(&fine).map(|(c, f)| (4.0 * f - c) / 3.0).collect()
}

/// A block whose unknowns are the first `n` variables.
fn first_variables(n: u32, residual: Kernel) -> Block {
    Block {
        unknowns: vec![SlotRun { space: Space::Var, base: 0, len: n }],
        n,
        linear: false,
        residual,
        jacobian: None,
        tangent: None,
        inner_tangent: None,
        origins: vec![(0, twinml_model::ids::OriginId(0))],
        initial_only: false,
        careful: false,
    }
}

fn close(a: f64, b: f64, tol: f64) -> bool {
    (a - b).abs() <= tol * (1.0 + a.abs().max(b.abs()))
}

/// Checks jvp, symbolic Jacobian, patterns and colouring of a program at one point.
fn check(program: &Program, t: f64, x: &[f64], host: &mut dyn Host, tol: f64) {
    let mut full = program.clone();
    complete(&mut full);
    verify(&full).unwrap();
    let n = x.len();
    let machine = Interpreter::new(&full);
    let mut m = Memory::new(&full);
    let pattern = structural_pattern(&full);
    let mut dense = vec![vec![0.0; n]; n];
    for col in 0..=n {
        // column n: time
        let fd = difference(|h| {
            let mut y = x.to_vec();
            let mut time = t;
            if col < n {
                y[col] += h
            } else {
                time += h
            }
            rhs(&machine, &mut m, host, time, &y)
        });
        rhs(&machine, &mut m, host, t, x);
        m.space_mut(Space::TState).fill(0.0);
        m.space_mut(Space::TTime)[0] = 0.0;
        if col < n {
            m.space_mut(Space::TState)[col] = 1.0
        } else {
            m.space_mut(Space::TTime)[0] = 1.0
        }
        machine.run(KernelId::Jvp, &mut m, host).unwrap();
        for row in 0..n {
            let d = m.space(Space::TDer)[row];
            assert!(close(d, fd[row], tol), "∂{row}/∂{col}: {d} by jvp, {} by differences", fd[row]);
            if col < n {
                dense[row][col] = d;
                assert!(d == 0.0 || pattern.column(col).contains(&row), "({row}, {col}) not in the pattern");
            }
        }
    }
    m.space_mut(Space::TTime)[0] = 0.0;
    if let Some(j) = &full.jacobian {
        machine.run(KernelId::Jacobian, &mut m, host).unwrap();
        let scatter = Scatter::new(j);
        let mut values = vec![f64::NAN; scatter.pattern.nnz()];
        scatter.apply(&m.space(Space::Jac)[..j.entries as usize], &mut values);
        let mut got = vec![vec![0.0; n]; n];
        for col in 0..n {
            for k in scatter.pattern.col_ptr[col]..scatter.pattern.col_ptr[col + 1] {
                got[scatter.pattern.row_of[k]][col] = values[k];
                assert!(pattern.column(col).contains(&scatter.pattern.row_of[k]));
            }
        }
        for row in 0..n {
            for col in 0..n {
                let (a, b) = (got[row][col], dense[row][col]);
                assert!(close(a, b, 1e-12), "∂{row}/∂{col}: {a} by Jacobian, {b} by jvp");
            }
        }
    }
    // by colours
    let coloring = Coloring::greedy(&pattern);
    let mut values = vec![f64::NAN; pattern.nnz()];
    for c in 0..coloring.count {
        let mut v = vec![0.0; n];
        coloring.seed(c, &mut v);
        m.space_mut(Space::TState).copy_from_slice(&v);
        machine.run(KernelId::Jvp, &mut m, host).unwrap();
        coloring.gather(c, &pattern, m.space(Space::TDer), &mut values);
    }
    for col in 0..n {
        for k in pattern.col_ptr[col]..pattern.col_ptr[col + 1] {
            assert!(close(values[k], dense[pattern.row_of[k]][col], 1e-12));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_programs(seed in any::<u64>()) {
        let p = program(seed);
        verify(&p).unwrap();
        let mut rng = Rng::new(seed ^ 77);
        let x: Vec<f64> = (0..p.sizes.state).map(|_| rng.within(-0.9, 0.9)).collect();
        // kinks are possible but improbable, those of time, too; differences across one are refused by comparing step sizes
        let machine = Interpreter::new(&p);
        let mut m = Memory::new(&p);
        let smooth = (0..=x.len()).all(|k| {
            let mut at = |h: f64| {
                let (mut y, mut time) = (x.clone(), 0.3);
                if let Some(y) = y.get_mut(k) { *y += h } else { time += h }
                rhs(&machine, &mut m, &mut NoHost, time, &y)
            };
            let one = |a: Vec<f64>, b: Vec<f64>, h: f64| -> Vec<f64> {
                a.iter().zip(&b).map(|(a, b)| (a - b) / h).collect()
            };
            let narrow = one(at(1e-5), at(-1e-5), 2e-5);
            [1e-3, 2e-3].iter().all(|h| {
                let wide = one(at(*h), at(-h), 2.0 * h);
                wide.iter().zip(&narrow).all(|(a, b)| close(*a, *b, 1e-3))
            })
        });
        prop_assume!(smooth);
        check(&p, 0.3, &x, &mut NoHost, 1e-4);
    }
}

/// Every elementary function at some points inside its domain.
#[test]
fn elementary_functions() {
    for f in MathFn::ALL {
        if f == MathFn::Trigamma {
            continue;
        }
        let mut b = B::new("rhs");
        let x = b.load(Space::State, Affine::constant(0));
        let y = b.load(Space::State, Affine::constant(1));
        let args = if f.arity() == 2 { vec![x, y] } else { vec![x] };
        let v = b.f(Op::Math(f, args));
        b.store(Space::Der, Affine::constant(0), v);
        let zero = b.c(0.0);
        b.store(Space::Der, Affine::constant(1), zero);
        let p = Program {
            sizes: Sizes { state: 2, ..Sizes::default() },
            origins: vec![origin()],
            rhs: b.finish(),
            ..Program::default()
        };
        let points: &[f64] = match f {
            MathFn::Acosh => &[1.5, 7.0],
            MathFn::Asin | MathFn::Acos | MathFn::Atanh => &[-0.6, 0.2, 0.7],
            MathFn::Gamma | MathFn::Digamma => &[-1.4, 0.3, 1.2, 5.5, 12.0],
            MathFn::Log | MathFn::Log2 | MathFn::Log10 | MathFn::Pow => &[0.3, 1.0, 4.0],
            _ => &[-0.7, 0.4, 1.1],
        };
        for &x in points {
            check(&p, 0.0, &[x, 1.7], &mut NoHost, 3e-6);
        }
    }
}

#[test]
fn derivatives_at_zero_stay_finite() {
    let build = |f: &dyn Fn(&mut B, Value) -> Value| {
        let mut b = B::new("rhs");
        let x = b.load(Space::State, Affine::constant(0));
        let v = f(&mut b, x);
        b.store(Space::Der, Affine::constant(0), v);
        let mut p = Program {
            sizes: Sizes { state: 1, ..Sizes::default() },
            origins: vec![origin()],
            rhs: b.finish(),
            ..Program::default()
        };
        complete(&mut p);
        verify(&p).unwrap();
        let machine = Interpreter::new(&p);
        let mut m = Memory::new(&p);
        m.space_mut(Space::TState)[0] = 1.0;
        machine.run(KernelId::Jvp, &mut m, &mut NoHost).unwrap();
        m.space(Space::TDer)[0]
    };
    assert_eq!(build(&|b, x| b.f(Op::Un(UnOp::Sqrt, x))), 0.0);
    assert_eq!(build(&|b, x| b.f(Op::Math(MathFn::Cbrt, vec![x]))), 0.0);
    for (power, want) in [(0.5, 0.0), (1.0, 1.0), (2.0, 0.0)] {
        let got = build(&|b, x| {
            let c = b.c(power);
            b.f(Op::Math(MathFn::Pow, vec![x, c]))
        });
        assert_eq!(got, want, "x^{power}");
    }
}

/// Solves blocks by Newton's method with the kernels under test: dense elimination with row exchange.
struct Newton<'a> {
    program: &'a Program,
    machine: &'a Interpreter,
}

impl Newton<'_> {
    fn factor_solve(&mut self, b: BlockId, m: &mut Memory, rhs: Space) -> Vec<f64> {
        let block = self.program.block(b);
        let j = block.jacobian.as_ref().unwrap();
        let right: Vec<f64> = m.space(rhs)[..block.n as usize].to_vec();
        self.machine.run(KernelId::BlockJacobian(b), m, self).unwrap();
        let n = block.n as usize;
        let s = Scatter::new(j);
        let mut values = vec![0.0; s.pattern.nnz()];
        s.apply(&m.space(Space::Jac)[..j.entries as usize], &mut values);
        let mut a = vec![vec![0.0; n + 1]; n];
        for col in 0..n {
            for k in s.pattern.col_ptr[col]..s.pattern.col_ptr[col + 1] {
                a[s.pattern.row_of[k]][col] = values[k];
            }
        }
        for (row, r) in right.iter().enumerate() {
            a[row][n] = -r;
        }
        for k in 0..n {
            let p = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
            a.swap(k, p);
            for i in 0..n {
                if i != k {
                    let f = a[i][k] / a[k][k];
                    for c in k..=n {
                        a[i][c] -= f * a[k][c];
                    }
                }
            }
        }
        (0..n).map(|k| a[k][n] / a[k][k]).collect()
    }

    fn each(&self, b: BlockId, tangent: bool, m: &mut Memory, step: &[f64], add: bool) {
        let mut k = 0;
        for run in &self.program.block(b).unknowns {
            let space = if tangent { run.space.tangent().unwrap() } else { run.space };
            for s in 0..run.len {
                let slot = &mut m.space_mut(space)[(run.base + s) as usize];
                *slot = if add { *slot + step[k] } else { step[k] };
                k += 1;
            }
        }
    }
}

impl Host for Newton<'_> {
    fn solve(&mut self, b: BlockId, m: &mut Memory) -> Result<(), Trap> {
        for _ in 0..50 {
            self.machine.run(KernelId::BlockResidual(b), m, self)?;
            let step = self.factor_solve(b, m, Space::Res);
            self.each(b, false, m, &step, true);
            if step.iter().all(|s| s.abs() < 1e-13) {
                return self.machine.run(KernelId::BlockResidual(b), m, self);
            }
        }
        Err(Trap::Block(b))
    }
    fn solve_tangent(&mut self, b: BlockId, m: &mut Memory) -> Result<(), Trap> {
        self.machine.run(KernelId::BlockTangent(b), m, self)?;
        let step = self.factor_solve(b, m, Space::TRes);
        self.each(b, true, m, &step, false);
        self.machine.run(KernelId::BlockInnerTangent(b), m, self)
    }
    fn table(&mut self, table: TableId, x: f64, _: u8) -> Result<f64, Trap> {
        Err(Trap::TableRange { table, x })
    }
    fn delay(&mut self, _: u32, _: f64, _: &Memory) -> f64 {
        0.0
    }
}

/// Two unknowns u, v and a torn inner variable w: w = u·x₀, u + ⅕ sin(v + w) = x₁, v + ⅕ u·w = t + x₀.
#[test]
fn through_a_block() {
    let mut b = B::new("residual");
    let u = b.load(Space::Var, Affine::constant(0));
    let v = b.load(Space::Var, Affine::constant(1));
    let x0 = b.load(Space::State, Affine::constant(0));
    let x1 = b.load(Space::State, Affine::constant(1));
    let t = b.load(Space::Time, Affine::default());
    let w = b.bin(BinOp::Mul, u, x0);
    b.store(Space::Var, Affine::constant(2), w);
    let w = b.load(Space::Var, Affine::constant(2));
    let fifth = b.c(0.2);
    let s = b.bin(BinOp::Add, v, w);
    let s = b.f(Op::Math(MathFn::Sin, vec![s]));
    let r0 = b.f(Op::Fma(fifth, s, u));
    let r0 = b.bin(BinOp::Sub, r0, x1);
    let p = b.bin(BinOp::Mul, u, w);
    let r1 = b.f(Op::Fma(fifth, p, v));
    let q = b.bin(BinOp::Add, t, x0);
    let r1 = b.bin(BinOp::Sub, r1, q);
    b.store(Space::Res, Affine::constant(0), r0);
    b.store(Space::Res, Affine::constant(1), r1);
    let residual = b.finish();
    let mut b = B::new("rhs");
    b.region.push(Stmt::Solve(BlockId(0)));
    let u = b.load(Space::Var, Affine::constant(0));
    let w = b.load(Space::Var, Affine::constant(2));
    let x1 = b.load(Space::State, Affine::constant(1));
    let d = b.bin(BinOp::Mul, u, x1);
    b.store(Space::Der, Affine::constant(0), d);
    let zero = b.c(0.0);
    let c = b.v(Op::Cmp(CmpOp::Gt, w, zero), Ty::Bool);
    let d = b.f(Op::Select(c, w, u));
    b.store(Space::Der, Affine::constant(1), d);
    let p = Program {
        sizes: Sizes { state: 2, var: 3, res: 2, ..Sizes::default() },
        origins: vec![origin()],
        rhs: b.finish(),
        blocks: vec![first_variables(2, residual)],
        ..Program::default()
    };
    let mut full = p.clone();
    complete(&mut full);
    assert_eq!(full.blocks[0].jacobian.as_ref().unwrap().entries, 4);
    let machine = Interpreter::new(&full);
    let mut host = Newton { program: &full, machine: &machine };
    for x in [[0.5, 0.3], [-0.7, 1.2]] {
        check(&p, 0.4, &x, &mut host, 1e-7);
    }
    // every state reaches both unknowns
    assert_eq!(state_pattern(&full).nnz(), 4);
}
