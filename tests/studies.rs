//! `twinc sweep`, `sensitivity` and `calibrate` by the binary: what they find, say, write and refuse.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::fs;

mod place;
use place::Place;

const TANK: &str = "twin Tank {
  parameters {
    area: Area = 2 m^2; k: Real[m^2.5/s] = 0.012; h0: Length in cm = 100 cm; q: VolumeFlow = 0.01 m^3/s
    twice: Area = 2*area; idle: Length = 1 m; n: Int = 2
  }
  states { h: Length in cm = h0; v: Real[1][n] = 0 }
  outputs { q_out: VolumeFlow in L/s = k*sqrt(h) }
  equations { der(h) = (q - q_out)/area; for i in 0..n { der(v[i]) = 1 [1/s] } }
  constraints { kpi top in cm: max(h over run); low: always(h < 1.05 m) }
}
scenario fill for Tank { duration: 10 min }
";

fn tank() -> Place {
    Place::with(&[("tank.twinml", TANK)])
}

impl Place {
    /// What a command says that exits with that code.
    #[track_caller]
    fn said(&self, code: i32, args: &[&str]) -> String {
        self.run(args).expect(code).said()
    }

    fn rows(&self, name: &str) -> Vec<Vec<String>> {
        let text = self.text(name);
        text.lines().map(|l| l.split(',').map(str::to_owned).collect()).collect()
    }
}

#[test]
fn a_grid_has_the_bits_of_its_runs() {
    let place = tank();
    let args = ["sweep", "tank.twinml", "--set", "k=0.01..0.014:3", "--set", "h0=90 cm,110 cm", "--out"];
    place.said(1, &[&args[..], &["a.csv", "--jobs", "1"]].concat());
    // A start of 110 cm breaks the requirement.
    place.run(&[&args[..], &["b.csv", "--jobs", "3"]].concat());
    let rows = place.rows("a.csv");
    assert_eq!(rows, place.rows("b.csv"));
    assert_eq!(rows.len(), 7);
    assert_eq!(rows[0][..5], ["point", "k", "h0", "status", "h"].map(String::from));
    let settings: Vec<(&str, &str)> = rows[1..].iter().map(|r| (r[1].as_str(), r[2].as_str())).collect();
    assert_eq!(settings[..3], [("0.01", "90"), ("0.01", "110"), ("0.012", "90")]);
    let column = |name: &str| rows[0].iter().position(|n| n == name).unwrap();
    assert_eq!(rows[2][column("low.verdict")], "violated");
    assert_eq!(rows[1][column("low.verdict")], "holds");
    place.run(&[
        "run",
        "tank.twinml",
        "--set",
        "k=0.012",
        "--set",
        "h0=90 cm",
        "--no-plot",
        "--out",
        "r.csv",
    ]);
    let run = place.rows("r.csv");
    let h = run[0].iter().position(|n| n == "h").unwrap();
    assert_eq!(run.last().unwrap()[h], rows[3][column("h")]);
}

#[test]
fn a_sweep_is_drawn() {
    let place = tank();
    let args =
        ["sweep", "tank.twinml", "--set", "k=0.01..0.014:3", "--set", "h0=90 cm,110 cm", "--out", "sw"];
    let said = place.said(1, &args);
    assert!(said.contains("plot.html"), "{said}");
    let page = place.text("sw/plot.html");
    let pictures: Vec<&str> = page.split("<figure>").skip(1).collect();
    let of = |name: &str| *pictures.iter().find(|p| p.contains(&format!("<b>{name}</b>"))).unwrap();
    // Over k, which has the most values, a curve for each start; those that begin too high are rings.
    for name in ["h", "top"] {
        let picture = of(name);
        assert_eq!(picture.matches("<polyline").count(), 2, "{picture}");
        assert_eq!(picture.matches("<circle").count(), 6, "{picture}");
        assert_eq!(picture.matches("class=\"bad\"").count(), 3, "{picture}");
    }
    assert!(
        page.contains("h0 = 90 cm") && page.contains("h0 = 110 cm") && !page.contains("k = 0.01 "),
        "{page}"
    );
    let rows = place.json("sw/summary.json");
    let h = rows["quantities"].as_array().unwrap().iter().find(|q| q["name"] == "h").unwrap();
    let most = h["most"]["value"].as_f64().unwrap();
    assert!(of("h").contains(&format!("h = {:.4}", most)[..8]), "{most} {}", of("h"));
    // The same, whoever computes it.
    place.run(&[&args[..7], &["sw2", "--jobs", "1"]].concat());
    assert_eq!(page, place.text("sw2/plot.html"));
}

