#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::source::{FileId, Span};

fn round_trip(text: &str) -> System {
    let s = read(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let printed = print(&s, Options { spans: true });
    let again = read(&printed).unwrap_or_else(|e| panic!("{e}\n{printed}"));
    assert_eq!(print(&again, Options { spans: true }), printed);
    assert_eq!(again, s, "{printed}");
    s
}

const TANKS: &str = r#"flat Plant
enum Valve { open, `half open` }
table table0 "pump.csv: rise" linear hold of_time { (0.0, 1.0) (2.0, -3.5e-7) }

var tanks[3].area : parameter unit "m^2" si "m^2" dim "m^2"
  value for i0 in 0..3 @[i0] = 2.0
var tanks[3].h : state fixed unit "cm" scale 0.01 offset 273.15 si "m" quantity "Length" range 0.0 .. inf doc "level\nof \"water\""
  value for i0 in 0..3 @[i0] = 1.0
  guess @[2] = 0.5
var tanks[3].q_out : unknown declared outputs
var `i0` : discrete bool structural
  value @[0] = true
var mode : discrete enum 0

eq owner "tanks[*]" for i0 in 0..3 : der(tanks.h[i0]) = (0.0 - tanks.q_out[i0]) / tanks.area[i0] ~0:3..9
eq for i0 in 1..3, i1 in -1..2 : tanks.q_out[2*i0 - i1 + 3] = if `i0` and tanks.h > ~0:1..2 1.0 then #(-i0 + 1) else -(1.0)
eq : sum(tanks.h[i4] * #(i4) for i4 in 0..3) = min(1.0, table0(time)) ^ -tanks.h[1] ^ 2.0
initial : start(mode) = at ~0:5..6 (tanks.h[i0], num(not `i0`), 3, 1)
action 1800000000000 ns ~0:7..8
  set i0 @[0] = false
expanded ~0:1..2 "why"
requirement expected "tanks[*].no_overflow"
"#;

#[test]
fn the_example_reads_and_prints() {
    let text = TANKS.replace("set i0", "set `i0`");
    let s = round_trip(&text);
    assert_eq!(s.vars.len(), 5);
    assert_eq!(s.vars[1].unit.scale, 0.01);
    assert_eq!(s.equations[0].loops, vec![Loop { index: Index(0), lo: 0, hi: 3 }]);
    assert_eq!(s.equations[0].span, Span::new(FileId(0), 3, 9));
    assert_eq!(
        print_equation(&s, &s.equations[0]),
        "for i0 in 0..3 : der(tanks.h[i0]) = (0.0 - tanks.q_out[i0]) / tanks.area[i0]"
    );
}

/// Every shape of expression, nested in every operand place of every other, is read back as it was.
#[test]
fn every_pair_of_expressions_round_trips() {
    let var = |n| Expr::Var(VarId(n), Affine::constant(0));
    let b = Box::new;
    let mut nums: Vec<Expr> = vec![
        Expr::Num(1.5),
        Expr::Num(-2.0),
        Expr::Num(-0.0),
        Expr::Num(f64::INFINITY),
        Expr::Num(f64::NEG_INFINITY),
        Expr::Num(5e-324),
        Expr::Time,
        Expr::Index(Affine { base: -3, terms: vec![(Index(0), -2), (Index(1), 1)] }),
        var(0),
        Expr::Der(VarId(0), Affine::constant(0)),
        Expr::Start(VarId(0), Affine::constant(2)),
        Expr::Un(UnOp::Neg, b(var(0))),
        Expr::Un(UnOp::Neg, b(Expr::Num(1.0))),
        Expr::Un(UnOp::Neg, b(Expr::Num(-1.0))),
    ];
    let mut bools = vec![Expr::Bool(true), var(1)];
    for round in 0..2 {
        let (ns, bs) = (nums.clone(), bools.clone());
        let (ns, bs) = if round == 0 { (ns, bs) } else { (ns.into_iter().step_by(5).collect(), bs) };
        for x in &ns {
            for y in ns.iter().step_by(1 + 2 * round) {
                use BinOp::{Add, Div, Max, Min, Mul, Pow, Sub};
                for op in [Add, Sub, Mul, Div, Pow, Min, Max] {
                    nums.push(Expr::Bin(op, b(x.clone()), b(y.clone())));
                }
                for (_, op) in print::COMPARISONS {
                    bools.push(Expr::Cmp(*op, b(x.clone()), b(y.clone()), Span::new(FileId(1), 2, 3)));
                }
            }
            for op in [UnOp::Neg, UnOp::Abs, UnOp::Sqrt, UnOp::Sign] {
                nums.push(Expr::Un(op, b(x.clone())));
            }
            nums.push(Expr::NoEvent(b(x.clone())));
            nums.push(Expr::Delay(b(x.clone()), b(Expr::Num(1.0))));
            nums.push(Expr::Table(TableId(0), b(x.clone())));
            for (_, f) in print::MATH {
                nums.push(Expr::Math(*f, vec![x.clone()]));
            }
            for (_, f) in print::STEPS {
                nums.push(Expr::Step(*f, b(x.clone()), Span::new(FileId(0), 7, 9)));
            }
            for (_, f) in print::FOLDS {
                let l = Loop { index: Index(7), lo: -1, hi: 4 };
                nums.push(Expr::Fold(*f, Box::new(l), b(x.clone())));
            }
            nums.push(Expr::VarAt {
                var: VarId(0),
                base: Affine::constant(1).plus(Index(0), 3),
                at: b(x.clone()),
                len: 3,
                stride: -2,
                span: Span::new(FileId(0), 1, 2),
            });
        }
        for x in &bs {
            for y in bs.iter().step_by(1 + 40 * round) {
                for op in [BoolOp::And, BoolOp::Or, BoolOp::Xor] {
                    bools.push(Expr::BoolBin(op, b(x.clone()), b(y.clone())));
                }
            }
            bools.push(Expr::Not(b(x.clone())));
            nums.push(Expr::BoolToNum(b(x.clone())));
            nums.push(Expr::If(b(x.clone()), b(var(0)), b(Expr::Num(2.0))));
            nums.push(Expr::If(b(var(1)), b(Expr::If(b(x.clone()), b(var(0)), b(var(0)))), b(Expr::Time)));
        }
        if bools.len() > 4000 {
            bools = bools.into_iter().step_by(7).collect();
        }
    }
    let mut s =
        read("flat a\ntable table0 \"t\" linear hold { (0.0, 0.0) }\nvar x : unknown\nvar b : unknown bool")
            .unwrap();
    for e in nums.into_iter().chain(bools) {
        s.equations.push(Equation {
            loops: vec![],
            left: e,
            right: Expr::Num(0.0),
            span: Span::default(),
            owner: String::new(),
        });
    }
    assert!(s.equations.len() > 5000);
    let text = print(&s, Options { spans: true });
    let again = read(&text).unwrap();
    for (a, c) in again.equations.iter().zip(&s.equations) {
        assert_eq!(a.left, c.left, "{}", print_equation(&s, c));
    }
    assert_eq!(again.equations.len(), s.equations.len());
}

#[test]
fn errors_have_a_line_and_say_what_was_wanted() {
    for (text, line, part) in [
        ("flat a\nvar x : river", 2, "a role"),
        ("flat a\nvar x : state\neq : x = y", 3, "\"y\""),
        ("flat a\nvar x : state\nvar x : state", 3, "twice"),
        ("flat a\nvar x : state\neq x = 1.0", 3, ": was wanted"),
        ("flat a\n\u{7}", 2, "begins nothing"),
        ("flat a\neq : \"abc = 1.0", 2, "never closed"),
        ("flat a\nvar x[100000, 100000] : state", 2, "too large"),
        ("flat a\nvar x : state\neq : f(x) = 1.0", 3, "a function"),
        ("", 1, "flat"),
    ] {
        let e = read(text).unwrap_err();
        assert!(e.to_string().contains(part), "{e}");
        assert_eq!(e.line, line, "{e}");
    }
    let deep = format!("flat a\nvar x : state\neq : {}x{} = 1.0", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(read(&deep).unwrap_err().what, read::Problem::TooDeep);
    let deep = format!("flat a\nvar x : state\neq : {}x = 1.0", "-".repeat(100_000));
    assert_eq!(read(&deep).unwrap_err().what, read::Problem::TooDeep);
    let deep = format!("flat a\nvar x : state\neq : {}x = 1.0", "not ".repeat(100_000));
    assert_eq!(read(&deep).unwrap_err().what, read::Problem::TooDeep);
}
