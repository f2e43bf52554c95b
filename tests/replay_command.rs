//! `twinc replay X.twinsnap`: a run done again and compared with what was kept of it, bit by bit; what was altered is found
//! and named.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::sync::Arc;

use serde_json::Value;
use twinml_engine::snapshot::{Snapshot, Tag};

mod place;
use place::Place;

/// A tank with an event, an action, a table of data and a requirement.
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
  record h, low every 10 s
  expect never_empty
}
";
const INFLOW: &str = "time,q\n0,5\n300,2\n900,4\n1200,0\n";

fn place() -> Place {
    Place::with(&[("tank.twinml", MODEL), ("inflow.csv", INFLOW)])
}

fn take(place: &Place, at: &str, name: &str, flags: &[&str]) -> Snapshot {
    let args =
        [&["snapshot", "take", "tank.twinml", "--at", at, "--out", name, "--max-step", "15s"][..], flags]
            .concat();
    let (code, out, err) = place.twinc(&args);
    assert_eq!(code, 0, "{out}{err}");
    Snapshot::decode(&fs::read(place.path(name)).unwrap()).unwrap()
}

/// Writes a snapshot that says of itself that it is whole, and replays it.
fn altered(place: &Place, snapshot: &Snapshot) -> (i32, Value) {
    fs::write(place.path("altered.twinsnap"), snapshot.encode()).unwrap();
    let (code, out, err) = place.twinc(&["replay", "altered.twinsnap", "--format", "json"]);
    let last = out.lines().rfind(|l| l.contains("\"replayed\""));
    let last = last.unwrap_or_else(|| panic!("{out}{err}"));
    (code, serde_json::from_str(last).unwrap())
}

#[test]
fn a_run_that_is_done_again_has_every_bit() {
    for solver in ["auto", "bdf", "adams", "rk4", "tsit5", "rosenbrock", "trbdf2", "diffsol_bdf"] {
        let place = place();
        let flags = ["--solver", solver];
        for at in ["0", "200 s", "11 min", "20 min"] {
            take(&place, at, "a.twinsnap", &flags);
            let (code, out, err) = place.twinc(&["replay", "a.twinsnap"]);
            assert_eq!(code, 0, "{solver} at {at}: {out}{err}");
            assert!(out.contains("Same a.twinsnap"), "{out}");
        }
    }
}

#[test]
fn snapshots_of_one_run_are_replayed_together() {
    let place = place();
    let (code, out, err) =
        place.twinc(&["run", "tank.twinml", "--snapshot-every", "4min", "--max-step", "15s", "--out", "out"]);
    assert_eq!(code, 0, "{out}{err}");
    let names: Vec<String> =
        ["240s", "480s", "720s", "960s"].iter().map(|t| format!("out/drain@{t}.twinsnap")).collect();
    let mut args = vec!["replay", "--format", "json"];
    args.extend(names.iter().rev().map(String::as_str));
    let (code, out, err) = place.twinc(&args);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(out.lines().filter(|l| l.contains("\"same\":true")).count(), 4, "{out}");
    // Of another run: refused.
    take(&place, "200 s", "other.twinsnap", &["--seed", "7"]);
    let (code, _, err) = place.twinc(&["replay", "other.twinsnap", &names[0]]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("not of one run"), "{err}");
}

#[test]
fn an_altered_state_is_named_with_its_quantity_and_instant() {
    let place = place();
    let good = take(&place, "200 s", "a.twinsnap", &[]);
    let mut bad = good.clone();
    // The level is somewhere in memory: its last bit.
    let (code, value) = {
        let (_, out, _) = place.twinc(&["snapshot", "show", "a.twinsnap", "--format", "json"]);
        assert!(out.contains("\"snapshot\""), "{out}");
        let memory = bad.state.sections.iter_mut().find(|s| s.tag == Tag::MEMORY).unwrap();
        let mut bytes = memory.bytes.to_vec();
        // time: its length and one value; then the states: their length and h
        let h = 8 + 8 + 8;
        let level = f64::from_le_bytes(bytes[h..h + 8].try_into().unwrap());
        assert!(level > 0.1 && level < 1.5, "{level}");
        bytes[h] ^= 1;
        memory.bytes = bytes.into();
        altered(&place, &bad)
    };
    assert_eq!(code, 6);
    assert_eq!((&value["quantity"], &value["unit"]), (&"h".into(), &"m".into()), "{value}");
    assert_eq!(value["at"].as_f64(), Some(good.state.clock.time));
    assert!(value["cause"].as_str().unwrap().contains("state in the snapshot was altered"), "{value}");
    // The solver's history alone.
    let mut bad = good.clone();
    let section = bad.state.sections.iter_mut().find(|s| s.tag == Tag::INTEGRATOR).unwrap();
    let mut bytes = section.bytes.to_vec();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    section.bytes = bytes.into();
    let (code, value) = altered(&place, &bad);
    assert_eq!((code, &value["what"]), (6, &"the solver's history".into()), "{value}");
}

