//! `twinc monitor`, end to end: verdicts over CSV, Parquet and Arrow, sampled and linear, and what is wrong with data.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;

mod place;
use place::{Place, of};

impl Place {
    /// The object that `monitor` prints.
    #[track_caller]
    fn monitor(&self, formula: &str, args: &[&str]) -> Value {
        let ran = self.run(&[&["monitor", formula, "--format", "json"], args].concat());
        let mut all = ran.objects().into_iter();
        let found =
            all.rfind(|v| v["type"] == "monitored").unwrap_or_else(|| panic!("{formula}\n{}", ran.said()));
        assert_eq!(found["exit"], ran.code, "{found}");
        found
    }
}

const TRACE: &str = "time,h [cm],tanks[0].T [degC],tanks[1].T [degC],busy,q
0,10,20,21,false,1
1,20,25,20,true,2
2,35,30,22,true,3
3,15,28,23,false,4
";

#[test]
fn samples_are_judged_with_their_units() {
    let place = Place::with(&[("t.csv", TRACE)]);
    for (formula, verdict, robustness, unit, closest, element) in [
        ("always(h < 0.4 m)", "holds", 0.05, "m", 2.0, None),
        ("always[0, 1 s](h < 30 cm)", "holds", 10.0, "cm", 1.0, None),
        ("always[0, 2 s](h < 0.3 m)", "violated", -0.05, "m", 2.0, None),
        ("always(tanks.T < 29 degC)", "violated", -1.0, "K", 2.0, Some(0)),
        ("always(tanks[1].T < 29 degC)", "holds", 6.0, "K", 3.0, None),
        ("always(max(tanks.T) < 31 degC)", "holds", 1.0, "K", 2.0, None),
        ("eventually(busy and q > 2.5)", "holds", 0.5, "", 2.0, None),
        ("eventually[0, 5 s](q > 7)", "inconclusive", -3.0, "", 3.0, None),
        ("eventually[0, 5 s](q > 3)", "holds", 1.0, "", 3.0, None),
        ("h > 5 cm until[0, 2 s] busy", "holds", 5.0, "cm", 0.0, None),
        ("eventually(historically[0, 1 s](q >= 3))", "holds", 0.0, "", 2.0, None),
        // Divided by 3 m and by 7.
        ("always(h < 3 m) and always(q < 7)", "holds", 3.0 / 7.0, "", 3.0, None),
        ("always(time < 4 s)", "holds", 1.0, "s", 3.0, None),
    ] {
        let v = place.monitor(formula, &["--trace", "t.csv"]);
        assert_eq!((&v["verdict"], &v["unit"]), (&verdict.into(), &unit.into()), "{v}");
        assert!((v["robustness"].as_f64().unwrap() - robustness).abs() < 1e-9, "{v}");
        assert_eq!((&v["closest"], &v["element"]), (&closest.into(), &element.into()), "{v}");
    }
    let v = place.monitor("always(busy implies q >= 2)", &["--trace", "t.csv"]);
    assert_eq!((&v["verdict"], &v["robustness"]), (&"holds".into(), &0.0.into()), "{v}");
    let v = place.monitor("always(not busy or busy)", &["--trace", "t.csv"]);
    assert_eq!((&v["verdict"], &v["robustness"]), (&"holds".into(), &Value::Null), "{v}");
}

#[test]
fn between_samples_lie_straight_lines_where_that_is_asked_for() {
    let place = Place::with(&[("t.csv", TRACE)]);
    // At 1.5 s the line is at 27.5 cm; no sample is there.
    let formula = "always[0, 1.5 s](h < 25 cm)";
    let linear = ["--trace", "t.csv", "--interpolate", "linear"];
    let (sampled, lines) = (place.monitor(formula, &["--trace", "t.csv"]), place.monitor(formula, &linear));
    assert_eq!((&sampled["verdict"], &lines["verdict"]), (&"holds".into(), &"violated".into()));
    assert!((lines["robustness"].as_f64().unwrap() + 2.5).abs() < 1e-9, "{lines}");
    // A square of a line is no line: 1.5² at 1.5 s.
    let v = place.monitor("always[0.5 s, 0.5 s](q^2 < 2.2)", &linear);
    assert!((v["robustness"].as_f64().unwrap() + 0.05).abs() < 1e-6, "{v}");
    // Truth values hold up to the next sample.
    assert_eq!(place.monitor("always[1.1 s, 2.9 s](busy)", &linear)["verdict"], "holds");
    assert_eq!(place.monitor("always[1.1 s, 3 s](busy)", &linear)["verdict"], "violated");
    // No sample lies in the window: nothing is known.
    assert_eq!(place.monitor("always[1.2 s, 1.3 s](busy)", &["--trace", "t.csv"])["verdict"], "inconclusive");
}

