//! Programs of small systems written in the flat form: verified, and run by the reference interpreter.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::{Scheduled, schedule};
use crate::diag::Diagnostics;
use crate::flat::read::read;
use crate::source::SourceMap;
use expect_test::{Expect, expect};
use std::fmt::Write;
use twinml_model::host::{KernelId, Machine, Memory, NoHost};
use twinml_model::interp::Interpreter;
use twinml_model::ir::Space;
use twinml_model::verify::verify;

fn compiled(text: &str) -> Result<Scheduled, String> {
    let system = read(text).unwrap_or_else(|e| panic!("{e}"));
    let mut diags = Diagnostics::new();
    let out = schedule(system, &SourceMap::new(), &mut diags);
    match out {
        Some(s) => {
            if let Err(e) = verify(&s.program) {
                panic!("{e:?}");
            }
            Ok(s)
        }
        None => Err(diags.iter().map(|d| format!("{} {}\n", d.code, d.message)).collect()),
    }
}

/// Runs params, initial, update, rhs and outputs at time 0 and shows the spaces.
fn check(text: &str, want: Expect) {
    let got = match compiled(text) {
        Err(e) => e,
        Ok(s) => {
            let mut memory = Memory::new(&s.program);
            let machine = Interpreter::new(&s.program);
            let go = |k: KernelId, m: &mut Memory| machine.run(k, m, &mut NoHost).unwrap();
            go(KernelId::Params, &mut memory);
            go(KernelId::Initial, &mut memory);
            go(KernelId::Update, &mut memory);
            let next = memory.space(Space::Next).to_vec();
            memory.space_mut(Space::Disc).copy_from_slice(&next);
            go(KernelId::Rhs, &mut memory);
            go(KernelId::Outputs, &mut memory);
            go(KernelId::Roots, &mut memory);
            let mut out = String::new();
            for space in [Space::Param, Space::State, Space::Disc, Space::Der, Space::Var, Space::Root] {
                if !memory.space(space).is_empty() {
                    let _ = writeln!(out, "{}: {:?}", space.name(), memory.space(space));
                }
            }
            out
        }
    };
    want.assert_eq(&got);
}

#[test]
fn parameters_start_values_and_outputs() {
    check(
        "flat M
         var k : parameter value @[0] = 3.0
         var half : parameter value @[0] = k / 2.0
         var x : state fixed value @[0] = half + 1.0
         var y : state fixed value @[0] = start(x) * 2.0
         var e : unknown declared outputs
         eq : der(x) = -half * x
         eq : der(y) = x - start(y)
         eq : e = x ^ 2.0 + y",
        expect![[r#"
            param: [3.0, 1.5, 2.5, 5.0]
            state: [2.5, 5.0]
            der: [-3.75, -2.5]
            var: [11.25]
        "#]],
    );
}

#[test]
fn instances_in_loops() {
    check(
        "flat Plant
         var tanks[12].area : parameter value for i0 in 0..12 @[i0] = 2.0 + #(i0)
         var tanks[12].h : state fixed value for i0 in 0..12 @[i0] = #(i0)
         var tanks[12].q : unknown
         var total : unknown
         eq for i0 in 0..12 : tanks.q[i0] = sqrt(tanks.h[i0])
         eq for i0 in 0..12 : der(tanks.h[i0]) = -tanks.q[i0] / tanks.area[i0]
         eq : total = sum(tanks.q[i0] for i0 in 0..12)",
        expect![[r#"
            param: [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0]
            state: [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
            der: [-0.0, -0.3333333333333333, -0.3535533905932738, -0.34641016151377546, -0.3333333333333333, -0.31943828249996997, -0.30618621784789724, -0.2939723678960656, -0.282842712474619, -0.2727272727272727, -0.26352313834736496, -0.2551249838734923]
            var: [0.0, 1.0, 1.4142135623730951, 1.7320508075688772, 2.0, 2.23606797749979, 2.449489742783178, 2.6457513110645907, 2.8284271247461903, 3.0, 3.1622776601683795, 3.3166247903554, 25.7849029765595]
        "#]],
    );
}

#[test]
fn comparisons_are_frozen_and_have_event_functions() {
    check(
        "flat Events
         var x : state fixed value @[0] = 0.25
         var on : unknown bool
         var n : unknown int
         eq : on = x > 0.1 and time < 5.0
         eq : n = floor(x * 10.0)
         eq : der(x) = if on then -n else noevent(if x > 0.0 then 1.0 else 2.0)",
        expect![[r#"
            state: [0.25]
            disc: [1.0, 1.0, 2.0]
            der: [-2.0]
            var: [1.0, 2.0]
            root: [0.15, -5.0, 0.5]
        "#]],
    );
}

#[test]
fn a_chain_and_a_delay() {
    check(
        "flat Chain
         var u[4] : unknown
         var y[4] : unknown
         var x[4] : state fixed value for i0 in 0..4 @[i0] = 1.0
         eq : u[0] = 2.0
         eq for i0 in 0..3 : u[i0 + 1] = y[i0]
         eq for i0 in 0..4 : y[i0] = x[i0] + 0.5 * u[i0]
         eq for i0 in 0..4 : der(x[i0]) = u[i0] - x[i0]",
        expect![[r#"
            state: [1.0, 1.0, 1.0, 1.0]
            der: [1.0, 1.0, 1.0, 1.0]
            var: [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
        "#]],
    );
}

#[test]
fn what_does_not_balance() {
    check(
        "flat Bad
         var x : state fixed value @[0] = 1.0
         var y : state fixed value @[0] = 0.0
         eq : der(x) = y
         eq : der(y) = -x
         eq : x * x + y * y = 1.0",
        expect![[r#"
            E0603 this equation binds states that other equations determine already
        "#]],
    );
    check(
        "flat Cycle
         var a : parameter value @[0] = b + 1.0
         var b : parameter value @[0] = a * 2.0",
        expect![[r#"
            E0606 these parameters are defined by one another: `a`, `b`
        "#]],
    );
    check(
        "flat Itself
         var a : parameter value @[0] = a * 2.0 + 1.0",
        expect![[r#"
            E0606 this parameter is defined by itself: `a`
        "#]],
    );
    check(
        "flat Itself
         var x : state fixed value @[0] = x * 2.0 + 1.0
         eq : der(x) = -x",
        expect![[r#"
            E0607 this start value is defined by itself: `x`
        "#]],
    );
    check(
        "flat Free
         var x : state
         eq : der(x) = -x",
        expect![[r#"
            E0604 nothing fixes the start of `x`
        "#]],
    );
}

#[test]
fn initial_equations_are_solved_for_states() {
    check(
        "flat Steady
         var x : state
         var u : parameter value @[0] = 4.0
         eq : der(x) = u - 2.0 * x
         initial : der(x) = 0.0",
        expect![[r#"
            param: [4.0]
            state: [2.0]
            der: [0.0]
        "#]],
    );
}
