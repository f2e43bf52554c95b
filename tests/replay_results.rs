//! `twinc replay DIR`: results of `run`, signed or not, done again and compared bit by bit; what was altered is found and named.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use serde_json::Value;
use twinml_engine::snapshot::{Snapshot, Tag};

mod place;
use place::Place;

/// A tank with an event, an action, a branch, a table of data and a requirement.
const MODEL: &str = "
twin Tank {
  parameters { area: Area = 2 m^2; k: Real[m^2.5/s] = 0.01 }
  inputs { q_in: VolumeFlow in L/s = 5 L/s; leak: VolumeFlow in L/s = 0 L/s }
  outputs { low: Bool = h < 0.6 m }
  states { h: Length = 1 m; times: Int = 0 }
  equations { der(h) = (q_in - leak - k * sqrt(max(h, 0 m))) / area }
  behavior { on rising(low) { times = times + 1 } }
  constraints { never_empty: always(h > -1 m) }
}
scenario drain for Tank {
  duration: 20 min
  drive q_in from \"inflow.csv\" column \"q\" in L/s linear
  at 10 min { leak = 1.25 L/s }
  branch shut at 5 min { leak = 0.5 L/s }
  record h, low every 10 s
  expect never_empty
}
";
const INFLOW: &str = "time,q\n0,5\n300,2\n900,4\n1200,0\n";

fn place() -> Place {
    Place::with(&[("tank.twinml", MODEL), ("inflow.csv", INFLOW)])
}

/// What is said of each file, by its name.
#[track_caller]
fn replay(place: &Place, code: i32, args: &[&str]) -> Vec<Value> {
    let (out, _) = place.expect(code, &[&["replay", "--format", "json"], args].concat());
    let all = out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    all.filter(|v| v["type"] == "replayed_result").collect()
}

fn of<'v>(said: &'v [Value], name: &str) -> &'v Value {
    said.iter()
        .find(|v| v["path"].as_str().unwrap().ends_with(name))
        .unwrap_or_else(|| panic!("{name}: {said:?}"))
}

