//! `twinc mc --verdicts-only`: samples end once their verdicts are decided, and nothing that is said becomes wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "mc/job.rs"]
mod job;
mod place;

use job::requirement;
use place::{Place, ran};
use std::fs;
use std::path::Path;

use serde_json::Value;
use twinml_engine::data::{ColumnInfo, Frame};

/// Verdicts alone: a sample ends once all of its are decided, with the verdicts of the whole sample, and the same bits for
/// any threads, shards and instructions.
#[test]
fn samples_end_when_their_verdicts_are_decided() {
    let model = "
twin Decay {
  parameters { k: Real[1/s] = 0.5 ~ lognormal(0.5, 0.2); b: Real = 1 ~ uniform(0, 1) }
  states { x: Real = 1; hits: Int = 0 }
  equations { der(x) = -k * x }
  behavior { every 500 ms { if draw(bernoulli(0.1)) { hits = hits + 1 } } }
  constraints {
    high:  eventually[0 s, 5 s](x < 0.2 or b > 0.9)
    calm:  always(hits < 2) with probability >= 0.3
    drops: eventually[0 s, 20 s](x < 0.4) with probability >= 0.9
    kpi area: integral(x over run)
  }
}
scenario main for Decay { duration: 20 s; samples: 100; solver: tsit5 }
scenario wrong for Decay { duration: 20 s; samples: 100; solver: tsit5; expect not calm }
";
    let place = Place::model(model);
    let whole = place.mc(&["--scenario", "main", "--out", "whole"]).expect(1);
    let flags = ["--scenario", "main", "--verdicts-only"];
    let early = place.mc(&[&flags[..], &["--out", "early", "--jobs", "1"]].concat());
    assert_eq!(whole.code, early.code, "{}{}", whole.err, early.err);
    let (all, some) = (place.summary("whole"), place.summary("early"));
    for name in ["high", "calm", "drops"] {
        for field in ["verdict", "holds", "violated", "inconclusive", "failed", "probability"] {
            let of = |s: &Value| requirement(s, name)[field].clone();
            assert_eq!(of(&all), of(&some), "{name}: {field}");
        }
    }
    assert_eq!(all["status"]["decided"], 0);
    // Of what would be wrong nothing is said.
    assert_eq!((&some["kpis"], &some["values"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert_eq!(requirement(&some, "calm")["robustness"]["runs"], 0);
    let columns = |out: &str| rows(&place.path(out).join("runs.parquet"));
    let (full, brief) = (columns("whole"), columns("early"));
    let names: Vec<&str> = brief.iter().map(|c| c.0.as_str()).collect();
    let wanted = ["index", "status", "error", "repeated", "ended", "k", "b", "high", "calm", "drops"];
    assert_eq!(names, wanted);
    for (name, cells) in &brief {
        let same = full.iter().find(|c| c.0 == *name).map(|c| &c.1);
        if !["status", "ended"].contains(&name.as_str()) {
            assert_eq!(Some(cells), same, "{name}");
        }
    }
    // Those that end early of 100, and the tenths of a second that are simulated of 20 000.
    let ended: f64 = brief[4].1.iter().map(|c| c.parse::<f64>().unwrap()).sum();
    let decided = some["status"]["decided"].as_u64().unwrap();
    assert_eq!((decided, (ended * 10.0).round()), (94, 9487.0));
    let want = place.bits("early");
    for jobs in ["2", "7"] {
        place.mc(&[&flags[..], &["--out", jobs, "--jobs", jobs]].concat());
        assert!(place.bits(jobs) == want, "{jobs} threads");
    }
    for k in 1..=3 {
        place.mc(&[&flags[..], &["--out", "shards", "--shard", &format!("{k}/3")]].concat()).expect(0);
    }
    let merged = place.run(&["mc", "merge", "shards"]);
    assert!(merged.code == early.code && place.bits("shards") == want, "{}", merged.err);
    let report = |out: &str| fs::read(place.path(out).join("report.html")).unwrap();
    assert!(report("shards") == report("early"));
    for isa in ["block", "v128", "avx2", "avx512"]
        .into_iter()
        .filter(|isa| early.out.contains(isa) || *isa == "block")
    {
        let mut c = place.command(&[&["mc", "m.twinml"], &flags[..], &["--out", isa]].concat());
        ran(c.env("TWINC_ISA", isa));
        assert!(place.bits(isa) == want, "{isa}");
    }
    // A sequential test, and what is expected not to hold.
    for extra in [&["--sprt", "0.05"][..], &["--until-ci", "0.2"]] {
        let (mut exits, mut found) = (Vec::new(), Vec::new());
        for (out, verdicts_only) in [("s", &[][..]), ("t", &["--verdicts-only"])] {
            let args = [&["--scenario", "wrong", "--out", out][..], extra, verdicts_only].concat();
            exits.push(place.mc(&args).code);
            let s = place.summary(out);
            found.push((s["runs"].clone(), requirement(&s, "calm")["verdict"].clone()));
        }
        assert!(exits[0] == exits[1] && found[0] == found[1], "{exits:?} {found:?}");
    }
    // One of them alone runs to its end.
    let again = place.run(&["replay", "early#0"]);
    assert!(again.out.contains("20 s"), "{}", again.out);
    let refused = place.mc(&["--verdicts-only", "--record", "x"]).expect(2);
    assert!(refused.err.contains("--record"), "{}", refused.err);
    let bare = Place::model(
        "twin T { states { x: Real = 1 } equations { der(x) = -x*1[1/s] } }\nscenario s for T { duration: 1 s }\n",
    );
    assert!(bare.mc(&["--verdicts-only"]).expect(2).err.contains("nothing is required"));
}

/// The columns of a table as words.
fn rows(path: &Path) -> Vec<(String, Vec<String>)> {
    let frame = Frame::from_bytes("runs.parquet", fs::read(path).unwrap()).unwrap();
    let words = ["status", "error", "high", "calm", "drops"];
    let one = |c: &ColumnInfo| {
        let mut cells = Vec::new();
        if words.contains(&c.name.as_str()) {
            frame.scan_texts(&c.name, |_, _, text| cells.push(text.to_owned())).unwrap();
        } else {
            frame.scan(&c.name, |_, _, x| cells.push(format!("{x:?}"))).unwrap();
        }
        (c.name.clone(), cells)
    };
    frame.columns().iter().map(one).collect()
}
