use super::{Files, check_run, refuse_run, run};
use expect_test::expect;

const PLANT: &str = r#"
twin Pump { inputs { speed: Real in % = 100 % } outputs { q: Real = speed } }
twin Tank { parameters { area: Real = 2 } states { h: Real = 1 } inputs { q: Real = 0 } equations { der(h) = q/area/1 s } }
twin Plant {
  inputs { load: Temperature in degC = 20 degC }
  twins { pump: Pump; tanks: Tank[3] }
  connections { pump.q -> tanks[0].q }
  outputs { y: Temperature = load }
  constraints { full: always(tanks[0].h > 0) }
}
scenario day for Plant {
  duration: 2 h
  solver: bdf(rtol: 1e-7, max_step: 1 min)
  seed: 7
  parameters { tanks.area = 1.4; tanks[1].area = 3 }
  start { tanks.h = [1, 2, 3] }
  at 30 min { tanks[1..3].q = 4; tanks[2].h = 0 }
  at 10 min { force pump.speed = 0; force tanks[0].q = 1 }
  at 40 min { release pump.speed; pump.speed = 50 % }
  record tanks.h, pump.q, tanks[1..3].q every 1 s
  record all every 1 min
  expect full
}
scenario driven for Plant {
  duration: 1 h
  drive load from "weather.csv" column "T" linear
}
scenario wrong for Plant {
  duration: 1 h
  parameters { pump.speed = 10 % }
  at 1 min { tanks[0].q = 3 }
}
"#;

