//! The examples, the reference models and requirements of all kinds: many runs side by side end as each does alone, to the
//! bit. Of each model a short piece from its start, with its own solver and with one that lanes can do. What goes alone is
//! listed with its reason.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#[path = "support/fleet.rs"]
mod support;

use expect_test::expect;
use std::path::{Path, PathBuf};
use support::Model;
use twinml_jit::lanes::Isa;

/// Steps of a piece.
const STEPS: u64 = 60;

/// The widest level and that of Cranelift; the others are compared on smaller models in `fleet`.
fn levels() -> [Isa; 2] {
    [Isa::best(), Isa::V128]
}

fn models(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(models(&path));
        } else if path.extension().is_some_and(|e| e == "twinml") {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// A line for each model: the reason why it goes alone with its own solver, with `tsit5`, and with `rosenbrock`.
fn corpus(folder: &Path) -> String {
    let mut out = String::new();
    for path in models(folder) {
        for scenario in Model::scenarios(&path) {
            let Some(own) = Model::whole(&path, Some(&scenario)) else { continue };
            let stochastic = !own.program.noise.is_empty();
            let name = own.name.clone();
            let way = |m: Model| {
                let why = m.short(STEPS).compare(3, &levels());
                why.map_or_else(|| "lanes".to_owned(), |w| w.to_string())
            };
            let own = way(own);
            let with = |method: &str| match stochastic {
                true => "stochastic".to_owned(),
                false => way(Model::whole(&path, Some(&scenario)).unwrap().solver(method, 1e-5, 1e-8)),
            };
            let [explicit, implicit] = ["tsit5", "rosenbrock"].map(with);
            out.push_str(&format!("{name}: {own}; {explicit}; {implicit}\n"));
        }
    }
    out
}

#[test]
fn examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../twinml-examples");
    expect![[r#"
        cell pulses: lanes; lanes; lanes
        ball drop: lanes; lanes; lanes
        buck light_load: lanes; lanes; lanes
        motor start: its solver goes alone; lanes; lanes
        rod cooling: its solver goes alone; it has more than 64 states; it has more than 64 states
        optical_trap watch: lanes; stochastic; stochastic
        orbit two_orbits: lanes; lanes; lanes
        line week: it has no states to integrate; it has no states to integrate; it has no states to integrate
        line worn: it has no states to integrate; it has no states to integrate; it has no states to integrate
        room three_days: its solver goes alone; lanes; lanes
        sampled jitter: lanes; lanes; lanes
        sampled steady: lanes; lanes; lanes
        stick_slip pull: lanes; lanes; lanes
        robertson long: its solver goes alone; lanes; lanes
        reactor steady: lanes; lanes; lanes
        reactor runaway: lanes; lanes; lanes
        tank_farm cold_start: its solver goes alone; lanes; its steps cannot be written out as one straight line
        theophylline three_a_day: lanes; lanes; lanes
        thermostat bath: its solver goes alone; lanes; lanes
        thermostat welded: its solver goes alone; lanes; lanes
    "#]]
    .assert_eq(&corpus(&root));
}

#[test]
fn reference_models() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("TWINML_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let models = shared.join("models");
    if !models.is_dir() {
        println!("skipped: no reference models at {}", models.display());
        return;
    }
    expect![[r#"
        01_heating_skid day: lanes; lanes; lanes
        01_heating_skid stuck_relay: lanes; lanes; lanes
        02_dc_motor_pid step: its solver goes alone; lanes; lanes
        03_battery_pack charge: its solver goes alone; it has more than 64 states; it has more than 64 states
        03_battery_pack small: its solver goes alone; lanes; lanes
        04_pendulum_dae swing: its solver goes alone; lanes; lanes
        04_pendulum_dae looping: its solver goes alone; lanes; lanes
        04_pendulum_dae chaos: its solver goes alone; lanes; lanes
        06_water_network burst: its solver goes alone; lanes; its steps cannot be written out as one straight line
        06_water_network isolation: its solver goes alone; lanes; its steps cannot be written out as one straight line
        07_cstr_runaway coolant_loss: lanes; lanes; lanes
        07_cstr_runaway unprotected: lanes; lanes; lanes
        08_production_line three_shifts: it has no states to integrate; it has no states to integrate; it has no states to integrate
        08_production_line heavy_wear: it has no states to integrate; it has no states to integrate; it has no states to integrate
        09_truck_fleet shift: it has more than 64 states; it has more than 64 states; it has more than 64 states
        09_truck_fleet small_yard: lanes; lanes; lanes
        11_stick_slip belt: lanes; lanes; lanes
        11_stick_slip smooth_belt: its solver goes alone; lanes; lanes
        12_epidemic_sde season: lanes; stochastic; stochastic
        12_epidemic_sde no_rules: lanes; stochastic; stochastic
        14_building_zone winter_week: its solver goes alone; lanes; lanes
    "#]]
    .assert_eq(&corpus(&models));
}

/// The formulas of `tests/requirements.rs`: x = sin(t), y = cos(t).
#[test]
fn requirements() {
    let text = "twin M {
  parameters { limit: Length in cm = 1.5 m; w: Time = 2 s }
  states { x: Length = 0 m; y: Length = 1 m; T: Temperature = 300 K; hits: Int = 0 }
  equations { der(x) = y/1 s; der(y) = -x/1 s; der(T) = 1 K/s }
  behavior { on rising(x > 0.5 m) { hits = hits + 1 } every 900 ms { if draw(bernoulli(0.3)) { x = 0.99*x } } }
  constraints {
    below: always(x <= limit)
    above: always[0, 4 s](x > -1 m)
    rises: eventually[w, 2*w](x > 0.5 m)
    follows: always(x > 0.9 m implies eventually[0, 3 s](x < -0.6 m))
    early: always[0, 6 s](x > 0.9 m implies eventually[0, 3 s](x < -0.5 m))
    hands: y > 0 m until x > 0.99 m
    back: eventually(historically[0, 3 s](x < 0.5 m))
    either: always(x > 0.6 m or x < 0.9 m or y > 0 m)
    warm: always(T < 311 K and x < 2 m)
    claim: always(x < 0.5 m) with probability >= 0.9
    counted: always(hits <= 1)
    whole: (max(x over run)) < 1.1 m
    kpi mean_of_x: mean(x over run)
    kpi part: fraction(x > 0.5 m over run)
  }
}
scenario s for M { duration: 10 s; record all every 500 ms; expect below, hands }";
    let model = || Model::text("requirements", text, None);
    for m in [
        model().solver("dopri5", 1e-6, 1e-9),
        model().solver("tsit5", 1e-6, 1e-9),
        model().solver("rosenbrock", 1e-6, 1e-9),
        model().step("rk4", 0.05),
    ] {
        assert_eq!(m.compare(5, &levels()), None);
        let early = Model { until_decided: true, ..m };
        assert_eq!(early.compare(5, &levels()), None);
    }
}

/// Where no clock ticks at the end and no row is due there, figures and `on stop` still see the last state: R = 10·(1 − e^(−t/10)).
#[test]
fn an_end_between_two_ticks() {
    let text = "twin M {
  states { x: Real = 1; R: Real = 0; last: Real = 0; ticks: Int = 0 }
  equations { der(x) = -x/10 s; der(R) = x/1 s }
  behavior { every 1 s { ticks = ticks + 1 } on stop { last = R } }
  constraints {
    kpi end_of_R: R at end
    kpi last_of_R: last at end
    small: always(x <= 1)
  }
}
scenario s for M { duration: 2.5 s; record R every 1 s; expect small }";
    let model = || Model::text("end", text, None);
    let exact = 10.0 * (1.0 - f64::exp(-0.25));
    for m in [
        model().solver("tsit5", 1e-9, 1e-12),
        model().solver("auto", 1e-9, 1e-12),
        model().solver("rosenbrock", 1e-9, 1e-12),
        model().solver("bdf", 1e-9, 1e-12),
        model().step("rk4", 0.01),
    ] {
        let report = m.nominal();
        for value in &report.kpis {
            let value = value.as_ref().unwrap()[0];
            assert!((value - exact).abs() < 1e-7, "{}: {value}", m.experiment.solver.method);
        }
        let alone = matches!(m.experiment.solver.method.as_str(), "auto" | "bdf");
        assert_eq!(m.compare(5, &levels()).is_some(), alone, "{}", m.experiment.solver.method);
    }
}
