//! Derivatives against finite differences, and the three ways to a Jacobian against each other.
#![allow(clippy::needless_range_loop, reason = "matrices")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{B, Rng, origin, program};
use proptest::prelude::*;
use twinml_model::host::{Host, KernelId, Machine, Memory, NoHost};
use twinml_model::ids::{BlockId, Index, TableId, Value};
use twinml_model::interp::Interpreter;
use twinml_model::ir::{Affine, BinOp, CmpOp, MathFn, Op, Space, Stmt, Trap, Ty, UnOp};
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
        // kinks are possible but improbable; differences across one are refused by comparing step sizes
        let machine = Interpreter::new(&p);
        let mut m = Memory::new(&p);
        let smooth = (0..x.len()).all(|k| {
            let mut at = |h: f64| {
                let mut y = x.clone();
                y[k] += h;
                rhs(&machine, &mut m, &mut NoHost, 0.3, &y)
            };
            let one = |a: Vec<f64>, b: Vec<f64>, h: f64| -> Vec<f64> {
                a.iter().zip(&b).map(|(a, b)| (a - b) / h).collect()
            };
            let wide = one(at(2e-3), at(-2e-3), 4e-3);
            let narrow = one(at(1e-5), at(-1e-5), 2e-5);
            wide.iter().zip(&narrow).all(|(a, b)| close(*a, *b, 1e-3))
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
        blocks: vec![Block {
            unknowns: vec![SlotRun { space: Space::Var, base: 0, len: 2 }],
            n: 2,
            linear: false,
            residual,
            jacobian: None,
            tangent: None,
            inner_tangent: None,
            origins: vec![(0, twinml_model::ids::OriginId(0))],
            initial_only: false,
        }],
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

/// Programs with families of equations keep their loops in the Jacobian.
#[test]
fn families_keep_their_loops() {
    let mut looped = 0;
    for seed in 0..60 {
        let mut p = program(seed);
        complete(&mut p);
        let j = p.jacobian.as_ref().unwrap();
        looped += usize::from(j.families.iter().any(|f| !f.loops.is_empty()));
    }
    assert!(looped > 30, "{looped} of 60");
}

/// A rod of n cells as families: du[i] = k·(flow[i] − flow[i+1]) with flows in variables, fixed ends.
fn rod(n: i64) -> Program {
    let mut b = B::new("rhs");
    let wall = b.c(300.0);
    let x0 = b.load(Space::State, Affine::constant(0));
    let f0 = b.bin(BinOp::Sub, wall, x0);
    b.store(Space::Var, Affine::constant(0), f0);
    let i = b.k.index();
    let (body, ()) = b.inner(|b| {
        let l = b.load(Space::State, Affine::constant(-1).plus(i, 1));
        let r = b.load(Space::State, Affine::constant(0).plus(i, 1));
        let d = b.bin(BinOp::Sub, l, r);
        let c = b.bin(BinOp::Mul, d, d);
        let f = b.bin(BinOp::Mul, c, d);
        b.store(Space::Var, Affine::constant(0).plus(i, 1), f);
    });
    b.region.push(Stmt::For(Box::new(twinml_model::ir::For {
        index: i,
        lo: 1,
        hi: n,
        reverse: false,
        carries: vec![],
        body,
    })));
    let zero = b.c(0.0);
    b.store(Space::Var, Affine::constant(n), zero);
    let i = b.k.index();
    let (body, ()) = b.inner(|b| {
        let l = b.load(Space::Var, Affine::constant(0).plus(i, 1));
        let r = b.load(Space::Var, Affine::constant(1).plus(i, 1));
        let d = b.bin(BinOp::Sub, l, r);
        b.store(Space::Der, Affine::constant(0).plus(i, 1), d);
    });
    b.region.push(Stmt::For(Box::new(twinml_model::ir::For {
        index: i,
        lo: 0,
        hi: n,
        reverse: false,
        carries: vec![],
        body,
    })));
    Program {
        sizes: Sizes { state: n as u32, var: n as u32 + 1, ..Sizes::default() },
        origins: vec![origin()],
        rhs: b.finish(),
        ..Program::default()
    }
}

#[test]
fn a_rod_is_tridiagonal_whatever_its_length() {
    let mut sizes = Vec::new();
    for n in [5, 100, 10_000] {
        let mut p = rod(n);
        complete(&mut p);
        verify(&p).unwrap();
        let j = p.jacobian.as_ref().unwrap();
        sizes.push((j.families.len(), j.kernel.values.len()));
        let s = Scatter::new(j);
        assert_eq!(s.pattern, structural_pattern(&p));
        assert_eq!(s.pattern.nnz(), 3 * n as usize - 2);
        assert_eq!(Coloring::greedy(&s.pattern).count, 3);
    }
    // the code does not grow with the number of cells
    assert!(sizes.iter().all(|s| *s == sizes[0]), "{sizes:?}");
    check(&rod(6), 0.0, &[299.0, 298.5, 299.5, 300.0, 301.0, 300.2], &mut NoHost, 1e-5);
}

/// Many branches on one unknown: Σᵢ (xᵢ − p)·|…| stays a loop in the block's Jacobian.
#[test]
fn a_sum_over_instances_of_one_column_keeps_its_loop() {
    let build = |n: i64| {
        let mut b = B::new("residual");
        let zero = b.c(0.0);
        let p = b.load(Space::Var, Affine::constant(0));
        let i = b.k.index();
        let var = b.k.value(Op::Carry, Ty::F64);
        let result = b.k.value(Op::Result, Ty::F64);
        let (body, next) = b.inner(|b| {
            let x = b.load(Space::State, Affine::constant(0).plus(i, 1));
            let d = b.bin(BinOp::Sub, x, p);
            let s = b.f(Op::Math(MathFn::Sinh, vec![d]));
            b.bin(BinOp::Add, var, s)
        });
        let carries = vec![twinml_model::ir::Carry { var, init: zero, next, result }];
        b.region.push(Stmt::For(Box::new(twinml_model::ir::For {
            index: i,
            lo: 0,
            hi: n,
            reverse: false,
            carries,
            body,
        })));
        b.store(Space::Res, Affine::constant(0), result);
        let residual = b.finish();
        let mut b = B::new("rhs");
        b.region.push(Stmt::Solve(BlockId(0)));
        let p = b.load(Space::Var, Affine::constant(0));
        let i = b.k.index();
        let (body, ()) = b.inner(|b| {
            let x = b.load(Space::State, Affine::constant(0).plus(i, 1));
            let d = b.bin(BinOp::Sub, p, x);
            b.store(Space::Der, Affine::constant(0).plus(i, 1), d);
        });
        b.region.push(Stmt::For(Box::new(twinml_model::ir::For {
            index: i,
            lo: 0,
            hi: n,
            reverse: false,
            carries: vec![],
            body,
        })));
        Program {
            sizes: Sizes { state: n as u32, var: 1, res: 1, ..Sizes::default() },
            origins: vec![origin()],
            rhs: b.finish(),
            blocks: vec![Block {
                unknowns: vec![SlotRun { space: Space::Var, base: 0, len: 1 }],
                n: 1,
                linear: false,
                residual,
                jacobian: None,
                tangent: None,
                inner_tangent: None,
                origins: vec![(0, twinml_model::ids::OriginId(0))],
                initial_only: false,
            }],
            ..Program::default()
        }
    };
    let sizes: Vec<(u32, usize)> = [4, 100_000]
        .into_iter()
        .map(|n| {
            let mut p = build(n);
            complete(&mut p);
            verify(&p).unwrap();
            let j = p.blocks[0].jacobian.as_ref().unwrap();
            (j.entries, j.kernel.values.len())
        })
        .collect();
    assert_eq!(sizes[0], sizes[1]);
    assert_eq!(sizes[0].0, 1);
    let p = build(4);
    let mut full = p.clone();
    complete(&mut full);
    let machine = Interpreter::new(&full);
    let mut host = Newton { program: &full, machine: &machine };
    check(&p, 0.0, &[0.1, -0.4, 0.9, 0.3], &mut host, 1e-7);
}

/// A loop that adds up `term`.
fn sum_of(b: &mut B, n: i64, term: impl FnOnce(&mut B, Index) -> Value) -> Value {
    let init = b.c(0.0);
    let index = b.k.index();
    let var = b.k.value(Op::Carry, Ty::F64);
    let result = b.k.value(Op::Result, Ty::F64);
    let (body, next) = b.inner(|b| {
        let t = term(b, index);
        b.bin(BinOp::Add, var, t)
    });
    let carries = vec![twinml_model::ir::Carry { var, init, next, result }];
    let l = twinml_model::ir::For { index, lo: 0, hi: n, reverse: false, carries, body };
    b.region.push(Stmt::For(Box::new(l)));
    result
}

fn each(b: &mut B, n: i64, f: impl FnOnce(&mut B, Index)) {
    let index = b.k.index();
    let (body, ()) = b.inner(|b| f(b, index));
    let l = twinml_model::ir::For { index, lo: 0, hi: n, reverse: false, carries: vec![], body };
    b.region.push(Stmt::For(Box::new(l)));
}

/// `hubs` hubs with `spokes` spokes each: a hub adds its spokes up, a centre adds the hubs up, and the first `felt`
/// spokes of each hub feel their hub's sum.
fn star(hubs: i64, spokes: i64, felt: i64) -> Program {
    let at = |base: i64, terms: &[(Index, i64)]| {
        terms.iter().fold(Affine::constant(base), |a, &(i, s)| a.plus(i, s))
    };
    let (first_hub, centre) = (hubs * spokes, hubs * spokes + hubs);
    let mut b = B::new("rhs");
    each(&mut b, hubs, |b, h| {
        let y = b.load(Space::State, at(first_hub, &[(h, 1)]));
        let s = sum_of(b, spokes, |b, j| {
            let x = b.load(Space::State, at(0, &[(h, spokes), (j, 1)]));
            let e = b.f(Op::Math(MathFn::Sinh, vec![x]));
            b.bin(BinOp::Mul, e, y)
        });
        let two = b.c(2.0);
        let s = b.bin(BinOp::Div, s, two);
        b.store(Space::Var, at(0, &[(h, 1)]), s);
        let d = b.bin(BinOp::Mul, s, s);
        b.store(Space::Der, at(first_hub, &[(h, 1)]), d);
    });
    // a sum of sums, with the square of each; and one with constant partials
    let total = sum_of(&mut b, hubs, |b, h| {
        let s = b.load(Space::Var, at(0, &[(h, 1)]));
        b.bin(BinOp::Mul, s, s)
    });
    let plain = sum_of(&mut b, spokes, |b, j| b.load(Space::State, at(0, &[(j, 1)])));
    let z = b.load(Space::State, at(centre, &[]));
    let d = b.bin(BinOp::Mul, total, z);
    let d = b.bin(BinOp::Sub, d, plain);
    b.store(Space::Der, at(centre, &[]), d);
    each(&mut b, hubs, |b, h| {
        each(b, felt, |b, j| {
            let s = b.load(Space::Var, at(0, &[(h, 1)]));
            let x = b.load(Space::State, at(0, &[(h, spokes), (j, 1)]));
            let d = b.bin(BinOp::Mul, s, x);
            b.store(Space::Der, at(0, &[(h, spokes), (j, 1)]), d);
        });
        each(b, spokes - felt, |b, j| {
            let x = b.load(Space::State, at(felt, &[(h, spokes), (j, 1)]));
            let d = b.bin(BinOp::Mul, x, x);
            b.store(Space::Der, at(felt, &[(h, spokes), (j, 1)]), d);
        });
    });
    Program {
        sizes: Sizes { state: (centre + 1) as u32, var: hubs as u32, ..Sizes::default() },
        origins: vec![origin()],
        rhs: b.finish(),
        ..Program::default()
    }
}

#[test]
fn a_star_keeps_its_loops_whatever_its_size() {
    let sizes: Vec<_> = [(2, 3), (3, 700), (5, 20_000)]
        .into_iter()
        .map(|(hubs, spokes)| {
            let mut p = star(hubs, spokes, 1);
            complete(&mut p);
            verify(&p).unwrap();
            let j = p.jacobian.as_ref().unwrap();
            if spokes < 1000 {
                assert_eq!(Scatter::new(j).pattern, structural_pattern(&p));
            }
            (j.families.len(), j.kernel.values.len())
        })
        .collect();
    assert!(sizes.iter().all(|s| *s == sizes[0]), "{sizes:?}");
    for (hubs, spokes, felt) in [(2, 3, 1), (2, 3, 2), (3, 2, 1), (1, 4, 1), (4, 2, 1)] {
        let p = star(hubs, spokes, felt);
        let n = p.sizes.state;
        let x: Vec<f64> = (0..n).map(|k| 0.3 + 0.1 * f64::from(k % 7) - 0.05 * f64::from(k)).collect();
        check(&p, 0.0, &x, &mut NoHost, 1e-5);
    }
    // rows that all depend on one long sum are dense: no such matrix is written down
    let mut p = star(1, 5_000, 5_000 - 1);
    complete(&mut p);
    assert!(p.jacobian.is_none());
}

/// A grid of `rows × cols` cells with flows to the right and down in variables, each a two-dimensional family;
/// outermost flows are zero.
fn grid(rows: i64, cols: i64) -> Program {
    let mut b = B::new("rhs");
    let (right, down) = (0, rows * (cols + 1));
    let nest =
        |b: &mut B, lo: (i64, i64), hi: (i64, i64), f: &mut dyn FnMut(&mut B, Affine, Affine, Affine)| {
            let (i, j) = (b.k.index(), b.k.index());
            let at = |base: i64, stride: i64| Affine::constant(base).plus(i, stride).plus(j, 1);
            let make = |index, lo, hi, body| {
                let l = twinml_model::ir::For { index, lo, hi, reverse: false, carries: vec![], body };
                Stmt::For(Box::new(l))
            };
            let (body, ()) = b.inner(|b| f(b, at(0, cols), at(right, cols + 1), at(down, cols)));
            let inner = make(j, lo.1, hi.1, body);
            b.region.push(make(i, lo.0, hi.0, vec![inner]));
        };
    let shifted = |a: &Affine, by: i64| Affine { base: a.base + by, terms: a.terms.clone() };
    // flow into cell (i, j) from the left, 1 ≤ j < cols; the ends are zero
    nest(&mut b, (0, 1), (rows, cols), &mut |b, cell, right, _| {
        let l = b.load(Space::State, shifted(&cell, -1));
        let r = b.load(Space::State, cell);
        let d = b.bin(BinOp::Sub, l, r);
        let f = b.f(Op::Math(MathFn::Sinh, vec![d]));
        b.store(Space::Var, right, f);
    });
    let zero = b.c(0.0);
    for j in [0, cols] {
        let i = b.k.index();
        let (body, ()) = b.inner(|b| {
            b.store(Space::Var, Affine::constant(right + j).plus(i, cols + 1), zero);
        });
        let l = twinml_model::ir::For { index: i, lo: 0, hi: rows, reverse: false, carries: vec![], body };
        b.region.push(Stmt::For(Box::new(l)));
    }
    nest(&mut b, (1, 0), (rows, cols), &mut |b, cell, _, down| {
        let l = b.load(Space::State, shifted(&cell, -cols));
        let r = b.load(Space::State, cell);
        let d = b.bin(BinOp::Mul, l, r);
        b.store(Space::Var, down, d);
    });
    for i in [0, rows] {
        let j = b.k.index();
        let (body, ()) = b.inner(|b| {
            b.store(Space::Var, Affine::constant(down + i * cols).plus(j, 1), zero);
        });
        let l = twinml_model::ir::For { index: j, lo: 0, hi: cols, reverse: false, carries: vec![], body };
        b.region.push(Stmt::For(Box::new(l)));
    }
    nest(&mut b, (0, 0), (rows, cols), &mut |b, cell, right, down| {
        let l = b.load(Space::Var, right.clone());
        let r = b.load(Space::Var, shifted(&right, 1));
        let u = b.load(Space::Var, down.clone());
        let d = b.load(Space::Var, shifted(&down, cols));
        let x = b.bin(BinOp::Sub, l, r);
        let y = b.bin(BinOp::Sub, u, d);
        let v = b.bin(BinOp::Add, x, y);
        b.store(Space::Der, cell, v);
    });
    Program {
        sizes: Sizes {
            state: (rows * cols) as u32,
            var: (rows * (cols + 1) + (rows + 1) * cols) as u32,
            ..Sizes::default()
        },
        origins: vec![origin()],
        rhs: b.finish(),
        ..Program::default()
    }
}

#[test]
fn a_grid_has_five_points() {
    let p = grid(3, 4);
    verify(&p).unwrap();
    let mut rng = Rng::new(3);
    let x: Vec<f64> = (0..12).map(|_| rng.within(-0.5, 0.5)).collect();
    check(&p, 0.0, &x, &mut NoHost, 1e-6);
    let mut full = p;
    complete(&mut full);
    // by families or written out: 12 cells, 17 neighbours in each direction
    assert_eq!(Scatter::new(full.jacobian.as_ref().unwrap()).pattern.nnz(), 12 + 2 * 17);
    // far too large to be written out: families, and the same code as for any other size
    let of = |rows, cols| {
        let mut p = grid(rows, cols);
        complete(&mut p);
        verify(&p).unwrap();
        let j = p.jacobian.unwrap();
        let nnz = Scatter::new(&j).pattern.nnz() as i64;
        assert_eq!(nnz, rows * cols + 2 * ((rows - 1) * cols + rows * (cols - 1)));
        (j.families.len(), j.kernel.values.len())
    };
    assert_eq!(of(200, 300), of(6, 7));
}

/// Stores and loads at random strides and offsets, one- and two-dimensional, overlapping as they like.
fn strided(seed: u64) -> Program {
    const VARS: i64 = 48;
    const N: i64 = 12;
    let mut rng = Rng::new(seed);
    let mut b = B::new("rhs");
    // a random address in 0..len over the given ranges, strides of either sign
    let address = |rng: &mut Rng, len: i64, nest: &[(Index, i64, i64)]| {
        loop {
            let mut a = Affine::constant(rng.below(len as usize) as i64);
            for n in nest {
                a = a.plus(n.0, [1, 1, 1, 2, 3, 4, 6, -1, -2][rng.below(9)]);
            }
            let (mut least, mut most) = (a.base, a.base);
            for &(i, s) in &a.terms {
                let n = nest.iter().find(|n| n.0 == i).unwrap();
                least += (s * n.1).min(s * (n.2 - 1));
                most += (s * n.1).max(s * (n.2 - 1));
            }
            if least >= 0 && most < len {
                return a;
            }
        }
    };
    for part in 0..4 {
        let depth = rng.below(3);
        let nest: Vec<_> = (0..depth)
            .map(|_| {
                let lo = rng.below(3) as i64;
                (b.k.index(), lo, lo + 1 + rng.below(4) as i64)
            })
            .collect();
        let (mut body, ()) = b.inner(|b| {
            let x = address(&mut rng, N, &nest);
            let x = b.load(Space::State, x);
            let v = if part == 0 {
                x
            } else {
                let y = address(&mut rng, VARS, &nest);
                let y = b.load(Space::Var, y);
                b.bin(BinOp::Mul, x, y)
            };
            let v = b.f(Op::Math(MathFn::Sin, vec![v]));
            let at = address(&mut rng, VARS, &nest);
            b.store(Space::Var, at.clone(), v);
            if rng.below(2) == 0 {
                let again = b.load(Space::Var, at);
                let at = address(&mut rng, VARS, &nest);
                b.store(Space::Var, at, again);
            }
        });
        for &(index, lo, hi) in nest.iter().rev() {
            let reverse = rng.below(2) == 0;
            let l = twinml_model::ir::For { index, lo, hi, reverse, carries: vec![], body };
            body = vec![Stmt::For(Box::new(l))];
        }
        b.region.extend(body);
    }
    let index = b.k.index();
    let nest = [(index, 0, N)];
    let (body, ()) = b.inner(|b| {
        let y = address(&mut rng, VARS, &nest);
        let y = b.load(Space::Var, y);
        let x = address(&mut rng, N, &nest);
        let x = b.load(Space::State, x);
        let v = b.f(Op::Fma(x, y, x));
        b.store(Space::Der, Affine::constant(0).plus(index, 1), v);
    });
    let l = twinml_model::ir::For { index, lo: 0, hi: N, reverse: false, carries: vec![], body };
    b.region.push(Stmt::For(Box::new(l)));
    Program {
        sizes: Sizes { state: N as u32, var: VARS as u32, ..Sizes::default() },
        origins: vec![origin()],
        rhs: b.finish(),
        ..Program::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn strides_and_offsets(seed in any::<u64>()) {
        let p = strided(seed);
        verify(&p).unwrap();
        let mut full = p.clone();
        complete(&mut full);
        verify(&full).unwrap();
        let mut rng = Rng::new(seed ^ 9);
        let x: Vec<f64> = (0..12).map(|_| rng.within(0.3, 0.9)).collect();
        let machine = Interpreter::new(&full);
        let mut m = Memory::new(&full);
        m.space_mut(Space::State).copy_from_slice(&x);
        let Some(j) = &full.jacobian else { return Ok(()) };
        let scatter = Scatter::new(j);
        let mut values = vec![0.0; scatter.pattern.nnz()];
        for col in 0..12 {
            // each run begins with the variables of a fresh memory: a slot read before it is written is a constant
            m.space_mut(Space::Var).fill(0.0);
            m.space_mut(Space::TVar).fill(0.0);
            machine.run(KernelId::Jacobian, &mut m, &mut NoHost).unwrap();
            scatter.apply(&m.space(Space::Jac)[..j.entries as usize], &mut values);
            m.space_mut(Space::Var).fill(0.0);
            m.space_mut(Space::TVar).fill(0.0);
            m.space_mut(Space::TState).fill(0.0);
            m.space_mut(Space::TState)[col] = 1.0;
            machine.run(KernelId::Jvp, &mut m, &mut NoHost).unwrap();
            let mut column = [0.0; 12];
            for k in scatter.pattern.col_ptr[col]..scatter.pattern.col_ptr[col + 1] {
                column[scatter.pattern.row_of[k]] = values[k];
            }
            for row in 0..12 {
                let d = m.space(Space::TDer)[row];
                prop_assert!(close(column[row], d, 1e-12), "∂{row}/∂{col}: {} by Jacobian, {d} by jvp", column[row]);
            }
        }
    }
}

/// The test above is about loops, not about what is written out.
#[test]
fn many_strides_keep_their_loops() {
    let looped = (0..300)
        .filter(|&seed| {
            let mut p = strided(seed);
            complete(&mut p);
            p.jacobian.is_some_and(|j| j.families.iter().any(|f| !f.loops.is_empty()))
        })
        .count();
    // random overlaps are mostly refused, and written out instead
    assert!(looped > 20, "{looped} of 300");
}
