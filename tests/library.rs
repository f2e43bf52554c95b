//! Library blocks with behaviour, and linear systems, end to end against closed forms.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the known answers are computed with the host's own functions")]

mod rows;

use std::f64::consts::TAU;
use std::fs;
use std::process::Command;

use rows::Rows;

/// Runs a twin with these parts and this scenario, recording everything every 50 ms.
#[track_caller]
fn run(uses: &str, body: &str, scenario: &str) -> Rows {
    let text = format!(
        "{uses}\ntwin M {{\n{body}\n}}\nscenario s for M {{\n  solver: dopri5(rtol: 1e-9, atol: 1e-11)\n  record all every 50 ms\n{scenario}\n}}\n"
    );
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("m.twinml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
    command.args(["run", "m.twinml", "--si", "--out", "r.csv"]).current_dir(place.path());
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = fs::read_to_string(place.path().join("r.csv")).unwrap();
    Rows::of_csv(&text)
}

impl Rows {
    /// The right limit at a recorded time.
    #[track_caller]
    fn at(&self, time: f64, name: &str) -> f64 {
        self.of(name)
            .into_iter()
            .rfind(|(t, _)| (t - time).abs() < 1e-9)
            .unwrap_or_else(|| panic!("no row at {time}"))
            .1
    }

    /// The left limit there.
    #[track_caller]
    fn before(&self, time: f64, name: &str) -> f64 {
        self.of(name).into_iter().find(|(t, _)| (t - time).abs() < 1e-9).unwrap().1
    }

    /// When a value jumps.
    #[track_caller]
    fn jumps(&self, name: &str) -> Vec<f64> {
        let all = self.of(name);
        all.windows(2).filter(|w| w[0].1 != w[1].1).map(|w| w[1].0).collect()
    }

    #[track_caller]
    fn near(&self, time: f64, name: &str, wanted: f64) {
        let got = self.at(time, name);
        assert!(
            (got - wanted).abs() <= 1e-6 * wanted.abs().max(1.0),
            "{name} at {time}: {got}, not {wanted}"
        );
    }
}

#[test]
fn linear_systems_answer_a_step() {
    let r = run(
        "use std.control { TransferFunction, StateSpace, LeadLag, HighPass }",
        "twins {
           low: TransferFunction<n: 2> { num = [0, 0, 4]; den = [1, 2, 4]; u = 1 }
           lead: TransferFunction { num = [2, 1]; den = [1, 1]; u = 1 }
           third: TransferFunction<n: 3> { num = [0, 0, 0, 6]; den = [2, 12, 22, 12]; u = 1 }
           ss: StateSpace<n: 2, m: 2, p: 3> { A = [[0, 1], [0, 0]]; B = [[0, 0], [1, 2]]; C = [[1, 0], [0, 1], [1, 1]]; D = [[0, 0], [0, 0], [5, 0]]; x0 = [1, -1]; u = [2, 0.5] }
           ll: LeadLag { k = 2; T1 = 0.5 s; T2 = 0.1 s; u = 1 }
           hp: HighPass { T = 2 s; u = 1 } }",
        "duration: 2 s",
    );
    for t in [0.0, 0.1, 0.5, 2.0] {
        // Two poles at -1 ± i sqrt(3).
        let wd = 3.0f64.sqrt();
        r.near(t, "low.y", 1.0 - (-t).exp() * ((wd * t).cos() + (wd * t).sin() / wd));
        r.near(t, "lead.y", 1.0 + (-t).exp());
        // 3/((s+1)(s+2)(s+3)): residues of the step 3/(s(s+1)(s+2)(s+3)).
        r.near(t, "third.y", 0.5 - 1.5 * (-t).exp() + 1.5 * (-2.0 * t).exp() - 0.5 * (-3.0 * t).exp());
        // A mass pushed with 2 + 2·0.5 = 3.
        r.near(t, "ss.y[0]", 1.0 - t + 1.5 * t * t);
        r.near(t, "ss.y[1]", -1.0 + 3.0 * t);
        r.near(t, "ss.y[2]", 2.0 * t + 1.5 * t * t + 10.0);
        r.near(t, "ll.y", 2.0 * (1.0 + 4.0 * (-t / 0.1).exp()));
        r.near(t, "hp.y", (-t / 2.0).exp());
    }
}

