//! What happens at an instant, and that none is lost: several crossings in one step, waves shorter than the step, grazing,
//! crossings at a restart, the order of simultaneous events, micro-steps, left and right limits, timers on the integer
//! clock, and what the log says of all this.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hybrid/harness.rs"]
mod harness;

use harness::{ADAPTIVE, Model, near, same};
use std::f64::consts::PI;

/// A twin whose time goes by without anything to integrate but a clock, so that steps are as long as can be.
fn clock(behavior: &str, duration: &str) -> Model {
    Model::text(&format!(
        "twin Clock {{
  units: off
  states {{ x: Real = 0; n: Int = 0; log: Real = 0; s: Real = 0 }}
  equations {{ der(x) = 1 }}
  behavior {{ {behavior} }}
}}
scenario main for Clock {{ duration: {duration}; record all every 1 s }}"
    ))
}

#[test]
fn no_wave_of_a_condition_is_lost_in_a_long_step() {
    // The state is a straight line: the steps would be hundreds of seconds long.
    let waves = clock("on rising(sin(2*pi*x) > 0.5) { n = n + 1; emit up() }", "400 s");
    let exact: Vec<f64> = (0..400).map(|k| f64::from(k) + 1.0 / 12.0).collect();
    for solver in ADAPTIVE {
        same(solver, &waves.with(solver, 1e-10, 1e-12).times("up"), &exact, 1e-9);
    }
    // The same of time alone, and narrow: a pulse of a hundredth of the period.
    let pulses = clock("on rising(sin(2*pi*time) > 0.9995) { emit up() }", "100 s");
    let at = f64::asin(0.9995) / (2.0 * PI);
    let exact: Vec<f64> = (0..100).map(|k| f64::from(k) + at).collect();
    for solver in ADAPTIVE {
        same(solver, &pulses.with(solver, 1e-10, 1e-12).times("up"), &exact, 1e-9);
    }
}

#[test]
fn several_conditions_of_one_step_come_in_order() {
    let many: String = (1..=40)
        .map(|k| format!("on rising(x > {}) {{ n = n + 1; emit e{k}() }}\n", f64::from((k * 17) % 41) + 0.25))
        .collect();
    let model = clock(&many, "50 s");
    for solver in ADAPTIVE {
        let ran = model.with(solver, 1e-10, 1e-12);
        let times: Vec<f64> = ran.log.iter().filter(|e| e.kind == "event").map(|e| e.time).collect();
        let exact: Vec<f64> = (1..=40).map(|k| f64::from(k) + 0.25).collect();
        same(solver, &times, &exact, 1e-9);
        for k in 1..=40 {
            let at = f64::from((k * 17) % 41) + 0.25;
            same(solver, &ran.times(&format!("e{k}")), &[at], 1e-9);
        }
    }
}

#[test]
fn a_grazing_extremum_crosses_only_if_it_goes_beyond() {
    // y = sin t with extremum 1 at pi/2: the level below it by d is crossed twice, the level above never.
    let model = |level: f64| {
        Model::text(&format!(
            "twin Wave {{
  units: off
  states {{ y: Real = 0; c: Real = 1 }}
  equations {{ der(y) = c; der(c) = -y }}
  behavior {{ on rising(y > {level}) {{ emit up() }}  on falling(y > {level}) {{ emit down() }} }}
}}
scenario main for Wave {{ duration: 6 s; record all every 1 s }}"
        ))
    };
    for solver in ADAPTIVE {
        for d in [1e-2, 1e-4, 1e-6] {
            let ran = model(1.0 - d).with(solver, 1e-10, 1e-12);
            let half = f64::acos(1.0 - d);
            // An error e of the state moves a crossing near the extremum by e/sqrt(2 d).
            let tolerance = 1e-9 / f64::sqrt(d);
            same(solver, &ran.times("up"), &[PI / 2.0 - half], tolerance);
            same(solver, &ran.times("down"), &[PI / 2.0 + half], tolerance);
            let above = model(1.0 + d).with(solver, 1e-10, 1e-12);
            assert!(above.log.is_empty(), "{solver} {d}: {:?}", above.log);
        }
    }
    // What touches exactly, as x (2 - x) does at 1, crosses nothing, or both ways within rounding.
    let touch =
        clock("on rising(x*(2 - x) > 1) { emit up() }  on falling(x*(2 - x) > 1) { emit down() }", "3 s");
    for solver in ADAPTIVE {
        let ran = touch.with(solver, 1e-10, 1e-12);
        assert_eq!(ran.times("up").len(), ran.times("down").len(), "{solver}");
        assert!(ran.log.iter().all(|e| (e.time - 1.0).abs() < 1e-5), "{solver}: {:?}", ran.log);
    }
}

