//! Algebraic loops with several solutions: a run stays on the one that it began with, however long a solver's steps are, and
//! says so where that ends. Mechanisms and equations whose solutions are known in closed form.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the known answers are computed with the host's own functions")]

mod place;
mod rows;
use place::{Place, of};
use rows::Rows;

/// All methods for ordinary differential equations that take loops.
const ALL: [&str; 12] = [
    "auto",
    "tsit5",
    "dopri5",
    "adams",
    "rosenbrock",
    "bdf",
    "esdirk",
    "trbdf2",
    "diffsol_bdf",
    "rk4",
    "euler",
    "implicit_euler",
];

/// A distance from the values of a row by name.
type Off = fn(&dyn Fn(&str) -> f64) -> f64;

/// A model, and how far its unknown is from where it belongs, from the values of a row by name.
struct Case {
    name: &'static str,
    text: String,
    off: Off,
}

/// A slider crank whose slider is at `s`, in SI.
const SLIDER: &str = "(s - r*cos(a))^2 + (r*sin(a))^2 = l^2";

fn slider(r: f64, a: f64, s: f64) -> f64 {
    let l: f64 = 0.15;
    (s - (r * a.cos() + (l * l - (r * a.sin()).powi(2)).sqrt())).abs()
}

/// A body with these lines, 20 s long, recorded every `every`.
fn model(lines: &str, every: &str) -> String {
    format!("twin M {{\n{lines}\n}}\nscenario s for M {{ duration: 20 s; record all every {every} }}\n")
}

