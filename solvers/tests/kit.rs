//! The acceptance kit: what every solver must do. A new method is added to the lists below and to the
//! pinned work counters.
#![allow(clippy::unwrap_used, reason = "tests")]

mod problems;

use problems::scalar::Scalar;
use problems::{Fixture, Ode, Problem, classic};
use std::fmt::Write as _;
use twinml_solvers::error::SolveError;
use twinml_solvers::integrator::{Integrator, Method, Options, Tolerances, make};
use twinml_solvers::system::System;

/// Methods with a step size of their own.
const ADAPTIVE: [Method; 10] = [
    Method::Tsit5,
    Method::Dopri5,
    Method::Rosenbrock,
    Method::Auto,
    Method::Bdf,
    Method::Adams,
    Method::ImplicitEuler,
    Method::Esdirk,
    Method::Trbdf2,
    Method::DiffsolBdf,
];
/// Methods with a given step.
const FIXED: [Method; 3] = [Method::Euler, Method::Rk4, Method::Milstein];

fn all() -> impl Iterator<Item = Method> {
    FIXED.into_iter().chain(ADAPTIVE)
}

/// `x = exp(sin t)`, `y = 1/(1 + exp(-t))`, `z = x·y`: nonlinear, with time.
struct Smooth;
impl Ode for Smooth {
    fn dim(&self) -> usize {
        3
    }
    fn f<S: Scalar>(&self, t: S, x: &[S], d: &mut [S]) {
        let c = t.cos();
        let growth = -x[1] + 1.0;
        d[0] = x[0] * c;
        d[1] = x[1] * growth;
        d[2] = x[2] * (c + growth);
    }
    fn autonomous(&self) -> bool {
        false
    }
}

fn exact(t: f64) -> [f64; 3] {
    let (x, y) = (t.sin().exp(), 1.0 / (1.0 + (-t).exp()));
    [x, y, x * y]
}

