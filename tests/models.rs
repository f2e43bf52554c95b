//! The reference models against figures from an independent integration (`tests/models/reference.py`).
//!
//! They lie beside the project (`../shared/models`, or `$TWINML_SHARED/models`); without that folder the tests pass
//! with a notice. Where the folder's README gives another figure, the comment beside ours says why.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("TWINML_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let models = shared.join("models");
    if models.is_dir() {
        return Some(models);
    }
    println!("skipped: no reference models at {}", models.display());
    None
}

struct Rows {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    fn read(path: &Path) -> Rows {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines().map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>());
        Rows { names: lines.next().unwrap(), rows: lines.collect() }
    }

    #[track_caller]
    fn column(&self, name: &str) -> usize {
        let at = self.names.iter().position(|n| n == name);
        at.unwrap_or_else(|| panic!("no column {name} in {:?}", self.names))
    }

    /// Times and values, rows of events included.
    #[track_caller]
    fn values(&self, name: &str) -> Vec<(f64, f64)> {
        let k = self.column(name);
        self.rows.iter().map(|r| (r[0].parse().unwrap(), r[k].parse().unwrap())).collect()
    }

    /// When a truth value changes.
    #[track_caller]
    fn changes(&self, name: &str) -> Vec<f64> {
        let k = self.column(name);
        let pairs = self.rows.iter().zip(&self.rows[1..]);
        pairs.filter(|(a, b)| a[k] != b[k]).map(|(_, b)| b[0].parse().unwrap()).collect()
    }

    #[track_caller]
    fn at(&self, time: f64, name: &str) -> f64 {
        let found = self.values(name).into_iter().rfind(|(t, _)| *t == time);
        found.unwrap_or_else(|| panic!("no row at {time} s")).1
    }

    #[track_caller]
    fn span(&self, name: &str, from: f64) -> (f64, f64) {
        let values = self.values(name).into_iter().filter(|(t, _)| *t >= from).map(|(_, x)| x);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(x), hi.max(x)))
    }
}

struct Ran {
    place: tempfile::TempDir,
    lines: Vec<Value>,
}

impl Ran {
    /// Runs a scenario; none where the models are absent.
    #[track_caller]
    fn new(file: &str, scenario: &str) -> Option<Ran> {
        Ran::seeded(file, scenario, None)
    }

    #[track_caller]
    fn seeded(file: &str, scenario: &str, seed: Option<u32>) -> Option<Ran> {
        let model = folder()?.join(file);
        Some(Ran::of(&model, scenario, seed.map(|s| format!("--seed={s}"))))
    }

    #[track_caller]
    fn of(model: &Path, scenario: &str, flag: Option<String>) -> Ran {
        let place = tempfile::tempdir().unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_twinc"))
            .arg("run")
            .arg(model)
            .args(["--scenario", scenario, "--no-plot", "--format", "json", "--out"])
            .arg(place.path().join("r.csv"))
            .args(flag)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let finished = lines.iter().filter(|l| l["type"] == "finished");
        let ended: Vec<&Value> = finished.map(|l| &l["ended"]).collect();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(
            !ended.is_empty() && ended.iter().all(|e| *e == "complete" || *e == "halted"),
            "{} {scenario}: {text}{said}",
            model.display()
        );
        Ran { place, lines }
    }

    fn rows(&self) -> Rows {
        Rows::read(&self.place.path().join("r.csv"))
    }

    fn branch(&self, name: &str) -> Rows {
        Rows::read(&self.place.path().join(format!("r.{name}.csv")))
    }

    #[track_caller]
    fn verdict(&self, name: &str) -> &Value {
        let found = self.lines.iter().find(|l| l["type"] == "verdict" && l["name"] == name);
        found.unwrap_or_else(|| panic!("no verdict of {name}: {:?}", self.lines))
    }

    #[track_caller]
    fn verdicts(&self, wanted: &[(&str, &str)]) {
        for (name, verdict) in wanted {
            assert_eq!(self.verdict(name)["verdict"], *verdict, "{name}");
        }
    }

    /// A KPI in the unit that it is shown in.
    #[track_caller]
    fn value(&self, name: &str) -> f64 {
        let found = self.lines.iter().find(|l| l["type"] == "kpi" && l["name"] == name);
        let line = found.unwrap_or_else(|| panic!("no KPI {name}: {:?}", self.lines));
        line["values"][0].as_f64().unwrap()
    }

