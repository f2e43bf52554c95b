//! `force` and `release` of what a connection, a definition or an equation gives, end to end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

struct Ran {
    code: Option<i32>,
    said: String,
    place: tempfile::TempDir,
}

fn run(model: &str, args: &[&str]) -> Ran {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), model).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
    command.args(["run", "m.twinml", "--si", "--out", "r.csv"]).args(args).current_dir(place.path());
    let out = command.output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    Ran { code: out.status.code(), said: text(&out.stderr) + &text(&out.stdout), place }
}

impl Ran {
    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.place.path().join(file)).unwrap_or_else(|_| panic!("{file}: {}", self.said))
    }

    /// The row of the right limit at a time, by column.
    fn row(&self, file: &str, time: f64) -> BTreeMap<String, f64> {
        let text = self.text(file);
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        let row = lines.rfind(|l| l.split(',').next().unwrap().parse() == Ok(time)).unwrap();
        let value = |x: &str| match x {
            "true" => 1.0,
            "false" => 0.0,
            x => x.parse().unwrap_or(f64::NAN),
        };
        names.iter().map(|n| (*n).to_owned()).zip(row.split(',').map(value)).collect()
    }
}

#[track_caller]
fn near(got: f64, wanted: f64) {
    assert!((got - wanted).abs() <= 1e-7 * wanted.abs().max(1.0), "{got}, not {wanted}");
}

/// Tanks whose levels are measured and controlled: `der(h) = 0.3(1.5 - h) - 0.1h`, in m and s.
const PLANT: &str = "
twin Tank {
  inputs  { q: Velocity = 0 m/s }
  outputs { level: Length in cm = h }
  states  { h: Length = 1 m }
  variables { leak: Velocity }
  equations { der(h) = q - leak; leak = h*0.1 [1/s] }
}
twin Ctl { inputs { y: Length } outputs { u: Velocity = 0.3 [1/s]*(1.5 m - y) } }
twin Plant {
  twins { tanks: Tank[3]; ctl: Ctl[3] }
  connections { for i in 0..3 { tanks[i].level -> ctl[i].y } }
  equations { for i in 0..3 { tanks[i].q = ctl[i].u } }
}
";

