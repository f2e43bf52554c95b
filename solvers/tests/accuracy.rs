//! Known solutions of classic problems.
#![allow(clippy::unwrap_used, reason = "tests")]

mod problems;

use problems::{Problem, classic};
use twinml_solvers::integrator::{Integrator, Method, Options, Tolerances, make};

fn solve(method: Method, p: &mut Problem, rtol: f64, atol: f64) -> Box<dyn Integrator> {
    let options =
        Options { tolerances: Tolerances::uniform(rtol, atol), max_steps: 10_000_000, ..Options::default() };
    let mut i = make(method, &options).unwrap();
    i.start(&mut *p.sys, p.t0, &p.x0, p.t1).unwrap();
    while i.t() < p.t1 {
        i.step(&mut *p.sys).unwrap_or_else(|e| panic!("{}: {e}", p.name));
    }
    i
}

/// Relative error at the end with `rtol` 1e-8.
fn check(method: Method, mut p: Problem, error: f64) {
    let atol = p.atol;
    let i = solve(method, &mut p, 1e-8, atol);
    let e = p.error(i.x(), 1e-30);
    assert!(e <= error, "{} by {}: relative error {e:.2e}, {:?}", p.name, method.name(), i.stats());
}

#[test]
fn rosenbrock_on_stiff_problems() {
    check(Method::Rosenbrock, classic::robertson(), 1e-7);
    check(Method::Rosenbrock, classic::hires(), 1e-7);
    check(Method::Rosenbrock, classic::pollution(), 1e-7);
    check(Method::Rosenbrock, classic::van_der_pol(), 1e-7);
    check(Method::Rosenbrock, classic::oregonator(), 1e-7);
}

#[test]
fn explicit_pairs_on_orbits() {
    // the orbit of the seven stars multiplies errors
    check(Method::Tsit5, classic::pleiades(), 1e-5);
    check(Method::Dopri5, classic::pleiades(), 1e-5);
}

#[test]
fn auto_on_everything() {
    check(Method::Auto, classic::robertson(), 1e-6);
    check(Method::Auto, classic::hires(), 1e-6);
    check(Method::Auto, classic::pollution(), 1e-6);
    check(Method::Auto, classic::van_der_pol(), 1e-6);
    check(Method::Auto, classic::oregonator(), 1e-6);
    check(Method::Auto, classic::pleiades(), 1e-6);
}

/// Tolerances of 1e-8 and 1e-12; six digits of every value above 2e-6.
#[test]
fn auto_on_detest() {
    for mut p in problems::detest::mild().into_iter().chain(problems::detest::stiff()) {
        let i = solve(Method::Auto, &mut p, 1e-8, 1e-12);
        let e = p.error(i.x(), 2e-6);
        assert!(e <= 1e-6, "{}: {e:.1e}, {:?}, {:?}", p.name, i.stats(), i.choice());
    }
}
