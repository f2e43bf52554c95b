//! Networks of components with ports, end to end against closed forms: circuits, drive trains, heat.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the known answers are computed with the host's own functions")]

mod place;
mod rows;
use place::Place;
use rows::Rows;

/// Runs `m.twinml` with these parts and this body of a twin; everything is recorded at ten instants.
#[track_caller]
fn run(uses: &str, body: &str, duration: f64) -> Rows {
    let text = format!(
        "{uses}\ntwin M {{\n{body}\n}}\nscenario s for M {{ duration: {duration} s; \
         solver: bdf(rtol: 1e-9, atol: 1e-12); record all every {} s }}\n",
        duration / 10.0
    );
    run_text(&text, &[])
}

#[track_caller]
fn run_text(text: &str, args: &[&str]) -> Rows {
    let place = Place::with(&[("m.twinml", text)]);
    let fixed = ["run", "m.twinml", "--scenario", "s", "--si", "--no-plot", "--out", "r.csv"];
    place.expect(0, &[&fixed, args].concat());
    Rows::of_csv(&place.text("r.csv"))
}

impl Rows {
    #[track_caller]
    fn last(&self, name: &str) -> f64 {
        self.of(name).last().unwrap().1
    }

    /// Follows `wanted` at every row.
    #[track_caller]
    fn follows(&self, name: &str, within: f64, wanted: impl Fn(f64) -> f64) {
        for (t, x) in self.of(name) {
            near(&format!("{name} at {t}"), x, wanted(t), within);
        }
    }
}

#[track_caller]
fn near(what: &str, got: f64, wanted: f64, within: f64) {
    assert!((got - wanted).abs() <= within, "{what}: {got}, not {wanted} within {within}");
}

const CIRCUIT: &str =
    "use std.electrical { Resistor, Capacitor, Inductor, VoltageSource, CurrentSource, Ground }";

#[test]
fn resistors_in_series_and_in_parallel() {
    let r = run(
        CIRCUIT,
        "twins { s: VoltageSource { u = 12 V }; g: Ground; r: Resistor[3] { R = [1 kohm, 2 kohm, 3 kohm] } }
         connections {
           s.n -- g.p; s.p -- r[0].p
           r[0].n -- r[1].p; r[1].p -- r[2].p; r[0].n -- r[2].p      // the last says what the others say
           r[1].n -- g.p; g.p -- r[2].n; r[1].n -- g.p
         }",
        1.0,
    );
    // 1 kohm + 2 kohm || 3 kohm = 2.2 kohm
    near("in all", r.last("s.p.i"), -12.0 / 2200.0, 1e-15);
    near("node", r.last("r[1].p.v"), 12.0 * 1.2 / 2.2, 1e-12);
    near("branch", r.last("r[1].i"), 12.0 * 1.2 / 2.2 / 2e3, 1e-15);
    near("branch", r.last("r[2].i"), 12.0 * 1.2 / 2.2 / 3e3, 1e-15);
    near("ground", r.last("g.p.i"), 0.0, 1e-15);
}

/// A bridge of resistors: the current through the meter by Kirchhoff's rules, and none where it is balanced.
#[test]
fn wheatstone_bridge() {
    let bridge = |d: f64| {
        run(
            CIRCUIT,
            &format!(
                "twins {{
                   s: VoltageSource {{ u = 10 V }}; g: Ground; meter: Resistor {{ R = 50 ohm }}
                   a: Resistor {{ R = 100 ohm }}; b: Resistor {{ R = 200 ohm }}
                   c: Resistor {{ R = 120 ohm }}; d: Resistor {{ R = {d} ohm }}
                 }}
                 connections {{
                   s.p -- a.p; s.p -- c.p; s.n -- g.p
                   a.n -- b.p; c.n -- d.p; b.n -- g.p; d.n -- g.p
                   a.n -- meter.p; meter.n -- c.n
                 }}"
            ),
            1.0,
        )
    };
    near("balanced", bridge(240.0).last("meter.i"), 0.0, 1e-15);
    // Thevenin's source between the middles.
    let (a, b, c, d, m) = (100.0, 200.0, 120.0, 150.0, 50.0);
    let open = 10.0 * (b / (a + b) - d / (c + d));
    let inner = a * b / (a + b) + c * d / (c + d);
    near("unbalanced", bridge(d).last("meter.i"), open / (inner + m), 1e-15);
}

