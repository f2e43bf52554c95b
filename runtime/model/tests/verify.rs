//! The verifier catches each broken invariant, by its own message.
#![allow(clippy::unwrap_used, reason = "tests")]

use twinml_model::ids::{BlockId, EnumId, OriginId, TableId, Value};
use twinml_model::ir::{Op, Place, Space, Stmt, Ty};
use twinml_model::passes::derive::complete;
use twinml_model::program::{Program, SlotRun};
use twinml_model::schema::{Kind, Segment};
use twinml_model::text::read_program;
use twinml_model::verify::{Problem, verify};

const BASE: &str = r#"program "Base"
sizes state 3 param 2 input 1 var 4 disc 1 root 1 res 2 jac 0 hist 1
default param [1.0, 2.0]
file "base.twinml"
origin 0 0..9 line 1 "equation"
enum "Valve" ["open", "shut"]
var state real state 0 len 3 path "x"[3] unit "m" 1.0 0.0 si "m" nominal 1.0 @0
relation gt disc 0 root 0 len 1 @0
table "t" linear hold x [0.0, 1.0] y [5.0, 6.0]
function (f, i) -> v2 kernel "first" indices 0 {
  v0 = arg 0
  v1:i = arg 1
  v2 = add v0, v0
}
function (f) -> v2 kernel "second" indices 0 {
  v0 = arg 0
  v1:i = const.i 3
  v2 = call fn0(v0, v1)
}
kernel rhs "rhs" indices 2 {
  v0 = const 0.5
  v1:b = lt v0, v0
  v2:i = f_to_i v0
  for i0 in 0..3 carry v3 = v0 next v6 result v7 {
    v4 = load state[0+1*i0]
    v5 = table0 order 0 at v4
    v6 = add v5, v3
    der[2-1*i0] = v6 @0
  }
  if v1 result v8 = v9 | v0 {
    v9 = math.exp v7
  } else {
  }
  v10 = load_at param[0] at v2 len 2 stride 1 @0
  v11 = delay hist[0] by v0
  v12 = call fn1(v10)
  v13 = math.pow v12, v8
  solve block0
  var[0] = v13 @0
  var[1] = v1 @0
}
block 2 {
  unknowns var 2 len 2
  residual_origin 0 @0
  kernel residual "residual" indices 0 {
    v0 = load var[2]
    res[0] = v0 @0
    v1 = load var[3]
    res[1] = v1 @0
  }
}
"#;

fn base() -> Program {
    let p = read_program(BASE).unwrap();
    verify(&p).unwrap();
    p
}

/// The problem that a change makes.
fn after(change: impl FnOnce(&mut Program)) -> Problem {
    let mut p = base();
    change(&mut p);
    verify(&p).unwrap_err().problem
}

/// The problem that a change of the text makes.
fn text(from: &str, to: &str) -> Problem {
    assert!(BASE.contains(from), "{from}");
    verify(&read_program(&BASE.replacen(from, to, 1)).unwrap()).unwrap_err().problem
}

macro_rules! problem {
    ($got:expr, $want:pat) => {{
        let got = $got;
        assert!(matches!(got, $want), "{got}");
        // every message is a sentence about something
        assert!(got.to_string().len() > 10);
    }};
}

#[test]
fn names_exist() {
    problem!(text("table0", "table7"), Problem::NoSuchTable(TableId(7)));
    problem!(text("solve block0", "solve block3"), Problem::NoSuchBlock(BlockId(3)));
    problem!(text("call fn1(v10)", "call fn9(v10)"), Problem::NoSuchFunction(_));
    problem!(text("v13 @0", "v13 @5"), Problem::NoSuchOrigin(OriginId(5)));
    problem!(text("stride 1 @0", "stride 1 @5"), Problem::NoSuchOrigin(OriginId(5)));
    problem!(text("nominal 1.0 @0", "nominal 1.0 @9"), Problem::NoSuchOrigin(OriginId(9)));
    problem!(text("var[0] = v13", "var[0] = v99"), Problem::NoSuchValue(Value(99)));
    problem!(text("for i0 in 0..3", "for i8 in 0..3"), Problem::NoSuchIndex(_));
    problem!(text("state[0+1*i0]", "state[0+1*i8]"), Problem::NoSuchIndex(_));
    problem!(after(|p| p.schema.vars[0].kind = Kind::Enum(EnumId(1))), Problem::NoSuchEnum(EnumId(1)));
}

