//! Times single solves of small stiff problems: `bench PROBLEM METHOD RTOL ATOL REPEATS`. Prints the best
//! time, the work and the error, in the words of the CVODE bench beside it. `REFERENCE=FILE` names a file
//! with the solution at the end, a number a line; `SOLVE_REFERENCE=1` computes it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool")]

#[path = "../tests/problems/mod.rs"]
mod problems;

use problems::{classic, stiff};
use std::time::Instant;
use twinml_solvers::integrator::{Method, Options, Tolerances, make};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, method, rtol, atol, repeats] = &args[..] else {
        println!("bench PROBLEM METHOD RTOL ATOL REPEATS");
        return;
    };
    let method = Method::from_name(method).expect("a method");
    let (rtol, atol): (f64, f64) = (rtol.parse().unwrap(), atol.parse().unwrap());
    let mut p = match name.as_str() {
        "rob" => classic::robertson_long(),
        name if name.starts_with("bruss") => stiff::brusselator(name[5..].parse().unwrap()),
        name if name.starts_with("heat") => stiff::heat(name[4..].parse().unwrap()),
        "akzo" => stiff::medical_akzo(),
        "ring" => stiff::ring_modulator(),
        name => classic::all().into_iter().find(|p| p.name.starts_with(name)).expect("a problem"),
    };
    if std::env::var("SOLVE_REFERENCE").is_ok() {
        let options = Options { tolerances: Tolerances::uniform(1e-11, 1e-14), ..Options::default() };
        let mut i = make(Method::Rosenbrock, &options).unwrap();
        i.start(&mut *p.sys, p.t0, &p.x0, p.t1).unwrap();
        while i.t() < p.t1 {
            i.step(&mut *p.sys).unwrap();
        }
        p.reference.copy_from_slice(i.x());
    }
    if let Ok(file) = std::env::var("REFERENCE") {
        let text = std::fs::read_to_string(file).unwrap();
        p.reference = text.lines().map(|l| l.parse().unwrap()).collect();
    }
    let options = Options { tolerances: Tolerances::uniform(rtol, atol), ..Options::default() };
    let mut best = f64::INFINITY;
    let mut report = String::new();
    for _ in 0..repeats.parse().unwrap() {
        let start = Instant::now();
        let mut i = make(method, &options).unwrap();
        i.start(&mut *p.sys, p.t0, &p.x0, p.t1).unwrap();
        while i.t() < p.t1 {
            i.step(&mut *p.sys).unwrap();
        }
        best = best.min(start.elapsed().as_secs_f64());
        let s = i.stats();
        report = format!(
            "steps {} rejected {} rhs {} jac {} factor {} solves {} max scaled rel err {:.1e} {:?}",
            s.steps,
            s.rejected,
            s.rhs,
            s.jac,
            s.factorizations,
            s.solves,
            p.error_scaled(i.x(), atol / rtol),
            i.choice()
        );
    }
    println!("{} {name} rtol={rtol:.0e}: {:.1} us  {report}", method.name(), best * 1e6);
}