    #[track_caller]
    fn kpi(&self, name: &str, wanted: f64, within: f64) {
        near(name, self.value(name), wanted, within);
    }

    #[track_caller]
    fn robustness(&self, name: &str, wanted: f64, within: f64) {
        let got = self.verdict(name)["robustness"].as_f64().unwrap();
        near(name, got, wanted, within);
    }
}

#[track_caller]
fn near(what: &str, got: f64, wanted: f64, within: f64) {
    assert!((got - wanted).abs() <= within, "{what}: {got}, not {wanted} within {within}");
}

#[test]
fn heating_skid_day() {
    let Some(ran) = Ran::new("01_heating_skid.twinml", "day") else { return };
    ran.verdicts(&[("warm", "holds"), ("no_trip", "holds"), ("safe", "holds")]);
    let rows = ran.rows();
    let (lo, hi) = rows.span("vessel.T", 3600.0);
    near("coldest", lo, 57.85993, 1e-4);
    near("hottest", hi, 62.28592, 1e-4);
    near("at the end", rows.at(21600.0, "vessel.T"), 61.49852, 1e-4);
    // On and off nine times, the first on at once after the minimum off-time.
    let on = rows.changes("ctl.on_cmd");
    assert_eq!(on.len().div_ceil(2), 9, "{on:?}");
    near("first start", on[0], 60.0, 1e-9);
    ran.robustness("warm", 57.85993 - 55.0, 1e-4);
    ran.kpi("energy", 22.5546287, 1e-4);
    ran.kpi("starts", 9.0, 0.0);
}

#[test]
fn heating_skid_with_a_stuck_relay() {
    let Some(ran) = Ran::new("01_heating_skid.twinml", "stuck_relay") else { return };
    ran.verdicts(&[("no_trip", "violated"), ("safe", "violated")]);
    assert_eq!(ran.verdict("safe")["refuted"], true, "the scenario expects it");
    let rows = ran.rows();
    // The README's 103 K in 2 h are the adiabatic rise; with the losses to the room it is 91.75 K.
    let rise = rows.at(10800.0, "vessel.T") - rows.at(3600.0, "vessel.T");
    near("rise in 2 h", rise, 91.75236, 1e-4);
    let tripped = rows.changes("ctl.tripped");
    assert_eq!(tripped.len(), 1);
    near("trip", tripped[0], 4593.84312, 1e-3);
    ran.robustness("safe", 90.0 - 153.639419, 1e-4);
    ran.kpi("energy", 34.0997471, 1e-4);
}

#[test]
fn reactor_with_its_coolant_lost() {
    let Some(ran) = Ran::new("07_cstr_runaway.twinml", "coolant_loss") else { return };
    let all = [("no_runaway", "holds"), ("quenched", "holds"), ("trip_time", "holds")];
    ran.verdicts(&all);
    for (name, verdict) in all {
        ran.verdicts(&[(&format!("weak_cooling/{name}"), verdict)]);
    }
    // The trip comes where the temperature passes 330 K (56.85 degC) while it rises fast, 0.10 min after the loss.
    for (rows, trip, end) in [
        (ran.rows(), 606.016226, (625.0, 33.150613, 329.029924)),
        (ran.branch("weak_cooling"), 615.822732, (630.0, 34.06077, 419.127577)),
    ] {
        let opened = rows.changes("sis.open");
        assert_eq!(opened.len(), 1);
        near("trip", opened[0], trip, 1e-4);
        near("hottest", rows.span("reactor.T", 0.0).1, 56.85, 1e-6);
        let (t, last) = *rows.values("reactor.T").last().unwrap();
        near("quenched at", t, end.0, 1e-9);
        near("quenched to", last, end.1, 1e-4);
        near("left", rows.values("reactor.c").last().unwrap().1, end.2 / 1000.0, 1e-6);
    }
    ran.robustness("no_runaway", 420.0 - 330.0, 1e-6);
    ran.kpi("hottest", 56.85, 1e-6);
    ran.kpi("made", 126.2087, 1e-3);
    ran.kpi("weak_cooling/made", 128.365716, 1e-3);
}

