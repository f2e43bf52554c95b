//! Requirements of one run, end to end: verdicts, robustness, exit codes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;
use place::Place;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// Runs a model: exit code, standard output, standard error, summary.
fn run(model: &str, args: &[&str]) -> (i32, String, String, Value) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let place =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("requirements-{}-{n}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("m.twinml"), model).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .current_dir(&place)
        .args(["run", "m.twinml", "--no-plot", "--out", "out"])
        .args(args)
        .output()
        .unwrap();
    let summary = fs::read_to_string(place.join("out/summary.json")).unwrap_or_else(|_| "null".to_owned());
    fs::remove_dir_all(&place).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr), serde_json::from_str(&summary).unwrap())
}

fn verdict<'a>(summary: &'a Value, name: &str) -> &'a Value {
    summary["requirements"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap()
}

/// x = sin(t), y = cos(t).
fn circle(constraints: &str, scenario: &str) -> String {
    format!(
        "twin M {{
  parameters {{ limit: Length in cm = 1.5 m; w: Time = 2 s }}
  states {{ x: Length = 0 m; y: Length = 1 m; T: Temperature = 300 K }}
  equations {{ der(x) = y/1 s; der(y) = -x/1 s; der(T) = 1 K/s }}
  constraints {{
    {constraints}
  }}
}}
scenario s for M {{
  duration: 10 s
  solver: dopri5(rtol: 1e-9, atol: 1e-12)
  {scenario}
}}
"
    )
}

/// What is said of a model that is refused, in which this stands.
fn refused(model: &str, wanted: &str) -> String {
    let (exit, out, err, _) = run(model, &[]);
    assert_eq!(exit, 2, "{model}\n{out}{err}");
    assert!(err.contains(wanted), "{model}\n{err}");
    err
}

#[test]
fn robustness_is_that_of_the_closed_form() {
    use std::f64::consts::PI;
    let model = circle(
        "below: always(x <= limit)
    above: always[0, 4 s](x > -1 m)
    rises: eventually[w, 2*w](x > 0.5 m)
    follows: always(x > 0.9 m implies eventually[0, 3 s](x < -0.6 m))
    early: always[0, 6 s](x > 0.9 m implies eventually[0, 3 s](x < -0.5 m))
    hands: y > 0 m until x > 0.99 m
    back: eventually(historically[0, 3 s](x < 0.5 m))
    either: always(x > 0.6 m or x < 0.9 m or y > 0 m)
    warm: always(T < 311 K and x < 2 m)
    claim: always(x < 0.5 m) with probability >= 0.9
    one: always(T < 305 K)",
        "expect not one",
    );
    let (code, out, err, summary) = run(&model, &[]);
    assert_eq!(code, 4, "{out}{err}");
    let near = |name: &str, word: &str, robustness: f64, at: Option<f64>| {
        let v = verdict(&summary, name);
        assert_eq!(v["verdict"], word, "{v}\n{out}");
        let r = v["robustness"].as_f64().unwrap();
        assert!((r - robustness).abs() < 2e-6 * robustness.abs().max(1.0), "{v}");
        if let Some(at) = at {
            assert!((v["closest"].as_f64().unwrap() - at).abs() < 1e-2, "{v}");
        }
    };
    near("below", "holds", 50.0, Some(PI / 2.0));
    assert_eq!(verdict(&summary, "below")["unit"], "cm");
    near("above", "holds", 1.0 + 4.0f64.sin(), Some(4.0));
    near("rises", "holds", 2.0f64.sin() - 0.5, Some(2.0));
    // Where 0.9 − sin t = −0.5 − sin (t + 3).
    let at = (-0.7 / 1.5f64.sin()).acos() - 1.5;
    near("early", "holds", 0.9 - at.sin(), Some(at));
    // The second rise above 0.9 m is at 7.4 s, and the run ends before the three seconds are over.
    assert_eq!(verdict(&summary, "follows")["verdict"], "inconclusive");
    // Where sin t − 0.99 = cos t.
    near("hands", "holds", (4.0796f64.sqrt() - 1.98) / 4.0, None);
    near("back", "holds", 0.5 + 1.5f64.cos(), None);
    // Divided by 311 K and by 2 m.
    near("warm", "holds", 1.0 / 311.0, Some(10.0));
    assert_eq!(verdict(&summary, "warm")["unit"], "");
    near("claim", "violated", -0.5, Some(PI / 2.0));
    assert_eq!(verdict(&summary, "claim")["nominal"], true);
    near("one", "violated", -5.0, Some(10.0));
    assert!(out.contains("    Verdict below    holds          robustness 50 cm  (closest at 1.57"), "{out}");
}

