#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
mod support;
use std::sync::Arc;
use twinml_jit::{Compiled, OptLevel};
use twinml_model::host::{Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::{MathFn, Op, Space};
use twinml_model::passes::rk4::{self, Stepped};
use twinml_model::passes::{Level, prepare};

#[test]
fn fused() {
    for make in [support::lorenz, support::pendulum, support::quad6] {
        let program = Arc::new(make());
        let kernel = rk4::Steps::new(&program, 0.0, 1e-3).unwrap().many(10_000);
        let mut bits = Vec::new();
        let mut first = Vec::new();
        for level in [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::O3] {
            let mut c = Compiled::compile(program.clone(), level).unwrap();
            let t = std::time::Instant::now();
            let id = c.add(kernel.clone());
            c.prepare(id, level.best()).unwrap();
            let dt = t.elapsed();
            let mut best = f64::MAX;
            for _ in 0..20 {
                let mut m = Memory::new(&program);
                let t = std::time::Instant::now();
                c.run(id, &mut m, &mut NoHost).unwrap();
                best = best.min(t.elapsed().as_secs_f64() / 1e4 * 1e9);
                bits = m.space(Space::State).to_vec();
            }
            println!("{} {level:?} compile {dt:?} {best:.2} ns/step {:?}", program.name, bits);
            if level == OptLevel::O2 && std::env::var("ASM").is_ok() {
                println!("{}", c.clif(id).unwrap());
                println!("{}", c.assembly(id).unwrap());
            }
            if level > OptLevel::O0 {
                assert_eq!(bits, first);
            } else {
                first = bits.clone();
            }
        }
    }
}

/// What a step takes apart and puts together again is the same at every level of optimisation.
#[test]
fn levels_agree() {
    for make in [support::lorenz, support::pendulum, support::quad6] {
        let end = |level| {
            let mut program = make();
            prepare(&mut program, level, false);
            let program = Arc::new(program);
            let mut machine = Interpreter::new(&program);
            let step = machine.add(rk4::step(&program, Stepped::Rk4, 0.0, 1e-2).unwrap());
            let mut memory = Memory::new(&program);
            for _ in 0..500 {
                machine.run(step, &mut memory, &mut NoHost).unwrap();
            }
            memory.space(Space::State).iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        let first = end(Level::O0);
        for level in [Level::O1, Level::O2, Level::O3] {
            assert_eq!(end(level), first, "{level:?}");
        }
    }
}

/// `b·x` and what is made of it, known to a right-hand side in place of `x`: each stage goes on from the first one's value,
/// as it would from the state. Infinite factors make no NaN of what was none.
#[test]
fn values_that_follow_a_state() {
    for b in [2.0, -0.05, f64::INFINITY] {
        let mut k = support::Code::new("saturation");
        let (x, p) = (k.load(Space::State, 0), k.load(Space::Param, 0));
        let bx = k.mul(p, x);
        let third = k.c(3.0);
        let later = k.div(x, third);
        let shifted = k.sub(p, later);
        let falling = k.neg(bx);
        let e = k.math(MathFn::Exp, falling);
        let s = k.math(MathFn::Atan, shifted);
        let d = k.add(e, s);
        k.store(Space::Der, 0, d);
        let program = Arc::new(support::program(k.kernel, &[1.0], &[b]));
        let mut machine = Interpreter::new(&program);
        let step = machine.add(rk4::step(&program, Stepped::Rk4, 0.0, 1e-2).unwrap());
        let plain = machine.add(rk4::cut(&program, Stepped::Rk4).unwrap());
        let (mut memory, mut other) = (Memory::new(&program), Memory::new(&program));
        for n in 0..300 {
            machine.run(step, &mut memory, &mut NoHost).unwrap();
            other.space_mut(Space::Time)[0] = f64::from(n) * 1e-2;
            other.space_mut(Space::TTime)[0] = f64::from(n + 1) * 1e-2;
            machine.run(plain, &mut other, &mut NoHost).unwrap();
        }
        let [fused, plain] = [&memory, &other].map(|m| m.space(Space::State)[0]);
        assert!((fused - plain).abs() <= 1e-13 * plain.abs(), "{b}: {fused} {plain}");
    }
}

/// Sines of later stages go on from how the first one's argument was reduced: as good as the sines of the sums,
/// which are taken where the wheel turns too fast.
#[test]
fn angles_that_follow_a_state() {
    let program = Arc::new(support::wheel());
    let kernel = rk4::step(&program, Stepped::Rk4, 0.0, 1e-2).unwrap();
    let moved = |f| kernel.values.iter().filter(|d| matches!(d.op, Op::Math(g, _) if g == f)).count();
    let of = [MathFn::Sin, MathFn::SinMoved, MathFn::Cos, MathFn::CosMoved].map(moved);
    assert_eq!(of, [2, 6, 1, 3]);
    let mut machine = Interpreter::new(&program);
    let step = machine.add(kernel.clone());
    let plain = machine.add(rk4::cut(&program, Stepped::Rk4).unwrap());
    for speed in [0.5, 20.0, 49.0, 51.0, 300.0] {
        let (mut memory, mut other) = (support::turning(&program, speed), support::turning(&program, speed));
        for n in 0..300 {
            machine.run(step, &mut memory, &mut NoHost).unwrap();
            other.space_mut(Space::Time)[0] = f64::from(n) * 1e-2;
            other.space_mut(Space::TTime)[0] = f64::from(n + 1) * 1e-2;
            machine.run(plain, &mut other, &mut NoHost).unwrap();
        }
        for (a, b) in memory.space(Space::State).iter().zip(other.space(Space::State)) {
            assert!((a - b).abs() <= 2e-12 * b.abs().max(1.0), "{speed}: {a} {b}");
        }
    }
}

/// Sums and products of a step, elementary functions apart: Lorenz's four right-hand sides take 6 each less the factor
/// of the first, the arguments of the stages 9, the end 12; in later stages `r − z` and `b·z` go their own ways, which saves
/// three operations for the states there. That makes 38.
#[test]
fn operations_of_a_step() {
    let counts = [support::lorenz, support::pendulum, support::quad6].map(|make| {
        let mut program = make();
        prepare(&mut program, Level::O2, false);
        let kernel = rk4::step(&program, Stepped::Rk4, 0.0, 1e-2).unwrap();
        let traps = twinml_model::passes::dead::Traps::of(&program);
        let kernel = twinml_model::passes::simplified(&kernel, Level::O2, &traps);
        let unchanged = |op: &Op, known: &[bool]| match op {
            Op::ConstF(_) => true,
            Op::Load(place) => place.space == Space::Param,
            Op::Bin(..) | Op::Un(..) | Op::Cmp(..) | Op::Select(..) => {
                op.operands().all(|v| known[v.index()])
            }
            _ => false,
        };
        let mut known = Vec::new();
        for data in &kernel.values {
            let k = unchanged(&data.op, &known);
            known.push(k);
        }
        let counted = |op: &Op| matches!(op, Op::Bin(..) | Op::Fma(..));
        kernel.values.iter().zip(&known).filter(|(d, once)| !**once && counted(&d.op)).count()
    });
    assert_eq!(counts, [38, 20, 67]);
}
