//! Behaviour that goes on without end, holds too much or never gets quiet is stopped and named; `fail`, `stop` and
//! `log` are said. Each model is run by the binary, and what it prints is expected word for word.
#![allow(clippy::unwrap_used, reason = "tests")]

use expect_test::{Expect, expect};
use serde_json::Value;
use std::fs;
use std::process::Command;

struct Ran {
    code: Option<i32>,
    /// Standard output, then standard error.
    said: String,
    summary: Value,
}

fn run(model: &str, args: &[&str]) -> Ran {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), model).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
    command.args(["run", "m.twinml", "--out", "out", "--no-plot"]).args(args).current_dir(place.path());
    let out = command.output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    // The work that a run took is no matter here.
    let plain = |line: &str| match line.split_once(" samples, ") {
        Some((before, _)) => before.rsplit_once(':').map_or(before, |(b, _)| b).to_owned(),
        None => line.trim_end().to_owned(),
    };
    let said = text
        .lines()
        .filter(|l| !l.contains("Compiled ") && !l.contains("Running ") && !l.contains("Written "))
        .map(|l| plain(l) + "\n")
        .collect();
    let summary = fs::read_to_string(place.path().join("out/summary.json")).unwrap_or_default();
    Ran { code: out.status.code(), said, summary: serde_json::from_str(&summary).unwrap_or(Value::Null) }
}

#[track_caller]
fn fails(model: &str, expected: Expect) {
    let ran = run(model, &[]);
    expected.assert_eq(&ran.said);
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.summary["ended"], "failed");
    assert!(!ran.summary["failure"]["message"].as_str().unwrap().is_empty());
}

/// A twin with this behaviour, and members before it.
fn twin(members: &str, behavior: &str) -> String {
    format!(
        "twin T {{\n  {members}\n  behavior {{\n    {behavior}\n  }}\n}}\nscenario s for T {{ duration: 10 s }}\n"
    )
}

#[test]
fn an_endless_loop_is_named() {
    fails(
        &twin("states { n: Int = 0 }", "every 1 s {\n      while true { n = n + 1 }\n    }"),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `every`: a loop did not end within its fuel of 10000000 instructions, at t = 0 s
               ╭─[ m.twinml:5:7 ]
               │
             5 │       while true { n = n + 1 }
               │       ────────────┬───────────
               │                   ╰───────────── this goes on without end
               │
               │ Help: let the loop end, or `wait` in it
            ───╯
        "#]],
    );
}

#[test]
fn a_loop_over_large_values_costs_by_their_size() {
    // Ten million instructions over as many elements each would take days.
    let fill = "for i in 0..300_000 { q.push(1) }";
    fails(
        &twin(
            "memory { q: List<Real> }",
            &format!("on start {{\n      {fill}\n      while true {{ q = q.map(x -> x + 1) }}\n    }}"),
        ),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: a loop did not end within its fuel of 10000000 instructions, at t = 0 s
               ╭─[ m.twinml:6:7 ]
               │
             6 │       while true { q = q.map(x -> x + 1) }
               │       ──────────────────┬─────────────────
               │                         ╰─────────────────── this goes on without end
               │
               │ Help: let the loop end, or `wait` in it
            ───╯
        "#]],
    );
    fails(
        &twin(
            "memory { q: List<Real> }\n  states { b: Bool = false }",
            &format!("on start {{\n      {fill}\n      while true {{ b = q.contains(2) }}\n    }}"),
        ),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: a loop did not end within its fuel of 10000000 instructions, at t = 0 s
               ╭─[ m.twinml:7:7 ]
               │
             7 │       while true { b = q.contains(2) }
               │       ────────────────┬───────────────
               │                       ╰───────────────── this goes on without end
               │
               │ Help: let the loop end, or `wait` in it
            ───╯
        "#]],
    );
    fails(
        &twin("states { a: Real[1][100000] = 1 }", "on start {\n      while true { a = a + a }\n    }"),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: a loop did not end within its fuel of 10000000 instructions, at t = 0 s
               ╭─[ m.twinml:5:7 ]
               │
             5 │       while true { a = a + a }
               │       ────────────┬───────────
               │                   ╰───────────── this goes on without end
               │
               │ Help: let the loop end, or `wait` in it
            ───╯
        "#]],
    );
}

