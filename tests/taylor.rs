//! The Taylor method on models: against closed forms and conserved quantities, the same bits interpreted and compiled,
//! and what it says of models that have no series.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output};

const MODELS: &str = "
twin Kepler {
  units: off
  parameters { e: Real = 0.5 }
  states { x: Real = 1 - e; y: Real = 0; u: Real = 0; v: Real = sqrt((1 + e)/(1 - e)) }
  variables { r3: Real }
  equations {
    r3 = (x^2 + y^2)^1.5
    der(x) = u
    der(y) = v
    der(u) = -x/r3
    der(v) = -y/r3
  }
}
twin Chemistry {
  units: off
  states { a: Real = 1; w: Real = 1 }
  equations {
    der(a) = -0.3*a*exp(-a/(1 + w))
    der(w) = tanh(a) - log(1 + w^2)*sin(time) + atan2(a, 1 + w)
  }
}
twin Filled {
  units: off
  parameters { n: Real = 4 }
  states { x: Real[1][30] = 1 }
  equations { for i in 0..30 { der(x[i]) = cos(n*x[i]) - x[mod(i + 1, 30)] } }
}
twin Looked {
  units: off
  parameters { f: Table = table(\"f.csv\", x: \"a\", y: \"b\", method: linear) }
  states { x: Real = 0.5 }
  equations { der(x) = -f(x) }
}
twin Looped {
  units: off
  states { x: Real = 1 }
  variables { y: Real }
  equations { y + sin(y) = x; der(x) = -y }
}
twin Driven { units: off
  states { x: Real = 1 }
  equations { der(x) = sin(20*time) - x^3 }
}
scenario orbit for Kepler { duration: 62.831853072 s; record all every 62.831853072 s }
scenario chemistry for Chemistry { duration: 20 s; record all every 1 s }
scenario filled for Filled { duration: 2 s; record all every 1 s }
scenario driven for Driven { duration: 8 s; solver: auto(rtol: 1e-8, atol: 1e-10); record all every 8 s }
scenario looked for Looked { duration: 1 s; record all every 1 s }
scenario looped for Looped { duration: 1 s; record all every 1 s }
";

fn twinc(args: &[&str]) -> (Output, String) {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("m.twinml"), MODELS).unwrap();
    std::fs::write(place.path().join("f.csv"), "a,b\n0,0\n1,1\n2,4\n").unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .args(["run", "m.twinml", "--no-plot", "--out", "r.csv"])
        .args(args)
        .current_dir(place.path())
        .output()
        .unwrap();
    (out, std::fs::read_to_string(place.path().join("r.csv")).unwrap_or_default())
}

fn last(csv: &str) -> Vec<f64> {
    csv.lines().last().unwrap().split(',').map(|c| c.parse().unwrap()).collect()
}

#[test]
fn ten_orbits_end_where_they_began() {
    // At tight tolerances within a hundred times of it; the columns are time, step, e, x, y, u, v.
    for (rtol, within) in [("1e-6", 3e-4), ("1e-9", 1e-7), ("1e-13", 1e-10)] {
        let (out, csv) = twinc(&["--scenario", "orbit", "--solver", "taylor", "--rtol", rtol]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let x = last(&csv);
        // The clock counts nanoseconds: the end is a little after ten periods.
        let over = 62.831_853_072 - 20.0 * std::f64::consts::PI;
        let error = (x[3] - 0.5).hypot(x[4] - over * f64::sqrt(3.0));
        assert!(error < within, "{rtol}: {error:e}");
    }
}

#[test]
fn it_agrees_with_other_methods_and_has_the_interpreters_bits() {
    for scenario in ["chemistry", "filled"] {
        let with = |more: &[&str]| {
            let args = [&["--scenario", scenario, "--rtol", "1e-11", "--atol", "1e-12"], more].concat();
            let (out, csv) = twinc(&args);
            assert!(out.status.success(), "{scenario}: {}", String::from_utf8_lossy(&out.stderr));
            csv
        };
        let compiled = with(&["--solver", "taylor"]);
        assert_eq!(compiled, with(&["--solver", "taylor", "--engine", "interpreter"]), "{scenario}");
        for (a, b) in last(&compiled).iter().zip(last(&with(&["--solver", "dopri5"]))) {
            assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{scenario}: {a} {b}");
        }
    }
}

#[test]
fn a_model_without_a_series_is_refused_with_the_reason() {
    for (scenario, reason) in
        [("looked", "a table is looked up in them"), ("looped", "an algebraic loop is solved in them")]
    {
        let (out, _) = twinc(&["--scenario", scenario, "--solver", "taylor"]);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains("`taylor`") && said.contains(reason) && said.contains("`adams`"), "{said}");
    }
}

/// What `auto` decides by the length of a series' code: pinned, as a change of these counts is a change of speed. By a guess from
/// the right-hand side alone it took 884 steps of Adams.
#[test]
fn auto_knows_how_long_the_code_of_a_series_is() {
    let (out, _) = twinc(&["--scenario", "driven", "--format", "json"]);
    let said = String::from_utf8_lossy(&out.stdout);
    let finished = said.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    let finished = finished.into_iter().find(|e| e["type"] == "finished").unwrap();
    assert_eq!((&finished["solver"], &finished["steps"]), (&"taylor".into(), &321.into()));
}