#[test]
fn exit_codes_say_what_became_of_the_requirements() {
    for (constraints, scenario, code) in [
        ("a: always(x < 1.1 m)", "", 0),
        ("a: always(x < 0.9 m)", "", 1),
        ("a: always(x < 0.9 m)", "expect not a", 0),
        ("a: always(x < 1.1 m)", "expect not a", 1),
        ("a: always(x < 0.9 m) with probability >= 0.5", "", 0),
        ("a: always[0, 20 s](x < 1.1 m)", "", 4),
        ("a: always[0, 20 s](x < 0.9 m)", "", 1),
        ("a: always[0, 10 s](x < 1.1 m)", "", 0),
        ("a: always[0, 20 s](x < 1.1 m); b: always(x < 0.9 m)", "", 1),
    ] {
        let (got, out, err, _) = run(&circle(constraints, scenario), &[]);
        assert_eq!(got, code, "{constraints} {scenario}\n{out}{err}");
    }
}

#[test]
fn arrays_have_one_verdict_that_names_the_worst() {
    let model = "
twin Tank {
  parameters { top: Length = 1 m }
  states { h: Length = 0 m }
  inputs { q: Velocity = 1 cm/s }
  equations { der(h) = q }
  constraints { safe: always(h <= top) }
}
twin Farm {
  twins { tanks: Tank[4] { top = [1 m + 0.1 m*abs(i - 2)] for i } }
  constraints { all_low: always(tanks.h < 70 cm); sum_low: always(max(tanks.h) < 2 m) }
}
scenario s for Farm { duration: 1 min; at 30 s { tanks[3].q = 2 cm/s } }
";
    let model = model.replace("[1 m + 0.1 m*abs(i - 2)] for i", "1 m");
    let (code, out, err, summary) = run(&model, &[]);
    assert_eq!(code, 1, "{out}{err}");
    let v = verdict(&summary, "all_low");
    assert_eq!((&v["verdict"], &v["element"]), (&"violated".into(), &3.into()), "{v}");
    assert!((v["robustness"].as_f64().unwrap() + 20.0).abs() < 1e-9, "{v}");
    let safe = verdict(&summary, "tanks[*].safe");
    assert_eq!((&safe["verdict"], &safe["element"]), (&"holds".into(), &3.into()), "{safe}");
    assert!((safe["robustness"].as_f64().unwrap() - 0.1).abs() < 1e-9, "{safe}");
    assert_eq!(verdict(&summary, "sum_low")["verdict"], "holds");
}

#[test]
fn both_sides_of_an_action_are_judged() {
    let model = "
twin M {
  inputs { u: Real = 1 }
  states { x: Real = 0 }
  outputs { y: Real = u + 0*x }
  equations { der(x) = -x/1 s }
  constraints { calm: always(y < 2); dips: eventually[5 s, 6 s](y > 1.2) }
}
scenario s for M { duration: 10 s; at 5 s { u = 1.5 } at 5.5 s { u = 0 } }
";
    let (code, out, err, summary) = run(model, &[]);
    assert_eq!(code, 0, "{out}{err}");
    for name in ["calm", "dips"] {
        let r = verdict(&summary, name)["robustness"].as_f64().unwrap();
        assert!((r - if name == "calm" { 0.5 } else { 0.3 }).abs() < 1e-12, "{out}");
    }
}

