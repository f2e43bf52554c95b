//! Many runs side by side end as each does alone, to the bit: at every level, with any number of neighbours, whatever
//! happens in them.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/fleet.rs"]
mod support;

use support::Model;
use twinml_engine::run::Ended;
use twinml_model::lanes::NotLanes;

const DECAY: &str = "twin Decay {
  parameters { k: Real[1/s] = 0.5 ~ lognormal(0.5, 0.1); a: Real = 2.5 }
  states { x: Real = 1 }
  outputs { y: Real = a * x }
  equations { der(x) = -k * x }
}
scenario main for Decay { duration: 4 s; record all every 500 ms }";

const LORENZ: &str = "twin Lorenz {
  parameters { s: Real[1/s] = 10 [1/s]; r: Real = 28; b: Real[1/s] = 2.5 [1/s] }
  states { x: Real = 1; y: Real = 1; z: Real = 20 }
  equations { der(x) = s*(y - x); der(y) = (x*(r - z) - y)*1 [1/s]; der(z) = x*y*1 [1/s] - b*z }
  constraints {
    bounded: always(z < 44)
    returns: always[0 s, 2 s](eventually[0 s, 1 s](x > 0))
    kpi top: max(z over run)
    kpi mean: mean(x over run)
  }
}
scenario main for Lorenz { duration: 5 s; expect bounded }";

const NOISE: &str = "twin Trap {
  parameters { k: Real[1/s] = 2.5 [1/s]; d: Real[1/s^0.5] = 0.7 [1/s^0.5] }
  states { x: Real = 0.3; y: Real[1][2] = 0.5; n: Int = 0 }
  equations {
    der(x) = -k * x + d * white_noise()
    for i in 0..2 { der(y[i]) = (x - y[i])*1 [1/s] + 0.2 [1/s^0.5] * y[i] * white_noise() }
  }
  behavior { on rising(x > 0.9) { n = n + 1; x = 0.1 } }
  constraints {
    small: always(x < 1.5)
    kpi top: max(x over run)
  }
}
scenario main for Trap { duration: 3 s; record all every 100 ms; expect small }";

const MODES: &str = "twin Tank {
  parameters { k: Real[1/s] = 0.31 [1/s]; top: Real = 0.83; low: Real = 0.22 }
  inputs { feed: Real[1/s] = 0.21 [1/s] }
  states { h: Real = 0.4; starts: Int = 0; spilt: Real = 0 }
  outputs { wet: Bool = h > 0.5 }
  equations {
    der(h) = feed + (if mode.on then 0.4 [1/s] else 0 [1/s]) - k*h
    der(spilt) = max(h - top, 0)*1 [1/s]
  }
  behavior {
    machine mode {
      initial off
      state off { when h < low -> on { starts = starts + 1 } }
      state on { on rising(h > top) -> off }
    }
    every 700 ms { if draw(bernoulli(0.4)) { h = h + 0.03 } }
    after 3 s { feed = 0.02 [1/s] }
  }
  constraints {
    dry: always(h > 0.1)
    full: eventually[0 s, 5 s](h > 0.8)
    again: always[0 s, 6 s](h < 0.25 implies eventually[0 s, 3 s](h > 0.4))
    kpi mean: mean(h over run)
    kpi cycles: starts
    kpi part: fraction(wet over run)
  }
}
scenario main for Tank { duration: 12 s; record all every 250 ms; at 5 s { feed = 0 [1/s] } expect dry, full, again }";

#[test]
fn smooth_runs() {
    let ends = DECAY.replace(" record all every 500 ms ", "");
    for (name, text) in [("decay", DECAY), ("decay, ends", &ends)] {
        Model::text(name, text, None).solver("tsit5", 1e-6, 1e-9).check(14, None);
        Model::text(name, text, None).solver("dopri5", 1e-6, 1e-9).check(14, None);
        Model::text(name, text, None).solver("rosenbrock", 1e-6, 1e-9).check(14, None);
        Model::text(name, text, None).check(14, None);
        for h in [0.05, 0.03] {
            Model::text(name, text, None).step("rk4", h).check(14, None);
            Model::text(name, text, None).step("euler", h).check(14, None);
        }
    }
}

#[test]
fn requirements() {
    let model = || Model::text("lorenz", LORENZ, None);
    model().solver("tsit5", 1e-6, 1e-9).check(8, None);
    model().solver("dopri5", 1e-6, 1e-9).check(8, None);
    model().solver("rosenbrock", 1e-5, 1e-8).check(8, None);
    model().check(8, None);
    model().step("rk4", 0.011).check(8, None);
    model().step("euler", 0.001).check(8, None);
}

#[test]
fn noise() {
    Model::text("noise", NOISE, None).step("euler", 0.01).check(6, None);
    let calm = NOISE
        .replace("on rising(x > 0.9) { n = n + 1; x = 0.1 }", "")
        .replace("small: always(x < 1.5)", "")
        .replace("kpi top: max(x over run)", "")
        .replace("expect small", "");
    Model::text("noise alone", &calm, None).step("euler", 0.013).check(6, None);
    Model::text("noise", NOISE, None).step("milstein", 0.01).check(3, None);
}

#[test]
fn modes_timers_actions_and_draws() {
    let model = || Model::text("tank", MODES, None);
    model().solver("tsit5", 1e-6, 1e-9).check(8, None);
    model().solver("rosenbrock", 1e-6, 1e-9).check(8, None);
    model().solver("dopri5", 1e-6, 1e-9).check(4, None);
    model().solver("auto", 1e-6, 1e-9).check(8, None);
    model().step("rk4", 0.05).check(8, None);
    model().step("euler", 0.01).check(8, None);
}