#[test]
fn lists_go_together_and_sizes_may_differ() {
    let place = tank();
    let said = place.said(0, &["sweep", "tank.twinml", "--list", "--set", "n=1,3", "--set", "k=0.01,0.02"]);
    assert!(said.contains("2 points of fill over n (2), k (2)"), "{said}");
    let summary = place.json("out/tank/fill/sweep/summary.json");
    assert_eq!(summary["points"], 2);
    let names: Vec<&str> =
        summary["quantities"].as_array().unwrap().iter().map(|q| q["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"v[2]") && names.contains(&"top"), "{names:?}");
    for (args, what) in [
        (vec!["--list", "--set", "n=1,3", "--set", "k=1,2,3"], "takes values together"),
        (vec!["--set", "k=0.01"], "nothing to sweep over"),
        (vec!["--set", "k=1..2:x"], "no number of points"),
        (vec!["--set", "k=1..2"], "a range ends in the number of its points: `1..2:11`"),
        (vec!["--set", "k=1,,2"], "a value is missing before or behind a comma"),
        (vec!["--set", "k=1 m,2 m"], "E0502"),
    ] {
        let said = place.said(2, &[vec!["sweep", "tank.twinml"], args].concat());
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[test]
fn derivatives_at_the_end() {
    let place = tank();
    place.said(
        0,
        &["sensitivity", "tank.twinml", "--vary", "k", "--vary", "h0", "--vary", "area", "--of", "h"],
    );
    let found = place.json("out/tank/fill/sensitivity.json");
    let slopes = found["quantities"][0]["slopes"].as_array().unwrap();
    let end = |set: &str| -> f64 {
        place.run(&[
            "run",
            "tank.twinml",
            "--set",
            set,
            "--no-plot",
            "--out",
            "r.csv",
            "--solver",
            "dopri5",
            "--rtol",
            "1e-12",
        ]);
        let rows = place.rows("r.csv");
        let h = rows[0].iter().position(|n| n == "h").unwrap();
        rows.last().unwrap()[h].parse().unwrap()
    };
    for (k, (low, high, width)) in [
        ("k=0.011988", "k=0.012012", 2.4e-5),
        ("h0=99.9 cm", "h0=100.1 cm", 0.2),
        ("area=1.998 m^2", "area=2.002 m^2", 0.004),
    ]
    .into_iter()
    .enumerate()
    {
        let want = (end(high) - end(low)) / width;
        let got = slopes[k]["slope"].as_f64().unwrap();
        assert!((got - want).abs() < 1e-5 * want.abs(), "{low}: {got} against {want}");
    }
    assert!(place.path("out/tank/fill/sensitivity.parquet").exists());
}

#[test]
fn what_sensitivity_refuses_and_falls_back_to() {
    let place = tank();
    for (args, what) in [
        (vec!["--vary", "arae"], "did you mean"),
        (vec!["--vary", "x"], "there are area, k"),
        (vec!["--vary", "twice"], "by a formula"),
        (vec!["--vary", "k", "--method", "sobol"], "needs a range"),
        (vec!["--vary", "k=0.02..0.01", "--method", "sobol"], "lower end comes first"),
        (vec!["--vary", "k=1 s..2 s", "--method", "sobol"], "E0502"),
        (vec!["--vary", "k", "--of", "nothing"], "`--of` names"),
    ] {
        let said = place.said(2, &[vec!["sensitivity", "tank.twinml"], args].concat());
        assert!(said.contains(what), "{what}: {said}");
    }
    let ball = "twin B { units: off; parameters { g: Real = 9.81 } states { y: Real = 1; v: Real = 0 }
  equations { der(y) = v; der(v) = -g } behavior { on falling(y > 0) { v = -0.5*v } } }
scenario drop for B { duration: 0.6 s; solver: tsit5(rtol: 1e-10) }";
    place.write("ball.twinml", ball);
    let said = place.said(0, &["sensitivity", "ball.twinml", "--vary", "g", "--of", "v"]);
    assert!(said.contains("this model has behaviour") && said.contains("(differences)"), "{said}");
    // v = v₁/2 − g(t − t₁) with t₁ = √(2/g) and v₁ = √(2g): dv/dg is known.
    let g = 9.81f64;
    let speed = |g: f64| 0.5 * (2.0 * g).sqrt() - g * (0.6 - (2.0 / g).sqrt());
    let want = (speed(g + 1e-4) - speed(g - 1e-4)) / 2e-4;
    let found = place.json("out/ball/drop/sensitivity.json");
    let got = found["quantities"][0]["slopes"][0]["slope"].as_f64().unwrap();
    assert!((got - want).abs() < 1e-4 * want.abs(), "{got} {want}");
}

#[test]
fn indices_of_the_ishigami_function() {
    let place = tank();
    let text = "twin Ishigami { units: off; parameters { x1: Real = 0; x2: Real = 0; x3: Real = 0 }
  outputs { y: Real = sin(x1) + 7*sin(x2)^2 + 0.1*x3^4*sin(x1) } }
scenario once for Ishigami { duration: 1 s }";
    place.write("i.twinml", text);
    let range = "-3.141592653589793..3.141592653589793";
    let vary: Vec<String> = ["x1", "x2", "x3"].iter().map(|x| format!("{x}={range}")).collect();
    let mut args = vec!["sensitivity", "i.twinml", "--method", "sobol", "-n", "2000"];
    for v in &vary {
        args.extend(["--vary", v]);
    }
    let said = place.said(0, &args);
    let first = fs::read(place.path("out/i/once/sensitivity.json")).unwrap();
    let found = place.json("out/i/once/sensitivity.json");
    let indices = found["quantities"][0]["sobol"]["indices"].as_array().unwrap();
    for (i, (first, total)) in [(0.3139, 0.5576), (0.4424, 0.4424), (0.0, 0.2437)].into_iter().enumerate() {
        for (which, want) in [("first", first), ("total", total)] {
            let of = |end: &str| indices[i][which][end].as_f64().unwrap();
            assert!(of("low") <= want && want <= of("high"), "{which} of x{}: {said}", i + 1);
        }
    }
    args.extend(["--jobs", "1"]);
    place.run(&args);
    assert_eq!(first, fs::read(place.path("out/i/once/sensitivity.json")).unwrap());
    args[3] = "morris";
    args[5] = "30";
    let said = place.said(0, &args);
    assert!(said.contains("Morris y"), "{said}");
}

/// Measurements of a tank with other parameters, with an even pattern of errors.
fn measured(place: &Place) {
    place.run(&[
        "run",
        "tank.twinml",
        "--set",
        "k=0.0115",
        "--set",
        "h0=95 cm",
        "--every",
        "20s",
        "--no-plot",
        "--out",
        "true.csv",
    ]);
    let rows = place.rows("true.csv");
    let at = |name: &str| rows[0].iter().position(|n| n == name).unwrap();
    let (h, q) = (at("h"), at("q_out"));
    let mut text = String::from("time [min],h [mm],flow [L/s]\n");
    for (k, row) in rows[1..].iter().enumerate() {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        let error = [1.0, -1.0, 0.5, -0.5, 0.0][k % 5];
        // One value is missing.
        let level = if k == 3 { String::new() } else { format!("{}", 10.0 * number(h) + 3.0 * error) };
        text += &format!("{},{level},{}\n", number(0) / 60.0, number(q) + 0.02 * error);
    }
    place.write("data.csv", &text);
}

#[test]
fn a_fit_finds_the_truth_and_says_how_well() {
    let place = tank();
    measured(&place);
    let said = place.said(
        0,
        &[
            "calibrate",
            "tank.twinml",
            "--data",
            "data.csv",
            "--fit",
            "k=0.005..0.03",
            "--fit",
            "h0",
            "--column",
            "q_out=flow",
        ],
    );
    let found = place.json("out/tank/fill/calibration.json");
    for (k, want) in [0.0115, 95.0].into_iter().enumerate() {
        let of = |end: &str| found["parameters"][k][end].as_f64().unwrap();
        assert!(of("low") < want && want < of("high"), "{said}");
        assert!((of("value") / want - 1.0).abs() < 0.005, "{said}");
    }
    assert_eq!(found["quantities"][0]["measurements"], 30);
    assert!(said.contains("95 % intervals"), "{said}");
}

#[test]
fn what_the_data_do_not_determine_is_named() {
    let place = tank();
    measured(&place);
    let said = place.said(
        0,
        &["calibrate", "tank.twinml", "--data", "data.csv", "--fit", "k", "--fit", "idle", "--sd", "h=2 mm"],
    );
    assert!(said.contains("the data do not determine this parameter: `idle`"), "{said}");
    let found = place.json("out/tank/fill/calibration.json");
    assert_eq!(found["parameters"][0]["identifiable"], true);
    assert_eq!(found["parameters"][1]["standard_error"], Value::Null);
    for (args, what, code) in [
        (vec!["--data", "data.csv", "--fit", "k", "--starts", "3"], "has none", 2),
        (vec!["--data", "none.csv", "--fit", "k"], "could not read", 5),
        (vec!["--data", "data.csv", "--fit", "k", "--sd", "q_out=1"], "do not measure", 2),
        (vec!["--data", "data.csv", "--fit", "k", "--column", "q_outt=flow"], "there is no", 2),
        (vec!["--data", "data.csv", "--fit", "k", "--column", "q_out=flaw"], "there is no column `flaw`", 2),
    ] {
        let said = place.said(code, &[vec!["calibrate", "tank.twinml"], args].concat());
        assert!(said.contains(what), "{what}: {said}");
    }
    place.write("bad.csv", "time,h [s]\n0,1\n60,2\n");
    let said = place.said(2, &["calibrate", "tank.twinml", "--data", "bad.csv", "--fit", "k"]);
    assert!(said.contains("`h` is in `s` in the data, which is no unit of a quantity in m"), "{said}");
}

/// Without ranges the model's own distributions say how parameters vary.
#[test]
fn distributions_of_the_model_are_taken() {
    let place = tank();
    let text = "twin Sum { units: off
  parameters { a: Real = 1 ~ normal(1, 3); b: Real = 2 ~ uniform(0, 12); c: Real = 5 }
  outputs { y: Real = a + b + c } }
scenario once for Sum { duration: 1 s }";
    place.write("s.twinml", text);
    let said = place.said(0, &["sensitivity", "s.twinml", "--method", "sobol", "-n", "2000"]);
    let found = place.json("out/s/once/sensitivity.json");
    let sobol = &found["quantities"][0]["sobol"];
    // Variances 9 and 12.
    assert!((sobol["variance"].as_f64().unwrap() / 21.0 - 1.0).abs() < 0.1, "{said}");
    assert!((sobol["mean"].as_f64().unwrap() - 12.0).abs() < 0.5, "{said}");
    for (k, want) in [9.0 / 21.0, 12.0 / 21.0].into_iter().enumerate() {
        let of = |end: &str| sobol["indices"][k]["total"][end].as_f64().unwrap();
        assert!(of("low") < want && want < of("high"), "{said}");
    }
    place.said(0, &["sensitivity", "s.twinml", "--method", "morris"]);
    let said = place.said(2, &["sensitivity", "tank.twinml", "--method", "sobol"]);
    assert!(said.contains("no parameter of this model has a distribution"), "{said}");
}