/// x = sin t, y = cos t, T rises by 1 K/s, n counts seconds; three parts with their own slopes.
const FIGURES: &str = "
twin Part {
  parameters { w: Frequency = 1 [1/s] }
  states { z: Real = 0 }
  equations { der(z) = w }
  constraints { kpi top: max(z over run); fine: max(z over run) < 25 }
}
twin M {
  states { x: Length = 0 m; y: Length = 1 m; T: Temperature in degC = 20 degC; n: Int = 0 }
  outputs { up: Bool = x > 0.5 m }
  twins { p: Part[3] { w = [1 [1/s], 2 [1/s], 3 [1/s]] } }
  equations { der(x) = y/1 s; der(y) = -x/1 s; der(T) = 1 K/s }
  behavior { every 1 s { n = n + 1; if n > 4 { emit done } } }
  constraints {
    mean_ok: mean(x over run) < 0.5 m
    top:     max(x over [2 s, 3 s]) <= 0.95 m
    ends:    abs((x at end) + 0.544 m) < 1 mm
    both:    (x < 0 m and y < 0 m) at end
    heard:   eventually[0, 5 s](count(done) > 0)
    not_yet: always[0, 3.9 s](count(done) <= 0)
    and_too: always(x < 2 m) and integral(abs(x) over run) > 3 m*s
    vec:     mean(p.z over run) < 12
    when:    first_time(x > 0.5 m over run) < 1 s
    beyond:  max(x over [8 s, 12 s]) < 2 m
    kpi area in cm*s: integral(x over run)
    kpi hottest in degC: max(T over run)
    kpi spread: sd(T over run)
    kpi ups: count(up over run)
    kpi share in %: fraction(x > 0.5 m over run)
    kpi low in cm: quantile(0)(x over run)
    kpi high in cm: quantile(x over run, 1)
    kpi never: first_time(x > 5 m over run)
    kpi again in ms: first_time(x > 0.5 m over [3 s, 9 s])
    kpi ticks: last(n over run) minimize
    kpi rate in 1/s: n/time at end
    kpi sum_z: sum(p.z) at end
    kpi each: p.z at end
    kpi ratio: integral(x over run)/last(y over run)
    kpi first: first(T over [2 s, 3 s])
  }
}
scenario s for M { duration: 10 s; solver: dopri5(rtol: 1e-9, atol: 1e-12) }
";