#[test]
fn a_crossing_at_a_restart_happens_once() {
    // At 1 s a timer restarts the integration; x passes 1 at the same instant, then 2 in the next step.
    let model = clock(
        "at 1 s { s = s + 1 }
         on rising(x > 1) { n = n + 1; emit one() }
         on rising(x >= 2) { emit two() }
         at 2 s { x = x }",
        "3 s",
    );
    for solver in ADAPTIVE {
        let ran = model.with(solver, 1e-10, 1e-12);
        same(solver, &ran.times("one"), &[1.0], 1e-9);
        same(solver, &ran.times("two"), &[2.0], 1e-9);
    }
    // Set back onto the surface and heading away from it: it rises again only when it comes back.
    let set = clock("on rising(x > 1) { x = 0; n = n + 1; emit up() }", "5.5 s");
    for solver in ADAPTIVE {
        same(solver, &set.with(solver, 1e-10, 1e-12).times("up"), &[1.0, 2.0, 3.0, 4.0, 5.0], 1e-9);
    }
}

#[test]
fn chattering_ends_with_an_error_that_names_the_handler() {
    let model = Model::text(
        "twin Relay {
  units: off
  states { x: Real = 0.5; u: Real = -1 }
  equations { der(x) = u }
  behavior { on falling(x > 0) { u = 1 }  on rising(x > 0) { u = -1 } }
}
scenario main for Relay { duration: 2 s; record all every 1 s }",
    );
    for solver in ADAPTIVE {
        let ran = model.with(solver, 1e-10, 1e-12);
        let failure = ran.failure();
        assert!((failure.time - 0.5).abs() < 1e-9, "{solver}: {failure}");
        let text = failure.to_string();
        assert!(text.contains("on falling(x > 0)") || text.contains("on rising(x > 0)"), "{solver}: {text}");
        // A thousand firings of one comparison or, where they all fall on one instant, a thousand micro-steps.
        let thousand = [" set off 1000 times ", " is not quiet after 1000 steps"];
        assert!(thousand.iter().any(|t| text.contains(t)), "{solver}: {text}");
        assert!(ran.log.len() <= 4100, "{solver}: {} rows", ran.log.len());
    }
}

#[test]
fn simultaneous_events_run_in_the_order_of_declaration() {
    // Four conditions that mean one second, written differently; the digits that are appended tell the order.
    let model = clock(
        "on rising(3*time >= 3) { log = 10*log + 1 }
         on rising(time >= 1) { log = 10*log + 2 }
         on falling(0.1*time < 0.1) { log = 10*log + 3 }
         on rising(time - 1 >= 0) { log = 10*log + 4 }
         every 1 s { log = 10*log + 5 }
         on tell() { log = 10*log + 6 }
         at 1 s { log = 10*log + 7; emit tell() }",
        "1.5 s",
    );
    for solver in ADAPTIVE {
        // The tick at 0 comes first; at 1 s the roots, then the timers in the order in which they were armed, then the
        // event; each sees what those before it wrote.
        let ran = model.with(solver, 1e-10, 1e-12);
        let log = *ran.column("log").last().unwrap();
        assert!(log == 51_234_756.0 || log == 51_234_576.0, "{solver}: {log}");
    }
}

