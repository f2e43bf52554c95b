//! Requirements of one run, end to end: verdicts, robustness, exit codes.
#![allow(clippy::unwrap_used, reason = "tests")]

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
    assert!((v["robustness"].as_f64().unwrap() + 0.2).abs() < 1e-9, "{v}");
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
