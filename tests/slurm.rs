//! `deploy/slurm.sh` on a real Slurm: sixteen shards as an array job, merged by a job that waits for them, with the bytes of
//! the job in one piece. The Slurm is one of one machine, of Debian's packages, in a folder of its own
//! (`tests/peers/slurm/cluster`). Where it cannot be, the test says so and is left out; with `TWINML_SLURM=1` (as CI sets it
//! where it could install the packages) that is an error.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const MODEL: &str = "
twin Decay {
  parameters {
    k: Real[1/s] = 0.5 ~ lognormal(0.5, 0.1)
    b: Real = 1 ~ uniform(0, 1)
    correlate(k, b: 0.6)
  }
  states { x: Real = 1 ~ uniform(0.9, 1.1) }
  equations { der(x) = -k * x }
  constraints { small: always(b < 0.8) with probability >= 0.7; low: eventually(x < 0.4) }
}
scenario s for Decay { duration: 2 s; samples: 800 }
";

/// The cluster: stopped when the test ends, however it does.
struct Cluster<'a>(&'a Path);

impl Cluster<'_> {
    fn script(args: &[&str]) -> Command {
        let mut c = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/slurm/cluster"));
        c.args(args);
        c
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let o = Command::new(program)
            .args(args)
            .env("SLURM_CONF", self.0.join("slurm.conf"))
            .env("TWINC", env!("CARGO_BIN_EXE_twinc"))
            .current_dir(self.0)
            .output()
            .unwrap();
        assert!(o.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&o.stderr));
        String::from_utf8(o.stdout).unwrap()
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        let _ = Cluster::script(&["stop", self.0.to_str().unwrap()]).status();
    }
}

#[test]
fn sixteen_shards_of_an_array_job_merge_to_the_bytes_of_one() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    // Two ports that are free now; held until both are known.
    let ports = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let [control, node] = ports.map(|p| p.local_addr().unwrap().port().to_string());
    let cluster = Cluster(dir);
    let started = Cluster::script(&["start", dir.to_str().unwrap(), &control, &node]).output().unwrap();
    if !started.status.success() {
        let why = String::from_utf8_lossy(&started.stderr).into_owned();
        let wanted = std::env::var_os("TWINML_SLURM").is_some();
        assert!(started.status.code() == Some(3) && !wanted, "{why}");
        eprintln!("left out: {}", why.trim());
        return;
    }
    fs::write(dir.join("m.twinml"), MODEL).unwrap();
    let twinc = env!("CARGO_BIN_EXE_twinc");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/slurm.sh");
    let shards = ["--array=0-15", "--output=shard-%a.log", script, "m.twinml", "sharded", "--scenario", "s"];
    cluster.run("sbatch", &shards);
    // Of the same name, so that it waits for the shards: as in `deploy/README.md`.
    let merge = format!("{twinc} mc merge sharded");
    let then = ["--dependency=singleton", "--job-name=twinc-mc", "--output=merge.log", "--wrap", &merge];
    cluster.run("sbatch", &then);
    let log = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    let begun = Instant::now();
    while !cluster.run("squeue", &["-h"]).trim().is_empty() {
        let late = begun.elapsed() > Duration::from_secs(180);
        assert!(!late, "{}\n{}", cluster.run("squeue", &[]), log("slurmctld.log"));
        sleep(Duration::from_millis(200));
    }
    for k in 0..16 {
        let text = log(&format!("shard-{k}.log"));
        assert!(text.contains(&format!("shard {} of 16", k + 1)), "{text}");
    }
    assert!(log("merge.log").contains("Merged 16 shards of 800 runs"), "{}", log("merge.log"));
    let one = Command::new(twinc)
        .args(["mc", "m.twinml", "--scenario", "s", "--out", "whole"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(matches!(one.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&one.stderr));
    for name in ["runs.parquet", "summary.json", "report.html"] {
        let read = |folder: &str| fs::read(dir.join(folder).join(name)).unwrap();
        assert!(read("sharded") == read("whole"), "{name}");
    }
}
