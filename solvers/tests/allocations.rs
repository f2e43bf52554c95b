//! Steps, dense output and restarts allocate nothing. A binary of its own with one test: the counters
//! belong to the whole process.
#![allow(clippy::unwrap_used, reason = "tests")]

mod problems;

use problems::recurrences::{Model, Two};
use problems::{classic, stiff};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System as Heap;
use twinml_solvers::integrator::{Method, Options, Tolerances, make};

#[global_allocator]
static HEAP: &StatsAlloc<Heap> = &INSTRUMENTED_SYSTEM;

const METHODS: [Method; 8] = [
    Method::ImplicitEuler,
    Method::Adams,
    Method::Bdf,
    Method::Rosenbrock,
    Method::Tsit5,
    Method::Dopri5,
    Method::Euler,
    Method::Rk4,
];

#[test]
fn steps_allocate_nothing() {
    for method in METHODS {
        for mut p in [classic::hires(), classic::pollution(), stiff::brusselator(60)] {
            let tolerances = Tolerances::uniform(1e-6, 1e-9);
            // explicit methods do not get far on stiff problems
            let (h, end) = if method.implicit() { (None, p.t1) } else { (Some(1e-13), 1e-10) };
            let mut i = make(method, &Options { tolerances, h, ..Options::default() }).unwrap();
            i.start(&mut *p.sys, p.t0, &p.x0, end).unwrap();
            let mut out = vec![0.0; p.x0.len()];
            // the first factorisation of a sparse matrix finds its pattern
            i.step(&mut *p.sys).unwrap();
            let region = Region::new(HEAP);
            while i.t() < end {
                i.step(&mut *p.sys).unwrap();
                i.interpolate(0.5 * (i.t_prev() + i.t()), &mut out);
            }
            let x = out;
            i.restart(&mut *p.sys, i.t(), &x, f64::INFINITY).unwrap();
            let change = region.change();
            assert_eq!(change.allocations + change.reallocations, 0, "{} by {}", p.name, method.name());
        }
    }

    let mut sys = Two::new(Model::Oscillator);
    let options = Options { tolerances: Tolerances::uniform(1e-10, 1e-10), ..Options::default() };
    let mut i = make(Method::Taylor, &options).unwrap();
    i.start(&mut sys, 0.0, &[1.0, 0.0], 50.0).unwrap();
    let mut out = [0.0; 2];
    let region = Region::new(HEAP);
    while i.t() < 50.0 {
        i.step(&mut sys).unwrap();
        i.interpolate(0.5 * (i.t_prev() + i.t()), &mut out);
    }
    i.restart(&mut sys, 50.0, &out, f64::INFINITY).unwrap();
    let change = region.change();
    assert_eq!(change.allocations + change.reallocations, 0, "taylor");
}
