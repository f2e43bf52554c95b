#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
mod support;
use std::sync::Arc;
use twinml_jit::{Compiled, OptLevel};
use twinml_model::host::{Machine, Memory, NoHost};
use twinml_model::ir::Space;
use twinml_model::passes::rk4;

#[test]
fn fused() {
    for make in [support::lorenz, support::pendulum, support::quad6] {
        let program = Arc::new(make());
        let kernel = rk4::fuse(&program, 0.0, 1e-3, 10_000).unwrap();
        let mut bits = Vec::new();
        let mut first = Vec::new();
        for level in [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::O3] {
            let mut c = Compiled::compile(program.clone(), level).unwrap();
            let t = std::time::Instant::now();
            let id = c.add(kernel.clone());
            c.prepare(id, level.best()).unwrap();
            let dt = t.elapsed();
            let mut best = f64::MAX;
            for _ in 0..20 {
                let mut m = Memory::new(&program);
                let t = std::time::Instant::now();
                c.run(id, &mut m, &mut NoHost).unwrap();
                best = best.min(t.elapsed().as_secs_f64() / 1e4 * 1e9);
                bits = m.space(Space::State).to_vec();
            }
            println!("{} {level:?} compile {dt:?} {best:.2} ns/step {:?}", program.name, bits);
            if level == OptLevel::O2 && std::env::var("ASM").is_ok() {
                println!("{}", c.clif(id).unwrap());
                println!("{}", c.assembly(id).unwrap());
            }
            if level > OptLevel::O0 {
                assert_eq!(bits, first);
            } else {
                first = bits.clone();
            }
        }
    }
}