#[test]
fn micro_steps_follow_one_another_at_one_instant() {
    let model = clock(
        "on rising(x > 1) { n = 1; emit first() }
         on first() { n = n + 1; emit second() }
         on rising(n >= 2) { s = 10*s + 1 }
         on second() { s = 10*s + 2; n = n + 1 }
         on change(n) { log = log + 1 }",
        "2 s",
    );
    for solver in ADAPTIVE {
        let ran = model.with(solver, 1e-10, 1e-12);
        // n: 0 -> 1 (root), 2 (first), 3 (second). Roots of a micro-step come before its events.
        assert_eq!((ran.at(2.0, "n"), ran.at(2.0, "s"), ran.at(2.0, "log")), (3.0, 12.0, 3.0), "{solver}");
        let times: Vec<f64> = ran.log.iter().map(|e| e.time).collect();
        assert!(times.iter().all(|t| *t == times[0]), "{solver}: one instant: {times:?}");
    }
}

#[test]
fn an_instant_that_is_never_quiet_is_an_error_that_names_the_handlers() {
    let model = clock(
        "on rising(x > 1) { emit ping() }  on ping() { emit pong() }  on pong() { emit ping() }",
        "2 s",
    );
    let ran = model.with("tsit5", 1e-10, 1e-12);
    let failure = ran.failure();
    let text = failure.to_string();
    assert!(text.contains("on p") && text.contains("the instant is not quiet"), "{text}");
    near("zeno", failure.time, 1.0, 1e-9);
}

#[test]
fn limits_stand_on_both_sides_of_an_instant() {
    let model = Model::text(
        "twin Jump {
  units: off
  states { x: Real = 0; v: Real = 1; seen: Real = 0 }
  variables { y: Real }
  outputs { z: Real = 2*x }
  equations { der(x) = v; y = if x > 1 then 10 else 20 }
  behavior { on rising(x > 1) { seen = x; x = 5; v = -1 } }
}
scenario main for Jump { duration: 2 s; record all every 0.5 s }",
    );
    for solver in ADAPTIVE {
        let ran = model.with(solver, 1e-10, 1e-12);
        let times = ran.column("time");
        let step = ran.column("step");
        let at = times
            .iter()
            .position(|t| (t - 1.0).abs() < 1e-9 && *t != 1.0)
            .or_else(|| step.iter().position(|s| *s > 0.0).map(|k| k - 1));
        let left = at.unwrap();
        let row = |name: &str, k: usize| ran.column(name)[k];
        // Before: y is still 20 and z that of x; after: all of it solved again.
        near(solver, row("x", left), 1.0, 1e-9);
        assert!(row("x", left) <= 1.0, "{solver}: the comparison is still false on the left");
        assert_eq!((row("y", left), row("v", left)), (20.0, 1.0), "{solver}");
        let right = step.iter().position(|s| *s > 0.0).unwrap();
        assert_eq!(
            (row("x", right), row("v", right), row("y", right), row("z", right)),
            (5.0, -1.0, 10.0, 10.0)
        );
        near(solver, row("seen", right), 1.0, 1e-9);
        // The log: the states with both values, under the handler that wrote them.
        let x = ran.of("state", "x")[0];
        near(solver, x.pre, 1.0, 1e-9);
        assert_eq!((x.post, &*x.event), (5.0, "on rising(x > 1)"), "{solver}");
        let v = ran.of("discrete", "v")[0];
        assert_eq!((v.pre, v.post, v.time), (1.0, -1.0, x.time), "{solver}");
        let ran_at: Vec<f64> = ran.log.iter().filter(|e| e.kind == "handler").map(|e| e.time).collect();
        assert_eq!(ran_at, [x.time], "{solver}");
    }
}