#[test]
fn reactor_without_protection() {
    let Some(ran) = Ran::new("07_cstr_runaway.twinml", "unprotected") else { return };
    ran.verdicts(&[("no_runaway", "violated"), ("trip_time", "violated")]);
    assert_eq!(ran.verdict("no_runaway")["refuted"], true);
    // The README says 567 K. Without cooling T tends to Tf + cf*(-dH)/rho_cp = 559.2 K from below.
    near("hottest", ran.rows().span("reactor.T", 0.0).1, 559.186869 - 273.15, 1e-4);
    ran.robustness("no_runaway", 420.0 - 559.186869, 1e-4);
    ran.kpi("made", 3175.65566, 1e-2);
}

#[test]
fn block_on_a_belt() {
    let Some(ran) = Ran::new("11_stick_slip.twinml", "belt") else { return };
    ran.verdicts(&[("bounded", "holds"), ("cycles", "holds")]);
    let rows = ran.rows();
    let changes = rows.changes("sticking");
    // The README's 19 mode changes are those of the first 8 s; on the faster belt the block slips to the end.
    let wanted = [
        0.5836,
        0.998912745,
        1.361758432,
        1.777071178,
        2.139916865,
        2.555229610,
        2.918075297,
        3.333388042,
        3.696233729,
        4.111546475,
        4.474392162,
        4.889704907,
        5.252550594,
        5.667863340,
        6.030709027,
        6.446021772,
        6.808867459,
        7.224180204,
        7.587025891,
    ];
    assert_eq!(changes.len(), wanted.len(), "{changes:?}");
    for (got, wanted) in changes.iter().zip(wanted) {
        near("mode change", *got, wanted, 5e-8);
    }
    let (lo, hi) = rows.span("x", 0.0);
    near("lowest", lo, 0.0, 1e-12);
    near("highest", hi, 0.060779404, 1e-8);
    near("x at the end", rows.at(10.0, "x"), 0.039941027, 1e-8);
    near("v at the end", rows.at(10.0, "v"), 0.11885888, 1e-7);
    ran.robustness("bounded", 0.09 - 0.060779404, 1e-8);
    // Sticking again after each slip: nine times; the share is that of the intervals above.
    ran.kpi("sticks", 9.0, 0.0);
    let stuck: f64 = 0.5836 + wanted[1..].chunks(2).map(|c| c[1] - c[0]).sum::<f64>();
    ran.kpi("stuck", 10.0 * stuck, 1e-5);
}

#[test]
fn block_on_a_belt_with_smooth_friction() {
    let Some(ran) = Ran::new("11_stick_slip.twinml", "smooth_belt") else { return };
    ran.verdicts(&[("bounded", "holds")]);
    let rows = ran.rows();
    near("highest", rows.span("x", 0.0).1, 0.0578160343, 1e-6);
    near("at 1 s", rows.at(1.0, "x"), 0.0266921315, 1e-6);
    near("at the end", rows.at(10.0, "x"), 0.0476165717, 1e-5);
}

#[test]
fn pendulum_swings() {
    let Some(ran) = Ran::new("04_pendulum_dae.twinml", "swing") else { return };
    for name in ["rod_length", "conservation", "bounded", "swings_back", "taut"] {
        ran.verdicts(&[(name, "holds")]);
    }
    let rows = ran.rows();
    // Turning points are maxima between rows: the parabola through three.
    let theta = rows.values("theta");
    let top = theta.windows(3).find(|w| w[1].0 > 1.5 && w[1].1 >= w[0].1 && w[1].1 > w[2].1).unwrap();
    let ((t, h), (a, b, c)) = ((top[1].0, top[2].0 - top[1].0), (top[0].1, top[1].1, top[2].1));
    near("period", t + 0.5 * h * (a - c) / (a - 2.0 * b + c), 2.04098989, 1e-5);
    near("angle at 20 s", rows.at(20.0, "theta"), 9.16916849, 1e-3);
    near("energy", rows.at(20.0, "energy"), 0.657145394, 1e-6);
    ran.robustness("taut", 4.24785461, 1e-6);
}

#[test]
fn pendulum_goes_over_the_top() {
    let Some(ran) = Ran::new("04_pendulum_dae.twinml", "looping") else { return };
    ran.verdicts(&[("rod_length", "holds"), ("taut", "holds"), ("conservation", "holds")]);
    let rows = ran.rows();
    let (lo, hi) = rows.span("rod", 0.0);
    near("least", lo, 7.475, 0.01);
    near("most", hi, 36.905, 1e-3);
    near("x", rows.at(5.0, "x"), 0.652301061, 1e-4);
    near("y", rows.at(5.0, "y"), -0.757959976, 1e-4);
    ran.robustness("taut", 7.475, 1e-5);
}

