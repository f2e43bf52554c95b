//! A folder with a model, and `twinc mc` in it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// A folder of its own with the model `m.twinml`.
pub struct Place(tempfile::TempDir);

/// What a command came to.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new(model: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("m.twinml"), model).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_twinc"));
        c.args(args).current_dir(self.0.path());
        for name in ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"] {
            c.env_remove(name);
        }
        for name in ["JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"] {
            c.env_remove(name);
        }
        c
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args))
    }

    pub fn mc(&self, args: &[&str]) -> Ran {
        self.run(&[&["mc", "m.twinml"], args].concat())
    }

    /// The bytes of a job's results.
    pub fn bits(&self, folder: &str) -> (Vec<u8>, Vec<u8>) {
        let read = |name: &str| fs::read(self.path(folder).join(name)).unwrap();
        (read("runs.parquet"), read("summary.json"))
    }

    pub fn summary(&self, folder: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(folder).join("summary.json")).unwrap()).unwrap()
    }
}

pub fn ran(mut c: Command) -> Ran {
    let o = c.output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    Ran { code: o.status.code(), out: text(&o.stdout), err: text(&o.stderr) }
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }
}

pub fn requirement<'v>(summary: &'v Value, name: &str) -> &'v Value {
    let all = summary["requirements"].as_array().unwrap();
    all.iter().find(|r| r["name"] == name).unwrap()
}