#[test]
fn noevent_and_smooth_make_no_events() {
    let text = |f: &str| {
        format!(
            "twin W {{
  units: off
  states {{ x: Real = -1; q: Real = 0 }}
  equations {{ der(x) = 1; der(q) = {f} }}
}}
scenario main for W {{ duration: 2 s; record all every 1 s }}"
        )
    };
    let integral = 0.5;
    for (f, events) in [
        ("if x > 0 then x else 0", 1),
        ("noevent(if x > 0 then x else 0)", 0),
        ("smooth(if x > 0 then x else 0)", 0),
        ("max(x, 0)", 0),
    ] {
        let ran = Model::text(&text(f)).with("tsit5", 1e-8, 1e-10);
        assert_eq!(ran.complete().report.events, events, "{f}");
        near(f, ran.at(2.0, "q"), integral, 1e-6);
    }
}

#[test]
fn timers_keep_the_integer_clock() {
    let model = clock(
        "every 100 ms offset 50 ms { n = n + 1 }
         at 1 s { emit one() }
         at 0.3 s { emit three() }
         every 333333333 ns { emit third() }
         on rising(x > 2) { wait 1.5 s; emit waited() }
         machine m {
           initial a
           state a { after 0.7 s -> b }
           state b { entry { emit entered() }  after 0.7 s -> a }
         }",
        "10 s",
    );
    for solver in ["tsit5", "bdf", "adams"] {
        let ran = model.with(solver, 1e-10, 1e-12);
        assert_eq!(ran.at(10.0, "n"), 100.0, "{solver}");
        assert_eq!(ran.times("one"), [1.0]);
        assert_eq!(ran.times("three"), [0.3]);
        let thirds: Vec<f64> = (0..=30).map(|k| f64::from(k) * 333_333_333.0 / 1e9).collect();
        assert_eq!(ran.times("third"), thirds, "{solver}");
        let entered: Vec<f64> = (0..7).map(|k| f64::from(7 + 14 * k) / 10.0).collect();
        assert_eq!(ran.times("entered"), entered, "{solver}: no drift");
        same(solver, &ran.times("waited"), &[3.5], 1e-9);
    }
}

/// `every 0.1 s` for a day: 864,001 ticks with that at 0, at exact instants; and they do not restart the integrator, which
/// sees nothing of them.
#[test]
fn a_day_of_ticks_has_no_drift_and_costs_no_restart() {
    let model = Model::text(
        "twin Day {
  units: off
  states { x: Real = 1; n: Int = 0; off: Real = 0 }
  equations { der(x) = -x/86400 }
  behavior { every 0.1 s { n = n + 1; off = max(off, abs(time - (n - 1)/10)) } }
}
scenario main for Day { duration: 1 day; record all every 1 h }",
    );
    let mut experiment = model.experiment.clone();
    experiment.solver.method = "bdf".to_owned();
    let ran = model.go(&experiment, false);
    ran.complete();
    assert_eq!(ran.at(86400.0, "n"), 864_001.0);
    assert!(ran.at(86400.0, "off") <= 1e-11, "{}", ran.at(86400.0, "off"));
    assert_eq!(ran.report.stats.restarts, 0);
    near("x", ran.at(86400.0, "x"), f64::exp(-1.0), 1e-5);
}

/// The order of a method of fixed step, and of trbdf2 with a longest step, shows in the time of an event.
#[test]
fn fixed_steps_show_their_order_in_the_event_time() {
    let model = Model::text(
        "twin Swing {
  units: off
  states { x: Real = 1 }
  equations { der(x) = -x }
  behavior { on falling(x > 0.5) { emit half() } }
}
scenario main for Swing { duration: 2 s; record all every 1 s }",
    );
    for (solver, order, step) in
        [("euler", 1.0, 1e-3), ("implicit_euler", 1.0, 1e-3), ("rk4", 4.0, 0.05), ("trbdf2", 2.0, 0.02)]
    {
        let error = |h: f64| {
            let mut experiment = model.experiment.clone();
            experiment.solver.method = solver.to_owned();
            if solver == "trbdf2" {
                (experiment.solver.rtol, experiment.solver.atol) = (Some(1.0), Some(1.0));
                (experiment.solver.max_step, experiment.solver.step) = (Some(h), Some(h));
            } else {
                experiment.solver.step = Some(h);
            }
            let times = model.go(&experiment, true).times("half");
            assert_eq!(times.len(), 1, "{solver}");
            (times[0] - f64::ln(2.0)).abs()
        };
        let observed = f64::log2(error(step) / error(0.5 * step));
        assert!((observed - order).abs() < 0.5, "{solver}: {observed}");
    }
}

