//! Branches of scenarios, end to end: what is the trunk's stays the trunk's bit for bit, and from its instant on a
//! branch is the run that a scenario with its actions would be.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

mod place;
use place::{Place, Ran, of};

const MODEL: &str = r#"
twin Tank {
  parameters { area: Area = 2 m^2; k: Real = 0.1; gain: Real = 2*k; total: Real = gain + 1 }
  inputs { q: VolumeFlow = 1 L/s; leak: VolumeFlow = 0 L/s }
  states { h: Length = 1 m }
  outputs { shown: Real = total }
  equations { der(h) = (q - leak - gain*h*1 L/(s*m))/area }
}
twin Plant {
  inputs { load: Real = 1 }
  twins { tanks: Tank[3] }
  states { x: Real = 0 }
  equations { der(x) = (load - x)/100 s }
  constraints { dry: always(tanks[0].h > -9 m); calm: always(x < 9) }
}
scenario day for Plant {
  duration: 20 min
  at 5 min { tanks.q = 2 L/s }
  at 15 min { tanks.q = 3 L/s; load = 2 }
  record all every 10 s
  branch early at 4 min { load = 5 }
  branch closed at 10 min { tanks[1].q = 0 L/s; expect calm; at 12 min { tanks.leak = 0.5 L/s } }
  branch wide at 10 min { tanks.area = 4 m^2; parameters { tanks[2].gain = 1 } }
  branch stiffer at 10 min { tanks.k = 0.3 }
  expect dry
}
// What the branch `closed` is, from scratch: the trunk's action at 15 min leaves tanks[1].q alone.
scenario like_closed for Plant {
  duration: 20 min
  at 5 min { tanks.q = 2 L/s }
  at 10 min { tanks[1].q = 0 L/s }
  at 12 min { tanks.leak = 0.5 L/s }
  at 15 min { tanks[0].q = 3 L/s; tanks[2].q = 3 L/s; load = 2 }
  record all every 10 s
}
scenario like_early for Plant {
  duration: 20 min
  at 4 min { load = 5 }
  at 5 min { tanks.q = 2 L/s }
  at 15 min { tanks.q = 3 L/s }
  record all every 10 s
}
"#;

impl Place {
    /// Runs the model.
    fn simulate(&self, args: &[&str]) -> Ran {
        self.run(&[&["run", "m.twinml"], args].concat())
    }

    /// Runs a scenario into `name.csv`; what it said.
    #[track_caller]
    fn csv(&self, args: &[&str], name: &str) -> String {
        self.simulate(&[args, &["--out", &format!("{name}.csv")]].concat()).expect(0).said()
    }
}

/// Rows up to a time, and the row at a time (of the right limit) by column.
fn before(text: &str, time: f64) -> Vec<&str> {
    text.lines().skip(1).take_while(|l| l.split(',').next().unwrap().parse::<f64>().unwrap() < time).collect()
}

fn row(text: &str, time: f64) -> BTreeMap<&str, f64> {
    let mut lines = text.lines();
    let names = lines.next().unwrap().split(',');
    let row = lines.rfind(|l| l.split(',').next().unwrap().parse() == Ok(time)).unwrap();
    names.zip(row.split(',').map(|x| x.parse().unwrap_or(f64::NAN))).collect()
}

#[test]
fn a_branch_is_the_trunk_up_to_its_instant_and_then_a_run_with_its_actions() {
    let place = Place::model(MODEL);
    for solver in ["tsit5", "bdf", "rosenbrock", "rk4", "auto", "adams", "esdirk"] {
        place.csv(&["--solver", solver], "r");
        place.csv(&["--scenario", "like_early", "--solver", solver], "early");
        place.csv(&["--scenario", "like_closed", "--solver", solver], "closed");
        let (trunk, early, closed) =
            (place.text("r.csv"), place.text("r.early.csv"), place.text("r.closed.csv"));
        for (branch, at) in [("early", 240.0), ("closed", 600.0), ("wide", 600.0), ("stiffer", 600.0)] {
            let own = place.text(&format!("r.{branch}.csv"));
            assert!(before(&trunk, at).len() > 20);
            assert_eq!(before(&trunk, at), before(&own, at), "{solver} {branch}: the trunk is shared");
            assert_ne!(row(&trunk, 1200.0), row(&own, 1200.0), "{solver} {branch}");
        }
        // The first branch has no stop before its own: the same bits as from scratch.
        assert_eq!(early, place.text("early.csv"), "{solver}");
        // The later one shares the trunk, which stops where the first begins: the same to the tolerance.
        let (a, b) = (row(&closed, 1200.0), place.text("closed.csv"));
        let b = row(&b, 1200.0);
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        for (name, x) in &a {
            assert!((x - b[name]).abs() <= 1e-4 * x.abs().max(1e-3), "{solver} {name}: {x} {}", b[name]);
        }
        assert_eq!(a["tanks[1].q"], 0.0, "the trunk's action at 15 min leaves what the branch assigns");
        assert_eq!(a["tanks[0].q"], b["tanks[0].q"]);
        assert!(a["tanks[0].q"] > 0.0);
    }
}