#[test]
fn actions_force_and_release() {
    check_run(
        PLANT,
        Some("day"),
        Files::default(),
        expect![[r#"
            flat Plant

            var load : input range 0.0 .. inf
              value @[0] = 293.15
            var y : unknown declared outputs range 0.0 .. inf
            var pump.speed : unknown declared inputs
            var pump.q : unknown declared outputs
            var tanks[3].area : parameter
              value @[0] = 1.4
              value @[1] = 3.0
              value @[2] = 1.4
            var tanks[3].h : state fixed
              value @[0] = 1.0
              value @[1] = 2.0
              value @[2] = 3.0
            var tanks[3].q : unknown declared inputs
            var pump.speed.held : input
              value @[0] = 1.0
            var pump.speed.forced : discrete declared inputs bool
              value @[0] = false
            var pump.speed.force : input
              value @[0] = 0.0
            var tanks[3].q.held : input
              value for i0 in 0..3 @[i0] = 0.0
            var tanks[3].q.forced : discrete declared inputs bool
              value for i0 in 0..3 @[i0] = false
            var tanks[3].q.force : input
              value for i0 in 0..3 @[i0] = 0.0
            var `$margin#1` : unknown

            eq : y = load
            eq owner "pump" : pump.q = pump.speed
            eq owner "tanks[*]" for i0 in 0..3 : der(tanks.h[i0]) = tanks.q[i0] / tanks.area[i0]
            eq : tanks.q[0] = if tanks.q.forced[0] then tanks.q.force[0] else pump.q
            eq owner "pump" : pump.speed = if pump.speed.forced then pump.speed.force else pump.speed.held
            eq owner "tanks[*]" for i0 in 1..3 : tanks.q[i0] = if tanks.q.forced[i0] then tanks.q.force[i0] else tanks.q.held[i0]
            eq : `$margin#1` = noevent(tanks.h[0] - 0.0)
            action 600000000000 ns
              set pump.speed.force @[0] = 0.0
              set pump.speed.forced @[0] = true
              set tanks.q.force @[0] = 1.0
              set tanks.q.forced @[0] = true
            action 1800000000000 ns
              set tanks.q.held for i0 in 0..2 @[i0 + 1] = 4.0
              set tanks.h @[2] = 0.0
            action 2400000000000 ns
              set pump.speed.forced @[0] = false
              set pump.speed.held @[0] = 0.5
            requirement expected "full"
        "#]],
    );
}

#[test]
fn the_experiment() {
    let o = run(PLANT, Some("day"), Files::default());
    expect![[r#"
        Experiment {
            name: "day",
            duration: Some(
                7200.0,
            ),
            solver: SolverSpec {
                method: "bdf",
                rtol: Some(
                    1e-7,
                ),
                atol: None,
                step: None,
                max_step: Some(
                    60.0,
                ),
                max_steps: None,
            },
            seed: 7,
            samples: None,
            records: [
                Record {
                    vars: [
                        (
                            var5,
                            [],
                        ),
                        (
                            var3,
                            [],
                        ),
                        (
                            var6,
                            [
                                1,
                                2,
                            ],
                        ),
                    ],
                    every_as: Some(
                        1000000000000000000,
                    ),
                    span: 0:772..819,
                },
                Record {
                    vars: [
                        (
                            var0,
                            [],
                        ),
                        (
                            var1,
                            [],
                        ),
                        (
                            var2,
                            [],
                        ),
                        (
                            var3,
                            [],
                        ),
                        (
                            var4,
                            [],
                        ),
                        (
                            var5,
                            [],
                        ),
                        (
                            var6,
                            [],
                        ),
                        (
                            var13,
                            [],
                        ),
                    ],
                    every_as: Some(
                        60000000000000000000,
                    ),
                    span: 0:822..844,
                },
            ],
            judged: [
                (
                    0,
                    Judged {
                        formula: Windowed {
                            every: true,
                            past: false,
                            window: None,
                            formula: Atom(
                                0,
                            ),
                        },
                        atoms: [
                            Atom {
                                slot: 13,
                                len: 1,
                                kind: Margin {
                                    strict: true,
                                },
                                scale: 1.0,
                                late: false,
                                side: Some(
                                    Side {
                                        var: 5,
                                        greater: true,
                                    },
                                ),
                            },
                        ],
                        elements: 1,
                        unit: (
                            "",
                            1.0,
                        ),
                        claim: None,
                        refuted: false,
                    },
                ),
            ],
            checks: [],
            aggregates: [],
            kpis: [],
        }"#]]
    .assert_eq(&format!("{:#?}", o.flat.experiment));
}

#[test]
fn drive_from_a_file() {
    let files =
        Files(vec![("weather.csv", "time", vec![0.0, 3600.0]), ("weather.csv", "T", vec![-5.0, 10.0])]);
    check_run(
        PLANT,
        Some("driven"),
        files,
        expect![[r#"
            flat Plant
            table table0 "weather.csv: T" linear hold of_time { (0.0, 268.15) (3600.0, 283.15) }

            var load : unknown declared inputs range 0.0 .. inf
            var y : unknown declared outputs range 0.0 .. inf
            var pump.speed : input
              value @[0] = 1.0
            var pump.q : unknown declared outputs
            var tanks[3].area : parameter
              value for i0 in 0..3 @[i0] = 2.0
            var tanks[3].h : state fixed
              value for i0 in 0..3 @[i0] = 1.0
            var tanks[3].q : unknown declared inputs
            var `$margin#1` : unknown

            eq : y = load
            eq owner "pump" : pump.q = pump.speed
            eq owner "tanks[*]" for i0 in 0..3 : der(tanks.h[i0]) = tanks.q[i0] / tanks.area[i0]
            eq : tanks.q[0] = pump.q
            eq : load = table0(time)
            eq owner "tanks[*]" for i0 in 1..3 : tanks.q[i0] = 0.0
            eq : `$margin#1` = noevent(tanks.h[0] - 0.0)
            requirement "full"
        "#]],
    );
}

#[test]
fn a_missing_file_and_a_missing_column() {
    refuse_run(
        PLANT,
        Some("driven"),
        Files::default(),
        expect![[r#"
        E0722 test.twinml:26:3: `weather.csv` cannot be read
          note: there is no such file beside the model
    "#]],
    );
    let files =
        Files(vec![("weather.csv", "time", vec![0.0, 3600.0]), ("weather.csv", "Temp", vec![-5.0, 10.0])]);
    refuse_run(
        PLANT,
        Some("driven"),
        files,
        expect![[r#"
        E0722 test.twinml:26:3: `weather.csv` has no column `T`
          note: its columns are time, Temp
    "#]],
    );
    let files = Files(vec![("weather.csv", "t", vec![0.0, 3600.0]), ("weather.csv", "T", vec![-5.0, 10.0])]);
    refuse_run(
        PLANT,
        Some("driven"),
        files,
        expect![[r#"
        E0722 test.twinml:26:3: `weather.csv` has no column `time`
          note: its columns are t, T
          help: instants stand in a column `time`, in seconds or in the unit behind its name: `time [min]`
    "#]],
    );
    let files = Files(vec![("weather.csv", "time", vec![0.0, 0.0]), ("weather.csv", "T", vec![-5.0, 10.0])]);
    refuse_run(
        PLANT,
        Some("driven"),
        files,
        expect![[r#"
        E0722 test.twinml:26:3: the column `time` of `weather.csv` does not increase
          note: row 1 holds 0 and row 2 holds 0 (in SI)
    "#]],
    );
}

#[test]
fn what_equations_give_is_not_assigned() {
    refuse_run(
        PLANT,
        Some("wrong"),
        Files::default(),
        expect![[r#"
        E0718 test.twinml:31:14: `tanks.q` follows from the equations and cannot be assigned
          test.twinml:3:75: declared here
          test.twinml:7:17: driven here
          help: to take an input over, write `force` before it
    "#]],
    );
}

#[test]
fn the_calendar() {
    let text = r#"
twin C { outputs { h: Time = hour_of_day(zone: "Europe/Berlin"); d: Int = weekday(zone: "Europe/Berlin"); own: Time = hour_of_day() } }
scenario spring for C { duration: 7 days; calendar: 2026-03-27T12:00+01:00 }
scenario undated for C { duration: 7 days }
"#;
    check_run(
        text,
        Some("spring"),
        Files::default(),
        expect![[r#"
        flat C
        table table0 "clock changes" step hold of_time { (0.0, 0.0) (136800.0, 3600.0) }

        var h : unknown declared outputs
        var d : unknown declared outputs int
        var own : unknown declared outputs

        eq : h = time + 43200.0 + table0(time) - 86400.0 * floor((time + 43200.0 + table0(time)) / 86400.0)
        eq : d = floor((time + 43200.0 + table0(time)) / 86400.0) + 4.0 - 7.0 * floor((floor((time + 43200.0 + table0(time)) / 86400.0) + 4.0) / 7.0)
        eq : own = time + 43200.0 - 86400.0 * floor((time + 43200.0) / 86400.0)
    "#]],
    );
    refuse_run(
        text,
        Some("undated"),
        Files::default(),
        expect![[r#"
        E0725 test.twinml:2:30: the calendar's date is not known
          help: give the scenario a date: `calendar: 2026-01-05T00:00+01:00`
        E0725 test.twinml:2:75: the calendar's date is not known
          help: give the scenario a date: `calendar: 2026-01-05T00:00+01:00`
        E0725 test.twinml:2:119: the calendar's date is not known
          help: give the scenario a date: `calendar: 2026-01-05T00:00+01:00`
    "#]],
    );
}

#[test]
fn a_file_that_states_a_unit_is_believed() {
    let model = |unit: &str, stated: &str| {
        format!(
            "twin T {{ inputs {{ u: Length = 0 m }} states {{ x: Length = 0 m }} equations {{ der(x) = u/1 s }} }}
             scenario s for T {{ duration: 1 s; drive u from \"a.csv?{stated}\" column \"h\" {unit} linear }}"
        )
    };
    let said = |unit: &str, stated: &str| {
        let name: &'static str = format!("a.csv?{stated}").leak();
        let files = Files(vec![(name, "time", vec![0.0, 1.0]), (name, "h", vec![3.0, 4.0])]);
        let o = run(&model(unit, stated), Some("s"), files);
        (o.flat.system.as_ref().and_then(|s| s.tables.first()).map_or(f64::NAN, |t| t.y[0]), o.said())
    };
    assert_eq!(said("", "cm").0, 0.03);
    assert_eq!(said("in m", "raw").0, 3.0, "the model says what the file does not");
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?raw` is in `raw`, which is no unit
           ╭─[ test.twinml:2:48 ]
           │
         2 │              scenario s for T { duration: 1 s; drive u from "a.csv?raw" column "h"  linear }
           │                                                ─────────────────────┬─────────────────────
           │                                                                     ╰─────────────────────── here
           │
           │ Help: write the unit behind the column in the model: `in …`
        ───╯
    "#]]
    .assert_eq(&said("", "raw").1);
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?mmm` is in `mmm`, which is no unit
           ╭─[ test.twinml:2:48 ]
           │
         2 │              scenario s for T { duration: 1 s; drive u from "a.csv?mmm" column "h"  linear }
           │                                                ─────────────────────┬─────────────────────
           │                                                                     ╰─────────────────────── here
           │
           │ Help: did you mean `Mm`? mend the file, or write the unit behind the column: `in Mm`
        ───╯
    "#]]
    .assert_eq(&said("", "mmm").1);
    assert_eq!(said("in mm", "mm").0, 0.003);
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?cm` is in `cm`, and the drive says `mm`
           ╭─[ test.twinml:2:48 ]
           │
         2 │              scenario s for T { duration: 1 s; drive u from "a.csv?cm" column "h" in mm linear }
           │                                                ───────────────────────┬───────────────────────
           │                                                                       ╰───────────────────────── here
           │
           │ Help: leave `in` out, and the file's own unit counts
        ───╯
    "#]]
    .assert_eq(&said("in mm", "cm").1);
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?degC` is in `degC`, and what it drives in `m`
           ╭─[ test.twinml:2:48 ]
           │
         2 │              scenario s for T { duration: 1 s; drive u from "a.csv?degC" column "h"  linear }
           │                                                ──────────────────────┬─────────────────────
           │                                                                      ╰─────────────────────── here
           │
           │ Help: drive what this column measures, or name another column
        ───╯
    "#]]
    .assert_eq(&said("", "degC").1);
}

/// A table and a draw convert what the file states, too, and refuse what contradicts.
#[test]
fn tables_and_samples_believe_the_file_too() {
    let read = |members: &str, behavior: &str, stated: &str| {
        let text = format!(
            "twin T {{ parameters {{ {members} }} states {{ x: Real = 0; d: Duration = 0 s }}
             outputs {{ y: Real = noevent(if x > 1 then 1 else 0) }}
             equations {{ der(x) = 1 [1/s] }} behavior {{ every 1 s {{ {behavior} }} }} }}"
        )
        .replace("a.csv", &format!("a.csv?{stated}"));
        let name: &'static str = format!("a.csv?{stated}").leak();
        let files = Files(vec![(name, "q", vec![1.0, 2.0]), (name, "h", vec![3.0, 4.0])]);
        let o = run(&text, None, files);
        let said = o.said();
        let lines: Vec<&str> = said.lines().filter(|l| l.contains("Error") || l.contains("Help")).collect();
        (o.flat.system, lines.join("\n"))
    };
    let table = |y: &str, stated: &str| {
        let of = format!(
            "t: Table = table(\"a.csv\", x: \"q\" in {stated}, y: {y}); z: Length = t(1.5 [{stated}]){}",
            if y.contains(" in ") { "" } else { "*1 m" }
        );
        let (system, said) = read(&of, "", stated);
        (system.and_then(|s| s.tables.first().map(|t| t.y[0])), said)
    };
    assert_eq!(table("\"h\" in cm", "cm").0, Some(0.03));
    assert_eq!(table("\"h\"", "%").0, Some(0.03), "a plain number may be stated in parts of 100");
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?cm` is in `cm`, and the table says `mm`
           │ Help: write `in cm`, as the file does"#]]
    .assert_eq(&table("\"h\" in mm", "cm").1);
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?s` is in `s`, and the table says `mm`
           │ Help: name another column, or give the unit that this one has"#]]
    .assert_eq(&table("\"h\" in mm", "s").1);
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?cm` is in `cm`, and the table takes a plain number
           │ Help: write the unit behind the column, `"h" in cm`"#]]
    .assert_eq(&table("\"h\"", "cm").1);

    let drawn = |unit: &str, stated: &str| {
        let of = format!("l: Length = 1 m ~ empirical(\"a.csv\", column: \"h\"{unit})");
        let (system, said) = read(&of, "", stated);
        let law = system.and_then(|s| s.draws.first().map(|d| d.law.clone()));
        (
            law.and_then(|l| {
                if let twinml_model::draws::Law::Samples(s) = l { s.first().copied() } else { None }
            }),
            said,
        )
    };
    assert_eq!(drawn("", "cm").0, Some(0.03));
    assert_eq!(drawn(" in cm", "raw").0, Some(0.03));
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?raw` is in `raw`, which is no unit
           │ Help: write the unit behind the column in the model: `in …`"#]]
    .assert_eq(&drawn("", "raw").1);
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?cm` is in `cm`, and `empirical` says `mm`
           │ Help: leave `in` out, and the file's own unit counts"#]]
    .assert_eq(&drawn(" in mm", "cm").1);
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?s` is in `s`, and what is drawn in `m`
           │ Help: draw what this column measures, or name another column"#]]
    .assert_eq(&drawn("", "s").1);

    let acts = |unit: &str, stated: &str| {
        read(
            "",
            &format!(
                "d = 1 s + draw(empirical(\"a.csv\", column: \"h\"{unit})){}",
                if unit.is_empty() { "*1 s" } else { "" }
            ),
            stated,
        )
        .1
    };
    assert_eq!(acts(" in ms", "ms"), "");
    assert_eq!(acts("", "%"), "");
    expect![[r#"
        [E0722] Error: the column `h` of `a.csv?ms` is in `ms`, and `empirical` takes a plain number
           │ Help: write the unit behind the column, `"h" in ms`"#]]
    .assert_eq(&acts("", "ms"));
}
