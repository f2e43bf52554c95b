//! Systems that switch, hit and wait, against what is known of them exactly: when events happen, how many they are, in
//! which order, and what the log tells of them. The models stand in `tests/hybrid`, each with its source.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hybrid/harness.rs"]
mod harness;

use harness::{ADAPTIVE, Model, Ran, near, same};
use std::f64::consts::PI;

/// Every adaptive solver of order three and more at rtol 1e-10.
fn each(model: &Model, check: impl Fn(&str, &Ran)) {
    for solver in ADAPTIVE {
        check(solver, &model.with(solver, 1e-10, 1e-12));
    }
}

#[test]
fn the_ball_bounces_at_the_exact_instants_and_then_has_no_end() {
    let (g, e, h0) = (9.81, 0.8, 1.0);
    let first = f64::sqrt(2.0 * h0 / g);
    let mut speed = f64::sqrt(2.0 * g * h0);
    let mut exact = vec![first];
    for _ in 0..19 {
        speed *= e;
        exact.push(exact.last().unwrap() + 2.0 * speed / g);
    }
    let accumulation = first * (1.0 + e) / (1.0 - e);
    let model = Model::file("ball");
    for solver in ADAPTIVE.into_iter().chain(["trbdf2"]) {
        let ran = model.with(solver, 1e-10, 1e-12);
        same(solver, &ran.times("bounce")[..20], &exact, 1e-9);
        let failure = ran.failure();
        let text = failure.to_string();
        assert!(text.contains("`on falling(h > 0 m)`") && text.contains("Zeno"), "{solver}: {text}");
        assert!((failure.time - accumulation).abs() < 1e-6, "{solver}: {text}");
        let lowest = ran.column("h").into_iter().fold(f64::INFINITY, f64::min);
        assert!(lowest >= 0.0, "{solver}: {lowest:e}");
    }
}

/// However the bounce is written: with the height left where the crossing was found the ball sinks into its floor by a
/// rounding, and where bounces drown in roundings it would fall through.
#[test]
fn a_ball_never_falls_through_its_floor() {
    let drop = f64::sqrt(2.0 / 9.81);
    for cause in ["rising(h < 0 m)", "rising(h <= 0 m)", "falling(h > 0 m)"] {
        for (e, act) in [
            (0.9, "v = -e*v"),
            (0.5, "v = e*abs(v)"),
            (0.1, "v = -e*v"),
            (0.8, "v = -e*v; h = 0 m"),
            (0.6, "v = -e*v; h = 0 m"),
        ] {
            let model = Model::text(&format!(
                "twin Ball {{
  parameters {{ g: Acceleration = 9.81 m/s^2; e: Real = {e} }}
  states {{ h: Length = 1 m; v: Velocity = 0 m/s }}
  equations {{ der(h) = v; der(v) = -g }}
  behavior {{ on {cause} {{ {act} }} }}
}}
scenario main for Ball {{ duration: 12 s; record all every 10 ms }}"
            ));
            let adaptive = ["tsit5", "bdf", "adams", "rosenbrock", "esdirk", "trbdf2"];
            let adaptive = adaptive.into_iter().flat_map(|solver| {
                // Where the tolerance is coarse, a step is longer than the last flights.
                [(1e-6, 1e-3), (1e-10, 1e-6)].map(|(rtol, within)| {
                    (format!("{solver} to {rtol:e}"), model.with(solver, rtol, 0.01 * rtol), within)
                })
            });
            // (In a fixed step the ball may be back on its floor before the first sample of the step.)
            let steps = [1e-3, 1.0 / 60.0, 0.25];
            let fixed = steps.map(|step| (format!("rk4 by {step} s"), model.stepping("rk4", step), 1e-6));
            for (solver, ran, within) in adaptive.into_iter().chain(fixed) {
                let who = format!("{solver}, e = {e}, {cause}: {act}");
                let failure = ran.failure();
                let text = failure.to_string();
                assert!(text.contains(&format!("`on {cause}`")) && text.contains("Zeno"), "{who}: {text}");
                let accumulation = drop * (1.0 + e) / (1.0 - e);
                assert!((failure.time - accumulation).abs() < within, "{who}: {text}");
                let lowest = ran.column("h").into_iter().fold(f64::INFINITY, f64::min);
                assert!(lowest >= -1e-12, "{who}: {lowest:e}");
            }
        }
    }
}

#[test]
fn a_block_sticks_and_slips_periodically() {
    let (m, k, u, fs, fc) = (1.0, 100.0, 0.1, 20.0, 10.0);
    let w = f64::sqrt(k / m);
    let d = (fs - fc) / k;
    let slip = (2.0 * PI - 2.0 * f64::atan(d * w / u)) / w;
    let mut t = fs / k / u;
    let (mut slips, mut sticks) = (Vec::new(), Vec::new());
    while t < 20.0 {
        slips.push(t);
        if t + slip < 20.0 {
            sticks.push(t + slip);
        }
        t += slip + 2.0 * d / u;
    }
    each(&Model::file("stick_slip"), |solver, ran| {
        same(solver, &ran.times("slips"), &slips, 1e-9);
        same(solver, &ran.times("sticks"), &sticks, 1e-9);
    });
}

