//! What a recorded row costs: columns of reals and one of whole numbers that stands still, to a Parquet file.
//!
//! `cargo bench -p twinc --bench record` prints nanoseconds of CPU time a row, user and system, of all threads, the least of
//! several rounds, with `twinc`'s allocator. The rows come from memory that is in the nearest cache.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use cpu_time::ProcessTime;
use twinml_engine::record::{self, ColumnSpec, Columns, Element};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    for (states, rows) in [(50, 1_000_000u32), (5, 5_000_000), (1_000, 50_000)] {
        let mut specs = vec![ColumnSpec::real("time"), ColumnSpec::of("step", Element::Int)];
        specs.extend((0..states).map(|k| ColumnSpec::real(format!("x{k}"))));
        let columns = Columns::new(specs).unwrap();
        let x: Vec<f64> = (0..states + 32).map(|k| f64::from(k).sin()).collect();
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let begin = ProcessTime::now();
            let mut recorder = record::open(&path, columns.clone(), &Vec::new()).unwrap();
            for k in 0..rows {
                let x = &x[(k % 32) as usize..][..states as usize];
                recorder
                    .row_by(&mut |row| {
                        row.extend([f64::from(k), 0.0]);
                        row.extend_from_slice(x);
                    })
                    .unwrap();
            }
            recorder.finish().unwrap();
            best = best.min(begin.elapsed().as_secs_f64());
        }
        println!("{states:5} states: {:7.1} ns a row", best * 1e9 / f64::from(rows));
    }
}
