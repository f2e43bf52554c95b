//! What handlers compute has the bits of what equations compute.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::process::Command;

/// Formulas over `a` and `b`, both plain numbers.
const FORMULAS: &[&str] = &[
    "a + b",
    "a - b",
    "a*b",
    "a/b",
    "-a",
    "min(a, b)",
    "max(a, b)",
    "1/min(a, b)",
    "1/max(a, b)",
    "clamp(a, b, 2)",
    "abs(a)",
    "1/abs(a)",
    "sign(a)",
    "1/sign(a)",
    "floor(a)",
    "ceil(a)",
    "1/ceil(a)",
    "round(a)",
    "trunc(a)",
    "1/trunc(a)",
    "mod(a, 3)",
    "sqrt(a)",
    "cbrt(a)",
    "hypot(a, b)",
    "pow(a, b)",
    "a^3",
    "a^0.7",
    "exp(a)",
    "log(a)",
    "log10(a)",
    "log2(a)",
    "sin(a)",
    "cos(a)",
    "tan(a)",
    "asin(a)",
    "acos(a)",
    "atan(a)",
    "atan2(a, b)",
    "sinh(a)",
    "cosh(a)",
    "tanh(a)",
    "asinh(a)",
    "acosh(a)",
    "atanh(a)",
    "erf(a)",
    "gamma(a)",
    "if a < b then a else b",
    "if a <= b then 1 else 2",
];

/// Pairs of values, the zeros of both signs among them (a negative zero is written as a product).
const VALUES: &[(&str, &str)] = &[
    ("0", "0*(-1)"),
    ("0*(-1)", "0"),
    ("0*(-1)", "0*(-1)"),
    ("0.3", "-1.7"),
    ("-0.4", "0.4"),
    ("2.5", "3"),
    ("-2.5", "2"),
    ("123456.789", "1e-300"),
    ("0.9999999", "1e300"),
];

#[test]
fn handlers_and_equations_agree_in_every_bit() {
    let place = tempfile::tempdir().unwrap();
    for (a, b) in VALUES {
        let (mut states, mut variables, mut equations, mut writes) =
            (String::new(), String::new(), String::new(), String::new());
        for (k, formula) in FORMULAS.iter().enumerate() {
            let _ = write!(states, "; h{k}: Real = 0");
            let _ = write!(variables, "{}e{k}: Real", if k > 0 { "; " } else { "" });
            // What is no number would end the run: a number stands for it.
            let value = format!("if ({formula}) >= 0 or ({formula}) < 0 then {formula} else -12345");
            let _ = writeln!(equations, "    e{k} = noevent({value})");
            let _ = writeln!(writes, "      h{k} = {value}");
        }
        // Inputs of the run, so that nothing is known when the model is compiled.
        let model = format!(
            "twin M {{\n  units: off\n  parameters {{ a: Real = {a}; b: Real = {b} }}\n  states {{ n: Int = 0{states} }}\n  variables {{ {variables} }}\n  equations {{\n{equations}  }}\n  behavior {{\n    at 1 s {{\n{writes}    }}\n  }}\n}}\nscenario s for M {{ duration: 2 s; record all every 2 s }}\n"
        );
        std::fs::write(place.path().join("m.twinml"), model).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
        command.args(["run", "m.twinml", "--out", "r.csv", "--no-plot"]).current_dir(place.path());
        let out = command.output().unwrap();
        assert!(out.status.success(), "{a}, {b}: {}", String::from_utf8_lossy(&out.stderr));
        let text = std::fs::read_to_string(place.path().join("r.csv")).unwrap();
        let head: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        let last: Vec<&str> = text.lines().last().unwrap().split(',').collect();
        let cell = |name: String| last[head.iter().position(|h| **h == name).unwrap()];
        for (k, formula) in FORMULAS.iter().enumerate() {
            // Numbers are written with as many digits as bring back their bits.
            assert_eq!(cell(format!("h{k}")), cell(format!("e{k}")), "{formula} at {a}, {b}");
        }
    }
}
