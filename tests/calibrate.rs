//! `twinc calibrate` at bounds, through events and through actions, and `twinc sweep` where nothing compiles.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::fs;
use std::process::Command;

const DECAY: &str = "twin Decay {
  parameters { k: Real[1/s] = 0.1 [1/s]; x0: Length in cm = 1 m }
  states { x: Length in cm = x0 }
  equations { der(x) = -k*x }
}
scenario fall for Decay { duration: 10 s }
";

fn run(place: &tempfile::TempDir, args: &[&str]) -> (Option<i32>, String) {
    let out =
        Command::new(env!("CARGO_BIN_EXE_twinc")).current_dir(place.path()).args(args).output().unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
}

/// Results of a run are data for a fit as they are; a parameter at its bound has no interval, the other one has.
#[test]
fn parameters_at_bounds_are_held() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("decay.twinml"), DECAY).unwrap();
    let data =
        ["run", "decay.twinml", "--set", "k=0.2 [1/s]", "--every", "1s", "--no-plot", "--out", "data.csv"];
    assert_eq!(run(&place, &data).0, Some(0));
    let fit = [
        "calibrate",
        "decay.twinml",
        "--data",
        "data.csv",
        "--fit",
        "k=0.01 [1/s]..0.15 [1/s]",
        "--fit",
        "x0",
    ];
    let (code, said) = run(&place, &fit);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("at its upper bound, held there") && !said.contains("left out"), "{said}");
    let found = fs::read_to_string(place.path().join("out/decay/fall/calibration.json")).unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    let [k, x0] = [0, 1].map(|j| &found["parameters"][j]);
    assert_eq!((&k["value"], &k["low"], &k["standard_error"]), (&0.15.into(), &Value::Null, &Value::Null));
    assert_eq!(
        (&k["at_bound"], &k["identifiable"], &x0["at_bound"]),
        (&true.into(), &true.into(), &false.into())
    );
    assert!(x0["low"].as_f64().unwrap() < x0["high"].as_f64().unwrap(), "{said}");
    // One of two parameters is held: ten degrees of freedom remain of eleven measurements.
    assert_eq!(found["degrees_of_freedom"], 10);
}

#[test]
fn times_that_go_back_are_found() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("decay.twinml"), DECAY).unwrap();
    for rows in ["0,100\n2,80\n1,90\n", "0,100\n1,90\n-2,80\n"] {
        fs::write(place.path().join("data.csv"), format!("time [s],x [cm]\n{rows}")).unwrap();
        let (code, said) = run(&place, &["calibrate", "decay.twinml", "--data", "data.csv", "--fit", "k"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("row 3: `time` goes back"), "{said}");
    }
}

#[test]
fn a_sweep_of_what_is_not_there_says_so_once() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("decay.twinml"), DECAY).unwrap();
    let (code, said) = run(&place, &["sweep", "decay.twinml", "--set", "kk=1,2,3"]);
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said.matches("no member `kk`").count(), 1, "{said}");
    assert!(!place.path().join("out").exists());
    let (code, said) = run(&place, &["sweep", "decay.twinml", "--set", "k=1..2:99999999999"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("from 2 to 1000000"), "{said}");
}

/// Doses by mouth at two instants, one compartment: `c(t) = Σ D/V·exp(-k·(t - tᵢ))`.
const DOSES: &str = "twin Patient {
  parameters { V: Volume in L = 30 L; k: Real[1/h] = 0.2 [1/h] }
  states { m: Mass in mg = 100 mg }
  outputs { c: Density in mg/L = m/V }
  equations { der(m) = -k*m }
}
scenario course for Patient { duration: 24 h; at 6 h { m = m + 100 mg }; at 12 h { m = m + 50 mg } }
";

fn fitted(place: &tempfile::TempDir, file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(place.path().join(file)).unwrap()).unwrap()
}

/// Standard normal numbers, the same each time.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let _ = (0..100).map(|_| uniform()).last();
    move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