/// What events cost: steps, evaluations and restarts of a model that switches and of one that is sampled, whose ticks write
/// what the plant reads.
#[test]
fn work_of_events_is_pinned() {
    let work = |model: &str, solver: &str| {
        let stats = Model::file(model).with(solver, 1e-8, 1e-10).report.stats;
        (stats.steps, stats.rhs, stats.restarts)
    };
    let done =
        [("thermostat", "tsit5"), ("thermostat", "bdf"), ("sampled_pi", "bdf")].map(|(m, s)| work(m, s));
    assert_eq!(done, [(225, 1440, 44), (251, 1880, 44), (459, 3566, 199)]);
}

#[test]
fn two_conditions_that_come_true_within_a_rounding_are_both_seen() {
    // A block on a belt (dry friction). While it sticks, `v > vb` is on its edge and rounding may take it over just where
    // the force reaches what friction holds: that one must not be lost, or the block is carried away.
    let model = Model::text(
        "twin Belt {
  units: off
  parameters { k: Real = 100; d: Real = 0.5; vb: Real = 0.1; N: Real = 9.81; hold: Real = 0.6; slide: Real = 0.4 }
  states { x: Real = 0; v: Real = 0.1 }
  variables { F: Real; a: Real; u: Real }
  equations { u = v - vb; der(x) = v; der(v) = a; a = F - k*x - d*v }
  behavior {
    machine contact {
      initial stick
      state stick {
        entry { v = vb }
        a = 0
        on rising(F > hold*N) -> slip { emit slipped() }
      }
      state slip {
        F = slide*N
        on rising(u > 0) -> stick when abs(k*x + d*v) <= hold*N
      }
    }
  }
}
scenario main for Belt { duration: 10 s; record all every 1 ms }",
    );
    // The free motion from (x0, vb): an oscillator about slide/k, until it is as fast as the belt again.
    let (k, d, vb, x0) = (100.0f64, 0.5f64, 0.1f64, (5.886 - 0.05) / 100.0);
    let (y0, alpha) = (x0 - 3.924 / k, d / 2.0);
    let w = (k - alpha * alpha).sqrt();
    let b = (vb + alpha * y0) / w;
    let speed = |t: f64| (-alpha * t).exp() * (vb * (w * t).cos() - (alpha * b + w * y0) * (w * t).sin());
    let place = |t: f64| (-alpha * t).exp() * (y0 * (w * t).cos() + b * (w * t).sin()) + 3.924 / k;
    let (mut lo, mut hi) = (0.3, 0.5);
    assert!(speed(lo) < vb && speed(hi) > vb);
    for _ in 0..60 {
        let mid = 0.5 * (lo + hi);
        if speed(mid) < vb { lo = mid } else { hi = mid }
    }
    let period = lo + (x0 - place(lo)) / vb;
    let exact: Vec<f64> = (0..13).map(|n| x0 / vb + f64::from(n) * period).filter(|t| *t < 10.0).collect();
    // (The force while it sticks is an algebraic unknown, which `taylor` refuses.)
    for solver in ADAPTIVE.into_iter().filter(|solver| *solver != "taylor") {
        for n in 0..12 {
            let rtol = 10f64.powf(-5.0 - 0.4 * f64::from(n));
            same(solver, &model.with(solver, rtol, rtol * 1e-2).times("slipped"), &exact, 2e3 * rtol);
        }
    }
}