fn cases() -> Vec<Case> {
    let crank = |equations: &str, every| {
        let lines = format!(
            "parameters {{ r: Length = 140 mm; l: Length = 150 mm }} variables {{ s: Length guess 240 mm; {equations}"
        );
        model(&lines, every)
    };
    vec![
        Case {
            // It turns ever faster, and nothing of what is integrated reads the slider.
            name: "crank that is driven",
            text: crank(
                &format!("}} states {{ a: Angle = 0.2 rad; w: AngularVelocity = 0 rad/s }}
                equations {{ der(a) = w; der(w) = 2 rad/s^2 - 0.1 [1/s]*w; {SLIDER} }}"),
                "0.7 s",
            ),
            off: |v| slider(0.14, v("a"), v("s")),
        },
        Case {
            // A slow state beside it: steps of many turns.
            name: "crank of time",
            text: crank(
                &format!("a: Angle }} states {{ x: Real = 1 }}
                equations {{ a = 7 [rad/s]*time; {SLIDER}; der(x) = 0.001 [1/s]*(s/(1 m) - x) }}"),
                "1 s",
            ),
            off: |v| slider(0.14, v("a"), v("s")),
        },
        Case {
            name: "sine",
            text: model(
                "states { x: Angle = 0 rad; y: Real = 0 } variables { z: Angle guess 0 rad }
                 equations { der(x) = 1 rad/s; sin(z - x) = 0; der(y) = 0.001 [1/s]*z/(1 rad) }",
                "6.283185307179586 s",
            ),
            off: |v| (v("z") - v("x")).abs(),
        },
        Case {
            name: "sine of what rests at first",
            text: model(
                "states { x: Angle = 0 rad } variables { z: Angle guess 0 rad }
                 equations { der(x) = 3 [rad/s^2]*time; sin(z - x) = 0 }",
                "3 s",
            ),
            off: |v| (v("z") - v("x")).abs(),
        },
        Case {
            // u stays within ±0.3, where each of three solutions goes on.
            name: "cubic",
            text: model(
                "states { x: Real = 0 } variables { z: Real guess 1; u: Real }
                 equations { u = 0.3*sin(40 [rad/s]*time); z^3 - z = u; der(x) = 0.001 [1/s]*z }",
                "0.9 s",
            ),
            off: |v| {
                let (u, mut z) = (v("u"), 1.0_f64);
                for _ in 0..50 {
                    z -= (z.powi(3) - z - u) / (3.0 * z * z - 1.0);
                }
                (v("z") - z).abs()
            },
        },
        Case {
            // Freudenstein's four-bar linkage, open; the crank of 1.2 turns in full.
            name: "four bars",
            text: model(
                "states { x: Real = 0 } variables { b: Angle guess 0.9 rad; d: Angle guess 1.6 rad; a: Angle }
                 equations {
                   a = 5 [rad/s]*time
                   1.2*cos(a) + 4*cos(b) = 4.5 + 3*cos(d); 1.2*sin(a) + 4*sin(b) = 3*sin(d)
                   der(x) = 0.01 [1/s]*(b/(1 rad) - x)
                 }",
                "1 s",
            ),
            off: |v| {
                let (kx, ky) = (1.2 * v("a").cos(), 1.2 * v("a").sin());
                let (dx, dy) = (4.5 - kx, -ky);
                let across = dx.hypot(dy);
                let b = dy.atan2(dx) + ((16.0 + across * across - 9.0) / (8.0 * across)).acos();
                (v("b") - b).abs()
            },
        },
    ]
}

/// The most of all rows.
fn most_off(rows: &Rows, off: Off) -> f64 {
    let column = |name: &str| rows.names.iter().position(|n| n == name).unwrap();
    let all = rows.rows.iter().map(|row| off(&|name| row[column(name)]));
    assert!(rows.rows.len() > 3);
    all.fold(0.0, |most: f64, off| if off.is_nan() || off > most { off } else { most })
}

/// With every method, at loose and at tight tolerances.
#[test]
fn a_run_stays_on_its_branch() {
    let mut wrong = Vec::new();
    for case in cases() {
        let place = Place::with(&[("m.twinml", &case.text)]);
        for method in ALL {
            for rtol in ["1e-3", "1e-6", "1e-9"] {
                let fixed = ["rk4", "euler", "implicit_euler"].contains(&method);
                if fixed && rtol != "1e-6" {
                    continue;
                }
                let mut args =
                    vec!["run", "m.twinml", "--si", "--no-plot", "--out", "r.csv", "--solver", method];
                if !fixed {
                    args.extend(["--rtol", rtol]);
                }
                let (code, _, err) = place.twinc(&args);
                if code != 0 {
                    wrong.push(format!("{} with {method} at {rtol}: {err}", case.name));
                    continue;
                }
                let rows = Rows::of_csv(&place.text("r.csv"));
                let most = most_off(&rows, case.off);
                // No number is off, too.
                if most.is_nan() || most > 1e-8 {
                    wrong.push(format!("{} with {method} at {rtol}: {most}", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The slider of a crank, which nothing reads, costs a run no steps: all that it takes is to be followed.
#[test]
fn following_takes_no_steps() {
    let free = "twin M { states { a: Angle = 0.2 rad; w: AngularVelocity = 0 rad/s }
        equations { der(a) = w; der(w) = 2 rad/s^2 - 0.1 [1/s]*w } }
        scenario s for M { duration: 20 s }";
    let work = |text: &str, method: &str| {
        let place = Place::with(&[("m.twinml", text)]);
        let out = place.objects(&["run", "m.twinml", "--no-plot", "--solver", method], 0);
        let done = of(&out, "finished")[0];
        (done["steps"].as_u64().unwrap(), done["rhs"].as_u64().unwrap())
    };
    let case = &cases()[0];
    for method in ["tsit5", "bdf", "adams", "rk4"] {
        assert_eq!(work(&case.text, method), work(free, method), "{method}");
    }
}

/// A loop whose solution ends: two solutions meet at 1 s, and none is left behind.
#[test]
fn a_branch_that_ends_ends_the_run() {
    let text = "twin M { states { x: Real = 1 } variables { z: Real guess 1 }
        equations { der(x) = -1 [1/s]; (z - x)^2 = x } }
        scenario s for M { duration: 2 s; record all every 0.1 s }";
    for method in ["auto", "tsit5", "bdf", "rk4"] {
        let place = Place::with(&[("m.twinml", text)]);
        let (_, err) =
            place.expect(3, &["run", "m.twinml", "--no-plot", "--out", "r.csv", "--solver", method]);
        assert!(err.contains("E0802") && err.contains("t = "), "{method}: {err}");
        for (t, z) in Rows::of_csv(&place.text("r.csv")).of("z") {
            assert!((z - (1.0 - t + (1.0 - t).sqrt())).abs() < 1e-6, "{method}: {z} at {t}");
        }
    }
}

/// A mechanism that locks: its crank is too long to turn. Newton finds nothing beyond the dead centre, however long steps are.
#[test]
fn a_mechanism_that_locks_is_told() {
    for h in ["0.5", "0.02"] {
        let text = format!(
            "twin M {{
  states {{ x: Real = 0 }}
  variables {{ b: Angle guess 0.9 rad; d: Angle guess 1.6 rad; a: Angle }}
  equations {{
    a = 1 [rad/s]*time
    3*cos(a) + 4*cos(b) = 4.5 + 3*cos(d)
    3*sin(a) + 4*sin(b) = 3*sin(d)
    der(x) = 0.01 [1/s]*(b/(1 rad) - x)
  }}
}}
scenario s for M {{ duration: 30 s; solver: rk4(step: {h} s) }}
"
        );
        let place = Place::with(&[("m.twinml", &text)]);
        let (_, err) = place.expect(3, &["run", "m.twinml", "--no-plot"]);
        assert!(
            err.contains("[E0802] Error: the loop of 2 equations has no solution that Newton finds at t = 2"),
            "{err}"
        );
        // Where the coupler and the rocker are in line: cos of the angle between crank and ground is (9 + 4.5² - 49)/(27).
        assert!(err.contains("at the values b = -0.296554 rad, d = 2.84504 rad"), "{err}");
    }
}

/// What a loop reads may jump without an event (`noevent`), and with one: the loop jumps with it.
#[test]
fn what_jumps_is_followed() {
    let small = "1 + 1e-6*noevent(if time > 1.234 s then 2 else 0)";
    for (jump, to) in [
        ("if time > 1.234 s then 3 else 1", 3.0),
        ("noevent(if time > 1.234 s then 3 else 1)", 3.0),
        (small, 1.0 + 2e-6),
    ] {
        let text = format!(
            "twin M {{ states {{ y: Real = 0 }} variables {{ z: Real guess 1; u: Real }}
            equations {{ u = {jump}; z^3 + z = 2*u; der(y) = z/(1 s) }} }}
            scenario s for M {{ duration: 3 s; record all every 0.1 s }}"
        );
        for method in ["auto", "tsit5", "bdf", "rosenbrock", "rk4"] {
            let place = Place::with(&[("m.twinml", &text)]);
            place.expect(0, &["run", "m.twinml", "--no-plot", "--out", "r.csv", "--solver", method]);
            for (t, z) in Rows::of_csv(&place.text("r.csv")).of("z") {
                let u = if t > 1.234 { to } else { 1.0 };
                // Both limits have rows at the jump.
                let at = (t - 1.234).abs() < 1e-9;
                assert!(at || (z.powi(3) + z - 2.0 * u).abs() < 1e-9, "{jump} with {method}: {z} at {t}");
            }
        }
    }
}

/// The same where the derivative changes its sign with the jump.
#[test]
fn what_turns_is_followed() {
    let text = "twin M { states { y: Real = 0 } variables { z: Real guess 1; k: Real }
        equations { k = noevent(if time > 1.234 s then -1 else 1); k*(z + 0.1*z^3) = 1; der(y) = z/(1 s) } }
        scenario s for M { duration: 3 s; record all every 0.1 s }";
    for method in ["auto", "tsit5", "bdf", "rosenbrock", "esdirk", "rk4"] {
        let place = Place::with(&[("m.twinml", text)]);
        place.expect(0, &["run", "m.twinml", "--no-plot", "--out", "r.csv", "--solver", method]);
        for (t, z) in Rows::of_csv(&place.text("r.csv")).of("z") {
            let k = if t > 1.234 { -1.0 } else { 1.0 };
            assert!((k * (z + 0.1 * z.powi(3)) - 1.0).abs() < 1e-9, "{method}: {z} at {t}");
        }
    }
}

/// A kink without an event: the solution goes on with another slope.
#[test]
fn kinks_are_followed() {
    let text = "twin M { states { y: Real = 0 } variables { z: Real guess 0 }
        equations { z + 9*noevent(max(z, 0)) + 0.1*z^3 = sin(2 [rad/s]*time); der(y) = z/(1 s) } }
        scenario s for M { duration: 10 s; record all every 0.05 s }";
    for method in ["auto", "tsit5", "bdf", "rosenbrock", "esdirk", "rk4"] {
        let place = Place::with(&[("m.twinml", text)]);
        place.expect(0, &["run", "m.twinml", "--no-plot", "--out", "r.csv", "--solver", method]);
        for (t, z) in Rows::of_csv(&place.text("r.csv")).of("z") {
            let off = z + 9.0 * z.max(0.0) + 0.1 * z.powi(3) - (2.0 * t).sin();
            assert!(off.abs() < 1e-9, "{method}: {z} at {t}");
        }
    }
}

/// At the start a solution may lie far off: an exponential is come down from by one power of e each.
#[test]
fn the_start_is_found_from_far() {
    for (equation, guess, z) in [
        ("sinh(50*z) + z = 1", 1.0, 0.017_380_601_806_317_886),
        ("sinh(50*z) + z = 1", -1.0, 0.017_380_601_806_317_886),
        ("exp(z) + z = 0", 300.0, -0.567_143_290_409_783_8),
    ] {
        let text = format!(
            "twin M {{ states {{ y: Real = 0 }} variables {{ z: Real guess {guess} }}
            equations {{ {equation}; der(y) = z/(1 s) }} }} scenario s for M {{ duration: 1 s; record all every 1 s }}"
        );
        let place = Place::with(&[("m.twinml", &text)]);
        place.expect(0, &["run", "m.twinml", "--no-plot", "--out", "r.csv"]);
        let found = Rows::of_csv(&place.text("r.csv")).of("z")[0].1;
        assert!((found - z).abs() < 1e-12, "{equation} from {guess}: {found}");
    }
}

