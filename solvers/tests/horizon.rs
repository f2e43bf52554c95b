//! A stop time that somebody else sets (an action later on) tells nothing before it: parts of a method that begin by
//! themselves on the way take the horizon for their stop, and steps before the stop have the same bits with and without it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod problems;

use problems::recurrences::{Model, Two};
use problems::scalar::Scalar;
use problems::{Fixture, Ode};
use twinml_solvers::integrator::{Integrator, Method, Options, Tolerances, make};
use twinml_solvers::system::System;

const END: f64 = 9.0;

/// Its slope is next to nothing where it bends most (t = 0, π/3, …), so that the first step of a start is long before it is
/// measured.
struct Bends;

impl Ode for Bends {
    fn dim(&self) -> usize {
        1
    }
    fn f<S: Scalar>(&self, t: S, _: &[S], d: &mut [S]) {
        d[0] = (t * 3.0).sin() * 0.5 + 1e-4;
    }
    fn autonomous(&self) -> bool {
        false
    }
}

/// Slow at first, and from 1 s on as stiff as can be: methods that choose turn on the way.
struct Stiffens;

impl Ode for Stiffens {
    fn dim(&self) -> usize {
        2
    }
    fn f<S: Scalar>(&self, t: S, x: &[S], d: &mut [S]) {
        let grown = ((t - 1.5) * 30.0).exp();
        let rate = grown / (grown + 1.0) * 1e5 + 0.1;
        d[0] = (t * 3.0).sin() * 0.5 + 1e-4;
        d[1] = (x[0] - x[1]) * rate;
    }
    fn autonomous(&self) -> bool {
        false
    }
}

fn system(stiffens: bool) -> (Box<dyn System>, usize) {
    if stiffens { (Box::new(Fixture::new(Stiffens)), 2) } else { (Box::new(Fixture::new(Bends)), 1) }
}

/// A step: where it began and ended, whether a trial before it was longer, the state at its end.
type Step = (f64, f64, bool, Vec<u64>);

/// The steps that follow where the method begins anew at `anew`, up to the stop time. `horizon` is what parts are told.
fn steps(method: Method, stiffens: bool, anew: f64, stop: f64, horizon: f64) -> Vec<Step> {
    let options = Options { tolerances: Tolerances::uniform(1e-6, 1e-9), ..Options::default() };
    let (mut sys, n) = system(stiffens);
    let mut i: Box<dyn Integrator> = make(method, &options).unwrap();
    i.start(&mut *sys, 0.0, &vec![1.0; n], END).unwrap();
    while i.t() < anew {
        i.step(&mut *sys).unwrap();
    }
    let mut x = vec![0.0; n];
    i.interpolate(anew, &mut x);
    i.restart(&mut *sys, anew, &x, END).unwrap();
    i.set_stop(stop).unwrap();
    i.set_horizon(horizon);
    let mut out = Vec::new();
    while i.t() < stop.min(anew + 1.6) {
        let rejected = i.stats().rejected;
        i.step(&mut *sys).unwrap();
        let bits = i.x().iter().map(|x| x.to_bits()).collect();
        out.push((i.t_prev(), i.t(), i.stats().rejected > rejected, bits));
    }
    out
}

/// How many stop times show in steps that do not come near them.
fn told(method: Method, stiffens: bool, horizon: impl Fn(f64) -> f64) -> usize {
    let mut told = 0;
    // Where the slope is next to nothing.
    for k in 1..=3 {
        let anew = std::f64::consts::PI / 3.0 * f64::from(k);
        let free = steps(method, stiffens, anew, END, END);
        for k in 1..=30 {
            let stop = anew + 0.05 * f64::from(k);
            let held = steps(method, stiffens, anew, stop, horizon(stop));
            // What is cut, or halved lest a rest be left, is told; so is a trial that was longer than its step.
            let far = free.iter().take_while(|(from, to, longer, _)| {
                from + if *longer { 20.0 } else { 2.1 } * (to - from) < stop
            });
            let same = far.zip(&held).all(|(a, b)| a.1.to_bits() == b.1.to_bits() && a.3 == b.3);
            told += usize::from(!same);
        }
    }
    told
}

#[test]
fn a_stop_time_does_not_tell_before_it_comes() {
    for method in [Method::Auto, Method::Bdf, Method::Rosenbrock] {
        for stiffens in [false, true] {
            assert_eq!(told(method, stiffens, |_| END), 0, "{} {stiffens}", method.name());
        }
    }
}

/// What the test above would find: parts that take the stop time itself.
#[test]
fn a_part_that_takes_the_stop_time_for_its_own_would_tell() {
    assert!(told(Method::Bdf, false, |stop| stop) > 0, "the problem has no start that its stop time changes");
}

/// What `auto` ends with on an oscillation of 4 000 s beside a clock, where the end of the run is known and where it is not; the
/// error at the end, and steps.
fn beside_a_clock(every: f64, known: bool) -> (Method, f64, u64) {
    const LAST: f64 = 4000.0;
    let options = Options { tolerances: Tolerances::uniform(1e-8, 1e-8), ..Options::default() };
    let mut sys = Two::new(Model::Oscillator);
    let mut i = make(Method::Auto, &options).unwrap();
    if known {
        i.set_end(LAST);
    }
    i.start(&mut sys, 0.0, &[1.0, 0.0], every).unwrap();
    let mut ticks = 1.0;
    while i.t() < LAST {
        while i.t() < ticks * every {
            i.step(&mut sys).unwrap();
        }
        ticks += 1.0;
        i.set_stop(ticks * every).unwrap();
        i.set_horizon(ticks * every);
    }
    (i.choice().method, (i.x()[0] - i.t().cos()).abs(), i.stats().steps)
}

/// Ticks that change nothing that is integrated end steps, and that is all: what preparations are worth goes by the end of the
/// run.
#[test]
fn a_clock_does_not_hide_how_long_a_run_is() {
    let (method, error, steps) = beside_a_clock(2.0, true);
    assert_eq!(method, Method::Taylor);
    assert!(error < 4e-6, "{error:e}");
    let (blind, _, more) = beside_a_clock(2.0, false);
    assert_ne!(blind, Method::Taylor);
    assert!(4 * steps < more, "{steps} of {more} steps");
}