#[test]
fn results_that_are_done_again_have_every_bit() {
    let place = place();
    for (k, flags) in [
        &["--solver", "bdf"][..],
        &["--solver", "tsit5", "--rtol", "1.0000000000000002e-7", "--atol", "3e-9"],
        &["--solver", "rk4", "--step", "250ms", "--every", "7s", "--si"],
        &["--solver", "trbdf2", "--max-step", "15s", "--until", "14min"],
        &[
            "--set",
            "h=1.5 m",
            "--set",
            "k=0.02 m^2.5/s",
            "--seed",
            "18446744073709551615",
            "--engine",
            "interpreter",
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("r{k}");
        place.expect(0, &[&["run", "tank.twinml", "--out", &out, "--no-plot"], flags].concat());
        let said = replay(&place, 0, &[&out]);
        // The trunk, the branch, the log of events and what the summary says of both runs.
        for name in ["drain.parquet", "drain.shut.parquet", "events.parquet", "summary.json"] {
            assert_eq!(of(&said, name)["same"], true, "{flags:?}: {said:?}");
        }
        assert!(said.iter().all(|v| v["same"] == true), "{said:?}");
    }
    // A folder, a summary, a file of results: all name them.
    for target in ["r0/summary.json", "r0/drain.parquet", "r0/events.parquet"] {
        let (out, _) = place.expect(0, &["replay", target]);
        assert!(out.contains("Same r0/drain.parquet: every bit of 124 rows of 4 columns"), "{out}");
    }
}

/// What is signed holds its model: nothing else is needed, wherever it is.
#[test]
fn signed_results_are_done_again_from_the_bundle_alone() {
    let place = place();
    place.expect(0, &["keys", "create", "plant"]);
    place.expect(0, &["run", "tank.twinml", "--out", "r", "--sign", "--snapshot-every", "4min"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("moved");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(place.path("r")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let (code, out, err) = place.twinc_in(elsewhere.path(), &["replay", "moved"]);
    assert_eq!(code, 0, "{out}{err}");
    for line in
        ["Same moved/drain.parquet: ", "Same moved/drain@480s.twinsnap: ", "Signed good  moved/bundle.sig"]
    {
        assert!(out.contains(line), "{line}\n{out}");
    }
    let (code, out, err) = place.twinc_in(elsewhere.path(), &["replay", "moved/bundle.sig"]);
    assert_eq!(code, 0, "{out}{err}");
    // The model in the bundle is one of the signed parts.
    let (code, _, err) = place.twinc_in(elsewhere.path(), &["verify", "moved/model.twinmodel"]);
    assert!(code == 2 && err.contains("`bundle.sig` beside it"), "{err}");
    let model = fs::read(folder.join("model.twinmodel")).unwrap();
    for k in 0..40 {
        let at = k * (model.len() - 1) / 39;
        let mut bad = model.clone();
        bad[at] ^= 1 << (k % 8);
        fs::write(folder.join("model.twinmodel"), &bad).unwrap();
        let (code, out, err) = place.twinc_in(elsewhere.path(), &["replay", "moved"]);
        assert_eq!(code, 6, "byte {at}: {out}{err}");
        assert!(!err.contains("panicked"), "{err}");
        assert_eq!(place.twinc_in(elsewhere.path(), &["verify", "moved"]).0, 6);
    }
}

#[test]
fn a_run_that_went_on_from_a_snapshot_is_done_again_from_it() {
    let place = place();
    place.expect(0, &["keys", "create"]);
    place.expect(0, &["keys", "create", "vault", "--algorithm", "aes-256"]);
    place.expect(0, &["snapshot", "take", "tank.twinml", "--at", "4 min", "--out", "s.twinsnap"]);
    place
        .expect(0, &["run", "--from", "s.twinsnap", "--until", "15min", "--out", "r", "--sign", "--no-plot"]);
    let said = replay(&place, 0, &["r"]);
    assert_eq!(of(&said, "drain@240s.parquet")["same"], true, "{said:?}");
    assert_eq!(of(&said, "summary@240s.json")["same"], true, "{said:?}");
    place.expect(0, &["verify", "r/bundle@240s.sig"]);
    // Without a signature the snapshot is not beside them until somebody puts it there.
    place.expect(0, &["run", "--from", "s.twinsnap", "--out", "u", "--no-plot"]);
    let (_, err) = place.expect(2, &["replay", "u"]);
    assert!(err.contains("is not beside its results"), "{err}");
    fs::copy(place.path("s.twinsnap"), place.path("u/any.twinsnap")).unwrap();
    place.expect(0, &["replay", "u"]);
    // What was encrypted stays so.
    let key = ["--encryption-key", "vault"];
    place.expect(0, &[&["run", "tank.twinml", "--out", "e", "--sign", "--no-plot"], &key[..]].concat());
    assert!(
        !String::from_utf8_lossy(&fs::read(place.path("e/model.twinmodel")).unwrap()).contains("twin Tank")
    );
    let (_, err) = place.expect(5, &["replay", "e"]);
    assert!(err.contains("is encrypted") && err.contains("--encryption-key"), "{err}");
    place.expect(0, &[&["replay", "e"], &key[..]].concat());
}

#[test]
fn what_differs_first_is_named_with_its_instant_and_its_cause() {
    let place = place();
    place.expect(0, &["keys", "create"]);
    place.expect(0, &["run", "tank.twinml", "--out", "r", "--no-plot"]);
    place.expect(0, &["run", "tank.twinml", "--out", "s", "--no-plot", "--sign"]);
    place.edit("inflow.csv", "900,4", "900,4.5");
    place.expect(0, &["run", "tank.twinml", "--out", "other", "--no-plot"]);
    // Another input: from where it differs on, 5 min, the level does; its row is the next that was recorded.
    let said = replay(&place, 6, &["r"]);
    let v = of(&said, "drain.parquet");
    assert_eq!((&v["quantity"], &v["unit"], &v["at"]), (&"h".into(), &"m".into(), &310.0.into()), "{v}");
    assert_eq!(v["row"], 33, "rows of events are counted: {v}");
    assert!((v["recorded"].as_f64().unwrap() - v["replayed"].as_f64().unwrap()).abs() < 0.1, "{v}");
    assert_eq!(v["cause"], "another input: `inflow.csv` changed since the run");
    // What is signed does not look at it.
    replay(&place, 0, &["s"]);
    place.edit("inflow.csv", "900,4.5", "900,4");
    replay(&place, 0, &["r"]);

    // Results of another run in the place of these.
    for (folder, cause) in
        [("r", "the results were altered"), ("s", "altered since it was signed: `drain.parquet`")]
    {
        let good = fs::read(place.path(folder).join("drain.parquet")).unwrap();
        fs::copy(place.path("other/drain.parquet"), place.path(folder).join("drain.parquet")).unwrap();
        let said = replay(&place, 6, &[folder]);
        let v = of(&said, "drain.parquet");
        assert_eq!((&v["quantity"], &v["at"]), (&"h".into(), &310.0.into()), "{v}");
        assert!(v["cause"].as_str().unwrap().starts_with(cause), "{v}");
        assert_eq!(of(&said, "summary.json")["same"], true, "{said:?}");
        fs::write(place.path(folder).join("drain.parquet"), good).unwrap();
        replay(&place, 0, &[folder]);
    }
    // A figure of the summary alone.
    place.edit("r/summary.json", "\"samples\": 121", "\"samples\": 122");
    let said = replay(&place, 6, &["r"]);
    let v = of(&said, "summary.json");
    assert_eq!(
        (&v["what"], &v["recorded"], &v["replayed"]),
        (&"`samples`".into(), &122.into(), &121.into()),
        "{v}"
    );
    place.edit("r/summary.json", "\"samples\": 122", "\"samples\": 121");
    // A signed one, though every bit is the same: the signature does not fit.
    place.edit("s/summary.json", "\"type\": \"summary\"", "\"type\":  \"summary\"");
    let (out, _) = place.expect(6, &["replay", "s"]);
    assert!(
        out.contains("Same s/drain.parquet") && out.contains("Verdict bad  s/bundle.sig: summary.json"),
        "{out}"
    );
    // Another source.
    place.edit("tank.twinml", "= 0.01 }", "= 0.011 }");
    let said = replay(&place, 6, &["r"]);
    assert_eq!(of(&said, "drain.parquet")["cause"], "another input: `tank.twinml` changed since the run");
    // It no longer compiles.
    place.edit("tank.twinml", "der(h)", "der(x)");
    let (_, err) = place.expect(6, &["replay", "r"]);
    assert!(err.contains("cannot be done again"), "{err}");
    // One that lies elsewhere can be named.
    fs::create_dir(place.path("kept")).unwrap();
    fs::write(place.path("kept/tank.twinml"), MODEL).unwrap();
    fs::write(place.path("kept/inflow.csv"), INFLOW).unwrap();
    replay(&place, 0, &["r", "--model", "kept/tank.twinml"]);
}

/// The state of a snapshot is held against that of the run by its names.
#[test]
fn what_differs_in_a_snapshot_is_named_with_both_values_in_its_unit() {
    let place = place();
    let model = MODEL.replace(
        "behavior { on rising(low) { times = times + 1 } }",
        "variables { shown: Length in cm = h }
         behavior { on rising(low) { times = times + 1 } }",
    );
    let model = model.replace("states { h: Length = 1 m;", "states { h: Length in cm = 1 m;");
    fs::write(place.path("tank.twinml"), &model).unwrap();
    place.expect(0, &["run", "tank.twinml", "--out", "r", "--no-plot", "--snapshot-every", "4min"]);
    let path = place.path("r/drain@480s.twinsnap");
    let good = Snapshot::decode(&fs::read(&path).unwrap()).unwrap();
    let altered = |tag: Tag, alter: &dyn Fn(&mut Vec<u8>)| {
        let mut bad = good.clone();
        let section = bad.state.sections.iter_mut().find(|s| s.tag == tag).unwrap();
        let mut bytes = section.bytes.to_vec();
        alter(&mut bytes);
        section.bytes = bytes.into();
        fs::write(&path, bad.encode()).unwrap();
        let said = replay(&place, 6, &["r"]);
        assert_eq!(said.iter().filter(|v| v["same"] == false).count(), 1, "{said:?}");
        of(&said, "drain@480s.twinsnap").clone()
    };
    // time: its length and one value; then the states: their length and h.
    let h = 8 + 8 + 8;
    let level = |bytes: &[u8]| f64::from_le_bytes(bytes[h..h + 8].try_into().unwrap());
    let memory = good.state.sections.iter().find(|s| s.tag == Tag::MEMORY).unwrap();
    let metres = level(&memory.bytes);
    let v = altered(Tag::MEMORY, &|bytes| bytes[h..h + 8].copy_from_slice(&(metres + 0.5).to_le_bytes()));
    assert_eq!((&v["what"], &v["quantity"], &v["unit"]), (&"`h`".into(), &"h".into(), &"cm".into()), "{v}");
    assert_eq!((v["at"].as_f64(), &v["quantities"]), (Some(good.state.clock.time), &1.into()), "{v}");
    let (was, is) = (v["recorded"].as_f64().unwrap(), v["replayed"].as_f64().unwrap());
    assert!((was - is - 50.0).abs() < 1e-9 && (is - metres * 100.0).abs() < 1e-9, "{v}");
    let (out, _) = place.expect(6, &["replay", "r"]);
    let line = out.lines().find(|l| l.contains("Error")).unwrap();
    assert!(
        line.contains("`h` is ") && line.contains(" cm here and ") && line.contains(" cm in the"),
        "{line}"
    );
    // The last bit of it, and what the solver remembers.
    let v = altered(Tag::MEMORY, &|bytes| bytes[h] ^= 1);
    assert_eq!(v["quantity"], "h", "{v}");
    let v = altered(Tag::INTEGRATOR, &|bytes| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    });
    assert_eq!((&v["what"], &v["quantity"]), (&"the solver's history".into(), &Value::Null), "{v}");
    // Counts.
    let mut bad = good.clone();
    bad.state.clock.events += 1;
    fs::write(&path, bad.encode()).unwrap();
    let said = replay(&place, 6, &["r"]);
    let v = of(&said, "drain@480s.twinsnap");
    assert_eq!(v["what"], "the number of events", "{v}");
    assert_eq!(v["recorded"].as_f64().unwrap(), v["replayed"].as_f64().unwrap() + 1.0, "{v}");
    fs::write(&path, good.encode()).unwrap();
    replay(&place, 0, &["r"]);
    // Another source: the run of it has another level.
    fs::write(place.path("tank.twinml"), model.replace("= 0.01 }", "= 0.012 }")).unwrap();
    let said = replay(&place, 6, &["r"]);
    let v = of(&said, "drain@480s.twinsnap");
    assert_eq!(v["cause"], "another input: `tank.twinml` changed since the run", "{v}");
    assert!(v["quantities"].as_u64().unwrap() <= 3, "{v}");
}

#[test]
fn another_version_and_another_machine_are_named_as_the_cause() {
    let place = place();
    place.expect(0, &["run", "tank.twinml", "--out", "r", "--no-plot"]);
    place.edit("r/summary.json", "\"seed\": 0", "\"seed\": 1");
    let cause = |said: &[Value]| of(said, "summary.json")["cause"].as_str().unwrap().to_owned();
    let isa: Value =
        serde_json::from_str(&fs::read_to_string(place.path("r/summary.json")).unwrap()).unwrap();
    let isa = format!("\"isa\": {}", isa["machine"]["isa"]);
    place.edit("r/summary.json", &isa, "\"isa\": \"abacus\"");
    let said = replay(&place, 6, &["r"]);
    assert!(cause(&said).starts_with("another machine: isa abacus there"), "{said:?}");
    place.edit("r/summary.json", "\"compiler\": \"twinc ", "\"compiler\": \"twinc 0.0.");
    let said = replay(&place, 6, &["r"]);
    assert!(cause(&said).starts_with("another version: the results were made by twinc 0.0."), "{said:?}");
    // The same bits are the same, whoever made them where.
    place.edit("r/summary.json", "\"seed\": 1", "\"seed\": 0");
    assert!(replay(&place, 0, &["r"]).iter().all(|v| v["cause"].is_null()));
}

#[test]
fn what_a_time_limit_ended_is_compared_as_far_as_it_goes() {
    let place = place();
    place.expect(3, &["run", "tank.twinml", "--out", "r", "--no-plot", "--time-limit", "1e-9 s"]);
    let (out, err) = place.expect(0, &["replay", "r"]);
    assert!(out.contains("Same r/drain.parquet") && err.contains("stopped from outside"), "{out}{err}");
}

#[test]
fn what_are_no_results_is_refused() {
    let place = place();
    for (target, code, what) in [
        ("none", 5, "there is no `none`"),
        (".", 2, "has no `summary.json`"),
        ("tank.twinml", 2, "no `summary.json` beside"),
        ("x#", 2, "names no sample"),
    ] {
        let (_, err) = place.expect(code, &["replay", target]);
        assert!(err.contains(what), "{target}: {err}");
    }
    place.expect(0, &["run", "tank.twinml", "--out", "r", "--no-plot"]);
    let (_, err) = place.expect(2, &["replay", "r", "r"]);
    assert!(err.contains("one at a time"), "{err}");
    let good = fs::read_to_string(place.path("r/summary.json")).unwrap();
    let value: Value = serde_json::from_str(&good).unwrap();
    let with = |key: &str, to: Value| {
        let mut v = value.clone();
        v[key] = to;
        fs::write(place.path("r/summary.json"), v.to_string()).unwrap();
    };
    for (key, to, code, what) in [
        ("type", "mc_summary".into(), 2, "is not of `twinc run`"),
        ("asked", Value::Null, 2, "does not say what the run was asked with"),
        ("asked", serde_json::json!({ "set": 3 }), 2, "cannot be read"),
        ("file", "gone.twinml".into(), 2, "`--model FILE` names it"),
        ("from", "ab".into(), 2, "is not beside its results"),
        ("model_hash", Value::Null, 6, ""),
    ] {
        with(key, to);
        let (out, err) = place.expect(code, &["replay", "r"]);
        assert!(err.contains(what) || code == 6 && out.contains("Error r/summary.json"), "{key}: {out}{err}");
    }
    let mut asked = value["asked"].clone();
    for (key, to) in [("rtol", "much"), ("solver", "abacus"), ("until", "never"), ("scenario", "none")] {
        asked[key] = to.into();
        with("asked", asked.clone());
        let (_, err) = place.expect(6, &["replay", "r"]);
        assert!(err.contains("cannot be done again"), "{key}: {err}");
        asked[key] = Value::Null;
    }
    fs::write(place.path("r/summary.json"), &good[..good.len() / 2]).unwrap();
    place.expect(5, &["replay", "r"]);
    // A name that leads elsewhere is not followed.
    let mut v = value;
    v["files"][0]["path"] = "../inflow.csv".into();
    fs::write(place.path("r/summary.json"), v.to_string()).unwrap();
    place.expect(6, &["replay", "r"]);
}
