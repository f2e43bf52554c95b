//! Plans of small systems written in the flat form.

use super::problem::Atom;
use super::{Solved, print, solve};
use crate::flat::Role;
use crate::flat::read::read;
use expect_test::{Expect, expect};
use twinml_model::ids::VarId;

fn solved(text: &str) -> (crate::flat::System, Result<Solved, String>) {
    let system = read(text).unwrap_or_else(|e| panic!("{e}"));
    let mut atoms = Vec::new();
    for (k, v) in system.vars.iter().enumerate() {
        match v.role {
            Role::State => atoms.push(Atom { var: VarId::new(k), der: true, len: v.len, guessed: false }),
            Role::Unknown => {
                atoms.push(Atom { var: VarId::new(k), der: false, len: v.len, guessed: !v.guess.is_empty() })
            }
            _ => {}
        }
    }
    let s = solve(atoms, system.equations.clone(), &|_| true)
        .map_err(|u| format!("{:?}", super::diagnose::misfits(&u)));
    (system, s)
}

fn check(text: &str, want: Expect) {
    let (system, s) = solved(text);
    let got = match s {
        Ok(s) => print::plan(&s, &system),
        Err(e) => e,
    };
    want.assert_eq(&got);
}

#[test]
fn scalars_in_any_order_and_direction() {
    check(
        "flat M
         var x : state fixed value @[0] = 1.0
         var a : unknown
         var b : unknown
         eq : b * 2.0 = a - x
         eq : der(x) + b = 0.0
         eq : 3.0 = x - a",
        expect![[r#"
            a := x - 3.0
            b := (a - x) / 2.0
            der(x) := -b
        "#]],
    );
}

#[test]
fn an_array_of_instances_is_one_loop() {
    check(
        "flat Plant
         var tanks[1000].h : state fixed value for i0 in 0..1000 @[i0] = 1.0
         var tanks[1000].q : unknown
         var tanks[1000].level : unknown
         eq for i0 in 0..1000 : tanks.level[i0] = tanks.h[i0]
         eq for i0 in 0..1000 : tanks.q[i0] = sqrt(tanks.h[i0])
         eq for i0 in 0..1000 : der(tanks.h[i0]) = -tanks.q[i0]",
        expect![[r#"
            for i0 in 0..1000
              tanks.level[i0] := tanks.h[i0]
              tanks.q[i0] := sqrt(tanks.h[i0])
              der(tanks.h[i0]) := -tanks.q[i0]
        "#]],
    );
}

#[test]
fn a_heat_rod_splits_at_its_ends() {
    check(
        "flat Rod
         var T[100] : state fixed value for i0 in 0..100 @[i0] = 1.0
         var q[101] : unknown
         eq for i0 in 1..100 : q[i0] = T[i0 - 1] - T[i0]
         eq : q[0] = 1.0 - T[0]
         eq : q[100] = T[99]
         eq for i0 in 0..100 : der(T[i0]) = q[i0] - q[i0 + 1]",
        expect![[r#"
            for i0 in 1..100
              q[i0] := T[i0 - 1] - T[i0]
            q[0] := 1.0 - T[0]
            q[100] := T[99]
            for i0 in 0..100
              der(T[i0]) := q[i0] - q[i0 + 1]
        "#]],
    );
}

#[test]
fn a_chain_with_feedthrough_runs_round_by_round() {
    check(
        "flat Chain
         var u[50] : unknown
         var y[50] : unknown
         var x[50] : state fixed value for i0 in 0..50 @[i0] = 0.0
         eq : u[0] = sin(time)
         eq for i0 in 0..49 : u[i0 + 1] = y[i0]
         eq for i0 in 0..50 : y[i0] = x[i0] + 0.5 * u[i0]
         eq for i0 in 0..50 : der(x[i0]) = u[i0] - x[i0]",
        expect![[r#"
            u[0] := sin(time)
            for i0 in 0..1
              y[i0] := x[i0] + 0.5 * u[i0]
            for i0 in 1..50
              u[i0] := y[i0 - 1]
              y[i0] := x[i0] + 0.5 * u[i0]
            for i0 in 0..50
              der(x[i0]) := u[i0] - x[i0]
        "#]],
    );
}

#[test]
fn a_loop_of_three_is_torn_to_one_unknown() {
    check(
        "flat Loop
         var a : unknown
         var b : unknown
         var c : unknown
         eq : a = 2.0 - b * b
         eq : b = c / 3.0
         eq : c = a + 1.0",
        expect![[r#"
            solve nonlinear block of 1 unknowns
              unknown a 0..=0 step 1
              c := a + 1.0
              b := c / 3.0
              residual a = 2.0 - b * b
        "#]],
    );
}

#[test]
fn an_algebraic_grid_is_one_sparse_block_with_looped_residuals() {
    check(
        "flat Grid
         var p[100] : unknown
         eq : p[0] = 1.0
         eq : p[99] = 0.0
         eq for i0 in 1..99 : 2.0 * p[i0] = p[i0 - 1] + p[i0 + 1]",
        expect![[r#"
            p[0] := 1.0
            p[99] := 0.0
            solve linear block of 98 unknowns
              unknown p[*] 1..=98 step 1
              residual for i0 in 1..99 : 2.0 * p[i0] = p[i0 - 1] + p[i0 + 1]
        "#]],
    );
}

#[test]
fn a_family_that_cannot_be_matched_whole_is_written_out() {
    check(
        "flat Odd
         var a[3] : unknown
         var b[2] : unknown
         eq for i0 in 0..3 : a[i0] = 1.0
         eq for i0 in 0..2 : a[i0] + b[i0] = 3.0",
        expect![[r#"
            for i0 in 0..3
              a[i0] := 1.0
            for i0 in 0..2
              b[i0] := 3.0 - a[i0]
        "#]],
    );
}

#[test]
fn too_many_and_too_few_are_named() {
    check(
        "flat Bad
         var a : unknown
         var b : unknown
         var c : unknown
         eq : a = 1.0
         eq : a = 2.0
         eq : b + c = a",
        expect![[
            r#"[Misfit { equations: [0, 1], unknowns: [(AtomId(0), 0)], over: true }, Misfit { equations: [2], unknowns: [(AtomId(1), 0), (AtomId(2), 0)], over: false }]"#
        ]],
    );
}

#[test]
fn families_are_torn_as_wholes() {
    check(
        "flat Manifold
         var p : unknown
         var q : unknown
         var dp[6] : unknown
         var q_in[6] : unknown
         var h[6] : parameter value for i0 in 0..6 @[i0] = 1.0
         eq : p = 5.0 - q * q
         eq : q = sum(q_in[i0] for i0 in 0..6)
         eq for i0 in 0..6 : dp[i0] = p - h[i0]
         eq for i0 in 0..6 : q_in[i0] = sqrt(dp[i0])",
        expect![[r#"
            solve nonlinear block of 1 unknowns
              unknown p 0..=0 step 1
              for i0 in 0..6 : dp[i0] := p - h[i0]
              for i0 in 0..6 : q_in[i0] := sqrt(dp[i0])
              q := sum(q_in[i0] for i0 in 0..6)
              residual p = 5.0 - q * q
        "#]],
    );
}