fn distance(x: &[f64], t: f64) -> f64 {
    x.iter().zip(exact(t)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Constant steps: a given step for fixed-step methods, tolerances that never bind for the others.
fn constant(method: Method, h: f64) -> Box<dyn Integrator> {
    let options = Options {
        tolerances: Tolerances::uniform(if method.implicit() { 1e-6 } else { 0.0 }, 1e6),
        h: Some(h),
        h_max: h,
        ..Options::default()
    };
    make(method, &options).unwrap()
}

/// Error at the end and largest error of the dense output with `n` steps over two seconds.
fn errors(method: Method, n: usize) -> (f64, f64) {
    let mut sys = Fixture::new(Smooth);
    let mut i = constant(method, 2.0 / n as f64);
    i.start(&mut sys, 0.0, &exact(0.0), 2.0).unwrap();
    let mut between: f64 = 0.0;
    let mut x = [0.0; 3];
    while i.t() < 2.0 {
        i.step(&mut sys).unwrap();
        for k in 1..8 {
            let t = i.t_prev() + (i.t() - i.t_prev()) * f64::from(k) / 8.0;
            i.interpolate(t, &mut x);
            between = between.max(distance(&x, t));
        }
    }
    assert_eq!(i.stats().steps, n as u64, "{method:?}");
    (distance(i.x(), 2.0), between)
}

#[test]
fn observed_orders() {
    // method, steps, order of the solution, order of the dense output
    for (method, n, order, dense) in [
        (Method::Euler, 2000, 1.0, 1.0),
        (Method::Milstein, 2000, 1.0, 1.0),
        (Method::Rk4, 200, 4.0, 4.0),
        (Method::Tsit5, 80, 5.0, 5.0),
        (Method::Dopri5, 80, 5.0, 5.0),
        (Method::Rosenbrock, 80, 5.0, 5.0),
        (Method::ImplicitEuler, 2000, 1.0, 1.0),
    ] {
        let (a, da) = errors(method, n);
        let (b, db) = errors(method, 2 * n);
        let (seen, seen_dense) = ((a / b).log2(), (da / db).log2());
        let slack = if order < 5.0 { 0.1 } else { 0.35 };
        assert!((seen - order).abs() < slack, "{}: order {seen:.2}, error {b:e}", method.name());
        assert!(seen_dense > dense - slack, "{}: dense order {seen_dense:.2}, error {db:e}", method.name());
    }
}

fn options(method: Method, rtol: f64) -> Options {
    Options {
        tolerances: Tolerances::uniform(rtol, rtol * 1e-3),
        h: method.fixed_step().then_some(0.01),
        ..Options::default()
    }
}

fn run(i: &mut dyn Integrator, sys: &mut dyn System, end: f64) {
    while i.t() < end {
        i.step(sys).unwrap();
    }
}

#[test]
fn errors_follow_the_tolerance() {
    // an error per step of first order adds up to its square root
    for method in ADAPTIVE.into_iter().filter(|m| *m != Method::ImplicitEuler) {
        let mut errors = Vec::new();
        for k in 4..=10 {
            let mut sys = Fixture::new(Smooth);
            let mut i = make(method, &options(method, 10f64.powi(-k))).unwrap();
            i.start(&mut sys, 0.0, &exact(0.0), 20.0).unwrap();
            // the largest on the way: at one instant an error may be near a change of sign
            let mut e = 0.0f64;
            while i.t() < 20.0 {
                i.step(&mut sys).unwrap();
                e = e.max(distance(i.x(), i.t()));
            }
            errors.push(e);
            let factor = match method {
                Method::Rosenbrock | Method::Bdf | Method::DiffsolBdf => 300.0,
                // of order 3 and 2
                Method::Esdirk | Method::Trbdf2 => 3000.0,
                Method::Adams => 30.0,
                _ => 10.0,
            };
            assert!(e < factor * 10f64.powi(-k), "{}: {e:e} at 1e-{k}", method.name());
        }
        // at 1e-4 `rosenbrock` is another method
        let slope = (errors[1] / errors[6]).log10() / 5.0;
        // an error per step of order p + 1 adds up to the power p/(p + 1) of the tolerance
        let least = if matches!(method, Method::Esdirk | Method::Trbdf2) { 0.6 } else { 0.75 };
        // `auto` is more careful the tighter the tolerance
        let most = if method == Method::Auto { 1.5 } else { 1.25 };
        assert!((least..most).contains(&slope), "{}: {slope} {errors:?}", method.name());
    }
}

#[test]
fn a_copy_goes_on_with_the_same_bits() {
    for method in all() {
        let mut p = classic::hires();
        let mut i = make(method, &options(method, 1e-6)).unwrap();
        i.start(&mut *p.sys, 0.0, &p.x0, 5.0).unwrap();
        for _ in 0..30 {
            i.step(&mut *p.sys).unwrap();
        }
        let mut copy = i.clone_box();
        let mut other = classic::hires();
        run(&mut *i, &mut *p.sys, 5.0);
        run(&mut *copy, &mut *other.sys, 5.0);
        assert_eq!(i.x(), copy.x(), "{}", method.name());
        assert_eq!(i.stats(), copy.stats(), "{}", method.name());
        // and a second start forgets the first
        let (x, stats) = (i.x().to_vec(), *i.stats());
        i.start(&mut *p.sys, 0.0, &p.x0, 5.0).unwrap();
        run(&mut *i, &mut *p.sys, 5.0);
        assert_eq!((i.x(), i.stats()), (&x[..], &stats), "{}", method.name());
    }
}

#[test]
fn restarts_and_stops_leave_the_solution() {
    for method in all() {
        let tolerance = match method {
            Method::Euler | Method::Milstein => 0.3,
            Method::ImplicitEuler => 0.01,
            _ => 2e-4,
        };
        let mut sys = Fixture::new(Smooth);
        let mut i = make(method, &options(method, 1e-6)).unwrap();
        i.start(&mut sys, 0.0, &exact(0.0), 0.0).unwrap();
        for k in 1..=20 {
            // stops that are not on the grid, once with a restart in the middle of the last step
            let stop = f64::from(k) * 0.499;
            i.set_stop(stop).unwrap();
            run(&mut *i, &mut sys, stop);
            assert_eq!(i.t(), stop, "{}", method.name());
            assert!(distance(i.x(), stop) < tolerance, "{}: {:e}", method.name(), distance(i.x(), stop));
            if k % 2 == 0 {
                let t = 0.5 * (i.t_prev() + i.t());
                let mut x = [0.0; 3];
                i.interpolate(t, &mut x);
                i.restart(&mut sys, t, &x, stop + 0.1).unwrap();
                assert_eq!((i.t(), i.x()), (t, &x[..]));
                i.interpolate(t, &mut x);
                assert_eq!(i.x(), &x[..]);
            }
        }
        assert_eq!(i.stats().restarts, 10, "{}", method.name());
    }
}

#[test]
fn dense_output_meets_the_states() {
    for method in all() {
        let mut p = classic::hires();
        let mut i = make(method, &options(method, 1e-6)).unwrap();
        i.start(&mut *p.sys, 0.0, &p.x0, 3.0).unwrap();
        let mut before = p.x0.clone();
        let mut x = vec![0.0; 8];
        while i.t() < 3.0 {
            let t = i.t();
            i.step(&mut *p.sys).unwrap();
            assert_eq!(i.t_prev(), t);
            i.interpolate(i.t_prev(), &mut x);
            assert_eq!(x, before, "{}", method.name());
            i.interpolate(i.t(), &mut x);
            assert_eq!(x, i.x(), "{}", method.name());
            // continuous at the ends, up to the interpolant's own rounding
            for (end, state) in [(t, &before), (i.t(), &i.x().to_vec())] {
                let inside = end + (0.5 * (t + i.t()) - end) * 1e-9;
                i.interpolate(inside, &mut x);
                for (a, b) in x.iter().zip(state) {
                    assert!((a - b).abs() < 1e-8, "{} {a} {b}", method.name());
                }
            }
            before.copy_from_slice(i.x());
        }
    }
}

#[test]
fn the_grid_does_not_drift() {
    for method in FIXED {
        let mut sys = Fixture::new(Smooth);
        let mut i = make(method, &Options { h: Some(0.1), ..Options::default() }).unwrap();
        i.start(&mut sys, 3.0, &exact(3.0), 1e9).unwrap();
        for k in 1..=10_000 {
            i.step(&mut sys).unwrap();
            assert_eq!(i.t(), 3.0 + f64::from(k) * 0.1);
        }
        // a stop between two points, and on to the grid
        let t = i.t();
        i.set_stop(t + 0.05).unwrap();
        i.step(&mut sys).unwrap();
        assert_eq!(i.t(), t + 0.05);
        i.set_stop(1e9).unwrap();
        i.step(&mut sys).unwrap();
        assert_eq!(i.t(), 3.0 + 10_001.0 * 0.1);
    }
}

/// `dx/dt = x²`: infinite at t = 1.
struct Explosion;
impl Ode for Explosion {
    fn dim(&self) -> usize {
        1
    }
    fn f<S: Scalar>(&self, _t: S, x: &[S], d: &mut [S]) {
        d[0] = x[0] * x[0];
    }
}

/// `dx/dt = -sqrt(x)`: runs out of its domain at t = 2, gently.
struct Draining;
impl Ode for Draining {
    fn dim(&self) -> usize {
        1
    }
    fn f<S: Scalar>(&self, _t: S, x: &[S], d: &mut [S]) {
        d[0] = -x[0].sqrt();
    }
}

#[test]
fn what_cannot_go_on_ends_with_an_error() {
    for method in ADAPTIVE {
        let mut sys = Fixture::new(Explosion);
        let mut i = make(method, &options(method, 1e-6)).unwrap();
        i.start(&mut sys, 0.0, &[1.0], 2.0).unwrap();
        let error = loop {
            if let Err(e) = i.step(&mut sys) {
                break e;
            }
            assert!(i.t() < 2.0 && i.stats().steps < 100_000, "{} goes through a pole", method.name());
        };
        assert!((i.t() - 1.0).abs() < 1e-3, "{}: {error} at {}", method.name(), i.t());
        assert!(
            matches!(error, SolveError::StepTooSmall { .. } | SolveError::NotFinite { .. }),
            "{}: {error:?}",
            method.name()
        );

        // a NaN in a trial only shrinks the step
        let mut sys = Fixture::new(Draining);
        let mut i = make(method, &options(method, 1e-6)).unwrap();
        i.start(&mut sys, 0.0, &[1.0], 1.9).unwrap();
        i.suggest(1.9);
        run(&mut *i, &mut sys, 1.9);
        let tolerance = if method == Method::ImplicitEuler { 1e-3 } else { 1e-5 };
        assert!((i.x()[0] - 0.0025).abs() < tolerance, "{}: {}", method.name(), i.x()[0]);

        // limits
        let mut sys = Fixture::new(Smooth);
        let o = Options { max_steps: 5, ..options(method, 1e-9) };
        let mut i = make(method, &o).unwrap();
        i.start(&mut sys, 0.0, &exact(0.0), 10.0).unwrap();
        let error = (0..10).find_map(|_| i.step(&mut sys).err()).unwrap();
        assert!(matches!(error, SolveError::TooManySteps { .. }), "{}: {error:?}", method.name());
        let o = Options { h_max: 0.01, ..options(method, 1e-3) };
        let mut i = make(method, &o).unwrap();
        i.start(&mut sys, 0.0, &exact(0.0), 1.0).unwrap();
        while i.t() < 1.0 {
            i.step(&mut sys).unwrap();
            assert!(i.t() - i.t_prev() <= 0.01 * (1.0 + 1e-9), "{}", method.name());
        }
    }
    for method in all() {
        let mut sys = Fixture::new(Smooth);
        let o = options(method, 1e-6);
        let mut i = make(method, &o).unwrap();
        assert_eq!(i.step(&mut sys), Err(SolveError::NotStarted), "{}", method.name());
        assert_eq!(
            i.start(&mut sys, 0.0, &[1.0], 1.0),
            Err(SolveError::Dimension { expected: 3, got: 1 }),
            "{}",
            method.name()
        );
        assert_eq!(
            i.start(&mut sys, 1.0, &exact(0.0), 0.0),
            Err(SolveError::StopTime { t: 1.0, stop: 0.0 }),
            "{}",
            method.name()
        );
        assert_eq!(
            i.start(&mut sys, 0.0, &[1.0, f64::NAN, 1.0], 1.0),
            Err(SolveError::NotFinite { t: 0.0, state: 1 }),
            "{}",
            method.name()
        );
        i.start(&mut sys, 0.0, &exact(0.0), 0.0).unwrap();
        assert!(matches!(i.step(&mut sys), Err(SolveError::StopTime { .. })), "{}", method.name());
    }
    assert!(matches!(make(Method::Rk4, &Options::default()), Err(SolveError::StepSize { .. })));
}

/// What a solve takes: a change here is a change of cost.
#[test]
fn work_is_pinned() {
    let mut text = String::new();
    let mut add = |mut p: Problem, method: Method, rtol: f64, h: Option<f64>, end: f64| {
        let o = Options { tolerances: Tolerances::uniform(rtol, rtol * 1e-4), h, ..Options::default() };
        let mut i = make(method, &o).unwrap();
        i.start(&mut *p.sys, 0.0, &p.x0, end).unwrap();
        run(&mut *i, &mut *p.sys, end);
        let s = i.stats();
        writeln!(
            text,
            "{:11} {:11} {rtol:e}: steps {} rejected {} rhs {} jac {} factor {} solves {}",
            p.name,
            method.name(),
            s.steps,
            s.rejected,
            s.rhs,
            s.jac,
            s.factorizations,
            s.solves
        )
        .unwrap();
    };
    add(classic::pleiades(), Method::Euler, 1.0, Some(0.01), 3.0);
    add(classic::pleiades(), Method::Rk4, 1.0, Some(0.01), 3.0);
    for method in [Method::Tsit5, Method::Dopri5, Method::Auto] {
        add(classic::pleiades(), method, 1e-8, None, 3.0);
    }
    for method in [Method::Rosenbrock, Method::Auto] {
        for rtol in [1e-4, 1e-6, 1e-8] {
            add(classic::robertson(), method, rtol, None, 4e10);
            add(classic::hires(), method, rtol, None, 321.8122);
            add(classic::pollution(), method, rtol, None, 60.0);
        }
    }
    expect_test::expect![[r#"
        pleiades    euler       1e0: steps 300 rejected 0 rhs 301 jac 0 factor 0 solves 0
        pleiades    rk4         1e0: steps 300 rejected 0 rhs 1201 jac 0 factor 0 solves 0
        pleiades    tsit5       1e-8: steps 498 rejected 37 rhs 3212 jac 0 factor 0 solves 0
        pleiades    dopri5      1e-8: steps 467 rejected 49 rhs 3098 jac 0 factor 0 solves 0
        pleiades    auto        1e-8: steps 1066 rejected 36 rhs 2381 jac 0 factor 0 solves 0
        robertson   rosenbrock  1e-4: steps 84 rejected 3 rhs 520 jac 84 factor 87 solves 522
        hires       rosenbrock  1e-4: steps 65 rejected 15 rhs 466 jac 65 factor 80 solves 480
        pollution   rosenbrock  1e-4: steps 21 rejected 0 rhs 127 jac 21 factor 21 solves 126
        robertson   rosenbrock  1e-6: steps 167 rejected 3 rhs 1358 jac 167 factor 170 solves 1360
        hires       rosenbrock  1e-6: steps 140 rejected 12 rhs 1205 jac 140 factor 152 solves 1216
        pollution   rosenbrock  1e-6: steps 39 rejected 0 rhs 313 jac 39 factor 39 solves 312
        robertson   rosenbrock  1e-8: steps 376 rejected 5 rhs 3044 jac 376 factor 381 solves 3048
        hires       rosenbrock  1e-8: steps 548 rejected 5 rhs 4420 jac 548 factor 553 solves 4424
        pollution   rosenbrock  1e-8: steps 100 rejected 1 rhs 808 jac 100 factor 101 solves 808
        robertson   auto        1e-4: steps 84 rejected 3 rhs 559 jac 84 factor 87 solves 522
        hires       auto        1e-4: steps 74 rejected 16 rhs 552 jac 39 factor 53 solves 318
        pollution   auto        1e-4: steps 21 rejected 0 rhs 145 jac 21 factor 21 solves 126
        robertson   auto        1e-6: steps 167 rejected 3 rhs 1425 jac 167 factor 170 solves 1360
        hires       auto        1e-6: steps 161 rejected 11 rhs 1293 jac 101 factor 110 solves 880
        pollution   auto        1e-6: steps 39 rejected 0 rhs 337 jac 39 factor 39 solves 312
        robertson   auto        1e-8: steps 563 rejected 12 rhs 3891 jac 425 factor 428 solves 3424
        hires       auto        1e-8: steps 893 rejected 37 rhs 5186 jac 513 factor 516 solves 4128
        pollution   auto        1e-8: steps 134 rejected 1 rhs 1136 jac 134 factor 135 solves 1080
    "#]]
    .assert_eq(&text);
}
