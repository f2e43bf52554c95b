//! Forward sensitivities against finite differences of runs at 1e-12, and fits to synthetic data whose truth lies in the
//! intervals as often as they say.
#![allow(clippy::unwrap_used, reason = "tests")]

use twinml_compiler::driver::{Choice, Session};
use twinml_compiler::flatten::NoData;
use twinml_compiler::resolve::MemoryLoader;
use twinml_engine::run::{Forward, MachineKind, NotSmooth, Observed};
use twinml_engine::study::fit::{self, Limits};
use twinml_engine::study::global;
use twinml_model::program::{Experiment, Program};

fn compiled(text: &str) -> (Program, Experiment) {
    let mut s = Session::check("m.twinml", text, &MemoryLoader::new());
    let made = s.compile(Choice::default(), &mut NoData);
    let said: Vec<String> = s.diags.iter().map(|d| format!("{} {}", d.code, d.message)).collect();
    let made = made.unwrap_or_else(|| panic!("{said:?}"));
    (made.program, made.experiment)
}

fn slot(program: &Program, path: &str) -> Observed {
    let all = program.schema.vars.iter();
    let found = all.flat_map(|v| (0..v.len).map(move |k| (v, k))).find(|(v, k)| v.element_path(*k) == path);
    let (v, k) = found.unwrap_or_else(|| panic!("no `{path}`"));
    Observed { space: v.space, slot: v.base + k }
}

/// All sensitivities of `observed` to `parameters` at some times, by both ways.
fn agree(text: &str, parameters: &[(&str, f64)], observed: &[&str], methods: &[&str]) {
    let (program, experiment) = compiled(text);
    let slots: Vec<u32> = parameters.iter().map(|(p, _)| slot(&program, p).slot).collect();
    let values: Vec<f64> = parameters.iter().map(|(_, v)| *v).collect();
    let observed: Vec<Observed> = observed.iter().map(|p| slot(&program, p)).collect();
    let times: Vec<f64> = [0.0, 0.13, 0.5, 0.77, 1.0].iter().map(|t| t * experiment.duration).collect();
    let with = |method: &str, rtol: f64| {
        let mut e = experiment.clone();
        e.solver.method = method.to_owned();
        e.solver.rtol = Some(rtol);
        e.solver.atol = Some(rtol * 1e-3);
        Forward::new(&program, &e, MachineKind::Jit(2)).unwrap()
    };
    let mut exact = with("dopri5", 1e-12);
    let at = |exact: &mut Forward, j: usize, k: f64, h: f64| {
        let mut v = values.clone();
        v[j] += k * h;
        exact.trace(&slots, &v, &observed, &times, false).unwrap().values
    };
    for method in methods {
        let mut forward = with(method, 1e-9);
        let found = forward.trace(&slots, &values, &observed, &times, true).unwrap();
        for j in 0..slots.len() {
            let h = 1e-3 * values[j].abs().max(1e-3);
            let [a, b, c, d] = [-2.0, -1.0, 1.0, 2.0].map(|k| at(&mut exact, j, k, h));
            for (n, row) in found.slopes.iter().enumerate() {
                let largest =
                    found.slopes.iter().flat_map(|r| r.iter().map(|q| q[j].abs())).fold(0.0, f64::max);
                for (q, slopes) in row.iter().enumerate() {
                    let want = ((a[n][q] - d[n][q]) + 8.0 * (c[n][q] - b[n][q])) / (12.0 * h);
                    assert!(
                        (slopes[j] - want).abs() <= 1e-5 * want.abs().max(1e-3 * largest),
                        "{method}: d{q}/d{} at {}: {} against {want}",
                        parameters[j].0,
                        times[n],
                        slopes[j]
                    );
                }
            }
        }
    }
}

const LOTKA_VOLTERRA: &str = "
twin Prey {
  units: off
  parameters { a: Real = 1.1; b: Real = 0.4; c: Real = 0.4; d: Real = 0.1; x0: Real = 10; half: Real = b/2 }
  states { x: Real = x0; y: Real = 2*x0 - 10 }
  outputs { both: Real = x*y + half }
  equations { der(x) = a*x - 2*half*x*y; der(y) = d*x*y - c*y }
}
scenario run for Prey { duration: 15 s; solver: dopri5 }";