#[test]
fn what_is_wrong_is_said() {
    let place = Place::with(&[
        ("t.csv", TRACE),
        ("unsorted.csv", &TRACE.replace("\n3,", "\n1.5,")),
        ("nan.csv", &TRACE.replace("3,15", "3,nan")),
        ("hole.csv", &TRACE.replace("3,15", "3,")),
        ("untimed.csv", &TRACE.replace("time", "t")),
        ("years.csv", &TRACE.replace("time,", "time [kg],")),
        ("empty.csv", "time,h [cm]\n"),
        ("odd.csv", "time,h [wombats]\n0,1\n1,2\n"),
    ]);
    for (file, formula, flags, code, words) in [
        ("t.csv", "always(hh < 3 m)", &[][..], 2, &["unknown name `hh`", "`h [cm]`"][..]),
        ("t.csv", "always(q < 3 m)", &[], 2, &["the file says no unit of `q`", "--unit h=m"]),
        ("t.csv", "always(h < )", &[], 2, &["a value is missing"]),
        ("t.csv", "h", &[], 2, &["no statement that holds or not"]),
        ("t.csv", "max(h over run) < 3 m", &[], 2, &["an aggregate is a number of a run"]),
        ("t.csv", "always(h < 3 m)", &["--unit", "z=m"], 2, &["there is no column `z`"]),
        ("t.csv", "always(h < 3 m)", &["--unit", "h=m"], 2, &["the file says that `h` is in `cm`"]),
        ("t.csv", "always(h < 3 m)", &["--interpolate", "cubic"], 2, &["cubic"]),
        ("odd.csv", "always(h < 3 m)", &[], 2, &["wombats"]),
        ("unsorted.csv", "always(h < 3 m)", &[], 5, &["unsorted.csv:5:1", "1.5 follows 2"]),
        ("nan.csv", "always(h < 3 m)", &[], 5, &["nan.csv:5:3", "h [cm]"]),
        ("hole.csv", "always(h < 3 m)", &[], 5, &["hole.csv:5:3", "h [cm]"]),
        ("years.csv", "always(h < 3 m)", &[], 5, &["`kg` of the column `time` is no unit of time"]),
        ("empty.csv", "always(h < 3 m)", &[], 5, &["no rows"]),
        ("untimed.csv", "always(h < 3 m)", &[], 2, &["no column `time`"]),
        ("none.csv", "always(h < 3 m)", &[], 5, &["none.csv"]),
    ] {
        let (_, err) = place.expect(code, &[&["monitor", formula, "--trace", file], flags].concat());
        words.iter().for_each(|w| assert!(err.contains(w), "{file} {formula}: {w}\n{err}"));
    }
    // A column that nobody asks for may be broken.
    place.expect(0, &["monitor", "always(q < 9)", "--trace", "nan.csv"]);
    place.expect(0, &["monitor", "always(q < 5 m)", "--trace", "t.csv", "--unit", "q=m"]);
}

/// Waves, a switch, an array of twins, and their requirements.
const MODEL: &str = "
twin Tank {
  parameters { w: Frequency = 1 [1/s] }
  states { level: Length in cm = 10 cm }
  equations { der(level) = 5 [cm]*w*cos(time/1 s) }
}
twin M {
  states { x: Length = 0 m; y: Length = 1 m; T: Temperature in degC = 20 degC }
  inputs { u: Real = 0 }
  outputs { high: Bool = x > 0.5 m; v: Real in % = u/4 }
  twins { tanks: Tank[3] { w = [1 [1/s], 2 [1/s], 0.5 [1/s]] } }
  equations { der(x) = y/1 s; der(y) = -x/1 s; der(T) = 1 K/s*(1 + u) }
  constraints {
REQUIREMENTS
  }
}
scenario s for M {
  duration: 10 s
  solver: dopri5(rtol: 1e-8, atol: 1e-10)
  at 2.5 s { u = 1 }
  at 7 s { u = -0.5 }
  record x, y, T, high, v, tanks.level every 10 ms
}
";

const FORMULAS: [&str; 12] = [
    "always(x < 0.9 m)",
    "always(x <= 1.1 m)",
    "eventually[2 s, 5 s](T > 24 degC)",
    "always(high implies eventually[0, 3 s](x < -0.2 m))",
    "always[0, 5 s](high implies eventually[0, 3 s](x < -0.2 m))",
    "y > 0 m until x > 0.99 m",
    "eventually(historically[0, 3 s](x < 0.5 m))",
    "always(v < 30 %)",
    "eventually(v < -10 %)",
    "always(tanks.level < 17 cm)",
    "always(tanks[1].level < 25 cm and x > -2 m)",
    "always[0, 20 s](T < 90 degC)",
];