#[test]
fn aggregates_are_judged_and_kpis_reported() {
    use std::f64::consts::PI;
    let (code, out, err, summary) = run(FIGURES, &[]);
    assert_eq!(code, 1, "{out}{err}");
    let area = 1.0 - 10f64.cos();
    for (name, word, robustness, unit) in [
        ("mean_ok", "holds", 0.5 - area / 10.0, "m"),
        ("top", "holds", 0.95 - 2f64.sin(), "m"),
        ("ends", "holds", 1.0 - 1e3 * (0.544 + 10f64.sin()).abs(), "mm"),
        ("both", "holds", -10f64.sin(), "m"),
        ("heard", "holds", 2.0, ""),
        ("not_yet", "holds", 0.0, ""),
        // Divided by 2 m and by 3 m·s.
        ("and_too", "holds", 0.5, ""),
        ("vec", "violated", -3.0, ""),
        ("when", "holds", 1.0 - PI / 6.0, "s"),
        ("p[*].fine", "violated", -5.0, ""),
    ] {
        let v = verdict(&summary, name);
        assert_eq!((&v["verdict"], &v["unit"]), (&word.into(), &unit.into()), "{v}");
        let r = v["robustness"].as_f64().unwrap();
        assert!((r - robustness).abs() < 1e-6, "{v} {robustness}");
    }
    for name in ["vec", "p[*].fine"] {
        assert_eq!(verdict(&summary, name)["element"], 2);
    }
    // The run ends inside the window.
    assert_eq!(verdict(&summary, "beyond")["verdict"], "inconclusive");
    let kpi = |name: &str| summary["kpis"].as_array().unwrap().iter().find(|k| k["name"] == name).unwrap();
    for (name, values, unit) in [
        ("area", vec![100.0 * area], "cm*s"),
        ("hottest", vec![30.0], "degC"),
        ("spread", vec![10.0 / 12f64.sqrt()], "K"),
        ("ups", vec![2.0], ""),
        ("share", vec![100.0 * 4.0 / 3.0 * PI / 10.0], "%"),
        ("low", vec![-100.0], "cm"),
        ("high", vec![100.0], "cm"),
        ("again", vec![1000.0 * 13.0 * PI / 6.0], "ms"),
        // At 0, 1, … 10 s.
        ("ticks", vec![11.0], ""),
        ("rate", vec![1.1], "1/s"),
        ("sum_z", vec![60.0], ""),
        ("each", vec![10.0, 20.0, 30.0], ""),
        ("ratio", vec![area / 10f64.cos()], "s"),
        ("first", vec![295.15], "K"),
        ("p[*].top", vec![10.0, 20.0, 30.0], ""),
    ] {
        let k = kpi(name);
        assert_eq!((&k["unit"], &k["complete"]), (&unit.into(), &true.into()), "{k}");
        let got: Vec<f64> = k["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!(got.len(), values.len(), "{k}");
        for (a, b) in got.iter().zip(&values) {
            assert!((a - b).abs() < 2e-6 * b.abs().max(1.0), "{k} {b}");
        }
    }
    assert_eq!(kpi("never")["values"][0], Value::Null);
    assert_eq!(kpi("ticks")["goal"], "minimize");
    assert!(out.contains("        KPI area      183.9 cm*s\n            hottest   30 degC\n"), "{out}");
    assert!(out.contains("            never     never\n"), "{out}");
    // What is only watched changes nothing of the run.
    let bare = FIGURES.lines().filter(|l| !l.contains("over") && !l.contains(" at end")).collect::<Vec<_>>();
    let (_, _, err, less) = run(&bare.join("\n").replace("constraints { }", ""), &[]);
    assert_eq!(less["final"], summary["final"], "{err}");
    assert_eq!(less["work"]["rhs"], summary["work"]["rhs"]);
}

#[test]
fn a_run_that_ends_early_leaves_the_whole_run_open() {
    let model = FIGURES.replace("y: Length = 1 m;", "y: Length = 1 m where y > -0.9 m else stop;");
    let (code, out, err, summary) = run(&model, &[]);
    assert_eq!(summary["ended"], "range", "{out}{err}");
    assert_eq!(verdict(&summary, "mean_ok")["verdict"], "inconclusive");
    assert_eq!(verdict(&summary, "p[*].fine")["verdict"], "inconclusive");
    let t = summary["time"].as_f64().unwrap();
    assert!((t - (-0.9f64).acos()).abs() < 1e-6, "{t}");
    let kpis = summary["kpis"].as_array().unwrap();
    let area = kpis.iter().find(|k| k["name"] == "area").unwrap();
    assert_eq!(area["complete"], false);
    // Up to where it ended: 1 − cos t, with cos t = −0.9.
    assert!((area["values"][0].as_f64().unwrap() - 190.0).abs() < 1e-4, "{area}");
    assert!(out.contains("190 cm*s  up to where the run ended"), "{out}");
    assert_eq!(code, 4, "{out}");
}

#[test]
fn memory_is_bounded_by_the_windows() {
    let model = "
twin M {
  states { x: Real = 0; y: Real = 1 }
  equations { der(x) = y/1 s; der(y) = -x/1 s }
  constraints {
    low:    always(x < 1.1)
    soon:   always(x > 0.9 implies eventually[0, 3 s](x < -0.1 or x < 2))
    before: always(historically[0, 2 s](x < 1.1))
    early:  eventually[1 s, 2 s](x > 0.9)
    up:     max(x over run) < 1.1
    share:  fraction(x > 0 over run) > 0.4
  }
}
scenario s for M { duration: 4_000 s; record x every 100 s; solver: dopri5(rtol: 1e-6, atol: 1e-9) }
";
    let (code, out, err, summary) = run(model, &[]);
    assert_eq!(code, 0, "{out}{err}");
    let (rows, steps) =
        (summary["work"]["monitor_rows"].as_u64().unwrap(), summary["work"]["steps"].as_u64().unwrap());
    assert!(steps > 15_000, "{steps}");
    assert!(rows <= 6000, "{rows} rows of {steps} steps");
    // A window without end looks at everything: no more than the pieces of the steps.
    let (code, out, err, summary) =
        run(&model.replace("eventually[0, 3 s]", "eventually").replace("4_000 s", "400 s"), &[]);
    assert_eq!(code, 0, "{out}{err}");
    let (rows, steps) =
        (summary["work"]["monitor_rows"].as_u64().unwrap(), summary["work"]["steps"].as_u64().unwrap());
    assert!(rows > steps && rows < 300 * steps, "{rows} rows of {steps} steps");
}

#[test]
fn what_is_wrong_with_an_aggregate_is_said() {
    let with = |constraint: &str| {
        format!(
            "twin M {{ states {{ x: Length = 1 m }} equations {{ der(x) = -x/1 s }}\n constraints {{ {constraint} }} }}
scenario s for M {{ duration: 1 s }}"
        )
    };
    for (constraint, code) in [
        ("a: always(x < 2*mean(x over run))", "E0741"),
        ("kpi a: x/max(x over run)", "E0741"),
        ("a: max(x - mean(x over run) over run) < 1 m", "E0740"),
        ("a: fraction(always(x > 0 m) over run) > 0.5", "E0740"),
        ("a: quantile(x over run) < 1 m", "E0"),
        ("a: quantile(1.5)(x over run) < 1 m", "E0"),
        ("a: mean(x over run, 2) < 1 m", "E0"),
        ("a: mean(x over [3 s, 2 s]) < 1 m", "E0"),
        ("kpi a in s: max(x over run)", "E0"),
    ] {
        refused(&with(constraint), &format!("[{code}"));
    }
}

#[test]
fn a_scenario_expects_values_and_conditions_of_its_own() {
    let model = |expects: &str| {
        format!(
            "twin M {{
  parameters {{ goal: Length in cm = 1 m }}
  states {{ x: Length = 0 m; y: Length = 1 m; T: Temperature in degC = 20 degC; n: Int = 0 }}
  outputs {{ up: Bool = x > 0 m }}
  equations {{ der(x) = y/1 s; der(y) = -x/1 s; der(T) = 1 K/s }}
  behavior {{ every 1 s {{ n = n + 1 }} }}
  constraints {{ low: always(x < 2 m) }}
}}
scenario s for M {{ duration: 10 s; solver: dopri5(rtol: 1e-9, atol: 1e-12)
  {expects}
}}"
        )
    };
    let sine = 10f64.sin();
    for (expect, code, name, robustness, unit) in [
        ("x at end = -54.4 cm within 1 cm", 0, None, Some(1.0 - (54.4 + 100.0 * sine).abs()), "cm"),
        ("x at end = -0.5 m within 1 cm", 1, None, Some(1.0 - (50.0 + 100.0 * sine).abs()), "cm"),
        (
            "not x at end = -0.5 m within 1 cm",
            0,
            Some("x at end = -0.5 m within 1 cm"),
            Some(1.0 - (50.0 + 100.0 * sine).abs()),
            "cm",
        ),
        ("T at end = 30 degC within 2 K", 0, None, Some(2.0), "K"),
        ("n at end = 11", 0, None, None, ""),
        ("n at end = 12", 1, None, None, ""),
        ("up at end = false", 0, None, None, ""),
        ("max(x over run) < 110 cm", 0, None, Some(10.0), "cm"),
        ("always[0, 1 min](x < 2 m)", 4, None, Some(1.0), "m"),
    ] {
        let (got, out, err, summary) = run(&model(&format!("expect low, {expect}")), &[]);
        assert_eq!(got, code, "{expect}\n{out}{err}");
        let v = verdict(&summary, name.unwrap_or(expect));
        assert_eq!((&v["expected"], &v["unit"]), (&true.into(), &unit.into()), "{v}");
        assert_eq!(v["refuted"], expect.starts_with("not"), "{v}");
        match (v["robustness"].as_f64(), robustness) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-5, "{v} {b}"),
            (a, b) => assert_eq!(a, b, "{v}"),
        }
    }
    // What a branch expects is no matter of the trunk.
    let text = model(
        "expect low; branch b at 5 s { x = 0 m; expect x at end = 0 m within 1 mm, max(y over run) < 2 m }",
    );
    let (code, out, err, summary) = run(&text, &[]);
    assert_eq!(code, 1, "{out}{err}");
    assert_eq!(summary["requirements"].as_array().unwrap().len(), 1, "{out}");
    let of_branch = summary["branches"][0]["requirements"].as_array().unwrap();
    let names: Vec<&str> = of_branch.iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["b/low", "b/x at end = 0 m within 1 mm", "b/max(y over run) < 2 m"]);
    assert_eq!(of_branch[1]["verdict"], "violated", "{out}");
    let (code, out, err, _) = run(&model("expect x at end = 3 s within 1 cm"), &[]);
    assert_eq!(code, 2, "{out}{err}");
}