/// An error at the start names the unknowns that were tried from 0, as nothing else is known of them.
#[test]
fn guesses_left_to_their_default_are_named() {
    let text = "twin M { states { y: Real = 0 } variables { z: Real guess 2; w: Real }
        equations { z^2 + w^2 = -1; z = w + sin(w); der(y) = z/(1 s) } } scenario s for M { duration: 1 s }";
    let place = Place::with(&[("m.twinml", text)]);
    let (_, err) = place.expect(3, &["run", "m.twinml", "--no-plot"]);
    assert!(
        err.contains("[E0802]") && err.contains("no `guess` is given for `w`: it was tried from 0"),
        "{err}"
    );
}

/// Where loops head to is part of a snapshot: a run that goes on has the bits of one that was not interrupted.
#[test]
fn snapshots_hold_where_loops_head_to() {
    let text = "twin M { units: off
        states { a: Real = 0.2; w: Real = 0 } variables { s: Real guess 2.4; q: Real guess 1 }
        equations {
          der(a) = w; der(w) = 2 - 0.1*w - 1e-3*s*q
          (s - 1.4*cos(a))^2 + (1.4*sin(a))^2 = 2.25; q^3 - q = 0.3*cos(a)
        } }
        scenario s for M { duration: 10 s; record all every 0.25 s }";
    for method in ["tsit5", "bdf", "rosenbrock", "esdirk", "rk4"] {
        let place = Place::with(&[("m.twinml", text)]);
        let args = [
            "run",
            "m.twinml",
            "--no-plot",
            "--solver",
            method,
            "--snapshot-every",
            "6s",
            "--out",
            "all.csv",
        ];
        place.expect(0, &args);
        place.expect(0, &["run", "--from", "s@6s.twinsnap", "--no-plot", "--out", "rest.csv"]);
        let (all, rest) = (place.text("all.csv"), place.text("rest.csv"));
        let rest: Vec<&str> = rest.lines().skip(1).collect();
        assert!(rest.len() > 15 && all.lines().count() > 40, "{method}");
        assert!(rest.iter().all(|row| all.lines().any(|r| r == *row)), "{method}");
    }
}

