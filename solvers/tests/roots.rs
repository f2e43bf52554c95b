//! Root finding: every crossing, in order, located to the last bits, none twice.
#![allow(clippy::unwrap_used, reason = "tests")]

mod problems;

use problems::scalar::Scalar;
use problems::{Fixture, Ode};
use twinml_solvers::integrator::{Method, Options, Tolerances, make};
use twinml_solvers::roots::RootFinder;
use twinml_solvers::system::System;

/// A clock `x = t` with root functions of time.
struct Times<G: Fn(f64, &mut [f64])> {
    n: usize,
    g: G,
}
impl<G: Fn(f64, &mut [f64])> Ode for Times<G> {
    fn dim(&self) -> usize {
        1
    }
    fn f<S: Scalar>(&self, _t: S, _x: &[S], d: &mut [S]) {
        d[0] = S::c(1.0);
    }
    fn n_roots(&self) -> usize {
        self.n
    }
    fn roots(&self, t: f64, _x: &[f64], g: &mut [f64]) {
        (self.g)(t, g);
    }
}

/// All crossings of `g` from 0 to 1 in one step: (time, index, rising).
fn crossings(n: usize, g: impl Fn(f64, &mut [f64])) -> Vec<(f64, usize, bool)> {
    counted(n, g).0
}

/// The same with the evaluations of all root functions that it took.
fn counted(n: usize, g: impl Fn(f64, &mut [f64])) -> (Vec<(f64, usize, bool)>, u64) {
    let mut sys = Fixture::new(Times { n, g });
    let mut i = make(Method::Euler, &Options { h: Some(1.0), ..Options::default() }).unwrap();
    i.start(&mut sys, 0.0, &[0.0], 1.0).unwrap();
    let mut r = RootFinder::new(1, n);
    r.arm(&mut sys, 0.0, &[0.0], None).unwrap();
    i.step(&mut sys).unwrap();
    let mut found = Vec::new();
    while let Some(t) = r.next(&mut sys, &*i).unwrap() {
        assert!(!r.crossings().is_empty());
        for c in r.crossings() {
            found.push((t, c.index, c.rising));
        }
        assert!(found.len() < 1000);
    }
    (found, r.evaluations())
}

fn close(found: &[(f64, usize, bool)], want: &[(f64, usize, bool)]) {
    assert_eq!(found.len(), want.len(), "{found:?}");
    for (f, w) in found.iter().zip(want) {
        assert!((f.0 - w.0).abs() <= 4.0 * f64::EPSILON * w.0.abs() && f.1 == w.1 && f.2 == w.2, "{found:?}");
    }
}

#[test]
fn several_crossings_in_one_step_come_in_order() {
    let found = crossings(3, |t, g| {
        g[0] = t - 0.7;
        g[1] = 0.2 - t;
        g[2] = (t - 0.4) * (t - 0.6);
    });
    close(&found, &[(0.2, 1, false), (0.4, 2, false), (0.6, 2, true), (0.7, 0, true)]);
}

/// Hundreds of crossings in one step cost what each alone costs, whatever their order and however far from straight the
/// root functions are.
#[test]
fn hundreds_of_crossings_in_one_step_are_located_once_each() {
    let n = 400;
    let at = |i: usize| (i * 149 % n) as f64 / n as f64 * 0.8 + 0.1;
    let mut want: Vec<(f64, usize, bool)> = (0..n).map(|i| (at(i), i, i % 2 == 0)).collect();
    want.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (found, evaluations) = counted(n, |t, g| {
        for (i, g) in g.iter_mut().enumerate() {
            let bent = [1.0, 0.01 + t * t, 3.0 / (0.01 + t), f64::exp(8.0 * t)][i / 2 % 4];
            *g = if i % 2 == 0 { t - at(i) } else { at(i) - t } * bent;
        }
    });
    close(&found, &want);
    // Fifteen a crossing; each located in every call would be 47,904.
    assert_eq!(evaluations, 5847, "of all root functions");
}