#[test]
fn values_are_defined_once_and_before_use() {
    problem!(after(|p| p.rhs.body.insert(0, Stmt::Eval(Value(0)))), Problem::DefinedTwice(Value(0)));
    problem!(after(|p| p.rhs.body.swap(0, 1)), Problem::UsedBeforeDefinition(Value(0)));
    // a value of a loop's body is not seen outside, one of a branch neither
    problem!(text("var[0] = v13", "var[0] = v6"), Problem::UsedBeforeDefinition(Value(6)));
    problem!(text("var[0] = v13", "var[0] = v9"), Problem::UsedBeforeDefinition(Value(9)));
    problem!(text("var[0] = v13", "var[0] = v3"), Problem::UsedBeforeDefinition(Value(3)));
    problem!(after(|p| p.rhs.body.insert(0, Stmt::Eval(Value(7)))), Problem::NotComputed(Value(7)));
    problem!(after(|p| p.rhs.values[3].op = Op::Result), Problem::NotComputed(Value(3)));
}

#[test]
fn types_fit() {
    problem!(text("v13 = math.pow v12, v8", "v13 = math.pow v12, v1"), Problem::Type { value: Value(1), .. });
    problem!(text("v1:b = lt", "v1 = lt"), Problem::Type { wanted: Ty::Bool, .. });
    problem!(text("var[1] = v1", "var[1] = v2"), Problem::Stored(Value(2)));
    problem!(text("next v6", "next v2"), Problem::UsedBeforeDefinition(_) | Problem::Type { .. });
    problem!(text("if v1 result", "if v0 result"), Problem::Type { value: Value(0), .. });
    problem!(text("at v2 len", "at v0 len"), Problem::Type { value: Value(0), .. });
    problem!(text("call fn0(v0, v1)", "call fn0(v0, v0)"), Problem::Type { value: Value(0), .. });
}

#[test]
fn loops_are_in_order() {
    problem!(text("0..3 carry", "3..0 carry"), Problem::Loop);
    problem!(text("  solve block0\n", "  for i0 in 0..1 {\n  }\n  solve block0\n"), Problem::IndexTaken(_));
    problem!(text("var[0] = v13", "var[0+1*i0] = v13"), Problem::IndexOutside(_));
    problem!(text("state[0+1*i0]", "state[0+0*i0]"), Problem::AffineForm);
}

#[test]
fn addresses_stay_inside() {
    problem!(
        text("state[0+1*i0]", "state[1+1*i0]"),
        Problem::Address { space: Space::State, least: 1, most: 3, size: 3 }
    );
    problem!(text("der[2-1*i0]", "der[1-1*i0]"), Problem::Address { least: -1, most: 1, .. });
    problem!(text("len 2 stride 1", "len 3 stride 1"), Problem::Address { most: 2, .. });
    problem!(text("len 2 stride 1", "len 2 stride -1"), Problem::Address { least: -1, .. });
    problem!(text("hist[0]", "hist[1]"), Problem::Address { space: Space::Hist, .. });
    problem!(text("state[0+1*i0]", "state[0+9223372036854775807*i0]"), Problem::AddressOverflow(_));
    // a loop without rounds touches nothing
    let p = read_program(&BASE.replacen("0..3 carry", "0..0 carry", 1).replacen("state[0+", "state[77+", 1));
    verify(&p.unwrap()).unwrap();
}

