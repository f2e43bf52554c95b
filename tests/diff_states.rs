//! `twinc diff` of snapshots and of nodes of the store: in what two states differ, by name.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;

use place::{Place, of};
use std::fs;

use serde_json::Value;

const MODEL: &str = "
twin Tank {
  parameters { area: Area = 2 m^2; rows: Real = 3 }
  inputs { q: VolumeFlow in L/s = 1 L/s }
  outputs { twice: Length = 2*h }
  states { h: Length in cm = 1 m; n: Int = 0 }
  equations { der(h) = (q - 0.2*h*1 L/(s*m))/area }
  behavior {
    machine mode { initial low
      state low { on rising(h > 1.2 m) -> high }
      state high { after 5 min -> low }
    }
    every 7 min { if draw(uniform(0, 1)) > 0.5 { n = n + 1; log(\"counted ${n}\") } wait 2 min; n = n + 1 }
  }
}
twin Plant { twins { tanks: Tank[2] } }
scenario day for Plant { duration: 1 h; record all every 10 s }
";

fn said(objects: &[Value]) -> (Vec<(&str, &str)>, &Value) {
    let text = |v: &Value| v.as_str().unwrap().to_owned().leak() as &str;
    let of_each = of(objects, "diff_state").iter().map(|o| (text(&o["what"]), text(&o["name"]))).collect();
    (of_each, of(objects, "diff_states")[0])
}

#[test]
fn two_states_differ_by_name() {
    let place = Place::with(&[("m.twinml", MODEL)]);
    let take = |at: &str, out: &str, more: &[&str]| {
        place.output(&[&["snapshot", "take", "m.twinml", "--at", at, "--out", out], more].concat(), 0);
    };
    take("30min", "a.twinsnap", &[]);
    take("30min", "again.twinsnap", &[]);
    let objects = place.objects(&["diff", "a.twinsnap", "again.twinsnap", "--exit-code"], 0);
    let (each, all) = said(&objects);
    assert!(each.is_empty() && all["same"] == true, "{all}");
    assert!(all["compared"].as_u64().unwrap() > 10, "{all}");

    // A later one: states and what behaviour remembers, no parameter.
    take("50min", "later.twinsnap", &[]);
    let objects = place.objects(&["diff", "a.twinsnap", "later.twinsnap", "--exit-code"], 6);
    let (each, all) = said(&objects);
    assert_eq!((&all["same"], &all["same_model"]), (&false.into(), &true.into()));
    assert_eq!((&all["a"]["asked"], &all["b"]["asked"]), (&1800.0.into(), &3000.0.into()));
    let has = |what: &str, name: &str| each.iter().any(|(w, n)| *w == what && n.contains(name));
    assert!(has("state", "tanks[0].h") && has("timer", "tanks[1]: every 7 min"), "{each:?}");
    assert!(
        has("random stream", "tanks[0]: every 7 min") && !each.iter().any(|(w, _)| *w == "parameter"),
        "{each:?}"
    );
    assert!(!each.iter().any(|(_, n)| n.contains("twice")), "what follows from others is not told: {each:?}");
    let sections: Vec<&str> =
        all["sections"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    assert!(sections.contains(&"the instant") && sections.contains(&"integrator"), "{sections:?}");
    // In the unit that the model writes; the number is that of `snapshot extract`.
    let h = of(&objects, "diff_state").into_iter().find(|o| o["name"] == "tanks[0].h").unwrap();
    assert_eq!(h["unit"], "cm");
    place.output(&["snapshot", "extract", "later.twinsnap", "--out", "x"], 0);
    let table = fs::read_to_string(place.path("x/state.csv")).unwrap();
    let line = table.lines().find(|l| l.starts_with("tanks[0].h,")).unwrap();
    assert_eq!(line.split(',').nth(2).unwrap().parse::<f64>().unwrap(), h["b"].as_f64().unwrap());

    // Another value of a parameter is told first, and `--only` leaves the rest out.
    take("30min", "wide.twinsnap", &["--set", "tanks[1].area=4 m^2"]);
    let objects = place.objects(&["diff", "a.twinsnap", "wide.twinsnap"], 0);
    let (each, all) = said(&objects);
    assert_eq!(all["same_model"], false, "a setting is built into the program");
    assert!(each.contains(&("parameter", "tanks[1].area")), "{each:?}");
    let objects = place.objects(&["diff", "a.twinsnap", "wide.twinsnap", "--only", "*.area"], 0);
    let (each, _) = said(&objects);
    assert_eq!(each, [("parameter", "tanks[1].area")]);
    let text = String::from_utf8(place.output(&["diff", "a.twinsnap", "wide.twinsnap"], 0).stdout).unwrap();
    assert!(text.contains("Parameter tanks[1].area  2 → 4 m^2"), "{text}");
}

#[test]
fn nodes_are_states_or_runs_and_the_two_are_not_mixed() {
    let place = Place::with(&[("m.twinml", MODEL)]);
    for at in ["30min", "40min"] {
        place.output(&["snapshot", "take", "m.twinml", "--at", at, "--out", &format!("{at}.twinsnap")], 0);
    }
    let branch = |name: &str, q: &str| {
        let set = format!("tanks[0].q={q} L/s");
        place.output(&["branch", "30min.twinsnap", "--inject", &set, "--name", name], 0);
    };
    branch("two", "2");
    branch("three", "3");
    place.output(&["timeline", "add", "40min.twinsnap"], 0);
    let objects = place.objects(&["diff", "day@1800s", "day@2400s"], 0);
    assert!(said(&objects).0.contains(&("state", "tanks[0].h")));
    // A node and a file of it are the same.
    let objects = place.objects(&["diff", "day@1800s", "30min.twinsnap"], 0);
    assert_eq!(said(&objects).1["same"], true);
    // Branches are runs.
    let objects = place.objects(&["diff", "two", "three"], 0);
    let diff = of(&objects, "diff")[0];
    assert_eq!((diff["same"].as_bool(), &diff["first"]["time"]), (Some(false), &1800.0.into()), "{diff}");
    let first = of(&objects, "diff_quantity")[0];
    assert_eq!((&first["name"], &first["first"]["b"]), (&"tanks[0].q".into(), &3.0.into()), "{first}");

    // A branch with the node that it grew from: with the run that went on unchanged beside it.
    let objects = place.objects(&["diff", "day@1800s", "two"], 0);
    let first = of(&objects, "diff_quantity")[0];
    assert_eq!((&first["first"]["a"], &first["first"]["b"]), (&1.0.into(), &2.0.into()), "{first}");

    let refused = |args: &[&str], code| String::from_utf8(place.output(args, code).stderr).unwrap();
    for args in [["diff", "two", "day@2400s"], ["diff", "30min.twinsnap", "out/m/branches/two"]] {
        let text = refused(&args, 2);
        assert!(
            text.contains("is a state at an instant and") && text.contains("run --from SNAPSHOT"),
            "{text}"
        );
    }
    let text = refused(&["diff", "30min.twinsnap", "40min.twinsnap", "--out", "x.html"], 2);
    assert!(text.contains("cannot be drawn"), "{text}");
    let text = refused(&["diff", "tow", "three"], 2);
    assert!(text.contains("did you mean `two`"), "{text}");
    // One that was not run has nothing to compare.
    place.output(&["branch", "day@1800s", "--inject", "tanks[0].q=9 L/s", "--name", "idle", "--no-run"], 0);
    let text = refused(&["diff", "idle", "three"], 2);
    assert!(text.contains("the branch `idle` has no results") && text.contains("--name idle"), "{text}");
    // A byte that is not what it was.
    let mut bytes = fs::read(place.path("30min.twinsnap")).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(place.path("bad.twinsnap"), bytes).unwrap();
    refused(&["diff", "bad.twinsnap", "40min.twinsnap"], 6);
}