#[test]
fn of_lotka_and_volterra() {
    let all = [("a", 1.1), ("b", 0.4), ("c", 0.4), ("d", 0.1), ("x0", 10.0)];
    agree(LOTKA_VOLTERRA, &all, &["x", "y", "both"], &["dopri5", "tsit5", "bdf"]);
}

/// An algebraic loop, a table in time, a start from initial equations, an array.
#[test]
fn through_loops_tables_and_starts() {
    let text = "
twin Pipe {
  units: off
  parameters { k: Real = 2; m: Real = 0.7; r: Real[1][3] = [0.5, 1, 1.5]; p0: Real = 3 }
  states { h: Real = p0^2; T: Real[1][3] guess 1 }
  variables { q: Real guess 1; u: Real }
  equations {
    q + m*q^3 = k*h - q*q
    der(h) = u - 0.3*q
    u = 1 + 0.1*sin(time)
    for i in 0..3 { der(T[i]) = q - r[i]*T[i] }
  }
  initial equations { for i in 0..3 { der(T[i]) = 0 } }
}
scenario run for Pipe { duration: 4 s; solver: dopri5 }";
    let all = [("k", 2.0), ("m", 0.7), ("r[1]", 1.0), ("p0", 3.0)];
    agree(text, &all, &["h", "T[0]", "T[1]", "q"], &["dopri5", "bdf"]);
}

#[test]
fn what_is_not_smooth_is_named() {
    let of = |text: &str| {
        let (p, e) = compiled(text);
        Forward::new(&p, &e, MachineKind::Interpreter).err()
    };
    let twin = |rest: &str| {
        format!(
            "twin T {{ units: off; states {{ x: Real = 0 }} {rest} }} scenario s for T {{ duration: 1 s }}"
        )
    };
    assert_eq!(of(&twin("equations { der(x) = if x > 1 then 0 else 1 }")), Some(NotSmooth::Events));
    assert_eq!(of(&twin("equations { der(x) = white_noise() }")), Some(NotSmooth::Noise));
    assert_eq!(
        of(&twin("equations { der(x) = 1 } behavior { every 100 ms { x = 0 } }")),
        Some(NotSmooth::Behavior)
    );
    assert_eq!(of(&twin("equations { der(x) = 1 }")), None);
}

/// Normal numbers of a seed, by Box and Muller's method from independent uniform ones.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let normal = |u: &[f64]| {
        let r = (-2.0 * twinml_model::math::eval::log(u[0])).sqrt();
        r * twinml_model::math::eval::cos(2.0 * std::f64::consts::PI * u[1])
    };
    // The first of a row's points; the others share numbers with it.
    global::sobol_points(2, n, seed).chunks_exact(4).map(|row| normal(&row[0])).collect()
}

struct Problem<'p> {
    text: &'p str,
    truth: Vec<(&'p str, f64)>,
    start: Vec<f64>,
    observed: Vec<&'p str>,
    times: Vec<f64>,
    /// Standard deviation of the measurements.
    sd: f64,
}

/// Of 100 seeds: how often each true value lies in its 95 % interval.
fn coverage(p: &Problem<'_>, seeds: u64) -> Vec<u32> {
    let (program, mut experiment) = compiled(p.text);
    experiment.solver.rtol = Some(1e-8);
    let slots: Vec<u32> = p.truth.iter().map(|(path, _)| slot(&program, path).slot).collect();
    let truth: Vec<f64> = p.truth.iter().map(|(_, v)| *v).collect();
    let observed: Vec<Observed> = p.observed.iter().map(|path| slot(&program, path)).collect();
    let mut forward = Forward::new(&program, &experiment, MachineKind::Jit(2)).unwrap();
    let clean = forward.trace(&slots, &truth, &observed, &p.times, false).unwrap().values;
    let clean: Vec<f64> = clean.into_iter().flatten().collect();
    let mut hits = vec![0; truth.len()];
    for seed in 0..seeds {
        let data: Vec<f64> = clean.iter().zip(noise(seed, clean.len())).map(|(x, e)| x + p.sd * e).collect();
        let mut residuals = |v: &[f64], slopes: bool| {
            let t = forward.trace(&slots, v, &observed, &p.times, slopes).ok()?;
            let r = t.values.iter().flatten().zip(&data).map(|(x, d)| x - d).collect();
            Some((r, t.slopes.into_iter().flatten().collect()))
        };
        let bounds = vec![(0.0, f64::INFINITY); truth.len()];
        let found = fit::fit(&p.start, &bounds, Limits::default(), &mut residuals).unwrap();
        assert!(found.converged, "seed {seed}");
        let certain = fit::certainty(&found, &bounds, 0.95, false);
        assert!(certain.unidentifiable.iter().all(|u| !u), "seed {seed}: {certain:?}");
        for j in 0..truth.len() {
            hits[j] += u32::from((found.values[j] - truth[j]).abs() <= certain.half[j]);
        }
    }
    hits
}