#[test]
fn double_pendulum() {
    let Some(ran) = Ran::new("04_pendulum_dae.twinml", "chaos") else { return };
    ran.verdicts(&[("rod_length", "holds"), ("conservation", "holds")]);
    let rows = ran.rows();
    for (time, places) in [
        (1.0, [-0.466638555, -0.179578559, -0.93801798, -0.346316191]),
        (2.0, [0.48567297, -0.118835037, 0.897988313, -0.40167078]),
    ] {
        for (name, wanted) in ["x", "y", "x2", "y2"].into_iter().zip(places) {
            near(name, rows.at(time, name), wanted, 1e-4);
        }
    }
}

#[test]
fn building_in_a_winter_week() {
    let Some(ran) = Ran::new("14_building_zone.twinml", "winter_week") else { return };
    // The README estimates that all hold. On Friday, nine minutes after the
    // ventilation starts, the zone is at 19.461 degC, 0.04 K short of comfort.
    ran.verdicts(&[("comfort", "violated"), ("air", "holds"), ("budget", "holds")]);
    ran.robustness("comfort", 19.4609482 - 19.5, 2e-4);
    near("when", ran.verdict("comfort")["closest"].as_f64().unwrap(), 374_935.0, 5.0);
    ran.robustness("air", 1000.0 - 766.153836, 0.01);
    ran.robustness("budget", 120.0 - 43.0064309, 1e-3);
    ran.kpi("bill", 43.0064309, 1e-3);
    ran.kpi("cold_hours", 13.5045818, 1e-2);
    let rows = ran.rows();
    near("temperature at the end", rows.at(604_800.0, "zone.T"), 15.6727029, 1e-3);
    near("bill", rows.at(604_800.0, "cost"), 43.0064309, 1e-3);
}

/// Means over seeds against those of a second simulation with random numbers of its own (`tests/models/line.py`): within
/// four standard errors.
fn production_line(scenario: &str, seeds: u32, wanted: &[(&str, f64, f64)]) -> Option<Vec<Ran>> {
    let runs: Option<Vec<Ran>> =
        (0..seeds).map(|seed| Ran::seeded("08_production_line.twinml", scenario, Some(seed))).collect();
    let runs = runs?;
    for (name, mean, sd) in wanted {
        let got = runs.iter().map(|r| r.value(name)).sum::<f64>() / f64::from(seeds);
        near(name, got, *mean, 4.0 * sd / f64::from(seeds).sqrt());
    }
    Some(runs)
}

fn share(runs: &[Ran], requirement: &str) -> f64 {
    let held = runs.iter().filter(|r| r.verdict(requirement)["verdict"] == "holds").count();
    held as f64 / runs.len() as f64
}

#[test]
fn production_line_of_three_shifts() {
    let wanted = [
        ("rate", 68.775, 1.691),
        ("lead", 18.845, 11.56),
        ("utilisation", 74.812, 1.804),
        ("blocked", 11.084, 3.258),
        ("mechanic", 14.909, 3.047),
    ];
    let Some(runs) = production_line("three_shifts", 24, &wanted) else { return };
    assert_eq!(share(&runs, "throughput"), 1.0);
    // The README estimates that all hold. 55 % of the runs keep to 60 parts: the claim of 80 % is not met.
    let short = share(&runs, "short_wip");
    assert!((0.25..0.85).contains(&short), "{short}");
}

#[test]
fn production_line_that_is_worn() {
    // "Not known", the README says: the throughput of 55 an hour is missed nearly always (0.9 % of the runs reach it).
    let wanted = [
        ("rate", 50.970, 2.569),
        ("lead", 198.54, 37.56),
        ("utilisation", 55.933, 2.746),
        ("blocked", 26.787, 3.456),
        ("mechanic", 44.615, 3.223),
    ];
    let Some(runs) = production_line("heavy_wear", 12, &wanted) else { return };
    assert!(share(&runs, "throughput") < 0.25);
    assert_eq!(share(&runs, "short_wip"), 0.0);
}

/// The models 02 and 03 join their parts by ports; here are their equations without.
fn beside(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(file)
}

