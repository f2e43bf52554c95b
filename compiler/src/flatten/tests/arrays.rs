use super::{check, refuse};
use expect_test::expect;

#[test]
fn a_family_keeps_one_loop() {
    check(
        r#"
twin Tank {
  parameters { area: Area = 2 m^2 }
  inputs { q_in: VolumeFlow = 0 m^3/s }
  outputs { q_out: VolumeFlow = 0.01 [m^2.5/s]*sqrt(h) }
  states { h: Length = 1 m }
  equations { der(h) = (q_in - q_out)/area }
}
system twin Farm {
  twins { tanks: Tank[5] { area = 1.5 m^2 } }
  connections { for i in 0..4 { tanks[i].q_out -> tanks[i+1].q_in } }
}
"#,
        expect![[r#"
            flat Farm

            var tanks[5].area : parameter
              value for i0 in 0..5 @[i0] = 1.5
            var tanks[5].q_in : unknown declared inputs
            var tanks[5].q_out : unknown declared outputs
            var tanks[5].h : state fixed
              value for i0 in 0..5 @[i0] = 1.0

            eq owner "tanks[*]" for i0 in 0..5 : tanks.q_out[i0] = 0.01 * sqrt(tanks.h[i0])
            eq owner "tanks[*]" for i0 in 0..5 : der(tanks.h[i0]) = (tanks.q_in[i0] - tanks.q_out[i0]) / tanks.area[i0]
            eq for i0 in 0..4 : tanks.q_in[i0 + 1] = tanks.q_out[i0]
            eq owner "tanks[*]" : tanks.q_in[0] = 0.0
        "#]],
    );
}

#[test]
fn nested_families_multiply_their_axes() {
    check(
        r#"
twin Cell { parameters { c: Real = 1 } states { x: Real[1][2] = 0 } equations { der(x) = c*x/1 s } }
twin Row { parameters { n: Int = 3 } twins { cells: Cell[n] { c = 2*i for i } } outputs { s: Real = sum(cells.x) } }
twin Grid { twins { rows: Row[4] } outputs { t: Real[1][4] = rows.s } }
"#,
        expect![[r#"
            flat Grid

            var t[4] : unknown declared outputs
            var rows[4].n : parameter int structural
              value for i0 in 0..4 @[i0] = 3.0
            var rows[4].s : unknown declared outputs
            var rows[4].cells[3].c : parameter
              value for i0 in 0..4, i1 in 0..3 @[3*i0 + i1] = #(2*i1)
            var rows[4].cells[3].x[2] : state fixed
              value for i0 in 0..4, i1 in 0..3, i2 in 0..2 @[6*i0 + 2*i1 + i2] = 0.0

            eq for i0 in 0..4 : t[i0] = rows.s[i0]
            eq owner "rows[*]" for i0 in 0..4 : rows.s[i0] = rows.cells.x[6*i0] + rows.cells.x[6*i0 + 1] + (rows.cells.x[6*i0 + 2] + rows.cells.x[6*i0 + 3]) + (rows.cells.x[6*i0 + 4] + rows.cells.x[6*i0 + 5])
            eq owner "rows[*].cells[*]" for i0 in 0..4, i1 in 0..3, i2 in 0..2 : der(rows.cells.x[6*i0 + 2*i1 + i2]) = rows.cells.c[3*i0 + i1] * rows.cells.x[6*i0 + 2*i1 + i2]
        "#]],
    );
}

#[test]
fn loops_split_where_a_condition_changes() {
    check(
        r#"
twin Rod {
  parameters { final n: Int = 6; a: Real[1/s] = 1 }
  states { T: Temperature[n] = 300 K }
  equations {
    for i in 0..n {
      der(T[i]) = a*((if i > 0 then T[i-1] else 400 K) - T[i]) + a*((if i < n-1 then T[i+1] else 300 K) - T[i])
    }
  }
}
"#,
        expect![[r#"
            flat Rod

            var n : parameter int structural
              value @[0] = 6.0
            var a : parameter
              value @[0] = 1.0
            var T[6] : state fixed range 0.0 .. inf
              value for i0 in 0..6 @[i0] = 300.0

            eq : der(T[0]) = a * (400.0 - T[0]) + a * (T[1] - T[0])
            eq for i0 in 1..5 : der(T[i0]) = a * (T[i0 - 1] - T[i0]) + a * (T[i0 + 1] - T[i0])
            eq : der(T[5]) = a * (T[4] - T[5]) + a * (300.0 - T[5])
        "#]],
    );
}

#[test]
fn a_ring_is_closed_by_mod() {
    check(
        r#"
twin Ring {
  states { x: Real[1][5] = 0 }
  equations { for i in 0..5 { der(x[i]) = (x[mod(i+1, 5)] - 2*x[i] + x[mod(i+4, 5)])/1 s } }
}
"#,
        expect![[r#"
            flat Ring

            var x[5] : state fixed
              value for i0 in 0..5 @[i0] = 0.0

            eq : der(x[0]) = x[1] - 2.0 * x[0] + x[4]
            eq for i0 in 1..4 : der(x[i0]) = x[i0 + 1] - 2.0 * x[i0] + x[i0 - 1]
            eq : der(x[4]) = x[0] - 2.0 * x[4] + x[3]
        "#]],
    );
}

#[test]
fn a_condition_on_two_indices_is_judged_at_run_time() {
    check(
        r#"
twin Bodies {
  parameters { final n: Int = 7; m: Real[1][n] = 1 }
  states { x: Length[n] = 0 m; v: Velocity[n] = 0 m/s }
  equations {
    der(x) = v
    for i in 0..n { der(v[i]) = sum(m[j]*(x[j] - x[i])/1 s^2 for j in 0..n if j != i) }
  }
}
"#,
        expect![[r#"
            flat Bodies

            var n : parameter int structural
              value @[0] = 7.0
            var m[7] : parameter
              value for i0 in 0..7 @[i0] = 1.0
            var x[7] : state fixed
              value for i0 in 0..7 @[i0] = 0.0
            var v[7] : state fixed
              value for i0 in 0..7 @[i0] = 0.0

            eq for i0 in 0..7 : der(x[i0]) = v[i0]
            eq for i0 in 0..7 : der(v[i0]) = sum(if #(i1) != #(i0) then m[i1] * (x[i1] - x[i0]) else 0.0 for i1 in 0..7)
        "#]],
    );
}

#[test]
fn matrices_and_vectors() {
    check(
        r#"
twin M {
  parameters {
    A: Real[1][2, 3] = [[1, 2, 3], [4, 5, 6]]
    B: Real[1][5, 4] = 1
    b: Real[1][4] = 2
  }
  states { x: Real[1][3] = 1 }
  variables { y: Real[1][2]; z: Real[1][5]; s: Real; w: Real[1][3]; t: Real[1][3, 2]; e: Real }
  equations {
    y = A*x
    z = B*b + 1
    s = dot(x, x) + norm(y)
    w = cross(x, [1, 2, 3])
    t = transpose(A)
    e = det([[1, 2], [3, s]]) + sum(z[1..4]) + mean(b) + max(z)
    der(x) = -w/1 s
  }
}
"#,
        expect![[r#"
            flat M

            var A[2, 3] : parameter
              value @[0] = 1.0
              value @[1] = 2.0
              value @[2] = 3.0
              value @[3] = 4.0
              value @[4] = 5.0
              value @[5] = 6.0
            var B[5, 4] : parameter
              value for i0 in 0..5, i1 in 0..4 @[4*i0 + i1] = 1.0
            var b[4] : parameter
              value for i0 in 0..4 @[i0] = 2.0
            var x[3] : state fixed
              value for i0 in 0..3 @[i0] = 1.0
            var y[2] : unknown
            var z[5] : unknown
            var s : unknown
            var w[3] : unknown
            var t[3, 2] : unknown
            var e : unknown

            eq for i0 in 0..2 : y[i0] = A[3*i0] * x[0] + A[3*i0 + 1] * x[1] + A[3*i0 + 2] * x[2]
            eq for i0 in 0..5 : z[i0] = sum(B[4*i0 + i1] * b[i1] for i1 in 0..4) + 1.0
            eq : s = x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + sqrt(y[0] ^ 2.0 + y[1] ^ 2.0)
            eq : w[0] = x[1] * 3.0 - x[2] * 2.0
            eq : w[1] = x[2] - x[0] * 3.0
            eq : w[2] = x[0] * 2.0 - x[1]
            eq for i0 in 0..3, i1 in 0..2 : t[2*i0 + i1] = A[i0 + 3*i1]
            eq : e = s - 6.0 + (z[1] + z[2] + z[3]) + sum(b[i0] for i0 in 0..4) / 4.0 + max(z[i0] for i0 in 0..5)
            eq for i0 in 0..3 : der(x[i0]) = -w[i0]
            expanded "elements of an array that is written out"
        "#]],
    );
}

#[test]
fn triangular_sums_stay_loops() {
    check(
        r#"
twin Tri {
  parameters { final n: Int = 8 }
  states { x: Real[1][n] = 1 }
  equations { for i in 0..n { der(x[i]) = -sum(x[j] for j in 0..i)/1 s } }
}
"#,
        expect![[r#"
            flat Tri

            var n : parameter int structural
              value @[0] = 8.0
            var x[8] : state fixed
              value for i0 in 0..8 @[i0] = 1.0

            eq for i0 in 0..8 : der(x[i0]) = -sum(if #(i1) < #(i0) then x[i1] else 0.0 for i1 in 0..7)
        "#]],
    );
}

#[test]
fn triangular_loops_are_expanded_and_said_so() {
    check(
        r#"
twin Tri {
  parameters { final n: Int = 3 }
  variables { L: Real[1][n, n] }
  equations { for i in 0..n { for j in 0..n { L[i, j] = if j <= i then 1 else 0 } } }
}
"#,
        expect![[r#"
            flat Tri

            var n : parameter int structural
              value @[0] = 3.0
            var L[3, 3] : unknown

            eq for i0 in 0..3, i1 in 0..3 : L[3*i0 + i1] = if #(i1) <= #(i0) then 1.0 else 0.0
        "#]],
    );
}

#[test]
fn an_array_written_out_is_taken_element_by_element() {
    check(
        r#"
twin V {
  parameters { g: Acceleration = 9.81 m/s^2 }
  states { x: Length[3] = [1 m, 2 m, 3 m]; v: Velocity[3] = 0 m/s }
  equations { der(x) = v; der(v) = [0 m/s^2, 0 m/s^2, -g] }
}
"#,
        expect![[r#"
            flat V

            var g : parameter
              value @[0] = 9.81
            var x[3] : state fixed
              value @[0] = 1.0
              value @[1] = 2.0
              value @[2] = 3.0
            var v[3] : state fixed
              value for i0 in 0..3 @[i0] = 0.0

            eq for i0 in 0..3 : der(x[i0]) = v[i0]
            eq : der(v[0]) = 0.0
            eq : der(v[1]) = 0.0
            eq : der(v[2]) = -g
            expanded "elements of an array that is written out"
        "#]],
    );
}

#[test]
fn comprehensions_slices_and_concat() {
    check(
        r#"
twin C {
  parameters { a: Real[1][6] = [0.5*k for k in 0..6]; e: Real[1][3] = [k for k in 0..6 if mod(k, 2) == 0] }
  states { x: Real[1][6] = 1 }
  variables { y: Real[1][4]; z: Real[1][5] }
  equations {
    y = x[1..5] + a[2..6]
    z = concat(y, [7])
    der(x) = [sin(x[5 - k])/1 s for k in 0..6]
  }
}
"#,
        expect![[r#"
            flat C

            var a[6] : parameter
              value for i0 in 0..6 @[i0] = 0.5 * #(i0)
            var e[3] : parameter
              value @[0] = 0.0
              value @[1] = 2.0
              value @[2] = 4.0
            var x[6] : state fixed
              value for i0 in 0..6 @[i0] = 1.0
            var y[4] : unknown
            var z[5] : unknown

            eq for i0 in 0..4 : y[i0] = x[i0 + 1] + a[i0 + 2]
            eq for i0 in 0..4 : z[i0] = y[i0]
            eq : z[4] = 7.0
            eq for i0 in 0..6 : der(x[i0]) = sin(x[-i0 + 5])
        "#]],
    );
}

#[test]
fn solve_of_a_larger_matrix_has_unknowns_of_its_own() {
    check(
        r#"
twin S {
  parameters { A: Real[1][4, 4] = identity(4) }
  states { x: Real[1][4] = 1 }
  equations { der(x) = solve(A, x)/1 s }
}
"#,
        expect![[r#"
            flat S

            var A[4, 4] : parameter
              value for i0 in 0..4, i1 in 0..4 @[4*i0 + i1] = if #(i0) == #(i1) then 1.0 else 0.0
            var x[4] : state fixed
              value for i0 in 0..4 @[i0] = 1.0
            var `solve#1`[4] : unknown

            eq for i0 in 0..4 : sum(A[4*i0 + i1] * `solve#1`[i1] for i1 in 0..4) = x[i0]
            eq for i0 in 0..4 : der(x[i0]) = `solve#1`[i0]
        "#]],
    );
}

#[test]
fn a_subscript_that_changes_during_the_run() {
    check(
        r#"
twin D {
  inputs { k: Int = 0 }
  parameters { a: Real[1][3] = [1, 2, 3] }
  outputs { y: Real = a[k] }
}
"#,
        expect![[r#"
            flat D

            var k : input int
              value @[0] = 0.0
            var a[3] : parameter
              value @[0] = 1.0
              value @[1] = 2.0
              value @[2] = 3.0
            var y : unknown declared outputs

            eq : y = at(a[0], k, 3, 1)
        "#]],
    );
}

#[test]
fn interpolate_is_a_sum_over_the_pieces() {
    check(
        r#"
twin I {
  parameters { xs: Real[1][4] = [0, 1, 2, 3]; ys: Real[1][4] = [0, 1, 4, 9] }
  outputs { y: Real = interpolate(xs, ys, time/1 s) }
}
"#,
        expect![[r#"
            flat I

            var xs[4] : parameter
              value @[0] = 0.0
              value @[1] = 1.0
              value @[2] = 2.0
              value @[3] = 3.0
            var ys[4] : parameter
              value @[0] = 0.0
              value @[1] = 1.0
              value @[2] = 4.0
              value @[3] = 9.0
            var y : unknown declared outputs

            eq : y = ys[0] + ((ys[1] - ys[0]) / (xs[1] - xs[0]) * (min(max(time, xs[0]), xs[1]) - xs[0]) + (ys[2] - ys[1]) / (xs[2] - xs[1]) * (min(max(time, xs[1]), xs[2]) - xs[1]) + (ys[3] - ys[2]) / (xs[3] - xs[2]) * (min(max(time, xs[2]), xs[3]) - xs[2]))
        "#]],
    );
}

#[test]
fn subscripts_out_of_range() {
    refuse(
        r#"
twin R {
  states { x: Real[1][3] = 1 }
  equations { for i in 0..3 { der(x[i]) = x[i+1]/1 s } }
}
"#,
        expect![[r#"
            E0705 test.twinml:4:45: subscript 3 is outside 0..3
              help: arrays count from 0, and a range leaves its end out
        "#]],
    );
}

#[test]
fn shapes_that_differ_only_at_instantiation() {
    refuse(
        r#"
twin R<n: Int = 3, m: Int = 4> {
  states { x: Real[1][n] = 1 }
  parameters { a: Real[1][m] = 2 }
  equations { der(x) = a/1 s }
}
"#,
        expect![[r#"
            E0706 test.twinml:5:15: shapes differ: [3] and [4]
        "#]],
    );
}

#[test]
fn a_billion_elements_are_too_many() {
    refuse(
        r#"
twin Big { parameters { n: Int = 1000 } states { x: Real[1][n, n, n] = 1 } equations { der(x) = x/1 s } }
"#,
        expect![[r#"
            E0708 test.twinml:2:50: the system is too large: `x` has 1000000000 elements (shape [1000, 1000, 1000])
              note: at most 50000000 elements are compiled
        "#]],
    );
}

#[test]
fn vectors_of_unlike_lengths() {
    refuse(
        r#"
twin R<n: Int = 3, m: Int = 4> {
  parameters { a: Real[1][n] = 1; b: Real[1][m] = 2 }
  outputs { y: Real = a*b; z: Real = dot(a, b); s: Real = sum(a + b) }
}
"#,
        expect![[r#"
            E0706 test.twinml:4:23: shapes differ: [3] and [4]
            E0706 test.twinml:4:38: the vectors of `dot` have unlike lengths
            E0706 test.twinml:4:63: shapes differ: [3] and [4]
        "#]],
    );
}