/// Messages show the formula and nothing of what it is put into.
#[test]
fn a_wrong_formula_is_shown_as_it_was_written() {
    let place = Place::with(&[("t.csv", TRACE)]);
    for (formula, at) in [
        ("always(h < 3 kg)", "formula:1:8"),
        ("always(h < 3 m and height > 2)", "formula:1:20"),
        ("always(h < 3 m", "formula:1:7"),
        ("eventually(q >)", "formula:1:15"),
        ("", "formula:1:1"),
    ] {
        let (_, said) = place.expect(2, &["monitor", formula, "--trace", "t.csv"]);
        assert!(said.contains(at), "{formula}: {said}");
        for word in ["twin", "constraints", "scenario", "inputs"] {
            assert!(!said.contains(word), "{formula}: {said}");
        }
    }
}

#[test]
fn the_verdict_is_that_of_the_run_that_made_the_trace() {
    let lines: Vec<String> = FORMULAS.iter().enumerate().map(|(k, f)| format!("    r{k}: {f}")).collect();
    let place = Place::model(&MODEL.replace("REQUIREMENTS", &lines.join("\n")));
    let units =
        ["x=m", "y=m", "T=degC", "v=%", "tanks[0].level=cm", "tanks[1].level=cm", "tanks[2].level=cm"];
    let units: Vec<&str> = units.iter().flat_map(|u| ["--unit", u]).collect();
    let ran = place.run(&["run", "m.twinml", "--no-plot", "--out", "o", "--format", "json"]);
    let objects = ran.objects();
    let verdicts = of(&objects, "verdict");
    assert_eq!(verdicts.len(), FORMULAS.len(), "{}", ran.said());
    for file in ["t.csv", "t.arrow"] {
        assert_ne!(place.run(&["run", "m.twinml", "--no-plot", "--out", file]).code, 2);
    }
    for (formula, of_run) in FORMULAS.iter().zip(&verdicts) {
        for file in ["o/s.parquet", "t.arrow", "t.csv"] {
            for how in ["linear", "none"] {
                let mut args = vec!["--trace", file, "--interpolate", how];
                if file.ends_with("csv") {
                    args.extend(&units);
                }
                let v = place.monitor(formula, &args);
                assert_eq!(v["verdict"], of_run["verdict"], "{v}\n{of_run}");
                let (a, b) = (v["robustness"].as_f64(), of_run["robustness"].as_f64());
                assert_eq!(a.is_some(), b.is_some(), "{v}\n{of_run}");
                // A sample every 10 ms sees an extremum to (5 ms)²/2, and an edge to 10 ms of slope.
                if let (Some(a), Some(b)) = (a, b) {
                    let unit = if v["unit"] == "cm" { 100.0 } else { 1.0 };
                    assert!((a - b).abs() < 0.02 * unit, "{v}\n{of_run}");
                }
                assert_eq!(v["unit"], of_run["unit"]);
                assert_eq!(v["element"], of_run["element"], "{v}\n{of_run}");
            }
        }
    }
}

/// The prefix form of `tests/peers/rtamt.txt` as a formula.
fn text(words: &mut std::str::SplitWhitespace<'_>) -> String {
    let word = words.next().unwrap();
    let Some(op) = word.strip_prefix('(') else {
        return format!("{} >= 0", word.trim_end_matches(')'));
    };
    let mut window = || {
        let mut end = || words.next().unwrap().to_owned();
        format!("[{} s, {} s]", end(), end())
    };
    match op {
        "not" => format!("not ({})", text(words)),
        "and" | "or" | "implies" => format!("({}) {op} ({})", text(words), text(words)),
        "until" | "since" => {
            let window = window();
            format!("({}) {op}{window} ({})", text(words), text(words))
        }
        _ => format!("{op}{}({})", window(), text(words)),
    }
}

#[test]
fn the_command_says_what_rtamt_says() {
    // The samples are those of `runtime/engine/tests/rtamt.rs`, which compares all cases with the library.
    let next = |x: &mut u64| {
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        ((x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % 128) as f64 / 64.0 - 1.0
    };
    let all = include_str!("peers/rtamt.txt");
    for (case, line) in all.lines().enumerate().step_by(67) {
        let parts: Vec<&str> = line.split('\t').collect();
        let mut state = 0x9E37_79B9_7F4A_7C15 ^ (case as u64 + 1);
        for _ in 0..8 {
            next(&mut state);
        }
        let mut csv = "time,a,b\n".to_owned();
        for k in 0..parts[0].parse().unwrap() {
            let (a, b) = (next(&mut state), next(&mut state));
            csv.push_str(&format!("{k},{a},{b}\n"));
        }
        let place = Place::with(&[("t.csv", &csv)]);
        let v = place.monitor(&text(&mut parts[1].split_whitespace()), &["--trace", "t.csv"]);
        let said: f64 = parts[2].parse().unwrap();
        assert_eq!(v["robustness"].as_f64(), Some(said), "{v}");
        // At 0 rtamt does not tell `<` from `<=`.
        if said == 0.0 {
            continue;
        }
        assert_eq!(v["verdict"], if said >= 0.0 { "holds" } else { "violated" }, "{v}");
    }
}