#[test]
fn kernels_keep_to_their_spaces() {
    problem!(text("var[0] = v13", "param[0] = v13"), Problem::Written(Space::Param));
    problem!(text("var[0] = v13", "t.var[0] = v13"), Problem::Written(Space::TVar));
    problem!(text("load state[0+1*i0]", "load root[0]"), Problem::Read(Space::Root));
    problem!(text("delay hist[0]", "delay var[0]"), Problem::Read(Space::Var));
    problem!(text("res[0] = v0 @0", "disc[0] = v0 @0"), Problem::Written(Space::Disc));
    problem!(
        after(|p| {
            let load = p.functions[0].code.value(
                Op::Load(Place { space: Space::Param, at: twinml_model::ir::Affine::constant(0) }),
                Ty::F64,
            );
            p.functions[0].code.body.push(Stmt::Eval(load));
        }),
        Problem::InFunction
    );
    problem!(after(|p| p.functions[0].code.body.push(Stmt::Solve(BlockId(0)))), Problem::InFunction);
}

#[test]
fn functions_call_backwards_with_fitting_arguments() {
    problem!(text("call fn0(v0, v1)", "call fn1(v0)"), Problem::CallOrder(_));
    problem!(text("call fn1(v10)", "call fn1(v10, v10)"), Problem::ArgumentCount { given: 2, wanted: 1 });
    problem!(text("math.pow v12, v8", "math.pow v12"), Problem::ArgumentCount { given: 1, wanted: 2 });
    problem!(text("v1:i = arg 1", "v1:i = arg 0"), Problem::Argument(0));
    problem!(text("v1:i = arg 1", "v1:i = arg 2"), Problem::Argument(2));
    problem!(text("-> v2 kernel \"first\"", "-> v9 kernel \"first\""), Problem::NoSuchValue(Value(9)));
    problem!(text("table0 order 0", "table0 order 3"), Problem::Order(3));
}

#[test]
fn nesting_is_bounded() {
    problem!(
        after(|p| {
            let mut body = Vec::new();
            for _ in 0..300 {
                let index = p.rhs.index();
                let l = twinml_model::ir::For { index, lo: 0, hi: 1, reverse: false, carries: vec![], body };
                body = vec![Stmt::For(Box::new(l))];
            }
            p.rhs.body = body;
        }),
        Problem::TooDeep
    );
    problem!(after(|p| p.rhs.indices = (1 << 20) + 1), Problem::TooManyIndices);
}

#[test]
fn data_fit_the_spaces() {
    problem!(
        text("default param [1.0, 2.0]", "default param [1.0, 2.0, 3.0]"),
        Problem::Defaults { size: 2, .. }
    );
    problem!(
        text("default param [1.0, 2.0]", "default param [1.0 x 2 by 2]"),
        Problem::Defaults { size: 2, .. }
    );
    problem!(text("origin 0 0..9", "origin 1 0..9"), Problem::Origin);
    problem!(text("origin 0 0..9", "origin 0 9..0"), Problem::Origin);
    problem!(text("disc 0 root 0 len 1", "disc 1 root 0 len 1"), Problem::Slots { space: Space::Disc, .. });
    problem!(text("disc 0 root 0 len 1", "disc 0 root 9 len 1"), Problem::Slots { space: Space::Root, .. });
    problem!(text("state 0 len 3", "state 1 len 3"), Problem::Slots { space: Space::State, .. });
    problem!(text("path \"x\"[3]", "path \"x\"[2]"), Problem::Shape { axes: 2, len: 3 });
    problem!(after(|p| p.schema.vars[0].path = Vec::<Segment>::new()), Problem::Shape { .. });
    for bad in ["x [1.0, 0.0]", "x [0.0]", "x []", "x [0.0, inf]", "x [0.0, 0.0]"] {
        problem!(text("x [0.0, 1.0]", bad), Problem::Table);
    }
}