/// Capacitors between equal resistors, grounded at both ends: mode `m` of `n` decays with `4/(R*C)*sin(m*pi/(2*(n+1)))^2`.
#[test]
fn ladder_of_low_passes() {
    for (n, m) in [(1usize, 1usize), (9, 2), (40, 3)] {
        let r = run(
            CIRCUIT,
            &format!(
                "parameters {{ n: Int = {n}; mode: Int = {m} }}
                 twins {{
                   r: Resistor[n + 1] {{ R = 1 kohm }}
                   c: Capacitor[n] {{ C = 1 mF; v0 = 1 V*sin(pi*mode*(i + 1)/(n + 1)) for i }}
                   g: Ground
                 }}
                 connections {{
                   g.p -- r[0].p; r[n].n -- g.p
                   for k in 0..n {{ r[k].n -- c[k].p; c[k].p -- r[k + 1].p; c[k].n -- g.p }}
                 }}"
            ),
            2.0,
        );
        let angle = std::f64::consts::PI * m as f64 / (n + 1) as f64;
        let rate = 4.0 * (angle / 2.0).sin().powi(2);
        for k in [0, n / 2] {
            let shape = (angle * (k + 1) as f64).sin();
            r.follows(&format!("c[{k}].v"), 2e-8, |t| shape * (-rate * t).exp());
        }
    }
}

#[test]
fn ring_of_coil_and_capacitor() {
    let r = run(
        CIRCUIT,
        "twins { r: Resistor { R = 2 ohm }; c: Capacitor { C = 10 uF; v0 = 5 V }; l: Inductor { L = 1 mH }; g: Ground }
         connections { c.p -- r.p; r.n -- l.p; l.n -- c.n; c.n -- g.p }",
        2e-3,
    );
    let (damping, free) = (2.0 / 2e-3, 1.0 / (1e-3f64 * 1e-5).sqrt());
    let rate = (free * free - damping * damping).sqrt();
    r.follows("c.v", 1e-6, |t| {
        5.0 * (-damping * t).exp() * ((rate * t).cos() + damping / rate * (rate * t).sin())
    });
}

/// Two capacitors in parallel have one voltage: one of two states follows from the other.
#[test]
fn capacitors_in_parallel() {
    let r = run(
        CIRCUIT,
        "twins { s: CurrentSource { current = 3 mA }; a: Capacitor { C = 1 mF }; b: Capacitor { C = 2 mF }; g: Ground }
         connections { s.p -- a.p; a.p -- b.p; s.n -- g.p; a.n -- g.p; b.n -- g.p }",
        1.0,
    );
    r.follows("a.v", 1e-9, |t| t);
    r.follows("b.p.i", 1e-12, |_| 2e-3);
}

const TRAIN: &str = "use std.mechanics { Inertia, Shaft, Gear, TorqueSource, SlidingMass, Spring, Fixed }";

#[test]
fn two_rotors_on_a_shaft() {
    let r = run(
        TRAIN,
        "twins {
           a: Inertia { J = 2 [kg*m^2]; w0 = 1 [rad/s] }; b: Inertia { J = 3 [kg*m^2] }
           shaft: Shaft { c = 50 [N*m/rad] }
         }
         connections { a.b -- shaft.a; shaft.b -- b.a }",
        2.0,
    );
    let rate = (50.0f64 * (1.0 / 2.0 + 1.0 / 3.0)).sqrt();
    r.follows("a.w", 1e-7, |t| 0.4 + 0.6 * (rate * t).cos());
    r.follows("b.w", 1e-7, |t| 0.4 - 0.4 * (rate * t).cos());
    // Nothing joins the outer ends: no torque there.
    assert_eq!((r.last("a.a.tau"), r.last("b.b.tau")), (0.0, 0.0));
}