#[test]
fn drive_with_a_sampled_controller() {
    let ran = Ran::of(&beside("drive.twinml"), "step", None);
    for name in ["settled", "recovers", "overshoot", "current"] {
        ran.verdicts(&[(name, "holds")]);
    }
    let rows = ran.rows();
    near("largest speed", rows.span("line.wl", 0.0).1, 100.0, 0.05);
    near("largest current", rows.span("line.i", 0.0).1, 39.5, 0.1);
    near("dip", rows.span("line.wl", 2.0).0, 97.7, 0.05);
}

#[test]
fn battery_pack_with_balancing() {
    let ran = Ran::of(&beside("pack.twinml"), "charge", Some(String::from("--until=66min")));
    let rows = ran.rows();
    near("spread at 1 h", rows.at(3600.0, "spread"), 67.0, 0.5);
    ran.verdicts(&[("cells[*].no_overcharge", "holds")]);
    // 4.180 V at the highest cell, and a tick of the controller later the charge stops, at 1.02 h: no cell gains any more.
    ran.robustness("cells[*].no_overcharge", 4.25 - 4.180, 5e-4);
    let closest = ran.verdict("cells[*].no_overcharge")["closest"].as_f64().unwrap();
    near("end of charge", closest / 3600.0, 1.02, 0.005);
    let small = Ran::of(&beside("pack.twinml"), "small", None);
    small.verdicts(&[("safe", "holds"), ("balanced", "holds")]);
    near("spread at 3 h", small.rows().at(10800.0, "spread"), 5.0, 0.05);
}

/// With ports: motor, gear and load by `--`, the gear's two angles one.
#[test]
fn drive_with_ports() {
    let Some(ran) = Ran::new("02_dc_motor_pid.twinml", "step") else { return };
    let without = Ran::of(&beside("drive.twinml"), "step", None);
    ran.verdicts(&["settled", "recovers", "overshoot", "current"].map(|name| (name, "holds")));
    let rows = ran.rows();
    near("largest speed", rows.span("load.w", 0.0).1, 100.0, 0.05);
    near("largest current", rows.span("motor.i", 0.0).1, 39.5, 0.1);
    near("dip", rows.span("load.w", 2.0).0, 97.7, 0.05);
    for name in ["settled", "overshoot", "current"] {
        let wanted = without.verdict(name)["robustness"].as_f64().unwrap();
        ran.robustness(name, wanted, 1e-4 * wanted);
    }
    ran.kpi("heat", without.value("heat"), 1e-3);
}

/// With ports: a chain of a hundred cells between source and ground. What happens in each is what happens in the model that
/// hands the current on by signals.
#[test]
fn battery_pack_with_ports() {
    let Some(ran) = Ran::new("03_battery_pack.twinml", "charge") else { return };
    ran.verdicts(&["safe", "balanced", "cells[*].no_overcharge"].map(|name| (name, "holds")));
    let rows = ran.rows();
    near("spread at 1 h", rows.at(3600.0, "spread"), 67.0, 0.5);
    near("spread from 3 h", rows.span("spread", 10800.0).1, 5.0, 0.05);
    ran.robustness("cells[*].no_overcharge", 4.25 - 4.180, 5e-4);
    let closest = ran.verdict("cells[*].no_overcharge")["closest"].as_f64().unwrap();
    near("end of charge", closest / 3600.0, 1.02, 0.005);
    let Some(small) = Ran::new("03_battery_pack.twinml", "small") else { return };
    small.verdicts(&[("safe", "holds"), ("balanced", "holds")]);
    let without = Ran::of(&beside("pack.twinml"), "small", None);
    for name in ["safe", "balanced"] {
        let wanted = without.verdict(name)["robustness"].as_f64().unwrap();
        small.robustness(name, wanted, 1e-5 * wanted);
    }
}

