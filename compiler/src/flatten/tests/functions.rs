use super::{Files, check, refuse, run};
use expect_test::expect;

#[test]
fn straight_line_functions() {
    check(
        r#"
func area(d: Length): Area { r = d/2; return pi*r^2 }
func twice(x: Real): Real { return 2*x }
twin P { parameters { d: Length = 2 m } outputs { a: Area = area(d); t: Real = twice(twice(d/1 m)) } }
"#,
        expect![[r#"
            flat P

            var d : parameter
              value @[0] = 2.0
            var a : unknown declared outputs
            var t : unknown declared outputs

            eq : a = 3.141592653589793 * (d / 2.0) ^ 2.0
            eq : t = 2.0 * (2.0 * d)
        "#]],
    );
}

#[test]
fn branches_and_loops_in_functions() {
    check(
        r#"
func poly(c: Real[1][3], x: Real): Real { s = 0; for k in 0..3 { s = s*x + c[k] }; return s }
func limited(x: Real): Real { if x > 1 { return 1 }; if x < -1 { y = -1 } else { y = x }; return y }
twin P { inputs { u: Real = 0 } outputs { p: Real = poly([1, 2, 3], u); l: Real = limited(u) } }
"#,
        expect![[r#"
            flat P

            var u : input
              value @[0] = 0.0
            var p : unknown declared outputs
            var l : unknown declared outputs

            eq : p = ((0.0 * u + 1.0) * u + 2.0) * u + 3.0
            eq : l = if u > 1.0 then 1.0 else if u < -1.0 then -1.0 else u
        "#]],
    );
}

#[test]
fn functions_of_arrays() {
    check(
        r#"
func swap(v: Real[1][2]): Real[1][2] { return [v[1], v[0]] }
twin P { states { x: Real[1][2] = 1 } equations { der(x) = swap(x)/1 s } }
"#,
        expect![[r#"
            flat P

            var x[2] : state fixed
              value for i0 in 0..2 @[i0] = 1.0

            eq : der(x[0]) = x[1]
            eq : der(x[1]) = x[0]
            expanded "elements of an array that is written out"
        "#]],
    );
}

#[test]
fn a_while_loop() {
    refuse(
        r#"
func f(x: Real): Real { y = x; while y > 1 { y = y/2 }; return y }
twin P { inputs { u: Real = 0 } outputs { y: Real = f(u) } }
"#,
        expect![[r#"
            E0729 test.twinml:2:38: a `while` in a function that equations use cannot be run by this version
              note: its number of rounds may change during the run; a `for` with constant bounds can be used
        "#]],
    );
}

#[test]
fn functions_that_grow_without_measure_end_in_an_error() {
    let nested = |n: usize, body: &str| {
        format!(
            "{body}\ntwin L {{ states {{ x: Real = 1 }} equations {{ der(x) = {}x{}/1 s }} }}\n",
            "f(".repeat(n),
            ")".repeat(n)
        )
    };
    let sum = vec!["1"; 500].join(" + ");
    let texts = [
        // Twice the size with every call.
        nested(40, "func f(a: Real): Real { b = a*a; return b + a }"),
        // Deeper with every call.
        nested(60, &format!("func f(a: Real): Real {{ return a + {sum} }}")),
        // Deeper with every round.
        nested(1, "func f(a: Real): Real { s = a; for k in 0..50_000 { s = s*a + 1 }; return s }"),
        nested(1, "func f(a: Real): Real { s = a; for k in 0..50_000 { s = -s }; return s }"),
    ];
    for text in texts {
        let start = std::time::Instant::now();
        let o = run(&text, None, Files::default());
        assert!(o.flat.system.is_none());
        let codes: Vec<&str> = o.flat.diagnostics.iter().map(|d| d.code.0).collect();
        assert_eq!(codes, ["E0708"], "{text}");
        assert!(start.elapsed().as_secs() < 20);
    }
}