/// The same actions in two branches: `whole` expects a condition of its own, which is looked at from the start on, so it
/// is run from there; `part` goes on from the trunk.
const TWICE: &str = r#"
twin Tank {
  parameters { area: Area = 2 m^2; k: Real = 0.1; gain: Real = 2*k }
  inputs { q: VolumeFlow = 1 L/s }
  states { h: Length = 1 m; filled: Int = 0; on: Bool = true }
  equations { der(h) = ((if on then q else 0 L/s) - gain*h*1 L/(s*m))/area }
  behavior {
    on rising(h > 1.02 m) { filled = filled + 1; wait 30 s; filled = filled + 10; emit full(level: h) }
    every 70 s { if draw(uniform(0, 1)) > 0.5 { filled = filled + 1 } }
    on full { log("full at ${time}") }
    on rising(h > 1.2 m) { on = false }
    on falling(h < 1.1 m) { on = true }
  }
}
twin Plant {
  twins { tanks: Tank[3] }
  states { x: Real = 0 }
  equations { der(x) = (1 - x)/100 s }
  constraints { calm: always(x < 9); kpi top: max(tanks[1].h over run) }
}
scenario day for Plant {
  duration: 20 min
  at 5 min { tanks.q = 2 L/s }
  at 15 min { tanks.q = 3 L/s }
  record all every 10 s
  branch first at 4 min { x = 2 }
  branch part at 10 min { tanks[1].q = 0 L/s; tanks.k = 0.3; at 12 min { x = 5 } }
  branch whole at 10 min { tanks[1].q = 0 L/s; tanks.k = 0.3; at 12 min { x = 5 }; expect x < 100 }
  expect calm
}
"#;

#[test]
fn what_goes_on_from_the_trunk_is_what_is_run_from_the_start() {
    let place = Place::model(TWICE);
    for solver in [
        "euler",
        "rk4",
        "tsit5",
        "dopri5",
        "taylor",
        "adams",
        "implicit_euler",
        "rosenbrock",
        "bdf",
        "esdirk",
        "trbdf2",
        "diffsol_bdf",
        "auto",
    ] {
        let args = ["--solver", solver, "--format", "json", "--snapshot-every", "4 min"];
        let objects = place.simulate(&args).expect(0).objects();
        let mut finished: Vec<Value> =
            objects.iter().filter(|o| o["type"] == "finished" && o["branch"] != "first").cloned().collect();
        let trunk = finished.remove(0);
        let steps = |o: &Value| o["steps"].as_u64().unwrap();
        let (shared, own) = (&finished[0]["trunk_steps"], &finished[1]["trunk_steps"]);
        // About half of the trunk; what hides its state is at its last restart.
        assert!(shared.as_u64().unwrap() > steps(&trunk) / 5, "{solver}: {shared} of {}", steps(&trunk));
        assert_eq!(own, 0, "{solver}");
        for o in &mut finished {
            for name in ["branch", "took_ms", "trunk_steps"] {
                o.as_object_mut().unwrap().remove(name);
            }
        }
        assert_eq!(finished[0], finished[1], "{solver}: counters of the whole run");
        let diff = |a: &str, b: &str| -> (Vec<Value>, Value) {
            let mut all = place.run(&["diff", a, b, "--format", "json"]).objects();
            (all.clone(), all.pop().unwrap())
        };
        let (all, last) = diff("out/m/day.part.parquet", "out/m/day.whole.parquet");
        // Rows, verdicts and events, but for how the branch's own actions are called.
        assert_eq!((&last["different"], &last["outcomes"]), (&0.into(), &0.into()), "{solver}: {last}");
        let foreign = all.iter().find(|o| o["type"] == "diff_event" && o["event_kind"] != "action");
        assert_eq!(foreign, None, "{solver}");
        assert!(
            last["instants"].as_u64().unwrap() > 120 && last["quantities"].as_u64().unwrap() > 10,
            "{last}"
        );
        // Snapshots of a branch from before it begins are its own.
        for at in [240, 480, 720, 960] {
            let name = format!("out/m/day.part@{at}s.twinsnap");
            place.expect(0, &["run", "--from", &name, "--out", "rest", "--no-plot"]);
        }
        let (_, last) = diff("rest/day@480s.part.parquet", "out/m/day.part.parquet");
        assert_eq!(last["decisions"], 0, "{solver}: {last}");
        assert_eq!(last["different"], 0, "{solver}: {last}");
    }
}

