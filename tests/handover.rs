//! Where `auto` hands a run from one method to another: rows and events of the step before are the old method's, a kink that
//! a Taylor series cannot know of takes the run out of its hands, and what begins at rest is not slept through.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hybrid/harness.rs"]
mod harness;

use harness::{ADAPTIVE, Model, Ran, same};

const HENON_HEILES: &str = "
twin HenonHeiles { units: off
  states { x: Real = 0; y: Real = 0.1; u: Real = 0.45; v: Real = 0.1 }
  equations {
    der(x) = u
    der(y) = v
    der(u) = -x - 2*x*y
    der(v) = -y - x^2 + y^2
  }
  BEHAVIOR
}
scenario main for HenonHeiles { duration: 300 s; record all every 10 ms }";

/// A wave on a string: stability limits the steps of Adams, and Tsit5 takes its place and gives it back.
const WAVE: &str = "
twin Wave<n: Int = 200> { units: off
  parameters { c2: Real = n^2 }
  states { q: Real[1][n] = [exp(-(i - 60)^2/100) for i in 0..n]; v: Real[1][n] = 0 }
  equations {
    for i in 0..n { der(q[i]) = v[i] }
    der(v[0]) = c2*(q[1] - 2*q[0])
    for i in 1..n-1 { der(v[i]) = c2*(q[i-1] - 2*q[i] + q[i+1]) }
    der(v[n-1]) = c2*(q[n-2] - 2*q[n-1])
  }
}
scenario main for Wave { duration: 3 s; record all every 500 us }";

/// Stiff until its fast mode is gone, and from then on for a long time an oscillator.
const CALMS: &str = "
twin Calms { units: off
  states { x: Real = 1; v: Real = 0; s: Real = 0 }
  equations {
    der(x) = v
    der(v) = -x - 0.1*x^3
    der(s) = 2e4/(1 + exp(2*(time - 20)))*(x - s) + 0.01*(x - s)
  }
}
scenario main for Calms { duration: 3000 s; record all every 50 ms }";

/// A mass on a stiff spring that swings: a Rosenbrock method loses its order, and backward differentiation takes its place.
const SWING: &str = include_str!("accuracy/stiff_swing.twinml");

/// The largest difference of any two rows.
fn apart(a: &Ran, b: &Ran) -> f64 {
    assert_eq!(a.rows.len(), b.rows.len());
    let pairs = a.rows.iter().flatten().zip(b.rows.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn rows_of_the_step_before_a_change_are_its_own() {
    let henon = HENON_HEILES.replace("BEHAVIOR", "");
    let swing = SWING.replace("20 s", "4 s").replace("all every 4 s", "x, y, u, v every 1 ms");
    for (text, goes_on, changes, within) in [
        (&henon[..], "taylor", 1, 2e-7),
        (WAVE, "adams", 4, 1e-5),
        (CALMS, "adams", 2, 1e-5),
        (&swing, "bdf", 2, 1e-5),
    ] {
        let model = Model::text(text);
        let ran = model.with("auto", 1e-8, 1e-10);
        let choice = ran.report.choice;
        assert!(choice.method.name() == goes_on && choice.switches >= changes, "{choice:?}");
        let off = apart(&ran, &model.with("dopri5", 1e-12, 1e-14));
        assert!(off < within, "{goes_on}: {off:e}");
    }
}

/// As above with something that happens in each step, some of them while the method is changed.
#[test]
fn events_in_the_step_before_a_change_are_where_they_belong() {
    let watched = "behavior { on rising(x > 0) { emit up() } on falling(x > 0) { emit down() } \
                   on rising(y > 0) { emit high() } on falling(y > 0) { emit low() } }";
    let model = Model::text(&HENON_HEILES.replace("BEHAVIOR", watched));
    let (ran, exact) = (model.with("auto", 1e-8, 1e-10), model.with("dopri5", 1e-12, 1e-14));
    for event in ["up", "down", "high", "low"] {
        same(event, &ran.times(event), &exact.times(event), 1e-6);
    }
}

/// Chua's circuit. A series knows one side of a kink only, and a step that enters the other side and comes back holds the
/// equations at its end. Reference: each linear piece by DOP853 at rtol 3e-14, its ends as events; scipy's DOP853 at the
/// tolerances of the test is off by 5.5e-4.
#[test]
fn a_kink_takes_the_run_from_the_series() {
    let model = Model::text(
        "twin Chua { units: off
  states { x: Real = 0.7; y: Real = 0; z: Real = 0 }
  variables { h: Real }
  equations { h = -0.714*x + 0.5*(-1.143 + 0.714)*(abs(x + 1) - abs(x - 1))
    der(x) = 15.6*(y - x - h)
    der(y) = x - y + z
    der(z) = -28*y }
}
scenario main for Chua { duration: 20 s; record all every 20 s }",
    );
    let ran = model.with("auto", 1e-8, 1e-10);
    for (name, want) in CHUA {
        let have = *ran.column(name).last().unwrap();
        assert!((have / want - 1.0).abs() < 5.5e-4, "{name} = {have}, not {want}");
    }
}

const CHUA: [(&str, f64); 3] =
    [("x", 1.088718111499822), ("y", -0.19004961336607315), ("z", -1.1038069158396102)];

/// A controller sampled each 50 ms beside a stiff actuator: the stiff method is tried again and again, and the last trial that it
/// loses ends at an instant. The series goes on all the same.
#[test]
fn a_trial_that_is_lost_at_an_instant_is_over() {
    let model = Model::text(
        "twin SampledStiff { units: off
  states { x: Real = 0; y: Real = 0; z: Real = 0; u: Real = 0; e: Real = 0 }
  equations { der(x) = y - x^3; der(y) = 50*(z - y); der(z) = 2000*(u - z) }
  behavior { every 50 ms { e = e + 0.05*(1 - x); u = 3*(1 - x) + 2*e } }
}
scenario main for SampledStiff { duration: 10 s; record all every 10 s }",
    );
    let choice = model.with("auto", 1e-8, 1e-10).report.choice;
    assert_eq!(choice.method.name(), "taylor", "{choice:?}");
}

/// At rest at the start, with slope and curvature zero, and driven by something whose period divides a tenth of the run.
#[test]
fn what_is_at_rest_at_the_start_is_not_slept_through() {
    let model = Model::text(
        "twin Hums { units: off
  states { x: Real = 0 }
  equations { der(x) = sin(100*pi*time)^4 }
}
scenario main for Hums { duration: 0.1 s; record all every 100 ms }",
    );
    for solver in ADAPTIVE {
        let x = *model.with(solver, 1e-6, 1e-8).column("x").last().unwrap();
        assert!((x - 0.0375).abs() < 1e-6, "{solver}: {x}");
    }
}

/// A damped plate that a car crosses: first stability limits the steps of Adams and Tsit5 takes its place, later on accuracy does, at
/// tight tolerances, and Adams takes half as many steps again.
#[test]
fn adams_takes_over_again_where_stability_no_longer_limits() {
    let text = include_str!("accuracy/more_stiff.twinml");
    let [from, to] = ["twin Plate", "twin StiffB1"].map(|twin| text.find(twin).unwrap());
    let model = Model::text(&text[from..to]);
    let ran = model.with("auto", 1e-10, 1e-14);
    let (choice, steps) = (ran.report.choice, ran.report.stats.steps);
    assert!(choice.method.name() == "adams" && steps < 13_000, "{choice:?} {steps}");
}