#[test]
fn switches_switch_where_their_formulas_say() {
    let r = run(
        "use std.control { Hysteresis, Latch, OnDelay, RateLimiter }
use std.signals { Sine, Step, Pulse }",
        "twins { u: Sine { f = 0.25 Hz }; h: Hysteresis { low = -2; high = 3 }; on: Hysteresis { u = 7 }
           d: OnDelay { d = 1.5 s }; l: Latch; step: Step { start = 1 s; height = 3 }; r: RateLimiter { up = 2 [1/s] } }
         connections { u.y -> h.u; h.on_state -> d.u; step.y -> r.u }
         equations { l.set = time > 1 s and time < 2 s or time > 4 s and time < 4.5 s; l.reset = time > 3 s and time < 5 s }",
        "duration: 8 s",
    );
    // sin(2·pi·t/4) passes 0.5 at 1/3 s and -0.5 at 7/3 s.
    let wanted = [1.0 / 3.0, 7.0 / 3.0, 4.0 + 1.0 / 3.0, 4.0 + 7.0 / 3.0];
    let jumps = r.jumps("h.y");
    assert_eq!(jumps.len(), 4, "{jumps:?}");
    for (got, wanted) in jumps.iter().zip(wanted) {
        assert!((got - wanted).abs() < 1e-9, "{got}, not {wanted}");
    }
    assert_eq!((r.at(0.0, "h.y"), r.at(1.0, "h.y")), (-2.0, 3.0));
    assert_eq!(r.at(0.0, "on.y"), 1.0, "above the band from the start");
    let delayed = r.jumps("d.y");
    for (got, wanted) in
        delayed.iter().zip([1.0 / 3.0 + 1.5, 7.0 / 3.0, 4.0 + 1.0 / 3.0 + 1.5, 4.0 + 7.0 / 3.0])
    {
        assert!((got - wanted).abs() < 2e-9, "{got}, not {wanted}");
    }
    assert_eq!(delayed.len(), 4);
    // Set at 1 s, reset at 3 s; at 4 s the reset is in force.
    let latched = r.jumps("l.y");
    assert!(
        latched.len() == 2 && (latched[0] - 1.0).abs() < 1e-9 && (latched[1] - 3.0).abs() < 1e-9,
        "{latched:?}"
    );
    r.near(2.0, "r.y", 2.0);
    r.near(1.5, "r.y", 1.0);
    r.near(4.0, "r.y", 3.0);
}

#[test]
fn samplers_hold_and_average() {
    let r = run(
        "use std.control { SampleHold, MovingAverage, SampledLowPass }
use std.signals { Sine, Ramp }",
        "twins { u: Sine { f = 0.7 Hz }; ramp: Ramp { duration = 10 s; height = 10 }
           hold: SampleHold { period = 200 ms; offset = 50 ms }; mean: MovingAverage<n: 5> { period = 100 ms }
           low: SampledLowPass { period = 100 ms; T = 0.4 s; u = 1 } }
         connections { u.y -> hold.u; ramp.y -> mean.u }",
        "duration: 3 s",
    );
    for (t, y) in r.of("hold.y").into_iter().filter(|(t, _)| *t > 0.06) {
        // A row at a tick may be of either side of it.
        let on_tick = ((t - 0.05) / 0.2 - ((t - 0.05) / 0.2).round()).abs() < 1e-9;
        let k = ((t - 0.05) / 0.2 + 1e-9).floor();
        if !on_tick {
            assert!((y - (TAU * 0.7 * (0.05 + 0.2 * k)).sin()).abs() < 1e-9, "{y} at {t}");
        }
    }
    // The samples at t, t - 0.1, … of u = t.
    r.near(2.0, "mean.y", 1.8);
    r.near(2.05, "mean.y", 1.8);
    r.near(0.1, "mean.y", 0.1 / 5.0);
    for k in [1.0, 5.0, 20.0] {
        r.near(0.1 * k, "low.y", 1.0 - (-(k + 1.0) * 0.1 / 0.4f64).exp());
    }
}

#[test]
fn further_sources() {
    let r = run(
        "use std.signals { Chirp, Prbs, Points }",
        "twins { c: Chirp { f0 = 0.5 Hz; f1 = 1.5 Hz; duration = 4 s; amplitude = 2 }; b: Prbs { period = 100 ms; low = 0 }
           p: Points<n: 3> { at = [1 s, 2 s, 4 s]; values = [5, 7, -1] } }",
        "duration: 26 s",
    );
    for t in [0.5, 2.0, 3.9] {
        r.near(t, "c.y", 2.0 * (TAU * (0.5 * t + 0.125 * t * t)).sin());
    }
    r.near(6.0, "c.y", 2.0 * (TAU * (4.0 + 1.5 * 2.0)).sin());
    for (t, y) in [(0.0, 5.0), (1.5, 6.0), (3.0, 3.0), (9.0, -1.0)] {
        r.near(t, "p.y", y);
    }
    // Golomb's register: x^7 + x^6 + 1, from all ones.
    let mut register = 0x7fu32;
    let mut high = 0;
    for k in 0..254 {
        let fed = (register >> 6 ^ register >> 5) & 1;
        register = (register << 1 | fed) & 0x7f;
        let y = r.at(0.1 * f64::from(k) + 0.05, "b.y");
        assert_eq!(y, f64::from(register & 1), "tick {k}");
        high += u32::from(k < 127 && y == 1.0);
    }
    assert_eq!(high, 64);
}