#[test]
fn a_thermostat_switches_at_the_logarithms() {
    let (outside, tau, rise, low, high, mut temperature) = (278.0, 600.0, 0.05, 292.0, 294.0, 290.0);
    let (mut t, mut on) = (0.0, true);
    let (mut heats, mut cools) = (Vec::new(), Vec::new());
    loop {
        let (end, to) = if on { (outside + tau * rise, high) } else { (outside, low) };
        t += tau * f64::ln((end - temperature) / (end - to));
        if t >= 3600.0 {
            break;
        }
        if on {
            cools.push(t)
        } else {
            heats.push(t)
        }
        (temperature, on) = (to, !on);
    }
    each(&Model::file("thermostat"), |solver, ran| {
        same(solver, &ran.times("heats"), &heats, 1e-9);
        same(solver, &ran.times("cools"), &cools, 1e-9);
    });
}

#[test]
fn a_cart_reaches_its_rest_by_one_switch() {
    // Pushed from 1 m at rest: switch after 1 s, rest after 2 s, pushed again after 3 s.
    let at =
        |offset: f64| (0..10).map(|k| 3.0 * f64::from(k) + offset).filter(|t| *t < 29.0).collect::<Vec<_>>();
    each(&Model::file("bang_bang"), |solver, ran| {
        same(solver, &ran.times("switches"), &at(1.0), 1e-9);
        same(solver, &ran.times("rests"), &at(2.0), 1e-9);
        same(solver, &ran.times("pushes"), &at(3.0), 1e-9);
        let worst = ran.column("x").into_iter().fold(0.0, |a: f64, x| a.max(x));
        assert!(worst <= 1.0 + 1e-12, "{solver}: {worst}");
    });
}

#[test]
fn a_neuron_fires_at_its_intervals() {
    let (tau, rest, top, reset, w, d) = (0.01, -0.065, -0.05, -0.07, -0.045, 0.002);
    let mut exact: Vec<f64> = vec![tau * f64::ln((w - rest) / (w - top))];
    loop {
        // The refractory time ends at a whole nanosecond: a timer that a crossing starts is rounded up.
        let fired = *exact.last().unwrap();
        let free = f64::ceil((fired + 1e-15) * 1e9) / 1e9 + d;
        let next = free + tau * f64::ln((w - reset) / (w - top));
        if next >= 1.0 {
            break;
        }
        exact.push(next);
    }
    each(&Model::file("neuron"), |solver, ran| {
        // A crossing within rounding of a nanosecond may belong to the next one: a nanosecond in the interval.
        let times = ran.times("fires");
        same(solver, &times, &exact, 1e-9 + 2e-9);
        let free = ran.of("discrete", "held").into_iter().filter(|e| e.post == 0.0).count();
        assert_eq!(free, times.len(), "{solver}");
    });
}

#[test]
fn a_rectifier_conducts_where_its_source_is_above() {
    let (a, w, r, load, c) = (10.0, 100.0, 5.0, 200.0, 1e-3);
    // Conducting: c v' = (a sin wt − v)/r − v/load, with the steady part p sin wt + q cos wt.
    let b = (1.0 / r + 1.0 / load) / c;
    let s = a / (r * c);
    let (p, q) = (s * b / (b * b + w * w), -s * w / (b * b + w * w));
    let steady = |t: f64| p * f64::sin(w * t) + q * f64::cos(w * t);
    let source = |t: f64| a * f64::sin(w * t);
    let (mut conducts, mut blocks) = (Vec::new(), Vec::new());
    let (mut t0, mut v0, mut on) = (0.0, 0.0, true);
    while t0 < 0.5 {
        let v = |t: f64| {
            if on {
                steady(t) + (v0 - steady(t0)) * f64::exp(-b * (t - t0))
            } else {
                v0 * f64::exp(-(t - t0) / (load * c))
            }
        };
        let over = |t: f64| (source(t) - v(t)) * if on { 1.0 } else { -1.0 };
        let Some(t) = harness::first_zero(over, t0, 0.5, 1e-5) else { break };
        if on {
            blocks.push(t)
        } else {
            conducts.push(t)
        }
        (v0, t0, on) = (v(t), t, !on);
    }
    each(&Model::file("rectifier"), |solver, ran| {
        same(solver, &ran.times("conducts"), &conducts, 1e-9);
        same(solver, &ran.times("blocks"), &blocks, 1e-9);
    });
}

