use super::{check, refuse};
use expect_test::expect;

#[test]
fn partly_driven_inputs_hold_their_default() {
    check(
        r#"
twin P { parameters { d: Real = 3 } inputs { u: Real = d } outputs { y: Real = u } }
twin Q { twins { p: P[5] } connections { for i in 0..3 { p[i].y -> p[i+1].u } } }
"#,
        expect![[r#"
            flat Q

            var p[5].d : parameter
              value for i0 in 0..5 @[i0] = 3.0
            var p[5].u : unknown declared inputs
            var p[5].y : unknown declared outputs

            eq owner "p[*]" for i0 in 0..5 : p.y[i0] = p.u[i0]
            eq for i0 in 0..3 : p.u[i0 + 1] = p.y[i0]
            eq owner "p[*]" : p.u[0] = p.d[0]
            eq owner "p[*]" : p.u[4] = p.d[4]
        "#]],
    );
}

#[test]
fn one_source_to_all() {
    check(
        r#"
twin P { inputs { u: Real = 0 } outputs { y: Real = u } }
twin Q { inputs { s: Real = 1 } twins { p: P[5] } connections { s -> p.u } }
"#,
        expect![[r#"
            flat Q

            var s : input
              value @[0] = 1.0
            var p[5].u : unknown declared inputs
            var p[5].y : unknown declared outputs

            eq owner "p[*]" for i0 in 0..5 : p.y[i0] = p.u[i0]
            eq for i0 in 0..5 : p.u[i0] = s
        "#]],
    );
}

#[test]
fn parents_and_heirs_drive_with_equations() {
    check(
        r#"
partial twin A { inputs { u: Real; v: Real = 0 } states { x: Real = 0 } equations { der(x) = (u - v)/1 s } }
twin B { extends A; equations { u = sin(x) } }
twin C { twins { b: B[2] } equations { for i in 0..2 { b[i].v = b[1 - i].x } } }
"#,
        expect![[r#"
            flat C

            var b[2].u : unknown declared inputs
            var b[2].v : unknown declared inputs
            var b[2].x : state fixed
              value for i0 in 0..2 @[i0] = 0.0

            eq for i0 in 0..2 : b.v[i0] = b.x[-i0 + 1]
            eq owner "b[*]" for i0 in 0..2 : der(b.x[i0]) = b.u[i0] - b.v[i0]
            eq owner "b[*]" for i0 in 0..2 : b.u[i0] = sin(b.x[i0])
        "#]],
    );
}

#[test]
fn own_inputs_in_own_equations_do_not_drive() {
    check(
        r#"
twin Motor { parameters { R: Real = 2 } inputs { u: Real = 12 } variables { i: Real } equations { u = R*i } }
"#,
        expect![[r#"
            flat Motor

            var R : parameter
              value @[0] = 2.0
            var u : input
              value @[0] = 12.0
            var i : unknown

            eq : u = R * i
        "#]],
    );
}

#[test]
fn overrides_drive_too() {
    check(
        r#"
twin P { inputs { u: Real = 0; v: Real = 0 } outputs { y: Real = u + v } }
twin Q { parameters { k: Real = 4 } twins { p: P[3] { u = k; v = sin(time/1 s)*i for i } } }
"#,
        expect![[r#"
            flat Q

            var k : parameter
              value @[0] = 4.0
            var p[3].u : input
              value for i0 in 0..3 @[i0] = k
            var p[3].v : unknown declared inputs
            var p[3].y : unknown declared outputs

            eq owner "p[*]" for i0 in 0..3 : p.v[i0] = sin(time) * #(i0)
            eq owner "p[*]" for i0 in 0..3 : p.y[i0] = p.u[i0] + p.v[i0]
        "#]],
    );
}

#[test]
fn two_drivers() {
    refuse(
        r#"
twin P { inputs { u: Real = 0 } outputs { y: Real = u } }
twin Q {
  inputs { s: Real = 1 }
  twins { p: P[5] }
  connections { for i in 0..3 { p[i].y -> p[i+1].u }; s -> p[2].u }
}
"#,
        expect![[r#"
            E0715 test.twinml:6:55: the input `p[2].u` has two drivers (driven by this connection)
              test.twinml:6:33: driven by this connection
              test.twinml:2:19: declared here
              help: a scenario may take an input over: `force`
        "#]],
    );
}

#[test]
fn an_override_and_a_connection() {
    refuse(
        r#"
twin P { inputs { u: Real = 0 } outputs { y: Real = u } }
twin Q { inputs { s: Real = 1 } twins { p: P { u = 2 } } connections { s -> p.u } }
"#,
        expect![[r#"
            E0715 test.twinml:3:72: the input `p.u` has two drivers (driven by this connection)
              test.twinml:3:52: set here
              test.twinml:2:19: declared here
              help: a scenario may take an input over: `force`
        "#]],
    );
}

#[test]
fn nothing_drives_it() {
    refuse(
        r#"
twin P { inputs { u: Real } outputs { y: Real = u } }
twin Q { twins { p: P[2] } equations { p[0].u = 1 } }
"#,
        expect![[r#"
            E0716 test.twinml:2:19: nothing drives the input `p[1].u` (has no default)
              help: connect it, or give it a default: `= …`
        "#]],
    );
}

#[test]
fn the_derivative_of_an_input() {
    refuse(
        r#"
twin P { inputs { u: Real = 0 } outputs { y: Real[1/s] = der(u*u) } }
"#,
        expect![[r#"
            E0720 test.twinml:2:58: the derivative of the input `u` is not known
              test.twinml:2:19: nothing drives it smoothly
              note: an input that actions set jumps
        "#]],
    );
}

#[test]
fn derivatives_of_unknowns_are_unknowns() {
    check(
        r#"
twin Plant { inputs { u: Real } states { z: Real = 0 } outputs { y: Real[1/s] = der(u) } equations { der(z) = der(u) - z/1 s } }
twin Src { parameters { k: Real = 1 } states { x: Real = 1 } outputs { o: Real = k*x } equations { der(x) = -x/1 s } }
twin Sys { twins { a: Src[3] { k = i + 1 for i }; b: Plant[3] } connections { for i in 0..3 { a[2-i].o -> b[i].u } } }
"#,
        expect![[r#"
            flat Sys

            var a[3].k : parameter
              value for i0 in 0..3 @[i0] = #(i0 + 1)
            var a[3].x : state fixed
              value for i0 in 0..3 @[i0] = 1.0
            var a[3].o : unknown declared outputs
            var b[3].u : unknown declared inputs
            var b[3].z : state fixed
              value for i0 in 0..3 @[i0] = 0.0
            var b[3].y : unknown declared outputs
            var `$der`.b[3].u : unknown declared inputs
            var `$der`.a[3].o : unknown declared outputs

            eq owner "a[*]" for i0 in 0..3 : a.o[i0] = a.k[i0] * a.x[i0]
            eq owner "b[*]" for i0 in 0..3 : b.y[i0] = `$der`.b.u[i0]
            eq owner "a[*]" for i0 in 0..3 : der(a.x[i0]) = -a.x[i0]
            eq owner "b[*]" for i0 in 0..3 : der(b.z[i0]) = `$der`.b.u[i0] - b.z[i0]
            eq for i0 in 0..3 : b.u[i0] = a.o[-i0 + 2]
            eq for i0 in 0..3 : `$der`.b.u[i0] = `$der`.a.o[-i0 + 2]
            eq owner "a[*]" for i0 in 0..3 : `$der`.a.o[i0] = a.k[i0] * der(a.x[i0])
        "#]],
    );
}

#[test]
fn a_derivative_without_a_formula() {
    refuse(
        r#"
twin P {
  states { x: Real = 1 }
  variables { v: Real; w: Real }
  equations { v + w = x; v - w = sin(w); der(x) = der(v) - x/1 s }
}
"#,
        expect![[r#"
            E0721 test.twinml:5:42: the derivative of `v` is not known here
              test.twinml:4:15: declared here
              note: no equation gives it as a formula of states
              help: give it by an equation of its own, or write the derivative as an equation
        "#]],
    );
}

#[test]
fn the_chain_rule() {
    check(
        r#"
twin P { parameters { k: Real = 2 } states { x: Real = 1 } equations { der(x) = -x/1 s } outputs { y: Real[1/s] = der(k*sin(x^2)/(1 + x)) } }
"#,
        expect![[r#"
            flat P

            var k : parameter
              value @[0] = 2.0
            var x : state fixed
              value @[0] = 1.0
            var y : unknown declared outputs

            eq : y = (k * (cos(x ^ 2.0) * (2.0 * x * der(x))) - k * sin(x ^ 2.0) / (1.0 + x) * der(x)) / (1.0 + x)
            eq : der(x) = -x
        "#]],
    );
}

#[test]
fn integral_and_filter_are_states() {
    check(
        r#"
twin P { parameters { T: Time = 2 s } inputs { u: Real = 0 } outputs { y: Real[s] = integral(u + 1); z: Real = filter(u, T) } }
twin Q { twins { p: P[3] } }
"#,
        expect![[r#"
            flat Q

            var p[3].T : parameter
              value for i0 in 0..3 @[i0] = 2.0
            var p[3].u : input
              value for i0 in 0..3 @[i0] = 0.0
            var p[3].y : unknown declared outputs
            var p[3].z : unknown declared outputs
            var p.`integral#1`[3] : state declared variables fixed
              value for i0 in 0..3 @[i0] = 0.0
            var p.`filter#2`[3] : state declared variables

            eq owner "p[*]" for i0 in 0..3 : der(p.`integral#1`[i0]) = p.u[i0] + 1.0
            eq owner "p[*]" for i0 in 0..3 : p.y[i0] = p.`integral#1`[i0]
            eq owner "p[*]" for i0 in 0..3 : der(p.`filter#2`[i0]) = (p.u[i0] - p.`filter#2`[i0]) / p.T[i0]
            eq owner "p[*]" for i0 in 0..3 : p.z[i0] = p.`filter#2`[i0]
            initial owner "p[*]" for i0 in 0..3 : p.`filter#2`[i0] = p.u[i0]
        "#]],
    );
}