#[test]
fn a_function_that_calls_itself_without_end_is_named() {
    fails(
        &twin(
            "states { n: Real = 0 }",
            "every 1 s { n = f(n) }\n    private func f(x: Real): Real { return f(x + 1) }",
        ),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `T.f`: functions call one another more than 200 levels deep, at t = 0 s
               ╭─[ m.twinml:5:44 ]
               │
             5 │     private func f(x: Real): Real { return f(x + 1) }
               │                                            ────┬───
               │                                                ╰───── this call is one too many
               │
               │ Help: let the function end without calling itself, or write a loop
            ───╯
        "#]],
    );
}

#[test]
fn what_grows_without_end_meets_the_limit_of_memory() {
    fails(
        &twin("states { s: String = \"x\" }", "on start { while true { s = s + s } }"),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: behaviour holds more than its 64 MB of memory, at t = 0 s
               ╭─[ m.twinml:4:33 ]
               │
             4 │     on start { while true { s = s + s } }
               │                                 ──┬──
               │                                   ╰──── what this makes is too much
               │
               │ Help: take out what is put in, or keep less; events, timers and waiting handlers count too
            ───╯
        "#]],
    );
    fails(
        &twin("memory { q: Queue<Real> }", "every 1 ms {\n      for i in 0..100_000 { q.push(1.0) }\n    }"),
        expect![[r#"
                 Failed at 27 ms
            [E0810] Error: `every`: behaviour holds more than its 64 MB of memory, at t = 0.027 s
               ╭─[ m.twinml:5:29 ]
               │
             5 │       for i in 0..100_000 { q.push(1.0) }
               │                             ─────┬─────
               │                                  ╰─────── what this makes is too much
               │
               │ Help: take out what is put in, or keep less; events, timers and waiting handlers count too
            ───╯
        "#]],
    );
    fails(
        &twin("", "on start { while true { emit a(x: \"a text\") } }\n    on a { }"),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: behaviour holds more than its 64 MB of memory, at t = 0 s
               ╭─[ m.twinml:4:29 ]
               │
             4 │     on start { while true { emit a(x: "a text") } }
               │                             ─────────┬─────────
               │                                      ╰─────────── what this makes is too much
               │
               │ Help: take out what is put in, or keep less; events, timers and waiting handlers count too
            ───╯
        "#]],
    );
    fails(
        &twin("", "on start { while true { after 5 s { log \"late\" } } }"),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: behaviour holds more than its 64 MB of memory, at t = 0 s
               ╭─[ m.twinml:4:29 ]
               │
             4 │     on start { while true { after 5 s { log "late" } } }
               │                             ────────────┬───────────
               │                                         ╰───────────── what this makes is too much
               │
               │ Help: take out what is put in, or keep less; events, timers and waiting handlers count too
            ───╯
        "#]],
    );
    fails(
        &twin("", "on start { while true { log \"again\" } }"),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: behaviour holds more than its 64 MB of memory, at t = 0 s
               ╭─[ m.twinml:4:29 ]
               │
             4 │     on start { while true { log "again" } }
               │                             ─────┬─────
               │                                  ╰─────── what this makes is too much
               │
               │ Help: take out what is put in, or keep less; events, timers and waiting handlers count too
            ───╯
        "#]],
    );
}

#[test]
fn what_waits_counts_too() {
    // When the limit is met depends on what a value takes: the handler and the limit are named.
    let met = |model: &str, handler: &str| {
        let ran = run(model, &[]);
        assert_eq!(ran.code, Some(3), "{}", ran.said);
        let wanted = format!("Error: `{handler}`: behaviour holds more than its 64 MB of memory, at t = ");
        assert!(ran.said.contains(&wanted), "{}", ran.said);
        assert!(ran.said.contains("events, timers and waiting handlers count too"), "{}", ran.said);
    };
    met(&twin("", "every 1 us { wait until(false) }"), "every");
    met(&twin("", "every 1 us { emit call(x: 1.0) }\n    on call(x: Real) queued { wait 1 h }"), "every");
    met(&twin("", "on start { emit a }\n    on a {\n      emit a\n      emit a\n    }"), "on a");
}

#[test]
fn values_inside_values_have_a_limit() {
    fails(
        &twin("memory { x: Any }", "on start { while true { x = [x] } }"),
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: a value is nested more than 200 levels deep, at t = 0 s
               ╭─[ m.twinml:4:33 ]
               │
             4 │     on start { while true { x = [x] } }
               │                                 ─┬─
               │                                  ╰─── what this makes is too much
               │
               │ Help: keep a list of values instead of values inside values
            ───╯
        "#]],
    );
    let model = "record Node { v: Real, next: Node? }\n".to_owned()
        + &twin("states { n: Node? = none }", "on start { while true { n = Node(v: 1, next: n) } }");
    fails(
        &model,
        expect![[r#"
                 Failed at 0 s
            [E0810] Error: `on start`: a value is nested more than 200 levels deep, at t = 0 s
               ╭─[ m.twinml:5:33 ]
               │
             5 │     on start { while true { n = Node(v: 1, next: n) } }
               │                                 ─────────┬─────────
               │                                          ╰─────────── what this makes is too much
               │
               │ Help: keep a list of values instead of values inside values
            ───╯
        "#]],
    );
}

#[test]
fn an_instant_that_does_not_end_names_all_handlers_involved() {
    fails(
        &twin("", "on start { emit ping }\n    on ping { emit pong }\n    on pong { emit ping }"),
        expect![[r#"
                 Failed at 0 s
            [E0807] Error: `on ping`: the instant is not quiet after 1000 steps: `on ping`, `on pong`, at t = 0 s
               ╭─[ m.twinml:5:5 ]
               │
             5 │     on ping { emit pong }
               │     ────┬───
               │         ╰───── this runs again and again
             6 │     on pong { emit ping }
               │     ────┬───
               │         ╰───── and this
               │
               │ Help: let handlers of one instant come to an end, or let time pass between them
            ───╯
        "#]],
    );
    fails(
        &twin("", "on start { while true { wait 0 s } }"),
        expect![[r#"
                 Failed at 0 s
            [E0807] Error: `on start`: the instant is not quiet after 1000 steps: `on start`, at t = 0 s
               ╭─[ m.twinml:4:5 ]
               │
             4 │     on start { while true { wait 0 s } }
               │     ────┬────
               │         ╰────── this runs again and again
               │
               │ Help: let handlers of one instant come to an end, or let time pass between them
            ───╯
        "#]],
    );
    fails(
        &twin(
            "states { b: Bool = false }",
            "machine m {\n      initial i\n      state i { when b -> j }\n      state j { when b -> i }\n    }\n    at 1 s { b = true }",
        ),
        expect![[r#"
                 Failed at 1 s
            [E0807] Error: `when b -> j`: the instant is not quiet after 1000 steps: `when b -> j`, `when b -> i`, at t = 1 s
               ╭─[ m.twinml:6:17 ]
               │
             6 │       state i { when b -> j }
               │                 ─────┬─────
               │                      ╰─────── this runs again and again
             7 │       state j { when b -> i }
               │                 ─────┬─────
               │                      ╰─────── and this
               │
               │ Help: let handlers of one instant come to an end, or let time pass between them
            ───╯
        "#]],
    );
    // Over a connection, and in an array: the twins are named too.
    fails(
        "
twin Half { behavior { on hit { emit back } } }
twin T {
  twins { a: Half; b: Half[2] }
  connections { a.back -> b[1].hit; b[1].back -> a.hit }
  behavior { at 2 s { emit begin } }
  connections { begin -> a.hit }
}
scenario s for T { duration: 10 s }
",
        expect![[r#"
                 Failed at 2 s
            [E0807] Error: `on hit` of `a`: the instant is not quiet after 1000 steps: `on hit` of `a`, `on hit` of `b[1]`, at t = 2 s
               ╭─[ m.twinml:2:24 ]
               │
             2 │ twin Half { behavior { on hit { emit back } } }
               │                        ───┬───
               │                           ╰───── this runs again and again
               │                           │
               │                           ╰───── and this
               │
               │ Help: let handlers of one instant come to an end, or let time pass between them
            ───╯
        "#]],
    );
}

const PUMP: &str = "
twin Pump {
  states { x: Length = 0 m }
  equations { der(x) = 1 m/s }
  behavior {
    at 1 s { log \"at ${x}\" }
    at 3 s { END }
  }
}
twin T { twins { p: Pump[2] } }
scenario s for T { duration: 10 s }
";

#[test]
fn fail_gives_its_reason_and_its_twin() {
    let ran = run(&PUMP.replace("END", "fail \"the pump broke at ${x}\""), &[]);
    expect![[r#"
                Log 1 s  p[0]: at 1 m
                    1 s  p[1]: at 1 m
             Failed at 3 s
        [E0810] Error: `at` of `p[0]`: the pump broke at 3 m, at t = 3 s
           ╭─[ m.twinml:7:14 ]
           │
         7 │     at 3 s { fail "the pump broke at ${x}" }
           │              ──────────────┬──────────────
           │                            ╰──────────────── it fails here
        ───╯
    "#]]
    .assert_eq(&ran.said);
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.summary["ended"], "failed");
    assert_eq!(ran.summary["failure"]["time"], 3.0);
    assert_eq!(ran.summary["logged"], 2);
    assert_eq!(ran.summary["log"][1]["twin"], "p[1]");
    assert_eq!(ran.summary["log"][1]["text"], "at 1 m");
}

#[test]
fn stop_ends_the_run_with_its_reason() {
    let model = PUMP.replace("END", "stop \"full\"");
    let ran = run(&model, &[]);
    expect![[r#"
                Log 1 s  p[0]: at 1 m
                    1 s  p[1]: at 1 m
              Ended at 3 s (`stop`: full)
    "#]]
    .assert_eq(
        &ran.said.lines().map(|l| format!("{}\n", l.strip_prefix("      ").unwrap_or(l))).collect::<String>(),
    );
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.summary["ended"], "halted");
    assert_eq!(ran.summary["reason"], "full");
    assert_eq!(ran.summary["time"], 3.0);

    let ran = run(&model, &["--format", "json"]);
    let objects: Vec<Value> = ran.said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let kind = |k: &str| objects.iter().filter(|o| o["type"] == k).collect::<Vec<_>>();
    let said = kind("log");
    assert_eq!(said.len(), 2);
    assert_eq!(
        (&said[0]["twin"], &said[0]["text"], &said[0]["time"]),
        (&"p[0]".into(), &"at 1 m".into(), &1.0.into())
    );
    let finished = kind("finished")[0];
    assert_eq!((&finished["ended"], &finished["reason"]), (&"halted".into(), &"full".into()));
    assert_eq!(finished["logged"], 2);
}

#[test]
fn windows_that_stop_leaves_open_are_inconclusive() {
    let model = "
twin T {
  states { x: Length = 0 m }
  equations { der(x) = 1 m/s }
  behavior { at 3 s { stop } }
  constraints { low: always(x < 5 m); fast: eventually[0, 2 s](x > 1 m); far: eventually[0, 8 s](x > 6 m); high: eventually(x > 6 m) }
}
scenario s for T { duration: 10 s }
";
    let ran = run(model, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.said.contains("Ended at 3 s (`stop`)"), "{}", ran.said);
    // The run is over by its own decision: only a window with an end beyond it is open.
    for (k, verdict) in ["holds", "holds", "inconclusive", "violated"].into_iter().enumerate() {
        assert_eq!(ran.summary["requirements"][k]["verdict"], verdict, "{k}");
    }
}

#[test]
fn many_messages_are_counted_and_the_first_are_shown() {
    let ran = run(&twin("", "every 10 us { log \"again\" }"), &["--until", "1 s"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(ran.summary["logged"], 100_001);
    assert_eq!(ran.summary["log"].as_array().unwrap().len(), 1000);
    assert!(ran.said.contains("and 99 951 further messages"), "{}", ran.said);
}

#[test]
fn a_root_of_what_has_come_to_zero_is_told() {
    fails(
        "twin A {\n  states { h: Length = 1 m }\n  equations { der(h) = -0.1 [m^0.5/s]*sqrt(h) }\n}\nscenario s for A { duration: 30 s; record all every 1 s }\n",
        expect![[r#"
                 Failed at 20 s
            [E0801] Error: the step size became too small at t = 20.000022530523918 s (3.424e-14 s); `h` has the largest error
               ╭─[ m.twinml:3:15 ]
               │
             3 │   equations { der(h) = -0.1 [m^0.5/s]*sqrt(h) }
               │               ───────────────┬───────────────
               │                              ╰───────────────── this equation
               │
               │ Help: at 0 a root has no slope, a logarithm and a quotient have no value: keep what is below 0 out of them, as in `sqrt(max(h, 0 m))`
               │
               │ Note: at the values h = 1.21806e-30 m
            ───╯
        "#]],
    );
}

#[test]
fn what_is_no_number_ends_the_run_where_nothing_integrates_it() {
    fails(
        "twin A {\n  outputs { y: Real = sqrt(1 - x) }\n  states { x: Real = 0.5 }\n  equations { der(x) = 0.1 [1/s] }\n}\nscenario s for A { duration: 10 s; solver: rk4(step: 10 ms); record all every 100 ms }\n",
        expect![[r#"
                 Failed at 5 s
            [E0801] Error: `y` is not a number at t = 5 s
               ╭─[ m.twinml:2:23 ]
               │
             2 │   outputs { y: Real = sqrt(1 - x) }
               │                       ─────┬─────
               │                            ╰─────── its equation
               │
               │ Help: look for a division by zero, a root or logarithm of a negative value, or a factor of the unknown that has become 0, here or in the equations that are solved together with this one
               │
               │ Note: at the values y = NaN
            ───╯
        "#]],
    );
    // Neither recorded nor read, but a requirement looks.
    fails(
        "twin A {\n  states { x: Real = 1 }\n  variables { m: Real }\n  equations {\n    der(x) = -1 [1/s]\n    m = sqrt(x)\n  }\n  constraints { c: always(m < 3) }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 3 s
                Verdict c  inconclusive   robustness 2  (closest at 0 s)
            [E0801] Error: `m` is not a number at t = 3 s
               ╭─[ m.twinml:6:5 ]
               │
             6 │     m = sqrt(x)
               │     ─────┬─────
               │          ╰─────── its equation
               │
               │ Help: look for a division by zero, a root or logarithm of a negative value, or a factor of the unknown that has become 0, here or in the equations that are solved together with this one
               │
               │ Note: at the values m = NaN
            ───╯
        "#]],
    );
    // At the start, and what an event brings about.
    fails(
        "twin A {\n  states { n: Real = 0 }\n  variables { share: Real }\n  equations { share = n/n }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 0 s
            [E0801] Error: `share` is not a number at t = 0 s
               ╭─[ m.twinml:4:15 ]
               │
             4 │   equations { share = n/n }
               │               ─────┬─────
               │                    ╰─────── its equation
               │
               │ Help: look for a division by zero, a root or logarithm of a negative value, or a factor of the unknown that has become 0, here or in the equations that are solved together with this one
               │
               │ Note: at the values share = NaN
            ───╯
        "#]],
    );
    fails(
        "twin A {\n  states { n: Real = 1 }\n  outputs { share: Real = n/n }\n  behavior { at 2 s { n = 0 } }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 2 s
            [E0801] Error: `share` is not a number at t = 2 s
               ╭─[ m.twinml:3:27 ]
               │
             3 │   outputs { share: Real = n/n }
               │                           ─┬─
               │                            ╰─── its equation
               │
               │ Help: look for a division by zero, a root or logarithm of a negative value, or a factor of the unknown that has become 0, here or in the equations that are solved together with this one
               │
               │ Note: at the values share = NaN
            ───╯
        "#]],
    );
    fails(
        "twin A {\n  states { n: Real = 1 }\n  behavior { at 2 s { n = sqrt(-n) } }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 2 s
            [E0810] Error: `at`: what is assigned to `n` is not a number, at t = 2 s
               ╭─[ m.twinml:3:23 ]
               │
             3 │   behavior { at 2 s { n = sqrt(-n) } }
               │                       ──────┬─────
               │                             ╰─────── here
               │
               │ Help: look for `0/0`, or a root or logarithm of a negative value
            ───╯
        "#]],
    );
}

#[test]
fn what_may_have_no_value_goes_on() {
    // A branch that is not taken, a value at the edge, a requirement outside of its window, a free place.
    let model = "twin Truck { states { load: Real = 0; trips: Int = 1 }\n  variables { share: Real }\n  equations { share = load/trips } }\n\
        twin A {\n  twins { trucks: Truck[0..4] { trips = 0 } }\n  states { x: Real = 1; n: Int = 0 }\n\
          outputs { y: Real = if x > 0.5 then log(x) else sqrt(x - 0.5 + 1); edge: Real = 1/n }\n\
          equations { der(x) = -0.1 [1/s] }\n\
          constraints { late: always[1 s, 3 s](n/time <= 1 [1/s]) }\n}\nscenario s for A { duration: 3 s; record all every 1 s }\n";
    let ran = run(model, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[test]
fn whole_numbers_neither_divide_by_0_nor_grow_without_end() {
    fails(
        "twin A {\n  states { k: Int = 0; z: Int = 0 }\n  behavior { at 1 s { k = div(1, z) } }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 1 s
            [E0810] Error: `at`: `div` divides by 0, at t = 1 s
               ╭─[ m.twinml:3:27 ]
               │
             3 │   behavior { at 1 s { k = div(1, z) } }
               │                           ────┬────
               │                               ╰────── it fails here
            ───╯
        "#]],
    );
    fails(
        "twin A {\n  states { k: Int = 0; z: Int = 0 }\n  behavior {\n    func part(n: Int): Int = mod(7, n)\n    at 1 s { if part(z) > 3 { k = 1 } }\n  }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 1 s
            [E0810] Error: `A.part`: `mod` divides by 0, at t = 1 s
               ╭─[ m.twinml:4:30 ]
               │
             4 │     func part(n: Int): Int = mod(7, n)
               │                              ────┬────
               │                                  ╰────── it fails here
            ───╯
        "#]],
    );
    fails(
        "twin A {\n  states { n: Int = 1 }\n  behavior { every 1 s { n = 1000*n } }\n}\nscenario s for A { duration: 20 s }\n",
        expect![[r#"
                 Failed at 5 s
            [E0810] Error: `every`: `n` would become 1e18: an `Int` is exact below 2^53, at t = 5 s
               ╭─[ m.twinml:3:26 ]
               │
             3 │   behavior { every 1 s { n = 1000*n } }
               │                          ─────┬────
               │                               ╰────── here
               │
               │ Help: count in a `Real`, or in larger steps
            ───╯
        "#]],
    );
    fails(
        "twin A {\n  states { z: Int = 1 }\n  outputs { y: Int = div(5, z) }\n  behavior { at 1 s { z = 0 } }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 1 s
            [E0801] Error: `y` is inf at t = 1 s, and an `Int` is exact below 2^53
               ╭─[ m.twinml:3:22 ]
               │
             3 │   outputs { y: Int = div(5, z) }
               │                      ────┬────
               │                          ╰────── its equation
               │
               │ Help: look for a division by 0 in `div`, or count in a `Real`, or in larger steps
               │
               │ Note: at the values y = inf
            ───╯
        "#]],
    );
}

#[test]
fn a_function_that_nobody_defines_fails_where_it_is_reached() {
    let model = "twin A {\n  states { n: Int = 0 }\n  behavior {\n    at 5 s {\n      n = readout(3) + 1\n    }\n  }\n}\n";
    let early = run(model, &["--until", "4 s"]);
    assert_eq!(early.code, Some(0), "{}", early.said);
    assert!(early.said.contains("W0301"), "{}", early.said);
    let denied = run(model, &["--until", "4 s", "--deny", "warnings"]);
    assert_eq!(denied.code, Some(2), "{}", denied.said);
    let ran = run(model, &["--until", "10 s"]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    expect![[r#"
             Failed at 5 s
        [W0301] Warning: `A` calls a function that it does not define: `readout`
           ╭─[ m.twinml:5:11 ]
           │
         5 │       n = readout(3) + 1
           │           ───┬───
           │              ╰───── not defined
           │
           │ Help: define them in `behavior`, or use a module that does
           │
           │ Note: reaching one at run time is an error with the conversation's path
        ───╯
        [E0810] Error: `at`: `readout` is called, and nothing defines it, at t = 5 s
           ╭─[ m.twinml:5:11 ]
           │
         5 │       n = readout(3) + 1
           │           ─────┬────
           │                ╰────── it fails here
        ───╯
    "#]]
    .assert_eq(&ran.said);
}

#[test]
fn a_scenario_may_fail() {
    let model = "twin T {\n  states { n: Int = 0 }\n}\nscenario s for T {\n  duration: 10 s\n  at 5 s { fail \"the pump broke\" }\n}\n";
    fails(
        model,
        expect![[r#"
             Failed at 5 s
        [E0810] Error: `the scenario`: the pump broke, at t = 5 s
           ╭─[ m.twinml:6:12 ]
           │
         6 │   at 5 s { fail "the pump broke" }
           │            ──────────┬──────────
           │                      ╰──────────── it fails here
        ───╯
    "#]],
    );
}

#[test]
fn what_the_run_is_too_short_for_says_so() {
    let model = "twin T {\n  states { x: Real = 1 }\n  equations { der(x) = -x/(10 s) }\n  constraints {\n\
        a: always[20 s, 30 s](x > 0.5)\n  b: eventually[5 s, 30 s](x > 2)\n  c: mean(x over [20 s, 30 s]) < 3\n\
        d: always(x < 2)\n  kpi most: max(x over [20 s, 30 s])\n  kpi least: min(x over [1 s, 3 s])\n }\n}\n\
        scenario s for T { duration: 10 s }\n";
    let ran = run(model, &[]);
    assert_eq!(ran.code, Some(4), "{}", ran.said);
    for line in [
        "a  inconclusive   (its window ends at 30 s, after the run)",
        "b  inconclusive   robustness -1.39  (closest at 5 s)  (its window ends at 30 s, after the run)",
        "c  inconclusive   (its window ends at 30 s, after the run)",
        "d  holds          robustness 1  (closest at 0 s)",
        "KPI most   not known  (its window ends at 30 s, after the run)",
        "least  0.7408",
    ] {
        assert!(ran.said.contains(&format!("{line}\n")), "{line}: {}", ran.said);
    }
}

/// A gap around 5.2 s in what no derivative reads, `half` to either side.
fn gap(half: &str, record: &str) -> String {
    format!(
        "twin Gap {{\n  parameters {{ by: Real = 1 ~ uniform(0.9, 1.1) }}\n  states {{ x: Real = 0 }}\n  \
         variables {{ hidden: Real }}\n  outputs {{ y: Real = 1*x }}\n  equations {{\n    der(x) = 1 [1/s]\n    \
         hidden = sqrt(abs(x - 5.2) - {half})\n  }}\n}}\n\
         scenario s for Gap {{ duration: 10 s; solver: rk4(step: 10 ms); {record} }}\n"
    )
}

#[test]
fn a_row_that_holds_no_number_ends_a_run() {
    let ran = |half| {
        let rows = ["record x every 1 s", "record all every 50 ms", "record y every 2 ms"];
        rows.map(|record| run(&gap(half, record), &[]))
    };
    // As it stands there in the middle of the run, all see it; who records it sees where it begins.
    for (r, at) in ran("4*by").iter().zip(["5 s", "1.2 s", "5 s"]) {
        assert_eq!((r.code, r.summary["ended"].as_str()), (Some(3), Some("failed")), "{}", r.said);
        let said = format!("[E0801] Error: `hidden` is not a number at t = {at}");
        assert!(r.said.contains(&said), "{said}: {}", r.said);
    }
    // Between, nobody sees it who does not record it.
    for (r, ended) in ran("0.12*by").iter().zip(["complete", "failed", "complete"]) {
        assert_eq!(r.summary["ended"].as_str(), Some(ended), "{}", r.said);
    }
}

#[test]
fn a_job_and_its_replays_agree_which_samples_fail() {
    let place = tempfile::tempdir().unwrap();
    let twinc = |args: &[&str]| {
        let out =
            Command::new(env!("CARGO_BIN_EXE_twinc")).args(args).current_dir(place.path()).output().unwrap();
        let said = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
        (out.status.code(), said)
    };
    fs::write(place.path().join("m.twinml"), gap("(by - 0.99)*20", "record all every 10 ms")).unwrap();
    let failed = |args: &[&str]| {
        let (_, said) = twinc(&[&["mc", "m.twinml", "-n", "40"], args].concat());
        let line = said.lines().find(|l| l.contains(" failed")).unwrap_or_else(|| panic!("{said}"));
        line.split_once(", ").unwrap().1.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let plain = failed(&["--out", "job"]);
    assert_eq!(failed(&["--out", "traced", "--record", "y"]), plain);
    let mut told = 0;
    let alone = (0..40).filter(|k| match twinc(&["replay", &format!("job#{k}")]) {
        (Some(0), said) => {
            told += usize::from(said.contains("[W0802] Warning: `hidden` is not a number at t = "));
            false
        }
        (Some(3), said) => said.contains("[E0801]"),
        (code, said) => panic!("{code:?} {said}"),
    });
    assert_eq!(alone.count(), plain);
    assert!(plain > 0 && plain < 40 && told > 0, "{plain} {told}");
}

#[test]
fn a_scenario_may_speak_and_stop() {
    let model = "twin A {\n  states { x: Real = 0; n: Int = 1 }\n  equations { der(x) = 1 [1/s] }\n}\nscenario s for A {\n  duration: 10 s\n  at 2 s { log \"n was ${n}\"; n = 2 }\n  at 4 s { n = 3; log \"n is ${n}\"; stop \"enough\" }\n}\n";
    let ran = run(model, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let said: Vec<&str> = ran.said.lines().map(str::trim).collect();
    assert_eq!(said, ["Log 2 s  n was 2", "4 s  n is 3", "Ended at 4 s (`stop`: enough)"]);
    assert_eq!(ran.summary["ended"], "halted");
    assert_eq!(ran.summary["time"], 4.0);
}

#[test]
fn whole_numbers_that_nobody_keeps_fail_where_they_grow_too_large() {
    fails(
        "twin A {\n  states { n: Int = 1 }\n  behavior {\n    at 1 s {\n      big = 3000000000\n      left = big*big - 1\n      if mod(left, 2) == 0 { n = 2 }\n    }\n  }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 1 s
            [E0810] Error: `at`: a whole number would become 9e18: an `Int` is exact below 2^53, at t = 1 s
               ╭─[ m.twinml:6:14 ]
               │
             6 │       left = big*big - 1
               │              ───┬───
               │                 ╰───── here
               │
               │ Help: count in a `Real`, or in larger steps
            ───╯
        "#]],
    );
    fails(
        "twin A {\n  states { n: Int = 1 }\n  behavior {\n    at 1 s {\n      k = 7\n      while k > 0 { k = k^3 + 1 }\n    }\n  }\n}\nscenario s for A { duration: 3 s }\n",
        expect![[r#"
                 Failed at 1 s
            [E0810] Error: `at`: a whole number would become 6.745684345507105e22: an `Int` is exact below 2^53, at t = 1 s
               ╭─[ m.twinml:6:25 ]
               │
             6 │       while k > 0 { k = k^3 + 1 }
               │                         ─┬─
               │                          ╰─── here
               │
               │ Help: count in a `Real`, or in larger steps
            ───╯
        "#]],
    );
    let least = "twin A {\n  states { n: Int = 1 }\n  behavior {\n    at 1 s {\n      few = [k for k in 0..5 if k > 9]\n      if min(few) - 1 > 3 { n = 2 }\n    }\n  }\n}\nscenario s for A { duration: 3 s }\n";
    let ran = run(least, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}
