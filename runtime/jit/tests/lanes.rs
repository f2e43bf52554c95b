//! Kernels on lanes: the block interpreter and the machine code of every vector width give each lane the bits that
//! the scalar interpreter gives it alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#[path = "support/compare.rs"]
mod compare;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/host.rs"]
mod host;
#[path = "support/lanes.rs"]
mod lanes;
#[path = "support/reduce.rs"]
mod reduce;
#[path = "support/mod.rs"]
mod support;

use expect_test::expect;
use std::path::Path;
use std::sync::Arc;
use twinml_jit::lanes::{Isa, LaneCode};
use twinml_model::ids::OriginId;
use twinml_model::ir::{Affine, BinOp, Kernel, MathFn, Op, Place, Space, Stmt, Ty};
use twinml_model::lanes::LaneKernel;
use twinml_model::passes::dead::Traps;
use twinml_model::passes::{Level, contract, prepare, rk4, simplified};
use twinml_model::program::{Program, Sizes};
use twinml_model::text::{kernel_text, program_text, read_program};
use twinml_model::verify::{Role, verify, verify_kernel};

/// Numbers of lanes and of repetitions that make all kinds of tails.
const SHAPES: [(usize, u64); 4] = [(1, 1), (13, 2), (37, 1), (300, 1)];

fn check(seed: u64) -> usize {
    let (program, kernel) = generate::program(seed);
    let kernel = lanes::for_lanes(&kernel);
    let program = Arc::new(program);
    verify_kernel(&program, &kernel, Role::Extra).unwrap();
    let (lanes, times) = SHAPES[seed as usize % SHAPES.len()];
    match lanes::compare_lanes(&program, &kernel, (seed, lanes, times)) {
        Ok(n) => n,
        Err(difference) => {
            let fails = |k: &Kernel| {
                verify_kernel(&program, k, Role::Extra).is_ok()
                    && lanes::compare_lanes(&program, k, (seed, lanes, times)).is_err()
            };
            let text = kernel_text(&reduce::reduce(&kernel, &fails));
            let lines: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with("dead ")).collect();
            panic!("seed {seed}: {difference}\n{}\n{}", program_text(&program), lines.join("\n"));
        }
    }
}

#[test]
fn random_kernels() {
    let ways: usize = (0..150).map(check).sum();
    println!("{ways} kernels");
    assert!(ways >= 150);
}

/// Repetitions in which now one lane and now another has arguments beyond the usual range, with other slots before
/// and behind them.
#[test]
fn lanes_leave_the_line_and_come_back() {
    let mut k = Kernel::new("growth");
    let value = |k: &mut Kernel, op| {
        let v = k.value(op, Ty::F64);
        k.body.push(Stmt::Eval(v));
        v
    };
    let place = |space, slot| Place { space, at: Affine::constant(slot) };
    let x: Vec<_> = (0..5).map(|s| value(&mut k, Op::Load(place(Space::State, s)))).collect();
    let p: Vec<_> = (0..2).map(|s| value(&mut k, Op::Load(place(Space::Param, s)))).collect();
    let c = value(&mut k, Op::ConstF(1.9f64.to_bits()));
    let math = |k: &mut Kernel, f, a| value(k, Op::Math(f, vec![a]));
    let s = math(&mut k, MathFn::Sin, x[0]);
    let grown = value(&mut k, Op::Fma(x[0], c, s));
    let e = math(&mut k, MathFn::Exp, x[1]);
    let slower = value(&mut k, Op::Fma(p[0], s, x[1]));
    let beside = math(&mut k, MathFn::SinBeside, grown);
    let cos = math(&mut k, MathFn::Cos, grown);
    let sum = value(&mut k, Op::Fma(beside, p[1], e));
    let swing = value(&mut k, Op::Fma(cos, sum, x[2]));
    let folded = value(&mut k, Op::Bin(BinOp::Div, x[3], c));
    let t = math(&mut k, MathFn::Tanh, folded);
    let next = [grown, slower, swing, t, folded];
    for (s, &v) in next.iter().enumerate() {
        let place = place(Space::State, s as i64);
        k.body.push(Stmt::Store { place, value: v, origin: OriginId(0) });
    }
    let program = Program { sizes: Sizes { state: 5, param: 2, ..Sizes::default() }, ..Program::default() };
    let program = Arc::new(program);
    let ways: usize = (0..12)
        .map(|seed| lanes::compare_lanes(&program, &k, (seed, [13, 96, 37][seed as usize % 3], 60)).unwrap())
        .sum();
    assert!(ways >= 12);
}

