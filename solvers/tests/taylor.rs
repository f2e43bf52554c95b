//! The Taylor method on systems whose coefficients are written down by hand: its order, its work, its dense output, and
//! that a restart goes on as if nothing had been.
#![allow(clippy::unwrap_used, reason = "tests")]

mod problems;

use problems::recurrences::{Model, Two};
use twinml_solvers::error::SolveError;
use twinml_solvers::integrator::{Integrator, Method, Options, Tolerances, make};
use twinml_solvers::taylor::order;

fn begun(sys: &mut Two, rtol: f64, h_max: f64, end: f64) -> Box<dyn Integrator> {
    let tolerances = Tolerances::uniform(rtol, rtol);
    let mut i = make(Method::Taylor, &Options { tolerances, h_max, ..Options::default() }).unwrap();
    let x0 = if matches!(sys.0, Model::Late) { [0.0, 1.0] } else { [1.0, 0.0] };
    i.start(sys, 0.0, &x0, end).unwrap();
    i
}

fn run(sys: &mut Two, rtol: f64, h_max: f64, end: f64) -> Box<dyn Integrator> {
    let mut i = begun(sys, rtol, h_max, end);
    while i.t() < end {
        i.step(sys).unwrap();
    }
    i
}

#[test]
fn with_small_steps_it_has_its_order() {
    // Order 8 for 0.2, whose own step is longer than these.
    let p = order(0.2);
    assert_eq!(p, 8);
    let error = |h: f64| {
        let i = run(&mut Two::new(Model::Oscillator), 0.2, h, 4.0);
        assert_eq!(i.stats().steps, (4.0 / h) as u64);
        (i.x()[0] - f64::cos(4.0)).hypot(i.x()[1] + f64::sin(4.0))
    };
    let observed = (error(0.5) / error(0.25)).log2();
    assert!((observed - f64::from(p)).abs() < 0.1, "{observed}");
}

#[test]
fn errors_follow_tolerances_and_the_work_is_known() {
    for (rtol, steps, within) in [(1e-4, 57, 2.0), (1e-8, 64, 1.0), (1e-12, 65, 1.0)] {
        let i = run(&mut Two::new(Model::Oscillator), rtol, f64::INFINITY, 100.0);
        let error = (i.x()[0] - f64::cos(100.0)).hypot(i.x()[1] + f64::sin(100.0));
        assert!(error < within * rtol, "{rtol}: {error}");
        // One expansion a step, and one for the start.
        assert_eq!((i.stats().rejected, i.stats().rhs), (0, i.stats().steps + 1), "{rtol}");
        assert_eq!(i.stats().steps, steps, "{rtol}");
    }
}

#[test]
fn coefficients_that_vanish_at_the_start_mislead_no_step() {
    let i = run(&mut Two::new(Model::Late), 1e-6, f64::INFINITY, 1.5);
    let exact = f64::powi(1.5, 20);
    assert!((i.x()[0] / exact - 1.0).abs() < 1e-5, "{} of {exact}", i.x()[0]);
    assert!(i.stats().rejected > 0, "the defect has to refuse the first guess");
}

#[test]
fn dense_output_is_exact_and_restarts_change_nothing() {
    let mut sys = Two::new(Model::Oscillator);
    let mut i = begun(&mut sys, 1e-10, f64::INFINITY, 50.0);
    let (mut out, mut worst) = ([0.0; 2], 0.0_f64);
    while i.t() < 50.0 {
        i.step(&mut sys).unwrap();
        for k in 0..=8 {
            let t = i.t_prev() + (i.t() - i.t_prev()) * f64::from(k) / 8.0;
            i.interpolate(t, &mut out);
            worst = worst.max((out[0] - t.cos()).abs()).max((out[1] + t.sin()).abs());
        }
    }
    assert!(worst < 1e-9, "{worst}");

    // A restart where a step has ended takes the same steps, growth from the start aside.
    let mut on = begun(&mut sys, 1e-10, f64::INFINITY, 50.0);
    (0..5).for_each(|_| on.step(&mut sys).unwrap());
    let mut anew = on.clone_box();
    let (t, x) = (on.t(), on.x().to_vec());
    anew.restart(&mut sys, t, &x, 50.0).unwrap();
    while on.t() < 50.0 {
        on.step(&mut sys).unwrap();
        anew.step(&mut sys).unwrap();
        assert_eq!((on.t(), on.x()), (anew.t(), anew.x()));
    }
}

#[test]
fn without_recurrences_it_says_so() {
    let mut i = make(Method::Taylor, &Options::default()).unwrap();
    assert_eq!(i.step(&mut Two::new(Model::None)), Err(SolveError::NotStarted));
    assert_eq!(i.start(&mut Two::new(Model::None), 0.0, &[0.0, 0.0], 1.0), Err(SolveError::NoTaylor));
}