#[test]
fn altered_data_and_altered_sources_are_named_as_the_cause() {
    let place = place();
    let good = take(&place, "200 s", "a.twinsnap", &[]);
    for (name, from, to) in [("inflow.csv", "300,2", "300,3"), ("tank.twinml", "0.01 }", "0.011 }")] {
        let mut bad = good.clone();
        let model = Arc::make_mut(&mut bad.model);
        let file = model.files.iter_mut().find(|f| f.path == name).unwrap();
        let text = String::from_utf8(file.bytes.clone()).unwrap().replace(from, to);
        assert_ne!(text.as_bytes(), file.bytes);
        file.bytes = text.into_bytes();
        let (code, value) = altered(&place, &bad);
        assert_eq!(code, 6, "{name}");
        assert!(value["cause"].as_str().unwrap().contains("source or a data file"), "{name}: {value}");
        assert_eq!(value["quantity"], "h", "{name}: {value}");
    }
}

/// A signature's manifest names the file that was altered, and the machine.
#[test]
fn what_was_signed_tells_which_file_was_altered_and_where_it_was_run() {
    use twinml_engine::provenance::sign_snapshot;
    use twinml_providers::keyfile::KeyFile;
    let place = place();
    let good = take(&place, "200 s", "a.twinsnap", &[]);
    let (code, out, err) = place.twinc(&["keys", "create", "k", "--keys", "keys"]);
    assert_eq!(code, 0, "{out}{err}");
    let mut key = KeyFile::read(&place.path("keys/k.key"), &mut || Ok(None)).unwrap();
    let machine = |isa: &str| [("isa".to_owned(), isa.to_owned())].into();
    let mut bad = good.clone();
    sign_snapshot(&mut bad, machine("avx2"), None, &mut key).unwrap();
    let model = Arc::make_mut(&mut bad.model);
    let file = model.files.iter_mut().find(|f| f.path == "inflow.csv").unwrap();
    file.bytes = String::from_utf8(file.bytes.clone()).unwrap().replace("300,2", "300,3").into_bytes();
    let (code, value) = altered(&place, &bad);
    assert_eq!(code, 6);
    assert_eq!(value["cause"], "altered since it was signed: `inflow.csv`", "{value}");
    let mut bad = good;
    let memory = bad.state.sections.iter_mut().find(|s| s.tag == Tag::MEMORY).unwrap();
    let mut bytes = memory.bytes.to_vec();
    bytes[24] ^= 1;
    memory.bytes = bytes.into();
    sign_snapshot(&mut bad, machine("abacus"), None, &mut key).unwrap();
    let (_, value) = altered(&place, &bad);
    assert!(value["cause"].as_str().unwrap().starts_with("another machine: isa abacus there"), "{value}");
}

#[test]
fn another_version_is_named_as_the_cause() {
    let place = place();
    let good = take(&place, "11 min", "a.twinsnap", &[]);
    let mut bad = good.clone();
    let model = Arc::make_mut(&mut bad.model);
    model.compiler = "twinc 0.0.1".to_owned();
    let memory = bad.state.sections.iter_mut().find(|s| s.tag == Tag::MEMORY).unwrap();
    let mut bytes = memory.bytes.to_vec();
    bytes[24] ^= 1;
    memory.bytes = bytes.into();
    let (code, value) = altered(&place, &bad);
    assert_eq!(code, 6);
    assert!(value["cause"].as_str().unwrap().contains("made by twinc 0.0.1"), "{value}");
    // Bits that are the same are the same, whoever made them.
    let mut same = good;
    Arc::make_mut(&mut same.model).compiler = "twinc 0.0.1".to_owned();
    assert_eq!(altered(&place, &same).0, 0);
}

#[test]
fn altered_settings_show_in_what_they_change() {
    let place = place();
    let mut bad = take(&place, "11 min", "a.twinsnap", &["--set", "h=1.2 m"]);
    let scenario = Arc::make_mut(&mut bad.scenario);
    scenario.request = scenario.request.replace("1.2 m", "1.3 m");
    let (code, value) = altered(&place, &bad);
    assert_eq!((code, &value["quantity"]), (6, &"h".into()), "{value}");
}

#[test]
fn bytes_that_are_not_what_was_written_are_refused() {
    let place = place();
    take(&place, "200 s", "a.twinsnap", &[]);
    let mut bytes = fs::read(place.path("a.twinsnap")).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    fs::write(place.path("a.twinsnap"), bytes).unwrap();
    let (code, out, err) = place.twinc(&["replay", "a.twinsnap"]);
    assert_eq!(code, 6, "{out}{err}");
    let (code, _, err) = place.twinc(&["replay", "none.twinsnap"]);
    assert_eq!(code, 5, "{err}");
}