/// Wheels side by side of which some turn so fast that their sines are not close by each other in a step, until drag has slowed
/// them down.
#[test]
fn lanes_turn_fast_and_slow_down() {
    let program = Arc::new(support::wheel());
    let kernel = rk4::step(&program, rk4::Stepped::Rk4, 0.0, 1e-2).unwrap();
    for fastest in [1.0, 80.0, 2000.0] {
        let memories = (0..37).map(|k| support::turning(&program, fastest * f64::from(k) / 37.0)).collect();
        assert!(lanes::compare_from(&program, &kernel, memories, 400).unwrap() >= 1);
    }
}

/// Cranelift multiplies and adds in one instruction of two lanes, and calls nobody for it.
#[test]
fn vectors_of_two_have_fused_multiply_add() {
    let program = Program { sizes: Sizes { state: 3, ..Sizes::default() }, ..Program::default() };
    let mut kernel = Kernel::new("fused");
    let place = |slot| Place { space: Space::State, at: Affine::constant(slot) };
    let value = |k: &mut Kernel, op| {
        let v = k.value(op, Ty::F64);
        k.body.push(Stmt::Eval(v));
        v
    };
    let x: Vec<_> = (0..3).map(|s| value(&mut kernel, Op::Load(place(s)))).collect();
    let v = value(&mut kernel, Op::Fma(x[0], x[1], x[2]));
    kernel.body.push(Stmt::Store { place: place(0), value: v, origin: OriginId(0) });
    if !Isa::V128.available() {
        println!("this processor has no fused multiply-add");
        return;
    }
    let code = LaneCode::new(&program, &kernel, Isa::V128, 16, 2).unwrap();
    assert_eq!((code.level(), code.groups()), ("v128", 2));
    let text = code.assembly().unwrap();
    let fused = text.lines().filter(|l| l.contains("fmadd") || l.contains("fmsub") || l.contains("fnmadd"));
    let count = fused.inspect(|l| assert!(l.contains("pd xmm"), "{l}")).count();
    assert!(count > 0 && !text.contains("call"), "{text}");
}

/// A disassembler of others reads what we wrote, to the last byte.
#[test]
fn the_code_is_readable() {
    let (mut read, mut lines) = (0, 0);
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..150 {
        let (program, kernel) = generate::program(seed);
        let kernel = lanes::for_lanes(&kernel);
        for isa in [Isa::V128, Isa::Avx2, Isa::Avx512].into_iter().filter(|i| i.available()) {
            let Ok(code) = LaneCode::new(&program, &kernel, isa, 32, 1 + seed as usize % 4) else { continue };
            let text = code.assembly().unwrap_or_else(|e| panic!("seed {seed}, {}: {e}", isa.name()));
            kinds.extend(text.lines().filter_map(|l| l.split_whitespace().nth(1)).map(str::to_owned));
            lines += text.lines().count();
            read += 1;
        }
    }
    println!("{read} kernels, {lines} instructions of {} kinds: {kinds:?}", kinds.len());
    if Isa::best() == Isa::Avx512 {
        assert!(read > 100 && kinds.len() > 50, "{read} {}", kinds.len());
    }
}

/// Runs for `TWINML_FUZZ_SECONDS` (60) from seed `TWINML_FUZZ_SEED` (10,000) on.
#[test]
#[ignore = "long"]
fn random_kernels_for_long() {
    let number = |name: &str, or| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or);
    let (seconds, first) = (number("TWINML_FUZZ_SECONDS", 60), number("TWINML_FUZZ_SEED", 10_000));
    let start = std::time::Instant::now();
    let (mut seed, mut ways) = (first, 0);
    while start.elapsed().as_secs() < seconds {
        ways += check(seed);
        seed += 1;
    }
    println!("{} kernels, {ways} ways", seed - first);
}