/// What dips through zero and comes back before another crosses is not passed over, whichever looks nearer.
#[test]
fn short_dips_among_many_crossings_are_found() {
    let mut random = 17u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 11) as f64 / (1u64 << 53) as f64
    };
    for _ in 0..200 {
        let n = 8;
        let roots: Vec<(f64, f64)> = (0..n)
            .map(|i| {
                let at = 0.02 + 0.9 * next();
                // Every other root function comes back soon.
                (at, if i % 2 == 0 { at + 0.001 + 0.05 * next() } else { 2.0 + next() })
            })
            .collect();
        let mut want: Vec<(f64, usize, bool)> = Vec::new();
        for (i, (a, b)) in roots.iter().enumerate() {
            want.push((*a, i, false));
            if *b < 1.0 {
                want.push((*b, i, true));
            }
        }
        want.sort_by(|a, b| a.0.total_cmp(&b.0));
        let found = crossings(n, |t, g| {
            for (g, (a, b)) in g.iter_mut().zip(&roots) {
                *g = (t - a) * (t - b);
            }
        });
        assert_eq!(found.len(), want.len(), "{found:?}\n{want:?}");
        for (f, w) in found.iter().zip(&want) {
            assert!((f.0 - w.0).abs() < 1e-13 && (f.1, f.2) == (w.1, w.2), "{f:?} for {w:?}");
        }
    }
}

#[test]
fn crossings_at_one_time_come_together() {
    let found = crossings(2, |t, g| {
        g[0] = t - 0.5;
        g[1] = 3.0 * (0.5 - t);
    });
    assert_eq!(found.len(), 2);
    assert!(found[0].0 == found[1].0 && (found[0].0 - 0.5).abs() < 1e-15, "{found:?}");
}

#[test]
fn a_dip_between_samples_is_found_and_a_touch_is_not() {
    for e in [1e-2, 1e-4, 1e-6] {
        let found = crossings(1, |t, g| g[0] = (t - 0.37) * (t - 0.37) - e * e);
        assert_eq!(found.len(), 2, "{e}: {found:?}");
        assert!((found[0].0 - (0.37 - e)).abs() < 1e-9 && (found[1].0 - (0.37 + e)).abs() < 1e-9);
    }
    assert!(crossings(1, |t, g| g[0] = (t - 0.37) * (t - 0.37) + 1e-9).is_empty());
    // close to the ends of the step
    for c in [0.01, 0.1, 0.9, 0.99] {
        let found = crossings(1, |t, g| g[0] = 1e-6 - (t - c) * (t - c));
        assert_eq!(found.len(), 2, "{c}: {found:?}");
    }
}

#[test]
fn jumps_zeros_and_gaps() {
    // a jump is located to the bit
    close(&crossings(1, |t, g| g[0] = if t < 0.3 { -1.0 } else { 1e9 }), &[(0.3, 0, true)]);
    // zero at the start belongs to the side false
    let found = crossings(1, |t, g| g[0] = t);
    assert!(found.len() == 1 && found[0].0 < 1e-15 && found[0].2);
    assert!(crossings(1, |t, g| g[0] = -t).is_empty());
    assert!(crossings(1, |_, g| g[0] = 0.0).is_empty());
    // a root function that is nowhere defined in part of the step
    let found = crossings(1, |t, g| g[0] = if t > 0.2 && t < 0.4 { f64::NAN } else { t - 0.5 });
    close(&found, &[(0.5, 0, true)]);
}

