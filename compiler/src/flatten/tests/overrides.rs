use super::{Files, check, check_run, refuse, run};
use expect_test::expect;

#[test]
fn scalar_to_all_array_to_each_index_for_each() {
    check(
        r#"
twin P { parameters { a: Real = 1; b: Real = 2; c: Real = 3; d: Real[1][2] = 4 } outputs { y: Real = a + b + c + sum(d) } }
twin Q { twins { p: P[3] { a = 10; b = [1, 2, 3]; c = 5*i for i; d = [7, 8] } } }
"#,
        expect![[r#"
            flat Q

            var p[3].a : parameter
              value for i0 in 0..3 @[i0] = 10.0
            var p[3].b : parameter
              value @[0] = 1.0
              value @[1] = 2.0
              value @[2] = 3.0
            var p[3].c : parameter
              value for i0 in 0..3 @[i0] = #(5*i0)
            var p[3].d[2] : parameter
              value for i0 in 0..3 @[2*i0] = 7.0
              value for i0 in 0..3 @[2*i0 + 1] = 8.0
            var p[3].y : unknown declared outputs

            eq owner "p[*]" for i0 in 0..3 : p.y[i0] = p.a[i0] + p.b[i0] + p.c[i0] + (p.d[2*i0] + p.d[2*i0 + 1])
        "#]],
    );
}

#[test]
fn the_last_override_wins_and_one_element_splits() {
    check(
        r#"
twin P { parameters { a: Real = 1 } outputs { y: Real = a } }
twin Q { parameters { k: Real = 9 } twins { p: P[6] { a = 10; a = k*2 } } }
twin R { extends Q { p[2].a = 77; p[4..6].a = 0.5 } }
"#,
        expect![[r#"
            flat R

            var k : parameter
              value @[0] = 9.0
            var p[6].a : parameter
              value for i0 in 0..2 @[i0] = k * 2.0
              value @[2] = 77.0
              value @[3] = k * 2.0
              value for i0 in 4..6 @[i0] = 0.5
            var p[6].y : unknown declared outputs

            eq owner "p[*]" for i0 in 0..6 : p.y[i0] = p.a[i0]
        "#]],
    );
}

#[test]
fn outer_instances_win_over_inner_ones() {
    check(
        r#"
twin P { parameters { a: Real = 1 } outputs { y: Real = a } }
twin Q { parameters { z: Real = 4 } twins { p: P { a = z } } }
twin R { twins { q1: Q { z = 6 }; q2: Q { p.a = 3 }; qs: Q[2] { p.a = 8*i for i } } }
"#,
        expect![[r#"
            flat R

            var q1.z : parameter
              value @[0] = 6.0
            var q1.p.a : parameter
              value @[0] = q1.z
            var q1.p.y : unknown declared outputs
            var q2.z : parameter
              value @[0] = 4.0
            var q2.p.a : parameter
              value @[0] = 3.0
            var q2.p.y : unknown declared outputs
            var qs[2].z : parameter
              value for i0 in 0..2 @[i0] = 4.0
            var qs[2].p.a : parameter
              value for i0 in 0..2 @[i0] = #(8*i0)
            var qs[2].p.y : unknown declared outputs

            eq owner "q1.p" : q1.p.y = q1.p.a
            eq owner "q2.p" : q2.p.y = q2.p.a
            eq owner "qs[*].p" for i0 in 0..2 : qs.p.y[i0] = qs.p.a[i0]
        "#]],
    );
}

#[test]
fn extends_overrides_and_starts() {
    check(
        r#"
twin A { parameters { a: Real = 1; b: Real = 2*a } states { x: Real = b } equations { der(x) = -x/1 s } }
twin B { extends A { a = 5; x = 3*a } }
"#,
        expect![[r#"
            flat B

            var a : parameter
              value @[0] = 5.0
            var b : parameter
              value @[0] = 2.0 * a
            var x : state fixed
              value @[0] = 3.0 * a

            eq : der(x) = -x
        "#]],
    );
}

#[test]
fn type_and_value_parameters() {
    check(
        r#"
twin Cell { parameters { e: Real = 1 } outputs { y: Real = e } }
twin Big { extends Cell { e = 2 } outputs { extra: Real = 1 } }
twin Chain<C: Cell, n: Int = 2> { twins { cells: C[n] } outputs { s: Real = sum(cells.y)/n } }
twin Top { twins { a: Chain<Cell>; b: Chain<Big, n: 3> } }
"#,
        expect![[r#"
            flat Top

            var a.n : parameter int structural
              value @[0] = 2.0
            var a.s : unknown declared outputs
            var a.cells[2].e : parameter
              value for i0 in 0..2 @[i0] = 1.0
            var a.cells[2].y : unknown declared outputs
            var b.n : parameter int structural
              value @[0] = 3.0
            var b.s : unknown declared outputs
            var b.cells[3].e : parameter
              value for i0 in 0..3 @[i0] = 2.0
            var b.cells[3].y : unknown declared outputs
            var b.cells[3].extra : unknown declared outputs

            eq owner "a" : a.s = (a.cells.y[0] + a.cells.y[1]) / 2.0
            eq owner "a.cells[*]" for i0 in 0..2 : a.cells.y[i0] = a.cells.e[i0]
            eq owner "b" : b.s = (b.cells.y[0] + b.cells.y[1] + b.cells.y[2]) / 3.0
            eq owner "b.cells[*]" for i0 in 0..3 : b.cells.y[i0] = b.cells.e[i0]
            eq owner "b.cells[*]" for i0 in 0..3 : b.cells.extra[i0] = 1.0
        "#]],
    );
}

#[test]
fn absent_parts_take_their_connections_along() {
    check(
        r#"
twin P { inputs { u: Real = 0 } outputs { y: Real = u } }
twin Q<n: Int = 1> {
  twins { a: P { u = 1 }; b: P if n > 1 }
  connections { a.y -> b.u }
}
twin R { twins { one: Q; two: Q<n: 2> } }
"#,
        expect![[r#"
            flat R

            var one.n : parameter int structural
              value @[0] = 1.0
            var one.a.u : input
              value @[0] = 1.0
            var one.a.y : unknown declared outputs
            var two.n : parameter int structural
              value @[0] = 2.0
            var two.a.u : input
              value @[0] = 1.0
            var two.a.y : unknown declared outputs
            var two.b.u : unknown declared inputs
            var two.b.y : unknown declared outputs

            eq owner "one.a" : one.a.y = one.a.u
            eq owner "two.a" : two.a.y = two.a.u
            eq owner "two.b" : two.b.y = two.b.u
            eq owner "two" : two.b.u = two.a.y
        "#]],
    );
}

#[test]
fn elements_that_differ_in_structure_are_kept_apart() {
    check(
        r#"
twin P<n: Int = 1> { states { x: Real[1][n] = 1 } equations { der(x) = -x/1 s } outputs { s: Real = sum(x) } }
twin Q { parameters { final len: Int[3] = [1, 2, 2] } twins { p: P[3]; } outputs { t: Real = sum(p.s) } }
twin R { parameters { size: Int = 1 } states { x: Real[1][size] = 1 } equations { der(x) = -x/1 s } outputs { s: Real = sum(x) } }
twin T { twins { r: R[3] { size = i + 1 for i } } outputs { t: Real = sum(r.s); u: Real = r[1].s } }
"#,
        expect![[r#"
            flat T

            var t : unknown declared outputs
            var u : unknown declared outputs
            var `r[0]`.size : parameter int structural
              value @[0] = 1.0
            var `r[0]`.x[1] : state fixed
              value @[0] = 1.0
            var `r[0]`.s : unknown declared outputs
            var `r[1]`.size : parameter int structural
              value @[0] = 2.0
            var `r[1]`.x[2] : state fixed
              value for i0 in 0..2 @[i0] = 1.0
            var `r[1]`.s : unknown declared outputs
            var `r[2]`.size : parameter int structural
              value @[0] = 3.0
            var `r[2]`.x[3] : state fixed
              value for i0 in 0..3 @[i0] = 1.0
            var `r[2]`.s : unknown declared outputs

            eq : t = `r[0]`.s + `r[1]`.s + `r[2]`.s
            eq : u = `r[1]`.s
            eq owner "r[0]" : `r[0]`.s = `r[0]`.x[0]
            eq owner "r[1]" : `r[1]`.s = `r[1]`.x[0] + `r[1]`.x[1]
            eq owner "r[2]" : `r[2]`.s = `r[2]`.x[0] + `r[2]`.x[1] + `r[2]`.x[2]
            eq owner "r[0]" : der(`r[0]`.x[0]) = -`r[0]`.x[0]
            eq owner "r[1]" for i0 in 0..2 : der(`r[1]`.x[i0]) = -`r[1]`.x[i0]
            eq owner "r[2]" for i0 in 0..3 : der(`r[2]`.x[i0]) = -`r[2]`.x[i0]
            expanded "a size or a bound that depends on the index"
        "#]],
    );
}

#[test]
fn outer_takes_the_nearest() {
    check(
        r#"
twin P { parameters { outer g: Acceleration } outputs { w: Acceleration = 2*g } }
twin Q { parameters { g: Acceleration = 1 m/s^2 } twins { p: P[2] } }
twin R { parameters { g: Acceleration = 9 m/s^2 } twins { q: Q[3]; own: P } }
"#,
        expect![[r#"
            flat R

            var g : parameter
              value @[0] = 9.0
            var q[3].g : parameter
              value for i0 in 0..3 @[i0] = 1.0
            var q[3].p[2].w : unknown declared outputs
            var own.w : unknown declared outputs

            eq owner "q[*].p[*]" for i0 in 0..3, i1 in 0..2 : q.p.w[2*i0 + i1] = 2.0 * q.g[i0]
            eq owner "own" : own.w = 2.0 * g
        "#]],
    );
}

#[test]
fn outer_without_a_member() {
    refuse(
        r#"
twin P { parameters { outer g: Acceleration } outputs { w: Acceleration = 2*g } }
twin R { twins { p: P } }
"#,
        expect![[r#"
            E0710 test.twinml:2:29: no enclosing twin has a member `g`
              note: wanted by the instance `p`
        "#]],
    );
}

#[test]
fn a_value_of_another_length() {
    refuse(
        r#"
twin P<n: Int = 1> { parameters { a: Real = 1 } outputs { y: Real = a } }
twin Q<n: Int = 3> { twins { p: P[n] { a = [1, 2, 3, 4] } } }
"#,
        expect![[r#"
            E0702 test.twinml:3:40: a value of shape [4] for elements of shape [3]
              test.twinml:2:35: declared here
        "#]],
    );
}

#[test]
fn a_parameter_without_a_value() {
    refuse(
        r#"
twin P { parameters { a: Real } outputs { y: Real = a } }
twin Q { twins { p: P } }
"#,
        expect![[r#"
            E0711 test.twinml:2:23: the parameter `a` has no value
              note: wanted by the instance `p`
              help: give it one: `a: … = …`, or set it where the twin is used
        "#]],
    );
}

#[test]
fn a_value_outside_its_range() {
    refuse(
        r#"
type Part = Real where 0 <= self <= 1
twin P { parameters { a: Part in % = 50 % } outputs { y: Real = a } }
twin Q { twins { p: P[3] { a = [10 %, 120 %, 30 %] } } }
"#,
        expect![[r#"
            E0731 test.twinml:4:32: the value 120 % of `p.a` is outside its range
              test.twinml:3:23: the range is declared here
              note: it must be at least 0 %
              note: it must be at most 100 %
        "#]],
    );
}

#[test]
fn twins_of_unlike_sizes_are_not_one_array() {
    refuse(
        r#"
twin R { parameters { size: Int = 1 } states { x: Real[1][size] = 1 } equations { der(x) = -x/1 s } }
twin T { twins { r: R[3] { size = i + 1 for i } } outputs { t: Real = sum(r.x); u: Real = sum(r[2].x) } }
"#,
        expect![[r#"
            E0706 test.twinml:3:75: the elements of `r` hold arrays of unlike shapes: [1] and [2]
              help: name one element by its subscript
        "#]],
    );
}

#[test]
fn twins_of_unlike_sizes_are_connected_and_recorded() {
    let text = r#"
twin R {
  parameters { size: Int = 1 }
  inputs { u: Real = 0 }
  states { x: Real[1][size] = 1 }
  equations { der(x) = (u - x)/1 s }
  outputs { y: Real = sum(x) }
}
twin T {
  twins { r: R[3] { size = i + 1 for i } }
  connections { for i in 0..2 { r[i].y -> r[i+1].u } }
}
scenario s for T { duration: 1 s; record r.x, r[1].x every 1 s }
"#;
    check_run(
        text,
        Some("s"),
        Files::default(),
        expect![[r#"
        flat T

        var `r[0]`.size : parameter int structural
          value @[0] = 1.0
        var `r[0]`.u : input
          value @[0] = 0.0
        var `r[0]`.x[1] : state fixed
          value @[0] = 1.0
        var `r[0]`.y : unknown declared outputs
        var `r[1]`.size : parameter int structural
          value @[0] = 2.0
        var `r[1]`.u : unknown declared inputs
        var `r[1]`.x[2] : state fixed
          value for i0 in 0..2 @[i0] = 1.0
        var `r[1]`.y : unknown declared outputs
        var `r[2]`.size : parameter int structural
          value @[0] = 3.0
        var `r[2]`.u : unknown declared inputs
        var `r[2]`.x[3] : state fixed
          value for i0 in 0..3 @[i0] = 1.0
        var `r[2]`.y : unknown declared outputs

        eq owner "r[0]" : `r[0]`.y = `r[0]`.x[0]
        eq owner "r[1]" : `r[1]`.y = `r[1]`.x[0] + `r[1]`.x[1]
        eq owner "r[2]" : `r[2]`.y = `r[2]`.x[0] + `r[2]`.x[1] + `r[2]`.x[2]
        eq owner "r[0]" : der(`r[0]`.x[0]) = `r[0]`.u - `r[0]`.x[0]
        eq owner "r[1]" for i0 in 0..2 : der(`r[1]`.x[i0]) = `r[1]`.u - `r[1]`.x[i0]
        eq owner "r[2]" for i0 in 0..3 : der(`r[2]`.x[i0]) = `r[2]`.u - `r[2]`.x[i0]
        eq : `r[1]`.u = `r[0]`.y
        eq : `r[2]`.u = `r[1]`.y
        expanded "a size or a bound that depends on the index"
        expanded "twins that differ in structure"
    "#]],
    );
    let o = run(text, Some("s"), Files::default());
    let s = o.flat.system.unwrap();
    let recorded: Vec<String> = o.flat.experiment.records[0]
        .vars
        .iter()
        .map(|(v, at)| {
            format!("{}.{} {at:?}", s.vars[v.index()].path[0].name, s.vars[v.index()].path[1].name)
        })
        .collect();
    assert_eq!(recorded, ["r[0].x []", "r[1].x []", "r[2].x []", "r[1].x [0, 1]"]);
}