#[test]
fn a_hand_station_switches_without_a_bump_and_its_integral_stays_bounded() {
    let r = run(
        "use std.control { PidStation }
use std.signals { FirstOrder }",
        "twins { c: PidStation { Kp = 2; Ti = 1 s; Td = 0.1 s; Tt = 0.5 s; y_min = 0; y_max = 1.5; setpoint = 3 }; p: FirstOrder { T = 1 s } }
         connections { c.y -> p.u; p.y -> c.measured }",
        "duration: 40 s
         at 10 s { c.setpoint = 1 }
         at 20 s { c.automatic = false }
         at 22 s { c.manual = 0.25 }
         at 25 s { c.automatic = true }",
    );
    // Ten seconds of a setpoint that cannot be reached: without tracking the integral would be about 30. With it, the
    // integral ends where Kp·e/Ti = (wish - y)/Tt: wish = 1.5 + 0.5·2·(3 - 1.5), so I = wish - 2·1.5 = 0.
    let largest = r.of("c.integral_part").into_iter().fold(0.0f64, |m, (_, i)| m.max(i.abs()));
    assert!(largest < 4.0, "{largest}");
    assert!(r.at(9.95, "c.integral_part").abs() < 1e-2, "{}", r.at(9.95, "c.integral_part"));
    assert_eq!(r.at(9.95, "c.y"), 1.5);
    // Freed at once: the output leaves its limit with the step of the setpoint.
    assert!(r.at(10.0, "c.y") < 1.5);
    r.near(19.9, "p.y", 1.0);
    for t in [20.0, 25.0] {
        let (a, b) = (r.before(t, "c.y"), r.at(t, "c.y"));
        assert!((a - b).abs() < 1e-12, "a bump at {t}: {a} to {b}");
    }
    // In hand the output stands, and moves with the hand.
    let stood = r.at(21.9, "c.y");
    assert!((stood - r.at(20.0, "c.y")).abs() < 1e-12);
    assert!((r.at(23.0, "c.y") - stood - 0.25).abs() < 1e-12);
    r.near(40.0, "p.y", 1.0);
}

#[test]
fn a_sampled_controller_is_its_difference_equation() {
    let r = run(
        "use std.control { SampledPid }
use std.signals { FirstOrder }",
        "twins { c: SampledPid { Kp = 3; Ti = 0.8 s; Td = 0.1 s; N = 5; Tt = 0.4 s; Ts = 100 ms; offset = 50 ms; y_min = -1; y_max = 2; setpoint = 1.2 }; p: FirstOrder { T = 1 s } }
         connections { c.y -> p.u; p.y -> c.measured }",
        "duration: 8 s
         at 4.01 s { c.automatic = false; c.manual = 0.7 }
         at 6.01 s { c.automatic = true }",
    );
    let (mut x, mut u, mut i, mut d, mut old) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
    let mut saturated = 0;
    for k in 0..79 {
        let t = 0.05 + 0.1 * f64::from(k);
        // The plant with the output held: exactly.
        let h: f64 = if k == 0 { 0.05 } else { 0.1 };
        x = u + (x - u) * (-h).exp();
        let e = 1.2 - x;
        d = 0.1 / (0.1 + 5.0 * 0.1) * d - 3.0 * 0.1 * 5.0 / (0.1 + 5.0 * 0.1) * (x - old);
        old = x;
        if !(4.01..=6.01).contains(&t) {
            let v = 3.0 * e + i + d;
            u = v.clamp(-1.0, 2.0);
            saturated += u32::from(u != v);
            i += 3.0 * 0.1 / 0.8 * e + 0.25 * (u - v);
        } else {
            u = 0.7;
            i = u - 3.0 * e - d;
        }
        r.near(t, "p.y", x);
        r.near(t, "c.y", u);
        r.near(t, "c.integral_part", i);
    }
    assert!(saturated > 3);
    let before = r.before(6.05, "c.y");
    assert!((r.at(6.05, "c.y") - before).abs() < 0.05, "no bump when it takes over");
}