fn times(n: u32, step: f64) -> Vec<f64> {
    (1..=n).map(|k| f64::from(k) * step).collect()
}

#[test]
fn fits_of_a_decay_cover_the_truth() {
    let text = "twin D { units: off; parameters { k: Real = 1; x0: Real = 1 } states { x: Real = x0 } equations { der(x) = -k*x } }
scenario s for D { duration: 5 s; solver: dopri5 }";
    let p = Problem {
        text,
        truth: vec![("k", 0.7), ("x0", 2.0)],
        start: vec![1.5, 1.0],
        observed: vec!["x"],
        times: times(40, 0.1),
        sd: 0.05,
    };
    let hits = coverage(&p, 100);
    assert!(hits.iter().all(|h| *h >= 90), "{hits:?}");
}

#[test]
fn fits_of_lotka_and_volterra_cover_the_truth() {
    let p = Problem {
        text: LOTKA_VOLTERRA,
        truth: vec![("a", 1.1), ("b", 0.4), ("c", 0.4), ("d", 0.1)],
        start: vec![1.0, 0.45, 0.45, 0.11],
        observed: vec!["x", "y"],
        times: times(30, 0.5),
        sd: 0.3,
    };
    let hits = coverage(&p, 100);
    assert!(hits.iter().all(|h| *h >= 90), "{hits:?}");
}

/// HIRES (E. Hairer and G. Wanner, "Solving Ordinary Differential Equations II", IV.10).
const HIRES: &str = "
twin Hires {
  units: off
  parameters { k1: Real = 1.71; k2: Real = 8.32; k3: Real = 0.69 }
  states { y1: Real = 1; y2: Real = 0; y3: Real = 0; y4: Real = 0; y5: Real = 0; y6: Real = 0; y7: Real = 0; y8: Real = 0.0057 }
  equations {
    der(y1) = -k1*y1 + 0.43*y2 + k2*y3 + 0.0007
    der(y2) = k1*y1 - 8.75*y2
    der(y3) = -10.03*y3 + 0.43*y4 + 0.035*y5
    der(y4) = k2*y2 + k1*y3 - 1.12*y4
    der(y5) = -1.745*y5 + 0.43*y6 + 0.43*y7
    der(y6) = -280*y6*y8 + k3*y4 + k1*y5 - 0.43*y6 + k3*y7
    der(y7) = 280*y6*y8 - 1.81*y7
    der(y8) = -280*y6*y8 + 1.81*y7
  }
}
scenario s for Hires { duration: 30 s; solver: bdf }";

/// A stiff system, by the implicit method.
#[test]
fn of_hires() {
    agree(HIRES, &[("k1", 1.71), ("k2", 8.32), ("k3", 0.69)], &["y1", "y2", "y4", "y6", "y8"], &["bdf"]);
}

/// Three rates from four species.
#[test]
fn fits_of_hires_cover_the_truth() {
    let p = Problem {
        text: HIRES,
        truth: vec![("k1", 1.71), ("k2", 8.32), ("k3", 0.69)],
        start: vec![1.4, 7.0, 0.8],
        observed: vec!["y1", "y2", "y4", "y6"],
        times: times(40, 0.5),
        sd: 0.002,
    };
    let hits = coverage(&p, 100);
    assert!(hits.iter().all(|h| *h >= 90), "{hits:?}");
}

