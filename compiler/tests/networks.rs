//! Networks of ports: what is wrong with them is said at their connections; what is alike in them stays a loop.

#![allow(clippy::unwrap_used, reason = "tests")]

use expect_test::{Expect, expect};
use std::fmt::Write;
use twinml_compiler::driver::{Choice, Compiled, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;

const PARTS: &str = "\
connector Pin { potential v: Voltage; flow i: Current }
twin R { parameters { R: Resistance = 1 ohm } ports { p: Pin; n: Pin } equations { p.v - n.v = R*p.i; p.i + n.i = 0 A } }
twin V { parameters { u: Voltage = 1 V } ports { p: Pin; n: Pin } equations { p.v - n.v = u; p.i + n.i = 0 A } }
twin I { parameters { i: Current = 1 A } ports { p: Pin; n: Pin } equations { p.i = -i; p.i + n.i = 0 A } }
twin G { ports { p: Pin } equations { p.v = 0 V } }
twin C { ports { p: Pin; n: Pin } states { v: Voltage = 0 V } equations { v = p.v - n.v; p.i + n.i = 0 A; 1 F*der(v) = p.i } }
";

fn compile(text: &str) -> (Session, Option<Compiled>) {
    let mut session = Session::check("test.twinml", &format!("{PARTS}{text}"), &MemoryLoader::new());
    let done = session.compile(Choice { keep_system: true, ..Choice::default() }, &mut NoData);
    (session, done)
}

/// Compares codes, messages and the texts of the places.
#[track_caller]
fn refused(text: &str, want: Expect) {
    let (session, done) = compile(text);
    assert!(done.is_none(), "it compiles: {text}");
    let full = format!("{PARTS}{text}");
    let at = |s: twinml_compiler::source::Span| full[s.lo as usize..s.hi as usize].to_owned();
    let mut out = String::new();
    for d in &session.diags {
        let _ = writeln!(out, "{} `{}`: {}", d.code, at(d.primary.span), d.message);
        for l in &d.labels {
            let _ = writeln!(out, "  `{}`: {}", at(l.span), l.text);
        }
    }
    want.assert_eq(&out);
}

#[track_caller]
fn compiled(text: &str) -> Compiled {
    let (session, done) = compile(text);
    done.unwrap_or_else(|| panic!("{:?}", session.diags.iter().map(|d| &d.message).collect::<Vec<_>>()))
}

#[test]
fn no_ground() {
    refused(
        "twin M { twins { v: V; r: R[2]; c: C } connections { v.p -- r[0].p; r[0].n -- c.p; c.n -- r[1].p; r[1].n -- v.n } }",
        expect![[r#"
            E0602 `v.p -- r[0].p`: nothing ties this network to a level
              `r[0].n -- c.p`: of the same network
              `c.n -- r[1].p`: of the same network
              `r[1].n -- v.n`: of the same network
        "#]],
    );
    // A part of it that nothing ties down, beside one that is.
    refused(
        "twin M { twins { v: V; r: R[2]; g: G; w: V; s: R }
          connections { v.p -- r[0].p; r[0].n -- g.p; v.n -- g.p; w.p -- s.p; w.n -- s.n; r[1].p -- g.p; r[1].n -- g.p } }",
        expect![[r#"
            E0602 `w.p -- s.p`: nothing ties this network to a level
              `w.n -- s.n`: of the same network
        "#]],
    );
}

#[test]
fn two_sources_of_one_voltage() {
    refused(
        "twin M { twins { a: V; b: V { u = 2 V }; r: R; g: G } connections { a.p -- b.p; a.n -- b.n; b.p -- r.p; r.n -- g.p; b.n -- g.p } }",
        expect![[r#"
            E0601 `b.n -- g.p`: too many equations: 6 equations for 5 unknowns
              `p.v - n.v = u`: also determines these unknowns
              `p.v = 0 V`: also determines these unknowns
              `a.p -- b.p`: also determines these unknowns
              `a.n -- b.n`: also determines these unknowns
        "#]],
    );
}

#[test]
fn two_sources_of_one_current() {
    refused(
        "twin M { twins { a: I; b: I; r: R; g: G } connections { a.p -- b.n; b.p -- r.p; r.n -- g.p; a.n -- g.p } }",
        expect![[r#"
            E0601 `a.p -- b.n`: too many equations: 4 equations for 3 unknowns
              `p.i = -i`: also determines these unknowns
              `p.i + n.i = 0 A`: also determines these unknowns
        "#]],
    );
}

#[test]
fn two_grounds() {
    refused(
        "twin M { twins { a: G; b: G } connections { a.p -- b.p } }",
        expect![[r#"
            E0601 `a.p -- b.p`: too many equations: 3 equations for 2 unknowns
              `p.v = 0 V`: also determines these unknowns
        "#]],
    );
}

/// A chain of cells in which current and voltage depend on one another: nothing is written out and no loop is left, and the
/// program is as long for a thousand cells as for ten.
#[test]
fn chains_stay_loops() {
    let pack = |n: u32| {
        compiled(&format!(
            "twin Cell {{
               parameters {{ Q: Charge = 1 A*s; R: Resistance = 1 ohm; B: Resistance = 5 ohm }}
               inputs {{ bleed: Bool = false }} outputs {{ v: Voltage = p.v - n.v }}
               ports {{ p: Pin; n: Pin }} states {{ q: Real = 0.5 }} variables {{ b: Current }}
               equations {{
                 b = if bleed then (p.v - n.v)/B else 0 A
                 p.i + n.i = 0 A
                 Q*der(q) = p.i - b
                 p.v - n.v = 3 V + q*1 V + R*(p.i - b)
               }}
             }}
             twin M {{
               twins {{ c: Cell[{n}]; s: I; g: G }}
               connections {{ s.p -- c[0].p; for k in 0..{n} - 1 {{ c[k].n -- c[k + 1].p }}; c[{n} - 1].n -- g.p; s.n -- g.p }}
             }}"
        ))
    };
    let (few, many) = (pack(10), pack(1000));
    for c in [&few, &many] {
        assert!(c.structure.expanded.is_empty(), "{:?}", c.structure.expanded);
        assert!(c.structure.loops.is_empty(), "{:?}", c.structure.loops);
    }
    let long = |c: &Compiled| twinml_model::text::program_text(&c.program).lines().count();
    assert!(long(&many) < long(&few) + 20, "{} and {} lines", long(&few), long(&many));
}

/// A plane of stores with resistors between them: each of the four families of connections is one loop.
#[test]
fn planes_stay_loops() {
    let c = compiled(
        "twin M { twins { h: R[20, 19]; v: R[19, 20]; c: C[20, 20]; g: G }
          connections {
            for i in 0..20 { for j in 0..20 { c[i, j].n -- g.p } }
            for i in 0..20 { for j in 0..19 { h[i, j].p -- c[i, j].p; h[i, j].n -- c[i, j + 1].p } }
            for i in 0..19 { for j in 0..20 { v[i, j].p -- c[i, j].p; v[i, j].n -- c[i + 1, j].p } }
          } }",
    );
    assert!(c.structure.expanded.is_empty(), "{:?}", c.structure.expanded);
    assert!(c.structure.loops.is_empty(), "{:?}", c.structure.loops);
    assert_eq!(c.structure.states, 400);
}