/// A comparison that a loop reads of its own unknown: at the very instant roundings may say one side for either side of it, one
/// after the other without end. It takes the side that holds a little later.
#[test]
fn a_loop_that_compares_its_unknown_settles() {
    for (k, method) in ["auto", "tsit5", "bdf", "rosenbrock", "rk4"].iter().cycle().take(40).enumerate() {
        let (k, steep) = (k as f64, [3.0, 4.0, 1.7][k % 3]);
        let (a, d) = ([0.5, 1.0, 3.0][k as usize % 3], 0.137 * k);
        let text = format!(
            "twin M {{ units: off
            states {{ x: Real = 0.5 }} variables {{ z: Real guess 0.3 }}
            equations {{
              {a}*((if z > 0.2 then {steep}*(z - 0.2) else 0) + z) + z + 0.1*z^3 = x + sin(3*time + {d})
              der(x) = -x + z
            }} }}
            scenario s for M {{ duration: 10 s; record all every 1 s }}"
        );
        let place = Place::with(&[("m.twinml", &text)]);
        place.expect(0, &["run", "m.twinml", "--no-plot", "--out", "r.csv", "--solver", method]);
        let rows = Rows::of_csv(&place.text("r.csv"));
        for ((t, z), (_, x)) in rows.of("z").into_iter().zip(rows.of("x")) {
            let off = a * (steep * (z - 0.2).max(0.0) + z) + z + 0.1 * z.powi(3) - x - (3.0 * t + d).sin();
            assert!(off.abs() < 1e-9, "{method}, {k}: {z} at {t}");
        }
    }
}