/// A damper sees speeds of angles that its neighbours give, in a chain of many: each the derivative of a state.
#[test]
fn dampers_between_rotors() {
    let damper = "twin SpringDamper {
  parameters { c: Real[N*m/rad] = 50; d: Real[N*m*s/rad] = 1 }
  ports { a: Flange; b: Flange }
  equations { a.tau + b.tau = 0 N*m; a.tau = c*(a.phi - b.phi) + d*(der(a.phi) - der(b.phi)) }
}";
    let uses = format!("{}\n{damper}", TRAIN.replace("{ Inertia", "{ Flange, Inertia"));
    let r = run(
        &uses,
        "twins { a: Inertia { J = 2 [kg*m^2]; w0 = 1 [rad/s] }; b: Inertia { J = 3 [kg*m^2] }; k: SpringDamper }
         connections { a.b -- k.a; k.b -- b.a }",
        2.0,
    );
    let (damping, free) = (0.5 * (1.0 / 2.0 + 1.0 / 3.0), 50.0 * (1.0f64 / 2.0 + 1.0 / 3.0));
    let rate = (free - damping * damping).sqrt();
    r.follows("a.w", 1e-7, |t| {
        0.4 + 0.6 * (-damping * t).exp() * ((rate * t).cos() - damping / rate * (rate * t).sin())
    });
    // Six equal rotors in a chain: the slowest of its damped modes.
    let r = run(
        &uses,
        "twins { m: Inertia[6] { J = 2 [kg*m^2]; phi0 = 0.1 rad*cos(pi*(i + 0.5)/6) for i }; k: SpringDamper[5] }
         connections { for j in 0..5 { m[j].b -- k[j].a; k[j].b -- m[j + 1].a } }",
        2.0,
    );
    let shape = 4.0 * (std::f64::consts::PI / 12.0).sin().powi(2) / 2.0;
    let (damping, free) = (0.5 * shape, 50.0 * shape);
    let rate = (free - damping * damping).sqrt();
    let first = 0.1 * (std::f64::consts::PI / 12.0).cos();
    r.follows("m[0].phi", 1e-8, |t| {
        first * (-damping * t).exp() * ((rate * t).cos() + damping / rate * (rate * t).sin())
    });
}

/// Rotors on both sides of a gear turn as one: `J = J_a + J_b/ratio^2`.
#[test]
fn rotors_through_a_gear() {
    let r = run(
        TRAIN,
        "twins {
           motor: TorqueSource { tau = 1 [N*m] }; gear: Gear { ratio = 4 }
           a: Inertia { J = 2 [kg*m^2] }; b: Inertia { J = 3 [kg*m^2] }
         }
         connections { motor.flange -- a.a; a.b -- gear.a; gear.b -- b.a }",
        1.0,
    );
    let rate = 1.0 / (2.0 + 3.0 / 16.0);
    r.follows("a.w", 1e-8, |t| rate * t);
    r.follows("b.phi", 1e-8, |t| rate * t * t / 8.0);
}

/// A chain of masses and springs between two walls, each component of a class of its own.
#[test]
fn masses_between_walls() {
    let r = run(
        TRAIN,
        "twins {
           left: Fixed; right: Fixed
           k: Spring[4] { k = 100 [N/m] }
           m: SlidingMass[3] { m = 1 kg; s0 = 0.01 m*sin(pi*(i + 1)/4) for i }
         }
         connections {
           left.rod -- k[0].a; k[3].b -- right.rod
           for j in 0..3 { k[j].b -- m[j].a; m[j].b -- k[j + 1].a }
         }",
        1.0,
    );
    let rate = 2.0 * 10.0 * (std::f64::consts::PI / 8.0).sin();
    r.follows("m[1].s", 1e-9, |t| 0.01 * (rate * t).cos());
}