#[test]
fn the_trunks_work_is_done_once() {
    let place = Place::model(TWICE);
    let objects = place.simulate(&["--solver", "tsit5", "--format", "json"]).objects();
    let finished: Vec<(u64, u64)> = of(&objects, "finished")
        .iter()
        .map(|o| (o["steps"].as_u64().unwrap(), o["trunk_steps"].as_u64().unwrap()))
        .collect();
    // Steps of the trunk and of each branch, and how many of these the trunk has done.
    assert_eq!(finished, [(58, 0), (74, 19), (82, 40), (82, 0)]);
}

/// `der(h) = (q − g·h)/A` from `h0`, in SI.
fn level(h0: f64, q: f64, g: f64, area: f64, t: f64) -> f64 {
    let end = q / g;
    end + (h0 - end) * (-g / area * t).exp()
}

#[test]
fn a_branch_sets_parameters_and_what_follows_from_them() {
    let place = Place::model(MODEL);
    for solver in ["tsit5", "bdf", "rosenbrock", "implicit_euler", "esdirk", "trbdf2", "diffsol_bdf"] {
        let tolerance = if solver == "implicit_euler" { 2e-3 } else { 1e-6 };
        place.csv(&["--solver", solver, "--rtol", "1e-8", "--atol", "1e-10", "--si"], "p");
        let litre = 1e-3;
        let h5 = level(1.0, litre, 0.2 * litre, 2.0, 300.0);
        let h10 = level(h5, 2.0 * litre, 0.2 * litre, 2.0, 300.0);
        let wide = place.text("p.wide.csv");
        let at = row(&wide, 900.0);
        // The number itself, a formula's own value, and what follows from it.
        let expected = level(h10, 2.0 * litre, 0.2 * litre, 4.0, 300.0);
        assert!((at["tanks[0].h"] - expected).abs() < tolerance, "{solver}: {} {expected}", at["tanks[0].h"]);
        let expected = level(h10, 2.0 * litre, litre, 4.0, 300.0);
        assert!((at["tanks[2].h"] - expected).abs() < tolerance, "{solver}: {} {expected}", at["tanks[2].h"]);
        assert_eq!((at["tanks[2].shown"], at["tanks[1].shown"]), (2.0, 1.2), "{solver}");
        // A parameter that others follow.
        let stiffer = place.text("p.stiffer.csv");
        let at = row(&stiffer, 900.0);
        let expected = level(h10, 2.0 * litre, 0.6 * litre, 2.0, 300.0);
        assert!((at["tanks[1].h"] - expected).abs() < tolerance, "{solver}: {} {expected}", at["tanks[1].h"]);
        assert!((at["tanks[1].shown"] - 1.6).abs() < 1e-12);
        // The trunk knows nothing of it.
        assert_eq!(row(&place.text("p.csv"), 1200.0)["tanks[2].shown"], 1.2);
    }
    // What people see is the parameter, not how the compiler changes it.
    let head = place.text("p.csv");
    assert!(!head.lines().next().unwrap().contains("cho"), "{head}");
}