#[test]
fn robustness_is_in_the_units_that_the_modeller_writes() {
    let model = circle(
        "a: always(x < 150 cm)
    b: always(abs(y/1 s) < 72 [km/h])
    c: always(T > 10 degC)
    d: always(limit > x)
    e: always(2*x < 300 cm)",
        "",
    );
    let (_, out, err, summary) = run(&model, &[]);
    for (name, robustness, unit) in
        [("a", 50.0, "cm"), ("b", 68.4, "km/h"), ("c", 16.85, "K"), ("d", 0.5, "m"), ("e", 100.0, "cm")]
    {
        let v = verdict(&summary, name);
        assert_eq!(v["unit"], unit, "{v} {out}{err}");
        assert!((v["robustness"].as_f64().unwrap() - robustness).abs() < 1e-4, "{v}");
    }
}

#[test]
fn what_is_wrong_with_a_scale_or_a_window_is_said() {
    let with = |constraint: &str| {
        format!(
            "twin M {{ parameters {{ w: Time = 2 s; wide: Length = 4 m }}
 states {{ x: Length = 1 m; T: Temperature = 300 K; n: Int = 0 }} equations {{ der(x) = -x/1 s; der(T) = 1 K/s }}
 constraints {{ a: {constraint} }} }}
scenario s for M {{ duration: 1 s }}"
        )
    };
    for (constraint, code) in [
        ("always(x > 0 m and T < 350 K)", "E0742"),
        ("always(x > 0 m and n >= 0)", "E0742"),
        ("always(x > 0 m and T > 0 K), scale: 0 m", "E0416"),
        ("always(x > 0 m and T > 0 K), scale: -2 m", "E0416"),
        ("always(x > 0 m), scale: x", "E0701"),
        ("always(x > 0 m), scale: true", "E0401"),
        ("always(x > 0 m), scal: 2 m", "did you mean `scale`?"),
        ("always[0 s, x*1 s/1 m](x > 0 m)", "E0701"),
        ("always[w, w/2](x > 0 m)", "E0416"),
        ("mean(x over [w, w/2]) > 0 m", "E0416"),
    ] {
        let said = refused(&with(constraint), code);
        assert_eq!(said.matches("Error").count(), 1, "{constraint}\n{said}");
    }
    // A scale of its own, or what measures each comparison.
    for (constraint, robustness) in [
        ("always(x > 0 m and T < 350 K), scale: wide/2", (-1f64).exp() / 2.0),
        ("always(x < 2 m and n >= 0)", 0.0),
        ("always(x < 2 m and n < 4)", 0.5),
    ] {
        let (exit, out, err, summary) = run(&with(constraint), &[]);
        assert_eq!(exit, 0, "{constraint}\n{out}{err}");
        let found = summary["requirements"][0]["robustness"].as_f64().unwrap();
        assert!((found - robustness).abs() < 1e-6, "{constraint}: {found}");
    }
}

