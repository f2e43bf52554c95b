//! Passes change no bit (contraction apart, which changes them once), leave valid programs, and do their work.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Rng, program};
use expect_test::expect;
use proptest::prelude::*;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;
use twinml_model::passes::contract::{contract, contract_kernel};
use twinml_model::passes::dead::Traps;
use twinml_model::passes::{Level, optimize, optimize_kernel, prepare};
use twinml_model::program::Program;
use twinml_model::text::{kernel_text, read_kernel};
use twinml_model::verify::verify;

const LEVELS: [Level; 4] = [Level::O0, Level::O1, Level::O2, Level::O3];

/// The bits of everything that the kernels leave behind.
fn outcome(p: &Program, seed: u64) -> Vec<u64> {
    let machine = Interpreter::new(p);
    let mut m = Memory::new(p);
    let mut rng = Rng::new(seed ^ 5);
    m.set_time(0.25);
    for x in m.space_mut(Space::State) {
        *x = rng.within(-1.0, 1.0);
    }
    for x in m.space_mut(Space::TState) {
        *x = rng.within(-1.0, 1.0);
    }
    let mut out = Vec::new();
    for (id, space) in [
        (KernelId::Rhs, Space::Der),
        (KernelId::Rhs, Space::Var),
        (KernelId::Jvp, Space::TDer),
        (KernelId::Jacobian, Space::Jac),
    ] {
        machine.run(id, &mut m, &mut NoHost).unwrap();
        out.extend(m.space(space).iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn levels_agree_bit_for_bit(seed in any::<u64>()) {
        let p = program(seed);
        let all = LEVELS.map(|level| {
            let mut q = p.clone();
            prepare(&mut q, level, true);
            verify(&q).unwrap();
            q
        });
        let want = outcome(&all[0], seed);
        for q in &all[1..] {
            prop_assert_eq!(&outcome(q, seed), &want);
        }
        // contraction settles at once, and optimising again finds nothing new to change in the bits
        let mut again = all[0].clone();
        contract(&mut again);
        prop_assert_eq!(&outcome(&again, seed), &want);
        let mut twice = all[2].clone();
        optimize(&mut twice, Level::O2);
        verify(&twice).unwrap();
        prop_assert_eq!(&outcome(&twice, seed), &want);
    }
}

fn optimized(text: &str, level: Level) -> String {
    let k = read_kernel(text).unwrap();
    kernel_text(&optimize_kernel(&k, level, &[], &Traps::default()).0)
}

#[test]
fn contraction_fuses_single_products() {
    let text = r#"kernel "k" indices 0 {
  v0 = load state[0]
  v1 = load state[1]
  v2 = mul v0, v1
  v3 = add v2, v0
  v4 = mul v3, v1
  v5 = sub v0, v4
  v6 = mul v0, v0
  v7 = mul v1, v1
  v8 = sub v6, v7
  v9 = mul v5, v8
  v10 = add v9, v9
  v11 = const 3.0
  v12 = math.pow v10, v11
  v13 = const 0.5
  v14 = math.pow v12, v13
  der[0] = v14 @0
}
"#;
    // v6 − v7 keeps both products; v9 is used twice
    expect![[r#"
        kernel "k" indices 0 {
          v0 = load state[0]
          v1 = load state[1]
          v2 = fma v0, v1, v0
          v3 = neg v2
          v4 = fma v3, v1, v0
          v5 = mul v0, v0
          v6 = mul v1, v1
          v7 = sub v5, v6
          v8 = mul v4, v7
          v9 = add v8, v8
          v10 = mul v9, v9
          v11 = mul v9, v10
          v12 = sqrt v11
          der[0] = v12 @0
        }
    "#]]
    .assert_eq(&kernel_text(&contract_kernel(&read_kernel(text).unwrap())));
}

#[test]
fn contraction_puts_sines_beside_cosines_of_the_same_value() {
    // v7 is v2 again by another load and the other order; v9 has no cosine, that of v11 is dead
    let text = r#"kernel "k" indices 0 {
  v0 = load state[0]
  v1 = load state[1]
  v2 = add v0, v1
  v3 = math.sin v2
  v4 = load state[0]
  v5 = load state[1]
  v6 = add v5, v4
  v7 = math.cos v6
  v8 = mul v3, v7
  v9 = math.sin v0
  v10 = sub v8, v9
  v11 = math.cos v0
  der[0] = v10 @0
}
"#;
    expect![[r#"
        kernel "k" indices 0 {
          v0 = load state[0]
          v1 = load state[1]
          v2 = add v0, v1
          v3 = math.sin_beside v2
          v4 = load state[0]
          v5 = load state[1]
          v6 = add v5, v4
          v7 = math.cos v6
          v8 = math.sin v0
          v9 = neg v8
          v10 = fma v3, v7, v9
          der[0] = v10 @0
        }
    "#]]
    .assert_eq(&kernel_text(&contract_kernel(&read_kernel(text).unwrap())));
}

#[test]
fn folding_sharing_and_hoisting() {
    let text = r#"kernel "k" indices 2 {
  v0 = const 2.0
  v1 = const 3.0
  for i0 in 0..10 carry v2 = v0 next v9 result v10 {
    v3 = load param[0]
    v4 = mul v0, v1
    v5 = mul v3, v4
    v6 = math.sin v5
    v7 = load state[0+1*i0]
    v8 = mul v7, v6
    v9 = add v2, v8
    v11 = load state[0+1*i0]
    v12 = mul v6, v11
    der[0+1*i0] = v12 @0
    v13 = load der[0+1*i0]
    var[0+1*i0] = v13 @0
  }
  v14:b = gt v0, v1
  if v14 result v15 = v16 | v17 {
    v16 = const 1.0
  } else {
    v17 = add v10, v1
  }
  var[11] = v15 @0
  v18 = math.exp v15
}
"#;
    expect![[r#"
        kernel "k" indices 1 {
          v0 = const 2.0
          v1 = const 3.0
          v2 = load param[0]
          v3 = const 6.0
          v4 = mul v2, v3
          v5 = math.sin v4
          for i0 in 0..10 carry v6 = v0 next v9 result v10 {
            v7 = load state[0+1*i0]
            v8 = mul v5, v7
            v9 = add v6, v8
            der[0+1*i0] = v8 @0
            var[0+1*i0] = v8 @0
          }
          v11 = add v1, v10
          var[11] = v11 @0
        }
    "#]]
    .assert_eq(&optimized(text, Level::O2));
}

/// What each elementary function costs: operations on the usual way / in all, constants apart.
#[test]
fn pinned_costs() {
    use twinml_model::ir::{MathFn, Op, Stmt};
    let mut out = String::new();
    for f in MathFn::ALL {
        let function = twinml_model::math::expand(f);
        let (code, _) = optimize_kernel(&function.code, Level::O2, &[function.result], &Traps::default());
        let constant = |op: &Op| matches!(op, Op::ConstF(_) | Op::ConstI(_) | Op::ConstB(_) | Op::Arg(_));
        let all = code.values.iter().filter(|d| !constant(&d.op)).count();
        let usual = code
            .body
            .iter()
            .filter(|s| matches!(s, Stmt::Eval(v) if !constant(&code.values[v.index()].op)))
            .count();
        out += &format!("{} {usual}/{all}\n", f.name());
    }
    expect![[r#"
        exp 25/59
        expm1 35/70
        log 38/81
        log1p 56/98
        log10 46/97
        log2 45/95
        sin 26/222
        cos 34/227
        tan 66/271
        asin 40/40
        acos 49/49
        atan 58/62
        atan2 81/184
        sinh 54/89
        cosh 53/87
        tanh 78/82
        asinh 89/128
        acosh 81/120
        atanh 68/73
        pow 112/275
        cbrt 30/63
        hypot 29/64
        erf 26/116
        gamma 509/509
        digamma 187/435
        trigamma 120/316
        sin_beside 33/229
        sin_moved 30/254
        cos_moved 40/269
        sin_beside_moved 39/270
    "#]]
    .assert_eq(&out);
}
