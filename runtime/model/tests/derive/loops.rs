//! Loops of a kernel in its Jacobian: they stay whatever their length, and have the same entries as written out.

use super::common::{B, Rng, origin, program};
use super::{Newton, check, close, first_variables};
use proptest::prelude::*;
use std::ops::Range;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::ids::{BlockId, Index, Value};
use twinml_model::interp::Interpreter;
use twinml_model::ir::{Affine, BinOp, MathFn, Op, Space, Stmt, Ty};
use twinml_model::passes::coloring::Coloring;
use twinml_model::passes::derive::complete;
use twinml_model::passes::pattern::structural_pattern;
use twinml_model::passes::sparsity::Scatter;
use twinml_model::program::{Program, Sizes};
use twinml_model::verify::verify;

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

/// A loop over a range.
fn each(b: &mut B, over: Range<i64>, f: impl FnOnce(&mut B, Index)) {
    let index = b.k.index();
    let (body, ()) = b.inner(|b| f(b, index));
    let Range { start: lo, end: hi } = over;
    let l = twinml_model::ir::For { index, lo, hi, reverse: false, carries: vec![], body };
    b.region.push(Stmt::For(Box::new(l)));
}

/// A rod of n cells as families: du[i] = k·(flow[i] − flow[i+1]) with flows in variables, fixed ends.
fn rod(n: i64) -> Program {
    let mut b = B::new("rhs");
    let wall = b.c(300.0);
    let x0 = b.load(Space::State, Affine::constant(0));
    let f0 = b.bin(BinOp::Sub, wall, x0);
    b.store(Space::Var, Affine::constant(0), f0);
    each(&mut b, 1..n, |b, i| {
        let l = b.load(Space::State, Affine::constant(-1).plus(i, 1));
        let r = b.load(Space::State, Affine::constant(0).plus(i, 1));
        let d = b.bin(BinOp::Sub, l, r);
        let c = b.bin(BinOp::Mul, d, d);
        let f = b.bin(BinOp::Mul, c, d);
        b.store(Space::Var, Affine::constant(0).plus(i, 1), f);
    });
    let zero = b.c(0.0);
    b.store(Space::Var, Affine::constant(n), zero);
    each(&mut b, 0..n, |b, i| {
        let l = b.load(Space::Var, Affine::constant(0).plus(i, 1));
        let r = b.load(Space::Var, Affine::constant(1).plus(i, 1));
        let d = b.bin(BinOp::Sub, l, r);
        b.store(Space::Der, Affine::constant(0).plus(i, 1), d);
    });
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
        each(&mut b, 0..n, |b, i| {
            let x = b.load(Space::State, Affine::constant(0).plus(i, 1));
            let d = b.bin(BinOp::Sub, p, x);
            b.store(Space::Der, Affine::constant(0).plus(i, 1), d);
        });
        Program {
            sizes: Sizes { state: n as u32, var: 1, res: 1, ..Sizes::default() },
            origins: vec![origin()],
            rhs: b.finish(),
            blocks: vec![first_variables(1, residual)],
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

/// `hubs` hubs with `spokes` spokes each: a hub adds its spokes up, a centre adds the hubs up, and the first `felt`
/// spokes of each hub feel their hub's sum.
fn star(hubs: i64, spokes: i64, felt: i64) -> Program {
    let at = |base: i64, terms: &[(Index, i64)]| {
        terms.iter().fold(Affine::constant(base), |a, &(i, s)| a.plus(i, s))
    };
    let (first_hub, centre) = (hubs * spokes, hubs * spokes + hubs);
    let mut b = B::new("rhs");
    each(&mut b, 0..hubs, |b, h| {
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
    each(&mut b, 0..hubs, |b, h| {
        each(b, 0..felt, |b, j| {
            let s = b.load(Space::Var, at(0, &[(h, 1)]));
            let x = b.load(Space::State, at(0, &[(h, spokes), (j, 1)]));
            let d = b.bin(BinOp::Mul, s, x);
            b.store(Space::Der, at(0, &[(h, spokes), (j, 1)]), d);
        });
        each(b, 0..spokes - felt, |b, j| {
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
        each(&mut b, 0..rows, |b, i| {
            b.store(Space::Var, Affine::constant(right + j).plus(i, cols + 1), zero);
        });
    }
    nest(&mut b, (1, 0), (rows, cols), &mut |b, cell, _, down| {
        let l = b.load(Space::State, shifted(&cell, -cols));
        let r = b.load(Space::State, cell);
        let d = b.bin(BinOp::Mul, l, r);
        b.store(Space::Var, down, d);
    });
    for i in [0, rows] {
        each(&mut b, 0..cols, |b, j| {
            b.store(Space::Var, Affine::constant(down + i * cols).plus(j, 1), zero);
        });
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
    each(&mut b, 0..N, |b, index| {
        let nest = [(index, 0, N)];
        let y = address(&mut rng, VARS, &nest);
        let y = b.load(Space::Var, y);
        let x = address(&mut rng, N, &nest);
        let x = b.load(Space::State, x);
        let v = b.f(Op::Fma(x, y, x));
        b.store(Space::Der, Affine::constant(0).plus(index, 1), v);
    });
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