/// x grows by 1 m/s from 0 m, and falls from 2 s on: what is said of it is violated at known instants, once each.
#[test]
fn violations_are_events_at_their_first_instant() {
    let place = Place::model(
        "
twin D {
  states { x: Length = 0 m; v: Velocity = 1 m/s; limits: Int = 0; mids: Int = 0; starts: Int = 0; never: Int = 0; first: Real = 0 }
  equations { der(x) = v }
  behavior {
    on violated.limit { limits = limits + 1; v = -1 m/s; first = time/1 s }
    on violated.mid { mids = mids + 1 }
    on violated.start { starts = starts + 1 }
    on violated.late { never = never + 1 }
    on falling(x > 1 m) { v = 1 m/s }
  }
  constraints {
    limit: always(x < 2 m) and always(v < 5 m/s)
    mid: always[2.5 s, 4 s](x < 0.5 m)
    start: always[0, 1 s](x > 0.2 m)
    late: always[2.6 s, 3.9 s](x < 2 m)
  }
}
twin W { states { heard: Int = 0; at: Real = 0 } behavior { on told { heard = heard + 1; at = time/1 s } } }
system twin P {
  twins { d: D[3]; w: W[2] }
  states { own: Int = 0 }
  connections { d[1].violated.limit -> w[0].told; d[2].violated.mid -> w[1].told }
  behavior { on d[0].violated.limit { own = own + 1 } }
}
scenario s for P { duration: 10 s; record all every 1 s }
",
    );
    place.expect(1, &["run", "m.twinml", "--out", "r.csv"]);
    let text = place.text("r.csv");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let last: Vec<f64> = lines.next_back().unwrap().split(',').map(|x| x.parse().unwrap()).collect();
    let of = |name: &str| last[names.iter().position(|n| *n == name).unwrap()];
    for k in 0..3 {
        let counts = ["limits", "mids", "starts", "never"].map(|n| of(&format!("d[{k}].{n}")));
        assert_eq!(counts, [1.0, 1.0, 1.0, 0.0], "{k}");
        assert!((of(&format!("d[{k}].first")) - 2.0).abs() < 1e-9);
    }
    assert_eq!(["w[0].heard", "w[1].heard", "own"].map(of), [1.0; 3]);
    assert!((of("w[0].at") - 2.0).abs() < 1e-9 && (of("w[1].at") - 2.5).abs() < 1e-12);
}