/// Steady states against a nest of bisections in `reference.py`'s manner (pipes by square roots, nodes from the inside out);
/// what the tank does meanwhile is our own: it fills above its range of 5 m, and the model's README only estimated it.
#[test]
fn water_network() {
    let Some(models) = folder() else { return };
    let Some(ran) = Ran::new("06_water_network.twinml", "burst") else { return };
    ran.verdicts(&["pressure", "restored", "detected", "tank_ok"].map(|name| (name, "holds")));
    let rows = ran.rows();
    near("pump", rows.at(0.0, "pump.q"), 47.692_811_442_8, 1e-8);
    near("gauge", rows.at(0.0, "towns[0].gauge"), 3.375_529_791_16, 1e-10);
    near("gauge", rows.at(0.0, "towns[1].gauge"), 3.2373, 1e-12);
    ran.kpi("lost", 6131.0, 1.0);
    let Some(ran) = Ran::new("06_water_network.twinml", "isolation") else { return };
    ran.verdicts(&[("pressure", "holds"), ("quick/pressure", "holds"), ("quick/tank_ok", "holds")]);
    near("shut", ran.branch("quick").at(3610.0, "leak.node.m"), 7e-4, 1e-4);
    // A lake instead of the tank, and no drive: the states that the figures are of.
    let place = tempfile::tempdir().unwrap();
    for file in ["pump_curve.csv", "demand.csv"] {
        fs::copy(models.join(file), place.path().join(file)).unwrap();
    }
    let text = fs::read_to_string(models.join("06_water_network.twinml")).unwrap();
    let text =
        text.replace("A: Area = 80 m^2", "A: Area = 8e9 m^2").replace("  drive demand", "  // drive demand");
    let steady = place.path().join("steady.twinml");
    fs::write(&steady, text).unwrap();
    let rows = Ran::of(&steady, "burst", None).rows();
    near("pump", rows.at(3610.0, "pump.q"), 48.068_443_792, 1e-5);
    near("leak", rows.at(3610.0, "leak.node.m"), 20.126_453_163, 1e-5);
    near("gauge", rows.at(3610.0, "towns[0].gauge"), 3.290_143_229, 1e-6);
    near("pump", rows.at(4000.0, "pump.q"), 46.424_158_479, 1e-5);
    near("leak", rows.at(4000.0, "leak.node.m"), 6.842e-4, 1e-7);
    near("gauge", rows.at(4000.0, "towns[0].gauge"), 3.605_101_362, 1e-6);
}

