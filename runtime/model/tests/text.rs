//! The text form: it reads back to the identical program, and bad text is refused with its place.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::program;
use expect_test::expect;
use proptest::prelude::*;
use twinml_model::ids::{EnumId, OriginId};
use twinml_model::ir::{CmpOp, MathFn, Space};
use twinml_model::math::expand;
use twinml_model::passes::derive::complete;
use twinml_model::program::{Noise, Outside, Program, Relation, RelationKind, Table, TableMethod};
use twinml_model::schema::{DisplayUnit, EnumType, Kind, Role, Segment, Variable};
use twinml_model::text::{kernel_text, program_text, read_kernel, read_program};

fn same(p: &Program) {
    let text = program_text(p);
    let back = read_program(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(back, *p, "{text}");
}

/// A program with something of everything.
fn rich() -> Program {
    let mut p = program(7);
    complete(&mut p);
    p.files = vec!["a \"b\"\\\n.twinml".into(), "µ\u{1}".into()];
    p.schema.enums = vec![EnumType { name: "Valve".into(), values: vec!["open".into(), "shut".into()] }];
    p.schema.vars = vec![
        Variable {
            path: vec![
                Segment { name: "tanks".into(), axes: vec![3] },
                Segment { name: "q".into(), axes: vec![1, 1] },
            ],
            role: Role::State,
            kind: Kind::Enum(EnumId(0)),
            space: Space::State,
            base: 0,
            len: 3,
            unit: DisplayUnit { symbol: "degC".into(), scale: 1.0, offset: 273.15 },
            si_unit: "K".into(),
            quantity: Some("Temperature".into()),
            description: Some("two\nlines".into()),
            nominal: 300.0,
            origin: OriginId(0),
            range: Some((f64::NEG_INFINITY, 5e-324)),
        },
        Variable {
            path: vec![Segment { name: "x".into(), axes: vec![] }],
            role: Role::Output,
            kind: Kind::Bool,
            space: Space::Var,
            base: 0,
            len: 1,
            unit: DisplayUnit::default(),
            si_unit: String::new(),
            quantity: None,
            description: None,
            nominal: -0.0,
            origin: OriginId(0),
            range: None,
        },
    ];
    p.relations = vec![
        Relation { kind: RelationKind::Compare(CmpOp::Ge), disc: 0, root: 0, len: 0, origin: OriginId(0) },
        Relation { kind: RelationKind::Step, disc: 0, root: 0, len: 0, origin: OriginId(0) },
    ];
    p.tables = vec![Table {
        name: "pump.csv".into(),
        x: vec![-1.0, 0.1 + 0.2, 1e300],
        y: vec![f64::NAN, -0.0, f64::INFINITY],
        method: TableMethod::Pchip,
        outside: Outside::Repeat,
        of_time: true,
    }];
    p.functions.extend(MathFn::ALL.map(expand));
    p.noise = vec![
        Noise {
            input: 0,
            len: 6,
            path: vec![
                Segment { name: "regions".into(), axes: vec![3] },
                Segment { name: "noise#1".into(), axes: vec![2] },
            ],
            first: vec![1, 0],
            origin: OriginId(0),
        },
        Noise {
            input: 6,
            len: 1,
            path: vec![Segment { name: "noise#2".into(), axes: vec![] }],
            first: vec![],
            origin: OriginId(0),
        },
    ];
    p
}

#[test]
fn paths_of_noise_have_absolute_subscripts() {
    let p = rich();
    let names: Vec<String> = (0..6).map(|k| p.noise[0].element_path(k)).collect();
    assert_eq!(names[0], "regions[1].noise#1[0]");
    assert_eq!(names[5], "regions[3].noise#1[1]");
    assert_eq!(p.noise[1].element_path(0), "noise#2");
}

#[test]
fn everything_reads_back() {
    let p = rich();
    // a NaN differs from itself: compare texts, and the rest without it
    let text = program_text(&p);
    assert_eq!(program_text(&read_program(&text).unwrap()), text);
    let mut p = p;
    p.tables[0].y[0] = 0.5;
    same(&p);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_programs_read_back(seed in any::<u64>()) {
        let mut p = program(seed);
        same(&p);
        complete(&mut p);
        same(&p);
    }

    /// Damaged text gives an error or a program, never a panic.
    #[test]
    fn damage_is_survived(seed in any::<u64>(), cut in any::<prop::sample::Index>(), with in any::<u8>()) {
        let text = program_text(&program(seed % 40));
        let mut bytes = text.into_bytes();
        let at = cut.index(bytes.len());
        bytes[at] = with & 0x7f;
        let damaged = String::from_utf8(bytes).unwrap();
        if let Ok(p) = read_program(&damaged) {
            let _ = twinml_model::verify::verify(&p);
        }
        let _ = read_program(&damaged[..at]);
    }
}

#[test]
fn golden() {
    let kernel = r#"kernel "test" indices 2 {
  v0 = const -0.0
  v1:i = const.i -7
  v2:b = const.b true
  v3 = load state[4]
  for i0 in 0..10 reverse carry v4 = v0 next v9 result v10 {
    v5 = index [3-2*i0]
    v6 = load param[1+4*i0]
    for i1 in -2..3 {
      der[2+1*i0-1*i1] = v5 @0
    }
    v7:b = lt v5, v6
    if v7 result v9 = v8 | v4 {
      v8 = math.atan2 v5, v6
    } else {
      solve block0
    }
  }
  v11 = load_at param[0] at v1 len 3 stride -1 @0
  v12:b = i.le v1, v1
  v13:i = i.mulhu v1, v1
  v14 = select v12, v10, v11
  v15 = call fn0(v14, v3)
  v16 = table2 order 1 at v15
  v17 = delay hist[0] by v16
  v18 = const 0x7ff8000000000000
  dead v19:b = result
}
"#;
    assert_eq!(kernel_text(&read_kernel(kernel).unwrap()), kernel);
}