/// A part with ports that it hands on inside: the flow into its port is that into what stands behind it.
const PARTS: &str = "
connector Pin { potential v: Voltage; flow i: Current }
twin R { parameters { R: Resistance = 1 ohm } ports { p: Pin; n: Pin } equations { p.v - n.v = R*p.i; p.i + n.i = 0 A } }
twin Source { parameters { u: Voltage = 1 V } ports { p: Pin } equations { p.v = u } }
twin Ground { ports { p: Pin } equations { p.v = 0 V } }
twin Pair { ports { p: Pin; n: Pin } twins { a: R { R = 1 ohm }; b: R { R = 3 ohm } }
  connections { p -- a.p; a.n -- b.p; b.n -- n } }
";

#[test]
fn parts_that_hand_their_ports_on() {
    let r = run(
        PARTS,
        "twins { s: Source { u = 8 V }; x: Pair[2]; g: Ground }
         connections { s.p -- x[0].p; x[0].n -- x[1].p; x[1].n -- g.p }",
        1.0,
    );
    for name in ["x[0].p.i", "x[1].a.p.i", "x[0].b.p.i"] {
        near(name, r.last(name), 1.0, 1e-14);
    }
    near("x[0].n.i", r.last("x[0].n.i"), -1.0, 1e-14);
    near("x[0].n.v", r.last("x[0].n.v"), 4.0, 1e-14);
    near("s.p.i", r.last("s.p.i"), -1.0, 1e-14);
}

/// One port joined to all of an array; a port joined to itself alone; an array of ports in one twin.
#[test]
fn arrays_of_ports() {
    let star = "
twin Bus<n: Int = 3> { ports { at: Pin[n]; feed: Pin } connections { for k in 0..n { at[k] -- feed } } }
";
    let r = run(
        &format!("{PARTS}{star}"),
        "twins { s: Source { u = 6 V }; bus: Bus<n: 4>; r: R[4] { R = [1 ohm, 2 ohm, 3 ohm, 6 ohm] }; g: Ground; lone: R }
         connections { s.p -- bus.feed; bus.at -- r.p; r.n -- g.p; lone.p -- lone.p; lone.n -- g.p }",
        1.0,
    );
    near("feed", r.last("bus.feed.i"), 12.0, 1e-13);
    near("branch", r.last("bus.at[2].i"), -2.0, 1e-13);
    assert_eq!(r.last("lone.p.i"), 0.0);
}

/// A part that is absent takes its connections with it.
#[test]
fn absent_parts_are_not_joined() {
    for (spare, wanted) in [(false, 2.0), (true, 4.0)] {
        let r = run(
            PARTS,
            &format!(
                "parameters {{ final redundant: Bool = {spare} }}
                 twins {{ s: Source {{ u = 2 V }}; main: R; spare: R if redundant; g: Ground }}
                 connections {{ s.p -- main.p; s.p -- spare.p; main.n -- g.p; spare.n -- g.p }}"
            ),
            1.0,
        );
        near("all", r.last("g.p.i"), wanted, 1e-15);
    }
}

