//! Twins with type arguments, end to end: members that only the argument has are set, driven and recorded.
#![allow(clippy::unwrap_used, reason = "tests")]

mod rows;

use std::fs;
use std::process::Command;

use rows::Rows;

/// `J` goes through two twins; `Leaky` has a conductance and a current, of which `RC` knows nothing.
const MODEL: &str = "
twin RC { parameters { C: Real[F] = 1 mF } states { u: Voltage = 1 V } equations { C*der(u) = -u*1 [mS] } }
twin Leaky { extends RC; inputs { G: Real[S] = 1 mS }; parameters { gain: Real = 1 } outputs { o: Current = gain*G*u } }
twin Pair<K: RC> { twins { a: K; b: K { u = 2 V } } outputs { sum: Voltage = a.u + b.u } }
twin Deep<J: RC> { twins { p: Pair<K: J>; q: Pair<J> } outputs { d: Voltage = p.sum - q.sum } }
twin Named {
  extends Deep<J: Leaky> { p.a.gain = 3 }
  inputs { g: Real[S] = 2 mS }
  twins { r: Deep<J: Leaky>[2] { q.a.gain = [1, 4] } }
  outputs { i: Current = p.a.o + r[1].q.a.o }
  connections { g -> r[1].q.a.G }
}
scenario one for Deep<J: Leaky> {
  duration: 1 s
  parameters { p.a.gain = 5 }
  start { p.a.u = 3 V }
  drive q.b.G from \"g.csv\" column \"q.b.G\"
  at 0.5 s { p.b.G = 7 mS }
  record p.a.o, p.b.o, q.b.o, d every 1 s
}
scenario two for Named { duration: 1 s; parameters { r[0].p.b.gain = 7 } record i, r.p.b.o every 1 s }
";

#[track_caller]
fn run(scenario: &str) -> Rows {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), MODEL).unwrap();
    fs::write(place.path().join("g.csv"), "time,q.b.G\n0,0.001\n1,0.003\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
    command.args(["run", "m.twinml", "--scenario", scenario, "--rtol", "1e-10", "--si", "--out", "r.csv"]);
    let out = command.current_dir(place.path()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Rows::of_csv(&fs::read_to_string(place.path().join("r.csv")).unwrap())
}

#[track_caller]
fn ends(rows: &Rows, name: &str, wanted: f64) {
    let (time, value) = *rows.of(name).last().unwrap();
    assert!(time == 1.0 && (value - wanted).abs() < 1e-8 * wanted.abs(), "{name}: {value} for {wanted}");
}

/// What is left of 1 V after 1 s.
const LEFT: f64 = 0.367_879_441_171_442_33;

#[test]
fn a_scenario_sees_the_members_of_its_arguments() {
    let rows = run("one");
    ends(&rows, "p.a.o", 5.0 * 1e-3 * 3.0 * LEFT);
    ends(&rows, "p.b.o", 7e-3 * 2.0 * LEFT);
    ends(&rows, "q.b.o", 3e-3 * 2.0 * LEFT);
    ends(&rows, "d", 2.0 * LEFT);
}

#[test]
fn arguments_of_parts_and_bases_are_seen_too() {
    let rows = run("two");
    ends(&rows, "i", (3.0 * 1e-3 + 4.0 * 2e-3) * LEFT);
    ends(&rows, "r[0].p.b.o", 7.0 * 1e-3 * 2.0 * LEFT);
    ends(&rows, "r[1].p.b.o", 1e-3 * 2.0 * LEFT);
}