#[test]
fn multistep_methods_go_alone() {
    // `auto` takes Adams where an evaluation is much work.
    let model = || Model::file("tests/hybrid/rectifier.twinml", None);
    model().solver("tsit5", 1e-6, 1e-9).check(3, None);
    model().solver("auto", 1e-6, 1e-9).check(3, Some(NotLanes::Method));
}

/// Robertson's kinetics beside a rotation that nothing excites and that is too fast in some runs: their diagonal does not
/// serve, and they go on alone, with BDF.
const STIFF: &str = "twin Kinetics {
  parameters { k: Real = 0.04; w: Real = 5e6 }
  states { a: Real = 1; b: Real = 0; c: Real = 0; u: Real = 0; v: Real = 0 }
  equations {
    der(a) = (-k*a + 1e4*b*c)*1 [1/s]
    der(b) = (k*a - 1e4*b*c - 3e7*b^2)*1 [1/s]
    der(c) = 3e7*b^2*1 [1/s]
    der(u) = w*v*1 [1/s]
    der(v) = -w*u*1 [1/s]
  }
  constraints { slow: always(c < 0.9); kpi half: mean(c over run) }
}
scenario main for Kinetics { duration: 40 s; record all every 5 s; expect slow }";

#[test]
fn stiff_runs_and_runs_whose_pivots_do_not_serve() {
    let ends = STIFF.replace(" record all every 5 s;", "");
    for (name, text) in [("kinetics", STIFF), ("kinetics, ends", &ends)] {
        Model::text(name, text, None).solver("rosenbrock", 1e-6, 1e-10).check(14, None);
        Model::text(name, text, None).solver("rosenbrock", 1e-4, 1e-8).check(14, None);
    }
}

#[test]
fn events() {
    for name in ["ball", "bang_bang", "neuron", "sampled_pi", "stick_slip", "thermostat", "two_balls"] {
        let path = format!("tests/hybrid/{name}.twinml");
        let model = || Model::file(&path, None);
        for model in [
            model().solver("tsit5", 1e-6, 1e-9),
            model().solver("rosenbrock", 1e-6, 1e-9),
            model().solver("auto", 1e-6, 1e-9),
            model().step("rk4", model().experiment.duration / 600.0),
        ] {
            let model = model.short(600);
            assert!(model.nominal().events > 0, "{name}: nothing happens");
            model.check(4, None);
        }
    }
}

/// One state that crosses its bounds at instants known by hand: x = 2 exp(-k t) with k near 0.5.
fn decays(constraints: &str) -> Model {
    let text = format!(
        "twin Decay {{
  parameters {{ k: Real[1/s] = 0.5; b: Real = 0.7 }}
  states {{ x: Real = 2; hits: Int = 0 }}
  equations {{ der(x) = -k * x }}
  behavior {{ on rising(x < 1.5) {{ hits = hits + 1 }} }}
  constraints {{ {constraints} }}
}}
scenario main for Decay {{ duration: 100 s }}"
    );
    Model::text(constraints, &text, None).step("rk4", 0.1)
}

/// A run ends once all its verdicts are decided, and only then: its verdicts are those of the whole run, and each run on
/// lanes is what it is alone.
#[test]
fn runs_end_when_their_verdicts_are_decided() {
    // The instants: 2 exp(-t/2) is 1 at 1.39 s and 0.5 at 2.77 s. A verdict is known one step after the instant that decides.
    let cases = [
        ("a: always(x > 1)", 15),
        ("a: always(x > 1); b: eventually(x < 0.5)", 29),
        ("a: eventually[0 s, 20 s](x < 0.5)", 29),
        ("a: always[0 s, 20 s](x > -1)", 201),
        ("a: always[0 s, 20 s](x > 0.5 or hits >= 1)", 201),
        ("a: always(x > 1 implies eventually[0 s, 3 s](x < 1))", 1000),
        ("a: (x > 0) until (x < 1)", 15),
        ("a: always(b > 0.8)", 1),
        // What holds up to the end is decided there, and so is what the end is asked for.
        ("a: always(x > -1)", 1000),
        ("a: always(x > 1); b: always(x > -1)", 1000),
        ("a: (max(x over run)) > 1", 1000),
    ];
    let mut found = Vec::new();
    for (constraints, _) in cases {
        let whole = decays(constraints);
        let early = Model { until_decided: true, ..decays(constraints) };
        for k in 0..3 {
            let ((all, want, _), (some, got, report)) = (whole.verdicts(k), early.verdicts(k));
            assert_eq!(want, got, "{constraints}, run {k}");
            assert_eq!(all, 1000, "{constraints}");
            assert_eq!(
                matches!(report.ended, Ended::Decided),
                some < all,
                "{constraints}: {:?}",
                report.ended
            );
            if k == 0 {
                found.push((constraints, some));
            }
        }
        early.check(3, None);
    }
    assert_eq!(found, cases);
    for model in [LORENZ, NOISE, MODES] {
        for k in 0..6 {
            let whole = Model::text("whole", model, None).step("euler", 0.002);
            let early =
                Model { until_decided: true, ..Model::text("early", model, None).step("euler", 0.002) };
            assert_eq!(whole.verdicts(k).1, early.verdicts(k).1);
        }
    }
}
