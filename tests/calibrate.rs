//! `twinc calibrate` at bounds, and `twinc sweep` where nothing compiles.
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