#[test]
fn files_verdicts_and_summary_name_the_branch() {
    let place = Place::model(MODEL);
    let Ran { out: said, err, .. } = place.simulate(&[]).expect(0);
    assert!(err.contains("Running day/closed from 10 min to 20 min"), "{err}");
    assert!(said.contains("closed/dry") && said.contains("closed/calm"), "{said}");
    assert!(said.contains("out/m/day.closed.parquet"), "{said}");
    let summary = place.json("out/m/summary.json");
    let branches = summary["branches"].as_array().unwrap();
    let names: Vec<&str> = branches.iter().map(|b| b["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["early", "closed", "wide", "stiffer"]);
    let closed = &branches[1];
    assert_eq!(closed["at"], 600.0);
    assert_eq!(closed["ended"], "complete");
    assert_eq!(closed["files"][0]["path"], "day.closed.parquet");
    let expected = |of: &Value, name: &str| {
        let all = of["requirements"].as_array().unwrap();
        all.iter().find(|r| r["name"] == name).unwrap()["expected"] == true
    };
    assert!(expected(&summary, "dry") && !expected(&summary, "calm"));
    assert!(expected(closed, "closed/dry") && expected(closed, "closed/calm"));
    assert!(expected(&branches[0], "early/dry") && !expected(&branches[0], "early/calm"));
    let objects = place.simulate(&["--format", "json"]).objects();
    let branches = |kind: &str| -> Vec<&Value> { of(&objects, kind).iter().map(|o| &o["branch"]).collect() };
    assert_eq!(
        branches("running"),
        [&Value::Null, &"early".into(), &"closed".into(), &"wide".into(), &"stiffer".into()]
    );
    assert_eq!(branches("finished"), branches("running"));
    // The same twice: the same bits.
    let first = fs::read(place.path("out/m/day.closed.parquet")).unwrap();
    place.simulate(&[]);
    assert_eq!(first, fs::read(place.path("out/m/day.closed.parquet")).unwrap());
}

#[test]
fn a_branch_that_the_run_does_not_reach_is_left_out_and_said() {
    let place = Place::model(MODEL);
    let said = place.csv(&["--until", "5 min"], "short");
    assert!(said.contains("the branch `closed` begins at 10 min, which the run does not reach"), "{said}");
    assert!(place.path("short.early.csv").exists() && !place.path("short.closed.csv").exists());
    // The trunk fails at 2 s (a pole); a branch that leaves it before goes on.
    let place = Place::model(
        "twin P { inputs { u: Real = 1 } states { x: Real = 1 } equations { der(x) = u*x^2/2 s } }\n\
         scenario s for P { duration: 10 s; branch saved at 1 s { u = -1 }; branch lost at 3 s { u = 0 } }\n",
    );
    let said = place.simulate(&["--out", "r.csv", "--solver", "tsit5"]).expect(3).said();
    assert!(said.contains("the branch `lost` begins at 3 s, which the run does not reach"), "{said}");
    let saved = place.text("r.saved.csv");
    // x(1 s) = 2, then der(x) = −x²/2 s.
    let x = row(&saved, 10.0)["x"];
    assert!((x - 1.0 / (0.5 + 4.5)).abs() < 1e-5, "{x}");
}

#[test]
fn what_a_branch_cannot_do_is_an_error_at_its_line() {
    let model = |branch: &str| {
        format!(
            "twin Part {{ states {{ x: Real = 1 }} equations {{ der(x) = -x/1 s }} }}\n\
             twin M {{ parameters {{ n: Int = 3; final f: Real = 2; a: Real = 1 where self < 5; b: Real = f*parts[0].x.start }}\n\
             twins {{ parts: Part[n] }} inputs {{ u: Real = 0 }} outputs {{ y: Real = u + a + b }} constraints {{ fine: always(y < 9) }} }}\n\
             scenario s for M {{ duration: 10 s\n{branch}\n}}\n"
        )
    };
    for (branch, code, words) in [
        ("branch b at 1 s { n = 4 }", "E0718", "chooses the structure"),
        ("branch b at 1 s { f = 4 }", "E0315", "final"),
        ("branch b at 1 s { a = 7 }", "E0731", "value 7 of `a` is outside its range"),
        ("branch b at 10 s { a = 2 }", "E0723", "begins when the run is over"),
        ("branch b at 3 s { at 2 s { a = 2 } }", "E0723", "before the branch `b` begins"),
        ("branch b at 1 s { record y every 1 s }", "", "cannot stand here"),
        ("branch b at 1 s { branch c at 2 s { a = 2 } }", "", "cannot stand here"),
        ("branch b at 1 s { a = 2 }; branch b at 2 s { a = 2 }", "E0302", "declared twice"),
        ("at 1 s { a = 2 }", "E0718", "only a branch"),
    ] {
        let place = Place::model(&model(branch));
        let said = place.simulate(&["--out", "r.csv"]).expect(2).err;
        assert!(said.contains(words) && said.contains(code), "{branch}: {said}");
        assert!(said.contains("m.twinml:5:"), "{branch}: {said}");
    }
    let place = Place::model(&model("branch b at 1 s { a = 2; expect fine }"));
    place.simulate(&["--out", "r.csv"]).expect(0);
}