/// Every kernel of every program of `tests/filetests/ir` at the project's root, as it stands and after the passes.
#[test]
fn filetests() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/filetests/ir");
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let mut compared = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let input = text.split_once("\n----\n").map_or(text.as_str(), |t| t.0);
        // Cases of what the reader or the verifier refuses have nothing to run.
        let Ok(program) = read_program(input) else { continue };
        if verify(&program).is_err() {
            continue;
        }
        let mut prepared = program.clone();
        prepare(&mut prepared, Level::O2, true);
        for program in [program, prepared] {
            let program = Arc::new(program);
            for kernel in kernels(&program) {
                let kernel = lanes::for_lanes(kernel);
                if verify_kernel(&program, &kernel, Role::Extra).is_err() {
                    continue;
                }
                for (lanes, times) in SHAPES {
                    match lanes::compare_lanes(&program, &kernel, (1, lanes, times)) {
                        Ok(n) => compared += n,
                        Err(difference) => panic!("{}: {difference}", file.display()),
                    }
                }
            }
        }
    }
    println!("{compared} comparisons");
    assert!(compared > 80, "{compared} kernels");
}

fn kernels(p: &Program) -> Vec<&Kernel> {
    let mut all =
        vec![&p.params, &p.initial, &p.rhs, &p.outputs, &p.roots, &p.update, &p.history, &p.projection];
    all.extend(&p.jvp);
    all.extend(p.jacobian.iter().map(|j| &j.kernel));
    for b in &p.blocks {
        all.push(&b.residual);
        all.extend(b.jacobian.iter().map(|j| &j.kernel));
        all.extend(&b.tangent);
        all.extend(&b.inner_tangent);
    }
    all
}

/// What a step of the classic method costs beside its operations: whoever changes how registers are given sees it here.
#[test]
fn registers_are_given_well() {
    let mut got = String::new();
    for isa in [Isa::Avx512, Isa::Avx2] {
        if !isa.available() {
            println!("no {} here: nothing to look at", isa.name());
            return;
        }
        for make in [support::lorenz, support::pendulum, support::quad6] {
            let mut program = make();
            contract::contract(&mut program);
            let kernel = rk4::step(&program, rk4::Stepped::Rk4, 0.0, 1e-3).unwrap();
            let kernel = simplified(&kernel, Level::O2, &Traps::of(&program));
            for groups in [1, 2, 4] {
                let code = LaneCode::new(&program, &kernel, isa, 32, groups).unwrap();
                let [computing, copies, loads, stores, broadcasts] = support::instructions(&code);
                got.push_str(&format!(
                    "{} {} x{groups}: {computing} + {copies} copies, {loads} loads, {stores} stores, {broadcasts} broadcasts\n",
                    isa.name(),
                    program.name,
                ));
            }
        }
    }
    expect![[r#"
        avx512 lorenz x1: 38 + 2 copies, 6 loads, 0 stores, 5 broadcasts
        avx512 lorenz x2: 76 + 4 copies, 12 loads, 0 stores, 10 broadcasts
        avx512 lorenz x4: 152 + 13 copies, 25 loads, 24 stores, 29 broadcasts
        avx512 pendulum x1: 90 + 0 copies, 0 loads, 0 stores, 16 broadcasts
        avx512 pendulum x2: 180 + 0 copies, 0 loads, 0 stores, 32 broadcasts
        avx512 pendulum x4: 360 + 5 copies, 10 loads, 21 stores, 72 broadcasts
        avx512 quad6 x1: 247 + 0 copies, 1 loads, 0 stores, 32 broadcasts
        avx512 quad6 x2: 494 + 6 copies, 15 loads, 33 stores, 73 broadcasts
        avx512 quad6 x4: 988 + 11 copies, 85 loads, 110 stores, 136 broadcasts
        avx2 lorenz x1: 38 + 2 copies, 12 loads, 1 stores, 0 broadcasts
        avx2 lorenz x2: 76 + 5 copies, 32 loads, 15 stores, 0 broadcasts
        avx2 lorenz x4: 152 + 3 copies, 78 loads, 35 stores, 0 broadcasts
        avx2 pendulum x1: 94 + 0 copies, 16 loads, 0 stores, 0 broadcasts
        avx2 pendulum x2: 188 + 4 copies, 45 loads, 15 stores, 0 broadcasts
        avx2 pendulum x4: 376 + 4 copies, 120 loads, 54 stores, 0 broadcasts
        avx2 quad6 x1: 258 + 3 copies, 45 loads, 19 stores, 0 broadcasts
        avx2 quad6 x2: 516 + 4 copies, 115 loads, 59 stores, 0 broadcasts
        avx2 quad6 x4: 1032 + 4 copies, 316 loads, 185 stores, 0 broadcasts
    "#]]
    .assert_eq(&got);
}
