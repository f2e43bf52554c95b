//! Single stiff solves, set-up included: criterion's statistics for each, then a table beside CVODE 7 where
//! it is installed.
//!
//! `PEERS_DIR` names the folder with the `cvode7` program (default: `.peers` in the project's root). Ours and
//! the peer's solves are interleaved; the best CPU time of each counts. Errors are against the peer's own
//! solution at a tolerance of 1e-12, as `max |x − r| / (|r| + atol/rtol)`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

#[path = "../../benches/shared/peer.rs"]
mod peer;
#[path = "../tests/problems/mod.rs"]
mod problems;

use cpu_time::ThreadTime;
use criterion::{Criterion, criterion_group};
use peer::{ask, number};
use problems::{Problem, classic, stiff};
use twinml_solvers::integrator::{Integrator, Method, Options, Tolerances, make};

fn solve(method: Method, p: &mut Problem, rtol: f64, atol: f64) -> Box<dyn Integrator> {
    let options = Options { tolerances: Tolerances::uniform(rtol, atol), ..Options::default() };
    let mut i = make(method, &options).unwrap();
    i.start(&mut *p.sys, p.t0, &p.x0, p.t1).unwrap();
    while i.t() < p.t1 {
        i.step(&mut *p.sys).unwrap();
    }
    i
}

/// Problem, its name and size for the peer, the peer's linear solver, repetitions.
fn cases() -> Vec<(Problem, &'static str, usize, &'static str, u32)> {
    vec![
        (classic::robertson_long(), "rob", 3, "d", 50),
        (classic::hires(), "hires", 8, "d", 50),
        (classic::pollution(), "pollu", 20, "d", 50),
        (stiff::brusselator(500), "bruss", 500, "b", 10),
        (stiff::heat(500), "heat", 500, "b", 10),
        (stiff::brusselator(5000), "bruss", 5000, "b", 5),
        (stiff::heat(5000), "heat", 5000, "b", 5),
    ]
}

fn methods(n: usize) -> &'static [Method] {
    if n < 100 { &[Method::Bdf, Method::Rosenbrock] } else { &[Method::Bdf] }
}

fn bench(c: &mut Criterion) {
    for (mut p, name, n, _, _) in cases() {
        let mut group = c.benchmark_group(format!("{name} {n}"));
        group.sample_size(10);
        for &method in methods(n) {
            group.bench_function(method.name(), |b| {
                b.iter(|| solve(method, &mut p, 1e-6, 1e-9).stats().steps)
            });
        }
        group.finish();
    }
}

fn table() {
    let Some(program) = peer::cvode() else {
        println!("no cvode7 in PEERS_DIR: no table beside it");
        return;
    };
    let folder = std::env::temp_dir().join(format!("stiff-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    println!(
        "| problem | rtol | method | ours µs | CVODE µs | ratio | ours error | CVODE error | rhs | CVODE rhs |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (mut p, name, n, linear, repeats) in cases() {
        let words = |rtol: f64, atol: f64, rest: &[&str]| {
            let mut list = vec![name.to_string(), n.to_string(), rtol.to_string(), atol.to_string()];
            list.extend(rest.iter().map(|s| (*s).to_string()));
            list
        };
        let reference = ask(&program, &folder, &words(1e-12, 1e-15, &[linear, "1", "print"]));
        std::fs::write(folder.join(format!("ref_{name}_{n}.txt")), &reference).unwrap();
        p.reference = reference.lines().map(|l| l.trim().parse().unwrap()).collect();
        for rtol in [1e-4, 1e-6, 1e-8] {
            let atol = if name == "rob" { rtol * 1e-4 } else { rtol * 1e-3 };
            for &method in methods(n) {
                let (mut ours, mut theirs) = (f64::INFINITY, f64::INFINITY);
                let (mut error, mut rhs, mut said) = (0.0, 0, String::new());
                for _ in 0..4 {
                    for _ in 0..repeats {
                        let clock = ThreadTime::now();
                        let i = solve(method, &mut p, rtol, atol);
                        ours = ours.min(clock.elapsed().as_secs_f64() * 1e6);
                        error = p.error_scaled(i.x(), atol / rtol);
                        rhs = i.stats().rhs;
                    }
                    said = ask(&program, &folder, &words(rtol, atol, &[linear, &repeats.to_string()]));
                    theirs = theirs.min(number(&said, &format!("{linear}: ")));
                }
                println!(
                    "| {name} {n} | {rtol:.0e} | {} | {ours:.1} | {theirs:.1} | {:.2} | {error:.1e} | {:.1e} | {rhs} | {} |",
                    method.name(),
                    theirs / ours,
                    number(&said, "max scaled rel err "),
                    number(&said, "rhs ")
                );
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}

criterion_group!(benches, bench);

fn main() {
    if std::env::var_os("ONLY_TABLE").is_none() {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
    // `cargo test --benches` and `--list` only check that the bench runs
    if std::env::args().any(|a| a == "--bench") {
        table();
    }
}