#[test]
fn what_a_scenario_does_is_no_obstacle() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("patient.twinml"), DOSES).unwrap();
    let (volume, rate) = (42.0, 0.31);
    let (mut inside, mut random) = (0, noise(7));
    for seed in 0..20 {
        let mut data = String::from("time [h],c [mg/L]\n");
        for k in 0..24 {
            // Unevenly, and one of them just when a dose is given.
            let t = if k == 12 { 12.0 } else { f64::from(k) + 0.3 * f64::from(k % 3) };
            let dose = |m: f64, at: f64| if t >= at { m / volume * (-rate * (t - at)).exp() } else { 0.0 };
            let c = dose(100.0, 0.0) + dose(100.0, 6.0) + dose(50.0, 12.0) + 0.05 * random();
            data.push_str(&format!("{t},{c}\n"));
        }
        fs::write(place.path().join("data.csv"), data).unwrap();
        let fit =
            ["calibrate", "patient.twinml", "--data", "data.csv", "--fit", "V", "--fit", "k", "--out", "o"];
        let (code, said) = run(&place, &fit);
        assert_eq!(code, Some(0), "{seed}: {said}");
        assert!(said.contains("scenario actions") && said.contains("by differences of runs"), "{said}");
        let found = fitted(&place, "o/calibration.json");
        assert_eq!(found["by"], "differences");
        let holds = |j: usize, truth: f64| {
            let p = &found["parameters"][j];
            let [value, low, high] = ["value", "low", "high"].map(|n| p[n].as_f64().unwrap());
            assert!((value / truth - 1.0).abs() < 0.1, "{seed}: {said}");
            low <= truth && truth <= high
        };
        inside += u32::from(holds(0, volume)) + u32::from(holds(1, rate));
    }
    // Of 40 intervals of 95 % at least 34 hold in 99.5 of 100 such tests.
    assert!(inside >= 34, "{inside} of 40");
}

#[test]
fn parameters_are_found_through_bounces() {
    let ball = "twin Ball {
  parameters { g: Acceleration = 9.81 m/s^2; e: Real = 0.7 }
  states { h: Length = 1 m; v: Velocity = 0 m/s }
  equations { der(h) = v; der(v) = -g }
  behavior { on falling(h > 0 m) { v = -e*v; h = 0 m } }
}
scenario drop for Ball { duration: 1.6 s }
";
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("ball.twinml"), ball).unwrap();
    let data =
        ["run", "ball.twinml", "--set", "e=0.8", "--set", "g=9.6 m/s^2", "--every", "10ms", "--rtol", "1e-9"];
    let (code, said) = run(&place, &[&data[..], &["--no-plot", "--out", "data.csv"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let fit = [
        "calibrate",
        "ball.twinml",
        "--data",
        "data.csv",
        "--fit",
        "g=8 m/s^2..12 m/s^2",
        "--fit",
        "e=0.5..0.95",
    ];
    let found: Vec<Value> = [&["--jobs", "1", "--out", "one"], &["--jobs", "3", "--out", "three"]]
        .into_iter()
        .map(|how| {
            let (code, said) = run(&place, &[&fit[..], &["--starts", "4"], &how[..]].concat());
            assert_eq!(code, Some(0), "{said}");
            assert!(said.contains("this model has behaviour"), "{said}");
            fitted(&place, &format!("{}/calibration.json", how[3]))
        })
        .collect();
    for (j, truth) in [(0, 9.6), (1, 0.8)] {
        let value = found[0]["parameters"][j]["value"].as_f64().unwrap();
        assert!((value / truth - 1.0).abs() < 1e-6, "{value}");
    }
    assert_eq!(found[0], found[1]);
    // Results step by step tell each bounce twice. The speed before it is not held against the speed after it: nothing of
    // several m/s is left over.
    let data = [
        "run",
        "ball.twinml",
        "--set",
        "e=0.8",
        "--set",
        "g=9.6 m/s^2",
        "--max-step",
        "20ms",
        "--rtol",
        "1e-9",
    ];
    let (code, said) = run(&place, &[&data[..], &["--no-plot", "--out", "data.csv"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&place, &[&fit[..], &["--starts", "4", "--out", "steps"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("out what stands at the 2 events of the data"), "{said}");
    let found = fitted(&place, "steps/calibration.json");
    for (k, truth) in [9.6, 0.8].into_iter().enumerate() {
        let value = found["parameters"][k]["value"].as_f64().unwrap();
        assert!((value / truth - 1.0).abs() < 1e-6, "{value}");
        assert!(found["quantities"][k]["sd"].as_f64().unwrap() < 1e-6, "{}", found["quantities"]);
    }
}

#[test]
fn noise_is_no_function_of_parameters() {
    let place = tempfile::tempdir().unwrap();
    let model = DECAY.replace("-k*x", "-k*x + 1 [cm/s^0.5]*white_noise()");
    fs::write(place.path().join("decay.twinml"), model).unwrap();
    fs::write(place.path().join("data.csv"), "time [s],x [cm]\n0,100\n1,90\n2,80\n").unwrap();
    let (code, said) = run(&place, &["calibrate", "decay.twinml", "--data", "data.csv", "--fit", "k"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("white noise") && said.contains("no function of the parameters"), "{said}");
}