/// Narrow pulses and many waves in one step: none is lost.
#[test]
fn waves_and_pulses_of_one_step_are_all_found() {
    for waves in [1.0, 3.0, 10.0, 37.3, 100.0, 251.7] {
        for level in [0.0, 0.5, 0.9, 0.99, 0.9995] {
            let found = crossings(1, |t, g| g[0] = f64::sin(std::f64::consts::TAU * waves * t) - level);
            let at = f64::asin(level) / std::f64::consts::TAU;
            let rising: Vec<f64> = found.iter().filter(|c| c.2).map(|c| c.0).collect();
            let want = (0..).map(|k| (f64::from(k) + at) / waves).take_while(|t| *t < 1.0);
            let want: Vec<f64> = want.filter(|t| *t > 0.0 || level > 0.0).collect();
            let lost: Vec<f64> =
                want.iter().copied().filter(|w| !rising.iter().any(|t| (t - w).abs() < 1e-9)).collect();
            assert!(lost.iter().all(|t| *t == 0.0), "{waves} waves over {level}: {lost:?} lost");
        }
    }
}

#[test]
fn few_evaluations_locate_a_root() {
    let mut sys = Fixture::new(Times { n: 1, g: |t, g: &mut [f64]| g[0] = (t - 0.3).exp() - 1.0 });
    let mut i = make(Method::Euler, &Options { h: Some(1.0), ..Options::default() }).unwrap();
    i.start(&mut sys, 0.0, &[0.0], 1.0).unwrap();
    let mut r = RootFinder::new(1, 1);
    r.arm(&mut sys, 0.0, &[0.0], None).unwrap();
    i.step(&mut sys).unwrap();
    let t = r.next(&mut sys, &*i).unwrap().unwrap();
    assert!((t - 0.3).abs() < 1e-15);
    assert!(r.evaluations() < 30, "{}", r.evaluations());
}

struct Ball;
impl Ode for Ball {
    fn dim(&self) -> usize {
        2
    }
    fn f<S: Scalar>(&self, _t: S, x: &[S], d: &mut [S]) {
        d[0] = x[1];
        d[1] = S::c(-9.81);
    }
    fn n_roots(&self) -> usize {
        1
    }
    fn roots(&self, _t: f64, x: &[f64], g: &mut [f64]) {
        g[0] = x[0];
    }
}

/// A ball falls from 10 m and keeps 80 % of its speed: each bounce once, at its time.
#[test]
fn a_bouncing_ball() {
    for method in [Method::Tsit5, Method::Dopri5, Method::Rosenbrock] {
        let options = Options { tolerances: Tolerances::uniform(1e-9, 1e-12), ..Options::default() };
        let mut sys = Fixture::new(Ball);
        let mut i = make(method, &options).unwrap();
        let end = 12.0;
        let mut x = vec![10.0, 0.0];
        let mut dx = vec![0.0; 2];
        i.start(&mut sys, 0.0, &x, end).unwrap();
        let mut r = RootFinder::new(2, 1);
        r.arm(&mut sys, 0.0, &x, None).unwrap();
        let mut times = Vec::new();
        while i.t() < end {
            i.step(&mut sys).unwrap();
            while let Some(t) = r.next(&mut sys, &*i).unwrap() {
                assert!(!r.crossings()[0].rising, "{method:?} left the floor by an event at {t}");
                times.push(t);
                i.interpolate(t, &mut x);
                x[1] *= -0.8;
                i.restart(&mut sys, t, &x, end).unwrap();
                sys.rhs(t, &x, &mut dx).unwrap();
                r.arm(&mut sys, t, &x, Some((&dx, 1e-9))).unwrap();
            }
        }
        let first = (2.0_f64 * 10.0 / 9.81).sqrt();
        let mut want = vec![first];
        let mut flight = 2.0 * first;
        loop {
            flight *= 0.8;
            let t = want[want.len() - 1] + flight;
            if t > end {
                break;
            }
            want.push(t);
        }
        assert_eq!(times.len(), want.len(), "{method:?}");
        for (a, b) in times.iter().zip(&want) {
            assert!((a - b).abs() < 1e-9, "{method:?} {a} {b}");
        }
    }
}