/// Only the product of two parameters acts: both are named, the third is not.
#[test]
fn what_the_data_do_not_determine_is_named() {
    let text = "twin D { units: off; parameters { a: Real = 1; b: Real = 1; x0: Real = 1; idle: Real = 3 }
  states { x: Real = x0 } equations { der(x) = -a*b*x + 0*idle } }
scenario s for D { duration: 5 s; solver: dopri5 }";
    let (program, mut experiment) = compiled(text);
    experiment.solver.rtol = Some(1e-9);
    let paths = ["a", "b", "x0", "idle"];
    let slots: Vec<u32> = paths.iter().map(|p| slot(&program, p).slot).collect();
    let x = [slot(&program, "x")];
    let at = times(20, 0.2);
    let mut forward = Forward::new(&program, &experiment, MachineKind::Jit(2)).unwrap();
    let data: Vec<f64> =
        forward.trace(&slots, &[0.5, 2.0, 2.0, 3.0], &x, &at, false).unwrap().values.concat();
    let noise = noise(3, data.len());
    let mut residuals = |v: &[f64], slopes: bool| {
        let t = forward.trace(&slots, v, &x, &at, slopes).ok()?;
        let r = t
            .values
            .iter()
            .flatten()
            .zip(data.iter().zip(&noise))
            .map(|(x, (d, e))| x - d - 0.01 * e)
            .collect();
        Some((r, t.slopes.into_iter().flatten().collect()))
    };
    let free = [(f64::NEG_INFINITY, f64::INFINITY); 4];
    let found = fit::fit(&[1.0, 0.8, 1.0, 3.0], &free, Limits::default(), &mut residuals).unwrap();
    let certain = fit::certainty(&found, &free, 0.95, false);
    assert_eq!(certain.unidentifiable, [true, true, false, true]);
    assert!((found.values[0] * found.values[1] - 1.0).abs() < 0.05);
    assert!((found.values[2] - 2.0).abs() < certain.half[2] * 1.5 && certain.half[2] < 0.1, "{certain:?}");
}

/// A parameter that ends at a bound is held: the others' intervals are those of a fit without it.
#[test]
fn what_ends_at_a_bound_is_held() {
    // y = a + b·t from points near 1 + 2·t, b at most 1.5.
    let at = times(12, 0.5);
    let data: Vec<f64> = at.iter().zip(noise(5, 12)).map(|(t, e)| 1.0 + 2.0 * t + 0.1 * e).collect();
    let line = |v: &[f64]| -> Vec<f64> { at.iter().zip(&data).map(|(t, d)| v[0] + v[1] * t - d).collect() };
    let mut both = |v: &[f64], _: bool| Some((line(v), at.iter().map(|t| vec![1.0, *t]).collect()));
    let bounds = [(-10.0, 10.0), (0.0, 1.5)];
    let found = fit::fit(&[0.0, 1.0], &bounds, Limits::default(), &mut both).unwrap();
    let certain = fit::certainty(&found, &bounds, 0.95, false);
    assert_eq!(found.values[1], 1.5);
    assert_eq!((certain.held.as_slice(), certain.degrees), ([false, true].as_slice(), 11));
    assert!(certain.half[1].is_nan() && certain.covariance[1] == [0.0, 0.0]);
    let mut one = |v: &[f64], _: bool| Some((line(&[v[0], 1.5]), at.iter().map(|_| vec![1.0]).collect()));
    let alone = fit::fit(&[0.0], &bounds[..1], Limits::default(), &mut one).unwrap();
    let want = fit::certainty(&alone, &bounds[..1], 0.95, false);
    assert!((found.values[0] - alone.values[0]).abs() < 1e-8);
    assert!((certain.half[0] - want.half[0]).abs() < 1e-8 * want.half[0], "{certain:?} {want:?}");
}

/// Where no step can be evaluated, nothing has converged.
#[test]
fn a_fit_that_cannot_move_has_not_converged() {
    let mut calls = 0;
    let mut once = |v: &[f64], _: bool| {
        calls += 1;
        (calls == 1).then(|| (vec![v[0] - 3.0, v[0] - 4.0], vec![vec![1.0], vec![1.0]]))
    };
    let found = fit::fit(&[1.0], &[(0.0, 10.0)], Limits::default(), &mut once).unwrap();
    assert!(!found.converged && found.values == [1.0], "{found:?}");
}