/// A switch that behaviour throws, and a limit inside an equation: the network is solved again at the instant.
#[test]
fn events_in_a_network() {
    let text = format!(
        "{PARTS}
twin Switch {{ ports {{ p: Pin; n: Pin }} inputs {{ on: Bool = true }}
  equations {{ p.i + n.i = 0 A; p.i = if on then (p.v - n.v)/1 ohm else (p.v - n.v)/1e6 ohm }} }}
twin Store {{ parameters {{ C: Capacitance = 1 F }} ports {{ p: Pin; n: Pin }} states {{ v: Voltage = 0 V }}
  equations {{ v = p.v - n.v; p.i + n.i = 0 A; C*der(v) = if v < 0.5 V then p.i else 0.5*p.i }} }}
twin M {{
  twins {{ s: Source {{ u = 1 V }}; k: Switch; c: Store; g: Ground }}
  connections {{ s.p -- k.p; k.n -- c.p; c.n -- g.p }}
  states {{ closed: Bool = true; seen: Current = 0 A }}
  equations {{ k.on = closed }}
  behavior {{ on rising(c.v > 0.8 V) {{ closed = false; seen = k.p.i }}   every 0.5 s {{ seen = k.p.i }} }}
  constraints {{ small: always(k.p.i <= 1 A);  kpi charge: integral(c.p.i over run) }}
}}
scenario s for M {{ duration: 3 s; solver: bdf(rtol: 1e-9, atol: 1e-12); record k.p.i, c.v, seen, closed every 0.1 s
  expect small }}
"
    );
    let r = run_text(&text, &[]);
    // v = 1 - exp(-t) up to 0.5 V, then at half the speed up to 0.8 V.
    let half = 2f64.ln();
    let end = half + 2.0 * 2.5f64.ln();
    r.follows("c.v", 1e-7, |t| match t {
        t if t <= half => 1.0 - (-t).exp(),
        t if t <= end => 1.0 - 0.5 * (-(t - half) / 2.0).exp(),
        t => 0.8 + (0.2 * 0.5 * (t - end) / 1e6),
    });
    near("opened", r.of("closed").iter().filter(|x| x.1 == 1.0).map(|x| x.0).next_back().unwrap(), end, 1e-6);
    // What the ticks saw last: the trickle through the open switch.
    near("seen", r.last("seen"), 0.2e-6, 1e-10);
}

/// Draws, a loop that Newton's method solves, a state and a sampled switch.
const DRAWN: &str = "
connector Pin { potential v: Voltage; flow i: Current }
twin R { parameters { R: Resistance = 1 ohm ~ uniform(0.5 ohm, 2 ohm) } ports { p: Pin; n: Pin }
  equations { p.v - n.v = R*p.i; p.i + n.i = 0 A } }
twin D { ports { p: Pin; n: Pin } equations { p.i = 1e-3 A*(exp((p.v - n.v)/0.1 V) - 1); p.i + n.i = 0 A } }
twin Cap { parameters { C: Capacitance = 1 F ~ normal(sd: 10 %) } ports { p: Pin; n: Pin } states { v: Voltage = 0 V }
  equations { v = p.v - n.v; p.i + n.i = 0 A; C*der(v) = p.i } }
twin Source { inputs { u: Voltage = 1 V } ports { p: Pin } equations { p.v = u } }
twin Ground { ports { p: Pin } equations { p.v = 0 V } }
twin M {
  twins { s: Source; g: Ground; r: R[4]; d: D; c: Cap }
  states { high: Bool = true }
  equations { s.u = if high then 1 V + 0.2 V*sin(time/1 s) else 0.4 V }
  connections {
    s.p -- r[0].p; s.p -- r[1].p; r[0].n -- r[2].p; r[1].n -- r[3].p
    r[2].n -- g.p; r[3].n -- c.p; c.n -- g.p; r[0].n -- d.p; d.n -- r[1].n
  }
  behavior { every 0.7 s { high = d.p.i < 0.01 A } }
  outputs { through: Current = d.p.i }
  constraints { low: always(d.p.i < 0.05 A);  kpi most: max(d.p.i over run) }
}
scenario s for M { duration: 4 s; solver: tsit5(rtol: 1e-7, atol: 1e-9); record through, c.v every 0.1 s; expect low }
scenario stiff for M { duration: 4 s; solver: rosenbrock(rtol: 1e-6, atol: 1e-8); record through, c.v every 0.1 s; expect low }
";

#[test]
fn interpreter_and_machine_code_give_the_same_bits() {
    for args in [["--solver", "tsit5"], ["--solver", "rosenbrock"], ["--solver", "bdf"]] {
        let compiled = run_text(DRAWN, &args);
        let interpreted = run_text(DRAWN, &[&args[..], &["--engine", "interpreter"]].concat());
        assert!(compiled.rows == interpreted.rows, "{args:?}");
        assert!(compiled.last("c.v") > 0.1);
    }
}

