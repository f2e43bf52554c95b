//! `twinc diff`: two runs compared, from the command line.
#![allow(clippy::unwrap_used, reason = "tests")]

mod place;

use place::{Place, of};
use std::fs;

use serde_json::Value;

const LORENZ: &str = "
twin Lorenz {
  parameters { rate: Real[1/s] = 1 }
  states { x: Real = -5.76; y: Real = -8.29; z: Real = 20.1 }
  equations {
    der(x) = 10*(y - x)*rate
    der(y) = (x*(28 - z) - y)*rate
    der(z) = (x*y - 8/3*z)*rate
  }
}
scenario turn for Lorenz { duration: 40 s; solver: tsit5(rtol: 1e-12, atol: 1e-12); record all every 50 ms }
";

const TANK: &str = "
twin Tank {
  parameters { limit: Length = 2 m }
  inputs { q: VolumeFlow = 10 L/s }
  outputs { flow: VolumeFlow in L/s = if on then q else 0 L/s }
  states { h: Length = 1 m; on: Bool = true }
  equations { der(h) = flow/1 m^2 - 0.002 [1/s]*h }
  behavior {
    on rising(h > limit) { on = false; emit full() }
    on rising(h < 1.5 m) { on = true }
  }
  constraints { safe: always(h < 2.2 m) }
}
scenario day for Tank {
  duration: 20 min
  record all every 10 s
  branch more at 5 min { q = 12 L/s }
  expect safe
}
";

#[test]
fn a_small_difference_grows_at_the_published_rate() {
    let place = Place::with(&[("lorenz.twinml", LORENZ)]);
    place.output(&["run", "lorenz.twinml", "--out", "a"], 0);
    // The fit of one window scatters by 0.08: several.
    let mut rates = Vec::new();
    for k in 1..=6 {
        let set = format!("x={}", -5.76 + f64::from(k) * 1e-10);
        let out = format!("b{k}");
        place.output(&["run", "lorenz.twinml", "--set", &set, "--out", &out], 0);
        let objects = place.objects(&["diff", "a", &out], 0);
        let said = of(&objects, "diff")[0];
        assert_eq!((said["same"].as_bool(), said["same_model"].as_bool()), (Some(false), Some(true)));
        assert_eq!(
            (&said["first"]["by"], said["first"]["time"].as_f64()),
            (&Value::from("quantity"), Some(0.0))
        );
        let growth = &said["growth"];
        assert_eq!(growth["saturated"], true);
        assert!(growth["r2"].as_f64().unwrap() > 0.9, "{growth}");
        rates.push(growth["rate"].as_f64().unwrap());
    }
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    assert!((mean - 0.906).abs() < 0.12, "{rates:?}");
    // A picture of both, alone in its file.
    place.output(&["diff", "a", "b1", "--out", "both.html"], 0);
    let html = fs::read_to_string(place.path("both.html")).unwrap();
    assert!(html.contains("log10 of the distance") && !html.contains("http://www.w3.org/1999/xhtml\" src="));
    assert!(html.contains("<svg") && !html.contains("src=\"http"));
    let said = String::from_utf8(place.output(&["diff", "a", "b1"], 0).stdout).unwrap();
    assert!(said.contains("Diverge x  at 0 s: -5.76 → -5.7599999999"), "{said}");
    assert!(said.contains("Growth 0.") && said.contains("doubles in"), "{said}");
}

#[test]
fn branches_differ_in_decisions_and_outcomes() {
    let place = Place::with(&[("tank.twinml", TANK)]);
    place.output(&["run", "tank.twinml", "--out", "r"], 0);
    let objects = place.objects(&["diff", "r/day.parquet", "r/day.more.parquet"], 0);
    let said = of(&objects, "diff")[0];
    // The instant of the branch itself: its input, in the row of the right limit.
    assert_eq!(said["first"]["time"].as_f64(), Some(300.0), "{said}");
    let quantities = of(&objects, "diff_quantity");
    let h = quantities.iter().find(|q| q["name"] == "h").unwrap();
    assert_eq!(h["unit"], "m");
    assert!(h["first"]["time"].as_f64().unwrap() >= 300.0 && h["share"].as_f64().unwrap() > 0.0, "{h}");
    let flags = quantities.iter().find(|q| q["name"] == "on").unwrap();
    assert_ne!(flags["first"]["a"], flags["first"]["b"]);
    let events = of(&objects, "diff_event");
    assert!(events.iter().any(|e| e["event"] == "full" && e["what"] == "moved"), "{events:?}");
    assert!(events.iter().any(|e| e["event_kind"] == "action" && e["what"] == "only_b"), "{events:?}");
    assert_eq!(said["decisions"].as_u64(), Some(events.len() as u64));
    let outcomes = of(&objects, "diff_outcome");
    // The branch's own name for it is `more/safe`.
    assert!(outcomes.iter().any(|o| o["name"] == "safe" && o["what"] == "verdict"), "{outcomes:?}");
    let text =
        String::from_utf8(place.output(&["diff", "r/day.parquet", "r/day.more.parquet"], 0).stdout).unwrap();
    for verb in
        ["Compared r/day.parquet with r/day.more.parquet: ", "Diverge ", "Decision ", "Outcome safe: holds"]
    {
        assert!(text.contains(verb), "{verb}: {text}");
    }
    // Only what is asked for.
    let objects = place.objects(&["diff", "r", "r/day.more.parquet", "--only", "h"], 0);
    assert_eq!(of(&objects, "diff")[0]["quantities"], 1);
}

#[test]
fn equal_runs_are_the_same_and_exit_codes_say_so() {
    let place = Place::with(&[("tank.twinml", TANK), ("lorenz.twinml", LORENZ)]);
    place.output(&["run", "tank.twinml", "--out", "a"], 0);
    place.output(&["run", "tank.twinml", "--out", "b"], 0);
    let text = String::from_utf8(place.output(&["diff", "a", "b", "--exit-code"], 0).stdout).unwrap();
    assert!(text.contains("Same every value"), "{text}");
    let objects = place.objects(&["diff", "a", "b"], 0);
    assert_eq!(of(&objects, "diff")[0]["same"], true);
    place.output(&["diff", "a", "a/day.more.parquet", "--exit-code"], 6);
    place.output(&["diff", "a", "a/day.more.parquet"], 0);
    // Nothing in common; what is not there; what is no result.
    place.output(&["run", "lorenz.twinml", "--until", "1 s", "--out", "l.csv"], 0);
    place.output(&["diff", "a", "l.csv"], 2);
    place.output(&["diff", "a", "none"], 5);
    place.output(&["diff", ".", "a"], 5);
    fs::write(place.path("bad.parquet"), b"PAR1 nothing").unwrap();
    place.output(&["diff", "a", "bad.parquet"], 5);
    place.output(&["diff", "a", "b", "--out", "p.gif"], 2);
}
