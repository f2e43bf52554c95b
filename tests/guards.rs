//! Guards that are events: branches that have no value beyond the root at which they end (`if h > 0 then sqrt(h) else 0`). Each
//! ends there, and goes on, with every solver; where it ends is known exactly, or from a quadrature.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hybrid/harness.rs"]
mod harness;
#[path = "place/mod.rs"]
mod place;

use harness::{ADAPTIVE, Model, near};
use place::Place;

/// Simpson's rule.
fn integral(f: impl Fn(f64) -> f64, a: f64, b: f64) -> f64 {
    let n = 20_000;
    let h = (b - a) / f64::from(n);
    let weight = |i| if i == 0 || i == n { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    (0..=n).map(|i| weight(i) * f(a + h * f64::from(i))).sum::<f64>() * h / 3.0
}

/// States and equations, the end, a state and its value there.
struct Case {
    name: &'static str,
    text: &'static str,
    until: f64,
    exact: f64,
    /// Methods that cannot, for the reason beside them.
    not: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    // ∫ 2u/(0.05 + 0.5 u³) du with u² = h - crest: how long the weir is wet
    let wet = integral(|u| 2.0 * u / (0.05 + 0.5 * u.powi(3)), 0.0, 0.5f64.sqrt());
    // of sin(t)^(3/2), with t = v² at both ends of a hump of length π
    let hump =
        2.0 * integral(|v| 2.0 * v * (v * v).sin().powf(1.5), 0.0, (0.5 * std::f64::consts::PI).sqrt());
    let arrhenius = |t: f64| if t.sin() > 1e-3 { (-1.0 / t.sin()).exp() } else { 0.0 };
    let case = |name, text, until, exact| Case { name, text, until, exact, not: &[] };
    vec![
        case("root", "states { h: Real = 1; y: Real = 0 } variables { q: Real }
            equations { q = if h > 0 then sqrt(h) else 0; der(h) = -1; der(y) = q }", 3.0, 2.0 / 3.0),
        Case {
            not: &["taylor"], // a root has no series where it begins
            ..case("from below", "states { h: Real = -1; y: Real = 0 } variables { q: Real }
            equations { q = if h <= 0 then 0 else sqrt(h); der(h) = 1; der(y) = q }", 2.0, 2.0 / 3.0)
        },
        case("logarithm", "states { h: Real = 1; y: Real = 0 } variables { q: Real }
            equations { q = if h > 0 then h*log(h) else 0; der(h) = -1; der(y) = q }", 3.0, -0.25),
        Case {
            not: &["taylor"], // it begins on the root, where the power has no series
            ..case("power", "states { y: Real = 0 } variables { q: Real; s: Real }
                equations { s = sin(time); q = if s > 0 then s^1.5 else 0; der(y) = q }", 10.0, 2.0 * hump)
        },
        Case {
            not: &["taylor", "rosenbrock"], // it begins on the pole, where the derivative by time has no value
            ..case("pole", "states { y: Real = 0 } variables { q: Real; s: Real }
                equations { s = sin(time); q = if s > 0 then exp(-1/s) else 0; der(y) = q }",
                10.0, 2.0 * integral(arrhenius, 0.0, std::f64::consts::PI))
        },
        case("pole that comes", "states { y: Real = 0 } variables { q: Real; s: Real }
            equations { s = cos(time); q = if s > 0 then exp(-1/s) else 0; der(y) = q }",
            4.0, 0.5 * integral(arrhenius, 0.0, std::f64::consts::PI)),
        case("comes to rest", "states { h: Real = 1; y: Real = 0 } variables { q: Real }
            equations { q = if h > 0 then sqrt(h) else 0; der(h) = -q; der(y) = q }", 5.0, 1.0),
        case("two conditions", "states { h: Real = 1; y: Real = 0 } variables { q: Real }
            equations { q = if time < 10 and h > 0 then sqrt(h) else 0; der(h) = -1; der(y) = q }", 3.0, 2.0 / 3.0),
        case("three branches", "states { h: Real = 3; y: Real = 0 } variables { q: Real }
            equations { q = if h > 2 then sqrt(h - 2) else if h > 1 then log(h - 1)*(h - 1) else 0
                der(h) = -1; der(y) = q }", 3.0, 2.0 / 3.0 - 0.25),
        case("weir", "states { h: Real = 1.5; y: Real = 0 } variables { over: Real }
            equations { over = if h > 1 then 0.5*(h - 1)^1.5 else 0; der(h) = -0.05 - over; der(y) = -der(h) }",
            20.0, 0.5 + 0.05 * (20.0 - wet)),
        case("weirs", "states { h: Real[1][3] = [1.5, 2.5, 3.5]; y: Real = 0 } variables { over: Real[1][3] }
            equations { for i in 0..3 { over[i] = if h[i] > i + 1 then 0.5*(h[i] - (i + 1))^1.5 else 0
                der(h[i]) = -0.05 - over[i] } der(y) = -der(h[2]) }",
            20.0, 0.5 + 0.05 * (20.0 - wet)),
        // has a value beyond, so that it stays what it is until the root is found: a jump in the middle of a step costs nothing
        case("jump", "states { h: Real = 1; y: Real = 0 } variables { q: Real }
            equations { q = if h > 0.25 then 2 + 3*sqrt(h) else 0; der(h) = -1; der(y) = q }", 0.9, 2.0*0.75 + 2.0 * 0.875),
    ]
}

impl Case {
    fn model(&self) -> Model {
        let (text, until) = (self.text, self.until);
        Model::text(&format!(
            "twin G {{ units: off\n {text} }}\nscenario g for G {{ duration: {until} s; record all every 1 s }}"
        ))
    }
}

#[test]
fn every_solver_leaves_a_guard() {
    for case in cases() {
        let model = case.model();
        for solver in ADAPTIVE.into_iter().chain(["diffsol_bdf"]).filter(|s| !case.not.contains(s)) {
            let who = format!("{}, {solver}", case.name);
            let ran = model.with(solver, 1e-8, 1e-10);
            let bdf = if solver.contains("bdf") { 10.0 } else { 1.0 };
            near(&who, *ran.complete().column("y").last().unwrap(), case.exact, bdf * 1e-7);
        }
        for (solver, within) in [("rk4", 1e-4), ("implicit_euler", 1e-2), ("euler", 1e-2), ("trbdf2", 1e-4)] {
            let ran = match solver {
                "trbdf2" => model.with(solver, 1e-6, 1e-8),
                _ => model.stepping(solver, 1e-2),
            };
            let who = format!("{}, {solver}", case.name);
            near(&who, *ran.complete().column("y").last().unwrap(), case.exact, within);
        }
    }
}

/// A method that cannot begin at such a point says so.
#[test]
fn no_series_is_no_silent_zero() {
    for case in cases() {
        for solver in case.not {
            let ran = case.model().with(solver, 1e-8, 1e-10);
            let failure = ran.failure();
            assert!(failure.to_string().contains("`y`"), "{}: {failure}", case.name);
        }
    }
}

/// What it takes: no run of tiny steps on the way to a root.
#[test]
fn the_work_is_pinned() {
    let want = expect_test::expect![[r#"
        root tsit5: 39 steps, 23 rejected, 376 evaluations
        root rosenbrock: 58 steps, 25 rejected, 668 evaluations
        root bdf: 238 steps, 6 rejected, 294 evaluations
        logarithm tsit5: 43 steps, 14 rejected, 346 evaluations
        logarithm rosenbrock: 65 steps, 17 rejected, 660 evaluations
        logarithm bdf: 240 steps, 2 rejected, 288 evaluations
        pole that comes tsit5: 42 steps, 2 rejected, 268 evaluations
        pole that comes rosenbrock: 64 steps, 5 rejected, 556 evaluations
        pole that comes bdf: 231 steps, 5 rejected, 294 evaluations
        comes to rest tsit5: 101 steps, 14 rejected, 694 evaluations
        comes to rest rosenbrock: 156 steps, 15 rejected, 1372 evaluations
        comes to rest bdf: 52 steps, 19 rejected, 179 evaluations
        two conditions tsit5: 39 steps, 23 rejected, 376 evaluations
        two conditions rosenbrock: 58 steps, 25 rejected, 668 evaluations
        two conditions bdf: 238 steps, 6 rejected, 294 evaluations
        three branches tsit5: 68 steps, 39 rejected, 648 evaluations
        three branches rosenbrock: 103 steps, 44 rejected, 1182 evaluations
        three branches bdf: 408 steps, 12 rejected, 491 evaluations
        weir tsit5: 34 steps, 5 rejected, 238 evaluations
        weir rosenbrock: 63 steps, 12 rejected, 604 evaluations
        weir bdf: 202 steps, 2 rejected, 247 evaluations
        weirs tsit5: 33 steps, 6 rejected, 238 evaluations
        weirs rosenbrock: 59 steps, 7 rejected, 532 evaluations
        weirs bdf: 194 steps, 2 rejected, 244 evaluations
        jump tsit5: 16 steps, 1 rejected, 106 evaluations
        jump rosenbrock: 23 steps, 0 rejected, 188 evaluations
        jump bdf: 110 steps, 2 rejected, 139 evaluations
    "#]];
    let mut seen = String::new();
    for case in cases().iter().filter(|c| c.not.is_empty()) {
        for solver in ["tsit5", "rosenbrock", "bdf"] {
            let s = case.model().with(solver, 1e-8, 1e-10).report.stats;
            let (steps, rejected, rhs) = (s.steps, s.rejected, s.rhs);
            seen +=
                &format!("{} {solver}: {steps} steps, {rejected} rejected, {rhs} evaluations\n", case.name);
        }
    }
    want.assert_eq(&seen);
}

#[test]
fn machine_code_and_interpreter_agree_on_them() {
    let text: String = cases()
        .iter()
        .enumerate()
        .map(|(k, c)| {
            let (text, until) = (c.text, c.until);
            format!("twin G{k} {{ units: off\n {text} }}\nscenario g{k} for G{k} {{ duration: {until} s; record all every 10 ms }}\n")
        })
        .collect();
    let place = Place::model(&text);
    for k in 0..cases().len() {
        for solver in ["auto", "tsit5", "bdf", "implicit_euler"] {
            let csv = |engine: &str, level: &str| {
                let mut args = vec![
                    "run", "m.twinml", "--engine", engine, "-O", level, "--out", "o.csv", "--solver", solver,
                ];
                let scenario = format!("g{k}");
                args.extend(["--scenario", &scenario]);
                if solver == "implicit_euler" {
                    args.extend(["--step", "10 ms"]);
                }
                place.run(&args).expect(0);
                std::fs::read(place.path("o.csv")).unwrap()
            };
            let want = csv("interpreter", "0");
            for level in ["0", "1", "2", "3"] {
                assert!(csv("jit", level) == want, "g{k}, {solver}, -O{level}");
            }
        }
    }
}