#[test]
fn outputs_variables_and_inputs_are_forced_and_released() {
    let model = format!(
        "{PLANT}
scenario run for Plant {{
  duration: 40 s
  solver: tsit5(rtol: 1e-10, atol: 1e-12)
  at 0.5 s {{ force tanks[0].level = 2 m }}              // the sensor is stuck above the limit
  at 10 s  {{ release tanks[0].level }}
  at 0 s   {{ force tanks[1].leak = 0 m/s; force tanks[2].q = 0.05 m/s }}
  at 5 s   {{ force tanks[1].leak = 0.02 m/s; release tanks[2].q }}
  record all every 1 s
  branch stuck at 8 s {{ force ctl[0].u = 0.3 m/s; at 12 s {{ release ctl[0].u; release tanks[1].leak }} }}
}}
"
    );
    let ran = run(&model, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let to = |h: f64, end: f64, rate: f64, t: f64| end + (h - end) * (-rate * t).exp();
    // Tank 0: from 0.5 s on the sensor says 2 m and the controller pumps 0.15 m/s out.
    let h = to(1.0, 1.125, 0.4, 0.5);
    let r = ran.row("r.csv", 9.0);
    near(r["tanks[0].h"], to(h, -1.5, 0.1, 8.5));
    near(r["tanks[0].level"], 2.0);
    near(r["ctl[0].y"], 2.0);
    near(r["tanks[0].q"], -0.15);
    // Released, the level is the tank's again at once.
    let h10 = to(h, -1.5, 0.1, 9.5);
    let r = ran.row("r.csv", 10.0);
    near(r["tanks[0].level"], h10);
    near(r["tanks[0].q"], 0.3 * (1.5 - h10));
    near(ran.row("r.csv", 11.0)["tanks[0].h"], to(h10, 1.125, 0.4, 1.0));
    // Tank 1 without a leak, and then with a small one.
    near(ran.row("r.csv", 4.0)["tanks[1].h"], to(1.0, 1.5, 0.3, 4.0));
    let small = to(to(1.0, 1.5, 0.3, 5.0), 0.43 / 0.3, 0.3, 4.0);
    near(ran.row("r.csv", 9.0)["tanks[1].h"], small);
    near(ran.row("r.csv", 9.0)["tanks[1].leak"], 0.02);
    // Tank 2 is filled steadily, and then by its controller.
    near(ran.row("r.csv", 4.0)["tanks[2].h"], to(1.0, 0.5, 0.1, 4.0));
    near(ran.row("r.csv", 9.0)["tanks[2].h"], to(to(1.0, 0.5, 0.1, 5.0), 1.125, 0.4, 4.0));
    // The branch: 0.3 m/s from 8 s to 12 s whatever the sensor says.
    let h8 = to(h, -1.5, 0.1, 7.5);
    let r = ran.row("r.stuck.csv", 9.0);
    near(r["tanks[0].h"], to(h8, 3.0, 0.1, 1.0));
    near(r["ctl[0].u"], 0.3);
    let h12 = to(h8, 3.0, 0.1, 4.0);
    let r = ran.row("r.stuck.csv", 12.0);
    near(r["tanks[0].h"], h12);
    near(r["ctl[0].u"], 0.3 * (1.5 - h12));
    near(r["tanks[1].leak"], 0.1 * r["tanks[1].h"]);
    near(ran.row("r.stuck.csv", 13.0)["tanks[0].h"], to(h12, 1.125, 0.4, 1.0));
    // People see the members alone.
    let head = ran.text("r.csv");
    assert!(!head.lines().next().unwrap().contains("force"), "{head}");
}

#[test]
fn nothing_is_added_where_nothing_is_forced() {
    let with = |actions: &str| format!("{PLANT}\nscenario run for Plant {{ duration: 1 s; {actions} }}\n");
    let flat = |actions: &str| run(&with(actions), &["--emit", "flat"]).said;
    let plain = flat("at 0.5 s { tanks[0].h = 2 m }");
    let forced = flat("at 0.5 s { force tanks[1].level = 2 m }");
    assert!(!plain.contains("forced") && forced.contains("forced"), "{plain}{forced}");
    assert_eq!(
        plain.matches("eq ").count(),
        forced.matches("eq ").count(),
        "the equation itself makes the choice"
    );
}

#[test]
fn truth_values_and_machines_outputs_are_forced() {
    let model = "
twin Relay {
  inputs { T: Real = 0 }
  outputs { on_cmd: Bool = mode.heating; lamp: Bool = not on_cmd }
  behavior { machine mode { initial off; state off { on rising(T > 1) -> heating }; state heating { on falling(T > 1) -> off } } }
}
twin M {
  twins { relay: Relay }
  states { x: Real = 0 }
  equations { der(x) = if relay.on_cmd then 1 [1/s] else 0 [1/s]; relay.T = time/1 s }
}
scenario welded for M {
  duration: 6 s
  solver: tsit5
  at 3 s { force relay.on_cmd = false }
  at 4 s { release relay.on_cmd }
  record all every 0.5 s
}
";
    let ran = run(model, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    // On from 1 s; off from 3 s to 4 s though the machine heats.
    near(ran.row("r.csv", 6.0)["x"], 4.0);
    let r = ran.row("r.csv", 3.5);
    assert_eq!((r["relay.on_cmd"], r["relay.lamp"]), (0.0, 1.0));
}

#[test]
fn what_no_equation_gives_by_itself_cannot_be_forced() {
    let model = |target: &str| {
        format!(
            "twin M {{ inputs {{ u: Real = 1 }} states {{ x: Real = 0; n: Int = 0 }} variables {{ a: Real; b: Real }}
  equations {{ der(x) = a/1 s; a + b = u; a - b = x }}
  behavior {{ every 1 s {{ n = n + 1 }} }} }}
scenario s for M {{ duration: 2 s; at 1 s {{ force {target} = 1 }} }}\n"
        )
    };
    for (target, code, word) in [
        ("a", "E0717", "no equation gives `a` by itself"),
        ("x", "E0415", "is a state and cannot be forced"),
        ("n", "E0415", "is a state and cannot be forced"),
    ] {
        let ran = run(&model(target), &[]);
        assert_eq!(ran.code, Some(2), "{target}: {}", ran.said);
        assert!(ran.said.contains(code) && ran.said.contains(word), "{target}: {}", ran.said);
    }
    assert_eq!(run(&model("u"), &[]).code, Some(0));
}