#[test]
fn blocks_are_square_and_do_not_solve_themselves() {
    problem!(text("unknowns var 2 len 2", "unknowns var 2 len 1"), Problem::BlockSize { n: 2, .. });
    problem!(text("unknowns var 2 len 2", "unknowns var 3 len 2"), Problem::Slots { .. });
    problem!(text("unknowns var 2 len 2", "unknowns state 0 len 2"), Problem::Unknowns(Space::State));
    problem!(text("res 2 jac", "res 1 jac"), Problem::BlockSize { res: 1, .. } | Problem::Address { .. });
    problem!(text("residual_origin 0", "residual_origin 2"), Problem::ResidualOrigins);
    problem!(
        after(|p| p.blocks[0].origins = vec![(1, OriginId(0)), (1, OriginId(0))]),
        Problem::ResidualOrigins
    );
    problem!(
        after(|p| p.blocks[0].residual.body.push(Stmt::Solve(BlockId(0)))),
        Problem::SolvesItself(BlockId(0))
    );
    problem!(
        after(|p| {
            let mut other = p.blocks[0].clone();
            other.residual.body.push(Stmt::Solve(BlockId(0)));
            p.blocks.push(other);
            p.blocks[0].residual.body.push(Stmt::Solve(BlockId(1)));
        }),
        Problem::SolvesItself(_)
    );
    problem!(
        after(|p| p.blocks[0].unknowns.push(SlotRun { space: Space::Var, base: 0, len: 1 })),
        Problem::BlockSize { .. }
    );
}

#[test]
fn jacobians_fit() {
    let broken = |change: &dyn Fn(&mut Program)| {
        let mut p = base();
        p.rhs = read_program(
            "program \"p\" kernel rhs \"r\" indices 1 { for i0 in 0..3 { v0 = load state[0+1*i0] v1 = mul v0, v0 \
             der[0+1*i0] = v1 @0 } }",
        )
        .unwrap()
        .rhs;
        complete(&mut p);
        verify(&p).unwrap();
        change(&mut p);
        verify(&p).unwrap_err().problem
    };
    problem!(broken(&|p| p.jacobian.as_mut().unwrap().rows = 2), Problem::JacobianShape { rows: 2, .. });
    problem!(broken(&|p| p.sizes.jac = 0), Problem::JacobianEntries { room: 0, .. });
    let family = |f: &dyn Fn(&mut twinml_model::program::EntryFamily)| {
        broken(&|p| f(&mut p.jacobian.as_mut().unwrap().families[0]))
    };
    problem!(family(&|f| f.row.base = 1), Problem::Family { size: 3 });
    problem!(family(&|f| f.col.base = -1), Problem::Family { size: 3 });
    problem!(family(&|f| f.slot.base = 9), Problem::Family { .. });
    problem!(family(&|f| f.loops[0] = (5, 2)), Problem::Loop);
    problem!(family(&|f| f.loops.clear()), Problem::IndexOutside(_));
}

#[test]
fn noise_has_its_paths() {
    use twinml_model::program::Noise;
    let noise = |input, len, axes: Vec<u32>, first: Vec<u32>| Noise {
        input,
        len,
        path: vec![Segment { name: "w".into(), axes }],
        first,
        origin: OriginId(0),
    };
    let mut good = base();
    good.noise = vec![noise(0, 1, vec![1], vec![4])];
    verify(&good).unwrap();
    problem!(after(|p| p.noise = vec![noise(1, 1, vec![], vec![])]), Problem::Slots { .. });
    problem!(after(|p| p.noise = vec![noise(0, 1, vec![2], vec![0])]), Problem::NoisePaths { len: 1 });
    problem!(after(|p| p.noise = vec![noise(0, 1, vec![1], vec![])]), Problem::NoisePaths { .. });
    problem!(after(|p| p.noise = vec![noise(0, 0, vec![0], vec![0])]), Problem::NoisePaths { .. });
    let twice = vec![noise(0, 1, vec![], vec![]), noise(0, 1, vec![], vec![])];
    problem!(after(|p| p.noise = twice), Problem::NoisePaths { .. });
    problem!(
        after(|p| p.noise = vec![Noise { origin: OriginId(8), ..noise(0, 1, vec![], vec![]) }]),
        Problem::NoSuchOrigin(_)
    );
}