/// A Monte Carlo job over a model: its summary, whatever its verdicts.
#[track_caller]
fn job(model: &Path, scenario: &str, samples: &str) -> Value {
    let place = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_twinc"))
        .arg("mc")
        .arg(model)
        .args(["--scenario", scenario, "-n", samples, "-q", "--out"])
        .arg(place.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(matches!(out.status.code(), Some(0 | 1 | 4)), "{scenario}: {said}");
    let summary: Value =
        serde_json::from_slice(&fs::read(place.path().join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["status"]["complete"].as_u64(), summary["runs"].as_u64(), "{scenario}: {summary}");
    summary
}

/// What the runs of a job say of a requirement.
#[track_caller]
fn said(summary: &Value, name: &str) -> String {
    let all = summary["requirements"].as_array().unwrap();
    let one = all.iter().find(|r| r["name"] == name).unwrap_or_else(|| panic!("no {name}: {all:?}"));
    one["verdict"].as_str().unwrap().to_owned()
}

fn mean(summary: &Value, kpi: &str) -> f64 {
    let all = summary["kpis"].as_array().unwrap();
    all.iter().find(|k| k["name"] == kpi).unwrap()["mean"]["value"].as_f64().unwrap()
}

#[test]
fn heating_skid_as_a_monte_carlo_job() {
    let Some(models) = folder() else { return };
    let model = models.join("01_heating_skid.twinml");
    let s = job(&model, "day", "500");
    for name in ["warm", "no_trip", "safe"] {
        assert_eq!(said(&s, name), "holds", "{name}");
    }
    near("energy", mean(&s, "energy"), 22.6, 0.5);
    near("starts", mean(&s, "starts"), 9.0, 1.5);
    // The hazard shows in every sample.
    assert_eq!(said(&job(&model, "stuck_relay", "50"), "safe"), "violated");
}

/// Short of the thousand samples that the scenario asks for: a day of the line takes a while. What the model's author
/// intended does not hold: in half of the days more than 60 parts lie about (see `production_line_of_three_shifts`).
#[test]
fn production_line_as_a_monte_carlo_job() {
    let Some(models) = folder() else { return };
    let s = job(&models.join("08_production_line.twinml"), "three_shifts", "60");
    assert_eq!(said(&s, "throughput"), "holds");
    assert_eq!(said(&s, "short_wip"), "violated");
}

#[test]
fn battery_pack_as_a_monte_carlo_job() {
    let s = job(&beside("pack.twinml"), "small", "2");
    for name in ["balanced", "cells[*].no_overcharge"] {
        assert_eq!(said(&s, name), "holds", "{name}");
    }
    // Two samples that are safe are not yet 99 %.
    assert_eq!(said(&s, "safe"), "inconclusive");
}

#[test]
fn epidemic_as_a_monte_carlo_job() {
    // Without noise first, against the figures of the model's head.
    let text = fs::read_to_string(beside("epidemic.twinml")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let quiet = place.path().join("quiet.twinml");
    fs::write(&quiet, text.replace("sigma: Real[day^-0.5] = 0.08", "sigma: Real[day^-0.5] = 0")).unwrap();
    let ran = Ran::of(&quiet, "season", None);
    ran.robustness("hospital", 8.0 - 10.677, 1e-3);
    ran.kpi("burden", 3.8692, 1e-4);
    ran.kpi("locked", 1015.0, 0.0);
    // Without rules, noise and the worst of five regions lie above the 36 % of a single region without noise.
    for (scenario, peak) in [("season", 12.9), ("no_rules", 42.1)] {
        let s = job(&beside("epidemic.twinml"), scenario, "60");
        epidemic_said(&s, scenario, peak);
    }
}

/// Mass is kept; the hospital is not, whose worst region has this peak in the mean, in percent. An estimate by hand had it hold in a
/// season: the figures without noise say why it does not.
#[track_caller]
fn epidemic_said(s: &Value, scenario: &str, peak: f64) {
    assert_eq!(said(s, "mass"), "holds");
    assert_eq!(said(s, "hospital"), "violated");
    let all = s["requirements"].as_array().unwrap();
    let hospital = all.iter().find(|r| r["name"] == "hospital").unwrap();
    let middle = hospital["robustness"]["mean"]["value"].as_f64().unwrap();
    near(scenario, 8.0 - middle, peak, 1.5);
}

/// Messages as they stand: the same regions, reports and orders as without them, to the bit.
#[test]
fn epidemic_with_messages_as_it_stands() {
    let Some(models) = folder() else { return };
    let model = models.join("12_epidemic_sde.twinml");
    for (scenario, peak) in [("season", 12.9), ("no_rules", 42.1)] {
        let (Some(ran), twin) = (
            Ran::new("12_epidemic_sde.twinml", scenario),
            Ran::of(&beside("epidemic.twinml"), scenario, None),
        ) else {
            return;
        };
        let read = |r: &Ran| fs::read_to_string(r.place.path().join("r.csv")).unwrap();
        assert!(read(&ran) == read(&twin), "{scenario}");
        let s = job(&model, scenario, "60");
        epidemic_said(&s, scenario, peak);
    }
}

/// A fleet whose jobs go by contract net, against a simulation of its events alone: means of 2,000 runs and their deviations.
/// What had to wait is asked for anew by the desk itself, which is then its owner: the customer never hears of it, so in a small
/// yard a third of the jobs do not count as done, which the model's head does not say.
#[test]
fn truck_fleet() {
    let Some(ran) = Ran::new("09_truck_fleet.twinml", "shift") else { return };
    ran.verdicts(&[("service", "holds"), ("charged", "holds")]);
    ran.kpi("jobs_per_h", 19.83, 4.0 * 1.59);
    ran.kpi("energy_per_job", 1.2575, 4.0 * 0.054);
    let Some(models) = folder() else { return };
    let s = job(&models.join("09_truck_fleet.twinml"), "small_yard", "16");
    assert_eq!(said(&s, "charged"), "holds");
    near("jobs", mean(&s, "jobs_per_h"), 13.18, 1.25);
    near("energy", mean(&s, "energy_per_job"), 2.652, 0.454);
}

/// What waits for capabilities says so, with the line.
#[test]
fn what_later_versions_run_is_refused_with_its_line() {
    let Some(models) = folder() else { return };
    let (file, word) = ("15_operator_agent.twinml", "cannot be run by this version");
    let out = Command::new(env!("CARGO_BIN_EXE_twinc")).arg("mc").arg(models.join(file)).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{file}: {text}");
    assert!(text.contains(word) && text.contains(&format!("{file}:")), "{file}: {text}");
}