#[test]
fn errors_say_where() {
    let at = |text: &str| read_kernel(text).unwrap_err().to_string();
    expect![["1:1: expected kernel"]].assert_eq(&at(""));
    expect!["1:32: expected a statement or }"].assert_eq(&at("kernel \"x\" indices 0 {\u{9}        "));
    expect![["2:3: the character '$' has no meaning here"]]
        .assert_eq(&at("kernel \"x\" indices 0 {\n  $\n}"));
    expect![["2:8: expected an operation"]].assert_eq(&at("kernel \"x\" indices 0 {\n  v0 = nonsense v1\n}"));
    expect![["1:8: a string does not end, or has an unknown escape"]].assert_eq(&at("kernel \"x"));
    expect![["4:1: v0 is defined twice"]]
        .assert_eq(&at("kernel \"x\" indices 0 {\n v0 = const 1.0\n v0 = const 2.0\n}"));
    expect![["3:2: v0 is not defined, though later values are"]]
        .assert_eq(&at("kernel \"x\" indices 0 {\n v5 = const 1.0\n}"));
    expect!["1:28: more than 1048576 loop indices"].assert_eq(&at("kernel \"x\" indices 1048577 {}"));
    expect![["1:20: this number is malformed or out of range"]]
        .assert_eq(&at("kernel \"x\" indices 99999999999 {}"));
    let deep = format!("kernel \"x\" indices 0 {{ v0:b = const.b true {}", "if v0 { ".repeat(100_000));
    assert!(at(&deep).contains("nest more than"));
    // The first would be lost without a word.
    for (item, what) in [
        ("kernel update \"update\" indices 0 {}", "kernel update"),
        ("kernel jvp \"jvp\" indices 0 {}", "kernel jvp"),
        ("default state [1.0]", "default state"),
    ] {
        let text = format!("program \"x\"\n{item}\n{item}\n");
        assert_eq!(read_program(&text).unwrap_err().to_string(), format!("3:1: {what} is there twice"));
    }
}