#[test]
fn a_sampled_loop_follows_its_recursion() {
    let (kp, ki, r, h) = (2.0, 1.5, 1.0, 0.1);
    let decay = f64::exp(-h);
    let (mut x, mut s) = (0.0, 0.0);
    let mut states = vec![x];
    let (mut rises, mut settles) = (Vec::new(), Vec::new());
    for k in 0..200 {
        let e = r - x;
        s += e * h;
        let u = kp * e + ki * s;
        let next = u + (x - u) * decay;
        let at = |level: f64| f64::from(k) * h + f64::ln((x - u) / (level - u));
        if x <= 0.9 && next > 0.9 {
            rises.push(at(0.9));
        }
        if x <= 0.99 && next > 0.99 {
            settles.push(at(0.99));
        }
        x = next;
        states.push(x);
    }
    assert!(!rises.is_empty() && !settles.is_empty());
    each(&Model::file("sampled_pi"), |solver, ran| {
        let ticks: Vec<f64> = (0..=200).map(|k| f64::from(k) / 10.0).collect();
        assert_eq!(ran.times("samples"), ticks, "{solver}: the instants are exact");
        same(solver, &ran.times("rises"), &rises, 1e-9);
        same(solver, &ran.times("settles"), &settles, 1e-9);
        for (k, exact) in states.iter().enumerate() {
            near(solver, ran.at(ticks[k], "x"), *exact, 1e-9);
        }
    });
}

#[test]
fn two_balls_meet_and_fall_apart() {
    let (g, m1, m2) = (9.81, 3.0, 1.0);
    let (mut y, mut yy, mut v, mut vv, mut t) = (1.0, 1.7, 0.0, 0.0, 0.0);
    let (mut floors, mut hits) = (Vec::new(), Vec::new());
    loop {
        // The floor: y + v t − g t²/2 = 0; contact: the gap closes at a constant speed.
        let down = (v + f64::sqrt(v * v + 2.0 * g * y)) / g;
        let meet = if v > vv && yy > y { (yy - y) / (v - vv) } else { f64::INFINITY };
        let dt: f64 = down.min(meet);
        t += dt;
        if t >= 5.0 {
            break;
        }
        y += v * dt - 0.5 * g * dt * dt;
        yy += vv * dt - 0.5 * g * dt * dt;
        v -= g * dt;
        vv -= g * dt;
        if down < meet {
            floors.push(t);
            (y, v) = (0.0, -v);
        } else {
            hits.push(t);
            let a = ((m1 - m2) * v + 2.0 * m2 * vv) / (m1 + m2);
            let b = ((m2 - m1) * vv + 2.0 * m1 * v) / (m1 + m2);
            (v, vv, yy) = (a, b, y);
        }
    }
    assert!(floors.len() > 4 && hits.len() > 4, "{floors:?} {hits:?}");
    each(&Model::file("two_balls"), |solver, ran| {
        same(solver, &ran.times("floor"), &floors, 1e-9);
        same(solver, &ran.times("hit"), &hits, 1e-9);
    });
}

/// What only touches an edge is on the other side for an instant, if at all, and nothing stays as it was there: a function of time
/// that is flat to rounding at its top, a state at its highest point, from either side.
#[test]
fn what_touches_an_edge_goes_back_over_it() {
    let wave = "sin(2*pi*time/1 s)";
    let third = |k: f64| 1.0 - 2.0 * f64::asin(k / 3.0) / PI;
    let top = 24.0 - (1..=8).map(|k| f64::from(k).sqrt()).sum::<f64>();
    let cases = [
        (format!("floor({wave})"), -2.0),
        (format!("floor(2*{wave})"), -2.0),
        (format!("floor(8*{wave})/8"), -0.25),
        (format!("round(2.5*{wave})"), 0.0),
        (format!("ceil({wave})"), 2.0),
        (format!("mod(2*{wave}, 1)"), 2.0),
        ("floor(3*abs(sin(pi*time/1 s)))".into(), 4.0 * (third(1.0) + third(2.0))),
        ("ceil((time/1 s - 2)^2)".into(), 2.0 * (8.0 - 2.0_f64.sqrt() - 3.0_f64.sqrt() - 1.0)),
        (format!("if {wave} >= 1 then 1 else 0"), 0.0),
        (format!("if {wave} <= -1 then 1 else 0"), 0.0),
        ("floor(h/1 m)".into(), -top),
    ];
    for (formula, exact) in cases {
        let model = Model::text(&format!(
            "twin Touches {{
  states {{ x: Real = 0; h: Length = 0 m; v: Velocity = 2 m/s }}
  equations {{ der(h) = v; der(v) = -2 m/s^2; der(x) = ({formula})/1 s }}
}}
scenario main for Touches {{ duration: 4 s; record x every 1 s }}"
        ));
        let mut runs: Vec<_> = ADAPTIVE.map(|s| (s, model.with(s, 1e-10, 1e-12))).into();
        runs.push(("auto at 1e-6", model.with("auto", 1e-6, 1e-8)));
        runs.push(("rk4", model.stepping("rk4", 1e-3)));
        for (solver, ran) in &runs {
            near(&format!("{formula} by {solver}"), ran.complete().at(4.0, "x"), exact, 2e-6);
        }
    }
}