/// A sample of a job, computed in lanes where they serve, is what the run is alone.
#[test]
fn lanes_give_the_bits_of_one_run() {
    for scenario in ["s", "stiff"] {
        let place = Place::model(DRAWN);
        place.expect(0, &["mc", "m.twinml", "--scenario", scenario, "-n", "12", "-q", "--out", "job"]);
        for k in ["job#1", "job#7", "job#11"] {
            place.expect(0, &["replay", k]);
        }
    }
}

/// A snapshot in the middle goes on to the same end.
#[test]
fn snapshots_of_networks() {
    let place = Place::model(DRAWN);
    place.expect(
        0,
        &["run", "m.twinml", "--scenario", "s", "--no-plot", "--out", "whole", "--snapshot-every", "1s"],
    );
    place.expect(0, &["replay", "whole"]);
}

/// A loop of equations that is solved in closed form, where its coefficient vanishes at 1 s.
#[test]
fn a_loop_without_a_solution_is_named_where_the_run_fails() {
    let text = "connector Pin { potential v: Voltage; flow i: Current }
twin Source { ports { p: Pin } equations { p.v = 10 V } }
twin Gap {
  ports { a: Pin; b: Pin }
  states { g: Real = 0 }
  variables { r: Resistance; i: Current }
  equations {
    der(g) = 1 [1/s]
    r = (0.5 - floor(g)) * 1 ohm
    a.i = i
    b.i = -i
    a.v - b.v = r * i
  }
}
twin Load {
  ports { a: Pin }
  states { q: Charge = 0 C }
  equations { der(q) = a.i; a.v = 0.5 ohm * a.i + 1 V }
}
twin M {
  twins { s: Source; n: Gap; l: Load }
  connections { s.p -- n.a; n.b -- l.a }
}
scenario s for M { duration: 2 s; solver: rk4(step: 0.1 s) }
";
    let place = Place::with(&[("m.twinml", text)]);
    let r = place.run(&["run", "m.twinml", "--no-plot", "--out", "r.csv"]).expect(3);
    let said = "[E0801] Error: `n.i` is not a number at t = 1 s, nor is `l.q` or its derivative";
    assert!(r.err.contains(said), "{}", r.err);
    assert!(r.err.contains("m.twinml:12:5") && r.err.contains("its equation"), "{}", r.err);
    assert!(r.err.contains("n.i = -inf A, l.q = 9 C"), "{}", r.err);
}

/// Newton's method from guesses that are far off, with exponentials: a diode behind a resistor, in both directions and at nothing,
/// and `exp(x) + x = 0`.
#[test]
fn exponentials_are_solved_from_far_off() {
    let diode = "twin M { parameters { R: Resistance = 1 kohm; u: Voltage = 0 V } variables { v: Voltage guess 0.6 V }
        equations { (u - v)/R = 1e-12 [A]*(exp(v/26 [mV]) - 1) } }
        scenario s for M { duration: 1 s; record all every 1 s }";
    for u in ["-5 V", "0 V", "1 uV", "1 mV", "0.3 V", "5 V", "300 V"] {
        let r = run_text(diode, &["--set", &format!("u={u}")]);
        let (v, u) = (r.last("v"), r.last("u"));
        near("current", 1e-12 * ((v / 0.026).exp() - 1.0), (u - v) / 1e3, 1e-9 * u.abs() / 1e3 + 1e-18);
    }
    for guess in ["-50", "-5", "-1", "0", "2", "5", "30"] {
        let text = format!(
            "twin M {{ units: off; variables {{ x: Real guess {guess} }} equations {{ exp(x) + x = 0 }} }}
             scenario s for M {{ duration: 1 s; record all every 1 s }}"
        );
        near(guess, run_text(&text, &[]).last("x"), -0.567_143_290_409_783_8, 1e-12);
    }
}
